"""Row labels: times, ids, the index of a Series; they are used or refused, never ignored.

A Series or table whose index counts from 0, as pandas makes it by default, has no labels. Data with labels are matched
by label, and data without labels by position.
"""

import datetime
import itertools
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import _get_feature_names

TIME_NAMES = (
    "time",
    "times",
    "timepoint",
    "timepoints",
    "time_point",
    "timestep",
    "timesteps",
    "time_step",
    "time_idx",
    "timestamp",
    "t",
    "ds",
    "step",
    "cycle",
    "lag",
    "date",
    "datetime",
    "period",
    "year",
    "quarter",
    "month",
    "week",
    "weekday",
    "day",
    "hour",
    "minute",
    "second",
)

#: Those of numbers that only increase: others begin again every day or year, or count backwards.
STEADY_NAMES = frozenset(TIME_NAMES[: TIME_NAMES.index("ds") + 1])

#: Those of the calendar and of lags, which begin again or count backwards within one sequence.
CALENDAR_NAMES = frozenset(TIME_NAMES[TIME_NAMES.index("lag") :])

#: Texts that may be times: numbers with separators first, eight digits or a year alone, a month, a quarter or a clock.
_TIME_IN_TEXT = re.compile(
    r"\s*\d{1,4}[-/.]\d{1,2}(\D|$)|\s*(\d{8}|(18|19|20)\d\d)(\D?[QW]\d+|\s*$)|.*\b\d\d?:\d\d\b"
    r"|(?=.*\d).*\b(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)(\b|[a-z]*\b)|\s*Q[1-4]\D",
    re.DOTALL | re.IGNORECASE,
)

_NO_TIME = "Leave out the rows without a time, or fill the times in."


def row_labels(table: Any) -> Any:
    """Labels of the rows of a table, or of the entries of a Series; None without labels. (A list has ``index``.)"""
    return table.index if hasattr(table, "index") and hasattr(table, "to_numpy") else None


def labelled(sequences: list, ids: Any) -> Any:
    """A Series of pandas with one sequence for each id."""
    import pandas as pd

    cells = np.empty(len(sequences), dtype=object)
    for place, sequence in enumerate(sequences):
        cells[place] = sequence
    return pd.Series(cells, index=ids)


def counted(labels: Any) -> bool:
    """Whether labels are only positions."""
    first = getattr(labels, "start", None)  # of a RangeIndex
    if first is not None:
        return bool(first == 0 and labels.step == 1)
    if getattr(labels, "nlevels", 1) > 1 or getattr(getattr(labels, "dtype", None), "kind", "O") not in "iuO":
        return False
    return list(labels) == list(range(len(labels)))


def have_labels(values: Any, table: Any) -> bool:
    """Whether both have row labels that are more than positions, or count the same rows in another order."""
    own, theirs = row_labels(values), row_labels(table)
    if own is None or theirs is None or len(own) != len(theirs) or own.equals(theirs):
        return False
    if counted(own) or counted(theirs):
        return own.is_unique and theirs.is_unique and bool((own.get_indexer(theirs) >= 0).all())
    return True


def order_of_rows(values: Any, table: Any, name: str, of: str) -> NDArray[np.int64] | None:
    """Position among the values of the row of every label of a table; None if they are taken by position.

    Parameters
    ----------
    values : object
        Values with or without labels.
    table : object
        A table with or without labels; its order counts.
    name, of : str
        Names of the values and of the table in errors.

    Raises
    ------
    ValueError
        If both have labels, and these are not the same, each once.
    """
    if not have_labels(values, table):
        return None
    own, theirs = row_labels(values), row_labels(table)
    places = own.get_indexer(theirs) if own.is_unique and theirs.is_unique else np.array([-1])
    if (places < 0).any():
        raise ValueError(
            f"the labels of the rows of {name}, {first_labels(own)}, must be those of {of}, {first_labels(theirs)}, "
            "each once. Give an array for values by position."
        )
    return places


def refuse_other_rows(values: Any, table: Any, name: str, of: str = "X") -> None:
    """``ValueError`` if the row labels of values and of a table differ, or are in another order.

    Nothing is reordered: this would undo a deliberate permutation of y, for instance in `permutation_test_score`.
    """
    if not have_labels(values, table):
        return
    own, theirs = row_labels(values), row_labels(table)
    differ = different_labels(own, theirs)
    if not differ.any():
        return
    row = int(differ.argmax())
    in_other_order = own.is_unique and theirs.is_unique and bool((own.get_indexer(theirs) >= 0).all())
    reorder = f"They are the same rows in another order: give {name}.loc[{of}.index]. " if in_other_order else ""
    if reorder and not hasattr(table, "columns") and table.dtype == object:
        reorder += f"If {of} are sequences that SequencesFromTable made, its get_targets(table, {name}) does the same. "
    raise ValueError(
        f"the rows of {name} have other labels than those of {of}: row {row} is {_as_text(own[row])} in {name} and "
        f"{_as_text(theirs[row])} in {of}. {reorder}For values by position, give {name}.to_numpy()."
    )


def different_labels(own: Any, theirs: Any) -> NDArray[np.bool_]:
    """Which labels (n,) of two indexes differ; those of another type may be equal: of another zone, or nullable."""
    if own.equals(theirs):
        return np.zeros(len(own), dtype=bool)
    known = own.unique()
    codes, others = known.get_indexer(own), known.get_indexer(theirs)
    return np.asarray((codes != others) | (codes < 0))


def refuse_mixed_rows(X: Any, y: Any = None, sample_weight: Any = None, groups: Any = None) -> None:
    """`refuse_other_rows` for every two of them: of windows in an array, only y and the weights may have labels."""
    given = {"X": X, "y": y, "sample_weight": sample_weight, "groups": groups}
    for (of, table), (name, values) in itertools.combinations(given.items(), 2):
        refuse_other_rows(values, table, name, of)


def check_names(estimator: Any, table: Any, *, reset: bool) -> None:
    """Record or compare names of columns that scikit-learn does not read: names that are no texts, unknown tables.

    Names that count from 0 are no names, unless they are those of a fit in another order. Files keep them as texts, in
    ``_names_seen``.

    Raises
    ------
    ValueError
        If a table has names, but not those of ``fit`` in their order.
    """
    columns = getattr(table, "columns", None)
    known = vars(estimator)
    if columns is None:
        if reset:
            known.pop("_names_seen", None)
        return
    names = list(columns)
    texts = all(isinstance(name, str) for name in names)
    are_read = texts and _get_feature_names(table) is not None  # not those of polars 2 by scikit-learn 1.7
    seen = [_as_text(name) for name in names]
    if reset:
        known.pop("_names_seen", None)
        if not are_read:
            known["_names_seen"] = seen
        return
    if "_names_seen" in known:
        expected = known["_names_seen"]
    elif "feature_names_in_" in known and not are_read:
        expected = [repr(name) for name in known["feature_names_in_"].tolist()]
    else:
        return  # scikit-learn compares them
    if seen == expected or len(seen) != len(expected):
        return
    counts = [repr(place) for place in range(len(names))]
    if counts in (seen, expected) and set(seen) != set(expected):
        return
    place = next(place for place, name in enumerate(expected) if seen[place] != name)
    raise ValueError(
        f"the columns of X have other names than in fit: column {place} is {seen[place]}, but was {expected[place]}. "
        "Put the columns in the order of fit; for columns by position, give X.to_numpy()."
    )


def _as_text(label: Any) -> str:
    if isinstance(label, tuple):
        return f"({', '.join(map(_as_text, label))})"
    return repr(label.item() if isinstance(label, np.generic) and label.dtype.kind in "biuf" else label)


def first_labels(labels: Any, most: int = 3) -> str:
    """The first labels of an index or a list, for errors; three dots if there are more."""
    return f"[{', '.join([*map(_as_text, labels[:most]), *(['...'] if len(labels) > most else [])])}]"


def could_be_times(index: Any) -> list[int]:
    """The levels of an index that could hold its times: dates or names that mean time, otherwise numbers.

    Next to numbers, texts that look like dates could be times as well.
    """
    levels = [index.get_level_values(level) for level in range(index.nlevels)]
    names = [str(name).lower() for name in index.names]
    if sorted(names) == ["id", "time"]:  # as `time_level` advises
        return [names.index("time")]
    named = [level for level, name in enumerate(names) if name in TIME_NAMES]
    dates = [level for level, labels in enumerate(levels) if is_time(labels)]
    # The name tells dates from other dates. Dates next to numbers called "hour" may be the times together: both count.
    found = named if not dates or set(named) & set(dates) else sorted({*dates, *named})
    return found or [level for level, labels in enumerate(levels) if labels.dtype.kind in "iuf" or _like_dates(labels)]


def time_level(index: Any) -> int:
    """Number of the level with the times: the only candidate, or the last of several levels of texts.

    Raises
    ------
    ValueError
        If several levels could.
    """
    found = could_be_times(index)
    if len(found) > 1:
        some = [f"{index.names[level]!r}, {first_labels(index.get_level_values(level).unique())}" for level in found]
        raise ValueError(
            f"It is unknown which level of the index holds the times: {' or '.join(some)}. Name the levels, for "
            "instance table.index.names = ['id', 'time']; no other level may have a name of times, such as 'hour'. "
            "If times consist of two levels, combine them into one."
        )
    return found[0] if found else index.nlevels - 1


def has_times(index: Any) -> bool:
    """Whether a level of an index has a name that means time, or holds dates."""
    names = {str(name).lower() for name in index.names}
    return bool(names & set(TIME_NAMES)) or any(is_time(index.get_level_values(i)) for i in range(index.nlevels))


def is_time(labels: Any) -> bool:
    """Whether labels are dates, periods or durations, with zones or without, also as objects or as categories."""
    labels = getattr(getattr(labels, "dtype", None), "categories", labels)
    kind = getattr(getattr(labels, "dtype", None), "kind", "")
    if hasattr(labels, "asi8") or kind in ("m", "M"):
        return True
    return is_instant(_first_of_objects(labels))


def is_instant(value: Any) -> bool:
    """Whether an object is a date, a time of day, a duration or a period."""
    times = datetime.date | datetime.time | datetime.timedelta | np.datetime64 | np.timedelta64
    # A period; tables have the method too.
    return isinstance(value, times) or (hasattr(value, "asfreq") and not hasattr(value, "shape"))


def _like_dates(labels: Any) -> bool:
    """Whether labels are texts that may be dates or times, judging by the first."""
    first = _first_of_objects(getattr(labels.dtype, "categories", labels))
    return isinstance(first, str) and _TIME_IN_TEXT.match(first) is not None


def _first_of_objects(labels: Any) -> Any:
    """The first label that is not missing, of an array of objects or texts; None for other types."""
    if getattr(getattr(labels, "dtype", None), "kind", "") not in ("O", "U"):
        return None
    return next((label for label in labels if hasattr(label, "shape") or not _is_none_or_nan(label)), None)


def as_index(values: Any) -> Any:
    """The values of a Series as an index of pandas, which keeps zones and periods; anything else unchanged.

    Of polars these are times with a zone, which an array of numpy would lose.
    """
    zone = getattr(getattr(values, "dtype", None), "time_zone", None)
    if zone is not None:
        import pandas as pd

        return pd.DatetimeIndex(np.asarray(values), tz="UTC").tz_convert(zone)
    if not hasattr(values, "iloc") or not hasattr(values, "set_axis"):
        return values
    if values.dtype == object:  # for instance dates; whether an index recognises them depends on the version of pandas
        values = values.infer_objects()
    return values.set_axis(values).index


def numbered(ids: Any) -> tuple[NDArray[np.int64], Any]:
    """Number of the id of each row (n_rows,), in the order in which ids first appear, and the ids.

    Raises
    ------
    ValueError
        If one is missing.
    """
    ids = as_index(ids) if hasattr(ids, "factorize") else np.asarray(ids)
    refuse_missing_ids(ids)
    if hasattr(ids, "factorize"):  # pandas
        codes, found = ids.factorize()
        return np.asarray(codes), found
    if ids.dtype.kind == "O":
        numbers: dict[Any, int] = {}
        codes = np.array([numbers.setdefault(label, len(numbers)) for label in ids.tolist()], dtype=np.int64)
        return codes, ids[np.unique(codes, return_index=True)[1]]
    _, first, codes = np.unique(ids, return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.empty(len(first), dtype=np.int64)
    place[order] = np.arange(len(first))
    return place[codes], ids[first[order]]


def refuse_missing_ids(ids: Any, of: str = "row") -> None:
    """``ValueError`` if an id of an array or Index, or a part of one, is missing."""
    levels = [ids.get_level_values(level).isna() for level in range(ids.nlevels)] if hasattr(ids, "nlevels") else []
    missing = np.any(levels, axis=0) if levels else is_missing(ids)
    if missing.any():
        raise ValueError(f"{of} {int(missing.argmax())} has no id: every {of} needs one.")


def is_missing(values: NDArray) -> NDArray[np.bool_]:
    """Which entries of an array are None, NaN, NaT or another library's mark of a missing value."""
    if values.dtype.kind != "O":
        return np.asarray(values != values)  # true for NaN and NaT only
    return np.array([_is_none_or_nan(value) for value in values.ravel()], dtype=bool).reshape(values.shape)


def _is_none_or_nan(value: Any) -> bool:
    try:
        return value is None or bool(value != value)  # NaN and NaT differ from themselves
    except TypeError:  # pandas.NA is neither true nor false
        return True


def refuse_texts(times: Any, what: str, how: str = "pandas.to_datetime") -> None:
    """``ValueError`` if times are texts. For the message: ``what`` holds them, ``how`` converts them to times."""
    values = times if hasattr(times, "asi8") else np.asarray(times)
    kind = getattr(values.dtype, "kind", "O")
    if kind in "SU" or (kind == "O" and any(isinstance(time, str | bytes) for time in values)):
        raise ValueError(
            f"{what} holds strings, which sort by their letters ('10' before '9'). Convert it, for instance with {how}."
        )


def refuse_text_index(index: Any, name: str, *, said: bool = False) -> None:
    """``ValueError`` if the times of an index are texts; its name or the user says which level holds times."""
    if index.nlevels > 1:
        level = time_level(index)
        converted = f"pandas.to_datetime({name}.index.levels[{level}])"
        how = f"{name}.index = {name}.index.set_levels({converted}, level={level})"
        refuse_texts(index.get_level_values(level), f"Level {level} of the index of {name}, the times,", how)
    elif said or str(index.name).lower() in TIME_NAMES:
        how = f"{name}.index = pandas.to_datetime({name}.index)"
        refuse_texts(index, f"The index {index.name!r} of {name}", f"{how}; if it holds no times, rename it")


def refuse_unordered(
    labels: Any,
    rows: NDArray[np.int64],
    codes: NDArray[np.int64] | None,
    sort: str,
    keep_one: str,
    of: str = "the series",
) -> None:
    """``ValueError`` if the times of rows, group after group, do not increase within the groups.

    Texts are skipped, as labels. If they are declared to be times, `refuse_texts` comes first.

    Parameters
    ----------
    labels : Index or array of shape (n_steps,)
    rows : ndarray of int of shape (n_steps,)
        Rows, with those of the first group first.
    codes : ndarray of int of shape (n_steps,) or None
        Number of the group of every row.
    sort, keep_one : str
        Remedies for the message: for times in another order, and for a time that occurs twice.
    of : str
        What has the times, for the message.
    """
    if getattr(labels, "hasnans", False):
        raise ValueError(f"a time of {of} is missing, in row {int(np.argmax(labels.isna()))}. {_NO_TIME}")
    values = labels.asi8 if hasattr(labels, "asi8") else np.asarray(labels)
    if values.dtype.kind == "O":
        if any(isinstance(value, str | bytes) for value in values):
            return
        missing = is_missing(values)
        if missing.any():
            raise ValueError(f"a time of {of} is missing, in row {int(missing.argmax())}. {_NO_TIME}")
        try:
            values = np.unique(values, return_inverse=True)[1]
        except TypeError as error:
            raise ValueError(f"the times of {of} cannot be compared with each other: {error}") from error
    if values.dtype.kind not in "iufmM":
        return
    missing = values != values  # NaN and NaT
    if missing.any():
        raise ValueError(f"a time of {of} is missing, in row {int(missing.argmax())}. {_NO_TIME}")
    in_order = values[rows]
    wrong = in_order[1:] <= in_order[:-1]
    if codes is not None:
        wrong &= codes[rows[1:]] == codes[rows[:-1]]
    if wrong.any():
        place = int(wrong.argmax())
        before, after = labels[int(rows[place])], labels[int(rows[place + 1])]
        twice = bool(before == after)
        what, how = ("occurs twice", keep_one) if twice else (f"comes after {before!s}", sort)
        by_clock = getattr(labels, "tz", "") is None and after.hour
        if by_clock and (before - after).total_seconds() < 3600:  # also of rows that are finer than an hour
            how = f"If clocks were set back there, give the zone first: tz_localize(zone, ambiguous='infer'). {how}"
        raise ValueError(f"the times of {of} must increase, but {after!s}, in row {rows[place + 1]}, {what}. {how}")
