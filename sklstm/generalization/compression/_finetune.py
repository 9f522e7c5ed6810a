r"""Quantisation-aware fine-tuning: from trained weights to a short description, for the Occam bound.

Rounding all weights at once ruins a recurrent network, whose output depends on powers of a matrix. Parts are therefore
rounded in stages, the sensitive ones first, within a part those whose rounding hurts least; after every stage the
weights that are still free are trained further and make good what the rounded ones did (incremental quantisation, Zhou
et al. 2017).
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ._description import Description
from ._rounding import grids, nearest_levels
from ._structure import Structure
from ._task import Task

__all__ = ["Schedule", "quantise_in_stages", "train_values"]

Values = dict[str, Tensor]

_FISHER_BATCH = 8


@dataclass(frozen=True)
class Schedule:
    """How long and how fast fine-tuning trains.

    Attributes
    ----------
    epochs : int
        Passes over the data before anything is rounded.
    stage_epochs : int
        Passes after each stage of rounding.
    n_stages : int
        Stages in which a part of more than 32 values is rounded; smaller ones take two.
    batch_size : int
    lr, stage_lr : float
        Learning rates of Adam before and after rounding begins.

    Raises
    ------
    ValueError
        If a number of epochs is negative, `n_stages` or `batch_size` below 1, or a learning rate not positive and
        finite.

    Examples
    --------
    >>> from sklstm.generalization import Schedule
    >>> Schedule(epochs=5)
    Schedule(epochs=5, stage_epochs=2, n_stages=8, batch_size=250, lr=0.01, stage_lr=0.003)
    >>> Schedule(epochs=-1)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    ValueError: need epochs, stage_epochs >= 0 and n_stages, batch_size >= 1, got Schedule(epochs=-1, ...)
    """

    epochs: int = 20
    stage_epochs: int = 2
    n_stages: int = 8
    batch_size: int = 250
    lr: float = 0.01
    stage_lr: float = 0.003

    def __post_init__(self) -> None:
        if min(self.epochs, self.stage_epochs) < 0 or min(self.n_stages, self.batch_size) < 1:
            raise ValueError(f"need epochs, stage_epochs >= 0 and n_stages, batch_size >= 1, got {self}")
        if not (0 < self.lr < math.inf and 0 < self.stage_lr < math.inf):
            raise ValueError(f"learning rates must be positive and finite, got {self.lr!r} and {self.stage_lr!r}")


def train_values(
    structure: Structure,
    values: Values,
    task: Task,
    schedule: Schedule,
    rng: np.random.Generator,
    *,
    epochs: int,
    lr: float,
    bounded: bool = False,
    fixed: dict[str, Tensor] | None = None,
    tick: Callable[[], None] = lambda: None,
) -> Values:
    """Adam on the values of the parts; where `fixed` is true they stay as they are, bit for bit.

    Gradients are clipped to a Euclidean norm of 1; a batch whose gradient is not finite is left out.

    Parameters
    ----------
    structure : Structure
    values : dict of str to Tensor
        Float64, in the shapes of `structure`; not changed.
    task : Task
    schedule : Schedule
        Its `batch_size` is used.
    rng : numpy Generator
        Source of the order of the samples.
    epochs : int
        With 0, a copy of the values is returned.
    lr : float
        Falls to almost a hundredth along a half cosine.
    bounded : bool
        Which of the two losses of `task` is minimised.
    fixed : dict of str to boolean Tensor, optional
        In the shapes of the values; none are fixed where it is not given.
    tick : callable
        Called after every epoch.

    Returns
    -------
    dict of str to Tensor

    Raises
    ------
    ValueError
        If the values or `fixed` do not have the parts and shapes of the structure.
    """
    for given in (values, values if fixed is None else fixed):
        if {part: tuple(tensor.shape) for part, tensor in given.items()} != structure.shapes:
            raise ValueError(f"values and fixed must have the parts and shapes {structure.shapes}")
    if fixed is None:
        fixed = {part: torch.zeros(value.shape, dtype=torch.bool) for part, value in values.items()}
    leaves = {part: value.detach().clone().requires_grad_(True) for part, value in values.items()}
    optimiser = torch.optim.Adam(leaves.values(), lr=lr)
    for epoch in range(epochs):
        for group in optimiser.param_groups:
            group["lr"] = lr * (0.505 + 0.495 * math.cos(math.pi * epoch / epochs))
        for rows in _batches(task.n_samples, schedule.batch_size, rng):
            backward(structure, leaves, task, rows, bounded=bounded)
            # Without a gradient from the first step on, Adam has no momentum either: it adds 0.
            for part, leaf in leaves.items():
                leaf.grad.masked_fill_(fixed[part], 0)  # type: ignore[union-attr]
            norm = torch.nn.utils.clip_grad_norm_(leaves.values(), 1.0)
            if not torch.isfinite(norm):
                optimiser.zero_grad()  # an overflowing batch teaches nothing
                continue
            optimiser.step()
        tick()
    return {part: leaf.detach() for part, leaf in leaves.items()}


def backward(structure: Structure, leaves: Values, task: Task, rows: Tensor, *, bounded: bool) -> float:
    """Loss over `rows` of the weights in the dtypes of the network; its gradient by the leaves goes to their ``grad``.

    The rounding to the dtype counts as the identity. What ``grad`` held before is dropped.
    """
    for leaf in leaves.values():
        leaf.grad = None
    with torch.enable_grad():
        weights = structure.compose(leaves)
        rounded = {name: tensor.detach().to(structure.like[name].dtype) for name, tensor in weights.items()}
        loss, gradient = task.gradient(rounded, rows, bounded=bounded)
        torch.autograd.backward(list(weights.values()), [gradient[name].to(weights[name]) for name in weights])
    return loss


def curvature(structure: Structure, values: Values, task: Task, rng: np.random.Generator, n_rows: int = 4000) -> Values:
    """Diagonal of the empirical Fisher information: mean squared gradient of the log-likelihood of a sample.

    From batches of b = 8 of at most `n_rows` samples: b times the mean square of a batch's gradient has the expectation
    Var(g) + b E(g)², g the gradient of one sample; the same as E(g²) where the mean gradient is zero.
    """
    leaves = {part: value.detach().clone().requires_grad_(True) for part, value in values.items()}
    total = {part: torch.zeros_like(value) for part, value in values.items()}
    rows = torch.from_numpy(rng.permutation(task.n_samples)[:n_rows])
    pieces = rows.split(_FISHER_BATCH)
    for piece in pieces:
        backward(structure, leaves, task, piece, bounded=False)
        for part, leaf in leaves.items():
            total[part] += torch.nan_to_num(leaf.grad).square() * len(piece)  # type: ignore[arg-type]
    return {part: value / len(pieces) for part, value in total.items()}


def quantise_in_stages(
    structure: Structure,
    values: Values,
    task: Task,
    schedule: Schedule,
    rng: np.random.Generator,
    *,
    price: float,
    coarseness: float = 32.0,
    tick: Callable[[], None] = lambda: None,
) -> Description:
    r"""Round trained values part by part and stage by stage, training the rest in between.

    Parameters
    ----------
    structure, values, task, schedule, rng
        See :func:`train_values`.
    price : float
        :math:`\kappa`, loss worth a bit, see :func:`price_of_a_bit`.
    coarseness : float, default=32.0
        How many times coarser than for rounding all at once the grids are: training goes on in between and makes good
        most of the damage. The price of a bit counts as multiplied by its square.
    tick : callable
        Called after every epoch, :func:`n_epochs` times in all.

    Returns
    -------
    Description

    Raises
    ------
    ValueError
        If `price` or `coarseness` is not positive and finite, or the values are not finite or do not have the parts and
        shapes of the structure.
    """
    if not (0 < price < math.inf and 0 < coarseness < math.inf):
        raise ValueError(f"price and coarseness must be positive and finite, got {price!r} and {coarseness!r}")
    if not all(torch.isfinite(value).all() for value in values.values()):
        raise ValueError("values must be finite")
    price = price * coarseness**2
    fisher = curvature(structure, values, task, rng)
    plan = grids(structure, values, fisher, price)
    fixed = {part: torch.zeros(value.shape, dtype=torch.bool) for part, value in values.items()}
    stages = list(_stages(structure, fisher, schedule.n_stages))
    for number, (part, share) in enumerate(stages, 1):
        # Once more, as training has moved the weights; fewer samples do.
        fisher = curvature(structure, values, task, rng, n_rows=2000)
        grid = plan.grid(part).expand(structure.shapes[part]).numpy()
        z, h = values[part].numpy() / grid, fisher[part].numpy() * grid**2
        held = fixed[part].numpy()
        integers = nearest_levels(z, h, held, plan.integers[part], price)
        plan = plan.replaced({**plan.integers, part: integers})
        damage = np.where(held, -np.inf, h * (z - integers) ** 2).ravel()
        fixed[part] = torch.zeros(held.size, dtype=torch.bool)
        fixed[part][np.argsort(damage, kind="stable")[: round(share * held.size)]] = True
        fixed[part] = fixed[part].reshape(held.shape)
        values = {**values, part: torch.where(fixed[part], plan.values()[part], values[part])}
        if number < len(stages):
            values = train_values(
                structure, values, task, schedule, rng,
                epochs=schedule.stage_epochs, lr=schedule.stage_lr, bounded=True, fixed=fixed, tick=tick,
            )  # fmt: skip
    return plan


def n_epochs(structure: Structure, schedule: Schedule) -> int:
    """Passes over the data of `quantise_in_stages`."""
    ones = {part: torch.ones(shape) for part, shape in structure.shapes.items()}
    return schedule.stage_epochs * (len(list(_stages(structure, ones, schedule.n_stages))) - 1)


def _stages(structure: Structure, fisher: Values, n_stages: int) -> Iterator[tuple[str, float]]:
    """(part, share of it that is rounded afterwards): sensitive parts first, the last shares smaller and smaller."""
    sensitive = sorted(structure.shapes, key=lambda part: float(-fisher[part].mean()))
    for part in sorted(sensitive, key=lambda part: fisher[part].numel() > 32):
        count = n_stages if fisher[part].numel() > 32 else min(2, fisher[part].numel())
        for stage in range(1, count + 1):
            yield part, 1 - (1 - stage / count) ** 1.5


def _batches(n: int, size: int, rng: np.random.Generator) -> tuple[Tensor, ...]:
    return torch.from_numpy(rng.permutation(n)).split(size)
