"""Coordinate descent on the bound: what it returns is true, never worse, and a local optimum when it may go on."""

import itertools
import math

import numpy as np
import pytest
import torch

from sklstm.generalization.compression import occam_bound
from sklstm.generalization.compression._description import Description, columns, step_number
from sklstm.generalization.compression._polish import _ranked_moves, polish
from sklstm.generalization.compression._structure import Structure


class LogisticTask:
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


class DistanceTask:
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


def _low_rank(task, seed):
    rng = np.random.default_rng(seed)
    structure = Structure({"W": torch.zeros(task.truth.shape)}, ranks={"W": 1})
    shapes = structure.shapes
    return Description(
        structure,
        dict.fromkeys(shapes, step_number(0.5)),
        {part: np.zeros(columns(shape), dtype=np.int64) for part, shape in shapes.items()},
        {part: rng.integers(-3, 4, shape) for part, shape in shapes.items()},
    )


def _bound(description, task, delta=0.05):
    loss = task.bounded_loss(description.weights())
    return occam_bound(loss, description.bits_at_most, task.n_samples, delta=delta, zero_one=task.zero_one)


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
    task = LogisticTask(seed=seed)
    start = _low_rank(task, seed) if seed % 2 else _described(np.random.default_rng(seed).integers(-3, 4, (1, 6)), 0.4)
    before, ticks = _bound(start, task), []
    message, task.n_calls = start.message, 0
    found, loss, value = polish(start, task, delta=0.05, n_trials=n_trials, price=1e-3, tick=lambda: ticks.append(1))
    assert task.n_calls == len(ticks) + 1 <= n_trials + 1
    assert value <= before
    assert loss == task.bounded_loss(found.weights())
    assert value == _bound(found, task)
    assert value >= occam_bound(loss, found.n_bits, task.n_samples, delta=0.05, zero_one=True)
    assert start.message == Description(start.structure, start.steps, start.finer, start.integers).message == message
    if n_trials == 0:
        assert found is start


@pytest.mark.parametrize("seed", range(3))
def test_result_is_a_local_optimum(seed):
    task = LogisticTask(seed=seed)
    for start in (_described(np.random.default_rng(seed).integers(-3, 4, (1, 6)), 0.4), _low_rank(task, seed)):
        task.n_calls = 0
        found, _, value = polish(start, task, delta=0.05, n_trials=5000, price=1e-3)
        assert task.n_calls < 5000
        assert value < _bound(start, task)
        assert all(_bound(neighbour, task) >= value for neighbour in _single_moves(found))


@pytest.mark.parametrize("n", [100, 100_000])
def test_optimum_of_a_problem_small_enough_to_try_everything(n):
    task = DistanceTask([[0.52, -0.18, 0.02]], n)
    start = _described([[3, 3, -3]], 0.25)
    found, _, value = polish(start, task, delta=0.05, n_trials=1000, price=0.01)
    everything = (start.replaced({"W": np.array([k])}) for k in itertools.product(range(-3, 4), repeat=3))
    assert value == min(_bound(one, task) for one in everything)
    if n == 100_000:
        np.testing.assert_array_equal(found.integers["W"], [[2, -1, 0]])  # bits cost nothing: the nearest


def test_moves_are_ranked_by_what_they_change():
    # The smooth loss has gradient 2 (w − t)/d: with free bits the first move is towards the most distant target, and
    # the last away from it. From 3 to zero in one move counts three times its slope, and less.
    task = DistanceTask([[0.0, 0.0, 0.0, 4.0]], 2500)
    start = _described([[3, 0, -1, 0]], 0.25)
    moves = _ranked_moves(start, task, 0.0)
    assert moves[0] == ("W", 3, 1)
    assert moves[-1] == ("W", 3, -1)
    assert {target for _, index, target in moves if index == 0} == {0, 2, 4}
    assert len(moves) == len(set(moves)) == 3 + 2 * 3
    dear = _ranked_moves(start, task, 1e6)
    assert dear[0] == ("W", 0, 0)  # to zero from afar saves most


def test_moves_count_by_the_step_of_their_column():
    task = DistanceTask([[0.5, 0.6]], 2500)
    start = _described([[0, 0]], 0.25)
    assert _ranked_moves(start, task, 0.0)[0] == ("W", 1, 1)
    finer = Description(start.structure, start.steps, {"W": np.array([0, 2])}, start.integers)
    assert _ranked_moves(finer, task, 0.0)[0] == ("W", 0, 1)


def test_moves_are_the_same_every_time():
    task = LogisticTask(seed=2)
    results = [polish(_low_rank(task, 2), task, delta=0.05, n_trials=40, price=1e-3)[0].message for _ in range(2)]
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
        polish(
            _described([[1]], 0.5), DistanceTask([[0.0]], 10), **{"delta": 0.1, "n_trials": 1, "price": 0.0} | kwargs
        )
