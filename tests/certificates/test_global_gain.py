"""Gains of whole networks at sequences of any length: above what attacks show, by hand, and as a limit."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from sklstm.certificates import LayerWeights, RecurrentNetwork, gru_gain, lstm_gain, network_gain
from sklstm.tikhonov import perturbation_gain, tikhonov_gains
from tests.support.problems import accumulating_lstm


def linear_readout(n_units, n_outputs, generator):
    with torch.random.fork_rng():
        readout = nn.Linear(n_units, n_outputs, dtype=torch.float64)
    with torch.no_grad():
        readout.weight.copy_(torch.randn(n_outputs, n_units, generator=generator, dtype=torch.float64))
    return readout


LSTM, GRU = (nn.LSTM, 4, lstm_gain), (nn.GRU, 3, gru_gain)


def layer_of(kind, generator, d, H, num_layers=1, scale=0.1):
    with torch.random.fork_rng(), torch.no_grad():
        layer = kind(d, H, num_layers, batch_first=True, dtype=torch.float64)
        for name, weight in layer.named_parameters():
            factor = scale if "weight_hh" in name else 0.5
            weight.copy_(factor * torch.randn(weight.shape, generator=generator, dtype=torch.float64))
    return layer


def weights_of(layer):
    weight_ih, weight_hh, bias_ih, bias_hh = layer.all_weights[0]
    return (weight_ih, weight_hh, bias_ih + bias_hh) if isinstance(layer, nn.LSTM) else layer.all_weights[0]


def limit_by_hand(cell, weights, bound):
    """One unit, one channel: 100,000 steps of the recursion in Python floats, from suprema at their fixed point."""

    def sigmoid(x):
        return 1 / (1 + math.exp(-x))

    def slope(net, reach):
        nearest = max(abs(net) - reach, 0)
        return sigmoid(nearest) * sigmoid(-nearest)

    if cell == "lstm":
        x, h, b = (np.asarray(part.detach()).ravel() for part in weights)
        state = 1.0
        for _ in range(100):
            reach = abs(x) * bound + abs(h) * state
            i, f, o = (sigmoid(b[gate] + reach[gate]) for gate in (0, 1, 3))
            g = math.tanh(abs(b[2]) + reach[2])
            state = o * math.tanh(i * g / (1 - f))
        s_i, s_f, s_o = (slope(b[gate], reach[gate]) for gate in (0, 1, 3))
        s_g = 1 - math.tanh(max(abs(b[2]) - reach[2], 0)) ** 2
        memory = moved = by_h = 0.0
        for _ in range(100_000):
            net = abs(x) + abs(h) * by_h
            moved = f * moved + memory * s_f * net[1] + i * s_g * net[2] + g * s_i * net[0]
            memory = f * memory + i * g
            by_h = o * moved + math.tanh(memory) * s_o * net[3]
        return by_h
    x, h, b, c = (np.asarray(part.detach()).ravel() for part in weights)
    state = 1.0
    for _ in range(100):
        reach = abs(x) * bound + abs(h) * state
        q = abs(h[2]) * state + abs(c[2])
        r, z = (sigmoid(b[gate] + c[gate] + reach[gate]) for gate in (0, 1))
        reach[2] = abs(x[2]) * bound + r * q
        state = math.tanh(abs(b[2]) + reach[2])
    s_r, s_z = (slope(b[gate] + c[gate], reach[gate]) for gate in (0, 1))
    s_n = 1 - math.tanh(max(abs(b[2]) - reach[2], 0)) ** 2
    by_h = 0.0
    for _ in range(100_000):
        net = abs(x) + abs(h) * by_h
        new = s_n * (abs(x[2]) + r * abs(h[2]) * by_h + q * s_r * net[0])
        by_h = max(z * by_h + (1 - z) * new, new) + 2 * state * s_z * net[1]
    return by_h


@pytest.mark.parametrize(("kind", "n_gates", "gain"), [LSTM, GRU])
def test_the_closed_form_is_where_a_hundred_thousand_steps_end(kind, n_gates, gain, generator):
    layer = layer_of(kind, generator, 1, 1)
    weights = weights_of(layer)
    expected = limit_by_hand("lstm" if kind is nn.LSTM else "gru", weights, 0.5)
    assert math.isfinite(expected)
    np.testing.assert_allclose(gain(*weights, input_bound=0.5), expected, rtol=1e-6)


@pytest.mark.parametrize(("kind", "n_gates", "gain"), [LSTM, GRU])
def test_steps_rise_to_the_closed_form(kind, n_gates, gain, generator):
    weights = weights_of(layer_of(kind, generator, 3, 4, scale=0.02))
    steps, limit = (gain(*weights, n_steps=n, input_bound=torch.tensor([0.5, 0.3, 0.1])) for n in (2000, None))
    assert (steps.diff() >= 0).all()
    assert steps[-1] <= limit <= steps[-1] * (1 + 1e-6)


@pytest.mark.parametrize(("kind", "n_gates", "gain"), [LSTM, GRU])
def test_it_is_infinite_once_the_recursion_diverges(kind, n_gates, gain, generator):
    layer = layer_of(kind, generator, 2, 3, scale=1.0)
    weight_ih, weight_hh, *biases = weights_of(layer)
    gains = {s: gain(weight_ih, s * weight_hh, *biases, input_bound=0.5).item() for s in (0.0, 0.01, 0.03, 0.1, 1, 10)}
    assert list(gains.values()) == sorted(gains.values())
    assert math.isfinite(gains[0.01])
    assert gains[10] == math.inf
    # Where it is infinite the steps grow without bound, and where it is not they do not.
    for s, limit in gains.items():
        steps = gain(weight_ih, s * weight_hh, *biases, 400, 0.5)
        assert (not steps[-1] < 2 * steps[-100]) == math.isinf(limit), s


def test_relu_units_by_hand():
    one = torch.ones(1, 1, dtype=torch.float64)

    def gain(w, **linear):
        network = RecurrentNetwork("relu", [LayerWeights(3 * one, w * one)], weight_out=-2 * one, **linear)
        return network_gain(network, -one[0], one[0]).item()

    np.testing.assert_allclose([gain(0.0), gain(-0.5), gain(0.99)], [6.0, 12.0, 600.0], rtol=1e-6)
    assert gain(1.0) == math.inf
    # Of a linear part of three steps each adds its norm, whatever the signs.
    assert gain(0.5, weight_linear=torch.tensor([[1.0, -2.0, 4.0]]).double()) == pytest.approx(19, rel=1e-6)


def test_tanh_units_by_hand():
    # Inputs in ±1 let the net input be 0, where the slope is 1.
    one = torch.ones(1, 1, dtype=torch.float64)
    for u, w in ((3.0, -0.5), (0.2, 0.99), (1.0, 0.0)):
        network = RecurrentNetwork("tanh", [LayerWeights(u * one, w * one)], weight_out=-2 * one)
        gain = network_gain(network, -one[0], one[0]).item()
        # Never above what a unit without a bound would have.
        assert gain <= 2 * u / (1 - abs(w)) * (1 + 1e-6)
        x = torch.full((1, 200, 1), 1.0, dtype=torch.float64)
        for eps in (1e-4, 0.1, 2.0):
            moved = (network.outputs(0 * x + eps * torch.sign(x)) - network.outputs(0 * x)).abs().item()
            assert moved <= gain * eps
    far = RecurrentNetwork("tanh", [LayerWeights(one, 1.5 * one)], weight_out=one)
    assert network_gain(far, -one[0], one[0]) == math.inf
    # Inputs that hold the net input away from 0 leave a smaller slope.
    held = RecurrentNetwork("tanh", [LayerWeights(one, 0.1 * one)], weight_out=one)
    assert network_gain(held, 3 * one[0], 4 * one[0]) < 0.8 * network_gain(held, -one[0], one[0])


def test_a_linear_part_is_exact():
    zero = torch.zeros(4, 1, dtype=torch.float64)
    A = torch.tensor([[3.0, 4.0, 0.0, 2.0]], dtype=torch.float64)  # two steps of two channels
    layer = LayerWeights(torch.zeros(4, 2).double(), zero)
    network = RecurrentNetwork("lstm", [layer], torch.ones(1, 1).double(), weight_linear=A)
    ends = torch.full((2,), math.inf).double()
    assert network_gain(network, -ends, ends).item() == pytest.approx(5 + 2, rel=1e-9)


def test_it_answers_the_counterexample_to_55(generator):
    # Errata L3: (55) allows a movement of 1.5 w whatever the length; the state moves by about L·w at first.
    w, n_steps = 1e-3, 3000
    lstm = accumulating_lstm(w)
    readout = linear_readout(1, 1, generator)
    with torch.no_grad():
        readout.weight.fill_(1.0)
    paper = perturbation_gain(tikhonov_gains(lstm.weight_ih_l0, lstm.weight_hh_l0), readout.weight).sqrt().item()
    eps = 1e-4
    with torch.no_grad():
        moved = lstm(torch.full((1, n_steps, 1), eps, dtype=torch.float64))[0][0, :, 0] / eps
    ends = torch.full((1,), 0.05, dtype=torch.float64)
    proved = network_gain(RecurrentNetwork.from_torch(lstm, readout), -ends, ends).item()
    assert moved.max() > 1000 * paper
    # 1/(1 − f) is 22,000: after so many steps the state has moved by 22 times the input, if that is small.
    assert moved.max() <= proved < 1.2 * w * (1 + math.exp(10))


def strongest(layer, readout, linear, X, eps, generator):
    """Movements of the outputs at the end, of random, constant and gradient disturbances of size eps at every step."""

    def outputs(X):
        seen = 0.0 if linear is None else X[:, -linear.shape[1] // X.shape[2] :].flatten(1) @ linear.T
        return readout(layer(X)[0][:, -1]) + seen

    def to_size(delta):
        return eps * delta / delta.norm(dim=2, keepdim=True).clamp_min(1e-300)

    where = X.clone().requires_grad_()
    outputs(where).sum().backward()
    constant = torch.randn(X[:, :1].shape, generator=generator, dtype=torch.float64).expand_as(X)
    found = []
    with torch.no_grad():
        before = outputs(X)
        for delta in (torch.randn(X.shape, generator=generator, dtype=torch.float64), constant, where.grad):
            found.append((outputs(X + to_size(delta)) - before).norm(dim=1).max().item())
    return max(found) / eps


@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize(("kind", "n_gates", "gain"), [LSTM, GRU])
def test_no_disturbance_moves_the_outputs_further(kind, n_gates, gain, num_layers, generator):
    layer = layer_of(kind, generator, 2, 3, num_layers, scale=0.05)
    readout = linear_readout(3, 2, generator)
    A = torch.randn(2, 6, generator=generator, dtype=torch.float64)
    lower, upper = torch.tensor([-0.5, 0.0]).double(), torch.tensor([0.2, 0.4]).double()
    X = lower + (upper - lower) * torch.rand(20, 30, 2, generator=generator, dtype=torch.float64)
    for linear in (None, A):
        proved = network_gain(RecurrentNetwork.from_torch(layer, readout, linear), lower, upper).item()
        assert math.isfinite(proved)
        # Disturbed inputs may leave the range, as far as they like.
        for eps in (1e-3, 0.3, 3.0, 100.0):
            assert strongest(layer, readout, linear, X, eps, generator) <= proved


def test_ranges_matter_and_unknown_ones_are_allowed(generator):
    layer = layer_of(nn.GRU, generator, 2, 3, scale=0.05)
    network = RecurrentNetwork.from_torch(layer, linear_readout(3, 1, generator))
    gains = [network_gain(network, torch.full((2,), -b), torch.full((2,), b)).item() for b in (0.1, 1.0, math.inf)]
    assert gains == sorted(gains)
    assert math.isfinite(gains[0])
    with pytest.raises(ValueError, match="ranges of 2 channels"):
        network_gain(network, torch.zeros(3), torch.ones(3))
    with pytest.raises(ValueError, match="ranges of 2 channels"):
        network_gain(network, torch.ones(2), torch.zeros(2))


def test_bad_arguments_are_refused(generator):
    weights = weights_of(layer_of(nn.GRU, generator, 2, 3))
    with pytest.raises(ValueError, match="n_steps must be at least 1"):
        gru_gain(*weights, 0)
    with pytest.raises(ValueError, match="three stacked square gates"):
        gru_gain(weights[0], weights[1][:6], *weights[2:])
    with pytest.raises(ValueError, match="input_bound must be positive"):
        gru_gain(*weights, input_bound=torch.tensor([1.0, 0.0]))


@pytest.mark.parametrize(("kind", "n_gates", "gain"), [LSTM, GRU])
def test_a_callers_default_device_does_not_count_inside(kind, n_gates, gain, generator):
    layer = layer_of(kind, generator, 2, 3, scale=0.02)
    network = RecurrentNetwork.from_torch(layer, linear_readout(3, 1, generator), torch.ones(1, 4).double())
    ends = torch.tensor([0.5, 0.3]).double()

    def found():
        return network_gain(network, -ends, ends), *(gain(*weights_of(layer), n, ends) for n in (None, 4))

    expected = found()
    torch.set_default_device("meta")  # on which nothing can be computed
    try:
        again = found()
    finally:
        torch.set_default_device(None)
    assert all(torch.equal(*pair) for pair in zip(expected, again, strict=True))
