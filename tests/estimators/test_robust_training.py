"""Estimators that are trained to withstand errors of their inputs."""

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

import sklstm
from sklstm import TikhonovLSTMRegressor
from sklstm.estimators._base import checked, training_data, training_spec
from sklstm.estimators._fit_tasks import FitContext
from sklstm.model_selection import RegularizationPathCV
from tests.support.estimators import CLASSIFIERS, ESTIMATORS, REGRESSORS

N, L, D = 90, 5, 2
EPS = 0.2
NO_VALIDATION = dict.fromkeys(("X_val", "y_val", "sample_weight_val"))
ALL = pytest.mark.parametrize("cls", ESTIMATORS)


def data(cls, seed=0):
    X = np.random.default_rng(seed).standard_normal((N, L, D))
    value = X[:, -1, 0] + 0.5 * X[:, -2, 1]
    return X, value if cls in REGRESSORS else np.where(value > 0, "up", "down")


def few(cls, **parameters):
    return cls(6, **{"max_epochs": 12, "lr": 0.01, "batch_size": 20, "random_state": 0} | parameters)


@pytest.fixture(autouse=True)
def unsettled_is_fine():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


@ALL
@pytest.mark.parametrize("eps", [0, 0.0, [0.0, 0.0], np.zeros(2)])
def test_no_errors_are_ordinary_training_bit_for_bit(cls, eps):
    X, y = data(cls)
    plain = few(cls, max_epochs=3).fit(X, y)
    same = few(cls, max_epochs=3, robust_eps=eps, robust_weight=0.7, robust_box=0.3).fit(X, y)
    assert same.loss_curve_ == plain.loss_curve_
    for mine, theirs in zip(same.net_.module_.parameters(), plain.net_.module_.parameters(), strict=True):
        assert (mine == theirs).all()


@ALL
@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_what_is_trained_for_is_certified(cls, weight):
    X, y = data(cls)
    X_test, y_test = data(cls, 1)
    few_steps = {"robust_eps": EPS, "robust_weight": weight}
    plain, robust = (few(cls, max_epochs=20, lr=0.02, **more).fit(X, y) for more in ({}, few_steps))
    assert robust.score(X_test, y_test) > 0.8
    if not weight:  # an attack is no certificate
        return
    if cls in CLASSIFIERS:
        certified = [model.certified_accuracy(X_test, y_test, EPS) for model in (plain, robust)]
        assert certified[1] > max(0.6, certified[0])
        return
    widths = []
    for model in (plain, robust):
        lower, upper = model.certify(X_test, EPS, method="intervals")
        widths.append((upper - lower).mean())
    assert widths[1] < widths[0]


@ALL
def test_errors_of_one_channel(cls):
    X, y = data(cls)
    model = few(cls, robust_eps=[0.0, 0.3], robust_weight=0.5).fit(X, y)
    assert clone(model).get_params()["robust_eps"] == [0.0, 0.3]
    both = few(cls, robust_eps=0.3, robust_weight=0.5).fit(X, y)
    assert model.loss_curve_[-1] < both.loss_curve_[-1]  # smaller errors to be robust to
    with pytest.raises(ValueError, match="robust_eps has 3 entries, but X has 2 channels"):
        few(cls, robust_eps=[0.1, 0.1, 0.1]).fit(X, y)


@ALL
def test_early_stopping_judges_by_the_loss_at_full_strength(cls):
    X, y = data(cls)
    model = few(cls, robust_eps=EPS, robust_weight=1.0, early_stopping=True, max_epochs=4).fit(
        X[:50], y[:50], X_val=X[50:], y_val=y[50:]
    )
    best = model.best_loss_
    lower, upper = model.certify(X[50:], EPS, method="intervals")
    if cls in REGRESSORS:
        largest = np.maximum((lower - y[50:]) ** 2, (upper - y[50:]) ** 2).mean()
        assert best == pytest.approx(largest, rel=1e-3)
    else:
        # Intervals of both outputs forget that they move together: they allow more than the differences.
        right = (y[50:] == model.classes_[1]).astype(int)
        gaps = upper[np.arange(40), 1 - right] - lower[np.arange(40), right]
        assert 0 < best <= np.logaddexp(0, gaps).mean() * (1 + 1e-6)


@ALL
def test_partial_fit_warm_start_saving_and_ragged_lists(cls, tmp_path):
    X, y = data(cls)
    options = {} if cls in REGRESSORS else {"classes": np.unique(y)}
    model = few(cls, robust_eps=EPS, robust_weight=0.5, max_epochs=4)
    for _ in range(2):
        model.partial_fit(X, y, **options)
    assert model.n_iter_ == 2
    model.save(tmp_path / "model.safetensors")
    loaded = sklstm.load(tmp_path / "model.safetensors")
    assert loaded.robust_eps == EPS
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    ragged = [x[i % 3 :] for i, x in enumerate(X)]
    once = few(cls, robust_eps=EPS, warm_start=True, max_epochs=2).fit(ragged, y)
    assert np.isfinite(once.fit(ragged, y).loss_curve_).all()


@ALL
def test_bounds_are_compared_with_the_best_constant_guess(cls):
    X, y = data(cls)
    model = few(cls, robust_eps=EPS)
    weight = np.random.default_rng(1).uniform(0.5, 3.0, N)
    given = checked(model, X, y, weight, dict.fromkeys(("X_val", "y_val", "sample_weight_val")))
    one_call = FitContext(None, one_epoch=True)
    for relative, spec in ((True, training_spec(model, given)), (False, model._training_spec(given, one_call))):
        trained = training_data(model, given, relative=relative)
        targets = trained.y.double() if cls in REGRESSORS else trained.y
        constant = torch.zeros(1, 1 if cls in REGRESSORS else 2, dtype=torch.float64, requires_grad=True)
        criterion = spec.loss(reduction="none")
        descent = torch.optim.LBFGS([constant], line_search_fn="strong_wolfe", max_iter=50)

        def loss(criterion=criterion, constant=constant, targets=targets, weight=trained.weight):
            losses = criterion(constant.expand(N, -1), targets)
            return (weight * losses.reshape(N, -1).mean(1)).mean()

        def closure(constant=constant, loss=loss):
            constant.grad = torch.autograd.grad(loss(), constant)[0]
            return loss()

        descent.step(closure)
        assert spec.robust.guess == pytest.approx(loss().item(), rel=1e-6)


@ALL
def test_a_network_that_has_become_a_constant_is_noticed(cls):
    X, y = data(cls)
    skip = {"skip": "none"} if cls in REGRESSORS else {}
    with pytest.warns(ConvergenceWarning, match="hardly depend on X"):
        few(cls, robust_eps=20.0, robust_weight=1.0, max_epochs=30, lr=0.05, **skip).fit(X, y)


def test_one_constant_output_among_others_is_noticed():
    X = np.random.default_rng(0).standard_normal((200, 8, 1))
    Y = np.column_stack([X[:, -1, 0], X[:, 0, 0]])
    model = few(TikhonovLSTMRegressor, robust_eps=0.5, robust_weight=1.0, skip="none", max_epochs=40)
    with pytest.warns(ConvergenceWarning, match="output 1 hardly depends on X") as caught:
        model.fit(X, Y)
    spread = model.predict(X).std(axis=0)
    assert spread[1] < 0.02 < spread[0]
    assert "skip='linear'" in str(caught[0].message)


@ALL
def test_a_constant_is_noticed_in_partial_fit_once_the_strength_is_full(cls):
    X, y = data(cls)
    skip = {"skip": "none"} if cls in REGRESSORS else {}
    model = few(cls, robust_eps=20.0, robust_weight=1.0, lr=0.05, max_epochs=4, **skip)
    classes = {"classes": ["down", "up"]} if cls in CLASSIFIERS else {}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            model.partial_fit(X, y, **classes)
    assert not caught
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(30):
            model.partial_fit(X, y, **classes)
    assert "hardly depend on X" in str(caught[-1].message)


@ALL
def test_early_stopping_waits_until_the_strength_is_full(cls):
    X, y = data(cls)
    # Plain training makes the loss at full strength rise: no epoch is better than the first one for a while.
    model = few(cls, robust_eps=0.5, max_epochs=30, early_stopping=True, n_iter_no_change=2).fit(X, y)
    losses = model.net_.history[:, "valid_loss"]
    best = int(np.argmin(losses)) + 1
    assert model.n_iter_ >= 30 / 2 + 2
    assert model.n_iter_ == 30 or model.n_iter_ == max(best, 30 // 2) + 2
    plain = few(cls, robust_eps=0.0, max_epochs=30, early_stopping=True, n_iter_no_change=2, lr=1e-12).fit(X, y)
    assert plain.n_iter_ < 15


@ALL
def test_a_rising_strength_is_no_plateau(cls):
    X, y = data(cls)
    model = few(cls, robust_eps=0.5, max_epochs=32, lr_schedule="plateau").fit(X, y)
    rates = model.net_.history[:, "lr"]
    assert set(rates[:16]) == {0.01}
    still = few(cls, robust_eps=0.5, max_epochs=32, lr_schedule="plateau", lr=1e-6).fit(X, y).net_.history[:, "lr"]
    assert set(still[:16]) == {1e-6}
    assert still[-1] < 1e-6  # afterwards it is one


def spec_of_one_call(model, given):
    return model._training_spec(given, FitContext(one_epoch=True))


@ALL
@pytest.mark.parametrize(("batch_size", "max_epochs", "ramp"), [(20, "auto", 150), (1, "auto", 750 / 90), (20, 12, 6)])
def test_partial_fit_comes_to_full_strength(cls, batch_size, max_epochs, ramp):
    # Half of the epochs, or half of the fewest steps that a fit has, whichever is less: in calls of 90 sequences.
    model = few(cls, robust_eps=EPS, batch_size=batch_size, max_epochs=max_epochs)
    given = checked(model, *data(cls), None, NO_VALIDATION)
    assert spec_of_one_call(model, given).robust.ramp == pytest.approx(ramp)


@ALL
def test_targets_that_are_all_alike_hold_no_bounds_back(cls):
    X, y = data(cls)
    model = few(cls, robust_eps=EPS)
    given = checked(model, X, y, None, NO_VALIDATION)
    assert np.isfinite(spec_of_one_call(model, given).robust.guess)
    same = np.flatnonzero(y == "up") if cls in CLASSIFIERS else np.array([3])
    alike = replace(given, X=given.X[torch.from_numpy(same)], y=given.y[same])
    assert np.isinf(spec_of_one_call(model, alike).robust.guess)


def test_the_stable_penalty_is_kept_beside_robust_training():
    X, y = data(TikhonovLSTMRegressor)
    stable = few(TikhonovLSTMRegressor, variant="stable", robust_eps=0.1).fit(X, y)
    assert np.isfinite(stable.certified_gain_)
    assert stable.net_.history[-1]["penalty"] > 0
    assert few(TikhonovLSTMRegressor, robust_eps=0.1, max_epochs=1).fit(X, y).net_.history[-1]["penalty"] == 0


@pytest.mark.parametrize("eps", [{"a": 0.1, "b": 0.0}, pd.Series([0.1, 0.0], index=["a", "b"])])
def test_labels_of_robust_eps_are_refused(eps):
    X, y = data(TikhonovLSTMRegressor)
    with pytest.raises(TypeError, match=r"robust_eps has labels.*in the order of X"):
        few(TikhonovLSTMRegressor, robust_eps=eps).fit(X, y)


def test_an_array_without_axes_is_a_number():
    X, y = data(TikhonovLSTMRegressor)
    one, other = (few(TikhonovLSTMRegressor, max_epochs=2, robust_eps=eps).fit(X, y) for eps in (0.1, np.array(0.1)))
    np.testing.assert_array_equal(one.predict(X), other.predict(X))


@ALL
def test_paths_without_an_effect_are_refused(cls):
    X, y = data(cls)
    for name in ("robust_weight", "robust_box"):
        with pytest.raises(ValueError, match=f"{name} has no effect with robust_eps=0"):
            RegularizationPathCV(few(cls), name, param_range=2, cv=2).fit(X, y)
    with pytest.raises(ValueError, match="one number for all channels, but the estimator has robust_eps="):
        RegularizationPathCV(few(cls, robust_eps=[0.1, 0.0]), "robust_eps", param_range=2, cv=2).fit(X, y)


@pytest.mark.parametrize("name", ["robust_eps", "robust_weight", "robust_box"])
@ALL
def test_paths_choose_what_to_withstand(cls, name):
    X, y = data(cls)
    other = {"robust_eps": 0.1} if name != "robust_eps" else {}
    path = RegularizationPathCV(few(cls, max_epochs=2, **other), name, param_range=2, cv=2, refit=False).fit(X, y)
    assert name in path.best_params_
    assert np.isfinite(path.cv_results_["mean_test_score"]).all()
