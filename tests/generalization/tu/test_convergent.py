"""The bound that falls with n: its lemma on small classes by enumeration, its numbers by hand, its limits."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch

from sklstm.generalization import rademacher_bound, rademacher_row_norms, tu_bound
from sklstm.linalg import project_rows_l1


def _signs(n):
    return np.array(list(itertools.product([-1.0, 1.0], repeat=n)))  # (2^n, n)


RHO = {"relu": (lambda z: np.maximum(z, 0), torch.relu), "tanh": (np.tanh, torch.tanh)}


def _states(U, W, X, activation):
    """Last states (N, n, m) of N networks U (N, m, d), W (N, m, m) on X (n, L, d)."""
    h = np.zeros((len(U), len(X), U.shape[1]))
    for t in range(X.shape[1]):
        h = RHO[activation][0](X[:, t] @ U.transpose(0, 2, 1) + h @ W.transpose(0, 2, 1))
    return h


def _vertices(rows, columns, beta):
    """All matrices whose rows are ±β e_j: (N, rows, columns)."""
    corners = beta * np.concatenate([np.eye(columns), -np.eye(columns)])
    return np.array([corners[list(choice)] for choice in itertools.product(range(2 * columns), repeat=rows)])


def _members(rng, X, m, beta_u, beta_w, n_random=2000):
    """Weights of every vertex network and of random members, (N, m, d) and (N, m, m)."""
    d = X.shape[2]
    pairs = itertools.product(_vertices(m, d, beta_u), _vertices(m, m, beta_w))
    U, W = (np.array(side) for side in zip(*pairs, strict=True))
    random = []
    for columns, beta in ((d, beta_u), (m, beta_w)):
        rows = rng.dirichlet(np.full(columns, 0.5), (n_random, m)) * rng.choice([-1, 1], (n_random, m, columns))
        random.append(beta * rows)
    return np.concatenate([U, random[0]]), np.concatenate([W, random[1]])


def _ascend(U, W, X, signs, beta_u, beta_w, activation, steps=25):
    """Projected gradient ascent on max_j |Σ_i σ_i h_L^j(x_i)|, one network a sign vector; the best values seen."""
    U, W = (torch.tensor(a, requires_grad=True) for a in (U, W))
    x, s, best = torch.tensor(X), torch.tensor(signs), torch.zeros(len(signs), dtype=torch.float64)
    for _ in range(steps):
        h = torch.zeros(len(U), len(X), U.shape[1], dtype=torch.float64)
        for t in range(X.shape[1]):
            h = RHO[activation][1](x[:, t] @ U.mT + h @ W.mT)
        values = torch.einsum("sn,snm->sm", s, h).abs().amax(dim=1)  # (S,)
        best = torch.maximum(best, values.detach())
        slopes = torch.autograd.grad(values.sum(), (U, W))
        with torch.no_grad():
            for p, g, beta in zip((U, W), slopes, (beta_u, beta_w), strict=True):
                length = g.flatten(1).norm(dim=1).clamp_min(1e-12)[:, None, None]
                p.copy_(project_rows_l1(p + 0.2 * beta * g / length, beta))
    return best.numpy()


def _largest_sums(rng, X, m, beta_u, beta_w, activation):
    """For each of the 2^n sign vectors, a lower bound of sup_θ max_j |Σ_i σ_i h_L^j(x_i)|."""
    U, W = _members(rng, X, m, beta_u, beta_w)
    signs = _signs(len(X))
    sums = np.abs(np.einsum("sn,Nnm->sNm", signs, _states(U, W, X, activation))).max(axis=2)  # (S, N)
    first = sums.argmax(axis=1)
    return np.maximum(sums.max(axis=1), _ascend(U[first], W[first], X, signs, beta_u, beta_w, activation))


CLASSES = [  # n, L, d, m, β_U, β_W
    (4, 1, 2, 2, 1.0, 1.0),
    (6, 2, 2, 2, 0.5, 1.0),
    (6, 3, 1, 2, 1.0, 0.4),
    (5, 3, 2, 2, 2.0, 1.5),
    (7, 4, 1, 2, 1.0, 3.0),
]


@pytest.mark.parametrize("activation", RHO)
@pytest.mark.parametrize(("n", "L", "d", "m", "beta_u", "beta_w"), CLASSES)
def test_lemma_on_small_classes(n, L, d, m, beta_u, beta_w, activation):
    rng = np.random.default_rng(n + L)
    X = rng.standard_normal((n, L, d))
    largest = _largest_sums(rng, X, m, beta_u, beta_w, activation)
    beta_v = 0.7
    complexity = beta_v * largest.mean() / n  # a row of V in its ball: the best is ±β_V on one unit
    bound = rademacher_row_norms(X, beta_u=beta_u, beta_w=beta_w, beta_v=beta_v)
    assert complexity <= bound
    if activation == "relu":
        assert complexity > bound / 5  # the search found something, and the bound is not idle
    elif max(beta_u, beta_w) <= 1:  # states of tanh units stop at 1, and are smaller than their net inputs
        assert complexity > bound / 8

    # The inequality for exponentials behind it, step by step: Z_L ≤ 2κ max_t A_t ≤ 4dκ exp(μ²nQ/2).
    S = beta_u * sum(beta_w**m for m in range(L))
    kappa = sum((2 * beta_w) ** m for m in range(L)) / sum(beta_w**m for m in range(L))
    Q = (X**2).mean(axis=0).max()
    inputs = np.abs(np.einsum("sn,nld->sld", _signs(n), X)).max(axis=2)  # (S, L)
    for mu in (0.01, 0.3, 1.0, 3.0):
        exponential = np.exp(mu * largest / S).mean()  # Z_L(μ), from below
        A = np.exp(mu * inputs).mean(axis=0)  # (L,)
        assert exponential <= 2 * kappa * A.max()
        weights = 2 * beta_u * (2 * beta_w) ** np.arange(L) / S
        assert exponential <= weights @ A[::-1] * (1 + 1e-12)
        assert A.max() <= 2 * d * math.exp(mu**2 * n * Q / 2)


@pytest.mark.parametrize("L", [1, 2, 5])
@pytest.mark.parametrize("beta_w", [0.3, 1.0, 2.0])
@pytest.mark.parametrize("n", range(1, 9))
def test_a_class_that_is_known_exactly(n, L, beta_w):
    # All samples are the same, x_t = 1: every network gives h(x_i) = h, so the supremum is S_L |Σσ|, attained by
    # u = β_U, w = β_W. E|Σσ| by counting.
    beta_u, beta_v = 0.8, 1.5
    S = beta_u * sum(beta_w**m for m in range(L))
    exact = beta_v * S * np.abs(_signs(n).sum(axis=1)).mean() / n
    bound = rademacher_row_norms(np.ones((n, L, 1)), beta_u=beta_u, beta_w=beta_w, beta_v=beta_v)
    assert exact <= bound < 4 * exact * math.sqrt(L)
    if n == L == 1:  # half the bound would be wrong: the constant is not idle
        assert bound / 2 < exact


def test_half_the_exponential_inequality_is_violated():
    # d = L = 1 and x = 1 again: Z = E exp(μ|Σσ|) tends to 2·E exp(μΣσ) as μ grows: the factor 2 is needed.
    n, mu = 6, 2.0
    sums = _signs(n).sum(axis=1)
    Z, A = np.exp(mu * np.abs(sums)).mean(), np.exp(mu * sums).mean()
    assert 0.99 * 2 * A < Z <= 2 * A


CONTRACTIONS = [*(numpys for numpys, _ in RHO.values()), np.sin, np.abs, lambda z: np.clip(z, -0.3, 0.7)]


@pytest.mark.parametrize("rho", CONTRACTIONS)
def test_contractions_and_convex_increasing_functions(rho):
    # E G(sup Σ σ_i ρ(t_i)) ≤ E G(sup Σ σ_i t_i) over finite sets, all signs enumerated.
    rng = np.random.default_rng(0)
    signs = _signs(5)
    for _ in range(200):
        points = rng.standard_normal((int(rng.integers(1, 6)), 5))
        for G in (np.exp, lambda z: np.maximum(z, 0), lambda z: np.exp(3 * z)):
            contracted = G((signs @ rho(points).T).max(axis=1)).mean()
            assert contracted <= G((signs @ points.T).max(axis=1)).mean() * (1 + 1e-12)


def _problem(seed=0, n=40, L=3, d=2, m=5, k=3):
    rng = np.random.default_rng(seed)
    weights = [rng.standard_normal((m, d)), rng.standard_normal((m, m)) / 3, rng.standard_normal((k, m))]
    return *weights, rng.standard_normal((n, L, d)), rng.integers(0, k, n)


@pytest.mark.parametrize("activation", RHO)
def test_term_by_term(activation):
    U, W, V, X, y = _problem()
    limits = {"u": 6.0, "w": 4.0, "v": 9.0}
    bound = rademacher_bound(U, W, V, X, y, margin=0.5, delta=0.1, max_norms=limits, activation=activation)
    losses = []
    for x, label in zip(X, y, strict=True):
        h = np.zeros(5)
        for step in x:
            h = RHO[activation][0](U @ step + W @ h)
        out = V @ h
        M = out[label] - max(out[j] for j in range(3) if j != label)
        losses.append(min(max(1 - M / 0.5, 0), 1))
    # The limits are charged with what float32 may add to them.
    bu, bw, bv = (limit * (1 + 1e-5) for limit in limits.values())
    S, Q = bu * (1 + bw + bw**2), max(np.mean(X[:, t, c] ** 2) for t in range(3) for c in range(2))
    kappa = (1 + 2 * bw + 4 * bw**2) / (1 + bw + bw**2)
    rademacher = bv * S * math.sqrt(2 * Q * math.log(4 * 2 * kappa) / 40)
    assert bound.margin_loss == pytest.approx(np.mean(losses), rel=1e-12)
    assert bound.rademacher == pytest.approx(rademacher, rel=1e-12)
    assert bound.rademacher == pytest.approx(rademacher_row_norms(X, beta_u=bu, beta_w=bw, beta_v=bv), rel=1e-14)
    assert bound.complexity_term == pytest.approx(4 * 3 / 0.5 * rademacher, rel=1e-12)
    assert bound.confidence_term == pytest.approx(3 * math.sqrt(math.log(20) / 80), rel=1e-14)
    assert bound.value == bound.margin_loss + bound.complexity_term + bound.confidence_term
    assert math.exp(bound.log_state_norm) == pytest.approx(S, rel=1e-13)
    assert math.exp(bound.log_kappa) == pytest.approx(kappa, rel=1e-13)
    assert bound.root_mean_square == pytest.approx(math.sqrt(Q), rel=1e-13)
    assert bound.log_price == 0
    assert bound.name == "rademacher"
    assert bound.vacuous is (bound.value >= 1)


def test_it_says_something_where_it_can():
    # One step, two classes told apart by the sign of a large channel, β = 1: below chance with enough samples.
    rng = np.random.default_rng(0)
    side = rng.choice([-1, 1], 40_000)
    X = side[:, None, None].astype(float)
    weights = [[1.0], [-1.0]], np.zeros((2, 2)), np.eye(2)
    bound = rademacher_bound(*weights, X, (side < 0).astype(int), max_norms=(1.0, 1e-9, 1.0))
    assert bound.margin_loss == 0
    assert not bound.vacuous
    assert bound.value < 0.2
    # (4k/α) β_V S_1 √(2 log 4 / n): k = 2, κ = 1.
    assert bound.complexity_term == pytest.approx((1 + 1e-5) ** 2 * 8 * math.sqrt(2 * math.log(4) / 40_000), rel=1e-8)


def test_four_times_the_data_halve_the_complexity_and_leave_the_norm_term():
    U, W, V, X, y = _problem(3)
    limits = (6.0, 4.0, 9.0)
    convergent, theorem_2 = [], []
    for times in (1, 4, 16):
        data = np.tile(X, (times, 1, 1)), np.tile(y, times)
        convergent.append(rademacher_bound(U, W, V, *data, max_norms=limits))
        theorem_2.append(tu_bound(U, W, V, *data, max_norms=limits))
    for small, large in itertools.pairwise(convergent):
        assert large.complexity_term == pytest.approx(small.complexity_term / 2, rel=1e-12)
        assert large.confidence_term == pytest.approx(small.confidence_term / 2, rel=1e-12)
        assert large.margin_loss == pytest.approx(small.margin_loss, rel=1e-12)
    for small, large in itertools.pairwise(theorem_2):
        assert large.norm_term == pytest.approx(small.norm_term, rel=1e-12)
        assert large.fisher_rao_term == pytest.approx(small.fisher_rao_term / 2, rel=1e-9)


def test_four_times_the_draws_do_the_same_roughly():
    U, W, V, _, _ = _problem(3)
    rng = np.random.default_rng(8)
    X, y = rng.standard_normal((4000, 3, 2)), rng.integers(0, 3, 4000)
    limits = (6.0, 4.0, 9.0)
    small, large = (rademacher_bound(U, W, V, X[:n], y[:n], max_norms=limits) for n in (1000, 4000))
    assert large.complexity_term / small.complexity_term == pytest.approx(0.5, rel=0.1)
    small, large = (tu_bound(U, W, V, X[:n], y[:n], max_norms=limits) for n in (1000, 4000))
    assert large.norm_term / small.norm_term == pytest.approx(1, rel=0.1)


@pytest.mark.parametrize("beta_w", [0, 0.5, 1, 1e3])
@pytest.mark.parametrize("L", [1, 1000])
@pytest.mark.parametrize("margin", [1.0, None])
@pytest.mark.parametrize("max_norms", [None, (10.0, 2e3, 10.0)])
def test_no_nan_and_no_warning(beta_w, L, margin, max_norms):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((3, L, 2))
    W = beta_w * np.array([[0.5, -0.5], [1.0, 0.0]])
    U, V = rng.standard_normal((2, 2)), rng.standard_normal((3, 2))
    for weights in ((U, W, V), (0 * U, W, V), (U, W, 0 * V)):
        for data in (X, 0 * X, 1e200 * X):
            bound = rademacher_bound(*weights, data, [0, 1, 1], margin=margin, max_norms=max_norms)  # no class 2
            numbers = [v for v in dataclasses.asdict(bound).values() if isinstance(v, int | float)]
            assert not any(math.isnan(v) for v in numbers)
            assert bound.value >= bound.confidence_term
            assert bound.n_classes == 3
            assert bound.vacuous is (bound.value >= 1)


def test_large_norms_in_logarithms():
    # S_L = 1e3^999-ish and κ = 2^999 leave float64; the product with a tiny β_V does not.
    X = np.ones((2, 100, 1))
    value = rademacher_row_norms(X, beta_u=1.0, beta_w=1e3, beta_v=1e-297)
    kappa = 2.0**99 * (1 - 1e-3) / (1 - 5e-4)  # geometric sums without their last 1e-300
    expected = 1 / (1 - 1e-3) * math.sqrt(2 * math.log(4 * kappa) / 2)
    assert value == pytest.approx(expected, rel=1e-10)
    assert rademacher_row_norms(np.ones((2, 1000, 1)), beta_u=1.0, beta_w=1e3, beta_v=1.0) == math.inf
    assert rademacher_row_norms(np.ones((2, 1000, 1)), beta_u=0.0, beta_w=1e3, beta_v=1.0) == 0
    for L in (1, 1000):
        assert not math.isnan(rademacher_row_norms(np.ones((2, L, 1)), beta_u=1.0, beta_w=math.inf, beta_v=1.0))


def test_chunks_tensors_and_lists(monkeypatch):
    U, W, V, X, y = _problem()
    expected = rademacher_bound(U, W, V, X, y).value
    monkeypatch.setattr("sklstm.generalization._theorem_inputs._CHUNK_NUMBERS", 50)
    assert rademacher_bound(U, W, V, torch.tensor(X), torch.tensor(y)).value == pytest.approx(expected, rel=1e-12)
    assert rademacher_bound(U.tolist(), W, V, X.tolist(), y).value == pytest.approx(expected, rel=1e-12)


def test_errors():
    U, W, V, X, y = _problem()
    for margin in (0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="margin must be a positive number"):
            rademacher_bound(U, W, V, X, y, margin=margin)
    for delta in (0, 1, math.nan):
        with pytest.raises(ValueError, match="delta must lie strictly between 0 and 1"):
            rademacher_bound(U, W, V, X, y, delta=delta)
        with pytest.raises(ValueError, match="delta must lie strictly between 0 and 1"):
            rademacher_bound(U, W, V, X, y).at_delta(delta)
    with pytest.raises(ValueError, match="labels must lie in 0 to 2"):
        rademacher_bound(U, W, V, X, y + 1)
    with pytest.raises(ValueError, match="activation must be one of 'relu', 'tanh', got 'sigmoid'"):
        rademacher_bound(U, W, V, X, y, activation="sigmoid")
    with pytest.raises(ValueError, match="max_norms needs three limits"):
        rademacher_bound(U, W, V, X, y, max_norms=(0.0, 1.0, 1.0))
    for bad in (-1.0, math.nan):
        with pytest.raises(ValueError, match="beta_w must be a non-negative number"):
            rademacher_row_norms(X, beta_u=1.0, beta_w=bad, beta_v=1.0)
    for complex_data in ((U, W, V, X + 1j, y), (U + 1j, W, V, X, y)):
        with pytest.raises(ValueError, match="must hold real numbers"):
            rademacher_bound(*complex_data)
