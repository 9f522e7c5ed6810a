"""The bounds of one fitted estimator on one page: as a mapping, a table, text or HTML."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from html import escape
from typing import Any, ClassVar, NamedTuple, Protocol, Self, cast

import numpy as np

from sklstm.generalization._theorem_inputs import check_delta

#: The first assumption of every bound from training data; a hold-out bound has its own.
INDEPENDENCE = "The samples are independent draws from one distribution; overlapping windows of one series are not."
#: Another assumption of every bound from training data.
UNPAID = (
    "No earlier choice used these samples: no scaling of inputs or targets, no hidden_size, rank or other setting "
    "from a search. The bound does not account for such choices."
)

#: Replaces the last one for a bound whose code holds the scales.
UNPAID_BUT_SCALES = (
    "No other earlier choice used these samples: no scaling of targets, no hidden_size, rank or other setting from a "
    "search. The bound does not account for such choices."
)

_OFFERS = (
    "name", "value", "delta", "can_fail", "vacuous", "ceiling", "guess", "quantity", "about", "assumptions", "terms",
    "at_delta",
)  # fmt: skip
_LEFT_OUT = object()
_HEADER = ("bound", "value", "together", "guess", "bounds", "about", "confidence", "informative")
_NUMERIC = ("value", "together", "guess", "confidence")
# A class and no colours: the notebook's own colours apply, light or dark.
_TABLE = '<table class="sklstm-report" style="border-collapse: collapse">'
_LEFT = ' style="text-align: left; padding: 0.2em 0.6em"'
_RIGHT = ' style="text-align: right; padding: 0.2em 0.6em; font-variant-numeric: tabular-nums"'


class Term(NamedTuple):
    """A number of a bound: the field that holds it, its value, and its meaning in words."""

    name: str
    value: float
    meaning: str


class Bound(Protocol):
    """What :class:`GeneralizationReport` needs of a bound; the bounds of this package are frozen dataclasses.

    Examples
    --------
    Any object with these attributes can be in a report, next to the package's own bounds. This one has no term that
    depends on δ:

    >>> from sklstm.generalization import GeneralizationReport, holdout_bound
    >>> class Audit:
    ...     name, about, quantity = "audit", "the trained predictor", "an error probability"
    ...     value, delta, can_fail, ceiling, vacuous, guess = 0.25, 0.01, True, 1.0, False, 0.5
    ...     assumptions, terms = ("The auditor is right.",), ()
    ...
    ...     def at_delta(self, delta):
    ...         return self
    >>> Audit().at_delta(0.005).value
    0.25
    >>> list(GeneralizationReport([Audit(), holdout_bound([0] * 100)]))
    ['holdout', 'audit']
    """

    @property
    def name(self) -> str:
        """Key in a report."""
        ...

    @property
    def value(self) -> float:
        """The bound, in units of the loss."""
        ...

    @property
    def delta(self) -> float:
        """The bound holds with probability at least ``1 - delta``."""
        ...

    @property
    def can_fail(self) -> bool:
        """False if the formula gives `ceiling` or more for every network and sample: it then takes no share of a δ."""
        ...

    @property
    def vacuous(self) -> bool:
        """Whether the bound says nothing, since it is `ceiling` or more."""
        ...

    @property
    def ceiling(self) -> float:
        """Largest possible value of the bounded quantity."""
        ...

    @property
    def guess(self) -> float | None:
        """Loss of the best constant prediction for the data of the bound, in its units; None if unknown."""
        ...

    @property
    def quantity(self) -> str:
        """The bounded quantity, in words."""
        ...

    @property
    def about(self) -> str:
        """The predictor that the bound is about."""
        ...

    @property
    def assumptions(self) -> tuple[str, ...]:
        """Conditions under which the bound holds."""
        ...

    @property
    def terms(self) -> tuple[Term, ...]:
        """The numbers in the bound."""
        ...

    def at_delta(self, delta: float) -> Self:
        """The same bound, from the same data, at another failure probability.

        Parameters
        ----------
        delta : float
            In (0, 1).

        Returns
        -------
        bound of the same type
        """
        ...


class _Guessed(Protocol):
    """A bound that can be compared with a guess."""

    @property
    def value(self) -> float: ...

    @property
    def ceiling(self) -> float: ...

    @property
    def guess(self) -> float | None: ...


def is_informative(bound: _Guessed) -> bool:
    """Whether a bound is below its guess, and below the largest loss."""
    return bound.guess is not None and bound.value < min(bound.guess, bound.ceiling)


class LossBound:
    """What bounds on a mean loss in [0, ceiling] share; a base of data classes."""

    can_fail: ClassVar[bool] = True

    value: float
    zero_one: bool
    loss: str
    guess: float | None

    @property
    def ceiling(self) -> float:
        """The value from which on the bound says nothing."""
        raise NotImplementedError

    @property
    def informative(self) -> bool:
        """Whether the bound is below `guess`."""
        return is_informative(self)

    @property
    def quantity(self) -> str:
        """The bounded quantity."""
        return "an error probability" if self.zero_one else f"a mean {self.loss or 'loss'} capped at {self.ceiling:g}"


def _says_something(bound: Bound) -> bool:
    """Whether a bound is informative, or may be, if the guess is unknown."""
    return not bound.vacuous and (bound.guess is None or is_informative(bound))


class GeneralizationReport(Mapping[str, Bound]):
    r"""Generalisation bounds of one estimator, tightest first; ``print`` shows a table, the terms and the assumptions.

    It is a mapping from the name of a bound (``"theorem_3"``, ``"occam"``, ``"holdout"``) to the bound. The fields of
    the first given bound, the estimator's main one, are also fields of the report: ``report.margin_loss``.

    Each bound holds with probability 1 − its own δ. If you choose the smallest of J bounds, you rely on all of them.
    The probability that one of them fails is up to the sum of their δ. The report therefore has its own δ. It divides
    it among the bounds in proportion to theirs: δ/J each if they are equal. The column "together" has the bounds at
    these shares. By the union bound, they hold at once with probability at least 1 − δ, for any dependence between
    them. Theorems 2 and 3 are never below 1, so that they cannot fail. They take no share.

    Parameters
    ----------
    bounds : sequence of Bound
        At least one bound, all with different names: the bounds of this package, or others with the attributes of
        `Bound`.
    delta : float, optional
        The column "together" holds with probability at least ``1 - delta``. By default the δ of the bounds if all have
        the same one. Otherwise it is the sum of their δ, and "together" is equal to each bound.

    Attributes
    ----------
    bounds : tuple of Bound
        The given bounds, each with its own δ; tightest first.
    delta : float
        The column "together" holds with probability at least ``1 - delta``.

    Raises
    ------
    ValueError
        If there is no bound, two have the same name, or a value is NaN. If `delta` is out of range. If it is not given
        and the sum of the δ of bounds that can fail is 1 or more.
    TypeError
        If one of `bounds` lacks an attribute that the report reads, for instance ``at_delta``.

    Notes
    -----
    Tightness is the value in "together" divided by the bound's ceiling, from which on it says nothing. So bounds on
    losses with different caps can be ordered. Bounds of equal tightness keep their given order; infinite ones come
    last.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm.generalization import GeneralizationReport, holdout_bound
    >>> errors = np.r_[np.ones(30), np.zeros(270)]
    >>> a = holdout_bound(errors, name="a")
    >>> b = holdout_bound(errors[::3], name="b")
    >>> report = GeneralizationReport([b, a])
    >>> list(report)
    ['a', 'b']
    >>> report.simultaneous()["b"] == b.at_delta(0.025)
    True
    """

    def __init__(self, bounds: Sequence[Bound], *, delta: float | None = None) -> None:
        given = tuple(bounds)
        _check_bounds(given)
        self._given = given
        self._given_delta = None if delta is None else float(delta)
        self._delta = _shared_delta(given) if delta is None else float(delta)
        together = _together(given, self._delta)
        # sorted() is stable: equally tight bounds keep their order.
        order = sorted(range(len(given)), key=lambda i: _tightness(together[i]))
        self._bounds = tuple(given[i] for i in order)
        self._together = tuple(together[i] for i in order)

    @property
    def bounds(self) -> tuple[Bound, ...]:
        """The bounds, each with its own δ; tightest first."""
        return self._bounds

    @property
    def delta(self) -> float:
        """Largest probability that not all bounds of the column "together" hold."""
        return self._delta

    @property
    def tightest(self) -> Bound | None:
        """The tightest bound of the column "together" that is below its guess; None if there is none."""
        return next((bound for bound in self._together if _says_something(bound)), None)

    def simultaneous(self) -> Self:
        """The column "together" as a report: all its bounds hold at once with probability 1 − `delta`.

        Returns
        -------
        GeneralizationReport
            A report with the same `delta`. Each value is equal to its "together".
        """
        shares = {bound.name: bound for bound in self._together}
        return type(self)([shares[bound.name] for bound in self._given], delta=self._delta)

    def with_bound(self, *bounds: Bound) -> Self:
        """A new report that also has `bounds`; this one does not change.

        Parameters
        ----------
        *bounds : Bound
            Bounds with names that are not yet in the report.

        Returns
        -------
        GeneralizationReport
            A report with the `delta` that was passed to this report. If none was passed, it has the default for all the
            bounds.

        Raises
        ------
        ValueError, TypeError
            As in the class.

        Examples
        --------
        >>> from sklstm.generalization import GeneralizationReport, holdout_bound
        >>> report = GeneralizationReport([holdout_bound([0] * 100, name="first")])
        >>> list(report.with_bound(holdout_bound([0] * 200, name="second"))), list(report)
        (['second', 'first'], ['first'])
        """
        return type(self)((*self._given, *bounds), delta=self._given_delta)

    def __getitem__(self, name: str) -> Bound:
        for bound in self._bounds:
            if bound.name == name:
                return bound
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return (bound.name for bound in self._bounds)

    def __len__(self) -> int:
        return len(self._bounds)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, GeneralizationReport):
            return self._given == other._given and self._delta == other._delta
        return Mapping.__eq__(self, other)

    __hash__ = None  # type: ignore[assignment]

    def __getattr__(self, attribute: str) -> Any:
        # pickle and copy ask for special names before _given exists. These names must not recurse.
        if attribute.startswith("_"):
            raise AttributeError(attribute)
        try:
            return getattr(self._given[0], attribute)
        except AttributeError:
            raise AttributeError(
                f"neither the report nor its first bound, {self._given[0].name}, has {attribute!r}"
            ) from None

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *(name for name in dir(self._given[0]) if not name.startswith("_"))})

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Plain Python numbers, strings and lists: one dict for each bound, tightest first, without weights.

        Returns
        -------
        dict of str to dict
            For each bound, its fields and ``about``, ``quantity``, ``ceiling`` and ``informative``. From the report,
            ``together`` (the value in this column), ``together_informative``, ``together_delta`` (its share of δ), and
            ``report_delta``. Ready for ``json.dumps``, which writes an infinite bound as ``Infinity``.

        Examples
        --------
        >>> import json
        >>> from sklstm.generalization import GeneralizationReport, holdout_bound
        >>> plain = GeneralizationReport([holdout_bound([0] * 100)]).to_dict()
        >>> round(plain["holdout"]["value"], 4), plain["holdout"]["n_samples"]
        (0.0295, 100)
        >>> json.loads(json.dumps(plain))["holdout"]["about"]
        'the trained predictor'
        """
        return {
            bound.name: _plain(bound)
            | {
                "informative": is_informative(bound),
                "together": _json(share.value),
                "together_informative": is_informative(share),
                "together_delta": _json(share.delta),
                "report_delta": self._delta,
            }
            for bound, share in self._rows()
        }

    def to_frame(self) -> Any:
        """The table as a pandas DataFrame, one row for each bound, tightest first.

        Returns
        -------
        DataFrame
            A table with the index ``bound`` and the columns value, together, guess, bounds, about, delta,
            together_delta, informative, together_informative. Numbers are not rounded; an unknown guess is NaN.

        Raises
        ------
        ImportError
            If pandas is not installed; the package does not require it.

        Examples
        --------
        >>> from sklstm.generalization import GeneralizationReport, holdout_bound
        >>> bounds = [holdout_bound([0] * 100, name="a"), holdout_bound([0] * 200, name="b")]
        >>> frame = GeneralizationReport(bounds).to_frame()
        >>> frame[["value", "together"]].round(3).to_dict("index")
        {'b': {'value': 0.015, 'together': 0.018}, 'a': {'value': 0.03, 'together': 0.036}}
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError(
                "to_frame needs pandas, which is not installed: pip install pandas, or use to_dict"
            ) from error
        rows = [
            {
                "value": bound.value,
                "together": share.value,
                "guess": math.nan if bound.guess is None else bound.guess,
                "bounds": bound.quantity,
                "about": bound.about,
                "delta": bound.delta,
                "together_delta": share.delta,
                "informative": is_informative(bound),
                "together_informative": is_informative(share),
            }
            for bound, share in self._rows()
        ]
        return pd.DataFrame(rows, index=pd.Index(list(self), name="bound"))

    def summary(self) -> str:
        """The table and how to read it, without the terms and assumptions that ``print`` adds.

        Returns
        -------
        str
            One line for each bound, then some sentences.

        Examples
        --------
        >>> import numpy as np
        >>> from sklstm.generalization import GeneralizationReport, holdout_bound
        >>> report = GeneralizationReport([holdout_bound(np.r_[np.ones(30), np.zeros(270)])])
        >>> print(report.summary().splitlines()[-1][:49])
        Tightest: holdout. With probability 0.95 or more,
        >>> str(report).startswith(report.summary())
        True
        """
        return _summary(self._rows(), self._delta)

    def __repr__(self) -> str:
        inside = ", ".join(f"{bound.name}={at_most(bound.value)}" for bound in self._bounds)
        return f"{type(self).__name__}({inside})"

    def __str__(self) -> str:
        return _text(self._rows(), self._delta)

    def _repr_html_(self) -> str:
        return _html(self._rows(), self._delta)

    def _rows(self) -> list[tuple[Bound, Bound]]:
        """Pairs of each bound and itself at its share of δ, in the order of the table."""
        return list(zip(self._bounds, self._together, strict=True))


def _check_bounds(bounds: tuple[Bound, ...]) -> None:
    for bound in bounds:
        missing = [name for name in _OFFERS if not hasattr(bound, name)]
        if missing or not callable(bound.at_delta):
            lacks = ", ".join(missing or ["at_delta"])
            raise TypeError(f"{type(bound).__name__} cannot be in a report: it has no {lacks}")
    names = [bound.name for bound in bounds]
    if not names or len(set(names)) != len(names):
        raise ValueError(f"a report needs at least one bound, all with different names; got {names}")
    for bound in bounds:
        if math.isnan(bound.value):
            raise ValueError(f"{bound.name} is NaN, but a bound that cannot be computed must be infinite")


def _shared_delta(bounds: tuple[Bound, ...]) -> float:
    deltas = [bound.delta for bound in bounds]
    if len(set(deltas)) == 1:
        return float(deltas[0])
    total = math.fsum(bound.delta for bound in bounds if bound.can_fail)
    if total >= 1:
        raise ValueError(f"the deltas of the bounds, {deltas}, add up to 1 or more. Pass delta= of the report.")
    return total or max(deltas)  # a bound that cannot fail holds at any δ


def _together(bounds: tuple[Bound, ...], delta: float) -> tuple[Bound, ...]:
    """Each bound at its share of `delta`; unchanged if that is its own δ up to rounding, or if it cannot fail."""
    check_delta(delta)
    total = math.fsum(bound.delta for bound in bounds if bound.can_fail)
    shares = [delta * (bound.delta / total) if bound.can_fail else bound.delta for bound in bounds]
    return tuple(
        bound if math.isclose(share, bound.delta, rel_tol=1e-12) else bound.at_delta(share)
        for bound, share in zip(bounds, shares, strict=True)
    )


def _tightness(bound: Bound) -> float:
    """Value in units of the ceiling, ``inf`` for an infinite value."""
    return math.inf if math.isinf(bound.value) else bound.value / bound.ceiling


def _plain(bound: Any) -> dict[str, Any]:
    # Fields that are not in the repr, weights and their description, are left out.
    names = [entry.name for entry in fields(bound) if entry.repr] if is_dataclass(bound) else []
    names += [name for name in _OFFERS if name not in (*names, "terms", "at_delta")]
    values = {name: _json(getattr(bound, name)) for name in names}
    return {name: value for name, value in values.items() if value is not _LEFT_OUT}


def _json(value: Any) -> Any:
    """`value` in the types of JSON; `_LEFT_OUT` for weights and other objects."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple | list):
        return [entry for entry in map(_json, value) if entry is not _LEFT_OUT]
    return _LEFT_OUT


# A given bound, and the same bound at its share of the report's δ.
Row = tuple[Bound, Bound]


def _summary(rows: Sequence[Row], delta: float) -> str:
    """The table and what it means."""
    table = [_HEADER, *(_cells(row) for row in rows)]
    widths = [max(len(cells[i]) for cells in table) for i in range(len(_HEADER))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) for cells in table]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(line.rstrip() for line in [*lines, "", *_reading(rows, delta)])


def _text(rows: Sequence[Row], delta: float) -> str:
    """The table and what it means, then all terms and assumptions."""
    lines = [line for row in rows for line in ("", *_details(row))]
    return "\n".join([_summary(rows, delta), *(line.rstrip() for line in lines)])


def _html(rows: Sequence[Row], delta: float) -> str:
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
    tightest = next((share for _, share in rows if _says_something(share)), None)
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
        if not _says_something(bound):
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
