import math
import os
from collections import OrderedDict

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skorch.callbacks import Callback

from sklstm.persistence._container import from_bytes, to_bytes
from sklstm.training._checkpoint import _CODEC, StateOf, _copied, _state_of, read_state, write_state

KEY = "0" * 64


def through_a_file(value):
    return _CODEC.decode(from_bytes(to_bytes({"state": _CODEC.encode(value, "state")}))["state"], "state")


numbers = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
keys = st.text() | st.integers() | st.tuples(st.integers(), st.text())
values = st.recursive(
    numbers,
    lambda part: (
        st.lists(part) | st.lists(part).map(tuple) | st.dictionaries(keys, part) | st.sets(st.integers() | st.text())
    ),
    max_leaves=20,
)


def kinds(value):
    if isinstance(value, dict):
        return {key: kinds(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [type(value), *map(kinds, value)]
    return type(value)


@settings(max_examples=50, deadline=None, derandomize=True, database=None)
@given(values)
def test_plain_values_come_back_as_they_were(value):
    found = through_a_file(value)
    assert found == value
    assert kinds(found) == kinds(value)


def test_no_bit_of_a_float_is_lost():
    generator = np.random.default_rng(0)
    floats = generator.integers(0, 2**63, 1000, dtype=np.uint64).view(np.float64)
    values = [*floats[np.isfinite(floats)].tolist(), -0.0, 5e-324, math.inf, -math.inf]
    assert np.array_equal(np.array(through_a_file(values)).view(np.uint64), np.array(values).view(np.uint64))
    assert math.isnan(through_a_file(math.nan))
    for number in (np.float64(0.1), np.float32(0.1), np.int64(3), np.bool_(True)):
        assert through_a_file(number) == number
        assert type(through_a_file(number)) is type(number)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.uint8, torch.int64, torch.bfloat16, torch.bool])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3)])
def test_tensors_come_back_bit_for_bit_in_memory_of_their_own(dtype, shape, tmp_path, generator):
    tensor = (10 * torch.randn(shape, generator=generator)).to(dtype)
    write_state(tmp_path / f"{KEY}.safetensors", {1: {"weight": tensor, "again": [tensor]}})
    found = read_state(tmp_path / f"{KEY}.safetensors")[1]
    for copy in (found["weight"], found["again"][0]):
        assert copy.dtype == dtype
        assert torch.equal(copy, tensor)
        assert copy.data_ptr() % 64 == 0


def test_transposed_tensors_and_arrays(tmp_path):
    path = tmp_path / f"{KEY}.safetensors"
    write_state(path, {"tensor": torch.arange(6).reshape(2, 3).T, "array": np.arange(6.0).reshape(2, 3).T})
    found = read_state(path)
    assert found["tensor"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert isinstance(found["array"], np.ndarray)
    assert found["array"].tolist() == [[0, 3], [1, 4], [2, 5]]


def test_objects_with_a_state_come_back_as_their_state():
    class Counter:
        def state_dict(self):
            return {"count": (1, torch.ones(1))}

        def load_state_dict(self, state): ...

    class Mine(Callback):
        def __init__(self):
            self.object_, self.class_, self.function_, self.parameter = Counter(), Counter, print, object()

    found = through_a_file(_state_of(Mine()))
    assert {name: type(part) for name, part in found.items()} == dict.fromkeys(
        ("object_", "class_", "function_"), StateOf
    )
    assert found["object_"].state == {"count": (1, torch.ones(1))}
    assert found["class_"].state is found["function_"].state is None
    for value in ({"a": [object()]}, [Counter()], [print]):
        with pytest.raises(TypeError, match=r"state.*which cannot be saved.* cannot be stored"):
            _copied({"callbacks": {"mine": value}})


def test_containers_of_callbacks(tmp_path):
    ordered = OrderedDict([("b", torch.ones(1)), ("a", torch.zeros(1))])
    assert list(through_a_file(ordered)) == ["b", "a"]
    assert type(through_a_file(ordered)) is OrderedDict
    assert through_a_file({(1, "a"): {2**70}, None: -(2**64)}) == {(1, "a"): {2**70}, None: -(2**64)}


def test_every_single_damaged_byte_is_noticed(tmp_path):
    path = tmp_path / f"{KEY}.safetensors"
    state = {"weights": torch.arange(4.0), "history": [{"loss": 0.25, "epoch": 1}]}
    write_state(path, state)
    content = path.read_bytes()
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x11]) + content[place + 1 :])
        try:
            found = read_state(path)
        except ValueError:
            continue
        # Between the header and the data lie blanks that mean nothing; whatever is read is right.
        assert torch.equal(found["weights"], state["weights"])
        assert found["history"] == state["history"]
    for size in range(len(content)):
        path.write_bytes(content[:size])
        with pytest.raises(ValueError, match="damaged or not a training state"):
            read_state(path)


def test_a_missing_file_is_no_state_and_another_name_no_match(tmp_path):
    path = tmp_path / f"{KEY}.safetensors"
    assert read_state(path) is None
    write_state(path, {"a": 1})
    os.rename(path, tmp_path / f"{'1' * 64}.safetensors")
    with pytest.raises(ValueError, match="another training, copied to this name"):
        read_state(tmp_path / f"{'1' * 64}.safetensors")


def test_a_write_that_fails_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / f"{KEY}.safetensors"
    write_state(path, {"a": 1})

    def fail(*arguments):
        raise OSError("disk full")

    for step in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, step, fail)
            with pytest.raises(OSError, match="disk full"):
                write_state(path, {"a": 2})
        assert read_state(path) == {"a": 1}
        assert os.listdir(tmp_path) == [path.name]
