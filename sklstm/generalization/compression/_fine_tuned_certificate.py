"""The Occam bound of a network fine-tuned for it: train, round in stages, lower the bound itself."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from torch import Tensor
from tqdm.auto import tqdm

from ._description import Description, Structure, columns
from ._fine_tuning import (
    LearningProblem,
    Schedule,
    coordinate_descent,
    n_epochs,
    price_of_a_bit,
    quantise_in_stages,
    train_values,
)
from ._occam import OccamBound, certificate_assumptions, check_certificate_parameters, occam_bound

# Bits for each value in the computation of the price of a bit. The price depends on their square root only.
_TYPICAL_BITS = 3


def fine_tuned_certificate(
    structure: Structure,
    starts: Sequence[Mapping[str, Tensor]],
    problem: LearningProblem,
    *,
    rng: np.random.Generator,
    delta: float = 0.05,
    scale: float = 1.0,
    delta_weight: float = 1.0,
    schedule: Schedule | None = None,
    coarseness: Sequence[float] = (16.0, 32.0),
    n_trials: int = 200,
    progress: bool = False,
) -> OccamBound:
    """Occam bound of the best description that fine-tuning finds.

    Parameters
    ----------
    structure : Structure
        How parts make weights; fixed before the data is seen.
    starts : sequence of mappings of str to Tensor
        Weights to start from, trained or fresh. Each is trained for half of the epochs. The best is trained further.
    problem : LearningProblem
        The training sample and its losses.
    rng : numpy Generator
        Source of batch orders.
    delta : float, default=0.05
        The bound may fail with this probability.
    scale : float, default=1.0
        Largest possible loss, see :func:`occam_certificate`.
    delta_weight : float, default=1.0
        The weight from :func:`choose_cap`, if the cap was chosen from the data.
    schedule : Schedule, optional
    coarseness : sequence of float, default=(16.0, 32.0)
        Factors of the grids' steps. A factor of 1 is best for rounding all values at once. Training corrects most of
        the rounding error, so that larger steps are better. All factors are tried and the best bound is kept, at no
        price, since the message contains the steps.
    n_trials : int, default=200
        For each coarseness, how often coordinate descent on the bound tries to change a single integer.
    progress : bool, default=False
        Show a progress bar.

    Returns
    -------
    OccamBound
        Its `description` has a message that decodes to the predictor of the bound.

    Raises
    ------
    ValueError
        If a parameter is out of range or a start is not finite.

    Notes
    -----
    The bound holds for all descriptions at once. Starts, coarseness, schedule and the order of batches decide which
    description is found. They are no part of its price.

    Examples
    --------
    A linear classifier of 500 points, described by a few integers. Its class has what `LearningProblem` asks for:

    >>> import numpy as np
    >>> import torch
    >>> from sklstm.generalization import Schedule, Structure, fine_tuned_certificate
    >>> class Signs:
    ...     n_samples, zero_one = 500, True
    ...     x = torch.randn((500, 8), generator=torch.Generator().manual_seed(0))
    ...     sign = x[:, 0].sign()
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
    >>> structure, start = Structure({"w": torch.zeros(8)}), {"w": torch.ones(8)}
    >>> short = Schedule(epochs=4, stage_epochs=1, n_stages=2)
    >>> bound = fine_tuned_certificate(structure, [start], Signs(), rng=np.random.default_rng(0), schedule=short)
    >>> Signs().bounded_loss(bound.description.weights()) == bound.train_loss, bound.value < 0.1
    (True, True)
    """
    check_certificate_parameters(delta, delta_weight, scale, problem.n_samples)
    schedule = schedule or Schedule()
    if not starts or not coarseness or not all(1e-6 <= c <= 1e6 for c in coarseness):  # its square is a factor
        raise ValueError("need at least one start and one coarseness, each between 1e-6 and 1e6")
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
        blank = _blank(structure)
        found = [(blank, problem.bounded_loss(blank.weights(), final=True))]
        for factor in coarseness:
            rough = quantise_in_stages(
                structure, values, problem, schedule, rng, price=price, coarseness=factor, tick=tick
            )
            improved, _, _ = coordinate_descent(rough, problem, delta=share, n_trials=n_trials, price=price, tick=tick)
            found.append((improved, problem.bounded_loss(improved.weights(), final=True)))
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
        assumptions=certificate_assumptions(scale, delta_weight, problem.zero_one),
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
    problem: LearningProblem,
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
