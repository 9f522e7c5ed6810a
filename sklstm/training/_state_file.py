"""Training states as files: tensors by safetensors, the rest as JSON, nothing that could run code, a digest over all.

A file appears whole or not at all, and what is read is compared with its digest: a crash, a full disk or another
program can cost a state, but never pass off a wrong one.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from types import BuiltinFunctionType, FunctionType
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from sklstm.persistence import write_atomically

__all__ = ["StateOf", "pack", "read_state", "unpack", "write_state"]

SUFFIX = ".safetensors"
FORMAT = "sklstm training state 1"


class StateOf:
    """Stands for an object that is not itself stored; its owner has a new one, to load this ``state_dict()`` into.

    The state is None for a class or a function, which have none.
    """

    def __init__(self, state: Any):
        self.state = state


def pack(value: Any, tensors: dict[str, Tensor]) -> Any:
    """A value as JSON holds it, its tensors and arrays copied into ``tensors`` under new names.

    Raises
    ------
    TypeError
        For anything but None, numbers, strings, lists, tuples, sets, dicts, tensors, arrays of numbers, classes,
        functions, and objects with ``state_dict`` and ``load_state_dict``.
    """
    if value is None or isinstance(value, bool | int | float | str):
        # float() for numpy's float64, which is a float with another name; bool before int, which it is too.
        return float(value) if isinstance(value, float) else value
    if isinstance(value, np.generic) and value.dtype.kind in "biuf":
        return value.item()
    if isinstance(value, Tensor | np.ndarray):
        tensor = torch.as_tensor(value).detach().to("cpu", copy=True).contiguous()
        name = str(len(tensors))
        tensors[name] = tensor
        return {"!tensor" if isinstance(value, Tensor) else "!array": name}
    if isinstance(value, list):
        return [pack(part, tensors) for part in value]
    if isinstance(value, tuple):
        return {"!tuple": [pack(part, tensors) for part in value]}
    if isinstance(value, set):
        return {"!set": [pack(part, tensors) for part in sorted(value, key=repr)]}
    if isinstance(value, Mapping):
        if all(isinstance(key, str) and not key.startswith("!") for key in value):
            return {key: pack(part, tensors) for key, part in value.items()}
        return {"!dict": [[pack(key, tensors), pack(part, tensors)] for key, part in value.items()]}
    if isinstance(value, type | FunctionType | BuiltinFunctionType):
        return {"!state": None}
    if hasattr(value, "state_dict") and hasattr(value, "load_state_dict"):
        return {"!state": pack(value.state_dict(), tensors)}
    raise TypeError(
        f"{value!r} cannot be stored in a training state. Give the callback that holds it state_dict() and "
        "load_state_dict(), or leave out one of the two: that callback, or Checkpoint."
    )


def unpack(packed: Any, tensors: dict[str, Tensor]) -> Any:
    """The inverse of `pack`; tensors are copies in torch's own memory, objects come back as `StateOf` them."""
    if isinstance(packed, list):
        return [unpack(part, tensors) for part in packed]
    if not isinstance(packed, dict):
        return packed
    match next(iter(packed.items()), None):
        case ("!tensor", name):
            return tensors[name].clone()  # loaded ones are not aligned as torch aligns: kernels may round differently
        case ("!array", name):
            return tensors[name].numpy().copy()
        case ("!tuple", parts):
            return tuple(unpack(part, tensors) for part in parts)
        case ("!set", parts):
            return {unpack(part, tensors) for part in parts}
        case ("!dict", items):
            return {unpack(key, tensors): unpack(part, tensors) for key, part in items}
        case ("!state", state):
            return StateOf(unpack(state, tensors))
    return {key: unpack(part, tensors) for key, part in packed.items()}


def write_state(path: Path, state: Any) -> None:
    """Write a state so that the file, whatever happens, holds all of it or what it held before.

    Raises
    ------
    TypeError
        See `pack`.
    OSError
        If the folder cannot be written to.
    """
    tensors: dict[str, Tensor] = {}
    text = json.dumps(pack(state, tensors))
    metadata = {"format": FORMAT, "state": text, "digest": _digest(path.stem, text, tensors)}
    write_atomically(path, save(tensors, metadata))


def read_state(path: Path) -> Any:
    """The state in a file that `write_state` wrote under this name; None if there is none.

    Raises
    ------
    ValueError
        For a file that is damaged, or not one of these, or was written under another name.
    OSError
        If it cannot be read.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        tensors = load(content)
        # safetensors gives out metadata only of files, and this one may be replaced between two looks.
        size = int.from_bytes(content[:8], "little")
        metadata = json.loads(content[8 : 8 + size])["__metadata__"]
        text = metadata["state"]
        if metadata["format"] == FORMAT and metadata["digest"] == _digest(path.stem, text, tensors):
            return unpack(json.loads(text), tensors)
    except (SafetensorError, ValueError, LookupError, TypeError) as error:
        raise ValueError(f"{path} is damaged or not a training state: {error}") from error
    raise ValueError(f"{path} is damaged or not a training state: its digest does not fit")


def _digest(key: str, text: str, tensors: Mapping[str, Tensor]) -> str:
    parts = hashlib.sha256(json.dumps([FORMAT, key, text]).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        parts.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        parts.update(tensor.contiguous().flatten().view(torch.uint8).numpy().data)
    return parts.hexdigest()
