"""Predictors in few bits: quantisation, decodable codes, and the Occam bound on what they describe."""

from ._arithmetic import Decoder as ArithmeticDecoder
from ._arithmetic import Encoder as ArithmeticEncoder
from ._arithmetic import decode_integers, encode_integers, integer_bits
from ._code import code_length, decode, encode
from ._description import Description
from ._finetune import Schedule
from ._finetuned import fine_tuned_certificate
from ._occam import choose_cap, occam_bound
from ._occam_certificate import OccamBound, occam_certificate
from ._quantise import Quantised, quantise
from ._structure import Structure
from ._task import Task

__all__ = [
    "ArithmeticDecoder",
    "ArithmeticEncoder",
    "Description",
    "OccamBound",
    "Quantised",
    "Schedule",
    "Structure",
    "Task",
    "choose_cap",
    "code_length",
    "decode",
    "decode_integers",
    "encode",
    "encode_integers",
    "fine_tuned_certificate",
    "integer_bits",
    "occam_bound",
    "occam_certificate",
    "quantise",
]
