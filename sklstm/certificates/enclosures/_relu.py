"""The ReLU cell (1) of Tu et al. 2020 on boxes; it may have biases."""

from typing import Any

import torch
from torch import Tensor

from ._arithmetic import Ends, Scratch, ball_sup, multiply_ball, to_ball
from ._forms import Form, combine, intersect, relax
from ._layer import EnclosedLayer, Slot

__all__ = ["EnclosedReLU"]


class _ReLUSlot(Slot):
    """Size of h before the step, and ends of the slopes: three rows of (H, n)."""

    def __init__(self, tape: Tensor):
        super().__init__(tape)
        self.size, self.slopes = tape[0], Ends(*tape[1:])


class EnclosedReLU(EnclosedLayer):
    """One pre-activation; the state is h ≥ 0, which nothing bounds, so that its rounding grows with it."""

    n_gates = 1
    order = (0,)

    def forward_matrices(self) -> Tensor:
        both = torch.cat((self.W_h, self.W_x), dim=1)
        # Of tiny products the rounding is absolute.
        self.constant = self.slack * (self.b_x.abs() + self.b_h.abs()) + torch.finfo(self.W_x.dtype).tiny
        centre = torch.cat((both, (self.b_x + self.b_h)[:, None]), dim=1)
        return torch.stack((centre, torch.cat((both.abs(), self.constant[:, None]), dim=1)))

    def slots(self, n_slots: int, n: int) -> list[Slot]:
        return [_ReLUSlot(part) for part in self.memory("tape", n_slots, 3, self.size, n)]

    def step(self, slot: Any, after: Any, net: tuple[Tensor, Tensor], out: Tensor, scratch: Scratch) -> None:
        h = Ends(torch.sub(*net, out=scratch(*net[0].shape)), torch.add(*net, out=after.size))
        for end, slope in zip(h, slot.slopes, strict=True):
            end.clamp_min_(0)
            torch.sign(end, out=slope)
        # The radius holds the share of h in the rounding of the next pre-activations.
        to_ball(h, (self.slack + 4 * self.unit) * h.upper, out)

    def linear_step(
        self, slot: Any, after: Any, net: Ends, form: Form, state: tuple[Form, ...], out: Tensor, scratch: Scratch
    ) -> tuple[Form, ...]:
        line = relax("relu", net)
        h = Ends(net.lower.clamp_min(0), net.upper.clamp_min(0))
        for end, slope in zip(net, slot.slopes, strict=True):
            torch.sign(end.clamp_min(0), out=slope)
        new_h = combine([(line.slope, form)], [line.shift], line.error)
        intersect(h, new_h.ends())
        after.size.copy_(h.upper)
        to_ball(h, (self.slack + 4 * self.unit) * h.upper, out)
        return (new_h.kept(h),)

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
        slack.addmm_(self.W_h.abs(), slot.size, alpha=self.slack).add_(self.constant[:, None])
        return by_input, (before,), largest.mul_(slack[:, None]).sum(0)
