"""What the caller has set in torch for their own work changes nothing here: not one bit, and no error."""

import copy
import pickle
from contextlib import contextmanager

import numpy as np
import pytest
import torch

import sklstm
from sklstm import Compression, NoisyRNNClassifier, TikhonovGRURegressor, TikhonovLSTMRegressor
from sklstm.training import Checkpoint
from tests.support.coverage import quantised
from tests.support.estimators import CERTIFIED, CLASSIFIERS

QUICK = {"max_epochs": 2, "batch_size": 16, "random_state": 0}
EACH = pytest.mark.parametrize("estimator", CERTIFIED)


@contextmanager
def default_dtype(dtype):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def default_device(device):
    torch.set_default_device(device)
    try:
        yield
    finally:
        torch.set_default_device(None)


@contextmanager
def matmul_precision(name):
    torch.set_float32_matmul_precision(name)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision("highest")


SURROUNDINGS = {
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "device context": lambda: torch.device("meta"),
    "default device": lambda: default_device("meta"),
    "float64": lambda: default_dtype(torch.float64),
    "float16": lambda: default_dtype(torch.float16),
    "bfloat16": lambda: default_dtype(torch.bfloat16),
    "medium": lambda: matmul_precision("medium"),
}
ALL = pytest.mark.parametrize("surroundings", SURROUNDINGS.values(), ids=SURROUNDINGS)


def problem(estimator):
    X = np.random.default_rng(0).standard_normal((40, 5, 2))
    return X, X[:, -1, 0] > 0 if estimator in CLASSIFIERS else X[:, -1, 0]


def results(estimator, folder):
    """Name -> what comes out of a call, as arrays."""
    X, y = problem(estimator)
    ragged = [sequence[: 2 + i % 4] for i, sequence in enumerate(X)]
    model = estimator(5, sigma=0.1, early_stopping=True, **QUICK).fit(X, y, sample_weight=np.linspace(0.5, 2, 40))
    found = {
        "fit": model.loss_curve_,
        "bound": model.generalization_bound_,
        "predict": model.predict(X),
        "predict ragged": model.predict(ragged),
        "certify ragged": model.certify(ragged, 0.1, method="mean-value"),
        "best": model.certify(X[:3], 0.01),
        "linear": model.certify(X[:3], 0.01, method="linear"),
        "exact": model.certify(X[:3], 0.0),
        "noise": sklstm.noise_interval(model, X[:3], 0.1, coverage=0.5, confidence=0.9, random_state=0),
        "conformal": sklstm.prediction_interval(model, X[3:9], y[3:9], X[:3], coverage=0.5, eps=0.01),
        "report": [bound.value for bound in model.generalization_report(X, y).bounds],
        "quantized": quantised(model, X, y).predict(X),
        "holdout": model.holdout_bound(X[1:], y[1:]).value,
        "pickle": pickle.loads(pickle.dumps(model)).predict(X),
        "copy": copy.deepcopy(model).predict(X),
    }
    if estimator in CLASSIFIERS:
        found["radius"] = model.certified_radius(X[:3])
        found["votes"] = sklstm.smoothed_radius(model, X[:3], 0.1, n_draws=50, random_state=0)[1]
        found["probabilities"] = model.predict_proba(X)
    model.save(folder / "model.safetensors")
    loaded = sklstm.load(folder / "model.safetensors")
    found["load"] = loaded.predict(X)
    loaded.early_stopping = False
    found["partial_fit"] = loaded.partial_fit(X, y).loss_curve_
    return found


def differences(one, other):
    return [name for name in one if not np.array_equal(np.asarray(one[name]), np.asarray(other[name]))]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    known = {}

    def of(estimator):
        if estimator not in known:
            known[estimator] = results(estimator, tmp_path_factory.mktemp("undisturbed"))
        return known[estimator]

    return of


@EACH
@ALL
def test_everything_is_as_without(estimator, surroundings, undisturbed, tmp_path):
    expected = undisturbed(estimator)
    with surroundings():
        state = torch.get_default_dtype(), torch.empty(0).device, torch.is_autocast_enabled("cpu")
        found = results(estimator, tmp_path)
        assert (torch.get_default_dtype(), torch.empty(0).device, torch.is_autocast_enabled("cpu")) == state
    assert differences(expected, found) == []


SOME = pytest.mark.parametrize("name", ["autocast", "device context", "bfloat16"])


@SOME
@pytest.mark.parametrize("noise", ["uniform", "laplace", "dropout"])
def test_every_noise(noise, name):
    X, y = problem(NoisyRNNClassifier)
    limits = {"max_norm_u": 1.0, "max_norm_w": 1.0, "max_norm_v": 1.0}
    make = NoisyRNNClassifier(5, noise=noise, optimizer="sgd", **limits, **QUICK)
    expected = make.fit(X, y).loss_curve_
    with SURROUNDINGS[name]():
        assert make.fit(X, y).loss_curve_ == expected


@SOME
@pytest.mark.parametrize("how", [{"hidden_size": 2}, {"subspace": 5}], ids=str)
def test_compression(how, name):
    X, y = problem(TikhonovGRURegressor)
    small = Compression(epochs=1, n_stages=1, stage_epochs=1, n_trials=2, **how)
    model = TikhonovGRURegressor(3, compression=small, **QUICK)
    expected = model.fit(X, y).generalization_bound_
    with SURROUNDINGS[name]():
        assert model.fit(X, y).generalization_bound_ == expected


@ALL
def test_a_training_that_goes_on(surroundings, tmp_path):
    X, y = problem(TikhonovLSTMRegressor)
    plain = TikhonovLSTMRegressor(5, **QUICK).fit(X, y).loss_curve_
    model = TikhonovLSTMRegressor(5, callbacks=[Checkpoint(tmp_path, every=1)], **QUICK)
    with surroundings():
        assert model.fit(X, y).loss_curve_ == plain
        assert model.fit(X, y).loss_curve_ == plain  # read from the folder
        assert len(list(tmp_path.iterdir())) == 1


def test_a_device_that_is_torchs_default_is_not_this_estimators(undisturbed):
    with default_device("meta"):
        X, y = problem(TikhonovLSTMRegressor)
        model = TikhonovLSTMRegressor(5, **QUICK).fit(X, y)
    assert {weight.device.type for weight in model.net_.module_.parameters()} == {"cpu"}
