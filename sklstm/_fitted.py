"""Thread safety of estimators: a fit takes place in a copy, and a prediction uses one fit."""

import copy
import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
Estimator = TypeVar("Estimator")


def of_one_fit(method: Callable[P, T]) -> Callable[P, T]:
    """Call a method on a shallow copy of its estimator, which another thread cannot fit in the meantime.

    Examples
    --------
    >>> from sklearn.base import BaseEstimator
    >>> from sklstm._fitted import of_one_fit, take_over
    >>> class Model(BaseEstimator):
    ...     @of_one_fit
    ...     def difference(self, wait):
    ...         first = self.number_
    ...         wait()
    ...         return self.number_ - first
    >>> old, new = Model(), Model()
    >>> old.number_, new.number_ = 1, 2
    >>> old.difference(lambda: take_over(old, new)), old.number_
    (0, 2)
    """

    with_another_self: Callable[..., T] = method

    @functools.wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        return with_another_self(copy.copy(args[0]), *args[1:], **kwargs)

    return call


def unfitted_copy(estimator: Estimator) -> Estimator:
    """A shallow copy without public fitted attributes, for fitting."""
    twin = copy.copy(estimator)
    for name in [name for name in vars(twin) if name.endswith("_") and not name.startswith("_")]:
        delattr(twin, name)
    return twin


def take_over(estimator: Any, fitted: Any) -> None:
    """Give an estimator all that was fitted in a copy of it, in one step.

    Parameters keep their current values. Fitted attributes begin or end with an underscore.
    """
    own = {name: value for name, value in vars(estimator).items() if not _is_fitted(name)}
    estimator.__dict__ = own | {name: value for name, value in vars(fitted).items() if _is_fitted(name)}


def _is_fitted(name: str) -> bool:
    return name.startswith("_") or name.endswith("_")
