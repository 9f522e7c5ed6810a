"""Models and training states as one file without code, and networks as ONNX graphs; knows no estimator."""

from ._container import ModelFileError

__all__ = ["ModelFileError"]
