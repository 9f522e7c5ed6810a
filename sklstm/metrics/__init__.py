"""Scorers for scikit-learn's searches and for paths: how good is a model when its inputs are noisy?"""

from ._noisy_scorer import make_noisy_scorer

__all__ = ["make_noisy_scorer"]
