"""`sliding_windows` against its definition, written as a loop."""

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import TimeSeriesSplit

from sklstm import TikhonovLSTMRegressor
from sklstm.datasets import load_bike_sharing
from sklstm.preprocessing import SequenceScaler, sliding_windows


def windows_by_loop(series, window, horizon, stride, target):
    """The definition: series (T, d), target (T,) or (T, k)."""
    X, y, steps = [], [], []
    start = 0
    while start + window - 1 + horizon < len(series):
        X.append(series[start : start + window])
        steps.append(start + window - 1 + horizon)
        y.append(target[steps[-1]])
        start += stride
    return np.array(X), np.array(y), np.array(steps)


@pytest.mark.parametrize("seed", range(40))
def test_agrees_with_the_definition(seed):
    rng = np.random.default_rng(seed)
    window, horizon, stride, d, k = rng.integers(1, 6, size=5)
    n_steps = window + horizon + rng.integers(0, 20)
    series, target = rng.normal(size=(n_steps, d)), rng.normal(size=(n_steps, k))
    X, y, t = sliding_windows(series, window, horizon, target=target, stride=stride, times=np.arange(n_steps))
    expected_X, expected_y, expected_t = windows_by_loop(series, window, horizon, stride, target)
    np.testing.assert_array_equal(X, expected_X)
    np.testing.assert_array_equal(y, expected_y)
    np.testing.assert_array_equal(t, expected_t)
    assert X.shape == ((n_steps - window - horizon) // stride + 1, window, d)


@pytest.mark.parametrize(
    ("shape", "target", "columns"),
    [
        ((9,), None, 0),
        ((9, 1), None, 0),
        ((9, 3), None, [0, 1, 2]),
        ((9,), 0, 0),
        ((9, 3), 1, 1),
        ((9, 3), -1, 2),
        ((9, 3), np.int64(2), 2),
        ((9, 3), [1], [1]),
        ((9, 3), [2, -3], [2, 0]),
        ((9, 3), (0, 2), [0, 2]),
    ],
)
def test_targets_named_by_column(shape, target, columns):
    series = np.random.default_rng(0).normal(size=shape)
    table = series.reshape(9, -1)
    X, y = sliding_windows(series, 4, 2, target=target)
    expected_X, expected_y, _ = windows_by_loop(table, 4, 2, 1, table[:, columns])
    np.testing.assert_array_equal(X, expected_X)
    assert y.shape == expected_y.shape
    np.testing.assert_array_equal(y, expected_y)


@pytest.mark.parametrize(
    ("given", "returned"),
    [(np.float32, np.float32), (np.float64, np.float64), (">f8", np.float64), (np.float16, np.float64),
     (np.int32, np.float64), (bool, np.float64), (object, np.float64)],
)  # fmt: skip
def test_dtype_of_windows(given, returned):
    X, y = sliding_windows(np.arange(5).astype(given), 2)
    assert X.dtype == y.dtype == returned


def test_target_values_keep_their_dtype():
    labels = np.array(["a", "b", "a", "b", "a"])
    _, y = sliding_windows(np.arange(5), 2, target=labels)
    assert y.tolist() == ["a", "b", "a"]
    _, y = sliding_windows(np.arange(5), 2, target=np.arange(5))
    assert y.dtype == np.arange(5).dtype


def test_times_are_those_of_the_predicted_steps():
    times = np.arange("2020-01-01", "2020-01-07", dtype="datetime64[D]")
    _, y, t = sliding_windows(np.arange(6.0), 2, 3, times=times)
    assert t.dtype == times.dtype
    np.testing.assert_array_equal(t, times[y.astype(int)])


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(("window", "stride"), [(1, 1), (3, 2), (9, 1)])
def test_windows_are_a_view_that_cannot_be_written_to(order, window, stride):
    series = np.asarray(np.random.default_rng(1).normal(size=(10, 2)), order=order)
    target, times = series[:, :1].copy(), np.arange(10)
    for chosen in (target, None, 1, [1, 0]):
        X, y, t = sliding_windows(series, window, target=chosen, stride=stride, times=times)
        assert np.shares_memory(X, series)
        with pytest.raises(ValueError, match="read-only"):
            X[...] = 0
        for array in (y, t):
            assert array.flags.writeable
            assert not any(np.shares_memory(array, given) for given in (series, target, times))


def test_a_model_is_the_same_from_a_view_and_from_its_copy():
    rng = np.random.default_rng(0)
    X, y = sliding_windows(rng.normal(size=(60, 2)).astype(np.float32), 5, target=0)
    models = [TikhonovLSTMRegressor(4, max_epochs=2, random_state=0).fit(part, y) for part in (X, X.copy())]
    np.testing.assert_array_equal(models[0].predict(X), models[1].predict(X.copy()))
    scaled = SequenceScaler().fit_transform(X)
    assert scaled.flags.writeable


def test_read_only_input_is_accepted():
    series = np.arange(5.0)
    series.flags.writeable = False
    X, y = sliding_windows(series, 2)
    assert y.tolist() == [2, 3, 4]
    assert X.copy().flags.writeable


def test_pandas_objects_are_accepted():
    frame = pd.DataFrame({"a": np.arange(6.0), "b": np.arange(6)})
    index = pd.date_range("2020-01-01", periods=6, freq="D")
    X, y, t = sliding_windows(frame, 2, target=frame["b"], times=index)
    assert X.shape == (4, 2, 2)
    assert y.tolist() == [2, 3, 4, 5]
    np.testing.assert_array_equal(t, index.to_numpy()[2:])
    X, _ = sliding_windows(frame["a"], 2)
    assert X.shape == (4, 2, 1)


def test_missing_values_pass_through():
    X, y = sliding_windows([0.0, np.nan, 2.0, np.nan], 2)
    assert np.isnan(X).sum() == 2
    assert np.isnan(y).tolist() == [False, True]


def test_a_stride_of_window_plus_horizon_makes_windows_disjoint():
    X, y = sliding_windows(np.arange(20.0), 3, 2, stride=5)
    steps = np.concatenate([X.ravel(), y])
    assert len(np.unique(steps)) == len(steps)
    X, y = sliding_windows(np.arange(20.0), 3, 2, stride=4)
    assert len(np.unique(np.concatenate([X.ravel(), y]))) < X.size + y.size


def test_the_documented_gap_separates_training_from_test():
    X, y = sliding_windows(np.arange(40.0), 3, 2)
    for train, test in TimeSeriesSplit(n_splits=3, gap=3 + 2 - 1).split(X):
        assert max(X[train].max(), y[train].max()) + 1 == X[test].min()


def test_the_shortest_series_gives_one_window():
    X, y = sliding_windows(np.arange(5.0), 3, 2)
    assert X.shape == (1, 3, 1)
    assert y.tolist() == [4.0]


@pytest.mark.parametrize("horizon", [[1], (2, 5), range(1, 5), [3, 1], np.array([2, 4])], ids=str)
@pytest.mark.parametrize("target", [None, 1, [0], [2, 0], "values", "table"])
@pytest.mark.parametrize("stride", [1, 3])
def test_several_horizons_are_the_single_ones_side_by_side(horizon, target, stride):
    rng = np.random.default_rng(0)
    series, times = rng.normal(size=(30, 3)), np.arange(30) * 0.5
    if isinstance(target, str):
        target = {"values": rng.normal(size=30), "table": rng.normal(size=(30, 2))}[target]
    X, y, t = sliding_windows(series, 4, horizon, target=target, stride=stride, times=times)
    n, h = len(X), len(horizon)
    assert t.shape == (n, h)
    assert y.ndim == 2
    for i, steps in enumerate(horizon):
        one_X, one_y, one_t = sliding_windows(series, 4, int(steps), target=target, stride=stride, times=times)
        np.testing.assert_array_equal(X, one_X[:n])
        np.testing.assert_array_equal(t[:, i], one_t[:n])
        # Horizons first, then targets.
        np.testing.assert_array_equal(y.reshape(n, h, -1)[:, i], one_y[:n].reshape(n, -1))
    assert n == (30 - 4 - max(horizon)) // stride + 1
    assert y.flags.c_contiguous
    assert t.flags.c_contiguous


def test_forecasts_of_a_day_at_once_train_an_estimator():
    bikes = load_bike_sharing()
    X, y = sliding_windows(bikes.data[:240, :2] / [200, 1], 24, range(1, 25), target=0, stride=24)
    assert y.shape == (len(X), 24)
    np.testing.assert_array_equal(y[0], bikes.target[24:48] / 200)
    assert TikhonovLSTMRegressor(4, max_epochs=1, random_state=0).fit(X, y).predict(X[:3]).shape == (3, 24)


def frame_of(bikes, n):
    index = pd.DatetimeIndex(bikes.times[:n])
    return pd.DataFrame(bikes.data[:n], columns=bikes.feature_names, index=index)


def test_columns_and_times_of_a_frame_by_name():
    bikes = load_bike_sharing()
    frame = frame_of(bikes, 100)
    X, y, t = sliding_windows(frame, 5, 2, target="cnt", times=True)
    expected = sliding_windows(bikes.data[:100], 5, 2, target=0, times=bikes.times[:100])
    for a, b in zip((X, y, t), expected, strict=True):
        np.testing.assert_array_equal(a, b)
    for names, columns in ((["temp", "cnt"], [1, 0]), (("hour",), [6])):
        np.testing.assert_array_equal(
            sliding_windows(frame, 5, target=names)[1], sliding_windows(bikes.data[:100], 5, target=columns)[1]
        )
    _, _, t = sliding_windows(frame["cnt"], 5, [1, 3], times=True)
    np.testing.assert_array_equal(t[:, 1], bikes.times[7:100])


def test_strings_that_are_not_column_names_are_values():
    frame = pd.DataFrame({"a": np.arange(5.0), "b": np.arange(5.0)})
    _, y = sliding_windows(frame, 2, target=["a", "x", "a", "x", "a"])
    assert y.tolist() == ["a", "x", "a"]


SERIES = np.zeros((6, 2))
FRAME = pd.DataFrame(SERIES, columns=["a", "a"])
WRONG_TARGET = (
    "target must be column indices or values of shape (6,) or (6, k), one row per step of the series; got shape "
)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((SERIES, 0), {}, "window must be at least 1; got 0"),
        ((SERIES, 2, -1), {}, "horizon must be at least 0; got -1"),
        ((SERIES, 2), {"stride": 0}, "stride must be at least 1; got 0"),
        ((SERIES, 4, 3), {}, "series has 6 steps, but window=4 and horizon=3 need at least 7"),
        ((np.array([]), 1), {}, "series has 0 steps, but window=1 and horizon=1 need at least 2"),
        ((np.zeros((2, 6, 1, 1)), 2), {}, "series must have shape (n_steps,) or (n_steps, d); got (2, 6, 1, 1)"),
        ((1.0, 2), {}, "series must have shape (n_steps,) or (n_steps, d); got ()"),
        ((np.zeros((6, 0)), 2), {}, "series must have at least one column; got shape (6, 0)"),
        ((SERIES, 2), {"target": 2}, "target column 2 is out of range for a series with 2 columns"),
        ((SERIES, 2), {"target": -3}, "target column -3 is out of range for a series with 2 columns"),
        ((SERIES, 2), {"target": [0, 5]}, "target column 5 is out of range for a series with 2 columns"),
        (
            (SERIES, 2),
            {"target": []},
            "target is an empty list of columns. Name at least one, or use None for all columns.",
        ),
        (
            (SERIES, 2),
            {"target": [0, 1, 0, 1, 0, 1]},
            "target holds a column twice; give integer values as an array",
        ),
        (
            (SERIES, 2),
            {"target": np.zeros(5)},
            WRONG_TARGET + "(5,)",
        ),
        (
            (SERIES, 2),
            {"target": np.zeros((6, 1, 1))},
            WRONG_TARGET + "(6, 1, 1)",
        ),
        (
            (SERIES, 2),
            {"target": "cnt"},
            "target names a column, 'cnt', but the series has no names of columns. Give its number.",
        ),
        (
            (SERIES, 2),
            {"times": np.arange(7)},
            "times must have shape (6,), one per step of the series; got shape (7,)",
        ),
        ((SERIES, 2, [1, -1]), {}, "every horizon must be at least 0; got -1"),
        (
            (SERIES, 2, [1, 0]),
            {},
            "a horizon of 0 is the window's own last step, so X must not hold the target. Name the target columns in "
            "target.",
        ),
        (
            (FRAME["a"].iloc[:, :1], 2, 0),
            {"target": "a"},
            "series has no column left for X besides those of target, times and groups. Add a column, or name fewer "
            "of them.",
        ),
        ((SERIES, 2, []), {}, "horizon is an empty sequence"),
        ((SERIES, 2, [1, 2, 1]), {}, "horizon must not hold a number twice; got [1, 2, 1]"),
        ((SERIES, 4, [1, 3]), {}, "series has 6 steps, but window=4 and horizon=3 need at least 7"),
        ((FRAME, 2), {"target": "b"}, "target column 'b' must occur once among the columns of the series: ['a', 'a']"),
        (
            (FRAME, 2),
            {"target": ["a"]},
            "target column 'a' must occur once among the columns of the series: ['a', 'a']",
        ),
    ],
)
def test_values_out_of_range_are_refused(arguments, options, message):
    with pytest.raises(ValueError) as error:
        sliding_windows(*arguments, **options)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((SERIES, 2.0), {}, "window must be an integer; got 2.0"),
        ((SERIES, True), {}, "window must be an integer; got True"),
        ((SERIES, 2, "1"), {}, "horizon must be an integer; got '1'"),
        ((SERIES, 2, [1, 2.0]), {}, "every horizon must be an integer; got 2.0"),
        ((SERIES, 2, [True]), {}, "every horizon must be an integer; got True"),
        (
            (SERIES, 2),
            {"times": True},
            "times=True needs a pandas Series or DataFrame, but the series has no index. Pass an array of times.",
        ),
        (
            (SERIES.tolist(), 2),
            {"times": True},
            "times=True needs a pandas Series or DataFrame, but the series has no index. Pass an array of times.",
        ),
        ((SERIES, 2), {"stride": None}, "stride must be an integer; got None"),
        ((SERIES, 2), {"target": True}, "target must be column indices or an array of values; got True"),
        ((SERIES + 1j, 2), {}, "series must hold real numbers; got dtype complex128"),
        ((np.array(["a", "b", "c"]), 1), {}, "series must hold real numbers; got dtype <U1"),
        (
            (np.array([1.0, "a", 2.0], dtype=object), 1),
            {},
            "series must hold real numbers, but it holds 'a'.",
        ),
    ],
)
def test_wrong_types_are_refused(arguments, options, message):
    with pytest.raises(TypeError) as error:
        sliding_windows(*arguments, **options)
    assert str(error.value) == message


def test_columns_without_numbers_are_named():
    frame = pd.DataFrame({"load": [1, 2, 3], "wind": ["NW", "N", "E"], "when": pd.date_range("2024", periods=3)})
    with pytest.raises(TypeError, match=r"these columns do not: wind, when\. Leave them out"):
        sliding_windows(frame, 2)
    mixed = pd.DataFrame({"load": pd.array([1, 2, 3], dtype="Int64"), "on": [True, False, True]})
    assert sliding_windows(mixed, 2, target="load")[0].tolist() == [[[1, 1], [2, 0]]]
