from itertools import pairwise

import numpy as np
import pytest
import torch

from sklstm import TikhonovLSTMRegressor
from sklstm.certificates import lstm_interval_bounds, rnn_interval_bounds, rnn_lipschitz
from tests.support.problems import accumulating_lstm, late_mean, zero_lstm

L, D, K, N = 7, 3, 2, 4


class LSTMCase:
    """A float64 LSTM with readout, and its bounds; every third case has forget biases of 5."""

    def __init__(self, seed, scale, hidden_size=6):
        generator = torch.Generator().manual_seed(seed)
        self.lstm = zero_lstm(D, hidden_size)
        with torch.no_grad():
            for parameter in self.lstm.parameters():
                parameter.copy_(scale * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
            if seed % 3 == 0:
                self.lstm.bias_ih_l0[hidden_size : 2 * hidden_size] += 5
        self.W_y = torch.randn(K, hidden_size, generator=generator, dtype=torch.float64)
        self.b_y = torch.randn(K, generator=generator, dtype=torch.float64)

    def output(self, X):
        return self.lstm(X)[1][0][0] @ self.W_y.mT + self.b_y

    def bounds(self, lower, upper):
        lstm = self.lstm
        bias = lstm.bias_ih_l0 + lstm.bias_hh_l0
        return lstm_interval_bounds(lstm.weight_ih_l0, lstm.weight_hh_l0, bias, self.W_y, self.b_y, lower, upper)


class RNNCase:
    """A float64 ReLU network, and its bounds."""

    def __init__(self, seed, scale, hidden_size=6):
        generator = torch.Generator().manual_seed(seed)
        self.U, self.W, self.V = (
            scale * torch.randn(*shape, generator=generator, dtype=torch.float64)
            for shape in ((hidden_size, D), (hidden_size, hidden_size), (K, hidden_size))
        )

    def output(self, X, rho=torch.relu):
        h = X.new_zeros(len(X), len(self.W))
        for t in range(X.shape[1]):
            h = rho(X[:, t] @ self.U.mT + h @ self.W.mT)
        return h @ self.V.mT

    def bounds(self, lower, upper):
        return rnn_interval_bounds(self.U, self.W, self.V, lower, upper)


CASES = pytest.mark.parametrize("case_type", [LSTMCase, RNNCase])


def attacks(case, X, eps, generator, n_steps=12):
    """Inputs within the box that push each output up or down: signed gradient steps, and random corners."""
    for output in range(K):
        for sign in (1, -1):
            point = X.clone()
            for _ in range(n_steps):
                point.requires_grad_(True)
                (gradient,) = torch.autograd.grad(case.output(point)[:, output].sum(), point)
                point = (point.detach() + sign * eps / 4 * gradient.sign()).clamp(X - eps, X + eps)
            yield point
    for _ in range(10):
        corner = torch.randint(0, 2, X.shape, generator=generator, dtype=torch.float64) * 2 - 1
        yield (X + eps * corner).clamp(X - eps, X + eps)


@CASES
@pytest.mark.parametrize("scale", [0.2, 0.7, 2.0])
@pytest.mark.parametrize("eps", [1e-6, 1e-2, 0.3, 3.0])
def test_no_attack_leaves_the_bounds(case_type, scale, eps, generator):
    for seed in range(6):
        case = case_type(seed, scale)
        X = torch.randn(N, L, D, generator=generator, dtype=torch.float64)
        lower, upper = case.bounds(X - eps, X + eps)
        for point in (X, *attacks(case, X, eps, generator)):
            with torch.no_grad():
                y = case.output(point)
            assert (y >= lower).all()
            assert (y <= upper).all()


@CASES
def test_a_box_of_no_size_gives_the_output_and_bounds_grow_with_the_box(case_type, generator):
    case = case_type(1, 0.5)
    X = torch.randn(N, L, D, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        y = case.output(X)
    lower, upper = case.bounds(X, X)
    assert (lower <= y).all()
    assert (y <= upper).all()
    assert ((upper - lower) < 1e-11 * y.abs().clamp_min(1)).all()
    widths = [upper - lower]
    for eps in (1e-3, 1e-2, 1e-1, 1.0):
        lower, upper = case.bounds(X - eps, X + eps)
        widths.append(upper - lower)
    assert all((wide > narrow).all() for narrow, wide in pairwise(widths))


def test_relu_bounds_are_exact_when_nothing_can_cancel(generator):
    # Non-negative weights and inputs: the output grows in every entry, so its extremes are at the two ends of the box.
    case = RNNCase(0, 0.5)
    case.U, case.W, case.V = case.U.abs(), case.W.abs(), case.V.abs()
    X = 1 + torch.rand(N, L, D, generator=generator, dtype=torch.float64)
    lower, upper = case.bounds(X - 0.5, X + 0.5)
    torch.testing.assert_close(lower, case.output(X - 0.5), rtol=1e-12, atol=0)
    torch.testing.assert_close(upper, case.output(X + 0.5), rtol=1e-12, atol=0)


def test_lstm_bounds_of_one_step_by_hand():
    # H = d = 1, one step, only the candidate sees the input: h = σ(b) tanh(σ(b) tanh(w x)), increasing in x.
    lstm = zero_lstm()
    with torch.no_grad():
        lstm.weight_ih_l0[2] = 0.8
        lstm.bias_ih_l0[:] = 0.3
        lstm.bias_ih_l0[2] = 0.0
    x, eps, one = 0.5, 0.2, torch.ones(1, 1).double()
    gate = 1 / (1 + np.exp(-0.3))
    ends = [gate * np.tanh(gate * np.tanh(0.8 * value)) for value in (x - eps, x + eps)]
    box = [torch.full((1, 1, 1), value, dtype=torch.float64) for value in (x - eps, x + eps)]
    bounds = lstm_interval_bounds(lstm.weight_ih_l0, lstm.weight_hh_l0, lstm.bias_ih_l0, one, None, *box)
    np.testing.assert_allclose([end.item() for end in bounds], ends, rtol=1e-12)


def test_the_counterexample_to_55_is_covered():
    # docs/theory/turkin.md: the chain allows 1.5 w, the state moves by about L·w; the certificate must not be fooled.
    w, eps, n_steps = 1e-3, 1e-2, 100
    lstm = accumulating_lstm(w)
    with torch.no_grad():
        moved = lstm(torch.full((1, n_steps, 1), eps, dtype=torch.float64))[1][0].item()
    zeros, one = torch.zeros(1, n_steps, 1).double(), torch.ones(1, 1).double()
    _, upper = lstm_interval_bounds(
        lstm.weight_ih_l0, lstm.weight_hh_l0, lstm.bias_ih_l0, one, None, zeros - eps, zeros + eps
    )
    assert moved <= upper.item() < 1.01 * moved


def test_bounds_hold_for_a_fitted_float32_network(generator):
    X, y = late_mean(200)
    model = TikhonovLSTMRegressor(8, skip="none", max_epochs=10, random_state=0).fit(X, y)
    module = model.net_.module_
    box = torch.tensor(X[:20])
    lower, upper = lstm_interval_bounds(
        module.lstm.weight_ih_l0,
        module.lstm.weight_hh_l0,
        module.lstm.bias_ih_l0.detach().double() + module.lstm.bias_hh_l0.detach().double(),
        module.readout.weight,
        module.readout.bias,
        box - 0.1,
        box + 0.1,
    )
    for _ in range(20):
        noise = 0.2 * torch.rand(box.shape, generator=generator, dtype=torch.float64) - 0.1
        predictions = torch.tensor(model.predict((box + noise).numpy()))[:, None]
        # predict computes in float32: its own rounding, about 1e-7, is not the certificate's concern.
        assert (predictions > lower - 1e-5).all()
        assert (predictions < upper + 1e-5).all()


def test_lemma_8_on_random_draws(generator):
    for seed in range(20):
        case = RNNCase(seed, 0.5)
        factors = rnn_lipschitz(case.U, case.W, case.V, L)
        assert factors.shape == (L,)
        X, other = torch.randn(2, 50, L, D, generator=generator, dtype=torch.float64)
        for rho in (torch.relu, torch.tanh):
            moved = (case.output(X, rho) - case.output(other, rho)).abs().amax(dim=1)
            assert (moved <= ((X - other).abs().amax(dim=2) * factors).sum(dim=1)).all()


def test_lemma_8_by_hand_and_at_the_edges():
    U, W, V = torch.tensor([[1.0, -2.0]]), torch.tensor([[0.5]]), torch.tensor([[2.0], [-3.0]])
    expected = [3 * 3 * 0.5**2, 3 * 3 * 0.5, 9.0]
    np.testing.assert_allclose(rnn_lipschitz(U, W, V, 3), expected, rtol=1e-13)
    assert rnn_lipschitz(U, 1e3 * W, V, 1000)[0] == torch.inf
    assert not rnn_lipschitz(0 * U, 1e3 * W, V, 1000).any()
    with pytest.raises(ValueError, match="n_steps must be at least 1"):
        rnn_lipschitz(U, W, V, 0)


@CASES
@pytest.mark.parametrize(
    ("lower", "upper", "message"),
    [
        (torch.ones(1, L, D), torch.zeros(1, L, D), "lower must not exceed upper"),
        (torch.zeros(1, L, D), torch.full((1, L, D), torch.inf), "must be finite"),
        (torch.full((1, L, D), torch.nan), torch.zeros(1, L, D), "must be finite"),
        (torch.zeros(1, L, D), torch.zeros(2, L, D), "must share one shape"),
        (torch.zeros(L, D), torch.zeros(L, D), r"must share one shape \(n, L, d\)"),
    ],
    ids=["upside down", "infinite", "nan", "two shapes", "two axes"],
)
def test_what_is_no_box_is_refused(case_type, lower, upper, message):
    with pytest.raises(ValueError, match=message):
        case_type(1, 0.5).bounds(lower, upper)
