"""Smallest eigenvalue of a positive semidefinite matrix, in the memory of that matrix.

Inverse Lanczos on a Cholesky factor costs p³/3 operations in matrix products, and a full decomposition 4p³/3, half of
them in products with a vector. A Ritz value of the inverse can only err towards too large an eigenvalue of the
matrix, which is the unsafe side for the bounds. So the result is certified by a second factorisation, of the
matrix less all but 1e-8 of the result times the identity: that exists if and only if no eigenvalue is smaller.
"""

from typing import Any, Literal, TypeAlias

import numpy as np
from scipy.linalg import blas, eigvalsh, lapack
from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh
from tqdm import tqdm

from sklstm.generalization._inputs import Float

from ._triangles import mirror, restore

__all__ = ["METHODS", "Method", "smallest_of_spectrum"]

Method: TypeAlias = Literal["auto", "cholesky", "eigh"]
METHODS = ("auto", "cholesky", "eigh")

# Below this size the full decomposition is the faster (benchmarks/smallest_eigenvalue.py).
_CROSSOVER = 600
# Relative accuracy that the second factorisation certifies; Lanczos stops at a hundredth of it.
_CERTIFIED = 1e-8
# An estimate within this factor of the round-off is left to the full decomposition.
_MARGIN = 16
# Lanczos vectors kept, and restarts before it is given up: at most some 1000 solves of 2p² operations.
_BASIS, _RESTARTS = 30, 40


def smallest_of_spectrum(matrix: Float, method: Method = "auto", *, verbose: bool = False) -> float:
    """Smallest eigenvalue of the positive semidefinite matrix in a lower triangle; 0.0 below round-off.

    Parameters
    ----------
    matrix : ndarray of shape (p, p), float64, Fortran order
        Only the lower triangle is read. It serves as workspace and is on return as it was; the strict upper triangle
        becomes its transpose.
    method : {"auto", "cholesky", "eigh"}
    verbose : bool

    Returns
    -------
    float
        Zero if at most :math:`\\lambda_{\\max}\\, p\\, 2^{-52}`.
    """
    p = len(matrix)
    roundoff = p * 2.0**-52
    diagonal = matrix.diagonal().copy()
    # λ_min <= min ξ_ii and max ξ_ii <= λ_max: a channel that is constant zero is decided here.
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
    """The eigenvalue, certified, or None: factorisation broke down, too near round-off, or not converged."""
    p = len(matrix)
    # Frobenius' norm is not below λ_max, and unlike a Ritz value for λ_max it cannot miss.
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
            # Fixed, and without structure that an eigenvector could be orthogonal to.
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
    """Cholesky factor into the lower triangle; the strict upper one is not touched. False if there is none."""
    _, info = lapack.dpotrf(matrix, lower=1, clean=0, overwrite_a=1)
    return info == 0


def _by_decomposition(matrix: Float, roundoff: float, bar: Any) -> float:
    """From all eigenvalues: after the tridiagonal form, which costs the same for one, they are cheap."""
    bar.set_description(f"all eigenvalues, {len(matrix)} x {len(matrix)}")
    # LAPACK works in the lower triangle and leaves the upper one.
    spectrum = eigvalsh(matrix, lower=True, driver="evd", overwrite_a=True, check_finite=False)
    low, high = float(spectrum[0]), float(spectrum[-1])
    return low if low > roundoff * high else 0.0
