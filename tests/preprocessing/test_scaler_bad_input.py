"""What `SequenceScaler` refuses, and in which words."""

import numpy as np
import pytest

from sklstm.preprocessing import SequenceScaler

ZEROS = np.zeros((4, 6, 3))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([np.zeros(3), np.zeros(4)], "X[0] has shape (3,), but every sequence of the list must have shape (n_steps, "
         "n_channels). A sequence of one channel has shape (n_steps, 1): x.reshape(-1, 1)."),
        ([[1.0, 2.0], [3.0]], "X[0] has shape (2,), but every sequence of the list must have shape (n_steps, "
         "n_channels). A sequence of one channel has shape (n_steps, 1): numpy.reshape(x, (-1, 1))."),
        ([np.zeros((3, 2)), np.zeros(4)], "X[1] has shape (4,), but every sequence of the list must have shape "
         "(n_steps, n_channels). A sequence of one channel has shape (n_steps, 1): x.reshape(-1, 1)."),
        ([ZEROS, ZEROS],
         "X[0] has shape (4, 6, 3), but every sequence of the list must have shape (n_steps, n_channels)."),
        ([np.zeros((5, 2)), np.zeros((2, 7))], "X[1] has 7 channels (shape (2, 7), read as (n_steps, n_channels)), but "
         "X[0] has 2. The time and channel axes look swapped."),
        ([np.zeros((5, 2)), np.zeros((3, 7))], "X[1] has 7 channels (shape (3, 7), read as (n_steps, n_channels)), but "
         "X[0] has 2."),
        ([np.zeros((5, 2)), np.zeros((0, 2))],
         "X[1] has 0 time steps and 2 channels, but a sequence needs at least one of each."),
        (np.zeros((4, 0, 3)), "X has 0 time steps and 3 channels (shape (4, 0, 3), read as (n_samples, n_steps, "
         "n_channels)), but SequenceScaler needs at least one of each."),
        (np.zeros((2, 2, 2, 2)), "X has 4 axes. SequenceScaler takes sequences of shape (n_samples, n_steps, "
         "n_channels), rows of shape (n_samples, n_steps * n_channels), or a list of arrays of shape "
         "(n_steps, n_channels)."),
    ],
)  # fmt: skip
def test_shapes_are_refused(given, message):
    with pytest.raises(ValueError) as error:
        SequenceScaler().fit(given)
    assert str(error.value) == message


def test_swapped_axes_are_named():
    scaler = SequenceScaler().fit(ZEROS)
    message = (
        "X has 6 channels on its last axis (shape (4, 3, 6), read as (n_samples, n_steps=3, n_channels=6)), but "
        "SequenceScaler is expecting 3 channels. The time and channel axes look swapped. If they are, set layout='nct'."
    )
    for call in (scaler.transform, scaler.inverse_transform, scaler.partial_fit, SequenceScaler(3).fit):
        with pytest.raises(ValueError) as error:
            call(ZEROS.swapaxes(1, 2))
        assert str(error.value) == message
    with pytest.raises(
        ValueError, match=r"^X\[0\] has 6 channels on its last axis .* The time and channel axes look sw"
    ):
        scaler.transform([x.T for x in ZEROS])


@pytest.mark.parametrize(
    ("options", "given", "weights", "message"),
    [
        ({"n_channels": 4}, np.zeros((2, 6)), None, "X has 6 columns, which is not a multiple of n_channels=4"),
        ({}, ZEROS + np.inf, None, "X contains infinity"),
        ({}, list(ZEROS + np.inf), None, "X contains infinity"),
        ({}, ZEROS, [1, 2], r"sample_weight must have shape \(4,\), one weight for each sequence; got \(2,\)"),
        ({}, ZEROS, [1, 2, -1, 0], "sample_weight must be finite and not negative"),
        ({}, ZEROS, [1, 2, np.nan, 0], "sample_weight must be finite and not negative"),
        ({}, ZEROS, np.zeros(4), "sample_weight is zero for every sequence"),
        ({"padding_value": 0}, ZEROS, None, "X has no value in channel 0"),
        ({}, np.array([[[1e200], [-1e200]]]), None, "X holds values in channel 0 whose squares overflow float64"),
        ({"n_channels": 0}, ZEROS, None, "n_channels == 0, must be >= 1"),
        ({"with_mean": 2}, ZEROS, None, "with_mean must be one of True, False"),
        ({"padding_value": np.nan}, ZEROS, None, "padding_value must be a finite number"),
        ({}, [], None, "X is empty: it holds no sequence"),
        ({}, [np.array([["a"]]), np.array([["b"]])], None, "could not convert string to float"),
    ],
)
def test_bad_input_is_refused(options, given, weights, message):
    with pytest.raises(ValueError, match=message):
        SequenceScaler(**options).fit(given, sample_weight=weights)
