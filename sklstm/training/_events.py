"""What happens while a net trains, who hears of it, and how a callback ends it."""

from collections.abc import Iterable

from skorch.callbacks import Callback, Checkpoint, PassthroughScoring, TrainEndCheckpoint
from skorch.callbacks import EarlyStopping as SkorchEarlyStopping

__all__ = ["EVENTS", "StopTraining", "asks_to_stop", "listeners", "reads_batches"]

_BATCH_EVENTS = ("on_batch_begin", "on_batch_end")
_READERS_OF_BATCHES = (PassthroughScoring, Checkpoint, TrainEndCheckpoint)  # at the end of an epoch or of training

# skorch's, and one of our own: "on_train_over" comes last, also when training fails, and says with which error.
EVENTS = (
    "on_train_begin",
    "on_epoch_begin",
    *_BATCH_EVENTS,
    "on_grad_computed",
    "on_epoch_end",
    "on_train_end",
    "on_train_over",
)


class StopTraining(Exception):
    """Raised by a callback to end training after the running epoch, once all callbacks have seen its end.

    Examples
    --------
    >>> import numpy as np
    >>> from skorch.callbacks import Callback
    >>> from sklstm import TikhonovLSTMRegressor
    >>> from sklstm.training import StopTraining
    >>> class StopAfter(Callback):
    ...     def __init__(self, n_epochs):
    ...         self.n_epochs = n_epochs
    ...
    ...     def on_epoch_end(self, net, **kwargs):
    ...         if len(net.history) == self.n_epochs:
    ...             raise StopTraining
    >>> X = np.random.default_rng(0).standard_normal((60, 5, 1))
    >>> TikhonovLSTMRegressor(4, callbacks=[StopAfter(3)], random_state=0).fit(X, X[:, -1, 0]).n_iter_
    3
    """


def listeners(callbacks: Iterable[Callback]) -> dict[str, list[Callback]]:
    """The callbacks that do something at an event, for each of `EVENTS`.

    Events of batches come thousands of times: to call the empty methods that a callback inherits would cost as much as
    the rest of skorch's part in a small batch.
    """
    callbacks = list(callbacks)
    return {event: [callback for callback in callbacks if _overrides(callback, event)] for event in EVENTS}


def _overrides(callback: Callback, event: str) -> bool:
    inherited = getattr(Callback, event, None)
    return event in vars(callback) or getattr(type(callback), event, None) is not inherited


def reads_batches(callbacks: Iterable[Callback]) -> bool:
    """Whether one of the callbacks may look into the history for the batches of the running epoch."""
    return any(
        isinstance(callback, _READERS_OF_BATCHES) or any(_overrides(callback, event) for event in _BATCH_EVENTS)
        for callback in callbacks
    )


def asks_to_stop(callback: Callback, error: BaseException) -> bool:
    """Whether a callback raised ``error`` to end training in good order.

    skorch's own early stopping raises ``KeyboardInterrupt``, which Ctrl-C raises too, wherever the program happens to
    be. It is early stopping that spoke if its patience is at an end and the exception comes out of its very method,
    not of something that this one called.
    """
    if isinstance(error, StopTraining):
        return True
    if not isinstance(callback, SkorchEarlyStopping) or callback.misses_ != callback.patience:
        return False
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    return place is not None and place.tb_frame.f_code is SkorchEarlyStopping.on_epoch_end.__code__
