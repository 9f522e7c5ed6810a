"""Networks on top of each other: the written backward passes against finite differences and against torch's layers."""

import pytest
import torch
from torch import nn

from sklstm.networks import GRUNetwork, LSTMNetwork, RNNNetwork, is_stackable, stacked_forward
from sklstm.networks._kernels import last_lstm_state, last_relu_state
from sklstm.training._process import seeded_construction

M, B, L, D, H = 3, 5, 6, 2, 4


def draw(generator, *shape, scale=1.0):
    return (scale * torch.randn(*shape, generator=generator, dtype=torch.float64)).requires_grad_()


@pytest.mark.parametrize("lengths", [None, torch.tensor([1, 6, 3, 6, 2])])
@pytest.mark.parametrize("steps_in_a_piece", [2, 3, 4, 6])
def test_relu_gradients_are_those_of_finite_differences(generator, monkeypatch, lengths, steps_in_a_piece):
    monkeypatch.setattr("sklstm.networks._kernels._PIECE", steps_in_a_piece * 8 * M * B * H)
    arguments = draw(generator, M, B, L, D), draw(generator, M, H, D), draw(generator, M, H, H, scale=0.5)
    torch.autograd.gradcheck(lambda *parts: last_relu_state(*parts, lengths), arguments)


def test_lstm_gradients_are_those_of_finite_differences(generator):
    shapes = (M, B, L, D), (M, 4 * H, D), (M, 4 * H, H), (M, 4 * H), (M, 4 * H)
    torch.autograd.gradcheck(last_lstm_state, [draw(generator, *shape) for shape in shapes])


@pytest.mark.parametrize(("batch", "n_steps"), [(1, 1), (1, 7), (5, 1), (7, 9), (64, 100)])  # the last in four pieces
@pytest.mark.parametrize("ragged", [False, True])
def test_relu_layer_is_torchs(generator, batch, n_steps, ragged):
    module = built(RNNNetwork, size=32, n_steps=n_steps, recurrent_scale=0.9)
    X = torch.randn(batch, n_steps, D, generator=generator)
    lengths = torch.randint(1, n_steps + 1, (batch,), generator=generator) if ragged else None
    results = []
    for training in (True, False):  # ours, torch's
        outputs = module.train(training)(X, lengths)
        results.append([outputs, *torch.autograd.grad(outputs.square().sum(), list(module.parameters()))])
    for mine, theirs in zip(*results, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


def test_a_closed_unit_keeps_an_overflowing_gradient_to_itself():
    X, W = torch.tensor([[[[1.0], [-1.0]]]]), torch.zeros(1, 2, 2)
    U = torch.tensor([[[1.0], [-1.0]]], requires_grad=True)
    last_relu_state(X, U, W).backward(torch.tensor([[[torch.inf, 1.0]]]))
    assert U.grad.flatten().tolist() == [0, -1]


def test_training_takes_the_written_pass_and_prediction_torchs():
    module = built(RNNNetwork)
    X = torch.ones(2, 3, D)
    assert "_LastReLUStateBackward" in graph_names(module.train()(X).grad_fn)
    assert "_LastReLUStateBackward" not in graph_names(module.eval()(X).grad_fn)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert "_LastReLUStateBackward" not in graph_names(module.train()(X).grad_fn)


def graph_names(node):
    names, todo = set(), [node]
    while todo:
        node = todo.pop()
        names.add(type(node).__name__)
        todo += [following for following, _ in node.next_functions if following is not None]
    return names


def built(kind, seed=0, size=H, **options):
    with seeded_construction(seed):
        return kind(D, size, 2, **options)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (LSTMNetwork, {}),
        (LSTMNetwork, {"readout": "logistic"}),
        (LSTMNetwork, {"skip_steps": L}),
        (LSTMNetwork, {"skip_steps": 2, "readout": "logistic"}),
        (LSTMNetwork, {"skip_steps": L + 2}),
        (RNNNetwork, {}),
    ],
)
def test_a_stack_computes_what_its_networks_do(generator, kind, options):
    modules = [built(kind, seed, **options) for seed in range(M)]
    for module in modules:
        if module.linear_part is not None:
            module.linear_part.set_weight_(torch.randn(module.linear_part.weight.shape, generator=generator))
    weights, _ = torch.func.stack_module_state(modules)
    X = torch.randn(M, B, L, D, generator=generator)
    stacked = stacked_forward(modules[0], weights, X)
    alone = torch.stack([module.eval()(part) for module, part in zip(modules, X, strict=True)])
    torch.testing.assert_close(stacked, alone, rtol=1e-5, atol=1e-6)
    gradients = torch.autograd.grad(stacked.square().sum(), list(weights.values()))
    for name, gradient in zip(weights, gradients, strict=True):
        expected = torch.autograd.grad(
            alone.square().sum(), [module.get_parameter(name) for module in modules], retain_graph=True
        )
        torch.testing.assert_close(gradient, torch.stack(expected), rtol=1e-4, atol=1e-5)


def test_what_cannot_be_stacked_says_so():
    for module in (
        built(GRUNetwork),
        built(LSTMNetwork, num_layers=2),
        built(LSTMNetwork, skip_channels=(0, 1)),
        nn.Identity(),
    ):
        assert not is_stackable(module)
        with pytest.raises(TypeError, match="is not a network that can be stacked"):
            stacked_forward(module, {}, torch.zeros(1, 1, 1, D))


def test_backward_leaves_the_gradient_that_it_is_given(generator):
    # Of one sequence, and of one unit: there a transposed view is contiguous.
    for batch, size in ((1, 3), (3, 1)):
        shapes = (2, batch, 3, D), (2, 4 * size, D), (2, 4 * size, size), (2, 4 * size), (2, 4 * size)
        arguments = [draw(generator, *shape) for shape in shapes]
        given = torch.ones(2, batch, size, dtype=torch.float64)
        torch.autograd.grad(last_lstm_state(*arguments), arguments[1], given)
        assert (given == 1).all()


def test_states_do_not_outlive_the_backward_pass():
    module = built(RNNNetwork).train()
    loss = module(torch.ones(3, 4, D)).sum()
    loss.backward()
    with pytest.raises(RuntimeError, match="second time"):  # they are freed, though the loss is still there
        loss.backward()


def test_what_the_written_pass_does_not_know_goes_to_torchs_layer():
    module = built(RNNNetwork).train()
    X = torch.ones(3, 4, D, requires_grad=True)
    (slope,) = torch.autograd.grad(module(X).sum(), X, create_graph=True)
    torch.autograd.grad(slope.square().sum(), list(module.parameters()), allow_unused=True)
    assert module(torch.ones(4, D)).shape == (2,)
