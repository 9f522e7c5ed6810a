"""Error of a fitted estimator under noise on its inputs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from ._display import Display, curve_values, scale_x
from ._model_errors import check_draws, check_sigmas, default_error, noise_seeds, noisy_errors, targets
from ._unwrapping import check_predictor, innermost


@dataclass(kw_only=True, eq=False, repr=False)
class NoiseRobustnessDisplay(Display):
    """Error of a fitted estimator by the standard deviation of Gaussian noise on its inputs.

    Use `from_estimator` to create one. The parameters are stored as attributes. To compare
    estimators, draw them on the same axes.

    Parameters
    ----------
    sigmas : array-like of shape (m,)
        Standard deviations of the noise.
    errors : array-like of shape (m, n_draws)
        Error for each standard deviation and each draw of the noise.
    estimator_name : str, optional
        Name of the estimator, for the legend.
    ylabel : str, default="error"
        Name of the error.
    sigma_unit : str, default="units of X"
        Unit of `sigmas`.

    Attributes
    ----------
    line_ : matplotlib Line2D
        Mean over the draws.
    band_ : matplotlib PolyCollection or None
        The mean ± its standard error. None if there is only one draw.
    ax_ : matplotlib Axes
        Axes with the line.
    figure_ : matplotlib Figure
        Figure with the axes.

    See Also
    --------
    CertifiedBandDisplay : Limits that hold for all noise up to a given size.
    NoiseGeneralizationDisplay : Noise in training instead of after it.

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

    The data can be drawn again, on other axes or with other options:

    >>> display.plot(linewidth=3).ax_ is display.ax_
    True
    """

    sigmas: ArrayLike
    errors: ArrayLike
    estimator_name: str | None = None
    ylabel: str = "error"
    sigma_unit: str = "units of X"

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
            Any fitted classifier or regressor. For a pipeline, the noise is added before its first step.
        X : array-like of shape (n, L, d) or (n, L * d), DataFrame of numbers, or list of n arrays (L_i, d)
            Clean inputs, preferably of a test set.
        y : array-like of shape (n,) or (n, k)
            True targets.
        sigmas : array-like of shape (m,)
            Standard deviations of the noise, 0 or more. 0 means no noise.
        scale : float or array-like, default=1.0
            Factor of the noise, broadcast to X. Give the standard deviations of the channels to have ``sigmas`` in
            units of them.
        n_draws : int, default=10
            Number of draws of the noise. All ``sigmas`` use the same draws, multiplied by sigma. Estimators that are
            given the same ``random_state`` see the same noise.
        metric : callable, optional
            Function of true and predicted targets; smaller is better. By default, the mean squared error of a
            regressor or the error rate of a classifier.
        random_state : int, RandomState instance or None, default=None
            Seed of the noise.
        ax : matplotlib Axes, optional
            Axes to draw on. By default, the axes of a new figure.
        name : str, optional
            Name of the estimator, for the legend. By default its class.

        Returns
        -------
        NoiseRobustnessDisplay
            With errors of shape (m, n_draws).

        Raises
        ------
        TypeError
            If the estimator is neither classifier nor regressor, or X contains anything but numbers.
        ValueError
            For a bad value in ``sigmas``, no y, or arrays of different lengths.
        NotFittedError
            Before `fit`.
        """
        caller = cls._check_matplotlib("from_estimator")
        check_predictor(estimator, cls.__name__)
        sigmas = check_sigmas(sigmas)
        check_draws(random_state, n_draws=n_draws)
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
            estimator_name=type(innermost(estimator)).__name__ if name is None else name,
            ylabel=ylabel,
            sigma_unit=unit,
        )
        return display.plot(ax)

    def plot(self, ax: Any = None, *, name: str | None = None, **kwargs: Any) -> Self:
        """Draw the mean error and its standard error.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Axes to draw on. By default, the axes of a new figure.
        name : str, optional
            Name of the estimator, for the legend. By default ``estimator_name``.
        **kwargs : dict
            Passed to matplotlib's ``plot``.

        Returns
        -------
        NoiseRobustnessDisplay
            The display itself.

        Raises
        ------
        ValueError
            If there is not one row of errors for each of ``sigmas``.
        """
        sigmas = check_sigmas(self.sigmas)
        errors = curve_values("errors", self.errors, len(sigmas))
        ax, name = self._open(ax, name)
        self.line_, self.band_ = self._draw_mean(ax, sigmas, errors, name, kwargs)
        scale_x(ax, sigmas)
        xlabel = f"σ of the noise added to X ({self.sigma_unit})"
        return self._finish(ax, xlabel, self.ylabel, band=self.band_, legend=name is not None)
