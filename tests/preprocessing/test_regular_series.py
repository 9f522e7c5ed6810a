"""Series at equal time steps: what is read, what is refused, and the times that come after."""

import re

import numpy as np
import pandas as pd
import pytest

from sklstm.preprocessing._regular_series import RegularSeries

BERLIN = "Europe/Berlin"
# Across both changes of the clock, ends of February, a weekend, the end of a year.
INDEXES = {
    "hours": pd.date_range("2023-12-30", periods=40, freq="h"),
    "spring": pd.date_range("2024-03-30 06:00", periods=40, freq="h", tz=BERLIN),
    "autumn": pd.date_range("2024-10-26 06:00", periods=40, freq="h", tz=BERLIN),
    "quarters of an hour": pd.date_range("2024-03-31 00:00", periods=40, freq="15min", tz=BERLIN),
    "days": pd.date_range("2024-03-01", periods=40, freq="D", tz=BERLIN),
    "weeks": pd.date_range("2024-01-03", periods=40, freq="W-WED"),
    "working days": pd.date_range("2024-01-03", periods=40, freq="B"),
    "month ends": pd.date_range("2024-01-31", periods=40, freq="ME"),
    "months": pd.date_range("2024-01-01", periods=40, freq="MS", tz=BERLIN),
    "quarters": pd.date_range("2024-01-01", periods=40, freq="QS"),
    "years": pd.date_range("1980-12-31", periods=40, freq="YE"),
    "every other month": pd.date_range("2024-01-01", periods=40, freq="2MS"),
    "seconds": pd.date_range("2024-01-01", periods=40, freq="s", unit="s"),
    "periods": pd.period_range("2024-01", periods=40, freq="M"),
    "two-hour periods": pd.period_range("2024-01-01", periods=40, freq="2h"),
    "every other period": pd.period_range("2010-01", periods=80, freq="M")[::2],
    "every third of two-hour periods": pd.period_range("2024-01-01", periods=120, freq="2h")[::3],
    "spans": pd.timedelta_range("3h", periods=40, freq="90min"),
    "counted": pd.RangeIndex(40),
    "tens": pd.Index(np.arange(100, 500, 10)),
    "years as numbers": pd.RangeIndex(1950, 1990, name="year"),
}


def table_of(index):
    return pd.DataFrame({"a": np.arange(len(index), dtype=float), "b": 1.0}, index=index)


def without_frequency(index):
    """As a file gives it."""
    return index if isinstance(index, pd.PeriodIndex) else index[np.arange(len(index))]


@pytest.mark.parametrize("index", INDEXES.values(), ids=INDEXES)
@pytest.mark.parametrize("n", [25, 30, 39])
def test_times_after_the_end_are_those_that_came(index, n):
    for some in (index, without_frequency(index)):
        series = RegularSeries.of(table_of(some[:n]))
        after = series.after(40 - n)
        assert after.equals(index[n:])
        assert after.dtype == index.dtype
        assert after.names == index.names


def test_days_are_days_of_the_calendar_unless_the_clock_shows_otherwise():
    index = pd.date_range("2024-03-01", periods=40, freq="D", tz="UTC").tz_convert(BERLIN)  # 1 o'clock, then 2 o'clock
    before, after = (RegularSeries.of(table_of(without_frequency(index[:n]))).after(10 - n % 10) for n in (25, 33))
    assert (after == index[33:]).all()
    assert set(before.hour) == {1}


@pytest.mark.parametrize("index", INDEXES.values(), ids=INDEXES)
def test_another_table_has_the_step_of_the_first(index):
    first = RegularSeries.of(table_of(without_frequency(index[:20])))
    later = RegularSeries.of(table_of(without_frequency(index[30:32])), first)  # too few to infer it
    assert later.after(3).equals(index[32:35])
    with pytest.raises(ValueError, match="not equally spaced"):
        RegularSeries.of(table_of(index[[30, 32]]), first)


@pytest.mark.parametrize("index", INDEXES.values(), ids=INDEXES)
def test_a_time_that_is_absent_is_named(index):
    if isinstance(index, pd.RangeIndex) and index[0] == 0:
        index = pd.Index(np.arange(40))
    with pytest.raises(ValueError, match="not equally spaced") as caught:
        RegularSeries.of(table_of(index.delete(20)))
    assert str(index[21]) in str(caught.value)
    if index.dtype.kind == "i":  # asfreq is for dates only
        advice = re.search(r"(table\.reindex.*) makes", str(caught.value))[1]
        assert eval(advice, {"table": table_of(index.delete(20))}).index.equals(index)
    else:
        assert "asfreq" in str(caught.value)


@pytest.mark.parametrize("index", INDEXES.values(), ids=INDEXES)
def test_rows_out_of_order_are_refused(index):
    if isinstance(index, pd.RangeIndex) and index[0] == 0:
        index = pd.Index(np.arange(40))
    order = np.arange(40)
    order[[7, 8]] = 8, 7
    with pytest.raises(ValueError, match="must increase"):
        RegularSeries.of(table_of(index[order]))
    with pytest.raises(ValueError, match="must increase"):
        RegularSeries.of(table_of(index[[*range(20), 19, *range(20, 40)]]))


@pytest.mark.parametrize("time_first", [False, True])
def test_a_panel_is_cut_by_id_and_keeps_its_levels(time_first):
    hours = INDEXES["spring"]
    parts = {"b": table_of(hours[:30]), "a": table_of(hours[5:25])}
    panel = pd.concat(parts, names=["pump", "when"])
    levels = ["pump", "when"]
    if time_first:
        panel, levels = panel.swaplevel().sort_index(level=0, sort_remaining=False), ["when", "pump"]
    series = RegularSeries.of(panel)
    assert series.ids.tolist() == ["b", "a"]
    assert series.lengths.tolist() == [30, 20]
    expected = pd.concat({"b": table_of(hours[30:33]), "a": table_of(hours[25:28])}, names=["pump", "when"])
    expected = expected.swaplevel().index if time_first else expected.index
    pd.testing.assert_index_equal(series.after(3), expected)
    assert series.after(3).names == levels
    assert np.array_equal(series.tail(np.array([3, 2])).values[:, 0], [27, 28, 29, 18, 19])
    assert np.array_equal(series.head(np.array([0, 2])).values[:, 0], [0, 1])
    assert series.head(np.array([0, 2])).ids.tolist() == ["a"]


def test_an_id_may_have_several_levels():
    hours = INDEXES["hours"]
    panel = pd.concat({("x", 1): table_of(hours[:9]), ("x", 2): table_of(hours[:8])}, names=["site", "pump", "when"])
    after = RegularSeries.of(panel).after(2)
    assert after.names == ["site", "pump", "when"]
    assert after.tolist() == [("x", 1, hours[9]), ("x", 1, hours[10]), ("x", 2, hours[8]), ("x", 2, hours[9])]


def test_every_series_of_a_panel_is_checked():
    hours = INDEXES["hours"]
    panel = pd.concat({"a": table_of(hours), "b": table_of(hours.delete(12))}, names=["pump", "when"])
    with pytest.raises(ValueError, match=r"The times of series b .* not equally spaced"):
        RegularSeries.of(panel)


def test_columns_are_matched_by_name():
    hours = INDEXES["hours"]
    first = RegularSeries.of(table_of(hours))
    other = RegularSeries.of(table_of(hours)[["b", "a"]], first)
    assert np.array_equal(other.values, first.values)
    for table in (table_of(hours)[["a"]], table_of(hours).assign(c=1), table_of(hours)[["a", "a"]]):
        with pytest.raises(ValueError, match="columns of the table must be those of fit"):
            RegularSeries.of(table, first)


def changed(value, dtype=float):
    table = table_of(INDEXES["hours"]).astype({"b": dtype})
    table.iloc[7, 1] = value
    return table


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, None])
@pytest.mark.parametrize("dtype", [float, "float32", "Float64", object])
def test_where_a_value_is_missing_is_said(value, dtype):
    with pytest.raises(ValueError, match="column 'b', row 7, 2023-12-30 07:00:00"):
        RegularSeries.of(changed(value, dtype))
    array = np.ma.masked_invalid(table_of(INDEXES["hours"]).to_numpy())
    array[7, 1] = np.ma.masked
    with pytest.raises(ValueError, match=r"1 of 40 rows .* missing, in column 1, row 7\."):
        RegularSeries.of(array)


@pytest.mark.parametrize(
    ("table", "error", "match"),
    [
        (table_of(INDEXES["hours"]).set_axis(list("abcdefghij" * 4)), TypeError, "must hold dates, periods"),
        (table_of(pd.Index(np.arange(40) / 2)), TypeError, "must hold dates, periods"),
        (table_of(pd.Index(INDEXES["hours"].astype(str))), TypeError, "pandas.to_datetime"),
        (table_of(INDEXES["hours"]).assign(c="x"), TypeError, r"these do not: c\. .*set_index"),
        (table_of(INDEXES["hours"]).reset_index(), TypeError, r"these do not: index\. .*set_index"),
        (table_of(INDEXES["hours"][:2]), ValueError, "2 rows, but at least 3"),
        (table_of(pd.DatetimeIndex([f"2024-0{m}-15" for m in range(1, 10)])), ValueError, "to_period"),
        ([table_of(INDEXES["hours"])] * 2, TypeError, "pandas.concat"),
        (np.zeros((4, 3, 2)), ValueError, "must have shape"),
        (np.zeros((4, 0)), ValueError, "at least one column"),
        (np.array(["x"] * 9), TypeError, "real numbers"),
    ],
)
def test_what_has_no_regular_times_or_numbers_is_refused_in_words(table, error, match):
    with pytest.raises(error, match=match):
        RegularSeries.of(table)


def test_tables_of_others_are_to_be_made_tables_of_pandas():
    class Frame:
        columns = ("a",)
        shape = (9, 1)

        def to_pandas(self):
            raise AssertionError("only the user knows which column holds the times")

    with pytest.raises(TypeError, match=r"got a .*Frame\. Give table\.to_pandas\(\) with times"):
        RegularSeries.of(Frame())


def test_a_frequency_that_is_set_is_believed():
    holidays = pd.tseries.offsets.CustomBusinessDay(holidays=["2024-01-10"])
    index = pd.date_range("2024-01-01", periods=20, freq=holidays)
    assert RegularSeries.of(table_of(index[:6])).after(5).equals(index[6:11])
    with pytest.raises(ValueError, match="not equally spaced"):  # nobody could infer it
        RegularSeries.of(table_of(without_frequency(index)))


def test_tables_of_another_kind_than_the_first_are_refused():
    hours = INDEXES["hours"]
    first = RegularSeries.of(table_of(hours))
    with pytest.raises(TypeError, match="Give the same kind"):
        RegularSeries.of(table_of(hours).to_numpy(), first)
    with pytest.raises(TypeError, match=r"dates without a zone, .* but these are integers"):
        RegularSeries.of(table_of(INDEXES["counted"]), first)
    with pytest.raises(ValueError, match="an id in their index"):
        RegularSeries.of(pd.concat({"a": table_of(hours)}, names=["id", "when"]), first)
    with pytest.raises(TypeError, match="Give the same kind"):
        RegularSeries.of(table_of(hours), RegularSeries.of(table_of(hours).to_numpy()))
    with pytest.raises(ValueError, match="has 3 columns, but that of fit had 2"):
        RegularSeries.of(np.zeros((9, 3)), RegularSeries.of(np.zeros((9, 2))))


# Remedies, as they are written in errors


def remedies(table):
    """What the error about a table advises."""
    with pytest.raises((TypeError, ValueError)) as caught:
        RegularSeries.of(table)
    return str(caught.value)


@pytest.mark.parametrize("names", [["symbol", "date"], [None, None], ["symbol", None]])
@pytest.mark.parametrize("interleaved", [False, True])
def test_what_errors_about_a_panel_advise_works_and_mixes_no_ids(names, interleaved):
    index = pd.MultiIndex.from_product([["b", "a"], pd.date_range("2024-01-01", periods=12)], names=names)
    table = pd.DataFrame({"y": np.arange(24.0)}, index=index)
    right = RegularSeries.of(table)

    texts = table.set_axis(index.set_levels(index.levels[1].astype(str), level=1))
    advice = re.search(r"table\.index = (.*)\.$", remedies(texts))[1]
    texts.index = eval(advice, {"table": texts, "pandas": pd})
    assert RegularSeries.of(texts).times.equals(right.times)

    gap = table.drop(index=[("b", pd.Timestamp("2024-01-05"))])
    if interleaved:
        gap = gap.sort_index(level=1)
    message = remedies(gap)
    filled = eval(re.search(r"table = (.*?) makes", message)[1], {"table": gap})
    with pytest.raises(ValueError, match="1 of 24 rows have a missing"):
        RegularSeries.of(filled)
    filled = eval(re.search(r"ones, and (.*?) fills", message)[1], {"table": filled})
    series = RegularSeries.of(filled)
    assert sorted(series.lengths) == [12, 12]
    assert filled.loc[("b", pd.Timestamp("2024-01-05")), "y"] == 3

    table.iloc[12] = np.nan  # the first of the second id
    assert "leave out the first 1 rows of series a" in remedies(table)  # there is nothing before it
    assert sorted(RegularSeries.of(table.drop(index=table.index[12])).lengths) == [11, 12]
    table["y"] = np.where(np.arange(24) == 13, np.nan, np.arange(24.0))
    table.iloc[12] = 0.0
    advice = re.search(r"instance (.*?), or leave", remedies(table))[1]
    np.testing.assert_array_equal(RegularSeries.of(eval(advice, {"table": table})).values[11:15, 0], [11, 0, 0, 14])

    months = pd.date_range("2024-01-15", periods=12, freq="MS") + pd.Timedelta("14D")
    fifteenths = pd.DataFrame({"y": 1.0}, index=pd.MultiIndex.from_product([["b", "a"], months], names=names))
    fifteenths.index = eval(re.search(r"periods: (.*)\.$", remedies(fifteenths))[1], {"table": fifteenths})
    assert RegularSeries.of(fifteenths).after(1)[0][1] == pd.Period("2025-02")


def test_panels_of_two_ids_are_filled_by_both():
    index = pd.MultiIndex.from_product([["b", "a"], range(9), ["x"]], names=["plant", "time", "unit"])
    table = pd.DataFrame({"y": [1.0, np.nan] + [1.0] * 16}, index=index)
    assert "table.groupby(level=['plant', 'unit']).ffill()" in remedies(table)


@pytest.mark.parametrize(
    "times",
    [
        pd.date_range("2024-01-01 02:30", periods=89, freq="D", tz=BERLIN),  # on 31 March there is no 02:30
        pd.date_range("2024-08-01 02:30", periods=86, freq="D", tz=BERLIN),  # two of them on 27 October
    ],
)
def test_days_that_meet_a_change_of_the_clock_are_refused_with_a_remedy(times):
    series = RegularSeries.of(table_of(without_frequency(times)))
    with pytest.raises(ValueError, match=r"'D' from .* clocks of Europe/Berlin skip or repeat. .*tz_convert\('UTC'\)"):
        series.after(4)
    for other in (times.tz_convert("UTC"), times.tz_localize(None)):
        assert len(RegularSeries.of(table_of(other)).after(4)) == 4


def test_times_that_pandas_cannot_hold_are_not_laid_to_the_clock():
    times = pd.date_range("2261-01-01", periods=400, freq="D", tz="UTC", unit="ns")
    with pytest.raises(pd.errors.OutOfBoundsDatetime):
        RegularSeries.of(table_of(times)).after(400)


@pytest.mark.parametrize(
    ("fitted", "now", "said"),
    [
        ("hours", "spring", "were dates without a zone, such as .* but these are dates with a zone, such as"),
        ("days", "periods", "were dates with a zone, .* but these are periods"),
        ("periods", "working days", "were periods, .* but these are dates without a zone"),
        ("spans", "tens", "were time spans, .* but these are integers"),
        ("counted", "hours", "were integers, .* but these are dates without a zone"),
    ],
)
def test_times_of_another_kind_than_in_fit_are_refused(fitted, now, said):
    with pytest.raises(TypeError, match=said):
        RegularSeries.of(table_of(INDEXES[now]), RegularSeries.of(table_of(INDEXES[fitted])))


def test_another_zone_is_the_same_kind():
    series = RegularSeries.of(table_of(INDEXES["spring"]))
    assert RegularSeries.of(table_of(INDEXES["spring"].tz_convert("UTC")), series).after(1)[0] == series.after(1)[0]


def test_periods_of_another_length_than_in_fit_are_refused():
    series = RegularSeries.of(table_of(INDEXES["periods"]))
    with pytest.raises(TypeError, match=r"periods at steps of 'ME?', but these are of another kind: period"):
        RegularSeries.of(table_of(pd.period_range("2024-01-01", periods=40, freq="D")), series)
    with pytest.raises(ValueError, match="not equally spaced"):
        RegularSeries.of(table_of(INDEXES["every other period"]), series)


@pytest.mark.parametrize(
    ("freq", "start"),
    [
        ("h", "00:00"),
        ("h", "00:30"),
        ("5h", "03:00"),
        ("15min", "00:07"),
        ("D", "12:00"),
        ("W-MON", "00:00"),
        ("MS", "00:00"),
    ],
)
def test_the_remedy_for_a_missing_row_makes_the_missing_row(freq, start):
    """With another rule it would throw rows away, and from another origin it would move them."""
    times = pd.date_range(f"2024-04-01 {start}", periods=12, freq=freq, name="time")
    table = pd.DataFrame({"a": np.arange(12.0)}, index=times)
    panel = pd.concat({"u": table, "v": table}, names=["site", "time"])
    for given, dropped, whole in ((table, 5, table), (table, 1, table), (panel, 7, panel), (panel, 1, panel)):
        lacking = given.drop(given.index[dropped])
        with pytest.raises(ValueError, match="not equally spaced") as caught:
            RegularSeries.of(lacking)
        if freq == "MS" and given is table and dropped == 1:  # steps of months are seen in three rows, not in lengths
            assert "table.asfreq(...)" in str(caught.value)
            continue
        remedy = re.search(
            r"(table\.asfreq\(.*?\)|table\.groupby\(level='site'\)\.resample\(.*?\)\.last\(\))", str(caught.value)
        )[1]
        filled = eval(remedy, {"table": lacking})
        assert filled.index.tolist() == whole.index.tolist()
        kept = filled["a"].notna()
        pd.testing.assert_frame_equal(filled[kept], lacking, check_freq=False)
