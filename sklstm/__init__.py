"""Recurrent scikit-learn estimators with analytic noise regularisation and generalisation bounds."""

from importlib.metadata import version

from .estimators import Compression, NoisyRNNClassifier, TikhonovGRURegressor, TikhonovLSTMRegressor

__all__ = ["Compression", "NoisyRNNClassifier", "TikhonovGRURegressor", "TikhonovLSTMRegressor", "__version__"]

__version__ = version("sklstm")
