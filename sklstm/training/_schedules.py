"""Learning rates by epoch."""

import math
from collections.abc import Callable
from typing import Any

from skorch.callbacks import Callback
from torch.optim.lr_scheduler import ReduceLROnPlateau

__all__ = ["SCHEDULES", "LearningRate"]

FLOOR = 0.01  # of the learning rate, where the falling schedules end
WARM_UP = 0.1  # of the epochs


def _step(epoch: int, n_epochs: int) -> float:
    return 0.1 ** ((2 * epoch >= n_epochs) + (4 * epoch >= 3 * n_epochs))


def _exponential(epoch: int, n_epochs: int) -> float:
    return FLOOR ** (epoch / n_epochs)


def _cosine(epoch: int, n_epochs: int) -> float:
    return FLOOR + (1 - FLOOR) * (1 + math.cos(math.pi * epoch / n_epochs)) / 2


def _warmup_cosine(epoch: int, n_epochs: int) -> float:
    rising = math.ceil(WARM_UP * n_epochs)
    return (epoch + 1) / rising if epoch < rising else _cosine(epoch - rising, n_epochs - rising)


# Name -> factor on the learning rate in epoch e = 0, 1, … of E; None where the epoch alone does not tell.
SCHEDULES: dict[str, Callable[[int, int], float] | None] = {
    "constant": None,  # and a callback of the user's may move it
    "step": _step,
    "exponential": _exponential,
    "cosine": _cosine,
    "warmup-cosine": _warmup_cosine,
    "plateau": None,  # the losses tell
}


class LearningRate(Callback):
    """Sets the learning rate at the beginning of every epoch, and records it in the history as ``lr``.

    Parameters
    ----------
    schedule : str
        A key of ``SCHEDULES``. ``"plateau"`` halves the rate when the validation loss, or without one the training
        loss, has not fallen by 0.01 % for five epochs, down to a thousandth.

    Examples
    --------
    >>> import torch
    >>> from sklstm.networks import LSTMNetwork
    >>> from sklstm.training import LearningRate, SequenceDataset, SequenceNet
    >>> sizes = {"module__n_features": 1, "module__hidden_size": 4, "module__n_outputs": 1}
    >>> options = {"train_split": None, "verbose": 0, "generator": torch.Generator().manual_seed(0), **sizes}
    >>> net = SequenceNet(
    ...     LSTMNetwork, torch.nn.MSELoss, lr=0.1, max_epochs=4, callbacks=[LearningRate("step")], **options
    ... ).initialize()
    >>> history = net.train(SequenceDataset(torch.ones(20, 3, 1), torch.ones(20, 1))).history
    >>> [round(rate, 6) for rate in history[:, "lr"]]
    [0.1, 0.1, 0.01, 0.001]
    """

    def __init__(self, schedule: str):
        self.schedule = schedule
        self.fits_stacks = schedule != "plateau"  # which follows the losses of each net

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        self.done_, self.plateau_ = net.max_epochs - net.epochs_left_, None
        if self.schedule == "plateau":
            self.plateau_ = ReduceLROnPlateau(
                net.optimizer_, factor=0.5, patience=4, threshold=1e-4, min_lr=net.lr / 1000
            )

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        factor = SCHEDULES[self.schedule]
        if factor is not None:
            for group in net.optimizer_.param_groups:
                group["lr"] = net.lr * factor(self.done_, net.max_epochs)
        net.history.record("lr", net.optimizer_.param_groups[0]["lr"])

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        self.done_ += 1
        if self.plateau_ is not None:
            epoch = net.history[-1]
            self.plateau_.step(epoch.get("valid_loss", epoch["train_loss"]))

    def on_train_end(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        self.plateau_ = None  # holds the optimiser
