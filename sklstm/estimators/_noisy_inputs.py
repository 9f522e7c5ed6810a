"""Noise on sequences in every form that users have."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sklstm._layout import NTC, Layout
from sklstm._sizes import sizes_by_position
from sklstm._tables import as_plain, filled_like, is_wide, n_axes, sequences_in, wide_places
from sklstm._validation import NON_NEGATIVE
from sklstm.noise import noise_of_kind

# From a sequence, the sizes of its noise, a number of copies and a generator to noisy copies (m, ...).
Draw = Callable[[NDArray[Any], NDArray[np.float64], int, np.random.Generator], NDArray[np.float64]]

_BLOCK_NUMBERS = 1 << 21  # of copies in memory at a time
_BLOCK_COPIES = 1 << 11  # that are worth a call of predict


def check_sizes(sigma: Any, name: str = "sigma") -> float:
    """Check standard deviations of noise: a number, an array of numbers, or numbers by label.

    Returns
    -------
    float
        The largest standard deviation.

    Raises
    ------
    ValueError
        If one is negative or not finite, or if there are none.
    TypeError
        If one is not a number.
    """
    values = as_plain(sigma, name)
    if hasattr(values, "columns"):
        raise TypeError(f"{name} must be a number, an array, a Series or a dict, not a table.")
    if isinstance(values, Mapping):
        values = list(values.values())
    try:
        array = np.asarray(values)
    except ValueError as error:  # rows of unequal length
        raise TypeError(f"{name} must be a number, an array of numbers, or numbers by label; got {sigma!r}.") from error
    if array.size == 0:
        raise ValueError(f"{name} is empty. Give one number, or one for each channel.")
    about = f"every entry of {name}" if array.ndim else name
    for value in array.astype(object).ravel().tolist():
        NON_NEGATIVE.check(about, value)
    return float(array.max())


def noisy_inputs(
    X: Any,
    sigma: Any,
    rng: np.random.Generator,
    noise: str = "gaussian",
    *,
    name: str = "sigma",
    names: Any = None,
    layout: Layout = NTC,
) -> Any:
    """X plus independent noise, in the form of X; X itself is not changed.

    Sequences get the same noise as an array, rows, a list, or a wide table, and in either layout.

    Parameters
    ----------
    X : array-like of shape (n, L, d) or (n, L * d), DataFrame of numbers, or list of n arrays (L_i, d)
    sigma : float, array-like, Series or dict
        Standard deviation: one number, one for each channel, or an array that broadcasts to X, or to each sequence of a
        list. Labels are those of the channels or columns of X.
    rng : numpy Generator
        Source of the noise.
    noise : str
        A key of `sklstm.noise.NOISES`.
    name : str
        Name of `sigma` in errors.
    names : sequence, optional
        Names of the channels or columns, for an X that has no labels itself.
    layout : Layout
        Layout of X and of an array `sigma`.

    Raises
    ------
    TypeError
        If X contains something other than numbers.
    ValueError
        If `sigma` does not broadcast to X, or its labels are not those of X.
    """
    sigma = sizes_by_position(sigma, X, name, names=names, layout=layout)
    X = layout.to_ntc(X)
    entries = list_of(X)
    tables = [NoisyTable.of(entry, sigma, name) for entry in ([X] if entries is None else entries)]
    noisy = [
        table.filled(table.values + noise_of_kind(noise).draw_array(table.values, table.sizes, rng)) for table in tables
    ]
    return layout.from_ntc(noisy[0] if entries is None else noisy)


@dataclass(frozen=True)
class NoisyTable:
    """X as numbers, step by step, with the sizes of their noise.

    Attributes
    ----------
    given : array-like
        X as the caller passed it.
    values, sizes : ndarray of shape (n, ...)
        Arrays of one shape; the sizes may be repeated without taking memory.
    order : ndarray of int64 or None
        Positions in X of the columns of a wide table, step by step.
    """

    given: Any
    values: NDArray[Any]
    sizes: NDArray[np.float64]
    order: NDArray[np.int64] | None

    @classmethod
    def of(cls, X: Any, sigma: Any, name: str) -> Self:
        """Build it from sizes without labels; errors as in `noisy_inputs`."""
        values = _numbers(X)
        if np.ndim(values) == 0:
            raise TypeError(f"X must be sequences, got {X!r:.80}. One sequence of one step and channel is [[[x]]].")
        sizes, order, shape = _sizes(sigma, X, values.shape, name)
        return cls(X, (values if order is None else values[:, order]).reshape(shape), sizes, order)

    def filled(self, values: NDArray[Any]) -> Any:
        """Other numbers in the form of X, with any number of rows."""
        flat = values.reshape(len(values), *np.shape(self.given)[1:])
        return filled_like(self.given, flat if self.order is None else flat[:, np.argsort(self.order)])


class NoisyCopies:
    """Noisy copies of each sequence of X, in the form of X.

    Parameters
    ----------
    X, sigma, layout
        As in `noisy_inputs`.
    names : sequence, optional
        Names of the channels or columns, for an X that has no labels itself.
    """

    def __init__(self, X: Any, sigma: Any, names: Any = None, layout: Layout = NTC):
        check_sizes(sigma)
        sigma = sizes_by_position(sigma, X, "sigma", names=names, layout=layout)
        X, self._layout = layout.to_ntc(X), layout
        self._entries = list_of(X)
        if self._entries is None:
            self._tables = [NoisyTable.of(X, sigma, "sigma")]
        else:
            self._tables = [NoisyTable.of(entry, sigma, "sigma") for entry in self._entries]

    def __len__(self) -> int:
        return len(self._tables[0].values) if self._entries is None else len(self._entries)

    def numbers(self, row: int) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """Numbers of a sequence and the sizes of their noise, in one shape."""
        if self._entries is None:
            return self._tables[0].values[row], self._tables[0].sizes[row]
        return self._tables[row].values, self._tables[row].sizes

    def filled(self, rows: Sequence[int], copies: Sequence[NDArray[Any]]) -> Any:
        """Copies (m, ...) of some sequences with other numbers, in the form of X, one sequence after the other."""
        if self._entries is None:
            values = copies[0] if len(copies) == 1 else np.concatenate(copies)
            return self._layout.from_ntc(self._tables[0].filled(values))
        every = zip(rows, copies, strict=True)
        return self._layout.from_ntc([self._tables[row].filled(copy) for row, some in every for copy in some])

    def groups(self, rows: Iterable[int], n_draws: int) -> Iterator[tuple[list[int], int]]:
        """Sequences to draw together, and copies of each at a time: at most two million numbers, or one copy."""
        group: list[int] = []
        count = 0
        for row in rows:
            size = max(1, self.numbers(row)[0].size) * n_draws
            if group and (count + size > _BLOCK_NUMBERS or (len(group) + 1) * n_draws > _BLOCK_COPIES):
                yield group, n_draws
                group, count = [], 0
            if size > _BLOCK_NUMBERS:
                yield [row], max(1, _BLOCK_NUMBERS * n_draws // size)
                continue
            group.append(row)
            count += size
        if group:
            yield group, n_draws


def list_of(X: Any) -> list | None:
    """The sequences of a list; None for an array, a table, or nested lists that have the shape of an array."""
    sequences = None if hasattr(X, "columns") else sequences_in(X)
    if sequences is None or n_axes(sequences[0]) < 2 or not isinstance(sequences[0], list | tuple):
        return sequences
    return None if len({len(each) for each in sequences}) == 1 else sequences


def _numbers(X: Any) -> NDArray[Any]:
    values = np.asarray(as_plain(X))
    if values.dtype.kind == "O" and hasattr(X, "columns"):  # pandas' nullable numbers
        try:
            values = np.asarray(X, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise TypeError("noise can be added to numbers only, but a column of X holds something else.") from error
    if values.dtype.kind not in "biuf":
        raise TypeError(f"noise can be added to numbers only, but X holds {values.dtype}.")
    return values


def _sizes(
    sigma: Any, X: Any, shape: tuple[int, ...], name: str
) -> tuple[NDArray[np.float64], NDArray[np.int64] | None, tuple[int, ...]]:
    """Standard deviations in the shape of the folded X, with columns of a wide table step by step, and that shape."""
    sizes = np.asarray(as_plain(sigma, name), dtype=np.float64)
    if sizes.ndim == 0:
        return np.broadcast_to(sizes, shape), None, shape
    order = None
    if is_wide(X):
        places, _ = wide_places(X)
        order, shape = places.ravel(), (shape[0], *places.shape)
        if sizes.shape == order.shape:
            sizes = sizes[order].reshape(shape[1:])
    elif len(shape) == 2 and sizes.ndim == 1 and len(sizes) and shape[1] % len(sizes) == 0:
        shape = (shape[0], shape[1] // len(sizes), len(sizes))  # rows, with all channels of the first step first
    try:
        return np.broadcast_to(sizes, shape), order, shape
    except ValueError as error:
        raise ValueError(
            f"{name} has shape {sizes.shape}, which does not broadcast to {shape}. Give one number, or one for each "
            "channel."
        ) from error
