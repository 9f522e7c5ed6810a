"""`pad_sequences` and `unpad_sequences`: there and back."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sklstm.datasets import load_japanese_vowels
from sklstm.preprocessing import pad_sequences, unpad_sequences


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=5),
    d=st.integers(1, 3),
    side=st.sampled_from(["left", "right"]),
    value=st.sampled_from([0.0, -1.5, np.nan]),
    extra=st.none() | st.integers(0, 3),
    seed=st.integers(0, 2**32 - 1),
)
def test_round_trip(lengths, d, side, value, extra, seed):
    rng = np.random.default_rng(seed)
    sequences = [rng.integers(-2, 2, size=(n, d)) * 0.75 for n in lengths]  # zeros and -1.5 occur at the ends
    length = None if extra is None else max(lengths) + extra
    X, mask = pad_sequences(sequences, side=side, value=value, length=length, return_mask=True)
    assert X.shape == (len(lengths), length or max(lengths), d)
    for row, kept, sequence in zip(X, mask, sequences, strict=True):
        # By slices, not by the mask.
        where = slice(len(row) - len(sequence), None) if side == "left" else slice(0, len(sequence))
        np.testing.assert_array_equal(row[where], sequence)
        np.testing.assert_array_equal(np.delete(row, where, axis=0), value)
        assert np.flatnonzero(kept).tolist() == list(range(len(row)))[where]
    for back, sequence in zip(unpad_sequences(X, mask), sequences, strict=True):
        np.testing.assert_array_equal(back, sequence)
    if np.isnan(value):
        for back, sequence in zip(unpad_sequences(X, value=value), sequences, strict=True):
            np.testing.assert_array_equal(back, sequence)


def test_utterances_as_the_loader_pads_them():
    ragged, padded = load_japanese_vowels(padded=False), load_japanese_vowels()
    X, mask = pad_sequences(ragged.data, length=29, return_mask=True)
    np.testing.assert_array_equal(X, padded.data)
    np.testing.assert_array_equal(mask.sum(axis=1), ragged.lengths)
    for back, sequence in zip(unpad_sequences(padded.data), ragged.data, strict=True):
        np.testing.assert_array_equal(back, sequence)


@pytest.mark.parametrize(
    ("dtypes", "expected"),
    [((np.float32, np.float32), np.float32), ((np.float32, np.float64), np.float64), ((int, np.float32), np.float64),
     ((bool, bool), np.float64), ((object, object), np.float64)],
)  # fmt: skip
def test_dtypes(dtypes, expected):
    assert pad_sequences([np.ones((2, 1), dtypes[0]), np.ones((1, 1), dtypes[1])]).dtype == expected


def test_tensors_frames_and_nested_lists():
    entries = [torch.ones(2, 2, requires_grad=True), pd.DataFrame({"a": [2.0], "b": [2.0]}), [[3, 3], [3, 3], [3, 3]]]
    X = pad_sequences(entries)
    assert X[:, :, 1].tolist() == [[0, 1, 1], [0, 0, 2], [3, 3, 3]]
    assert [len(x) for x in unpad_sequences(torch.tensor(X))] == [2, 1, 3]


def test_results_are_copies():
    sequence = np.ones((2, 1))
    X, mask = pad_sequences([sequence], return_mask=True)
    X[0, 0] = 5.0
    assert sequence[0, 0] == 1.0
    for back in (*unpad_sequences(X, mask), *unpad_sequences(X)):
        assert not np.shares_memory(back, X)


def test_without_a_mask_only_the_ends_are_dropped():
    X = np.array([[[0, 0], [0, 1], [0, 0], [2, 0], [0, 0]]])
    assert unpad_sequences(X)[0].tolist() == [[0, 1], [0, 0], [2, 0]]
    assert unpad_sequences(X)[0].dtype == X.dtype
    assert unpad_sequences(X, value=1)[0].tolist() == X[0].tolist()


ONE = np.ones((3, 2))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: pad_sequences([]), ValueError, "sequences holds no sequence."),
        (lambda: pad_sequences([ONE, ONE.T]), ValueError, "sequences[1] has 3 channels (shape (2, 3), read as "
         "(n_steps, n_channels)), but sequences[0] has 2. The time and channel axes look swapped."),
        (lambda: pad_sequences([ONE[:, 0]]), ValueError, "sequences[0] has shape (3,), but every sequence of the list "
         "must have shape (n_steps, n_channels). A sequence of one channel has shape (n_steps, 1): x.reshape(-1, 1)."),
        (lambda: pad_sequences([ONE, ONE[:0]]), ValueError,
         "sequences[1] has 0 time steps and 2 channels, but a sequence needs at least one of each."),
        (lambda: pad_sequences([ONE[:1], ONE], length=2), ValueError, "sequences[1] has 3 steps, more than length=2. "
         "Keep the steps that matter, such as x[-length:], or give a larger length."),
        (lambda: pad_sequences([ONE], length=3.0), TypeError, "length must be an integer or None; got 3.0"),
        (lambda: pad_sequences([ONE], length=True), TypeError, "length must be an integer or None; got True"),
        (lambda: pad_sequences([ONE], side="both"), ValueError, 'side must be "left" or "right"; got \'both\''),
        (lambda: pad_sequences([ONE], value=None), TypeError, "value must be a number; got None"),
        (lambda: pad_sequences([ONE * 1j]), TypeError, "sequences[0] must hold real numbers; got dtype complex128"),
        (lambda: unpad_sequences(ONE), ValueError, "X must have shape (n, n_steps, n_channels), all at least 1; got "
         "(3, 2)"),
        (lambda: unpad_sequences([[["a"]]]), ValueError, "X must hold real numbers; got dtype <U1"),
        (lambda: unpad_sequences([ONE, 0 * ONE]), ValueError,
         "X[1] holds nothing but padding: no step of it is left"),
        (lambda: unpad_sequences([ONE], np.ones((1, 2), bool)), ValueError, "mask must hold bools in shape (1, 3), one "
         "for each step of X; got bool in shape (1, 2)"),
        (lambda: unpad_sequences([ONE], [[0, 1, 1]]), ValueError, "mask must hold bools in shape (1, 3), one for each "
         "step of X; got int64 in shape (1, 3)"),
    ],
)  # fmt: skip
def test_bad_input_is_refused(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message
