"""A margin bound for ReLU recurrent networks that falls with n: row norms in ℓ1, complexity O(1/√n)."""

import math
from typing import Any

import numpy as np

from sklstm.generalization._inputs import (
    Array,
    as_sequences,
    as_weights,
    check_delta,
    chunks,
    exponential,
)
from sklstm.generalization._terms import INDEPENDENCE
from sklstm.generalization._union import Charged, candidate_margins
from sklstm.generalization.tu._capacity import log_geometric_sum
from sklstm.generalization.tu._confidence import confidence_term
from sklstm.generalization.tu._convergent_result import RademacherBound
from sklstm.generalization.tu._labels import check_labels
from sklstm.generalization.tu._margins import check_margin, margins, ramp_loss
from sklstm.generalization.tu._norms import MaxNorms, row_sums

__all__ = ["rademacher_bound", "rademacher_row_norms"]


def rademacher_row_norms(X: Any, *, beta_u: float, beta_w: float, beta_v: float) -> float:
    r"""Bound on the empirical Rademacher complexity of ReLU recurrent networks with rows in ℓ1 balls.

    .. math:: E_\sigma \sup_{\theta, y} \frac1n \sum_{i=1}^n \sigma_i [y_L(x_i)]_y
              \le \beta_V S_L \sqrt{\frac{2\,Q\,\log(4 d \kappa)}{n}}

    .. math:: S_L = \beta_U \sum_{m<L} \beta_W^m, \qquad Q = \max_{t,c} \frac1n \sum_i x_{itc}^2, \qquad
              \kappa = \frac{\sum_{m<L} (2\beta_W)^m}{\sum_{m<L} \beta_W^m}

    over all networks, of any number of hidden units, with row sums at most :math:`\beta_U, \beta_W, \beta_V`. It takes
    the place of Theorem 1 of Tu et al. 2020 and needs neither :math:`\lambda_{\min}` nor the Fisher-Rao norm.

    Parameters
    ----------
    X : array-like or Tensor of shape (n, L, d)
        The sample.
    beta_u, beta_w, beta_v : float
        Non-negative.

    Returns
    -------
    float
        ``inf`` on overflow, never NaN.

    Raises
    ------
    ValueError
        If `X` is not a finite (n, L, d) array or a norm is negative or NaN.

    Notes
    -----
    The proof is in ``docs/theory/convergent_bound.md``. In short, with
    :math:`Z_t(\mu) = E\sup\exp(\mu|\sum_i\sigma_i h_t^j(x_i)|/S_t)`:
    symmetry of σ and the contraction principle for convex increasing functions give
    :math:`Z_t \le 2\,[(1-q_t)\,E e^{\mu\|\sum_i\sigma_i x_{it}\|_\infty} + q_t Z_{t-1}]` with
    :math:`q_t = \beta_W S_{t-1}/S_t`; unroll, and optimise μ.

    Examples
    --------
    Four times the data halve the bound:

    >>> import numpy as np
    >>> from sklstm.generalization import rademacher_row_norms
    >>> X = np.ones((100, 5, 1))
    >>> norms = {"beta_u": 1.0, "beta_w": 0.5, "beta_v": 1.0}
    >>> round(rademacher_row_norms(X, **norms) / rademacher_row_norms(np.repeat(X, 4, axis=0), **norms), 6)
    2.0
    """
    x = as_sequences(X)
    for name, beta in (("beta_u", beta_u), ("beta_w", beta_w), ("beta_v", beta_v)):
        if not beta >= 0:
            raise ValueError(f"{name} must be a non-negative number, got {beta!r}")
    return exponential(_log_complexity(x.shape, _root_mean_square(x), beta_u, beta_w, beta_v))


def rademacher_bound(
    U: Any,
    W: Any,
    V: Any,
    X: Any,
    y: Any,
    *,
    margin: float | None = 1.0,
    delta: float = 0.05,
    max_norms: MaxNorms = None,
) -> RademacherBound:
    r"""Bound on the error probability of a ReLU recurrent network that falls with n.

    With probability at least 1 − δ over the sample, for every network with row sums at most
    :math:`\beta_U, \beta_W, \beta_V`,

    .. math:: P(M \le 0) \le \frac1n \sum_i \Phi_\alpha(M_i)
              + \frac{4k}{\alpha}\,\beta_V S_L\sqrt{\frac{2\,Q\,\log(4d\kappa)}{n}} + 3\sqrt{\frac{\log(2/\delta)}{2n}}.

    It is Lemma 7 of Tu et al. 2020 [1]_ with :func:`rademacher_row_norms` in the place of Theorem 1. The first term is
    the ramp, as in that lemma; Theorem 2 replaces it by the larger :math:`1[M \le \alpha]`.

    Parameters
    ----------
    U, W, V : array-like or Tensor of shape (m, d), (m, m), (k, m)
        Weights of ``h_t = relu(U x_t + W h_{t-1})``, ``y = V h_L``, ``h_0 = 0``.
    X : array-like or Tensor of shape (n, L, d)
        Training sequences, without noise.
    y : array-like of int of shape (n,)
        Class indices 0 to k − 1; a class may be absent.
    margin : float or None, default=1.0
        :math:`\alpha > 0`, chosen before seeing the data. None chooses the best power of two and pays for the choice.
    delta : float, default=0.05
        The bound may fail with this probability.
    max_norms : mapping with keys "u", "w", "v", or sequence of three, optional
        Limits on the largest absolute row sums that training enforced, each a float or None. A norm without a limit is
        rounded up to a geometric grid and paid for; weights that break a limit are a ValueError.

    Returns
    -------
    RademacherBound
        Never NaN. A term too large for float64 is ``inf``.

    Raises
    ------
    ValueError
        If shapes do not fit, labels are not 0 to k − 1, or a parameter is out of its range.

    References
    ----------
    .. [1] Z. Tu, F. He and D. Tao, "Understanding generalization in recurrent neural networks", ICLR 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm.generalization import rademacher_bound
    >>> X = np.random.default_rng(0).uniform(0.5, 1.5, (500, 2, 1))
    >>> y = np.zeros(500, dtype=int)
    >>> limits = {"u": 1.0, "w": 1.0, "v": 1.0}  # fixed before the data is seen: nothing to pay for
    >>> bound = rademacher_bound([[1.0]], [[1.0]], [[1.0], [-1.0]], X, y, max_norms=limits)
    >>> bound.margin_loss, bound.log_price
    (0.0, 0.0)
    >>> bool(np.isclose(bound.value, bound.complexity_term + bound.confidence_term))
    True
    """
    check_margin(margin)
    check_delta(delta)
    u, w, v = as_weights(U, W, V)
    k, d = len(v), u.shape[1]
    x = as_sequences(X, d)
    n, L, _ = x.shape
    labels = check_labels(y, n, k)
    beta = row_sums((u, w, v), max_norms, norms="union", n_steps=L)
    root = _root_mean_square(x)
    log_complexity = _log_complexity(x.shape, root, beta.u, beta.w, beta.v)
    M = margins(u, w, v, x, labels)

    def evaluate(alpha: Charged) -> tuple[float, float, float, float, Charged]:
        loss = ramp_loss(M, alpha.value)
        complexity = exponential(math.log(4 * k) - math.log(alpha.value) + log_complexity)
        confidence = confidence_term(delta, n, beta.price + alpha.price)
        return loss + complexity + confidence, loss, complexity, confidence, alpha

    best = min((evaluate(alpha) for alpha in candidate_margins(M, margin)), key=lambda found: found[0])
    value, loss, complexity, confidence, alpha = best
    return RademacherBound(
        value=value,
        margin_loss=loss,
        complexity_term=complexity,
        confidence_term=confidence,
        rademacher=exponential(log_complexity),
        beta_u=beta.u,
        beta_w=beta.w,
        beta_v=beta.v,
        log_state_norm=_log(beta.u) + log_geometric_sum(beta.w, L),
        log_kappa=_log_kappa(beta.w, L),
        root_mean_square=root,
        n_samples=n,
        n_steps=L,
        n_classes=k,
        n_features=d,
        margin=alpha.value,
        delta=float(delta),
        log_price=beta.price + alpha.price,
        vacuous=value >= 1,
        assumptions=(
            INDEPENDENCE,
            *beta.sentences,
            "δ was chosen before seeing the data; the margin α after, on a grid of powers of 2 paid for in δ."
            if margin is None
            else "The margin α and δ were chosen before seeing the data.",
            "ReLU units, no biases, h_0 = 0, a prediction from the last state; the classes were fixed in advance.",
        ),
    )


def _root_mean_square(x: Array) -> float:
    """√Q of a sample (n, L, d)."""
    scale = max(float(np.abs(chunk).max()) for chunk in chunks(x))
    if scale == 0:
        return 0.0
    squares = np.zeros(x.shape[1:])
    for chunk in chunks(x):
        squares += np.square(chunk / scale).sum(axis=0)
    return scale * math.sqrt(float(squares.max()) / len(x))


def _log_complexity(shape: tuple[int, ...], root: float, beta_u: float, beta_w: float, beta_v: float) -> float:
    n, L, d = shape
    # A logarithm of 0 among logarithms that may be inf: what is exactly zero makes the product zero.
    if 0 in (root, beta_u, beta_v):
        return -math.inf
    logs = math.log(beta_v) + math.log(beta_u) + log_geometric_sum(beta_w, L) + math.log(root)
    return logs + (math.log(2 * (math.log(4 * d) + _log_kappa(beta_w, L))) - math.log(n)) / 2


def _log_kappa(beta_w: float, n_steps: int) -> float:
    # κ ≤ 2^(L−1), its limit for large β_W, where the two sums are both inf.
    limit = (n_steps - 1) * math.log(2)
    if math.isinf(2 * beta_w):
        return limit
    return min(max(log_geometric_sum(2 * beta_w, n_steps) - log_geometric_sum(beta_w, n_steps), 0.0), limit)


def _log(x: float) -> float:
    return math.log(x) if x > 0 else -math.inf
