"""The codec: what goes in comes out, by type and by bit; what is not on the list goes neither way."""

import math
from fractions import Fraction
from typing import Any, TypeVar

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from typing_extensions import TypeAliasType

from sklstm import Compression
from sklstm.estimators._files import CODEC
from sklstm.persistence._class_forms import conforms
from sklstm.persistence._container import compact, from_bytes, parse, to_bytes

FLOATS = st.floats(allow_nan=True, allow_infinity=True)
SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | FLOATS | st.text()
KEYS = st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=20)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(KEYS, inner, max_size=4)
        | st.lists(FLOATS, min_size=16, max_size=20)
    ),
    max_leaves=20,
)


def through_a_file(value):
    document = from_bytes(to_bytes({"value": CODEC.encode(value, "it")}))
    return CODEC.decode(document["value"], "it")


def same(a, b):
    """Equal with their types, NaN being NaN and -0.0 not 0.0."""
    if type(a) is not type(b):
        return False
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return list(map(repr, a)) == list(map(repr, b)) and all(map(same, a.values(), b.values()))
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype.newbyteorder("=") and a.shape == b.shape and repr(a.tolist()) == repr(b.tolist())
    if isinstance(a, float | np.floating) and math.isnan(a):
        return math.isnan(b)
    return a == b and repr(a) == repr(b)


@given(VALUES)
def test_plain_values(value):
    assert same(CODEC.decode(CODEC.encode(value, "it"), "it"), value)
    assert same(through_a_file(value), value)


@pytest.mark.parametrize(
    "value",
    [
        *(kind(3) for kind in (np.int8, np.uint16, np.int64, np.float16, np.float32, np.float64)),
        np.float32("nan"), np.float64("-inf"), np.bool_(True), np.str_("ü"), np.str_(""),
        np.arange(6).reshape(2, 3).T, np.array(2.5), np.zeros((0, 3), dtype=np.float32), np.array([True, False]),
        np.arange(3, dtype=">i4"), np.array([math.nan, math.inf]), np.array(["a", "long"]), np.array([["x"], ["y"]]),
        np.array(["a", 1, 2.5, True, np.int64(3)], dtype=object), np.array([], dtype=object),
        np.array(["a"], dtype="<U40"),
    ],
    ids=repr,
)  # fmt: skip
def test_numpy(value):
    for again in (CODEC.decode(CODEC.encode(value, "it"), "it"), through_a_file(value)):
        assert same(again, value)
        assert not isinstance(value, np.ndarray) or not np.shares_memory(again, value)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.int64, torch.uint8, torch.bool])
def test_tensors(dtype):
    tensor = torch.arange(6).reshape(2, 3).to(dtype).T
    again = through_a_file(tensor)
    assert again.dtype == dtype
    assert torch.equal(again, tensor)
    tensor.zero_()
    assert again.any()
    parameter = torch.nn.Parameter(torch.ones(2))
    assert type(through_a_file(parameter)) is torch.Tensor
    assert through_a_file(torch.device("cuda:3")) == torch.device("cuda:3")


def test_objects_of_the_package():
    compression = Compression(rank=3, coarseness=np.array([2.0, 4.0]))
    assert repr(through_a_file(compression)) == repr(compression)


class Subclass(Compression):
    pass


class Text(str):
    pass


@pytest.mark.parametrize(
    "value",
    [
        object(), Fraction(1, 2), 1j, b"bytes", {1, 2}, range(3), 2**63, Ridge(), Subclass(), Text("a"), len, int,
        np.array([1j]), np.array([b"a"]), np.array(["2020-01-01"], dtype="datetime64[D]"), np.zeros(2, dtype="i4,i4"),
        np.array([object()]), np.ma.masked_array([1.0, 2.0], [True, False]), np.complex64(1), np.float128(1),
        torch.zeros(2, dtype=torch.bfloat16), np.random.default_rng(0), [[1, {"a": object()}]], {(1, 2): 3}, {None: 1},
        np.random.RandomState(np.random.PCG64(0)),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_other_types_are_refused_by_name(value):
    with pytest.raises(TypeError, match="wanted"):
        CODEC.encode([0, value], "wanted")


@pytest.mark.parametrize(
    "plain",
    [
        {}, {"kind": "module"}, {"kind": ["tuple"]}, {"kind": "tuple"}, {"kind": "tuple", "items": {}},
        {"kind": "tuple", "items": [], "more": 1}, {"kind": "dict", "items": [[1, 2, 3]]},
        {"kind": "dict", "items": [1]}, {"kind": "float", "value": "1"},
        {"kind": "dict", "items": [[1, 2], [1.0, 3]]}, {"kind": "dict", "items": [[[1], 2]]},
        {"kind": "dict", "items": [[None, 2]]}, {"kind": "scalar", "dtype": "<i1", "value": 300},
        {"kind": "scalar", "dtype": "<f4", "value": 0.1}, {"kind": "scalar", "dtype": "<i8", "value": 1.0},
        {"kind": "scalar", "dtype": "object", "value": 1}, {"kind": "scalar", "dtype": "i4,i4", "value": 1},
        {"kind": "scalar", "dtype": "|O", "value": 1}, {"kind": "array", "values": [1, 2]},
        {"kind": "array", "values": "a"},
        {"kind": "numbers", "values": np.zeros((2, 2))}, {"kind": "tensor", "values": np.zeros(2, dtype=np.uint16)},
        {"kind": "labels", "dtype": "<U1", "shape": [2], "items": ["a"]},
        {"kind": "labels", "dtype": "<U1", "shape": [-1], "items": ["a"]},
        {"kind": "labels", "dtype": "<U1", "shape": [1], "items": [1]},
        {"kind": "labels", "dtype": "|O", "shape": [1], "items": [[1]]},
        {"kind": "labels", "dtype": "<U99999999", "shape": [1], "items": ["a"]},
        {"kind": "device", "name": "nowhere"}, {"kind": "device", "name": 0.5}, {"kind": "random_state", "state": []},
        {"kind": "object", "class": "Ridge", "fields": {}}, {"kind": "object", "class": ["Compression"], "fields": {}},
        {"kind": "object", "class": "Compression", "fields": {"rank": -1}},
        {"kind": "object", "class": "Compression", "fields": {"unknown": 1}},
        {"kind": "object", "class": "Compression", "fields": []},
        {"kind": "object", "class": "GeneralizationReport", "fields": {"bounds": [], "delta": None}},
        {"kind": "object", "class": "GeneralizationReport", "fields": {"bounds": [1], "delta": None}},
        {"kind": "object", "class": "HoldoutBound", "fields": {"value": 0.5}},
        b"", (), object(),
    ],
    ids=lambda plain: "object" if type(plain) is object else repr(plain)[:60],
)  # fmt: skip
def test_what_encode_never_returns_is_refused(plain):
    with pytest.raises(ValueError, match="wanted"):
        CODEC.decode(plain, "wanted")


def test_halves_of_surrogate_pairs_are_refused():
    for refused in (CODEC.encode, CODEC.decode):
        with pytest.raises(ValueError, match=r"wanted.* no Unicode text"):
            refused(["ü", "\ud800"], "wanted")


def test_long_lists_of_numbers_are_arrays_and_come_back_as_lists():
    for value in ([0.5] * 16, list(range(16)), [True] * 16):
        assert CODEC.encode(value, "it")["kind"] == "numbers"
    for value in ([0.5] * 15, [1] * 15 + [0.5], [1] * 15 + [True]):
        assert isinstance(CODEC.encode(value, "it"), list)
        assert same(through_a_file(value), value)


@pytest.mark.parametrize(
    ("value", "hint", "expected"),
    [
        (1, float, True), (True, float, False), (True, int, False), (np.int64(1), int, True), (1.0, int, False),
        (np.bool_(True), bool, True), (None, float | None, True), ("a", float | None, False),
        (("a", "b"), tuple[str, ...], True), (["a"], tuple[str, ...], False), ((1, "a"), tuple[int, str], True),
        ((1,), tuple[int, str], False), ({"a": 1}, dict[str, int], True), ({1: 1}, dict[str, int], False),
        ([1.0, "a"], list[float], False), (np.zeros(2), np.ndarray[tuple, np.dtype[np.float64]], True),
        (np.zeros(2), np.ndarray[tuple, np.dtype[np.int64]], False), (torch.zeros(1), torch.Tensor, True),
    ],
)  # fmt: skip
def test_conforms(value, hint, expected):
    assert conforms(value, hint) is expected


def test_aliases_are_what_they_stand_for():
    """numpy's NDArray is one from 2.5 on, where Python has them."""
    scalar = TypeVar("scalar")
    array = TypeAliasType("array", np.ndarray[Any, np.dtype[scalar]], type_params=(scalar,))
    number = TypeAliasType("number", int | None)
    assert conforms(np.ones(2), array[np.float64])
    assert not conforms(np.ones(2, np.float32), array[np.float64])
    assert conforms([np.ones(2), None], list[array[np.float64] | number])
    assert conforms(np.ones(2), array[Any])
    assert not conforms("2", number)
    rows = TypeAliasType("rows", list[int])
    assert conforms([[1], [2]], list[rows])
    assert not conforms([[1], ["2"]], list[rows])


@given(st.recursive(st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(), st.lists))
def test_json_round_trip(value):
    assert parse(compact(value), name="it") == value


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("[" * 65 + "]" * 65, "deeper than 64"), ('{"a": 1, "a": 2}', "twice"), ("NaN", "NaN is no JSON"),
        ("[-Infinity]", "no JSON"), ("1e999", "no float64"), ("9" * 30, "64-bit"), ("[1,", "no JSON"), ("", "no JSON"),
        ("9" * 10_000, "64-bit"), ("[" + "0," * 500_000 + "0]", "more than 500000 values"), ('"\n"', "no JSON"),
    ],
    ids=range(11),
)  # fmt: skip
def test_json_beyond_limits(text, match):
    with pytest.raises(ValueError, match=f"^it.*{match}"):
        parse(text, name="it")


def test_brackets_in_strings_are_no_nesting():
    assert parse(compact(["[" * 500, '\\"[' * 500]), name="it") == ["[" * 500, '\\"[' * 500]
