"""Targets and labels of every kind, and in the shape in which they came."""

import warnings
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning

from sklstm import NoisyRNNClassifier, TikhonovLSTMRegressor

FAST = {"max_epochs": 2, "random_state": 0}


@pytest.fixture
def X():
    return np.random.default_rng(0).standard_normal((30, 4, 2))


LABELS = {
    "ints": [3, 5],
    "negative ints": [-1, 1],
    "uint8": np.array([3, 200], dtype=np.uint8),
    "floats": [0.0, 2.0],
    "bools": [False, True],
    "strings": ["on", "off"],
    "objects": np.array(["on", "off"], dtype=object),
    "three": ["low", "mid", "high"],
    "long strings": ["a" * 50, "b"],
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels_of_any_type_come_back(X, kind):
    labels = np.asarray(LABELS[kind])
    y = labels[np.arange(30) % len(labels)]
    model = NoisyRNNClassifier(4, **FAST).fit(X, y)
    np.testing.assert_array_equal(model.classes_, np.unique(y))
    predicted = model.predict(X)
    assert set(predicted.tolist()) <= set(labels.tolist())
    assert predicted.dtype == model.classes_.dtype
    np.testing.assert_array_equal(predicted, model.classes_[model.predict_proba(X).argmax(axis=1)])
    # The names are no part of the problem.
    codes = np.unique(y, return_inverse=True)[1]
    by_code = NoisyRNNClassifier(4, **FAST).fit(X, codes)
    np.testing.assert_array_equal(model.predict_proba(X), by_code.predict_proba(X))
    assert model.score(X, y) == by_code.score(X, codes)


SERIES = {
    "series": pd.Series(["on", "off"] * 15, index=range(7, 37)),
    "category": pd.Series(pd.Categorical(["on", "off"] * 15)),
    "ordered category": pd.Series(pd.Categorical(["on", "off"] * 15, categories=["off", "on"], ordered=True)),
    "nullable integer": pd.Series([1, 2] * 15, dtype="Int64"),
    "nullable boolean": pd.Series([True, False] * 15, dtype="boolean"),
    "nullable string": pd.Series(["on", "off"] * 15, dtype="string"),
    "list": ["on", "off"] * 15,
    "tensor": torch.tensor([1, 2] * 15),
}


@pytest.mark.parametrize("kind", SERIES)
def test_containers_of_labels(X, kind):
    model = NoisyRNNClassifier(4, **FAST).fit(X, SERIES[kind])
    assert len(model.classes_) == 2
    assert set(model.predict(X).tolist()) <= set(model.classes_.tolist())
    assert 0 <= model.score(X, np.asarray(SERIES[kind])) <= 1


@pytest.mark.parametrize("estimator", [TikhonovLSTMRegressor, NoisyRNNClassifier])
def test_missing_targets_are_refused(X, estimator):
    for y in (
        pd.Series([1, None] * 15, dtype="Int64"),
        pd.Series([1.0, np.nan] * 15),
        np.array(["on", np.nan] * 15, dtype=object),
        [None, 1] * 15,
    ):
        with pytest.raises((ValueError, TypeError), match=r"NaN|missing"):
            estimator(4, **FAST).fit(X, y)


def test_predictions_have_the_shape_of_the_targets(X):
    y = X[:, -1, 0]
    flat = TikhonovLSTMRegressor(4, **FAST).fit(X, y)
    column = TikhonovLSTMRegressor(4, **FAST).fit(X, y[:, None])
    table = TikhonovLSTMRegressor(4, **FAST).fit(X, np.stack((y, -y, y), axis=1))
    assert flat.predict(X).shape == (30,)
    assert column.predict(X).shape == (30, 1)
    assert table.predict(X).shape == (30, 3)
    np.testing.assert_array_equal(flat.predict(X), column.predict(X)[:, 0])
    assert flat.score(X, y) == column.score(X, y[:, None])
    for model in (flat, column, table):
        assert model.predict(X[:1]).shape == (1, *model.predict(X).shape[1:])  # one sequence keeps its axes


@pytest.mark.parametrize(
    "make",
    [
        lambda y: y.tolist(),
        pd.Series,
        lambda y: pd.Series(y, index=range(9, 39)).astype("Float64"),
        torch.from_numpy,
        lambda y: y.astype(np.float32).astype(object),
        lambda y: y[::-1][::-1],
    ],
    ids=["list", "series", "nullable", "tensor", "objects", "strides"],
)
def test_containers_of_targets(X, make):
    y = np.round(X[:, -1, 0], 2).astype(np.float32).astype(float)
    expected = TikhonovLSTMRegressor(4, **FAST).fit(X, y).predict(X)
    np.testing.assert_array_equal(TikhonovLSTMRegressor(4, **FAST).fit(X, make(y)).predict(X), expected)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.int32, np.uint8, bool])
def test_dtypes_of_sequences(dtype):
    X = (10 * np.random.default_rng(0).random((30, 4, 2))).astype(dtype)
    y = np.arange(30) / 10
    model = TikhonovLSTMRegressor(4, **FAST).fit(X, y)
    wide = TikhonovLSTMRegressor(4, **FAST).fit(X.astype(np.float64), y)
    np.testing.assert_array_equal(model.predict(X), wide.predict(X.astype(np.float64)))
    assert model.predict(X).dtype == np.float64
    tensors = TikhonovLSTMRegressor(4, **FAST).fit(torch.from_numpy(X), torch.from_numpy(y))
    np.testing.assert_array_equal(tensors.predict(torch.from_numpy(X)), model.predict(X))


def test_mixed_labels_are_told_so(X):
    with pytest.raises(TypeError, match="mixes labels that cannot be sorted"):
        NoisyRNNClassifier(4, **FAST).fit(X, np.array([1, "a"] * 15, dtype=object))


def test_tensors_of_targets_may_belong_to_a_graph(X):
    y = torch.from_numpy(X[:, 0, 0]).requires_grad_(True)
    model = TikhonovLSTMRegressor(4, **FAST).fit(X, y)
    bounds = [model.holdout_bound(X[1:], target[1:], cap=4.0).value for target in (y, y.detach().numpy())]
    assert bounds[0] == bounds[1]


@pytest.mark.parametrize(
    "tensor", [torch.empty(30, 4, 2, device="meta"), torch.zeros(30, 4, 2).to_sparse()], ids=["meta", "sparse"]
)
def test_tensors_without_values_are_refused(tensor):
    with pytest.raises(TypeError, match=r"X is a tensor .* that numpy cannot hold"):
        TikhonovLSTMRegressor(4, **FAST).fit(tensor, np.zeros(30))


def test_numbers_beyond_float64(X):
    with pytest.raises(ValueError, match="beyond float64"):
        TikhonovLSTMRegressor(4, **FAST).fit(X, [10**400, *range(29)])
    with pytest.raises(ValueError, match="sample_weight holds a number that is beyond float64"):
        TikhonovLSTMRegressor(4, **FAST).fit(X, X[:, 0, 0], sample_weight=[10**400, *range(29)])


@pytest.mark.parametrize("estimator", [TikhonovLSTMRegressor, NoisyRNNClassifier])
def test_numbers_of_every_kind_are_parameters(X, estimator):
    half = Fraction(1, 2)
    reals = {"lr": Fraction(1, 100), "weight_decay": half, "sigma": half, "clip_norm": half, "delta": half}
    own = (
        {"loss_cap": half, "lambda_s": half, "loss": "quantile", "quantile": half}
        if estimator is TikhonovLSTMRegressor
        else {"max_norm_u": half}
    )
    y = X[:, 0, 0] if estimator is TikhonovLSTMRegressor else X[:, 0, 0] > 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        exact = estimator(4, max_epochs=2, random_state=0, **reals, **own).fit(X, y)
        plain = {name: float(value) if value is half else value for name, value in (reals | own).items()}
        floats = estimator(4, max_epochs=2, random_state=0, **plain).fit(X, y)
    np.testing.assert_array_equal(exact.predict(X), floats.predict(X))
    assert estimator(4, batch_size=10**30, **FAST).fit(X, y).n_iter_ == 2
    for name, value in (("lr", 10**400), ("lr", 1e300), ("max_epochs", np.timedelta64(1, "s"))):
        with pytest.raises((ValueError, TypeError), match=name):
            estimator(4, **FAST | {name: value}).fit(X, y)
