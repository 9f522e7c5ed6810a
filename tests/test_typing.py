"""A user's type checker is content with what is right, and finds what is wrong."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import sklstm

pytest.importorskip("mypy")

SCRIPT = Path(__file__).parent / "typed" / "user_script.py"


def check(scripts, folder):
    """Output of ``mypy --strict`` on files, away from the project and its settings."""
    options = ["--config-file=", "--strict", "--follow-imports=silent", f"--cache-dir={folder / 'cache'}"]
    place = Path(sklstm.__file__).parents[1]
    # What is installed mypy finds by itself, and it refuses to be told.
    environment = os.environ | ({} if place.name == "site-packages" else {"MYPYPATH": str(place)})
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options, *map(str, scripts)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 1, done.stderr  # the second file has errors
    return done.stdout


def test_a_users_script(tmp_path):
    # The check can fail: without the comments every wrong line is found, and nothing else.
    text = SCRIPT.read_text()
    wrong = [number for number, line in enumerate(text.splitlines(), 1) if "# type: ignore[" in line]
    bare = tmp_path / "bare.py"
    bare.write_text(text.replace("# type: ignore[", "# "))
    *errors, summary = check([SCRIPT, bare], tmp_path).splitlines()
    assert summary.endswith("(checked 2 source files)")
    # An annotation that is too narrow would show as an error of the script, one too wide as a comment without use.
    assert all(line.startswith("bare.py:") for line in errors)
    found = [int(line.split(":")[1]) for line in errors if ": error: " in line]
    assert sorted(set(found)) == wrong
    assert len(wrong) > 30


def test_the_package_says_that_it_is_annotated():
    assert (Path(sklstm.__file__).parent / "py.typed").exists()
