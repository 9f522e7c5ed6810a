"""Recurrent scikit-learn estimators with analytic noise regularisation and generalisation bounds."""

from importlib.metadata import version

from .estimators import NoisyRNNClassifier, TikhonovLSTMRegressor

__all__ = ["NoisyRNNClassifier", "TikhonovLSTMRegressor", "__version__"]

__version__ = version("sklstm")
