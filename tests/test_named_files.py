"""What pages, docstrings and comments name is there: modules and attributes of the package, files, scripts."""

import importlib
import re
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GENERATED = {"_build", "api", "gallery"}  # by `make docs`
TEXTS = [
    path
    for folder in ("sklstm", "docs", "examples", "benchmarks")
    for pattern in ("*.py", "*.md")
    for path in sorted((ROOT / folder).rglob(pattern))
    if not GENERATED & set(path.relative_to(ROOT).parts)
] + [ROOT / name for name in ("README.md", "CONTRIBUTING.md")]
DOTTED = re.compile(r"\bsklstm(?:\.[A-Za-z_]\w*)+")
SCRIPT = re.compile(r"python (?:-m (benchmarks\.\w+(?:\.\w+)*)|((?:benchmarks|docs|examples|tests)/[\w/.]+))")
FILE = re.compile(r"`([\w/]+\.(?:py|md|toml|cff))`")
NOT_A_NAME = {"sklstm.chosen", "sklstm.readthedocs.io"}  # the identifier of a line in a picture, an address


# What can be imported only beside the package that it adapts to; `make check-adapters` looks for these names too.
ABSENT = tuple(f"sklstm.adapters.{name}" for name in ("aeon", "sktime") if find_spec(name) is None)


def named(pattern):
    found = {}
    for path in TEXTS:
        for match in pattern.finditer(path.read_text(encoding="utf-8")):
            found.setdefault(next(filter(None, match.groups()), match.group()), path.relative_to(ROOT))
    return sorted(found.items())


def resolves(name):
    module, *rest = name.split(".")
    found = importlib.import_module(module)
    for part in rest:
        module += f".{part}"
        try:
            found = getattr(found, part)
        except AttributeError:
            try:
                found = importlib.import_module(module)
            except ImportError:
                return False
    return True


def test_dotted_names_are_there():
    names = [(name, path) for name, path in named(DOTTED) if name not in NOT_A_NAME and not name.startswith(ABSENT)]
    assert len(names) > 50
    assert [pair for pair in names if not resolves(pair[0])] == []


def test_scripts_are_there():
    scripts = named(SCRIPT)
    assert len(scripts) > 10
    for name, path in scripts:
        file = ROOT / (name if "/" in name else name.replace(".", "/") + ".py")
        assert file.exists() or file.with_suffix("").is_dir(), f"{path} names {name}"


def test_files_are_there():
    tops = [path for path in ROOT.iterdir() if not path.name.startswith((".venv", ".git"))]
    every = [path.relative_to(ROOT).as_posix() for top in tops for path in (top, *top.rglob("*.*"))]
    files = named(FILE)
    assert len(files) > 50
    missing = [pair for pair in files if not any(f"/{path}".endswith(f"/{pair[0]}") for path in every)]
    assert [pair for pair in missing if "NAME" not in pair[0]] == []


@pytest.mark.parametrize("name", ["sklstm.estimators._tikhonov_lstm", "sklstm.LSTM", "sklstm.linalg.norm.of"])
def test_what_is_not_there_is_noticed(name):
    assert not resolves(name)
