"""Certificates hold where products under- and overflow: checked with fractions, which do neither."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from sklstm._subnormals import set_flushed
from sklstm.certificates import LayerWeights, RecurrentNetwork, lstm_gain, output_bounds, rnn_lipschitz
from sklstm.certificates._output_bounds import METHODS
from tests.support.problems import random_lstm_weights

LIMITS = {torch.float32: 120, torch.float64: 1000}


def exact(tensor):
    return np.vectorize(Fraction, otypes=[object])(tensor.double().numpy())


def relu_outputs(U, W, V, X):
    """Outputs (n, k) of the ReLU network (1) in exact arithmetic, for X (n, L, d)."""
    h = np.full((len(X), len(U)), Fraction(0), dtype=object)
    for t in range(X.shape[1]):
        h = np.maximum(X[:, t] @ U.T + h @ W.T, Fraction(0))
    return h @ V.T


@st.composite
def networks(draw):
    """Weights and a box, each with a size anywhere between the smallest number and the largest."""
    dtype = draw(st.sampled_from([torch.float32, torch.float64]))
    limit, seed = LIMITS[dtype], draw(st.integers(0, 1000))
    generator = torch.Generator().manual_seed(seed)
    sizes = st.integers(-limit - torch.finfo(dtype).bits // 2, limit)
    d, H, n_steps = draw(st.integers(1, 2)), draw(st.integers(1, 3)), draw(st.integers(1, 4))
    shapes = [(H, d), (H, H), (1, H), (2, n_steps, d)]
    parts = [torch.randn(shape, generator=generator, dtype=torch.float64) * 2.0 ** draw(sizes) for shape in shapes]
    U, W, V, centre = (part.to(dtype) for part in parts)
    radius = draw(st.sampled_from([0.0, 1e-3, 1.0])) * centre.double().abs()
    return U, W, V, centre.double() - radius, centre.double() + radius


@hypothesis_settings(max_examples=150)
@given(networks(), st.integers(0, 100), st.booleans())
def test_bounds_contain_exact_outputs_whatever_the_sizes_and_the_callers_mode(network, seed, flushed):
    U, W, V, lower, upper = network
    part = torch.rand((4, *lower.shape), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    part[:2] = part[:2].round()  # corners
    points = torch.clamp(lower + part * (upper - lower), lower, upper)
    outputs = [relu_outputs(*(exact(weight) for weight in (U, W, V)), exact(point)) for point in points]
    for method in METHODS:
        set_flushed(flushed)
        try:
            bounds = output_bounds(RecurrentNetwork("relu", [LayerWeights(U, W)], V), lower, upper, method=method)
        finally:
            set_flushed(False)
        for low, high, *values in zip(
            *(end.flatten().tolist() for end in bounds), *(o.flat for o in outputs), strict=True
        ):
            assert low == -np.inf or all(Fraction(low) <= value for value in values), method
            assert high == np.inf or all(value <= Fraction(high) for value in values), method


@given(networks(), st.integers(1, 30))
def test_lipschitz_constants_are_never_below_the_product_of_norms(network, n_steps):
    U, W, V = network[:3]
    betas = [abs(exact(weight)).sum(axis=1).max() for weight in (U, W, V)]
    found = rnn_lipschitz(U, W, V, n_steps).tolist()
    for power, constant in enumerate(found[::-1]):
        assert constant == np.inf or Fraction(constant) >= betas[2] * betas[0] * betas[1] ** power


def test_lipschitz_constants_of_ordinary_weights_are_rounded_by_little(generator):
    U, W, V = (torch.randn(shape, generator=generator, dtype=torch.float64) for shape in ((3, 2), (3, 3), (1, 3)))
    betas = [float(abs(weight).sum(1).max()) for weight in (U, W, V)]
    expected = [betas[2] * betas[0] * betas[1] ** power for power in range(30)]
    np.testing.assert_allclose(rnn_lipschitz(U, W, V, 30).flip(0), expected, rtol=1e-12)


@pytest.mark.parametrize("scale", [0.0, 5e-324, 1e-310, 1e-200, 1e-30, 1e30, 1e200])
def test_the_gain_of_an_lstm_is_a_number_for_weights_of_any_size(scale, generator):
    weight_ih, weight_hh, _ = random_lstm_weights(3, 2, 1, generator)
    bias = torch.zeros(12, dtype=torch.float64)
    for factors in ((scale, 1.0), (1.0, scale), (scale, scale)):
        weights = [factor * weight.double() for factor, weight in zip(factors, (weight_ih, weight_hh), strict=True)]
        gain = lstm_gain(*weights, bias, 5)
        assert not gain.isnan().any()
        assert bool((gain == 0).all()) == (not weights[0].any())
        if weights[0].any():
            assert (gain >= lstm_gain(weights[0] / 2, weights[1] / 2, bias, 5)).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("u", "v", "lower", "upper"),
    [
        (2.0**-80, 2.0**120, 2.0**-80, 2.0**-80),  # U x underflows, and V makes it visible again
        (2.0**-80, 2.0**-80, 0.0, 2.0**120),  # the derivative V U underflows, and the box makes it visible
    ],
)
def test_what_underflows_is_not_lost(method, u, v, lower, upper):
    U, W, V = (torch.full((1, 1), value) for value in (u, 0.0, v))
    box = [torch.full((1, 1, 1), end, dtype=torch.float64) for end in (lower, upper)]
    bounds = output_bounds(RecurrentNetwork("relu", [LayerWeights(U, W)], V), *box, method=method)
    assert bounds.lower <= u * v * lower
    assert bounds.upper >= u * v * upper
