"""Section 3.4.1 of Tu, He and Tao: weakly correlated features have a large smallest eigenvalue."""

import math
import sys
from typing import Any

import numpy as np

from sklstm.generalization._inputs import Float, as_array

from ._second_moment import SecondMoment
from ._triangles import panels

__all__ = ["correlation_lower_bound", "gershgorin_lower_bound", "identity_lower_bound"]


def gershgorin_lower_bound(moment: Any) -> float:
    r"""Lower bound on :math:`\lambda_{\min}` from the rows of the second moment, section 3.4.1 of [1]_.

    .. math:: \lambda_{\min}(\Xi) \ge \min_i \Big( \xi_{ii} - \sum_{j \ne i} |\xi_{ij}| \Big)

    Every eigenvalue lies in one of Gershgorin's intervals, of centre :math:`\xi_{ii}` and radius
    :math:`\sum_{j \ne i} |\xi_{ij}|`.

    Parameters
    ----------
    moment : SecondMoment or array-like of shape (p, p)
        :math:`\Xi = E[x x^\top]`, symmetric. A `SecondMoment` is read in place.

    Returns
    -------
    float
        In the squared units of the data. Often negative, since p radii of correlated features soon exceed the
        diagonal: the bound then says nothing that positive semidefiniteness does not say. Exact up to the
        rounding of a sum of p numbers.

    Raises
    ------
    ValueError
        If the array is not square, symmetric and finite, or the `SecondMoment` has no sample.

    References
    ----------
    .. [1] Z. Tu, F. He and D. Tao, "Understanding generalization in recurrent neural networks", ICLR 2020.

    Examples
    --------
    >>> from sklstm.generalization import gershgorin_lower_bound
    >>> gershgorin_lower_bound([[2.0, 0.5], [0.5, 1.0]])  # the eigenvalues are 0.79 and 2.21
    0.5
    """
    triangle, samples, doublings = _open(moment)
    return _in_units(float((triangle.diagonal() - _radii(triangle)).min()) / samples, doublings)


def identity_lower_bound(moment: Any) -> float:
    r"""The bound as section 3.4.1 of [1]_ prints it: :math:`\lambda_{\min}(\Xi) \ge 1 - \|\Xi - I\|_1`.

    Never above `gershgorin_lower_bound`, since :math:`1 - |\xi_{ii} - 1| \le \xi_{ii}`, and equal to it when no
    diagonal entry exceeds 1. The paper assumes :math:`\|\Xi - I\|_1 < 1`, that is, features of about unit second
    moment; without that the number is not positive, and says nothing.

    Parameters
    ----------
    moment : SecondMoment or array-like of shape (p, p)
        :math:`\Xi = E[x x^\top]`, symmetric.

    Returns
    -------
    float
        Possibly negative, -inf if the norm overflows.

    Raises
    ------
    ValueError
        As `gershgorin_lower_bound`.

    References
    ----------
    .. [1] Z. Tu, F. He and D. Tao, "Understanding generalization in recurrent neural networks", ICLR 2020.

    Examples
    --------
    >>> from sklstm.generalization import gershgorin_lower_bound, identity_lower_bound
    >>> identity_lower_bound([[1.0, 0.25], [0.25, 1.0]])  # exact: the eigenvalues are 0.75 and 1.25
    0.75
    >>> large = [[8.0, 0.0], [0.0, 8.0]]
    >>> identity_lower_bound(large), gershgorin_lower_bound(large)
    (-6.0, 8.0)
    """
    triangle, samples, doublings = _open(moment)
    with np.errstate(over="ignore"):
        centres, radii = (np.ldexp(values / samples, doublings) for values in (triangle.diagonal(), _radii(triangle)))
        return 1.0 - float((np.abs(centres - 1.0) + radii).max())


def correlation_lower_bound(moment: Any) -> float:
    r"""Lower bound on :math:`\lambda_{\min}` from the correlations of features of any scale.

    .. math:: \lambda_{\min}(\Xi) \ge \min_i \xi_{ii} \, \Big( 1 - \max_i \sum_{j \ne i} |\rho_{ij}| \Big), \qquad
        \rho_{ij} = \xi_{ij} / \sqrt{\xi_{ii} \xi_{jj}}

    where the bracket is not negative, and with :math:`\max_i \xi_{ii}` where it is. Section 3.4.1 of [1]_ argues from
    correlation but bounds with covariances, which lets one feature of large scale spoil the rows of all others. With
    :math:`\Xi = D C D`, :math:`D^2` the diagonal and :math:`C` the correlations,
    :math:`v^\top \Xi v \ge \lambda_{\min}(C) \|Dv\|^2`, and Gershgorin's theorem bounds :math:`\lambda_{\min}(C)`.

    Parameters
    ----------
    moment : SecondMoment or array-like of shape (p, p)
        :math:`\Xi = E[x x^\top]`, symmetric. Correlations are taken about zero, as the moment is.

    Returns
    -------
    float
        In the squared units of the data. Neither this bound nor `gershgorin_lower_bound` is always the larger.
        0.0 if a feature is constant zero. If negative it says nothing.

    Raises
    ------
    ValueError
        As `gershgorin_lower_bound`, and if a diagonal entry is negative.

    References
    ----------
    .. [1] Z. Tu, F. He and D. Tao, "Understanding generalization in recurrent neural networks", ICLR 2020.

    Examples
    --------
    Two features, the first a hundred times the other in scale, correlated by a half:

    >>> from sklstm.generalization import correlation_lower_bound, gershgorin_lower_bound
    >>> moment = [[10000.0, 50.0], [50.0, 1.0]]
    >>> correlation_lower_bound(moment), gershgorin_lower_bound(moment)  # the eigenvalue is 0.75
    (0.5, -49.0)
    """
    triangle, samples, doublings = _open(moment)
    diagonal = triangle.diagonal()
    low, high = float(diagonal.min()), float(diagonal.max())
    if low < 0:
        raise ValueError("a second moment has no negative entry on its diagonal")
    if low == 0:
        return 0.0
    with np.errstate(over="ignore"):
        bracket = 1.0 - float(_radii(triangle, 1.0 / np.sqrt(diagonal)).max())
    return _in_units((low if bracket >= 0 else high) * bracket / samples, doublings)


def _open(moment: Any) -> tuple[Float, int, int]:
    """A lower triangle, and what its entries are to be divided by and doubled to give the moment."""
    if isinstance(moment, SecondMoment):
        moment._require_samples()
        return moment._triangle, moment.n_samples, moment._doublings
    matrix = np.asarray(as_array(moment), dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.size == 0:
        raise ValueError(f"the second moment must be a square matrix, got shape {matrix.shape}")
    largest = float(np.abs(matrix).max())
    if not math.isfinite(largest):
        raise ValueError("the second moment contains NaN or infinity")
    if not all(
        np.allclose(matrix[below, own], matrix[own, below].T, rtol=1e-9, atol=1e-12 * largest)
        and np.allclose(matrix[own, own], matrix[own, own].T, rtol=1e-9, atol=1e-12 * largest)
        for own, below in panels(matrix)
    ):
        raise ValueError("the second moment must be symmetric")
    # Sums of p entries near the largest float64 must not overflow.
    exponent = math.frexp(largest)[1]
    return np.ldexp(matrix, -exponent), 1, exponent


def _radii(triangle: Float, scale: Float | None = None) -> Float:
    """Sums of absolute values off the diagonal by row, of the matrix with row and column i times scale_i."""
    p = len(triangle)
    scale = np.ones(p) if scale is None else scale
    radii = np.zeros(p)
    for own, below in panels(triangle):
        inside = np.abs(np.tril(triangle[own, own], -1)) * scale[own, None] * scale[own]
        panel = np.abs(triangle[below, own]) * scale[below, None] * scale[own]
        radii[own] += inside.sum(axis=0) + inside.sum(axis=1) + panel.sum(axis=0)
        radii[below] += panel.sum(axis=1)
    return radii


def _in_units(value: float, doublings: int) -> float:
    try:
        return math.ldexp(value, doublings)
    except OverflowError:
        return sys.float_info.max if value > 0 else -math.inf
