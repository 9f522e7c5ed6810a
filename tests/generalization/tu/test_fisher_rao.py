"""The Fisher-Rao norms: identities of the paper, derivatives by a second route, and upper bounds."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from sklstm.generalization import fisher_rao_norm, fisher_rao_norm_loss, fisher_rao_upper, zhang_order
from sklstm.generalization.tu._fisher_rao import eta_c, fisher_rao_norm_lemma_2, fisher_rao_upper_closed_form, tau_c


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
    monkeypatch.setattr("sklstm.generalization._theorem_inputs._CHUNK_NUMBERS", 40)
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


ROUTES = pytest.mark.parametrize("norm", [fisher_rao_norm_loss, fisher_rao_norm_lemma_2])


def _labelled_problem(seed, n=7, L=4, d=3, m=6, k=3):
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
    problem = _labelled_problem(seed, L=L)
    reference = loss or (lambda o, y: torch.nn.functional.cross_entropy(o, y, reduction="none"))
    assert norm(*problem, loss) == pytest.approx(_by_definition(*problem, reference), rel=1e-10)


def test_margin_loss_of_a_linear_network_is_below_equation_2():
    # Section 3.1: ‖θ‖_fr ≤ (2/α) ‖θ‖_fs for the ramp of the margin and linear activations; all units are active here.
    U, W, V, X, y = _labelled_problem(4)
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
    problem = [np.float32(a) if a.dtype == float else a for a in _labelled_problem(2, n=30)]
    expected = norm(*(a.astype(float) if a.dtype == np.float32 else a for a in problem))
    monkeypatch.setattr("sklstm.generalization._theorem_inputs._CHUNK_NUMBERS", 100)
    with torch.no_grad():
        assert norm(*problem) == pytest.approx(expected, rel=1e-12)


@ROUTES
@pytest.mark.parametrize("beta_w", [0, 0.5, 1, 1e3])
@pytest.mark.parametrize("L", [1, 1000])
def test_overflow_of_a_loss_is_inf_and_silent(norm, beta_w, L):
    rng = np.random.default_rng(0)
    W = beta_w * np.array([[0.5, 0.5], [1.0, 0.0]])
    r = norm(rng.standard_normal((2, 2)), W, rng.standard_normal((3, 2)), rng.standard_normal((3, L, 2)), [0, 1, 2])
    assert r == math.inf if (beta_w, L) == (1e3, 1000) else 0 <= r < math.inf


@ROUTES
def test_errors_of_the_norm_of_a_loss(norm):
    U, W, V, X, y = _labelled_problem(3)
    with pytest.raises(ValueError, match="labels must lie in 0 to 2"):
        norm(U, W, V, X, y + 1)
    with pytest.raises(ValueError, match=r"loss must return a tensor of shape \(7,\), one loss for each sample"):
        norm(U, W, V, X, y, lambda outputs, labels: outputs.sum())
    with pytest.raises(ValueError, match="samples, time steps, channels"):
        norm(U, W, V, X[:, :, :-1], y)


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


def test_errors_of_remark_6():
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
