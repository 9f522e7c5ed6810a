"""The Occam bound, against its defining equation and against simulation."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from sklstm.generalization import choose_cap, kl_inverse, occam_bound, occam_certificate
from sklstm.generalization.compression._codebook import code_length, quantise


def test_without_a_code_the_bounds_are_chernoff_and_clopper_pearson():
    assert occam_bound(0.2, 0, 100) == pytest.approx(kl_inverse(0.2, math.log(20) / 100), rel=1e-15)
    interval = stats.binomtest(20, 100, alternative="less").proportion_ci(0.95, method="exact")
    assert occam_bound(0.2, 0, 100, zero_one=True) == pytest.approx(interval.high, rel=1e-10)


def test_monotone_in_bits_samples_and_loss():
    for zero_one in (False, True):
        bits = [occam_bound(0.1, K, 1000, zero_one=zero_one) for K in (0, 1, 10, 100, 500, 900, 2000, 100_000)]
        assert bits == sorted(bits)
        samples = [occam_bound(0.1, 300, n, zero_one=zero_one) for n in (100, 1000, 10_000, 100_000)]
        assert samples == sorted(samples, reverse=True)
        losses = [occam_bound(p, 300, 1000, zero_one=zero_one) for p in (0.0, 0.01, 0.2, 0.5, 0.9, 1.0)]
        assert losses == sorted(losses)


@pytest.mark.parametrize("K", [0, 10, 200, 900, 1075, 5000])
@pytest.mark.parametrize("errors", [0, 30, 500, 999, 1000])
def test_binomial_is_the_tighter_one_and_both_are_above_the_training_loss(K, errors):
    p = errors / 1000
    chernoff, binomial = occam_bound(p, K, 1000), occam_bound(p, K, 1000, zero_one=True)
    assert p <= binomial <= chernoff <= 1


def test_float32_means_of_zeros_and_ones_are_accepted():
    p = float(np.float32(12345 / 25000))
    assert occam_bound(p, 100, 25000, zero_one=True) == occam_bound(12345 / 25000, 100, 25000, zero_one=True)


def test_the_limit_holds_as_often_as_it_promises():
    rng = np.random.default_rng(0)
    draws = rng.binomial(60, 0.3, 4000) / 60
    limit = {p: occam_bound(p, 0, 60, delta=0.1, zero_one=True) for p in set(draws)}
    failures = np.mean([limit[p] < 0.3 for p in draws])
    assert 0 < failures <= 0.1 + 3 * math.sqrt(0.09 / 4000)


def _regression_problem():
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(2000, 4, generator=generator, dtype=torch.float64)
    w = torch.tensor([1.0, -1.0, 0.5, 0.0], dtype=torch.float64)
    return {"w": w}, X, X @ w + 0.1 * torch.randn(2000, generator=generator, dtype=torch.float64)


def test_certificate_of_a_linear_regression():
    weights, X, y = _regression_problem()
    cap, price = choose_cap(y)

    def loss(quantised):
        return float(((y - X @ quantised["w"]) ** 2).clamp(max=cap).mean() / cap)

    bound = occam_certificate(weights, loss, 2000, scale=cap, delta_weight=price)
    assert bound.train_loss == pytest.approx(cap * loss(bound.weights), rel=1e-12)
    inner = occam_bound(loss(bound.weights), bound.n_bits, 2000, delta=0.05 * price)
    assert bound.value == pytest.approx(cap * inner, rel=1e-12)
    assert bound.train_loss < bound.value < cap
    assert not bound.vacuous
    assert bound.n_levels == 4  # the weights take four values
    assert bound.n_weights == 4
    counts = np.bincount(quantise(weights, 4).indices, minlength=4)
    assert bound.n_bits == code_length(counts, 13)
    text = "\n".join(bound.assumptions)
    assert "independent" in text
    assert "quantised predictor" in text
    assert "chosen from the data" in text
    assert bound.budget == pytest.approx((bound.n_bits * math.log(2) + math.log(20 / price)) / 2000, rel=1e-12)
    said = {term.name: term.meaning for term in bound.terms}
    assert said["budget"].startswith("(K ln 2 + ln(1/(wδ))) / n, price of the code and the cap")
    assert said["delta_weight"].startswith("w, ")
    assert said["train_loss"].startswith("mean of min(loss, M)")
    fixed = {term.name: term.meaning for term in replace(bound, delta_weight=1.0).terms}
    assert fixed["budget"].startswith("(K ln 2 + ln(1/δ)) / n, price of the code")


def test_certificate_is_the_best_over_the_candidates():
    weights, X, y = _regression_problem()
    labels = y > 0

    def loss(quantised):
        return float(((X @ quantised["w"] > 0) != labels).double().mean())

    best = occam_certificate(weights, loss, 2000, zero_one=True, candidates=(2, 4, 8))
    for q in (2, 4, 8):
        quantised = quantise(weights, q)
        bits = code_length(np.bincount(quantised.indices, minlength=q), 3)
        assert best.value <= occam_bound(loss(quantised.weights()), bits, 2000, zero_one=True)
    assert best.quantity == "an error probability"


def test_a_loss_that_overwrites_the_weights_changes_nothing():
    weights = {"w": torch.linspace(-1, 1, 50, dtype=torch.float64)}
    target = weights["w"].clone()

    def careful(quantised):
        return float((quantised["w"] - target).square().mean())

    def careless(quantised):
        weights["w"].copy_(quantised["w"])
        return careful(quantised)

    expected = occam_certificate({"w": target}, careful, 5000)
    bound = occam_certificate(weights, careless, 5000)
    assert (bound.value, bound.n_levels) == (expected.value, expected.n_levels)
    assert bound.trained_loss == 0
    assert bound.n_levels > 1


def test_nan_counts_as_the_largest_loss():
    bound = occam_certificate({"w": torch.ones(3)}, lambda _: math.nan, 10)
    assert bound.value == bound.train_loss == 1.0
    assert bound.vacuous
    assert bound.n_levels == 1  # the shortest code among equals


def test_errors():
    with pytest.raises(ValueError, match="delta must lie strictly"):
        occam_bound(0.1, 3, 10, delta=1.0)
    with pytest.raises(ValueError, match="n_samples >= 1"):
        occam_bound(0.1, 3, 0)
    with pytest.raises(ValueError, match="multiple of 1/10"):
        occam_bound(0.15, 3, 10, zero_one=True)
    with pytest.raises(ValueError, match="divided by the largest loss"):
        occam_certificate({"w": torch.ones(3)}, lambda _: 1.5, 10)
    with pytest.raises(ValueError, match="delta_weight"):
        occam_certificate({"w": torch.ones(3)}, lambda _: 0.5, 10, delta_weight=0.0)
    with pytest.raises(ValueError, match="candidates must be distinct"):
        occam_certificate({"w": torch.ones(3)}, lambda _: 0.5, 10, candidates=())
