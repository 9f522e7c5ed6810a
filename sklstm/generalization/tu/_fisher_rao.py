"""The Fisher-Rao norm of a recurrent network: Definition 1, Lemmas 1 and 2, (2) and Remark 6 of Tu et al. 2020."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sklstm.generalization._theorem_inputs import (
    Array,
    Float,
    as_sequences,
    as_weights,
    check_labels,
    check_non_negative,
    chunks,
    product,
)

from ._margin_bound import last_output
from ._theorem_1 import capacity, geometric_sum

# Outputs (b, k) and class indices (b,) to losses (b,), differentiable in the outputs.
Loss = Callable[[Tensor, Tensor], Tensor]


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
        One row for each sample. An entry that cannot be computed in float64 is ``inf``, never NaN.

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

    >>> from sklstm.generalization.tu._fisher_rao import tau_c
    >>> tau_c([[1.0]], [[0.5]], [[2.0]], [[[1.0], [10.0]]])  # 3·2·½·1·1 + 2·2·1·10
    array([[43.]])
    """
    u, w, v = as_weights(U, W, V)
    return tau_c_of_arrays(u, w, v, as_sequences(X, u.shape[1]))


def tau_c_of_arrays(u: Float, w: Float, v: Float, x: Array) -> Float:
    """As :func:`tau_c`, without its checks."""
    coefficients = tau_c_coefficients(u, w, v, x.shape[1])
    return np.concatenate([tau_c_of_chunk(coefficients, chunk) for chunk in chunks(x)])


def tau_c_coefficients(u: Float, w: Float, v: Float, n_steps: int) -> Float:
    r""":math:`(L - t + 2)\, V W^{L-t} U`, shape (k, L, d): the factor of every step."""
    psi = np.empty((len(v), n_steps, u.shape[1]))
    with np.errstate(over="ignore", invalid="ignore"):
        # Not the states of n samples but the k rows of V W^lag are multiplied by W: O(L k m²) for every n.
        rows = v
        for lag in range(n_steps):
            psi[:, n_steps - 1 - lag] = (lag + 2) * (rows @ u)  # (k, d)
            rows = rows @ w
    return psi


def tau_c_of_chunk(coefficients: Float, x: Float) -> Float:
    """As :func:`tau_c`, for sequences (b, L, d) that are few enough to compute at once."""
    with np.errstate(over="ignore", invalid="ignore"):
        out = x.reshape(len(x), -1) @ coefficients.reshape(len(coefficients), -1).T  # (b, k)
    # inf − inf and 0 · inf occur only where a power of W overflowed: the true value is unknown, so the worst is taken.
    out[np.isnan(out)] = math.inf
    return out


def eta_c(U: Any, W: Any, V: Any, X: Any) -> Float:
    r"""Right-hand side of Lemma 1 for the ReLU network, :math:`\eta(\theta)c` of [1]_, sample by sample.

    By Lemma 1 this is equal to the derivative of the last output :math:`y_L` in the direction of the weights,
    :math:`\sum_{\theta_i}\theta_i\,\partial y_L/\partial\theta_i`.

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
        One row for each sample. The derivative of the ReLU at 0 counts as 0. Overflow gives ``inf``, never NaN.

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
    While every state is positive, the ReLU network is linear. A state of 0 forgets the inputs before it:

    >>> from sklstm.generalization.tu._fisher_rao import eta_c, tau_c
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
            # The ReLU would turn −inf into 0 and hide the overflow; NaN reaches the output.
            g[~np.isfinite(g)] = math.nan
            h = np.maximum(g, 0)
            f = h + np.where(g <= 0, 0.0, f @ w.T)
        out = (h + f) @ v.T
    out[np.isnan(out)] = math.inf
    return out


def fisher_rao_norm(U: Any, W: Any, V: Any, X: Any) -> float:
    r"""Fisher-Rao norm of the weights, :math:`r = \|\theta\|_{fs}` of equation (2) [1]_.

    .. math:: \|\theta\|_{fs}^2 = E \max_j \big[(\tau(\theta)c)_j\big]^2

    Here the expectation is over the rows of `X`. The norm is homogeneous of degree 1 in V and in U.

    Parameters
    ----------
    U, W, V : array-like or Tensor of shape (m, d), (m, m), (k, m)
        Weights of the network.
    X : array-like or Tensor of shape (n, L, d)

    Returns
    -------
    float
        The norm; ``inf`` once :math:`V W^{L-t} U` overflows, never NaN.

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
    return norm_of_tau_c(tau_c_of_arrays(u, w, v, as_sequences(X, u.shape[1])))


def norm_of_tau_c(tau: Float) -> float:
    r""":math:`\sqrt{E \max_j \tau_j^2}` of an array (n, k)."""
    return _root_mean_square(np.abs(tau).max(axis=1))


def _root_mean_square(values: Float) -> float:
    largest = float(np.abs(values).max())
    if math.isnan(largest):  # the network overflowed
        return math.inf
    if largest == 0 or math.isinf(largest):
        return largest
    # Divided by the largest before squaring: r may be a float64 where r² is not.
    return largest * math.sqrt(float(np.mean((values / largest) ** 2)))


def fisher_rao_norm_loss(U: Any, W: Any, V: Any, X: Any, y: Any, loss: Loss | None = None) -> float:
    r"""Fisher-Rao norm of Definition 1 [1]_, by differentiating the loss of each sample.

    .. math:: \|\theta\|_{fr}^2 = \langle\theta, I(\theta)\theta\rangle = E\langle\nabla_\theta l, \theta\rangle^2,
              \qquad I(\theta) = E[\nabla l \otimes \nabla l]

    Here the expectation is over the rows of `X` and their labels.

    Parameters
    ----------
    U, W, V : array-like or Tensor of shape (m, d), (m, m), (k, m)
        Weights of ``h_t = relu(U x_t + W h_{t-1})``, ``y = V h_L``, ``h_0 = 0``.
    X : array-like or Tensor of shape (n, L, d)
        Sequences.
    y : array-like of int of shape (n,)
        Class indices 0 to k − 1.
    loss : callable, optional
        Maps outputs (b, k) and labels (b,), both tensors, to the losses (b,) of the samples. By default cross-entropy.

    Returns
    -------
    float
        :math:`\|\theta\|_{fr}`, the root of the above; ``inf`` if the network overflows, never NaN.

    Raises
    ------
    ValueError
        If shapes do not fit together, a value is not finite, or `loss` does not return one loss per sample.

    Notes
    -----
    :math:`\langle\nabla_\theta l, \theta\rangle` is the derivative of :math:`l` at :math:`s\theta` by s at s = 1. Each
    sample has its own factor s, so that one backward pass gives the derivatives of all samples. The derivative of the
    ReLU at 0 counts as 0.

    References
    ----------
    .. [1] Z. Tu, F. He and D. Tao, "Understanding generalization in recurrent neural networks", ICLR 2020,
       Definition 1, after T. Liang, T. Poggio, A. Rakhlin and J. Stokes, arXiv:1711.01530, Definition 2.

    Examples
    --------
    With a loss that is the first output itself, one unit and one step, the derivative is twice the output:

    >>> from sklstm.generalization import fisher_rao_norm_loss
    >>> fisher_rao_norm_loss([[1.0]], [[0.5]], [[2.0], [0.0]], [[[3.0]]], [0], loss=lambda outputs, _: outputs[:, 0])
    12.0
    """
    u, w, v, x, labels = _checked(U, W, V, X, y)
    weights = tuple(torch.from_numpy(a) for a in (u, w, v))
    slopes = [
        _slopes_along_weights(weights, torch.from_numpy(np.array(rows)), part, loss)
        for rows, part in _labelled_chunks(x, labels, len(u) * x.shape[1])  # the graph keeps every state
    ]
    return _root_mean_square(np.concatenate(slopes))


def fisher_rao_norm_lemma_2(U: Any, W: Any, V: Any, X: Any, y: Any, loss: Loss | None = None) -> float:
    r"""The same norm by Lemma 2 [1]_, which needs no derivative with respect to the weights.

    .. math:: \|\theta\|_{fr}^2 = E\Big\langle \eta(\theta)c,\ \frac{\partial l(y_L, y)}{\partial y_L}\Big\rangle^2

    Parameters
    ----------
    U, W, V, X, y : array-like or Tensor
        As in :func:`fisher_rao_norm_loss`.
    loss : callable, optional
        As in :func:`fisher_rao_norm_loss`.

    Returns
    -------
    float
        The norm; ``inf`` if the network overflows, never NaN.

    Raises
    ------
    ValueError
        As in :func:`fisher_rao_norm_loss`.

    See Also
    --------
    eta_c : The first factor.

    References
    ----------
    .. [1] Z. Tu, F. He and D. Tao, "Understanding generalization in recurrent neural networks", ICLR 2020, Lemma 2.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm.generalization import fisher_rao_norm_loss
    >>> from sklstm.generalization.tu._fisher_rao import fisher_rao_norm_lemma_2
    >>> rng = np.random.default_rng(0)
    >>> data = rng.standard_normal((4, 2)), rng.standard_normal((4, 4)), rng.standard_normal((3, 4))  # U, W, V
    >>> data += rng.standard_normal((10, 5, 2)), rng.integers(3, size=10)  # X, y
    >>> bool(np.isclose(fisher_rao_norm_lemma_2(*data), fisher_rao_norm_loss(*data)))
    True
    """
    u, w, v, x, labels = _checked(U, W, V, X, y)
    slopes = []
    for rows, part in _labelled_chunks(x, labels, len(u)):
        with torch.enable_grad():
            outputs = torch.from_numpy(last_output(u, w, v, rows)).requires_grad_()
            (slope,) = torch.autograd.grad(_losses(loss, outputs, part).sum(), outputs)  # (b, k)
        with np.errstate(over="ignore", invalid="ignore"):
            slopes.append((_eta_c(u, w, v, rows) * slope.numpy()).sum(axis=1))
    return _root_mean_square(np.concatenate(slopes))


def _checked(U: Any, W: Any, V: Any, X: Any, y: Any) -> tuple[Float, Float, Float, Array, Tensor]:
    u, w, v = as_weights(U, W, V)
    x = as_sequences(X, u.shape[1])
    return u, w, v, x, torch.from_numpy(np.array(check_labels(y, len(x), len(v)), dtype=np.int64))


def _labelled_chunks(x: Array, labels: Tensor, width: int) -> Iterator[tuple[Float, Tensor]]:
    start = 0
    for rows in chunks(x, width):
        yield rows, labels[start : start + len(rows)]
        start += len(rows)


def _slopes_along_weights(weights: tuple[Tensor, ...], x: Tensor, labels: Tensor, loss: Loss | None) -> Float:
    u, w, v = weights
    with torch.enable_grad():
        s = torch.ones((len(x), 1), dtype=torch.float64, requires_grad=True)
        h = x.new_zeros((len(x), len(u)))
        for t in range(x.shape[1]):
            g = s * (x[:, t] @ u.T + h @ w.T)
            h = torch.relu(torch.where(torch.isfinite(g), g, torch.nan))
        (slope,) = torch.autograd.grad(_losses(loss, s * (h @ v.T), labels).sum(), s)
    return slope[:, 0].numpy()


def _losses(loss: Loss | None, outputs: Tensor, labels: Tensor) -> Tensor:
    if loss is None:
        return torch.nn.functional.cross_entropy(outputs, labels, reduction="none")
    losses = loss(outputs, labels)
    if not isinstance(losses, Tensor) or losses.shape != labels.shape:
        raise ValueError(f"loss must return a tensor of shape {tuple(labels.shape)}, one loss for each sample")
    return losses


def fisher_rao_upper(beta_u: float, beta_w: float, beta_v: float, input_bound: float, n_steps: int) -> float:
    r"""Upper bound on the Fisher-Rao norm (2) that needs no gradients, Remark 6 and section 3.4.3 of [1]_.

    .. math:: r \le \beta_V\beta_U B \sum_{m=0}^{L-1} (m + 2)\,\beta_W^m

    Parameters
    ----------
    beta_u, beta_w, beta_v : float
        Largest absolute row sums of U, W, V; non-negative.
    input_bound : float
        B, the largest absolute value over steps and channels: :math:`\|x\|_\infty \le B` for every sequence that the
        distribution can give.
    n_steps : int
        Number L of steps.

    Returns
    -------
    float
        The bound; ``inf`` on overflow, never NaN. Attained when all weights and inputs are positive and m = d = 1.

    Raises
    ------
    ValueError
        If a number is negative or NaN, or `n_steps` is not a positive integer.

    Notes
    -----
    The paper has two closed forms, for :math:`\beta_W < 1` and :math:`\beta_W = 1`. The sum holds for every
    :math:`\beta_W`. Gaussian and Laplace noise have no B: r over the noisy input then has no upper bound.

    References
    ----------
    .. [1] Z. Tu, F. He and D. Tao, "Understanding generalization in recurrent neural networks", ICLR 2020.

    Examples
    --------
    >>> from sklstm.generalization import fisher_rao_upper
    >>> fisher_rao_upper(1.0, 1.0, 1.0, 1.0, 4)  # (L² + 3L) / 2
    14.0
    """
    check_non_negative(beta_u=beta_u, beta_v=beta_v, input_bound=input_bound)
    return product(beta_v, beta_u, input_bound, capacity(beta_w, n_steps) + geometric_sum(beta_w, n_steps))


def fisher_rao_upper_closed_form(beta_u: float, beta_w: float, beta_v: float, input_bound: float) -> float:
    r"""Remark 6 as printed for :math:`\beta_W < 1`, where the paper drops the terms that fall with L.

    .. math:: r \le \beta_V\beta_U B\left(\frac{\beta_W}{(1-\beta_W)^2} + \frac{2}{1-\beta_W}\right)

    Parameters
    ----------
    beta_u : float
        As in :func:`fisher_rao_upper`, like the two at the end.
    beta_w : float
        In [0, 1).
    beta_v, input_bound : float
        As in :func:`fisher_rao_upper`.

    Returns
    -------
    float
        The limit of :func:`fisher_rao_upper` for :math:`L \to \infty`. The dropped terms are
        :math:`\beta_V\beta_U B\,\beta_W^L\,\big(1/(1-\beta_W)^2 + (L+1)/(1-\beta_W)\big)`.

    Raises
    ------
    ValueError
        If `beta_w` is not in [0, 1), or another number is negative or NaN.

    Examples
    --------
    >>> from sklstm.generalization import fisher_rao_upper
    >>> from sklstm.generalization.tu._fisher_rao import fisher_rao_upper_closed_form
    >>> fisher_rao_upper_closed_form(1.0, 0.5, 1.0, 1.0)
    6.0
    >>> [fisher_rao_upper(1.0, 0.5, 1.0, 1.0, n_steps) for n_steps in (1, 2, 100)]
    [2.0, 3.5, 6.0]
    """
    check_non_negative(beta_u=beta_u, beta_v=beta_v, input_bound=input_bound)
    if not 0 <= beta_w < 1:
        raise ValueError(f"the closed form needs beta_w in [0, 1), got {beta_w!r}. Use fisher_rao_upper.")
    rest = 1 - beta_w
    return product(beta_v, beta_u, input_bound, beta_w / rest**2 + 2 / rest)
