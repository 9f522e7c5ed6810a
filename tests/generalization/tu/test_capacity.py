"""Λ of Theorem 1 against exact rational arithmetic."""

import math
from fractions import Fraction

import pytest

from sklstm.generalization import capacity, capacity_closed_form


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
def test_never_nan(beta, L):
    assert capacity(beta, L) >= 1
    if beta != 1 and math.isfinite(beta):
        assert not math.isnan(capacity_closed_form(beta, L))


def test_overflow_is_inf():
    assert capacity(1e3, 1000) == math.inf
    assert capacity_closed_form(1e3, 1000) == math.inf
    assert capacity(math.inf, 1) == 1


def test_errors():
    for beta in (-1.0, math.nan):
        with pytest.raises(ValueError, match="beta_w must be a non-negative number"):
            capacity(beta, 3)
    for L in (0, -2, 1.5, math.nan, math.inf):
        with pytest.raises(ValueError, match="n_steps must be a positive integer"):
            capacity(1.0, L)
