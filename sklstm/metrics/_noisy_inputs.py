"""Noise on inputs in any form in which users have sequences."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklstm._sizes import sizes_by_position
from sklstm._tables import as_plain, filled_like, is_wide, n_axes, read_wide, sequences_in
from sklstm._validation import NON_NEGATIVE
from sklstm.noise import noise_of_kind


def check_sizes(sigma: Any, name: str = "sigma") -> float:
    """Check standard deviations of noise: a number, an array of numbers, or numbers by label.

    Returns
    -------
    float
        The largest.

    Raises
    ------
    ValueError
        If one is negative or not finite, or there is none.
    TypeError
        If one is not a number.
    """
    values = as_plain(sigma, name)
    if hasattr(values, "columns"):
        raise TypeError(f"{name} must be a number, an array, a Series or a dict; got a table.")
    if isinstance(values, Mapping):
        values = list(values.values())
    try:
        array = np.asarray(values)
    except ValueError as error:  # rows of unequal length
        raise TypeError(f"{name} must be a number, an array of numbers, or numbers by label; got {sigma!r}.") from error
    if array.size == 0:
        raise ValueError(f"{name} is empty: give a number, or one for each channel.")
    about = f"every entry of {name}" if array.ndim else name
    for value in array.astype(object).ravel().tolist():
        NON_NEGATIVE.check(about, value)
    return float(array.max())


def noisy_inputs(X: Any, sigma: Any, rng: np.random.Generator, noise: str = "gaussian", *, name: str = "sigma") -> Any:
    """X plus independent noise. The result has the form of X, which is not changed.

    Sequences get the same noise whether they are an array, rows, a list, or a wide table.

    Parameters
    ----------
    X : array-like of shape (n, L, d) or (n, L * d), DataFrame of numbers, or list of n arrays (L_i, d)
    sigma : float, array-like, Series or dict
        Standard deviation: one number, one for each channel, or an array that broadcasts to X; for a list, to each of
        its sequences. Labels are those of the channels or columns of X.
    rng : numpy Generator
        Source of the noise.
    noise : str
        A key of `sklstm.noise.NOISES`.
    name : str
        Name of `sigma` in errors.

    Raises
    ------
    TypeError
        If X contains anything but numbers.
    ValueError
        If `sigma` does not broadcast to X, or its labels are not those of X.
    """
    sigma = sizes_by_position(sigma, X, name)
    sequences = None if hasattr(X, "columns") else sequences_in(X)
    # A nested list of numbers is read as one array.
    if sequences is not None and not (n_axes(sequences[0]) > 1 and isinstance(sequences[0], list | tuple)):
        return [noisy_inputs(entry, sigma, rng, noise, name=name) for entry in sequences]
    values = _numbers(X)
    sizes, order, shape = _sizes(sigma, X, values.shape, name)
    in_order = values if order is None else values[:, order]
    added = noise_of_kind(noise).draw_array(in_order.reshape(shape), sizes, rng).reshape(values.shape)
    return filled_like(X, values + (added if order is None else added[:, np.argsort(order)]))


def _numbers(X: Any) -> NDArray[Any]:
    values = np.asarray(as_plain(X))
    if values.dtype.kind == "O" and hasattr(X, "columns"):  # pandas' nullable numbers
        try:
            values = np.asarray(X, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise TypeError("noise can be added to numbers only; a column of X holds something else.") from error
    if values.dtype.kind not in "biuf":
        raise TypeError(f"noise can be added to numbers only; X holds {values.dtype}.")
    return values


def _sizes(
    sigma: Any, X: Any, shape: tuple[int, ...], name: str
) -> tuple[NDArray[np.float64], NDArray[np.int64] | None, tuple[int, ...]]:
    """Standard deviations in the shape of X folded, the columns of a wide table step by step, and that shape."""
    sizes = np.asarray(as_plain(sigma, name), dtype=np.float64)
    if sizes.ndim == 0:
        return np.full(shape, float(sizes)), None, shape
    order = None
    if is_wide(X):
        places = type(X)(np.arange(shape[1])[None], columns=X.columns)
        ordered, _, (_, *steps) = read_wide(places)
        order, shape = ordered.to_numpy()[0], (shape[0], *steps)
        if sizes.shape == order.shape:
            sizes = sizes[order].reshape(shape[1:])
    elif len(shape) == 2 and sizes.ndim == 1 and len(sizes) and shape[1] % len(sizes) == 0:
        shape = (shape[0], shape[1] // len(sizes), len(sizes))  # rows, all channels of the first step first
    try:
        return np.broadcast_to(sizes, shape), order, shape
    except ValueError as error:
        raise ValueError(
            f"{name} has shape {sizes.shape}, which does not broadcast to {shape}: give one number, or one for each "
            "channel."
        ) from error
