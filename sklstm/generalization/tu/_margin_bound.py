"""What bounds of the form margin loss + complexity + confidence share."""

from dataclasses import dataclass, replace
from typing import ClassVar, Self

from sklstm.generalization._inputs import check_delta
from sklstm.generalization.tu._confidence import confidence_term

__all__ = ["MarginBound"]


@dataclass(frozen=True, kw_only=True)
class MarginBound:
    """A bound on the error probability of the trained predictor: a sum of fields, of which only one knows δ.

    A subclass names the other summands in `_summands`.
    """

    _summands: ClassVar[tuple[str, ...]]

    value: float
    confidence_term: float
    n_samples: int
    delta: float
    vacuous: bool
    log_price: float = 0.0

    def at_delta(self, delta: float) -> Self:
        """The same bound at another failure probability.

        Parameters
        ----------
        delta : float
            In (0, 1). A margin that was chosen on a grid stays: the statement holds for every grid point.

        Returns
        -------
        bound of the same type

        Raises
        ------
        ValueError
            If `delta` is not in (0, 1).
        """
        check_delta(delta)
        confidence = confidence_term(delta, self.n_samples, self.log_price)
        value = sum(getattr(self, name) for name in self._summands) + confidence
        return replace(self, value=value, confidence_term=confidence, delta=float(delta), vacuous=value >= self.ceiling)

    @property
    def about(self) -> str:
        """Which predictor the bound is about."""
        return "the trained predictor"

    @property
    def ceiling(self) -> float:
        """The value from which on the bound says nothing."""
        return 1.0

    @property
    def quantity(self) -> str:
        """What is bounded."""
        return "an error probability"
