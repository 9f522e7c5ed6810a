"""One line of a report, and what a bound must offer to stand in one."""

from typing import NamedTuple, Protocol, Self

__all__ = ["INDEPENDENCE", "Bound", "Term"]

#: The first assumption of every bound.
INDEPENDENCE = "The samples are independent draws from one distribution; overlapping windows of one series are not."


class Term(NamedTuple):
    """A number of a bound: the field that holds it, its value, and its meaning in words."""

    name: str
    value: float
    meaning: str


class Bound(Protocol):
    """What :class:`GeneralizationReport` reads; every bound here is a frozen dataclass with it."""

    @property
    def name(self) -> str: ...
    @property
    def value(self) -> float: ...
    @property
    def delta(self) -> float: ...
    @property
    def vacuous(self) -> bool: ...
    @property
    def ceiling(self) -> float: ...
    @property
    def quantity(self) -> str: ...
    @property
    def about(self) -> str: ...
    @property
    def assumptions(self) -> tuple[str, ...]: ...
    @property
    def terms(self) -> tuple[Term, ...]: ...

    def at_delta(self, delta: float) -> Self:
        """The same statement, from the same data, at another failure probability."""
        ...
