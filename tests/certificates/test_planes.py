"""Planes against points: whatever the arguments are, values must lie between them."""

import pytest
import torch

from sklstm.certificates._interval_arithmetic import ACTIVATION, Ends
from sklstm.certificates._planes import (
    gated,
    hull,
    intersect,
    linear_relaxation,
    parallel,
    parallel_ramp,
    point,
    ramp,
)

N, POINTS = 60, 400
SINGLE, DOUBLE = 2.0**-24, 2.0**-53
FUNCTIONS = {"logistic": torch.sigmoid, "tanh": torch.tanh}


def intervals(generator, m=6):
    """From points to wide ones, on both sides of zero, and saturated ones."""
    centre = 4 * torch.randn(m, N, generator=generator, dtype=torch.float64)
    radius = 10 ** (3.5 * torch.rand(m, N, generator=generator, dtype=torch.float64) - 3)
    radius[:, :4] = 0
    return Ends(centre - radius, centre + radius)


def within(ends, generator):
    """(POINTS, m, n): the ends, and points between them."""
    share = torch.rand(POINTS, *ends.lower.shape, generator=generator, dtype=torch.float64)
    share[0], share[1] = 0, 1
    return ends.lower + share * (ends.upper - ends.lower)


def between(planes, value, net, at_value, at_net, y, at_y):
    """By how much the planes leave room above and below values, and their distance."""
    by_net = net - at_net
    middle = at_y + planes.by_value * (value - at_value) + planes.by_net * by_net + planes.shift
    half = planes.by_net_apart * by_net + planes.apart
    return middle + half - y, y - (middle - half), half


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("unit", [SINGLE, DOUBLE])
def test_a_line_is_as_close_as_it_says_and_no_line_of_its_slope_is_closer(name, unit, generator):
    ends = intervals(generator)
    line = linear_relaxation(name, ends, unit)
    points = within(ends, generator)
    rest = FUNCTIONS[name](points) - line.slope * points - line.shift
    margin = ACTIVATION * unit
    assert (rest.abs() <= line.error).all()
    # Of the remainder's range, the points find nearly all.
    assert ((rest.amax(0) - rest.amin(0)) / 2 >= 0.98 * (line.error - 2 * margin) - 1e-12).all()
    values = FUNCTIONS[name](points)
    assert ((values >= line.range.lower + margin / 2) & (values <= line.range.upper - margin / 2)).all()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_error_of_a_line_falls_with_the_square_of_the_width(name):
    centre = torch.linspace(-3, 3, 25, dtype=torch.float64)[None]
    errors = []
    for radius in (0.02, 0.01):
        errors.append(linear_relaxation(name, Ends(centre - radius, centre + radius), 0.0).error)
    curved = errors[0] > errors[0].max() / 20  # not where the curvature changes sign
    assert curved.sum() > 12
    torch.testing.assert_close(
        (errors[0] / errors[1])[curved], torch.full_like(errors[0], 4.0)[curved], rtol=0.05, atol=0
    )


def test_unbounded_intervals_have_an_infinite_error():
    line = linear_relaxation("tanh", Ends(torch.tensor([[-torch.inf]]), torch.tensor([[torch.inf]])), SINGLE)
    assert line.error.item() == torch.inf
    assert (line.range.lower.item(), line.range.upper.item()) == pytest.approx((-1, 1), abs=1e-6)


@pytest.mark.parametrize("around", [gated, parallel])
@pytest.mark.parametrize("of_value", [False, True])
def test_products_lie_between_their_planes(of_value, around, generator):
    nets, values = intervals(generator), intervals(generator)
    gate = linear_relaxation("logistic", nets, DOUBLE)
    function = linear_relaxation("tanh", values, DOUBLE) if of_value else None
    net, value = within(nets, generator), within(values, generator)
    at_net, at_value = net[5], value[6]
    at = point(at_net, nets), point(at_value, values)
    planes = around(gate, at[0], values, at[1], DOUBLE, function)
    inner = torch.tanh if of_value else torch.nn.Identity()
    at_y = torch.sigmoid(at_net) * inner(at_value)
    # `gated` has the constants of the product itself: those of the deviation are less by its value at the reference.
    planes = planes._replace(shift=planes.shift - at_y)
    y = torch.sigmoid(net) * inner(value)
    above, below, half = between(planes, value, net, at_value, at_net, y, at_y)
    assert (above >= 0).all()
    assert (below >= 0).all()
    enclosing = hull(gate.range, values if function is None else function.range)
    assert ((y >= enclosing.lower) & (y <= enclosing.upper)).all()
    if around is parallel:
        assert not planes.by_net_apart.any()
    elif not of_value:
        # McCormick's planes of a and w touch at corners; the gate's line adds at most twice its error.
        closest = torch.minimum(above, below).amin(0)
        assert (closest <= 2 * gate.error * torch.maximum(values.upper.abs(), values.lower.abs()) + 1e-9).all()
    assert (half[:, :, :4].abs() < 1e-9).all()  # boxes of one point


def test_the_value_is_passed_on_with_the_smallest_gate(generator):
    nets, values = intervals(generator), intervals(generator)
    middles = [(ends.lower + ends.upper) / 2 for ends in (nets, values)]
    planes = gated(
        linear_relaxation("logistic", nets, DOUBLE), point(middles[0], nets), values, point(middles[1], values), DOUBLE
    )
    torch.testing.assert_close(planes.by_value, torch.sigmoid(nets.lower), rtol=0, atol=1e-14)


def test_parallel_planes_around_a_product_are_apart_by_the_product_of_the_radii(generator):
    nets, values = intervals(generator), intervals(generator)
    gate = linear_relaxation("logistic", nets, DOUBLE)._replace(error=torch.zeros_like(nets.lower))
    at = [point((ends.lower + ends.upper) / 2, ends) for ends in (nets, values)]
    planes = parallel(gate, at[0], values, at[1], DOUBLE)
    radius = (gate.range.upper - gate.range.lower) / 2
    torch.testing.assert_close(planes.by_value, (gate.range.upper + gate.range.lower) / 2, rtol=0, atol=1e-14)
    torch.testing.assert_close(planes.apart, radius * (values.upper - values.lower) / 2, rtol=0, atol=1e-9)


def test_a_ramp_lies_between_parallel_planes_that_touch_it(generator):
    nets = intervals(generator)
    net = within(nets, generator)
    at = net[7]
    planes = parallel_ramp(nets, point(at, nets), DOUBLE)
    assert not planes.by_net_apart.any()
    above, below, _ = between(planes, 0, net, 0, at, net.clamp_min(0), at.clamp_min(0))
    assert (above >= 0).all()
    assert (below >= 0).all()
    turns = (nets.lower < 0) & (nets.upper > 0)
    for end, of in ((nets.lower, above), (nets.upper, above), (torch.zeros_like(at), below)):
        there = planes.by_net * (end - at) + planes.shift + at.clamp_min(0)
        touching = there + planes.apart if of is above else there - planes.apart
        torch.testing.assert_close(touching[turns], end.clamp_min(0)[turns], rtol=0, atol=1e-9)


def test_a_ramp_lies_between_its_planes_and_the_lower_one_is_the_nearer(generator):
    nets = intervals(generator)
    net = within(nets, generator)
    at = net[7]
    planes = ramp(nets, point(at, nets), DOUBLE)
    y = net.clamp_min(0)
    above, below, _ = between(planes, 0, net, 0, at, y, at.clamp_min(0))
    assert (above >= 0).all()
    assert (below >= 0).all()
    turns = (nets.lower < 0) & (nets.upper > 0)
    assert turns.sum() > 10
    assert (torch.maximum(above, below).amax(0)[~turns] < 1e-9).all()  # linear there
    slope = planes.by_net - planes.by_net_apart
    assert ((slope == 0) | (slope == 1))[turns].all()
    # The area between the ReLU and the line through 0 is u²/2 with slope 0, and l²/2 with slope 1.
    assert ((slope == 1) == (nets.upper > -nets.lower))[turns].all()


def test_an_intersection_ignores_what_is_not_a_number():
    a, b = (
        Ends(*torch.tensor(ends)[:, None])
        for ends in ([[-1.0, torch.nan], [1.0, 2.0]], [[0.0, -3.0], [torch.nan, 1.0]])
    )
    found = intersect(a, b)
    assert found.lower.tolist() == [[0.0, -3.0]]
    assert found.upper.tolist() == [[1.0, 1.0]]
