"""Upper confidence limits from tail inequalities: Chernoff for losses in [0, 1], exact binomial for 0-1."""

import math

from scipy.stats import beta as beta_distribution

from sklstm.generalization._inputs import check_delta

__all__ = ["binary_kl", "binomial_tail_inverse", "kl_inverse"]


def binary_kl(p: float, q: float) -> float:
    r""":math:`\mathrm{kl}(p\|q) = p\log\frac pq + (1-p)\log\frac{1-p}{1-q}` for 0 ≤ p ≤ q ≤ 1, in nats.

    Parameters
    ----------
    p, q : float

    Returns
    -------
    float
        ``inf`` at q = 1 unless p = 1.
    """
    d = q - p
    if d <= 0:
        return 0.0
    if q == 1:
        return math.inf
    # Near q = p the two logarithms nearly cancel: log1p of the small difference keeps the digits. Far from it
    # the difference of logarithms does, and survives p and 1 − q next to 0.
    first = 0.0
    if p > 0:
        first = -math.log1p(d / p) if d < p else math.log(p) - math.log(q)
    rest = 1 - p
    second = -math.log1p(-d / rest) if 2 * d < rest else math.log(rest) - math.log(1 - q)
    return max(p * first + rest * second, 0.0)


def kl_inverse(p_hat: float, budget: float) -> float:
    r"""Largest :math:`q \ge \hat p` with :math:`\mathrm{kl}(\hat p\|q) \le` `budget`.

    With `budget` :math:`\log(1/\delta)/n` it is an upper confidence limit at level 1 − δ for the mean of
    independent losses in [0, 1] whose sample mean is :math:`\hat p` (Chernoff).

    Parameters
    ----------
    p_hat : float
        In [0, 1].
    budget : float
        Non-negative, in nats; may be infinite.

    Returns
    -------
    float
        In [p_hat, 1]; rounded upwards to the next float.

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
    # Bisection down to neighbouring floats; `high` always violates the budget (or is 1), so the result errs
    # upwards.
    while low < (middle := (low + high) / 2) < high:
        if binary_kl(p_hat, middle) <= budget:
            low = middle
        else:
            high = middle
    return high


def binomial_tail_inverse(k: int, n: int, delta: float) -> float:
    """Largest error probability under which `k` errors or fewer in `n` trials still have probability `delta`.

    The upper limit of Clopper and Pearson at level 1 − δ: exact for a 0-1 loss.

    Parameters
    ----------
    k, n : int
        0 ≤ k ≤ n, n ≥ 1.
    delta : float
        In (0, 1).

    Returns
    -------
    float
        1 when k = n.

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
    return 1.0 if k == n else float(beta_distribution.isf(delta, k + 1, n - k))
