"""Where data lie: on the device as a whole where they fit, else on the host, from which batches move."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

__all__ = ["fits", "resolve_device", "to_device"]

# Of a device's free memory, the share that data may take: activations, gradients and cuDNN's workspaces need the rest.
_SHARE = 0.5


def resolve_device(device: str | torch.device) -> str | torch.device:
    """The device to use: for ``"auto"`` CUDA if it can be used here, else MPS, else the CPU; any other is itself.

    Parameters
    ----------
    device : str or torch.device

    Returns
    -------
    str or torch.device

    Examples
    --------
    >>> from sklstm.training import resolve_device
    >>> resolve_device("cpu")
    'cpu'
    >>> resolve_device("auto") in ("cuda", "mps", "cpu")
    True
    """
    if device != "auto":
        return device
    # In a process forked from one that had used CUDA even the question would be an error.
    if not torch.cuda._is_in_bad_fork() and torch.cuda.is_available() and _works("cuda"):
        return "cuda"
    return "mps" if torch.backends.mps.is_available() and _works("mps") else "cpu"


def _works(device: str) -> bool:
    """Whether a device that torch sees also computes: its card may be full, taken, or too old for torch's kernels."""
    try:
        return torch.zeros(1, device=device).add(1).item() == 1
    except (RuntimeError, AssertionError):
        return False


def fits(n_bytes: int, device: str | torch.device) -> bool:
    """Whether data should lie on a device as a whole.

    Parameters
    ----------
    n_bytes : int
        Their size.
    device : str or torch.device

    Returns
    -------
    bool
        Whether they take no more than half of the device's free memory; always True on a CPU, where they are already.

    Examples
    --------
    >>> from sklstm.training import fits
    >>> fits(10**15, "cpu")  # where it is already
    True
    """
    device = torch.device(device)
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        # What torch has asked of the driver and not handed out is free too.
        free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    elif device.type == "mps":
        free = torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    else:
        return True
    return n_bytes <= _SHARE * free


def to_device(batch: Any, device: str | torch.device) -> Any:
    """A tensor, or a mapping or tuple of tensors, on a device; itself if it is there already.

    Parameters
    ----------
    batch : Tensor, or mapping or tuple of Tensor
    device : str or torch.device

    Returns
    -------
    The same with its tensors on the device.

    Notes
    -----
    On the way to CUDA a batch is first copied into pinned memory, from where it moves while the device computes. Rows
    gathered from a pinned tensor would not be pinned: it is the batch that has to be, and pages of the whole data stay
    the system's to swap.

    Examples
    --------
    >>> import torch
    >>> from sklstm.training import to_device
    >>> batch = {"X": torch.zeros(4, 5, 2), "lengths": torch.tensor([5, 4, 3, 2])}
    >>> to_device(batch, "cpu")["X"] is batch["X"]
    True
    >>> to_device(batch, "meta")["lengths"].device
    device(type='meta')
    """
    if isinstance(batch, Mapping):
        return {name: to_device(part, device) for name, part in batch.items()}
    if isinstance(batch, tuple):
        return tuple(to_device(part, device) for part in batch)
    return _moved(batch, torch.device(device))


def _moved(tensor: Tensor, device: torch.device) -> Tensor:
    if tensor.device.type == device.type and device.index in (None, tensor.device.index):
        return tensor
    if tensor.device.type == "cpu" and device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)
