"""What a search is given: values, scorers, rows."""

import inspect
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils import indexable

from sklstm._tables import as_plain, sequences_in
from sklstm._validation import Number

__all__ = ["Values", "rows_of", "takes_weights"]


class Values:
    """A number of values, or the values themselves."""

    def check(self, name: str, value: Any) -> None:
        if isinstance(value, Integral) and not isinstance(value, bool | np.bool_):
            Number(Integral, 2).check(name, value)
            return
        if isinstance(value, str) or np.ndim(value) != 1 or len(value) == 0:
            raise TypeError(f"{name} must be an integer of at least 2, or a sequence of numbers; got {value!r}.")
        for number in value:
            Number(Real, 0, 1e38).check(f"every entry of {name}", number)


def takes_weights(scorer: Any) -> bool:
    """Whether a scorer takes ``sample_weight``."""
    asks = getattr(scorer, "_accept_sample_weight", None)  # of scikit-learn's own
    return bool(asks()) if asks is not None else "sample_weight" in inspect.signature(scorer).parameters


def rows_of(X: Any, y: Any, sample_weight: Any, groups: Any) -> Sequence[Any]:
    """What rows can be taken from: what scikit-learn cannot index becomes an array or a list first."""
    weight = None if sample_weight is None else np.asarray(as_plain(sample_weight, "sample_weight"))
    sequences = None if hasattr(X, "columns") else sequences_in(X)
    return indexable(as_plain(X) if sequences is None else sequences, as_plain(y, "y"), weight, groups)
