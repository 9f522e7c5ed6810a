"""What docs/theory/errata.md and docs/theory/tu.md say of Tu, He & Tao 2020, shown on networks."""

import math
from itertools import product

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import norm

from sklstm.generalization import (
    capacity,
    fisher_rao_norm,
    fisher_rao_upper,
    rademacher_tu,
    smallest_eigenvalue,
    tu_bound,
)
from sklstm.generalization.tu._fisher_rao import eta_c


def _row_sum(A):
    return np.abs(A).sum(axis=1).max()


@pytest.mark.parametrize("sigma", [0.0, 0.1])
@pytest.mark.parametrize(("k", "d", "L"), [(2, 1, 1), (2, 4, 3), (3, 6, 2), (2, 40, 2), (5, 30, 1)])
def test_theorems_2_and_3_are_never_below_one(k, d, L, sigma):
    # 1 − (margin loss) ≤ (mean positive margin) / α ≤ k β_V β_U S m / α ≤ (norm term) / 4: docs/theory/tu.md.
    rng = np.random.default_rng(d)
    for scale in (0.01, 1.0, 30.0):
        X = rng.standard_normal((50, L, d)) * rng.exponential(1, (50, L, d)) ** 2
        W = rng.uniform(0, 0.4) * rng.standard_normal((5, 5))
        U, V = rng.standard_normal((5, d)), scale * rng.standard_normal((k, 5))
        noise = sigma * rng.standard_normal(X.shape) if sigma else None
        noisy = X if noise is None else X + noise
        h = np.zeros((50, 5))
        for t in range(L):
            h = np.maximum(noisy[:, t] @ U.T + h @ W.T, 0)
        outputs = h @ V.T
        y = outputs.argmax(axis=1)  # all right: the margins are as good as they can be
        mean = np.abs(noisy).mean(axis=0).max()
        for alpha in (0.01, 1.0, 100.0):
            bound = tu_bound(U, W, V, X, y, margin=alpha, sigma=sigma, noise=noise, lambda_min=1e300)
            S = sum(bound.beta_w**m for m in range(L))
            assert np.abs(outputs).mean(axis=0).max() <= bound.beta_v * bound.beta_u * S * mean * (1 + 1e-12)
            assert bound.norm_term >= 4 * bound.capacity / S * (1 - bound.margin_loss) * (1 - 1e-12)
            assert bound.vacuous


@pytest.mark.parametrize("seed", range(20))
def test_the_norm_term_alone_bounds_the_complexity(seed):
    # For all signs at once: no network of the class has a larger mean absolute output. λ_min is 0 here.
    rng = np.random.default_rng(seed)
    n, L, d, m, k = 6, 3, 2, 4, 3
    X = rng.standard_normal((n, L, d))
    X -= X.mean(axis=(1, 2), keepdims=True)
    U, W, V = rng.standard_normal((m, d)), rng.uniform(0, 1) * rng.standard_normal((m, m)), rng.standard_normal((k, m))
    h = np.zeros((n, m))
    for t in range(L):
        h = np.maximum(X[:, t] @ U.T + h @ W.T, 0)
    signs = np.array(list(product((-1, 1), repeat=n)))
    largest = (signs @ (h @ V.T)).max() / n
    theorem = rademacher_tu(
        fisher_rao=fisher_rao_norm(U, W, V, X),
        lambda_min=smallest_eigenvalue(X),
        input_norm_frobenius=np.linalg.norm(X),
        input_norm_1=np.abs(X).sum(axis=0).max(),
        beta_u=_row_sum(U),
        beta_w=_row_sum(W),
        beta_v=_row_sum(V),
        n_samples=n,
        n_steps=L,
    )
    assert largest <= theorem.norm_term
    assert theorem.value == np.inf  # for the sake of a term that is not needed


def test_how_near_the_norm_term_comes_to_its_least():
    # Two classes by the sign of x, a margin just above α: margin loss 0 and a norm term of 8, twice the least.
    X, y = np.array([1.0, -1.0]).reshape(2, 1, 1), [0, 1]
    bound = tu_bound([[1.0], [-1.0]], np.zeros((2, 2)), (1 + 1e-9) * np.eye(2), X, y, margin=1.0)
    assert bound.margin_loss == 0
    assert bound.norm_term == pytest.approx(8, rel=1e-8)


def test_the_norm_2_is_that_of_a_linear_network():
    # V U = 0, so (2) is zero; the ReLU network computes |x|.
    U, W, V = [[1.0], [-1.0]], np.zeros((2, 2)), [[1.0, 1.0]]
    X = np.array([[[-3.0]], [[2.0]]])
    assert fisher_rao_norm(U, W, V, X) == 0
    np.testing.assert_allclose(eta_c(U, W, V, X), [[6.0], [4.0]])  # (L + 1) |x|


def test_theorem_3_needs_r_over_the_noisy_input():
    # Clean inputs are zero: r over them is 0, and with it the first term. The linear functions ±x of the noisy input
    # have row sums 1 and a Rademacher complexity of E|Σ s_i ε_i|/n all the same. Their r over x + ε is (L + 1) σ = 2.
    noise = np.random.default_rng(0).standard_normal((8, 1, 1))
    signs = np.array(np.meshgrid(*[[-1, 1]] * 8)).reshape(8, -1).T
    complexity = np.abs(signs @ noise[:, 0, 0]).mean() / 8
    clean = fisher_rao_norm([[1.0]], [[0.0]], [[1.0]], 0 * noise)
    of_clean, of_noisy = (
        rademacher_tu(
            fisher_rao=r,
            lambda_min=0.0,
            root_gain=1.0,
            input_norm_frobenius=math.sqrt((noise**2).sum()),
            input_norm_1=0.0,  # of a linear network the second term is not needed
            beta_u=1.0,
            beta_w=0.0,
            beta_v=1.0,
            n_samples=8,
            n_steps=1,
        ).fisher_rao_term
        for r in (clean, 2.0)
    )
    assert of_clean == 0 < complexity <= of_noisy


def test_remark_4_needs_more_than_the_largest_entry():
    # Noise of variance 1 in every entry, the same in all of them: λ_min does not move.
    rng = np.random.default_rng(1)
    X = rng.standard_normal((400, 1, 3))
    X[:, 0, 2] = X[:, 0, 1]
    assert smallest_eigenvalue(X) == 0
    assert smallest_eigenvalue(X + rng.standard_normal((400, 1, 1))) == pytest.approx(0, abs=1e-12)
    assert smallest_eigenvalue(X + rng.standard_normal((400, 1, 3))) > 0.3


def test_remark_6_is_not_about_gaussian_noise():
    noise = np.random.default_rng(2).standard_normal((100, 3, 1))
    assert fisher_rao_upper(1.0, 0.5, 1.0, 0.0, 3) == 0  # the clean inputs are zero, so B = 0
    assert fisher_rao_norm([[1.0]], [[0.5]], [[1.0]], noise) > 1


def test_the_estimate_of_the_smallest_eigenvalue_is_too_small_on_average():
    # λ_min is concave: E λ_min(estimate) ≤ λ_min(E estimate) = 1.
    rng = np.random.default_rng(3)
    found = [smallest_eigenvalue(rng.standard_normal((40, 5))) for _ in range(200)]
    assert np.mean(found) < 0.7


def test_the_exponential_moment_in_lemma_12():
    sigma, t = 2.0, 0.5
    moment = 2 * quad(lambda z: math.exp(t * z) * norm.pdf(z, scale=sigma), 0, 60)[0]
    assert moment == pytest.approx(2 * norm.cdf(sigma * t) * math.exp(sigma**2 * t**2 / 2), rel=1e-9)
    assert abs(moment - 2 * norm.cdf(sigma**2 * t) * math.exp(sigma**2 * t**2 / 2)) > 0.1


def test_the_size_of_the_network_is_in_the_row_sums():
    # At entries of variance 1/m the row sums are at least E|w| · m ≈ √(2m/π).
    rng = np.random.default_rng(4)
    for m in (16, 64, 256):
        assert _row_sum(rng.standard_normal((m, m)) / math.sqrt(m)) > math.sqrt(2 * m / math.pi)


def test_above_one_the_dependence_on_the_length_is_exponential():
    assert (capacity(2.0, 10), capacity(2.0, 20)) == (9_217, 19_922_945)
    for beta_w in (1.1, 2.0, 5.0):
        lengths = np.arange(100, 200)
        growth = np.diff([math.log(capacity(beta_w, int(length))) for length in lengths])
        assert (growth > math.log(beta_w)).all()  # each step multiplies it by more than β_W
        upper = [fisher_rao_upper(1.0, beta_w, 1.0, 1.0, int(length)) for length in lengths]
        assert (np.diff(np.log(upper)) > math.log(beta_w)).all()


def _descent(clip, decay=0.0, until=None, n_steps=None):
    """Gradient descent on a separable problem: the cross-entropy, r and the number of steps at its end."""
    generator = torch.Generator().manual_seed(0)
    X = torch.randn((40, 3, 1), generator=generator, dtype=torch.float64)
    y = (X[:, -1, 0] > 0).long()
    X[:, -1, 0] += 2.0 * y - 1.0
    U, W, V = weights = [
        torch.tensor(start, dtype=torch.float64, requires_grad=True)
        for start in ([[0.3], [-0.3]], [[0.1, 0.0], [0.0, 0.1]], [[-0.2, 0.2], [0.2, -0.2]])
    ]
    taken = 0
    while True:
        h = torch.zeros(40, 2, dtype=torch.float64)
        for t in range(3):
            h = torch.relu(X[:, t] @ U.T + h @ W.T)
        loss = torch.nn.functional.cross_entropy(h @ V.T, y)
        if taken == n_steps or (until is not None and loss < until):
            return loss.item(), fisher_rao_norm(*(weight.detach() for weight in weights), X), taken
        gradient = torch.autograd.grad(loss, weights)
        norm = math.sqrt(sum(float(part.square().sum()) for part in gradient))
        with torch.no_grad():
            for weight, part in zip(weights, gradient, strict=True):
                weight -= 0.1 * (min(1.0, clip / norm) * part + decay * weight)
        taken += 1


def test_clipping_slows_training_and_does_not_bound_r():
    free, clipped = _descent(clip=math.inf, until=0.1), _descent(clip=0.02, until=0.1)
    assert (round(free[1], 1), round(clipped[1], 1)) == (4.9, 4.8)
    assert round(clipped[2] / free[2]) == 18
    # With clipping r goes on growing; with weight decay it comes to rest.
    early, late = (_descent(clip=0.02, n_steps=n)[1] for n in (1000, 2000))
    assert late > 1.5 * early > 1.5 * clipped[1]
    early, late = (_descent(clip=math.inf, decay=0.1, n_steps=n)[1] for n in (400, 800))
    assert late <= early
