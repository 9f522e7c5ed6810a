"""Sentences that quote a measured number say what is recorded, and no number of README.md is without a source."""

import re

import _records
import pytest
import quoted
from quoted import QUOTES, ROOT, Quote, corrected, differences, pattern

# Digits that look measured: decimals, thousands, and whole numbers of something that is measured.
UNITS = "%|per cent|µs|ms|s|seconds?|minutes?|hours?|kB|KiB|MB|GB|GiB|times|fold|bits|windows|reviews|images|networks"
NUMBER = re.compile(rf"\d[\d,]*\.\d+(?:e[+-]?\d+)?|\d{{1,3}}(?:,\d{{3}})+|\b\d+(?=\s*(?:{UNITS})(?!\w))")
WORDS = re.compile(rf"\b(?:two|three|five|ten|hundreds?|thousands?)(?=\s+(?:{UNITS})(?!\w))")
RANGE = re.compile(r"\d[\d.,]*(?=\s+(?:to|and)\s+\d)")

# What looks measured in README.md and is not, with the reason.
NOT_MEASURED = {
    "Python ≥ 3.11": "a requirement, as in pyproject.toml",
    "`lambda_s` from 0.0003 to 0.1 in steps": "a grid to try",
    "near the noise you expect: 0.1 to 1 on": "a range to try",
    "for `eps` up to 0.01": "the sizes that the quote is about",
    "Theorems 2 and 3 never give": "numbers of theorems",
}


def blanked(text):
    """The text with code, addresses of links and generated blocks blanked out, everything else in its place."""
    for part in (
        r"<!-- (\w+) -->.*?<!-- \1 -->",  # a table that a script writes, and its own test compares
        r"```.*?```",
        r"(?m)^    [^\n]*$",
        r"`[^`\n]*`",
        r"\]\([^)]*\)",
    ):
        text = re.sub(part, lambda found: re.sub(r"\S", " ", found[0]), text, flags=re.DOTALL)
    return text


def without_source(text, quotes, exceptions):
    """Numbers, with the words around them, that no quote has as a field and no exception allows."""
    allowed = []
    for quote in quotes:
        for place in pattern(quote.sentence).finditer(text):
            allowed += [place.span(name) for name in place.groupdict()]
    for exception in exceptions:
        start = text.find(exception)
        allowed += [(start, start + len(exception))] * (start >= 0)
    prose = blanked(text)
    for found in (place for kind in (NUMBER, WORDS, RANGE) for place in kind.finditer(prose)):
        number = found[0].rstrip(".,")
        if not any(start <= found.start() and found.start() + len(number) <= end for start, end in allowed):
            yield " ".join(text[max(0, found.start() - 40) : found.end() + 20].split())


@pytest.mark.parametrize("quote", QUOTES, ids=lambda quote: quote.sentence[:40])
def test_what_is_quoted_is_what_is_recorded(quote):
    assert not list(differences([quote]))


def test_no_number_of_the_readme_is_without_a_source():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert not list(without_source(text, [q for q in QUOTES if q.page == "README.md"], NOT_MEASURED))
    assert all(text.count(exception) == 1 for exception in NOT_MEASURED), "an exception that nothing needs any more"


@pytest.mark.parametrize(
    "planted",
    [
        "It takes 1.5 s.",
        "It takes 20 % longer.",
        "In 30 minutes.",
        "About 40 times as fast.",
        "From 4 to 35 of them.",
        "Of 12,345 sequences.",
        "It needs 80 MB.",
        "A thousand times faster.",
    ],
)
def test_a_planted_number_is_found(planted):
    text = (ROOT / "README.md").read_text(encoding="utf-8") + "\n" + planted
    assert list(without_source(text, QUOTES, NOT_MEASURED))


def test_code_and_links_are_not_searched():
    text = "`lr=0.003` in\n\n```\nx = 1.5\n```\n\n    make in 20 minutes\n\n[this](page-1.5.md), Theorem 2, 12 channels"
    assert not list(without_source(text, (), ()))


@pytest.fixture
def page(tmp_path):
    text = "Before 7. It takes 3 to\n  12 % longer (on 2 machines). After 7.\n"
    (tmp_path / "page.md").write_text(text, encoding="utf-8")
    return Quote("page.md", "It takes {low} to {high} % longer", lambda: {"low": "4", "high": "1,020"})


def test_only_the_fields_are_rewritten(page, tmp_path, monkeypatch):
    path = tmp_path / "page.md"
    assert [line.split(" (")[0] for line in differences([page], tmp_path)] == [
        "page.md: 3 should be 4",
        "page.md: 12 should be 1,020",
    ]
    path.write_text(corrected(page, path.read_text(encoding="utf-8")), encoding="utf-8")
    expected = "Before 7. It takes 4 to\n  1,020 % longer (on 2 machines). After 7.\n"
    assert path.read_text(encoding="utf-8") == expected
    assert not list(differences([page], tmp_path))


@pytest.mark.parametrize(("text", "number"), [("It takes long.", 0), ("It takes 3 to 4 % longer. " * 2, 2)])
def test_a_sentence_must_stand_there_once(page, text, number):
    with pytest.raises(ValueError, match=rf"page.md: {number} places instead of one"):
        corrected(page, text)


def test_a_field_needs_text_around_it():
    with pytest.raises(ValueError, match="text is needed"):
        pattern("It takes {seconds}")


def test_a_sentence_that_is_no_longer_true_is_an_error(monkeypatch):
    record = {"ratio": 0.98, "sizes": {}}
    monkeypatch.setattr(quoted, "current", lambda name: [record])
    with pytest.raises(ValueError, match="not true any more: a fit with the penalty takes longer"):
        quoted.penalty_cost()
    monkeypatch.setattr(quoted, "latest", lambda name: [wide(record) for record in _records.latest(name)])
    with pytest.raises(ValueError, match="within a few per cent where the penalty bites"):
        quoted.tightness()


def wide(record):
    """The same certificates, a fifth wider."""
    return record | {"0.001": {name: 1.2 * value for name, value in record["0.001"].items()}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (quoted.at_most(0.3127, 3), "0.313"),
        (quoted.at_most(0.313, 3), "0.313"),
        (quoted.at_most(0.84, 2), "0.84"),
        (quoted.significant(6268), "6,000"),
        (quoted.significant(34.5, 2), "34"),
        (quoted.significant(3.78), "4"),
    ],
)
def test_how_numbers_are_written(text, expected):
    assert text == expected
