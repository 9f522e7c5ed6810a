"""Certificates of fitted estimators and of compositions around them: bounds on their outputs."""

import warnings
from collections.abc import Iterator
from numbers import Integral
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.base import ClassifierMixin

from sklstm._sequences import Sequences
from sklstm._validation import LEVEL, Choice, Number, caller_level
from sklstm.certificates import RecurrentNetwork, output_bounds
from sklstm.certificates._output_bounds import METHODS
from sklstm.exceptions import WideCertificateWarning
from sklstm.networks._networks import is_plain
from sklstm.training._inference import BLOCK, module_for_float64, outputs_of
from sklstm.training._process import products_in, restores_settings, thread_limit, threads_for_network

from ._boxes import Boxes
from ._composition import Composition, with_progress

_METHOD = Choice(METHODS)
_BATCH_SIZE = Number(Integral, 1, None, optional=True)
_LOGISTIC_ERROR = 8 * 2.0**-24  # of a float32 logistic, network's and ours; see `sklstm.certificates`


@restores_settings
def certify(
    estimator: Any,
    X: Any,
    eps: Any,
    *,
    method: Literal["best", "linear", "mean-value", "intervals"] = "best",
    batch_size: int | None = None,
    verbose: int = 0,
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
        may go through the first four, PowerTransformer, and functions whose inverse is ``np.exp``, ``np.expm1``,
        ``np.exp2`` or ``np.square``. Each may be a FrozenEstimator.
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
        smaller, entry by entry. ``"linear"`` substitutes linear bounds backwards, step by step: never wider than
        ``"best"``, often many times narrower, at the cost of hundreds to thousands of predictions.
    batch_size : int, optional
        Sequences handled at once, which bounds the memory. By default as many as take about 100 MB.
    verbose : int, default=0
        1 shows a progress bar.

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
    InaccurateFunctionError
        If elementary functions are less accurate on this machine than certificates assume; measured once a process.
    NonFiniteOutputError
        If ``eps=0`` and the outputs of the network are infinite or NaN.

    Warns
    -----
    WideCertificateWarning
        If limits of a regressor are farther apart than the targets of its training, in the units of the predictions.

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
    LEVEL.check("verbose", verbose)
    composition = Composition.around(estimator)
    sequences, blocks = composition.read(X, eps)
    shown = with_progress(blocks, len(sequences), "certify", verbose)
    lower, upper = limits_within(composition, sequences, shown, method, batch_size)
    warn_if_wide(composition, lower, upper, method)
    return lower, upper


@restores_settings
def certified_limits(estimator: Any, X: Any, eps: Any, method: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The limits of `certify` without its warning, for errors and scores that themselves say how wide they are."""
    _METHOD.check("method", method)
    composition = Composition.around(estimator)
    return limits_within(composition, *composition.read(X, eps), method)


def limits_within(
    composition: Composition,
    sequences: Sequences,
    blocks: Iterator[tuple[np.ndarray, Boxes]],
    method: str,
    batch_size: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Bounds on the outputs of a composition within the boxes that its `read` has returned."""
    module = composition.estimator.net_.module_
    lower, upper = (np.empty((len(sequences), module.readout.out_features)) for _ in range(2))
    for rows, boxes in blocks:
        lower[rows], upper[rows] = _output_bounds(module, rows, sequences, boxes, method, batch_size)
    if not isinstance(composition.estimator, ClassifierMixin):
        shape = (-1, *composition.estimator._target_shape)
        lower, upper = lower.reshape(shape), upper.reshape(shape)
    return composition.outputs(lower, upper)


def warn_if_wide(composition: Composition, lower: np.ndarray, upper: np.ndarray, method: str) -> None:
    """Warn if limits are farther apart than the targets of the training, taken back as predictions are."""
    estimator = composition.estimator
    if estimator._target_range is None:
        return
    low, high = composition.outputs(*estimator._target_range.reshape(2, 1, *estimator._target_shape))
    with np.errstate(invalid="ignore"):  # both may be inf
        widths, spread = (upper - lower).reshape(len(lower), -1), (high - low).ravel()
    wide = (widths > spread) & (spread > 0)
    if not wide.any():
        return
    n, column = int(wide.any(axis=1).sum()), int(wide.sum(axis=0).argmax())
    of = f" (output {column})" if len(spread) > 1 else ""
    linear = "" if method == "linear" else "method='linear', "
    warnings.warn(
        f"The certificate says little: the limits of {n} of {len(wide)} predictions ({n / len(wide):.0%}) are farther "
        f"apart than the targets of the training, which range over {spread[column]:.4g}{of}; the median width is "
        f"{np.median(widths[:, column]):.4g}. What helps: training for such errors (robust_eps), {linear}or a smaller "
        "eps.",
        WideCertificateWarning,
        stacklevel=caller_level(),
    )


def _output_bounds(
    module: Any,
    rows: np.ndarray,
    sequences: Sequences,
    boxes: Boxes,
    method: str,
    batch_size: int | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Bounds (m, k) on the outputs for inputs in boxes, which are about these rows of the sequences."""
    lower, upper = bounds_on(module, boxes, method, batch_size)
    if module.is_logistic:
        lower = (expit(lower) - _LOGISTIC_ERROR).clip(0, 1)
        upper = (expit(upper) + _LOGISTIC_ERROR).clip(0, 1)
    exact = boxes.are_points
    if exact.any():
        places = rows[exact]
        lower[exact] = upper[exact] = outputs_of(module, sequences[torch.from_numpy(places)], places)
    return lower, upper


def bounds_on(
    module: Any, boxes: Boxes, method: str, batch_size: int | None = None, minus: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Bounds (m, k) on the outputs before any link function, or on their differences with the output ``minus``."""
    if not is_plain(module):
        raise TypeError(
            f"Nothing is proved about the network {type(module).__name__}: certificates are about torch's LSTM, GRU "
            "and plain recurrent layers with a linear readout of the last state, and of a linear part."
        )
    module = module_for_float64(module)
    linear = module.linear_part
    network = RecurrentNetwork.from_torch(module.recurrent, module.readout, None if linear is None else linear.weight)
    device = network.weight_out.device
    lower, upper = boxes.low.to(device), boxes.high.to(device)
    reference = None if minus is None else torch.as_tensor(minus, device=device)
    lengths = None if boxes.lengths is None else boxes.lengths.to(device)
    with thread_limit(threads_for_network(module, BLOCK)), products_in("float32", device):
        bounds = output_bounds(
            network, lower, upper, method=method, minus=reference, batch_size=batch_size, lengths=lengths
        )
    return bounds.lower.cpu().numpy(), bounds.upper.cpu().numpy()
