"""``variant="stable"`` and ``certified_gain_``: trained networks attacked over long sequences, and what travels."""

import copy
import math
import pickle
import warnings

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError

import sklstm
from sklstm import TikhonovGRUClassifier, TikhonovGRURegressor, TikhonovLSTMClassifier, TikhonovLSTMRegressor
from sklstm.model_selection import RegularizationPathCV
from tests.support.attacks import of_unit_norm
from tests.support.problems import late_mean, signed_sum

REGRESSORS = [TikhonovLSTMRegressor, TikhonovGRURegressor]
CLASSIFIERS = [TikhonovLSTMClassifier, TikhonovGRUClassifier]
FOUR = REGRESSORS + CLASSIFIERS
STABLE = {"variant": "stable", "lambda_s": 0.01, "max_epochs": 15, "lr": 0.01, "random_state": 0}


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def data_for(estimator):
    return signed_sum(n=80, n_steps=6) if estimator in CLASSIFIERS else late_mean(n=120, n_steps=6)


def fitted(estimator, **parameters):
    return estimator(4, **STABLE | parameters).fit(*data_for(estimator))


def moved_per_unit(model, X, sizes, rng):
    """Strongest movement of the outputs per unit: random, constant and normalised gradient disturbances; in float64."""
    module = copy.deepcopy(model.net_.module_).double().eval()
    where = torch.from_numpy(X).requires_grad_()
    before = module(where)
    before[:, 0].sum().backward()
    constant = torch.from_numpy(rng.standard_normal(X[:, :1].shape)).expand_as(where)
    kinds = torch.from_numpy(rng.standard_normal(X.shape)), constant, where.grad, -where.grad
    deltas = of_unit_norm(torch.stack(kinds))
    scale = torch.tensor(sizes, dtype=torch.float64)
    with torch.no_grad():
        others = where + scale[:, None, None, None, None] * deltas  # (sizes, kinds, n, L, d)
        moved = (module(others.flatten(0, 2)).unflatten(0, others.shape[:3]) - before).norm(dim=-1)
        return (moved.amax((1, 2)) / scale).max().item()


@pytest.mark.parametrize(
    ("estimator", "num_layers"),
    [*((each, 1) for each in FOUR), (TikhonovLSTMRegressor, 2), (TikhonovGRUClassifier, 2)],
)
def test_no_disturbance_of_3000_steps_exceeds_the_certified_gain(estimator, num_layers, rng):
    model = fitted(estimator, num_layers=num_layers)
    X, _ = data_for(estimator)
    lower, upper = X.min((0, 1)), X.max((0, 1))
    assert math.isfinite(model.certified_gain_)
    steps = rng.uniform(lower, upper, (2, 3000, X.shape[2]))
    steps[1] = np.where(rng.random(steps[1].shape) < 0.5, lower, upper)  # at the ends, where gates are wide open
    assert moved_per_unit(model, steps, [1e-4, 0.1, 5.0], rng) <= model.certified_gain_


def test_a_logistic_readout_and_several_outputs(rng):
    X, y = late_mean(n=80, n_steps=5)
    y = np.column_stack((y > 0, y < 0.5)).astype(float)
    model = TikhonovLSTMRegressor(4, readout="logistic", **STABLE).fit(X, y)
    steps = rng.uniform(X.min((0, 1)), X.max((0, 1)), (3, 300, X.shape[2]))
    assert moved_per_unit(model, steps, [0.05], rng) <= model.certified_gain_ < math.inf
    # The link is flat by a quarter at most.
    plain = TikhonovLSTMRegressor(4, **STABLE | {"max_epochs": 1, "lr": 1e-12}).fit(X, y)
    logistic = TikhonovLSTMRegressor(4, readout="logistic", **STABLE | {"max_epochs": 1, "lr": 1e-12}).fit(X, y)
    logistic.net_.module_.load_state_dict(plain.net_.module_.state_dict())
    assert logistic.certified_gain_ == plain.certified_gain_ / 4


@pytest.mark.parametrize("estimator", [TikhonovLSTMRegressor, TikhonovGRUClassifier])
def test_a_larger_lambda_s_leaves_a_smaller_gain(estimator):
    weak, strong = (fitted(estimator, lambda_s=value, max_epochs=30).certified_gain_ for value in (1e-4, 1.0))
    assert strong < weak / 2 < math.inf


@pytest.mark.parametrize("estimator", FOUR)
def test_without_weights_it_is_the_plain_network_bit_for_bit(estimator):
    nothing = {"lambda_s": 0.0, "lambda_1": 0.0, "lambda_2": 0.0, "max_epochs": 3}
    X, _ = data_for(estimator)
    models = [fitted(estimator, **nothing | {"variant": variant}) for variant in ("turkin", "stable")]
    outputs = [model._outputs(X) for model in models]
    np.testing.assert_array_equal(*outputs)
    assert models[0].certified_gain_ == models[1].certified_gain_


def test_the_range_is_that_of_all_training_data(rng):
    X, y = late_mean(n=60, n_steps=5)
    model = TikhonovLSTMRegressor(4, random_state=0)
    model.partial_fit(X[:30], y[:30]).partial_fit(X[30:], y[30:])
    np.testing.assert_array_equal(model._input_range, np.float32([X.min((0, 1)), X.max((0, 1))]))
    lists = TikhonovLSTMRegressor(4, max_epochs=1, random_state=0).fit([x[: 3 + i % 3] for i, x in enumerate(X)], y)
    seen = np.concatenate([x[: 3 + i % 3] for i, x in enumerate(X)])
    np.testing.assert_array_equal(lists._input_range, np.float32([seen.min(0), seen.max(0)]))
    again = clone(model).set_params(max_epochs=1, warm_start=True).fit(X, y).fit(X[:10], y[:10])
    np.testing.assert_array_equal(again._input_range, np.float32([X[:10].min((0, 1)), X[:10].max((0, 1))]))


@pytest.mark.parametrize("estimator", [TikhonovLSTMRegressor, TikhonovGRUClassifier])
def test_the_gain_travels(estimator, tmp_path):
    model = fitted(estimator, max_epochs=2)
    model.save(tmp_path / "model")
    for other in (sklstm.load(tmp_path / "model"), pickle.loads(pickle.dumps(model))):
        assert other.certified_gain_ == model.certified_gain_ < math.inf
    X, y = data_for(estimator)
    bound = model.generalization_report(X, y)["occam"]
    assert model.quantized(bound).certified_gain_ > 0


def test_nothing_is_known_before_fit_or_without_the_range():
    with pytest.raises(NotFittedError):
        _ = TikhonovLSTMRegressor().certified_gain_
    model = fitted(TikhonovLSTMRegressor, max_epochs=2)
    del model._input_range  # a model of before
    assert model.certified_gain_ == math.inf


def test_a_gain_that_stays_infinite_is_warned_about():
    X, y = late_mean(n=60, n_steps=5)
    model = TikhonovLSTMRegressor(16, **STABLE | {"lambda_s": 1e-12, "lambda_1": 0.0, "lr": 0.3, "skip": "none"})
    with pytest.warns(ConvergenceWarning, match="no certified gain"):
        model.fit(X, y)
    assert model.certified_gain_ == math.inf


def test_paths_fall_back_to_one_training_after_another():
    X, y = late_mean(n=60, n_steps=5)
    path = RegularizationPathCV(TikhonovLSTMRegressor(4, **STABLE | {"max_epochs": 3}), "lambda_s", [1e-3, 1e-1], cv=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        path.fit(X, y)
    alone = clone(path.best_estimator_).fit(X, y)
    assert path.best_estimator_.certified_gain_ == pytest.approx(alone.certified_gain_, rel=1e-6)
