"""Certificates of fitted estimators and of compositions around them: bounds on outputs, radii, certified accuracy."""

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils import check_consistent_length, column_or_1d
from torch import nn

from sklstm._sequences import Sequences
from sklstm._tables import as_plain
from sklstm._validation import Choice, Number
from sklstm.certificates import RecurrentNetwork, output_bounds
from sklstm.certificates._output_bounds import METHODS
from sklstm.networks._networks import is_plain
from sklstm.training._inference import BLOCK, module_for_float64, outputs_of
from sklstm.training._process import products_in, restores_settings, thread_limit, threads_for_network

from ._composition import Composition, Ends

_METHOD = Choice(METHODS)
_BATCH_SIZE = Number(Integral, 1, None, optional=True)
_RTOL = Number(Real, 1e-9, 1)
_LOGISTIC_ERROR = 8 * 2.0**-24  # of a float32 logistic, network's and ours; see `sklstm.certificates`


@restores_settings
def certify(
    estimator: Any,
    X: Any,
    eps: Any,
    *,
    method: Literal["best", "linear", "mean-value", "intervals"] = "best",
    batch_size: int | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Bounds on the outputs of a fitted estimator, pipeline or search for every input within ``eps`` of X.

    ``eps`` is in the units of X, before any scaling, and the bounds are in those of the predictions: for every X' with
    ``|X' - X| <= eps`` in each entry, ``lower <= estimator.predict(X') <= upper``, rounding included. For a classifier
    the bounds are on the outputs of its network, one column for each class.

    Parameters
    ----------
    estimator : fitted estimator
        One of this package, or a composition around one, one in the other: Pipeline, TransformedTargetRegressor, the
        searches of scikit-learn such as GridSearchCV, and `RegularizationPathCV`. Before the network, a pipeline may
        have StandardScaler, MinMaxScaler, MaxAbsScaler, RobustScaler, `SequenceScaler` and "passthrough"; the target
        may go through the first four.
    X : array-like of shape (n, L, d) or (n, L * d), DataFrame, or list of n arrays (L_i, d)
        In any form that ``estimator.predict`` takes.
    eps : float, array-like, Series, DataFrame or dict
        Largest absolute perturbation, not negative: one number; one per channel (d,); one per column (L * d,) of 2-D X,
        or per step and channel (L, d) of 3-D X; an array of the shape of X, in which axes may be 1; a list with such an
        array (L_i, d) for each sequence. What has labels, a Series, a dict, the columns of a DataFrame, or a list of
        these, must have those of the channels or columns of X, or of those seen in ``fit``, in any order; rows of a
        DataFrame must be those of X. Numbers that are labelled 0, 1, … by default, as arrays, count by position.
    method : {"best", "linear", "mean-value", "intervals"}, default="best"
        ``"intervals"`` propagates bounds forward; the cheapest, and the tightest for large ``eps``. ``"mean-value"``
        bounds the derivatives over the box; nearly exact for small ``eps``. ``"best"`` computes both and takes the
        smaller, entry by entry. ``"linear"`` carries affine forms of all states along: never wider than ``"best"``,
        often many times narrower, at the cost of several thousand predictions.
    batch_size : int, optional
        Sequences handled at once, which bounds the memory. By default as many as take about 100 MB.

    Returns
    -------
    lower : ndarray, float64
        Limits from below.
    upper : ndarray, float64
        Limits from above. For a regressor in the shape of its predictions, for a classifier (n, k). With ``eps=0`` both
        are the outputs themselves. Infinite where no limit is known; never NaN.

    Raises
    ------
    TypeError
        If a part of the composition is unknown, because nothing can be said about what it does to a box of inputs.
    NotFittedError
        Before ``fit``, or if a search was told not to refit.
    ValueError
        For a negative or non-finite ``eps``, one of a wrong shape or with other labels than X, or bad X, before any
        work.
    NonFiniteOutputError
        If ``eps=0`` and the outputs of the network are infinite or NaN.

    See Also
    --------
    TikhonovLSTMRegressor.certify : The same, of the network alone.
    certified_radius : For labels.
    certified_accuracy : For labels that are known.

    Notes
    -----
    The scalers that are allowed act on every entry by itself and are monotone, in exact arithmetic and as computed:
    each is a few sums, products and quotients with constants, and rounding keeps the order of numbers. What they make
    of the two ends of an interval are therefore the ends of what they make of all that lies between. X' may be of the
    dtype of X or of a wider one: float32 is scaled in float32, which differs in the last digits.

    A step that `SequenceScaler` takes for padding is data once it is perturbed: give such steps ``eps=0``, or the
    sequences as a list.

    Examples
    --------
    >>> import numpy as np
    >>> import sklstm
    >>> from sklearn.compose import TransformedTargetRegressor
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> X = np.random.default_rng(0).normal(20, 5, (100, 8))  # degrees
    >>> y = 10 * X[:, -3:].mean(axis=1)
    >>> lstm = sklstm.TikhonovLSTMRegressor(hidden_size=4, max_epochs=20, random_state=0)
    >>> model = TransformedTargetRegressor(make_pipeline(StandardScaler(), lstm), transformer=StandardScaler())
    >>> model = model.fit(X, y)
    >>> lower, upper = sklstm.certify(model, X, eps=0.1)  # a tenth of a degree
    >>> bool(np.all((lower <= model.predict(X + 0.1)) & (model.predict(X + 0.1) <= upper)))
    True
    """
    _METHOD.check("method", method)
    _BATCH_SIZE.check("batch_size", batch_size)
    composition = Composition.around(estimator)
    sequences, blocks = composition.read(X, eps)
    module = composition.estimator.net_.module_
    lower, upper = (np.empty((len(sequences), module.readout.out_features)) for _ in range(2))
    for rows, part, low, high in blocks:
        lower[rows], upper[rows] = _output_bounds(module, rows, part, low, high, method, batch_size)
    if not isinstance(composition.estimator, ClassifierMixin):
        shape = (-1, *composition.estimator._target_shape)
        lower, upper = lower.reshape(shape), upper.reshape(shape)
    return composition.outputs(lower, upper)


@restores_settings
def certified_radius(estimator: Any, X: Any, *, rtol: float = 0.01) -> NDArray[np.float64]:
    """Radii within which no perturbation of the input changes the label, in the units of X.

    Parameters
    ----------
    estimator : fitted classifier
        A classifier of this package, or a pipeline or search around one, as in `certify`.
    X : array-like of shape (n, L, d) or (n, L * d), DataFrame, or list of n arrays (L_i, d)
        In any form that ``estimator.predict`` takes.
    rtol : float, default=0.01
        At least 1e-9. The radius returned is within this factor of the largest one that the certificate yields.

    Returns
    -------
    ndarray of shape (n,), float64
        ``estimator.predict(X') == estimator.predict(X)`` for every X' with ``|X' - X| <= radius`` in each entry. The
        radius is one number for all channels: give them comparable units. 0 where nothing could be certified.

    Raises
    ------
    TypeError
        If a part of the composition is unknown, or the estimator is a regressor.
    NotFittedError
        Before ``fit``, or if a search was told not to refit.
    ValueError
        For bad X, before any work.
    NonFiniteOutputError
        If outputs of the network are infinite or NaN: there is no label.

    See Also
    --------
    NoisyRNNClassifier.certified_radius : The same, of the network alone.
    certify : Bounds on the outputs.

    Examples
    --------
    >>> import numpy as np
    >>> import sklstm
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklstm.preprocessing import SequenceScaler
    >>> X = np.random.default_rng(0).normal(20, 5, (200, 8, 1))  # degrees
    >>> y = np.where(X.mean(axis=(1, 2)) > 20, "warm", "cold")
    >>> model = make_pipeline(SequenceScaler(), sklstm.NoisyRNNClassifier(hidden_size=4, random_state=0)).fit(X, y)
    >>> radius = sklstm.certified_radius(model, X)  # degrees
    >>> bool(np.all(model.predict(X + radius[:, None, None]) == model.predict(X)))
    True
    """
    _RTOL.check("rtol", rtol)
    composition = Composition.around(estimator)
    module = _classifier_of(composition, "certified_radius").net_.module_
    n, balls = composition.balls(X)
    found = np.empty(n)
    for rows, part, sizes, ends in balls:
        found[rows] = _radii(module, rows, part, sizes, ends, rtol)
    return found


@restores_settings
def certified_accuracy(estimator: Any, X: Any, y: Any, eps: Any) -> float:
    """Fraction of samples that are classified rightly whatever perturbation of size ``eps``, in the units of X.

    Parameters
    ----------
    estimator : fitted classifier
        A classifier of this package, or a pipeline or search around one, as in `certify`.
    X : array-like of shape (n, L, d) or (n, L * d), DataFrame, or list of n arrays (L_i, d)
        In any form that ``estimator.predict`` takes.
    y : array-like of shape (n,)
        True labels.
    eps : float, array-like, Series, DataFrame or dict
        As in `certify`.

    Returns
    -------
    float
        At most the accuracy, and equal to it for ``eps=0``. A lower bound on the accuracy under any attack.

    Raises
    ------
    TypeError
        If a part of the composition is unknown, or the estimator is a regressor.
    NotFittedError
        Before ``fit``, or if a search was told not to refit.
    ValueError
        As `certify`; also if X and y differ in length.
    NonFiniteOutputError
        If outputs of the network are infinite or NaN: there is no label.

    See Also
    --------
    NoisyRNNClassifier.certified_accuracy : The same, of the network alone.
    certified_radius : How far each label holds.

    Examples
    --------
    >>> import numpy as np
    >>> import sklstm
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklstm.preprocessing import SequenceScaler
    >>> X = np.random.default_rng(0).normal(20, 5, (200, 8, 1))  # degrees
    >>> y = np.where(X.mean(axis=(1, 2)) > 20, "warm", "cold")
    >>> model = make_pipeline(SequenceScaler(), sklstm.NoisyRNNClassifier(hidden_size=4, random_state=0)).fit(X, y)
    >>> sklstm.certified_accuracy(model, X, y, eps=0.1) <= model.score(X, y)
    True
    """
    composition = Composition.around(estimator)
    classifier = _classifier_of(composition, "certified_accuracy")
    module = classifier.net_.module_
    sequences, blocks = composition.read(X, eps)
    y = column_or_1d(as_plain(y, "y"))
    check_consistent_length(sequences, y)
    labels = _labels(module, sequences)
    accuracy_score(y, classifier.classes_[labels])  # refuses labels of another kind, which would all count as wrong
    right = np.asarray(classifier.classes_[labels] == y)
    for rows, _, low, high in blocks:
        doubtful = np.flatnonzero(right[rows] & ~_is_point(low, high))
        if len(doubtful):
            some = rows[doubtful]
            right[some] = _certified(module, low[doubtful], high[doubtful], labels[some])
    return float(np.mean(right))


def _classifier_of(composition: Composition, function: str) -> Any:
    if not isinstance(composition.estimator, ClassifierMixin):
        raise TypeError(
            f"{function} is about the labels of a classifier, and {type(composition.estimator).__name__} is a "
            "regressor: use certify."
        )
    return composition.estimator


def _radii(
    module: nn.Module, places: np.ndarray, X: np.ndarray, sizes: np.ndarray, ends: Ends, rtol: float
) -> np.ndarray:
    """Certified radii (m,) of sequences X (m, L, d), at these places in the user's X, within boxes of any radius."""
    labels = _labels(module, Sequences(X), places)

    def holds(rows: np.ndarray, at: np.ndarray) -> np.ndarray:
        low, high = ends(rows, np.broadcast_to(at[:, None, None], (len(at), *X.shape[1:])))
        return _certified(module, low, high, labels[rows])

    return _largest_radii(holds, sizes, rtol)


def _labels(module: nn.Module, sequences: Sequences, places: np.ndarray | None = None) -> np.ndarray:
    """Indices (n,) of the predicted classes."""
    return outputs_of(module, sequences, places).argmax(axis=1)


def _is_point(low: torch.Tensor, high: torch.Tensor) -> np.ndarray:
    """Which boxes (n,) between two ends (n, L, d) hold one input only."""
    return (low == high).flatten(1).all(dim=1).numpy()


def _output_bounds(
    module: Any,
    places: np.ndarray,
    X: np.ndarray,
    low: torch.Tensor,
    high: torch.Tensor,
    method: str,
    batch_size: int | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Bounds (m, k) on the outputs for inputs between two ends (m, L, d); X (m, L, d) is one, at these places."""
    lower, upper = _bounds(module, low, high, method, batch_size)
    if module.is_logistic:
        lower = (expit(lower) - _LOGISTIC_ERROR).clip(0, 1)
        upper = (expit(upper) + _LOGISTIC_ERROR).clip(0, 1)
    exact = _is_point(low, high)
    if exact.any():
        lower[exact] = upper[exact] = outputs_of(module, Sequences(X[exact]), places[exact])
    return lower, upper


def _certified(module: nn.Module, low: torch.Tensor, high: torch.Tensor, labels: np.ndarray) -> np.ndarray:
    """Whether no input between two ends makes any output reach that of the predicted class."""
    _, upper = _bounds(module, low, high, minus=labels)
    np.put_along_axis(upper, labels[:, None], -np.inf, axis=1)
    return upper.max(axis=1) < 0


def _bounds(
    module: Any,
    low: torch.Tensor,
    high: torch.Tensor,
    method: str = "best",
    batch_size: int | None = None,
    minus: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Bounds (n, k) on the outputs before any link function, or on their differences with the output ``minus``.

    They hold for inputs between two ends (n, L, d) in float64.
    """
    if not is_plain(module):
        raise TypeError(
            f"Nothing is proved about the network {type(module).__name__}: certificates are about torch's LSTM, GRU "
            "and ReLU layers with a linear readout of the last state, and of a linear part."
        )
    module = module_for_float64(module)
    linear = module.linear_part
    network = RecurrentNetwork.from_torch(module.recurrent, module.readout, None if linear is None else linear.weight)
    device = network.weight_out.device
    lower, upper = low.to(device), high.to(device)
    reference = None if minus is None else torch.as_tensor(minus, device=device)
    with thread_limit(threads_for_network(module, BLOCK)), products_in("float32", device):
        bounds = output_bounds(network, lower, upper, method=method, minus=reference, batch_size=batch_size)
    return bounds.lower.cpu().numpy(), bounds.upper.cpu().numpy()


def _largest_radii(holds: Callable[[np.ndarray, np.ndarray], np.ndarray], scale: np.ndarray, rtol: float) -> np.ndarray:
    """The largest radius at which something holds, within a factor of 1 + rtol, found by bisection; for each sample.

    Parameters
    ----------
    holds : callable
        From indices (m,) of samples and radii (m,) to booleans (m,).
    scale : ndarray of shape (n,)
        Sizes of the samples, not negative; 0 counts as 1.
    rtol : float

    Returns
    -------
    ndarray of shape (n,)
        0 where it does not hold at a billionth of the size; at most about a million times the size.
    """
    scale = np.where(scale == 0, 1, scale)
    n = len(scale)
    smallest, largest = 1e-9 * scale, np.minimum(1e6 * scale, 1e37)
    lower, upper = np.zeros(n), np.full(n, np.inf)
    eps = 1e-2 * scale
    active = np.arange(n)
    while len(active):
        at = eps[active]
        held = holds(active, at)
        lower[active] = np.where(held, at, lower[active])
        upper[active] = np.where(held, upper[active], at)
        low, high = lower[active], upper[active]
        # Bracket by factors of four, then halve the bracket.
        eps[active] = np.where(high == np.inf, 4 * low, np.where(low == 0, high / 4, (low + high) / 2))
        done = (high <= (1 + rtol) * low) | (high < smallest[active]) | (low > largest[active])
        active = active[~done]
    return lower
