"""Tables with several rows for each sequence, and sequences by id, wherever they are passed on."""

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline

from sklstm import NoisyRNNClassifier, TikhonovLSTMRegressor, certify, prediction_interval
from sklstm.preprocessing import SequenceScaler, SequencesFromTable, read_sequences, sliding_windows

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
STEPS = 5
RNG = np.random.default_rng(0)


def table_of(n, prefix):
    rows = [(f"{prefix}{i}", k, RNG.normal()) for i in RNG.permutation(n) for k in range(STEPS)]
    return pd.DataFrame(rows, columns=["id", "k", "a"])


def last(table):
    return table.groupby("id", sort=False)["a"].last()


TRAIN, CAL, NEW = table_of(60, "p"), table_of(80, "q"), table_of(300, "r")  # more rows than one block of predictions
GATHER = SequencesFromTable("id", "k")


@pytest.mark.parametrize("kind", [TikhonovLSTMRegressor, NoisyRNNClassifier])
@pytest.mark.parametrize("by_time", [False, True])
def test_intervals_of_a_table_are_those_of_its_sequences(kind, by_time):
    """The rows of an id stay together, also if the table is sorted by time."""
    regression = kind is TikhonovLSTMRegressor
    of_y = (lambda t: last(t).to_numpy()) if regression else (lambda t: (last(t) > 0).to_numpy())
    pipe = make_pipeline(GATHER, SequenceScaler(), kind(3, max_epochs=3, random_state=0)).fit(TRAIN, of_y(TRAIN))
    new = NEW.sort_values("k", kind="stable") if by_time else NEW
    found = prediction_interval(pipe, CAL, of_y(CAL), new, coverage=0.8)
    sequences = [pipe[0].transform(table) for table in (CAL, new)]
    expected = prediction_interval(pipe[1:], sequences[0], of_y(CAL), sequences[1], coverage=0.8)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert np.shape(found)[-2 if not regression else -1] == 300


def test_the_ids_of_calibration_data_are_compared_or_refused():
    pipe = make_pipeline(GATHER, SequenceScaler(), TikhonovLSTMRegressor(3, max_epochs=1, random_state=0))
    pipe.fit(TRAIN, last(TRAIN))
    with pytest.raises(ValueError, match=r"y_cal has labels, but the model makes sequences of the table X_cal"):
        prediction_interval(pipe, CAL, last(CAL), NEW)
    cal, new = pipe[0].transform(CAL), pipe[0].transform(NEW)
    with pytest.raises(ValueError, match=r"rows of y_cal have other labels"):
        prediction_interval(pipe[1:], cal, last(CAL).sort_index(), new)
    ends = prediction_interval(pipe[1:], cal, last(CAL), new)  # the two remedies
    np.testing.assert_allclose(ends, prediction_interval(pipe, CAL, last(CAL).to_numpy(), NEW), rtol=1e-5, atol=1e-6)


def test_the_remedy_for_ids_in_another_order_in_a_pipeline():
    by_id = last(TRAIN).sort_index()
    pipe = make_pipeline(GATHER, TikhonovLSTMRegressor(3, max_epochs=1, random_state=0))
    with pytest.raises(ValueError, match=r"SequencesFromTable made, its get_targets\(table, y\) does the same"):
        pipe.fit(TRAIN, by_id)
    np.testing.assert_array_equal(GATHER.get_targets(TRAIN, by_id), last(TRAIN))
    pipe.fit(TRAIN, GATHER.get_targets(TRAIN, by_id))


@pytest.mark.parametrize("source", ["gathered", "read"])
def test_windows_of_sequences_by_id_keep_the_ids(source):
    gathered = GATHER.fit_transform(TRAIN)
    given = gathered if source == "gathered" else read_sequences(TRAIN.set_index(["id", "k"]))
    X, y, groups = sliding_windows(given, 2, groups=True)
    expected = sliding_windows(list(given), 2, groups=list(gathered.index))
    np.testing.assert_array_equal(X, expected[0])
    np.testing.assert_array_equal(y, expected[1])
    assert list(groups) == list(np.repeat(gathered.index, STEPS - 2)) == list(expected[2])
    of_ids = pd.Series(np.arange(60), index=gathered.index)
    groups = sliding_windows(given, 2, groups=of_ids[::-1])[2]
    np.testing.assert_array_equal(groups, np.repeat(np.arange(60), STEPS - 2))


def test_sizes_by_sequence_match_ids_of_another_type():
    X = RNG.normal(size=(5, STEPS, 2))
    index = pd.Index(range(5, 5 + STEPS))
    frames = [pd.DataFrame(x, columns=["a", "b"], index=index) for x in X]
    model = TikhonovLSTMRegressor(3, max_epochs=1, random_state=0).fit(frames, X[:, -1, 0])
    eps = pd.DataFrame({"a": 0.1, "b": np.linspace(0, 0.2, STEPS)}, index=index.astype("Int64"))
    expected = certify(model, frames, eps.set_axis(index))
    np.testing.assert_array_equal(certify(model, frames, eps), expected)
    with pytest.raises(ValueError, match="other labels of rows"):
        certify(model, frames, eps[::-1])
