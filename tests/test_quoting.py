"""Sentences that quote measured numbers: only the numbers are rewritten, and numbers without a source are found."""

from dataclasses import replace

import pytest

from tests.support.quoting import (
    Quote,
    at_most,
    corrected,
    differences,
    pattern,
    positive,
    significant,
    without_source,
)


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
    assert list(without_source(f"A sentence without numbers. {planted}", (), ()))


def test_quotes_and_exceptions_are_sources():
    text = "It takes 3 to 12 % longer. Over 40 times. At 30 minutes."
    quote = Quote("page.md", "It takes {low} to {high} % longer.", dict)
    (found,) = without_source(text, [quote], ["At 30 minutes"])
    assert "40" in found


def test_code_and_links_are_not_searched():
    text = "`lr=0.003` in\n\n```\nx = 1.5\n```\n\n    make in 20 minutes\n\n[this](page-1.5.md), Theorem 2, 12 channels"
    assert not list(without_source(text, (), ()))


@pytest.fixture
def page(tmp_path):
    text = "Before 7. It takes 3 to\n  12 % longer (on 2 machines). After 7.\n"
    (tmp_path / "page.md").write_text(text, encoding="utf-8")
    return Quote("page.md", "It takes {low} to {high} % longer", lambda: {"low": "4", "high": "1,020"})


def test_only_the_fields_are_rewritten(page, tmp_path):
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
    with pytest.raises(ValueError, match=rf"page.md: {number} places instead of 1"):
        corrected(page, text)


def test_a_sentence_may_stand_there_twice(page):
    text = corrected(replace(page, times=2), "It takes 3 to 4 % longer. It takes 5 to\n6 % longer.")
    assert text == "It takes 4 to 1,020 % longer. It takes 4 to\n1,020 % longer."


def test_a_field_needs_text_around_it():
    with pytest.raises(ValueError, match="text is needed"):
        pattern("It takes {seconds}")


def test_a_sentence_that_is_no_longer_true_is_an_error():
    assert positive(0.1, "it takes longer") == 0.1
    with pytest.raises(ValueError, match="not true any more: it takes longer"):
        positive(-2.0, "it takes longer")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (at_most(0.3127, 3), "0.313"),
        (at_most(0.313, 3), "0.313"),
        (at_most(0.84, 2), "0.84"),
        (significant(6268), "6,000"),
        (significant(34.5, 2), "34"),
        (significant(3.78), "4"),
    ],
)
def test_how_numbers_are_written(text, expected):
    assert text == expected
