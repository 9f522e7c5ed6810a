"""The skorch net that trains both estimators: data loss plus a penalty on the weights, in training only."""

import copy
import math
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback
from torch import nn

from ._batches import BatchLoader, SequenceDataset
from ._bfloat16 import Bfloat16Twin
from ._events import StopTraining, asks_to_stop, listeners, reads_batches
from ._inference import BLOCK

__all__ = ["SequenceNet"]


class SequenceNet(NeuralNet):
    """A skorch net with a weight penalty, a projection after each step, and batches sliced from tensors.

    Parameters
    ----------
    module : type of nn.Module
        The network.
    *args
        The criterion, as of skorch's ``NeuralNet``. For batches with weights it must not reduce: the loss of a batch is
        the mean of weight times loss, averaged over outputs.
    penalty : callable, optional
        ``module -> float``: returns its value, which counts in the training loss and in nothing else, and adds its
        gradient to the ``grad`` of the parameters. If it has a ``largest_error``, that goes into the history of every
        epoch as ``norm_error``.
    projection : callable, optional
        ``module -> None``, applied to the weights after every optimiser step.
    clip_norm : float, optional
        Largest Euclidean norm of the whole gradient; larger ones are scaled down to it.
    sigma : float
        Standard deviation of the noise on training inputs.
    noise : str
        Kind of that noise, a key of ``sklstm.noise.NOISES``.
    generator : torch.Generator, optional
        Source of the batch order and of the noise.
    precision : str
        ``"bfloat16"`` takes batches forward and back in it, in training only; the weights, the losses and everything
        else are float32. For the other values see `products_in`.
    **kwargs
        As of skorch's ``NeuralNet``.

    Examples
    --------
    >>> import torch
    >>> from sklstm.networks import LSTMNetwork
    >>> from sklstm.training import SequenceDataset, SequenceNet, predict_blocks, seeded_construction
    >>> sizes = {"module__n_features": 1, "module__hidden_size": 4, "module__n_outputs": 1}
    >>> options = {"optimizer": torch.optim.Adam, "lr": 0.01, "max_epochs": 5, "train_split": None, "verbose": 0}
    >>> generator = torch.Generator().manual_seed(0)
    >>> net = SequenceNet(LSTMNetwork, torch.nn.MSELoss, sigma=0.1, generator=generator, **sizes, **options)
    >>> with seeded_construction(0):
    ...     net = net.initialize()
    >>> X = torch.randn((60, 5, 1), generator=torch.Generator().manual_seed(1))
    >>> losses = net.train(SequenceDataset(X, X[:, -1])).history[:, "train_loss"]
    >>> len(losses), losses[-1] < losses[0]
    (5, True)
    >>> len(net.twin(net.module_).history)  # another net with the same past
    5
    """

    def __init__(
        self,
        module: type[nn.Module],
        *args: Any,
        penalty: Callable[[nn.Module], float] | None = None,
        projection: Callable[[nn.Module], None] | None = None,
        clip_norm: float | None = None,
        sigma: float = 0.0,
        noise: str = "gaussian",
        generator: torch.Generator | None = None,
        precision: str = "float32",
        **kwargs: Any,
    ):
        super().__init__(module, *args, **kwargs)
        self.penalty = penalty
        self.projection = projection
        self.clip_norm = clip_norm
        self.sigma = sigma
        self.noise = noise
        self.generator = generator
        self.precision = precision
        # With a trailing underscore: to skorch all other attributes are parameters.
        self.callbacks_: list[tuple[str, Callback]] = []
        self.listeners_: dict[str, list[Callback]] = {}
        self.records_batches_ = False
        self.best_losses_: dict[str, float] = {}
        self.penalty_state_: dict[str, Any] | None = None
        self.epochs_done_ = 0  # of max_epochs, by the net whose training this one goes on with
        self.rounded_: Bfloat16Twin | None = None

    def __repr__(self) -> str:
        # skorch prints the module over several lines, which scikit-learn's tables cut out of the middle.
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.get_params_for("module").items())
        state = ["not initialised"]
        if self.initialized_:
            n_weights = sum(weight.numel() for weight in self.module_.parameters())
            state = [f"{n_weights} weights", f"{len(self.history)} epochs"]
        return f"{type(self).__name__}({', '.join((f'{self.module.__name__}({arguments})', *state))})"

    def get_default_callbacks(self) -> list[Any]:
        return []  # skorch's own read the record of every batch; `run_single_epoch` keeps what they tell

    def initialize_callbacks(self) -> Self:
        super().initialize_callbacks()
        self.callbacks_.sort(key=lambda named: getattr(named[1], "runs_last", False))
        callbacks = [callback for _, callback in self.callbacks_]
        self.listeners_, self.records_batches_ = listeners(callbacks), reads_batches(callbacks)
        return self

    def notify(self, method_name: str, **cb_kwargs: Any) -> None:
        getattr(self, method_name)(self, **cb_kwargs)
        for callback in self.listeners_.get(method_name, ()):
            try:
                getattr(callback, method_name)(self, **cb_kwargs)
            except (StopTraining, KeyboardInterrupt) as error:
                if not asks_to_stop(callback, error):
                    raise
                self.stopping_ = True  # after the others: a checkpoint or a log must not miss the last epoch
        if method_name == "on_epoch_end" and self.stopping_:
            raise StopTraining

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        self.stopping_, self.best_losses_ = False, {}
        # Fewer once a callback has restored a state of training.
        self.epochs_left_ = self.max_epochs - self.epochs_done_
        self.rounded_ = Bfloat16Twin(self.module_) if self.precision == "bfloat16" else None

    def on_train_over(self, net: Any, error: BaseException | None = None) -> None:
        """Last event of a training, also of one that fails; what a callback opened it can close here.

        Parameters
        ----------
        net : SequenceNet
            This one.
        error : BaseException, optional
            What ended the training early.
        """

    def get_iterator(self, dataset: Any, training: bool = False) -> BatchLoader:
        if training:
            return BatchLoader(
                dataset, self.batch_size, True, self.generator, self.sigma, self.noise, device=self.device
            )
        return BatchLoader(dataset, max(self.batch_size, BLOCK), device=self.device)

    def infer(self, x: Any, **fit_params: Any) -> Any:
        if self.rounded_ is None or not self.module_.training:
            return super().infer(x, **fit_params)
        return self.rounded_(x if isinstance(x, dict) else {"X": x})

    def train_step_single(self, batch: Any, **fit_params: Any) -> Any:
        step = super().train_step_single(batch, **fit_params)
        if self.rounded_ is not None:
            self.rounded_.hand_over_gradients()
        return step

    def get_loss(self, y_pred: Any, y_true: Any, X: Any = None, training: bool = False) -> Any:
        if not isinstance(y_true, tuple):
            return super().get_loss(y_pred, y_true, X=X, training=training)
        targets, weight = y_true
        losses = self.criterion_(y_pred, targets)  # (n,) or (n, k)
        return (weight * losses.reshape(len(weight), -1).mean(dim=1)).mean()

    def on_batch_begin(self, net: Any, batch: Any = None, training: bool = False, **kwargs: Any) -> None:
        # skorch opens a dict for every batch and keeps them all, in the history and in every pickle. Here there are
        # dicts only while callbacks may look for them, and those of one epoch.
        if self.records_batches_:
            self.history.new_batch()

    def on_grad_computed(
        self, net: Any, named_parameters: Any, batch: Any = None, training: bool = False, **kwargs: Any
    ) -> None:
        # The gradient of the data is there already: one more graph for a function of the weights would cost more than
        # the function.
        self.last_penalty_ = 0.0 if self.penalty is None else self.penalty(self.module_)
        if self.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.module_.parameters(), self.clip_norm)

    def on_batch_end(self, net: Any, batch: Any = None, training: bool = False, **kwargs: Any) -> None:
        if training and self.projection is not None:
            self.projection(self.module_)

    def run_single_epoch(self, iterator: Any, training: Any, prefix: str, step_fn: Any, **fit_params: Any) -> None:
        # One mean an epoch, weighted by batch size, is what the loss curve needs; skorch records every batch.
        if iterator is None:
            return
        started = time.perf_counter()
        total, penalty_total, count = 0.0, 0.0, 0
        for batch in iterator:
            targets = batch[1][0] if isinstance(batch[1], tuple) else batch[1]
            seen = batch[0], targets  # by callbacks: skorch's take what they score to have no weights
            self.notify("on_batch_begin", batch=seen, training=training)
            step = step_fn(batch, **fit_params)
            size, loss = len(targets), step["loss"].item()
            total += loss * size
            if training and not math.isfinite(total):
                penalty_total, count = math.nan, count + size
                break  # nothing after this batch could mend it
            if training:
                penalty_total += self.last_penalty_ * size
            count += size
            if self.records_batches_:
                self.history.record_batch(f"{prefix}_loss", loss + self.last_penalty_ * training)
                self.history.record_batch(f"{prefix}_batch_size", size)
            self.notify("on_batch_end", batch=seen, training=training, **step)
        if training:
            error = getattr(self.penalty, "largest_error", None)
            self.record_training(total / count, penalty_total / count, error, time.perf_counter() - started)
        else:
            self._record_loss(f"{prefix}_loss", total / count)

    def record_training(self, data_loss: float, penalty: float, norm_error: float | None, seconds: float) -> None:
        """What the history keeps of the batches of an epoch.

        Parameters
        ----------
        data_loss, penalty : float
            Means over the sequences.
        norm_error : float or None
            Largest relative error of the penalty's norms so far.
        seconds : float
            That the epoch took.
        """
        self._record_loss("train_loss", data_loss + penalty)
        self.history.record("data_loss", data_loss)
        self.history.record("penalty", penalty)
        if norm_error is not None:
            self.history.record("norm_error", norm_error)
        self.history.record("dur", seconds)

    def _record_loss(self, name: str, loss: float) -> None:
        if name not in self.best_losses_:  # not earlier: what callbacks restore when training begins counts
            self.best_losses_[name] = min((epoch[name] for epoch in self.history if name in epoch), default=math.inf)
        self.history.record(name, loss)
        better = loss < self.best_losses_[name]
        self.history.record(f"{name}_best", better)
        if better:
            self.best_losses_[name] = loss

    def on_epoch_begin(self, net: Any, dataset_train: Any = None, dataset_valid: Any = None, **kwargs: Any) -> None:
        self._forget_batches()
        super().on_epoch_begin(net, dataset_train=dataset_train, dataset_valid=dataset_valid, **kwargs)

    def _forget_batches(self) -> None:
        if self.history:
            self.history[-1]["batches"] = []

    def twin(self, module: nn.Module) -> Self:
        """A net to predict with another module, which knows the epochs so far, and no data, callbacks or penalty.

        Parameters
        ----------
        module : nn.Module
            Its network.

        Returns
        -------
        SequenceNet
        """
        twin = copy.copy(self)
        history = type(self.history)(dict(epoch) for epoch in self.history if "train_loss" in epoch)
        # Past skorch's bookkeeping, which is for networks that it builds itself.
        twin.__dict__.update(
            module_=module,
            history_=history,
            callbacks=None,
            callbacks_=[],
            listeners_={},
            train_split=None,
            penalty=None,
            penalty_state_=None,
        )
        return twin

    def train(self, training_data: SequenceDataset, n_epochs: int | None = None) -> Self:
        """Train an initialised net for up to ``max_epochs`` epochs. Its callbacks leave it when training is over.

        `StopTraining` and skorch's early stopping end training; Ctrl-C is passed on.

        Parameters
        ----------
        training_data : SequenceDataset
        n_epochs : int, optional
            Stop after so many of the ``max_epochs``.

        Returns
        -------
        self

        Raises
        ------
        DivergenceError
            If there is a `DivergenceGuard` among the callbacks and the loss or the weights are no longer finite.
        """
        # skorch's own fit() swallows KeyboardInterrupt: a search would record a half-trained model as a success.
        try:
            self.notify("on_train_begin", X=training_data, y=None)
            with suppress(StopTraining):
                self.fit_loop(training_data, epochs=self.epochs_until(n_epochs))
            self.notify("on_train_end", X=training_data, y=None)
        except BaseException as error:
            self.notify("on_train_over", error=error)
            raise
        else:
            self.notify("on_train_over")
        finally:
            self.leave()
        return self

    def epochs_until(self, n_epochs: int | None) -> int:
        """Epochs to train for, once training has begun.

        Parameters
        ----------
        n_epochs : int or None
            As of `train`.

        Returns
        -------
        int
        """
        return self.epochs_left_ if n_epochs is None else min(self.epochs_left_, n_epochs)

    def leave(self) -> None:
        """Let go of callbacks and data, which would go into every pickle."""
        self.callbacks, self.callbacks_, self.train_split, self.rounded_ = None, [], None, None
        self.listeners_, self.records_batches_ = {}, False
        self._forget_batches()
