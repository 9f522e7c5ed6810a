"""Predictions that do not depend on what else is in the batch."""

import torch
from torch import Tensor, nn

from sklstm.modules import aligned

from ._placement import to_device
from ._ragged import RaggedTensor
from ._streamed import StreamedTensor

__all__ = ["BLOCK", "block_size", "predict_blocks"]

# Matrix-product kernels choose their order of summation by the shape of the operands and by where rows begin in memory,
# so the same row can differ in its last bits between batches of different sizes and places in a batch. Rows of whole
# registers (see `sklstm.modules.aligned`) and blocks of one fixed size, the last one filled up with zero
# sequences, make every prediction bit-for-bit the same whatever its companions; in blocks of this size the state at a
# step does not depend on how many steps follow, either. Measured: 256 is within 15 % of one
# big batch for LSTMs (faster from H = 128), where 64 costs up to 1.8 times as much.
BLOCK = 256


# Long sequences, of which 256 would need gigabytes, come in smaller blocks: of one size for one length.
_SIZES = ((1024, BLOCK), (8192, 32), (None, 8))


def block_size(n_steps: int) -> int:
    """Sequences in a block, by their length alone."""
    return next(size for longest, size in _SIZES if longest is None or n_steps <= longest)


@torch.no_grad()
def predict_blocks(module: nn.Module, X: Tensor | RaggedTensor | StreamedTensor) -> Tensor:
    """Forward pass of sequences in blocks of one size; the module is left in evaluation mode.

    Parameters
    ----------
    module : nn.Module
    X : Tensor of shape (n, L, d), RaggedTensor or StreamedTensor, n ≥ 1
        On any device; blocks move to that of the module.

    Returns
    -------
    Tensor of shape (n, k)
        On the device of the module.
    """
    module = aligned(module.eval())
    if not isinstance(X, RaggedTensor):
        size = block_size(X.shape[1])
        return torch.cat([_block(module, {"X": part}, size) for part in X.split(size)])
    # Blocks of similar lengths: all of them together have little more than one block's worth of padding.
    order = torch.argsort(X.lengths, stable=True)
    sizes = torch.tensor([block_size(length) for length in X.lengths[order].tolist()])
    outputs = [
        _block(module, X.batch(rows), size)
        for _, size in _SIZES
        for rows in order[sizes == size].split(size)
        if len(rows)
    ]
    joined = torch.cat(outputs)
    return joined[torch.argsort(order).to(joined.device)]


def _block(module: nn.Module, inputs: dict[str, Tensor], block: int) -> Tensor:
    inputs = to_device(inputs, next(module.parameters()).device)
    size = len(inputs["X"])
    if missing := block - size:
        X = inputs["X"]
        inputs["X"] = torch.cat((X, X.new_zeros(missing, *X.shape[1:])))
        if "lengths" in inputs:
            inputs["lengths"] = torch.cat((inputs["lengths"], inputs["lengths"].new_ones(missing)))
    return module(**inputs)[:size]
