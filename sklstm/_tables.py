"""Input forms of users: tensors, lists of sequences, data frames, and wide tables with one row per sequence."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import check_array

from sklstm._labels import (
    CALENDAR_NAMES,
    STEADY_NAMES,
    could_be_times,
    first_labels,
    is_instant,
    is_missing,
    is_time,
    refuse_text_index,
    refuse_unordered,
    row_labels,
)

_FLOATS: dict[str, Any] = {"dtype": [np.float64, np.float32], "ensure_all_finite": False}
# What comes first in rows of numbers, by layout.
_AS_NUMBERS = "Leave it out, or give what it tells as numbers, such as the hour of the day."
_FIRST = {"ntc": "channels of the first time step", "nct": "time steps of the first channel"}
_CHANNEL = ("channel", "variable", "feature", "sensor", "signal")


def as_plain(values: Any, name: str = "X") -> Any:
    """Convert a tensor, on any device and with or without a graph, to an array; return anything else unchanged.

    Masked entries of a masked array are missing: they become NaN.

    Raises
    ------
    TypeError
        If the tensor has no values in memory, or numpy has no type for it. Also for objects of xarray, and for lazy
        tables of polars, which have no values yet.
    ValueError
        If a masked entry is no number.
    """
    if isinstance(values, np.ma.MaskedArray):
        return _without_mask(values, name)
    if hasattr(values, "dims") and hasattr(values, "coords"):
        of_dataset = ".to_array()" if hasattr(values, "to_array") else ""
        raise TypeError(
            f"{name} is a {type(values).__name__} of xarray with the axes {tuple(values.dims)}, whose names and "
            "labels are not read. Put the axes in order and give the numbers, "
            f"{name}{of_dataset}.transpose(...).to_numpy()."
        )
    refuse_lazy(values)
    if not isinstance(values, torch.Tensor):
        return _without_nullable_type(values)
    try:
        values = values.detach().cpu()
        small = values.is_floating_point() and values.dtype not in (torch.float16, torch.float32, torch.float64)
        return (values.float() if small else values).numpy()
    except (TypeError, NotImplementedError, RuntimeError) as error:
        raise TypeError(
            f"{name} is a tensor of {values.dtype} on {values.device} that numpy cannot hold. Pass a dense tensor of "
            "float32 or float64 with its values in memory."
        ) from error


def _without_nullable_type(values: Any) -> Any:
    """Integers and booleans of pandas' nullable types in numpy's, with their labels; others, or with gaps, unchanged.

    scikit-learn would make floats of them, in which large numbers become equal.
    """
    if hasattr(values, "iloc") and hasattr(values, "columns") and values.shape[1] == 1:
        plain_column = _without_nullable_type(column := values.iloc[:, 0])
        return values if plain_column is column else plain_column.to_frame()
    plain = getattr(getattr(values, "dtype", None), "numpy_dtype", None)
    if getattr(plain, "kind", "O") not in "biu" or not hasattr(values, "isna") or bool(values.isna().any()):
        return values
    return values.astype(plain) if row_labels(values) is not None else values.to_numpy(dtype=plain)


def targets_in(y: Any, name: str = "y") -> Any:
    """Targets of a regression, as `as_plain` reads them; ``ValueError`` for times, which numpy would count."""
    refuse_times(y, name)
    if isinstance(y, list | tuple):
        refuse_times(np.array(y, dtype=object), name)
    return as_plain(y, name)


def refuse_lazy(table: Any) -> None:
    """``TypeError`` for a lazy table of polars, which has no values yet."""
    if hasattr(table, "collect") and not hasattr(table, "shape"):
        raise TypeError(f"A {type(table).__name__} has no values yet. Give the result of its method collect().")


def _without_mask(values: np.ma.MaskedArray, name: str) -> NDArray:
    if not np.ma.is_masked(values):
        return np.asarray(values.data)
    if values.dtype.kind not in "biuf":
        raise ValueError(f"{name} has masked entries of {values.dtype}, which cannot become NaN. Leave those out.")
    as_float = values.dtype if values.dtype.kind == "f" else np.dtype(np.float64)
    return np.asarray(np.ma.filled(values.astype(as_float), np.nan))


def sequences_in(X: Any) -> list | None:
    """Sequences of a list, tuple, object array, Series or nested tensor; None if X is an array or rows of numbers.

    Raises
    ------
    ValueError
        If the list is empty: it is unknown what it would hold.
    """
    if isinstance(X, torch.Tensor):
        return list(X.unbind()) if X.is_nested else None
    of_objects = getattr(getattr(X, "dtype", None), "kind", "") == "O" and getattr(X, "ndim", None) == 1
    if not (isinstance(X, list | tuple) or of_objects):
        return None
    if len(X) == 0:
        raise ValueError("X is empty: it holds no sequence.")
    entries = list(X)
    axes = n_axes(entries[0])
    if axes >= 2 or (of_objects and axes == 1):
        return entries
    # scikit-learn reads rows of one length as a table. Rows of several lengths are refused as sequences.
    unequal = axes == 1 and all(n_axes(row) == 1 for row in entries) and len({len(row) for row in entries}) > 1
    return entries if unequal else None


def n_axes(entry: Any) -> int:
    """Number of axes of an array-like; for nested lists, the depth of the first entry, as lengths may be unequal."""
    ndim = getattr(entry, "ndim", None)
    if ndim is not None:
        return int(ndim)
    if isinstance(entry, list | tuple):
        return 1 + (n_axes(entry[0]) if entry else 0)
    refuse_lazy(entry)
    return np.asarray(entry).ndim  # not np.ndim: an object may offer __array__ and nothing else


def read_entries(sequences: Sequence[Any], name: str = "X") -> list[NDArray]:
    """Entries of a list as arrays of shape (L_i, d), all with the same d; they may share memory with the arguments.

    Raises
    ------
    ValueError
        If the list is empty, or an entry does not have two axes, or has no step or no channel. Also if an entry has
        another number of channels than the first.
    """
    arrays: list[NDArray] = []
    for i, entry in enumerate(sequences):
        refuse_unordered_times(entry, f"{name}[{i}]")
        try:
            array = _values_of(entry, f"{name}[{i}]")
        except ValueError as error:
            raise ValueError(
                f"{name}[{i}] is not an array of numbers of shape (n_steps, n_channels): {error}"
            ) from error
        if array.ndim != 2:
            hint = as_one_channel(entry, "(n_steps, 1)", "(-1, 1)") if array.ndim == 1 else ""
            raise ValueError(
                f"{name}[{i}] has shape {array.shape}, but every sequence of the list must have shape (n_steps, "
                f"n_channels).{hint}"
            )
        if 0 in array.shape:
            raise ValueError(
                f"{name}[{i}] has {array.shape[0]} time steps and {array.shape[1]} channels, but a sequence needs at "
                "least one of each."
            )
        if arrays and array.shape[1] != arrays[0].shape[1]:
            expected = arrays[0].shape[1]
            raise ValueError(
                f"{name}[{i}] has {array.shape[1]} channels (shape {array.shape}, read as (n_steps, n_channels)), but "
                f"{name}[0] has {expected}.{swapped(array.shape[0], expected)}"
            )
        arrays.append(array)
    if not arrays:
        raise ValueError(f"{name} holds no sequence.")
    return arrays


def as_one_channel(entry: Any, shape: str, new: str) -> str:
    """How to make a sequence of one channel of an entry with one axis: the end of an error message."""
    if hasattr(entry, "to_frame"):  # a Series, of which a frame keeps the labels
        return " A Series of one channel becomes a sequence by x.to_frame()."
    call = f"x.reshape{new}" if hasattr(entry, "reshape") else f"numpy.reshape(x, {new})"
    return f" A sequence of one channel has shape {shape}: {call}."


def _values_of(entry: Any, name: str) -> NDArray:
    framed = hasattr(entry, "columns")
    by_pandas = framed and hasattr(type(entry), "values")
    array = entry.values if by_pandas else np.asarray(as_plain(entry))  # pandas' own way is quicker
    are_numbers = array.dtype.kind in "biuf"
    # Types by column take long with pandas. Of polars' dates numpy makes numbers.
    if not (by_pandas and are_numbers):
        refuse_times(entry if framed else array, name)
    # A frame may have nullable columns, which scikit-learn can read, but this takes a hundred times as long.
    return array if are_numbers or not framed else check_array(entry, **_FLOATS)


def refuse_times(X: Any, name: str = "X") -> None:
    """``ValueError`` for dates and durations instead of numbers: numpy would count their units, NaT included."""
    refuse_lazy(X)
    columns = getattr(X, "columns", None)
    if columns is None:
        dtype = getattr(X, "dtype", None)
        kind = _kind(dtype)
        if kind in ("m", "M") or (kind == "O" and any(map(is_instant, np.ravel(X)))):
            raise ValueError(f"{name} holds times ({dtype}), not numbers. {_AS_NUMBERS}")
        return
    dtypes = getattr(X, "dtypes", None)
    kinds = [_kind(dtype) for dtype in (dtypes if np.iterable(dtypes) else ())]
    for place, (column, kind) in enumerate(zip(columns, kinds, strict=False)):
        if kind in ("m", "M") or (kind == "O" and hasattr(X, "iloc") and is_time(X.iloc[:, place])):
            raise ValueError(f"column {column!r} of {name} holds times, not numbers. {_AS_NUMBERS}")


def _kind(dtype: Any) -> str:
    """The kind of a dtype of numpy or pandas; "M" for all times of polars."""
    is_time = getattr(dtype, "is_temporal", None)
    return "M" if is_time is not None and is_time() else str(getattr(dtype, "kind", ""))


def refuse_unordered_times(table: Any, name: str) -> None:
    """``ValueError`` if the index of a sequence holds times that do not increase.

    Numbers count as times if their name says so, unless it is a name of the calendar, which begins again, or a lag.
    Next to an id, in an index of several levels, numbers without a name count too.
    """
    index = row_labels(table)
    if not hasattr(index, "nlevels"):
        return
    if index.nlevels == 1:
        refuse_text_index(index, name)
        of_categories = hasattr(index.dtype, "categories")  # whose order is that of the categories
        if index.is_monotonic_increasing and index.is_unique and not of_categories:
            return
        found = [0] if is_time(index) or str(index.name).lower() in STEADY_NAMES else []
    else:
        found = could_be_times(index)
        if len(found) > 1:  # the id of all rows is no time
            found = [level for level in found if index.get_level_values(level).nunique() > 1]
    if len(found) != 1:
        return
    times = index.get_level_values(found[0])
    if not is_time(times) and str(times.name).lower() in CALENDAR_NAMES:
        return
    others = [level for level in range(index.nlevels) if level != found[0]]
    if any(index.get_level_values(level).nunique() > 1 for level in others):
        split = "There are several ids. If they are several sequences, give one entry for each: "
        split += f"[part for _, part in {name}.groupby(level={others[0]})]."
        sort = keep_one = f"{split} If they are one, sort its rows by time, or reset_index(drop=True)."
    else:
        sort = "Sort its rows, or, if these are no times, reset_index(drop=True)."
        keep_one = f"Keep one row of each time, {name}[~{name}.index.duplicated()], or, if these are no times, "
        keep_one += "reset_index(drop=True)."
    refuse_unordered(times, np.arange(len(times)), None, sort, keep_one, f"the index of {name}")


def swapped(n_steps: int, expected: int) -> str:
    """Hint for an error about channels, if there are as many time steps as there should be channels."""
    return " The time and channel axes look swapped." if n_steps == expected else ""


def folded_shape(estimator: Any, shape: tuple[int, ...], *, reset: bool) -> tuple[int, int, int]:
    """Shape (n, L, d) of sequences that an array holds as rows (n, L * d) or with three axes.

    Parameters
    ----------
    estimator : estimator with ``n_channels`` and ``layout``
        After a fit, also with ``_n_channels``, the number of channels seen in fit.
    shape : tuple of int
        Shape of the array; of one with three axes, with the steps before the channels.
    reset : bool
        True in fit: the number of channels is compared with ``n_channels``. False later: with ``_n_channels``.

    Returns
    -------
    tuple of int

    Raises
    ------
    ValueError
        If there are more than three axes, a row does not hold whole steps, or there is no step or channel. Also if the
        number of channels is another one.
    """
    name = type(estimator).__name__
    if len(shape) > 3:
        raise ValueError(
            f"X has {len(shape)} axes. {name} takes sequences of shape (n_samples, n_steps, n_channels), rows of "
            "shape (n_samples, n_steps * n_channels), or a list of arrays of shape (n_steps, n_channels)."
        )
    if len(shape) == 2:
        n, n_columns = shape
        d = estimator.n_channels if reset else estimator._n_channels
        if n_columns % d:
            raise ValueError(
                f"X has {n_columns} columns, which is not a multiple of n_channels={d}: a row must hold n_steps * "
                f"n_channels values, all {_FIRST[estimator.layout]} first."
            )
        shape = (n, n_columns // d, d)
    n, n_steps, d = shape
    if n_steps == 0 or d == 0:
        raise ValueError(
            f"X has {n_steps} time steps and {d} channels ({as_read(estimator, shape, sizes=False)}), but {name} "
            "needs at least one of each."
        )
    check_channels(estimator, shape, reset=reset)
    return n, n_steps, d


def check_channels(estimator: Any, shape: tuple[int, ...], *, reset: bool, name: str = "X") -> None:
    """Compare the last axis of sequences with the expected number of channels, as `folded_shape` does.

    The shape is that of an array (n, L, d), or (L, d) for a sequence of a list. `name` is its name in the error.
    """
    n_steps, d = shape[-2:]
    expected = estimator.n_channels if reset else estimator._n_channels
    if reset and expected == 1:  # the default, with which an array may have any number of channels
        return
    if d != expected:
        other, place = ("ntc", "axis before the last") if estimator.layout == "nct" else ("nct", "last axis")
        hint = swapped(n_steps, expected)
        raise ValueError(
            f"{name} has {d} channels on its {place} ({as_read(estimator, shape)}), but {type(estimator).__name__} is "
            f"expecting {expected} channels.{hint}{f' If they are, set layout={other!r}.' if hint else ''}"
        )


def as_read(estimator: Any, shape: tuple[int, ...], *, sizes: bool = True) -> str:
    """How the axes of an array, or of a sequence of a list, are read: the shape in the user's order.

    ``shape`` has the steps before the channels.
    """
    axes = list(zip(("n_samples", "n_steps", "n_channels")[-len(shape) :], shape, strict=True))
    if estimator.layout == "nct":
        axes[-2:] = axes[:-3:-1]
    with_sizes = sizes and len(shape) == 3
    names = (f"{axis}={size}" if with_sizes and axis != "n_samples" else axis for axis, size in axes)
    return f"shape {tuple(size for _, size in axes)}, read as ({', '.join(names)})"


def names_of_columns(table: Any) -> list | None:
    """Names of the columns of a data frame; None for anything that has none."""
    refuse_lazy(table)
    columns = getattr(table, "columns", None)
    return None if columns is None else list(columns)


def filled_like(table: Any, values: NDArray) -> Any:
    """Values with the names of a table's columns, if it has any, and of its rows, if their number is equal."""
    if not hasattr(table, "columns"):
        return values
    if hasattr(table, "iloc"):  # pandas, and what is like it
        return type(table)(values, columns=table.columns, index=table.index if len(table) == len(values) else None)
    return type(table)(dict(zip(table.columns, values.T, strict=True)))


def one_set_of_names(sequences: Sequence[Any]) -> bool:
    """Whether all entries are data frames with the same columns in the same order, or none is a data frame.

    Returns
    -------
    bool
        True for data frames, False otherwise.

    Raises
    ------
    ValueError
        If the columns differ, or only some entries are data frames.
    """
    first: Any = getattr(sequences[0], "columns", None)
    listed = first.tolist() if hasattr(first, "tolist") else None
    for i, entry in enumerate(sequences):
        columns: Any = getattr(entry, "columns", None)
        # Lists: an Index takes six times as long to compare itself.
        if columns is first or (listed is not None and hasattr(columns, "tolist") and columns.tolist() == listed):
            continue
        names, known = names_of_columns(entry), names_of_columns(sequences[0])
        if names != known:
            raise ValueError(f"X[{i}] has columns {names}, but X[0] has {known}. Give every sequence the same columns.")
    return first is not None


def is_wide(X: Any) -> bool:
    """Whether X is a table whose columns have several levels."""
    refuse_lazy(X)
    return getattr(getattr(X, "columns", None), "nlevels", 1) > 1


def is_nested(X: Any) -> bool:
    """Whether X is a table with a series of numbers in a cell of its first row."""
    if not hasattr(X, "iloc") or not hasattr(X, "columns") or not len(X):
        return False
    return any(not isinstance(cell, str | bytes) and n_axes(cell) > 0 for cell in X.iloc[0].tolist())


def refuse_nested(X: Any) -> None:
    """``ValueError`` if X is a nested table, or a list of rows whose labels would be lost."""
    if is_nested(X):
        raise ValueError(
            "X is a nested table: its cells hold series, not numbers. sklstm.preprocessing.read_sequences(X) makes "
            "sequences of its rows."
        )
    if not isinstance(X, list | tuple):
        return
    for i, row in enumerate(X):
        labels = row_labels(row) if getattr(row, "ndim", None) == 1 else None
        if labels is None:
            return
        refuse_unordered_times(row, f"X[{i}]")
        if len(labels) and isinstance(labels[0], str):
            raise ValueError(
                f"X[{i}] is a Series with names, such as {labels[0]!r}. A list of such rows is a table: give "
                "pandas.DataFrame(X), whose columns have these names."
            )


def read_wide(frame: Any) -> tuple[Any, Any, tuple[int, int, int]]:
    """Order the columns of a wide table step by step.

    A wide table has one row for each sequence, and columns of two levels, time and channel. A name of a level, such as
    ``"time"``, ``"t"`` or ``"date"``, or ``"channel"`` or ``"variable"``, shows which it is. Without such a name, the
    labels decide. If one level holds numbers, dates, periods or durations and the other holds strings, as after
    ``DataFrame.pivot``, the former are the times. Otherwise it is an error.

    Parameters
    ----------
    frame : DataFrame of shape (n, L * d)

    Returns
    -------
    ordered : DataFrame of shape (n, L * d)
        All channels of the first time step come first.
    head : DataFrame of shape (n, d)
        The first time step; its columns have the names of the channels.
    shape : tuple of int
        (n, L, d).

    Raises
    ------
    ValueError
        If the columns have more than two levels, or both could be the times. If the times are texts or not in
        increasing order, or if a channel is absent at a step.
    """
    columns = frame.columns
    if columns.nlevels != 2:
        raise ValueError(
            f"The columns of X have {columns.nlevels} levels, but they must have two, time and channel. Drop the "
            "others."
        )
    level = _time_level(columns)
    if any(isinstance(label, str) for label in columns.levels[level]):
        some = first_labels(columns.get_level_values(level).unique())
        raise ValueError(
            f"The times in the columns of X are texts, {some}, which sort by their letters ('10' before '2'). Convert "
            f"them with X.rename(columns=float, level={level}), columns=pandas.Timestamp, or a function of your own. "
            "If these are the channels, name the levels of the columns 'time' and 'channel'."
        )
    if level == 1:
        frame = frame.swaplevel(axis=1)
        columns = frame.columns
    times, channels = columns.get_level_values(0).unique(), columns.get_level_values(1).unique()
    if not times.is_monotonic_increasing:
        raise ValueError(
            f"The time labels of the columns of X, {first_labels(times, 5)}, are not in increasing order. Sort them, "
            "for instance with X.sort_index(axis=1, level=0, sort_remaining=False). If these labels are not the times, "
            "name the levels of the columns 'time' and 'channel'."
        )
    size = len(times) * len(channels)
    if len(columns) != size or not columns.is_unique:
        raise ValueError(
            f"X has {len(columns)} columns for {len(times)} time steps and {len(channels)} channels: every channel "
            f"must occur once at every step, which makes {size} columns."
        )
    ordered = frame[[(time, channel) for time in times for channel in channels]]
    head = ordered.iloc[:, : len(channels)].set_axis(channels, axis=1)
    return ordered, head, (len(frame), len(times), len(channels))


def wide_places(frame: Any) -> tuple[NDArray[np.int64], list[Any]]:
    """Positions (L, d) of the columns of a wide table, and the names of the channels; errors as in `read_wide`."""
    positions = type(frame)(np.arange(frame.shape[1])[None], columns=frame.columns)
    ordered, head, (_, n_steps, d) = read_wide(positions)
    return ordered.to_numpy().reshape(n_steps, d), list(head.columns)


def _time_level(columns: Any) -> int:
    channels = [level for level, name in enumerate(columns.names) if str(name).lower() in _CHANNEL]
    found = [1 - channels[0]] if len(channels) == 1 else could_be_times(columns)
    if len(found) != 1:
        values = [columns.get_level_values(level) for level in (0, 1)]
        raise ValueError(
            f"It is unknown which level of the columns of X holds the times: {first_labels(values[0].unique())} or "
            f"{first_labels(values[1].unique())}. Name the levels, for instance X.columns.names = ['time', 'channel']."
        )
    return found[0]


def numbers_in(column: Any, name: str) -> NDArray:
    """One column as floats: float32 and float64 unchanged, other real numbers as float64, missing values as NaN.

    Masked entries, NA of pandas, None and NaN are all missing.

    Raises
    ------
    TypeError
        If it holds anything other than real numbers.
    """
    values = as_plain(column, name)
    kind = getattr(getattr(values, "dtype", None), "kind", "O")
    if hasattr(values, "array") and not isinstance(values.dtype, np.dtype) and kind in "iufb":
        values = values.to_numpy(dtype=np.float64, na_value=np.nan)  # a nullable column, without an object for each row
    values = np.asarray(values)
    if values.dtype in (np.float32, np.float64):
        return values
    if values.dtype.kind == "O":
        missing = is_missing(values)
        rest = values[~missing]
        if any(isinstance(value, str | bytes) for value in rest.ravel()):
            raise TypeError(
                f"{name} must hold real numbers, but it holds {next(v for v in rest if isinstance(v, str | bytes))!r}."
            )
        found = np.full(values.shape, np.nan)
        try:
            found[~missing] = rest.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise TypeError(f"{name} must hold real numbers; {error}") from error
        return found
    if values.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold real numbers; got dtype {values.dtype}")
    return values.astype(np.float64)
