"""The arithmetic code: messages decode, none begins another, and their lengths are what the probabilities say."""

import math
from collections import defaultdict
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import torch

from sklstm.generalization.compression._arithmetic_code import (
    Decoder,
    Encoder,
    decode_integers,
    encode_integers,
    integer_bits,
    level_costs,
)

SOURCES = {
    "zeros": lambda rng, n: np.zeros(n, dtype=np.int64),
    "one value": lambda rng, n: np.full(n, -3),
    "sparse": lambda rng, n: rng.integers(-2, 3, n) * (rng.random(n) < 0.1),
    "normal": lambda rng, n: np.rint(rng.normal(0, 2, n)).astype(np.int64),
    "wide": lambda rng, n: np.rint(rng.laplace(0, 60, n)).astype(np.int64),
    "every magnitude": lambda rng, n: rng.choice([-1, 1], n) * 2 ** rng.integers(0, 41, n),
}


def _encode(*groups):
    encoder = Encoder()
    for i, values in enumerate(groups):
        encode_integers(encoder, values, i)
    return encoder.finish()


def _decode(message, *counts):
    decoder = Decoder(*message)
    return [decode_integers(decoder, count, i) for i, count in enumerate(counts)]


class Ledger:
    """In place of an encoder: multiplies the probabilities of the decisions one by one, as exact fractions."""

    def __init__(self):
        self.counts, self.probabilities, self.fixed_bits = defaultdict(lambda: [0, 0]), [], 0

    def bit(self, value, context):
        counts = self.counts[context]
        self.probabilities.append(Fraction(2 * counts[value] + 1, 2 * sum(counts) + 2))
        counts[value] += 1

    def uniform(self, value, size):
        assert 0 <= value < size
        self.probabilities.append(Fraction(1, size))
        self.fixed_bits += math.log2(size)

    def bits(self):
        return math.fsum(math.log2(p.denominator) - math.log2(p.numerator) for p in self.probabilities)


def _ledger(values):
    ledger = Ledger()
    encode_integers(ledger, values, "g")
    return ledger


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("n", [0, 1, 10, 2000])
def test_round_trip_and_length(source, n):
    values = SOURCES[source](np.random.default_rng(n), n)
    code, n_bits = _encode(values)
    assert 0 <= code < 2**n_bits or code == n_bits == 0
    (decoded,) = _decode((code, n_bits), n)
    np.testing.assert_array_equal(decoded, values)
    assert decoded.dtype == np.int64
    ideal = integer_bits(values)
    assert ideal == pytest.approx(_ledger(values).bits(), rel=1e-12, abs=1e-9)
    assert ideal - 1e-6 <= n_bits <= math.ceil(ideal) + 2


def test_nothing_takes_no_bits():
    assert Encoder().finish() == (0, 0)
    assert _encode([], np.empty((0, 3), dtype=np.int8)) == (0, 0)
    assert integer_bits([]) == 0
    assert [part.shape for part in _decode((0, 0), 0, 0)] == [(0,), (0,)]


def test_known_lengths():
    assert integer_bits([0]) == pytest.approx(1, abs=1e-14)
    # P(00) = 1/2 · 3/4; then a first sign and a first magnitude of 1 for each of two ones: again 3/8 apiece.
    assert integer_bits([1, 1]) == pytest.approx(3 * math.log2(8 / 3), abs=1e-14)
    # C(2N, N)/4^N, about 1/√(πN), is the probability of N equal outcomes.
    n = 10_000
    exact = 2 * n - math.log2(math.comb(2 * n, n))
    assert integer_bits(np.zeros(n, dtype=int)) == pytest.approx(exact, abs=1e-9)
    assert exact == pytest.approx(0.5 * math.log2(math.pi * n), abs=1e-4)
    assert _encode([0] * n)[1] <= 9


def test_groups_interleaved_with_fields():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        encoder, ideal, script = Encoder(), 0.0, []
        for group in range(int(rng.integers(1, 6))):
            values = rng.geometric(rng.uniform(0.05, 0.9), rng.integers(0, 200)) * rng.integers(-1, 2)
            size = int(rng.integers(1, 50)) ** int(rng.integers(0, 60))
            field = int.from_bytes(rng.bytes(50)) % size
            script.append((group, values, size, field))
            encode_integers(encoder, values, group)
            encoder.uniform(field, size)
            ideal += integer_bits(values) + math.log2(size)
        code, n_bits = encoder.finish()
        assert ideal - 1e-6 <= n_bits <= math.ceil(ideal) + 2
        decoder = Decoder(code, n_bits)
        for group, values, size, field in script:
            np.testing.assert_array_equal(decode_integers(decoder, len(values), group), values)
            assert decoder.uniform(size) == field


def test_groups_learn_apart_and_one_group_goes_on_learning():
    values = np.random.default_rng(0).integers(-1, 2, 300)
    zeros = np.zeros(300, dtype=int)
    together = Encoder()
    encode_integers(together, values, "a")
    encode_integers(together, zeros, "a")
    assert together.finish()[1] <= math.ceil(integer_bits(np.concatenate((values, zeros)))) + 2
    assert _encode(values, zeros)[1] <= math.ceil(integer_bits(values) + integer_bits(zeros)) + 2
    assert _encode(values, zeros)[1] < together.finish()[1] - 50


def test_finish_leaves_the_encoder_as_it_is():
    encoder = Encoder()
    encode_integers(encoder, [1, -2], 0)
    assert encoder.finish() == encoder.finish() == _encode([1, -2])
    encode_integers(encoder, [0], 1)
    assert encoder.finish() == _encode([1, -2], [0])


def test_no_message_begins_another():
    messages = set()
    for triple in np.ndindex(5, 5, 5):
        code, n_bits = _encode(np.array(triple) - 2)
        messages.add(format(code, f"0{n_bits}b"))
    assert len(messages) == 125
    ordered = sorted(messages)  # a prefix sorts just before what it begins
    assert not any(b.startswith(a) for a, b in pairwise(ordered))
    assert 0.1 < sum(Fraction(1, 2 ** len(message)) for message in messages) <= 1


def test_ideal_lengths_are_those_of_a_probability():
    # Zero or not and the signs, of all sequences of three: with every magnitude 1 the rest is a third factor.
    total = sum(2 ** -integer_bits(np.array(triple) - 1) for triple in np.ndindex(3, 3, 3))
    m = range(4)  # how many of three are not zero; each way of C(3, m) has KT probability q(m); then all stop at 1
    kt = [math.comb(2 * k, k) / 4**k for k in m]
    q = [math.gamma(3.5 - k) * math.gamma(k + 0.5) / math.pi / math.factorial(3) for k in m]
    assert total == pytest.approx(sum(math.comb(3, k) * q[k] * kt[k] for k in m), rel=1e-12)
    assert total < 1


@pytest.mark.parametrize("source", SOURCES)
def test_what_follows_a_message_changes_nothing(source):
    rng = np.random.default_rng(4)
    values = SOURCES[source](rng, 100)
    code, n_bits = _encode(values)
    for extra in (1, 2, 61, 62, 63, 1000):
        for tail in (0, 2**extra - 1, int.from_bytes(rng.bytes(125)) % 2**extra):
            (decoded,) = _decode((code << extra | tail, n_bits + extra), 100)
            np.testing.assert_array_equal(decoded, values)


@pytest.mark.parametrize("source", SOURCES)
def test_a_message_cut_short_is_refused(source):
    values = SOURCES[source](np.random.default_rng(5), 100)
    code, n_bits = _encode(values)
    for missing in {1, 2, n_bits // 2, n_bits}:
        # Were it accepted, it would be a shorter message for the same integers, or these two would share a point.
        with pytest.raises(ValueError, match="message ends before"):
            _decode((code >> missing, n_bits - missing), 100)


def test_arbitrary_messages_decode_or_raise():
    rng = np.random.default_rng(6)
    outcomes = {"decoded": 0, "ended": 0, "magnitude": 0}
    for _ in range(300):
        n_bits = int(rng.integers(1, 400))
        code = int.from_bytes(rng.bytes(50)) % 2**n_bits
        if rng.random() < 0.3:
            code = 2**n_bits - 1 - code % 2 ** (n_bits // 3)  # begins with ones: not zero, negative, large
        try:
            (values,) = _decode((code, n_bits), 20)
        except ValueError as error:
            outcomes["magnitude" if "magnitude" in str(error) else "ended"] += 1
        else:
            # All that begins with the message decodes to the same, and finish takes the shortest such beginning.
            outcomes["decoded"] += 1
            assert _encode(values)[1] <= n_bits
    assert min(outcomes.values()) > 0, outcomes


def _pmf_bits(values, p_zero, p_negative, p_stop):
    """−log2 of the probability under the source itself: sign and geometric magnitude, from its mass function."""
    m = np.abs(values[values != 0])
    log_mass = np.log(1 - p_zero) + np.log(p_stop) + (m - 1) * np.log(1 - p_stop)
    log_mass += np.where(values[values != 0] < 0, np.log(p_negative), np.log(1 - p_negative))
    return -(log_mass.sum() + np.count_nonzero(values == 0) * np.log(p_zero)) / math.log(2)


@pytest.mark.parametrize("p_zero", [0.02, 0.5, 0.98])
@pytest.mark.parametrize("p_stop", [0.4, 0.9])
def test_a_skewed_source_costs_its_entropy_and_the_price_of_learning(p_zero, p_stop):
    n, p_negative = 3000, 0.3
    rng = np.random.default_rng(7)
    sign = np.where(rng.random(n) < p_negative, -1, 1)
    values = sign * rng.geometric(p_stop, n) * (rng.random(n) >= p_zero)
    ledger = _ledger(values)
    assert ledger.fixed_bits == 0
    learning = sum(0.5 * math.log2(sum(counts)) + 1 for counts in ledger.counts.values())
    n_bits = _encode(values)[1]
    assert n_bits <= math.ceil(_pmf_bits(values, p_zero, p_negative, p_stop) + learning) + 2
    # And from below: no fixed probabilities describe the outcomes in fewer bits than their own frequencies.
    frequencies = math.fsum(-c * math.log2(c / sum(pair)) for pair in ledger.counts.values() for c in pair if c)
    assert frequencies <= n_bits <= frequencies + learning + 3


def test_a_huge_magnitude_costs_a_logarithm():
    # After 127 unary decisions, of which 120 share a context; one bit each for the seven others, zero, sign and the
    # end of the length.
    base = integer_bits([128])
    assert base == pytest.approx(9 + 240 - math.log2(math.comb(240, 120)) + 1, abs=1e-9)
    for m in (128, 129, 130, 2**10, 2**40, 2**53 + 1, 2**54 - 1, 2**61 + 126, 2**61 + 127, 2**62 - 1):
        for value in (m, -m):
            assert integer_bits([value]) - base == pytest.approx(2 * ((m - 127).bit_length() - 1), abs=1e-9)
            message = _encode([value])
            assert message[1] <= math.ceil(integer_bits([value])) + 2
            assert _decode(message, 1)[0].tolist() == [value]


def test_kinds_of_arrays():
    values = [[0, -1, 2], [3, 0, 127]]
    expected = _encode(values)
    for dtype in (np.int8, np.int16, np.int32):
        assert _encode(np.array(values, dtype=dtype)) == expected
        assert integer_bits(np.array(values, dtype=dtype)) == integer_bits(values)
    assert _encode(torch.tensor(values)) == expected
    assert _encode(np.array([200, 1], dtype=np.uint8)) == _encode([200, 1])
    assert _encode(np.array([-128], dtype=np.int8)) == _encode([-128])
    assert integer_bits(np.array([-128], dtype=np.int8)) == integer_bits([-128])


def test_errors():
    encoder = Encoder()
    for values in ([0.5], [True], [2**70]):
        with pytest.raises(TypeError, match="must be integers"):
            encode_integers(encoder, values, 0)
        with pytest.raises(TypeError, match="must be integers"):
            integer_bits(values)
    for value in (2**62, -(2**62), -(2**63), 2**63):
        with pytest.raises(ValueError, match=r"below 2\*\*62"):
            encode_integers(encoder, [1, value] if value < 2**63 else [value], 0)
        with pytest.raises(ValueError, match=r"below 2\*\*62"):
            integer_bits([value])
    assert encoder.finish() == (0, 0)  # nothing of what was refused was coded
    with pytest.raises(ValueError, match="count must be non-negative"):
        decode_integers(Decoder(5, 3), -1, 0)


@pytest.mark.parametrize("size", [1, 2, 3, 10, 1000, 2**32, 2**32 + 1, 2**33 - 1, 3**50, 2**1000 + 1])
def test_fields_of_any_size(size):
    rng = np.random.default_rng(1)
    values = {0, size - 1, size // 2, size // 3, *(int.from_bytes(rng.bytes(130)) % size for _ in range(50))}
    for offset in (0, 1, 7):  # the field meets several intervals
        for value in values:
            encoder = Encoder()
            for _ in range(offset):
                encoder.bit(0, "c")
            encoder.uniform(value, size)
            code, n_bits = encoder.finish()
            assert n_bits <= math.ceil(math.log2(size) + integer_bits([0] * offset)) + 2
            decoder = Decoder(code, n_bits)
            assert [decoder.bit("c") for _ in range(offset)] == [0] * offset
            assert decoder.uniform(size) == value


def test_many_fields_cost_what_they_hold():
    # 5,000 fields just above the limit of one piece: uneven pieces would cost some 0.005 bits each.
    rng, size = np.random.default_rng(2), 2**32 + 1
    fields = [int(v) for v in rng.integers(0, size, 5000)]
    encoder = Encoder()
    for field in fields:
        encoder.uniform(field, size)
    code, n_bits = encoder.finish()
    assert 5000 * math.log2(size) <= n_bits <= math.ceil(5000 * math.log2(size)) + 2
    decoder = Decoder(code, n_bits)
    assert [decoder.uniform(size) for _ in fields] == fields


@pytest.mark.parametrize(("last", "first_bits"), [(0, "0" + "1" * 4000), (999, "1" + "0" * 4000)])
def test_carries_run_through_what_was_put_away(last, first_bits):
    # Always the third that holds 1/2: the lower end is 0.0111… in binary until the last step decides on which side of
    # 1/2 the message lies. The interval is followed here in integers that grow without limit.
    encoder, low, width, scale, digits = Encoder(), 0, 2**61, 61, []
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
    decoder = Decoder(code, n_bits)
    assert [decoder.uniform(3) for _ in digits] == digits
    assert decoder.uniform(1000) == last


def test_message_is_the_shortest_inside_the_exact_interval():
    # Sizes that divide 2^61 leave nothing to round: the interval is known, and with it every shorter candidate.
    rng = np.random.default_rng(3)
    for _ in range(300):
        encoder, start, width = Encoder(), Fraction(0), Fraction(1)
        for _ in range(int(rng.integers(1, 30))):
            size = 2 ** int(rng.integers(0, 5))
            value = int(rng.integers(size))
            encoder.uniform(value, size)
            width /= size
            start += value * width
        code, n_bits = encoder.finish()
        assert (Fraction(code, 2**n_bits), Fraction(1, 2**n_bits)) == (start, width)
    encoder = Encoder()
    encoder.uniform(1, 3)  # [1/3, 2/3) holds [3/8, 4/8), the first of length 3, and nothing of length 2
    assert encoder.finish() == (3, 3)
    encoder = Encoder()
    encoder.uniform(0, 3)  # [0, 1/3) holds [0, 1/4)
    assert encoder.finish() == (0, 2)


def test_errors_of_the_coder():
    encoder = Encoder()
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
            Decoder(code, n_bits)
    with pytest.raises(TypeError):
        Decoder(1.0, 3)
    decoder = Decoder(5, 3)
    with pytest.raises(ValueError, match="size must be at least 1"):
        decoder.uniform(0)
    # 3 bits settle three fair decisions and no fourth; nor does asking again.
    assert [decoder.uniform(2) for _ in range(3)] == [1, 0, 1]
    for _ in range(200):
        with pytest.raises(ValueError, match="message ends before"):
            decoder.uniform(2)


@pytest.mark.parametrize("spread", [0.3, 2.0, 20.0])
def test_level_costs_are_what_the_code_takes(spread):
    integers = np.rint(np.random.default_rng(0).laplace(0.2, spread, 300)).astype(np.int64)
    integers[:3] = [127, 128, 5000]
    before, costs = integer_bits(integers), level_costs(integers)
    assert costs.shape == (65,)
    for k, cost in enumerate(costs):
        longer = [integer_bits(np.append(integers, sign * k)) - before for sign in (-1, 1)]
        assert cost == pytest.approx(sum(longer) / 2, rel=1e-9)


def test_level_costs_of_nothing():
    np.testing.assert_allclose(level_costs(np.zeros(0, dtype=np.int64))[:3], [1, 3, 4])  # fair decisions
