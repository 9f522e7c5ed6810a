"""Rules for parameters, checked before any work starts; random states; the line that a warning names."""

import inspect
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Protocol, TypeGuard

import numpy as np
import torch
from sklearn.utils import check_random_state, check_scalar

#: Link target of the diagram of an estimator in a notebook, in scikit-learn's form: ``_doc_link_template``.
API_PAGE = "https://sklstm.readthedocs.io/en/stable/api/generated/{estimator_module}.{estimator_name}.html"
#: For names imported from the package itself, in any module.
API_PAGE_AT_TOP = API_PAGE.replace("{estimator_module}", "sklstm")

_INSIDE = ("sklstm.", "skorch.", "sklearn.callback.", "contextlib", "aeon.", "sktime.")  # the last two around adapters


class Rule(Protocol):
    """A condition on a constructor parameter; ``check`` raises ``ValueError`` or ``TypeError`` if it does not hold."""

    def check(self, name: str, value: Any) -> None: ...


def is_integer(value: Any) -> TypeGuard[int]:
    """Whether a value is an integer of Python or numpy; bools and time spans do not count."""
    return isinstance(value, Integral) and not isinstance(value, bool | np.timedelta64)


def _as_python(value: Any) -> Any:
    """Convert a numpy scalar to Python's own type; return anything else unchanged."""
    return value.item() if isinstance(value, np.generic) else value


@dataclass(frozen=True)
class Number:
    """A finite number in an interval; None is allowed if ``optional``, True and False are allowed if ``flag``."""

    kind: type = Real
    low: float | None = None
    high: float | None = None
    closed: str = "both"
    optional: bool = False
    flag: bool = False

    def check(self, name: str, value: Any) -> None:
        if value is None and self.optional:
            return
        plain = _as_python(value)  # float16 cannot hold the limits
        # A time span of numpy counts as Integral.
        other_kind = isinstance(value, np.generic) and value.dtype.kind not in "biuf"
        if other_kind or (isinstance(plain, bool) and not self.flag):
            raise TypeError(f"{name} must be a number, got {value!r}.")
        is_real = isinstance(plain, Real)
        if is_real and not abs(plain) <= sys.float_info.max:  # infinity, NaN, or an integer beyond float64
            raise ValueError(f"{name} must be a finite number, got {value!s:.40}.")
        check_scalar(plain, name, self.kind, min_val=self.low, max_val=self.high, include_boundaries=self.closed)


@dataclass(frozen=True)
class NumberOr:
    """A number, or one word that lets the package choose."""

    number: Number
    word: str

    def check(self, name: str, value: Any) -> None:
        if isinstance(value, str):
            if value != self.word:
                raise ValueError(f"{name} must be a number or {self.word!r}, got {value!r}.")
            return
        self.number.check(name, value)


@dataclass(frozen=True)
class Choice:
    """One of a few values."""

    values: tuple

    def check(self, name: str, value: Any) -> None:
        plain = _as_python(value)  # parameter grids hold np.str_ and np.bool_
        if not any(type(plain) is type(known) and plain == known for known in self.values):
            allowed = ", ".join(repr(known) for known in self.values)
            raise ValueError(f"{name} must be one of {allowed}; got {value!r}.")


class Device:
    """A torch device that this machine has, or "auto": the best device, chosen when it is needed."""

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
        allowed = value is None or isinstance(value, np.random.RandomState)
        if not allowed and not (is_integer(value) and 0 <= int(value) < 2**32):
            raise ValueError(f"{name} must be None, an integer in [0, 2**32) or a numpy RandomState, got {value!r}.")


@dataclass(frozen=True)
class Numbers:
    """A non-empty sequence of finite numbers strictly between ``low`` and ``high``."""

    low: float
    high: float | None = None

    def check(self, name: str, value: Any) -> None:
        if isinstance(value, str) or not isinstance(value, Sequence | np.ndarray) or len(value) == 0:
            raise TypeError(f"{name} must be a non-empty sequence of numbers; got {value!r}.")
        for number in value:
            Number(Real, self.low, self.high, "neither").check(f"every entry of {name}", number)


class Instance:
    """None, or an instance of one of some classes."""

    def __init__(self, *kinds: type) -> None:
        self.kinds = kinds

    def check(self, name: str, value: Any) -> None:
        if value is not None and not isinstance(value, self.kinds):
            allowed = " or ".join(f"a {kind.__name__}" for kind in self.kinds)
            raise TypeError(f"{name} must be None or {allowed}, got {value!r}.")


class ClassWeight:
    """None, ``"balanced"``, or a mapping of labels to weights."""

    def check(self, name: str, value: Any) -> None:
        if isinstance(value, Mapping):
            for label, weight in value.items():
                NON_NEGATIVE.check(f"{name}[{label!r}]", weight)
        elif value is not None and not (isinstance(value, str) and value == "balanced"):
            raise ValueError(f"{name} must be None, 'balanced' or a dict of weights by label; got {value!r}.")


POSITIVE_INT = Number(Integral, 1, None)
OPTIONAL_POSITIVE_INT = Number(Integral, 1, None, optional=True)
NON_NEGATIVE_INT = Number(Integral, 0, None)
_LARGEST = 1e38  # about the largest float32
NON_NEGATIVE = Number(Real, 0, _LARGEST)
POSITIVE = Number(Real, 0, _LARGEST, "neither")
OPTIONAL_POSITIVE = Number(Real, 0, _LARGEST, "neither", optional=True)
PROBABILITY = Number(Real, 0, 1, "neither")
# A bound divides this probability among many events, and every part must be above 0 in float64.
SMALL_PROBABILITY = Number(Real, 1e-150, 1, "left")
FLAG = Choice((True, False))
LEVEL = Number(Integral, 0, None, flag=True)


def check_parameters(estimator: Any, rules: Mapping[str, Rule]) -> None:
    """Check the constructor parameters in ``rules``; ``ValueError`` or ``TypeError`` for the first bad one."""
    for name, rule in rules.items():
        rule.check(name, getattr(estimator, name))


def fresh_random_state(random_state: Any) -> np.random.RandomState:
    """Like ``check_random_state``, but None gives a new random seed and leaves numpy's global state alone."""
    if random_state is None:
        return np.random.RandomState(np.random.SeedSequence().generate_state(8))
    return check_random_state(random_state)


def caller_level() -> int:
    """``stacklevel`` with which a warning from the calling function names the user's line, outside this package."""
    frame, level = inspect.currentframe(), 0
    while frame is not None and frame.f_globals.get("__name__", "").startswith(_INSIDE):
        frame, level = frame.f_back, level + 1
    return level
