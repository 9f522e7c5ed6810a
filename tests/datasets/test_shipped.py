"""Shipped data against numbers known of their sources."""

from importlib import resources

import numpy as np
import pytest
from sklearn.utils import Bunch

from sklstm.datasets import load_beijing_pm25, load_bike_sharing, load_japanese_vowels, load_sunspots

SERIES = [
    pytest.param(load_bike_sharing, (17379, 11), "datetime64[h]", id="bike_sharing"),
    pytest.param(load_beijing_pm25, (43824, 11), "datetime64[h]", id="beijing_pm25"),
    pytest.param(load_sunspots, (2820, 1), "datetime64[M]", id="sunspots"),
]
LOADERS = [load_bike_sharing, load_beijing_pm25, load_sunspots, load_japanese_vowels]


@pytest.mark.parametrize(("load", "shape", "unit"), SERIES)
def test_series_have_the_documented_fields(load, shape, unit):
    bunch = load()
    assert isinstance(bunch, Bunch)
    assert set(bunch) == {"data", "target", "times", "feature_names", "DESCR"}
    assert bunch.data.shape == shape
    assert bunch.data.dtype == bunch.target.dtype == np.float64
    assert bunch.data.flags.c_contiguous
    assert len(bunch.feature_names) == len(set(bunch.feature_names)) == shape[1]
    np.testing.assert_array_equal(bunch.target, bunch.data[:, 0])
    assert bunch.times.shape == shape[:1]
    assert bunch.times.dtype == np.dtype(unit)
    assert np.all(np.diff(bunch.times).astype(int) > 0)


@pytest.mark.parametrize("load", LOADERS)
def test_pair_is_data_and_target(load):
    bunch = load()
    X, y = load(return_X_y=True)
    np.testing.assert_array_equal(X, bunch.data)
    np.testing.assert_array_equal(y, bunch.target)


@pytest.mark.parametrize("load", LOADERS)
def test_description_names_source_citation_and_licence(load):
    description = load().DESCR
    assert description.startswith(load.__name__.removeprefix("load_") + ".npz\n")
    for word in ("Source", "itation:", "Licence:", "Changed:"):
        assert word in description
    assert "\n## " not in description


@pytest.mark.parametrize("load", LOADERS)
def test_each_call_returns_arrays_of_its_own(load):
    first, expected = load(), load()
    arrays = {key: value for key, value in first.items() if isinstance(value, np.ndarray)}
    assert not np.shares_memory(first.data, first.target)
    for array in arrays.values():
        array[...] = array.flat[-1]
    first.feature_names.clear()
    again = load()
    for key in arrays:
        np.testing.assert_array_equal(again[key], expected[key])
    assert again.feature_names == expected.feature_names


def test_bike_sharing_is_the_source():
    bikes = load_bike_sharing()
    assert bikes.feature_names == [
        "cnt", "temp", "atemp", "hum", "windspeed", "weathersit", "hour", "weekday", "month", "holiday",
        "workingday",
    ]  # fmt: skip
    assert bikes.target.sum() == 3_292_679
    assert bikes.data[0].tolist() == [16, 0.24, 0.2879, 0.81, 0, 1, 0, 6, 1, 0, 0]
    assert bikes.data[-1].tolist() == [49, 0.26, 0.2727, 0.65, 0.1343, 1, 23, 1, 12, 0, 1]
    assert not np.isnan(bikes.data).any()


def test_bike_sharing_times_agree_with_its_calendar_columns():
    bikes = load_bike_sharing()
    columns = dict(zip(bikes.feature_names, bikes.data.T, strict=True))
    days = bikes.times.astype("datetime64[D]")
    np.testing.assert_array_equal((bikes.times - days).astype(int), columns["hour"])
    # 1 January 1970 was a Thursday, day 4 of a week that begins on Sunday.
    np.testing.assert_array_equal((days.astype(int) + 4) % 7, columns["weekday"])
    np.testing.assert_array_equal(bikes.times.astype("datetime64[M]").astype(int) % 12 + 1, columns["month"])


def test_bike_sharing_lacks_the_documented_hours():
    gaps = np.diff(load_bike_sharing().times).astype(int) - 1
    assert gaps.sum() == 165
    assert np.count_nonzero(gaps) == 75
    assert gaps.max() == 36


def test_beijing_pm25_is_the_source():
    air = load_beijing_pm25()
    assert air.feature_names == [
        "pm2.5", "DEWP", "TEMP", "PRES", "Iws", "Is", "Ir", "cbwd_NE", "cbwd_NW", "cbwd_SE", "cbwd_cv",
    ]  # fmt: skip
    assert np.nansum(air.target) == 4_117_792
    assert air.data[0, 1:].tolist() == [-21, -11, 1021, 1.79, 0, 0, 0, 1, 0, 0]
    assert air.data[-1].tolist() == [12, -21, -3, 1034, 249.85, 0, 0, 0, 1, 0, 0]
    # The source prints a few temperatures and pressures with more digits than the others.
    assert {14.66666667, 9.333333333} <= set(air.data[:, 2])
    assert 1029.666667 in air.data[:, 3]
    assert air.data[:, 7:].sum(axis=0).tolist() == [4997, 14150, 15290, 9387]
    assert np.all(air.data[:, 7:].sum(axis=1) == 1)


def test_beijing_pm25_keeps_missing_values_in_the_first_column_only():
    data = load_beijing_pm25().data
    missing = np.isnan(data[:, 0])
    assert missing.sum() == 2067
    assert missing[:24].all()
    assert not missing[24]
    assert not np.isnan(data[:, 1:]).any()
    edges = np.flatnonzero(np.diff(np.concatenate([[0], missing, [0]])))
    assert np.diff(edges)[::2].max() == 155


def test_beijing_pm25_has_every_hour():
    times = load_beijing_pm25().times
    expected = np.arange("2010-01-01T00", "2015-01-01T00", dtype="datetime64[h]")
    np.testing.assert_array_equal(times, expected)


def test_sunspots_are_the_source():
    sun = load_sunspots()
    assert sun.feature_names == ["sunspots"]
    assert sun.data[:3, 0].tolist() == [58.0, 62.6, 70.0]
    assert sun.data[-2:, 0].tolist() == [33.3, 33.4]
    assert sun.target.max() == 253.8
    assert sun.target.sum() == pytest.approx(144_570.0, rel=1e-12)
    np.testing.assert_array_equal(sun.times, np.arange("1749-01", "1984-01", dtype="datetime64[M]"))


@pytest.mark.parametrize(
    ("subset", "counts"),
    [("train", [30] * 9), ("test", [31, 35, 88, 44, 29, 24, 40, 50, 29])],
)
def test_japanese_vowels_have_the_documented_fields(subset, counts):
    vowels = load_japanese_vowels(subset=subset)
    assert set(vowels) == {"data", "target", "lengths", "feature_names", "target_names", "DESCR"}
    assert vowels.data.shape == (sum(counts), 29, 12)
    assert vowels.data.dtype == np.float64
    assert vowels.target.dtype == vowels.lengths.dtype == np.int64
    assert np.bincount(vowels.target)[1:].tolist() == counts
    assert vowels.lengths.min() == 7
    assert len(vowels.feature_names) == 12
    assert vowels.target_names[0] == "speaker_1"
    assert len(vowels.target_names) == 9


def test_japanese_vowels_are_the_source():
    vowels = load_japanese_vowels(subset="all", padded=False)
    first, first_test = vowels.data[0], vowels.data[270]
    assert first.shape == (20, 12)
    assert first[[0, 1, -1], 0].tolist() == [1.860936, 1.891651, 1.261441]
    assert first[0, :3].tolist() == [1.860936, -0.207383, 0.261557]
    assert first_test.shape == (19, 12)
    assert first_test[[0, -1], 0].tolist() == [1.635533, 1.388998]
    assert max(vowels.lengths) == 29
    assert sum(vowels.lengths) * 12 == 51_288 + 68_244


@pytest.mark.parametrize("subset", ["train", "test", "all"])
def test_japanese_vowels_are_padded_with_zeros_on_the_left(subset):
    padded = load_japanese_vowels(subset=subset)
    ragged = load_japanese_vowels(subset=subset, padded=False)
    np.testing.assert_array_equal(padded.target, ragged.target)
    assert [len(sequence) for sequence in ragged.data] == padded.lengths.tolist()
    for row, sequence in zip(padded.data, ragged.data, strict=True):
        np.testing.assert_array_equal(row[29 - len(sequence) :], sequence)
        assert not row[: 29 - len(sequence)].any()


def test_japanese_vowels_all_is_train_then_test():
    subsets = [load_japanese_vowels(subset=subset) for subset in ("train", "test")]
    everything = load_japanese_vowels(subset="all")
    for key in ("data", "target", "lengths"):
        np.testing.assert_array_equal(everything[key], np.concatenate([part[key] for part in subsets]))


def test_left_padding_changes_nothing_for_a_bias_free_relu_network():
    rng = np.random.default_rng(0)
    recurrent, inputs = rng.normal(size=(5, 5)), rng.normal(size=(5, 12))

    def last_state(sequence):
        state = np.zeros(5)
        for frame in sequence:
            state = np.maximum(recurrent @ state + inputs @ frame, 0.0)
        return state

    padded = load_japanese_vowels(return_X_y=True)[0][:20]
    ragged = load_japanese_vowels(padded=False, return_X_y=True)[0][:20]
    for row, sequence in zip(padded, ragged, strict=True):
        np.testing.assert_array_equal(last_state(row), last_state(np.ascontiguousarray(sequence)))


def test_ragged_japanese_vowels_share_no_memory():
    sequences = load_japanese_vowels(padded=False).data
    assert all(sequence.base is None for sequence in sequences)


def test_japanese_vowels_refuse_an_unknown_subset():
    with pytest.raises(ValueError) as error:
        load_japanese_vowels(subset="validation")
    assert str(error.value) == 'subset must be "train", "test" or "all"; got \'validation\''


def test_shipped_files_are_small_and_attributed():
    folder = resources.files("sklstm.datasets") / "data"
    sizes = {path.name: len(path.read_bytes()) for path in folder.iterdir() if path.name.endswith(".npz")}
    assert max(sizes.values()) < 450_000
    assert sum(sizes.values()) < 1_100_000
    readme = (folder / "README.md").read_text(encoding="utf-8")
    for name in sizes:
        assert f"\n## {name}\n" in readme
