"""Effect of random noise on predictions: intervals between order statistics, shares of labels."""

import copy
from collections.abc import Callable, Iterable, Iterator
from numbers import Integral
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _num_samples
from tqdm import tqdm

from sklstm._validation import LEVEL, PROBABILITY, Number, NumberOr, Seed, fresh_random_state
from sklstm.exceptions import NonFiniteOutputError
from sklstm.generalization._confidence import binomial_limits
from sklstm.generalization._order_statistics import fewest_draws, tolerance_ranks, usual_draws
from sklstm.noise import noise_of_kind
from sklstm.preprocessing import SequencesFromTable
from sklstm.training._process import restores_settings

from ._composition import check_predictor, layout_of
from ._noisy_inputs import Draw, NoisyCopies, list_of

_DRAWS = NumberOr(Number(Integral, 1, None), "auto")
_ROWS = 256  # whose plain predictions are made at a time


@restores_settings
def noise_interval(
    model: Any,
    X: Any,
    sigma: Any,
    *,
    coverage: float = 0.95,
    confidence: float = 0.999,
    noise: Literal["gaussian", "uniform", "laplace", "dropout"] = "gaussian",
    n_draws: int | Literal["auto"] = "auto",
    random_state: Any = None,
    verbose: int = 0,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    r"""Interval that contains a given share of the predictions under random noise on the input.

    Each sequence of X gets noise many times, before any scaling, and the model predicts every noisy copy. For a
    regressor the interval lies between two of the sorted predictions. It holds a share ``coverage`` of the distribution
    of the prediction under noise, with probability ``confidence`` over the draws. For a classifier the interval is for
    the probability of each label. Nothing is assumed of the model. The confidence is for each returned number by
    itself, not for all at once. Of 1000 intervals with ``confidence=0.999``, one may fail.

    Parameters
    ----------
    model : fitted estimator
        A regressor or classifier of this or another package, or a pipeline, a TransformedTargetRegressor or a search
        around one.
    X : array-like of shape (n, L, d) or (n, L * d), DataFrame, or list of n arrays (L_i, d)
        Sequences, in any form that ``model.predict`` takes. A mapped file is read sequence by sequence.
    sigma : float, array-like, Series or dict
        Standard deviation of the noise, in the units of X: one number, one for each channel, or an array that
        broadcasts to X. For rows (n, L * d), one for each channel or for each column. Labels are those of the channels
        or columns of X, or those seen in ``fit``. With 0 the interval is the prediction.
    coverage : float, default=0.95
        Share of the distribution that the interval holds. Used for regressors only.
    confidence : float, default=0.999
        Probability that the interval holds this share.
    noise : {"gaussian", "uniform", "laplace", "dropout"}, default="gaussian"
        Kind of the noise; see `sklstm.noise.NOISES`.
    n_draws : int or "auto", default="auto"
        Number of noisy copies of each sequence. In ``"auto"``, z is the normal quantile of the confidence and β the
        coverage. A regressor gets :math:`4z^2\beta/(1-\beta)` copies (726 by default), or the fewest for which an
        interval exists. Its intervals then hold about :math:`(1+\beta)/2` on average. A classifier gets :math:`100 z^2`
        copies, with which the ends are about 0.05 from the share.
    random_state : int, RandomState or None, default=None
        Random seed of the noise. Each sequence has its own generator, made from the seed and its position in X.
    verbose : int, default=0
        1 shows a progress bar.

    Returns
    -------
    lower : ndarray, float64
        Lower bounds.
    upper : ndarray, float64
        Upper ends. For a regressor both have the shape of its predictions. For a classifier they are (n, k), for the
        probability of each of ``model.classes_`` (Clopper & Pearson).

    Raises
    ------
    ValueError
        For bad X, a bad argument, or fewer draws than an interval needs. Raised before any noise is drawn.
    TypeError
        If the model is neither a regressor nor a classifier, or X holds something other than numbers.
    NotFittedError
        Before ``fit``.
    NonFiniteOutputError
        If a prediction under noise is not finite.

    See Also
    --------
    certify : Bounds for every error of a given size, not only for random ones.

    References
    ----------
    .. [1] S. S. Wilks, "Determination of sample sizes for setting tolerance limits", Annals of Mathematical Statistics
       12, 1941.
    .. [2] C. J. Clopper, E. S. Pearson, "The use of confidence or fiducial limits illustrated in the case of the
       binomial", Biometrika 26, 1934.

    Examples
    --------
    >>> import numpy as np
    >>> import sklstm
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> X = np.random.default_rng(0).normal(20, 5, (100, 8))  # degrees
    >>> y = (X[:, -3:].mean(axis=1) - 20) / 3
    >>> lstm = sklstm.TikhonovLSTMRegressor(hidden_size=4, max_epochs=5, random_state=0)
    >>> model = make_pipeline(StandardScaler(), lstm).fit(X, y)
    >>> lower, upper = sklstm.noise_interval(model, X[:2], sigma=0.5, random_state=0)  # half a degree
    >>> prediction = model.predict(X[:2])
    >>> bool(np.all((lower < prediction) & (prediction < upper)))
    True
    """
    PROBABILITY.check("coverage", coverage)
    PROBABILITY.check("confidence", confidence)
    _DRAWS.check("n_draws", n_draws)
    LEVEL.check("verbose", verbose)
    kind = noise_of_kind(noise)
    model = check_predictor(model, "noise_interval")
    labels = is_classifier(model)
    if not labels and n_draws != "auto" and n_draws < (fewest := fewest_draws(coverage, confidence)):
        raise ValueError(
            f"n_draws={n_draws} is too few for an interval with coverage={coverage} and confidence={confidence}: take "
            f"at least {fewest}, or 'auto'."
        )
    if n_draws == "auto":
        n_draws = usual_draws(0.5, confidence) * 25 if labels else usual_draws(coverage, confidence)
    copies = NoisyCopies(X, sigma, getattr(model, "feature_names_in_", None), layout_of(model))
    plain = plain_predictions(model, "predict", X)
    seed = seed_of(random_state)
    if labels:
        lower = counts_of(model, plain[:, None]).astype(np.float64)
    else:
        lower = plain.astype(np.float64)
        first, last = tolerance_ranks(int(n_draws), coverage, confidence)
    upper = lower.copy()

    def draw(
        x: NDArray[Any], sizes: NDArray[np.float64], n_draws: int, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        shape = (n_draws, *x.shape)
        return x + kind.draw_array(np.broadcast_to(x, shape), np.broadcast_to(sizes, shape), rng)

    every = tqdm(range(len(copies)), desc="noise", unit="sequence", disable=not verbose)
    noisy = (row for row in every if copies.numbers(row)[1].any())  # without noise it is the prediction itself
    for row, drawn in predictions_under(model, copies, noisy, int(n_draws), draw, seed):
        if labels:
            counts = counts_of(model, drawn[None])[0]
            lower[row], upper[row] = binomial_limits(counts, int(n_draws), 1 - confidence)
        else:
            if np.isnan(drawn).any():
                raise NonFiniteOutputError(
                    f"A prediction of X[{row}] under noise is NaN. Use a smaller sigma, or check the model.", row, 1
                )
            ordered = np.partition(drawn, (first - 1, last - 1), axis=0)
            lower[row], upper[row] = ordered[first - 1], ordered[last - 1]
    return lower, upper


def seed_of(random_state: Any) -> list[int]:
    """Entropy from a random state of scikit-learn's kinds; None gives new entropy."""
    Seed().check("random_state", random_state)
    return fresh_random_state(random_state).randint(0, 2**32, size=4, dtype=np.uint32).tolist()


def generator_of(seed: list[int], row: int) -> np.random.Generator:
    """The generator of one sequence, independent of the other sequences."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(row,)))


def gathers_rows(model: Any) -> bool:
    """Whether a step of a composition makes sequences of a table with several rows for each."""
    parts = model.get_params().values() if hasattr(model, "get_params") else ()
    return any(isinstance(part, SequencesFromTable) for part in parts)


def plain_predictions(model: Any, method: str, X: Any) -> NDArray[Any]:
    """Predictions without noise, some sequences at a time; they refuse bad X before any work."""
    predict: Callable[[Any], Any] = getattr(model, method)
    if gathers_rows(model):  # rows of one id must stay together
        return np.asarray(predict(X))
    sequences = list_of(X)
    X = X if sequences is None else sequences
    n = _num_samples(X)
    parts = (np.arange(start, min(start + _ROWS, n)) for start in range(0, max(n, 1), _ROWS))
    try:
        return np.concatenate([np.asarray(predict(_safe_indexing(X, rows))) for rows in parts])
    except (TypeError, ValueError) as error:
        refused = error
    predict(copy.deepcopy(X))  # refused as well, with a message that counts the sequences from the first of X
    raise refused


def predictions_under(
    model: Any, copies: NoisyCopies, rows: Iterable[int], n_draws: int, draw: Draw, seed: list[int]
) -> Iterator[tuple[int, NDArray[Any]]]:
    """Sequences, and predictions (n_draws, ...) for noisy copies of each; several at a time if draws are few."""
    for group, n_together in copies.groups(rows, n_draws):
        generators = [generator_of(seed, row) for row in group]
        found = []
        for start in range(0, n_draws, n_together):
            count = min(n_together, n_draws - start)
            drawn = [draw(*copies.numbers(row), count, rng) for row, rng in zip(group, generators, strict=True)]
            try:
                predicted = np.asarray(model.predict(copies.filled(group, drawn)))
            except NonFiniteOutputError as error:
                row = group[error.first // count]
                raise NonFiniteOutputError(
                    f"Outputs of the network are not finite for X[{row}] under this noise. Take a smaller sigma.",
                    row,
                    1,
                ) from error
            found.append(predicted.reshape(len(group), count, *predicted.shape[1:]))
        yield from zip(group, np.concatenate(found, axis=1), strict=True)


def counts_of(model: Any, labels: NDArray[Any]) -> NDArray[np.int64]:
    """Count of each class (n, k) among labels (n, m)."""
    return (labels[:, :, None] == np.asarray(model.classes_)).sum(axis=1)
