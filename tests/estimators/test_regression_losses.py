"""The parameters ``loss`` and ``quantile`` of the regressors: what is trained, bounded, shown and saved."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.preprocessing import StandardScaler

import sklstm
from sklstm import Compression, TikhonovLSTMRegressor
from sklstm._losses import LOSSES, RegressionLoss
from sklstm.generalization import HoldoutBound, choose_cap
from sklstm.inspection import (
    LossCurveDisplay,
    NoiseGeneralizationDisplay,
    NoiseRobustnessDisplay,
    RegularizationPathDisplay,
)
from sklstm.model_selection import RegularizationPathCV
from tests.support.estimators import REGRESSORS
from tests.support.problems import late_mean

EVERY = pytest.mark.parametrize("name", LOSSES)
QUICK = {"max_epochs": 3, "random_state": 0, "quantile": 0.8}
PLAIN = {"lambda_s": 0, "lambda_1": 0, "lambda_2": 0, "random_state": 0}


def loss_of(name):
    return RegressionLoss.of(name, QUICK["quantile"])


def losses(name, model, X, y):
    n = len(y)
    return loss_of(name).each(model.predict(X).reshape(n, -1), y.reshape(n, -1)).numpy()


@EVERY
@pytest.mark.parametrize("estimator", REGRESSORS)
@pytest.mark.parametrize("outputs", [1, 3])
def test_what_is_trained_is_the_mean_loss(name, estimator, outputs):
    X, y = late_mean(60)
    y = y**2  # something is lost in every row, also by a linear part
    y = np.squeeze(np.c_[y, -y, 3 * y][:, :outputs])
    weight = np.random.default_rng(0).uniform(0.5, 2, 60)
    still = estimator(4, loss=name, lr=1e-12, batch_size=60, early_stopping=True, **QUICK)
    for sample_weight in (None, weight):
        model = still.fit(X, y, sample_weight=sample_weight)
        rows = losses(name, model, X, y)
        # Held out is a tenth, and what both parts have lost together is the loss of all.
        train, valid = (model.net_.history[-1][part] for part in ("data_loss", "valid_loss"))
        if sample_weight is None:
            assert (54 * train + 6 * valid) / 60 == pytest.approx(rows.mean(), rel=1e-5)
        else:
            everything = clone(still).set_params(early_stopping=False).fit(X, y, sample_weight=weight)
            found = everything.net_.history[-1]["data_loss"]
            assert found == pytest.approx(np.average(losses(name, everything, X, y), weights=weight), rel=1e-5)


def test_the_default_is_the_squared_error():
    X, y = late_mean(60)
    named = TikhonovLSTMRegressor(4, loss="squared_error", **QUICK).fit(X, y)
    assert isinstance(named.net_.criterion_, torch.nn.MSELoss)
    np.testing.assert_array_equal(
        TikhonovLSTMRegressor(4, max_epochs=3, random_state=0).fit(X, y).predict(X), named.predict(X)
    )


@EVERY
def test_on_constant_inputs_the_fit_is_the_best_constant(name):
    y = np.random.default_rng(1).exponential(size=(200, 2))
    X = np.ones((200, 2, 1))
    model = TikhonovLSTMRegressor(
        2, loss=name, quantile=0.8, lr=0.05, lr_schedule="cosine", batch_size=200, max_epochs=250, **PLAIN
    ).fit(X, y)
    np.testing.assert_allclose(model.predict(X[:1])[0], loss_of(name).best_constant(y), atol=0.05)
    assert losses(name, model, X, y).mean() < 1.001 * loss_of(name).of_best_constant(y)


def test_outliers_move_the_squared_error_and_not_the_others():
    X, y = late_mean(160)
    spoiled = y.copy()
    spoiled[::20] += 20
    moved = {}
    for name in ("squared_error", "absolute_error", "huber", "quantile"):
        model = TikhonovLSTMRegressor(8, loss=name, skip="none", lr=0.02, max_epochs=20, batch_size=40, **PLAIN)
        clean, disturbed = clone(model).fit(X, y).predict(X), model.fit(X, spoiled).predict(X)
        moved[name] = np.sqrt(np.mean((clean - disturbed) ** 2))
    assert moved.pop("squared_error") > 0.8  # the mean alone moves by one
    assert max(moved.values()) < 0.35


def test_outliers_in_the_ridge_regression_of_the_start_are_forgotten():
    """Ridge regression is the start of every loss, the end of the squared error only: others train longer."""
    X, y = late_mean(160)
    spoiled = y.copy()
    spoiled[::20] += 20
    model = TikhonovLSTMRegressor(4, loss="absolute_error", random_state=0).fit(X, spoiled)
    assert model.n_iter_ == TikhonovLSTMRegressor(4, skip="none", max_epochs="auto")._sizes(160)[1]
    ridge = TikhonovLSTMRegressor(4, lr=1e-30, max_epochs=1, random_state=0).fit(X, spoiled)
    mistakes = [np.abs(fitted.predict(X) - y).mean() for fitted in (model, ridge)]
    assert mistakes[0] < 0.25 * mistakes[1]


def test_another_loss_in_a_warm_start_and_in_partial_fit():
    X, y = late_mean(80)
    start = TikhonovLSTMRegressor(4, warm_start=True, **QUICK).fit(X, y)
    before = {key: value.clone() for key, value in start.net_.module_.state_dict().items()}
    again = start.set_params(loss="quantile", lr=1e-12).fit(X, y)
    assert isinstance(again.net_.criterion_, sklstm.training.PinballLoss)
    for key, value in again.net_.module_.state_dict().items():
        torch.testing.assert_close(value, before[key], rtol=0, atol=1e-8)
    assert again.loss_curve_[-1] - again.net_.history[-1]["penalty"] == pytest.approx(
        losses("quantile", again, X, y).mean(), rel=1e-4
    )
    bits = TikhonovLSTMRegressor(4, loss="absolute_error", **QUICK).partial_fit(X, y)
    bits.set_params(loss="huber", lr=1e-12, batch_size=80).partial_fit(X, y)
    assert bits.net_.history[-1]["data_loss"] == pytest.approx(losses("huber", bits, X, y).mean(), rel=1e-5)


@EVERY
def test_precision_of_products_is_none_of_the_losses(name):
    X, y = late_mean(60)
    y = 1 + y + X[:, 0, 0] ** 2  # losses that are large beside the rounding of the products
    model = TikhonovLSTMRegressor(4, loss=name, precision="bfloat16", **QUICK).fit(X, y)
    full = TikhonovLSTMRegressor(4, loss=name, **QUICK).fit(X, y)
    np.testing.assert_allclose(model.loss_curve_, full.loss_curve_, rtol=0.02)
    assert model.loss_curve_ != full.loss_curve_


@EVERY
@pytest.mark.parametrize(("outputs", "small"), [(1, False), (2, False), (2, True)])
def test_bounds_are_about_the_capped_loss(name, outputs, small):
    X, y = late_mean(160)
    y = np.squeeze(np.c_[y, y**2][:, :outputs])
    X, X_new, y, y_new = X[:120], X[120:], y[:120], y[120:]
    compression = Compression(2, epochs=2, stage_epochs=1, n_stages=1, n_trials=3) if small else None
    model = TikhonovLSTMRegressor(4, loss=name, compression=compression, **QUICK).fit(X, y)
    report = model.generalization_report(X, y)
    occam = report["occam"]
    assert (occam.scale, occam.delta_weight) == choose_cap(y, name, quantile=0.8)
    assert occam.train_loss == pytest.approx(
        np.minimum(losses(name, model.quantized(occam), X, y), occam.scale).mean(), rel=1e-9
    )
    held = model.holdout_bound(X_new, y_new)
    assert held.cap == occam.scale
    assert held.mean_loss == pytest.approx(np.minimum(losses(name, model, X_new, y_new), held.cap).mean(), rel=1e-12)
    for bound in (occam, held, occam.at_delta(0.2), held.at_delta(0.2)):
        assert bound.quantity == f"a mean {loss_of(name).words} capped at {bound.ceiling:g}"
    assert f"a mean {loss_of(name).words} capped at" in str(report.with_bound(held))
    fixed = TikhonovLSTMRegressor(4, loss=name, loss_cap=0.5, **QUICK).fit(X, y)
    assert fixed.generalization_report(X, y).ceiling == 0.5


@EVERY
def test_saved_models_keep_their_loss(name, tmp_path):
    X, y = late_mean(60)
    model = TikhonovLSTMRegressor(4, loss=name, **QUICK).fit(X, y)
    model.save(tmp_path / "model.safetensors")
    for twin in (sklstm.load(tmp_path / "model.safetensors"), pickle.loads(pickle.dumps(model))):
        assert (twin.loss, twin.quantile) == (name, 0.8)
        assert twin.net_.criterion == model.net_.criterion == loss_of(name)
        assert type(twin.net_.criterion_) is type(model.net_.criterion_)
        assert twin.generalization_report(X, y) == model.generalization_report(X, y)
        assert twin.holdout_bound(X[1:], y[1:]) == model.holdout_bound(X[1:], y[1:])
        assert isinstance(twin.holdout_bound(X[1:], y[1:]), HoldoutBound)


@EVERY
def test_paths_train_stacks_of_any_loss(name):
    X, y = late_mean(90)
    paths = [
        RegularizationPathCV(
            TikhonovLSTMRegressor(4, loss=name, **QUICK), "lambda_s", [0.001, 0.01], cv=2, strategy=strategy
        ).fit(X, y)
        for strategy in ("stacked", "separate")
    ]
    first, second = (path.cv_results_["mean_test_score"] for path in paths)
    np.testing.assert_allclose(first, second, rtol=1e-3)


@EVERY
def test_displays_show_the_loss(name):
    X, y = late_mean(60)
    loss = loss_of(name)
    models = [TikhonovLSTMRegressor(4, loss=name, lambda_s=value, **QUICK).fit(X, y) for value in (0.01, 0.1)]
    curve = LossCurveDisplay.from_estimator(models[0])
    assert curve.ax_.get_ylabel() == loss.label("y")
    noise = NoiseRobustnessDisplay.from_estimator(models[0], X, y, sigmas=[0.0, 1.0], n_draws=1, random_state=0)
    assert noise.ax_.get_ylabel().startswith(f"mean {loss.words}")
    assert noise.errors[0, 0] == pytest.approx(losses(name, models[0], X, y).mean(), rel=1e-12)
    path = RegularizationPathDisplay.from_estimators(models, X, y, eps=0.05)
    certified = next(values for title, values in path.curves.items() if title.startswith("certified"))
    rng = np.random.default_rng(0)
    for model, limit in zip(models, certified, strict=True):
        for _ in range(20):
            assert losses(name, model, X + rng.choice([-0.05, 0.05], X.shape), y).mean() <= limit
    both = NoiseGeneralizationDisplay.from_estimator(
        clone(models[0]), X, y, sigmas=[0.1], cv=2, n_draws=1, random_state=0
    )
    assert both.error_name == f"mean {loss.words}"


def test_displays_of_different_losses_show_the_squared_error():
    X, y = late_mean(60)
    kinds = [TikhonovLSTMRegressor(4, loss=name, **QUICK) for name in ("huber", "quantile")]
    models = [
        TransformedTargetRegressor(kind.set_params(lambda_s=value), transformer=StandardScaler()).fit(X, y)
        for kind, value in zip(kinds, (0.1, 0.01), strict=True)
    ]
    path = RegularizationPathDisplay.from_estimators(models, X, y)
    assert path.ax_.get_ylabel().startswith("mean squared error")
    np.testing.assert_allclose(path.curves["clean"], [np.mean((model.predict(X) - y) ** 2) for model in models[::-1]])
    alone = NoiseRobustnessDisplay.from_estimator(models[0], X, y, sigmas=[0.0], n_draws=1, random_state=0)
    assert alone.ax_.get_ylabel().startswith("mean Huber loss (δ = 1)")
