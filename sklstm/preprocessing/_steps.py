"""Sequences in any form that `SequenceScaler` takes, as one table of time steps and back."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_array, validate_data

from sklstm._tables import as_plain, is_wide, n_axes, one_set_of_names, read_entries, read_wide, sequences_in, swapped

# Options of `check_array`: float32 and float64 are kept, and NaN is allowed, as a missing value.
FLOATS: dict[str, Any] = {"dtype": [np.float64, np.float32], "ensure_all_finite": "allow-nan"}


@dataclass(frozen=True)
class Steps:
    """Time steps of all sequences, one sequence after the other.

    Attributes
    ----------
    values : ndarray of shape (n_steps_in_all, d)
    lengths : ndarray of shape (n,)
        Steps of each sequence, at least 1.
    shape : tuple of int or None
        Shape of the array that held the steps; None if a list held them.
    """

    values: NDArray
    lengths: NDArray[np.int64]
    shape: tuple[int, ...] | None

    def restored(self) -> NDArray | list[NDArray]:
        """Values in the form in which they were given: an array of this shape, or a list of (L_i, d) arrays."""
        if self.shape is not None:
            return self.values.reshape(self.shape)
        return split(self.values, self.lengths)


def split(values: NDArray, lengths: NDArray[np.int64]) -> list[NDArray]:
    """Split the rows of a table into consecutive pieces of these lengths."""
    ends = np.cumsum(lengths)
    return [values[end - length : end] for length, end in zip(lengths, ends, strict=True)]


def read_steps(estimator: Any, X: Any, *, reset: bool, copy: bool = False, names: bool = True) -> Steps:
    """Read sequences in any form, check them, and store in `estimator` what is seen.

    Parameters
    ----------
    estimator : estimator with ``n_channels``
    X : array-like of shape (n, L * d) or (n, L, d), list of (L_i, d) array-likes, or frame with (time, channel) columns
    reset : bool
        True in fit: the number and names of the channels are stored. False later: they are compared.
    copy : bool, default=False
        True: writing to the values does not change X. False: it may, if X is an array of floats.
    names : bool, default=True
        Whether names of columns are compared.

    Returns
    -------
    Steps
        Values in float32 or float64; NaN is allowed. They are writeable unless `reset`.
    """
    sequences = sequences_in(X)
    X = as_plain(X) if sequences is None else X
    if is_wide(X):
        ordered, head, shape = read_wide(X)
        steps = _from_array(estimator, check_array(ordered, input_name="X", **FLOATS).reshape(shape), reset=reset)
    elif sequences is not None:
        entries = read_entries(sequences)
        _check_channels(estimator, entries[0].shape, "X[0]", reset=reset)
        values = check_array(np.concatenate(entries), input_name="X", **FLOATS)
        steps = Steps(values, np.array([len(entry) for entry in entries]), None)
        head = sequences[0] if one_set_of_names(sequences) else entries[0]
    elif n_axes(X) >= 3:
        array = check_array(X, allow_nd=True, copy=copy, force_writeable=copy or not reset, input_name="X", **FLOATS)
        steps = _from_array(estimator, array, reset=reset)
        head = steps.values[:1]
    else:
        return _from_rows(estimator, X, reset=reset, copy=copy, names=names)
    # The columns of `head` are the channels. After a fit on rows, the stored names are those of L * d columns.
    if reset or (names and not estimator._fitted_flat):
        validate_data(estimator, head, reset=reset, skip_check_array=True)
    if reset:
        estimator._fitted_flat, estimator._n_channels = False, steps.values.shape[1]
    return steps


def _from_rows(estimator: Any, X: Any, *, reset: bool, copy: bool, names: bool) -> Steps:
    """Steps of rows (n, L * d); all channels of the first step come first in a row."""
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


def _from_array(estimator: Any, X: NDArray, *, reset: bool) -> Steps:
    """Steps of an array (n, L, d)."""
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
    _check_channels(estimator, X.shape, "X", reset=reset)
    return Steps(X.reshape(-1, d), np.full(n, n_steps), X.shape)


def _check_channels(estimator: Any, shape: tuple[int, ...], name: str, *, reset: bool) -> None:
    """Compare the last axis with the expected number of channels; the ``ValueError`` names the last two axes."""
    n_steps, d = shape[-2:]
    expected = estimator.n_channels if reset else estimator._n_channels
    if reset and expected == 1:  # the default, with which an array may have any number of channels
        return
    if d != expected:
        axes = "(n_samples, n_steps, n_channels)" if len(shape) == 3 else "(n_steps, n_channels)"
        raise ValueError(
            f"{name} has {d} channels on its last axis (shape {shape}, read as {axes}), but "
            f"{type(estimator).__name__} is expecting {expected} channels.{swapped(n_steps, expected)}"
        )
