"""Certified radii and accuracies by every method, in units of each channel, of one length and of several."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from sklstm import (
    NoisyRNNClassifier,
    TikhonovGRUClassifier,
    TikhonovLSTMClassifier,
    TikhonovLSTMRegressor,
    certified_accuracy,
    certified_radius,
)
from sklstm.estimators import _label_certificates
from sklstm.estimators._label_certificates import _is_fooled
from sklstm.model_selection import RegularizationPathCV
from sklstm.preprocessing import SequenceScaler
from tests.support.problems import signed_sum

QUICK = {"hidden_size": 6, "max_epochs": 15, "random_state": 0}
METHODS = ("intervals", "mean-value", "best", "linear", "auto")
N = 10


@pytest.fixture(scope="module")
def fitted():
    X, y = signed_sum(200)
    ragged = [x[i % 4 :] for i, x in enumerate(X)]
    scaled = make_pipeline(SequenceScaler(), NoisyRNNClassifier(**QUICK))
    return {
        "relu": (NoisyRNNClassifier(**QUICK).fit(X, y), X[:N], y[:N]),
        "lstm": (TikhonovLSTMClassifier(**QUICK).fit(X, y), X[:N], y[:N]),
        "gru, ragged": (TikhonovGRUClassifier(**QUICK, num_layers=2).fit(ragged, y), ragged[:N], y[:N]),
        "scaled, ragged": (scaled.fit(ragged, y), ragged[:N], y[:N]),
    }


NAMES = pytest.mark.parametrize("name", ["relu", "lstm", "gru, ragged", "scaled, ragged"])


def steepest(model, X, labels):
    """Signs of the gradient of what is to rise for another label, for each sequence."""
    network = model[-1] if hasattr(model, "steps") else model
    module, signs = network.net_.module_, []
    for x, label in zip(X if network is model else model[:-1].transform(X), labels, strict=True):
        inputs = torch.tensor(np.asarray(x)[None], dtype=torch.float32, requires_grad=True)
        outputs = module(inputs)[0]
        own = int(np.flatnonzero(network.classes_ == label)[0])
        rest = torch.cat((outputs[:own], outputs[own + 1 :])).max()
        signs.append(torch.autograd.grad(rest - outputs[own], inputs)[0][0].sign().numpy())
    return signs


def moved(X, radius, signs, scale=1.0):
    return [x + r * scale * s for x, r, s in zip(X, radius, signs, strict=True)]


def form(X, like):
    return np.stack(X) if isinstance(like, np.ndarray) else X


@NAMES
@pytest.mark.parametrize("method", ["intervals", "best", "auto"])
def test_no_attack_within_the_radius_changes_a_label_and_the_accuracy_is_that_of_the_radii(fitted, name, method):
    model, X, y = fitted[name]
    scale = np.array([1.0, 0.3])
    labels = model.predict(X)
    radius = certified_radius(model, X, method=method, scale=scale)
    assert (radius > 0).all()
    rng = np.random.default_rng(0)
    attempts = [steepest(model, X, labels)]
    attempts += [[rng.choice([-1.0, 0.0, 1.0], x.shape) for x in X] for _ in range(20)]
    for signs in attempts:
        np.testing.assert_array_equal(model.predict(form(moved(X, radius, signs, scale), X)), labels)
    factors = np.array([0.99, 1.02])
    for factor, expected in zip(factors, (True, False), strict=True):
        eps = form([np.full(x.shape, factor * r) * scale for x, r in zip(X, radius, strict=True)], X)
        assert certified_accuracy(model, X, labels, eps, method=method) == expected
    eps = float(np.median(radius))
    expected = np.mean((radius > eps) & (labels == y))
    assert certified_accuracy(model, X, y, eps * scale, method=method) == pytest.approx(expected, abs=1.5 / N)


@NAMES
def test_auto_is_linear_and_never_less_than_best(fitted, name):
    model, X, y = fitted[name]
    radii = {method: certified_radius(model, X, method=method, rtol=0.01) for method in METHODS}
    np.testing.assert_allclose(radii["auto"], radii["linear"], rtol=0.0102)
    assert (radii["auto"] >= radii["best"]).all()
    assert (radii["linear"] > 1.05 * radii["best"]).mean() > 0.5  # so that it says something
    for method in ("intervals", "mean-value"):
        assert (radii["best"] >= radii[method] / 1.0102).all()
    for eps in (0.0, *np.quantile(radii["linear"], [0.1, 0.5, 0.9]), 100.0):
        found = {method: certified_accuracy(model, X, y, eps, method=method) for method in METHODS}
        assert found["auto"] == found["linear"] >= found["best"] >= max(found["intervals"], found["mean-value"])


def test_the_costly_method_is_for_what_it_can_change(fitted, monkeypatch):
    model, X, y = fitted["lstm"]
    best, linear = (certified_radius(model, X, method=method) for method in ("best", "linear"))
    at = np.where(model.predict(X) == y, linear / best, 0).argmax()
    eps = float(np.sqrt(best[at] * linear[at]))
    certified, counts = _label_certificates._certified, {}

    def counted(module, boxes, labels, method):
        counts[method] = counts.get(method, 0) + len(labels)
        return certified(module, boxes, labels, method)

    monkeypatch.setattr(_label_certificates, "_certified", counted)
    accuracy = {method: certified_accuracy(model, X, y, eps, method=method) for method in ("linear", "best")}
    counts.clear()
    assert certified_accuracy(model, X, y, eps, method="auto") == accuracy["linear"] > accuracy["best"]
    right = int((model.predict(X) == y).sum())
    assert counts["best"] == right
    doubtful = right - round(accuracy["best"] * N)
    assert round((accuracy["linear"] - accuracy["best"]) * N) <= counts["linear"] < doubtful


@NAMES
def test_what_an_attack_changes_no_method_certifies(fitted, name):
    model, X, _ = fitted[name]
    network = model[-1] if hasattr(model, "steps") else model
    Z = X if network is model else model[:-1].transform(X)
    labels = np.searchsorted(network.classes_, network.predict(Z))
    radius = network.certified_radius(Z, method="auto")
    composition = _label_certificates.Composition.around(network)
    fooled = []
    for factor in (0.0, 0.5, 1.0, 2.0, 20.0):
        eps = form([np.full(z.shape, factor * r) for z, r in zip(Z, radius, strict=True)], Z)
        _, blocks = composition.read(Z, eps)
        found = np.empty(N, dtype=bool)
        for rows, boxes in blocks:
            found[rows] = _is_fooled(network.net_.module_, boxes, labels[rows])
        fooled.append(found.mean())
    assert fooled[:3] == [0, 0, 0]
    assert fooled == sorted(fooled)
    assert fooled[-1] > 0.9


@NAMES
def test_modes_of_the_caller_are_left_alone_and_change_nothing(fitted, name):
    model, X, y = fitted[name]
    network = model[-1] if hasattr(model, "steps") else model
    parameters = list(network.net_.module_.parameters())
    before = [(parameter.requires_grad, parameter.grad) for parameter in parameters]
    eps = float(np.median(certified_radius(model, X)))
    expected = certified_accuracy(model, X, y, eps, method="auto")
    for mode in (torch.inference_mode(), torch.no_grad(), torch.enable_grad()):
        with mode:
            modes = torch.is_inference_mode_enabled(), torch.is_grad_enabled()
            assert certified_accuracy(model, X, y, eps, method="auto") == expected
            assert (torch.is_inference_mode_enabled(), torch.is_grad_enabled()) == modes
    for parameter, (requires_grad, gradient) in zip(parameters, before, strict=True):
        assert parameter.requires_grad == requires_grad
        assert parameter.grad is gradient


@pytest.mark.parametrize("method", ["best", "auto"])
def test_one_length_in_a_list_is_an_array_and_several_lengths_are_each_their_own(fitted, method):
    model, X, y = fitted["lstm"]
    X, y = X[:8], y[:8]
    radius = model.certified_radius(X, method=method)
    np.testing.assert_array_equal(model.certified_radius(list(X), method=method), radius)
    mixed = [x[max(0, i - 4) :] for i, x in enumerate(X)]
    found = model.certified_radius(mixed, method=method)
    np.testing.assert_allclose(found[:5], radius[:5], rtol=0.0101)
    for i in (5, 7):
        np.testing.assert_allclose(found[i], model.certified_radius([mixed[i]], method=method)[0], rtol=0.0101)
    eps = float(np.median(found))
    alone = [model.certified_accuracy([x], [label], eps, method=method) for x, label in zip(mixed, y, strict=True)]
    assert model.certified_accuracy(mixed, y, eps, method=method) == np.mean(alone)


def test_units_of_the_radii(fitted):
    model, X, _ = fitted["lstm"]
    radius = model.certified_radius(X)
    np.testing.assert_array_equal(model.certified_radius(X, scale=1), radius)
    np.testing.assert_array_equal(model.certified_radius(X, scale=[1.0, 1.0]), radius)
    for same in (0.25, np.float32(0.25), [0.25, 0.25], np.full(X.shape[1:], 0.25), np.full((N, 1, 1), 0.25)):
        np.testing.assert_allclose(model.certified_radius(X, scale=same), 4 * radius, rtol=0.0101)
    # The radius is that of a network that sees X / scale.
    scale = np.array([2.0, 0.05])
    other = make_pipeline(SequenceScaler(with_mean=False), model)
    other[0].fit(X)
    other[0].scale_ = 1 / scale
    in_units = certified_radius(other, X / scale)
    np.testing.assert_allclose(model.certified_radius(X, scale=scale), in_units, rtol=0.0101)
    # A channel without errors, and steps without.
    only = model.certified_radius(X, scale=[1.0, 0.0])
    assert (only > radius).all()
    last = np.zeros(X.shape[1:])
    last[-1, 0] = 1
    assert (model.certified_radius(X, scale=last) > 0.99 * only).all()
    assert model.certified_radius(X, scale=[0.0, 1e-30]).min() > 1e20


def test_labels_of_the_scale(fitted):
    model, X, y = fitted["scaled, ragged"]
    frames = [pd.DataFrame(x, columns=["a", "b"]) for x in X]
    named = clone(model).fit(frames, y)
    expected = certified_radius(named, frames, scale=[0.2, 1.0])
    for scale in ({"b": 1.0, "a": 0.2}, pd.Series({"b": 1.0, "a": 0.2})):
        np.testing.assert_array_equal(certified_radius(named, frames, scale=scale), expected)
    with pytest.raises(ValueError, match=r"scale has labels that X has not, \['wind'\]"):
        certified_radius(named, frames, scale={"b": 1.0, "wind": 0.2})


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"scale": 0}, ValueError, "scale must not be zero for every step and channel: "),
        ({"scale": [0.0, 0.0]}, ValueError, "scale must not be zero"),
        ({"scale": np.r_[1.0, np.zeros(N - 1)][:, None, None]}, ValueError, "step and channel of sequence 1: "),
        ({"scale": -1}, ValueError, "scale must be finite and not negative"),
        ({"scale": [1.0, np.nan]}, ValueError, r"scale must be finite and not negative, got nan at \[1\]"),
        ({"scale": [1.0, 1.0, 1.0]}, ValueError, r"scale has shape \(3,\)"),
        ({"scale": "wide"}, TypeError, "scale must be a number"),
        ({"method": "crown"}, ValueError, "method"),
        ({"method": None}, ValueError, "method"),
    ],
)
def test_bad_arguments(fitted, options, error, match):
    model, X, y = fitted["lstm"]
    with pytest.raises(error, match=match):
        model.certified_radius(X, **options)
    if "method" in options:
        with pytest.raises(error, match=match):
            model.certified_accuracy(X, y, 0.1, **options)


def test_regressors_have_no_auto(fitted):
    X, y = signed_sum(40)
    with pytest.raises(ValueError, match="method"):
        TikhonovLSTMRegressor(**QUICK).fit(X, y == y[0]).certify(X, 0.1, method="auto")


def test_paths_hand_all_arguments_on(fitted):
    X, y = signed_sum(80)
    path = RegularizationPathCV(NoisyRNNClassifier(**QUICK), "sigma", [0.1, 0.3], cv=2).fit(X, y)
    best = path.best_estimator_
    options = {"method": "auto", "scale": [0.5, 1.0], "rtol": 0.1}
    np.testing.assert_array_equal(path.certified_radius(X[:9], **options), best.certified_radius(X[:9], **options))
    accuracy = path.certified_accuracy(X, y, 0.02, method="linear")
    assert accuracy == best.certified_accuracy(X, y, 0.02, method="linear")
