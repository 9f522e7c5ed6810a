r"""The regulariser (56), its relaxation (57), and feasible initial weights for it (Turkin 2017, section 4).

In a stack of layers, the state perturbation of one layer is the input perturbation of the next. The gains of the layers
therefore multiply. Every function here takes either one tensor, for one layer, or a sequence of tensors, first layer
first, for a stack.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import torch
from torch import Tensor

from sklstm.linalg import as_float64, spectral_norm

from ._cells import Scalar, get_cell, get_variant, times
from ._gains import gate_norms, layer_kappa, linear_gain, tikhonov_gains

# The tangent replaces the barrier beyond 1 − ε. Its slope is 1/ε², and near that point it dominates the data loss in
# Adam's running moments. This was tried on a problem whose solution lies close to the barrier (make_regression as ten
# steps, λ_S = 1e-3, 150 epochs). From each of four seeds, 0.05 ended with a data loss 2 to 5 % below that of 0.01, all
# feasible. 0.1 gave no further improvement.
BARRIER_EPSILON = 0.05


def relaxed_barrier(u: Tensor, epsilon: float = BARRIER_EPSILON) -> Tensor:
    r"""The barrier :math:`1/(1-u)` of (56), continued by its tangent line beyond :math:`u = 1 - \epsilon`.

    It is finite, convex, increasing and continuously differentiable on the whole line, and equal to the paper's barrier
    where :math:`u \le 1 - \epsilon`. The barrier as printed is negative beyond its pole, so the objective is unbounded
    below. Minimising it there moves the weights towards the pole from the infeasible side.

    Parameters
    ----------
    u : Tensor
        :math:`\rho_h^2`, or :math:`\rho_h` in the tight variant.
    epsilon : float
        A number in (0, 1].

    Returns
    -------
    Tensor of the shape of u

    Examples
    --------
    >>> import torch
    >>> from sklstm.tikhonov import relaxed_barrier
    >>> relaxed_barrier(torch.tensor([0.0, 0.5, 0.75, 1.0]), epsilon=0.25)  # 1/(1 − u), then a slope of 16
    tensor([1., 2., 4., 8.])
    """
    check_epsilon(epsilon)
    return relaxed(u, epsilon)


def check_epsilon(epsilon: float) -> None:
    """Refuse an ε outside (0, 1]."""
    if not 0 < epsilon <= 1:
        raise ValueError(f"epsilon must be in (0, 1], got {epsilon}.")


def relaxed(u: Scalar, epsilon: float) -> Scalar:
    """1/(1 − u), and its tangent beyond 1 − ε, for tensors and floats; see `relaxed_barrier`."""
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


def positive_part(x: Scalar) -> Scalar:
    """x where it is positive, else 0; NaN stays NaN."""
    if isinstance(x, Tensor):
        return x.clamp_min(0)
    return 0.0 if x < 0 else x


Weights = Tensor | Sequence[Tensor]  # of one layer, or of each layer of a stack
Layer = tuple[Tensor, Tensor, Tensor | None]  # input weights, recurrent weights, recurrent bias


def as_layers(weight_ih: Weights, weight_hh: Weights, bias_hh: Weights | None) -> list[Layer]:
    """The layers of a stack, or the one layer; ``ValueError`` where the numbers of layers differ."""
    if isinstance(weight_ih, Tensor) and isinstance(weight_hh, Tensor):
        if not (bias_hh is None or isinstance(bias_hh, Tensor)):
            raise ValueError("bias_hh must be a tensor, because the weights are those of one layer.")
        return [(weight_ih, weight_hh, bias_hh)]
    if isinstance(weight_ih, Tensor) or isinstance(weight_hh, Tensor) or isinstance(bias_hh, Tensor):
        raise ValueError("the weights and biases of a stack must all be sequences with one tensor a layer.")
    biases: Sequence[Tensor | None] = [None] * len(weight_ih) if bias_hh is None else bias_hh
    if not len(weight_ih) == len(weight_hh) == len(biases) > 0:
        raise ValueError(
            "a stack needs as many input as recurrent weights (and biases), and at least one of each; got "
            f"{len(weight_ih)}, {len(weight_hh)} and {len(biases)}."
        )
    return list(zip(weight_ih, weight_hh, biases, strict=True))


@dataclass(frozen=True)
class Objective:
    """The penalty as a function of the gains and of the readout's norm, for tensors and for Python floats."""

    lambda_s: float
    lambda_1: float
    lambda_2: float
    variant: str = "turkin"
    epsilon: float = BARRIER_EPSILON

    def __post_init__(self) -> None:
        for name in ("lambda_s", "lambda_1", "lambda_2"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must be finite and non-negative, got {getattr(self, name)}.")
        get_variant(self.variant)
        check_epsilon(self.epsilon)

    def layer(self, rho_x: Scalar, rho_h: Scalar, gate: Scalar) -> tuple[Scalar, Scalar]:
        """The relaxed squared gain of a layer, and the penalty for its violated constraints."""
        variant = get_variant(self.variant)
        squared_gain = variant.squared_gain(rho_x, relaxed(variant.criticality(rho_h), self.epsilon))
        violation = positive_part(rho_h * rho_h - 1)
        return squared_gain, self.lambda_1 * violation + self.lambda_2 * positive_part(gate - 1)

    def total(self, norm_out: Scalar, layers: Sequence[tuple[Scalar, Scalar]]) -> Scalar:
        """(57) from the readout's norm and the terms of every layer."""
        product, constraints = self.lambda_s * (norm_out * norm_out), 0.0
        for squared_gain, cost in layers:
            product, constraints = times(product, squared_gain), constraints + cost
        return product + constraints

    def value_and_slopes(
        self, norm_out: float, gains: Sequence[tuple[float, float, float]]
    ) -> tuple[float, list[tuple[float, float, float]], float]:
        """(57) and its derivatives with respect to the gains of each layer and the norm of the readout; floats only."""
        variant, terms = get_variant(self.variant), [self.layer(*layer) for layer in gains]
        squared_gains = [squared_gain for squared_gain, _ in terms]
        slopes = []
        for index, (rho_x, rho_h, gate) in enumerate(gains):
            others = self.lambda_s * norm_out * norm_out
            for other in squared_gains[:index] + squared_gains[index + 1 :]:
                others *= other
            u = variant.criticality(rho_h)
            barrier, slope = relaxed(u, self.epsilon), relaxed_slope(u, self.epsilon)
            by_rho_x, by_rho_h = variant.gain_slopes(rho_x, rho_h, barrier, slope)
            violated = 2 * self.lambda_1 * rho_h if rho_h > 1 else 0.0
            slopes.append((others * by_rho_x, others * by_rho_h + violated, self.lambda_2 if gate > 1 else 0.0))
        value = self.total(norm_out, terms)
        return value, slopes, 2 * self.lambda_s * norm_out * math.prod(squared_gains)


def tikhonov_penalty(
    weight_ih: Weights,
    weight_hh: Weights,
    weight_out: Tensor,
    *,
    lambda_s: float,
    lambda_1: float,
    lambda_2: float,
    variant: str = "turkin",
    epsilon: float = BARRIER_EPSILON,
    cell: str = "lstm",
    bias_hh: Weights | None = None,
    weight_linear: Tensor | None = None,
) -> Tensor:
    r"""The penalty (57) of Turkin 2017, which is added to the mean squared error.

    .. math::

        \lambda_S \|W_{hy}\|^2 \prod_l \frac{\rho_{x,l}^2}{1 - \rho_{h,l}^2} + \lambda_1 \sum_l (\rho_{h,l}^2 - 1)_+
        + \lambda_2 \sum_l (\beta\|W_{oh,l}\| - 1)_+

    Here :math:`1/(1 - \rho_h^2)` is continued as in `relaxed_barrier`. In the tight variant the first term is
    :math:`\lambda_S \|W_{hy}\|^2 \prod_l (\rho_{x,l}/(1 - \rho_{h,l}))^2`. A linear part A adds
    :math:`\lambda_S \|A\|_F^2`.

    Parameters
    ----------
    weight_ih : Tensor of shape (..., G * H, d), or one such tensor a layer
    weight_hh : Tensor of shape (..., G * H, H), or one such tensor a layer
        Gates stacked as torch stores them: G = 4 for the LSTM, 3 for the GRU.
    weight_out : Tensor of shape (..., k, H)
        Readout :math:`W_{hy}`.
    lambda_s, lambda_1, lambda_2 : float
        Non-negative weights of the three terms.
    variant : {"turkin", "tight"}
    epsilon : float
        See `relaxed_barrier`.
    cell : {"lstm", "gru"}
    bias_hh : Tensor of shape (..., G * H), or one such tensor a layer, optional
        Used by the GRU only; see `tikhonov_gains`.
    weight_linear : Tensor of shape (..., k, m), optional
        Matrix of a linear part next to the recurrent layers; see `perturbation_gain`.

    Returns
    -------
    Tensor of shape (...)
        The penalty, finite and non-negative for all finite weights, unless it overflows. It depends on the weights
        only, so its gradient needs no second derivative of the network.

    Raises
    ------
    ValueError
        For a negative or non-finite weight, an unknown variant or cell, or wrong shapes.

    See Also
    --------
    TikhonovPenalty : The same for a training loop, with estimated norms, which cost less.

    Notes
    -----
    (56) and (57) write :math:`\gamma\|W_{oh}\|`, but do not define γ; by the remark under Proposition 2 it is β. (55)
    omits the slope α² of a logistic readout; it is a constant factor of :math:`\lambda_S`. The GRU has no output gate:
    its :math:`\lambda_2` term is zero.

    Examples
    --------
    >>> import torch
    >>> from sklstm.tikhonov import perturbation_gain, tikhonov_gains, tikhonov_penalty
    >>> weight_ih, weight_hh, weight_out = torch.ones(16, 3), 0.01 * torch.ones(16, 4), torch.ones(1, 4)
    >>> penalty = tikhonov_penalty(weight_ih, weight_hh, weight_out, lambda_s=0.5, lambda_1=10.0, lambda_2=10.0)
    >>> gain = perturbation_gain(tikhonov_gains(weight_ih, weight_hh), weight_out)
    >>> torch.allclose(penalty, 0.5 * gain)  # well inside the constraints
    True
    """
    objective = Objective(lambda_s, lambda_1, lambda_2, variant, epsilon)
    layers = [
        objective.layer(*tikhonov_gains(*layer, variant=variant, cell=cell))
        for layer in as_layers(weight_ih, weight_hh, bias_hh)
    ]
    total: Tensor = objective.total(spectral_norm(weight_out), layers)  # type: ignore[assignment]
    return total if weight_linear is None else total + lambda_s * linear_gain(weight_linear)


@overload
def feasible_scale(
    weight_ih: Tensor,
    weight_hh: Tensor,
    *,
    variant: str = ...,
    target: float = ...,
    cell: str = ...,
    bias_hh: Tensor | None = ...,
) -> float: ...


@overload
def feasible_scale(
    weight_ih: Sequence[Tensor],
    weight_hh: Sequence[Tensor],
    *,
    variant: str = ...,
    target: float = ...,
    cell: str = ...,
    bias_hh: Sequence[Tensor] | None = ...,
) -> list[float]: ...


def feasible_scale(
    weight_ih: Weights,
    weight_hh: Weights,
    *,
    variant: str = "turkin",
    target: float = 0.5,
    cell: str = "lstm",
    bias_hh: Weights | None = None,
) -> float | list[float]:
    r"""Factor for the recurrent matrices after which the constraints of (56) hold with a margin.

    torch's default initialisation is infeasible at every size (:math:`\rho_h^2` of the LSTM goes from 26 at H = 4 to 85
    at H = 128). The gains grow with the factor. Bisection finds the largest factor in (0, 1] for which the criticality
    and the gate :math:`\beta\|W_{oh}\|` are both at most ``target``. The criticality is :math:`\rho_h^2`, or
    :math:`\rho_h` in the tight variant.

    Parameters
    ----------
    weight_ih : Tensor of shape (G * H, d), or one such tensor a layer
    weight_hh : Tensor of shape (G * H, H), or one such tensor a layer
    variant : {"turkin", "tight"}
    target : float
        In (0, 1).
    cell : {"lstm", "gru"}
    bias_hh : Tensor of shape (G * H,), or one such tensor a layer, optional
        Used by the GRU only; it is not scaled.

    Returns
    -------
    float, or list of float for a stack
        Factor in (0, 1]; exactly 1.0 if no scaling is needed. Each layer of a stack has its own factor.

    Examples
    --------
    >>> import torch
    >>> from sklstm.tikhonov import feasible_scale, tikhonov_gains
    >>> weight_ih, weight_hh = torch.ones(16, 3), torch.ones(16, 4)
    >>> scale = feasible_scale(weight_ih, weight_hh)
    >>> gains = tikhonov_gains(weight_ih, scale * weight_hh)
    >>> round(gains.rho_h.item() ** 2, 4)  # as large as `target` allows
    0.5
    >>> feasible_scale(weight_ih, torch.zeros(16, 4))
    1.0
    """
    if not 0 < target < 1:
        raise ValueError(f"target must be in (0, 1), got {target}.")
    scales = [_scale_of_layer(layer, variant, target, cell) for layer in as_layers(weight_ih, weight_hh, bias_hh)]
    return scales[0] if isinstance(weight_ih, Tensor) else scales


@torch.no_grad()
def _scale_of_layer(layer: Layer, variant: str, target: float, cell: str) -> float:
    weight_ih, weight_hh = as_float64(layer[0]), as_float64(layer[1])
    bias_hh = None if layer[2] is None else as_float64(layer[2])
    row, constants = get_cell(cell), get_variant(variant)
    # As numbers: with tensors, sixty evaluations of the formula would take as long as a fifth of a small epoch.
    norms_x, norms_h = (gate_norms(weight, cell=cell).tolist() for weight in (weight_ih, weight_hh))

    def within(scale: float) -> bool:
        kappa = layer_kappa(scale * weight_hh, bias_hh, cell) if row.bounded_gate is not None else None
        scaled = [scale * norm for norm in norms_h]
        _, rho_h, gate = row.gains(norms_x, scaled, 0.0 if kappa is None else kappa.item(), constants)
        return bool(constants.criticality(rho_h) <= target and gate <= target)

    low, high = 0.0, 1.0
    if within(high):
        return high
    for _ in range(60):  # to the last bit of a double, unless the scale itself is tiny
        middle = (low + high) / 2
        low, high = (middle, high) if within(middle) else (low, middle)
    return low
