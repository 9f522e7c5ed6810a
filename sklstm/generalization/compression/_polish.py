"""Coordinate descent on the bound itself: single integers are moved as long as the bound falls."""

import math
from collections.abc import Callable

import torch

from ._description import Description
from ._finetune import backward
from ._occam import occam_bound
from ._rounding import level_costs
from ._task import Task

__all__ = ["polish"]

# Moves are ranked by a gradient that holds only where it was taken: it is taken anew after this many trials, or after
# the first move that is made later.
_RERANK = 60


def polish(
    description: Description,
    task: Task,
    *,
    delta: float,
    n_trials: int,
    price: float,
    tick: Callable[[], None] = lambda: None,
) -> tuple[Description, float, float]:
    """Try moves of one integer by one, or to zero, the most promising first, and keep those that lower the bound.

    Parameters
    ----------
    description : Description
    task : Task
    delta : float
        Of the bound.
    n_trials : int
        At most so many moves are tried, each an evaluation of the bounded loss over the whole sample. Fewer when no
        single move lowers the bound any more.
    price : float
        Loss worth a bit, for the ranking only.
    tick : callable
        Called after every trial.

    Returns
    -------
    description : Description
    loss : float
        Its bounded loss.
    value : float
        Its bound, from an upper limit on the length of its message; never above that of the first description.

    Raises
    ------
    ValueError
        If `delta` is outside (0, 1), `n_trials` negative or `price` negative or not finite; if the loss is outside
        [0, 1], or no multiple of 1/n in spite of ``task.zero_one``.
    """
    if n_trials < 0 or not 0 <= price < math.inf:
        raise ValueError(f"need n_trials >= 0 and a finite price >= 0, got {n_trials!r} and {price!r}")

    def evaluate(candidate: Description) -> tuple[float, float]:
        loss = task.bounded_loss(candidate.weights())
        value = occam_bound(loss, candidate.bits_at_most, task.n_samples, delta=delta, zero_one=task.zero_one)
        return value, loss

    best, loss = evaluate(description)
    trials = 0
    while trials < n_trials:
        moves = _ranked_moves(description, task, price)
        moved = False
        for since, (part, index, target) in enumerate(moves):
            if trials >= n_trials or (moved and since >= _RERANK):
                break
            integers = description.integers[part].copy()
            integers.flat[index] = target
            candidate = description.replaced({**description.integers, part: integers})
            value, candidate_loss = evaluate(candidate)
            trials += 1
            tick()
            if value < best:
                description, best, loss, moved = candidate, value, candidate_loss, True
        if not moved:
            break
    return description, loss, best


def _ranked_moves(description: Description, task: Task, price: float) -> list[tuple[str, int, int]]:
    """(part, flat index, new integer), in the order of the change in loss and bits that the gradient foretells."""
    leaves = {part: value.requires_grad_(True) for part, value in description.values().items()}
    gradient = {part: torch.zeros_like(value) for part, value in leaves.items()}
    pieces = torch.arange(task.n_samples).split(1000)
    for piece in pieces:
        backward(description.structure, leaves, task, piece, bounded=True)
        for part, leaf in leaves.items():
            gradient[part] += torch.nan_to_num(leaf.grad) * (len(piece) / task.n_samples)  # type: ignore[arg-type]
    scored: list[tuple[float, str, int, int]] = []
    for part, integers in description.integers.items():
        flat = integers.ravel()
        cost = level_costs(flat)
        slope = (gradient[part] * description.grid(part)).numpy().ravel()
        top = len(cost) - 1
        for index, (k, g) in enumerate(zip(flat.tolist(), slope.tolist(), strict=True)):
            for target in {k - 1, k + 1, 0} - {k}:
                bits = cost[min(abs(target), top)] - cost[min(abs(k), top)]
                scored.append((g * (target - k) + price * bits, part, index, target))
    scored.sort(key=lambda move: move[0])
    return [(part, index, target) for _, part, index, target in scored]
