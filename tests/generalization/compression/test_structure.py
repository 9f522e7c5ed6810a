"""Weights from parts: the maps are what they are said to be, starts are the best there are, pickles are small."""

import math
import pickle

import numpy as np
import pytest
import torch

from sklstm.generalization.compression._structure import SUBSPACE, Structure


def _weights(seed=0, dtype=torch.float64):
    rng = np.random.default_rng(seed)
    shapes = {"W": (6, 5), "V": (3, 6), "b": (6,)}
    return {name: torch.from_numpy(rng.normal(size=shape)).to(dtype) for name, shape in shapes.items()}


def _values(structure, seed=1):
    rng = np.random.default_rng(seed)
    return {part: torch.from_numpy(rng.normal(size=shape)) for part, shape in structure.shapes.items()}


STRUCTURES = {
    "direct": {},
    "low rank": {"ranks": {"W": 2, "V": 3}},
    "low rank with base": {"ranks": {"W": 1}, "base": {"W": torch.ones(6, 5), "b": torch.full((6,), 0.3)}},
    "subspace": {"subspace": 7},
    "subspace with base": {"subspace": 4, "base": {"W": torch.full((6, 5), 0.7)}, "seed": 3},
}


@pytest.fixture(params=STRUCTURES.values(), ids=STRUCTURES.keys())
def structure(request):
    return Structure(_weights(dtype=torch.float32), **request.param)


def test_composition_is_the_formula_entry_by_entry():
    base = {"W": _weights(5)["W"]}
    structure = Structure(_weights(), base=base, ranks={"W": 2})
    values = _values(structure)
    weights = structure.compose(values)
    for i in range(6):
        for j in range(5):
            product = sum(float(values["W.left"][i, r]) * float(values["W.right"][r, j]) for r in range(2))
            assert float(weights["W"][i, j]) == pytest.approx(float(base["W"][i, j]) + product, rel=1e-14)
    assert torch.equal(weights["V"], values["V"])
    assert torch.equal(weights["b"], values["b"])


def test_directions_are_signs_of_the_right_size():
    dimension, base = 7, torch.full((6, 5), 3.0)
    structure = Structure(_weights(), subspace=dimension, base={"W": base})
    start = structure.compose({SUBSPACE: torch.zeros(dimension).double()})
    moved = []
    for unit in torch.eye(dimension).double():
        weights = structure.compose({SUBSPACE: unit})
        moved.append(torch.cat([(weights[name] - start[name]).ravel() for name in weights]))
    directions = torch.stack(moved)
    for piece, size in zip(
        directions.split([30, 18, 6], dim=1), (3.0, 1 / math.sqrt(6), 1 / math.sqrt(6)), strict=True
    ):
        scale = piece.abs().unique()
        assert scale.numel() == 1
        assert math.frexp(float(scale))[0] == 0.5  # a power of two,
        assert 2**-0.5 <= float(scale) / (size / math.sqrt(dimension)) <= 2**0.5  # the nearest
    positive = int((directions > 0).sum())
    n = directions.numel()
    assert abs(positive - n / 2) < 4 * math.sqrt(n) / 2
    other = Structure(_weights(), subspace=dimension, base={"W": base}, seed=1).compose({SUBSPACE: unit})
    assert not torch.equal(other["W"], weights["W"])


def test_signs_are_the_raw_bits_of_the_generator():
    # Message and seed have to say the same in every version of numpy. Bytes from the lowest, bits from the highest.
    structure = Structure({"W": torch.zeros(13, 1)}, subspace=11, seed=5)
    raw = b"".join(int(word).to_bytes(8, "little") for word in np.random.PCG64(5).random_raw(3))
    digits = "".join(f"{byte:08b}" for byte in raw)[: 13 * 11]
    signs = [[1 if digits[11 * i + j] == "1" else -1 for j in range(11)] for i in range(13)]
    moved = [structure.compose({SUBSPACE: unit})["W"][:, 0].sign() for unit in torch.eye(11).double()]
    assert torch.equal(torch.stack(moved, dim=1), torch.tensor(signs).double())


def test_a_tie_of_two_powers_goes_upwards():
    # Entries of 2^(-1/2) in one direction: 1/2 and 1 are equally near, and round-off must not choose.
    structure = Structure({"W": torch.zeros(3, 2)}, subspace=1)
    assert torch.equal(structure.compose({SUBSPACE: torch.ones(1).double()})["W"].abs(), torch.ones(3, 2).double())


def test_gradients(structure):
    values = _values(structure)
    parts = list(values)

    def composed(*tensors):
        return tuple(structure.compose(dict(zip(parts, tensors, strict=True))).values())

    assert torch.autograd.gradcheck(composed, tuple(value.requires_grad_(True) for value in values.values()))


def test_weights_have_the_dtypes_of_the_network(structure):
    values = {part: value.requires_grad_(True) for part, value in _values(structure).items()}
    composed, weights = structure.compose(values), structure.weights(values)
    assert list(weights) == list(composed) == ["W", "V", "b"]
    for name, tensor in weights.items():
        assert composed[name].dtype == torch.float64
        assert tensor.dtype == torch.float32
        assert not tensor.requires_grad
        assert torch.equal(tensor, composed[name].detach().float())


@pytest.mark.parametrize(
    ("kwargs", "n_values"),
    [({}, 54), ({"ranks": {"W": 2, "V": 3}}, 2 * (6 + 5) + 3 * (3 + 6) + 6), ({"subspace": 11}, 11)],
)
def test_counts(kwargs, n_values):
    structure = Structure(_weights(), **kwargs)
    assert structure.n_weights == 54
    assert structure.n_values == n_values == sum(value.numel() for value in _values(structure).values())
    assert sorted(part for parts, _ in structure.products for part in parts) == sorted(structure.shapes)


@pytest.mark.parametrize("with_base", [False, True])
def test_start_reproduces_a_matrix_of_its_rank(with_base):
    weights, base = _weights(), _weights(1)
    weights["W"] = base["W"] * with_base + torch.outer(weights["W"][:, 0], weights["W"][0])
    structure = Structure(weights, ranks={"W": 2}, base=base if with_base else None)
    composed = structure.compose(structure.start(weights))
    for name, tensor in weights.items():
        torch.testing.assert_close(composed[name], tensor, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("rank", [1, 2, 4, 5])
def test_start_is_the_best_approximation(rank):
    # Eckart and Young: what is left has the singular values that were cut off. By eigenvalues, another route.
    weights = _weights()
    structure = Structure(weights, ranks={"W": rank})
    error = (structure.compose(structure.start(weights))["W"] - weights["W"]).square().sum()
    gram = weights["W"].T @ weights["W"]
    assert float(error) == pytest.approx(float(torch.linalg.eigvalsh(gram)[: 5 - rank].sum()), abs=1e-12)
    left, right = structure.start(weights)["W.left"], structure.start(weights)["W.right"]
    torch.testing.assert_close(left.T @ left, right @ right.T)  # both factors take one share of the size


def test_start_of_a_subspace_is_the_base():
    base = _weights(2)
    structure = Structure(_weights(), subspace=3, base=base)
    composed = structure.compose(structure.start(_weights()))
    assert all(torch.equal(composed[name], base[name]) for name in base)


def test_start_has_the_order_of_the_parts():
    weights = _weights()
    structure = Structure(weights, ranks={"V": 1})
    assert list(structure.start(dict(reversed(weights.items())))) == list(structure.shapes)


def test_pickled_structure_composes_the_same(structure):
    values = _values(structure)
    again = pickle.loads(pickle.dumps(structure))
    before, after = structure.compose(values), again.compose(values)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(tensor.dtype == torch.float32 for tensor in again.weights(values).values())
    assert again.shapes == structure.shapes


def test_pickle_of_a_subspace_is_small():
    structure = Structure({"W": torch.zeros(100, 200)}, subspace=50)  # 8 MB of signs
    assert len(pickle.dumps(structure)) < 5000


def test_structure_keeps_no_hold_of_its_arguments():
    like, base = {"W": torch.ones(2, 2)}, {"W": torch.ones(2, 2).double()}
    structure = Structure(like, base=base)
    base["W"].fill_(9)
    assert torch.equal(structure.base["W"], torch.ones(2, 2).double())
    assert not structure.like["W"].any()


NAN = torch.full((6,), math.nan)


@pytest.mark.parametrize(
    ("like", "kwargs", "match"),
    [
        ({}, {}, "no weights"),
        ({"W": torch.zeros(0, 3)}, {}, "no weights"),
        ({"W": torch.tensor(1.0)}, {}, "dimension"),
        ({"W": torch.zeros(2, 2, dtype=torch.int64)}, {}, "floating-point"),
        (None, {"ranks": {"X": 1}}, "names"),
        (None, {"base": {"X": torch.zeros(1)}}, "names"),
        (None, {"ranks": {"W": 1}, "subspace": 2}, "exclude"),
        (None, {"ranks": {"b": 1}}, "rank"),
        (None, {"ranks": {"W": 0}}, "rank"),
        (None, {"ranks": {"W": 6}}, "rank"),
        (None, {"ranks": {"W": 1.5}}, "rank"),
        (None, {"ranks": {"W": True}}, "rank"),
        (None, {"base": {"b": torch.zeros(5)}}, "shape"),
        (None, {"base": {"b": NAN}}, "finite"),
        (None, {"base": {"b": torch.full((6,), math.inf)}}, "finite"),
        (None, {"base": {"b": torch.full((6,), 1e200, dtype=torch.float64)}}, r"1e\+100"),
        (None, {"subspace": 0}, "subspace"),
        (None, {"subspace": -3}, "subspace"),
        (None, {"subspace": 2.5}, "subspace"),
        (None, {"subspace": 10_000_000}, "at most 925925"),
        (None, {"subspace": 2, "seed": None}, "seed"),
        (None, {"subspace": 2, "seed": -1}, "seed"),
        ({"W": torch.zeros(2, 2), "W.left": torch.zeros(2)}, {"ranks": {"W": 1}}, "W.left"),
    ],
)
def test_bad_arguments(like, kwargs, match):
    like = _weights() if like is None else like
    with pytest.raises(ValueError, match=match):
        Structure(like, **kwargs)


def test_bad_values_and_weights(structure):
    values = _values(structure)
    part = next(iter(values))
    for wrong in ({}, values | {"X": torch.zeros(1)}, values | {part: values[part][:1]}):
        with pytest.raises(ValueError, match="parts and shapes"):
            structure.compose(wrong)
    weights = _weights()
    for wrong in ({"W": weights["W"]}, weights | {"X": weights["b"]}, weights | {"b": weights["b"][:2]}):
        with pytest.raises(ValueError, match="names and shapes"):
            structure.start(wrong)
    with pytest.raises(ValueError, match="finite"):
        structure.start(weights | {"b": NAN})
