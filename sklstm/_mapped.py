"""Arrays that may be larger than memory: which ones they are, and how to look at all of their rows."""

import math
import mmap
from collections.abc import Iterator
from typing import Any

import numpy as np

__all__ = ["beyond", "is_mapped", "row_blocks"]

# Numbers in a block: 16 MiB in float64, so that a few temporaries of a block weigh little beside a network.
_BLOCK_NUMBERS = 1 << 21


def is_mapped(values: Any) -> bool:
    """Whether the values lie in a mapped file: a ``numpy.memmap``, or a view, slice or reshaped form of one.

    An array made from one by fancy indexing, by arithmetic or by a change of dtype is an array in memory like any
    other.
    """
    owner = values
    while owner is not None:
        if isinstance(owner, mmap.mmap):
            return True
        owner = owner.obj if isinstance(owner, memoryview) else getattr(owner, "base", None)
    return False


def row_blocks(values: np.ndarray) -> Iterator[slice]:
    """Consecutive rows, about two million numbers at a time and at least one row."""
    size = max(1, _BLOCK_NUMBERS // max(1, math.prod(values.shape[1:])))
    return (slice(start, start + size) for start in range(0, len(values), size))


def beyond(values: np.ndarray, largest: float) -> bool:
    """Whether an absolute value of an array without NaN is above ``largest``; read once, without a copy."""
    blocks = (values[rows] for rows in row_blocks(values))
    # Ends before they are compared: np.abs would make a copy.
    return any(max(float(block.max(initial=0)), -float(block.min(initial=0))) > largest for block in blocks)
