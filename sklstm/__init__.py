"""Recurrent scikit-learn estimators that are robust to noisy inputs, with certified bounds on their outputs."""

from importlib.metadata import version

from .estimators._certify import certify
from .estimators._classifiers import NoisyRNNClassifier
from .estimators._compression import Compression
from .estimators._files import load
from .estimators._forecaster import Forecaster, make_forecaster
from .estimators._label_certificates import certified_accuracy, certified_radius
from .estimators._noise_interval import noise_interval
from .estimators._pac_bayes import PACBayes, StochasticPredictor
from .estimators._prediction_interval import prediction_interval
from .estimators._regressors import TikhonovGRURegressor, TikhonovLSTMRegressor
from .estimators._reports import generalization_report
from .estimators._smoothing import smoothed_predict, smoothed_radius
from .estimators._tikhonov_classifiers import TikhonovGRUClassifier, TikhonovLSTMClassifier
from .persistence import ModelFileError

__all__ = [
    "Compression",
    "Forecaster",
    "ModelFileError",
    "NoisyRNNClassifier",
    "PACBayes",
    "StochasticPredictor",
    "TikhonovGRUClassifier",
    "TikhonovGRURegressor",
    "TikhonovLSTMClassifier",
    "TikhonovLSTMRegressor",
    "__version__",
    "certified_accuracy",
    "certified_radius",
    "certify",
    "generalization_report",
    "load",
    "make_forecaster",
    "noise_interval",
    "prediction_interval",
    "smoothed_predict",
    "smoothed_radius",
]

__version__ = version("sklstm")
