"""Class indices, checked."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sklstm.generalization._inputs import as_array

__all__ = ["check_labels"]


def check_labels(y: Any, n: int, k: int) -> NDArray[np.integer]:
    """Labels (n,) as integers from 0 to k − 1; ``ValueError`` for anything else. A class may be absent."""
    if k < 2:
        raise ValueError(f"a margin needs two classes or more, but V has {k} row(s)")
    labels = as_array(y)
    if labels.shape != (n,):
        raise ValueError(f"y must have shape ({n},), one label a sequence; got {labels.shape}")
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"y must hold integer class indices, got dtype {labels.dtype}")
    if labels.min() < 0 or labels.max() >= k:
        raise ValueError(f"labels must lie in 0 to {k - 1}, got {labels.min()} to {labels.max()}")
    return labels
