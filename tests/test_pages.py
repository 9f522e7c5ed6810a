"""Every block of Python in README.md and in docs/ runs, in order, and says what the page says that it says.

A page is one test, since its blocks share their names and pytest-xdist would hand them to different workers. Blocks
with prompts are doctests. A ```text block shows what the block before it has printed: with the same words, numbers
that another kind of processor may round differently, and … for what is left out. What cannot run here, because it needs
a cluster or a card, is marked with `<!-- skip: next -->`.
"""

import math
import re
from contextlib import redirect_stdout
from decimal import Decimal
from doctest import ELLIPSIS, NORMALIZE_WHITESPACE
from io import StringIO
from itertools import pairwise
from pathlib import Path

import pytest
from sybil import Sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.myst import CodeBlockParser, PythonCodeBlockParser, SkipParser

ROOT = Path(__file__).parents[1]
WRITTEN_BY_SCRIPTS = ("_build", "api", "benchmarks", "gallery")
PAGES = [ROOT / "README.md"] + [
    path
    for path in sorted((ROOT / "docs").rglob("*.md"))
    if path.relative_to(ROOT / "docs").parts[0] not in WRITTEN_BY_SCRIPTS
]
NUMBER = re.compile(r"-?\d[\d,]*\.?\d*(?:e[+-]?\d+)?")
# Of printed numbers, since trainings in float32 differ between kinds of processors: relative; and absolute, of numbers
# below 1 such as accuracies.
TOLERANCE, OF_SHARES = 0.1, 0.03


class Recorder(PythonEvaluator):
    """Runs a block and keeps what it prints."""

    def __call__(self, example):
        printed = StringIO()
        with redirect_stdout(printed):
            super().__call__(example)
        example.namespace["__printed__"] = printed.getvalue()


def compared(example):
    return differences(example.parsed, example.namespace.get("__printed__", ""))


def differences(shown, printed):
    """What of the lines shown is not found, in their order, in the lines printed; None if there is nothing."""
    lines = iter(line.split() for line in printed.splitlines())
    for line in shown.splitlines():
        if line.strip() not in ("", "…") and not any(alike(line.split(), candidate) for candidate in lines):
            return f"not printed, or not in this order: {line!r}\nprinted was:\n{printed}"
    return None


def alike(shown, printed):
    return len(shown) == len(printed) and all(map(same_word, shown, printed))


def same_word(shown, printed):
    if NUMBER.sub("0", shown).strip("-") != NUMBER.sub("0", printed).strip("-"):
        return False
    return all(map(same_number, NUMBER.findall(shown), NUMBER.findall(printed)))


def same_number(shown, printed):
    last_digit = Decimal(1).scaleb(Decimal(shown.replace(",", "")).as_tuple().exponent)
    a, b = (float(text.replace(",", "")) for text in (shown, printed))
    allowed = TOLERANCE * abs(b)
    if max(abs(a), abs(b)) <= 1:
        allowed = min(allowed, OF_SHARES)
    return abs(a - b) <= 1.001 * max(allowed, float(last_digit) if "." in shown else 0.0)


def parsers():
    python = PythonCodeBlockParser(doctest_optionflags=ELLIPSIS | NORMALIZE_WHITESPACE)
    python.codeblock_parser = CodeBlockParser("python", Recorder())
    return [python, CodeBlockParser("text", compared), SkipParser()]


def evaluate(page):
    for example in Sybil(parsers()).parse(page).examples():
        example.evaluate()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_no_block_is_overlooked(page):
    fences = [place.start() for place in re.finditer(r"^ *```python$", page.read_text(encoding="utf-8"), re.MULTILINE)]
    starts = [example.region.start for example in Sybil(parsers()).parse(page).examples()]
    for start, end in pairwise([*fences, math.inf]):
        assert any(start <= place < end for place in starts)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_block_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    evaluate(page)


PAGE = """
```python
x = 4
print("about", x / 3, "(of 1,000)")
print("and more")
```

```text
about 1.33 (of 1,000)
…
```

```python
>>> x
4
```

<!-- skip: next -->
```python
from ray import nothing
```
"""


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        (">>> x\n4", ">>> x\n5", "Expected:\n    5"),
        ("about 1.33", "about 2.33", "not printed"),
        ("about 1.33", "nearly 1.33", "not printed"),
        ("…", "and less", "not printed"),
        ("x = 4", "x = y", "name 'y' is not defined"),
        ("<!-- skip: next -->", "", "ray"),
    ],
)
def test_a_false_page_is_found(tmp_path, old, new, error):
    page = tmp_path / "page.md"
    page.write_text(PAGE, encoding="utf-8")
    evaluate(page)
    page.write_text(PAGE.replace(old, new), encoding="utf-8")
    with pytest.raises(Exception, match=error):
        evaluate(page)


def test_pages_that_people_write_are_among_them():
    found = {page.relative_to(ROOT).as_posix() for page in PAGES}
    assert {"README.md", "docs/getting_started.md", "docs/guide/certify.md", "docs/theory/turkin.md"} <= found


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("0.90", "0.85", False),
        ("0.844", "0.700", False),
        ("0.28", "0.29", True),
        ("105", "104", True),
        ("18", "21", False),
        ("0.001", "0.004", False),
        ("0.0003", "0.003", False),
        ("0.01", "0.02", True),
        ("1.05", "1.0", True),
        ("5.676e+07", "5.9e+07", True),
        ("5.676e+07", "5.9e+08", False),
        ("1,000", "950", True),
        ("-0.5", "0.5", False),
    ],
)
def test_how_far_a_number_may_be_off(shown, printed, same):
    assert same_word(shown, printed) == same
