"""Confidence limits solve their equations. Weights of choices made from the data add up, and bounds cover them."""

import dataclasses
import math
from functools import partial

import numpy as np
import pytest
import torch
from scipy import stats

from sklstm.generalization import binomial_tail_inverse, choose_cap, kl_inverse, rademacher_bound, tu_bound
from sklstm.generalization._confidence import candidate_margins, grid_price, round_up
from sklstm.noise import NOISES

# A limit that training enforced is charged with what float32 may add to it.
SLACK = 1 + 1e-5


def _problem(seed=0, n=60, L=3, d=2, m=5, k=3):
    rng = np.random.default_rng(seed)
    weights = [rng.standard_normal((m, d)), rng.standard_normal((m, m)) / 3, rng.standard_normal((k, m))]
    return *weights, rng.standard_normal((n, L, d)), rng.integers(0, k, n)


def _row_sum(A):
    return np.abs(A).sum(axis=1).max()


def test_weights_add_up_to_one():
    J = 10_000
    weights = math.fsum(math.exp(-grid_price(j)) for j in range(-J, J + 1))
    # What is left beyond ±J: (2/1.5) Σ_{j>J} 1/((j+1)(j+2)) = (2/1.5)/(J+2).
    assert weights + 2 / 1.5 / (J + 2) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("per_e", [1, 7, 100])
def test_rounding_up_to_the_grid(per_e):
    rng = np.random.default_rng(0)
    for value in (*np.exp(rng.uniform(-15, 15, 200)), 1.0, math.e, math.exp(3)):
        rounded = round_up(float(value), per_e)
        assert value <= rounded.value <= value * math.exp(1 / per_e) * (1 + 1e-12)
        index = round(math.log(rounded.value) * per_e)
        assert rounded.price == grid_price(index)
        assert rounded.value == pytest.approx(math.exp(index / per_e), rel=1e-14)
    assert round_up(1.0, per_e).value == 1.0
    for tiny in (0.0, 1e-300):
        assert round_up(tiny, per_e).value == pytest.approx(math.exp(-20), rel=1e-14)
    assert round_up(math.inf, per_e).value == math.inf
    assert round_up(1.7e308, 1).value == math.inf  # e^710


def test_margins_tried():
    tried = candidate_margins(np.array([-1.0, 0.3, 5.0, -math.inf]), None)
    powers = sorted(math.log2(charged.value) for charged in tried)
    assert powers == list(range(int(powers[0]), 5))  # up to 16, above twice the largest margin
    assert powers[0] < -30
    assert all(charged.price == grid_price(round(math.log2(charged.value))) for charged in tried)
    assert [c.price for c in tried] == sorted(c.price for c in tried)
    assert candidate_margins(np.array([-1.0, -math.inf]), None)[0].value == 1.0
    (given,) = candidate_margins(np.array([1.0]), 0.3)
    assert (given.value, given.price) == (0.3, 0.0)


def _grid(value, per_e=1):
    j = math.ceil(math.log(value) * per_e)
    return math.exp(j / per_e), math.log(1.5 * (abs(j) + 1) * (abs(j) + 2))


def test_theorem_2_with_everything_on_the_grid():
    U, W, V, X, y = _problem()
    bound, measured = (tu_bound(U, W, V, X, y, margin=2.0, norms=norms) for norms in ("union", "measured"))
    (bu, pu), (bw, pw), (bv, pv) = _grid(_row_sum(U)), _grid(_row_sum(W), 3), _grid(_row_sum(V))
    r, pr = _grid(measured.fisher_rao)
    assert (bound.beta_u, bound.beta_w, bound.beta_v) == pytest.approx((bu, bw, bv), rel=1e-14)
    assert bound.fisher_rao == pytest.approx(r, rel=1e-14)
    assert bound.log_price == pytest.approx(pu + pw + pv + pr, rel=1e-14)
    delta = 0.05 * math.exp(-bound.log_price)
    assert bound.confidence_term == pytest.approx(3 * math.sqrt(math.log(2 / delta) / 120), rel=1e-13)
    # The same theorem with these numbers fixed in advance and the smaller δ is the same bound.
    limits = [beta / SLACK for beta in (bu, bw, bv)]
    fixed = tu_bound(U, W, V, X, y, margin=2.0, delta=delta, max_norms=limits)
    assert bound.norm_term == pytest.approx(fixed.norm_term, rel=1e-12)
    assert bound.fisher_rao_term == pytest.approx(fixed.fisher_rao_term * r / measured.fisher_rao, rel=1e-12)
    assert bound.value >= measured.value
    assert (bound.name, measured.name) == ("theorem_2_union", "theorem_2")
    text = " ".join(bound.assumptions)
    assert "Row sums rounded up to a grid fixed in advance, and δ reduced for this choice: β_U = " in text
    assert "It is assumed that the true r is no larger" in text
    assert "λ_min is an expectation over the distribution" in text
    assert "log_price" in {term.name for term in bound.terms}
    assert "log_price" not in {term.name for term in measured.terms}


def test_enforced_norms_cost_nothing():
    U, W, V, X, y = _problem()
    limits = (_row_sum(U) + 1, _row_sum(W) + 1, _row_sum(V) + 1)
    assert rademacher_bound(U, W, V, X, y, max_norms=limits).log_price == 0
    partly = rademacher_bound(U, W, V, X, y, max_norms=(limits[0], None, limits[2]))
    assert partly.log_price == pytest.approx(_grid(_row_sum(W), 3)[1], rel=1e-14)
    assert (partly.beta_u, partly.beta_v) == (limits[0] * SLACK, limits[2] * SLACK)
    assert any("enforced in advance: β_U" in line for line in partly.assumptions)
    assert any("rounded up to a grid fixed in advance" in line and "β_U" not in line for line in partly.assumptions)
    # Two orders of adding one row up may differ in the last bit: that breaks no limit.
    below = np.nextafter(_row_sum(W), 0)
    kept = rademacher_bound(U, W, V, X, y, max_norms=(limits[0], below, limits[2]))
    assert (kept.beta_w, kept.log_price) == (below * SLACK, 0)
    # Limits kept cost nothing and broken ones would cost as much as none: together more than δ.
    broken = {"max_norms": (limits[0], _row_sum(W) * (1 - 1e-4), limits[2])}
    for bound in (rademacher_bound, partial(tu_bound, norms="union")):
        with pytest.raises(
            ValueError, match=r"a row of W sums to .* above its limit max_norm_w=.* leave it out of max_norms"
        ):
            bound(U, W, V, X, y, **broken)
    assert tu_bound(U, W, V, X, y, **broken).beta_w == pytest.approx(_row_sum(W), rel=1e-12), "as printed: measured"


@pytest.mark.parametrize("sigma", [0.0, 0.2])
def test_the_searched_margin_is_the_best_on_the_grid(sigma):
    U, W, V, X, y = _problem(2)
    noise = sigma * np.random.default_rng(0).standard_normal(X.shape) if sigma else None
    for searched, at in (
        (
            rademacher_bound(U, W, V, X, y, margin=None),
            lambda a: rademacher_bound(U, W, V, X, y, margin=a),
        ),
        (
            tu_bound(U, W, V, X, y, margin=None, norms="union", sigma=sigma, noise=noise),
            lambda a: tu_bound(U, W, V, X, y, margin=a, norms="union", sigma=sigma, noise=noise),
        ),
    ):
        j = math.log2(searched.margin)
        assert j == int(j)
        free = at(searched.margin)
        assert searched.log_price == pytest.approx(free.log_price + grid_price(int(j)), rel=1e-14)
        assert searched.confidence_term > free.confidence_term
        for power in range(-8, 4):
            other = at(2.0**power)
            paid = 3 * math.sqrt((math.log(40) + other.log_price + grid_price(power)) / (2 * 60))
            assert searched.value <= (other.value - other.confidence_term + paid) * (1 + 1e-12)
        assert any("grid of powers of 2" in line for line in searched.assumptions)


def test_a_large_margin_is_worth_its_price():
    rng = np.random.default_rng(0)
    side = rng.choice([-1, 1], 40_000)
    weights = [[1.0], [-1.0]], np.zeros((2, 2)), 64 * np.eye(2)
    data = side[:, None, None].astype(float), (side < 0).astype(int)
    found = rademacher_bound(*weights, *data, margin=None)
    assert found.margin == 64
    assert not found.vacuous
    assert rademacher_bound(*weights, *data, margin=1.0).vacuous


@pytest.mark.parametrize("norms", ["measured", "union"])
@pytest.mark.parametrize("kind", [None, "gaussian", "dropout"])
def test_at_delta_is_the_bound_at_that_delta(norms, kind):
    U, W, V, X, y = _problem()
    options = {"margin": 0.5, "norms": norms}
    if kind:
        noise = NOISES[kind].draw_array(X, 0.3, np.random.default_rng(0))
        options |= {"sigma": 0.3, "noise": noise, "noise_kind": kind}
    bound = tu_bound(U, W, V, X, y, delta=0.05, **options)
    assert bound.at_delta(0.01) == tu_bound(U, W, V, X, y, delta=0.01, **options)
    assert bound.at_delta(0.01).value > bound.value
    assert bound.at_delta(0.05) == bound
    for delta in (0, 1, -0.1, math.nan):
        with pytest.raises(ValueError, match="delta must lie strictly between 0 and 1"):
            bound.at_delta(delta)


def test_at_delta_of_the_convergent_bound():
    U, W, V, X, y = _problem()
    bound = rademacher_bound(U, W, V, X, y, margin=0.5)
    assert bound.at_delta(0.01) == rademacher_bound(U, W, V, X, y, margin=0.5, delta=0.01)
    searched = rademacher_bound(U, W, V, X, y, margin=None).at_delta(0.01)
    # The margin stays: still a valid statement, no better than the best at that δ.
    assert searched.value >= rademacher_bound(U, W, V, X, y, margin=None, delta=0.01).value


@pytest.mark.parametrize("beta_w", [0, 0.5, 1, 1e3])
@pytest.mark.parametrize("L", [1, 1000])
@pytest.mark.parametrize("kind", [None, "gaussian", "dropout"])
def test_no_nan_and_no_warning(beta_w, L, kind):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((3, L, 2))
    W = beta_w * np.array([[0.5, -0.5], [1.0, 0.0]])
    U, V = rng.standard_normal((2, 2)), rng.standard_normal((3, 2))
    options = {}
    if kind:
        options = {"sigma": 0.5, "noise": NOISES[kind].draw_array(X, 0.5, rng), "noise_kind": kind}
    for weights in ((U, W, V), (0 * U, W, V), (U, W, 0 * V)):
        bound = tu_bound(*weights, X, [0, 1, 1], margin=None, norms="union", lambda_min=0.0, **options)
        numbers = [v for v in dataclasses.asdict(bound).values() if isinstance(v, int | float)]
        assert not any(math.isnan(v) for v in numbers)
        assert bound.vacuous


def test_errors():
    U, W, V, X, y = _problem()
    with pytest.raises(ValueError, match="norms must be 'measured' or 'union', got 'free'"):
        tu_bound(U, W, V, X, y, norms="free")
    with pytest.raises(ValueError, match="margin=None chooses the best margin from the data"):
        tu_bound(U, W, V, X, y, margin=None)
    with pytest.raises(ValueError, match="margin must be a positive number"):
        tu_bound(U, W, V, X, y, margin=0, norms="union")
    with pytest.raises(ValueError, match="the kind of noise must be one of"):
        tu_bound(U, W, V, X, y, noise_kind="pink")


def _kl(p, q):
    return sum(a * math.log(a / b) for a, b in ((p, q), (1 - p, 1 - q)) if a > 0)


@pytest.mark.parametrize("p", [0.0, 1e-6, 0.1, 0.5, 0.9, 1 - 1e-6])
@pytest.mark.parametrize("budget", [1e-4, 0.01, 0.3, 2.0])
def test_kl_inverse_round_trip(p, budget):
    q = kl_inverse(p, budget)
    assert p <= q <= 1
    if q < 1 - 1e-9:  # beyond, 1 − q has too few digits left to test with
        assert _kl(p, q) == pytest.approx(budget, rel=1e-9)


def test_kl_inverse_at_the_ends():
    assert kl_inverse(0.3, 0.0) == 0.3
    assert kl_inverse(0.3, math.inf) == 1.0
    assert kl_inverse(1.0, 0.5) == 1.0
    assert kl_inverse(0.0, 0.5) == pytest.approx(1 - math.exp(-0.5), rel=1e-15)
    assert kl_inverse(0.5, 1e-20) >= 0.5
    assert kl_inverse(5e-324, 0.5) == pytest.approx(1 - math.exp(-0.5), rel=1e-12)
    # Near q = p, kl(p‖p + e) = e²/(2 p (1 − p)) to first order: 2 e² at p = 1/2.
    assert kl_inverse(0.5, 2e-16) - 0.5 == pytest.approx(1e-8, rel=1e-6)


@pytest.mark.parametrize("n", [10, 500])
@pytest.mark.parametrize("delta", [0.05, 1e-12, 1e-200])
def test_binomial_tail_inverse_solves_its_equation(n, delta):
    for k in (0, n // 3, n - 1):
        q = binomial_tail_inverse(k, n, delta)
        if q < 1 - 1e-9:
            assert stats.binom.logcdf(k, n, q) == pytest.approx(math.log(delta), rel=1e-8)
    assert binomial_tail_inverse(n, n, delta) == 1.0


def test_choose_cap():
    y = np.random.default_rng(0).standard_normal(500)
    cap, weight = choose_cap(y)
    assert 4 * y.var() <= cap < 8 * y.var()
    assert choose_cap(1024 * y) == (
        cap * 2**20,
        pytest.approx(1 / (1.5 * (math.log2(cap) + 21) * (math.log2(cap) + 22))),
    )
    assert weight == 1 / (1.5 * (abs(math.log2(cap)) + 1) * (abs(math.log2(cap)) + 2))
    assert choose_cap([[0.0, 0.0], [2.0, 2.0]])[0] == 4.0  # exactly four times the variance
    assert choose_cap(np.full(7, 3.3))[0] > 0
    assert choose_cap(torch.zeros(4)) == (1.0, 1 / 3)


def test_cap_weights_sum_to_at_most_one():
    # Partial sums of the telescoping series: Σ_{|j| ≤ J} = (2 (1 − 1/(J + 2)) − 1/2)/1.5 < 1.
    total = sum(1 / (1.5 * (abs(j) + 1) * (abs(j) + 2)) for j in range(-1075, 1076))
    assert total == pytest.approx((2 * (1 - 1 / 1077) - 0.5) / 1.5, rel=1e-12)
    assert total < 1


def test_errors_of_limits_and_caps():
    for p in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match=r"p_hat must lie in \[0, 1\]"):
            kl_inverse(p, 0.1)
    with pytest.raises(ValueError, match="budget must be non-negative"):
        kl_inverse(0.1, math.nan)
    with pytest.raises(ValueError, match="k errors in n trials"):
        binomial_tail_inverse(3, 2, 0.1)
    with pytest.raises(ValueError, match="NaN or infinity"):
        choose_cap([1.0, math.nan])
    with pytest.raises(ValueError, match="y is empty"):
        choose_cap([])
