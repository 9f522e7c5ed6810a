"""The differentiable interval pass against the certificate's, finite differences, and sequences one by one."""

import pytest
import torch

from sklstm.certificates import IntervalPass, LayerWeights, RecurrentNetwork, output_bounds
from tests.support import attacks as soundness

N, L, D, K = 4, 5, 2, 3
KINDS = pytest.mark.parametrize(("cell", "n_layers"), [(cell, depth) for cell in soundness.CELLS for depth in (1, 2)])


def network(cell, n_layers, skip_steps=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(1)
    module = soundness.Network(cell, D, 4, K, n_layers, 0.6, 1.0, generator, dtype, skip_steps)
    return soundness.network_of(module)


def boxes(generator, dtype=torch.float64):
    X = torch.randn(N, L, D, generator=generator, dtype=dtype)
    radius = 0.3 * torch.rand(N, L, D, generator=generator, dtype=dtype)
    return X - radius, X + radius


def tensors(network):
    every = [weight for layer in network.layers for weight in layer if weight is not None]
    return [*every, network.weight_out, *(w for w in (network.bias_out, network.weight_linear) if w is not None)]


def rebuilt(network, weights):
    """The same network of other tensors, in the order of `tensors`."""
    given = iter(weights)
    layers = [LayerWeights(*(None if weight is None else next(given) for weight in layer)) for layer in network.layers]
    others = (None if w is None else next(given) for w in (network.weight_out, network.bias_out, network.weight_linear))
    return RecurrentNetwork(network.cell, layers, *others)


@pytest.mark.parametrize("with_minus", [False, True])
@pytest.mark.parametrize("skip_steps", [0, 3, L + 2])
@KINDS
def test_bounds_are_those_of_the_certificate_up_to_rounding(cell, n_layers, skip_steps, with_minus, generator):
    net = network(cell, n_layers, skip_steps)
    lower, upper = boxes(generator)
    minus = torch.arange(N) % K if with_minus else None
    certified = output_bounds(net, lower, upper, method="intervals", minus=minus)
    trained = IntervalPass(net)(lower, upper, minus=minus)
    scale = certified.upper.abs().max()
    for mine, theirs, outward in zip(trained, certified, (1, -1), strict=True):
        assert (outward * (mine - theirs) > -1e-15 * scale).all()  # the certificate is rounded outwards
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-12 * scale.item())


@pytest.mark.parametrize("skip_steps", [0, 3])
@KINDS
def test_gradients_are_those_of_finite_differences(cell, n_layers, skip_steps, generator):
    net = network(cell, n_layers, skip_steps)
    lower, upper = boxes(generator)
    minus = torch.arange(N) % K

    def bounds(*weights):
        return tuple(IntervalPass(rebuilt(net, weights))(lower, upper, minus=minus))

    weights = [weight.detach().clone().requires_grad_() for weight in tensors(net)]
    assert torch.autograd.gradcheck(bounds, weights, eps=1e-7, atol=1e-5, rtol=1e-4)


@KINDS
def test_a_box_of_one_point_has_the_outputs_and_the_gradients_of_the_network(cell, n_layers, generator):
    net = network(cell, n_layers)
    X, _ = boxes(generator)
    weights = [weight.detach().clone().requires_grad_() for weight in tensors(net)]
    lower, upper = IntervalPass(rebuilt(net, weights))(X, X)
    torch.testing.assert_close(lower, net.outputs(X), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(upper, lower, rtol=1e-12, atol=1e-12)
    both = torch.autograd.grad((lower + upper).sum() / 2, weights)
    module = soundness.Network(cell, D, 4, K, n_layers, 0.6, 1.0, torch.Generator().manual_seed(1), torch.float64, 0)
    module(X).sum().backward()
    theirs = dict(zip(map(id, tensors(soundness.network_of(module))), both, strict=True))
    own = [parameter for parameter in module.parameters() if id(parameter) in theirs]
    assert len(own) == len(both)
    for parameter in own:
        torch.testing.assert_close(theirs[id(parameter)], parameter.grad, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("skip_steps", [0, 3])
@KINDS
def test_a_sequence_that_ends_early_has_the_bounds_and_gradients_that_it_has_alone(
    cell, n_layers, skip_steps, generator
):
    net = network(cell, n_layers)
    linear = torch.randn(K, skip_steps * D, generator=generator, dtype=torch.float64) if skip_steps else None
    lower, upper = boxes(generator)
    lengths = torch.tensor([L, 2, 4, 1])
    weights = [weight.detach().clone().requires_grad_() for weight in tensors(net)]
    batch = IntervalPass(rebuilt(net, weights))(lower, upper, lengths=lengths, weight_linear=linear)
    found = torch.autograd.grad(sum(end.square().sum() for end in batch), weights)
    total = [torch.zeros_like(weight) for weight in weights]
    for index, length in enumerate(lengths.tolist()):
        alone = IntervalPass(rebuilt(net, weights))(
            lower[index : index + 1, :length], upper[index : index + 1, :length], weight_linear=linear
        )
        for mine, theirs in zip(batch, alone, strict=True):
            torch.testing.assert_close(mine[index], theirs[0], rtol=1e-10, atol=1e-12)
        for sum_, part in zip(
            total, torch.autograd.grad(sum(end.square().sum() for end in alone), weights), strict=True
        ):
            sum_ += part
    torch.testing.assert_close(found, tuple(total), rtol=1e-9, atol=1e-9)


def test_batches_of_other_sizes_and_float32(generator):
    net = network("lstm", 2, 3, torch.float32)
    bounds = IntervalPass(net)
    lower, upper = boxes(generator, torch.float32)
    whole = bounds(lower, upper)
    for size in (1, 3, N):
        part = bounds(lower[:size], upper[:size])
        torch.testing.assert_close(part.lower, whole.lower[:size], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(part.upper, whole.upper[:size], rtol=1e-5, atol=1e-5)


def test_memory_of_an_earlier_pass_is_not_gone_back_through(generator):
    net = network("gru", 1)
    for weight in tensors(net):
        weight.requires_grad_()
    bounds = IntervalPass(net)
    first = bounds(*boxes(generator))
    bounds(*boxes(generator))
    with pytest.raises(RuntimeError, match="before the next"):
        first.upper.sum().backward()


def test_a_box_of_another_form_is_refused(generator):
    lower, upper = boxes(generator)
    with pytest.raises(ValueError, match="one shape"):
        IntervalPass(network("lstm", 1))(lower, upper[:, :3])
