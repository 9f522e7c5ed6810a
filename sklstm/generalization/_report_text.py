"""A generalisation report as text and as HTML."""

import math
from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from html import escape
from typing import cast

from ._bound import Bound, is_informative, may_inform

_HEADER = ("bound", "value", "together", "guess", "bounds", "about", "confidence", "informative")
_NUMERIC = ("value", "together", "guess", "confidence")
# A class and no colours: the notebook's own colours apply, light or dark.
_TABLE = '<table class="sklstm-report" style="border-collapse: collapse">'
_LEFT = ' style="text-align: left; padding: 0.2em 0.6em"'
_RIGHT = ' style="text-align: right; padding: 0.2em 0.6em; font-variant-numeric: tabular-nums"'

# A given bound, and the same bound at its share of the report's δ.
Row = tuple[Bound, Bound]


def summary(rows: Sequence[Row], delta: float) -> str:
    """The table and what it means."""
    table = [_HEADER, *(_cells(row) for row in rows)]
    widths = [max(len(cells[i]) for cells in table) for i in range(len(_HEADER))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) for cells in table]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(line.rstrip() for line in [*lines, "", *_reading(rows, delta)])


def text(rows: Sequence[Row], delta: float) -> str:
    """The table and what it means, then all terms and assumptions."""
    lines = [line for row in rows for line in ("", *_details(row))]
    return "\n".join([summary(rows, delta), *(line.rstrip() for line in lines)])


def html(rows: Sequence[Row], delta: float) -> str:
    """One table, with terms and assumptions to unfold under each bound."""
    head = "".join(f'<th scope="col"{_align(name)}>{name}</th>' for name in _HEADER)
    body = "".join(_html_row(row) for row in rows)
    reading = "".join(f"<p>{escape(sentence)}</p>" for sentence in _reading(rows, delta))
    return f"<div>{_TABLE}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{reading}</div>"


def at_most(value: float) -> str:
    """Four digits, rounded up, so that a printed upper bound still holds."""
    if not math.isfinite(value):
        return _number(value)
    exact = Decimal(repr(float(value)))
    if 1000 <= abs(exact) < 1_000_000:
        return _number(float(exact.quantize(Decimal("0.1"), rounding=ROUND_CEILING)))
    return _number(float(Context(prec=4, rounding=ROUND_CEILING).plus(exact)))


def _number(value: float) -> str:
    """Four digits, rounded to nearest; integers in full."""
    if isinstance(value, int):
        return str(value)
    if math.isfinite(value) and abs(value) >= 1e6:
        return f"{value:.3e}"
    return f"{value:.4g}" if abs(value) < 1000 else f"{value:.1f}"


def _confidence(delta: float) -> str:
    """1 − δ, rounded down; for a small δ as a difference, since four digits of 1 − δ would be 1.0."""
    if delta < 1e-3:
        return f"1 - {float(Context(prec=3, rounding=ROUND_CEILING).plus(Decimal(repr(float(delta)))))}"
    return str(float(Context(prec=4, rounding=ROUND_FLOOR).subtract(Decimal(1), Decimal(repr(delta)))))


def _cells(row: Row) -> tuple[str, ...]:
    bound, share = row
    informative = "no"
    if bound.guess is None and not bound.vacuous:
        informative = "unknown"
    elif is_informative(bound):
        informative = "yes" if is_informative(share) else "alone"
    return (
        bound.name,
        at_most(bound.value),
        at_most(share.value),
        "–" if bound.guess is None else _number(bound.guess),
        bound.quantity,
        bound.about,
        _confidence(bound.delta),
        informative,
    )


def _reading(rows: Sequence[Row], delta: float) -> list[str]:
    """Sentences: the meaning of the columns, and which bound to use."""
    confidence = _confidence(delta)
    sentences = []
    if len(rows) > 1:
        sentences += [
            "value: each bound holds with the confidence of its row, if you use this bound only.",
            f"together: {'both' if len(rows) == 2 else f'all {len(rows)}'} bounds hold at once with probability "
            f"{confidence} or more, since {_sharing(rows, delta)}.",
            "If you compare several bounds and use the smallest, take it from the column together.",
            "Each bound needs its own assumptions, which are listed below it.",
        ]
    if any(bound.guess is not None for bound, _ in rows):
        sentences.append(
            "guess: loss of the best constant prediction on the data of the bound. A bound is informative only if it "
            "is below."
        )
    tightest = next((share for _, share in rows if may_inform(share)), None)
    smallest = next((share for _, share in rows if not share.vacuous), None)
    if tightest is not None:
        verdict = f"Tightest: {tightest.name}. {_claim(tightest, confidence)}{_beside(tightest)}."
    elif smallest is not None:
        which = "The bound is not" if len(rows) == 1 else "Together with the others no bound is"
        verdict = f"{which} informative. {_claim(smallest, confidence)}{_beside(smallest)}."
    else:
        verdict = "The bound says nothing" if len(rows) == 1 else "Together with the others no bound says anything"
        verdict += ": it is not below the largest possible loss."
    return [*sentences, verdict]


def _sharing(rows: Sequence[Row], delta: float) -> str:
    """The reason why all bounds hold at once, after the word "since"."""
    fallible = [row for row in rows if row[0].can_fail]
    if not fallible:
        return "none of them can fail"
    if len(fallible) == 1:
        return f"only {fallible[0][0].name} can fail"
    shares = "in proportion to their own"
    if len({bound.delta for bound, _ in fallible}) == 1:
        shares = f"{_number(fallible[0][1].delta)} each"
    those = "their δ" if len(fallible) == len(rows) else "the δ of those that can fail"
    return f"{those}, {shares}, add up to {_number(delta)}"


def _claim(bound: Bound, confidence: str) -> str:
    return (
        f"With probability {confidence} or more, {_the(bound.quantity)} of {bound.about} is at most "
        f"{at_most(bound.value)}"
    )


def _beside(bound: Bound) -> str:
    """The guess of a bound, as the end of a sentence."""
    return "" if bound.guess is None else f"; the best constant prediction loses {_number(bound.guess)} on these data"


def _the(quantity: str) -> str:
    """The quantity with "the" instead of "a" or "an"."""
    article, _, noun = quantity.partition(" ")
    return f"the {noun}" if article in ("a", "an") else quantity


def _verdict(row: Row) -> str:
    """What the bound says alone, and at its share of the report's δ if that is another δ."""
    bound, share = row
    says = f"{bound.name} = {at_most(bound.value)}: "
    if bound.vacuous:
        says += f"says nothing about {bound.quantity}, which is at most {_number(bound.ceiling)} in any case"
    else:
        says += f"bounds {bound.quantity} of {bound.about}, with probability {_confidence(bound.delta)}"
        if not may_inform(bound):
            says += f", no better than the best constant prediction, which loses {_number(cast(float, bound.guess))}"
    if share is bound:
        return says
    lost = " (not informative)" if is_informative(bound) and not is_informative(share) else ""
    return f"{says}; together {at_most(share.value)}{lost}, at δ = {_number(share.delta)}"


def _details(row: Row) -> list[str]:
    bound, _ = row
    terms = bound.terms
    name_width = max((len(term.name) for term in terms), default=0)
    value_width = max((len(_number(term.value)) for term in terms), default=0)
    return [
        _verdict(row),
        *(
            f"  {term.name.ljust(name_width)}  {_number(term.value).rjust(value_width)}  {term.meaning}"
            for term in terms
        ),
        "  It assumes:",
        *(f"  - {sentence}" for sentence in bound.assumptions),
    ]


def _html_row(row: Row) -> str:
    bound, _ = row
    name, *rest = _cells(row)
    cells = "".join(f"<td{_align(column)}>{escape(cell)}</td>" for column, cell in zip(_HEADER[1:], rest, strict=True))
    terms = "".join(
        f"<tr><td{_LEFT}><code>{escape(term.name)}</code></td><td{_RIGHT}>{escape(_number(term.value))}</td>"
        f"<td{_LEFT}>{escape(term.meaning)}</td></tr>"
        for term in bound.terms
    )
    assumptions = "".join(f"<li>{escape(sentence)}</li>" for sentence in bound.assumptions)
    return (
        f'<tr><th scope="row"{_LEFT}>{escape(name)}</th>{cells}</tr>'
        f'<tr><td colspan="{len(_HEADER)}"{_LEFT}><details><summary>{escape(name)}: terms and assumptions</summary>'
        f"<p>{escape(_verdict(row))}</p><table>{terms}</table><p>It assumes:</p><ul>{assumptions}</ul>"
        "</details></td></tr>"
    )


def _align(column: str) -> str:
    return _RIGHT if column in _NUMERIC else _LEFT
