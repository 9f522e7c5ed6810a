r"""An adaptive arithmetic code for signed integers: a prefix code within two bits of its ideal length.

**The interval.** A message names a point of [0, 1). Each decision cuts the current interval into parts whose widths are
proportional to the probabilities of its outcomes. It keeps the part of the actual outcome. At the end the interval has
width w = ∏ P, and from any point of it a decoder can find all outcomes.

**Integers only.** The interval is [L, L + R)/2^(61 + s) with integers L, R and 2^61 ≤ R < 2^62. Whenever R falls below
2^61, both are doubled and s grows. An outcome with cumulative probabilities a/t to b/t keeps ⌊R a/t⌋ to ⌊R b/t⌋. This
falls short of R P, P = (b − a)/t, by less than 1. Since −ln(1 − x) ≤ 2x for x ≤ 1/2, an outcome of probability P loses
less than log2(e)/(2^60 P) bits. Large fields are sent in pieces so that P ≥ 2^-32, a loss below 1e-8 bits. A decision
in a context that was used a million times loses less than 3e-12. L is never rounded: the bits that leave the register
are stored, and later carries are added to them at the end.

**Termination.** The message is the shortest string of bits c_1 … c_n such that the whole of [c, c + 2^-n) lies in the
final interval. Here c = 0.c_1 … c_n in binary. It decodes to the same outcomes for any bits that follow it. So no
message is the beginning of another message of the same structure. At scale 2^(61 + s) the interval is at least 2·2^60
wide and contains an aligned block of 2^60, so that n ≤ s + 1; and −log2 w > s − 1. Hence n ≤ ⌈−log2 w⌉ + 1, and n ≤
⌈ideal length⌉ + 2 while the losses add up to less than a bit.

**Probabilities.** A binary decision has a context. Its probability is the estimate of Krichevsky and Trofimov (1981)
from the earlier outcomes in this context: P(1) = (2 n_1 + 1)/(2 (n_0 + n_1) + 2). On N decisions this costs at most ½
log2 N + 1 bits more than the fixed probability that is best in hindsight.

**Bit order.** `code` is the integer with the binary digits c_1 … c_n. The first bit of the message is its highest, of
weight 2^(n − 1), and leading zeros count.
"""

import math
from collections.abc import Hashable
from operator import index
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklstm.generalization._theorem_inputs import as_array

_PRECISION = 62  # binary digits of R
_SPARE = 1 << 10  # digits of L above which its leading part is stored apart
_LARGEST_FIELD = 1 << 32  # of a larger field, the first _PIECE_BITS bits are sent by themselves
_PIECE_BITS = 24

# A magnitude is coded by unary decisions, "more than 1", "more than 2", …. Those from _SHARED on have one context; for
# _ESCAPE and more another code follows. A context needs decisions to learn from. Take 30 or 100 rounded normal or
# Laplace numbers of standard deviation 10. Eight contexts need 0.1 to 0.6 bits per number less than 24. For 10,000
# numbers of standard deviation up to 30 they need at most 0.02 bits more.
_SHARED = 8
_ESCAPE = 128
_LARGEST_BITS = 62  # binary digits of the largest magnitude


class Encoder:
    """Arithmetic encoder, as derived in the docstring of the module.

    Examples
    --------
    >>> encoder = Encoder()
    >>> for value in (0, 0, 1):
    ...     encoder.bit(value, "a context")
    >>> encoder.uniform(4, 10)
    >>> code, n_bits = encoder.finish()
    >>> decoder = Decoder(code, n_bits)
    >>> [decoder.bit("a context") for _ in range(3)], decoder.uniform(10)
    ([0, 0, 1], 4)
    """

    def __init__(self) -> None:
        self._low, self._range, self._shifted = 0, 1 << (_PRECISION - 1), 0
        self._counts: dict[Hashable, list[int]] = {}
        # Stored leading parts of L, each with its s. With `_low` they are the exact lower end of the interval.
        self._leading: list[tuple[int, int]] = []

    def bit(self, value: int, context: Hashable) -> None:
        """Code a binary decision with the probability of its context, and count it in the context.

        Parameters
        ----------
        value : {0, 1}
        context : hashable
            Decisions with equal contexts share their counts.

        Raises
        ------
        ValueError
            If `value` is neither 0 nor 1.
        """
        if value not in (0, 1):
            raise ValueError(f"a binary decision is 0 or 1, got {value!r}")
        counts = self._counts.setdefault(context, [0, 0])
        split = _split(self._range, counts)
        if value:
            counts[1] += 1
            self._narrow(split, self._range)
        else:
            counts[0] += 1
            self._narrow(0, split)

    def uniform(self, value: int, size: int) -> None:
        """Code one of `size` equally likely integers.

        Parameters
        ----------
        value : int
            An integer from 0 to size − 1.
        size : int
            Size, at least 1, of any magnitude.

        Raises
        ------
        ValueError
            If `size` is below 1 or `value` outside 0 to size − 1.
        """
        value, size = index(value), _check_size(size)
        if not 0 <= value < size:
            raise ValueError(f"value must lie in 0 to size - 1 = {size - 1}, got {value}")
        while size > _LARGEST_FIELD:
            start, stop = _piece(value, size)
            self._narrow(self._range * start // size, self._range * stop // size)
            value, size = value - start, stop - start
        self._narrow(self._range * value // size, self._range * (value + 1) // size)

    def finish(self) -> tuple[int, int]:
        """Shortest message that decodes to the coded values for any bits that follow; the encoder does not change.

        Returns
        -------
        code : int
            The message as a non-negative integer below ``2**n_bits``; its highest of `n_bits` binary digits is the
            first.
        n_bits : int
            Number of bits; 0 when nothing was coded.
        """
        low = self._low
        if self._leading:
            # Horner's rule from the first part to the last: O(n²/_SPARE) word operations for n bits.
            total, before = 0, 0
            for part, shifted in self._leading:
                total, before = (total << (shifted - before)) + part, shifted
            low += total << (self._shifted - before + _PRECISION)
        for dropped in (_PRECISION - 1, _PRECISION - 2):
            code = -(-low >> dropped)
            if (code + 1) << dropped <= low + self._range:
                break
        return code, _PRECISION - 1 + self._shifted - dropped

    def _narrow(self, start: int, stop: int) -> None:
        self._low += start
        self._range = stop - start
        shift = _PRECISION - self._range.bit_length()
        if shift:
            self._range <<= shift
            self._low <<= shift
            self._shifted += shift
            if self._low.bit_length() > _SPARE:
                self._leading.append((self._low >> _PRECISION, self._shifted))
                self._low &= (1 << _PRECISION) - 1


class Decoder:
    """Inverse of :class:`Encoder`: called for the same decisions in the same order, it returns their outcomes.

    Bits after the message are ignored. An outcome is returned only if it does not depend on bits after the message.

    Parameters
    ----------
    code, n_bits : int
        As returned by :meth:`Encoder.finish`.

    Raises
    ------
    ValueError
        If `n_bits` is negative or `code` is outside 0 to ``2**n_bits - 1``. From the methods, if the message ends
        before the decision.
    """

    def __init__(self, code: int, n_bits: int) -> None:
        code, n_bits = index(code), index(n_bits)
        if n_bits < 0 or code < 0 or code.bit_length() > n_bits:
            raise ValueError("code must lie in 0 to 2**n_bits - 1 with n_bits >= 0")
        # Followed by zeros, as many as the register and one shift may read.
        self._digits = format(code | 1 << n_bits, "b")[1:] + "0" * (2 * _PRECISION)
        self._range, self._shifted, self._n_bits = 1 << (_PRECISION - 1), 0, n_bits
        self._offset = int(self._digits[: _PRECISION - 1], 2)  # the message minus L, 0 ≤ offset < R
        self._counts: dict[Hashable, list[int]] = {}

    def bit(self, context: Hashable) -> int:
        """Outcome of a binary decision, 0 or 1."""
        counts = self._counts.setdefault(context, [0, 0])
        split = _split(self._range, counts)
        if self._offset >= split:
            self._narrow(split, self._range)
            counts[1] += 1
            return 1
        self._narrow(0, split)
        counts[0] += 1
        return 0

    def uniform(self, size: int) -> int:
        """One of `size` equally likely integers, 0 to size − 1."""
        size, before = _check_size(size), 0
        while size > _LARGEST_FIELD:
            start, stop = _piece(self._scaled(size), size)
            self._narrow(self._range * start // size, self._range * stop // size)
            before, size = before + start, stop - start
        value = self._scaled(size)
        self._narrow(self._range * value // size, self._range * (value + 1) // size)
        return before + value

    def _scaled(self, size: int) -> int:
        """The largest v with ⌊R v/size⌋ ≤ offset, that is, R v < (offset + 1) size."""
        return ((self._offset + 1) * size - 1) // self._range

    def _narrow(self, start: int, stop: int) -> None:
        self._offset -= start
        self._range = stop - start
        # Digits of the register after the end of the message. The outcome must not depend on them.
        unknown = _PRECISION - 1 + self._shifted - self._n_bits
        if unknown >= 0 and self._offset + (1 << unknown) > self._range:
            raise ValueError("the message ends before all decisions are decoded")
        shift = _PRECISION - self._range.bit_length()
        if shift:
            self._range <<= shift
            place = self._shifted + _PRECISION - 1
            self._offset = self._offset << shift | int(self._digits[place : place + shift], 2)
            self._shifted += shift


def _split(width: int, counts: list[int]) -> int:
    """Part of `width` that belongs to outcome 0."""
    n_0, n_1 = counts
    return width * (2 * n_0 + 1) // (2 * (n_0 + n_1) + 2)


def _piece(value: int, size: int) -> tuple[int, int]:
    """Ends of the piece around `value` when 0 to size − 1 is cut into 2^24 pieces at ⌊size h/2^24⌋."""
    h = (((value + 1) << _PIECE_BITS) - 1) // size  # the largest with size h < (value + 1) 2^24
    return size * h >> _PIECE_BITS, size * (h + 1) >> _PIECE_BITS


def _check_size(size: int) -> int:
    size = index(size)
    if size < 1:
        raise ValueError(f"size must be at least 1, got {size}")
    return size


def encode_integers(encoder: Encoder, values: Any, group: Hashable) -> None:
    """Code signed integers with the statistics of their group.

    The decisions for an integer are the following. Is it 0 (context (group, "zero"))? Is it negative (context (group,
    "sign"))? Is its magnitude above 1, above 2, … (contexts (group, 1), (group, 2), …, one context from 8 on)? After
    127 such decisions a magnitude m of 128 or more is coded as m − 127 in Elias' gamma code, 2⌊log2(m − 127)⌋ + 1 fair
    bits.

    Parameters
    ----------
    encoder : Encoder
    values : array-like of int
        Integers of any shape, read in C order; magnitudes below 2**62.
    group : hashable
        Different groups have separate statistics.

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
        If `count` is negative, the message ends too early, or it contains a magnitude of 2**62 or more.
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
                raise ValueError(f"the message contains a magnitude above 2**{_LARGEST_BITS}")
        values.append(sign * m)
    return np.array(values, dtype=np.int64)


def integer_bits(values: Any) -> float:
    r"""Ideal length of :func:`encode_integers` for one group, −log2 of its probability, from the counts alone.

    The estimates of Krichevsky and Trofimov telescope: n_0 zeros and n_1 ones in a context have, in any order, the
    probability

    .. math:: \frac{\Gamma(n_0 + 1/2)\,\Gamma(n_1 + 1/2)}{\pi\,\Gamma(n_0 + n_1 + 1)}.

    Parameters
    ----------
    values : array-like of int
        As in :func:`encode_integers`, with the same errors.

    Returns
    -------
    float
        Length in bits; 0.0 for no integers.

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


def level_costs(integers: NDArray[np.int64], radius: int = 64) -> NDArray[np.float64]:
    """Bits that `encode_integers` would need for one more integer after these, mean over both signs.

    Returns
    -------
    ndarray of shape (radius + 1,)
        Bits for the magnitudes 0 to `radius`, which must be below 128.
    """
    magnitudes = np.minimum(np.abs(integers).ravel(), _ESCAPE)
    count = np.bincount(magnitudes, minlength=_ESCAPE + 1).astype(float)
    above = magnitudes.size - count.cumsum()  # above[k]: integers of a magnitude of more than k
    n_negative = float(np.count_nonzero(integers < 0))
    n_signs = above[0]
    sign = math.log2(n_signs + 1) - 0.5 * math.log2((n_negative + 0.5) * (n_signs - n_negative + 0.5))
    cost = np.empty(radius + 1)
    cost[0] = math.log2(magnitudes.size + 1) - math.log2(count[0] + 0.5)
    so_far = sign + math.log2(magnitudes.size + 1) - math.log2(above[0] + 0.5)
    shared_stops, shared_goes = count[_SHARED:_ESCAPE].sum(), above[_SHARED:_ESCAPE].sum()
    for k in range(1, radius + 1):
        # Magnitudes from _SHARED on have one context, and the integer's own decisions count in it.
        stops, goes = (count[k], above[k]) if k < _SHARED else (shared_stops, shared_goes + (k - _SHARED))
        total = math.log2(stops + goes + 1)
        cost[k] = so_far + total - math.log2(stops + 0.5)
        so_far += total - math.log2(goes + 0.5)
    return cost


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
