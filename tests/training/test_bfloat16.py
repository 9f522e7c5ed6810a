"""Passes in bfloat16 through a twin of the network."""

import pytest
import torch
from torch import nn

from sklstm.networks import GRUNetwork, LSTMNetwork, RNNNetwork
from sklstm.training._net import Bfloat16Twin
from sklstm.training._process import seeded_construction

MODULES = pytest.mark.parametrize("kind", [LSTMNetwork, GRUNetwork, RNNNetwork])


@pytest.fixture
def inputs(generator):
    return {"X": torch.randn(20, 6, 3, generator=generator), "lengths": torch.arange(20) % 6 + 1}


def build(kind):
    with seeded_construction(0):
        return kind(3, 8, 2)


def gradients(module):
    return torch.cat([weight.grad.flatten() for weight in module.parameters()])


@MODULES
@pytest.mark.parametrize("ragged", [False, True])
def test_outputs_and_gradients_are_those_of_the_network_to_bfloat16(kind, ragged, inputs):
    module, reference = build(kind), build(kind)
    if not ragged:
        del inputs["lengths"]
    twin = Bfloat16Twin(module)
    outputs, expected = twin(inputs), reference(**inputs)
    assert outputs.dtype == torch.float32
    assert not torch.equal(outputs, expected)  # or nothing was rounded
    # 2⁻⁸ of every operand, over six steps.
    torch.testing.assert_close(outputs, expected, atol=0.05 * expected.abs().max().item(), rtol=0)
    outputs.square().mean().backward()
    expected.square().mean().backward()
    assert all(weight.grad is None for weight in module.parameters())
    twin.hand_over_gradients()
    assert {weight.grad.dtype for weight in module.parameters()} == {torch.float32}
    cosine = nn.functional.cosine_similarity(gradients(module), gradients(reference), dim=0)
    assert cosine > 0.995


@MODULES
def test_the_network_stays_as_it_is_and_its_changes_are_seen(kind, inputs):
    module = build(kind)
    before = [weight.detach().clone() for weight in module.parameters()]
    twin = Bfloat16Twin(module)
    first = twin(inputs)
    assert all(map(torch.equal, before, module.parameters()))
    assert {weight.dtype for weight in module.parameters()} == {torch.float32}
    with torch.no_grad():
        module.readout.weight.mul_(2.0)  # exact in any binary type
    bias = module.readout.bias.to(torch.bfloat16).float() if module.readout.bias is not None else 0.0
    torch.testing.assert_close(twin(inputs) - bias, 2 * (first - bias), rtol=0.02, atol=0.02)


def test_gradients_add_up_and_are_forgotten(inputs):
    module = build(LSTMNetwork)
    twin = Bfloat16Twin(module)
    for _ in range(2):
        twin(inputs).mean().backward()
        twin.hand_over_gradients()
    both = gradients(module)
    module.zero_grad()
    twin(inputs).mean().backward()
    twin.hand_over_gradients()
    torch.testing.assert_close(both, 2 * gradients(module), rtol=0, atol=0)
    twin.hand_over_gradients()
    torch.testing.assert_close(both, 2 * gradients(module), rtol=0, atol=0)
