"""A network of few bits: its values trained, some of them fixed; rounded in stages."""

import copy
import math

import numpy as np
import pytest
import torch

from sklstm.generalization import Description
from sklstm.generalization.compression._rounding import curvature, nearest_levels
from sklstm.networks import LSTMNetwork
from sklstm.training import _fine_tuning
from sklstm.training._fine_tuning import Schedule, SequenceProblem, n_epochs, quantise_in_stages, train_values
from sklstm.training._process import seeded_construction
from tests.support.linear_problem import LinearProblem, matrix_structure

FULL_BATCH = Schedule(batch_size=1000)


def _rng(seed=0):
    return np.random.default_rng(seed)


# Training


def test_training_finds_the_minimum_of_a_quadratic():
    problem = LinearProblem(80, 4, n_out=2)
    start = {"W": torch.zeros(2, 4).double()}
    found = train_values(matrix_structure(problem), start, problem, FULL_BATCH, _rng(), epochs=400, lr=0.05)
    best = torch.linalg.lstsq(problem.x, problem.y).solution.T
    torch.testing.assert_close(found["W"], best, rtol=0, atol=1e-3)
    assert not start["W"].any()
    assert not found["W"].requires_grad


def test_fixed_entries_stay_while_the_rest_finds_its_own_minimum():
    problem = LinearProblem(80, 4, shared=1.0)
    start = {"W": torch.tensor([[0.7, 0.0, -1.3, 0.0]]).double()}
    fixed = {"W": torch.tensor([[True, False, True, False]])}
    found = train_values(
        matrix_structure(problem), start, problem, FULL_BATCH, _rng(), epochs=600, lr=0.05, fixed=fixed
    )["W"]
    assert torch.equal(found[fixed["W"]], start["W"][fixed["W"]])
    rest = problem.y - problem.x[:, [0, 2]] @ start["W"][0, [0, 2]][:, None]
    best = torch.linalg.lstsq(problem.x[:, [1, 3]], rest).solution.T
    torch.testing.assert_close(found[:, [1, 3]], best, rtol=0, atol=1e-3)


def test_training_through_factors_and_in_a_subspace():
    problem = LinearProblem(80, 4, n_out=3)
    for kwargs in ({"ranks": {"W": 2}}, {"subspace": 3}):
        structure = matrix_structure(problem, **kwargs)
        start = structure.start({"W": problem.truth + 0.5})
        found = train_values(structure, start, problem, FULL_BATCH, _rng(), epochs=600, lr=0.05)
        # The gradient by the parts, on another route: automatic differentiation of the whole.
        leaves = {part: value.clone().requires_grad_(True) for part, value in found.items()}
        loss = problem.loss(structure.compose(leaves))
        gradients = torch.autograd.grad(loss, list(leaves.values()))
        assert max(float(gradient.abs().max()) for gradient in gradients) < 0.01
        assert float(loss.detach()) < float(problem.loss(structure.compose(start)))


def test_rates_fall_along_a_half_cosine():
    # Under a constant gradient, Adam moves by its rate; the cosines of half a turn add up to 1.
    problem = LinearProblem(5, 2)
    problem.x[:] = torch.tensor([0.3, -0.02])
    problem.likelihood = lambda outputs, y: outputs.mean()
    found = train_values(
        matrix_structure(problem), {"W": problem.truth}, problem, FULL_BATCH, _rng(), epochs=7, lr=0.1
    )["W"]
    expected = 0.1 * (0.505 * 7 + 0.495) * torch.tensor([[-1.0, 1.0]]).double()
    torch.testing.assert_close(found - problem.truth, expected, rtol=1e-5, atol=0)


def test_training_for_no_epochs_is_a_copy():
    problem = LinearProblem(8, 2)
    start = {"W": torch.ones(1, 2).double()}
    found = train_values(matrix_structure(problem), start, problem, FULL_BATCH, _rng(), epochs=0, lr=0.1)
    assert torch.equal(found["W"], start["W"])
    assert found["W"].data_ptr() != start["W"].data_ptr()


def test_a_training_that_diverges_keeps_its_last_good_values():
    problem, ticks = LinearProblem(40, 2), []
    structure, start = matrix_structure(problem), {"W": torch.zeros(1, 2).double()}
    kwargs = {"epochs": 3, "lr": 0.1, "tick": lambda: ticks.append(1)}

    def after_two_epochs(outputs, y):
        return 0.5 * (outputs - y).square().mean() * (math.nan if len(ticks) == 2 else 1)

    problem.likelihood = after_two_epochs
    found = train_values(structure, start, problem, Schedule(batch_size=8), _rng(), **kwargs)
    assert len(ticks) == 2
    assert torch.isfinite(found["W"]).all()
    assert problem.loss(found) < problem.loss(start)
    problem.y[:] = math.nan
    found = train_values(structure, start, problem, Schedule(batch_size=8), _rng(), **kwargs)
    assert torch.equal(found["W"], start["W"])


def test_training_follows_its_generator_and_leaves_the_network_as_it_is():
    problem = LinearProblem(40, 3)
    start, before = {"W": problem.truth + 1}, torch.get_rng_state()
    structure, small = matrix_structure(problem), Schedule(batch_size=8)
    first, second, other = (
        train_values(structure, start, problem, small, _rng(seed), epochs=2, lr=0.1)["W"] for seed in (0, 0, 1)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert not problem.module.W.any()
    assert not problem.module.W.grad
    assert torch.equal(before, torch.get_rng_state())


# One gradient


@pytest.mark.parametrize("bounded", [False, True])
def test_gradients_are_those_of_a_network_with_these_weights(bounded, generator):
    with seeded_construction(0):
        module = LSTMNetwork(2, 4, 1).eval()
    X, y = torch.randn(30, 5, 2, generator=generator), torch.randn(30, 1, generator=generator)

    def squared(outputs, goals):
        return (outputs - goals).square().mean(dim=1)

    problem = SequenceProblem(
        module,
        X,
        y,
        likelihood=lambda outputs, goals: squared(outputs, goals).mean(),
        smooth=lambda outputs, goals: squared(outputs, goals).clamp(max=1).mean(),
        losses=squared,
        zero_one=False,
    )
    weights = {name: weight + 0.1 for name, weight in module.state_dict().items()}
    before = {name: weight.clone() for name, weight in module.state_dict().items()}
    rows = torch.arange(0, 30, 2)
    twin = copy.deepcopy(module)
    twin.load_state_dict(weights)
    loss = (problem.smooth if bounded else problem.likelihood)(twin(X[rows]), y[rows])
    expected = dict(zip(weights, torch.autograd.grad(loss, list(twin.parameters())), strict=True))
    for _ in range(2):  # nothing adds up
        found = problem.gradient(weights, rows, bounded=bounded)
        assert found[0] == pytest.approx(loss.item(), rel=1e-6)
        assert found[1].keys() == expected.keys()
        for name in expected:
            torch.testing.assert_close(found[1][name], expected[name], rtol=1e-5, atol=1e-7)
    assert not module.training
    assert all(torch.equal(module.state_dict()[name], before[name]) for name in before)


# Stages

STAGES = Schedule(stage_epochs=2, n_stages=5, batch_size=100, stage_lr=0.01)
PRICE = 2e-4


@pytest.fixture(scope="module")
def correlated():
    problem = LinearProblem(600, 20, n_out=2, shared=2.0)
    best = torch.linalg.lstsq(problem.x, problem.y).solution.T.contiguous()
    return problem, best


@pytest.mark.parametrize("kwargs", [{}, {"ranks": {"W": 2}}], ids=["direct", "low rank"])
def test_stages_are_better_than_rounding_at_once(correlated, kwargs):
    problem, best = correlated
    structure, coarseness = matrix_structure(problem, torch.float32, **kwargs), 24.0
    values = structure.start({"W": best})
    fisher = curvature(structure, values, problem, _rng())
    in_stages, at_once = [], {0.0: [], PRICE * coarseness**2: []}
    for seed in range(5):
        description = quantise_in_stages(
            structure, values, problem, STAGES, _rng(seed), price=PRICE, coarseness=coarseness
        )
        in_stages.append((problem.bounded_loss(description.weights()), description.n_bits))
        # On the same grids, both to the nearest level and to the one that is best at the same price.
        for price, found in at_once.items():
            levels = {}
            for part, value in values.items():
                grid, none = description.grid(part), np.zeros(value.shape, dtype=bool)
                h = (fisher[part] * grid**2).numpy()
                levels[part] = nearest_levels((value / grid).numpy(), h, none, description.integers[part], price)
            rounded = description.replaced(levels)
            found.append((problem.bounded_loss(rounded.weights()), rounded.n_bits))
    loss, bits = np.median(in_stages, axis=0)
    for found in at_once.values():
        loss_at_once, bits_at_once = np.median(found, axis=0)
        assert loss < 0.95 * loss_at_once
        assert bits < 1.03 * bits_at_once


def test_stages_end_in_a_message_that_follows_the_generator(correlated):
    problem, best = correlated
    structure, ticks = matrix_structure(problem, torch.float32), []
    settings = {"price": PRICE, "coarseness": 12.0}
    first = quantise_in_stages(
        structure, {"W": best}, problem, STAGES, _rng(), **settings, tick=lambda: ticks.append(1)
    )
    assert len(ticks) == n_epochs(structure, STAGES)
    again = quantise_in_stages(structure, {"W": best}, problem, STAGES, _rng(), **settings)
    assert again.message == first.message
    decoded = Description.decode(*first.message, structure)
    assert torch.equal(decoded.weights()["W"], first.weights()["W"])


def test_what_was_fixed_stays_to_the_end_and_nothing_stays_free(correlated, monkeypatch):
    problem, best = correlated
    structure = matrix_structure(problem, ranks={"W": 2})
    seen, train = [], _fine_tuning.train_values

    def spy(structure, values, *args, fixed, **kwargs):
        seen.append((dict(fixed), values))
        return train(structure, values, *args, fixed=fixed, **kwargs)

    monkeypatch.setattr(_fine_tuning, "train_values", spy)
    start = structure.start({"W": best})
    before = {part: value.clone() for part, value in start.items()}
    description = quantise_in_stages(structure, start, problem, STAGES, _rng(), price=PRICE, coarseness=4.0)
    assert all(torch.equal(before[part], start[part]) for part in start)
    last = description.values()
    n_fixed = []
    for fixed, values in seen:
        n_fixed.append(sum(int(mask.sum()) for mask in fixed.values()))
        for part, mask in fixed.items():
            assert torch.equal(values[part][mask], last[part][mask])
    assert n_fixed == sorted(set(n_fixed))
    assert 0 < n_fixed[0] < n_fixed[-1] < structure.n_values
    assert len(seen) + 1 == 2 + 5  # two stages for the 4 values of P, five for the 40 of Q
    assert all(np.abs(k).max() <= 64 for k in description.integers.values())


def test_a_dearer_bit_makes_a_shorter_message(correlated):
    problem, best = correlated
    structure = matrix_structure(problem)
    lengths = [
        quantise_in_stages(structure, {"W": best}, problem, STAGES, _rng(), price=price, coarseness=1.0).n_bits
        for price in (1e-6, 1e-4, 1e-2)
    ]
    assert lengths[0] > lengths[1] > lengths[2]


def test_coarseness_is_a_factor_of_the_price(correlated):
    problem, best = correlated
    structure = matrix_structure(problem)
    first = quantise_in_stages(structure, {"W": best}, problem, STAGES, _rng(), price=PRICE, coarseness=4.0)
    second = quantise_in_stages(structure, {"W": best}, problem, STAGES, _rng(), price=16 * PRICE, coarseness=1.0)
    assert first.message == second.message


# Errors


@pytest.mark.parametrize(
    "kwargs", [{"price": 0.0}, {"price": math.nan}, {"coarseness": -1.0}, {"coarseness": math.inf}]
)
def test_bad_prices(correlated, kwargs):
    problem, best = correlated
    with pytest.raises(ValueError, match="positive and finite"):
        quantise_in_stages(matrix_structure(problem), {"W": best}, problem, STAGES, _rng(), **{"price": 1e-3} | kwargs)


def test_values_and_fixed_of_another_shape(correlated):
    problem, best = correlated
    for values, fixed in (({}, None), ({"W": best[:1]}, None), ({"W": best}, {}), ({"W": best}, {"W": best[:1] > 0})):
        with pytest.raises(ValueError, match="parts and shapes"):
            train_values(matrix_structure(problem), values, problem, STAGES, _rng(), epochs=1, lr=0.1, fixed=fixed)
    with pytest.raises(ValueError, match="parts and shapes"):
        quantise_in_stages(matrix_structure(problem), {"W": best[:1]}, problem, STAGES, _rng(), price=1e-3)
    with pytest.raises(ValueError, match="finite"):
        quantise_in_stages(matrix_structure(problem), {"W": best * math.nan}, problem, STAGES, _rng(), price=1e-3)
