"""Affine forms against points: whatever the symbols and errors are, values must lie within."""

import pytest
import torch

from sklstm.certificates._affine import AffineForm, affine_map, combine, intersect, linear_relaxation, middle
from sklstm.certificates._interval_arithmetic import Ends, dot_slack

M, P, N = 6, 5, 40
FUNCTIONS = {"logistic": torch.sigmoid, "tanh": torch.tanh, "relu": torch.relu}


def random_form(generator, m=M, first=0, dtype=torch.float64):
    centre, radius = torch.randn(2, m, N, generator=generator, dtype=torch.float64)
    terms = torch.randn(m, P, N, generator=generator, dtype=torch.float64)
    return AffineForm(centre.to(dtype), terms.to(dtype), radius.abs().to(dtype), first)


def noise(generator, *shape):
    """Anywhere in [-1, 1], or at the ends."""
    inside = 2 * torch.rand(*shape, generator=generator, dtype=torch.float64) - 1
    return torch.where(torch.rand(*shape, generator=generator) < 0.5, inside, inside.sign())


def value(form, symbols, error):
    """A point of the form in float64; symbols (P', n), error (m, n) in [-1, 1]."""
    linear = (form.terms.double() * symbols[form.first : form.stop]).sum(1)
    return form.centre.double() + linear + form.radius.double() * error


def left(form, points, symbols):
    """What the error of the form must account for, relative to it."""
    rest = (points - value(form, symbols, torch.zeros(()))).abs()
    return (rest / form.radius.double().clamp_min(1e-300)).max().item()


def test_ends_are_reached_but_not_left(generator):
    form = random_form(generator)
    lower, upper = form.ends()
    for _ in range(50):
        points = value(form, noise(generator, P, N), noise(generator, M, N))
        assert ((points >= lower) & (points <= upper)).all()
    for m in range(M):
        highest = value(form, form.terms[m].sign(), torch.ones(M, N, dtype=torch.float64))[m]
        torch.testing.assert_close(highest, upper[m], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_affine_maps_and_sums_contain_those_of_their_points(dtype, generator):
    a, b = random_form(generator, dtype=dtype), random_form(generator, first=3, dtype=dtype)
    weight_a, weight_b = torch.randn(2, 4, M, generator=generator, dtype=torch.float64).to(dtype)
    bias = torch.randn(4, generator=generator, dtype=torch.float64).to(dtype)
    image = affine_map(weight_a, a, weight_b, b, bias, dot_slack(2 * M, a.unit))
    factors = torch.randn(2, M, N, generator=generator, dtype=torch.float64).to(dtype)
    shifts = torch.randn(2, M, N, generator=generator, dtype=torch.float64).to(dtype)
    total = combine(list(zip(factors, (a, b), strict=True)), list(shifts), torch.zeros(M, N, dtype=dtype))
    assert image.stop == total.stop == 3 + P
    for _ in range(50):
        symbols = noise(generator, 3 + P, N)
        x, y = (value(form, symbols, noise(generator, M, N)) for form in (a, b))
        linear = weight_a.double() @ x + weight_b.double() @ y + bias.double()[:, None]
        assert left(image, linear, symbols) <= 1
        summed = (factors.double() * torch.stack((x, y))).sum(0) + shifts.double().sum(0)
        assert left(total, summed, symbols) <= 1


def test_rounding_is_accounted_for_where_there_is_no_other_error(generator):
    a, b = (random_form(generator, dtype=torch.float32) for _ in range(2))
    a, b = (AffineForm(form.centre, form.terms, torch.zeros_like(form.radius)) for form in (a, b))
    factors = torch.randn(2, M, N, generator=generator)
    total = combine([(factors[0], a), (factors[1], b)], [-factors[0] * a.centre], torch.zeros(M, N))
    assert (total.radius < 1e-4).all()
    for _ in range(50):
        symbols = noise(generator, P, N)
        x, y = (value(form, symbols, torch.zeros(())) for form in (a, b))
        exact = factors[0].double() * (x - a.centre.double()) + factors[1].double() * y
        assert left(total, exact, symbols) <= 1


def test_errors_that_are_kept_cancel(generator):
    form = random_form(generator)
    kept = form.with_error_symbols(form.ends())
    assert kept.stop == P + M
    torch.testing.assert_close(kept.deviation, form.deviation, rtol=1e-12, atol=0)
    one = torch.ones(M, N, dtype=torch.float64)
    for width, kind in ((1e-10, kept), (1.0, form)):
        difference = combine([(one, kind), (-one, kind)], [], 0 * one)
        assert ((difference.deviation < 1e-10) == (width < 1)).all()


def test_of_a_form_far_wider_than_what_is_known_only_that_is_kept(generator):
    form = random_form(generator)
    form.terms[0] *= 1e6
    form.centre[1, 0] = torch.nan
    form.radius[2, 0] = torch.inf
    lower = form.centre.nan_to_num() - 3
    kept = form.with_error_symbols(Ends(lower, lower + 6))
    assert kept.terms.isfinite().all()
    torch.testing.assert_close(kept.deviation[0], torch.full((N,), 3.0, dtype=torch.float64))
    for row in (1, 2):
        assert kept.deviation[row, 0] == pytest.approx(3)
        assert kept.centre[row, 0] == pytest.approx(lower[row, 0] + 3)
    assert torch.equal(kept.terms[3:, :P], form.terms[3:])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_stay_within_the_error_of_their_lines(name, dtype, generator):
    scale = 10 ** (8 * torch.rand(2000, generator=generator) - 5)
    centre = 8 * torch.randn(2000, generator=generator) * torch.rand(2000, generator=generator).square()
    ends = Ends((centre - scale).to(dtype), (centre + scale * torch.rand(2000, generator=generator)).to(dtype))
    line = linear_relaxation(name, ends)
    lower, upper = (end.double() for end in ends)
    share = torch.linspace(0, 1, 4001, dtype=torch.float64)[:, None]
    points = lower + share * (upper - lower)
    points = torch.cat((points, torch.linspace(-40, 40, 4001, dtype=torch.float64)[:, None].clamp(lower, upper)))
    rest = (FUNCTIONS[name](points) - line.slope.double() * points - line.shift.double()).abs().amax(0)
    assert (rest <= line.error.double()).all()
    # And no more than that, but for rounding.
    unit = torch.finfo(dtype).eps / 2
    assert (line.error - rest <= 1e-3 * line.error + 40 * unit * (1 + lower.abs() + upper.abs())).all()


@pytest.mark.parametrize("name", ["logistic", "tanh"])
def test_lines_over_huge_and_infinite_intervals(name):
    ends = Ends(torch.tensor([-1e30, -1e4, -torch.inf, 1.0]), torch.tensor([1e30, 1e30, torch.inf, torch.nan]))
    line = linear_relaxation(name, ends)
    points = torch.linspace(-300, 300, 10001, dtype=torch.float64)[:, None]
    rest = (FUNCTIONS[name](points) - line.slope.double() * points - line.shift.double()).abs()
    assert (rest[:, :2] <= line.error[:2]).all()
    assert (line.error[:2] < 1.1).all()
    assert (line.error[2:] == torch.inf).all()


def test_the_remainder_of_a_product_is_that_of_distances_from_the_middle(generator):
    a, b = random_form(generator), random_form(generator)
    (alpha, away_a), (beta, away_b) = (middle(form.ends()) for form in (a, b))
    product = combine([(alpha, b), (beta, a)], [-alpha * beta], away_a * away_b)
    for _ in range(50):
        symbols = noise(generator, P, N)
        x, y = (value(form, symbols, noise(generator, M, N)) for form in (a, b))
        assert left(product, x * y, symbols) <= 1


def test_what_is_not_a_number_narrows_nothing():
    nan = torch.tensor([torch.nan, 0.5])
    a = intersect(Ends(torch.tensor([0.0, 0.0]), torch.tensor([1.0, 1.0])), Ends(nan, nan + 0.1))
    assert torch.equal(a.lower, torch.tensor([0.0, 0.5]))
    assert torch.equal(a.upper, torch.tensor([1.0, 0.6]))
    form = AffineForm(torch.tensor([[torch.inf]]), torch.zeros(1, 2, 1), torch.zeros(1, 1))
    assert form.ends() == Ends(torch.tensor([[-torch.inf]]), torch.tensor([[torch.inf]]))
