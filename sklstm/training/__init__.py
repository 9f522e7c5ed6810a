"""From tensors to trained weights: the skorch net, the batch loader, callbacks, and care for the process's state."""

from ._batches import BatchLoader, SequenceDataset
from ._callbacks import DivergenceGuard, EarlyStopping, Progress
from ._inference import BLOCK, predict_blocks
from ._net import SequenceNet, StopTraining
from ._runtime import seeded_construction, single_threaded_numpy, thread_limit, threads_for
from ._snapshot import OptimizerTable, check_snapshot, check_weights, restore, take_snapshot

__all__ = [
    "BLOCK",
    "BatchLoader",
    "DivergenceGuard",
    "EarlyStopping",
    "OptimizerTable",
    "Progress",
    "SequenceDataset",
    "SequenceNet",
    "StopTraining",
    "check_snapshot",
    "check_weights",
    "predict_blocks",
    "restore",
    "seeded_construction",
    "single_threaded_numpy",
    "take_snapshot",
    "thread_limit",
    "threads_for",
]
