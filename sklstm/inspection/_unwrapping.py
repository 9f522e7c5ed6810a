"""Looks inside compositions: pipelines, TransformedTargetRegressor and searches around an estimator.

Only known classes are unwrapped. An object that merely has an attribute such as ``best_estimator_`` is an estimator
like any other.
"""

from copy import copy
from functools import partial
from numbers import Real
from typing import Any

import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.validation import check_is_fitted

from sklstm._validation import Number
from sklstm.estimators._base import SequenceEstimator
from sklstm.estimators._composition import innermost
from sklstm.estimators._tikhonov import penalty_weights

from ._model_errors import training_noise


def network_estimator(estimator: Any, caller: str) -> Any:
    """The fitted estimator of this package that `estimator` is or contains.

    Raises
    ------
    TypeError
        If there is none.
    NotFittedError
        Before `fit`.
    """
    final = innermost(estimator)
    if not isinstance(final, SequenceEstimator):
        raise TypeError(
            f"{caller} needs an estimator of sklstm, alone or in a Pipeline, a TransformedTargetRegressor or a search; "
            f"got {type(final).__name__}."
        )
    check_is_fitted(final)
    return final


def parameter_of(estimator: Any, name: str) -> float:
    """Value of a parameter, by its name in the composition or in the estimator inside.

    Raises
    ------
    TypeError
        If there is no such parameter, or it is not a number.
    ValueError
        If it is not finite.
    """
    final = innermost(estimator)
    parameters = {**estimator.get_params(), **final.get_params()}
    if name not in parameters:
        raise TypeError(f"{type(final).__name__} has no parameter {name!r}.")
    value = parameters[name]
    if name.split("__")[-1] == "lambda_s" and isinstance(value, str):
        value, *_ = penalty_weights(final)  # the number that "auto" means
    Number(Real).check(name, value)
    return float(value)


def network_inside(estimator: Any, caller: str) -> tuple[str, Any]:
    """The estimator inside, and the prefix of its parameters, such as ``"tikhonovlstmregressor__"`` in a pipeline.

    Parameters
    ----------
    estimator : estimator
        A fitted or unfitted estimator. `with_noise` takes the same compositions.
    caller : str
        Name of the caller, for the message.

    Raises
    ------
    TypeError
        If it is or contains anything else.
    """
    prefix, inside = "", estimator
    while not isinstance(inside, SequenceEstimator):
        if isinstance(inside, Pipeline):
            name, inside = inside.steps[-1]
        elif isinstance(inside, TransformedTargetRegressor):
            name, inside = "regressor", inside.regressor
        else:
            raise TypeError(
                f"{caller} needs an estimator of sklstm, alone, at the end of a Pipeline or in a "
                f"TransformedTargetRegressor; got {inside!r:.80}."
            )
        prefix += f"{name}__"
    return prefix, inside


def with_noise(estimator: Any, rng: np.random.Generator) -> Any:
    """The same fitted composition, with a new step that adds the noise of training directly before the network.

    Parameters
    ----------
    estimator : estimator
        A fitted estimator of this package, alone, at the end of a Pipeline or in a TransformedTargetRegressor. It is
        not changed.
    rng : numpy Generator
        Source of the noise. Each prediction draws new noise.

    Returns
    -------
    estimator
        A fitted estimator. It shares its parts with `estimator`.
    """
    if isinstance(estimator, FrozenEstimator):
        return with_noise(estimator.estimator, rng)
    if isinstance(estimator, Pipeline):
        *before, (name, last) = estimator.steps
        return Pipeline([*before, (name, with_noise(last, rng))])
    if isinstance(estimator, TransformedTargetRegressor):
        outer = copy(estimator)
        outer.regressor_ = with_noise(estimator.regressor_, rng)
        return outer
    add = partial(training_noise, estimator=estimator, rng=rng)
    return Pipeline([("noise", FunctionTransformer(add)), ("network", estimator)])
