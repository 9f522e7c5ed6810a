"""Training that survives the end of its process: the state on disk, and a later fit that continues from it."""

import copy
import math
import os
import types
import warnings
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sklstm._validation import caller_level
from sklstm.persistence._atomic import remove_leftovers, write_atomically
from sklstm.persistence._class_forms import conforms
from sklstm.persistence._codec import Codec, check_keys
from sklstm.persistence._container import ModelFileError, read_document, to_bytes

from ._callbacks import DivergenceGuard, EarlyStopping, LearningRate
from ._fingerprint import changes_training, fingerprint_of_training
from ._net import OwnCallback
from ._snapshot import append_epochs, check_history, columns_of, compare_weights

_SUFFIX = ".safetensors"
_KIND = "training state"
# Errors that a state from a file may raise if it does not fit; never an interrupt.
_MISFITS = (RuntimeError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError)


class Checkpoint(OwnCallback):
    """Stores the state of training in a folder, so that the same fit can continue after an interruption.

    A fit is recognised by a hash of everything that determines it. This is data, starting weights, hyperparameters,
    callbacks, and the versions of this package and of torch. So one folder serves a whole search, with any number of
    workers. Give it to the estimator inside. After a crash, a power cut or Ctrl-C, start the same search again.
    Finished fits are taken over, and the interrupted fit continues at its last stored epoch. The results are those of
    an undisturbed search, bit for bit.

    Parameters
    ----------
    folder : str or path-like
        Path of the folder, which is made if it does not exist. Workers on several machines need a folder that all of
        them see.
    every : int, default=10
        Number of epochs from one stored state to the next. The end of training is always stored.
    keep : bool, default=True
        Whether the state of a finished fit stays in the folder. Without it a restarted search repeats its finished
        fits.

    Raises
    ------
    ValueError, TypeError
        At the start of a fit: for parameters outside their range, a folder that cannot be made, or another callback
        whose state cannot be stored.

    Warns
    -----
    UserWarning
        If a file is damaged or from elsewhere: it is ignored and overwritten. Also if a state cannot be written:
        training goes on.

    Notes
    -----
    ``random_state`` must be an integer. With None every fit starts from other weights and is another fit. The code of
    your own callbacks and losses is not part of the hash; after a change of it use another folder.

    Other callbacks take part. If they have ``state_dict()`` and ``load_state_dict(state)``, these are used. Otherwise
    their attributes with a trailing underscore are stored and restored. Callbacks with a class attribute
    ``changes_training = False`` only watch, and are left out of hash and state.

    Files have the format of saved models (safetensors and JSON with a digest) and the hash as their name; no code in
    them can run. Each is replaced as a whole, so that several processes may train the same fit at once. You may empty
    the folder. The content of a file is checked before training continues from it, except values of your own callbacks.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from sklstm import TikhonovLSTMRegressor
    >>> from sklstm.training import Checkpoint
    >>> X = np.random.default_rng(0).standard_normal((60, 5, 1))
    >>> y = X[:, -1, 0]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model = TikhonovLSTMRegressor(4, max_epochs=5, callbacks=[Checkpoint(folder)], random_state=0)
    ...     first = model.fit(X, y).predict(X)
    ...     again = model.fit(X, y).predict(X)  # nothing is trained
    >>> bool(np.array_equal(first, again))
    True
    """

    changes_training = False
    runs_last = True  # so that it sees the results of the other callbacks for an epoch

    def __init__(self, folder: str | os.PathLike[str], *, every: int = 10, keep: bool = True):
        self.folder = folder
        self.every = every
        self.keep = keep

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        self._check()
        start = _copied(_capture(net))  # before anything is trained: a state that cannot be stored is an error now
        self.path_ = Path(self.folder).absolute() / f"{fingerprint_of_training(net, X)}{_SUFFIX}"
        self._make_folder()
        self.n_epochs_before_, self.is_finished_, self.has_warned_ = len(net.history), False, False
        stored = self._read()
        if stored is None:
            return
        before = [(callback, dict(vars(callback))) for _, callback in _participants(net)]
        try:
            finished = _go_on_from(net, stored, start)
        except _MISFITS as error:
            for callback, attributes in before:
                vars(callback).clear()
                vars(callback).update(attributes)
            _restore(net, start)
            self._warn(f"{self.path_} does not fit this network and is ignored: {error!s:.500}")
            return
        self.is_finished_ = finished
        net.epochs_left_ = 0 if finished else max(0, net.max_epochs - self._epochs(net))

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        if self._epochs(net) % self.every == 0 and self._epochs(net) < net.max_epochs:
            self._write(net)

    def on_train_end(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        if not self.keep:
            with suppress(OSError):
                self.path_.unlink(missing_ok=True)
        elif not self.is_finished_:
            self.is_finished_ = True
            self._write(net)

    def _epochs(self, net: Any) -> int:
        return len(net.history) - self.n_epochs_before_

    def _check(self) -> None:
        if not isinstance(self.folder, str | os.PathLike) or not os.fspath(self.folder):
            raise TypeError(f"folder must be a path, got {self.folder!r}.")
        if not isinstance(self.every, Integral) or isinstance(self.every, bool) or self.every < 1:
            raise ValueError(f"every must be a positive integer, got {self.every!r}.")
        if not isinstance(self.keep, bool):
            raise TypeError(f"keep must be True or False, got {self.keep!r}.")

    def _make_folder(self) -> None:
        folder = self.path_.parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(f"folder={self.folder!r} cannot be made: {error}. Name another folder.") from error
        remove_leftovers(folder)

    def _read(self) -> Any:
        try:
            return read_state(self.path_)
        except (ValueError, OSError) as error:
            self._warn(f"A stored training state is ignored and will be overwritten: {error}.")
            return None

    def _write(self, net: Any) -> None:
        try:
            write_state(self.path_, {"finished": self.is_finished_, "state": _capture(net)})
        except (OSError, ValueError) as error:
            if not self.has_warned_:
                self._warn(f"The training state cannot be stored; training goes on without: {error}.")
            self.has_warned_ = True

    def _warn(self, message: str) -> None:
        warnings.warn(message, UserWarning, stacklevel=caller_level())


def _capture(net: Any) -> dict[str, Any]:
    """All that the rest of training depends on, and the history; not copied."""
    return {
        "weights": dict(net.module_.state_dict()),
        "optimizer": net.optimizer_.state_dict(),
        "generator": None if net.generator is None else net.generator.get_state(),
        "penalty": None if net.penalty is None else net.penalty.state_dict(),
        "history": columns_of(net.history, (object,)),
        "callbacks": {name: _state_of(callback) for name, callback in _participants(net)},
    }


def _copied(state: dict[str, Any]) -> dict[str, Any]:
    try:
        return _CODEC.decode(_CODEC.encode(state, "state"), "state")
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"{str(error).rstrip('.')}: the state of this training cannot be stored. Give the callback that holds it "
            "state_dict() and load_state_dict(). Or leave out that callback, or Checkpoint."
        ) from error


def _restore(net: Any, state: dict[str, Any]) -> None:
    """Set a net to a state that `_capture` took; strict about the names and shapes of weights."""
    state = copy.deepcopy(state)  # torch's optimisers use the given tensors themselves, and change them
    net.module_.load_state_dict(state["weights"])
    net.optimizer_.load_state_dict(state["optimizer"])
    if net.generator is not None:
        net.generator.set_state(state["generator"])
    if net.penalty is not None and state["penalty"] is not None:
        net.penalty.load_state_dict(state["penalty"], net.module_)
    del net.history[:]
    append_epochs(net.history, state["history"])
    for name, callback in _participants(net):
        own = state["callbacks"][name]
        if hasattr(callback, "load_state_dict"):
            callback.load_state_dict(own)
            continue
        for attribute, value in own.items():
            if not isinstance(value, StateOf):
                setattr(callback, attribute, value)
            elif value.state is not None:
                getattr(callback, attribute).load_state_dict(value.state)


def _participants(net: Any) -> list[tuple[str, Any]]:
    return [(name, callback) for name, callback in net.callbacks_ if changes_training(callback)]


def _state_of(callback: Any) -> Any:
    if hasattr(callback, "state_dict"):
        return callback.state_dict()
    return {name: _stored(value) for name, value in vars(callback).items() if name.endswith("_")}


def _stored(value: Any) -> Any:
    if isinstance(value, type | types.FunctionType | types.BuiltinFunctionType):
        return StateOf(None)
    if hasattr(value, "state_dict") and hasattr(value, "load_state_dict"):
        return StateOf(value.state_dict())
    return value


def _go_on_from(net: Any, stored: Any, start: dict[str, Any]) -> bool:
    """Set a net to a stored state, which may be invalid; returns whether its training is finished.

    Raises
    ------
    RuntimeError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError
        If the state cannot be one of this training. The net is then in an undefined state.
    """
    if type(stored) is not dict or set(stored) != {"finished", "state"} or type(stored["finished"]) is not bool:
        raise ValueError("it is no state of a training")
    finished, state = stored["finished"], stored["state"]
    if type(state) is not dict or set(state) != set(start):
        raise ValueError("it is no state of a training")
    compare_weights(state["weights"], start["weights"])
    n_epochs = _check_history(state["history"], net)
    _try_a_step(net)
    example = net.optimizer_.state_dict()
    # Parameters that were always frozen have no state.
    known = {number: example["state"][number] for number in state["optimizer"]["state"]}
    _check_alike(state["optimizer"], example | {"state": known}, "optimizer")
    if any(not 0 < group["lr"] <= 1e38 for group in state["optimizer"]["param_groups"]):
        raise ValueError("its learning rate is invalid")
    _check_alike(state["penalty"], _capture(net)["penalty"], "penalty")
    if type(state["callbacks"]) is not dict or set(state["callbacks"]) != set(start["callbacks"]):
        raise ValueError("it has other callbacks")
    for name, callback in _participants(net):
        if type(callback) in _OWN:
            _OWN[type(callback)](state["callbacks"][name], start, name, n_epochs, finished)
    _restore(net, state)
    _try_a_step(net)
    _restore(net, state)
    return finished


def _check_history(columns: Any, net: Any) -> int:
    """Number of epochs in a stored history; ``ValueError`` unless this net can have made them."""
    n_epochs, n_before = check_history(columns), len(net.history)
    if not n_before < n_epochs <= n_before + net.max_epochs:
        raise ValueError(f"it has {n_epochs} epochs, which this training cannot have")
    always = {"epoch", "data_loss", "penalty", *(["valid_loss"] if net.train_split is not None else [])}
    place = 0
    for part in columns:
        place += len(part["train_loss"])
        for name in always if place > n_before else always & set(part):
            if not conforms(part.get(name), list[float]):
                raise ValueError(f"an epoch of its history has no {name}")
    return n_epochs


def _try_a_step(net: Any) -> None:
    """Try penalty and optimiser once, without data; errors are raised if their state does not fit the network."""
    with torch.enable_grad():
        for parameter in net.module_.parameters():
            parameter.grad = torch.zeros_like(parameter)
        penalty = 0.0 if net.penalty is None else net.penalty(net.module_)
        net.optimizer_.step()
        net.optimizer_.zero_grad(set_to_none=True)
    finite = all(parameter.isfinite().all() for parameter in net.module_.parameters())
    if not (finite and math.isfinite(penalty)):
        raise ValueError("a step from it ends in numbers that are not finite")


def _check_alike(value: Any, example: Any, name: str, *, finite: bool = True) -> None:
    """``ValueError`` unless the value has the keys, types and shapes of the example, to the last element."""
    if isinstance(example, Real):
        good = isinstance(value, Real) and (math.isfinite(value) or not finite)
    elif isinstance(example, Tensor):
        good = isinstance(value, Tensor) and (value.shape, value.dtype) == (example.shape, example.dtype)
        good = good and bool(value.isfinite().all())
    else:
        good = type(value) is type(example)
    if good and isinstance(example, dict):
        good = set(value) == set(example)
    elif good and isinstance(example, list | tuple):
        good = len(value) == len(example)
    if not good:
        raise ValueError(f"{name} is not what this training has there")
    if isinstance(example, dict | list | tuple):
        for key in example if isinstance(example, dict) else range(len(example)):
            _check_alike(value[key], example[key], f"{name}[{key!r}]", finite=finite)


def _check_guard(own: Any, start: dict[str, Any], name: str, n_epochs: int, finished: bool) -> None:
    for attribute, example in start["callbacks"][name].items():
        if isinstance(example, dict):
            compare_weights(own[attribute], start["weights"])
        elif type(own[attribute]) is not int or not 0 <= own[attribute] <= n_epochs:
            raise ValueError(f"{attribute} is no number of epochs")


def _check_early_stopping(own: Any, start: dict[str, Any], name: str, n_epochs: int, finished: bool) -> None:
    if not conforms(own["best_loss_"], float) or type(own["best_epoch_"]) is not int:
        raise ValueError("it has no best epoch")
    if own["best_weights_"] is not None or finished:
        compare_weights(own["best_weights_"], start["weights"])


def _check_learning_rate(own: Any, start: dict[str, Any], name: str, n_epochs: int, finished: bool) -> None:
    if type(own["done_"]) is not int or not 0 <= own["done_"] <= n_epochs:
        raise ValueError("it has no number of epochs done")
    example = start["callbacks"][name]["plateau_"]
    if isinstance(example, StateOf) and not finished:
        _check_alike(own["plateau_"].state, example.state, "the schedule", finite=False)
    elif own["plateau_"] is not None:
        raise ValueError("it has another schedule")


# The package's own callbacks that keep a state, and how it is checked.
_OWN: dict[type, Callable[[Any, dict[str, Any], str, int, bool], None]] = {
    DivergenceGuard: _check_guard,
    EarlyStopping: _check_early_stopping,
    LearningRate: _check_learning_rate,
}


class StateOf:
    """Represents an object that is not itself stored; its owner loads this ``state_dict()`` into a new one.

    The state is None for a class or a function, which have none.
    """

    def __init__(self, state: Any):
        self.state = state


class _FormOf:
    """Tells the codec how to take objects of a class apart, by two functions."""

    def __init__(self, kind: type, take_apart: Callable[[Any], Any], put_together: Callable[..., Any]):
        self.kind, self.take_apart, self.put_together = kind, take_apart, put_together

    def fields(self, value: Any) -> dict[str, Any]:
        return {"parts": self.take_apart(value)}

    def build(self, fields: dict[str, Any]) -> Any:
        (parts,) = fields.values()
        return self.put_together(parts)


def _dict_of(parts: Any) -> dict[Any, Any]:
    keys, values = parts
    check_keys(keys, "it")
    return dict(zip(keys, values, strict=True))


def _ordered(parts: Any) -> OrderedDict[Any, Any]:
    return OrderedDict(_dict_of(parts))


def _bfloat16(parts: Any) -> Tensor:
    if not isinstance(parts, Tensor) or parts.dtype != torch.int16:
        raise ValueError("it is no tensor of 16 bits")
    return parts.view(torch.bfloat16)


def _bits(value: Tensor) -> Tensor:
    if value.dtype != torch.bfloat16:
        raise TypeError(f"A tensor of dtype {value.dtype} cannot be saved.")
    return value.detach().cpu().view(torch.int16)


# For the state of callbacks, besides what models hold: tensors may be bfloat16, integers and keys of any kind.
_CODEC = Codec(
    {
        "StateOf": _FormOf(StateOf, lambda value: value.state, StateOf),
        "set": _FormOf(set, lambda value: sorted(value, key=repr), lambda parts: set(_dict_of((parts, parts)))),
        "OrderedDict": _FormOf(OrderedDict, lambda value: (list(value), list(value.values())), _ordered),
        "dict": _FormOf(dict, lambda value: (list(value), list(value.values())), _dict_of),
        "int": _FormOf(int, hex, lambda parts: int(parts, 16)),
        "bfloat16": _FormOf(Tensor, _bits, _bfloat16),
    }
)


def write_state(path: Path, state: Any) -> None:
    """Write a state so that after any interruption the file holds all of it, or its old content.

    Raises
    ------
    TypeError, ValueError
        If something in the state cannot be stored.
    OSError
        If the folder cannot be written to.
    """
    write_atomically(path, to_bytes({"kind": _KIND, "key": path.stem, "state": _CODEC.encode(state, "state")}))


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
        document = read_document(path)
        if set(document) != {"kind", "key", "state"} or document["kind"] != _KIND:
            raise ValueError("it holds something else")
        if document["key"] != path.stem:
            raise ValueError("it is the state of another training, copied to this name")
        return _CODEC.decode(document["state"], "state")
    except FileNotFoundError:
        return None
    except ValueError as error:
        reason = error.reason if isinstance(error, ModelFileError) else error
        raise ValueError(f"{path} is damaged or not a training state: {reason!s:.500}") from error
