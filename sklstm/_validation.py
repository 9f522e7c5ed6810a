"""Checks of hyperparameters and data, made before any work starts; every message says what to do."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Protocol

import numpy as np
import torch
from sklearn.utils import check_random_state, check_scalar
from sklearn.utils.validation import check_is_fitted, validate_data

__all__ = ["Choice", "Number", "as_radii", "as_sequences", "check_parameters", "count_axes", "fresh_random_state"]


class Rule(Protocol):
    """What a constructor parameter must satisfy; ``check`` raises ``ValueError`` or ``TypeError`` if it does not."""

    def check(self, name: str, value: Any) -> None: ...


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
        if isinstance(value, Real) and not math.isfinite(value):
            raise ValueError(f"{name} must be a finite number, got {value}.")
        if isinstance(value, bool | np.bool_) and not self.flag:
            raise TypeError(f"{name} must be a number, got {value!r}.")
        check_scalar(value, name, self.kind, min_val=self.low, max_val=self.high, include_boundaries=self.closed)


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
    """A torch device that this machine has."""

    def check(self, name: str, value: Any) -> None:
        if not isinstance(value, str | torch.device):
            raise ValueError(f"{name} must name a torch device, such as 'cpu' or 'cuda', got {value!r}.")
        try:
            torch.zeros(1, device=value).item()
        except (RuntimeError, AssertionError) as error:  # torch has no one type for "no such device"
            reason = str(error).splitlines()[0]
            raise ValueError(f"{name}={value!r} is not a device that torch can use here: {reason}") from error


class Seed:
    """None, an integer in [0, 2³²), or a ``RandomState``."""

    def check(self, name: str, value: Any) -> None:
        if isinstance(value, Integral) and not isinstance(value, bool) and 0 <= int(value) < 2**32:
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


POSITIVE_INT = Number(Integral, 1, None)
OPTIONAL_POSITIVE_INT = Number(Integral, 1, None, optional=True)
NON_NEGATIVE_INT = Number(Integral, 0, None)
NON_NEGATIVE = Number(Real, 0, None)
POSITIVE = Number(Real, 0, None, "neither")
OPTIONAL_POSITIVE = Number(Real, 0, None, "neither", optional=True)
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


def count_axes(X: Any) -> int:
    """Number of axes of X; ``ValueError`` for sequences of unequal length, which do not form an array."""
    ndim = getattr(X, "ndim", None)
    if ndim is not None:
        return int(ndim)
    try:
        return np.asarray(X).ndim  # not np.ndim: an object may offer __array__ and nothing else
    except ValueError as error:
        raise ValueError(
            "X holds sequences of unequal length or width, so it is not a rectangular array. Pad them to one length "
            "(zeros at the start leave a bias-free ReLU RNN unchanged) and pass an array of shape "
            "(n_samples, n_steps, n_channels)."
        ) from error


def as_sequences(estimator: Any, X: Any, y: Any = None, *, reset: bool, **check_params: Any) -> Any:
    """Validate X, and y in fit, and fold X to (n, L, d).

    ``n_features_in_`` is the number of columns, L·d, after 2-D input, as scikit-learn's checks expect, and the number
    of channels d after 3-D input.

    Parameters
    ----------
    estimator : estimator with ``n_channels``
    X : array-like of shape (n, L * d), time-major columns, or (n, L, d)
    y : array-like, optional
        Only in fit.
    reset : bool
        True in fit: what is seen is remembered. False at prediction: what is seen is compared.
    **check_params
        Passed to scikit-learn's ``validate_data``.

    Returns
    -------
    X : ndarray of shape (n, L, d), float32 or float64; with y, the pair (X, y)
    """
    X, y = _as_plain(X), _as_plain(y)
    ndim = count_axes(X)
    if ndim > 3:
        raise ValueError(
            f"X has {ndim} axes; {type(estimator).__name__} takes sequences of shape (n_samples, n_steps, "
            "n_channels) or rows of shape (n_samples, n_steps * n_channels)."
        )
    flat = ndim != 3
    if not reset:
        check_is_fitted(estimator)
        if flat and ndim == 2 and not estimator._fitted_flat:
            raise ValueError(
                f"X has 2 axes, but {type(estimator).__name__} was fitted on sequences of shape (n_samples, n_steps, "
                f"n_channels={estimator.n_features_in_}). Reshape X to three axes."
            )
    data = {"X": X} if y is None and not reset else {"X": X, "y": y}
    checked = validate_data(
        estimator,
        **data,
        reset=reset,
        allow_nd=not flat,
        ensure_2d=flat,
        dtype=[np.float64, np.float32],
        **check_params,
    )
    X, y = checked if reset else (checked, None)
    folded = _fold(estimator, X, reset=reset)
    if np.any(np.abs(folded) > np.finfo(np.float32).max):
        raise ValueError("X holds values too large for float32, in which the network computes. Rescale it.")
    return (folded, y) if reset else folded


def _as_plain(values: Any) -> Any:
    """Tensors as arrays, whatever device or graph they belong to; anything else as it is."""
    if not isinstance(values, torch.Tensor):
        return values
    values = values.detach().cpu()
    return (values.float() if values.dtype == torch.bfloat16 else values).numpy()


def _fold(estimator: Any, X: np.ndarray, *, reset: bool) -> np.ndarray:
    flat = X.ndim == 2
    if flat:
        channels = estimator.n_channels if reset else estimator._n_channels
        if X.shape[1] % channels:
            raise ValueError(
                f"X has {X.shape[1]} columns, which is not a multiple of n_channels={channels}: a row must hold "
                "n_steps * n_channels values, all channels of the first time step first."
            )
        X = X.reshape(len(X), -1, channels)
    _, n_steps, n_channels = X.shape
    if n_steps == 0 or n_channels == 0:
        raise ValueError(
            f"X has {n_steps} time steps and {n_channels} channels (shape {X.shape}, read as (n_samples, n_steps, "
            f"n_channels)): {type(estimator).__name__} needs at least one of each."
        )
    if reset:
        # n_channels=1 is the default: three axes then speak for themselves.
        expected = n_channels if estimator.n_channels == 1 else estimator.n_channels
    else:
        expected = estimator._n_channels
    if n_channels != expected:
        hint = " The time and channel axes look swapped." if n_steps == expected else ""
        raise ValueError(
            f"X has {n_channels} channels on its last axis (shape {X.shape}, read as (n_samples, n_steps={n_steps}, "
            f"n_channels={n_channels})), but {type(estimator).__name__} is expecting {expected} channels.{hint}"
        )
    if reset:
        estimator._fitted_flat, estimator._n_channels = flat, n_channels
        if not flat:
            estimator.n_features_in_ = n_channels
    return X


def as_radii(estimator: Any, eps: Any, X_shape: tuple[int, ...], folded_shape: tuple[int, int, int]) -> np.ndarray:
    """Radii of the boxes around sequences, validated and spread over (n, L, d).

    Parameters
    ----------
    estimator : estimator
        Named in error messages.
    eps : float or array-like
        One number; one per channel (d,); for 2-D X one per column (L * d,), for 3-D X one per step and channel (L, d);
        or an array with as many axes as X that broadcasts to its shape.
    X_shape : tuple of int
        Shape of X as the caller passed it.
    folded_shape : tuple of int
        (n, L, d).

    Returns
    -------
    ndarray of shape (n, L, d), float64

    Raises
    ------
    ValueError
        If an entry is negative or not finite, or the shape is none of the above.
    TypeError
        If eps is not numeric.
    """
    try:
        radii = np.asarray(_as_plain(eps))
    except ValueError as error:  # rows of unequal length
        raise TypeError(f"eps must be a number or an array of numbers, got {eps!r}.") from error
    if radii.dtype.kind not in "iuf":
        raise TypeError(f"eps must be a number or an array of numbers, got {eps!r}.")
    radii = radii.astype(np.float64)
    if not np.isfinite(radii).all():
        raise ValueError("eps must be finite: it holds NaN or infinity.")
    if (radii < 0).any():
        raise ValueError(f"eps must not be negative, got a smallest value of {radii.min():.6g}.")
    _, n_steps, n_channels = folded_shape
    per_step = len(X_shape) == 3 and radii.shape == (n_steps, n_channels)
    if radii.shape in ((), (n_channels,)) or per_step:
        return np.broadcast_to(radii, folded_shape)
    if len(X_shape) == 2 and radii.shape == X_shape[1:]:
        return np.broadcast_to(radii.reshape(n_steps, n_channels), folded_shape)
    if radii.ndim == len(X_shape) and all(size in (1, full) for size, full in zip(radii.shape, X_shape, strict=True)):
        return np.broadcast_to(radii, X_shape).reshape(folded_shape)
    columns = f"({n_steps * n_channels},) per column" if len(X_shape) == 2 else f"({n_steps}, {n_channels})"
    raise ValueError(
        f"eps has shape {radii.shape}; {type(estimator).__name__} takes one number, ({n_channels},) per channel, "
        f"{columns}, or the shape of X, {tuple(X_shape)}, in which axes may be 1."
    )
