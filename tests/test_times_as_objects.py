"""Dates that are objects, categories or texts are told from ids, wherever the index of a table holds both."""

import re

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

from sklstm import TikhonovLSTMRegressor, make_forecaster
from sklstm._labels import is_time, time_level
from sklstm.preprocessing import SequenceScaler, SequencesFromTable, pad_sequences, read_sequences, sliding_windows

N = 60
DATES = pd.date_range("2024-01-01", periods=N)
#: Forms of dates, each with the index that is the same for pandas.
AS_DATES = {
    "dates": list(DATES.date),
    "datetimes": pd.Index(DATES.to_pydatetime(), dtype=object),
    "a category": pd.CategoricalIndex(DATES),
    "a category of dates": pd.CategoricalIndex(list(DATES.date)),
    "periods as objects": pd.Index(list(DATES.to_period("D")), dtype=object),
    "durations as objects": pd.Index(list(DATES - DATES[0]), dtype=object),
    "numpy's as objects": pd.Index(list(DATES.to_numpy()), dtype=object),
    "dates, one missing": pd.Index([None, *DATES.date[1:]], dtype=object),
}
TEXTS = {
    "days": list(DATES.strftime("%Y-%m-%d")),
    "months in words": list(DATES.strftime("%d %b %Y")),
    "a word first": list(DATES.strftime("%a %d %b %Y %H:%M")),
    "a category": pd.CategoricalIndex(DATES.strftime("%Y-%m-%d")),
}
# As a user may have them: numbers of stores, in which no order is seen.
STORES = [7, 3, 5]


def panel(dates, names=(None, None), swapped=False):
    index = pd.MultiIndex.from_product([STORES, dates], names=names)
    table = pd.DataFrame({"a": np.arange(3.0 * N), "b": np.random.default_rng(0).normal(size=3 * N)}, index=index)
    return table.swaplevel() if swapped else table


@pytest.mark.parametrize("dates", AS_DATES.values(), ids=AS_DATES)
def test_dates_are_times_in_any_form(dates):
    index = pd.Index(dates)
    assert is_time(index)
    assert time_level(pd.MultiIndex.from_product([STORES, dates])) == 1
    assert time_level(pd.MultiIndex.from_product([dates, STORES])) == 0


@pytest.mark.parametrize("labels", [STORES, list("abc"), [1.5, 2.5], [(1, 2)], [b"a"], [None, None], []])
def test_other_labels_are_no_times(labels):
    assert not is_time(pd.Index(labels, dtype=object))


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("dates", [value for name, value in AS_DATES.items() if "missing" not in name])
def test_windows_of_stores_with_dates_are_those_of_a_date_index(dates, swapped):
    expected = sliding_windows(panel(DATES), 5, target="a", groups=True)
    found = sliding_windows(panel(dates, swapped=swapped), 5, target="a", groups=True)
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_array_equal(one, other)
    read = read_sequences(panel(dates, swapped=swapped))
    assert list(read.index) == STORES
    np.testing.assert_array_equal(read[3], panel(DATES).loc[3])
    backwards = panel(dates)[::-1]
    for call in (lambda: sliding_windows(backwards, 5), lambda: read_sequences(backwards)):
        with pytest.raises(ValueError, match="times of the series must increase"):
            call()


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("texts", TEXTS.values(), ids=TEXTS)
def test_texts_of_dates_next_to_numbers_are_asked_about(texts, swapped):
    table = panel(texts, swapped=swapped)
    for call in (
        lambda: sliding_windows(table, 5),
        lambda: read_sequences(table),
        lambda: make_forecaster(Ridge(), 5, 1).fit(table),
        lambda: TikhonovLSTMRegressor(2).fit(table.T.reset_index(drop=True), [0.0, 1.0]),
    ):
        with pytest.raises(ValueError, match="unknown which level"):
            call()
    named = panel(texts, names=["id", "time"])
    with pytest.raises(ValueError, match=r"holds strings.*set_levels\(pandas\.to_datetime"):
        sliding_windows(named, 5)


@pytest.mark.parametrize(
    "names",
    [
        ["2m_temperature", "10m_wind"],
        ["sales 2020", "sales 2021"],
        ["1a", "2b"],
        ["001", "002"],
        ["af3", "2a"],
        ["may"],
    ],
)
def test_names_with_numbers_in_them_are_no_dates(names):
    assert time_level(pd.MultiIndex.from_product([names, range(3)])) == 1
    wide = pd.DataFrame(np.eye(6, 3 * len(names)), columns=pd.MultiIndex.from_product([range(3), names]))
    TikhonovLSTMRegressor(2, max_epochs=1).fit(wide, np.arange(6.0))


@pytest.mark.parametrize(
    "text",
    ["2024-01-03", "03.01.2024", "1/3/24", "20240103", "2024", "2024Q1", "Q1 2024", "Jan 2024", "3 March", "03:00"],
)
def test_texts_of_dates_in_many_forms_are_asked_about(text):
    with pytest.raises(ValueError, match="unknown which level"):
        time_level(pd.MultiIndex.from_product([[7, 8], [text]]))


def test_texts_that_are_no_dates_are_ids():
    assert time_level(pd.MultiIndex.from_product([["pump 1", "pump 2"], range(3)])) == 1
    assert time_level(pd.MultiIndex.from_product([range(3), ["pump 1", "pump 2"]])) == 0


def test_a_forecaster_asks_for_dates():
    with pytest.raises(TypeError, match=r"Convert them: table\.index = table\.index\.set_levels\("):
        make_forecaster(Ridge(), 5, 1).fit(panel(AS_DATES["dates"]))
    table = panel(AS_DATES["dates"])
    table.index = table.index.set_levels(pd.to_datetime(table.index.levels[1]), level=1)
    assert (
        make_forecaster(Ridge(), 5, 1)
        .fit(table)
        .predict()
        .index.equals(make_forecaster(Ridge(), 5, 1).fit(panel(DATES)).predict().index)
    )


def test_a_wide_table_with_dates_as_objects_is_read_by_date():
    X = np.random.default_rng(0).normal(size=(30, 4, 3))
    y, model = X[:, -1, 0], TikhonovLSTMRegressor(2, max_epochs=1, random_state=0)
    channels_first = pd.MultiIndex.from_product([[11, 12, 13], list(DATES.date[:4])])
    table = pd.DataFrame(X.swapaxes(1, 2).reshape(30, 12), columns=channels_first)
    np.testing.assert_array_equal(model.fit(table, y).predict(table), model.fit(X, y).predict(X))


ENTRIES = {
    "dates": pd.Index([DATES[1].date(), DATES[0].date(), DATES[2].date()], dtype=object),
    "a category": pd.CategoricalIndex(DATES[[1, 0, 2]]),
    "ids and dates": pd.MultiIndex.from_arrays([[1, 1, 1], list(DATES[[1, 0, 2]].date)]),
    "two ids": pd.MultiIndex.from_arrays([[1, 1, 2], list(DATES[[0, 1, 0]].date)]),
    "two ids with numbers": pd.MultiIndex.from_arrays([["u", "u", "v"], [0, 1, 0]]),
    "a category in another order": pd.CategoricalIndex(pd.Categorical(DATES[[1, 0, 2]], categories=DATES[[1, 0, 2]])),
    "a number that is an id": pd.MultiIndex.from_arrays([[5, 5, 5], [2, 1, 0]]),
    "two ids with names": pd.MultiIndex.from_arrays([[1, 1, 2], [0, 1, 0]], names=["run", "step"]),
}


@pytest.mark.parametrize("index", ENTRIES.values(), ids=ENTRIES)
def test_a_sequence_of_a_list_runs_forwards_and_is_one(index):
    X = np.random.default_rng(0).normal(size=(8, 3, 2))
    y, model = X[:, 0, 0], TikhonovLSTMRegressor(2, max_epochs=1, random_state=0)
    frames = [pd.DataFrame(x, columns=["a", "b"], index=list(DATES[:3].date)) for x in X]
    model.fit(frames, y)
    wrong = [*frames[:3], frames[3].set_axis(index), *frames[4:]]
    for call in (lambda: model.fit(wrong, y), lambda: model.predict(wrong), lambda: SequenceScaler().fit(wrong)):
        with pytest.raises(ValueError, match=r"the times of the index of X\[3\] must increase"):
            call()
    with pytest.raises(ValueError, match=r"the times of the index of sequences\[3\] must increase"):
        pad_sequences(wrong)


def test_texts_in_an_index_of_times_are_refused_in_a_list_too():
    x = pd.DataFrame({"a": [1.0, 2.0]}, index=pd.Index(["2024-01-02", "2024-01-01"], name="time"))
    for call in (lambda: read_sequences([x, x]), lambda: pad_sequences([x]), lambda: SequenceScaler().fit([x])):
        with pytest.raises(ValueError, match=r"holds strings.*index = pandas\.to_datetime"):
            call()


def test_several_ids_in_one_entry_become_several_entries_by_the_remedy():
    x = pd.DataFrame({"a": np.arange(4.0)}, index=pd.MultiIndex.from_product([["u", "v"], [0, 1]]))
    with pytest.raises(ValueError, match=r"\[part for _, part in sequences\[0\]\.groupby\(level=0\)\]"):
        pad_sequences([x])
    np.testing.assert_array_equal(pad_sequences([part for _, part in x.groupby(level=0)])[:, :, 0], [[0, 1], [2, 3]])


@pytest.mark.parametrize(
    "index",
    [
        pd.MultiIndex.from_product([DATES[:2], [22, 23]], names=["date", "hour"]),
        pd.MultiIndex.from_product([["warm", "hot"], [22, 23]], names=["phase", "hour"]),
        pd.MultiIndex.from_arrays([["warm", "warm", "hot", "hot"], range(4)]),
        pd.MultiIndex.from_product([["a", "b"], ["c", "d"]]),
    ],
)
def test_one_sequence_may_have_an_index_of_several_levels(index):
    x = np.arange(8.0).reshape(4, 2)
    np.testing.assert_array_equal(pad_sequences([pd.DataFrame(x, index=index)])[0], x)


TWICE = pd.to_datetime(["2024-01-01 01:00", "2024-01-01 02:00", "2024-01-01 02:00", "2024-01-01 03:00"])


def test_a_time_that_occurs_twice_is_not_to_be_sorted():
    """Sorting would not help: the message names what does, and that helps."""
    series = pd.Series(np.arange(4.0), index=TWICE)
    with pytest.raises(
        ValueError, match=r"occurs twice\. If clocks were set back.*Keep one.*duplicated\(\)\]"
    ) as error:
        sliding_windows(series, 1)
    assert "ort" not in str(error.value)
    assert len(sliding_windows(series[~series.index.duplicated()], 1)[0]) == 2
    table = pd.concat({"u": series.to_frame("a"), "v": series.to_frame("a")})
    with pytest.raises(ValueError, match=r"X\[~X\.index\.duplicated\(\)\]"):
        read_sequences(table)
    assert [len(x) for x in read_sequences(table[~table.index.duplicated()])] == [3, 3]
    with pytest.raises(ValueError, match=r"sequences\[0\]\[~sequences\[0\]\.index\.duplicated\(\)\]"):
        pad_sequences([series.to_frame()])
    nested = pd.DataFrame({"a": [series]})
    with pytest.raises(ValueError, match="Keep one step of each"):
        read_sequences(nested)


def test_clocks_that_are_set_back_are_named_before_anything_is_sorted():
    quarters = pd.date_range("2024-10-27", periods=20, freq="15min", tz="Europe/Berlin")
    series = pd.Series(np.arange(20.0), index=quarters.tz_localize(None))
    with pytest.raises(ValueError, match=r"comes after .* If clocks were set back there, give the zone first"):
        sliding_windows(series, 3)
    found = sliding_windows(series.tz_localize("Europe/Berlin", ambiguous="infer"), 3, times=True)
    assert (found[2] == quarters[3:]).all()


@pytest.mark.parametrize("times", [[None, *DATES.date[1:3]], [*DATES.date[:2], DATES[2].to_numpy()]])
def test_times_that_cannot_be_compared_are_said_to_be_so(times):
    with pytest.raises(ValueError, match=r"is missing, in row 0|cannot be compared with each other"):
        sliding_windows(np.arange(3.0), 1, times=times)


@pytest.mark.parametrize(
    ("labels", "call"),
    [
        (
            pd.Index(list(pd.period_range("2024", periods=60, freq="D")), dtype=object),
            "pandas.PeriodIndex(table.index)",
        ),
        (pd.Index(np.arange(60.0)), "table.index.astype(int)"),
        (pd.Index(list(range(60)), dtype=object), "table.index.astype(int)"),
        (pd.Index(list(DATES - DATES[0]), dtype=object), "pandas.to_timedelta(table.index)"),
        (pd.Index(list(DATES.date), dtype=object), "pandas.to_datetime(table.index)"),
        (pd.Index(DATES.astype(str)), "pandas.to_datetime(table.index)"),
    ],
)
def test_what_makes_times_of_an_index_is_said_and_works(labels, call):
    table = pd.DataFrame({"a": np.arange(60.0)}, index=labels)
    with pytest.raises(TypeError, match=re.escape(f"table.index = {call}. If the rows have no times")):
        make_forecaster(Ridge(), 5, 1).fit(table)
    table.index = eval(call, {"pandas": pd, "table": table})
    assert len(make_forecaster(Ridge(), 5, 1).fit(table).predict()) == 1


def test_sequences_of_a_table_carry_their_ids():
    """Targets by id in another order are refused, in fit and in score; those in the order of the ids are used."""
    rng = np.random.default_rng(0)
    ids = [f"r{i}" for i in rng.permutation(40)]
    table = pd.DataFrame({"id": np.repeat(ids, 5), "t": np.tile(np.arange(5), 40), "a": rng.normal(size=200)})
    gather = SequencesFromTable("id", "t")
    X = gather.fit_transform(table)
    assert list(X.index) == ids
    assert X.index.name == "id"
    model = TikhonovLSTMRegressor(2, max_epochs=1, random_state=0)
    by_id = table.groupby("id")["a"].mean()  # sorted by id
    for call in (lambda: model.fit(X, by_id), lambda: model.fit(X, by_id.loc[X.index]).score(X, by_id)):
        with pytest.raises(ValueError, match=r"in another order: give y\.loc\[X\.index\]"):
            call()
    expected = clone(model).fit(list(X), by_id.loc[ids].to_numpy()).predict(list(X))
    np.testing.assert_array_equal(model.fit(X, by_id.loc[X.index]).predict(X), expected)
    np.testing.assert_array_equal(model.fit(X, gather.get_targets(table, by_id)).predict(X), expected)
    pipe = make_pipeline(SequencesFromTable("id", "t"), SequenceScaler(), model)
    for call in (lambda: pipe.fit(table, by_id), lambda: pipe.fit(table, by_id.loc[ids]).score(table, by_id)):
        with pytest.raises(ValueError, match="in another order"):
            call()
