"""Settings of the process, set for a call and restored: threads, random state, precision, device, errors."""

import functools
import multiprocessing
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple, ParamSpec, TypeVar

import numpy as np
import torch
from threadpoolctl import ThreadpoolController
from torch import nn
from torch.utils._device import DeviceContext

from sklstm._subnormals import are_flushed, set_flushed
from sklstm._validation import caller_level

P = ParamSpec("P")
T = TypeVar("T")

#: Number types of a fit; see ``docs/guide/precision.md``.
PRECISIONS = ("float32", "tf32", "bfloat16")


class _Lock:
    """A lock that `restores_settings` releases if an interrupt has left it held; ``all`` has every such lock.

    The thread that holds it can acquire it again. A ``with`` block that ends after this has nothing to release.
    """

    all: ClassVar[list["_Lock"]] = []

    def __init__(self) -> None:
        lock: Any = threading.RLock()
        self._lock = lock
        self.is_owned: Callable[[], bool] = lock._is_owned  # by this thread
        self.all.append(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *error: object) -> None:
        if self.is_owned():
            self._lock.release()


# torch builds parameters from its one global generator; two fits in two threads must not seed it at the same time.
_CONSTRUCTION = _Lock()

# Below this number of multiply-adds of one time step of a batch, one thread is used. Time with two threads relative to
# one, forward and backward, on two idle cores: on one machine 0.9 to 1.3 up to 1.2e6, 0.7 to 1.0 at 4.4e6, 0.5 to 0.7
# from 1.7e7 on; on another 0.95 at 9e4, 0.79 at 3e5, 0.73 at 1.2e6, 0.63 at 2.5e6. If the other core is busy, a second
# thread on small work costs orders of magnitude, so sizes in between use one thread.
_SERIAL_WORK = 1_000_000

_TORCH_THREADS = _Lock()
_AUTOCAST = ("cpu", "cuda", "mps")


class _Local(threading.local):
    """Values of each thread."""

    def __init__(self) -> None:
        self.held: list[tuple[_Shared, object]] = []  # settings of the process that it holds now
        self.calls: list[object] = []  # of functions that restore settings, the innermost last


_LOCAL = _Local()


# Settings of this thread, which are restored at the end of every call.


@dataclass(frozen=True)
class _Settings:
    """The settings of a thread that calls of this package change; `restore` may be called more than once."""

    n_threads: int
    flushed: bool  # subnormal numbers
    grad: bool
    autocast: tuple[bool, ...]
    modes: list[Any]
    errors: Any  # as from `numpy.geterr`
    n_shared: int
    locks: tuple[bool, ...]

    @classmethod
    def now(cls) -> "_Settings":
        return cls(
            n_threads=_own_threads(),
            flushed=are_flushed(),
            grad=torch.is_grad_enabled(),
            autocast=tuple(map(torch.is_autocast_enabled, _AUTOCAST)),
            modes=_modes(),
            errors=np.geterr(),
            n_shared=len(_held()),
            locks=_owned(),
        )

    def put_aside(self) -> None:
        """Turn autocast, default device and flushing off until `restore`, so that results do not depend on them.

        `with torch.device("cpu")` is not used for the device: an interrupt in it leaves torch's stack of modes half
        rebuilt. A mode for the CPU instead of the caller's is not used either. torch removes and restores modes for
        many of its functions, and an interrupt in between restores it when the call is over.
        """
        if self.flushed:
            set_flushed(False)
        for kind, enabled in zip(_AUTOCAST, self.autocast, strict=True):
            if enabled:
                torch.set_autocast_enabled(kind, False)
        others = [mode for mode in self.modes if not isinstance(mode, DeviceContext)]
        if others != self.modes:
            _set_modes(others)

    def restore(self) -> None:
        # Every line does nothing if it has been done before: the second run repairs what an interrupt cut off.
        _release(self.locks)
        if are_flushed() != self.flushed:
            set_flushed(self.flushed)
        if torch.get_num_threads() != self.n_threads:
            torch.set_num_threads(self.n_threads)
        if torch.is_grad_enabled() != self.grad:
            torch.set_grad_enabled(self.grad)
        for kind, enabled in zip(_AUTOCAST, self.autocast, strict=True):
            if torch.is_autocast_enabled(kind) != enabled:
                torch.set_autocast_enabled(kind, enabled)
        if _modes() != self.modes:  # a default device is such a mode
            _set_modes(self.modes)
        if np.geterr() != self.errors:
            np.seterr(**self.errors)
        held = _held()
        while len(held) > self.n_shared:
            shared, holder = held[-1]
            shared.release(holder)
            held.pop()


def _owned() -> tuple[bool, ...]:
    """Which of this file's locks this thread holds."""
    return tuple(lock.is_owned() for lock in _Lock.all)


def _release(before: tuple[bool, ...]) -> None:
    for lock, owned in zip(_Lock.all, before, strict=True):
        while lock.is_owned() and not owned:
            lock.__exit__()


def _modes() -> list[Any]:
    """torch's function modes of this thread, the outermost first."""
    return [torch._C._get_function_stack_at(i) for i in range(torch._C._len_torch_function_stack())]


def _set_modes(modes: list[Any]) -> None:
    while torch._C._len_torch_function_stack():
        torch._C._pop_torch_function_stack()
    for mode in modes:
        torch._C._push_on_torch_function_stack(mode)


def restores_settings(function: Callable[P, T]) -> Callable[P, T]:
    """Make a function restore the settings of the process at its end, even after Ctrl-C at any moment.

    These settings are compared with those before the call and restored: thread counts, grad mode, autocast, default
    device, flushing of subnormal numbers, numpy's error handling and the precision of matrix products. There is no
    moment between a setting and the ``try`` that undoes it. If an interrupt comes while settings are being restored,
    the second ``finally`` restores them.

    Inside, the caller's autocast, default device and flushing are off. With the first there would be no float32 network
    to certify. The second would put tensors without an explicit device on another device. The third would break
    rounding outwards.

    Examples
    --------
    >>> import torch
    >>> from sklstm.training._process import restores_settings
    >>> @restores_settings
    ... def product():
    ...     return (torch.eye(2) @ torch.eye(2)).dtype
    >>> with torch.autocast("cpu", dtype=torch.bfloat16):
    ...     product(), (torch.eye(2) @ torch.eye(2)).dtype
    (torch.float32, torch.bfloat16)
    """

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        owned, calls = _owned(), _LOCAL.calls
        depth = len(calls)
        try:
            before = _Settings.now()  # acquires a lock, which an interrupt may leave held
            try:
                try:
                    calls.append(object())
                    before.put_aside()
                    return function(*args, **kwargs)
                finally:
                    before.restore()
            finally:
                before.restore()
        finally:
            del calls[depth:]
            _release(owned)

    return call


@contextmanager
def _settings_restored() -> Iterator[None]:
    """`restores_settings` for a block.

    An interrupt as the block begins can leave this generator suspended until the traceback is gone. By then the call
    that contains the block has ended and has restored the settings, so there is nothing left to do.
    """
    before, calls = _Settings.now(), _LOCAL.calls
    call = calls[-1] if calls else None
    try:
        try:
            yield
        finally:
            if call is None or call in calls:
                before.restore()
    finally:
        if call is None or call in calls:
            before.restore()


@contextmanager
def flushed_subnormals(device: str | torch.device) -> Iterator[None]:
    """Run the block with subnormal numbers treated as zero, and restore the mode afterwards.

    Weights that shrink towards zero would make training on a CPU several times slower. If no number is subnormal, as in
    an ordinary training, nothing changes.

    Parameters
    ----------
    device : str or torch.device
        A device; only a CPU is slow with subnormal numbers.

    Examples
    --------
    >>> import torch
    >>> from sklstm.training._process import flushed_subnormals
    >>> with flushed_subnormals("cpu"):
    ...     product = torch.tensor(1e-38) * 0.1
    >>> product, bool(torch.tensor(1e-38) * 0.1 == 0)
    (tensor(0.), False)
    """
    if torch.device(device).type != "cpu":
        yield
        return
    with _settings_restored():
        set_flushed(True)
        yield


def threads_for(batch_size: int, hidden_size: int, n_features: int, n_gates: int) -> int:
    """Number of threads worth using for one time step of a recurrent layer.

    Parameters
    ----------
    batch_size : int
        Number of sequences in a batch.
    hidden_size, n_features : int
        Number of units and channels of the layer.
    n_gates : int
        Number of its gate matrices.

    Returns
    -------
    int
        All threads that torch may use, or one.

    Examples
    --------
    >>> from sklstm.training._process import threads_for
    >>> threads_for(batch_size=8, hidden_size=4, n_features=1, n_gates=4)  # too little work to share
    1
    """
    work = batch_size * n_gates * hidden_size * (hidden_size + n_features)
    return _own_threads() if work > _SERIAL_WORK else 1


def threads_for_network(module: nn.Module, batch_size: int) -> int:
    """`threads_for` the first layer of a network of this package."""
    recurrent: Any = module.recurrent
    return threads_for(batch_size, recurrent.hidden_size, recurrent.input_size, module.n_gates)  # type: ignore[arg-type]


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
    torch keeps a count for every thread, and a default that threads begin with. Setting one sets both. The default is
    restored at once, so that a fit in one thread does not affect fits that begin in others in the meantime.

    Examples
    --------
    >>> import torch
    >>> from sklstm.training._process import thread_limit
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
    with _settings_restored():
        with _TORCH_THREADS:
            torch.set_num_threads(n_threads)
            if threading.active_count() > 1:
                # The only way to restore the default without changing our own count; about 70 µs on an idle core.
                helper = threading.Thread(target=torch.set_num_threads, args=(before,))
                helper.start()
                helper.join()
        yield


@contextmanager
def seeded_construction(seed: int) -> Iterator[None]:
    """Run the block under torch's global generator with a seed, and restore its state afterwards.

    Parameters
    ----------
    seed : int
        Seed of the generator.

    Examples
    --------
    >>> import torch
    >>> from sklstm.training._process import seeded_construction
    >>> before = torch.get_rng_state()
    >>> with seeded_construction(0):
    ...     first = torch.nn.Linear(2, 2)
    >>> with seeded_construction(0):
    ...     second = torch.nn.Linear(2, 2)
    >>> torch.equal(first.weight, second.weight), torch.equal(torch.get_rng_state(), before)
    (True, True)
    """
    generator = torch.random.default_generator
    with _CONSTRUCTION, _put_back(generator):
        generator.manual_seed(seed)
        yield


@contextmanager
def _put_back(generator: torch.Generator) -> Iterator[None]:
    before = generator.get_state()
    try:
        try:
            yield
        finally:
            generator.set_state(before)
    finally:
        generator.set_state(before)


# Settings of the whole process: one value must suit all threads that need one.


class _Shared:
    """A setting of the process with holders; the last holder restores the value from before the first.

    Parameters
    ----------
    read : callable
        ``() -> values``
    write : callable
        ``values -> None``
    agree : callable
        From the requests of all holders to the values that serve them all.
    """

    def __init__(
        self,
        read: Callable[[], list[Any]],
        write: Callable[[list[Any]], None],
        agree: Callable[[list[str], int], list[Any]],
    ):
        self.read, self.write, self.agree = read, write, agree
        self.lock = _Lock()
        self.wishes: dict[object, str] = {}
        self.before: list[Any] | None = None

    def hold(self, holder: object, wish: str) -> None:
        with self.lock:
            if self.before is None:
                self.before = self.read()
            self.wishes[holder] = wish
            self.write(self.agree(list(self.wishes.values()), len(self.before)))

    def release(self, holder: object) -> None:
        """May be called more than once, also for a holder that an interrupt kept from becoming one."""
        with self.lock:
            self.wishes.pop(holder, None)
            if self.before is None:
                return
            if self.wishes:
                self.write(self.agree(list(self.wishes.values()), len(self.before)))
            else:
                self.write(self.before)
                self.before = None


def _held() -> list[tuple[_Shared, object]]:
    """Settings of the process that this thread holds now."""
    return _LOCAL.held


@contextmanager
def _holding(shared: _Shared, wish: str) -> Iterator[None]:
    entry = shared, object()
    try:
        try:
            _held().append(entry)  # first: what is in the list is released at the end of the call
            shared.hold(entry[1], wish)
            yield
        finally:
            _release_entry(entry)
    finally:
        _release_entry(entry)


def _release_entry(entry: tuple[_Shared, object]) -> None:
    shared, holder = entry
    shared.release(holder)
    if entry in _held():
        _held().remove(entry)


class _Rounding(NamedTuple):
    """A setting of torch that says how products of float32 matrices are rounded."""

    read: Callable[[], Any]
    write: Callable[[Any], None]
    exact: Any
    fast: Any  # TF32 where the device has it


def _attribute(owner: Any, name: str, exact: Any, fast: Any) -> _Rounding:
    return _Rounding(lambda: getattr(owner, name), lambda value: setattr(owner, name, value), exact, fast)


# Device -> the settings for its products. On CUDA torch's default for recurrent layers is TF32; on a CPU
# `torch.set_float32_matmul_precision("medium")` selects bfloat16.
_BACKENDS: Any = torch.backends  # some of whose parts type checkers do not see
_ROUNDINGS: dict[str, tuple[_Rounding, ...]]
if hasattr(_BACKENDS.cudnn, "rnn"):
    # Uses torch's newer names alone: they can be read in any case, and restoring them restores what the older ones,
    # `allow_tf32`, say.
    _ROUNDINGS = {
        "cuda": tuple(
            _attribute(kind, "fp32_precision", "ieee", "tf32") for kind in (_BACKENDS.cuda.matmul, _BACKENDS.cudnn.rnn)
        ),
        "cpu": tuple(
            _attribute(kind, "fp32_precision", "ieee", "tf32")
            for kind in (_BACKENDS.mkldnn.matmul, _BACKENDS.mkldnn.rnn)
        ),
    }
else:  # before torch 2.9: one setting for the matrices of all devices
    _MATRICES = _Rounding(torch.get_float32_matmul_precision, torch.set_float32_matmul_precision, "highest", "high")
    _ROUNDINGS = dict.fromkeys(("cuda", "cpu"), (_MATRICES, _attribute(_BACKENDS.cudnn, "allow_tf32", False, True)))


def _shared_roundings(roundings: Sequence[_Rounding]) -> _Shared:
    """While any block needs exact products, all products are exact.

    Fits that would use TF32 are then slower, and equally good. To wait for each other could take as long as a fit. It
    could take forever if one block is inside the other, as in a callback that predicts.
    """

    def write(values: list[Any]) -> None:
        for each, value in zip(roundings, values, strict=True):
            each.write(value)

    return _Shared(
        read=lambda: [each.read() for each in roundings],
        write=write,
        agree=lambda wishes, n: [each.exact if _EXACT in wishes else each.fast for each in roundings],
    )


_EXACT, _FAST = "exact", "fast"
_SHARED_ROUNDINGS = {each: _shared_roundings(each) for each in _ROUNDINGS.values()}


@contextmanager
def products_in(precision: str, device: str | torch.device) -> Iterator[None]:
    """Run the block with products of float32 matrices rounded to float32 or, where a GPU can, with TF32's 11 digits.

    Parameters
    ----------
    precision : {"float32", "tf32", "bfloat16"}
        TF32 for ``"tf32"``, float32 for the others.
    device : str or torch.device
        Device of the products. TF32 exists on CUDA only.

    Notes
    -----
    Blocks may overlap in several threads: while one of them needs float32, all get it. The last to end restores the
    settings. None of this initialises CUDA.

    Examples
    --------
    >>> import torch
    >>> from sklstm.training._process import products_in
    >>> x = torch.tensor([[1 + 2.0**-20]])
    >>> with products_in("float32", "cpu"):  # whatever torch.set_float32_matmul_precision has been told
    ...     product = x @ torch.ones(1, 1)
    >>> torch.equal(product, x)
    True
    """
    kind = torch.device(device).type
    if kind not in _ROUNDINGS:
        yield
        return
    with _holding(_SHARED_ROUNDINGS[_ROUNDINGS[kind]], _FAST if precision == "tf32" and kind == "cuda" else _EXACT):
        yield


@lru_cache(maxsize=1)
def _openblas() -> list[Any]:
    # To find the libraries takes milliseconds.
    return list(ThreadpoolController().select(internal_api="openblas").lib_controllers)


def _set_openblas(counts: list[int]) -> None:
    for library, count in zip(_openblas(), counts, strict=True):
        library.set_num_threads(count)


_NUMPY_THREADS = _Shared(
    read=lambda: [library.get_num_threads() for library in _openblas()],
    write=_set_openblas,
    agree=lambda wishes, n: [1] * n,
)


@contextmanager
def single_threaded_numpy() -> Iterator[None]:
    """Run the block with one thread in numpy's matrix products, and restore their number afterwards.

    The penalty multiplies matrices of a few thousand entries between steps of the network. A second thread has no use
    and competes with torch's. Blocks may overlap in several threads; the last to end restores the number.

    Examples
    --------
    >>> from threadpoolctl import threadpool_info
    >>> from sklstm.training._process import single_threaded_numpy
    >>> with single_threaded_numpy():
    ...     all(library["num_threads"] == 1 for library in threadpool_info() if library["internal_api"] == "openblas")
    True
    """
    with _holding(_NUMPY_THREADS, "one"):
        yield


def check_cuda_process(device: str | torch.device) -> None:
    """Refuse CUDA in a process where a fork has broken it; warn if several worker processes may share it.

    Parameters
    ----------
    device : str or torch.device
        Device of the next fit. CUDA is neither initialised nor queried.

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
    >>> from sklstm.training._process import check_cuda_process
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
            "each holds a CUDA context of several hundred MB there. This is rarely faster than n_jobs=1, and may run "
            "out of memory. Use n_jobs=1 with device='cuda', or n_jobs > 1 with device='cpu', or give every worker "
            "its own card.",
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
