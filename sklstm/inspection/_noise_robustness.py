"""Errors of fitted estimators under noise on their inputs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import is_classifier

from sklstm.estimators._composition import check_predictor, innermost

from ._display import Display, curve_values, labelled, scale_x
from ._model_errors import check_draws, check_sigmas, default_error, noise_seeds, noisy_errors, targets


@dataclass(kw_only=True, eq=False, repr=False)
class NoiseRobustnessDisplay(Display):
    """Errors of fitted estimators by the standard deviation of Gaussian noise on their inputs.

    Use `from_estimator` to create one. The parameters are stored as attributes.

    Parameters
    ----------
    sigmas : array-like of shape (m,)
        Standard deviations of the noise.
    errors : array-like of shape (m, n_draws), or dict of str to array-like of this shape
        Error for each standard deviation and each draw of the noise. For several estimators, a dict by their names.
    estimator_name : str, optional
        Name of the estimator, for the legend.
    ylabel : str, default="error"
        Name of the error.
    sigma_unit : str, default="units of X"
        Unit of `sigmas`.

    Attributes
    ----------
    line_ : matplotlib Line2D, or dict of str to Line2D
        Mean over the draws. A dict if ``errors`` is one.
    band_ : matplotlib PolyCollection or None, or dict of str to these
        The mean ± its standard error. None if there is only one draw. A dict if ``errors`` is one.
    ax_ : matplotlib Axes
        Axes with the line.
    figure_ : matplotlib Figure
        Figure with the axes.

    See Also
    --------
    CertifiedBandDisplay : Bounds that hold for every input error up to a given size.
    NoiseGeneralizationDisplay : Noise in training instead of after it.
    sklstm.metrics.make_noisy_scorer : The error at one size of the noise, as a score for searches.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import TikhonovLSTMRegressor
    >>> from sklstm.inspection import NoiseRobustnessDisplay
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((100, 12, 2))
    >>> y = X[:, -3:, 0].mean(axis=1)
    >>> model = TikhonovLSTMRegressor(8, max_epochs=6, random_state=0).fit(X, y)
    >>> display = NoiseRobustnessDisplay.from_estimator(model, X, y, sigmas=[0.0, 0.5, 1.0], random_state=0)
    >>> display.errors.shape
    (3, 10)

    Several estimators, by name:

    >>> plain = TikhonovLSTMRegressor(8, lambda_s=0, max_epochs=6, random_state=0).fit(X, y)
    >>> both = {"penalty": model, "no penalty": plain}
    >>> several = NoiseRobustnessDisplay.from_estimator(both, X, y, sigmas=[0.0, 0.5, 1.0], random_state=0)
    >>> bool((several.errors["penalty"] == display.errors).all())  # all see the same noise
    True

    You can draw the data again, on other axes or with other options:

    >>> display.plot(linewidth=3).ax_ is display.ax_
    True
    """

    sigmas: ArrayLike
    errors: ArrayLike | Mapping[str, ArrayLike]
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
        """Measure the errors of a fitted estimator, or of several, under noise, and draw them.

        Parameters
        ----------
        estimator : estimator, or dict of str to estimator
            Any fitted classifier or regressor. For several, a dict with their names for the legend; all must be
            classifiers or all regressors. For a pipeline, the noise is added before its first step.
        X : array-like of shape (n, L, d) or (n, L * d), DataFrame of numbers, or list of n arrays (L_i, d)
            Clean inputs, preferably of a test set.
        y : array-like of shape (n,) or (n, k)
            True targets.
        sigmas : array-like of shape (m,)
            Standard deviations of the noise, 0 or more. 0 means no noise.
        scale : float, array-like, Series or dict, default=1.0
            Factor of the noise, broadcast to X. Labels are matched with those of X. Pass the standard deviations of the
            channels to give ``sigmas`` in their units.
        n_draws : int, default=10
            Number of draws of the noise. All estimators and all ``sigmas`` use the same draws, multiplied by sigma.
        metric : callable, optional
            Function of true and predicted targets; smaller is better. By default it is the error rate of classifiers.
            For regressors of this package it is their ``loss`` if it is the same for all, otherwise the mean squared
            error.
        random_state : int, RandomState instance or None, default=None
            Seed of the noise.
        ax : matplotlib Axes, optional
            Axes to draw on. By default, the axes of a new figure.
        name : str, optional
            Name of the estimator, for the legend. By default its class. For several estimators, a text before their
            names.

        Returns
        -------
        NoiseRobustnessDisplay
            A display with errors of shape (m, n_draws), or a dict of them.

        Raises
        ------
        TypeError
            If an estimator is neither classifier nor regressor, classifiers and regressors are mixed, or X contains
            something other than numbers.
        ValueError
            For a bad value in ``sigmas``, no y, or arrays of different lengths.
        NotFittedError
            Before `fit`.
        """
        caller = cls._check_matplotlib("from_estimator")
        several = isinstance(estimator, Mapping)
        models = dict(estimator) if several else {type(innermost(estimator)).__name__: estimator}
        if not models:
            raise ValueError("estimator is an empty dict. Give at least one fitted estimator.")
        for model in models.values():
            check_predictor(model, cls.__name__)
        if len({is_classifier(model) for model in models.values()}) > 1:
            raise TypeError("the estimators must be all classifiers or all regressors.")
        sigmas = check_sigmas(sigmas)
        check_draws(random_state, n_draws=n_draws)
        if not (metric is None or callable(metric)):
            raise TypeError(f"metric must be a function of true and predicted targets, got {metric!r}.")
        y = targets(X, y, caller)
        ylabel, error = default_error(*(innermost(model) for model in models.values()))
        if metric is not None:
            ylabel, error = getattr(metric, "__name__", "error").replace("_", " "), metric
        unit = "units of X" if np.ndim(scale) == 0 and scale == 1 else "multiples of scale"
        seeds = noise_seeds(random_state, n_draws)
        errors = {
            key: noisy_errors(model, X, y, sigmas=sigmas, scale=scale, seeds=seeds, error=error)
            for key, model in models.items()
        }
        shared: dict[str, Any] = {"sigmas": sigmas, "ylabel": ylabel, "sigma_unit": unit}
        if several:
            return cls(errors=errors, estimator_name=name, **shared).plot(ax)
        ((class_name, values),) = errors.items()
        return cls(errors=values, estimator_name=class_name if name is None else name, **shared).plot(ax)

    def plot(self, ax: Any = None, *, name: str | None = None, **kwargs: Any) -> Self:
        """Draw the mean errors and their standard errors.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Axes to draw on. By default, the axes of a new figure.
        name : str, optional
            Name of the estimator, for the legend. By default ``estimator_name``. For several estimators, a text before
            their names.
        **kwargs : dict
            Passed to matplotlib's ``plot`` for every line.

        Returns
        -------
        NoiseRobustnessDisplay
            The display itself.

        Raises
        ------
        ValueError
            If there is not one row of errors for each of ``sigmas``, or no errors.
        """
        sigmas = check_sigmas(self.sigmas)
        several = isinstance(self.errors, Mapping)
        given: Mapping[Any, Any] = self.errors if isinstance(self.errors, Mapping) else {None: self.errors}
        if not given:
            raise ValueError("errors must hold the errors of at least one estimator.")
        curves = {key: curve_values("errors", errors, len(sigmas)) for key, errors in given.items()}
        ax, name = self._open(ax, name)
        lines: dict[Any, Any] = {}
        bands: dict[Any, Any] = {}
        for key, errors in curves.items():
            label = name if key is None else labelled(name, str(key))
            lines[key], bands[key] = self._draw_mean(ax, sigmas, errors, label, kwargs)
        self.line_: Any = lines if several else lines[None]
        self.band_: Any = bands if several else bands[None]
        scale_x(ax, sigmas)
        xlabel = f"σ of the noise added to X ({self.sigma_unit})"
        band = next((band for band in bands.values() if band is not None), None)
        return self._finish(ax, xlabel, self.ylabel, band=band, legend=several or name is not None)
