"""Matrix norms and projections, batched over leading axes and differentiable where training needs it."""

from typing import Any

import torch
from torch import Tensor

__all__ = ["as_float64", "leading_pair", "max_row_sum", "project_rows_l1", "spectral_norm"]


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
        NaN if the matrix, or its Gram matrix, is not finite.
    u : Tensor of shape (..., m, 1)
    v : Tensor of shape (..., n, 1)
        Unit vectors. If the matrix is zero, the vector on its longer side is zero.

    Notes
    -----
    The vector on the shorter side is an eigenvector of the Gram matrix of that side, which costs less than an SVD.
    Squaring the matrix loses digits of small singular values, but not of the largest: its vector has a relative error
    of rounding size, and ‖A v‖ an error of the square of that.

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
    is_tall = matrix.shape[-2] >= matrix.shape[-1]
    tall = matrix if is_tall else matrix.mT
    gram = tall.mT @ tall
    # LAPACK raises an error on NaN. A norm of NaN makes the loss NaN, and training explains that error better.
    broken = ~torch.isfinite(gram).all(-1, keepdim=True).all(-2, keepdim=True)
    short = torch.linalg.eigh(torch.where(broken, 0, gram)).eigenvectors[..., -1:]  # (..., min(m, n), 1)
    long = tall @ short
    sigma = torch.linalg.vector_norm(long, dim=-2, keepdim=True)
    long = torch.where(sigma > 0, long / sigma, 0)
    sigma = torch.where(broken, torch.nan, sigma)[..., 0, 0]
    return (sigma, long, short) if is_tall else (sigma, short, long)


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
        NaN if the matrix, or its Gram matrix, is not finite. Differentiable once. If the largest singular value is
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
        Positive.

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
    ordered = magnitude.sort(-1, descending=True).values
    excess = ordered.cumsum(-1) - radius
    n = matrix.shape[-1]
    count = torch.arange(1, n + 1, dtype=torch.float64, device=matrix.device)
    support = (ordered * count > excess).sum(-1, keepdim=True).clamp_min(1)
    threshold = excess.gather(-1, support - 1) / support
    # No sum may exceed the radius: leave room for n roundings of a sum in float64 and one of each entry to its dtype.
    slack = 1 - n * torch.finfo(torch.float64).eps - torch.finfo(matrix.dtype).eps
    projected = matrix.sign() * ((magnitude - threshold).clamp_min(0) * slack).to(matrix.dtype)
    return torch.where(magnitude.sum(-1, keepdim=True) > radius, projected, matrix)
