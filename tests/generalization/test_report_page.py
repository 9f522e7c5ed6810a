"""The page: every number and every assumption of every bound is on it, as text and as HTML, and none is overstated."""

import math
from decimal import Decimal
from html.parser import HTMLParser

import numpy as np
import pytest
import torch

from sklstm.generalization import GeneralizationReport, occam_certificate, tu_bound
from sklstm.generalization._report_text import at_most
from tests.support.toy_bounds import Toy

# ----------------------------------------------------------------------------------------------------- text


def test_text_has_every_term_and_assumption(report):
    text = str(report)
    for bound in report.bounds:
        for term in bound.terms:
            assert term.name in text
            assert term.meaning in text
            assert getattr(bound, term.name) == term.value
        for sentence in bound.assumptions:
            assert f"- {sentence}" in text
    assert "says nothing about an error probability, which is at most 1 in any case" in text
    assert "bounds an error probability of the quantised predictor, with probability 0.95" in text
    assert "both bounds hold at once with probability 0.95 or more, since only occam can fail." in text
    assert "take it from the column together" in text
    best = at_most(report.tightest.value)
    assert f"the error probability of the quantised predictor is at most {best}" in text
    assert text.index("occam = ") < text.index("theorem_3 = ")


def test_table_is_aligned(report, holdout):
    header, rule, *rows = str(report.with_bound(holdout)).split("\n\n")[0].splitlines()
    assert header.split() == ["bound", "value", "together", "guess", "bounds", "about", "confidence", "informative"]
    assert len(rows) == 3
    starts = [i for i, char in enumerate(rule) if char == "-" and (i == 0 or rule[i - 1] == " ")]
    assert len(starts) == 8
    for row in (header, *rows):  # each column starts where its rule does, after a gap
        for i in starts:
            assert row[i] != " "
            assert i == 0 or row[i - 2 : i] == "  "
    columns = [[row[i:j].strip() for i, j in zip(starts, [*starts[1:], None], strict=True)] for row in rows]
    assert columns[0][0] == "occam"
    assert columns[-1] == [
        "theorem_3",
        at_most(report["theorem_3"].value),
        at_most(report.with_bound(holdout).simultaneous()["theorem_3"].value),
        f"{report['theorem_3'].guess:.4g}",
        "an error probability",
        "the trained predictor",
        "0.95",
        "no",
    ]


def test_informative_column_and_what_is_said_of_it():
    def page(*toys):
        return str(GeneralizationReport(toys))

    def column(text, n):
        return [line.split()[-1] for line in text.splitlines()[2 : 2 + n]]

    known = page(
        Toy("a", 0.1, guess=0.35), Toy("b", 0.4, guess=0.5), Toy("c", 0.01, guess=0.5), Toy("d", 0.2, guess=0.5)
    )
    assert column(known, 4) == ["yes", "alone", "no", "no"]
    assert "together 0.4383 (not informative), at δ = 0.0125" in known
    assert "b = 1.199: says nothing about a loss, which is at most 1 in any case" in known
    assert (
        "d = 0.5992: bounds a loss of the toy, with probability 0.95, no better than the best constant prediction"
        in known
    )
    assert "Tightest: c. With probability 0.95 or more, the loss of the toy is at most 0.04383; " in known
    assert "the best constant prediction loses 0.5 on these data." in known
    unknown = page(Toy("a", 0.1), Toy("b", 0.4))
    assert column(unknown, 2) == ["unknown", "no"]
    assert "Tightest: a." in unknown
    assert "prediction loses" not in unknown
    poor = page(Toy("a", 0.2, guess=0.5))
    assert (
        "The bound is not informative. With probability 0.95 or more, the loss of the toy is at most 0.5992; " in poor
    )
    assert GeneralizationReport([Toy("a", 0.2, guess=0.5)]).tightest is None
    assert "Together with the others no bound is informative." in page(Toy("a", 0.2, guess=0.5), Toy("b", 0.4))
    assert "Together with the others no bound says anything" in page(Toy("a", 0.3), Toy("b", 0.4))
    assert "The bound says nothing: it is not below the largest possible loss." in page(Toy("b", 0.4))


def test_different_deltas_are_said(theorem_3, occam, holdout):
    text = str(GeneralizationReport([occam, holdout.at_delta(0.0001)]))
    assert "since their δ, in proportion to their own, add up to 0.0501" in text
    assert "all 3 bounds" in str(GeneralizationReport([theorem_3, holdout, Toy("toy", 0.1)]))
    assert "1 - 0.0001" in text, "0.9999 would do, 1 would not"


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        (0.1, "0.1"),
        (0.12341, "0.1235"),
        (0.123400001, "0.1235"),
        (0.1234, "0.1234"),
        (999.91, "1000.0"),
        (1234.51, "1234.6"),
        (1e6, "1.000e+06"),
        (1.23401e20, "1.235e+20"),
        (3e-9, "3e-09"),
        (0.0, "0"),
        (math.inf, "inf"),
    ],
)
def test_bounds_are_printed_rounded_upwards(value, printed):
    assert at_most(value) == printed
    assert float(printed) >= value


@pytest.mark.parametrize(
    ("delta", "printed"),
    [
        (0.05, "0.95"),
        (0.0013377, "0.9986"),
        (0.05 / 3, "0.9833"),
        (0.9, "0.1"),
        (1e-3, "0.999"),
        (1e-9, "1 - 1e-09"),
        (1.2349e-4, "1 - 0.000124"),
    ],
)
def test_confidence_is_never_overstated(delta, printed):
    line = str(GeneralizationReport([Toy("toy", 0.01, delta=delta)])).splitlines()[2]
    assert line.split("the toy")[1].rsplit(None, 1)[0].strip() == printed
    low, _, small = printed.partition(" - ")
    assert Decimal(low) - Decimal(small or 0) <= 1 - Decimal(repr(delta))


def test_large_values_are_in_scientific_notation():
    X = np.ones((3, 1, 1))
    big = tu_bound([[1e9]], [[0.0]], [[1.0], [-1.0]], X, [0, 0, 0])
    assert "e+" in repr(GeneralizationReport([big]))
    infinite = tu_bound([[1.0]], [[1e3]], [[1.0], [-1.0]], np.ones((3, 1000, 1)), [0, 0, 0])
    text = str(GeneralizationReport([infinite]))
    assert "theorem_2 = inf: says nothing" in text
    assert "nan" not in text


def test_repr_is_short(report, theorem_3, occam):
    expected = f"occam={at_most(occam.value)}, theorem_3={at_most(theorem_3.value)}"
    assert repr(report) == f"GeneralizationReport({expected})"


def test_a_capped_loss_says_so():
    bound = occam_certificate({"w": torch.ones(2)}, lambda _: 1.0, 5, scale=8.0)
    text = str(GeneralizationReport([bound]))
    assert "says nothing about a mean loss capped at 8, which is at most 8 in any case" in text
    assert "M, cap of the loss" in text


# ----------------------------------------------------------------------------------------------------- HTML


class _Page(HTMLParser):
    """Text and structure of a page; complains about tags that do not nest."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.rows: list[list[str]] = []
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.tags.append(tag)
        self.attributes += attrs
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


def test_html_has_every_term_and_assumption(report, holdout):
    report = report.with_bound(holdout)
    page = _Page(report._repr_html_())
    for bound in report.bounds:
        for part in (bound.name, bound.about, bound.quantity, *bound.assumptions):
            assert part in page.text
        for term in bound.terms:
            assert term.name in page.text
            assert term.meaning in page.text
    assert page.tags.count("details") == 3
    table = [row for row in page.rows if len(row) == 8]
    assert table[0] == ["bound", "value", "together", "guess", "bounds", "about", "confidence", "informative"]
    assert [row[0] for row in table[1:]] == list(report)
    text = str(report)
    for row in table[1:]:
        assert "  ".join(row[:1]) in text
        assert all(cell in text for cell in row)
    assert "take it from the column together" in page.text


def test_html_stands_alone(report):
    page = _Page(report._repr_html_())
    assert not {"script", "link", "img", "iframe", "style"} & set(page.tags)
    assert not any(name in ("src", "href") or name.startswith("on") for name, _ in page.attributes)
    assert "color" not in " ".join(value or "" for _, value in page.attributes), "the notebook's own, light or dark"


def test_html_is_escaped():
    nasty = '<script>alert("1 & 2")</script>'
    toy = Toy(nasty, 0.01, quantity=nasty, about=nasty, assumptions=(nasty,))
    source = GeneralizationReport([toy])._repr_html_()
    assert "<script" not in source
    page = _Page(source)
    assert page.text.count(nasty) >= 5
    assert "script" not in page.tags
