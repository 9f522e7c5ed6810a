"""The package's own skorch callbacks: early stopping, a guard against divergence, learning rates, progress."""

import math
import multiprocessing
import sys
from collections.abc import Callable, Sequence
from typing import Any

import torch
from skorch.callbacks import Callback, LRScheduler, PrintLog
from torch import Tensor
from torch.optim.lr_scheduler import ReduceLROnPlateau
from tqdm import tqdm

from sklstm.exceptions import DivergenceError

from ._batches import to_device
from ._inference import BLOCK
from ._net import OwnCallback, StopTraining

_GUARDED = ("weights_", "n_good_", "proven_", "n_proven_")


class EarlyStopping(OwnCallback):
    """Ends training once the validation loss has not improved for a number of epochs; restores the best weights.

    Of several equally good epochs the first counts, and a validation loss of NaN is never the best. The best
    epoch is the last one whose ``valid_loss_best`` in the history is True.

    Parameters
    ----------
    n_iter_no_change : int
        Number of epochs without improvement after which training ends.
    rising : float, default=0.0
        Number of first epochs in which the training objective still grows, as with `Robust`. They may have the best
        weights, but do not count as epochs without improvement.

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
    >>> options = {"lr": 0.1, "early_stopping": True, "n_iter_no_change": 2}
    >>> model = TikhonovLSTMRegressor(4, skip="none", random_state=0, **options)
    >>> history = model.fit(X, X[:, -1, 0]).net_.history
    >>> best = max(epoch["epoch"] for epoch in history if epoch["valid_loss_best"])
    >>> model.n_iter_ - best  # epochs without improvement
    2
    """

    fits_stacks = True

    def __init__(self, n_iter_no_change: int, rising: float = 0.0):
        self.n_iter_no_change, self.rising = n_iter_no_change, rising

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        self.best_loss_, self.best_epoch_ = math.inf, 0
        self.best_weights_: dict[str, Tensor] | None = None

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        epoch, loss = net.history[-1, ("epoch", "valid_loss")]
        if loss < self.best_loss_:
            weights = {name: value.clone() for name, value in net.module_.state_dict().items()}
            self.best_loss_, self.best_epoch_, self.best_weights_ = loss, epoch, weights
        elif epoch - max(self.best_epoch_, self.rising) >= self.n_iter_no_change:
            raise StopTraining

    def on_train_end(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        if self.best_weights_ is None:
            raise DivergenceError(
                f"The validation loss was finite in none of {len(net.history)} epochs, although the training loss "
                "was. Look for sequences that are much larger or longer than the others, lower lr, or use "
                "early_stopping=False."
            )
        net.module_.load_state_dict(self.best_weights_)


class DivergenceGuard(OwnCallback):
    """Raises `DivergenceError` when loss or weights are no longer finite, and restores the last good state.

    The net is left with the weights and the history of the last good epoch. A good epoch has a finite loss and ends
    with finite weights and finite outputs for the first sequences.

    Examples
    --------
    >>> import torch
    >>> from sklstm.exceptions import DivergenceError
    >>> from sklstm.networks import LSTMNetwork
    >>> from sklstm.training import SequenceDataset, SequenceNet
    >>> from sklstm.training._callbacks import DivergenceGuard
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
        first = torch.arange(min(len(X), BLOCK), device=X.X.device)
        self.inputs_ = to_device(X.X.batch(first), net.device)

    def state_dict(self) -> dict[str, Any]:
        """What a continued training needs, without the inputs, which it has.

        Returns
        -------
        dict
        """
        return {name: getattr(self, name) for name in _GUARDED}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from such a state.

        Parameters
        ----------
        state : dict
            A state from `state_dict`.
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
        """Check the outputs of the trained network.

        Parameters
        ----------
        net : SequenceNet
        error : BaseException, optional
            The error that has ended training.
        """
        # No loss has seen the result of the last step, or of early stopping's restored weights.
        if error is None and not self._works(net):
            self._give_up(net, "outputs are not finite after")

    @torch.no_grad()
    def _works(self, net: Any) -> bool:
        net.module_.eval()
        return bool(net.module_(**self.inputs_).isfinite().all())

    def _give_up(self, net: Any, what: str) -> None:
        epoch, rate, advice = len(net.history), net.optimizer_.param_groups[0]["lr"], _advice(net)
        net.module_.load_state_dict(self.weights_)
        if not self._works(net):
            net.module_.load_state_dict(self.proven_)
            self.n_good_ = self.n_proven_
        net.optimizer_.state.clear()  # its moments are not finite either
        del net.history[self.n_good_ :]
        kept = self._works(net)
        outcome = (
            f"The last good weights, those after epoch {self.n_good_}, are kept." if kept else "No weights were good."
        )
        raise DivergenceError(f"Training diverged: {what} epoch {epoch} with lr={rate:.6g}. {advice} {outcome}", kept)


def _advice(net: Any) -> str:
    """What to change after a divergence."""
    (group, *_), kind = net.optimizer_.param_groups, net.optimizer_
    step = group["lr"] * group["weight_decay"]
    # Adam's own weight decay is part of the gradient, whose size Adam removes.
    if step > 1 and isinstance(kind, torch.optim.SGD | torch.optim.AdamW):
        return (
            f"In every step weight decay takes lr * weight_decay = {step:.3g} times each weight from it, beyond zero: "
            "lower weight_decay or lr."
        )
    finite = [epoch for epoch in net.history if math.isfinite(epoch.get("train_loss", math.nan))]
    if finite and finite[-1].get("penalty", 0.0) > finite[-1]["data_loss"]:
        return (
            f"Before, the penalty was {finite[-1]['penalty']:.3g} and the loss on the data "
            f"{finite[-1]['data_loss']:.3g}: lower lr, or lambda_s, lambda_1 and lambda_2."
        )
    return (
        "Standardise the inputs (and, for regression, the targets), lower lr, or "
        f"{'set' if net.clip_norm is None else 'lower'} clip_norm."
    )


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


# Name -> factor on the learning rate in epoch e = 0, 1, … of E; None if it depends on more than the epoch.
SCHEDULES: dict[str, Callable[[int, int], float] | None] = {
    "constant": None,  # and a callback of the user may change it
    "step": _step,
    "exponential": _exponential,
    "cosine": _cosine,
    "warmup-cosine": _warmup_cosine,
    "plateau": None,  # the losses tell
}


class LearningRate(OwnCallback):
    """Sets the learning rate at the beginning of every epoch, and records it in the history as ``lr``.

    Parameters
    ----------
    schedule : str
        A key of ``SCHEDULES``. ``"plateau"`` halves the rate when the loss has not fallen by 0.01 % for five epochs,
        down to a thousandth. It uses the validation loss, or without one the training loss.
    rising : float, default=0.0
        Number of first epochs in which the training objective still grows, and losses with it: they are no plateau.

    Examples
    --------
    >>> import torch
    >>> from sklstm.networks import LSTMNetwork
    >>> from sklstm.training import SequenceDataset, SequenceNet
    >>> from sklstm.training._callbacks import LearningRate
    >>> sizes = {"module__n_features": 1, "module__hidden_size": 4, "module__n_outputs": 1}
    >>> options = {"train_split": None, "verbose": 0, "generator": torch.Generator().manual_seed(0), **sizes}
    >>> net = SequenceNet(
    ...     LSTMNetwork, torch.nn.MSELoss, lr=0.1, max_epochs=4, callbacks=[LearningRate("step")], **options
    ... ).initialize()
    >>> history = net.train(SequenceDataset(torch.ones(20, 3, 1), torch.ones(20, 1))).history
    >>> [round(rate, 6) for rate in history[:, "lr"]]
    [0.1, 0.1, 0.01, 0.001]
    """

    def __init__(self, schedule: str, rising: float = 0.0):
        self.schedule, self.rising = schedule, rising
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
        if self.plateau_ is not None and len(net.history) > self.rising:
            epoch = net.history[-1]
            self.plateau_.step(epoch.get("valid_loss", epoch["train_loss"]))

    def on_train_end(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        self.plateau_ = None  # holds the optimiser


class _Bar(tqdm):
    # tqdm's monitor, a thread that refreshes bars after ten seconds without progress, would outlive the fit.
    monitor_interval = 0


class Progress(OwnCallback):
    """Shows data loss, penalty, validation loss and learning rate, if they exist, after every epoch.

    Parameters
    ----------
    description : str
        Label of the bar, or beginning of every line.
    level : int
        1 shows a bar over the epochs, but nothing in a worker process, where bars of several workers would mix. 2 and
        above shows a line per epoch, also there.
    show_lr : bool
        Whether to show the learning rate.

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
    bar_: _Bar | None = None

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
        if self.bar_ is not None:
            self.bar_.close()
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


def _without_names(callbacks: Sequence[Any] | None) -> list[Callback]:
    return [entry[1] if isinstance(entry, tuple) else entry for entry in callbacks or ()]


def prints(callbacks: Sequence[Any] | None) -> bool:
    """Whether one of the callbacks prints; skorch's print only if the net is verbose."""
    return any(isinstance(callback, PrintLog) for callback in _without_names(callbacks))


def check_monitors(callbacks: Sequence[Any] | None, early_stopping: bool) -> None:
    """``ValueError`` if a callback needs a validation loss but there is none."""
    for callback in _without_names(callbacks):
        monitor = getattr(callback, "monitor", None)
        if isinstance(monitor, str) and monitor.startswith("valid_loss") and not early_stopping:
            raise ValueError(
                f"The callback {type(callback).__name__} monitors {monitor!r}, but without early_stopping=True no "
                f"data is held out. Set early_stopping=True, or monitor={monitor.replace('valid', 'train')!r}."
            )


def check_one_schedule(callbacks: Sequence[Any] | None, lr_schedule: str) -> None:
    """``ValueError`` if two schedules would set one learning rate."""
    if lr_schedule != "constant" and any(isinstance(callback, LRScheduler) for callback in _without_names(callbacks)):
        raise ValueError(
            f"lr_schedule={lr_schedule!r} and a skorch LRScheduler among callbacks both set the learning rate. Use one "
            "of them; lr_schedule='constant' leaves the rate to the callback."
        )
