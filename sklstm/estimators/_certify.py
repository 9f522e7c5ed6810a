"""Certified bounds on the outputs of fitted estimators and of compositions around them."""

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
_LOGISTIC_ERROR = 8 * 2.0**-24  # of a float32 logistic, the network's and ours; see `sklstm.certificates`


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
    """Certified bounds on the outputs of a fitted estimator, pipeline or search for every input within ``eps`` of X.

    ``eps`` is in the units of X, before any scaling. The bounds are in the units of the predictions. For every X' with
    ``|X' - X| <= eps`` in each entry, ``lower <= estimator.predict(X') <= upper``. Rounding errors are included. For a
    classifier the bounds are on the outputs of its network, one column for each class.

    Parameters
    ----------
    estimator : fitted estimator
        An estimator of this package, or a composition around one. Compositions are Pipeline,
        TransformedTargetRegressor, the searches of scikit-learn such as GridSearchCV, and `RegularizationPathCV`; they
        may be nested. Before the network, a pipeline may have StandardScaler, MinMaxScaler, MaxAbsScaler, RobustScaler,
        `SequenceScaler` and "passthrough". The target may be transformed by the first four, by PowerTransformer, and by
        functions whose inverse is ``np.exp``, ``np.expm1``, ``np.exp2`` or ``np.square``. Each may be a
        FrozenEstimator.
    X : array-like of shape (n, L, d) or (n, L * d), DataFrame, or list of n arrays (L_i, d)
        Sequences, in any form that ``estimator.predict`` takes.
    eps : float, array-like, Series, DataFrame or dict
        Largest absolute input error, not negative, in the units of X. One number holds for all entries. An array has
        one number per channel (d,), per column (L * d,) of 2-D X, or per step and channel (L, d) of 3-D X. It may also
        have the shape of X, in which axes may be 1. A list has such an array (L_i, d) for each sequence. A Series, a
        dict, the columns of a DataFrame, or a list of these have labels. Their labels must be those of the channels or
        columns of X, or those seen in ``fit``, in any order. Rows of a DataFrame must be those of X. Default labels 0,
        1, … count by position, as in arrays.
    method : {"best", "linear", "mean-value", "intervals"}, default="best"
        How the bounds are computed. ``"intervals"`` propagates bounds forward; it is the fastest, and the tightest for
        large ``eps``. ``"mean-value"`` bounds the derivatives over the box; it is nearly exact for small ``eps``.
        ``"best"`` computes both and takes the smaller, entry by entry. ``"linear"`` substitutes linear bounds
        backwards, step by step. It is never wider than ``"best"`` and often many times narrower, but it takes as long
        as hundreds to thousands of predictions.
    batch_size : int, optional
        Number of sequences computed at once, which limits the memory. By default as many as take about 100 MB.
    verbose : int, default=0
        1 shows a progress bar.

    Returns
    -------
    lower : ndarray, float64
        Lower bounds.
    upper : ndarray, float64
        Upper bounds. For a regressor both have the shape of its predictions, for a classifier (n, k). With ``eps=0``
        both are the outputs themselves. Infinite where no bound is known; never NaN.

    Raises
    ------
    TypeError
        If a part of the composition is unknown, so that its effect on input errors cannot be bounded.
    NotFittedError
        Before ``fit``, or if a search was fitted with ``refit=False``.
    ValueError
        For a negative or non-finite ``eps``, for one of a wrong shape or with other labels than X, or for bad X. Raised
        before any work.
    InaccurateFunctionError
        If elementary functions are less accurate on this machine than certificates assume. This is measured once a
        process.
    NonFiniteOutputError
        If ``eps=0`` and the outputs of the network are infinite or NaN.

    Warns
    -----
    WideCertificateWarning
        If bounds of a regressor are farther apart than the range of the training targets, in the units of the
        predictions.

    See Also
    --------
    TikhonovLSTMRegressor.certify : The same for the network alone.
    certified_radius : Certified radii of predicted labels.
    certified_accuracy : Share of labels that are certified to be right.

    Notes
    -----
    The allowed scalers act on every entry by itself and are monotone, in exact arithmetic and as computed. Each is a
    few sums, products and quotients with constants, and rounding keeps the order of numbers. So the transformed ends of
    an interval are the ends of the transformed interval. X' may have the dtype of X or a wider one. float32 is scaled
    in float32, which differs in the last digits.

    A step that `SequenceScaler` takes for padding becomes data once it is perturbed. Give such steps ``eps=0``, or pass
    the sequences as a list.

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
    """The bounds of `certify` without its warning, for errors and scores that show their width themselves."""
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
    """Warn if bounds are farther apart than the range of the training targets, in the units of predictions."""
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
        f"The certificate says little: the bounds of {n} of {len(wide)} predictions ({n / len(wide):.0%}) are farther "
        f"apart than the training targets, which range over {spread[column]:.4g}{of}. The median width is "
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
    """Bounds (m, k) on the outputs for inputs in boxes around these rows of the sequences."""
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
    """Bounds (m, k) on the outputs before the link function, or on their differences with the output ``minus``."""
    if not is_plain(module):
        raise TypeError(
            f"Nothing is proved about the network {type(module).__name__}. Certificates cover torch's LSTM, GRU and "
            "plain recurrent layers with a linear readout of the last state, and a linear part."
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
