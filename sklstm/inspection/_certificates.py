"""Certified limits on the predictions of what a user has fitted."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["limits"]


def limits(estimator: Any, X: Any, eps: Any, method: str = "best") -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lower and upper limits of the predictions for all inputs within `eps` of X, in the units of y and X.

    Raises
    ------
    TypeError
        If the estimator has no certificate.
    """
    if not hasattr(estimator, "certify"):
        raise TypeError(f"{type(estimator).__name__} has no certificate.")
    return estimator.certify(X, eps, method=method)
