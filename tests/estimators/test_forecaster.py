"""Forecasts of tables: the same as windows, scalers and estimator by hand; what is known when; labels and times."""

import joblib
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import binom
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import RandomForestRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

import sklstm
from sklstm import Forecaster, TikhonovGRURegressor, TikhonovLSTMRegressor, make_forecaster
from sklstm.exceptions import DataWarning
from sklstm.preprocessing import SequenceScaler, sliding_windows
from sklstm.preprocessing._regular_series import Cut

WINDOW, HORIZON = 12, 4
ZONE = "Europe/Berlin"
LSTM = TikhonovLSTMRegressor(3, max_epochs=2, random_state=0)
ESTIMATORS = [LSTM, TikhonovGRURegressor(2, max_epochs=1, skip="none", random_state=0), Ridge()]


def table_of(n=120, start="2024-03-28", seed=0):
    """Three columns of random walks over the hours of days on which the clock changes."""
    index = pd.date_range(start, periods=n, freq="h", tz=ZONE, name="when")
    values = np.random.default_rng(seed).normal(size=(n, 3)).cumsum(axis=0) * [1, 10, 100] + [0, 50, -7]
    return pd.DataFrame(values, columns=["load", "temp", "price"], index=index)


def by_hand(estimator, X, y):
    """Fitted to windows (n, L, d), as rows for other estimators than ours."""
    flat = isinstance(estimator, Ridge)
    scaler = SequenceScaler(X.shape[2] if flat else 1)
    model = TransformedTargetRegressor(make_pipeline(scaler, clone(estimator)), transformer=StandardScaler())
    rows = (lambda X: X.reshape(len(X), -1)) if flat else (lambda X: X)
    return model.fit(rows(X), y), rows


# The same as by hand


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("targets", ["load", ["price", "load"], None, 1, [-1]])
def test_forecasts_and_intervals_are_those_by_hand(estimator, targets):
    table = table_of()
    names = {"load": ["load"], 1: ["temp"]}.get(targets if not isinstance(targets, list) else "") or (
        list(table) if targets is None else ["price"] if targets == [-1] else targets
    )
    X, y = sliding_windows(table, WINDOW, range(1, HORIZON + 1), target=names)
    n_held = 24  # a fifth of 120 rows
    model, rows = by_hand(estimator, X[: 120 - n_held - WINDOW - HORIZON + 1], y[: 120 - n_held - WINDOW - HORIZON + 1])
    last = rows(table.to_numpy()[None, -WINDOW:])
    expected = model.predict(last).reshape(HORIZON, len(names))
    forecaster = make_forecaster(estimator, WINDOW, HORIZON, targets=targets).fit(table)
    forecast = forecaster.predict()
    index = pd.date_range(table.index[0], periods=124, freq="h", name="when")[120:]
    pd.testing.assert_index_equal(forecast.index, index, exact="equiv")
    assert forecaster.targets_ == names
    if isinstance(targets, list) or targets is None:
        assert list(forecast.columns) == names
    else:
        assert (forecast.name, forecast.ndim) == (names[0], 1)
    assert_array_equal(np.asarray(forecast).reshape(expected.shape), expected)
    calibration = X[-(n_held - HORIZON + 1) :], y[-(n_held - HORIZON + 1) :]  # of which the targets are held out
    limits = sklstm.prediction_interval(model, rows(calibration[0]), calibration[1], last, coverage=0.8)
    for own, limit in zip(forecaster.predict_interval(coverage=0.8), limits, strict=True):
        assert own.index.equals(forecast.index)
        assert_array_equal(np.asarray(own).ravel(), limit.ravel())
    assert_array_equal(forecaster.windows(table)[0], rows(X))
    assert_array_equal(forecaster.windows(table)[1], y)
    assert_array_equal(forecaster.last_windows(), last)
    assert forecaster.score(table) == r2_score(y, model.predict(rows(X)))


@pytest.mark.parametrize("estimator", [LSTM, Ridge()])
def test_every_form_of_a_table_gives_the_same_numbers(estimator):
    table = table_of()[["temp"]]
    forms = {
        "frame": (table, 2),
        "series": (table["temp"], 1),
        "array": (table.to_numpy(), 2),
        "vector": (table["temp"].to_numpy(), 1),
        "list": (table["temp"].tolist(), 1),
        "counted": (table.reset_index(drop=True), 2),
    }
    expected = None
    for form, n_axes in forms.values():
        forecaster = make_forecaster(estimator, WINDOW, HORIZON).fit(form)
        forecast = forecaster.predict()
        assert forecast.ndim == n_axes
        assert_array_equal(forecast, forecaster.predict(form))
        values = np.asarray(forecast).ravel()
        expected = values if expected is None else expected
        assert_array_equal(values, expected)
    assert make_forecaster(estimator, WINDOW, HORIZON).fit(forms["counted"][0]).predict().index.tolist() == [
        120, 121, 122, 123
    ]  # fmt: skip


def test_float32_stays():
    table = table_of().astype("float32")
    forecaster = make_forecaster(LSTM, WINDOW, HORIZON).fit(table)
    assert forecaster.windows(table)[0].dtype == np.float32


def test_nothing_of_the_users_is_changed():
    table = table_of()
    before, estimator = table.copy(), clone(LSTM)
    forecaster = make_forecaster(estimator, WINDOW, HORIZON, known=["price"]).fit(table)
    forecaster.predict(future=table_of(124)[["price"]])
    pd.testing.assert_frame_equal(table, before)
    assert not hasattr(estimator, "net_")
    assert forecaster.estimator is estimator


# What is known when


def test_the_model_does_not_see_the_held_out_part():
    table = table_of()
    other = table.copy()
    other.iloc[96:] = np.random.default_rng(1).normal(size=(24, 3)) * 1000
    recent = table[:60]
    one, two = (make_forecaster(LSTM, WINDOW, HORIZON, targets="load").fit(some) for some in (table, other))
    pd.testing.assert_series_equal(one.predict(recent), two.predict(recent))
    width = [
        float((upper - lower).min()) for lower, upper in (f.predict_interval(recent, coverage=0.8) for f in (one, two))
    ]
    assert width[1] > 10 * width[0]
    shifted = table.copy()
    shifted.iloc[95] += 1
    assert (
        not make_forecaster(LSTM, WINDOW, HORIZON, targets="load")
        .fit(shifted)
        .predict(recent)
        .equals(one.predict(recent))
    )


def test_with_nothing_held_out_all_rows_are_fitted_to():
    table = table_of()
    X, y = sliding_windows(table, WINDOW, range(1, HORIZON + 1))
    model, rows = by_hand(Ridge(), X, y)
    forecaster = make_forecaster(Ridge(), WINDOW, HORIZON, calibration_fraction=0).fit(table)
    assert_array_equal(
        forecaster.predict().to_numpy().ravel(), model.predict(rows(table.to_numpy()[None, -WINDOW:]))[0]
    )
    with pytest.raises(ValueError, match=r"it held out 0 \(calibration_fraction=0\)"):
        forecaster.predict_interval()


def test_intervals_cover_as_often_as_promised():
    rng = np.random.default_rng(0)
    n_series, shares = 150, (0.5, 0.9)
    steps = rng.standard_t(4, size=(n_series, 202))
    series = np.zeros_like(steps)
    for t in range(1, 202):
        series[:, t] = 0.8 * series[:, t - 1] + steps[:, t]
    hits = np.zeros((2, 2))
    for x in series:
        forecaster = make_forecaster(Ridge(1e-3), 2, 2, calibration_fraction=0.5).fit(x[:200])
        for row, coverage in enumerate(shares):
            lower, upper = forecaster.predict_interval(coverage=coverage)
            hits[row] += (lower <= x[200:]) & (x[200:] <= upper)
    for row, coverage in enumerate(shares):
        # At least as often as promised, and not always; ties of ranks add at most 1 / 100.
        assert (binom.cdf(hits[row], n_series, coverage) > 1e-4).all()
        assert (binom.sf(hits[row] - 1, n_series, coverage + 0.01) > 1e-4).all()


def test_known_columns_are_seen_up_to_the_horizon():
    """A target that is a function of known columns is forecast without error; of unknown ones it is not."""
    table = table_of(150)
    rng = np.random.default_rng(1)
    table["price"], table["temp"] = rng.normal(size=(2, 150))
    table["load"] = 3 * table["price"] - table["temp"] + 5
    past, future = table[:140], table[140:]
    forecaster = make_forecaster(Ridge(1e-9), 6, 5, targets="load", known=["temp", "price"]).fit(past)
    forecast = forecaster.predict(future=future[["price", "temp"]])  # of further rows and in another order too
    np.testing.assert_allclose(forecast, future["load"][:5], rtol=1e-6)
    assert forecast.index.equals(future.index[:5])
    assert forecaster.score(table[100:]) > 1 - 1e-9
    lower, upper = forecaster.predict_interval(future=future.loc[:, ["temp", "price"]].iloc[::-1], coverage=0.9)
    assert (upper - lower).max() < 1e-4
    assert make_forecaster(Ridge(1e-9), 6, 5, targets="load").fit(past).score(table[100:]) < 0.5
    arrays = make_forecaster(Ridge(1e-9), 6, 5, targets=0, known=[1, 2]).fit(past.to_numpy())
    assert_array_equal(arrays.predict(future=future[["temp", "price"]].to_numpy()[:5]), forecast)


@pytest.mark.parametrize("known", [["price"], ["temp", "price"]])
def test_windows_hold_known_columns_ahead(known):
    table = table_of()
    forecaster = make_forecaster(LSTM, WINDOW, HORIZON, targets="load", known=known).fit(table)
    X, y = forecaster.windows(table)
    ahead = table.copy()
    ahead[known] = ahead[known].shift(-HORIZON)
    expected, _ = sliding_windows(ahead, WINDOW, range(1, HORIZON + 1), target=["load"])
    assert_array_equal(X, expected)
    assert_array_equal(y, sliding_windows(table, WINDOW, range(1, HORIZON + 1), target=["load"])[1])
    # The last window, of the table without its last rows, is the last of the windows with a target.
    last = forecaster.last_windows(table[:-HORIZON], future=table[known])
    assert_array_equal(last, X[-1:])


FUTURE = table_of(124)[120:]


@pytest.mark.parametrize(
    ("future", "error", "match"),
    [
        (None, ValueError, r"columns \['price'\] at the 4 steps .*, from 2024-04-02 01:00:00\+02:00"),
        (FUTURE[["price"]][1:], ValueError, r"no row for 2024-04-02 01:00:00\+02:00"),
        (FUTURE[["temp"]], ValueError, r"must have the known columns \['price'\]"),
        (FUTURE, ValueError, r"must have the known columns \['price'\]"),
        (FUTURE["price"].to_numpy(), TypeError, "must be a table of pandas"),
        (
            FUTURE[["price"]].mask(FUTURE[["price"]] == FUTURE["price"].iloc[1]),
            ValueError,
            "column 'price', 2024",
        ),
        (pd.concat([FUTURE[["price"]]] * 2), ValueError, "twice"),
        (FUTURE[["price"]].astype(str) + "x", TypeError, "real numbers"),
    ],
)
def test_a_future_that_does_not_fit_is_refused(future, error, match):
    forecaster = make_forecaster(Ridge(), WINDOW, HORIZON, targets="load", known="price").fit(table_of())
    for predict in (forecaster.predict, forecaster.predict_interval, forecaster.last_windows):
        with pytest.raises(error, match=match):
            predict(future=future)


def test_a_future_without_known_columns_is_refused():
    with pytest.raises(ValueError, match="known names none"):
        make_forecaster(Ridge(), WINDOW, HORIZON).fit(table_of()).predict(future=FUTURE)
    arrays = make_forecaster(Ridge(), WINDOW, HORIZON, targets=0, known=2).fit(table_of().to_numpy())
    with pytest.raises(ValueError, match="must have 4 rows"):
        arrays.predict(future=np.zeros((5, 1)))
    with pytest.raises(TypeError, match="must be an array"):
        arrays.predict(future=FUTURE[["price"]])


# Labels


def test_the_order_of_columns_does_not_matter():
    table = table_of()
    forecaster = make_forecaster(LSTM, WINDOW, HORIZON, targets="load").fit(table)
    pd.testing.assert_series_equal(forecaster.predict(table[["price", "load", "temp"]]), forecaster.predict())
    for other in (table[["load", "temp"]], table.assign(more=0), table.set_axis(list("abc"), axis=1)):
        for call in (forecaster.predict, forecaster.windows, forecaster.score, forecaster.predict_interval):
            with pytest.raises(ValueError, match="columns of the table must be those of fit"):
                call(other)


@pytest.mark.parametrize("names", [(1, 2, 3), (("a", "x"), ("a", "y"), ("b", "x")), ("a", 2, ("c", 3))])
def test_names_may_be_numbers_and_tuples(names):
    table = table_of()
    table.columns = pd.Index(names, tupleize_cols=all(isinstance(name, tuple) for name in names))
    forecaster = make_forecaster(LSTM, WINDOW, HORIZON, targets=[names[2], names[0]]).fit(table)
    forecast = forecaster.predict()
    assert list(forecast.columns) == [names[2], names[0]]
    expected = make_forecaster(LSTM, WINDOW, HORIZON, targets=["price", "load"]).fit(table_of()).predict()
    assert_array_equal(forecast, expected)
    assert not hasattr(forecaster, "feature_names_in_")


def panel_of(lengths=(90, 120, 100), ids=("c", "a", "b")):
    tables = [table_of(n, start=f"2024-03-{20 + n % 7}", seed=n) for n in lengths]
    return pd.concat(dict(zip(ids, tables, strict=True)), names=["pump", "when"])


@pytest.mark.parametrize("estimator", [LSTM, Ridge()])
def test_a_panel_is_one_model_whose_windows_hold_one_id(estimator):
    panel = panel_of()
    forecaster = make_forecaster(estimator, WINDOW, HORIZON, targets=["load"]).fit(panel)
    parts = [
        sliding_windows(panel.loc[pump].iloc[: -len(panel.loc[pump]) // 5], WINDOW, range(1, 5), target=["load"])
        for pump in "cab"
    ]
    model, rows = by_hand(estimator, *(np.concatenate(part) for part in zip(*parts, strict=True)))
    forecast = forecaster.predict()
    assert forecast.index.names == ["pump", "when"]
    for pump in "cab":
        expected = model.predict(rows(panel.loc[pump].to_numpy()[None, -WINDOW:]))
        # Ridge regression rounds in another way if there are other rows; our estimators do not.
        np.testing.assert_allclose(
            forecast.loc[pump].to_numpy().ravel(), expected[0], rtol=0 if estimator is LSTM else 1e-12
        )
        times = pd.date_range(panel.loc[pump].index[-1], periods=5, freq="h")[1:]
        assert (forecast.loc[pump].index == times).all()
        one = forecaster.predict(panel.loc[[pump]])
        pd.testing.assert_frame_equal(one, forecast.loc[[pump]], check_freq=False, rtol=1e-12)
    interleaved = panel.sort_index(level="when", sort_remaining=False)
    pd.testing.assert_frame_equal(forecaster.predict(interleaved).loc[list("cab")], forecast)
    swapped = make_forecaster(estimator, WINDOW, HORIZON, targets=["load"]).fit(panel.swaplevel())
    pd.testing.assert_frame_equal(swapped.predict().swaplevel(), forecast)
    lower, upper = forecaster.predict_interval(coverage=0.8)
    assert (lower < forecast).all(axis=None)
    assert (forecast < upper).all(axis=None)


def test_ids_in_another_order_give_the_same_windows():
    panel = panel_of()
    forecaster = make_forecaster(Ridge(), WINDOW, HORIZON).fit(panel)
    other = panel.loc[["b", "c", "a"]]
    again = make_forecaster(Ridge(), WINDOW, HORIZON).fit(other)
    np.testing.assert_allclose(again.predict().loc[["c", "a", "b"]], forecaster.predict(), rtol=1e-9)
    pd.testing.assert_frame_equal(forecaster.predict(other).loc[["c", "a", "b"]], forecaster.predict())


def test_a_panel_with_a_known_column():
    panel = panel_of()
    table, after = [], []
    for pump in "cab":
        part = panel.loc[[pump]]
        table.append(part[:-HORIZON])
        after.append(part[["price"]][-HORIZON:])
    past, future = pd.concat(table), pd.concat(after[::-1])
    forecaster = make_forecaster(Ridge(), WINDOW, HORIZON, targets="load", known="price").fit(past)
    forecast = forecaster.predict(future=future)
    for pump in "cab":
        one = forecaster.predict(past.loc[[pump]], future=future.loc[[pump]])
        pd.testing.assert_series_equal(one, forecast.loc[[pump]], check_freq=False, rtol=1e-12)
        assert_array_equal(
            forecaster.windows(panel.loc[[pump]])[0][-1:], forecaster.last_windows(past.loc[[pump]], future=future)
        )


def test_levels_of_the_future_are_matched_by_their_names():
    index = pd.MultiIndex.from_product([range(30), range(1, 31), ["x"]], names=["id", "t", "kind"])
    table = pd.DataFrame({"y": np.sin(np.arange(900.0)), "k": np.arange(900.0)}, index=index)
    past, future = table[index.get_level_values("t") < 27], table[["k"]]  # ids are times as well
    forecaster = make_forecaster(Ridge(), 10, 3, targets="y", known="k").fit(past)
    windows = forecaster.last_windows(future=future)
    assert_array_equal(windows.reshape(30, 10, 2)[:, -3:, 1], future.to_numpy().reshape(30, 30)[:, 26:29])
    for order in (["t", "id", "kind"], ["kind", "t", "id"]):
        assert_array_equal(forecaster.last_windows(future=future.reorder_levels(order)), windows)
        assert_array_equal(forecaster.last_windows(past.reorder_levels(order), future=future), windows)
    for names in (["id", "time", "kind"], ["id", None, "kind"], ["id", "id", "t"]):
        with pytest.raises(ValueError, match=r"the levels of the index of future must have the names \['id', 't'"):
            forecaster.last_windows(future=future.rename_axis(names))
    with pytest.raises(ValueError, match="the index of future must have the 3 levels of that of fit"):
        forecaster.last_windows(future=future.droplevel("kind"))


@pytest.mark.parametrize("names", [["pump", "day"], [None, None]])
def test_levels_without_names_are_told_by_their_dates(names):
    index = pd.MultiIndex.from_product([["b", "a"], pd.date_range("2024-01-01", periods=40)], names=names)
    table = pd.DataFrame({"y": np.sin(np.arange(80.0)), "k": np.arange(80.0)}, index=index)
    past, future = table.groupby(level=0).head(36), table[["k"]]
    forecaster = make_forecaster(Ridge(), 10, 3, targets="y", known="k").fit(past)
    windows = forecaster.last_windows(future=future)
    for other in (names, ["pump", "day"], [None, None]):
        renamed = future.rename_axis(other)
        assert_array_equal(forecaster.last_windows(future=renamed), windows)
        assert_array_equal(forecaster.last_windows(future=renamed.swaplevel()), windows)


def test_a_panel_whose_times_would_be_ids_is_refused():
    index = pd.MultiIndex.from_product([range(30), pd.date_range("2024", periods=30)], names=["pump", "run"])
    table = pd.DataFrame({"y": np.sin(np.arange(900.0))}, index=index)
    forecaster = make_forecaster(Ridge(), 10, 3).fit(table)
    pd.testing.assert_frame_equal(forecaster.predict(table.swaplevel()).swaplevel(), forecaster.predict(table))
    with pytest.raises(ValueError, match="fit took level 'run' of the index as times, but here it would be 'pump'"):
        forecaster.predict(table.rename_axis(["run", "pump"]))


def test_a_panel_whose_times_cannot_be_told_from_its_ids_is_refused():
    for names in (["year", "week"], ["store", "visit"], [None, None]):
        index = pd.MultiIndex.from_product([range(30), range(8)], names=names)
        with pytest.raises(ValueError, match="It is unknown which level of the index holds the times"):
            make_forecaster(Ridge(), 4, 2).fit(pd.DataFrame({"y": np.arange(240.0)}, index=index))


def test_short_series_of_a_panel_are_named():
    panel = panel_of((90, 15, 120), ("c", "short", "b"))
    with pytest.warns(DataWarning, match="1 of 3 series have fewer than 16 rows .* not fitted to them: short"):
        forecaster = make_forecaster(Ridge(), WINDOW, HORIZON).fit(panel)
    assert forecaster.predict().index.get_level_values(0).unique().tolist() == ["c", "short", "b"]  # 12 rows are enough
    with pytest.raises(ValueError, match="series short has 11 rows, but a forecast needs the last 12"):
        forecaster.predict(panel.drop(panel.loc[["short"]].index[:4]))


def test_series_without_a_forecast_are_named():
    panel = panel_of((90, 15, 11, 120, 3), ("c", "short", "shorter", "b", "shortest"))
    named = (
        "3 of 5 series have fewer than 16 rows .* not fitted to them: short, shorter, shortest. "
        r"predict\(\) has no forecast for those with fewer than 12: shorter, shortest.$"
    )
    with pytest.warns(DataWarning, match=named):
        forecaster = make_forecaster(Ridge(), WINDOW, HORIZON).fit(panel)
    assert forecaster.predict().index.get_level_values(0).unique().tolist() == ["c", "short", "b"]


def test_series_of_a_panel_share_the_widths_of_intervals():
    panel = panel_of((120, 120), ("c", "b"))
    forecaster = make_forecaster(Ridge(), WINDOW, HORIZON, targets="load").fit(panel)
    lower, upper = forecaster.predict_interval(coverage=0.8)
    widths = (upper - lower).to_numpy().reshape(2, HORIZON)
    assert_allclose(widths[0], widths[1], rtol=1e-10)


# Searches over a panel, and what a search cannot do


def test_folds_of_a_panel_that_is_sorted_by_time_hold_all_ids():
    panel = panel_of((120, 120, 120), ("c", "a", "b"))
    by_time = panel.sort_index(level="when")
    for train, test in TimeSeriesSplit(3).split(by_time):
        for rows in (train, test):
            assert set(by_time.index[rows].get_level_values(0)) == {"a", "b", "c"}
        times = by_time.index.get_level_values("when")
        assert times[train].max() <= times[test].min()
    scores = cross_val_score(make_forecaster(Ridge(), WINDOW, HORIZON), by_time, cv=TimeSeriesSplit(3))
    assert np.isfinite(scores).all()


def test_a_search_with_known_columns_forecasts_by_its_best_estimator():
    table = table_of(160)
    past, future = table[:-HORIZON], table[["temp"]][-HORIZON:]
    forecaster = make_forecaster(Ridge(), WINDOW, HORIZON, targets="load", known="temp")
    search = GridSearchCV(forecaster, {"estimator__alpha": [1, 10]}, cv=TimeSeriesSplit(3)).fit(past)
    assert len(search.best_estimator_.predict(future=future)) == HORIZON


# Too few rows


def test_the_number_of_rows_in_the_error_is_the_fewest():
    rng = np.random.default_rng(0)
    for _ in range(60):
        window, horizon = (int(n) for n in rng.integers(1, 9, size=2))
        fraction = float(rng.choice([0, 0.1, 0.2, 0.25, 1 / 3, 0.5, 0.9, rng.random()]))
        n = Cut(window, horizon, (0,), (), True).fewest_rows(fraction)
        forecaster = make_forecaster(Ridge(), window, horizon, calibration_fraction=fraction)
        forecaster.fit(np.arange(float(n)))
        assert forecaster.predict().shape == (horizon,)
        for fewer in range(max(n - 40, 1), n):
            with pytest.raises(ValueError, match=f"the table has {fewer} rows; .* need at least {n}"):
                forecaster.fit(np.arange(float(fewer)))


def test_too_few_rows_to_forecast_from_or_to_calibrate_with():
    table = table_of()
    forecaster = make_forecaster(Ridge(), WINDOW, HORIZON).fit(table)
    with pytest.raises(ValueError, match="the table has 11 rows, but a forecast needs the last 12"):
        forecaster.predict(table[:11])
    assert_array_equal(forecaster.predict(table[-12:]), forecaster.predict())
    for call in (forecaster.windows, forecaster.score):
        with pytest.raises(ValueError, match="no series has the 16 rows"):
            call(table[:15])
    assert forecaster.windows(table[:16])[0].shape == (1, 36)
    # 21 windows calibrate: enough for 0.95, which takes 19.
    forecaster.predict_interval(coverage=0.95)
    with pytest.raises(
        ValueError, match=r"coverage=0.96 takes at least 24 windows .* held out 21 .*calibration_fraction"
    ):
        forecaster.predict_interval(coverage=0.96)


# A scikit-learn estimator


def test_a_search_over_folds_of_rows():
    table = table_of(200)
    folds = TimeSeriesSplit(3, test_size=30)
    forecaster = make_forecaster(Ridge(), WINDOW, HORIZON, targets="load")
    grid = {"estimator__alpha": [1e-3, 1e3], "window": [3, WINDOW]}
    search = GridSearchCV(forecaster, grid, cv=folds, error_score="raise").fit(table)
    expected = []
    for parameters in search.cv_results_["params"]:
        one = clone(forecaster).set_params(**parameters)
        expected.append(np.mean([one.fit(table.iloc[a]).score(table.iloc[b]) for a, b in folds.split(table)]))
    assert_array_equal(search.cv_results_["mean_test_score"], expected)
    best = clone(forecaster).set_params(**search.best_params_).fit(table)
    pd.testing.assert_series_equal(search.predict(table), best.predict())
    scores = cross_val_score(forecaster, table, cv=folds)
    assert scores.shape == (3,)


def test_parameters_are_those_of_scikit_learn():
    forecaster = make_forecaster(LSTM, WINDOW, HORIZON, targets=["load"], known=("price",), calibration_fraction=0.3)
    copy = clone(forecaster.set_params(estimator__lambda_s=0.5, horizon=3))
    assert copy.estimator.lambda_s == 0.5
    assert (copy.horizon, copy.targets, copy.known, copy.calibration_fraction) == (3, ["load"], ("price",), 0.3)
    forecaster.set_params(estimator__lambda_s="auto", horizon=HORIZON)
    assert "Forecaster" in repr(forecaster)
    with pytest.raises(NotFittedError):
        forecaster.predict()


def test_parameters_changed_after_fit_count_for_the_next_fit():
    table = table_of()
    forecaster = make_forecaster(LSTM, WINDOW, HORIZON).fit(table)
    before = forecaster.predict()
    forecaster.set_params(window=3, horizon=1, targets="load", calibration_fraction=0.5)
    pd.testing.assert_frame_equal(forecaster.predict(), before)
    assert forecaster.fit(table).predict().shape == (1,)


class Interrupted(Ridge):
    """While it predicts, something else happens once."""

    meanwhile = None

    def predict(self, X):
        if Interrupted.meanwhile is not None:
            call, Interrupted.meanwhile = Interrupted.meanwhile, None
            call()
        return super().predict(X)


@pytest.mark.parametrize("method", ["predict", "predict_interval", "score"])
def test_a_prediction_is_that_of_the_model_with_which_it_began(method):
    table, other = table_of(), table_of(80, start="2023-01-01")["load"]
    forecaster = make_forecaster(Interrupted(), WINDOW, HORIZON).fit(table)
    arguments = [table] if method == "score" else []
    expected = getattr(forecaster, method)(*arguments)

    def fit_again():
        forecaster.set_params(window=3, horizon=1).fit(other)

    Interrupted.meanwhile = fit_again
    found = getattr(forecaster, method)(*arguments)
    for one, two in zip(np.atleast_1d(found), np.atleast_1d(expected), strict=True):
        assert_array_equal(one, two)
    assert forecaster.predict().shape == (1,)
    assert np.shape(found) == np.shape(expected)


def test_a_failed_fit_changes_nothing():
    table = table_of()
    forecaster = make_forecaster(LSTM, WINDOW, HORIZON).fit(table)
    before = dict(vars(forecaster))
    with pytest.raises(ValueError, match="missing"):
        forecaster.fit(table.assign(temp=np.nan))
    forecaster.set_params(estimator__batch_size=-1)
    with pytest.raises(ValueError, match="batch_size"):
        forecaster.fit(table)
    forecaster.set_params(estimator__batch_size="auto")
    assert vars(forecaster) == before


def test_a_table_without_names_after_one_with_names():
    forecaster = make_forecaster(LSTM, WINDOW, HORIZON).fit(table_of())
    assert forecaster.feature_names_in_.tolist() == ["load", "temp", "price"]
    forecaster.fit(table_of().to_numpy())
    assert not hasattr(forecaster, "feature_names_in_")
    assert forecaster.n_features_in_ == 3


@pytest.mark.parametrize(
    "estimator",
    [
        RandomForestRegressor(3, random_state=0),
        make_pipeline(PolynomialFeatures(1), Ridge()),
        make_pipeline(SequenceScaler(), LSTM),
        GridSearchCV(LSTM, {"lambda_s": [0, 1]}, cv=2),
    ],
)
def test_regressors_and_compositions_of_them(estimator):
    table = table_of()
    forecaster = make_forecaster(estimator, WINDOW, HORIZON, targets="load").fit(table)
    assert forecaster.predict().shape == (HORIZON,)
    sequences = not isinstance(estimator, RandomForestRegressor) and "poly" not in str(estimator).lower()
    assert forecaster.windows(table)[0].shape[1:] == ((WINDOW, 3) if sequences else (WINDOW * 3,))


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"window": 0}, ValueError, "window"),
        ({"window": 2.5}, TypeError, "window"),
        ({"horizon": 0}, ValueError, "horizon"),
        ({"horizon": [1, 2]}, TypeError, "horizon"),
        ({"calibration_fraction": 1}, ValueError, "calibration_fraction"),
        ({"calibration_fraction": -0.1}, ValueError, "calibration_fraction"),
        ({"calibration_fraction": None}, TypeError, "calibration_fraction"),
        ({"estimator": LogisticRegression()}, TypeError, "must be a regressor"),
        ({"estimator": "ridge"}, TypeError, "must be a regressor"),
        ({"known": "price", "window": 3}, ValueError, "known columns need window >= horizon"),
        ({"estimator": clone(LSTM).set_params(layout="nct")}, ValueError, "Set estimator__layout='ntc'"),
        ({"estimator": make_pipeline(SequenceScaler(layout="nct"), LSTM)}, ValueError, "sequencescaler__layout='ntc'"),
    ],
)
def test_bad_parameters_are_refused_at_once(change, error, match):
    arguments = {"estimator": Ridge(), "window": WINDOW, "horizon": HORIZON} | change
    with pytest.raises(error, match=match):
        make_forecaster(**arguments)
    with pytest.raises(error, match=match):
        Forecaster(**arguments).fit(table_of())


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"targets": "loda"}, ValueError, "targets column 'loda' must occur once"),
        ({"targets": 3}, ValueError, "targets column 3 is out of range"),
        ({"targets": []}, TypeError, "targets must be a name"),
        ({"targets": True}, TypeError, "targets must be a name"),
        ({"targets": ["load", "load"]}, ValueError, "targets names a column twice"),
        ({"targets": ["load", 0]}, ValueError, "targets names a column twice"),
        ({"targets": np.zeros((9, 1))}, TypeError, "targets must be a name"),
        ({"known": ["load", "temp", "price"]}, ValueError, "there must be a column to forecast"),
        ({"known": ["load"], "targets": ["load"]}, ValueError, "there must be a column to forecast"),
        ({"known": "sun"}, ValueError, "known column 'sun' must occur once"),
    ],
)
def test_columns_that_are_not_there_are_refused(change, error, match):
    with pytest.raises(error, match=match):
        make_forecaster(Ridge(), WINDOW, HORIZON, **change).fit(table_of())


def test_y_is_refused():
    with pytest.raises(ValueError, match="Name the columns to forecast in targets"):
        make_forecaster(Ridge(), WINDOW, HORIZON).fit(table_of(), table_of()["load"])


# What else the package can say


def test_guarantees_take_the_model_and_names_of_columns():
    table = table_of()
    forecaster = make_forecaster(LSTM, WINDOW, HORIZON, targets="load").fit(table)
    X = forecaster.last_windows()
    by_name = sklstm.certify(forecaster.model_, X, eps={"temp": 0.5, "load": 0.0, "price": 0.0})
    by_place = sklstm.certify(forecaster.model_, X, eps=[0.0, 0.5, 0.0])
    assert_array_equal(by_name, by_place)
    moved = table.copy()
    moved["temp"] += 0.5
    assert (by_name[0][0] <= forecaster.predict(moved)).all()
    assert (forecaster.predict(moved) <= by_name[1][0]).all()
    limits = sklstm.noise_interval(
        forecaster.model_, X, {"temp": 1, "load": 0, "price": 0}, random_state=0, n_draws=200
    )
    assert (limits[0] < limits[1]).all()
    with pytest.raises(ValueError, match="heat"):
        sklstm.certify(forecaster.model_, X, eps={"heat": 0.5, "load": 0.0, "price": 0.0})


def test_intervals_for_tables_that_are_off():
    table = table_of()
    forecaster = make_forecaster(LSTM, WINDOW, HORIZON, targets="load").fit(table)
    eps = {"load": 0.1, "price": 0, "temp": 1.0}
    (low, high), (lower, upper) = (
        forecaster.predict_interval(coverage=0.8),
        forecaster.predict_interval(coverage=0.8, eps=eps),
    )
    bounds = sklstm.certify(forecaster.model_, forecaster.last_windows(), eps=[0.1, 1.0, 0])
    forecast = forecaster.predict()
    np.testing.assert_allclose(forecast - lower, (forecast - low) + (forecast - bounds[0][0]), rtol=1e-9)
    np.testing.assert_allclose(upper - forecast, (high - forecast) + (bounds[1][0] - forecast), rtol=1e-9)
    with pytest.raises(TypeError, match="Ridge"):
        make_forecaster(Ridge(), WINDOW, HORIZON).fit(table).predict_interval(coverage=0.8, eps=0.1)
    for coverage in (0, 1, 1.5, "0.9"):
        with pytest.raises((ValueError, TypeError), match="coverage"):
            forecaster.predict_interval(coverage=coverage)


def test_joblib_keeps_it(tmp_path):
    for table in (table_of(), panel_of(), table_of().to_numpy()):
        forecaster = make_forecaster(LSTM, WINDOW, HORIZON).fit(table)
        joblib.dump(forecaster, tmp_path / "forecaster.joblib")
        loaded = joblib.load(tmp_path / "forecaster.joblib")
        for one, two in zip(forecaster.predict_interval(), loaded.predict_interval(), strict=True):
            assert_array_equal(one, two)
        assert_array_equal(loaded.predict(table), forecaster.predict())
