r"""Which grid, and which level of it: the bits that a weight is worth.

The grids are as coarse as the bound wants them. A bit more costs it about :math:`\kappa` in the loss; rounding to a
step s costs :math:`h s^2/24` a weight, with h the curvature of the loss; and halving s adds one bit. The sum is least
at :math:`s^2 = 12\kappa/(h\ln 2)`. Curvatures are means of squared gradients (the empirical Fisher information), one a
part, refined by columns, so that a channel of large mean has a finer grid. Each weight goes to the level with the
smallest sum of damage and bits (entropy-constrained quantisation, Chou et al. 1989).
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sklstm.generalization._inputs import check_delta

from ._arithmetic import _ESCAPE, _SHARED
from ._description import Description, columns, step_number
from ._structure import Structure

__all__ = ["grids", "level_costs", "nearest_levels", "price_of_a_bit"]

Values = dict[str, Tensor]

_RADIUS = 64  # largest magnitude of an integer: levels further out than this are not considered
# A column whose best step is 2^1.5 times smaller than that of the median column, with 8 times its curvature, gets a
# finer grid, of at least two binary digits: one would hardly be worth its bits. Beyond _FINEST the others are dead.
_FINER, _FINEST = 1.5, 16


def grids(structure: Structure, values: Values, fisher: Values, price: float) -> Description:
    """Steps and finer columns for these curvatures, with `price` in the units of the loss; all integers zero."""
    steps, finer, integers = {}, {}, {}
    for part, shape in structure.shapes.items():
        h = fisher[part].reshape(-1, columns(shape))
        by_column = h.mean(dim=0).clamp_min(1e-30)
        exponent = 0.5 * torch.log2(by_column / by_column.median())
        digits = (exponent + 0.5).floor().clamp_max(_FINEST)
        finer[part] = torch.where(exponent >= _FINER, digits, 0).numpy().astype(np.int64)
        even = h / 4.0 ** torch.from_numpy(finer[part])
        best = math.sqrt(12 * price / (math.log(2) * max(float(even.mean()), 1e-30)))
        # Coarser than the values themselves there is nothing left to describe.
        largest = float((values[part].abs().reshape(h.shape) * 2.0 ** torch.from_numpy(finer[part])).max())
        steps[part] = step_number(min(best, max(largest, 1e-12)))
        integers[part] = np.zeros(shape, dtype=np.int64)
    return Description(structure, steps, finer, integers)


def level_costs(integers: NDArray[np.int64], radius: int = _RADIUS) -> NDArray[np.float64]:
    """Bits that `encode_integers` would take for a further integer after these, mean over both signs.

    Returns
    -------
    ndarray of shape (radius + 1,)
        For the magnitudes 0 to `radius`, which has to be below 128.
    """
    magnitudes = np.minimum(np.abs(integers).ravel(), _ESCAPE)
    count = np.bincount(magnitudes, minlength=_ESCAPE + 1).astype(float)
    above = magnitudes.size - count.cumsum()  # above[k]: integers of a magnitude of more than k
    n_negative = float(np.count_nonzero(integers < 0))
    n_signs = above[0]
    sign = math.log2(n_signs + 1) - 0.5 * math.log2((n_negative + 0.5) * (n_signs - n_negative + 0.5))
    cost = np.empty(radius + 1)
    cost[0] = math.log2(magnitudes.size + 1) - math.log2(count[0] + 0.5)
    walked = sign + math.log2(magnitudes.size + 1) - math.log2(above[0] + 0.5)
    shared_stops, shared_goes = count[_SHARED:_ESCAPE].sum(), above[_SHARED:_ESCAPE].sum()
    for k in range(1, radius + 1):
        # Magnitudes from _SHARED on have one context, which the integer itself teaches on its way.
        stops, goes = (count[k], above[k]) if k < _SHARED else (shared_stops, shared_goes + (k - _SHARED))
        total = math.log2(stops + goes + 1)
        cost[k] = walked + total - math.log2(stops + 0.5)
        walked += total - math.log2(goes + 0.5)
    return cost


def nearest_levels(
    z: NDArray[np.float64], h: NDArray[np.float64], fixed: NDArray[np.bool_], taken: NDArray[np.int64], price: float
) -> NDArray[np.int64]:
    """Integers k with a small sum of damage h/2 (z − k)² and price of bits; z and h in units of the grid.

    Where `fixed` is true it is `taken`; elsewhere, the best of the two integers around z and of zero, within ±64. What
    an integer costs depends on all the others, so that the choice is repeated four times, first from z rounded.
    """
    out = np.where(fixed, taken, np.clip(np.rint(z), -_RADIUS, _RADIUS)).astype(np.int64)
    free = ~fixed
    for _ in range(4):  # the price depends on the counts, the counts on the choice
        cost = level_costs(out)
        towards_zero = np.clip(np.trunc(z), -_RADIUS, _RADIUS)
        candidates = np.stack([towards_zero, np.clip(towards_zero + np.sign(z), -_RADIUS, _RADIUS), np.zeros_like(z)])
        damage = 0.5 * h * (z - candidates) ** 2 + price * cost[np.abs(candidates).astype(np.int64)]
        chosen = np.take_along_axis(candidates, damage.argmin(axis=0)[None], axis=0)[0].astype(np.int64)
        out[free] = chosen[free]
    return out


def price_of_a_bit(loss: float, n_bits: int, n_samples: int, delta: float) -> float:
    r"""Slope of the Occam bound in K, loss a bit, by its expansion in small budgets.

    That is :math:`\hat\ell + \sqrt{2\hat\ell(1-\hat\ell)(K\ln 2 + \ln(1/\delta))/n}`, where kl is replaced by its
    second order. :math:`\hat\ell(1-\hat\ell)` counts as 1e-4 at least: at a loss of 0 or 1 the expansion has no slope.

    Parameters
    ----------
    loss : float
        :math:`\hat\ell`, in [0, 1].
    n_bits : int
        K ≥ 0.
    n_samples : int
        n ≥ 1.
    delta : float
        In (0, 1).

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If a parameter is out of range.
    """
    check_delta(delta)
    if not 0 <= loss <= 1 or n_bits < 0 or n_samples < 1:
        raise ValueError(
            f"need a loss in [0, 1], n_bits >= 0 and n_samples >= 1; got {loss!r}, {n_bits!r}, {n_samples!r}"
        )
    spread = math.sqrt(2 * max(loss * (1 - loss), 1e-4))
    budget = (n_bits * math.log(2) + math.log(1 / delta)) / n_samples
    return spread * math.log(2) / (2 * n_samples * math.sqrt(budget))
