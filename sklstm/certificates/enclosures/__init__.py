"""Recurrent layers evaluated on boxes instead of points: forward for values, backward for derivatives."""

from ._gru import EnclosedGRU
from ._layer import EnclosedLayer, LayerWeights
from ._lstm import EnclosedLSTM
from ._relu import EnclosedReLU

__all__ = ["ENCLOSURES", "EnclosedGRU", "EnclosedLSTM", "EnclosedLayer", "EnclosedReLU", "LayerWeights"]

ENCLOSURES: dict[str, type[EnclosedLayer]] = {"lstm": EnclosedLSTM, "gru": EnclosedGRU, "relu": EnclosedReLU}
