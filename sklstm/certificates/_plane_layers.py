"""Recurrent layers as planes: what `_substitution` needs of them, one class for each cell, and a row of `PLANES`.

Sizes in the shapes below: n boxes, L steps, d inputs, H units, m columns. Intervals and planes are small, and computed
in float64 with axes (units, n). Coefficients are many, and in the dtype of the weights with axes (n, units, m).

For every value there is the one at the centre of the box, the *reference*. Sums are sums of deviations from it: their
coefficients are the same, and what rounding does to them is relative to the deviations.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from ._enclosed_layer import LayerWeights
from ._interval_arithmetic import Ends, Memory, Scratch, dot_slack
from ._planes import DOUBLE, Line, Point, gated, hull, inexact, largest, linear_relaxation, point, ramp

#: From intervals (m, n), references, and for pre-activations their rounding, to narrower intervals.
Narrow = Callable[[Ends, Tensor, Tensor | None], Ends]


class PlaneLayer(ABC):
    """One recurrent layer on boxes, with planes around every step. A subclass is one cell.

    Parameters
    ----------
    weights : LayerWeights
        Bounds hold for the network evaluated in their dtype, and in exact arithmetic.

    Attributes
    ----------
    n_states : int
        Number of tensors in the state.
    n_columns : int
        Blocks of H coefficients, or sizes of them, that a step is multiplied with.
    """

    n_states: ClassVar[int] = 1
    n_columns: ClassVar[int] = 2

    def __init__(self, weights: LayerWeights):
        self.size = weights.weight_hh.shape[1]
        self.unit = torch.finfo(weights.weight_hh.dtype).eps / 2
        into = self.rows(weights).detach()
        self.down = into[:, :-2].T[None].contiguous()
        double = into.double()
        self.weights, self.sizes = torch.cat((double[:, :-2], double[:, -2:].sum(1, keepdim=True)), 1), double.abs()
        self.sweeps = Scratch(into), Scratch(into)
        self.memory = Memory(into)

    def rows(self, weights: LayerWeights) -> Tensor:
        """(rows, H + d + 2): from the state, the input and both biases to the pre-activations, one block a kind."""
        biases = [weights.weight_hh.new_zeros(len(weights.weight_hh)) if b is None else b for b in weights[2:]]
        return torch.cat((weights.weight_hh, weights.weight_ih, torch.stack(biases, 1)), 1)

    def start(self, n_steps: int, n: int, slack: float) -> None:
        """Memory for the planes of all steps, and the first state. ``slack`` is that of the sums of constants."""
        columns = self.n_columns * self.size
        self.planes = self.memory("planes", n_steps, n, self.down.shape[1] + 1, columns)
        self.balls = self.memory("balls", n_steps, self.n_states, 2, n, 1, self.size)
        self.slack = dot_slack(columns, self.unit) + slack
        zero = self.weights.new_zeros(self.size, n)
        self.reference = tuple(zero.clone() for _ in range(self.n_states))
        self.state = tuple(Ends(zero.clone(), zero.clone()) for _ in range(self.n_states))

    def begin(self, beginners: slice) -> None:
        """Set the state to zero for some of the boxes."""
        for tensor in (*self.reference, *(end for ends in self.state for end in ends)):
            tensor[:, beginners] = 0

    def advance(self, t: int, x: Ends, x_reference: Tensor, narrow: Narrow) -> Tensor:
        """Step t, from the intervals (d, n) of its input.

        Returns
        -------
        size : Tensor of shape (n,)
            Sum of the largest absolute values of states, inputs and pre-activations.
        """
        for ball, ends, reference in zip(self.balls[t], self.state, self.reference, strict=True):
            centre, radius = (ends.lower + ends.upper) / 2 - reference, (ends.upper - ends.lower) / 2
            ball[0, :, 0] = centre.T
            ball[1, :, 0] = (radius + self.slack * (centre.abs() + radius)).T
        below = Ends(torch.cat((self.state[0].lower, x.lower)), torch.cat((self.state[0].upper, x.upper)))
        reference = torch.cat((self.reference[0], x_reference))
        weights, sizes = self.weights[:, :-1], self.sizes[:, :-2]
        size = largest(below)
        # Of the sums in the network, in any order, and here; and of coefficients that the pre-activations get.
        rounding = (len(below.lower) + 8) * (self.unit + 4 * DOUBLE) * (sizes @ size + self.sizes[:, -2:].sum(1, True))
        rounding += self.slack * (sizes @ point(reference, below).away)
        at = weights @ reference + self.weights[:, -1:]
        centre = weights @ ((below.lower + below.upper) / 2) + self.weights[:, -1:]
        radius = sizes @ ((below.upper - below.lower) / 2) + rounding
        net = narrow(Ends(centre - radius, centre + radius), at, rounding)
        self.state, self.reference = self.step(t, net, point(at, net, rounding), narrow)
        return size.sum(0) + largest(net).sum(0)

    @abstractmethod
    def step(self, t: int, net: Ends, at: Point, narrow: Narrow) -> tuple[tuple[Ends, ...], tuple[Tensor, ...]]:
        """From pre-activations to the state after the step and its reference; writes the planes of the step.

        Parameters
        ----------
        t : int
        net : Ends of shape (rows, n)
            Of the pre-activations.
        at : Point
            Of the same, with their rounding.
        narrow : callable
            For values of which the planes have been written with `write`.
        """

    @abstractmethod
    def substitute(self, t: int, adjoint: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Through the planes of step t: from coefficients of the state after the step to those of what it comes from.

        Parameters
        ----------
        t : int
        adjoint : tuple of Tensor of shape (n, H, m)
            Coefficients of the state, h first, in m sums. They may be overwritten.

        Returns
        -------
        below : Tensor of shape (n, H + d + 1, m)
            Coefficients of h before the step and of the input, and the constants.
        others : Tensor of shape (n, H, m)
            Those of the rest of the state before the step.
        """

    @abstractmethod
    def unit_columns(self, t: int) -> tuple[Tensor, ...]:
        """`substitute` for each of the values that `step` has just written planes of, and for its negative."""

    def start_back(self, seed: Tensor) -> tuple[Tensor, ...]:
        """Coefficients of a state, of which only those of h are not zero."""
        return (seed,)

    def starting_columns(self, n: int) -> Tensor:
        """Coefficients (n, H + d + 1, 2 * rows) of h before a step, and the input, in pre-activations and negatives."""
        columns = torch.cat((self.down, -self.down), 2)
        return torch.nn.functional.pad(columns, (0, 0, 0, 1)).repeat(n, 1, 1)

    def write(
        self, t: int, column: int, by_net: Sequence[tuple[int, Tensor, Tensor | None]], shift: Tensor, apart: Tensor
    ) -> None:
        """Two blocks of columns of the matrix of step t, for coefficients of values and for their sizes.

        Parameters
        ----------
        t, column : int
            The first of the blocks.
        by_net : sequence of (int, Tensor, Tensor or None)
            A block of pre-activations, the mean slopes (H, n) for them, and half the differences, None for zero.
        shift, apart : Tensor of shape (H, n)
            The same of the constants. ``apart`` is enlarged by the rounding of their sums.
        """
        H = self.size
        both = self.planes[t, :, :, column * H : (column + 2) * H].zero_()
        for block, *slopes in by_net:
            weights = self.down[:, :, block * H : (block + 1) * H]
            for part, slope in zip(both[:, :-1].split(H, 2), slopes, strict=True):
                if slope is not None:
                    part.addcmul_(weights, slope.T[:, None].to(part.dtype))
        apart = apart + self.slack * (shift.abs() + apart.abs())
        both[:, -1] = torch.cat((shift, apart)).T

    def times_planes(self, t: int, by_state: Tensor) -> Tensor:
        """The matrix of step t times coefficients (n, H, m) and their sizes."""
        (n, H, m), scratch = by_state.shape, self.sweeps[t % 2].reset()
        columns, below = scratch(n, 2 * H, m), scratch(n, self.planes.shape[2], m)
        torch.abs(columns[:, :H].copy_(by_state), out=columns[:, H:])
        return torch.bmm(self.planes[t], columns, out=below)

    def signed_columns(self, t: int, column: int) -> Tensor:
        """What `substitute` makes of each unit, and of its negative, whose blocks are ``column`` and ``column + 1``."""
        H = self.size
        plus, size = self.planes[t, :, :, column * H : (column + 2) * H].split(H, 2)
        return torch.cat((size + plus, size - plus), 2)

    def blocks(self, of: Point | Ends | Line) -> list:
        """A part for each block of pre-activations."""
        return [of.part(slice(k, k + self.size)) for k in range(0, len(of[0]), self.size)]


class PlaneLSTM(PlaneLayer):
    """The LSTM, with the gates i, f, g, o in torch's order; the state is (h, s)."""

    n_states = 2
    n_columns = 4

    def start(self, n_steps: int, n: int, slack: float) -> None:
        super().start(n_steps, n, slack)
        # From h to s of the same step, and from s to s before it.
        self.to_s, self.keep = self.memory("by_unit", 2, n_steps, n, self.size, 1)

    def start_back(self, seed: Tensor) -> tuple[Tensor, ...]:
        return seed, torch.zeros_like(seed)

    def step(self, t: int, net: Ends, at: Point, narrow: Narrow) -> tuple[tuple[Ends, ...], tuple[Tensor, ...]]:
        unit, before, s_before = self.unit, self.state[1], self.reference[1]
        at_i, at_f, at_g, at_o = self.blocks(at)
        net_g = self.blocks(net)[2]
        of_i, of_f, _, of_o = self.blocks(linear_relaxation("logistic", net, unit))  # one call costs less than three
        of_g = linear_relaxation("tanh", net_g, unit)
        s_at = at_f.at.sigmoid() * s_before + at_i.at.sigmoid() * at_g.at.tanh()
        rounding = (4 * unit + 8 * DOUBLE) * (1 + largest(before))
        f, i = (
            gated(of_f, at_f, before, point(s_before, before), unit),
            gated(of_i, at_i, net_g, at_g, unit, of_g),
        )
        by_net = [(0, i.by_net, i.by_net_apart), (1, f.by_net, f.by_net_apart), (2, i.by_value, None)]
        self.write(t, 2, by_net, f.shift + i.shift - s_at, f.apart + i.apart + rounding)
        self.keep[t] = f.by_value.T[..., None]
        kept, new = hull(of_f.range, before), hull(of_i.range, of_g.range)
        s = narrow(Ends(kept.lower + new.lower - rounding, kept.upper + new.upper + rounding), s_at, None)
        of_s, h_at = linear_relaxation("tanh", s, unit), at_o.at.sigmoid() * s_at.tanh()
        of_h = 2 * unit + 8 * DOUBLE  # rounding of the product
        o = gated(of_o, at_o, s, point(s_at, s), unit, of_s)
        self.write(t, 0, [(3, o.by_net, o.by_net_apart)], o.shift - h_at, o.apart + of_h)
        self.to_s[t] = o.by_value.T[..., None]
        h = hull(of_o.range, of_s.range)
        return (Ends(h.lower - of_h, h.upper + of_h), s), (h_at, s_at)

    def substitute(self, t: int, adjoint: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        by_h, kept = adjoint
        (n, H, m), scratch = by_h.shape, self.sweeps[t % 2].reset()
        columns, below, before = scratch(n, 4 * H, m), scratch(n, self.planes.shape[2], m), scratch(n, H, m)
        state, by_s = columns[:, :H], columns[:, 2 * H : 3 * H]
        torch.abs(state.copy_(by_h), out=columns[:, H : 2 * H])
        torch.addcmul(kept, by_h, self.to_s[t], out=by_s)
        torch.abs(by_s, out=columns[:, 3 * H :])
        torch.mul(by_s, self.keep[t], out=before)
        return torch.bmm(self.planes[t], columns, out=below), before

    def unit_columns(self, t: int) -> tuple[Tensor, ...]:
        keep = torch.diag_embed(self.keep[t, :, :, 0])
        return self.signed_columns(t, 2), torch.cat((keep, -keep), 2)


class PlaneGRU(PlaneLayer):
    """The GRU as torch defines it: h' = n + z (h − n), n = tanh(W_nx x + b + r q), q = W_nh h + b'; the state is h.

    The blocks of pre-activations are r, z, q and W_nx x + b.
    """

    def rows(self, weights: LayerWeights) -> Tensor:
        rows, H = super().rows(weights), self.size
        of_q, of_n = rows[2 * H :].clone(), rows[2 * H :].clone()
        of_q[:, H:-2], of_q[:, -2] = 0, 0  # the second bias is the recurrent one
        of_n[:, :H], of_n[:, -1] = 0, 0
        return torch.cat((rows[: 2 * H], of_q, of_n))

    def step(self, t: int, net: Ends, at: Point, narrow: Narrow) -> tuple[tuple[Ends, ...], tuple[Tensor, ...]]:
        H, unit, before = self.size, self.unit, self.state[0]
        at_r, at_z, at_q, at_n = self.blocks(at)
        _, _, q, net_n = self.blocks(net)
        of_r, of_z, *_ = self.blocks(linear_relaxation("logistic", net, unit))
        # The candidate is a function of r, q and the rest.
        r, candidate_at = gated(of_r, at_r, q, at_q, unit), at_n.at + at_r.at.sigmoid() * at_q.at
        reset, one = hull(of_r.range, q), torch.ones_like(candidate_at)
        rounding = (4 * unit + 8 * DOUBLE) * (largest(q) + largest(net_n))
        by_net = [(0, r.by_net, r.by_net_apart), (2, r.by_value, None), (3, one, None)]
        shift, apart = r.shift + at_n.at - candidate_at, r.apart + inexact(one, at_n, unit) + rounding
        self.write(t, 0, by_net, shift, apart)
        wide = Ends(net_n.lower + reset.lower - rounding, net_n.upper + reset.upper + rounding)
        candidate = narrow(wide, candidate_at, None)
        line, new_at = linear_relaxation("tanh", candidate, unit), candidate_at.tanh()
        # h' = n + z (h − n), and n is a function of the candidate.
        gap = Ends(before.lower - line.range.upper, before.upper - line.range.lower)
        gap_at, update_at = self.reference[0] - new_at, at_z.at.sigmoid()
        z = gated(of_z, at_z, gap, point(gap_at, gap), unit)
        share = 1 - z.by_value
        slope = share * line.slope
        by_net = [(block, slope * mean, None if half is None else slope * half) for block, mean, half in by_net]
        by_net.append((1, z.by_net, z.by_net_apart))
        shift = z.shift - update_at * gap_at + share * (line.slope * candidate_at + line.shift - new_at) + slope * shift
        apart = z.apart + share * line.error + slope * apart + inexact(slope, point(candidate_at, candidate), unit)
        of_h = 8 * unit + 16 * DOUBLE  # rounding of the mixture
        self.write(t, 0, by_net, shift, apart + of_h)
        self.planes[t, :, :H, :H].diagonal(dim1=1, dim2=2).add_(z.by_value.T)
        h_at = new_at + update_at * gap_at
        return (narrow(self._mixed(line.range, before, of_z.range, of_h), h_at, None),), (h_at,)

    @staticmethod
    def _mixed(new: Ends, before: Ends, update: Ends, rounding: float) -> Ends:
        """(1 − z) n + z h, which increases in n and in h, and is linear in z."""
        low, high = update.lower.clamp(0, 1), update.upper.clamp(0, 1)
        lower = torch.minimum(new.lower.lerp(before.lower, low), new.lower.lerp(before.lower, high))
        upper = torch.maximum(new.upper.lerp(before.upper, low), new.upper.lerp(before.upper, high))
        return Ends(lower - rounding, upper + rounding)

    def substitute(self, t: int, adjoint: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (self.times_planes(t, adjoint[0]),)

    def unit_columns(self, t: int) -> tuple[Tensor, ...]:
        return (self.signed_columns(t, 0),)


class PlaneReLU(PlaneLayer):
    """The ReLU cell, with or without biases; the state is h."""

    def step(self, t: int, net: Ends, at: Point, narrow: Narrow) -> tuple[tuple[Ends, ...], tuple[Tensor, ...]]:
        planes = ramp(net, at, self.unit)
        self.write(t, 0, [(0, planes.by_net, planes.by_net_apart)], planes.shift, planes.apart)
        return (Ends(net.lower.clamp_min(0), net.upper.clamp_min(0)),), (at.at.clamp_min(0),)

    def substitute(self, t: int, adjoint: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (self.times_planes(t, adjoint[0]),)

    def unit_columns(self, t: int) -> tuple[Tensor, ...]:
        return (self.signed_columns(t, 0),)


class PlaneTanh(PlaneReLU):
    """The same with tanh, between two parallel lines."""

    def step(self, t: int, net: Ends, at: Point, narrow: Narrow) -> tuple[tuple[Ends, ...], tuple[Tensor, ...]]:
        line, h_at = linear_relaxation("tanh", net, self.unit), at.at.tanh()
        at_reference = line.slope * at.at
        apart = line.error + inexact(line.slope, at, self.unit) + 16 * DOUBLE * (2 + at_reference.abs())
        self.write(t, 0, [(0, line.slope, None)], at_reference + line.shift - h_at, apart)
        return (line.range,), (h_at,)


PLANES: dict[str, type[PlaneLayer]] = {"lstm": PlaneLSTM, "gru": PlaneGRU, "relu": PlaneReLU, "tanh": PlaneTanh}
