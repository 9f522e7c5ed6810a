"""Training and scoring of the models of a path: data prepared once per fold, shared first epochs, stacked training."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import numpy as np
import torch
from sklearn.utils import _safe_indexing

from sklstm.estimators._base import FitData, checked, cloned_with, set_fitted, training_data, training_spec
from sklstm.training import SequenceDataset, SequenceNet, TrainingSpec
from sklstm.training._net import OwnCallback
from sklstm.training._process import thread_limit
from sklstm.training._train import Resume, Trained, train_all

# Limits of one stack: enough models that the cost of calls does not matter, few enough that their states stay in cache.
_LARGEST_STACK = 25
_STACK_BYTES = 64e6

# Largest number of hidden units for which stacked training on a CPU is faster than one by one
# (docs/benchmarks/stacked_training.md).
_STACKED_UNITS = {"lstm": 128, "relu": 128}


@dataclass(frozen=True)
class Split:
    """Row numbers of one fold."""

    number: int
    train: np.ndarray
    test: np.ndarray


@dataclass(frozen=True)
class PathSettings:
    """How a path is trained and scored.

    Attributes
    ----------
    parameter : str
        The parameter of the path.
    values : tuple of float
        Its values.
    shared_epochs : int
        Number of first epochs that all models of a fold share; they are trained at the value in the middle.
    strategy : {"auto", "stacked", "separate"}
    scorer : callable
        ``(estimator, X, y) -> float``.
    weighted_score : bool
        Whether the scorer takes ``sample_weight``.
    validation : dict of str to object
        ``X_val``, ``y_val`` and ``sample_weight_val`` of ``fit``, the same for all folds.
    n_steps, n_features : int
        Length of the longest sequence, and number of channels.
    n_threads : int
        Threads of torch in each worker.
    """

    parameter: str
    values: tuple[float, ...]
    shared_epochs: int
    strategy: str
    scorer: Any
    weighted_score: bool
    validation: dict[str, Any]
    n_steps: int
    n_features: int
    n_threads: int

    def together(self, nets: Sequence[SequenceNet]) -> bool:
        """Whether to train these nets as one program, if they can be stacked."""
        if self.strategy != "auto":
            return self.strategy == "stacked"
        module: Any = nets[0].module_
        device = module.readout.weight.device.type
        small = bool(module.recurrent.hidden_size <= _STACKED_UNITS.get(module.cell, 0))
        return small if device == "cpu" else bool(device == "cuda")


@dataclass
class Outcome:
    """Result of one model of the path on one fold; ``error`` says why a model could not be trained or scored."""

    index: int
    fold: int
    score: float = float("nan")
    seconds: float = 0.0
    data_loss: float = float("nan")
    attributes: dict[str, float] = field(default_factory=dict)
    error: str | None = None


class _Fold:
    """Training data of one fold, checked and converted to tensors once for all models of the fold.

    Parameters
    ----------
    estimator : SequenceEstimator
        An unfitted estimator. All models have its parameters, except for the one of the path.
    X, y, sample_weight
        Arguments of ``fit``: the data of all folds.
    validation : dict of str to object
        Validation data of `PathSettings`.
    split : Split

    Raises
    ------
    Exception
        If no model can be trained on this fold: any error that the checks of the data raise.
    """

    def __init__(
        self,
        estimator: Any,
        X: Any,
        y: Any,
        sample_weight: np.ndarray | None,
        validation: dict[str, Any],
        split: Split,
    ):
        self.leader = cloned_with(estimator)
        weight = None if sample_weight is None else _safe_indexing(sample_weight, split.train)
        self.checked: FitData = checked(
            self.leader, _safe_indexing(X, split.train), _safe_indexing(y, split.train), weight, validation
        )
        self.data: SequenceDataset = training_data(self.leader, self.checked).loaded()
        spec = training_spec(cloned_with(self.leader), self.checked)
        if spec.validation is not None:
            spec.validation.parts(self.data, spec.seeds.split)  # an error here concerns this fold only
        self.trunk: tuple[TrainingSpec, Trained] | None = None

    def model(self, settings: PathSettings, index: int) -> tuple[Any, TrainingSpec]:
        """An unfitted estimator with one of the values, and its training."""
        estimator = cloned_with(self.leader, **{settings.parameter: settings.values[index]})
        spec = training_spec(estimator, self.checked)
        if self.trunk is None:
            return estimator, spec
        middle, trained = self.trunk
        # Models with a penalty start from other weights than models without: only models of the same kind can continue.
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
    """Train and score some models of the path.

    Parameters
    ----------
    estimator : SequenceEstimator
        An unfitted estimator.
    settings : PathSettings
    X, y, sample_weight
        Arguments of ``fit``.
    models : sequence of (Split, int)
        Fold and index of the value of each model. Models of one fold must be neighbours.

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
            # Models of one fold are neighbours, so a fold that is not in this pack is finished: its data can go.
            splits = {split.number: split for split, _ in pack}
            known = {number: fold for number, fold in folds.items() if number in splits}
            new = {
                number: _prepared(estimator, X, y, sample_weight, settings.validation, splits[number])
                for number in splits.keys() - known
            }
            folds = {number: known[number] if number in known else new[number] for number in splits}
            _train_trunks(settings, [new[number] for number in splits if number in new])
            outcomes += _pack_outcomes(settings, folds, pack, X, y, sample_weight)
    return outcomes


def _prepared(
    estimator: Any, X: Any, y: Any, sample_weight: np.ndarray | None, validation: dict[str, Any], split: Split
) -> _Fold | str:
    """The fold, or the reason why no model can be trained on it."""
    try:
        return _Fold(estimator, X, y, sample_weight, validation, split)
    except Exception as error:  # any: X may be of a user's own class. As in GridSearchCV, other folds go on
        return f"{type(error).__name__}: {error}"


def _train_trunks(settings: PathSettings, folds: Sequence[_Fold | str]) -> None:
    """Train the shared first epochs of each fold."""
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
    """Train and score the models of one pack."""
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
    """Score a trained model on the test rows of its fold, and write the results into ``outcome``."""
    outcome.seconds = result.seconds
    if len(result.net.history):
        outcome.data_loss = result.net.history[-1].get("data_loss", float("nan"))
    if result.error is not None:
        outcome.error = str(result.error)
        return
    set_fitted(estimator, result.net)
    fitted = vars(estimator)
    outcome.attributes = {
        name: float(np.max(fitted[name]))  # several layers have several values: the largest
        for name in ("rho_h_", "perturbation_gain_")
        if name in fitted
    }
    weights = {}
    if sample_weight is not None and settings.weighted_score:
        weights["sample_weight"] = sample_weight[split.test]
    try:
        score = settings.scorer(estimator, _safe_indexing(X, split.test), _safe_indexing(y, split.test), **weights)
        outcome.score = float(score)
    except Exception as error:  # any: the scorer may be the user's own. As in GridSearchCV, other models go on
        outcome.error = f"scoring failed with {type(error).__name__}: {error}"
    else:
        if np.isnan(outcome.score):
            outcome.error = "the score is NaN"


def _packs(
    estimator: Any, settings: PathSettings, models: Sequence[tuple[Split, int]]
) -> Iterator[list[tuple[Split, int]]]:
    """Groups of models that are trained at the same time."""
    # Numbers per step and sequence: inputs, states and gates of the forward and the backward pass.
    width = settings.n_features + 9 * int(estimator.hidden_size)
    n = max(len(split.train) for split, _ in models)
    batch_size, _ = estimator._sizes(n)
    size = 4 * settings.n_steps * batch_size * width
    remaining = iter(models)
    while pack := list(islice(remaining, max(1, min(_LARGEST_STACK, int(_STACK_BYTES / size))))):
        yield pack


class Cancelled(Exception):
    """The search has ended, and this training with it."""


class Cancellation(OwnCallback):
    """Ends training at the next epoch after a call of `cancel`. Copies are the same object.

    Ctrl-C, or an error in one worker, ends the search in the main thread only. Without this callback the other threads
    would go on training in the background.
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
        return self  # every model has a copy of the callbacks

    def __reduce__(self) -> tuple:
        return Cancellation, ()  # in another process it has no effect: joblib ends the whole process
