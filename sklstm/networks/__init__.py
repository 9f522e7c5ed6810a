"""The networks: forward passes only. Sequences in, last step out (many-to-one)."""

from ._aligned import aligned
from ._networks import READOUTS, GRUNetwork, LSTMNetwork, ReLUNetwork
from ._stacked import is_stackable, stacked_forward

__all__ = [
    "READOUTS",
    "GRUNetwork",
    "LSTMNetwork",
    "ReLUNetwork",
    "aligned",
    "is_stackable",
    "stacked_forward",
]
