import itertools
from math import exp, sqrt

import numpy as np
import pytest
import torch

from sklstm.tikhonov import gate_norms, perturbation_gain, tikhonov_gains, tikhonov_penalty
from tests.support.gains_by_hand import BY_HAND, NORMS_H, NORMS_X
from tests.support.problems import accumulating_lstm, lstm_weights_with_norms, random_lstm_weights, zero_lstm


@pytest.mark.parametrize("variant", BY_HAND)
def test_gains_on_weights_of_known_norms(variant, generator):
    weights = lstm_weights_with_norms(NORMS_X, NORMS_H, 3, generator)
    np.testing.assert_allclose(
        tikhonov_gains(*weights, variant=variant), BY_HAND[variant](NORMS_X, NORMS_H), rtol=1e-12
    )


@pytest.mark.parametrize("variant", BY_HAND)
def test_gains_on_random_weights_against_numpy(variant, generator):
    for hidden_size, n_channels in [(1, 1), (3, 5), (6, 2), (16, 7)]:
        weight_ih, weight_hh, _ = random_lstm_weights(hidden_size, n_channels, 1, generator)
        norms = [[np.linalg.norm(gate, 2) for gate in np.split(weight.numpy(), 4)] for weight in (weight_ih, weight_hh)]
        np.testing.assert_allclose(
            tikhonov_gains(weight_ih, weight_hh, variant=variant), BY_HAND[variant](*norms), rtol=1e-10
        )


def test_torch_stacks_the_gates_as_we_read_them():
    # Only the forget gate of torch's LSTM multiplies the old cell: fill one gate at a time and look at what moves.
    lstm = zero_lstm()
    with torch.no_grad():
        state = (torch.zeros(1, 1, 1).double(), torch.full((1, 1, 1), 2.0).double())
        x = torch.ones(1, 1, 1).double()
        lstm.weight_ih_l0[1] = 3.0
        cell = lstm(x, state)[1][1].item()
    assert cell == pytest.approx(2.0 / (1 + exp(-3.0)), rel=1e-12)
    assert gate_norms(lstm.weight_ih_l0.detach()).tolist() == [0, 3, 0, 0]


@pytest.mark.parametrize("variant", BY_HAND)
def test_gains_are_batched(variant, generator):
    weights = [random_lstm_weights(4, 3, 1, generator)[:2] for _ in range(6)]
    batched = tikhonov_gains(
        torch.stack([w[0] for w in weights]).unflatten(0, (2, 3)),
        torch.stack([w[1] for w in weights]).unflatten(0, (2, 3)),
        variant=variant,
    )
    for index, (weight_ih, weight_hh) in enumerate(weights):
        single = tikhonov_gains(weight_ih, weight_hh, variant=variant)
        for several, one in zip(batched, single, strict=True):
            torch.testing.assert_close(several.flatten()[index], one, rtol=1e-13, atol=0)


@pytest.mark.parametrize("variant", BY_HAND)
def test_gains_gradcheck_and_finite_gradient_at_zero(variant, generator):
    weight_ih, weight_hh, _ = random_lstm_weights(3, 2, 1, generator, scale=0.5)
    gains = lambda *weights: tuple(tikhonov_gains(*weights, variant=variant))  # noqa: E731
    assert torch.autograd.gradcheck(gains, (weight_ih.requires_grad_(), weight_hh.requires_grad_()))
    zeros = [torch.zeros(8, 2, requires_grad=True), torch.zeros(8, 2, requires_grad=True)]
    sum(gains(*zeros)).backward()
    assert all(torch.isfinite(zero.grad).all() for zero in zeros)


def test_tight_is_tighter(generator):
    for _ in range(50):
        weights = random_lstm_weights(4, 3, 1, generator, scale=0.4)[:2]
        turkin, tight = (tikhonov_gains(*weights, variant=variant) for variant in ("turkin", "tight"))
        assert all(slack > sharp for slack, sharp in zip(turkin, tight, strict=True))


def test_true_lipschitz_constant_is_one_not_seventeen_sixteenths():
    # sup ‖∇(tanh ξ₁ σ(ξ₂))‖ on a grid that reaches far into saturation: approaches 1 and never passes it.
    xi1, xi2 = np.meshgrid(np.linspace(-20, 20, 801), np.linspace(-40, 40, 801))
    sigmoid, tanh = 1 / (1 + np.exp(-xi2)), np.tanh(xi1)
    norm = np.hypot((1 - tanh**2) * sigmoid, tanh * sigmoid * (1 - sigmoid))
    assert 1 - 1e-9 < norm.max() <= 1


def test_the_papers_bound_is_a_surrogate():
    """ρ_h = 0 and (54) allows a gain of about 1.5 w; a constant perturbation moves the state by about L·w."""
    w, epsilon, n_steps = 1e-3, 1e-2, 100
    lstm = accumulating_lstm(w)
    with torch.no_grad():
        moved = lstm(torch.full((1, n_steps, 1), epsilon, dtype=torch.float64))[1][0].item() / epsilon
        gains = tikhonov_gains(lstm.weight_ih_l0, lstm.weight_hh_l0)
    assert gains.rho_h == 0
    assert gains.rho_x.item() == pytest.approx(sqrt(2) * 17 / 16 * w)
    assert moved > 0.95 * n_steps * w  # sixty times what (54) allows
    assert moved > 60 * gains.rho_x


def test_unknown_variant_and_wrong_rows_are_refused():
    weight = torch.zeros(8, 2)
    with pytest.raises(ValueError, match=r"variant must be one of \['tight', 'turkin'\], got 'turkish'"):
        tikhonov_gains(weight, weight, variant="turkish")
    with pytest.raises(ValueError, match=r"stacked as \(\.\.\., 4 \* hidden_size, m\), got shape \(7, 2\)"):
        tikhonov_gains(torch.zeros(7, 2), weight)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("variant", ["turkin", "tight"])
@pytest.mark.parametrize("scale", [0.0, 5e-324, 1e-300, 1e-200, 1e-150, 1e150, 1e300])
def test_gains_of_matrices_of_any_size_are_numbers(cell, variant, scale, generator):
    rows = {"lstm": 16, "gru": 12}[cell]
    weight_ih, weight_hh, weight_out = (
        torch.randn(shape, generator=generator, dtype=torch.float64) for shape in ((rows, 3), (rows, 4), (2, 4))
    )
    ordinary = tikhonov_gains(weight_ih, 0.01 * weight_hh, variant=variant, cell=cell)
    for small in itertools.product((True, False), repeat=3):
        weights = [
            w * scale if is_small else w
            for w, is_small in zip((weight_ih, 0.01 * weight_hh, weight_out), small, strict=True)
        ]
        gains = tikhonov_gains(*weights[:2], variant=variant, cell=cell)
        gain = perturbation_gain([gains], weights[2], variant=variant)
        penalty = tikhonov_penalty(*weights, lambda_s=1.0, lambda_1=1.0, lambda_2=1.0, variant=variant, cell=cell)
        assert not any(value.isnan() for value in (*gains, gain, penalty)), small
        assert bool(gains.feasible) or gain == torch.inf
        if scale < 1 and not small[1]:
            # ρ_x is homogeneous in the input weights.
            factor = scale if small[0] else 1.0
            torch.testing.assert_close(gains.rho_x, factor * ordinary.rho_x, rtol=1e-12, atol=1e-323)
            # λ_S = 1, feasible: the penalty is the gain.
            torch.testing.assert_close(penalty, gain, rtol=1e-10, atol=1e-290)


@pytest.mark.parametrize("variant", ["turkin", "tight"])
def test_the_gain_is_a_product_however_small_and_large_its_factors(variant, generator):
    weight_ih, weight_hh, weight_out = (
        torch.randn(shape, generator=generator, dtype=torch.float64) for shape in ((16, 3), (16, 4), (2, 4))
    )
    weight_hh *= 0.01
    expected = perturbation_gain([tikhonov_gains(weight_ih, weight_hh, variant=variant)], weight_out, variant=variant)
    scaled = tikhonov_gains(1e200 * weight_ih, weight_hh, variant=variant)
    found = perturbation_gain([scaled], 1e-200 * weight_out, variant=variant)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)
    # What a zero readout makes of infinite gains is nothing.
    assert perturbation_gain([scaled._replace(rho_x=torch.tensor(torch.inf).double())], 0 * weight_out) == 0
