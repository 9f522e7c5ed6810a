"""Time steps of sequences in any form that `SequenceScaler` takes: reading, padding, blocks, and back."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_array, validate_data

from sklstm._labels import check_names
from sklstm._layout import Layout, axes_swapped
from sklstm._tables import (
    as_plain,
    check_channels,
    folded_shape,
    is_wide,
    n_axes,
    one_set_of_names,
    read_entries,
    read_wide,
    refuse_nested,
    refuse_times,
    sequences_in,
)

# Options of `check_array`: float32 and float64 are kept, and NaN is allowed, as a missing value.
FLOATS: dict[str, Any] = {"dtype": [np.float64, np.float32], "ensure_all_finite": "allow-nan"}


@dataclass(frozen=True)
class Steps:
    """Time steps of all sequences, one sequence after the other.

    Attributes
    ----------
    values : ndarray of shape (n_steps_in_all, d)
    lengths : ndarray of shape (n,)
        Number of steps of each sequence, at least 1.
    shape : tuple of int or None
        Shape of the original array, with steps before channels; None for a list.
    layout : Layout
        Layout of the original.
    source : object
        The original, if it was a list or Series of sequences.
    """

    values: NDArray
    lengths: NDArray[np.int64]
    shape: tuple[int, ...] | None
    layout: Layout
    source: Any = None

    def restored(self) -> Any:
        """Values in the original form: an array of this shape, or a list or Series of (L_i, d) arrays or data frames.

        Frames of pandas keep their names and times, and a Series its index: later steps compare these.
        """
        if self.shape is None:
            return _as_given(split(self.values, self.lengths), self.source, self.layout)
        if len(self.shape) == 2:
            folded = (len(self.lengths), int(self.lengths[0]), self.values.shape[1])
            return self.layout.unfolded(self.values.reshape(folded), self.shape)
        return self.layout.from_ntc(self.values.reshape(self.shape))


def _as_given(arrays: list[NDArray], source: Any, layout: Layout) -> Any:
    """Arrays (L_i, d) in the layout and with the labels of the sequences that they were made of."""
    framed = source is not None and all(hasattr(entry, "columns") for entry in source)
    # The columns of frames are channels in any layout.
    parts = list(map(_frame_like, source, arrays)) if framed else layout.from_ntc(arrays)
    if not hasattr(source, "iloc"):
        return parts
    return source._constructor(parts, index=source.index, name=source.name)


def _frame_like(frame: Any, values: NDArray) -> Any:
    """Values (L, d) as a data frame with the labels of another, of pandas or polars."""
    if hasattr(frame, "iloc"):
        return frame._constructor(values, index=frame.index, columns=frame.columns)
    return type(frame)(values, schema=list(frame.columns))


def split(values: NDArray, lengths: NDArray[np.int64]) -> list[NDArray]:
    """Split the rows of a table into consecutive pieces of these lengths."""
    ends = np.cumsum(lengths)
    return [values[end - length : end] for length, end in zip(lengths, ends, strict=True)]


def read_steps(estimator: Any, X: Any, *, reset: bool, copy: bool = False, names: bool = True) -> Steps:
    """Read sequences in any form, check them, and record in `estimator` what is seen.

    Parameters
    ----------
    estimator : estimator with ``n_channels`` and ``layout``
    X : array-like of shape (n, L * d) or (n, L, d), list of (L_i, d) array-likes, or frame with (time, channel) columns
    reset : bool
        True in fit: the number and names of the channels are recorded. False later: they are compared.
    copy : bool, default=False
        True: writing to the values does not change X. False: it may, if X is an array of floats.
    names : bool, default=True
        Whether names of columns are compared.

    Returns
    -------
    Steps
        Values in float32 or float64; NaN is allowed. They are writeable unless `reset`.
    """
    refuse_nested(X)
    refuse_times(X)
    layout, given = Layout.of(estimator), X
    if layout.name == "nct":
        X = axes_swapped(X)
    sequences = sequences_in(X)
    X = as_plain(X) if sequences is None else X
    options = FLOATS | {"copy": copy, "force_writeable": copy or not reset}
    if is_wide(X):
        ordered, head, shape = read_wide(X)
        steps = _steps_of(estimator, check_array(ordered, input_name="X", **FLOATS).reshape(shape), reset=reset)
    elif sequences is not None:
        entries = read_entries(sequences)
        check_channels(estimator, entries[0].shape, reset=reset, name="X[0]")
        values = check_array(np.concatenate(entries), input_name="X", **FLOATS)
        steps = Steps(values, np.array([len(entry) for entry in entries]), None, layout, given)
        head = sequences[0] if one_set_of_names(sequences) else entries[0]
    elif n_axes(X) >= 3:
        array = check_array(X, allow_nd=True, input_name="X", **options)
        steps = _steps_of(estimator, array, reset=reset)
        head = steps.values[:1]
    else:
        return _read_rows(estimator, X, options, reset=reset, names=names)
    # The columns of `head` are the channels. After a fit on rows, the stored names are those of L * d columns.
    if reset or (names and not estimator._fitted_flat):
        check_names(estimator, head, reset=reset)
        validate_data(estimator, head, reset=reset, skip_check_array=True)
    if reset:
        estimator._fitted_flat, estimator._n_channels = False, steps.values.shape[1]
    return steps


def edge_padding(values: NDArray, lengths: NDArray[np.int64], value: float) -> NDArray[np.bool_]:
    """Which steps are padding: those before the first and after the last step with a channel that is not `value`.

    Parameters
    ----------
    values : ndarray of shape (n_steps_in_all, d)
    lengths : ndarray of shape (n,)
        Number of steps of each sequence, at least 1.
    value : float
        NaN counts as equal to NaN.

    Returns
    -------
    ndarray of shape (n_steps_in_all,), bool
        Mask of padding. A sequence that is `value` in every step is all padding. Steps between others are never
        padding: a measurement may be zero.
    """
    filled = np.isnan(values) if np.isnan(value) else values == value
    real = ~filled.all(axis=1)
    starts = np.cumsum(lengths) - lengths
    step = np.arange(len(values)) - np.repeat(starts, lengths)  # index within its own sequence
    first = np.minimum.reduceat(np.where(real, step, len(values)), starts)
    last = np.maximum.reduceat(np.where(real, step, -1), starts)
    return (step < np.repeat(first, lengths)) | (step > np.repeat(last, lengths))


def blocks(n_rows: int, size: int = 1 << 16) -> Iterator[slice]:
    """Slices of at most `size` rows, so that only a part of a large float32 table is copied to float64 at a time."""
    return (slice(start, start + size) for start in range(0, n_rows, size))


def _read_rows(estimator: Any, X: Any, options: dict[str, Any], *, reset: bool, names: bool) -> Steps:
    """Steps of rows (n, L * d); all channels of the first step come first in a row."""
    if not reset and n_axes(X) == 2 and not estimator._fitted_flat:
        if np.shape(X) == (1, estimator._n_channels):  # one sequence of one step, for either missing axis
            return Steps(check_array(X, input_name="X", **options), np.ones(1, dtype=np.int64), np.shape(X), Layout())
        raise ValueError(
            f"X has 2 axes, but {type(estimator).__name__} was fitted on sequences of shape (n_samples, n_steps, "
            f"n_channels={estimator._n_channels}). Reshape X to three axes."
        )
    if names:
        check_names(estimator, X, reset=reset)
        rows = validate_data(estimator, X, reset=reset, **options)
    else:
        rows = check_array(X, input_name="X", **options)
    steps = _steps_of(estimator, rows, reset=reset)
    if reset:
        estimator._fitted_flat, estimator._n_channels = True, estimator.n_channels
    return steps


def _steps_of(estimator: Any, X: NDArray, *, reset: bool) -> Steps:
    """Steps of an array (n, L * d) or (n, L, d)."""
    n, n_steps, d = folded_shape(estimator, X.shape, reset=reset)
    layout = Layout.of(estimator)
    return Steps(layout.folded(X, (n, n_steps, d)).reshape(-1, d), np.full(n, n_steps), X.shape, layout)
