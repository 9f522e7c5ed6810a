"""Lists of sequences, and what their entries may be."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import check_array

__all__ = ["as_plain", "n_axes", "one_set_of_names", "read_entries", "sequences_in", "swapped"]

_FLOATS: dict[str, Any] = {"dtype": [np.float64, np.float32], "ensure_all_finite": False}


def as_plain(values: Any, name: str = "X") -> Any:
    """Tensors as arrays, whatever device or graph they belong to; anything else as it is.

    Raises
    ------
    TypeError
        For a tensor that has no values here or that numpy has no type for.
    """
    if not isinstance(values, torch.Tensor):
        return values
    try:
        values = values.detach().cpu()
        small = values.is_floating_point() and values.dtype not in (torch.float16, torch.float32, torch.float64)
        return (values.float() if small else values).numpy()
    except (TypeError, NotImplementedError, RuntimeError) as error:
        raise TypeError(
            f"{name} is a tensor of {values.dtype} on {values.device} that numpy cannot hold. Pass a dense tensor of "
            "float32 or float64 with its values in memory."
        ) from error


def sequences_in(X: Any) -> list | None:
    """The sequences of a list, tuple, object array, Series or nested tensor; None for numbers, rows and arrays."""
    if isinstance(X, torch.Tensor):
        return list(X.unbind()) if X.is_nested else None
    of_objects = getattr(getattr(X, "dtype", None), "kind", "") == "O" and getattr(X, "ndim", None) == 1
    if not (isinstance(X, list | tuple) or of_objects) or len(X) == 0:
        return None
    entries = list(X)
    axes = n_axes(entries[0])
    if axes == 1 and not of_objects:
        # Rows of one length are the table that scikit-learn reads; of several lengths, they are refused as sequences.
        unequal = all(n_axes(row) == 1 for row in entries) and len({len(row) for row in entries}) > 1
        return entries if unequal else None
    return entries if axes >= (1 if of_objects else 2) else None


def n_axes(entry: Any) -> int:
    """Number of axes of an array-like; of nested lists of unequal length, those that are regular."""
    ndim = getattr(entry, "ndim", None)
    if ndim is not None:
        return int(ndim)
    if isinstance(entry, list | tuple):
        return 1 + (n_axes(entry[0]) if entry else 0)
    return np.asarray(entry).ndim  # not np.ndim: an object may offer __array__ and nothing else


def read_entries(sequences: Sequence[Any], name: str = "X") -> list[NDArray]:
    """Entries of a list as arrays of shape (L_i, d), of one d; they may be views of the arguments.

    Raises
    ------
    ValueError
        If there is none, or one has not two axes, no step, no channel, or another number of channels than the first.
    """
    arrays: list[NDArray] = []
    for i, entry in enumerate(sequences):
        try:
            # A frame may have nullable columns, which scikit-learn knows how to read.
            array = check_array(entry, **_FLOATS) if hasattr(entry, "columns") else np.asarray(as_plain(entry))
        except ValueError as error:
            raise ValueError(
                f"{name}[{i}] is not an array of numbers of shape (n_steps, n_channels): {error}"
            ) from error
        if array.ndim != 2:
            hint = " A sequence of one channel has shape (n_steps, 1): x.reshape(-1, 1)." if array.ndim == 1 else ""
            raise ValueError(
                f"{name}[{i}] has shape {array.shape}; every sequence of the list must have shape "
                f"(n_steps, n_channels).{hint}"
            )
        if 0 in array.shape:
            raise ValueError(
                f"{name}[{i}] has {array.shape[0]} time steps and {array.shape[1]} channels; a sequence needs at least "
                "one of each."
            )
        if arrays and array.shape[1] != arrays[0].shape[1]:
            expected = arrays[0].shape[1]
            raise ValueError(
                f"{name}[{i}] has {array.shape[1]} channels (shape {array.shape}, read as (n_steps, n_channels)), but "
                f"{name}[0] has {expected}.{swapped(array.shape[0], expected)}"
            )
        arrays.append(array)
    if not arrays:
        raise ValueError(f"{name} holds no sequence.")
    return arrays


def swapped(n_steps: int, expected: int) -> str:
    """What to add to an error about channels when the other axis has the number of channels expected."""
    return " The time and channel axes look swapped." if n_steps == expected else ""


def one_set_of_names(sequences: Sequence[Any]) -> bool:
    """Whether the entries are frames, of the same columns in the same order; ``ValueError`` if only some are."""
    first = _names(sequences[0])
    for i, names in enumerate(map(_names, sequences)):
        if names != first:
            raise ValueError(f"X[{i}] has columns {names}, but X[0] has {first}: give every sequence the same columns.")
    return first is not None


def _names(entry: Any) -> list | None:
    columns = getattr(entry, "columns", None)
    return None if columns is None else list(columns)
