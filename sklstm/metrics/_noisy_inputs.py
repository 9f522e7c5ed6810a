"""Noise on inputs in any form in which users have sequences."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklstm._tables import as_plain, filled_like, is_wide, n_axes, names_of_columns, read_wide, sequences_in
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
        its sequences. With labels and a table, those of its channels or columns.
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
    by_label = _by_label(sigma, X, name)
    if by_label is None and np.ndim(as_plain(sigma, name)) == 0:
        return np.full(shape, float(sigma)), None, shape
    columns, channels, order = names_of_columns(X) or [], [], None
    if is_wide(X):
        places = type(X)(np.arange(shape[1])[None], columns=X.columns)
        ordered, head, (_, *steps) = read_wide(places)
        order, channels = ordered.to_numpy()[0], list(head.columns)
        columns, shape = [columns[place] for place in order], (shape[0], *steps)
    if by_label is None:
        sizes = np.asarray(as_plain(sigma, name), dtype=np.float64)
        if order is not None and sizes.shape == order.shape:
            sizes = sizes[order]
    else:
        known = next((labels for labels in (channels, columns) if set(labels) == set(by_label)), None)
        if known is None or len(known) != len(by_label):
            raise ValueError(
                f"{name} is labelled {list(by_label)[:5]}, X {(channels or columns)[:5]}: the labels must be the "
                "channels of X, each once. Give an array for sizes by position."
            )
        sizes = np.array([by_label[label] for label in known], dtype=np.float64)
    if order is not None and sizes.shape == order.shape:
        sizes = sizes.reshape(shape[1:])
    elif len(shape) == 2 and sizes.ndim == 1 and len(sizes) and shape[1] % len(sizes) == 0:
        shape = (shape[0], shape[1] // len(sizes), len(sizes))  # rows, all channels of the first step first
    try:
        return np.broadcast_to(sizes, shape), order, shape
    except ValueError as error:
        raise ValueError(
            f"{name} has shape {sizes.shape}, which does not broadcast to {shape}: give one number, or one for each "
            "channel."
        ) from error


def _by_label(sigma: Any, X: Any, name: str) -> dict[Any, float] | None:
    """Standard deviations by label; None if they are numbers by position, as a Series is beside an X without labels."""
    labelled = names_of_columns(X) is not None
    if isinstance(sigma, Mapping):
        if not labelled:
            raise ValueError(f"{name} has labels, {list(sigma)[:5]}, but X has none. Give an array in the order of X.")
        return dict(sigma)
    is_series = hasattr(sigma, "index") and hasattr(sigma, "to_numpy")
    if not (labelled and is_series) or list(sigma.index) == list(range(len(sigma))):
        return None
    if not sigma.index.is_unique:
        raise ValueError(f"{name} has a label twice: {list(sigma.index)[:5]}.")
    return dict(zip(sigma.index, sigma.to_numpy(), strict=True))
