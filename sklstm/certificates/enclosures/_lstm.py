"""The LSTM cell (5)-(11) of Turkin 2017 on boxes."""

from typing import Any

import torch
from torch import Tensor

from ._arithmetic import (
    ACTIVATION,
    Ends,
    Scratch,
    add_ball,
    ball_sup,
    hull_nonnegative,
    logistic_slope,
    multiply_ball,
    sup,
    tanh_slope,
    to_ball,
    widen,
)
from ._forms import Form, combine, intersect, middle, relax
from ._layer import EnclosedLayer, Slot

__all__ = ["EnclosedLSTM"]


class _LSTMSlot(Slot):
    """Ends (2, ...) of tanh(s) after the step, s before it, and the gates g, o, f, i, six rows of (H, n).

    The logistics o, f, i multiply tanh(s), s and g: in this order one call serves several products.
    """

    def __init__(self, tape: Tensor, error: Tensor):
        super().__init__(tape)
        self.error = error  # rounding of s
        self.nets = Ends(*tape[:, 2:].flatten(1, 2))
        self.g, self.logistics = tape[:, 2], tape[:, 3:]
        self.tanh_s, self.s_before = tape[:, 0], tape[:, 1]
        self.s_ends, self.tanh_ends = Ends(*self.s_before), Ends(*self.tanh_s)
        self.gates, self.partners = Ends(*tape[:, 3:]), Ends(*tape[:, :3])
        self.o, self.f, self.i = (Ends(*tape[:, row]) for row in (3, 4, 5))
        self.f_i, self.s_g = Ends(*tape[:, 4:]), Ends(*tape[:, 1:3])
        self.tanhs = Ends(*tape[:, 0:3:2])


class EnclosedLSTM(EnclosedLayer):
    """Gates o, f, i, g; the state is (h, s)."""

    n_gates = 4
    n_states = 2
    order = (3, 1, 0, 2)

    def forward_matrices(self) -> Tensor:
        # |h| ≤ 1, so the rounding of W_h h and of the biases is one vector for all steps.
        self.constant = self.slack * (self.W_h.abs().sum(1) + self.b_x.abs() + self.b_h.abs())
        # Of a product of two activations: each is off by ACTIVATION units times what it multiplies, for the network and
        # for us, and a few operations round.
        self.error = 4 * ACTIVATION * self.unit
        self.error_gates = self.W_h.new_tensor(2 * self.error)
        both = torch.cat((self.W_h, self.W_x), dim=1)
        centre = torch.cat((both, (self.b_x + self.b_h)[:, None]), dim=1)
        matrices = torch.stack((centre, torch.cat((both.abs(), self.constant[:, None]), dim=1)))
        return matrices.roll(self.size, dims=1)  # g first, as in the tape

    def slots(self, n_slots: int, n: int) -> list[Slot]:
        tape = self.memory("tape", n_slots, 2, 6, self.size, n)
        errors = self.memory("errors", n_slots, self.size, n)
        return [_LSTMSlot(part, error) for part, error in zip(tape, errors, strict=True)]

    def _remember(self, slot: Any, after: Any, scratch: Scratch) -> None:
        """From the ends of the pre-activations to the gates, and to the memory after the step."""
        slot.g.tanh_()
        slot.logistics.sigmoid_()
        torch.add(self.error_gates, sup(slot.s_ends, scratch), alpha=self.error, out=slot.error)
        terms = scratch(2, 2, *slot.error.shape)
        hull_nonnegative(slot.f_i, slot.s_g, scratch, Ends(*terms))
        torch.add(*terms.unbind(1), out=after.s_before)
        widen(after.s_ends, slot.error)

    def step(self, slot: Any, after: Any, net: tuple[Tensor, Tensor], out: Tensor, scratch: Scratch) -> None:
        torch.sub(*net, out=slot.nets.lower)
        torch.add(*net, out=slot.nets.upper)
        self._remember(slot, after, scratch)
        torch.tanh(after.s_before, out=slot.tanh_s)
        h = hull_nonnegative(slot.o, slot.tanh_ends, scratch)
        to_ball(h, 2 * self.error + 4 * self.unit, out)

    def linear_step(
        self, slot: Any, after: Any, net: Ends, form: Form, state: tuple[Form, ...], out: Tensor, scratch: Scratch
    ) -> tuple[Form, ...]:
        H, activation = self.size, 2 * ACTIVATION * self.unit
        rows = [slice(k * H, (k + 1) * H) for k in range(4)]
        net_g, net_o, net_f, net_i = (form.part(part) for part in rows)
        line_g = relax("tanh", net.part(rows[0]))
        line_o, line_f, line_i = (relax("logistic", net.part(part)) for part in rows[1:])
        for end, result in zip(net, slot.nets, strict=True):
            result.copy_(end)
        self._remember(slot, after, scratch)
        # A product is a b = α b + β a − α β + (a − α)(b − β), α and β in the middle of what is known of a and b.
        (f, away_f), (i, away_i), (o, away_o) = (middle(ends, activation) for ends in (slot.f, slot.i, slot.o))
        (g, away_g), (s, away_s) = middle(Ends(*slot.g), activation), middle(slot.s_ends)
        error = s.abs() * line_f.error + i.abs() * line_g.error + g.abs() * line_i.error
        new_s = combine(
            [(f, state[1]), (s * line_f.slope, net_f), (i * line_g.slope, net_g), (g * line_i.slope, net_i)],
            [s * line_f.shift, -f * s, i * line_g.shift, g * line_i.shift, -i * g],
            error + away_f * away_s + away_i * away_g + slot.error,
        )
        new_s = new_s.kept(intersect(after.s_ends, new_s.ends()))
        line_s = relax("tanh", after.s_ends)
        torch.tanh(after.s_before, out=slot.tanh_s)
        h = hull_nonnegative(slot.o, slot.tanh_ends, scratch)
        margin = 2 * self.error + 4 * self.unit
        widen(h, margin)
        tanh_s, away = middle(slot.tanh_ends, activation)
        new_h = combine(
            [(o * line_s.slope, new_s), (tanh_s * line_o.slope, net_o)],
            [o * line_s.shift, tanh_s * line_o.shift, -o * tanh_s],
            o.abs() * line_s.error + tanh_s.abs() * line_o.error + away_o * away + margin,
        )
        to_ball(intersect(h, new_h.ends()), 4 * self.unit, out)
        return new_h.kept(h), new_s

    def start_back(self, seed: Tensor) -> tuple[Tensor, ...]:
        return seed, torch.zeros_like(seed)

    def step_back(
        self, slot: Any, slack: Tensor, adjoint: tuple[Tensor, ...], scratch: Scratch
    ) -> tuple[Tensor, tuple[Tensor, ...], Tensor]:
        by_h, by_s = adjoint
        H, n = slot.error.shape
        # Derivatives of h by s and by o's pre-activation; of s by those of f, i and g, and by the s before.
        partials = scratch(2, 6, H, n)
        rows = Ends(*partials)
        hull_nonnegative(logistic_slope(slot.gates, scratch), slot.partners, scratch, Ends(*partials[:, 1:4]))
        slopes = tanh_slope(slot.tanhs, scratch)  # of tanh(s) and of g
        for row, o, i, f, slope in zip(rows, slot.o, slot.i, slot.f, slopes, strict=True):
            torch.mul(o, slope[0], out=row[0])
            torch.mul(i, slope[1], out=row[4])
            row[5] = f
        local = scratch(2, 6, H, n)
        # The activations, and with them the slopes, are off by a few units.
        to_ball(rows, slot.error.mul(2), local)
        local_sup = ball_sup(local, scratch)[:, :, None]
        local = local[:, :, :, None]  # (2, 6, H, 1, n)

        out = scratch(2, 6, *by_h.shape[1:])
        multiply_ball(by_h[:, None], local[:, :2], local_sup[:2], scratch, out[:, :2])
        by_s = add_ball(by_s, out[:, 0], self.unit, scratch)
        multiply_ball(by_s[:, None], local[:, 2:], local_sup[2:], scratch, out[:, 2:])
        by_nets, before_s = out[:, 1:5].flatten(1, 2), out[:, 5]
        largest, largest_s = ball_sup(by_nets, scratch), ball_sup(by_s, scratch)
        before_h, by_input = self.through_weights(by_nets, largest, scratch)
        before_s[1].add_(largest_s, alpha=8 * self.unit)
        slack.add_(self.constant[:, None])
        rounding = largest.mul_(slack[:, None]).sum(0)
        rounding += largest_s.mul_(slot.error[:, None]).sum(0)
        rounding += ball_sup(by_h, scratch).sum(0).mul_(2 * self.error)
        return by_input, (before_h, before_s), rounding
