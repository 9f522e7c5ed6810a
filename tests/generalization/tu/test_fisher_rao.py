"""Lemma 1, Lemma 2 and equation (2) of Tu et al. 2020, each by two independent routes."""

import math

import numpy as np
import pytest
import torch

from sklstm.generalization import eta_c, fisher_rao_norm, tau_c


def _problem(seed, n=5, L=4, d=3, m=6, k=3):
    rng = np.random.default_rng(seed)
    return (
        rng.standard_normal((m, d)),
        rng.standard_normal((m, m)) / 2,
        rng.standard_normal((k, m)),
        rng.standard_normal((n, L, d)),
    )


def _outputs(U, W, V, x):
    h = torch.zeros(len(U), dtype=torch.float64)
    for step in x:
        h = torch.relu(U @ step + W @ h)
    return V @ h


def _tau_by_powers(U, W, V, x):
    L = len(x)
    return sum((L - t + 2) * V @ np.linalg.matrix_power(W, L - t) @ U @ x[t - 1] for t in range(1, L + 1))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("L", [1, 2, 7])
def test_lemma_1_directional_derivative_along_the_weights(seed, L):
    U, W, V, X = _problem(seed, L=L)
    ours = eta_c(U, W, V, X)
    theta = [torch.tensor(a, requires_grad=True) for a in (U, W, V)]
    for i, x in enumerate(torch.tensor(X)):
        for j in range(len(V)):
            grads = torch.autograd.grad(_outputs(*theta, x)[j], theta, allow_unused=True)
            derivative = sum(float((g * p.detach()).sum()) for g, p in zip(grads, theta, strict=True) if g is not None)
            assert ours[i, j] == pytest.approx(derivative, rel=1e-10, abs=1e-12)


def test_eta_equals_tau_where_every_unit_is_active():
    U, W, V, X = (np.abs(a) for a in _problem(0))
    np.testing.assert_allclose(eta_c(U, W, V, X), tau_c(U, W, V, X), rtol=1e-12)


@pytest.mark.parametrize("L", [1, 2, 5, 12])
def test_tau_by_matrix_powers(L):
    U, W, V, X = _problem(1, L=L)
    expected = np.array([_tau_by_powers(U, W, V, x) for x in X])
    np.testing.assert_allclose(tau_c(U, W, V, X), expected, rtol=1e-10)


def test_equation_2_by_loops():
    U, W, V, X = _problem(2, n=9)
    total = 0.0
    for x in X:
        total += max(value**2 for value in _tau_by_powers(U, W, V, x))
    assert fisher_rao_norm(U, W, V, X) == pytest.approx(math.sqrt(total / 9), rel=1e-10)


def test_equation_2_by_hand():
    # L = 2, all scalars: τc = 3 · v w u x1 + 2 · v u x2 with u = 2, w = 3, v = 5: 3 · 30 x1 + 2 · 10 x2.
    # Samples (1, 1) and (0, 2): 110 and 40, so r² = (110² + 40²)/2 = 6850.
    r = fisher_rao_norm([[2.0]], [[3.0]], [[5.0]], [[[1.0], [1.0]], [[0.0], [2.0]]])
    assert r == pytest.approx(math.sqrt(6850), rel=1e-14)


@pytest.mark.parametrize("matrix", [0, 2])
def test_norm_is_homogeneous_in_u_and_v(matrix):
    problem = list(_problem(3))
    r = fisher_rao_norm(*problem)
    problem[matrix] = 2 * problem[matrix]
    assert fisher_rao_norm(*problem) == pytest.approx(2 * r, rel=1e-12)


def test_lemma_2_gradient_form_of_definition_1():
    U, W, V, X = _problem(4, n=6)
    y = torch.tensor([0, 1, 2, 0, 1, 2])
    theta = [torch.tensor(a, requires_grad=True) for a in (U, W, V)]
    by_gradient, by_lemma = [], []
    eta = torch.tensor(eta_c(U, W, V, X))
    for i, x in enumerate(torch.tensor(X)):
        loss = torch.nn.functional.cross_entropy(_outputs(*theta, x)[None], y[i : i + 1])
        grads = torch.autograd.grad(loss, theta)
        by_gradient.append(sum(float((g * p.detach()).sum()) for g, p in zip(grads, theta, strict=True)) ** 2)
        out = _outputs(*theta, x).detach().requires_grad_()
        (dl_dy,) = torch.autograd.grad(torch.nn.functional.cross_entropy(out[None], y[i : i + 1]), out)
        by_lemma.append(float(eta[i] @ dl_dy) ** 2)
    np.testing.assert_allclose(np.mean(by_gradient), np.mean(by_lemma), rtol=1e-10)


def test_chunks_make_no_difference(monkeypatch):
    U, W, V, X = _problem(5, n=50)
    whole = tau_c(U, W, V, X), eta_c(U, W, V, X)
    monkeypatch.setattr("sklstm.generalization._inputs._CHUNK_NUMBERS", 40)
    np.testing.assert_allclose(tau_c(U, W, V, X), whole[0], rtol=1e-12)
    np.testing.assert_allclose(eta_c(U, W, V, X), whole[1], rtol=1e-12)


def test_tensors_lists_and_float32_are_accepted():
    U, W, V, X = (a.astype(np.float32) for a in _problem(6))
    expected = fisher_rao_norm(*(a.astype(np.float64) for a in (U, W, V, X)))
    tensors = [torch.tensor(a, requires_grad=True) for a in (U, W, V)]
    assert fisher_rao_norm(*tensors, torch.tensor(X)) == pytest.approx(expected, rel=1e-14)
    assert fisher_rao_norm(U.tolist(), W.tolist(), V.tolist(), X.tolist()) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("scale", [0.0, 1.0, 1e3])
@pytest.mark.parametrize("L", [1, 10, 1000])
def test_overflow_is_inf_and_silent(scale, L):
    U, W, V, X = _problem(7, n=3, L=L, m=3)
    W = scale * W
    for values in (tau_c(U, W, V, X), eta_c(U, W, V, X)):
        assert not np.isnan(values).any()
    r = fisher_rao_norm(U, W, V, X)
    assert r == math.inf if (scale, L) == (1e3, 1000) else math.isfinite(r)


def test_r_is_finite_where_its_square_is_not():
    U, W, V, X = _problem(8)
    assert fisher_rao_norm(U, W, 1e200 * V, X) == pytest.approx(1e200 * fisher_rao_norm(U, W, V, X), rel=1e-12)


def test_errors_name_the_axes():
    U, W, V, X = _problem(9)
    with pytest.raises(ValueError, match=r"\(m, d\), \(m, m\), \(k, m\)"):
        fisher_rao_norm(U, W[:-1], V, X)
    with pytest.raises(ValueError, match="samples, time steps, channels"):
        fisher_rao_norm(U, W, V, X[:, :, :-1])
    with pytest.raises(ValueError, match="n_samples, n_steps, n_channels"):
        eta_c(U, W, V, X[0])
    with pytest.raises(ValueError, match="W is empty or contains NaN"):
        tau_c(U, np.nan * W, V, X)
    X[0, 0, 0] = np.inf
    with pytest.raises(ValueError, match="X contains NaN or infinity"):
        tau_c(U, W, V, X)
