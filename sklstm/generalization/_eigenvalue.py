r"""The smallest eigenvalue of the second moment of the input, and lower bounds on it from the rows of the matrix.

Inverse Lanczos on a Cholesky factor costs p³/3 operations in matrix products. A full decomposition costs 4p³/3, half of
them in products with a vector. A Ritz value of the inverse gives an eigenvalue that is exact or too large. Too large is
unsafe for the bounds, so a second factorisation certifies the result :math:`\lambda`. The matrix
:math:`\Xi - (1 - 10^{-8})\lambda I` has a Cholesky factor if and only if no eigenvalue is smaller.
"""

import math
import sys
from typing import Any, Literal, TypeAlias

import numpy as np
from scipy.linalg import blas, eigvalsh, lapack
from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh
from tqdm import tqdm

from sklstm.generalization._second_moment import (
    SecondMoment,
    accumulate,
    check_array,
    is_stream,
    mirror,
    panels,
    restore,
    second_moment,
)
from sklstm.generalization._theorem_inputs import Array, Float, as_array

Method: TypeAlias = Literal["auto", "cholesky", "eigh"]
METHODS = ("auto", "cholesky", "eigh")

# Below this size the full decomposition is faster (benchmarks/evidence/smallest_eigenvalue.py).
_CROSSOVER = 600
# Relative accuracy that the second factorisation certifies. Lanczos stops at a hundredth of it.
_CERTIFIED = 1e-8
# If the estimate is within this factor of the round-off, the full decomposition is used.
_MARGIN = 16
# Number of Lanczos vectors and of restarts: at most some 1000 solves of 2p² operations each.
_BASIS, _RESTARTS = 30, 40


def smallest_eigenvalue(X: Any, *, method: Method = "auto", verbose: bool = False) -> float:
    r"""Smallest eigenvalue of the second moment :math:`E[x x^\top]` of the flattened input.

    This is the :math:`\lambda_{\min}` of Theorems 1 to 3 [1]_, not centred, estimated on the rows of `X` as in the
    paper.

    Parameters
    ----------
    X : array-like, Tensor, SecondMoment or iterable of batches
        An array of shape (n, ...), any real dtype, flattened to (n, p); a memmap is read in chunks. Or an iterator,
        generator or loader of batches of shape (b, p) or (b, L, d), read once; a list is read as one array. Or the
        result of `second_moment`. It is not changed.
    method : {"auto", "cholesky", "eigh"}, default="auto"
        "cholesky": inverse Lanczos on a Cholesky factor. "eigh": all eigenvalues. "auto" uses "cholesky" from p = 600
        on, where it is faster.
    verbose : bool, default=False
        Show progress on the standard error stream.

    Returns
    -------
    float
        The eigenvalue. It is exactly 0.0 when n < p, and when it is below the round-off
        :math:`\lambda_{\max}\, p\, 2^{-52}` of the decomposition.

    Raises
    ------
    ValueError
        If `X` is empty, a scalar, or contains NaN or infinity; if batches differ in width; for another `method`.

    Notes
    -----
    Products are accumulated in float64. An error of :math:`10^{-7}\lambda_{\max}`, as in float32, is often larger than
    :math:`\lambda_{\min}`.

    The memory is that of one p × p matrix: one triangle is overwritten by the Cholesky factor, the other keeps the
    moment. The matrix of a `SecondMoment` is restored on return; no other thread may use it in the meantime.

    The result :math:`\lambda` of inverse Lanczos is never below the smallest eigenvalue of the moment :math:`\Xi`, but
    it may be above. So it is checked: :math:`\Xi - (1 - 10^{-8})\lambda I` must have a Cholesky factor. All eigenvalues
    are computed if this fails, if the first factorisation fails, or if :math:`\lambda` is within a factor of 16 of the
    round-off.

    References
    ----------
    .. [1] Z. Tu, F. He and D. Tao, "Understanding generalization in recurrent neural networks", ICLR 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm.generalization import smallest_eigenvalue
    >>> X = np.array([[1.0, 2.0], [1.0, -2.0]])  # uncorrelated, mean squares 1 and 4
    >>> round(smallest_eigenvalue(X), 6)
    1.0
    >>> smallest_eigenvalue(X[:1])  # fewer samples than features
    0.0
    >>> round(smallest_eigenvalue(iter([X, X, X])), 6)  # batches
    1.0
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {METHODS}, got {method!r}")
    if isinstance(X, SecondMoment):
        X._require_samples()
        moment = X
    elif is_stream(X):
        moment = second_moment(X, verbose=verbose)
    else:
        x = check_array(X)
        if x.shape[0] < math.prod(x.shape[1:]):
            return 0.0  # rank at most n: nothing to compute
        moment = accumulate(x, verbose=verbose)
    if moment.n_samples < moment.n_features:
        return 0.0
    low = smallest_of_spectrum(moment._triangle, method, verbose=verbose) / moment.n_samples
    try:
        return math.ldexp(low, moment._doublings)
    except OverflowError:
        return sys.float_info.max  # too small a value is safe: the bounds divide by it


def moment_summary(x: Array) -> tuple[float, float]:
    """Smallest eigenvalue of the second moment, and Gershgorin's lower bound on it.

    Parameters
    ----------
    x : ndarray of shape (n, L, d)

    Returns
    -------
    lambda_min : float
        The smallest eigenvalue; 0 if n < L·d, without any computation.
    gershgorin : float
        The lower bound; −inf if n < L·d.

    Examples
    --------
    Two uncorrelated steps with mean squares 1 and 4:

    >>> import numpy as np
    >>> from sklstm.generalization._eigenvalue import moment_summary
    >>> x = np.array([[[1.0], [2.0]], [[1.0], [-2.0]]])
    >>> lambda_min, gershgorin = moment_summary(x)
    >>> round(lambda_min, 6), round(gershgorin, 6)
    (1.0, 1.0)
    """
    if len(x) < math.prod(x.shape[1:]):
        return 0.0, -math.inf
    moment = second_moment(x)
    return smallest_eigenvalue(moment), gershgorin_lower_bound(moment)


def smallest_of_spectrum(matrix: Float, method: Method = "auto", *, verbose: bool = False) -> float:
    """Smallest eigenvalue of the positive semidefinite matrix in a lower triangle; 0.0 below round-off.

    Parameters
    ----------
    matrix : ndarray of shape (p, p), float64, Fortran order
        Only the lower triangle is read. It is overwritten during the computation and restored on return. The strict
        upper triangle becomes its transpose.
    method : {"auto", "cholesky", "eigh"}
    verbose : bool

    Returns
    -------
    float
        The eigenvalue; zero if at most :math:`\\lambda_{\\max}\\, p\\, 2^{-52}`.
    """
    p = len(matrix)
    roundoff = p * 2.0**-52
    diagonal = matrix.diagonal().copy()
    # λ_min <= min ξ_ii and max ξ_ii <= λ_max: this is enough for a channel that is constant zero.
    if diagonal.min() <= roundoff * diagonal.max():
        return 0.0
    if p == 1:  # scipy before 1.12 passes LAPACK too small a workspace for a 1 × 1 matrix
        return float(diagonal[0])
    mirror(matrix)
    try:
        with tqdm(total=1, disable=not verbose) as bar:
            low = None
            if method == "cholesky" or (method == "auto" and p >= _CROSSOVER):
                low = _by_inverse_lanczos(matrix, diagonal, roundoff, bar)
                restore(matrix, diagonal)
            if low is None:
                low = _by_decomposition(matrix, roundoff, bar)
            bar.update()
            return low
    finally:
        restore(matrix, diagonal)


def _by_inverse_lanczos(matrix: Float, diagonal: Float, roundoff: float, bar: Any) -> float | None:
    """The certified eigenvalue; None if a factorisation failed, Lanczos did not converge or the round-off is near."""
    p = len(matrix)
    # The Frobenius norm is never below λ_max; a Ritz value for λ_max could be.
    floor = roundoff * float(np.linalg.norm(matrix))
    bar.set_description(f"Cholesky factor, {p} x {p}")
    if not _factorise(matrix):
        return None
    bar.set_description("inverse Lanczos")

    def solve(x: Float) -> Float:
        y = blas.dtrsv(matrix, x.ravel(), lower=1)
        return blas.dtrsv(matrix, y, lower=1, trans=1, overwrite_x=1)

    try:
        inverse = eigsh(
            LinearOperator((p, p), matvec=solve, dtype=np.float64),
            k=1,
            which="LA",
            # Fixed, and random so that no eigenvector is orthogonal to it.
            v0=np.random.default_rng(0).standard_normal(p),
            ncv=min(p, _BASIS),
            maxiter=_RESTARTS,
            tol=0.01 * _CERTIFIED,
            return_eigenvectors=False,
        )
    except ArpackError:  # includes no convergence
        return None
    low = 1.0 / float(inverse[0])
    if not low > _MARGIN * floor:
        return None
    bar.set_description(f"certificate, {p} x {p}")
    restore(matrix, diagonal - (low - max(_CERTIFIED * low, floor)))
    return low if _factorise(matrix) else None


def _factorise(matrix: Float) -> bool:
    """Write the Cholesky factor to the lower triangle and leave the strict upper one; False if there is no factor."""
    _, info = lapack.dpotrf(matrix, lower=1, clean=0, overwrite_a=1)
    return info == 0


def _by_decomposition(matrix: Float, roundoff: float, bar: Any) -> float:
    """From all eigenvalues. One eigenvalue needs the same tridiagonal form, which is most of the cost."""
    bar.set_description(f"all eigenvalues, {len(matrix)} x {len(matrix)}")
    # LAPACK works in the lower triangle and leaves the upper one.
    spectrum = eigvalsh(matrix, lower=True, driver="evd", overwrite_a=True, check_finite=False)
    low, high = float(spectrum[0]), float(spectrum[-1])
    return low if low > roundoff * high else 0.0


def gershgorin_lower_bound(moment: Any) -> float:
    r"""Lower bound on :math:`\lambda_{\min}` from the rows of the second moment, section 3.4.1 of [1]_.

    .. math:: \lambda_{\min}(\Xi) \ge \min_i \Big( \xi_{ii} - \sum_{j \ne i} |\xi_{ij}| \Big)

    Every eigenvalue lies in one of Gershgorin's intervals, of centre :math:`\xi_{ii}` and radius
    :math:`\sum_{j \ne i} |\xi_{ij}|`.

    Parameters
    ----------
    moment : SecondMoment or array-like of shape (p, p)
        :math:`\Xi = E[x x^\top]`, symmetric. A `SecondMoment` is not copied.

    Returns
    -------
    float
        The bound, in the squared units of the data. It is often negative, since the radii of correlated features grow
        with p. It then says nothing, since no eigenvalue is negative. Exact up to the rounding of a sum of p numbers.

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

    It is never above `gershgorin_lower_bound`, since :math:`1 - |\xi_{ii} - 1| \le \xi_{ii}`, and equal to it if no
    diagonal entry exceeds 1. The paper assumes :math:`\|\Xi - I\|_1 < 1`, that is, features of about unit second
    moment. Without that assumption the bound is not positive and says nothing.

    Parameters
    ----------
    moment : SecondMoment or array-like of shape (p, p)
        :math:`\Xi = E[x x^\top]`, symmetric.

    Returns
    -------
    float
        The bound. It may be negative, and is −inf if the norm overflows.

    Raises
    ------
    ValueError
        As in `gershgorin_lower_bound`.

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

    This formula is for a bracket that is not negative; for a negative one, :math:`\max_i \xi_{ii}` replaces the
    minimum. Section 3.4.1 of [1]_ speaks of correlations but uses covariances, so that one feature of large scale makes
    the rows of all others large. Here :math:`\Xi = D C D` with the diagonal :math:`D^2` and the correlations :math:`C`.
    Then :math:`v^\top \Xi v \ge \lambda_{\min}(C) \|Dv\|^2`, and Gershgorin's theorem bounds :math:`\lambda_{\min}(C)`.

    Parameters
    ----------
    moment : SecondMoment or array-like of shape (p, p)
        :math:`\Xi = E[x x^\top]`, symmetric. Correlations are taken about zero, as the moment is.

    Returns
    -------
    float
        The bound, in the squared units of the data; 0.0 if a feature is constant zero. A negative value says nothing.
        Neither this bound nor `gershgorin_lower_bound` is always the larger one.

    Raises
    ------
    ValueError
        As in `gershgorin_lower_bound`; also if a diagonal entry is negative.

    References
    ----------
    .. [1] Z. Tu, F. He and D. Tao, "Understanding generalization in recurrent neural networks", ICLR 2020.

    Examples
    --------
    Two features with a correlation of a half; the first has a hundred times the scale of the other:

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
    """A lower triangle T, n and k: the moment is 2^k T / n."""
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
    # Scaled, so that sums of p entries near the largest float64 do not overflow.
    exponent = math.frexp(largest)[1]
    return np.ldexp(matrix, -exponent), 1, exponent


def _radii(triangle: Float, scale: Float | None = None) -> Float:
    """Row sums of absolute values off the diagonal, of the matrix with row and column i multiplied by scale_i."""
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
