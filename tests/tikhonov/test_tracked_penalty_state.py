import copy

import pytest
import torch

from sklstm.tikhonov import TikhonovPenalty
from sklstm.training._process import seeded_construction

LAMBDAS = {"lambda_s": 0.1, "lambda_1": 1.0, "lambda_2": 1.0}


def weights(hidden_size, cell):
    with seeded_construction(0):
        layer = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[cell](3, hidden_size)
        readout = torch.nn.Linear(hidden_size, 2)
    return layer.weight_ih_l0, layer.weight_hh_l0, readout.weight


def walk(penalty, tensors, steps, seed):
    """Values and gradients while the weights take random steps."""
    generator, seen = torch.Generator().manual_seed(seed), []
    for _ in range(steps):
        for tensor in tensors:
            tensor.grad = None
        seen.append(penalty.accumulate())
        seen += [tensor.grad.clone() for tensor in tensors]
        with torch.no_grad():
            for tensor in tensors:
                tensor += 0.02 * torch.randn(tensor.shape, generator=generator)
    return [*seen, penalty.largest_error]


def same(first, second):
    return all(torch.equal(torch.as_tensor(a), torch.as_tensor(b)) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("hidden_size", [5, 40, 80])  # shared and own groups, powers and Chebyshev's polynomials
@pytest.mark.parametrize("steps_before", [0, 1, 30, 64, 70])  # before, at and after an exact call
def test_a_state_goes_on_bit_for_bit(hidden_size, cell, steps_before):
    tensors = weights(hidden_size, cell)
    penalty = TikhonovPenalty(cell=cell, **LAMBDAS)
    penalty.watch(*tensors)
    walk(penalty, tensors, steps_before, seed=1)
    state = penalty.state_dict()
    others = tuple(tensor.detach().clone().requires_grad_() for tensor in tensors)
    expected = walk(penalty, tensors, 70, seed=2)
    resumed = TikhonovPenalty(cell=cell, **LAMBDAS)
    resumed.watch(*others)
    resumed.load_state_dict(state)
    assert same(walk(resumed, others, 70, seed=2), expected)


def test_without_the_state_it_would_go_on_otherwise():
    tensors = weights(40, "lstm")
    penalty = TikhonovPenalty(**LAMBDAS)
    penalty.watch(*tensors)
    walk(penalty, tensors, 30, seed=1)
    others = tuple(tensor.detach().clone().requires_grad_() for tensor in tensors)
    fresh = TikhonovPenalty(**LAMBDAS)
    fresh.watch(*others)
    assert not same(walk(fresh, others, 30, seed=2), walk(penalty, tensors, 30, seed=2))


def test_a_state_is_a_copy_and_those_of_other_shapes_are_refused():
    tensors = weights(5, "lstm")
    penalty = TikhonovPenalty(**LAMBDAS)
    penalty.watch(*tensors)
    walk(penalty, tensors, 3, seed=1)
    state = penalty.state_dict()
    before = copy.deepcopy(state)
    walk(penalty, tensors, 3, seed=1)
    assert same(state["vectors"], before["vectors"])
    assert not same(state["vectors"], penalty.state_dict()["vectors"])
    other = TikhonovPenalty(**LAMBDAS)
    for watched in (None, weights(6, "lstm")):
        if watched is not None:
            other.watch(*watched)
        with pytest.raises(ValueError, match="not those of the watched weights"):
            other.load_state_dict(state)
