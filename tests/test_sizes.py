"""Labels of sizes are matched with those of X, or refused: never taken by position."""

import numpy as np
import pandas as pd
import pytest
import torch

from sklstm._sizes import sizes_by_position

N, L = 4, 3
X = np.random.default_rng(0).standard_normal((N, L, 2))
BY_NAME = pd.Series({"hum": 2.0, "temp": 1.0})
BY_CHANNEL = np.array([1.0, 2.0])  # in the order of X: temp, hum
BY_STEP = np.arange(6.0).reshape(L, 2)
DATES = pd.date_range("2026", periods=L, freq="h")


def frames(index=None):
    return [pd.DataFrame(x, columns=["temp", "hum"], index=index) for x in X]


def wide(names=("time", "channel"), order=(0, 1, 2, 3, 4, 5)):
    columns = pd.MultiIndex.from_product([[10, 20, 30], ["temp", "hum"]], names=names)
    return pd.DataFrame(X.reshape(N, 6), columns=columns).iloc[:, list(order)]


BY_COLUMN = BY_STEP.ravel()  # of the flat table
FLAT = pd.DataFrame(X.reshape(N, 6), columns=list("abcdef"))
STEPS = pd.DataFrame(BY_STEP, columns=["temp", "hum"])
PAIRS = pd.Series(BY_COLUMN, index=wide().columns)
EACH = np.arange(24.0).reshape(N, L, 2)

# X, sizes with labels, the same by position
MATCHED = {
    "a Series beside frames": (frames(), BY_NAME, BY_CHANNEL),
    "a dict beside frames": (frames(), dict(BY_NAME), BY_CHANNEL),
    "a frame beside frames": (frames(), STEPS[["hum", "temp"]], BY_STEP),
    "a frame with the rows of all frames": (frames(DATES), STEPS[["hum", "temp"]].set_axis(DATES), BY_STEP),
    "a Series of frames": (pd.Series(frames()), BY_NAME, BY_CHANNEL),
    "an array of objects": (np.array([*frames(), None], dtype=object)[:-1], BY_NAME, BY_CHANNEL),
    "frames beside frames": (
        frames(DATES),
        [pd.DataFrame({"hum": size[:, 1], "temp": size[:, 0]}, index=DATES) for size in EACH],
        EACH,
    ),
    "Series beside frames": (
        frames(),
        [factor * BY_NAME for factor in range(N)],
        np.arange(N)[:, None, None] * BY_CHANNEL,
    ),
    "frames in a Series": (
        pd.Series(frames(), index=list("wxyz")),
        pd.Series([pd.DataFrame(size, columns=["temp", "hum"])[["hum", "temp"]] for size in EACH], index=list("wxyz")),
        EACH,
    ),
    "a Series beside a table": (FLAT, pd.Series(BY_COLUMN, index=list("abcdef"))[::-1], BY_COLUMN),
    "a dict beside a table": (FLAT, dict(zip("fedcba", BY_COLUMN[::-1], strict=True)), BY_COLUMN),
    "a table beside a table": (FLAT, FLAT.abs()[list("fbdaec")], FLAT.abs().to_numpy()),
    "one row beside a table": (
        FLAT,
        FLAT.abs().iloc[:, ::-1].describe().loc[["max"]],
        FLAT.abs().to_numpy().max(0)[None],
    ),
    "Series beside a table": (
        FLAT,
        [row[::-1] for _, row in FLAT.abs().iterrows()],
        FLAT.abs().to_numpy(),
    ),
    "channels beside a wide table": (wide(), BY_NAME, BY_CHANNEL),
    "columns beside a wide table": (wide(), PAIRS[::-1], BY_STEP),
    "columns the other way round": (wide(), PAIRS.swaplevel()[::-1], BY_STEP),
    "columns the other way round, without names": (wide(), PAIRS.swaplevel().rename_axis([None, None]), BY_STEP),
    "columns beside a table of another order": (
        wide(order=(4, 0, 2, 5, 1, 3)).sort_index(axis=1, level=0),
        PAIRS,
        BY_STEP[:, ::-1],
    ),
    "columns beside a table the other way round": (wide().swaplevel(axis=1), PAIRS[::-1], BY_STEP),
    "both the other way round": (wide().swaplevel(axis=1), PAIRS.swaplevel(), BY_STEP),
    "rows of a wide table": (wide(), wide().abs().iloc[:, ::-1], np.abs(X)),
    "rows of a wide table the other way round": (wide(), wide().abs().swaplevel(axis=1), np.abs(X)),
    "steps beside a wide table": (wide(), STEPS[["hum", "temp"]].set_axis([10, 20, 30]), BY_STEP),
    "dicts beside a wide table": (wide(), [dict(BY_NAME)] * N, np.tile(BY_CHANNEL, (N, 1, 1))),
}


@pytest.mark.parametrize("kind", MATCHED)
def test_labels_are_matched(kind):
    given, sizes, expected = MATCHED[kind]
    found = np.asarray(sizes_by_position(sizes, given, "eps"))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("plain", [X, list(X), torch.tensor(X), X.reshape(N, 6), X.tolist()])
def test_beside_an_x_without_labels_those_of_the_fit_count_and_without_them_none(plain):
    flat = np.ndim(plain) == 2
    sizes, expected = (pd.Series(BY_COLUMN, index=list("abcdef"))[::-1], BY_COLUMN) if flat else (BY_NAME, BY_CHANNEL)
    names = np.array(list("abcdef") if flat else ["temp", "hum"], dtype=object)
    for given in (sizes, dict(sizes)):
        np.testing.assert_array_equal(sizes_by_position(given, plain, "eps", names=names), expected)
        for one in (given, [given] * N):
            with pytest.raises(ValueError, match=r"eps(\[0\])? has labels, .*, but X has none"):
                sizes_by_position(one, plain, "eps")
    with pytest.raises(ValueError, match=r"has labels that X has not, \['wind'\]"):
        sizes_by_position(sizes.rename({sizes.index[0]: "wind"}), plain, "eps", names=names)


@pytest.mark.parametrize("kind", MATCHED)
def test_labels_that_x_has_not_are_named(kind):
    """Of sizes that are right with one label, those with another in its place are refused."""
    given, sizes, _ = MATCHED[kind]

    def renamed(sizes):
        if isinstance(sizes, list):
            return [*sizes[:-1], renamed(sizes[-1])]
        if isinstance(sizes, pd.Series) and sizes.dtype == object:
            return pd.Series(renamed(list(sizes)), index=sizes.index)
        if isinstance(sizes, dict):
            return {("wind" if i == 0 else label): size for i, (label, size) in enumerate(sizes.items())}
        axis = 1 if isinstance(sizes, pd.DataFrame) else 0
        labels = list(sizes.axes[axis])
        labels[0] = ("wind", *labels[0][1:]) if isinstance(labels[0], tuple) else "wind"
        return sizes.set_axis(pd.MultiIndex.from_tuples(labels) if isinstance(labels[0], tuple) else labels, axis=axis)

    with pytest.raises(
        ValueError, match=r"eps(\[3\])? has labels that X has not, \[.*'wind'.*: the labels must be the"
    ):
        sizes_by_position(renamed(sizes), given, "eps")


def test_what_cannot_be_matched_is_refused():
    def refused(sizes, X, match, error=ValueError, **options):
        with pytest.raises(error, match=match):
            sizes_by_position(sizes, X, "eps", **options)

    refused(BY_NAME[:1], frames(), r"eps has no size for \['temp'\]: the labels must be the channels of X")
    refused(pd.Series([1.0, 2.0], index=["temp", "temp"]), frames(), "eps has a label twice: 'temp'")
    refused(BY_NAME, [pd.DataFrame(x, columns=["temp", "temp"]) for x in X], "X has a label twice: 'temp'")
    refused({"temp": [1.0, 2.0], "hum": [1.0, 2.0]}, frames(), "one number for each label", TypeError)
    refused([BY_NAME] * 3, frames(), "eps has 3 entries with labels, but X has 4 sequences")
    refused(PAIRS, frames(), "has labels that X has not")
    refused(PAIRS, FLAT, "the labels must be the columns of X")
    refused(BY_NAME, wide(), "the labels must be the columns of X", wide=False)
    # Rows.
    refused(STEPS.set_axis(DATES), frames(), "other labels of rows")
    refused(STEPS.set_axis(DATES), frames(DATES + pd.Timedelta("1s")), "other labels of rows")
    refused([STEPS] * 3 + [STEPS.set_axis(DATES)], frames(), r"eps\[3\] has other labels of rows")
    refused(STEPS.set_axis([10, 20, 40]), wide(), "other labels of rows")
    refused(FLAT.abs().set_axis(list("wxyz")), FLAT, "other labels of rows")
    refused(FLAT.abs(), FLAT.iloc[[1, 0, 2, 3]], "other labels of rows")  # by position or by label?
    refused(pd.DataFrame(BY_STEP, index=DATES), X, "X has no labels of rows")
    refused(pd.Series(list(EACH), index=list("wxyz")), pd.Series(list(X)), "other labels of rows")
    # Labels 0, 1, … are positions, unless X has the same ones in another order.
    turned = [pd.DataFrame(x, columns=[1, 0]) for x in X]
    refused(pd.Series([1.0, 2.0]), turned, "same labels in another order")
    np.testing.assert_array_equal(sizes_by_position({0: 2.0, 1: 1.0}, turned, "eps"), BY_CHANNEL)
    np.testing.assert_array_equal(sizes_by_position(pd.Series(BY_CHANNEL), frames(), "eps"), BY_CHANNEL)


def test_what_has_no_labels_is_left_as_it_is():
    for sizes in (0.1, BY_CHANNEL, [1.0, 2.0], EACH, list(EACH), torch.tensor(BY_STEP), "nonsense", None):
        for given in (X, frames(), wide(), FLAT):
            same = sizes_by_position(sizes, given, "eps")
            assert same is sizes or all(a is b for a, b in zip(same, sizes, strict=True))


def test_levels_whose_labels_are_the_same_are_told_by_their_names():
    columns = pd.MultiIndex.from_product([[0, 1], [0, 1]], names=["time", "channel"])
    X = pd.DataFrame(np.zeros((3, 4)), columns=columns)
    sizes = pd.Series([0.0, 1.0, 2.0, 3.0], index=columns.swaplevel())
    np.testing.assert_array_equal(sizes_by_position(sizes, X, "eps"), [[0, 1], [2, 3]])
    by_time = sizes.set_axis(columns)
    np.testing.assert_array_equal(sizes_by_position(by_time[::-1], X, "eps"), [[0, 1], [2, 3]])


class Table:
    """A data frame without labels of rows, as those of polars."""

    def __init__(self, **columns):
        self.columns, self.values = list(columns), np.column_stack(list(columns.values()))

    def to_numpy(self):
        return self.values

    def __array__(self, dtype=None, copy=None):
        return self.values.astype(dtype or float)


def test_tables_without_labels_of_rows():
    tables = [Table(temp=x[:, 0], hum=x[:, 1]) for x in X]
    sizes = Table(hum=BY_STEP[:, 1], temp=BY_STEP[:, 0])
    np.testing.assert_array_equal(sizes_by_position(sizes, tables, "eps"), BY_STEP)
    np.testing.assert_array_equal(sizes_by_position([sizes] * N, frames(DATES), "eps"), np.tile(BY_STEP, (N, 1, 1)))
    with pytest.raises(ValueError, match="'wind'"):
        sizes_by_position(Table(wind=BY_STEP[:, 1], temp=BY_STEP[:, 0]), tables, "eps")
    with pytest.raises(ValueError, match="X has no labels of rows"):
        sizes_by_position(STEPS.set_axis(DATES), tables, "eps")
