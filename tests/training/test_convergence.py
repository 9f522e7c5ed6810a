"""Losses at the end of a training: falling, jumping or settled."""

import re

import numpy as np
import pytest

from sklstm.training._callbacks import SCHEDULES
from sklstm.training._convergence import unsettled

EVEN = np.ones(50)


def rates(name, n_epochs=50):
    """Of a schedule that depends on nothing but the epoch."""
    factor = SCHEDULES[name] or (lambda epoch, n_epochs: 1.0)
    return 0.003 * np.array([factor(epoch, n_epochs) for epoch in range(n_epochs)])


def middles(steps):
    ends = np.cumsum(steps) / steps.sum()
    return ends - steps / steps.sum() / 2


@pytest.mark.parametrize("name", ["constant", "step", "exponential", "cosine", "warmup-cosine"])
def test_a_line_in_the_time_of_the_rates_falls_by_a_tenth_of_itself_in_the_last_tenth(name):
    steps = rates(name)
    found = unsettled(1 - 0.5 * middles(steps), steps)
    assert not found.jumping
    assert found.seen.startswith("falling, by 0.05 in the last tenth of it, ")
    assert unsettled(1 - 0.5 * middles(steps), 7 * steps) == found  # the unit of time does not matter


def test_where_the_rate_decays_the_last_epochs_are_flat_and_the_training_need_not_have_settled():
    steps = rates("cosine")
    losses = np.exp(-middles(steps))
    assert losses[-6] / losses[-1] < 1.01
    assert not unsettled(losses, steps).jumping
    assert unsettled(losses[-6:], steps[:6]) is None, "the same six losses at a constant rate have settled"


@pytest.mark.parametrize("factor", [1e-9, 1.0, 1e9])
def test_only_ratios_of_losses_count(factor):
    epochs = np.arange(50)
    for speed, falls in ((5, False), (12, False), (30, True), (1000, True)):
        found = unsettled(factor * np.exp(-epochs / speed), EVEN)
        assert (found is not None) == falls, speed
    jumps = unsettled(factor * (1 + 0.3 * (epochs % 2)), EVEN)
    assert jumps.jumping
    assert f"{factor * 0.3:.3g}" in jumps.seen


def test_the_size_of_jumps_counts():
    epochs = np.arange(50)
    settled = np.exp(-epochs / 5)
    for size, jumps in ((0.05, False), (0.15, False), (0.25, True)):
        found = unsettled(settled + 0.5 * (1 + size * (epochs % 2)), EVEN)
        assert (found is not None) == jumps, size
    # Next to what has been learnt, a hundredth of it, not even jumps of a third matter.
    assert unsettled(settled + 0.01 * (1 + 0.3 * (epochs % 2)), EVEN) is None


def test_jumps_before_the_rate_has_decayed_do_no_harm():
    steps = rates("cosine")
    losses = 0.5 + 0.5 * (np.arange(50) == 33)
    losses[0] = 1.5
    assert unsettled(losses, steps) is None
    assert unsettled(losses[:40], steps[:40]).jumping


def test_noise_around_a_settled_loss_is_seldom_taken_for_a_fall():
    rng = np.random.default_rng(0)
    losses = np.exp(-np.arange(50) / 5) + 0.3 * (1 + 0.03 * rng.standard_normal((400, 50)))
    assert np.mean([unsettled(curve, EVEN) is not None for curve in losses]) < 0.02
    rising = 0.3 + 0.01 * np.arange(50)
    assert unsettled(rising, EVEN) is None  # overfitting, of a validation loss


@pytest.mark.parametrize("losses", [[], [1.0], [1.0, 1.0], [0.0, 0.0, 0.0], [1.0, 1.5]])
def test_nothing_is_said_of_too_little(losses):
    found = unsettled(losses, np.ones(len(losses)))
    assert found is None or found.jumping


def test_two_epochs_can_fall():
    found = unsettled([1.0, 0.6], [0.1, 0.1])
    assert re.fullmatch(
        r"falling, by 0\.08 in the last tenth of it, 20 % of the fall since the first epoch", found.seen
    )


@pytest.mark.parametrize("start", [0.9, 0.5, 0.3])
def test_a_loss_that_fell_no_further_than_it_began_has_no_share_of_a_fall(start):
    # It began at 0.9, 0.5 or 0.3, rose to 1, and falls to 0.5: nothing has been gained, or nearly nothing.
    losses = np.concatenate([[start], np.linspace(1.0, 0.5, 40)])
    found = unsettled(losses, np.full(41, 0.01))
    assert found.seen.startswith("falling, by 0.05")
    assert ("% of the fall" in found.seen) == (start == 0.9)


def test_a_fall_is_counted_from_the_best_constant_guess_where_training_begins_better():
    # From ridge regression, which is at a tenth of the guess's loss, a last tenth of what is left to learn is little.
    losses = 0.1 - 0.02 * middles(EVEN)
    assert unsettled(losses, EVEN).seen.startswith("falling, by 0.002 in the last tenth of it, ")
    assert unsettled(losses, EVEN, guess=1.0) is None
    assert unsettled(losses, EVEN, guess=0.1).seen.endswith("% of the fall since the best constant prediction")
    # Held-out targets that are all alike leave the guess nothing to lose.
    assert unsettled(1 + losses, EVEN, guess=0.0) is None
