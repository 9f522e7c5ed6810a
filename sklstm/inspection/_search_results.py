"""What fitted searches have recorded."""

from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier

__all__ = ["folds", "metric_of", "one_parameter", "score_name"]


def one_parameter(results: Mapping[str, Any]) -> tuple[str, NDArray[np.float64]]:
    """Name and values (m,) of the only parameter; ``ValueError`` for several, or for values that are no path."""
    names = [name.removeprefix("param_") for name in results if name.startswith("param_")]
    if len(names) != 1:
        raise ValueError(f"the search must be over one parameter, got {', '.join(names) or 'none'}.")
    column = results[f"param_{names[0]}"]
    if np.ma.getmaskarray(column).any() or not all(isinstance(value, Real) for value in column.tolist()):
        raise ValueError(f"the values of {names[0]} must be numbers, got {column.tolist()}.")
    values = np.array(column.tolist(), dtype=np.float64)
    if len(np.unique(values)) < len(values):
        raise ValueError(f"the search holds several results for one value of {names[0]}: {values.tolist()}.")
    return names[0], values


def folds(results: Mapping[str, Any], which: str, metric: str) -> NDArray[np.float64] | None:
    """Scores (m, n_folds) on the ``"test"`` or the ``"train"`` parts, None if they were not kept."""
    found: list[NDArray[np.float64]] = []
    while (name := f"split{len(found)}_{which}_{metric}") in results:
        found.append(np.asarray(results[name], dtype=np.float64))
    return np.stack(found, axis=1) if found else None


def metric_of(search: Any) -> str:
    """By which name ``cv_results_`` has the scores that the search chose by."""
    if "split0_test_score" in search.cv_results_:
        return "score"
    if not isinstance(search.refit, str):
        raise ValueError("a search with several scores must name one of them in refit.")
    return search.refit


def score_name(search: Any) -> str:
    """The score of a search with one, in words."""
    scoring = search.scoring
    if scoring is None:
        return "accuracy" if is_classifier(search) else "R²"
    return scoring.replace("_", " ") if isinstance(scoring, str) else "score"
