"""Order of the axes of X: (n, time, channels), as the package computes, or (n, channels, time)."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sklstm._tables import as_one_channel, as_plain, is_wide, n_axes, names_of_columns, sequences_in
from sklstm._validation import Choice

LayoutName = Literal["ntc", "nct"]
LAYOUT = Choice(("ntc", "nct"))


@dataclass(frozen=True)
class Layout:
    """How a model reads X.

    Data with names of channels are read by these names in both layouts. These are lists of data frames, whose columns
    are the channels, and wide tables, whose columns name time and channel. Under "nct", rows (n, L * d) have all steps
    of one channel after the other. This also holds for tables with one level of columns, which name no channels.

    Attributes
    ----------
    name : {"ntc", "nct"}
    n_channels : int
        Channels of a step in rows (n, L * d).
    """

    name: str = "ntc"
    n_channels: int = 1

    @classmethod
    def of(cls, estimator: Any) -> "Layout":
        """The layout of an estimator with ``layout`` and ``n_channels``; ``ValueError`` for an unknown layout."""
        LAYOUT.check("layout", estimator.layout)
        return cls(str(estimator.layout), estimator.n_channels)

    def to_ntc(self, X: Any) -> Any:
        """X in its form, with time steps before channels: a view of an array, a list of views, reordered columns."""
        if self.name == "ntc" or is_wide(X):
            return X
        return _with_columns(X, self._columns(X)) if self._is_rows(X) else axes_swapped(X)

    def from_ntc(self, X: Any) -> Any:
        """The inverse of `to_ntc`."""
        if self.name == "ntc" or is_wide(X):
            return X
        return _with_columns(X, np.argsort(self._columns(X))) if self._is_rows(X) else axes_swapped(X)

    def sizes_to_ntc(self, sizes: Any, X: Any, name: str) -> Any:
        """Sizes of input errors without labels, with time steps before channels.

        Raises
        ------
        ValueError
            If they have several axes, but not those of the original array X.
        """
        if self.name == "ntc" or is_wide(X) or _are_frames(X):
            return sizes
        if isinstance(sizes, list | tuple) and any(n_axes(entry) == 2 for entry in sizes):
            return [self.size_to_ntc(entry, name) for entry in sizes]
        axes = n_axes(sizes)
        if self._is_rows(X):
            columns = self._columns(X)
            per_column = axes in (1, 2) and np.shape(sizes)[-1] == len(columns)
            return np.asarray(as_plain(sizes, name))[..., columns] if per_column else sizes
        if axes not in (2, 3):
            return sizes
        given, shape = np.asarray(as_plain(sizes, name)), np.shape(X) if sequences_in(X) is None else None
        if shape is not None and not _broadcasts(given.shape, shape):
            raise ValueError(
                f"{name} has shape {given.shape}. With layout='nct' it must be one number, ({shape[1]},) per channel, "
                f"{shape[1:]}, or the shape of X, {shape}, in which axes may be 1."
            )
        return given.swapaxes(-1, -2)

    def size_to_ntc(self, size: Any, name: str) -> Any:
        """The same for one entry of a list."""
        return np.asarray(as_plain(size, name)).T if self.name == "nct" and n_axes(size) == 2 else size

    def names_to_ntc(self, names: Any, X: Any) -> Any:
        """Names of the channels or columns of the original X, in the order of `to_ntc`."""
        if self.name == "ntc" or names is None or not self._is_rows(X) or len(names) != len(self._columns(X)):
            return names
        return [names[place] for place in self._columns(X)]

    def folded(self, rows: NDArray, shape: tuple[int, int, int]) -> NDArray:
        """Rows (n, L * d) or sequences with steps first as (n, L, d), a view."""
        if self.name == "ntc" or rows.ndim == 3:
            return rows.reshape(shape)
        n, n_steps, d = shape
        return rows.reshape(n, d, n_steps).swapaxes(1, 2)

    def unfolded(self, sequences: NDArray, shape: tuple[int, ...]) -> NDArray:
        """The inverse of `folded`, to the original shape."""
        if self.name == "nct" and len(shape) == 2:
            sequences = sequences.swapaxes(1, 2)
        return sequences.reshape(shape)

    def last_of(self, names: list, n_channels: int) -> list:
        """Of the names of channels, or of the columns of rows, those of the last step's channels."""
        n_steps = len(names) // n_channels
        return names[n_steps - 1 :: n_steps] if self.name == "nct" and n_steps else names[-n_channels:]

    def _is_rows(self, X: Any) -> bool:
        return n_axes(X) == 2 and sequences_in(X) is None

    def _columns(self, X: Any) -> NDArray[np.int64]:
        """For each column of rows with all channels of the first step first, its original position."""
        places = np.arange(np.shape(X)[1])
        return places if len(places) % self.n_channels else places.reshape(self.n_channels, -1).T.ravel()


NTC = Layout()


def axes_swapped(X: Any, name: str = "X") -> Any:
    """X with its last two axes swapped: of arrays with three axes, and of the entries of lists.

    Anything else is not changed: rows, and sequences in data frames.

    Raises
    ------
    ValueError
        If an entry of a list does not have two axes, or has another number of channels than the first.
    """
    sequences = None if names_of_columns(X) is not None else sequences_in(X)
    if sequences is not None:
        arrays = [entry if hasattr(entry, "columns") else np.asarray(as_plain(entry, name)) for entry in sequences]
        for i, (array, entry) in enumerate(zip(arrays, sequences, strict=True)):
            axes = len(array.shape)  # frames of polars have no ndim
            if axes != 2:
                hint = as_one_channel(entry, "(1, n_steps)", "(1, -1)") if axes == 1 else ""
                raise ValueError(
                    f"{name}[{i}] has shape {array.shape}, but with layout='nct' every sequence of a list must have "
                    f"shape (n_channels, n_steps).{hint}"
                )
        if all(isinstance(entry, list | tuple) for entry in sequences) and len({array.shape for array in arrays}) == 1:
            return np.stack(arrays).swapaxes(1, 2)  # nested lists of one shape are an array
        return [array if hasattr(array, "columns") else array.T for array in arrays]
    return np.asarray(as_plain(X, name)).swapaxes(1, 2) if n_axes(X) == 3 else X


def _are_frames(X: Any) -> bool:
    sequences = None if hasattr(X, "columns") else sequences_in(X)
    return sequences is not None and hasattr(sequences[0], "columns")


def _with_columns(X: Any, places: NDArray[np.int64]) -> Any:
    if hasattr(X, "iloc"):
        return X.iloc[:, places]
    if hasattr(X, "columns"):
        return X[[X.columns[place] for place in places]]
    return np.asarray(as_plain(X))[:, places]


def _broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    return all(size in (1, full) for size, full in zip(shape[::-1], to[::-1], strict=False))
