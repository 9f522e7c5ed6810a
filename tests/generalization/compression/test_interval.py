"""The interval of the arithmetic code: fields of any size, carries, and the shortest message inside."""

import math
from fractions import Fraction

import numpy as np
import pytest

from sklstm.generalization.compression import ArithmeticDecoder, ArithmeticEncoder, integer_bits


@pytest.mark.parametrize("size", [1, 2, 3, 10, 1000, 2**32, 2**32 + 1, 2**33 - 1, 3**50, 2**1000 + 1])
def test_fields_of_any_size(size):
    rng = np.random.default_rng(1)
    values = {0, size - 1, size // 2, size // 3, *(int.from_bytes(rng.bytes(130)) % size for _ in range(50))}
    for offset in (0, 1, 7):  # the field meets several intervals
        for value in values:
            encoder = ArithmeticEncoder()
            for _ in range(offset):
                encoder.bit(0, "c")
            encoder.uniform(value, size)
            code, n_bits = encoder.finish()
            assert n_bits <= math.ceil(math.log2(size) + integer_bits([0] * offset)) + 2
            decoder = ArithmeticDecoder(code, n_bits)
            assert [decoder.bit("c") for _ in range(offset)] == [0] * offset
            assert decoder.uniform(size) == value


def test_many_fields_cost_what_they_hold():
    # 5,000 fields just above the limit of one piece: uneven pieces would cost some 0.005 bits each.
    rng, size = np.random.default_rng(2), 2**32 + 1
    fields = [int(v) for v in rng.integers(0, size, 5000)]
    encoder = ArithmeticEncoder()
    for field in fields:
        encoder.uniform(field, size)
    code, n_bits = encoder.finish()
    assert 5000 * math.log2(size) <= n_bits <= math.ceil(5000 * math.log2(size)) + 2
    decoder = ArithmeticDecoder(code, n_bits)
    assert [decoder.uniform(size) for _ in fields] == fields


@pytest.mark.parametrize(("last", "first_bits"), [(0, "0" + "1" * 4000), (999, "1" + "0" * 4000)])
def test_carries_run_through_what_was_put_away(last, first_bits):
    # Always the third that holds 1/2: the lower end is 0.0111… in binary until the last step decides on which side of
    # 1/2 the message lies. The interval is followed here in integers that grow without limit.
    encoder, low, width, scale, digits = ArithmeticEncoder(), 0, 2**61, 61, []
    for _ in range(3000):
        digits.append(next(d for d in range(3) if low + width * (d + 1) // 3 > 2 ** (scale - 1)))
        encoder.uniform(digits[-1], 3)
        low, width = low + width * digits[-1] // 3, width * (digits[-1] + 1) // 3 - width * digits[-1] // 3
        shift = 62 - width.bit_length()
        low, width, scale = low << shift, width << shift, scale + shift
    encoder.uniform(last, 1000)
    code, n_bits = encoder.finish()
    assert format(code, f"0{n_bits}b").startswith(first_bits)
    start = Fraction(low + width * last // 1000, 2**scale)
    stop = Fraction(low + width * (last + 1) // 1000, 2**scale)
    assert start <= Fraction(code, 2**n_bits) < Fraction(code + 1, 2**n_bits) <= stop
    assert Fraction(1, 2 ** (n_bits - 2)) > stop - start  # two bits fewer could not fit
    decoder = ArithmeticDecoder(code, n_bits)
    assert [decoder.uniform(3) for _ in digits] == digits
    assert decoder.uniform(1000) == last


def test_message_is_the_shortest_inside_the_exact_interval():
    # Sizes that divide 2^61 leave nothing to round: the interval is known, and with it every shorter candidate.
    rng = np.random.default_rng(3)
    for _ in range(300):
        encoder, start, width = ArithmeticEncoder(), Fraction(0), Fraction(1)
        for _ in range(int(rng.integers(1, 30))):
            size = 2 ** int(rng.integers(0, 5))
            value = int(rng.integers(size))
            encoder.uniform(value, size)
            width /= size
            start += value * width
        code, n_bits = encoder.finish()
        assert (Fraction(code, 2**n_bits), Fraction(1, 2**n_bits)) == (start, width)
    encoder = ArithmeticEncoder()
    encoder.uniform(1, 3)  # [1/3, 2/3) holds [3/8, 4/8), the first of length 3, and nothing of length 2
    assert encoder.finish() == (3, 3)
    encoder = ArithmeticEncoder()
    encoder.uniform(0, 3)  # [0, 1/3) holds [0, 1/4)
    assert encoder.finish() == (0, 2)


def test_errors():
    encoder = ArithmeticEncoder()
    with pytest.raises(ValueError, match="0 or 1"):
        encoder.bit(2, "c")
    for value in (-1, 5):
        with pytest.raises(ValueError, match="value must lie in 0 to size - 1 = 4"):
            encoder.uniform(value, 5)
    with pytest.raises(ValueError, match="size must be at least 1"):
        encoder.uniform(0, 0)
    with pytest.raises(TypeError):
        encoder.uniform(0.5, 3)
    assert encoder.finish() == (0, 0)  # nothing of what was refused was coded
    for code, n_bits in ((-1, 3), (8, 3), (1, 0), (0, -1)):
        with pytest.raises(ValueError, match="code must lie in 0 to"):
            ArithmeticDecoder(code, n_bits)
    with pytest.raises(TypeError):
        ArithmeticDecoder(1.0, 3)
    decoder = ArithmeticDecoder(5, 3)
    with pytest.raises(ValueError, match="size must be at least 1"):
        decoder.uniform(0)
    # 3 bits settle three fair decisions and no fourth; nor does asking again.
    assert [decoder.uniform(2) for _ in range(3)] == [1, 0, 1]
    for _ in range(200):
        with pytest.raises(ValueError, match="message ends before"):
            decoder.uniform(2)
