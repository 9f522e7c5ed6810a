"""The bounds of one fitted estimator, read as a table, as a mapping, or field by field."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

from sklstm.generalization._terms import Bound

__all__ = ["GeneralizationReport"]

_HEADER = ("bound", "value", "about", "vacuous", "delta")


class GeneralizationReport(Mapping[str, Bound]):
    """Generalisation bounds of one estimator; ``print`` shows a table, the terms and the assumptions.

    A mapping from the name of a bound (``"theorem_2"``, ``"theorem_3"``, ``"occam"``) to the bound. Fields of
    the first bound can be read from the report itself: ``report.margin_loss``.

    Parameters
    ----------
    bounds : sequence of TuBound or OccamBound
        At least one, with different names.

    Raises
    ------
    ValueError
        If there is no bound, or two have one name.
    """

    def __init__(self, bounds: Sequence[Bound]) -> None:
        self._bounds = tuple(bounds)
        names = [bound.name for bound in self._bounds]
        if not names or len(set(names)) != len(names):
            raise ValueError(f"a report needs one bound or more, with different names; got {names}")

    @property
    def bounds(self) -> tuple[Bound, ...]:
        """The bounds, in the order they were given."""
        return self._bounds

    def __getitem__(self, name: str) -> Bound:
        for bound in self._bounds:
            if bound.name == name:
                return bound
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return (bound.name for bound in self._bounds)

    def __len__(self) -> int:
        return len(self._bounds)

    def __getattr__(self, attribute: str) -> Any:
        # pickle and copy ask for special names before _bounds exists: neither may recurse or be delegated.
        if attribute.startswith("_"):
            raise AttributeError(attribute)
        try:
            return getattr(self._bounds[0], attribute)
        except AttributeError:
            raise AttributeError(
                f"neither the report nor its first bound, {self._bounds[0].name}, has {attribute!r}"
            ) from None

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *(name for name in dir(self._bounds[0]) if not name.startswith("_"))})

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Plain Python numbers, strings and lists, one dict a bound; weights are left out.

        Returns
        -------
        dict of str to dict
            Ready for ``json.dumps``, which writes an infinite bound as ``Infinity``.
        """
        return {bound.name: _plain(bound) for bound in self._bounds}

    def __repr__(self) -> str:
        inside = ", ".join(f"{bound.name}={_number(bound.value)}" for bound in self._bounds)
        return f"{type(self).__name__}({inside})"

    def __str__(self) -> str:
        rows = [_HEADER, *(_row(bound) for bound in self._bounds)]
        widths = [max(len(row[i]) for row in rows) for i in range(len(_HEADER))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
        lines.insert(1, "  ".join("-" * width for width in widths))
        if len(self._bounds) > 1:
            lines.append("Each bound may fail with its own delta; all hold together up to the sum of the deltas.")
        for bound in self._bounds:
            lines += ["", *_details(bound)]
        return "\n".join(line.rstrip() for line in lines)


def _row(bound: Bound) -> tuple[str, ...]:
    return (
        bound.name,
        _number(bound.value),
        bound.about,
        "yes" if bound.vacuous else "no",
        _number(bound.delta),
    )


def _details(bound: Bound) -> list[str]:
    verdict = f"bounds {bound.quantity}"
    if bound.vacuous:
        verdict = f"vacuous (≥ {_number(bound.ceiling)}: says nothing about {bound.quantity})"
    lines = [f"{bound.name} = {_number(bound.value)}: {verdict}"]
    terms = bound.terms
    name_width = max(len(term.name) for term in terms)
    value_width = max(len(_number(term.value)) for term in terms)
    lines += [
        f"  {term.name.ljust(name_width)}  {_number(term.value).rjust(value_width)}  {term.meaning}" for term in terms
    ]
    return [*lines, "  It assumes:", *(f"  - {sentence}" for sentence in bound.assumptions)]


def _number(value: float) -> str:
    if isinstance(value, int):
        return str(value)
    if math.isfinite(value) and abs(value) >= 1e6:
        return f"{value:.3e}"
    return f"{value:.4g}" if abs(value) < 1000 else f"{value:.1f}"


def _plain(bound: Any) -> dict[str, Any]:
    values = {entry.name: getattr(bound, entry.name) for entry in fields(bound) if entry.name != "weights"}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
