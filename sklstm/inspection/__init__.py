"""Plots of fitted estimators, as displays in scikit-learn's style, and the importance of channels.

The displays need matplotlib (the extra ``plot``).
"""

from ._certified_band import CertifiedBandDisplay
from ._certified_front import CertifiedFrontDisplay
from ._channel_importance import ChannelImportanceDisplay, channel_importance
from ._gate_norms import GateNormsDisplay
from ._generalization_report import GeneralizationReportDisplay
from ._loss_curve import LossCurveDisplay
from ._noise_generalization import NoiseGeneralizationDisplay
from ._noise_robustness import NoiseRobustnessDisplay
from ._regularization_path import RegularizationPathDisplay

__all__ = [
    "CertifiedBandDisplay",
    "CertifiedFrontDisplay",
    "ChannelImportanceDisplay",
    "GateNormsDisplay",
    "GeneralizationReportDisplay",
    "LossCurveDisplay",
    "NoiseGeneralizationDisplay",
    "NoiseRobustnessDisplay",
    "RegularizationPathDisplay",
    "channel_importance",
]
