"""What is proved about the outputs of a recurrent network under perturbed inputs: bounds and Lipschitz constants.

Plain functions of weight tensors, without scikit-learn.
"""

from ._certificate import Interval, output_bounds
from ._intervals import lstm_interval_bounds, rnn_interval_bounds
from ._lipschitz import lstm_gain, rnn_lipschitz
from ._network import RecurrentNetwork
from .enclosures import LayerWeights

__all__ = [
    "Interval",
    "LayerWeights",
    "RecurrentNetwork",
    "lstm_gain",
    "lstm_interval_bounds",
    "output_bounds",
    "rnn_interval_bounds",
    "rnn_lipschitz",
]
