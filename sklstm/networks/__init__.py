"""The networks: forward passes only. Sequences in, last step out (many-to-one)."""

from ._networks import READOUTS, GRUNetwork, LSTMNetwork, ReLUNetwork, aligned, is_stackable, stacked_forward

__all__ = [
    "READOUTS",
    "GRUNetwork",
    "LSTMNetwork",
    "ReLUNetwork",
    "aligned",
    "is_stackable",
    "stacked_forward",
]
