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
    """What :class:`GeneralizationReport` reads; every bound here is a frozen dataclass with it.

    Examples
    --------
    Any object with these attributes can stand in a report, beside the package's own bounds. One from outside, which has
    no term that depends on δ:

    >>> from sklstm.generalization import GeneralizationReport, holdout_bound
    >>> class Audit:
    ...     name, about, quantity = "audit", "the trained predictor", "an error probability"
    ...     value, delta, ceiling, vacuous = 0.25, 0.01, 1.0, False
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
        """The bound may fail with this probability."""
        ...

    @property
    def vacuous(self) -> bool:
        """Whether the bound says nothing, being `ceiling` or more."""
        ...

    @property
    def ceiling(self) -> float:
        """Largest value of what is bounded."""
        ...

    @property
    def quantity(self) -> str:
        """What is bounded, in words."""
        ...

    @property
    def about(self) -> str:
        """Which predictor the bound is about."""
        ...

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What has to be true for the statement to hold."""
        ...

    @property
    def terms(self) -> tuple[Term, ...]:
        """The numbers that the bound consists of."""
        ...

    def at_delta(self, delta: float) -> Self:
        """The same statement, from the same data, at another failure probability.

        Parameters
        ----------
        delta : float
            In (0, 1).

        Returns
        -------
        bound of the same type
        """
        ...
