r"""Tolerance intervals between two order statistics of a sample, exact for every distribution.

Let :math:`y_{(1)} \le \dots \le y_{(N)}` be N independent draws from a continuous distribution. The share of the
distribution in :math:`[y_{(r)}, y_{(s)}]` has the distribution Beta(s − r, N − s + r + 1) (Wilks 1941). It is at least
β with probability :math:`P(\mathrm{Bin}(N, \beta) \le s - r - 1)`. For distributions with atoms the probability is not
smaller (Scheffé & Tukey 1945).
"""

import math

from scipy.stats import binom, norm


def fewest_draws(coverage: float, confidence: float) -> int:
    """Smallest number of draws whose smallest and largest hold a share `coverage` with this confidence."""
    low, high = 1, 2
    while binom.sf(high - 2, high, coverage) > 1 - confidence:
        low, high = high, 2 * high
    while high - low > 1:  # the probability of too small a share falls with the number of draws
        middle = (low + high) // 2
        low, high = (middle, high) if binom.sf(middle - 2, middle, coverage) > 1 - confidence else (low, middle)
    return high


def usual_draws(coverage: float, confidence: float) -> int:
    r"""Number of draws whose interval holds, on average, about midway between `coverage` and 1.

    It is :math:`\lceil 4 z^2 \beta/(1-\beta) \rceil` with z the normal quantile of the confidence, so that the standard
    deviation of the share, times z, is half of 1 − β. At least `fewest_draws`.
    """
    z = max(0.0, float(norm.ppf(confidence)))
    return max(fewest_draws(coverage, confidence), math.ceil(4 * z * z * coverage / (1 - coverage)))


def tolerance_ranks(n_draws: int, coverage: float, confidence: float) -> tuple[int, int]:
    """Ranks r < s from 1, in the middle of all, as close as possible for the interval between them.

    `n_draws` is at least `fewest_draws`.
    """
    between = int(binom.ppf(confidence, n_draws, coverage)) + 1  # smallest s − r
    first = (n_draws + 1 - between) // 2
    return first, first + between
