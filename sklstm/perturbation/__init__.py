"""How far input noise moves the output of a recurrent network: Turkin's chain, the penalty built on it, certificates.

Plain functions of weight tensors; a PyTorch training loop can use them without meeting scikit-learn.
"""

from ._certificate import Interval, output_bounds
from ._chain import TikhonovGains, gains_from_norms, gate_norms, preactivation_bound, tikhonov_gains
from ._intervals import lstm_interval_bounds, rnn_interval_bounds
from ._lipschitz import lstm_gain, rnn_lipschitz
from ._network import RecurrentNetwork
from ._penalty import feasible_scale, perturbation_gain, relaxed_barrier, tikhonov_penalty
from ._stacked import StackedTikhonovPenalty
from ._tracking import TikhonovPenalty
from .enclosures import LayerWeights

__all__ = [
    "Interval",
    "LayerWeights",
    "RecurrentNetwork",
    "StackedTikhonovPenalty",
    "TikhonovGains",
    "TikhonovPenalty",
    "feasible_scale",
    "gains_from_norms",
    "gate_norms",
    "lstm_gain",
    "lstm_interval_bounds",
    "output_bounds",
    "perturbation_gain",
    "preactivation_bound",
    "relaxed_barrier",
    "rnn_interval_bounds",
    "rnn_lipschitz",
    "tikhonov_gains",
    "tikhonov_penalty",
]
