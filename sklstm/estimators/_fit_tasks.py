"""scikit-learn's callbacks (`sklearn.callback`, from 1.9 on): every epoch is a task of the fit."""

import copy
import functools
from collections.abc import Callable
from typing import Any, TypeVar

from skorch.callbacks import Callback

from sklstm._validation import check_parameters
from sklstm.training import SequenceNet, StopTraining

Fit = TypeVar("Fit", bound=Callable[..., Any])

try:
    from sklearn.callback import CallbackSupportMixin, ProgressBar, ScoringMonitor, with_callbacks

    _ONLY_WATCH: tuple[type, ...] = (ProgressBar, ScoringMonitor)
except ImportError:  # scikit-learn 1.7 and 1.8

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Nothing to support."""

    def with_callbacks(method: Fit) -> Fit:
        return method

    _ONLY_WATCH = ()


__all__ = ["CallbackSupportMixin", "fit_task", "put_back"]


def put_back(estimator: Any, before: dict[str, Any]) -> None:
    """Make an estimator what it was when ``before`` was copied from its ``__dict__``."""
    estimator.__dict__.clear()
    estimator.__dict__.update(before)


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

    def __init__(self, estimator: Any, context: Any, data: dict[str, Any]):
        self.estimator_, self.context_, self.data_ = estimator, context, data
        # For `Checkpoint`, to which a fit that one of these may end is another fit.
        self.listeners = sorted(
            f"{type(callback).__module__}.{type(callback).__qualname__}"
            for callback in estimator._skl_callbacks
            if not isinstance(callback, _ONLY_WATCH)
        )
        self.changes_training = bool(self.listeners)

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass

    def on_epoch_begin(self, net: Any, dataset_train: Any = None, dataset_valid: Any = None, **kwargs: Any) -> None:
        self.task_ = self.context_.subcontext(task_name="epoch")
        self._tell(net, self.task_.call_on_fit_task_begin)

    def on_epoch_end(self, net: Any, dataset_train: Any = None, dataset_valid: Any = None, **kwargs: Any) -> None:
        if self._tell(net, self.task_.call_on_fit_task_end):
            raise StopTraining

    def _tell(self, net: SequenceNet, hook: Callable[..., Any]) -> Any:
        return hook(
            estimator=self.estimator_,
            **self.data_,
            reconstruction_attributes=lambda: _attributes(self.estimator_, net),
        )


def _attributes(estimator: Any, net: SequenceNet) -> dict[str, Any]:
    """What makes a fitted estimator of the moment, as `fit` would, but for the bound; later epochs do not change it."""
    twin = copy.copy(estimator)
    twin.__dict__["_epoch_tasks"] = None
    module = copy.deepcopy(net.module_).to(net.device)  # on CUDA this puts the copy's weights into one piece of memory
    twin._set_training_attributes(net.twin(module))
    return {name: value for name, value in vars(twin).items() if estimator.__dict__.get(name) is not value}


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
        before = dict(self.__dict__)
        self._epoch_tasks = EpochTasks(self, context, data)
        try:
            fit(self, X, y, sample_weight)
        finally:
            del self._epoch_tasks
        try:
            context.call_on_fit_task_end(estimator=self, **data, reconstruction_attributes={})
        except BaseException:  # as after any failure inside of fit
            put_back(self, before)
            raise
        return self

    return reporting
