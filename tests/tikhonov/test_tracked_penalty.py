import copy
import pickle
import re

import numpy as np
import pytest
import torch

from sklstm import TikhonovGRURegressor, TikhonovLSTMRegressor
from sklstm.tikhonov import TikhonovPenalty, feasible_scale, gate_norms, tikhonov_penalty
from sklstm.tikhonov._cells import CELLS as CELL_ROWS
from tests.support.problems import random_lstm_weights

LAMBDAS = {"lambda_s": 0.3, "lambda_1": 0.7, "lambda_2": 1.1}
CELLS = pytest.mark.parametrize(("cell", "n_gates"), [("lstm", 4), ("gru", 3)])
VARIANTS = pytest.mark.parametrize("variant", ["turkin", "tight"])


def network(n_gates, n_layers, scale, generator, hidden_size=5, n_channels=3, dtype=torch.float64):
    """Input and recurrent weights, biases and readout of a random stack, all of them leaves."""

    def draw(*shape):
        return (scale * torch.randn(*shape, generator=generator, dtype=torch.float64)).to(dtype).requires_grad_()

    sides = [n_channels] + [hidden_size] * (n_layers - 1)
    inputs = [draw(n_gates * hidden_size, side) for side in sides]
    recurrent = [draw(n_gates * hidden_size, hidden_size) for _ in sides]
    return inputs, recurrent, [draw(n_gates * hidden_size) for _ in sides], draw(2, hidden_size)


@CELLS
@VARIANTS
@pytest.mark.parametrize("n_layers", [1, 2])
@pytest.mark.parametrize("scale", [0.02, 0.3, 1.0])  # feasible, near the seam, far outside
def test_exact_calls_equal_the_penalty_in_value_and_gradient(cell, n_gates, variant, n_layers, scale, generator):
    inputs, recurrent, biases, readout = network(n_gates, n_layers, scale, generator)
    leaves = [*inputs, *recurrent, readout] + (biases if cell == "gru" else [])
    exact = tikhonov_penalty(inputs, recurrent, readout, bias_hh=biases, cell=cell, variant=variant, **LAMBDAS)
    penalty = TikhonovPenalty(cell=cell, variant=variant, cadence=1, **LAMBDAS)
    for _ in range(2):
        value = penalty(inputs, recurrent, readout, bias_hh=biases)
        torch.testing.assert_close(value, exact, rtol=1e-10, atol=0)
        # Written-out derivatives against autograd.
        for ours, theirs in zip(
            torch.autograd.grad(value, leaves), torch.autograd.grad(exact, leaves, retain_graph=True), strict=True
        ):
            torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10 * theirs.abs().max().item())


@CELLS
@VARIANTS
def test_gradcheck(cell, n_gates, variant, generator):
    inputs, recurrent, biases, readout = network(n_gates, 2, 0.3, generator, hidden_size=3)
    penalty = TikhonovPenalty(cell=cell, variant=variant, cadence=1, **LAMBDAS)

    def of(*weights):
        return penalty(weights[:2], weights[2:4], weights[6], bias_hh=weights[4:6])

    assert torch.autograd.gradcheck(of, (*inputs, *recurrent, *biases, readout))


def test_new_tensors_of_the_same_shapes_keep_the_vectors(generator):
    weights = [w.float() for w in random_lstm_weights(12, 3, 1, generator)]
    penalty = TikhonovPenalty(**LAMBDAS)
    penalty(*weights)
    left = penalty._norms.calls_left
    for _ in range(3):
        weights = [1.01 * weight for weight in weights]
        expected = tikhonov_penalty(*(weight.double() for weight in weights), **LAMBDAS)
        torch.testing.assert_close(penalty(*weights).double(), expected, rtol=1e-3, atol=0)
    assert penalty._norms.calls_left == left - 3
    assert penalty.largest_error < 0.01


@CELLS
def test_accumulate_is_call_and_backward(cell, n_gates, generator):
    inputs, recurrent, biases, readout = network(n_gates, 2, 0.3, generator)
    leaves = [*inputs, *recurrent, readout] + (biases if cell == "gru" else [])
    penalties = [TikhonovPenalty(cell=cell, **LAMBDAS) for _ in range(2)]
    for _ in range(3):
        for leaf in leaves:
            leaf.grad = None if leaf is readout else torch.ones_like(leaf)
        penalties[0].watch(inputs, recurrent, readout, bias_hh=biases)
        value = penalties[0].accumulate()
        ours = [leaf.grad.clone() for leaf in leaves]
        for leaf in leaves:
            leaf.grad = None if leaf is readout else torch.ones_like(leaf)
        loss = penalties[1](inputs, recurrent, readout, bias_hh=biases)
        loss.backward()
        assert value == pytest.approx(loss.item(), rel=1e-14)
        for mine, leaf in zip(ours, leaves, strict=True):
            torch.testing.assert_close(mine, leaf.grad, rtol=1e-13, atol=1e-13)
            with torch.no_grad():
                leaf *= 0.99


def test_nothing_to_accumulate():
    with pytest.raises(RuntimeError, match="call watch"):
        TikhonovPenalty(**LAMBDAS).accumulate()


@CELLS
def test_zero_matrices_and_ties_are_finite(cell, n_gates):
    zero, tie = torch.zeros(n_gates * 2, 2), torch.eye(2).repeat(n_gates, 1)
    for weight in (zero, tie):
        leaves = [weight.clone().requires_grad_() for _ in range(2)] + [weight[:1].clone().requires_grad_()]
        bias = torch.zeros(n_gates * 2, requires_grad=True)
        penalty = TikhonovPenalty(cell=cell, **LAMBDAS)
        for _ in range(3):
            value = penalty(*leaves, bias_hh=bias)
            assert torch.isfinite(value)
            gradients = torch.autograd.grad(value, leaves)
            assert all(torch.isfinite(gradient).all() for gradient in gradients)


def test_a_norm_that_jumps_is_not_lost():
    # Powers of the Gram matrix over the last σ² overflow or underflow here; the exact norms take their place.
    weights = [0.1 * torch.ones(8, 2), 0.1 * torch.ones(8, 2), torch.ones(1, 2)]
    penalty = TikhonovPenalty(**LAMBDAS)
    penalty(*weights)
    for factor in (100.0, 1e-4, 1e6):
        weights = [factor * weight for weight in weights]
        expected = tikhonov_penalty(*(weight.double() for weight in weights), **LAMBDAS)
        if torch.isfinite(expected.float()):
            torch.testing.assert_close(penalty(*weights).double(), expected, rtol=1e-4, atol=0)


def test_broken_weights_break_the_value_and_nothing_else(generator):
    good = [w.float() for w in random_lstm_weights(4, 3, 1, generator)]
    bad = [torch.full_like(good[0], torch.nan), *good[1:]]
    penalty = TikhonovPenalty(**LAMBDAS)
    expected = penalty(*good)
    assert penalty(*bad).isnan()
    torch.testing.assert_close(penalty(*good), expected)
    assert not torch.isfinite(penalty(*(1e15 * weight for weight in good))), "overflow is no exception"


def test_other_shapes_begin_anew(generator):
    penalty = TikhonovPenalty(**LAMBDAS)
    for hidden_size in (4, 6, 4):
        weights = random_lstm_weights(hidden_size, 3, 1, generator)
        torch.testing.assert_close(penalty(*weights), tikhonov_penalty(*weights, **LAMBDAS), rtol=1e-12, atol=0)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda penalty: pickle.loads(pickle.dumps(penalty))])
def test_copies_carry_no_vectors_and_work(duplicate, generator):
    weights = random_lstm_weights(64, 3, 1, generator, scale=0.01)
    penalty = TikhonovPenalty(**LAMBDAS)
    values = [penalty(*weights) for _ in range(20)]
    assert len(pickle.dumps(penalty)) < 2000
    twin = duplicate(penalty)
    assert twin.largest_error == penalty.largest_error
    torch.testing.assert_close(twin(*weights), values[0], rtol=1e-12, atol=0)
    torch.testing.assert_close(penalty(*weights), values[0], rtol=1e-2, atol=0)


@CELLS
@VARIANTS
def test_a_stack_of_one_is_the_layer(cell, n_gates, variant, generator):
    inputs, recurrent, biases, readout = network(n_gates, 1, 0.3, generator)
    options = {"cell": cell, "variant": variant}
    single = tikhonov_penalty(inputs[0], recurrent[0], readout, bias_hh=biases[0], **options, **LAMBDAS)
    assert tikhonov_penalty(inputs, recurrent, readout, bias_hh=biases, **options, **LAMBDAS) == single
    scale = feasible_scale(inputs[0], recurrent[0], bias_hh=biases[0], **options)
    assert feasible_scale(inputs, recurrent, bias_hh=biases, **options) == [scale]


def test_plain_loop_with_the_penalty_ends_feasible(generator):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        gru, readout = torch.nn.GRU(3, 8, num_layers=2, batch_first=True), torch.nn.Linear(8, 1)
    parameters = [*gru.parameters(), *readout.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=1e-2)
    inputs, recurrent = [gru.weight_ih_l0, gru.weight_ih_l1], [gru.weight_hh_l0, gru.weight_hh_l1]
    biases = [gru.bias_hh_l0, gru.bias_hh_l1]
    penalty = TikhonovPenalty(lambda_s=0.01, lambda_1=1.0, lambda_2=0.0, cell="gru")
    with torch.no_grad():
        for weight, scale in zip(recurrent, feasible_scale(inputs, recurrent, cell="gru", bias_hh=biases), strict=True):
            assert scale < 1
            weight.mul_(scale)
    X = torch.randn(64, 6, 3, generator=generator)
    for _ in range(300):
        optimizer.zero_grad()
        loss = (readout(gru(X)[0][:, -1]) - X[:, -1, :1]).square().mean()
        (loss + penalty(inputs, recurrent, readout.weight, bias_hh=biases)).backward()
        optimizer.step()
    assert feasible_scale(inputs, recurrent, cell="gru", bias_hh=biases, target=1 - 1e-6) == [1, 1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cadence": 0}, "cadence must be an integer of at least 1"),
        ({"cadence": 1.5}, "cadence must be an integer of at least 1"),
        ({"tolerance": 0.0}, "tolerance must be positive"),
        ({"cell": "rnn"}, re.escape(f"cell must be one of {sorted(CELL_ROWS)}, got 'rnn'")),
        ({"variant": "loose"}, "variant must be one of"),
        ({"epsilon": 2.0}, "epsilon must be in"),
        ({"lambda_1": -1.0}, "lambda_1 must be finite and non-negative"),
    ],
)
def test_bad_parameters_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        TikhonovPenalty(**(LAMBDAS | change))


def test_uneven_stacks_are_refused(generator):
    inputs, recurrent, biases, readout = network(3, 2, 0.3, generator)
    for arguments in [(inputs, recurrent[:1]), (inputs, recurrent[0]), ([], [])]:
        with pytest.raises(ValueError, match="stack"):
            tikhonov_penalty(*arguments, readout, cell="gru", **LAMBDAS)
    with pytest.raises(ValueError, match="bias_hh must be a tensor"):
        tikhonov_penalty(inputs[0], recurrent[0], readout, cell="gru", bias_hh=biases, **LAMBDAS)
    assert gate_norms(inputs[0], cell="gru").shape == (3,)


def test_weights_of_another_cell_or_kind_are_refused(generator):
    inputs, recurrent, biases, readout = network(4, 1, 0.3, generator)
    penalty = TikhonovPenalty(**LAMBDAS)
    for arguments, message in [
        ((inputs[0][:15], recurrent[0], readout), "G = 4"),
        ((inputs[0][:15], recurrent[0][:15], readout), "G = 4"),
        ((inputs[0], recurrent[0], readout[:, :4]), "weight_out must have 5 columns"),
        ((inputs[0].half(), recurrent[0].half(), readout.half()), "float32 or float64"),
    ]:
        with pytest.raises(ValueError, match=message):
            penalty(*arguments)
    with pytest.raises(ValueError, match="biases"):
        TikhonovPenalty(**LAMBDAS, cell="gru")(inputs[0][:15], recurrent[0][:15], readout, bias_hh=biases[0])


def test_frozen_weights_get_no_gradient(generator):
    weights = [w.requires_grad_(index != 0) for index, w in enumerate(random_lstm_weights(4, 3, 1, generator))]
    penalty = TikhonovPenalty(**LAMBDAS)
    penalty.watch(*weights)
    penalty.accumulate()
    assert weights[0].grad is None
    assert all(weight.grad is not None for weight in weights[1:])


@pytest.mark.parametrize("lr", [1e4, 1e8, 1e20])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("estimator", [TikhonovLSTMRegressor, TikhonovGRURegressor])
def test_divergence_is_one_error(estimator, optimizer, lr):
    """Weights that run away end in one clear error, without numpy's warnings on the way."""
    X = np.random.default_rng(0).standard_normal((50, 5, 2))
    model = estimator(6, num_layers=2, lr=lr, optimizer=optimizer, max_epochs=10, random_state=0)
    with pytest.raises(ValueError, match="Training diverged"):
        model.fit(X, X[:, 0, 0])
