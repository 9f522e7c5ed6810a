"""The skorch net: data loss plus a penalty on the weights in training; events; how a callback ends training."""

import copy
import math
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, ClassVar, Self

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, Checkpoint, PassthroughScoring, TrainEndCheckpoint
from skorch.callbacks import EarlyStopping as SkorchEarlyStopping
from torch import Tensor, nn

from ._batches import BatchLoader, InputRule, SequenceDataset
from ._inference import BLOCK

_BATCH_EVENTS = ("on_batch_begin", "on_batch_end")
_READERS_OF_BATCHES = (PassthroughScoring, Checkpoint, TrainEndCheckpoint)  # at the end of an epoch or of training

# skorch's, and one of our own: "on_train_over" comes last, also when training fails, and receives the error.
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


class OwnCallback(Callback):
    """A callback of this package, with the properties that a training needs to know."""

    #: Whether it uses only epochs, and only the history, weights and learning rate of a net.
    fits_stacks: bool = False
    #: Whether it sees the results of the other callbacks for an epoch.
    runs_last: bool = False


def listeners(callbacks: Iterable[Callback]) -> dict[str, list[Callback]]:
    """The callbacks that do something at an event, for each of `EVENTS`.

    Events of batches come thousands of times. To call the empty methods that a callback inherits would cost as much as
    the rest of skorch's part in a small batch.
    """
    callbacks = list(callbacks)
    return {event: [callback for callback in callbacks if _overrides(callback, event)] for event in EVENTS}


def _overrides(callback: Callback, event: str) -> bool:
    inherited = getattr(Callback, event, None)
    return event in vars(callback) or getattr(type(callback), event, None) is not inherited


def reads_batches(callbacks: Iterable[Callback]) -> bool:
    """Whether one of the callbacks may read the batches of the running epoch in the history."""
    return any(
        isinstance(callback, _READERS_OF_BATCHES) or any(_overrides(callback, event) for event in _BATCH_EVENTS)
        for callback in callbacks
    )


def asks_to_stop(callback: Callback, error: BaseException) -> bool:
    """Whether a callback raised ``error`` to end training in good order.

    skorch's own early stopping raises ``KeyboardInterrupt``, which Ctrl-C raises too, anywhere in the program. It is
    early stopping if its patience is used up and the exception was raised in its own method, not in a function that it
    called.
    """
    if isinstance(error, StopTraining):
        return True
    if not isinstance(callback, SkorchEarlyStopping) or callback.misses_ != callback.patience:
        return False
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    return place is not None and place.tb_frame.f_code is SkorchEarlyStopping.on_epoch_end.__code__


class Penalty:
    """A function of the weights that is added to the training loss only; a subclass has ``__call__``.

    Attributes
    ----------
    largest_error : float or None
        Largest relative error of the penalty's estimates so far. If not None, it is recorded in the history of every
        epoch as ``norm_error``.
    stacks : bool
        Whether `stack` is defined, so that networks with such penalties can be trained as one program.

    Examples
    --------
    The squared norm of the readout, with its gradient by autograd:

    >>> import torch
    >>> from sklstm.networks import LSTMNetwork
    >>> from sklstm.training import Penalty
    >>> class ReadoutNorm(Penalty):
    ...     def __call__(self, module):
    ...         value = 0.01 * module.readout.weight.square().sum()
    ...         value.backward()
    ...         return value.item()
    >>> module = LSTMNetwork(n_features=1, hidden_size=4, n_outputs=1)
    >>> value = ReadoutNorm()(module)
    >>> torch.allclose(module.readout.weight.grad, 0.02 * module.readout.weight)
    True
    """

    largest_error: float | None = None
    stacks: ClassVar[bool] = False

    def __call__(self, module: nn.Module) -> float:
        """Value of the penalty; its gradient is added to the ``grad`` of the parameters."""
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any] | None:
        """What later calls depend on besides the weights.

        Returns
        -------
        dict or None
            A dict; None if there is nothing.
        """
        return None

    def load_state_dict(self, state: dict[str, Any], module: nn.Module) -> None:
        """Continue from a state taken with a module of the same shapes.

        Parameters
        ----------
        state : dict
            A state from `state_dict`.
        module : nn.Module
        """

    def forget(self) -> None:
        """Release the module, once training is over."""

    def stack(self, penalties: Sequence[Any]) -> Any:
        """The penalty of several networks at once, from the penalties of each.

        Parameters
        ----------
        penalties : sequence of Penalty

        Returns
        -------
        object
            An object with ``watch`` and ``accumulate``, as in the penalties of `sklstm.tikhonov`.
        """
        raise NotImplementedError


class Projection:
    """A constraint on the weights, restored after every optimiser step; a subclass has ``__call__``.

    It runs once before the first step, also if training continues from another net. It must accept weights that are not
    finite, since divergence is noticed at the end of the epoch. A frozen dataclass can be compared: only nets with
    equal projections are trained as one program.

    Attributes
    ----------
    stacks : bool
        Whether it takes matrices with a leading axis, one network after the other. It is then called with an object
        that has ``layers``, as in `sklstm.networks`, and ``U``, ``W``, ``V``.
    """

    stacks: ClassVar[bool] = False

    def __call__(self, module: Any) -> None:
        """Change the weights in place."""
        raise NotImplementedError


class Objective:
    """The part of a batch in the training loss: how the loss is computed from the network."""

    def training(self, net: Any, inputs: Any, targets: Any) -> tuple[Tensor, Tensor]:
        """Loss of a training batch, for differentiation, and the outputs it comes from.

        Parameters
        ----------
        net : SequenceNet
            A net whose network is in training mode.
        inputs, targets : object
            As given by `BatchLoader`.

        Returns
        -------
        loss : Tensor of no dimension
        outputs : Tensor of shape (b, k)
        """
        raise NotImplementedError

    def validation(self, net: Any, inputs: Any, targets: Any) -> tuple[Tensor, Tensor]:
        """The same for a validation batch, in evaluation mode and without gradients."""
        raise NotImplementedError


class PlainObjective(Objective):
    """The loss of the outputs."""

    def training(self, net: Any, inputs: Any, targets: Any) -> tuple[Tensor, Tensor]:
        outputs = net.infer(inputs)
        return net.get_loss(outputs, targets, X=inputs, training=True), outputs

    def validation(self, net: Any, inputs: Any, targets: Any) -> tuple[Tensor, Tensor]:
        outputs = net.infer(inputs)
        return net.get_loss(outputs, targets, X=inputs, training=False), outputs


class SequenceNet(NeuralNet):
    """A skorch net with a weight penalty, a projection after each step, and batches sliced from tensors.

    Parameters
    ----------
    module : type of nn.Module
        The network.
    *args
        The criterion, as in skorch's ``NeuralNet``. For training batches with weights it must not reduce: the loss of a
        batch is the mean of weight times loss, averaged over outputs.
    penalty : Penalty, optional
    projection : callable, optional
        ``module -> None``, applied to the weights after every optimiser step; see `Projection`.
    clip_norm : float, optional
        Largest Euclidean norm of the whole gradient; a larger one is scaled down to it.
    inputs : InputRule, optional
        Change of the inputs of a training batch.
    objective : Objective, optional
        How the loss of a batch is computed; by default it is that of the outputs.
    generator : torch.Generator, optional
        Source of the batch order and of the rule's random numbers.
    precision : str
        ``"bfloat16"`` computes the forward and backward pass of batches in it, in training only; the weights, the
        losses and everything else are float32. For the other values see `products_in`.
    **kwargs
        As in skorch's ``NeuralNet``.

    Examples
    --------
    >>> import torch
    >>> from sklstm.networks import LSTMNetwork
    >>> from sklstm.training import InputNoise, SequenceDataset, SequenceNet
    >>> from sklstm.training._process import seeded_construction
    >>> sizes = {"module__n_features": 1, "module__hidden_size": 4, "module__n_outputs": 1}
    >>> options = {"optimizer": torch.optim.Adam, "lr": 0.01, "max_epochs": 5, "train_split": None, "verbose": 0}
    >>> generator = torch.Generator().manual_seed(0)
    >>> options |= {"inputs": InputNoise(0.1), "generator": generator}
    >>> net = SequenceNet(LSTMNetwork, torch.nn.MSELoss, **sizes, **options)
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
        penalty: Penalty | None = None,
        projection: Callable[[Any], None] | None = None,
        clip_norm: float | None = None,
        inputs: InputRule | None = None,
        objective: Objective | None = None,
        generator: torch.Generator | None = None,
        precision: str = "float32",
        **kwargs: Any,
    ):
        super().__init__(module, *args, **kwargs)
        self.penalty = penalty
        self.projection = projection
        self.clip_norm = clip_norm
        self.inputs = inputs
        self.objective = PlainObjective() if objective is None else objective
        self.generator = generator
        self.precision = precision
        # With a trailing underscore: to skorch all other attributes are parameters.
        self.callbacks_: list[tuple[str, Callback]] = []
        self.listeners_: dict[str, list[Callback]] = {}
        self.records_batches_ = False
        self.best_losses_: dict[str, float] = {}
        self.penalty_state_: dict[str, Any] | None = None
        self.part_of_epoch_ = 0.0  # epochs done before
        self.epochs_done_ = 0  # of max_epochs, by the net that this training continues from
        self.rounded_: Bfloat16Twin | None = None

    def __repr__(self) -> str:
        # skorch prints the module over several lines, and scikit-learn's tables then cut out the middle.
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.get_params_for("module").items())
        state = ["not initialised"]
        if self.initialized_:
            n_weights = sum(weight.numel() for weight in self.module_.parameters())
            state = [f"{n_weights} weights", f"{len(self.history)} epochs"]
        return f"{type(self).__name__}({', '.join((f'{self.module.__name__}({arguments})', *state))})"

    def get_default_callbacks(self) -> list[Any]:
        return []  # skorch's own read the record of every batch; `run_single_epoch` keeps their results

    def initialize_callbacks(self) -> Self:
        super().initialize_callbacks()
        self.callbacks_.sort(key=lambda named: isinstance(named[1], OwnCallback) and named[1].runs_last)
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
        """Last event of a training, also of a failed one; a callback can close here what it has opened.

        Parameters
        ----------
        net : SequenceNet
            This net.
        error : BaseException, optional
            What ended the training early.
        """

    def get_iterator(self, dataset: Any, training: bool = False) -> BatchLoader:
        if training:
            return BatchLoader(dataset, self.batch_size, True, self.generator, self.inputs, device=self.device)
        return BatchLoader(dataset, max(self.batch_size, BLOCK), device=self.device)

    def infer(self, x: Any, **fit_params: Any) -> Any:
        if self.rounded_ is None or not self.module_.training:
            return super().infer(x, **fit_params)
        return self.rounded_(x if isinstance(x, dict) else {"X": x})

    def train_step_single(self, batch: Any, **fit_params: Any) -> Any:
        self._set_training(True)
        loss, outputs = self.objective.training(self, *batch)
        loss.backward()
        if self.rounded_ is not None:
            self.rounded_.hand_over_gradients()
        return {"loss": loss, "y_pred": outputs}

    def validation_step(self, batch: Any, **fit_params: Any) -> Any:
        self._set_training(False)
        with torch.no_grad():
            loss, outputs = self.objective.validation(self, *batch)
        return {"loss": loss, "y_pred": outputs}

    def get_loss(self, y_pred: Any, y_true: Any, X: Any = None, training: bool = False) -> Any:
        # Training data may have weights and validation data not, or the reverse: the criterion is made for the training
        # data.
        if not isinstance(y_true, tuple):
            loss = super().get_loss(y_pred, y_true, X=X, training=training)
            return loss if loss.ndim == 0 else loss.mean()
        targets, weight = y_true
        losses = self.criterion_(y_pred, targets)  # (n,) or (n, k)
        if losses.ndim == 0:
            each = self.criterion(**(self.get_params_for("criterion") | {"reduction": "none"}))
            losses = each(y_pred, targets)
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
        for number, batch in enumerate(iterator):
            self.part_of_epoch_ = number / len(iterator)
            targets = batch[1][0] if isinstance(batch[1], tuple) else batch[1]
            seen = batch[0], targets  # by callbacks: skorch's take what they score to have no weights
            self.notify("on_batch_begin", batch=seen, training=training)
            step = step_fn(batch, **fit_params)
            size, loss = len(targets), step["loss"].item()
            total += loss * size
            if training and not math.isfinite(total):
                penalty_total, count = math.nan, count + size
                break  # nothing after this batch could repair it
            if training:
                penalty_total += self.last_penalty_ * size
            count += size
            if self.records_batches_:
                self.history.record_batch(f"{prefix}_loss", loss + self.last_penalty_ * training)
                self.history.record_batch(f"{prefix}_batch_size", size)
            self.notify("on_batch_end", batch=seen, training=training, **step)
        if training:
            error = None if self.penalty is None else self.penalty.largest_error
            self.record_training(total / count, penalty_total / count, error, time.perf_counter() - started)
        else:
            self._record_loss(f"{prefix}_loss", total / count)

    def record_training(self, data_loss: float, penalty: float, norm_error: float | None, seconds: float) -> None:
        """Record the batches of an epoch in the history.

        Parameters
        ----------
        data_loss, penalty : float
            Means over the sequences.
        norm_error : float or None
            Largest relative error of the penalty's norms so far.
        seconds : float
            Duration of the epoch.
        """
        self._record_loss("train_loss", data_loss + penalty)
        self.history.record("data_loss", data_loss)
        self.history.record("penalty", penalty)
        if norm_error is not None:
            self.history.record("norm_error", norm_error)
        self.history.record("dur", seconds)

    def _record_loss(self, name: str, loss: float) -> None:
        if name not in self.best_losses_:  # not earlier: state that callbacks restore when training begins counts
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
        """A net that predicts with another module and has the history, but no data, callbacks or penalty.

        Parameters
        ----------
        module : nn.Module
            The network of the new net.

        Returns
        -------
        SequenceNet
        """
        twin = copy.copy(self)
        history = type(self.history)(dict(epoch) for epoch in self.history if "train_loss" in epoch)
        # Bypasses skorch's bookkeeping, which is for networks that it builds itself.
        twin.__dict__.update(
            module_=module,
            history_=history,
            callbacks=None,
            callbacks_=[],
            listeners_={},
            train_split=None,
            penalty=None,
            penalty_state_=None,
            objective=PlainObjective(),
        )
        return twin

    def train(self, training_data: SequenceDataset, n_epochs: int | None = None) -> Self:
        """Train an initialised net for up to ``max_epochs`` epochs; its callbacks are removed at the end.

        `StopTraining` and skorch's early stopping end training; Ctrl-C is passed on.

        Parameters
        ----------
        training_data : SequenceDataset
        n_epochs : int, optional
            Stop after this many of the ``max_epochs``.

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
        """Number of epochs to train for, once training has begun.

        Parameters
        ----------
        n_epochs : int or None
            As in `train`.

        Returns
        -------
        int
        """
        return self.epochs_left_ if n_epochs is None else min(self.epochs_left_, n_epochs)

    def settle(self) -> None:
        """Keep the state of the penalty for a later training, and release its network."""
        if self.penalty is not None:
            self.penalty_state_ = self.penalty.state_dict()
            self.penalty.forget()

    def leave(self) -> None:
        """Remove callbacks and data, which would go into every pickle."""
        self.callbacks, self.callbacks_, self.train_split, self.rounded_ = None, [], None, None
        self.objective = PlainObjective()  # another one may have memory of its own
        self.listeners_, self.records_batches_ = {}, False
        self._forget_batches()


class Bfloat16Twin:
    """A copy of a network in bfloat16, which computes the forward and backward pass of every batch.

    Before every batch it takes over the weights, rounded; after it the network takes over the gradients.

    Parameters
    ----------
    module : nn.Module
        A network in float32; it is not changed.

    Notes
    -----
    This is not `torch.autocast`. On CUDA, autocast converts the input of cuDNN's recurrent layers to float16 even if
    another dtype is requested, and gradients below 6e-8 would be lost there. A second network works the same on every
    device.
    """

    def __init__(self, module: nn.Module):
        self.module = module
        self.twin = copy.deepcopy(module).to(torch.bfloat16).train()  # cuDNN has no backward pass in evaluation mode

    def __call__(self, inputs: dict[str, Any]) -> Tensor:
        """Outputs of the network for keyword arguments of its forward pass, in float32."""
        with torch.no_grad():
            for own, theirs in zip(self.twin.parameters(), self.module.parameters(), strict=True):
                own.copy_(theirs)
        rounded = {
            name: value.to(torch.bfloat16) if value.is_floating_point() else value for name, value in inputs.items()
        }
        with without_word_of_compact_weights(inputs["X"].device):
            return self.twin(**rounded).float()

    def hand_over_gradients(self) -> None:
        """Add the gradients of the last backward pass to the network's, and clear them here."""
        for own, theirs in zip(self.twin.parameters(), self.module.parameters(), strict=True):
            if own.grad is None:
                continue
            gradient = own.grad.to(theirs.dtype)
            theirs.grad = gradient if theirs.grad is None else theirs.grad + gradient
            own.grad = None


@contextmanager
def without_word_of_compact_weights(device: torch.device) -> Iterator[None]:
    """On CUDA, suppress torch's warning that weights are not in one block of memory: bfloat16 weights never are."""
    if device.type != "cuda":
        yield
        return
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="RNN module weights are not part of single contiguous chunk")
        yield
