"""The report as text and as HTML. An upper bound is printed rounded upwards, so that what is printed holds too."""

import math
from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from html import escape

from sklstm.generalization._terms import Bound

__all__ = ["at_most", "html", "text"]

# A bound as given, and the same at its share of the report's δ.
Row = tuple[Bound, Bound]

_HEADER = ("bound", "value", "together", "bounds", "about", "confidence", "vacuous")
_NUMERIC = ("value", "together", "confidence")

# A class and no colours: the table takes those of the notebook, light or dark.
_TABLE = '<table class="sklstm-report" style="border-collapse: collapse">'
_LEFT = ' style="text-align: left; padding: 0.2em 0.6em"'
_RIGHT = ' style="text-align: right; padding: 0.2em 0.6em; font-variant-numeric: tabular-nums"'


def summary(rows: Sequence[Row], delta: float) -> str:
    """The table, and what it means."""
    table = [_HEADER, *(_cells(row) for row in rows)]
    widths = [max(len(cells[i]) for cells in table) for i in range(len(_HEADER))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) for cells in table]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(line.rstrip() for line in [*lines, "", *_reading(rows, delta)])


def text(rows: Sequence[Row], delta: float) -> str:
    """The same, then every term and every assumption."""
    lines = [line for row in rows for line in ("", *_details(row))]
    return "\n".join([summary(rows, delta), *(line.rstrip() for line in lines)])


def html(rows: Sequence[Row], delta: float) -> str:
    """One table, with terms and assumptions folded away under each bound."""
    head = "".join(f'<th scope="col"{_align(name)}>{name}</th>' for name in _HEADER)
    body = "".join(_html_row(row) for row in rows)
    reading = "".join(f"<p>{escape(sentence)}</p>" for sentence in _reading(rows, delta))
    return f"<div>{_TABLE}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{reading}</div>"


def at_most(value: float) -> str:
    """Four digits, the last one rounded upwards."""
    if not math.isfinite(value):
        return number(value)
    exact = Decimal(repr(float(value)))
    if 1000 <= abs(exact) < 1_000_000:
        return number(float(exact.quantize(Decimal("0.1"), rounding=ROUND_CEILING)))
    return number(float(Context(prec=4, rounding=ROUND_CEILING).plus(exact)))


def number(value: float) -> str:
    """Four digits, rounded to nearest; integers in full."""
    if isinstance(value, int):
        return str(value)
    if math.isfinite(value) and abs(value) >= 1e6:
        return f"{value:.3e}"
    return f"{value:.4g}" if abs(value) < 1000 else f"{value:.1f}"


def _confidence(delta: float) -> str:
    """1 − δ, rounded downwards; a small δ as it is, since four digits of 1 − δ would read as certainty."""
    if delta < 1e-3:
        return f"1 - {float(Context(prec=3, rounding=ROUND_CEILING).plus(Decimal(repr(float(delta)))))}"
    return str(float(Context(prec=4, rounding=ROUND_FLOOR).subtract(Decimal(1), Decimal(repr(delta)))))


def _cells(row: Row) -> tuple[str, ...]:
    bound, share = row
    vacuous = "yes" if bound.vacuous else "together" if share.vacuous else "no"
    return (
        bound.name,
        at_most(bound.value),
        at_most(share.value),
        bound.quantity,
        bound.about,
        _confidence(bound.delta),
        vacuous,
    )


def _reading(rows: Sequence[Row], delta: float) -> list[str]:
    """What the columns claim, and which bound to take, in sentences."""
    confidence = _confidence(delta)
    sentences = []
    if len(rows) > 1:
        deltas = {bound.delta for bound, _ in rows}
        shares = f"{number(rows[0][1].delta)} each" if len(deltas) == 1 else "in proportion to their own"
        sentences += [
            "value: each bound holds with the confidence of its row, if it is the only one that is read.",
            f"together: {'both' if len(rows) == 2 else f'all {len(rows)}'} bounds hold at once with probability "
            f"{confidence} or more, since their δ, {shares}, add up to {number(delta)}.",
            "Whoever looks at several bounds and takes the smallest must take it from the column together.",
            "Either way a bound stands or falls with its own assumptions, listed below it.",
        ]
    tightest = next((share for _, share in rows if not share.vacuous), None)
    if tightest is not None:
        verdict = (
            f"Tightest: {tightest.name}. With probability {confidence} or more, {_the(tightest.quantity)} of "
            f"{tightest.about} is at most {at_most(tightest.value)}."
        )
    elif len(rows) == 1:
        verdict = "The bound is vacuous: it says nothing."
    else:
        verdict = "Every bound is vacuous together with the others: none of them says anything."
    return [*sentences, verdict]


def _the(quantity: str) -> str:
    """The definite article in place of the indefinite one."""
    article, _, noun = quantity.partition(" ")
    return f"the {noun}" if article in ("a", "an") else quantity


def _verdict(row: Row) -> str:
    """What the bound says alone, and at the report's share of δ where that is another."""
    bound, share = row
    says = f"{bound.name} = {at_most(bound.value)}: "
    if bound.vacuous:
        says += f"vacuous (≥ {number(bound.ceiling)}: says nothing about {bound.quantity})"
    else:
        says += f"bounds {bound.quantity} of {bound.about}, with probability {_confidence(bound.delta)}"
    if share is bound:
        return says
    vacuous = " (vacuous)" if share.vacuous and not bound.vacuous else ""
    return f"{says}; together {at_most(share.value)}{vacuous}, at δ = {number(share.delta)}"


def _details(row: Row) -> list[str]:
    bound, _ = row
    terms = bound.terms
    name_width = max((len(term.name) for term in terms), default=0)
    value_width = max((len(number(term.value)) for term in terms), default=0)
    return [
        _verdict(row),
        *(
            f"  {term.name.ljust(name_width)}  {number(term.value).rjust(value_width)}  {term.meaning}"
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
        f"<tr><td{_LEFT}><code>{escape(term.name)}</code></td><td{_RIGHT}>{escape(number(term.value))}</td>"
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
