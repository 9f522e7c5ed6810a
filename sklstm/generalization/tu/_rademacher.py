"""Theorem 1 of Tu et al. 2020: the Rademacher complexity from the Fisher-Rao norm and matrix norms."""

import math
from typing import NamedTuple

from sklstm.generalization._inputs import product
from sklstm.generalization.tu._capacity import capacity

__all__ = ["RademacherTu", "rademacher_tu"]


class RademacherTu(NamedTuple):
    """The two summands of Theorem 1.

    Attributes
    ----------
    fisher_rao_term : float
        Of the linear network (Lemma 3).
    norm_term : float
        What the ReLU adds (Lemma 6).

    Examples
    --------
    >>> from sklstm.generalization import RademacherTu
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

    over all networks with row sums at most :math:`\beta_U, \beta_W, \beta_V` and Fisher-Rao norm (2) at most r.

    Parameters
    ----------
    fisher_rao : float
        r.
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
        Its square is added to `lambda_min`; the standard deviation of additive noise in Theorem 3.
    factor : float, default=1.0
        Multiplies both terms before anything can overflow; :math:`4k/\alpha` in Theorems 2 and 3.

    Returns
    -------
    RademacherTu
        Two terms, ``inf`` where they leave float64, never NaN. The first is ``inf`` when :math:`\lambda_{\min} = 0`,
        even for r = 0: the theorem assumes a positive definite second moment.

    Raises
    ------
    ValueError
        If a number is negative or NaN, or `n_samples` or `n_steps` is not positive.

    Notes
    -----
    The paper says that the matrix 1-norm guarantees the rate O(1/n). It does not: :math:`\|X^\top\|_1` is a sum over
    samples and grows like n, so the second term stays where it is. :func:`rademacher_row_norms` falls like
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
    numbers = {
        "fisher_rao": fisher_rao,
        "lambda_min": lambda_min,
        "input_norm_frobenius": input_norm_frobenius,
        "input_norm_1": input_norm_1,
        "beta_u": beta_u,
        "beta_v": beta_v,
        "root_gain": root_gain,
        "factor": factor,
    }
    for name, number in numbers.items():
        if not number >= 0:
            raise ValueError(f"{name} must be a non-negative number, got {number!r}")
    if not n_samples >= 1:
        raise ValueError(f"n_samples must be a positive integer, got {n_samples!r}")
    Lambda = capacity(beta_w, n_steps)
    root = math.hypot(math.sqrt(lambda_min), root_gain)
    of_linear = math.inf
    if root > 0:
        of_linear = product(factor, fisher_rao, input_norm_frobenius, 1 / (2 * n_samples), 1 / root)
    return RademacherTu(of_linear, product(factor, beta_v, beta_u, input_norm_1, Lambda, 1 / n_samples))
