"""scikit-learn's callbacks (`sklearn.callback`, from 1.9 on): every epoch is a task of the fit."""

import copy
import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from skorch.callbacks import Callback

from sklstm._validation import check_parameters
from sklstm.training import SequenceNet, StopTraining

Fit = TypeVar("Fit", bound=Callable[..., Any])

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # scikit-learn 1.7 and 1.8

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Nothing to support."""

    def with_callbacks(method: Fit) -> Fit:
        return method


__all__ = ["CallbackSupportMixin", "caller_level", "fit_task"]


def caller_level() -> int:
    """``stacklevel`` at which a warning, raised by who calls this, names the line outside the package."""
    frame, level = inspect.currentframe(), 0
    while frame is not None and frame.f_globals.get("__name__", "").startswith(("sklstm.", "sklearn.callback.")):
        frame, level = frame.f_back, level + 1
    return level


class EpochTasks(Callback):
    """Tells scikit-learn's callbacks of every epoch; one that asks for an end gets it.

    Parameters
    ----------
    estimator : SequenceEstimator
    context : sklearn.callback.CallbackContext
        Of the fit.
    data : dict
        ``X``, ``y`` and ``metadata``, for the callbacks that ask for them.
    """

    changes_training = False

    def __init__(self, estimator: Any, context: Any, data: dict[str, Any]):
        self.estimator, self.context, self.data = estimator, context, data

    def on_epoch_begin(self, net: Any, dataset_train: Any = None, dataset_valid: Any = None, **kwargs: Any) -> None:
        self.task_ = self.context.subcontext(task_name="epoch")
        self.task_.call_on_fit_task_begin(
            estimator=self.estimator, **self.data, reconstruction_attributes=lambda: _attributes(net)
        )

    def on_epoch_end(self, net: Any, dataset_train: Any = None, dataset_valid: Any = None, **kwargs: Any) -> None:
        stop = self.task_.call_on_fit_task_end(
            estimator=self.estimator, **self.data, reconstruction_attributes=lambda: _attributes(net)
        )
        if stop:
            raise StopTraining


def _attributes(net: SequenceNet) -> dict[str, Any]:
    """What makes a fitted estimator of the moment; later epochs do not change it."""
    still = copy.copy(net)
    # Past skorch's bookkeeping, which is for networks that it builds itself.
    still.__dict__.update(module_=copy.deepcopy(net.module_), callbacks_=[], callbacks=None)
    return {"net_": still}


def fit_task(fit: Fit) -> Fit:
    """Make a fit method tell scikit-learn's callbacks of its beginning, its epochs and its end; none, no cost."""

    @with_callbacks
    @functools.wraps(fit)
    def reporting(self: Any, X: Any, y: Any, sample_weight: Any = None) -> Any:
        if not getattr(self, "_skl_callbacks", None):
            return fit(self, X, y, sample_weight)
        check_parameters(self, self._rules)
        context = self._init_callback_context(max_subtasks=int(self.max_epochs))
        metadata = {} if sample_weight is None else {"sample_weight": sample_weight}
        data = {"X": X, "y": y, "metadata": metadata}
        context.call_on_fit_task_begin(estimator=self, **data)
        self._epoch_tasks = EpochTasks(self, context, data)
        try:
            fit(self, X, y, sample_weight)
        finally:
            del self._epoch_tasks
        context.call_on_fit_task_end(estimator=self, **data, reconstruction_attributes=lambda: _attributes(self.net_))
        return self

    return reporting
