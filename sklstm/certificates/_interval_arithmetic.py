r"""Interval arithmetic with margins for rounding errors.

`Ends` are lower and upper bounds; balls are tensors (2, ...) of centres and radii. The forward pass uses ends, which
suit monotone functions and products. The backward pass uses balls, which suit affine maps and cost half as much to
multiply. The product of two balls has the same largest absolute value as the product of ends, and the bounds depend on
that value only.

All computations use the dtype of the weights, with unit roundoff u (2⁻²⁴ for float32, 2⁻⁵³ for float64). Each interval
contains three values. The first is the value of the network in exact arithmetic. The second is that of the network
evaluated in the dtype, with sums in any order. The third is that of this computation without its own rounding.

- A dot product of m terms has an error of at most γ_m Σ|terms|, γ_m = m u / (1 − m u), for every order of summation
  (Higham 2002, section 3.5). The margin must be three times this: for the network, for the centre and for the radius.
  `dot_slack` is three times (m + 8) u.
- The logistic function and tanh are assumed to have errors of at most 4 u (`ACTIVATION`). Measured over 6·10⁶ float32
  arguments: 1.5 u and 0.5 u for torch's functions, 1.5 u and 1.2 u inside its fused LSTM kernel. The tests measure this
  again.
- Sums and products have a relative error of u.
- A product that underflows has an absolute error instead, far below the smallest normal number, ``tiny`` in the code.
  It matters where other weights are so large that they make it visible again.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

ACTIVATION = 4  # error in units u of an activation, in the network and in this computation


class Scratch:
    """Memory for the temporary tensors of a step, which later steps use again.

    New memory of these sizes costs more than the arithmetic in it. The C library returns it to the system after use,
    and the system must map every page again.
    """

    def __init__(self, like: Tensor):
        self.like = like.detach()
        self.free: dict[tuple[int, ...], list[Tensor]] = {}
        self.used: dict[tuple[int, ...], int] = {}

    def __call__(self, *shape: int) -> Tensor:
        """An uninitialised tensor that is not used again until `reset`."""
        tensors, count = self.free.setdefault(shape, []), self.used.get(shape, 0)
        if count == len(tensors):
            tensors.append(self.like.new_empty(shape))
        self.used[shape] = count + 1
        return tensors[count]

    def reset(self) -> "Scratch":
        """Make all memory available again."""
        self.used.clear()
        return self


class Memory:
    """Tensors by name, each made once for a shape."""

    def __init__(self, like: Tensor):
        self.like = like.detach()
        self.kept: dict[str, Tensor] = {}

    def __call__(self, name: str, *shape: int) -> Tensor:
        """A tensor that is kept, and returned again when the same shape is requested."""
        tensor = self.kept.get(name)
        if tensor is None or tensor.shape != shape:
            tensor = self.kept[name] = self.like.new_empty(shape)
        return tensor

    def __getitem__(self, name: str) -> Tensor:
        return self.kept[name]


class Ends(NamedTuple):
    """Lower and upper bounds, tensors of one shape."""

    lower: Tensor
    upper: Tensor

    def part(self, index: int | slice) -> "Ends":
        """The same part of both along the first axis."""
        return Ends(self.lower[index], self.upper[index])


def dot_slack(n_terms: Any, unit: float) -> Any:
    """Factor of Σ|terms| that bounds all rounding errors of a dot product, in the network and in this computation.

    From a number of terms, or from a tensor of such numbers.
    """
    return 3 * (n_terms + 8) * unit


def to_ball(ends: Ends, margin: Tensor | float, out: Tensor) -> None:
    """Lower and upper to centre and radius, enlarged by ``margin``, written to ``out`` of shape (2, ...).

    The margin must be at least four units of the larger end, because the centre is rounded.
    """
    centre, radius = out.unbind(0)
    torch.lerp(ends.lower, ends.upper, 0.5, out=centre)
    torch.sub(ends.upper, centre, out=radius)
    if not isinstance(margin, float) or margin:  # there is none in training, where each call costs time
        radius.add_(margin)


def sup(ends: Ends, scratch: Scratch) -> Tensor:
    """Largest absolute value in each interval."""
    out = torch.neg(ends.lower, out=scratch(*ends.lower.shape))
    return torch.maximum(ends.upper, out, out=out)


def widen(ends: Ends, margin: Tensor | float) -> Ends:
    """Move both ends outwards, in place."""
    ends.lower.sub_(margin)
    ends.upper.add_(margin)
    return ends


def hull_nonnegative(factor: Ends, ends: Ends, scratch: Scratch, out: Ends | None = None) -> Ends:
    """Product of an interval of non-negative values and any interval."""
    shape = ends.lower.shape
    if out is None:
        out = Ends(scratch(*shape), scratch(*shape))
    other = scratch(*shape)
    for end, result, extreme in zip(ends, out, (torch.minimum, torch.maximum), strict=True):
        torch.mul(end, factor.lower, out=result)
        torch.mul(end, factor.upper, out=other)
        extreme(result, other, out=result)
    return out


class Hull:
    """`hull_nonnegative` for both ends in one tensor, with memory and views that are made once.

    Parameters
    ----------
    like : Tensor
    shape : int
        Shape of an end.
    """

    def __init__(self, like: Tensor, *shape: int):
        self.first, self.product = like.new_empty(2, *shape), like.new_empty(2, *shape)
        self.ends = Ends(*self.product)
        self.halves = tuple(self.first)

    def __call__(self, factor: Ends, ends: Tensor) -> Tensor:
        """Product (2, ...) of a factor of non-negative values and ends (2, ...); valid until the next call."""
        torch.mul(ends, factor.lower, out=self.first)
        torch.mul(ends, factor.upper, out=self.product)
        for half, end, extreme in zip(self.halves, self.ends, (torch.minimum, torch.maximum), strict=True):
            extreme(half, end, out=end)
        return self.product


def tanh_by_logistic_(values: Tensor) -> Tensor:
    """tanh in place, as 2σ(2x) − 1: an absolute error of about a unit roundoff, in less than half of the time."""
    return values.mul_(2).sigmoid_().mul_(2).sub_(1)


def logistic_slope(values: Ends, scratch: Scratch) -> Ends:
    """Range of σ′ = σ − σ² for σ in the given interval; it is largest at the point nearest to 1/2."""
    shape = values.lower.shape
    low, high = (torch.addcmul(end, end, end, value=-1, out=scratch(*shape)) for end in values)
    torch.minimum(low, high, out=low)
    nearest = torch.clamp_max(values.upper, 0.5, out=scratch(*shape))
    torch.maximum(values.lower, nearest, out=nearest)
    return Ends(low, torch.addcmul(nearest, nearest, nearest, value=-1, out=high))


def tanh_slope(values: Ends, scratch: Scratch) -> Ends:
    """Range of tanh′ = 1 − tanh² for tanh in the given interval; it is largest at the point nearest to 0."""
    low = sup(values, scratch)
    high = torch.clamp_max(values.upper, 0, out=scratch(*low.shape))
    torch.maximum(values.lower, high, out=high)
    return Ends(*(end.square_().neg_().add_(1) for end in (low, high)))


def ball_sup(ball: Tensor, scratch: Scratch) -> Tensor:
    """Largest absolute value in each ball."""
    centre, radius = ball.unbind(0)
    return torch.abs(centre, out=scratch(*centre.shape)).add_(radius)


def multiply_ball(a: Tensor, b: Tensor, b_sup: Tensor, scratch: Scratch, out: Tensor) -> Tensor:
    """Product of balls, with a margin for underflow but not for rounding: |a b − a₀ b₀| ≤ |a₀| r_b + r_a sup|b|."""
    (centre_a, radius_a), (centre_b, radius_b), (centre, radius) = a.unbind(0), b.unbind(0), out.unbind(0)
    torch.mul(centre_a, centre_b, out=centre)
    tiny = centre.new_tensor(torch.finfo(centre.dtype).tiny)
    torch.addcmul(tiny, torch.abs(centre_a, out=scratch(*centre_a.shape)), radius_b, out=radius)
    radius.addcmul_(radius_a, b_sup)
    return out


def add_ball(a: Tensor, b: Tensor, unit: float, scratch: Scratch) -> Tensor:
    """Sum of balls, with a margin for rounding that is relative to the terms, because the centres may cancel.

    The margin also covers the rounding of the products that the terms come from.
    """
    total = torch.add(a, b, out=scratch(*a.shape))
    total[1].add_(ball_sup(a, scratch), alpha=8 * unit).add_(ball_sup(b, scratch), alpha=8 * unit)
    return total
