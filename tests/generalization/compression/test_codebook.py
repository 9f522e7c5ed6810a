"""The code of the Occam bound: what is charged is what a message takes that decodes to the same weights."""

import math

import numpy as np
import pytest
import torch

from sklstm.generalization.compression._codebook import _sequence_bits, code_length, quantise
from tests.support.enumerative_code import decode, decode_indices, encode, encode_indices


def _multinomial(counts):
    return math.factorial(sum(counts)) // math.prod(map(math.factorial, counts))


@pytest.mark.parametrize("q", [1, 2, 3, 10, 64])
@pytest.mark.parametrize("n", [1, 2, 17, 300])
def test_indices_round_trip(q, n):
    rng = np.random.default_rng(100 * q + n)
    for concentration in (0.1, 10.0):
        indices = rng.choice(q, size=n, p=rng.dirichlet(np.full(q, concentration)))
        code, n_bits = encode_indices(indices, q)
        assert 0 <= code < 2**n_bits or code == n_bits == 0
        np.testing.assert_array_equal(decode_indices(code, n, q), indices)
        counts = np.bincount(indices, minlength=q)
        assert n_bits + 16 * q == code_length(counts)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_every_short_sequence_has_its_own_message(n):
    q = 3
    codes = {encode_indices(np.array(np.unravel_index(i, (q,) * n)), q) for i in range(q**n)}
    assert len(codes) == q**n


def test_arrangements_fill_their_field():
    # 4 weights with counts (2, 1, 1): 12 arrangements, ranks 0 to 11 above the field of the counts.
    width = (math.comb(6, 2) - 1).bit_length()
    arrangements = [a for a in np.ndindex(3, 3, 3, 3) if np.bincount(a, minlength=3).tolist() == [2, 1, 1]]
    assert sorted(encode_indices(np.array(a), 3)[0] >> width for a in arrangements) == list(range(12))


def test_field_width_from_log_gamma_against_exact_integers():
    rng = np.random.default_rng(0)
    for _ in range(300):
        counts = rng.integers(0, 200, rng.integers(1, 12)).tolist()
        exact = (_multinomial(counts) - 1).bit_length()
        assert exact <= _sequence_bits(counts) <= exact + 1
    counts = [9000, 7000, 3000, 1000]
    exact = (_multinomial(counts) - 1).bit_length()
    assert exact <= _sequence_bits(counts) <= exact + 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("q", [2, 5, 16])
def test_a_message_decodes_to_the_same_weights(dtype, q):
    generator = torch.Generator().manual_seed(q)
    weights = {
        "weight_ih": torch.randn(8, 3, generator=generator, dtype=dtype),
        "bias": torch.randn(8, generator=generator, dtype=dtype),
    }
    candidates = (2, 5, 16, 64)
    quantised = quantise(weights, q)
    code, n_bits = encode(quantised, candidates)
    assert 0 <= code < 2**n_bits
    assert n_bits == code_length(np.bincount(quantised.indices, minlength=q), len(candidates))
    empty = {name: torch.empty_like(tensor) for name, tensor in weights.items()}
    decoded = decode(code, empty, candidates).weights()
    assert list(decoded) == list(weights)
    for name, tensor in quantised.weights().items():
        assert decoded[name].dtype == dtype
        assert torch.equal(decoded[name], tensor)
        assert tensor.unique().numel() <= q


def test_quantised_weights_are_the_nearest_levels():
    weights = {"a": torch.randn(200, generator=torch.Generator().manual_seed(0), dtype=torch.float64)}
    quantised = quantise(weights, 7)
    levels = quantised.levels.astype(float)
    assert (np.diff(levels) >= 0).all()
    distance = np.abs(weights["a"].numpy()[:, None] - levels)
    taken = np.abs(weights["a"].numpy() - quantised.weights()["a"].numpy())
    np.testing.assert_allclose(taken, distance.min(axis=1), rtol=1e-12)


def test_k_means_recovers_separated_clusters():
    centres = torch.tensor([-2.0, -0.5, 0.0, 1.0])
    weights = {"a": centres.repeat(25) + 1e-4 * torch.linspace(-1, 1, 100)}
    np.testing.assert_allclose(quantise(weights, 4).levels.astype(float), centres, atol=1e-3)


@pytest.mark.parametrize("values", [torch.zeros(5), torch.full((3,), 1e6), torch.tensor([1e-12, -1e-12])])
def test_odd_weights(values):
    quantised = quantise({"a": values}, 4)
    code, _ = encode(quantised, (4,))
    assert torch.equal(decode(code, {"a": values}, (4,)).weights()["a"], quantised.weights()["a"])
    assert quantised.weights()["a"].isfinite().all()


def test_originals_stay_as_they_are():
    parameter = torch.nn.Parameter(torch.arange(6.0).reshape(2, 3))
    quantised = quantise({"a": parameter}, 2).weights()["a"]
    assert torch.equal(parameter, torch.arange(6.0).reshape(2, 3))
    assert not quantised.requires_grad


def test_errors():
    with pytest.raises(ValueError, match="no weights"):
        quantise({}, 2)
    with pytest.raises(ValueError, match="only floating-point tensors"):
        quantise({"a": torch.ones(2, dtype=torch.int64)}, 2)
    with pytest.raises(ValueError, match="NaN or infinite"):
        quantise({"a": torch.tensor([math.nan])}, 2)
    with pytest.raises(ValueError, match="n_levels must be a positive integer"):
        quantise({"a": torch.ones(2)}, 0)
    with pytest.raises(ValueError, match="indices must lie in 0 to 1"):
        encode_indices(np.array([0, 2]), 2)
