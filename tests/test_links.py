"""The checker of links finds what is broken and lets pass what is not."""

import importlib.util
from pathlib import Path

import pytest

pytest.importorskip("bs4")
pytest.importorskip("mdit_py_plugins")
ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def checker():
    spec = importlib.util.spec_from_file_location("check_links", ROOT / "docs" / "check_links.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def site(tmp_path):
    (tmp_path / "a.html").write_text(
        '<h1 id="top">A</h1><a href="b.html#part">b</a><a href="#top">up</a><img src="c.png">'
    )
    (tmp_path / "b.html").write_text('<h2 id="part">B</h2><a href="https://example.org/x">x</a><a href="a.html">a</a>')
    (tmp_path / "c.png").write_bytes(b"")
    (tmp_path / "notes.md").write_text("# Some notes\n\n[a](a.html) [here](#some-notes) [there](notes.md#some-notes)\n")
    return tmp_path


def test_whole_links_pass(checker, site, capsys):
    assert checker.main([str(site), str(site / "notes.md")]) == 0
    assert "3 pages" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("file", "old", "new", "fault"),
    [
        ("a.html", "b.html#part", "d.html", "d.html: no such file"),
        ("a.html", "b.html#part", "b.html#parts", "b.html#parts: no such anchor"),
        ("a.html", "#top", "#bottom", "#bottom: no such anchor"),
        ("a.html", "c.png", "d.png", "d.png: no such file"),
        ("a.html", 'src="c.png"', 'src="https://example.org/c.png"', "is fetched when"),
        ("notes.md", "(#some-notes)", "(#other-notes)", "#other-notes: no such anchor"),
        ("notes.md", "a.html", "z.md", "z.md: no such file"),
    ],
)
def test_broken_links_are_found(checker, site, capsys, file, old, new, fault):
    path = site / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    checker.parsed.cache_clear(), checker.anchors.cache_clear()
    assert checker.main([str(site), str(site / "notes.md")]) == 1
    assert fault in capsys.readouterr().out


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_the_pages_at_the_top(checker, name):
    # `make docs` follows the links of the site; these need no build.
    assert list(checker.broken(ROOT / name)) == []
