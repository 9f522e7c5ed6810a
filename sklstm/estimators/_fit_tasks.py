"""scikit-learn's callbacks (`sklearn.callback`, from 1.9 on): a fit is a task, and so is every epoch of it."""

from collections.abc import Callable
from typing import Any, TypeVar

from skorch.callbacks import Callback

from sklstm.training import SequenceNet, StopTraining
from sklstm.training._net import OwnCallback

Fit = TypeVar("Fit", bound=Callable[..., Any])

try:
    from sklearn import callback
    from sklearn.callback import CallbackSupportMixin, ProgressBar, ScoringMonitor

    _ONLY_WATCH: tuple[type, ...] = (ProgressBar, ScoringMonitor)
except ImportError:  # scikit-learn 1.7 and 1.8

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Nothing to support."""

    _ONLY_WATCH = ()


def with_callbacks(method: Fit) -> Fit:
    """Let scikit-learn set up and take down its callbacks around a fit, where it has any."""
    return callback.with_callbacks(method) if _ONLY_WATCH else method


def whole(model: Any) -> dict[str, Any]:
    """What makes a copy of an estimator this model: all attributes at once, so that none is left of an earlier fit."""
    return {"__dict__": dict(vars(model))}


class FitTask:
    """One call of ``fit``, as scikit-learn's callbacks hear of it; without callbacks it does nothing.

    Parameters
    ----------
    estimator : SequenceEstimator
    X, y, sample_weight
        As of ``fit``, for the callbacks that ask for them.
    """

    def __init__(self, estimator: Any, X: Any, y: Any, sample_weight: Any):
        self.estimator = estimator
        self.callbacks: list[Any] = getattr(estimator, "_skl_callbacks", None) or []  # of scikit-learn's mixin
        self.data = {"X": X, "y": y, "metadata": {} if sample_weight is None else {"sample_weight": sample_weight}}

    def begin(self) -> None:
        """Tell of the beginning, before anything is done."""
        if self.callbacks:
            # Nothing is checked yet: of data without a length, `fit` will say what is wrong.
            n = len(self.data["X"]) if hasattr(self.data["X"], "__len__") else 1
            _, max_epochs = self.estimator._sizes(n)
            self.context = self.estimator._init_callback_context(max_subtasks=max_epochs)
            self.context.call_on_fit_task_begin(estimator=self.estimator, **self.data)

    def end(self, model: Any) -> None:
        """Tell of the end; the model is the copy that has been fitted."""
        if self.callbacks:
            self.context.call_on_fit_task_end(
                estimator=self.estimator, **self.data, reconstruction_attributes=lambda: whole(model)
            )

    def epochs(self, model: Any) -> tuple[tuple[str, Callback], ...]:
        """The callback for the net that tells of every epoch; none, no cost. The model is what is being fitted."""
        return (("_tasks", _EpochTasks(self, model)),) if self.callbacks else ()


class _EpochTasks(OwnCallback):
    """Tells scikit-learn's callbacks of every epoch; one that asks for an end gets it."""

    def __init__(self, fit: FitTask, model: Any):
        self.fit_, self.model_ = fit, model
        # For `Checkpoint`, to which a fit that one of these may end is another fit.
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
