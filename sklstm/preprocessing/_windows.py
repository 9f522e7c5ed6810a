"""Windows of a time series, each with the values to predict."""

from collections.abc import Sequence
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sklstm._tables import names_of_columns
from sklstm._validation import is_integer

Target = ArrayLike | int | str | Sequence[int] | Sequence[str] | None


@overload
def sliding_windows(
    series: ArrayLike,
    window: int,
    horizon: int | Sequence[int] = 1,
    *,
    target: Target = None,
    stride: int = 1,
    times: None = None,
) -> tuple[NDArray, NDArray]: ...
@overload
def sliding_windows(
    series: ArrayLike,
    window: int,
    horizon: int | Sequence[int] = 1,
    *,
    target: Target = None,
    stride: int = 1,
    times: ArrayLike | Literal[True],
) -> tuple[NDArray, NDArray, NDArray]: ...
def sliding_windows(
    series: ArrayLike,
    window: int,
    horizon: int | Sequence[int] = 1,
    *,
    target: Target = None,
    stride: int = 1,
    times: ArrayLike | Literal[True] | None = None,
) -> tuple[NDArray, NDArray] | tuple[NDArray, NDArray, NDArray]:
    """Cut a series into windows, each with the value to predict from it.

    Window i holds the steps ``i * stride`` to ``i * stride + window - 1`` of the series. Its target is the value
    `horizon` steps after the last of them, or the values at several horizons.

    Parameters
    ----------
    series : array-like of shape (n_steps,) or (n_steps, d)
        Observations at equal time steps, in order of time. float32 and float64 are kept; other real numbers become
        float64. NaN is kept.
    window : int
        Steps in a window, at least 1.
    horizon : int or sequence of h ints, default=1
        Number of steps, at least 1, from the last step of a window to the predicted step: 1 predicts the next step.
        With a sequence of different horizons, such as ``range(1, 25)``, each of them is predicted.
    target : None, int, str, list of them, or array-like of shape (n_steps,) or (n_steps, k), default=None
        What to predict. None: every column of the series. An index, a name, or a list of them: these columns of the
        series; negative indices count from the end, and names need a data frame. An array: its values, of any dtype,
        one row for each step of the series. A list or tuple of integers always means indices of columns; give integer
        values as an array.
    stride : int, default=1
        Number of steps from one window to the next, at least 1.
    times : array-like of shape (n_steps,) or True, default=None
        Times of the steps; True takes the index of a pandas Series or DataFrame.

    Returns
    -------
    X : ndarray of shape (n, window, d)
        The windows. ``n = (n_steps - window - horizon) // stride + 1``, with the largest horizon; d is 1 for a series
        of shape (n_steps,).
    y : ndarray of shape (n,), (n, k) or (n, h * k)
        The values to predict. The shape is (n,) if `horizon` is an integer and there is one target: `target` is one
        index or name, has one dimension, or is None for a series of one column. With a sequence of horizons, all k
        targets of the first horizon come first; ``y.reshape(n, h, k)`` separates them.
    t : ndarray of shape (n,) or (n, h)
        Times of the predicted values, (n, h) with a sequence of horizons; only if `times` is given.

        All arrays are new and contiguous: they share no memory with the arguments.

    Raises
    ------
    TypeError
        If `window`, `horizon` or `stride` is not an integer, `target` is a bool, the series does not hold real numbers,
        or `times` is True and the series has no index.
    ValueError
        If a number is out of range, the series is too short for one window and its target, or a shape does not fit.

    Notes
    -----
    Overlapping windows are not independent samples, so a generalisation bound for independent samples does not apply to
    them. With ``stride >= window + horizon``, for the largest horizon, no two windows share a step, nor do their
    targets. Such windows of a correlated series are still dependent, but less so.

    At stride 1, a test window shares no step with a training window if ``window + horizon - 1`` windows between them
    are left out: ``TimeSeriesSplit(gap=window + horizon - 1)``, for the largest horizon. The same holds for the windows
    that early stopping judges on: ``validation_split="last", validation_gap=window + horizon - 1``. A random part of
    overlapping windows shares its steps with those trained on, and its loss is far too low; see
    ``docs/guide/training.md``.

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
    """
    window, stride = _positive_int(window, "window"), _positive_int(stride, "stride")
    horizons = _horizons(horizon)  # (h,)
    furthest = int(horizons.max())
    values = _real_table(series)  # (n_steps, d)
    n_steps = len(values)
    if n_steps < window + furthest:
        raise ValueError(
            f"series has {n_steps} steps; window={window} and horizon={furthest} need at least {window + furthest}"
        )
    targets = _target_values(target, values, names_of_columns(series) or [])  # (n_steps,) or (n_steps, k)
    instants = _instants(times, series, n_steps)

    starts = np.arange(0, n_steps - window - furthest + 1, stride)  # (n,)
    predicted = starts[:, None] + window - 1 + horizons  # (n, h)
    # Indexing with integer arrays copies: nothing returned is a view of an argument.
    X = np.ascontiguousarray(values[starts[:, None] + np.arange(window)])  # (n, window, d)
    if np.ndim(horizon) == 0:
        predicted = predicted[:, 0]
        y = np.ascontiguousarray(targets[predicted])
    else:
        y = np.ascontiguousarray(targets[predicted]).reshape(len(starts), -1)  # (n, h) or (n, h * k)
    return (X, y) if instants is None else (X, y, np.ascontiguousarray(instants[predicted]))


def _positive_int(value: int, name: str) -> int:
    if not is_integer(value):
        raise TypeError(f"{name} must be an integer; got {value!r}")
    if value < 1:
        raise ValueError(f"{name} must be at least 1; got {value}")
    return int(value)


def _horizons(horizon: int | Sequence[int]) -> NDArray[np.int64]:
    if isinstance(horizon, str) or not isinstance(horizon, Sequence | np.ndarray) or np.ndim(horizon) == 0:
        return np.array([_positive_int(horizon, "horizon")])  # type: ignore[arg-type]  # that raises for other types
    horizons = np.array([_positive_int(value, "every horizon") for value in horizon])
    if len(horizons) == 0:
        raise ValueError("horizon is an empty sequence")
    if len(set(horizons.tolist())) < len(horizons):
        raise ValueError(f"horizon must not hold a number twice; got {list(horizon)}")
    return horizons


def _instants(times: ArrayLike | Literal[True] | None, series: Any, n_steps: int) -> NDArray | None:
    """Times of the steps, (n_steps,); None without `times`."""
    if times is None:
        return None
    if times is True:
        # The attribute `index` of a list is a method.
        times = None if isinstance(series, list | tuple) else getattr(series, "index", None)
        if times is None:
            raise TypeError("times=True needs a pandas Series or DataFrame, but the series has no index")
    instants = np.asarray(times)
    if instants.shape != (n_steps,):
        raise ValueError(f"times must have shape ({n_steps},), one per step of the series; got shape {instants.shape}")
    return instants


def _real_table(series: ArrayLike) -> NDArray:
    """The series as floats of shape (n_steps, d); may be a view of the argument."""
    values = np.asarray(series)
    if values.ndim not in (1, 2):
        raise ValueError(f"series must have shape (n_steps,) or (n_steps, d); got {values.shape}")
    if values.ndim == 1:
        values = values[:, None]
    if values.shape[1] == 0:
        raise ValueError(f"series must have at least one column; got shape {values.shape}")
    if values.dtype in (np.float32, np.float64):
        return values
    try:
        if values.dtype.kind not in "biufO":  # a data frame of mixed or nullable columns becomes an object array
            raise TypeError(f"got dtype {values.dtype}")
        return values.astype(np.float64)
    except (TypeError, ValueError) as error:
        names = names_of_columns(series)
        if names is None:
            raise TypeError(f"series must hold real numbers; {error}") from error
        wrong = [str(name) for name, column in zip(names, values.T, strict=True) if not _are_numbers(column)]
        raise TypeError(
            f"series must hold real numbers; these columns do not: {', '.join(wrong)}. Drop them, or convert them to "
            "numbers; for text, use for instance pandas.get_dummies(table, columns=..., dtype=float)."
        ) from error


def _are_numbers(column: NDArray) -> bool:
    if column.dtype.kind != "O":
        return column.dtype.kind in "biuf"
    try:
        column.astype(np.float64)
    except (TypeError, ValueError):
        return False
    return True


def _target_values(target: Target, values: NDArray, names: list) -> NDArray:
    """What to predict at each step, (n_steps,) or (n_steps, k); may be a view of the arguments."""
    n_steps, d = values.shape
    if target is None:
        return values[:, 0] if d == 1 else values
    if isinstance(target, bool):
        raise TypeError(f"target must be column indices or an array of values; got {target!r}")
    if is_integer(target):
        return values[:, _column(target, d)]
    if isinstance(target, str) and names:
        return values[:, _named(target, names)]
    if isinstance(target, list | tuple) and len(target) and all(isinstance(t, str) and t in names for t in target):
        target = [_named(str(name), names) for name in target]
    if isinstance(target, list | tuple) and all(is_integer(index) for index in target):
        columns = [_column(index, d) for index in target]
        if not columns:
            raise ValueError("target is an empty list of columns")
        if len(set(columns)) < len(columns):
            # A list of class labels would be taken for indices of columns.
            raise ValueError("target holds a column twice; give integer values as an array")
        return values[:, columns]
    targets = np.asarray(target)
    if targets.ndim not in (1, 2) or len(targets) != n_steps:
        raise ValueError(
            f"target must be column indices or values of shape ({n_steps},) or ({n_steps}, k), "
            f"one row per step of the series; got shape {targets.shape}"
        )
    return targets


def _named(name: str, names: list) -> int:
    if names.count(name) != 1:
        raise ValueError(f"target column {name!r} must occur once among the columns of the series: {names}")
    return names.index(name)


def _column(index: int, d: int) -> int:
    if not -d <= index < d:
        raise ValueError(f"target column {index} is out of range for a series with {d} columns")
    return int(index) % d
