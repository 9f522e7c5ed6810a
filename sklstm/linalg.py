"""Matrix norms and projections, batched over leading axes and differentiable where training needs it."""

from typing import Any

import torch
from torch import Tensor

__all__ = ["as_float64", "leading_pair", "max_row_sum", "project_rows_l1", "spectral_norm", "times_power_of_two"]


def as_float64(tensor: Tensor) -> Tensor:
    """Convert a tensor to float64, differentiably; a tensor on MPS, which has no float64, moves to the CPU.

    Parameters
    ----------
    tensor : Tensor

    Returns
    -------
    Tensor of the same shape

    Examples
    --------
    >>> import torch
    >>> from sklstm.linalg import as_float64
    >>> weight = torch.tensor([0.5], requires_grad=True)
    >>> wide = as_float64(weight)
    >>> wide.dtype
    torch.float64
    >>> (2 * wide).sum().backward()
    >>> weight.grad
    tensor([2.])
    """
    return (tensor.cpu() if tensor.device.type == "mps" else tensor).double()


def max_row_sum(matrix: Tensor) -> Tensor:
    r"""Largest absolute row sum, the :math:`\|A^\top\|_1` of Tu et al. 2020.

    Parameters
    ----------
    matrix : Tensor of shape (..., m, n)

    Returns
    -------
    Tensor of shape (...)

    Examples
    --------
    >>> import torch
    >>> from sklstm.linalg import max_row_sum
    >>> max_row_sum(torch.tensor([[1.0, -2.0], [0.5, 0.5]]))
    tensor(3.)
    """
    return matrix.abs().sum(-1).amax(-1)


def leading_pair(matrix: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    r"""Largest singular value with its singular vectors: :math:`\|A\| = u^\top A v`.

    Parameters
    ----------
    matrix : Tensor of shape (..., m, n)

    Returns
    -------
    sigma : Tensor of shape (...)
        The norm; NaN if the matrix is not finite.
    u : Tensor of shape (..., m, 1)
    v : Tensor of shape (..., n, 1)
        Unit vectors. If the matrix is zero, the vector on its longer side is zero.

    Notes
    -----
    The computation is in float64. The matrix is first scaled to a largest entry of about 1, because the squares of
    small or large entries would under- or overflow. The factor is a power of two and rounds nothing:
    :math:`\|2^k A\| = 2^k \|A\|` holds to the last bit.

    The vector on the shorter side is an eigenvector of the Gram matrix of that side, which costs less than an SVD.
    Squaring the matrix loses digits of small singular values, but not of the largest. Its vector has a relative error
    of rounding size, and the error of ‖A v‖ is the square of that.

    Examples
    --------
    >>> import torch
    >>> from sklstm.linalg import leading_pair
    >>> matrix = torch.diag(torch.tensor([3.0, -4.0]))
    >>> sigma, u, v = leading_pair(matrix)
    >>> round(sigma.item(), 4)
    4.0
    >>> round((u.mT @ matrix @ v).item(), 4)
    4.0
    """
    if matrix.device.type == "mps":  # which cannot compute eigenvectors
        sigma, u, v = leading_pair(matrix.cpu())
        return sigma.to(matrix.device), u.to(matrix.device), v.to(matrix.device)
    # LAPACK raises an error on NaN. A norm of NaN makes the loss NaN, and training explains that error better.
    broken = ~torch.isfinite(matrix).all(-1, keepdim=True).all(-2, keepdim=True)
    unit, exponent = _scaled(as_float64(torch.where(broken, 0, matrix)))
    is_tall = matrix.shape[-2] >= matrix.shape[-1]
    tall = unit if is_tall else unit.mT
    short = torch.linalg.eigh(tall.mT @ tall).eigenvectors[..., -1:]  # (..., min(m, n), 1)
    long = tall @ short
    sigma = torch.linalg.vector_norm(long, dim=-2, keepdim=True)
    long = torch.where(sigma > 0, long / sigma, 0)
    sigma = torch.where(broken, torch.nan, times_power_of_two(sigma, exponent))[..., 0, 0]
    sigma, long, short = (part.to(matrix.dtype) for part in (sigma, long, short))
    return (sigma, long, short) if is_tall else (sigma, short, long)


def times_power_of_two(x: Tensor, exponent: Tensor) -> Tensor:
    """``x * 2**exponent``, differentiably, and rounded only where the result itself overflows or is subnormal.

    Parameters
    ----------
    x : Tensor
    exponent : Tensor of int
        An exponent that broadcasts with x.

    Returns
    -------
    Tensor

    Examples
    --------
    >>> import torch
    >>> from sklstm.linalg import times_power_of_two
    >>> smallest = torch.tensor(5e-324, dtype=torch.float64)
    >>> times_power_of_two(smallest, torch.tensor(1074)).item()
    1.0
    """
    # In two steps: 2**1074 is not a number, but its root is. torch's ldexp of x would have a gradient of 0 where the
    # exponent is negative.
    half, ones = torch.div(exponent, 2, rounding_mode="floor"), torch.ones_like(exponent, dtype=x.dtype)
    return x * torch.ldexp(ones, half) * torch.ldexp(ones, exponent - half)


def _scaled(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Finite float64 matrices divided by powers of two, so that the largest entry is in [1/2, 1); and the exponents."""
    exponent = torch.frexp(matrix.abs().amax((-2, -1), keepdim=True)).exponent
    unit = times_power_of_two(matrix, -exponent)
    # LAPACK's iteration for eigenvectors may not converge where products of entries are subnormal. Entries so small
    # beside the largest one change no digit.
    return torch.where(unit.abs() < _NEGLIGIBLE, 0, unit), exponent


_NEGLIGIBLE = 2.0**-400


class _SpectralNorm(torch.autograd.Function):
    """σ_max with the gradient u vᵀ of its leading singular pair.

    torch's own backward pass through the SVD is exact too, but it differentiates every singular value. The largest one
    needs only one rank-one product. This product is finite at ties of singular values, where σ_max has many
    subgradients and u vᵀ is one of them. At a zero matrix, the subgradient is zero, the one with the least norm.
    """

    @staticmethod
    def forward(ctx: Any, matrix: Tensor) -> Tensor:  # type: ignore[override]
        sigma, u, v = leading_pair(matrix)
        ctx.save_for_backward(u, v)
        return sigma

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # type: ignore[override]
        u, v = ctx.saved_tensors
        return grad[..., None, None] * (u * v.mT)


def spectral_norm(matrix: Tensor) -> Tensor:
    r"""Spectral norm :math:`\|A\|`, exact, with a gradient that is finite at zero and at ties.

    Parameters
    ----------
    matrix : Tensor of shape (..., m, n)

    Returns
    -------
    Tensor of shape (...)
        The norm; NaN if the matrix is not finite. It can be differentiated once. If the largest singular value is
        simple, the gradient is :math:`u v^\top`.

    Examples
    --------
    The norm of a diagonal matrix is its largest entry, and the gradient is one at that entry:

    >>> import torch
    >>> from sklstm.linalg import spectral_norm
    >>> matrix = torch.diag(torch.tensor([3.0, 4.0])).requires_grad_()
    >>> norm = spectral_norm(matrix)
    >>> round(norm.item(), 4)
    4.0
    >>> norm.backward()
    >>> torch.allclose(matrix.grad, torch.diag(torch.tensor([0.0, 1.0])))
    True

    The gradient is finite at zero, where other formulas for it divide by zero:

    >>> zero = torch.zeros(2, 2, requires_grad=True)
    >>> spectral_norm(zero).backward()
    >>> zero.grad.tolist()
    [[0.0, 0.0], [0.0, 0.0]]
    """
    return _SpectralNorm.apply(matrix)


def project_rows_l1(matrix: Tensor, radius: float) -> Tensor:
    r"""Project each row onto the ℓ1 ball of a radius, in the Euclidean norm.

    The algorithm is the sort-and-threshold projection of Duchi et al. 2008 (ICML), Fig. 1.

    Parameters
    ----------
    matrix : Tensor of shape (..., m, n)
    radius : float
        Radius of the ball, positive.

    Returns
    -------
    Tensor of shape (..., m, n)
        Rows inside the ball are returned unchanged, bit for bit. The absolute sums of the other rows, computed in
        float64, do not exceed ``radius``.

    Examples
    --------
    >>> import torch
    >>> from sklstm.linalg import project_rows_l1
    >>> weight = torch.tensor([[3.0, -1.0], [2.0, 2.0], [0.25, 0.5]])
    >>> project_rows_l1(weight, radius=1.0).round(decimals=3).abs()
    tensor([[1.0000, 0.0000],
            [0.5000, 0.5000],
            [0.2500, 0.5000]])
    """
    if matrix.device.type == "mps":  # which has no float64
        return project_rows_l1(matrix.cpu(), radius).to(matrix.device)
    magnitude = matrix.abs().double()
    n = matrix.shape[-1]
    ordered = magnitude.sort(-1, descending=True).values
    # Everything is measured from the largest entry. The threshold itself is of the size of the entries, and a small
    # radius would vanish in its rounding.
    largest = ordered[..., :1]
    gaps = (largest - ordered).cumsum(-1)
    count = torch.arange(1, n + 1, dtype=torch.float64, device=matrix.device)
    support = (count * (largest - ordered) - gaps < radius).sum(-1, keepdim=True).clamp_min(1)
    above = (radius + gaps.gather(-1, support - 1)) / support  # by how much the largest entry is above the threshold
    # No sum may exceed the radius: leave a margin for the roundings of sums in float64, and round each entry towards 0.
    slack = 1 - 2 * (n + 2) * torch.finfo(torch.float64).eps
    shrunk = (above - (largest - magnitude)).clamp_min(0) * slack
    entries = shrunk.to(matrix.dtype)
    entries = torch.where(entries > shrunk, torch.nextafter(entries, torch.zeros_like(entries)), entries)
    return torch.where(magnitude.sum(-1, keepdim=True) > radius, matrix.sign() * entries, matrix)
