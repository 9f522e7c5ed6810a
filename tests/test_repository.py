"""What stands at the top of the repository says the same as the package."""

import ast
import importlib.util
import re
import tomllib
from functools import cache
from pathlib import Path

import pytest
import sklearn
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import sklstm

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


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
    version = PROJECT["version"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert sklstm.__version__ == version == citation["version"]
    assert f"\n## {version} (" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def pins(name):
    """Distribution -> version of a file of constraints, those that it names included."""
    path, found = ROOT / "tests" / "constraints" / name, {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("--constraint "):
            found |= pins(path.parent / line.split()[1])
        elif line and not line.startswith("#"):
            distribution, version = line.split("==")
            found[canonicalize_name(distribution)] = Version(version)
    return found


def bounds(*extras):
    """Distribution -> lowest version that is allowed, of the package and of some of its extras."""
    lines = PROJECT["dependencies"] + [line for extra in extras for line in PROJECT["optional-dependencies"][extra]]
    for each in map(Requirement, lines):
        if each.name != "sklstm":
            (bound,) = each.specifier
            assert bound.operator == ">="
            yield canonicalize_name(each.name), Version(bound.version)


def test_the_lowest_versions_are_tested():
    lowest = pins("lowest.txt")
    for name, bound in bounds("plot", "tables", "onnx", "search"):
        assert lowest[name].release[: len(bound.release)] == bound.release, name
        assert pins("tested.txt")[name] > bound, name


def test_the_versions_of_the_tests_are_pinned():
    tested = pins("tested.txt")
    for name, bound in bounds("plot", "tables", "onnx", "search", "test", "docs", "dev"):
        assert name == "setuptools" or tested[name] >= bound, name
    users = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert [line.split("==")[0] for line in users if not line.startswith("#")] == ["torch"]


def test_the_long_description_is_the_readme_with_addresses():
    spec = importlib.util.spec_from_file_location("setup", ROOT / "setup.py")
    setup = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(setup)
    text, readme = setup.long_description(), (ROOT / "README.md").read_text(encoding="utf-8")
    source = f"https://github.com/sklstm/sklstm/blob/v{PROJECT['version']}/"
    pictures = f"https://raw.githubusercontent.com/sklstm/sklstm/v{PROJECT['version']}/"
    links = re.findall(r"(!?)\[[^\]]*\]\(([^)]*)\)", text)
    assert len(links) > 20
    for picture, address in links:
        base = pictures if picture else source
        if address.startswith(base):
            assert (ROOT / address.removeprefix(base).split("#")[0]).is_file()
        else:
            assert address.startswith("https://")
            assert not picture
            assert address in readme
    assert text.replace(pictures, "").replace(source, "") == readme  # nothing else has changed


def test_both_papers_are_cited_alike():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(citation["references"]) == 2
    for paper in citation["references"]:
        assert f"{{{paper['title']}}}" in readme
        names = " and ".join(f"{each['family-names']}, {each['given-names']}" for each in paper["authors"])
        assert f"{{{names}}}" in readme
        assert f"{{{paper['year']}}}" in readme


def read_yaml(name):
    """A YAML file; GitHub's key "on" is a boolean in YAML 1.1."""
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


FORMS = sorted(path.name for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if path.stem != "config")


def test_there_are_three_issue_forms():
    assert FORMS == ["bug.yml", "feature.yml", "wrong_number.yml"]
    config = read_yaml(".github/ISSUE_TEMPLATE/config.yml")
    assert set(config) == {"blank_issues_enabled", "contact_links"}
    for link in config["contact_links"]:
        assert set(link) == {"name", "url", "about"}
        assert link["url"] in PROJECT["urls"].values()


@pytest.mark.parametrize("name", FORMS)
def test_issue_forms_are_as_the_host_reads_them(name):
    form = read_yaml(f".github/ISSUE_TEMPLATE/{name}")
    assert {"name", "description", "body"} <= set(form) <= {"name", "description", "body", "title", "labels"}
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    assert len({field["id"] for field in fields}) == len(fields) > 2
    for field in form["body"]:
        attributes = field["attributes"]
        assert field["type"] in {"markdown", "input", "textarea", "dropdown"}
        assert all(attributes.values())
        if field["type"] == "markdown":
            assert set(attributes) == {"value"}
        else:
            more = {"dropdown": {"options"}, "textarea": {"description", "placeholder", "render"}}
            allowed = more.get(field["type"], {"description", "placeholder"}) | {"label"}
            assert {"label"} <= set(attributes) <= allowed
            assert set(field) - {"type", "id", "attributes"} <= {"validations"}
    assert any(field.get("validations", {}).get("required") for field in fields)


def test_the_workflow_runs_our_scripts_on_three_systems():
    workflow = read_yaml(".github/workflows/ci.yml")
    jobs = workflow["jobs"]
    systems = {name.split("-")[0] for name in jobs["everything"]["strategy"]["matrix"]["os"]}
    assert systems == {"ubuntu", "macos", "windows"}
    steps = [step for job in jobs.values() for step in job["steps"]]
    commands = [step["run"].split()[0] for step in steps if "run" in step]
    assert ".ci/run" in commands
    assert all((ROOT / command).is_file() for command in commands if command.startswith("."))
    assert workflow["permissions"] == {"contents": "read"}
    pythons = {step["with"]["python-version"] for step in steps if "setup-python" in step.get("uses", "")}
    assert any(PROJECT["requires-python"].endswith(version) for version in pythons)
    for each in jobs["versions"]["strategy"]["matrix"]["include"]:
        assert f"Programming Language :: Python :: {each['python']}" in PROJECT["classifiers"]


def test_commit_hooks_have_the_tools_of_make_lint():
    (local,) = read_yaml(".pre-commit-config.yaml")["repos"]
    assert local["repo"] == "local"
    hooks = {hook["id"]: hook for hook in local["hooks"]}
    assert {"ruff-check", "ruff-format", "style", "large-files", "end-of-file"} <= set(hooks)
    tools = pins("tools.txt")
    for hook in hooks.values():
        for each in map(Requirement, hook.get("additional_dependencies", ())):
            (pin,) = each.specifier
            assert pin.operator == "=="
            assert each.name == "pre-commit-hooks" or Version(pin.version) == tools[each.name]
    script = hooks["style"]["entry"].split()[1]
    assert (ROOT / script).is_file()
    texts = re.compile(hooks["style"]["files"])
    for name in ("README.md", "docs/index.md", "docs/guide/certify.md", "sklstm/noise.py", "examples/quickstart.py"):
        assert texts.search(name)
    assert not texts.search("docs/style.py")


@cache
def nodes(path):
    """Imports and attributes of a file."""
    every = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return [node for node in every if isinstance(node, ast.Import | ast.ImportFrom | ast.Attribute)]


def imported(path):
    """Names of all modules that a file imports, at its top or later."""
    for node in nodes(path):
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
        used = {node.attr for node in nodes(path) if isinstance(node, ast.Attribute)} | set(imported(path))
        assert not used & clocks, path
