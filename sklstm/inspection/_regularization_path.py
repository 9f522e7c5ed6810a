"""Scores or errors along a path of one regularisation parameter."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import is_classifier
from sklearn.utils.validation import check_is_fitted

from sklstm._validation import Number
from sklstm.estimators._composition import check_predictor, innermost, is_search

from ._display import Display, curve_values, labelled, make_headroom, scale_x
from ._model_errors import certified_error, check_draws, common_loss, default_error, noise_seeds, noisy_errors, targets
from ._unwrapping import parameter_of

_CHOSEN = "sklstm.chosen"  # identifier of the lines at chosen values
_SIGMA = Number(Real, 0, 1e38, optional=True)


@dataclass(kw_only=True, eq=False, repr=False)
class RegularizationPathDisplay(Display):
    """Scores or errors of models that differ in one parameter, by its value on a logarithmic axis.

    Use `from_estimator` with a fitted search, or `from_estimators` with fitted models. The parameters are stored as
    attributes.

    Parameters
    ----------
    param_name : str
        Name of the parameter, for the x axis.
    param_values : array-like of shape (m,)
        Its values. A value of 0 is at the left end of the axis.
    curves : dict of str to array-like of shape (m,) or (m, r)
        Names and values of the curves. For r repetitions, their mean and its standard error are drawn.
    best_value : float, optional
        The chosen value, drawn as a vertical line.
    ylabel : str, default="score"
        Name of the score or error.

    Attributes
    ----------
    lines_ : dict of str to matplotlib Line2D
        The lines of the means.
    bands_ : dict of str to matplotlib PolyCollection
        Bands of ± one standard error around the means, for curves with repetitions.
    best_line_ : matplotlib Line2D or None
        Vertical line at the chosen value.
    ax_ : matplotlib Axes
        Axes with the lines.
    figure_ : matplotlib Figure
        Figure with the axes.

    See Also
    --------
    sklstm.model_selection.RegularizationPathCV : Chooses one parameter along a path.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm.inspection import RegularizationPathDisplay
    >>> from sklstm import TikhonovLSTMRegressor
    >>> from sklstm.model_selection import RegularizationPathCV
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((100, 12, 2))
    >>> y = X[:, -3:, 0].mean(axis=1)
    >>> lstm = TikhonovLSTMRegressor(8, max_epochs=6, random_state=0)
    >>> search = RegularizationPathCV(lstm, "lambda_s", [0.001, 0.01, 0.1], cv=3).fit(X, y)
    >>> display = RegularizationPathDisplay.from_estimator(search)
    >>> list(display.curves), display.best_value == search.best_params_["lambda_s"]
    (['validation'], True)

    You can draw the data again, on other axes or with other options:

    >>> display.plot(linewidth=3).ax_ is display.ax_
    True

    Errors of fitted models; the certified error is for input errors of up to 0.1:

    >>> from sklstm import TikhonovLSTMRegressor
    >>> models = [
    ...     TikhonovLSTMRegressor(8, lambda_s=value, max_epochs=6, random_state=0).fit(X, y) for value in (0.01, 0.1)
    ... ]
    >>> list(RegularizationPathDisplay.from_estimators(models, X, y, eps=0.1).curves)
    ['clean', 'certified (eps = 0.1)']
    """

    param_name: str
    param_values: ArrayLike
    curves: Mapping[str, ArrayLike]
    best_value: float | None = None
    ylabel: str = "score"

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None, name: str | None = None) -> Self:
        """Draw the scores of a fitted search over one parameter.

        Parameters
        ----------
        estimator : estimator
            A fitted RegularizationPathCV, or a fitted search of scikit-learn over one numerical parameter, which may
            belong to a step of a pipeline. ``refit=False`` is enough.
        ax : matplotlib Axes, optional
            Axes to draw on. By default, the axes of a new figure.
        name : str, optional
            Name of the estimator, for the legend.

        Returns
        -------
        RegularizationPathDisplay
            A display with the scores of all folds. Scores on the training data are included if the search kept them.

        Raises
        ------
        TypeError
            If the estimator is not such a search.
        ValueError
            If it searched over several parameters, over values that are not numbers, or over one value twice.
        NotFittedError
            Before `fit`.
        """
        cls._check_matplotlib("from_estimator")
        if isinstance(estimator, type) or not is_search(estimator):
            raise TypeError(
                f"{cls.__name__}.from_estimator needs a search over one parameter, such as RegularizationPathCV or "
                f"GridSearchCV; got {estimator!r:.80}. For fitted models use from_estimators."
            )
        found = _of_search(estimator)
        return cls(**found._asdict()).plot(ax, name=name)

    @classmethod
    def from_estimators(
        cls,
        estimators: Sequence[Any],
        X: Any,
        y: Any,
        *,
        param_name: str = "lambda_s",
        sigma: float | None = None,
        eps: Any = None,
        method: Literal["best", "linear", "mean-value", "intervals", "auto"] = "best",
        n_draws: int = 10,
        random_state: int | np.random.RandomState | None = None,
        ax: Any = None,
        name: str | None = None,
    ) -> Self:
        """Measure the errors of fitted models that differ in one parameter, and draw them.

        The error on clean inputs is always drawn. For classifiers it is the error rate. For regressors it is their
        ``loss`` if all were trained for the same one, otherwise the mean squared error.

        Parameters
        ----------
        estimators : sequence of estimators
            Fitted models or compositions around them, all classifiers or all regressors.
        X : array-like of shape (n, L, d) or (n, L * d), DataFrame of numbers, or list of n arrays (L_i, d)
            Inputs, preferably of a test set.
        y : array-like of shape (n,) or (n, k)
            True targets.
        param_name : str, default="lambda_s"
            Name of the parameter. In a composition, the name in the estimator inside or the full name.
        sigma : float, optional
            If given, draw the error under Gaussian noise of this standard deviation, in the units of X.
        eps : float, array-like, Series, DataFrame or dict, optional
            If given, draw an upper bound on the error of inputs within ``eps`` of X, from `sklstm.certify`. ``eps`` is
            in the units of X, before any step of a pipeline.
        method : {"best", "linear", "mean-value", "intervals", "auto"}, default="best"
            How to certify; see `sklstm.certify`. ``"auto"``, from `sklstm.certified_accuracy`, works for classifiers
            only.
        n_draws : int, default=10
            Number of draws of the noise. All models use the same draws.
        random_state : int, RandomState instance or None, default=None
            Seed of the noise.
        ax : matplotlib Axes, optional
            Axes to draw on. By default, the axes of a new figure.
        name : str, optional
            Name of the estimator, for the legend.

        Returns
        -------
        RegularizationPathDisplay
            A display with the models in the order of the parameter.

        Raises
        ------
        TypeError
            If a model is neither classifier nor regressor, has no such parameter, or has no certificate.
        ValueError
            For a bad ``sigma``, ``eps`` or ``method``, no y, or arrays of different lengths.
        NotFittedError
            If a model is not fitted.
        """
        caller = cls._check_matplotlib("from_estimators")
        models = list(estimators) if isinstance(estimators, Sequence) else [estimators]
        if not models or not isinstance(estimators, Sequence):
            raise TypeError("estimators must be a sequence of fitted models, at least one.")
        for model in models:
            check_predictor(model, cls.__name__)
        if len({is_classifier(model) for model in models}) > 1:
            raise TypeError("estimators must be all classifiers or all regressors.")
        values = np.array([parameter_of(model, param_name) for model in models])
        models, values = [models[place] for place in np.argsort(values, kind="stable")], np.sort(values)
        _SIGMA.check("sigma", sigma)
        check_draws(random_state, n_draws=n_draws)
        y = targets(X, y, caller)
        networks = [innermost(model) for model in models]
        (ylabel, error), loss = default_error(*networks), common_loss(*networks)
        # This comes first, so that a bad eps is found before any other work.
        certified = None
        if eps is not None:
            certified = np.array([certified_error(model, X, y, eps, loss, method) for model in models])
        curves = {"clean": np.array([error(y, model.predict(X)) for model in models])}
        if sigma is not None:
            seeds = noise_seeds(random_state, n_draws)
            curves[f"noisy (sigma = {sigma:.4g})"] = np.concatenate(
                [noisy_errors(model, X, y, sigmas=[sigma], scale=1.0, seeds=seeds, error=error) for model in models]
            )
        if certified is not None:
            size = f" (eps = {eps:.4g})" if isinstance(eps, Real) else ""
            curves[f"certified{size}"] = certified
        return cls(param_name=param_name, param_values=values, curves=curves, ylabel=ylabel).plot(ax, name=name)

    def plot(self, ax: Any = None, *, name: str | None = None, **kwargs: Any) -> Self:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Axes to draw on. By default, the axes of a new figure.
        name : str, optional
            Name of the estimator, for the legend.
        **kwargs : dict
            Passed to matplotlib's ``plot`` for every curve.

        Returns
        -------
        RegularizationPathDisplay
            The display itself.

        Raises
        ------
        ValueError
            If a curve has not one value or row for each value of the parameter.
        """
        x = self._values("param_values", np.size(self.param_values))
        curves = {what: curve_values(what, values, len(x)) for what, values in self.curves.items()}
        if not curves:
            raise ValueError("curves must hold at least one curve.")
        ax, name = self._open(ax, name)
        self.lines_, self.bands_ = {}, {}
        for what, values in curves.items():
            self.lines_[what], band = self._draw_mean(ax, x, values, labelled(name, what), kwargs)
            if band is not None:
                self.bands_[what] = band
        self.best_line_ = None
        if self.best_value is not None:
            label = labelled(name, f"chosen: {self.best_value:.3g}")
            # In the colour of the first curve. Each further line on these axes has its own dots, so that both show.
            color = next(iter(self.lines_.values())).get_color()
            earlier = sum(line.get_gid() == _CHOSEN for line in ax.get_lines())
            dots = (3 * earlier, (1, 2 + 3 * earlier))
            self.best_line_ = ax.axvline(self.best_value, color=color, linestyle=dots, label=label, gid=_CHOSEN)
        scale_x(ax, x, wide=1)
        make_headroom(ax, 0.2)
        ax.xaxis.labelpad = 1  # tick labels with powers are tall
        return self._finish(ax, self.param_name, self.ylabel, band=next(iter(self.bands_.values()), None))


class _Found(NamedTuple):
    """Results of a search, under the names of the fields of the display."""

    param_name: str
    param_values: NDArray[np.float64]
    curves: dict[str, NDArray[np.float64]]
    best_value: float
    ylabel: str


def _of_search(search: Any) -> _Found:
    """Read a fitted search, also a path of this package, by its ``cv_results_``.

    Raises
    ------
    ValueError
        If it has several parameters, values that are not numbers or not distinct, or several scores without a choice.
    """
    check_is_fitted(search, "cv_results_")
    results = search.cv_results_
    names = [name.removeprefix("param_") for name in results if name.startswith("param_")]
    if len(names) != 1:
        raise ValueError(f"the search must be over one parameter, got {', '.join(names) or 'none'}.")
    column = results[f"param_{names[0]}"]
    if np.ma.getmaskarray(column).any() or not all(isinstance(value, Real) for value in column.tolist()):
        raise ValueError(f"the values of {names[0]} must be numbers, got {column.tolist()}.")
    values = np.array(column.tolist(), dtype=np.float64)
    if len(np.unique(values)) < len(values):
        raise ValueError(f"the search holds several results for one value of {names[0]}: {values.tolist()}.")
    metric = "score" if "split0_test_score" in results else search.refit
    if not isinstance(metric, str):
        raise ValueError("a search with several scores must name one of them in refit.")
    curves = {"validation": _folds(results, f"test_{metric}")}
    if f"split0_train_{metric}" in results:
        curves["training"] = _folds(results, f"train_{metric}")
    return _Found(
        param_name=names[0],
        param_values=values,
        curves=curves,
        best_value=float(values[search.best_index_]),
        ylabel=_score_name(search) if metric == "score" else metric,
    )


def _folds(results: Mapping[str, Any], key: str) -> NDArray[np.float64]:
    """Scores (m, n_folds) of all folds."""
    found: list[NDArray[np.float64]] = []
    while (name := f"split{len(found)}_{key}") in results:
        found.append(np.asarray(results[name], dtype=np.float64))
    return np.stack(found, axis=1)


def _score_name(search: Any) -> str:
    """Name of the score for the y axis."""
    if search.scoring is None:
        return "accuracy" if is_classifier(search) else "R²"
    return search.scoring.replace("_", " ") if isinstance(search.scoring, str) else "score"
