"""`TrainingSpec`, a complete description of a training, and `train`, which runs it."""

import copy
import inspect
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from skorch.helper import predefined_split
from torch import Tensor, nn

from sklstm._sequences import Sequences, as_tensor
from sklstm.exceptions import DivergenceError
from sklstm.networks import RNNNetwork
from sklstm.networks._networks import GatedNetwork

from ._batches import InputRule, SequenceDataset, normalised, place_for, resolve_device
from ._callbacks import (
    SCHEDULES,
    DivergenceGuard,
    EarlyStopping,
    LearningRate,
    Progress,
    check_monitors,
    check_one_schedule,
    prints,
)
from ._held_out import Validation
from ._net import Penalty, SequenceNet
from ._process import (
    PRECISIONS,
    check_cuda_process,
    flushed_subnormals,
    products_in,
    restores_settings,
    seeded_construction,
    single_threaded_numpy,
    thread_limit,
    threads_for,
)
from ._robust import Robust
from ._stack import can_be_stacked, train_together

#: Name of an optimiser, its class, and its skorch arguments.
OptimizerTable = dict[str, tuple[type[torch.optim.Optimizer], dict[str, Any]]]

OPTIMIZERS: OptimizerTable = {
    # fused: one kernel for all parameters; a step takes 0.3-0.45 of the default's time from H = 16 to 128 on one
    # thread. torch has it for CPU, CUDA and MPS. SGD keeps torch's default, which is one kernel for all parameters on
    # CUDA too.
    "adam": (torch.optim.Adam, {"optimizer__fused": True}),
    "adamw": (torch.optim.AdamW, {"optimizer__fused": True}),
    "sgd": (torch.optim.SGD, {"optimizer__momentum": 0.9, "optimizer__nesterov": True}),
}

# Arguments of the networks that determine the function of a set of weights; the others concern their start.
_STRUCTURE = (
    "n_features", "hidden_size", "num_layers", "n_outputs", "readout", "skip_steps", "skip_channels", "activation",
)  # fmt: skip


@dataclass(frozen=True)
class NetworkSpec:
    """A network that is not built yet.

    Parameters
    ----------
    kind : type of nn.Module
        A class of `sklstm.networks`, or another one.
    arguments : dict of str to object
        Arguments of its constructor.

    Examples
    --------
    >>> from sklstm.networks import GRUNetwork
    >>> from sklstm.training import NetworkSpec
    >>> network = NetworkSpec(GRUNetwork, {"n_features": 2, "hidden_size": 8, "n_outputs": 1})
    >>> network.kind(**network.arguments).n_layers
    1
    """

    kind: type[Any]
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Seeds:
    """Seeds of the starting weights, of the batches and their changes, and of the held-out split."""

    weights: int = 0
    batches: int = 0
    split: int = 0


@dataclass(frozen=True, eq=False)
class Resume:
    """Where training continues from, instead of fresh weights.

    Parameters
    ----------
    net : SequenceNet
        A trained net of the same structure; it is not changed.
    everything : bool
        Whether to take over its history and the state of its penalty, its random generator and, if it is of the same
        kind, its optimiser. Learning rate and weight decay are those of the new training.
    epochs_done : int
        Number of epochs of ``max_epochs`` that are already done.
    """

    net: SequenceNet
    everything: bool = False
    epochs_done: int = 0


@dataclass(frozen=True, eq=False)
class TrainingSpec:
    """Everything that defines a training: the network, the objective, the optimiser, the start and the length.

    Parameters
    ----------
    network : NetworkSpec
    loss : callable
        ``reduction -> nn.Module``: a class of torch's criteria, or one like it.
    penalty : callable, optional
        ``() -> Penalty``, a fresh one for every training.
    inputs : InputRule, optional
        Change of the inputs of every training batch, for instance `InputNoise`.
    robust : Robust, optional
        Settings of robust training.
    projection : callable, optional
        ``module -> None``, applied to the weights at the start and after every optimiser step; see ``Projection``.
    start : tuple of callables
        Functions ``(module, SequenceDataset) -> None``, applied once to fresh weights, one after the other. They see
        the training data, not the held-out data.
    resume : Resume, optional
    optimizer : str
        A key of ``OPTIMIZERS``.
    lr : float
    lr_schedule : str
        A key of ``SCHEDULES``.
    weight_decay : float
    clip_norm : float, optional
        Largest Euclidean norm of the whole gradient; a larger one is scaled down to it.
    max_epochs, batch_size : int
    validation : Validation, optional
        Early stopping.
    callbacks : tuple
        skorch callbacks, alone or as pairs (name, callback).
    device : str or torch.device
    precision : str
        One of ``PRECISIONS``.
    seeds : Seeds
    label : str
        Label of the progress bar.
    verbose : int
        1 for a progress bar, 2 for a line an epoch.

    Raises
    ------
    ValueError
        For an unknown name or a number out of range.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from sklstm.networks import LSTMNetwork
    >>> from sklstm.training import NetworkSpec, TrainingSpec, dataset, train
    >>> X = np.random.default_rng(0).standard_normal((60, 5, 1))
    >>> network = NetworkSpec(LSTMNetwork, {"n_features": 1, "hidden_size": 4, "n_outputs": 1})
    >>> spec = TrainingSpec(network, torch.nn.MSELoss, lr=0.01, max_epochs=5)
    >>> net = train(spec, dataset(X, torch.tensor(X[:, -1], dtype=torch.float32)))
    >>> losses = net.history[:, "train_loss"]
    >>> len(losses), losses[-1] < losses[0]
    (5, True)
    """

    network: NetworkSpec
    loss: Callable[..., nn.Module]
    penalty: Callable[[], Penalty] | None = None
    inputs: InputRule | None = None
    robust: Robust | None = None
    projection: Callable[[Any], None] | None = None
    start: tuple[Callable[[Any, SequenceDataset], None], ...] = ()
    resume: Resume | None = None
    optimizer: str = "adam"
    lr: float = 0.001
    lr_schedule: str = "constant"
    weight_decay: float = 0.0
    clip_norm: float | None = None
    max_epochs: int = 100
    batch_size: int = 64
    validation: Validation | None = None
    callbacks: tuple[Any, ...] = ()
    device: str | torch.device = "cpu"
    precision: str = "float32"
    seeds: Seeds = field(default_factory=Seeds)
    label: str = ""
    verbose: int = 0

    def __post_init__(self) -> None:
        for name, known in (("optimizer", OPTIMIZERS), ("lr_schedule", SCHEDULES), ("precision", PRECISIONS)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be one of {sorted(known)}, got {getattr(self, name)!r}")
        if min(self.max_epochs, self.batch_size) < 1:
            raise ValueError(f"need max_epochs and batch_size >= 1, got {self.max_epochs!r} and {self.batch_size!r}")
        if not 0 < self.lr < math.inf or not 0 <= self.weight_decay < math.inf:
            raise ValueError(f"need a finite lr > 0 and weight_decay >= 0, got {self.lr!r} and {self.weight_decay!r}")
        if self.clip_norm is not None and not self.clip_norm > 0:
            raise ValueError(f"clip_norm must be positive or None, got {self.clip_norm!r}")


# 67 sequences in batches of 64 make 200 steps in 100 epochs, too few for any network to learn.
_BATCH_SIZES = (8, 16, 32, 64)
_BATCHES = 8  # an epoch at least, where the smallest size allows it
_EPOCHS, FEWEST_STEPS = 100, 1500
# From ridge regression there is less to learn, and with few data more steps lead away from what they support.
_EPOCHS_FROM_RIDGE = 30


def sizes_for(
    n: int, batch_size: int | Literal["auto"], max_epochs: int | Literal["auto"], *, from_ridge: bool = False
) -> tuple[int, int]:
    """Numbers instead of ``"auto"``, so that small data make enough optimiser steps.

    Parameters
    ----------
    n : int
        Sequences in the data.
    batch_size : int or "auto"
        ``"auto"`` is the largest of 8, 16, 32 and 64 that makes eight batches an epoch, or else 8.
    max_epochs : int or "auto"
        ``"auto"`` is 100, or as many as make 1,500 steps.
    from_ridge : bool
        Whether training starts at ridge regression: ``"auto"`` is then 30 epochs.

    Returns
    -------
    batch_size, max_epochs : int

    Examples
    --------
    >>> from sklstm.training._train import sizes_for
    >>> [sizes_for(n, "auto", "auto") for n in (67, 300, 2000)]
    [(8, 167), (32, 150), (64, 100)]
    >>> sizes_for(300, "auto", "auto", from_ridge=True)
    (32, 30)
    """
    sizes = (size for size in _BATCH_SIZES if n >= _BATCHES * size)
    size = max(sizes, default=_BATCH_SIZES[0]) if isinstance(batch_size, str) else int(batch_size)
    n_batches = max(1, -(-n // size))
    if not isinstance(max_epochs, str):
        epochs = int(max_epochs)
    elif from_ridge:
        epochs = _EPOCHS_FROM_RIDGE
    else:
        epochs = max(_EPOCHS, -(-FEWEST_STEPS // n_batches))
    return size, epochs  # torch takes no numpy integers


@dataclass
class Trained:
    """Result of one training.

    Attributes
    ----------
    net : SequenceNet
    error : DivergenceError or None
        The error that ended it early; ``error.kept`` says whether the net has good weights.
    seconds : float
        Duration; for trainings in one program, its share.
    """

    net: SequenceNet
    error: DivergenceError | None
    seconds: float


def dataset(
    X: np.ndarray | Sequences,
    y: Tensor | np.ndarray,
    weight: np.ndarray | None = None,
    *,
    device: str | torch.device = "cpu",
    relative: bool = True,
) -> SequenceDataset:
    """Sequences, targets and weights in the form that training takes.

    Parameters
    ----------
    X : ndarray of shape (n, L, d), or Sequences
    y : Tensor or ndarray of shape (n, ...)
    weight : ndarray of shape (n,), optional
        Weight of each sequence in the loss.
    device : str or torch.device
        Device of the training.
    relative : bool
        Whether only the ratios of the weights count: they are then scaled to a mean of 1.

    Returns
    -------
    SequenceDataset

    Raises
    ------
    ValueError
        If there are not as many targets or weights as sequences. Also if a weight is negative or not finite, or all are
        0.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from sklstm.training import dataset
    >>> dataset(np.zeros((3, 5, 1)), torch.zeros(3), weight=np.array([1.0, 2.0, 3.0])).weight
    tensor([0.5000, 1.0000, 1.5000])
    """
    X = Sequences.of(X)
    for name, part in (("y", y), ("weight", weight)):
        if part is not None and len(part) != len(X):
            raise ValueError(
                f"X has {len(X)} sequences, but {name} has {len(part)} entries. Pass one entry for each sequence."
            )
    if weight is not None and not (np.isfinite(weight).all() and np.min(weight) >= 0):
        raise ValueError("weights must be finite and not negative.")
    if weight is not None and relative and not np.any(weight):
        raise ValueError("All weights are zero. At least one must be positive.")
    device = resolve_device(device)
    check_cuda_process(device)
    place = place_for(X, device)
    data = SequenceDataset(
        X.on(place), torch.as_tensor(y).to(place), None if weight is None else as_tensor(weight, place)
    )
    return normalised(data) if relative else data


def train(spec: TrainingSpec, data: SequenceDataset) -> SequenceNet:
    """Build a network and train it; the settings of the process do not change.

    Parameters
    ----------
    spec : TrainingSpec
    data : SequenceDataset
        See `dataset`.

    Returns
    -------
    SequenceNet
        An initialised and trained net. ``module_`` is the network, and ``history`` has one row per epoch. It holds
        neither data nor callbacks.

    Raises
    ------
    DivergenceError
        If the loss or the weights are no longer finite; its ``net`` has the last good weights, if there are any.
    ValueError
        If a part of the spec does not fit the data, before anything is trained.

    Examples
    --------
    >>> import torch
    >>> from sklstm.networks import GRUNetwork
    >>> from sklstm.training import NetworkSpec, SequenceDataset, TrainingSpec, train
    >>> X = torch.randn(60, 5, 1, generator=torch.Generator().manual_seed(0))
    >>> network = NetworkSpec(GRUNetwork, {"n_features": 1, "hidden_size": 4, "n_outputs": 1})
    >>> net = train(TrainingSpec(network, torch.nn.MSELoss, max_epochs=3), SequenceDataset(X, X[:, -1]))
    >>> len(net.history), net.module_(X).shape
    (3, torch.Size([60, 1]))
    """
    (trained,) = train_all([spec], [data])
    if trained.error is not None:
        trained.error.net = trained.net if trained.error.kept else None
        raise trained.error
    return trained.net


@restores_settings
def train_all(
    specs: Sequence[TrainingSpec],
    datasets: Sequence[SequenceDataset],
    *,
    n_epochs: int | None = None,
    together: Callable[[Sequence[SequenceNet]], bool] = lambda nets: False,
) -> list[Trained]:
    """Several trainings with one device, precision and batch size, one after the other or as one batched program.

    Parameters
    ----------
    specs : sequence of TrainingSpec
    datasets : sequence of SequenceDataset
        Data set of each net.
    n_epochs : int, optional
        Stop after this many of the ``max_epochs``, so that others can continue.
    together : callable
        Function of initialised nets, all with a penalty or all without, that returns whether to train them as one
        program. They are if `can_be_stacked` says that they can.

    Returns
    -------
    list of Trained
        Results in the order of the specs.
    """
    found: dict[int, Trained] = {}
    with _training_settings(specs[0], min(specs[0].batch_size, len(datasets[0]))):
        runs = [_begin(spec, data) for spec, data in zip(specs, datasets, strict=True)]
        # Those with a penalty, and those without one, are different programs.
        for penalised in (True, False):
            places = [index for index, (net, _) in enumerate(runs) if (net.penalty is not None) == penalised]
            nets, parts = [runs[index][0] for index in places], [runs[index][1] for index in places]
            if len(nets) > 1 and together(nets) and can_be_stacked(nets, parts):
                started = time.perf_counter()
                errors = train_together(nets, parts, n_epochs)
                seconds = (time.perf_counter() - started) / len(nets)
                found |= {
                    index: Trained(net, error, seconds) for index, net, error in zip(places, nets, errors, strict=True)
                }
            else:
                found |= {index: _trained(*runs[index], n_epochs) for index in places}
    for trained in found.values():
        if n_epochs is None:
            trained.net.settle()
    return [found[index] for index in range(len(specs))]


def _trained(net: SequenceNet, data: SequenceDataset, n_epochs: int | None) -> Trained:
    started, error = time.perf_counter(), None
    try:
        net.train(data, n_epochs)
    except DivergenceError as diverged:
        error = diverged
    return Trained(net, error, time.perf_counter() - started)


def fresh_network(net: SequenceNet, hidden_size: int, seed: int) -> nn.Module:
    """The network of a net with another number of units, freshly started."""
    arguments = net.get_params_for("module") | {"hidden_size": hidden_size}
    with seeded_construction(seed):
        return net.module(**arguments)


@contextmanager
def _training_settings(spec: TrainingSpec, batch_size: int) -> Iterator[None]:
    """Settings of the process for a training: gradients, exact products, no subnormals, useful threads."""
    device = resolve_device(spec.device)
    kind, sizes, n_threads = spec.network.kind, spec.network.arguments, torch.get_num_threads()
    if issubclass(kind, GatedNetwork | RNNNetwork):  # nothing is known about another network
        n_threads = threads_for(batch_size, sizes["hidden_size"], sizes["n_features"], kind.n_gates)
    with (
        torch.inference_mode(False),  # in inference mode nothing could be trained
        torch.enable_grad(),
        thread_limit(n_threads),
        flushed_subnormals(device),
        single_threaded_numpy(),
        products_in(spec.precision, device),
    ):
        yield


def _begin(spec: TrainingSpec, data: SequenceDataset) -> tuple[SequenceNet, SequenceDataset]:
    """An initialised net, ready to be trained, and the part of the data to train it on."""
    training, validation = data, None
    if spec.validation is not None:
        training, validation = spec.validation.parts(data, spec.seeds.split)
        validation = validation.loaded()
    optimizer, options = OPTIMIZERS[spec.optimizer]
    net = SequenceNet(
        spec.network.kind,
        spec.loss,
        criterion__reduction="mean" if data.weight is None else "none",
        optimizer=optimizer,
        optimizer__weight_decay=spec.weight_decay,
        lr=spec.lr,
        max_epochs=spec.max_epochs,
        batch_size=min(spec.batch_size, len(data)),
        train_split=None if validation is None else predefined_split(validation),
        callbacks=_callbacks(spec),
        device=resolve_device(spec.device),
        precision=spec.precision,
        penalty=None if spec.penalty is None else spec.penalty(),
        projection=spec.projection,
        clip_norm=spec.clip_norm,
        inputs=spec.inputs,
        generator=torch.Generator().manual_seed(spec.seeds.batches),
        verbose=max(spec.verbose, int(prints(spec.callbacks))),
        **options,
        **{f"module__{name}": value for name, value in spec.network.arguments.items()},
    )
    with seeded_construction(spec.seeds.weights):
        net.initialize()
    if spec.robust is not None:
        net.objective = spec.robust.objective(net.module_)
    if spec.resume is not None:
        go_on_from(spec.resume.net, net, everything=spec.resume.everything)
        net.epochs_done_ = spec.resume.epochs_done
    for start in spec.start if spec.resume is None else ():
        start(net.module_, training)
    if spec.projection is not None:
        spec.projection(net.module_)
    return net, training.loaded()


def _callbacks(spec: TrainingSpec) -> list[Any]:
    check_one_schedule(spec.callbacks, spec.lr_schedule)
    check_monitors(spec.callbacks, spec.validation is not None)
    # Our callbacks have names that no user gives: skorch requires unique names.
    rising = 0.0 if spec.robust is None else spec.robust.ramp
    callbacks: list[Any] = [("_divergence", DivergenceGuard()), ("_lr", LearningRate(spec.lr_schedule, rising))]
    if spec.verbose:
        bar = Progress(spec.label, spec.verbose, show_lr=spec.lr_schedule != "constant")
        callbacks.append(("_progress", bar))
    callbacks.extend(spec.callbacks)
    if spec.validation is not None:
        callbacks.append(("_early_stopping", EarlyStopping(spec.validation.n_iter_no_change, rising)))
    return callbacks


def go_on_from(trained: SequenceNet, net: SequenceNet, *, everything: bool = False) -> None:
    """Give an initialised net the weights of a trained one, or everything in `Resume`; the trained one is not changed.

    Raises
    ------
    ValueError
        If the two have different structures.
    """
    # A net from a file of an earlier version lacks some of the current arguments.
    defaults = {name: parameter.default for name, parameter in inspect.signature(net.module).parameters.items()}
    old, new = (defaults | each.get_params_for("module") for each in (trained, net))
    for name in _STRUCTURE:
        if old.get(name) != new.get(name):
            raise ValueError(
                f"Training cannot go on from the fitted network: its {name} is {old.get(name)}, but now "
                f"{new.get(name)} is requested. Fit again with warm_start=False."
            )
    net.module_.load_state_dict(trained.module_.state_dict())
    if not everything:
        return
    net.history = type(trained.history)(dict(epoch) for epoch in trained.history)
    net.generator = copy.deepcopy(trained.generator)
    if trained.penalty_state_ is not None and net.penalty is not None:
        net.penalty.load_state_dict(trained.penalty_state_, net.module_)
    if type(trained.optimizer_) is type(net.optimizer_):
        groups = [{**group} for group in net.optimizer_.param_groups]
        # torch's optimisers keep the very tensors that they load.
        net.optimizer_.load_state_dict(copy.deepcopy(trained.optimizer_.state_dict()))
        for group, now in zip(net.optimizer_.param_groups, groups, strict=True):
            group.update({name: now[name] for name in ("lr", "weight_decay")})
