"""Warnings about data that can be trained on and are probably not as they were meant: scales, and rows of a table."""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_regressor

from sklstm._sequences import warn_if_rows_are_times
from sklstm._validation import caller_level
from sklstm.exceptions import DataWarning

# Numbers that are looked at: a look takes a millisecond, whatever the size of the data.
_NUMBERS = 1 << 17
# Root mean square of a channel above which gates saturate and a readout takes long to grow; counts up to 10 are below.
_LARGE = 10.0
# Standard deviations of a channel from 0 to its mean; only for means beyond what is scaled to [0, 1].
_OFFSET = 10.0
# Root mean square of all channels below which a network hardly sees them, if no number is above 0.5: rare ones are.
_SMALL, _LARGEST_OF_SMALL = 0.05, 0.5


def warn_about_data(estimator: Any, X: Any, data: Any) -> None:
    """Warn if checked data are far from a mean of 0 and a variance of 1, or rows of a table are time steps.

    Parameters
    ----------
    estimator : SequenceEstimator
        Which has checked the data.
    X : array-like
        As given.
    data : FitData
    """
    warn_if_rows_are_times(X, estimator.n_channels, type(estimator).__name__)
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


def far_from_standard(mean: NDArray, std: NDArray, largest: float) -> NDArray[np.int64]:
    """Which columns are too large, too far from 0 for their spread, or, all of them together, too small.

    Parameters
    ----------
    mean, std : ndarray of shape (d,)
    largest : float
        Absolute value in all columns.

    Returns
    -------
    ndarray of int64
        Their indices.
    """
    size, varies = np.hypot(mean, std), std > 1e-6 * np.abs(mean)
    if largest < _LARGEST_OF_SMALL and np.sqrt(np.mean(size**2)) < _SMALL:
        return np.flatnonzero(varies)
    apart = varies & (np.abs(mean) > np.maximum(1.0, _OFFSET * std))
    return np.flatnonzero((size > _LARGE) | apart)
