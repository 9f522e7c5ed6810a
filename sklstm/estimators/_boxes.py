"""Boxes of inputs for certificates: sizes from users, ends around their sequences, in blocks."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch

from sklstm._sequences import Sequences, shape_as_given
from sklstm._tables import as_plain, n_axes


@dataclass(frozen=True)
class Boxes:
    """Boxes of inputs for a network.

    Attributes
    ----------
    low, high : Tensor of shape (m, L, d), float64
        The ends. Shorter sequences have zeros after their last step.
    lengths : Tensor of int64 of shape (m,) or None
        Lengths of the sequences; None if all have L steps.
    """

    low: torch.Tensor
    high: torch.Tensor
    lengths: torch.Tensor | None

    @classmethod
    def of(cls, low: np.ndarray, high: np.ndarray, lengths: np.ndarray) -> Self:
        """Build them from ends (S, d) in float64, all steps one after the other."""
        shape = (len(lengths), int(lengths.max()), low.shape[1])
        if (lengths == shape[1]).all():
            return cls(torch.from_numpy(low.reshape(shape)), torch.from_numpy(high.reshape(shape)), None)
        inside = np.arange(shape[1]) < lengths[:, None]
        padded = np.zeros((2, *shape))
        padded[:, inside] = low, high
        return cls(torch.from_numpy(padded[0]), torch.from_numpy(padded[1]), torch.from_numpy(lengths))

    def __len__(self) -> int:
        return len(self.low)

    def __getitem__(self, rows: np.ndarray) -> "Boxes":
        places = torch.from_numpy(rows)
        return Boxes(self.low[places], self.high[places], None if self.lengths is None else self.lengths[places])

    @property
    def are_points(self) -> np.ndarray:
        """Which boxes (m,) hold one input only."""
        return (self.low == self.high).flatten(1).all(dim=1).numpy()


# Function from indices (m,) of some sequences and radii (m,) to the boxes around them.
Ends = Callable[[np.ndarray, np.ndarray], Boxes]


@dataclass(frozen=True)
class Radii:
    """Radii of boxes around sequences.

    Attributes
    ----------
    each : ndarray or list of ndarray
        One for all, () or (d,), or (n, L, d), perhaps repeated without taking memory; or n arrays that broadcast to
        (L_i, d).
    largest : ndarray of shape (n,)
        The largest radius of each sequence.
    """

    each: np.ndarray | list[np.ndarray]
    largest: np.ndarray

    @classmethod
    def of(cls, estimator: Any, X: Any, sequences: Sequences, sizes: Any, name: str) -> Self:
        """Validate radii that a user has passed.

        Parameters
        ----------
        estimator : estimator
            The estimator that error messages name.
        X : array-like
            X as the caller passed it: its axes are those of the sizes.
        sequences : Sequences
            The same X, folded.
        sizes : float or array-like
            One number; one per channel (d,); for 2-D X one per column (L * d,); for 3-D X one per step and channel (L,
            d). Also an array with as many axes as X that broadcasts to its shape, or a list of n arrays that broadcast
            to (L_i, d).
        name : str
            Name of the sizes in error messages.

        Raises
        ------
        ValueError
            If an entry is negative or not finite, or the shape is none of the above.
        TypeError
            If the sizes are not numeric.
        """
        shape = shape_as_given(X, sequences)
        of_each = len(shape) == 3 and _is_list(sizes) and len(sizes) == len(sequences)
        if of_each or (sequences.lengths is not None and _is_list(sizes)):
            parts = [_checked(entry, f"{name}[{i}]") for i, entry in enumerate(sizes)]
            each = _per_sequence(estimator, parts, sequences, name)
            return cls(each, np.array([part.max() for part in each]))
        whole = _checked(sizes, name)
        if whole.shape in ((), sequences.shape[2:]):
            return cls(whole, np.full(len(sequences), whole.max()))
        if sequences.lengths is None:
            spread = _spread(estimator, whole, shape, sequences.shape, name)
            return cls(spread, spread.max(axis=(1, 2)))
        of_sequences = whole.ndim == 3 and whole.shape[0] in (1, len(sequences))
        parts = list(np.broadcast_to(whole, (len(sequences), *whole.shape[1:]))) if of_sequences else []
        each = _per_sequence(estimator, parts, sequences, name)
        return cls(each, np.array([part.max() for part in each]))

    def of_steps(self, rows: np.ndarray, lengths: np.ndarray, d: int) -> np.ndarray:
        """Radii (S, d) of some sequences of d channels and these lengths, all steps one after the other."""
        if isinstance(self.each, list):
            parts = zip(rows, lengths, strict=True)
            return np.concatenate([np.broadcast_to(self.each[row], (length, d)) for row, length in parts])
        return np.broadcast_to(self.each, (lengths.sum(), d)) if self.each.ndim < 3 else self.each[rows].reshape(-1, d)


def ends_of(X: np.ndarray, radii: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ends of X ± radii in float64, rounded outwards where the radius is not zero."""
    X = np.asarray(X, dtype=np.float64)
    lower = np.where(radii > 0, np.nextafter(X - radii, -np.inf), X)
    upper = np.where(radii > 0, np.nextafter(X + radii, np.inf), X)
    return lower, upper


def _checked(eps: Any, name: str) -> np.ndarray:
    try:
        radii = np.asarray(as_plain(eps))
    except ValueError as error:  # rows of unequal length
        raise TypeError(f"{name} must be a number or an array of numbers, got {eps!r}.") from error
    if radii.dtype.kind not in "iuf":
        raise TypeError(f"{name} must be a number or an array of numbers, got {eps!r}.")
    radii = radii.astype(np.float64)
    wrong = np.argwhere(~(np.isfinite(radii) & (radii >= 0)))
    if len(wrong):
        place = tuple(wrong[0].tolist())
        where = f" at {list(place)}" if place else ""
        raise ValueError(
            f"{name} must be finite and not negative, got {radii[place]:.6g}{where}. Give 0 for exact values, and an "
            "upper bound on the error for values that are not exact."
        )
    return radii


def _per_sequence(estimator: Any, radii: list[np.ndarray], sequences: Sequences, name: str) -> list[np.ndarray]:
    """One array of radii for each sequence, if they broadcast to the shapes (L_i, d)."""
    n, longest, d = sequences.shape
    lengths = [longest] * n if sequences.lengths is None else sequences.lengths
    fits = len(radii) == n and all(
        part.ndim == 2 and part.shape[0] in (1, length) and part.shape[1] in (1, d)
        for part, length in zip(radii, lengths, strict=True)
    )
    if not fits:
        of_lengths = "" if sequences.lengths is None else " of unequal length"
        raise ValueError(
            f"{name} does not fit {n} sequences{of_lengths}. {type(estimator).__name__} takes one number, ({d},) per "
            f"channel, or ({n}, 1, 1) or ({n}, 1, {d}) per sequence. It also takes a list of {n} arrays of the shapes "
            "of the sequences, in which axes may be 1."
        )
    return radii


def _is_list(eps: Any) -> bool:
    """Whether eps has an array (L_i, d) for each sequence."""
    return isinstance(eps, list | tuple) and any(n_axes(entry) == 2 for entry in eps)


def _spread(
    estimator: Any, radii: np.ndarray, X_shape: tuple[int, ...], folded_shape: tuple[int, int, int], name: str
) -> np.ndarray:
    _, n_steps, n_channels = folded_shape
    if len(X_shape) == 3 and radii.shape == (n_steps, n_channels):
        return np.broadcast_to(radii, folded_shape)
    if len(X_shape) == 2 and radii.shape == X_shape[1:]:
        return np.broadcast_to(radii.reshape(n_steps, n_channels), folded_shape)
    if radii.ndim == len(X_shape) and all(size in (1, full) for size, full in zip(radii.shape, X_shape, strict=True)):
        return np.broadcast_to(radii, X_shape).reshape(folded_shape)
    columns = f"({n_steps * n_channels},) per column" if len(X_shape) == 2 else f"({n_steps}, {n_channels})"
    raise ValueError(
        f"{name} has shape {radii.shape}. {type(estimator).__name__} takes one number, ({n_channels},) per channel, "
        f"{columns}, or the shape of X, {tuple(X_shape)}, in which axes may be 1."
    )
