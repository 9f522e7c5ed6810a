"""The scikit-learn estimators."""

from ._composed import certified_accuracy, certified_radius, certify
from ._compression import Compression
from ._files import LOADABLE, load
from ._noisy_rnn import NoisyRNNClassifier
from ._tikhonov_gru import TikhonovGRURegressor
from ._tikhonov_lstm import TikhonovLSTMRegressor

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
