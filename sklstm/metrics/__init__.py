"""Scorers for scikit-learn's searches and for paths: how good is a model when its inputs are noisy, or at worst?"""

from ._certified_scorer import make_certified_scorer
from ._noisy_scorer import make_noisy_scorer

__all__ = ["make_certified_scorer", "make_noisy_scorer"]
