"""The lines of Theorems 2 and 3 that stand beside their summands, each by a second route."""

import math

import numpy as np
import pytest

from sklstm.generalization import (
    fisher_rao_norm_loss,
    gershgorin_lower_bound,
    moment_summary,
    smallest_eigenvalue,
    tu_bound,
    zhang_order,
)


@pytest.fixture(params=[0.0, 0.4])
def case(request):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 4, 2))
    weights = 0.5 * rng.standard_normal((3, 2)), 0.3 * rng.standard_normal((3, 3)), rng.standard_normal((2, 3))
    noise = request.param * rng.standard_normal(X.shape) if request.param else None
    y = rng.integers(0, 2, 60)
    return weights, X, y, noise, tu_bound(*weights, X, y, sigma=request.param, noise=noise, margin=0.5)


def test_theorem_1_without_the_factor_of_theorem_2(case):
    *_, bound = case
    assert 4 * 2 / 0.5 * bound.rademacher == pytest.approx(bound.fisher_rao_term + bound.norm_term, rel=1e-12)


def test_remark_6(case):
    _, X, _, noise, bound = case
    largest = np.abs(X if noise is None else X + noise).max()
    total = sum((m + 2) * bound.beta_w**m for m in range(4))
    assert bound.fisher_rao_upper == pytest.approx(bound.beta_v * bound.beta_u * largest * total, rel=1e-12)
    assert bound.fisher_rao_upper >= bound.fisher_rao
    ratio = bound.fisher_rao_upper / bound.fisher_rao
    assert bound.fisher_rao_term_upper == pytest.approx(ratio * bound.fisher_rao_term, rel=1e-12)


def test_definition_1_through_gradients(case):
    weights, X, y, _, bound = case
    assert bound.fisher_rao_loss == pytest.approx(fisher_rao_norm_loss(*weights, X, y), rel=1e-10)


def test_section_3_4_1(case):
    _, X, _, _, bound = case
    moment = X.reshape(60, -1).T @ X.reshape(60, -1) / 60
    by_hand = min(row[i] - sum(abs(row[j]) for j in range(8) if j != i) for i, row in enumerate(moment))
    assert bound.gershgorin == pytest.approx(by_hand, rel=1e-10)
    assert bound.gershgorin <= bound.lambda_min
    expected = smallest_eigenvalue(X), gershgorin_lower_bound(moment)
    assert moment_summary(X) == pytest.approx(expected, rel=1e-10)
    assert (bound.lambda_min, bound.gershgorin) == moment_summary(X)
    assert moment_summary(X[:5]) == (0.0, -math.inf)


def test_zhang(case):
    weights, *_, bound = case
    assert bound.zhang_order == zhang_order(*weights, n_samples=60, n_steps=4, margin=0.5)


def test_every_line_is_in_the_report(case):
    *_, bound = case
    names = {term.name for term in bound.terms}
    wanted = {"rademacher", "fisher_rao_upper", "fisher_rao_term_upper", "fisher_rao_loss", "gershgorin", "zhang_order"}
    assert wanted <= names
