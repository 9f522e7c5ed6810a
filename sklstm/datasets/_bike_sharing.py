"""Hourly bicycle rentals in Washington, D.C."""

from typing import Literal, overload

from sklearn.utils import Bunch

from sklstm.datasets._io import Arrays, load_series


@overload
def load_bike_sharing(*, return_X_y: Literal[False] = False) -> Bunch: ...
@overload
def load_bike_sharing(*, return_X_y: Literal[True]) -> Arrays: ...
def load_bike_sharing(*, return_X_y: bool = False) -> Bunch | Arrays:
    """Load the hourly bike sharing data (forecasting).

    Rentals of Capital Bikeshare in Washington, D.C., in each hour of 2011 and 2012, with weather and calendar
    [1]_ [2]_. Values are as in the source, neither scaled nor transformed.

    Parameters
    ----------
    return_X_y : bool, default=False
        Return ``(data, target)`` in place of the Bunch.

    Returns
    -------
    Bunch or (data, target)
        Dictionary-like, with the attributes

        data : ndarray of shape (17379, 11), float64
            One row an hour, in order of time: cnt, temp, atemp, hum, windspeed, weathersit, hour, weekday,
            month, holiday, workingday.
        target : ndarray of shape (17379,), float64
            Rentals ``cnt`` of the same hour, equal to column 0 of `data`: predict it from earlier rows, see
            Examples.
        times : ndarray of shape (17379,), datetime64[h]
            Start of each hour, local time.
        feature_names : list of str
            Names of the columns.
        DESCR : str
            Meaning of the columns, source, citation and licence.

    Notes
    -----
    The hours are not quite regular: 165 of the 17,544 hours of the two years are absent, in 75 gaps, the
    longest of 36 hours. A window over consecutive rows may span a gap; the second example finds those that
    do not.

    The data are licensed under CC BY 4.0.

    References
    ----------
    .. [1] Fanaee-T, H. (2013). Bike Sharing [Dataset]. UCI Machine Learning Repository.
       https://doi.org/10.24432/C5W894
    .. [2] Fanaee-T, H. and Gama, J. (2014). Event labeling combining ensemble detectors and background
       knowledge. Progress in Artificial Intelligence 2, 113-127. https://doi.org/10.1007/s13748-013-0040-3

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm.datasets import load_bike_sharing
    >>> from sklstm.preprocessing import sliding_windows
    >>> bikes = load_bike_sharing()
    >>> int(bikes.target.sum())
    3292679
    >>> X, y, t = sliding_windows(bikes.data, 24, target=0, times=bikes.times)
    >>> X.shape, y.shape
    ((17355, 24, 11), (17355,))

    From the first hour of a window to the predicted one pass 24 hours, unless some are absent between:

    >>> gapless = t - bikes.times[: len(t)] == np.timedelta64(24, "h")
    >>> X[gapless].shape
    (15657, 24, 11)
    """
    return load_series("bike_sharing", return_X_y)
