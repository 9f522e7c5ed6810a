"""The scikit-learn estimators."""

from ._certify import certified_accuracy, certified_radius, certify
from ._classifiers import NoisyRNNClassifier
from ._compression import Compression
from ._files import LOADABLE, load
from ._regressors import TikhonovGRURegressor, TikhonovLSTMRegressor

__all__ = [
    "Compression",
    "NoisyRNNClassifier",
    "TikhonovGRURegressor",
    "TikhonovLSTMRegressor",
    "certified_accuracy",
    "certified_radius",
    "certify",
    "load",
]

LOADABLE.update({cls.__name__: cls for cls in (NoisyRNNClassifier, TikhonovGRURegressor, TikhonovLSTMRegressor)})
