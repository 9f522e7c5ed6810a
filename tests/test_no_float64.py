"""What the mathematics does with tensors of a device that has no float64: the same, on the CPU where it must."""

import pytest
import torch

from sklstm.certificates import lstm_gain, rnn_lipschitz
from sklstm.linalg import as_float64, leading_pair, project_rows_l1, spectral_norm
from sklstm.tikhonov import TikhonovPenalty, feasible_scale
from tests.support.no_float64 import PLACE, elsewhere, such_a_device
from tests.support.problems import random_lstm_weights


@pytest.fixture(autouse=True)
def device():
    with such_a_device():
        yield


@pytest.fixture
def weights(generator):
    return [weight.float() for weight in random_lstm_weights(5, 3, 2, generator, scale=1.0)]


def test_the_device_is_as_poor_as_it_says(weights):
    there = elsewhere(weights[0])
    assert there.device.type == (there + 1).device.type == "mps"
    with pytest.raises(TypeError, match="float64"):
        there.double()
    with pytest.raises(RuntimeError, match="same device"):
        there + weights[0]
    with pytest.raises(NotImplementedError):
        torch.linalg.eigh(there.mT @ there)


def test_float64_and_norms(weights):
    here = weights[0]
    there = elsewhere(here)
    assert torch.equal(as_float64(there), here.double())
    assert type(as_float64(there)) is torch.Tensor
    for found, expected in zip(leading_pair(there), leading_pair(here), strict=True):
        assert found.device == PLACE
        assert torch.equal(found.cpu(), expected)
    assert torch.equal(spectral_norm(there).cpu(), spectral_norm(here))
    projected = project_rows_l1(there, 0.5)
    assert projected.device == PLACE
    assert torch.equal(projected.cpu(), project_rows_l1(here, 0.5))


def test_constants_of_networks(weights, generator):
    weight_ih, weight_hh, weight_out = weights
    there = [elsewhere(weight) for weight in weights]
    bias = torch.randn(20, generator=generator)
    assert feasible_scale(*there[:2]) == feasible_scale(weight_ih, weight_hh)
    assert torch.equal(lstm_gain(*there[:2], elsewhere(bias), 4), lstm_gain(weight_ih, weight_hh, bias, 4))
    U, W, V = weight_ih[:5], weight_hh[:5], weight_out
    assert torch.equal(rnn_lipschitz(*map(elsewhere, (U, W, V)), 4), rnn_lipschitz(U, W, V, 4))


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("hidden_size", [5, 70])  # powers of the Gram matrix, and Chebyshev polynomials
def test_penalty_of_weights_that_are_not_on_the_cpu(cell, hidden_size, generator):
    """The tracker computes with numpy on a CPU and with torch anywhere else: two ways to one number."""
    rows = {"lstm": 4, "gru": 3}[cell] * hidden_size
    shapes = [(rows, 3), (rows, hidden_size), (2, hidden_size), (rows,)]
    here = [torch.randn(*shape, generator=generator).div(hidden_size**0.5).requires_grad_() for shape in shapes]
    there = [elsewhere(weight.detach().clone()).requires_grad_() for weight in here]
    values = []
    for weights in (here, there):
        penalty = TikhonovPenalty(lambda_s=0.01, lambda_1=10.0, lambda_2=10.0, cell=cell)
        penalty.watch(*weights[:3], bias_hh=weights[3])
        steps = []
        for _ in range(3):  # exact, then estimated
            steps.append(penalty.accumulate())
            with torch.no_grad():
                for weight in weights:
                    weight.mul_(0.98)
        values.append(steps)
    torch.testing.assert_close(values[0], values[1], rtol=1e-5, atol=0)
    assert len(set(values[0])) == 3
    for one, other in zip(here, there, strict=True):
        if one.grad is None:  # the LSTM's chain has no bias
            assert other.grad is None
            continue
        off = torch.linalg.vector_norm(other.grad.cpu() - one.grad) / torch.linalg.vector_norm(one.grad)
        assert off < 1e-4
