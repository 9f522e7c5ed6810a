"""An end to the trainings of other threads, which no interrupt reaches."""

import threading
from typing import Any

from skorch.callbacks import Callback

__all__ = ["Cancellation"]


class Cancelled(Exception):
    """Nobody waits for this training any more."""


class Cancellation(Callback):
    """Ends training at the next epoch once `cancel` is called; copies are the same object.

    Ctrl-C, and an error in one worker, end the search in the main thread only: without this the other workers would
    train on, unseen, for as long as it takes.
    """

    changes_training = False
    fits_stacks = True

    def __init__(self) -> None:
        self.event = threading.Event()

    def cancel(self) -> None:
        self.event.set()

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        if self.event.is_set():
            raise Cancelled

    def __sklearn_clone__(self) -> "Cancellation":
        return self

    def __deepcopy__(self, memo: dict) -> "Cancellation":
        return self  # of every model's callbacks

    def __reduce__(self) -> tuple:
        return Cancellation, ()  # in another process, which can be ended as a whole
