r"""Affine forms: values as linear functions of the inputs' perturbations, plus an error.

A form stands for :math:`c + \sum_p G_p \varepsilon_p + e` with :math:`|\varepsilon_p| \le 1` shared by all forms of a
network, one for each input entry, and :math:`|e| \le r` (Stolfi & de Figueiredo 2003; the zonotopes of Gehr et al.
2018, with all later errors lumped together). What intervals lose, that two values move together, forms keep to first
order.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from ._arithmetic import ACTIVATION, Ends, dot_slack

__all__ = ["Form", "add", "concatenate", "multiply", "relax"]


class Form(NamedTuple):
    """Affine forms of m values for n boxes.

    Attributes
    ----------
    centre, radius : Tensor of shape (m, n)
    terms : Tensor of shape (m, P, n)
        Of the first P input entries; later ones have not been seen yet.
    """

    centre: Tensor
    terms: Tensor
    radius: Tensor

    @property
    def unit(self) -> float:
        """Unit roundoff."""
        return torch.finfo(self.centre.dtype).eps / 2

    def deviation(self) -> Tensor:
        """Largest distance from the centre, (m, n)."""
        slack = 1 + dot_slack(self.terms.shape[1], self.unit)
        return slack * (torch.linalg.vector_norm(self.terms, 1, dim=1) + self.radius)

    def ends(self) -> Ends:
        """The interval of the form."""
        deviation = self.deviation() + 4 * self.unit * self.centre.abs()
        return Ends(self.centre - deviation, self.centre + deviation)

    def part(self, index: slice) -> "Form":
        """Some of the m values."""
        return Form(self.centre[index], self.terms[index], self.radius[index])

    def widened(self, margin: Tensor | float) -> "Form":
        """The same with a larger error."""
        return self._replace(radius=self.radius + margin)

    def scaled(self, factor: Tensor, shift: Tensor | float = 0.0) -> "Form":
        """``factor`` times the form, plus ``shift``, both of shape (m, n)."""
        centre, terms = factor * self.centre + shift, factor[:, None] * self.terms
        rounding = 4 * self.unit * ((factor * self.centre).abs() + factor.abs() * self.deviation() + centre.abs())
        return Form(centre, terms, factor.abs() * self.radius + rounding)


def concatenate(forms: list[Form]) -> Form:
    """Values of several forms as one."""
    return Form(*(torch.cat(parts) for parts in zip(*forms, strict=True)))


def add(a: Form, b: Form) -> Form:
    """Sum."""
    centre = a.centre + b.centre
    rounding = 4 * a.unit * (centre.abs() + a.deviation() + b.deviation())
    return Form(centre, a.terms + b.terms, a.radius + b.radius + rounding)


def multiply(a: Form, b: Form, range_a: Ends, range_b: Ends) -> Form:
    """Product of forms that are known to stay in the given ranges: a b = a₀ b + b₀ a − a₀ b₀ + (a − a₀)(b − b₀)."""
    away = [
        torch.maximum(ends.upper - form.centre, form.centre - ends.lower).clamp_min(0)
        for form, ends in ((a, range_a), (b, range_b))
    ]
    linear = add(b.scaled(a.centre), a.scaled(b.centre, -a.centre * b.centre))
    rounding = 8 * a.unit * (a.centre.abs() + away[0]) * (b.centre.abs() + away[1])
    return linear.widened(away[0] * away[1] + rounding)


def _logistic(v: Tensor) -> tuple[Tensor, Tensor]:
    value = torch.sigmoid(v)
    return value, value * torch.sigmoid(-v)


def _tanh(v: Tensor) -> tuple[Tensor, Tensor]:
    value = torch.tanh(v)
    return value, 1 / torch.cosh(v.clamp(-300, 300)) ** 2


def _relu(v: Tensor) -> tuple[Tensor, Tensor]:
    return v.clamp_min(0), (v > 0).to(v.dtype)


# Functions with their slopes, and where the slope takes a given value.
_FUNCTIONS = {
    "logistic": (_logistic, lambda slope: torch.logit(0.5 + (0.25 - slope).clamp(0, 0.25).sqrt())),
    "tanh": (_tanh, lambda slope: torch.atanh((1 - slope).clamp(0, 1).sqrt())),
    "relu": (_relu, torch.zeros_like),  # the kink
}


def relax(form: Form, name: str, bounds: Ends) -> Form:
    """The function of a form that is known to stay in the given range.

    The slope is that of the secant. What is left, f(v) − λ v, is extreme at the ends or where f′ = λ, which is at
    most at two points ±v: evaluated there, in float64, its range is found and halved.
    """
    function, where = _FUNCTIONS[name]
    lower, upper = (end.double() for end in bounds)
    (low, slope_low), (high, slope_high) = function(lower), function(upper)
    width = upper - lower
    # Nothing depends on the slope being the secant's: any λ has its own remainder.
    wide = width > 1e-6
    slope = torch.where(wide, (high - low) / torch.where(wide, width, 1), (slope_low + slope_high) / 2)
    slope = slope.to(form.centre.dtype).double()
    turn = where(slope).nan_to_num(nan=0.0, posinf=1e300, neginf=-1e300)
    points = torch.stack((lower, upper, turn.clamp(lower, upper), (-turn).clamp(lower, upper)))
    rest = function(points)[0] - slope * points
    least, most = rest.amin(0), rest.amax(0)
    dtype, unit = form.centre.dtype, form.unit
    remainder = ((most - least) / 2).to(dtype) * (1 + 4 * unit)
    # The activation itself, and the numbers above in float64, which are far better.
    rounding = 2 * ACTIVATION * unit if name != "relu" else 0.0
    magnitude = (slope.abs() * torch.maximum(upper.abs(), lower.abs()) + most.abs() + least.abs()).to(dtype)
    shift = ((most + least) / 2).to(dtype)
    return form.scaled(slope.to(dtype), shift).widened(remainder + rounding + 4 * unit * magnitude)
