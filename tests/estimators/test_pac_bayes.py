"""The PAC-Bayes bound of the estimators, recomputed by other routes, and the stochastic predictor that it is about."""

import math
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.validation import check_is_fitted
from torch.distributions import Normal, kl_divergence

import sklstm
from sklstm import NoisyRNNClassifier, PACBayes, TikhonovGRURegressor, TikhonovLSTMClassifier, TikhonovLSTMRegressor
from sklstm.generalization import pac_bayes_bound
from sklstm.preprocessing import SequenceScaler
from tests.support.coverage import below, compare
from tests.support.coverage_tasks import CLASSIFICATION, REGRESSION
from tests.support.estimators import ESTIMATORS
from tests.support.problems import late_mean, signed_sum

FAST = {"scales": (0.5, 0.05), "epochs": 1, "n_draws": 60}
QUICK = {"max_epochs": 3, "random_state": 0}


def settings(**changed):
    return PACBayes(**FAST | changed)


def problem(kind, n=80):
    X, y = late_mean(n, n_steps=4)
    return (X, np.where(y > 0, "up", "down")) if is_classifier(kind()) else (X, y)


def parts(model, n):
    """The places that trained the prior, and the others."""
    return model.compression.parts(n, np.random.default_rng(vars(model)["_bound_seed"]))


@pytest.fixture(scope="module", params=ESTIMATORS, ids=lambda kind: kind.__name__)
def fitted(request):
    X, y = problem(request.param)
    model = request.param(4, compression=settings(), **QUICK).fit(X, y)
    return model, X, y, model.generalization_report(X, y)["pac_bayes"]


def test_the_bound_by_a_second_route(fitted):
    model, _, _, bound = fitted
    divergence = 0.0
    for name, mean in bound.posterior.mean.items():
        q, p = (Normal(w.mean[name], w.deviation[name]) for w in (bound.posterior, bound.prior))
        divergence += float(kl_divergence(q, p).sum())
        assert mean.shape == dict(bound.network.named_parameters())[name].shape
        assert torch.equal(bound.prior.mean[name].float(), dict(bound.network.named_parameters())[name])
    assert bound.divergence == pytest.approx(divergence, abs=1e-9)
    n, share = bound.n_samples, bound.mean_loss_limit / bound.scale
    budget = (divergence + math.log(2 * math.sqrt(n) * 2 / (0.9 * model.delta))) / n

    def excess(q):
        return share * math.log(share / q) + (1 - share) * math.log((1 - share) / (1 - q)) - budget

    expected = brentq(excess, share, 1 - 1e-15) if 0 < share < 1 else pac_bayes_bound(share, 0, 1)
    assert bound.value == pytest.approx(bound.scale * expected, rel=1e-9)
    assert bound.mean_loss < bound.mean_loss_limit < bound.value
    assert (bound.n_samples, bound.n_prior, bound.n_priors) == (40, 40, 2)


def test_the_mean_loss_is_that_of_sample_on_the_other_part(fitted):
    model, X, y, bound = fitted
    _, rows = parts(model, len(X))
    stochastic = model.stochastic(bound)
    losses = []
    for seed in range(15):
        predicted = stochastic.sample(X[rows], random_state=seed)
        if is_classifier(model):
            losses.append(np.mean(predicted != y[rows]))
        else:
            losses.append(np.minimum((predicted - y[rows]) ** 2, bound.scale).mean())
    error = math.hypot(np.std(losses) / math.sqrt(15), bound.standard_deviation / math.sqrt(bound.n_draws))
    assert np.mean(losses) == pytest.approx(bound.mean_loss, abs=4 * error + 1e-6)


def test_the_report_is_the_same_every_time_and_fit_is_as_without(fitted):
    model, X, y, bound = fitted
    report = model.generalization_report(X, y)
    assert report["pac_bayes"] == bound
    assert "occam" not in report
    assert "pac_bayes" in str(report)
    assert "the stochastic predictor" in report.summary()
    assert report.to_dict()["pac_bayes"]["divergence"] == bound.divergence
    plain = clone(model).set_params(compression=None).fit(X, y)
    np.testing.assert_array_equal(plain.predict(X), model.predict(X))
    assert plain.generalization_bound_ == model.generalization_bound_
    assert plain.loss_curve_ == model.loss_curve_


def test_what_predict_and_sample_say(fitted):
    model, X, _, bound = fitted
    before = model.predict(X)
    stochastic = model.stochastic(bound)
    one, other = (stochastic.sample(X, random_state=seed) for seed in (3, 4))
    assert one.shape == before.shape
    assert one.dtype == before.dtype
    np.testing.assert_array_equal(one, stochastic.sample(X, random_state=3))
    np.testing.assert_array_equal(one, stochastic.predict(X, n_draws=1, random_state=3))
    np.testing.assert_array_equal(stochastic.predict(X, n_draws=5), stochastic.predict(X, n_draws=5))
    np.testing.assert_array_equal(stochastic.predict(X, n_draws=5)[7:9], stochastic.predict(X[7:9], n_draws=5))
    if is_classifier(model):
        assert set(stochastic.predict(X, n_draws=3)) <= set(model.classes_)
    else:
        assert (one != other).any()
        assert np.std(stochastic.predict(X, n_draws=50, random_state=0) - stochastic.predict(X, n_draws=50)) == 0
    np.testing.assert_array_equal(model.predict(X), before)
    again = pickle.loads(pickle.dumps(stochastic))
    np.testing.assert_array_equal(again.sample(X, random_state=3), one)


def test_a_vote_is_the_label_of_most_draws():
    X, y = signed_sum(100, n_steps=4)
    labels = np.where(y == y[0], "b", "a")
    wide = settings(scales=(2.0,), epochs=0)
    model = NoisyRNNClassifier(4, compression=wide, **QUICK).fit(X, labels)
    stochastic = model.stochastic(model.generalization_report(X, labels)["pac_bayes"])
    generator, counts = torch.Generator(), np.zeros((100, 2))
    generator.manual_seed(int(np.random.RandomState(5).randint(2**31 - 1)))
    module = stochastic._model.net_.module_
    for _ in range(11):
        module.load_state_dict(stochastic.bound.posterior.draw(generator))
        counts += stochastic._model.predict(X)[:, None] == np.array(["a", "b"])
    assert ((counts > 0) & (counts < 11)).any(), "the draws differ"
    expected = np.array(["a", "b"])[counts.argmax(axis=1)]
    np.testing.assert_array_equal(stochastic.predict(X, n_draws=11, random_state=5), expected)


def test_the_prior_knows_nothing_of_the_other_part():
    X, y = late_mean(80, n_steps=4)
    model = TikhonovLSTMRegressor(3, compression=settings(), early_stopping=True, **QUICK)
    first = model.fit(X, y)
    bound = first.generalization_report(X, y)["pac_bayes"]
    rows, others = parts(first, 80)
    changed = np.array(y)
    changed[others] = -10 * y[others] + 3
    second = clone(model).fit(np.where(np.isin(np.arange(80), others)[:, None, None], 5 * X, X), changed)
    again = second.generalization_report(second_X(X, others), changed)["pac_bayes"]
    assert again.mean_loss != bound.mean_loss
    for name, mean in bound.prior.mean.items():
        assert torch.equal(mean, again.prior.mean[name]), "trained on the prior's part alone"
    assert again.scale == bound.scale, "so was the cap chosen"
    assert len(rows) == bound.n_prior


def test_a_prior_that_cannot_be_trained_is_named():
    """Early stopping holds out a part of every class, and of a rare one the prior may have a single sequence."""
    X, _ = late_mean(80, n_steps=4)
    model = TikhonovLSTMClassifier(3, early_stopping=True, compression=settings(prior_fraction=0.25), **QUICK)
    prior, others = parts(model.fit(X, np.arange(80) % 2), 80)
    y = np.where(np.isin(np.arange(80), [prior[0], *others[:4]]), "rare", "usual")
    model.fit(X, y)
    np.testing.assert_array_equal(parts(model, 80)[0], prior)
    words = r"prior cannot be trained on the 20 of 80 sequences that prior_fraction=0.25 takes. .* cannot hold out"
    with pytest.raises(ValueError, match=words):
        model.generalization_report(X, y)


def second_X(X, others):
    return np.where(np.isin(np.arange(len(X)), others)[:, None, None], 5 * X, X)


def test_a_posterior_is_trained_where_it_lowers_the_bound():
    """A prior from few sequences, with room to move: the posterior learns from the others, and pays for it."""
    X, y = signed_sum(800, n_steps=4)
    made = {}
    for epochs in (0, 12):
        one = PACBayes(0.02, scales=(0.5,), epochs=epochs, n_draws=200)
        model = NoisyRNNClassifier(4, max_epochs=5, compression=one, random_state=0).fit(X, y)
        made[epochs] = model.generalization_report(X, y)["pac_bayes"]
    assert made[0].divergence == 0 < made[12].divergence
    assert made[12].value < made[0].value


TRUTHS = {
    "coins": ("noise labels, truth 1/2", NoisyRNNClassifier(4)),
    "flipped": ("last sign, flipped 0.1", TikhonovLSTMClassifier(3, lr=0.02)),
    "targets of noise": ("noise targets", TikhonovGRURegressor(2, skip="none")),
    "mean of signs": ("mean of signs plus noise", TikhonovLSTMRegressor(2, loss_cap=4.0)),
}


@pytest.mark.parametrize(("label", "fraction"), list(zip(TRUTHS, (0.2, 0.5, 0.2, 0.5), strict=True)))
def test_no_bound_is_below_the_truth(label, fraction):
    name, model = TRUTHS[label]
    task, rng = (CLASSIFICATION | REGRESSION)[name], np.random.default_rng(11)
    training = task.draw(rng, 80)
    one = PACBayes(fraction, scales=(0.5, 0.02), epochs=6, n_draws=100, batch_size=16)
    model = clone(model).set_params(max_epochs=10, compression=one, random_state=1).fit(training.X, training.y)
    bound = model.generalization_report(training.X, training.y)["pac_bayes"]
    (row,) = compare(model, [bound.at_delta(1e-6)], task.truth(rng))
    assert not below(row)


def test_a_posterior_that_forgot_to_pay_would_be_caught():
    """Of a predictor fitted to coins the loss on the other part is below 1/2 in about half of the samples."""
    task, caught = CLASSIFICATION["noise labels, truth 1/2"], []
    for seed in range(2):
        rng = np.random.default_rng(seed)
        training = task.draw(rng, 40)
        one = PACBayes(0.3, scales=(1.0,), epochs=20, n_draws=60, lr=0.5, batch_size=8)
        model = NoisyRNNClassifier(4, max_epochs=2, compression=one, random_state=0).fit(training.X, training.y)
        bound = model.generalization_report(training.X, training.y)["pac_bayes"]
        claimed, whole = compare(model, [replace(bound, value=bound.mean_loss), bound.at_delta(1e-6)], task.truth(rng))
        caught.append(below(claimed))
        assert not below(whole)
    assert any(caught)


def test_sequences_of_unequal_length_two_layers_and_two_outputs():
    X, y = late_mean(60, n_steps=6)
    ragged = [x[: 3 + i % 4] for i, x in enumerate(X)]
    Y = np.column_stack([y, -y])
    model = TikhonovLSTMRegressor(3, num_layers=2, lambda_s=1e-4, compression=settings(), **QUICK).fit(ragged, Y)
    bound = model.generalization_report(ragged, Y)["pac_bayes"]
    stochastic = model.stochastic(bound)
    assert stochastic.predict(ragged, n_draws=2).shape == (60, 2)
    assert bound.value > bound.mean_loss


def test_in_a_pipeline():
    X, y = signed_sum(60, n_steps=4)
    model = make_pipeline(SequenceScaler(), NoisyRNNClassifier(4, compression=settings(), **QUICK)).fit(X, y)
    bound = sklstm.generalization_report(model, X, y)["pac_bayes"]
    assert model[-1].stochastic(bound).predict(model[:-1].transform(X), n_draws=3).shape == (60,)


def test_it_is_a_parameter_like_others():
    X, y = signed_sum(60, n_steps=4)
    model = NoisyRNNClassifier(4, compression=settings(), **QUICK)
    assert clone(model).get_params()["compression__n_draws"] == 60
    search = GridSearchCV(model, {"compression": [None, settings(prior_fraction=0.3)]}, cv=2).fit(X, y)
    check_is_fitted(search.best_estimator_)
    assert not hasattr(model, "generalization_bound_"), "the caller's object stays unfitted"


def test_a_saved_model_makes_the_same_bound(tmp_path):
    X, y = late_mean(60, n_steps=4)
    model = TikhonovLSTMRegressor(3, compression=settings(), **QUICK).fit(X, y)
    bound = model.generalization_report(X, y)["pac_bayes"]
    model.save(tmp_path / "model.safetensors")
    loaded = sklstm.load(tmp_path / "model.safetensors")
    assert loaded.generalization_report(X, y)["pac_bayes"] == bound
    np.testing.assert_array_equal(
        loaded.stochastic(bound).sample(X, random_state=1), model.stochastic(bound).sample(X, random_state=1)
    )


def test_errors_come_before_training(monkeypatch):
    X, y = signed_sum(60, n_steps=4)
    model = NoisyRNNClassifier(4, **QUICK).fit(X, y)
    monkeypatch.setattr("sklstm.estimators._base_classifier.train", lambda *a, **k: pytest.fail("training began"))
    monkeypatch.setattr("sklstm.estimators._reports.train", lambda *a, **k: pytest.fail("training began"))
    cases = [
        ({"prior_fraction": 0.0}, ValueError, "prior_fraction"),
        ({"prior_fraction": 1}, ValueError, "prior_fraction"),
        ({"prior_fraction": "half"}, TypeError, "prior_fraction"),
        ({"prior_fraction": 0.01}, ValueError, "leaves 1 and 59 of 60 sequences"),
        ({"prior_fraction": 0.99}, ValueError, "leaves 59 and 1 of 60 sequences"),
        ({"scales": ()}, TypeError, "scales"),
        ({"scales": 0.1}, TypeError, "scales"),
        ({"scales": (0.1, -0.1)}, ValueError, "scales"),
        ({"epochs": -1}, ValueError, "epochs"),
        ({"batch_size": 0}, ValueError, "batch_size"),
        ({"lr": 0.0}, ValueError, "lr"),
        ({"n_draws": 1}, ValueError, "n_draws"),
        ({"n_draws": 2.5}, TypeError, "n_draws"),
    ]
    for changed, error, message in cases:
        with pytest.raises(error, match=message):
            NoisyRNNClassifier(4, compression=settings(**changed), **QUICK).fit(X, y)
        with pytest.raises(error, match=message):
            model.set_params(compression=settings(**changed)).generalization_report(X, y)


def test_only_a_pac_bayes_bound_of_such_a_network_makes_a_predictor():
    X, y = signed_sum(60, n_steps=4)
    model = NoisyRNNClassifier(4, compression=settings(), **QUICK).fit(X, y)
    report = model.generalization_report(X, y)
    with pytest.raises(NotFittedError):
        clone(model).stochastic(report["pac_bayes"])
    with pytest.raises(TypeError, match=r"bound must be the PAC-Bayes bound .* got TuBound"):
        model.stochastic(report["theorem_3"])
    with pytest.raises(TypeError, match="bound must be the Occam bound"):
        model.quantized(report["pac_bayes"])
    other = TikhonovLSTMRegressor(4, **QUICK).fit(X, X[:, -1, 0])
    with pytest.raises(ValueError, match="bound is from other data or about another network"):
        other.stochastic(report["pac_bayes"])
    stochastic = model.stochastic(report["pac_bayes"])
    with pytest.raises(ValueError, match="n_draws"):
        stochastic.predict(X, n_draws=0)
    with pytest.raises(ValueError, match="random_state"):
        stochastic.sample(X, random_state=-1)


def test_a_bound_from_other_data_makes_no_predictor():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((120, 4, 1))
    y = X[:, -1, 0] > 0
    settings = PACBayes(epochs=1, n_draws=20)
    few = {"max_epochs": 1, "compression": settings, "random_state": 0}
    model = NoisyRNNClassifier(4, **few).fit(X, y)
    bound = model.generalization_report(X, y)["pac_bayes"]
    model.stochastic(bound)
    others = (
        NoisyRNNClassifier(4, **few).fit(X, ~y),
        NoisyRNNClassifier(4, **few).fit(X + 1, y),
        NoisyRNNClassifier(4, activation="tanh", **few).fit(X, y),
    )
    for other in others:
        with pytest.raises(ValueError, match="bound is from other data or about another network"):
            other.stochastic(bound)
