"""The estimators on a CUDA device beside the same on the CPU."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.base import is_classifier

import sklstm
from sklstm import Compression, NoisyRNNClassifier, TikhonovGRURegressor, TikhonovLSTMRegressor
from sklstm.training import Checkpoint, _batches, _process
from sklstm.training._batches import fits, resolve_device, to_device
from sklstm.training._process import products_in
from tests.support.coverage import errors_and_ties
from tests.support.estimators import CERTIFIED, CLASSIFIERS
from tests.support.problems import late_mean, signed_sum

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
QUICK = {"hidden_size": 8, "max_epochs": 3, "random_state": 0}
ALL = pytest.mark.parametrize("estimator", CERTIFIED)


def problem(estimator, n=200):
    return signed_sum(n) if estimator in CLASSIFIERS else late_mean(n)


def outputs(model, X):
    return model.decision_function(X) if is_classifier(model) else model.predict(X)


def both(estimator, X, y, **how):
    return [estimator(device=name, **QUICK | how).fit(X, y) for name in ("cpu", "cuda")]


@pytest.mark.parametrize("estimator", [TikhonovLSTMRegressor, TikhonovGRURegressor])
@pytest.mark.parametrize("num_layers", [1, 2])
def test_regressor_agrees_with_the_cpu(estimator, num_layers):
    X, y = late_mean(200)
    host, device = both(estimator, X, y, num_layers=num_layers)
    np.testing.assert_allclose(device.predict(X), host.predict(X), atol=1e-4)
    np.testing.assert_allclose(device.rho_h_, host.rho_h_, rtol=1e-3)
    np.testing.assert_allclose(device.loss_curve_, host.loss_curve_, rtol=1e-3)


@ALL
@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
def test_robust_training_agrees_with_the_cpu(estimator, weight):
    X, y = problem(estimator)
    host, device = both(estimator, X, y, robust_eps=0.1, robust_weight=weight, robust_box=0.5)
    np.testing.assert_allclose(outputs(device, X), outputs(host, X), atol=1e-3)
    np.testing.assert_allclose(device.loss_curve_, host.loss_curve_, rtol=1e-3)


def test_classifier_agrees_with_the_cpu():
    X, y = signed_sum(200)
    host, device = both(NoisyRNNClassifier, X, y)
    np.testing.assert_allclose(device.decision_function(X), host.decision_function(X), atol=1e-3)
    np.testing.assert_allclose(device.loss_curve_, host.loss_curve_, rtol=1e-3)


@ALL
def test_unequal_lengths_weights_and_early_stopping(estimator):
    X, y = problem(estimator)
    ragged = [sequence[: 3 + i % 5] for i, sequence in enumerate(X)]
    weight = np.linspace(0.5, 2, len(X))
    models = [
        estimator(device=name, early_stopping=True, optimizer="sgd", **QUICK).fit(ragged, y, sample_weight=weight)
        for name in ("cpu", "cuda")
    ]
    np.testing.assert_allclose(outputs(models[1], ragged), outputs(models[0], ragged), atol=1e-3)


@ALL
@pytest.mark.parametrize("method", ["best", "linear", "mean-value", "intervals"])
def test_one_networks_predictions_and_certificates_agree(estimator, method):
    """Of the same weights: what differs is rounding."""
    X, y = problem(estimator)
    host = estimator(**QUICK).fit(X, y)
    device = pickle.loads(pickle.dumps(host))
    device.net_.module_.to("cuda")
    np.testing.assert_allclose(outputs(device, X), outputs(host, X), rtol=1e-5, atol=1e-5)
    for eps in (1e-3, 0.1):
        low, high = device.certify(X[:20], eps, method=method)
        own_low, own_high = host.certify(X[:20], eps, method=method)
        np.testing.assert_allclose(low, own_low, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(high, own_high, rtol=1e-4, atol=1e-4)
        # Sound for the outputs as the device computes them, at corners of the box.
        signs = np.sign(np.random.default_rng(0).standard_normal(X[:20].shape))
        exact, _ = device.certify(X[:20] + eps * signs, 0.0)
        assert (low <= exact).all()
        assert (exact <= high).all()


def test_certified_radius_agrees():
    X, y = signed_sum(200)
    host = NoisyRNNClassifier(**QUICK).fit(X, y)
    device = pickle.loads(pickle.dumps(host))
    device.net_.module_.to("cuda")
    ragged = [x[i % 3 :] for i, x in enumerate(X[:20])]
    for sequences in (X[:20], ragged):
        for method in ("best", "auto"):
            found = device.certified_radius(sequences, method=method)
            np.testing.assert_allclose(found, host.certified_radius(sequences, method=method), rtol=0.03)


@ALL
def test_the_bound_is_about_the_predictions_of_the_device(estimator):
    X, y = problem(estimator)
    small = Compression(hidden_size=2, epochs=2, n_stages=2, stage_epochs=1, n_trials=5)
    model = estimator(device="cuda", compression=small, **QUICK).fit(X, y)
    bound = model.generalization_report(X, y)["occam"]
    small = model.quantized(bound)
    if estimator in CLASSIFIERS:
        assert errors_and_ties(small, X, y) == bound.train_loss
    else:
        loss = np.minimum((small.predict(X) - y) ** 2, bound.scale).mean()
        np.testing.assert_allclose(bound.train_loss, loss, rtol=1e-6)


@ALL
def test_a_prediction_does_not_depend_on_its_companions(estimator):
    X, y = problem(estimator)
    model = estimator(device="cuda", **QUICK).fit(X, y)
    np.testing.assert_array_equal(outputs(model, X[7:8]), outputs(model, X)[7:8])


@ALL
def test_data_on_the_host_give_the_same_model_as_data_on_the_device(estimator, monkeypatch):
    X, y = problem(estimator)
    torch.cuda.synchronize()
    resident = estimator(device="cuda", **QUICK).fit(X, y)
    again = estimator(device="cuda", **QUICK).fit(X, y)
    spread = np.abs(outputs(again, X) - outputs(resident, X)).max()  # cuDNN may add up in another order every time
    monkeypatch.setattr(_batches, "fits", lambda n_bytes, device: False)
    streamed = estimator(device="cuda", **QUICK).fit(X, y)
    np.testing.assert_allclose(outputs(streamed, X), outputs(resident, X), rtol=0, atol=max(2 * spread, 1e-6))


def test_what_fits_and_how_it_moves():
    _, total = torch.cuda.mem_get_info()
    assert fits(1, "cuda")
    assert not fits(total, "cuda")
    X = torch.randn(50, 3)
    moved = to_device({"X": X}, "cuda")["X"]
    assert moved.device.type == "cuda"
    assert torch.equal(moved.cpu(), X)


def test_auto_is_this_device():
    assert resolve_device("auto") == "cuda"
    X, y = late_mean(60)
    model = TikhonovLSTMRegressor(device="auto", **QUICK).fit(X, y)
    assert model.device == "auto"
    assert model.net_.device == "cuda"
    assert {weight.device.type for weight in model.net_.module_.parameters()} == {"cuda"}


def roundings():
    return [setting.read() for setting in _process._ROUNDINGS["cuda"]]


@ALL
@pytest.mark.parametrize("precision", ["float32", "tf32", "bfloat16"])
def test_every_precision_trains_and_restores_the_settings(estimator, precision):
    X, y = problem(estimator)
    before = roundings()
    host = estimator(**QUICK | {"max_epochs": 15}).fit(X, y)
    model = estimator(device="cuda", precision=precision, **QUICK | {"max_epochs": 15}).fit(X, y)
    assert roundings() == before
    assert {weight.dtype for weight in model.net_.module_.parameters()} == {torch.float32}
    way = host.loss_curve_[0] - host.loss_curve_[-1]
    assert abs(model.loss_curve_[-1] - host.loss_curve_[-1]) < 0.1 * way
    # Predictions are float32's, whatever the precision of training.
    on_cpu = pickle.loads(pickle.dumps(model))
    on_cpu.net_.module_.to("cpu")
    np.testing.assert_allclose(outputs(model, X), outputs(on_cpu, X), rtol=1e-5, atol=1e-5)


def test_products_are_rounded_as_asked():
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(256, 256, generator=generator, dtype=torch.float64) for _ in range(2))
    exact = a @ b

    def error(precision):
        with products_in(precision, "cuda"):
            return ((a.float().cuda() @ b.float().cuda()).cpu().double() - exact).abs().max().item()

    assert error("float32") < 1e-3
    if torch.cuda.get_device_capability() >= (8, 0):
        assert error("tf32") > 1e-3


IN_ANOTHER_PROCESS = """
import pickle, sys, warnings
import numpy as np, sklstm
warnings.simplefilter("ignore")
X = np.load(sys.argv[1] + "/X.npy")
loaded = sklstm.load(sys.argv[1] + "/model.safetensors")
with open(sys.argv[1] + "/model.pickle", "rb") as file:
    unpickled = pickle.load(file)
for model in (loaded, unpickled):
    assert model.device == "cpu" and model.net_.device == "cpu", model.device
np.save(sys.argv[1] + "/outputs.npy", [loaded.predict(X), unpickled.predict(X)])
"""


def test_saved_on_the_device_and_loaded_where_there_is_none(tmp_path, monkeypatch):
    X, y = late_mean(100)
    model = TikhonovLSTMRegressor(device="cuda", **QUICK).fit(X, y)
    model.save(tmp_path / "model.safetensors")
    (tmp_path / "model.pickle").write_bytes(pickle.dumps(model))
    np.save(tmp_path / "X.npy", X)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    subprocess.run([sys.executable, "-c", IN_ANOTHER_PROCESS, str(tmp_path)], check=True, timeout=120)
    for found in np.load(tmp_path / "outputs.npy"):
        np.testing.assert_allclose(found, model.predict(X), rtol=1e-5, atol=1e-5)


@ALL
def test_a_model_goes_on_where_it_was(estimator, tmp_path):
    X, y = problem(estimator)
    model = estimator(device="cuda", **QUICK).fit(X, y)
    model.save(tmp_path / "model.safetensors")
    for again in (pickle.loads(pickle.dumps(model)), sklstm.load(tmp_path / "model.safetensors")):
        assert {weight.device.type for weight in again.net_.module_.parameters()} == {"cuda"}
        np.testing.assert_allclose(outputs(again, X), outputs(model, X), rtol=1e-6, atol=1e-6)
        again.partial_fit(X, y)
        assert again.n_iter_ == QUICK["max_epochs"] + 1


def test_a_checkpoint_on_the_device(tmp_path):
    X, y = late_mean(100)
    model = TikhonovGRURegressor(device="cuda", callbacks=[Checkpoint(tmp_path, every=1)], **QUICK)
    first = model.fit(X, y).predict(X)
    np.testing.assert_array_equal(model.fit(X, y).predict(X), first)
