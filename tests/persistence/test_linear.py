"""Reading takes work and memory in proportion to the file, whatever is in it: counted, not timed."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sklstm
from sklstm import ModelFileError
from sklstm.estimators._files import CODEC
from sklstm.persistence import _container
from sklstm.persistence._codec import Codec, Place
from sklstm.training._checkpoint import read_state
from tests.support import hostile_files
from tests.support.forgery import beyond_budget, cost, forged, joined, raw_document, split
from tests.support.hostile_files import MODEL_FILES, STATE_FILES

N = 400


def costs(make, path, load):
    """Size, events and bytes for a file of a size and for one of four times that; what came of the last."""
    load(path) if path.exists() else None
    found = []
    for n in (N, 4 * N):
        content = make(n)
        path.write_bytes(content)
        result, events, memory = cost(lambda: load(path))
        assert beyond_budget(content, events, memory) is None
        found.append((len(content), events, memory))
    return found, result


def assert_linear(found):
    (size, events, memory), (larger, more_events, more_memory) = found
    growth = max(larger / size, 4)
    assert more_events <= 1.1 * growth * events + 5_000
    assert more_memory <= 1.1 * growth * memory + 500_000


@pytest.fixture(scope="module", autouse=True)
def imported():
    sklstm.load(hostile_files.MODELS / "noisy_rnn_classifier.safetensors")  # what is imported late is imported now


@pytest.mark.parametrize("name", MODEL_FILES)
def test_loading_a_model(name, tmp_path):
    found, result = costs(MODEL_FILES[name], tmp_path / "model", sklstm.load)
    assert_linear(found)
    assert isinstance(result, ModelFileError | sklstm.NoisyRNNClassifier)
    assert len(str(result)) < 3000


@pytest.mark.parametrize("name", STATE_FILES)
def test_reading_a_training_state(name, tmp_path):
    found, result = costs(STATE_FILES[name], tmp_path / "key.safetensors", read_state)
    assert_linear(found)
    assert not isinstance(result, Exception) or type(result) is ValueError


@given(st.text(alphabet='"\\ab[]{},:\n', max_size=60))
def test_no_character_of_a_json_text_is_looked_at_twice(text):
    """The pattern for strings matches at the first quote that it is tried at, so that none is left behind."""
    assert '"' not in _container._STRING.sub("", text)
    brackets = re.findall(r"[\[\]{}]", _container._STRING.sub('""', text))
    in_strings = escaped = False
    outside = []
    for character in text:
        if in_strings:
            in_strings, escaped = escaped or character != '"', character == "\\" and not escaped
        elif character == '"':
            in_strings, escaped = True, False
        elif character in "[]{}":
            outside.append(character)
    assert brackets == outside


def test_a_place_is_spelled_once_it_is_asked_for_and_cut_short():
    class Key(str):
        def __repr__(self):
            spelled.append(self)
            return super().__repr__()

    spelled = []
    place = Place(Place("state", Key("A" * 10_000)), 3)
    assert not spelled
    assert str(place).startswith("state['AAA")
    assert str(place).endswith("...][3]")
    assert len(str(place)) < 60
    plain = {"kind": "object", "class": "Compression", "fields": {"rank": [{}]}}
    with pytest.raises(ValueError, match=r"^state\['a'\]\[2\]\.\w+\[0\] is nothing that a model holds$"):
        CODEC.decode({"kind": "dict", "items": [["a", [1, 2, plain]]]}, "state")


def test_numbers_as_keys_are_few():
    """Python's hash of a number is the number: a file could make each key meet all before it."""
    many = {"kind": "dict", "items": [[i, 0] for i in range(1 << 14)]}
    assert len(Codec({}).decode(many, "it")) == 1 << 14
    many["items"].append([-1, 0])
    with pytest.raises(ValueError, match="it has more than 16384 numbers as keys"):
        Codec({}).decode(many, "it")


def test_numpy_reserves_no_more_than_the_labels_need():
    plain = {"kind": "labels", "dtype": "<U100000", "shape": [10_000], "items": ["a" * 100_000, *"b" * 9_999]}
    with pytest.raises(ValueError, match="far more memory than its labels need"):
        Codec({}).decode(plain, "it")


def test_a_file_that_could_not_be_read_is_not_made():
    for value, match in (
        ([[]] * 500_001, "more than 500000 values"),
        ("a" * (1 << 24), "longer than 16777216 characters"),
    ):
        with pytest.raises(ValueError, match=match):
            _container.to_bytes({"value": value})
    nested = []
    for _ in range(200):
        nested = [nested]
    with pytest.raises(ValueError, match="nested too deep to be saved"):
        Codec({}).encode(nested, "it")
    nested = []
    nested.append(nested)
    with pytest.raises(ValueError, match="nested too deep to be saved"):
        Codec({}).encode(nested, "it")


@pytest.mark.parametrize(
    ("base", "part", "name", "value"),
    [
        ("noisy_rnn_classifier", "network", "n_steps", 1e-320),
        ("noisy_rnn_classifier", "network", "n_steps", 2.0),
        ("noisy_rnn_classifier", "network", "device", "cuda"),
        ("noisy_rnn_classifier", "network", "dtype", "float64"),
        ("noisy_rnn_classifier", "network", "recurrent_scale", "1"),
        ("tikhonov_lstm_regressor", "parameters", "lambda_s", {"kind": "tensor", "values": "two"}),
        ("tikhonov_lstm_regressor", "parameters", "lambda_s", {"kind": "array", "values": "two"}),
        ("tikhonov_lstm_regressor", "parameters", "variant", {"kind": "array", "values": "two"}),
        ("tikhonov_lstm_regressor", "parameters", "device", {"kind": "array", "values": "two"}),
        ("tikhonov_lstm_regressor", "parameters", "random_state", {"kind": "tensor", "values": "two"}),
        ("tikhonov_lstm_regressor", "parameters", "compression", [1]),
        ("tikhonov_gru_regressor", "state", "rho_x_", {"kind": "tensor", "values": "two"}),
        ("tikhonov_gru_regressor", "state", "_target_shape", {"kind": "array", "values": "two"}),
        ("tikhonov_gru_regressor", "state", "classes_", {"kind": "array", "values": "two"}),
    ],
)  # fmt: skip
def test_whatever_is_wrong_with_a_signed_file_is_one_error(base, part, name, value, tmp_path):
    content = hostile_files.model(base)
    header, data = split(content)
    document = raw_document(content)
    items = document[part]["items"]
    if part == "network":
        items = next(pair for pair in items if pair[0] == "module")[1]["items"]
    items[:] = [pair for pair in items if pair[0] != name] + [[name, value]]
    tensors = [("two", "F32", [2], np.ones(2, np.float32).tobytes())] if isinstance(value, dict) else []
    used = hostile_files.only_used(document, header, data)
    path = tmp_path / "model"
    path.write_bytes(forged(document, *hostile_files.with_tensors(*used, tensors)))
    with pytest.raises(ModelFileError):
        sklstm.load(path)


def test_the_forger_makes_files_that_load(tmp_path):
    """Otherwise the tests above would show nothing."""
    content = hostile_files.model("noisy_rnn_classifier")
    header, data = split(content)
    path = tmp_path / "model"
    for again in (forged(raw_document(content), header, data), hostile_files.in_parameters(None), joined(header, data)):
        path.write_bytes(again)
        assert isinstance(sklstm.load(path), sklstm.NoisyRNNClassifier)
