"""Values that are no numbers, no labels, or nothing at all: refused by name, or used as they are."""

import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import DataConversionWarning
from sklearn.linear_model import Ridge

from sklstm import NoisyRNNClassifier, TikhonovLSTMRegressor, make_forecaster, prediction_interval
from sklstm.generalization import holdout_bound
from sklstm.inspection import CertifiedBandDisplay, NoiseRobustnessDisplay, channel_importance
from sklstm.metrics import make_certified_scorer, make_noisy_scorer
from sklstm.preprocessing import SequenceScaler, pad_sequences, read_sequences, sliding_windows

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 4, 2))
Y = X[:, -1, 0]


@pytest.fixture(scope="module")
def model():
    return TikhonovLSTMRegressor(2, max_epochs=1, random_state=0).fit(X, Y)


SPANS = np.arange(40).astype("m8[s]")
TIMES_AS_TARGETS = {
    "spans": SPANS,
    "spans as objects": np.array(list(SPANS), dtype=object),
    "python's": np.array([datetime.timedelta(seconds=i) for i in range(40)], dtype=object),
    "dates": np.arange(40).astype("M8[D]"),
    "a Series": pd.Series(pd.date_range("2024", periods=40, tz="UTC")),
    "a Series of dates": pd.Series(pd.date_range("2024", periods=40).date),
    "a column": pd.DataFrame({"y": pd.to_timedelta(np.arange(40), unit="s")}),
    "polars": pl.Series([datetime.timedelta(seconds=i) for i in range(40)]),
    "dates of polars": pl.Series([datetime.date(2024, 1, 1)] * 40),
    "a list": list(SPANS),
    "a tuple of dates": tuple(pd.date_range("2024", periods=40)),
    "one among numbers": np.array([*range(39), SPANS[1]], dtype=object),
}


@pytest.mark.parametrize("times", TIMES_AS_TARGETS.values(), ids=TIMES_AS_TARGETS)
def test_times_are_no_targets(model, times):
    """Numpy would count their units: a score, a bound or an interval would be about nanoseconds."""
    others = np.arange(40) % 7
    calls = (
        lambda: TikhonovLSTMRegressor(2, max_epochs=1).fit(X, times),
        lambda: model.score(X, times),
        lambda: model.holdout_bound(X + 1, times),
        lambda: prediction_interval(model, X + 1, times, X),
        lambda: make_noisy_scorer("r2", 0.1)(model, X, times),
        lambda: make_certified_scorer("r2", 0.1)(model, X, times),
        lambda: NoiseRobustnessDisplay.from_estimator(model, X, times, sigmas=[0.1]),
        lambda: CertifiedBandDisplay.from_estimator(model, X, eps=0.1, y=times),
        lambda: channel_importance(model, X, times, n_repeats=1, random_state=0),
    )
    for call in calls:
        with pytest.raises(ValueError, match=r"(y|y_cal|'y' of y) holds times"):
            call()
    for call in (
        lambda: TikhonovLSTMRegressor(2, max_epochs=1).fit(X, Y, sample_weight=times),
        lambda: model.score(X, Y, sample_weight=times),
        lambda: SequenceScaler().fit(X, sample_weight=times),
        lambda: NoisyRNNClassifier(2, max_epochs=1).fit(X, others > 3).score(X, others > 3, sample_weight=times),
    ):
        with pytest.raises(ValueError, match=r"sample_weight.* holds times"):
            call()


@pytest.mark.parametrize(
    "times",
    [
        list(pd.date_range("2024", periods=40).date),
        pd.period_range("2024", periods=40, freq="D"),
        pd.Categorical(pd.date_range("2024", periods=40)),
        list(SPANS),
    ],
)
def test_the_column_of_times_is_named(times):
    table = pd.DataFrame({"a": Y, "when": pd.Series(times, dtype=object if isinstance(times, list) else None), "b": Y})
    for fit in (TikhonovLSTMRegressor(2).fit, SequenceScaler().fit):
        with pytest.raises(ValueError, match="column 'when' of X holds times"):
            fit(table, Y)
    with pytest.raises(ValueError, match=r"column 'when' of X\[0\] holds times"):
        TikhonovLSTMRegressor(2).fit([table, table], [0.0, 1.0])


def test_a_masked_weight_is_missing():
    """The number under a mask is not used, neither in fit nor in score, nor by the scaler."""
    weight = np.ma.masked_array(np.arange(1.0, 41), np.arange(40) == 3)
    regressor = TikhonovLSTMRegressor(2, max_epochs=1, random_state=0)
    classifier = NoisyRNNClassifier(2, max_epochs=1, random_state=0)
    for call in (
        lambda: regressor.fit(X, Y, sample_weight=weight),
        lambda: regressor.fit(X, Y).score(X, Y, sample_weight=weight),
        lambda: classifier.fit(X, Y > 0).score(X, Y > 0, sample_weight=weight),
    ):
        with pytest.raises(ValueError, match=r"(?i)sample_weight contains NaN"):
            call()
    with pytest.raises(ValueError, match="sample_weight must be finite"):
        SequenceScaler().fit(X, sample_weight=weight)
    unmasked = np.ma.masked_array(np.arange(1.0, 41), False)
    plain = np.arange(1.0, 41)
    assert regressor.score(X, Y, sample_weight=unmasked) == regressor.score(X, Y, sample_weight=plain)
    np.testing.assert_array_equal(
        SequenceScaler().fit(X, sample_weight=unmasked).mean_, SequenceScaler().fit(X, sample_weight=plain).mean_
    )


LARGE = 2**53 + np.array([0, 1])  # as floats they are equal


@pytest.mark.parametrize("dtype", ["int64", "Int64", "int64[pyarrow]"])
def test_large_labels_of_a_column_stay_apart(dtype):
    if "pyarrow" in dtype:
        pytest.importorskip("pyarrow")
    y = pd.DataFrame({"label": pd.Series(LARGE[(Y > 0).astype(int)], dtype=dtype)})
    with pytest.warns(DataConversionWarning):
        model = NoisyRNNClassifier(2, max_epochs=1, random_state=0).fit(X, y)
    assert model.classes_.tolist() == LARGE.tolist()


@pytest.mark.parametrize("dtype", ["int64", "Int64", "bool", "boolean", "uint8"])
def test_labels_of_a_named_column_are_not_made_floats(dtype):
    labels = np.tile(LARGE if "nt64" in dtype else [0, 1], 10)
    table = pd.DataFrame({"a": RNG.normal(size=20), "label": pd.Series(labels).astype(dtype)})
    for target in ("label", ["label"]):
        y = sliding_windows(table, 3, target=target)[1]
        assert y.dtype.kind == np.dtype(dtype.lower().replace("boolean", "bool")).kind
        np.testing.assert_array_equal(np.ravel(y), labels[3:].astype(y.dtype))
    assert sliding_windows(table, 3, target=["a", "label"])[1].dtype == float
    assert sliding_windows(np.arange(9), 2, target=0)[1].dtype.kind == "i"
    assert sliding_windows(np.arange(9), 2)[1].dtype == float, "without a name, y is what X is"


def test_times_of_polars_keep_their_zone():
    table = pl.DataFrame({"t": pd.date_range("2024-03-30", periods=60, freq="h", tz="UTC").to_pydatetime().tolist()})
    table = table.with_columns(pl.col("t").dt.convert_time_zone("Europe/Berlin"), pl.Series("a", RNG.normal(size=60)))
    times = sliding_windows(table, 3, times="t")[2]
    expected = pd.date_range("2024-03-30", periods=60, freq="h", tz="UTC")[3:].tz_convert("Europe/Berlin")
    assert str(times.tz) == "Europe/Berlin"
    assert (times == expected).all()


EMPTY = {"a list": [], "a tuple": (), "objects": np.array([], dtype=object), "a Series": pd.Series([], dtype=object)}


@pytest.mark.parametrize("empty", EMPTY.values(), ids=EMPTY)
def test_nothing_is_called_nothing(model, empty):
    for call in (
        lambda: model.predict(empty),
        lambda: TikhonovLSTMRegressor(2).fit(empty, []),
        lambda: SequenceScaler().fit(empty),
        lambda: read_sequences(empty),
        lambda: model.certify(empty, 0.1),
    ):
        with pytest.raises(ValueError, match="X is empty: it holds no sequence"):
            call()


def test_tables_without_rows_are_called_empty():
    index = pd.MultiIndex.from_product([["u"], [0]])
    table = pd.DataFrame({"a": [1.0]}, index=index).iloc[:0]
    with pytest.raises(ValueError, match="X is empty: the table has no row"):
        read_sequences(table)
    with pytest.raises(ValueError, match="the table is empty: it has no row"):
        make_forecaster(Ridge(), 2, 1).fit(table)
    with pytest.raises(ValueError, match="series is empty"):
        sliding_windows(np.empty((0, 4, 2)), 2)
    with pytest.raises(TypeError, match="got one table"):
        pad_sequences(pd.DataFrame({"a": [1.0]}))


def test_predictions_of_a_regressor_are_no_labels():
    """Each would count as an error, and the bound would be 1, whatever the model."""
    y, predicted = RNG.normal(size=200), RNG.normal(size=200)
    for given in ((y, predicted), (np.round(y), predicted), (y, np.round(predicted))):
        with pytest.raises(ValueError, match=r"holdout_bound\(np\.minimum\(\(y - predicted\) \*\* 2, M\), cap=M\)"):
            holdout_bound(given[0], predicted=given[1])
    M = 4.0
    bound = holdout_bound(np.minimum((y - predicted) ** 2, M), cap=M)
    assert bound.mean_loss < bound.value < M


def test_labels_of_rows_are_compared_in_a_holdout_bound():
    true = pd.Series([1, 0, 1], index=list("abc"))
    predicted = true.loc[list("cab")]
    with pytest.raises(ValueError, match="the rows of predicted have other labels than those of the true labels"):
        holdout_bound(true, predicted=predicted)
    assert holdout_bound(true, predicted=predicted.loc[true.index]).mean_loss == 0


def test_labels_of_two_types_are_refused():
    labels = np.tile([1, 2, 3], 20)
    right = holdout_bound(labels, predicted=labels).value
    assert right < 0.06
    for same in (labels.astype(float), labels.astype(object), labels.tolist(), labels.astype(np.uint8)):
        assert holdout_bound(labels, predicted=same).value == right
    for texts in (labels.astype(str), labels.astype(str).astype(object), pd.Series(labels.astype(str))):
        for given in ((labels, texts), (texts, labels)):
            with pytest.raises(ValueError, match="All would count as errors"):
                holdout_bound(given[0], predicted=given[1])
        assert holdout_bound(texts, predicted=labels.astype(str)).value == right
    objects = (
        (np.array([1.5, 0.2], dtype=object), np.array([1.5, 0.3], dtype=object), "real numbers"),
        (np.array([1, 2]), np.array([1.5, 2.0], dtype=object), "real numbers"),
        (np.array(["2024-01-01"], dtype="M8[ns]"), np.array([3]), "All would count as errors"),
        (pd.Series([1, None], dtype="Int64"), [1, 2], "A true label is missing, in row 1"),
        ([1, 2], pd.Series([True, None], dtype="boolean"), "A predicted label is missing, in row 1"),
        ([0.0, np.nan], [0.0, 1.0], "A true label is missing"),
    )
    for one, other, said in objects:
        with pytest.raises(ValueError, match=said):
            holdout_bound(one, predicted=other)
    days = np.array(["2024-01-01", "2024-01-02"] * 5, dtype="M8[ns]")
    for one, other in (
        (days, days.astype("M8[us]")),
        (pd.Series(days).dt.to_pydatetime(), days.astype("M8[us]").astype(object)),
        (np.array([True, False]), np.array([np.True_, np.False_], dtype=object)),
        ([Decimal(1), Decimal(2)], [1, 2]),
    ):
        assert holdout_bound(one, predicted=other).mean_loss == 0
    forest = RandomForestClassifier(5, random_state=0).fit(X[:20, 0], Y[:20] > 0)
    assert 0 < holdout_bound(Y[20:] > 0, predicted=forest.predict(X[20:, 0])).value <= 1
