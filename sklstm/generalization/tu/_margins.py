"""The empirical side of Theorems 2 and 3: outputs of the ReLU network, their margins, and the two losses."""

import math

import numpy as np
from numpy.typing import NDArray

from sklstm.generalization._inputs import Array, Float, chunks

__all__ = ["check_margin", "last_output", "margin_loss", "margins", "ramp_loss"]


def margins(u: Float, w: Float, v: Float, x: Array, y: NDArray[np.integer], added: Array | None = None) -> Float:
    r""":math:`M = [y_L]_y - \max_{y' \ne y} [y_L]_{y'}`, shape (n,); −inf where an output overflows."""
    out = np.empty(len(x))
    start = 0
    m = len(u)
    blocks = ((a, 0.0) for a in chunks(x, m)) if added is None else zip(chunks(x, m), chunks(added, m), strict=True)
    for values, noise in blocks:
        scores = last_output(u, w, v, values + noise)  # (b, k)
        rows = np.arange(len(scores))
        labels = y[start : start + len(scores)]
        own = scores[rows, labels]
        scores[rows, labels] = -math.inf
        with np.errstate(over="ignore", invalid="ignore"):
            margin = own - scores.max(axis=1)
        # An output that left float64 has no known margin: it is counted as an error, which can only raise the
        # bound.
        out[start : start + len(scores)] = np.where(np.isfinite(margin), margin, -math.inf)
        start += len(scores)
    return out


def last_output(u: Float, w: Float, v: Float, x: Float) -> Float:
    """Outputs (b, k) of the ReLU network on x (b, L, d); NaN where a state left float64."""
    h = np.zeros((len(x), len(u)))
    with np.errstate(over="ignore", invalid="ignore"):
        for t in range(x.shape[1]):
            g = x[:, t] @ u.T + h @ w.T  # (b, m)
            g[~np.isfinite(g)] = math.nan  # so that the ReLU cannot turn an overflow into a quiet 0
            h = np.maximum(g, 0)
        return h @ v.T


def margin_loss(margin: Float, alpha: float) -> float:
    r"""Mean of :math:`1[M \le \alpha]`, the first term of Theorem 2."""
    return float(np.mean(margin <= alpha))


def ramp_loss(margin: Float, alpha: float) -> float:
    r"""Mean of :math:`\Phi_\alpha(M)`, first term of Theorem 3: 1 up to M = 0, then linear down to 0 at α."""
    # Clipped before dividing: −inf / α and a huge M over a tiny α are then no special cases.
    return float(np.mean(1 - np.clip(margin, 0, alpha) / alpha))


def check_margin(margin: float | None) -> None:
    """``ValueError`` unless α is None or positive and finite."""
    if margin is not None and not 0 < margin < math.inf:
        raise ValueError(f"margin must be a positive number, got {margin!r}")
