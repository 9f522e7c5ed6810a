"""Wide tables: one row a sequence, columns of two levels, time and channel."""

from typing import Any

__all__ = ["is_wide", "read_wide"]

_TIME = ("time", "t", "step", "date", "datetime", "timestamp", "lag", "hour", "day", "month")
_CHANNEL = ("channel", "variable", "feature", "sensor", "signal")


def is_wide(X: Any) -> bool:
    """Whether X is a table whose columns have several levels."""
    return getattr(getattr(X, "columns", None), "nlevels", 1) > 1


def read_wide(frame: Any) -> tuple[Any, Any, tuple[int, int, int]]:
    """A wide table with its columns step by step.

    Which level is time is told by their names (such as ``"time"``, ``"t"``, ``"date"``; or ``"channel"`` and
    ``"variable"`` for the other), else by their labels: numbers or instants are times beside strings, as in what
    ``DataFrame.pivot`` makes; else the first level is time.

    Parameters
    ----------
    frame : DataFrame of shape (n, L * d)

    Returns
    -------
    ordered : DataFrame of shape (n, L * d)
        All channels of the first time step first.
    head : DataFrame of shape (n, d)
        The first time step, its columns named after the channels.
    shape : tuple of int
        (n, L, d).

    Raises
    ------
    ValueError
        If there are more than two levels, times are not in increasing order, or a channel is absent at a step.
    """
    columns = frame.columns
    if columns.nlevels != 2:
        raise ValueError(
            f"The columns of X have {columns.nlevels} levels; two are read, time and channel. Drop the others."
        )
    if _time_level(columns) == 1:
        frame = frame.swaplevel(axis=1)
        columns = frame.columns
    times, channels = columns.get_level_values(0).unique(), columns.get_level_values(1).unique()
    if not times.is_monotonic_increasing:
        raise ValueError(
            f"The time labels of the columns of X, {list(times[:5])}..., are not in increasing order. Order them, for "
            "instance X.sort_index(axis=1, level=0, sort_remaining=False); or name the levels of the columns 'time' "
            "and 'channel' if these are not the times."
        )
    size = len(times) * len(channels)
    if len(columns) != size or not columns.is_unique:
        raise ValueError(
            f"X has {len(columns)} columns for {len(times)} time steps and {len(channels)} channels: every channel "
            f"must occur once at every step, {size} columns in all."
        )
    ordered = frame[[(time, channel) for time in times for channel in channels]]
    head = ordered.iloc[:, : len(channels)].set_axis(channels, axis=1)
    return ordered, head, (len(frame), len(times), len(channels))


def _time_level(columns: Any) -> int:
    names = [str(name).lower() for name in columns.names]
    for level, name in enumerate(names):
        if name in _TIME:
            return level
        if name in _CHANNEL:
            return 1 - level
    kinds = [columns.get_level_values(level).dtype.kind in "iufM" for level in (0, 1)]
    return 1 if kinds == [False, True] else 0
