"""Learning rates by epoch: what was used equals the formula."""

import math

import numpy as np
import pytest
from skorch.callbacks import Callback

from sklstm import NoisyRNNClassifier, TikhonovLSTMRegressor
from sklstm.training._callbacks import SCHEDULES

E, LR = 20, 0.02
FORMULAS = {
    "constant": lambda e: LR,
    "step": lambda e: LR if e < 10 else LR / 10 if e < 15 else LR / 100,
    "exponential": lambda e: LR * 10 ** (-2 * e / E),
    "cosine": lambda e: LR * (0.01 + 0.495 * (1 + math.cos(math.pi * e / E))),
    "warmup-cosine": lambda e: (
        [LR / 2, LR][e] if e < 2 else LR * (0.01 + 0.495 * (1 + math.cos(math.pi * (e - 2) / 18)))
    ),
}


class FirstEpoch(Callback):
    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == 1:
            self.readout = net.module_.readout.weight.detach().clone()


@pytest.fixture
def X():
    return np.random.default_rng(0).standard_normal((40, 4, 2))


def fit(X, **parameters):
    return TikhonovLSTMRegressor(4, lr=LR, max_epochs=E, batch_size=16, random_state=0, **parameters).fit(
        X, X[:, -1, 0]
    )


def test_every_schedule_has_its_formula_here():
    assert set(FORMULAS) | {"plateau"} == set(SCHEDULES)


@pytest.mark.parametrize("schedule", FORMULAS)
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_the_rate_of_every_epoch_is_the_formula(X, schedule, optimizer):
    rates = fit(X, lr_schedule=schedule, optimizer=optimizer).net_.history[:, "lr"]
    np.testing.assert_allclose(rates, [FORMULAS[schedule](e) for e in range(E)], rtol=1e-12)


def test_the_rate_is_the_one_that_steps_use(X):
    # SGD and one batch an epoch: the first step is a multiple of the rate.
    common = {
        "optimizer": "sgd",
        "lr": LR,
        "max_epochs": E,
        "batch_size": 40,
        "random_state": 0,
    }
    start = TikhonovLSTMRegressor(4, **common | {"lr": 1e-30, "max_epochs": 1}).fit(X, X[:, -1, 0])
    steps = {}
    for schedule in ("constant", "warmup-cosine"):
        first = FirstEpoch()
        TikhonovLSTMRegressor(4, lr_schedule=schedule, callbacks=[first], **common).fit(X, X[:, -1, 0])
        steps[schedule] = (first.readout - start.net_.module_.readout.weight.detach()).numpy()
    np.testing.assert_allclose(steps["warmup-cosine"], steps["constant"] / 2, rtol=1e-3)


def test_constant_is_no_schedule_bit_for_bit(X):
    plain, named = fit(X, lr_schedule="constant"), fit(X, lr_schedule=np.str_("constant"))
    np.testing.assert_array_equal(plain.predict(X), named.predict(X))
    assert set(plain.net_.history[:, "lr"]) == {plain.lr}


@pytest.mark.parametrize("early_stopping", [False, True])
def test_plateau_halves_after_five_epochs_without_a_fall(early_stopping):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((60, 4, 2)), rng.integers(0, 2, 60)  # nothing to learn
    model = NoisyRNNClassifier(
        4, lr=0.3, sigma=1.0, lr_schedule="plateau", max_epochs=80, n_iter_no_change=100, random_state=0,
        early_stopping=early_stopping, validation_fraction=0.4,
    ).fit(X, y)  # fmt: skip
    rates = model.net_.history[:, "lr"]
    losses = model.net_.history[:, "valid_loss" if early_stopping else "train_loss"]
    # The same by hand.
    rate, best, bad, expected = 0.3, math.inf, 0, []
    for loss in losses:
        expected.append(rate)
        best, bad = (loss, 0) if loss < best * (1 - 1e-4) else (best, bad + 1)
        if bad == 5:
            rate, bad = max(rate / 2, 0.3e-3), 0
    np.testing.assert_allclose(rates, expected, rtol=1e-12)
    assert rates[-1] < 0.1


def test_partial_fit_has_a_constant_rate(X):
    model = TikhonovLSTMRegressor(4, lr=LR, lr_schedule="cosine", max_epochs=E)
    for _ in range(3):
        model.partial_fit(X, X[:, 0, 0])
    assert model.net_.history[:, "lr"] == [LR] * 3


def test_a_falling_rate_ends_lower(X):
    # Noise keeps a constant rate from settling.
    noisy, settled = (
        fit(X, sigma=0.5, skip="none", lr_schedule=schedule, optimizer="sgd") for schedule in ("constant", "cosine")
    )
    last = [np.std(model.net_.history[-5:, "data_loss"]) for model in (noisy, settled)]
    assert last[1] < last[0]


def test_unknown_schedules_are_refused(X):
    with pytest.raises(ValueError, match="lr_schedule must be one of 'constant', 'step'"):
        fit(X, lr_schedule="triangular")
