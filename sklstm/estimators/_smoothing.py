"""Randomised smoothing: the majority label of a classifier under Gaussian noise, and its certified radius."""

import math
from collections.abc import Iterator
from functools import cache
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri
from scipy.stats import binom, binomtest
from sklearn.base import is_classifier
from tqdm import tqdm

from sklstm._validation import LEVEL, PROBABILITY, Number
from sklstm.generalization import binomial_tail_inverse
from sklstm.training._process import restores_settings

from ._composition import check_predictor, layout_of
from ._noise_interval import counts_of, plain_predictions, predictions_under, seed_of
from ._noisy_inputs import NoisyCopies

_DRAWS = Number(Integral, 1, 2**31)
# Cells of the grid in one standard deviation, and the farthest cell: beyond 9 standard deviations lies 3e-19.
_PER_SIGMA = 4096
_FARTHEST = 9 * _PER_SIGMA
# Probability that a standard Gaussian rounds to a cell up to this one, for all cells but the last.
_CUMULATED = ndtr((np.arange(-_FARTHEST, _FARTHEST) + 0.5) / _PER_SIGMA)
_PARTS, _TOGETHER = 1 << 18, 1 << 15  # of [0, 1), and numbers that are looked up at a time, to stay within the caches
# Distance in total variation between the distribution that is drawn and the Gaussian, for each number. It has two
# parts: an error of a few units in the last place, of 2^-53 each, at each of 73,728 steps, and the tails.
_VARIATION = 1e-10
_DIGITS = 20  # binary, of sigma: products with integers up to 2^33 are then exact


@restores_settings
def smoothed_radius(
    model: Any,
    X: Any,
    sigma: Any,
    *,
    n_draws: int = 10_000,
    n_select: int = 100,
    confidence: float = 0.999,
    abstain: Any = None,
    random_state: Any = None,
    verbose: int = 0,
) -> tuple[NDArray[Any], NDArray[np.float64]]:
    r"""Labels by a vote under Gaussian noise, with Euclidean radii within which no input error changes them.

    The smoothed classifier returns the label that the model predicts most often for the input with Gaussian noise. The
    first ``n_select`` draws choose a label. ``n_draws`` other draws give an exact lower bound p on its probability. If
    p > 1/2, the smoothed classifier has this label for all inputs within :math:`\sigma\,\Phi^{-1}(p)` [1]_. The only
    assumption about the model is that a prediction depends on its input alone.

    Parameters
    ----------
    model : fitted classifier
        A classifier of this or another package, or a pipeline or search around one. Train it with the same noise.
    X : array-like of shape (n, L, d) or (n, L * d), DataFrame, or list of n arrays (L_i, d)
        Sequences, in any form that ``model.predict`` takes.
    sigma : float, array-like, Series or dict
        Standard deviation of the noise, as in `noise_interval`, rounded to 20 binary digits. Use 0 for exact entries; a
        whole sequence must not be 0.
    n_draws : int, default=10_000
        Number of draws for the lower bound. With n draws and δ = 1 − ``confidence``, the largest possible radius is
        :math:`\sigma\,\Phi^{-1}(\delta^{1/n})`.
    n_select : int, default=100
        Number of draws that choose the label.
    confidence : float, default=0.999
        Probability over the draws that a radius is right, for each sequence by itself.
    abstain : label or None, default=None
        Value that stands for no label. With None the labels have dtype object. Otherwise it must have the type of the
        labels without being one of them.
    random_state : int, RandomState or None, default=None
        Random seed of the noise. Each sequence has its own generator, made from the seed and its position in X.
    verbose : int, default=0
        1 shows a progress bar.

    Returns
    -------
    labels : ndarray of shape (n,)
        Labels of the smoothed classifier; ``abstain`` where none could be certified.
    radius : ndarray of shape (n,), float64
        Certified radii in the units of X, in the Euclidean norm over all steps and channels; 0 where there is no label.
        If ``sigma`` differs between entries, differences are first divided by their ``sigma`` and multiplied by the
        largest ``sigma`` of the sequence. Entries with ``sigma=0`` must not change.

    Raises
    ------
    ValueError
        For bad X, a bad argument, or fewer draws than any label needs. Also for a ``sigma`` of 0 for a whole sequence,
        or for X above a million times ``sigma``.
    TypeError
        If the model is no classifier, or ``abstain`` has another type than the labels.
    NotFittedError
        Before ``fit``.

    See Also
    --------
    certified_radius : Radii of the model itself, without randomness, in the largest-entry norm.
    smoothed_predict : Labels with fewer draws, without radii.

    Notes
    -----
    The rounding of x + noise can reveal x to a model. A radius computed in plain floating point then means nothing
    [2]_. Here inputs and noise are multiples of σ/4096, and their sums are exact. The rounding of inputs to this grid
    is subtracted from the radius.

    References
    ----------
    .. [1] J. Cohen, E. Rosenfeld, Z. Kolter, "Certified adversarial robustness via randomized smoothing", ICML 2019,
       Theorem 1.
    .. [2] V. Voráček, M. Hein, "Sound randomized smoothing in floating-point arithmetics", ICLR 2023.

    Examples
    --------
    >>> import numpy as np
    >>> import sklstm
    >>> X = np.random.default_rng(0).standard_normal((200, 5, 1))
    >>> model = sklstm.NoisyRNNClassifier(4, sigma=0.5, max_epochs=20, random_state=0).fit(X, X.mean(axis=(1, 2)) > 0)
    >>> labels, radius = sklstm.smoothed_radius(model, X[:5], 0.5, n_draws=1000, random_state=0)
    >>> bool(np.all((labels == None) == (radius == 0)))
    True
    """
    _DRAWS.check("n_select", n_select)
    LEVEL.check("verbose", verbose)
    votes = _Votes(model, X, sigma, n_draws, 1, confidence, abstain, random_state, "smoothed_radius")
    found, radius = np.full(len(votes.copies), -1), np.zeros(len(votes.copies))
    for row, chances, counts in votes.each(n_select, n_draws, verbose):
        chosen = int(chances.argmax())
        count = int(counts[chosen])
        values, sizes = votes.copies.numbers(row)
        share = 1 - binomial_tail_inverse(n_draws - count, n_draws, 1 - confidence) - _VARIATION * values.size
        distance = float(ndtri(max(share, 0.5))) * (1 - 1e-9) - _rounding(values, sizes)
        if distance > 0:
            found[row], radius[row] = chosen, distance * sizes.max() * (1 - 2.0 ** (1 - _DIGITS))
    return votes.labels(found), radius


@restores_settings
def smoothed_predict(
    model: Any,
    X: Any,
    sigma: Any,
    *,
    n_draws: int = 1000,
    confidence: float = 0.999,
    abstain: Any = None,
    random_state: Any = None,
    verbose: int = 0,
) -> NDArray[Any]:
    """Labels by a vote under Gaussian noise, or no label where the vote is too close.

    With probability ``confidence``, a returned label is that of the smoothed classifier of `smoothed_radius`: the label
    that the model predicts most often under noise. An exact test compares the two labels with the most votes [1]_.

    Parameters
    ----------
    model : fitted classifier
        A classifier of this or another package, or a pipeline or search around one. Train it with the same noise.
    X : array-like of shape (n, L, d) or (n, L * d), DataFrame, or list of n arrays (L_i, d)
        Sequences, in any form that ``model.predict`` takes.
    sigma : float, array-like, Series or dict
        As in `smoothed_radius`.
    n_draws : int, default=1000
        Number of votes.
    confidence : float, default=0.999
        Probability over the draws that a label is right or withheld, for each sequence by itself.
    abstain : label or None, default=None
        Value that stands for no label, as in `smoothed_radius`.
    random_state : int, RandomState or None, default=None
        Random seed of the noise. Each sequence has its own generator, made from the seed and its position in X.
    verbose : int, default=0
        1 shows a progress bar.

    Returns
    -------
    ndarray of shape (n,)
        Labels, and ``abstain`` where the test cannot decide.

    Raises
    ------
    ValueError, TypeError, NotFittedError
        As in `smoothed_radius`.

    See Also
    --------
    smoothed_radius : Certified radius of each label.

    References
    ----------
    .. [1] K. Hung, W. Fithian, "Rank verification for exponential families", Annals of Statistics 47, 2019.

    Examples
    --------
    >>> import numpy as np
    >>> import sklstm
    >>> X = np.random.default_rng(0).standard_normal((200, 5, 1))
    >>> y = np.where(X.mean(axis=(1, 2)) > 0, "up", "down")
    >>> model = sklstm.NoisyRNNClassifier(4, sigma=0.5, max_epochs=20, random_state=0).fit(X, y)
    >>> labels = sklstm.smoothed_predict(model, X[:5], 0.5, abstain="?", random_state=0)
    >>> set(labels.tolist()) <= {"up", "down", "?"}
    True
    """
    LEVEL.check("verbose", verbose)
    votes = _Votes(model, X, sigma, n_draws, 2, confidence, abstain, random_state, "smoothed_predict")
    found = np.full(len(votes.copies), -1)
    for row, _, counts in votes.each(0, n_draws, verbose):
        first = int(counts.argmax())
        most, second = int(counts[first]), int(np.delete(counts, first).max(initial=0))
        # With this probability, a draw is not one of the Gaussian's. With at most a tenth of the error probability,
        # more than `other` of all draws are not. As many may have voted for the first label instead of the second.
        variation = min(1.0, _VARIATION * votes.copies.numbers(row)[0].size)
        other = int(binom.isf((1 - confidence) / 10, n_draws, variation))
        left = 1 - confidence - binom.sf(other, n_draws, variation)
        if most - other > second + other and binomtest(most - other, most + second).pvalue <= left:
            found[row] = first
    return votes.labels(found)


class _Votes:
    """What both functions share: checked arguments, and votes on sequences."""

    def __init__(
        self,
        model: Any,
        X: Any,
        sigma: Any,
        n_draws: int,
        sides: int,
        confidence: float,
        abstain: Any,
        random_state: Any,
        caller: str,
    ):
        _DRAWS.check("n_draws", n_draws)
        PROBABILITY.check("confidence", confidence)
        # A share of 1/2 or less gives all votes to one label with probability 2^-n.
        if n_draws < (fewest := math.floor(math.log2(sides / (1 - confidence))) + 1):
            raise ValueError(
                f"n_draws={n_draws} is too few for a label with confidence={confidence}, even if all votes agree: "
                f"take at least {fewest}."
            )
        model = check_predictor(model, caller)
        if not is_classifier(model):
            raise TypeError(f"{caller} is about labels, but {type(model).__name__} is a regressor. Use noise_interval.")
        self.model, self.abstain, self.classes = model, abstain, np.asarray(model.classes_)
        self._check_abstain()
        self.copies = NoisyCopies(X, sigma, getattr(model, "feature_names_in_", None), layout_of(model))
        for row in range(len(self.copies)):
            _check_grid(row, *self.copies.numbers(row))
        plain_predictions(model, "predict", X)  # refuses bad X
        self.seed = seed_of(random_state)

    def each(
        self, n_select: int, n_draws: int, verbose: int
    ) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.int64]]]:
        """For every sequence its position, and the votes (k,) for each class in its first draws and in the others."""
        rows = tqdm(range(len(self.copies)), desc="smoothing", unit="sequence", disable=not verbose)
        for row, drawn in predictions_under(self.model, self.copies, rows, n_select + n_draws, on_grid, self.seed):
            first, others = drawn[None, :n_select], drawn[None, n_select:]
            yield row, counts_of(self.model, first)[0], counts_of(self.model, others)[0]

    def labels(self, codes: NDArray[np.int64]) -> NDArray[Any]:
        """Labels of classes; −1 is no label."""
        if self.abstain is None:
            return np.append(self.classes.astype(object), [None])[codes]
        return np.append(self.classes, [self.abstain])[codes]

    def _check_abstain(self) -> None:
        if self.abstain is None:
            return
        kinds = {"i": "iu", "u": "iu", "O": "OU"}
        own, other = self.classes.dtype.kind, np.asarray(self.abstain).dtype.kind
        if np.ndim(self.abstain) or other not in kinds.get(own, own):
            raise TypeError(
                f"abstain must be of the kind of the labels, {self.classes.dtype}, or None; got {self.abstain!r:.80}."
            )
        if self.abstain in self.classes:
            raise ValueError(f"abstain={self.abstain!r} is one of the labels. Take another value, or None.")


def _steps(sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Step sizes of the grid, with `_DIGITS` binary digits; 1 where there is no noise."""
    mantissa, exponent = np.frexp(np.where(sizes > 0, sizes, 1.0) / _PER_SIGMA)
    return np.ldexp(np.rint(np.ldexp(mantissa, _DIGITS)), exponent - _DIGITS)


def on_grid(x: NDArray[Any], sizes: NDArray[np.float64], n_draws: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Copies (n_draws, ...) of x rounded to the grid, plus Gaussian noise rounded to the grid.

    The sums are exact, and their distribution moves along with x.
    """
    uniform = rng.random((n_draws, *x.shape))
    steps, values = _steps(sizes), np.asarray(x, dtype=np.float64)
    places, noise = np.rint(values / steps), _cells(uniform.reshape(-1)).reshape(uniform.shape)
    # Overwrites the uniform numbers: only the copies take memory.
    np.add(noise, places - _FARTHEST, out=uniform)
    uniform *= steps
    if not sizes.all():
        uniform[:, sizes == 0] = values[sizes == 0]
    return uniform


@cache
def _look_up() -> tuple[NDArray[np.int32], NDArray[np.bool_], NDArray[np.float64]]:
    """For each part of [0, 1): its first cell, whether it has more than two, and where they end."""
    ends = np.arange(_PARTS + 1) / _PARTS
    first = np.searchsorted(_CUMULATED, ends[:-1], side="right")
    several = np.searchsorted(_CUMULATED, ends[1:], side="left") - first > 1
    return first.astype(np.int32), several, np.append(_CUMULATED, 2.0)


def _cells(uniform: NDArray[np.float64]) -> NDArray[np.int32]:
    """Cells (n,) of uniform numbers of [0, 1): those of `numpy.searchsorted`, in a tenth of the time."""
    first, several, ends = _look_up()
    found = np.empty(len(uniform), dtype=np.int32)
    for start in range(0, len(uniform), _TOGETHER):
        numbers = uniform[start : start + _TOGETHER]
        part = (numbers * _PARTS).astype(np.int32)
        cell = first[part]
        cell += numbers >= ends[cell]
        (hard,) = several[part].nonzero()
        cell[hard] = np.searchsorted(_CUMULATED, numbers[hard], side="right")
        found[start : start + _TOGETHER] = cell
    return found


def _check_grid(row: int, values: NDArray[Any], sizes: NDArray[np.float64]) -> None:
    if not sizes.any():
        raise ValueError(f"sigma must not be zero for a whole sequence, but X[{row}] would have no noise.")
    noisy = sizes > 0
    if sizes[noisy].min() < 1e-30 or np.any(np.abs(values[noisy]) > 1e6 * sizes[noisy]):
        raise ValueError(
            f"X[{row}] holds values above a million times sigma, or sigma is below 1e-30, so that sums with noise "
            "would be rounded. Take a larger sigma, or centre X."
        )


def _rounding(values: NDArray[Any], sizes: NDArray[np.float64]) -> float:
    """Largest change of the distance of two inputs by rounding to the grid, in standard deviations."""
    return float(np.sqrt((sizes > 0).sum())) / _PER_SIGMA * 1.001
