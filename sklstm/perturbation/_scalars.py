"""The chain's arithmetic, written once for tensors and for Python numbers.

Tensors make the exact, differentiable route. Python complex numbers make the fast one: a derivative is the imaginary
part of ``f(n + ih) / h`` (the complex step, Squire & Trapp 1998, SIAM Review 40(1)). Nothing is subtracted, so h can
be as small as 1e-30 and the derivative is exact to rounding, at microseconds an evaluation and without any graph.

Python raises where tensors overflow to inf; formulas for both therefore multiply instead of ``**`` and call `exp` here.
"""

import cmath
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

__all__ = ["derivatives", "euclidean", "exp", "positive_part", "relaxed", "zero_like"]

Scalar = Any  # Tensor, float or complex: every function returns the type that it was given

STEP = 1e-30  # relative; its square drowns beside any real part that training meets


def exp(x: Scalar) -> Scalar:
    """The exponential; inf (or NaN, in a derivative) on overflow."""
    if isinstance(x, Tensor):
        return torch.exp(x)
    try:
        return cmath.exp(x) if isinstance(x, complex) else math.exp(x)
    except (OverflowError, ValueError):  # overflow; ValueError is cmath's for infinite arguments
        return complex(math.inf, math.nan) if isinstance(x, complex) else math.inf


def euclidean(first: Scalar, second: Scalar) -> Scalar:
    """√(a² + b²), with derivative 0 at (0, 0)."""
    if isinstance(first, Tensor):
        # vector_norm rather than sqrt(a² + b²) or hypot: its gradient at (0, 0) is 0, theirs is NaN.
        return torch.linalg.vector_norm(torch.stack((first, second)), dim=0)
    if first.real == 0 and second.real == 0:
        return 0.0 * (first + second)
    square = first * first + second * second
    return cmath.sqrt(square) if isinstance(square, complex) else math.sqrt(square)


def positive_part(x: Scalar) -> Scalar:
    """x where its real part is positive, else 0; NaN stays NaN."""
    if isinstance(x, Tensor):
        return x.clamp_min(0)
    return 0.0 * x if x.real < 0 else x


def relaxed(u: Scalar, epsilon: float) -> Scalar:
    """1/(1 − u), beyond 1 − ε its tangent; see `relaxed_barrier`."""
    if not isinstance(u, Tensor):
        return 1 / (1 - u) if u.real <= 1 - epsilon else (2 * epsilon - (1 - u)) / epsilon**2
    inside = u <= 1 - epsilon
    # The unused branch of where() still gets a gradient: give it an argument at which that is finite.
    barrier = 1 / (1 - torch.where(inside, u, 0))
    tangent = (2 * epsilon - (1 - u)) / epsilon**2
    return torch.where(inside, barrier, tangent)


def zero_like(x: Scalar) -> Scalar:
    """0 in the type of x, finite even where x is not."""
    return torch.zeros_like(x) if isinstance(x, Tensor) else 0.0


def derivatives(function: Callable[[Sequence[Scalar]], Sequence[Scalar]], at: Sequence[float]) -> list[list[float]]:
    """Partial derivatives of every output by the complex step: one row per argument, one column per output."""
    largest = max(map(abs, at), default=0.0)
    step = STEP * largest if 0 < largest < math.inf else STEP
    arguments: list[Scalar] = list(at)
    rows = []
    for index, value in enumerate(at):
        arguments[index] = complex(value, step)
        rows.append([output.imag / step for output in function(arguments)])
        arguments[index] = value
    return rows
