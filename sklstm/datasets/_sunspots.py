"""Monthly sunspot numbers."""

from typing import Literal, overload

from sklearn.utils import Bunch

from sklstm.datasets._io import Arrays, load_series


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
        Return ``(data, target)`` in place of the Bunch.

    Returns
    -------
    Bunch or (data, target)
        Dictionary-like, with the attributes

        data : ndarray of shape (2820, 1), float64
            One row a month, in order of time, none absent: sunspots.
        target : ndarray of shape (2820,), float64
            The number of the same month, equal to column 0 of `data`: predict it from earlier rows.
        times : ndarray of shape (2820,), datetime64[M]
            The months.
        feature_names : list of str
            Name of the column.
        DESCR : str
            Source, citation and licence.

    Notes
    -----
    The numbers are on the scale of their time; those published since 2015 are on another one.
    No licence is attached to the series, a public record of published observations.

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
    return load_series("sunspots", return_X_y)
