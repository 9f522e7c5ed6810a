"""Remark 6 of Tu et al. 2020 and the comparison with spectral norms."""

import math
from fractions import Fraction

import numpy as np
import pytest

from sklstm.generalization import fisher_rao_norm, fisher_rao_upper, fisher_rao_upper_closed_form, zhang_order


def _sum(beta, L):
    return sum((m + 2) * Fraction(beta) ** m for m in range(L))


@pytest.mark.parametrize("beta", [0.0, 0.5, 1 - 1e-9, 1.0, 1 + 1e-9, 2.0, 10.0])
@pytest.mark.parametrize("L", [1, 2, 7, 60])
def test_the_sum_is_right_for_every_norm(beta, L):
    assert fisher_rao_upper(2.0, beta, 3.0, 0.25, L) == pytest.approx(1.5 * float(_sum(beta, L)), rel=1e-12)


@pytest.mark.parametrize("beta", [0.0, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("L", [1, 3, 40])
def test_the_printed_form_differs_by_the_terms_that_the_paper_drops(beta, L):
    b = Fraction(beta)
    dropped = b**L * (1 / (1 - b) ** 2 + (L + 1) / (1 - b))
    printed = fisher_rao_upper_closed_form(2.0, beta, 3.0, 0.25)
    assert printed == pytest.approx(1.5 * float(_sum(beta, L) + dropped), rel=1e-12)
    assert printed >= fisher_rao_upper(2.0, beta, 3.0, 0.25, L)


def test_at_one_as_printed():
    assert fisher_rao_upper(1.0, 1.0, 1.0, 2.0, 9) == 2 * (9**2 + 3 * 9) / 2


def _row_sum(A):
    return np.abs(A).sum(axis=1).max()


def test_it_is_above_r_and_attained():
    rng = np.random.default_rng(0)
    for _ in range(30):
        U, W, V, X = (rng.standard_normal(s) for s in ((4, 2), (4, 4), (3, 4), (6, 5, 2)))
        upper = fisher_rao_upper(_row_sum(U), _row_sum(W), _row_sum(V), np.abs(X).max(), 5)
        assert fisher_rao_norm(U, W, V, X) <= upper
    r = fisher_rao_norm([[2.0]], [[1.5]], [[0.3], [-0.1]], np.full((1, 6, 1), -0.7))
    assert r == pytest.approx(fisher_rao_upper(2.0, 1.5, 0.3, 0.7, 6), rel=1e-13)


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0, 1e3])
@pytest.mark.parametrize("L", [1, 1000])
def test_overflow_is_inf(beta, L):
    value = fisher_rao_upper(1.0, beta, 1.0, 1.0, L)
    assert value == math.inf if (beta, L) == (1e3, 1000) else math.isfinite(value)
    assert fisher_rao_upper(0.0, beta, 1.0, 1.0, L) == 0


def test_errors():
    with pytest.raises(ValueError, match=r"needs beta_w in \[0, 1\)"):
        fisher_rao_upper_closed_form(1.0, 1.0, 1.0, 1.0)
    for bad in (-1.0, math.nan):
        with pytest.raises(ValueError, match="beta_u must be a non-negative number"):
            fisher_rao_upper(bad, 1.0, 1.0, 1.0, 2)
        with pytest.raises(ValueError, match="input_bound must be a non-negative number"):
            fisher_rao_upper(1.0, 1.0, 1.0, bad, 2)
        with pytest.raises(ValueError, match="beta_w must be a non-negative number"):
            fisher_rao_upper(1.0, bad, 1.0, 1.0, 2)


@pytest.mark.parametrize("scale", [0.5, 3.0])
def test_zhang_order_by_hand(scale):
    rng = np.random.default_rng(1)
    U, W, V = rng.standard_normal((5, 9)), scale * np.linalg.qr(rng.standard_normal((5, 5)))[0], np.eye(3, 5)
    expected = 9 * 4**2 * np.linalg.svd(U)[1][0] * 1 * max(1, scale) ** 4 / (math.sqrt(50) * 0.5)
    assert zhang_order(U, W, V, n_samples=50, n_steps=4, margin=0.5) == pytest.approx(expected, rel=1e-10)


def test_zhang_order_extremes():
    assert zhang_order([[1.0]], [[1e3]], [[1.0]], n_samples=1, n_steps=1000) == math.inf
    assert zhang_order([[0.0]], [[1e3]], [[1.0]], n_samples=1, n_steps=1000) == 0
    assert zhang_order([[1e200]], [[1.0]], [[1e-200]], n_samples=4, n_steps=1) == pytest.approx(0.5, rel=1e-10)
    with pytest.raises(ValueError, match="margin must be a positive number"):
        zhang_order([[1.0]], [[1.0]], [[1.0]], n_samples=1, n_steps=1, margin=0)
    with pytest.raises(ValueError, match="n_samples and n_steps must be positive"):
        zhang_order([[1.0]], [[1.0]], [[1.0]], n_samples=0, n_steps=1)
