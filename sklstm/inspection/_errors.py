"""Errors of fitted estimators: on clean inputs, on noisy ones, and the largest that a certificate allows."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.metrics import mean_squared_error, zero_one_loss
from sklearn.utils import check_consistent_length

from sklstm._tables import as_plain, n_axes, sequences_in
from sklstm._validation import fresh_random_state
from sklstm.estimators import certified_accuracy, certify

__all__ = ["certified_error", "default_error", "noise_seeds", "noisy_errors", "perturbed", "targets"]

Error = Callable[[Any, Any], float]


def default_error(estimator: Any) -> tuple[str, Error]:
    """Name and function (y_true, y_pred) of the error: that of classifiers is a rate."""
    if is_classifier(estimator):
        return "error rate", lambda y, predicted: float(zero_one_loss(y, predicted))
    return "mean squared error", lambda y, predicted: float(mean_squared_error(y, predicted))


def targets(X: Any, y: Any, caller: str) -> Any:
    """y in a form that scikit-learn's metrics take.

    Raises
    ------
    ValueError
        If there is none, or X has another number of sequences. Of a table, which may have many rows for a sequence,
        only the step that reads it knows their number.
    """
    if y is None:
        raise ValueError(f"{caller} measures errors and requires y, the true targets; got None.")
    y = as_plain(y, "y")
    if not hasattr(X, "columns"):
        check_consistent_length(X, y)
    return y


def perturbed(X: Any, sigma: float, scale: Any, rng: np.random.Generator) -> Any:
    """X plus independent Gaussian noise of standard deviation ``sigma * scale``, in the form that X has.

    Parameters
    ----------
    X : array-like, DataFrame, or list of these
        Stays as it is.
    sigma : float
        0 gives X back.
    scale : float or array-like
        Broadcast to X; for a list to each of its sequences.
    rng : numpy Generator
        Source of the noise.

    Raises
    ------
    TypeError
        If X holds anything but numbers.
    ValueError
        If `scale` does not broadcast to X.
    """
    if sigma == 0:
        return X
    sequences = None if hasattr(X, "columns") else sequences_in(X)
    # A nested list of numbers is an array that nobody has made yet.
    if sequences is not None and not (n_axes(sequences[0]) > 1 and isinstance(sequences[0], list | tuple)):
        return [perturbed(entry, sigma, scale, rng) for entry in sequences]
    values = np.asarray(as_plain(X))
    if values.dtype.kind == "O" and hasattr(X, "columns"):  # pandas' nullable numbers
        values = _as_numbers(X)
    if values.dtype.kind not in "biuf":
        raise TypeError(f"noise can be added to numbers only; X holds {values.dtype}.")
    try:
        deviations = np.broadcast_to(sigma * np.asarray(scale, dtype=np.float64), values.shape)
    except ValueError as error:
        raise ValueError(f"scale has shape {np.shape(scale)}, which does not broadcast to {values.shape}.") from error
    noisy = values + deviations * rng.standard_normal(values.shape)
    return type(X)(noisy, index=X.index, columns=X.columns) if hasattr(X, "iloc") else noisy


def _as_numbers(frame: Any) -> NDArray[Any]:
    try:
        return np.asarray(frame, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError("noise can be added to numbers only; a column of X holds something else.") from error


def noisy_errors(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    sigmas: Sequence[float] | NDArray[np.float64],
    scale: Any,
    seeds: Sequence[int] | NDArray[Any],
    error: Error,
) -> NDArray[np.float64]:
    """Errors (n_sigmas, n_draws) under Gaussian noise. A draw is one draw for all sigmas, times each of them."""
    return np.array(
        [
            [error(y, estimator.predict(perturbed(X, sigma, scale, np.random.default_rng(seed)))) for seed in seeds]
            for sigma in sigmas
        ]
    )


def noise_seeds(random_state: Any, n_draws: int) -> NDArray[Any]:
    """One seed for each draw; None draws new entropy."""
    return fresh_random_state(random_state).randint(2**31 - 1, size=n_draws)


def certified_error(estimator: Any, X: Any, y: Any, eps: Any) -> float:
    """The largest error that inputs within `eps` of X can cause, by the certificate: an upper limit.

    The error rate counts sequences whose right label is not certified; the squared error is taken at the end of
    the certified interval that is farther from y. `eps` is in the units of X, before any step of a pipeline.
    """
    if is_classifier(estimator):
        return 1 - certified_accuracy(estimator, X, y, eps)
    lower, upper = certify(estimator, X, eps)
    y = np.asarray(y, dtype=np.float64)
    if y.size != lower.size:
        raise ValueError(f"y must have the shape of the predictions, {lower.shape}; got {y.shape}.")
    y = y.reshape(lower.shape)
    return float(np.mean(np.maximum((upper - y) ** 2, (lower - y) ** 2)))
