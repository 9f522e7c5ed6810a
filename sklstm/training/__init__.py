"""From tensors to trained weights: the skorch net, the batch loader, callbacks, and care for the process's state."""

from ._batches import BatchLoader, SequenceDataset
from ._callbacks import DivergenceGuard, EarlyStopping
from ._checkpoint import Checkpoint
from ._continue import go_on_from, normalised
from ._events import StopTraining
from ._inference import BLOCK, predict_blocks
from ._net import SequenceNet
from ._numerics import PRECISIONS, products_in, undisturbed
from ._placement import fits, resolve_device, to_device
from ._progress import Progress
from ._ragged import RaggedTensor, inputs_of
from ._runtime import check_cuda_process, seeded_construction, single_threaded_numpy, thread_limit, threads_for
from ._schedules import SCHEDULES, LearningRate
from ._snapshot import OptimizerTable, check_snapshot, check_weights, restore, take_snapshot
from ._stack import can_be_stacked
from ._streamed import StreamedTensor
from ._together import train_together

__all__ = [
    "BLOCK",
    "PRECISIONS",
    "SCHEDULES",
    "BatchLoader",
    "Checkpoint",
    "DivergenceGuard",
    "EarlyStopping",
    "LearningRate",
    "OptimizerTable",
    "Progress",
    "RaggedTensor",
    "SequenceDataset",
    "SequenceNet",
    "StopTraining",
    "StreamedTensor",
    "can_be_stacked",
    "check_cuda_process",
    "check_snapshot",
    "check_weights",
    "fits",
    "go_on_from",
    "inputs_of",
    "normalised",
    "predict_blocks",
    "products_in",
    "resolve_device",
    "restore",
    "seeded_construction",
    "single_threaded_numpy",
    "take_snapshot",
    "thread_limit",
    "threads_for",
    "to_device",
    "train_together",
    "undisturbed",
]
