"""Remark 6 of Tu et al. 2020: the Fisher-Rao norm from matrix norms alone."""

import math

from sklstm.generalization._inputs import product
from sklstm.generalization.tu._capacity import capacity, geometric_sum

__all__ = ["fisher_rao_upper", "fisher_rao_upper_closed_form"]


def fisher_rao_upper(beta_u: float, beta_w: float, beta_v: float, input_bound: float, n_steps: int) -> float:
    r"""Upper bound on the Fisher-Rao norm (2) that needs no gradients, Remark 6 and section 3.4.3 of [1]_.

    .. math:: r \le \beta_V\beta_U B \sum_{m=0}^{L-1} (m + 2)\,\beta_W^m

    Parameters
    ----------
    beta_u, beta_w, beta_v : float
        Largest absolute row sums of U, W, V; non-negative.
    input_bound : float
        B with :math:`\|x\|_\infty \le B` for every sequence that the distribution can give: the largest absolute value
        over steps and channels.
    n_steps : int
        L.

    Returns
    -------
    float
        ``inf`` on overflow, never NaN. Attained when all weights and inputs are positive and m = d = 1.

    Raises
    ------
    ValueError
        If a number is negative or NaN, or `n_steps` is not a positive integer.

    Notes
    -----
    The paper writes the bound for :math:`\beta_W < 1` and :math:`\beta_W = 1`, and in closed form; the sum holds for
    every :math:`\beta_W`. Gaussian and Laplace noise have no B: with them r over the noisy input is bounded by nothing.

    References
    ----------
    .. [1] Z. Tu, F. He and D. Tao, "Understanding generalization in recurrent neural networks", ICLR 2020.

    Examples
    --------
    >>> from sklstm.generalization import fisher_rao_upper
    >>> fisher_rao_upper(1.0, 1.0, 1.0, 1.0, 4)  # (L² + 3L) / 2
    14.0
    """
    _check(beta_u, beta_v, input_bound)
    return product(beta_v, beta_u, input_bound, capacity(beta_w, n_steps) + geometric_sum(beta_w, n_steps))


def fisher_rao_upper_closed_form(beta_u: float, beta_w: float, beta_v: float, input_bound: float) -> float:
    r"""The same as printed for :math:`\beta_W < 1`, where the paper drops what falls with L.

    .. math:: r \le \beta_V\beta_U B\left(\frac{\beta_W}{(1-\beta_W)^2} + \frac{2}{1-\beta_W}\right)

    Parameters
    ----------
    beta_u : float
        As in :func:`fisher_rao_upper`, like the two at the end.
    beta_w : float
        In [0, 1).
    beta_v, input_bound : float
        As in :func:`fisher_rao_upper`.

    Returns
    -------
    float
        The limit of :func:`fisher_rao_upper` for :math:`L \to \infty`. The dropped terms are
        :math:`\beta_V\beta_U B\,\beta_W^L\,\big(1/(1-\beta_W)^2 + (L+1)/(1-\beta_W)\big)`.

    Raises
    ------
    ValueError
        If `beta_w` is not in [0, 1), or another number is negative or NaN.

    Examples
    --------
    >>> from sklstm.generalization import fisher_rao_upper, fisher_rao_upper_closed_form
    >>> fisher_rao_upper_closed_form(1.0, 0.5, 1.0, 1.0)
    6.0
    >>> [fisher_rao_upper(1.0, 0.5, 1.0, 1.0, n_steps) for n_steps in (1, 2, 100)]
    [2.0, 3.5, 6.0]
    """
    _check(beta_u, beta_v, input_bound)
    if not 0 <= beta_w < 1:
        raise ValueError(f"the closed form needs beta_w in [0, 1), got {beta_w!r}; use fisher_rao_upper")
    rest = 1 - beta_w
    return product(beta_v, beta_u, input_bound, beta_w / rest**2 + 2 / rest)


def _check(beta_u: float, beta_v: float, input_bound: float) -> None:
    for name, value in (("beta_u", beta_u), ("beta_v", beta_v), ("input_bound", input_bound)):
        if not value >= 0 or math.isnan(value):
            raise ValueError(f"{name} must be a non-negative number, got {value!r}")
