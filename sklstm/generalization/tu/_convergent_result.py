"""What the bound that falls with n evaluates to, one number a field."""

from dataclasses import dataclass

from sklstm.generalization._terms import Term
from sklstm.generalization.tu._margin_bound import MarginBound

__all__ = ["RademacherBound"]


@dataclass(frozen=True, kw_only=True)
class RademacherBound(MarginBound):
    r"""Margin bound from the Rademacher complexity of networks with rows in ℓ1 balls.

    Made by :func:`rademacher_bound`. With probability at least 1 − `delta` the error probability of the trained network
    is at most `value`.

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
        What the choices made after seeing the data cost: δ is multiplied by exp(−log_price).
    vacuous : bool
        True when `value` is 1 or more.
    assumptions : tuple of str
        What has to be true for the statement to hold.

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
    >>> round(math.exp(bound.log_state_norm), 6)  # S = 1 + 1 + 1
    3.0
    >>> round(math.exp(bound.log_kappa), 6)  # κ = (1 + 2 + 4) / (1 + 1 + 1)
    2.333333
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
        """The summands first, then the numbers they are made of."""
        return (
            Term("margin_loss", self.margin_loss, "mean ramp loss Φ_α(M) on the training data"),
            Term("complexity_term", self.complexity_term, "(4k/α) β_V S_L √(2 Q log(4dκ) / n); falls like 1/√n"),
            Term("confidence_term", self.confidence_term, "3 √((log(2/δ) + log_price) / 2n)"),
            Term("log_price", self.log_price, "what norms and α chosen after seeing the data cost, log(1/weight)"),
            Term("rademacher", self.rademacher, "β_V S_L √(2 Q log(4dκ) / n), empirical Rademacher complexity"),
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
