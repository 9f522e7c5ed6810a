"""The style check finds planted faults where they are, and nothing in code, formulas and names."""

import ast
import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LONG = " ".join(["word"] * 33) + "."
FINE = " ".join(["word"] * 32) + "."


@pytest.fixture(scope="module")
def style():
    spec = importlib.util.spec_from_file_location("style", ROOT / "docs" / "style.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def check(style, tmp_path):
    """Findings in a text, as (line, reason), under a path that the text is thought to have."""

    def findings(path, text):
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return [(finding.line, finding.why) for finding in style.findings(file, tmp_path)]

    return findings


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("One. Two! Three? Four", 4),
        ("A bound holds (see below.) The next one too.", 2),
        ('He said "no." She did not.', 2),
        ("Tu et al. showed it, e.g. in Fig. 3 and Eq. (4), cf. Prop. 2.", 1),
        ("Take the first one, not no. 2. Then go on.", 2),
        ("There is no. Then go on.", 2),
        ("M. A. Smith wrote it.", 1),
        ("The readout is a matrix A. A reads the last step.", 2),
        ("Steps of 0.001, version 2.13.0, file a.b.c.", 1),
        ("e = 0, 1, … of all epochs. Then it ends.", 2),
        ("One\nsentence\nof three lines. Another.", 2),
        ("", 0),
    ],
)
def test_sentences(style, text, count):
    found = list(style.sentences(text))
    assert len(found) == count
    for start, sentence in found:
        assert text[start:].startswith(sentence)


def test_code_formulas_and_addresses_are_one_word_each(style):
    text, pieces = style.plain(
        "Take ``a b c`` or `d e` [here](a.md#b), $x + y$, **now**: <https://a.b/c>", style.INLINE
    )
    assert style.words(text) == 8
    assert pieces == ["``a b c``", "`d e`", "$x + y$", "<https://a.b/c>"]
    assert style.with_code(text, pieces) == "Take ``a b c`` or `d e` here, $x + y$, now: <https://a.b/c>"


@pytest.mark.parametrize("path", ["README.md", "CONTRIBUTING.md", "docs/index.md", "docs/benchmarks/a.md"])
def test_long_sentences_in_pages(check, path):
    assert check(path, f"# Title\n\n{FINE}\n\nShort. {LONG}\n\n- item\n- {LONG}\n") == [
        (5, "33 words"),
        (8, "33 words"),
    ]


def test_theory_may_be_longer(check):
    assert check("docs/theory/a.md", LONG) == []
    assert check("docs/theory/a.md", " ".join(["word"] * 41)) == [(1, "41 words")]


def test_lines_are_those_of_the_sentence(check):
    assert check("README.md", "Short.\nAlso `a\nb` short. Then\nseldom.\n") == [(3, '"seldom" -> rarely')]


def test_every_phrase_is_found_in_itself(style, check):
    examples = """the house; two rooms; one floor; a door; whatever; whoever; whence; lest; nor is it; as it were;
        all but for; of one's own; by oneself; which is to say; that is to be withstood; is to hold; are not to go;
        train so what; to be had; come into question; what may happen to; seldom; anew; by so much; up to so much;
        next to nothing; withstand; calmer; where the penalty bites; paid for; for nothing; companions;
        the law of; asked too; put right; stood in; stands in; the best constant guess; in place of;
        errors of 0.1 all numbers have; the errors the inputs have; the road from"""
    found = [why for each in examples.split(";") for _, why in check("README.md", each.strip())]
    assert not [each for each in examples.split(";") if not check("README.md", each.strip())]
    for instead in style.PHRASES.values():
        assert any(why.endswith(instead) or f"-> {instead};" in why for why in found), instead


@pytest.mark.parametrize(
    "text",
    [
        "A file takes its place in place.",  # changed in place
        "Leave room for one rounding.",
        "The best constant guess (the mean of the training targets) loses 1.",
        "`whatever`, ``whatever``, $whatever$, [text](whatever.md), <!-- whatever -->",
        "```python\nwhatever\n```\n\n    whatever\n    whatever\n\n$$\nwhatever\n$$\n",
        "````{toctree}\n```\nwhatever\n```\n````\n",
        "| a | b |\n| --- | --- |\n" + "| word `whatever` | word |\n" * 20,
        "- item\n\n  ```text\n  whatever\n  ```\n",
        "# " + " ".join(["word"] * 20) + "\n" + " ".join(["word"] * 20),
    ],
)
def test_what_is_no_fault_in_a_page(check, text):
    assert check("README.md", text) == []


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("```{note}\nwhatever\n```\n", 2),
        (":::{grid-item-card} Title\n:link: whatever\nwhatever\n:::\n", 3),
        ("- item\n\n    whatever\n", 3),
        ("> whatever\n", 1),
        ("| whatever |\n", 1),
        ("```python\nx\n```\nwhatever\n", 4),
        ("## whatever\n", 1),
        ("![whatever](a.png)\n", 1),
    ],
)
def test_text_is_found_in_all_forms(check, text, line):
    ((found, why),) = check("README.md", text)
    assert found == line
    assert why.startswith('"whatever"')


def test_only_the_newest_section_of_the_changelog_is_read(check):
    text = "# Changelog\n\n## 0.2.0\n\n- whatever\n\n## 0.1.0\n\n- whatever\n"
    assert [line for line, _ in check("CHANGELOG.md", text)] == [5]


MODULE = '''"""Whatever (line 1).

The second paragraph::

    whatever is literal

.. math::

    whatever

and whatever (line 11).
"""


def f(x):
    """One line.

    Parameters
    ----------
    whatever : whatever
        Whatever (line 21).
    x : int
        {long}

    Returns
    -------
    whatever
        The value.

    See Also
    --------
    whatever : Short.
    g : Whatever (line 33).

    Notes
    -----
    - An item [1]_
      of two lines: :math:`whatever`, `whatever`, ``whatever``.

    References
    ----------
    .. [1] Whatever.

    Examples
    --------
    Whatever (line 46):

    >>> f(1)  # whatever
    'whatever'

    .. note:: Whatever (line 51).
    """
    if x:
        raise ValueError(f"whatever {{x}} (line 54)")
    warnings.warn("Whatever (line 55)", UserWarning)
    return "whatever"  # whatever
'''.format(long=LONG)  # noqa: UP032


def test_docstrings_and_messages(check):
    found = check("sklstm/a.py", MODULE)
    assert [line for line, _ in found] == [1, 11, 21, 23, 33, 46, 51, 54, 55]
    assert dict(found)[23] == "33 words"


def test_text_of_examples(check):
    text = '"""\nTitle\n=====\n\nWhatever.\n"""\n\nx = 1  # whatever\n\n'
    text += "# %%\n# Whatever\n# --------\n# One.\n# Whatever.\n\n# whatever\n"
    assert [line for line, _ in check("examples/a.py", text)] == [5, 11, 14]
    assert check("sklstm/a.py", "# %%\n# Whatever.\n") == []


def test_pages_of_the_guide_have_one_picture_and_900_words(check, style):
    words = "\n\n".join(["word"] * (style.PAGE_WORDS - 1))
    good = f"![text](certify.png)\n\n```python\n{words}\n```\n"
    assert check("docs/guide/certify.md", good) == []
    assert check("docs/guide/certify.md", good + words) == []
    assert "901 words" in check("docs/guide/certify.md", good + words + "\n\none")[0][1]
    assert "not certify.png" in check("docs/guide/certify.md", "No picture.")[0][1]
    assert "not certify.png" in check("docs/guide/certify.md", good + "![text](other.png)")[0][1]
    assert "not certify.png" in check("docs/guide/certify.md", good + "\n![text](certify.png)")[0][1]
    assert "not other.png" in check("docs/guide/other.md", good)[0][1]
    assert check("docs/guide/index.md", "No picture.") == []
    assert check("docs/index.md", words + words) == []


def test_all_texts_are_read(style):
    names = {path.relative_to(ROOT).as_posix() for path in style.files([ROOT / name for name in style.TEXTS])}
    assert {"README.md", "docs/guide/certify.md", "docs/benchmarks/index.md", "sklstm/noise.py"} <= names
    assert {"examples/quickstart.py", "examples/GALLERY_HEADER.rst", "sklstm/datasets/data/README.md"} <= names
    assert not [name for name in names if name.startswith(("docs/_build", "docs/api", "docs/gallery"))]


def test_exit_code_and_counts(style, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(style, "ROOT", tmp_path)
    monkeypatch.setattr(style.findings, "__defaults__", (tmp_path,))
    (tmp_path / "docs").mkdir()
    page = tmp_path / "docs" / "a.md"
    page.write_text("Seldom.", encoding="utf-8")
    assert style.main([str(page)]) == 1
    assert capsys.readouterr().out.splitlines() == [
        'docs/a.md:1: "Seldom" -> rarely: Seldom.',
        "    1 docs/a.md",
        "1 findings",
    ]
    page.write_text("Rarely.", encoding="utf-8")
    assert style.main([str(page)]) == 0
    assert capsys.readouterr().out == "0 findings\n"


def test_the_check_needs_the_standard_library_alone():
    tree = ast.parse((ROOT / "docs" / "style.py").read_text(encoding="utf-8"))
    names = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    names += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names
