"""The global gain of the LSTM: above what pairs of inputs show, and by hand where that can be done."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from sklstm.certificates import lstm_gain
from sklstm.tikhonov import tikhonov_gains
from tests.support.problems import accumulating_lstm, random_lstm_weights, zero_lstm

L, D, H = 12, 3, 5


def lstm_of(weight_ih, weight_hh, bias):
    lstm = zero_lstm(D, H)
    with torch.no_grad():
        lstm.weight_ih_l0[:], lstm.weight_hh_l0[:], lstm.bias_ih_l0[:] = weight_ih, weight_hh, bias
    return lstm


@pytest.mark.parametrize("scale", [0.05, 0.3, 1.0])
@pytest.mark.parametrize("forget", [0.0, 3.0])
def test_no_pair_of_inputs_moves_the_states_further(scale, forget, generator):
    for _ in range(5):
        weight_ih, weight_hh, _ = random_lstm_weights(H, D, 1, generator, scale)
        bias = torch.randn(4 * H, generator=generator, dtype=torch.float64)
        bias[H : 2 * H] += forget
        lstm = lstm_of(weight_ih, weight_hh, bias)
        gain = lstm_gain(weight_ih, weight_hh, bias, L, input_bound=2.0)
        X = 4 * torch.rand(200, L, D, generator=generator, dtype=torch.float64) - 2
        for size in (1e-4, 0.1, 4.0):
            other = (X + size * torch.randn(X.shape, generator=generator).double()).clamp(-2, 2)
            with torch.no_grad():
                moved = (lstm(X)[0] - lstm(other)[0]).norm(dim=2)
            largest = (X - other).norm(dim=2).amax(1)
            assert (moved <= gain * largest[:, None]).all()


def test_one_step_by_hand():
    # One unit, one channel, one step from zero state: s = σ(i) tanh(g), so f and the recurrent weights do not matter.
    weight_ih = torch.tensor([[0.3], [5.0], [0.7], [0.2]], dtype=torch.float64)
    bias = torch.tensor([0.1, 9.0, -0.4, 0.5], dtype=torch.float64)
    gain = lstm_gain(weight_ih, torch.zeros(4, 1).double(), bias, 1, input_bound=1.0)
    i, o = (1 / (1 + np.exp(-(b + w))) for b, w in ((0.1, 0.3), (0.5, 0.2)))
    g = np.tanh(0.4 + 0.7)
    by_s = i * 0.7 + g / 4 * 0.3
    # The net input of o is at least 0.3, where the slope is below 1/4; those of i and g can be 0.
    slope = 1 / (1 + np.exp(-0.3)) / (1 + np.exp(0.3))
    np.testing.assert_allclose(gain, [o * by_s + np.tanh(i * g) * slope * 0.2], rtol=1e-11)


def test_it_covers_what_the_chain_misses():
    # docs/theory/turkin.md: the chain allows 1.5 w whatever the length; the state moves by about L·w.
    w, n_steps = 1e-3, 100
    lstm = accumulating_lstm(w)
    chain = tikhonov_gains(lstm.weight_ih_l0, lstm.weight_hh_l0).rho_x.item()
    gain = lstm_gain(lstm.weight_ih_l0, lstm.weight_hh_l0, lstm.bias_ih_l0, n_steps, input_bound=0.01)
    with torch.no_grad():
        moved = lstm(torch.full((1, n_steps, 1), 0.01, dtype=torch.float64))[1][0].item() / 0.01
    assert moved > 60 * chain
    assert moved <= gain[-1].item() < 1.02 * moved


def test_bounds_grow_with_the_inputs_and_are_finite_without_a_bound(generator):
    weight_ih, weight_hh, _ = random_lstm_weights(H, D, 1, generator, 0.3)
    bias = torch.zeros(4 * H, dtype=torch.float64)
    gains = [lstm_gain(weight_ih, weight_hh, bias, L, input_bound=b)[-1] for b in (0.1, 1.0, 10.0, float("inf"))]
    assert all(small <= large for small, large in pairwise(gains))
    assert torch.isfinite(gains[-1])
    assert lstm_gain(0 * weight_ih, weight_hh, bias, L)[-1] == 0, "an LSTM that sees no input"


def test_bad_arguments_are_refused(generator):
    weight_ih, weight_hh, _ = random_lstm_weights(H, D, 1, generator)
    bias = torch.zeros(4 * H, dtype=torch.float64)
    with pytest.raises(ValueError, match="n_steps must be at least 1"):
        lstm_gain(weight_ih, weight_hh, bias, 0)
    for bound in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="input_bound must be positive"):
            lstm_gain(weight_ih, weight_hh, bias, 1, input_bound=bound)
    with pytest.raises(ValueError, match="four stacked square gates"):
        lstm_gain(weight_ih, weight_hh[: 3 * H], bias, 1)
