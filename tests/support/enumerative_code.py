"""The whole enumerative code of quantised weights, whose length `code_length` computes: encoder and decoder.

The message is one non-negative integer, read from its lowest bits upwards in four fields:

1. which number of levels q was chosen from a fixed list of candidates;
2. the codebook, q float16 numbers;
3. how often each level occurs: one of C(N + q − 1, q − 1) possibilities;
4. which of the multinomial(N; counts) arrangements the weights are in (enumerative coding, Cover 1973).

The widths of later fields depend only on earlier ones, so that no length has to be sent. The number N of weights, their
shapes and their order belong to the architecture.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sklstm.generalization.compression._codebook import _FLOAT16_BITS, Quantised, _bits, _counts_bits, _sequence_bits


def encode(quantised: Quantised, candidates: Sequence[int]) -> tuple[int, int]:
    """The message for quantised weights.

    Parameters
    ----------
    quantised : Quantised
    candidates : sequence of int
        The numbers of levels that could have been chosen.

    Returns
    -------
    code : int
        Non-negative, below ``2**n_bits``.
    n_bits : int
        Equal to :func:`code_length`.

    Examples
    --------
    >>> import torch
    >>> from sklstm.generalization.compression._codebook import code_length, quantise
    >>> from tests.support.enumerative_code import encode
    >>> quantised = quantise({"w": torch.tensor([0.5, 0.5, -1.0, 0.5])}, n_levels=2)
    >>> code, n_bits = encode(quantised, candidates=(1, 2))
    >>> 0 <= code < 2**n_bits, n_bits == code_length([1, 3], n_candidates=2)
    (True, True)
    """
    q = len(quantised.levels)
    fields = [(list(candidates).index(q), _bits(len(candidates)))]
    fields += [(int(bits), _FLOAT16_BITS) for bits in quantised.levels.view(np.uint16)]
    fields.append(encode_indices(quantised.indices, q))
    code, n_bits = 0, 0
    for value, width in fields:
        code |= value << n_bits
        n_bits += width
    return code, n_bits


def decode(code: int, like: Mapping[str, Tensor], candidates: Sequence[int]) -> Quantised:
    """Inverse of :func:`encode`.

    Parameters
    ----------
    code : int
        The message.
    like : mapping of str to Tensor
        Names, shapes and dtypes of the weights; their values are not used.
    candidates : sequence of int
        As of :func:`encode`.

    Returns
    -------
    Quantised

    Examples
    --------
    >>> import torch
    >>> from sklstm.generalization.compression._codebook import quantise
    >>> from tests.support.enumerative_code import decode, encode
    >>> code, _ = encode(quantise({"w": torch.tensor([0.5, 0.5, -1.0, 0.5])}, n_levels=2), candidates=(1, 2))
    >>> decode(code, {"w": torch.zeros(4)}, candidates=(1, 2)).weights()
    {'w': tensor([ 0.5000,  0.5000, -1.0000,  0.5000])}
    """
    choice, code = _take(code, _bits(len(candidates)))
    q = candidates[choice]
    levels = np.empty(q, dtype=np.uint16)
    for j in range(q):
        levels[j], code = _take(code, _FLOAT16_BITS)
    n = sum(tensor.numel() for tensor in like.values())
    return Quantised(levels.view(np.float16), decode_indices(code, n, q), dict(like))


def encode_indices(indices: NDArray[Any], q: int) -> tuple[int, int]:
    """Fields 3 and 4: counts, then the rank of the sequence among all with these counts.

    Parameters
    ----------
    indices : ndarray of int of shape (N,)
        Values 0 to q − 1.
    q : int

    Returns
    -------
    code, n_bits : int

    Raises
    ------
    ValueError
        If an index lies outside 0 to q − 1.
    """
    sequence = [int(s) for s in indices]
    n = len(sequence)
    if sequence and not 0 <= min(sequence) <= max(sequence) < q:
        raise ValueError(f"indices must lie in 0 to {q - 1}")
    counts = np.bincount(np.asarray(sequence, dtype=np.int64), minlength=q).tolist()
    width = _counts_bits(n, q)
    code = _rank_counts(counts)
    # Lexicographic rank: M arrangements are left, of which M · n_s / R begin with level s.
    M, rank, left = _multinomial(counts), 0, list(counts)
    for R, s in zip(range(n, 0, -1), sequence, strict=True):
        rank += M * sum(left[:s]) // R
        M = M * left[s] // R
        left[s] -= 1
    return code | rank << width, width + _sequence_bits(counts)


def decode_indices(code: int, n: int, q: int) -> NDArray[np.int64]:
    """Inverse of :func:`encode_indices` for `n` weights."""
    rank_counts, code = _take(code, _counts_bits(n, q))
    left = _unrank_counts(rank_counts, n, q)
    rank, _ = _take(code, _sequence_bits(left))
    M = _multinomial(left)
    out = np.empty(n, dtype=np.int64)
    for i, R in enumerate(range(n, 0, -1)):
        target, before, s = rank * R // M, 0, 0
        while before + left[s] <= target:
            before += left[s]
            s += 1
        rank -= M * before // R
        M = M * left[s] // R
        left[s] -= 1
        out[i] = s
    return out


def _take(code: int, width: int) -> tuple[int, int]:
    return code & ((1 << width) - 1), code >> width


def _multinomial(counts: Sequence[int]) -> int:
    return math.factorial(sum(counts)) // math.prod(math.factorial(c) for c in counts)


def _rank_counts(counts: Sequence[int]) -> int:
    """Stars and bars: rank of the bars' positions among all subsets, in the combinatorial number system."""
    rank, position = 0, -1
    for i, count in enumerate(counts[:-1]):
        position += count + 1
        rank += math.comb(position, i + 1)
    return rank


def _unrank_counts(rank: int, n: int, q: int) -> list[int]:
    bars, high = [], n + q - 1
    for i in range(q - 1, 0, -1):
        low, top = i - 1, high  # comb(low, i) = 0 ≤ rank; find the last position whose comb is ≤ rank
        while top - low > 1:
            middle = (low + top) // 2
            low, top = (middle, top) if math.comb(middle, i) <= rank else (low, middle)
        rank -= math.comb(low, i)
        bars.append(low)
        high = low
    edges = [-1, *reversed(bars), n + q - 1]
    return [right - left - 1 for left, right in pairwise(edges)]
