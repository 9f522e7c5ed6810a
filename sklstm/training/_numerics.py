"""In which arithmetic the package computes, whatever the caller has asked of torch for their own work."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

__all__ = ["PRECISIONS", "products_in", "undisturbed"]

#: What a fit may train in, see ``docs/guide/devices.md``.
PRECISIONS = ("float32", "tf32", "bfloat16")

# Device -> the flags of torch that say how its products of float32 matrices are rounded. On CUDA torch's default for
# recurrent layers is TF32, on a CPU `torch.set_float32_matmul_precision("medium")` brings bfloat16.
_BACKENDS: Any = torch.backends  # some of whose parts type checkers do not see
_FLAGS: dict[str, tuple[Any, ...]] = {
    "cuda": (_BACKENDS.cuda.matmul, _BACKENDS.cudnn.rnn),
    "cpu": (_BACKENDS.mkldnn.matmul, _BACKENDS.mkldnn.rnn),
}
_EXACT, _FAST = "ieee", "tf32"


@contextmanager
def undisturbed() -> Iterator[None]:
    """Run the block outside of the caller's autocast and default device, both of which belong to this thread.

    Under autocast no float32 network would be left to certify, and a default device would scatter tensors that are
    made without naming one. Costs nothing where neither is there.

    Examples
    --------
    >>> import torch
    >>> from sklstm.training import undisturbed
    >>> with torch.autocast("cpu", dtype=torch.bfloat16):
    ...     with undisturbed():
    ...         inside = torch.eye(2) @ torch.eye(2)
    ...     outside = torch.eye(2) @ torch.eye(2)
    >>> inside.dtype, outside.dtype
    (torch.float32, torch.bfloat16)
    """
    with ExitStack() as stack:
        for kind in ("cpu", "cuda", "mps"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        yield


class _SharedFlags:
    """The flags of one kind of device, which belong to the whole process: while anyone wants exact products, all are.

    Fits that would take TF32 meanwhile are slower, and as good. To wait for each other instead could take as long as a
    fit, and for ever where one is inside of the other, as in a callback that predicts.
    """

    def __init__(self, flags: tuple[Any, ...]):
        self.flags, self.lock = flags, threading.Lock()
        self.holders = {_EXACT: 0, _FAST: 0}
        self.before: list[str] = []

    def hold(self, mode: str) -> None:
        with self.lock:
            if not any(self.holders.values()):
                self.before = [flag.fp32_precision for flag in self.flags]
            self.holders[mode] += 1
            self._set()

    def release(self, mode: str) -> None:
        with self.lock:
            self.holders[mode] -= 1
            self._set()

    def _set(self) -> None:
        if any(self.holders.values()):
            values = [_EXACT if self.holders[_EXACT] else _FAST] * len(self.flags)
        else:
            values = self.before
        for flag, value in zip(self.flags, values, strict=True):
            # Through torch's newer names alone: they can be read whichever the caller has set, and what they restore
            # restores what the older ones, `allow_tf32`, say.
            flag.fp32_precision = value


_SHARED = {kind: _SharedFlags(flags) for kind, flags in _FLAGS.items()}


@contextmanager
def products_in(precision: str, device: str | torch.device) -> Iterator[None]:
    """Run the block with products of float32 matrices rounded to float32 or, where a GPU can, with TF32's 11 digits.

    Parameters
    ----------
    precision : {"float32", "tf32", "bfloat16"}
        TF32 for ``"tf32"``, float32 for the others.
    device : str or torch.device
        Where the products are taken. TF32 is there on CUDA only.

    Notes
    -----
    Blocks may overlap in several threads: while one of them wants float32, all get it. The last to end restores the
    flags. None of this initialises CUDA.

    Examples
    --------
    >>> import torch
    >>> from sklstm.training import products_in
    >>> x = torch.tensor([[1 + 2.0**-20]])
    >>> with products_in("float32", "cpu"):  # whatever torch.set_float32_matmul_precision has been told
    ...     product = x @ torch.ones(1, 1)
    >>> torch.equal(product, x)
    True
    """
    kind = torch.device(device).type
    shared = _SHARED.get(kind)
    if shared is None:
        yield
        return
    mode = _FAST if precision == "tf32" and kind == "cuda" else _EXACT
    shared.hold(mode)
    try:
        yield
    finally:
        shared.release(mode)
