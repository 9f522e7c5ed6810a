"""Tensors that behave as if on a device without float64 and without eigenvalues, as MPS; they live on the CPU."""

from contextlib import contextmanager

import pytest
import torch
from torch import nn

PLACE = torch.device("mps", 0)
_MISSING = {torch.linalg.eigh, torch.linalg.eigvalsh, torch.linalg.svd, torch.linalg.svdvals}


class Elsewhere(torch.Tensor):
    """Says that it is on MPS, refuses float64, and mixes with no plain tensor but a scalar."""

    @property
    def device(self):
        return PLACE

    def __deepcopy__(self, memo):
        return nn.Parameter(elsewhere(self.cpu()), requires_grad=self.requires_grad)

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        if func is torch.Tensor.cpu or (func is torch.Tensor.to and "cpu" in map(str, args)):
            return args[0].as_subclass(torch.Tensor).clone()
        if func in _MISSING:
            raise NotImplementedError(f"{func.__name__} is not implemented for MPS")
        tensors = [part for part in args if isinstance(part, torch.Tensor)]
        if func is not torch.Tensor.copy_ and any(type(part) is torch.Tensor and part.ndim for part in tensors):
            raise RuntimeError("Expected all tensors to be on the same device")
        result = super().__torch_function__(func, types, args, kwargs)
        for part in result if isinstance(result, tuple | list) else (result,):
            if isinstance(part, torch.Tensor) and part.dtype == torch.float64:
                raise TypeError("Cannot convert a MPS Tensor to float64 dtype")
        return result


def elsewhere(tensor):
    """The same values there."""
    return tensor.detach().as_subclass(Elsewhere)


def replace_weights(module, change):
    """New parameters in place of all of a module's: of another class, which torch cannot give to those there are."""
    for part in module.modules():
        for name, weight in list(part.named_parameters(recurse=False)):
            setattr(part, name, nn.Parameter(change(weight.detach()), requires_grad=False))


@contextmanager
def such_a_device():
    """While it lasts, tensors can be moved there, and modules back."""
    move = torch.Tensor.to

    def to(self, *args, **kwargs):
        return elsewhere(self) if args == (PLACE,) and not kwargs else move(self, *args, **kwargs)

    def cpu(self):
        replace_weights(self, torch.Tensor.cpu)
        return self

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.Tensor, "to", to)
        patch.setattr(nn.Module, "cpu", cpu)
        yield
