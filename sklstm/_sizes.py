"""Sizes of input errors: labels are matched with those of X, or refused, never taken by position."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from sklstm._labels import counted, different_labels, first_labels, row_labels
from sklstm._layout import NTC, Layout
from sklstm._tables import is_wide, n_axes, names_of_columns, read_wide, sequences_in

_MOST = 20  # labels in an error


def sizes_by_position(
    sizes: Any, X: Any, name: str, *, names: Any = None, wide: bool = True, layout: Layout = NTC
) -> Any:
    """Sizes with labels as arrays in the order of X, sizes without labels unchanged; all with steps before channels.

    A Series or a dict has the labels of channels or columns. A data frame has these as its columns, and the labels of
    sequences or of time steps as its rows. A Series or data frame that counts its entries from 0, as pandas does by
    default, has no labels. Rows are compared, but not reordered.

    Parameters
    ----------
    sizes : float, array-like, Series, DataFrame, dict, or a list with one of these for each sequence
    X : array-like
        X as the caller passed it.
    name : str
        Name of the sizes in errors.
    names : sequence, optional
        Names of the columns or channels that a model was fitted on, for an X that has no labels itself.
    wide : bool
        Whether a table whose columns have two levels is read as times and channels.
    layout : Layout
        Layout of X, and of sizes without labels.

    Returns
    -------
    object
        An array (d,) for labels of channels, (L * d,) for columns, (L, d) for columns of a wide table, and with one
        more axis for data frames. In a list it is (1, d) instead of (d,), for one sequence.

    Raises
    ------
    ValueError
        If sizes have labels that X does not have, lack one of X, have one twice, or have labels although X has none.
    """
    entries = _entries(sizes)
    if entries is None and not _has_labels(sizes):
        return layout.sizes_to_ntc(sizes, X, name)
    tables = None if hasattr(X, "columns") else sequences_in(X)
    if entries is None:
        labels = _Labels.of(layout.to_ntc(X), tables, layout.names_to_ntc(names, X), wide)
        return labels.in_order(sizes, name, lambda values: layout.sizes_to_ntc(values, X, name))
    if _has_labels(sizes):  # a Series of arrays or of tables
        _check_rows(sizes.index, [row_labels(X)], name)
    if not any(map(_has_labels, entries)):
        return layout.sizes_to_ntc(entries, X, name)
    n = len(X if tables is None else tables)
    if len(entries) != n:
        raise ValueError(f"{name} has {len(entries)} entries with labels, but X has {n} sequences.")
    labels = _Labels.of(layout.to_ntc(X), tables, layout.names_to_ntc(names, X), wide)
    framed = tables is not None and hasattr(tables[0], "columns")
    found = []
    for i, entry in enumerate(entries):
        own = labels if tables is None else replace(labels, rows=[row_labels(tables[i])])
        array = own.in_order(entry, f"{name}[{i}]", lambda size: size if framed else layout.size_to_ntc(size, name))
        found.append(array[None] if labels.channels and _has_labels(entry) and array.ndim == 1 else array)
    return found


@dataclass(frozen=True)
class _Labels:
    """Labels of X: of its channels or columns, and of its rows.

    Attributes
    ----------
    known : list of (list, tuple of int)
        Labels in their order, and the shape of sizes for them. No entry if X has no labels.
    channels : bool
        Whether they are labels of channels of sequences; otherwise of columns of a table.
    rows : list
        Labels of the rows of every table; None for one without labels.
    level_names : list
        Names of the two levels of the columns of a wide table, in the order of the labels; otherwise empty.
    times : Index or None
        Labels of the time steps of a wide table.
    """

    known: list[tuple[list, tuple[int, ...]]]
    channels: bool
    rows: list
    level_names: list
    times: Any = None

    @classmethod
    def of(cls, X: Any, tables: list | None, names: Any, wide: bool) -> Self:
        columns: Any = getattr(X if tables is None else tables[0], "columns", None)
        if tables is None and is_wide(X):
            if not wide:
                return cls([(list(columns), (-1,))], False, [row_labels(X)], list(columns.names))
            ordered, head, (_, *shape) = read_wide(X)
            known = [(list(ordered.columns), tuple(shape)), (list(head.columns), (-1,))]
            times = ordered.columns.get_level_values(0).unique()
            return cls(known, True, [row_labels(X)], list(ordered.columns.names), times)
        labels = names if columns is None else columns
        rows = [row_labels(table) for table in ([X] if tables is None else tables)]
        flat = tables is None and n_axes(X) == 2
        return cls([] if labels is None else [(list(labels), (-1,))], not flat, rows, [])

    def in_order(self, sizes: Any, name: str, by_position: Callable[[Any], Any]) -> Any:
        """Sizes as an array in the order of these labels; sizes without labels as this function receives them."""
        if not _has_labels(sizes):
            return by_position(sizes)
        is_table = hasattr(sizes, "columns")
        if isinstance(sizes, Mapping):
            axis, labels, values = None, list(sizes), np.array(list(sizes.values()), dtype=object)
            if values.ndim != 1:
                raise TypeError(f"{name} must have one number for each label, got {sizes!r:.80}.")
            values = np.array(values.tolist())
        else:
            axis = sizes.columns if is_table else sizes.index
            labels, values = list(axis), np.asarray(sizes.to_numpy())
        rows = self.rows
        if axis is not None and counted(labels):
            self._check_counted(labels, name)
            values = by_position(values)
        else:
            order, shape = self._order(labels, list(getattr(axis, "names", [])), name)
            if self.times is not None and shape == (-1,):
                rows = [self.times]
            values = values[..., order].reshape(*values.shape[:-1], *shape)
        if is_table and hasattr(sizes, "index"):
            _check_rows(sizes.index, rows, name)
        return values

    def _check_counted(self, labels: list, name: str) -> None:
        for known, _ in self.known:
            if len(known) == len(labels) and set(known) == set(labels) and known != labels:
                raise ValueError(
                    f"{name} counts its entries from 0, but the {self._what} of X have the same labels in another "
                    f"order, {first_labels(known, _MOST)}. Give an array for sizes by position, or a dict for sizes by "
                    "label."
                )

    def _order(self, labels: list, level_names: list, name: str) -> tuple[list[int], tuple[int, ...]]:
        """For each known label its position among those of the sizes, and the shape of the result."""
        if not self.known:
            own = first_labels(labels, _MOST)
            raise ValueError(f"{name} has labels, {own}, but X has none. Give an array for sizes by position.")
        for those, whose in ((labels, name), (self.known[0][0], "X")):
            if len(set(those)) < len(those):
                twice = next(label for label in those if those.count(label) > 1)
                raise ValueError(f"{whose} has a label twice: {twice!r}. Give an array for sizes by position.")
        pairs = all(isinstance(label, tuple) and len(label) == 2 for label in labels)
        orders = [labels]
        if pairs:
            swapped = [(second, first) for first, second in labels]
            by_name = level_names == self.level_names[::-1] and level_names != self.level_names
            orders = [swapped, labels] if by_name else [labels, swapped]
        for known, shape in self.known:
            for each in orders:
                if len(known) == len(each) and set(known) == set(each):
                    place = {label: i for i, label in enumerate(each)}
                    return [place[label] for label in known], shape
        # The last are the channels, which are meant more often than all columns of a wide table.
        known = self.known[0][0] if pairs else self.known[-1][0]
        unknown = [label for label in orders[0] if label not in set(known)]
        missing = [label for label in known if label not in set(orders[0])]
        problem = "has labels that X has not," if unknown else "has no size for"
        problem = f"{problem} {first_labels(unknown or missing, _MOST)}"
        raise ValueError(
            f"{name} {problem}: the labels must be the {self._what} of X, {first_labels(known, _MOST)}, each once. "
            "Give an array for sizes by position."
        )

    @property
    def _what(self) -> str:
        return "channels" if self.channels else "columns"


def _entries(sizes: Any) -> list | None:
    """Sizes given one by one; None for a number, an array, a table, or numbers by label."""
    if isinstance(sizes, list | tuple):
        return list(sizes)
    of_objects = getattr(getattr(sizes, "dtype", None), "kind", "") == "O" and getattr(sizes, "ndim", None) == 1
    entries = list(sizes) if of_objects else []
    return entries if entries and (_has_labels(entries[0]) or n_axes(entries[0]) > 0) else None


def _has_labels(sizes: Any) -> bool:
    """Whether it is a dict, a Series or a data frame. (A list has a method called ``index``.)"""
    return isinstance(sizes, Mapping) or names_of_columns(sizes) is not None or row_labels(sizes) is not None


def _check_rows(labels: Any, expected: list, name: str) -> None:
    """Compare the row labels of sizes with those of every table."""
    by_position = counted(labels)
    for theirs in expected:
        if theirs is None:
            fits = by_position or len(labels) == 1  # one row for all
        else:  # their number is compared with that of X later, as for arrays
            fits = len(theirs) != len(labels) or not different_labels(labels, theirs).any()
            fits = fits or (by_position and set(theirs) != set(labels))
        if fits:
            continue
        has = "no labels of rows" if theirs is None else first_labels(theirs, 5)
        raise ValueError(
            f"{name} has other labels of rows than X: {first_labels(labels, 5)}, and X has {has}. Give an array for "
            "sizes by position."
        )
