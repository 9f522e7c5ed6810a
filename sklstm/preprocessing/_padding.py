"""Sequences of unequal length as one array, and back."""

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sklstm._entries import as_plain, read_entries
from sklstm.preprocessing._sequences import edge_padding


@overload
def pad_sequences(
    sequences: Sequence[Any],
    *,
    side: str = "left",
    value: float = 0.0,
    length: int | None = None,
    return_mask: Literal[False] = False,
) -> NDArray: ...
@overload
def pad_sequences(
    sequences: Sequence[Any],
    *,
    side: str = "left",
    value: float = 0.0,
    length: int | None = None,
    return_mask: Literal[True],
) -> tuple[NDArray, NDArray[np.bool_]]: ...
def pad_sequences(
    sequences: Sequence[Any],
    *,
    side: str = "left",
    value: float = 0.0,
    length: int | None = None,
    return_mask: bool = False,
) -> NDArray | tuple[NDArray, NDArray[np.bool_]]:
    """Bring sequences to one length by steps of a constant.

    Parameters
    ----------
    sequences : list of n array-likes of shape (L_i, d)
        At least one; every L_i at least 1.
    side : {"left", "right"}, default="left"
        Where the added steps go: before the first step or after the last one.
    value : float, default=0.0
        Value of every channel of an added step; NaN is allowed.
    length : int, default=None
        Steps of the result, at least as many as the longest sequence has; None for exactly as many. Nothing is cut
        off. Give training and later data the same.
    return_mask : bool, default=False
        Return which steps are real as well.

    Returns
    -------
    X : ndarray of shape (n, length, d)
        float32 if all sequences are, float64 otherwise; shares no memory with them.
    mask : ndarray of shape (n, length), bool
        True at the steps of the sequences; only if `return_mask`.

    Raises
    ------
    ValueError
        If a sequence has not two axes, no step, or another d than the first, or is longer than `length`; if `side` is
        neither of the two.
    TypeError
        If a sequence is not of real numbers, or `value` or `length` is not a number of its kind.

    See Also
    --------
    unpad_sequences : The way back.
    SequenceScaler : Scales lists as they are, and padded arrays without moving the padding.

    Notes
    -----
    Zeros on the left leave a ReLU network without biases at rest until the first real step, so that
    ``NoisyRNNClassifier`` predicts the same with them and without. This holds neither on the right nor for networks
    with biases.

    Examples
    --------
    >>> from sklstm.preprocessing import pad_sequences
    >>> X, mask = pad_sequences([[[1.0], [2.0], [3.0]], [[4.0]]], return_mask=True)
    >>> X[:, :, 0]
    array([[1., 2., 3.],
           [0., 0., 4.]])
    >>> mask[1]
    array([False, False,  True])
    """
    if side not in ("left", "right"):
        raise ValueError(f'side must be "left" or "right"; got {side!r}')
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"value must be a number; got {value!r}")
    entries = read_entries(sequences, "sequences")
    dtype = _float_type(entries)
    lengths = np.array([len(entry) for entry in entries])
    n_steps = int(lengths.max()) if length is None else _checked_length(length, lengths)

    X = np.full((len(entries), n_steps, entries[0].shape[1]), value, dtype=dtype)
    for row, entry in zip(X, entries, strict=True):
        row[_place(len(entry), n_steps, side)] = entry
    if not return_mask:
        return X
    step = np.arange(n_steps)
    mask = step >= n_steps - lengths[:, None] if side == "left" else step < lengths[:, None]
    return X, mask


def unpad_sequences(X: ArrayLike, mask: ArrayLike | None = None, *, value: float = 0.0) -> list[NDArray]:
    """Take padded sequences apart again.

    Parameters
    ----------
    X : array-like of shape (n, L, d)
        Real numbers.
    mask : array-like of shape (n, L), bool, default=None
        True at the steps to keep. None: the steps at the start and at the end of each sequence in which every channel
        is `value` are dropped, which also drops a first or last step of the sequence that happens to be.
    value : float, default=0.0
        Value of padding where there is no mask; NaN is allowed.

    Returns
    -------
    list of n ndarrays of shape (L_i, d)
        Copies, of the dtype of X.

    Raises
    ------
    ValueError
        If a shape is none of the above, the mask is not of bools, or nothing is left of a sequence.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm.preprocessing import unpad_sequences
    >>> [sequence.ravel() for sequence in unpad_sequences([[[1.0], [0.0], [3.0]], [[0.0], [0.0], [4.0]]])]
    [array([1., 0., 3.]), array([4.])]
    """
    values = np.asarray(as_plain(X))
    if values.ndim != 3 or 0 in values.shape:
        raise ValueError(f"X must have shape (n, n_steps, n_channels), none of them 0; got {values.shape}")
    if values.dtype.kind not in "biuf":
        raise ValueError(f"X must hold real numbers; got dtype {values.dtype}")
    n, n_steps, d = values.shape
    if mask is None:
        padding = edge_padding(values.reshape(-1, d), np.full(n, n_steps), value)
        keep = ~padding.reshape(n, n_steps)
    else:
        keep = np.asarray(as_plain(mask))
        if keep.shape != (n, n_steps) or keep.dtype != bool:
            raise ValueError(
                f"mask must hold bools in shape {(n, n_steps)}, one for each step of X; got {keep.dtype} in shape "
                f"{keep.shape}"
            )
    empty = ~keep.any(axis=1)
    if empty.any():
        raise ValueError(f"X[{int(empty.argmax())}] is padding from end to end: no step of it is left")
    return [sequence[kept] for sequence, kept in zip(values, keep, strict=True)]


def _place(n: int, n_steps: int, side: str) -> slice:
    return slice(n_steps - n, None) if side == "left" else slice(n)


def _float_type(entries: list[NDArray]) -> type:
    """float32 if all are, float64 for other real numbers."""
    for i, entry in enumerate(entries):
        if entry.dtype.kind not in "biufO":
            raise TypeError(f"sequences[{i}] must hold real numbers; got dtype {entry.dtype}")
    return np.float32 if all(entry.dtype == np.float32 for entry in entries) else np.float64


def _checked_length(length: int, lengths: NDArray[np.int64]) -> int:
    if isinstance(length, bool) or not isinstance(length, Integral):
        raise TypeError(f"length must be an integer or None; got {length!r}")
    longest = int(lengths.argmax())
    if length < lengths[longest]:
        raise ValueError(
            f"sequences[{longest}] has {lengths[longest]} steps, more than length={length}. Cut it to the steps that "
            "matter, such as x[-length:], or raise length."
        )
    return int(length)
