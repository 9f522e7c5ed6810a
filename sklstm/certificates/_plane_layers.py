"""Recurrent layers as planes, for `_substitution`: one class for each cell, and a row of `PLANES`.

Sizes in the shapes below: n boxes, L steps, d inputs, H units, m columns. Intervals and planes are small, and computed
in float64 with axes (units, n). Coefficients are many, and in the dtype of the weights with axes (n, units, m).

Every value has a *reference*: its value at the centre of the box. Sums are sums of deviations from it. Their
coefficients are the same, and their rounding errors are relative to the deviations.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from ._enclosed_layer import LayerWeights
from ._interval_arithmetic import Ends, Memory, Scratch, dot_slack
from ._planes import (
    DOUBLE,
    Line,
    Planes,
    Point,
    gated,
    hull,
    inexact,
    largest,
    linear_relaxation,
    parallel,
    parallel_ramp,
    point,
    ramp,
)

#: Function from intervals (m, n), references, and for pre-activations their rounding, to narrower intervals.
Narrow = Callable[[Ends, Tensor, Tensor | None], Ends]
Around = Callable[..., Planes]  # `parallel` or `gated`
PARALLEL, CLOSEST = 0, 1


class PlaneLayer(ABC):
    """One recurrent layer on boxes, with planes around every step. A subclass is one cell.

    Values within the network are bounded by parallel planes, which are written as a matrix for each step, since many
    sums use each. The outputs are bounded by the closest planes, whose slopes are stored. Where that leaves wide
    bounds, the values within are bounded by the closest planes too.

    Parameters
    ----------
    weights : LayerWeights
        Weights. Bounds hold for the network evaluated in their dtype, and in exact arithmetic.

    Attributes
    ----------
    n_states : int
        Number of tensors in the state; planes are written around as many values of each unit.
    closely : bool
        Whether the closest planes also bound the values within the network; see `use_closest`.
    """

    n_states: ClassVar[int] = 1
    closely = False

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
        """(rows, H + d + 2): from the state, the input and both biases to the pre-activations, one block per kind."""
        biases = [weights.weight_hh.new_zeros(len(weights.weight_hh)) if b is None else b for b in weights[2:]]
        return torch.cat((weights.weight_hh, weights.weight_ih, torch.stack(biases, 1)), 1)

    def start(self, n_steps: int, n: int, slack: float) -> None:
        """Memory for the planes of all steps, and the first state. ``slack`` is that of the sums of constants."""
        columns, rows = self.n_states * self.size, self.down.shape[2]
        self.planes = self.memory("planes", n_steps, n, self.down.shape[1] + 1, columns)
        self.closely = False
        self.apart = self.memory("apart", n_steps, n, 1, columns)
        # For the value that each passes on: by the parallel planes, and by the closest.
        self.passed_on = self.memory("passed_on", 2, self.n_states, n_steps, n, self.size, 1)
        # For the closest planes: mean slopes and half their differences for pre-activations, and the constants.
        self.slopes = self.memory("slopes", n_steps, 2, n, rows, 1)
        self.constants = self.memory("constants", n_steps, 2, n, columns, 1)
        self.balls = self.memory("balls", n_steps, self.n_states, 2, n, 1, self.size)
        self.slack = dot_slack(max(columns, rows), self.unit) + slack
        zero = self.weights.new_zeros(self.size, n)
        self.reference = tuple(zero.clone() for _ in range(self.n_states))
        self.state = tuple(Ends(zero.clone(), zero.clone()) for _ in range(self.n_states))

    def use_closest(self) -> None:
        """From now on, write the closest planes alone: a matrix for coefficients and their sizes for each step."""
        n_steps, n, rows, columns = self.planes.shape
        self.matrix, self.closely = self.memory("matrix", n_steps, n, rows, 2 * columns), True

    def begin(self, beginners: slice) -> None:
        """Set the state to zero for some of the boxes."""
        for tensor in (*self.reference, *(end for ends in self.state for end in ends)):
            tensor[:, beginners] = 0

    def advance(self, t: int, x: Ends, x_reference: Tensor, narrow: Narrow) -> Tensor:
        """Compute step t, from the intervals (d, n) of its input.

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
        # For sums in the network, in any order, and here; and for coefficients of the pre-activations.
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
            Ends of the pre-activations.
        at : Point
            Points of the same, with their rounding.
        narrow : callable
            Function for values whose planes have been written with `write`.
        """

    def substitute(self, t: int, adjoint: tuple[Tensor, ...]) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Through the parallel planes of step t: from the state after the step to the values it is computed from.

        Parameters
        ----------
        t : int
        adjoint : tuple of Tensor of shape (n, H, m)
            Coefficients of the state, h first, in m sums. They may be overwritten.

        Returns
        -------
        below : Tensor of shape (n, H + d + 1, m)
            Coefficients of h before the step and of the input, and the constants.
        apart : Tensor of shape (n, m)
            Largest distance of the sums from this.
        others : list of Tensor of shape (n, H, m)
            Coefficients of the rest of the state before the step.
        """
        return *self.through_planes(t, adjoint[0], self.sweeps[t % 2].reset()), []

    @abstractmethod
    def substitute_closely(self, t: int, adjoint: tuple[Tensor, ...]) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Through the closest planes of step t, for upper bounds.

        Parameters
        ----------
        t, adjoint
            As in `substitute`.

        Returns
        -------
        below : Tensor of shape (n, H + d, m)
            Coefficients of h before the step and of the input.
        constants : Tensor of shape (n, m)
        others : list of Tensor of shape (n, H, m)
        """

    def substitute_many_closely(self, t: int, adjoint: tuple[Tensor, ...]) -> tuple[Tensor, Tensor, list[Tensor]]:
        """`substitute_closely` for many sums, by the matrix of step t, which is written if `closely`."""
        by_h, scratch = adjoint[0], self.sweeps[t % 2].reset()
        n, H, m = by_h.shape
        columns = scratch(n, 2 * H, m)
        torch.abs(columns[:, :H].copy_(by_h), out=columns[:, H:])
        return *self.times_matrix(t, columns, scratch), []

    def own_columns_closely(self, t: int) -> tuple[Tensor, Tensor, list[Tensor]]:
        """`substitute_closely` for each of the values whose planes `step` has just written, and for its negative."""
        H, first = self.size, 2 * (self.n_states - 1) * self.size
        plus, size = self.matrix[t, :, :, first : first + 2 * H].split(H, 2)
        both = torch.cat((size + plus, size - plus), 2)
        return both[:, :-1], both[:, -1], []

    def own_columns(self, t: int) -> tuple[Tensor, Tensor, list[Tensor]]:
        """`substitute` for each of the values whose planes `step` has just written."""
        H, first = self.size, (self.n_states - 1) * self.size
        part = slice(first, first + H)
        return self.planes[t, :, :, part].clone(), self.apart[t, :, 0, part].clone(), []

    def start_back(self, seed: Tensor) -> tuple[Tensor, ...]:
        """Coefficients of a state, of which only those of h are not zero."""
        return (seed,)

    def write(self, t: int, column: int, by_net: Sequence[tuple[int, Tensor]], shift: Tensor, apart: Tensor) -> None:
        """A block of columns of the matrix of step t: parallel planes around a value of each unit.

        Parameters
        ----------
        t, column : int
        by_net : sequence of (int, Tensor)
            Blocks of pre-activations, and the slopes (H, n) for them.
        shift, apart : Tensor of shape (H, n)
            Constants. ``apart`` is enlarged by the rounding of their sums.
        """
        part = slice(column * self.size, (column + 1) * self.size)
        matrix = self.planes[t, :, :, part].zero_()
        for block, slope in by_net:
            weights = self.down[:, :, block * self.size : (block + 1) * self.size]
            matrix[:, :-1].addcmul_(weights, slope.T[:, None].to(matrix.dtype))
        matrix[:, -1] = shift.T
        self.apart[t, :, 0, part] = self.enlarged(shift, apart).T

    def keep(
        self,
        t: int,
        column: int,
        by_net: Sequence[tuple[int, Tensor, Tensor | None]],
        shift: Tensor,
        apart: Tensor,
    ) -> None:
        """Write the closest planes around a value of each unit; arguments as in `write`, half differences of slopes."""
        H = self.size
        for block, mean, half in by_net:
            slopes = self.slopes[t, :, :, block * H : (block + 1) * H, 0]
            slopes[0] = mean.T
            slopes[1] = 0.0 if half is None else half.T
        constants = self.constants[t, :, :, column * H : (column + 1) * H, 0]
        constants[0], constants[1] = shift.T, self.enlarged(shift, apart).T
        if self.closely:
            both = self.matrix[t, :, :, 2 * column * H : 2 * (column + 1) * H].zero_()
            for block, *halves in by_net:
                weights = self.down[:, :, block * H : (block + 1) * H]
                for part, slope in zip(both[:, :-1].split(H, 2), halves, strict=True):
                    if slope is not None:
                        part.addcmul_(weights, slope.T[:, None].to(part.dtype))
            both[:, -1] = constants.transpose(0, 1).flatten(1)

    def enlarged(self, shift: Tensor, apart: Tensor) -> Tensor:
        """The distance, enlarged by the rounding of sums of such constants."""
        return apart + self.slack * (shift.abs() + apart.abs())

    def through_planes(self, t: int, columns: Tensor, scratch: Scratch) -> tuple[Tensor, Tensor]:
        """The matrix of step t times coefficients, and their part of the distances."""
        n, _, m = columns.shape
        sizes, below, apart = scratch(*columns.shape), scratch(n, self.planes.shape[2], m), scratch(n, 1, m)
        torch.bmm(self.apart[t], torch.abs(columns, out=sizes), out=apart)
        return torch.bmm(self.planes[t], columns, out=below), apart[:, 0]

    def times_matrix(self, t: int, columns: Tensor, scratch: Scratch) -> tuple[Tensor, Tensor]:
        """The matrix of the closest planes of step t times coefficients and their sizes; the constants."""
        below = torch.bmm(self.matrix[t], columns, out=scratch(len(columns), self.matrix.shape[2], columns.shape[2]))
        return below[:, :-1], below[:, -1]

    def closest(self, t: int, by_net: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """From coefficients of the values after every pre-activation, and of the values themselves, to those below."""
        (mean, half), (shift, apart) = self.slopes[t], self.constants[t]
        coefficients = by_net * mean + by_net.abs() * half
        constants = (values * shift + values.abs() * apart).sum(1)
        return torch.matmul(self.down, coefficients), constants

    def blocks(self, of: Point | Ends | Line) -> list:
        """A part for each block of pre-activations."""
        return [of.part(slice(k, k + self.size)) for k in range(0, len(of[0]), self.size)]


class PlaneLSTM(PlaneLayer):
    """The LSTM, with the gates i, f, g, o in torch's order; the state is (h, s)."""

    n_states = 2

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

        def around_s(around: Around) -> tuple[Planes, Planes, Tensor, Tensor]:
            f = around(of_f, at_f, before, point(s_before, before), unit)
            i = around(of_i, at_i, net_g, at_g, unit, of_g)
            return f, i, f.shift + i.shift - s_at, f.apart + i.apart + rounding

        if not self.closely:
            f, i, shift, apart = around_s(parallel)
            self.write(t, 1, [(0, i.by_net), (1, f.by_net), (2, i.by_value)], shift, apart)
            self.passed_on[PARALLEL, 1, t] = f.by_value.T[..., None]
        f, i, shift, apart = around_s(gated)
        slopes = [(0, i.by_net, i.by_net_apart), (1, f.by_net, f.by_net_apart), (2, i.by_value, None)]
        self.keep(t, 1, slopes, shift, apart)
        self.passed_on[CLOSEST, 1, t] = f.by_value.T[..., None]
        kept, new = hull(of_f.range, before), hull(of_i.range, of_g.range)
        s = narrow(Ends(kept.lower + new.lower - rounding, kept.upper + new.upper + rounding), s_at, None)
        of_s, h_at = linear_relaxation("tanh", s, unit), at_o.at.sigmoid() * s_at.tanh()
        of_h = 2 * unit + 8 * DOUBLE  # rounding of the product
        if not self.closely:
            o = parallel(of_o, at_o, s, point(s_at, s), unit, of_s)
            self.write(t, 0, [(3, o.by_net)], o.shift - h_at, o.apart + of_h)
            self.passed_on[PARALLEL, 0, t] = o.by_value.T[..., None]
        o = gated(of_o, at_o, s, point(s_at, s), unit, of_s)
        self.keep(t, 0, [(3, o.by_net, o.by_net_apart)], o.shift - h_at, o.apart + of_h)
        self.passed_on[CLOSEST, 0, t] = o.by_value.T[..., None]
        h = hull(of_o.range, of_s.range)
        return (Ends(h.lower - of_h, h.upper + of_h), s), (h_at, s_at)

    def substitute(self, t: int, adjoint: tuple[Tensor, ...]) -> tuple[Tensor, Tensor, list[Tensor]]:
        by_h, kept = adjoint
        (n, H, m), scratch = by_h.shape, self.sweeps[t % 2].reset()
        columns, before = scratch(n, 2 * H, m), scratch(n, H, m)
        to_s, keep = self.passed_on[PARALLEL, :, t]
        columns[:, :H] = by_h
        torch.addcmul(kept, by_h, to_s, out=columns[:, H:])
        torch.mul(columns[:, H:], keep, out=before)
        return *self.through_planes(t, columns, scratch), [before]

    def substitute_closely(self, t: int, adjoint: tuple[Tensor, ...]) -> tuple[Tensor, Tensor, list[Tensor]]:
        by_h, kept = adjoint
        to_s, keep = self.passed_on[CLOSEST, :, t]
        by_s = torch.addcmul(kept, by_h, to_s)
        return *self.closest(t, torch.cat((by_s, by_s, by_s, by_h), 1), torch.cat((by_h, by_s), 1)), [by_s * keep]

    def substitute_many_closely(self, t: int, adjoint: tuple[Tensor, ...]) -> tuple[Tensor, Tensor, list[Tensor]]:
        by_h, kept = adjoint
        (n, H, m), scratch = by_h.shape, self.sweeps[t % 2].reset()
        columns, before = scratch(n, 4 * H, m), scratch(n, H, m)
        to_s, keep = self.passed_on[CLOSEST, :, t]
        torch.abs(columns[:, :H].copy_(by_h), out=columns[:, H : 2 * H])
        by_s = torch.addcmul(kept, by_h, to_s, out=columns[:, 2 * H : 3 * H])
        torch.abs(by_s, out=columns[:, 3 * H :])
        torch.mul(by_s, keep, out=before)
        return *self.times_matrix(t, columns, scratch), [before]

    def own_columns_closely(self, t: int) -> tuple[Tensor, Tensor, list[Tensor]]:
        below, constants, _ = super().own_columns_closely(t)
        keep = torch.diag_embed(self.passed_on[CLOSEST, 1, t, :, :, 0])
        return below, constants, [torch.cat((keep, -keep), 2)]

    def own_columns(self, t: int) -> tuple[Tensor, Tensor, list[Tensor]]:
        below, apart, _ = super().own_columns(t)
        return below, apart, [torch.diag_embed(self.passed_on[PARALLEL, 1, t, :, :, 0])]


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
        candidate_at, one = at_n.at + at_r.at.sigmoid() * at_q.at, torch.ones_like(at_n.at)
        rounding = (4 * unit + 8 * DOUBLE) * (largest(q) + largest(net_n))

        def around_candidate(around: Around) -> tuple[Planes, Tensor, Tensor]:
            r = around(of_r, at_r, q, at_q, unit)
            return r, r.shift + at_n.at - candidate_at, r.apart + inexact(one, at_n, unit) + rounding

        if self.closely:
            reset, of_reset, reset_apart = around_candidate(gated)
            slopes = [(0, reset.by_net, reset.by_net_apart), (2, reset.by_value, None), (3, one, None)]
            self.keep(t, 0, slopes, of_reset, reset_apart)
        else:
            reset, of_reset, reset_apart = around_candidate(parallel)
            by_net = [(0, reset.by_net), (2, reset.by_value), (3, one)]
            self.write(t, 0, by_net, of_reset, reset_apart)
        product = hull(of_r.range, q)
        wide = Ends(net_n.lower + product.lower - rounding, net_n.upper + product.upper + rounding)
        candidate = narrow(wide, candidate_at, None)
        line, new_at = linear_relaxation("tanh", candidate, unit), candidate_at.tanh()
        # h' = n + z (h − n), and n is a function of the candidate.
        gap = Ends(before.lower - line.range.upper, before.upper - line.range.lower)
        gap_at, update_at = self.reference[0] - new_at, at_z.at.sigmoid()
        of_h = 8 * unit + 16 * DOUBLE  # rounding of the mixture

        def around_h(around: Around, shift: Tensor, apart: Tensor) -> tuple[Planes, Tensor, Tensor, Tensor]:
            z = around(of_z, at_z, gap, point(gap_at, gap), unit)
            share = 1 - z.by_value
            slope = share * line.slope
            shift = z.shift - update_at * gap_at + slope * shift
            shift = shift + share * (line.slope * candidate_at + line.shift - new_at)
            apart = z.apart + share * line.error + slope * apart + of_h
            return z, slope, shift, apart + inexact(slope, point(candidate_at, candidate), unit)

        if not self.closely:
            z, slope, shift, apart = around_h(parallel, of_reset, reset_apart)
            self.write(t, 0, [*((block, slope * of_net) for block, of_net in by_net), (1, z.by_net)], shift, apart)
            self.planes[t, :, :H].diagonal(dim1=1, dim2=2).add_(z.by_value.T)
            self.passed_on[PARALLEL, 0, t] = z.by_value.T[..., None]
            reset, of_reset, reset_apart = around_candidate(gated)
        z, slope, shift, apart = around_h(gated, of_reset, reset_apart)
        slopes = [
            (0, slope * reset.by_net, slope * reset.by_net_apart),
            (1, z.by_net, z.by_net_apart),
            (2, slope * reset.by_value, None),
            (3, slope, None),
        ]
        self.keep(t, 0, slopes, shift, apart)
        self.passed_on[CLOSEST, 0, t] = z.by_value.T[..., None]
        if self.closely:
            self.matrix[t, :, :H, :H].diagonal(dim1=1, dim2=2).add_(z.by_value.T)
        h_at = new_at + update_at * gap_at
        return (narrow(self._mixed(line.range, before, of_z.range, of_h), h_at, None),), (h_at,)

    @staticmethod
    def _mixed(new: Ends, before: Ends, update: Ends, rounding: float) -> Ends:
        """(1 − z) n + z h, which increases in n and in h, and is linear in z."""
        low, high = update.lower.clamp(0, 1), update.upper.clamp(0, 1)
        lower = torch.minimum(new.lower.lerp(before.lower, low), new.lower.lerp(before.lower, high))
        upper = torch.maximum(new.upper.lerp(before.upper, low), new.upper.lerp(before.upper, high))
        return Ends(lower - rounding, upper + rounding)

    def substitute_closely(self, t: int, adjoint: tuple[Tensor, ...]) -> tuple[Tensor, Tensor, list[Tensor]]:
        (by_h,) = adjoint
        below, constants = self.closest(t, by_h.repeat(1, 4, 1), by_h)
        below[:, : self.size].addcmul_(by_h, self.passed_on[CLOSEST, 0, t])
        return below, constants, []


class PlaneReLU(PlaneLayer):
    """The ReLU cell, with or without biases; the state is h."""

    def step(self, t: int, net: Ends, at: Point, narrow: Narrow) -> tuple[tuple[Ends, ...], tuple[Tensor, ...]]:
        around = None if self.closely else parallel_ramp(net, at, self.unit)
        self.write_both(t, around, ramp(net, at, self.unit))
        return (Ends(net.lower.clamp_min(0), net.upper.clamp_min(0)),), (at.at.clamp_min(0),)

    def write_both(self, t: int, around: Planes | None, closest: Planes) -> None:
        """Planes around a function of the pre-activation; parallel ones unless only the closest are used."""
        if around is not None:
            self.write(t, 0, [(0, around.by_net)], around.shift, around.apart)
        self.keep(t, 0, [(0, closest.by_net, closest.by_net_apart)], closest.shift, closest.apart)

    def substitute_closely(self, t: int, adjoint: tuple[Tensor, ...]) -> tuple[Tensor, Tensor, list[Tensor]]:
        return *self.closest(t, adjoint[0], adjoint[0]), []


class PlaneTanh(PlaneReLU):
    """The same with tanh, between two parallel lines, which are also the closest planes."""

    def step(self, t: int, net: Ends, at: Point, narrow: Narrow) -> tuple[tuple[Ends, ...], tuple[Tensor, ...]]:
        line, h_at = linear_relaxation("tanh", net, self.unit), at.at.tanh()
        at_reference, zero = line.slope * at.at, torch.zeros_like(h_at)
        apart = line.error + inexact(line.slope, at, self.unit) + 16 * DOUBLE * (2 + at_reference.abs())
        planes = Planes(zero, line.slope, zero, at_reference + line.shift - h_at, apart)
        self.write_both(t, None if self.closely else planes, planes)
        return (line.range,), (h_at,)


PLANES: dict[str, type[PlaneLayer]] = {"lstm": PlaneLSTM, "gru": PlaneGRU, "relu": PlaneReLU, "tanh": PlaneTanh}
