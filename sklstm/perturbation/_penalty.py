r"""The regulariser (56), its relaxation (57), and the start from which it can be minimised (Turkin 2017, section 4)."""

import torch
from torch import Tensor

from sklstm.linalg import spectral_norm

from ._chain import TikhonovGains, gains_from_norms, gate_norms, get_variant, tikhonov_gains

__all__ = ["feasible_scale", "perturbation_gain", "relaxed_barrier", "tikhonov_penalty"]

# Where the tangent takes over. Its slope is 1/ε², and near the seam it dwarfs the data in Adam's running moments. On a
# problem that presses against the barrier (make_regression as ten steps, λ_S = 1e-3, 150 epochs) 0.05 ended with a data
# loss 2 to 5 % below that of 0.01 from each of four seeds, all feasible; 0.1 brought nothing more.
BARRIER_EPSILON = 0.05


def relaxed_barrier(u: Tensor, epsilon: float = BARRIER_EPSILON) -> Tensor:
    r"""The barrier :math:`1/(1-u)` of (56), continued by its tangent line beyond :math:`u = 1 - \epsilon`.

    Finite, convex, increasing and continuously differentiable on the whole line, and the paper's own where
    :math:`u \le 1 - \epsilon`. As printed the barrier is negative beyond its pole, where minimising it draws the
    weights towards the pole from the wrong side: the objective is unbounded below.

    Parameters
    ----------
    u : Tensor
        :math:`\rho_h^2`, or :math:`\rho_h` in the tight chain.
    epsilon : float
        In (0, 1].

    Returns
    -------
    Tensor of the shape of u
    """
    if not 0 < epsilon <= 1:
        raise ValueError(f"epsilon must be in (0, 1], got {epsilon}.")
    inside = u <= 1 - epsilon
    # The unused branch of where() still gets a gradient: give it an argument at which that is finite.
    barrier = 1 / (1 - torch.where(inside, u, 0))
    tangent = (2 * epsilon - (1 - u)) / epsilon**2
    return torch.where(inside, barrier, tangent)


def tikhonov_penalty(
    weight_ih: Tensor,
    weight_hh: Tensor,
    weight_out: Tensor,
    *,
    lambda_s: float,
    lambda_1: float,
    lambda_2: float,
    variant: str = "turkin",
    epsilon: float = BARRIER_EPSILON,
) -> Tensor:
    r"""What (57) of Turkin 2017 adds to the mean squared error.

    .. math::

        \lambda_S \|W_{hy}\|^2 \frac{\rho_x^2}{1 - \rho_h^2} + \lambda_1 (\rho_h^2 - 1)_+
        + \lambda_2 (\beta\|W_{oh}\| - 1)_+

    with :math:`1/(1 - \rho_h^2)` continued as `relaxed_barrier` says. In the tight chain the first term is
    :math:`\lambda_S \|W_{hy}\|^2 (\rho_x/(1 - \rho_h))^2`.

    Parameters
    ----------
    weight_ih : Tensor of shape (..., 4 * H, d)
    weight_hh : Tensor of shape (..., 4 * H, H)
        Gates stacked i, f, g, o, as torch stores them.
    weight_out : Tensor of shape (..., k, H)
        Readout :math:`W_{hy}`.
    lambda_s, lambda_1, lambda_2 : float
        Non-negative weights of the three terms.
    variant : {"turkin", "tight"}
    epsilon : float
        See `relaxed_barrier`.

    Returns
    -------
    Tensor of shape (...)
        Finite and non-negative for every finite argument short of overflow. Needs no second derivative of the
        network: it is a function of the weights alone.

    Raises
    ------
    ValueError
        For a negative or non-finite weight, an unknown variant or wrong shapes.

    Notes
    -----
    (56) and (57) write :math:`\gamma\|W_{oh}\|` with a γ that is never defined; by the remark under Proposition 2 it is
    β. (55) drops the slope α² of a logistic readout; :math:`\lambda_S` absorbs it.
    """
    for name, value in (("lambda_s", lambda_s), ("lambda_1", lambda_1), ("lambda_2", lambda_2)):
        if not 0 <= value < float("inf"):
            raise ValueError(f"{name} must be finite and non-negative, got {value}.")
    chain = get_variant(variant)
    gains = tikhonov_gains(weight_ih, weight_hh, variant=variant)
    barrier = relaxed_barrier(chain.criticality(gains.rho_h), epsilon)
    return (
        lambda_s * spectral_norm(weight_out) ** 2 * chain.squared_gain(gains.rho_x, barrier)
        + lambda_1 * (gains.rho_h**2 - 1).clamp_min(0)
        + lambda_2 * (gains.gate - 1).clamp_min(0)
    )


def perturbation_gain(gains: TikhonovGains, weight_out: Tensor, *, variant: str = "turkin") -> Tensor:
    r"""Squared gain from input to output, (55): :math:`\|W_{hy}\|^2 \rho_x^2 / (1 - \rho_h^2)`.

    Parameters
    ----------
    gains : TikhonovGains
        Of shape (...).
    weight_out : Tensor of shape (..., k, H)
    variant : {"turkin", "tight"}
        The chain that the gains were computed with.

    Returns
    -------
    Tensor of shape (...)
        ``inf`` where a constraint of (56) is violated: the chain then says nothing.
    """
    chain = get_variant(variant)
    barrier = 1 / (1 - chain.criticality(gains.rho_h))
    gain = spectral_norm(weight_out) ** 2 * chain.squared_gain(gains.rho_x, barrier)
    return torch.where(gains.feasible, gain, torch.inf)


@torch.no_grad()
def feasible_scale(weight_ih: Tensor, weight_hh: Tensor, *, variant: str = "turkin", target: float = 0.5) -> float:
    r"""The factor by which to scale all recurrent matrices so that the chain starts well inside its constraints.

    Torch's default initialisation is infeasible at every size (:math:`\rho_h^2` from 26 at H = 4 to 85 at H = 128).
    The gains grow with the factor, so bisection finds the largest one in (0, 1] for which the criticality
    (:math:`\rho_h^2`, or :math:`\rho_h` in the tight chain) and the gate :math:`\beta\|W_{oh}\|` stay at or below
    ``target``.

    Parameters
    ----------
    weight_ih : Tensor of shape (4 * H, d)
    weight_hh : Tensor of shape (4 * H, H)
    variant : {"turkin", "tight"}
    target : float
        In (0, 1).

    Returns
    -------
    float
        In (0, 1]; exactly 1.0 when nothing has to be scaled.
    """
    if not 0 < target < 1:
        raise ValueError(f"target must be in (0, 1), got {target}.")
    criticality = get_variant(variant).criticality
    norms_x, norms_h = gate_norms(weight_ih.double()), gate_norms(weight_hh.double())

    def within(scale: float) -> bool:
        gains = gains_from_norms(norms_x, scale * norms_h, variant=variant)
        return bool(criticality(gains.rho_h) <= target and gains.gate <= target)

    low, high = 0.0, 1.0
    if within(high):
        return high
    for _ in range(60):  # to the last bit of a double, unless the scale itself is tiny
        middle = (low + high) / 2
        low, high = (middle, high) if within(middle) else (low, middle)
    return low
