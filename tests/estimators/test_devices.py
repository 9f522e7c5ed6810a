"""``device``: what "auto" comes to and when, and what an absent device does; on machines that need not have one."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn
from torch.utils._foreach_utils import _get_fused_kernels_supported_devices

import sklstm
from sklstm import TikhonovLSTMRegressor
from sklstm._sequences import Sequences
from sklstm.estimators._base import FitData
from sklstm.estimators._classifiers import RowNorms
from sklstm.estimators._reports import set_bound
from sklstm.training import _batches, _snapshot, _train
from sklstm.training._train import OPTIMIZERS
from tests.support.estimators import CERTIFIED, CLASSIFIERS
from tests.support.no_float64 import Elsewhere, elsewhere, replace_weights, such_a_device
from tests.support.problems import late_mean, signed_sum

ALL = pytest.mark.parametrize("estimator", CERTIFIED)
QUICK = {"hidden_size": 4, "max_epochs": 2, "random_state": 0}


def problem(estimator):
    return signed_sum(60) if estimator in CLASSIFIERS else late_mean(60)


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@ALL
def test_auto_without_a_gpu_is_the_cpu_and_stays_auto(estimator, no_gpu):
    X, y = problem(estimator)
    model = estimator(device="auto", **QUICK).fit(X, y)
    assert model.device == model.get_params()["device"] == clone(model).device == "auto"
    assert model.net_.device == "cpu"
    np.testing.assert_array_equal(model.predict(X), estimator(**QUICK).fit(X, y).predict(X))


def test_auto_is_decided_in_fit_and_not_before(monkeypatch):
    def asked():
        raise RuntimeError("asked for CUDA")

    monkeypatch.setattr(torch.cuda, "is_available", asked)
    model = clone(TikhonovLSTMRegressor(device="auto", **QUICK)).set_params(lr=0.01)
    with pytest.raises(RuntimeError, match="asked for CUDA"):
        model.fit(*late_mean(20))
    assert not hasattr(model, "net_")


def test_what_auto_came_to_is_what_the_process_is_checked_for(monkeypatch):
    monkeypatch.setattr(_train, "resolve_device", lambda device: "cuda" if device == "auto" else device)
    monkeypatch.setattr(torch.cuda, "_is_in_bad_fork", lambda: True)
    with pytest.raises(RuntimeError, match="device='cuda' cannot be used in this process"):
        TikhonovLSTMRegressor(device="auto", **QUICK).fit(*late_mean(20))


@ALL
@pytest.mark.parametrize("device", ["cuda:99", "mps:99", "meta", "abacus", torch.device("cuda", 99)])
def test_an_absent_device_is_refused_before_any_work(estimator, device):
    model = estimator(device=device)
    before = dict(vars(model))
    with pytest.raises(ValueError, match=r"device=.* is not a device that torch can use here"):
        model.fit("not even data", None)
    assert vars(model) == before


def test_models_that_were_on_a_card_come_back_where_there_is_none(no_gpu, tmp_path, monkeypatch):
    """The parameter "auto" has no need of a warning, which would be an error here."""
    X, y = late_mean(60)
    model = TikhonovLSTMRegressor(device="auto", **QUICK).fit(X, y)
    monkeypatch.setattr(_snapshot, "device_of", lambda module: "cuda:0")
    model.save(tmp_path / "model.safetensors")
    loaded = [
        sklstm.load(tmp_path / "model.safetensors"),
        sklstm.load(tmp_path / "model.safetensors", device="auto"),
        TikhonovLSTMRegressor.load(tmp_path / "model.safetensors"),
        pickle.loads(pickle.dumps(model)),
    ]
    for again in loaded:
        assert again.device == "auto"
        assert again.net_.device == "cpu"
        np.testing.assert_array_equal(again.predict(X), model.predict(X))
        again.partial_fit(X, y)
    model.device = "cuda"
    with pytest.warns(UserWarning, match="loaded onto the CPU"):
        again = pickle.loads(pickle.dumps(model))
    assert again.device == "cpu"


def test_a_model_by_name_becomes_auto_on_request(no_gpu, tmp_path):
    X, y = late_mean(60)
    TikhonovLSTMRegressor(**QUICK).fit(X, y).save(tmp_path / "model.safetensors")
    again = sklstm.load(tmp_path / "model.safetensors", device="auto")
    assert (again.device, again.net_.device) == ("auto", "cpu")


@ALL
def test_data_that_do_not_fit_give_the_same_model(estimator, monkeypatch):
    """They stay on the host, and batches and blocks take the way over `to_device`."""
    asked = []

    def too_large(n_bytes, device):
        asked.append(n_bytes)
        return False

    X, y = problem(estimator)
    resident = estimator(**QUICK).fit(X, y)
    monkeypatch.setattr(_batches, "fits", too_large)
    streamed = estimator(**QUICK).fit(X, y)
    np.testing.assert_array_equal(streamed.predict(X), resident.predict(X))
    assert streamed.loss_curve_ == resident.loss_curve_
    assert streamed.generalization_bound_ == resident.generalization_bound_
    assert set(asked) == {4 * X.size}


@pytest.fixture
def there():
    """A regressor and a classifier, fitted, whose weights are on a device without float64."""
    models = [make(**QUICK).fit(*problem(make)) for make in CERTIFIED]
    twins = pickle.loads(pickle.dumps(models))
    for twin in twins:
        replace_weights(twin.net_.module_, elsewhere)
    with such_a_device():
        yield list(zip(models, twins, strict=True))


def test_gains_of_weights_on_a_device_without_float64(there):
    for model, twin in there[:2]:
        assert all(type(weight) is Elsewhere for weight in twin.net_.module_.parameters())
        expected = model.rho_x_, model.rho_h_, model.perturbation_gain_
        twin.rho_x_ = twin.rho_h_ = twin.perturbation_gain_ = None
        twin._set_fitted(twin.net_)
        assert (twin.rho_x_, twin.rho_h_, twin.perturbation_gain_) == expected


@pytest.mark.parametrize("method", ["best", "linear"])
def test_certificates_of_a_network_on_a_device_without_float64(there, method):
    for model, twin in there:
        X, _ = problem(type(model))
        for found, expected in zip(
            twin.certify(X[:4], 0.1, method=method), model.certify(X[:4], 0.1, method=method), strict=True
        ):
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)  # sums may be taken in another order


def test_projections_of_weights_on_a_device_without_float64(there):
    model, twin = there[2]
    for each in (model, twin):
        RowNorms(0.5, 0.5, 0.5)(each.net_.module_)
    for expected, found in zip(model.net_.module_.parameters(), twin.net_.module_.parameters(), strict=True):
        assert type(found) is Elsewhere
        assert torch.equal(found.cpu(), expected)
        assert expected.abs().sum(dim=1).max() <= 0.5


def test_bound_of_a_regressor_on_a_device_without_float64(there):
    for model, twin in there[:2]:
        X, y = late_mean(60)
        for each in (model, twin):
            set_bound(each, FitData(Sequences(X), y, None))
        assert twin.generalization_bound_ == model.generalization_bound_


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_optimisers_are_fused_where_torch_has_it_for_every_device(name):
    kind, options = OPTIMIZERS[name]
    asked = {key.removeprefix("optimizer__"): value for key, value in options.items()}
    made = kind([nn.Parameter(torch.zeros(2))], lr=0.1, **asked)
    assert bool(made.defaults["fused"]) == (name != "sgd")
    assert {"cpu", "cuda", "mps"} <= set(_get_fused_kernels_supported_devices())
