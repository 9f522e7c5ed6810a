"""Nets of one shape whose parameters, gradients and optimiser states lie on top of each other."""

import inspect
from collections.abc import Iterator, Sequence
from itertools import groupby
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from sklstm.networks import is_stackable, stacked_forward
from sklstm.noise import noise_of_kind

from ._batches import BatchLoader, SequenceDataset
from ._net import SequenceNet
from ._ragged import RaggedTensor

__all__ = ["Stack", "can_be_stacked"]

_ORDER = ("weight_ih_l0", "weight_hh_l0", "readout.weight")  # of the matrices that the penalty is about


def can_be_stacked(nets: Sequence[SequenceNet], datasets: Sequence[SequenceDataset]) -> bool:
    """Whether nets can be trained as one: one shape, batch size, optimiser; sequences of one length.

    Callbacks must say so by an attribute ``fits_stacks``: that they look at epochs only, and at nothing of a net but
    its weights, its history and the learning rate, which they set for all alike.

    Parameters
    ----------
    nets : sequence of SequenceNet
        Initialised.
    datasets : sequence of SequenceDataset
        Of each.

    Returns
    -------
    bool

    Examples
    --------
    >>> import torch
    >>> from sklstm.networks import LSTMNetwork
    >>> from sklstm.training import SequenceDataset, SequenceNet, can_be_stacked
    >>> data = SequenceDataset(torch.ones(20, 3, 1), torch.ones(20, 1))
    >>> options = {"module__n_features": 1, "module__n_outputs": 1, "verbose": 0}
    >>> a, b, c = (
    ...     SequenceNet(LSTMNetwork, torch.nn.MSELoss, module__hidden_size=size, **options).initialize()
    ...     for size in (4, 4, 8)
    ... )
    >>> can_be_stacked([a, b], [data, data]), can_be_stacked([a, c], [data, data])
    (True, False)
    """
    shapes = {None if isinstance(data.X, RaggedTensor) else data.X.shape[1:] for data in datasets}
    if None in shapes or len(shapes) != 1:
        return False
    first = nets[0]
    penalised = first.penalty is not None
    return (
        is_stackable(first.module_)
        and (not penalised or hasattr(first.penalty, "stacked"))
        and all(
            type(net.module_) is type(first.module_)
            and _shapes(net) == _shapes(first)
            and (net.penalty is not None) == penalised
            and (net.batch_size, net.clip_norm, net.noise) == (first.batch_size, first.clip_norm, first.noise)
            and type(net.optimizer_) is type(first.optimizer_)
            and all(getattr(callback, "fits_stacks", False) for _, callback in net.callbacks_)
            and net.precision != "bfloat16"
            for net in nets
        )
    )


def _shapes(net: SequenceNet) -> list[tuple[int, ...]]:
    return [tuple(weight.shape) for weight in net.module_.parameters()]


class _Run:
    """Neighbouring nets with the same batches, in one optimiser: a slice of the stack."""

    def __init__(self, nets: list[SequenceNet], data: SequenceDataset, start: int):
        self.nets, self.data, self.slice = nets, data, slice(start, start + len(nets))
        first = nets[0]
        self.generator = _generator_of(first)
        self.loader = BatchLoader(data, first.batch_size, True, self.generator, device=first.device)
        self.sigmas = [net.sigma for net in nets]
        self.noise = noise_of_kind(first.noise)
        self.optimizer: torch.optim.Optimizer
        self.leaves: dict[str, torch.nn.Parameter]

    def inputs(self, batch: Tensor) -> Tensor:
        """(m, b, L, d): the batch with the noise of each net, drawn as the net itself would."""
        stacked = batch.expand(len(self.nets), *batch.shape)
        if not any(self.sigmas):
            return stacked
        state = self.generator.get_state()
        noisy = []
        for sigma in self.sigmas:
            self.generator.set_state(state)
            noisy.append(batch + self.noise.draw_tensor(batch, sigma, self.generator))
        return torch.stack(noisy)


class Stack:
    """Trains nets epoch by epoch until `release` gives them their own memory back.

    While they are stacked their parameters are views: what callbacks read of a net, and write to it, is the truth.

    Parameters
    ----------
    nets : sequence of SequenceNet
        Initialised; see `can_be_stacked`.
    datasets : sequence of SequenceDataset
        Of each; nets with the very same one, and random generators in the same state, share their batches.
    """

    def __init__(self, nets: Sequence[SequenceNet], datasets: Sequence[SequenceDataset]):
        # Runs with more batches first: at every step of an epoch those still busy are the first ones.
        keys = [_batches_of(net, data) for net, data in zip(nets, datasets, strict=True)]
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
            self.penalty = first.stacked([net.penalty for net in self.nets])
            self.penalty.watch(*(self.weights[name] for name in self._penalised()))
        self.criterion = type(self.nets[0].criterion_)(reduction="none")

    def _penalised(self) -> list[str]:
        return [next(name for name in self.weights if name.endswith(part)) for part in _ORDER]

    def _take_optimizer(self, run: _Run) -> None:
        own = run.nets[0].optimizer_
        run.leaves = {name: torch.nn.Parameter(weight[run.slice]) for name, weight in self.weights.items()}
        (group,) = own.param_groups
        known = inspect.signature(type(own)).parameters  # the groups hold more than what makes an optimiser
        options = {key: value for key, value in group.items() if key in known and key != "params"}
        run.optimizer = type(own)(list(run.leaves.values()), **options)
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
        """Give every net weights, optimiser state and random generator of its own."""
        for run in self.runs:
            for net in run.nets:
                if net.generator is not run.generator:
                    _generator_of(net).set_state(run.generator.get_state())
                for weight in net.module_.parameters():
                    weight.data = weight.data.clone()
                net.module_.recurrent.flatten_parameters()  # on CUDA into one piece of memory, as cuDNN wants it
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
        """For every step the inputs (m, b, L, d), targets (b, ...) and weights (b,) of the runs that have some left."""
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
        # Fused optimisers take the memory of a gradient as it lies.
        gradients = {name: gradient.contiguous() for name, gradient in zip(leaves, found, strict=True)}
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
        """The first matrices under the names that projections know."""
        U, W, V = (self.weights[name][:busy] for name in self._penalised())
        return SimpleNamespace(U=U, W=W, V=V)


def _generator_of(net: SequenceNet) -> torch.Generator:
    if net.generator is None:
        raise ValueError("a net that is trained needs a random generator for the order of its batches.")
    return net.generator


def _batches_of(net: SequenceNet, data: SequenceDataset) -> tuple[int, bytes, bool]:
    # Without noise a net takes less from its generator: the orders of its batches soon differ from those with noise.
    return id(data), _generator_of(net).get_state().numpy().tobytes(), net.sigma > 0


def _padded(X: Tensor, y: Tensor, weight: Tensor | None, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs, targets and weights of all nets of a run, filled up with sequences that weigh nothing."""
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
