r"""Turkin's perturbation chain: gate norms in, gains :math:`\rho_x, \rho_h` out (Turkin 2017, section 3).

A cell is a row of `CHAINS`: how many gates its matrices stack and the formula of its gains. A variant is a row of
`VARIANTS`: every number and combining rule that differs between readings. Formulas take tensors or Python numbers.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any, NamedTuple

from torch import Tensor

from sklstm.linalg import spectral_norm

from ._scalars import Scalar, euclidean, exp, zero_like

__all__ = [
    "CHAINS",
    "VARIANTS",
    "Chain",
    "TikhonovGains",
    "Variant",
    "gains_from_norms",
    "gate_norms",
    "preactivation_bound",
    "tikhonov_gains",
]

ALPHA = 0.25  # largest slope of the logistic, above (4)


@dataclass(frozen=True)
class Variant:
    """One reading of the chain; every number that differs between readings stands here and nowhere else."""

    beta: float  # Lipschitz constant of (ξ₁, ξ₂) ↦ tanh(ξ₁)σ(ξ₂), eq. (18)
    update: float  # Lipschitz constant of the GRU's step (1 − z)⊙n + z⊙h in the net input of z, h held fixed
    rho_x: Callable[[Scalar, Scalar], Scalar]  # (γ_x, a_x) ↦ ρ_x
    rho_h: Callable[[Scalar, Scalar], Scalar]  # (γ_h, a_h) ↦ ρ_h
    slopes_x: Callable[[float, float], tuple[float, float]]  # derivatives of rho_x
    slopes_h: Callable[[float, float], tuple[float, float]]  # derivatives of rho_h
    criticality: Callable[[Scalar], Scalar]  # ρ_h ↦ u; the gain has its pole at u = 1
    squared_gain: Callable[[Scalar, Scalar], Scalar]  # (ρ_x, 1/(1 − u)) ↦ (σ_h/σ_x)²
    gain_slopes: Callable[[float, float, float, float], tuple[float, float]]  # see `Objective.value_and_slopes`


def _square(x: Scalar) -> Scalar:
    return x * x  # ** raises on overflow where x is a Python number


def _euclidean_slopes(first: float, second: float) -> tuple[float, float]:
    length = euclidean(first, second)
    return (first / length, second / length) if length else (0.0, 0.0)


VARIANTS = {
    # (52), (53) and (54) as printed; β as printed in (18).
    "turkin": Variant(
        beta=17 / 16,
        update=ALPHA + 17 / 16,  # h⊙δ_z and δ_{(1−z),n}, each by its own bound
        rho_x=lambda gamma, a: sqrt(2) * (gamma + sqrt(2) * a),
        rho_h=lambda gamma, a: sqrt(2) * (gamma + a),
        slopes_x=lambda gamma, a: (sqrt(2), 2.0),
        slopes_h=lambda gamma, a: (sqrt(2), sqrt(2)),
        criticality=_square,
        squared_gain=lambda rho_x, barrier: _square(rho_x) * barrier,
        gain_slopes=lambda rho_x, rho_h, barrier, slope: (2 * rho_x * barrier, 2 * rho_x * rho_x * rho_h * slope),
    ),
    # The exact supremum of the gradient is 1, and Minkowski's inequality replaces (a + b)² ≤ 2a² + 2b².
    "tight": Variant(
        beta=1.0,
        update=0.5,  # |∂h'/∂net_z| = |h − n| z(1 − z) ≤ 2/4
        rho_x=euclidean,
        rho_h=euclidean,
        slopes_x=_euclidean_slopes,
        slopes_h=_euclidean_slopes,
        criticality=lambda rho_h: rho_h,
        squared_gain=lambda rho_x, barrier: _square(rho_x * barrier),
        gain_slopes=lambda rho_x, rho_h, barrier, slope: (
            2 * rho_x * barrier * barrier,
            2 * rho_x * rho_x * barrier * slope,
        ),
    ),
}


def get_variant(name: str) -> Variant:
    """The row of `VARIANTS` of that name; ``ValueError`` for any other name."""
    if name not in VARIANTS:
        raise ValueError(f"variant must be one of {sorted(VARIANTS)}, got {name!r}.")
    return VARIANTS[name]


Gains = tuple[Scalar, Scalar, Scalar]  # ρ_x, ρ_h and the gate constraint


def _lstm_gains(norms_x: Sequence[Scalar], norms_h: Sequence[Scalar], _: Scalar, variant: Variant) -> Gains:
    i_x, f_x, g_x, o_x = norms_x
    i_h, f_h, g_h, o_h = norms_h
    gamma_x = ALPHA * f_x + variant.beta * (i_x + g_x)  # Prop. 3
    gamma_h = ALPHA * f_h + variant.beta * (i_h + g_h)
    gate = variant.beta * o_h
    # exp(gate − 1) is 1/E of (33); as a factor it overflows to inf, where E in a denominator would make 0/0.
    inverse_e = exp(gate - 1)
    a_x = (gamma_x * gate + o_x) * inverse_e
    a_h = gamma_h * gate * inverse_e
    return variant.rho_x(gamma_x, a_x), variant.rho_h(gamma_h, a_h), gate


def _gru_gains(norms_x: Sequence[Scalar], norms_h: Sequence[Scalar], kappa: Scalar, variant: Variant) -> Gains:
    gammas = []
    for r, z, n in (norms_x, norms_h):
        # ‖δ_r‖ ≤ α(…) moves the candidate's net input by κ‖δ_r‖. β bounds the slope in it in either reading.
        gammas.append(variant.update * z + variant.beta * (n + ALPHA * kappa * r))
    gamma_x, gamma_h = gammas
    # No output gate: the terms a_x and a_h of (52) and (53), and the constraint on the gate, are zero.
    zero = zero_like(gamma_h)
    return variant.rho_x(gamma_x, zero), variant.rho_h(gamma_h, zero), zero


Norms = Sequence[float]
Slopes = tuple[list[float], list[float], float]  # by the norms of the inputs' and the states' gates, and by κ


def _lstm_back(norms_x: Norms, norms_h: Norms, _: float, variant: Variant, by: tuple[float, float, float]) -> Slopes:
    i_x, f_x, g_x, o_x = norms_x
    i_h, f_h, g_h, o_h = norms_h
    by_rho_x, by_rho_h, by_gate = by
    beta = variant.beta
    gamma_x, gamma_h = ALPHA * f_x + beta * (i_x + g_x), ALPHA * f_h + beta * (i_h + g_h)
    gate = beta * o_h
    inverse_e = exp(gate - 1)
    a_x, a_h = (gamma_x * gate + o_x) * inverse_e, gamma_h * gate * inverse_e
    direct_x, through_x = variant.slopes_x(gamma_x, a_x)
    direct_h, through_h = variant.slopes_h(gamma_h, a_h)
    by_a_x, by_a_h = by_rho_x * through_x, by_rho_h * through_h
    by_gamma_x = by_rho_x * direct_x + by_a_x * gate * inverse_e
    by_gamma_h = by_rho_h * direct_h + by_a_h * gate * inverse_e
    by_gate += by_a_x * (gamma_x * inverse_e + a_x) + by_a_h * (gamma_h * inverse_e + a_h)
    return (
        [beta * by_gamma_x, ALPHA * by_gamma_x, beta * by_gamma_x, by_a_x * inverse_e],
        [beta * by_gamma_h, ALPHA * by_gamma_h, beta * by_gamma_h, beta * by_gate],
        0.0,
    )


def _gru_back(norms_x: Norms, norms_h: Norms, kappa: float, variant: Variant, by: tuple[float, float, float]) -> Slopes:
    slopes, by_kappa = [], 0.0
    for (r, z, n), by_rho, slopes_of in zip(
        (norms_x, norms_h), by[:2], (variant.slopes_x, variant.slopes_h), strict=True
    ):
        gamma = variant.update * z + variant.beta * (n + ALPHA * kappa * r)
        by_gamma = by_rho * slopes_of(gamma, 0.0)[0]
        by_reset = variant.beta * ALPHA * by_gamma
        slopes.append([by_reset * kappa, variant.update * by_gamma, variant.beta * by_gamma])
        by_kappa += by_reset * r
    return slopes[0], slopes[1], by_kappa


@dataclass(frozen=True)
class Chain:
    """What the penalty needs to know of a cell: its gains, and the product of their derivatives with a vector."""

    n_gates: int
    gains: Callable[[Sequence[Scalar], Sequence[Scalar], Scalar, Variant], Gains]
    back: Callable[[Norms, Norms, float, Variant, tuple[float, float, float]], Slopes]
    bounded_gate: int | None = None  # the gate whose W_h h + b_h is itself multiplied by a gate: κ bounds it


CHAINS = {
    "lstm": Chain(n_gates=4, gains=_lstm_gains, back=_lstm_back),
    "gru": Chain(n_gates=3, gains=_gru_gains, back=_gru_back, bounded_gate=2),
}


def get_chain(name: str) -> Chain:
    """The row of `CHAINS` of that name; ``ValueError`` for any other name."""
    if name not in CHAINS:
        raise ValueError(f"cell must be one of {sorted(CHAINS)}, got {name!r}.")
    return CHAINS[name]


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


def gate_norms(weight: Tensor, *, cell: str = "lstm") -> Tensor:
    """Spectral norms of the stacked gate matrices.

    Parameters
    ----------
    weight : Tensor of shape (..., G * H, m)
        Gates stacked as torch stacks them: i, f, g, o in an LSTM's ``weight_ih_l0`` and ``weight_hh_l0`` (G = 4),
        r, z, n in a GRU's (G = 3).
    cell : {"lstm", "gru"}

    Returns
    -------
    Tensor of shape (..., G)
    """
    return spectral_norm(split_gates(weight, get_chain(cell).n_gates))


def split_gates(weight: Any, n_gates: int) -> Any:
    """(..., G * H, m) → (..., G, H, m), a tensor or an array."""
    shape = tuple(weight.shape)
    if len(shape) < 2 or shape[-2] % n_gates:
        raise ValueError(f"expected gate matrices stacked as (..., {n_gates} * hidden_size, m), got shape {shape}.")
    return weight.reshape(*shape[:-2], n_gates, -1, shape[-1])


def preactivation_bound(weight: Tensor, bias: Tensor | None = None) -> Tensor:
    r"""Bound :math:`\kappa = \max_j (\sum_k |W_{jk}| + |b_j|)` on :math:`|W h + b|` over all :math:`|h| \le 1`.

    Parameters
    ----------
    weight : Tensor of shape (..., H, H)
    bias : Tensor of shape (..., H), optional

    Returns
    -------
    Tensor of shape (...)
        Attained at a sign vector h. The gradient is the signs of the largest row.
    """
    rows = weight.abs().sum(-1)
    # max over a dimension, not amax: at a tie the gradient goes to one row, as in `TikhonovPenalty`.
    return (rows if bias is None else rows + bias.abs()).max(-1).values


def layer_kappa(weight_hh: Tensor, bias_hh: Tensor | None, cell: str) -> Tensor | None:
    """κ of the cell's bounded gate, None for a cell without one."""
    chain = get_chain(cell)
    if chain.bounded_gate is None:
        return None
    bias = None if bias_hh is None else bias_hh.unflatten(-1, (chain.n_gates, -1))[..., chain.bounded_gate, :]
    return preactivation_bound(split_gates(weight_hh, chain.n_gates)[..., chain.bounded_gate, :, :], bias)


def gains_from_norms(
    norms_x: Tensor,
    norms_h: Tensor,
    *,
    variant: str = "turkin",
    cell: str = "lstm",
    kappa: Tensor | None = None,
) -> TikhonovGains:
    """The chain on given gate norms, each of shape (..., G) in torch's order of gates; see `tikhonov_gains`.

    ``kappa``, of shape (...), is the GRU's `preactivation_bound`; the LSTM has none.
    """
    chain, reading = get_chain(cell), get_variant(variant)
    if chain.bounded_gate is not None and kappa is None:
        raise ValueError(f"the chain of cell={cell!r} needs kappa, the bound on what its reset gate multiplies.")
    return TikhonovGains(*chain.gains(norms_x.unbind(-1), norms_h.unbind(-1), kappa, reading))


def tikhonov_gains(
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_hh: Tensor | None = None,
    *,
    variant: str = "turkin",
    cell: str = "lstm",
) -> TikhonovGains:
    r"""Perturbation gains of a recurrent layer; for the LSTM (52) and (53) of Turkin 2017.

    .. math::

        \gamma_v &= \alpha\|W_{fv}\| + \beta(\|W_{iv}\| + \|W_{gv}\|), \quad v \in \{x, h\}, \quad
        E = \exp(1 - \beta\|W_{oh}\|) \\
        \rho_x &= \sqrt2\,(\gamma_x + \sqrt2(\beta\gamma_x\|W_{oh}\| + \|W_{ox}\|)/E), \quad
        \rho_h = \sqrt2\,(\gamma_h + \beta\gamma_h\|W_{oh}\|/E)

    with :math:`\alpha = 1/4` and :math:`\beta = 17/16` for ``variant="turkin"``. The ``"tight"`` variant is the same
    chain without its slack: :math:`\beta = 1` and
    :math:`\rho_x = \sqrt{\gamma_x^2 + a_x^2}, \rho_h = \sqrt{\gamma_h^2 + a_h^2}` with
    :math:`a_x = (\beta\gamma_x\|W_{oh}\| + \|W_{ox}\|)/E` and :math:`a_h = \beta\gamma_h\|W_{oh}\|/E`.

    For the GRU, with :math:`\kappa = \max_j (\sum_k |W_{nh,jk}| + |b_{nh,j}|)`,

    .. math::

        \gamma_v &= \alpha\|W_{zv}\| + \beta(\|W_{zv}\| + \|W_{nv}\| + \alpha\kappa\|W_{rv}\|), \quad
        \rho_v = \sqrt2\,\gamma_v \\
        \text{tight:}\quad \gamma_v &= \tfrac12\|W_{zv}\| + \|W_{nv}\| + \alpha\kappa\|W_{rv}\|, \quad
        \rho_v = \gamma_v .

    Parameters
    ----------
    weight_ih : Tensor of shape (..., G * H, d)
        Input weights, gates stacked as torch stacks them: i, f, g, o (LSTM) or r, z, n (GRU).
    weight_hh : Tensor of shape (..., G * H, H)
        Recurrent weights.
    bias_hh : Tensor of shape (..., G * H), optional
        Recurrent biases; enters the GRU's κ, and nothing in the LSTM.
    variant : {"turkin", "tight"}
    cell : {"lstm", "gru"}

    Returns
    -------
    TikhonovGains
        Differentiable once; gradients are finite at zero matrices and at ties of singular values. ``gate`` is zero
        for the GRU, which has no output gate.

    Raises
    ------
    ValueError
        For an unknown variant or cell, or rows that are not the cell's stacked gates.

    Notes
    -----
    These are surrogates that regularise well, not certificates: the derivation drops what the state accumulates
    through the forget gate (LSTM) or the update gate (GRU), and an LSTM with :math:`\rho_h = 0` can amplify a
    perturbation about L times over L steps.
    """
    return gains_from_norms(
        gate_norms(weight_ih, cell=cell),
        gate_norms(weight_hh, cell=cell),
        variant=variant,
        cell=cell,
        kappa=layer_kappa(weight_hh, bias_hh, cell),
    )
