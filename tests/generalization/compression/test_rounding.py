"""Grids and levels: what a bit is worth, and where a weight goes for it."""

import math

import numpy as np
import pytest
import torch

from sklstm.generalization.compression import integer_bits, occam_bound
from sklstm.generalization.compression._description import step_number, step_size
from sklstm.generalization.compression._rounding import grids, level_costs, nearest_levels, price_of_a_bit
from sklstm.generalization.compression._structure import Structure


def _rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("price", [1e-6, 1e-4, 1e-2])
def test_step_minimises_damage_and_bits(price):
    h = 0.37
    structure = Structure({"W": torch.zeros(5, 4)})
    plan = grids(structure, {"W": torch.full((5, 4), 100.0)}, {"W": torch.full((5, 4), h)}, price)
    cost = [h * step_size(j) ** 2 / 24 - price * math.log2(step_size(j)) for j in range(256)]
    # Rounded down to a step: the best of all or its lower neighbour.
    assert plan.steps["W"] in (int(np.argmin(cost)), int(np.argmin(cost)) - 1)
    assert not plan.finer["W"].any()


def test_columns_of_large_curvature_have_finer_grids():
    structure = Structure({"W": torch.zeros(3, 6)})
    fisher = torch.tensor([1.0, 1.0, 1.0, 4.0, 16.0, 1024.0]).expand(3, 6)
    plan = grids(structure, {"W": torch.full((3, 6), 100.0)}, {"W": fisher}, 1e-3)
    np.testing.assert_array_equal(plan.finer["W"], [0, 0, 0, 0, 2, 5])
    even = (1 + 1 + 1 + 4 + 1 + 1) / 6
    assert plan.steps["W"] == step_number(math.sqrt(12e-3 / (math.log(2) * even)))


def test_grids_are_no_coarser_than_the_values_and_cope_with_dead_columns():
    structure = Structure({"W": torch.zeros(3, 5), "b": torch.zeros(2)})
    values = {"W": torch.full((3, 5), -0.3).double(), "b": torch.zeros(2)}
    fisher = {"W": torch.tensor([0.0, 0.0, 0.0, 0.0, 7.0]).expand(3, 5), "b": torch.zeros(2)}
    plan = grids(structure, values, fisher, 1e-3)
    assert plan.finer["W"].max() == 16
    mean = 7 / 5
    best = step_number(2.0**16 * math.sqrt(12e-3 / (math.log(2) * mean)))
    assert float(plan.grid("W")[4]) == 2.0**-16 * step_size(best) < 0.3
    dear = grids(structure, values, fisher, 10.0)
    assert float(dear.grid("W")[4]) == 2.0**-16 * step_size(step_number(2.0**16 * 0.3)) <= 0.3
    assert plan.steps["b"] == step_number(1e-12)


# Levels


@pytest.mark.parametrize("spread", [0.3, 2.0, 20.0])
def test_level_costs_are_what_the_code_takes(spread):
    integers = np.rint(_rng().laplace(0.2, spread, 300)).astype(np.int64)
    integers[:3] = [127, 128, 5000]
    before, costs = integer_bits(integers), level_costs(integers)
    assert costs.shape == (65,)
    for k, cost in enumerate(costs):
        longer = [integer_bits(np.append(integers, sign * k)) - before for sign in (-1, 1)]
        assert cost == pytest.approx(sum(longer) / 2, rel=1e-9)


def test_level_costs_of_nothing():
    np.testing.assert_allclose(level_costs(np.zeros(0, dtype=np.int64))[:3], [1, 3, 4])  # fair decisions


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
