"""What docs/theory/errata.md says of Turkin 2017, shown on networks."""

from math import e, sqrt

import numpy as np
import pytest
import torch

from sklstm.tikhonov import feasible_scale, tikhonov_gains, tikhonov_penalty
from tests.support.problems import accumulating_lstm, lstm_weights_with_norms, random_lstm_weights, zero_lstm

BETA = 17 / 16


def run(lstm, x):
    """Last h and c of a sequence of numbers."""
    with torch.no_grad():
        h, c = lstm(torch.as_tensor(x, dtype=torch.float64)[None, :, None])[1]
    return h.item(), c.item()


def test_proposition_2_is_false_without_recurrence():
    # W_oh = 0 and only the output gate sees the input: its net input moves by w δ, and (33) allows w δ / e.
    w, x, moved = 0.7, 0.3, 0.01
    lstm = zero_lstm()
    with torch.no_grad():
        lstm.weight_ih_l0[3] = w
        lstm.bias_ih_l0[2] = 1.0  # a memory that is not zero
    net = []
    for value in (x, x + moved):
        h, c = run(lstm, [value])
        o = h / np.tanh(c)
        net.append(np.log(o / (1 - o)))
    assert net[1] - net[0] == pytest.approx(w * moved, rel=1e-9)
    assert net[1] - net[0] > 2.7 * (w * moved / e)


def test_the_memory_is_not_between_minus_one_and_one():
    lstm = zero_lstm()
    with torch.no_grad():
        lstm.bias_ih_l0[:] = 10.0
    _, memory = run(lstm, np.zeros(50))
    assert memory > 49


def test_proposition_3_drops_what_the_memory_carries_on():
    # γ_x = β w and γ_h = 0: (38) allows β w ε at every length, and after 100 steps the memory has moved by 99 w ε.
    w, eps, n_steps = 1e-3, 1e-2, 100
    lstm = accumulating_lstm(w)
    moved = run(lstm, np.full(n_steps, eps))[1] - run(lstm, np.zeros(n_steps))[1]
    assert moved > 0.99 * n_steps * w * eps > 90 * BETA * w * eps


def test_the_perturbation_of_earlier_inputs_counts():
    # (54) has σ_x at the time of h; a perturbation of the first input alone still moves the last state.
    generator = torch.Generator().manual_seed(0)
    weight_ih, weight_hh, _ = random_lstm_weights(1, 1, 1, generator, scale=1.0)
    lstm = zero_lstm()
    with torch.no_grad():
        lstm.weight_ih_l0[:] = weight_ih
        lstm.weight_hh_l0[:] = feasible_scale(weight_ih, weight_hh) * weight_hh
        assert tikhonov_gains(lstm.weight_ih_l0, lstm.weight_hh_l0).feasible
    assert abs(run(lstm, [1.0, 0.5, 0.5])[0] - run(lstm, [0.0, 0.5, 0.5])[0]) > 1e-3


def test_seventeen_sixteenths_is_a_crude_bound_on_the_square():
    xi1, xi2 = np.meshgrid(np.linspace(-20, 20, 401), np.linspace(-40, 40, 401))
    s, t = 1 / (1 + np.exp(-xi2)), np.tanh(xi1)
    by_1, by_2 = (1 - t**2) * s, t * s * (1 - s)
    assert by_1.max() ** 2 + by_2.max() ** 2 == pytest.approx(BETA, rel=1e-6)
    assert (by_1**2 + by_2**2).max() <= 1


def test_53_does_not_follow_from_17_with_its_own_constant():
    # Without W_oh, (17) and (38) give ρ_h² = 2 β² γ_h²; (53) prints 2 γ_h². With the true constant 1 it does follow.
    generator = torch.Generator().manual_seed(0)
    gains = tikhonov_gains(*lstm_weights_with_norms((0.1,) * 4, (0.2, 0.1, 0.3, 0.0), 3, generator))
    gamma_h = 0.1 / 4 + BETA * (0.2 + 0.3)
    assert gains.rho_h.item() == pytest.approx(sqrt(2) * gamma_h, rel=1e-12)
    assert gains.rho_h.item() < sqrt(2) * BETA * gamma_h


def test_57_as_printed_is_unbounded_below_and_ours_is_not():
    generator = torch.Generator().manual_seed(0)
    norms_x, norms_h = (0.3, 0.7, 0.2, 0.5), np.array([0.11, 0.23, 0.05, 0.0])
    weight_out = torch.ones(1, 5, dtype=torch.float64)
    start = tikhonov_gains(*lstm_weights_with_norms(norms_x, norms_h, 3, generator))
    printed, relaxed = [], []
    for distance in (1e-1, 1e-3, 1e-5):
        factor = sqrt(1 + distance) / start.rho_h.item()  # without W_oh, ρ_h is linear in the recurrent norms
        weights = lstm_weights_with_norms(norms_x, factor * norms_h, 3, generator)
        gains = tikhonov_gains(*weights)
        u = gains.rho_h.item() ** 2
        assert u == pytest.approx(1 + distance, rel=1e-9)
        printed.append(5 * gains.rho_x.item() ** 2 / (1 - u) + (u - 1))
        relaxed.append(tikhonov_penalty(*weights, weight_out, lambda_s=1.0, lambda_1=1.0, lambda_2=1.0).item())
    assert printed[0] > 50 * printed[0] > printed[1] > 50 * printed[1] > printed[2]
    assert 0 < relaxed[2] < relaxed[1] < relaxed[0]
