"""`NoisyRNNClassifier(activation="tanh")`: the same estimator around other units."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn

import sklstm
from sklstm import Compression, NoisyRNNClassifier
from sklstm.generalization import rademacher_bound
from sklstm.model_selection import RegularizationPathCV
from tests.support.attacks import signed_gradient
from tests.support.coverage import errors_and_ties
from tests.support.problems import signed_sum

QUICK = {"hidden_size": 6, "max_epochs": 15, "random_state": 0, "activation": "tanh"}
METHODS = ("intervals", "mean-value", "best", "linear")
N = 12


@pytest.fixture(scope="module")
def data():
    return signed_sum(200)


@pytest.fixture(scope="module")
def model(data):
    small = Compression(hidden_size=2, epochs=60, n_trials=10, lr=0.05)
    return NoisyRNNClassifier(compression=small, **QUICK).fit(*data)


def in_float64(model):
    """The network of torch's own layer in float64, as a function of X (n, L, d)."""
    network = model.net_.module_
    layer = nn.RNN(
        network.U.shape[1], len(network.U), nonlinearity="tanh", bias=False, batch_first=True, device="meta"
    ).to_empty(device="cpu")
    layer = layer.double()
    layer.load_state_dict({"weight_ih_l0": network.U.double(), "weight_hh_l0": network.W.double()})
    return lambda X: layer(X)[0][:, -1] @ network.V.detach().double().T


def test_outputs_are_those_of_the_recursion_and_of_torchs_layer_in_float64(model, data):
    X, _ = data
    U, W, V = (w.detach().double().numpy() for w in (model.net_.module_.U, model.net_.module_.W, model.net_.module_.V))
    h = np.zeros((len(X), len(U)))
    for t in range(X.shape[1]):
        h = np.tanh(X[:, t] @ U.T + h @ W.T)
    with torch.no_grad():
        np.testing.assert_allclose(in_float64(model)(torch.from_numpy(X)), h @ V.T, rtol=1e-12, atol=1e-12)
    decision = (h @ V.T) @ [-1, 1]
    np.testing.assert_allclose(model.decision_function(X), decision, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(model.decision_function(-X), -model.decision_function(X))  # no biases
    assert model.score(X, data[1]) > 0.9
    companions = model.decision_function(X[3:10])
    np.testing.assert_array_equal(companions, model.decision_function(X)[3:10])


def test_the_default_is_the_relu_bit_for_bit(data):
    X, y = data
    plain = {name: value for name, value in QUICK.items() if name != "activation"}
    default, named = (NoisyRNNClassifier(**plain, **how).fit(X, y) for how in ({}, {"activation": "relu"}))
    np.testing.assert_array_equal(default.decision_function(X), named.decision_function(X))
    assert default.net_.module_.cell == "relu"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("eps", [0.003, 0.1])
def test_no_attack_leaves_the_certificate(model, data, method, eps):
    X = data[0][:N]
    lower, upper = (torch.from_numpy(end) for end in model.certify(X, eps, method=method))
    function, there = in_float64(model), torch.from_numpy(X)
    # Of a classifier the bounds are those of the logits.
    for output in range(lower.shape[1]):
        for sign in (1, -1):
            found = function(signed_gradient(function, there, eps, output, sign)).detach()
            assert ((lower <= found) & (found <= upper)).all()
            if method == "linear" and eps == 0.003:  # and little room is left
                edge = (upper if sign == 1 else lower)[:, output]
                centre = function(there).detach()[:, output]
                assert (found[:, output] - centre).abs().sum() > 0.8 * (edge - centre).abs().sum()


def test_radii_hold_and_robust_training_enlarges_them(model, data):
    X, y = data
    radii = model.certified_radius(X[:N])
    predicted = model.predict(X[:N])
    function = in_float64(model)
    wrong_way = np.where(predicted == model.classes_[0], 1, 0)
    for index, radius in enumerate(radii):
        x = torch.from_numpy(X[index : index + 1])
        other = int(wrong_way[index])
        attacked = signed_gradient(lambda z, o=other: function(z)[:, [o]] - function(z)[:, [1 - o]], x, radius, 0, 1)
        assert (function(attacked)[0, other] <= function(attacked)[0, 1 - other]).item()
    robust = clone(model).set_params(robust_eps=0.1, compression=None, max_epochs=30).fit(X, y)
    small, large = (np.quantile(each.certified_radius(X[:N]), 0.25) for each in (model, robust))
    assert large > 1.3 * small
    assert model.certified_accuracy(X[:N], y[:N], 0.01) <= model.score(X[:N], y[:N])


def test_its_report_has_the_bound_that_converges_and_none_of_the_relus(model, data):
    X, y = data
    report = model.generalization_report(X, y)
    assert {bound.name for bound in report.bounds} == {"rademacher", "occam"}
    assert "Theorems 1 to 3 of Tu, He & Tao are about ReLU units" in str(report)
    weights = [w.detach().double() for w in (model.net_.module_.U, model.net_.module_.W, model.net_.module_.V)]
    codes = (y == model.classes_[1]).astype(int)
    expected = rademacher_bound(*weights, X, codes, margin=None, delta=model.delta, activation="tanh")
    assert report["rademacher"].value == expected.value
    plain = clone(model).set_params(compression=None).fit(X, y)
    again = plain.generalization_report(X, y)
    assert plain.generalization_bound_ == again.value == again["occam"].value
    quantized = model.quantized(report["occam"])
    assert quantized.net_.module_.cell == "tanh"
    assert errors_and_ties(quantized, X, y) == report["occam"].train_loss < 0.3


def test_limits_on_the_norms_enter_its_bound(data):
    X, y = data
    limits = {"max_norm_u": 1.0, "max_norm_w": 0.5, "max_norm_v": 2.0}
    bound = NoisyRNNClassifier(**QUICK, **limits).fit(X, y).generalization_report(X, y)["rademacher"]
    assert [bound.beta_u, bound.beta_w, bound.beta_v] == pytest.approx(list(limits.values()), rel=2e-5)


def test_leading_zeros_are_not_seen_so_that_ragged_reports_are_those_of_padded_data(data):
    X, y = data
    ragged = [x[i % 4 :] for i, x in enumerate(X)]
    padded = np.stack([np.concatenate([np.zeros((i % 4, X.shape[2])), x]) for i, x in enumerate(ragged)])
    model = NoisyRNNClassifier(sigma=0.0, **QUICK).fit(ragged, y)
    np.testing.assert_allclose(model.decision_function(ragged), model.decision_function(padded), rtol=1e-5, atol=1e-6)
    margin_loss = model.generalization_report(ragged, y)["rademacher"].margin_loss
    weights = [w.detach().double() for w in (model.net_.module_.U, model.net_.module_.W, model.net_.module_.V)]
    codes = (y == model.classes_[1]).astype(int)
    assert margin_loss == rademacher_bound(*weights, padded, codes, margin=None, activation="tanh").margin_loss


def test_random_noise_smoothing_files_and_going_on(model, data, tmp_path):
    X, y = data
    lower, upper = sklstm.noise_interval(model, X[:3], 0.1, n_draws=50, random_state=0)
    assert (lower < upper).all()
    _, radius = sklstm.smoothed_radius(model, X[:3], 0.1, n_draws=50, random_state=0)
    assert (radius >= 0).all()
    model.save(tmp_path / "model.safetensors")
    loaded = sklstm.load(tmp_path / "model.safetensors")
    assert loaded.activation == "tanh"
    np.testing.assert_array_equal(loaded.decision_function(X), model.decision_function(X))
    loaded.partial_fit(X, y)
    assert loaded.net_.module_.cell == "tanh"
    other = clone(model).set_params(warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="warm_start=False"):
        other.set_params(activation="relu").fit(X, y)


def test_a_path_trains_its_models_one_by_one(data):
    X, y = data
    path = RegularizationPathCV(NoisyRNNClassifier(**QUICK | {"max_epochs": 3}), "sigma", [0.0, 0.5], cv=2).fit(X, y)
    alone = NoisyRNNClassifier(**QUICK | {"max_epochs": 3, "sigma": path.best_params_["sigma"]}).fit(X, y)
    np.testing.assert_array_equal(path.predict(X), alone.predict(X))
