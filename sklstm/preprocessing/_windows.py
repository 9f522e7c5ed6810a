"""Supervised windows of a series."""

from collections.abc import Sequence
from numbers import Integral
from typing import TypeGuard, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

Target = ArrayLike | int | Sequence[int] | None


@overload
def sliding_windows(
    series: ArrayLike,
    window: int,
    horizon: int = 1,
    *,
    target: Target = None,
    stride: int = 1,
    times: None = None,
) -> tuple[NDArray, NDArray]: ...
@overload
def sliding_windows(
    series: ArrayLike,
    window: int,
    horizon: int = 1,
    *,
    target: Target = None,
    stride: int = 1,
    times: ArrayLike,
) -> tuple[NDArray, NDArray, NDArray]: ...
def sliding_windows(
    series: ArrayLike,
    window: int,
    horizon: int = 1,
    *,
    target: Target = None,
    stride: int = 1,
    times: ArrayLike | None = None,
) -> tuple[NDArray, NDArray] | tuple[NDArray, NDArray, NDArray]:
    """Cut a series into windows, each with the value to predict from it.

    Window i holds the steps ``i * stride`` to ``i * stride + window - 1`` of the series, and its target is
    the value `horizon` steps after the last of them.

    Parameters
    ----------
    series : array-like of shape (n_steps,) or (n_steps, d)
        Observations at equal steps, in order of time. float32 and float64 are kept; other real numbers become
        float64. NaN passes through.
    window : int
        Steps in a window, at least 1.
    horizon : int, default=1
        Steps from the last one of a window to the predicted one, at least 1: 1 predicts the next step.
    target : None, int, list of int, or array-like of shape (n_steps,) or (n_steps, k), default=None
        What to predict: every column of the series, the column or columns of these indices (negative ones
        count from the end), or values of any dtype that stand at the same steps as the series. A list or
        tuple of integers always means columns: give integer values as an array.
    stride : int, default=1
        Steps from one window to the next, at least 1.
    times : array-like of shape (n_steps,), default=None
        Times of the steps.

    Returns
    -------
    X : ndarray of shape (n, window, d)
        The windows, with ``n = (n_steps - window - horizon) // stride + 1``; d is 1 for a series of shape
        (n_steps,).
    y : ndarray of shape (n,) or (n, k)
        The values to predict. One dimension if `target` is an int or has one, or is None and the series has
        one column; two otherwise.
    t : ndarray of shape (n,)
        Times of the predicted values; only if `times` is given.

        The arrays are new and contiguous: they share no memory with the arguments.

    Raises
    ------
    TypeError
        If `window`, `horizon`, `stride` or a column index is not an integer, or the series is not of real
        numbers.
    ValueError
        If one of them is out of range, the series has no full window with its target, or a shape does not
        fit.

    Notes
    -----
    Overlapping windows are not independent samples, so a generalisation bound for independent samples does
    not apply to them as it stands. With ``stride >= window + horizon`` no two windows, targets included,
    share a step; disjoint windows of a correlated series are still dependent, only less so.

    A test window shares no step with a training window if ``window + horizon - 1`` windows are left out
    between them, at stride 1: ``TimeSeriesSplit(gap=window + horizon - 1)``.

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
    """
    window, horizon, stride = (
        _positive_int(value, name) for value, name in ((window, "window"), (horizon, "horizon"), (stride, "stride"))
    )
    values = _real_table(series)  # (n_steps, d)
    n_steps = len(values)
    if n_steps < window + horizon:
        raise ValueError(
            f"series has {n_steps} steps; window={window} and horizon={horizon} need at least {window + horizon}"
        )
    targets = _target_values(target, values)  # (n_steps,) or (n_steps, k)
    instants = None if times is None else np.asarray(times)
    if instants is not None and instants.shape != (n_steps,):
        raise ValueError(f"times must have shape ({n_steps},), one per step of the series; got shape {instants.shape}")

    starts = np.arange(0, n_steps - window - horizon + 1, stride)  # (n,)
    predicted = starts + window - 1 + horizon
    # Indexing with integer arrays copies: nothing returned is a view of an argument.
    X = np.ascontiguousarray(values[starts[:, None] + np.arange(window)])  # (n, window, d)
    y = np.ascontiguousarray(targets[predicted])
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
        raise TypeError(f"series must hold real numbers; got dtype {values.dtype}")
    try:
        return values.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"series must hold real numbers; {error}") from error


def _target_values(target: Target, values: NDArray) -> NDArray:
    """What to predict at each step, (n_steps,) or (n_steps, k); may be a view of the arguments."""
    n_steps, d = values.shape
    if target is None:
        return values[:, 0] if d == 1 else values
    if isinstance(target, bool):
        raise TypeError(f"target must be column indices or an array of values; got {target!r}")
    if _is_int(target):
        return values[:, _column(target, d)]
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


def _column(index: int, d: int) -> int:
    if not -d <= index < d:
        raise ValueError(f"target column {index} is out of range for a series with {d} columns")
    return int(index) % d
