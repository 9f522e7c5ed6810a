"""What the process lends to a fit and gets back unchanged: random state, thread count, grad mode."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import torch
from threadpoolctl import ThreadpoolController

__all__ = ["seeded_construction", "single_threaded_numpy", "thread_limit", "threads_for"]

# torch builds parameters from its one global generator; two fits in two threads must not seed it at the same time.
_CONSTRUCTION = threading.Lock()

# Multiply-adds of one time step of a batch below which a second thread brings little or nothing. Forward and backward
# with two threads over one, on two idle cores: 0.9-1.3 up to 1.2e6, 0.7-1.0 at 4.4e6, 0.5-0.7 from 1.7e7 on. Where the
# other core is busy, a second thread on small work costs orders of magnitude, so ties go to one.
_SERIAL_WORK = 3_000_000


@contextmanager
def seeded_construction(seed: int) -> Iterator[None]:
    """Run the block under torch's global generator seeded with ``seed``, and restore its state afterwards."""
    with _CONSTRUCTION, torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(seed)
        yield


def threads_for(batch_size: int, hidden_size: int, n_features: int, n_gates: int) -> int:
    """Threads worth using for one time step of a recurrent layer: all that torch may use, or one."""
    work = batch_size * n_gates * hidden_size * (hidden_size + n_features)
    return torch.get_num_threads() if work > _SERIAL_WORK else 1


@contextmanager
def thread_limit(n_threads: int) -> Iterator[None]:
    """Run the block with torch's intra-op thread count set to ``n_threads``, and restore it afterwards."""
    before = torch.get_num_threads()
    if n_threads == before:
        yield
        return
    torch.set_num_threads(n_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@lru_cache(maxsize=1)
def _openblas() -> ThreadpoolController:
    return ThreadpoolController().select(internal_api="openblas")  # to find the libraries takes milliseconds


@contextmanager
def single_threaded_numpy() -> Iterator[None]:
    """Run the block with one thread in numpy's matrix products, and restore their number afterwards.

    The penalty multiplies matrices of a few thousand entries between steps of the network: a second thread brings
    nothing and fights with torch's.
    """
    with _openblas().limit(limits=1):
        yield
