"""`SequencesFromTable`: rows of a long table gathered by id, ids and targets in the order of the sequences."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklstm import NoisyRNNClassifier, TikhonovLSTMRegressor
from sklstm.datasets import load_bike_sharing, load_japanese_vowels
from sklstm.preprocessing import SequenceScaler, SequencesFromTable, pad_sequences


@pytest.fixture
def table():
    return pd.DataFrame(
        {
            "id": ["b", "a", "b", "c", "a", "b"],
            "time": [2, 5, 0, 1, 4, 1],
            "u": [12.0, 25.0, 10.0, 31.0, 24.0, 11.0],
            "v": [1, 2, 3, 4, 5, 6],
            "y": [7, 8, 7, 9, 8, 7],
        }
    )


@pytest.fixture(scope="module")
def utterances():
    """Table of utterances in a random order of rows, and the data it was made from."""
    data = load_japanese_vowels(padded=False)
    frames = [
        pd.DataFrame(x, columns=data.feature_names).assign(
            utterance=f"u{i}", frame=range(len(x)), speaker=data.target[i]
        )
        for i, x in enumerate(data.data)
    ]
    return pd.concat(frames).sample(frac=1, random_state=np.random.RandomState(0)), data


def by_hand(table, ids, channels, time="time"):
    return [table[table["id"] == label].sort_values(time)[channels].to_numpy(float) for label in ids]


def test_agrees_with_a_loop_over_ids(table):
    gather = SequencesFromTable("id", "time", target="y")
    sequences = gather.fit_transform(table)
    assert sequences.index.tolist() == ["b", "a", "c"]
    assert gather.get_ids(table).tolist() == ["b", "a", "c"]
    assert gather.get_targets(table).tolist() == [7, 8, 9]
    assert gather.channels_ == gather.get_feature_names_out().tolist() == ["u", "v"]
    for sequence, expected in zip(sequences, by_hand(table, "bac", ["u", "v"]), strict=True):
        assert sequence.dtype == np.float64
        np.testing.assert_array_equal(sequence, expected)


def test_real_utterances_come_back_from_a_shuffled_table(utterances):
    table, data = utterances
    gather = SequencesFromTable("utterance", "frame", channels=data.feature_names, target="speaker")
    sequences, ids = gather.fit_transform(table), gather.get_ids(table)
    assert ids.tolist() == table["utterance"].unique().tolist()
    places = [int(label[1:]) for label in ids]
    assert sorted(places) == list(range(270))
    for place, sequence in zip(places, sequences, strict=True):
        np.testing.assert_array_equal(sequence, data.data[place])
    np.testing.assert_array_equal(gather.get_targets(table), data.target[places])


def test_first_step_of_a_pipeline(utterances):
    table, data = utterances
    gather = SequencesFromTable("utterance", "frame", target="speaker")
    scaler, pad = SequenceScaler(with_mean=False), FunctionTransformer(pad_sequences, kw_args={"length": 29})
    model = make_pipeline(gather, scaler, pad, NoisyRNNClassifier(16, max_epochs=2, random_state=0))
    model.fit(table, gather.get_targets(table))
    unlabelled = table.drop(columns="speaker")  # at prediction there are no targets
    predicted = model.predict(unlabelled)
    X = pad_sequences(SequenceScaler(with_mean=False).fit(data.data).transform(data.data), length=29)
    places = [int(label[1:]) for label in gather.get_ids(table)]
    np.testing.assert_array_equal(predicted, model[-1].predict(X[places]))


def test_days_of_a_series():
    bikes = load_bike_sharing()
    table = pd.DataFrame(bikes.data, columns=bikes.feature_names)[["cnt", "temp"]]
    table["when"], table["day"] = bikes.times, bikes.times.astype("datetime64[D]")
    gather = SequencesFromTable("day", "when").fit(table)
    sequences, days = gather.transform(table), gather.get_ids(table)
    assert len(sequences) == 731
    assert [sum(len(x) for x in sequences), max(map(len, sequences))] == [17379, 24]
    totals = gather.get_targets(table, table.groupby("day")["cnt"].sum())
    np.testing.assert_array_equal(totals, [x[:, 0].sum() for x in sequences])
    assert days.dtype.kind == "M"
    X = [x for x in sequences if len(x) == 24]
    model = make_pipeline(SequenceScaler(), FunctionTransformer(np.stack), TikhonovLSTMRegressor(4, max_epochs=1))
    model.fit(X[:40], np.array([x[:, 0].mean() / 100 for x in X[:40]]))
    assert model.predict(X[40:42]).shape == (2,)


def test_columns_are_found_by_name(table):
    gather = SequencesFromTable("id", "time", target="y").fit(table)
    later = table[["v", "time", "u", "id"]].assign(unknown="?")
    for a, b in zip(gather.transform(later), gather.transform(table), strict=True):
        np.testing.assert_array_equal(a, b)
    assert SequencesFromTable("id", "time", ["v"]).fit_transform(table).iloc[0].tolist() == [[3], [6], [1]]
    assert gather.n_features_in_ == 5
    assert gather.feature_names_in_.tolist() == ["id", "time", "u", "v", "y"]


def test_without_time_rows_keep_their_order(table):
    sequences = SequencesFromTable("id", channels=["u"]).fit_transform(table)
    assert [x.ravel().tolist() for x in sequences] == [[12, 10, 11], [25, 24], [31]]


@pytest.mark.parametrize(
    "convert",
    [
        lambda t: pd.to_datetime(t, unit="D"),
        lambda t: pd.to_datetime(t, unit="D", utc=True).dt.tz_convert("Europe/Berlin"),
        lambda t: pd.to_timedelta(t, unit="h"),
        lambda t: t.astype(float) / 3,
        lambda t: t.astype("Int64"),
        lambda t: pd.to_datetime(t, unit="D").dt.date,
    ],
    ids=["datetime", "time zone", "timedelta", "float", "nullable", "date objects"],
)
def test_kinds_of_time(table, convert):
    expected = SequencesFromTable("id", "time").fit_transform(table)
    table["time"] = convert(table["time"])
    for a, b in zip(SequencesFromTable("id", "time").fit_transform(table), expected, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "convert",
    [
        lambda i: i.astype("category"),
        lambda i: i.map({"a": 1, "b": 0, "c": 2}),
        lambda i: i.map({"a": 1.5, "b": "b", "c": (2, 3)}).astype(object),
        lambda i: pd.to_datetime(i.map({"a": "2020-01-02", "b": "2020-01-01", "c": "2020-03-01"})),
        lambda i: pd.to_datetime(i.map({"a": "2020-01-02", "b": "2020-01-01", "c": "2020-03-01"})).astype("M8[ns]"),
    ],
    ids=["category", "int", "mixed", "datetime", "nanoseconds"],
)
def test_kinds_of_id(table, convert):
    table["id"] = convert(table["id"])
    gather = SequencesFromTable("id", "time", ["u"])
    assert [x.ravel().tolist() for x in gather.fit_transform(table)] == [[10, 11, 12], [24, 25], [31]]
    labels = table["id"].unique()
    assert list(gather.get_ids(table)) == list(labels)
    assert gather.get_targets(table, dict(zip(labels, "xyz", strict=True))).tolist() == ["x", "y", "z"]
    assert gather.get_targets(table, pd.Series([1.0, 2.0, 3.0], index=labels)[::-1]).tolist() == [1, 2, 3]


def test_dtypes_of_channels(table):
    single = table.astype({"u": np.float32, "v": np.float32})
    assert SequencesFromTable("id", "time", ["u", "v"]).fit_transform(single).iloc[0].dtype == np.float32
    assert (
        SequencesFromTable("id", "time", ["u", "v"]).fit_transform(table.astype({"u": np.float32})).iloc[0].dtype
        == float
    )
    flags = table.assign(v=table["v"] > 2)
    assert SequencesFromTable("id", "time", ["v"]).fit_transform(flags).iloc[0].ravel().tolist() == [1, 1, 0]


def test_missing_values(table):
    table.loc[2, "u"] = np.nan
    message = "Channel 'u' of id b is missing at time 0 (number of such values: 1): fill it, or pass allow_nan=True."
    with pytest.raises(ValueError) as error:
        SequencesFromTable("id", "time").fit_transform(table)
    assert str(error.value) == message
    sequences = SequencesFromTable("id", "time", allow_nan=True).fit_transform(table.convert_dtypes())
    assert np.isnan(sequences.iloc[0][0, 0])
    assert sum(np.isnan(x).sum() for x in sequences) == 1
    assert SequenceScaler().fit(sequences).n_samples_seen_.tolist() == [5, 6, 6]
    with pytest.raises(ValueError, match=r"^Channel 'u' of id b is infinite at time 0 \(number of such values: 1\)\.$"):
        SequencesFromTable("id", "time", allow_nan=True).fit_transform(table.fillna(np.inf))


def test_several_targets(table):
    gather = SequencesFromTable("id", "time", target=["y", "z"]).fit(table.assign(z=-table["y"]))
    assert gather.channels_ == ["u", "v"]
    assert gather.get_targets(table.assign(z=-table["y"])).tolist() == [[7, -7], [8, -8], [9, -9]]
    one = SequencesFromTable("id", "time", target=["y"])
    assert one.get_targets(table).shape == (3, 1)
    by_id = {"a": [1.0, 2.0], "b": [3.0, 4.0], "c": [5.0, 6.0], "elsewhere": [0.0, 0.0]}
    assert one.get_targets(table, by_id).tolist() == [[3, 4], [1, 2], [5, 6]]


def test_the_table_is_left_alone(table):
    before = table.copy(deep=True)
    gather = SequencesFromTable("id", "time", target="y")
    gather.fit_transform(table).iloc[0][:] = -1
    gather.get_targets(table)[:] = -1
    pd.testing.assert_frame_equal(table, before)


class Columns:
    """A table of another library: named columns, and no more."""

    def __init__(self, data):
        self.data = data
        self.columns = list(data)
        self.shape = (len(next(iter(data.values()))), len(data))

    def __getitem__(self, name):
        return self.data[name]

    def __len__(self):
        return self.shape[0]


def test_tables_of_other_libraries(table):
    other = Columns({name: torch.tensor(table[name]) if name == "v" else list(table[name]) for name in table})
    gather = SequencesFromTable("id", "time", target="y")
    for a, b in zip(gather.fit_transform(other), gather.fit_transform(table), strict=True):
        np.testing.assert_array_equal(a, b)
    assert gather.get_targets(other).tolist() == [7, 8, 9]


def test_clone_pickle_and_output_containers(table):
    gather = SequencesFromTable("id", "time", target="y").fit(table)
    assert clone(gather).get_params() == gather.get_params()
    loaded = pickle.loads(pickle.dumps(gather))
    np.testing.assert_array_equal(loaded.transform(table).iloc[1], gather.transform(table).iloc[1])
    assert not hasattr(gather, "set_output")


SUCH = {"id": [1, 1, 2], "time": [0, 1, 0], "u": [0.0, 1.0, 2.0]}


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ({"time": [0, 0, 0]}, {}, "Id 1 has two rows of the time 0 (number of such pairs: 1). Keep one of "
         "them, or their average."),
        ({"id": [1, None, 2]}, {}, "Column 'id' has no value in row 1; every row needs an id."),
        ({"time": [0, 1, None]}, {}, "Column 'time' has no value in row 2; every row needs a time."),
        ({"time": pd.to_datetime(["2020-01-01", None, "2020-01-01"])}, {},
         "Column 'time' has no value in row 1; every row needs a time."),
        ({"time": ["9", "10", "9"]}, {}, "Column 'time' holds strings, which sort by their letters ('10' before '9'). "
         "Convert it, for instance with pandas.to_datetime."),
        ({"u": ["calm", "NE", "cv"]}, {}, "Column 'u' does not hold numbers, but every channel must. Encode it "
         "first, or list the other columns in the parameter channels."),
        ({"u": pd.to_datetime(["2020-01-01"] * 3)}, {}, "Column 'u' does not hold numbers, but every channel "
         "must. Encode it first, or list the other columns in the parameter channels."),
        ({}, {"id": "ID"}, "The table has no column 'ID'; it has 'id', 'time', 'u'."),
        ({}, {"channels": ["w"]}, "The table has no column 'w'; it has 'id', 'time', 'u'."),
        ({}, {"target": "y"}, "The table has no column 'y'; it has 'id', 'time', 'u'."),
        ({}, {"channels": ["u", "time"]},
         "Column 'time' has two roles: id, time, target and channels must be different columns."),
        ({}, {"channels": []}, "The table has no column left for channels. Name the channels, or add columns."),
        ({}, {"target": "u"}, "The table has no column left for channels. Name the channels, or add columns."),
        ({}, {"allow_nan": "yes"}, "allow_nan must be one of True, False; got 'yes'."),
    ],
)  # fmt: skip
def test_bad_tables_are_refused(columns, options, message):
    gather = SequencesFromTable(**{"id": "id", "time": "time"} | options)
    with pytest.raises(ValueError) as error:
        gather.fit_transform(pd.DataFrame(SUCH | columns))
    assert str(error.value) == message


def test_other_refusals(table):
    gather = SequencesFromTable("id", "time")
    with pytest.raises(
        TypeError, match=r"^X must be a table with named columns, such as a pandas DataFrame; got ndarray"
    ):
        gather.fit(table.to_numpy())
    with pytest.raises(TypeError, match=r"^channels must be a list of names; got 'u'"):
        SequencesFromTable("id", "time", "u").fit(table)
    with pytest.raises(ValueError, match=r"It is a level of the index: call reset_index\(\) first\.$"):
        gather.fit(table.set_index(["id", "time"]))
    with pytest.raises(ValueError, match=r"^The table has two columns 'u'"):
        gather.fit(pd.concat([table, table[["u"]]], axis=1))
    with pytest.raises(ValueError, match=r"^The table has no row"):
        gather.fit(table).transform(table.iloc[:0])
    with pytest.raises(ValueError, match=r"^The table has no column 'v'"):
        gather.transform(table.drop(columns="v"))


def test_targets_that_do_not_fit_are_refused(table):
    gather = SequencesFromTable("id", "time", target="y")
    for y, error, message in (
        ({"a": 1, "b": 2}, ValueError, r"^y has no target for id c \(number of such ids: 1\)"),
        ({"a": 1, "b": np.nan, "c": 2}, ValueError, r"^The target of id b is missing in y"),
        (pd.Series([1, 2, 3, 4], index=list("abca")), ValueError, r"^The index of y holds an id twice"),
        ([1, 2, 3], TypeError, r"^y must give the target of each id: a dict, or a Series with the ids as its index"),
    ):
        with pytest.raises(error, match=message):
            gather.get_targets(table, y)
    with pytest.raises(
        ValueError, match=r"^There are no targets: name their column with the parameter target, or pass y"
    ):
        SequencesFromTable("id", "time").get_targets(table)
    with pytest.raises(ValueError, match=r"^Target 'y' of id b is both 7 and 0: it must be the same in all rows"):
        gather.get_targets(table.assign(y=[7, 8, 7, 9, 8, 0]))
    with pytest.raises(ValueError, match=r"^Target 'y' of id a is missing"):
        gather.get_targets(table.assign(y=[7, np.nan, 7, 9, 8, 7]))
