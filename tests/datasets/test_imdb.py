"""The loader of film reviews, on a small tree of files as their authors lay them out."""

import numpy as np
import pytest

from sklstm.datasets import load_imdb, prepare_imdb

VECTORS = {"good": [1.0, 0.5], "bad": [-1.0, 0.25], "film": [0.0, 2.0], "!": [3.0, 3.0]}
REVIEWS = {
    ("train", "pos"): ["Good film! <br /><br />GOOD", "unheard words, good"],
    ("train", "neg"): ["bad, the film's bad"],
    ("test", "pos"): ["good " * 9],
    ("test", "neg"): ["nothing known"],
}


@pytest.fixture
def archive(tmp_path):
    for (part, name), texts in REVIEWS.items():
        folder = tmp_path / "aclImdb" / part / name
        folder.mkdir(parents=True)
        for i, text in enumerate(texts):
            (folder / f"{i}_10.txt").write_text(text, encoding="utf-8")
    lines = [" ".join([word, *map(str, vector)]) for word, vector in VECTORS.items()]
    (tmp_path / "glove.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return prepare_imdb(tmp_path / "aclImdb", tmp_path / "glove.txt", tmp_path / "imdb.npz", n_tokens=5)


def _words(rows):
    names = ["", *VECTORS]
    return [[names[i] for i in row if i] for row in rows]


def test_words_and_their_order(archive):
    train = load_imdb(archive, n_steps=5, embed=False)
    assert _words(train.data) == [["bad", "film", "bad"], ["good", "film", "!", "good"], ["good"]]
    assert train.target.tolist() == [0, 1, 1]
    assert train.lengths.tolist() == [3, 4, 1]
    test = load_imdb(archive, n_steps=5, embed=False, subset="test")
    assert _words(test.data) == [[], ["good"] * 5]
    assert len(load_imdb(archive, n_steps=5, subset="all").data) == 5
    assert sorted(path.name for path in archive.parent.iterdir()) == ["aclImdb", "glove.txt", "imdb.npz"]


def test_the_first_words_are_kept_and_zeros_stand_before_them(archive):
    train = load_imdb(archive, n_steps=2, embed=False)
    assert _words(train.data) == [["bad", "film"], ["good", "film"], ["good"]]
    assert train.data[2, 0] == 0
    assert train.lengths.tolist() == [2, 2, 1]


def test_vectors(archive):
    X, y = load_imdb(archive, n_steps=4, return_X_y=True)
    assert X.shape == (3, 4, 2)
    assert X.dtype == np.float32
    assert y.dtype == np.int64
    np.testing.assert_array_equal(X[0], [[0, 0], VECTORS["bad"], VECTORS["film"], VECTORS["bad"]])


def test_errors(archive, tmp_path):
    with pytest.raises(ValueError, match="n_steps must be an integer from 1 to 5"):
        load_imdb(archive, n_steps=6)
    with pytest.raises(ValueError, match="subset must be"):
        load_imdb(archive, n_steps=2, subset="dev")
    with pytest.raises(FileNotFoundError):
        load_imdb(tmp_path / "nothing.npz")
    np.savez(tmp_path / "other.npz", tokens=np.zeros((2, 3), int))
    with pytest.raises(ValueError, match="it has no member length, labels, is_train, embedding"):
        load_imdb(tmp_path / "other.npz")
    with np.load(archive) as members:
        np.savez(tmp_path / "misfit.npz", **{**members, "tokens": members["tokens"] + 4})
    with pytest.raises(ValueError, match="do not fit together"):
        load_imdb(tmp_path / "misfit.npz")
    with pytest.raises(ValueError, match="n_tokens must be a positive integer"):
        prepare_imdb(tmp_path / "aclImdb", tmp_path / "glove.txt", tmp_path / "x.npz", n_tokens=0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("good 1 2\nbad 1\n", "line 2 of .* has 1 numbers"),
        ("good one two\n", "line 1 of .* not a word"),
        ("", "no word"),
    ],
)
def test_bad_vectors_leave_nothing_behind(archive, tmp_path, text, message):
    (tmp_path / "broken.txt").write_text(text)
    with pytest.raises(ValueError, match=message):
        prepare_imdb(tmp_path / "aclImdb", tmp_path / "broken.txt", tmp_path / "x.npz")
    assert not list(tmp_path.glob("x.npz*"))


def test_missing_folders(archive, tmp_path):
    for name in ("train/pos/0_10.txt", "train/pos/1_10.txt"):
        (tmp_path / "aclImdb" / name).unlink()
    with pytest.raises(ValueError, match="holds no review"):
        prepare_imdb(tmp_path / "aclImdb", tmp_path / "glove.txt", tmp_path / "x.npz")
    (tmp_path / "aclImdb" / "train" / "pos").rmdir()
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        prepare_imdb(tmp_path / "aclImdb", tmp_path / "glove.txt", tmp_path / "x.npz")
