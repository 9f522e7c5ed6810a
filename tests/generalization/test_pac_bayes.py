"""The PAC-Bayes bound as a formula: its divergence, its inversion, its constant, and what δ is divided into."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from scipy.stats import binom
from torch import nn
from torch.distributions import Normal, kl_divergence

from sklstm.generalization import GaussianWeights, holdout_bound, pac_bayes_bound
from sklstm.generalization._pac_bayes import pac_bayes_of_draws

SHAPES = {"matrix": (3, 4), "bias": (3,)}


def gaussian(seed):
    generator = torch.Generator().manual_seed(seed)
    parts = [
        {name: torch.randn(shape, generator=generator, dtype=torch.float64) for name, shape in SHAPES.items()}
        for _ in range(2)
    ]
    return GaussianWeights(parts[0], {name: part.exp() for name, part in parts[1].items()})


def bound_of(losses, *, delta=0.05, scale=1.0, n_samples=500, n_priors=4):
    return pac_bayes_of_draws(
        torch.tensor(losses, dtype=torch.float64), gaussian(0), gaussian(1), nn.Identity(),
        n_samples=n_samples, n_prior=300, n_priors=n_priors, delta=delta, scale=scale, zero_one=scale == 1,
    )  # fmt: skip


def kl(p, q):
    return sum(a * math.log(a / b) for a, b in ((p, q), (1 - p, 1 - q)) if a)


def test_divergence_by_another_package_and_by_draws():
    posterior, prior = gaussian(0), gaussian(1)
    pairs = [(Normal(q.mean[name], q.deviation[name])) for q in (posterior, prior) for name in SHAPES]
    exact = sum(float(kl_divergence(q, p).sum()) for q, p in zip(pairs[:2], pairs[2:], strict=True))
    assert posterior.divergence(prior) == pytest.approx(exact, rel=1e-12)
    assert prior.divergence(prior) == 0
    generator, ratios = torch.Generator().manual_seed(2), []
    for _ in range(1500):
        drawn = list(posterior.draw(generator, torch.float64).values())
        each = zip(drawn, pairs[:2], pairs[2:], strict=True)
        ratios.append(sum(float((q.log_prob(w) - p.log_prob(w)).sum()) for w, q, p in each))
    assert np.mean(ratios) == pytest.approx(exact, abs=4 * np.std(ratios) / math.sqrt(len(ratios)))


def test_draws_have_the_law_that_they_should():
    weights = GaussianWeights({"w": torch.full((20_000,), 3.0)}, {"w": torch.full((20_000,), 0.5)})
    first = weights.draw(torch.Generator().manual_seed(0))["w"]
    assert first.dtype == torch.float32
    assert float(first.mean()) == pytest.approx(3, abs=4 * 0.5 / math.sqrt(20_000))
    assert float(first.std()) == pytest.approx(0.5, rel=0.03)
    assert torch.equal(first, weights.draw(torch.Generator().manual_seed(0))["w"])
    assert not torch.equal(first, weights.draw(torch.Generator().manual_seed(1))["w"])


@pytest.mark.parametrize("loss", [0.0, 0.07, 0.5])
@pytest.mark.parametrize("divergence", [0.0, 3.5, 80.0])
@pytest.mark.parametrize("n", [20, 500, 50_000])
def test_the_bound_solves_its_equation(loss, divergence, n):
    value = pac_bayes_bound(loss, divergence, n, delta=0.01)
    budget = (divergence + math.log(2 * math.sqrt(n) / 0.01)) / n
    assert value == pytest.approx(brentq(lambda q: kl(loss, q) - budget, loss, 1 - 1e-16, xtol=1e-15), rel=1e-9)
    assert loss < value <= 1


def test_the_constant_of_the_theorem():
    """E exp(n kl(p̂‖p)) is at most Σ_k binom(n, k) (k/n)^k (1 − k/n)^(n−k), and that at most 2√n, for every n."""
    for n in (*range(1, 60), 500, 5000):
        k = np.arange(n + 1)
        largest = binom.pmf(k, n, k / n).sum()
        assert largest <= 2 * math.sqrt(n)
        for p in (0.02, 0.3, 0.5):
            mean = sum(binom.pmf(j, n, p) * math.exp(n * kl(j / n, p)) for j in range(n + 1)) if n < 60 else 0
            assert mean <= largest * (1 + 1e-9)


@pytest.mark.parametrize("scale", [1.0, 4.0])
def test_delta_pays_for_draws_priors_and_theorem(scale):
    losses = np.random.default_rng(0).beta(2, 20, size=400)
    bound = bound_of(losses, scale=scale)
    limit = holdout_bound(losses, cap=1.0, method="best", delta=0.005).value
    assert bound.mean_loss_limit == pytest.approx(scale * limit, rel=1e-12)
    value = pac_bayes_bound(limit, bound.divergence, 500, delta=0.045 / 4)
    assert bound.value == pytest.approx(scale * value, rel=1e-12)
    assert bound.mean_loss == pytest.approx(scale * losses.mean())
    assert bound.budget == pytest.approx((bound.divergence + math.log(2 * math.sqrt(500) * 4 / 0.045)) / 500)
    assert {term.name: term.value for term in bound.terms}["budget"] == bound.budget
    assert all(getattr(bound, term.name) == term.value for term in bound.terms)


@pytest.mark.parametrize("delta", [5e-324, 1e-200, 1e-6, 0.3, 1 - 1e-16])
def test_at_another_delta_it_is_what_a_fresh_one_is(delta):
    losses = np.random.default_rng(1).random(50) / 5
    first, fresh = bound_of(losses).at_delta(delta), bound_of(losses, delta=delta)
    assert first == fresh
    assert 0 < fresh.value <= 1
    assert fresh.at_delta(0.05) == bound_of(losses)
    assert bound_of(losses, delta=0.01).value > bound_of(losses).value


def test_limits():
    nothing = bound_of([1.0] * 20)
    assert (nothing.value, nothing.vacuous, nothing.informative) == (1, True, False)
    known = replace(bound_of([0.0] * 20_000, n_samples=10**6), guess=0.5)
    assert known.informative
    assert known.value < 0.01
    assert pac_bayes_bound(0.1, 5.0, 10**12) == pytest.approx(0.1, abs=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-0.1, 1.0, 10), "p_hat"),
        ((0.1, -1.0, 10), "divergence >= 0"),
        ((0.1, math.nan, 10), "divergence >= 0"),
        ((0.1, 1.0, 0), "n_samples >= 1"),
        ((0.1, 1.0, 10, 0.0), "delta"),
    ],
)
def test_bad_numbers(arguments, message):
    *three, delta = (*arguments, 0.05)[:4]
    with pytest.raises(ValueError, match=message):
        pac_bayes_bound(*three, delta=delta)


def test_bad_weights():
    one = {"w": torch.ones(2)}
    with pytest.raises(ValueError, match="same names and shapes"):
        GaussianWeights(one, {"v": torch.ones(2)})
    with pytest.raises(ValueError, match="must be finite"):
        GaussianWeights({"w": torch.tensor([1.0, math.inf])}, one)
    with pytest.raises(ValueError, match="must be positive"):
        GaussianWeights(one, {"w": torch.tensor([1.0, 0.0])})
    with pytest.raises(ValueError, match="of other weights"):
        GaussianWeights(one, one).divergence(gaussian(0))
