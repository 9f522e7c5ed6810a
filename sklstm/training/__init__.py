"""From tensors to trained weights: the skorch net, the batch loader, callbacks, and care for the process's state."""

from ._batches import BatchLoader, SequenceDataset
from ._callbacks import DivergenceGuard, EarlyStopping, Progress
from ._checkpoint import Checkpoint
from ._inference import BLOCK, predict_blocks
from ._net import SequenceNet, StopTraining
from ._runtime import check_cuda_process, seeded_construction, single_threaded_numpy, thread_limit, threads_for

__all__ = [
    "BLOCK",
    "BatchLoader",
    "Checkpoint",
    "DivergenceGuard",
    "EarlyStopping",
    "Progress",
    "SequenceDataset",
    "SequenceNet",
    "StopTraining",
    "check_cuda_process",
    "predict_blocks",
    "seeded_construction",
    "single_threaded_numpy",
    "thread_limit",
    "threads_for",
]
