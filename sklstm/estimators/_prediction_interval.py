"""Where the true value will lie: split conformal intervals and sets of labels, also for inputs that are off."""

import math
import warnings
from fractions import Fraction
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, logsumexp
from sklearn.base import ClassifierMixin
from sklearn.utils import check_array, check_consistent_length, column_or_1d

from sklstm._sequences import as_sequences
from sklstm._tables import as_plain
from sklstm._validation import PROBABILITY, Choice, caller_level
from sklstm.certificates._output_bounds import METHODS
from sklstm.exceptions import WideCertificateWarning
from sklstm.training._fingerprint import fingerprint_of_data
from sklstm.training._process import restores_settings

from ._certify import certified_limits, certify
from ._composition import Composition

_METHOD = Choice(METHODS)


@restores_settings
def prediction_interval(
    model: Any,
    X_cal: Any,
    y_cal: Any,
    X: Any,
    *,
    coverage: float = 0.9,
    eps: Any = 0.0,
    method: Literal["best", "linear", "mean-value", "intervals"] = "best",
) -> Any:
    """Intervals that hold the true value, or sets that hold the true label, with a probability that is proved.

    Split conformal prediction [1]_ [2]_: how far predictions were off on calibration data says how far they will be
    off. Nothing is assumed of the network; what is assumed of the data is in the Notes.

    Parameters
    ----------
    model : fitted estimator
        One of this package, or a composition around one, as in `certify`.
    X_cal : array-like of shape (m, L, d) or (m, L * d), DataFrame, or list of m arrays (L_i, d)
        Calibration data that played no part in making the model: neither in ``fit``, as validation data, nor in
        choosing parameters. All the training data of the model are recognised and refused; parts of them are not.
    y_cal : array-like of shape (m,) or (m, k)
        Their true values, in the units of the predictions, or labels.
    X : array-like of shape (n, L, d) or (n, L * d), DataFrame, or list of n arrays (L_i, d)
        In any form that ``model.predict`` takes.
    coverage : float, default=0.9
        Probability with which the true value lies inside, in (0, 1).
    eps : float, array-like, Series, DataFrame or dict, default=0.0
        How far each entry of X may be off, in the units of X; as in `certify`. The intervals cover whatever the errors
        are, also if they are made by somebody who knows everything. 0 if X is like X_cal, errors included.
    method : {"best", "linear", "mean-value", "intervals"}, default="best"
        How to certify, if ``eps`` is not 0; see `certify`.

    Returns
    -------
    lower, upper : ndarray, float64
        Of a regressor: the limits, two arrays in the shape of its predictions. The coverage is that of each output by
        itself; for k outputs at once, ask each for ``1 - (1 - coverage) / k``.
    labels : ndarray of bool of shape (n, k)
        Of a classifier, instead: which labels are in the set, in the order of ``classes_``. A set may be empty.

    Raises
    ------
    TypeError
        If a part of the composition is unknown.
    NotFittedError
        Before ``fit``, or if a search was told not to refit.
    ValueError
        If X_cal and y_cal are the training data, differ in length, or are bad in another way; if y_cal holds labels
        that are not in ``classes_``; for a bad X, ``coverage``, ``eps`` or ``method``.
    NonFiniteOutputError
        If outputs of the network are infinite or NaN.

    Warns
    -----
    WideCertificateWarning
        If there are too few calibration data for this coverage: ``coverage / (1 - coverage)`` are needed. Then limits
        are infinite, and sets have all labels. Also as `certify`.

    See Also
    --------
    certify : How far errors of the inputs can move a prediction.

    Notes
    -----
    Let (X_i, Y_i), i = 1, ..., m, be the calibration data, and (X, Y) the true input and target. If these m + 1 pairs
    are exchangeable, for instance independent and of one law, and what is seen of X is within ``eps`` of it, then

    .. math:: P(Y \\in [\\text{lower} - q,\\ \\text{upper} + q]) \\ge \\text{coverage},

    where q is the ⌈(m + 1) coverage⌉-th smallest of the absolute errors on the calibration data, one for each output,
    and lower, upper are the bounds of `certify` around what is seen; with ``eps=0`` both are the prediction. The
    probability is over calibration data and X, Y together. The inputs X_cal are taken to be right; if they are off at
    random as X is, all pairs are exchangeable as they are, and ``eps=0`` is enough. A series that drifts is not
    exchangeable. Of a classifier, a label is in the set if its probability can be as large as the
    ⌈(m + 1) coverage⌉-th largest probability of a true label on the calibration data ("LAC" [3]_); ties are included.

    References
    ----------
    .. [1] V. Vovk, A. Gammerman, G. Shafer, *Algorithmic Learning in a Random World*, Springer, 2005.
    .. [2] J. Lei et al., "Distribution-free predictive inference for regression", Journal of the American Statistical
       Association 113, 2018, Theorem 2.2.
    .. [3] M. Sadinle, J. Lei, L. Wasserman, "Least ambiguous set-valued classifiers with bounded error levels",
       Journal of the American Statistical Association 114, 2019.

    Examples
    --------
    >>> import numpy as np
    >>> import sklstm
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(400, 6, 1))
    >>> y = X[:, -3:, 0].mean(axis=1) + 0.1 * rng.normal(size=400)
    >>> model = sklstm.TikhonovLSTMRegressor(4, max_epochs=5, random_state=0).fit(X[:100], y[:100])
    >>> lower, upper = sklstm.prediction_interval(model, X[100:200], y[100:200], X[200:])
    >>> bool(np.mean((lower <= y[200:]) & (y[200:] <= upper)) > 0.8)
    True

    What is seen is off by up to 0.1:

    >>> low, high = sklstm.prediction_interval(model, X[100:200], y[100:200], X[200:] + 0.1, eps=0.1)
    >>> bool(np.mean((low <= y[200:]) & (y[200:] <= high)) > 0.8)
    True

    Labels:

    >>> model = sklstm.NoisyRNNClassifier(4, max_epochs=5, random_state=0).fit(X[:100], y[:100] > 0)
    >>> labels = sklstm.prediction_interval(model, X[100:200], y[100:200] > 0, X[200:])
    >>> labels.shape, labels.dtype
    ((200, 2), dtype('bool'))
    """
    PROBABILITY.check("coverage", coverage)
    _METHOD.check("method", method)
    composition = Composition.around(model)
    composition.read(X, eps)  # refuses what is wrong with them before any work
    outputs, _ = certified_limits(model, X_cal, 0.0, "intervals")  # the outputs themselves
    if isinstance(composition.estimator, ClassifierMixin):
        codes = _labels(composition, y_cal, len(outputs))
        _refuse_training_data(composition, X_cal, codes)
        scores = -np.take_along_axis(log_softmax(outputs, axis=1), codes[:, None], axis=1)
        largest = _quantile(scores, coverage)[0]
        return -_largest_log_probabilities(*certify(model, X, eps, method=method)) <= largest
    y = check_array(as_plain(y_cal, "y"), ensure_2d=False, allow_nd=True, dtype=np.float64, input_name="y_cal")
    if y.shape != outputs.shape:
        raise ValueError(f"y_cal must have the shape of the predictions, {outputs.shape}; got {y.shape}.")
    _refuse_training_data(composition, X_cal, y)
    lower, upper = certify(model, X, eps, method=method)
    with np.errstate(over="ignore"):
        q = np.nextafter(_quantile(np.abs(y - outputs), coverage), np.inf)  # differences are rounded
        return np.nextafter(lower - q, -np.inf), np.nextafter(upper + q, np.inf)


def _labels(composition: Composition, y: Any, n: int) -> NDArray[np.int64]:
    """Numbers (n,) of the classes of calibration data."""
    y = column_or_1d(as_plain(y, "y"))
    check_consistent_length(np.empty(n), y)
    classifier: Any = composition.estimator
    return classifier._codes(y, classifier.classes_, "those of the training data")


def _refuse_training_data(composition: Composition, X: Any, y: np.ndarray) -> None:
    """``ValueError`` if these are what the network was trained on, where predictions are better than on other data."""
    estimator = composition.estimator
    with np.errstate(all="ignore"):  # logarithms of targets that the training did not have
        X, y = composition.training_data(X, y)
    if fingerprint_of_data(as_sequences(estimator, X, reset=False), y) == vars(estimator).get("_data_digest"):
        raise ValueError(
            f"X_cal and y_cal are the training data of this {type(estimator).__name__}, on which its errors "
            "are smaller than on new data: the intervals would not cover. Hold data back from fit, and "
            "calibrate with them."
        )


def _quantile(scores: np.ndarray, coverage: float) -> np.ndarray:
    """The ⌈(n + 1) coverage⌉-th smallest of scores (n, ...); infinite, with a warning, if there are not so many."""
    n, share = len(scores), Fraction(repr(float(coverage)))  # 0.9 as it is written, not the float just above it
    rank = math.ceil((n + 1) * share)
    if rank <= n:
        return np.sort(scores, axis=0)[rank - 1]
    warnings.warn(
        f"coverage={float(coverage):g} needs at least {math.ceil(share / (1 - share))} calibration samples, and X_cal "
        f"has {n}: the intervals are infinite, and the sets have all labels. Use more calibration data, or a smaller "
        "coverage.",
        WideCertificateWarning,
        stacklevel=caller_level(),
    )
    return np.full(scores.shape[1:], np.inf)


def _largest_log_probabilities(lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """Limits (n, k) from above on the logarithms of the softmax of outputs between limits (n, k), rounding included.

    log p_j = -log Σ_i exp(z_i - z_j) is largest where z_j is largest and all others are smallest.
    """
    found = np.empty_like(upper)
    k = upper.shape[1]
    for j in range(k):
        differences = lower - upper[:, [j]]
        differences[:, j] = 0.0
        found[:, j] = -logsumexp(differences, axis=1)
    # Differences, sum and logarithm, here and in the scores: each a few roundings, the sum's k.
    return found + (k + 16) * 2.0**-51 * (1 + np.abs(found))
