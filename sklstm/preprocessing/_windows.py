"""Supervised windows of a series."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any, Literal, TypeGuard, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

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

    Window i holds the steps ``i * stride`` to ``i * stride + window - 1`` of the series, and its target is
    the value `horizon` steps after the last of them, or the values at several such horizons.

    Parameters
    ----------
    series : array-like of shape (n_steps,) or (n_steps, d)
        Observations at equal steps, in order of time. float32 and float64 are kept; other real numbers become
        float64. NaN passes through.
    window : int
        Steps in a window, at least 1.
    horizon : int or sequence of h ints, default=1
        Steps from the last one of a window to the predicted one, at least 1: 1 predicts the next step. A
        sequence of different ones, such as ``range(1, 25)``, predicts each.
    target : None, int, str, list of them, or array-like of shape (n_steps,) or (n_steps, k), default=None
        What to predict: every column of the series, the column or columns of these indices (negative ones
        count from the end) or, if the series is a data frame, of these names, or values of any dtype that
        stand at the same steps as the series. A list or tuple of integers always means the places of columns:
        give integer values as an array.
    stride : int, default=1
        Steps from one window to the next, at least 1.
    times : array-like of shape (n_steps,) or True, default=None
        Times of the steps; True takes the index of a pandas Series or DataFrame.

    Returns
    -------
    X : ndarray of shape (n, window, d)
        The windows, with ``n = (n_steps - window - horizon) // stride + 1`` for the largest horizon;
        d is 1 for a series of shape (n_steps,).
    y : ndarray of shape (n,), (n, k) or (n, h * k)
        The values to predict. One dimension if there is one horizon, not in a sequence, and `target` is one
        column or has one dimension, or is None and the series has one column; two otherwise. With a sequence
        of horizons, all k targets of the first horizon come first: ``y.reshape(n, h, k)`` takes them apart.
    t : ndarray of shape (n,) or (n, h)
        Times of the predicted values, (n, h) with a sequence of horizons; only if `times` is given.

        The arrays are new and contiguous: they share no memory with the arguments.

    Raises
    ------
    TypeError
        If `window`, `horizon`, `stride` or a column index is not an integer, or the series is not of real
        numbers, or `times` is True and the series has no index.
    ValueError
        If one of them is out of range, the series has no full window with its target, or a shape does not
        fit.

    Notes
    -----
    Overlapping windows are not independent samples, so a generalisation bound for independent samples does
    not apply to them as it stands. With ``stride >= window + horizon``, of the largest horizon, no two
    windows, targets included, share a step; disjoint windows of a correlated series are still dependent, only less so.

    A test window shares no step with a training window if ``window + horizon - 1`` windows are left out
    between them, at stride 1: ``TimeSeriesSplit(gap=window + horizon - 1)``, with the largest horizon.

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

    Two channels, the second one to be predicted two steps ahead:

    >>> series = np.column_stack([np.arange(6.0), 10 * np.arange(6.0)])
    >>> X, y = sliding_windows(series, window=3, horizon=2, target=1)
    >>> X.shape, y
    ((2, 3, 2), array([40., 50.]))

    The next two steps of it at once:

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
    targets = _target_values(target, values, _names(series))  # (n_steps,) or (n_steps, k)
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


def _is_int(value: object) -> TypeGuard[int]:
    # bool is an Integral, but window=True is a slip.
    return isinstance(value, Integral) and not isinstance(value, bool)


def _positive_int(value: int, name: str) -> int:
    if not _is_int(value):
        raise TypeError(f"{name} must be an integer; got {value!r}")
    if value < 1:
        raise ValueError(f"{name} must be at least 1; got {value}")
    return int(value)


def _horizons(horizon: int | Sequence[int]) -> NDArray[np.int64]:
    if isinstance(horizon, str) or not isinstance(horizon, Sequence | np.ndarray) or np.ndim(horizon) == 0:
        return np.array([_positive_int(horizon, "horizon")])  # type: ignore[arg-type]  # that raises for other types
    horizons = np.array([_positive_int(value, "every horizon") for value in horizon])
    if len(horizons) == 0:
        raise ValueError("horizon names no step")
    if len(set(horizons.tolist())) < len(horizons):
        raise ValueError(f"horizon names a step twice; got {list(horizon)}")
    return horizons


def _instants(times: ArrayLike | Literal[True] | None, series: Any, n_steps: int) -> NDArray | None:
    """Times of the steps, (n_steps,), if they are asked for."""
    if times is None:
        return None
    if times is True:
        # A list has an attribute `index` as well, its method.
        times = None if isinstance(series, list | tuple) else getattr(series, "index", None)
        if times is None:
            raise TypeError("times=True takes the index of a pandas Series or DataFrame, and the series has none")
    instants = np.asarray(times)
    if instants.shape != (n_steps,):
        raise ValueError(f"times must have shape ({n_steps},), one per step of the series; got shape {instants.shape}")
    return instants


def _names(series: Any) -> list:
    """Names of the columns of a data frame; none of anything else."""
    columns = getattr(series, "columns", None)
    return [] if columns is None else list(columns)


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
    # A data frame of mixed or nullable columns becomes an object array.
    if values.dtype.kind not in "biufO":
        raise TypeError(_what_is_wrong(series, values) or f"series must hold real numbers; got dtype {values.dtype}")
    try:
        return values.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(_what_is_wrong(series, values) or f"series must hold real numbers; {error}") from error


def _what_is_wrong(series: Any, values: NDArray) -> str | None:
    """The columns of a data frame that hold no numbers, in words; None for a series without names."""
    if not hasattr(series, "columns"):
        return None
    wrong = [str(name) for name, column in zip(series.columns, values.T, strict=True) if not _are_numbers(column)]
    return (
        f"series must hold real numbers; these columns do not: {', '.join(wrong)}. Drop them, or turn them into "
        "numbers first, text for instance with pandas.get_dummies(table, columns=..., dtype=float)."
    )


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
    if _is_int(target):
        return values[:, _column(target, d)]
    if isinstance(target, str) and names:
        return values[:, _named(target, names)]
    if isinstance(target, list | tuple) and len(target) and all(isinstance(t, str) and t in names for t in target):
        target = [_named(str(name), names) for name in target]
    if isinstance(target, list | tuple) and all(_is_int(index) for index in target):
        columns = [_column(index, d) for index in target]
        if not columns:
            raise ValueError("target names no column")
        if len(set(columns)) < len(columns):
            # Class labels in a list would otherwise pass for columns.
            raise ValueError("target names a column twice; give integer values as an array")
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
        state = "twice" if name in names else "not"
        raise ValueError(f"target column {name!r} is {state} among the columns of the series: {names}")
    return names.index(name)


def _column(index: int, d: int) -> int:
    if not -d <= index < d:
        raise ValueError(f"target column {index} is out of range for a series with {d} columns")
    return int(index) % d
