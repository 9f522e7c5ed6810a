"""The networks: forward passes only. Sequences in, last step out (many-to-one)."""

from ._aligned import aligned
from ._networks import READOUTS, GRURegressorModule, LSTMRegressorModule, ReLURNNModule
from ._stacked import is_stackable, stacked_forward

__all__ = [
    "READOUTS",
    "GRURegressorModule",
    "LSTMRegressorModule",
    "ReLURNNModule",
    "aligned",
    "is_stackable",
    "stacked_forward",
]
