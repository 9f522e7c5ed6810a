"""Bounds on the loss of new data from the loss on the training data: one file a theorem, one report."""

from sklstm.generalization._capacity import capacity, capacity_closed_form
from sklstm.generalization._code import code_length, decode, encode
from sklstm.generalization._fisher_rao import eta_c, fisher_rao_norm, tau_c
from sklstm.generalization._kl import binomial_tail_inverse, kl_inverse
from sklstm.generalization._moments import smallest_eigenvalue
from sklstm.generalization._occam import choose_cap, occam_bound
from sklstm.generalization._occam_certificate import OccamBound, occam_certificate
from sklstm.generalization._quantise import Quantised, quantise
from sklstm.generalization._report import GeneralizationReport
from sklstm.generalization._tu import tu_bound
from sklstm.generalization._tu_result import TuBound

__all__ = [
    "GeneralizationReport",
    "OccamBound",
    "Quantised",
    "TuBound",
    "binomial_tail_inverse",
    "capacity",
    "capacity_closed_form",
    "choose_cap",
    "code_length",
    "decode",
    "encode",
    "eta_c",
    "fisher_rao_norm",
    "kl_inverse",
    "occam_bound",
    "occam_certificate",
    "quantise",
    "smallest_eigenvalue",
    "tau_c",
    "tu_bound",
]
