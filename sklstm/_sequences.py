"""Sequences as users have them, checked and folded to one form before any work starts."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import check_array, check_is_fitted, check_X_y, validate_data

from sklstm._wide import is_wide, read_wide

__all__ = ["Ragged", "as_plain", "as_sequences", "shape_as_given"]

_ABSENT: Any = object()
_DTYPES = [np.float64, np.float32]
_LARGEST = np.finfo(np.float32).max  # the networks compute in float32


class Ragged:
    """Sequences of unequal length, one after the other in one array.

    Parameters
    ----------
    values : ndarray of shape (sum of lengths, d)
    lengths : ndarray of int of shape (n,)
        All at least 1.
    """

    ndim = 3

    def __init__(self, values: np.ndarray, lengths: np.ndarray):
        self.values, self.lengths = values, lengths
        self.offsets = np.concatenate(([0], np.cumsum(lengths)[:-1]))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Sequences, steps of the longest, channels."""
        return len(self.lengths), int(self.lengths.max()), self.values.shape[1]

    def __len__(self) -> int:
        return len(self.lengths)

    def by_length(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Indices (m,) and array (m, L, d) of the sequences of every length L that occurs."""
        for length in np.unique(self.lengths):
            rows = np.flatnonzero(self.lengths == length)
            yield rows, self.values[self.offsets[rows, None] + np.arange(length)]

    def padded_left(self) -> np.ndarray:
        """(n, L, d): zeros before the first step, which a bias-free ReLU network does not see."""
        padded = np.zeros(self.shape, dtype=self.values.dtype)
        for rows, part in self.by_length():
            padded[rows, padded.shape[1] - part.shape[1] :] = part
        return padded


def as_sequences(estimator: Any, X: Any, y: Any = _ABSENT, *, reset: bool, **check_params: Any) -> Any:
    """Validate X, and y in fit, and fold X to (n, L, d) or, if lengths differ, to `Ragged`.

    ``n_features_in_`` is the number of columns, L·d, after 2-D input, as scikit-learn's checks expect, and the number
    of channels d otherwise; ``feature_names_in_`` likewise names columns or channels.

    Parameters
    ----------
    estimator : estimator with ``n_channels``
    X : array-like of shape (n, L * d), time-major columns, or (n, L, d); list of n arrays of shape (L_i, d); or
        DataFrame whose columns have two levels, time and channel
    y : array-like, optional
        Required with ``reset``; None is refused.
    reset : bool
        True in fit: what is seen is remembered. False afterwards: what is seen is compared.
    **check_params
        Passed to scikit-learn's ``validate_data``.

    Returns
    -------
    X : ndarray of shape (n, L, d) or Ragged, float32 or float64; with y, the pair (X, y)
    """
    try:
        return _as_sequences(estimator, X, y, reset, check_params)
    except OverflowError as error:
        raise ValueError(f"X or y holds a number that is beyond float64: {error}.") from error


def _as_sequences(estimator: Any, X: Any, y: Any, reset: bool, check_params: dict[str, Any]) -> Any:
    if not reset:
        check_is_fitted(estimator)
    with_y = y is not _ABSENT  # None is a target that somebody has forgotten
    y = _as_plain_y(y) if with_y else None
    sequences, channels = _sequences_in(X), None
    if sequences is not None:
        X, channels = _check_list(estimator, sequences), sequences[0]
    elif is_wide(X):
        ordered, channels, shape = read_wide(X)
        X = check_array(ordered, dtype=_DTYPES, estimator=estimator, input_name="X").reshape(shape)
    X = as_plain(X)
    if channels is not None:
        # What is left to check of X, its channels, comes last: scikit-learn's checks look for the names in X itself.
        if with_y:
            _, y = check_X_y(np.zeros((len(X), 1)), y, estimator=estimator, **check_params)
    else:
        checked = _check_array(estimator, X, {"y": y} if with_y else {}, reset, check_params)
        X, y = checked if with_y else (checked, None)
    folded = _fold(estimator, X, reset=reset)
    if channels is not None and (reset or not estimator._fitted_flat):
        # The first sequence stands for all: its columns are what is counted and, in a DataFrame, named.
        validate_data(estimator, X=channels, reset=reset, skip_check_array=True)
    largest = max(np.abs(folded.values if isinstance(folded, Ragged) else folded).max(initial=0), 0)
    if largest > _LARGEST:
        raise ValueError("X holds values too large for float32, in which the network computes. Rescale it.")
    return (folded, y) if with_y else folded


def as_plain(values: Any, name: str = "X") -> Any:
    """Tensors as arrays, whatever device or graph they belong to; anything else as it is.

    Raises
    ------
    TypeError
        For a tensor that has no values here or that numpy has no type for.
    """
    if not isinstance(values, torch.Tensor):
        return values
    try:
        values = values.detach().cpu()
        small = values.is_floating_point() and values.dtype not in (torch.float16, torch.float32, torch.float64)
        return (values.float() if small else values).numpy()
    except (TypeError, NotImplementedError, RuntimeError) as error:
        raise TypeError(
            f"{name} is a tensor of {values.dtype} on {values.device} that numpy cannot hold. Pass a dense tensor of "
            "float32 or float64 with its values in memory."
        ) from error


def _as_plain_y(y: Any) -> Any:
    missing = getattr(y, "isna", None)
    if callable(missing) and bool(np.any(np.asarray(missing()))):  # pandas' own missing values confuse what follows
        raise ValueError("Input y contains NaN or missing values: every sequence needs a target.")
    return as_plain(y, "y")


def shape_as_given(X: Any, folded: np.ndarray) -> tuple[int, ...]:
    """Axes in which the caller thinks of X: those of an array; of lists and wide tables, the folded ones."""
    stacked = is_wide(X) or _sequences_in(X) is not None
    return folded.shape if stacked else np.shape(X)


def _check_array(estimator: Any, X: Any, y: dict[str, Any], reset: bool, check_params: dict[str, Any]) -> Any:
    ndim = _count_axes(X)
    if ndim > 3:
        raise ValueError(
            f"X has {ndim} axes; {type(estimator).__name__} takes sequences of shape (n_samples, n_steps, "
            "n_channels), rows of shape (n_samples, n_steps * n_channels), or a list of (n_steps, n_channels) arrays."
        )
    flat = ndim != 3
    if not reset and ndim == 2 and not estimator._fitted_flat:
        raise ValueError(
            f"X has 2 axes, but {type(estimator).__name__} was fitted on sequences of shape (n_samples, n_steps, "
            f"n_channels={estimator.n_features_in_}). Reshape X to three axes."
        )
    return validate_data(
        estimator,
        X=X,
        **y,
        reset=reset,
        allow_nd=not flat,
        ensure_2d=flat,
        dtype=_DTYPES,
        **check_params,
    )


def _count_axes(X: Any) -> int:
    ndim = getattr(X, "ndim", None)
    if ndim is not None:
        return int(ndim)
    try:
        return np.asarray(X).ndim  # not np.ndim: an object may offer __array__ and nothing else
    except ValueError as error:
        raise ValueError(
            "X holds rows of unequal length. Sequences of unequal length are passed as a list of arrays of shape "
            "(n_steps, n_channels); for a single channel, [np.reshape(row, (-1, 1)) for row in X]."
        ) from error


def _sequences_in(X: Any) -> list | None:
    """The sequences of a list, tuple, object array, Series or nested tensor; None if X is none of these."""
    if isinstance(X, torch.Tensor):
        return list(X.unbind()) if X.is_nested else None
    of_objects = getattr(getattr(X, "dtype", None), "kind", "") == "O" and getattr(X, "ndim", None) == 1
    if not (isinstance(X, list | tuple) or of_objects) or len(X) == 0:
        return None
    entries = list(X)
    if of_objects and not hasattr(entries[0], "__len__"):
        return None
    # The first one decides: to look at every row of a large nested list would convert it twice.
    return entries if _count_axes(entries[0]) == 2 or (of_objects and _count_axes(entries[0]) == 1) else None


def _check_list(estimator: Any, sequences: list) -> np.ndarray | Ragged:
    """Sequences (L_i, d) as one array if their lengths agree, else as `Ragged`; values are checked here."""
    name, names = type(estimator).__name__, list(getattr(sequences[0], "columns", ()))
    arrays: list[np.ndarray] = []
    for index, sequence in enumerate(sequences):
        array = np.asarray(as_plain(sequence))
        if array.ndim != 2 or 0 in array.shape:
            raise ValueError(
                f"Sequence {index} of X has shape {array.shape}; {name} takes arrays of shape (n_steps, n_channels) "
                "with at least one step and one channel. A single channel is a column: np.reshape(sequence, (-1, 1))."
            )
        if arrays and array.shape[1] != arrays[0].shape[1]:
            raise ValueError(
                f"The sequences of X differ in their number of channels: sequence 0 has shape {arrays[0].shape} and "
                f"sequence {index} has {array.shape}, read as (n_steps, n_channels). Time runs along the first axis."
            )
        if list(getattr(sequence, "columns", ())) != names:
            raise ValueError(f"The columns of sequence {index} of X are not those of sequence 0.")
        arrays.append(array)
    lengths = np.array([len(array) for array in arrays])
    values = np.concatenate(arrays)
    values = check_array(values, dtype=_DTYPES, ensure_all_finite=False, estimator=estimator, input_name="X")
    finite = np.isfinite(values)
    if not finite.all():
        step, channel = np.argwhere(~finite)[0]
        index = int(np.searchsorted(np.cumsum(lengths), step, side="right"))
        step -= lengths[:index].sum()
        kind = "NaN" if np.isnan(values).any() else "infinity"
        raise ValueError(
            f"Input X contains {kind}: sequence {index} has a value that is not finite at step {step}, channel "
            f"{channel}. {name} does not accept missing values."
        )
    if (lengths == lengths[0]).all():
        return values.reshape(len(arrays), lengths[0], -1)
    return Ragged(values, lengths)


def _fold(estimator: Any, X: Any, *, reset: bool) -> Any:
    flat = X.ndim == 2
    if flat:
        channels = estimator.n_channels if reset else estimator._n_channels
        if X.shape[1] % channels:
            raise ValueError(
                f"X has {X.shape[1]} columns, which is not a multiple of n_channels={channels}: a row must hold "
                "n_steps * n_channels values, all channels of the first time step first."
            )
        X = X.reshape(len(X), -1, channels)
    _, n_steps, n_channels = X.shape
    if n_steps == 0 or n_channels == 0:
        raise ValueError(
            f"X has {n_steps} time steps and {n_channels} channels (shape {X.shape}, read as (n_samples, n_steps, "
            f"n_channels)): {type(estimator).__name__} needs at least one of each."
        )
    if reset:
        # n_channels=1 is the default: three axes then speak for themselves.
        expected = n_channels if estimator.n_channels == 1 else estimator.n_channels
    else:
        expected = estimator._n_channels
    if n_channels != expected:
        hint = " The time and channel axes look swapped." if n_steps == expected else ""
        raise ValueError(
            f"X has {n_channels} channels on its last axis (shape {X.shape}, read as (n_samples, n_steps={n_steps}, "
            f"n_channels={n_channels})), but {type(estimator).__name__} is expecting {expected} channels.{hint}"
        )
    if reset:
        estimator._fitted_flat, estimator._n_channels = flat, n_channels
        if not flat:
            estimator.n_features_in_ = n_channels
    return X
