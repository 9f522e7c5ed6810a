r"""Turkin's perturbation chain for the LSTM: gate norms in, gains :math:`\rho_x, \rho_h` out (Turkin 2017, section 3).

A variant is a row of `VARIANTS`: the constant β, how the memory and the output-gate perturbations combine into
:math:`\rho_x` and :math:`\rho_h`, the quantity u whose reaching 1 ends feasibility, and how barrier and gain combine.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from typing import NamedTuple

import torch
from torch import Tensor

from sklstm.linalg import spectral_norm

__all__ = ["VARIANTS", "TikhonovGains", "Variant", "gains_from_norms", "gate_norms", "tikhonov_gains"]

ALPHA = 0.25  # largest slope of the logistic, above (4)


@dataclass(frozen=True)
class Variant:
    """One reading of the chain; every number that differs between readings stands here and nowhere else."""

    beta: float  # Lipschitz constant of (ξ₁, ξ₂) ↦ tanh(ξ₁)σ(ξ₂), eq. (18)
    rho_x: Callable[[Tensor, Tensor], Tensor]  # (γ_x, a_x) ↦ ρ_x
    rho_h: Callable[[Tensor, Tensor], Tensor]  # (γ_h, a_h) ↦ ρ_h
    criticality: Callable[[Tensor], Tensor]  # ρ_h ↦ u; the gain has its pole at u = 1
    squared_gain: Callable[[Tensor, Tensor], Tensor]  # (ρ_x, 1/(1 − u)) ↦ (σ_h/σ_x)²


def _euclidean(first: Tensor, second: Tensor) -> Tensor:
    # vector_norm rather than sqrt(a² + b²) or hypot: its gradient at (0, 0) is 0, theirs is NaN.
    return torch.linalg.vector_norm(torch.stack((first, second)), dim=0)


VARIANTS = {
    # (52), (53) and (54) as printed; β as printed in (18).
    "turkin": Variant(
        beta=17 / 16,
        rho_x=lambda gamma, a: sqrt(2) * (gamma + sqrt(2) * a),
        rho_h=lambda gamma, a: sqrt(2) * (gamma + a),
        criticality=lambda rho_h: rho_h**2,
        squared_gain=lambda rho_x, barrier: rho_x**2 * barrier,
    ),
    # The exact supremum of the gradient is 1, and Minkowski's inequality replaces (a + b)² ≤ 2a² + 2b².
    "tight": Variant(
        beta=1.0,
        rho_x=_euclidean,
        rho_h=_euclidean,
        criticality=lambda rho_h: rho_h,
        squared_gain=lambda rho_x, barrier: (rho_x * barrier) ** 2,
    ),
}


def get_variant(name: str) -> Variant:
    """The row of `VARIANTS` of that name; ``ValueError`` for any other name."""
    if name not in VARIANTS:
        raise ValueError(f"variant must be one of {sorted(VARIANTS)}, got {name!r}.")
    return VARIANTS[name]


class TikhonovGains(NamedTuple):
    r"""Gains of the chain, each of shape (...).

    Attributes
    ----------
    rho_x : Tensor
        :math:`\rho_x`, (52): from input perturbation to state perturbation.
    rho_h : Tensor
        :math:`\rho_h`, (53): from state perturbation back to state perturbation; feasible below 1.
    gate : Tensor
        :math:`\beta\|W_{oh}\|`, the remark under Proposition 2; feasible up to 1.
    """

    rho_x: Tensor
    rho_h: Tensor
    gate: Tensor

    @property
    def feasible(self) -> Tensor:
        r"""Whether both constraints of (56) hold: :math:`\rho_h^2 < 1` and :math:`\beta\|W_{oh}\| \le 1`."""
        return (self.rho_h < 1) & (self.gate <= 1)


def gate_norms(weight: Tensor) -> Tensor:
    """Spectral norms of the four stacked gate matrices.

    Parameters
    ----------
    weight : Tensor of shape (..., 4 * H, m)
        Gates stacked i, f, g, o, as torch's ``weight_ih_l0`` and ``weight_hh_l0`` are.

    Returns
    -------
    Tensor of shape (..., 4)
    """
    if weight.ndim < 2 or weight.shape[-2] % 4:
        raise ValueError(
            f"expected gate matrices stacked as (..., 4 * hidden_size, m), got shape {tuple(weight.shape)}."
        )
    return spectral_norm(weight.unflatten(-2, (4, -1)))


def gains_from_norms(norms_x: Tensor, norms_h: Tensor, *, variant: str = "turkin") -> TikhonovGains:
    """The chain on given gate norms, each of shape (..., 4) in the order i, f, g, o; see `tikhonov_gains`."""
    chain = get_variant(variant)
    i_x, f_x, g_x, o_x = norms_x.unbind(-1)
    i_h, f_h, g_h, o_h = norms_h.unbind(-1)
    gamma_x = ALPHA * f_x + chain.beta * (i_x + g_x)  # Prop. 3
    gamma_h = ALPHA * f_h + chain.beta * (i_h + g_h)
    gate = chain.beta * o_h
    # exp(gate − 1) is 1/E of (33); as a factor it overflows to inf, where E in a denominator would make 0/0.
    inverse_e = torch.exp(gate - 1)
    a_x = (gamma_x * gate + o_x) * inverse_e
    a_h = gamma_h * gate * inverse_e
    return TikhonovGains(rho_x=chain.rho_x(gamma_x, a_x), rho_h=chain.rho_h(gamma_h, a_h), gate=gate)


def tikhonov_gains(weight_ih: Tensor, weight_hh: Tensor, *, variant: str = "turkin") -> TikhonovGains:
    r"""Perturbation gains of an LSTM layer, (52) and (53) of Turkin 2017.

    .. math::

        \gamma_v &= \alpha\|W_{fv}\| + \beta(\|W_{iv}\| + \|W_{gv}\|), \quad v \in \{x, h\}, \quad
        E = \exp(1 - \beta\|W_{oh}\|) \\
        \rho_x &= \sqrt2\,(\gamma_x + \sqrt2(\beta\gamma_x\|W_{oh}\| + \|W_{ox}\|)/E), \quad
        \rho_h = \sqrt2\,(\gamma_h + \beta\gamma_h\|W_{oh}\|/E)

    with :math:`\alpha = 1/4` and :math:`\beta = 17/16` for ``variant="turkin"``. The ``"tight"`` variant is the same
    chain without its slack: :math:`\beta = 1` and
    :math:`\rho_x = \sqrt{\gamma_x^2 + a_x^2}, \rho_h = \sqrt{\gamma_h^2 + a_h^2}` with
    :math:`a_x = (\beta\gamma_x\|W_{oh}\| + \|W_{ox}\|)/E` and :math:`a_h = \beta\gamma_h\|W_{oh}\|/E`.

    Parameters
    ----------
    weight_ih : Tensor of shape (..., 4 * H, d)
        Input weights, gates stacked i, f, g, o.
    weight_hh : Tensor of shape (..., 4 * H, H)
        Recurrent weights, gates stacked i, f, g, o.
    variant : {"turkin", "tight"}

    Returns
    -------
    TikhonovGains
        Differentiable once; gradients are finite at zero matrices and at ties of singular values.

    Raises
    ------
    ValueError
        For an unknown variant or rows that are not four stacked gates.

    Notes
    -----
    These are surrogates that regularise well, not certificates: the derivation drops the accumulation of the cell
    through the forget gate, and an LSTM with :math:`\rho_h = 0` can amplify a perturbation about L times over L steps.
    """
    return gains_from_norms(gate_norms(weight_ih), gate_norms(weight_hh), variant=variant)
