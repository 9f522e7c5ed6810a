"""Valid data and tasks: everything drawn here must be taken."""

import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from hypothesis import strategies as st

from tests.support.estimators import CLASSIFIERS, ESTIMATORS
from tests.support.fuzz.parameters import flags, parameters

KINDS = tuple(ESTIMATORS)


# ---------------------------------------------------------------- sequences

EQUAL_FORMS = {
    "array": lambda parts: np.stack(parts),
    "fortran": lambda parts: np.asfortranarray(np.stack(parts)),
    "reversed": lambda parts: np.stack([part[::-1, ::-1] for part in parts[::-1]])[::-1, ::-1, ::-1],
    "strided": lambda parts: np.repeat(np.stack(parts), 2, axis=1)[:, ::2],
    "read-only": lambda parts: _frozen(np.stack(parts)),
    "big-endian": lambda parts: np.stack(parts).astype(parts[0].dtype.newbyteorder(">")),
    "nested lists": lambda parts: np.stack(parts).tolist(),
    "tensor": lambda parts: torch.from_numpy(np.stack(parts)),
    "graph": lambda parts: torch.from_numpy(np.stack(parts).astype(np.float64)).requires_grad_(),
    "wide table": lambda parts: _wide(parts),
}
FLAT_FORMS = {
    "rows": lambda parts: _rows(parts),
    "rows, fortran": lambda parts: np.asfortranarray(_rows(parts)),
    "rows, read-only": lambda parts: _frozen(_rows(parts)),
    "rows, reversed": lambda parts: np.ascontiguousarray(_rows(parts)[:, ::-1])[:, ::-1],
    "rows, tensor": lambda parts: torch.from_numpy(_rows(parts)),
    "rows, lists": lambda parts: _rows(parts).tolist(),
    "table": lambda parts: pd.DataFrame(_rows(parts), columns=[f"c{i}" for i in range(_rows(parts).shape[1])]),
    "table, numbered": lambda parts: pd.DataFrame(_rows(parts), index=range(5, 5 + len(parts))),
}
LIST_FORMS = {
    "list": list,
    "tuple": tuple,
    "objects": lambda parts: _objects(parts),
    "series": lambda parts: pd.Series(_objects(parts), index=range(5, 5 + len(parts))),
    "tensors": lambda parts: [torch.from_numpy(part.copy()) for part in parts],
    "tables": lambda parts: [pd.DataFrame(part, columns=[f"c{i}" for i in range(part.shape[1])]) for part in parts],
    "lists": lambda parts: [part.tolist() for part in parts],
    "fortran sequences": lambda parts: [np.asfortranarray(part) for part in parts],
    "nested tensor": lambda parts: _nested(parts, torch.strided),
    "jagged tensor": lambda parts: _nested(parts, torch.jagged),
}
DTYPES = ("f8", "f4", "f2", "i8", "i4", "i2", "i1", "u1", "?", "g")


def _rows(parts):
    return np.stack(parts).reshape(len(parts), -1)


def _frozen(array):
    array.flags.writeable = False
    return array


def _nested(parts, layout):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls the layout "strided" a prototype
        return torch.nested.nested_tensor([torch.from_numpy(part.copy()) for part in parts], layout=layout)


def _objects(parts):
    array = np.empty(len(parts), dtype=object)
    array[:] = list(parts)
    return array


def _wide(parts):
    steps, channels = parts[0].shape
    columns = pd.MultiIndex.from_product([range(steps), [f"c{i}" for i in range(channels)]], names=["time", "channel"])
    return pd.DataFrame(_rows(parts), columns=columns)


@dataclass
class Task:
    """An estimator's parameters and data that it must take.

    ``sequences`` are the plain truth, n arrays (L_i, d) in float64; X holds the same values in some form. ``labels``
    or targets likewise: ``plain`` an array, ``y`` the same as somebody has it.
    """

    kind: type
    parameters: dict
    sequences: list
    form: str
    X: Any
    plain: np.ndarray
    y: Any
    sample_weight: Any = None

    @property
    def flat(self):
        return self.form in FLAT_FORMS

    @property
    def classifies(self):
        return self.kind in CLASSIFIERS

    def model(self, **changes):
        channels = self.sequences[0].shape[1] if self.flat else 1
        return self.kind(**{"n_channels": channels} | self.parameters | changes)

    def in_form(self, form):
        return replace(self, form=form, X=dress(self.sequences, form))


def forms_of(sequences):
    """The forms in which these can be passed."""
    equal = len({len(part) for part in sequences}) == 1
    return [*EQUAL_FORMS, *FLAT_FORMS, *LIST_FORMS] if equal else list(LIST_FORMS)


def dress(sequences, form, dtype="f8"):
    """Sequences in one of the forms."""
    parts = [np.asarray(part).astype(dtype) for part in sequences]
    if dtype == "g" and ("tensor" in form or form == "graph"):  # torch has no long double
        parts = [part.astype("f8") for part in parts]
    return (EQUAL_FORMS | FLAT_FORMS | LIST_FORMS)[form](parts)


@st.composite
def sequences(draw, n, dtype="f8", d=None):
    """n arrays (L_i, d) of numbers that every dtype holds exactly."""
    d = draw(st.integers(1, 3)) if d is None else d
    lengths = [draw(st.integers(1, 6))] * n
    if draw(st.booleans()):
        lengths = draw(st.lists(st.integers(1, 6), min_size=n, max_size=n))
    rng = np.random.default_rng(draw(st.integers(0, 9)))
    step = {"f": 8, "g": 8}.get(np.dtype(dtype).kind, 1)
    low, high = {"b": (0, 2), "u": (0, 17)}.get(np.dtype(dtype).kind, (-16, 17))
    scale = draw(st.sampled_from([1, 1, 1, 0]))  # now and then nothing but zeros
    return [scale * rng.integers(low, high, size=(length, d)) / step for length in lengths]


# ---------------------------------------------------------------- targets, labels and weights

_TARGET_FORMS = {
    "array": lambda y: y,
    "float32": lambda y: y.astype(np.float32),
    "list": lambda y: y.tolist(),
    "objects": lambda y: y.astype(object),
    "tensor": torch.from_numpy,
    "pandas": lambda y: pd.Series(y, index=range(5, 5 + len(y))) if y.ndim == 1 else pd.DataFrame(y),
    "nullable": lambda y: pd.Series(y, dtype="Float64") if y.ndim == 1 else pd.DataFrame(y, dtype="Float64"),
    "read-only": lambda y: _frozen(y.copy()),
    "reversed": lambda y: np.ascontiguousarray(y[::-1])[::-1],
    "big-endian": lambda y: y.astype(">f8"),
}
LABELS = {
    "whole numbers": (np.array([3, -5, 0]), np.asarray),
    "floats": (np.array([0.0, 1.0, 7.0]), np.asarray),
    "unsigned": (np.array([0, 255, 7], dtype=np.uint8), np.asarray),
    "words": (np.array(["no", "yes", "ä"]), np.asarray),
    "objects": (np.array(["no", "yes", ""], dtype=object), np.asarray),
    "flags": (np.array([True, False]), np.asarray),
    "list": (np.array(["no", "yes", "so"]), lambda y: y.tolist()),
    "tuple": (np.array([1, 0, 2]), lambda y: tuple(y.tolist())),
    "tensor": (np.array([1, 0, 2]), torch.from_numpy),
    "series": (np.array(["b", "a", "c"], dtype=object), lambda y: pd.Series(y, index=range(5, 5 + len(y)))),
    "categories": (np.array(["b", "a", "c"], dtype=object), lambda y: pd.Series(pd.Categorical(y))),
    "strings": (np.array(["b", "a", "c"], dtype=object), lambda y: pd.Series(y, dtype="string")),
    "nullable": (np.array([2, 0, 1]), lambda y: pd.Series(y, dtype="Int64")),
    "nullable flags": (np.array([True, False]), lambda y: pd.Series(y, dtype="boolean")),
    "column": (np.array([2, 0, 1]), lambda y: y[:, None]),
    "read-only": (np.array([2, 0, 1]), lambda y: _frozen(y.copy())),
}
_WEIGHT_FORMS = {
    "array": lambda w: w,
    "float32": lambda w: w.astype(np.float32),
    "list": lambda w: w.tolist(),
    "tensor": torch.from_numpy,
    "series": lambda w: pd.Series(w, index=range(5, 5 + len(w))),
    "whole": lambda w: np.ceil(w).astype(int),
}


@st.composite
def targets(draw, n, *, unit):
    """(plain, y) for a regressor; in [0, 1] with ``unit``."""
    shape = draw(st.sampled_from([(n,), (n,), (n, 1), (n, 2)]))
    rng = np.random.default_rng(draw(st.integers(0, 9)))
    plain = rng.integers(0 if unit else -16, 9, size=shape) / 8
    if draw(st.integers(0, 7)) == 0:
        plain[:] = 0.5  # constant
    form = draw(st.sampled_from(sorted(_TARGET_FORMS)))
    return plain, _TARGET_FORMS[form](plain)


@st.composite
def labels(draw, n):
    """(plain, y) for a classifier; every label occurs at least n // k times."""
    known, make = LABELS[draw(st.sampled_from(sorted(LABELS)))]
    k = draw(st.integers(2, len(known))) if n >= 3 else 2
    order = np.random.default_rng(draw(st.integers(0, 9))).permutation(n)
    plain = known[:k][order % k]
    return plain, make(plain)


@st.composite
def weights(draw, n):
    """Positive weights, or none."""
    if draw(st.booleans()):
        return None
    rng = np.random.default_rng(draw(st.integers(0, 9)))
    plain = rng.integers(1, 9, size=n) / draw(st.sampled_from([1, 4, 1e6, 1e-6]))
    form = draw(st.sampled_from(sorted(_WEIGHT_FORMS)))
    return _WEIGHT_FORMS[form](plain)


@st.composite
def tasks(draw, kinds=KINDS):
    """A `Task`."""
    kind = draw(st.sampled_from(kinds))
    n = draw(st.integers(2, 12))
    chosen = draw(parameters(kind))
    dtype = draw(st.sampled_from(("f8", *DTYPES)))
    plain_X = draw(sequences(n, dtype))
    form = draw(st.sampled_from(forms_of(plain_X)))
    if kind in CLASSIFIERS:
        plain, y = draw(labels(n))
    else:
        unit = str(chosen.get("readout", "linear")) == "logistic"
        plain, y = draw(targets(n, unit=unit))
        if not unit and draw(st.sampled_from([False, False, False, True])):
            chosen |= {"skip": "last", "skip_channel": draw(st.sampled_from([0, np.uint8(0)]))}
    if n >= 8 and draw(st.booleans()):  # fewer cannot be split and stratified whatever they are
        chosen |= {"early_stopping": draw(flags(True)), "validation_fraction": 0.5}
        if kind not in CLASSIFIERS and draw(st.booleans()):  # the first half may lack a class
            chosen |= {"validation_split": "last", "validation_gap": draw(st.integers(0, 2))}
    weight = draw(weights(n))
    return Task(kind, chosen, plain_X, form, dress(plain_X, form, dtype), plain, y, weight)
