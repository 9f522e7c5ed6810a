"""Data far from standardised, and tables of time steps, are trained on with a word of warning; others without."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm import NoisyRNNClassifier, TikhonovLSTMRegressor
from sklstm._sequences import Sequences
from sklstm.exceptions import DataWarning
from sklstm.model_selection import RegularizationPathCV
from sklstm.preprocessing import SequenceScaler, sliding_windows

BARE = {"max_epochs": 1, "random_state": 0}
SHAPE = (200, 12)


def heard(action, direct=True):
    """The warnings about data during a call, which name its line where nothing lies between."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")  # that one epoch is too few
        warnings.filterwarnings("always", category=DataWarning)
        action()
    assert not direct or all(warning.filename == __file__ for warning in caught)
    return [str(warning.message) for warning in caught]


def fit(X, y=None, kind=TikhonovLSTMRegressor, **parameters):
    y = np.random.default_rng(1).standard_normal(len(X)) if y is None else y
    return lambda: kind(2, **(BARE | parameters)).fit(X, y)


def draws():
    return np.random.default_rng(0)


def standardised(values):
    return (values - values.mean()) / values.std()


def one_hot(k):
    return (draws().integers(0, k, size=SHAPE) == 0).astype(float)


GOOD = {
    "standard normal": draws().standard_normal(SHAPE),
    "standardised, with outliers": standardised(draws().standard_cauchy(SHAPE)),
    "standardised, of another scale by a third": 1.3 * draws().standard_normal(SHAPE) + 0.5,
    "between 0 and 1": draws().uniform(size=SHAPE),
    "between 0 and 1, most of them near 0": draws().beta(0.2, 20, size=SHAPE) / draws().beta(0.2, 20, size=SHAPE).max(),
    "between 0 and 1, most of them near 1": 1 - draws().beta(0.5, 50, size=SHAPE),
    "binary": one_hot(2),
    "one-hot of many": one_hot(500),
    "binary, nearly always 1": 1 - one_hot(500),
    "counts up to 10": draws().integers(0, 11, size=SHAPE),
    "mostly tens": np.minimum(10, draws().integers(5, 40, size=SHAPE)),
    "days of the week": draws().integers(0, 7, size=SHAPE),
    "ones": np.ones(SHAPE),
    "zeros": np.zeros(SHAPE),
    "5.1, always": np.full(SHAPE, 5.1, dtype=np.float32),
}
FAR = {
    "temperatures in kelvin": 285 + 8 * draws().standard_normal(SHAPE),
    "temperatures in kelvin, by hundreds": 2.85 + 0.08 * draws().standard_normal(SHAPE),
    "thousands": 3000 + 1000 * draws().standard_normal(SHAPE),
    "pressures in bar": 1.013 + 0.01 * draws().standard_normal(SHAPE),
    "sales, skewed": np.exp(4 + draws().standard_normal(SHAPE)),
    "daily returns": 0.01 * draws().standard_t(4, size=SHAPE),
    "integers": draws().integers(0, 255, size=SHAPE, dtype=np.uint8),
}


@pytest.mark.parametrize("name", GOOD)
def test_usual_data_are_taken_without_a_word(name):
    values = GOOD[name]
    assert heard(fit(values[..., None])) == []
    assert heard(fit(GOOD["standard normal"][..., None], values[:, 0])) == []
    assert heard(fit(np.stack([values, GOOD["standard normal"]], axis=2))) == []


@pytest.mark.parametrize("name", FAR)
def test_data_on_another_scale_are_named_with_the_remedy_that_helps(name):
    values, normal = FAR[name], GOOD["standard normal"]
    (message,) = heard(fit(values[..., None]))
    assert "SequenceScaler" in message
    assert f"{values.mean():.4g} and {values.std():.4g}" in message
    (message,) = heard(fit(normal[..., None], values[:, 0]))
    assert message.startswith("y is far")
    assert "TransformedTargetRegressor" in message
    pipeline = make_pipeline(SequenceScaler(), TikhonovLSTMRegressor(2, **BARE))
    model = TransformedTargetRegressor(pipeline, transformer=StandardScaler())
    assert heard(lambda: model.fit(values[..., None], values[:, 0].astype(float))) == []


@pytest.mark.parametrize("form", ["array", "float32", "file", "ragged", "frames", "rows"])
def test_the_channel_is_named_in_every_form(form, tmp_path):
    X = np.stack([GOOD["binary"], FAR["thousands"], FAR["temperatures in kelvin"]], axis=2)
    label, parameters = "channel 1", {}
    if form == "float32":
        X = X.astype(np.float32)
    elif form == "file":
        np.save(tmp_path / "X.npy", X.astype(np.int16))
        X = np.load(tmp_path / "X.npy", mmap_mode="r")
    elif form == "ragged":
        X = [sequence[: 3 + i % 4] for i, sequence in enumerate(X)]
    elif form == "frames":
        X, label = [pd.DataFrame(sequence, columns=["open", "load", "heat"]) for sequence in X], "channel 'load'"
    elif form == "rows":
        X, parameters = X.reshape(len(X), -1), {"n_channels": 3}
    (message,) = heard(fit(X, **parameters))
    assert f"in {label}, and 1 more channels are like it" in message


def test_labels_and_targets_of_a_logistic_readout_have_no_scale():
    X = GOOD["standard normal"][..., None]
    assert heard(fit(X, 1000 * one_hot(2)[:, 0].astype(int), NoisyRNNClassifier)) == []
    assert heard(fit(X, 0.01 * one_hot(2)[:, 0], readout="logistic")) == []


def test_a_file_of_flags_is_looked_at_as_it_is(tmp_path):
    np.save(tmp_path / "X.npy", GOOD["binary"][..., None].astype(bool))
    assert heard(fit(np.load(tmp_path / "X.npy", mmap_mode="r"))) == []


def test_one_output_among_several():
    y = np.column_stack([GOOD["binary"][:, 0], FAR["thousands"][:, 0]])
    (message,) = heard(fit(GOOD["standard normal"][..., None], y))
    assert "in output 1." in message


@pytest.mark.parametrize("shape", [(3, 4, 2), (10_000, 3, 1), (1, 100_000, 1), (7, 10_000, 3), (100_000, 1, 2)])
@pytest.mark.parametrize("ragged", [False, True])
def test_a_look_is_short_whatever_the_size(shape, ragged):
    n, length, d = shape
    steps = np.arange(n * length * d, dtype=float).reshape(n * length, d)
    values = steps if ragged else steps.reshape(shape)
    looked_at = Sequences(values, np.full(n, length) if ragged else None).some_steps(1000)
    assert set(map(tuple, looked_at)) <= set(map(tuple, steps))
    assert looked_at.size == steps.size if steps.size < 1000 else 500 <= looked_at.size <= 2000


# ---------------------------------------------------------------- tables


def table(index="datetime", n=60):
    frame = pd.DataFrame(draws().standard_normal((n, 3)), columns=["temp", "wind", "load"])
    times = pd.date_range("2024", periods=n, freq="h")
    indices = {"datetime": times, "zone": times.tz_localize("Europe/Berlin"), "period": times.to_period("h")}
    return frame.set_index(indices[index]) if index in indices else frame


@pytest.mark.parametrize("index", ["datetime", "zone", "period"])
@pytest.mark.parametrize("kind", [TikhonovLSTMRegressor, NoisyRNNClassifier])
def test_a_table_of_time_steps_is_recognised(index, kind):
    X = table(index)
    y = X["load"] > 0 if kind is NoisyRNNClassifier else X["load"]
    (message,) = heard(fit(X, y, kind))
    assert f"{kind.__name__} reads each row as one sequence of 3 steps of one channel" in message
    assert "sliding_windows" in message
    (message,) = heard(lambda: make_pipeline(SequenceScaler(), kind(2, **BARE)).fit(X, y), direct=False)
    assert "SequenceScaler reads each" in message


def test_other_tables_are_not():
    X = table()
    assert heard(fit(table("none"))) == []
    assert heard(fit(X.to_numpy(), X["load"])) == []
    assert heard(fit(X, X["load"], n_channels=3)) == []  # whoever says so has rows of channels
    wide = X.set_axis(pd.MultiIndex.from_product([[0, 1, 2], ["load"]], names=["time", "channel"]), axis=1)
    assert heard(fit(wide, X["load"])) == []
    assert heard(fit(*sliding_windows(X, 6, target="load"))) == []
    assert heard(lambda: SequenceScaler().fit(X[["load"]])) == []
    assert heard(lambda: SequenceScaler(3).fit(X)) == []


# ---------------------------------------------------------------- where


def test_incremental_training_warns_once_and_a_path_like_its_estimator():
    X, y = FAR["thousands"][..., None], GOOD["binary"][:, 0]
    model = TikhonovLSTMRegressor(2, **BARE)
    assert len(heard(lambda: model.partial_fit(X, y))) == 1
    assert heard(lambda: model.partial_fit(X, y)) == []
    path = RegularizationPathCV(model, "lambda_s", [0.01, 0.1], cv=2, refit=False)
    assert heard(lambda: path.fit(X, y)) == heard(fit(X, y))


def test_a_warning_that_is_an_error_leaves_the_estimator_as_it_was():
    X = GOOD["standard normal"][..., None]
    model = fit(X)()
    state = dict(vars(model))
    with pytest.raises(DataWarning, match="SequenceScaler"):
        model.fit(300 + X, X[:, -1, 0])
    assert vars(model) == state
