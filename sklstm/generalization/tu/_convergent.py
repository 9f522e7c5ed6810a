"""A margin bound for recurrent networks that falls with n: row norms in ℓ1, complexity O(1/√n)."""

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from sklstm.generalization._bound import INDEPENDENCE, UNPAID, Term
from sklstm.generalization._bounded_losses import ErrorLoss
from sklstm.generalization._confidence import Charged, candidate_margins
from sklstm.generalization._theorem_inputs import (
    Array,
    as_sequences,
    as_weights,
    check_delta,
    check_labels,
    check_non_negative,
    chunks,
    exponential,
)

from ._margin_bound import (
    MODELS,
    MarginBound,
    MaxNorms,
    check_margin,
    confidence_term,
    margins,
    ramp_loss,
    row_sums,
)
from ._theorem_1 import log_geometric_sum


@dataclass(frozen=True, kw_only=True)
class RademacherBound(MarginBound):
    r"""Margin bound from the Rademacher complexity of networks with rows in ℓ1 balls.

    This is the result of :func:`rademacher_bound`. With probability at least 1 − `delta` the error probability of the
    trained network is at most `value`.

    Attributes
    ----------
    value : float
        The sum of the three terms that follow.
    margin_loss : float
        Mean of the ramp Φ_α(M) on the training data.
    complexity_term : float
        :math:`(4k/\alpha)` times `rademacher`; falls like :math:`1/\sqrt n`.
    confidence_term : float
        :math:`3\sqrt{(\log(2/\delta) + p)/(2n)}` with p the `log_price`.
    rademacher : float
        :math:`\beta_V S_L \sqrt{2 Q \log(4d\kappa)/n}`.
    beta_u, beta_w, beta_v : float
        Bounds on the largest absolute row sums of U, W, V: enforced limits, or rounded up to a grid.
    log_state_norm, log_kappa : float
        Logarithms of :math:`S_L = \beta_U\sum_{m<L}\beta_W^m`, −inf for 0, and of
        :math:`\kappa = \sum_{m<L}(2\beta_W)^m / \sum_{m<L}\beta_W^m`, since both may exceed float64.
    root_mean_square : float
        :math:`\sqrt Q`, the largest over steps and channels of the root mean square of the sample.
    n_samples, n_steps, n_classes, n_features : int
        n, L, k and d.
    margin, delta : float
        α and δ.
    log_price : float
        Price of the choices that were made after seeing the data: δ is multiplied by exp(−log_price).
    vacuous : bool
        True when `value` is 1 or more.
    guess : float
        Share of the samples that are not of the most frequent class: the error of always predicting this class.
    informative : bool
        True when `value` is below `guess`.
    assumptions : tuple of str
        Conditions under which the bound holds.

    Examples
    --------
    >>> import math
    >>> import numpy as np
    >>> from sklstm.generalization import rademacher_bound
    >>> X = np.ones((400, 3, 1))
    >>> bound = rademacher_bound(
    ...     [[1.0]], [[1.0]], [[1.0], [-1.0]], X, np.zeros(400, int), max_norms={"u": 1.0, "w": 1.0, "v": 1.0}
    ... )
    >>> round(bound.complexity_term / bound.rademacher, 6)  # 4k/α with two classes and α = 1
    8.0
    >>> round(math.exp(bound.log_state_norm), 3)  # S = 1 + 1 + 1, up to what float32 may add to the limits
    3.0
    >>> round(math.exp(bound.log_kappa), 3)  # κ = (1 + 2 + 4) / (1 + 1 + 1)
    2.333
    >>> bool(bound.at_delta(0.01).value > bound.value)
    True
    """

    _summands = ("margin_loss", "complexity_term")

    margin_loss: float
    complexity_term: float
    rademacher: float
    beta_u: float
    beta_w: float
    beta_v: float
    log_state_norm: float
    log_kappa: float
    root_mean_square: float
    n_steps: int
    n_classes: int
    n_features: int
    margin: float
    assumptions: tuple[str, ...]

    @property
    def name(self) -> str:
        """Key of this bound in a report, "rademacher"."""
        return "rademacher"

    @property
    def terms(self) -> tuple[Term, ...]:
        """The summands first, then the other numbers in the bound."""
        return (
            Term("margin_loss", self.margin_loss, "mean ramp loss Φ_α(M) on the training data"),
            Term("complexity_term", self.complexity_term, "(4k/α) β_V S_L √(2 Q log(4dκ) / n); falls like 1/√n"),
            Term("confidence_term", self.confidence_term, "3 √((log(2/δ) + log_price) / 2n)"),
            Term("log_price", self.log_price, "price of norms and α chosen after seeing the data, log(1/weight)"),
            Term(
                "rademacher", self.rademacher, "β_V S_L √(2 Q log(4dκ) / n), bounds the empirical Rademacher complexity"
            ),
            Term("beta_u", self.beta_u, "β_U, bounds the largest absolute row sum of U"),
            Term("beta_w", self.beta_w, "β_W, bounds the largest absolute row sum of W"),
            Term("beta_v", self.beta_v, "β_V, bounds the largest absolute row sum of V"),
            Term("log_state_norm", self.log_state_norm, "log S_L, S_L = β_U Σ_{m<L} β_W^m"),
            Term("log_kappa", self.log_kappa, "log κ, κ = Σ_{m<L} (2β_W)^m / Σ_{m<L} β_W^m"),
            Term("root_mean_square", self.root_mean_square, "√Q, largest root mean square of a step and channel"),
            Term("n_samples", self.n_samples, "n, sequences"),
            Term("n_steps", self.n_steps, "L, time steps"),
            Term("n_classes", self.n_classes, "k, classes"),
            Term("n_features", self.n_features, "d, channels"),
            Term("margin", self.margin, "α, margin"),
        )


def rademacher_row_norms(X: Any, *, beta_u: float, beta_w: float, beta_v: float) -> float:
    r"""Bound on the empirical Rademacher complexity of recurrent networks with rows in ℓ1 balls.

    .. math:: E_\sigma \sup_{\theta, y} \frac1n \sum_{i=1}^n \sigma_i [y_L(x_i)]_y
              \le \beta_V S_L \sqrt{\frac{2\,Q\,\log(4 d \kappa)}{n}}

    .. math:: S_L = \beta_U \sum_{m<L} \beta_W^m, \qquad Q = \max_{t,c} \frac1n \sum_i x_{itc}^2, \qquad
              \kappa = \frac{\sum_{m<L} (2\beta_W)^m}{\sum_{m<L} \beta_W^m}

    The supremum is over all networks, of any number of hidden units, with row sums at most
    :math:`\beta_U, \beta_W, \beta_V`. The activation must be 0 at 0 and move no farther than its argument, as the ReLU
    and tanh do. This replaces Theorem 1 of Tu et al. 2020, which is about the ReLU. It needs neither
    :math:`\lambda_{\min}` nor the Fisher-Rao norm.

    Parameters
    ----------
    X : array-like or Tensor of shape (n, L, d)
        The sample.
    beta_u, beta_w, beta_v : float
        Largest absolute row sums of U, W, V; non-negative.

    Returns
    -------
    float
        The bound; ``inf`` on overflow, never NaN.

    Raises
    ------
    ValueError
        If `X` is not a finite (n, L, d) array or a norm is negative or NaN.

    Notes
    -----
    The proof is in ``docs/theory/convergent_bound.md``. In short, let
    :math:`Z_t(\mu) = E\sup\exp(\mu|\sum_i\sigma_i h_t^j(x_i)|/S_t)` and :math:`q_t = \beta_W S_{t-1}/S_t`. The symmetry
    of σ and the contraction principle for convex increasing functions give :math:`Z_t \le 2\,[(1-q_t)\,E
    e^{\mu\|\sum_i\sigma_i x_{it}\|_\infty} + q_t Z_{t-1}]`. The recursion is unrolled, and the bound minimised over μ.

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
    check_non_negative(beta_u=beta_u, beta_w=beta_w, beta_v=beta_v)
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
    activation: Literal["relu", "tanh"] = "relu",
) -> RademacherBound:
    r"""Bound on the error probability of a recurrent network that falls with n.

    With probability at least 1 − δ over the sample, for every network with row sums at most
    :math:`\beta_U, \beta_W, \beta_V`,

    .. math:: P(M \le 0) \le \frac1n \sum_i \Phi_\alpha(M_i)
              + \frac{4k}{\alpha}\,\beta_V S_L\sqrt{\frac{2\,Q\,\log(4d\kappa)}{n}} + 3\sqrt{\frac{\log(2/\delta)}{2n}}.

    It is Lemma 7 of Tu et al. 2020 [1]_ with :func:`rademacher_row_norms` instead of Theorem 1. The first term is the
    ramp, as in that lemma; Theorem 2 replaces it by the larger :math:`1[M \le \alpha]`.

    Parameters
    ----------
    U, W, V : array-like or Tensor of shape (m, d), (m, m), (k, m)
        Weights of ``h_t = activation(U x_t + W h_{t-1})``, ``y = V h_L``, ``h_0 = 0``.
    X : array-like or Tensor of shape (n, L, d)
        Training sequences, without noise.
    y : array-like of int of shape (n,)
        Class indices 0 to k − 1; a class may be absent.
    margin : float or None, default=1.0
        :math:`\alpha > 0`, chosen before seeing the data. With None the best power of two is chosen, and δ is reduced
        for this choice.
    delta : float, default=0.05
        The bound holds with probability at least ``1 - delta``.
    max_norms : mapping with keys "u", "w", "v", or sequence of three, optional
        Limits on the largest absolute row sums that training enforced, each a float or None. A norm without a limit is
        rounded up to a geometric grid, and δ is reduced for this choice. Weights that exceed a limit are a
        ``ValueError``.
    activation : {"relu", "tanh"}, default="relu"
        Activation of the units. The complexity is the same for both, but the outputs, and so the margins, are not.

    Returns
    -------
    RademacherBound
        The bound with its numbers, never NaN. A term that is too large for float64 is ``inf``.

    Raises
    ------
    ValueError
        If shapes do not fit, labels are not 0 to k − 1, a parameter is out of its range, or the activation is unknown.

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
    if activation not in MODELS:
        raise ValueError(f"activation must be one of {', '.join(map(repr, MODELS))}, got {activation!r}")
    u, w, v = as_weights(U, W, V)
    k, d = len(v), u.shape[1]
    x = as_sequences(X, d)
    n, L, _ = x.shape
    labels = check_labels(y, n, k)
    beta = row_sums((u, w, v), max_norms, norms="union", n_steps=L)
    root = _root_mean_square(x)
    log_complexity = _log_complexity(x.shape, root, beta.u, beta.w, beta.v)
    M = margins(u, w, v, x, labels, activation=activation)

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
        **beta.fields,
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
        guess=ErrorLoss().of_best_constant(labels),
        assumptions=(
            INDEPENDENCE,
            *beta.sentences,
            "δ was chosen before seeing the data. The margin α was chosen after, on a grid of powers of 2; δ was "
            "reduced for it."
            if margin is None
            else "The margin α and δ were chosen before seeing the data.",
            MODELS[activation],
            UNPAID,
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
    # A factor that is exactly zero makes the product zero, even if the logarithm of another is inf.
    if 0 in (root, beta_u, beta_v):
        return -math.inf
    logs = math.log(beta_v) + math.log(beta_u) + log_geometric_sum(beta_w, L) + math.log(root)
    return logs + (math.log(2 * (math.log(4 * d) + _log_kappa(beta_w, L))) - math.log(n)) / 2


def _log_kappa(beta_w: float, n_steps: int) -> float:
    # κ ≤ 2^(L−1), which is its limit for large β_W. There both sums are inf.
    limit = (n_steps - 1) * math.log(2)
    if math.isinf(2 * beta_w):
        return limit
    return min(max(log_geometric_sum(2 * beta_w, n_steps) - log_geometric_sum(beta_w, n_steps), 0.0), limit)


def _log(x: float) -> float:
    return math.log(x) if x > 0 else -math.inf
