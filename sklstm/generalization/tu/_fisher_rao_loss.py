"""The Fisher-Rao norm through gradients of a loss: Definition 1 of Tu et al. 2020, and Lemma 2."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sklstm.generalization._inputs import Float, as_sequences, as_weights, chunks
from sklstm.generalization.tu._fisher_rao import _eta_c
from sklstm.generalization.tu._labels import check_labels
from sklstm.generalization.tu._margins import last_output

__all__ = ["fisher_rao_norm_lemma_2", "fisher_rao_norm_loss"]

# Outputs (b, k) and class indices (b,) to losses (b,), differentiable in the outputs.
Loss = Callable[[Tensor, Tensor], Tensor]


def fisher_rao_norm_loss(U: Any, W: Any, V: Any, X: Any, y: Any, loss: Loss | None = None) -> float:
    r"""Fisher-Rao norm of Definition 1 [1]_, by differentiating the loss of each sample.

    .. math:: \|\theta\|_{fr}^2 = \langle\theta, I(\theta)\theta\rangle = E\langle\nabla_\theta l, \theta\rangle^2,
              \qquad I(\theta) = E[\nabla l \otimes \nabla l]

    with the expectation over the rows of `X` and their labels.

    Parameters
    ----------
    U, W, V : array-like or Tensor of shape (m, d), (m, m), (k, m)
        Weights of ``h_t = relu(U x_t + W h_{t-1})``, ``y = V h_L``, ``h_0 = 0``.
    X : array-like or Tensor of shape (n, L, d)
        Sequences.
    y : array-like of int of shape (n,)
        Class indices 0 to k − 1.
    loss : callable, optional
        Outputs (b, k) and labels (b,), both tensors, to the losses (b,) of the samples. Cross-entropy if not given.

    Returns
    -------
    float
        :math:`\|\theta\|_{fr}`, the root of the above; ``inf`` where the network leaves float64, never NaN.

    Raises
    ------
    ValueError
        If shapes do not fit together, a value is not finite, or `loss` does not return one loss a sample.

    Notes
    -----
    :math:`\langle\nabla_\theta l, \theta\rangle` is the derivative of :math:`l` at :math:`s\theta` by s at s = 1. With
    a factor s of its own for each sample, one backward pass gives it for all of them. The derivative of the ReLU at 0
    is taken to be 0.

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
    u, w, v = as_weights(U, W, V)
    x = as_sequences(X, u.shape[1])
    labels = torch.from_numpy(np.array(check_labels(y, len(x), len(v)), dtype=np.int64))
    weights = tuple(torch.from_numpy(a) for a in (u, w, v))
    slopes, start = [], 0
    for chunk in chunks(x, len(u) * x.shape[1]):  # the graph keeps every state
        part = labels[start : start + len(chunk)]
        slopes.append(_slopes_along_weights(weights, torch.from_numpy(np.array(chunk)), part, loss))
        start += len(chunk)
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
        ``inf`` where the network leaves float64, never NaN.

    Raises
    ------
    ValueError
        As :func:`fisher_rao_norm_loss`.

    See Also
    --------
    eta_c : The first factor.

    References
    ----------
    .. [1] Z. Tu, F. He and D. Tao, "Understanding generalization in recurrent neural networks", ICLR 2020, Lemma 2.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm.generalization import fisher_rao_norm_lemma_2, fisher_rao_norm_loss
    >>> rng = np.random.default_rng(0)
    >>> data = rng.standard_normal((4, 2)), rng.standard_normal((4, 4)), rng.standard_normal((3, 4))  # U, W, V
    >>> data += rng.standard_normal((10, 5, 2)), rng.integers(3, size=10)  # X, y
    >>> bool(np.isclose(fisher_rao_norm_lemma_2(*data), fisher_rao_norm_loss(*data)))
    True
    """
    u, w, v = as_weights(U, W, V)
    x = as_sequences(X, u.shape[1])
    labels = torch.from_numpy(np.array(check_labels(y, len(x), len(v)), dtype=np.int64))
    slopes, start = [], 0
    for chunk in chunks(x, len(u)):
        part = labels[start : start + len(chunk)]
        with torch.enable_grad():
            outputs = torch.from_numpy(last_output(u, w, v, chunk)).requires_grad_()
            (slope,) = torch.autograd.grad(_losses(loss, outputs, part).sum(), outputs)  # (b, k)
        with np.errstate(over="ignore", invalid="ignore"):
            slopes.append((_eta_c(u, w, v, chunk) * slope.numpy()).sum(axis=1))
        start += len(chunk)
    return _root_mean_square(np.concatenate(slopes))


def _slopes_along_weights(weights: tuple[Tensor, ...], x: Tensor, labels: Tensor, loss: Loss | None) -> Float:
    u, w, v = weights
    with torch.enable_grad():
        s = torch.ones((len(x), 1), dtype=torch.float64, requires_grad=True)
        h = x.new_zeros((len(x), len(u)))
        for t in range(x.shape[1]):
            g = s * (x[:, t] @ u.T + h @ w.T)
            # A ReLU would turn −inf into a quiet 0; as NaN the overflow reaches the output.
            h = torch.relu(torch.where(torch.isfinite(g), g, torch.nan))
        (slope,) = torch.autograd.grad(_losses(loss, s * (h @ v.T), labels).sum(), s)
    return slope[:, 0].numpy()


def _losses(loss: Loss | None, outputs: Tensor, labels: Tensor) -> Tensor:
    if loss is None:
        return torch.nn.functional.cross_entropy(outputs, labels, reduction="none")
    losses = loss(outputs, labels)
    if not isinstance(losses, Tensor) or losses.shape != labels.shape:
        raise ValueError(f"loss must return a tensor of shape {tuple(labels.shape)}, one loss a sample")
    return losses


def _root_mean_square(slopes: Float) -> float:
    largest = float(np.abs(slopes).max())
    if math.isnan(largest):  # the network left float64 on the way
        return math.inf
    if largest == 0 or math.isinf(largest):
        return largest
    return largest * math.sqrt(float(np.mean((slopes / largest) ** 2)))
