"""What the process lends to a fit and gets back unchanged: random state, thread counts, a graphics card."""

import multiprocessing
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import torch
from threadpoolctl import ThreadpoolController

from sklstm._validation import caller_level

__all__ = ["check_cuda_process", "seeded_construction", "single_threaded_numpy", "thread_limit", "threads_for"]

# torch builds parameters from its one global generator; two fits in two threads must not seed it at the same time.
_CONSTRUCTION = threading.Lock()

# Multiply-adds of one time step of a batch below which one thread is taken. Two threads over one, forward and backward
# on two idle cores: on one machine 0.9 to 1.3 up to 1.2e6, 0.7 to 1.0 at 4.4e6, 0.5 to 0.7 from 1.7e7 on; on another
# 0.95 at 9e4, 0.79 at 3e5, 0.73 at 1.2e6, 0.63 at 2.5e6. Where the other core is busy, a second thread on small work
# costs orders of magnitude: what is between one and the other goes to one thread.
_SERIAL_WORK = 1_000_000

_TORCH_THREADS = threading.Lock()


@contextmanager
def seeded_construction(seed: int) -> Iterator[None]:
    """Run the block under torch's global generator with a seed, and restore its state afterwards.

    Parameters
    ----------
    seed : int
        Of the generator.

    Examples
    --------
    >>> import torch
    >>> from sklstm.training import seeded_construction
    >>> before = torch.get_rng_state()
    >>> with seeded_construction(0):
    ...     first = torch.nn.Linear(2, 2)
    >>> with seeded_construction(0):
    ...     second = torch.nn.Linear(2, 2)
    >>> torch.equal(first.weight, second.weight), torch.equal(torch.get_rng_state(), before)
    (True, True)
    """
    with _CONSTRUCTION, torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(seed)
        yield


def threads_for(batch_size: int, hidden_size: int, n_features: int, n_gates: int) -> int:
    """Number of threads worth using for one time step of a recurrent layer.

    Parameters
    ----------
    batch_size : int
        Sequences in a batch.
    hidden_size, n_features : int
        Units and channels of the layer.
    n_gates : int
        Its gate matrices.

    Returns
    -------
    int
        All that torch may use, or one.

    Examples
    --------
    >>> from sklstm.training import threads_for
    >>> threads_for(batch_size=8, hidden_size=4, n_features=1, n_gates=4)  # too little work to share
    1
    """
    work = batch_size * n_gates * hidden_size * (hidden_size + n_features)
    return _own_threads() if work > _SERIAL_WORK else 1


def _own_threads() -> int:
    with _TORCH_THREADS:  # a thread that is new to torch takes over the default here: not while that is another's limit
        return torch.get_num_threads()


@contextmanager
def thread_limit(n_threads: int) -> Iterator[None]:
    """Run the block with another intra-op thread count of torch in this thread, and restore it afterwards.

    Parameters
    ----------
    n_threads : int
        The count.

    Notes
    -----
    torch keeps a count for every thread, and a default that threads begin with; to set the one sets both. The default
    is handed back at once, so that a fit in one thread decides nothing about fits that begin in others meanwhile.

    Examples
    --------
    >>> import torch
    >>> from sklstm.training import thread_limit
    >>> before = torch.get_num_threads()
    >>> with thread_limit(1):
    ...     torch.get_num_threads()
    1
    >>> torch.get_num_threads() == before
    True
    """
    before = _own_threads()
    if n_threads == before:
        yield
        return
    with _TORCH_THREADS:
        torch.set_num_threads(n_threads)
        if threading.active_count() > 1:
            # The only way to the default that leaves our own count alone; about 70 µs on an idle core.
            helper = threading.Thread(target=torch.set_num_threads, args=(before,))
            helper.start()
            helper.join()
    try:
        yield
    finally:
        torch.set_num_threads(before)


class _SharedLimit:
    """One thread in numpy's matrix products while anyone wants it: their number belongs to the whole process."""

    def __init__(self) -> None:
        self.lock, self.holders = threading.Lock(), 0

    def __enter__(self) -> None:
        with self.lock:
            if self.holders == 0:
                self.limiter = _openblas().limit(limits=1)
            self.holders += 1

    def __exit__(self, *exception: object) -> None:
        with self.lock:
            self.holders -= 1
            if self.holders == 0:
                self.limiter.restore_original_limits()


_NUMPY_LIMIT = _SharedLimit()


@lru_cache(maxsize=1)
def _openblas() -> ThreadpoolController:
    return ThreadpoolController().select(internal_api="openblas")  # to find the libraries takes milliseconds


@contextmanager
def single_threaded_numpy() -> Iterator[None]:
    """Run the block with one thread in numpy's matrix products, and restore their number afterwards.

    The penalty multiplies matrices of a few thousand entries between steps of the network: a second thread brings
    nothing and fights with torch's. Blocks may overlap in several threads; the last to end restores the number.

    Examples
    --------
    >>> from threadpoolctl import threadpool_info
    >>> from sklstm.training import single_threaded_numpy
    >>> with single_threaded_numpy():
    ...     all(library["num_threads"] == 1 for library in threadpool_info() if library["internal_api"] == "openblas")
    True
    """
    with _NUMPY_LIMIT:
        yield


def check_cuda_process(device: str | torch.device) -> None:
    """Refuse CUDA in a process where a fork has broken it; warn where it may be shared by several worker processes.

    Parameters
    ----------
    device : str or torch.device
        Where a fit is about to run. CUDA is neither initialised nor asked for anything.

    Raises
    ------
    RuntimeError
        In a process that was forked after its parent had used CUDA.

    Warns
    -----
    UserWarning
        In a child process of multiprocessing or joblib, or in a worker of Dask.

    Examples
    --------
    >>> from sklstm.training import check_cuda_process
    >>> check_cuda_process("cpu")  # in any process
    """
    if torch.device(device).type != "cuda":
        return
    if torch.cuda._is_in_bad_fork():
        raise RuntimeError(
            f"device='{device}' cannot be used in this process: it was forked from one that had used CUDA, and CUDA "
            "does not survive a fork. Start workers with joblib's default backend 'loky' or multiprocessing's start "
            "method 'spawn', or fit with device='cpu'."
        )
    if _is_worker():
        warnings.warn(
            f"A fit with device='{device}' runs in a worker process. Workers that share a card take turns on it, and "
            "each holds a CUDA context of several hundred MB there: this is rarely faster than n_jobs=1, and may run "
            "out of memory. Use n_jobs=1 with device='cuda', or n_jobs > 1 with device='cpu', or give every worker a "
            "card of its own.",
            UserWarning,
            stacklevel=caller_level(),
        )


def _is_worker() -> bool:
    if multiprocessing.parent_process() is not None:  # also loky's workers, and Dask's under a nanny
        return True
    distributed = sys.modules.get("distributed")  # a Dask worker has imported it
    if distributed is None:
        return False
    try:
        distributed.get_worker()
    except ValueError:
        return False
    return True
