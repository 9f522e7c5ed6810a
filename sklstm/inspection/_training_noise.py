"""Fitted compositions whose network gets the noise that it was trained with."""

from copy import copy
from typing import Any

import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from sklstm._tables import sequences_in
from sklstm.noise import NOISES

__all__ = ["with_noise"]


def with_noise(estimator: Any, rng: np.random.Generator) -> Any:
    """The same fitted parts, with a step before the network that adds what training added: behind scalers, that is.

    Parameters
    ----------
    estimator : estimator
        Fitted: one of this package, or a pipeline or TransformedTargetRegressor around it. It stays as it is.
    rng : numpy Generator
        Source of the noise, drawn anew for each prediction.

    Returns
    -------
    estimator
        Fitted. It shares the parts of `estimator`.
    """
    if isinstance(estimator, Pipeline):
        *before, (name, last) = estimator.steps
        return Pipeline([*before, (name, with_noise(last, rng))])
    if isinstance(estimator, TransformedTargetRegressor):
        outer = copy(estimator)
        outer.regressor_ = with_noise(estimator.regressor_, rng)
        return outer
    noise = NOISES[getattr(estimator, "noise", "gaussian")]

    def add(X: Any) -> Any:
        entries = None if hasattr(X, "columns") else sequences_in(X)
        if entries is not None:
            return [add(entry) for entry in entries]
        values = np.asarray(X, dtype=np.float64)
        noisy = values + noise.draw_array(values, estimator.sigma, rng)
        return type(X)(noisy, index=X.index, columns=X.columns) if hasattr(X, "iloc") else noisy

    return Pipeline([("noise", FunctionTransformer(add)), ("network", estimator)])
