"""The formulas of Turkin's chain, one row a cell and one row a reading, with their derivatives.

A cell is a row of `CHAINS`: how many gates its matrices stack, the formula of its gains, and the product of its
derivatives with a vector. A variant is a row of `VARIANTS`: every number and combining rule that differs between
readings. Formulas of values take tensors or Python floats, those of derivatives floats.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt

from ._scalars import Scalar, euclidean, exp, zero_like

__all__ = ["CHAINS", "VARIANTS", "Chain", "Variant", "get_chain", "get_variant"]

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
