"""Models as plain values, as one file without code, and as ONNX graphs; knows no estimator."""

from ._atomic import remove_leftovers, write_atomically
from ._codec import Codec, Form
from ._file import FORMAT_VERSION, ModelFileError, from_bytes, read_document, to_bytes
from ._forms import GENERALIZATION, Parameters
from ._onnx import onnx_model
from ._types import conforms

__all__ = [
    "FORMAT_VERSION",
    "GENERALIZATION",
    "Codec",
    "Form",
    "ModelFileError",
    "Parameters",
    "conforms",
    "from_bytes",
    "onnx_model",
    "read_document",
    "remove_leftovers",
    "to_bytes",
    "write_atomically",
]
