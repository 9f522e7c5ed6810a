"""Section 3.4.1: lower bounds on the smallest eigenvalue, where they are attained and where they say nothing."""

import numpy as np
import pytest

from sklstm.generalization import (
    SecondMoment,
    correlation_lower_bound,
    gershgorin_lower_bound,
    identity_lower_bound,
    second_moment,
    smallest_eigenvalue,
)

BOUNDS = (gershgorin_lower_bound, identity_lower_bound, correlation_lower_bound)


def equicorrelated(p, rho):
    """Spectrum: 1 - rho, p - 1 times, and 1 + (p - 1) rho."""
    return (1 - rho) * np.eye(p) + rho * np.ones((p, p))


@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize("p", [1, 2, 5, 300])
def test_attained_on_known_spectra(bound, p):
    assert bound(np.eye(p)) == 1.0
    # Smallest eigenvalue 1 - |rho| (p - 1) for negative rho: Gershgorin's theorem is an equality.
    rho = -0.5 / p
    assert bound(equicorrelated(p, rho)) == pytest.approx(1 + (p - 1) * rho, rel=1e-12)
    # And is p - 1 times too pessimistic for positive rho, where λ_min = 1 - rho.
    assert bound(equicorrelated(p, -rho)) == pytest.approx(1 + (p - 1) * rho, rel=1e-12)


def test_against_the_definition():
    rng = np.random.default_rng(0)
    for p in (3, 40, 300):
        A = rng.standard_normal((2 * p, p))
        moment = A.T @ A / (2 * p)
        off = np.abs(moment - np.diag(moment.diagonal())).sum(axis=1)
        assert gershgorin_lower_bound(moment) == pytest.approx((moment.diagonal() - off).min(), rel=1e-12)
        printed = 1 - np.linalg.norm(moment - np.eye(p), 1)
        assert identity_lower_bound(moment) == pytest.approx(printed, rel=1e-12)
        root = np.sqrt(moment.diagonal())
        correlation = moment / np.outer(root, root)
        bracket = 2 - np.abs(correlation).sum(axis=1).max()
        scale = moment.diagonal().min() if bracket >= 0 else moment.diagonal().max()
        assert correlation_lower_bound(moment) == pytest.approx(scale * bracket, rel=1e-12)


def test_never_above_the_eigenvalue_on_random_draws():
    rng = np.random.default_rng(1)
    informative = 0
    for _ in range(300):
        p = int(rng.integers(1, 7))
        # From nearly orthogonal to arbitrary rows, features of any scale.
        X = np.eye(p)[rng.integers(0, p, 40)] + rng.exponential(0.1) * rng.standard_normal((40, p))
        X *= rng.uniform(0.5, 3, p)
        moment = second_moment(X)
        true = np.linalg.eigvalsh(moment.matrix())[0]
        values = [bound(moment) for bound in BOUNDS]
        assert max(values) <= true + 1e-12
        assert values[1] <= values[0] + 1e-12  # as printed: never above Gershgorin's own
        informative += values[0] > 0
    assert informative > 50


def test_weaker_correlation_gives_a_larger_bound():
    # What section 3.4.1 is for.
    for bound in BOUNDS:
        values = [bound(equicorrelated(6, rho)) for rho in (0.15, 0.1, 0.05, 0.0)]
        assert values == sorted(values)
        assert values[0] > 0


def test_printed_form_equals_gershgorin_up_to_unit_diagonal():
    moment = equicorrelated(4, 0.1)
    assert identity_lower_bound(0.5 * moment) == pytest.approx(gershgorin_lower_bound(0.5 * moment), rel=1e-12)
    # Diagonal 3: |3 - 1| counts against it.
    assert gershgorin_lower_bound(3 * moment) == pytest.approx(3 * 0.7)
    assert identity_lower_bound(3 * moment) == pytest.approx(1 - 2 - 3 * 0.3)


def test_scales_of_features_matter_to_one_and_not_the_other():
    moment = np.diag([1.0, 100.0]) @ equicorrelated(2, 0.5) @ np.diag([1.0, 100.0])
    assert gershgorin_lower_bound(moment) == pytest.approx(1 - 50)
    assert correlation_lower_bound(moment) == pytest.approx(0.5)
    # The other way round: a correlated pair of large scale beside an independent feature of small scale.
    moment = np.diag([100.0, 100.0, 1.0])
    moment[0, 1] = moment[1, 0] = 90.0
    assert gershgorin_lower_bound(moment) == pytest.approx(1.0)
    assert correlation_lower_bound(moment) == pytest.approx(0.1)


def test_negative_when_it_says_nothing():
    X = np.random.default_rng(2).standard_normal((50, 20)) + 2
    moment = second_moment(X)
    assert smallest_eigenvalue(moment) > 0
    assert all(bound(moment) < 0 for bound in BOUNDS)


@pytest.mark.parametrize("bound", BOUNDS)
def test_stored_triangle_and_array_agree(bound):
    X = np.random.default_rng(3).standard_normal((900, 300)) / 30 + np.eye(300)[np.arange(900) % 300]
    moment = second_moment(iter(np.split(X, 3)))
    before = bound(moment)
    assert before == pytest.approx(bound(moment.matrix()), rel=1e-12)
    smallest_eigenvalue(moment, method="cholesky")  # uses the matrix as workspace
    assert bound(moment) == before


def test_extremes_give_numbers():
    huge = second_moment(1e200 * np.eye(3))
    assert gershgorin_lower_bound(huge) == np.finfo(float).max
    assert correlation_lower_bound(huge) == np.finfo(float).max
    assert identity_lower_bound(huge) == -np.inf
    assert gershgorin_lower_bound(second_moment(1e200 * np.ones((5, 3)))) == -np.inf
    tiny = second_moment(1e-200 * np.eye(3))
    assert (gershgorin_lower_bound(tiny), identity_lower_bound(tiny)) == (0.0, 0.0)
    assert gershgorin_lower_bound(np.full((4, 4), 1e308)) == -np.inf
    assert correlation_lower_bound(np.diag([5e-324, 1e300])) == 0.0  # underflow, to the safe side
    assert correlation_lower_bound(np.diag([0.0, 1.0])) == 0.0
    assert gershgorin_lower_bound(np.zeros((2, 2))) == 0.0


@pytest.mark.parametrize(
    ("moment", "message"),
    [
        (np.ones((2, 3)), "square"),
        (np.ones(4), "square"),
        (np.empty((0, 0)), "square"),
        (np.array([[1.0, np.nan], [np.nan, 1.0]]), "NaN"),
        (np.array([[1.0, 0.5], [0.2, 1.0]]), "symmetric"),
        (np.kron([[1, 0], [0.1, 1]], np.eye(200)), "symmetric"),
        (SecondMoment(), "no sample"),
    ],
)
def test_errors(moment, message):
    for bound in BOUNDS:
        with pytest.raises(ValueError, match=message):
            bound(moment)


def test_negative_diagonal_is_no_moment():
    with pytest.raises(ValueError, match="negative"):
        correlation_lower_bound(np.diag([1.0, -1.0]))
