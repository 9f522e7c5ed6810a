"""Follow the links of the finished site and of the Markdown files at the top, to files and anchors; no network.

    python docs/check_links.py docs/_build/html README.md CONTRIBUTING.md CHANGELOG.md

Sphinx checks the links that it resolves itself; this also sees those of the theme, the gallery and plain Markdown.
Addresses elsewhere are left alone, unless a page fetches from them. Of the tools for this, LinkChecker changes its user
when it is run as root, and then may not read the files; pytest-check-links keeps pytest below 9.
"""

import sys
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup
from markdown_it import MarkdownIt
from mdit_py_plugins.anchors import anchors_plugin

ATTRIBUTES = {"a": "href", "link": "href", "img": "src", "script": "src", "source": "src", "iframe": "src"}


@cache
def parsed(path):
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        text = MarkdownIt("gfm-like", {"linkify": False}).use(anchors_plugin, max_level=6).render(text)
    return BeautifulSoup(text, "html.parser")


@cache
def anchors(path):
    """Everything in a page that a link can point at."""
    named = {tag["name"] for tag in parsed(path).find_all("a", attrs={"name": True})}
    return named | {tag["id"] for tag in parsed(path).find_all(id=True)}


def links(path):
    for tag, attribute in ATTRIBUTES.items():
        for found in parsed(path).find_all(tag, attrs={attribute: True}):
            yield found[attribute]


def fetched_by(path):
    """Scripts, styles and pictures that the page shows by itself, and where it takes them from."""
    tags = parsed(path).find_all(["script", "img", "iframe", "source"], src=True)
    styles = parsed(path).find_all("link", rel="stylesheet", href=True)
    found = [tag["src"] for tag in tags] + [tag["href"] for tag in styles]
    return {link for link in found if not link.startswith("data:")}


def broken(path):
    """What is wrong with the links of a page, a line each."""
    fetched = fetched_by(path)
    for link in dict.fromkeys(links(path)):
        parts = urlsplit(link)
        if parts.scheme or parts.netloc or link == "#":
            if link in fetched:
                yield f"{path}: {link}: is fetched when the page is looked at"
            continue
        target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        if target.is_dir() and path.suffix == ".html":
            target = target / "index.html"
        if not target.exists():
            yield f"{path}: {link}: no such file"
        elif parts.fragment and target.suffix in (".html", ".md") and unquote(parts.fragment) not in anchors(target):
            yield f"{path}: {link}: no such anchor"


def main(arguments):
    pages = []
    for path in map(Path, arguments):
        # What lies in _static are parts of pages.
        pages += sorted(p for p in path.rglob("*.html") if "_static" not in p.parts) if path.is_dir() else [path]
    if not pages:
        sys.exit("no pages to check")
    faults = [fault for page in pages for fault in broken(page.resolve())]
    print("\n".join(faults) or f"{len(pages)} pages: every link within them leads somewhere")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
