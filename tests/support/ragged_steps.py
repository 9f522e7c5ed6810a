"""A step of training on sequences of unequal lengths, filled up or packed."""

import numpy as np
import torch
from torch.nn.utils.rnn import pack_padded_sequence


def ragged(n=64):
    rng = np.random.default_rng(0)
    return [rng.standard_normal((length, 2)).astype(np.float32) for length in rng.integers(20, 25, size=n)]


def step_of(module, X, lengths, packed):
    """Last states (n, H) of sequences filled up to (n, L, d), and the gradients of their sum."""
    recurrent = getattr(module, "recurrent", None) or module.rnn
    recurrent.zero_grad()
    if packed:
        state = recurrent(pack_padded_sequence(X, lengths, batch_first=True, enforce_sorted=False))[1]
        last = (state[0] if isinstance(state, tuple) else state)[-1]
    else:
        last = recurrent(X)[0][torch.arange(len(X)), lengths - 1]
    last.sum().backward()
    return last.detach(), [parameter.grad for parameter in recurrent.parameters()]
