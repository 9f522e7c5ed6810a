"""Scorers for scikit-learn's searches and for paths: the score on noisy inputs, or in the worst case."""

from ._certified_scorer import make_certified_scorer
from ._noisy_scorer import make_noisy_scorer

__all__ = ["make_certified_scorer", "make_noisy_scorer"]
