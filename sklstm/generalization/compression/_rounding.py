r"""From weights to integers on a grid: the grid, the integers, and changes of these that lower the Occam bound.

**Grids.** One more bit raises the bound by about :math:`\kappa`, the price of a bit. Rounding to a step s raises the
loss by :math:`h s^2/24` per weight, with h the curvature of the loss, and halving s needs one more bit. The sum is
smallest at :math:`s^2 = 12\kappa/(h\ln 2)`. Curvatures are means of squared gradients (the empirical Fisher
information). Each part has one step, refined by columns, so that a channel with a large mean has a finer grid. Each
weight is rounded to the level with the smallest sum of both costs (entropy-constrained quantisation, Chou et al. 1989).

**Coordinate descent.** At the end single integers are changed as long as the bound itself falls.
"""

import math
from collections.abc import Callable
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
# The best step of a column may be 2^1.5 times smaller than that of the median column, which means 8 times its
# curvature. The column then has a finer grid, by at least two binary digits: one digit would save less than it costs.
# Columns that need more than _FINEST digits occur only if the other channels are zero.
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
            The gradient in the shapes of the weights.
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
            The loss, in [0, 1]; NaN counts as 1.
        """
        ...


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
        Number K ≥ 0 of bits.
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
        Failure probability of the bound.
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
        If `delta` is outside (0, 1), `n_trials` is negative, or `price` is negative or not finite. If the loss is
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
