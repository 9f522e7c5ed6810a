"""The arithmetic under the certificates: ranges against dense samples, and what rounding is assumed to be."""

import pytest
import torch
from torch import nn

from sklstm.certificates._interval_arithmetic import (
    ACTIVATION,
    Ends,
    Scratch,
    add_ball,
    dot_slack,
    hull_nonnegative,
    logistic_slope,
    multiply_ball,
    sup,
    tanh_slope,
    to_ball,
)

UNIT = 2.0**-24


@pytest.fixture
def scratch():
    return Scratch(torch.zeros((), dtype=torch.float64))


def random_ends(generator, n=200, low=-1.0, high=1.0):
    ends = low + (high - low) * torch.rand(2, n, generator=generator, dtype=torch.float64)
    return Ends(ends.amin(0), ends.amax(0))


def samples(ends, n=401):
    share = torch.linspace(0, 1, n, dtype=torch.float64)[:, None]
    return ends.lower + share * (ends.upper - ends.lower)


@pytest.mark.parametrize("slope", [logistic_slope, tanh_slope])
def test_slopes_are_the_range_of_the_derivative(slope, generator, scratch):
    values = random_ends(generator, low=0.0 if slope is logistic_slope else -1.0)
    inside = samples(values)
    derivative = inside * (1 - inside) if slope is logistic_slope else 1 - inside**2
    found = slope(values, scratch)
    torch.testing.assert_close(found.lower, derivative.amin(0), rtol=0, atol=1e-5)
    torch.testing.assert_close(found.upper, derivative.amax(0), rtol=0, atol=1e-5)
    assert (found.lower <= derivative.amin(0) + 1e-15).all()
    assert (found.upper >= derivative.amax(0) - 1e-15).all()


def test_products_are_the_extremes_of_the_corners(generator, scratch):
    factor, ends = random_ends(generator, low=0.0), random_ends(generator)
    corners = torch.stack([f * e for f in factor for e in ends])
    found = hull_nonnegative(factor, ends, scratch)
    assert torch.equal(found.lower, corners.amin(0))
    assert torch.equal(found.upper, corners.amax(0))
    assert torch.equal(sup(ends, scratch), torch.stack(ends).abs().amax(0))


def test_products_and_sums_of_balls_contain_those_of_their_points(generator, scratch):
    shape = (300,)
    a, b = torch.randn(2, 2, *shape, generator=generator, dtype=torch.float64)
    a[1].abs_()
    b[1].abs_()
    product = multiply_ball(a, b, b[0].abs() + b[1], scratch, torch.empty_like(a))
    total = add_ball(a, b, 2.0**-53, scratch)
    # The largest absolute value of the product is exact: nothing is lost where it counts.
    torch.testing.assert_close(
        product[0].abs() + product[1], (a[0].abs() + a[1]) * (b[0].abs() + b[1]), rtol=1e-14, atol=0
    )
    for _ in range(50):
        x, y = (ball[0] + ball[1] * (2 * torch.rand(shape, generator=generator).double() - 1) for ball in (a, b))
        assert ((x * y - product[0]).abs() <= product[1] + 1e-14).all()
        assert ((x + y - total[0]).abs() <= total[1]).all()


def test_a_ball_contains_the_ends_it_was_made_of(generator):
    for dtype, unit in ((torch.float32, UNIT), (torch.float64, 2.0**-53)):
        ends = Ends(*(end.to(dtype) for end in random_ends(generator)))
        ball = torch.empty(2, len(ends.lower), dtype=dtype)
        to_ball(ends, 4 * unit, ball)
        centre, radius = ball.double()
        assert (centre - radius <= ends.lower.double()).all()
        assert (centre + radius >= ends.upper.double()).all()


@pytest.mark.parametrize("function", [torch.sigmoid, torch.tanh])
def test_torchs_float32_activations_are_as_accurate_as_assumed(function):
    x = torch.cat(
        (torch.linspace(-20, 20, 2_000_001), torch.logspace(-20, 2, 200_001), -torch.logspace(-20, 2, 200_001))
    )
    error = (function(x).double() - function(x.double())).abs().max().item()
    assert error <= ACTIVATION * UNIT / 2  # half of it is room to spare


@pytest.mark.parametrize("gate", ["logistic", "tanh"])
def test_activations_inside_the_lstm_kernel_are_as_accurate_as_assumed(gate):
    # One unit, one step, the other gates wide open: c is the one activation.
    x = torch.linspace(-20, 20, 500_001)
    with torch.random.fork_rng(devices=[]):
        lstm = nn.LSTM(1, 1, batch_first=True)
    row = 0 if gate == "logistic" else 2
    with torch.no_grad():
        for parameter in lstm.parameters():
            parameter.zero_()
        lstm.bias_ih_l0[:] = 30.0
        lstm.bias_ih_l0[row] = 0.0
        lstm.weight_ih_l0[row] = 1.0
        found = lstm(x[:, None, None])[1][1].flatten().double()
    expected = torch.sigmoid(x.double()) if gate == "logistic" else torch.tanh(x.double())
    assert (found - expected).abs().max().item() <= ACTIVATION * UNIT


def test_dot_products_round_less_than_assumed(generator):
    for n_terms in (1, 10, 1000):
        a, b = torch.randn(2, 100, n_terms, generator=generator)
        error = ((a * b).sum(1).double() - (a.double() * b.double()).sum(1)).abs()
        assert (error <= dot_slack(n_terms, UNIT) / 3 * (a * b).double().abs().sum(1)).all()


def test_scratch_hands_out_different_memory_until_it_is_reset():
    scratch = Scratch(torch.zeros(1))
    first, second = scratch(3, 2), scratch(3, 2)
    assert first.data_ptr() != second.data_ptr()
    scratch.reset()
    assert scratch(3, 2).data_ptr() == first.data_ptr()
    assert scratch(2, 3).shape == (2, 3)
