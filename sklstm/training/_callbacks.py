"""skorch callbacks of the estimators: early stopping, a guard against divergence, a progress bar."""

import math

from skorch.callbacks import Callback
from tqdm.auto import tqdm

from ._net import StopTraining

__all__ = ["DivergenceGuard", "EarlyStopping", "Progress"]


class EarlyStopping(Callback):
    """Ends training once the validation loss has not improved for a number of epochs; the best weights come back.

    Parameters
    ----------
    n_iter_no_change : int
        Epochs without improvement after which training ends.
    """

    def __init__(self, n_iter_no_change: int):
        self.n_iter_no_change = n_iter_no_change

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        self.best_loss_, self.best_epoch_, self.best_weights_ = math.inf, 0, None

    def on_epoch_end(self, net, **kwargs):
        epoch, loss = net.history[-1, ("epoch", "valid_loss")]
        if loss < self.best_loss_:
            weights = {name: value.clone() for name, value in net.module_.state_dict().items()}
            self.best_loss_, self.best_epoch_, self.best_weights_ = loss, epoch, weights
        elif epoch - self.best_epoch_ >= self.n_iter_no_change:
            raise StopTraining

    def on_train_end(self, net, X=None, y=None, **kwargs):
        if self.best_weights_ is not None:
            net.module_.load_state_dict(self.best_weights_)
        self.best_weights_ = None  # held twice, they would go into every pickle


class DivergenceGuard(Callback):
    """Raises a ``ValueError`` that says what to try, as soon as an epoch's training loss is not finite."""

    def on_epoch_end(self, net, **kwargs):
        epoch, loss = net.history[-1, ("epoch", "train_loss")]
        if not math.isfinite(loss):
            raise ValueError(
                f"Training diverged: the loss is {loss} in epoch {epoch} with lr={net.lr}. Standardise the inputs "
                "(and, for regression, the targets), lower lr, or set clip_norm."
            )


class Progress(Callback):
    """One progress bar over the epochs, with the data loss, the penalty and the validation loss."""

    changes_training = False

    def __init__(self, description: str):
        self.description = description

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        self.bar_ = tqdm(total=net.max_epochs, desc=self.description, unit="epoch")

    def on_epoch_end(self, net, **kwargs):
        epoch = net.history[-1]
        shown = {name: epoch[name] for name in ("data_loss", "penalty", "valid_loss") if name in epoch}
        self.bar_.set_postfix({name: f"{value:.4g}" for name, value in shown.items()}, refresh=False)
        self.bar_.update()

    def on_train_end(self, net, X=None, y=None, **kwargs):
        self.bar_.close()
        del self.bar_  # holds a stream, which does not pickle
