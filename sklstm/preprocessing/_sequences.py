"""Sequences in any of the forms that people have them, as one table of time steps and back."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_array, validate_data

from sklstm._entries import as_plain, n_axes, one_set_of_names, read_entries, sequences_in, swapped
from sklstm._wide import is_wide, read_wide

# In `check_array`: what is kept as it is, and that NaN stands for a missing value.
FLOATS: dict[str, Any] = {"dtype": [np.float64, np.float32], "ensure_all_finite": "allow-nan"}


@dataclass(frozen=True)
class Steps:
    """The time steps of all sequences, one sequence after the other.

    Attributes
    ----------
    values : ndarray of shape (n_steps_in_all, d)
    lengths : ndarray of shape (n,)
        Steps of each sequence, at least 1.
    shape : tuple of int or None
        Shape of the array that the steps came in; None if they came in a list.
    """

    values: NDArray
    lengths: NDArray[np.int64]
    shape: tuple[int, ...] | None

    def restored(self) -> NDArray | list[NDArray]:
        """The values in the form they came in: an array of that shape, or a list of (L_i, d) arrays."""
        if self.shape is not None:
            return self.values.reshape(self.shape)
        return split(self.values, self.lengths)


def split(values: NDArray, lengths: NDArray[np.int64]) -> list[NDArray]:
    """Rows of a table as consecutive pieces of these lengths."""
    ends = np.cumsum(lengths)
    return [values[end - length : end] for length, end in zip(lengths, ends, strict=True)]


def read_steps(estimator: Any, X: Any, *, reset: bool, copy: bool = False, names: bool = True) -> Steps:
    """Read sequences in any form, check them, and note in `estimator` what was seen.

    Parameters
    ----------
    estimator : estimator with ``n_channels``
    X : array-like of shape (n, L * d) or (n, L, d), list of (L_i, d) array-likes, or frame with (time, channel) columns
    reset : bool
        True in fit: what is seen is remembered. False later on: what is seen is compared.
    copy : bool, default=False
        Whether the values may be written without changing X; values of a list or of other numbers than floats always
        may.
    names : bool, default=True
        Whether names of columns are compared.

    Returns
    -------
    Steps
        Values in float32 or float64, NaN allowed, writeable.
    """
    sequences = sequences_in(X)
    X = as_plain(X) if sequences is None else X
    if is_wide(X):
        ordered, head, shape = read_wide(X)
        array = check_array(ordered, input_name="X", **FLOATS).reshape(shape)
        steps = _fold_array(estimator, array, reset=reset)
        _note(estimator, head, reset=reset, names=names)
    elif sequences is not None:
        entries = read_entries(sequences)
        _channels(estimator, entries[0].shape, "X[0]", reset=reset)
        values = check_array(np.concatenate(entries), input_name="X", **FLOATS)
        steps = Steps(values, np.array([len(entry) for entry in entries]), None)
        head = sequences[0] if one_set_of_names(sequences) else entries[0]
        _note(estimator, head, reset=reset, names=names)
    elif n_axes(X) >= 3:
        array = check_array(X, allow_nd=True, copy=copy, force_writeable=copy or not reset, input_name="X", **FLOATS)
        steps = _fold_array(estimator, array, reset=reset)
        _note(estimator, steps.values[:1], reset=reset, names=names)
    else:
        return _fold_rows(estimator, X, reset=reset, copy=copy, names=names)
    if reset:
        estimator._fitted_flat, estimator._n_channels = False, steps.values.shape[1]
    return steps


def edge_padding(values: NDArray, lengths: NDArray[np.int64], value: float) -> NDArray[np.bool_]:
    """Steps before the first and after the last one that differs from `value` in some channel.

    Parameters
    ----------
    values : ndarray of shape (n_steps_in_all, d)
    lengths : ndarray of shape (n,)
        Steps of each sequence, at least 1.
    value : float
        NaN counts as equal to NaN.

    Returns
    -------
    ndarray of shape (n_steps_in_all,), bool
        A sequence that is `value` throughout is padding from end to end. Inner steps never are: a reading may be zero.
    """
    filled = np.isnan(values) if np.isnan(value) else values == value
    real = ~filled.all(axis=1)
    starts = np.cumsum(lengths) - lengths
    step = np.arange(len(values)) - np.repeat(starts, lengths)  # place within its own sequence
    first = np.minimum.reduceat(np.where(real, step, len(values)), starts)
    last = np.maximum.reduceat(np.where(real, step, -1), starts)
    return (step < np.repeat(first, lengths)) | (step > np.repeat(last, lengths))


def _fold_rows(estimator: Any, X: Any, *, reset: bool, copy: bool, names: bool) -> Steps:
    """Rows (n, L * d), all channels of the first step first."""
    if not reset and n_axes(X) == 2 and not estimator._fitted_flat:
        raise ValueError(
            f"X has 2 axes, but {type(estimator).__name__} was fitted on sequences of shape (n_samples, n_steps, "
            f"n_channels={estimator._n_channels}). Reshape X to three axes."
        )
    options = FLOATS | {"copy": copy, "force_writeable": copy or not reset}
    if names:
        rows = validate_data(estimator, X, reset=reset, **options)
    else:
        rows = check_array(X, input_name="X", **options)
    d = estimator.n_channels if reset else estimator._n_channels
    if rows.shape[1] % d:
        raise ValueError(
            f"X has {rows.shape[1]} columns, which is not a multiple of n_channels={d}: a row must hold n_steps * "
            "n_channels values, all channels of the first time step first."
        )
    if reset:
        estimator._fitted_flat, estimator._n_channels = True, d
    n_steps = rows.shape[1] // d
    return Steps(rows.reshape(-1, d), np.full(len(rows), n_steps), rows.shape)


def _fold_array(estimator: Any, X: NDArray, *, reset: bool) -> Steps:
    """An array (n, L, d)."""
    if X.ndim > 3:
        raise ValueError(
            f"X has {X.ndim} axes; {type(estimator).__name__} takes sequences of shape (n_samples, n_steps, "
            "n_channels), rows of shape (n_samples, n_steps * n_channels), or a list of arrays of shape (n_steps, "
            "n_channels)."
        )
    n, n_steps, d = X.shape
    if n_steps == 0 or d == 0:
        raise ValueError(
            f"X has {n_steps} time steps and {d} channels (shape {X.shape}, read as (n_samples, n_steps, n_channels)): "
            f"{type(estimator).__name__} needs at least one of each."
        )
    _channels(estimator, X.shape, "X", reset=reset)
    return Steps(X.reshape(-1, d), np.full(n, n_steps), X.shape)


def _channels(estimator: Any, shape: tuple[int, ...], name: str, *, reset: bool) -> None:
    """Compare the last axis with the channels expected; ``ValueError`` names both axes."""
    n_steps, d = shape[-2:]
    # n_channels=1 is the default: arrays with a channel axis then speak for themselves.
    free = reset and estimator.n_channels == 1
    expected = d if free else estimator.n_channels if reset else estimator._n_channels
    if d != expected:
        axes = "(n_samples, n_steps, n_channels)" if len(shape) == 3 else "(n_steps, n_channels)"
        raise ValueError(
            f"{name} has {d} channels on its last axis (shape {shape}, read as {axes}), but "
            f"{type(estimator).__name__} is expecting {expected} channels.{swapped(n_steps, expected)}"
        )


def _note(estimator: Any, head: Any, *, reset: bool, names: bool) -> None:
    """Remember or compare number and names of channels, as scikit-learn does; `head` has the channels as columns."""
    # Fitted on rows, the names are those of L * d columns, and the number of channels has been compared already.
    if reset or (names and not estimator._fitted_flat):
        validate_data(estimator, head, reset=reset, skip_check_array=True)


def blocks(n_rows: int, size: int = 1 << 16) -> Iterator[slice]:
    """Slices of at most `size` rows: float64 copies of a large float32 table are made a piece at a time."""
    return (slice(start, start + size) for start in range(0, n_rows, size))
