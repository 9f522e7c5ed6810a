"""No bound of a report is below the truth, where the truth is known; and the comparison that says so can say no."""

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import binomtest, norm

from sklstm import NoisyRNNClassifier, TikhonovGRURegressor, TikhonovLSTMRegressor
from sklstm.generalization import choose_cap
from tests.support.coverage import (
    CALIBRATION_DELTA,
    N_DRAWS,
    HeldOut,
    KnownLabels,
    KnownTargets,
    below,
    capped_normal_square,
    compare,
    loss_cap,
    lower_limit,
    zero_one_calibration,
)
from tests.support.coverage_tasks import CLASSIFICATION, LIMITS, N_EACH, NOISES, REGRESSION, estimator

# Samples on which some training losses are below the truth: a bound that forgot its other terms would be caught.
FIRST_SEED = 300
# All bounds of all models hold at once but for one time in ten thousand: a failure is a mistake, not bad luck.
DELTA = 1e-6
QUICK = {"lr_schedule": "constant", "lr": 0.02, "batch_size": 64, "random_state": 0}
TIGHT = {"max_norm_u": 1.0, "max_norm_w": 0.1, "max_norm_v": 1.0}
NO_PENALTY = {"lambda_s": 0.0, "lambda_1": 0.0, "lambda_2": 0.0}
NOISE, LAST, SIGNS = "noise labels, truth 1/2", "last sign, flipped 0.1", "mean of signs plus noise"
MODELS = {
    "memorised noise": (NOISE, 60, NoisyRNNClassifier(16, sigma=0.0)),
    "noise, gaussian": (NOISE, 200, NoisyRNNClassifier(8, sigma=0.3)),
    "noise, limits": (NOISE, 2000, NoisyRNNClassifier(4, sigma=0.0, **TIGHT)),
    "last, plain": (LAST, 200, NoisyRNNClassifier(8, sigma=0.0)),
    "last, limits": (LAST, 5000, NoisyRNNClassifier(4, sigma=0.0, **TIGHT)),
    "last, dropout": (LAST, 500, NoisyRNNClassifier(4, sigma=0.3, noise="dropout", **TIGHT)),
    "last, laplace": (LAST, 500, NoisyRNNClassifier(4, sigma=0.3, noise="laplace")),
    "last, uniform": (LAST, 500, NoisyRNNClassifier(4, sigma=0.3, noise="uniform")),
    "targets of noise, lstm": ("noise targets", 30, TikhonovLSTMRegressor(2, **NO_PENALTY)),
    "targets of noise, gru": ("noise targets", 2000, TikhonovGRURegressor(2, **NO_PENALTY)),
    "signs, lstm": (SIGNS, 2000, TikhonovLSTMRegressor(2, loss_cap=4.0, **NO_PENALTY)),
    "signs, gru": (SIGNS, 2000, TikhonovGRURegressor(4, **NO_PENALTY)),
}


@dataclass(frozen=True)
class Claim:
    """A number that somebody claims to bound the loss, at whatever δ."""

    value: float
    about: str = "the trained predictor"
    name: str = "claim"
    ceiling: float = 1.0
    delta: float = 0.05
    vacuous: bool = False
    quantity: str = "an error probability"
    guess: float | None = None

    def at_delta(self, delta):
        return replace(self, delta=delta)


@pytest.fixture(scope="module")
def fitted():
    models = {}
    for seed, (label, (name, n, model)) in enumerate(MODELS.items(), FIRST_SEED):
        rng, task = np.random.default_rng(seed), (CLASSIFICATION | REGRESSION)[name]
        training, hold = task.draw(rng, n), task.draw(rng, 1000)
        epochs = min(100, max(2, 4000 // n))
        model.set_params(max_epochs=epochs, **QUICK).fit(training.X, training.y)
        models[label] = model, training, hold, task.truth(rng)
    return models


@pytest.mark.parametrize("label", MODELS)
def test_no_bound_is_below_the_truth(fitted, label):
    model, training, hold, truth = fitted[label]
    report = model.generalization_report(training.X, training.y)
    rows = compare(model, [bound.at_delta(DELTA) for bound in report.bounds], truth)
    rows += compare(model, [model.holdout_bound(hold.X, hold.y, delta=DELTA)], truth)
    assert truth.exact
    assert len(rows) == len(report) + 1
    assert [row["bound"] for row in rows if below(row)] == []
    assert not rows[-1]["vacuous"], "a bound that says something was put to the test"


@pytest.mark.parametrize(("name", "loss"), [("theorem_2", "margin_loss"), ("occam", "train_loss")])
def test_a_training_loss_in_place_of_a_bound_would_be_caught(fitted, name, loss):
    caught = []
    for model, training, _, truth in fitted.values():
        for bound in model.generalization_report(training.X, training.y).bounds:
            if bound.name == name:
                (row,) = compare(model, [replace(bound, value=getattr(bound, loss))], truth)
                caught.append(below(row))
    assert any(caught)


def test_every_noise_label_is_a_coin(fitted):
    model, *_, truth = fitted["noise, gaussian"]
    (row,) = compare(model, [Claim(0.5)], truth)
    assert row["loss"] == row["lower"] == 0.5
    assert not below(row)


def test_a_claim_below_the_truth_is_caught(fitted):
    model, training, _, truth = fitted["memorised noise"]
    training_error = 1 - model.score(training.X, training.y)
    assert training_error < 0.35, "it has memorised noise"
    rows = compare(model, [Claim(training_error), Claim(0.4999), Claim(math.nan), Claim(0.5)], truth)
    assert [below(row) for row in rows] == [True, True, True, False]
    assert below(rows[0] | {"half": 0.1}, "half")


def test_a_claim_is_held_against_the_predictor_that_it_is_about(fitted):
    model, training, _, truth = fitted["signs, gru"]
    bound = model.generalization_report(training.X, training.y)["occam"]
    cap = bound.ceiling
    parts = {"quantity": f"a mean loss capped at {cap:g}", "ceiling": cap, "value": cap}
    about_quantised = replace(bound, value=cap)
    trained, quantised = compare(model, [Claim(**parts), about_quantised], truth)
    assert trained["loss"] == pytest.approx(truth.losses(model.predict(truth.X), cap).mean())
    assert trained["loss"] != quantised["loss"]
    predicted = model.quantized(bound).predict(training.X)
    assert training.losses(predicted, cap).mean() == pytest.approx(bound.train_loss, rel=1e-5)
    before = [parameter.clone() for parameter in model.net_.module_.parameters()]
    model.quantized(bound)
    assert all((a == b).all() for a, b in zip(before, model.net_.module_.parameters(), strict=True))


def test_a_bound_about_something_else_is_refused(fitted):
    model, *_, truth = fitted["last, plain"]
    with pytest.raises(ValueError, match="neither the trained nor the quantised"):
        compare(model, [Claim(0.5, about="the average over a posterior")], truth)
    with pytest.raises(ValueError, match="not a loss known here"):
        compare(model, [Claim(0.5, quantity="a Rademacher complexity")], truth)
    with pytest.raises(ValueError, match="no cap"):
        compare(model, [Claim(0.5, quantity="a mean loss")], truth)
    assert loss_cap(Claim(0.5, quantity="a mean loss capped at 4", ceiling=4.0)) == 4


@pytest.mark.parametrize("shift", [0.0, 0.3, -1.9, 5.0])  # not at a kink: there the last limit is O(σ) off
@pytest.mark.parametrize("cap", [0.25, 4.0])
def test_capped_square_of_a_normal(shift, cap):
    root = math.sqrt(cap)
    integral, _ = quad(
        lambda z: min(z * z, cap) * norm.pdf(z, shift, 0.7), shift - 8, shift + 8, points=(-root, root), limit=200
    )
    assert capped_normal_square(shift, 0.7, cap) == pytest.approx(integral, rel=1e-7)
    assert capped_normal_square(shift, 0.7, 1e4) == pytest.approx(shift**2 + 0.49, rel=1e-9)
    assert capped_normal_square(shift, 1e-6, cap) == pytest.approx(min(shift**2, cap), abs=1e-9)


def test_known_labels():
    truth = CLASSIFICATION[LAST].truth(np.random.default_rng(0))
    assert truth.X.shape == (1024, 10, 1)
    assert len(np.unique(truth.X, axis=0)) == 1024
    rule = (truth.X[:, -1, 0] > 0).astype(int)
    assert truth.losses(rule, None).mean() == pytest.approx(0.1)
    assert truth.losses(1 - rule, None).mean() == pytest.approx(0.9)
    assert truth.losses(np.zeros(1024), None).mean() == pytest.approx(0.5)
    sample = CLASSIFICATION[LAST].draw(np.random.default_rng(1), 20_000)
    # ten standard errors of a share of 0.1
    assert np.mean(sample.y != (sample.X[:, -1, 0] > 0)) == pytest.approx(0.1, abs=10 * math.sqrt(0.09 / 20_000))


def test_known_targets_agree_with_a_sample():
    task = REGRESSION[SIGNS]
    truth, sample = task.truth(np.random.default_rng(0)), task.draw(np.random.default_rng(1), 40_000)
    cap, _ = choose_cap(sample.y)
    constant = truth.losses(np.full(len(truth.X), 0.3), cap).mean()
    losses = sample.losses(np.full(len(sample.X), 0.3), cap)
    assert isinstance(truth, KnownTargets)
    lost = np.full(len(truth.X), np.nan)
    assert (truth.losses(lost, cap) == cap).all(), "a network that overflows has the largest loss"
    assert (sample.losses(np.full(len(sample.X), np.nan), cap) == cap).all()
    assert losses.mean() == pytest.approx(constant, abs=5 * losses.std() / 200)


def test_lower_limits():
    wrong = np.arange(50) < 4
    exact = binomtest(4, 50).proportion_ci(0.9).low  # two-sided 90 %: 5 % on either side
    assert lower_limit(wrong.astype(float), True) == pytest.approx(exact)
    assert lower_limit(np.zeros(50), True) == 0
    losses = np.random.default_rng(0).random(400)
    limit = losses.mean() - 1.6448536 * losses.std(ddof=1) / 20
    assert lower_limit(losses, False) == pytest.approx(limit)


def test_held_out_losses():
    held = HeldOut(np.zeros((2, 1, 1)), np.array([[0.0, 0.0], [3.0, 1.0]]))
    assert held.losses(np.zeros((2, 2)), 100.0).tolist() == [0, 5]
    assert held.losses(np.zeros((2, 2)), 2.0).tolist() == [0, 2]
    assert len((held + held).X) == 4
    labels = HeldOut(np.zeros((2, 1, 1)), np.array(["a", "b"]))
    assert labels.losses(np.array(["a", "a"]), None).tolist() == [0, 1]
    assert KnownLabels(held.X, np.array([0.2, 0.7]), True).losses(np.array([1, 0]), None) == pytest.approx([0.8, 0.7])


def test_the_parts_of_real_data_are_disjoint():
    training, hold, other, check = CLASSIFICATION["bike sharing, rise or fall"].parts(3)
    rows = [{x.tobytes() for x in part.X} for part in (training, hold, check)]
    n = len(training.X) + len(hold.X) + len(check.X)
    assert len(rows[0] | rows[1] | rows[2]) == n == 17379 // 7
    assert len(other.X) == len(hold.X) + len(check.X)


def test_the_binomial_limit_fails_as_often_as_it_may():
    losses = (np.arange(500) < 60).astype(float)
    observed, exact = zero_one_calibration(losses, 400, np.random.default_rng(0))
    assert 0.75 * CALIBRATION_DELTA < exact <= CALIBRATION_DELTA
    assert observed == pytest.approx(exact, abs=3 * math.sqrt(exact * (1 - exact) / N_DRAWS))


def test_two_hundred_models_with_every_noise_under_every_limit():
    assert N_EACH * len(CLASSIFICATION | REGRESSION) >= 200
    kinds = {repr(estimator("digits", number).set_params(hidden_size=1, random_state=0)) for number in range(N_EACH)}
    assert len(kinds) == len(NOISES) * len(LIMITS) == N_EACH
