"""Sequences of unequal length as one array, and back."""

from collections.abc import Sequence
from numbers import Real
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sklstm._tables import as_plain, names_of_columns, read_entries
from sklstm._validation import is_integer
from sklstm.preprocessing._steps import edge_padding


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
    """Bring sequences to one length by adding steps of a constant.

    Parameters
    ----------
    sequences : list of n array-likes of shape (L_i, d)
        At least one sequence; every L_i must be at least 1.
    side : {"left", "right"}, default="left"
        Where steps are added: before the first step or after the last one.
    value : float, default=0.0
        Value of every channel in an added step; NaN is allowed.
    length : int, default=None
        Number of steps of each sequence in the result. It must be at least the length of the longest sequence, since
        nothing is cut off. None: exactly that length. Use the same length for training data and later data.
    return_mask : bool, default=False
        Also return which steps are not padding.

    Returns
    -------
    X : ndarray of shape (n, length, d)
        float32 if all sequences are float32, float64 otherwise; shares no memory with them.
    mask : ndarray of shape (n, length), bool
        True at the steps of the sequences, False at added steps; only if `return_mask`.

    Raises
    ------
    ValueError
        If a sequence does not have two axes, has no step, has another number of channels than the first, or is longer
        than `length`. Also if `side` is not one of the two values.
    TypeError
        If a sequence does not hold real numbers, `sequences` is one table, `value` is not a real number, or `length` is
        not an integer.

    See Also
    --------
    unpad_sequences : The inverse.
    SequenceScaler : Scales lists without padding, and padded arrays without changing the padding.

    Notes
    -----
    The state of a ReLU network without biases stays zero during zeros on the left. So ``NoisyRNNClassifier`` makes the
    same predictions with and without them. This does not hold for zeros on the right, or for networks with biases.

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
    if names_of_columns(sequences) is not None:
        raise TypeError(
            "sequences must be a list of arrays or tables, one for each sequence; got one table. read_sequences or "
            "SequencesFromTable makes sequences of it."
        )
    entries = read_entries(sequences, "sequences")
    dtype = _float_type(entries)
    lengths = np.array([len(entry) for entry in entries])
    n_steps = int(lengths.max()) if length is None else _checked_length(length, lengths)

    step = np.arange(n_steps)
    mask = step >= n_steps - lengths[:, None] if side == "left" else step < lengths[:, None]  # (n, n_steps)
    X = np.full((*mask.shape, entries[0].shape[1]), value, dtype=dtype)
    for row, real, entry in zip(X, mask, entries, strict=True):
        row[real] = entry
    return (X, mask) if return_mask else X


def unpad_sequences(X: ArrayLike, mask: ArrayLike | None = None, *, value: float = 0.0) -> list[NDArray]:
    """Remove the padding of sequences, the inverse of `pad_sequences`.

    Parameters
    ----------
    X : array-like of shape (n, L, d)
        Real numbers.
    mask : array-like of shape (n, L), bool, default=None
        True at the steps to keep. None: steps in which every channel is `value` are removed at the start and at the end
        of each sequence. This also removes such steps that are data.
    value : float, default=0.0
        Value of the padding, if there is no mask; NaN is allowed.

    Returns
    -------
    list of n ndarrays of shape (L_i, d)
        Copies, of the dtype of X.

    Raises
    ------
    ValueError
        If a shape is not one of the above, the mask does not hold bools, or no step of a sequence is left.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm.preprocessing import unpad_sequences
    >>> [sequence.ravel() for sequence in unpad_sequences([[[1.0], [0.0], [3.0]], [[0.0], [0.0], [4.0]]])]
    [array([1., 0., 3.]), array([4.])]
    """
    values = np.asarray(as_plain(X))
    if values.ndim != 3 or 0 in values.shape:
        raise ValueError(f"X must have shape (n, n_steps, n_channels), all at least 1; got {values.shape}")
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
        raise ValueError(f"X[{int(empty.argmax())}] holds nothing but padding: no step of it is left")
    return [sequence[kept] for sequence, kept in zip(values, keep, strict=True)]


def _float_type(entries: list[NDArray]) -> type:
    """float32 if all entries are float32, float64 for other real numbers."""
    for i, entry in enumerate(entries):
        if entry.dtype.kind not in "biufO":
            raise TypeError(f"sequences[{i}] must hold real numbers; got dtype {entry.dtype}")
    return np.float32 if all(entry.dtype == np.float32 for entry in entries) else np.float64


def _checked_length(length: int, lengths: NDArray[np.int64]) -> int:
    if not is_integer(length):
        raise TypeError(f"length must be an integer or None; got {length!r}")
    longest = int(lengths.argmax())
    if length < lengths[longest]:
        raise ValueError(
            f"sequences[{longest}] has {lengths[longest]} steps, more than length={length}. Keep the steps that "
            "matter, such as x[-length:], or give a larger length."
        )
    return int(length)
