r"""Quantisation-aware fine-tuning: from trained weights to a short description, for the Occam bound.

**Stages.** The output of a recurrent network depends on powers of a matrix, so that rounding all weights at once makes
it useless. Parts are therefore rounded in stages: the sensitive parts first, and in a part first the weights whose
rounding changes the loss least. After every stage the other weights are trained further, which corrects the loss
(incremental quantisation, Zhou et al. 2017).

**Grids.** One more bit raises the bound by about :math:`\kappa`, the price of a bit. Rounding to a step s raises the
loss by :math:`h s^2/24` per weight, with h the curvature of the loss, and halving s needs one more bit. The sum is
smallest at :math:`s^2 = 12\kappa/(h\ln 2)`. Curvatures are means of squared gradients (the empirical Fisher
information). Each part has one step, refined by columns, so that a channel with a large mean has a finer grid. Each
weight is rounded to the level with the smallest sum of both costs (entropy-constrained quantisation, Chou et al. 1989).

**Coordinate descent.** At the end single integers are changed as long as the bound itself falls.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sklstm.generalization._theorem_inputs import check_delta

from ._arithmetic_code import level_costs
from ._description import Description, Structure, columns, step_number
from ._occam import occam_bound

Values = dict[str, Tensor]
_FISHER_BATCH = 8
_RADIUS = 64  # largest magnitude of an integer
# If the best step of a column is 2^1.5 times smaller than that of the median column, which means 8 times its curvature,
# the column has a finer grid, by at least two binary digits: one digit would save less than it costs. Columns that need
# more than _FINEST digits occur only if the other channels are zero.
_FINER, _FINEST = 1.5, 16
# Changes are ranked by the gradient at one point. It is computed again after this many trials if one of them was
# accepted, and otherwise after the first change that is.
_RERANK = 60


class LearningProblem(Protocol):
    """A training sample and two losses on it.

    Examples
    --------
    Linear classification by a sign. The smooth loss is the probability of error of the logistic model:

    >>> import torch
    >>> class Signs:
    ...     n_samples, zero_one = 4, True
    ...     x, sign = torch.tensor([[1.0], [2.0], [-1.0], [-2.0]]), torch.tensor([1.0, 1.0, -1.0, -1.0])
    ...
    ...     def gradient(self, weights, rows, *, bounded):
    ...         w = weights["w"].detach().requires_grad_()
    ...         margin = self.sign[rows] * (self.x[rows] @ w)
    ...         loss = torch.sigmoid(-margin).mean() if bounded else -torch.nn.functional.logsigmoid(margin).mean()
    ...         loss.backward()
    ...         return loss.item(), {"w": w.grad}
    ...
    ...     def bounded_loss(self, weights, *, final=False):
    ...         return (self.sign * (self.x @ weights["w"]) <= 0).double().mean().item()
    >>> problem = Signs()
    >>> problem.bounded_loss({"w": torch.ones(1)}), problem.bounded_loss({"w": -torch.ones(1)})
    (0.0, 1.0)
    >>> loss, gradient = problem.gradient({"w": torch.zeros(1)}, torch.arange(4), bounded=True)
    >>> loss, gradient["w"]  # minus the mean of |x|/4
    (0.5, tensor([-0.3750]))
    """

    n_samples: int
    zero_one: bool  # whether `bounded_loss` averages zeros and ones

    def gradient(self, weights: dict[str, Tensor], rows: Tensor, *, bounded: bool) -> tuple[float, dict[str, Tensor]]:
        """Mean loss over the given rows and its gradient with respect to each weight.

        Parameters
        ----------
        weights : dict of str to Tensor
            Weights of the network.
        rows : Tensor of int64 of shape (b,)
            Indices of the samples.
        bounded : bool
            False: a negative log-likelihood, in nats. True: a smooth loss in [0, 1] that approximates `bounded_loss`.

        Returns
        -------
        loss : float
        gradient : dict of str to Tensor
            In the shapes of the weights.
        """
        ...

    def bounded_loss(self, weights: dict[str, Tensor], *, final: bool = False) -> float:
        """Mean over the whole sample of the loss that the bound is about.

        Parameters
        ----------
        weights : dict of str to Tensor
            Weights of the network.
        final : bool, default=False
            True: with exactly the predictions of the predictor. False: they may differ by rounding.

        Returns
        -------
        float
            In [0, 1]; NaN counts as 1.
        """
        ...


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

    Raises
    ------
    ValueError
        If a number of epochs is negative, `n_stages` or `batch_size` is below 1, or a learning rate is not positive and
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
    problem: LearningProblem,
    schedule: Schedule,
    rng: np.random.Generator,
    *,
    epochs: int,
    lr: float,
    bounded: bool = False,
    fixed: dict[str, Tensor] | None = None,
    tick: Callable[[], None] = lambda: None,
) -> Values:
    """Train the values of the parts with Adam. Where `fixed` is true they do not change, bit for bit.

    Gradients are clipped to a Euclidean norm of 1. A batch whose gradient is not finite is skipped.

    Parameters
    ----------
    structure : Structure
    values : dict of str to Tensor
        Float64, in the shapes of `structure`; not changed.
    problem : LearningProblem
    schedule : Schedule
        Its `batch_size` is used.
    rng : numpy Generator
        Source of the order of the samples.
    epochs : int
        With 0, a copy of the values is returned.
    lr : float
        Falls to almost a hundredth along a half cosine.
    bounded : bool
        Which of the two losses of `problem` is minimised.
    fixed : dict of str to boolean Tensor, optional
        In the shapes of the values. By default no value is fixed.
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
        for rows in _batches(problem.n_samples, schedule.batch_size, rng):
            backward(structure, leaves, problem, rows, bounded=bounded)
            # The gradient is 0 from the first step on, so that Adam has no momentum and adds 0.
            for part, leaf in leaves.items():
                leaf.grad.masked_fill_(fixed[part], 0)  # type: ignore[union-attr]
            norm = torch.nn.utils.clip_grad_norm_(leaves.values(), 1.0)
            if not torch.isfinite(norm):
                optimiser.zero_grad()
                continue
            optimiser.step()
        tick()
    return {part: leaf.detach() for part, leaf in leaves.items()}


def backward(structure: Structure, leaves: Values, problem: LearningProblem, rows: Tensor, *, bounded: bool) -> float:
    """Loss over `rows` of the weights in the dtypes of the network; its gradient replaces ``grad`` of the leaves.

    The derivative of the rounding to the dtype counts as 1.
    """
    for leaf in leaves.values():
        leaf.grad = None
    with torch.enable_grad():
        weights = structure.compose(leaves)
        rounded = {name: tensor.detach().to(structure.like[name].dtype) for name, tensor in weights.items()}
        loss, gradient = problem.gradient(rounded, rows, bounded=bounded)
        torch.autograd.backward(list(weights.values()), [gradient[name].to(weights[name]) for name in weights])
    return loss


def curvature(
    structure: Structure, values: Values, problem: LearningProblem, rng: np.random.Generator, n_rows: int = 4000
) -> Values:
    """Diagonal of the empirical Fisher information: mean squared gradient of the log-likelihood of a sample.

    It is estimated from batches of b = 8 samples, of at most `n_rows` samples in all. With g the gradient of one
    sample, b times the mean square of a batch's gradient has the expectation Var(g) + b E(g)². This is E(g²) if
    E(g) = 0.
    """
    leaves = {part: value.detach().clone().requires_grad_(True) for part, value in values.items()}
    total = {part: torch.zeros_like(value) for part, value in values.items()}
    rows = torch.from_numpy(rng.permutation(problem.n_samples)[:n_rows])
    pieces = rows.split(_FISHER_BATCH)
    for piece in pieces:
        backward(structure, leaves, problem, piece, bounded=False)
        for part, leaf in leaves.items():
            total[part] += torch.nan_to_num(leaf.grad).square() * len(piece)  # type: ignore[arg-type]
    return {part: value / len(pieces) for part, value in total.items()}


def quantise_in_stages(
    structure: Structure,
    values: Values,
    problem: LearningProblem,
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
        See :func:`train_values`.
    price : float
        :math:`\kappa`, see :func:`price_of_a_bit`.
    coarseness : float, default=32.0
        Factor of the grids' steps, compared with rounding all values at once: training after each stage corrects most
        of the rounding error. The price of a bit is multiplied by its square.
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
    fisher = curvature(structure, values, problem, rng)
    description = grids(structure, values, fisher, price)
    fixed = {part: torch.zeros(value.shape, dtype=torch.bool) for part, value in values.items()}
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
    """Number of epochs of :func:`quantise_in_stages`."""
    ones = {part: torch.ones(shape) for part, shape in structure.shapes.items()}
    return schedule.stage_epochs * (len(list(_stages(structure, ones, schedule.n_stages))) - 1)


def _stages(structure: Structure, fisher: Values, n_stages: int) -> Iterator[tuple[str, float]]:
    """(part, share of it that is rounded after the stage): sensitive parts first; later stages round fewer values."""
    sensitive = sorted(structure.shapes, key=lambda part: float(-fisher[part].mean()))
    for part in sorted(sensitive, key=lambda part: fisher[part].numel() > 32):
        count = n_stages if fisher[part].numel() > 32 else min(2, fisher[part].numel())
        for stage in range(1, count + 1):
            yield part, 1 - (1 - stage / count) ** 1.5


def _batches(n: int, size: int, rng: np.random.Generator) -> tuple[Tensor, ...]:
    return torch.from_numpy(rng.permutation(n)).split(size)


def grids(structure: Structure, values: Values, fisher: Values, price: float) -> Description:
    """Steps and finer columns for these curvatures, with `price` in units of the loss. All integers are zero."""
    steps, finer, integers = {}, {}, {}
    for part, shape in structure.shapes.items():
        h = fisher[part].reshape(-1, columns(shape))
        by_column = h.mean(dim=0).clamp_min(1e-30)
        exponent = 0.5 * torch.log2(by_column / by_column.median())
        digits = (exponent + 0.5).floor().clamp_max(_FINEST)
        finer[part] = torch.where(exponent >= _FINER, digits, 0).numpy().astype(np.int64)
        even = h / 4.0 ** torch.from_numpy(finer[part])
        best = math.sqrt(12 * price / (math.log(2) * max(float(even.mean()), 1e-30)))
        # A step above the largest value would round all values to zero.
        largest = float((values[part].abs().reshape(h.shape) * 2.0 ** torch.from_numpy(finer[part])).max())
        steps[part] = step_number(min(best, max(largest, 1e-12)))
        integers[part] = np.zeros(shape, dtype=np.int64)
    return Description(structure, steps, finer, integers)


def nearest_levels(
    z: NDArray[np.float64], h: NDArray[np.float64], fixed: NDArray[np.bool_], taken: NDArray[np.int64], price: float
) -> NDArray[np.int64]:
    """Integers k with a small sum of rounding cost h/2 (z − k)² and price of bits; z and h in units of the grid.

    Where `fixed` is true, k is `taken`. Elsewhere it is the best of the two integers around z and of zero, within ±64.
    The bits of an integer depend on all the others. The choice is therefore repeated four times, first from rounded z.
    """
    out = np.where(fixed, taken, np.clip(np.rint(z), -_RADIUS, _RADIUS)).astype(np.int64)
    free = ~fixed
    for _ in range(4):
        cost = level_costs(out, _RADIUS)
        towards_zero = np.clip(np.trunc(z), -_RADIUS, _RADIUS)
        candidates = np.stack([towards_zero, np.clip(towards_zero + np.sign(z), -_RADIUS, _RADIUS), np.zeros_like(z)])
        total = 0.5 * h * (z - candidates) ** 2 + price * cost[np.abs(candidates).astype(np.int64)]
        chosen = np.take_along_axis(candidates, total.argmin(axis=0)[None], axis=0)[0].astype(np.int64)
        out[free] = chosen[free]
    return out


def price_of_a_bit(loss: float, n_bits: int, n_samples: int, delta: float) -> float:
    r"""Slope of the Occam bound in K, the loss per bit, by its expansion for small budgets.

    The expansion is :math:`\hat\ell + \sqrt{2\hat\ell(1-\hat\ell)(K\ln 2 + \ln(1/\delta))/n}`, with kl to second order.
    :math:`\hat\ell(1-\hat\ell)` is taken as 1e-4 at least, since the expansion has no slope at a loss of 0 or 1.

    Parameters
    ----------
    loss : float
        :math:`\hat\ell`, in [0, 1].
    n_bits : int
        K ≥ 0.
    n_samples : int
        n ≥ 1.
    delta : float
        In (0, 1).

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If a parameter is out of range.
    """
    check_delta(delta)
    if not 0 <= loss <= 1 or n_bits < 0 or n_samples < 1:
        raise ValueError(
            f"need a loss in [0, 1], n_bits >= 0 and n_samples >= 1; got {loss!r}, {n_bits!r}, {n_samples!r}"
        )
    spread = math.sqrt(2 * max(loss * (1 - loss), 1e-4))
    budget = (n_bits * math.log(2) + math.log(1 / delta)) / n_samples
    return spread * math.log(2) / (2 * n_samples * math.sqrt(budget))


def coordinate_descent(
    description: Description,
    problem: LearningProblem,
    *,
    delta: float,
    n_trials: int,
    price: float,
    tick: Callable[[], None] = lambda: None,
) -> tuple[Description, float, float]:
    """Change single integers by one, or to zero, and keep the changes that lower the bound.

    Parameters
    ----------
    description : Description
    problem : LearningProblem
    delta : float
        Of the bound.
    n_trials : int
        Largest number of changes to try. Each is one evaluation of the bounded loss over the whole sample. The descent
        ends earlier if no single change lowers the bound.
    price : float
        Price of a bit, for the ranking only.
    tick : callable
        Called after every trial.

    Returns
    -------
    description : Description
    loss : float
        Its bounded loss.
    value : float
        Its bound, from an upper limit on the length of its message. It is never above that of the first description.

    Raises
    ------
    ValueError
        If `delta` is outside (0, 1), `n_trials` is negative, or `price` is negative or not finite; if the loss is
        outside [0, 1], or with ``problem.zero_one`` not a multiple of 1/n.
    """
    if n_trials < 0 or not 0 <= price < math.inf:
        raise ValueError(f"need n_trials >= 0 and a finite price >= 0, got {n_trials!r} and {price!r}")

    def evaluate(candidate: Description) -> tuple[float, float]:
        loss = problem.bounded_loss(candidate.weights())
        value = occam_bound(loss, candidate.bits_at_most, problem.n_samples, delta=delta, zero_one=problem.zero_one)
        return value, loss

    best, loss = evaluate(description)
    trials = 0
    while trials < n_trials:
        moves = _ranked_moves(description, problem, price)
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


def _ranked_moves(description: Description, problem: LearningProblem, price: float) -> list[tuple[str, int, int]]:
    """(part, flat index, new integer), ordered by the change of loss and bits that the gradient predicts."""
    leaves = {part: value.requires_grad_(True) for part, value in description.values().items()}
    gradient = {part: torch.zeros_like(value) for part, value in leaves.items()}
    pieces = torch.arange(problem.n_samples).split(1000)
    for piece in pieces:
        backward(description.structure, leaves, problem, piece, bounded=True)
        for part, leaf in leaves.items():
            gradient[part] += torch.nan_to_num(leaf.grad) * (len(piece) / problem.n_samples)  # type: ignore[arg-type]
    scored: list[tuple[float, str, int, int]] = []
    for part, integers in description.integers.items():
        flat = integers.ravel()
        cost = level_costs(flat, _RADIUS)
        slope = (gradient[part] * description.grid(part)).numpy().ravel()
        top = len(cost) - 1
        for index, (k, g) in enumerate(zip(flat.tolist(), slope.tolist(), strict=True)):
            for target in {k - 1, k + 1, 0} - {k}:
                bits = cost[min(abs(target), top)] - cost[min(abs(k), top)]
                scored.append((g * (target - k) + price * bits, part, index, target))
    scored.sort(key=lambda move: move[0])
    return [(part, index, target) for _, part, index, target in scored]
