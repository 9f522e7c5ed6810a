"""All models of a path on all folds, by whichever way is fastest."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from sklearn.utils import _safe_indexing

from sklstm.exceptions import DivergenceError
from sklstm.training import can_be_stacked, thread_limit, train_together, undisturbed

from ._members import Fold, Member, Split

__all__ = ["Outcome", "Plan", "run_tasks"]

# Models whose every step runs as one: enough for calls to cost nothing, few enough for their states to stay in cache.
_LARGEST_STACK = 25
_STACK_BYTES = 64e6

# Hidden units up to which networks trained as one are faster on a CPU than one by one
# (docs/benchmarks/stacked_training.md).
_STACKED_UNITS = {"lstm": 128, "relu": 128}


@dataclass(frozen=True)
class Plan:
    """How a path is trained.

    Parameters
    ----------
    parameter : str
        That differs along the path.
    values : tuple of float
    shared_epochs : int
        Epochs that all models of a fold have in common, trained at the value in the middle; 0 for none.
    strategy : {"auto", "stacked", "separate"}
    scorer : callable
        ``(estimator, X, y) -> float``.
    weighted_score : bool
        Whether the scorer takes ``sample_weight``.
    n_steps, n_features : int
        Steps of the longest sequence, and channels.
    n_threads : int
        Threads of torch for each worker.
    """

    parameter: str
    values: tuple[float, ...]
    shared_epochs: int
    strategy: str
    scorer: Any
    weighted_score: bool
    n_steps: int
    n_features: int
    n_threads: int


@dataclass
class Outcome:
    """What is kept of one model of a path on one fold."""

    index: int
    fold: int
    score: float
    seconds: float
    data_loss: float
    attributes: dict[str, float]
    error: str | None


def run_tasks(
    estimator: Any, plan: Plan, X: Any, y: Any, sample_weight: np.ndarray | None, tasks: Sequence[tuple[Split, int]]
) -> list[Outcome]:
    """Train and score some models.

    Parameters
    ----------
    estimator : SequenceEstimator
        Unfitted.
    plan : Plan
    X, y, sample_weight
        As of ``fit``.
    tasks : sequence of (Split, int)
        Folds and indices of values; tasks of one fold follow each other.

    Returns
    -------
    list of Outcome
        In the order of the tasks.
    """
    outcomes: list[Outcome] = []
    folds: dict[int, tuple[Fold, Member | None]] = {}
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(undisturbed())
        for part in _packs(estimator, plan, tasks):
            # Of those before only the last can have tasks left: no more folds are in memory than are trained at a time.
            splits = {split.number: split for split, _ in part}
            folds = {number: fold for number, fold in folds.items() if number in splits}
            new = [
                Fold(estimator, plan.parameter, plan.values, X, y, sample_weight, split)
                for number, split in splits.items()
                if number not in folds
            ]
            with ExitStack() as loan:
                loan.enter_context((new[0] if new else next(iter(folds.values()))[0]).lent())
                if plan.n_threads < torch.get_num_threads():
                    loan.enter_context(thread_limit(plan.n_threads))
                folds |= {fold.number: (fold, trunk) for fold, trunk in zip(new, _trunks(plan, new), strict=True)}
                members = [_branch(plan, *folds[split.number], index) for split, index in part]
                _train(plan, members, None)
                outcomes += [
                    _outcome(plan, member, X, y, sample_weight, split)
                    for member, (split, _) in zip(members, part, strict=True)
                ]
    return outcomes


def _trunks(plan: Plan, folds: Sequence[Fold]) -> Sequence[Member | None]:
    """What the models of each fold have in common."""
    if not plan.shared_epochs:
        return [None] * len(folds)
    members = [fold.member(len(plan.values) // 2) for fold in folds]
    _train(plan, members, plan.shared_epochs)
    return members


def _branch(plan: Plan, fold: Fold, trunk: Member | None, index: int) -> Member:
    """A model that goes on from what its fold has in common, if that is a start of its kind."""
    member = fold.member(index)
    if trunk is not None and trunk.error is None and trunk.is_penalised == member.is_penalised:
        member.go_on_from(trunk, plan.shared_epochs)
    return member


def _packs(estimator: Any, plan: Plan, tasks: Sequence[tuple[Split, int]]) -> Iterator[list[tuple[Split, int]]]:
    """Tasks that are trained at the same time."""
    # States and gates, forward and back, of one batch.
    size = 4 * plan.n_steps * int(estimator.batch_size) * (plan.n_features + 9 * int(estimator.hidden_size))
    remaining = iter(tasks)
    while pack := list(islice(remaining, max(1, min(_LARGEST_STACK, int(_STACK_BYTES / size))))):
        yield pack


def _train(plan: Plan, members: Sequence[Member], n_epochs: int | None) -> None:
    # Those with a penalty, and those without one, are different programs.
    for kind in (True, False):
        alike = [member for member in members if member.is_penalised == kind]
        if not alike:
            continue
        started = time.perf_counter()
        if _stacked(plan, alike):
            errors = train_together([member.net for member in alike], [member.data for member in alike], n_epochs)
            for member, error in zip(alike, errors, strict=True):
                member.error = error
                member.seconds += (time.perf_counter() - started) / len(alike)
            continue
        for member in alike:
            started = time.perf_counter()
            try:
                member.net.train(member.data, n_epochs)
            except DivergenceError as error:
                member.error = error
            member.seconds += time.perf_counter() - started


def _stacked(plan: Plan, members: Sequence[Member]) -> bool:
    possible = len(members) > 1 and can_be_stacked(
        [member.net for member in members], [member.data for member in members]
    )
    if plan.strategy != "auto":
        return possible and plan.strategy == "stacked"
    module = members[0].net.module_
    kind = module.readout.weight.device.type
    small = module.recurrent.hidden_size <= _STACKED_UNITS.get(module.cell, 0)
    return possible and (small if kind == "cpu" else kind == "cuda")


def _outcome(plan: Plan, member: Member, X: Any, y: Any, sample_weight: np.ndarray | None, split: Split) -> Outcome:
    estimator, error, score = member.estimator, member.error, float("nan")
    member.finish()
    if error is None:
        weights = {}
        if sample_weight is not None and plan.weighted_score:
            weights["sample_weight"] = sample_weight[split.test]
        score = float(plan.scorer(estimator, _safe_indexing(X, split.test), _safe_indexing(y, split.test), **weights))
    loss = member.net.history[-1].get("data_loss", float("nan")) if len(member.net.history) else float("nan")
    attributes = {
        name: float(np.max(getattr(estimator, name)))  # of the layers of a stack, the largest
        for name in ("rho_h_", "perturbation_gain_")
        if error is None and hasattr(estimator, name)
    }
    return Outcome(
        member.index, split.number, score, member.seconds, loss, attributes, None if error is None else str(error)
    )
