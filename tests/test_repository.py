"""What stands at the top of the repository says the same as the package."""

import importlib.util
import tomllib
from pathlib import Path

import pytest
import sklearn
import yaml

import sklstm
from benchmarks.evidence import peer_features
from tests.support.records import load

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


def test_the_table_of_packages_is_what_was_tried():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    records = load(peer_features.NAME)
    assert peer_features.readme(text, records) == text
    assert peer_features.page(records) == (ROOT / "docs/benchmarks/peer_features.md").read_text(encoding="utf-8")
    versions = {name: found for record in records for name, found in record["packages"].items()}
    assert versions["sklstm"] == sklstm.__version__
