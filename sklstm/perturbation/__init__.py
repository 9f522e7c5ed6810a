"""How far input noise moves the output of a recurrent network: Turkin's chain and the penalty built on it.

Plain functions of weight tensors; a PyTorch training loop can use them without meeting scikit-learn.
"""

from ._chain import TikhonovGains, gains_from_norms, gate_norms, preactivation_bound, tikhonov_gains
from ._intervals import Interval, lstm_interval_bounds, rnn_interval_bounds, rnn_lipschitz
from ._penalty import feasible_scale, perturbation_gain, relaxed_barrier, tikhonov_penalty
from ._tracking import TikhonovPenalty

__all__ = [
    "Interval",
    "TikhonovGains",
    "TikhonovPenalty",
    "feasible_scale",
    "gains_from_norms",
    "gate_norms",
    "lstm_interval_bounds",
    "perturbation_gain",
    "preactivation_bound",
    "relaxed_barrier",
    "rnn_interval_bounds",
    "rnn_lipschitz",
    "tikhonov_gains",
    "tikhonov_penalty",
]
