"""warm_start and partial_fit."""

import numpy as np
import pytest
import torch
from sklearn.base import clone, is_classifier

from sklstm import Compression, NoisyRNNClassifier, TikhonovGRUClassifier, TikhonovGRURegressor, TikhonovLSTMRegressor
from tests.support.coverage import quantised

FAST = {"max_epochs": 4, "batch_size": 16, "lr_schedule": "constant", "random_state": 0}
ESTIMATORS = {
    "lstm": TikhonovLSTMRegressor(6, sigma=0.1, **FAST),
    "plain": TikhonovLSTMRegressor(6, lambda_s=0, lambda_1=0, lambda_2=0, optimizer="adamw", **FAST),
    "gru": TikhonovGRURegressor(6, num_layers=2, **FAST),
    "labels": TikhonovGRUClassifier(6, **FAST),
    "relu": NoisyRNNClassifier(6, max_norm_w=1.0, optimizer="sgd", lr=0.01, **FAST),
}
ALL = pytest.mark.parametrize("estimator", ESTIMATORS.values(), ids=ESTIMATORS)


@pytest.fixture
def estimator(request):
    return clone(request.param)


def problem(estimator, n=50):
    X = np.random.default_rng(0).standard_normal((n, 5, 2))
    y = X[:, :, 0].sum(axis=1)
    return X, np.where(y > 0, "up", "down") if is_classifier(estimator) else y


def classes(estimator):
    return {"classes": ["down", "up"]} if is_classifier(estimator) else {}


def weights_of(model):
    return torch.cat([part.detach().flatten() for part in model.net_.module_.parameters()]).numpy()


@ALL
def test_partial_fits_are_the_epochs_of_a_fit_bit_for_bit(estimator):
    # One epoch after the other; random state, optimiser and the penalty's carried vectors go on.
    X, y = problem(estimator)
    whole = clone(estimator).fit(X, y)
    parts = clone(estimator)
    for _ in range(4):
        parts.partial_fit(X, y, **classes(estimator))
    np.testing.assert_array_equal(weights_of(parts), weights_of(whole))
    assert parts.loss_curve_ == whole.loss_curve_
    assert parts.n_iter_ == whole.n_iter_ == 4


@ALL
def test_a_stream_of_parts_learns(estimator):
    X, y = problem(estimator, 1200)
    model = clone(estimator).set_params(lr=0.03)
    for _ in range(3):
        for start in range(0, 1200, 150):
            part = slice(start, start + 150)
            model.partial_fit(X[part], y[part], **classes(estimator))
    assert model.score(X, y) > 0.7
    assert model.n_iter_ == 24


@ALL
def test_warm_start_goes_on_from_the_weights(estimator):
    X, y = problem(estimator)
    model = clone(estimator).set_params(warm_start=True).fit(X, y)
    before = weights_of(model)
    model.set_params(lr=1e-30).fit(X, y)  # no step worth the name
    np.testing.assert_allclose(weights_of(model), before, rtol=0, atol=1e-25)
    model.set_params(lr=estimator.lr, max_epochs=2).fit(X, y)
    assert model.n_iter_ == 2
    assert model.loss_curve_[-1] < clone(estimator).set_params(max_epochs=2).fit(X, y).loss_curve_[-1]


@ALL
def test_without_warm_start_the_past_does_not_matter(estimator):
    X, y = problem(estimator)
    fresh = clone(estimator).fit(X, y)
    again = clone(estimator).partial_fit(X[:20], y[:20], **classes(estimator)).fit(X[:30], y[:30]).fit(X, y)
    np.testing.assert_array_equal(weights_of(again), weights_of(fresh))
    assert again.loss_curve_ == fresh.loss_curve_


@ALL
def test_the_optimiser_goes_on_in_partial_fit_and_starts_anew_in_warm_start(estimator):
    X, y = problem(estimator)

    def moments(model):
        names = ("exp_avg", "momentum_buffer")
        states = model.net_.optimizer_.state.values()
        return torch.cat([state[name].flatten() for state in states for name in names if name in state])

    model = clone(estimator).partial_fit(X, y, **classes(estimator))
    before = moments(model)
    # A rate of nothing: the gradients of the two epochs are those of the same weights, and moments add up or do not.
    on = moments(model.set_params(lr=1e-30).partial_fit(X, y))
    anew = moments(model.set_params(warm_start=True, max_epochs=1).fit(X, y))
    assert before.abs().max() > 0
    assert not torch.allclose(on, anew, rtol=0.1)
    steps = [
        [state["step"].item() for state in fitted.net_.optimizer_.state.values() if "step" in state]
        for fitted in (clone(estimator).partial_fit(X, y, **classes(estimator)).partial_fit(X, y), model)
    ]
    if estimator.optimizer != "sgd":  # which counts no steps
        assert set(steps[0]) == {8.0}  # 50 sequences in batches of 16, twice
        assert set(steps[1]) == {4.0}


@ALL
def test_partial_fit_takes_the_hyperparameters_of_the_moment(estimator):
    X, y = problem(estimator)
    model = clone(estimator).partial_fit(X, y, **classes(estimator))
    before = weights_of(model)
    model.set_params(lr=1e-30, batch_size=50).partial_fit(X, y)
    np.testing.assert_allclose(weights_of(model), before, rtol=0, atol=1e-12)
    model.set_params(optimizer="sgd" if model.optimizer != "sgd" else "adam", lr=0.01).partial_fit(X, y)
    assert np.abs(weights_of(model) - before).max() > 1e-4
    with pytest.raises(ValueError, match="its hidden_size is 6, but now 7 is requested"):
        model.set_params(hidden_size=7).partial_fit(X, y)
    assert model.predict(X).shape == y.shape  # the network of before is still there


@ALL
def test_a_failed_partial_fit_changes_nothing(estimator, monkeypatch):
    X, y = problem(estimator)
    model = clone(estimator).fit(X, y)
    before, state = weights_of(model), dict(model.__dict__)
    moments = [value.clone() for entry in model.net_.optimizer_.state.values() for value in entry.values()]
    model.set_params(lr=1e4, clip_norm=None)
    state |= {"lr": 1e4, "clip_norm": None}

    def interrupted(self, *args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("sklstm.training._callbacks.DivergenceGuard.on_epoch_end", interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.partial_fit(X, y)
    assert model.__dict__ == state
    np.testing.assert_array_equal(weights_of(model), before)
    after = [value for entry in model.net_.optimizer_.state.values() for value in entry.values()]
    assert all(torch.equal(old, new) for old, new in zip(moments, after, strict=True))


@ALL
def test_bounds_of_old_weights_do_not_outlive_them(estimator):
    X, y = problem(estimator)
    model = clone(estimator).fit(X, y)
    assert model.generalization_bound_ > 0
    model.partial_fit(X, y)
    assert not hasattr(model, "generalization_bound_")
    with pytest.raises(ValueError, match=r"partial_fit sees its data once, .* Use holdout_bound"):
        model.generalization_report(X, y)
    assert np.isfinite(model.predict(X[:3]).astype(float) if y.dtype.kind == "f" else 0.0).all()


@ALL
def test_refusals_of_partial_fit(estimator):
    X, y = problem(estimator)
    with pytest.raises(ValueError, match="partial_fit does not support early_stopping"):
        clone(estimator).set_params(early_stopping=True).partial_fit(X, y, **classes(estimator))
    model = clone(estimator).partial_fit(X, y, **classes(estimator))
    with pytest.raises(ValueError, match=r"X has 1 channels.*expecting 2"):
        model.partial_fit(X[:, :, :1], y)
    # One sequence is enough, and so is one class.
    assert model.partial_fit(X[:1], y[:1]).n_iter_ == 2


def test_classes_of_partial_fit():
    model = ESTIMATORS["relu"]
    X, y = problem(model)
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        clone(model).partial_fit(X, y)
    with pytest.raises(ValueError, match=r"labels that are not among classes: \['up'\]"):
        clone(model).partial_fit(X, y, classes=["down", "level"])
    with pytest.raises(ValueError, match="does not support class_weight='balanced'"):
        clone(model).set_params(class_weight="balanced").partial_fit(X, y, classes=["down", "up"])
    up = y == "up"
    fitted = clone(model).partial_fit(X[up], y[up], classes=["up", "level", "down"])
    assert fitted.classes_.tolist() == ["down", "level", "up"]
    assert fitted.predict_proba(X).shape == (50, 3)
    with pytest.raises(ValueError, match="not the same as on the first call"):
        fitted.partial_fit(X, y, classes=["up", "down"])
    with pytest.raises(ValueError, match="not among classes"):
        fitted.partial_fit(X, np.where(up, "up", "sideways"))
    assert clone(model).set_params(class_weight={"up": 3}).partial_fit(X, y, classes=["down", "up"]).n_iter_ == 1


def test_warm_start_wants_the_same_problem():
    X, y = problem(ESTIMATORS["relu"])
    model = clone(ESTIMATORS["relu"]).set_params(warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="goes on with the classes of the last fit"):
        model.fit(X, np.where(y == "up", "rise", "fall"))
    with pytest.raises(ValueError, match="its n_features is 2, but now 1 is requested"):
        model.fit(X[:, :, :1], y)
    assert model.classes_.tolist() == ["down", "up"]
    regressor = clone(ESTIMATORS["lstm"]).set_params(warm_start=True).fit(X, X[:, 0, 0])
    with pytest.raises(ValueError, match="its readout is linear, but now logistic is requested"):
        regressor.set_params(readout="logistic").fit(X, np.full(50, 0.5) + 0.01 * X[:, 0, 0])
    with pytest.raises(ValueError, match="its n_outputs is 1, but now 2 is requested"):
        regressor.set_params(readout="linear").fit(X, X[:, 0])


def test_target_shape_of_partial_fit():
    X, y = problem(ESTIMATORS["lstm"])
    model = clone(ESTIMATORS["lstm"]).partial_fit(X, y[:, None])
    assert model.predict(X).shape == (50, 1)
    with pytest.raises(ValueError, match="y must have the shape of the y seen first"):
        model.partial_fit(X, y)


def test_partial_fit_on_ragged_sequences():
    rng = np.random.default_rng(0)
    model = clone(ESTIMATORS["lstm"])
    for seed in range(3):
        X = [rng.standard_normal((2 + (i + seed) % 4, 2)) for i in range(20)]
        model.partial_fit(X, [sequence.sum() for sequence in X])
    assert model.n_iter_ == 3


@ALL
def test_the_first_partial_fit_with_a_random_state_instance_draws_once(estimator):
    X, y = problem(estimator)
    state = np.random.RandomState(3)
    model = clone(estimator).set_params(random_state=state)
    model.random_state = state  # clone copies it
    model.partial_fit(X, y, **classes(estimator))
    drawn = state.get_state()[1].copy()
    model.partial_fit(X, y)
    np.testing.assert_array_equal(state.get_state()[1], drawn)


@pytest.mark.parametrize("ragged", [False, True])
@ALL
def test_forgotten_targets_are_refused_in_every_call(estimator, ragged):
    X, y = problem(estimator)
    sequences = [x[: 2 + i % 3] for i, x in enumerate(X)] if ragged else X
    model = clone(estimator).partial_fit(X, y, **classes(estimator))
    for call in (model.fit, model.partial_fit, clone(estimator).fit):
        with pytest.raises(ValueError, match="requires y to be passed, but the target y is None"):
            call(sequences, None)


def test_the_quantised_predictor_can_go_on_too():
    X, y = problem(ESTIMATORS["lstm"])
    small = Compression(hidden_size=2, epochs=2, n_trials=5)
    model = clone(ESTIMATORS["lstm"]).set_params(compression=small).fit(X, y)
    quantized = quantised(model, X, y)
    before = model.predict(X)
    assert quantized.partial_fit(X, y).n_iter_ == model.n_iter_ + 1
    np.testing.assert_array_equal(model.predict(X), before)
