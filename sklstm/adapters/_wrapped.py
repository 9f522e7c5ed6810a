"""What the adapters of all toolkits share: the estimator inside."""

from typing import Any

from sklearn.base import BaseEstimator, clone, is_classifier, is_regressor

from sklstm.estimators._composition import layout_of


def classifier_from(estimator: Any, X: Any, y: Any) -> Any:
    """A fitted clone of a classifier; ``TypeError`` for anything else."""
    if not (isinstance(estimator, BaseEstimator) and is_classifier(estimator)):
        raise _not_a("classifier", estimator, "TikhonovGRUClassifier()")
    return _fitted(estimator, X, y)


def regressor_from(estimator: Any, X: Any, y: Any) -> Any:
    """A fitted clone of a regressor; ``TypeError`` for anything else."""
    if not (isinstance(estimator, BaseEstimator) and is_regressor(estimator)):
        raise _not_a("regressor", estimator, "TikhonovGRURegressor()")
    return _fitted(estimator, X, y)


def _fitted(estimator: Any, X: Any, y: Any) -> Any:
    if layout_of(estimator).name == "nct":
        raise ValueError(
            "estimator has layout='nct', but adapters pass X with axes (n, time, channels). Use layout='ntc'."
        )
    return clone(estimator).fit(X, y)


def _not_a(kind: str, estimator: Any, example: str) -> TypeError:
    return TypeError(
        f"estimator must be a {kind} of sklstm such as {example}, alone or in a pipeline or a search of scikit-learn; "
        f"got {estimator!r:.80}."
    )
