r"""Planes above and below the functions of a cell, over intervals of their arguments.

An activation lies between two parallel lines. A product of a gate a and a value w lies between two planes. They start
from the smallest gate :math:`\underline a` (one of the two pairs of McCormick 1976):

.. math:: \underline a\, w + (a - \underline a)\, \underline w \;\le\; a w \;\le\;
    \underline a\, w + (a - \underline a)\, \overline w .

The value is multiplied by the smallest factor, so that errors of a state grow least from step to step.

Consider a bound on :math:`\sum_j c_j y_j`. For every value :math:`y_j` it uses the upper plane where :math:`c_j > 0`
and the lower one where :math:`c_j < 0`. With the mean m of two slopes and half their difference d, this is
:math:`c_j m + \lvert c_j \rvert d` for both signs.

Two *parallel* planes have the middles of the intervals as factors, :math:`a^* w + w^* (a - a^*) \pm r_a r_w` with the
radii :math:`r`. Both signs of :math:`c_j` then have the same coefficients, and upper and lower bounds are found
together, for a quarter of the arithmetic. Errors grow a little faster from step to step.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ._interval_arithmetic import ACTIVATION, Ends

DOUBLE = 2.0**-53  # unit roundoff of float64, in which all planes are computed
_ROUNDINGS = 16  # of a number here, and of a coefficient when it enters a sum


class Line(NamedTuple):
    """A function close to a line over an interval: ``|f(v) - slope v - shift| <= error``; its range. All (m, n)."""

    slope: Tensor
    shift: Tensor
    error: Tensor
    range: Ends

    def part(self, rows: slice) -> "Line":
        """Some of the m functions."""
        return Line(self.slope[rows], self.shift[rows], self.error[rows], self.range.part(rows))


class Planes(NamedTuple):
    """Two planes around values, as functions of deviations from a point; all of shape (m, n).

    ``|y - y0 - by_value (w - w0) - by_net (u - u0) - shift| <= by_net_apart (u - u0) + apart``.

    Attributes
    ----------
    by_value : Tensor
        Slope of both planes for the value.
    by_net, by_net_apart : Tensor
        Mean of the slopes for the pre-activation of the gate, and half their difference.
    shift, apart : Tensor
        The same for the constants.
    """

    by_value: Tensor
    by_net: Tensor
    by_net_apart: Tensor
    shift: Tensor
    apart: Tensor


class Point(NamedTuple):
    """The value at the centre of the box, its largest distance from there, and its rounding error: (m, n) each.

    The last is for pre-activations, in the network and in their substitution.
    """

    at: Tensor
    away: Tensor
    rounding: Tensor | float = 0.0

    def part(self, rows: slice) -> "Point":
        """Some of the m values."""
        rounding = self.rounding[rows] if isinstance(self.rounding, Tensor) else self.rounding
        return Point(self.at[rows], self.away[rows], rounding)


def intersect(a: Ends, b: Ends) -> Ends:
    """Intersection of two intervals, written to ``a``; NaN stands for no bound."""
    torch.fmax(a.lower, b.lower, out=a.lower)
    torch.fmin(a.upper, b.upper, out=a.upper)
    return a


def hull(gate: Ends, values: Ends) -> Ends:
    """Interval of the product of a gate, which is nowhere below 0, and a value."""
    least = gate.lower.clamp_min(0)
    lower = torch.minimum(least * values.lower, gate.upper * values.lower)
    return Ends(lower, torch.maximum(least * values.upper, gate.upper * values.upper))


def largest(ends: Ends) -> Tensor:
    """Largest absolute value in each interval."""
    return torch.maximum(ends.upper, -ends.lower)


def point(at: Tensor, ends: Ends, rounding: Tensor | float = 0.0) -> Point:
    """A value at some point of its interval."""
    return Point(at, torch.maximum(ends.upper - at, at - ends.lower).clamp_min(0), rounding)


def inexact(slope: Tensor, value: Point, unit: float) -> Tensor:
    """Effect of the rounding of a coefficient, and of its factor."""
    return slope * (_ROUNDINGS * unit * value.away + value.rounding)


def gated(gate: Line, net: Point, values: Ends, value: Point, unit: float, of_value: Line | None = None) -> Planes:
    """Planes around the product of a gate and a value: for the product itself, y0 = 0 in `Planes`.

    Parameters
    ----------
    gate : Line
        The gate as a function of its pre-activation ``net``. It is nowhere below 0.
    net, value : Point
    values : Ends
        Interval of the value.
    unit : float
        Unit roundoff of the network.
    of_value : Line, optional
        The second factor, if it is a function of the value.
    """
    low = gate.range.lower.clamp_min(0)
    inner = values if of_value is None else of_value.range
    centre, radius = (inner.lower + inner.upper) / 2, (inner.upper - inner.lower) / 2
    upper, lower = inner.upper.abs(), inner.lower.abs()
    # The gate's line minus its smallest value, times the smallest and the largest factor.
    rest = torch.addcmul(gate.shift - low, gate.slope, net.at)
    shift = torch.addcmul(centre * rest, (upper - lower) / 2, gate.error)
    apart = torch.addcmul(radius * rest, (upper + lower) / 2, gate.error)
    return _with_value(low, gate, net, inner, value, unit, of_value, radius * gate.slope, shift, apart)


def parallel(gate: Line, net: Point, values: Ends, value: Point, unit: float, of_value: Line | None = None) -> Planes:
    """Parallel planes around the same product; arguments as in `gated`."""
    low, high = gate.range.lower.clamp_min(0), gate.range.upper
    inner = values if of_value is None else of_value.range
    centre, radius = (inner.lower + inner.upper) / 2, (inner.upper - inner.lower) / 2
    middle = (low + high) / 2
    shift = centre * torch.addcmul(gate.shift - middle, gate.slope, net.at)
    apart = torch.addcmul(centre.abs() * gate.error, radius, (high - low) / 2)
    return _with_value(middle, gate, net, inner, value, unit, of_value, torch.zeros_like(middle), shift, apart)


def _with_value(
    factor: Tensor,
    gate: Line,
    net: Point,
    inner: Ends,
    value: Point,
    unit: float,
    of_value: Line | None,
    by_net_apart: Tensor,
    shift: Tensor,
    apart: Tensor,
) -> Planes:
    """Add the part of the value, which is multiplied by a factor, and all rounding."""
    by_value = factor if of_value is None else factor * of_value.slope
    shift = torch.addcmul(shift, by_value, value.at)
    if of_value is not None:
        shift = torch.addcmul(shift, factor, of_value.shift)
        apart = torch.addcmul(apart, factor, of_value.error)
    most = largest(inner)
    size = by_value * value.at.abs() + 4 * most * (1 + gate.slope * net.at.abs()) + 4
    apart = apart + 2 * inexact(most * gate.slope, net, unit) + inexact(by_value, value, unit)
    centre = (inner.lower + inner.upper) / 2
    return Planes(by_value, centre * gate.slope, by_net_apart, shift, apart + _ROUNDINGS * DOUBLE * size)


def ramp(net: Ends, at: Point, unit: float) -> Planes:
    """Planes around the ReLU of a pre-activation: the secant, and the nearer line through 0 of slope 0 or 1."""
    turns = (net.lower < 0) & (net.upper > 0)
    upper_slope = torch.where(turns, net.upper / (net.upper - net.lower), (net.lower >= 0).double())
    lower_slope = torch.where(turns, (net.upper + net.lower > 0).double(), upper_slope)
    # At the reference; the secant is 0 at the lower end.
    upper = torch.where(turns, upper_slope * (at.at - net.lower), upper_slope * at.at)
    lower, value = lower_slope * at.at, at.at.clamp_min(0)
    size = 2 * at.at.abs() + torch.where(turns, net.lower.abs(), 0.0)
    steepest = torch.maximum(upper_slope, lower_slope)
    apart = (upper - lower) / 2 + inexact(steepest, at, unit) + _ROUNDINGS * DOUBLE * size
    mean, half = (upper_slope + lower_slope) / 2, (upper_slope - lower_slope) / 2
    return Planes(torch.zeros_like(mean), mean, half, (upper + lower) / 2 - value, apart)


def parallel_ramp(net: Ends, at: Point, unit: float) -> Planes:
    """Parallel planes around the ReLU of a pre-activation: the secant, and the line of its slope through 0."""
    turns = (net.lower < 0) & (net.upper > 0)
    slope = torch.where(turns, net.upper / (net.upper - net.lower), (net.lower >= 0).double())
    half = torch.where(turns, -slope * net.lower / 2, 0.0)  # of the distance of the two
    size = 2 * at.at.abs() + torch.where(turns, net.lower.abs(), 0.0)
    apart = half + inexact(slope, at, unit) + _ROUNDINGS * DOUBLE * size
    zero = torch.zeros_like(slope)
    return Planes(zero, slope, zero, slope * at.at + half - at.at.clamp_min(0), apart)


def _logistic_turn(slope: Tensor) -> Tensor:
    return 2 * torch.acosh(0.5 / slope.sqrt())


def _tanh_turn(slope: Tensor) -> Tensor:
    return torch.acosh(1 / slope.sqrt())


_Function = Callable[[Tensor], Tensor]
# Functions, and the point v ≥ 0 such that the slope at v and at −v is the given one.
_FUNCTIONS: dict[str, tuple[_Function, _Function]] = {
    "logistic": (torch.sigmoid, _logistic_turn),
    "tanh": (torch.tanh, _tanh_turn),
}
_NARROW = 1e-6


def _slope(name: str, v: Tensor, value: Tensor) -> Tensor:
    return value * (1 - value) if name == "logistic" else 1 - value.square()


def linear_relaxation(name: str, ends: Ends, unit: float) -> Line:
    r"""A line close to the function over intervals, and a bound on the distance, in float64.

    The slope λ is that of the secant. The remainder f(v) − λ v has its extremes at the ends or where f′ = λ, which are
    at most two points ±v. Its range is computed there. The middle of the range is the shift of the line; half the range
    is the error. This holds for every slope, so the rounding of λ does not matter, and an error of v enters squared.

    ``unit`` is the unit roundoff of the network, whose activations have an error too.
    """
    function, turn = _FUNCTIONS[name]
    lower, upper = (end.double() for end in ends)
    low, high = function(lower), function(upper)
    width = upper - lower
    tangent = (_slope(name, lower, low) + _slope(name, upper, high)) / 2
    wide = width > _NARROW
    slope = torch.where(wide, (high - low) / torch.where(wide, width, 1), tangent).clamp(0, 1)
    turning = turn(slope).nan_to_num(nan=0.0, posinf=torch.inf)  # NaN: no such point, or the point 0
    points = torch.stack((lower, upper, *(torch.clamp(v, lower, upper) for v in (turning, -turning))))
    rest = function(points) - slope * points
    least, most = rest.amin(0), rest.amax(0)
    inexact = ACTIVATION * (unit + DOUBLE)
    size = slope * largest(Ends(lower, upper)) + most.abs() + least.abs()
    error = ((most - least) / 2 + inexact + 6 * DOUBLE * size).nan_to_num(nan=torch.inf, posinf=torch.inf)
    return Line(slope, (most + least) / 2, error, Ends(low - inexact, high + inexact))
