"""Every row of the table of what users of this field stumble on has its test here."""

import ast
from collections import Counter
from pathlib import Path

import pytest

ROWS = [
    "one_dimensional_y",
    "labels",
    "double_input",
    "hidden_hold_out",
    "best_weights",
    "reproducible",
    "sample_weight",
    "ragged_sequences",
    "scaling_of_sequences",
    "swapped_axes",
    "scikit_learn_checks",
    "cuda_in_workers",
    "oversubscription",
    "packed_sequences",
    "spectral_norm_parametrisation",
    "svd_gradient",
    "double_backward",
    "cuda_pickle",
    "safe_persistence",
    "probabilities",
    "onnx_axes",
    "ctrl_c",
    "files_in_the_working_directory",
]


def rows_tested():
    found = Counter()
    for path in Path(__file__).parent.glob("test_rows_*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                marks = " ".join(map(ast.unparse, node.decorator_list))
                assert "skip" not in marks, f"{node.name} can be left out"
                assert "xfail" not in marks, f"{node.name} need not pass"
                assert ast.get_docstring(node), f"{node.name} does not say what its row is about"
                found[node.name.removeprefix("test_")] += 1
    return found


def test_the_table_has_23_rows_of_different_names():
    assert len(ROWS) == len(set(ROWS)) == 23


@pytest.mark.parametrize("row", ROWS)
def test_a_test_exists_for(row):
    assert rows_tested()[row] == 1


def test_every_test_belongs_to_a_row():
    assert set(rows_tested()) == set(ROWS)
