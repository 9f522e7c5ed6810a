from functools import partial

import numpy as np
import pytest
import torch
from scipy.special import softmax
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from skorch.callbacks import Callback

from sklstm import NoisyRNNClassifier
from sklstm.generalization import fisher_rao_norm, smallest_eigenvalue
from sklstm.preprocessing import SequenceScaler
from tests.support.problems import signed_sum

QUICK = {"hidden_size": 8, "max_epochs": 3, "random_state": 0}


def weights(model):
    return [w.detach().double().numpy() for w in (model.net_.module_.U, model.net_.module_.W, model.net_.module_.V)]


def outputs(model, X):
    """y_L by the recursion (1) in numpy float64."""
    U, W, V = weights(model)
    h = np.zeros((len(X), len(U)))
    for t in range(X.shape[1]):
        h = np.maximum(X[:, t] @ U.T + h @ W.T, 0)
    return h @ V.T


def row_sum(matrix):
    return np.abs(matrix).sum(axis=1).max()


def test_learns_a_known_answer_over_a_hundred_steps():
    X, y = signed_sum(600, n_steps=100)
    model = NoisyRNNClassifier(16, max_epochs=30, random_state=0).fit(X[:450], y[:450])
    assert model.score(X[450:], y[450:]) > 0.9


def test_predictions_are_those_of_equation_1_without_noise():
    X, y = signed_sum(100)
    y = np.where(np.abs(X[:, :, 1].sum(axis=1)) < 1, "flat", y)
    model = NoisyRNNClassifier(sigma=0.5, **QUICK).fit(X, y)
    assert model.classes_.tolist() == ["down", "flat", "up"]
    expected = outputs(model, X)
    np.testing.assert_allclose(model.decision_function(X), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.predict_proba(X), softmax(expected, axis=1), rtol=1e-4, atol=1e-5)
    assert (model.predict(X) == model.classes_[model.decision_function(X).argmax(axis=1)]).all()
    np.testing.assert_array_equal(model.predict_proba(X), model.predict_proba(X))


def test_two_classes_have_one_decision_value():
    X, y = signed_sum(100)
    model = NoisyRNNClassifier(**QUICK).fit(X, y)
    decision = model.decision_function(X)
    assert decision.shape == (100,)
    assert ((decision > 0) == (model.predict(X) == "up")).all()
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1, rtol=1e-12)


@pytest.mark.parametrize("labels", [(3, 5), ("no", "yes"), (-1.0, 1.0), (False, True)])
def test_labels_of_any_kind_come_back(labels):
    X, y = signed_sum(60)
    y = np.array(labels)[(y == "up").astype(int)]
    model = NoisyRNNClassifier(**QUICK).fit(X, y)
    assert model.classes_.tolist() == list(labels)
    assert set(model.predict(X)) <= set(labels)
    assert model.predict(X).dtype == y.dtype


def test_theorem_2_term_by_term_on_a_fitted_model():
    X, y = signed_sum(200, n_steps=4)
    model = NoisyRNNClassifier(sigma=0.0, margin=0.5, delta=0.1, **QUICK).fit(X, y)
    report = model.generalization_report(X, y)["theorem_2"]
    U, W, V = weights(model)
    n, L, _ = X.shape
    k = 2
    signed = outputs(model, X) * np.where(y == "up", 1, -1)[:, None] * [-1, 1]
    margin_loss = np.mean(signed.sum(axis=1) <= 0.5)
    capacity = sum((m + 1) * row_sum(W) ** m for m in range(L))
    flat = X.reshape(n, -1)
    second_moment = sum(np.outer(x, x) for x in flat) / n
    tau = sum((L - t + 2) * X[:, t - 1] @ (V @ np.linalg.matrix_power(W, L - t) @ U).T for t in range(1, L + 1))
    r = np.sqrt(np.mean(np.max(tau**2, axis=1)))
    lambda_min = np.linalg.eigvalsh(second_moment)[0]
    fisher_rao = 4 * k / 0.5 * r * np.linalg.norm(X) / (2 * n) / np.sqrt(lambda_min)
    norm = 4 * k / 0.5 * row_sum(V) * row_sum(U) * np.abs(X).sum(axis=0).max() * capacity / n
    confidence = 3 * np.sqrt(np.log(2 / 0.1) / (2 * n))
    np.testing.assert_allclose(
        [
            report.margin_loss,
            report.noise_term,
            report.fisher_rao_term,
            report.norm_term,
            report.confidence_term,
        ],
        [margin_loss, 0, fisher_rao, norm, confidence],
        rtol=1e-10,
    )
    assert model.generalization_bound_ == report.value
    assert report.value == pytest.approx(margin_loss + fisher_rao + norm + confidence, rel=1e-10)
    assert report.lambda_min == pytest.approx(smallest_eigenvalue(X), rel=1e-12)
    assert report.fisher_rao == pytest.approx(fisher_rao_norm(U, W, V, X), rel=1e-12)


def test_theorem_3_on_a_fitted_model():
    X, y = signed_sum(200, n_steps=4)
    model = NoisyRNNClassifier(sigma=0.3, **QUICK).fit(X, y)
    report = model.generalization_report(X, y)["theorem_3"]
    U, W, V = weights(model)
    powers = sum(row_sum(W) ** (4 - i) for i in range(1, 5))
    expected = 2 * row_sum(V) * row_sum(U) * powers * 0.3 * np.sqrt(2 * np.log(4))
    assert report.noise_term == pytest.approx(expected, rel=1e-10)
    assert report.lambda_min == pytest.approx(smallest_eigenvalue(X), rel=1e-12)
    parts = [
        report.margin_loss,
        report.noise_term,
        report.fisher_rao_term,
        report.norm_term,
        report.confidence_term,
    ]
    assert model.generalization_bound_ == pytest.approx(sum(parts), rel=1e-12)
    again = NoisyRNNClassifier(sigma=0.3, **QUICK).fit(X, y)
    assert again.generalization_bound_ == model.generalization_bound_, "the noise sample follows random_state"


@pytest.mark.parametrize("limit", [1e-8, 1e-13, 1e-20, 1e-40])
def test_max_norms_hold_however_small_they_are(limit):
    X, y = signed_sum(60)
    limits = {"max_norm_u": limit, "max_norm_w": limit, "max_norm_v": limit}
    model = NoisyRNNClassifier(**QUICK, **limits).fit(X, y)
    assert max(map(row_sum, weights(model))) <= limit
    assert np.isfinite(model.predict_proba(X)).all()


def test_max_norms_hold_after_training_and_enter_the_bound():
    X, y = signed_sum(200)
    limits = {"max_norm_u": 0.4, "max_norm_w": 0.9, "max_norm_v": 0.7}
    model = NoisyRNNClassifier(8, max_epochs=10, lr=0.01, random_state=0, **limits).fit(X, y)
    for weight, limit in zip(weights(model), limits.values(), strict=True):
        assert row_sum(weight) <= limit
    assert row_sum(weights(model)[2]) > 0.69, "the limit was felt"
    report = model.generalization_report(X, y)
    assert (report.beta_u, report.beta_w, report.beta_v) == tuple(limit * (1 + 1e-5) for limit in limits.values())
    free = NoisyRNNClassifier(8, max_epochs=10, lr=0.01, random_state=0).fit(X, y)
    assert row_sum(weights(free)[1]) > 0.9
    assert free.generalization_bound_ > model.generalization_bound_


def test_sigma_zero_is_a_plain_network_and_noise_is_fresh_in_every_batch():
    X, y = signed_sum(100)
    seen = []

    class Record(Callback):
        def on_batch_begin(self, net, batch=None, training=False, **kwargs):
            if training:
                seen.append(batch[0].clone())

    Recording = partial(NoisyRNNClassifier, callbacks=[Record()])
    flat = X.astype(np.float32).reshape(100, -1)
    Recording(sigma=0.0, batch_size=50, **QUICK).fit(X, y)
    first_epoch = torch.cat(seen[:2]).flatten(1).numpy()
    assert {row.tobytes() for row in first_epoch} == {row.tobytes() for row in flat}, "bit for bit the data"
    seen.clear()
    Recording(sigma=1e-2, batch_size=100, **QUICK).fit(X, y)
    noises = []
    for batch in seen:
        inputs = batch.flatten(1).numpy()
        nearest = np.argmin(((inputs[:, None] - flat[None]) ** 2).sum(axis=2), axis=1)
        order = np.argsort(nearest)
        noises.append((inputs - flat[nearest])[order])
    assert len(noises) == 3
    for noise in noises:
        assert noise.std() == pytest.approx(0.01, rel=0.08)
    assert abs(np.corrcoef(noises[0].ravel(), noises[1].ravel())[0, 1]) < 0.15


def test_weight_decay_and_clipping_reach_the_optimiser():
    X, y = signed_sum(100)
    small = NoisyRNNClassifier(weight_decay=10.0, hidden_size=8, max_epochs=30, random_state=0).fit(X, y)
    large = NoisyRNNClassifier(weight_decay=0.0, hidden_size=8, max_epochs=30, random_state=0).fit(X, y)
    assert np.linalg.norm(weights(small)[1]) < np.linalg.norm(weights(large)[1])
    still = NoisyRNNClassifier(clip_norm=1e-12, optimizer="sgd", lr=0.1, **QUICK).fit(X, y)
    np.testing.assert_allclose(weights(still)[1], np.eye(8), atol=1e-6)


def test_early_stopping_is_stratified_and_stops():
    X, y = signed_sum(300)
    rare = np.where(np.arange(300) < 6, "rare", y)
    model = NoisyRNNClassifier(
        8,
        max_epochs=200,
        lr=0.02,
        early_stopping=True,
        n_iter_no_change=3,
        validation_fraction=0.34,
        random_state=0,
    ).fit(X, rare)
    assert model.n_iter_ < 200
    losses = model.net_.history[:, "valid_loss"]
    assert int(np.argmin(losses)) + 1 + 3 == len(losses)


def with_constant(X):
    return [np.column_stack([x, np.ones(len(x))]) for x in X]


def test_labels_do_not_depend_on_the_size_unless_there_is_a_constant_channel():
    """f(aX) = a f(X): a level alarm at one standard deviation is right for 84 % at most, as N(0, 1) is below 1."""
    level = np.random.default_rng(0).standard_normal(1600)
    X = np.repeat(level[:, None, None], 6, axis=1)
    alarm = level > 1
    model = NoisyRNNClassifier(8, lr=0.01, max_epochs=60, random_state=0)
    model.fit(X[:600], alarm[:600])
    for factor in (0.25, 4.0, 2.0**20):  # exact in binary numbers
        np.testing.assert_array_equal(model.decision_function(factor * X), factor * model.decision_function(X))
        np.testing.assert_array_equal(model.predict(factor * X), model.predict(X))
    positive = level > 0
    assert len(set(model.predict(X[positive]))) == 1
    never = 1 - alarm[600:].mean()
    assert abs(never - 0.8413) < 0.03  # Φ(1), and its standard error is 0.012
    assert model.score(X[600:], alarm[600:]) <= never
    seeing = make_pipeline(SequenceScaler(), FunctionTransformer(with_constant), model)
    seeing.fit(X[:600], alarm[:600])
    assert seeing.score(X[600:], alarm[600:]) > 0.98
    ragged = [x[: 1 + i % 6] for i, x in enumerate(X)]
    assert seeing.fit(ragged[:600], alarm[:600]).score(ragged[600:], alarm[600:]) > 0.95
    lower, upper = seeing[-1].certify(seeing[:-1].transform(X[:3]), [0.01, 0.0])
    assert (lower < upper).all()
