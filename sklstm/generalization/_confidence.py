r"""The failure probability δ: confidence limits from tail inequalities, and the price of choices made from the data.

Some theorems hold for each number that is fixed in advance. They hold for all numbers of a countable grid at once if
the failure probability δ is split among them: index j gets :math:`\delta\, w_j`, with :math:`\sum_j w_j \le 1`. Here

.. math:: w_j = \frac{1}{1.5\,(|j|+1)(|j|+2)}, \qquad \sum_{j=-\infty}^{\infty} w_j = \frac{1 + 1/2}{1.5} = 1.

This works since :math:`\sum_{j\ge0} 1/((j+1)(j+2)) = 1`. The price of a number is :math:`\log(1/w_j)`. If several
numbers are chosen, their weights are multiplied and their prices are added.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import betainccinv

from sklstm._losses import RegressionLoss
from sklstm.generalization._theorem_inputs import Float, as_array, check_delta, check_finite, exponential

# Smaller norms, zero included, are rounded up to e^(−20).
_FLOOR = -20
# Number of powers of two below the largest margin of the sample that are tried.
_MARGIN_OCTAVES = 40


def binary_kl(p: float, q: float) -> float:
    r""":math:`\mathrm{kl}(p\|q) = p\log\frac pq + (1-p)\log\frac{1-p}{1-q}` for 0 ≤ p ≤ q ≤ 1, in nats.

    Parameters
    ----------
    p, q : float

    Returns
    -------
    float
        The divergence; ``inf`` at q = 1 unless p = 1.
    """
    d = q - p
    if d <= 0:
        return 0.0
    if q == 1:
        return math.inf
    # Near q = p the two logarithms nearly cancel, and log1p of the small difference keeps the digits. Far from it the
    # difference of logarithms keeps them, also for p or 1 − q next to 0.
    first = 0.0
    if p > 0:
        first = -math.log1p(d / p) if d < p else math.log(p) - math.log(q)
    rest = 1 - p
    second = -math.log1p(-d / rest) if 2 * d < rest else math.log(rest) - math.log(1 - q)
    return max(p * first + rest * second, 0.0)


def kl_inverse(p_hat: float, budget: float) -> float:
    r"""Largest :math:`q \ge \hat p` with :math:`\mathrm{kl}(\hat p\|q) \le` `budget`.

    With the `budget` :math:`\log(1/\delta)/n` it is an upper confidence limit at level 1 − δ for the mean of
    independent losses in [0, 1]. Their sample mean is :math:`\hat p` (Chernoff).

    Parameters
    ----------
    p_hat : float
        In [0, 1].
    budget : float
        A non-negative number, in nats; may be infinite.

    Returns
    -------
    float
        The limit, in [p_hat, 1], rounded upwards to the next float.

    Raises
    ------
    ValueError
        If `p_hat` or `budget` is out of range or NaN.

    Examples
    --------
    >>> from math import exp
    >>> from sklstm.generalization import kl_inverse
    >>> round(kl_inverse(0.0, 0.03), 6), round(1 - exp(-0.03), 6)  # kl(0‖q) = −log(1 − q)
    (0.029554, 0.029554)
    >>> q = kl_inverse(0.25, 0.01)
    >>> round(q, 4), bool(q < 0.25 + (0.01 / 2) ** 0.5)  # below Hoeffding's limit
    (0.3143, True)
    """
    if not 0 <= p_hat <= 1:
        raise ValueError(f"p_hat must lie in [0, 1], got {p_hat!r}")
    if not budget >= 0:
        raise ValueError(f"budget must be non-negative, got {budget!r}")
    low, high = float(p_hat), 1.0
    if budget == 0:
        return low
    if p_hat == 0:
        return -math.expm1(-budget)
    # Bisection down to neighbouring floats. `high` always violates the budget or is 1: the result is rounded up.
    while low < (middle := (low + high) / 2) < high:
        if binary_kl(p_hat, middle) <= budget:
            low = middle
        else:
            high = middle
    return high


def binomial_tail_inverse(k: int, n: int, delta: float) -> float:
    """Largest error probability at which `k` errors or fewer in `n` trials have probability `delta`.

    This is the upper limit of Clopper and Pearson at level 1 − δ, exact for a 0-1 loss.

    Parameters
    ----------
    k, n : int
        0 ≤ k ≤ n, n ≥ 1.
    delta : float
        In (0, 1).

    Returns
    -------
    float
        The limit; 1 when k = n.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    Examples
    --------
    >>> from sklstm.generalization import binomial_tail_inverse
    >>> p = binomial_tail_inverse(1, 20, delta=0.05)
    >>> round(p, 4)
    0.2161
    >>> round((1 - p) ** 20 + 20 * p * (1 - p) ** 19, 4)  # one error or none
    0.05
    """
    check_delta(delta)
    if not (n >= 1 and 0 <= k <= n):
        raise ValueError(f"k errors in n trials need 0 <= k <= n and n >= 1, got k={k!r}, n={n!r}")
    return 1.0 if k == n else float(betainccinv(k + 1, n - k, delta))


def binomial_limits(counts: Any, n: int, delta: float) -> tuple[Float, Float]:
    """Lower and upper limits on probabilities of events that occurred `counts` times in `n` trials (Clopper & Pearson).

    Each pair fails with probability at most `delta`, half on each side.
    """
    upper = np.array([binomial_tail_inverse(int(count), n, delta / 2) for count in counts])
    return 1 - np.array([binomial_tail_inverse(n - int(count), n, delta / 2) for count in counts]), upper


@dataclass(frozen=True)
class Charged:
    r"""A number and the price :math:`\log(1/w)` of its choice, which is 0 if it was fixed in advance."""

    value: float
    price: float = 0.0


def _one_in(index: int) -> float:
    r""":math:`1/w_j` for index j, any integer."""
    return 1.5 * (abs(index) + 1) * (abs(index) + 2)


def grid_price(index: int) -> float:
    r""":math:`\log(1/w_j)` for index j, any integer."""
    return math.log(_one_in(index))


def round_up(value: float, per_e: int = 1) -> Charged:
    r"""Smallest number :math:`e^{j/s}` of the grid that is not below `value`, with s = `per_e`.

    Parameters
    ----------
    value : float
        A non-negative number. ``inf`` stays ``inf`` and costs nothing: a bound that contains it is vacuous.
    per_e : int
        Number of grid points in a factor of e; L for :math:`\beta_W`, whose L-th power is in the bound.
    """
    if math.isinf(value):
        return Charged(value)
    index = max(math.ceil(math.log(value) * per_e), _FLOOR * per_e) if value > 0 else _FLOOR * per_e
    while exponential(index / per_e) < value:  # the logarithm was rounded down
        index += 1
    return Charged(exponential(index / per_e), grid_price(index))


def candidate_margins(margins: Float, margin: float | None) -> list[Charged]:
    r"""The margins α to try: the given one, or the part of the grid :math:`2^j` that the sample can reach.

    Parameters
    ----------
    margins : ndarray of shape (n,)
        Margins of the sample; −inf is allowed.
    margin : float or None
        A margin fixed in advance, or None to choose on the grid.

    Returns
    -------
    list of Charged
        Margins by rising price, so that of equal bounds the one with the lowest price is kept.
    """
    if margin is not None:
        return [Charged(float(margin))]
    largest = float(margins.max())
    top = math.frexp(largest)[1] if 0 < largest < math.inf else 0  # 2^top exceeds every margin
    indices = {0, *range(max(top - _MARGIN_OCTAVES, -1022), min(top + 2, 1024))}
    return [Charged(math.ldexp(1.0, j), grid_price(j)) for j in sorted(indices, key=abs)]


def choose_cap(y: Any, loss: str = "squared_error", *, quantile: float = 0.5) -> tuple[float, float]:
    r"""Cap M of a regression loss :math:`\min(\ell(y, f), M)/M`, and the price of choosing it from the data.

    M is the smallest power of two that is at least four times the mean loss of the best constant prediction for the
    targets. For the squared error this is four times the variance of the targets. The grid :math:`2^j` over all
    integers j has the weights :math:`1/(1.5(|j|+1)(|j|+2))`, which sum to 1. If δ is multiplied by the weight of the
    chosen cap, the bound holds for all caps at once.

    Parameters
    ----------
    y : array-like or Tensor of shape (n,) or (n, k)
        Training targets.
    loss : {"squared_error", "absolute_error", "huber", "quantile"}, default="squared_error"
        As in the regressors.
    quantile : float, default=0.5
        Used with ``loss="quantile"`` only.

    Returns
    -------
    cap : float
        Cap M > 0, in units of the loss; 1.0 for constant targets.
    delta_weight : float
        Weight of the cap, in (0, 1].

    Raises
    ------
    ValueError
        If `y` is empty or contains NaN or infinity, or if `loss` or `quantile` is not one of the above.

    Examples
    --------
    >>> from sklstm.generalization import choose_cap
    >>> choose_cap([-1.0, 1.0])
    (4.0, 0.05555555555555555)
    >>> choose_cap([-1.0, 1.0], "quantile", quantile=0.5)[0]  # half of the absolute error
    2.0
    """
    kind = RegressionLoss.of(loss, quantile)
    targets = as_array(y)
    if targets.ndim == 0 or targets.size == 0:
        raise ValueError("y is empty")
    check_finite(targets, "y")
    columns = targets.astype(np.float64).reshape(len(targets), -1)
    with np.errstate(over="ignore", invalid="ignore"):
        spread = 4 * kind.of_best_constant(columns)
    if math.isnan(spread) or math.isinf(spread):
        raise ValueError("the spread of y is too large for float64. Scale the targets.")
    if spread == 0:
        j = 0
    else:
        mantissa, exponent = math.frexp(spread)  # spread = mantissa · 2^exponent with mantissa in [1/2, 1)
        j = min(exponent - 1 if mantissa == 0.5 else exponent, 1023)
    return math.ldexp(1.0, j), 1 / _one_in(j)
