"""The bounds of one fitted estimator on one page: as a mapping, a table, text or HTML."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, Self

import numpy as np

from . import _report_text
from ._bound import Bound, is_informative, may_inform
from ._theorem_inputs import check_delta

_OFFERS = (
    "name", "value", "delta", "can_fail", "vacuous", "ceiling", "guess", "quantity", "about", "assumptions", "terms",
    "at_delta",
)  # fmt: skip
_LEFT_OUT = object()


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
        return next((bound for bound in self._together if may_inform(bound)), None)

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
        return _report_text.summary(self._rows(), self._delta)

    def __repr__(self) -> str:
        inside = ", ".join(f"{bound.name}={_report_text.at_most(bound.value)}" for bound in self._bounds)
        return f"{type(self).__name__}({inside})"

    def __str__(self) -> str:
        return _report_text.text(self._rows(), self._delta)

    def _repr_html_(self) -> str:
        return _report_text.html(self._rows(), self._delta)

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
