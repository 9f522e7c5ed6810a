"""Certificates of fitted estimators, as a user meets them."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import logit
from sklearn.base import is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sklstm
from sklstm import (
    NoisyRNNClassifier,
    TikhonovGRUClassifier,
    TikhonovGRURegressor,
    TikhonovLSTMClassifier,
    TikhonovLSTMRegressor,
    certify,
)
from sklstm.certificates import RecurrentNetwork, rnn_lipschitz
from sklstm.estimators._boxes import Boxes, ends_of
from sklstm.estimators._certify import bounds_on
from sklstm.estimators._label_certificates import _certified
from sklstm.networks import LSTMNetwork
from tests.support.problems import late_mean, signed_sum

QUICK = {"hidden_size": 6, "max_epochs": 15, "random_state": 0}
NONE = {"lambda_s": 0, "lambda_1": 0, "lambda_2": 0}
EPSILONS = (1e-7, 1e-5, 1e-3, 0.03, 0.3)


def boxes(X, radii):
    return Boxes.of(*(end.reshape(-1, X.shape[2]) for end in ends_of(X, radii)), np.full(len(X), X.shape[1]))


@pytest.fixture(scope="module")
def fitted():
    X, y = late_mean(200)
    signs, labels = signed_sum(200)
    two = np.column_stack((y, X[:, 0, 1]))
    return {
        "LSTM": (TikhonovLSTMRegressor(**QUICK).fit(X, y), X),
        "LSTM without penalty": (TikhonovLSTMRegressor(**QUICK, **NONE).fit(X, y), X),
        "LSTM, two layers, two outputs": (TikhonovLSTMRegressor(**QUICK, num_layers=2).fit(X, two), X),
        "LSTM, logistic": (TikhonovLSTMRegressor(**QUICK, readout="logistic").fit(X, 1 / (1 + np.exp(-y))), X),
        "LSTM, rows": (TikhonovLSTMRegressor(**QUICK, n_channels=2).fit(X.reshape(200, -1), y), X.reshape(200, -1)),
        "GRU": (TikhonovGRURegressor(**QUICK).fit(X, y), X),
        "GRU, two layers": (TikhonovGRURegressor(**QUICK, num_layers=2).fit(X, y), X),
        "ReLU": (NoisyRNNClassifier(**QUICK).fit(signs, labels), signs),
        "LSTM, labels": (TikhonovLSTMClassifier(**QUICK).fit(signs, labels), signs),
        "GRU, two layers, labels": (TikhonovGRUClassifier(**QUICK, num_layers=2).fit(signs, labels), signs),
    }


NAMES = (
    "LSTM",
    "LSTM without penalty",
    "LSTM, two layers, two outputs",
    "LSTM, logistic",
    "LSTM, rows",
    "GRU",
    "GRU, two layers",
    "ReLU",
    "LSTM, labels",
    "GRU, two layers, labels",
)
EVERY = pytest.mark.parametrize("name", NAMES)
LABELS = pytest.mark.parametrize("name", ["ReLU", "LSTM, labels", "GRU, two layers, labels"])


def outputs(model, X):
    return model._outputs(X).astype(np.float64) if is_classifier(model) else model.predict(X)


@EVERY
@pytest.mark.parametrize("method", ["best", "mean-value", "intervals"])
def test_no_eps_gives_back_the_predictions(fitted, name, method):
    model, X = fitted[name]
    for eps in (0, 0.0, np.zeros(X.shape)):
        lower, upper = model.certify(X, eps, method=method)
        assert np.array_equal(lower, outputs(model, X))
        assert np.array_equal(upper, outputs(model, X))
        assert lower.dtype == upper.dtype == np.float64


@EVERY
def test_predictions_as_computed_stay_within_the_bounds(fitted, name):
    # In float32, whose rounding is the larger part of the bounds at the smallest eps.
    model, X = fitted[name]
    X, rng = X[:50], np.random.default_rng(0)
    for eps in EPSILONS:
        lower, upper = model.certify(X, eps)
        assert lower.shape == outputs(model, X).shape
        for attempt in range(20):
            shift = rng.uniform(-eps, eps, X.shape) if attempt % 2 else eps * rng.choice([-1.0, 1.0], X.shape)
            noisy = np.clip(X + shift, X - eps, X + eps)
            assert (outputs(model, noisy) >= lower).all()
            assert (outputs(model, noisy) <= upper).all()


@pytest.mark.filterwarnings("ignore::sklstm.exceptions.WideCertificateWarning")  # some of them are large
@EVERY
def test_bounds_grow_with_eps_and_nothing_of_the_callers_changes(fitted, name):
    model, X = fitted[name]
    before, state = X.copy(), {k: v.clone() for k, v in model.net_.module_.state_dict().items()}
    bounds = [model.certify(X, eps) for eps in (0, *EPSILONS, 3.0)]
    for (low, high), (lower, upper) in pairwise(bounds):
        assert (lower <= low).all()
        assert (upper >= high).all()
    assert np.array_equal(X, before)
    assert all(torch.equal(value, state[key]) for key, value in model.net_.module_.state_dict().items())


def test_the_same_box_in_every_form(fitted):
    model, X = fitted["LSTM"]
    per_channel = np.array([0.1, 0.02])
    expected = model.certify(X, per_channel)
    n, n_steps, _ = X.shape
    full = np.broadcast_to(per_channel, X.shape)
    for eps in (full, full[0], list(per_channel), per_channel[None, None], full[:1], torch.tensor(full.copy())):
        for found, end in zip(model.certify(X, eps), expected, strict=True):
            assert np.array_equal(found, end)
    # One radius a sample.
    each = np.linspace(0, 0.1, n)[:, None, None]
    lower, upper = model.certify(X, each)
    alone = model.certify(X[n // 2 : n // 2 + 1], each[n // 2, 0, 0])
    np.testing.assert_allclose((lower[n // 2], upper[n // 2]), np.ravel(alone), rtol=1e-5)

    rows, table = fitted["LSTM, rows"]
    columns = np.tile(per_channel, n_steps)
    for eps in (per_channel, columns, columns[None], np.broadcast_to(columns, table.shape)):
        for found, end in zip(rows.certify(table, eps), rows.certify(table, columns), strict=True):
            assert np.array_equal(found, end)


def test_a_channel_without_noise_moves_nothing(fitted):
    model, X = fitted["LSTM"]
    widths = [np.subtract(*model.certify(X, eps)[::-1]).mean() for eps in ([0.1, 0.0], [0.0, 0.1], [0.1, 0.1])]
    assert widths[0] > 3 * widths[1]  # the target is made of the first channel
    assert widths[2] > widths[0]


def test_logistic_bounds_are_those_of_the_linear_readout(fitted):
    model, X = fitted["LSTM, logistic"]
    lower, upper = model.certify(X, 0.1)
    assert (lower >= 0).all()
    assert (upper <= 1).all()
    linear = bounds_on(model.net_.module_, boxes(X, np.full(X.shape, 0.1)), "best")
    np.testing.assert_allclose(logit(lower), linear[0][:, 0], atol=1e-5)
    np.testing.assert_allclose(logit(upper), linear[1][:, 0], atol=1e-5)


def test_in_a_pipeline_and_with_frames():
    X, y = late_mean(100)
    frame = pd.DataFrame(X.reshape(100, -1)).add_prefix("x")
    model = make_pipeline(StandardScaler(), TikhonovLSTMRegressor(n_channels=2, **QUICK)).fit(frame, y)
    scaled = model[:-1].transform(frame)
    lower, upper = model[-1].certify(scaled, 0.1 / model[0].scale_)  # 0.1 in the units of the frame
    predictions = model.predict(frame + 0.1)
    assert (lower <= predictions).all()
    assert (predictions <= upper).all()


@EVERY
@pytest.mark.parametrize(
    ("eps", "error", "message"),
    [
        (-0.1, ValueError, "must be finite and not negative"),
        (np.nan, ValueError, "must be finite"),
        (np.inf, ValueError, "must be finite"),
        ("much", TypeError, "must be a number"),
        (None, TypeError, "must be a number"),
        (np.ones(7), ValueError, r"eps has shape \(7,\).*per channel"),
        (np.ones((3, 4, 5)), ValueError, r"eps has shape \(3, 4, 5\)"),
        ([[0.1, 0.2], [0.3]], TypeError, "must be a number"),
        (True, TypeError, "must be a number"),
        (1e39, ValueError, "too large for float32"),
    ],
)
def test_bad_eps_is_refused_before_any_work(fitted, monkeypatch, name, eps, error, message):
    model, X = fitted[name]
    monkeypatch.setattr("sklstm.estimators._certify.output_bounds", lambda *_, **__: pytest.fail("work began"))
    with pytest.raises(error, match=message):
        model.certify(X, eps)


def test_other_bad_arguments(fitted):
    model, X = fitted["LSTM"]
    with pytest.raises(ValueError, match="method must be one of"):
        model.certify(X, 0.1, method="guess")
    for batch_size in (0, 1.5, "all"):
        with pytest.raises((ValueError, TypeError), match="batch_size"):
            model.certify(X, 0.1, batch_size=batch_size)
    with pytest.raises(ValueError, match="channels"):
        model.certify(X[:, :, :1], 0.1)
    with pytest.raises(ValueError, match="NaN"):
        model.certify(np.full_like(X, np.nan), 0.1)
    for estimator in (TikhonovLSTMRegressor(), TikhonovGRURegressor(), NoisyRNNClassifier()):
        with pytest.raises(NotFittedError):
            estimator.certify(X, 0.1)
    for method in (NoisyRNNClassifier().certified_radius, lambda X: NoisyRNNClassifier().certified_accuracy(X, X, 0.1)):
        with pytest.raises(NotFittedError):
            method(X)


@LABELS
def test_labels_hold_within_the_certified_radius_and_the_certificate_ends_there(fitted, name):
    model, X = fitted[name]
    labels, radius = model.predict(X), model.certified_radius(X)
    assert radius.shape == (len(X),)
    assert (radius > 0).all()
    rng = np.random.default_rng(0)
    for _ in range(50):
        signs = rng.choice([-1.0, 1.0], X.shape)
        assert (model.predict(X + radius[:, None, None] * signs) == labels).all()
    codes = np.searchsorted(model.classes_, labels)
    within, beyond = (boxes(X, np.broadcast_to(factor * radius[:, None, None], X.shape)) for factor in (1, 1.011))
    assert _certified(model.net_.module_, within, codes, "best").all()
    assert not _certified(model.net_.module_, beyond, codes, "best").any()


def test_the_radius_is_beyond_that_of_lemma_8_and_short_of_an_attack(fitted):
    model, X = fitted["ReLU"]
    radius, module = model.certified_radius(X), model.net_.module_
    gap = np.abs(model.decision_function(X))
    lemma_8 = gap / (2 * rnn_lipschitz(module.U, module.W, module.V, X.shape[1]).sum().item())
    assert (radius > lemma_8).all()
    # Straight along the gradient of the difference: where that changes the label, nothing could be certified.
    point = torch.tensor(X, dtype=torch.float32, requires_grad=True)
    outputs = module(point)
    direction = torch.autograd.grad((outputs[:, 0] - outputs[:, 1]).sum(), point)[0].sign().numpy()
    sign = np.where(model.decision_function(X) > 0, 1, -1)[:, None, None]
    moved = model.predict(X + 20 * radius[:, None, None] * sign * direction)
    assert (moved != model.predict(X)).mean() > 0.5


@LABELS
def test_certified_accuracy_falls_from_the_accuracy(fitted, name):
    model, X = fitted[name]
    _, y = signed_sum(200)
    accuracies = [model.certified_accuracy(X, y, eps) for eps in (0, 1e-4, 1e-2, 0.1, 10)]
    assert accuracies[0] == model.score(X, y)
    assert accuracies == sorted(accuracies, reverse=True)
    assert accuracies[-1] == 0
    radius, right = model.certified_radius(X), model.predict(X) == y
    assert model.certified_accuracy(X, y, 0.01) == pytest.approx(np.mean(right & (radius > 0.01)), abs=0.02)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        model.certified_accuracy(X, y[:-1], 0.1)
    with pytest.raises(ValueError, match="must be finite and not negative"):
        model.certified_accuracy(X, y, -1)


def test_many_classes_and_a_constant_network():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((90, 6, 2)), np.repeat([5, 7, 9], 30)
    X[:, :, 0] += y[:, None] / 3
    model = NoisyRNNClassifier(**QUICK).fit(X, y)
    lower, upper = model.certify(X, 0.01)
    assert lower.shape == upper.shape == (90, 3)
    assert (model.certified_radius(X) > 0).all()
    with torch.no_grad():
        model.net_.module_.U.zero_()
    assert (model.certified_radius(X) == 0).all()  # all outputs tie: no label to certify


def test_methods_agree_on_what_they_bound(fitted):
    model, X = fitted["LSTM without penalty"]
    widths = {m: np.subtract(*model.certify(X, 1e-3, method=m)[::-1]) for m in ("best", "mean-value", "intervals")}
    assert (widths["best"] <= np.minimum(widths["mean-value"], widths["intervals"]) + 1e-15).all()
    few = model.certify(X, 1e-3, batch_size=7)
    np.testing.assert_allclose(few, model.certify(X, 1e-3), rtol=1e-4, atol=1e-6)


def test_a_radius_does_not_depend_on_companions(fitted):
    model, X = fitted["ReLU"]
    alone = model.certified_radius(X[1:])
    X = X.copy()
    X[0] = 1e12
    np.testing.assert_allclose(model.certified_radius(X)[1:], alone, rtol=0.02)


def test_labels_of_another_kind_are_refused(fitted):
    model, X = fitted["ReLU"]  # its labels are strings
    with pytest.raises(ValueError, match="types"):
        model.certified_accuracy(X, np.zeros(len(X), int), 0.1)
    for rtol in (1e-16, 0, 2, -1, np.nan):
        with pytest.raises(ValueError, match="rtol"):
            model.certified_radius(X, rtol=rtol)
    assert model.certify(X, 0.1, batch_size=np.int64(50))[0].shape == (len(X), 2)


@pytest.mark.parametrize("scaled", [False, True])
def test_labels_of_eps_are_those_of_the_columns(scaled):
    X = pd.DataFrame(np.random.default_rng(0).standard_normal((30, 12)), columns=[f"c{i}" for i in range(12)])
    model = TikhonovLSTMRegressor(4, max_epochs=2, random_state=0)
    model = (make_pipeline(StandardScaler(), model) if scaled else model).fit(X, X["c11"])
    sizes = pd.Series({name: 0.1 * i for i, name in enumerate(X.columns)})
    expected = certify(model, X, sizes.to_numpy())
    for other in (sizes, sizes[::-1], sizes.sort_index(), sizes[::-1].to_frame().T.set_axis([0])):
        np.testing.assert_array_equal(certify(model, X, other), expected)
    np.testing.assert_array_equal(certify(model, X, sizes.set_axis(range(12))), expected)  # positions, no labels
    for wrong in (sizes.rename({"c3": "c33"}), sizes[:-1]):
        with pytest.raises(ValueError, match="the labels must be the columns of X"):
            certify(model, X, wrong)
    rows = pd.DataFrame(np.ones((30, 12)), columns=X.columns, index=range(5, 35))
    with pytest.raises(ValueError, match="other labels of rows"):
        certify(model, X, rows)


def test_labels_of_a_wide_table():
    channels = ["a", "b"] * 3
    columns = pd.MultiIndex.from_arrays([[0, 0, 1, 1, 2, 2], channels], names=["time", "channel"])
    X = pd.DataFrame(np.random.default_rng(0).standard_normal((20, 6)), columns=columns)
    model = TikhonovLSTMRegressor(4, max_epochs=2, random_state=0).fit(X, np.arange(20) / 10)
    sizes = pd.Series(np.arange(6) / 10, index=columns)
    expected = model.certify(X, sizes)
    order = [3, 0, 5, 1, 4, 2]
    np.testing.assert_array_equal(model.certify(X, sizes.iloc[order]), expected)
    np.testing.assert_array_equal(model.certify(X, sizes.to_numpy().reshape(1, 3, 2)), expected)


class MeanOfStates(LSTMNetwork):
    """The weights of an LSTM, and another function of them."""

    def forward(self, X, lengths=None):
        return self.readout(self.recurrent(X)[0].mean(dim=1))


class Doubled(torch.nn.LSTM):
    """A layer that passes for torch's, and computes something else."""

    def forward(self, X):
        states, last = super().forward(2 * X)
        return states, last


class OfDoubled(LSTMNetwork):
    _kind = Doubled


@pytest.mark.parametrize("network", [MeanOfStates, OfDoubled])
def test_a_network_with_equations_of_its_own_is_refused_and_not_taken_for_the_one_that_it_is_made_of(network):
    class Own(TikhonovLSTMRegressor):
        _network = network

    X, y = late_mean(40)
    model = Own(4, max_epochs=2, random_state=0).fit(X, y)
    assert model.predict(X).shape == (40,)
    for call in (lambda: model.certify(X, 0.01), lambda: sklstm.certify(model, X, 0.01)):
        with pytest.raises(TypeError, match=rf"Nothing is proved about the network {network.__name__}"):
            call()
    with pytest.raises(TypeError, match=rf"{network.__name__} is another network"):
        model.to_onnx()


def test_a_layer_that_only_passes_for_torchs_is_refused():
    with torch.random.fork_rng():
        layer, readout = Doubled(2, 4, batch_first=True), torch.nn.Linear(4, 1)
    with pytest.raises(ValueError, match="only torch's own recurrent layers can be certified, got Doubled"):
        RecurrentNetwork.from_torch(layer, readout)
