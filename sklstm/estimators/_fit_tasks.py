"""One call of ``fit`` or ``partial_fit``, in a copy, completely or not at all; calls scikit-learn's callbacks.

For these callbacks (`sklearn.callback`, from 1.9 on) a fit is a task, and so is each of its epochs.
"""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from skorch.callbacks import Callback

from sklstm._fitted import take_over, unfitted_copy
from sklstm._validation import check_parameters
from sklstm.exceptions import DivergenceError
from sklstm.training import SequenceNet, StopTraining
from sklstm.training._net import OwnCallback
from sklstm.training._train import Resume

from . import _files

Fit = TypeVar("Fit", bound=Callable[..., Any])

try:
    from sklearn import callback
    from sklearn.callback import CallbackSupportMixin, ProgressBar, ScoringMonitor

    _ONLY_WATCH: tuple[type, ...] = (ProgressBar, ScoringMonitor)
except ImportError:  # scikit-learn 1.7 and 1.8

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Empty stand-in: these versions of scikit-learn have no callbacks."""

    _ONLY_WATCH = ()


def with_callbacks(method: Fit) -> Fit:
    """Let scikit-learn set up and tear down its callbacks around a fit, if it has any."""
    return callback.with_callbacks(method) if _ONLY_WATCH else method


def whole(model: Any) -> dict[str, Any]:
    """Give a copy of an estimator all attributes of this model at once, so that none of an earlier fit remains."""
    return {"__dict__": dict(vars(model))}


class FitTask:
    """One call of ``fit`` as a task for scikit-learn's callbacks; without callbacks it does nothing.

    Parameters
    ----------
    estimator : SequenceEstimator
    X, y, sample_weight
        Arguments of ``fit``, for callbacks that need them.
    """

    def __init__(self, estimator: Any, X: Any, y: Any, sample_weight: Any):
        self.estimator = estimator
        self.callbacks: list[Any] = getattr(estimator, "_skl_callbacks", None) or []  # of scikit-learn's mixin
        self.data = {"X": X, "y": y, "metadata": {} if sample_weight is None else {"sample_weight": sample_weight}}

    def begin(self) -> None:
        """Report the beginning to the callbacks, before anything else is done."""
        if self.callbacks:
            # Nothing is checked yet: if data have no length, `fit` will say what is wrong.
            n = len(self.data["X"]) if hasattr(self.data["X"], "__len__") else 1
            _, max_epochs = self.estimator._sizes(n)
            self.context = self.estimator._init_callback_context(max_subtasks=max_epochs)
            self.context.call_on_fit_task_begin(estimator=self.estimator, **self.data)

    def end(self, model: Any) -> None:
        """Report the end to the callbacks; the model is the fitted copy."""
        if self.callbacks:
            self.context.call_on_fit_task_end(
                estimator=self.estimator, **self.data, reconstruction_attributes=lambda: whole(model)
            )

    def epochs(self, model: Any) -> tuple[tuple[str, Callback], ...]:
        """The callback for the net that reports every epoch of the copy being fitted; none without callbacks."""
        return (("_tasks", _EpochTasks(self, model)),) if self.callbacks else ()


class _EpochTasks(OwnCallback):
    """Reports every epoch to scikit-learn's callbacks; a callback can end training."""

    def __init__(self, fit: FitTask, model: Any):
        self.fit_, self.model_ = fit, model
        # For `Checkpoint`: a fit that one of these may end counts as another fit.
        self.listeners = sorted(
            f"{type(callback).__module__}.{type(callback).__qualname__}"
            for callback in fit.callbacks
            if not isinstance(callback, _ONLY_WATCH)
        )
        self.changes_training = bool(self.listeners)

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass

    def on_epoch_begin(self, net: Any, dataset_train: Any = None, dataset_valid: Any = None, **kwargs: Any) -> None:
        self.task_ = self.fit_.context.subcontext(task_name="epoch")
        self._tell(net, self.task_.call_on_fit_task_begin)

    def on_epoch_end(self, net: Any, dataset_train: Any = None, dataset_valid: Any = None, **kwargs: Any) -> None:
        if self._tell(net, self.task_.call_on_fit_task_end):
            raise StopTraining

    def _tell(self, net: SequenceNet, hook: Callable[..., Any]) -> Any:
        return hook(
            estimator=self.fit_.estimator,
            **self.fit_.data,
            reconstruction_attributes=lambda: whole(self.model_._at(net)),
        )


@dataclass(frozen=True, eq=False)
class FitContext:
    """The context of a training, besides its data.

    Attributes
    ----------
    resume : Resume or None
        The net that a warm start or ``partial_fit`` continues from.
    one_epoch : bool
        Whether this is ``partial_fit``: one epoch at a constant rate.
    callbacks : tuple
        Callbacks for the net, besides the user's own.
    classes : ndarray or None
        Classes of the fit that a warm start continues from.
    """

    resume: Resume | None = None
    one_epoch: bool = False
    callbacks: tuple[Any, ...] = ()
    classes: np.ndarray | None = None


@contextmanager
def fitting(estimator: Any, X: Any, y: Any, sample_weight: Any) -> Iterator[tuple[Any, FitContext]]:
    """For ``fit``: an unfitted copy, which the estimator takes over at the end."""
    check_parameters(estimator, estimator._rules)
    task = FitTask(estimator, X, y, sample_weight)
    task.begin()
    before = dict(vars(estimator))
    model = unfitted_copy(estimator)
    for name in _files.KEPT:
        vars(model).pop(name, None)
    start = before.get("net_") if estimator.warm_start else None
    resume = None if start is None else Resume(start)
    with _taking_over(estimator, model):
        yield model, FitContext(resume, callbacks=task.epochs(model), classes=before.get("classes_"))
        task.end(model)


@contextmanager
def one_more_epoch(estimator: Any) -> Iterator[tuple[Any, FitContext]]:
    """For ``partial_fit``: a copy to continue with, which the estimator takes over at the end."""
    check_parameters(estimator, estimator._rules)
    if estimator.early_stopping:
        raise ValueError(
            "partial_fit does not support early_stopping=True, because it sees only a part of the data at a time. "
            "Set early_stopping=False."
        )
    model = copy.copy(estimator)
    fitted = vars(model).get("net_")
    with _taking_over(estimator, model, keep=fitted is not None):
        yield model, FitContext(None if fitted is None else Resume(fitted, everything=True), one_epoch=True)
        for name in ("generalization_bound_", "_data_digest", "_bound_cap", "_quantized_cap"):
            vars(model).pop(name, None)  # results of the old weights


@contextmanager
def _taking_over(estimator: Any, model: Any, *, keep: bool = False) -> Iterator[None]:
    """Take over everything in one step or nothing: until then, other threads predict with the old network."""
    try:
        with torch.inference_mode(False):
            yield
    except DivergenceError as error:
        # A fit that diverges keeps its last good weights, if there are any; `partial_fit` keeps the weights from
        # before.
        if error.net is not None and not keep:
            model._set_fitted(error.net)
            error.net = None
            take_over(estimator, model)
        raise
    take_over(estimator, model)
