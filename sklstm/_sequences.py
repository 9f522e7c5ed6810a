"""Sequences in users' forms, checked before any work starts, and the one form that the package computes with."""

import math
import mmap
import warnings
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import check_array, check_is_fitted, check_X_y, validate_data
from torch import Tensor

from sklstm._labels import check_names, has_times, refuse_other_rows, row_labels
from sklstm._layout import Layout, axes_swapped
from sklstm._tables import (
    as_plain,
    check_channels,
    folded_shape,
    is_wide,
    n_axes,
    names_of_columns,
    one_set_of_names,
    read_entries,
    read_wide,
    refuse_nested,
    refuse_times,
    sequences_in,
    targets_in,
)
from sklstm._validation import caller_level
from sklstm.exceptions import DataWarning

_ABSENT: Any = object()
_DTYPES = [np.float64, np.float32]
_LARGEST = float(np.finfo(np.float32).max)  # the networks compute in float32

# Numbers in a block: 16 MiB in float64, so that a few temporaries of a block are small beside a network.
_BLOCK_NUMBERS = 1 << 21

# Bytes of float32 that are read ahead of training. The rows of a random batch are spread over the file, and the system
# reads 128 kB around each. With a file of 672 MB and 250 MB of memory for it, 100,000 rows took more than 100 s, batch
# by batch. The rows of many batches together, in the order of the file, cost little more than one pass over it: windows
# of 16, 32 and 64 MB took 5.5, 3.0 and 1.0 s. With the file in memory a window costs half a microsecond a row.
WINDOW = 1 << 26

# Bytes of float64 that are gathered in one call.
_PIECE = 1 << 22


class Sequences:
    """n sequences of d channels, of one length or of several, in an array, a mapped file or a tensor.

    Numbers are read only when they are needed. For a network they are float32 in torch's own memory, for three reasons.
    torch shares neither read-only memory nor negative strides. It must not write to the user's array. And the rounding
    of matrix kernels may depend on the alignment, which torch's memory always has.

    Parameters
    ----------
    values : ndarray or Tensor
        (n, L, d) if all sequences have one length: an array of any real dtype, in memory or in a mapped file, or a
        float32 tensor. If lengths differ, (sum of lengths, d), one sequence after the other. Never written to.
    lengths : ndarray of int64 of shape (n,), optional
        Lengths, all at least 1; None if all sequences have one length.
    device : str or torch.device
        Device of the resulting tensors. If the values are a tensor, it is on this device.
    rows : ndarray of int64 of shape (m,), optional
        For an array of sequences of one length: positions of the sequences to use, in this order.

    Examples
    --------
    Two sequences, of two steps and of one:

    >>> import numpy as np
    >>> import torch
    >>> from sklstm._sequences import Sequences
    >>> X = Sequences(np.array([[1.0], [2.0], [3.0]]), lengths=np.array([2, 1]))
    >>> batch = X.batch(torch.tensor([1, 0]))
    >>> batch["X"][:, :, 0], batch["lengths"]
    (tensor([[3., 0.],
            [1., 2.]]), tensor([1, 2]))

    Three sequences of integers of one length, for instance in a file:

    >>> X = Sequences(np.arange(6, dtype=np.int16).reshape(3, 2, 1))
    >>> X.batch(torch.tensor([2]))["X"].tolist()
    [[[4.0], [5.0]]]
    >>> [tuple(part.shape) for part in X.split(2)]
    [(2, 2, 1), (1, 2, 1)]
    """

    ndim = 3

    def __init__(
        self,
        values: np.ndarray | Tensor,
        lengths: NDArray[np.int64] | None = None,
        *,
        device: str | torch.device = "cpu",
        rows: NDArray[np.int64] | None = None,
    ):
        self.values, self.lengths, self.rows = values, lengths, rows
        self.is_tensor = isinstance(values, Tensor)
        self.device = values.device if isinstance(values, Tensor) else torch.device(device)
        if lengths is not None:
            self.offsets = np.cumsum(lengths) - lengths

    @classmethod
    def of(cls, X: "Sequences | np.ndarray | Tensor") -> "Sequences":
        """X itself, or the sequences of one length in an array or tensor (n, L, d)."""
        return X if isinstance(X, Sequences) else cls(X)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of sequences, steps of the longest, number of channels."""
        longest = self.values.shape[1] if self.lengths is None else int(self.lengths.max())
        return len(self), longest, self.values.shape[-1]

    @property
    def n_numbers(self) -> int:
        """Number of all numbers, without padding."""
        return math.prod(self.shape) if self.lengths is None else math.prod(self.values.shape)

    @property
    def is_mapped(self) -> bool:
        """Whether the numbers are in a file, which may be larger than memory."""
        return not self.is_tensor and is_mapped(self.values)

    def __len__(self) -> int:
        if self.lengths is not None:
            return len(self.lengths)
        return len(self.values) if self.rows is None else len(self.rows)

    def __getitem__(self, rows: Tensor) -> "Sequences":
        """Some of the sequences; an array of one length is not read yet."""
        if self.lengths is not None:
            places = rows.cpu().numpy()
            return Sequences(self._steps(self._places_of_steps(places)), self.lengths[places], device=self.device)
        if isinstance(self.values, Tensor):
            return Sequences(self.values[rows])
        return Sequences(self.values, device=self.device, rows=self._places(rows))

    # Input of networks.

    def batch(self, rows: Tensor) -> dict[str, Tensor]:
        """Keyword arguments of a network's forward pass for some sequences.

        Parameters
        ----------
        rows : Tensor of int64 of shape (b,)
            Positions of these sequences.

        Returns
        -------
        dict of str to Tensor
            ``X`` (b, L, d) in float32. If lengths differ, also ``lengths`` (b,), with zeros after the ends.

        Notes
        -----
        Padding costs less than packing. One forward and backward pass with 64 sequences of 20 to 24 steps and 16 units
        was timed on one thread. For an LSTM, GRU and ReLU layer it takes 0.88, 2.95 and 0.99 ms; packed 3.7, 3.6 and
        1.1 ms.
        """
        if self.lengths is not None:
            return self._padded(rows.cpu().numpy())
        if isinstance(self.values, Tensor):
            return {"X": self.values[rows]}
        return {"X": self._gathered(self._places(rows)).to(self.device)}

    def batches(self, parts: Iterable[Tensor], batch_size: int) -> Iterator[tuple[Tensor, dict[str, Tensor]]]:
        """Batches for the parts of a permutation; arrays are read ahead.

        Parameters
        ----------
        parts : iterable of Tensor of int64 of shape (b,)
            Positions of the sequences of each batch.
        batch_size : int
            The largest b.

        Yields
        ------
        rows : Tensor of shape (b,)
            The positions, one part at a time.
        inputs : dict of str to Tensor
            As in `batch`.
        """
        parts = iter(parts)
        ahead = WINDOW // max(1, 4 * batch_size * math.prod(self.values.shape[1:]))
        if self.is_tensor or self.lengths is not None or ahead <= 1:
            yield from ((rows, self.batch(rows)) for rows in parts)
            return
        buffer: Tensor | None = None
        while window := list(islice(parts, ahead)):
            places = self._places(torch.cat(window))
            if buffer is None:  # the first window is the largest
                buffer = torch.empty(len(places), *self.values.shape[1:], dtype=torch.float32)
            self._gather(places, buffer.numpy())
            start = 0
            for rows in window:
                # A clone begins at an aligned address, as a batch of a tensor does.
                yield rows, {"X": buffer[start : start + len(rows)].clone().to(self.device)}
                start += len(rows)

    def split(self, size: int) -> Iterator[Tensor]:
        """All sequences, which must be of one length, in order.

        Parameters
        ----------
        size : int
            Number of sequences at a time.

        Yields
        ------
        Tensor of shape (size or fewer, L, d), float32
        """
        if isinstance(self.values, Tensor):
            yield from self.values.split(size)
            return
        for start in range(0, len(self), size):
            if self.rows is None:
                yield as_tensor(self.values[start : start + size], self.device)
            else:
                yield self._gathered(self.rows[start : start + size]).to(self.device)

    def on(self, device: str | torch.device) -> "Sequences":
        """The same sequences with batches on a device; those of unequal length are copied there."""
        if self.lengths is not None:
            return self.loaded(device)
        return Sequences(self.values, device=device, rows=self.rows)

    def loaded(self, device: str | torch.device | None = None) -> "Sequences":
        """The same as a float32 tensor, for repeated reading; unchanged if it is in a file, or a tensor already."""
        device = self.device if device is None else torch.device(device)
        if self.is_tensor or (self.lengths is None and self.is_mapped and device == self.device):
            return self
        if self.lengths is None and self.is_mapped:
            return self.on(device)
        whole = as_tensor(self.values) if self.rows is None else self._gathered(self.rows)  # type: ignore[arg-type]
        return Sequences(whole.to(device), self.lengths)

    # Input of certificates and bounds: arrays in their own dtype.

    def by_length(self) -> Iterator[tuple[NDArray[np.int64], np.ndarray]]:
        """Indices (m,) and array (m, L, d) of the sequences of every length L that occurs; not for a tensor."""
        values: Any = self.values
        if self.lengths is None:
            yield np.arange(len(self)), values if self.rows is None else values[self.rows]
            return
        for length in np.unique(self.lengths):
            rows = np.flatnonzero(self.lengths == length)
            yield rows, values[self.offsets[rows, None] + np.arange(length)]

    def parts(self) -> Iterator[tuple[NDArray[np.int64], np.ndarray, NDArray[np.int64]]]:
        """All sequences in groups of similar length: about two million numbers each, padding included.

        Yields
        ------
        rows : ndarray of int64 of shape (m,)
            Positions of the sequences, at least one.
        steps : ndarray of shape (sum of lengths, d)
            Steps, one sequence after the other.
        lengths : ndarray of int64 of shape (m,)
        """
        values: Any = self.values
        if self.lengths is None:
            places = np.arange(len(self))
            for block in row_blocks(values if self.rows is None else np.broadcast_to(values[:1], self.shape)):
                rows = places[block]
                steps = values[block] if self.rows is None else values[self.rows[block]]
                yield rows, steps.reshape(-1, values.shape[-1]), np.full(len(rows), values.shape[1])
            return
        order = np.argsort(-self.lengths, kind="stable")
        start = 0
        while start < len(order):
            longest = int(self.lengths[order[start]])
            rows = order[start : start + max(1, _BLOCK_NUMBERS // (longest * values.shape[-1]))]
            start += len(rows)
            yield rows, values[self._places_of_steps(rows)], self.lengths[rows]

    def _places_of_steps(self, rows: np.ndarray) -> np.ndarray:
        """Positions of the steps of sequences of unequal length, one sequence after the other."""
        return steps_of(rows, self.offsets, self.lengths)  # type: ignore[arg-type]

    def padded_left(self) -> np.ndarray:
        """(n, L, d): zeros before the first step of shorter sequences, which do not affect a bias-free ReLU network."""
        if self.lengths is None:
            return next(self.by_length())[1]
        padded = np.zeros(self.shape, dtype=self.values.dtype)  # type: ignore[arg-type]
        for rows, part in self.by_length():
            padded[rows, padded.shape[1] - part.shape[1] :] = part
        return padded

    def ends(self) -> NDArray[np.float64]:
        """Smallest and largest number of every channel, (2, d), as a network reads them."""
        values: Any = self.values.cpu().numpy() if isinstance(self.values, Tensor) else self.values
        size = max(1, _BLOCK_NUMBERS // math.prod(values.shape[1:]))
        parts = []
        for start in range(0, len(values) if self.rows is None else len(self.rows), size):
            block = slice(start, start + size)
            part = values[block if self.rows is None else self.rows[block]].reshape(-1, values.shape[-1])
            parts.append((part.min(0), part.max(0)))
        lower, upper = zip(*parts, strict=True)
        return np.stack((np.min(lower, 0), np.max(upper, 0))).astype(np.float32).astype(np.float64)

    def spread(self) -> float:
        """Standard deviation of all numbers."""
        parts = [part[block] for _, part in self.by_length() for block in row_blocks(part)]
        mean = sum(float(part.sum(dtype=np.float64)) for part in parts) / self.n_numbers
        return float(
            np.sqrt(sum(float(np.square(part - mean).sum(dtype=np.float64)) for part in parts) / self.n_numbers)
        )

    def some_steps(self, n_numbers: int) -> np.ndarray:
        """Steps (m, d) at even distances, unchanged: all of them, or at most twice the requested numbers."""
        values: Any = self.values
        every = min(max(1, self.n_numbers // n_numbers), len(values))
        part = values[::every] if self.rows is None else values[self.rows[::every]]
        if part.ndim == 3:
            part = part[:, :: max(1, part.size // n_numbers)]
        return part.reshape(-1, part.shape[-1])

    def some(self, n_numbers: int, n_steps: int, n_channels: int) -> np.ndarray:
        """Sequences of one length at even distances, about this many numbers: some first steps and channels of each."""
        values: Any = self.values
        shape = (min(n_steps, values.shape[1]), min(n_channels, values.shape[2]))
        every = max(1, len(self) * math.prod(shape) // n_numbers)
        rows = slice(None, None, every) if self.rows is None else self.rows[::every]
        return np.asarray(values[rows, : shape[0], : shape[1]])

    def _padded(self, rows: np.ndarray) -> dict[str, Tensor]:
        lengths = self.lengths[rows]  # type: ignore[index]
        steps = np.arange(lengths.max())
        inside = steps < lengths[:, None]  # (b, longest)
        places = np.where(inside, self.offsets[rows, None] + steps, 0)
        X = self._steps(places) * torch.from_numpy(inside).to(self.device)[:, :, None]
        return {"X": X} if inside.all() else {"X": X, "lengths": torch.from_numpy(lengths).to(self.device)}

    def _steps(self, places: np.ndarray) -> Tensor:
        """Single steps of sequences of unequal length."""
        if isinstance(self.values, Tensor):
            return self.values[torch.from_numpy(places).to(self.device)]
        return as_tensor(self.values[places], self.device)

    def _places(self, rows: Tensor) -> np.ndarray:
        places = rows.cpu().numpy()
        return places if self.rows is None else self.rows[places]

    def _gathered(self, places: np.ndarray) -> Tensor:
        copy = torch.empty(len(places), *self.values.shape[1:], dtype=torch.float32)
        self._gather(places, copy.numpy())
        return copy

    def _gather(self, places: np.ndarray, out: np.ndarray) -> None:
        """Rows of the array in the first rows of ``out``, read in the order of the file."""
        values: Any = self.values
        order = np.argsort(places, kind="stable")
        size = max(1, _PIECE // (8 * math.prod(values.shape[1:])))
        for start in range(0, len(order), size):
            piece = order[start : start + size]
            out[piece] = _through_float64(values[places[piece]])


def steps_of(rows: np.ndarray, offsets: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Positions of the steps of some consecutive sequences, from the start of each sequence, and their lengths."""
    some = lengths[rows]
    return np.repeat(offsets[rows] - (np.cumsum(some) - some), some) + np.arange(some.sum())


def as_tensor(values: np.ndarray, device: str | torch.device = "cpu") -> Tensor:
    """A float32 copy in torch's own memory."""
    copy = torch.empty(values.shape, dtype=torch.float32)
    if values.dtype.kind == "f" and values.dtype.itemsize <= 8:
        np.copyto(copy.numpy(), values, casting="unsafe")
    else:
        size = max(1, _PIECE // max(1, 8 * math.prod(values.shape[1:])))
        for start in range(0, len(values), size):
            copy[start : start + size].numpy()[...] = _through_float64(values[start : start + size])
    return copy.to(device)


def _through_float64(values: np.ndarray) -> np.ndarray:
    """Convert other types to float64 first, then to float32: rounded twice, as in memory."""
    return values if values.dtype.kind == "f" and values.dtype.itemsize <= 8 else values.astype(np.float64)


def is_mapped(values: Any) -> bool:
    """Whether the values are in a mapped file: a ``numpy.memmap``, or a view, slice or reshaped form of one.

    After fancy indexing, arithmetic or a change of dtype the result is an array in memory like any other.
    """
    owner = values
    while owner is not None:
        if isinstance(owner, mmap.mmap):
            return True
        owner = owner.obj if isinstance(owner, memoryview) else getattr(owner, "base", None)
    return False


def row_blocks(values: np.ndarray) -> Iterator[slice]:
    """Consecutive rows, about two million numbers at a time and at least one row."""
    size = max(1, _BLOCK_NUMBERS // max(1, math.prod(values.shape[1:])))
    return (slice(start, start + size) for start in range(0, len(values), size))


def beyond(values: np.ndarray, largest: float) -> bool:
    """Whether an absolute value of an array without NaN is above ``largest``; read once, without a copy."""
    blocks = (values[rows] for rows in row_blocks(values))
    # Ends, before they are compared: np.abs would make a copy.
    return any(max(float(block.max(initial=0)), -float(block.min(initial=0))) > largest for block in blocks)


def as_sequences(
    estimator: Any, X: Any, y: Any = _ABSENT, *, reset: bool, numeric_y: bool = False, min_samples: int = 1
) -> Any:
    """Validate X, and y in fit, and fold X to `Sequences`.

    ``n_features_in_`` is the number of columns, L·d, after 2-D input, as scikit-learn's checks expect. Otherwise it is
    the number of channels d. ``feature_names_in_`` likewise names columns or channels.

    Parameters
    ----------
    estimator : estimator with ``n_channels`` and ``layout``
    X : array-like of shape (n, L * d), time-major columns, or (n, L, d); list of n arrays of shape (L_i, d); or
        A DataFrame may also have columns of two levels, time and channel. With ``layout="nct"``, X is (n, d, L) or (d,
        L_i), and the columns of rows are channel-major; the result is the same.
    y : array-like, optional
        Required with ``reset``; None is refused.
    reset : bool
        True in fit: the form of X is recorded. False later: it is compared.
    numeric_y : bool, default=False
        Whether y must be numbers, one or several for each sequence.
    min_samples : int, default=1
        Smallest number of sequences; checked together with y.

    Returns
    -------
    X : Sequences; with y, the pair (X, y)
        Values in float32 or float64. A memory-mapped array is included as a view in its own dtype, not copied.
    """
    layout = Layout.of(estimator)
    if layout.name == "nct":  # the only function that converts X to sequences; rows are folded with their names known
        X = axes_swapped(X)
    if not reset and y is _ABSENT and _is_in_order(estimator, X):
        return Sequences(X)
    try:
        return _as_sequences(estimator, X, y, reset, numeric_y, min_samples)
    except OverflowError as error:
        raise ValueError(f"X or y holds a number that is beyond float64: {error}.") from error


def _is_in_order(estimator: Any, X: Any) -> bool:
    """Whether all checks would return X unchanged: they take a twentieth of a small prediction's time."""
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


def _as_sequences(estimator: Any, X: Any, y: Any, reset: bool, numeric_y: bool, min_samples: int) -> Any:
    if not reset:
        check_is_fitted(estimator)
    with_y = y is not _ABSENT  # None is a target that the user has forgotten
    refuse_nested(X)
    refuse_times(X)
    refuse_other_rows(y, X, "y")
    y = _as_plain_y(y, numeric_y) if with_y else None
    sequences, channels, lengths = sequences_in(X), None, None
    if sequences is not None:
        X, lengths = _check_list(estimator, sequences)
        channels = sequences[0]
    elif is_wide(X):
        ordered, channels, shape = read_wide(X)
        X = check_array(ordered, dtype=_DTYPES, estimator=estimator, input_name="X").reshape(shape)
    X = as_plain(X)
    if channels is not None:
        # The remaining check of X, its channels, comes last: scikit-learn's checks look for the names in X itself.
        if with_y:
            n = len(X) if lengths is None else len(lengths)
            _, y = check_X_y(
                np.zeros((n, 1)),
                y,
                estimator=estimator,
                multi_output=numeric_y,
                y_numeric=numeric_y,
                ensure_min_samples=min_samples,
            )
    else:
        of_y = {"y": y, "multi_output": numeric_y, "y_numeric": numeric_y, "ensure_min_samples": min_samples}
        checked = _check_array(estimator, X, of_y if with_y else {}, reset)
        X, y = checked if with_y else (checked, None)
    folded = _fold(estimator, X, lengths, reset=reset)
    if channels is not None and (reset or not estimator._fitted_flat):
        # The first sequence represents all: its columns are counted and, in a DataFrame, named.
        check_names(estimator, channels, reset=reset)
        validate_data(estimator, X=channels, reset=reset, skip_check_array=True)
    values: Any = folded.values
    if values.dtype.kind == "f" and values.dtype.itemsize > 4 and beyond(values, _LARGEST):
        raise ValueError("X holds values too large for float32, in which the network computes. Rescale it.")
    return (folded, y) if with_y else folded


def warn_if_rows_are_times(X: Any, n_channels: int, who: str) -> None:
    """Warn if X is a table whose index suggests one row per time step, since each row is read as a sequence."""
    index, columns = row_labels(X), names_of_columns(X)
    kind = type(index).__name__
    with_ids = getattr(index, "nlevels", 1) == 2 and has_times(index)
    if not (kind in ("DatetimeIndex", "PeriodIndex") or with_ids) or columns is None or n_channels != 1 or is_wide(X):
        return
    what = "index of id and time" if with_ids else kind
    gather = (
        "read_sequences(X) makes a sequence of the rows of each id"
        if with_ids
        else ("SequencesFromTable makes sequences of a table of many series")
    )
    warnings.warn(
        f"The rows of X are time steps, judging by its {what}, but {who} reads each row as one sequence of "
        f"{len(columns)} steps of one channel. Cut windows: X, y = sliding_windows(table, window=..., target=...); "
        f"{gather}. If every row is a sequence, pass X.to_numpy().",
        DataWarning,
        stacklevel=caller_level(),
    )


def _as_plain_y(y: Any, numeric: bool) -> Any:
    missing = getattr(y, "isna", None)
    if callable(missing) and bool(np.any(np.asarray(missing()))):  # pandas' own missing values confuse the next steps
        raise ValueError("Input y contains NaN or missing values: every sequence needs a target.")
    return targets_in(y) if numeric else as_plain(y, "y")


def shape_as_given(X: Any, folded: Sequences) -> tuple[int, ...]:
    """Axes of X for the caller: those of an array; for lists and wide tables, the folded ones."""
    stacked = is_wide(X) or sequences_in(X) is not None
    return folded.shape if stacked else np.shape(X)


def _check_array(estimator: Any, X: Any, of_y: dict[str, Any], reset: bool) -> Any:
    """X, or the pair with y, checked by scikit-learn; ``of_y`` has its arguments about y."""
    ndim = n_axes(X)
    if ndim > 3:
        raise ValueError(
            f"X has {ndim} axes. {type(estimator).__name__} takes sequences of shape (n_samples, n_steps, "
            "n_channels), rows of shape (n_samples, n_steps * n_channels), or a list of (n_steps, n_channels) arrays."
        )
    if not reset and ndim == 2 and not estimator._fitted_flat and np.shape(X) == (1, estimator._n_channels):
        X, ndim = np.asarray(X)[None], 3  # one sequence of one step, for either missing axis
    flat = ndim != 3
    if not reset and ndim == 2 and not estimator._fitted_flat:
        raise ValueError(
            f"X has 2 axes, but {type(estimator).__name__} was fitted on sequences of shape (n_samples, n_steps, "
            f"n_channels={estimator.n_features_in_}). Reshape X to three axes."
        )
    # A file of any type is read a part at a time; scikit-learn would convert a copy of the whole.
    mapped = isinstance(X, np.ndarray) and X.dtype.kind in "biuf" and is_mapped(X)
    check_names(estimator, X, reset=reset)
    return validate_data(
        estimator,
        X=X,
        **of_y,
        reset=reset,
        allow_nd=not flat,
        ensure_2d=flat,
        dtype=None if mapped else _DTYPES,
    )


def _check_list(estimator: Any, sequences: list) -> tuple[np.ndarray, NDArray[np.int64] | None]:
    """Checked sequences (L_i, d), as (n, L, d), or one after the other with their lengths."""
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
        return values.reshape(len(arrays), lengths[0], -1), None
    return values, lengths


def _fold(estimator: Any, X: np.ndarray, lengths: NDArray[np.int64] | None, *, reset: bool) -> Sequences:
    flat = X.ndim == 2 and lengths is None
    if lengths is None:
        folded = Sequences(Layout.of(estimator).folded(X, folded_shape(estimator, X.shape, reset=reset)))
    else:
        folded = Sequences(X, lengths)
        check_channels(estimator, folded.shape, reset=reset)
    if reset:
        estimator._fitted_flat, estimator._n_channels = flat, folded.shape[2]
        if not flat:
            estimator.n_features_in_ = folded.shape[2]
    return folded


def last_steps(X: Tensor, lengths: Tensor | None, n_steps: int) -> Tensor:
    """The last steps (n, n_steps * d) of sequences X (n, L, d), all channels of the first of them first.

    Sequence i ends after ``lengths[i]`` steps, by default after L. Zeros replace the steps that a shorter sequence
    lacks.
    """
    if lengths is None:
        missing = n_steps - X.shape[1]
        last = torch.nn.functional.pad(X, (0, 0, missing, 0)) if missing > 0 else X[:, -n_steps:]
    else:
        places = lengths[:, None] - n_steps + torch.arange(n_steps, device=X.device)  # (n, n_steps)
        last = X[torch.arange(len(X), device=X.device)[:, None], places.clamp_min(0)] * (places >= 0)[:, :, None]
    return last.flatten(1)
