r"""Affine arithmetic: values as linear functions of the perturbations of the inputs, plus an error.

An affine form is :math:`c + \sum_p G_p \varepsilon_p + e`. The symbols :math:`|\varepsilon_p| \le 1` are common to all
affine forms of a network; the error satisfies :math:`|e| \le r` (Stolfi & de Figueiredo 2003; the zonotopes of Gehr et
al. 2018). There is one symbol for each input entry, and one for each error that `AffineForm.with_error_symbols` makes a
symbol. Affine forms keep, to first order, how two values depend on each other; intervals lose it.

An affine form holds for the network in exact arithmetic and for the network evaluated in the dtype of the weights, each
with errors of its own. `_interval_arithmetic` states what is assumed about rounding.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from ._interval_arithmetic import ACTIVATION, Ends, dot_slack


@dataclass(frozen=True)
class AffineForm:
    """Affine forms of m values for n boxes.

    Attributes
    ----------
    centre, radius : Tensor of shape (m, n)
    terms : Tensor of shape (m, P, n)
        Coefficients of the symbols ``first`` to ``first + P - 1``. All others are zero: earlier symbols belong to
        other values, and later symbols did not exist yet.
    first : int
    """

    centre: Tensor
    terms: Tensor
    radius: Tensor
    first: int = 0

    @property
    def stop(self) -> int:
        """Number of the symbol after the last."""
        return self.first + self.terms.shape[1]

    @property
    def unit(self) -> float:
        """Unit roundoff."""
        return torch.finfo(self.centre.dtype).eps / 2

    @cached_property
    def deviation(self) -> Tensor:
        """Largest distance from the centre, (m, n)."""
        slack = 1 + dot_slack(self.terms.shape[1], self.unit)
        # In pieces: a temporary tensor of the size of all terms would be new memory, which costs more than the sums.
        rows = max(1, _PIECE // max(1, self.terms[0].numel()))
        sums = torch.cat([piece.abs().sum(1) for piece in self.terms.split(rows)])
        return slack * (sums + self.radius)

    @cached_property
    def sup(self) -> Tensor:
        """Largest absolute value, (m, n)."""
        return self.centre.abs() + self.deviation

    def ends(self) -> Ends:
        """The interval of the affine form; infinite after overflow."""
        deviation = self.deviation + 4 * self.unit * self.sup
        lost = ~(self.centre.isfinite() & deviation.isfinite())
        lower, upper = self.centre - deviation, self.centre + deviation
        return Ends(lower.masked_fill_(lost, -torch.inf), upper.masked_fill_(lost, torch.inf))

    def part(self, rows: slice) -> "AffineForm":
        """Some of the m values."""
        part = AffineForm(self.centre[rows], self.terms[rows], self.radius[rows], self.first)
        if "deviation" in self.__dict__:
            part.__dict__["deviation"] = self.deviation[rows]
        return part

    def cleared(self, columns: slice) -> "AffineForm":
        """The same affine form with zero for some boxes; it shares its memory, in which they are zero too."""
        for part in (self.centre, self.terms, self.radius):
            part[..., columns] = 0
        return AffineForm(self.centre, self.terms, self.radius, self.first)

    def with_error_symbols(self, ends: Ends) -> "AffineForm":
        """The same affine form with a new symbol for each value's error, so that errors can cancel later.

        ``ends`` must contain the values. Where they are much narrower than the affine form, they replace it.
        """
        m, n = self.centre.shape
        centre, radius = middle(ends)
        worse = ~((self.deviation <= _FACTOR * radius) & self.centre.isfinite())  # NaN too
        radius = torch.where(worse, radius, self.radius)
        errors = torch.diag_embed(radius.T).permute(1, 2, 0)
        terms = torch.cat((self.terms, errors), dim=1)
        if worse.any():
            terms[:, : self.terms.shape[1]].masked_fill_(worse[:, None], 0)
        return AffineForm(torch.where(worse, centre, self.centre), terms, radius.new_zeros(m, n), self.first)


class Line(NamedTuple):
    """A function close to a line over an interval: ``|f(v) - slope v - shift| <= error``, all of shape (m, n)."""

    slope: Tensor
    shift: Tensor
    error: Tensor

    def part(self, rows: slice) -> "Line":
        """Some of the m functions."""
        return Line(self.slope[rows], self.shift[rows], self.error[rows])


def middle(ends: Ends, margin: float = 0.0) -> tuple[Tensor, Tensor]:
    """Centre and radius of intervals, with the radius enlarged by ``margin``."""
    unit = torch.finfo(ends.lower.dtype).eps / 2
    centre = torch.lerp(ends.lower, ends.upper, 0.5)
    radius = torch.maximum(ends.upper - centre, centre - ends.lower)
    return centre, radius * (1 + 4 * unit) + margin


def intersect(a: Ends, b: Ends) -> Ends:
    """Intersection of two intervals, written to ``a``; NaN stands for no bound."""
    torch.fmax(a.lower, b.lower, out=a.lower)
    torch.fmin(a.upper, b.upper, out=a.upper)
    return a


def affine_map(
    weight_h: Tensor, h: AffineForm, weight_x: Tensor, x: AffineForm, bias: Tensor, slack: float
) -> AffineForm:
    """``weight_h h + weight_x x + bias``, of shapes (rows, H), (rows, d) and (rows,).

    The margin for rounding is ``slack`` times the sum of all magnitudes, and one for underflow.
    """
    rows, n = len(bias), h.centre.shape[1]
    terms = h.terms.new_empty(rows, max(h.stop, x.stop), n)
    terms[:, h.stop :] = 0
    terms[:, : h.first] = 0
    terms[:, h.first : h.stop] = (weight_h @ h.terms.flatten(1)).view(rows, -1, n)
    terms[:, x.first : x.stop] += (weight_x @ x.terms.flatten(1)).view(rows, -1, n)
    centre = weight_h @ h.centre + weight_x @ x.centre + bias[:, None]
    size_h, size_x = weight_h.abs(), weight_x.abs()
    tiny = torch.finfo(centre.dtype).tiny
    rounding = slack * (size_h @ h.sup + size_x @ x.sup + bias.abs()[:, None]) + tiny
    return AffineForm(centre, terms, size_h @ h.radius + size_x @ x.radius + rounding)


def combine(parts: Sequence[tuple[Tensor, AffineForm]], shifts: Sequence[Tensor], error: Tensor) -> AffineForm:
    """Sum of affine forms times factors, and of shifts, with an additional error: all of shape (m, n).

    Factors and shifts may have relative errors of a few units.
    """
    unit = parts[0][1].unit
    n_terms = len(parts) + len(shifts)
    m, n = error.shape
    first, stop = min(form.first for _, form in parts), max(form.stop for _, form in parts)
    terms = error.new_zeros(m, stop - first, n)
    centre, radius, size = torch.zeros_like(error), (1 + 4 * n_terms * unit) * error, torch.zeros_like(error)
    for factor, form in parts:
        terms[:, form.first - first : form.stop - first].addcmul_(factor[:, None], form.terms)
        centre = torch.addcmul(centre, factor, form.centre)
        radius = torch.addcmul(radius, factor.abs(), form.radius)
        size = torch.addcmul(size, factor.abs(), form.sup)
    for shift in shifts:
        centre = centre + shift
        size = size + shift.abs()
    return AffineForm(centre, terms, radius + (n_terms + 12) * unit * size + torch.finfo(size.dtype).tiny, first)


def _logistic_turn(slope: Tensor) -> Tensor:
    return 2 * torch.acosh(0.5 / slope.sqrt())


def _tanh_turn(slope: Tensor) -> Tensor:
    return torch.acosh(1 / slope.sqrt())


_Function = Callable[[Tensor], Tensor]
# Functions, and the point v ≥ 0 such that the slope at v and at −v is the given one; for ReLU the kink.
_FUNCTIONS: dict[str, tuple[_Function, _Function]] = {
    "logistic": (torch.sigmoid, _logistic_turn),
    "tanh": (torch.tanh, _tanh_turn),
    "relu": (torch.relu, torch.zeros_like),
}
_NARROW = 1e-6
_PIECE = 2**15
_FACTOR = 10.0  # an affine form that is wider than the interval by this factor is replaced by it


def _slope(name: str, v: Tensor, value: Tensor) -> Tensor:
    if name == "relu":
        return torch.heaviside(v, v.new_tensor(0.5))
    return value * (1 - value) if name == "logistic" else 1 - value.square()


def linear_relaxation(name: str, ends: Ends) -> Line:
    r"""A line close to the function over intervals, and a bound on the distance.

    The slope λ is that of the secant. The remainder f(v) − λ v has its extremes at the ends or where f′ = λ, which are
    at most two points ±v. Its range is computed there, in float64. The middle of the range is the shift of the line;
    half the range is the error. This holds for every slope, so the rounding of λ does not matter, and an error of v
    enters squared.
    """
    function, turn = _FUNCTIONS[name]
    dtype = ends.lower.dtype
    unit = torch.finfo(dtype).eps / 2
    lower, upper = (end.double() for end in ends)
    low, high = function(lower), function(upper)
    width = upper - lower
    tangent = (_slope(name, lower, low) + _slope(name, upper, high)) / 2
    wide = width > _NARROW
    slope = torch.where(wide, (high - low) / torch.where(wide, width, 1), tangent).clamp(0, 1).to(dtype)
    turning = turn(slope.double()).nan_to_num(nan=0.0, posinf=torch.inf)  # NaN: no such point, or the point 0
    points = torch.stack((lower, upper, *(torch.clamp(v, lower, upper) for v in (turning, -turning))))
    rest = function(points) - slope.double() * points
    least, most = rest.amin(0), rest.amax(0)
    # The activation has an error of ACTIVATION units, in the network and here; the other rounding errors are relative.
    size = slope * torch.maximum(lower.abs(), upper.abs()) + most.abs() + least.abs()
    error = (most - least) / 2 + (0 if name == "relu" else 2 * ACTIVATION * unit) + 6 * unit * size
    line = Line(slope, ((most + least) / 2).to(dtype), error.to(dtype))
    return line._replace(error=line.error.nan_to_num(nan=torch.inf, posinf=torch.inf))
