"""Theorems 2 and 3 of Tu et al. 2020, term by term: by hand, and by loops written without the package."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from sklstm.generalization import (
    capacity,
    fisher_rao_norm_loss,
    gershgorin_lower_bound,
    smallest_eigenvalue,
    tu_bound,
    zhang_order,
)
from sklstm.generalization._eigenvalue import moment_summary


def _problem(seed=0, n=40, L=3, d=2, m=5, k=3):
    rng = np.random.default_rng(seed)
    weights = [rng.standard_normal((m, d)), rng.standard_normal((m, m)) / 3, rng.standard_normal((k, m))]
    return *weights, rng.standard_normal((n, L, d)), rng.integers(0, k, n)


def _row_sum(A):
    return max(sum(abs(a) for a in row) for row in A)


def _forward(U, W, V, x):
    h = np.zeros(len(U))
    for step in x:
        h = np.maximum(U @ step + W @ h, 0)
    return V @ h


def _by_loops(U, W, V, X, y, alpha, delta, sigma, noise):
    """Every number of the theorem, as the paper writes it."""
    (n, L, d), k = X.shape, len(V)
    Z = X if sigma == 0 else X + noise
    bu, bw, bv = _row_sum(U), _row_sum(W), _row_sum(V)
    losses, tau2 = [], []
    for x, label in zip(Z, y, strict=True):
        out = _forward(U, W, V, x)
        margin = out[label] - max(out[j] for j in range(k) if j != label)
        if sigma == 0:
            losses.append(1.0 if margin <= alpha else 0.0)
        else:
            losses.append(1.0 if margin <= 0 else 0.0 if margin >= alpha else 1 - margin / alpha)
        tau = sum((L - t + 2) * V @ np.linalg.matrix_power(W, L - t) @ U @ x[t - 1] for t in range(1, L + 1))
        tau2.append(max(tau**2))
    r = math.sqrt(sum(tau2) / n)
    flat = X.reshape(n, L * d)
    lambda_min = np.linalg.eigvalsh(sum(np.outer(x, x) for x in flat) / n)[0]
    frobenius = math.sqrt((Z**2).sum())
    one = max(sum(abs(Z[i, t, c]) for i in range(n)) for t in range(L) for c in range(d))
    Lambda = sum((m + 1) * bw**m for m in range(L))
    noise_term = 2 / alpha * sum(bv * bu * bw ** (L - i) for i in range(1, L + 1)) * sigma
    return {
        "margin_loss": sum(losses) / n,
        "noise_term": noise_term * math.sqrt(2 * math.log(2 * d)),
        "fisher_rao_term": 4 * k / alpha * r * frobenius / (2 * n) * (lambda_min + sigma**2) ** -0.5,
        "norm_term": 4 * k / alpha * bv * bu * one * Lambda / n,
        "confidence_term": 3 * math.sqrt(math.log(2 / delta) / (2 * n)),
        "beta_u": bu,
        "beta_w": bw,
        "beta_v": bv,
        "fisher_rao": r,
        "capacity": Lambda,
        "input_norm_frobenius": frobenius,
        "input_norm_1": one,
        "lambda_min": lambda_min,
    }


@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize("sigma", [0.0, 0.3])
@pytest.mark.parametrize("alpha", [0.7, 2.0])
def test_term_by_term(k, sigma, alpha):
    U, W, V, X, y = _problem(k, k=k)
    noise = sigma * np.random.default_rng(9).standard_normal(X.shape) if sigma else None
    bound = tu_bound(U, W, V, X, y, margin=alpha, delta=0.1, sigma=sigma, noise=noise)
    expected = _by_loops(U, W, V, X, y, alpha, 0.1, sigma, noise)
    for name, value in expected.items():
        assert getattr(bound, name) == pytest.approx(value, rel=1e-10), name
    summands = ("margin_loss", "noise_term", "fisher_rao_term", "norm_term", "confidence_term")
    assert bound.value == pytest.approx(sum(expected[name] for name in summands), rel=1e-10)
    assert 0 < bound.margin_loss < 1  # both branches of the loss are in the sample
    assert bound.theorem == ("3" if sigma else "2")
    assert (bound.n_samples, bound.n_steps, bound.n_classes, bound.n_features) == (40, 3, k, 2)
    assert bound.vacuous is (bound.value >= 1)


def test_theorem_2_by_hand():
    # L = d = m = 1, k = 2: u = 2, w = 1/2, v = (1, −1). Samples x = 1, −1, 3, 1 with labels 0, 1, 0, 1.
    # Outputs v · relu(2x): (2, −2), (0, 0), (6, −6), (2, −2); margins 4, 0, 12, −4.
    # α = 4: M ≤ 4 for three of four (the margin 4 itself counts): 3/4.
    # β_U = 2, β_V = 1, β_W = 1/2, Λ = 1. τc = 2 v u x = ±4x, so r² = 16 · E x² = 16 · 12/4 = 48.
    # λ_min = E x² = 3, ‖X‖_F = √12, ‖Xᵀ‖₁ = 6.
    # (4k/α) = 2: Fisher-Rao 2 · √48 · √12 / (8 √3) = 2 · 24/(8 √3) = 6/√3; norm 2 · 1 · 2 · 6 · 1 / 4 = 6.
    # δ = 2/e²: 3 √(2/8) = 1.5.
    X = np.array([1.0, -1.0, 3.0, 1.0]).reshape(4, 1, 1)
    bound = tu_bound([[2.0]], [[0.5]], [[1.0], [-1.0]], X, [0, 1, 0, 1], margin=4, delta=2 * math.exp(-2))
    assert bound.margin_loss == 0.75
    assert bound.fisher_rao == pytest.approx(math.sqrt(48), rel=1e-14)
    assert bound.lambda_min == pytest.approx(3, rel=1e-14)
    assert bound.fisher_rao_term == pytest.approx(6 / math.sqrt(3), rel=1e-14)
    assert bound.norm_term == pytest.approx(6, rel=1e-14)
    assert bound.confidence_term == pytest.approx(1.5, rel=1e-14)
    assert bound.value == pytest.approx(0.75 + 6 / math.sqrt(3) + 6 + 1.5, rel=1e-14)


def test_theorem_3_by_hand():
    # L = 2, d = m = 1, k = 2: u = 1, w = 2, v = (1, 0), α = 2, σ = 1.
    # Clean x = (1, 0), (0, 1); noise (0, 1), (0, −1/2); noisy (1, 1), (0, 1/2).
    # h_2 = relu(x_2 + 2 relu(x_1)): 3 and 1/2. Outputs (3, 0), (1/2, 0); labels 0, 0: margins 3 and 1/2.
    # Ramp: 0 and 1 − 1/4 = 3/4, mean 3/8.
    # noise: (2/2) (1 · 1 · 2 + 1 · 1 · 1) √(2 log 2) = 3 √(2 log 2).
    # τc = 3 · 2 x_1 + 2 x_2: noisy 8 and 1, r² = 65/2; clean 6 and 2, r² = 20.
    # E xxᵀ = diag(1/2, 1/2), so λ_min + σ² = 3/2. ‖X + X_ε‖_F² = 1 + 1 + 1/4 = 9/4; column sums 1 and 3/2.
    # Λ = 1 + 2 · 2 = 5. (4k/α) = 4: Fisher-Rao 4 √(65/2) · 1.5 / 4 / √1.5; norm 4 · 1.5 · 5 / 2 = 15.
    X = np.array([[1.0, 0.0], [0.0, 1.0]]).reshape(2, 2, 1)
    noise = np.array([[0.0, 1.0], [0.0, -0.5]]).reshape(2, 2, 1)
    weights = [[1.0]], [[2.0]], [[1.0], [0.0]]
    bound = tu_bound(*weights, X, [0, 0], margin=2.0, delta=2 * math.exp(-1), sigma=1.0, noise=noise)
    assert bound.margin_loss == pytest.approx(3 / 8, rel=1e-14)
    assert bound.noise_term == pytest.approx(3 * math.sqrt(2 * math.log(2)), rel=1e-14)
    assert bound.fisher_rao == pytest.approx(math.sqrt(65 / 2), rel=1e-14)
    assert bound.fisher_rao_clean == pytest.approx(math.sqrt(20), rel=1e-14)
    assert bound.lambda_min == pytest.approx(0.5, rel=1e-14)
    assert bound.fisher_rao_term == pytest.approx(math.sqrt(65 / 2) * 1.5 / math.sqrt(1.5), rel=1e-14)
    assert bound.norm_term == pytest.approx(15, rel=1e-14)
    assert bound.confidence_term == pytest.approx(1.5, rel=1e-14)


def test_lemma_8_on_random_draws():
    rng = np.random.default_rng(3)
    for _ in range(50):
        U, W, V, X, _ = _problem(int(rng.integers(1 << 30)), n=1, L=5)
        other = X[0] + rng.standard_normal(X[0].shape)
        L = len(other)
        lipschitz = [_row_sum(V) * _row_sum(U) * _row_sum(W) ** (L - i) for i in range(1, L + 1)]
        limit = sum(c * np.abs(a - b).max() for c, a, b in zip(lipschitz, X[0], other, strict=True))
        assert np.abs(_forward(U, W, V, X[0]) - _forward(U, W, V, other)).max() <= limit


def test_noise_can_rescue_a_singular_second_moment():
    U, W, V, X, y = _problem()
    X[:, 0, 0] = 0
    assert smallest_eigenvalue(X) == 0
    assert tu_bound(U, W, V, X, y).fisher_rao_term == math.inf
    noise = 0.1 * np.random.default_rng(0).standard_normal(X.shape)
    assert math.isfinite(tu_bound(U, W, V, X, y, sigma=0.1, noise=noise).value)


def test_zero_weights_with_a_singular_second_moment_are_still_vacuous():
    # The theorem assumes a positive definite second moment: 0 · inf is decided as inf.
    _, _, _, X, y = _problem()
    X[:, 0, 0] = 0
    bound = tu_bound(np.zeros((5, 2)), np.zeros((5, 5)), np.zeros((3, 5)), X, y)
    assert (bound.fisher_rao, bound.norm_term, bound.fisher_rao_term) == (0, 0, math.inf)


def test_given_lambda_min_is_used_and_said():
    U, W, V, X, y = _problem()
    bound = tu_bound(U, W, V, X, y, lambda_min=0.25)
    measured = tu_bound(U, W, V, X, y)
    ratio = math.sqrt(measured.lambda_min / 0.25)
    assert bound.fisher_rao_term == pytest.approx(measured.fisher_rao_term * ratio, rel=1e-12)
    assert any("caller supplied" in line for line in bound.assumptions)
    assert any("estimated on the training sample" in line for line in measured.assumptions)


@pytest.mark.parametrize("as_mapping", [True, False])
def test_enforced_norms_are_charged(as_mapping):
    U, W, V, X, y = _problem()
    limits = {"u": 50.0, "w": 1e-3, "v": None}
    bound = tu_bound(U, W, V, X, y, max_norms=limits if as_mapping else tuple(limits.values()))
    assert (bound.beta_u, bound.beta_v) == (50.0 * (1 + 1e-5), pytest.approx(_row_sum(V), rel=1e-12))
    assert bound.beta_w == pytest.approx(_row_sum(W), rel=1e-12)  # the weights break this limit: measured
    assert bound.capacity == capacity(bound.beta_w, 3)
    text = "\n".join(bound.assumptions)
    assert "enforced in advance: β_U = 50.0005." in text
    assert "β_W, β_V were measured on the trained weights" in text


@pytest.mark.parametrize("share", [1 - 1e-7, 1.0, 2.0])
def test_one_class_of_networks_is_charged_whether_float32_round_off_exceeds_the_limit_or_not(share):
    U, W, V, X, y = _problem()
    limit = _row_sum(W) * share
    bound = tu_bound(U, W, V, X, y, max_norms={"w": limit})
    assert bound.beta_w == pytest.approx(limit * (1 + 1e-5), rel=1e-15)
    assert "enforced in advance" in "\n".join(bound.assumptions)


def test_assumptions_name_independence_and_noise():
    U, W, V, X, y = _problem()
    assert "overlapping windows of one series are not" in tu_bound(U, W, V, X, y).assumptions[0]
    noisy = tu_bound(U, W, V, X, y, sigma=0.1, noise=0.1 * np.ones_like(X))
    assert any("Gaussian" in line for line in noisy.assumptions)


@pytest.mark.parametrize("beta_w", [0, 0.5, 1, 2, 1e3])
@pytest.mark.parametrize("L", [1, 10, 1000])
@pytest.mark.parametrize("sigma", [0.0, 0.5])
def test_no_nan_and_no_warning(beta_w, L, sigma):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((3, L, 2))
    W = beta_w * np.array([[0.5, -0.5], [1.0, 0.0]])
    U, V = rng.standard_normal((2, 2)), rng.standard_normal((2, 2))
    noise = sigma * rng.standard_normal(X.shape) if sigma else None
    for weights in ((U, W, V), (0 * U, W, V), (U, W, 0 * V)):
        bound = tu_bound(*weights, X, [0, 1, 1], sigma=sigma, noise=noise, lambda_min=0.0)
        numbers = {name: v for name, v in dataclasses.asdict(bound).items() if isinstance(v, int | float)}
        assert not any(math.isnan(v) for v in numbers.values())
        assert numbers.pop("gershgorin") == -math.inf, "the eigenvalue was given, no moment was formed"
        assert all(v >= 0 for v in numbers.values())
        assert bound.vacuous
        assert isinstance(bound.vacuous, bool)


def test_an_output_that_overflows_is_counted_as_an_error():
    X = np.ones((2, 1000, 1))
    bound = tu_bound([[1.0]], [[1e3]], [[1.0], [-1.0]], X, [0, 0])
    assert bound.margin_loss == 1.0
    assert bound.value == math.inf


def test_chunks_tensors_and_read_only_data(monkeypatch):
    U, W, V, X, y = _problem()
    noise = 0.2 * np.random.default_rng(1).standard_normal(X.shape)
    expected = tu_bound(U, W, V, X, y, sigma=0.2, noise=noise)
    monkeypatch.setattr("sklstm.generalization._theorem_inputs._CHUNK_NUMBERS", 50)
    X.flags.writeable = False
    bound = tu_bound(
        *(torch.tensor(a, requires_grad=True) for a in (U, W, V)), X, torch.tensor(y), sigma=0.2, noise=noise
    )
    assert bound.value == pytest.approx(expected.value, rel=1e-12)


def test_errors():
    U, W, V, X, y = _problem()
    noise = np.zeros_like(X)
    for margin in (0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="margin must be a positive number"):
            tu_bound(U, W, V, X, y, margin=margin)
    for delta in (0, 1, -0.1, math.nan):
        with pytest.raises(ValueError, match="delta must lie strictly between 0 and 1"):
            tu_bound(U, W, V, X, y, delta=delta)
    for sigma in (-1.0, math.nan):
        with pytest.raises(ValueError, match="sigma must be a non-negative number"):
            tu_bound(U, W, V, X, y, sigma=sigma)
    with pytest.raises(ValueError, match="pass noise"):
        tu_bound(U, W, V, X, y, sigma=0.1)
    with pytest.raises(ValueError, match="noise was given but sigma is 0"):
        tu_bound(U, W, V, X, y, noise=noise)
    with pytest.raises(ValueError, match="noise must have the shape of X"):
        tu_bound(U, W, V, X, y, sigma=0.1, noise=noise[:-1])
    with pytest.raises(ValueError, match="lambda_min must be a non-negative number"):
        tu_bound(U, W, V, X, y, lambda_min=-1.0)
    with pytest.raises(ValueError, match=r"labels must lie in 0 to 2, got 0 to 3"):
        tu_bound(U, W, V, X, np.where(np.arange(40) == 5, 3, 0))
    with pytest.raises(ValueError, match="integer class indices"):
        tu_bound(U, W, V, X, y.astype(float))
    with pytest.raises(ValueError, match=r"y must have shape \(40,\)"):
        tu_bound(U, W, V, X, y[:-1])
    with pytest.raises(ValueError, match="two classes or more"):
        tu_bound(U, W, V[:1], X, y)
    with pytest.raises(ValueError, match="keys 'u', 'w', 'v'"):
        tu_bound(U, W, V, X, y, max_norms={"q": 1.0})
    with pytest.raises(ValueError, match="max_norms needs three limits"):
        tu_bound(U, W, V, X, y, max_norms=(1.0, -1.0, None))


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
