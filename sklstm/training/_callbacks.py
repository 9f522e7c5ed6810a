"""skorch callbacks of the estimators: early stopping and a guard against divergence."""

import math
from typing import Any

import torch
from skorch.callbacks import Callback
from torch import Tensor

from sklstm.exceptions import DivergenceError

from ._events import StopTraining
from ._inference import BLOCK
from ._placement import to_device
from ._ragged import inputs_of

__all__ = ["DivergenceGuard", "EarlyStopping"]

_GUARDED = ("weights_", "n_good_", "proven_", "n_proven_")


class EarlyStopping(Callback):
    """Ends training once the validation loss has not improved for a number of epochs; the best weights come back.

    Of several equally good epochs the first counts, and a validation loss that is not a number never does. The best
    epoch is the last one whose ``valid_loss_best`` in the history is True.

    Parameters
    ----------
    n_iter_no_change : int
        Epochs without improvement after which training ends.

    Raises
    ------
    DivergenceError
        At the end of training, if no validation loss was finite.

    Examples
    --------
    An estimator with ``early_stopping=True`` has one:

    >>> import numpy as np
    >>> from sklstm import TikhonovLSTMRegressor
    >>> X = np.random.default_rng(0).standard_normal((60, 5, 1))
    >>> model = TikhonovLSTMRegressor(4, lr=0.1, early_stopping=True, n_iter_no_change=2, random_state=0)
    >>> history = model.fit(X, X[:, -1, 0]).net_.history
    >>> best = max(epoch["epoch"] for epoch in history if epoch["valid_loss_best"])
    >>> model.n_iter_ - best  # epochs without improvement
    2
    """

    fits_stacks = True

    def __init__(self, n_iter_no_change: int):
        self.n_iter_no_change = n_iter_no_change

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        self.best_loss_, self.best_epoch_ = math.inf, 0
        self.best_weights_: dict[str, Tensor] | None = None

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        epoch, loss = net.history[-1, ("epoch", "valid_loss")]
        if loss < self.best_loss_:
            weights = {name: value.clone() for name, value in net.module_.state_dict().items()}
            self.best_loss_, self.best_epoch_, self.best_weights_ = loss, epoch, weights
        elif epoch - self.best_epoch_ >= self.n_iter_no_change:
            raise StopTraining

    def on_train_end(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        if self.best_weights_ is None:
            raise DivergenceError(
                f"The validation loss was finite in none of {len(net.history)} epochs, though the training loss was. "
                "Look for sequences that are much larger or longer than the others, lower lr, or use "
                "early_stopping=False."
            )
        net.module_.load_state_dict(self.best_weights_)


class DivergenceGuard(Callback):
    """Raises `DivergenceError` when loss or weights are no longer finite, and restores what was before.

    The net is left with the weights and the history of the last good epoch: one with a finite loss, at whose end the
    weights are finite and so are the outputs for the first sequences.

    Examples
    --------
    >>> import torch
    >>> from sklstm.exceptions import DivergenceError
    >>> from sklstm.networks import LSTMNetwork
    >>> from sklstm.training import DivergenceGuard, SequenceDataset, SequenceNet
    >>> sizes = {"module__n_features": 1, "module__hidden_size": 4, "module__n_outputs": 1}
    >>> options = {"train_split": None, "verbose": 0, "generator": torch.Generator().manual_seed(0), **sizes}
    >>> net = SequenceNet(
    ...     LSTMNetwork, torch.nn.MSELoss, lr=1e30, max_epochs=5, callbacks=[DivergenceGuard()], **options
    ... ).initialize()
    >>> try:
    ...     _ = net.train(SequenceDataset(torch.ones(20, 3, 1), torch.ones(20, 1)))
    ... except DivergenceError:
    ...     all(weight.isfinite().all() for weight in net.module_.parameters())
    True
    """

    fits_stacks = True

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        self.weights_ = {name: value.clone() for name, value in net.module_.state_dict().items()}
        self.n_good_ = len(net.history)
        # The weights before these, which the loss of an epoch has shown to be good.
        self.proven_ = {name: value.clone() for name, value in self.weights_.items()}
        self.n_proven_ = self.n_good_
        first = inputs_of(X.X, torch.arange(min(len(X), BLOCK), device=X.X.device))
        self.inputs_ = to_device(first, net.device)

    def state_dict(self) -> dict[str, Any]:
        """What a training that goes on needs: all but the inputs, which it has.

        Returns
        -------
        dict
        """
        return {name: getattr(self, name) for name in _GUARDED}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from such a state.

        Parameters
        ----------
        state : dict
            From `state_dict`.
        """
        for name in _GUARDED:
            setattr(self, name, state[name])

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        loss, weights = net.history[-1, "train_loss"], net.module_.state_dict()
        if not math.isfinite(loss):
            self._give_up(net, f"the loss is {loss} in")
        # After the last batch of an epoch comes a step whose result no loss has seen.
        if not all(torch.isfinite(value).all() for value in weights.values()):
            self._give_up(net, "weights are not finite at the end of")
        self.weights_, self.proven_ = self.proven_, self.weights_
        self.n_proven_, self.n_good_ = self.n_good_, len(net.history)
        for name, value in weights.items():
            self.weights_[name].copy_(value)

    def on_train_over(self, net: Any, error: BaseException | None = None) -> None:
        """Look at the outputs of the network that training has left.

        Parameters
        ----------
        net : SequenceNet
        error : BaseException, optional
            Which has ended training.
        """
        # What the last step of all has made, or early stopping brought back, no loss has seen.
        if error is None and not self._works(net):
            self._give_up(net, "outputs are not finite after")

    @torch.no_grad()
    def _works(self, net: Any) -> bool:
        net.module_.eval()
        return bool(net.module_(**self.inputs_).isfinite().all())

    def _give_up(self, net: Any, what: str) -> None:
        epoch, rate = len(net.history), net.optimizer_.param_groups[0]["lr"]
        net.module_.load_state_dict(self.weights_)
        if not self._works(net):
            net.module_.load_state_dict(self.proven_)
            self.n_good_ = self.n_proven_
        net.optimizer_.state.clear()  # its moments are not finite either
        del net.history[self.n_good_ :]
        kept = self._works(net)
        outcome = f"The last good weights, those after epoch {self.n_good_}, are kept." if kept else "Not one was good."
        raise DivergenceError(
            f"Training diverged: {what} epoch {epoch} with lr={rate:.6g}. Standardise the inputs (and, for regression, "
            f"the targets), lower lr, or {'set' if net.clip_norm is None else 'lower'} clip_norm. {outcome}",
            kept,
        )
