"""Moments of the input: the smallest eigenvalue of its second moment and the two norms of the data matrix."""

import math
import sys
from typing import Any

import numpy as np
from scipy.linalg import blas, eigvalsh

from sklstm.generalization._inputs import Array, as_array, check_finite, chunks

__all__ = ["input_norms", "smallest_eigenvalue"]


def smallest_eigenvalue(X: Any) -> float:
    r"""Smallest eigenvalue of the second moment :math:`E[x x^\top]` of the flattened input.

    This is the :math:`\lambda_{\min}` of Theorems 1 to 3 [1]_, not centred, estimated on the rows of `X` as
    in the paper.

    Parameters
    ----------
    X : array-like or Tensor of shape (n, ...)
        Any real dtype; a memmap is read in chunks. Never modified. Flattened to (n, p).

    Returns
    -------
    float
        Exactly 0.0 when n < p, and whenever the eigenvalue is below the round-off
        :math:`\lambda_{\max}\, p\, 2^{-52}` of the decomposition.

    Raises
    ------
    ValueError
        If `X` is empty, a scalar, or contains NaN or infinity.

    Notes
    -----
    Products are accumulated in float64: an error of :math:`10^{-7}\lambda_{\max}`, as float32 makes, is often
    larger than :math:`\lambda_{\min}`.

    References
    ----------
    .. [1] Z. Tu, F. He and D. Tao, "Understanding generalization in recurrent neural networks", ICLR 2020.
    """
    x = as_array(X)
    if x.ndim == 0 or x.size == 0:
        raise ValueError(f"X must have at least one sample and one feature, got shape {x.shape}")
    check_finite(x, "X")
    n, p = x.shape[0], math.prod(x.shape[1:])
    if n < p:
        return 0.0  # rank at most n: nothing to compute
    largest = max(float(np.abs(chunk).max()) for chunk in chunks(x))
    if largest == 0:
        return 0.0
    # A power of two changes no digit and keeps the squares of very large or small data inside float64.
    exponent = math.frexp(largest)[1]
    moment = np.zeros((p, p), order="F")
    for chunk in chunks(x):
        rows = np.ldexp(chunk.reshape(len(chunk), p), -exponent)
        moment = blas.dsyrk(1.0 / n, rows.T, beta=1.0, c=moment, lower=1, overwrite_c=1)
    # All eigenvalues: after the tridiagonal form, which costs the same for one, they are cheap; λ_max is
    # needed too.
    if p == 1:  # scipy before 1.12 passes LAPACK too small a workspace for a 1 × 1 matrix
        spectrum = moment[0]
    else:
        spectrum = eigvalsh(moment, lower=True, driver="evd", overwrite_a=True, check_finite=False)
    low, high = float(spectrum[0]), float(spectrum[-1])
    if low <= high * p * 2.0**-52:
        return 0.0
    try:
        return math.ldexp(low, 2 * exponent)
    except OverflowError:
        return sys.float_info.max  # too small is safe: the bounds divide by it


def input_norms(x: Array, added: Array | None = None) -> tuple[float, float]:
    r"""Both norms of the data matrix :math:`X \in R^{Ld \times n}`: :math:`\|X\|_F` and :math:`\|X^\top\|_1`.

    Parameters
    ----------
    x : ndarray of shape (n, L, d)
    added : ndarray of shape (n, L, d), optional
        Noise to add first.

    Returns
    -------
    frobenius : float
        Over all samples, steps and channels.
    one : float
        Largest over (step, channel) of the sum over samples of absolute values.
    """
    frobenius = 0.0
    column_sums = np.zeros(x.shape[1:])
    pairs = ((a, 0.0) for a in chunks(x)) if added is None else zip(chunks(x), chunks(added), strict=True)
    with np.errstate(over="ignore"):
        for values, noise in pairs:
            total = values + noise
            frobenius = math.hypot(frobenius, float(np.linalg.norm(total)))
            column_sums += np.abs(total).sum(axis=0)
    return frobenius, float(column_sums.max())
