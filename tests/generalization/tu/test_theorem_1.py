"""Theorem 1 and Λ: against exact rational arithmetic, and term by term."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

from sklstm.generalization import capacity, fisher_rao_norm, rademacher_tu, smallest_eigenvalue, tu_bound
from sklstm.generalization.tu._theorem_1 import capacity_closed_form


def _last(U, W, V, X):
    h = np.zeros((len(X), len(U)))
    for t in range(X.shape[1]):
        h = np.maximum(X[:, t] @ U.T + h @ W.T, 0)
    return h @ V.T  # (n, k)


def _row_sum(A):
    return np.abs(A).sum(axis=1).max()


def _inputs(X):
    return {
        "input_norm_frobenius": math.sqrt((X**2).sum()),
        "input_norm_1": np.abs(X).sum(axis=0).max(),
        "n_samples": len(X),
        "n_steps": X.shape[1],
    }


@pytest.mark.parametrize("seed", range(4))
def test_complexity_of_finite_classes(seed):
    # The sample is the whole distribution here, so that r and λ_min are what the theorem means.
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((8, 2, 2))
    networks = [
        (rng.standard_normal((3, 2)), rng.standard_normal((3, 3)) / 2, rng.standard_normal((2, 3))) for _ in range(300)
    ]
    signs = np.array(list(itertools.product([-1, 1], repeat=8)))
    outputs = np.concatenate([_last(*network, X).T for network in networks])  # (networks · labels, n)
    complexity = (signs @ outputs.T).max(axis=1).mean() / 8
    beta_u, beta_w, beta_v = (max(_row_sum(network[i]) for network in networks) for i in range(3))
    r = max(fisher_rao_norm(*network, X) for network in networks)
    bound = rademacher_tu(
        fisher_rao=r,
        lambda_min=smallest_eigenvalue(X),
        beta_u=beta_u,
        beta_w=beta_w,
        beta_v=beta_v,
        **_inputs(X),
    )
    assert 0 < complexity <= bound.value == bound.fisher_rao_term + bound.norm_term


def test_linear_networks_need_the_first_term_only():
    # Lemma 3: sup over all ψ with Fisher-Rao norm r is r/n ‖Σσx‖ in the norm of A⁻¹; the theorem bounds its mean.
    rng = np.random.default_rng(0)
    X = rng.standard_normal((9, 2, 2))
    flat = X.reshape(9, 4)
    C = np.diag([3.0, 3.0, 2.0, 2.0])  # (L + 1), …, 2
    A = C @ (flat.T @ flat / 9) @ C
    signs = np.array(list(itertools.product([-1, 1], repeat=9)))
    sums = signs @ flat
    exact = np.sqrt(np.einsum("si,ij,sj->s", sums, np.linalg.inv(A), sums)).mean() / 9
    bound = rademacher_tu(
        fisher_rao=1.0, lambda_min=smallest_eigenvalue(X), beta_u=0.0, beta_w=1.0, beta_v=1.0, **_inputs(X)
    )
    assert bound.norm_term == 0
    assert exact <= bound.value


def test_theorem_2_is_made_of_it():
    rng = np.random.default_rng(1)
    U, W, V, X = (rng.standard_normal(s) for s in ((4, 2), (4, 4), (3, 4), (30, 3, 2)))
    y = rng.integers(0, 3, 30)
    bound = tu_bound(U, W, V, X, y, margin=0.5)
    parts = rademacher_tu(
        fisher_rao=fisher_rao_norm(U, W, V, X),
        lambda_min=smallest_eigenvalue(X),
        beta_u=_row_sum(U),
        beta_w=_row_sum(W),
        beta_v=_row_sum(V),
        **_inputs(X),
    )
    assert bound.fisher_rao_term == pytest.approx(4 * 3 / 0.5 * parts.fisher_rao_term, rel=1e-12)
    assert bound.norm_term == pytest.approx(4 * 3 / 0.5 * parts.norm_term, rel=1e-12)
    assert parts.norm_term == pytest.approx(
        _row_sum(V) * _row_sum(U) * capacity(_row_sum(W), 3) * np.abs(X).sum(axis=0).max() / 30, rel=1e-12
    )


NUMBERS = {"fisher_rao": 1.0, "lambda_min": 1.0, "input_norm_frobenius": 1.0, "input_norm_1": 1.0}
NUMBERS |= {"beta_u": 1.0, "beta_w": 1.0, "beta_v": 1.0, "n_samples": 5, "n_steps": 3}


@pytest.mark.parametrize("beta_w", [0, 0.5, 1, 1e3])
@pytest.mark.parametrize("n_steps", [1, 1000])
@pytest.mark.parametrize("lambda_min", [0.0, 1e-300, 1.0])
@pytest.mark.parametrize("fisher_rao", [0.0, 1.0, math.inf])
def test_theorem_1_is_never_nan(beta_w, n_steps, lambda_min, fisher_rao):
    numbers = NUMBERS | {"beta_w": beta_w, "n_steps": n_steps, "lambda_min": lambda_min, "fisher_rao": fisher_rao}
    bound = rademacher_tu(**numbers)
    assert not math.isnan(bound.value)
    assert math.isinf(bound.fisher_rao_term) == (lambda_min == 0 or math.isinf(fisher_rao))
    assert math.isinf(bound.norm_term) == ((beta_w, n_steps) == (1e3, 1000))


@pytest.mark.parametrize("name", sorted(NUMBERS))
def test_errors_of_theorem_1(name):
    for bad in (-1.0, math.nan):
        with pytest.raises(ValueError, match=f"{name} must be"):
            rademacher_tu(**NUMBERS | {name: bad})


def _exact(beta, L):
    b, total, power = Fraction(beta), Fraction(0), Fraction(1)
    for m in range(L):
        total += (m + 1) * power
        power *= b
    return total


@pytest.mark.parametrize("beta", [0.0, 0.25, 0.5, 1 - 1e-3, 1 - 1e-9, 1.0, 1 + 1e-9, 1 + 1e-3, 1.5, 2.0, 10.0])
@pytest.mark.parametrize("L", [1, 2, 3, 10, 60])
def test_against_fractions(beta, L):
    assert capacity(beta, L) == pytest.approx(float(_exact(beta, L)), rel=1e-12)


@pytest.mark.parametrize("L", [1, 2, 100, 1000, 4001])
def test_exact_at_one(L):
    assert capacity(1, L) == L * (L + 1) / 2


@pytest.mark.parametrize("beta", [0.0, 0.3, 0.9, 1.2, 3.0, 50.0])
@pytest.mark.parametrize("L", [1, 2, 20, 100])
def test_closed_form_agrees_away_from_one(beta, L):
    assert capacity_closed_form(beta, L) == pytest.approx(capacity(beta, L), rel=1e-10)


def test_closed_form_fails_at_and_beside_one():
    assert math.isnan(capacity_closed_form(1.0, 5))
    assert abs(capacity_closed_form(1 + 1e-9, 5) / capacity(1 + 1e-9, 5) - 1) > 1e-10


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0, 2.0, 1e3, 1e308, math.inf])
@pytest.mark.parametrize("L", [1, 2, 10, 1000, 5000])
def test_capacity_is_never_nan(beta, L):
    assert capacity(beta, L) >= 1
    if beta != 1 and math.isfinite(beta):
        assert not math.isnan(capacity_closed_form(beta, L))


def test_overflow_is_inf():
    assert capacity(1e3, 1000) == math.inf
    assert capacity_closed_form(1e3, 1000) == math.inf
    assert capacity(math.inf, 1) == 1


def test_errors_of_capacity():
    for beta in (-1.0, math.nan):
        with pytest.raises(ValueError, match="beta_w must be a non-negative number"):
            capacity(beta, 3)
    for L in (0, -2, 1.5, math.nan, math.inf):
        with pytest.raises(ValueError, match="n_steps must be a positive integer"):
            capacity(1.0, L)
