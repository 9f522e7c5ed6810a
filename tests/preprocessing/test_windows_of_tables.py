"""`sliding_windows` of what has labels: they are used or refused, and no window holds rows of two series."""

import warnings

import numpy as np
import pandas as pd
import pytest

from sklstm.exceptions import DataWarning
from sklstm.preprocessing import sliding_windows

HOURS = pd.date_range("2024-01-01", periods=12, freq="h")
ZONED = HOURS.tz_localize("Europe/Berlin")


def table_of(index=HOURS):
    rng = np.random.default_rng(0)
    return pd.DataFrame(rng.normal(size=(len(index), 2)), columns=["load", "temp"], index=index)


def panel_of(lengths=(5, 7, 4)):
    """Three pumps, whose readings tell which pump and which hour they are of."""
    ids = np.repeat(["c", "a", "b"], lengths)
    hours = np.concatenate([HOURS[:length] for length in lengths])
    values = np.concatenate([100 * (i + 1) + np.arange(length) for i, length in enumerate(lengths)])
    return pd.DataFrame({"pump": ids, "time": hours, "bar": values.astype(float)})


# Times


@pytest.mark.parametrize(
    "index",
    [
        HOURS[::-1],
        HOURS[:6].repeat(2),
        ZONED[::-1],
        HOURS.to_period("h")[::-1],
        HOURS - HOURS[3],
        pd.Index([*HOURS[:11], pd.NaT]),
        pd.Index(np.arange(12.0)[::-1]),
        pd.Index([0, 1, 2, 3, 4, 5] * 2),  # two tables, one below the other
        pd.Index([np.nan, *range(11)]),
    ],
    ids=["newest first", "twice", "zones", "periods", "durations", "missing", "floats", "two in one", "NaN"],
)
def test_times_that_do_not_increase_are_refused(index):
    table = table_of(index)
    if index is not None and index.dtype.kind == "m":
        sliding_windows(table, 3)  # these increase
        table = table[::-1]
    with pytest.raises(ValueError, match=r"the times of the series must increase|a time of the series is missing"):
        sliding_windows(table, 3)
    with pytest.raises(ValueError, match=r"must increase|is missing"):
        sliding_windows(table.to_numpy(), 3, times=table.index)
    with pytest.raises(ValueError, match=r"must increase|is missing"):
        sliding_windows(table.reset_index(names="when"), 3, times="when")


def test_the_error_says_which_rows_and_what_to_do():
    with pytest.raises(ValueError, match=r"2024-01-01 10:00:00, in row 1, comes after 2024-01-01 11:00:00\. Sort"):
        sliding_windows(table_of()[::-1], 3)
    with pytest.raises(ValueError, match=r"2024-01-01 00:00:00, in row 1, occurs twice\. .*ids in groups"):
        sliding_windows(table_of(HOURS[:6].repeat(2)), 3)


def test_texts_are_labels_and_no_times():
    table = table_of(pd.Index(list("qwertyuiopas")))
    np.testing.assert_array_equal(sliding_windows(table, 3)[0], sliding_windows(table.to_numpy(), 3)[0])


@pytest.mark.parametrize("index", [ZONED, HOURS.to_period("h")], ids=["zones", "periods"])
def test_times_that_numpy_does_not_know_stay_what_they_are(index):
    _, _, t = sliding_windows(table_of(index), 3, times=True)
    assert t.equals(index[3:])
    _, _, t = sliding_windows(table_of(index), 3, [1, 3], times=True)
    assert list(t.columns) == [1, 3]
    for steps in (1, 3):
        assert pd.Index(t[steps]).equals(index[2 + steps : 9 + steps])
    column = table_of().assign(when=index)
    X, _, t = sliding_windows(column.reset_index(drop=True), 3, times="when")
    assert X.shape[2] == 2
    assert t.equals(index[3:])


def test_times_as_a_column_an_array_or_a_shuffled_series_are_the_same():
    table, expected = table_of(), HOURS[3:].to_numpy()
    shuffled = pd.Series(HOURS, index=HOURS).sample(frac=1, random_state=0)
    for one, times in ((table, True), (table, HOURS), (table, shuffled), (table.reset_index(names="at"), "at")):
        X, _, t = sliding_windows(one, 3, times=times)
        assert X.shape == (9, 3, 2)
        np.testing.assert_array_equal(t, expected)


# Labels of targets


@pytest.mark.parametrize("several", [False, True])
def test_targets_are_matched_by_their_labels(several):
    table = table_of()
    load = pd.Series(10.0 * np.arange(12), index=HOURS)
    load = load.to_frame("a").assign(b=-load) if several else load
    expected = sliding_windows(table, 3, target=load.to_numpy())[1]
    for seed in range(5):
        np.testing.assert_array_equal(
            sliding_windows(table, 3, target=load.sample(frac=1, random_state=seed))[1], expected
        )
    # What counts from 0 has no labels, and what has no rows of its own is taken by position.
    for by_position in (load.reset_index(drop=True), load.to_numpy()):
        np.testing.assert_array_equal(sliding_windows(table, 3, target=by_position)[1], expected)
    np.testing.assert_array_equal(sliding_windows(table.to_numpy(), 3, target=load)[1], expected)


def test_targets_with_other_labels_are_refused():
    for wrong in (HOURS + pd.Timedelta("1h"), HOURS[:6].repeat(2), pd.Index(list("abcdefghijkl"))):
        with pytest.raises(ValueError, match=r"the labels of the rows of target, .* must be those of the series"):
            sliding_windows(table_of(), 3, target=pd.Series(np.arange(12.0), index=wrong))


def test_columns_are_found_by_any_kind_of_name():
    values = np.random.default_rng(0).normal(size=(12, 4))
    by_tuple = pd.MultiIndex.from_product([["Close", "Volume"], ["AAA", "BBB"]])
    prices = pd.DataFrame(values, columns=by_tuple)
    years = pd.DataFrame(values, columns=[2021, 2020, 1, 0])
    expected = values[3:, 3]
    np.testing.assert_array_equal(sliding_windows(prices, 3, target=("Volume", "BBB"))[1], expected)
    np.testing.assert_array_equal(sliding_windows(prices, 3, target=[("Volume", "BBB")])[1], expected[:, None])
    np.testing.assert_array_equal(sliding_windows(prices, 3, target=by_tuple[[3]])[1], expected[:, None])
    np.testing.assert_array_equal(sliding_windows(years, 3, target=0)[1], expected)
    np.testing.assert_array_equal(sliding_windows(years, 3, target=[2021, 0])[1], values[3:, [0, 3]])
    with pytest.raises(ValueError, match="target column 2 must occur once among the columns"):
        sliding_windows(years, 3, target=2)
    with pytest.raises(ValueError, match="target column 'tmp' must occur once"):
        sliding_windows(table_of(), 3, target=["load", "tmp"])
    named = pd.Series(np.arange(9.0), name="load")
    np.testing.assert_array_equal(sliding_windows(named, 3, target="load")[1], np.arange(3.0, 9))
    with pytest.raises(ValueError, match="'temp' must occur once"):
        sliding_windows(named, 3, target="temp")


# Labels of the last step


@pytest.mark.parametrize("labels", [["sit"] * 5 + ["walk"] * 7, list(range(12)), pd.Categorical(["a", "b"] * 6)])
def test_a_horizon_of_zero_is_the_label_of_the_last_step(labels):
    labels = pd.Series(labels, index=HOURS)
    table = table_of()
    with_labels = table.assign(activity=labels)
    for series, target in ((table, labels), (table, labels.to_numpy()), (with_labels, "activity")):
        X, y = sliding_windows(series, 3, 0, target=target)
        np.testing.assert_array_equal(X, sliding_windows(table, 3, 0, target=labels)[0])
        assert list(y) == list(labels)[2:]
    X, y = sliding_windows(with_labels, 3, [0, 2], target=["activity"])
    assert y.shape == (8, 2)
    assert list(y[:, 1]) == list(labels)[4:]


def test_a_label_column_is_not_among_the_inputs():
    table = table_of().assign(activity=["sit", "walk"] * 6)
    X, y = sliding_windows(table, 3, target="activity")
    assert X.shape[2] == 2
    assert y.tolist() == (["walk", "sit"] * 5)[:9]
    table = table_of()
    X, _ = sliding_windows(table, 3, 0, target="load")
    np.testing.assert_array_equal(X, sliding_windows(table[["temp"]], 3, 0, target=table["load"])[0])


# Several series


@pytest.mark.parametrize("order", ["by id", "by time", "shuffled columns"])
@pytest.mark.parametrize("how", ["index", "columns", "arrays"])
def test_no_window_holds_rows_of_two_series(order, how):
    panel = panel_of()
    if order == "by time":
        panel = panel.sort_values(["time", "pump"], kind="stable", ignore_index=True)
    if order == "shuffled columns":
        panel = panel[["bar", "time", "pump"]]
    if how == "index":
        cut = panel.set_index(["pump", "time"]), {"times": True, "groups": True}
    elif how == "columns":
        cut = panel, {"times": "time", "groups": "pump"}
    else:
        cut = panel[["bar"]], {"times": panel["time"], "groups": panel["pump"].to_numpy()}
    X, y, t, g = sliding_windows(cut[0], 3, target="bar", **cut[1])
    assert X.shape == (2 + 4 + 1, 3, 1)
    for x, value, at, pump in zip(X[:, :, 0], y, t, g, strict=True):
        rows = panel[panel["pump"] == pump].sort_values("time")
        place = rows["time"].tolist().index(pd.Timestamp(at))
        np.testing.assert_array_equal([*x, value], rows["bar"].iloc[place - 3 : place + 1])


def test_times_must_increase_within_a_series_only():
    panel = panel_of()
    sliding_windows(panel.set_index(["pump", "time"]), 3)
    with pytest.raises(ValueError, match=r"in row 6, comes after .*\. Sort the rows by time\."):
        sliding_windows(panel.iloc[[0, 1, 2, 3, 4, 6, 5, 7, 8]].set_index(["pump", "time"]), 3)


def test_the_time_is_the_level_of_that_name_wherever_it_is():
    panel = panel_of()
    expected = sliding_windows(panel.set_index(["pump", "time"]), 3, times=True, groups=True)
    swapped = panel.set_index(["time", "pump"])
    unnamed = swapped.rename_axis([None, None])
    for table in (swapped, unnamed):
        for found, right in zip(sliding_windows(table, 3, times=True, groups=True), expected, strict=True):
            np.testing.assert_array_equal(found, right)


def test_short_series_are_said():
    with pytest.warns(DataWarning, match=r"1 of 3 series have fewer than the 5 steps .*: b\."):
        *_, g = sliding_windows(panel_of().set_index(["pump", "time"]), 4, groups=True)
    assert sorted(set(g)) == ["a", "c"]
    with pytest.raises(ValueError, match="no series has 9 steps"):
        sliding_windows(panel_of().set_index(["pump", "time"]), 8)


@pytest.mark.parametrize("kind", ["arrays", "frames", "series", "cube"])
def test_a_list_of_series_gives_the_windows_of_each(kind):
    rng = np.random.default_rng(0)
    lengths = [6, 6, 6] if kind == "cube" else [6, 9, 7]
    arrays = [rng.normal(size=(length, 1)) for length in lengths]
    several = {
        "arrays": arrays,
        "frames": [pd.DataFrame(x, columns=["a"], index=HOURS[: len(x)]) for x in arrays],
        "series": [pd.Series(x[:, 0], name="a", index=HOURS[: len(x)]) for x in arrays],
        "cube": np.array(arrays) if kind == "cube" else None,
    }[kind]
    X, y, g = sliding_windows(several, 3, 2, groups=["p", "q", "r"])
    parts = [sliding_windows(x, 3, 2) for x in arrays]
    np.testing.assert_array_equal(X, np.concatenate([part[0] for part in parts]))
    np.testing.assert_array_equal(y, np.concatenate([part[1] for part in parts]))
    assert list(g) == [name for name, part in zip("pqr", parts, strict=True) for _ in part[1]]
    own = [np.arange(float(length)) for length in lengths]
    _, y = sliding_windows(several, 3, 2, target=own)
    np.testing.assert_array_equal(y, np.concatenate([values[4:] for values in own]))
    if kind in ("frames", "series"):
        _, _, t = sliding_windows(several, 3, 2, times=True)
        np.testing.assert_array_equal(t, np.concatenate([HOURS[4:length] for length in lengths]))


def test_lists_of_series_that_do_not_go_together_are_refused():
    frames = [table_of(), table_of().rename(columns={"temp": "wind"})]
    with pytest.raises(ValueError, match=r"series\[1\] has other columns than series\[0\]"):
        sliding_windows(frames, 3)
    with pytest.raises(ValueError, match="one id for each of the 2 series"):
        sliding_windows([table_of(), table_of()], 3, groups=["a"])
    with pytest.raises(ValueError, match=r"series\[0\] is itself several series"):
        sliding_windows([panel_of().set_index(["pump", "time"])] * 2, 3)
    with pytest.raises(ValueError, match="target must have one entry for each of the 2 series; got 3"):
        sliding_windows([table_of(), table_of()], 3, target=[np.arange(12)] * 3)


def test_bad_groups_are_refused():
    with pytest.raises(TypeError, match=r"groups=True needs an index of two levels, \(id, time\)"):
        sliding_windows(table_of(), 3, groups=True)
    with pytest.raises(ValueError, match="groups column 'pomp' must occur once"):
        sliding_windows(panel_of(), 3, groups="pomp")
    with pytest.raises(ValueError, match=r"groups must have shape \(12,\)"):
        sliding_windows(table_of(), 3, groups=np.arange(5))
    missing = panel_of().assign(pump=[None, *panel_of()["pump"][1:]])
    with pytest.raises(ValueError, match="row 0 has no id: every row needs one"):
        sliding_windows(missing, 3, groups="pump", times="time")


# What is missing


def test_masked_na_nan_and_none_are_the_same():
    values = [1.0, None, 3.0, 4.0, 5.0]
    expected, _ = sliding_windows(np.array([1.0, np.nan, 3, 4, 5]), 2)
    masked = np.ma.masked_array([1.0, 99.0, 3, 4, 5], mask=[0, 1, 0, 0, 0])
    kinds = [
        masked,
        masked.astype(int),
        np.array(values, dtype=object),
        pd.Series(values),
        pd.Series(values, dtype="Int64"),
        pd.DataFrame({"a": pd.array(values, dtype="Float32")}),
        pd.DataFrame({"a": pd.Series([1, pd.NA, 3, 4, 5], dtype=object)}),
    ]
    for series in kinds:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            np.testing.assert_array_equal(sliding_windows(series, 2)[0], expected)
    mixed = pd.DataFrame({"a": pd.array([1, None, 3, 4, 5], dtype="Int64"), "b": np.arange(5.0)})
    X, y = sliding_windows(mixed, 2, target="b")
    np.testing.assert_array_equal(X[:, :, :1], expected)
    assert y.tolist() == [2, 3, 4]


def test_numbers_written_as_text_are_refused():
    with pytest.raises(TypeError, match=r"these columns do not: a\. .*pandas\.to_numeric"):
        sliding_windows(pd.DataFrame({"a": ["1.5", "2", "3"], "b": [1, 2, 3]}), 2)


@pytest.mark.parametrize("seed", range(20))
def test_permuted_columns_rows_and_ids_give_permuted_windows(seed):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(4, 9, size=3)
    table = panel_of(tuple(lengths)).assign(flow=rng.normal(size=lengths.sum()))
    X, y, t, g = sliding_windows(table, 2, target="bar", times="time", groups="pump")
    rows = np.argsort(rng.random(len(table)) + np.repeat([0, 0, 0], lengths))
    # Rows of one series stay in order, series are mixed.
    mixed = table.iloc[rows].sort_values("time", kind="stable")
    mixed = mixed[rng.permutation(mixed.columns)]
    channels = [name for name in mixed.columns if name in ("bar", "flow")]
    found_X, found_y, found_t, found_g = sliding_windows(mixed, 2, target="bar", times="time", groups="pump")
    order, found = np.lexsort((t, g)), np.lexsort((found_t, found_g))
    np.testing.assert_array_equal(found_X[found], X[order][:, :, [["bar", "flow"].index(name) for name in channels]])
    np.testing.assert_array_equal(found_y[found], y[order])
    np.testing.assert_array_equal(np.asarray(found_g)[found], np.asarray(g)[order])
