"""Nets of one shape trained as one program: parameters, gradients and optimiser states are stacked."""

import inspect
import time
from collections.abc import Iterator, Sequence
from itertools import groupby
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from sklstm.exceptions import DivergenceError
from sklstm.networks import is_stackable, stacked_forward

from ._batches import BatchLoader, SequenceDataset
from ._net import OwnCallback, PlainObjective, Projection, SequenceNet, StopTraining

# The matrices of the penalty; not every network has the last one.
_ORDER = ("weight_ih_l0", "weight_hh_l0", "readout.weight", "linear_part.values")


def can_be_stacked(nets: Sequence[SequenceNet], datasets: Sequence[SequenceDataset]) -> bool:
    """Whether nets can be trained as one: one shape, loss, batch size, optimiser; sequences of one length.

    Callbacks must be of this package and declare ``fits_stacks``. They then use epochs only, and only the weights,
    history and learning rate of a net. They set the learning rate equally for all.

    Parameters
    ----------
    nets : sequence of SequenceNet
        Initialised nets.
    datasets : sequence of SequenceDataset
        Data set of each net.

    Returns
    -------
    bool

    Examples
    --------
    >>> import torch
    >>> from sklstm.networks import LSTMNetwork
    >>> from sklstm.training import SequenceDataset, SequenceNet
    >>> from sklstm.training._stack import can_be_stacked
    >>> data = SequenceDataset(torch.ones(20, 3, 1), torch.ones(20, 1))
    >>> options = {"module__n_features": 1, "module__n_outputs": 1, "verbose": 0}
    >>> a, b, c = (
    ...     SequenceNet(LSTMNetwork, torch.nn.MSELoss, module__hidden_size=size, **options).initialize()
    ...     for size in (4, 4, 8)
    ... )
    >>> can_be_stacked([a, b], [data, data]), can_be_stacked([a, c], [data, data])
    (True, False)
    """
    shapes = {None if data.X.lengths is not None else data.X.shape[1:] for data in datasets}
    if None in shapes or len(shapes) != 1:
        return False
    first = nets[0]
    return (
        is_stackable(first.module_)
        and (first.penalty is None or first.penalty.stacks)
        and (first.projection is None or (isinstance(first.projection, Projection) and first.projection.stacks))
        and all(
            type(net.module_) is type(first.module_)
            and _shapes(net) == _shapes(first)
            and type(net.penalty) is type(first.penalty)
            and _alike(net) == _alike(first)
            and type(net.optimizer_) is type(first.optimizer_)
            and all(isinstance(callback, OwnCallback) and callback.fits_stacks for _, callback in net.callbacks_)
            and net.precision != "bfloat16"
            and isinstance(net.objective, PlainObjective)
            for net in nets
        )
    )


def _alike(net: SequenceNet) -> tuple[Any, ...]:
    return net.criterion, net.batch_size, net.clip_norm, net.projection


def _shapes(net: SequenceNet) -> list[tuple[int, ...]]:
    return [tuple(weight.shape) for weight in net.module_.parameters()]


class _Run:
    """Neighbouring nets with the same batches, in one optimiser: a slice of the stack."""

    def __init__(self, nets: list[SequenceNet], data: SequenceDataset, start: int):
        self.nets, self.data, self.slice = nets, data, slice(start, start + len(nets))
        first = nets[0]
        self.generator = _generator_of(first)
        self.loader = BatchLoader(data, first.batch_size, True, self.generator, device=first.device)
        self.optimizer: torch.optim.Optimizer
        self.leaves: dict[str, torch.nn.Parameter]

    def inputs(self, batch: Tensor) -> Tensor:
        """(m, b, L, d): the batch as each net's rule makes it, with the net's own random numbers."""
        if all(net.inputs is None for net in self.nets):
            return batch.expand(len(self.nets), *batch.shape)
        state = self.generator.get_state()
        met = []
        for net in self.nets:
            self.generator.set_state(state)
            met.append(batch if net.inputs is None else net.inputs(batch, self.generator))
        return torch.stack(met)


class Stack:
    """Trains nets epoch by epoch until `release` gives them their own memory again.

    While they are stacked their parameters are views, so that callbacks can read and write them.

    Parameters
    ----------
    nets : sequence of SequenceNet
        Initialised nets; see `can_be_stacked`.
    datasets : sequence of SequenceDataset
        Data set of each net. Nets with the same data set object, and random generators in the same state, share their
        batches.
    """

    def __init__(self, nets: Sequence[SequenceNet], datasets: Sequence[SequenceDataset]):
        # Runs with more batches first: at every step of an epoch the active ones are the first.
        keys = [_run_of(net, data) for net, data in zip(nets, datasets, strict=True)]
        order = sorted(range(len(nets)), key=lambda index: (-len(datasets[index]), keys.index(keys[index])))
        self.nets = [nets[index] for index in order]
        self.module = self.nets[0].module_
        weights, _ = torch.func.stack_module_state([net.module_ for net in self.nets])
        self.weights: dict[str, Tensor] = {name: weight.detach() for name, weight in weights.items()}
        for index, net in enumerate(self.nets):
            for name, weight in net.module_.named_parameters():
                weight.data = self.weights[name][index]
        self.runs: list[_Run] = []
        start = 0
        for _, members in groupby(order, key=keys.__getitem__):
            indices = list(members)
            run = _Run([nets[index] for index in indices], datasets[indices[0]], start)
            self._take_optimizer(run)
            self.runs.append(run)
            start = run.slice.stop
        self.members = torch.tensor([len(run.nets) for run in self.runs], device=self.module.readout.weight.device)
        first: Any = self.nets[0].penalty
        self.penalty = None
        if first is not None:
            self.penalty = first.stack([net.penalty for net in self.nets])
            self.penalty.watch(*(self.weights[name] for name in self._penalised()))
        self.criterion = self.nets[0].criterion(reduction="none")

    def _penalised(self) -> list[str]:
        return [name for part in _ORDER for name in self.weights if name.endswith(part)]

    def _take_optimizer(self, run: _Run) -> None:
        own = run.nets[0].optimizer_
        run.leaves = {name: torch.nn.Parameter(weight[run.slice]) for name, weight in self.weights.items()}
        run.optimizer = type(own)(list(run.leaves.values()), **dict(_options(own)))
        for name, leaf in run.leaves.items():
            states = [net.optimizer_.state.get(net.module_.get_parameter(name), {}) for net in run.nets]
            run.optimizer.state[leaf].update(
                {key: _stacked([state[key] for state in states], leaf) for key in states[0]}
            )

    def _give_optimizer(self, run: _Run) -> None:
        for name, leaf in run.leaves.items():
            for index, net in enumerate(run.nets):
                own = {key: _part(value, index, leaf) for key, value in run.optimizer.state.get(leaf, {}).items()}
                net.optimizer_.state[net.module_.get_parameter(name)] = own

    def release(self) -> None:
        """Give every net its own weights, optimiser state and random generator."""
        for run in self.runs:
            for net in run.nets:
                if net.generator is not run.generator:
                    _generator_of(net).set_state(run.generator.get_state())
                for weight in net.module_.parameters():
                    weight.data = weight.data.clone()
                net.module_.recurrent.flatten_parameters()  # on CUDA into one block of memory, as cuDNN requires
            self._give_optimizer(run)

    def run_epoch(self) -> tuple[list[float], list[float]]:
        """Every batch of every run once.

        Returns
        -------
        data_losses, penalties : lists of float
            Means over the sequences, by net in the order of ``nets``.
        """
        device = self.members.device
        losses, penalties = torch.zeros(2, len(self.nets), dtype=torch.float64, device=device)
        for run in self.runs:
            for group in run.optimizer.param_groups:
                group["lr"] = run.nets[0].optimizer_.param_groups[0]["lr"]
            for net in run.nets:
                net.module_.train()
        for batches in self._steps():
            busy = self.runs[len(batches) - 1].slice.stop
            sizes = torch.tensor([len(y) for _, y, _ in batches], dtype=torch.float64, device=device)
            sizes = sizes.repeat_interleave(self.members[: len(batches)])
            loss, values = self._step(batches, busy, sizes)
            losses[:busy] += loss * sizes
            penalties[:busy] += values[:busy] * sizes
        counts = torch.tensor([len(run.data) for run in self.runs], device=device).repeat_interleave(self.members)
        return (losses / counts).tolist(), (penalties / counts).tolist()

    def _steps(self) -> Iterator[list[tuple[Tensor, Tensor, Tensor | None]]]:
        """For every step the inputs (m, b, L, d), targets (b, ...) and weights (b,) of the active runs."""
        loaders = [iter(run.loader) for run in self.runs]
        for step in range(len(self.runs[0].loader)):
            batches = []
            for run, loader in zip(self.runs, loaders, strict=True):
                if step >= len(run.loader):
                    break
                X, y = next(loader)
                targets, weight = y if isinstance(y, tuple) else (y, None)
                batches.append((run.inputs(X), targets, weight))
            yield batches

    def _step(
        self, batches: list[tuple[Tensor, Tensor, Tensor | None]], busy: int, sizes: Tensor
    ) -> tuple[Tensor, Tensor]:
        first = self.nets[0]
        longest = max(len(y) for _, y, _ in batches)
        padded = [_padded(X, y, weight, longest) for X, y, weight in batches]
        X, y, weights = (torch.cat(parts) for parts in zip(*padded, strict=True))  # (m, b, ...)
        leaves = {name: weight[:busy].requires_grad_() for name, weight in self.weights.items()}
        outputs = stacked_forward(self.module, leaves, X)
        each = self.criterion(outputs.flatten(0, 1), y.flatten(0, 1)).reshape(busy, longest, -1).mean(2)
        loss = (weights * each).sum(1) / sizes.to(each.dtype)
        found = torch.autograd.grad(loss.sum(), list(leaves.values()))
        # Fused optimisers use the memory of a gradient as it is. Biases that are added to each other may share one
        # gradient, as with torch 2.6. A change of it in place would then apply to both.
        gradients = {
            name: gradient.clone(memory_format=torch.contiguous_format) if "bias" in name else gradient.contiguous()
            for name, gradient in zip(leaves, found, strict=True)
        }
        values = torch.zeros(len(self.nets), dtype=torch.float64, device=loss.device)
        if self.penalty is not None:
            penalties = self.penalty.accumulate(*(gradients[name] for name in self._penalised()))
            values = torch.tensor(penalties, dtype=torch.float64, device=loss.device)
        if first.clip_norm is not None:
            _clip(list(gradients.values()), first.clip_norm)
        for run in self.runs[: len(batches)]:
            for name, leaf in run.leaves.items():
                leaf.grad = gradients[name][run.slice]
            run.optimizer.step()
        if first.projection is not None:
            first.projection(self._named(busy))
        return loss.detach().double(), values

    def _named(self, busy: int) -> Any:
        """The first matrices under the names that `Projection` promises."""
        U, W, V = (self.weights[name][:busy] for name in self._penalised()[:3])
        biases = [weight[:busy] for name, weight in self.weights.items() if name.split(".")[-1].startswith("bias_")]
        return SimpleNamespace(U=U, W=W, V=V, layers=((U, W, *biases),))


def _generator_of(net: SequenceNet) -> torch.Generator:
    if net.generator is None:
        raise ValueError("a net needs a random generator for the order of its batches in training. Set its generator.")
    return net.generator


def _run_of(net: SequenceNet, data: SequenceDataset) -> tuple[Any, ...]:
    """What nets with the same batches in one optimiser have in common."""
    # Without a rule a net uses fewer random numbers: the orders of its batches soon differ from those with one.
    state = _generator_of(net).get_state().numpy().tobytes()
    return id(data), state, net.inputs is not None, _options(net.optimizer_)


def _options(optimizer: torch.optim.Optimizer) -> tuple[tuple[str, Any], ...]:
    """The arguments of an optimiser besides the parameters."""
    (group,) = optimizer.param_groups
    known = inspect.signature(type(optimizer)).parameters  # the groups hold more than that
    return tuple((name, value) for name, value in group.items() if name in known and name != "params")


def _padded(X: Tensor, y: Tensor, weight: Tensor | None, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs, targets and weights of all nets of a run, padded with sequences of weight zero."""
    n_nets, batch = X.shape[:2]
    weights = X.new_ones(batch) if weight is None else weight
    if missing := size - batch:
        X = torch.cat((X, X.new_zeros(n_nets, missing, *X.shape[2:])), 1)
        y = torch.cat((y, y.new_zeros(missing, *y.shape[1:])))
        weights = torch.cat((weights, weights.new_zeros(missing)))
    return X, y.expand(n_nets, *y.shape), weights.expand(n_nets, size)


def _clip(gradients: list[Tensor], largest: float) -> None:
    """As torch's `clip_grad_norm_`, for every net by itself."""
    squares = [gradient.flatten(1).square().sum(1) for gradient in gradients]
    factors = (largest / (torch.stack(squares).sum(0).sqrt() + 1e-6)).clamp(max=1)
    for gradient in gradients:
        gradient *= factors.view(-1, *[1] * (gradient.ndim - 1))


def _stacked(values: list[Any], leaf: Tensor) -> Any:
    first = values[0]
    if isinstance(first, Tensor) and first.shape == leaf.shape[1:] and leaf.ndim > 1:
        return torch.stack(values)
    return first.clone() if isinstance(first, Tensor) else first  # the number of steps


def _part(value: Any, index: int, leaf: Tensor) -> Any:
    if isinstance(value, Tensor):
        return (value[index] if value.shape == leaf.shape else value).clone()
    return value


def train_together(
    nets: Sequence[SequenceNet], datasets: Sequence[SequenceDataset], n_epochs: int | None = None
) -> list[DivergenceError | None]:
    """Train nets as each ``net.train(data, n_epochs)`` would, all in one batched program.

    A net whose training diverges, or is stopped by a callback, does not affect the others. The numbers are those of
    nets trained one by one, up to rounding and the errors of the penalty's norms, which are exact in other calls.

    Parameters
    ----------
    nets : sequence of SequenceNet
        Initialised nets; see `can_be_stacked`.
    datasets : sequence of SequenceDataset
        Data set of each net.
    n_epochs : int, optional
        As in `SequenceNet.train`.

    Returns
    -------
    list of DivergenceError or None
        The error that ended the training of each net early.

    Examples
    --------
    >>> import torch
    >>> from sklstm.networks import LSTMNetwork
    >>> from sklstm.training import SequenceDataset, SequenceNet
    >>> from sklstm.training._process import seeded_construction
    >>> from sklstm.training._stack import train_together
    >>> X = torch.randn((60, 5, 1), generator=torch.Generator().manual_seed(0))
    >>> data = SequenceDataset(X, X[:, -1])
    >>> sizes = {"module__n_features": 1, "module__hidden_size": 4, "module__n_outputs": 1}
    >>> options = {"max_epochs": 3, "train_split": None, "verbose": 0}
    >>> def make_net():
    ...     net = SequenceNet(
    ...         LSTMNetwork, torch.nn.MSELoss, generator=torch.Generator().manual_seed(0), **sizes, **options
    ...     )
    ...     with seeded_construction(0):
    ...         return net.initialize()
    >>> nets = [make_net(), make_net().set_params(lr=0.1)]
    >>> train_together(nets, [data, data])  # no errors
    [None, None]
    >>> alone = make_net().train(data)
    >>> torch.allclose(nets[0].module_(X), alone.module_(X), atol=1e-5)
    True
    """
    errors: list[DivergenceError | None] = [None] * len(nets)
    running = list(range(len(nets)))
    over = set(running)
    try:
        for index, net in enumerate(nets):
            net.notify("on_train_begin", X=datasets[index], y=None)
        epochs = {index: nets[index].epochs_until(n_epochs) for index in running}
        done = 0
        while active := [index for index in running if done < epochs[index]]:
            stack = Stack([nets[index] for index in active], [datasets[index] for index in active])
            places = {id(nets[index]): index for index in active}
            left: set[int] = set()
            try:
                while not left and done < min(epochs[index] for index in active):
                    left = _epoch(stack, datasets, places, errors)
                    done += 1
            finally:
                stack.release()
            running = [index for index in running if index not in left]
        for index, net in enumerate(nets):
            over.discard(index)
            _finish(net, datasets[index], errors, index)
    except BaseException as error:
        for index in over:
            nets[index].notify("on_train_over", error=error)
        raise
    finally:
        for net in nets:
            net.leave()
    return errors


def _epoch(
    stack: Stack, datasets: Sequence[SequenceDataset], places: dict[int, int], errors: list[DivergenceError | None]
) -> set[int]:
    """One epoch of all nets; returns the positions of nets whose training has ended."""
    parts = [net.get_split_datasets(datasets[places[id(net)]]) for net in stack.nets]
    for net, (training, validation) in zip(stack.nets, parts, strict=True):
        net.notify("on_epoch_begin", dataset_train=training, dataset_valid=validation)
    started = time.perf_counter()
    losses, penalties = stack.run_epoch()
    seconds = (time.perf_counter() - started) / len(stack.nets)
    norm_error = None if stack.penalty is None else stack.penalty.largest_error
    ended = set()
    for net, (training, validation), loss, penalty in zip(stack.nets, parts, losses, penalties, strict=True):
        net.record_training(loss, penalty, norm_error, seconds)
        if validation is not None:
            net.run_single_epoch(
                net.get_iterator(validation), training=False, prefix="valid", step_fn=net.validation_step
            )
        try:
            net.notify("on_epoch_end", dataset_train=training, dataset_valid=validation)
        except StopTraining:
            ended.add(places[id(net)])
        except DivergenceError as error:
            ended.add(places[id(net)])
            errors[places[id(net)]] = error
    return ended


def _finish(net: SequenceNet, data: SequenceDataset, errors: list[DivergenceError | None], index: int) -> None:
    try:
        if errors[index] is None:
            net.notify("on_train_end", X=data, y=None)
        net.notify("on_train_over", error=errors[index])
    except DivergenceError as error:
        errors[index] = error
