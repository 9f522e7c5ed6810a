"""What a fit shows of itself: a progress bar, or a line per epoch, on the standard error stream."""

import multiprocessing
import sys
from typing import Any

from skorch.callbacks import Callback
from tqdm.auto import tqdm

__all__ = ["Progress"]


class _Bar(tqdm):
    # tqdm's monitor, a thread that wakes bars that have not moved for ten seconds, would outlive the fit.
    monitor_interval = 0


class Progress(Callback):
    """Shows data loss, penalty, validation loss and learning rate, as far as there are any, after every epoch.

    Parameters
    ----------
    description : str
        What the bar is labelled with, or every line begins with.
    level : int
        1 shows a bar over the epochs, and nothing in a worker process, whose bar would fall into those of the other
        workers; 2 and above a line per epoch, anywhere.
    show_lr : bool
        Whether the learning rate is among what is shown.

    Examples
    --------
    An estimator with ``verbose=2`` has one, which writes a line an epoch:

    >>> import io
    >>> from contextlib import redirect_stderr
    >>> import numpy as np
    >>> from sklstm import TikhonovLSTMRegressor
    >>> X = np.random.default_rng(0).standard_normal((60, 5, 1))
    >>> with redirect_stderr(io.StringIO()) as shown:
    ...     _ = TikhonovLSTMRegressor(4, max_epochs=2, verbose=2, random_state=0).fit(X, X[:, -1, 0])
    >>> [line.split(",")[0] for line in shown.getvalue().splitlines()]
    ['TikhonovLSTMRegressor: epoch 1/2', 'TikhonovLSTMRegressor: epoch 2/2']
    """

    changes_training = False

    def __init__(self, description: str, level: int = 1, show_lr: bool = False):
        self.description, self.level, self.show_lr = description, level, show_lr

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        self.bar_ = None
        if self.level < 2 and multiprocessing.parent_process() is None:
            self.bar_ = _Bar(
                total=max(net.max_epochs, len(net.history)),
                initial=len(net.history),
                desc=self.description,
                unit="epoch",
                file=sys.stderr,
            )
        self.done_ = len(net.history)

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        self.done_ += 1
        shown = self._figures(net, net.history[-1])
        if self.bar_ is not None:
            self.bar_.set_postfix(shown, refresh=False)
            self.bar_.update()
        elif self.level >= 2:
            figures = "".join(f", {name} {value}" for name, value in shown.items())
            line = f"{self.description}: epoch {self.done_}/{net.max_epochs}{figures}\n"
            _Bar.write(line, file=sys.stderr, end="")  # in one piece: other processes write to this stream too

    def on_train_over(self, net: Any, error: BaseException | None = None) -> None:
        """Close the bar.

        Parameters
        ----------
        net : SequenceNet
            The net that was trained.
        error : BaseException, optional
            What ended the training early.
        """
        if (bar := getattr(self, "bar_", None)) is not None:
            bar.close()
        self.bar_ = None  # holds a stream, which does not pickle

    def _figures(self, net: Any, epoch: dict[str, Any]) -> dict[str, str]:
        names = ["data_loss"]
        if net.penalty is not None:
            names.append("penalty")
        if "valid_loss" in epoch:
            names.append("valid_loss")
        if self.show_lr:
            names.append("lr")
        return {name: f"{epoch[name]:.4g}" for name in names}
