"""The order of magnitude with which Tu et al. 2020 compare Theorem 2: spectral norms, Zhang et al. 2018."""

import math
from typing import Any

import torch

from sklstm.generalization._inputs import Float, as_weights, exponential
from sklstm.linalg import spectral_norm

__all__ = ["zhang_order"]


def zhang_order(U: Any, W: Any, V: Any, *, n_samples: int, n_steps: int, margin: float = 1.0) -> float:
    r"""Order of magnitude of the bound of Zhang et al. 2018, as quoted in section 3.2 of [1]_. Not a bound.

    .. math:: \frac{\max\{d, m, k\}\, L^2\, \|U\|_2\|V\|_2 \max\{1, \|W\|_2^L\}}{\sqrt n\,\alpha}

    It stands under an O(·): there is a constant, and there may be logarithms, that nobody has written down. Its value
    says how that bound grows with size, length and norms, and is not comparable with an error probability.

    Parameters
    ----------
    U, W, V : array-like or Tensor of shape (m, d), (m, m), (k, m)
        Weights.
    n_samples, n_steps : int
        n and L.
    margin : float, default=1.0
        :math:`\alpha > 0`.

    Returns
    -------
    float
        ``inf`` on overflow, never NaN.

    Raises
    ------
    ValueError
        If shapes do not fit together, a value is not finite, or a parameter is not positive.

    References
    ----------
    .. [1] Z. Tu, F. He and D. Tao, "Understanding generalization in recurrent neural networks", ICLR 2020.
    .. [2] J. Zhang, Q. Lei and I. Dhillon, "Stabilizing gradients for deep neural networks via efficient SVD
       parameterization", ICML 2018.

    Examples
    --------
    >>> from sklstm.generalization import zhang_order
    >>> round(zhang_order([[1.0]], [[1.0]], [[1.0]], n_samples=100, n_steps=10), 6)  # L²/√n
    10.0
    >>> round(zhang_order([[1.0]], [[2.0]], [[1.0]], n_samples=100, n_steps=10), 6)  # times ‖W‖^L
    10240.0
    """
    if not (n_samples >= 1 and n_steps >= 1):
        raise ValueError(f"n_samples and n_steps must be positive, got {n_samples!r} and {n_steps!r}")
    if not 0 < margin < math.inf:
        raise ValueError(f"margin must be a positive number, got {margin!r}")
    u, w, v = as_weights(U, W, V)
    of_u, of_w, of_v = (_norm(a) for a in (u, w, v))
    if 0.0 in (of_u, of_v):
        return 0.0
    numerator = math.log(max(u.shape[1], *v.shape)) + 2 * math.log(n_steps) + math.log(of_u) + math.log(of_v)
    growth = n_steps * math.log(max(1.0, of_w))
    return exponential(numerator + growth - math.log(n_samples) / 2 - math.log(margin))


def _norm(matrix: Float) -> float:
    # The spectral norm goes through the Gram matrix, which squares: divide first.
    scale = float(abs(matrix).max()) or 1.0
    return scale * float(spectral_norm(torch.from_numpy(matrix / scale)))
