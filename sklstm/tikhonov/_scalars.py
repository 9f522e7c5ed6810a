"""The chain's arithmetic, written once for tensors and for Python floats.

Tensors make the exact, differentiable route. Floats make the fast one, whose derivatives are written out beside the
formulas; tests compare them with autograd.
"""

import math
from typing import Any

import torch
from torch import Tensor

__all__ = ["Scalar", "euclidean", "exp", "positive_part", "relaxed", "relaxed_slope", "zero_like"]

Scalar = Any  # Tensor or float: every function returns the type that it was given


def exp(x: Scalar) -> Scalar:
    """The exponential; inf on overflow."""
    if isinstance(x, Tensor):
        return torch.exp(x)
    try:
        return math.exp(x)
    except OverflowError:  # where tensors give inf
        return math.inf


def euclidean(first: Scalar, second: Scalar) -> Scalar:
    """√(a² + b²), with derivative 0 at (0, 0)."""
    if isinstance(first, Tensor):
        # vector_norm rather than sqrt(a² + b²) or hypot: its gradient at (0, 0) is 0, theirs is NaN.
        return torch.linalg.vector_norm(torch.stack((first, second)), dim=0)
    return math.hypot(first, second)


def positive_part(x: Scalar) -> Scalar:
    """x where it is positive, else 0; NaN stays NaN."""
    if isinstance(x, Tensor):
        return x.clamp_min(0)
    return 0.0 if x < 0 else x


def relaxed(u: Scalar, epsilon: float) -> Scalar:
    """1/(1 − u), beyond 1 − ε its tangent; see `relaxed_barrier`."""
    if not isinstance(u, Tensor):
        return 1 / (1 - u) if u <= 1 - epsilon else (2 * epsilon - (1 - u)) / epsilon**2
    inside = u <= 1 - epsilon
    # The unused branch of where() still gets a gradient: give it an argument at which that is finite.
    barrier = 1 / (1 - torch.where(inside, u, 0))
    tangent = (2 * epsilon - (1 - u)) / epsilon**2
    return torch.where(inside, barrier, tangent)


def relaxed_slope(u: float, epsilon: float) -> float:
    """Derivative of `relaxed`."""
    return 1 / (1 - u) ** 2 if u <= 1 - epsilon else 1 / epsilon**2


def zero_like(x: Scalar) -> Scalar:
    """0 in the type of x, finite even where x is not."""
    return torch.zeros_like(x) if isinstance(x, Tensor) else 0.0
