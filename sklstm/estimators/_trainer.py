"""From tensors to a trained net: seeds, the validation split, callbacks, weights of samples, threads."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from numbers import Real
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.model_selection import train_test_split
from sklearn.utils.validation import _check_sample_weight
from skorch.callbacks import Callback
from skorch.helper import predefined_split
from torch import Tensor, nn

from sklstm._sequences import Ragged
from sklstm._tables import as_plain
from sklstm._validation import Number, fresh_random_state
from sklstm.exceptions import DivergenceError
from sklstm.training import (
    DivergenceGuard,
    EarlyStopping,
    LearningRate,
    Progress,
    SequenceDataset,
    SequenceNet,
    check_cuda_process,
    go_on_from,
    normalised,
    products_in,
    resolve_device,
    seeded_construction,
    single_threaded_numpy,
    thread_limit,
    threads_for,
)

from ._rules import OPTIMIZERS, check_monitors, check_one_schedule, prints
from ._tensors import as_tensor, in_place, loaded, place_for

__all__ = ["Trainer"]

_LARGEST_WEIGHT = 1e30  # its products with losses must stay float32 numbers


class Trainer:
    """`_train`, for estimators with the constructor parameters of `SHARED_RULES`."""

    _n_gates: int  # gate matrices of the recurrent layer
    _module: ClassVar[type[nn.Module]]
    _criterion: ClassVar[type[nn.Module]]

    hidden_size: int
    sigma: float
    max_epochs: int
    lr: float
    lr_schedule: str
    batch_size: int
    optimizer: str
    weight_decay: float
    clip_norm: float | None
    early_stopping: bool
    validation_fraction: float
    n_iter_no_change: int
    callbacks: Sequence[Callback | tuple[str, Callback]] | None
    device: str | torch.device
    precision: str
    random_state: int | np.random.RandomState | None
    verbose: int | bool

    net_: SequenceNet
    loss_curve_: list[float]
    n_iter_: int

    def _train(
        self,
        X: np.ndarray | Ragged,
        y: Tensor,
        *,
        weight: np.ndarray | None = None,
        start: SequenceNet | None = None,
        incremental: bool = False,
        **plan: Any,
    ) -> None:
        """Build the net, train it on X (n, L, d) and y, keep it, and leave the process as it was.

        Parameters
        ----------
        X : ndarray of shape (n, L, d) or Ragged
        y : Tensor of shape (n, ...)
        weight : ndarray of shape (n,), optional
            Weights of the sequences in the loss.
        start : SequenceNet, optional
            Trained net whose weights to start from; it stays as it is.
        incremental : bool
            Train for one epoch; go on with the optimiser, the random state and the history of ``start``.
        **plan
            As of `_net_for`.
        """
        check_cuda_process(resolve_device(self.device))
        data = self._dataset(X, y, weight)
        if not incremental:  # what weighs little in one part of the data may weigh most in the next
            data = normalised(data)
        with self._lent(X.shape[2], min(int(self.batch_size), len(data))):
            net, training = self._net_for(data, X.shape[2], start=start, incremental=incremental, **plan)
            try:
                net.train(training)
            except DivergenceError as error:
                if error.kept:
                    self._set_training_attributes(net)
                raise
            self._set_training_attributes(net)

    def _dataset(self, X: np.ndarray | Ragged, y: Tensor, weight: np.ndarray | None) -> SequenceDataset:
        place = place_for(X, resolve_device(self.device))
        weights = None if weight is None else as_tensor(weight, place)
        return SequenceDataset(in_place(X, place), y.to(place), weights)

    @contextmanager
    def _lent(self, n_features: int, batch_size: int) -> Iterator[None]:
        """What training needs of the process, which gets it back: gradients, and no more threads than help."""
        n_threads = threads_for(batch_size, int(self.hidden_size), n_features, self._n_gates)
        products = products_in(self.precision, resolve_device(self.device))
        with torch.enable_grad(), thread_limit(n_threads), single_threaded_numpy(), products:
            yield

    def _net_for(
        self,
        data: SequenceDataset,
        n_features: int,
        *,
        stratify: np.ndarray | None = None,
        prepare: Callable[[nn.Module], None] | None = None,
        penalty: Callable[[Any], float] | None = None,
        projection: Callable[[nn.Module], None] | None = None,
        noise: str = "gaussian",
        start: SequenceNet | None = None,
        incremental: bool = False,
        **module_arguments: Any,
    ) -> tuple[SequenceNet, SequenceDataset]:
        """An initialised net, ready to be trained, and the part of the data to train it on.

        Parameters
        ----------
        data : SequenceDataset
        n_features : int
            Channels d.
        stratify : ndarray of shape (n,), optional
            Labels by which the validation split is stratified.
        prepare : callable, optional
            ``module -> None``, applied once before the first training.
        penalty, projection : callable, optional
            See `SequenceNet`.
        noise : str
            Kind of the noise on the inputs, a key of ``sklstm.noise.NOISES``.
        start, incremental
            As of `_train`.
        **module_arguments
            Passed to the module.
        """
        device = resolve_device(self.device)
        init_seed, batch_seed, split_seed = 0, 0, 0
        if start is None or not incremental:
            random_state = fresh_random_state(self.random_state)
            init_seed, batch_seed, split_seed, self._bound_seed = random_state.randint(2**31 - 1, size=4).tolist()
        training, validation = data, None
        if self.early_stopping:
            training, validation = self._hold_out(data, stratify, split_seed)
            validation = loaded(validation)
        training = loaded(training)

        optimizer, options = OPTIMIZERS[self.optimizer]
        net = SequenceNet(
            self._module,
            self._criterion,
            criterion__reduction="mean" if data.weight is None else "none",
            optimizer=optimizer,
            optimizer__weight_decay=float(self.weight_decay),
            lr=float(self.lr),
            max_epochs=1 if incremental else int(self.max_epochs),  # torch takes no numpy integers
            batch_size=min(int(self.batch_size), len(data)),
            train_split=None if validation is None else predefined_split(validation),
            callbacks=self._callbacks(incremental),
            device=device,
            precision=str(self.precision),
            penalty=penalty,
            projection=projection,
            clip_norm=None if self.clip_norm is None else float(self.clip_norm),
            sigma=float(self.sigma),
            noise=noise,
            generator=torch.Generator().manual_seed(batch_seed),
            verbose=max(int(self.verbose), int(prints(self.callbacks))),
            **options,
            module__n_features=n_features,
            module__hidden_size=int(self.hidden_size),
            **{f"module__{name}": value for name, value in module_arguments.items()},
        )
        with seeded_construction(init_seed):
            net.initialize()
        if start is not None:
            go_on_from(start, net, incremental=incremental)
        for constrain in (None if start is not None else prepare, projection):
            if constrain is not None:
                constrain(net.module_)
        return net, training

    def _hold_out(self, data: SequenceDataset, stratify: np.ndarray | None, seed: int) -> Iterator[SequenceDataset]:
        try:
            parts = train_test_split(
                np.arange(len(data)), test_size=self.validation_fraction, random_state=seed, stratify=stratify
            )
        except ValueError as error:
            raise ValueError(
                f"early_stopping=True cannot hold out validation_fraction={self.validation_fraction} of {len(data)} "
                f"sequences: {error} Use more data, another fraction, or early_stopping=False."
            ) from error
        return (normalised(SequenceDataset(*data[torch.as_tensor(part, device=data.X.device)])) for part in parts)

    def _callbacks(self, incremental: bool) -> list:
        schedule = "constant" if incremental else str(self.lr_schedule)
        check_one_schedule(self.callbacks, schedule)
        check_monitors(self.callbacks, self.early_stopping)
        # Ours have names that no user gives: skorch wants names to be unique.
        callbacks: list = [("_divergence", DivergenceGuard()), ("_lr", LearningRate(schedule))]
        if self.verbose:
            bar = Progress(type(self).__name__, int(self.verbose), show_lr=schedule != "constant")
            callbacks.append(("_progress", bar))
        callbacks.extend(self.callbacks or [])
        if (tasks := getattr(self, "_epoch_tasks", None)) is not None:
            callbacks.append(("_tasks", tasks))
        if self.early_stopping:
            callbacks.append(("_early_stopping", EarlyStopping(self.n_iter_no_change)))
        return callbacks

    def _threads(self, net: SequenceNet, batch_size: int) -> AbstractContextManager[None]:
        # Of the net, not of the constructor: set_params may have changed that since fit.
        return thread_limit(threads_for(batch_size, net.module__hidden_size, net.module__n_features, self._n_gates))

    def _set_training_attributes(self, net: SequenceNet) -> None:
        self.net_ = net
        self.loss_curve_ = [epoch["train_loss"] for epoch in net.history]
        self.n_iter_ = len(self.loss_curve_)

    def _weights(
        self, sample_weight: Any, n: int, by_class: Callable[[np.ndarray | None], np.ndarray | None] | None = None
    ) -> np.ndarray | None:
        """Weights (n,) as given, times those of the classes, which may depend on them; None if all are one."""
        if sample_weight is not None:
            if isinstance(sample_weight, Real):
                Number(Real, 0).check("sample_weight", sample_weight)
            try:
                sample_weight = _check_sample_weight(
                    as_plain(sample_weight, "sample_weight"),
                    np.zeros((n, 1)),
                    dtype=np.float64,
                    ensure_non_negative=True,
                )
            except OverflowError as error:
                raise ValueError(f"sample_weight holds a number that is beyond float64: {error}.") from error
        class_weight = None if by_class is None else by_class(sample_weight)
        factors = [factor for factor in (sample_weight, class_weight) if factor is not None]
        if not factors:
            return None
        with np.errstate(over="ignore"):
            weight = np.prod(factors, axis=0)
        if not weight.any():
            raise ValueError("sample_weight and class_weight leave every sequence with a weight of zero.")
        if not np.isfinite(weight).all():
            raise ValueError("sample_weight times class_weight is beyond float64.")
        return None if (weight == 1).all() else weight

    @staticmethod
    def _relative(weight: np.ndarray | None) -> np.ndarray | None:
        """Weights of one fit, where only their ratios count; None if all are equal."""
        return None if weight is None or (weight == weight[0]).all() else weight / weight.max()

    @staticmethod
    def _absolute(weight: np.ndarray | None) -> np.ndarray | None:
        """Weights of one of many calls, which count as they are."""
        if weight is not None and weight.max() > _LARGEST_WEIGHT:
            raise ValueError(
                f"sample_weight goes up to {weight.max():.3g}: in partial_fit at most {_LARGEST_WEIGHT:.0e}, since it "
                "counts as it is."
            )
        return weight
