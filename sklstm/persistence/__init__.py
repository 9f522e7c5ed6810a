"""Models and training states as one file without code, and networks as ONNX graphs; independent of estimators."""

from ._container import ModelFileError

__all__ = ["ModelFileError"]
