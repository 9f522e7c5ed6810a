"""A network in integers: structures, exact weights, and messages that decode to them."""

import math
import pickle
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import torch

from sklstm.generalization import Description, Structure
from sklstm.generalization.compression._description import N_STEPS, SUBSPACE, columns, step_number, step_size


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


SHAPES = {"W": (7, 5), "V": (4, 7), "b": (7,), "K": (2, 3, 2)}
KINDS = {
    "direct": {},
    "low rank": {"ranks": {"W": 3, "V": 2}},
    "subspace": {"subspace": 9},
}


def _structure(kind, dtype=torch.float32, *, base=True):
    rng = np.random.default_rng(0)
    like = {name: torch.zeros(shape, dtype=dtype) for name, shape in SHAPES.items()}
    given = {name: torch.from_numpy(rng.normal(size=SHAPES[name])) for name in ("W", "b")} if base else None
    return Structure(like, base=given, **KINDS[kind])


def _description(structure, seed=0, *, spread=6.0, lowest=160, highest=200):
    rng = np.random.default_rng(seed)
    return Description(
        structure,
        {part: int(rng.integers(lowest, highest)) for part in structure.shapes},
        {part: rng.integers(0, 4, columns(shape)) for part, shape in structure.shapes.items()},
        {part: np.rint(rng.laplace(0, spread, shape)).astype(np.int64) for part, shape in structure.shapes.items()},
    )


def _same_bits(first, second):
    return list(first) == list(second) and all(
        torch.equal(first[name], second[name]) and first[name].dtype == second[name].dtype for name in first
    )


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("seed", range(4))
def test_decoding_gives_the_same_weights(kind, dtype, seed):
    description = _description(_structure(kind, dtype), seed, spread=4.0**seed)
    again = Description.decode(*description.message, _structure(kind, dtype))
    assert again.steps == description.steps
    for part in description.integers:
        np.testing.assert_array_equal(again.integers[part], description.integers[part])
        np.testing.assert_array_equal(again.finer[part], description.finer[part])
    assert _same_bits(again.weights(), description.weights())
    assert all(tensor.dtype == dtype for tensor in again.weights().values())


@pytest.mark.parametrize("seed", range(4))
def test_length_of_the_message(kind, seed):
    description = _description(_structure(kind), seed, spread=4.0**seed)
    code, n_bits = description.message
    assert 0 <= code < 2**n_bits
    assert n_bits == description.n_bits
    assert description.ideal_bits - 1e-6 <= n_bits <= description.bits_at_most <= description.ideal_bits + 3


def test_length_of_a_single_zero():
    # By hand: 8 bits for the step, 1 for the grid of the only column, 1 for the integer.
    structure = Structure({"b": torch.zeros(1)})
    zero = np.zeros(1, dtype=np.int64)
    assert Description(structure, {"b": 3}, {"b": zero}, {"b": zero}).ideal_bits == pytest.approx(10, abs=1e-12)


def _exact_parts(description):
    """The values of the parts as rational numbers, from the definition."""
    parts = {}
    for part, integers in description.integers.items():
        octave, quarter = divmod(description.steps[part], 4)
        step = Fraction(4 + quarter, 4) * Fraction(2) ** (octave - 48)
        finer = np.broadcast_to(description.finer[part], integers.shape) if integers.ndim == 2 else None
        exact = np.empty(integers.shape, dtype=object)
        for at in np.ndindex(integers.shape):
            digits = int(description.finer[part][0] if finer is None else finer[at])
            exact[at] = step * int(integers[at]) / 2**digits
        parts[part] = exact
    return parts


def _fractions(tensor):
    return np.vectorize(Fraction, otypes=[object])(tensor.double().numpy())


@pytest.mark.parametrize("seed", range(3))
def test_values_and_weights_are_exact_rational_numbers(kind, seed):
    structure = _structure(kind, torch.float64, base=False)
    description = _description(structure, seed, spread=300.0)
    exact = _exact_parts(description)
    for part, value in description.values().items():
        assert (_fractions(value) == exact[part]).all()
    weights = description.weights()
    if kind == "subspace":
        columns_of = [structure.compose({SUBSPACE: unit}) for unit in torch.eye(9).double()]
        for name in SHAPES:
            product = sum(_fractions(column[name]) * z for column, z in zip(columns_of, exact[SUBSPACE], strict=True))
            assert (_fractions(weights[name]) == product).all()
        return
    for name in SHAPES:
        product = exact[f"{name}.left"].dot(exact[f"{name}.right"]) if name in structure.ranks else exact[name]
        assert (_fractions(weights[name]) == product).all()


def test_weights_are_rounded_once_for_the_base_and_once_for_the_dtype():
    structure = _structure("low rank", torch.float32)
    description = _description(structure, spread=300.0)
    exact = _exact_parts(description)
    product = exact["W.left"].dot(exact["W.right"])
    # float() of a rational number is its nearest float64.
    total = np.vectorize(float)(_fractions(structure.base["W"]) + product)
    np.testing.assert_array_equal(description.weights()["W"].numpy(), total.astype(np.float32))


def test_order_of_summation_does_not_matter():
    # A product at the limit of 53 digits, once with its terms in another order.
    rank, rng = 64, np.random.default_rng(1)
    structure = Structure({"W": torch.zeros(rank, rank).double()}, ranks={"W": rank})
    largest = math.isqrt(2**53 // (49 * rank))
    shapes = structure.shapes
    integers = {part: rng.integers(-largest, largest + 1, shape) for part, shape in shapes.items()}
    finer = {part: np.zeros(columns(shape), dtype=np.int64) for part, shape in shapes.items()}
    steps = dict.fromkeys(shapes, 4 * 40 + 3)
    order = rng.permutation(rank)
    other = {"W.left": integers["W.left"][:, order], "W.right": integers["W.right"][order]}
    first = Description(structure, steps, finer, integers).weights()
    assert _same_bits(first, Description(structure, steps, finer, other).weights())
    beyond = {part: np.full(shape, 2 * largest) for part, shape in shapes.items()}
    with pytest.raises(ValueError, match="too large for exact weights"):
        Description(structure, steps, finer, beyond)


def test_limits_of_exactness():
    structure = Structure({"W": torch.zeros(2, 3).double()}, ranks={"W": 1})
    steps = {"W.left": 4 * 48, "W.right": 4 * 48}  # of size 1, with a = 4 units
    finer = {"W.left": np.array([0]), "W.right": np.array([0, 60, 255])}  # columns of the product: no common unit
    integers = {"W.left": np.array([[2**24], [-1]]), "W.right": np.array([[2**25, 0, 1]])}
    assert float(Description(structure, steps, finer, integers).weights()["W"][0, 0]) == 2.0**49
    assert float(Description(structure, steps, finer, integers).weights()["W"][1, 2]) == -(2.0**-255)
    with pytest.raises(ValueError, match="exact"):
        Description(structure, steps, finer, integers | {"W.left": np.array([[2**24 + 1], [0]])})
    direct = Structure({"b": torch.zeros(1).double()})
    zero = {"b": np.zeros(1, dtype=np.int64)}
    Description(direct, {"b": 3}, zero, {"b": np.array([2**50])})
    for k in (2**52, -(2**63)):
        with pytest.raises(ValueError, match="exact"):
            Description(direct, {"b": 3}, zero, {"b": np.array([k])})


def test_terms_of_one_sum_need_a_common_unit():
    structure = Structure({"W": torch.zeros(2, 2)}, ranks={"W": 2})
    steps = {"W.left": 100, "W.right": 100}
    ones = {part: np.ones(shape, dtype=np.int64) for part, shape in structure.shapes.items()}
    zero = np.zeros(2, dtype=np.int64)
    # R a² = 2 · 16 = 2^5, so that 48 binary digits are left for the difference of the grids.
    Description(structure, steps, {"W.left": np.array([48, 0]), "W.right": zero}, ones)
    Description(structure, steps, {"W.left": np.array([100, 100]), "W.right": zero}, ones)
    with pytest.raises(ValueError, match="exact"):
        Description(structure, steps, {"W.left": np.array([49, 0]), "W.right": zero}, ones)


@pytest.mark.parametrize("n_lost", [1, 2, 8, 40])
def test_truncated_message(kind, n_lost):
    description = _description(_structure(kind))
    code, n_bits = description.message
    with pytest.raises(ValueError, match="message"):
        Description.decode(code >> n_lost, n_bits - n_lost, description.structure)


def test_message_with_something_after_it(kind):
    description = _description(_structure(kind))
    code, n_bits = description.message
    for extra in (0, 1):
        with pytest.raises(ValueError, match="not a message"):
            Description.decode(2 * code + extra, n_bits + 1, description.structure)


def test_message_of_another_structure():
    messages = {kind: _description(_structure(kind)).message for kind in KINDS}
    for kind, message in messages.items():
        for other in KINDS:
            if other != kind:
                with pytest.raises(ValueError, match=r"message|exact|finer"):
                    Description.decode(*message, _structure(other))
    with pytest.raises(ValueError, match="code"):
        Description.decode(4, 2, _structure("direct"))


def test_messages_of_one_structure_are_a_prefix_code(kind):
    structure = _structure(kind)
    messages = [_description(structure, seed, spread=0.2).message for seed in range(12)]
    strings = sorted(format(code | 1 << n_bits, "b")[1:] for code, n_bits in messages)
    assert not any(later.startswith(earlier) for earlier, later in pairwise(strings))


def test_replaced_keeps_the_grid(kind):
    description = _description(_structure(kind))
    part = next(iter(description.integers))
    doubled = description.replaced({name: 2 * k for name, k in description.integers.items()})
    assert torch.equal(doubled.values()[part], 2 * description.values()[part])
    assert doubled.n_bits > description.n_bits
    with pytest.raises(ValueError, match="parts"):
        description.replaced({})


@pytest.mark.parametrize("ranks", [{}, {"W": 2}])
def test_rescaled_divides_columns_by_powers_of_two_and_its_message_says_so(ranks):
    structure = Structure(_weights(dtype=torch.float32), ranks=ranks)
    description = _description(structure)
    exponents = {"W": np.array([10, -5, 0, 3, -12])}
    rescaled = description.rescaled(exponents)
    divisors = torch.from_numpy(2.0 ** exponents["W"]).float()
    before, after = description.weights(), rescaled.weights()
    assert torch.equal(after["W"], before["W"] / divisors)
    assert all(torch.equal(after[name], before[name]) for name in ("V", "b"))
    assert _same_bits(Description.decode(*rescaled.message, structure).weights(), after)
    assert rescaled.n_bits == rescaled.message[1] > description.n_bits
    # There and back; scales that all channels have are in the step, which costs what it did.
    back = rescaled.rescaled({"W": -exponents["W"]})
    assert _same_bits(back.weights(), before)
    assert back.n_bits == description.n_bits
    assert description.rescaled({"W": np.full(5, 7)}).ideal_bits == description.ideal_bits


def test_a_column_of_zeros_has_no_scale_to_pay_for():
    structure = Structure({"w": torch.zeros(2, 3)})
    integers = np.array([[1, 0, -2], [0, 0, 4]])
    description = Description(structure, {"w": 192}, {"w": np.zeros(3, dtype=int)}, {"w": integers})
    rescaled = description.rescaled({"w": np.array([2, 30, 2])})
    assert rescaled.ideal_bits == description.ideal_bits
    assert torch.equal(rescaled.weights()["w"], description.weights()["w"] / 4)
    zeros = description.replaced({"w": np.zeros((2, 3), dtype=int)})
    assert zeros.rescaled({"w": np.array([500, -500, 3])}).message == zeros.message


def test_rescaled_out_of_the_range_of_the_code_or_without_columns():
    structure = Structure({"w": torch.zeros(1, 2)})
    description = Description(structure, {"w": 192}, {"w": np.zeros(2, dtype=int)}, {"w": np.array([[1, 1]])})
    for exponents in ([-16, -16], [49, 49], [0, 256]):
        assert description.rescaled({"w": np.array(exponents)}) is None
    assert description.rescaled({"w": np.array([-15, 240])}) is not None
    for other in (
        Structure({"w": torch.zeros(1, 2)}, subspace=1),
        Structure({"w": torch.zeros(1, 2)}, base={"w": torch.ones(1, 2)}),
    ):
        with pytest.raises(ValueError, match="w is not described column by column"):
            _description(other).rescaled({"w": np.array([1, 2])})


def test_steps_and_their_numbers():
    sizes = [step_size(number) for number in range(N_STEPS)]
    assert sizes[0] == 2.0**-48
    assert sizes[-1] == 1.75 * 2.0**15
    for number, size in enumerate(sizes):
        assert step_number(size) == number
        assert step_number(math.nextafter(size, math.inf)) == number
        assert step_number(math.nextafter(size, 0)) == max(number - 1, 0)
    ratios = np.divide(sizes[1:], sizes[:-1])
    assert 8 / 7 - 1e-12 <= ratios.min() < ratios.max() <= 1.25
    assert step_number(1e300) == N_STEPS - 1
    assert step_number(5e-324) == 0


@pytest.mark.parametrize("size", [0.0, -1.0, math.inf, math.nan])
def test_bad_sizes_of_steps(size):
    with pytest.raises(ValueError, match="positive and finite"):
        step_number(size)


@pytest.mark.parametrize("number", [-1, 256])
def test_bad_numbers_of_steps(number):
    with pytest.raises(ValueError, match="0 to 255"):
        step_size(number)


@pytest.mark.parametrize(
    ("field", "value", "match"),
    [
        ("steps", {}, "parts"),
        ("steps", {"b": 256}, "0 to 255"),
        ("finer", {"b": np.array([-1])}, "finer"),
        ("finer", {"b": np.array([256])}, "finer"),
        ("finer", {"b": np.array([0, 0])}, "shape"),
        ("integers", {"b": np.array([0])}, "shape"),
        ("integers", {"b": np.array([0, 1]), "c": np.array([0])}, "parts"),
    ],
)
def test_bad_descriptions(field, value, match):
    structure = Structure({"b": torch.zeros(2)})
    good = {"steps": {"b": 1}, "finer": {"b": np.array([0])}, "integers": {"b": np.array([3, -4])}}
    Description(structure, **good)
    with pytest.raises(ValueError, match=match):
        Description(structure, **good | {field: value})
