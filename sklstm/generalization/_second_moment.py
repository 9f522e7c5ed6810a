"""The second moment of the input, summed batch by batch in one triangle of one float64 matrix."""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from scipy.linalg import blas
from tqdm import tqdm

from sklstm.generalization._theorem_inputs import Array, Float, as_array, check_finite, chunks


class SecondMoment:
    r"""Second moment :math:`\Xi = E[x x^\top]` of the flattened input, as a running sum over batches.

    Nothing is centred. One triangle of one (p, p) float64 matrix is kept, and batches are added to it in place. Batches
    may differ in size. From a few hundred rows on, the matrix product limits the speed, not the memory.

    Attributes
    ----------
    n_samples : int
        Number of rows so far.
    n_features : int
        Number p of values in one sample; 0 before the first batch.

    Notes
    -----
    The sum is kept in units of a power of two that is above the largest absolute value so far. It is rescaled when that
    value grows. A power of two changes no digit, and the squares of 1e200 and 1e-200 do not leave float64.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm.generalization import SecondMoment
    >>> moment = SecondMoment()
    >>> for batch in np.eye(4).reshape(2, 2, 4):
    ...     _ = moment.update(batch)
    >>> moment
    SecondMoment(n_samples=4, n_features=4)
    >>> moment.matrix()[0].tolist()
    [0.25, 0.0, 0.0, 0.0]
    """

    def __init__(self) -> None:
        self.n_samples = 0
        self._n_batches = 0
        self._sample_shape: tuple[int, ...] | None = None
        # The sum is 4^exponent times the lower triangle of this matrix. LAPACK needs Fortran order.
        self._triangle: Float = np.zeros((0, 0), order="F")
        self._exponent: int | None = None  # None while all values were zero

    @property
    def n_features(self) -> int:
        """Numbers in one sample; 0 before the first batch."""
        return len(self._triangle)

    def __repr__(self) -> str:
        return f"SecondMoment(n_samples={self.n_samples}, n_features={self.n_features})"

    def update(self, batch: Any) -> "SecondMoment":
        """Add the samples of one batch.

        Parameters
        ----------
        batch : array-like or Tensor of shape (b, p) or (b, L, d)
            A batch of any real dtype; b may be 0. It is not changed.

        Returns
        -------
        SecondMoment
            The object itself.

        Raises
        ------
        ValueError
            If the samples have another shape than earlier ones, or contain NaN or infinity. The message counts batches
            from 0. The sum is then as before the call.
        """
        name = f"batch {self._n_batches} (counted from 0)"
        try:
            x = as_array(batch)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{name} is not an array. For a loader of pairs pass (x for x, y in loader).") from error
        if x.ndim < 2 or 0 in x.shape[1:]:
            raise ValueError(f"{name} must have shape (b, p) or (b, L, d) with at least one feature, got {x.shape}")
        if self._sample_shape not in (None, x.shape[1:]):
            raise ValueError(
                f"{name} has samples of shape {x.shape[1:]}, but earlier batches have {self._sample_shape}"
            )
        _check_values(x, name)
        for chunk in chunks(x):
            self._add(chunk)
        self._sample_shape = x.shape[1:]
        self._n_batches += 1
        return self

    def matrix(self) -> Float:
        r"""The whole matrix :math:`\Xi`.

        Returns
        -------
        ndarray of shape (p, p)
            A new symmetric matrix; entries above the largest float64 are inf.

        Raises
        ------
        ValueError
            Before the first sample.
        """
        self._require_samples()
        whole = self._triangle.copy(order="F")
        mirror(whole)
        whole /= self.n_samples
        with np.errstate(over="ignore"):
            return np.ldexp(whole, self._doublings, out=whole)

    @property
    def _doublings(self) -> int:
        """The k for which 2^k times the stored triangle is the sum."""
        return 2 * (self._exponent or 0)

    def _require_samples(self) -> None:
        if self.n_samples == 0:
            raise ValueError("the second moment has no sample yet: there was no batch, or all batches were empty")

    def _add(self, rows: Float) -> None:
        """Add finite float64 rows of shape (b, ...)."""
        b, p = len(rows), math.prod(rows.shape[1:])
        if self.n_features == 0:
            self._triangle = np.zeros((p, p), order="F")
        largest = float(np.abs(rows).max(initial=0.0))
        if largest > 0:
            exponent = math.frexp(largest)[1]
            if self._exponent is not None and exponent > self._exponent:
                np.ldexp(self._triangle, 2 * (self._exponent - exponent), out=self._triangle)
            self._exponent = exponent if self._exponent is None else max(exponent, self._exponent)
            scaled = np.ldexp(rows.reshape(b, p), -self._exponent)
            self._triangle = blas.dsyrk(1.0, scaled.T, beta=1.0, c=self._triangle, lower=1, overwrite_c=1)
        self.n_samples += b


def second_moment(X: Any, *, verbose: bool = False) -> SecondMoment:
    r"""Second moment :math:`E[x x^\top]` of the flattened input, read in chunks.

    Parameters
    ----------
    X : array-like, Tensor or iterable of batches
        An array or memmap of shape (n, ...), any real dtype. Or an iterator, generator or loader of batches of shape
        (b, p) or (b, L, d), which is read once. A list or tuple is read as one array; for a list of batches pass
        ``iter(batches)``. It is not changed.
    verbose : bool, default=False
        Show progress on the standard error stream.

    Returns
    -------
    SecondMoment
        The sum. Its method `update` adds further batches. `smallest_eigenvalue` and `gershgorin_lower_bound` accept it.

    Raises
    ------
    ValueError
        If `X` is empty or a scalar, contains NaN or infinity, or its batches differ in width. Arrays are checked before
        any work starts, batches when they are read.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm.generalization import second_moment
    >>> second_moment(np.array([[1.0, 2.0], [1.0, -2.0]])).matrix()
    array([[1., 0.],
           [0., 4.]])
    """
    if not is_stream(X):
        return accumulate(check_array(X), verbose=verbose)
    moment = SecondMoment()
    for batch in tqdm(X, desc="second moment", unit=" batches", disable=not verbose):
        moment.update(batch)
    moment._require_samples()
    return moment


def is_stream(X: Any) -> bool:
    """Whether `X` is read as batches: it is iterable and numpy does not read it as one array."""
    return isinstance(X, Iterable) and not isinstance(X, Sequence) and not hasattr(X, "__array__")


def check_array(X: Any) -> Array:
    """`X` as an array of at least one sample and one feature, all finite."""
    x = as_array(X)
    if x.ndim == 0 or x.size == 0:
        raise ValueError(f"X must have at least one sample and one feature, got shape {x.shape}")
    _check_values(x, "X")
    return x


def accumulate(x: Array, *, verbose: bool = False) -> SecondMoment:
    """The second moment of a checked array."""
    moment = SecondMoment()
    with tqdm(total=len(x), desc="second moment", unit=" samples", disable=not verbose) as bar:
        for rows in chunks(x):
            moment._add(rows)
            bar.update(len(rows))
    moment._sample_shape = x.shape[1:] or (1,)
    return moment


def _check_values(x: Array, name: str) -> None:
    if x.dtype.kind == "c":
        raise ValueError(f"{name} is complex, but the second moment needs real data")
    check_finite(x, name)


def panels(matrix: Float, width: int = 256) -> Iterator[tuple[slice, slice]]:
    """Index ranges (own, below) that cut the lower triangle into square blocks and the panels below them."""
    p = len(matrix)
    for start in range(0, p, width):
        stop = min(start + width, p)
        yield slice(start, stop), slice(stop, p)


def mirror(matrix: Float) -> None:
    """Overwrite the strict upper triangle by the transpose of the lower one."""
    for own, below in panels(matrix):
        lower = np.tril(matrix[own, own], -1)
        matrix[own, own] = lower + lower.T + np.diag(matrix[own, own].diagonal())
        matrix[own, below] = matrix[below, own].T


def restore(matrix: Float, diagonal: Float) -> None:
    """Overwrite the lower triangle by the transpose of the strict upper one, and the diagonal by `diagonal`."""
    for own, below in panels(matrix):
        upper = np.triu(matrix[own, own], 1)
        matrix[own, own] = upper + upper.T + np.diag(diagonal[own])
        matrix[below, own] = matrix[own, below].T
