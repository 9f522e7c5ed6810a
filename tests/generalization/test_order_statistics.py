"""Ranks of tolerance intervals against scipy's beta law and against simulation."""

import numpy as np
import pytest
from scipy.stats import beta, binom

from sklstm.generalization._confidence import binomial_limits
from sklstm.generalization._order_statistics import fewest_draws, tolerance_ranks, usual_draws

CASES = [(0.95, 0.999), (0.5, 0.9), (0.9, 0.5), (0.99, 0.99), (0.05, 0.05)]


@pytest.mark.parametrize(("coverage", "confidence"), CASES)
def test_ranks_are_the_closest_whose_beta_law_has_the_confidence(coverage, confidence):
    fewest = fewest_draws(coverage, confidence)
    for n in (fewest, fewest + 1, 3 * fewest, 1000 + fewest):
        first, last = tolerance_ranks(n, coverage, confidence)
        assert 1 <= first < last <= n
        assert abs((first - 1) - (n - last)) <= 1  # in the middle
        between = last - first
        assert beta.sf(coverage, between, n - between + 1) >= confidence - 1e-12
        if between > 1:
            assert beta.sf(coverage, between - 1, n - between + 2) < confidence
    few = fewest - 1
    if few > 1:  # the smallest and the largest are not enough
        assert beta.sf(coverage, few - 1, 2) < confidence


@pytest.mark.parametrize(("coverage", "confidence"), CASES[:3])
def test_intervals_hold_their_share_as_often_as_promised(coverage, confidence):
    n, trials = fewest_draws(coverage, confidence) + 20, 4000
    first, last = tolerance_ranks(n, coverage, confidence)
    draws = np.sort(np.random.default_rng(0).random((trials, n)), axis=1)  # the share of an interval is its width
    held = int((draws[:, last - 1] - draws[:, first - 1] >= coverage).sum())
    between = last - first
    exact = beta.sf(coverage, between, n - between + 1)
    assert exact >= confidence
    assert binom.ppf(1e-6, trials, exact) <= held <= binom.isf(1e-6, trials, exact)


def test_the_usual_number_of_draws_holds_about_midway_between_the_coverage_and_one():
    assert usual_draws(0.95, 0.999) == 726
    for coverage, confidence in CASES:
        n = usual_draws(coverage, confidence)
        assert n >= fewest_draws(coverage, confidence)
    for coverage, confidence in [(0.95, 0.999), (0.99, 0.99)]:
        n = usual_draws(coverage, confidence)
        first, last = tolerance_ranks(n, coverage, confidence)
        assert (last - first) / (n + 1) == pytest.approx((1 + coverage) / 2, abs=0.2 * (1 - coverage))


def test_limits_of_shares_are_those_of_the_binomial_tails():
    n, delta = 50, 0.01
    counts = np.arange(n + 1)
    lower, upper = binomial_limits(counts, n, delta)
    np.testing.assert_allclose(binom.sf(counts[1:] - 1, n, lower[1:]), delta / 2)
    np.testing.assert_allclose(binom.cdf(counts[:-1], n, upper[:-1]), delta / 2)
    assert lower[0] == 0
    assert upper[n] == 1
    np.testing.assert_allclose(lower, 1 - upper[::-1])
