"""Bounds on the loss of new data from the loss on the training data: one file a theorem, one report."""

from ._holdout import HoldoutBound, holdout_bound
from ._kl import binomial_tail_inverse, kl_inverse
from ._report import GeneralizationReport
from .compression import (
    OccamBound,
    Quantised,
    choose_cap,
    code_length,
    decode,
    encode,
    occam_bound,
    occam_certificate,
    quantise,
)
from .moments import (
    SecondMoment,
    correlation_lower_bound,
    gershgorin_lower_bound,
    identity_lower_bound,
    second_moment,
    smallest_eigenvalue,
)
from .tu import TuBound, capacity, capacity_closed_form, eta_c, fisher_rao_norm, tau_c, tu_bound

__all__ = [
    "GeneralizationReport",
    "HoldoutBound",
    "OccamBound",
    "Quantised",
    "SecondMoment",
    "TuBound",
    "binomial_tail_inverse",
    "capacity",
    "capacity_closed_form",
    "choose_cap",
    "code_length",
    "correlation_lower_bound",
    "decode",
    "encode",
    "eta_c",
    "fisher_rao_norm",
    "gershgorin_lower_bound",
    "identity_lower_bound",
    "holdout_bound",
    "kl_inverse",
    "occam_bound",
    "occam_certificate",
    "quantise",
    "second_moment",
    "smallest_eigenvalue",
    "tau_c",
    "tu_bound",
]
