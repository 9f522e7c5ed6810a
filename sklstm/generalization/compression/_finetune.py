r"""Quantisation-aware fine-tuning: from trained weights to a short description, for the Occam bound.

The grids are as coarse as the bound wants them. A bit more costs it about :math:`\kappa` in the loss; rounding to a step s
costs :math:`h s^2/24` a weight, with h the curvature of the loss; and halving s adds one bit. The sum is smallest at
:math:`s^2 = 12\kappa/(h\ln 2)`. Curvatures are means of squared gradients (the empirical Fisher information), one a part,
refined by columns, so that a channel of large mean has a finer grid.

Rounding all weights at once ruins a recurrent network, whose output depends on powers of a matrix. Parts are therefore rounded
in stages, the sensitive ones first, within a part those whose rounding hurts least; after every stage the weights that are
still free are trained further and make good what the rounded ones did (incremental quantisation, Zhou et al. 2017). Each
weight goes to the level with the smallest sum of damage and bits (entropy-constrained quantisation, Chou et al. 1989).
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ._description import Description, columns, step_number
from ._structure import Structure
from ._task import Task

__all__ = ["Schedule", "quantise_in_stages", "train_values"]

Values = dict[str, Tensor]

_RADIUS = 64  # largest magnitude of an integer: levels further out than this are not considered
_FINER = 2.0  # a column gets a finer grid from a curvature 2^(2·2) = 16 times the median on
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
    """

    epochs: int = 20
    stage_epochs: int = 2
    n_stages: int = 8
    batch_size: int = 250
    lr: float = 0.01
    stage_lr: float = 0.003


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
    """Adam on the values of the parts; where `fixed` is true they stay as they are.

    Parameters
    ----------
    structure : Structure
    values : dict of str to Tensor
        Left as they are.
    task : Task
    schedule : Schedule
        Its `batch_size` is used.
    rng : numpy Generator
        Source of the order of the samples.
    epochs : int
    lr : float
        Falls to a hundredth along a half cosine.
    bounded : bool
        Which of the two losses of `task` is minimised.
    fixed : dict of str to boolean Tensor, optional
    tick : callable
        Called after every epoch.

    Returns
    -------
    dict of str to Tensor
    """
    held = fixed or {part: torch.zeros(value.shape, dtype=torch.bool) for part, value in values.items()}
    leaves = {part: value.clone().requires_grad_(True) for part, value in values.items()}
    optimiser = torch.optim.Adam(leaves.values(), lr=lr)
    for epoch in range(epochs):
        for group in optimiser.param_groups:
            group["lr"] = lr * (0.505 + 0.495 * math.cos(math.pi * epoch / epochs))
        for rows in _batches(task.n_samples, schedule.batch_size, rng):
            backward(structure, leaves, task, rows, bounded=bounded)
            for part, leaf in leaves.items():
                leaf.grad.masked_fill_(held[part], 0)  # type: ignore[union-attr]
            norm = torch.nn.utils.clip_grad_norm_(leaves.values(), 1.0)
            if not torch.isfinite(norm):
                optimiser.zero_grad()  # an overflowing batch teaches nothing
                continue
            optimiser.step()
            with torch.no_grad():  # Adam's momentum moves what has no gradient
                for part, leaf in leaves.items():
                    leaf[held[part]] = values[part][held[part]]
        tick()
    return {part: leaf.detach() for part, leaf in leaves.items()}


def backward(structure: Structure, leaves: Values, task: Task, rows: Tensor, *, bounded: bool) -> float:
    """Loss over `rows`; its gradient by the leaves goes to their ``grad``, fresh."""
    for leaf in leaves.values():
        leaf.grad = None
    with torch.enable_grad():
        weights = structure.compose(leaves)
        rounded = {name: tensor.detach().to(structure.like[name].dtype) for name, tensor in weights.items()}
        loss, gradient = task.gradient(rounded, rows, bounded=bounded)
        torch.autograd.backward(list(weights.values()), [gradient[name].double() for name in weights])
    return loss


def curvature(structure: Structure, values: Values, task: Task, rng: np.random.Generator, n_rows: int = 4000) -> Values:
    """Diagonal of the empirical Fisher information: mean squared gradient of the log-likelihood of a sample.

    From small batches: the mean square of a batch's gradient, times its size, has the same expectation once the mean
    gradient is near zero.
    """
    leaves = {part: value.clone().requires_grad_(True) for part, value in values.items()}
    total = {part: torch.zeros_like(value) for part, value in values.items()}
    rows = torch.from_numpy(rng.permutation(task.n_samples)[:n_rows])
    pieces = rows.split(_FISHER_BATCH)
    for piece in pieces:
        backward(structure, leaves, task, piece, bounded=False)
        for part, leaf in leaves.items():
            total[part] += torch.nan_to_num(leaf.grad).square() * len(piece)  # type: ignore[arg-type]
    return {part: value / len(pieces) for part, value in total.items()}


def grids(structure: Structure, values: Values, fisher: Values, price: float) -> Description:
    """Steps and finer columns for these curvatures; all integers zero."""
    steps, finer, integers = {}, {}, {}
    for part, shape in structure.shapes.items():
        h = fisher[part].reshape(-1, columns(shape))
        by_column = h.mean(dim=0).clamp_min(1e-30)
        exponent = 0.5 * torch.log2(by_column / by_column.median())
        finer[part] = torch.where(exponent >= _FINER / 2 + 0.5, exponent.round(), 0).numpy().astype(np.int64)
        even = h / 4.0 ** torch.from_numpy(finer[part])
        best = math.sqrt(12 * price / (math.log(2) * max(float(even.mean()), 1e-30)))
        # Coarser than the values themselves there is nothing left to describe.
        largest = float((values[part].abs().reshape(h.shape) * 2.0 ** torch.from_numpy(finer[part])).max())
        steps[part] = step_number(min(best, max(largest, 1e-12)))
        integers[part] = np.zeros(shape, dtype=np.int64)
    return Description(structure, steps, finer, integers)


def level_costs(integers: NDArray[np.int64], radius: int = _RADIUS) -> NDArray[np.float64]:
    """Bits that a further integer of magnitude 0 to `radius` would take after these, as `encode_integers` writes it."""
    count = np.bincount(np.minimum(np.abs(integers).ravel(), radius), minlength=radius + 1).astype(float)
    above = count[::-1].cumsum()[::-1]  # above[k]: integers of magnitude k or more
    stop = (count + 0.5) / (above + 1)
    cost = np.empty(radius + 1)
    cost[0] = -math.log2(stop[0])
    walked = -math.log2(1 - stop[0]) + 1  # not zero; its sign
    for k in range(1, radius + 1):
        cost[k] = walked - math.log2(stop[k])
        walked -= math.log2(max(1 - stop[k], 1e-9))
    return cost


def nearest_levels(
    z: NDArray[np.float64], h: NDArray[np.float64], fixed: NDArray[np.bool_], taken: NDArray[np.int64], price: float
) -> NDArray[np.int64]:
    """Integers with the least sum of damage h/2 (z − k)² and price of bits; z and h in units of the grid."""
    out = np.where(fixed, taken, np.clip(np.rint(z), -_RADIUS, _RADIUS)).astype(np.int64)
    free = ~fixed
    for _ in range(4):  # the price depends on the counts, the counts on the choice
        cost = level_costs(out)
        towards_zero = np.clip(np.trunc(z), -_RADIUS, _RADIUS)
        candidates = np.stack([towards_zero, np.clip(towards_zero + np.sign(z), -_RADIUS, _RADIUS), np.zeros_like(z)])
        damage = 0.5 * h * (z - candidates) ** 2 + price * cost[np.abs(candidates).astype(np.int64)]
        chosen = np.take_along_axis(candidates, damage.argmin(axis=0)[None], axis=0)[0].astype(np.int64)
        out[free] = chosen[free]
    return out


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
        :math:`\kappa`, nats of loss worth a bit.
    tick : callable
        Called after every epoch.

    Returns
    -------
    Description
    """
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


def price_of_a_bit(loss: float, n_bits: int, n_samples: int, delta: float) -> float:
    r"""Slope of the bound in K by its expansion :math:`\ell + \sqrt{2\ell(1-\ell)(K\ln 2 + \ln(1/\delta))/n}`."""
    spread = math.sqrt(2 * max(loss * (1 - loss), 1e-4))
    budget = (n_bits * math.log(2) + math.log(1 / delta)) / n_samples
    return spread * math.log(2) / (2 * n_samples * math.sqrt(budget))
