"""Series in the forms that users have: columns by name or number, times, and groups."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sklstm._labels import (
    as_index,
    is_missing,
    numbered,
    order_of_rows,
    refuse_missing_ids,
    refuse_text_index,
    refuse_texts,
    refuse_unordered,
    row_labels,
    time_level,
)
from sklstm._tables import as_plain, n_axes, names_of_columns, numbers_in
from sklstm._validation import is_integer

_FLOATS = (np.float32, np.float64)


@dataclass(frozen=True)
class Columns:
    """The columns of a series of n_steps rows.

    Attributes
    ----------
    given : object
        The array, Series or table.
    names : list
        Names of the columns; for a Series its name, if it has one. Empty for arrays.
    n_steps, d : int
    read : dict
        Columns read so far, by position: as floats, or the reason why they are no numbers.
    """

    given: Any
    names: list
    n_steps: int
    d: int
    read: dict[int, NDArray | str] = field(default_factory=dict)

    @classmethod
    def of(cls, series: Any) -> Self:
        """Columns of an array (n_steps,) or (n_steps, d), a Series or a table; ``ValueError`` for any other shape."""
        names = names_of_columns(series)
        if names is None:
            name = getattr(series, "name", None) if row_labels(series) is not None else None
            series = np.asarray(series) if isinstance(series, list | tuple) else as_plain(series, "series")
            names = [] if name is None else [name]
            shape = np.shape(series)
        else:
            shape = series.shape
        if len(shape) not in (1, 2):
            raise ValueError(f"series must have shape (n_steps,) or (n_steps, d); got {shape}")
        d = 1 if len(shape) == 1 else shape[1]
        if d == 0:
            raise ValueError(f"series must have at least one column; got shape {shape}")
        return cls(series, names, shape[0], d)

    def raw(self, place: int) -> Any:
        """The original column at a position."""
        if np.ndim(self.given) == 1:
            return self.given
        if hasattr(self.given, "iloc"):
            return self.given.iloc[:, place]
        return self.given[self.names[place]] if hasattr(self.given, "columns") else np.asarray(self.given)[:, place]

    def numbers_at(self, place: int) -> NDArray | str:
        """A column as floats (n_steps,), which may share memory with the original; or why it holds no real numbers."""
        if place not in self.read:
            try:
                self.read[place] = numbers_in(self.raw(place), "series")
            except TypeError as error:
                self.read[place] = str(error)
        return self.read[place]

    def are_numbers(self, place: int) -> bool:
        """Whether a column holds real numbers, possibly with missing values."""
        return not isinstance(self.numbers_at(place), str)

    def numbers(self, places: Sequence[int]) -> NDArray:
        """Some columns (n_steps, k) as floats; all of a table of floats share memory with it.

        Raises
        ------
        TypeError
            If one does not hold real numbers.
        """
        wrong = [place for place in places if not self.are_numbers(place)]
        if wrong and not self.names:
            raise TypeError(self.numbers_at(wrong[0]))
        if wrong:
            names = ", ".join(str(self.names[place]) for place in wrong)
            raise TypeError(
                f"series must hold real numbers; these columns do not: {names}. Leave them out, or make numbers of "
                "them: pandas.to_numeric for text that holds numbers, pandas.get_dummies(table, columns=..., "
                "dtype=float) for labels. Name labels to predict in target, and ids of several series in groups."
            )
        if list(places) == list(range(self.d)) and all(self.raw(place).dtype in _FLOATS for place in places):
            return np.asarray(self.given).reshape(self.n_steps, self.d)
        return np.stack([np.asarray(self.numbers_at(place)) for place in places], axis=1)

    def place(self, name: Hashable, argument: str) -> int:
        """Position of the column that an argument names, or its number if no column has a number as name.

        Raises
        ------
        ValueError
            If there is no such column, or if there are several.
        """
        if self.names and (not is_integer(name) or any(is_integer(known) for known in self.names)):
            if self.names.count(name) != 1:
                is_level = argument == "groups" and name in getattr(row_labels(self.given), "names", ())
                hint = ". It is a level of the index: give groups=True" if is_level else ""
                raise ValueError(
                    f"{argument} column {name!r} must occur once among the columns of the series: "
                    f"{self.names[:20]}{hint}"
                )
            return self.names.index(name)
        if not is_integer(name):
            raise ValueError(
                f"{argument} names a column, {name!r}, but the series has no names of columns. Give its number."
            )
        if not -self.d <= name < self.d:  # type: ignore[operator]
            raise ValueError(f"{argument} column {name} is out of range for a series with {self.d} columns")
        return int(name) % self.d  # type: ignore[call-overload]

    def is_name(self, value: Any) -> bool:
        """Whether a value is the name of a column."""
        return isinstance(value, Hashable) and value in self.names


@dataclass(frozen=True)
class Target:
    """What to predict: columns of a series, or separate values.

    Attributes
    ----------
    places : list of int
        Positions of the columns; empty for separate values.
    values : ndarray of shape (n_steps,) or (n_steps, k), or None
        The separate values.
    single : bool
        Whether there is one target only, so that y has no axis for targets.
    named : bool
        Whether the user named the columns: integers, which may be labels, then stay as they are.
    """

    places: list[int]
    values: NDArray | None
    single: bool
    named: bool = True

    @classmethod
    def of(cls, target: Any, columns: Columns) -> Self:
        """Read the argument of `sliding_windows`."""
        n_steps = columns.n_steps
        if isinstance(target, bool):
            raise TypeError(f"target must be column indices or an array of values; got {target!r}")
        if is_integer(target) or columns.is_name(target) or isinstance(target, str):
            return cls([columns.place(target, "target")], None, True)
        places = _places(target, columns)
        if places is not None:
            return cls(places, None, False)
        order = order_of_rows(target, columns.given, "target", "the series")
        values = as_plain(target, "target")
        values = values if isinstance(values, np.ndarray) else np.asarray(values)
        if values.ndim not in (1, 2) or len(values) != n_steps:
            raise ValueError(
                f"target must be column indices or values of shape ({n_steps},) or ({n_steps}, k), "
                f"one row per step of the series; got shape {values.shape}"
            )
        return cls([], values if order is None else values[order], values.ndim == 1)

    def at_steps(self, columns: Columns) -> NDArray:
        """Values (n_steps,) or (n_steps, k)."""
        if self.values is not None:
            return self.values
        raw = [np.asarray(as_plain(columns.raw(place))) for place in self.places]
        whole = self.named and all(values.dtype.kind in "biu" for values in raw)
        if whole or not all(map(columns.are_numbers, self.places)):
            values = np.stack(raw, axis=1)  # of large integers, floats would make equal labels
        else:
            values = columns.numbers(self.places)
        return values[:, 0] if self.single else values


def _places(target: Any, columns: Columns) -> list[int] | None:
    """Positions of the columns in a list of names or indices; None if it holds values."""
    listed = list(target) if isinstance(target, list | tuple) or _is_index(target) else None
    if listed is None:
        return None
    if not listed:
        raise ValueError("target is an empty list of columns. Name at least one, or use None for all columns.")
    names = [columns.is_name(entry) for entry in listed]
    # A list with a name in it is a list of names, unless it is as long as the series: then it may hold labels.
    are_names = all(names) or (any(names) and len(listed) != columns.n_steps)
    if not (are_names or all(is_integer(entry) for entry in listed)):
        return None
    places = [columns.place(entry, "target") for entry in listed]
    if len(set(places)) < len(places):
        # A list of class labels would be read as indices of columns.
        raise ValueError("target holds a column twice; give integer values as an array")
    return places


def _is_index(values: Any) -> bool:
    """Whether it is a pandas Index, which has labels but no row labels of its own."""
    return hasattr(values, "get_level_values") and not hasattr(values, "iloc")


@dataclass(frozen=True)
class Rows:
    """Which rows form one series, and their times.

    Attributes
    ----------
    order : ndarray of int of shape (n_steps,)
        Positions of the rows, with those of the first series first.
    lengths : ndarray of int of shape (g,)
        Number of rows of each series.
    ids : array or Index of shape (g,), or None
        Ids of the series; None if all rows are one series.
    times : array or Index of shape (n_steps,), or None
    left_out : set of int
        Positions of columns that are ids or times.
    """

    order: NDArray[np.int64]
    lengths: NDArray[np.int64]
    ids: Any
    times: Any
    left_out: set[int]

    @classmethod
    def of(cls, columns: Columns, groups: Any, times: Any, name: str = "series") -> Self:
        """Read the arguments of `sliding_windows`; ``ValueError`` if times do not increase within a series.

        ``name`` is that of the series in errors. Only a "series" has an argument `groups`.
        """
        index, left_out = row_labels(columns.given), set[int]()
        ids, instants = None, index
        if index is not None and index.nlevels > 1:
            level = time_level(index)
            ids, instants = index.droplevel(level), index.get_level_values(level)
        if times is True and instants is None:
            raise TypeError(
                "times=True needs a pandas Series or DataFrame, but the series has no index. Pass an array of times."
            )
        if groups is True and ids is None:
            raise TypeError("groups=True needs an index of two levels, (id, time). Name a column, or give an array.")
        if times is not None and times is not True:
            instants = _along(times, columns, "times", left_out)
        if groups is not None and groups is not True:
            ids = _along(groups, columns, "groups", left_out)
        order, lengths, codes = np.arange(columns.n_steps), np.array([columns.n_steps]), None
        if ids is not None:
            codes, ids = numbered(ids)
            order, lengths = np.argsort(codes, kind="stable"), np.bincount(codes, minlength=len(ids))
        if instants is not None:
            several = ", or the column of their ids in groups." if name == "series" else "."
            several = "" if ids is not None else f" If they are several series, give an index (id, time){several}"
            of_index = times is None or times is True
            keep_one = f", {name}[~{name}.index.duplicated()]" if of_index else ""
            refuse_unordered(
                instants,
                order,
                codes,
                f"Sort the rows by time.{several}",
                f"Keep one row of each time{keep_one}.{several}",
            )
        return cls(order, lengths, ids, instants, left_out)


def _along(values: Any, columns: Columns, argument: str, left_out: set[int]) -> Any:
    """One entry for each row; if it is a column, its position is added to those left out."""
    if columns.is_name(values) or isinstance(values, str):
        place = columns.place(values, argument)
        left_out.add(place)
        return as_index(columns.raw(place))
    order = order_of_rows(values, columns.given, argument, "the series")
    along = as_index(values)
    if not hasattr(along, "get_level_values"):
        along = _entries(values, argument)
    if along.shape != (columns.n_steps,):
        raise ValueError(
            f"{argument} must have shape ({columns.n_steps},), one per step of the series; got shape {along.shape}"
        )
    return along if order is None else along[order]


def _entries(values: Any, argument: str) -> NDArray:
    """The values as an array. Missing values among texts stay missing; numpy would turn them into the text "nan"."""
    array = np.asarray(as_plain(values, argument))
    if array.dtype.kind in "US" and isinstance(values, list | tuple):
        objects = np.array(values, dtype=object)
        return objects if is_missing(objects).any() else array
    return array


@dataclass(frozen=True)
class SeriesToCut:
    """One or several series as one table of N rows.

    Attributes
    ----------
    values : ndarray of shape (N, d)
        The channels.
    targets : ndarray of shape (N,) or (N, k)
    order, lengths, ids, times
        As in `Rows`.
    """

    values: NDArray
    targets: NDArray
    order: NDArray[np.int64]
    lengths: NDArray[np.int64]
    ids: Any
    times: Any

    @classmethod
    def of(cls, series: Any, target: Any, groups: Any, times: Any, *, now: bool) -> Self:
        """Read the arguments of `sliding_windows`; ``now`` if the last step of a window is a target."""
        several = _several(series)
        if several is None:
            return cls._of_one(series, target, groups, times, now=now)
        n = len(several)
        if not n:
            raise ValueError("series is empty: it holds no series.")
        own = row_labels(series)  # of sequences by id
        ids = np.arange(n) if own is None else own
        if groups is not None and groups is not True:
            order = order_of_rows(groups, series, "groups", "the series")
            ids = _entries(groups, "groups")
            ids = ids if order is None else ids[order]
        if ids.shape != (n,):
            raise ValueError(f"groups must hold one id for each of the {n} series; got shape {ids.shape}")
        refuse_missing_ids(as_index(groups) if hasattr(groups, "factorize") else ids, "series")
        targets, instants = _of_each(target, n, "target"), _of_each(times, n, "times")
        parts = [
            cls._of_one(one, of_one, None, at, now=now)
            for one, of_one, at in zip(several, targets, instants, strict=True)
        ]
        for i, part in enumerate(parts):
            if len(part.lengths) > 1:
                raise ValueError(
                    f"series[{i}] is itself several series, with an id in its index. Give one table of all."
                )
            n_channels, names = part.values.shape[1], names_of_columns(several[i])
            if n_channels != parts[0].values.shape[1] or names != names_of_columns(several[0]):
                raise ValueError(f"series[{i}] has other columns than series[0]. Give all of them the same columns.")
        joined = [np.concatenate([getattr(part, name) for part in parts]) for name in ("values", "targets", "lengths")]
        rows = np.arange(joined[2].sum())
        at = None if any(part.times is None for part in parts) else _joined([part.times for part in parts])
        return cls(joined[0], joined[1], rows, joined[2], ids, at)

    @classmethod
    def _of_one(cls, series: Any, target: Any, groups: Any, times: Any, *, now: bool) -> Self:
        columns = Columns.of(series)
        rows = Rows.of(columns, groups, times)
        if times is not None and times is not True:
            named = columns.is_name(times) or isinstance(times, str)
            refuse_texts(rows.times, f"Column {times!r}" if named else "The array times")
        elif rows.times is not None:
            refuse_text_index(row_labels(columns.given), "series", said=times is True)
        left_out = set(rows.left_out)
        if target is not None:
            wanted = Target.of(target, columns)
            left_out |= {place for place in wanted.places if now or not columns.are_numbers(place)}
        elif now:
            raise ValueError(
                "a horizon of 0 is the window's own last step, so X must not hold the target. Name the target "
                "columns in target."
            )
        else:
            every = [place for place in range(columns.d) if place not in left_out]
            wanted = Target(every, None, len(every) == 1, named=False)
        kept = [place for place in range(columns.d) if place not in left_out]
        if not kept:
            raise ValueError(
                "series has no column left for X besides those of target, times and groups. Add a column, or name "
                "fewer of them."
            )
        return cls(columns.numbers(kept), wanted.at_steps(columns), rows.order, rows.lengths, rows.ids, rows.times)


def _several(series: Any) -> list | None:
    """The series of a list of tables, of Series or of 2-D arrays, or of a 3-D array; otherwise None."""
    if isinstance(series, list | tuple) and len(series):
        labelled = [row_labels(one) is not None for one in series]
        return list(series) if all(labelled) or all(n_axes(one) == 2 for one in series) else None
    of_objects = (
        getattr(series, "ndim", 0) == 1 and getattr(getattr(series, "dtype", None), "kind", "") == "O" and len(series)
    )
    if of_objects and all(getattr(one, "ndim", 0) == 2 for one in series):
        return list(series)
    return list(series) if getattr(series, "ndim", 0) == 3 else None


def _of_each(values: Any, n: int, name: str) -> list:
    """An argument for each of n series: its entries if they have rows for each, or the same one for all."""
    if isinstance(values, list | tuple) and len(values) and all(not isinstance(v, str) and n_axes(v) for v in values):
        if len(values) != n:
            raise ValueError(f"{name} must have one entry for each of the {n} series; got {len(values)}")
        return list(values)
    return [values] * n


def _joined(times: list) -> Any:
    first = times[0]
    return first.append(times[1:]) if hasattr(first, "append") else np.concatenate([np.asarray(at) for at in times])
