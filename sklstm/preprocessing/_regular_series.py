"""Series at equal time steps from tables: windows cut from them, and the times that come after them."""

import datetime
from bisect import bisect_left
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import floor
from numbers import Number
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sklstm._labels import row_labels, time_level
from sklstm._validation import is_integer

from ._series import Columns, Rows
from ._windows import sliding_windows

_SHORTEST_MONTH = 28 * 86400  # s


@dataclass(frozen=True)
class RegularSeries:
    """One or several series of the same columns, each at equal time steps.

    Attributes
    ----------
    values : ndarray of shape (N, d)
        The rows, those of the first series first; finite.
    lengths : ndarray of int of shape (g,)
        Number of rows of each series.
    names : list of length d
        Names of the columns; empty for arrays.
    ids : Index of shape (g,) or None
        Ids of the series of a panel; None if the table is one series.
    times : Index of shape (N,) or None
        Times of the rows; None for arrays.
    step : int, offset of pandas or None
        Step from one time to the next.
    levels : list
        Names of the levels of the table's index.
    level : int
        Number of the level that holds the times.
    """

    values: NDArray
    lengths: NDArray[np.int64]
    names: list
    ids: Any
    times: Any
    step: Any
    levels: list
    level: int

    @classmethod
    def of(cls, table: Any, like: "RegularSeries | None" = None) -> Self:
        """Read a table; with ``like``, it must have the columns and the time step of another table.

        Raises
        ------
        TypeError
            If it is no such table, a column does not hold real numbers, or the index does not hold times.
        ValueError
            If a value is missing or infinite, the columns differ from those of ``like``, or times do not increase in
            equal steps.
        """
        if hasattr(table, "to_pandas"):  # of polars, xarray, pyarrow
            raise TypeError(
                f"table must be of pandas, or an array; got a {type(table).__module__}.{type(table).__name__}. Give "
                "table.to_pandas() with times as its index, or table.to_numpy() if there are none."
            )
        if isinstance(table, list | tuple) and len(table) and np.ndim(table[0]) > 1:
            raise TypeError(
                "table must be one table; got a list of several. Give pandas.concat(tables, keys=ids), whose index "
                "is (id, time)."
            )
        columns = Columns.of(table)
        rows = Rows.of(columns, None, None, name="table")
        if not len(rows.lengths):
            raise ValueError("the table is empty: it has no row.")
        index = getattr(table, "index", None) if rows.times is not None else None
        if like is not None and (like.times is None) != (rows.times is None):
            raise TypeError(f"fit had {_kind(like.times)}, but this is {_kind(rows.times)}. Give the same kind.")
        if like is not None and rows.times is not None and _kind_of_times(like.times) != _kind_of_times(rows.times):
            raise TypeError(
                f"the times of fit were {_kind_of_times(like.times)}, such as {like.times[0]!s}, but these are "
                f"{_kind_of_times(rows.times)}, such as {rows.times[0]!s}. Give the same kind: pandas.to_datetime "
                "makes dates of texts, with utc=True also of several offsets from UTC, and tz_localize adds a zone."
            )
        if like is not None and (like.ids is None) != (rows.ids is None):
            raise ValueError("the tables of fit and of now must both have an id in their index, or neither of them.")
        values = _numbers(columns, range(columns.d) if like is None else _places(columns, like))
        times = rows.times
        if len(rows.lengths) > 1:
            values, times = values[rows.order], times[rows.order]
        names = columns.names if like is None else like.names
        levels = [] if index is None else list(index.names)
        level = time_level(index) if len(levels) > 1 else 0
        _refuse_missing(values, names, times, rows, _of_ids(levels, level))
        if like is not None and like.ids is not None and like.levels[like.level] in set(levels) - {None, levels[level]}:
            raise ValueError(
                f"fit took level {like.levels[like.level]!r} of the index as times, but here it would be "
                f"{levels[level]!r}. Put the levels in the order of fit: table.reorder_levels({like.levels})."
            )
        step = None if times is None else like.step if like is not None else _step(times, rows.lengths, levels, level)
        series = cls(values, rows.lengths, names, rows.ids, times, step, levels, level)
        series.check_times()
        return series

    def places(self, wanted: Any, argument: str) -> tuple[tuple[int, ...], bool]:
        """Positions of the columns that an argument names, and whether it names one column instead of a list.

        Raises
        ------
        TypeError
            If it names no column.
        ValueError
            If there is no such column, or if one is named twice.
        """
        columns = Columns(None, self.names, len(self.values), self.values.shape[1])
        single = is_integer(wanted) or isinstance(wanted, str) or columns.is_name(wanted)
        listed = [wanted] if single else list(wanted) if np.iterable(wanted) else None
        if not listed or any(isinstance(name, bool) or not isinstance(name, Hashable) for name in listed):
            raise TypeError(f"{argument} must be a name or number of a column, or a list of these; got {wanted!r:.80}")
        places = tuple(columns.place(name, argument) for name in listed)
        if len(set(places)) < len(places):
            raise ValueError(f"{argument} names a column twice: {wanted!r:.80}")
        return places, single

    def future(self, given: Any, places: tuple[int, ...], n: int) -> NDArray | None:
        """Values (g, n, c) of known columns at the n steps after the end of every series; None without known columns.

        Raises
        ------
        TypeError
            If ``future`` is of another type than the table, or does not hold real numbers.
        ValueError
            If ``future`` is missing, or there are no known columns. If it has other columns or lacks a time, if a value
            is missing, or if the shape of an array does not fit.
        """
        if not places:
            if given is not None:
                raise ValueError(
                    "future holds columns that are known in advance, but the parameter known names none. Leave out "
                    "future, or name its columns in known."
                )
            return None
        known = [self.names[place] if self.names else place for place in places]
        index = self.after(n)
        if given is None:
            when = "" if index is None else f", from {index[0]!s} to {index[-1]!s}"
            raise ValueError(f"future must hold the known columns {known} at the {n} steps that are forecast{when}.")
        if not hasattr(given, "columns") and np.ndim(given) not in (1, 2):
            raise TypeError(f"future must be {_kind(self.times)}, as in fit; got a {type(given).__name__}.")
        columns = Columns.of(given)
        labels = row_labels(given)
        if (labels is None) != (index is None):
            raise TypeError(f"future must be {_kind(self.times)}, as in fit; got {_kind(labels)}.")
        if index is not None:
            labels = self._reordered(labels)
            times = labels.get_level_values(self.level)
            if _kind_of_times(times) != _kind_of_times(self.times):
                raise TypeError(
                    f"the times of the table are {_kind_of_times(self.times)}, such as {self.times[0]!s}, but those of "
                    f"future are {_kind_of_times(times)}, such as {times[0]!s}. Give the same kind."
                )
        if columns.names and sorted(map(str, columns.names)) != sorted(map(str, known)):
            raise ValueError(f"future must have the known columns {known}; got {columns.names[:20]}.")
        if columns.d != len(known):
            raise ValueError(f"future must have the {len(known)} known columns {known}; got {columns.d}.")
        order = [columns.names.index(name) for name in known] if columns.names else range(columns.d)
        values = _numbers(columns, order)
        if index is None:
            if len(values) != n:
                raise ValueError(f"future must have {n} rows, one for each step that is forecast; got {len(values)}.")
        else:
            if not labels.is_unique:
                raise ValueError(f"future has {labels[int(labels.duplicated().argmax())]!s} twice.")
            rows = labels.get_indexer(index)
            if (rows < 0).any():
                raise ValueError(
                    f"future has no row for {index[int((rows < 0).argmax())]!s}. A forecast needs the known columns "
                    f"at {n} steps, here from {index[0]!s} to {index[-1]!s}."
                )
            values = values[rows]
        finite = np.isfinite(values)
        if not finite.all():
            row, column = np.argwhere(~finite)[0]
            where = f"row {row}" if index is None else f"{index[row]!s}"
            raise ValueError(
                f"future has a missing or infinite value in column {known[column]!r}, {where}. Every known column "
                "needs a value at every step that is forecast."
            )
        return values.reshape(-1, n, len(known))

    def _reordered(self, labels: Any) -> Any:
        """The index of ``future`` with its levels in the order of the table's: by names, or by the level of times."""
        names, n = list(labels.names), len(self.levels)
        if len(names) != n:
            raise ValueError(
                f"the index of future must have the {n} levels of that of fit, {self.levels}; got {names}."
            )
        if n == 1:
            return labels
        if len(set(names)) == n and set(names) == set(self.levels):
            order = [names.index(name) for name in self.levels]
        elif not any(name is not None for name in names) or not any(name is not None for name in self.levels):
            times = time_level(labels)
            order = [level for level in range(n) if level != times]
            order.insert(self.level, times)
        else:
            raise ValueError(
                f"the levels of the index of future must have the names {self.levels} of fit; got {names}."
            )
        return labels.set_names([None] * n).reorder_levels(order)

    def part(self, first: NDArray[np.int64], last: NDArray[np.int64]) -> Self:
        """Rows ``first`` (g,) to before ``last`` (g,) of every series; a series without rows is left out."""
        starts = np.cumsum(self.lengths) - self.lengths
        lengths = np.maximum(last - first, 0)
        kept = lengths > 0
        if len(lengths) == 1:  # a view
            rows: Any = slice(int(first[0]), int(first[0] + lengths[0]))
        else:
            offsets = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
            rows = np.repeat(starts + first, lengths) + offsets
        return type(self)(
            self.values[rows],
            lengths[kept],
            self.names,
            None if self.ids is None else self.ids[kept],
            None if self.times is None else self.times[rows],
            self.step,
            self.levels,
            self.level,
        )

    def head(self, n: NDArray[np.int64]) -> Self:
        """The first n (g,) rows of every series."""
        return self.part(np.zeros_like(self.lengths), np.clip(n, 0, self.lengths))

    def tail(self, n: NDArray[np.int64]) -> Self:
        """The last n (g,) rows of every series."""
        return self.part(np.clip(self.lengths - n, 0, None), self.lengths)

    def id_of_rows(self) -> Any:
        """Id (N,) of the series of every row; its number if there are no ids."""
        of_row = np.repeat(np.arange(len(self.lengths)), self.lengths)
        return of_row if self.ids is None else self.ids[of_row]

    def after(self, n: int) -> Any:
        """Index (g * n,) of the n steps after the end of every series, in the form of the table's; None for arrays."""
        if self.times is None:
            return None
        ends = np.cumsum(self.lengths) - 1
        following = [_range(self.times[end : end + 1], n + 1, self.step)[1:] for end in ends]
        times = following[0].append(following[1:]) if len(following) > 1 else following[0]
        if self.ids is None:
            return times.rename(self.levels[0])
        of_row = np.repeat(np.arange(len(self.ids)), n)
        levels = [self.ids.get_level_values(level)[of_row] for level in range(self.ids.nlevels)]
        levels.insert(self.level, times)
        import pandas as pd

        return pd.MultiIndex.from_arrays(levels, names=self.levels)

    def check_times(self) -> None:
        """``ValueError`` if a series is not at equal steps."""
        if self.times is None:
            return
        ends = np.cumsum(self.lengths)
        for number, (start, end) in enumerate(zip(ends - self.lengths, ends, strict=True)):
            times = self.times[start:end]
            expected = _range(times[:1], len(times), self.step)
            wrong = np.flatnonzero(np.asarray(expected != times))
            if len(wrong):
                of = "" if self.ids is None else f" of series {self.ids[number]!s}"
                place = max(int(wrong[0]), 1)
                raise ValueError(
                    f"The times{of} are not equally spaced: {times[place]!s} follows {times[place - 1]!s}, but "
                    f"{_in_words(self.step)} lead to {expected[place]!s}. "
                    f"{_rows_for_all_steps(self.levels, self.level, self.step)}"
                )


@dataclass(frozen=True)
class Cut:
    """How windows and targets are cut from series.

    Attributes
    ----------
    window, horizon : int
    targets : tuple of int of length k
        Positions of the columns to predict.
    known : tuple of int
        Positions of the columns whose future is known: a window holds them `horizon` steps ahead.
    flat : bool
        Whether windows are rows (n, window * d) instead of (n, window, d).
    """

    window: int
    horizon: int
    targets: tuple[int, ...]
    known: tuple[int, ...]
    flat: bool

    def fewest_rows(self, fraction: float) -> int:
        """Smallest number of rows with a window to fit to, and, if a part is held out, one to calibrate with."""
        needed = self.window + self.horizon
        rows = max(needed, floor((needed - 1) / (1 - fraction)), floor((self.horizon - 1) / (fraction or 1)))
        while rows - np.rint(fraction * rows) < needed or (fraction and np.rint(fraction * rows) < self.horizon):
            rows += 1
        return rows

    def windows(self, series: RegularSeries) -> tuple[NDArray, NDArray]:
        """Windows and values to predict (n, horizon * k), of the series that are long enough."""
        needed = self.window + self.horizon
        series = series.tail(np.where(series.lengths >= needed, series.lengths, 0))
        d = series.values.shape[1]
        if not len(series.lengths):
            return self._formed(np.empty((0, self.window, d))), np.empty((0, self.horizon * len(self.targets)))
        X, y = sliding_windows(
            self._ahead(series, None),
            self.window,
            range(1, self.horizon + 1),
            target=list(self.targets),
            groups=np.repeat(np.arange(len(series.lengths)), series.lengths),
        )[:2]
        return self._formed(X), y

    def last(self, series: RegularSeries, future: NDArray | None) -> NDArray:
        """The last window of every series; ``future`` (g, horizon, c) holds the known columns after its end."""
        ends = np.cumsum(series.lengths)
        rows = ends[:, None] - self.window + np.arange(self.window)
        return self._formed(self._ahead(series, future)[rows])

    def _formed(self, X: NDArray) -> NDArray:
        return X.reshape(len(X), self.window * X.shape[2]) if self.flat else X

    def _ahead(self, series: RegularSeries, future: NDArray | None) -> NDArray:
        """Rows of the series with the known columns `horizon` steps ahead; NaN where these are not given."""
        if not self.known:
            return series.values
        values, places = series.values.copy(), list(self.known)
        ends = np.cumsum(series.lengths)
        for number, (start, end) in enumerate(zip(ends - series.lengths, ends, strict=True)):
            after = np.full((self.horizon, len(places)), np.nan) if future is None else future[number]
            values[start:end, places] = np.concatenate([values[start:end, places], after])[self.horizon :]
        return values


def _kind(times: Any) -> str:
    return "an array" if times is None else "a table of pandas"


def _kind_of_times(times: Any) -> str:
    if not hasattr(times, "asi8"):
        return "integers" if times.dtype.kind in "iu" else "neither dates nor integers"
    kind = {"DatetimeIndex": "dates", "PeriodIndex": "periods"}.get(type(times).__name__, "time spans")
    return kind if kind != "dates" else f"dates {'without' if times.tz is None else 'with'} a zone"


def _places(columns: Columns, like: RegularSeries) -> list[int]:
    """Positions of the columns of another table, in their order there."""
    if not like.names and not columns.names:
        if columns.d != like.values.shape[1]:
            raise ValueError(
                f"the table has {columns.d} columns, but that of fit had {like.values.shape[1]}. Give the same columns."
            )
        return list(range(columns.d))
    if columns.names == like.names:
        return list(range(columns.d))
    missing = [name for name in like.names if columns.names.count(name) != 1]
    unknown = [name for name in columns.names if name not in like.names]
    if missing or unknown:
        raise ValueError(
            f"the columns of the table must be those of fit, each once, in any order: {like.names[:20]}; got "
            f"{columns.names[:20]}."
        )
    return [columns.names.index(name) for name in like.names]


def _numbers(columns: Columns, places: Sequence[int]) -> NDArray:
    wrong = [place for place in places if not columns.are_numbers(place)]
    if wrong and not columns.names:
        raise TypeError(columns.numbers_at(wrong[0]))
    if wrong:
        raise TypeError(
            "the columns of the table must hold real numbers; these do not: "
            f"{', '.join(str(columns.names[place]) for place in wrong)}. Times and ids belong in the index, "
            "table.set_index('time') or table.set_index(['id', 'time']). Leave out other text, or make numbers of "
            "it: pandas.get_dummies(table, dtype=float)."
        )
    return columns.numbers(places)


def _of_ids(levels: list, level: int) -> str:
    """The ``groupby`` call before a method that must not mix the ids of a panel."""
    ids = [_argument(levels, place) for place in range(len(levels)) if place != level]
    return f".groupby(level={ids[0] if len(ids) == 1 else '[' + ', '.join(ids) + ']'})" if ids else ""


def _argument(levels: list, level: int) -> str:
    """A level of an index as an argument of pandas: its name if all have one, else its number."""
    return repr(levels[level] if len({name for name in levels if isinstance(name, str)}) == len(levels) else level)


def _has_length(step: Any) -> bool:
    """Whether a step is an offset of so many days, hours or less, and not one of the calendar."""
    if not hasattr(step, "freqstr"):
        return False
    from pandas.tseries.offsets import Day, Tick

    return isinstance(step, Day | Tick)


def _rows_for_all_steps(levels: list, level: int, step: Any) -> str:
    """The remedy in errors about times that are not equally spaced, but mostly by this step."""
    of_ids, rule = _of_ids(levels, level), repr(step.freqstr) if hasattr(step, "freqstr") else "..."
    if is_integer(step):
        make = (
            "Add the missing rows"
            if of_ids
            else f"table.reindex(range(table.index[0], table.index[-1] + 1, {step})) makes the missing ones"
        )
        return (
            f"A forecast needs a row for every step. {make}, and table{of_ids}.ffill() fills them with the past only."
        )
    if of_ids:
        place = _argument(levels, level)
        # From midnight, by default, other times of day would move.
        origin = ", origin='start'" if _has_length(step) else ""
        make = f"For dates, table = table{of_ids}.resample({rule}, level={place}{origin}).last()"
        periods = f"table.index.set_levels(table.index.levels[{level}].to_period('M'), level={level})"
    else:
        make, periods = f"table.asfreq({rule})", "table.to_period('M')"
    return (
        f"A forecast needs a row for every step. {make} makes the missing ones, and table{of_ids}.ffill() fills them "
        f"with the past only. Dates such as the 15th of every month are equally spaced as periods: {periods}."
    )


def _refuse_missing(values: NDArray, names: list, times: Any, rows: Rows, of_ids: str) -> None:
    """``ValueError`` with the position and a remedy, if a value is missing or infinite."""
    finite = np.isfinite(values)
    if finite.all():
        return
    column = int((~finite).any(axis=0).argmax())
    row = int((~finite[:, column]).argmax())
    ends = np.cumsum(rows.lengths)
    number = int(np.searchsorted(ends, row, side="right"))
    start, end = int(ends[number] - rows.lengths[number]), int(ends[number])
    of_series = "the table" if rows.ids is None else f"series {rows.ids[number]!s}"
    where = f"row {row}" if rows.ids is None else of_series
    where += "" if times is None else f", {times[row]!s}"
    infinite = bool(np.isinf(values[row, column]))
    fill = "pandas.DataFrame(table).ffill().to_numpy()" if times is None else f"table{of_ids}.ffill()"
    if infinite:
        fill = f"after table.replace([numpy.inf, -numpy.inf], numpy.nan), {fill}" if times is not None else fill
        remedy = f"Replace it before, with the past only, for instance {fill}, or leave the column out."
    elif row == start and finite[start:end, column].any():
        first = int(finite[start:end, column].argmax())
        remedy = (
            f"No past value can fill its beginning: leave out the first {first} rows of {of_series}, or the column."
        )
    elif rows.ids is None and row > start and not finite[row:, column].any():
        remedy = (
            f"All later ones are missing as well. If these rows are the future, leave them out: fit(table[:{row}]). "
            f"Pass the columns that are known there to predict(future=...). Otherwise fill them in, {fill}."
        )
    else:
        remedy = f"Fill it in before, with the past only, for instance {fill}, or leave the column out."
    raise ValueError(
        f"{int((~finite).any(axis=1).sum())} of {len(values)} rows have a missing or infinite value; the first is "
        f"{'infinite' if infinite else 'missing'}, in column {repr(names[column]) if names else column}, {where}. "
        f"{remedy}"
    )


def _as_times(labels: str, first: Any) -> str | None:
    """The call that makes times of the labels of a table's index, which are objects or texts; None if none does."""
    if hasattr(first, "asfreq"):
        return f"pandas.PeriodIndex({labels})"
    if isinstance(first, Number):
        return f"{labels}.astype(int)"
    if isinstance(first, datetime.timedelta | np.timedelta64):
        return f"pandas.to_timedelta({labels})"
    return f"pandas.to_datetime({labels})" if isinstance(first, str | datetime.date | np.datetime64) else None


def _step(times: Any, lengths: NDArray[np.int64], levels: list, level: int) -> Any:
    """The step between times, from the longest series, or from its regular beginning.

    Raises
    ------
    TypeError
        If these are neither dates, periods, time spans nor integers.
    ValueError
        If times are not equally spaced, or too few to find a step.
    """
    longest = int(lengths.argmax())
    end = int(lengths[: longest + 1].sum())
    some = times[end - lengths[longest] : end]
    if not hasattr(some, "asi8") and some.dtype.kind not in "iu":
        several = len(levels) > 1
        make = _as_times(f"table.index.levels[{level}]" if several else "table.index", some[0])
        if several and make is not None:
            remedy = f"Convert them: table.index = table.index.set_levels({make}, level={level})."
        else:
            remedy = "" if make is None else f"Convert them: table.index = {make}. "
            remedy += "If the rows have no times, give table.reset_index(drop=True)."
        raise TypeError(
            f"the index of the table must hold dates, periods, time spans or integers, but it holds {some[0]!r}. "
            f"{remedy}"
        )
    if len(some) < 3:
        raise ValueError(
            f"the longest series has {len(some)} rows, but at least 3 are needed to find the step between times."
        )
    step = _inferred(some)
    if step is not None:
        return step
    fits = 2 + bisect_left(range(3, len(some)), True, key=lambda n: _inferred(some[:n]) is None)
    if fits > 2:
        return _inferred(some[:fits])
    steps = np.diff(some.asi8 if hasattr(some, "asi8") else some.to_numpy())
    found, counts = np.unique(steps, return_counts=True)
    usual = int((steps == found[counts.argmax()]).argmax())
    place = int((steps != steps[usual]).argmax())
    mostly = some[usual + 1] - some[usual]
    raise ValueError(
        f"The times are not equally spaced: from {some[place]!s} to {some[place + 1]!s} it is "
        f"{some[place + 1] - some[place]!s}, but mostly {mostly!s}. "
        f"{_rows_for_all_steps(levels, level, _offset(mostly))}"
    )


def _offset(difference: Any) -> Any:
    """A difference of two times as an offset of pandas; unchanged if it is an offset, a number, or of months."""
    if not hasattr(difference, "total_seconds") or difference.total_seconds() >= _SHORTEST_MONTH:
        return difference
    from pandas.tseries.frequencies import to_offset

    return to_offset(difference)


def _inferred(times: Any) -> Any:
    """The step between at least three times; None if they are not equally spaced."""
    if not hasattr(times, "asi8"):
        steps = np.diff(times.to_numpy().astype(np.int64))
        return int(steps[0]) if (steps == steps[0]).all() else None
    steps = np.diff(times.asi8)
    if _kind_of_times(times) == "periods":  # counted in single months even if they are two months long
        return times.freq.base * int(steps[0]) if (steps == steps[0]).all() else None
    # Of an index with a frequency; otherwise it is inferred.
    step = times.freq or type(times)(times, freq="infer").freq
    if step is None and (steps == steps[0]).all():  # days of 24 hours while clocks change
        from pandas.tseries.frequencies import to_offset

        return to_offset(f"{int((times[1] - times[0]).total_seconds())}s")
    return step


def _in_words(step: Any) -> str:
    return f"steps of {step}" if isinstance(step, int) else f"steps of {step.freqstr!r}"


def _range(start: Any, n: int, step: Any) -> Any:
    """Index of n times, from an index of one time on."""
    if isinstance(step, int) != (not hasattr(start, "asi8")):
        raise TypeError(
            f"fit had times at {_in_words(step)}, but these are of another kind: {start[0]!r}. Give times of the same "
            "kind."
        )
    import pandas as pd

    if isinstance(step, int):
        return pd.Index(np.arange(n) * step + int(start[0]), name=start.name)
    if isinstance(start, pd.PeriodIndex):
        if start.freq.base != step.base:
            raise TypeError(
                f"fit had periods at {_in_words(step)}, but these are of another kind: {start.dtype}. Give periods of "
                "the same kind."
            )
        return pd.PeriodIndex.from_ordinals(
            int(start.asi8[0]) + np.arange(n) * step.n, freq=start.freq, name=start.name
        )
    make: Any = pd.date_range if isinstance(start, pd.DatetimeIndex) else pd.timedelta_range
    try:
        found = make(start[0], periods=n, freq=step)
    except Exception as error:  # of another kind for every version of pandas
        if getattr(start, "tz", None) is None:
            raise
        _range(start.tz_localize(None), n, step)  # errors that have nothing to do with clocks are raised here
        raise ValueError(
            f"{_in_words(step)} from {start[0]!s} on meet a time that the clocks of {start.tz} skip or repeat. Give "
            "times in UTC, table.tz_convert('UTC'), or without a zone, table.tz_localize(None). For the index of a "
            "panel add level=...."
        ) from error
    return found.as_unit(start.unit) if hasattr(start, "unit") else found
