"""Mean and variance of every channel, in one pass over batches."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sklstm.preprocessing._sequences import blocks


@dataclass(frozen=True)
class Moments:
    """Weighted count, mean and sum of squared deviations of each channel, in float64.

    Attributes
    ----------
    count : ndarray of shape (d,)
        Sum of the weights of the values seen.
    mean : ndarray of shape (d,)
        0 where nothing was seen.
    squares : ndarray of shape (d,)
        Weighted sum of squared deviations from the mean.
    """

    count: NDArray[np.float64]
    mean: NDArray[np.float64]
    squares: NDArray[np.float64]

    def __add__(self, other: "Moments") -> "Moments":
        r"""Moments of both samples together, exact but for rounding.

        .. math::
            n = n_a + n_b, \quad \delta = \bar x_b - \bar x_a, \quad \bar x = \bar x_a + \delta\, n_b / n, \quad
            S = S_a + S_b + \delta^2\, n_a n_b / n

        References
        ----------
        Chan, T. F., Golub, G. H. and LeVeque, R. J. (1983). Algorithms for computing the sample variance: analysis and
        recommendations. The American Statistician 37 (3), 242-247.
        """
        count = self.count + other.count
        share = np.divide(other.count, count, out=np.zeros_like(count), where=count > 0)  # n_b / n
        delta = other.mean - self.mean
        with np.errstate(over="ignore", invalid="ignore"):
            # In this order, a mean whose square overflows does no harm beside an empty sample.
            squares = self.squares + other.squares + delta * (self.count * share) * delta
        return Moments(count, self.mean + delta * share, squares)

    @property
    def variance(self) -> NDArray[np.float64]:
        """Biased, as ``numpy.var``; NaN where nothing was seen."""
        return np.divide(self.squares, self.count, out=np.full_like(self.mean, np.nan), where=self.count > 0)

    @property
    def scale(self) -> NDArray[np.float64]:
        """Standard deviation; 1 for a channel that is constant or of which nothing was seen."""
        deviation = np.sqrt(self.variance)
        # A constant channel has variance zero, exactly; one that was computed may differ in its last digits from step
        # to step. Ten units of rounding of the mean are no signal to be blown up to size one.
        noise = 10 * np.finfo(np.float64).eps * np.abs(self.mean)
        return np.where(deviation > noise, deviation, 1.0)


def moments(values: NDArray, weights: NDArray[np.float64] | None) -> Moments:
    """Moments of the rows, leaving out NaN.

    Parameters
    ----------
    values : ndarray of shape (m, d), float32 or float64
        Computed with in float64.
    weights : ndarray of shape (m,) or None
        Non-negative; None: all are 1.

    Returns
    -------
    Moments
        A constant channel has its value as mean and exactly no squares. ``inf`` or NaN after overflow.
    """
    d = values.shape[1]
    total = Moments(np.zeros(d), np.zeros(d), np.zeros(d))
    with np.errstate(over="ignore", invalid="ignore"):
        for rows in blocks(len(values), min(1 << 16, max(1, (1 << 20) // max(1, d)))):  # at most 8 MiB
            x = values[rows].astype(np.float64)
            total = total + _block(x, np.ones(len(x)) if weights is None else weights[rows])
    return total


def _block(x: NDArray[np.float64], weights: NDArray[np.float64]) -> Moments:
    """The corrected two-pass algorithm of Chan, Golub and LeVeque, shifted so that constants have no deviation."""
    seen = ~np.isnan(x) & (weights > 0)[:, None]  # (m, d)
    w = np.where(seen, weights[:, None], 0.0)
    count = w.sum(axis=0)
    divisor = np.where(count > 0, count, 1.0)
    # A value of the channel: a mean of equal numbers would be off in the last digit.
    shift = np.where(count > 0, x[seen.argmax(axis=0), np.arange(x.shape[1])], 0.0)
    centre = shift + (w * np.where(seen, x - shift, 0.0)).sum(axis=0) / divisor
    deviation = np.where(seen, x - centre, 0.0)
    error = (w * deviation).sum(
        axis=0
    ) / divisor  # of the centre: rounded, and badly so if the shift is far from the rest
    squares = (w * deviation**2).sum(axis=0) - count * error**2
    return Moments(count, centre + error, np.maximum(squares, 0.0))


def checked_weights(sample_weight: ArrayLike, n: int) -> NDArray[np.float64]:
    """Weights of the sequences, (n,); ``ValueError`` if they are not non-negative, finite numbers, one for each."""
    weights = np.asarray(sample_weight, dtype=np.float64)
    if weights.shape != (n,):
        raise ValueError(f"sample_weight must have shape ({n},), one weight for each sequence; got {weights.shape}.")
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise ValueError("sample_weight must be finite and not negative.")
    if not weights.any():
        raise ValueError("sample_weight is zero for every sequence.")
    return weights
