"""Weights rounded to one codebook, and the length in bits of the code that describes them.

The message has four fields. The first is the number q of levels, from a fixed list. The second is the codebook of q
float16 numbers. The third is the number of weights on each level, one of C(N + q − 1, q − 1) possibilities. The last is
the arrangement of the weights, one of multinomial(N; counts) (enumerative coding, Cover 1973). The width of a field
depends on earlier fields only. The number N of weights, their shapes and their order belong to the architecture. The
bound needs the length only; the tests have the encoder and the decoder.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sklstm.generalization._theorem_inputs import Float

# Lloyd's iteration in one dimension needs a few dozen steps; after that the levels move by less than a float16.
_LLOYD_STEPS = 100
_FLOAT16_MAX = 65504.0

_FLOAT16_BITS = 16


@dataclass(frozen=True, eq=False)
class Quantised:
    """Weights that share one codebook of float16 levels.

    Attributes
    ----------
    levels : ndarray of float16 of shape (q,)
        The codebook, ascending.
    indices : ndarray of int of shape (N,)
        Level of each weight, tensor after tensor in the order of `like`.
    like : dict of str to Tensor
        Names, shapes and dtypes of the weights. They belong to the architecture, not to the code.

    Examples
    --------
    >>> import torch
    >>> from sklstm.generalization.compression._codebook import quantise
    >>> quantised = quantise({"w": torch.tensor([[0.5, -1.0], [0.5, 0.5]])}, n_levels=2)
    >>> quantised.levels.tolist(), quantised.indices.tolist()
    ([-1.0, 0.5], [1, 0, 1, 1])
    >>> quantised.weights()["w"].tolist()
    [[0.5, -1.0], [0.5, 0.5]]
    """

    levels: NDArray[np.float16]
    indices: NDArray[np.int64]
    like: dict[str, Tensor]

    def weights(self) -> dict[str, Tensor]:
        """The quantised tensors.

        Returns
        -------
        dict of str to Tensor
            Tensors with names, shapes, dtypes and devices of the originals.
        """
        flat = torch.from_numpy(self.levels.astype(np.float64)[self.indices])
        sizes = [tensor.numel() for tensor in self.like.values()]
        parts = torch.split(flat, sizes)
        return {
            name: part.reshape(tensor.shape).to(device=tensor.device, dtype=tensor.dtype)
            for (name, tensor), part in zip(self.like.items(), parts, strict=True)
        }


def quantise(weights: Mapping[str, Tensor], n_levels: int) -> Quantised:
    """Round all weights to one codebook of `n_levels` levels, chosen by one-dimensional k-means.

    The result is deterministic. The levels start at quantiles, follow Lloyd's iteration and are rounded to float16 at
    the end.

    Parameters
    ----------
    weights : mapping of str to Tensor
        Floating-point tensors of any shape.
    n_levels : int
        q ≥ 1. Levels may coincide when there are fewer distinct weights.

    Returns
    -------
    Quantised

    Raises
    ------
    ValueError
        If there are no weights, a weight is not finite or not floating-point, or `n_levels` is not positive.

    Examples
    --------
    >>> import torch
    >>> from sklstm.generalization.compression._codebook import quantise
    >>> quantise({"w": torch.tensor([0.0, 1.0, 7.0, 8.0])}, n_levels=2).weights()["w"].tolist()
    [0.5, 0.5, 7.5, 7.5]
    """
    if n_levels < 1:
        raise ValueError(f"n_levels must be a positive integer, got {n_levels!r}")
    like = {name: tensor.detach() for name, tensor in weights.items()}
    if sum(tensor.numel() for tensor in like.values()) == 0:
        raise ValueError("there are no weights to quantise")
    if not all(tensor.is_floating_point() for tensor in like.values()):
        raise ValueError("only floating-point tensors can be quantised. Leave counters and masks out.")
    flat = torch.cat([tensor.reshape(-1).to("cpu", torch.float64) for tensor in like.values()]).numpy()
    if not np.isfinite(flat).all():
        raise ValueError("a weight is NaN or infinite")
    levels = np.sort(_lloyd(np.clip(flat, -_FLOAT16_MAX, _FLOAT16_MAX), n_levels)).astype(np.float16)
    return Quantised(levels, _nearest(flat, levels.astype(np.float64)), like)


def _nearest(values: Float, levels: Float) -> NDArray[np.int64]:
    return np.searchsorted((levels[1:] + levels[:-1]) / 2, values).astype(np.int64)


def _lloyd(values: Float, q: int) -> Float:
    ordered = np.sort(values)
    sums = np.concatenate(([0.0], np.cumsum(ordered)))
    levels: Float = np.quantile(ordered, (np.arange(q) + 0.5) / q)
    for _ in range(_LLOYD_STEPS):
        inner = np.searchsorted(ordered, (levels[1:] + levels[:-1]) / 2)
        edges = np.concatenate(([0], inner, [len(ordered)]))
        counts = np.diff(edges)
        # A level without weights does not move.
        moved = np.where(counts > 0, np.diff(sums[edges]) / np.maximum(counts, 1), levels)
        if np.array_equal(moved, levels):
            break
        levels = moved
    return levels


def code_length(counts: Sequence[int] | NDArray[np.integer], n_candidates: int = 1) -> int:
    """Length in bits of the message for a codebook whose levels occur `counts` times.

    Parameters
    ----------
    counts : sequence of int of length q
    n_candidates : int, default=1
        Length of the fixed list that q was chosen from.

    Returns
    -------
    int

    Examples
    --------
    Ten weights on two levels, five on each: two levels of 16 bits, one of 11 pairs of counts, one of 252 orders.

    >>> from math import comb
    >>> from sklstm.generalization.compression._codebook import code_length
    >>> 2 * 16 + (11 - 1).bit_length() + (comb(10, 5) - 1).bit_length()
    44
    >>> code_length([5, 5])
    44
    >>> code_length([9, 1])  # fewer orders to tell apart
    40
    """
    q = len(counts)
    return _bits(n_candidates) + _FLOAT16_BITS * q + _counts_bits(int(sum(counts)), q) + _sequence_bits(counts)


def _bits(possibilities: int) -> int:
    """⌈log2⌉ of a positive integer, exactly."""
    return (possibilities - 1).bit_length()


def _counts_bits(n: int, q: int) -> int:
    return _bits(math.comb(n + q - 1, q - 1))


def _sequence_bits(counts: Sequence[int] | NDArray[np.integer]) -> int:
    """Width of the field of the arrangement: ⌈log2 multinomial⌉, or one bit more.

    It is computed by log-gamma: the multinomial of 20,000 weights has some 50,000 bits, and a search tries many
    codebooks. Each log-gamma has an error of a few ulps. The margin that is added to their sum is far larger.
    """
    present = [int(c) for c in counts if c > 0]
    if len(present) < 2:
        return 0
    logs = [math.lgamma(sum(present) + 1), *(math.lgamma(c + 1) for c in present)]
    nats = logs[0] - math.fsum(logs[1:]) + 1e-13 * logs[0] + 1e-9
    return math.ceil(nats / math.log(2))
