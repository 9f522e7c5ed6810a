"""What Theorems 2 and 3 of Tu et al. 2020 evaluate to, one number a field."""

from dataclasses import dataclass

from sklstm.generalization._terms import Term
from sklstm.generalization.tu._margin_bound import MarginBound
from sklstm.noise import noise_of_kind

__all__ = ["TuBound"]


@dataclass(frozen=True, kw_only=True)
class TuBound(MarginBound):
    r"""Theorem 2 or 3 of Tu et al. 2020 [1]_ with its numbers filled in; made by :func:`tu_bound`.

    With probability at least 1 − `delta` the error probability of the trained network is at most `value`.

    Attributes
    ----------
    theorem : {"2", "3"}
        Theorem 2 without noise, Theorem 3 with noise.
    value : float
        The bound: the sum of the five terms that follow.
    margin_loss : float
        Mean of 1[M ≤ α] (Theorem 2), or of the ramp Φ_α(M) on the noisy sample (Theorem 3).
    noise_term : float
        :math:`(2/\alpha) \sum_i \beta_V\beta_U\beta_W^{L-i}\,E\|\epsilon_i\|_\infty`, where Gaussian noise has
        :math:`\sigma\sqrt{2\log 2d}` in the place of the expectation; 0 in Theorem 2.
    fisher_rao_term : float
        :math:`(4k/\alpha)\, r \|X\|_F / (2 n \sqrt{\lambda_{\min} + \sigma^2})`.
    norm_term : float
        :math:`(4k/\alpha)\, \beta_V\beta_U \|X^\top\|_1 \Lambda / n`. It does not fall with n, since
        :math:`\|X^\top\|_1` grows like n.
    confidence_term : float
        :math:`3\sqrt{(\log(2/\delta) + p)/(2n)}` with p the `log_price`.
    beta_u, beta_w, beta_v : float
        Bounds on the largest absolute row sums of U, W, V: enforced limits, measured on the weights, or rounded up to a
        grid.
    fisher_rao : float
        r of equation (2), over the inputs that the bound is applied to: the noisy sample in Theorem 3. Rounded up to a
        grid if `norms` is "union".
    fisher_rao_clean : float
        r of equation (2) over the clean inputs.
    lambda_min : float
        Smallest eigenvalue of the second moment of the clean, flattened input; Theorem 3 adds σ² to it, or what another
        noise is worth.
    capacity : float
        Λ of Theorem 1.
    input_norm_frobenius, input_norm_1 : float
        :math:`\|X\|_F` and :math:`\|X^\top\|_1`, of the noisy sample in Theorem 3.
    n_samples, n_steps, n_classes, n_features : int
        n, L, k and d.
    sigma, delta, margin : float
        σ, δ and α.
    vacuous : bool
        True when `value` is 1 or more, which it always is: ``docs/theory/tu.md`` has the proof.
    assumptions : tuple of str
        What has to be true for the statement to hold.
    noise_kind : str
        Key of ``sklstm.noise.NOISES``; without meaning in Theorem 2.
    norms : {"measured", "union"}
        Whether norms and r were read off the weights, or rounded up to a grid and paid for.
    rademacher : float
        Theorem 1, the Rademacher complexity: the sum of its two terms, without the factor 4k/α.
    fisher_rao_upper, fisher_rao_term_upper : float
        Remark 6: the bound on r from the norms and the largest input of the sample, and `fisher_rao_term` with it in
        the place of r.
    fisher_rao_loss : float
        Definition 1 with cross-entropy, by Lemma 2, over the clean training data.
    gershgorin : float
        Lower bound on `lambda_min` of section 3.4.1; −inf where it was not computed, since n < L·d or `lambda_min` was
        given.
    zhang_order : float
        The bound of Zhang et al. 2018 in order of magnitude, without its constant.
    log_price : float
        What the choices made after seeing the data cost: δ is multiplied by exp(−log_price).

    References
    ----------
    .. [1] Z. Tu, F. He and D. Tao, "Understanding generalization in recurrent neural networks", ICLR 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm.generalization import tu_bound
    >>> X = np.random.default_rng(0).standard_normal((500, 2, 1))
    >>> noise = 0.5 * np.random.default_rng(1).standard_normal(X.shape)
    >>> bound = tu_bound([[1.0]], [[0.5]], [[1.0], [-1.0]], X, (X.sum((1, 2)) < 0).astype(int), sigma=0.5, noise=noise)
    >>> bound.name, round(bound.noise_term, 3)  # (2/α) β_V β_U (1 + β_W) σ √(2 log 2d), d = 1
    ('theorem_3', 1.766)
    >>> bool(np.isclose(2 * 1.5 * 0.5 * np.sqrt(2 * np.log(2)), bound.noise_term))
    True
    >>> strict = bound.at_delta(0.01)
    >>> strict.norm_term == bound.norm_term, strict.confidence_term > bound.confidence_term
    (True, True)
    """

    _summands = ("margin_loss", "noise_term", "fisher_rao_term", "norm_term")

    theorem: str
    margin_loss: float
    noise_term: float
    fisher_rao_term: float
    norm_term: float
    beta_u: float
    beta_w: float
    beta_v: float
    fisher_rao: float
    fisher_rao_clean: float
    lambda_min: float
    capacity: float
    input_norm_frobenius: float
    input_norm_1: float
    n_steps: int
    n_classes: int
    n_features: int
    sigma: float
    margin: float
    assumptions: tuple[str, ...]
    rademacher: float
    fisher_rao_upper: float
    fisher_rao_term_upper: float
    fisher_rao_loss: float
    gershgorin: float
    zhang_order: float
    noise_kind: str = "gaussian"
    norms: str = "measured"

    @property
    def name(self) -> str:
        """Key of this bound in a report: "theorem_2" or "theorem_3", with "_union" if norms were paid for."""
        return f"theorem_{self.theorem}" + ("_union" if self.norms == "union" else "")

    @property
    def terms(self) -> tuple[Term, ...]:
        """The summands first, then the numbers they are made of."""
        noisy = self.theorem == "3"
        on = "the noisy training sample" if noisy else "the training data"
        loss = "mean ramp loss Φ_α(M)" if noisy else "share of samples with margin M ≤ α,"
        law = noise_of_kind(self.noise_kind)
        root = f"(λ_min + {law.gain_formula})" if noisy else "λ_min"
        price = f"price of the noise, (2/α) Σ_i β_V β_U β_W^(L−i) {law.largest_formula}"
        confidence = "3 √(log(2/δ) / 2n)" if self.norms == "measured" else "3 √((log(2/δ) + log_price) / 2n)"
        paid = Term("log_price", self.log_price, "what norms, r and α chosen after seeing the data cost, log(1/weight)")
        return (
            Term("margin_loss", self.margin_loss, f"{loss} on {on}"),
            *((Term("noise_term", self.noise_term, price),) if noisy else ()),
            Term("fisher_rao_term", self.fisher_rao_term, f"(4k/α) r ‖X‖_F / (2n √{root})"),
            Term("norm_term", self.norm_term, "(4k/α) β_V β_U ‖Xᵀ‖₁ Λ / n; does not fall with n"),
            Term("confidence_term", self.confidence_term, confidence),
            *((paid,) if self.norms == "union" else ()),
            Term("beta_u", self.beta_u, "β_U, largest absolute row sum of U"),
            Term("beta_w", self.beta_w, "β_W, largest absolute row sum of W"),
            Term("beta_v", self.beta_v, "β_V, largest absolute row sum of V"),
            Term("fisher_rao", self.fisher_rao, f"r, Fisher-Rao norm (2) over {on}"),
            Term("fisher_rao_clean", self.fisher_rao_clean, "r over the clean training data"),
            Term("fisher_rao_upper", self.fisher_rao_upper, "what r can be at most, from norms and inputs (Remark 6)"),
            Term("fisher_rao_term_upper", self.fisher_rao_term_upper, "fisher_rao_term with that in the place of r"),
            Term("fisher_rao_loss", self.fisher_rao_loss, "Fisher-Rao norm of Definition 1, with cross-entropy"),
            Term("rademacher", self.rademacher, "Rademacher complexity of Theorem 1"),
            Term("zhang_order", self.zhang_order, "order of the bound of Zhang et al. 2018, without its constant"),
            Term("lambda_min", self.lambda_min, "smallest eigenvalue of E[xxᵀ] of the clean input"),
            Term("gershgorin", self.gershgorin, "lower bound on it from correlations (section 3.4.1)"),
            Term("capacity", self.capacity, "Λ = Σ_{m<L} (m+1) β_W^m, growth with the sequence length"),
            Term("input_norm_frobenius", self.input_norm_frobenius, f"‖X‖_F of {on}"),
            Term("input_norm_1", self.input_norm_1, f"‖Xᵀ‖₁ of {on}"),
            Term("n_samples", self.n_samples, "n, sequences"),
            Term("n_steps", self.n_steps, "L, time steps"),
            Term("n_classes", self.n_classes, "k, classes"),
            Term("n_features", self.n_features, "d, channels"),
            Term("sigma", self.sigma, "σ, standard deviation of the input noise"),
            Term("margin", self.margin, "α, margin"),
        )
