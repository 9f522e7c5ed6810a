"""Files that look for what grows faster than they do: by a size n, signed wherever that helps them on their way."""

import copy

import numpy as np

from tests.support.forgery import MODELS, forged, joined, raw_document, split


def model(name):
    return (MODELS / f"{name}.safetensors").read_bytes()


def document_with(base, part, name, value, tensors=()):
    """A signed copy of a model with another value of an entry of its parameters, its state or its network."""
    content = model(base)
    header, data = split(content)
    document = raw_document(content)
    items = [pair for pair in document[part]["items"] if pair[0] != name]
    document[part]["items"] = [*items, [name, value]]
    header, data = with_tensors(*only_used(document, header, data), tensors)
    return forged(document, header, data)


def only_used(document, header, data):
    """Header and data without the tensors that no longer have a place in the document."""
    used, open_ = set(), [document]
    while open_:
        value = open_.pop()
        if isinstance(value, dict):
            used.add(value["values"]) if isinstance(value.get("values"), str) else None
            open_ += value.values()
        elif isinstance(value, list):
            open_ += [entry for entry in value if isinstance(entry, dict | list)]
    kept = {"__metadata__": header.pop("__metadata__")}
    tensors = []
    for name, entry in header.items():
        if name in used:
            begin, end = entry["data_offsets"]
            tensors.append((name, entry["dtype"], entry["shape"], data[begin:end]))
    return with_tensors(kept, b"", tensors)


def with_tensors(header, data, tensors):
    header = copy.deepcopy(header)
    for name, dtype, shape, content in tensors:
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    return header, data


def only(document, tensors=()):
    """A signed file with this document and these tensors alone."""
    header, _ = split(model("tikhonov_lstm_regressor"))
    return forged(document, *with_tensors({"__metadata__": header["__metadata__"]}, b"", tensors))


def in_parameters(value, tensors=()):
    return document_with("noisy_rnn_classifier", "parameters", "class_weight", value, tensors)


def in_state(name, value, tensors=(), base="noisy_rnn_classifier"):
    return document_with(base, "state", name, value, tensors)


def in_network(name, value, tensors=(), base="tikhonov_lstm_regressor"):
    return document_with(base, "network", name, value, tensors)


def a_dict(pairs):
    return {"kind": "dict", "items": [list(pair) for pair in pairs]}


def text(content):
    return joined(content.encode())


def many_tensors(n):
    header = {f"t{i}": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]} for i in range(n)}
    return joined({"__metadata__": split(model("noisy_rnn_classifier"))[0]["__metadata__"], **header})


def layers(n):
    """A network of n / 32 layers, of which each is there: one unit, one channel."""
    n_layers = max(n // 32, 1)
    names = [f"{kind}_l{i}" for i in range(n_layers) for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    tensors = [(f"lstm.{name}", "F32", [4, 1] if "weight" in name else [4], bytes(16)) for name in names]
    tensors += [("readout.weight", "F32", [1, 1], bytes(4)), ("readout.bias", "F32", [1], bytes(4))]
    weights = a_dict([name, {"kind": "tensor", "values": name}] for name, *_ in tensors)
    arguments = a_dict([["n_features", 1], ["hidden_size", 1], ["n_outputs", 1], ["num_layers", n_layers]])
    document = raw_document(model("tikhonov_lstm_regressor"))
    network = dict(document["network"]["items"]) | {"weights": weights, "module": arguments}
    document["network"] = a_dict((network | {"history": []}).items())
    content = model("tikhonov_lstm_regressor")
    return forged(document, *with_tensors(*only_used(document, *split(content)), tensors))


def history(n, dtype="BOOL"):
    size = {"BOOL": 1, "F64": 8}[dtype]
    column = [[name, {"kind": "numbers", "values": name}] for name in ("train_loss", "dur")]
    return in_network("history", [a_dict(column)], [(name, dtype, [n], bytes(n * size)) for name, _ in column])


def bounds(n):
    items = dict(raw_document(model("noisy_rnn_classifier"))["state"]["items"])
    bound = next(b for b in items["generalization_report_"]["fields"]["bounds"] if b["class"] == "RademacherBound")
    report = {
        "kind": "object",
        "class": "GeneralizationReport",
        "fields": {"bounds": [bound] * (n // 512), "delta": None},
    }
    return in_state("generalization_report_", report)


def labels(items, dtype="|O"):
    return in_state("classes_", {"kind": "labels", "dtype": dtype, "shape": [len(items)], "items": items})


def coarseness(n):
    fields = {"coarseness": {"kind": "array", "values": "many"}}
    value = {"kind": "object", "class": "Compression", "fields": fields}
    tensor = ("many", "F64", [n], np.full(n, 2.0).tobytes())
    return document_with("noisy_rnn_classifier", "parameters", "compression", value, [tensor])


#: Each takes about n bytes, more or less, and should take work in proportion.
MODEL_FILES = {
    "an open string of quotes": lambda n: text('"' + '\\"' * n),
    "an open string at the end": lambda n: text('{"a":"' + "b" * n),
    "open strings after one another": lambda n: text('"a' * (n | 1)),
    "backslashes": lambda n: text('"' + "\\" * (n | 1)),
    "closed strings": lambda n: text("[" + '"\\"",' * n + '""]'),
    "nesting": lambda n: text("[" * n + "]" * n),
    "nesting in a string in nesting": lambda n: text('["' + "[" * n + '",' + "[" * n),
    "objects in objects": lambda n: text('{"a":' * n),
    "closing brackets": lambda n: text("]" * n),
    "empty lists": lambda n: text("[" + "[]," * n + "[]]"),
    "empty objects": lambda n: text("[" + "{}," * n + "{}]"),
    "zeros": lambda n: text("[" + "0," * n + "0]"),
    "digits": lambda n: text("[" + "9" * n + "]"),
    "decimals": lambda n: text("[0." + "9" * n + "e-9]"),
    "one name many times": lambda n: text("{" + '"a":1,' * n + '"a":1}'),
    "blanks": lambda n: text(" " * n + "{}"),
    "no text": lambda n: joined(b"\xff" * n),
    "no header": lambda n: b"\xff" * n,
    "data without tensors": lambda n: joined(split(model("noisy_rnn_classifier"))[0], bytes(n)),
    "tensors": many_tensors,
    "a tensor with a long name": lambda n: only({"a": {"kind": "array", "values": "x"}}, [("y" * n, "U8", [0], b"")]),
    "a tensor of many axes": lambda n: only({}, [("x", "U8", [1] * n, b"\0")]),
    "a tensor that claims much": lambda n: only({}, [("x" * n, "F64", [2**40, 2**20], b"\0")]),
    "a document of blanks": lambda n: only(" " * n),
    "a document that is an open string": lambda n: only('{"class":"' + '\\"' * n),
    "a long class": lambda n: only({"class": "A" * n}),
    "a long kind": lambda n: only({"kind": "A" * n, "values": "B" * n}),
    "a list under a long key": lambda n: in_state("A" * n, [0] * n),
    "a list under long keys": lambda n: in_state("A" * n, a_dict([["B" * n, [[0] * n]]])),
    "keys": lambda n: in_parameters(a_dict([f"key {i}", 1] for i in range(n))),
    "numbers as keys": lambda n: in_parameters(a_dict([i << 34, 1] for i in range(n))),
    "a long string": lambda n: in_parameters("A" * n),
    "a string that is no text": lambda n: in_parameters("\u00fc" * n + "\ud800"),
    "numbers": lambda n: in_parameters({"kind": "numbers", "values": "x"}, [("x", "F64", [n], bytes(8 * n))]),
    "flags": lambda n: in_parameters({"kind": "numbers", "values": "x"}, [("x", "BOOL", [n], bytes(n))]),
    "an array without entries": lambda n: in_parameters(
        {"kind": "array", "values": "x"}, [("x", "F32", [2**61, 0], b"")]
    ),
    "one long label of many": lambda n: labels(["A" * n, *"b" * n], f"<U{n}"),
    "labels of a wide dtype": lambda n: labels(["a"] * n, "<U9999999"),
    "labels": lambda n: labels([f"{i:09}" for i in range(n)]),
    "lists as labels": lambda n: labels([[0]] * n),
    "names": lambda n: in_state(
        "feature_names_in_", {"kind": "labels", "dtype": "|O", "shape": [n], "items": ["a"] * n}
    ),
    "losses": lambda n: in_state("loss_curve_", [0.5] * n),
    "a history of flags": history,
    "a history of numbers": lambda n: history(n, "F64"),
    "a history of runs": lambda n: in_network("history", [a_dict([["train_loss", [1.0]]])] * (n // 8)),
    "layers": layers,
    "sizes": lambda n: in_network("module", a_dict([["n_features", n], ["hidden_size", 2**23], ["n_outputs", 1]])),
    "arguments": lambda n: in_network("module", a_dict([f"argument_{i}", 1] for i in range(n))),
    "weights": lambda n: in_network(
        "weights", a_dict([f"w{i}", {"kind": "tensor", "values": f"w{i}"}] for i in range(n)),
        [(f"w{i}", "F32", [0], b"") for i in range(n)],
    ),
    "a long device": lambda n: in_network("device", "cuda:" + "9" * n),
    "bounds": bounds,
    "numbers of a code": coarseness,
}  # fmt: skip


def signed_state(value, tensors=()):
    """A file of a training state under the name "key"."""
    return only({"kind": "training state", "key": "key", "state": value}, tensors)


def an_object(name, parts):
    return {"kind": "object", "class": name, "fields": {"parts": parts}}


def states_in_states(depth):
    return an_object("StateOf", states_in_states(depth - 1)) if depth else 0


STATE_FILES = {
    "a set": lambda n: signed_state(an_object("set", [i << 34 for i in range(n)])),
    "a set of one": lambda n: signed_state(an_object("set", [1] * n)),
    "a long integer": lambda n: signed_state(an_object("int", "0x" + "f" * n)),
    "keys of any kind": lambda n: signed_state(an_object("dict", [[i << 34 for i in range(n)], [0] * n])),
    "an ordered dict": lambda n: signed_state(an_object("OrderedDict", [[f"{i}" for i in range(n)], [0] * n])),
    "states in states": lambda n: signed_state(states_in_states(20)),
    "a long key": lambda n: only({"kind": "training state", "key": "k" * n, "state": [0] * n}),
    "another kind": lambda n: only({"kind": "k" * n, "key": "key", "state": 0}),
    "numbers of 16 bits": lambda n: signed_state(
        an_object("bfloat16", {"kind": "tensor", "values": "x"}), [("x", "I16", [n], bytes(2 * n))]
    ),
}  # fmt: skip
