"""Wide tables with columns (time, channel)."""

import numpy as np
import pandas as pd
import pytest

from sklstm import TikhonovLSTMRegressor

FAST = {"max_epochs": 2, "random_state": 0}


@pytest.fixture
def X():
    return np.random.default_rng(0).standard_normal((30, 4, 2))


def wide(X, names=("time", "channel"), channels=("load", "heat"), times=(10, 20, 30, 40)):
    columns = pd.MultiIndex.from_product([times, channels], names=names)
    return pd.DataFrame(X.reshape(len(X), -1), columns=columns)


def test_a_wide_table_is_an_array(X):
    y = X[:, -1, 0]
    frame = wide(X)
    by_table, by_array = TikhonovLSTMRegressor(4, **FAST).fit(frame, y), TikhonovLSTMRegressor(4, **FAST).fit(X, y)
    np.testing.assert_array_equal(by_table.predict(frame), by_array.predict(X))
    assert by_table.n_features_in_ == 2
    assert by_table.feature_names_in_.tolist() == ["load", "heat"]
    # Channel by channel instead of step by step, and with the levels the other way round.
    by_channel = frame[[(time, channel) for channel in ("load", "heat") for time in (10, 20, 30, 40)]]
    np.testing.assert_array_equal(by_table.predict(by_channel), by_table.predict(frame))
    np.testing.assert_array_equal(by_table.predict(frame.swaplevel(axis=1)), by_table.predict(frame))
    # A shorter table, as a shorter array.
    np.testing.assert_array_equal(by_table.predict(frame.iloc[:, :4]), by_array.predict(X[:, :2]))


def test_levels_without_names_are_time_then_channel(X):
    y = X[:, -1, 0]
    named, bare = (TikhonovLSTMRegressor(4, **FAST).fit(frame, y) for frame in (wide(X), wide(X, names=(None, None))))
    np.testing.assert_array_equal(named.predict(wide(X)), bare.predict(wide(X)))


def test_a_wide_table_from_a_pivot(X):
    long = pd.DataFrame({"id": np.repeat(np.arange(30), 4), "time": np.tile([1, 2, 3, 4], 30)})
    long[["load", "heat"]] = X.reshape(-1, 2)
    frame = long.pivot(index="id", columns="time").rename_axis(columns=["channel", "time"])
    model = TikhonovLSTMRegressor(4, **FAST).fit(X, X[:, 0, 0])
    named = TikhonovLSTMRegressor(4, **FAST).fit(frame, X[:, 0, 0])
    np.testing.assert_array_equal(named.predict(frame), model.predict(X))


def test_other_channels_are_refused(X):
    model = TikhonovLSTMRegressor(4, **FAST).fit(wide(X), X[:, 0, 0])
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(wide(X, channels=("heat", "load")))
    with pytest.raises(ValueError, match=r"X has 1 channels.*expecting 2"):
        model.predict(wide(X[:, :, :1], channels=("load",)))
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(X)


def test_tables_that_are_not_whole(X):
    fit = TikhonovLSTMRegressor(4, **FAST).fit
    with pytest.raises(ValueError, match="7 columns for 4 time steps and 2 channels"):
        fit(wide(X).iloc[:, :-1], X[:, 0, 0])
    with pytest.raises(ValueError, match="not in increasing order"):
        fit(wide(X, times=(10, 30, 20, 40)), X[:, 0, 0])
    with pytest.raises(ValueError, match="columns of X have 3 levels"):
        fit(pd.concat({"a": wide(X)}, axis=1), X[:, 0, 0])
    frame = wide(X)
    frame.iloc[3, 2] = np.nan
    with pytest.raises(ValueError, match="contains NaN"):
        fit(frame, X[:, 0, 0])


def test_radii_of_a_wide_table_are_those_of_the_array(X):
    frame = wide(X)
    model = TikhonovLSTMRegressor(4, **FAST).fit(X, X[:, 0, 0])
    eps = np.linspace(0, 0.1, 8).reshape(4, 2)
    swapped = frame.sort_index(axis=1, level=1, sort_remaining=False)
    with pytest.warns(UserWarning, match="but .* was fitted without feature names"):
        np.testing.assert_array_equal(model.certify(swapped.rename_axis(columns=["time", "channel"]), eps),
                                      model.certify(X[:, :, ::-1], eps))  # fmt: skip
