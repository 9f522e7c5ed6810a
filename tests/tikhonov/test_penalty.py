import numpy as np
import pytest
import torch

from sklstm.tikhonov import feasible_scale, perturbation_gain, relaxed_barrier, tikhonov_gains, tikhonov_penalty
from sklstm.tikhonov._penalty import relaxed, relaxed_slope
from tests.support.gains_by_hand import BY_HAND, NORMS_X
from tests.support.problems import lstm_weights_with_norms, random_lstm_weights

LAMBDAS = {"lambda_s": 0.3, "lambda_1": 0.7, "lambda_2": 1.1}


def test_penalty_57_by_hand_inside_the_feasible_set(generator):
    weights = lstm_weights_with_norms(NORMS_X, (0.05, 0.2, 0.04, 0.3), 3, generator)
    weight_out = torch.tensor([[3.0, 0, 0, 0, 4.0]], dtype=torch.float64)  # norm 5
    rho_x, rho_h, gate = BY_HAND["turkin"](NORMS_X, (0.05, 0.2, 0.04, 0.3))
    assert rho_h < 1
    assert gate < 1
    expected = 0.3 * 25 * rho_x**2 / (1 - rho_h**2)
    assert tikhonov_penalty(*weights, weight_out, **LAMBDAS).item() == pytest.approx(expected, rel=1e-12)

    rho_x, rho_h, _ = BY_HAND["tight"](NORMS_X, (0.05, 0.2, 0.04, 0.3))
    expected = 0.3 * 25 * (rho_x / (1 - rho_h)) ** 2
    tight = tikhonov_penalty(*weights, weight_out, **LAMBDAS, variant="tight")
    assert tight.item() == pytest.approx(expected, rel=1e-12)


def test_penalty_57_by_hand_outside_the_feasible_set(generator):
    norms_h = (1.0, 0.8, 0.9, 1.7)
    weights = lstm_weights_with_norms(NORMS_X, norms_h, 3, generator)
    weight_out = torch.eye(1, 5, dtype=torch.float64)
    rho_x, rho_h, gate = BY_HAND["turkin"](NORMS_X, norms_h)
    assert rho_h > 1
    assert gate > 1
    tangent = 1 / 0.05 + (rho_h**2 - 0.95) / 0.05**2
    expected = 0.3 * rho_x**2 * tangent + 0.7 * (rho_h**2 - 1) + 1.1 * (gate - 1)
    assert tikhonov_penalty(*weights, weight_out, **LAMBDAS).item() == pytest.approx(expected, rel=1e-12)
    # The expression as printed is negative there: minimising it would run towards its pole.
    assert rho_x**2 / (1 - rho_h**2) < 0


@pytest.mark.parametrize("variant", ["turkin", "tight"])
@pytest.mark.parametrize("scale", [0.05, 0.5, 1.5])
def test_penalty_gradcheck_on_both_sides_of_the_barrier(variant, scale, generator):
    weights = [w.requires_grad_() for w in random_lstm_weights(3, 2, 2, generator, scale=scale)]
    assert torch.autograd.gradcheck(lambda *w: tikhonov_penalty(*w, **LAMBDAS, variant=variant), weights)


@pytest.mark.parametrize("variant", ["turkin", "tight"])
def test_penalty_gradient_is_finite_at_zero_weights(variant):
    weights = [torch.zeros(8, 2, requires_grad=True), torch.zeros(8, 2, requires_grad=True)]
    weight_out = torch.zeros(1, 2, requires_grad=True)
    tikhonov_penalty(*weights, weight_out, **LAMBDAS, variant=variant).backward()
    assert all(torch.isfinite(weight.grad).all() for weight in (*weights, weight_out))


def test_penalty_is_zero_without_weights_and_linear_in_each(generator):
    weights = random_lstm_weights(4, 3, 1, generator, scale=0.8)
    one = {"lambda_s": 0.0, "lambda_1": 0.0, "lambda_2": 0.0}
    assert tikhonov_penalty(*weights, **one) == 0
    parts = [tikhonov_penalty(*weights, **(one | {name: value})) for name, value in LAMBDAS.items()]
    torch.testing.assert_close(sum(parts), tikhonov_penalty(*weights, **LAMBDAS), rtol=1e-13, atol=0)


def test_relaxed_barrier_is_the_papers_inside_and_convex_increasing_everywhere():
    u = torch.linspace(-1, 3, 4001, dtype=torch.float64)
    barrier = relaxed_barrier(u, 0.05)
    inside = u <= 0.95
    torch.testing.assert_close(barrier[inside], 1 / (1 - u[inside]), rtol=1e-14, atol=0)
    steps = barrier.diff()
    assert (steps > 0).all()
    assert (steps.diff() > -1e-10).all()
    # C¹ at the seam: value and slope from both sides.
    seam = torch.tensor([0.95 - 1e-9, 0.95 + 1e-9], dtype=torch.float64, requires_grad=True)
    left, right = torch.autograd.grad(relaxed_barrier(seam, 0.05).sum(), seam)[0]
    assert left.item() == pytest.approx(400, rel=1e-6)
    assert right.item() == pytest.approx(400, rel=1e-6)


def test_default_initialisation_is_infeasible_and_one_factor_repairs_it():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for hidden_size in (4, 8, 16, 32, 64, 128):
            lstm = torch.nn.LSTM(7, hidden_size, dtype=torch.float64)
            weight_ih, weight_hh = lstm.weight_ih_l0.detach(), lstm.weight_hh_l0.detach()
            before = tikhonov_gains(weight_ih, weight_hh).rho_h ** 2
            assert before > 20  # measured 26 to 85
            for variant, power in (("turkin", 2), ("tight", 1)):
                scale = feasible_scale(weight_ih, weight_hh, variant=variant, target=0.4)
                gains = tikhonov_gains(weight_ih, scale * weight_hh, variant=variant)
                assert gains.feasible
                assert gains.rho_h.item() ** power <= 0.4 + 1e-12
                assert max(gains.rho_h.item() ** power, gains.gate.item()) == pytest.approx(0.4, rel=1e-9)


def test_feasible_scale_leaves_feasible_weights_alone(generator):
    weights = random_lstm_weights(4, 3, 1, generator, scale=1e-3)[:2]
    assert feasible_scale(*weights) == 1.0


def test_perturbation_gain_is_the_penalty_over_lambda_inside_and_inf_outside(generator):
    weights = lstm_weights_with_norms(NORMS_X, (0.05, 0.2, 0.04, 0.3), 3, generator)
    weight_out = torch.randn(2, 5, generator=generator, dtype=torch.float64)
    for variant in ("turkin", "tight"):
        gain = perturbation_gain(tikhonov_gains(*weights, variant=variant), weight_out, variant=variant)
        penalty = tikhonov_penalty(*weights, weight_out, lambda_s=2.0, lambda_1=1.0, lambda_2=1.0, variant=variant)
        assert gain.item() == pytest.approx(penalty.item() / 2, rel=1e-12)
    rho_h_too_large = lstm_weights_with_norms(NORMS_X, (2.0, 2.0, 2.0, 0.1), 3, generator)
    gate_too_large = lstm_weights_with_norms(NORMS_X, (0.001, 0.001, 0.001, 1.2), 3, generator)
    for infeasible in (rho_h_too_large, gate_too_large):
        for variant in ("turkin", "tight"):
            gain = perturbation_gain(tikhonov_gains(*infeasible, variant=variant), weight_out, variant=variant)
            assert gain == np.inf


@pytest.mark.parametrize("name", LAMBDAS)
@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_bad_weights_are_refused(name, value, generator):
    with pytest.raises(ValueError, match=f"{name} must be finite and non-negative"):
        tikhonov_penalty(*random_lstm_weights(2, 2, 1, generator), **(LAMBDAS | {name: value}))


@pytest.mark.parametrize("epsilon", [0.0, -0.1, 1.5, float("nan")])
def test_bad_barrier_epsilon_is_refused(epsilon):
    with pytest.raises(ValueError, match="epsilon must be in"):
        relaxed_barrier(torch.zeros(1), epsilon)


@pytest.mark.parametrize("target", [0.0, 1.0, float("nan")])
def test_bad_target_is_refused(target, generator):
    with pytest.raises(ValueError, match="target must be in"):
        feasible_scale(*random_lstm_weights(2, 2, 1, generator)[:2], target=target)


@pytest.mark.parametrize("u", [-3.0, 0.0, 0.9, 0.949, 0.951, 1.0, 7.0])
def test_the_slope_of_the_barrier_is_its_derivative(u):
    x = torch.tensor(u, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(relaxed(x, 0.05), x)
    assert relaxed_slope(u, 0.05) == pytest.approx(slope.item(), rel=1e-13)
