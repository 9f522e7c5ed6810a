"""What a generalisation bound has, and what several bounds share: terms, assumptions, losses."""

from typing import ClassVar, NamedTuple, Protocol, Self

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


def may_inform(bound: Bound) -> bool:
    """Whether a bound is informative, or may be, if the guess is unknown."""
    return not bound.vacuous and (bound.guess is None or is_informative(bound))
