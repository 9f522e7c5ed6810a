"""A network of few bits: trained, rounded in stages, and described in integers that lower the Occam bound itself.

**Stages.** The output of a recurrent network depends on powers of a matrix, so that rounding all weights at once makes
it useless. Parts are therefore rounded in stages: the sensitive parts first, and in a part first the weights whose
rounding changes the loss least. After every stage the other weights are trained further, which corrects the loss
(incremental quantisation, Zhou et al. 2017).
"""

import copy
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from tqdm import tqdm

from sklstm._sequences import Sequences
from sklstm.exceptions import DivergenceError
from sklstm.generalization import Description, OccamBound, Structure, occam_bound
from sklstm.generalization.compression._description import columns
from sklstm.generalization.compression._occam import certificate_assumptions, check_certificate_parameters
from sklstm.generalization.compression._rounding import (
    coordinate_descent,
    curvature,
    grids,
    nearest_levels,
    price_of_a_bit,
)

from ._batches import SequenceDataset, to_device
from ._inference import predict_blocks
from ._net import OwnCallback, without_word_of_compact_weights
from ._train import NetworkSpec, Seeds, TrainingSpec, train

Values = dict[str, Tensor]
# Bits for each value in the computation of the price of a bit. The price depends on their square root only.
_TYPICAL_BITS = 3
_SEARCH_BLOCK = 2048


@dataclass(frozen=True)
class Schedule:
    """Epochs, stages, batch size and learning rates of fine-tuning.

    Attributes
    ----------
    epochs : int
        Passes over the data before the first rounding.
    stage_epochs : int
        Passes after each stage of rounding.
    n_stages : int
        Number of stages in which a part of more than 32 values is rounded; a smaller part needs two.
    batch_size : int
    lr, stage_lr : float
        Learning rates of Adam before and after the first rounding.
    """

    epochs: int = 20
    stage_epochs: int = 2
    n_stages: int = 8
    batch_size: int = 250
    lr: float = 0.01
    stage_lr: float = 0.003


class SequenceProblem:
    """A network, a training sample, and two losses: a `LearningProblem` that can be trained on.

    Parameters
    ----------
    module : nn.Module
        A network. Only its forward pass is used; its weights are not changed.
    X : Sequences, or Tensor of shape (n, L, d)
        On the device of the module, or on the CPU.
    y : Tensor of shape (n,) or (n, k)
        On the device of the module.
    likelihood : callable
        (outputs, targets) -> mean negative log-likelihood.
    smooth : callable
        (outputs, targets) -> mean of a smooth loss in [0, 1].
    losses : callable
        (outputs, targets) -> (n,) losses in [0, 1], those of the bound.
    zero_one : bool
        Whether they are zeros and ones.
    """

    def __init__(
        self,
        module: nn.Module,
        X: Sequences | Tensor,
        y: Tensor,
        *,
        likelihood: Callable[[Tensor, Tensor], Tensor],
        smooth: Callable[[Tensor, Tensor], Tensor],
        losses: Callable[[Tensor, Tensor], Tensor],
        zero_one: bool,
    ):
        self.module, self.X, self.y = module, Sequences.of(X), y
        self.likelihood, self.smooth, self.losses, self.zero_one = likelihood, smooth, losses, zero_one
        self.n_samples, self.device = len(X), next(module.parameters()).device

    @cached_property
    def trainable(self) -> nn.Module:
        return copy.deepcopy(self.module).train()  # cuDNN differentiates in this mode only

    @cached_property
    def _scratch(self) -> nn.Module:
        """A copy for trial weights."""
        return copy.deepcopy(self.module).to(self.device)  # which on CUDA stores the weights in one block of memory

    def part(self, n: int) -> "SequenceProblem":
        """The same on n sequences of the sample, evenly spaced."""
        rows = torch.arange(n) * self.n_samples // n
        return SequenceProblem(
            self.module,
            self.X[rows.to(self.X.device)],
            self.y[rows.to(self.y.device)],
            likelihood=self.likelihood,
            smooth=self.smooth,
            losses=self.losses,
            zero_one=self.zero_one,
        )

    def gradient(self, weights: Values, rows: Tensor, *, bounded: bool) -> tuple[float, Values]:
        rows = rows.to(self.X.device)
        leaves = {name: tensor.detach().to(self.device).requires_grad_(True) for name, tensor in weights.items()}
        with torch.enable_grad():
            outputs = outputs_with(self.trainable, leaves, to_device(self.X.batch(rows), self.device))
            loss = (self.smooth if bounded else self.likelihood)(outputs, self.y[rows])
            gradient = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True, materialize_grads=True)
        return loss.item(), {name: part.cpu() for name, part in zip(leaves, gradient, strict=True)}

    @torch.no_grad()
    def losses_on(self, several: Iterable[Values], rows: Tensor) -> Tensor:
        """Means (m,) of the loss of the bound, in [0, 1], of m networks, each on b sequences of its own.

        Parameters
        ----------
        several : iterable of m dicts of str to Tensor
            Weights of each.
        rows : Tensor of int64 of shape (m, b)
            Positions of its sequences.

        Returns
        -------
        Tensor of shape (m,), float64
            NaN counts as 1.
        """
        module, size, every = self._scratch.eval(), rows.shape[1], rows.flatten()
        own, means = module.state_dict(), []
        batch = to_device(self.X.batch(every.to(self.X.device)), self.device)
        targets = self.y[every.to(self.y.device)]
        for number, weights in enumerate(several):
            for name, weight in weights.items():
                own[name].copy_(weight)
            part = slice(number * size, (number + 1) * size)
            outputs = module(**{name: values[part] for name, values in batch.items()})
            # Each by itself: ties depend on all outputs that the loss is given.
            means.append(torch.nan_to_num(self.losses(outputs, targets[part]).double(), nan=1.0).mean())
        return torch.stack(means)

    @torch.no_grad()
    def bounded_loss(self, weights: Values, *, final: bool = False) -> float:
        module = self._scratch
        module.load_state_dict(weights)
        # At the end in the blocks of `predict`, so that the bound is about exactly the numbers that the predictor
        # returns. Before, in larger blocks: rounding may differ in the last bit.
        if final:
            outputs = predict_blocks(module, self.X)
        else:
            every = torch.arange(self.n_samples, device=self.X.device)
            batches = (to_device(self.X.batch(rows), self.device) for rows in every.split(_SEARCH_BLOCK))
            outputs = torch.cat([module(**batch) for batch in batches])
        losses = self.losses(outputs, self.y).double()
        return float(torch.nan_to_num(losses, nan=1.0).mean())


def outputs_with(module: nn.Module, weights: Mapping[str, Tensor], inputs: dict[str, Tensor]) -> Tensor:
    """Outputs of a network with other weights, differentiable with respect to these."""
    with without_word_of_compact_weights(inputs["X"].device):
        return functional_call(module, dict(weights), (), inputs)


class CodedNetwork(nn.Module):
    """A network whose weights are computed from the parts of a structure, which are trained.

    Parameters
    ----------
    structure : Structure
    network : nn.Module
        A network in training mode. Only its forward pass is used; its weights are not changed.
    values : dict of str to Tensor
        Parts to start from: float64, in the shapes of the structure. Not changed.
    fixed : dict of str to boolean Tensor
        In the same shapes. Where it is true, a value is not trained.

    Notes
    -----
    The derivative of the rounding from float64 to the dtype of the network counts as 1. A fixed value has the gradient
    0 from the first step on. Adam then has no momentum there and adds 0, so that no bit of it changes.
    """

    def __init__(self, structure: Structure, network: nn.Module, values: Values, fixed: Values):
        super().__init__()
        self.structure, self.fixed = structure, fixed
        self.networks = (network,)  # in a tuple, where torch does not look for weights to train
        self.parts = nn.ParameterList(values[part].detach().clone() for part in structure.shapes)

    @property
    def values(self) -> Values:
        """The parts, on the CPU."""
        return {part: value.detach().cpu() for part, value in zip(self.structure.shapes, self.parts, strict=True)}

    def forward(self, X: Tensor, **inputs: Tensor) -> Tensor:
        # On the CPU, where the structure has its constants: the values are few.
        parts = {part: value.cpu() for part, value in zip(self.structure.shapes, self.parts, strict=True)}
        free = {part: torch.where(self.fixed[part], value.detach(), value) for part, value in parts.items()}
        weights = {
            name: weight.to(X.device, self.structure.like[name].dtype)
            for name, weight in self.structure.compose(free).items()
        }
        return outputs_with(self.networks[0], weights, {"X": X, **inputs})


class MeanLoss(nn.Module):
    """A criterion of a function of outputs and targets that takes the mean itself."""

    def __init__(self, of: Callable[[Tensor, Tensor], Tensor], reduction: str):
        super().__init__()
        self.of = of

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return self.of(outputs, targets)


class Tick(OwnCallback):
    """Calls a function after every epoch."""

    def __init__(self, tick: Callable[[], None]):
        self.tick = tick

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        self.tick()


def train_values(
    structure: Structure,
    values: Values,
    problem: SequenceProblem,
    schedule: Schedule,
    rng: np.random.Generator,
    *,
    epochs: int,
    lr: float,
    bounded: bool = False,
    fixed: Values | None = None,
    tick: Callable[[], None] = lambda: None,
) -> Values:
    """Train the values of the parts. Where `fixed` is true they do not change, bit for bit.

    Parameters
    ----------
    structure : Structure
    values : dict of str to Tensor
        Float64, in the shapes of `structure`; not changed.
    problem : SequenceProblem
    schedule : Schedule
        Its `batch_size` is used.
    rng : numpy Generator
        Source of the seed of the batches.
    epochs : int
        With 0, a copy of the values is returned.
    lr : float
        Learning rate of Adam. It falls to almost a hundredth along a half cosine.
    bounded : bool
        Which of the two losses of `problem` is minimised.
    fixed : dict of str to boolean Tensor, optional
        In the shapes of the values. By default no value is fixed.
    tick : callable
        Called after every epoch.

    Returns
    -------
    dict of str to Tensor
        The trained values. If the training diverges, those of its last good epoch.

    Raises
    ------
    ValueError
        If the values or `fixed` do not have the parts and shapes of the structure.
    """
    for given in (values, values if fixed is None else fixed):
        if {part: tuple(tensor.shape) for part, tensor in given.items()} != structure.shapes:
            raise ValueError(f"values and fixed must have the parts and shapes {structure.shapes}")
    start = {part: value.detach().clone() for part, value in values.items()}
    if epochs == 0:
        return start
    # MPS has no float64.
    device = torch.device("cpu") if problem.device.type == "mps" else problem.device
    parts = {
        "structure": structure,
        "network": copy.deepcopy(problem.trainable).to(device),
        "values": start,
        "fixed": fixed or {part: torch.zeros_like(value, dtype=torch.bool) for part, value in start.items()},
    }
    spec = TrainingSpec(
        network=NetworkSpec(CodedNetwork, parts),
        loss=partial(MeanLoss, problem.smooth if bounded else problem.likelihood),
        lr=lr,
        lr_schedule="cosine",
        clip_norm=1.0,
        max_epochs=epochs,
        batch_size=schedule.batch_size,
        callbacks=(Tick(tick),),
        device=device,
        seeds=Seeds(batches=int(rng.integers(2**63))),
    )
    try:
        net = train(spec, SequenceDataset(problem.X, problem.y))
    except DivergenceError as error:
        if error.net is None:
            return start
        net = error.net
    return net.module_.values


def quantise_in_stages(
    structure: Structure,
    values: Values,
    problem: SequenceProblem,
    schedule: Schedule,
    rng: np.random.Generator,
    *,
    price: float,
    coarseness: float = 32.0,
    tick: Callable[[], None] = lambda: None,
) -> Description:
    r"""Round trained values part by part and stage by stage, and train the others after each stage.

    Parameters
    ----------
    structure, values, problem, schedule, rng
        See `train_values`.
    price : float
        :math:`\kappa`, see `price_of_a_bit`.
    coarseness : float, default=32.0
        Factor of the grids' steps, compared with rounding all values at once: training after each stage corrects most
        of the rounding error. The price of a bit is multiplied by its square.
    tick : callable
        Called after every epoch, `n_epochs` times in all.

    Returns
    -------
    Description

    Raises
    ------
    ValueError
        If `price` or `coarseness` is not positive and finite. Also if the values are not finite or do not have the
        parts and shapes of the structure.
    """
    if not (0 < price < math.inf and 0 < coarseness < math.inf):
        raise ValueError(f"price and coarseness must be positive and finite, got {price!r} and {coarseness!r}")
    if not all(torch.isfinite(value).all() for value in values.values()):
        raise ValueError("values must be finite")
    price = price * coarseness**2
    fisher = curvature(structure, values, problem, rng)
    description = grids(structure, values, fisher, price)
    fixed = {part: torch.zeros_like(value, dtype=torch.bool) for part, value in values.items()}
    stages = list(_stages(structure, fisher, schedule.n_stages))
    for number, (part, share) in enumerate(stages, 1):
        # Computed again, since training has changed the weights; fewer samples are enough.
        fisher = curvature(structure, values, problem, rng, n_rows=2000)
        grid = description.grid(part).expand(structure.shapes[part]).numpy()
        z, h = values[part].numpy() / grid, fisher[part].numpy() * grid**2
        held = fixed[part].numpy()
        integers = nearest_levels(z, h, held, description.integers[part], price)
        description = description.replaced({**description.integers, part: integers})
        increase = np.where(held, -np.inf, h * (z - integers) ** 2).ravel()
        fixed[part] = torch.zeros(held.size, dtype=torch.bool)
        fixed[part][np.argsort(increase, kind="stable")[: round(share * held.size)]] = True
        fixed[part] = fixed[part].reshape(held.shape)
        values = {**values, part: torch.where(fixed[part], description.values()[part], values[part])}
        if number < len(stages):
            values = train_values(
                structure, values, problem, schedule, rng,
                epochs=schedule.stage_epochs, lr=schedule.stage_lr, bounded=True, fixed=fixed, tick=tick,
            )  # fmt: skip
    return description


def n_epochs(structure: Structure, schedule: Schedule) -> int:
    """Number of epochs of `quantise_in_stages`."""
    ones = {part: torch.ones(shape) for part, shape in structure.shapes.items()}
    return schedule.stage_epochs * (len(list(_stages(structure, ones, schedule.n_stages))) - 1)


def _stages(structure: Structure, fisher: Values, n_stages: int) -> Iterator[tuple[str, float]]:
    """(part, share of it that is rounded after the stage): sensitive parts first; later stages round fewer values."""
    sensitive = sorted(structure.shapes, key=lambda part: float(-fisher[part].mean()))
    for part in sorted(sensitive, key=lambda part: fisher[part].numel() > 32):
        count = n_stages if fisher[part].numel() > 32 else min(2, fisher[part].numel())
        for stage in range(1, count + 1):
            yield part, 1 - (1 - stage / count) ** 1.5


def fine_tuned_certificate(
    structure: Structure,
    starts: Sequence[Mapping[str, Tensor]],
    problem: SequenceProblem,
    *,
    schedule: Schedule,
    rng: np.random.Generator,
    delta: float = 0.05,
    scale: float = 1.0,
    delta_weight: float = 1.0,
    coarseness: Sequence[float] = (16.0, 32.0),
    n_trials: int = 200,
    exponents: Mapping[str, np.ndarray] | None = None,
    progress: bool = False,
) -> OccamBound:
    """Occam bound of the best description that fine-tuning finds.

    Parameters
    ----------
    structure : Structure
        How parts make weights; fixed before the data are seen.
    starts : sequence of mappings of str to Tensor
        Weights to start from, trained or fresh. Each is trained for half of the epochs. The best is trained further.
    problem : SequenceProblem
        The training sample and its losses.
    schedule : Schedule
    rng : numpy Generator
        Source of batch orders.
    delta : float, default=0.05
        The bound holds with probability at least ``1 - delta``.
    scale : float, default=1.0
        Largest possible loss, see `sklstm.generalization.occam_certificate`.
    delta_weight : float, default=1.0
        The weight from `sklstm.generalization.choose_cap`, if the cap was chosen from the data.
    coarseness : sequence of float, default=(16.0, 32.0)
        Factors of the grids' steps. A factor of 1 is best for rounding all values at once. Training corrects most of
        the rounding error, so that larger steps are better. All factors are tried and the best bound is kept, at no
        price, since the message contains the steps.
    n_trials : int, default=200
        For each coarseness, how often coordinate descent on the bound tries to change a single integer.
    exponents : mapping of str to ndarray of int, optional
        The inputs of the problem have been divided by powers of two, and these belong to the columns of matrices that
        read them; see `Description.rescaled`. The bound is then about the network that takes the original inputs.
    progress : bool, default=False
        Show a progress bar.

    Returns
    -------
    OccamBound
        A bound whose `description` has a message that decodes to the predictor of the bound.

    Raises
    ------
    ValueError
        If a start is not finite.

    Notes
    -----
    The bound holds for all descriptions at once. Starts, coarseness, schedule and the order of batches decide which
    description is found. They are no part of its price.
    """
    check_certificate_parameters(delta, delta_weight, scale, problem.n_samples)
    if not all(tensor.isfinite().all() for start in starts for tensor in start.values()):
        raise ValueError("a weight is NaN or infinite")
    share = delta * delta_weight

    def bound(description: Description, loss: float) -> float:
        return occam_bound(loss, description.n_bits, problem.n_samples, delta=share, zero_one=problem.zero_one)

    first, last = _halves(schedule.epochs)
    total = len(starts) * first + last + _sharpening(schedule)
    total += len(coarseness) * (n_epochs(structure, schedule) + n_trials)
    with tqdm(total=total, desc="Occam bound", unit="pass", disable=not progress) as bar:

        def tick() -> None:
            bar.update()

        values, trained_loss = _trained(structure, starts, problem, schedule, rng, tick)
        price = price_of_a_bit(trained_loss, _TYPICAL_BITS * structure.n_values, problem.n_samples, share)
        found: list[tuple[Description, float]] = []

        def keep(description: Description) -> None:
            whole = description if exponents is None else description.rescaled(exponents)
            if whole is not None:
                found.append((whole, problem.bounded_loss(description.weights(), final=True)))

        keep(_blank(structure))
        for factor in coarseness:
            rough = quantise_in_stages(
                structure, values, problem, schedule, rng, price=price, coarseness=factor, tick=tick
            )
            improved, _, _ = coordinate_descent(rough, problem, delta=share, n_trials=n_trials, price=price, tick=tick)
            keep(improved)
    description, train_loss = min(found, key=lambda pair: bound(*pair))
    value = bound(description, train_loss)
    return OccamBound(
        value=scale * value,
        train_loss=scale * train_loss,
        trained_loss=scale * trained_loss,
        n_bits=description.n_bits,
        n_levels=len({float(x) for tensor in description.weights().values() for x in tensor.unique()}),
        n_weights=structure.n_weights,
        n_samples=int(problem.n_samples),
        delta=float(delta),
        scale=float(scale),
        delta_weight=float(delta_weight),
        zero_one=bool(problem.zero_one),
        vacuous=value >= 1,
        weights=description.weights(),
        assumptions=certificate_assumptions(delta_weight, problem.zero_one, exponents is not None),
        n_values=structure.n_values,
        description=description,
    )


def _halves(epochs: int) -> tuple[int, int]:
    first = (epochs + 1) // 2
    return first, epochs - first


def _sharpening(schedule: Schedule) -> int:
    """Epochs on the bounded loss before rounding."""
    return -(-schedule.epochs // 4)


def _trained(
    structure: Structure,
    starts: Sequence[Mapping[str, Tensor]],
    problem: SequenceProblem,
    schedule: Schedule,
    rng: np.random.Generator,
    tick: Callable[[], None],
) -> tuple[dict[str, Tensor], float]:
    """Values trained on the likelihood and then on the bounded loss, and their bounded loss."""
    first, last = _halves(schedule.epochs)
    tried: list[tuple[float, int, dict[str, Tensor]]] = []
    for start in starts:
        values = structure.start(start)
        values = train_values(structure, values, problem, schedule, rng, epochs=first, lr=schedule.lr, tick=tick)
        tried.append((problem.bounded_loss(structure.weights(values)), len(tried), values))
    _, _, values = min(tried)
    values = train_values(structure, values, problem, schedule, rng, epochs=last, lr=schedule.lr, tick=tick)
    values = train_values(
        structure, values, problem, schedule, rng,
        epochs=_sharpening(schedule), lr=schedule.stage_lr, bounded=True, tick=tick,
    )  # fmt: skip
    return values, problem.bounded_loss(structure.weights(values))


def _blank(structure: Structure) -> Description:
    """All integers zero, which has the shortest message. The result of fine-tuning is used only if it is better."""
    return Description(
        structure,
        dict.fromkeys(structure.shapes, 0),
        {part: np.zeros(columns(shape), dtype=np.int64) for part, shape in structure.shapes.items()},
        {part: np.zeros(shape, dtype=np.int64) for part, shape in structure.shapes.items()},
    )
