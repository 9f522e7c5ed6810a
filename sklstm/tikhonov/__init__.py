"""How far input noise moves the output of a recurrent network, as Turkin 2017 estimates it: gains, penalty, norms.

Plain functions of weight tensors; a PyTorch training loop can use them without meeting scikit-learn.
"""

from ._chain import TikhonovGains, gains_from_norms, gate_norms, preactivation_bound, tikhonov_gains
from ._penalty import feasible_scale, perturbation_gain, relaxed_barrier, tikhonov_penalty
from ._stacked import StackedTikhonovPenalty
from ._tracking import TikhonovPenalty

__all__ = [
    "StackedTikhonovPenalty",
    "TikhonovGains",
    "TikhonovPenalty",
    "feasible_scale",
    "gains_from_norms",
    "gate_norms",
    "perturbation_gain",
    "preactivation_bound",
    "relaxed_barrier",
    "tikhonov_gains",
    "tikhonov_penalty",
]
