"""skorch callbacks of the estimators: early stopping, a guard against divergence, a progress bar."""

import math

import torch
from skorch.callbacks import Callback
from tqdm.auto import tqdm

from sklstm.exceptions import DivergenceError

from ._stop import StopTraining

__all__ = ["DivergenceGuard", "EarlyStopping", "Progress"]


class EarlyStopping(Callback):
    """Ends training once the validation loss has not improved for a number of epochs; the best weights come back.

    The history says as ``valid_loss_best`` of every epoch whether it was better than all before.

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
        better = loss < self.best_loss_
        net.history.record("valid_loss_best", better)
        if better:
            weights = {name: value.clone() for name, value in net.module_.state_dict().items()}
            self.best_loss_, self.best_epoch_, self.best_weights_ = loss, epoch, weights
        elif epoch - self.best_epoch_ >= self.n_iter_no_change:
            raise StopTraining

    def on_train_end(self, net, X=None, y=None, **kwargs):
        if self.best_weights_ is not None:
            net.module_.load_state_dict(self.best_weights_)
        self.best_weights_ = None  # held twice, they would go into every pickle


class DivergenceGuard(Callback):
    """Raises `DivergenceError` after an epoch whose training loss is not finite, and restores what was before.

    The net is left with the weights and the history of the last epoch with a finite loss and finite weights.
    """

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        self._keep(net)

    def on_epoch_end(self, net, **kwargs):
        epoch, loss = net.history[-1, ("epoch", "train_loss")]
        if math.isfinite(loss):
            # The last step of the epoch may have spoilt weights that no loss has seen.
            if all(torch.isfinite(value.sum()) for value in net.module_.state_dict().values()):
                self._keep(net)
            return
        rate = net.optimizer_.param_groups[0]["lr"]
        net.module_.load_state_dict(self.weights_)
        net.optimizer_.state.clear()  # its moments are not finite either
        del net.history[self.epochs_ :]
        raise DivergenceError(
            f"Training diverged: the loss is {loss} in epoch {epoch} with lr={rate:.6g}. Standardise the inputs (and, "
            f"for regression, the targets), lower lr, or set clip_norm. The last good weights, those after epoch "
            f"{self.epochs_}, are kept."
        )

    def on_train_end(self, net, X=None, y=None, **kwargs):
        del self.weights_

    def _keep(self, net) -> None:
        self.weights_ = {name: value.clone() for name, value in net.module_.state_dict().items()}
        self.epochs_ = len(net.history)


class Progress(Callback):
    """One progress bar over the epochs, with the data loss, the penalty, the validation loss and the learning rate."""

    def __init__(self, description: str):
        self.description = description

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        done = len(net.history)
        self.bar_ = tqdm(total=max(net.max_epochs, done), initial=done, desc=self.description, unit="epoch")

    def on_epoch_end(self, net, **kwargs):
        epoch = net.history[-1]
        shown = {name: epoch[name] for name in ("data_loss", "penalty", "valid_loss", "lr") if name in epoch}
        self.bar_.set_postfix({name: f"{value:.4g}" for name, value in shown.items()}, refresh=False)
        self.bar_.update()

    def close(self) -> None:
        """Leave the bar as it stands; however training has ended."""
        if hasattr(self, "bar_"):
            self.bar_.close()
            del self.bar_  # holds a stream, which does not pickle
