"""Forecasters as files: what was saved comes back, whole, or a clear error does."""

import copy

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

import sklstm
from sklstm import Forecaster, ModelFileError, TikhonovGRURegressor, TikhonovLSTMRegressor, make_forecaster
from sklstm.estimators._forecaster_files import document_of, from_document
from sklstm.persistence._container import from_bytes, to_bytes

LSTM = TikhonovLSTMRegressor(2, max_epochs=1, random_state=0)


def table_of(index=None, n=60):
    values = np.random.default_rng(0).normal([0, 1e6, 5], size=(n, 3))
    return pd.DataFrame(values, columns=["load", "temp", "price"], index=index)


def panel_of(ids, n=60):
    hours = pd.date_range("2024-03-30", periods=n, freq="h", tz="Europe/Berlin")
    tables = [table_of(hours) + shift for shift, _ in enumerate(ids)]
    return pd.concat(dict(zip(ids, tables, strict=True)), names=["pump", "time"])


INDEXES = {
    "counted": pd.RangeIndex(60),
    "tens": pd.RangeIndex(100, 700, 10, name="step"),
    "hours": pd.date_range("2024-03-30", periods=60, freq="h", tz="Europe/Berlin", name="time"),
    "offset": pd.date_range("2024-03-30", periods=60, freq="15min", tz="+05:30"),
    "UTC": pd.date_range("2024-03-30", periods=60, freq="D", tz="UTC", unit="s"),
    "months": pd.date_range("2020-01-31", periods=60, freq="ME", unit="ns"),
    "working days": pd.date_range("2020-01-31", periods=60, freq="B"),
    "periods": pd.period_range("2020-01", periods=60, freq="Q"),
    "two-hour periods": pd.period_range("2020-01", periods=60, freq="2h"),
    "spans": pd.timedelta_range("1h", periods=60, freq="90min"),
}
TABLES = {name: table_of(index) for name, index in INDEXES.items()} | {
    "texts": panel_of(["b", "a"]),
    "numbers": panel_of([3, 1, 2]),
    "pairs": panel_of([("x", 1), ("x", 2)]).rename_axis(["site", "pump", "time"]),
    "days": panel_of([pd.Timestamp("2024-01-01"), pd.Timestamp("2024-01-02")]),
    "time first": panel_of(["b", "a"]).swaplevel(),
    "array": table_of().to_numpy(),
    "float32": table_of().to_numpy(dtype="float32"),
    "vector": table_of()["load"].to_numpy(),
    "series": table_of(INDEXES["hours"])["load"],
    "no name": table_of(INDEXES["hours"])["load"].rename(None),
    "tuples": table_of(INDEXES["hours"]).set_axis(pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)]), axis=1),
    "integers": table_of(INDEXES["hours"]).set_axis([3, 1, 2], axis=1),
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "forecaster.safetensors"


def same(one, other):
    assert type(one) is type(other)
    if isinstance(one, np.ndarray):
        assert_array_equal(one, other)
    else:
        compare = pd.testing.assert_frame_equal if one.ndim == 2 else pd.testing.assert_series_equal
        compare(one, other, rtol=0, atol=0, check_freq=False)


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_what_is_saved_comes_back(table, path):
    forecaster = make_forecaster(LSTM, 5, 2).fit(table)
    forecaster.save(path)
    for loaded in (sklstm.load(path), Forecaster.load(str(path))):
        same(loaded.predict(), forecaster.predict())
        same(loaded.predict(table), forecaster.predict())
        limits = (each.predict_interval(coverage=0.8) for each in (loaded, forecaster))
        for one, two in zip(*limits, strict=True):
            same(one, two)
        assert loaded.score(table) == forecaster.score(table)
        assert loaded.targets_ == forecaster.targets_
        assert str(loaded) == str(forecaster)
        loaded.save(path.with_name("again"))
        assert path.with_name("again").read_bytes() == path.read_bytes()


def test_parameters_known_columns_and_scales_come_back(path):
    table = table_of(INDEXES["hours"])
    table["temp"] = 7.0  # constant
    gru = TikhonovGRURegressor(2, max_epochs=1, random_state=np.random.RandomState(3), lambda_s=np.float32(0.5))
    forecaster = make_forecaster(gru, 5, 2, targets=["load"], known=("price",), calibration_fraction=0.4).fit(table)
    forecaster.save(path)
    loaded = sklstm.load(path)
    assert (loaded.window, loaded.horizon, loaded.targets, loaded.known) == (5, 2, ["load"], ("price",))
    assert loaded.calibration_fraction == 0.4
    assert loaded.estimator.lambda_s == 0.5
    assert not hasattr(loaded.estimator, "net_")
    again = clone(loaded).set_params(estimator__random_state=0).fit(table)
    same(again.windows(table)[0], forecaster.windows(table)[0])
    assert loaded.feature_names_in_.tolist() == list(table)
    future = pd.DataFrame({"price": [1.0, 2.0]}, index=INDEXES["hours"][-2:] + pd.Timedelta("2h"))
    same(loaded.predict(future=future), forecaster.predict(future=future))
    mine, theirs = (one.model_.regressor_[0] for one in (loaded, forecaster))
    for name in ("mean_", "var_", "scale_", "n_samples_seen_", "n_features_in_"):
        assert_array_equal(getattr(mine, name), getattr(theirs, name))
    more = np.random.default_rng(0).normal(size=(2, 4, 3))
    assert_array_equal(copy.deepcopy(mine).partial_fit(more).mean_, copy.deepcopy(theirs).partial_fit(more).mean_)
    mine, theirs = (vars(one.model_.transformer_) for one in (loaded, forecaster))
    assert mine.keys() == theirs.keys()
    for name in mine:
        assert_array_equal(mine[name], theirs[name])
    X = forecaster.last_windows(future=future)
    eps = {"load": 0.1, "temp": 0, "price": 0}
    for one, two in zip(sklstm.certify(loaded.model_, X, eps), sklstm.certify(forecaster.model_, X, eps), strict=True):
        assert_array_equal(one, two)


def test_what_files_cannot_hold_is_refused(path):
    hours = INDEXES["hours"]
    with pytest.raises(NotFittedError):
        make_forecaster(LSTM, 5, 2).save(path)
    with pytest.raises(TypeError, match=r"this one is a Ridge\. Use joblib"):
        make_forecaster(Ridge(), 5, 2).fit(table_of(hours)).save(path)
    with pytest.raises(TypeError, match="this one is a Pipeline"):
        make_forecaster(make_pipeline(LSTM), 5, 2).fit(table_of(hours)).save(path)
    with pytest.raises(TypeError, match="targets is a pandas"):
        make_forecaster(LSTM, 5, 2, targets=pd.Index(["load"])).fit(table_of(hours)).save(path)
    holidays = pd.tseries.offsets.CustomBusinessDay(holidays=["2024-01-10"])
    days = pd.date_range("2024-01-01", periods=60, freq=holidays)
    with pytest.raises(ValueError, match="cannot be saved"):
        make_forecaster(LSTM, 5, 2).fit(table_of(days)).save(path)
    assert not path.exists()


@pytest.fixture(scope="module")
def document():
    table = panel_of(["b", "a"])
    forecaster = make_forecaster(LSTM, 5, 2, targets=["load"], known=["price"]).fit(table)
    return from_bytes(to_bytes(document_of(forecaster)))


def changed(document, **values):
    """With other values in the state; None takes an entry out."""
    document = copy.deepcopy(document)
    items = [[name, value] for name, value in document["state"]["items"] if name not in values]
    document["state"]["items"] = items + [[name, value] for name, value in values.items() if value is not None]
    return document


def array(values, dtype=float):
    return {"kind": "array", "values": np.array(values, dtype=dtype)}


def whole(*values):
    return {"kind": "tuple", "items": list(values)}


WRONG = {
    "lacks an entry": {"window": None},
    "unknown entry": {"widow": 3},
    "window": {"window": 0},
    "window of another kind": {"window": 5.0},
    "horizon": {"horizon": 3},
    "targets": {"targets": whole(3)},
    "negative target": {"targets": whole(-1)},
    "known twice": {"known": whole(2, 2)},
    "known target": {"known": whole(0)},
    "no targets": {"targets": whole()},
    "single": {"single": 1},
    "names": {"names": ["load", "temp"]},
    "values": {"values": array(np.zeros((34, 2)))},
    "no values": {"values": array(np.zeros((0, 3)))},
    "integers": {"values": array(np.zeros((34, 3)), int)},
    "NaN": {"values": array(np.full((34, 3), np.nan))},
    "lengths": {"lengths": array([17, 16], int)},
    "negative lengths": {"lengths": array([35, -1], int)},
    "short lengths": {"lengths": array([31, 3], int)},
    "level": {"level": 2},
    "levels": {"levels": ["pump"]},
    "no times": {"times": None},
    "times that are none": {"times": 3},
    "step": {"step": "fortnight"},
    "another step": {"step": "D"},
    "no step": {"step": 1},
    "scales": {"target_scales": array([0.0, 1.0])},
    "counts": {"counts": array([0.0, 1.0, 1.0])},
    "squares": {"squares": array([-1.0, 1.0, 1.0])},
    "variances": {"target_variances": array([-1.0, 1.0])},
    "means": {"means": array([1.0, 1.0])},
    "infinite means": {"means": array([1.0, 1.0, np.inf])},
}


@pytest.mark.parametrize("values", WRONG.values(), ids=WRONG)
def test_what_does_not_fit_is_refused(values, document, path):
    from_document(Forecaster, document)
    path.write_bytes(to_bytes(changed(document, **values)))
    for load in (sklstm.load, Forecaster.load):
        with pytest.raises(ModelFileError):
            load(path)


def dict_of(**entries):
    return {"kind": "dict", "items": [[name, value] for name, value in entries.items()]}


DATES = array(np.arange(34) * 3_600_000_000, int)
LABELS = {
    "unknown kind": dict_of(kind="moons", values=DATES),
    "unit": dict_of(kind="dates", values=DATES, unit="fs", zone=None),
    "floats": dict_of(kind="dates", values=array(np.arange(34)), unit="us", zone=None),
    "no zone": dict_of(kind="dates", values=DATES, unit="us", zone="Europe/Atlantis"),
    "a file": dict_of(kind="dates", values=DATES, unit="us", zone="dateutil//etc/localtime"),
    "above": dict_of(kind="dates", values=DATES, unit="us", zone="../../../etc/localtime"),
    "spans in a zone": dict_of(kind="spans", values=DATES, unit="us", zone="UTC"),
    "two axes": dict_of(kind="dates", values=array(np.zeros((34, 1)), int), unit="us", zone=None),
    "frequency": dict_of(kind="periods", values=DATES, freq="moon"),
    "too many": dict_of(kind="dates", values=array(np.arange(35), int), unit="us", zone=None),
}


@pytest.mark.parametrize("times", LABELS.values(), ids=LABELS)
@pytest.mark.parametrize("which", ["times", "ids"])
def test_labels_that_are_none_are_refused(times, which, document, path):
    path.write_bytes(to_bytes(changed(document, **{which: times if which == "times" else [times]})))
    with pytest.raises(ModelFileError):
        sklstm.load(path)


@pytest.mark.parametrize("part", ["class", "parameters", "state", "estimator"])
@pytest.mark.parametrize("value", [None, 3, "NoisyRNNClassifier", [], {}, {"class": "Forecaster"}])
def test_documents_of_another_form_are_refused(part, value, document, path):
    path.write_bytes(to_bytes(document | {part: value}))
    for load in (sklstm.load, Forecaster.load):
        with pytest.raises(ModelFileError):
            load(path)


def test_parameters_are_checked(document, path):
    for name, value in {"window": 0, "horizon": "1", "calibration_fraction": 2, "estimator": 1, "known": None}.items():
        other = copy.deepcopy(document)
        items = [pair for pair in other["parameters"]["items"] if pair[0] != name]
        other["parameters"]["items"] = items if name == "known" else [*items, [name, value]]
        path.write_bytes(to_bytes(other))
        with pytest.raises(ModelFileError):
            sklstm.load(path)


def test_a_model_of_another_class_is_refused(document, path):
    path.write_bytes(to_bytes(document))
    with pytest.raises(ModelFileError, match="needs the entries"):
        TikhonovLSTMRegressor.load(path)
    path.write_bytes(to_bytes(document["estimator"]))
    assert isinstance(sklstm.load(path), TikhonovLSTMRegressor)
    with pytest.raises(ModelFileError, match="it is no Forecaster"):
        Forecaster.load(path)


@pytest.mark.parametrize(
    "step", [pd.offsets.CustomBusinessDay(holidays=["2024-01-05"]), pd.DateOffset(months=1, days=0)], ids=str
)
def test_a_step_that_files_do_not_hold_has_a_remedy(step, tmp_path):
    path = tmp_path / "f.safetensors"
    table = pd.Series(np.sin(np.arange(60.0)), index=pd.date_range("2024-01-01", periods=60, freq=step))
    lstm = sklstm.TikhonovLSTMRegressor(2, max_epochs=1, random_state=0)
    forecaster = sklstm.make_forecaster(lstm, window=5, horizon=2)
    with pytest.raises(ValueError, match=r"cannot be saved: .* at a step that pandas writes .*asfreq\('B'\)"):
        forecaster.fit(table).save(path)
    assert not path.exists()
    forecaster.fit(table.asfreq("B").ffill()).save(path)
    assert (sklstm.load(path).predict() == forecaster.predict()).all()
