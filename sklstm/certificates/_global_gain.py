r"""How far input errors can move a network, for any inputs and sequences of any length, unit by unit.

For two input sequences let :math:`\delta_t` bound how far each unit of the state has moved at step t, per unit of the
largest :math:`\|x_t - x'_t\|`. A cell gives :math:`\delta_t \le M \delta_{t-1} + b` with a matrix and a vector that are
not negative, and :math:`\delta_0 = 0`. Every :math:`h \ge 0` with :math:`M h + b \le h` is then a bound at every step,
by induction. The least one is :math:`(I - M)^{-1} b` if the spectral radius of M is below 1. It is computed, rounded
up, and checked. The proofs are in ``docs/theory/certificates.md``.

Everything is in float64 and rounded upward. Leading axes of shapes are ranges of inputs, which are tried at once.
"""

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from sklstm._subnormals import keeps_subnormals
from sklstm.linalg import as_float64, spectral_norm

from ._enclosed_layer import LayerWeights
from ._recurrent_network import RecurrentNetwork

_UNIT = torch.finfo(torch.float64).eps
_TINY = torch.finfo(torch.float64).tiny
_SMALL = 1e-280
_AROUND = (-3, -2, -1, 1, 2, 3)
_ROUNDS = 12  # in which the suprema of the states improve; they hold after each


def _times(x: Tensor, y: Tensor) -> Tensor:
    """x y for factors from 0 to inf, and 0 where one of them is 0."""
    return torch.where((x == 0) | (y == 0), 0.0, x * y)


def _norm(x: Tensor) -> Tensor:
    """Euclidean norms along the last axis, whose squares neither under- nor overflow."""
    size = x.abs().amax(-1)
    usual = (size > 0) & torch.isfinite(size)
    return torch.where(
        usual, torch.linalg.vector_norm(x / torch.where(usual, size, 1.0)[..., None], dim=-1) * size, size
    )


class _Layer:
    """Absolute weights of a layer with G gates.

    Attributes
    ----------
    inputs, recurrent : Tensor of shape (G, H, d), (G, H, H)
    rows : Tensor of shape (G, H)
        Euclidean norms of the rows of the input matrices.
    bias_x, bias_h : Tensor of shape (G, H)
        Biases, with their signs.
    """

    def __init__(self, weights: LayerWeights, n_gates: int):
        parts = [None if part is None else as_float64(part.detach()).cpu() for part in weights]
        weight_ih, weight_hh = (part for part in parts[:2] if part is not None)
        self.size = weight_hh.shape[1]
        # Sums of this many terms are off by half of this, products and functions of them by a few units.
        self.slack = 1 + 64 * (self.size + weight_ih.shape[1]) * _UNIT
        self.signed = weight_ih.unflatten(0, (n_gates, -1))
        self.inputs, self.recurrent = self.signed.abs(), weight_hh.unflatten(0, (n_gates, -1)).abs()
        self.rows = torch.where(self.signed.any(-1), self.up(_norm(self.signed)), 0.0)
        zeros = weight_hh.new_zeros(n_gates, self.size)
        self.bias_x, self.bias_h = (zeros if part is None else part.unflatten(0, (n_gates, -1)) for part in parts[2:])

    def up(self, x: Tensor) -> Tensor:
        """An upper bound on the value of x ≥ 0 without rounding and underflow."""
        return x * self.slack + _TINY

    def of_inputs(self, x: Tensor) -> Tensor:
        """|W_x| x for x (..., d) from 0 to inf: (..., G, H)."""
        return self._product(self.inputs, x)

    def of_states(self, h: Tensor) -> Tensor:
        """|W_h| h for h (..., H) from 0 to inf: (..., G, H)."""
        return self._product(self.recurrent, h)

    def _product(self, weights: Tensor, x: Tensor) -> Tensor:
        """0 where nothing is multiplied: it may meet an infinite factor later."""
        columns = weights.flatten(0, 1).mT
        there = (columns > 0).to(columns)

        def meets(entries: Tensor) -> Tensor:
            return entries.to(columns) @ there > 0

        infinite = torch.isinf(x)
        found = self.up(torch.where(infinite, 0.0, x) @ columns)
        found = torch.where(meets(x > 0), torch.where(meets(infinite), math.inf, found), 0.0)
        return found.unflatten(-1, weights.shape[:2])


class _Box(NamedTuple):
    """Net inputs without states and biases: centre (G, H) and radius (..., G, H)."""

    centre: Tensor
    radius: Tensor


class _Suprema(NamedTuple):
    """Suprema over a box of inputs, each of shape (..., H), and of slopes (..., G, H).

    Attributes
    ----------
    gates : tuple
        Suprema of the gates' absolute values, in torch's order.
    open : Tensor
        Suprema of 1/(1 − f) or 1/(1 − z): how many steps a unit remembers.
    inner : Tensor
        Suprema of the LSTM's memory, or of what the GRU's reset gate multiplies.
    states : Tensor
    slopes : Tensor
        Slopes of the gates' functions.
    """

    gates: tuple[Tensor, ...]
    open: Tensor
    inner: Tensor
    states: Tensor
    slopes: Tensor


class _Step(NamedTuple):
    """How far a unit finally moves by movements of the gates' net inputs, from inputs and from states."""

    by_input: Tensor  # (..., G, H)
    by_state: Tensor  # (..., G, H)


def _slopes(layer: _Layer, centre: Tensor, radius: Tensor, kinds: str) -> Tensor:
    """Largest slopes of the gates' functions, logistic ("s") or tanh ("t"), around centres."""
    nearest = (centre.abs() - radius).clamp_min(0)
    found = [
        1 / (2 + 2 * torch.cosh(at)) if kind == "s" else 1 / torch.cosh(at).square()
        for kind, at in zip(kinds, nearest.unbind(-2), strict=True)
    ]
    return layer.up(torch.stack(found, -2))


def _affine(layer: _Layer, centre: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """A centre with its bias, and its possible rounding error."""
    return centre + bias, (layer.slack - 1) * (centre.abs() + bias.abs())


def _lstm_suprema(layer: _Layer, box: _Box) -> _Suprema:
    bias = layer.bias_x + layer.bias_h
    centre, error = _affine(layer, box.centre, bias)
    states = torch.ones_like(box.radius[..., 0, :])
    for _ in range(_ROUNDS):
        radius = layer.up(box.radius + layer.of_states(states) + error)
        high, size = centre + radius, centre.abs() + radius
        i, f, o = (layer.up(torch.sigmoid(high[..., gate, :])).clamp_max(1) for gate in (0, 1, 3))
        g = layer.up(torch.tanh(size[..., 2, :])).clamp_max(1)
        remembers = layer.up(1 + torch.exp(high[..., 1, :]))
        memory = layer.up(_times(i * g, remembers))
        states = layer.up(o * torch.tanh(memory)).clamp_max(1)
    return _Suprema((i, f, g, o), remembers, memory, states, _slopes(layer, centre, radius, "ssts"))


def _lstm_step(layer: _Layer, seen: _Suprema, met: _Suprema) -> _Step:
    i, _, _, o = seen.gates
    lasting = _times(o, seen.open)  # how far one unit of movement of the memory moves the state while it lasts
    factors = (
        _times(lasting, met.gates[2]),
        _times(lasting, met.inner),
        _times(lasting, i),
        torch.tanh(met.inner),
    )
    factor = layer.up(_times(torch.stack(torch.broadcast_tensors(*factors), -2), met.slopes))
    return _Step(factor, factor)


def _lstm_steps(layer: _Layer, at: _Suprema, n_steps: int) -> Tensor:
    """Movements (L, H) of the states after this many steps."""
    i, f, g, o = at.gates
    by_i, by_f, by_g, by_o = at.slopes
    memory = moved_memory = moved = torch.zeros_like(i)
    found = []
    for _ in range(n_steps):
        net_i, net_f, net_g, net_o = layer.rows + layer.of_states(moved)
        moved_memory = layer.up(
            f * moved_memory + _times(memory * by_f, net_f) + _times(i * by_g, net_g) + _times(g * by_i, net_i)
        )
        memory = layer.up(f * memory + i * g)
        moved = layer.up(o * moved_memory + _times(torch.tanh(memory) * by_o, net_o))
        found.append(moved)
    return torch.stack(found)


def _gru_suprema(layer: _Layer, box: _Box) -> _Suprema:
    # In the candidate the reset gate multiplies W_nh h + b_nh: the recurrent bias is no part of its centre.
    bias = layer.bias_x + layer.bias_h * layer.bias_h.new_tensor([1.0, 1.0, 0.0])[:, None]
    centre, error = _affine(layer, box.centre, bias)
    states = torch.ones_like(box.radius[..., 0, :])
    for _ in range(_ROUNDS):
        recurrent = layer.of_states(states)
        product = layer.up(recurrent[..., 2, :] + layer.bias_h[2].abs())
        radius = layer.up(box.radius + recurrent + error)
        r, z = (layer.up(torch.sigmoid((centre + radius)[..., gate, :])).clamp_max(1) for gate in (0, 1))
        remembers = layer.up(1 + torch.exp((centre + radius)[..., 1, :]))
        radius_n = layer.up((box.radius + error)[..., 2, :] + _times(r, product))
        radius = torch.cat((radius[..., :2, :], radius_n[..., None, :]), -2)
        n = layer.up(torch.tanh((centre.abs() + radius)[..., 2, :])).clamp_max(1)
        states = n  # averages of candidates, and of 0
    return _Suprema((r, z, n), remembers, product, states, _slopes(layer, centre, radius, "sst"))


def _gru_factors(layer: _Layer, seen: _Suprema, met: _Suprema) -> tuple[_Step, Tensor]:
    """Factors of the candidate, without the update gate, whose own factor (..., H) is for one step."""
    by_r, by_z, by_n = met.slopes.unbind(-2)
    reset = layer.up(_times(_times(by_n, met.inner), by_r))
    none = torch.zeros_like(reset)
    by_state = layer.up(_times(by_n, seen.gates[0].expand_as(by_n)))
    step = _Step(torch.stack((reset, none, by_n), -2), torch.stack((reset, none, by_state), -2))
    return step, layer.up(2 * met.states * by_z)


def _gru_step(layer: _Layer, seen: _Suprema, met: _Suprema) -> _Step:
    step, update = _gru_factors(layer, seen, met)
    lasting = layer.up(_times(update, seen.open.expand_as(update)))
    for factor in step:
        factor[..., 1, :] = lasting
    return step


def _gru_steps(layer: _Layer, at: _Suprema, n_steps: int) -> Tensor:
    """Movements (L, H) of the states after this many steps."""
    step, update = _gru_factors(layer, at, at)
    z = at.gates[1]
    moved = torch.zeros_like(z)
    found = []
    for _ in range(n_steps):
        from_states = layer.of_states(moved)
        new = layer.up((_times(step.by_input, layer.rows) + _times(step.by_state, from_states)).sum(-2))
        # Between the two, for any update gate: linear in it.
        kept = torch.maximum(z * moved + _times(1 - z, new), new)
        moved = layer.up(kept + _times(update, (layer.rows + from_states)[1]))
        found.append(moved)
    return torch.stack(found)


def _relu_suprema(layer: _Layer, box: _Box) -> _Suprema:
    ones = torch.ones_like(box.radius)
    inf = torch.full_like(box.radius[..., 0, :], math.inf)
    return _Suprema((inf,), inf, inf, inf, ones)


def _relu_step(layer: _Layer, seen: _Suprema, met: _Suprema) -> _Step:
    return _Step(met.slopes, met.slopes)


def _tanh_suprema(layer: _Layer, box: _Box) -> _Suprema:
    centre, error = _affine(layer, box.centre, layer.bias_x + layer.bias_h)
    states = torch.ones_like(box.radius[..., 0, :])
    for _ in range(_ROUNDS):
        radius = layer.up(box.radius + layer.of_states(states) + error)
        states = layer.up(torch.tanh((centre.abs() + radius)[..., 0, :])).clamp_max(1)
    inf = torch.full_like(states, math.inf)
    return _Suprema((states,), inf, inf, states, _slopes(layer, centre, radius, "t"))


class _Cell(NamedTuple):
    n_gates: int
    suprema: Callable[[_Layer, _Box], _Suprema]
    step: Callable[[_Layer, _Suprema, _Suprema], _Step]


_CELLS = {
    "lstm": _Cell(4, _lstm_suprema, _lstm_step),
    "gru": _Cell(3, _gru_suprema, _gru_step),
    "relu": _Cell(1, _relu_suprema, _relu_step),
    "tanh": _Cell(1, _tanh_suprema, _relu_step),
}


def _box(layer: _Layer, lower: Tensor, upper: Tensor) -> _Box:
    """Net inputs for inputs between two ends (..., d), which may be infinite."""
    bounded = torch.isfinite(lower) & torch.isfinite(upper)
    middle = torch.where(bounded, lower / 2 + upper / 2, 0.0)
    radius = torch.where(bounded, torch.maximum(upper - middle, middle - lower), math.inf)
    return _Box(
        (layer.signed * middle[..., None, None, :]).sum(-1),
        layer.of_inputs(radius) + (layer.slack - 1) * layer.of_inputs(middle.abs()),
    )


def _limit(layer: _Layer, step: _Step, from_inputs: Tensor) -> Tensor:
    """Movements (..., H) of the states that no sequence exceeds; ``inf`` if the comparison does not contract.

    ``from_inputs`` (..., G, H) are the movements of the net inputs by the inputs.
    """
    b = layer.up(_times(step.by_input, from_inputs).sum(-2))
    # Gate by gate: all of them at once would take the memory of four such matrices.
    rows = (
        _times(factor[..., None], weight)
        for factor, weight in zip(step.by_state.unbind(-2), layer.recurrent, strict=True)
    )
    M = layer.up(functools.reduce(torch.add, rows))  # (..., H, H)
    b, M = torch.broadcast_tensors(b[..., None], M)[0][..., 0], M
    known = torch.isfinite(M).all(-1).all(-1) & torch.isfinite(b).all(-1)
    M, b = torch.where(known[..., None, None], M, 0.0), torch.where(known[..., None], b, 0.0)
    # A little more than b, so that rounding upward has a margin where b is hardly above zero.
    exact = torch.linalg.solve_ex(torch.eye(layer.size, dtype=b.dtype, device=b.device) - M, b + _SMALL)[0]
    bound = torch.full_like(exact, math.inf)
    for margin in (1e-3, 1e-6, 1e-9):  # the last that holds counts
        h = exact * (1 + margin)
        holds = known & (h >= 0).all(-1) & (layer.up(layer.up((M @ h[..., None])[..., 0]) + b) <= h).all(-1)
        bound = torch.where(holds[..., None], h, bound)
    return bound


def _movement(weight: Tensor, moved: Tensor, linear: Tensor, blocks: Tensor, slack: float) -> Tensor:
    """Euclidean norms (...) of movements of the outputs, if the states move by at most ``moved`` (..., H)."""
    outputs = _times(weight, moved[..., None, :]).sum(-1) * slack  # (..., k)
    return torch.minimum(_norm(outputs + linear), _norm(outputs) + blocks) * slack


@keeps_subnormals
@torch.no_grad()
def network_gain(network: RecurrentNetwork, lower: Tensor, upper: Tensor) -> Tensor:
    r"""The largest movement of a network's outputs per unit of input error, for sequences of any length.

    Take any sequence x with entries of channel c between ``lower[c]`` and ``upper[c]``, any :math:`\varepsilon`, and
    any error with :math:`\|\delta_t\| \le \varepsilon` at each step. Then

    .. math:: \|y(x + \delta) - y(x)\| \le \text{gain} \cdot \varepsilon .

    The norms are Euclidean, over the channels of a step and over the outputs.

    Parameters
    ----------
    network : RecurrentNetwork
        An LSTM, a GRU, or a network of ReLU or tanh units, stacks and a linear part included.
    lower, upper : Tensor of shape (d,)
        Ranges of the channels of the exact inputs; they may be infinite. Inputs with errors may leave them.

    Returns
    -------
    Tensor of shape (), float64
        The gain, rounded upward. It holds for the network in exact arithmetic. ``inf`` where nothing is proved, because
        the comparison that bounds the states does not contract.

    Raises
    ------
    ValueError
        If these are no ranges for the channels.

    See Also
    --------
    output_bounds : Bounds at given inputs, far narrower.

    Examples
    --------
    One unit halves its state and adds the input, which doubles a lasting error. Its output adds the last input:

    >>> import torch
    >>> from sklstm.certificates import LayerWeights, RecurrentNetwork, network_gain
    >>> one = torch.ones(1, 1)
    >>> network = RecurrentNetwork("relu", [LayerWeights(one, 0.5 * one)], weight_out=one, weight_linear=one)
    >>> round(network_gain(network, -one[0], one[0]).item(), 6)
    3.0
    >>> network_gain(RecurrentNetwork("relu", [LayerWeights(one, 1.1 * one)], weight_out=one), -one[0], one[0])
    tensor(inf, dtype=torch.float64)
    """
    n_channels = network.layers[0].weight_ih.shape[1]
    lower, upper = (as_float64(end.detach()).cpu() for end in (lower, upper))
    if not lower.shape == upper.shape == (n_channels,) or not (lower <= upper).all():
        raise ValueError(f"lower and upper must be ranges of {n_channels} channels, got {lower} and {upper}.")
    # The gates of the sequence with errors are bounded for errors up to some size. Larger errors are compared with the
    # largest distance of two states. Every size gives a bound: the larger of one that rises with the size and one that
    # falls. The best is searched for between ever closer sizes.
    middle = (upper - lower).nan_to_num(0.0, posinf=0.0).norm().item() or 1.0
    found = _gains(network, lower, upper, lower.new_tensor([math.inf]))[0]
    for step, places in ((1.0, range(-6, 5)), (0.25, _AROUND), (0.0625, _AROUND)):
        sizes = lower.new_tensor([middle * 4.0 ** (step * place) for place in places])
        gains = _gains(network, lower, upper, sizes)
        at = int(gains.argmin())
        if gains[at] < found:
            found, middle = gains[at], sizes[at].item()
        if torch.isinf(found):
            break
    return found


def _gains(network: RecurrentNetwork, lower: Tensor, upper: Tensor, sizes: Tensor) -> Tensor:
    """Bounds (s,) that use the gates' suprema for errors up to ``sizes`` (s,)."""
    cell = _CELLS[network.cell]
    layer, *further = (_Layer(weights, cell.n_gates) for weights in network.layers)
    box = _box(layer, lower, upper)
    wider = _Box(box.centre, layer.up(box.radius + _times(layer.rows, sizes[:, None, None])))
    seen, met = cell.suprema(layer, box), cell.suprema(layer, wider)
    moved = _limit(layer, cell.step(layer, seen, met), layer.rows)
    for layer in further:
        from_inputs = layer.of_inputs(moved)
        seen, met = (cell.suprema(layer, _box(layer, -at.states, at.states)) for at in (seen, met))
        moved = _limit(layer, cell.step(layer, seen, met), from_inputs)
    weight_out = as_float64(network.weight_out.detach()).cpu().abs()
    n_terms, linear, blocks = weight_out.shape[1], weight_out.new_zeros(len(weight_out)), weight_out.new_zeros(())
    if network.weight_linear is not None:
        A = as_float64(network.weight_linear.detach()).cpu().unflatten(1, (-1, len(lower)))  # (k, p, d)
        linear, blocks = _norm(A).sum(1), spectral_norm(A.transpose(0, 1)).sum()
        n_terms += A.numel()
    slack = 1 + 64 * n_terms * _UNIT
    # A state is between −1 and 1 for any inputs, except that of a ReLU.
    apart = torch.where(torch.isinf(sizes)[:, None], 0.0, (seen.states + 1) / sizes[:, None])
    return torch.maximum(*(_movement(weight_out, states, linear, blocks, slack) for states in (moved, apart)))


def _check(weight_hh: Tensor, n_gates: int, n_steps: int | None, input_bound: float | Tensor) -> None:
    if n_steps is not None and n_steps < 1:
        raise ValueError(f"n_steps must be at least 1, got {n_steps}.")
    if not (torch.as_tensor(input_bound, device="cpu") > 0).all():
        raise ValueError(f"input_bound must be positive, got {input_bound}.")
    if weight_hh.shape[0] != n_gates * weight_hh.shape[1]:
        words = {3: "three", 4: "four"}
        raise ValueError(
            f"weight_hh must hold {words[n_gates]} stacked square gates, got shape {tuple(weight_hh.shape)}."
        )


def _state_gain(
    cell: str,
    weights: LayerWeights,
    n_steps: int | None,
    input_bound: float | Tensor,
    steps: Callable[[_Layer, _Suprema, int], Tensor],
) -> Tensor:
    layer = _Layer(weights, _CELLS[cell].n_gates)
    if not layer.inputs.any():  # no input reaches the states
        return layer.rows.new_zeros(() if n_steps is None else n_steps)
    bound = torch.as_tensor(input_bound, dtype=torch.float64, device="cpu").expand(layer.signed.shape[-1])
    at = _CELLS[cell].suprema(layer, _box(layer, -bound, bound))
    if n_steps is None:
        moved = _limit(layer, _CELLS[cell].step(layer, at, at), layer.rows)
    else:
        moved = steps(layer, at, n_steps)
    return layer.up(_norm(moved))


@keeps_subnormals
@torch.no_grad()
def lstm_gain(
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias: Tensor,
    n_steps: int | None = None,
    input_bound: float | Tensor = math.inf,
) -> Tensor:
    r"""Proved Lipschitz constants of the hidden states of any LSTM.

    Let :math:`\bar f, \bar i, \bar o, \bar g` be suprema of the gates' absolute values, unit by unit, over all inputs
    with :math:`|x| \le B` and all states that they allow. Let :math:`S_t = \bar f S_{t-1} + \bar i \bar g` be the bound
    on the memory. For each gate u let :math:`n_u(t) = r_u + |W_{uh}| h_{t-1}`, where :math:`r_u` has the Euclidean
    norms of the rows of :math:`W_{ux}`. Then

    .. math::

        s_t &\le \bar f s_{t-1} + \tfrac14 S_{t-1} n_f + \bar i\, n_g + \tfrac14 \bar g\, n_i \\
        h_t &\le \bar o\, s_t + \tfrac14 \tanh(S_t)\, n_o .

    All of them are vectors (H,), with products entry by entry. Where a net input cannot come near 0, smaller slopes
    replace 1/4 and 1.

    Parameters
    ----------
    weight_ih : Tensor of shape (4 * H, d)
    weight_hh : Tensor of shape (4 * H, H)
        Gates stacked i, f, g, o, as torch stores them.
    bias : Tensor of shape (4 * H,)
        Sum of torch's two biases.
    n_steps : int, optional
        Number L ≥ 1 of steps. None for sequences of any length: the fixed point, in closed form.
    input_bound : float, or Tensor of shape (d,)
        B > 0, the largest absolute value of any input entry, or of the entries of each channel; ``inf`` if none is
        known.

    Returns
    -------
    Tensor of shape (L,), float64
        Bounds on :math:`\|h_t - h'_t\| / \max_s \|x_s - x'_s\|` for t = 1, …, L. Without ``n_steps`` a tensor of shape
        (), a bound for every t. ``inf`` if the recursion does not contract.

    Raises
    ------
    ValueError
        If ``n_steps`` or ``input_bound`` is not positive, or the gates are not four.

    See Also
    --------
    network_gain : The gain of the outputs of a network, stacks included.

    Notes
    -----
    Unlike :math:`\rho_x / \sqrt{1 - \rho_h^2}` this is a certificate: it includes what the memory accumulates. It holds
    for the whole range of inputs; `output_bounds` at a given input is far tighter.

    Examples
    --------
    >>> import torch
    >>> from sklstm.certificates import lstm_gain
    >>> lstm = torch.nn.LSTM(2, 4, batch_first=True)
    >>> bias = lstm.bias_ih_l0 + lstm.bias_hh_l0
    >>> gain = lstm_gain(lstm.weight_ih_l0, lstm.weight_hh_l0, bias, n_steps=5)
    >>> with torch.no_grad():
    ...     moved = (lstm(torch.full((1, 5, 2), 0.1))[0] - lstm(torch.zeros(1, 5, 2))[0]).norm(dim=2)[0]
    >>> bool((moved <= gain * 0.1 * 2**0.5).all()), gain.shape
    (True, torch.Size([5]))

    For any length, with weaker recurrence:

    >>> weights = lstm.weight_ih_l0, lstm.weight_hh_l0 / 20, bias
    >>> bool(lstm_gain(*weights, input_bound=0.1) >= lstm_gain(*weights, n_steps=1000, input_bound=0.1)[-1])
    True
    """
    _check(weight_hh, 4, n_steps, input_bound)
    return _state_gain("lstm", LayerWeights(weight_ih, weight_hh, bias), n_steps, input_bound, _lstm_steps)


@keeps_subnormals
@torch.no_grad()
def gru_gain(
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor,
    bias_hh: Tensor,
    n_steps: int | None = None,
    input_bound: float | Tensor = math.inf,
) -> Tensor:
    r"""Proved Lipschitz constants of the hidden states of any GRU.

    Let :math:`\bar r, \bar z, \bar n` be suprema of the gates' absolute values and
    :math:`\bar q = |W_{nh}| \bar n + |b_{nh}|`, unit by unit. With :math:`n_u(t) = r_u + |W_{uh}| h_{t-1}` as in
    `lstm_gain`, the candidate and the state move by at most

    .. math::

        c_t &\le r_n + \bar r |W_{nh}| h_{t-1} + \tfrac14 \bar q\, n_r \\
        h_t &\le \max_{0 \le z \le \bar z} \big(z h_{t-1} + (1 - z) c_t\big) + \tfrac12 \bar n\, n_z .

    The limit is the fixed point of :math:`h = c + \tfrac12 \bar n\, n_z / (1 - \bar z)`.

    Parameters
    ----------
    weight_ih : Tensor of shape (3 * H, d)
    weight_hh : Tensor of shape (3 * H, H)
        Gates stacked r, z, n, as torch stores them.
    bias_ih, bias_hh : Tensor of shape (3 * H,)
    n_steps : int, optional
        Number L ≥ 1 of steps. None for sequences of any length: the fixed point, in closed form.
    input_bound : float, or Tensor of shape (d,)
        B > 0, the largest absolute value of any input entry, or of the entries of each channel; ``inf`` if none is
        known.

    Returns
    -------
    Tensor of shape (L,), float64
        Bounds on :math:`\|h_t - h'_t\| / \max_s \|x_s - x'_s\|` for t = 1, …, L. Without ``n_steps`` a tensor of shape
        (), a bound for every t. ``inf`` if the recursion does not contract.

    Raises
    ------
    ValueError
        If ``n_steps`` or ``input_bound`` is not positive, or the gates are not three.

    See Also
    --------
    network_gain : The gain of the outputs of a network, stacks included.

    Examples
    --------
    >>> import torch
    >>> from sklstm.certificates import gru_gain
    >>> gru = torch.nn.GRU(2, 4, batch_first=True)
    >>> weights = gru.weight_ih_l0, gru.weight_hh_l0 / 20, gru.bias_ih_l0, gru.bias_hh_l0
    >>> bool(gru_gain(*weights, input_bound=1.0) >= gru_gain(*weights, n_steps=1000, input_bound=1.0)[-1])
    True
    """
    _check(weight_hh, 3, n_steps, input_bound)
    weights = LayerWeights(weight_ih, weight_hh, bias_ih, bias_hh)
    return _state_gain("gru", weights, n_steps, input_bound, _gru_steps)
