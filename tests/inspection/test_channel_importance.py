import copy

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib import pyplot as plt
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.exceptions import NotFittedError
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import get_scorer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklstm import TikhonovLSTMRegressor
from sklstm.inspection import ChannelImportanceDisplay, channel_importance
from sklstm.inspection._channel_importance import _steps
from sklstm.metrics import make_noisy_scorer
from sklstm.preprocessing import SequenceScaler

N, L, D = 30, 4, 3


class Linear(RegressorMixin, BaseEstimator):
    """Σ_c w_c · x_c of sequences (n, L, d), or of the last steps of a list."""

    def __init__(self, weights=None):
        self.weights = weights

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def predict(self, X):
        if self.weights is None:
            return np.stack([np.asarray(x)[-1] for x in X]) @ np.arange(1.0, 1 + np.shape(X[0])[1])
        return np.einsum("nld,ld->n", np.asarray(X), self.weights)


class Sum(Linear):
    def predict(self, X):
        return np.asarray(X) @ np.arange(1.0, 1 + np.shape(X)[1])


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N, L, D))
    return X, X[:, -1, 0] + 0.5 * X[:, :, 1].sum(axis=1) + 0.1 * rng.standard_normal(N)


def same(one, other):
    for name in ("importances", "importances_mean", "importances_std"):
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


@pytest.mark.parametrize("scoring", [None, "neg_mean_absolute_error", ["r2", "neg_mean_squared_error"]])
def test_sequences_of_one_step_are_scikit_learn_s_columns(data, scoring):
    X, y = data
    rows, weight = X[:, 0], np.random.default_rng(1).random(N)
    model, axes = Ridge().fit(rows, y), FunctionTransformer(np.squeeze, kw_args={"axis": 1})
    how = {"scoring": scoring, "n_repeats": 3, "sample_weight": weight}
    expected = permutation_importance(model, rows, y, random_state=7, **how)
    of_rows = channel_importance(model, rows, y, random_state=7, n_channels=D, **how)
    of_axes = channel_importance(make_pipeline(axes, model), X[:, :1], y, random_state=7, **how)
    for found in (of_rows, of_axes):
        for key in scoring if isinstance(scoring, list) else [None]:
            same(found if key is None else found[key], expected if key is None else expected[key])


def test_whole_series_are_permuted(data):
    """A linear model sees of channel c the number w_c · x_c only: permuting the series permutes this number."""
    X, _ = data
    weights = np.random.default_rng(2).standard_normal((L, D))
    y = np.random.default_rng(3).standard_normal(N)
    parts = np.einsum("nld,ld->nd", X, weights)
    expected = permutation_importance(Ridge().fit(parts, parts.sum(axis=1)), parts, y, random_state=0, n_repeats=4)
    found = channel_importance(Linear(weights).fit(X), X, y, random_state=0, n_repeats=4)
    tolerance = {"rtol": 0.1, "atol": 0.1}  # Ridge shrinks
    np.testing.assert_allclose(found.importances, expected.importances, **tolerance)
    exact = permutation_importance(Sum().fit(parts), parts / [1, 2, 3], y, random_state=0, n_repeats=4)
    np.testing.assert_allclose(found.importances, exact.importances, rtol=1e-10, atol=1e-12)


def test_sequences_of_unequal_length(data):
    """A model of the last steps loses what it loses when the last steps are permuted."""
    X, y = data
    ragged = [x[: 1 + i % L] for i, x in enumerate(X)]
    last = np.stack([x[-1] for x in ragged])
    expected = permutation_importance(Sum().fit(last), last, y, random_state=0)
    found = channel_importance(Linear().fit(ragged), ragged, y, random_state=0)
    same(found, expected)
    frames = [pd.DataFrame(x, columns=["a", "b", "c"]) for x in ragged]
    of_frames = channel_importance(Linear().fit(frames), frames, y, random_state=0)
    same(of_frames, expected)
    assert of_frames.channel_names == ["a", "b", "c"]
    assert all(len(frame) == 1 + i % L for i, frame in enumerate(frames))


def test_series_are_stretched_in_time():
    assert _steps(5, 5).tolist() == [0, 1, 2, 3, 4]
    assert _steps(5, 1).tolist() == [4]  # the last step, where the state is read
    assert _steps(1, 3).tolist() == [0, 0, 0]
    assert _steps(7, 3).tolist() == [0, 3, 6]
    for given in range(1, 9):
        for wanted in range(2, 9):
            steps = _steps(given, wanted)
            assert (steps[0], steps[-1], len(steps)) == (0, given - 1, wanted)
            assert (np.diff(steps) >= 0).all()
            exact = np.arange(wanted) * (given - 1) / (wanted - 1)
            assert np.abs(steps - exact).max() <= 0.5 + 1e-9


@pytest.fixture(scope="module")
def lstm(data):
    return TikhonovLSTMRegressor(4, n_channels=D, max_epochs=5, random_state=0).fit(*data)


def test_a_channel_that_the_network_ignores_has_no_importance(data, lstm):
    X, y = data
    blind = copy.deepcopy(lstm)
    with torch.no_grad():
        blind.net_.module_.recurrent.weight_ih_l0[:, 1] = 0
        blind.net_.module_.linear_part.values[:, 1::D] = 0
    found = channel_importance(blind, X, y, random_state=0)
    assert (found.importances[1] == 0).all()
    assert (found.importances[[0, 2]] != 0).any()


def test_every_form_of_x_and_every_composition(data, lstm):
    X, y = data
    how = {"random_state": 0, "n_repeats": 2}
    expected = channel_importance(lstm, X, y, **how)
    assert expected.channel_names == ["channel 0", "channel 1", "channel 2"]
    before = X.copy()
    rows = X.reshape(N, -1)
    columns = pd.MultiIndex.from_product([range(L), ["p", "q", "r"]], names=["time", "channel"])
    wide = pd.DataFrame(rows, columns=columns)
    by_channel = wide.swaplevel(axis=1)[[(channel, time) for channel in ("p", "q", "r") for time in range(L)]]
    forms = {
        "list": list(X),
        "tensor": torch.from_numpy(X),
        "frames": [pd.DataFrame(x, columns=["p", "q", "r"]) for x in X],
        "wide": wide,
        "by channel": by_channel,
    }
    for form, given in forms.items():
        model = copy.deepcopy(lstm).fit(given, y)  # on the same numbers, which have names perhaps
        found = channel_importance(model, given, y, **how)
        same(found, expected)
        named = ["p", "q", "r"] if form not in ("list", "tensor") else expected.channel_names
        assert found.channel_names == named
    of_rows = copy.deepcopy(lstm).fit(rows, y)
    same(channel_importance(of_rows, rows, y, **how), channel_importance(of_rows, pd.DataFrame(rows), y, **how))
    assert channel_importance(of_rows, rows, y, **how).importances.shape == (D, 2)
    np.testing.assert_array_equal(X, before)
    piped = make_pipeline(SequenceScaler(), TikhonovLSTMRegressor(4, max_epochs=2, random_state=0))
    piped.fit(X, y)
    # Scaling takes every channel by itself: it commutes with the permutation.
    inside = channel_importance(piped[-1], piped[0].transform(X), y, **how)
    same(channel_importance(piped, X, y, **how), inside)


def test_columns_of_a_table_keep_their_types(data):
    X, y = data
    table = pd.DataFrame({"number": X[:, 0, 0], "kind": np.where(X[:, 0, 1] > 0, "a", "b")})
    table["kind"] = table["kind"].astype("category")
    seen = []

    def score(model, X, y):
        seen.append(X)
        return 0.0

    model = Linear(np.ones((1, 2))).fit(table)
    channel_importance(model, table, y, scoring=score, n_channels=2, n_repeats=1, random_state=0)
    assert all((frame.dtypes == table.dtypes).all() for frame in seen)
    assert all(frame.index.equals(table.index) for frame in seen)
    for frame, name in zip(seen[1:], table.columns, strict=True):
        other = table.columns[table.columns != name][0]
        pd.testing.assert_series_equal(frame[other], table[other])
        assert sorted(frame[name]) == sorted(table[name])
        assert (frame[name] != table[name]).any()


def test_scores_under_noise_and_labels(data):
    X, _ = data
    rows, labels = X[:, 0], np.where(X[:, 0, 0] > 0, "up", "down")
    model = LogisticRegression().fit(rows, labels)
    noisy = make_noisy_scorer("accuracy", 0.3, n_draws=2)
    found = channel_importance(model, rows, labels, scoring=noisy, n_channels=D, random_state=0)
    same(found, permutation_importance(model, rows, labels, scoring=noisy, random_state=0))
    assert found.importances_mean.argmax() == 0


def test_seeds(data):
    X, y = data
    model = Ridge().fit(X[:, 0], y)
    how = {"n_channels": D, "n_repeats": 2}
    one, again = (channel_importance(model, X[:, 0], y, random_state=np.random.RandomState(5), **how) for _ in range(2))
    same(one, again)
    fresh = [channel_importance(model, X[:, 0], y, **how).importances for _ in range(2)]
    assert (fresh[0] != fresh[1]).any()


def test_the_display(data):
    X, y = data
    model = Ridge().fit(X[:, 0], y)
    how = {"n_channels": D, "random_state": 0, "n_repeats": 4, "channel_names": ["dust", "wind", "rain"]}
    found = channel_importance(model, X[:, 0], y, scoring="neg_mean_squared_error", **how)
    display = ChannelImportanceDisplay.from_estimator(model, X[:, 0], y, scoring="neg_mean_squared_error", **how)
    np.testing.assert_array_equal(display.importances, found.importances)
    order = np.argsort(-found.importances_mean)
    np.testing.assert_allclose([bar.get_width() for bar in display.bars_], found.importances_mean[order])
    labels = [label.get_text() for label in display.ax_.get_yticklabels()]
    assert labels == [how["channel_names"][place] for place in order]
    assert display.ax_.get_ylim()[0] > display.ax_.get_ylim()[1]  # the first on top
    np.testing.assert_array_equal(display.points_.get_xdata(), found.importances[order].ravel())
    assert display.ax_.get_title() == "Ridge"
    assert display.ax_.get_xlabel() == "decrease of the neg mean squared error when permuted"
    default = ChannelImportanceDisplay.from_estimator(model, X[:, 0], y, **how)
    assert default.ax_.get_xlabel() == "decrease of the R² when permuted"
    assert display.plot(color="red", name="mine").ax_.get_title() == "mine"
    assert display.bars_[0].get_facecolor() == (1, 0, 0, 1)


def test_wrong_arguments(data, lstm):
    X, y = data
    with pytest.raises(NotFittedError):
        channel_importance(TikhonovLSTMRegressor(), X, y)
    with pytest.raises(TypeError, match="needs a classifier or a regressor"):
        channel_importance(StandardScaler().fit(X[:, 0]), X, y)
    with pytest.raises(ValueError, match="requires y"):
        channel_importance(lstm, X, None)
    for bad in ({"n_repeats": 0}, {"n_channels": 0}):
        with pytest.raises(ValueError, match=next(iter(bad))):
            channel_importance(lstm, X, y, **bad)
    with pytest.raises(TypeError, match="n_jobs"):
        channel_importance(lstm, X, y, n_jobs="two")
    with pytest.raises(ValueError, match="random_state"):
        channel_importance(lstm, X, y, random_state=-1)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        channel_importance(lstm, X, y[1:])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        channel_importance(lstm, list(X), y, sample_weight=np.ones(3))
    with pytest.raises(ValueError, match="channel_names has 2 names, but X has 3 channels"):
        channel_importance(lstm, X, y, channel_names=["a", "b"])
    with pytest.raises(ValueError, match="n_channels is 2, but X has 3 channels"):
        channel_importance(lstm, X, y, n_channels=2)
    ridge = Ridge().fit(X.reshape(N, -1), y)
    with pytest.raises(ValueError, match="the number of channels per time step is unknown"):
        channel_importance(ridge, X.reshape(N, -1), y)
    with pytest.raises(ValueError, match="no multiple of 5 channels"):
        channel_importance(ridge, X.reshape(N, -1), y, n_channels=5)
    with pytest.raises(ValueError, match="X must be sequences"):
        channel_importance(lstm, X[:, 0, 0], y)
    frames = [pd.DataFrame(x, columns=list("abc")) for x in X]
    with pytest.raises(ValueError, match=r"X\[1\] has columns"):
        channel_importance(lstm, [frames[0], frames[1][list("bac")], *frames[2:]], y)
    several = ["r2", "neg_mean_squared_error"]
    with pytest.raises(TypeError, match="scoring must be one score"):
        ChannelImportanceDisplay.from_estimator(lstm, X, y, scoring=several)
    both = {name: get_scorer(name) for name in several}
    with pytest.raises(TypeError, match="this one returns r2, neg_mean_squared_error"):
        ChannelImportanceDisplay.from_estimator(
            lstm, X, y, n_repeats=1, scoring=lambda *a: {name: scorer(*a) for name, scorer in both.items()}
        )
    with pytest.raises(ValueError, match="importances must have shape"):
        ChannelImportanceDisplay(importances=np.ones((2, 3)), channel_names=["a"]).plot()
    assert plt.get_fignums() == []
