"""Sizes of perturbations, as users give them, for the sequences that they belong to; and the largest that is safe."""

from collections.abc import Callable
from typing import Any

import numpy as np

from sklstm._sequences import Ragged, shape_as_given
from sklstm._tables import as_plain, is_wide, read_wide

__all__ = ["boxes_around", "ends_of", "in_order", "largest_radii"]


def ends_of(X: np.ndarray, radii: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ends of X ± radii in float64, rounded outwards where the radius is not zero."""
    X = np.asarray(X, dtype=np.float64)
    lower = np.where(radii > 0, np.nextafter(X - radii, -np.inf), X)
    upper = np.where(radii > 0, np.nextafter(X + radii, np.inf), X)
    return lower, upper


def boxes_around(
    estimator: Any, X: Any, sequences: np.ndarray | Ragged, eps: Any
) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Sequences and the radii of the boxes around them, validated; those of one length together.

    Parameters
    ----------
    estimator : estimator
        Named in error messages.
    X : array-like
        As the caller passed it: its axes are those of ``eps``.
    sequences : ndarray of shape (n, L, d) or Ragged
        The same, folded.
    eps : float or array-like
        One number; one per channel (d,); for 2-D X one per column (L * d,), for 3-D X one per step and channel (L, d);
        an array with as many axes as X that broadcasts to its shape; for sequences of unequal length a list of n arrays
        that broadcast to (L_i, d).

    Returns
    -------
    list of (rows, sequences, radii)
        Indices (m,), and two arrays (m, L, d), the radii in float64.

    Raises
    ------
    ValueError
        If an entry is negative or not finite, or the shape is none of the above.
    TypeError
        If eps is not numeric.
    """
    eps = in_order(eps, X)
    if not isinstance(sequences, Ragged):
        radii = _spread(estimator, _checked(eps), shape_as_given(X, sequences), sequences.shape)
        return [(np.arange(len(sequences)), sequences, radii)]
    every = _per_sequence(estimator, eps, sequences)
    return [
        (rows, part, np.stack([np.broadcast_to(every[row], part.shape[1:]) for row in rows]))
        for rows, part in sequences.by_length()
    ]


def in_order(eps: Any, X: Any, *, wide: bool = True) -> Any:
    """Sizes as an array; labelled ones beside a table with their labels in the order of its columns.

    Parameters
    ----------
    eps, X : array-like
        As the caller gave them.
    wide : bool
        Whether columns of two levels are read as times and channels, which gives them an order of their own.

    Raises
    ------
    ValueError
        If both have labels, and not the same ones.
    """
    labelled = hasattr(eps, "index") and hasattr(eps, "to_numpy")
    if not labelled or not hasattr(X, "columns"):
        return eps
    ordered, _, shape = read_wide(X) if wide and is_wide(X) else (X, None, ())
    columns = ordered.columns
    table = hasattr(eps, "columns")
    labels = eps.columns if table else eps.index
    if not _counted(labels):
        if len(labels) != len(columns) or set(labels) != set(columns):
            raise ValueError(
                f"eps is labelled {list(labels)[:5]}, X {list(columns)[:5]}: the labels must be the columns of X, each "
                "once. Give an array for sizes by position."
            )
        eps = eps[list(columns)] if table else eps.loc[list(columns)]
    rows_differ = table and len(eps) == len(X) and hasattr(X, "index") and not eps.index.equals(X.index)
    if rows_differ and not _counted(eps.index):
        raise ValueError("eps has other labels of rows than X. Give an array for sizes by position.")
    sizes = eps.to_numpy()
    return sizes.reshape((*sizes.shape[:-1], *shape[1:])) if shape else sizes


def _counted(labels: Any) -> bool:
    """Whether labels are no more than positions."""
    return list(labels) == list(range(len(labels)))


def _checked(eps: Any) -> np.ndarray:
    try:
        radii = np.asarray(as_plain(eps))
    except ValueError as error:  # rows of unequal length
        raise TypeError(f"eps must be a number or an array of numbers, got {eps!r}.") from error
    if radii.dtype.kind not in "iuf":
        raise TypeError(f"eps must be a number or an array of numbers, got {eps!r}.")
    radii = radii.astype(np.float64)
    if not np.isfinite(radii).all():
        raise ValueError("eps must be finite: it holds NaN or infinity.")
    if (radii < 0).any():
        raise ValueError(f"eps must not be negative, got a smallest value of {radii.min():.6g}.")
    return radii


def _per_sequence(estimator: Any, eps: Any, sequences: Ragged) -> list[np.ndarray]:
    """One array of radii for each sequence, which broadcasts to its shape (L_i, d)."""
    n, _, d = sequences.shape
    if isinstance(eps, list | tuple) and any(np.ndim(as_plain(entry)) == 2 for entry in eps):
        radii = [_checked(entry) for entry in eps]
    else:
        whole = _checked(eps)
        if whole.shape in ((), (d,)):
            return [whole] * n
        if whole.ndim == 3 and whole.shape[0] in (1, n):
            whole = np.broadcast_to(whole, (n, *whole.shape[1:]))
        radii = list(whole) if whole.ndim == 3 else []
    fits = len(radii) == n and all(
        part.ndim == 2 and part.shape[0] in (1, length) and part.shape[1] in (1, d)
        for part, length in zip(radii, sequences.lengths, strict=True)
    )
    if not fits:
        raise ValueError(
            f"eps does not fit {n} sequences of unequal length: {type(estimator).__name__} takes one number, ({d},) "
            f"per channel, ({n}, 1, 1) or ({n}, 1, {d}) per sequence, or a list of {n} arrays of the shapes of the "
            "sequences, in which axes may be 1."
        )
    return radii


def _spread(
    estimator: Any, radii: np.ndarray, X_shape: tuple[int, ...], folded_shape: tuple[int, int, int]
) -> np.ndarray:
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


def largest_radii(holds: Callable[[np.ndarray, np.ndarray], np.ndarray], scale: np.ndarray, rtol: float) -> np.ndarray:
    """The largest radius at which something holds, within a factor of 1 + rtol, found by bisection; for each sample.

    Parameters
    ----------
    holds : callable
        From indices (m,) of samples and radii (m,) to booleans (m,).
    scale : ndarray of shape (n,)
        Sizes of the samples, not negative; 0 counts as 1.
    rtol : float

    Returns
    -------
    ndarray of shape (n,)
        0 where it does not hold at a billionth of the size; at most about a million times the size.
    """
    scale = np.where(scale == 0, 1, scale)
    n = len(scale)
    smallest, largest = 1e-9 * scale, np.minimum(1e6 * scale, 1e37)
    lower, upper = np.zeros(n), np.full(n, np.inf)
    eps = 1e-2 * scale
    active = np.arange(n)
    while len(active):
        at = eps[active]
        held = holds(active, at)
        lower[active] = np.where(held, at, lower[active])
        upper[active] = np.where(held, upper[active], at)
        low, high = lower[active], upper[active]
        # Bracket by factors of four, then halve the bracket.
        eps[active] = np.where(high == np.inf, 4 * low, np.where(low == 0, high / 4, (low + high) / 2))
        done = (high <= (1 + rtol) * low) | (high < smallest[active]) | (low > largest[active])
        active = active[~done]
    return lower
