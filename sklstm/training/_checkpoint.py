"""Training that survives the end of its process: the state on disk, and a later fit that goes on from it."""

import os
import warnings
from contextlib import suppress
from numbers import Integral
from pathlib import Path
from typing import Any

from skorch.callbacks import Callback
from torch import Tensor

from sklstm._validation import caller_level
from sklstm.persistence import remove_leftovers

from ._fingerprint import changes_training, fingerprint_of_training
from ._state_file import SUFFIX, StateOf, pack, read_state, unpack, write_state

__all__ = ["Checkpoint"]


class Checkpoint(Callback):
    """Stores the state of training in a folder, and lets the same fit go on from there after an interruption.

    A fit is recognised by a hash of everything that determines it: data, starting weights, hyperparameters, callbacks,
    and the versions of this package and of torch. One folder therefore serves a whole search, whatever the number
    of workers: give it to the estimator inside, and after a crash, a power cut or Ctrl-C start the same search again.
    Finished fits are taken over, the one that was cut off continues at its last stored epoch, and the results are those
    of an undisturbed search, bit for bit.

    Parameters
    ----------
    folder : str or path-like
        Made if need be. Workers on several machines need one that all of them see.
    every : int, default=10
        Epochs from one stored state to the next. The end of training is stored in any case.
    keep : bool, default=True
        Whether the state of a finished fit stays in the folder. Without it a search that starts again repeats the fits
        it had finished.

    Raises
    ------
    ValueError, TypeError
        At the start of a fit, for parameters outside their range, a folder that cannot be made, or another callback
        whose state cannot be stored.

    Warns
    -----
    UserWarning
        If a file is damaged or foreign: it is ignored, and overwritten. If a state cannot be written: training goes on.

    Notes
    -----
    ``random_state`` must be an integer: with None every fit starts from other weights and is another fit. The code of
    callbacks and losses of your own is not part of the hash; after a change of it use another folder.

    Other callbacks take part: what they keep in attributes with a trailing underscore is stored and set again, or what
    their ``state_dict()`` returns, if they have one, with ``load_state_dict(state)`` to take it back. Those with a
    class attribute ``changes_training = False`` only watch, and are left out of hash and state.

    Files are named after the hash and hold tensors (safetensors) and JSON with a digest; none of it can run code. Each
    is replaced as a whole, so that several processes may train the same fit at once. The folder is yours to empty.

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
    runs_last = True  # so that it sees what the other callbacks made of an epoch

    def __init__(self, folder: str | os.PathLike[str], *, every: int = 10, keep: bool = True):
        self.folder = folder
        self.every = every
        self.keep = keep

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        self._check()
        start = _copied(_capture(net))  # before anything is trained: a state that cannot be stored is an error now
        self.path_ = Path(self.folder).absolute() / f"{fingerprint_of_training(net, X)}{SUFFIX}"
        self._make_folder()
        self.n_epochs_before_, self.is_finished_, self.has_warned_ = len(net.history), False, False
        stored = self._read()
        if stored is None:
            return
        try:
            finished, state = bool(stored["finished"]), stored["state"]
            _restore(net, state)
        except (RuntimeError, ValueError, LookupError, TypeError, AttributeError) as error:
            _restore(net, start)
            self._warn(f"{self.path_} does not fit this network and is ignored: {error}")
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
            raise ValueError(f"folder={self.folder!r} cannot be made: {error}. Name another one.") from error
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
        except OSError as error:
            if not self.has_warned_:
                self._warn(f"The training state cannot be stored; training goes on without: {error}.")
            self.has_warned_ = True

    def _warn(self, message: str) -> None:
        warnings.warn(message, UserWarning, stacklevel=caller_level())


def _capture(net: Any) -> dict[str, Any]:
    """All that the rest of training depends on, and the history; not copied."""
    return {
        "weights": net.module_.state_dict(),
        "optimizer": net.optimizer_.state_dict(),
        "generator": None if net.generator is None else net.generator.get_state(),
        "penalty": net.penalty.state_dict() if hasattr(net.penalty, "state_dict") else None,
        "history": list(net.history),
        "callbacks": {name: _state_of(callback) for name, callback in _participants(net)},
    }


def _copied(state: dict[str, Any]) -> dict[str, Any]:
    tensors: dict[str, Tensor] = {}
    return unpack(pack(state, tensors), tensors)


def _restore(net: Any, state: dict[str, Any]) -> None:
    """Set a net to a state that `_capture` took; strict about the names and shapes of weights."""
    net.module_.load_state_dict(state["weights"])
    net.optimizer_.load_state_dict(state["optimizer"])
    if net.generator is not None:
        net.generator.set_state(state["generator"])
    if hasattr(net.penalty, "load_state_dict"):
        net.penalty.load_state_dict(state["penalty"], net.module_)
    net.history[:] = state["history"]
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
    return {name: value for name, value in vars(callback).items() if name.endswith("_")}
