r"""The formulas that estimate a cell's gains, and their derivatives: one row for each cell and each variant.

A cell is a row of `CELLS`. The row has the number of gates stacked in its matrices, the formula of its gains, and the
product of the formula's derivatives with a vector. To add a cell to the penalty, add a row. A variant is a row of
`VARIANTS`. It has all constants and combining rules that differ between the variants.

The gains' formulas take tensors or Python floats. Tensors give the exact, differentiable evaluation. Floats give the
fast one, whose derivatives are written out below; the tests compare them with autograd.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any, NamedTuple

import torch
from torch import Tensor

from sklstm.linalg import times_power_of_two

Scalar = Any  # Tensor or float: every function returns the type that it was given

ALPHA = 0.25  # largest slope of the logistic function, above (4)


def exp(x: Scalar) -> Scalar:
    """The exponential; inf on overflow."""
    if isinstance(x, Tensor):
        return torch.exp(x)
    try:
        return math.exp(x)
    except OverflowError:  # where tensors give inf
        return math.inf


def times(x: Scalar, y: Scalar) -> Scalar:
    """x y, and 0 where one is 0 and the other inf: a factor of zero weights does not count."""
    if not isinstance(x, Tensor):
        return x * y if x and y else 0.0
    lost = ((x == 0) & torch.isinf(y)) | ((y == 0) & torch.isinf(x))
    return torch.where(lost, 0, x) * torch.where(lost, 0, y)


def euclidean(first: Scalar, second: Scalar) -> Scalar:
    """√(a² + b²), with derivative 0 at (0, 0)."""
    if isinstance(first, Tensor):
        # vector_norm rather than sqrt(a² + b²) or hypot: its gradient at (0, 0) is 0, theirs is NaN. Its squares must
        # not under- or overflow.
        pair = torch.stack((first, second))
        size = pair.detach().abs().amax(0)
        exponent = torch.where(torch.isfinite(size), torch.frexp(size).exponent, 0)
        return times_power_of_two(torch.linalg.vector_norm(times_power_of_two(pair, -exponent), dim=0), exponent)
    return math.hypot(first, second)


def _zero_like(x: Scalar) -> Scalar:
    """0 in the type of x, finite even where x is not."""
    return torch.zeros_like(x) if isinstance(x, Tensor) else 0.0


def _square(x: Scalar) -> Scalar:
    return x * x  # ** raises on overflow where x is a Python float


def _euclidean_slopes(first: float, second: float) -> tuple[float, float]:
    length = euclidean(first, second)
    return (first / length, second / length) if length else (0.0, 0.0)


@dataclass(frozen=True)
class Variant:
    """One version of the estimate, with all numbers that differ between versions."""

    beta: float  # Lipschitz constant of (ξ₁, ξ₂) ↦ tanh(ξ₁)σ(ξ₂), eq. (18)
    update: float  # Lipschitz constant of the GRU's step (1 − z)⊙n + z⊙h in the net input of z, for fixed h
    rho_x: Callable[[Scalar, Scalar], Scalar]  # (γ_x, a_x) ↦ ρ_x
    rho_h: Callable[[Scalar, Scalar], Scalar]  # (γ_h, a_h) ↦ ρ_h
    slopes_x: Callable[[float, float], tuple[float, float]]  # derivatives of rho_x
    slopes_h: Callable[[float, float], tuple[float, float]]  # derivatives of rho_h
    criticality: Callable[[Scalar], Scalar]  # ρ_h ↦ u; the gain has its pole at u = 1
    squared_gain: Callable[[Scalar, Scalar], Scalar]  # (ρ_x, 1/(1 − u)) ↦ (σ_h/σ_x)²
    gain_slopes: Callable[[float, float, float, float], tuple[float, float]]  # see `Objective.value_and_slopes`


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
        squared_gain=lambda rho_x, barrier: times(_square(rho_x), barrier),
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
        squared_gain=lambda rho_x, barrier: _square(times(rho_x, barrier)),
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


Norms = Sequence[float]
Gains = tuple[Scalar, Scalar, Scalar]  # ρ_x, ρ_h and the gate constraint
# Derivatives with respect to the norms of the input matrices, those of the recurrent matrices, and κ.
Slopes = tuple[list[float], list[float], float]


class _LSTMTerms(NamedTuple):
    """Intermediate values of (52) and (53)."""

    gamma_x: Scalar
    gamma_h: Scalar
    gate: Scalar  # β‖W_oh‖
    inverse_e: Scalar
    a_x: Scalar
    a_h: Scalar


def _lstm_terms(norms_x: Sequence[Scalar], norms_h: Sequence[Scalar], variant: Variant) -> _LSTMTerms:
    i_x, f_x, g_x, o_x = norms_x
    i_h, f_h, g_h, o_h = norms_h
    gamma_x = ALPHA * f_x + variant.beta * (i_x + g_x)  # Prop. 3
    gamma_h = ALPHA * f_h + variant.beta * (i_h + g_h)
    gate = variant.beta * o_h
    # exp(gate − 1) is 1/E of (33). As a factor it overflows to inf; E in a denominator would give 0/0.
    inverse_e = exp(gate - 1)
    a_x = times(times(gamma_x, gate) + o_x, inverse_e)
    a_h = times(times(gamma_h, gate), inverse_e)
    return _LSTMTerms(gamma_x, gamma_h, gate, inverse_e, a_x, a_h)


def _lstm_gains(norms_x: Sequence[Scalar], norms_h: Sequence[Scalar], _: Scalar, variant: Variant) -> Gains:
    terms = _lstm_terms(norms_x, norms_h, variant)
    return variant.rho_x(terms.gamma_x, terms.a_x), variant.rho_h(terms.gamma_h, terms.a_h), terms.gate


def _lstm_slopes(norms_x: Norms, norms_h: Norms, _: float, variant: Variant, by: tuple[float, float, float]) -> Slopes:
    beta, (by_rho_x, by_rho_h, by_gate) = variant.beta, by
    gamma_x, gamma_h, gate, inverse_e, a_x, a_h = _lstm_terms(norms_x, norms_h, variant)
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


def _gru_gamma(norms: Sequence[Scalar], kappa: Scalar, variant: Variant) -> Scalar:
    r, z, n = norms
    # ‖δ_r‖ ≤ α(…) moves the candidate's net input by κ‖δ_r‖. β bounds the slope in that net input in both variants.
    return variant.update * z + variant.beta * (n + times(ALPHA * kappa, r))


def _gru_gains(norms_x: Sequence[Scalar], norms_h: Sequence[Scalar], kappa: Scalar, variant: Variant) -> Gains:
    gamma_x, gamma_h = (_gru_gamma(norms, kappa, variant) for norms in (norms_x, norms_h))
    # The GRU has no output gate: the terms a_x and a_h of (52) and (53), and the constraint on the gate, are zero.
    zero = _zero_like(gamma_h)
    return variant.rho_x(gamma_x, zero), variant.rho_h(gamma_h, zero), zero


def _gru_slopes(
    norms_x: Norms, norms_h: Norms, kappa: float, variant: Variant, by: tuple[float, float, float]
) -> Slopes:
    slopes, by_kappa = [], 0.0
    for norms, by_rho, slopes_of in zip((norms_x, norms_h), by[:2], (variant.slopes_x, variant.slopes_h), strict=True):
        by_gamma = by_rho * slopes_of(_gru_gamma(norms, kappa, variant), 0.0)[0]
        by_reset = variant.beta * ALPHA * by_gamma
        slopes.append([by_reset * kappa, variant.update * by_gamma, variant.beta * by_gamma])
        by_kappa += by_reset * norms[0]
    return slopes[0], slopes[1], by_kappa


@dataclass(frozen=True)
class Cell:
    """The properties of a recurrent cell that the penalty needs.

    Parameters
    ----------
    n_gates : int
        Number of gates stacked in the weight matrices.
    gains : callable
        Function from the norms of the input matrices, those of the recurrent matrices, κ and the variant to the gains.
    slopes : callable
        Derivatives of the gains, multiplied by a vector. It takes the same arguments and the derivatives of a scalar
        with respect to the three gains. It returns its derivatives with respect to the norms and κ.
    bounded_gate : int, optional
        The gate whose pre-activation :math:`W_h h + b_h` is itself multiplied by another gate; κ is the bound on it.
    """

    n_gates: int
    gains: Callable[[Sequence[Scalar], Sequence[Scalar], Scalar, Variant], Gains]
    slopes: Callable[[Norms, Norms, float, Variant, tuple[float, float, float]], Slopes]
    bounded_gate: int | None = None


CELLS = {
    "lstm": Cell(n_gates=4, gains=_lstm_gains, slopes=_lstm_slopes),
    "gru": Cell(n_gates=3, gains=_gru_gains, slopes=_gru_slopes, bounded_gate=2),
}


def get_cell(name: str) -> Cell:
    """The row of `CELLS` of that name; ``ValueError`` for any other name."""
    if name not in CELLS:
        raise ValueError(f"cell must be one of {sorted(CELLS)}, got {name!r}.")
    return CELLS[name]
