"""Predictors in few bits: quantisation, decodable codes, and the Occam bound on what they describe."""

from ._code import code_length, decode, encode
from ._occam import choose_cap, occam_bound
from ._occam_certificate import OccamBound, occam_certificate
from ._quantise import Quantised, quantise

__all__ = [
    "OccamBound",
    "Quantised",
    "choose_cap",
    "code_length",
    "decode",
    "encode",
    "occam_bound",
    "occam_certificate",
    "quantise",
]
