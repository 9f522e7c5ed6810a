"""Invalid data, and such as may or may not be taken but must not break anything."""

import decimal
import fractions
import math

import numpy as np
import pandas as pd
import scipy.sparse as sp
import torch

from tests.support.fuzz.strategies import dress


def _poison(value):
    def make(parts):
        parts = [part.astype(np.float64) for part in parts]
        parts[-1][-1, 0] = value
        return parts

    return make


def _stack(parts):
    return np.stack([part[:1] for part in parts])


class Unhelpful:
    """Has a length and nothing else."""

    def __len__(self):
        return 4


# Name: (sequences -> X, whether every estimator must refuse it).
SEQUENCES = {
    "NaN": (_poison(np.nan), True),
    "infinity": (_poison(-np.inf), True),
    "too large for float32": (_poison(1e39), True),
    "huge": (_poison(3e38), False),
    "large": (_poison(1e30), False),
    "tiny": (_poison(1e-310), False),
    "NaN in an array": (lambda parts: _stack(_poison(np.nan)([part[:1] for part in parts])), True),
    "complex": (lambda parts: _stack(parts) + 1j, True),
    "complex list": (lambda parts: [part + 1j for part in parts], True),
    "words": (lambda parts: _stack(parts).astype(str).astype(object) + "x", True),
    "list of words": (lambda parts: [np.full(part.shape, "a") for part in parts], True),
    "numbers as words": (lambda parts: _stack(parts).astype(str), False),
    "dates": (lambda parts: np.abs(_stack(parts)).astype("M8[s]"), False),
    "objects": (lambda parts: np.full((len(parts), 2, 1), {}, dtype=object), True),
    "lists in objects": (lambda parts: np.full((len(parts), 2, 1), None, dtype=object), True),
    "None": (lambda parts: None, True),
    "a number": (lambda parts: 3.5, True),
    "a word": (lambda parts: "X", True),
    "bytes": (lambda parts: b"X" * len(parts), True),
    "a dict": (lambda parts: {"a": parts}, True),
    "a set": (lambda parts: {1, 2}, True),
    "a generator": (lambda parts: iter(parts), True),
    "an object": (lambda parts: object(), True),
    "a length": (lambda parts: Unhelpful(), True),
    "four axes": (lambda parts: _stack(parts)[None], True),
    "one axis": (lambda parts: parts[0][:, 0], True),
    "no axis": (lambda parts: np.array(1.0), True),
    "empty list": (lambda parts: [], True),
    "empty tuple": (lambda parts: (), True),
    "empty array": (lambda parts: np.empty((0, 3, 2)), True),
    "empty rows": (lambda parts: np.empty((0, 3)), True),
    "no columns": (lambda parts: np.empty((len(parts), 0)), True),
    "no steps": (lambda parts: np.empty((len(parts), 0, 1)), True),
    "no channels": (lambda parts: np.empty((len(parts), 3, 0)), True),
    "an empty sequence": (lambda parts: [*parts[:-1], parts[-1][:0]], True),
    "a sequence without channels": (lambda parts: [*parts[:-1], parts[-1][:, :0]], True),
    "nothing but empty sequences": (lambda parts: [part[:0] for part in parts], True),
    "a sequence with one axis": (lambda parts: [*parts[:-1], parts[-1][:, 0]], True),
    "a sequence with three axes": (lambda parts: [*parts[:-1], parts[-1][None]], True),
    "a sequence with another channel": (lambda parts: [*parts[:-1], np.hstack([parts[-1], parts[-1]])], True),
    "a None among sequences": (lambda parts: [*parts[:-1], None], True),
    "None first": (lambda parts: [None, *parts[1:]], True),
    "a word among sequences": (lambda parts: [*parts[:-1], "abc"], True),
    "rows of unequal length": (lambda parts: [list(range(1 + i % 3)) for i, _ in enumerate(parts)], True),
    "nested unequal lists": (lambda parts: [[[1.0], [1.0, 2.0]] for _ in parts], True),
    "list of 1-D arrays": (lambda parts: [part[0] for part in parts], False),
    "objects of one axis": (lambda parts: _objects([part[:, 0] for part in parts]), False),
    "objects of numbers": (lambda parts: _objects(list(range(len(parts)))), True),
    "objects of None": (lambda parts: _objects([None] * len(parts)), True),
    "sparse rows": (lambda parts: sp.csr_array(_stack(parts)[:, 0]), True),
    "sparse tensor": (lambda parts: torch.from_numpy(_stack(parts)).to_sparse(), False),
    "complex tensor": (lambda parts: torch.from_numpy(_stack(parts) + 1j), True),
    "half tensor": (lambda parts: torch.from_numpy(_stack(parts)).half(), False),
    "bfloat tensor": (lambda parts: torch.from_numpy(_stack(parts)).bfloat16(), False),
    "meta tensor": (lambda parts: torch.from_numpy(_stack(parts)).to("meta"), True),
    "float8 tensor": (lambda parts: torch.from_numpy(_stack(parts)).to(torch.float8_e4m3fn), False),
    "masked": (lambda parts: np.ma.masked_greater(_stack(parts), 0), False),
    "records": (lambda parts: np.zeros(len(parts), dtype=[("a", "f8"), ("b", "f8")]), True),
    "empty table": (lambda parts: pd.DataFrame(), True),
    "table of words": (lambda parts: pd.DataFrame({"a": ["x"] * len(parts), "b": 1.0}), True),
    "table with NaN": (lambda parts: pd.DataFrame({"a": [np.nan] * len(parts)}), True),
    "nullable table": (lambda parts: pd.DataFrame({"a": pd.array([1, 2] * 6, dtype="Int64")[: len(parts)]}), False),
    "table with NA": (lambda parts: pd.DataFrame({"a": pd.array([1, None] * 6, dtype="Int64")[: len(parts)]}), True),
    "table of categories": (lambda parts: pd.DataFrame({"a": pd.Categorical([1, 2] * 6)[: len(parts)]}), False),
    "table of dates": (lambda parts: pd.DataFrame({"a": pd.date_range("2020", periods=len(parts))}), False),
    "mixed column names": (lambda parts: pd.DataFrame(np.ones((len(parts), 2)), columns=["a", 1]), True),
    "column names twice": (lambda parts: pd.DataFrame(np.ones((len(parts), 2)), columns=["a", "a"]), False),
    "wide table, a hole": (lambda parts: _wide_table(parts, [(0, "a"), (0, "b"), (1, "a")]), True),
    "wide table, twice": (lambda parts: _wide_table(parts, [(0, "a"), (0, "a")]), True),
    "wide table, backwards": (lambda parts: _wide_table(parts, [(1, "a"), (0, "a")]), True),
    "wide table, three levels": (lambda parts: _wide_table(parts, [(0, "a", 1), (1, "a", 1)]), True),
    "wide table, mixed times": (lambda parts: _wide_table(parts, [(0, "a"), ("x", "a")]), False),
    "wide table of words": (lambda parts: _wide_table(parts, [(0, "a"), (1, "a")]).astype(str) + "x", True),
    "series of numbers": (lambda parts: pd.Series(np.ones(len(parts))), True),
    "tables with other columns": (
        lambda parts: [
            pd.DataFrame(part, columns=[f"{i == 0}{j}" for j in range(part.shape[1])]) for i, part in enumerate(parts)
        ],
        True,
    ),
    "index": (lambda parts: pd.Index(range(len(parts))), True),
}  # fmt: skip


def _objects(entries):
    array = np.empty(len(entries), dtype=object)
    array[:] = entries
    return array


def _wide_table(parts, columns):
    return pd.DataFrame(np.ones((len(parts), len(columns))), columns=pd.MultiIndex.from_tuples(columns))


# Name: (n -> y, whether regressors must refuse it, whether the classifier must).
TARGETS = {
    "NaN": (lambda n: np.r_[np.nan, np.arange(n - 1.0)], True, True),
    "infinity": (lambda n: np.r_[np.inf, np.arange(n - 1.0)], True, True),
    # Of the classifier more would be asked than scikit-learn's look at labels gives: it warns of a cast.
    "huge": (lambda n: np.r_[1e18, np.arange(n - 1.0)] * 2, True, False),
    "large": (lambda n: np.r_[9e17, np.zeros(n - 1)], False, False),
    "continuous": (lambda n: np.linspace(0, 1, n + 1)[1:], False, True),
    "one label": (lambda n: np.ones(n), False, True),
    "one word": (lambda n: np.array(["a"] * n), True, True),
    "words": (lambda n: np.array(["a", "b"] * n)[:n], True, False),
    "bytes": (lambda n: np.array([b"a", b"b"] * n)[:n], False, False),
    "numbers as words": (lambda n: np.array(["1", "2"] * n)[:n], False, False),
    "too short": (lambda n: np.arange(n - 1) % 2, True, True),
    "too long": (lambda n: np.arange(n + 1) % 2, True, True),
    "None": (lambda n: None, True, True),
    "a number": (lambda n: 1.0, True, True),
    "a word": (lambda n: "y", True, True),
    "empty": (lambda n: [], True, True),
    "no outputs": (lambda n: np.empty((n, 0)), True, True),
    "three axes": (lambda n: np.zeros((n, 1, 1)), True, True),
    "two columns": (lambda n: np.tile([0, 1], (n, 1)), False, True),
    "unequal lists": (lambda n: [[0] * (1 + i % 2) for i in range(n)], True, True),
    "a None among numbers": (lambda n: np.array([None, *range(n - 1)], dtype=object), True, True),
    "a None among words": (lambda n: np.array([None, "a", *["b"] * (n - 2)], dtype=object), True, True),
    "mixed": (lambda n: np.array([0, "a"] * n, dtype=object)[:n], True, True),
    "mixed list": (lambda n: [0, "a"] * (n // 2) + [0] * (n % 2), True, False),
    "complex": (lambda n: np.arange(n) % 2 + 1j, True, True),
    "dates": (lambda n: np.array(["2020-01-01", "2021-01-01"] * n, dtype="M8[D]")[:n], True, False),
    "durations": (lambda n: np.array([1, 2] * n, dtype="m8[s]")[:n], True, False),
    "series of dates": (lambda n: pd.Series(pd.date_range("2020", periods=n)), True, False),
    "missing": (lambda n: pd.Series([None, *[0, 1] * n][:n], dtype="Int64"), True, True),
    "missing flag": (lambda n: pd.Series([None, *[True, False] * n][:n], dtype="boolean"), True, True),
    "missing word": (lambda n: pd.Series([None, *["a", "b"] * n][:n], dtype="string"), True, True),
    "missing category": (lambda n: pd.Series(pd.Categorical([None, *["a", "b"] * n][:n])), True, True),
    "missing float": (lambda n: pd.Series([None, *[0, 1] * n][:n], dtype="Float64"), True, True),
    "table of words": (lambda n: pd.DataFrame({"a": ["x", "y"] * n}).head(n), True, False),
    "sparse": (lambda n: sp.csr_array(np.ones((n, 1))), True, True),
    "a dict": (lambda n: {i: i % 2 for i in range(n)}, True, True),
    "a set": (lambda n: set(range(n)), True, True),
    "a generator": (lambda n: iter(range(n)), True, True),
    "lists as labels": (lambda n: _objects([[i % 2] for i in range(n)]), False, False),
    "dicts as labels": (lambda n: _objects([{} for i in range(n)]), True, True),
    "an object": (lambda n: object(), True, True),
    "enormous whole numbers": (lambda n: [10**400, *range(n - 1)], True, False),
    "large whole numbers": (lambda n: np.arange(n) % 2 + 2**62, True, False),
    "unsigned beyond signed": (lambda n: (np.arange(n) % 2).astype(np.uint64) + np.uint64(2**63), True, False),
    "bfloat tensor": (lambda n: torch.arange(n).remainder(2).bfloat16(), False, False),
    "complex tensor": (lambda n: torch.arange(n) + 1j, True, True),
    "meta tensor": (lambda n: torch.empty(n, device="meta"), True, True),
    "records": (lambda n: np.zeros(n, dtype=[("a", "f8")]), True, True),
    "void": (lambda n: np.zeros(n, dtype="V4"), True, True),
    "floats near whole ones": (lambda n: np.arange(n) % 2 + 1e-12, False, True),
    "negative zeros": (lambda n: np.where(np.arange(n) % 2, -0.0, 1.0), False, False),
    "numbers as objects": (lambda n: (np.arange(n) % 2).astype(object), False, False),
    "as many labels as sequences": (lambda n: np.arange(n), False, False),
    "tuples": (lambda n: [(i % 2, 1) for i in range(n)], False, True),
    "indicators": (lambda n: np.eye(n, dtype=int), False, True),
}  # fmt: skip

# Name: (n -> sample_weight, whether it must be refused).
WEIGHTS = {
    "negative": (lambda n: np.r_[-1.0, np.ones(n - 1)], True),
    "all zero": (lambda n: np.zeros(n), True),
    "NaN": (lambda n: np.r_[np.nan, np.ones(n - 1)], True),
    "infinity": (lambda n: np.r_[np.inf, np.ones(n - 1)], True),
    "too short": (lambda n: np.ones(n - 1), True),
    "too long": (lambda n: np.ones(n + 1), True),
    "two axes": (lambda n: np.ones((n, 1)), False),
    "words": (lambda n: ["a"] * n, True),
    "a word": (lambda n: "balanced", True),
    "a number": (lambda n: 2.0, False),
    "zero": (lambda n: 0, True),
    "negative number": (lambda n: -1, True),
    "NaN alone": (lambda n: math.nan, True),
    "infinity alone": (lambda n: math.inf, True),
    "a dict": (lambda n: {0: 1}, True),
    "complex": (lambda n: np.ones(n) + 1j, True),
    "None among them": (lambda n: [None] + [1] * (n - 1), True),
    "flags": (lambda n: np.arange(n) % 2 == 0, False),
    "one": (lambda n: np.r_[1.0, np.zeros(n - 1)], False),
    "huge": (lambda n: np.r_[1e308, 1e308, np.ones(n - 2)], False),
    "tiny": (lambda n: np.r_[5e-324, np.zeros(n - 1)], False),
    "far apart": (lambda n: np.r_[1e-300, np.full(n - 1, 1e300)], False),
    "unequal lists": (lambda n: [[1] * (1 + i % 2) for i in range(n)], True),
    "empty": (lambda n: [], True),
    "sparse": (lambda n: sp.csr_array(np.ones((1, n))), True),
    "an object": (lambda n: object(), True),
    "missing": (lambda n: pd.Series([None, *[1] * n][:n], dtype="Float64"), True),
    "nullable": (lambda n: pd.Series(([2, 1] * n)[:n], dtype="Int64"), False),
    "tensor in a graph": (lambda n: torch.ones(n, requires_grad=True), False),
    "bfloat tensor": (lambda n: torch.arange(1, n + 1).bfloat16(), False),
    "enormous whole numbers": (lambda n: [10**400] + [1] * (n - 1), True),
}  # fmt: skip

# Values of eps for one sequence form; whether they must be refused.
SIZES = {
    "negative": (-1e-9, True),
    "NaN": (math.nan, True),
    "infinity": (math.inf, True),
    "None": (None, True),
    "a word": ("0.1", True),
    "complex": (1j, True),
    "a flag": (True, True),
    "too many axes": (np.ones((1, 1, 1, 1, 1)), True),
    "wrong length": (np.ones(97), True),
    "empty": ([], True),
    "unequal": ([[1], [1, 2]], True),
    "an object": (object(), True),
    "a dict": ({"a": 1}, True),
    "huge": (1e300, True),
    "large": (1e38, False),
    "large but finite": (1e30, False),
    "tiny": (1e-310, False),
    "whole": (np.int8(1), False),
    "tensor": (torch.tensor(0.1), False),
    "enormous": (10**400, True),
    "fraction": (fractions.Fraction(1, 2), False),
    "decimal": (decimal.Decimal("0.5"), False),
    "missing": (pd.NA, True),
}


def dressed(task, name):
    """The task's sequences as one of the `SEQUENCES`; lists where the sequences are equal, for those that stack."""
    make, _ = SEQUENCES[name]
    parts = [part.astype(np.float64) for part in dress(task.sequences, "list")]
    return make(parts)
