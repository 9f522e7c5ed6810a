"""Theorem 1 of Tu et al. 2020: the Rademacher complexity from the Fisher-Rao norm and matrix norms."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from sklstm.generalization._theorem_inputs import check_non_negative, product


class RademacherTu(NamedTuple):
    """The two summands of Theorem 1.

    Attributes
    ----------
    fisher_rao_term : float
        Summand of the linear network (Lemma 3).
    norm_term : float
        Summand that the ReLU adds (Lemma 6).

    Examples
    --------
    >>> from sklstm.generalization.tu._theorem_1 import RademacherTu
    >>> RademacherTu(fisher_rao_term=0.25, norm_term=1.5).value
    1.75
    """

    fisher_rao_term: float
    norm_term: float

    @property
    def value(self) -> float:
        """Their sum, the bound of Theorem 1."""
        return self.fisher_rao_term + self.norm_term


def rademacher_tu(
    *,
    fisher_rao: float,
    lambda_min: float,
    input_norm_frobenius: float,
    input_norm_1: float,
    beta_u: float,
    beta_w: float,
    beta_v: float,
    n_samples: int,
    n_steps: int,
    root_gain: float = 0.0,
    factor: float = 1.0,
) -> RademacherTu:
    r"""Bound on the empirical Rademacher complexity of ReLU recurrent networks, Theorem 1 of [1]_.

    .. math:: E_\sigma \sup_{\theta, y} \frac1n \sum_{i=1}^n \sigma_i [y_L(x_i)]_y
              \le \frac{r\,\|X\|_F}{2n\sqrt{\lambda_{\min}}} + \frac{\beta_V\beta_U\|X^\top\|_1\,\Lambda}{n}

    The supremum is over all networks with row sums at most :math:`\beta_U, \beta_W, \beta_V` and Fisher-Rao norm (2) at
    most r.

    Parameters
    ----------
    fisher_rao : float
        The Fisher-Rao norm r.
    lambda_min : float
        Smallest eigenvalue of :math:`E[xx^\top]`, of the flattened input.
    input_norm_frobenius, input_norm_1 : float
        :math:`\|X\|_F` and :math:`\|X^\top\|_1` of the data matrix (L·d) × n: the largest sum over samples of absolute
        values at one step and channel.
    beta_u, beta_w, beta_v : float
        Largest absolute row sums.
    n_samples, n_steps : int
        n and L.
    root_gain : float, default=0.0
        Number whose square is added to `lambda_min`; the standard deviation of additive noise in Theorem 3.
    factor : float, default=1.0
        Factor of both terms, :math:`4k/\alpha` in Theorems 2 and 3. Multiplied first, so that only the result can
        overflow.

    Returns
    -------
    RademacherTu
        Named tuple of two terms, ``fisher_rao_term`` and ``norm_term``, whose sum is ``value``. ``inf`` on overflow,
        never NaN. The first is ``inf`` if :math:`\lambda_{\min} = 0`, even for r = 0: the theorem assumes a positive
        definite second moment.

    Raises
    ------
    ValueError
        If a number is negative or NaN, or `n_samples` or `n_steps` is not positive.

    Notes
    -----
    The paper says that the matrix 1-norm guarantees the rate O(1/n). It does not: :math:`\|X^\top\|_1` is a sum over
    samples and grows like n, so that the second term does not fall. :func:`rademacher_row_norms` falls like
    :math:`1/\sqrt n`.

    References
    ----------
    .. [1] Z. Tu, F. He and D. Tao, "Understanding generalization in recurrent neural networks", ICLR 2020,
       Lemmas 3 to 6 and Theorem 1.

    Examples
    --------
    >>> from sklstm.generalization import rademacher_tu
    >>> rademacher_tu(
    ...     fisher_rao=2.0,
    ...     lambda_min=0.25,
    ...     input_norm_frobenius=10.0,
    ...     input_norm_1=50.0,
    ...     beta_u=1.0,
    ...     beta_w=1.0,
    ...     beta_v=1.0,
    ...     n_samples=100,
    ...     n_steps=2,
    ... )
    RademacherTu(fisher_rao_term=0.2, norm_term=1.5)
    """
    check_non_negative(
        fisher_rao=fisher_rao,
        lambda_min=lambda_min,
        input_norm_frobenius=input_norm_frobenius,
        input_norm_1=input_norm_1,
        beta_u=beta_u,
        beta_v=beta_v,
        root_gain=root_gain,
        factor=factor,
    )
    if not n_samples >= 1:
        raise ValueError(f"n_samples must be a positive integer, got {n_samples!r}")
    Lambda = capacity(beta_w, n_steps)
    root = math.hypot(math.sqrt(lambda_min), root_gain)
    of_linear = math.inf
    if root > 0:
        of_linear = product(factor, fisher_rao, input_norm_frobenius, 1 / (2 * n_samples), 1 / root)
    return RademacherTu(of_linear, product(factor, beta_v, beta_u, input_norm_1, Lambda, 1 / n_samples))


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
        The value Λ; ``inf`` once the sum overflows. The bound is then vacuous, not wrong. Exactly L(L + 1)/2 at
        :math:`\beta_W = 1`.

    Raises
    ------
    ValueError
        If `beta_w` is negative or NaN, or `n_steps` is not a positive integer.

    Notes
    -----
    The paper prints a closed form that is 0/0 at :math:`\beta_W = 1` and cancels near it. This is the sum that it comes
    from.

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

    It loses digits near :math:`\beta_W = 1`. Tests compare it with the sum.

    Parameters
    ----------
    beta_w : float
        :math:`\|W^\top\|_1`, the largest absolute row sum of the recurrent matrix; non-negative.
    n_steps : int
        Sequence length :math:`L \ge 1`.

    Returns
    -------
    float
        The value Λ. NaN at :math:`\beta_W = 1`, where the formula is 0/0 (the paper gives L(L + 1)/2 there); ``inf`` on
        overflow.

    Raises
    ------
    ValueError
        If `beta_w` is negative or NaN, or `n_steps` is not a positive integer.

    Examples
    --------
    >>> from sklstm.generalization import capacity
    >>> from sklstm.generalization.tu._theorem_1 import capacity_closed_form
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
    r""":math:`\log\sum_{m=0}^{L-1}\beta_W^m`, also where the sum overflows; ``inf`` only for an infinite `beta_w`."""
    beta, L = _check(beta_w, n_steps)
    if L == 1 or beta <= 1:
        return math.log(geometric_sum(beta, L)) if L > 1 else 0.0
    # Divided by the largest power, the sum is between 1 and L.
    return (L - 1) * math.log(beta) + math.log(geometric_sum(1 / beta, L))


def _check(beta_w: float, n_steps: int) -> tuple[float, int]:
    check_non_negative(beta_w=beta_w)
    if not (n_steps >= 1 and n_steps % 1 == 0):
        raise ValueError(f"n_steps must be a positive integer, got {n_steps!r}")
    return float(beta_w), int(n_steps)
