"""From what a user has fitted to the network estimator inside it."""

from typing import Any

from sklearn.base import is_classifier, is_regressor
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from sklstm.estimators._base import SequenceEstimator
from sklstm.estimators._regressors import SequenceRegressor

__all__ = ["check_predictor", "final_estimator", "is_search", "name_of", "network_estimator", "tikhonov_regressor"]


def is_search(estimator: Any) -> bool:
    """Whether the estimator chooses among others and keeps the chosen one as ``best_estimator_``."""
    return hasattr(estimator, "refit") and hasattr(estimator, "cv") and hasattr(estimator, "fit")


def final_estimator(estimator: Any) -> Any:
    """The innermost fitted estimator of pipelines, ``TransformedTargetRegressor`` and searches, in any nesting.

    Raises
    ------
    TypeError
        For a class, or what is no estimator.
    NotFittedError
        If one of the outer ones is not fitted, or a search was fitted with ``refit=False``.
    """
    if isinstance(estimator, type):
        raise TypeError(f"expected a fitted estimator, got the class {estimator.__name__}.")
    if not hasattr(estimator, "fit"):
        raise TypeError(f"expected a fitted estimator, got {estimator!r:.80}.")
    if isinstance(estimator, Pipeline):
        check_is_fitted(estimator)
        return final_estimator(estimator.steps[-1][1])
    if isinstance(estimator, TransformedTargetRegressor):
        check_is_fitted(estimator, "regressor_")
        return final_estimator(estimator.regressor_)
    if is_search(estimator):
        if hasattr(estimator, "estimator_"):  # of TunedThresholdClassifierCV, which chooses no model
            return final_estimator(estimator.estimator_)
        if not hasattr(estimator, "best_estimator_"):
            reason = "was fitted with refit=False and holds no model" if _has_scores(estimator) else "is not fitted yet"
            raise NotFittedError(f"This {type(estimator).__name__} {reason}.")
        return final_estimator(estimator.best_estimator_)
    return estimator


def _has_scores(search: Any) -> bool:
    return hasattr(search, "cv_results_") or hasattr(search, "score_path_")


def network_estimator(estimator: Any, caller: str) -> Any:
    """The fitted estimator of this package that `estimator` is or holds.

    Raises
    ------
    TypeError
        If it is or holds another one.
    NotFittedError
        Before `fit`.
    """
    final = final_estimator(estimator)
    if not isinstance(final, SequenceEstimator):
        raise TypeError(f"{caller} needs an estimator of sklstm, alone or inside others; got {type(final).__name__}.")
    check_is_fitted(final)
    return final


def tikhonov_regressor(estimator: Any, caller: str) -> SequenceRegressor:
    """As `network_estimator`, of the estimators that have gains.

    Raises
    ------
    TypeError
        If it is or holds another one.
    NotFittedError
        Before `fit`.
    """
    final = network_estimator(estimator, caller)
    if not isinstance(final, SequenceRegressor):
        raise TypeError(
            f"{caller} needs a TikhonovLSTMRegressor or TikhonovGRURegressor, alone or inside others; got "
            f"{type(final).__name__}."
        )
    return final


def check_predictor(estimator: Any, caller: str) -> None:
    """Any fitted classifier or regressor will do, of this package or not.

    Raises
    ------
    TypeError
        If it is neither.
    NotFittedError
        Before `fit`.
    """
    final = final_estimator(estimator)
    if not (is_classifier(estimator) or is_regressor(estimator)):
        raise TypeError(f"{caller} needs a classifier or a regressor, got {type(estimator).__name__}.")
    check_is_fitted(final)


def name_of(estimator: Any) -> str:
    """The class of the estimator inside."""
    return type(final_estimator(estimator)).__name__
