"""What stands at the top of the repository says the same as the package."""

import ast
import importlib.util
import tomllib
from pathlib import Path

import pytest
import sklearn
import yaml

import sklstm

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def badges():
    pytest.importorskip("anybadge")
    spec = importlib.util.spec_from_file_location("badges", ROOT / "docs" / "badges.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(sklearn.__version__ < "1.9", reason="a badge names scikit-learn 1.9")
def test_badges_are_true(badges):
    files = {path.stem for path in badges.FOLDER.glob("*.svg")}
    assert files == set(badges.badges())
    for name, texts in badges.badges().items():
        assert (badges.FOLDER / f"{name}.svg").read_text(encoding="utf-8") == badges.drawn(name, *texts)
        assert f"badges/{name}.svg" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_one_version_everywhere():
    with open(ROOT / "pyproject.toml", "rb") as file:
        version = tomllib.load(file)["project"]["version"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert sklstm.__version__ == version == citation["version"]
    assert f"\n## {version} (" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_both_papers_are_cited_alike():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(citation["references"]) == 2
    for paper in citation["references"]:
        assert f"{{{paper['title']}}}" in readme
        names = " and ".join(f"{each['family-names']}, {each['given-names']}" for each in paper["authors"])
        assert f"{{{names}}}" in readme
        assert f"{{{paper['year']}}}" in readme


def imported(path):
    """Names of all modules that a file imports, at its top or later."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_tests_import_no_benchmark_and_the_package_neither():
    for folder, foreign in (("tests", {"benchmarks"}), ("sklstm", {"benchmarks", "tests"})):
        for path in (ROOT / folder).rglob("*.py"):
            assert not {name.split(".")[0] for name in imported(path)} & foreign, path


def test_no_test_reads_a_clock_for_a_number():
    """What measures time is a benchmark: on a busy machine a time says nothing about the code."""
    clocks = {"perf_counter", "perf_counter_ns", "process_time", "timeit"}
    for path in (ROOT / "tests").rglob("test_*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)} | set(imported(path))
        assert not used & clocks, path
