"""Tu, He & Tao 2020: bounds for ReLU recurrent networks from matrix norms; one file a theorem."""

from ._bound import tu_bound
from ._capacity import capacity, capacity_closed_form
from ._fisher_rao import eta_c, fisher_rao_norm, tau_c
from ._result import TuBound

__all__ = ["TuBound", "capacity", "capacity_closed_form", "eta_c", "fisher_rao_norm", "tau_c", "tu_bound"]
