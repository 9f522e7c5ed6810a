"""Forward and backward passes in bfloat16 for a network that is kept, and improved, in float32."""

import copy
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["Bfloat16Twin"]


class Bfloat16Twin:
    """A network's copy in bfloat16, through which one batch after the other goes forward and back.

    Before every batch it takes over the weights, rounded; after it the network takes over the gradients.

    Parameters
    ----------
    module : nn.Module
        In float32; it stays that.

    Notes
    -----
    Not `torch.autocast`: on CUDA that casts what goes into cuDNN's recurrent layers to float16, whatever the dtype
    asked for, and gradients below 6e-8 would be lost there. A second network does the same on every device.
    """

    def __init__(self, module: nn.Module):
        self.module = module
        self.twin = copy.deepcopy(module).to(torch.bfloat16).train()  # cuDNN has no way back in evaluation mode

    def __call__(self, inputs: dict[str, Any]) -> Tensor:
        """Outputs of the network for keyword arguments of its forward pass, in float32."""
        with torch.no_grad():
            for own, theirs in zip(self.twin.parameters(), self.module.parameters(), strict=True):
                own.copy_(theirs)
        rounded = {
            name: value.to(torch.bfloat16) if value.is_floating_point() else value for name, value in inputs.items()
        }
        with _no_word_of_compact_weights(inputs["X"].device):
            return self.twin(**rounded).float()

    def hand_over_gradients(self) -> None:
        """Add the gradients of the last backward pass to the network's, and forget them here."""
        for own, theirs in zip(self.twin.parameters(), self.module.parameters(), strict=True):
            if own.grad is None:
                continue
            gradient = own.grad.to(theirs.dtype)
            theirs.grad = gradient if theirs.grad is None else theirs.grad + gradient
            own.grad = None


@contextmanager
def _no_word_of_compact_weights(device: torch.device) -> Iterator[None]:
    """On CUDA, without torch's warning that weights are not in one piece of memory: it makes none of bfloat16."""
    if device.type != "cuda":
        yield
        return
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="RNN module weights are not part of single contiguous chunk")
        yield
