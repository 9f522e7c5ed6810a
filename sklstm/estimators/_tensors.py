"""From validated arrays to tensors."""

import copy
from typing import TypeVar, overload

import numpy as np
import torch
from torch import Tensor, nn

from sklstm._mapped import is_mapped
from sklstm._sequences import Ragged
from sklstm.training import RaggedTensor, SequenceDataset, StreamedTensor, fits

__all__ = ["as_inputs", "as_tensor", "in_place", "loaded", "module_for_float64", "place_for"]

Module = TypeVar("Module", bound=nn.Module)


@overload
def as_tensor(values: np.ndarray, device: str | torch.device = ...) -> Tensor: ...
@overload
def as_tensor(values: np.ndarray | Ragged, device: str | torch.device = ...) -> Tensor | RaggedTensor: ...
def as_tensor(values: np.ndarray | Ragged, device: str | torch.device = "cpu") -> Tensor | RaggedTensor:
    """A float32 copy: torch shares neither read-only memory nor negative strides, and must not write to the user's.

    The copy lives in torch's own memory, which is aligned to 64 bytes. numpy's is not, and matrix kernels may round
    differently by alignment: results could vary from run to run.
    """
    if isinstance(values, Ragged):
        return RaggedTensor(as_tensor(values.values, device), torch.as_tensor(values.lengths))
    copy = torch.empty(values.shape, dtype=torch.float32)
    np.copyto(copy.numpy(), values, casting="unsafe")
    return copy.to(device)


def place_for(values: np.ndarray | Ragged, device: str | torch.device) -> str | torch.device:
    """Where the tensors of a computation on a device should lie: there if they fit, else on the CPU, as files do."""
    if is_mapped(values):
        return "cpu"
    shape = values.values.shape if isinstance(values, Ragged) else values.shape
    return device if fits(4 * int(np.prod(shape, dtype=np.int64)), device) else "cpu"


def module_for_float64(module: Module) -> Module:
    """A module for work that takes float64: itself, or a copy on the CPU if its device has no float64, as MPS."""
    return copy.deepcopy(module).cpu() if next(module.parameters()).device.type == "mps" else module


def in_place(values: np.ndarray | Ragged, device: str | torch.device = "cpu") -> StreamedTensor | RaggedTensor:
    """Sequences that are copied when they are asked for, a batch at a time; those of unequal length at once."""
    if isinstance(values, Ragged):
        return RaggedTensor(as_tensor(values.values, device), torch.as_tensor(values.lengths))
    return StreamedTensor(values, device)


def as_inputs(
    values: np.ndarray | Ragged, device: str | torch.device = "cpu"
) -> Tensor | RaggedTensor | StreamedTensor:
    """Sequences to be read many times: copied, unless they are in a file, which may be larger than memory."""
    return in_place(values, device) if is_mapped(values) else as_tensor(values, device)


def loaded(data: SequenceDataset) -> SequenceDataset:
    """The same with its sequences copied, unless they are in a file."""
    if not isinstance(data.X, StreamedTensor) or is_mapped(data.X.values):
        return data
    return SequenceDataset(data.X.loaded(), data.y, data.weight)
