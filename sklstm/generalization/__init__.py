"""Bounds on the loss of new data from the loss on the training data: one file per theorem, one report."""

from ._bound import Bound
from ._confidence import binomial_tail_inverse, choose_cap, kl_inverse
from ._eigenvalue import (
    correlation_lower_bound,
    gershgorin_lower_bound,
    identity_lower_bound,
    smallest_eigenvalue,
)
from ._holdout import HoldoutBound, holdout_bound
from ._pac_bayes import GaussianWeights, PACBayesBound, pac_bayes_bound
from ._report import GeneralizationReport
from ._second_moment import SecondMoment, second_moment
from .compression._description import Description, Structure
from .compression._occam import OccamBound, occam_bound, occam_certificate
from .tu._convergent import RademacherBound, rademacher_bound, rademacher_row_norms
from .tu._fisher_rao import fisher_rao_norm, fisher_rao_norm_loss, fisher_rao_upper
from .tu._theorem_1 import capacity, rademacher_tu
from .tu._theorems_2_and_3 import TuBound, tu_bound, zhang_order

__all__ = [
    "Bound",
    "Description",
    "GaussianWeights",
    "GeneralizationReport",
    "HoldoutBound",
    "OccamBound",
    "PACBayesBound",
    "RademacherBound",
    "SecondMoment",
    "Structure",
    "TuBound",
    "binomial_tail_inverse",
    "capacity",
    "choose_cap",
    "correlation_lower_bound",
    "fisher_rao_norm",
    "fisher_rao_norm_loss",
    "fisher_rao_upper",
    "gershgorin_lower_bound",
    "holdout_bound",
    "identity_lower_bound",
    "kl_inverse",
    "occam_bound",
    "occam_certificate",
    "pac_bayes_bound",
    "rademacher_bound",
    "rademacher_row_norms",
    "rademacher_tu",
    "second_moment",
    "smallest_eigenvalue",
    "tu_bound",
    "zhang_order",
]
