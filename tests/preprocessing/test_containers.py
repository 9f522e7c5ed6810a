"""Containers of aeon, sktime and tslearn become the sequences that they hold, or are refused with the place."""

import numpy as np
import pandas as pd
import pytest
import torch

from sklstm import NoisyRNNClassifier, TikhonovLSTMRegressor
from sklstm.exceptions import DataWarning
from sklstm.preprocessing import SequenceScaler, read_sequences

rng = np.random.default_rng(0)
LENGTHS = [4, 2, 5, 3]
RAGGED = [rng.standard_normal((length, 3)) for length in LENGTHS]
EQUAL = rng.standard_normal((4, 5, 3))
NAMES = ["bar", "rpm", "heat"]
IDS = ["d", "a", "c", "b"]


def frames(sequences):
    return [pd.DataFrame(x, columns=NAMES, index=pd.date_range("2024", periods=len(x), freq="h")) for x in sequences]


# From sequences (L_i, d) to a container, as the packages make them.
def multiindex(sequences):
    """sktime's pd-multiindex."""
    return pd.concat(frames(sequences), keys=IDS, names=["instances", "timepoints"])


def nested(sequences, series=True):
    """sktime's nested_univ."""
    cells = {name: [frame[name] if series else frame[name].to_numpy() for frame in frames(sequences)] for name in NAMES}
    return pd.DataFrame(cells, index=IDS)


def filled(sequences, length=7):
    """tslearn's data sets: (n, L_max, d), with NaN at the ends."""
    X = np.full((len(sequences), length, sequences[0].shape[1]), np.nan)
    for row, sequence in zip(X, sequences, strict=True):
        row[: len(sequence)] = sequence
    return X


CONTAINERS = {
    "np-list": lambda sequences: ([x.T for x in sequences], "nct"),
    "list": lambda sequences: (sequences, "ntc"),
    "list of tensors": lambda sequences: ([torch.tensor(x.T.copy()) for x in sequences], "nct"),
    "nested lists": lambda sequences: ([x.tolist() for x in sequences], "ntc"),
    "df-list": lambda sequences: (frames(sequences), "nct"),
    "Series of df": lambda sequences: (pd.Series(dict(zip(IDS, frames(sequences), strict=True))), "ntc"),
    "pd-multiindex": lambda sequences: (multiindex(sequences), "ntc"),
    "pd-multiindex, times first": lambda sequences: (multiindex(sequences).swaplevel(), "ntc"),
    "pd-multiindex, rows of ids among others": lambda sequences: (
        multiindex(sequences).sort_index(level="timepoints", sort_remaining=False, kind="stable"),
        "ntc",
    ),
    "nested": lambda sequences: (nested(sequences), "nct"),
    "nested arrays": lambda sequences: (nested(sequences, series=False), "ntc"),
    "NaN at the ends": lambda sequences: (filled(sequences), "ntc"),
    "NaN at the ends, channels first": lambda sequences: (filled(sequences).swapaxes(1, 2), "nct"),
    "masked at the ends": lambda sequences: (np.ma.masked_invalid(filled(sequences)), "ntc"),
    "float32": lambda sequences: ([x.T.astype(np.float32) for x in sequences], "nct"),
}
LABELLED = {name for name in CONTAINERS if "df" in name or "pd" in name or "nested" in name} - {"nested lists"}
WITH_IDS = LABELLED - {"df-list"}


@pytest.mark.parametrize("name", CONTAINERS)
@pytest.mark.parametrize("sequences", [RAGGED, list(EQUAL)], ids=["unequal", "equal"])
def test_round_trips(name, sequences):
    container, layout = CONTAINERS[name](sequences)
    X = read_sequences(container, layout=layout)
    found = dict(zip(IDS, X, strict=True)) if name not in WITH_IDS else X
    assert len(X) == len(sequences)
    for label, sequence in zip(IDS, sequences, strict=True):
        values = np.asarray(found[label])
        np.testing.assert_array_equal(values, sequence.astype(values.dtype))
        if name in LABELLED:
            assert list(found[label].columns) == NAMES
            if name != "nested arrays":
                np.testing.assert_array_equal(found[label].index, frames([sequence])[0].index)
    # What has been read is read as it is.
    for again, one in zip(read_sequences(X), X, strict=True):
        np.testing.assert_array_equal(np.asarray(again), np.asarray(one))


@pytest.mark.parametrize("name", CONTAINERS)
def test_estimators_take_what_is_read(name):
    container, layout = CONTAINERS[name](RAGGED)
    X, y = read_sequences(container, layout=layout), np.arange(4.0)
    few = {"max_epochs": 1, "random_state": 0}
    model = TikhonovLSTMRegressor(3, **few).fit(X, y[: len(X)])
    expected = TikhonovLSTMRegressor(3, **few).fit(RAGGED, y)
    order = np.arange(4) if name not in WITH_IDS else [list(X.index).index(label) for label in IDS]
    if list(order) == [0, 1, 2, 3]:
        dtype = np.float32 if name == "float32" else np.float64
        exact = expected.predict(RAGGED)
        np.testing.assert_allclose(model.predict(X), exact, rtol=0, atol=1e-5 if dtype == np.float32 else 0)
    if name in LABELLED:
        assert model.feature_names_in_.tolist() == NAMES


def test_arrays_are_not_copied():
    numpy3D = EQUAL.swapaxes(1, 2)
    assert np.shares_memory(read_sequences(numpy3D, layout="nct"), numpy3D)
    np.testing.assert_array_equal(read_sequences(numpy3D, layout="nct"), EQUAL)
    assert np.shares_memory(read_sequences(EQUAL), EQUAL)
    assert read_sequences(EQUAL.astype(np.int16)).dtype == np.int16
    np.testing.assert_array_equal(read_sequences(EQUAL.tolist()), EQUAL)
    assert all(np.shares_memory(x, X) for X in [filled(RAGGED)] for x in read_sequences(X))


def test_ids_are_compared_with_those_of_y():
    X, y = read_sequences(multiindex(RAGGED)), pd.Series(np.arange(4.0), index=IDS)
    model = TikhonovLSTMRegressor(3, max_epochs=1, random_state=0)
    model.fit(X, y)
    with pytest.raises(ValueError, match="the rows of y have other labels"):
        model.fit(X, y[::-1])


def test_wide_tables_stay_as_they_are():
    wide = pd.DataFrame(EQUAL.reshape(4, -1), columns=pd.MultiIndex.from_product([range(5), NAMES]))
    assert read_sequences(wide, layout="nct") is wide


def with_value(sequences, i, step, channel, value=np.nan):
    changed = [x.copy() for x in sequences]
    changed[i][step, channel] = value
    return changed


HOLE = with_value(RAGGED, 2, 1, 2)
LATE = with_value(RAGGED, 2, 4, 2)  # in the last step, of which the other channels are known


@pytest.mark.parametrize("name", CONTAINERS)
@pytest.mark.parametrize(("sequences", "step"), [(HOLE, 1), (LATE, 4)])
def test_missing_values_are_refused_with_their_place(name, sequences, step):
    container, layout = CONTAINERS[name](sequences)
    with pytest.raises(ValueError, match=rf"(X\[2\]|id c|row c|\['c'\]).* missing value at step {step}, channel 2"):
        read_sequences(container, layout=layout)


def test_missing_at_the_start_is_no_padding():
    X = filled(RAGGED)
    X[1, 0] = np.nan
    with pytest.raises(ValueError, match=r"X\[1\] has a missing value at step 0, channel 0"):
        read_sequences(X)
    X[1] = np.nan
    with pytest.raises(ValueError, match=r"X\[1\] holds nothing but NaN"):
        read_sequences(X)


def other_times():
    X = nested(RAGGED)
    X.at["c", "rpm"] = X.at["c", "rpm"].shift(freq="h")
    return X


def cut_cell():
    X = nested(RAGGED)
    X.at["c", "rpm"] = X.at["c", "rpm"][:2]
    return X


def backwards():
    X = nested(RAGGED)
    for name in NAMES:
        X.at["c", name] = X.at["c", name][::-1]
    return X


WRONG = {
    "rows": (lambda: EQUAL.reshape(4, -1), r"X has 2 axes.*X\[:, :, None\]"),
    "a table of rows": (lambda: pd.DataFrame(EQUAL[0], columns=NAMES), "an index of 1 level.*SequencesFromTable"),
    "an index of three levels": (
        lambda: pd.concat([multiindex(RAGGED)], keys=["plant"]),
        "an index of 3 levels",
    ),
    "times backwards": (lambda: multiindex(RAGGED)[::-1], "times of the series must increase.*sort_index"),
    "a time twice": (lambda: multiindex(RAGGED).iloc[[0, 0, 1]], "occurs twice"),
    "cells backwards": (backwards, "times of the series must increase.*cells of row c"),
    "cells of other times": (other_times, "In row c of X, channel 'rpm' has other times than channel 'bar'"),
    "cells of other lengths": (cut_cell, "In row c of X, channel 'rpm' has other times.*2 and 5 steps"),
    "text": (lambda: multiindex(RAGGED).assign(rpm="fast"), "column 'rpm' must hold real numbers"),
    "other channels": (lambda: [*RAGGED, RAGGED[0][:, :2]], r"X\[4\] has 2 channels"),
    "one axis in a list": (lambda: [x[:, 0] for x in RAGGED], r"X\[0\] has shape \(4,\)"),
    "nothing": (list, "X is empty"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_or_ambiguous_is_refused(name):
    make, message = WRONG[name]
    with pytest.raises((ValueError, TypeError), match=message):
        read_sequences(make())


def test_a_bad_layout_is_named():
    with pytest.raises(ValueError, match="layout must be one of 'ntc', 'nct'; got 'tnc'"):
        read_sequences(EQUAL, layout="tnc")


@pytest.mark.parametrize("model", [NoisyRNNClassifier(3, max_epochs=1), SequenceScaler()])
def test_estimators_say_who_reads_containers(model):
    with pytest.raises(ValueError, match=r"X is a nested table.*read_sequences\(X\)"):
        model.fit(nested(RAGGED), [0, 1, 0, 1])
    with pytest.warns(DataWarning, match=r"its index of id and time.*read_sequences\(X\) makes a sequence"):
        model.fit(multiindex(RAGGED), np.arange(14) % 2)
