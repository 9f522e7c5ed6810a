"""The recurrent cells on boxes: one class for each cell, and a row of `ENCLOSURES`.

To certify another cell, write its subclass of `EnclosedLayer` here and add its row at the end of the file. Also write
its subclass of `PlaneLayer` in `_plane_layers`.
"""

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ._enclosed_layer import EnclosedLayer, GradientStep, ProductGradient, Slot
from ._interval_arithmetic import (
    ACTIVATION,
    Ends,
    Hull,
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


class _LSTMSlot(Slot):
    """Ends (2, ...) of tanh(s) after the step, s before it, and the gates g, o, f, i, six rows of (H, n).

    The logistic gates o, f, i multiply tanh(s), s and g. In this order one call computes several products.
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
        self.all_gates, self.all_partners = tape[:, 3:], tape[:, :3]
        self.all_tanhs, self.all_s_g = tape[:, 0:3:2], tape[:, 1:3]


class _LSTMGradient(GradientStep):
    def allot(self, new: Callable[..., Tensor]) -> None:
        rows = new(5)  # s before the step, g, o, f, i
        self.by_s, self.square = new(), new(2)
        self.by_s_column, self.s_and_g, self.by_s_before = self.by_s[:, None], rows[:, :2], rows[:, 0]
        self.net_lower, self.net_upper = rows[:, 1:].flatten(1, 2)
        self.gates = ProductGradient(new, (3,), rows[:, 2:])
        self.by_tanh_s, self.by_partners = self.gates.chosen[:, 0], self.gates.chosen[:, 1:]
        self.by_tanhs = self.gates.chosen[:, ::2]
        self.of_h, self.of_s = self.gates.of_product[:, 0], self.gates.of_product[:, 1:]

    def start(self) -> None:
        self.by_s_before.zero_()

    def __call__(self, slot: Any) -> None:
        self.gates.choose(slot.gates, slot.all_partners)
        torch.mul(slot.all_tanhs, slot.all_tanhs, out=self.square)
        self.by_tanhs.addcmul_(self.by_tanhs, self.square, value=-1)
        torch.addcmul(self.by_s_before, self.by_h, self.by_tanh_s, out=self.by_s)
        torch.mul(self.by_h, slot.tanh_s, out=self.of_h)
        torch.mul(self.by_s_column, slot.all_s_g, out=self.of_s)
        torch.mul(self.by_s_column, self.by_partners, out=self.s_and_g)
        self.gates.write(slot.all_gates)


class EnclosedLSTM(EnclosedLayer):
    """The LSTM (5)-(11) of Turkin 2017, with gates o, f, i, g; the state is (h, s)."""

    torch_layer = nn.LSTM
    torch_mode = "LSTM"
    n_gates = 4
    n_states = 2
    order = (3, 1, 0, 2)

    def forward_matrices(self) -> Tensor:
        # |h| ≤ 1, so one vector bounds the rounding of W_h h and of the biases for all steps.
        self.constant = self.slack * (self.W_h.abs().sum(1) + self.b_x.abs() + self.b_h.abs())
        # Error of a product of two activations. Each has an error of ACTIVATION units times the other factor, in the
        # network and in this computation, and a few operations round.
        self.error = 4 * ACTIVATION * self.unit
        self.error_gates = self.W_h.new_tensor(2 * self.error)
        both = torch.cat((self.W_h, self.W_x), dim=1)
        centre = torch.cat((both, (self.b_x + self.b_h)[:, None]), dim=1)
        matrices = torch.stack((centre, torch.cat((both.abs(), self.constant[:, None]), dim=1)))
        return matrices.roll(self.size, dims=1)  # g first, as in the tape

    def slots(self, n_slots: int, n: int) -> list[Slot]:
        tape = self.memory("tape", n_slots, 2, 6, self.size, n)
        errors = self.memory("errors", n_slots, self.size, n)
        self.terms, self.h = Hull(tape, 2, self.size, n), Hull(tape, self.size, n)
        self.both_terms = self.terms.product.unbind(1)  # of f and s, and of i and g
        return [_LSTMSlot(part, error) for part, error in zip(tape, errors, strict=True)]

    def _remember(self, slot: Any, after: Any, scratch: Scratch) -> None:
        """From the ends of the pre-activations to the gates, and to s after the step."""
        self.tanh_(slot.g)
        slot.logistics.sigmoid_()
        self.terms(slot.f_i, slot.all_s_g)
        torch.add(*self.both_terms, out=after.s_before)
        if self.margins:
            torch.add(self.error_gates, sup(slot.s_ends, scratch), alpha=self.error, out=slot.error)
            widen(after.s_ends, slot.error)

    def step(self, slot: Any, after: Any, net: tuple[Tensor, Tensor], out: Tensor, scratch: Scratch) -> None:
        torch.sub(*net, out=slot.nets.lower)
        torch.add(*net, out=slot.nets.upper)
        self._remember(slot, after, scratch)
        self.tanh_(slot.tanh_s.copy_(after.s_before))
        self.h(slot.o, slot.tanh_s)
        to_ball(self.h.ends, 2 * self.error + 4 * self.unit, out)

    def gradient(self, n: int) -> GradientStep:
        return _LSTMGradient(self, n)

    def start_back(self, seed: Tensor) -> tuple[Tensor, ...]:
        return seed, torch.zeros_like(seed)

    def step_back(
        self, slot: Any, slack: Tensor, adjoint: tuple[Tensor, ...], scratch: Scratch
    ) -> tuple[Tensor, tuple[Tensor, ...], Tensor]:
        by_h, by_s = adjoint
        H, n = slot.error.shape
        # Derivatives of h with respect to s and to the pre-activation of o. Derivatives of s with respect to the
        # pre-activations of f, i and g, and to the previous s.
        partials = scratch(2, 6, H, n)
        rows = Ends(*partials)
        hull_nonnegative(logistic_slope(slot.gates, scratch), slot.partners, scratch, Ends(*partials[:, 1:4]))
        slopes = tanh_slope(slot.tanhs, scratch)  # of tanh(s) and of g
        for row, o, i, f, slope in zip(rows, slot.o, slot.i, slot.f, slopes, strict=True):
            torch.mul(o, slope[0], out=row[0])
            torch.mul(i, slope[1], out=row[4])
            row[5] = f
        local = scratch(2, 6, H, n)
        # The activations, and therefore the slopes, have errors of a few units.
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


class _GRUSlot(Slot):
    """Ends (2, ...) of h before the step, r, z, q and the candidate n, five rows of (H, n)."""

    def __init__(self, tape: Tensor, error: Tensor):
        super().__init__(tape)
        self.error = error  # rounding of the candidate's pre-activation
        self.nets = Ends(*tape[:, 1:].flatten(1, 2))
        self.logistics, self.candidate = tape[:, 1:3], tape[:, 4]
        self.gates = Ends(*self.logistics)
        self.before, self.r, self.z, self.q, self.n = (Ends(*tape[:, row]) for row in range(5))
        self.all_before, self.all_r, self.all_z, self.all_q = tape[:, :4].unbind(1)


class _GRUGradient(GradientStep):
    def allot(self, new: Callable[..., Tensor]) -> None:
        rows = new(4)
        r, z, self.by_q, self.by_n = rows.unbind(1)
        self.net_lower, self.net_upper = rows.flatten(1, 2)
        self.reset, self.update = ProductGradient(new, (), r), ProductGradient(new, (), z)
        self.gap, self.slope, self.by_before = new(), new(), new()

    def start(self) -> None:
        self.by_before.zero_()

    def __call__(self, slot: Any) -> None:
        self.by_h.add_(self.by_before)
        torch.sub(slot.all_before, slot.candidate, out=self.gap)  # h' = n + z (h − n)
        keep = self.update.choose(slot.z, self.gap)
        torch.mul(self.by_h, self.gap, out=self.update.of_product)
        self.update.write(slot.all_z)
        torch.mul(self.by_h, keep, out=self.by_before)
        torch.mul(slot.candidate, slot.candidate, out=self.slope)
        torch.sub(self.by_h, self.by_before, out=self.by_n)
        self.by_n.addcmul_(self.by_n, self.slope, value=-1)
        of_q = self.reset.choose(slot.r, slot.all_q)
        torch.mul(self.by_n, slot.all_q, out=self.reset.of_product)
        self.reset.write(slot.all_r)
        torch.mul(self.by_n, of_q, out=self.by_q)


class EnclosedGRU(EnclosedLayer):
    """The GRU as torch defines it: h' = (1 − z) n + z h with n = tanh(W_nx x + b + r (W_nh h + b')); the state is h.

    The rows are the pre-activations of r and z, q = W_nh h + b', and W_nx x + b.
    """

    torch_layer = nn.GRU
    torch_mode = "GRU"
    n_gates = 3
    order = (0, 1, 2)

    def _rows(self) -> tuple[Tensor, Tensor]:
        """Weights (4·H, H) and (4·H, d): n has a block for its recurrent part, times r, and one for the input."""
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
        self.reset = Hull(tape, self.size, n)
        return [_GRUSlot(part, error) for part, error in zip(tape, errors, strict=True)]

    def _reset(self, slot: Any, scratch: Scratch) -> None:
        """From the ends of the rows to r, z and the pre-activation of the candidate."""
        slot.logistics.sigmoid_()
        slot.candidate.add_(self.reset(slot.r, slot.all_q))
        if self.margins:
            # r has an error of a few units, and multiplies q.
            torch.mul(sup(slot.q, scratch), self.error, out=slot.error)
            widen(slot.n, slot.error)

    def _mix(self, slot: Any, after: Any, scratch: Scratch) -> None:
        """From the pre-activation of the candidate to h after the step."""
        self.tanh_(slot.candidate)
        other = scratch(*slot.error.shape)
        # (1 − z) n + z h increases in n and in h, and is linear in z.
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

    def gradient(self, n: int) -> GradientStep:
        return _GRUGradient(self, n)

    def step_back(
        self, slot: Any, slack: Tensor, adjoint: tuple[Tensor, ...], scratch: Scratch
    ) -> tuple[Tensor, tuple[Tensor, ...], Tensor]:
        (by_h,) = adjoint
        H, size, r, z, n = self.size, slot.error.shape, slot.r, slot.z, slot.n
        slopes = logistic_slope(slot.gates, scratch)
        slope_n = tanh_slope(n, scratch)
        margin = slot.error.add(2 * self.error).mul_(2)
        # Derivatives of h' with respect to the rows r, z, q and n, and directly with respect to the previous h.
        partials = Ends(scratch(5, *size), scratch(5, *size))
        by_r, by_z, by_q, by_n, by_before = (partials.part(index) for index in range(5))
        # 1 − z decreases in z.
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


class _ReLUSlot(Slot):
    """Size of h before the step, and ends of the slopes: three rows of (H, n)."""

    def __init__(self, tape: Tensor):
        super().__init__(tape)
        self.size, self.slopes, self.all_slopes = tape[0], Ends(*tape[1:]), tape[1:]


class _ReLUGradient(GradientStep):
    def allot(self, new: Callable[..., Tensor]) -> None:
        self.net_lower, self.net_upper = self.by_h

    def start(self) -> None:
        pass  # only the ball of h is passed on

    def __call__(self, slot: Any) -> None:
        self.by_h.mul_(slot.all_slopes)


class EnclosedReLU(EnclosedLayer):
    """The ReLU cell (1) of Tu et al. 2020, with or without biases; the state is h ≥ 0.

    The state has no upper bound, so its rounding error grows with it.
    """

    torch_layer = nn.RNN
    torch_mode = "RNN_RELU"
    torch_options: ClassVar[dict[str, Any]] = {"nonlinearity": "relu"}
    n_gates = 1
    order = (0,)

    def forward_matrices(self) -> Tensor:
        both = torch.cat((self.W_h, self.W_x), dim=1)
        # The rounding error of tiny products is absolute.
        self.constant = self.slack * (self.b_x.abs() + self.b_h.abs()) + self.tiny
        centre = torch.cat((both, (self.b_x + self.b_h)[:, None]), dim=1)
        return torch.stack((centre, torch.cat((both.abs(), self.constant[:, None]), dim=1)))

    def slots(self, n_slots: int, n: int) -> list[Slot]:
        return [_ReLUSlot(part) for part in self.memory("tape", n_slots, 3, self.size, n)]

    def step(self, slot: Any, after: Any, net: tuple[Tensor, Tensor], out: Tensor, scratch: Scratch) -> None:
        h = Ends(torch.sub(*net, out=scratch(*net[0].shape)), torch.add(*net, out=after.size))
        for end, slope in zip(h, slot.slopes, strict=True):
            end.clamp_min_(0)
            torch.sign(end, out=slope)
        # The radius includes the part of h in the rounding of the next pre-activations.
        to_ball(h, (self.slack + 4 * self.unit) * h.upper + self.tiny, out)

    def gradient(self, n: int) -> GradientStep:
        return _ReLUGradient(self, n)

    def step_back(
        self, slot: Any, slack: Tensor, adjoint: tuple[Tensor, ...], scratch: Scratch
    ) -> tuple[Tensor, tuple[Tensor, ...], Tensor]:
        (by_h,) = adjoint
        local = scratch(2, *slot.size.shape)
        to_ball(slot.slopes, 0.0, local)  # 0, 1 or 1/2 ± 1/2, all exact
        local_sup = ball_sup(local, scratch)[:, None]
        by_net = multiply_ball(by_h, local[:, :, None], local_sup, scratch, scratch(*by_h.shape))
        largest = ball_sup(by_net, scratch)
        before, by_input = self.through_weights(by_net, largest, scratch)
        slack.add_(torch.mm(self.W_h.abs(), slot.size).mul_(self.slack)).add_(self.constant[:, None])
        return by_input, (before,), largest.mul_(slack[:, None]).sum(0)


class _TanhSlot(Slot):
    """Ends (2, H, n) of h after the step."""

    def __init__(self, tape: Tensor):
        super().__init__(tape)
        self.h = Ends(*tape)


class _TanhGradient(GradientStep):
    def allot(self, new: Callable[..., Tensor]) -> None:
        self.net_lower, self.net_upper = self.by_h
        self.square = new()

    def start(self) -> None:
        pass  # only the ball of h is passed on

    def __call__(self, slot: Any) -> None:
        torch.mul(slot.tape, slot.tape, out=self.square)
        self.by_h.addcmul_(self.by_h, self.square, value=-1)


class EnclosedTanh(EnclosedLayer):
    """The cell h' = tanh(W_x x + W_h h), with or without biases; the state is h."""

    torch_layer = nn.RNN
    torch_mode = "RNN_TANH"
    n_gates = 1
    order = (0,)

    def forward_matrices(self) -> Tensor:
        both = torch.cat((self.W_h, self.W_x), dim=1)
        # |h| ≤ 1. The rounding error of tiny products is absolute.
        self.constant = self.slack * (self.W_h.abs().sum(1) + self.b_x.abs() + self.b_h.abs()) + self.tiny
        self.error = 2 * ACTIVATION * self.unit  # of tanh, in the network and in this computation
        centre = torch.cat((both, (self.b_x + self.b_h)[:, None]), dim=1)
        return torch.stack((centre, torch.cat((both.abs(), self.constant[:, None]), dim=1)))

    def slots(self, n_slots: int, n: int) -> list[Slot]:
        return [_TanhSlot(part) for part in self.memory("tape", n_slots, 2, self.size, n)]

    def step(self, slot: Any, after: Any, net: tuple[Tensor, Tensor], out: Tensor, scratch: Scratch) -> None:
        torch.sub(*net, out=slot.h.lower)
        torch.add(*net, out=slot.h.upper)
        self.tanh_(slot.tape)
        to_ball(slot.h, self.error + 4 * self.unit, out)

    def gradient(self, n: int) -> GradientStep:
        return _TanhGradient(self, n)

    def step_back(
        self, slot: Any, slack: Tensor, adjoint: tuple[Tensor, ...], scratch: Scratch
    ) -> tuple[Tensor, tuple[Tensor, ...], Tensor]:
        (by_h,) = adjoint
        local = scratch(2, *slot.h.lower.shape)
        to_ball(tanh_slope(slot.h, scratch), 4 * self.error, local)  # of 1 − tanh², twice the error and some units
        local_sup = ball_sup(local, scratch)[:, None]
        by_net = multiply_ball(by_h, local[:, :, None], local_sup, scratch, scratch(*by_h.shape))
        largest = ball_sup(by_net, scratch)
        before, by_input = self.through_weights(by_net, largest, scratch)
        rounding = largest.mul_(slack.add_(self.constant[:, None])[:, None]).sum(0)
        rounding += ball_sup(by_h, scratch).sum(0).mul_(self.error)
        return by_input, (before,), rounding


ENCLOSURES: dict[str, type[EnclosedLayer]] = {
    "lstm": EnclosedLSTM,
    "gru": EnclosedGRU,
    "relu": EnclosedReLU,
    "tanh": EnclosedTanh,
}
