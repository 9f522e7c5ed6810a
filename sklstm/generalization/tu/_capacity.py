"""How the bounds of Tu et al. 2020 grow with the sequence length: sums over powers of β_W."""

import math
from collections.abc import Sequence

__all__ = ["capacity", "capacity_closed_form", "geometric_sum", "log_geometric_sum", "weighted_geometric_sum"]


def capacity(beta_w: float, n_steps: int) -> float:
    r"""Growth of the norm term with the sequence length, :math:`\Lambda` of Theorem 1 [1]_.

    .. math:: \Lambda = \sum_{m=0}^{L-1} (m + 1)\,\beta_W^m

    Parameters
    ----------
    beta_w : float
        :math:`\|W^\top\|_1`, the largest absolute row sum of the recurrent matrix; non-negative.
    n_steps : int
        Sequence length :math:`L \ge 1`.

    Returns
    -------
    float
        ``inf`` once the sum overflows: the bound is then vacuous, not wrong. Exactly L(L + 1)/2 at
        :math:`\beta_W = 1`.

    Raises
    ------
    ValueError
        If `beta_w` is negative or NaN, or `n_steps` is not a positive integer.

    Notes
    -----
    The paper prints a closed form that is 0/0 at :math:`\beta_W = 1` and cancels near it; this is the sum it
    came from.

    References
    ----------
    .. [1] Z. Tu, F. He and D. Tao, "Understanding generalization in recurrent neural networks", ICLR 2020,
       Theorem 1.

    Examples
    --------
    >>> from sklstm.generalization import capacity
    >>> capacity(1.0, 8)
    36.0
    """
    beta, L = _check(beta_w, n_steps)
    total = float(L)
    for m in range(L - 1, 0, -1):  # Horner; every summand is positive, so nothing cancels
        total = total * beta + m
    return total


def capacity_closed_form(beta_w: float, n_steps: int) -> float:
    r"""Closed form of :func:`capacity` as the paper prints it for :math:`\beta_W \ne 1`.

    .. math:: \Lambda = \frac{1}{1 - \beta_W}\left(\frac{1 - \beta_W^L}{1 - \beta_W} - L \beta_W^L\right)

    Here to show where it agrees with the sum and where it does not: digits are lost near :math:`\beta_W = 1`.

    Parameters
    ----------
    beta_w : float
        Non-negative.
    n_steps : int
        Sequence length :math:`L \ge 1`.

    Returns
    -------
    float
        NaN at :math:`\beta_W = 1`, where the formula is 0/0 (the paper gives L(L + 1)/2 there); ``inf`` on
        overflow.

    Raises
    ------
    ValueError
        If `beta_w` is negative or NaN, or `n_steps` is not a positive integer.

    Examples
    --------
    >>> from sklstm.generalization import capacity, capacity_closed_form
    >>> capacity_closed_form(0.5, 3), capacity(0.5, 3)  # 1 + 2/2 + 3/4
    (2.75, 2.75)
    >>> capacity_closed_form(1.0, 8), capacity(1.0, 8)
    (nan, 36.0)
    """
    beta, L = _check(beta_w, n_steps)
    if beta == 1:
        return math.nan
    try:
        power = beta**L
    except OverflowError:
        return math.inf
    value = ((1 - power) / (1 - beta) - L * power) / (1 - beta)
    return math.inf if math.isnan(value) else value


def geometric_sum(beta_w: float, n_steps: int) -> float:
    r""":math:`\sum_{i=1}^{L} \beta_W^{L-i}` of Lemma 8; ``inf`` on overflow."""
    _, L = _check(beta_w, n_steps)
    return weighted_geometric_sum(beta_w, [1.0] * L)


def weighted_geometric_sum(beta_w: float, weights: Sequence[float]) -> float:
    r""":math:`\sum_{i=1}^{L} \beta_W^{L-i} e_i` for non-negative, finite :math:`e_i`; ``inf`` on overflow."""
    beta, _ = _check(beta_w, len(weights))
    total = 0.0
    for weight in weights:
        total = total * beta + weight if total else float(weight)  # 0 · inf would be NaN
    return total


def log_geometric_sum(beta_w: float, n_steps: int) -> float:
    r""":math:`\log\sum_{m=0}^{L-1}\beta_W^m`, for sums that leave float64; ``inf`` only for an infinite `beta_w`."""
    beta, L = _check(beta_w, n_steps)
    if L == 1 or beta <= 1:
        return math.log(geometric_sum(beta, L)) if L > 1 else 0.0
    # The largest power in front: what is left is a sum between 1 and L.
    return (L - 1) * math.log(beta) + math.log(geometric_sum(1 / beta, L))


def _check(beta_w: float, n_steps: int) -> tuple[float, int]:
    if not beta_w >= 0:  # also true for NaN
        raise ValueError(f"beta_w must be a non-negative number, got {beta_w!r}")
    if not (n_steps >= 1 and n_steps % 1 == 0):
        raise ValueError(f"n_steps must be a positive integer, got {n_steps!r}")
    return float(beta_w), int(n_steps)
