"""Checks of hyperparameters and data, made before any work starts; every message says what to do."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Protocol

import numpy as np
import torch
from sklearn.utils import check_random_state, check_scalar

__all__ = ["Choice", "Number", "check_parameters", "fresh_random_state"]


class Rule(Protocol):
    """What a constructor parameter must satisfy; ``check`` raises ``ValueError`` or ``TypeError`` if it does not."""

    def check(self, name: str, value: Any) -> None: ...


def _is_finite(value: Any) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond float64
        return False


@dataclass(frozen=True)
class Number:
    """A finite number in an interval; ``optional`` lets None pass too, ``flag`` True and False."""

    kind: type = Real
    low: float | None = None
    high: float | None = None
    closed: str = "both"
    optional: bool = False
    flag: bool = False

    def check(self, name: str, value: Any) -> None:
        if value is None and self.optional:
            return
        if isinstance(value, np.generic) and value.dtype.kind not in "biuf":  # a time span passes for an integer
            raise TypeError(f"{name} must be a number, got {value!r}.")
        if isinstance(value, Real) and not _is_finite(value):
            raise ValueError(f"{name} must be a finite number, got {value!s:.40}.")
        if isinstance(value, bool | np.bool_) and not self.flag:
            raise TypeError(f"{name} must be a number, got {value!r}.")
        plain = value.item() if isinstance(value, np.generic) else value  # float16 cannot hold the limits
        check_scalar(plain, name, self.kind, min_val=self.low, max_val=self.high, include_boundaries=self.closed)


@dataclass(frozen=True)
class Choice:
    """One of a few values."""

    values: tuple

    def check(self, name: str, value: Any) -> None:
        plain = value.item() if isinstance(value, np.generic) else value  # np.str_ and np.bool_ come out of grids
        if not any(type(plain) is type(known) and plain == known for known in self.values):
            allowed = ", ".join(repr(known) for known in self.values)
            raise ValueError(f"{name} must be one of {allowed}; got {value!r}.")


class Device:
    """A torch device that this machine has, or "auto" for the best one, which is looked for when it is needed."""

    def check(self, name: str, value: Any) -> None:
        if not isinstance(value, str | torch.device):
            raise ValueError(f"{name} must name a torch device, such as 'cpu' or 'cuda', or be 'auto'; got {value!r}.")
        if value == "auto":
            return
        try:
            torch.zeros(1, device=value).item()
        except (RuntimeError, AssertionError) as error:  # torch has no one type for "no such device"
            reason = str(error).splitlines()[0]
            raise ValueError(f"{name}={value!r} is not a device that torch can use here: {reason}") from error


class Seed:
    """None, an integer in [0, 2³²), or a ``RandomState``."""

    def check(self, name: str, value: Any) -> None:
        time_span = isinstance(value, np.timedelta64)  # passes for an integer
        if isinstance(value, Integral) and not isinstance(value, bool) and not time_span and 0 <= int(value) < 2**32:
            return
        if value is not None and not isinstance(value, np.random.RandomState):
            raise ValueError(f"{name} must be None, an integer in [0, 2**32) or a numpy RandomState, got {value!r}.")


@dataclass(frozen=True)
class Numbers:
    """A non-empty sequence of finite numbers strictly between ``low`` and ``high``."""

    low: float
    high: float | None = None

    def check(self, name: str, value: Any) -> None:
        if isinstance(value, str) or not isinstance(value, Sequence | np.ndarray) or len(value) == 0:
            raise TypeError(f"{name} must be a sequence of numbers, at least one; got {value!r}.")
        for number in value:
            Number(Real, self.low, self.high, "neither").check(f"every entry of {name}", number)


@dataclass(frozen=True)
class Instance:
    """None, or an object of a class."""

    kind: type

    def check(self, name: str, value: Any) -> None:
        if value is not None and not isinstance(value, self.kind):
            raise TypeError(f"{name} must be None or a {self.kind.__name__}, got {value!r}.")


class ClassWeight:
    """None, ``"balanced"``, or weights by label."""

    def check(self, name: str, value: Any) -> None:
        if isinstance(value, Mapping):
            for label, weight in value.items():
                NON_NEGATIVE.check(f"{name}[{label!r}]", weight)
        elif value is not None and not (isinstance(value, str) and value == "balanced"):
            raise ValueError(f"{name} must be None, 'balanced' or a dict of weights by label; got {value!r}.")


POSITIVE_INT = Number(Integral, 1, None)
OPTIONAL_POSITIVE_INT = Number(Integral, 1, None, optional=True)
NON_NEGATIVE_INT = Number(Integral, 0, None)
_LARGEST = 1e38  # of float32, about
NON_NEGATIVE = Number(Real, 0, _LARGEST)
POSITIVE = Number(Real, 0, _LARGEST, "neither")
OPTIONAL_POSITIVE = Number(Real, 0, _LARGEST, "neither", optional=True)
PROBABILITY = Number(Real, 0, 1, "neither")
# Shares of it, and its products with prices, must stay float64 numbers above 0.
SMALL_PROBABILITY = Number(Real, 1e-150, 1, "left")
FLAG = Choice((True, False))
LEVEL = Number(Integral, 0, None, flag=True)


def check_parameters(estimator: Any, rules: Mapping[str, Rule]) -> None:
    """Check every constructor parameter named in ``rules``; ``ValueError`` or ``TypeError`` at the first bad one."""
    for name, rule in rules.items():
        rule.check(name, getattr(estimator, name))


def fresh_random_state(random_state: Any) -> np.random.RandomState:
    """``check_random_state``, except that None draws new entropy and leaves numpy's global state alone."""
    if random_state is None:
        return np.random.RandomState(np.random.SeedSequence().generate_state(8))
    return check_random_state(random_state)
