"""Film reviews as sequences of word vectors, read from files that you have."""

import re
from collections.abc import Iterator
from os import PathLike, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import Bunch

Subset = Literal["train", "test", "all"]
_MEMBERS = ("tokens", "length", "labels", "is_train", "embedding")
_WORD = re.compile(r"[a-z0-9]+(?:'[a-z]+)?|[.,!?;:()\"]")
_DESCRIPTION = """IMDB film reviews as GloVe word vectors

50,000 reviews, half of them for training, half positive (Maas et al. 2011, "Learning Word Vectors for Sentiment
Analysis", ACL; for research use, not shipped with this package). Word vectors: GloVe (Pennington, Socher & Manning
2014, EMNLP; public domain dedication and licence 1.0). A review is the sequence of its first words. Words that have
no vector are skipped. Shorter reviews have zeros before their first word.
"""


def load_imdb(
    path: str | PathLike,
    *,
    n_steps: int = 100,
    subset: Subset = "train",
    embed: bool = True,
    return_X_y: bool = False,
) -> Bunch | tuple[NDArray, NDArray[np.int64]]:
    """Load film reviews from an archive made by :func:`prepare_imdb`.

    Parameters
    ----------
    path : str or path-like
        An ``.npz`` archive with five members. ``tokens`` (n, T) are integers padded on the left with 0, and ``length``
        (n,) their numbers. ``labels`` (n,) are 1 for a positive review, and ``is_train`` (n,) are booleans.
        ``embedding`` (V, d) has zeros in row 0.
    n_steps : int, default=100
        Number of words L of each review to load, the first ones; at most T.
    subset : {"train", "test", "all"}, default="train"
        Which reviews are loaded; the split is that of the source.
    embed : bool, default=True
        True: `data` holds word vectors and takes 4·n·L·d bytes. False: `data` holds the numbers of the words.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of the Bunch.

    Returns
    -------
    Bunch or (data, target)
        Dictionary-like, with the attributes

        data : ndarray of shape (n, L, d), float32, or of shape (n, L), int32
            Word vectors, or the rows of `embedding` that hold them. A review of fewer than L words has zeros before its
            first word.
        target : ndarray of shape (n,), int64
            1 for a positive review, 0 for a negative one.
        lengths : ndarray of shape (n,), int64
            Number of words in each sequence, at most L.
        embedding : ndarray of shape (V, d), float32
            Vectors of the words; row 0 is the padding and holds zeros.
        target_names : list of str
            ``["negative", "positive"]``.
        DESCR : str
            Source and licence.

    Raises
    ------
    ValueError
        If a member of the archive is missing, the members do not fit together, or a parameter is out of range.
    FileNotFoundError
        If there is no such file.

    Examples
    --------
    An archive of two reviews, which consist of the words 1 and 2:

    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from sklstm.datasets import load_imdb
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(
    ...         Path(folder) / "tiny.npz",
    ...         tokens=[[0, 1, 2], [2, 2, 1]],  # the first has two words, after a 0
    ...         length=[2, 3],
    ...         labels=[1, 0],
    ...         is_train=[True, True],
    ...         embedding=[[0.0], [0.5], [-0.5]],
    ...     )
    ...     reviews = load_imdb(Path(folder) / "tiny.npz", n_steps=3)
    >>> reviews.data[:, :, 0].tolist()
    [[0.0, 0.5, -0.5], [-0.5, -0.5, 0.5]]
    >>> [reviews.target_names[label] for label in reviews.target]
    ['positive', 'negative']
    """
    if subset not in ("train", "test", "all"):
        raise ValueError(f'subset must be "train", "test" or "all"; got {subset!r}')
    archive = _read(path)
    longest = archive["tokens"].shape[1]
    if not (isinstance(n_steps, int | np.integer) and 1 <= n_steps <= longest):
        raise ValueError(f"n_steps must be an integer from 1 to {longest}, the words kept in {path}; got {n_steps!r}")
    is_train = archive["is_train"].astype(bool)
    rows = {"train": is_train, "test": ~is_train, "all": np.ones_like(is_train)}[subset]
    tokens, lengths = _first(archive["tokens"][rows], archive["length"][rows].astype(np.int64), int(n_steps))
    target = archive["labels"][rows].astype(np.int64)
    embedding = archive["embedding"].astype(np.float32)
    data = embedding[tokens] if embed else tokens
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        lengths=lengths,
        embedding=embedding,
        target_names=["negative", "positive"],
        DESCR=_DESCRIPTION,
    )


def prepare_imdb(
    reviews: str | PathLike, vectors: str | PathLike, destination: str | PathLike, *, n_tokens: int = 300
) -> Path:
    """Write the archive that :func:`load_imdb` reads.

    The reviews and the word vectors are read in the form in which their authors publish them.

    Parameters
    ----------
    reviews : str or path-like
        The folder ``aclImdb`` with ``train/pos``, ``train/neg``, ``test/pos`` and ``test/neg``; each review is
        one text file.
    vectors : str or path-like
        A GloVe text file; each line is a word and its numbers. ``glove.6B.50d.txt`` has the paper's 50 dimensions.
    destination : str or path-like
        The ``.npz`` file to write. An incomplete file never has this name.
    n_tokens : int, default=300
        Number of words to keep of each review.

    Returns
    -------
    Path
        `destination`.

    Raises
    ------
    ValueError
        If a folder holds no review, or a line of `vectors` is not a word followed by as many numbers as in the first
        line.
    FileNotFoundError
        If a folder or file is missing.

    Notes
    -----
    Text is converted to lower case, and tags are removed. A word is a run of letters and digits, with an apostrophe and
    what follows it, or a single punctuation mark. If a word has no vector, it is looked up again without the apostrophe
    and what follows ("film's" becomes "film"). If that has no vector either, the word is skipped and not counted.

    Examples
    --------
    Four reviews and three word vectors, in files like those of their authors:

    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklstm.datasets import load_imdb, prepare_imdb
    >>> with tempfile.TemporaryDirectory() as name:
    ...     folder = Path(name)
    ...     for part in ("train", "test"):
    ...         for label, text in (("pos", "Great!"), ("neg", "Bad.<br />")):
    ...             (folder / part / label).mkdir(parents=True)
    ...             _ = (folder / part / label / "0.txt").write_text(text)
    ...     with open(folder / "glove.txt", "w") as file:
    ...         print("great 1 0", "bad -1 0", "! 0 1", sep=chr(10), file=file)
    ...     archive = prepare_imdb(folder, folder / "glove.txt", folder / "imdb.npz", n_tokens=2)
    ...     train = load_imdb(archive, n_steps=2)
    >>> train.target.tolist(), train.lengths.tolist()  # "." has no vector and is skipped
    ([0, 1], [1, 2])
    >>> train.data[1].tolist()  # "great", "!"
    [[1.0, 0.0], [0.0, 1.0]]
    """
    if not (isinstance(n_tokens, int | np.integer) and n_tokens >= 1):
        raise ValueError(f"n_tokens must be a positive integer, got {n_tokens!r}")
    destination = Path(destination)
    number, embedding = _read_vectors(Path(vectors))
    rows, labels, is_train = [], [], []
    for part in ("train", "test"):
        for label, name in enumerate(("neg", "pos")):
            for text in _texts(Path(reviews) / part / name):
                rows.append(_numbers(text, number, int(n_tokens)))
                labels.append(label)
                is_train.append(part == "train")
    tokens = np.zeros((len(rows), int(n_tokens)), dtype=np.int32)
    for row, words in zip(tokens, rows, strict=True):
        row[len(row) - len(words) :] = words
    scratch = destination.with_name(destination.name + ".part")
    with open(scratch, "wb") as file:
        np.savez_compressed(
            file,
            tokens=tokens,
            length=np.array([len(words) for words in rows], dtype=np.int32),
            labels=np.array(labels, dtype=np.int8),
            is_train=np.array(is_train),
            embedding=embedding,
        )
    replace(scratch, destination)
    return destination


def _read(path: str | PathLike) -> dict[str, NDArray]:
    with np.load(path, allow_pickle=False) as archive:
        missing = [name for name in _MEMBERS if name not in archive.files]
        if missing:
            raise ValueError(f"{path} is not an archive made by prepare_imdb: it has no member {', '.join(missing)}")
        members = {name: archive[name] for name in _MEMBERS}
    tokens, embedding = members["tokens"], members["embedding"]
    n = len(tokens)
    fits = tokens.ndim == 2 and embedding.ndim == 2 and all(members[name].shape == (n,) for name in _MEMBERS[1:4])
    if not fits or tokens.min(initial=0) < 0 or tokens.max(initial=0) >= len(embedding):
        raise ValueError(f"the members of {path} do not fit together; write the archive again with prepare_imdb")
    return members


def _first(tokens: NDArray, lengths: NDArray[np.int64], n_steps: int) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """First `n_steps` words of rows that are padded on the left; the result is padded on the left too."""
    width = tokens.shape[1]
    kept = np.minimum(lengths, n_steps)
    # Column j of the result holds word j − (n_steps − kept). In the row, word i is in column i + width − lengths.
    word = np.arange(n_steps) - (n_steps - kept)[:, None]  # (n, L), negative before the first word
    column = np.clip(word + (width - lengths)[:, None], 0, width - 1)
    return np.where(word >= 0, np.take_along_axis(tokens, column, axis=1), 0).astype(np.int32), kept


def _read_vectors(path: Path) -> tuple[dict[str, int], NDArray[np.float32]]:
    number: dict[str, int] = {}
    vectors: list[NDArray[np.float32]] = []
    with open(path, encoding="utf-8") as file:
        for line, text in enumerate(file, 1):
            word, *numbers = text.rstrip("\n").split(" ")
            try:
                vector = np.array(numbers, dtype=np.float32)
            except ValueError:
                raise ValueError(f"line {line} of {path} is not a word followed by numbers") from None
            expected = vectors[0].size if vectors else max(1, vector.size)
            if vector.size != expected:
                raise ValueError(f"line {line} of {path} has {vector.size} numbers; it must have {expected}")
            number[word] = len(vectors) + 1  # 0 is the padding
            vectors.append(vector)
    if not vectors:
        raise ValueError(f"{path} holds no word vectors")
    return number, np.vstack([np.zeros_like(vectors[0]), *vectors])


def _texts(folder: Path) -> Iterator[str]:
    files = sorted(folder.glob("*.txt"))
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}")
    if not files:
        raise ValueError(f"{folder} holds no review (*.txt)")
    for file in files:
        yield file.read_text(encoding="utf-8")


def _numbers(text: str, number: dict[str, int], n_tokens: int) -> list[int]:
    found: list[int] = []
    for word in _WORD.findall(re.sub(r"<[^>]*>", " ", text.lower())):
        index: Any = number.get(word) or number.get(word.partition("'")[0])
        if index:
            found.append(index)
            if len(found) == n_tokens:
                break
    return found
