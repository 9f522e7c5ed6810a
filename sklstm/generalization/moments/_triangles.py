"""A symmetric matrix and its factor in one square of memory: the triangles, copied block by block."""

from collections.abc import Iterator

import numpy as np

from sklstm.generalization._inputs import Float

__all__ = ["mirror", "panels", "restore"]


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
