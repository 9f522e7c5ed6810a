"""Moments of the input: the smallest eigenvalue of its second moment and the two norms of the data matrix."""

import math
import sys
from typing import Any

import numpy as np

from sklstm.generalization._inputs import Array, chunks

from ._second_moment import SecondMoment, accumulate, check_array, is_stream, second_moment
from ._spectrum import METHODS, Method, smallest_of_spectrum

__all__ = ["input_norms", "smallest_eigenvalue"]


def smallest_eigenvalue(X: Any, *, method: Method = "auto", verbose: bool = False) -> float:
    r"""Smallest eigenvalue of the second moment :math:`E[x x^\top]` of the flattened input.

    This is the :math:`\lambda_{\min}` of Theorems 1 to 3 [1]_, not centred, estimated on the rows of `X` as
    in the paper.

    Parameters
    ----------
    X : array-like, Tensor, SecondMoment or iterable of batches
        Of shape (n, ...), any real dtype, flattened to (n, p); a memmap is read in chunks. Or an iterator, generator
        or loader of batches of shape (b, p) or (b, L, d), read once; a list counts as an array. Or what
        `second_moment` has gathered. Unchanged on return.
    method : {"auto", "cholesky", "eigh"}, default="auto"
        "cholesky": inverse Lanczos on a Cholesky factor. "eigh": all eigenvalues. "auto" takes the former from
        p = 600 on, where it is the faster.
    verbose : bool, default=False
        Show progress on the standard error stream.

    Returns
    -------
    float
        Exactly 0.0 when n < p, and whenever the eigenvalue is below the round-off
        :math:`\lambda_{\max}\, p\, 2^{-52}` of the decomposition.

    Raises
    ------
    ValueError
        If `X` is empty, a scalar, or contains NaN or infinity; if batches differ in width; for another `method`.

    Notes
    -----
    Products are accumulated in float64: an error of :math:`10^{-7}\lambda_{\max}`, as float32 makes, is often
    larger than :math:`\lambda_{\min}`.

    One p × p matrix is all the memory: the Cholesky factor takes one triangle, the other keeps the moment, and a
    `SecondMoment` has its matrix back unchanged on return (no other thread may use it meanwhile). A Ritz
    value of the inverse cannot be below the smallest eigenvalue :math:`\lambda` of the moment :math:`\Xi`, so it is
    checked from the other side: :math:`\Xi - (1 - 10^{-8})\lambda I` must have a Cholesky factor. Where that
    fails, where the first factorisation breaks down and where the result is within a factor of 16 of the
    round-off, all eigenvalues are computed.

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
