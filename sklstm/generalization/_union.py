r"""Numbers chosen after seeing the data, and what the choice costs: a union bound over geometric grids.

A theorem that holds for each number fixed in advance holds for all numbers of a countable grid at once, when the
failure probability δ is split among them: index j gets :math:`\delta\, w_j`, with :math:`\sum_j w_j \le 1`. Here

.. math:: w_j = \frac{1}{1.5\,(|j|+1)(|j|+2)}, \qquad \sum_{j=-\infty}^{\infty} w_j = \frac{1 + 1/2}{1.5} = 1,

since :math:`\sum_{j\ge0} 1/((j+1)(j+2)) = 1`. Of several numbers the weights are multiplied; prices, their negative
logarithms, are added.
"""

import math
from dataclasses import dataclass

from sklstm.generalization._inputs import Float, exponential

__all__ = ["Charged", "candidate_margins", "grid_price", "round_up"]

# No norm below e^(−20) is told from zero: a zero too needs a place on the grid.
_FLOOR = -20
# Margins tried below the largest margin of the sample, in powers of two.
_MARGIN_OCTAVES = 40


@dataclass(frozen=True)
class Charged:
    r"""A number, and the :math:`\log(1/w)` that its choice costs; 0 for a number fixed in advance."""

    value: float
    price: float = 0.0


def grid_price(index: int) -> float:
    r""":math:`\log(1/w_j)` for index j, any integer."""
    j = abs(index)
    return math.log(1.5 * (j + 1) * (j + 2))


def round_up(value: float, per_e: int = 1) -> Charged:
    r"""Smallest number :math:`e^{j/s}` of the grid that is not below `value`, with s = `per_e`.

    Parameters
    ----------
    value : float
        Non-negative. ``inf`` stays ``inf`` and costs nothing: a bound that contains it is vacuous.
    per_e : int
        Grid points in each factor e; L for :math:`\beta_W`, whose L-th power counts.
    """
    if math.isinf(value):
        return Charged(value)
    index = max(math.ceil(math.log(value) * per_e), _FLOOR * per_e) if value > 0 else _FLOOR * per_e
    while exponential(index / per_e) < value:  # the logarithm was rounded down
        index += 1
    return Charged(exponential(index / per_e), grid_price(index))


def candidate_margins(margins: Float, margin: float | None) -> list[Charged]:
    r"""The margins α to try: the given one, or the part of the grid :math:`2^j` on which the sample has a say.

    Parameters
    ----------
    margins : ndarray of shape (n,)
        Of the sample; −inf is allowed.
    margin : float or None
        Fixed in advance, or None to choose on the grid.

    Returns
    -------
    list of Charged
        Cheapest first, so that of equal bounds the cheapest is kept.
    """
    if margin is not None:
        return [Charged(float(margin))]
    largest = float(margins.max())
    top = math.frexp(largest)[1] if 0 < largest < math.inf else 0  # 2^top exceeds every margin
    indices = {0, *range(max(top - _MARGIN_OCTAVES, -1022), min(top + 2, 1024))}
    return [Charged(math.ldexp(1.0, j), grid_price(j)) for j in sorted(indices, key=abs)]
