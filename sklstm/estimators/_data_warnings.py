"""Warnings about data that can be trained on but look wrong: scales, rows of a table, axes."""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_regressor

from sklstm._sequences import Sequences, warn_if_rows_are_times
from sklstm._tables import as_read
from sklstm._validation import caller_level
from sklstm.exceptions import DataWarning

# How many numbers are read: this takes a millisecond for data of any size.
_NUMBERS = 1 << 17
# Above this root mean square of a channel, gates saturate and a readout takes long to grow. Counts up to 10 are below
# it.
_LARGE = 10.0
# Distance of a channel's mean from 0, in standard deviations. Applies only to means above 1 in size.
_OFFSET = 10.0
# Below this root mean square of all channels, inputs hardly affect a network. Does not apply if a number is above 0.5,
# since that may be a rare large value.
_SMALL, _LARGEST_OF_SMALL = 0.05, 0.5

# When axes look swapped. Values in time change little from one step to the next, while the order of channels means
# nothing. X looks swapped if it has more channels than steps and its channels are as smooth as time. That is, nine of
# ten neighbouring channels are far closer to each other than two channels of one step usually are, and closer than
# neighbouring steps. Their mean squared difference is below _CLOSE times that of any two. Every entry of a sequence is
# first standardised over the sequences, so that units and a common course do not count. Every step of a sequence is
# then divided by its own deviation, so that outliers do not dominate. With 5 or more sequences and 8 or more channels,
# at most 1 in 1,000 sets of random channels, in any units and with any correlations, are below. Measured values of this
# ratio (the ninth of ten over the mean): 1.05 to 2.1 for tables as one step, digits, embeddings, vowels and windows of
# the shipped series; 0.1 to 0.7 for windows of the same series with axes swapped, and for BasicMotions, GunPoint,
# ArrowHead, OSULeaf and ItalyPowerDemand. Series that are almost noise do not look swapped.
_CLOSE = 0.75
_FEWEST_SEQUENCES, _FEWEST_CHANNELS = 5, 8
_MOST_STEPS, _MOST_CHANNELS = 16, 256  # the most that are read


def warn_about_data(estimator: Any, X: Any, data: Any) -> None:
    """Warn if data are badly scaled, if rows of a table are time steps, or if the axes of X look swapped.

    Parameters
    ----------
    estimator : SequenceEstimator
        The estimator, after it has checked the data.
    X : array-like
        X as passed to `fit`.
    data : FitData
    """
    warn_if_rows_are_times(X, estimator.n_channels, type(estimator).__name__)
    _warn_if_swapped(estimator, data.X)
    steps = data.X.some_steps(_NUMBERS)
    names = vars(estimator).get("feature_names_in_") if not estimator._fitted_flat else None
    _warn_of_scale("X", "channel", steps, names, "Scale the channels: make_pipeline(SequenceScaler(), estimator).")
    if is_regressor(estimator) and estimator.readout == "linear":
        targets = data.y[:: max(1, data.y.size // _NUMBERS)].reshape(-1, *data.y.shape[1:] or (1,))
        remedy = "Scale it: TransformedTargetRegressor(estimator, transformer=StandardScaler())."
        _warn_of_scale("y", "output", targets, None, remedy)


def _warn_of_scale(name: str, what: str, values: NDArray, names: NDArray | None, remedy: str) -> None:
    mean, std = values.mean(axis=0, dtype=np.float64), values.std(axis=0, dtype=np.float64)
    far = far_from_standard(mean, std, max(float(values.max()), -float(values.min())))
    if not len(far):
        return
    first, of = far[0], ""
    if len(mean) > 1:
        label = first if names is None else repr(str(names[first]))
        of = f" in {what} {label}" + (f", and {len(far) - 1} more {what}s are like it" if len(far) > 1 else "")
    warnings.warn(
        f"{name} is far from a mean of 0 and a standard deviation of 1, with which networks train best: they are "
        f"{mean[first]:.4g} and {std[first]:.4g}{of}. {remedy}",
        DataWarning,
        stacklevel=caller_level(),
    )


def _warn_if_swapped(estimator: Any, X: Sequences) -> None:
    _, n_steps, d = X.shape
    # Rows have no axes to swap, and names of channels show which axis they are.
    if n_steps >= d or estimator._fitted_flat or "feature_names_in_" in vars(estimator) or X.lengths is not None:
        return
    if not looks_swapped(X.some(_NUMBERS // 2, _MOST_STEPS, _MOST_CHANNELS)):
        return
    steps = "" if n_steps == 1 else ", and closer than neighbouring steps"
    other = "nct" if estimator.layout == "ntc" else "ntc"
    warnings.warn(
        f"The axes of X look swapped ({as_read(estimator, X.shape)}): neighbouring channels are close, as values in "
        f"time are{steps}. If they are swapped, set layout={other!r} here and in a SequenceScaler before. If the "
        "channels have a natural order, such as frequencies, ignore this warning.",
        DataWarning,
        stacklevel=caller_level(),
    )


def looks_swapped(X: NDArray) -> bool:
    """Whether neighbouring channels of sequences (n, L, d) are as close as values in time; see `_CLOSE`."""
    n, n_steps, d = X.shape
    if n < _FEWEST_SEQUENCES or d < _FEWEST_CHANNELS:
        return False
    x = X - X.mean(axis=0, dtype=np.float64)
    deviation = x.std(axis=0)
    x = np.divide(x, deviation, out=np.zeros_like(x), where=deviation > 1e-6 * np.abs(X).max(axis=0))
    channels = _differences(x)
    steps = _differences(x.swapaxes(1, 2)) if n_steps > 2 else np.ones(1)
    if not len(channels) or not len(steps):
        return False
    return bool(np.quantile(channels, 0.9, method="higher") < _CLOSE * min(1.0, steps.mean()))


def _differences(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean squared difference of neighbours on the last axis (d - 1,) over that of any two; empty if all are alike."""
    deviation = x.std(axis=2, ddof=1)
    varies = deviation > 1e-6
    rows = x[varies] / deviation[varies][:, None]
    return np.square(np.diff(rows, axis=1)).mean(axis=0) / 2 if len(rows) else np.empty(0)


def far_from_standard(mean: NDArray, std: NDArray, largest: float) -> NDArray[np.int64]:
    """Which columns are too large, too far from 0 for their spread, or all together too small.

    Parameters
    ----------
    mean, std : ndarray of shape (d,)
    largest : float
        Largest absolute value in all columns.

    Returns
    -------
    ndarray of int64
        Indices of these columns.
    """
    size, varies = np.hypot(mean, std), std > 1e-6 * np.abs(mean)
    if largest < _LARGEST_OF_SMALL and np.sqrt(np.mean(size**2)) < _SMALL:
        return np.flatnonzero(varies)
    apart = varies & (np.abs(mean) > np.maximum(1.0, _OFFSET * std))
    return np.flatnonzero((size > _LARGE) | apart)
