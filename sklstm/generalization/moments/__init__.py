"""Moments of the input: what the theorems need to know about the data, at any size."""

from ._moments import input_norms, smallest_eigenvalue

__all__ = ["input_norms", "smallest_eigenvalue"]
