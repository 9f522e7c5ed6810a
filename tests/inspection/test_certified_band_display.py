import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from sklearn.compose import TransformedTargetRegressor
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm import TikhonovLSTMRegressor, certify
from sklstm.inspection import CertifiedBandDisplay
from sklstm.preprocessing import SequenceScaler


def test_the_band_holds_predictions_for_perturbed_inputs(made):
    display = CertifiedBandDisplay.from_estimator(made.lstm, made.X, eps=0.1, y=made.y)
    np.testing.assert_array_equal(display.y_pred, made.lstm.predict(made.X))
    np.testing.assert_array_equal(display.y_true, made.y)
    rng = np.random.default_rng(0)
    reached = 0.0
    for _ in range(50):
        predicted = made.lstm.predict(made.X + 0.1 * rng.choice([-1.0, 1.0], made.X.shape))
        assert ((display.lower <= predicted) & (predicted <= display.upper)).all()
        reached = max(reached, np.max((predicted - display.y_pred) / (display.upper - display.y_pred)))
    assert 0.1 < reached <= 1  # the band is not wide enough to hold just anything
    corners = display.band_.get_paths()[0].vertices
    assert corners[:, 1].min() == display.lower.min()
    assert corners[:, 1].max() == display.upper.max()
    np.testing.assert_array_equal(display.line_.get_ydata(), display.y_pred)
    np.testing.assert_array_equal(display.true_line_.get_ydata(), made.y)


def test_no_perturbation_no_band(made):
    display = CertifiedBandDisplay.from_estimator(made.lstm, made.X[:5], eps=0.0)
    np.testing.assert_array_equal(display.lower, display.upper)
    assert display.true_line_ is None


def test_methods_are_passed_on(made):
    wide, narrow = (
        CertifiedBandDisplay.from_estimator(made.lstm, made.X[:5], eps=0.1, method=method)
        for method in ("intervals", "linear")
    )
    assert (wide.upper - wide.lower > narrow.upper - narrow.lower).all()
    with pytest.raises(ValueError, match="method must be one of"):
        CertifiedBandDisplay.from_estimator(made.lstm, made.X[:5], eps=0.1, method="guess")


def test_one_of_several_outputs(made):
    targets = np.column_stack([made.y, -made.y])
    model = TikhonovLSTMRegressor(4, max_epochs=3, random_state=0).fit(made.X, targets)
    display = CertifiedBandDisplay.from_estimator(model, made.X, eps=0.1, y=targets, output=1)
    lower, upper = model.certify(made.X, 0.1)
    np.testing.assert_array_equal(display.lower, lower[:, 1])
    np.testing.assert_array_equal(display.upper, upper[:, 1])
    np.testing.assert_array_equal(display.y_true, -made.y)
    for output in (2, -1, True):
        with pytest.raises(ValueError, match="output must be in"):
            CertifiedBandDisplay.from_estimator(model, made.X, eps=0.1, output=output)
    with pytest.raises(ValueError, match=r"y must have the shape of the predictions, \(60, 2\)"):
        CertifiedBandDisplay.from_estimator(model, made.X, eps=0.1, y=made.y)


def test_dates_on_the_axis(made):
    times = np.datetime64("2024-01-01") + np.arange(8) * np.timedelta64(1, "h")
    display = CertifiedBandDisplay.from_estimator(made.lstm, made.X[:8], eps=0.1, times=times)
    np.testing.assert_array_equal(display.line_.get_xdata(orig=True), times)
    assert display.ax_.get_xlabel() == "time"
    assert CertifiedBandDisplay.from_predictions([1.0], [0.0], [2.0]).ax_.get_xlabel() == "sequence (index)"
    sized = CertifiedBandDisplay.from_predictions([1.0], [0.0], [2.0], eps=0.25)
    assert "0.25" in sized.band_.get_label()


def test_a_search_shows_its_best_model(made):
    display = CertifiedBandDisplay.from_estimator(made.search, made.X[:5], eps=0.1)
    lower, _ = made.search.best_estimator_.certify(made.X[:5], 0.1)
    np.testing.assert_array_equal(display.lower, lower)


def test_units_of_a_composition(made):
    """A band in the units of y, for errors in the units of X, through scalers and a search."""
    lstm = TikhonovLSTMRegressor(4, max_epochs=5, random_state=0)
    pipeline = make_pipeline(SequenceScaler(), GridSearchCV(lstm, {"lambda_s": [0.01]}, cv=2))
    model = TransformedTargetRegressor(pipeline, transformer=StandardScaler()).fit(20 * made.X + 5, 100 * made.y)
    X, y = 20 * made.X + 5, 100 * made.y
    display = CertifiedBandDisplay.from_estimator(model, X, eps=1.0, y=y)
    lower, upper = certify(model, X, 1.0)
    np.testing.assert_array_equal(display.lower, lower)
    np.testing.assert_array_equal(display.upper, upper)
    rng = np.random.default_rng(0)
    for _ in range(20):
        predicted = model.predict(X + rng.choice([-1.0, 1.0], X.shape))
        assert ((lower <= predicted) & (predicted <= upper)).all()
    assert np.ptp(display.y_pred) > 1
    unknown = make_pipeline(made.doubling(), lstm).fit(made.X, made.y)
    with pytest.raises(TypeError, match="Step 'functiontransformer' of the pipeline"):
        CertifiedBandDisplay.from_estimator(unknown, made.X, eps=0.1)


def test_infinite_limits_reach_beyond_the_axes():
    display = CertifiedBandDisplay.from_predictions(
        np.zeros(6), [-1, -1, -np.inf, -1, -1, -1], [1, 1, np.inf, np.inf, 1, 1], name="LSTM"
    )
    low, high = display.ax_.get_ylim()
    assert -3 < low < -1
    assert 1 < high < 3
    (path,) = display.band_.get_paths()
    assert set(path.vertices[path.vertices[:, 1] > high][:, 0]) == {2, 3}
    assert set(path.vertices[path.vertices[:, 1] < low][:, 0]) == {2}
    assert display.line_.get_label() == "LSTM, predicted"


@pytest.mark.parametrize("kind", ["index", "zone", "series", "zone series", "periods", "datetimes"])
def test_dates_of_any_kind(kind):
    index = pd.date_range("2024-03-01", periods=72, freq="h")
    times = {
        "index": index,
        "zone": index.tz_localize("Europe/Paris"),
        "series": pd.Series(index),
        "zone series": pd.Series(index.tz_localize("Europe/Paris")),
        "periods": index.to_period("h"),
        "datetimes": [each.to_pydatetime() for each in index.tz_localize("UTC")],
    }[kind]
    display = CertifiedBandDisplay.from_predictions(np.zeros(72), -np.ones(72), np.ones(72), times=times)
    np.testing.assert_array_equal(display.line_.get_xdata(orig=True), index.to_numpy())


@pytest.mark.parametrize("times", [["a", "b"], pd.timedelta_range("1h", periods=2), [None, "b"]])
def test_other_times_are_refused(times):
    with pytest.raises(TypeError, match="times must be numbers or dates"):
        CertifiedBandDisplay.from_predictions([0.0, 0.0], [-1.0, -1.0], [1.0, 1.0], times=times)


def test_limits_in_the_wrong_places_are_noticed():
    with pytest.raises(ValueError, match="lower <= y_pred <= upper"):
        CertifiedBandDisplay.from_predictions([0.0], [1.0], [2.0])


def test_dates_get_labels_that_fit():
    times = np.datetime64("2024-03-01T00") + np.arange(72)
    display = CertifiedBandDisplay.from_predictions(
        np.zeros(72), -np.ones(72), np.ones(72), times=times, ylabel="load (MW)"
    )
    display.figure_.draw_without_rendering()
    assert 2 <= len(display.ax_.get_xticks()) <= 8
    assert display.ax_.xaxis.get_major_formatter().get_offset() != ""  # the month stands once, at the end
    assert display.ax_.get_ylabel() == "load (MW)"


def test_what_was_transformed_is_drawn_as_it_is():
    y, lower, upper = np.exp([[1.0, 2.0], [0.5, 1.5], [1.5, 2.5]])
    display = CertifiedBandDisplay.from_predictions(y, lower, upper, y_true=[3.0, 7.0], times=[5, 6])
    np.testing.assert_array_equal(display.line_.get_xydata(), np.column_stack([[5, 6], y]))
    assert display.plot(color="red", lw=3).line_.get_linewidth() == 3


def test_wrong_arguments(made):
    with pytest.raises(TypeError, match="needs a regressor, got NoisyRNNClassifier"):
        CertifiedBandDisplay.from_estimator(made.classifier, made.X, eps=0.1)
    with pytest.raises(ValueError, match="eps must be finite and not negative"):
        CertifiedBandDisplay.from_estimator(made.lstm, made.X, eps=-0.1)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        CertifiedBandDisplay.from_estimator(made.lstm, made.X, eps=0.1, y=made.y[1:])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        CertifiedBandDisplay.from_estimator(made.lstm, made.X, eps=0.1, times=np.arange(3))
    with pytest.raises(ValueError, match=r"upper must have shape \(2,\), got \(1,\)"):
        CertifiedBandDisplay.from_predictions([1, 2], [0, 1], [2])
    with pytest.raises(ValueError, match=r"y_pred must have shape \(2,\), got \(2, 1\)"):
        CertifiedBandDisplay.from_predictions([[1], [2]], [0, 1], [2, 2])
    with pytest.raises(ValueError, match="lower <= y_pred <= upper must hold"):
        CertifiedBandDisplay.from_predictions([1, 2], [0, 3], [2, 2])
    assert plt.get_fignums() == []


def test_room_for_the_legend_gives_way_to_data_and_to_limits_set_by_hand():
    display = CertifiedBandDisplay.from_predictions([0.0, 1.0], [-1.0, 0.0], [1.0, 2.0])
    assert 2.5 < display.ax_.get_ylim()[1] < 3.5
    display.ax_.plot([0, 1], [0, 10])
    assert display.ax_.get_ylim()[1] > 10
    _, ax = plt.subplots()
    ax.set_ylim(0, 5)
    CertifiedBandDisplay.from_predictions([0.0, 1.0], [-1.0, 0.0], [1.0, 2.0], ax=ax)
    assert ax.get_ylim() == (0, 5)
