"""Hourly fine particles in the air of Beijing."""

from typing import Literal, overload

from sklearn.utils import Bunch

from sklstm.datasets._io import Arrays, load_series


@overload
def load_beijing_pm25(*, return_X_y: Literal[False] = False) -> Bunch: ...
@overload
def load_beijing_pm25(*, return_X_y: Literal[True]) -> Arrays: ...
def load_beijing_pm25(*, return_X_y: bool = False) -> Bunch | Arrays:
    """Load the hourly Beijing PM2.5 data (forecasting, with missing values).

    Concentration of particles under 2.5 micrometres at the US Embassy in Beijing in each hour of 2010 to
    2014, with the weather at the airport [1]_ [2]_. Values are as in the source, neither scaled nor filled.

    Parameters
    ----------
    return_X_y : bool, default=False
        Return ``(data, target)`` in place of the Bunch.

    Returns
    -------
    Bunch or (data, target)
        Dictionary-like, with the attributes

        data : ndarray of shape (43824, 11), float64
            One row an hour, in order of time: pm2.5 in micrograms per cubic metre, DEWP and TEMP in degrees
            Celsius, PRES in hPa, Iws (cumulated wind speed in m/s), Is and Ir (cumulated hours of snow and
            rain), and the wind direction as zeros and ones: cbwd_NE, cbwd_NW, cbwd_SE, cbwd_cv (calm and
            variable).
        target : ndarray of shape (43824,), float64
            ``pm2.5`` of the same hour, equal to column 0 of `data`: predict it from earlier rows.
        times : ndarray of shape (43824,), datetime64[h]
            Start of each hour; none is absent.
        feature_names : list of str
            Names of the columns.
        DESCR : str
            Meaning of the columns, source, citation and licence.

    Notes
    -----
    ``pm2.5`` is NaN in 2,067 hours, the first 24 among them; the longest run lasts 155 hours. No other
    column has a missing value. Carrying the last measurement forward, as in Examples, uses no later hour;
    interpolation would, and a forecast tested on interpolated inputs would have seen its answer. Score only
    where `target` was measured.

    The data are licensed under CC BY 4.0.

    References
    ----------
    .. [1] Chen, S. (2015). Beijing PM2.5 [Dataset]. UCI Machine Learning Repository.
       https://doi.org/10.24432/C5JS49
    .. [2] Liang, X., Zou, T., Guo, B., Li, S., Zhang, H., Zhang, S., Huang, H. and Chen, S. X. (2015).
       Assessing Beijing's PM2.5 pollution: severity, weather impact, APEC and winter heating. Proceedings of
       the Royal Society A 471, 20150257. https://doi.org/10.1098/rspa.2015.0257

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm.datasets import load_beijing_pm25
    >>> air = load_beijing_pm25()
    >>> air.data.shape, int(np.isnan(air.target).sum())
    ((43824, 11), 2067)

    Row of the last measurement up to each hour; the day before the first one is dropped:

    >>> rows = np.where(np.isnan(air.target), 0, np.arange(len(air.target)))
    >>> filled = air.data.copy()
    >>> filled[:, 0] = air.target[np.maximum.accumulate(rows)]
    >>> filled = filled[24:]
    >>> bool(np.isnan(filled).any())
    False
    """
    return load_series("beijing_pm25", return_X_y)
