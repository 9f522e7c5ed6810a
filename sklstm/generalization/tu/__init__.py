"""Tu, He & Tao 2020: bounds for ReLU recurrent networks from matrix norms; one file a theorem."""

from ._bound import moment_summary, tu_bound
from ._capacity import capacity, capacity_closed_form
from ._convergent import rademacher_bound, rademacher_row_norms
from ._convergent_result import RademacherBound
from ._fisher_rao import eta_c, fisher_rao_norm, tau_c
from ._fisher_rao_loss import fisher_rao_norm_lemma_2, fisher_rao_norm_loss
from ._rademacher import RademacherTu, rademacher_tu
from ._remark_6 import fisher_rao_upper, fisher_rao_upper_closed_form
from ._result import TuBound
from ._zhang import zhang_order

__all__ = [
    "RademacherBound",
    "RademacherTu",
    "TuBound",
    "capacity",
    "capacity_closed_form",
    "eta_c",
    "fisher_rao_norm",
    "fisher_rao_norm_lemma_2",
    "fisher_rao_norm_loss",
    "fisher_rao_upper",
    "fisher_rao_upper_closed_form",
    "moment_summary",
    "rademacher_bound",
    "rademacher_row_norms",
    "rademacher_tu",
    "tau_c",
    "tu_bound",
    "zhang_order",
]
