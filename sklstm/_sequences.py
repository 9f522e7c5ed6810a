"""Sequences as users have them, checked and folded to one form before any work starts."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.utils.validation import check_array, check_is_fitted, check_X_y, validate_data

from sklstm._mapped import beyond, is_mapped
from sklstm._tables import as_plain, is_wide, n_axes, one_set_of_names, read_entries, read_wide, sequences_in, swapped

__all__ = ["Ragged", "as_sequences", "shape_as_given"]

_ABSENT: Any = object()
_DTYPES = [np.float64, np.float32]
_LARGEST = float(np.finfo(np.float32).max)  # the networks compute in float32


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
        A memory-mapped array comes back as a view in its own dtype, not copied.
    """
    if not reset and y is _ABSENT and _is_in_order(estimator, X):
        return X
    try:
        return _as_sequences(estimator, X, y, reset, check_params)
    except OverflowError as error:
        raise ValueError(f"X or y holds a number that is beyond float64: {error}.") from error


def _is_in_order(estimator: Any, X: Any) -> bool:
    """Whether X is what all checks would return as it is: they take a twentieth of a small prediction's time."""
    known = vars(estimator)
    with np.errstate(over="ignore", invalid="ignore"):
        return (
            type(X) is np.ndarray
            and X.ndim == 3
            and X.dtype in _DTYPES
            and X.size > 0
            and known.get("_fitted_flat") is False
            and known.get("_n_channels") == X.shape[2]
            and "feature_names_in_" not in known
            and not is_mapped(X)
            and bool(np.isfinite(X.sum()))
            and (X.dtype == np.float32 or not beyond(X, _LARGEST))
        )


def _as_sequences(estimator: Any, X: Any, y: Any, reset: bool, check_params: dict[str, Any]) -> Any:
    if not reset:
        check_is_fitted(estimator)
    with_y = y is not _ABSENT  # None is a target that somebody has forgotten
    y = _as_plain_y(y) if with_y else None
    sequences, channels = sequences_in(X), None
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
    values = folded.values if isinstance(folded, Ragged) else folded
    if values.dtype.kind == "f" and values.dtype.itemsize > 4 and beyond(values, _LARGEST):
        raise ValueError("X holds values too large for float32, in which the network computes. Rescale it.")
    return (folded, y) if with_y else folded


def _as_plain_y(y: Any) -> Any:
    missing = getattr(y, "isna", None)
    if callable(missing) and bool(np.any(np.asarray(missing()))):  # pandas' own missing values confuse what follows
        raise ValueError("Input y contains NaN or missing values: every sequence needs a target.")
    return as_plain(y, "y")


def shape_as_given(X: Any, folded: np.ndarray) -> tuple[int, ...]:
    """Axes in which the caller thinks of X: those of an array; of lists and wide tables, the folded ones."""
    stacked = is_wide(X) or sequences_in(X) is not None
    return folded.shape if stacked else np.shape(X)


def _check_array(estimator: Any, X: Any, y: dict[str, Any], reset: bool, check_params: dict[str, Any]) -> Any:
    ndim = n_axes(X)
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
    # A file is read a part at a time, whatever its numbers are; scikit-learn would convert a copy of the whole.
    mapped = isinstance(X, np.ndarray) and X.dtype.kind in "biuf" and is_mapped(X)
    return validate_data(
        estimator,
        X=X,
        **y,
        reset=reset,
        allow_nd=not flat,
        ensure_2d=flat,
        dtype=None if mapped else _DTYPES,
        **check_params,
    )


def _check_list(estimator: Any, sequences: list) -> np.ndarray | Ragged:
    """Sequences (L_i, d) as one array if their lengths agree, else as `Ragged`; values are checked here."""
    one_set_of_names(sequences)
    arrays = read_entries(sequences)
    lengths = np.array([len(array) for array in arrays])
    values = check_array(
        np.concatenate(arrays), dtype=_DTYPES, ensure_all_finite=False, estimator=estimator, input_name="X"
    )
    finite = np.isfinite(values)
    if not finite.all():
        place, channel = np.argwhere(~finite)[0]
        index = int(np.searchsorted(np.cumsum(lengths), place, side="right"))
        kind = "NaN" if np.isnan(values).any() else "infinity"
        raise ValueError(
            f"Input X contains {kind}: X[{index}] has a value that is not finite at step "
            f"{place - lengths[:index].sum()}, channel {channel}. {type(estimator).__name__} does not accept missing "
            "values."
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
        raise ValueError(
            f"X has {n_channels} channels on its last axis (shape {X.shape}, read as (n_samples, n_steps={n_steps}, "
            f"n_channels={n_channels})), but {type(estimator).__name__} is expecting {expected} "
            f"channels.{swapped(n_steps, expected)}"
        )
    if reset:
        estimator._fitted_flat, estimator._n_channels = flat, n_channels
        if not flat:
            estimator.n_features_in_ = n_channels
    return X
