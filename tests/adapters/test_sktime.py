"""The adapters for sktime, with sktime: its own checks, and what an estimator inside is worth there."""

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("sktime")

from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sktime.classification.model_evaluation import evaluate
from sktime.datatypes import convert
from sktime.forecasting.model_evaluation import evaluate as evaluate_forecasts
from sktime.regression.model_selection import TSRGridSearchCV
from sktime.split import ExpandingWindowSplitter
from sktime.transformations.boxcox import LogTransformer
from sktime.utils.estimator_checks import check_estimator, parametrize_with_checks

import sklstm
from sklstm import NoisyRNNClassifier, TikhonovGRUClassifier, TikhonovGRURegressor, TikhonovLSTMRegressor
from sklstm.adapters.sktime import RecurrentClassifier, RecurrentForecaster, RecurrentRegressor
from sklstm.datasets import load_japanese_vowels
from sklstm.exceptions import DataWarning
from sklstm.preprocessing import SequenceScaler

rng = np.random.default_rng(0)
X = rng.standard_normal((40, 3, 6))  # sequences, channels, steps
OURS = np.ascontiguousarray(X.swapaxes(1, 2))
LABELS = np.where(X[:, 0, 2] > 0, "up", "down")
TARGETS = X[:, 0, 2] - X[:, 1, 1]
FRAMES = [pd.DataFrame(one, columns=["a", "b", "c"]) for one in OURS]
RAGGED = [frame[: 3 + row % 4] for row, frame in enumerate(FRAMES)]


def panel(frames, container):
    return convert(frames, from_type="df-list", to_type=container, as_scitype="Panel")


@parametrize_with_checks([RecurrentClassifier, RecurrentForecaster, RecurrentRegressor], obj_varname="adapter")
@pytest.mark.draws_from_numpy  # sktime's checks do
@pytest.mark.filterwarnings("ignore")  # among their inputs are some about which we and sktime warn
def test_checks_of_sktime(adapter, test_name):
    check_estimator(adapter, tests_to_run=test_name, raise_exceptions=True, verbose=False)


@pytest.mark.parametrize("container", ["numpy3D", "df-list", "pd-multiindex", "nested_univ"])
def test_every_panel_of_one_length_is_read_alike(container):
    inside = TikhonovGRUClassifier(4, max_epochs=3, random_state=0)
    given = panel(FRAMES, container)
    model, plain = RecurrentClassifier(inside).fit(given, LABELS), clone(inside).fit(OURS, LABELS)
    assert np.array_equal(model.predict(given), plain.predict(OURS))
    assert np.array_equal(model.predict_proba(given), plain.predict_proba(OURS))
    assert model.classes_.tolist() == plain.classes_.tolist()
    assert not hasattr(inside, "net_")


@pytest.mark.parametrize("container", ["df-list", "pd-multiindex", "nested_univ"])
def test_every_panel_of_unequal_lengths_is_read_alike(container):
    inside = TikhonovLSTMRegressor(4, max_epochs=3, random_state=0)
    arrays = [frame.to_numpy() for frame in RAGGED]
    given = panel(RAGGED, container)
    model, plain = RecurrentRegressor(inside).fit(given, TARGETS), clone(inside).fit(arrays, TARGETS)
    assert np.array_equal(model.predict(given), plain.predict(arrays))


def test_names_of_channels_are_compared():
    model = RecurrentRegressor(TikhonovGRURegressor(4, max_epochs=2, random_state=0))
    model.fit(panel(FRAMES, "pd-multiindex"), TARGETS)
    assert model.estimator_.feature_names_in_.tolist() == ["a", "b", "c"]
    with pytest.raises(ValueError, match="feature names"):
        model.predict(panel(FRAMES, "pd-multiindex")[["b", "a", "c"]])


def test_several_targets_are_outputs_of_one_network():
    both = np.column_stack([TARGETS, X[:, 2, 0]])
    inside = TikhonovGRURegressor(4, max_epochs=3, random_state=0)
    model, plain = RecurrentRegressor(inside).fit(X, both), clone(inside).fit(OURS, both)
    assert np.array_equal(model.predict(X), plain.predict(OURS))
    table = pd.DataFrame(both, columns=["now", "then"])
    assert RecurrentRegressor(inside).fit(X, table).predict(X).columns.tolist() == ["now", "then"]
    one = RecurrentRegressor(inside).fit(X, TARGETS)
    assert one.predict(X).shape == one.estimator_.predict(OURS).shape == (40,)


def test_nested_parameters_are_searched_by_sktime_and_by_a_search_inside():
    """scikit-learn's own searches take no estimator of sktime 1.2."""
    inside = make_pipeline(SequenceScaler(), TikhonovGRURegressor(4, max_epochs=2, random_state=0))
    sizes = {"regressor__tikhonovgruregressor__hidden_size": [2, 3]}
    scaled = TransformedTargetRegressor(inside, transformer=StandardScaler())
    outer = TSRGridSearchCV(RecurrentRegressor(scaled), {f"estimator__{k}": v for k, v in sizes.items()}, cv=KFold(2))
    inner = RecurrentRegressor(GridSearchCV(scaled, sizes, cv=KFold(2)))
    assert np.array_equal(outer.fit(X, TARGETS).predict(X), inner.fit(X, TARGETS).predict(X))
    assert outer.best_params_["estimator__" + next(iter(sizes))] == next(iter(inner.estimator_.best_params_.values()))


def test_pipelines_and_evaluation_of_sktime():
    gru = TikhonovGRUClassifier(4, max_epochs=3, random_state=0)
    positive = np.exp(X)
    model = (LogTransformer() * RecurrentClassifier(gru)).fit(positive, LABELS)
    by_hand = RecurrentClassifier(gru).fit(np.log(positive), LABELS)
    assert np.array_equal(model.predict(positive), by_hand.predict(np.log(positive)))
    found = evaluate(RecurrentClassifier(gru), cv=KFold(3), X=panel(FRAMES, "pd-multiindex"), y=LABELS)
    assert len(found) == 3
    assert found["test_accuracy_score"].between(0, 1).all()


def test_a_certificate_holds_for_what_the_adapter_predicts():
    inside = make_pipeline(SequenceScaler(), TikhonovGRURegressor(4, max_epochs=3, random_state=0))
    model = RecurrentRegressor(inside).fit(10 * X, TARGETS)
    lower, upper = sklstm.certify(model.estimator_, 10 * OURS, eps=0.5)
    assert (upper - lower > 0).all()
    for _ in range(10):
        moved = model.predict(10 * X + rng.uniform(-0.5, 0.5, X.shape))
        assert ((lower <= moved) & (moved <= upper)).all()
    by_name = RecurrentRegressor(TikhonovGRURegressor(4, max_epochs=3, random_state=0)).fit(RAGGED, TARGETS)
    lower, upper = by_name.estimator_.certify(RAGGED, eps={"c": 0.0, "a": 0.1, "b": 0.2})
    moved = by_name.predict([frame.add([0.1, -0.2, 0.0]) for frame in RAGGED])
    assert ((lower <= moved) & (moved <= upper)).all()


def test_the_estimator_inside_can_be_saved(tmp_path):
    model = RecurrentClassifier(NoisyRNNClassifier(4, max_epochs=2, random_state=0)).fit(X, LABELS)
    model.estimator_.save(tmp_path / "model.safetensors")
    loaded = sklstm.load(tmp_path / "model.safetensors")
    assert np.array_equal(loaded.predict_proba(OURS), model.predict_proba(X))


def test_vowels_of_unequal_length():
    X, y = load_japanese_vowels(padded=False, return_X_y=True)
    X_test, y_test = load_japanese_vowels(subset="test", padded=False, return_X_y=True)
    inside = make_pipeline(SequenceScaler(), TikhonovGRUClassifier(8, max_epochs=30, random_state=0))
    model = RecurrentClassifier(inside).fit([pd.DataFrame(one) for one in X], y)
    assert model.score([pd.DataFrame(one) for one in X_test], y_test) > 0.8


def test_warnings_name_the_line_of_the_user():
    with pytest.warns(DataWarning, match="X is far from") as found:
        RecurrentRegressor(TikhonovGRURegressor(4, max_epochs=2, random_state=0)).fit(1000 * X, TARGETS)
    assert found[0].filename == __file__


def test_missing_values_are_refused_by_name():
    with_gap = X.copy()
    with_gap[3, 1, 2] = np.nan
    with pytest.raises(ValueError, match="RecurrentClassifier instance has missing values"):
        RecurrentClassifier(NoisyRNNClassifier()).fit(with_gap, LABELS)


@pytest.mark.parametrize(
    ("kind", "estimator"), [(RecurrentClassifier, TikhonovLSTMRegressor()), (RecurrentRegressor, NoisyRNNClassifier())]
)
def test_another_kind_of_estimator_is_an_error(kind, estimator):
    with pytest.raises(TypeError, match=r"estimator must be a .* of sklstm"):
        kind(estimator).fit(X, LABELS if kind is RecurrentClassifier else TARGETS)


HOURS = pd.date_range("2024-01-01", periods=160, freq="h", name="hour")
LOAD = pd.DataFrame({"load": 50 + 9 * np.sin(np.arange(160) / 4), "price": rng.normal(size=160)}, index=HOURS)
CALENDAR = pd.DataFrame({"night": (HOURS.hour < 6).astype(float), "day": HOURS.dayofweek.astype(float)}, index=HOURS)
RIDGE = TikhonovLSTMRegressor(4, max_epochs=2, random_state=0)


def test_forecasts_are_those_of_the_forecaster_without_sktime():
    plain = sklstm.make_forecaster(RIDGE, window=12, horizon=4).fit(LOAD)
    model = RecurrentForecaster(RIDGE, window=12).fit(LOAD, fh=[1, 2, 4])
    pd.testing.assert_frame_equal(model.predict(), plain.predict().iloc[[0, 1, 3]], check_freq=False)
    limits = model.predict_interval(coverage=[0.5, 0.8])
    for share in (0.5, 0.8):
        lower, upper = plain.predict_interval(coverage=share)
        for column in LOAD:
            assert np.array_equal(limits[column, share, "lower"], lower[column].iloc[[0, 1, 3]])
            assert np.array_equal(limits[column, share, "upper"], upper[column].iloc[[0, 1, 3]])
    assert not hasattr(RIDGE, "net_")


def test_columns_of_X_are_known_in_advance_whatever_their_names():
    together = LOAD.join(CALENDAR)
    plain = sklstm.make_forecaster(RIDGE, window=12, horizon=3, known=["night", "day"]).fit(together[:150])
    model = RecurrentForecaster(RIDGE, window=12).fit(LOAD[:150], X=CALENDAR[:150], fh=[1, 2, 3])
    expected = plain.predict(future=CALENDAR[150:])
    pd.testing.assert_frame_equal(model.predict(X=CALENDAR[150:153]), expected, check_freq=False)
    pd.testing.assert_frame_equal(model.predict(X=CALENDAR[150:153][["day", "night"]]), expected, check_freq=False)
    alike = CALENDAR.set_axis(["load", "price"], axis=1)  # names that columns of y have too
    model = RecurrentForecaster(RIDGE, window=12).fit(LOAD[:150], X=alike[:150], fh=[1, 2, 3])
    pd.testing.assert_frame_equal(model.predict(X=alike[150:153]), expected, check_freq=False)


def test_a_window_holds_the_future_of_X_up_to_the_horizon():
    model = RecurrentForecaster(RIDGE, window=2).fit(LOAD[:150], X=CALENDAR[:150], fh=5)
    assert model.forecaster_.window == 5
    assert RecurrentForecaster(RIDGE, window=2).fit(LOAD, fh=5).forecaster_.window == 2


def test_an_update_without_refit_forecasts_from_later_rows_and_with_it_is_a_fit():
    model = RecurrentForecaster(RIDGE, window=12).fit(LOAD[:140], fh=[1, 2])
    expected = model.forecaster_.predict(LOAD)
    model.update(LOAD[140:], update_params=False)
    pd.testing.assert_frame_equal(model.predict(), expected, check_freq=False)
    model.update(LOAD[150:], update_params=True)
    again = RecurrentForecaster(RIDGE, window=12).fit(LOAD, fh=[1, 2])
    pd.testing.assert_frame_equal(model.predict(), again.predict())


def test_one_network_serves_all_series_of_a_panel():
    panels = pd.concat({"a": LOAD[["load"]], "b": LOAD[["load"]][::-1].set_axis(HOURS)[:120]}, names=["id"])
    model = RecurrentForecaster(RIDGE, window=12).fit(panels, fh=[2])
    plain = sklstm.make_forecaster(RIDGE, window=12, horizon=2).fit(panels)
    pd.testing.assert_frame_equal(model.predict(), plain.predict().iloc[[1, 3]])


@pytest.mark.parametrize("names", [(None, None), ("year", "visit"), ("time", "id")])
def test_the_last_level_holds_the_times_whatever_it_is_called(names):
    index = pd.MultiIndex.from_product([range(3), range(12)])
    y = pd.DataFrame({"load": np.random.default_rng(0).normal(size=36)}, index=index)
    model = RecurrentForecaster(RIDGE, window=2, calibration_fraction=0.3)
    expected = model.fit(y.rename_axis(index=["shop", "hour"]), fh=[1, 2]).predict()
    found = model.fit(y.rename_axis(index=list(names)), fh=[1, 2]).predict()
    np.testing.assert_array_equal(found, expected)
    assert list(found.index.names) == list(names)
    assert found.index.tolist() == [(shop, hour) for shop in range(3) for hour in (12, 13)]


def test_a_certificate_holds_for_forecasts():
    model = RecurrentForecaster(RIDGE, window=12).fit(LOAD, fh=[1, 2])
    window = model.forecaster_.last_windows()
    lower, upper = sklstm.certify(model.forecaster_.model_, window, eps={"load": 0.5, "price": 0.0})
    for _ in range(10):
        later = LOAD.copy()
        later["load"] += rng.uniform(-0.5, 0.5, 160)
        model.update(later, update_params=False)
        moved = model.predict().to_numpy().reshape(1, -1)
        assert ((lower <= moved) & (moved <= upper)).all()


def test_forecasters_go_through_sktimes_evaluation():
    found = evaluate_forecasts(RecurrentForecaster(RIDGE, 12), ExpandingWindowSplitter([1, 2], 120, 20), LOAD["load"])
    assert len(found) == 2
    assert found["test_MeanAbsolutePercentageError"].lt(0.5).all()
