"""From tensors to trained weights: what is to be trained, the skorch net, batches, callbacks, care for the process."""

from sklstm._losses import PinballLoss

from ._batches import InputNoise, SequenceDataset
from ._checkpoint import Checkpoint
from ._net import Penalty, SequenceNet, StopTraining
from ._train import NetworkSpec, TrainingSpec, dataset, train

__all__ = [
    "Checkpoint",
    "InputNoise",
    "NetworkSpec",
    "Penalty",
    "PinballLoss",
    "SequenceDataset",
    "SequenceNet",
    "StopTraining",
    "TrainingSpec",
    "dataset",
    "train",
]
