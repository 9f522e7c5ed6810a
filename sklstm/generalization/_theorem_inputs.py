"""Input of the theorems: conversion to arrays, checks of shapes and labels, reading in chunks."""

import math
from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from sklstm.noise import RepeatedNoise

Array: TypeAlias = NDArray[Any]
Float: TypeAlias = NDArray[np.float64]

# Rows are read so that a chunk holds about this many float64 numbers (16 MiB): large enough for BLAS, small for memory.
_CHUNK_NUMBERS = 1 << 21


def as_array(values: Any) -> Array:
    """View tensors, memmaps and nested lists as numpy arrays. Float data is not copied; repeated noise is not drawn."""
    if isinstance(values, RepeatedNoise):
        return values  # type: ignore[return-value]
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        # numpy knows no bfloat16; float32 holds every bfloat16 exactly.
        return (values.float() if values.dtype == torch.bfloat16 else values).numpy()
    return np.asarray(values)


def as_weights(U: Any, W: Any, V: Any) -> tuple[Float, Float, Float]:
    """Float64 copies of U (m, d), W (m, m), V (k, m); ``ValueError`` if shapes do not fit or a value is not finite."""
    u, w, v = (
        np.array(_real(as_array(matrix), name), dtype=np.float64) for name, matrix in zip("UWV", (U, W, V), strict=True)
    )
    m = u.shape[0] if u.ndim == 2 else -1
    if u.ndim != 2 or w.shape != (m, m) or v.ndim != 2 or v.shape[1] != m:
        raise ValueError(
            "U, W, V must have shapes (m, d), (m, m), (k, m) with one number m of hidden units; "
            f"got {u.shape}, {w.shape}, {v.shape}"
        )
    for name, matrix in (("U", u), ("W", w), ("V", v)):
        if matrix.size == 0 or not np.isfinite(matrix).all():
            raise ValueError(f"{name} is empty or contains NaN or infinity")
    return u, w, v


def as_sequences(X: Any, n_channels: int | None = None, *, name: str = "X") -> Array:
    """An (n, L, d) array in its own dtype; ``ValueError`` for another shape or d, or for values that are not finite."""
    x = _real(as_array(X), name)
    if x.ndim != 3 or 0 in x.shape:
        raise ValueError(f"{name} must have shape (n_samples, n_steps, n_channels), none of them 0; got {x.shape}")
    if n_channels is not None and x.shape[2] != n_channels:
        raise ValueError(
            f"{name} has {x.shape[2]} channels on its last axis, but U has {n_channels} columns. The axes of X are "
            "(samples, time steps, channels)."
        )
    check_finite(x, name)
    return x


def _real(values: Array, name: str) -> Array:
    # A cast to float64 would keep the real parts and only warn.
    if np.iscomplexobj(values):
        raise ValueError(f"{name} must hold real numbers, got dtype {values.dtype}")
    return values


def check_finite(x: Array, name: str) -> None:
    """``ValueError`` if a value is NaN or infinite."""
    if not all(np.isfinite(chunk).all() for chunk in chunks(x)):
        raise ValueError(f"{name} contains NaN or infinity")


def chunks(x: Array, width: int = 1) -> Iterator[Float]:
    """Consecutive blocks of rows, as float64; the caller needs `width` more numbers for each row."""
    per_row = max(width, math.prod(x.shape[1:]))
    step = max(1, _CHUNK_NUMBERS // per_row)
    for start in range(0, x.shape[0], step):
        yield np.asarray(x[start : start + step], dtype=np.float64)


def noisy_chunks(x: Array, added: Array | None, width: int = 1) -> Iterator[Float]:
    """As in :func:`chunks`, for `x` plus `added`; for `x` alone if that is None."""
    blocks = ((rows, 0.0) for rows in chunks(x, width))
    pairs = blocks if added is None else zip(chunks(x, width), chunks(added, width), strict=True)
    for rows, noise in pairs:
        yield rows + noise


def product(*factors: float) -> float:
    """Product of non-negative factors. Zero times ``inf`` is zero, and only the result can overflow.

    Here ``inf`` stands for a finite number that is too large for float64, for instance Λ of 1000 steps. A factor that
    is exactly zero therefore makes the product zero. Mantissas are multiplied and exponents are added, so that 1e300 ·
    1e300 · 1e-300 is 1e300.
    """
    if 0.0 in factors:
        return 0.0
    if math.inf in factors:
        return math.inf
    pairs = [math.frexp(factor) for factor in factors]
    try:
        return math.ldexp(math.prod(mantissa for mantissa, _ in pairs), sum(exponent for _, exponent in pairs))
    except OverflowError:
        return math.inf


def exponential(x: float) -> float:
    """e^x; ``inf`` on overflow."""
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf


def check_non_negative(**numbers: float) -> None:
    """``ValueError`` with the name of the first number that is negative or NaN."""
    for name, number in numbers.items():
        if not number >= 0:  # also true for NaN
            raise ValueError(f"{name} must be a non-negative number, got {number!r}")


def check_delta(delta: float) -> None:
    """``ValueError`` unless the failure probability is in (0, 1)."""
    if not 0 < delta < 1:
        raise ValueError(f"delta must lie strictly between 0 and 1, got {delta!r}")


def check_labels(y: Any, n: int, k: int) -> NDArray[np.integer]:
    """Labels (n,) as integers 0 to k − 1; ``ValueError`` for anything else. A class may be absent."""
    if k < 2:
        raise ValueError(f"a margin needs two classes or more, but V has {k} row(s)")
    labels = as_array(y)
    if labels.shape != (n,):
        raise ValueError(f"y must have shape ({n},), one label for each sequence; got {labels.shape}")
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"y must contain integer class indices, got dtype {labels.dtype}")
    if labels.min() < 0 or labels.max() >= k:
        raise ValueError(f"labels must lie in 0 to {k - 1}, got {labels.min()} to {labels.max()}")
    return labels
