"""Intervals for the true value and sets of labels: split conformal prediction, also under input errors."""

import math
import warnings
from collections.abc import Callable
from fractions import Fraction
from numbers import Real
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp
from sklearn.base import ClassifierMixin, is_classifier
from sklearn.utils import check_array, column_or_1d

from sklstm._labels import counted, first_labels, refuse_other_rows, row_labels
from sklstm._tables import as_plain, targets_in
from sklstm._validation import PROBABILITY, Choice, caller_level
from sklstm.certificates._output_bounds import METHODS
from sklstm.exceptions import DataWarning
from sklstm.training._process import restores_settings

from ._base import SequenceEstimator
from ._certify import limits_within, warn_if_wide
from ._composition import Composition, check_predictor, innermost, training_data_of
from ._noise_interval import gathers_rows, plain_predictions
from ._reports import refuse_training_data

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
    """Intervals that hold the true value, or sets that hold the true label, with a proved probability.

    This is split conformal prediction [1]_ [2]_: the errors on calibration data tell how large the errors on new data
    will be. Nothing is assumed of the network. The Notes say what is assumed of the data.

    Parameters
    ----------
    model : fitted estimator
        A regressor or classifier of this or another package, or a composition around one. With ``eps``, a model that
        `certify` takes.
    X_cal : array-like of shape (m, L, d) or (m, L * d), DataFrame, or list of m arrays (L_i, d)
        Calibration data. They must have played no part in making the model: neither in ``fit``, nor as validation data,
        nor in choosing parameters. The complete training data of a model of this package, in their order, are
        recognised and refused; parts of them are not.
    y_cal : array-like of shape (m,) or (m, k)
        True values of X_cal in the units of the predictions, or labels.
    X : array-like of shape (n, L, d) or (n, L * d), DataFrame, or list of n arrays (L_i, d)
        Sequences, in any form that ``model.predict`` takes.
    coverage : float, default=0.9
        Probability that the interval or set holds the true value, in (0, 1).
    eps : float, array-like, Series, DataFrame or dict, default=0.0
        Largest input error in each entry of X, in the units of X; as in `certify`. The intervals then hold for any such
        error, also for one chosen by an attacker who knows everything. Use 0 if X has the same errors as X_cal.
    method : {"best", "linear", "mean-value", "intervals"}, default="best"
        Method of `certify`, used if ``eps`` is not 0.

    Returns
    -------
    lower, upper : ndarray, float64
        For a regressor: both ends, as two arrays in the shape of its predictions. The coverage is that of each output
        by itself. To cover k outputs at once, pass ``coverage=1 - (1 - coverage) / k``.
    labels : ndarray of bool of shape (n, k)
        For a classifier, instead: which labels are in the set, in the order of ``classes_``. A set may be empty.

    Raises
    ------
    TypeError
        If the model is neither a regressor nor a classifier, or if it is a classifier without probabilities. With
        ``eps`` also if `certify` does not know a part of it.
    NotFittedError
        Before ``fit``, or if a search was fitted with ``refit=False``.
    ValueError
        If X_cal and y_cal are the training data, differ in length, or are bad in another way. Also if y_cal holds
        labels that are not in ``classes_``, and for a bad X, ``coverage``, ``eps`` or ``method``.
    NonFiniteOutputError
        If outputs of the network are infinite or NaN.

    Warns
    -----
    DataWarning
        If there are too few calibration data: this coverage needs ``coverage / (1 - coverage)`` of them. Intervals are
        then infinite, and sets have all labels.
    WideCertificateWarning
        With ``eps``, as in `certify`.

    See Also
    --------
    certify : How far input errors can move a prediction.

    Notes
    -----
    Let (X_i, Y_i), i = 1, ..., m, be the calibration data, and (X, Y) the true input and target. Assume that these m +
    1 pairs are exchangeable, for instance independent with one distribution. Assume also that the observed input is
    within ``eps`` of X. Then

    .. math:: P(Y \\in [\\text{lower} - q,\\ \\text{upper} + q]) \\ge \\text{coverage}.

    Here q is the ⌈(m + 1) coverage⌉-th smallest absolute error on the calibration data, one for each output. lower and
    upper are the bounds of `certify` around the observed input; with ``eps=0`` both are the prediction. The probability
    is over calibration data and X, Y together. The inputs X_cal are taken to be exact. If they have random errors as X
    has, all pairs are exchangeable as observed, and ``eps=0`` is enough. A series that drifts is not exchangeable. For
    a classifier, let p be the ⌈(m + 1) coverage⌉-th largest probability of a true label on the calibration data. A
    label is in the set if its probability can be as large as p ("LAC" [3]_). Ties are included.

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

    Input errors of up to 0.1:

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
    model = check_predictor(model, "prediction_interval")
    if not gathers_rows(model):
        refuse_other_rows(y_cal, X_cal, "y_cal", "X_cal")
    elif (labels := row_labels(y_cal)) is not None and not counted(labels):
        raise ValueError(
            "y_cal has labels, but the model makes sequences of the table X_cal, whose ids are then unknown. Give "
            "y_cal.to_numpy() in the order of the ids, or transform before: the sequences keep their ids."
        )
    limits = _checked(model, X, eps, method)
    try:
        known = _predictions(model, X_cal)
    except (TypeError, ValueError) as error:
        error.add_note("This is about X_cal, not about X.")
        raise
    if is_classifier(model):
        codes = _codes(model, y_cal, len(known))
        _refuse_training_data(model, X_cal, codes)
        largest = _quantile(-np.take_along_axis(known, codes[:, None], axis=1), coverage)[0]
        upper = limits()[1]
        return -upper <= largest
    try:
        y = check_array(
            targets_in(y_cal, "y_cal"), ensure_2d=False, allow_nd=True, dtype=np.float64, input_name="y_cal"
        )
    except (TypeError, ValueError) as error:
        error.add_note("This is about y_cal, which must hold numbers in the units of the predictions.")
        raise
    if y.shape != known.shape:
        raise ValueError(
            f"y_cal must have the shape of the predictions for X_cal, {known.shape}, which is that of y in fit; got "
            f"{y.shape}."
        )
    _refuse_training_data(model, X_cal, y)
    q = np.nextafter(_quantile(np.abs(y - known), coverage), np.inf)  # differences are rounded
    lower, upper = limits()
    with np.errstate(over="ignore"):
        return np.nextafter(lower - q, -np.inf), np.nextafter(upper + q, np.inf)


def _predictions(model: Any, X: Any) -> NDArray[np.float64]:
    """The values to compare with the truth: predictions, or log-probabilities (n, k) of labels."""
    if not is_classifier(model):
        return plain_predictions(model, "predict", X).astype(np.float64)
    if hasattr(model, "predict_log_proba"):
        return plain_predictions(model, "predict_log_proba", X).astype(np.float64)
    if not hasattr(model, "predict_proba"):
        raise TypeError(f"prediction_interval needs probabilities of labels, but {type(model).__name__} has none.")
    with np.errstate(divide="ignore"):
        return np.log(plain_predictions(model, "predict_proba", X).astype(np.float64))


def _checked(model: Any, X: Any, eps: Any, method: str) -> Callable[[], tuple[np.ndarray, np.ndarray]]:
    """Check X and ``eps``; the returned function bounds what `_predictions` returns for all inputs within ``eps``."""
    if isinstance(eps, Real) and not isinstance(eps, bool) and eps == 0:  # for any model
        predictions = _predictions(model, X)
        return lambda: (predictions, predictions)
    composition = Composition.around(model)
    boxes = composition.read(X, eps)

    def limits() -> tuple[np.ndarray, np.ndarray]:
        lower, upper = limits_within(composition, *boxes, method)
        if isinstance(composition.estimator, ClassifierMixin):
            return lower, _largest_log_probabilities(lower, upper)
        warn_if_wide(composition, lower, upper, method)
        return lower, upper

    return limits


def _codes(model: Any, y: Any, n: int) -> NDArray[np.int64]:
    """Class numbers (n,) of calibration data."""
    y, classes = column_or_1d(as_plain(y, "y")), np.asarray(model.classes_)
    if len(y) != n:
        raise ValueError(f"y_cal has {len(y)} labels, but X_cal has {n} sequences. Pass one label for each sequence.")
    place = {label: code for code, label in enumerate(classes.tolist())}
    strangers = [label for label in dict.fromkeys(y.tolist()) if label not in place]
    if strangers:
        raise ValueError(
            f"y_cal holds labels that are not among those of the training data: {first_labels(strangers, 5)}; the "
            f"classes are {first_labels(classes.tolist(), 20)}."
        )
    return np.array([place[label] for label in y.tolist()], dtype=np.int64)


def _refuse_training_data(model: Any, X: Any, y: np.ndarray) -> None:
    """``ValueError`` if a model of this package was trained on these data."""
    estimator = innermost(model)
    if not isinstance(estimator, SequenceEstimator) or "_data_digest" not in vars(estimator):
        return
    with np.errstate(all="ignore"):  # logarithms of targets that the training did not have
        X, y = training_data_of(model, X, y)
    so = "the intervals would not cover. Hold data back from fit, and calibrate with them"
    refuse_training_data(estimator, X, y, "X_cal and y_cal", so)


def fewest_samples(coverage: float) -> int:
    """The fewest calibration samples with which intervals of this coverage are finite."""
    share = Fraction(repr(float(coverage)))  # 0.9 as written, not the float just above it
    return math.ceil(share / (1 - share))


def _quantile(scores: np.ndarray, coverage: float) -> np.ndarray:
    """The ⌈(n + 1) coverage⌉-th smallest of scores (n, ...); infinite, with a warning, if there are too few."""
    n, share = len(scores), Fraction(repr(float(coverage)))
    rank = math.ceil((n + 1) * share)
    if rank <= n:
        return np.sort(scores, axis=0)[rank - 1]
    warnings.warn(
        f"coverage={float(coverage):g} needs at least {fewest_samples(coverage)} calibration samples, but X_cal has "
        f"{n}. So the intervals are infinite, and the sets have all labels. Use more calibration data, or a smaller "
        "coverage.",
        DataWarning,
        stacklevel=caller_level(),
    )
    return np.full(scores.shape[1:], np.inf)


def _largest_log_probabilities(lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """Upper bounds (n, k) on the log-softmax of outputs between bounds (n, k), rounding included.

    log p_j = -log Σ_i exp(z_i - z_j) is largest where z_j is largest and all others are smallest.
    """
    found = np.empty_like(upper)
    k = upper.shape[1]
    for j in range(k):
        differences = lower - upper[:, [j]]
        differences[:, j] = 0.0
        found[:, j] = -logsumexp(differences, axis=1)
    # Differences, sum and logarithm, here and in the scores: each takes a few roundings, and the sum k.
    return found + (k + 16) * 2.0**-51 * (1 + np.abs(found))
