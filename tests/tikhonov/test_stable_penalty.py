"""The penalty with a proved gain: its value by another route, its gradient by finite differences, its start."""

import numpy as np
import pytest
import torch

from sklstm.certificates import gru_gain, lstm_gain
from sklstm.tikhonov import stable_penalty
from sklstm.tikhonov._stable_penalty import (
    LARGEST_RADIUS,
    LayerArrays,
    StablePenalty,
    contracting_scale,
    leading_vectors,
)

D, H, K = 3, 5, 2
GATES = {"lstm": 4, "gru": 3}
ENDS = -0.7 * np.ones(D), np.ones(D)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def draw(cell, rng, num_layers=1, recurrent=0.005):
    G = GATES[cell]
    shapes = [((G, H, H if layer else D), (G, H, H), (G, H), (G, H)) for layer in range(num_layers)]
    sizes = (0.3, recurrent, 0.3, 0.3)
    layers = [
        LayerArrays(*(size * rng.standard_normal(shape) for shape, size in zip(each, sizes, strict=True)))
        for each in shapes
    ]
    return layers, rng.standard_normal((K, H)), rng.standard_normal((K, 2, D))


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("recurrent", [0.0, 0.005, 0.05, 0.3])  # the last ones beyond the largest radius, and beyond 1
@pytest.mark.parametrize("linear", [False, True])
def test_the_gradient_is_that_of_finite_differences(cell, num_layers, recurrent, linear, rng):
    layers, V, A = draw(cell, rng, num_layers, recurrent)
    penalty = StablePenalty(cell, *ENDS, lambda_s=0.3, lambda_1=2.0, slope=0.25 if linear else 1.0)

    def evaluate():
        return penalty(layers, V, A if linear else None)

    value, by_layers, by_out, by_linear = evaluate()
    assert value > 0
    weights = [weight for layer in layers for weight in layer] + [V] + ([A] if linear else [])
    gradients = [weight for layer in by_layers for weight in layer] + [by_out] + ([by_linear] if linear else [])
    for weight, gradient in zip(weights, gradients, strict=True):
        assert weight.shape == gradient.shape
        for place in rng.integers(0, weight.size, 3):
            at, step = np.unravel_index(place, weight.shape), 1e-6
            before, ends = weight[at], []
            for end in (before - step, before + step):
                weight[at] = end
                ends.append(evaluate()[0])
            weight[at] = before
            if before:  # |W| has no derivative at 0, of which the penalty takes the one with the least norm
                slope = (ends[1] - ends[0]) / (2 * step)
                np.testing.assert_allclose(gradient[at], slope, rtol=2e-5, atol=2e-8 * (1 + abs(value)))


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_the_gain_is_not_below_the_proved_one(cell, rng):
    for recurrent in (0.0, 0.002, 0.01):
        (layer,), *_ = draw(cell, rng, recurrent=recurrent)
        rows = [torch.from_numpy(part.reshape(-1, *part.shape[2:])) for part in layer]
        bound = torch.tensor([0.7, 1.0, 0.4]).double()
        if cell == "lstm":
            proved = lstm_gain(rows[0], rows[1], rows[2] + rows[3], input_bound=bound)
        else:
            proved = gru_gain(*rows, input_bound=bound)
        penalty = StablePenalty(cell, -bound.numpy(), bound.numpy(), 1.0, 0.0)
        states = penalty.layers([layer])[-1].states
        assert proved <= np.linalg.norm(states) * (1 + 1e-6)
        value = penalty([layer], np.eye(H))[0]  # the readout hands on the states
        np.testing.assert_allclose(value, np.log1p(states @ states), rtol=1e-12)


def test_one_unit_by_hand():
    # A GRU without recurrent weights: h = n_x + |b_nh| r_x / 4 + z_x / (2 (1 − z)).
    weight_ih = np.array([0.3, 0.2, 0.7]).reshape(3, 1, 1)
    bias_hh = np.array([0.1, -0.4, 0.5]).reshape(3, 1)
    layer = LayerArrays(weight_ih, np.zeros((3, 1, 1)), np.zeros((3, 1)), bias_hh)
    penalty = StablePenalty("gru", np.array([-1.0]), np.array([3.0]), 0.1, 10.0)
    moved = 0.7 + 0.5 * 0.3 / 4 + 0.2 * (1 + np.exp(-0.4 + 0.2 * 3)) / 2
    value = penalty([layer], np.array([[-2.0]]))[0]
    np.testing.assert_allclose(value, 0.1 * np.log1p((2 * moved) ** 2), rtol=1e-12)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_it_is_finite_continuous_and_grows_with_the_recurrence(cell, rng):
    (layer,), V, _ = draw(cell, rng, recurrent=1.0)
    penalty = StablePenalty(cell, *ENDS, lambda_s=1.0, lambda_1=10.0)
    scale = contracting_scale(cell, layer, *ENDS)

    def value(s):
        return penalty([layer._replace(weight_hh=s * layer.weight_hh)], V)[0]

    def radius(s):
        return leading_vectors(penalty.layers([layer._replace(weight_hh=s * layer.weight_hh)])[0].M)[0]

    np.testing.assert_allclose(radius(scale), 0.5, rtol=1e-6)
    values = [value(s) for s in np.geomspace(scale / 10, 1e4 * scale, 50)]
    assert np.isfinite(values).all()
    assert (np.diff(values) > 0).all()
    for target in (LARGEST_RADIUS, 1.0):  # where the tangent begins, and the constraint
        seam = contracting_scale(cell, layer, *ENDS, target=target)
        np.testing.assert_allclose(radius(seam), target, rtol=1e-6)
        np.testing.assert_allclose(value(seam * (1 + 1e-9)), value(seam * (1 - 1e-9)), rtol=1e-5)


def test_leading_vectors_are_those_of_numpy(rng):
    for size in (1, 2, 7, 30):
        M = rng.random((size, size)) ** 3
        radius, left, right = leading_vectors(M)
        np.testing.assert_allclose(radius, abs(np.linalg.eigvals(M)).max(), rtol=1e-9)
        np.testing.assert_allclose(M @ right, radius * right, rtol=1e-6)
        np.testing.assert_allclose(left @ M, radius * left, rtol=1e-6)
    assert leading_vectors(np.triu(np.ones((4, 4)), 1))[0] == 0  # nilpotent
    assert leading_vectors(np.zeros((3, 3)))[0] == 0
    assert contracting_scale("gru", draw("gru", rng, recurrent=0.0)[0][0], *ENDS) == 1.0


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("num_layers", [1, 2])
def test_as_a_function_of_tensors_it_is_the_same_and_autograd_knows_its_gradient(cell, num_layers, rng):
    layers, V, A = draw(cell, rng, num_layers)
    penalty = StablePenalty(cell, *ENDS, lambda_s=0.3, lambda_1=2.0)
    parts = [torch.from_numpy(part.reshape(-1, *part.shape[2:])) for layer in layers for part in layer]
    parts += [torch.from_numpy(V), torch.from_numpy(A.reshape(K, -1))]
    how = {"lambda_s": 0.3, "lambda_1": 2.0, "cell": cell}
    ends = torch.tensor(np.stack(ENDS))

    def value(*parts):
        *weights, readout, linear = parts
        inputs, recurrent, biases_x, biases_h = (weights[place::4] for place in range(4))
        biases = {"bias_ih": biases_x, "bias_hh": biases_h}
        return stable_penalty(inputs, recurrent, readout, ends, weight_linear=linear, **biases, **how)

    assert value(*parts).item() == penalty(layers, V, A)[0]
    assert torch.autograd.gradcheck(value, [part.requires_grad_() for part in parts], eps=1e-6, atol=1e-6)
    without = [layer._replace(bias_ih=0 * layer.bias_ih, bias_hh=0 * layer.bias_hh) for layer in layers]
    plain = stable_penalty(parts[0:-2:4], parts[1:-2:4], parts[-2], ends, **how)
    assert plain.item() == penalty(without, V)[0]


def test_bad_arguments_are_refused():
    weights = torch.ones(8, 3), torch.ones(8, 2), torch.ones(1, 2)
    ends, how = torch.tensor([[-1.0] * 3, [1.0] * 3]), {"lambda_s": 0.1, "lambda_1": 1.0}
    stable_penalty(*weights, ends, **how)
    with pytest.raises(ValueError, match="lambda_1 must be finite and non-negative, got -1"):
        stable_penalty(*weights, ends, lambda_s=0.1, lambda_1=-1.0)
    with pytest.raises(ValueError, match="cell must be one of"):
        stable_penalty(*weights, ends, cell="relu", **how)
    for broken in ((torch.ones(7, 3), *weights[1:]), (weights[0][:, :2], *weights[1:])):
        with pytest.raises(ValueError, match="the lstm's weights must be"):
            stable_penalty(*broken, ends, **how)
    with pytest.raises(ValueError, match="input_range must be"):
        stable_penalty(*weights, ends[0], **how)
    with pytest.raises(ValueError, match="input_range must be"):
        stable_penalty(*weights[:2], torch.ones(1, 3), ends, **how)
