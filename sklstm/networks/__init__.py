"""The networks: forward passes only, from sequences to the last step (many-to-one)."""

from ._networks import (
    ACTIVATIONS,
    READOUTS,
    GRUNetwork,
    LSTMNetwork,
    RNNNetwork,
    aligned,
    is_stackable,
    stacked_forward,
)

__all__ = [
    "ACTIVATIONS",
    "READOUTS",
    "GRUNetwork",
    "LSTMNetwork",
    "RNNNetwork",
    "aligned",
    "is_stackable",
    "stacked_forward",
]
