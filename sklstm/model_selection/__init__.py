"""Estimators with built-in cross-validation along a regularisation path."""

from ._noisy_cv import NoisyRNNClassifierCV
from ._tikhonov_cv import TikhonovLSTMRegressorCV

__all__ = ["NoisyRNNClassifierCV", "TikhonovLSTMRegressorCV"]
