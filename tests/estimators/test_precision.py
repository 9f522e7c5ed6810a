"""``precision``: what it changes in training, and that it changes nothing else."""

import pickle
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from sklearn.base import clone
from skorch.callbacks import Callback

from sklstm import TikhonovLSTMRegressor
from sklstm.estimators import _certify, _compression
from sklstm.training import Checkpoint, _inference, _train
from sklstm.training._net import Bfloat16Twin
from sklstm.training._process import products_in
from tests.support.estimators import CERTIFIED, CLASSIFIERS, REGRESSORS
from tests.support.problems import late_mean, signed_sum

ALL = pytest.mark.parametrize("estimator", CERTIFIED)
QUICK = {"hidden_size": 6, "max_epochs": 2, "batch_size": 32, "random_state": 0}


def problem(estimator, n=150):
    return signed_sum(n) if estimator in CLASSIFIERS else late_mean(n)


def dtypes(model):
    """Of the weights, the gradients and all that the optimiser keeps."""
    weights = list(model.net_.module_.parameters())
    kept = [value for state in model.net_.optimizer_.state.values() for value in state.values()]
    return {part.dtype for part in (*weights, *(weight.grad for weight in weights), *kept)}


@ALL
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_bfloat16_ends_near_float32_and_keeps_everything_in_float32(estimator, optimizer):
    X, y = problem(estimator)
    how = QUICK | {"max_epochs": 15, "lr": 0.01, "optimizer": optimizer}
    if estimator in REGRESSORS:
        how |= {"skip": "none"}  # from ridge regression there is no way to go
    exact, rounded = (estimator(precision=name, **how).fit(X, y) for name in ("float32", "bfloat16"))
    assert dtypes(rounded) == {torch.float32}
    assert rounded.loss_curve_ != exact.loss_curve_
    # Of the way from the first epoch to the last, a tenth.
    way = exact.loss_curve_[0] - exact.loss_curve_[-1]
    assert abs(rounded.loss_curve_[-1] - exact.loss_curve_[-1]) < 0.1 * way


@ALL
def test_predictions_after_bfloat16_are_those_of_float32_weights(estimator):
    X, y = problem(estimator)
    model = estimator(precision="bfloat16", **QUICK).fit(X, y)
    outputs = model.decision_function if estimator in CLASSIFIERS else model.predict
    every = outputs(X)
    assert every.dtype == np.float64
    np.testing.assert_array_equal(outputs(X[3:4]), every[3:4])
    np.testing.assert_array_equal(outputs(X[::-1]), every[::-1])
    module = model.net_.module_
    with torch.no_grad():
        direct = module(torch.from_numpy(X.astype(np.float32))).numpy()
    direct = direct[:, 1] - direct[:, 0] if estimator in CLASSIFIERS else direct[:, 0]
    np.testing.assert_allclose(every, direct, rtol=1e-4, atol=1e-5)  # bfloat16 would be off by 4e-3
    # The certificate is about these outputs: as narrow as the box, and around them.
    lower, upper = model.certify(X[:5], 1e-6)
    exact, _ = model.certify(X[:5], 0.0)
    assert (lower <= exact).all()
    assert (exact <= upper).all()
    assert (upper - lower).max() < 1e-3


@ALL
def test_tf32_is_float32_on_a_cpu(estimator):
    X, y = problem(estimator)
    exact, fast = (estimator(precision=name, **QUICK).fit(X, y) for name in ("float32", "tf32"))
    assert fast.loss_curve_ == exact.loss_curve_
    np.testing.assert_array_equal(fast.predict(X), exact.predict(X))


@pytest.fixture
def asked(monkeypatch):
    """The precisions of all blocks of work, in order."""
    entries = []

    @contextmanager
    def noted(precision, device):
        entries.append(precision)
        with products_in(precision, device):
            yield

    for module in (_certify, _compression, _inference, _train):
        monkeypatch.setattr(module, "products_in", noted)
    return entries


@ALL
@pytest.mark.parametrize("precision", ["float32", "tf32", "bfloat16"])
def test_only_training_is_in_it(estimator, precision, asked):
    X, y = problem(estimator)
    model = estimator(precision=precision, **QUICK).fit(X, y)
    assert asked[0] == precision
    model.generalization_report(X, y)
    assert len(asked) > 1
    assert set(asked[1:]) == {"float32"}
    asked.clear()
    model.predict(X)
    model.certify(X[:2], 0.1)
    model.certify(X[:2], 0.0)
    assert len(asked) >= 3
    assert set(asked) == {"float32"}


@ALL
def test_the_validation_loss_is_float32s(estimator, monkeypatch):
    seen = []
    call = Bfloat16Twin.__call__

    def noted(self, inputs):
        seen.append((self.module.training, len(inputs["X"])))
        return call(self, inputs)

    monkeypatch.setattr(Bfloat16Twin, "__call__", noted)
    X, y = problem(estimator, 100)
    estimator(precision="bfloat16", early_stopping=True, validation_fraction=0.2, **QUICK).fit(X, y)
    assert {training for training, _ in seen} == {True}
    assert sum(size for _, size in seen) == 2 * 80  # epochs times training sequences


@ALL
def test_weights_ragged_sequences_and_clipping_in_bfloat16(estimator):
    X, y = problem(estimator)
    ragged = [sequence[: 3 + i % 5] for i, sequence in enumerate(X)]
    model = estimator(precision="bfloat16", clip_norm=0.01, **QUICK)
    model.fit(ragged, y, sample_weight=np.linspace(0.1, 1, len(X)))
    assert dtypes(model) == {torch.float32}
    gradient = torch.cat([weight.grad.flatten() for weight in model.net_.module_.parameters()])
    assert gradient.norm() <= 0.01 * (1 + 1e-5)


@ALL
def test_nothing_of_the_twin_is_kept(estimator):
    X, y = problem(estimator)
    model = estimator(precision="bfloat16", **QUICK).fit(X, y)
    assert model.net_.rounded_ is None
    again = pickle.loads(pickle.dumps(model))
    assert again.precision == clone(model).precision == "bfloat16"
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert again.partial_fit(X, y).loss_curve_ == model.partial_fit(X, y).loss_curve_


def test_a_failure_leaves_no_twin():
    X, y = late_mean(50)

    class Fail(Callback):
        def on_epoch_end(self, net, **kwargs):
            nets.append(net)
            raise RuntimeError("inside")

    nets = []
    with pytest.raises(RuntimeError, match="inside"):
        TikhonovLSTMRegressor(precision="bfloat16", callbacks=[Fail()], **QUICK).fit(X, y)
    assert nets[0].rounded_ is None


def test_a_checkpoint_is_of_one_precision(tmp_path):
    X, y = late_mean(60)
    model = TikhonovLSTMRegressor(callbacks=[Checkpoint(tmp_path)], **QUICK)
    exact = model.fit(X, y).loss_curve_
    rounded = model.set_params(precision="bfloat16").fit(X, y).loss_curve_
    assert rounded != exact
    assert len(list(tmp_path.iterdir())) == 2
    assert model.fit(X, y).loss_curve_ == rounded


@pytest.mark.parametrize("precision", ["float16", "", None, 32, torch.bfloat16])
def test_other_precisions_are_refused_before_any_work(precision):
    model = TikhonovLSTMRegressor(precision=precision)
    with pytest.raises(ValueError, match="precision must be one of 'float32', 'tf32', 'bfloat16'"):
        model.fit("not even data", None)
