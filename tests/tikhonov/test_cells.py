"""The derivatives that are written out for speed, against autograd of the exact route."""

from itertools import product

import numpy as np
import pytest
import torch

from sklstm.tikhonov._cells import CELLS, VARIANTS, euclidean, exp
from sklstm.tikhonov._penalty import Objective, positive_part, relaxed

EPSILON = 0.05
# The criticality of the last layer, whose pole is at 1; the tangent takes over at 0.95.
REGIONS = {"feasible": 0.4, "below the seam": 0.95 - 1e-9, "beyond the seam": 0.95 + 1e-9, "infeasible": 2.5}
CELLS_AND_VARIANTS = pytest.mark.parametrize(("cell", "variant"), list(product(CELLS, VARIANTS)))


def draw_layer(cell, variant, criticality, rng):
    """Norms of the gates and κ of a layer, floats; the recurrent norms are scaled to the given criticality."""
    row, constants = CELLS[cell], VARIANTS[variant]
    norms_x, norms_h = rng.uniform(0.1, 1, (2, row.n_gates))
    kappa = rng.uniform(0.1, 3) if row.bounded_gate is not None else 0.0
    low, high = 0.0, 20.0
    for _ in range(100):
        middle = (low + high) / 2
        rho_h = row.gains(norms_x, middle * norms_h, kappa, constants)[1]
        low, high = (middle, high) if constants.criticality(rho_h) <= criticality else (low, middle)
    return norms_x.tolist(), (low * norms_h).tolist(), kappa


def leaf(values):
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


def autograd_of_layer(cell, variant, layer):
    leaves = [leaf(part) for part in layer]
    gains = CELLS[cell].gains(leaves[0].unbind(), leaves[1].unbind(), leaves[2], VARIANTS[variant])
    return leaves, torch.stack(gains)


def flat(slopes):
    return np.concatenate([np.atleast_1d(part) for part in slopes])


@CELLS_AND_VARIANTS
@pytest.mark.parametrize("region", REGIONS)
def test_slopes_are_the_derivatives_of_the_gains(cell, variant, region):
    rng = np.random.default_rng(1)
    for _ in range(20):
        layer = draw_layer(cell, variant, REGIONS[region], rng)
        by = tuple(rng.standard_normal(3))
        leaves, gains = autograd_of_layer(cell, variant, layer)
        expected = torch.autograd.grad(gains @ torch.tensor(by), leaves, allow_unused=True, materialize_grads=True)
        ours = CELLS[cell].slopes(*layer, VARIANTS[variant], by)
        np.testing.assert_allclose(flat(ours), torch.hstack(expected).detach(), rtol=1e-12, atol=1e-14)


@CELLS_AND_VARIANTS
@pytest.mark.parametrize("n_layers", [1, 2, 3])
@pytest.mark.parametrize("region", REGIONS)
def test_slopes_of_the_objective(cell, variant, n_layers, region):
    rng = np.random.default_rng(2)
    objective = Objective(0.3, 0.7, 1.1, variant, EPSILON)
    row, constants = CELLS[cell], VARIANTS[variant]
    for _ in range(10):
        places = [0.3, 1.7, REGIONS[region]][-n_layers:]  # the others on either side of the pole
        layers = [draw_layer(cell, variant, place, rng) for place in places]
        gains = [row.gains(*layer, constants) for layer in layers]
        norm_out = rng.uniform(0.1, 2)
        value, slopes, by_readout = objective.value_and_slopes(norm_out, gains)

        leaves, readout = [leaf(layer) for layer in gains], leaf(norm_out)
        exact = objective.total(readout, [objective.layer(*gain.unbind()) for gain in leaves])
        expected = torch.autograd.grad(exact, [*leaves, readout])
        assert value == pytest.approx(exact.item(), rel=1e-13)
        np.testing.assert_allclose(slopes, torch.stack(expected[:-1]), rtol=1e-12, atol=1e-13)
        assert by_readout == pytest.approx(expected[-1].item(), rel=1e-13)


@CELLS_AND_VARIANTS
@pytest.mark.parametrize("what", ["inputs", "states", "both"])
@pytest.mark.parametrize("n_layers", [1, 2])
def test_zero_norms_have_finite_slopes(cell, variant, what, n_layers):
    # The corner of √(a² + b²), where autograd and we take the subgradient 0.
    rng = np.random.default_rng(3)
    row, constants = CELLS[cell], VARIANTS[variant]
    norms_x, norms_h, kappa = draw_layer(cell, variant, 0.5, rng)
    zeros = [0.0] * row.n_gates
    first = (norms_x if what == "states" else zeros, norms_h if what == "inputs" else zeros, kappa)
    layers = [first, (norms_x, norms_h, kappa)][:n_layers]
    objective = Objective(0.3, 0.7, 1.1, variant, EPSILON)
    for norm_out in (0.0, 0.8):
        gains = [row.gains(*layer, constants) for layer in layers]
        value, by_gains, by_readout = objective.value_and_slopes(norm_out, gains)

        traced = [autograd_of_layer(cell, variant, layer) for layer in layers]
        readout = leaf(norm_out)
        exact = objective.total(readout, [objective.layer(*gain.unbind()) for _, gain in traced])
        assert value == exact.item()
        leaves = [part for parts, _ in traced for part in parts]
        expected = torch.autograd.grad(exact, [*leaves, readout], allow_unused=True, materialize_grads=True)
        ours = [row.slopes(*layer, constants, by) for layer, by in zip(layers, by_gains, strict=True)]
        found = np.concatenate([*(flat(slopes) for slopes in ours), [by_readout]])
        assert np.isfinite(found).all()
        np.testing.assert_allclose(found, torch.hstack(expected).detach(), rtol=1e-12, atol=1e-14)


def test_scalars_agree_with_tensors_and_never_raise():
    for a, b in [(0.3, 2.0), (0.0, 0.0), (1e-9, 0.0), (1e200, 1e200), (800.0, 1.0), (np.inf, 1.0), (np.nan, 1.0)]:
        x, y = (torch.tensor(value, dtype=torch.float64) for value in (a, b))
        for function in (
            lambda u, v: exp(u) * v,
            euclidean,
            lambda u, v: positive_part(u - v),
            lambda u, v: relaxed(u * v, 0.05),
        ):
            number, tensor = function(a, b), function(x, y)
            if torch.isfinite(tensor):
                assert number == pytest.approx(tensor.item(), rel=1e-14)
            elif function is not euclidean:  # hypot is finite where the square overflows
                assert not np.isfinite(number)
