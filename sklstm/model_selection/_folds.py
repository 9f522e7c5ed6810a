"""The models of a path on its folds: data prepared once a fold, common first epochs, one program where it pays."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import numpy as np
import torch
from sklearn.utils import _safe_indexing
from skorch.callbacks import Callback

from sklstm.estimators._base import FitData, adopt, checked, made_like, training_data, training_spec
from sklstm.training import SequenceDataset, SequenceNet, TrainingSpec
from sklstm.training._process import thread_limit
from sklstm.training._train import Resume, Trained, train_all

__all__ = ["Cancellation", "Outcome", "PathSettings", "Split", "run_models"]

# Models whose every step runs as one: enough for calls to cost nothing, few enough for their states to stay in cache.
_LARGEST_STACK = 25
_STACK_BYTES = 64e6

# Hidden units up to which networks trained as one are faster on a CPU than one by one
# (docs/benchmarks/stacked_training.md).
_STACKED_UNITS = {"lstm": 128, "relu": 128}


@dataclass(frozen=True)
class Split:
    """Rows of one fold."""

    number: int
    train: np.ndarray
    test: np.ndarray


@dataclass(frozen=True)
class PathSettings:
    """How a path is trained and scored.

    Attributes
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

    def together(self, nets: Sequence[SequenceNet]) -> bool:
        """Whether nets of one kind shall be trained as one program."""
        if self.strategy != "auto":
            return self.strategy == "stacked"
        module: Any = nets[0].module_
        device = module.readout.weight.device.type
        small = bool(module.recurrent.hidden_size <= _STACKED_UNITS.get(module.cell, 0))
        return small if device == "cpu" else bool(device == "cuda")


@dataclass
class Outcome:
    """What is kept of one model of a path on one fold; a model that could not be trained or scored has an error."""

    index: int
    fold: int
    score: float = float("nan")
    seconds: float = 0.0
    data_loss: float = float("nan")
    attributes: dict[str, float] = field(default_factory=dict)
    error: str | None = None


class _Fold:
    """Training data of a fold, checked and turned into tensors once.

    Parameters
    ----------
    estimator : SequenceEstimator
        Unfitted; its parameters are those of all models.
    X, y, sample_weight
        As of ``fit``, all of them.
    split : Split
    """

    def __init__(self, estimator: Any, X: Any, y: Any, sample_weight: np.ndarray | None, split: Split):
        self.leader = made_like(estimator)
        weight = None if sample_weight is None else _safe_indexing(sample_weight, split.train)
        self.checked: FitData = checked(
            self.leader, _safe_indexing(X, split.train), _safe_indexing(y, split.train), weight
        )
        self.data: SequenceDataset = training_data(self.leader, self.checked).loaded()
        self.trunk: tuple[TrainingSpec, Trained] | None = None

    def model(self, settings: PathSettings, index: int) -> tuple[Any, TrainingSpec]:
        """An estimator for one of the values, unfitted, and what its training is."""
        estimator = made_like(self.leader, **{settings.parameter: settings.values[index]})
        spec = training_spec(estimator, self.checked)
        if self.trunk is None:
            return estimator, spec
        middle, trained = self.trunk
        # A model with a penalty, and one without, begin differently: from the trunk go on those that begin as it did.
        if trained.error is None and (middle.penalty is None) == (spec.penalty is None):
            spec = replace(spec, resume=Resume(trained.net, everything=True, epochs_done=settings.shared_epochs))
        return estimator, spec


def run_models(
    estimator: Any,
    settings: PathSettings,
    X: Any,
    y: Any,
    sample_weight: np.ndarray | None,
    models: Sequence[tuple[Split, int]],
) -> list[Outcome]:
    """Train and score some models.

    Parameters
    ----------
    estimator : SequenceEstimator
        Unfitted.
    settings : PathSettings
    X, y, sample_weight
        As of ``fit``.
    models : sequence of (Split, int)
        Folds and indices of values; those of one fold follow each other.

    Returns
    -------
    list of Outcome
        In the order of the models.
    """
    outcomes: list[Outcome] = []
    folds: dict[int, _Fold | str] = {}
    limited = settings.n_threads < torch.get_num_threads()
    with thread_limit(settings.n_threads) if limited else nullcontext():
        for pack in _packs(estimator, settings, models):
            # Only the last fold of those before can have models left: no more are in memory than are trained at a time.
            splits = {split.number: split for split, _ in pack}
            known = {number: fold for number, fold in folds.items() if number in splits}
            new = {
                number: _prepared(estimator, X, y, sample_weight, splits[number]) for number in splits.keys() - known
            }
            folds = {number: known[number] if number in known else new[number] for number in splits}
            _train_trunks(settings, [new[number] for number in splits if number in new])
            outcomes += _pack_outcomes(settings, folds, pack, X, y, sample_weight)
    return outcomes


def _prepared(estimator: Any, X: Any, y: Any, sample_weight: np.ndarray | None, split: Split) -> _Fold | str:
    """The fold; or why it cannot be trained, as GridSearchCV goes on with the others."""
    try:
        return _Fold(estimator, X, y, sample_weight, split)
    except Exception as error:  # of the data, or of a class of the user's own
        return f"{type(error).__name__}: {error}"


def _train_trunks(settings: PathSettings, folds: Sequence[_Fold | str]) -> None:
    """Train what the models of each fold have in common."""
    trained = [fold for fold in folds if isinstance(fold, _Fold)]
    if not settings.shared_epochs or not trained:
        return
    specs = [fold.model(settings, len(settings.values) // 2)[1] for fold in trained]
    results = train_all(
        specs, [fold.data for fold in trained], n_epochs=settings.shared_epochs, together=settings.together
    )
    for fold, spec, result in zip(trained, specs, results, strict=True):
        fold.trunk = spec, result


def _pack_outcomes(
    settings: PathSettings,
    folds: dict[int, _Fold | str],
    pack: Sequence[tuple[Split, int]],
    X: Any,
    y: Any,
    sample_weight: np.ndarray | None,
) -> list[Outcome]:
    outcomes = [Outcome(index, split.number) for split, index in pack]
    places, estimators, specs, datasets = [], [], [], []
    for place, (split, index) in enumerate(pack):
        fold = folds[split.number]
        if isinstance(fold, str):
            outcomes[place].error = fold
            continue
        estimator, spec = fold.model(settings, index)
        places.append(place)
        estimators.append(estimator)
        specs.append(spec)
        datasets.append(fold.data)
    results = train_all(specs, datasets, together=settings.together) if specs else []
    for place, estimator, result in zip(places, estimators, results, strict=True):
        _score(settings, outcomes[place], estimator, result, X, y, sample_weight, pack[place][0])
    return outcomes


def _score(
    settings: PathSettings,
    outcome: Outcome,
    estimator: Any,
    result: Trained,
    X: Any,
    y: Any,
    sample_weight: np.ndarray | None,
    split: Split,
) -> None:
    outcome.seconds = result.seconds
    if len(result.net.history):
        outcome.data_loss = result.net.history[-1].get("data_loss", float("nan"))
    if result.error is not None:
        outcome.error = str(result.error)
        return
    adopt(estimator, result.net)
    known = vars(estimator)
    outcome.attributes = {
        name: float(np.max(known[name]))  # of the layers of a stack, the largest
        for name in ("rho_h_", "perturbation_gain_")
        if name in known
    }
    weights = {}
    if sample_weight is not None and settings.weighted_score:
        weights["sample_weight"] = sample_weight[split.test]
    try:
        score = settings.scorer(estimator, _safe_indexing(X, split.test), _safe_indexing(y, split.test), **weights)
        outcome.score = float(score)
    except Exception as error:  # of the test data, or of a scorer of the user's own
        outcome.error = f"scoring failed with {type(error).__name__}: {error}"


def _packs(
    estimator: Any, settings: PathSettings, models: Sequence[tuple[Split, int]]
) -> Iterator[list[tuple[Split, int]]]:
    """Models that are trained at the same time."""
    # States and gates, forward and back, of one batch.
    width = settings.n_features + 9 * int(estimator.hidden_size)
    size = 4 * settings.n_steps * int(estimator.batch_size) * width
    remaining = iter(models)
    while pack := list(islice(remaining, max(1, min(_LARGEST_STACK, int(_STACK_BYTES / size))))):
        yield pack


class Cancelled(Exception):
    """Nobody waits for this training any more."""


class Cancellation(Callback):
    """Ends training at the next epoch once `cancel` is called; copies are the same object.

    Ctrl-C, and an error in one worker, end the search in the main thread only: without this the other workers would
    train on, unseen, for as long as it takes.
    """

    changes_training = False
    fits_stacks = True

    def __init__(self) -> None:
        self.event = threading.Event()

    def cancel(self) -> None:
        self.event.set()

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        if self.event.is_set():
            raise Cancelled

    def __sklearn_clone__(self) -> "Cancellation":
        return self

    def __deepcopy__(self, memo: dict) -> "Cancellation":
        return self  # of every model's callbacks

    def __reduce__(self) -> tuple:
        return Cancellation, ()  # in another process, which can be ended as a whole
