"""Weights with known norms and data with known answers, shared by the tests."""

import numpy as np
import torch


def orthogonal(rows, columns, generator, dtype=torch.float64):
    """(rows, columns) with all singular values 1."""
    square = torch.randn(max(rows, columns), max(rows, columns), generator=generator, dtype=dtype)
    return torch.linalg.qr(square)[0][:rows, :columns].contiguous()


def lstm_weights_with_norms(norms_x, norms_h, n_channels, generator):
    """(4H, d) and (4H, H) whose gates, in the order i, f, g, o, have exactly the given spectral norms; H = 5."""
    weight_ih = torch.cat([s * orthogonal(5, n_channels, generator) for s in norms_x])
    weight_hh = torch.cat([s * orthogonal(5, 5, generator) for s in norms_h])
    return weight_ih, weight_hh


def random_lstm_weights(hidden_size, n_channels, n_outputs, generator, scale=0.1):
    def draw(*shape):
        return scale * torch.randn(*shape, generator=generator, dtype=torch.float64)

    return (
        draw(4 * hidden_size, n_channels),
        draw(4 * hidden_size, hidden_size),
        draw(n_outputs, hidden_size),
    )


def zero_lstm(n_channels=1, hidden_size=1):
    """A float64 torch LSTM with all weights zero."""
    with torch.random.fork_rng(), torch.no_grad():
        lstm = torch.nn.LSTM(n_channels, hidden_size, batch_first=True, dtype=torch.float64)
        for parameter in lstm.parameters():
            parameter.zero_()
    return lstm


def accumulating_lstm(w):
    """ρ_h = 0, yet the state adds up every input: W_gx = w, biases of i, f and o at 10, all else zero."""
    lstm = zero_lstm()
    with torch.no_grad():
        lstm.weight_ih_l0[2] = w
        lstm.bias_ih_l0[[0, 1, 3]] = 10.0
    return lstm


def late_mean(n=400, n_steps=10, n_channels=2, seed=0):
    """Regression with a known answer: y is the mean of the first channel over the last three steps."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, n_steps, n_channels))
    return X, X[:, -3:, 0].mean(axis=1)


def signed_sum(n=300, n_steps=8, n_channels=2, seed=0):
    """Two classes: the sign of the sum of the first channel, samples near the boundary left out."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((3 * n, n_steps, n_channels))
    total = X[:, :, 0].sum(axis=1)
    clear = np.flatnonzero(np.abs(total) > 1)[:n]
    return X[clear], np.where(total[clear] > 0, "up", "down")
