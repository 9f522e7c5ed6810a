"""Damaged and forged files of saved models and training states, and what it costs to read one.

Whoever forges a file knows the format and makes the digest fit. Costs are counted, not timed: lines that Python runs,
calls of functions, and bytes of memory.
"""

import copy
import json
import struct
import sys
import tracemalloc
import warnings
from pathlib import Path

import numpy as np

import sklstm
from sklstm import (
    Compression,
    ModelFileError,
    NoisyRNNClassifier,
    TikhonovGRURegressor,
    TikhonovLSTMClassifier,
    TikhonovLSTMRegressor,
)
from sklstm.estimators._files import document_of
from sklstm.exceptions import DivergenceError
from sklstm.persistence._container import arrays_of, digest, to_bytes
from tests.support.coverage import quantised

MODELS = Path(__file__).parents[1] / "persistence" / "fixtures"  # one small model of each estimator
# What reading a file may cost: a fixed part, which builds a network, and so much for each byte.
EVENTS_AT_LEAST, EVENTS_PER_BYTE = 60_000, 60
MEMORY_AT_LEAST, MEMORY_PER_BYTE = 4_000_000, 150


def split(content):
    """Header, as the JSON in it says, and data of a safetensors file."""
    size = struct.unpack("<Q", content[:8])[0]
    return json.loads(content[8 : 8 + size]), content[8 + size :]


def joined(header, data=b""):
    """Inverse of `split`; the header may also be the bytes of its text."""
    text = header if isinstance(header, bytes) else json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<Q", len(text)) + text + data


def raw_document(content):
    """The document of a file, as the JSON in it says."""
    return json.loads(split(content)[0]["__metadata__"]["document"])


def forged(document, header, data=b""):
    """A file with this document, an object or a text, under the header and with the tensors of another, signed."""
    text = document if isinstance(document, str) else json.dumps(document, separators=(",", ":"))
    metadata = header["__metadata__"] | {"document": text}
    tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
    try:
        metadata["sha256"] = digest(metadata, arrays_of(tensors, memoryview(data)))
    except (ValueError, TypeError, LookupError):  # tensors that are refused themselves have no digest
        metadata["sha256"] = "0" * 64
    return joined({"__metadata__": metadata, **tensors}, data)


DTYPES = ["BOOL", "I8", "U8", "I16", "F16", "BF16", "I32", "F32", "F64", "I64", "U64", "F8_E4M3", "F4", "complex64", ""]
NASTY = [
    None, True, False, 0, 1, -1, 2, 3, 255, 2**31, 10**9, 2**53, 2**63 - 1, -(2**63), 10**30, 0.5, -0.0, 1e-320, 1e308,
    "", "a", "inf", "nan", "cuda", "meta", "cpu:7", "os.system", "../../a", "\x00", "\ud800", "9" * 400, [], {}, [[]],
    {"kind": "float", "value": "nan"}, {"kind": "float", "value": "inf"}, {"kind": "tuple", "items": []},
    {"kind": "dict", "items": [["a", 1], ["a", 2]]}, {"kind": "device", "name": "cuda:99"},
    {"kind": "scalar", "dtype": "<U100000000", "value": "a"}, {"kind": "scalar", "dtype": "<f2", "value": 1e300},
    {"kind": "labels", "dtype": "<U100000000", "shape": [1], "items": ["a"]},
    {"kind": "scalar", "dtype": "|O", "value": 1}, {"kind": "scalar", "dtype": "i4,i4", "value": 1},
    {"kind": "labels", "dtype": "|O", "shape": [10**9], "items": ["a"]},
    {"kind": "object", "class": "Popen", "fields": {"args": "true"}},
    {"kind": "object", "class": "Compression", "fields": {"hidden_size": 10**9}},
    {"kind": "object", "class": "Compression", "fields": {"run": 1}},
]  # fmt: skip


def originals():
    """A few small fitted models that between them use every part of the format, with sequences to predict."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 5, 2))
    y = X[:, -2:, 0].mean(axis=1)
    labels = np.where(y > 0.3, "up", np.where(y < -0.3, "down", "level")).astype(object)
    few = {"max_epochs": 2, "random_state": 0}
    small = Compression(hidden_size=2, epochs=1, stage_epochs=1, n_stages=1, n_trials=2)
    factors, directions = (copy.copy(small).set_params(**extra) for extra in ({"rank": 1}, {"subspace": 5}))
    models = [
        NoisyRNNClassifier(4, compression=factors, **few).fit(X, labels),
        NoisyRNNClassifier(3, noise="dropout", max_norm_w=1.0, **few).fit(X.reshape(60, -1), y > 0),
        TikhonovLSTMRegressor(3, num_layers=2, early_stopping=True, **few).fit(X, y),
        TikhonovLSTMRegressor(3, compression=directions, **few).fit(X, y),
        TikhonovLSTMClassifier(3, noise="laplace", sigma=0.1, **few).fit(X, labels),
        TikhonovGRURegressor(3, max_epochs=20, random_state=np.random.RandomState(0)).fit(X, np.c_[y, -y]),
    ]
    models.append(quantised(models[0], X, labels))
    return [(model, X[:3].reshape(3, -1) if model._fitted_flat else X[:3]) for model in models]


def damaged(content, rng):
    """Kind and bytes of a copy changed without understanding, as disks, networks and editors do it."""
    data = bytearray(content)
    # Half of the changes in the header, wherever the tensors are longer than it.
    size = struct.unpack("<Q", content[:8])[0]
    place = int(rng.integers(8 + size)) if rng.random() < 0.5 else int(rng.integers(len(data)))
    kind = rng.choice(["bit", "byte", "range", "truncation", "extension", "insertion", "deletion", "header length"])
    length = int(rng.integers(1, 40))
    if kind == "bit":
        data[place] ^= 1 << int(rng.integers(8))
    elif kind == "byte":
        data[place] = int(rng.integers(256))
    elif kind == "range":
        data[place : place + length] = rng.bytes(len(data[place : place + length]))
    elif kind == "truncation":
        del data[place:]
    elif kind == "extension":
        data += rng.bytes(length)
    elif kind == "insertion":
        data[place:place] = rng.bytes(length)
    elif kind == "deletion":
        del data[place : place + length]
    else:
        claims = [0, 1, size - 1, size + 1, size + 8, len(data), len(data) - 8, 2**24, 2**31, 2**63, 2**64 - 1]
        data[:8] = struct.pack("<Q", claims[int(rng.integers(len(claims)))])
    return str(kind), bytes(data)


def altered(content, rng):
    """Kind and bytes of a copy changed by someone who knows the format and makes the digest fit."""
    header, data = split(content)
    metadata = header["__metadata__"]
    document = json.loads(metadata["document"])
    names = [name for name in header if name != "__metadata__"]
    kinds = ["value"] * 4 + ["number", "class", "nesting", "repetition", "removal", "swap", "weights"]
    kinds += ["dtype", "shape", "offsets", "overlap", "extra tensor", "tensor name", "metadata", "key twice"]
    kind = str(rng.choice(kinds))
    any_tensor = header[names[int(rng.integers(len(names)))]]
    if kind in ("value", "number", "nesting", "repetition", "removal", "swap"):
        _change_node(document, kind, rng)
    elif kind == "class":
        others = [
            "TikhonovLSTMRegressor",
            "TikhonovGRURegressor",
            "NoisyRNNClassifier",
            "TikhonovLSTMClassifier",
            "Pipeline",
            "os.system",
            None,
            [1],
        ]
        document["class" if "class" in document else "kind"] = others[int(rng.integers(len(others)))]
    elif kind == "weights":
        changed = np.frombuffer(data, dtype=np.uint8).copy()
        start = int(rng.integers(max(len(changed) - 8, 1)))
        values = [np.nan, np.inf, 1e38, 0.0, 1e300]
        changed[start : start + 4] = np.frombuffer(np.float32(values[int(rng.integers(4))]).tobytes(), dtype=np.uint8)
        data = changed.tobytes()
    elif kind == "dtype":
        any_tensor["dtype"] = DTYPES[int(rng.integers(len(DTYPES)))]
    elif kind == "shape":
        shapes = [[], [0], [10**9], [2**62, 4], [-1], [1.5], any_tensor["shape"][::-1], [1, *any_tensor["shape"]], "4"]
        any_tensor["shape"] = shapes[int(rng.integers(len(shapes)))]
    elif kind == "offsets":
        begin, end = any_tensor["data_offsets"]
        places = [[end, begin], [begin, end + 4], [begin + 4, end + 4], [0, 2**62], [-4, 0], [begin], None]
        any_tensor["data_offsets"] = places[int(rng.integers(len(places)))]
    elif kind == "overlap":
        other = header[names[int(rng.integers(len(names)))]]
        any_tensor["data_offsets"] = list(other["data_offsets"])
    elif kind == "extra tensor":
        header["more"] = (
            dict(any_tensor)
            if rng.random() < 0.5
            else {"dtype": "U8", "shape": [8], "data_offsets": [len(data), len(data) + 8]}
        )
        data += bytes(8) if rng.random() < 0.5 else b""
    elif kind == "tensor name":
        header["network.other" * int(rng.integers(1, 3))] = header.pop(names[0])
    elif kind == "metadata":
        key = str(rng.choice([*metadata, "more"]))
        options = ["", "2.0", "1.99", "0.9", "9" * 30 + ".0", "1.0.0", "-1.0", "[" * 10_000, "sklearn"]
        metadata[key] = options[int(rng.integers(len(options)))]
        return kind, forged(metadata["document"], header, data) if key != "sha256" else joined(header, data)
    text = json.dumps(document)
    if kind == "nesting":
        deep = int(rng.choice([30, 70, 100_000]))
        text = text.replace('"NESTED"', "[" * deep + "]" * deep)
    elif kind == "key twice":
        first = next(iter(document))
        text = text.replace(f'"{first}":', f'"{first}": "Pipeline", "{first}":', 1)
    return kind, forged(text, header, data)


def _change_node(document, kind, rng):
    holder, key = _random_place(document, rng)
    old = holder[key]
    if kind == "nesting":
        holder[key] = "NESTED"
    elif kind == "number" and isinstance(old, int | float) and not isinstance(old, bool):
        holder[key] = [old + 1, old - 1, -old, old * 1000, old / 7, float(old)][int(rng.integers(6))]
    elif kind == "repetition":
        holder[key] = [copy.deepcopy(old)] * int(rng.integers(2, 4))
    elif kind == "removal":
        del holder[key]
    elif kind == "swap":
        other, place = _random_place(document, rng)
        holder[key] = copy.deepcopy(other[place])
    else:
        holder[key] = copy.deepcopy(NASTY[int(rng.integers(len(NASTY)))])


def _random_place(value, rng):
    """An entry of a nested document, deep ones as likely as shallow ones."""
    places, open_ = [], [value]
    while open_:
        holder = open_.pop()
        for key in list(holder) if isinstance(holder, dict) else range(len(holder)):
            places.append((holder, key))
            if isinstance(holder[key], dict | list):
                open_.append(holder[key])
    return places[int(rng.integers(len(places)))]


def cost(call):
    """Events and bytes: lines and calls that Python runs, and the largest memory that it and numpy hold meanwhile.

    Returns
    -------
    (object, int, int)
        What the call returns or raises, and the two.
    """
    count = 0

    def traced(frame, event, argument):
        nonlocal count
        count += 1
        return traced

    def profiled(frame, event, argument):
        nonlocal count
        count += 1

    before = sys.gettrace(), sys.getprofile()
    tracemalloc.start()
    sys.setprofile(profiled)
    sys.settrace(traced)
    try:
        result = call()
    except Exception as error:  # who calls this looks at it
        result = error
    finally:
        sys.settrace(before[0])
        sys.setprofile(before[1])
        memory = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return result, count, memory


def beyond_budget(content, events, memory):
    """What is wrong with the cost of reading a file; None if nothing is."""
    if events > EVENTS_AT_LEAST + EVENTS_PER_BYTE * len(content):
        return f"{events} lines and calls for a file of {len(content)} bytes"
    if memory > MEMORY_AT_LEAST + MEMORY_PER_BYTE * len(content):
        return f"{memory} bytes of memory for a file of {len(content)} bytes"
    return None


def outcome_of_load(path, original, X):
    """What loading a file came to: "error", "same model", "other valid model"; anything else is a failure.

    Returns
    -------
    (str, int, int) : the outcome, and the cost
    """
    expected = original.predict(X)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of a device that this machine lacks
        model, *costs = cost(lambda: sklstm.load(path))
    if wrong := beyond_budget(path.read_bytes(), *costs):
        return f"failure: {wrong}", *costs
    if isinstance(model, ModelFileError):
        result = "error" if str(model).startswith(str(path)) else f"failure: the message {model}"
        return result, *costs
    if isinstance(model, Exception):
        return f"failure: {type(model).__name__} in load: {model}", *costs
    try:
        return _use(model, original, X, expected), *costs
    except Exception as error:
        return f"failure: {type(error).__name__} in use: {error}", *costs


def outcome_of_checkpoint(path, fit, expected):
    """What a fit makes of the file of its state: "ignored", "same training", "other training" or a failure.

    Parameters
    ----------
    path : Path
        Of the state.
    fit : callable
        Trains with the checkpoint; returns predictions.
    expected : ndarray
        Predictions of an undisturbed fit.

    Returns
    -------
    (str, int, int) : the outcome, and the cost of reading
    """
    from sklstm.training._checkpoint import read_state

    state, *costs = cost(lambda: read_state(path))
    if isinstance(state, Exception) and not isinstance(state, ValueError):
        return f"failure: {type(state).__name__} in read_state: {state}", *costs
    if wrong := beyond_budget(path.read_bytes(), *costs):
        return f"failure: {wrong}", *costs
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            predicted = fit()
    except DivergenceError:  # whoever forges a state can make one of weights that lead there
        return "other training", *costs
    except Exception as error:
        return f"failure: {type(error).__name__} in fit: {error}", *costs
    same = np.array_equal(predicted, expected)
    if any("ignored" in str(warning.message) for warning in caught):
        return "ignored" if same else "failure: an ignored state changed the training", *costs
    return "same training" if same else "other training", *costs


def _use(model, original, X, expected):
    """A model that loads must work in all it offers."""
    if X.ndim == 2 and model.n_features_in_ != X.shape[1]:  # of another number of columns, which is as good as any
        X = np.zeros((3, min(model.n_features_in_, 100 * X.shape[1])))
        if X.shape[1] != model.n_features_in_:
            return "other valid model"
    predicted = model.predict(X)
    assert predicted.shape[0] == len(X)
    model.certify(X, 0.01)
    repr(model)
    same_state = type(model) is type(original) and _content(model) == _content(original)
    same = same_state and predicted.dtype == expected.dtype and np.array_equal(predicted, expected)
    return "same model" if same else "other valid model"


def _content(model):
    """The bytes that the model would be saved as: parameters and all fitted attributes, to the last bit."""
    return to_bytes(document_of(model))
