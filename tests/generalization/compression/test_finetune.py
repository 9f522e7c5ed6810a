"""Fine-tuning: curvatures, prices and optima that are known in advance, and stages that keep what they fixed."""

import math

import numpy as np
import pytest
import torch

from sklstm.generalization.compression import _finetune
from sklstm.generalization.compression._description import Description
from sklstm.generalization.compression._finetune import Schedule, curvature, n_epochs, quantise_in_stages, train_values
from sklstm.generalization.compression._rounding import nearest_levels
from sklstm.generalization.compression._structure import Structure


class LinearTask:
    """Normal targets of unit variance around W x: log-likelihood ½(Wx − y)², bounded loss 1 − exp(−½(Wx − y)²)."""

    zero_one = False

    def __init__(self, n, d, seed=0, *, n_out=1, shared=0.0, noise=1.0):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(n, d)) + shared * rng.normal(size=(n, 1))
        self.truth = torch.from_numpy(rng.normal(size=(n_out, d)))
        self.x = torch.from_numpy(x)
        self.y = self.x @ self.truth.T + noise * torch.from_numpy(rng.normal(size=(n, n_out)))
        self.n_samples = n

    def _loss(self, weights, rows, bounded):
        half = 0.5 * (self.x[rows] @ weights["W"].double().T - self.y[rows]).square().sum(dim=1)
        return (-torch.expm1(-half) if bounded else half).mean()

    def gradient(self, weights, rows, *, bounded):
        leaves = {name: tensor.detach().clone().requires_grad_(True) for name, tensor in weights.items()}
        loss = self._loss(leaves, rows, bounded)
        return float(loss.detach()), dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True))

    def bounded_loss(self, weights):
        with torch.no_grad():
            return float(self._loss(weights, torch.arange(self.n_samples), True))


def _matrix(task, dtype=torch.float64, **kwargs):
    return Structure({"W": torch.zeros(task.truth.shape, dtype=dtype)}, **kwargs)


FULL_BATCH = Schedule(batch_size=1000)


def _rng(seed=0):
    return np.random.default_rng(seed)


# Training


def test_training_finds_the_minimum_of_a_quadratic():
    task = LinearTask(80, 4, n_out=2)
    start = {"W": torch.zeros(2, 4).double()}
    found = train_values(_matrix(task), start, task, FULL_BATCH, _rng(), epochs=400, lr=0.05)
    best = torch.linalg.lstsq(task.x, task.y).solution.T
    torch.testing.assert_close(found["W"], best, rtol=0, atol=1e-3)
    assert not start["W"].any()
    assert not found["W"].requires_grad


def test_fixed_entries_stay_while_the_rest_finds_its_own_minimum():
    task = LinearTask(80, 4, shared=1.0)
    start = {"W": torch.tensor([[0.7, 0.0, -1.3, 0.0]]).double()}
    fixed = {"W": torch.tensor([[True, False, True, False]])}
    found = train_values(_matrix(task), start, task, FULL_BATCH, _rng(), epochs=600, lr=0.05, fixed=fixed)["W"]
    assert torch.equal(found[fixed["W"]], start["W"][fixed["W"]])
    rest = task.y - task.x[:, [0, 2]] @ start["W"][0, [0, 2]][:, None]
    best = torch.linalg.lstsq(task.x[:, [1, 3]], rest).solution.T
    torch.testing.assert_close(found[:, [1, 3]], best, rtol=0, atol=1e-3)


def test_training_through_factors_and_in_a_subspace():
    task = LinearTask(80, 4, n_out=3)
    for kwargs in ({"ranks": {"W": 2}}, {"subspace": 3}):
        structure = _matrix(task, **kwargs)
        start = structure.start({"W": task.truth + 0.5})
        found = train_values(structure, start, task, FULL_BATCH, _rng(), epochs=600, lr=0.05)
        # The gradient by the parts, on another route: automatic differentiation of the whole.
        leaves = {part: value.clone().requires_grad_(True) for part, value in found.items()}
        loss = task._loss(structure.compose(leaves), torch.arange(80), False)
        gradients = torch.autograd.grad(loss, list(leaves.values()))
        assert max(float(gradient.abs().max()) for gradient in gradients) < 0.01
        assert float(loss.detach()) < float(task._loss(structure.compose(start), torch.arange(80), False))


def test_rates_fall_along_a_half_cosine():
    # Under a constant gradient, Adam moves by its rate; the cosines of half a turn add up to 1.
    task = LinearTask(5, 2)
    task.gradient = lambda weights, rows, *, bounded: (0.0, {"W": torch.tensor([[0.3, -0.02]]).double()})
    found = train_values(_matrix(task), {"W": task.truth}, task, FULL_BATCH, _rng(), epochs=7, lr=0.1)["W"]
    expected = 0.1 * (0.505 * 7 + 0.495) * torch.tensor([[-1.0, 1.0]]).double()
    torch.testing.assert_close(found - task.truth, expected, rtol=1e-5, atol=0)


def test_training_for_no_epochs_is_a_copy():
    task = LinearTask(8, 2)
    start = {"W": torch.ones(1, 2).double()}
    found = train_values(_matrix(task), start, task, FULL_BATCH, _rng(), epochs=0, lr=0.1)
    assert torch.equal(found["W"], start["W"])
    assert found["W"].data_ptr() != start["W"].data_ptr()


def test_batches_without_a_finite_gradient_are_left_out():
    task, ticks = LinearTask(40, 2), []
    structure, start = _matrix(task), {"W": torch.zeros(1, 2).double()}
    kwargs = {"epochs": 3, "lr": 0.1, "tick": lambda: ticks.append(1)}
    task.y[:] = math.nan
    found = train_values(structure, start, task, Schedule(batch_size=8), _rng(), **kwargs)
    assert torch.equal(found["W"], start["W"])
    task = LinearTask(40, 2)
    task.y[3] = math.inf
    found = train_values(structure, start, task, Schedule(batch_size=8), _rng(), **kwargs)
    assert torch.isfinite(found["W"]).all()
    assert found["W"].any()
    assert len(ticks) == 6


# Curvature and grids


def test_curvature_is_the_fisher_information():
    # For normal targets of unit variance it is E x², whatever the weights; here at the true ones.
    task = LinearTask(24_000, 3, n_out=2)
    task.x *= torch.tensor([0.3, 1.0, 5.0]).double()
    task.y = task.x @ task.truth.T + torch.from_numpy(_rng(1).normal(size=(24_000, 2)))
    fisher = curvature(_matrix(task), {"W": task.truth}, task, _rng(), n_rows=24_000)["W"]
    exact = task.x.square().mean(dim=0).expand(2, 3)
    # A square of a nearly normal number has the relative deviation √2; there are 3000 batches.
    torch.testing.assert_close(fisher, exact, rtol=4 * math.sqrt(2 / 3000), atol=0)


def test_curvature_of_factors_follows_the_chain_rule():
    # By P: gradients G of the weights enter as G Qᵀ. One batch, so that nothing is random.
    task = LinearTask(8, 4, n_out=3)
    structure = _matrix(task, ranks={"W": 2})
    values = structure.start({"W": task.truth + 1})
    _, gradient = task.gradient(structure.compose(values), torch.arange(8), bounded=False)
    fisher = curvature(structure, values, task, _rng())
    by_left = gradient["W"] @ values["W.right"].T
    torch.testing.assert_close(fisher["W.left"], 8 * by_left.square())
    torch.testing.assert_close(fisher["W.right"], 8 * (values["W.left"].T @ gradient["W"]).square())


def test_curvature_has_the_expectation_that_is_stated():
    task = LinearTask(64, 2)
    weights = task.truth + 0.3
    one_by_one = (task.x @ weights.T - task.y) * task.x
    mean, variance = one_by_one.mean(dim=0), one_by_one.var(dim=0, unbiased=True)
    # 8 of 64 without replacement.
    exact = variance * (1 - 8 / 64) + 8 * mean.square()
    drawn = torch.stack([curvature(_matrix(task), {"W": weights}, task, _rng(seed))["W"][0] for seed in range(150)])
    error = drawn.std(dim=0) / math.sqrt(150)
    assert ((drawn.mean(dim=0) - exact).abs() < 4 * error).all()
    assert (4 * error < 0.2 * exact).all()


# Stages

STAGES = Schedule(stage_epochs=2, n_stages=5, batch_size=100, stage_lr=0.01)
PRICE = 2e-4


@pytest.fixture(scope="module")
def correlated():
    task = LinearTask(600, 20, n_out=2, shared=2.0)
    best = torch.linalg.lstsq(task.x, task.y).solution.T.contiguous()
    return task, best


@pytest.mark.parametrize("kwargs", [{}, {"ranks": {"W": 2}}], ids=["direct", "low rank"])
def test_stages_are_better_than_rounding_at_once(correlated, kwargs):
    task, best = correlated
    structure = _matrix(task, torch.float32, **kwargs)
    values, ticks = structure.start({"W": best}), []
    settings = {"price": PRICE, "coarseness": 12.0}
    plan = quantise_in_stages(structure, values, task, STAGES, _rng(), **settings, tick=lambda: ticks.append(1))
    assert len(ticks) == n_epochs(structure, STAGES)
    # On the same grids, both to the nearest level and to the one that is best at the same price.
    fisher = curvature(structure, values, task, _rng())
    for price in (0.0, PRICE * 12**2):
        levels = {}
        for part, value in values.items():
            grid, none = plan.grid(part), np.zeros(value.shape, dtype=bool)
            h = (fisher[part] * grid**2).numpy()
            levels[part] = nearest_levels((value / grid).numpy(), h, none, plan.integers[part], price)
        at_once = plan.replaced(levels)
        assert task.bounded_loss(plan.weights()) < task.bounded_loss(at_once.weights())
        assert plan.n_bits < 1.02 * at_once.n_bits
    again = quantise_in_stages(structure, values, task, STAGES, _rng(), **settings)
    assert again.message == plan.message
    decoded = Description.decode(*plan.message, structure)
    assert torch.equal(decoded.weights()["W"], plan.weights()["W"])


def test_what_was_fixed_stays_to_the_end_and_nothing_stays_free(correlated, monkeypatch):
    task, best = correlated
    structure = _matrix(task, ranks={"W": 2})
    seen, train = [], _finetune.train_values

    def spy(structure, values, *args, fixed, **kwargs):
        seen.append((dict(fixed), values))
        return train(structure, values, *args, fixed=fixed, **kwargs)

    monkeypatch.setattr(_finetune, "train_values", spy)
    start = structure.start({"W": best})
    before = {part: value.clone() for part, value in start.items()}
    plan = quantise_in_stages(structure, start, task, STAGES, _rng(), price=PRICE, coarseness=4.0)
    assert all(torch.equal(before[part], start[part]) for part in start)
    last = plan.values()
    n_fixed = []
    for fixed, values in seen:
        n_fixed.append(sum(int(mask.sum()) for mask in fixed.values()))
        for part, mask in fixed.items():
            assert torch.equal(values[part][mask], last[part][mask])
    assert n_fixed == sorted(set(n_fixed))
    assert 0 < n_fixed[0] < n_fixed[-1] < structure.n_values
    assert len(seen) + 1 == 2 + 5  # two stages for the 4 values of P, five for the 40 of Q
    assert all(np.abs(k).max() <= 64 for k in plan.integers.values())


def test_a_dearer_bit_makes_a_shorter_message(correlated):
    task, best = correlated
    structure = _matrix(task)
    lengths = [
        quantise_in_stages(structure, {"W": best}, task, STAGES, _rng(), price=price, coarseness=1.0).n_bits
        for price in (1e-6, 1e-4, 1e-2)
    ]
    assert lengths[0] > lengths[1] > lengths[2]


def test_coarseness_is_a_factor_of_the_price(correlated):
    task, best = correlated
    structure = _matrix(task)
    first = quantise_in_stages(structure, {"W": best}, task, STAGES, _rng(), price=PRICE, coarseness=4.0)
    second = quantise_in_stages(structure, {"W": best}, task, STAGES, _rng(), price=16 * PRICE, coarseness=1.0)
    assert first.message == second.message


# The price of a bit


@pytest.mark.parametrize(
    "kwargs",
    [
        {"epochs": -1},
        {"stage_epochs": -1},
        {"n_stages": 0},
        {"batch_size": 0},
        {"lr": 0.0},
        {"stage_lr": math.inf},
        {"lr": math.nan},
    ],
)
def test_bad_schedules(kwargs):
    with pytest.raises(ValueError, match=r"epochs|learning rates"):
        Schedule(**kwargs)


@pytest.mark.parametrize(
    "kwargs", [{"price": 0.0}, {"price": math.nan}, {"coarseness": -1.0}, {"coarseness": math.inf}]
)
def test_bad_prices(correlated, kwargs):
    task, best = correlated
    with pytest.raises(ValueError, match="positive and finite"):
        quantise_in_stages(_matrix(task), {"W": best}, task, STAGES, _rng(), **{"price": 1e-3} | kwargs)


def test_values_and_fixed_of_another_shape(correlated):
    task, best = correlated
    for values, fixed in (({}, None), ({"W": best[:1]}, None), ({"W": best}, {}), ({"W": best}, {"W": best[:1] > 0})):
        with pytest.raises(ValueError, match="parts and shapes"):
            train_values(_matrix(task), values, task, STAGES, _rng(), epochs=1, lr=0.1, fixed=fixed)
    with pytest.raises(ValueError, match="parts and shapes"):
        quantise_in_stages(_matrix(task), {"W": best[:1]}, task, STAGES, _rng(), price=1e-3)
    with pytest.raises(ValueError, match="finite"):
        quantise_in_stages(_matrix(task), {"W": best * math.nan}, task, STAGES, _rng(), price=1e-3)
