"""Certificates of labels: radii within which labels stay, and the share that is right under every input error."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils import check_consistent_length, column_or_1d
from sklearn.utils.multiclass import unique_labels
from torch import Tensor, nn

from sklstm._labels import refuse_other_rows
from sklstm._tables import as_plain
from sklstm._validation import LEVEL, Choice, Number
from sklstm.certificates._output_bounds import METHODS
from sklstm.training._inference import BLOCK, module_for_float64, outputs_of
from sklstm.training._process import products_in, restores_settings, thread_limit, threads_for_network

from ._boxes import Boxes, Ends
from ._certify import bounds_on
from ._composition import Composition, with_progress

_METHOD = Choice((*METHODS, "auto"))
_RTOL = Number(Real, 1e-9, 1)
_ATTACK_STEPS = 10
_ATTACKED = 1024  # boxes attacked at a time


@restores_settings
def certified_radius(
    estimator: Any,
    X: Any,
    *,
    scale: Any = 1.0,
    method: Literal["best", "linear", "mean-value", "intervals", "auto"] = "best",
    rtol: float = 0.01,
    verbose: int = 0,
) -> NDArray[np.float64]:
    """Certified radii: no input error of up to the radius changes the label, in units of X or of ``scale``.

    Parameters
    ----------
    estimator : fitted classifier
        A classifier of this package, or a pipeline or search around one, as in `certify`.
    X : array-like of shape (n, L, d) or (n, L * d), DataFrame, or list of n arrays (L_i, d)
        Sequences, in any form that ``estimator.predict`` takes.
    scale : float, array-like, Series, DataFrame or dict, default=1.0
        Unit of the radii, in the units of X. One number, or one per channel, such as the error of every sensor. It
        takes any form that ``eps`` of `certify` takes, labels included. Use 0 for exact entries; not all may be 0.
    method : {"best", "linear", "mean-value", "intervals", "auto"}, default="best"
        As in `certify`. ``"auto"`` gives the radii of ``"linear"`` in less time. It begins at the radii that ``"best"``
        certifies and stops below those at which an attack changes the label. ``"best"`` is far faster than either.
    rtol : float, default=0.01
        Relative accuracy of the bisection, at least 1e-9. The result is within this factor of the largest radius that
        can be certified.
    verbose : int, default=0
        1 shows a progress bar.

    Returns
    -------
    ndarray of shape (n,), float64
        ``estimator.predict(X') == estimator.predict(X)`` for every X' with ``|X' - X| <= radius * scale`` in each
        entry. 0 where nothing could be certified.

    Raises
    ------
    TypeError
        If a part of the composition is unknown, or the estimator is a regressor.
    NotFittedError
        Before ``fit``, or if a search was fitted with ``refit=False``.
    ValueError
        For bad X, or a bad ``scale``, ``method`` or ``rtol``. Raised before any work.
    NonFiniteOutputError
        If outputs of the network are infinite or NaN, so that there is no label.

    See Also
    --------
    NoisyRNNClassifier.certified_radius : The same for the network alone.
    certify : Certified bounds on the outputs.

    Examples
    --------
    >>> import numpy as np
    >>> import sklstm
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklstm.preprocessing import SequenceScaler
    >>> X = np.random.default_rng(0).normal(20, 5, (200, 8, 1))  # degrees
    >>> y = np.where(X.mean(axis=(1, 2)) > 20, "warm", "cold")
    >>> model = make_pipeline(SequenceScaler(), sklstm.NoisyRNNClassifier(4, max_epochs=20, random_state=0)).fit(X, y)
    >>> radius = sklstm.certified_radius(model, X)  # degrees
    >>> bool(np.all(model.predict(X + radius[:, None, None]) == model.predict(X)))
    True

    Larger radii with another method, and radii in other units:

    >>> bool(np.all(sklstm.certified_radius(model, X[:5], method="auto") >= radius[:5]))
    True
    >>> halves = sklstm.certified_radius(model, X, scale=[0.5])
    >>> bool(np.allclose(halves, 2 * radius, rtol=0.02))
    True
    """
    _METHOD.check("method", method)
    _RTOL.check("rtol", rtol)
    LEVEL.check("verbose", verbose)
    composition = Composition.around(estimator)
    module = _classifier_of(composition, "certified_radius").net_.module_
    sequences, balls = composition.balls(X, scale)
    labels = outputs_of(module, sequences).argmax(axis=1)
    found = np.empty(len(sequences))
    for rows, sizes, largest_scales, ends in with_progress(balls, len(sequences), "certified_radius", verbose):
        # In units of the scale; values beyond float32 cannot be tried.
        search = _Search(sizes / largest_scales, 1e37 / largest_scales, rtol)
        found[rows] = _radii(module, labels[rows], ends, search, method)
    return found


@restores_settings
def certified_accuracy(
    estimator: Any,
    X: Any,
    y: Any,
    eps: Any,
    *,
    method: Literal["best", "linear", "mean-value", "intervals", "auto"] = "best",
    verbose: int = 0,
) -> float:
    """Certified accuracy: fraction of sequences whose label is right under every input error of up to ``eps``.

    Parameters
    ----------
    estimator : fitted classifier
        A classifier of this package, or a pipeline or search around one, as in `certify`.
    X : array-like of shape (n, L, d) or (n, L * d), DataFrame, or list of n arrays (L_i, d)
        Sequences, in any form that ``estimator.predict`` takes.
    y : array-like of shape (n,)
        True labels.
    eps : float, array-like, Series, DataFrame or dict
        As in `certify`.
    method : {"best", "linear", "mean-value", "intervals", "auto"}, default="best"
        As in `certify`. ``"auto"`` has the result of ``"linear"`` in less time. It computes ``"linear"`` only for right
        labels that ``"best"`` does not certify and that an attack does not change.
    verbose : int, default=0
        1 shows a progress bar.

    Returns
    -------
    float
        A lower bound on the accuracy under any attack of size ``eps``. It is at most the accuracy, and equal to it for
        ``eps=0``.

    Raises
    ------
    TypeError
        If a part of the composition is unknown, or the estimator is a regressor.
    NotFittedError
        Before ``fit``, or if a search was fitted with ``refit=False``.
    ValueError
        As in `certify`; also if X and y differ in length.
    NonFiniteOutputError
        If outputs of the network are infinite or NaN, so that there is no label.

    See Also
    --------
    NoisyRNNClassifier.certified_accuracy : The same for the network alone.
    certified_radius : Certified radius of each label.

    Examples
    --------
    >>> import numpy as np
    >>> import sklstm
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklstm.preprocessing import SequenceScaler
    >>> X = np.random.default_rng(0).normal(20, 5, (200, 8, 1))  # degrees
    >>> y = np.where(X.mean(axis=(1, 2)) > 20, "warm", "cold")
    >>> model = make_pipeline(SequenceScaler(), sklstm.NoisyRNNClassifier(4, max_epochs=20, random_state=0)).fit(X, y)
    >>> sklstm.certified_accuracy(model, X, y, eps=0.1) <= model.score(X, y)
    True
    """
    return float(np.mean(certified_right(estimator, X, y, eps, method, verbose)))


def certified_right(estimator: Any, X: Any, y: Any, eps: Any, method: str, verbose: int = 0) -> NDArray[np.bool_]:
    """Which samples (n,) have a label that is right under every input error; arguments as in `certified_accuracy`."""
    _METHOD.check("method", method)
    LEVEL.check("verbose", verbose)
    composition = Composition.around(estimator)
    classifier = _classifier_of(composition, "certified_accuracy")
    module = classifier.net_.module_
    sequences, blocks = composition.read(X, eps)
    refuse_other_rows(y, X, "y")
    y = column_or_1d(as_plain(y, "y"))
    check_consistent_length(sequences, y)
    labels = outputs_of(module, sequences).argmax(axis=1)
    unique_labels(y, classifier.classes_)  # refuses labels of another type, which would all count as wrong
    right = np.asarray(classifier.classes_[labels] == y)
    for rows, boxes in with_progress(blocks, len(sequences), "certified_accuracy", verbose):
        doubtful = np.flatnonzero(right[rows] & ~boxes.are_points)
        if len(doubtful):
            some = rows[doubtful]
            right[some] = _certified(module, boxes[doubtful], labels[some], method)
    return right


def _classifier_of(composition: Composition, function: str) -> Any:
    if not isinstance(composition.estimator, ClassifierMixin):
        raise TypeError(
            f"{function} is about the labels of a classifier, but {type(composition.estimator).__name__} is a "
            "regressor. Use certify."
        )
    return composition.estimator


def _certified(module: nn.Module, boxes: Boxes, labels: np.ndarray, method: str) -> np.ndarray:
    """Whether no input of a box makes another output reach that of the predicted class."""
    if method == "auto":
        certified = _certified(module, boxes, labels, "best")
        rest = np.flatnonzero(~certified)
        # No sound method certifies a label that changes within the box.
        rest = rest[~_is_fooled(module, boxes[rest], labels[rest])] if len(rest) else rest
        if len(rest):
            certified[rest] = _certified(module, boxes[rest], labels[rest], "linear")
        return certified
    _, upper = bounds_on(module, boxes, method, minus=labels)
    np.put_along_axis(upper, labels[:, None], -np.inf, axis=1)
    return upper.max(axis=1) < 0


def _radii(module: nn.Module, labels: np.ndarray, ends: Ends, search: "_Search", method: str) -> np.ndarray:
    """Certified radii (m,) of the labels (m,) of sequences, for boxes with these ends."""

    def holds(method: str) -> _Holds:
        return lambda rows, at: _certified(module, ends(rows, at), labels[rows], method)

    nothing, everything = np.zeros(len(labels)), np.full(len(labels), np.inf)
    if method != "auto":
        return search.bracket(holds(method), nothing, everything)[0]
    certified, _ = search.bracket(holds("best"), nothing, everything)
    about = replace(search, rtol=max(search.rtol, 0.1))
    _, fooled = about.bracket(lambda rows, at: ~_is_fooled(module, ends(rows, at), labels[rows]), certified, everything)
    return search.bracket(holds("linear"), certified, fooled)[0]


# Function from indices (m,) of samples and radii (m,) to booleans (m,).
_Holds = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class _Search:
    """Search for the largest radius at which a property holds, up to a factor of 1 + rtol, for each of n samples.

    Attributes
    ----------
    sizes : ndarray of shape (n,)
        Size of each sample, not negative; 0 counts as 1.
    limits : ndarray of shape (n,)
        Largest radius to try for each sample.
    rtol : float
    """

    sizes: np.ndarray
    limits: np.ndarray
    rtol: float

    def bracket(self, holds: _Holds, lower: np.ndarray, upper: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Radii (n,) at which the property holds and close ones at which it does not, between the given ones.

        The first are 0 where the property does not hold at a billionth of the size. They are at most about a million
        times the size.
        """
        sizes = np.where(self.sizes == 0, 1, self.sizes)
        smallest, largest = 1e-9 * sizes, np.minimum(1e6 * sizes, self.limits)
        lower, upper = lower.copy(), upper.copy()
        active = np.arange(len(sizes))
        while True:
            low, high = lower[active], upper[active]
            done = (high <= (1 + self.rtol) * low) | (high < smallest[active]) | (low > largest[active])
            active, low, high = active[~done], low[~done], high[~done]
            if not len(active):
                return lower, upper
            # Bracket by factors of four, then halve the bracket.
            at = np.where(low > 0, 4 * low, np.minimum(1e-2 * sizes[active], high / 4))
            between = (low > 0) & (high < np.inf)
            wide = between & (high > 4 * low)
            at[between] = (low[between] + high[between]) / 2
            at[wide] = np.sqrt(low[wide] * high[wide])
            held = holds(active, at)
            lower[active] = np.where(held, at, low)
            upper[active] = np.where(held, high, at)


def _is_fooled(module: nn.Module, boxes: Boxes, labels: np.ndarray) -> np.ndarray:
    """Whether an attack by projected signed gradients finds an input of the box with another label."""
    found = np.zeros(len(labels), dtype=bool)
    # Outside of any inference mode of the caller, and with a copy of the network. The copy's weights have no gradients,
    # and it is in training mode, since cuDNN computes gradients only in that mode.
    with torch.inference_mode(False), torch.enable_grad():
        module = copy.deepcopy(module_for_float64(module)).requires_grad_(False).train()
        device = next(module.parameters()).device
        with thread_limit(threads_for_network(module, BLOCK)), products_in("float32", device):
            for start in range(0, len(labels), _ATTACKED):
                rows = np.arange(start, min(start + _ATTACKED, len(labels)))
                found[rows] = _attack(module, boxes[rows], torch.from_numpy(labels[rows]).to(device)).cpu().numpy()
    return found


def _attack(module: nn.Module, boxes: Boxes, labels: Tensor) -> Tensor:
    low, high = boxes.low.to(labels.device).clone(), boxes.high.to(labels.device).clone()
    lengths = None if boxes.lengths is None else boxes.lengths.to(labels.device).clone()
    point, radius = (low + high) / 2, (high - low) / 2
    fooled = torch.zeros_like(labels, dtype=torch.bool)
    for step in range(_ATTACK_STEPS + 1):
        inputs = point.float().requires_grad_(True)
        outputs = module(inputs) if lengths is None else module(inputs, lengths=lengths)
        fooled |= outputs.argmax(1) != labels
        if step == _ATTACK_STEPS or fooled.all():
            break
        own = outputs.gather(1, labels[:, None])[:, 0]
        others = outputs.scatter(1, labels[:, None], -torch.inf).amax(1)
        (gradient,) = torch.autograd.grad((others - own).sum(), inputs)
        # To a corner first, then by shrinking steps.
        point = (point + (2.0 if step == 0 else 1.0 / step) * radius * gradient.sign()).clamp(low, high)
    return fooled
