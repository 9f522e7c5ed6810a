r"""From gate norms to the gains :math:`\rho_x, \rho_h` of a layer, and to the gain of a network.

Section 3 of Turkin 2017 derives the gains as a chain of inequalities from a perturbation of the inputs to one of the
states. The formulas of the cells are in `_cells`.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from sklstm.linalg import spectral_norm

from ._cells import get_cell, get_variant, times


class TikhonovGains(NamedTuple):
    r"""Estimated gains of a layer, each of shape (...).

    Attributes
    ----------
    rho_x : Tensor
        :math:`\rho_x`, (52): from input perturbation to state perturbation.
    rho_h : Tensor
        :math:`\rho_h`, (53): from state perturbation back to state perturbation; feasible below 1.
    gate : Tensor
        :math:`\beta\|W_{oh}\|`, from the remark under Proposition 2; feasible up to 1.

    Examples
    --------
    >>> import torch
    >>> from sklstm.tikhonov import TikhonovGains
    >>> rho_h = torch.tensor([0.5, 1.5])  # of two networks
    >>> TikhonovGains(rho_x=torch.ones(2), rho_h=rho_h, gate=torch.ones(2)).feasible
    tensor([ True, False])
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
        Gates stacked as torch stacks them: i, f, g, o in an LSTM's ``weight_ih_l0`` and ``weight_hh_l0`` (G = 4), and
        r, z, n in a GRU's (G = 3).
    cell : {"lstm", "gru"}

    Returns
    -------
    Tensor of shape (..., G)

    Examples
    --------
    >>> import torch
    >>> from sklstm.tikhonov import gate_norms
    >>> gates = [scale * torch.eye(2) for scale in (1.0, 2.0, 3.0, 4.0)]
    >>> gate_norms(torch.cat(gates))
    tensor([1., 2., 3., 4.])
    """
    return spectral_norm(split_gates(weight, get_cell(cell).n_gates))


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
        The bound, attained at a sign vector h. The gradient is the signs of the largest row.

    Examples
    --------
    >>> import torch
    >>> from sklstm.tikhonov import preactivation_bound
    >>> weight, bias = torch.tensor([[1.0, -2.0], [0.5, 0.5]]), torch.tensor([0.0, -1.0])
    >>> preactivation_bound(weight, bias), (weight @ torch.tensor([1.0, -1.0]) + bias).abs().max()
    (tensor(3.), tensor(3.))
    """
    rows = weight.abs().sum(-1)
    # max over a dimension, not amax: at a tie the gradient goes to one row, as in `TikhonovPenalty`.
    return (rows if bias is None else rows + bias.abs()).max(-1).values


def layer_kappa(weight_hh: Tensor, bias_hh: Tensor | None, cell: str) -> Tensor | None:
    """κ of the cell's bounded gate; None for a cell without one."""
    n_gates, gate = get_cell(cell).n_gates, get_cell(cell).bounded_gate
    if gate is None:
        return None
    bias = None if bias_hh is None else bias_hh.unflatten(-1, (n_gates, -1))[..., gate, :]
    return preactivation_bound(split_gates(weight_hh, n_gates)[..., gate, :, :], bias)


def gains_from_norms(
    norms_x: Tensor,
    norms_h: Tensor,
    *,
    variant: str = "turkin",
    cell: str = "lstm",
    kappa: Tensor | None = None,
) -> TikhonovGains:
    """Gains of a layer from given gate norms; see `tikhonov_gains`.

    Parameters
    ----------
    norms_x, norms_h : Tensor of shape (..., G)
        Norms of the input and the recurrent matrices, in torch's order of gates.
    variant : {"turkin", "tight"}
    cell : {"lstm", "gru"}
    kappa : Tensor of shape (...), optional
        The GRU's `preactivation_bound`; the LSTM has none.

    Returns
    -------
    TikhonovGains

    Examples
    --------
    Without recurrent weights ρ_h is zero. Here ρ_x = √(γ_x² + a_x²) with γ_x = 1/4 + 2 and a_x = 1/e:

    >>> import math
    >>> import torch
    >>> from sklstm.tikhonov import gains_from_norms
    >>> gains = gains_from_norms(torch.ones(4), torch.zeros(4), variant="tight")
    >>> gains.rho_h.item(), round(gains.rho_x.item(), 4), round(math.hypot(2.25, math.exp(-1)), 4)
    (0.0, 2.2799, 2.2799)
    """
    row, constants = get_cell(cell), get_variant(variant)
    if row.bounded_gate is not None and kappa is None:
        raise ValueError(f"cell={cell!r} needs kappa, the bound on the pre-activation that its reset gate multiplies.")
    return TikhonovGains(*row.gains(norms_x.unbind(-1), norms_h.unbind(-1), kappa, constants))


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

    Here :math:`\alpha = 1/4` and :math:`\beta = 17/16` for ``variant="turkin"``. The ``"tight"`` variant uses the same
    inequalities without their slack. It has :math:`\beta = 1` and :math:`\rho_x = \sqrt{\gamma_x^2 + a_x^2}, \rho_h =
    \sqrt{\gamma_h^2 + a_h^2}` with :math:`a_x = (\beta\gamma_x\|W_{oh}\| + \|W_{ox}\|)/E` and
    :math:`a_h = \beta\gamma_h\|W_{oh}\|/E`.

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
        Recurrent biases. They enter the GRU's κ; the LSTM's gains do not use them.
    variant : {"turkin", "tight"}
    cell : {"lstm", "gru"}

    Returns
    -------
    TikhonovGains
        The gains. They can be differentiated once; gradients are finite at zero matrices and at ties of singular
        values. ``gate`` is zero for the GRU, which has no output gate.

    Raises
    ------
    ValueError
        For an unknown variant or cell, or rows that are not the cell's stacked gates.

    Notes
    -----
    These are estimates that regularise well; they are not certificates. The derivation omits what the state accumulates
    through the forget gate (LSTM) or the update gate (GRU). An LSTM with :math:`\rho_h = 0` can amplify an input error
    about L times over L steps.

    Examples
    --------
    torch's initial weights are infeasible. With recurrent matrices divided by 20 the constraints hold:

    >>> import torch
    >>> from sklstm.tikhonov import tikhonov_gains
    >>> lstm = torch.nn.LSTM(3, 16)
    >>> bool(tikhonov_gains(lstm.weight_ih_l0, lstm.weight_hh_l0).feasible)
    False
    >>> bool(tikhonov_gains(lstm.weight_ih_l0, lstm.weight_hh_l0 / 20).feasible)
    True
    """
    return gains_from_norms(
        gate_norms(weight_ih, cell=cell),
        gate_norms(weight_hh, cell=cell),
        variant=variant,
        cell=cell,
        kappa=layer_kappa(weight_hh, bias_hh, cell),
    )


def linear_gain(weight_linear: Tensor) -> Tensor:
    r"""Squared gain :math:`\|A\|_F^2` (...) of a linear part (..., k, m).

    It is exact: :math:`E\|A\epsilon\|^2 = \sigma^2 \|A\|_F^2` for noise of independent entries of variance σ².
    """
    return weight_linear.square().sum((-2, -1))


def perturbation_gain(
    gains: TikhonovGains | Sequence[TikhonovGains],
    weight_out: Tensor,
    *,
    variant: str = "turkin",
    weight_linear: Tensor | None = None,
) -> Tensor:
    r"""Squared gain from input to output, (55): :math:`\|W_{hy}\|^2 \prod_l \rho_{x,l}^2 / (1 - \rho_{h,l}^2)`.

    A linear part, :math:`A\,\mathrm{vec}(x)` next to the recurrent layers, adds :math:`\|A\|_F^2`.

    Parameters
    ----------
    gains : TikhonovGains, or one a layer
        Gains of shape (...).
    weight_out : Tensor of shape (..., k, H)
    variant : {"turkin", "tight"}
        The variant that the gains were computed with.
    weight_linear : Tensor of shape (..., k, m), optional
        A matrix A. Its gain is exact. The sum of both gains ignores what the two parts have in common.

    Returns
    -------
    Tensor of shape (...)
        The gain; ``inf`` where any layer violates a constraint of (56), since the estimate does not exist there.

    Examples
    --------
    >>> import torch
    >>> from sklstm.tikhonov import TikhonovGains, perturbation_gain
    >>> gains = TikhonovGains(rho_x=torch.tensor(1.0), rho_h=torch.tensor(0.5), gate=torch.tensor(0.0))
    >>> weight_out = torch.tensor([[3.0]])
    >>> round(perturbation_gain(gains, weight_out).item(), 4)  # 9 / (1 − 1/4)
    12.0
    >>> round(perturbation_gain(gains, weight_out, variant="tight").item(), 4)  # 9 / (1 − 1/2)²
    36.0
    >>> perturbation_gain(gains._replace(rho_h=torch.tensor(1.5)), weight_out)
    tensor(inf)
    >>> round(perturbation_gain(gains, weight_out, weight_linear=torch.tensor([[2.0, 1.0]])).item(), 4)
    17.0
    """
    constants = get_variant(variant)
    layers = [gains] if isinstance(gains, TikhonovGains) else list(gains)
    gain = spectral_norm(weight_out)
    feasible = torch.ones_like(gain, dtype=torch.bool)
    for layer in layers:
        # The square is taken at the end: the square of small or large norms alone would under- or overflow.
        barrier = 1 / (1 - constants.criticality(layer.rho_h))
        gain = times(gain, times(layer.rho_x, constants.squared_gain(torch.ones_like(barrier), barrier).sqrt()))
        feasible = feasible & layer.feasible
    squared = gain**2 if weight_linear is None else gain**2 + linear_gain(weight_linear)
    return torch.where(feasible, squared, torch.inf)
