"""Which level of a wide table's columns is time."""

import numpy as np
import pandas as pd
import pytest

from sklstm import TikhonovLSTMRegressor
from sklstm._tables import read_wide
from sklstm.preprocessing import SequenceScaler

X = np.random.default_rng(0).standard_normal((30, 4, 2))


def table(times, channels, names, swapped=False):
    columns = pd.MultiIndex.from_product([times, channels], names=names)
    frame = pd.DataFrame(X.reshape(30, 8), columns=columns)
    return frame.swaplevel(axis=1) if swapped else frame


READ = {
    "numbers before strings": table([0, 1, 2, 3], ["b", "a"], [None, None]),
    "numbers after strings": table([0, 1, 2, 3], ["b", "a"], [None, None], swapped=True),
    "instants after strings": table(pd.date_range("2020", periods=4), ["b", "a"], [None, None], swapped=True),
    "a name tells": table([0, 1, 2, 3], [7, 5], ["t", None], swapped=True),
    "the other's name tells": table([0, 1, 2, 3], [7, 5], [None, "Variable"], swapped=True),
    "names before labels": table([0.5, 1, 2, 3], [7, 5], ["time", "channel"], swapped=True),
    "durations after strings": table(pd.to_timedelta(range(4), unit="h"), ["b", "a"], [None, None], swapped=True),
    "periods after strings": table(
        pd.period_range("2020", periods=4, freq="M"), ["b", "a"], [None, None], swapped=True
    ),
    "zones after strings": table(pd.date_range("2020", periods=4, tz="UTC"), ["b", "a"], [None, None], swapped=True),
}


@pytest.mark.parametrize("kind", READ)
def test_time_is_found(kind):
    ordered, head, shape = read_wide(READ[kind])
    assert shape == (30, 4, 2)
    np.testing.assert_array_equal(ordered.to_numpy().reshape(shape), X)
    assert head.shape == (30, 2)


def test_what_pivot_makes_is_read_as_it_is_meant():
    long = pd.DataFrame({"id": np.repeat(np.arange(30), 4), "t": np.tile([1, 2, 3, 4], 30)})
    long[["load", "heat"]] = X.reshape(-1, 2)
    y = X[:, 0, 0]
    few = {"max_epochs": 2, "random_state": 0}
    expected = TikhonovLSTMRegressor(4, **few).fit(X, y).predict(X)
    for frame in (
        long.pivot(index="id", columns="t", values=["load", "heat"]),
        long.set_index(["id", "t"]).unstack(),
        long.pivot(index="id", columns="t", values=["load", "heat"]).rename_axis(columns=[None, None]),
    ):
        model = TikhonovLSTMRegressor(4, **few).fit(frame, y)
        np.testing.assert_array_equal(model.predict(frame), expected)
        assert model.feature_names_in_.tolist() == ["load", "heat"]
        np.testing.assert_allclose(SequenceScaler().fit(frame).mean_, X.mean(axis=(0, 1)), rtol=1e-12)


def test_times_out_of_order_are_refused_and_shown():
    with pytest.raises(ValueError, match=r"\[3, 1, 2, 4\].*name the levels of the columns"):
        read_wide(table([3, 1, 2, 4], [1, 2], ["time", None]))


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize(
    "labels", [(["a", "b", "c", "d"], ["b", "a"]), ([0, 1, 2, 3], [7, 5])], ids=["texts", "numbers"]
)
def test_levels_that_cannot_be_told_apart_must_have_names(labels, swapped):
    with pytest.raises(ValueError, match=r"is unknown which level.*X\.columns\.names"):
        read_wide(table(*labels, [None, None], swapped=swapped))


def test_times_that_are_texts_are_refused_and_the_remedy_works():
    whole = pd.concat([table([0, 1, 2, 3], ["b", "a"], ["time", "channel"])] * 3, axis=1)
    whole.columns = pd.MultiIndex.from_product([range(12), ["b", "a"]], names=["time", "channel"])
    as_text = whole.rename(columns=str, level=0)
    for frame, level in ((as_text, 0), (as_text.sort_index(axis=1), 0), (as_text.swaplevel(axis=1), 1)):
        with pytest.raises(ValueError, match=rf"times in the columns of X are texts.*level={level}\)"):
            read_wide(frame)
    ordered, _, shape = read_wide(as_text.rename(columns=float, level=0))
    assert shape == (30, 12, 2)
    np.testing.assert_array_equal(ordered, whole)
