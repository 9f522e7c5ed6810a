"""Columns of a table as arrays, whichever library it is from."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def column_names(table: Any) -> list:
    """Names of the columns; ``TypeError`` or ``ValueError`` if this is no table or a name occurs twice."""
    columns = getattr(table, "columns", None)
    if columns is None or not hasattr(table, "__getitem__"):
        raise TypeError(
            f"X must be a table with named columns, such as a pandas DataFrame; got {type(table).__name__}."
        )
    names = list(columns)
    twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if twice is not None:
        raise ValueError(f"The table has two columns {twice!r}.")
    return names


def column(table: Any, name: Hashable) -> NDArray:
    """A column as an array of shape (n_rows,)."""
    names = list(table.columns)
    if name not in names:
        levels = list(getattr(getattr(table, "index", None), "names", None) or [])
        hint = " It is a level of the index: call reset_index() first." if name in levels else ""
        raise ValueError(f"The table has no column {name!r}; it has {', '.join(map(repr, names))}.{hint}")
    return np.asarray(table[name])


def number_column(table: Any, name: Hashable) -> NDArray:
    """A column as float32 or float64, missing values as NaN; ``ValueError`` if it is not of numbers."""
    values = column(table, name)
    if values.dtype in (np.float32, np.float64):
        return values
    try:
        if values.dtype.kind == "O":
            missing = is_missing(values)
            values = np.where(missing, np.nan, values)
            if any(isinstance(value, str | bytes) for value in values):
                raise TypeError
        elif values.dtype.kind not in "biuf":
            raise TypeError
        return values.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"Column {name!r} does not hold numbers, as a channel must: encode it first, or name the channels by the "
            "parameter channels."
        ) from error


def is_missing(values: NDArray) -> NDArray[np.bool_]:
    """Which entries of a column are None, NaN, NaT or another library's mark of a missing value."""
    if values.dtype.kind in "fcmM":
        return np.isnat(values) if values.dtype.kind in "mM" else np.isnan(values)
    if values.dtype.kind != "O":
        return np.zeros(len(values), dtype=bool)
    return np.array([_is_missing(value) for value in values], dtype=bool)


def _is_missing(value: Any) -> bool:
    if value is None:
        return True
    try:
        return bool(value != value)  # so for NaN and NaT
    except TypeError:  # pandas.NA is neither true nor false
        return True


def first_places(ids: NDArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number of the id of each row, in order of first appearance, and the row where each appears first."""
    numbers: dict[Any, int] = {}
    codes = np.array([numbers.setdefault(label, len(numbers)) for label in ids.tolist()])
    first = np.full(len(numbers), len(ids))
    np.minimum.at(first, codes, np.arange(len(ids)))
    return codes, first


def time_ranks(times: NDArray, name: Hashable) -> NDArray[np.int64]:
    """Rank of each time among the different ones; ``ValueError`` if one is missing or they have no order of time."""
    if is_missing(times).any():
        raise ValueError(f"Column {name!r} is missing in row {int(is_missing(times).argmax())}: no time, no order.")
    if times.dtype.kind in "SU" or any(isinstance(time, str | bytes) for time in times[:1]):
        raise ValueError(
            f"Column {name!r} holds strings, which sort by their letters ('10' before '9'). Convert it, with "
            "pandas.to_datetime for instance."
        )
    try:
        return np.unique(times, return_inverse=True)[1]
    except TypeError as error:
        raise ValueError(f"Column {name!r} holds times that cannot be compared with each other: {error}") from error


def looked_up(y: Any, ids: Sequence[Hashable]) -> NDArray:
    """Targets in the order of `ids`, from a mapping or a Series indexed by id."""
    if isinstance(y, Mapping):
        by_id = y
    elif hasattr(y, "index") and hasattr(y, "items") and getattr(y, "ndim", 0) == 1:
        by_id = dict(y.items())
        if len(by_id) < len(y):
            raise ValueError("y has an id twice in its index.")
    else:
        raise TypeError("y must give the target of each id: a dict, or a Series with the ids as its index.")
    absent = [label for label in ids if label not in by_id]
    if absent:
        raise ValueError(f"y has no target for id {absent[0]!s} ({len(absent)} such in all).")
    targets = np.array([by_id[label] for label in ids])
    if targets.ndim == 1 and is_missing(targets).any():
        raise ValueError(f"The target of id {ids[int(is_missing(targets).argmax())]!s} is missing in y.")
    return targets
