"""Certified bounds on the outputs of a recurrent network under input errors, and Lipschitz constants.

All functions take weight tensors, without scikit-learn.
"""

from ._enclosed_layer import LayerWeights
from ._global_gain import gru_gain, lstm_gain, network_gain
from ._interval_training import IntervalPass
from ._lipschitz import rnn_lipschitz
from ._output_bounds import Interval, lstm_interval_bounds, output_bounds, rnn_interval_bounds
from ._recurrent_network import RecurrentNetwork

__all__ = [
    "Interval",
    "IntervalPass",
    "LayerWeights",
    "RecurrentNetwork",
    "gru_gain",
    "lstm_gain",
    "lstm_interval_bounds",
    "network_gain",
    "output_bounds",
    "rnn_interval_bounds",
    "rnn_lipschitz",
]
