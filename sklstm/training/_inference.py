"""Predictions that do not depend on what else is in the batch."""

import copy
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Lock
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from sklstm._sequences import Sequences
from sklstm.exceptions import NonFiniteOutputError
from sklstm.networks import aligned

from ._batches import place_for, to_device
from ._process import products_in, thread_limit, threads_for_network

Module = TypeVar("Module", bound=nn.Module)

# Matrix-product kernels choose their order of summation by the shape of the operands and by where rows begin in memory.
# So the same row can differ in its last bits between batches of different sizes and positions in a batch. Two things
# make every prediction the same, bit for bit, for any other sequences in the batch. Rows are whole registers (see
# `sklstm.networks.aligned`), and blocks have one fixed size, with zero sequences in the last one. In blocks of this
# size the state at a step does not depend on how many steps follow, either. Measured: 256 is within 15 % of one big
# batch for LSTMs (faster from H = 128), where 64 costs up to 1.8 times as much.
BLOCK = 256


# Long sequences, of which 256 would need gigabytes, come in smaller blocks: of one size for one length.
_SIZES = ((1024, BLOCK), (8192, 32), (None, 8))


def block_size(n_steps: int) -> int:
    """Number of sequences in a block, which depends on their length alone."""
    return next(size for longest, size in _SIZES if longest is None or n_steps <= longest)


# From this many blocks on several are computed at a time: a thread takes about as long to start as a small block.
_SHARED_BLOCKS = 4


def module_for_float64(module: Module) -> Module:
    """A module for work in float64: itself, or a copy on the CPU if its device has no float64, as MPS."""
    return copy.deepcopy(module).cpu() if next(module.parameters()).device.type == "mps" else module


def outputs_of(module: nn.Module, X: Sequences, rows: np.ndarray | None = None) -> np.ndarray:
    """Outputs of a network for sequences, in the arithmetic and with the threads that suit it.

    Parameters
    ----------
    module : nn.Module
    X : Sequences
        n ≥ 1 sequences, in memory or in a file.
    rows : ndarray of shape (n,), optional
        Their positions in the user's X, for the error; by default in X.

    Returns
    -------
    ndarray of shape (n, k), float32
        Outputs, all finite.

    Raises
    ------
    NonFiniteOutputError
        If an output is infinite or NaN.
    """
    device = next(module.parameters()).device
    available = torch.get_num_threads()
    n_threads = threads_for_network(module, BLOCK)
    # Where a block is too little work for several threads, they take a block each.
    n_workers = available if device.type == "cpu" and n_threads == 1 else 1
    with thread_limit(n_threads), products_in("float32", device):
        outputs = predict_blocks(module, X.on(place_for(X, device)), n_workers).cpu().numpy()
    broken = np.flatnonzero(~np.isfinite(outputs).all(axis=1))
    if len(broken):
        place = broken[0]
        n_steps = X.shape[1] if X.lengths is None else int(X.lengths[place])
        first = int(place if rows is None else rows[place])
        raise NonFiniteOutputError(
            f"The outputs of the network are not finite for {len(broken)} of {len(outputs)} sequences; the first is "
            f"X[{first}], of {n_steps} steps. States without a bound, such as those of a ReLU network, overflow on "
            "sequences much longer or larger than those of the training. Shorten or scale these sequences, or train "
            "on similar ones. max_norm_w=1 keeps states of a ReLU network from growing exponentially.",
            first,
            len(broken),
        )
    return outputs


def predict_blocks(module: nn.Module, X: Sequences | Tensor, n_workers: int = 1) -> Tensor:
    """Forward pass of sequences in blocks of one size; the module is left in evaluation mode.

    Parameters
    ----------
    module : nn.Module
    X : Sequences, or Tensor of shape (n, L, d)
        n ≥ 1 sequences, on any device; blocks move to that of the module.
    n_workers : int
        Number of blocks computed at the same time, each in one thread: small networks gain nothing from more threads in
        a block. The numbers are the same.

    Returns
    -------
    Tensor of shape (n, k)
        On the device of the module.

    Examples
    --------
    A prediction does not depend on the other sequences, to the last bit:

    >>> import torch
    >>> from sklstm.networks import GRUNetwork
    >>> from sklstm.training._inference import predict_blocks
    >>> module = GRUNetwork(n_features=2, hidden_size=5, n_outputs=1)
    >>> X = torch.randn((300, 7, 2), generator=torch.Generator().manual_seed(0))
    >>> torch.equal(predict_blocks(module, X)[123:125], predict_blocks(module, X[123:125]))
    True
    """
    module, X = aligned(module.eval()), Sequences.of(X)
    if X.lengths is None:
        size = block_size(X.shape[1])
        return _outputs(module, (({"X": part}, size) for part in X.split(size)), len(X), -(-len(X) // size), n_workers)
    # Blocks of similar lengths: all together have little more padding than one block.
    lengths = torch.from_numpy(X.lengths)
    order = torch.argsort(lengths, stable=True)
    sizes = torch.tensor([block_size(length) for length in lengths[order].tolist()])
    blocks = [(rows, size) for _, size in _SIZES for rows in order[sizes == size].split(size) if len(rows)]
    inputs = ((X.batch(rows), size) for rows, size in blocks)
    joined = _outputs(module, inputs, len(order), len(blocks), n_workers)
    return joined[torch.argsort(order).to(joined.device)]


def _outputs(
    module: nn.Module, blocks: Iterator[tuple[dict[str, Tensor], int]], n: int, n_blocks: int, n_workers: int
) -> Tensor:
    """Outputs (n, k) of all blocks, in their order."""
    device = next(module.parameters()).device
    # In one tensor from the start: thousands of small ones between temporary ones would fragment the memory.
    joined: list[Tensor] = []
    turn, over, start = Lock(), Event(), 0
    inference = torch.is_inference_mode_enabled()  # of this thread; tensors made in that mode are written to in it

    def following() -> tuple[int, dict[str, Tensor], int] | None:
        nonlocal start
        with turn:  # blocks are read one by one, and no more of them than are computed
            block = next(blocks, None)
            if block is None:
                return None
            begin, start = start, start + len(block[0]["X"])
            return begin, *block

    def work() -> None:
        try:
            with torch.inference_mode(inference), torch.no_grad():
                while not over.is_set() and (block := following()):
                    begin, inputs, size = block
                    outputs = _block(module, inputs, size, device)
                    with turn:
                        if not joined:
                            joined.append(outputs.new_empty(n, *outputs.shape[1:]))
                    joined[0][begin : begin + len(outputs)] = outputs
        finally:
            over.set()  # after Ctrl-C, or an error in one, the other workers stop

    n_helpers = min(n_workers, n_blocks) - 1
    if n_helpers == 0 or n_blocks < _SHARED_BLOCKS:
        work()
        return joined[0]

    def work_alone() -> None:
        with thread_limit(1):
            work()

    with ThreadPoolExecutor(n_helpers) as pool:
        try:
            helpers = [pool.submit(work_alone) for _ in range(n_helpers)]
            work_alone()
        finally:
            over.set()
    for helper in helpers:
        helper.result()
    return joined[0]


def _block(module: nn.Module, inputs: dict[str, Tensor], block: int, device: torch.device) -> Tensor:
    X = inputs["X"]
    size = len(X)
    if missing := block - size:
        inputs["X"] = torch.cat((X, X.new_zeros(missing, *X.shape[1:])))
        if "lengths" in inputs:
            inputs["lengths"] = torch.cat((inputs["lengths"], inputs["lengths"].new_ones(missing)))
    return module(**(inputs if X.device == device else to_device(inputs, device)))[:size]
