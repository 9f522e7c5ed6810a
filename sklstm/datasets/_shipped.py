"""Small data sets shipped in ``data``: forecasting series and utterances; each call returns new arrays."""

from importlib import resources
from typing import Literal, overload

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import Bunch

Subset = Literal["train", "test", "all"]
Arrays = tuple[NDArray[np.float64], NDArray[np.float64]]
Padded = NDArray[np.float64]
Ragged = list[NDArray[np.float64]]
Labels = NDArray[np.int64]
Archive = dict[str, NDArray]


@overload
def load_bike_sharing(*, return_X_y: Literal[False] = False) -> Bunch: ...
@overload
def load_bike_sharing(*, return_X_y: Literal[True]) -> Arrays: ...
def load_bike_sharing(*, return_X_y: bool = False) -> Bunch | Arrays:
    """Load the hourly bike sharing data (forecasting).

    Number of bicycles rented from Capital Bikeshare in Washington, D.C., in each hour of 2011 and 2012, with weather
    and calendar [1]_ [2]_. Values are as in the source, neither scaled nor transformed.

    Parameters
    ----------
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of the Bunch.

    Returns
    -------
    Bunch or (data, target)
        Dictionary-like, with the attributes

        data : ndarray of shape (17379, 11), float64
            One row an hour, in order of time: cnt, temp, atemp, hum, windspeed, weathersit, hour, weekday, month,
            holiday, workingday.
        target : ndarray of shape (17379,), float64
            Rentals ``cnt`` of the same hour, equal to column 0 of `data`. Predict it from earlier rows, as in
            Examples.
        times : ndarray of shape (17379,), datetime64[h]
            Start of each hour, local time.
        feature_names : list of str
            Names of the columns.
        DESCR : str
            Meaning of the columns, source, citation and licence.

    Notes
    -----
    165 of the 17,544 hours of the two years are absent. They form 75 gaps; the longest gap has 36 hours. A window
    over consecutive rows may span a gap. The second example finds the windows without a gap.

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

    A window has no gap if it starts exactly 24 hours before the hour that is predicted:

    >>> gapless = t - bikes.times[: len(t)] == np.timedelta64(24, "h")
    >>> X[gapless].shape
    (15657, 24, 11)
    """
    return _load_series("bike_sharing", return_X_y)


@overload
def load_beijing_pm25(*, return_X_y: Literal[False] = False) -> Bunch: ...
@overload
def load_beijing_pm25(*, return_X_y: Literal[True]) -> Arrays: ...
def load_beijing_pm25(*, return_X_y: bool = False) -> Bunch | Arrays:
    """Load the hourly Beijing PM2.5 data (forecasting, with missing values).

    Concentration of particles under 2.5 micrometres at the US Embassy in Beijing in each hour from 2010 to 2014. The
    weather is that at the airport [1]_ [2]_. Values are as in the source: they are not scaled, and missing values are
    not filled.

    Parameters
    ----------
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of the Bunch.

    Returns
    -------
    Bunch or (data, target)
        Dictionary-like, with the attributes

        data : ndarray of shape (43824, 11), float64
            One row an hour, in order of time. pm2.5 is in micrograms per cubic metre, DEWP and TEMP are in degrees
            Celsius, and PRES is in hPa. Iws is the cumulated wind speed in m/s; Is and Ir are cumulated hours of snow
            and rain. The wind direction is given as zeros and ones: cbwd_NE, cbwd_NW, cbwd_SE, cbwd_cv (calm and
            variable).
        target : ndarray of shape (43824,), float64
            ``pm2.5`` of the same hour, equal to column 0 of `data`. Predict it from earlier rows.
        times : ndarray of shape (43824,), datetime64[h]
            Start of each hour; no hour is absent.
        feature_names : list of str
            Names of the columns.
        DESCR : str
            Meaning of the columns, source, citation and licence.

    Notes
    -----
    ``pm2.5`` is NaN in 2,067 hours, among them the first 24; the longest run of NaN lasts 155 hours. No other column
    has a missing value. Examples fill each gap with the last measurement before it, which uses no later hour.
    Interpolation uses later hours, so a forecast from interpolated inputs may have seen its answer. Compute scores only
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

    Fill each gap with the last measurement before it; drop the first day, which has no measurement before it:

    >>> rows = np.where(np.isnan(air.target), 0, np.arange(len(air.target)))
    >>> filled = air.data.copy()
    >>> filled[:, 0] = air.target[np.maximum.accumulate(rows)]
    >>> filled = filled[24:]
    >>> bool(np.isnan(filled).any())
    False
    """
    return _load_series("beijing_pm25", return_X_y)


@overload
def load_sunspots(*, return_X_y: Literal[False] = False) -> Bunch: ...
@overload
def load_sunspots(*, return_X_y: Literal[True]) -> Arrays: ...
def load_sunspots(*, return_X_y: bool = False) -> Bunch | Arrays:
    """Load the monthly sunspot numbers from 1749 to 1983 (forecasting).

    Monthly mean relative sunspot number, collected in Zurich until 1960 and in Tokyo after that [1]_; the
    series ``sunspots`` of R.

    Parameters
    ----------
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of the Bunch.

    Returns
    -------
    Bunch or (data, target)
        Dictionary-like, with the attributes

        data : ndarray of shape (2820, 1), float64
            One row a month, in order of time; no month is absent. The column is sunspots.
        target : ndarray of shape (2820,), float64
            The number of the same month, equal to column 0 of `data`. Predict it from earlier rows.
        times : ndarray of shape (2820,), datetime64[M]
            The months.
        feature_names : list of str
            Name of the column.
        DESCR : str
            Source, citation and licence.

    Notes
    -----
    Sunspot numbers published since 2015 have another scale. The series is a public record of published observations;
    no licence is attached to it.

    References
    ----------
    .. [1] Andrews, D. F. and Herzberg, A. M. (1985). Data: A Collection of Problems from Many Fields for the
       Student and Research Worker. Springer, New York. https://doi.org/10.1007/978-1-4612-5098-2

    Examples
    --------
    >>> from sklstm.datasets import load_sunspots
    >>> sun = load_sunspots()
    >>> sun.data.shape, str(sun.times[0]), str(sun.times[-1])
    ((2820, 1), '1749-01', '1983-12')
    """
    return _load_series("sunspots", return_X_y)


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

    Nine male speakers utter the vowels /ae/. An utterance is a sequence of 7 to 29 frames of 12 LPC cepstrum
    coefficients. The task is to recognise the speaker [1]_ [2]_. Values are as in the source, not scaled.

    Parameters
    ----------
    subset : {"train", "test", "all"}, default="train"
        The 270 training sequences (30 of each speaker), the 370 test sequences (24 to 88 of each), or both in this
        order. The split is that of the source; the test utterances were recorded on other occasions.
    padded : bool, default=True
        True: `data` is one array, and zeros before the first frame of each sequence bring it to 29 frames. False:
        `data` is a list of arrays, each with the length of its sequence.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of the Bunch.

    Returns
    -------
    Bunch or (data, target)
        Dictionary-like, with the attributes

        data : ndarray of shape (n, 29, 12), or list of n ndarrays of shape (length, 12), float64
            The sequences. If padded, ``data[i, 29 - lengths[i]:]`` holds the frames of sequence i.
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
        If `subset` is not one of these three values.

    Notes
    -----
    The zeros are on the left because the state of a ReLU network without biases,

    .. math:: h_t = \mathrm{ReLU}(W h_{t-1} + U x_t), \qquad h_0 = 0,

    stays at zero for as long as its input is zero, so its output is the same with and without the padding. This does
    not hold for zeros on the right, for a network with biases, or after a scaling that moves zero. Scale by division
    alone, or before padding.

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
    archive = _read_archive("japanese_vowels")
    n_train = int(archive["n_train"])
    chosen = {"train": slice(0, n_train), "test": slice(n_train, None), "all": slice(None)}[subset]

    lengths = archive["lengths"].astype(np.int64)
    frames = np.split(_unpack_columns(archive), np.cumsum(lengths)[:-1])  # 640 arrays (length, 12)
    n_steps = int(lengths.max())  # 29, the longest of both subsets: train and test sequences get one shape
    data: Padded | Ragged = [sequence.copy() for sequence in frames[chosen]]
    lengths = lengths[chosen].copy()
    if padded:
        sequences, data = data, np.zeros((len(data), n_steps, 12))
        data[np.arange(n_steps) >= n_steps - lengths[:, None]] = np.concatenate(sequences)
    target = archive["labels"].astype(np.int64)[chosen].copy()
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        lengths=lengths,
        feature_names=archive["feature_names"].tolist(),
        target_names=[f"speaker_{speaker}" for speaker in range(1, 10)],
        DESCR=_read_description("japanese_vowels"),
    )


def _load_series(name: str, return_X_y: bool) -> Bunch | Arrays:
    """Load a time series of shape (n_steps, d); its first column is the target."""
    archive = _read_archive(name)
    data = _unpack_columns(archive)
    target = data[:, 0].copy()
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        times=_unpack_times(archive),
        feature_names=archive["feature_names"].tolist(),
        DESCR=_read_description(name),
    )


def _read_archive(name: str) -> Archive:
    """Members of ``data/<name>.npz``."""
    path = resources.files("sklstm.datasets") / "data" / f"{name}.npz"
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        return dict(archive)


def _read_description(name: str) -> str:
    """Section on ``<name>.npz`` in ``data/README.md``, the only place that holds sources and licences."""
    path = resources.files("sklstm.datasets") / "data" / "README.md"
    sections = path.read_text(encoding="utf-8").split("\n## ")
    title = f"{name}.npz\n"
    return next(section for section in sections if section.startswith(title)).strip() + "\n"


def _unpack_columns(archive: Archive) -> NDArray[np.float64]:
    """Table of an archive, (n_rows, n_columns), computed from integers and their number of decimals.

    The quotient of an integer and an exact power of ten is rounded correctly. So it is the float of the printed decimal
    number. The smallest integer of a column's dtype stands for a missing value and becomes NaN.
    """
    columns = []
    for j, decimals in enumerate(archive["decimals"].tolist()):
        packed = archive[f"column_{j}"]
        missing = packed == np.iinfo(packed.dtype).min
        columns.append(np.where(missing, np.nan, packed.astype(np.float64) / 10.0**decimals))
    return np.ascontiguousarray(np.stack(columns, axis=1))


def _unpack_times(archive: Archive) -> NDArray[np.datetime64]:
    """Times of the rows, (n_rows,), computed from the first time and the steps between times."""
    elapsed = np.concatenate([[0], np.cumsum(archive["steps"], dtype=np.int64)])
    return archive["start"] + elapsed
