"""The GRU cell, as torch defines it, on boxes: h' = (1 − z) n + z h with n = tanh(W_nx x + b + r (W_nh h + b'))."""

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

__all__ = ["EnclosedGRU"]


class _GRUSlot(Slot):
    """Ends (2, ...) of h before the step, r, z, q and the candidate n, five rows of (H, n)."""

    def __init__(self, tape: Tensor, error: Tensor):
        super().__init__(tape)
        self.error = error  # rounding of the candidate's pre-activation
        self.nets = Ends(*tape[:, 1:].flatten(1, 2))
        self.logistics, self.candidate = tape[:, 1:3], tape[:, 4]
        self.gates = Ends(*self.logistics)
        self.before, self.r, self.z, self.q, self.n = (Ends(*tape[:, row]) for row in range(5))


class EnclosedGRU(EnclosedLayer):
    """Pre-activations of r and z, of q = W_nh h + b', and the input's part of n's; the state is h."""

    n_gates = 3
    order = (0, 1, 2)

    def _rows(self) -> tuple[Tensor, Tensor]:
        """(4·H, H) and (4·H, d): the recurrent and the input's part of n are two rows, since r comes between them."""
        H = self.size
        W_h = torch.cat((self.W_h, self.W_h.new_zeros(H, H)))
        W_x = torch.cat((self.W_x[: 2 * H], self.W_x.new_zeros(H, self.n_inputs), self.W_x[2 * H :]))
        return W_h, W_x

    def forward_matrices(self) -> Tensor:
        H = self.size
        W_h, W_x = self._rows()
        bias = torch.cat((self.b_h[: 2 * H] + self.b_x[: 2 * H], self.b_h[2 * H :], self.b_x[2 * H :]))
        size = torch.cat((self.b_h[: 2 * H].abs() + self.b_x[: 2 * H].abs(), bias[2 * H :].abs()))
        self.constant = self.slack * (W_h.abs().sum(1) + size)  # |h| ≤ 1
        self.error = 4 * ACTIVATION * self.unit  # as in the LSTM
        both = torch.cat((W_h, W_x), dim=1)
        centre = torch.cat((both, bias[:, None]), dim=1)
        return torch.stack((centre, torch.cat((both.abs(), self.constant[:, None]), dim=1)))

    def adjoint_matrix(self) -> Tensor:
        return torch.cat(self._rows(), dim=1).T

    def slots(self, n_slots: int, n: int) -> list[Slot]:
        tape = self.memory("tape", n_slots, 2, 5, self.size, n)
        errors = self.memory("errors", n_slots, self.size, n)
        return [_GRUSlot(part, error) for part, error in zip(tape, errors, strict=True)]

    def _reset(self, slot: Any, scratch: Scratch) -> None:
        """From the ends of the rows to r, z and the pre-activation of the candidate."""
        slot.logistics.sigmoid_()
        torch.mul(sup(slot.q, scratch), self.error, out=slot.error)  # r is off by a few units, and multiplies q
        for end, term in zip(slot.n, hull_nonnegative(slot.r, slot.q, scratch), strict=True):
            end.add_(term)
        widen(slot.n, slot.error)

    def _mix(self, slot: Any, after: Any, scratch: Scratch) -> None:
        """From the candidate's pre-activation to h after the step."""
        slot.candidate.tanh_()
        other = scratch(*slot.error.shape)
        # (1 − z) n + z h grows with n and with h, and is linear in z.
        for n, old, new, extreme in zip(slot.n, slot.before, after.before, (torch.minimum, torch.maximum), strict=True):
            torch.lerp(n, old, slot.z.lower, out=new)
            torch.lerp(n, old, slot.z.upper, out=other)
            extreme(new, other, out=new)
        widen(after.before, 3 * self.error)

    def step(self, slot: Any, after: Any, net: tuple[Tensor, Tensor], out: Tensor, scratch: Scratch) -> None:
        torch.sub(*net, out=slot.nets.lower)
        torch.add(*net, out=slot.nets.upper)
        self._reset(slot, scratch)
        self._mix(slot, after, scratch)
        to_ball(after.before, 4 * self.unit, out)

    def linear_step(
        self, slot: Any, after: Any, net: Ends, form: Form, state: tuple[Form, ...], out: Tensor, scratch: Scratch
    ) -> tuple[Form, ...]:
        H, activation = self.size, 2 * ACTIVATION * self.unit
        rows = [slice(k * H, (k + 1) * H) for k in range(4)]
        net_r, net_z, net_q, net_n = (form.part(part) for part in rows)
        line_r, line_z = (relax("logistic", net.part(part)) for part in rows[:2])
        for end, result in zip(net, slot.nets, strict=True):
            result.copy_(end)
        self._reset(slot, scratch)
        # A product is a b = α b + β a − α β + (a − α)(b − β), α and β in the middle of what is known of a and b.
        (r, away_r), (z, away_z), (q, away_q) = middle(slot.r, activation), middle(slot.z, activation), middle(slot.q)
        ones = torch.ones_like(r)
        candidate = combine(
            [(ones, net_n), (r, net_q), (q * line_r.slope, net_r)],
            [q * line_r.shift, -r * q],
            q.abs() * line_r.error + away_r * away_q + slot.error,
        )
        line_n = relax("tanh", intersect(slot.n, candidate.ends()))
        self._mix(slot, after, scratch)
        # h' = n + z (h − n)
        gap, away = middle(Ends(slot.before.lower - slot.n.upper, slot.before.upper - slot.n.lower), 2 * activation)
        rest = 1 - z
        new_h = combine(
            [(rest * line_n.slope, candidate), (z, state[0]), (gap * line_z.slope, net_z)],
            [rest * line_n.shift, gap * line_z.shift, -z * gap],
            rest.abs() * line_n.error + gap.abs() * line_z.error + away_z * away + 3 * self.error,
        )
        to_ball(intersect(after.before, new_h.ends()), 4 * self.unit, out)
        return (new_h.kept(after.before),)

    def step_back(
        self, slot: Any, slack: Tensor, adjoint: tuple[Tensor, ...], scratch: Scratch
    ) -> tuple[Tensor, tuple[Tensor, ...], Tensor]:
        (by_h,) = adjoint
        H, size, r, z, n = self.size, slot.error.shape, slot.r, slot.z, slot.n
        slopes = logistic_slope(slot.gates, scratch)
        slope_n = tanh_slope(n, scratch)
        margin = slot.error.add(2 * self.error).mul_(2)
        # Derivatives of h' by the rows r, z, q and n, then by the h before, directly.
        partials = Ends(scratch(5, *size), scratch(5, *size))
        by_r, by_z, by_q, by_n, by_before = (partials.part(index) for index in range(5))
        # 1 − z falls as z grows.
        torch.mul(1 - z.upper, slope_n.lower, out=by_n.lower).sub_(margin).clamp_min_(0)
        torch.mul(1 - z.lower, slope_n.upper, out=by_n.upper).add_(margin)
        hull_nonnegative(by_n, hull_nonnegative(slopes.part(0), slot.q, scratch), scratch, by_r)
        hull_nonnegative(slopes.part(1), Ends(slot.before.lower - n.upper, slot.before.upper - n.lower), scratch, by_z)
        for end in range(2):
            torch.mul(by_n[end], r[end], out=by_q[end])
            by_before[end].copy_(z[end])
        local = scratch(2, 5, *size)
        to_ball(partials, margin, local)
        local_sup = ball_sup(local, scratch)[:, :, None]
        local = local[:, :, :, None]

        shape = by_h.shape
        by_nets = multiply_ball(by_h[:, None], local[:, :4], local_sup[:4], scratch, scratch(2, 4, *shape[1:]))
        by_nets = by_nets.flatten(1, 2)
        largest = ball_sup(by_nets, scratch)
        through, by_input = self.through_weights(by_nets, largest, scratch)
        direct = multiply_ball(by_h, local[:, 4], local_sup[4], scratch, scratch(*shape))
        slacks = torch.cat((slack[: 2 * H], torch.zeros_like(slot.error), slack[2 * H :] + slot.error))
        rounding = largest.mul_(slacks.add_(self.constant[:, None])[:, None]).sum(0)
        rounding += ball_sup(by_h, scratch).sum(0).mul_(3 * self.error)
        return by_input, (add_ball(through, direct, self.unit, scratch),), rounding
