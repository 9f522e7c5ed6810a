"""The Fisher-Rao norm of a recurrent network: Lemma 1, Definition 1 and equation (2) of Tu et al. 2020."""

import math
from typing import Any

import numpy as np

from sklstm.generalization._inputs import Array, Float, as_sequences, as_weights, chunks

__all__ = ["eta_c", "fisher_rao_norm", "tau_c"]


def tau_c(U: Any, W: Any, V: Any, X: Any) -> Float:
    r"""Right-hand side of Lemma 1 for the linear network, :math:`\tau(\theta)c` of [1]_, sample by sample.

    .. math:: \tau(\theta)c = \sum_{t=1}^{L} (L - t + 2)\, V W^{L-t} U x_t

    Parameters
    ----------
    U, W, V : array-like or Tensor of shape (m, d), (m, m), (k, m)
        Weights of the network.
    X : array-like or Tensor of shape (n, L, d)
        Sequences; converted to float64 chunk by chunk.

    Returns
    -------
    ndarray of shape (n, k)
        An entry that cannot be computed in float64 is ``inf``, never NaN.

    Raises
    ------
    ValueError
        If shapes do not fit together or a value is not finite.

    References
    ----------
    .. [1] Z. Tu, F. He and D. Tao, "Understanding generalization in recurrent neural networks", ICLR 2020,
       section 2 and equation (2).

    Examples
    --------
    One unit, two steps: :math:`3\,v w u\,x_1 + 2\,v u\,x_2`.

    >>> from sklstm.generalization import tau_c
    >>> tau_c([[1.0]], [[0.5]], [[2.0]], [[[1.0], [10.0]]])  # 3·2·½·1·1 + 2·2·1·10
    array([[43.]])
    """
    u, w, v = as_weights(U, W, V)
    return _tau_c(u, w, v, as_sequences(X, u.shape[1]))


def _tau_c(u: Float, w: Float, v: Float, x: Array) -> Float:
    n, L, d = x.shape
    k = v.shape[0]
    psi = np.empty((k, L, d))
    out = np.empty((n, k))
    with np.errstate(over="ignore", invalid="ignore"):
        # The rows of V W^lag, not the states of n samples, are pushed through W: O(L k m²) whatever n is.
        rows = v
        for lag in range(L):
            psi[:, L - 1 - lag] = (lag + 2) * (rows @ u)  # (k, d)
            rows = rows @ w
        start = 0
        for chunk in chunks(x):
            block = chunk.reshape(len(chunk), L * d) @ psi.reshape(k, L * d).T  # (b, k)
            out[start : start + len(chunk)] = block
            start += len(chunk)
    # inf − inf and 0 · inf come only from a power of W that left float64: the true value is unknown, so the
    # worst.
    out[np.isnan(out)] = math.inf
    return out


def eta_c(U: Any, W: Any, V: Any, X: Any) -> Float:
    r"""Right-hand side of Lemma 1 for the ReLU network, :math:`\eta(\theta)c` of [1]_, sample by sample.

    Lemma 1 is an identity: this is the derivative of the last output :math:`y_L` in the direction of the
    weights, :math:`\sum_{\theta_i}\theta_i\,\partial y_L/\partial\theta_i`.

    .. math:: \eta(\theta)c = \sum_{t=1}^{L} (L - t + 2)\, V D_L W D_{L-1} \cdots W D_t U x_t,
              \qquad D_t = \operatorname{diag}(\rho'(g_t))

    Parameters
    ----------
    U, W, V : array-like or Tensor of shape (m, d), (m, m), (k, m)
        Weights of the network ``h_t = relu(U x_t + W h_{t-1})``, ``y = V h_L``, ``h_0 = 0``.
    X : array-like or Tensor of shape (n, L, d)

    Returns
    -------
    ndarray of shape (n, k)
        The derivative of the ReLU at 0 is taken to be 0. Overflow gives ``inf``, never NaN.

    Raises
    ------
    ValueError
        If shapes do not fit together or a value is not finite.

    References
    ----------
    .. [1] Z. Tu, F. He and D. Tao, "Understanding generalization in recurrent neural networks", ICLR 2020,
       Lemma 1 and its proof in appendix A.1.

    Examples
    --------
    Where every state is positive the ReLU network is the linear one; where one is not, what came before is lost:

    >>> from sklstm.generalization import eta_c, tau_c
    >>> weights = [[1.0]], [[0.5]], [[2.0]]
    >>> eta_c(*weights, [[[1.0], [10.0]]]) == tau_c(*weights, [[[1.0], [10.0]]])
    array([[ True]])
    >>> eta_c(*weights, [[[-1.0], [10.0]]])  # the first state is 0: 2·2·1·10 remains
    array([[40.]])
    """
    u, w, v = as_weights(U, W, V)
    x = as_sequences(X, u.shape[1])
    return np.concatenate([_eta_c(u, w, v, chunk) for chunk in chunks(x, len(u))])


def _eta_c(u: Float, w: Float, v: Float, x: Float) -> Float:
    h = np.zeros((len(x), len(u)))
    f = h  # f_t = h_t + D_t W f_{t-1}, the recursion of appendix A.1
    with np.errstate(over="ignore", invalid="ignore"):
        for t in range(x.shape[1]):
            g = x[:, t] @ u.T + h @ w.T  # (b, m)
            # A ReLU would turn −inf into a quiet 0; as NaN the overflow reaches the output.
            g[~np.isfinite(g)] = math.nan
            h = np.maximum(g, 0)
            f = h + np.where(g <= 0, 0.0, f @ w.T)
        out = (h + f) @ v.T
    out[np.isnan(out)] = math.inf
    return out


def fisher_rao_norm(U: Any, W: Any, V: Any, X: Any) -> float:
    r"""Fisher-Rao norm of the weights, :math:`r = \|\theta\|_{fs}` of equation (2) [1]_.

    .. math:: \|\theta\|_{fs}^2 = E \max_j \big[(\tau(\theta)c)_j\big]^2

    with the expectation over the rows of `X`. It is homogeneous of degree 1 in V and in U.

    Parameters
    ----------
    U, W, V : array-like or Tensor of shape (m, d), (m, m), (k, m)
        Weights of the network.
    X : array-like or Tensor of shape (n, L, d)

    Returns
    -------
    float
        ``inf`` once :math:`V W^{L-t} U` leaves float64, never NaN.

    Raises
    ------
    ValueError
        If shapes do not fit together or a value is not finite.

    References
    ----------
    .. [1] Z. Tu, F. He and D. Tao, "Understanding generalization in recurrent neural networks", ICLR 2020,
       (2).

    Examples
    --------
    One unit and one step: twice the root mean square of the output.

    >>> from sklstm.generalization import fisher_rao_norm
    >>> fisher_rao_norm([[1.0]], [[0.5]], [[2.0]], [[[3.0]], [[-3.0]]])
    12.0
    >>> fisher_rao_norm([[1.0]], [[0.5]], [[4.0]], [[[3.0]], [[-3.0]]])  # of degree 1 in V
    24.0
    """
    u, w, v = as_weights(U, W, V)
    return _norm(_tau_c(u, w, v, as_sequences(X, u.shape[1])))


def _norm(tau: Float) -> float:
    largest = np.abs(tau).max(axis=1)  # (n,)
    scale = float(largest.max())
    if scale == 0 or math.isinf(scale):
        return scale
    # Divided by the largest before squaring: r may be a float64 where r² is not.
    return scale * math.sqrt(float(np.mean((largest / scale) ** 2)))
