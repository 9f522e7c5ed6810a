"""What a movement of the outputs does to the cross-entropy: the inequalities of the theory page, on random draws."""

import numpy as np
import pytest
import torch
from scipy.special import logsumexp, softmax

rng = np.random.default_rng(0)
CLASSES = pytest.mark.parametrize("k", [2, 3, 10])


def cross_entropy(z, label):
    return logsumexp(z, axis=-1) - z[..., label]


def draws(k, n=20_000):
    """Outputs z and movements d of all sizes; a third of them in the worst direction, from the label to one other."""
    z = rng.standard_normal((n, k)) * 10 ** rng.uniform(-2, 2, (n, 1))
    d = rng.standard_normal((n, k))
    d[::3] = 0
    d[::3, 0], d[::3, 1] = -1, 1
    return z, d * 10 ** rng.uniform(-3, 2, (n, 1))


@CLASSES
def test_cross_entropy_is_lipschitz_in_the_outputs(k):
    z, d = draws(k)
    change = np.abs(cross_entropy(z + d, 0) - cross_entropy(z, 0))
    spread = np.ptp(d, axis=1)
    norm = np.linalg.norm(d, axis=1)
    rounding = 1e-12 * (1 + np.abs(z).max(axis=1) + norm)
    assert (change <= spread + rounding).all()
    assert (spread <= np.sqrt(2) * norm * (1 + 1e-12)).all()
    # Both are attained, in the limit: a sequence that is hopelessly wrong, pushed further from its label.
    z, d = np.zeros(k), np.zeros(k)
    z[:2], d[:2] = (-50, 50), (-1, 1)
    assert cross_entropy(z + d, 0) - cross_entropy(z, 0) == pytest.approx(np.sqrt(2) * np.linalg.norm(d), rel=1e-12)


@CLASSES
def test_cross_entropy_rises_by_at_most_a_quarter_of_the_square_beyond_its_slope(k):
    z, d = draws(k)
    slope = softmax(z, axis=1)
    slope[:, 0] -= 1
    norm = np.linalg.norm(d, axis=1)
    rise = cross_entropy(z + d, 0) - cross_entropy(z, 0) - (slope * d).sum(axis=1)
    rounding = 1e-11 * (1 + np.abs(z).max(axis=1) + norm)
    assert (rise >= -rounding).all()  # convex
    assert (rise <= norm**2 / 4 + rounding).all()
    # The quarter is attained between two classes that are equally probable and leave nothing to the others.
    z, d = np.full(k, -50.0), np.zeros(k)
    z[:2], d[:2] = 0, (-1e-3, 1e-3)
    # The slope along d is p₁ d₁ + p₂ d₂ − d₁ = −d₁.
    rise = cross_entropy(z + d, 0) - cross_entropy(z, 0) + d[0]
    assert rise == pytest.approx(np.sum(d**2) / 4, rel=1e-5)


@CLASSES
def test_the_hessian_has_no_eigenvalue_above_one_half(k):
    for z in draws(k, 50)[0]:
        hessian = torch.autograd.functional.hessian(
            lambda outputs: torch.nn.functional.cross_entropy(outputs, torch.tensor(0)), torch.from_numpy(z)
        )
        p = softmax(z)
        np.testing.assert_allclose(hessian, np.diag(p) - np.outer(p, p), atol=1e-12)
        assert np.linalg.eigvalsh(hessian)[-1] <= 0.5 + 1e-12


@CLASSES
def test_a_label_holds_while_the_outputs_move_less_than_its_margin_over_the_root_of_two(k):
    z, d = draws(k)
    label = z.argmax(axis=1)
    margin = np.diff(np.sort(z, axis=1)[:, -2:])[:, 0]
    d *= 0.999 * (margin / np.sqrt(2) / np.linalg.norm(d, axis=1))[:, None]
    assert ((z + d).argmax(axis=1) == label).all()
    top = np.argsort(z, axis=1)
    rows = np.arange(len(z))
    worst = np.zeros_like(z)
    worst[rows, top[:, -1]], worst[rows, top[:, -2]] = -0.5001 * margin, 0.5001 * margin  # of norm 0.7072 margins
    assert ((z + worst).argmax(axis=1) != label).all()


def test_noise_without_mean_costs_at_most_a_quarter_of_its_square():
    # E CE(z + d) − CE(z) ≤ E‖d‖²/4 where E d = 0: what E(y − f − d)² − E(y − f)² = E d² is for the squared error.
    for k in (2, 5):
        z = 2 * rng.standard_normal((50, 1, k))
        d = rng.standard_normal((50, 2000, k)) * rng.uniform(0.01, 3, (50, 1, 1))
        d = np.concatenate((d, -d), axis=1)  # the mean is zero exactly
        rise = (cross_entropy(z + d, 0) - cross_entropy(z, 0)).mean(axis=1)
        assert (rise > 0).all()
        assert (rise <= (d**2).sum(axis=2).mean(axis=1) / 4).all()
