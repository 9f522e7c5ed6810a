"""Choice of one regularisation parameter of an estimator by cross-validation."""

import time
import warnings
from collections.abc import Collection, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from joblib import cpu_count, effective_n_jobs
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone, is_classifier
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.metrics import check_scoring
from sklearn.model_selection import check_cv
from sklearn.utils import Tags, get_tags, indexable
from sklearn.utils.metaestimators import available_if
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from sklstm._fitted import take_over, unfitted_copy
from sklstm._labels import refuse_mixed_rows
from sklstm._tables import as_plain, sequences_in
from sklstm._validation import API_PAGE, FLAG, Choice, Number, caller_level
from sklstm.estimators._base import SequenceEstimator, checked
from sklstm.estimators._certify import certify
from sklstm.estimators._composition import method_owner
from sklstm.estimators._data_warnings import warn_about_data
from sklstm.estimators._label_certificates import certified_accuracy, certified_radius
from sklstm.estimators._parameters import PATH_PARAMETERS, path_values
from sklstm.estimators._reports import generalization_report
from sklstm.generalization import GeneralizationReport
from sklstm.metrics._noisy_scorer import takes_sample_weight
from sklstm.training._process import restores_settings

from ._folds import Cancellation, Outcome, PathSettings, Split, run_models

_OPTIONAL_INT = Number(Integral, optional=True)
_SHARE = Number(Real, 0, 1, "left")
_STRATEGY = Choice(("auto", "stacked", "separate"))


def _has(name: str) -> Any:
    """A decorator for methods that exist only if the estimator has a method of this name."""
    return available_if(lambda path: hasattr(path.estimator, name))


class RegularizationPathCV(MetaEstimatorMixin, BaseEstimator):
    """Choose one regularisation parameter of an estimator by cross-validation.

    It works like GridSearchCV over this parameter, in a fraction of the time. The data of a fold are prepared once. The
    models of a fold share their first epochs. Small networks are trained together as one program.

    Parameters
    ----------
    estimator : estimator of this package
        An unfitted estimator; it is not changed. Put scalers around the path:
        ``make_pipeline(SequenceScaler(), path)``.
    param_name : str
        Name of the parameter: ``"lambda_s"``, ``"lambda_1"``, ``"lambda_2"``, ``"sigma"``, ``"robust_eps"``,
        ``"robust_weight"``, ``"robust_box"``, ``"weight_decay"``, ``"clip_norm"``, ``"max_norm_u"``,
        ``"max_norm_w"`` or ``"max_norm_v"``. The estimator must have it.
    param_range : int or array-like of shape (m,), default=10
        Values to try, or their number. With a number, the values are round and evenly spaced on a logarithmic scale.
        ``lambda_s`` goes from 1e-4 to 1, for classifiers from 1e-6 to 0.01. ``lambda_1`` and ``lambda_2`` go from 0.1
        to 1000. ``sigma`` goes from 0.01 to 1 standard deviations of X, ``robust_eps`` from 0.01 to 0.3.
        ``robust_weight`` and ``robust_box`` go from 0.1 to 1. ``weight_decay`` goes from 1e-5 to 0.1, ``clip_norm``
        from 0.1 to 10. ``max_norm_u``, ``max_norm_w`` and ``max_norm_v`` go from 0.5 to 50. For ``sigma``,
        ``robust_eps``, ``robust_weight`` and ``weight_decay`` the first value is 0.
    cv : int, cross-validation splitter, iterable of splits or None, default=None
        As in scikit-learn's GridSearchCV; None means 5 folds, stratified for a classifier. Rows are not shuffled, so
        that neighbouring windows of one series stay in one fold. For forecasts use ``TimeSeriesSplit``.
    scoring : str, callable or None, default=None
        One score, as in GridSearchCV; None means R² or accuracy.
    n_jobs : int or None, default=None
        Number of worker processes. None means 1, and -1 means one per core. Scores depend on it by rounding and, with a
        penalty, by the small errors of the norms that are estimated during training.
    refit : bool, default=True
        Whether to train a model with the chosen value on all data, from the start, for predictions. The estimator's
        ``verbose`` counts for this training only.
    shared_fraction : float, default=0.6
        Fraction of the epochs that all models of a fold share, at least 0 and below 1. The shared epochs are trained
        with the value in the middle; then every model continues with its own value. With 0, every model is trained by
        itself from the start, as in GridSearchCV. It counts as 0 with ``early_stopping``, ``callbacks`` or
        ``lr_schedule="plateau"``, which need a whole training. It also counts as 0 for ``"sigma"`` and ``"robust_eps"``
        of regressors with ``skip="linear"``: each value then starts from its own ridge solution.
    strategy : {"auto", "stacked", "separate"}, default="auto"
        ``"stacked"`` trains many models as one program where possible. This needs one-layer LSTMs or ReLU networks and
        sequences of one length. It does not work with ``callbacks``, ``lr_schedule="plateau"``, ``robust_eps`` or
        ``variant="stable"``, nor for the ``param_name`` ``"clip_norm"`` and ``"max_norm_..."``. ``"separate"`` trains
        one model after the other. ``"auto"`` stacks up to the network size for which this was measured to be faster.

    Attributes
    ----------
    best_params_ : dict
        The parameter and its value with the best mean score; the smallest one if several are equal.
    best_score_ : float
        Mean score of this value over the folds.
    best_index_ : int
        Index of this value in ``param_range_``.
    best_estimator_ : estimator
        The model trained on all data, which makes the predictions of the path. To save the model, use its ``save``.
        Only with ``refit=True``.
    refit_time_ : float
        Seconds that training on all data took.
    param_range_ : ndarray of shape (m,)
        The values, ascending, each once.
    score_path_ : ndarray of shape (m, n_folds)
        Score of each value on each fold; NaN for models that could not be trained or scored.
    data_loss_path_ : ndarray of shape (m, n_folds)
        Training loss without penalty, in the last epoch.
    rho_h_path_, perturbation_gain_path_ : ndarray of shape (m, n_folds)
        ``rho_h_`` and ``perturbation_gain_`` of the models of the folds, for estimators that have them; with several
        layers the largest ``rho_h_``.
    cv_results_ : dict of str to ndarray
        The scores in the form of GridSearchCV. ``mean_fit_time`` does not include the shared epochs.
    n_splits_ : int
        Number of folds.
    scorer_ : callable
        The score that ``scoring`` names.
    classes_ : ndarray of shape (k,)
        Labels. Only for a classifier.
    n_features_in_ : int
        Number of columns of 2-D input, or of channels of 3-D input, in `fit`.
    feature_names_in_ : ndarray of str
        Names of the columns. Only if X was a DataFrame with string column names.

    See Also
    --------
    sklearn.model_selection.GridSearchCV : For any other parameter, or several at once.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import TikhonovLSTMRegressor
    >>> from sklstm.model_selection import RegularizationPathCV
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((200, 12, 2))
    >>> y = X[:, -3:, 0].mean(axis=1)
    >>> lstm = TikhonovLSTMRegressor(4, max_epochs=10, random_state=0)
    >>> path = RegularizationPathCV(lstm, "lambda_s", [0.001, 0.01, 0.1], cv=3).fit(X, y)
    >>> path.score_path_.shape, path.best_params_
    ((3, 3), {'lambda_s': 0.001})

    Predictions and certificates are those of the model with this value that was trained on all data:

    >>> lower, upper = path.certify(X, eps=0.01)
    >>> bool(((lower < path.predict(X)) & (path.predict(X) < upper)).all())
    True
    >>> path.score(X, y) == path.best_estimator_.score(X, y)
    True

    The input noise of a classifier, with ten values that are chosen for the data:

    >>> from sklstm import NoisyRNNClassifier
    >>> labels = np.where(X[:, :, 0].sum(axis=1) > 0, "up", "down")
    >>> relu = NoisyRNNClassifier(8, max_epochs=20, random_state=0)
    >>> path = RegularizationPathCV(relu, "sigma", cv=3).fit(X, labels)
    >>> path.param_range_[:3], bool(path.score(X, labels) > 0.9)
    (array([0.   , 0.01 , 0.018]), True)
    >>> path.predict_proba(X).shape, path.decision_function(X).shape, path.certified_radius(X).shape
    ((200, 2), (200,), (200,))
    >>> bool(np.allclose(np.exp(path.predict_log_proba(X)), path.predict_proba(X)))
    True
    >>> path.certified_accuracy(X, labels, eps=0.01) <= path.score(X, labels)
    True
    """

    best_estimator_: Any
    best_index_: int
    best_params_: dict[str, float]
    best_score_: float
    cv_results_: dict[str, Any]
    n_splits_: int
    param_range_: NDArray[np.float64]
    score_path_: NDArray[np.float64]
    data_loss_path_: NDArray[np.float64]
    scorer_: Any

    _doc_link_module, _doc_link_template = "sklstm", API_PAGE
    __metadata_request__fit: ClassVar[dict] = {"groups": True}  # as of scikit-learn's searches, through their splitters

    def __init__(
        self,
        estimator: Any,
        param_name: str,
        param_range: int | Sequence[float] | NDArray[np.float64] = 10,
        *,
        cv: Any = None,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: bool = True,
        shared_fraction: float = 0.6,
        strategy: Literal["auto", "stacked", "separate"] = "auto",
    ) -> None:
        self.estimator = estimator
        self.param_name = param_name
        self.param_range = param_range
        self.cv = cv
        self.scoring = scoring
        self.n_jobs = n_jobs
        self.refit = refit
        self.shared_fraction = shared_fraction
        self.strategy = strategy

    @restores_settings
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        groups: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Train the models of the path on every fold, choose a value, and train with it on all data.

        Parameters
        ----------
        X : array-like of shape (n, L, d) or (n, L * d), DataFrame, or list of n arrays (L_i, d)
            Sequences, as for the estimator.
        y : array-like of shape (n,) or (n, k)
            Targets.
        sample_weight : array-like of shape (n,), optional
            Weights of the sequences in training, and in the scores if ``scoring`` takes weights.
        groups : array-like of shape (n,), optional
            Groups for splitters that need them, such as ``GroupKFold``.
        X_val, y_val, sample_weight_val : array-like, optional
            Validation data for early stopping, as in ``fit`` of the estimator: the same for all folds. They must not be
            part of X, since the scores of the folds would then be of data that training has seen.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For bad parameters or data, before any training. ``ValueError`` also if no model of the path could be
            trained and scored, or no value has a score in every fold.

        Warns
        -----
        FitFailedWarning
            If some models could not be trained or scored. The warning names the folds, and the first such model. The
            scores of these models are NaN, and so are means over folds with a NaN, as in GridSearchCV. A value with
            such a mean is not chosen. If a fold has no score at all, the other folds choose.
        """
        self._check_parameters()
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None.")
        model = unfitted_copy(self)
        validation = {"X_val": X_val, "y_val": y_val, "sample_weight_val": sample_weight_val}
        model._fit(X, y, sample_weight, groups, validation)
        take_over(self, model)  # everything or nothing, and in one step
        return self

    def _check_parameters(self) -> None:
        if not isinstance(self.estimator, SequenceEstimator):
            raise TypeError(
                f"estimator must be one of sklstm's estimators, got {self.estimator!r:.80}. If it is a pipeline, put "
                "its other steps around the path: make_pipeline(SequenceScaler(), RegularizationPathCV(...)). For "
                "other estimators use GridSearchCV."
            )
        if method_owner(self.estimator, "fit") != "sklstm":
            raise TypeError(
                f"{type(self.estimator).__name__} has a fit of its own, which a path would not call. Use GridSearchCV."
            )
        possible = [name for name in self.estimator.get_params(deep=False) if name in PATH_PARAMETERS]
        if self.param_name not in possible:
            raise ValueError(
                f"param_name must be one of {', '.join(map(repr, possible))} for {type(self.estimator).__name__}; got "
                f"{self.param_name!r}. For another parameter use GridSearchCV."
            )
        robust_eps = np.asarray(getattr(self.estimator, "robust_eps", 0.0))
        if self.param_name in ("robust_weight", "robust_box") and not robust_eps.any():
            raise ValueError(f"{self.param_name} has no effect with robust_eps=0. Set robust_eps of the estimator.")
        if self.param_name == "robust_eps" and robust_eps.ndim:
            raise ValueError(
                "a path over robust_eps tries one number for all channels, but the estimator has "
                f"robust_eps={self.estimator.robust_eps!r:.80}, one for each. Use GridSearchCV over a list of such "
                "arrays."
            )
        given = self.param_range
        if isinstance(given, Integral) and not isinstance(given, bool | np.bool_):
            Number(Integral, 2).check("param_range", given)
        elif isinstance(given, str) or not isinstance(given, Collection) or len(given) == 0:
            raise TypeError(f"param_range must be an integer of at least 2, or a sequence of numbers; got {given!r}.")
        else:
            for value in given:
                PATH_PARAMETERS[self.param_name].rule.check("every entry of param_range", value)
        _OPTIONAL_INT.check("n_jobs", self.n_jobs)
        if self.n_jobs == 0:
            raise ValueError("n_jobs must not be 0: None is one worker, -1 one for every core.")
        FLAG.check("refit", self.refit)
        _SHARE.check("shared_fraction", self.shared_fraction)
        _STRATEGY.check("strategy", self.strategy)
        if not (self.scoring is None or isinstance(self.scoring, str) or callable(self.scoring)):
            raise ValueError(f"scoring must be one score, a string or a callable; got {self.scoring!r}.")

    def _fit(self, X: Any, y: Any, sample_weight: Any, groups: Any, validation: dict[str, Any]) -> None:
        refuse_mixed_rows(X, y, sample_weight, groups)
        base = clone(self.estimator)
        # Also checks the parameters, with the estimator's own messages.
        data = checked(base, X, y, sample_weight, validation)
        warn_about_data(base, X, data)
        for name in ("n_features_in_", "feature_names_in_", "classes_"):
            if name in vars(base):
                setattr(self, name, vars(base)[name])
        if isinstance(sample_weight, Real):
            sample_weight = np.full(len(data.X), float(sample_weight))
        X, y, sample_weight, groups = _rows_of(X, y, sample_weight, groups)
        seed = base.random_state
        # All models start from the same weights and see the same batches, also with random_state=None.
        if seed is None:
            seed = int(np.random.SeedSequence().generate_state(1)[0])
        values = self._values(data.X)
        splitter = check_cv(self.cv, np.asarray(y), classifier=is_classifier(base))
        splits = [Split(number, *map(np.asarray, rows)) for number, rows in enumerate(splitter.split(X, y, groups))]
        if not splits:
            raise ValueError(f"cv gives no splits: {self.cv!r}. Use another splitter, or a number of folds.")
        self.scorer_ = check_scoring(base, self.scoring)
        template = _with(base, random_state=seed, verbose=0, warm_start=False)
        outcomes = self._run(template, values, X, y, sample_weight, splits, validation, data.X.shape)
        self._record(values, len(splits), outcomes)
        if self.refit:
            started = time.perf_counter()
            weights = {} if sample_weight is None else {"sample_weight": sample_weight}
            best = _with(clone(self.estimator), **self.best_params_, warm_start=False)
            self.best_estimator_ = best.fit(X, y, **weights, **validation)
            self.refit_time_ = time.perf_counter() - started

    def _values(self, X: Any) -> NDArray[np.float64]:
        given: Any = self.param_range
        if isinstance(given, Integral):
            return path_values(self.param_name, int(given), X, labels=is_classifier(self.estimator))
        return np.unique(np.array(list(given), dtype=np.float64))

    def _run(
        self,
        template: Any,
        values: np.ndarray,
        X: Any,
        y: Any,
        sample_weight: Any,
        splits: list[Split],
        validation: dict[str, Any],
        shape: tuple[int, ...],
    ) -> list[Outcome]:
        """Train and score every value on every fold, in one worker or several."""
        # Early stopping, callbacks and a schedule that depends on losses must see a whole training.
        whole = template.early_stopping or template.callbacks or template.lr_schedule == "plateau"
        whole = whole or template._starts_by(self.param_name)
        _, max_epochs = template._sizes(shape[0])
        models = [(split, index) for split in splits for index in range(len(values))]
        n_workers = max(1, min(effective_n_jobs(self.n_jobs), len(models)))
        settings = PathSettings(
            parameter=self.param_name,
            values=tuple(values.tolist()),
            shared_epochs=0 if whole or len(values) == 1 else int(self.shared_fraction * max_epochs),
            strategy=self.strategy,
            scorer=self.scorer_,
            weighted_score=takes_sample_weight(self.scorer_),
            validation=validation,
            n_steps=shape[1],
            n_features=shape[2],
            n_threads=max(1, min(torch.get_num_threads(), cpu_count() // n_workers)),
        )
        parts = [part.tolist() for part in np.array_split(np.arange(len(models)), n_workers)]
        cancellation = Cancellation()
        if n_workers > 1:
            template.set_params(callbacks=[*(template.callbacks or []), ("_cancellation", cancellation)])
        try:
            results = Parallel(n_jobs=n_workers)(
                delayed(run_models)(template, settings, X, y, sample_weight, [models[place] for place in part])
                for part in parts
            )
        except BaseException:
            cancellation.cancel()
            raise
        return [outcome for part in results for outcome in part]

    def _record(self, values: np.ndarray, n_splits: int, outcomes: list[Outcome]) -> None:
        """Set the fitted attributes, and choose a value."""

        def path(read: Any) -> NDArray[np.float64]:
            found = np.full((len(values), n_splits), np.nan)
            for outcome in outcomes:
                found[outcome.index, outcome.fold] = read(outcome)
            return found

        failed = [outcome for outcome in outcomes if outcome.error is not None]
        if len(failed) == len(outcomes):
            raise ValueError(
                f"None of the {len(outcomes)} models of the path could be trained and scored. In fold "
                f"{failed[0].fold}: {failed[0].error}"
            )
        if failed:
            first = failed[0]
            warnings.warn(
                f"{len(failed)} of {len(outcomes)} models of the path could not be trained or scored, in fold "
                f"{', '.join(map(str, sorted({outcome.fold for outcome in failed})))}. Their scores are NaN. The "
                f"first, {self.param_name}={values[first.index]:.6g} in fold {first.fold}: {first.error}",
                FitFailedWarning,
                stacklevel=caller_level(),
            )
        self.n_splits_, self.param_range_ = n_splits, values
        self.score_path_ = path(lambda outcome: outcome.score)
        self.data_loss_path_ = path(lambda outcome: outcome.data_loss)
        for name in dict.fromkeys(name for outcome in outcomes for name in outcome.attributes):
            setattr(self, f"{name}path_", path(lambda outcome, name=name: outcome.attributes.get(name, np.nan)))
        means = self.score_path_.mean(axis=1)
        # A fold without any score makes all of them NaN. The others choose; scikit-learn would take the first value.
        deciding = self.score_path_[:, ~np.isnan(self.score_path_).all(axis=0)].mean(axis=1)
        if np.isnan(deciding).all():
            raise ValueError("No value of the path has a score in every fold: see the warnings, or use other values.")
        self.best_index_ = int(np.nanargmax(deciding))
        self.best_score_ = float(deciding[self.best_index_])
        self.best_params_ = {self.param_name: float(values[self.best_index_])}
        self.cv_results_ = {
            f"param_{self.param_name}": np.ma.array(values, mask=False),
            "params": [{self.param_name: value} for value in values.tolist()],
            **{f"split{fold}_test_score": self.score_path_[:, fold] for fold in range(n_splits)},
            "mean_test_score": means,
            "std_test_score": self.score_path_.std(axis=1),
            "rank_test_score": rankdata(-np.where(np.isnan(means), -np.inf, means), method="min").astype(np.int32),
            "mean_fit_time": path(lambda outcome: outcome.seconds).mean(axis=1),
        }

    @property
    def _fitted(self) -> Any:
        """The model trained on all data."""
        check_is_fitted(self, "score_path_")
        if not hasattr(self, "best_estimator_"):
            raise NotFittedError(
                f"This {type(self).__name__} was fitted with refit=False and holds no model of its own. Fit the "
                f"estimator with {self.param_name}={self.best_params_[self.param_name]:.6g}, or use refit=True."
            )
        return self.best_estimator_

    def predict(self, X: Any) -> NDArray[Any]:
        """Predictions of the model that was trained on all data.

        Parameters
        ----------
        X : array-like of shape (n, L, d) or (n, L * d), DataFrame, or list of n arrays (L_i, d)
            As in `fit`.

        Returns
        -------
        ndarray of shape (n,) or (n, k)
        """
        return self._fitted.predict(X)

    @_has("predict_proba")
    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Class probabilities of the model that was trained on all data; for classifiers only.

        Parameters
        ----------
        X : array-like of shape (n, L, d) or (n, L * d), DataFrame, or list of n arrays (L_i, d)
            As in `fit`.

        Returns
        -------
        ndarray of shape (n, k), float64
            Columns in the order of ``classes_``.
        """
        return self._fitted.predict_proba(X)

    @_has("predict_log_proba")
    def predict_log_proba(self, X: Any) -> NDArray[np.float64]:
        """Logarithms of the class probabilities; for classifiers only.

        Parameters
        ----------
        X : array-like of shape (n, L, d) or (n, L * d), DataFrame, or list of n arrays (L_i, d)
            As in `fit`.

        Returns
        -------
        ndarray of shape (n, k), float64
            Columns in the order of ``classes_``.
        """
        return self._fitted.predict_log_proba(X)

    @_has("decision_function")
    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Network outputs of the model that was trained on all data; for classifiers only.

        Parameters
        ----------
        X : array-like of shape (n, L, d) or (n, L * d), DataFrame, or list of n arrays (L_i, d)
            As in `fit`.

        Returns
        -------
        ndarray of shape (n, k), or (n,) for two classes, float64
            As in the estimator.
        """
        return self._fitted.decision_function(X)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Score of the model that was trained on all data.

        Parameters
        ----------
        X : array-like of shape (n, L, d) or (n, L * d), DataFrame, or list of n arrays (L_i, d)
            As in `fit`.
        y : array-like of shape (n,) or (n, k)
            True targets.
        sample_weight : array-like of shape (n,), optional
            Weights of the sequences in the score.

        Returns
        -------
        float
            The score that ``scoring`` names: by default R² or accuracy.
        """
        refuse_mixed_rows(X, y, sample_weight)
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        if self.scoring is None:
            return self._fitted.score(X, y, **weights)
        return float(self.scorer_(self._fitted, X, y, **weights))

    def certify(
        self,
        X: Any,
        eps: Any,
        *,
        method: Literal["best", "linear", "mean-value", "intervals"] = "best",
        batch_size: int | None = None,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Certified bounds on the outputs of the model that was trained on all data; see `sklstm.certify`.

        Parameters
        ----------
        X : array-like of shape (n, L, d) or (n, L * d), DataFrame, or list of n arrays (L_i, d)
            As in `fit`.
        eps : float, array-like, Series, DataFrame or dict
            Largest absolute input error in each entry, in the units of X.
        method : {"best", "linear", "mean-value", "intervals"}, default="best"
            As in `sklstm.certify`.
        batch_size : int or None, default=None
            Number of sequences computed at once; None chooses by memory.

        Returns
        -------
        lower : ndarray, float64
            Lower bounds, in the shape of the outputs.
        upper : ndarray, float64
            Upper bounds, in the same shape.
        """
        return certify(self._fitted, X, eps, method=method, batch_size=batch_size)

    @_has("certified_radius")
    def certified_radius(
        self,
        X: Any,
        *,
        scale: Any = 1.0,
        method: Literal["best", "linear", "mean-value", "intervals", "auto"] = "best",
        rtol: float = 0.01,
    ) -> NDArray[np.float64]:
        """Certified radii of labels; for classifiers only, see `sklstm.certified_radius`.

        Parameters
        ----------
        X : array-like of shape (n, L, d) or (n, L * d)
            As in `certify`.
        scale : float, array-like, Series, DataFrame or dict, default=1.0
            Unit of the radii, in the units of X.
        method : {"best", "linear", "mean-value", "intervals", "auto"}, default="best"
            As in `sklstm.certified_radius`.
        rtol : float, default=0.01
            The result is within a factor of ``1 + rtol`` of the largest radius that can be certified.

        Returns
        -------
        ndarray of shape (n,), float64
            Certified radii in units of ``scale``.
        """
        return certified_radius(self._fitted, X, scale=scale, method=method, rtol=rtol)

    @_has("certified_accuracy")
    def certified_accuracy(
        self,
        X: Any,
        y: Any,
        eps: Any,
        *,
        method: Literal["best", "linear", "mean-value", "intervals", "auto"] = "best",
    ) -> float:
        """Certified accuracy for input errors of up to ``eps``; for classifiers, see `sklstm.certified_accuracy`.

        Parameters
        ----------
        X : array-like of shape (n, L, d) or (n, L * d)
            As in `certify`.
        y : array-like of shape (n,)
            True labels.
        eps : float, array-like, Series, DataFrame or dict
            As in `certify`.
        method : {"best", "linear", "mean-value", "intervals", "auto"}, default="best"
            As in `sklstm.certified_accuracy`.

        Returns
        -------
        float
        """
        return certified_accuracy(self._fitted, X, y, eps, method=method)

    @property
    def generalization_bound_(self) -> float:
        """Generalisation bound of the model that was trained on all data."""
        return self._fitted.generalization_bound_

    def generalization_report(self, X: Any, y: Any) -> GeneralizationReport:
        """Every bound of the model that was trained on all data; see `sklstm.generalization_report`.

        The bounds do not cover the choice of the parameter.

        Parameters
        ----------
        X : array-like of shape (n, L, d) or (n, L * d), DataFrame, or list of n arrays (L_i, d)
            The data of `fit`.
        y : array-like of shape (n,) or (n, k)
            The data of `fit`.

        Returns
        -------
        GeneralizationReport

        Examples
        --------
        >>> import numpy as np
        >>> from sklstm import TikhonovLSTMRegressor
        >>> from sklstm.model_selection import RegularizationPathCV
        >>> X = np.random.default_rng(0).standard_normal((60, 5, 1))
        >>> y = X[:, -1, 0]
        >>> lstm = TikhonovLSTMRegressor(4, max_epochs=3, random_state=0)
        >>> path = RegularizationPathCV(lstm, "lambda_s", [0.01, 0.1], cv=2).fit(X, y)
        >>> path.generalization_report(X, y)["occam"].value == path.generalization_bound_
        True
        """
        return generalization_report(self._fitted, X, y)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        own = get_tags(self.estimator)
        tags.estimator_type, tags.classifier_tags = own.estimator_type, own.classifier_tags
        tags.regressor_tags, tags.target_tags, tags.input_tags = own.regressor_tags, own.target_tags, own.input_tags
        return tags


def _with(estimator: Any, **parameters: Any) -> Any:
    """Set the parameters that the estimator has: a subclass may have fewer."""
    known = estimator.get_params(deep=False)
    return estimator.set_params(**{name: value for name, value in parameters.items() if name in known})


def _rows_of(X: Any, y: Any, sample_weight: Any, groups: Any) -> Sequence[Any]:
    """The data in forms from which scikit-learn can select rows."""
    weight = None if sample_weight is None else np.asarray(as_plain(sample_weight, "sample_weight"))
    sequences = None if hasattr(X, "columns") else sequences_in(X)
    return indexable(as_plain(X) if sequences is None else sequences, as_plain(y, "y"), weight, groups)
