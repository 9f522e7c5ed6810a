"""Estimates of Turkin 2017 for how far input noise moves the output of a recurrent network, and the penalty.

`stable_penalty` uses a proved gain instead of the paper's.

All functions take weight tensors; a PyTorch training loop can use them without scikit-learn.
"""

from ._gains import (
    TikhonovGains,
    gains_from_norms,
    gate_norms,
    perturbation_gain,
    preactivation_bound,
    tikhonov_gains,
)
from ._penalty import feasible_scale, relaxed_barrier, tikhonov_penalty
from ._stable_penalty import stable_penalty
from ._tracked_penalty import TikhonovPenalty

__all__ = [
    "TikhonovGains",
    "TikhonovPenalty",
    "feasible_scale",
    "gains_from_norms",
    "gate_norms",
    "perturbation_gain",
    "preactivation_bound",
    "relaxed_barrier",
    "stable_penalty",
    "tikhonov_gains",
    "tikhonov_penalty",
]
