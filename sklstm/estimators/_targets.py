"""From bounds on transformed targets to bounds on targets, as `TransformedTargetRegressor` transforms predictions.

Every inverse that is known here is monotone in each entry, or a square. Scalers are monotone as computed: each is a few
sums, products and quotients with constants, and rounding keeps the order of numbers. Exponentials and powers are
monotone in exact arithmetic, but computed with a small error. Their ends are therefore moved outward by more than two
such errors: that of the end, and that of a value between the ends. The size of these errors is measured once a process.
"""

import warnings
from collections.abc import Callable, Iterator
from decimal import Decimal, localcontext
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import inv_boxcox
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    PowerTransformer,
    RobustScaler,
    StandardScaler,
)

from sklstm.exceptions import InaccurateFunctionError

Bounds = tuple[NDArray[np.float64], NDArray[np.float64]]

SCALERS = (StandardScaler, MinMaxScaler, MaxAbsScaler, RobustScaler)
#: Inverses of logarithms, and their infima. numpy compares its functions by identity.
_EXPONENTIALS: dict[Any, float] = {np.exp: 0.0, np.expm1: -1.0, np.exp2: 0.0}
ALLOWED = 4 * 2.0**-52  # relative error of an exponential or a power
ERROR = 4 * ALLOWED  # by which ends are moved
_TINY = float(np.finfo(np.float64).tiny)


def is_known(step: Any) -> bool:
    """Whether the inverse of a fitted transformer of targets is known here."""
    if type(step) is FunctionTransformer:
        return step.inverse_func is None or (
            not step.inv_kw_args and any(step.inverse_func is known for known in (*_EXPONENTIALS, np.square))
        )
    return type(step) in (*SCALERS, PowerTransformer)


def bounds_before(steps: list[Any], lower: np.ndarray, upper: np.ndarray) -> Bounds:
    """Bounds (n, k) on targets from bounds on the transformed targets.

    Infinite where nothing is known, for instance where an inverse is not defined at an end; never NaN. Bounds that
    coincide stay the computed value of the inverse.
    """
    if any(type(step) not in SCALERS for step in steps):
        check_functions()
    for step in reversed(steps):
        points = lower == upper
        if type(step) is FunctionTransformer and step.inverse_func is np.square:
            ends = _squares(lower, upper)
        elif type(step) is FunctionTransformer and step.inverse_func is not None:
            ends = _exponentials(step.inverse_func, lower, upper, points)
        elif type(step) is PowerTransformer:
            ends = _powers(step, lower, upper, points)
        else:
            ends = _scaled(step, lower, upper)
        lower, upper = ends
    return lower, upper


def _inverses(step: Any, lower: np.ndarray, upper: np.ndarray) -> Iterator[np.ndarray]:
    """Both ends; infinite ones, which scikit-learn refuses, are replaced by finite ones."""
    for end in (lower, upper):
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # about NaN; scikit-learn also lets numpy warn
            yield step.inverse_transform(np.where(np.isfinite(end), end, 0.0))


def _scaled(step: Any, lower: np.ndarray, upper: np.ndarray) -> Bounds:
    known = np.isfinite(lower) & np.isfinite(upper)
    low, high = _inverses(step, lower, upper)
    # In this order, unless a user has set a negative scale.
    return np.where(known, np.minimum(low, high), -np.inf), np.where(known, np.maximum(low, high), np.inf)


def _squares(lower: np.ndarray, upper: np.ndarray) -> Bounds:
    with np.errstate(over="ignore"):
        squares = np.square(lower), np.square(upper)
    least = np.where((lower <= 0) & (upper >= 0), 0.0, np.minimum(*squares))
    return least, np.maximum(*squares)


def _exponentials(function: Any, lower: np.ndarray, upper: np.ndarray, points: np.ndarray) -> Bounds:
    with np.errstate(all="ignore"):
        low, high = function(lower), function(upper)
        return _widened(low, high, np.abs(low), np.abs(high), points, _EXPONENTIALS[function])


def _powers(step: PowerTransformer, lower: np.ndarray, upper: np.ndarray, points: np.ndarray) -> Bounds:
    low, high = _inverses(step, lower, upper)
    low = np.where(np.isfinite(lower) & ~np.isnan(low), low, -np.inf)
    high = np.where(np.isfinite(upper) & ~np.isnan(high), high, np.inf)
    with np.errstate(all="ignore"):
        if step.method == "yeo-johnson":  # powers minus 1, or 1 minus powers
            return _widened(low, high, 1 + np.abs(low), 1 + np.abs(high), points)
        # exp(log1p(λ y) / λ): the errors of the exponent are relative to its size.
        of_low, of_high = ((2 + np.abs(np.log(np.maximum(np.abs(end), _TINY)))) * np.abs(end) for end in (low, high))
        return _widened(low, high, of_low, of_high, points)


def _widened(
    low: np.ndarray,
    high: np.ndarray,
    of_low: np.ndarray,
    of_high: np.ndarray,
    points: np.ndarray,
    least: float = -np.inf,
) -> Bounds:
    """Ends moved outward by errors relative to these sizes; infinite ends and single points stay."""
    lower = np.where(np.isfinite(low), np.maximum(low - ERROR * of_low - _TINY, least), low)
    upper = np.where(np.isfinite(high), high + ERROR * of_high + _TINY, high)
    still = points & np.isfinite(low)
    return np.where(still, low, lower), np.where(still, high, upper)


_POWER = 0.3
_FUNCTIONS: dict[str, tuple[Callable[[Any], Any], Callable[[Decimal], Decimal]]] = {
    "numpy.exp": (np.exp, lambda x: x.exp()),
    "numpy.expm1": (np.expm1, lambda x: x.exp() - 1),
    "numpy.exp2": (np.exp2, lambda x: (x * Decimal(2).ln()).exp()),
    "numpy.power": (
        lambda x: np.power(1 + np.abs(x), _POWER),
        lambda x: (Decimal(1 + abs(float(x))).ln() * Decimal(_POWER)).exp(),
    ),
    "scipy.special.inv_boxcox": (
        lambda x: inv_boxcox(np.abs(x), _POWER),
        lambda x: ((1 + Decimal(_POWER) * abs(x)).ln() / Decimal(_POWER)).exp(),
    ),
}


@cache
def check_functions() -> None:
    """Raise `InaccurateFunctionError` if an exponential or a power is not accurate enough; checked once a process."""
    x = np.concatenate((np.linspace(-30, 30, 42), np.geomspace(1e-8, 1, 9), -np.geomspace(1e-8, 1, 9)))
    for name in _FUNCTIONS:
        for values in (x, x.repeat(3)[::3]):  # strided arrays are computed by other loops
            error = relative_error(name, values)
            if not error <= ALLOWED:
                raise InaccurateFunctionError(
                    f"Certificates of transformed targets would not be sound on this machine: {name} has a relative "
                    f"error of {error:.3g}, and at most {ALLOWED:.3g} is allowed. Use another version of numpy or "
                    "scipy."
                )


def relative_error(name: str, x: np.ndarray) -> float:
    """Largest relative error of a function, by its name; for ``inv_boxcox`` in units that grow with the exponent."""
    function, exact = _FUNCTIONS[name]
    with localcontext() as context:
        context.prec = 40
        errors = [Decimal(0)]
        for found, value in zip(function(x), x, strict=True):
            expected = exact(Decimal(float(value)))
            size = 2 + abs(expected.ln()) if "boxcox" in name else Decimal(1)
            errors.append(abs(Decimal(float(found)) / expected - 1) / size)
        return float(max(errors))
