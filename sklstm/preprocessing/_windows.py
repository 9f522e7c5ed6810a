"""Windows of a time series, each with the values to predict."""

import warnings
from collections.abc import Sequence
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sklstm._validation import caller_level, is_integer
from sklstm.exceptions import DataWarning

from ._series import SeriesToCut


@overload
def sliding_windows(
    series: Any,
    window: int,
    horizon: int | Sequence[int] = 1,
    *,
    target: Any = None,
    stride: int = 1,
    times: None = None,
    groups: None = None,
) -> tuple[NDArray, NDArray]: ...
@overload
def sliding_windows(
    series: Any,
    window: int,
    horizon: int | Sequence[int] = 1,
    *,
    target: Any = None,
    stride: int = 1,
    times: ArrayLike | str | Literal[True],
    groups: None = None,
) -> tuple[NDArray, NDArray, Any]: ...
@overload
def sliding_windows(
    series: Any,
    window: int,
    horizon: int | Sequence[int] = 1,
    *,
    target: Any = None,
    stride: int = 1,
    times: None = None,
    groups: ArrayLike | str | Literal[True],
) -> tuple[NDArray, NDArray, Any]: ...
@overload
def sliding_windows(
    series: Any,
    window: int,
    horizon: int | Sequence[int] = 1,
    *,
    target: Any = None,
    stride: int = 1,
    times: ArrayLike | str | Literal[True],
    groups: ArrayLike | str | Literal[True],
) -> tuple[NDArray, NDArray, Any, Any]: ...
def sliding_windows(
    series: Any,
    window: int,
    horizon: int | Sequence[int] = 1,
    *,
    target: Any = None,
    stride: int = 1,
    times: ArrayLike | str | Literal[True] | None = None,
    groups: ArrayLike | str | Literal[True] | None = None,
) -> Any:
    """Cut series into windows, each with the value to predict from it.

    Window i holds the steps ``i * stride`` to ``i * stride + window - 1`` of the series. Its target is the value
    `horizon` steps after the last of these, or the values at several horizons.

    Parameters
    ----------
    series : array-like of shape (n_steps,) or (n_steps, d), Series, DataFrame, or a list of series
        Observations at equal time steps, in order of time. float32 and float64 are kept; other real numbers become
        float64. NaN is kept; masked values, None and NA become NaN. A list of tables or of 2-D arrays, or an array of
        shape (g, n_steps, d), is several series. So is a table whose index has two levels, id and time.
    window : int
        Number of steps in a window, at least 1.
    horizon : int or sequence of h ints, default=1
        Number of steps, at least 0, from the last step of a window to the predicted step. 1 predicts the next step, 0
        the label of the last step. With a sequence of different horizons, such as ``range(1, 25)``, each of them is
        predicted.
    target : None, int, name, list of them, or array-like of shape (n_steps,) or (n_steps, k), default=None
        What to predict. None: every column of X. An index, a name, or a list of them: these columns of the series;
        negative indices count from the end, and names need a table. In a table with a column that is called by an
        integer, integers are names. An array: its values, of any dtype, one row for each step of the series; a Series
        or DataFrame is matched by its index. A list or tuple of integers always means columns; give integer values as
        an array. For a list of series, the same for all of them, or a list with an array for each.

        X leaves out target columns that are no numbers. With a horizon of 0 it leaves out all target columns.
    stride : int, default=1
        Number of steps from one window to the next, at least 1.
    times : array-like of shape (n_steps,), name of a column, or True, default=None
        Times of the steps. True takes the index, or its level that holds times. A column named here is not in X. Texts
        cannot be times. An index of texts counts as labels, unless its name means time.
    groups : array-like of shape (n_steps,), name of a column, or True, default=None
        Ids of the series that the rows belong to, each in order of time. No window holds rows of two series. True takes
        the levels of the index that are not the time; these separate series in any case. A column named here is not in
        X. For a list of g series, True or one id for each (g,).

    Returns
    -------
    X : ndarray of shape (n, window, d)
        The windows, series after series. Each series has ``n = (n_steps - window - horizon) // stride + 1``, with the
        largest horizon; d is 1 for a series of shape (n_steps,). Windows of one series are a read-only view, which
        takes no extra memory if the series holds floats. ``X.copy()`` is a whole array.
    y : ndarray of shape (n,), (n, k) or (n, h * k)
        The values to predict. The shape is (n,) if `horizon` is an integer and there is one target. This is so if
        `target` is one index or name, has one dimension, or is None for a series of one column. With a sequence of
        horizons, all k targets of the first horizon come first; ``y.reshape(n, h, k)`` separates them.
    t : ndarray or Index of shape (n,), or ndarray or DataFrame of shape (n, h)
        Times of the predicted values, (n, h) with a sequence of horizons; only if `times` is given. Times with zones,
        and periods, are an Index, or a DataFrame with a column for each horizon.
    g : ndarray or Index of shape (n,)
        Id of the series of every window; only if `groups` is given. Pass it as groups to scikit-learn's `GroupKFold`.

    Raises
    ------
    TypeError
        If `window`, `horizon` or `stride` is not an integer, `target` is a bool, or the series does not hold real
        numbers. Also if `times` or `groups` is True and the series has no such index.
    ValueError
        If a number is out of range, or every series is too short for one window and its target. If a shape does not
        fit, a column is unknown, row labels differ, or an id is missing. If times are texts or do not increase within a
        series.

    Warns
    -----
    DataWarning
        If some series are too short for a window.

    Notes
    -----
    Overlapping windows are not independent samples, so a generalisation bound for independent samples does not apply to
    them. With ``stride >= window + horizon``, for the largest horizon, no two windows or targets share a step. Such
    windows of a correlated series are still dependent, but less so.

    At stride 1, leave out ``window + horizon - 1`` windows between training and test windows, with the largest horizon.
    They then share no step: ``TimeSeriesSplit(gap=window + horizon - 1)``. The same holds for early stopping:
    ``validation_split="last", validation_gap=window + horizon - 1``. A random part of overlapping windows shares its
    steps with the training windows, so its loss is far too low; see ``docs/guide/early_stopping.md``.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm.preprocessing import sliding_windows
    >>> X, y = sliding_windows(np.arange(6.0), window=3)
    >>> X[:, :, 0]
    array([[0., 1., 2.],
           [1., 2., 3.],
           [2., 3., 4.]])
    >>> y
    array([3., 4., 5.])

    Two channels; the second one is predicted two steps ahead:

    >>> series = np.column_stack([np.arange(6.0), 10 * np.arange(6.0)])
    >>> X, y = sliding_windows(series, window=3, horizon=2, target=1)
    >>> X.shape, y
    ((2, 3, 2), array([40., 50.]))

    Both of its next two steps are predicted:

    >>> X, y = sliding_windows(series, window=3, horizon=[1, 2], target=1)
    >>> y
    array([[30., 40.],
           [40., 50.]])

    The target may be the label of the last step. No window holds steps of two series:

    >>> import pandas as pd
    >>> table = pd.DataFrame({"pump": list("aaabbb"), "bar": np.arange(6.0), "state": ["ok", "ok", "leak"] * 2})
    >>> X, y, pumps = sliding_windows(table, 2, horizon=0, target="state", groups="pump")
    >>> X[:, :, 0].tolist(), y.tolist(), list(pumps)
    ([[0.0, 1.0], [1.0, 2.0], [3.0, 4.0], [4.0, 5.0]], ['ok', 'leak', 'ok', 'leak'], ['a', 'a', 'b', 'b'])
    """
    window, stride, horizons = _integer(window, "window", 1), _integer(stride, "stride", 1), _horizons(horizon)
    read = SeriesToCut.of(series, target, groups, times, now=bool(horizons.min() == 0))
    needed = window + int(horizons.max())
    counts = np.maximum((read.lengths - needed) // stride + 1, 0)  # windows of each series
    _check_lengths(read, needed, f"window={window} and horizon={horizons.max()}")
    of_series = np.repeat(np.arange(len(counts)), counts)  # (n,)
    within = stride * (np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts))
    starts = (np.cumsum(read.lengths) - read.lengths)[of_series] + within
    predicted = read.order[starts[:, None] + window - 1 + horizons]  # (n, h)
    if len(counts) == 1:  # nothing has to be copied
        every = np.lib.stride_tricks.sliding_window_view(
            read.values, window, axis=0
        )  # (n_steps - window + 1, d, window)
        X = every[: starts[-1] + 1 : stride].swapaxes(1, 2)
    else:
        X = read.values[read.order[starts[:, None] + np.arange(window)]]  # (n, window, d)
    if np.ndim(horizon) == 0:
        predicted = predicted[:, 0]
    y = read.targets[predicted]
    found = [X, y if np.ndim(horizon) == 0 else y.reshape(len(starts), -1)]
    if times is not None:
        found.append(_instants(read.times, predicted, horizons))
    if groups is not None:
        found.append(read.ids[of_series])
    return tuple(found)


def _check_lengths(read: SeriesToCut, needed: int, what: str) -> None:
    """``ValueError`` if no series is long enough for a window; `DataWarning` if some are not."""
    short = read.lengths < needed
    if short.all():
        which = f"series has {read.lengths.max()} steps" if len(short) == 1 else f"no series has {needed} steps"
        raise ValueError(f"{which}, but {what} need at least {needed}")
    if short.any():
        some = [str(read.ids[place]) for place in np.flatnonzero(short)[:5]]
        warnings.warn(
            f"{short.sum()} of {len(short)} series have fewer than the {needed} steps that {what} need, and give no "
            f"window: {', '.join(some)}{', ...' if short.sum() > 5 else ''}.",
            DataWarning,
            stacklevel=caller_level(),
        )


def _integer(value: Any, name: str, least: int) -> int:
    if not is_integer(value):
        raise TypeError(f"{name} must be an integer; got {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}; got {value}")
    return int(value)


def _horizons(horizon: Any) -> NDArray[np.int64]:
    if isinstance(horizon, str) or not isinstance(horizon, Sequence | np.ndarray) or np.ndim(horizon) == 0:
        return np.array([_integer(horizon, "horizon", 0)])
    horizons = np.array([_integer(value, "every horizon", 0) for value in horizon])
    if len(horizons) == 0:
        raise ValueError("horizon is an empty sequence")
    if len(set(horizons.tolist())) < len(horizons):
        raise ValueError(f"horizon must not hold a number twice; got {list(horizon)}")
    return horizons


def _instants(times: Any, predicted: NDArray[np.int64], horizons: NDArray[np.int64]) -> Any:
    """Times of some steps, (n,) or (n, h). Times without a numpy type, for instance with zones, stay as they are."""
    if not hasattr(times, "asi8") or isinstance(times.dtype, np.dtype):
        return np.asarray(times)[predicted]
    if predicted.ndim == 1:
        return times[predicted]
    first, *others = horizons.tolist()
    table = times[predicted[:, 0]].to_frame(index=False, name=first)
    for place, steps in enumerate(others, 1):
        table[steps] = times[predicted[:, place]]
    return table
