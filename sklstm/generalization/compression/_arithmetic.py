"""Signed integers as decisions of the arithmetic code, each group of them with its own statistics."""

import math
from collections.abc import Hashable
from operator import index
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklstm.generalization._inputs import as_array
from sklstm.generalization.compression._interval import Decoder, Encoder

__all__ = ["Decoder", "Encoder", "decode_integers", "encode_integers", "integer_bits"]

# Magnitudes 1, 2, …: one unary decision each; those from _SHARED on have one context, _ESCAPE and more are escaped.
# Every context has to be learnt: on 30 or 100 rounded normal or Laplace numbers of standard deviation 10, eight are
# 0.1 to 0.6 bits a number shorter than 24, and on 10,000 at most 0.02 bits longer up to standard deviation 30.
_SHARED = 8
_ESCAPE = 128
_LARGEST_BITS = 62  # binary digits of the largest magnitude


def encode_integers(encoder: Encoder, values: Any, group: Hashable) -> None:
    """Code signed integers with statistics of their own group.

    An integer is 0 or not (context (group, "zero")), negative or not (context (group, "sign")), and of magnitude
    above 1 or not, above 2 or not, … (contexts (group, 1), (group, 2), …, those from 8 on in one). A magnitude m of
    128 or more is escaped: m − 127 follows in Elias' gamma code, 2⌊log2(m − 127)⌋ + 1 fair bits.

    Parameters
    ----------
    encoder : Encoder
    values : array-like of int
        Of any shape, read in C order; magnitudes below 2**62.
    group : hashable
        Groups that differ share nothing.

    Raises
    ------
    TypeError
        If `values` are no integers that fit into 64 bits.
    ValueError
        If a magnitude is 2**62 or more.
    """
    contexts = _contexts(group)
    for value in _integers(values).tolist():
        encoder.bit(int(value != 0), (group, "zero"))
        if value == 0:
            continue
        encoder.bit(int(value < 0), (group, "sign"))
        m = abs(value)
        for j in range(1, min(m, _ESCAPE)):
            encoder.bit(1, contexts[j])
        if m < _ESCAPE:
            encoder.bit(0, contexts[m])
            continue
        excess = m - _ESCAPE + 1
        width = excess.bit_length() - 1
        for _ in range(width):
            encoder.uniform(1, 2)
        encoder.uniform(0, 2)
        encoder.uniform(excess - (1 << width), 1 << width)


def decode_integers(decoder: Decoder, count: int, group: Hashable) -> NDArray[np.int64]:
    """Inverse of :func:`encode_integers` for `count` integers.

    Returns
    -------
    ndarray of int64 of shape (count,)

    Raises
    ------
    ValueError
        If `count` is negative, the message ends too early, or it holds a magnitude of 2**62 or more.
    """
    count = index(count)
    if count < 0:
        raise ValueError(f"count must be non-negative, got {count}")
    contexts = _contexts(group)
    values = []
    for _ in range(count):
        if not decoder.bit((group, "zero")):
            values.append(0)
            continue
        sign = -1 if decoder.bit((group, "sign")) else 1
        m = 1
        while m < _ESCAPE and decoder.bit(contexts[m]):
            m += 1
        if m == _ESCAPE:
            width = 0
            while width < _LARGEST_BITS and decoder.uniform(2):
                width += 1
            m += (1 << width) + decoder.uniform(1 << width) - 1
            if m.bit_length() > _LARGEST_BITS:
                raise ValueError(f"the message holds a magnitude above 2**{_LARGEST_BITS}")
        values.append(sign * m)
    return np.array(values, dtype=np.int64)


def integer_bits(values: Any) -> float:
    r"""Ideal length of :func:`encode_integers` for one group, −log2 of its probability, from the counts alone.

    The estimates of Krichevsky and Trofimov telescope: a context that saw n_0 zeros and n_1 ones gave them, in
    whatever order they came, the probability

    .. math:: \frac{\Gamma(n_0 + 1/2)\,\Gamma(n_1 + 1/2)}{\pi\,\Gamma(n_0 + n_1 + 1)}.

    Parameters
    ----------
    values : array-like of int
        As for :func:`encode_integers`, with the same errors.

    Returns
    -------
    float
        In bits; 0.0 for no integers.

    Examples
    --------
    >>> round(integer_bits([0]), 12)
    1.0
    >>> round(integer_bits([0] * 10_000), 2)  # about ½ log2(π N)
    7.47
    """
    flat = _integers(values)
    magnitudes = np.abs(flat)
    histogram = np.bincount(np.minimum(magnitudes, _ESCAPE), minlength=_ESCAPE + 1)
    above = flat.size - np.cumsum(histogram)  # above[j]: how many magnitudes exceed j
    stops, goes = histogram[1:_ESCAPE], above[1:_ESCAPE]  # decisions 1 to _ESCAPE − 1
    n_negative = int(np.count_nonzero(flat < 0))
    pairs = [(histogram[0], above[0]), (n_negative, above[0] - n_negative)]
    pairs += zip(stops[: _SHARED - 1], goes[: _SHARED - 1], strict=True)
    pairs.append((stops[_SHARED - 1 :].sum(), goes[_SHARED - 1 :].sum()))
    nats = math.fsum(_kt_nats(int(n_0), int(n_1)) for n_0, n_1 in pairs if n_0 + n_1)
    if above[_ESCAPE - 1] == 0:
        return nats / math.log(2)
    excess = magnitudes[magnitudes >= _ESCAPE] - (_ESCAPE - 1)
    widths = np.searchsorted(1 << np.arange(_LARGEST_BITS), excess, side="right") - 1
    return nats / math.log(2) + int(np.sum(2 * widths + 1))


def _kt_nats(n_0: int, n_1: int) -> float:
    return math.log(math.pi) + math.lgamma(n_0 + n_1 + 1) - math.lgamma(n_0 + 0.5) - math.lgamma(n_1 + 0.5)


def _contexts(group: Hashable) -> list[tuple[Hashable, int]]:
    return [(group, min(j, _SHARED)) for j in range(_ESCAPE)]


def _integers(values: Any) -> NDArray[np.int64]:
    array = as_array(values).ravel()
    if array.size == 0:
        return np.empty(0, dtype=np.int64)
    if array.dtype.kind not in "iu":
        raise TypeError(f"values must be integers of at most 64 bits, got dtype {array.dtype}")
    limit = 1 << _LARGEST_BITS
    if int(array.max()) >= limit or int(array.min()) <= -limit:
        raise ValueError(f"magnitudes must be below 2**{_LARGEST_BITS}")
    return array.astype(np.int64)
