"""Labels of rows are used or refused, never ignored."""

import re
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import xarray as xr
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline

from sklstm import certified_accuracy, make_forecaster, noise_interval, prediction_interval
from sklstm._labels import TIME_NAMES, counted, numbered, order_of_rows, refuse_other_rows, time_level
from sklstm.inspection import CertifiedBandDisplay, CertifiedFrontDisplay, channel_importance
from sklstm.metrics import make_certified_scorer, make_noisy_scorer
from sklstm.model_selection import RegularizationPathCV
from sklstm.preprocessing import SequenceScaler, SequencesFromTable, pad_sequences, read_sequences, sliding_windows
from tests.support.estimators import CLASSIFIERS, ESTIMATORS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
N = 20
NAMES = [f"patient {i}" for i in range(N)]


@pytest.mark.parametrize("seed", range(20))
def test_the_order_is_that_of_the_labels(seed):
    rng = np.random.default_rng(seed)
    kinds = (
        NAMES,
        pd.date_range("2024", periods=N),
        rng.permutation(1000)[:N],
        pd.period_range("2024", periods=N, freq="D"),
    )
    for labels in kinds:
        table = pd.DataFrame({"a": rng.normal(size=N)}, index=labels)
        values = table["a"].sample(frac=1, random_state=seed)
        order = order_of_rows(values, table, "y", "X")
        np.testing.assert_array_equal(values.to_numpy()[order], table["a"])
        assert order_of_rows(table["a"], table, "y", "X") is None


def test_what_counts_rows_has_no_labels_unless_it_counts_the_same_rows():
    table = pd.DataFrame({"a": np.arange(4.0)}, index=list("abcd"))
    plain = pd.Series(np.arange(4.0))
    assert counted(plain.index)
    assert order_of_rows(plain, table, "y", "X") is None
    assert order_of_rows(table["a"], plain.to_frame(), "y", "X") is None
    np.testing.assert_array_equal(order_of_rows(plain[::-1], plain.to_frame(), "y", "X"), [3, 2, 1, 0])
    np.testing.assert_array_equal(order_of_rows(plain, plain[::-1].to_frame(), "y", "X"), [3, 2, 1, 0])
    assert order_of_rows(plain[::-1].set_axis([7, 6, 5, 4]), plain.to_frame(), "y", "X") is None
    for without in ([1.0, 2.0], np.arange(4), None):
        refuse_other_rows(without, table, "y")


@pytest.mark.parametrize("labels", [list("abce"), list("abca"), pd.date_range("2024", periods=4)])
def test_other_labels_are_refused(labels):
    table = pd.DataFrame({"a": np.arange(4.0)}, index=list("abcd"))
    with pytest.raises(ValueError, match=r"labels of the rows of y, .*, must be those of X"):
        order_of_rows(pd.Series(np.arange(4.0), index=labels), table, "y", "X")
    with pytest.raises(ValueError, match=r"rows of y have other labels than those of X: row"):
        refuse_other_rows(pd.Series(np.arange(4.0), index=labels), table, "y")


EQUAL = {
    "zones": (
        pd.date_range("2024", periods=4, tz="UTC"),
        pd.date_range("2024", periods=4, tz="UTC").tz_convert("Asia/Tokyo"),
    ),
    "nullable": (pd.Index([4, 2, 3, 1], dtype="Int64"), pd.Index([4, 2, 3, 1])),
    "nullable, twice the same": (pd.Index([4, 2, 2, 1], dtype="Int64"), pd.Index([4, 2, 2, 1])),
    "texts as objects": (pd.Index(list("abcd"), dtype="string"), pd.Index(list("abcd"), dtype=object)),
    "categories": (pd.CategoricalIndex(list("abcd")), pd.Index(list("abcd"))),
    "levels": tuple(
        pd.MultiIndex.from_arrays([pd.Index([1, 1, 2, 2], dtype=dtype), list("abab")]) for dtype in ("Int64", "int64")
    ),
    "one missing": (pd.Index([4, None, 3, 1], dtype="Int64"), pd.Index([4, np.nan, 3, 1])),
}


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize(("own", "theirs"), EQUAL.values(), ids=EQUAL)
def test_equal_labels_of_another_type_are_the_same(own, theirs, swapped):
    own, theirs = (theirs, own) if swapped else (own, theirs)
    table, values = pd.DataFrame({"a": np.arange(4.0)}, index=theirs), pd.Series(np.arange(4.0), index=own)
    refuse_other_rows(values, table, "y")
    with pytest.raises(ValueError, match=r"rows of y have other labels than those of X: row 0"):
        refuse_other_rows(values[::-1], table, "y")
    if own.is_unique:
        np.testing.assert_array_equal(order_of_rows(values[::-1], table, "y", "X"), [3, 2, 1, 0])
        with pytest.raises(ValueError, match=r"give y\.loc\[X\.index\]") as caught:
            refuse_other_rows(values[::-1], table, "y")
        refuse_other_rows(values[::-1].loc[table.index], table, "y")  # the remedy
        assert str(caught.value).startswith("the rows of y have other labels")


def test_no_remedy_is_named_that_would_fail():
    """Labels that occur twice, texts that look like numbers, and swapped levels: `.loc` would fail or repeat rows."""
    pairs = (
        (pd.Index([5, 5, 7]), pd.Index([5, 7, 5])),
        (pd.Index(["3", "2"]), pd.Index([3, 2])),
        (pd.Index(["2024-01-01"]), pd.DatetimeIndex(["2024-01-01"])),
        (pd.MultiIndex.from_tuples([(1, "a")]), pd.MultiIndex.from_tuples([("a", 1)])),
    )
    for own, theirs in pairs:
        with pytest.raises(ValueError, match=r"row \d is .*For values by position, give y\.to_numpy\(\)") as caught:
            refuse_other_rows(pd.Series(0.0, index=own), pd.DataFrame({"a": 0.0}, index=theirs), "y")
        assert ".loc" not in str(caught.value)
        _, mine, other = re.search(r"row (\d) is (.*) in y and (.*) in X\. For", str(caught.value)).groups()
        assert mine != other, "texts of numbers are told from numbers"


def test_ids_are_numbered_as_they_appear():
    for ids in (np.array(["b", "a", "b", "c"]), np.array([3, 1, 3, 2]), np.array(["b", 1, "b", 2.5], dtype=object)):
        for given in (ids, pd.Series(ids), pd.Index(ids)):
            codes, found = numbered(given)
            assert codes.tolist() == [0, 1, 0, 2]
            assert list(found) == [ids[0], ids[1], ids[3]]


NO_ID = {
    "None in a list": ["a", "a", None, None],
    "NaN in a list": ["a", "a", np.nan, "b"],
    "NaN among numbers": np.array([1.0, 1.0, np.nan, np.nan]),
    "masked": np.ma.masked_array([1, 1, 2, 2], [0, 0, 1, 0]),
    "objects": np.array(["a", "a", None, "b"], dtype=object),
    "dates": np.array(["2024", "2024", "NaT", "2025"], dtype="datetime64[D]"),
    "a column": pd.Series(["a", "a", None, "b"]),
    "a nullable column": pd.Series([1, 1, None, 2], dtype="Int64"),
    "a level": pd.MultiIndex.from_arrays([list("aaab"), [1.0, 1.0, np.nan, 2.0]]),
}


@pytest.mark.parametrize("ids", NO_ID.values(), ids=NO_ID)
def test_a_missing_id_is_refused_wherever_it_is(ids):
    with pytest.raises(ValueError, match=r"^row 2 has no id: every row needs one"):
        sliding_windows(np.arange(4.0), 1, groups=ids)
    with pytest.raises(ValueError, match=r"^series 2 has no id: every series needs one"):
        sliding_windows([np.ones((3, 1))] * 4, 1, groups=ids)


@pytest.mark.parametrize(
    ("levels", "names", "which"),
    [
        ((["a"], [1]), (None, None), 1),
        ((pd.date_range("2024", periods=1), ["a"]), (None, None), 0),
        (([1], ["a"]), ("time", "id"), 0),
        ((["a"], pd.period_range("2024", periods=1, freq="D"), [3]), (None, None, None), 1),
        (([1], ["a"]), (None, None), 0),
        (([2024], [1]), ("Year", "store"), 0),
        (([2024], [1]), ("quarter", "store"), 0),
        ((["a"], ["2024-01-01"]), (None, None), 1),
        (([1], pd.date_range("2024", periods=1)), ("run", "observed"), 1),
        ((pd.date_range("2024", periods=1), [1.5]), ("id", "time"), 1),
        ((pd.date_range("1990", periods=1), pd.date_range("2024", periods=1)), ("born", "date"), 1),
    ],
)
def test_the_level_of_times(levels, names, which):
    assert time_level(pd.MultiIndex.from_product(levels, names=names)) == which


DATES = pd.date_range("2024", periods=9)


@pytest.mark.parametrize(
    ("levels", "names"),
    [
        ((range(2000, 2003), range(9)), ("year", "week")),
        ((DATES, range(24)), ("date", "hour")),
        ((DATES, range(24)), ("day", "step")),
        ((range(24), DATES), ("lag", "observed")),
        ((DATES, DATES), (None, None)),
        ((range(3), range(9)), (None, None)),
        ((range(3), range(9)), ("store", "visit")),
    ],
)
@pytest.mark.parametrize("swapped", [False, True])
def test_levels_of_which_two_could_be_times_are_refused(levels, names, swapped):
    table = pd.DataFrame({"a": 1.0}, index=pd.MultiIndex.from_product(levels, names=names))
    table = table.swaplevel() if swapped else table
    for call in (lambda: sliding_windows(table, 2), lambda: read_sequences(table)):
        with pytest.raises(ValueError, match=r"which level of the index .*table\.index\.names = \['id', 'time'\]"):
            call()


def test_the_years_of_a_panel_are_its_times():
    index = pd.MultiIndex.from_product([range(2000, 2006), [7, 8]], names=["year", "store"])
    table = pd.DataFrame({"a": np.arange(12.0)}, index=index)
    X, _, times, groups = sliding_windows(table, 3, times=True, groups=True)
    np.testing.assert_array_equal(X[0].ravel(), [0, 2, 4])
    assert (list(times), list(groups)) == ([2003, 2004, 2005] * 2, [7] * 3 + [8] * 3)
    assert list(read_sequences(table).index) == [7, 8]


def test_the_names_of_times_are_told():
    guide = (Path(__file__).parents[1] / "docs" / "guide" / "windows.md").read_text(encoding="utf-8")
    for name in TIME_NAMES:
        assert f'"{name}"' in read_sequences.__doc__
        assert f"`{name}`" in guide


DAYS = ["2024-01-03", "2024-01-02", "2024-01-01"]


def days(index):
    return pd.Series([3.0, 2.0, 1.0], index=index)


PANEL = days(pd.MultiIndex.from_product([["a"], DAYS], names=["id", "date"]))
TEXTS_AS_TIMES = {
    "a named index": lambda: sliding_windows(days(pd.Index(DAYS, name="date")), 1),
    "an index that is said to be times": lambda: sliding_windows(days(DAYS), 1, times=True),
    "bytes": lambda: sliding_windows(np.ones(3), 1, times=np.array(DAYS, dtype="S")),
    "an array": lambda: sliding_windows(np.ones(3), 1, times=np.array(DAYS)),
    "a list with something missing": lambda: sliding_windows(np.ones(3), 1, times=[*DAYS[:2], None]),
    "a Series": lambda: sliding_windows(np.ones(3), 1, times=pd.Series(DAYS, dtype="string")),
    "a column": lambda: sliding_windows(pd.DataFrame({"d": DAYS, "a": 1.0}), 1, times="d"),
    "a category": lambda: sliding_windows(pd.DataFrame({"d": pd.Categorical(DAYS), "a": 1.0}), 1, times="d"),
    "a panel": lambda: sliding_windows(PANEL, 1),
    "a panel of sktime": lambda: read_sequences(PANEL.to_frame("a")),
    "a nested table": lambda: read_sequences(pd.DataFrame({"a": [days(pd.Index(DAYS, name="date"))]})),
    "a long table": lambda: SequencesFromTable("i", "d").fit_transform(pd.DataFrame({"i": 1, "d": DAYS, "a": 1.0})),
}


@pytest.mark.parametrize("call", TEXTS_AS_TIMES.values(), ids=TEXTS_AS_TIMES)
def test_texts_are_no_times(call):
    """They sort by their letters: a table with its newest row first would be windowed backwards."""
    with pytest.raises(ValueError, match=r"holds strings, which sort by their letters .*pandas\.to_datetime"):
        call()


def test_what_the_error_advises_makes_times_of_texts():
    series = PANEL[::-1].copy()
    with pytest.raises(
        ValueError, match=r"with series\.index = series\.index\.set_levels\(pandas\.to_datetime\(series\.index\.levels"
    ):
        sliding_windows(series, 1)
    series.index = series.index.set_levels(pd.to_datetime(series.index.levels[1]), level=1)
    assert sliding_windows(series, 1, times=True)[2].tolist() == pd.to_datetime(DAYS[1::-1]).to_numpy().tolist()


def test_an_index_of_texts_that_is_not_said_to_be_times_is_one_of_labels():
    for name in (None, "product"):
        X, y = sliding_windows(days(pd.Index(DAYS, name=name)), 1)
        np.testing.assert_array_equal((X.ravel(), y), ([3, 2], [2, 1]))


@pytest.fixture
def problem():
    rng = np.random.default_rng(0)
    return pd.DataFrame(rng.normal(size=(N, 6)), index=NAMES, columns=list("abcdef"))


def targets(cls, X):
    values = X["a"] + X["f"]
    return values > 0 if cls in CLASSIFIERS else values


@pytest.mark.parametrize("cls", ESTIMATORS)
@pytest.mark.parametrize("piped", [False, True])
def test_y_and_weights_of_other_rows_are_refused(cls, piped, problem):
    X, y = problem, targets(cls, problem)
    few = cls(4, max_epochs=1, n_channels=2, random_state=0)
    model = make_pipeline(SequenceScaler(n_channels=2), few) if piped else few
    weight = pd.Series(np.linspace(1, 2, N), index=NAMES)
    expected = model.fit(X, y.to_numpy()).predict(X)
    for same in (y, y.reset_index(drop=True)):
        np.testing.assert_array_equal(model.fit(X, same).predict(X), expected)
    with pytest.raises(ValueError, match=r"rows of y have other labels .*y\.loc\[X\.index\]"):
        model.fit(X, y[::-1])
    if piped:
        return
    model.fit(X, y, sample_weight=weight)
    classes = {"classes": [False, True]} if cls in CLASSIFIERS else {}
    with pytest.raises(ValueError, match="rows of sample_weight have other labels"):
        model.fit(X, y, sample_weight=weight[::-1])
    with pytest.raises(ValueError, match="rows of sample_weight have other labels"):
        model.partial_fit(X, y, sample_weight=weight[::-1], **classes)
    with pytest.raises(ValueError, match="rows of y have other labels"):
        model.partial_fit(X, y[::-1], **classes)


def test_weights_of_a_scaler_are_about_its_rows(problem):
    weight = pd.Series(np.arange(1.0, N + 1), index=NAMES)
    SequenceScaler(n_channels=2).fit(problem, sample_weight=weight)
    with pytest.raises(ValueError, match="rows of sample_weight have other labels"):
        SequenceScaler(n_channels=2).fit(problem, sample_weight=weight[::-1])


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_scores_of_other_rows_are_refused(cls, problem):
    X, y = problem, targets(cls, problem)
    model = cls(4, max_epochs=1, n_channels=2, random_state=0).fit(X, y)
    is_classifier = cls in CLASSIFIERS
    score = "accuracy" if is_classifier else "r2"
    calls = {
        "score": model.score,
        "noisy": partial(make_noisy_scorer(score, 0.1), model),
        "certified": partial(make_certified_scorer(score, 0.1), model),
        "report": model.generalization_report,
        "front": lambda X, y: CertifiedFrontDisplay.from_estimators({"a": model}, X, y, 0.1),
        **({"accuracy": partial(certified_accuracy, model, eps=0.1)} if is_classifier else {}),
    }
    for name, call in calls.items():
        call(X, y)
        with pytest.raises(ValueError, match="rows of y have other labels"):
            call(X, y[::-1])
        if name in ("score", "noisy", "certified"):
            with pytest.raises(ValueError, match="rows of sample_weight have other labels"):
                call(X, y, sample_weight=pd.Series(np.ones(N), index=NAMES[::-1]))
    new = X.set_axis([f"new {name}" for name in NAMES]) + 0.1
    prediction_interval(model, new, y.set_axis(new.index), X, coverage=0.5)
    with pytest.raises(ValueError, match="rows of y_cal have other labels than those of X_cal"):
        prediction_interval(model, new, y[::-1].set_axis(new.index[::-1]), X, coverage=0.5)


NOT_TEXTS = {
    "numbers": [7, 3],
    "counted the other way": [1, 0],
    "fractions": [0.5, -1.0],
    "dates": list(pd.date_range("2024", periods=2)),
    "zones": list(pd.date_range("2024", periods=2, tz="Europe/Berlin")),
    "tuples": [("a", 1), ("a", 0)],
    "None": [None, 1],
}


def frames_of(X, names):
    return [pd.DataFrame(x, columns=pd.Index(names, dtype=object, tupleize_cols=False)) for x in X]


@pytest.mark.parametrize("names", NOT_TEXTS.values(), ids=NOT_TEXTS)
@pytest.mark.parametrize("cls", [SequenceScaler, *ESTIMATORS])
def test_columns_whose_names_are_no_texts_are_told_apart(cls, names, tmp_path):
    """scikit-learn forgets names that are not all texts: frames with permuted columns would be taken by position."""
    X = np.random.default_rng(0).normal(size=(8, 4, 2))
    model = cls() if cls is SequenceScaler else cls(2, max_epochs=1, random_state=0)
    y = None if cls is SequenceScaler else X[:, -1, 0].round() % 2
    model.fit(frames_of(X, names), y)
    use = model.transform if cls is SequenceScaler else model.predict
    expected = use(list(X))
    for given in (frames_of(X, names), list(X)):
        np.testing.assert_array_equal(use(given), expected)
    for wrong in (names[::-1], ["a", "b"], ["other", names[1]]):
        with pytest.raises(ValueError, match="columns of X have other names than in fit: column 0 is "):
            use(frames_of(X, wrong))
    if cls is not SequenceScaler:
        model.save(tmp_path / "model")
        with pytest.raises(ValueError, match="other names than in fit"):
            cls.load(tmp_path / "model").predict(frames_of(X, names[::-1]))
        table = pd.DataFrame(X.reshape(8, 8), columns=pd.period_range("2024", periods=8, freq="M"))
        rows = cls(2, max_epochs=1, n_channels=2, random_state=0).fit(table, y)
        np.testing.assert_array_equal(rows.predict(table), rows.predict(table.to_numpy()))
        with pytest.raises(ValueError, match=r"column 0 is Period\('2024-08', 'M'\), but was Period\('2024-01', 'M'\)"):
            rows.predict(table.iloc[:, ::-1])
    # Texts were seen, and others are given.
    model.fit(frames_of(X, ["a", "b"]), y)
    with pytest.raises(ValueError, match=r"column 0 is .*, but was 'a'"):
        use(frames_of(X, names))


def test_columns_that_are_counted_have_no_names_but_an_order():
    X = np.random.default_rng(0).normal(size=(8, 4, 3))
    scaler = SequenceScaler().fit(frames_of(X, [0, 1, 2]))
    expected = scaler.transform(list(X))
    np.testing.assert_array_equal(scaler.transform(frames_of(X, [5, 6, 7])), expected)
    with pytest.raises(ValueError, match="column 0 is 1, but was 0"):
        scaler.transform(frames_of(X, [1, 0, 2]))
    np.testing.assert_allclose(SequenceScaler().fit(X).transform(frames_of(X, [5, 6, 7])), expected, rtol=1e-12)


@pytest.mark.parametrize("cls", [cls for cls in ESTIMATORS if hasattr(cls(), "skip_channel")])
def test_a_number_that_is_the_name_of_another_column_is_no_place(cls):
    X = np.random.default_rng(0).normal(size=(8, 4, 2))
    model = cls(2, max_epochs=1, skip="last", skip_channel=1, random_state=0)
    model.fit(frames_of(X, [0, 1]), X[:, -1, 1])
    with pytest.raises(ValueError, match=r"skip_channel=1: X has a column called 1, which is its column 0"):
        model.fit(frames_of(X, [1, 0]), X[:, -1, 1])


def test_axes_with_names_are_refused_and_not_forgotten():
    """They could be in another order than ours, and nobody would know."""
    X = np.random.default_rng(0).normal(size=(8, 2, 3))
    y, axes = X[:, 0, -1], ("sample", "channel", "time")
    model = ESTIMATORS[0](2, max_epochs=1, random_state=0).fit(X, y)
    eps = xr.DataArray([0.1, 0.2, 0.3], dims="channel")
    calls = (
        lambda: model.fit(xr.DataArray(X, dims=axes), y),
        lambda: model.fit([xr.DataArray(x, dims=axes[1:]) for x in X], y),
        lambda: model.fit(X, xr.DataArray(y, dims="sample")),
        lambda: model.fit(X, y, xr.DataArray(np.ones(8), dims="sample")),
        lambda: model.predict(xr.DataArray(X, dims=axes)),
        lambda: model.certify(X, eps),
        lambda: noise_interval(model, xr.DataArray(X, dims=axes), 0.1),
        lambda: prediction_interval(model, xr.DataArray(X, dims=axes), y, X),
        lambda: SequenceScaler().fit(xr.DataArray(X, dims=axes)),
        lambda: read_sequences(xr.DataArray(X, dims=axes)),
        lambda: sliding_windows(xr.DataArray(X[0], dims=axes[1:]), 1),
        lambda: sliding_windows(X[0], 1, target=xr.DataArray(X[0, :, 0], dims="time")),
    )
    for call in calls:
        with pytest.raises((TypeError, ValueError), match=r"of xarray with the axes \('"):
            call()


def test_datasets_of_xarray_are_refused():
    X = np.random.default_rng(0).normal(size=(8, 2, 3))
    data = xr.Dataset({"a": (("sample", "time"), X[:, 0]), "b": (("sample", "time"), X[:, 1])})
    model = ESTIMATORS[0](2, max_epochs=1, random_state=0).fit(X, X[:, 0, -1])
    for call in (
        lambda: model.fit(data, X[:, 0, -1]),
        lambda: model.fit([data] * 8, X[:, 0, -1]),
        lambda: model.fit(X, data),
        lambda: model.certify(X, data),
        lambda: model.predict(data),
        lambda: sliding_windows(data, 1),
        lambda: SequenceScaler().fit(data),
        lambda: read_sequences(data),
        lambda: SequencesFromTable("sample").fit(data),
        lambda: make_forecaster(ESTIMATORS[0](2, max_epochs=1), 1, 1).fit(data),
    ):
        with pytest.raises(TypeError, match=r"xarray|must be a table with named columns"):
            call()


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_frames_of_polars_are_read_as_those_of_pandas(cls):
    X = np.random.default_rng(0).normal(size=(12, 4, 2))
    y = (X[:, -1, 0] > 0).astype(float)
    frames = [pl.DataFrame(x, schema=["a", "b"]) for x in X]
    model = cls(2, max_epochs=2, random_state=0).fit(frames, pl.Series(y), pl.Series(np.ones(12)))
    same = cls(2, max_epochs=2, random_state=0).fit(frames_of(X, ["a", "b"]), y, np.ones(12))
    assert same.feature_names_in_.tolist() == ["a", "b"]
    np.testing.assert_array_equal(model.predict(frames), same.predict(frames_of(X, ["a", "b"])))
    for ours, theirs in zip(
        model.certify(frames, {"a": 0.1, "b": 0.0}),
        same.certify(frames_of(X, ["a", "b"]), {"a": 0.1, "b": 0.0}),
        strict=True,
    ):
        np.testing.assert_array_equal(ours, theirs)
    with pytest.raises(ValueError, match=r"in the same order|other names than in fit"):
        model.predict([frame[["b", "a"]] for frame in frames])
    missing = [frame.with_columns(a=pl.lit(None).cast(pl.Float64)) for frame in frames]
    with pytest.raises(ValueError, match=r"X\[0\] has a value that is not finite at step 0, channel 0"):
        model.predict(missing)
    with pytest.raises(ValueError, match="contains NaN"):
        model.fit(frames, pl.Series([None, *y[1:]]))


def test_tables_of_polars_become_the_sequences_of_those_of_pandas():
    rng = np.random.default_rng(0)
    times = pd.date_range("2024", periods=10, freq="h")
    table = pd.DataFrame(
        {"id": np.repeat(["u", "v"], 10), "t": times.append(times), "a": rng.normal(size=20), "b": rng.normal(size=20)}
    )
    polar = pl.DataFrame({name: table[name].to_numpy() for name in table})
    for ours, theirs in zip(
        sliding_windows(polar, 3, groups="id", times="t"),
        sliding_windows(table, 3, groups="id", times="t"),
        strict=True,
    ):
        np.testing.assert_array_equal(ours, theirs)
    reader = SequencesFromTable("id", time="t")
    for ours, theirs in zip(reader.fit_transform(polar), reader.fit_transform(table), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    with pytest.raises(ValueError, match=r"the times of the series must increase.*If they are several series"):
        sliding_windows(polar, 3, times="t")


def test_lazy_tables_are_refused_with_the_remedy():
    X = np.random.default_rng(0).normal(size=(8, 3, 2))
    y, lazy = X[:, -1, 0], pl.DataFrame(X[0], schema=["a", "b"]).lazy()
    model = ESTIMATORS[0](2, max_epochs=1, random_state=0).fit(X, y)
    for call in (
        lambda: model.fit(lazy, y),
        lambda: model.fit([lazy] * 8, y),
        lambda: model.fit(X, lazy),
        lambda: model.fit(X, y, lazy),
        lambda: model.predict(lazy),
        lambda: model.predict([lazy]),
        lambda: model.certify(X, lazy),
        lambda: SequenceScaler().fit([lazy]),
        lambda: SequenceScaler(layout="nct").fit(lazy),
        lambda: SequencesFromTable("a").fit(lazy),
        lambda: read_sequences(lazy),
        lambda: sliding_windows(lazy, 1),
        lambda: make_forecaster(ESTIMATORS[0](2, max_epochs=1), 1, 1).fit(lazy),
    ):
        with pytest.raises(
            TypeError, match=r"^A LazyFrame has no values yet\. Give the result of its method collect\(\)"
        ):
            call()


def test_times_of_polars_that_run_backwards_are_named():
    table = pl.DataFrame({"t": [2, 1, 0], "a": [1.0, 2.0, 3.0]})
    with pytest.raises(ValueError, match="the times of the series must increase, but 1, in row 1, comes after 2"):
        sliding_windows(table, 1, times="t")


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_y_and_weights_are_compared_where_x_has_no_labels(cls, problem):
    """Windows and sequences of a table are arrays: then only y and the weights have labels."""
    y, X = targets(cls, problem), problem.to_numpy().reshape(N, 3, 2)
    weight = pd.Series(np.linspace(1, 2, N), index=NAMES)
    model = cls(4, max_epochs=1, early_stopping=True, random_state=0)
    own = {"X_val": X, "y_val": y, "sample_weight_val": weight}
    classes = {"classes": [False, True]} if cls in CLASSIFIERS else {}
    few = cls(4, random_state=0)
    for given in (X, list(X)):
        model.fit(given, y, sample_weight=weight, **own)
        score = make_noisy_scorer("accuracy" if cls in CLASSIFIERS else "r2", 0.1)
        calls = (
            lambda given=given: model.fit(given, y, sample_weight=weight[::-1]),
            lambda given=given: model.fit(given, y, **(own | {"sample_weight_val": weight[::-1]})),
            lambda given=given: model.score(given, y, sample_weight=weight[::-1]),
            lambda given=given: few.partial_fit(given, y, sample_weight=weight[::-1], **classes),
            lambda given=given, score=score: score(model, given, y, sample_weight=weight[::-1]),
        )
        for call in calls:
            with pytest.raises(ValueError, match="rows of sample_weight have other labels than those of y"):
                call()


def test_a_path_compares_all_that_has_labels(problem):
    y = problem["a"] + problem["f"]
    X, ids = problem.to_numpy().reshape(N, 3, 2), pd.Series(np.arange(N) // 4, index=NAMES)
    few = ESTIMATORS[0](2, max_epochs=1, random_state=0)
    path = RegularizationPathCV(few, "sigma", [0.0, 0.1], cv=GroupKFold(2)).fit(X, y, groups=ids)
    for change in ({"groups": ids[::-1]}, {"groups": ids, "sample_weight": pd.Series(1.0, index=NAMES[::-1])}):
        with pytest.raises(ValueError, match=r"rows of (groups|sample_weight) have other labels than those of y"):
            path.fit(X, y, **change)
    with pytest.raises(ValueError, match="rows of sample_weight have other labels than those of y"):
        path.score(X, y, sample_weight=pd.Series(1.0, index=NAMES[::-1]))


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_a_holdout_bound_is_about_the_rows_of_its_labels(cls, problem):
    y = targets(cls, problem)
    model = cls(4, max_epochs=1, n_channels=2, random_state=0).fit(problem, y)
    new = problem + 0.1
    model.holdout_bound(new, y)
    with pytest.raises(ValueError, match="rows of y have other labels than those of X"):
        model.holdout_bound(new, y[::-1])


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_sequences_behind_a_scaler_are_still_those_of_their_ids(cls, problem):
    y = targets(cls, problem)
    frames = frames_of(problem.to_numpy().reshape(N, 3, 2), ["a", "b"])
    X = pd.Series(frames, index=NAMES)
    model = make_pipeline(SequenceScaler(), cls(4, max_epochs=1, random_state=0)).fit(X, y)
    model.score(X, y)
    with pytest.raises(ValueError, match="rows of y have other labels than those of X"):
        model.score(X, y[::-1])
    scaled = model[0].transform(X)
    by_name, by_place = (model[-1].certify(scaled, eps) for eps in ({"a": 0.1, "b": 0.0}, [0.1, 0.0]))
    np.testing.assert_array_equal(by_name, by_place)


BACKWARDS = {
    "dates": pd.date_range("2024", periods=3)[::-1],
    "a date twice": pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-02"]),
    "numbers that are said to be times": pd.Index([0.0, 2.0, 1.0], name="time"),
    "a missing date": pd.to_datetime(["2024-01-01", None, "2024-01-02"]),
    "ids and dates": pd.MultiIndex.from_arrays([["u"] * 3, pd.date_range("2024", periods=3)[::-1]]),
}


@pytest.mark.parametrize("index", BACKWARDS.values(), ids=BACKWARDS)
def test_sequences_whose_times_do_not_increase_are_refused(index):
    X = np.random.default_rng(0).normal(size=(8, 3, 2))
    y, model = X[:, 0, 0], ESTIMATORS[0](2, max_epochs=1, random_state=0)
    frames = [pd.DataFrame(x, columns=["a", "b"], index=pd.date_range("2024", periods=3)) for x in X]
    model.fit(frames, y)
    scaler = SequenceScaler().fit(frames)
    wrong = [*frames[:3], frames[3].set_axis(index), *frames[4:]]
    for given in (wrong, pd.Series(wrong)):
        calls = (
            lambda given=given: model.fit(given, y),
            lambda given=given: model.predict(given),
            lambda given=given: model.certify(given, 0.1),
            lambda given=given: scaler.transform(given),
            lambda given=given: read_sequences(given),
            lambda given=given: pad_sequences(list(given)),
        )
        for call in calls:
            with pytest.raises(ValueError, match=r"index of (X|sequences)\[3\] (must increase|is missing)"):
                call()


@pytest.mark.parametrize("index", BACKWARDS.values(), ids=BACKWARDS)
def test_a_list_of_rows_with_labels_is_refused_where_they_would_count(index):
    X = np.random.default_rng(0).normal(size=(8, 3))
    y, model = X[:, 0], ESTIMATORS[0](2, max_epochs=1, random_state=0)
    days = pd.date_range("2024", periods=3)
    rows = [pd.Series(x, index=days + pd.Timedelta(days=i)) for i, x in enumerate(X)]  # each has its own times
    np.testing.assert_array_equal(model.fit(rows, y).predict(rows), model.predict(X))
    scaler = SequenceScaler().fit(rows)
    wrong = [*rows[:3], rows[3].set_axis(index), *rows[4:]]
    table = pd.DataFrame(X, columns=list("abc"))
    named = [row for _, row in table.iterrows()]
    for call in (lambda given: model.fit(given, y), model.predict, scaler.fit, scaler.transform):
        with pytest.raises(ValueError, match=r"index of X\[3\] (must increase|is missing)"):
            call(tuple(wrong))
        with pytest.raises(ValueError, match=r"names, such as 'a'.* pandas\.DataFrame\(X\)"):
            call(named)
    pd.testing.assert_frame_equal(pd.DataFrame(named), table)  # the remedy


@pytest.mark.parametrize("name", [None, "lag", "hour", "month", "step"])
def test_numbers_that_begin_anew_or_count_backwards_may_index_a_sequence(name):
    X = np.random.default_rng(0).normal(size=(8, 3, 2))
    model = ESTIMATORS[0](2, max_epochs=1, random_state=0).fit(list(X), X[:, 0, 0])
    rows = [pd.DataFrame(x, index=pd.Index([23, 0, 0], name=name)) for x in X]
    np.testing.assert_array_equal(model.predict(rows), model.predict(list(X)))


def test_times_are_no_numbers():
    X = np.random.default_rng(0).normal(size=(8, 3, 2))
    y, spans = X[:, 0, 0], (1e3 * X).astype("m8[s]")
    flat = pd.DataFrame(X.reshape(8, 6)).add_prefix("c").assign(c5=pd.Timestamp("2024", tz="UTC"))
    dated = [pd.DataFrame(x, columns=["a", "b"]).assign(b=pd.date_range("2024", periods=3)) for x in X]
    polar = [pl.DataFrame({"a": x[:, 0], "b": pd.date_range("2024", periods=3).to_pydatetime().tolist()}) for x in X]
    row = pl.DataFrame({"c0": X[:, 0, 0], "c1": pd.to_timedelta(np.arange(8), unit="s").to_pytimedelta().tolist()})
    cases = ((spans, "X"), (list(spans), r"X\[0\]"), (flat, "'c5' of X"), (dated, r"'b' of X\[0\]"))
    for given, where in (*cases, (polar, r"'b' of X\[0\]"), (row, "'c1' of X")):
        channels = 2 if given is flat or given is row else 1
        for fit in (ESTIMATORS[0](2, max_epochs=1, n_channels=channels).fit, SequenceScaler().fit):
            with pytest.raises(ValueError, match=rf"{where} holds times.*, not numbers"):
                fit(given, y)
    with pytest.raises(ValueError, match="sample_weight holds times"):
        ESTIMATORS[0](2, max_epochs=1).fit(X, y, sample_weight=np.arange(1, 9).astype("m8[s]"))


def test_series_of_nullable_types_keep_their_labels():
    """They become plain numbers; what they belong to must not be lost on the way."""
    days = pd.date_range("2024", periods=5)
    panel = pd.Series(range(10), index=pd.MultiIndex.from_product([["u", "v"], days], names=["id", "time"]))
    for dtype in ("int64", "Int64"):
        assert len(sliding_windows(panel.astype(dtype), 3)[0]) == 4, "no window has two ids"
        with pytest.raises(ValueError, match="times of the series must increase"):
            sliding_windows(panel["u"][::-1].astype(dtype), 3)
    X = np.random.default_rng(0).normal(size=(20, 3, 2))
    model = ESTIMATORS[0](2, max_epochs=5, random_state=0).fit(frames_of(X, ["a", "b"]), X[:, -1, 0])
    scores = [
        make_certified_scorer("r2", pd.Series([1, 0], index=["b", "a"], dtype=dtype))(
            model, frames_of(X, ["a", "b"]), X[:, -1, 0]
        )
        for dtype in ("int64", "Int64")
    ]
    assert scores[0] == scores[1]


def test_displays_and_importances_compare_rows(problem):
    y, X = problem["a"] + problem["f"], problem
    model = ESTIMATORS[0](2, max_epochs=1, n_channels=2, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="rows of y have other labels than those of X"):
        CertifiedBandDisplay.from_estimator(model, X, eps=0.1, y=y[::-1])
    weight = pd.Series(1.0, index=NAMES[::-1])
    for given, other in ((X, "X"), (X.to_numpy(), "y")):
        for scoring in (None, "r2"):
            with pytest.raises(ValueError, match=f"rows of sample_weight have other labels than those of {other}"):
                channel_importance(model, given, y, scoring=scoring, sample_weight=weight, n_channels=2)


def test_axes_that_are_called_index_are_no_index():
    X = np.random.default_rng(0).normal(size=(8, 3, 2))
    arrays = [xr.DataArray(x, dims=("index", "c"), coords={"index": [0, 1, 2]}) for x in X]
    with pytest.raises(TypeError, match="of xarray with the axes"):
        ESTIMATORS[0](2, max_epochs=1).fit(arrays, X[:, 0, 0])


@pytest.mark.parametrize("cls", CLASSIFIERS)
def test_labels_of_nullable_types_are_whole_numbers_and_booleans(cls):
    """scikit-learn would make floats of them, in which neighbouring large ids are equal."""
    X = np.random.default_rng(0).normal(size=(20, 3, 2))
    model = cls(2, max_epochs=1, random_state=0)
    for labels, dtype in ((np.arange(20) % 3 + 2**53, "Int64"), (np.arange(20) % 2 == 0, "boolean")):
        model.fit(X, pd.Series(labels, dtype=dtype))
        assert (model.classes_.tolist(), model.classes_.dtype) == (np.unique(labels).tolist(), labels.dtype)
        assert model.score(X, pd.Series(labels, dtype=dtype)) == model.score(X, labels)
    with pytest.raises(ValueError, match="NaN or missing"):
        model.fit(X, pd.Series([None, *labels[1:]], dtype="boolean"))
