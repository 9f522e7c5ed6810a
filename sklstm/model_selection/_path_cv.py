"""What the estimators with built-in cross-validation share: folds, the path, the choice, the final fit."""

import time
import warnings
from numbers import Integral, Real
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from joblib import cpu_count, effective_n_jobs
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.base import BaseEstimator, is_classifier
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.metrics import check_scoring
from sklearn.model_selection import check_cv
from sklearn.utils import Tags, get_tags
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from sklstm._validation import FLAG, Choice, Number, caller_level, check_parameters
from sklstm.estimators._fit_tasks import put_back

from ._cancellation import Cancellation
from ._engine import Outcome, Plan, run_tasks
from ._inputs import Values, rows_of, takes_weights
from ._members import Split

__all__ = ["PathCV"]


class PathCV(BaseEstimator):
    """`fit` for a subclass with the constructor, the name of the parameter and the class of the models."""

    _estimator_class: ClassVar[Any]
    _parameter: ClassVar[str]
    _values_name: ClassVar[str]

    cv: Any
    scoring: Any
    n_jobs: int | None
    refit: bool
    shared_fraction: float
    strategy: str

    best_estimator_: Any
    best_index_: int
    best_score_: float
    cv_results_: dict[str, Any]
    n_splits_: int
    score_path_: NDArray[np.float64]
    data_loss_path_: NDArray[np.float64]
    scorer_: Any

    _rules: ClassVar[dict[str, Any]] = {
        "n_jobs": Number(Integral, optional=True),
        "refit": FLAG,
        "shared_fraction": Number(Real, 0, 1, "left"),
        "strategy": Choice(("auto", "stacked", "separate")),
    }

    def _grid(self, X: Any, number: int) -> NDArray[np.float64]:
        """The values to try, ascending, if only their number is given."""
        raise NotImplementedError

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
        """Train the models of the path on every fold, choose a value, and train with it on all data.

        Parameters
        ----------
        X : array-like of shape (n, L, d) or (n, L * d), DataFrame, or list of n arrays (L_i, d)
            Sequences, as of the estimator without cross-validation.
        y : array-like of shape (n,) or (n, k)
            Targets.
        sample_weight : array-like of shape (n,), optional
            Weights of the sequences in training, and in the scores if ``scoring`` takes weights, as in GridSearchCV.
        groups : array-like of shape (n,), optional
            For splitters that keep groups together.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For bad parameters or data, before any training; ``ValueError`` also if no model of the path could be
            trained.

        Warns
        -----
        FitFailedWarning
            If the training of some models diverged: their scores are NaN, and their values are not chosen.
        """
        check_parameters(self, self._rules | {self._values_name: Values()})
        if self.n_jobs == 0:
            raise ValueError("n_jobs must not be 0: None is one worker, -1 one for every core.")
        if not (self.scoring is None or isinstance(self.scoring, str) or callable(self.scoring)):
            raise ValueError(f"scoring must be one score, a string or a callable; got {self.scoring!r}.")
        base = self._base()
        check_parameters(base, base._rules)
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None.")
        before = dict(self.__dict__)
        for name in [name for name in before if name.endswith("_") and not name.startswith("_")]:
            delattr(self, name)
        try:
            return self._fit(base, X, y, sample_weight, groups)
        except BaseException:
            put_back(self, before)
            raise

    def _base(self, **chosen: Any) -> Any:
        """The estimator without cross-validation, with the parameters given here."""
        names = set(self._estimator_class().get_params()) & set(self.get_params(deep=False))
        return self._estimator_class(**{name: getattr(self, name) for name in names}, **chosen)

    def _fit(self, base: Any, X: Any, y: Any, sample_weight: Any, groups: Any) -> Self:
        sequences, *_ = base._check_fit(X, y, sample_weight)  # all data at once, in the words of the estimator
        for name in ("n_features_in_", "feature_names_in_", "classes_"):
            if hasattr(base, name):
                setattr(self, name, getattr(base, name))
        if isinstance(sample_weight, Real):
            sample_weight = np.full(len(sequences), float(sample_weight))
        X, y, sample_weight, groups = rows_of(X, y, sample_weight, groups)
        seed = base.random_state
        # One start for all: with None, too, values are compared from the same weights and batches.
        if seed is None:
            seed = int(np.random.SeedSequence().generate_state(1)[0])
        values = self._values(X)
        splitter = check_cv(self.cv, np.asarray(y), classifier=is_classifier(base))
        splits = [Split(number, *rows) for number, rows in enumerate(splitter.split(X, y, groups))]
        self.scorer_ = check_scoring(base, self.scoring)
        template = base.set_params(random_state=seed, compute_bound=False, verbose=0, warm_start=False)
        outcomes = self._run(template, values, X, y, sample_weight, splits, sequences.shape)
        self._record(values, len(splits), outcomes)
        if self.refit:
            started = time.perf_counter()
            best = self._base(**{self._parameter: float(values[self.best_index_])})
            weights = {} if sample_weight is None else {"sample_weight": sample_weight}
            self.best_estimator_ = best.fit(X, y, **weights)
            self.refit_time_ = time.perf_counter() - started
        return self

    def _values(self, X: Any) -> NDArray[np.float64]:
        given = getattr(self, self._values_name)
        if isinstance(given, Integral):
            return self._grid(X, int(given))
        return np.unique(np.asarray(given, dtype=np.float64))

    def _run(
        self,
        template: Any,
        values: np.ndarray,
        X: Any,
        y: Any,
        sample_weight: Any,
        splits: list[Split],
        shape: tuple[int, ...],
    ) -> list[Outcome]:
        # A schedule that looks at losses, early stopping and callbacks see the whole of a training or nothing of it.
        whole = template.early_stopping or template.callbacks or template.lr_schedule == "plateau"
        tasks = [(split, index) for split in splits for index in range(len(values))]
        n_workers = max(1, min(effective_n_jobs(self.n_jobs), len(tasks)))
        plan = Plan(
            parameter=self._parameter,
            values=tuple(values.tolist()),
            shared_epochs=0 if whole or len(values) == 1 else int(self.shared_fraction * template.max_epochs),
            strategy=self.strategy,
            scorer=self.scorer_,
            weighted_score=takes_weights(self.scorer_),
            n_steps=shape[1],
            n_features=shape[2],
            n_threads=max(1, min(torch.get_num_threads(), cpu_count() // n_workers)),
        )
        parts = [part.tolist() for part in np.array_split(np.arange(len(tasks)), n_workers)]
        cancellation = Cancellation()
        if n_workers > 1:
            template.set_params(callbacks=[*(template.callbacks or []), ("_cancellation", cancellation)])
        try:
            results = Parallel(n_jobs=n_workers)(
                delayed(run_tasks)(template, plan, X, y, sample_weight, [tasks[place] for place in part])
                for part in parts
            )
        except BaseException:
            cancellation.cancel()
            raise
        return [outcome for part in results for outcome in part]

    def _record(self, values: np.ndarray, n_splits: int, outcomes: list[Outcome]) -> None:
        def path(read: Any) -> NDArray[np.float64]:
            found = np.full((len(values), n_splits), np.nan)
            for outcome in outcomes:
                found[outcome.index, outcome.fold] = read(outcome)
            return found

        failed = [outcome for outcome in outcomes if outcome.error is not None]
        if len(failed) == len(outcomes):
            raise ValueError(f"None of the {len(outcomes)} models of the path could be trained: {failed[0].error}")
        if failed:
            first = failed[0]
            warnings.warn(
                f"The training of {len(failed)} of {len(outcomes)} models of the path diverged. Their scores are NaN. "
                f"The first, {self._parameter}={values[first.index]:.6g} in fold {first.fold}: {first.error}",
                FitFailedWarning,
                stacklevel=caller_level(),
            )
        self.n_splits_ = n_splits
        self.score_path_ = path(lambda outcome: outcome.score)
        self.data_loss_path_ = path(lambda outcome: outcome.data_loss)
        for name in dict.fromkeys(name for outcome in outcomes for name in outcome.attributes):
            setattr(self, f"{name}path_", path(lambda outcome, name=name: outcome.attributes.get(name, np.nan)))
        means = self.score_path_.mean(axis=1)
        if np.isnan(means).all():
            raise ValueError("No value of the path has a score in every fold: see the warnings, or use other values.")
        self.best_index_ = int(np.nanargmax(means))
        self.best_score_ = float(means[self.best_index_])
        setattr(self, f"{self._values_name}_", values)
        setattr(self, f"{self._parameter}_", float(values[self.best_index_]))
        self.cv_results_ = {
            f"param_{self._parameter}": np.ma.array(values, mask=False),
            "params": [{self._parameter: value} for value in values.tolist()],
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
                f"This {type(self).__name__} was fitted with refit=False and holds no model of its own. Fit one with "
                f"{self._parameter}={getattr(self, f'{self._parameter}_'):.6g}, or use refit=True."
            )
        return self.best_estimator_

    def predict(self, X: Any) -> NDArray[Any]:
        """Predict with the model that was trained on all data.

        Parameters
        ----------
        X : array-like of shape (n, L, d) or (n, L * d), DataFrame, or list of n arrays (L_i, d)
            As in `fit`.

        Returns
        -------
        ndarray of shape (n,) or (n, k)
        """
        return self._fitted.predict(X)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Score of the model that was trained on all data, by ``scoring``.

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
            By default R² or accuracy.
        """
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
        """Certified bounds on the outputs of the model that was trained on all data.

        Parameters
        ----------
        X : array-like of shape (n, L, d) or (n, L * d), DataFrame, or list of n arrays (L_i, d)
            As in `fit`.
        eps : float or array-like
            Size of the perturbation in each entry, in the units of X.
        method : {"best", "linear", "mean-value", "intervals"}, default="best"
            As of the ``certify`` of that model.
        batch_size : int or None, default=None
            Sequences at a time; None chooses by memory.

        Returns
        -------
        lower : ndarray, float64
            In the shape of the outputs.
        upper : ndarray, float64
            In the same shape.
        """
        return self._fitted.certify(X, eps, method=method, batch_size=batch_size)

    @property
    def generalization_bound_(self) -> float:
        """Generalisation bound of the model that was trained on all data."""
        return self._fitted.generalization_bound_

    @property
    def generalization_report_(self) -> Any:
        """How that number comes about."""
        return self._fitted.generalization_report_

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        own = get_tags(self._estimator_class())
        tags.estimator_type, tags.classifier_tags = own.estimator_type, own.classifier_tags
        tags.regressor_tags, tags.target_tags, tags.input_tags = own.regressor_tags, own.target_tags, own.input_tags
        return tags
