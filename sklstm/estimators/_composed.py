"""Certificates of pipelines, searches and transformed targets, in the units of what they take and return."""

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler
from sklearn.utils.validation import check_is_fitted

from sklstm._entries import as_plain, sequences_in
from sklstm._sequences import Ragged, as_sequences
from sklstm._wide import is_wide, read_wide
from sklstm.preprocessing import SequenceScaler

from ._radii import boxes_around

__all__ = ["certified_accuracy", "certify"]

# Each subtracts, divides by something positive and perhaps clips, entry by entry. The rounding of such a step is
# monotone too, so that what lies between two numbers lies between what becomes of them: boxes go through without any
# slack. Subclasses may do anything, and are not taken.
_MONOTONE = (MaxAbsScaler, MinMaxScaler, RobustScaler, SequenceScaler, StandardScaler)
_KNOWN = ", ".join(kind.__name__ for kind in _MONOTONE)


def certify(
    estimator: Any,
    X: Any,
    eps: Any,
    *,
    method: Literal["best", "linear", "mean-value", "intervals"] = "best",
    batch_size: int | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Bounds on the outputs of a fitted composition for every input within ``eps`` of X, all in its own units.

    The ``certify`` of the estimator inside, for a pipeline, a search or a TransformedTargetRegressor around it: ``eps``
    is in the units of the X that the composition takes, the bounds are in those of what it predicts.

    Parameters
    ----------
    estimator : estimator
        Fitted: an estimator of this package; a Pipeline of scalers that ends in one; a TransformedTargetRegressor; a
        search with ``refit=True``; any nesting of these. The scalers, of X and of y, may be StandardScaler,
        MinMaxScaler, MaxAbsScaler, RobustScaler, `SequenceScaler` without ``padding_value``, and ``"passthrough"``.
    X : array-like of shape (n, L, d) or (n, L * d), DataFrame, or list of n arrays (L_i, d)
        As the composition takes it.
    eps : float or array-like
        Largest absolute perturbation, not negative, in the units of X, in the forms that the ``certify`` of the
        estimators takes: one number, one per channel, per column, per step and channel, or per entry.
    method : {"best", "linear", "mean-value", "intervals"}, default="best"
        As of the estimators' ``certify``.
    batch_size : int, optional
        Sequences handled at once.

    Returns
    -------
    lower : ndarray, float64
        Limits from below, for a regressor in the shape and units of its predictions; for a classifier (n, k), one
        column of network outputs per class.
    upper : ndarray, float64
        Limits from above.

    Raises
    ------
    TypeError
        For another estimator, or a step through which a box cannot be followed; the message says what to do instead.
    ValueError
        For a negative or non-finite ``eps``, one of a wrong shape, or bad X.
    NotFittedError
        Before `fit`, or after a search with ``refit=False``.

    Notes
    -----
    The inputs covered are those within ``eps`` of X in the floating-point type of X, float64 for integers. Scalers
    round monotonically, so the box that the network sees is found from its two ends, without slack and without doubt.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklstm import TikhonovLSTMRegressor, certify
    >>> from sklstm.preprocessing import SequenceScaler
    >>> rng = np.random.default_rng(0)
    >>> X = 1000 + 50 * rng.standard_normal((100, 6, 2))
    >>> model = make_pipeline(SequenceScaler(), TikhonovLSTMRegressor(4, max_epochs=5, random_state=0))
    >>> model = model.fit(X, X[:, -1, 0])
    >>> lower, upper = certify(model, X, eps=[10.0, 0.0])  # the second channel is exact
    >>> noisy = model.predict(X + rng.uniform(-10, 10, X.shape) * [1, 0])
    >>> bool(((lower <= noisy) & (noisy <= upper)).all())
    True
    """
    model, steps, final = _parts(estimator)
    inside, radii = _behind(steps, final, X, eps)
    lower, upper = final.certify(inside, radii, method=method, batch_size=batch_size)
    if model is not None:
        lower, upper = _outputs(model, lower, upper)
    return lower, upper


def certified_accuracy(estimator: Any, X: Any, y: ArrayLike, eps: Any) -> float:
    """Fraction of samples that a fitted composition classifies rightly whatever befalls their inputs, up to ``eps``.

    Parameters
    ----------
    estimator : estimator
        As of `certify`, around a classifier.
    X : array-like of shape (n, L, d) or (n, L * d), DataFrame, or list of n arrays (L_i, d)
        As the composition takes it.
    y : array-like of shape (n,)
        True labels.
    eps : float or array-like
        As of `certify`, in the units of X.

    Returns
    -------
    float
        At most the accuracy; a lower bound on it under any attack of that size.

    Raises
    ------
    TypeError
        As `certify`, and for a regressor.
    ValueError
        As `certify`; also if X and y differ in length.
    NotFittedError
        As `certify`.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklstm import NoisyRNNClassifier, certified_accuracy
    >>> from sklstm.datasets import load_japanese_vowels
    >>> from sklstm.preprocessing import SequenceScaler
    >>> X, y = load_japanese_vowels(padded=False, return_X_y=True)
    >>> model = make_pipeline(SequenceScaler(), NoisyRNNClassifier(8, max_epochs=5, random_state=0)).fit(X, y)
    >>> certified_accuracy(model, X, y, eps=0.0) == model.score(X, y)
    True
    """
    _, steps, final = _parts(estimator)
    if not hasattr(final, "certified_accuracy"):
        raise TypeError(f"certified_accuracy needs a classifier, got {type(final).__name__}.")
    inside, radii = _behind(steps, final, X, eps)
    return float(final.certified_accuracy(inside, y, radii))


def _parts(estimator: Any) -> tuple[Any, list[Any], Any]:
    """A TransformedTargetRegressor or None, the scalers of X in their order, and the estimator of this package inside.

    Raises
    ------
    TypeError
        If something else is in between.
    NotFittedError
        If a part is not fitted.
    """
    model, steps = None, []
    while not hasattr(estimator, "certify"):
        if isinstance(estimator, TransformedTargetRegressor):
            check_is_fitted(estimator, "regressor_")
            if model is not None:
                raise TypeError("certify follows one TransformedTargetRegressor, not one inside another.")
            _check_scaler(
                estimator.transformer_,
                "the targets",
                "call certify on the regressor_ inside, in the units of the transformed targets",
            )
            model, estimator = estimator, estimator.regressor_
        elif isinstance(estimator, Pipeline):
            check_is_fitted(estimator)
            for name, step in estimator.steps[:-1]:
                if step is not None and step != "passthrough":
                    _check_scaler(
                        step,
                        f"step {name!r}",
                        "call certify of the last step on what the steps before it return, in the units behind them",
                    )
                    steps.append(step)
            estimator = estimator.steps[-1][1]
        elif hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif hasattr(estimator, "best_index_") or hasattr(estimator, "param_grid") or hasattr(estimator, "refit"):
            fitted = hasattr(estimator, "cv_results_")
            reason = "was fitted with refit=False and holds no model" if fitted else "is not fitted yet"
            raise NotFittedError(f"This {type(estimator).__name__} {reason}.")
        else:
            raise TypeError(
                "certify needs an estimator of sklstm, alone or inside a Pipeline, a TransformedTargetRegressor or a "
                f"search; got {type(estimator).__name__}."
            )
    check_is_fitted(estimator)
    return model, steps, estimator


def _check_scaler(step: Any, where: str, instead: str) -> None:
    """Raise a TypeError for a transformer that boxes cannot be followed through."""
    if type(step) is FunctionTransformer and step.func is None and step.inverse_func is None:
        return
    padded = getattr(step, "padding_value", None) is not None
    if type(step) not in _MONOTONE or padded:
        kind = type(step).__name__ + ("(padding_value=...)" if padded else "")
        raise TypeError(f"certify cannot follow a box through {kind} ({where}), only through {_KNOWN}; {instead}.")


def _behind(steps: list[Any], final: Any, X: Any, eps: Any) -> tuple[Any, Any]:
    """X as the final estimator sees it, and radii of boxes there that hold what becomes of X ± eps."""
    X = _as_numbers(X)
    if not steps:
        return X, eps
    inside = _through(steps, X)
    sequences = as_sequences(final, inside, reset=False)
    parts = boxes_around(final, inside, sequences, eps)  # what scales entries moves none: same places, same forms
    radii = _unfolded(parts, sequences, inside)
    below, above = (_through(steps, _moved(X, radii, sign)) for sign in (-1, 1))
    if isinstance(radii, list):
        return inside, [_half_width(*ends) for ends in zip(below, inside, above, strict=True)]
    return inside, _half_width(below, inside, above)


def _as_numbers(X: Any) -> Any:
    """X in a form that eps can be added to: a list of arrays, a flat data frame, or one array."""
    if is_wide(X):
        ordered, _, shape = read_wide(X)
        return ordered.to_numpy().reshape(shape)
    entries = sequences_in(X)
    if entries is not None:
        return [np.asarray(as_plain(entry)) for entry in entries]
    return X if hasattr(X, "iloc") else np.asarray(as_plain(X))


def _through(steps: list[Any], X: Any) -> Any:
    for step in steps:
        X = step.transform(X)
    return X


def _unfolded(parts: Any, sequences: Any, inside: Any) -> Any:
    """Radii in the form of X: a list for sequences of unequal length, else an array of the shape of X."""
    if isinstance(sequences, Ragged) or isinstance(inside, list):
        each_radii: list[Any] = [None] * len(sequences)
        for rows, _, some in parts:
            for row, each in zip(rows, some, strict=True):
                each_radii[row] = each
        return each_radii
    ((_, _, radii),) = parts
    return radii.reshape(np.shape(inside))


def _moved(X: Any, radii: Any, sign: int) -> Any:
    """X ± radii in the form and the floating-point type of X, rounded outwards."""
    if isinstance(X, list):
        kind = _float_type(np.result_type(*(entry.dtype for entry in X)))
        return [_shifted(entry, each, sign, kind) for entry, each in zip(X, radii, strict=True)]
    if hasattr(X, "iloc"):
        values = X.to_numpy()
        return type(X)(_shifted(values, radii, sign, _float_type(values.dtype)), index=X.index, columns=X.columns)
    return _shifted(X, radii, sign, _float_type(X.dtype))


def _float_type(kind: Any) -> Any:
    return kind if kind in (np.float16, np.float32) else np.dtype(np.float64)


def _shifted(X: Any, radii: NDArray[np.float64], sign: int, kind: Any) -> NDArray:
    X = np.asarray(X, dtype=kind)
    end = X.astype(np.float64) + sign * radii
    with np.errstate(over="ignore"):  # an end beyond the type is refused by the checks of the steps
        rounded = end.astype(kind)
    outwards = np.nextafter(rounded, np.asarray(sign * np.inf, dtype=kind))
    return np.where(radii > 0, outwards, X)


def _half_width(below: Any, centre: Any, above: Any) -> NDArray[np.float64]:
    """Radius around the centre that covers both ends, rounded upwards; 0 where both are the centre."""
    below, centre, above = (np.asarray(part, dtype=np.float64) for part in (below, centre, above))
    widest = np.maximum(above - centre, centre - below)
    return np.where(widest > 0, np.nextafter(widest, np.inf), 0.0)


def _outputs(model: Any, *ends: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Limits of what a TransformedTargetRegressor returns, from those of the regressor inside."""
    returned = []
    for end in ends:
        columns = model.transformer_.inverse_transform(end.reshape(len(end), -1))
        returned.append(columns[:, 0] if model._training_dim == 1 and columns.shape[1] == 1 else columns)
    return returned
