"""Networks in integers: messages decode to the same bits, weights are exact, lengths are what counts foretell."""

import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import torch

from sklstm.generalization.compression._description import N_STEPS, Description, columns, step_number, step_size
from sklstm.generalization.compression._structure import SUBSPACE, Structure

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
        with pytest.raises(ValueError, match="no message"):
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
