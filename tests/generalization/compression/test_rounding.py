"""From weights to integers: curvatures, grids and levels, the price of a bit, coordinate descent on the bound."""

import itertools
import math

import numpy as np
import pytest
import torch

from sklstm.generalization import Description, Structure, occam_bound
from sklstm.generalization.compression._arithmetic_code import integer_bits
from sklstm.generalization.compression._description import columns, step_number, step_size
from sklstm.generalization.compression._rounding import (
    _ranked_moves,
    coordinate_descent,
    curvature,
    grids,
    nearest_levels,
    price_of_a_bit,
)
from tests.support.linear_problem import LinearProblem, matrix_structure


def _rng(seed=0):
    return np.random.default_rng(seed)


# Curvature and grids


def test_curvature_is_the_fisher_information():
    # For normal targets of unit variance it is E x², whatever the weights; here at the true ones.
    problem = LinearProblem(24_000, 3, n_out=2)
    problem.x *= torch.tensor([0.3, 1.0, 5.0]).double()
    problem.y = problem.x @ problem.truth.T + torch.from_numpy(_rng(1).normal(size=(24_000, 2)))
    fisher = curvature(matrix_structure(problem), {"W": problem.truth}, problem, _rng(), n_rows=24_000)["W"]
    exact = problem.x.square().mean(dim=0).expand(2, 3)
    # A square of a nearly normal number has the relative deviation √2; there are 3000 batches.
    torch.testing.assert_close(fisher, exact, rtol=4 * math.sqrt(2 / 3000), atol=0)


def test_curvature_of_factors_follows_the_chain_rule():
    # By P: gradients G of the weights enter as G Qᵀ. One batch, so that nothing is random.
    problem = LinearProblem(8, 4, n_out=3)
    structure = matrix_structure(problem, ranks={"W": 2})
    values = structure.start({"W": problem.truth + 1})
    _, gradient = problem.gradient(structure.compose(values), torch.arange(8), bounded=False)
    fisher = curvature(structure, values, problem, _rng())
    by_left = gradient["W"] @ values["W.right"].T
    torch.testing.assert_close(fisher["W.left"], 8 * by_left.square())
    torch.testing.assert_close(fisher["W.right"], 8 * (values["W.left"].T @ gradient["W"]).square())


def test_curvature_has_the_expectation_that_is_stated():
    problem = LinearProblem(64, 2)
    weights = problem.truth + 0.3
    one_by_one = (problem.x @ weights.T - problem.y) * problem.x
    mean, variance = one_by_one.mean(dim=0), one_by_one.var(dim=0, unbiased=True)
    # 8 of 64 without replacement.
    exact = variance * (1 - 8 / 64) + 8 * mean.square()
    drawn = torch.stack(
        [curvature(matrix_structure(problem), {"W": weights}, problem, _rng(seed))["W"][0] for seed in range(150)]
    )
    error = drawn.std(dim=0) / math.sqrt(150)
    assert ((drawn.mean(dim=0) - exact).abs() < 4 * error).all()
    assert (4 * error < 0.2 * exact).all()


@pytest.mark.parametrize("price", [1e-6, 1e-4, 1e-2])
def test_step_minimises_damage_and_bits(price):
    h = 0.37
    structure = Structure({"W": torch.zeros(5, 4)})
    description = grids(structure, {"W": torch.full((5, 4), 100.0)}, {"W": torch.full((5, 4), h)}, price)
    cost = [h * step_size(j) ** 2 / 24 - price * math.log2(step_size(j)) for j in range(256)]
    # Rounded down to a step: the best of all or its lower neighbour.
    assert description.steps["W"] in (int(np.argmin(cost)), int(np.argmin(cost)) - 1)
    assert not description.finer["W"].any()


def test_columns_of_large_curvature_have_finer_grids():
    structure = Structure({"W": torch.zeros(3, 6)})
    fisher = torch.tensor([1.0, 1.0, 1.0, 4.0, 16.0, 1024.0]).expand(3, 6)
    description = grids(structure, {"W": torch.full((3, 6), 100.0)}, {"W": fisher}, 1e-3)
    np.testing.assert_array_equal(description.finer["W"], [0, 0, 0, 0, 2, 5])
    even = (1 + 1 + 1 + 4 + 1 + 1) / 6
    assert description.steps["W"] == step_number(math.sqrt(12e-3 / (math.log(2) * even)))


def test_grids_are_no_coarser_than_the_values_and_cope_with_dead_columns():
    structure = Structure({"W": torch.zeros(3, 5), "b": torch.zeros(2)})
    values = {"W": torch.full((3, 5), -0.3).double(), "b": torch.zeros(2)}
    fisher = {"W": torch.tensor([0.0, 0.0, 0.0, 0.0, 7.0]).expand(3, 5), "b": torch.zeros(2)}
    description = grids(structure, values, fisher, 1e-3)
    assert description.finer["W"].max() == 16
    mean = 7 / 5
    best = step_number(2.0**16 * math.sqrt(12e-3 / (math.log(2) * mean)))
    assert float(description.grid("W")[4]) == 2.0**-16 * step_size(best) < 0.3
    dear = grids(structure, values, fisher, 10.0)
    assert float(dear.grid("W")[4]) == 2.0**-16 * step_size(step_number(2.0**16 * 0.3)) <= 0.3
    assert description.steps["b"] == step_number(1e-12)


# Levels


def test_a_free_choice_is_rounding():
    z = _rng().normal(0, 20, 500)
    z[:2] = [90.0, -1e6]
    nothing, free = np.zeros(500, dtype=np.int64), np.zeros(500, dtype=bool)
    levels = nearest_levels(z, np.ones(500), free, nothing, 0.0)
    np.testing.assert_array_equal(levels, np.clip(np.rint(z), -64, 64))
    assert levels.dtype == np.int64


def test_a_dear_choice_is_zero_except_where_fixed():
    z = _rng().normal(0, 1, (20, 25))
    fixed = _rng(1).random((20, 25)) < 0.2
    taken = _rng(2).integers(-3, 4, (20, 25))
    levels = nearest_levels(z, np.ones_like(z), fixed, taken, 1e9)
    np.testing.assert_array_equal(levels, np.where(fixed, taken, 0))
    cheap = nearest_levels(z, np.ones_like(z), fixed, taken, 0.0)
    np.testing.assert_array_equal(cheap, np.where(fixed, taken, np.rint(z)))


def test_a_price_buys_fewer_bits_than_rounding_for_what_it_costs():
    z, h = _rng().laplace(0, 1.5, 800), _rng(1).uniform(0.1, 2, 800)
    nothing, free = np.zeros(800, dtype=np.int64), np.zeros(800, dtype=bool)

    def total(levels, price):
        return float((0.5 * h * (z - levels) ** 2).sum()) + price * integer_bits(levels)

    lengths = []
    for price in (0.03, 0.1, 0.3):
        levels = nearest_levels(z, h, free, nothing, price)
        assert total(levels, price) < total(np.rint(z).astype(np.int64), price)
        assert ((np.abs(z - levels) < 1) | (levels == 0)).all()
        lengths.append(integer_bits(levels))
    assert lengths == sorted(lengths, reverse=True)


@pytest.mark.parametrize(("loss", "n_bits", "n"), [(0.1, 500, 25_000), (0.3, 3000, 60_000), (0.5, 200, 5000)])
def test_price_of_a_bit_is_a_slope(loss, n_bits, n):
    def expansion(bits):
        return loss + math.sqrt(2 * loss * (1 - loss) * (bits * math.log(2) + math.log(1 / 0.05)) / n)

    price = price_of_a_bit(loss, n_bits, n, 0.05)
    assert price == pytest.approx((expansion(n_bits + 1) - expansion(n_bits - 1)) / 2, rel=1e-5)
    bound = [occam_bound(loss, n_bits + change, n, delta=0.05) for change in (-1, 1)]
    assert price == pytest.approx((bound[1] - bound[0]) / 2, rel=0.3)


def test_price_of_a_bit_approaches_the_slope_of_the_bound():
    errors = []
    for n in (10**4, 10**6, 10**8):
        bound = [occam_bound(0.2, 1000 + change, n, delta=0.05) for change in (-10, 10)]
        errors.append(abs(price_of_a_bit(0.2, 1000, n, 0.05) / ((bound[1] - bound[0]) / 20) - 1))
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 5e-3


def test_price_of_a_bit_is_positive_without_errors():
    assert price_of_a_bit(0.0, 0, 1000, 0.05) == price_of_a_bit(1.0, 0, 1000, 0.05) > 0


# Errors


@pytest.mark.parametrize(
    "kwargs",
    [{"loss": -0.1}, {"loss": 1.1}, {"loss": math.nan}, {"n_bits": -1}, {"n_samples": 0}, {"delta": 0.0}, {"delta": 1}],
)
def test_bad_arguments_of_the_price(kwargs):
    with pytest.raises(ValueError, match=r"need a loss|delta"):
        price_of_a_bit(**{"loss": 0.1, "n_bits": 1, "n_samples": 9, "delta": 0.1} | kwargs)


class LogisticProblem:
    """Labels ±1 of a linear classifier: logistic loss, its sigmoid, and errors."""

    zero_one = True

    def __init__(self, n=400, d=6, seed=0):
        rng = np.random.default_rng(seed)
        self.x = torch.from_numpy(rng.normal(size=(n, d)))
        self.truth = torch.from_numpy(rng.normal(size=(1, d)))
        noise = torch.from_numpy(rng.normal(size=n))
        self.y = torch.sign(self.x @ self.truth[0] + 0.3 * noise)
        self.n_samples = n
        self.n_calls = 0

    def gradient(self, weights, rows, *, bounded):
        w = weights["W"].detach().double().requires_grad_(True)
        margin = (self.x[rows] @ w.T)[:, 0] * self.y[rows]
        loss = (torch.sigmoid(-margin) if bounded else torch.nn.functional.softplus(-margin)).mean()
        return float(loss.detach()), {"W": torch.autograd.grad(loss, w)[0]}

    def bounded_loss(self, weights):
        self.n_calls += 1
        return float(((self.x @ weights["W"].double().T)[:, 0] * self.y <= 0).double().mean())


class DistanceProblem:
    """No data: the loss is a squared distance from a target, so that each weight has its own optimum."""

    zero_one = False

    def __init__(self, target, n):
        self.target, self.n_samples = torch.tensor(target, dtype=torch.float64), n

    def gradient(self, weights, rows, *, bounded):
        away = weights["W"].double() - self.target
        return float(away.square().mean()), {"W": 2 * away / away.numel()}

    def bounded_loss(self, weights):
        return min(1.0, float((weights["W"].double() - self.target).square().mean()))


def _described(integers, step, **kwargs):
    integers = np.array(integers)
    structure = Structure({"W": torch.zeros(integers.shape)}, **kwargs)
    none = np.zeros(columns(integers.shape), dtype=np.int64)
    return Description(structure, {"W": step_number(step)}, {"W": none}, {"W": integers})


def _low_rank(problem, seed):
    rng = np.random.default_rng(seed)
    structure = Structure({"W": torch.zeros(problem.truth.shape)}, ranks={"W": 1})
    shapes = structure.shapes
    return Description(
        structure,
        dict.fromkeys(shapes, step_number(0.5)),
        {part: np.zeros(columns(shape), dtype=np.int64) for part, shape in shapes.items()},
        {part: rng.integers(-3, 4, shape) for part, shape in shapes.items()},
    )


def _bound(description, problem, delta=0.05):
    loss = problem.bounded_loss(description.weights())
    return occam_bound(loss, description.bits_at_most, problem.n_samples, delta=delta, zero_one=problem.zero_one)


def _single_moves(description):
    for part, integers in description.integers.items():
        for at in np.ndindex(integers.shape):
            for target in {int(integers[at]) - 1, int(integers[at]) + 1, 0}:
                moved = integers.copy()
                moved[at] = target
                yield description.replaced({**description.integers, part: moved})


@pytest.mark.parametrize("n_trials", [0, 1, 7, 50])
@pytest.mark.parametrize("seed", range(4))
def test_never_worse_and_says_what_it_is(seed, n_trials):
    problem = LogisticProblem(seed=seed)
    start = (
        _low_rank(problem, seed) if seed % 2 else _described(np.random.default_rng(seed).integers(-3, 4, (1, 6)), 0.4)
    )
    before, ticks = _bound(start, problem), []
    message, problem.n_calls = start.message, 0
    found, loss, value = coordinate_descent(
        start, problem, delta=0.05, n_trials=n_trials, price=1e-3, tick=lambda: ticks.append(1)
    )
    assert problem.n_calls == len(ticks) + 1 <= n_trials + 1
    assert value <= before
    assert loss == problem.bounded_loss(found.weights())
    assert value == _bound(found, problem)
    assert value >= occam_bound(loss, found.n_bits, problem.n_samples, delta=0.05, zero_one=True)
    assert start.message == Description(start.structure, start.steps, start.finer, start.integers).message == message
    if n_trials == 0:
        assert found is start


@pytest.mark.parametrize("seed", range(3))
def test_result_is_a_local_optimum(seed):
    problem = LogisticProblem(seed=seed)
    for start in (_described(np.random.default_rng(seed).integers(-3, 4, (1, 6)), 0.4), _low_rank(problem, seed)):
        problem.n_calls = 0
        found, _, value = coordinate_descent(start, problem, delta=0.05, n_trials=5000, price=1e-3)
        assert problem.n_calls < 5000
        assert value < _bound(start, problem)
        assert all(_bound(neighbour, problem) >= value for neighbour in _single_moves(found))


@pytest.mark.parametrize("n", [100, 100_000])
def test_optimum_of_a_problem_small_enough_to_try_everything(n):
    problem = DistanceProblem([[0.52, -0.18, 0.02]], n)
    start = _described([[3, 3, -3]], 0.25)
    found, _, value = coordinate_descent(start, problem, delta=0.05, n_trials=1000, price=0.01)
    everything = (start.replaced({"W": np.array([k])}) for k in itertools.product(range(-3, 4), repeat=3))
    assert value == min(_bound(one, problem) for one in everything)
    if n == 100_000:
        np.testing.assert_array_equal(found.integers["W"], [[2, -1, 0]])  # bits cost nothing: the nearest


def test_moves_are_ranked_by_what_they_change():
    # The smooth loss has gradient 2 (w − t)/d: with free bits the first move is towards the most distant target, and
    # the last away from it. From 3 to zero in one move counts three times its slope, and less.
    problem = DistanceProblem([[0.0, 0.0, 0.0, 4.0]], 2500)
    start = _described([[3, 0, -1, 0]], 0.25)
    moves = _ranked_moves(start, problem, 0.0)
    assert moves[0] == ("W", 3, 1)
    assert moves[-1] == ("W", 3, -1)
    assert {target for _, index, target in moves if index == 0} == {0, 2, 4}
    assert len(moves) == len(set(moves)) == 3 + 2 * 3
    dear = _ranked_moves(start, problem, 1e6)
    assert dear[0] == ("W", 0, 0)  # to zero from afar saves most


def test_moves_count_by_the_step_of_their_column():
    problem = DistanceProblem([[0.5, 0.6]], 2500)
    start = _described([[0, 0]], 0.25)
    assert _ranked_moves(start, problem, 0.0)[0] == ("W", 1, 1)
    finer = Description(start.structure, start.steps, {"W": np.array([0, 2])}, start.integers)
    assert _ranked_moves(finer, problem, 0.0)[0] == ("W", 0, 1)


def test_moves_are_the_same_every_time():
    problem = LogisticProblem(seed=2)
    results = [
        coordinate_descent(_low_rank(problem, 2), problem, delta=0.05, n_trials=40, price=1e-3)[0].message
        for _ in range(2)
    ]
    assert results[0] == results[1]


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [
        ({"delta": 0.0}, "delta"),
        ({"delta": 1.0}, "delta"),
        ({"n_trials": -1}, "n_trials"),
        ({"price": -1.0}, "price"),
        ({"price": math.nan}, "price"),
    ],
)
def test_bad_arguments(kwargs, match):
    with pytest.raises(ValueError, match=match):
        coordinate_descent(
            _described([[1]], 0.5), DistanceProblem([[0.0]], 10), **{"delta": 0.1, "n_trials": 1, "price": 0.0} | kwargs
        )
