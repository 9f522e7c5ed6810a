"""How the error of a fitted estimator grows with noise on its inputs."""

from collections.abc import Callable
from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sklstm._validation import NON_NEGATIVE, Number, Seed

from ._errors import default_error, noise_seeds, noisy_errors, targets
from ._figures import axes_for, curve_values, draw_mean, line_options, next_style, of_means, require_matplotlib, scale_x
from ._fitted import check_predictor, name_of

__all__ = ["NoiseRobustnessDisplay", "check_sigmas"]

_N_DRAWS = Number(Integral, 1, None)


class NoiseRobustnessDisplay:
    """Error of a fitted estimator by the size of the Gaussian noise that is added to its inputs.

    It is best made with `from_estimator`; what the constructor is given is stored as attributes. Calls with the same
    axes draw several estimators into one picture.

    Parameters
    ----------
    sigmas : array-like of shape (m,)
        Sizes of the noise.
    errors : array-like of shape (m, n_draws)
        Error for each size and each draw of the noise.
    estimator_name : str, optional
        Whose errors they are, for the legend.
    ylabel : str, default="error"
        What the error is.
    sigma_unit : str, default="units of X"
        What `sigmas` are multiples of.

    Attributes
    ----------
    line_ : matplotlib Line2D
        Mean over the draws.
    band_ : matplotlib PolyCollection or None
        The mean ± its standard error; None for one draw.
    ax_ : matplotlib Axes
        Axes with the line.
    figure_ : matplotlib Figure
        Figure with the axes.

    See Also
    --------
    CertifiedBandDisplay : Limits that no noise up to a given size can break.
    NoiseGeneralizationDisplay : Noise in training, not afterwards.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import TikhonovLSTMRegressor
    >>> from sklstm.inspection import NoiseRobustnessDisplay
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((100, 12, 2))
    >>> y = X[:, -3:, 0].mean(axis=1)
    >>> model = TikhonovLSTMRegressor(8, max_epochs=20, random_state=0).fit(X, y)
    >>> display = NoiseRobustnessDisplay.from_estimator(model, X, y, sigmas=[0.0, 0.5, 1.0], random_state=0)
    >>> display.errors.shape
    (3, 10)

    What was computed can be drawn again, on other axes or with other options:

    >>> display.plot(linewidth=3).ax_ is display.ax_
    True
    """

    def __init__(
        self,
        *,
        sigmas: ArrayLike,
        errors: ArrayLike,
        estimator_name: str | None = None,
        ylabel: str = "error",
        sigma_unit: str = "units of X",
    ) -> None:
        self.sigmas = sigmas
        self.errors = errors
        self.estimator_name = estimator_name
        self.ylabel = ylabel
        self.sigma_unit = sigma_unit

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        sigmas: ArrayLike,
        scale: Any = 1.0,
        n_draws: int = 10,
        metric: Callable[[Any, Any], float] | None = None,
        random_state: int | np.random.RandomState | None = None,
        ax: Any = None,
        name: str | None = None,
    ) -> Self:
        """Measure the errors of a fitted estimator under noise, and draw them.

        Parameters
        ----------
        estimator : estimator
            Any fitted classifier or regressor, also a pipeline: the noise falls on what goes into it.
        X : array-like of shape (n, L, d) or (n, L * d), DataFrame of numbers, or list of n arrays (L_i, d)
            Clean inputs, best those of a test set.
        y : array-like of shape (n,) or (n, k)
            True targets.
        sigmas : array-like of shape (m,)
            Sizes of the noise, not negative; 0 is no noise.
        scale : float or array-like, default=1.0
            Factor of the noise, broadcast to X: with the standard deviations of the channels, ``sigmas`` are in
            these.
        n_draws : int, default=10
            Draws of the noise. A draw for one size is the same draw for the others, times their ratio, and estimators
            that are given one ``random_state`` see the same noise.
        metric : callable, optional
            Function of true and predicted targets, smaller for better predictions; by default the mean squared error
            of a regressor and the error rate of a classifier.
        random_state : int, RandomState instance or None, default=None
            Fixes the noise.
        ax : matplotlib Axes, optional
            Axes to draw on; by default those of a new figure.
        name : str, optional
            Whose errors they are, for the legend; by default the class of the estimator.

        Returns
        -------
        NoiseRobustnessDisplay
            With errors of shape (m, n_draws).

        Raises
        ------
        TypeError
            If the estimator is neither classifier nor regressor, or X holds anything but numbers.
        ValueError
            For a bad size of the noise, no y, or arrays that do not fit together.
        NotFittedError
            Before `fit`.
        """
        caller = f"{cls.__name__}.from_estimator"
        require_matplotlib(caller)
        check_predictor(estimator, cls.__name__)
        sigmas = check_sigmas(sigmas)
        _N_DRAWS.check("n_draws", n_draws)
        Seed().check("random_state", random_state)
        if not (metric is None or callable(metric)):
            raise TypeError(f"metric must be a function of true and predicted targets, got {metric!r}.")
        y = targets(X, y, caller)
        ylabel, error = default_error(estimator)
        if metric is not None:
            ylabel, error = getattr(metric, "__name__", "error").replace("_", " "), metric
        unit = "units of X" if np.ndim(scale) == 0 and scale == 1 else "multiples of scale"
        errors = noisy_errors(
            estimator, X, y, sigmas=sigmas, scale=scale, seeds=noise_seeds(random_state, n_draws), error=error
        )
        display = cls(
            sigmas=sigmas,
            errors=errors,
            estimator_name=name_of(estimator) if name is None else name,
            ylabel=ylabel,
            sigma_unit=unit,
        )
        return display.plot(ax)

    def plot(self, ax: Any = None, *, name: str | None = None, **kwargs: Any) -> Self:
        """Draw the mean error and its standard error.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Axes to draw on; by default those of a new figure.
        name : str, optional
            Whose errors they are, for the legend; by default ``estimator_name``.
        **kwargs : dict
            Passed to matplotlib's ``plot``.

        Returns
        -------
        NoiseRobustnessDisplay
            The display itself.

        Raises
        ------
        ValueError
            If the errors do not belong to the sizes of the noise.
        """
        name = self.estimator_name if name is None else name
        sigmas = check_sigmas(self.sigmas)
        errors = curve_values("errors", self.errors, len(sigmas))
        ax = axes_for(ax, f"{type(self).__name__}.plot")
        options = next_style(ax)._asdict() | {"label": name}
        order = np.argsort(sigmas)
        self.line_, self.band_ = draw_mean(ax, sigmas[order], errors[order], line_options(options, kwargs))
        scale_x(ax, sigmas)
        ax.set(xlabel=f"σ of the noise added to X ({self.sigma_unit})", ylabel=of_means(self.ylabel, self.band_))
        if name is not None:
            ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self


def check_sigmas(sigmas: ArrayLike) -> NDArray[np.float64]:
    """Sizes of noise as an array.

    Raises
    ------
    ValueError
        If there is none, or one is negative or not finite.
    """
    array = np.asarray(sigmas)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"sigmas must be a sequence of numbers, at least one; got {sigmas!r}.")
    for sigma in array:
        NON_NEGATIVE.check("every entry of sigmas", sigma)
    return array.astype(np.float64)
