"""Ctrl-C at a line of one's choice: what a test raises in place of the system."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from threadpoolctl import threadpool_info

import sklstm
from sklstm._subnormals import are_flushed
from sklstm.training import _process

PACKAGE = str(Path(sklstm.__file__).parent) + os.sep


def settings():
    """What a call must leave as it was."""
    return {
        "torch threads": torch.get_num_threads(),
        "BLAS threads": [each["num_threads"] for each in threadpool_info() if each["internal_api"] == "openblas"],
        "flushed": are_flushed(),
        "grad": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        # Not of get_default_device, which torch 2.6 breaks when a device is taken back.
        "default device": str(torch.empty(0).device),
        "modes": [id(torch._C._get_function_stack_at(i)) for i in range(torch._C._len_torch_function_stack())],
        "autocast": torch.is_autocast_enabled("cpu"),
        "errors": np.geterr(),
        "locks": [lock.is_owned() for lock in _process._Lock.all],  # one left held stops all other threads
        "products": [setting.read() for setting in _process._ROUNDINGS["cpu"]],
    }


def lines_of(call: Callable[[], object], folder: str = PACKAGE) -> list[tuple[str, int]]:
    """Every line of a folder's files that a call runs, once, in the order of their first run."""
    seen: dict[tuple[str, int], None] = {}

    def local(frame, event, arg):
        if event == "line":
            seen.setdefault((frame.f_code.co_filename, frame.f_lineno))
        return local

    _traced(call, local, folder)
    return list(seen)


def interrupted_at(call: Callable[[], object], place: tuple[str, int], number: int = 1) -> bool:
    """Run a call and raise KeyboardInterrupt before a line's ``number``-th run; whether it came out of the call."""
    left = number

    def local(frame, event, arg):
        nonlocal left
        if event == "line" and (frame.f_code.co_filename, frame.f_lineno) == place:
            left -= 1
            if left == 0:
                sys.settrace(None)
                raise KeyboardInterrupt
        return local

    try:
        _traced(call, local, place[0])
    except KeyboardInterrupt:
        return True
    return False


def interrupted_at_entry(call: Callable[[], object], function: Callable[..., object], number: int = 1) -> bool:
    """Run a call and raise KeyboardInterrupt as a function of any library is entered for the ``number``-th time."""
    left = number

    def entered(frame, event, arg):
        nonlocal left
        if frame.f_code is function.__code__:
            left -= 1
            if left == 0:
                sys.settrace(None)
                raise KeyboardInterrupt

    try:
        _with_trace(call, entered)
    except KeyboardInterrupt:
        return True
    return False


def _traced(call: Callable[[], object], local, folder: str) -> None:
    _with_trace(call, lambda frame, event, arg: local if frame.f_code.co_filename.startswith(folder) else None)


def _with_trace(call: Callable[[], object], trace) -> None:
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)


def harmful_lines(call: Callable[[], object], places: list[tuple[str, int]]) -> Iterator[str]:
    """The places at which an interrupt changes a setting, or does not come out."""
    before = settings()
    for place in places:
        came_out = interrupted_at(call, place)
        after = settings()
        changed = [name for name in before if after[name] != before[name]]
        if changed or not came_out:
            where = f"{Path(place[0]).name}:{place[1]}"
            yield f"{where}: {', '.join(changed)}" if changed else f"{where}: no interrupt came out"
            before = after
