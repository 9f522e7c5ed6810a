"""Utterances of nine speakers, sequences of unequal length."""

from typing import Literal, overload

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import Bunch

from sklstm.datasets._io import read_archive, read_description, unpack_columns, unpack_feature_names

Subset = Literal["train", "test", "all"]
Padded = NDArray[np.float64]
Ragged = list[NDArray[np.float64]]
Labels = NDArray[np.int64]


@overload
def load_japanese_vowels(
    *, subset: Subset = "train", padded: bool = True, return_X_y: Literal[False] = False
) -> Bunch: ...
@overload
def load_japanese_vowels(
    *, subset: Subset = "train", padded: Literal[True] = True, return_X_y: Literal[True]
) -> tuple[Padded, Labels]: ...
@overload
def load_japanese_vowels(
    *, subset: Subset = "train", padded: Literal[False], return_X_y: Literal[True]
) -> tuple[Ragged, Labels]: ...
def load_japanese_vowels(
    *, subset: Subset = "train", padded: bool = True, return_X_y: bool = False
) -> Bunch | tuple[Padded | Ragged, Labels]:
    r"""Load the Japanese vowels data (classification of sequences of unequal length).

    Nine male speakers utter the vowels /ae/; an utterance is a sequence of 7 to 29 frames of 12 LPC cepstrum
    coefficients, and the task is to tell the speaker [1]_ [2]_. Values are as in the source, not scaled.

    Parameters
    ----------
    subset : {"train", "test", "all"}, default="train"
        The 270 training sequences (30 of each speaker), the 370 test sequences (24 to 88 of each), or both,
        in that order. The split is the source's; the test utterances come from other occasions.
    padded : bool, default=True
        Whether `data` is one array, with zeros before the first frame of each sequence up to 29 frames in
        all, or a list of arrays of the sequences' own lengths.
    return_X_y : bool, default=False
        Return ``(data, target)`` in place of the Bunch.

    Returns
    -------
    Bunch or (data, target)
        Dictionary-like, with the attributes

        data : ndarray of shape (n, 29, 12), or list of n ndarrays of shape (length, 12), float64
            The sequences; ``data[i, 29 - lengths[i]:]`` if padded are the frames of sequence i.
        target : ndarray of shape (n,), int64
            Speaker, 1 to 9.
        lengths : ndarray of shape (n,), int64
            Frames in each sequence, 7 to 29.
        feature_names : list of str
            ``"cepstrum_1"`` to ``"cepstrum_12"``.
        target_names : list of str
            ``"speaker_1"`` to ``"speaker_9"``.
        DESCR : str
            Source, citation and licence.

    Raises
    ------
    ValueError
        If `subset` is none of the three.

    Notes
    -----
    The zeros stand on the left because a ReLU network without biases,

    .. math:: h_t = \mathrm{ReLU}(W h_{t-1} + U x_t), \qquad h_0 = 0,

    stays at zero for as long as its input is zero: its output on the padded sequence is that on the
    sequence itself. This does not hold for zeros on the right, for a network with biases, or after a
    scaling that moves zero: scale by division alone, or before padding.

    The data are licensed under CC BY 4.0.

    References
    ----------
    .. [1] Kudo, M., Toyama, J. and Shimbo, M. (1999). Japanese Vowels [Dataset]. UCI Machine Learning
       Repository. https://doi.org/10.24432/C5NS47
    .. [2] Kudo, M., Toyama, J. and Shimbo, M. (1999). Multidimensional curve classification using
       passing-through regions. Pattern Recognition Letters 20 (11-13), 1103-1111.

    Examples
    --------
    >>> from sklstm.datasets import load_japanese_vowels
    >>> X_train, y_train = load_japanese_vowels(return_X_y=True)
    >>> X_test, y_test = load_japanese_vowels(subset="test", return_X_y=True)
    >>> X_train.shape, X_test.shape
    ((270, 29, 12), (370, 29, 12))
    >>> ragged = load_japanese_vowels(padded=False)
    >>> [sequence.shape for sequence in ragged.data[:3]]
    [(20, 12), (26, 12), (22, 12)]
    """
    if subset not in ("train", "test", "all"):
        raise ValueError(f'subset must be "train", "test" or "all"; got {subset!r}')
    archive = read_archive("japanese_vowels")
    n_train = int(archive["n_train"])
    chosen = {"train": slice(0, n_train), "test": slice(n_train, None), "all": slice(None)}[subset]

    lengths = archive["lengths"].astype(np.int64)
    frames = np.split(unpack_columns(archive), np.cumsum(lengths)[:-1])  # 640 arrays (length, 12)
    sequences = [sequence.copy() for sequence in frames[chosen]]
    # 29 frames, the longest of both subsets, so that train and test sequences have one shape.
    data = _pad_left(sequences, int(lengths.max())) if padded else sequences
    target = archive["labels"].astype(np.int64)[chosen].copy()
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        lengths=lengths[chosen].copy(),
        feature_names=unpack_feature_names(archive),
        target_names=[f"speaker_{speaker}" for speaker in range(1, 10)],
        DESCR=read_description("japanese_vowels"),
    )


def _pad_left(sequences: Ragged, n_steps: int) -> Padded:
    """Sequences (L_i, d) as one array (n, n_steps, d), zeros before the first step of each."""
    padded = np.zeros((len(sequences), n_steps, sequences[0].shape[1]))
    for row, sequence in zip(padded, sequences, strict=True):
        row[n_steps - len(sequence) :] = sequence
    return padded
