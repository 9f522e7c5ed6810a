"""Scores or errors along a path of one regularisation parameter."""

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import is_classifier
from sklearn.utils.validation import check_is_fitted

from sklstm._validation import Number, Seed

from ._errors import certified_error, default_error, noise_seeds, noisy_errors, targets
from ._figures import (
    axes_for,
    curve_values,
    draw_mean,
    labelled,
    line_options,
    make_headroom,
    next_style,
    of_means,
    require_matplotlib,
    scale_x,
)
from ._fitted import check_predictor, final_estimator, is_search
from ._search_results import folds, metric_of, one_parameter, score_name

__all__ = ["RegularizationPathDisplay"]

_N_DRAWS = Number(Integral, 1, None)
_CHOSEN = "sklstm.chosen"  # by which the lines at chosen values know each other
_SIGMA = Number(Real, 0, 1e38, optional=True)


class RegularizationPathDisplay:
    """Scores or errors of models that differ in one parameter, on a logarithmic axis of its values.

    It is best made with `from_estimator`, from a fitted search, or with `from_estimators`, from fitted models; what
    the constructor is given is stored as attributes.

    Parameters
    ----------
    param_name : str
        Name of the parameter, for the x axis.
    param_values : array-like of shape (m,)
        Its values; those of 0 stand at the left end of the axis.
    curves : dict of str to array-like of shape (m,) or (m, r)
        Names and values of the curves; of r repetitions the mean and its standard error are drawn.
    best_value : float, optional
        The value that was chosen, to be marked.
    ylabel : str, default="score"
        What the curves show.

    Attributes
    ----------
    lines_ : dict of str to matplotlib Line2D
        The lines of the means.
    bands_ : dict of str to matplotlib PolyCollection
        Bands of ± one standard error around them, of the curves with repetitions.
    best_line_ : matplotlib Line2D or None
        Vertical line at the chosen value.
    ax_ : matplotlib Axes
        Axes with the lines.
    figure_ : matplotlib Figure
        Figure with the axes.

    See Also
    --------
    sklstm.model_selection.TikhonovLSTMRegressorCV : Chooses ``lambda_s`` along a path.
    sklstm.model_selection.NoisyRNNClassifierCV : Chooses ``sigma`` along a path.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm.inspection import RegularizationPathDisplay
    >>> from sklstm.model_selection import TikhonovLSTMRegressorCV
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((100, 12, 2))
    >>> y = X[:, -3:, 0].mean(axis=1)
    >>> search = TikhonovLSTMRegressorCV(8, lambdas=[0.001, 0.01, 0.1], cv=3, max_epochs=20, random_state=0).fit(X, y)
    >>> display = RegularizationPathDisplay.from_estimator(search)
    >>> list(display.curves), display.best_value == search.lambda_s_
    (['validation'], True)

    What was computed can be drawn again, on other axes or with other options:

    >>> display.plot(linewidth=3).ax_ is display.ax_
    True

    Errors of fitted models, the certified one for changes of every input by up to 0.1:

    >>> from sklstm import TikhonovLSTMRegressor
    >>> models = [
    ...     TikhonovLSTMRegressor(8, lambda_s=value, max_epochs=20, random_state=0).fit(X, y) for value in (0.01, 0.1)
    ... ]
    >>> list(RegularizationPathDisplay.from_estimators(models, X, y, eps=0.1).curves)
    ['clean', 'certified (eps = 0.1)']
    """

    def __init__(
        self,
        *,
        param_name: str,
        param_values: ArrayLike,
        curves: Mapping[str, ArrayLike],
        best_value: float | None = None,
        ylabel: str = "score",
    ) -> None:
        self.param_name = param_name
        self.param_values = param_values
        self.curves = curves
        self.best_value = best_value
        self.ylabel = ylabel

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None, name: str | None = None) -> Self:
        """Draw the scores of a fitted search over one parameter.

        Parameters
        ----------
        estimator : estimator
            A fitted TikhonovLSTMRegressorCV, NoisyRNNClassifierCV, or scikit-learn search over one numerical
            parameter, which may be one of a pipeline. ``refit=False`` will do.
        ax : matplotlib Axes, optional
            Axes to draw on; by default those of a new figure.
        name : str, optional
            Whose scores they are, for the legend.

        Returns
        -------
        RegularizationPathDisplay
            With the scores of all folds, of the training data too where the search has kept them.

        Raises
        ------
        TypeError
            If the estimator is no search.
        ValueError
            If it searched over several parameters, over something else than numbers, or twice over one value.
        NotFittedError
            Before `fit`.
        """
        require_matplotlib(f"{cls.__name__}.from_estimator")
        if isinstance(estimator, type) or not is_search(estimator):
            raise TypeError(
                f"{cls.__name__}.from_estimator needs a search over one parameter, such as TikhonovLSTMRegressorCV or "
                f"GridSearchCV; got {estimator!r:.80}. For fitted models use from_estimators."
            )
        if not hasattr(estimator, "cv_results_"):
            check_is_fitted(estimator)
            raise TypeError(f"{type(estimator).__name__} keeps no cv_results_ to draw.")
        results = estimator.cv_results_
        parameter, values = one_parameter(results)
        metric = metric_of(estimator)
        scores = {"validation": folds(results, "test", metric), "training": folds(results, "train", metric)}
        display = cls(
            param_name=parameter,
            param_values=values,
            curves={which: values for which, values in scores.items() if values is not None},
            best_value=float(values[estimator.best_index_]),
            ylabel=metric if metric != "score" else score_name(estimator),
        )
        return display.plot(ax, name=name)

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
        n_draws: int = 10,
        random_state: int | np.random.RandomState | None = None,
        ax: Any = None,
        name: str | None = None,
    ) -> Self:
        """Measure the errors of fitted models that differ in one parameter, and draw them.

        The clean error is always drawn. Errors are the mean squared error of regressors and the error rate of
        classifiers.

        Parameters
        ----------
        estimators : sequence of estimators
            Fitted models, alone or inside pipelines, all classifiers or all regressors.
        X : array-like of shape (n, L, d) or (n, L * d), DataFrame of numbers, or list of n arrays (L_i, d)
            Inputs, best those of a test set.
        y : array-like of shape (n,) or (n, k)
            True targets.
        param_name : str, default="lambda_s"
            The parameter, of the estimator inside a pipeline or by its full name.
        sigma : float, optional
            Draw also the error under Gaussian noise of this standard deviation, in the units of X.
        eps : float or array-like, optional
            Draw also the largest error that inputs within ``eps`` of X can cause, by `sklstm.certify`: an upper limit,
            in the units of X, before any step of a pipeline.
        n_draws : int, default=10
            Draws of the noise, the same for all models.
        random_state : int, RandomState instance or None, default=None
            Fixes the noise.
        ax : matplotlib Axes, optional
            Axes to draw on; by default those of a new figure.
        name : str, optional
            Whose errors they are, for the legend.

        Returns
        -------
        RegularizationPathDisplay
            With the models in the order of the parameter.

        Raises
        ------
        TypeError
            If one of the models is of another kind, or has no such parameter, or no certificate.
        ValueError
            For a bad ``sigma`` or ``eps``, no y, or arrays that do not fit together.
        NotFittedError
            If one of the models is not fitted.
        """
        caller = f"{cls.__name__}.from_estimators"
        require_matplotlib(caller)
        models = list(estimators) if isinstance(estimators, Sequence) else [estimators]
        if not models or not isinstance(estimators, Sequence):
            raise TypeError("estimators must be a sequence of fitted models, at least one.")
        for model in models:
            check_predictor(model, cls.__name__)
        if len({is_classifier(model) for model in models}) > 1:
            raise TypeError("estimators must be all classifiers or all regressors.")
        values = np.array([_parameter_of(model, param_name) for model in models])
        models, values = [models[place] for place in np.argsort(values, kind="stable")], np.sort(values)
        _SIGMA.check("sigma", sigma)
        _N_DRAWS.check("n_draws", n_draws)
        Seed().check("random_state", random_state)
        y = targets(X, y, caller)
        ylabel, error = default_error(models[0])
        # First: a bad eps is found before other work.
        certified = None if eps is None else np.array([certified_error(model, X, y, eps) for model in models])
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
            Axes to draw on; by default those of a new figure.
        name : str, optional
            Whose curves they are, for the legend.
        **kwargs : dict
            Passed to matplotlib's ``plot`` for every curve.

        Returns
        -------
        RegularizationPathDisplay
            The display itself.

        Raises
        ------
        ValueError
            If the curves do not belong to the values of the parameter.
        """
        x = curve_values("param_values", self.param_values, np.size(self.param_values))[:, 0]
        curves = {what: curve_values(what, values, len(x)) for what, values in self.curves.items()}
        if not curves:
            raise ValueError("curves must hold at least one curve.")
        order = np.argsort(x, kind="stable")
        ax = axes_for(ax, f"{type(self).__name__}.plot")
        self.lines_, self.bands_ = {}, {}
        for what, values in curves.items():
            options = line_options(next_style(ax)._asdict() | {"label": labelled(name, what)}, kwargs)
            self.lines_[what], band = draw_mean(ax, x[order], values[order], options)
            if band is not None:
                self.bands_[what] = band
        self.best_line_ = None
        if self.best_value is not None:
            label = labelled(name, f"chosen: {self.best_value:.3g}")
            # In the colour of the first curve, and not two on top of each other alike.
            color = next(iter(self.lines_.values())).get_color()
            earlier = sum(line.get_gid() == _CHOSEN for line in ax.get_lines())
            dots = (3 * earlier, (1, 2 + 3 * earlier))
            self.best_line_ = ax.axvline(self.best_value, color=color, linestyle=dots, label=label, gid=_CHOSEN)
        scale_x(ax, x, wide=1)
        make_headroom(ax, 0.2)
        ax.set_xlabel(self.param_name, labelpad=1)  # labels of powers are high
        ax.set_ylabel(of_means(self.ylabel, next(iter(self.bands_.values()), None)))
        ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _parameter_of(model: Any, name: str) -> float:
    final = final_estimator(model)
    parameters = {**model.get_params(), **final.get_params()}
    if name not in parameters:
        raise TypeError(f"{type(final).__name__} has no parameter {name!r}.")
    value = parameters[name]
    Number(Real).check(name, value)
    return float(value)
