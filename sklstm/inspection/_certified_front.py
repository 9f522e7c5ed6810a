"""The price of certified accuracy: clean against certified error, one point for each model."""

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import is_classifier

from sklstm.estimators._composition import check_predictor, innermost

from ._display import Display, curve_values, scale_y
from ._model_errors import certified_error, common_loss, default_error, targets

# A certified error may be infinite where nothing is proved, or many times the smallest one, so the axis is logarithmic.
_WIDE = 10


@dataclass(kw_only=True, eq=False, repr=False)
class CertifiedFrontDisplay(Display):
    """Certified against clean errors of fitted models, one line for every family of models.

    The models of a family differ in one strength only, for instance ``robust_eps``. Points further down and to the left
    are better. If the line of one family lies below and to the left of another, it is better for every required
    accuracy. Use `from_estimators` to create one. The parameters are stored as attributes.

    Parameters
    ----------
    clean, certified : dict of str to array-like of shape (m,)
        Errors of the models of every family: on the given inputs, and the certified errors for inputs within some
        distance. Families may have different numbers of models.
    ylabel : str, default="error"
        Name of the error.
    size : str, default=""
        Input errors of the certified error, for its axis: for instance " (eps = 0.1)".

    Attributes
    ----------
    lines_ : dict of str to matplotlib Line2D
        The models of each family in the order of their clean errors. Models with an infinite certified error have no
        point; the legend says how many they are.
    ax_ : matplotlib Axes
        Axes with the lines.
    figure_ : matplotlib Figure
        Figure with the axes.

    See Also
    --------
    RegularizationPathDisplay : Errors by the value of one parameter.
    sklstm.metrics.make_certified_scorer : The certified error as a score for searches.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import TikhonovLSTMRegressor
    >>> from sklstm.inspection import CertifiedFrontDisplay
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((60, 8, 2))
    >>> y = X[:, -3:, 0].mean(axis=1) ** 2
    >>> families = {
    ...     name: [
    ...         TikhonovLSTMRegressor(4, max_epochs=6, random_state=0, **{name: value}).fit(X, y)
    ...         for value in (0.03, 0.1)
    ...     ]
    ...     for name in ("lambda_s", "robust_eps")
    ... }
    >>> display = CertifiedFrontDisplay.from_estimators(families, X, y, eps=0.1)
    >>> bool(np.all(display.certified["robust_eps"] >= display.clean["robust_eps"]))
    True

    You can draw the data again, on other axes or with other options:

    >>> display.plot(linewidth=3).ax_ is display.ax_
    True
    """

    clean: Mapping[str, ArrayLike]
    certified: Mapping[str, ArrayLike]
    ylabel: str = "error"
    size: str = ""

    @classmethod
    def from_estimators(
        cls,
        families: Mapping[str, Any],
        X: Any,
        y: Any,
        eps: Any,
        *,
        method: Literal["best", "linear", "mean-value", "intervals", "auto"] = "best",
        ax: Any = None,
        name: str | None = None,
    ) -> Self:
        """Measure the errors of fitted models, and draw them.

        For classifiers this is the error rate. For regressors it is their ``loss`` if all were trained for the same
        one, otherwise the mean squared error.

        Parameters
        ----------
        families : dict of str to estimator or sequence of estimators
            Fitted models or compositions around them, all classifiers or all regressors, by the name of their family.
        X : array-like of shape (n, L, d) or (n, L * d), DataFrame of numbers, or list of n arrays (L_i, d)
            Inputs, preferably of a test set.
        y : array-like of shape (n,) or (n, k)
            True targets.
        eps : float, array-like, Series, DataFrame or dict
            The certified error is an upper bound on the error of inputs within ``eps`` of X, from `sklstm.certify`.
            ``eps`` is in the units of X, before any step of a pipeline.
        method : {"best", "linear", "mean-value", "intervals", "auto"}, default="best"
            How to certify; see `sklstm.certify`. ``"auto"``, from `sklstm.certified_accuracy`, works for classifiers
            only.
        ax : matplotlib Axes, optional
            Axes to draw on. By default, the axes of a new figure.
        name : str, optional
            Text before the names of the families, in the legend.

        Returns
        -------
        CertifiedFrontDisplay

        Raises
        ------
        TypeError
            If ``families`` is no dict, a model is neither classifier nor regressor or has no certificate, or if
            classifiers and regressors are mixed.
        ValueError
            If there is no model or no y, for a bad ``eps`` or ``method``, or for arrays of different lengths.
        NotFittedError
            If a model is not fitted.
        """
        caller = cls._check_matplotlib("from_estimators")
        if not isinstance(families, Mapping):
            raise TypeError(f"families must be a dict from names to fitted models, got {families!r:.80}.")
        several = {key: list(part) if isinstance(part, list | tuple) else [part] for key, part in families.items()}
        models = [model for part in several.values() for model in part]
        if not models or not all(several.values()):
            raise ValueError("families must hold at least one name, and at least one fitted model for every name.")
        for model in models:
            check_predictor(model, cls.__name__)
        if len({is_classifier(model) for model in models}) > 1:
            raise TypeError("the models must be all classifiers or all regressors.")
        y = targets(X, y, caller)
        networks = [innermost(model) for model in models]
        (ylabel, error), loss = default_error(*networks), common_loss(*networks)
        # This comes first, so that a bad eps is found before any other work.
        certified = {
            key: np.array([certified_error(m, X, y, eps, loss, method) for m in part]) for key, part in several.items()
        }
        clean = {key: np.array([error(y, model.predict(X)) for model in part]) for key, part in several.items()}
        size = f" (eps = {eps:.4g})" if isinstance(eps, Real) else ""
        return cls(clean=clean, certified=certified, ylabel=ylabel, size=size).plot(ax, name=name)

    def plot(self, ax: Any = None, *, name: str | None = None, **kwargs: Any) -> Self:
        """Draw a line for every family.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Axes to draw on. By default, the axes of a new figure.
        name : str, optional
            Text before the names of the families, in the legend.
        **kwargs : dict
            Passed to matplotlib's ``plot`` for every line.

        Returns
        -------
        CertifiedFrontDisplay
            The display itself.

        Raises
        ------
        ValueError
            If the families of the two errors differ in their names or numbers of models, or if there are none.
        """
        if not self.clean or set(self.clean) != set(self.certified):
            raise ValueError("clean and certified must have the same names, at least one.")
        points = {key: self._points(key) for key in self.clean}
        unknown = {key: np.size(self.clean[key]) - len(clean) for key, (clean, _) in points.items()}
        ax, name = self._open(ax, name)
        self.lines_ = {}
        for key, (clean, certified) in points.items():
            label = key if name is None else f"{name}, {key}"
            if unknown[key]:
                label += f" ({unknown[key]} without a bound)"
            self.lines_[key], _ = self._draw_mean(ax, clean, certified[:, None], label, kwargs)
        found = np.concatenate([certified for _, certified in points.values()])
        if found.size and found.min() > 0 and found.max() > _WIDE * found.min():
            scale_y(ax)
        return self._finish(ax, f"{self.ylabel}, clean", f"{self.ylabel}, certified{self.size}")

    def _points(self, key: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Both errors of a family's models, without models for which nothing is proved."""
        number = np.size(self.clean[key])
        clean = curve_values(f"clean[{key!r}]", self.clean[key], number)[:, 0]
        certified = curve_values(f"certified[{key!r}]", self.certified[key], number)[:, 0]
        known = np.isfinite(certified)
        return clean[known], certified[known]
