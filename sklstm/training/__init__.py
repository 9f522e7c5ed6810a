"""From tensors to trained weights: training specification, skorch net, batches, callbacks, process settings."""

from sklstm._losses import PinballLoss

from ._batches import InputNoise, SequenceDataset
from ._checkpoint import Checkpoint
from ._held_out import LastPart, RandomPart, Validation
from ._net import Penalty, SequenceNet, StopTraining
from ._robust import Robust
from ._train import NetworkSpec, TrainingSpec, dataset, train

__all__ = [
    "Checkpoint",
    "InputNoise",
    "LastPart",
    "NetworkSpec",
    "Penalty",
    "PinballLoss",
    "RandomPart",
    "Robust",
    "SequenceDataset",
    "SequenceNet",
    "StopTraining",
    "TrainingSpec",
    "Validation",
    "dataset",
    "train",
]
