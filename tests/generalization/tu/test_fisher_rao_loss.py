"""Definition 1 and Lemma 2 of Tu et al. 2020 against gradients with respect to every weight."""

import math

import numpy as np
import pytest
import torch

from sklstm.generalization import fisher_rao_norm, fisher_rao_norm_lemma_2, fisher_rao_norm_loss

ROUTES = pytest.mark.parametrize("norm", [fisher_rao_norm_loss, fisher_rao_norm_lemma_2])


def _problem(seed, n=7, L=4, d=3, m=6, k=3):
    rng = np.random.default_rng(seed)
    weights = rng.standard_normal((m, d)), rng.standard_normal((m, m)) / 2, rng.standard_normal((k, m))
    return *weights, rng.standard_normal((n, L, d)), rng.integers(0, k, n)


def _squared(outputs, labels):
    return ((outputs - torch.nn.functional.one_hot(labels, outputs.shape[1])) ** 2).sum(dim=1)


def _by_definition(U, W, V, X, y, loss):
    """E⟨∇l, θ⟩², one sample and one weight matrix at a time."""
    theta = [torch.tensor(a, requires_grad=True) for a in (U, W, V)]
    total = 0.0
    for x, label in zip(torch.tensor(X), y, strict=True):
        h = torch.zeros(len(U), dtype=torch.float64)
        for step in x:
            h = torch.relu(theta[0] @ step + theta[1] @ h)
        value = loss((theta[2] @ h)[None], torch.tensor([label]))[0]
        grads = torch.autograd.grad(value, theta, materialize_grads=True)
        total += sum(float((g * p.detach()).sum()) for g, p in zip(grads, theta, strict=True)) ** 2
    return math.sqrt(total / len(X))


@ROUTES
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("L", [1, 5])
@pytest.mark.parametrize("loss", [None, _squared])
def test_both_routes_against_the_definition(norm, seed, L, loss):
    problem = _problem(seed, L=L)
    reference = loss or (lambda o, y: torch.nn.functional.cross_entropy(o, y, reduction="none"))
    assert norm(*problem, loss) == pytest.approx(_by_definition(*problem, reference), rel=1e-10)


def test_margin_loss_of_a_linear_network_is_below_equation_2():
    # Section 3.1: ‖θ‖_fr ≤ (2/α) ‖θ‖_fs for the ramp of the margin and linear activations; all units are active here.
    U, W, V, X, y = _problem(4)
    U, W, X = (np.abs(a) for a in (U, W, X))
    alpha = 400.0

    def ramp(outputs, labels):
        own = outputs.gather(1, labels[:, None])[:, 0]
        others = outputs.masked_fill(torch.nn.functional.one_hot(labels, outputs.shape[1]).bool(), -math.inf)
        return 1 - (own - others.amax(dim=1)).clamp(0, alpha) / alpha

    found = fisher_rao_norm_loss(U, W, V, X, y, ramp)
    assert 0 < found <= 2 / alpha * fisher_rao_norm(U, W, V, X)


@ROUTES
def test_chunks_float32_and_grad_mode_do_not_matter(norm, monkeypatch):
    problem = [np.float32(a) if a.dtype == float else a for a in _problem(2, n=30)]
    expected = norm(*(a.astype(float) if a.dtype == np.float32 else a for a in problem))
    monkeypatch.setattr("sklstm.generalization._inputs._CHUNK_NUMBERS", 100)
    with torch.no_grad():
        assert norm(*problem) == pytest.approx(expected, rel=1e-12)


@ROUTES
@pytest.mark.parametrize("beta_w", [0, 0.5, 1, 1e3])
@pytest.mark.parametrize("L", [1, 1000])
def test_overflow_is_inf_and_silent(norm, beta_w, L):
    rng = np.random.default_rng(0)
    W = beta_w * np.array([[0.5, 0.5], [1.0, 0.0]])
    r = norm(rng.standard_normal((2, 2)), W, rng.standard_normal((3, 2)), rng.standard_normal((3, L, 2)), [0, 1, 2])
    assert r == math.inf if (beta_w, L) == (1e3, 1000) else 0 <= r < math.inf


@ROUTES
def test_errors(norm):
    U, W, V, X, y = _problem(3)
    with pytest.raises(ValueError, match="labels must lie in 0 to 2"):
        norm(U, W, V, X, y + 1)
    with pytest.raises(ValueError, match=r"loss must return a tensor of shape \(7,\), one loss a sample"):
        norm(U, W, V, X, y, lambda outputs, labels: outputs.sum())
    with pytest.raises(ValueError, match="samples, time steps, channels"):
        norm(U, W, V, X[:, :, :-1], y)
