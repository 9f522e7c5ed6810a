"""The GRU's chain by hand, and the constants in it by measurement."""

import numpy as np
import pytest
import torch
from scipy.special import expit

from sklstm.tikhonov import (
    feasible_scale,
    gains_from_norms,
    perturbation_gain,
    preactivation_bound,
    tikhonov_gains,
    tikhonov_penalty,
)

H, D = 5, 3
LAMBDAS = {"lambda_s": 0.3, "lambda_1": 0.7, "lambda_2": 1.1}


def weights(generator, scale=0.1, n_channels=D):
    draws = [(3 * H, n_channels), (3 * H, H), (3 * H,)]
    return [scale * torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in draws]


def by_hand(weight_ih, weight_hh, bias_hh, variant):
    """ρ_x and ρ_h in plain numpy, gates stacked r, z, n."""
    weight_nh, bias_nh = weight_hh[2 * H :].numpy(), bias_hh[2 * H :].numpy()
    kappa = max(sum(abs(row)) + abs(bias) for row, bias in zip(weight_nh, bias_nh, strict=True))
    rho = []
    for weight in (weight_ih, weight_hh):
        r, z, n = (np.linalg.norm(gate, 2) for gate in np.split(weight.numpy(), 3))
        if variant == "turkin":
            gamma = z / 4 + 17 / 16 * (z + n + kappa * r / 4)
            rho.append(2**0.5 * gamma)
        else:
            rho.append(z / 2 + n + kappa * r / 4)
    return rho


@pytest.mark.parametrize("variant", ["turkin", "tight"])
def test_gains_by_hand(variant, generator):
    for scale in (0.01, 0.3, 2.0):
        layer = weights(generator, scale)
        gains = tikhonov_gains(*layer, cell="gru", variant=variant)
        np.testing.assert_allclose([gains.rho_x, gains.rho_h], by_hand(*layer, variant), rtol=1e-12)
        assert gains.gate == 0


@pytest.mark.parametrize("variant", ["turkin", "tight"])
def test_penalty_and_gain_of_a_stack_by_hand(variant, generator):
    layers = [weights(generator, 0.02), weights(generator, 0.03, n_channels=H)]
    weight_out = torch.randn(2, H, generator=generator, dtype=torch.float64)
    gain = np.linalg.norm(weight_out.numpy(), 2) ** 2
    for layer in layers:
        rho_x, rho_h = by_hand(*layer, variant)
        assert rho_h < 0.9
        gain *= rho_x**2 / (1 - rho_h**2) if variant == "turkin" else (rho_x / (1 - rho_h)) ** 2
    gains = [tikhonov_gains(*layer, cell="gru", variant=variant) for layer in layers]
    assert perturbation_gain(gains, weight_out, variant=variant).item() == pytest.approx(gain, rel=1e-12)
    inputs, recurrent, biases = zip(*layers, strict=True)
    penalty = tikhonov_penalty(inputs, recurrent, weight_out, bias_hh=biases, cell="gru", variant=variant, **LAMBDAS)
    assert penalty.item() == pytest.approx(0.3 * gain, rel=1e-12)

    # Constraints of the layers add up, and one broken layer breaks the gain.
    loud = (inputs[0], 40 * inputs[1]), (recurrent[0], 40 * recurrent[1])
    _, rho_h = by_hand(loud[0][1], loud[1][1], biases[1], variant)
    only_1 = {"lambda_s": 0.0, "lambda_1": 0.7, "lambda_2": 5.0}
    penalty = tikhonov_penalty(*loud, weight_out, bias_hh=biases, cell="gru", variant=variant, **only_1)
    assert penalty.item() == pytest.approx(0.7 * (rho_h**2 - 1), rel=1e-12)
    gains[1] = tikhonov_gains(loud[0][1], loud[1][1], biases[1], cell="gru", variant=variant)
    assert perturbation_gain(gains, weight_out, variant=variant) == np.inf


@pytest.mark.parametrize("variant", ["turkin", "tight"])
def test_feasible_scale_of_each_layer(variant, generator):
    layers = [weights(generator, 1.0), weights(generator, 0.4, n_channels=H), weights(generator, 1e-3, n_channels=H)]
    inputs, recurrent, biases = zip(*layers, strict=True)
    scales = feasible_scale(inputs, recurrent, bias_hh=biases, cell="gru", variant=variant, target=0.5)
    assert scales[0] < scales[1] < scales[2] == 1
    for scale, (weight_ih, weight_hh, bias_hh) in zip(scales[:2], layers[:2], strict=True):
        rho_h = tikhonov_gains(weight_ih, scale * weight_hh, bias_hh, cell="gru", variant=variant).rho_h.item()
        assert rho_h ** (2 if variant == "turkin" else 1) == pytest.approx(0.5, rel=1e-9)


def test_kappa_bounds_what_the_reset_gate_multiplies_and_is_attained(generator):
    weight, bias = torch.randn(H, H, generator=generator), torch.randn(H, generator=generator)
    kappa = preactivation_bound(weight, bias)
    states = 2 * torch.rand(1000, H, generator=generator) - 1
    assert (states @ weight.T + bias).abs().max() <= kappa
    row = (weight.abs().sum(1) + bias.abs()).argmax()
    worst = weight[row].sign() * bias[row].sign()
    torch.testing.assert_close((weight @ worst + bias).abs().max(), kappa)


def test_lipschitz_constants_of_the_step():
    """|∂h'/∂net_z| ≤ 1/2, |∂h'/∂net_n| ≤ 1, |∂net_n/∂net_r| ≤ κ/4; and ‖∇((1 − z) n)‖ ≤ 1, each nearly attained."""
    rng = np.random.default_rng(0)
    net_z, net_n, net_r = rng.normal(0, 4, (3, 1_000_000))
    h, q = rng.uniform(-1, 1, (2, 1_000_000))  # q = (W_nh h + b_nh) / κ
    z, n, r = expit(net_z), np.tanh(net_n), expit(net_r)
    by_z, by_n, by_r = (h - n) * z * (1 - z), (1 - z) * (1 - n**2), q * r * (1 - r)
    for slope, constant in [(by_z, 1 / 2), (by_n, 1), (by_r, 1 / 4)]:
        assert 0.97 * constant < np.abs(slope).max() <= constant
    product = np.hypot(n * z * (1 - z), by_n)  # ‖∇((1 − z) n)‖: 1, where the paper has 17/16
    assert 0.97 < product.max() <= 1


@pytest.mark.parametrize("variant", ["turkin", "tight"])
def test_one_step_moves_by_no_more_than_gamma_and_memory(variant, generator):
    """‖δ_h'‖ ≤ γ_x σ_x + γ_h σ_h + ‖z‖∞ σ_h; the chain drops the last term, the memory z⊙h."""
    for scale in (0.1, 0.5, 2.0):
        layer = weights(generator, scale)
        gains = tikhonov_gains(*layer, cell="gru", variant=variant)
        slack = 2**0.5 if variant == "turkin" else 1.0  # ρ = √2 γ
        with torch.random.fork_rng():
            cell = torch.nn.GRUCell(D, H, dtype=torch.float64)
        with torch.no_grad():
            cell.weight_ih.copy_(layer[0])
            cell.weight_hh.copy_(layer[1])
            cell.bias_hh.copy_(layer[2])
            x, dx = torch.randn(2, 500, D, generator=generator, dtype=torch.float64)
            h, other = 2 * torch.rand(2, 500, H, generator=generator, dtype=torch.float64) - 1
            moved = (cell(x + dx, other) - cell(x, h)).norm(dim=1)
            sigma_x, sigma_h = dx.norm(dim=1), (other - h).norm(dim=1)
        assert (moved <= (gains.rho_x * sigma_x + gains.rho_h * sigma_h) / slack + sigma_h).all()


def test_missing_kappa_is_refused():
    with pytest.raises(ValueError, match="needs kappa"):
        gains_from_norms(torch.ones(3), torch.ones(3), cell="gru")
    without_bias = tikhonov_gains(torch.ones(3, 1), torch.ones(3, 1), cell="gru", variant="tight")
    assert without_bias.rho_h == 1 / 2 + 1 + 1 / 4
