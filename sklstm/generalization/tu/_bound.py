"""Theorems 2 and 3 of Tu et al. 2020: margin bounds for ReLU recurrent networks."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sklstm.generalization._inputs import Float, as_array, as_sequences, as_weights, check_delta, product
from sklstm.generalization._terms import INDEPENDENCE
from sklstm.generalization.moments._moments import input_norms, smallest_eigenvalue
from sklstm.generalization.tu._capacity import capacity, geometric_sum
from sklstm.generalization.tu._fisher_rao import _norm, _tau_c
from sklstm.generalization.tu._margins import margin_loss, margins, ramp_loss
from sklstm.generalization.tu._result import TuBound
from sklstm.linalg import max_row_sum

__all__ = ["tu_bound"]

# Training in float32 keeps a row sum below its limit up to a few ulps per column. Such weights belong to the
# class with the limit enlarged by this factor, a class that is fixed in advance just as well.
_FLOAT32_SLACK = 1 + 1e-5


def tu_bound(
    U: Any,
    W: Any,
    V: Any,
    X: Any,
    y: Any,
    *,
    margin: float = 1.0,
    delta: float = 0.05,
    sigma: float = 0.0,
    noise: Any = None,
    lambda_min: float | None = None,
    max_norms: Mapping[str, float | None] | Sequence[float | None] | None = None,
) -> TuBound:
    r"""Bound on the error probability of a ReLU recurrent network, Theorem 2 or 3 of [1]_.

    Theorem 2, for ``sigma=0``, with :math:`M` the margin and :math:`\Lambda` the :func:`capacity`:

    .. math:: \frac1n \sum_i 1[M_i \le \alpha]
              + \frac{4k}{\alpha}\left(\frac{r\|X\|_F}{2n\sqrt{\lambda_{\min}}}
              + \frac{\beta_V\beta_U\|X^\top\|_1\Lambda}{n}\right) + 3\sqrt{\frac{\log(2/\delta)}{2n}}

    Theorem 3, for ``sigma>0``: :math:`X` becomes the noisy sample, :math:`\lambda_{\min}` becomes
    :math:`\lambda_{\min} + \sigma^2`, the indicator becomes the ramp :math:`\Phi_\alpha`, and
    :math:`(2/\alpha)\sum_i \beta_V\beta_U\beta_W^{L-i}\,\sigma\sqrt{2\log 2d}` is added.

    Parameters
    ----------
    U, W, V : array-like or Tensor of shape (m, d), (m, m), (k, m)
        Weights of ``h_t = relu(U x_t + W h_{t-1})``, ``y = V h_L``, ``h_0 = 0``.
    X : array-like or Tensor of shape (n, L, d)
        Clean training sequences.
    y : array-like of int of shape (n,)
        Class indices 0 to k − 1.
    margin : float, default=1.0
        :math:`\alpha > 0`.
    delta : float, default=0.05
        The bound may fail with this probability.
    sigma : float, default=0.0
        Standard deviation of the Gaussian input noise; positive selects Theorem 3.
    noise : array-like or Tensor of shape (n, L, d), optional
        The noise :math:`\epsilon` added to `X`, one draw a sample, standard deviation `sigma` included.
        Required when ``sigma > 0``.
    lambda_min : float, optional
        Smallest eigenvalue of the second moment of the clean input; :func:`smallest_eigenvalue` of `X` if not
        given.
    max_norms : mapping with keys "u", "w", "v", or sequence of three, optional
        Limits on the largest absolute row sums that training enforced, each a float or None. Weights that
        keep to a limit are charged the limit; otherwise the sum measured on the weights is used, and
        `assumptions` says so.

    Returns
    -------
    TuBound
        Never NaN. A term too large for float64 is ``inf``.

    Raises
    ------
    ValueError
        If shapes do not fit, labels are not 0 to k − 1, or a parameter is out of its range.

    Notes
    -----
    The proof of Theorem 3 applies Theorem 2 to :math:`x + \epsilon`. What it needs below r is therefore the
    Fisher-Rao norm over the noisy input, although (2), read as printed, is over the clean one. The noisy one
    enters the value as ``fisher_rao``; the clean one is kept as ``fisher_rao_clean``.

    When :math:`\lambda_{\min} + \sigma^2 = 0` the Fisher-Rao term is ``inf`` even for r = 0: the theorem
    assumes a positive definite second moment and says nothing without it.

    References
    ----------
    .. [1] Z. Tu, F. He and D. Tao, "Understanding generalization in recurrent neural networks", ICLR 2020.
    """
    _check_parameters(margin, delta, sigma, noise, lambda_min)
    u, w, v = as_weights(U, W, V)
    k, d = len(v), u.shape[1]
    x = as_sequences(X, d)
    n, L, _ = x.shape
    labels = _check_labels(y, n, k)
    epsilon = None
    if sigma > 0:
        epsilon = as_sequences(noise, d, name="noise")
        if epsilon.shape != x.shape:
            raise ValueError(f"noise must have the shape of X, {x.shape}; got {epsilon.shape}")
    (beta_u, beta_w, beta_v), norm_assumptions = _norm_bounds((u, w, v), max_norms)

    # τ is linear in x, so τ(x + ε) = τ(x) + τ(ε).
    tau = _tau_c(u, w, v, x)
    r_clean = _norm(tau)
    r = r_clean
    if epsilon is not None:
        with np.errstate(over="ignore", invalid="ignore"):
            tau += _tau_c(u, w, v, epsilon)
        tau[np.isnan(tau)] = math.inf
        r = _norm(tau)

    given = lambda_min is not None
    eigenvalue = smallest_eigenvalue(x) if lambda_min is None else float(lambda_min)
    frobenius, one = input_norms(x, epsilon)
    Lambda = capacity(beta_w, L)
    root = math.hypot(math.sqrt(eigenvalue), sigma)  # √(λ_min + σ²)
    fisher_rao_term = product(4 * k / margin, r, frobenius, 1 / (2 * n), 1 / root) if root > 0 else math.inf
    norm_term = product(4 * k / margin, beta_v, beta_u, one, Lambda, 1 / n)
    noise_term = product(2 / margin, beta_v, beta_u, geometric_sum(beta_w, L), sigma, math.sqrt(2 * math.log(2 * d)))
    confidence_term = 3 * math.sqrt(math.log(2 / delta) / (2 * n))
    M = margins(u, w, v, x, labels, epsilon)
    loss = ramp_loss(M, margin) if sigma > 0 else margin_loss(M, margin)
    value = loss + noise_term + fisher_rao_term + norm_term + confidence_term
    return TuBound(
        theorem="3" if sigma > 0 else "2",
        value=value,
        margin_loss=loss,
        noise_term=noise_term,
        fisher_rao_term=fisher_rao_term,
        norm_term=norm_term,
        confidence_term=confidence_term,
        beta_u=beta_u,
        beta_w=beta_w,
        beta_v=beta_v,
        fisher_rao=r,
        fisher_rao_clean=r_clean,
        lambda_min=eigenvalue,
        capacity=Lambda,
        input_norm_frobenius=frobenius,
        input_norm_1=one,
        n_samples=n,
        n_steps=L,
        n_classes=k,
        n_features=d,
        sigma=float(sigma),
        delta=float(delta),
        margin=float(margin),
        vacuous=value >= 1,
        assumptions=(INDEPENDENCE, *norm_assumptions, *_assumptions(sigma, given)),
    )


def _check_parameters(margin: float, delta: float, sigma: float, noise: Any, lambda_min: float | None) -> None:
    if not 0 < margin < math.inf:
        raise ValueError(f"margin must be a positive number, got {margin!r}")
    check_delta(delta)
    if not 0 <= sigma < math.inf:
        raise ValueError(f"sigma must be a non-negative number, got {sigma!r}")
    if sigma > 0 and noise is None:
        raise ValueError("sigma > 0 asks for Theorem 3, which needs the noise that was added to X: pass noise=")
    if sigma == 0 and noise is not None:
        raise ValueError("noise was given but sigma is 0; pass the standard deviation of the noise as sigma")
    if lambda_min is not None and not 0 <= lambda_min < math.inf:
        raise ValueError(f"lambda_min must be a non-negative number, got {lambda_min!r}")


def _check_labels(y: Any, n: int, k: int) -> NDArray[np.integer]:
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


def _norm_bounds(
    weights: tuple[Float, Float, Float], max_norms: Mapping[str, float | None] | Sequence[float | None] | None
) -> tuple[tuple[float, ...], tuple[str, ...]]:
    """β_U, β_W, β_V and the sentences that say where each comes from."""
    if max_norms is None:
        limits: tuple[float | None, ...] = (None, None, None)
    elif isinstance(max_norms, Mapping):
        if not set(max_norms) <= {"u", "w", "v"}:
            raise ValueError(f"max_norms has keys 'u', 'w', 'v'; got {sorted(max_norms)}")
        limits = tuple(max_norms.get(key) for key in ("u", "w", "v"))
    else:
        limits = tuple(max_norms)
    if len(limits) != 3 or any(limit is not None and not 0 < limit < math.inf for limit in limits):
        raise ValueError(f"max_norms needs three limits (U, W, V), each a positive number or None; got {max_norms!r}")
    betas, enforced, measured = [], [], []
    for letter, matrix, limit in zip("UWV", weights, limits, strict=True):
        beta = float(max_row_sum(torch.from_numpy(matrix)))
        if limit is not None and beta <= limit * _FLOAT32_SLACK:
            beta = float(limit) if beta <= limit else limit * _FLOAT32_SLACK
            enforced.append(f"β_{letter} = {beta:.6g}")
        else:
            measured.append(f"β_{letter}")
        betas.append(beta)
    sentences = []
    if enforced:
        sentences.append(f"Row-sum limits were enforced in advance: {', '.join(enforced)}.")
    if measured:
        sentences.append(
            "The theorem wants the norms fixed before seeing the data; "
            f"{', '.join(measured)} were read off the trained weights."
        )
    return tuple(betas), tuple(sentences)


def _assumptions(sigma: float, lambda_min_given: bool) -> tuple[str, ...]:
    r = (
        "The theorem wants r fixed before seeing the data and means an expectation over the distribution; "
        "r was read off the trained weights and the training sample."
    )
    eigenvalue = "λ_min is an expectation over the distribution; " + (
        "the caller supplied it." if lambda_min_given else "it was estimated on the training sample, as in the paper."
    )
    fixed = "The margin α, σ and δ were chosen before seeing the data."
    model = "The network has ReLU units, no biases, h_0 = 0, and predicts from its last state."
    noise = "The noise is Gaussian with independent entries of standard deviation σ, independent of the data."
    return (r, eigenvalue, fixed, model, *((noise,) if sigma > 0 else ()))
