"""Hashes: of everything that determines a training run, and of data alone."""

import functools
import hashlib
import pickle
import types
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sklstm._sequences import Sequences

# Where a net trains and how much it prints; its start and its callbacks are described separately.
_LEFT_OUT = {"callbacks", "device", "verbose", "_params_to_validate"}
# Number of sequences of a file that are read at once.
_ROWS = 1024


def changes_training(callback: Any) -> bool:
    """Whether a callback may influence the trained weights: True unless its attribute of this name is False."""
    return bool(getattr(callback, "changes_training", True))


def fingerprint_of_training(net: Any, training_data: Any) -> str:
    """SHA-256 of what determines the rest of a net's training, in hexadecimal digits.

    Parameters
    ----------
    net : SequenceNet
        An initialised net, with the weights, optimiser and generator that training starts from.
    training_data : SequenceDataset

    Returns
    -------
    str of 64 characters
        Hash, the same in every process. It covers parameters of the net, weights, optimiser, generator, callbacks that
        may change the training, data, and the versions of this package and of torch. It does not cover the code of
        classes.

    Raises
    ------
    TypeError
        If a part neither has attributes nor can be pickled.
    """
    parameters = {name: value for name, value in net.get_params(deep=False).items() if name not in _LEFT_OUT}
    callbacks = [
        [type(callback), {name: value for name, value in vars(callback).items() if not name.endswith("_")}]
        for _, callback in net.callbacks_
        if changes_training(callback)
    ]
    hasher = _Hasher()
    for part in (
        [_version("sklstm"), torch.__version__],
        parameters,
        callbacks,
        dict(net.module_.state_dict()),
        net.optimizer_.state_dict(),
        len(net.history),
        [training_data.X, training_data.y, training_data.weight],  # not what has been computed of them so far
    ):
        hasher.feed(part)
    return hasher.hexdigest()


def fingerprint_of_data(X: Sequences, y: np.ndarray) -> str:
    """SHA-256 of training data, in hexadecimal digits; sequences of a file are read once, some at a time.

    Parameters
    ----------
    X : Sequences
        Sequences, as the float32 numbers that a network sees.
    y : ndarray of shape (n,) or (n, k)
        Targets or class numbers.

    Returns
    -------
    str of 64 characters
        Hash, the same in every process, for data in memory or in a file. Another order of the sequences gives another
        hash.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm._sequences import Sequences
    >>> from sklstm.training._fingerprint import fingerprint_of_data
    >>> X, y = np.arange(6.0).reshape(3, 2, 1), np.arange(3)
    >>> known = fingerprint_of_data(Sequences(X), y)
    >>> known == fingerprint_of_data(Sequences(X.astype(np.int16)), y)
    True
    >>> known == fingerprint_of_data(Sequences(X[::-1]), y[::-1])
    False
    """
    hasher = _Hasher()
    hasher.feed(X)
    hasher.feed(np.ascontiguousarray(y))
    return hasher.hexdigest()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # run from its sources
        return "unknown"


class _Hasher:
    """Feeds values to SHA-256 so that different values never look alike: each with its kind and its length."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._open: list[int] = []  # containers being described, against cycles

    def hexdigest(self) -> str:
        return self._hash.hexdigest()

    def feed(self, value: Any) -> None:
        if value is None or isinstance(value, bool | int | float | complex | np.generic | torch.dtype | torch.device):
            self._add(type(value).__name__, repr(value).encode())
        elif isinstance(value, str):
            self._add("str", value.encode("utf-8", "surrogatepass"))
        elif isinstance(value, bytes | bytearray):
            self._add("bytes", value)
        elif isinstance(value, Tensor):
            plain = value.detach().cpu().contiguous()
            self._add(f"tensor {plain.dtype} {tuple(plain.shape)}", plain.flatten().view(torch.uint8).numpy().data)
        elif isinstance(value, Sequences):
            # By the numbers that a network sees: a fit continues for data in memory or in a file.
            if value.lengths is not None:
                self._feed_all("sequences", [value.lengths, value.loaded("cpu").values])
                return
            self._announce(f"tensor torch.float32 {value.shape}", 4 * value.n_numbers)
            for part in value.split(_ROWS):
                self._hash.update(part.cpu().contiguous().numpy().data)
        elif isinstance(value, np.ndarray) and value.dtype != object:
            self._add(f"array {value.dtype.str} {value.shape}", np.ascontiguousarray(value).tobytes())
        elif isinstance(value, torch.Generator):
            self.feed(value.get_state())
        elif isinstance(value, type | types.BuiltinFunctionType):
            self._add("named", f"{value.__module__}.{value.__qualname__}".encode())
        elif isinstance(value, types.ModuleType):
            self._add("module", value.__name__.encode())
        elif id(value) in self._open:
            self._add("cycle", str(self._open.index(id(value))).encode())
        else:
            self._open.append(id(value))
            self._feed_compound(value)
            self._open.pop()

    def _add(self, kind: str, content: Any) -> None:
        self._announce(kind, memoryview(content).nbytes)
        self._hash.update(content)

    def _announce(self, kind: str, size: int) -> None:
        self._hash.update(f"{kind} {size}:".encode())

    def _feed_compound(self, value: Any) -> None:
        if isinstance(value, dict):
            self._feed_all("dict", [part for item in sorted(value.items(), key=_by_key) for part in item])
        elif isinstance(value, list | tuple | np.ndarray):
            self._feed_all(type(value).__name__, list(value))
        elif isinstance(value, set | frozenset):
            self._feed_all("set", sorted(value, key=repr))
        elif isinstance(value, functools.partial):
            self._feed_all("partial", [value.func, value.args, value.keywords])
        elif isinstance(value, types.FunctionType):
            # Two lambdas have one name.
            cells = [cell.cell_contents for cell in value.__closure__ or ()]
            parts = [value.__module__, value.__qualname__, value.__code__, value.__defaults__, value.__kwdefaults__]
            self._feed_all("function", [*parts, cells])
        elif isinstance(value, types.MethodType):
            self._feed_all("method", [value.__func__, value.__self__])
        elif isinstance(value, types.CodeType):
            self._feed_all("code", [value.co_code, value.co_names, value.co_consts])
        else:
            # What a pickle would hold, attribute by attribute: the bytes of a pickle depend on which parts are shared.
            state = value.__getstate__()
            self._feed_all("object", [type(value), self._pickled(value) if state is None else state])

    def _feed_all(self, kind: str, values: list[Any]) -> None:
        self._add(kind, str(len(values)).encode())
        for value in values:
            self.feed(value)

    def _pickled(self, value: Any) -> bytes:
        try:
            return pickle.dumps(value, protocol=4)
        except Exception as error:  # pickle raises any error of the object's own code
            raise TypeError(
                f"this fit cannot be told apart from other fits, because it holds {value!r}, which cannot be pickled. "
                "Leave out the Checkpoint, or the callback or parameter that holds it."
            ) from error


def _by_key(item: tuple[Any, Any]) -> tuple[str, str]:
    return type(item[0]).__name__, repr(item[0])
