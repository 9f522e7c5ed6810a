"""Hold-out bounds: the printed formulas by another road, and how often they fail where the truth is known."""

import copy
import json
import math
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import binom, binomtest

from sklstm.generalization import GeneralizationReport, HoldoutBound, holdout_bound


def errors(k, n):
    return np.r_[np.ones(k), np.zeros(n - k)]


# -------------------------------------------------------------------------------------------- the numbers


@pytest.mark.parametrize(("k", "n"), [(0, 1), (0, 50), (1, 50), (17, 60), (49, 50), (50, 50), (300, 10_000)])
@pytest.mark.parametrize("delta", [0.3, 0.05, 1e-6])
def test_zero_one_is_the_limit_of_clopper_and_pearson(k, n, delta):
    bound = holdout_bound(errors(k, n), delta=delta)
    interval = binomtest(k, n, alternative="less").proportion_ci(1 - delta, method="exact")
    assert bound.value == pytest.approx(interval.high, rel=1e-9)
    assert bound.mean_loss == k / n
    assert bound.n_errors == k
    assert bound.mean_loss + bound.confidence_term == pytest.approx(bound.value, rel=1e-12)
    assert bound.vacuous == (bound.value >= 1)
    if k < n:  # the definition: at the limit, k errors or fewer have probability δ
        assert binom.cdf(k, n, bound.value) == pytest.approx(delta, rel=1e-6)


def test_no_errors_has_a_closed_form():
    assert holdout_bound(np.zeros(100), delta=0.05).value == pytest.approx(1 - 0.05**0.01, rel=1e-12)


def test_capped_losses_by_hand():
    # Losses 0, 1, 2, 9 cut at 3: mean 6/4, V = (2.25 + 0.25 + 0.25 + 2.25) / 3 = 5/3, n = 4. δ = 2/e makes the
    # logarithm 1.
    bound = holdout_bound([0.0, 1.0, 2.0, 9.0], cap=3.0, delta=2 / math.e)
    assert bound.mean_loss == 1.5
    assert bound.standard_deviation == pytest.approx(math.sqrt(5 / 3))
    assert bound.confidence_term == pytest.approx(math.sqrt(2 * (5 / 3) / 4) + 7 * 3 / 9)
    assert bound.value == 3.0, "the sum, 1.5 + 3.25, says no more than the cap"
    assert bound.vacuous


@pytest.mark.parametrize("cap", [1.0, 0.7, 8.0, 1e-200, 1e200])
def test_capped_losses_against_the_theorem_for_losses_in_the_unit_interval(cap):
    rng = np.random.default_rng(0)
    losses = cap * rng.gamma(0.5, 0.4, 3000)
    bound = holdout_bound(losses, cap=cap, delta=0.01)
    unit = np.minimum(losses / cap, 1)
    mean, log_term = unit.mean(), math.log(2 / 0.01)
    # V as the mean over all pairs, as in the paper's definition.
    variance = (np.mean(unit**2) - mean**2) * 3000 / 2999
    expected = mean + math.sqrt(2 * variance * log_term / 3000) + 7 * log_term / (3 * 2999)
    assert bound.value / cap == pytest.approx(expected, rel=1e-9)
    assert bound.value == bound.mean_loss + bound.confidence_term
    assert not bound.vacuous
    assert bound.ceiling == cap


def test_the_better_of_two_pays_for_both():
    rng = np.random.default_rng(0)
    cap, delta = 3.0, 0.04
    for n, sd, better in ((40, 0.5, "chernoff"), (20_000, 0.05, "bernstein")):
        losses = np.abs(0.3 + sd * rng.standard_normal(n))
        best = holdout_bound(losses, cap=cap, delta=delta, method="best")
        bernstein = holdout_bound(losses, cap=cap, delta=delta / 2)
        # Chernoff by its definition: the mean at which kl reaches the budget at δ/2, found on a grid.
        p = np.minimum(losses, cap).mean() / cap
        q = np.linspace(p, 1, 400_001)[1:-1]
        kl = p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))
        chernoff = cap * q[kl <= math.log(2 / delta) / n].max()
        assert best.value == pytest.approx(min(bernstein.value, chernoff), abs=1e-5)
        assert (chernoff < bernstein.value) == (better == "chernoff")
        alone = holdout_bound(losses, cap=cap, delta=delta)
        assert (best.value > alone.value) == (better == "bernstein"), "the split is not free"


def test_zeros_and_ones_with_a_cap_are_real_numbers():
    losses = errors(30, 300)
    exact, bernstein = holdout_bound(losses), holdout_bound(losses, cap=1.0)
    assert exact.zero_one
    assert not bernstein.zero_one
    assert exact.value < bernstein.value, "the exact limit uses that the losses are zeros and ones"
    assert bernstein.standard_deviation**2 == pytest.approx(0.1 * 0.9 * 300 / 299)


def test_scale_of_the_loss_goes_through():
    losses = np.random.default_rng(0).exponential(1.0, 500)
    one, scaled = holdout_bound(losses, cap=4.0), holdout_bound(1000 * losses, cap=4000.0)
    assert scaled.value == pytest.approx(1000 * one.value, rel=1e-12)


@pytest.mark.parametrize(
    "losses",
    [
        [True, False, False, True],
        np.array([1, 0, 0, 1], dtype=np.int8),
        torch.tensor([1.0, 0.0, 0.0, 1.0], dtype=torch.bfloat16),
        torch.tensor([True, False, False, True]),
    ],
)
def test_kinds_of_zeros_and_ones(losses):
    assert holdout_bound(losses) == holdout_bound([1.0, 0.0, 0.0, 1.0])


def test_labels():
    y = np.array(["a", "b", "a", "c"])
    bound = holdout_bound(y, predicted=np.array(["a", "a", "a", "b"]))
    assert bound.guess == 0.5, "of always naming a"
    assert replace(bound, guess=None) == holdout_bound([0, 1, 0, 1])
    assert replace(holdout_bound(torch.arange(3), predicted=[0, 1, 5]), guess=None) == holdout_bound([0, 0, 1])


# ------------------------------------------------------------------------------------------- monotonicity


def test_monotone():
    limits = [holdout_bound(errors(k, 100)).value for k in range(101)]
    assert np.all(np.diff(limits) > 0)
    more = [holdout_bound(errors(n // 10, n)).value for n in (10, 100, 1000, 10_000)]
    assert np.all(np.diff(more) < 0)
    assert all(limit > 0.1 for limit in more)
    losses = np.random.default_rng(0).uniform(size=400)
    for sample in ({"losses": errors(9, 80)}, {"losses": losses, "cap": 1.0}):
        bounds = [holdout_bound(**sample, delta=delta).value for delta in (0.2, 0.05, 1e-3, 1e-9)]
        assert np.all(np.diff(bounds) > 0), "more confidence costs"
    by_cap = [holdout_bound(losses, cap=cap).value for cap in (1.0, 2.0, 4.0)]
    assert np.all(np.diff(by_cap) > 0), "a larger range costs, though the losses are the same"


def test_four_times_the_data_halves_the_price():
    losses = np.tile([0.2, 0.4], 5000)
    one, four = holdout_bound(losses, cap=1.0), holdout_bound(np.tile(losses, 4), cap=1.0)
    # √(1/n) with a part that falls like 1/n: between a half and a quarter.
    assert 0.25 < four.confidence_term / one.confidence_term < 0.5
    assert (
        0.49
        < holdout_bound(errors(8000, 40_000)).confidence_term / holdout_bound(errors(2000, 10_000)).confidence_term
        < 0.51
    )


# ---------------------------------------------------------------------------------------------- coverage


@pytest.mark.parametrize("delta", [0.5, 0.1, 0.01])
@pytest.mark.parametrize("n", [5, 40, 300])
def test_exact_failure_probability_of_the_binomial_limit(n, delta):
    k = np.arange(n + 1)
    limits = np.array([holdout_bound(errors(j, n), delta=delta).value for j in k])
    failures = []
    for p in np.linspace(0.001, 0.999, 400):
        failures.append(binom.pmf(k, n, p)[limits < p].sum())
    assert max(failures) <= delta * (1 + 1e-9)
    assert max(failures) > 0.9 * delta, "and it is nearly attained: the limit is exact"


@pytest.mark.parametrize("method", ["bernstein", "best"])
@pytest.mark.parametrize("delta", [0.5, 0.1, 0.01])
@pytest.mark.parametrize("n", [5, 40, 300])
def test_exact_failure_probability_with_a_cap(n, delta, method):
    # Losses a or 0: the sample is described by a count, so that the failure probability is a finite sum.
    a, cap = 0.5, 0.75
    k = np.arange(n + 1)
    limits = np.array([holdout_bound(a * errors(j, n), delta=delta, cap=cap, method=method).value for j in k])
    failures = []
    for p in np.linspace(0.001, 0.999, 400):
        failures.append(binom.pmf(k, n, p)[limits < a * p].sum())
    assert max(failures) <= delta
    if n == 300:
        assert max(failures) > 0, "the inequality can fail, or this test could not"


def test_coverage_by_simulation():
    """Losses of a continuous law with known mean, cut by the cap: E min(U², 1/4) = 1/3·1/8 + 1/2·1/4 = 1/6."""
    rng = np.random.default_rng(0)
    n, delta, runs = 4000, 0.5, 1500
    failures = np.empty(runs, dtype=bool)
    for i in range(runs):
        failures[i] = holdout_bound(rng.uniform(size=n) ** 2, cap=0.25, delta=delta).value < 1 / 6
    rate = failures.mean()
    assert 0 < rate <= delta + 3 * math.sqrt(delta * (1 - delta) / runs)


def test_coverage_of_the_binomial_limit_by_simulation():
    rng = np.random.default_rng(1)
    n, p, delta, runs = 500, 0.11, 0.1, 2000
    failures = np.array([holdout_bound(rng.uniform(size=n) < p, delta=delta).value < p for _ in range(runs)])
    assert delta / 2 < failures.mean() <= delta + 3 * math.sqrt(delta * (1 - delta) / runs)


# ------------------------------------------------------------------------------------- as part of a report


def make(kind, delta=0.05) -> HoldoutBound:
    if kind == "binomial":
        return holdout_bound(errors(12, 100), delta=delta)
    return holdout_bound(np.random.default_rng(0).exponential(0.3, 400), cap=2.0, method=kind, delta=delta)


@pytest.fixture(params=["binomial", "bernstein", "best"])
def bound(request) -> HoldoutBound:
    return make(request.param)


def test_at_delta_is_the_bound_computed_anew(bound):
    for delta in (0.4, 0.05, 0.025, 1e-12):
        assert bound.at_delta(delta) == make(bound.method, delta)
    assert bound.at_delta(bound.delta) == bound
    assert bound.at_delta(0.2).at_delta(bound.delta) == bound
    for bad in (0, 1, -0.1, math.nan):
        with pytest.raises(ValueError, match="delta must lie strictly between 0 and 1"):
            bound.at_delta(bad)


def test_terms_and_words(bound):
    for term in bound.terms:
        assert getattr(bound, term.name) == term.value
        assert term.meaning
    assert bound.name == "holdout"
    assert bound.about == "the trained predictor"
    assert bound.quantity == ("an error probability" if bound.zero_one else "a mean loss capped at 2")
    assert any("independent of the data that trained" in sentence for sentence in bound.assumptions)
    assert any("each at δ/2" in term.meaning for term in bound.terms) is (bound.method == "best")
    assert any("cap" in sentence for sentence in bound.assumptions) is not bound.zero_one
    if not bound.zero_one:
        with pytest.raises(AttributeError, match="real numbers, not errors"):
            bound.n_errors  # noqa: B018
    with pytest.raises(AttributeError):
        bound.value = 0.0


def test_copies_and_report(bound):
    for twin in (copy.deepcopy(bound), pickle.loads(pickle.dumps(bound))):
        assert twin == bound
    report = GeneralizationReport([bound])
    json.dumps(report.to_dict(), allow_nan=False)
    assert report["holdout"] is bound


def test_another_name_for_another_predictor():
    bound = holdout_bound(errors(3, 20), name="holdout_quantised", about="the quantised predictor")
    assert (bound.name, bound.about) == ("holdout_quantised", "the quantised predictor")
    assert bound.at_delta(0.01).name == "holdout_quantised"


# -------------------------------------------------------------------------------------- limits and errors


@pytest.mark.parametrize("delta", [5e-324, 1e-300, 1 - 1e-16])
def test_extreme_delta(delta):
    for bound in (
        holdout_bound(np.zeros(10), delta=delta),
        holdout_bound(np.ones(10), delta=delta),
        holdout_bound([0.0, 0.5], cap=1.0, delta=delta),
        holdout_bound([0.0, 0.5], cap=1.0, delta=delta, method="best"),
        holdout_bound([1.0, 2.0], cap=1.0, delta=delta, method="best"),
    ):
        assert 0 <= bound.value <= 1


def test_an_infinite_loss_counts_as_the_cap():
    assert holdout_bound([0.1, math.inf, 0.2], cap=2.0) == holdout_bound([0.1, 2.0, 0.2], cap=2.0)


def test_equal_losses_leave_the_price_of_the_range():
    bound = holdout_bound(np.full(1001, 0.25), cap=1.0, delta=0.05)
    assert bound.standard_deviation == 0
    assert bound.value == pytest.approx(0.25 + 7 * math.log(40) / 3000)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"losses": []}, ValueError, "at least one of them"),
        ({"losses": 0.0}, ValueError, r"shape \(n_samples,\)"),
        ({"losses": np.zeros((3, 1))}, ValueError, r"got \(3, 1\)"),
        ({"losses": [0.0, math.nan], "cap": 1.0}, ValueError, "NaN"),
        ({"losses": [0.0, -1.0], "cap": 1.0}, ValueError, "must not be negative, got -1"),
        ({"losses": [0.0, 0.5]}, ValueError, "need a cap"),
        ({"losses": [0.0, math.inf]}, ValueError, "need a cap"),
        ({"losses": [0.5], "cap": 1.0}, ValueError, "two losses or more"),
        ({"losses": [0.5, 0.1], "cap": 0.0}, ValueError, "positive number"),
        ({"losses": [0.5, 0.1], "cap": math.inf}, ValueError, "positive number"),
        ({"losses": [0.5, 0.1], "cap": math.nan}, ValueError, "positive number"),
        ({"losses": [0.5, 0.1], "cap": "1"}, TypeError, "cap must be a number"),
        ({"losses": [0.5, 0.1], "cap": True}, TypeError, "cap must be a number"),
        ({"losses": ["a", "b"]}, TypeError, "For labels pass predicted="),
        ({"losses": [1j, 0j]}, TypeError, "numbers or booleans"),
        ({"losses": ["a", "b"], "predicted": ["a"]}, ValueError, "shape of the true labels"),
        ({"losses": [0, 1], "predicted": [[0], [1]]}, ValueError, "shape of the true labels"),
        ({"losses": [0, 1], "predicted": [0, 1], "cap": 1.0}, ValueError, "Pass either predicted or cap"),
        ({"losses": [0, 1], "cap": 1.0, "method": "hoeffding"}, ValueError, "one of 'bernstein', 'best'"),
        ({"losses": [0, 1], "method": "best"}, ValueError, "an exact limit"),
        ({"losses": [0, 1], "delta": 0.0}, ValueError, "delta must lie"),
        ({"losses": [0, 1], "delta": 1.0}, ValueError, "delta must lie"),
    ],
)
def test_errors(arguments, error, message):
    with pytest.raises(error, match=message):
        holdout_bound(**arguments)
