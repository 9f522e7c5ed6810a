"""Recurrent scikit-learn estimators with analytic noise regularisation and generalisation bounds."""

from importlib.metadata import version

from .estimators import (
    Compression,
    NoisyRNNClassifier,
    TikhonovGRURegressor,
    TikhonovLSTMRegressor,
    certified_accuracy,
    certified_radius,
    certify,
    load,
)
from .persistence import ModelFileError

__all__ = [
    "Compression",
    "ModelFileError",
    "NoisyRNNClassifier",
    "TikhonovGRURegressor",
    "TikhonovLSTMRegressor",
    "__version__",
    "certified_accuracy",
    "certified_radius",
    "certify",
    "load",
]

__version__ = version("sklstm")
