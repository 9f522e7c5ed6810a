"""Sequences in the containers of other packages, in a form that the estimators take."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklstm._labels import labelled, numbered, refuse_text_index, refuse_unordered, row_labels, time_level
from sklstm._layout import LAYOUT, LayoutName, axes_swapped
from sklstm._sequences import row_blocks
from sklstm._tables import (
    as_plain,
    is_nested,
    is_wide,
    n_axes,
    names_of_columns,
    numbers_in,
    one_set_of_names,
    read_entries,
    sequences_in,
)

_REMEDY = "Fill it before, with the past only, or leave the sequence out."


def read_sequences(X: Any, *, layout: LayoutName = "ntc") -> Any:
    """Convert sequences from the container of another package to a form that the estimators take.

    The result has steps before channels. The container is recognised by its form. You only need to say whether arrays
    have channels before time.

    Parameters
    ----------
    X : array-like, list, Series or DataFrame
        - An array with three axes: aeon's and sktime's numpy3D (n, d, L), with ``layout="nct"``, or tslearn's (n, L,
          d). Steps at the end of a sequence in which every channel is NaN are padding, and are removed.
        - A list, tuple, object array or Series of arrays: aeon's np-list of (d, L_i), with ``layout="nct"``, or (L_i,
          d). Also of data frames: sktime's df-list, one column for each channel, in either layout.
        - A nested data frame of sktime. It has one row for each sequence, one column for each channel, and a Series or
          array of all steps in every cell.
        - sktime's pd-multiindex: a data frame with one row for each step and an index of two levels, id and time. The
          level of times is the one with dates, periods or durations, else the one whose name means time, else the one
          with numbers. If two levels could hold the times, this is an error. These names mean time, in upper or lower
          case: "time", "times", "timepoint", "timepoints", "time_point", "timestep", "timesteps", "time_step",
          "time_idx", "timestamp", "t", "ds", "step", "cycle", "lag". So do "date", "datetime", "period", "year",
          "quarter", "month", "week", "weekday", "day", "hour", "minute", "second".
    layout : {"ntc", "nct"}, default="ntc"
        Axes of arrays: (n, time, channels) and (time, channels), or (n, channels, time) and (channels, time).

    Returns
    -------
    ndarray of shape (n, L, d), list of arrays (L_i, d), or Series or list of data frames (L_i, d)
        An array, not copied, if X is an array without padding. Otherwise a list. Tables become data frames with the
        names of the channels as columns and the times as index. They come in a Series whose index holds the ids. If y
        has an index, it must hold these ids too.

    Raises
    ------
    ValueError
        If a value is missing that is not padding. If times are texts, do not increase, or differ between the channels
        of a sequence. If channels or shapes do not agree. If X is rows of numbers, whose meaning is unknown.
    TypeError
        If a column of a table does not hold real numbers.

    See Also
    --------
    SequencesFromTable : From a table with one row for each step, with ids and times in columns.
    sliding_windows : Windows of long series.
    unpad_sequences : Removes padding with a number.

    Notes
    -----
    Data frames with columns of two levels, time and channel, are returned unchanged, since the estimators take them.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sklstm.preprocessing import read_sequences
    >>> numpy3D = np.arange(24.0).reshape(4, 2, 3)  # of aeon: 4 sequences, 2 channels, 3 steps
    >>> read_sequences(numpy3D, layout="nct").shape
    (4, 3, 2)

    Padded with NaN, as by ``tslearn.utils.to_time_series_dataset``:

    >>> [x.ravel() for x in read_sequences([[[1.0], [2.0], [3.0]], [[4.0], [np.nan], [np.nan]]])]
    [array([1., 2., 3.]), array([4.])]

    A table of sktime, with an index of id and time:

    >>> index = pd.MultiIndex.from_tuples([("b", 0), ("b", 1), ("a", 0)], names=["pump", "hour"])
    >>> X = read_sequences(pd.DataFrame({"bar": [4.0, 5.0, 7.0], "rpm": [90, 95, 70]}, index=index))
    >>> list(X.index), X["b"].shape
    (['b', 'a'], (2, 2))
    """
    LAYOUT.check("layout", layout)
    if names_of_columns(X) is not None:
        return _of_table(X)
    sequences = sequences_in(X)
    if sequences is None or _is_nested_lists_of_one_shape(X):
        return _of_array(X, layout)
    framed = one_set_of_names(sequences)
    arrays = read_entries(axes_swapped(sequences) if layout == "nct" else sequences)
    arrays = [
        numbers_in(array, f"X[{i}]") if array.dtype.kind not in "biuf" else array for i, array in enumerate(arrays)
    ]
    for i, array in enumerate(arrays):
        _refuse_missing(array, f"X[{i}]")
    if framed:
        return sequences if row_labels(X) is None else X
    return arrays


def _is_nested_lists_of_one_shape(X: Any) -> bool:
    if not isinstance(X, list | tuple) or any(hasattr(entry, "ndim") for entry in X) or n_axes(X) != 3:
        return False
    return len({(len(entry), len(step)) for entry in X for step in entry}) == 1


def _of_array(X: Any, layout: str) -> Any:
    values = np.asarray(as_plain(X))
    if values.ndim == 2 and isinstance(X, list | tuple) and hasattr(X[0], "to_frame"):
        raise ValueError("X is a list of Series. For sequences of one channel, give [x.to_frame() for x in X].")
    if values.ndim != 3:
        name = "X" if hasattr(X, "shape") else "numpy.array(X)"
        raise ValueError(
            f"X has {values.ndim} axes, so it is unknown which of them are sequences, steps and channels. Give three: "
            f"{name}[None] for one sequence, {name}[:, :, None] for sequences of one channel. The estimators also take "
            "rows of steps, with n_channels."
        )
    values = numbers_in(values, "X") if values.dtype.kind not in "biuf" else values
    if layout == "nct":
        values = values.swapaxes(1, 2)
    if values.dtype.kind != "f" or not any(np.isnan(values[rows]).any() for rows in row_blocks(values)):
        return values
    missing = np.isnan(values)
    filled = np.logical_and.accumulate(missing.all(axis=2)[:, ::-1], axis=1)[:, ::-1]  # (n, L), from the end
    lengths = values.shape[1] - filled.sum(axis=1)
    if not lengths.all():
        raise ValueError(f"X[{int(lengths.argmin())}] holds nothing but NaN: no step of it is left.")
    for i, (sequence, length) in enumerate(zip(values, lengths, strict=True)):
        if missing[i, :length].any():
            _refuse_missing(sequence[:length], f"X[{i}]")
    return [sequence[:length] for sequence, length in zip(values, lengths, strict=True)]


def _of_table(X: Any) -> Any:
    if is_wide(X):
        return X
    if is_nested(X):
        return _of_nested(X)
    index = row_labels(X)
    levels = getattr(index, "nlevels", 1)
    if levels != 2:
        has = "no index" if index is None else f"an index of {levels} level{'s' if levels > 1 else ''}"
        raise ValueError(
            f"X is a table with {has}, so it is unknown which rows are one sequence. Give it an index of two levels, "
            "id and time. Or use SequencesFromTable, which takes the names of their columns, or sliding_windows. The "
            "estimators also take tables with one row for each sequence."
        )
    if not len(index):
        raise ValueError("X is empty: the table has no row.")
    level = time_level(index)
    times, (codes, ids) = index.get_level_values(level), numbered(index.get_level_values(1 - level))
    refuse_text_index(index, "X")
    rows = np.argsort(codes, kind="stable")
    refuse_unordered(
        times, rows, codes, "Sort the rows: X.sort_index().", "Keep one row of each time: X[~X.index.duplicated()]."
    )
    values = np.column_stack([_column(X, place) for place in range(X.shape[1])])
    ends = np.cumsum(np.bincount(codes, minlength=len(ids)))
    frames = []
    for number, part in enumerate(np.split(rows, ends[:-1])):
        _refuse_missing(values[part], f"the sequence of id {ids[number]!s}")
        frames.append(type(X)(values[part], columns=X.columns, index=times[part]))
    return labelled(frames, ids)


def _of_nested(X: Any) -> Any:
    columns = [[_cell(value, name, row) for row, value in enumerate(X[name])] for name in X.columns]
    frames = []
    for row, cells in enumerate(zip(*columns, strict=True)):
        values, times = zip(*cells, strict=True)
        for name, column, instants in zip(X.columns, values, times, strict=True):
            if len(column) != len(values[0]) or not _equal(instants, times[0]):
                raise ValueError(
                    f"In row {X.index[row]!s} of X, channel {name!r} has other times than channel {X.columns[0]!r}: "
                    f"{len(column)} and {len(values[0])} steps. Every channel of a sequence must have the same times."
                )
        sequence = np.column_stack(values)
        _refuse_missing(sequence, f"the sequence in row {X.index[row]!s}")
        if times[0] is not None:
            refuse_text_index(times[0], f"X.iloc[{row}, 0]")
            cells = f"the cells of row {X.index[row]!s}"
            refuse_unordered(
                times[0], np.arange(len(sequence)), None, f"Sort {cells} by time.", f"Keep one step of each in {cells}."
            )
        frames.append(type(X)(sequence, columns=X.columns, index=times[0]))
    return labelled(frames, X.index)


def _cell(value: Any, name: Any, row: int) -> tuple[NDArray, Any]:
    """Numbers (L,) of a cell of a nested table, and its times, if it has any."""
    values = numbers_in(value if n_axes(value) else np.reshape(np.asarray(value), (-1,)), f"{name!r} in row {row}")
    if values.ndim != 1 or not len(values):
        raise ValueError(f"{name!r} in row {row} of X must hold the steps of one channel; got shape {values.shape}.")
    return values, row_labels(value)


def _equal(times: Any, others: Any) -> bool:
    return times is others or (times is not None and others is not None and bool(times.equals(others)))


def _column(frame: Any, place: int) -> NDArray:
    column = frame.iloc[:, place] if hasattr(frame, "iloc") else frame[frame.columns[place]]
    return numbers_in(column, f"column {frame.columns[place]!r}")


def _refuse_missing(values: NDArray, of: str) -> None:
    if values.dtype.kind == "f" and np.isnan(values).any():
        step, channel = np.argwhere(np.isnan(values))[0]
        raise ValueError(f"{of} has a missing value at step {step}, channel {channel}. {_REMEDY}")
