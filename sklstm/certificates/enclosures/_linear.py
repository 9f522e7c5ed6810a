"""Affine forms through a stack of layers."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ._forms import Form
from ._layer import EnclosedLayer

__all__ = ["forward_linear", "symbols"]


def symbols(layers: Sequence[EnclosedLayer], n_steps: int) -> int:
    """Number of symbols that the last forms have terms for: of inputs, and of errors of every state."""
    return n_steps * (layers[0].n_inputs + sum(layer.n_states * layer.size for layer in layers))


def forward_linear(layers: Sequence[EnclosedLayer], box: Tensor) -> tuple[Tensor, Form]:
    """Ball of the inputs (2, L, d, n) to the ball (2, H, n) and the forms of the last h of the last layer.

    All layers take a step before any takes the next: symbols then come in the order in which they are first needed, and
    what a form has terms for is always a piece of that order. The layers have recorded their steps for `backward`.
    """
    _, n_steps, d, n = box.shape
    states = [layer.start_linear(n_steps, n) for layer in layers]
    diagonal = torch.eye(d, dtype=box.dtype, device=box.device)[:, :, None]
    for t in range(n_steps):
        ball = box[:, t]
        x = Form(ball[0], diagonal * ball[1], torch.zeros_like(ball[0]), first=states[-1][0].stop)
        for k, layer in enumerate(layers):
            ball, states[k] = layer.advance_linear(t, ball, x, states[k])
            x = states[k][0]
    return ball, x
