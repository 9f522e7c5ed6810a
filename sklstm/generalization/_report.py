"""The bounds of one fitted estimator on one page: as a table, as a mapping, or field by field."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, Self

import numpy as np

from sklstm.generalization import _render
from sklstm.generalization._inputs import check_delta
from sklstm.generalization._terms import Bound

__all__ = ["GeneralizationReport"]

_OFFERS = ("name", "value", "delta", "vacuous", "ceiling", "quantity", "about", "assumptions", "terms", "at_delta")


class GeneralizationReport(Mapping[str, Bound]):
    r"""Generalisation bounds of one estimator, tightest first; ``print`` shows a table, the terms and the assumptions.

    A mapping from the name of a bound (``"theorem_3"``, ``"occam"``, ``"holdout"``) to the bound. Fields of the
    bound given first, the estimator's principal one, can be read from the report itself: ``report.margin_loss``.

    Each bound holds with probability 1 − its own δ. Whoever reads J of them and believes the smallest reads all
    of them at once, and one of them fails with up to the sum of their δ. The report therefore has a δ of its own
    and divides it among the bounds in proportion to theirs, δ/J each where they are equal; by the union bound the
    bounds at these shares, the column "together", are all true with probability at least 1 − δ, whatever the
    dependence between them.

    Parameters
    ----------
    bounds : sequence of Bound
        At least one, with different names: the dataclasses of this room, or others with the attributes of
        `sklstm.generalization._terms.Bound`.
    delta : float, optional
        Probability with which the column "together" may fail. By default the δ of the bounds if they share one,
        and otherwise the sum of their δ, so that "together" repeats each bound as it is.

    Attributes
    ----------
    bounds : tuple of Bound
        The bounds as they were given, each with its own δ; tightest first.
    delta : float
        Probability with which the column "together" may fail.

    Raises
    ------
    ValueError
        If there is no bound, or two have one name, or a value is NaN; if `delta` is out of range, or the sum that
        stands in for it is 1 or more.
    TypeError
        If one of `bounds` lacks an attribute that the report reads, ``at_delta`` for instance.

    Notes
    -----
    Tightness is measured on a bound's own scale, "together" over the ceiling from which on it would say nothing, so
    that bounds on losses with different caps can be ordered. Bounds of equal tightness keep the order in which they
    were given; infinite ones come last.

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
        """Probability with which not all bounds of the column "together" hold."""
        return self._delta

    @property
    def tightest(self) -> Bound | None:
        """The tightest bound of the column "together", the only one to choose from; None if all are vacuous."""
        return next((bound for bound in self._together if not bound.vacuous), None)

    def simultaneous(self) -> Self:
        """The column "together" as a report: all its bounds hold at once with probability 1 − `delta`.

        Returns
        -------
        GeneralizationReport
            With the same `delta`. Its values are its "together".
        """
        shares = {bound.name: bound for bound in self._together}
        return type(self)([shares[bound.name] for bound in self._given], delta=self._delta)

    def with_bound(self, *bounds: Bound) -> Self:
        """A new report that also holds `bounds`; this one stays as it is.

        Parameters
        ----------
        *bounds : Bound
            With names that are not yet in the report.

        Returns
        -------
        GeneralizationReport
            With the `delta` that was passed to this one; without, its default for all the bounds.

        Raises
        ------
        ValueError, TypeError
            As the constructor.

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
        # pickle and copy ask for special names before _given exists: neither may recurse or be delegated.
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
        """Plain Python numbers, strings and lists, one dict a bound, tightest first; weights are left out.

        Returns
        -------
        dict of str to dict
            The fields of the bound; ``about``, ``quantity`` and ``ceiling``; and of the report ``together``, the
            value when all bounds are read together, ``together_vacuous``, ``together_delta``, the share of δ at
            which it was computed, and ``report_delta``. Ready for ``json.dumps``, which writes an infinite bound as
            ``Infinity``.

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
                "together": _json(share.value),
                "together_vacuous": bool(share.vacuous),
                "together_delta": _json(share.delta),
                "report_delta": self._delta,
            }
            for bound, share in self._rows()
        }

    def to_frame(self) -> Any:
        """The table as a pandas DataFrame, one row a bound, tightest first.

        Returns
        -------
        DataFrame
            Index ``bound``; columns value, together, bounds, about, delta, together_delta, vacuous,
            together_vacuous. Numbers are not rounded.

        Raises
        ------
        ImportError
            Without pandas, which the package does not require.

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
            raise ImportError("to_frame needs pandas, which is not installed; to_dict does without") from error
        rows = [
            {
                "value": bound.value,
                "together": share.value,
                "bounds": bound.quantity,
                "about": bound.about,
                "delta": bound.delta,
                "together_delta": share.delta,
                "vacuous": bound.vacuous,
                "together_vacuous": share.vacuous,
            }
            for bound, share in self._rows()
        ]
        return pd.DataFrame(rows, index=pd.Index(list(self), name="bound"))

    def summary(self) -> str:
        """The table and how to read it, without the terms and assumptions that ``print`` adds.

        Returns
        -------
        str
            Of as many lines as there are bounds, and some sentences.

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
        return _render.summary(self._rows(), self._delta)

    def __repr__(self) -> str:
        inside = ", ".join(f"{bound.name}={_render.at_most(bound.value)}" for bound in self._bounds)
        return f"{type(self).__name__}({inside})"

    def __str__(self) -> str:
        return _render.text(self._rows(), self._delta)

    def _repr_html_(self) -> str:
        return _render.html(self._rows(), self._delta)

    def _rows(self) -> list[tuple[Bound, Bound]]:
        """Each bound beside itself at its share of δ, in the order of the table."""
        return list(zip(self._bounds, self._together, strict=True))


def _check_bounds(bounds: tuple[Bound, ...]) -> None:
    for bound in bounds:
        missing = [name for name in _OFFERS if not hasattr(bound, name)]
        if missing or not callable(bound.at_delta):
            lacks = ", ".join(missing or ["at_delta"])
            raise TypeError(f"{type(bound).__name__} is no bound that a report can hold: it lacks {lacks}")
    names = [bound.name for bound in bounds]
    if not names or len(set(names)) != len(names):
        raise ValueError(f"a report needs one bound or more, with different names; got {names}")
    for bound in bounds:
        if math.isnan(bound.value):
            raise ValueError(f"{bound.name} is NaN; a bound that cannot be computed is infinite")


def _shared_delta(bounds: tuple[Bound, ...]) -> float:
    deltas = [bound.delta for bound in bounds]
    if len(set(deltas)) == 1:
        return float(deltas[0])
    total = math.fsum(deltas)
    if total >= 1:
        raise ValueError(f"the deltas of the bounds, {deltas}, add up to 1 or more; pass delta= of the report")
    return total


def _together(bounds: tuple[Bound, ...], delta: float) -> tuple[Bound, ...]:
    """Each bound at its share of `delta`; itself where the share is its own δ up to rounding."""
    check_delta(delta)
    total = math.fsum(bound.delta for bound in bounds)
    shares = [delta * (bound.delta / total) for bound in bounds]
    return tuple(
        bound if math.isclose(share, bound.delta, rel_tol=1e-12) else bound.at_delta(share)
        for bound, share in zip(bounds, shares, strict=True)
    )


def _tightness(bound: Bound) -> float:
    """Value in units of the ceiling; `inf` over `inf` would be NaN."""
    return math.inf if math.isinf(bound.value) else bound.value / bound.ceiling


def _plain(bound: Any) -> dict[str, Any]:
    # What a bound leaves out of its repr, weights and their description, is no number to report.
    names = [entry.name for entry in fields(bound) if entry.repr] if is_dataclass(bound) else []
    names += [name for name in _OFFERS if name not in (*names, "terms", "at_delta")]
    values = {name: _json(getattr(bound, name)) for name in names}
    return {name: value for name, value in values.items() if value is not _LEFT_OUT}


_LEFT_OUT = object()


def _json(value: Any) -> Any:
    """`value` in types that JSON has; weights and other objects are left out."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple | list):
        return [entry for entry in map(_json, value) if entry is not _LEFT_OUT]
    return _LEFT_OUT
