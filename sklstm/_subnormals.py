"""Subnormal numbers: whether arithmetic keeps them or treats them as zero.

Numbers below the smallest normal one, 1e-38 in float32, have fewer digits, and every operation on them takes many times
as long. A processor can treat them as zero instead. Every thread has its own mode, and a new thread inherits the mode
of the thread that starts it. This includes the threads of OpenMP that share the work of torch's functions, and these
threads stay alive.
"""

import ctypes
import functools
import sys
import threading
from collections.abc import Callable
from functools import lru_cache
from typing import ParamSpec, TypeVar

import torch
from threadpoolctl import ThreadpoolController

P = ParamSpec("P")
T = TypeVar("T")


class _Local(threading.local):
    """Values of each thread."""

    def __init__(self) -> None:
        self.n_threads = 1  # that torch shared work among when the mode was last set


_LOCAL = _Local()
_HARD = 2  # omp_pause_hard


def are_flushed() -> bool:
    """Whether this thread treats subnormal numbers as zero, as after ``torch.set_flush_denormal(True)``.

    torch has no query for this. Half of the smallest normal number is subnormal.

    Returns
    -------
    bool

    Examples
    --------
    >>> import torch
    >>> from sklstm._subnormals import are_flushed, set_flushed
    >>> set_flushed(True)
    >>> are_flushed(), torch.tensor(1e-38) * 0.1 == 0
    (True, tensor(True))
    >>> set_flushed(False)
    >>> are_flushed()
    False
    """
    return sys.float_info.min / 2.0 == 0.0


def set_flushed(flushed: bool) -> None:
    """Treat subnormal numbers as zero in this thread and in those that share its work, or keep them.

    Nothing happens on processors without such a mode.

    Parameters
    ----------
    flushed : bool

    Notes
    -----
    The threads that share the work are ended first. The threads of the next work inherit the mode. Only GNU's OpenMP,
    which torch has on Linux, does this for the threads of the caller alone. With other libraries they do not change.
    """
    n_threads = torch.get_num_threads()
    if max(n_threads, _LOCAL.n_threads) > 1:
        for library in _gnu_openmp():
            library.omp_pause_resource_all(_HARD)
    torch.set_flush_denormal(flushed)
    _LOCAL.n_threads = n_threads


@lru_cache(maxsize=1)
def _gnu_openmp() -> list[ctypes.CDLL]:
    # To find the libraries takes milliseconds.
    libraries = ThreadpoolController().select(internal_api="openmp").lib_controllers
    gnu = [ctypes.CDLL(library.filepath) for library in libraries if library.prefix == "libgomp"]
    return [library for library in gnu if hasattr(library, "omp_pause_resource_all")]


def keeps_subnormals(function: Callable[P, T]) -> Callable[P, T]:
    """Run a function in arithmetic that keeps subnormal numbers, in any mode of the caller.

    Examples
    --------
    >>> import torch
    >>> from sklstm._subnormals import are_flushed, keeps_subnormals, set_flushed
    >>> set_flushed(True)
    >>> keeps_subnormals(are_flushed)(), are_flushed()
    (False, True)
    >>> set_flushed(False)
    """

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        if not are_flushed():
            return function(*args, **kwargs)
        try:
            try:
                set_flushed(False)
                return function(*args, **kwargs)
            finally:
                set_flushed(True)
        finally:  # repairs what an interrupt has cut off
            set_flushed(True)

    return call
