"""Tensors that behave as if on a device without float64 and without eigenvalues, as MPS; they live on the CPU."""

from contextlib import contextmanager

import pytest
import torch

PLACE = torch.device("mps", 0)
_MISSING = {torch.linalg.eigh, torch.linalg.eigvalsh, torch.linalg.svd, torch.linalg.svdvals}


class Elsewhere(torch.Tensor):
    """Says that it is on MPS, refuses float64, and mixes with no plain tensor but a scalar."""

    @property
    def device(self):
        return PLACE

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


@contextmanager
def such_a_device():
    """While it lasts, tensors can be moved there."""
    move = torch.Tensor.to

    def to(self, *args, **kwargs):
        return elsewhere(self) if args == (PLACE,) and not kwargs else move(self, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.Tensor, "to", to)
        yield
