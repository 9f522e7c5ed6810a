"""The linear part of regressors: their start, what trains it, and that nothing they say leaves it out."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import Ridge as SklearnRidge

import sklstm
from sklstm import Compression, TikhonovLSTMRegressor
from sklstm.estimators._tikhonov import NetworkPenalty
from sklstm.model_selection import RegularizationPathCV
from sklstm.networks import LSTMNetwork
from sklstm.persistence._onnx import onnx_model
from sklstm.tikhonov import perturbation_gain, tikhonov_gains, tikhonov_penalty
from sklstm.training._linear_start import Ridge
from tests.support.estimators import REGRESSORS

FEW = {"max_epochs": 2, "random_state": 0}
UNMOVED = {**FEW, "max_epochs": 1, "lr": 1e-30}
KINDS = pytest.mark.parametrize("kind", REGRESSORS)
LAST = {"skip": "last", "skip_channel": [1, 0]}
SKIPS = pytest.mark.parametrize("skip", [{"skip": "linear"}, LAST], ids=["linear", "last"])


def problem(n=60, n_steps=6, seed=0):
    """Two outputs, mostly linear in the last steps of two channels."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, n_steps, 2))
    y = X[:, -1, ::-1] + 0.5 * X[:, -2] + 0.1 * X[:, -1] ** 2 + 0.1 * rng.standard_normal((n, 2))
    return X, y


def flat(X):
    return X.reshape(len(X), -1)


def weights_of(model):
    """V, A and b of a fitted network in float64."""
    module = model.net_.module_
    return (part.detach().double() for part in (module.readout.weight, module.linear_part.weight, module.readout.bias))


@KINDS
@pytest.mark.parametrize("sigma", [0.0, 0.5])
def test_training_begins_with_ridge_regression(kind, sigma, monkeypatch):
    found = []
    monkeypatch.setattr(
        Ridge, "_read", classmethod(lambda cls, *args, read=Ridge._read: found.append(read(*args)) or found[-1])
    )
    X, y = problem()
    weight = np.random.default_rng(1).uniform(0.5, 2, len(X))
    model = kind(4, skip="linear", sigma=sigma, num_layers=2, **UNMOVED).fit(X, y, sample_weight=weight)
    weight /= weight.mean()
    ridge = SklearnRidge(found[0].chosen_penalty + sigma**2 * len(X)).fit(flat(X), y, sample_weight=weight)
    np.testing.assert_allclose(model.predict(X), ridge.predict(flat(X)), atol=1e-5)
    assert model.perturbation_gain_ == pytest.approx((ridge.coef_**2).sum(), rel=1e-5)


@KINDS
def test_training_adds_what_is_not_linear(kind):
    X, _ = problem(300)
    y = X[:, -1, 0] + np.abs(X[:, -1, 1])
    plain = {"lambda_s": 0.0, "lambda_1": 0.0, "lambda_2": 0.0, "random_state": 0}
    model = kind(8, skip="linear", max_epochs=30, lr=0.01, **plain).fit(X, y)
    ridge = SklearnRidge(1.0).fit(flat(X), y)
    losses = model.loss_curve_
    assert losses[0] < 1.1 * np.mean((ridge.predict(flat(X)) - y) ** 2)  # no step back at the beginning
    assert losses[-1] < 0.3 * losses[0]


@KINDS
def test_early_stopping_hides_its_validation_data_from_the_start(kind, monkeypatch):
    seen = []
    monkeypatch.setattr(
        Ridge, "of", classmethod(lambda cls, data, *more, of=Ridge.of: seen.append(data) or of(data, *more))
    )
    X, y = problem()
    kind(4, skip="linear", early_stopping=True, validation_fraction=0.25, **FEW).fit(X, y)
    (data,) = seen
    assert len(data) == 45


def test_a_path_solves_each_fold_once_whatever_sigma(monkeypatch):
    read = []
    monkeypatch.setattr(Ridge, "_read", classmethod(lambda cls, *args, one=Ridge._read: read.append(1) or one(*args)))
    X, y = problem()
    for stopping in (False, True):
        model = TikhonovLSTMRegressor(4, skip="linear", early_stopping=stopping, **FEW)
        path = RegularizationPathCV(model, "sigma", [0.0, 0.1, 0.5], cv=2, shared_fraction=0).fit(X, y[:, 0])
        assert np.isfinite(path.score_path_).all()
        assert len(read) == 3  # two folds and all data
        read.clear()


@KINDS
def test_the_penalty_has_the_noise_of_the_linear_part_too(kind):
    X, y = problem()
    model = kind(4, skip="linear", max_epochs=3, random_state=0).fit(X, y)
    V, A, _ = weights_of(model)
    module = model.net_.module_
    layers = [tuple(part.detach().double() for part in layer) for layer in module.layers]
    gains = [tikhonov_gains(W, U, bias, cell=module.cell) for W, U, _, bias in layers]
    assert model.perturbation_gain_ == pytest.approx((perturbation_gain(gains, V) + (A**2).sum()).item(), rel=1e-12)
    # Value and gradient of the penalty that trains, against autograd through `tikhonov_penalty`.
    lambdas = {"lambda_s": 0.3, "lambda_1": 10.0, "lambda_2": 10.0}
    module = module.double()
    module.zero_grad()
    for parameter in module.parameters():
        parameter.grad = torch.zeros_like(parameter)
    value = NetworkPenalty(module.cell, cadence=1, **lambdas)(module)
    found = {name: parameter.grad.clone() for name, parameter in module.named_parameters()}
    module.zero_grad()
    W, U, _, biases = zip(*module.layers, strict=True)
    expected = tikhonov_penalty(
        W,
        U,
        module.readout.weight,
        cell=module.cell,
        bias_hh=biases,
        weight_linear=module.linear_part.weight,
        **lambdas,
    )
    expected.backward()
    assert value == pytest.approx(expected.item(), rel=1e-9)
    for name, parameter in module.named_parameters():
        gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        torch.testing.assert_close(found[name], gradient, rtol=1e-6, atol=1e-9)
    assert found["linear_part.values"].any()


def test_without_lambda_there_is_no_penalty_and_a_fixed_part_has_no_gradient():
    X, y = problem()
    model = TikhonovLSTMRegressor(4, skip="linear", lambda_s=0.0, lambda_1=0.0, lambda_2=0.0, **FEW).fit(X, y)
    assert set(model.net_.history[:, "penalty"]) == {0.0}
    model = TikhonovLSTMRegressor(4, lambda_s=0.5, num_layers=2, **LAST, **FEW).fit(X, y)
    assert model.perturbation_gain_ > 2  # what the selection lets through: one for each output
    assert min(model.net_.history[:, "penalty"]) >= 0.5 * 2


@KINDS
@SKIPS
def test_certificates_hold_and_without_a_recurrent_part_nothing_is_lost(kind, skip):
    X, y = problem()
    model = kind(4, num_layers=2, max_epochs=5, random_state=0, **skip).fit(X, y)
    rng = np.random.default_rng(2)
    for method in ("intervals", "mean-value", "best", "linear"):
        lower, upper = model.certify(X[:10], 0.2, method=method)
        for _ in range(20):
            y_near = model.predict(X[:10] + 0.2 * rng.choice([-1, 1], X[:10].shape))
            assert ((lower <= y_near) & (y_near <= upper)).all()
    _, A, _ = weights_of(model)
    model.net_.module_.readout.weight.data.zero_()
    exact = 0.2 * A.abs().sum(1).numpy()
    for method in ("intervals", "mean-value", "best", "linear"):
        lower, upper = model.certify(X[:10], 0.2, method=method)
        np.testing.assert_allclose((upper - lower) / 2, np.broadcast_to(exact, upper.shape), rtol=1e-4)


@SKIPS
def test_quantised_predictor_and_compression_have_the_linear_part(skip):
    X, y = problem()
    few = {"epochs": 1, "stage_epochs": 1, "n_stages": 1, "n_trials": 2, "coarseness": (16.0,)}
    for compression in (None, Compression(hidden_size=2, **few), Compression(subspace=4, **few)):
        model = TikhonovLSTMRegressor(3, compression=compression, max_epochs=2, random_state=0, **skip).fit(X, y)
        bound = model.generalization_report(X, y)["occam"]
        small_model = model.quantized(bound)
        # A selection is known without the data: it has no bits.
        assert ("linear_part.values" in bound.weights) == (skip["skip"] == "linear")
        losses = np.minimum(((y - small_model.predict(X)) ** 2).mean(1), bound.scale)
        assert losses.mean() == pytest.approx(bound.train_loss, rel=1e-6)
        lower, upper = small_model.certify(X[:3], 0.1)
        assert (lower < upper).all()
    _, A, _ = weights_of(small_model)
    assert A.shape == ((2, 12) if skip["skip"] == "linear" else (2, 2))


@pytest.mark.filterwarnings("ignore::sklstm.exceptions.DataWarning")  # it is about such levels
def test_the_last_value_of_a_channel_by_number_or_label():
    X, y = problem()
    level = X.copy()
    level[:, -1] += 1000  # a level that no readout could reach in two epochs
    model = TikhonovLSTMRegressor(4, skip="last", skip_channel=1, **FEW).fit(level, y[:, 0] + 1000)
    assert np.abs(model.predict(level) - level[:, -1, 1]).max() < 20
    frames = [pd.DataFrame(x, columns=["temperature", "load"]) for x in level]
    by_label = TikhonovLSTMRegressor(4, skip="last", skip_channel="load", **FEW).fit(frames, y[:, 0] + 1000)
    np.testing.assert_array_equal(by_label.predict(frames), model.predict(level))
    names = [f"{name} {t}" for t in range(6) for name in ("temperature", "load")]
    rows = pd.DataFrame(flat(level), columns=names)
    by_column = TikhonovLSTMRegressor(4, skip="last", skip_channel="load 5", n_channels=2, **FEW)
    np.testing.assert_array_equal(by_column.fit(rows, y[:, 0] + 1000).predict(rows), model.predict(level))
    alone = TikhonovLSTMRegressor(4, skip="last", **UNMOVED).fit(X[:, :, :1], X[:, -1, 0] + 3)
    np.testing.assert_allclose(alone.predict(X[:, :, :1]), X[:, -1, 0] + 3, atol=1e-5)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"skip": "last"}, "skip='last' needs skip_channel: which of the 2 channels"),
        ({"skip": "last", "skip_channel": 2}, "skip_channel=2: there is no channel 2 among the 2 of X, which have no"),
        ({"skip": "last", "skip_channel": "load"}, "there is no channel 'load' among the 2 of X, which have no names"),
        ({"skip": "last", "skip_channel": [0]}, "skip_channel has 1 channels, but y has 2 outputs"),
        ({"skip": "last", "skip_channel": 0, "readout": "logistic"}, "Use skip='linear' or readout='linear'"),
    ],
)
def test_a_channel_that_cannot_be_is_refused(parameters, message):
    X, y = problem()
    with pytest.raises(ValueError, match=message.replace("[", r"\[")):
        TikhonovLSTMRegressor(4, **parameters, **FEW).fit(X, (y > 0).astype(float))


def test_a_label_that_is_none_of_the_channels_is_refused_with_their_names():
    X, y = problem()
    frames = [pd.DataFrame(x, columns=["temperature", "load"]) for x in X]
    with pytest.raises(ValueError, match="no channel 'wind' among the 2 of X, 'temperature', 'load'"):
        TikhonovLSTMRegressor(4, skip="last", skip_channel="wind", **FEW).fit(frames, y)


@KINDS
def test_ragged_sequences_share_the_last_steps_and_shorter_ones_begin_with_zeros(kind):
    X, y = problem()
    ragged = [x[i % 3 :] for i, x in enumerate(X)]  # of 4 to 6 steps
    model = kind(4, skip="linear", **UNMOVED).fit(ragged, y)
    _, A, b = (part.numpy() for part in weights_of(model))
    assert A.shape == (2, 4 * 2)
    np.testing.assert_allclose(model.predict(ragged), flat(X[:, -4:]) @ A.T + b, atol=1e-5)
    longer = np.concatenate((X, X), axis=1)
    np.testing.assert_allclose(model.predict(longer), flat(X[:, -4:]) @ A.T + b, atol=1e-5)
    shorter = X[:, -2:]
    np.testing.assert_allclose(model.predict(shorter), flat(shorter) @ A[:, -4:].T + b, atol=1e-5)
    lower, upper = model.certify(shorter, 0.1)
    np.testing.assert_allclose((upper - lower)[:, 0], 0.2 * np.abs(A[0, -4:]).sum(), rtol=1e-4)


@KINDS
def test_later_calls_keep_what_the_first_has_started(kind):
    X, y = problem()
    model = kind(4, skip="linear", **UNMOVED).partial_fit(X[:30, 2:], y[:30])  # four steps
    before = [part.clone() for part in weights_of(model)]
    model.partial_fit(X[30:], y[30:])  # six steps: A reads four, and no new ridge solution is made
    model.set_params(warm_start=True).fit(X, -y)
    for old, new in zip(before, weights_of(model), strict=True):
        torch.testing.assert_close(new, old)
    assert before[1].shape == (2, 8)
    with pytest.raises(ValueError, match="its skip_steps is 4, but now 0 is requested"):
        model.set_params(skip="none").fit(X, y)


@SKIPS
def test_a_saved_model_and_its_graph_say_the_same(skip, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    X, y = problem()
    model = TikhonovLSTMRegressor(4, **skip, **FEW).fit(X, y)
    model.save(tmp_path / "model")
    loaded = sklstm.load(tmp_path / "model")
    assert loaded.get_params() == model.get_params()
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    graph = onnxruntime.InferenceSession(loaded.to_onnx().SerializeToString(), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(graph.run(None, {"X": X.astype(np.float32)})[0], model.predict(X), atol=1e-5)


def test_without_skip_networks_are_those_of_before():
    X, y = problem()
    module = TikhonovLSTMRegressor(4, skip="none", **FEW).fit(X, y).net_.module_
    assert module.linear_part is None
    with torch.random.fork_rng():
        assert list(module.state_dict()) == list(LSTMNetwork(2, 4, 2).state_dict())
    assert "linear" not in str(onnx_model(module).graph.node)
