"""The Occam bound: a predictor that fits into K bits generalises, whatever its architecture."""

import math
from typing import Any

import numpy as np

from sklstm.generalization._inputs import as_array, check_delta, check_finite
from sklstm.generalization._kl import binomial_tail_inverse, kl_inverse

__all__ = ["choose_cap", "occam_bound"]

# Below this the tail probability is close to leaving float64, and with it the inverse of the binomial tail.
_LOG_SMALLEST_TAIL = math.log(1e-290)


def occam_bound(
    train_loss: float, n_bits: int, n_samples: int, *, delta: float = 0.05, zero_one: bool = False
) -> float:
    r"""Upper limit on the true mean loss of a predictor that a decodable code describes in K bits.

    A prefix code gives each predictor the weight :math:`2^{-K}` (Kraft). Charging the failure probability
    :math:`\delta 2^{-K}` to each and adding up, with probability at least 1 − δ for all predictors at once,

    .. math:: \mathrm{kl}(\hat\ell \,\|\, \ell) \le \frac{K \ln 2 + \ln(1/\delta)}{n}

    for losses in [0, 1] (Chernoff). For 0-1 loss the exact binomial tail at :math:`\delta 2^{-K}` replaces
    it.

    Parameters
    ----------
    train_loss : float
        Mean loss :math:`\hat\ell` on the training sample, in [0, 1].
    n_bits : int
        K ≥ 0.
    n_samples : int
        n independent samples.
    delta : float, default=0.05
        The bound may fail with this probability.
    zero_one : bool, default=False
        True when the loss takes the values 0 and 1 only. While :math:`\delta 2^{-K}` is a float64 the
        binomial tail is then used; below that the Chernoff form, which holds for every K.

    Returns
    -------
    float
        In [train_loss, 1].

    Raises
    ------
    ValueError
        If a parameter is out of range, or `zero_one` and `train_loss` is no multiple of 1/n.

    Examples
    --------
    >>> from sklstm.generalization import occam_bound
    >>> round(occam_bound(0.1, 0, 1000), 4)
    0.1248
    >>> round(occam_bound(0.254, 841, 25000), 3)
    0.355
    """
    check_delta(delta)
    if n_samples < 1 or n_bits < 0:
        raise ValueError(f"need n_samples >= 1 and n_bits >= 0, got {n_samples!r} and {n_bits!r}")
    limit = kl_inverse(train_loss, code_budget(n_bits, n_samples, delta))
    if not zero_one:
        return limit
    errors = round(train_loss * n_samples)
    if abs(train_loss * n_samples - errors) > 0.05:  # float32 means of a few hundred thousand zeros and ones pass
        raise ValueError(f"a 0-1 loss over {n_samples} samples is a multiple of 1/{n_samples}; got {train_loss!r}")
    log_tail = math.log(delta) - n_bits * math.log(2)
    if log_tail < _LOG_SMALLEST_TAIL:
        return limit
    # Both are valid and the binomial tail is the smaller; the maximum only guards against round-off.
    return min(limit, max(binomial_tail_inverse(errors, n_samples, math.exp(log_tail)), float(train_loss)))


def code_budget(n_bits: int, n_samples: int, delta: float) -> float:
    """(K ln 2 + ln(1/δ))/n, what the code and the confidence cost, in nats a sample."""
    return (n_bits * math.log(2) - math.log(delta)) / n_samples


def choose_cap(y: Any) -> tuple[float, float]:
    r"""Cap M of the regression loss :math:`\min((y-f)^2, M)/M`, and what choosing it from the data costs.

    M is the smallest power of two that is at least four times the variance of the targets. The grid
    :math:`2^j` over all integers j carries the weights :math:`1/(1.5(|j|+1)(|j|+2))`, which sum to 1;
    multiplying δ by the weight of the cap that was taken makes the bound true for all caps at once.

    Parameters
    ----------
    y : array-like or Tensor of shape (n,) or (n, k)
        Training targets.

    Returns
    -------
    cap : float
        M > 0; 1.0 for constant targets.
    delta_weight : float
        In (0, 1].

    Raises
    ------
    ValueError
        If `y` is empty or contains NaN or infinity.

    Examples
    --------
    >>> from sklstm.generalization import choose_cap
    >>> choose_cap([-1.0, 1.0])
    (4.0, 0.05555555555555555)
    """
    targets = as_array(y)
    if targets.ndim == 0 or targets.size == 0:
        raise ValueError("y holds no targets")
    check_finite(targets, "y")
    with np.errstate(over="ignore", invalid="ignore"):
        spread = 4 * float(np.mean(np.var(targets.astype(np.float64), axis=0)))
    if math.isnan(spread) or math.isinf(spread):
        raise ValueError("the variance of y is too large for float64; scale the targets")
    if spread == 0:
        j = 0
    else:
        mantissa, exponent = math.frexp(spread)  # spread = mantissa · 2^exponent with mantissa in [1/2, 1)
        j = min(exponent - 1 if mantissa == 0.5 else exponent, 1023)
    return math.ldexp(1.0, j), 1 / (1.5 * (abs(j) + 1) * (abs(j) + 2))
