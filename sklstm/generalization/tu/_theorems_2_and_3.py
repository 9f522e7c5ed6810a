"""Theorems 2 and 3 of Tu et al. 2020: margin bounds for ReLU recurrent networks."""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray

from sklstm.generalization._bound import INDEPENDENCE, UNPAID, Term
from sklstm.generalization._bounded_losses import ErrorLoss
from sklstm.generalization._confidence import Charged, candidate_margins, round_up
from sklstm.generalization._eigenvalue import gershgorin_lower_bound, smallest_eigenvalue
from sklstm.generalization._second_moment import SecondMoment, second_moment
from sklstm.generalization._theorem_inputs import (
    Array,
    Float,
    as_array,
    as_sequences,
    as_weights,
    check_delta,
    check_labels,
    exponential,
    noisy_chunks,
    product,
)
from sklstm.linalg import spectral_norm
from sklstm.noise import Noise, RepeatedNoise, noise_of_kind

from ._fisher_rao import (
    fisher_rao_norm_lemma_2,
    fisher_rao_upper,
    norm_of_tau_c,
    tau_c_coefficients,
    tau_c_of_arrays,
    tau_c_of_chunk,
)
from ._margin_bound import (
    MODELS,
    MarginBound,
    MaxNorms,
    check_margin,
    confidence_term,
    margin_loss,
    margins_of_chunk,
    ramp_loss,
    row_sums,
)
from ._theorem_1 import capacity, rademacher_tu, weighted_geometric_sum


@dataclass(frozen=True, kw_only=True)
class TuBound(MarginBound):
    r"""Theorem 2 or 3 of Tu et al. 2020 [1]_ with its numbers, the result of :func:`tu_bound`.

    With probability at least 1 − `delta` the error probability of the trained network is at most `value`.

    Attributes
    ----------
    theorem : {"2", "3"}
        "2" without noise, "3" with noise.
    value : float
        The bound: the sum of the five terms that follow.
    margin_loss : float
        Mean of 1[M ≤ α] (Theorem 2), or of the ramp Φ_α(M) on the noisy sample (Theorem 3).
    noise_term : float
        :math:`(2/\alpha) \sum_i \beta_V\beta_U\beta_W^{L-i}\,E\|\epsilon_i\|_\infty`; 0 in Theorem 2. Gaussian noise
        has :math:`\sigma\sqrt{2\log 2d}` instead of the expectation.
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
        r of equation (2) over the inputs of the bound: the noisy sample in Theorem 3. Rounded up to a grid if `norms`
        is "union".
    fisher_rao_clean : float
        r of equation (2) over the clean inputs.
    lambda_min : float
        Smallest eigenvalue of the second moment of the clean, flattened input. Theorem 3 adds σ² to it for Gaussian
        noise; ``sklstm.noise.NOISES`` has the summand of the other kinds.
    capacity : float
        Λ of Theorem 1.
    input_norm_frobenius, input_norm_1 : float
        :math:`\|X\|_F` and :math:`\|X^\top\|_1`, of the noisy sample in Theorem 3.
    n_samples, n_steps, n_classes, n_features : int
        n, L, k and d.
    sigma, delta, margin : float
        σ, δ and α.
    vacuous : bool
        True when `value` is 1 or more. It always is; ``docs/theory/tu.md`` has the proof.
    assumptions : tuple of str
        Conditions under which the bound holds.
    noise_kind : str
        Key of ``sklstm.noise.NOISES``. Theorem 2 does not use it.
    norms : {"measured", "union"}
        Whether norms and r are those of the weights, or rounded up to a grid with a reduced δ.
    rademacher : float
        Rademacher complexity of Theorem 1: the sum of its two terms, without the factor 4k/α.
    fisher_rao_upper, fisher_rao_term_upper : float
        Remark 6: the bound on r from the norms and the largest input of the sample, and `fisher_rao_term` at this r.
    fisher_rao_loss : float
        Definition 1 with cross-entropy, by Lemma 2, over the clean training data.
    gershgorin : float
        Lower bound on `lambda_min` of section 3.4.1. It is −inf if it was not computed: if n < L·d, or if `lambda_min`
        was given without it.
    zhang_order : float
        Order of magnitude of the bound of Zhang et al. 2018, without its constant.
    log_price : float
        Price of the choices that were made after seeing the data: δ is multiplied by exp(−log_price).
    guess : float
        Share of the samples that are not of the most frequent class: the error of always predicting this class.
    informative : bool
        True when `value` is below `guess`. It never is.

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
    can_fail = False  # never below 1, see docs/theory/tu.md

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
        """Key of this bound in a report: "theorem_2" or "theorem_3", with "_union" if norms were rounded to a grid."""
        return f"theorem_{self.theorem}" + ("_union" if self.norms == "union" else "")

    @property
    def terms(self) -> tuple[Term, ...]:
        """The summands first, then the other numbers in the bound."""
        noisy = self.theorem == "3"
        on = "the noisy training sample" if noisy else "the training data"
        loss = "mean ramp loss Φ_α(M)" if noisy else "share of samples with margin M ≤ α,"
        law = noise_of_kind(self.noise_kind)
        root = f"(λ_min + {law.gain_formula})" if noisy else "λ_min"
        price = f"price of the noise, (2/α) Σ_i β_V β_U β_W^(L−i) {law.largest_formula}"
        confidence = "3 √(log(2/δ) / 2n)" if self.norms == "measured" else "3 √((log(2/δ) + log_price) / 2n)"
        paid = Term("log_price", self.log_price, "price of norms, r and α chosen after seeing the data, log(1/weight)")
        return (
            Term("margin_loss", self.margin_loss, f"{loss} on {on}"),
            *((Term("noise_term", self.noise_term, price),) if noisy else ()),
            Term("fisher_rao_term", self.fisher_rao_term, f"(4k/α) r ‖X‖_F / (2n √{root})"),
            Term("norm_term", self.norm_term, "(4k/α) β_V β_U ‖Xᵀ‖₁ Λ / n; does not fall with n"),
            Term("confidence_term", self.confidence_term, confidence),
            *((paid,) if self.norms == "union" else ()),
            Term("beta_u", self.beta_u, "β_U, bounds the largest absolute row sum of U"),
            Term("beta_w", self.beta_w, "β_W, bounds the largest absolute row sum of W"),
            Term("beta_v", self.beta_v, "β_V, bounds the largest absolute row sum of V"),
            Term("fisher_rao", self.fisher_rao, f"r, bounds the Fisher-Rao norm (2) over {on}"),
            Term("fisher_rao_clean", self.fisher_rao_clean, "that norm over the clean training data"),
            Term(
                "fisher_rao_upper",
                self.fisher_rao_upper,
                f"upper limit of the norm over {on}, from row sums and inputs (Remark 6)",
            ),
            Term("fisher_rao_term_upper", self.fisher_rao_term_upper, "fisher_rao_term with that limit instead of r"),
            Term("fisher_rao_loss", self.fisher_rao_loss, "Fisher-Rao norm of Definition 1, with cross-entropy"),
            Term("rademacher", self.rademacher, "bounds the Rademacher complexity, Theorem 1"),
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


def tu_bound(
    U: Any,
    W: Any,
    V: Any,
    X: Any,
    y: Any,
    *,
    margin: float | None = 1.0,
    delta: float = 0.05,
    sigma: float = 0.0,
    noise: Any = None,
    noise_kind: str = "gaussian",
    lambda_min: float | None = None,
    lambda_min_estimated: bool = False,
    gershgorin: float | None = None,
    max_norms: MaxNorms = None,
    norms: str = "measured",
) -> TuBound:
    r"""Bound on the error probability of a ReLU recurrent network, Theorem 2 or 3 of [1]_.

    Theorem 2, for ``sigma=0``, with :math:`M` the margin and :math:`\Lambda` the :func:`capacity`:

    .. math:: \frac1n \sum_i 1[M_i \le \alpha]
              + \frac{4k}{\alpha}\left(\frac{r\|X\|_F}{2n\sqrt{\lambda_{\min}}}
              + \frac{\beta_V\beta_U\|X^\top\|_1\Lambda}{n}\right) + 3\sqrt{\frac{\log(2/\delta)}{2n}}

    Theorem 3, for ``sigma>0``, differs in four points. :math:`X` becomes the noisy sample, and :math:`\lambda_{\min}`
    becomes :math:`\lambda_{\min} + \sigma^2`. The indicator becomes the ramp :math:`\Phi_\alpha`, and
    :math:`(2/\alpha)\sum_i \beta_V\beta_U\beta_W^{L-i}\,\sigma\sqrt{2\log 2d}` is added. For other noises than Gaussian
    :math:`E\|\epsilon_i\|_\infty` replaces :math:`\sigma\sqrt{2\log 2d}` (Remark 4).

    Parameters
    ----------
    U, W, V : array-like or Tensor of shape (m, d), (m, m), (k, m)
        Weights of ``h_t = relu(U x_t + W h_{t-1})``, ``y = V h_L``, ``h_0 = 0``.
    X : array-like or Tensor of shape (n, L, d)
        Clean training sequences.
    y : array-like of int of shape (n,)
        Class indices 0 to k − 1.
    margin : float or None, default=1.0
        :math:`\alpha > 0`, chosen before seeing the data. With None the best power of two is chosen, and δ is reduced
        for this choice; that needs ``norms="union"``.
    delta : float, default=0.05
        The bound holds with probability at least ``1 - delta``.
    sigma : float, default=0.0
        Standard deviation of the input noise; positive selects Theorem 3. Relative to each entry for dropout.
    noise : array-like or Tensor of shape (n, L, d), optional
        The noise :math:`\epsilon` that was added to `X`, one draw for each sample, already multiplied by `sigma`.
        Required when ``sigma > 0``.
    noise_kind : {"gaussian", "uniform", "laplace", "dropout"}, default="gaussian"
        Kind of the noise, a key of ``sklstm.noise.NOISES``.
    lambda_min : float, optional
        Smallest eigenvalue of the second moment of the clean input; by default :func:`smallest_eigenvalue` of `X`.
    lambda_min_estimated : bool, default=False
        Whether the given `lambda_min` was estimated on this sample; `assumptions` says so.
    gershgorin : float, optional
        Result of :func:`gershgorin_lower_bound`, shown next to a given `lambda_min`.
    max_norms : mapping with keys "u", "w", "v", or sequence of three, optional
        Limits on the largest absolute row sums that training enforced, each a float or None. A limit that the weights
        keep is the norm in the bound, at no cost in δ. In all other cases `norms` decides.
    norms : {"measured", "union"}, default="measured"
        The theorem requires norms and r that are fixed before seeing the data. ``"measured"`` takes those of the
        trained weights, as the paper does, and `assumptions` says that this was not proved. ``"union"`` rounds them up
        to a geometric grid and multiplies δ by the weights of the grid points, so that the theorem covers the choice.

    Returns
    -------
    TuBound
        The bound with its numbers, never NaN. A term that is too large for float64 is ``inf``.

    Raises
    ------
    ValueError
        If shapes do not fit, labels are not 0 to k − 1, or a parameter is out of its range.

    Notes
    -----
    The proof of Theorem 3 applies Theorem 2 to :math:`x + \epsilon`. It therefore needs the Fisher-Rao norm over the
    noisy input, although (2) as printed is over the clean input. The noisy norm, ``fisher_rao``, is part of the value;
    the clean one is kept as ``fisher_rao_clean``.

    When :math:`\lambda_{\min} + \sigma^2 = 0` the Fisher-Rao term is ``inf`` even for r = 0: the theorem assumes a
    positive definite second moment.

    References
    ----------
    .. [1] Z. Tu, F. He and D. Tao, "Understanding generalization in recurrent neural networks", ICLR 2020.

    Examples
    --------
    A network of one unit that adds up its input. The outputs of the two classes are the sum and its negative:

    >>> import numpy as np
    >>> from sklstm.generalization import tu_bound
    >>> X = np.random.default_rng(0).uniform(0.5, 1.5, (500, 2, 1))
    >>> y = np.zeros(500, dtype=int)
    >>> bound = tu_bound([[1.0]], [[1.0]], [[1.0], [-1.0]], X, y)  # the margin is twice the sum, above 1
    >>> bound.theorem, bound.margin_loss, bound.capacity, bound.beta_w
    ('2', 0.0, 3.0, 1.0)
    >>> parts = bound.margin_loss + bound.fisher_rao_term + bound.norm_term + bound.confidence_term
    >>> bool(np.isclose(bound.value, parts)), bound.vacuous
    (True, True)
    """
    theorem = _Theorem(U, W, V, X, y, margin, delta, sigma, noise, noise_kind, lambda_min, max_norms, norms)
    evaluate, beta = theorem.evaluate, theorem.beta
    u, w, v, x, epsilon = *theorem.weights, theorem.x, theorem.epsilon
    n, L, d = x.shape
    best, alpha = theorem.best()
    upper = fisher_rao_upper(beta.u, beta.w, beta.v, theorem.sample.largest, L)
    if lambda_min is None:
        gershgorin = gershgorin_lower_bound(theorem.moment) if theorem.moment is not None else None
    given = lambda_min is not None and not lambda_min_estimated
    return TuBound(
        theorem="3" if sigma > 0 else "2",
        **best,
        **beta.fields,
        fisher_rao=theorem.r.value,
        fisher_rao_clean=norm_of_tau_c(tau_c_of_arrays(u, w, v, x)) if epsilon is not None else theorem.sample.r,
        lambda_min=theorem.lambda_min,
        capacity=capacity(beta.w, L),
        input_norm_frobenius=theorem.sample.frobenius,
        input_norm_1=theorem.sample.one,
        n_samples=n,
        n_steps=L,
        n_classes=len(v),
        n_features=d,
        sigma=float(sigma),
        delta=float(delta),
        vacuous=best["value"] >= 1,
        guess=ErrorLoss().of_best_constant(theorem.labels),
        assumptions=(
            INDEPENDENCE,
            *beta.sentences,
            *_assumptions(theorem.law if sigma > 0 else None, norms, given, margin is None),
            UNPAID,
        ),
        noise_kind=noise_kind,
        norms=norms,
        rademacher=(best["fisher_rao_term"] + best["norm_term"]) * alpha.value / (4 * len(v)),
        fisher_rao_upper=upper,
        fisher_rao_term_upper=evaluate(alpha, Charged(upper))["fisher_rao_term"],
        fisher_rao_loss=fisher_rao_norm_lemma_2(u, w, v, x, theorem.labels),
        gershgorin=-math.inf if gershgorin is None else float(gershgorin),
        zhang_order=zhang_order(u, w, v, n_samples=n, n_steps=L, margin=alpha.value),
    )


def tu_value(
    U: Any,
    W: Any,
    V: Any,
    X: Any,
    y: Any,
    *,
    margin: float | None = 1.0,
    delta: float = 0.05,
    sigma: float = 0.0,
    noise: Any = None,
    noise_kind: str = "gaussian",
    max_norms: MaxNorms = None,
) -> float:
    """``value`` of `tu_bound` for these arguments, without the other numbers of a report: one pass over the sample."""
    theorem = _Theorem(U, W, V, X, y, margin, delta, sigma, noise, noise_kind, None, max_norms, "measured")
    return theorem.best()[0]["value"]


class _Sample(NamedTuple):
    """The numbers of a sample (n, L, d) with its noise: margins (n,), r, both norms, largest entry."""

    margins: Float
    r: float
    frobenius: float
    one: float
    largest: float

    @classmethod
    def of(
        cls, weights: tuple[Float, Float, Float], x: Array, epsilon: Array | None, labels: NDArray[np.integer]
    ) -> Self:
        """All of them in one pass: noise is drawn again whenever it is read."""
        u, w, v = weights
        coefficients = tau_c_coefficients(u, w, v, x.shape[1])
        margins, tau, frobenius, largest = np.empty(len(x)), np.empty((len(x), len(v))), 0.0, 0.0
        columns = np.zeros(x.shape[1:])
        start = 0
        for rows in noisy_chunks(x, epsilon, len(u)):
            part = slice(start, start + len(rows))
            margins[part] = margins_of_chunk(u, w, v, rows, labels[part])
            tau[part] = tau_c_of_chunk(coefficients, rows)
            absolute = np.abs(rows)
            with np.errstate(over="ignore"):
                frobenius = math.hypot(frobenius, float(np.linalg.norm(rows)))
                columns += absolute.sum(axis=0)
            largest = max(largest, float(absolute.max()))
            start = part.stop
        return cls(margins, norm_of_tau_c(tau), frobenius, float(columns.max()), largest)


class _Theorem:
    """Theorem 2 or 3 for one network and one sample: its numbers, and its value for a margin and an r.

    Parameters are those of `tu_bound`, which are checked here.
    """

    def __init__(
        self,
        U: Any,
        W: Any,
        V: Any,
        X: Any,
        y: Any,
        margin: float | None,
        delta: float,
        sigma: float,
        noise: Any,
        noise_kind: str,
        lambda_min: float | None,
        max_norms: MaxNorms,
        norms: str,
    ):
        self.law = noise_of_kind(noise_kind)
        _check_parameters(margin, delta, sigma, noise, lambda_min, norms)
        self.weights = as_weights(U, W, V)
        self.x = as_sequences(X, self.weights[0].shape[1])
        self.labels = check_labels(y, len(self.x), len(self.weights[2]))
        self.epsilon: Array | None = None
        if sigma > 0:
            self.epsilon = _noise_like(noise, self.x)
        self.margin, self.delta, self.sigma = margin, delta, sigma
        self.beta = row_sums(self.weights, max_norms, norms=norms, n_steps=self.x.shape[1])
        self.sample = _Sample.of(self.weights, self.x, self.epsilon, self.labels)
        self.r = round_up(self.sample.r) if norms == "union" else Charged(self.sample.r)
        self.moment: SecondMoment | None = None
        if lambda_min is not None:
            self.lambda_min = float(lambda_min)
        elif len(self.x) < math.prod(self.x.shape[1:]):
            self.lambda_min = 0.0
        else:
            self.moment = second_moment(self.x)
            self.lambda_min = smallest_eigenvalue(self.moment)
        self.geometric, self.largest = _noise_sum(self.law, self.x, sigma, self.beta.w)
        self.root_gain = sigma * self.law.root_gain(self.x) if sigma > 0 else 0.0

    def evaluate(self, alpha: Charged, r: Charged) -> dict[str, float]:
        """Value and summands for a margin and a Fisher-Rao norm."""
        beta, (n, L, _), k = self.beta, self.x.shape, len(self.weights[2])
        complexity = rademacher_tu(
            fisher_rao=r.value,
            lambda_min=self.lambda_min,
            input_norm_frobenius=self.sample.frobenius,
            input_norm_1=self.sample.one,
            n_samples=n,
            n_steps=L,
            **beta.fields,
            root_gain=self.root_gain,
            factor=4 * k / alpha.value,
        )
        price = beta.price + r.price + alpha.price
        loss = ramp_loss if self.sigma > 0 else margin_loss
        summands = {
            "margin_loss": loss(self.sample.margins, alpha.value),
            "noise_term": product(2 / alpha.value, beta.v, beta.u, self.geometric, self.sigma, self.largest),
            "fisher_rao_term": complexity.fisher_rao_term,
            "norm_term": complexity.norm_term,
            "confidence_term": confidence_term(self.delta, n, price),
        }
        value = 0.0
        for summand in summands.values():
            value += summand
        return {"value": value, **summands, "margin": alpha.value, "log_price": price}

    def best(self) -> tuple[dict[str, float], Charged]:
        """Value and summands at the best margin, and the margin."""
        margins = candidate_margins(self.sample.margins, self.margin)
        evaluated = [(self.evaluate(alpha, self.r), alpha) for alpha in margins]
        return min(evaluated, key=lambda pair: pair[0]["value"])


def _noise_like(noise: Any, x: Array) -> Array:
    # Drawn noise is finite, and to draw it once more for a check costs as much as the rest.
    epsilon = as_array(noise) if isinstance(noise, RepeatedNoise) else as_sequences(noise, x.shape[2], name="noise")
    if epsilon.shape != x.shape:
        raise ValueError(f"noise must have the shape of X, {x.shape}; got {epsilon.shape}")
    return epsilon


def _noise_sum(noise: Noise, x: Array, sigma: float, beta_w: float) -> tuple[float, float]:
    r"""Two factors whose product with σ is :math:`\sum_i \beta_W^{L-i} E\|\epsilon_i\|_\infty`."""
    if sigma == 0:
        return 0.0, 0.0
    expected = noise.expected_largest(x, sigma)  # (L,)
    largest = float(expected.max())
    if largest == 0:
        return 0.0, 0.0
    return weighted_geometric_sum(beta_w, (expected / largest).tolist()), largest


def _check_parameters(
    margin: float | None, delta: float, sigma: float, noise: Any, lambda_min: float | None, norms: str
) -> None:
    if norms not in ("measured", "union"):
        raise ValueError(f"norms must be 'measured' or 'union', got {norms!r}")
    check_margin(margin)
    if margin is None and norms != "union":
        raise ValueError("margin=None chooses the best margin from the data, which needs norms='union'")
    check_delta(delta)
    if not 0 <= sigma < math.inf:
        raise ValueError(f"sigma must be a non-negative number, got {sigma!r}")
    if sigma > 0 and noise is None:
        raise ValueError("sigma > 0 means Theorem 3, which needs the noise that was added to X: pass noise")
    if sigma == 0 and noise is not None:
        raise ValueError("noise was given but sigma is 0; pass the standard deviation of the noise as sigma")
    if lambda_min is not None and not 0 <= lambda_min < math.inf:
        raise ValueError(f"lambda_min must be a non-negative number, got {lambda_min!r}")


def _assumptions(noise: Noise | None, norms: str, lambda_min_given: bool, margin_searched: bool) -> tuple[str, ...]:
    if norms == "union":
        r = (
            "r should be an expectation over the distribution. It was estimated on the training sample and rounded "
            "up to a grid fixed in advance; δ was reduced for this choice. It is assumed that the true r is no "
            "larger."
        )
    else:
        r = (
            "The theorem needs an r that is fixed before seeing the data and is an expectation over the "
            "distribution. Here r was measured on the trained weights and the training sample."
        )
    eigenvalue = "λ_min is an expectation over the distribution; " + (
        "the caller supplied it." if lambda_min_given else "it was estimated on the training sample, as in the paper."
    )
    fixed = "The margin α, σ and δ were chosen before seeing the data."
    if margin_searched:
        fixed = (
            "σ and δ were chosen before seeing the data. The margin α was chosen after, on a grid of powers of 2; δ "
            "was reduced for it."
        )
    sentences = [r, eigenvalue, fixed, MODELS["relu"]]
    if noise is not None:
        sentences.append(noise.law)
        if noise.estimated:
            sentences.append(
                f"{noise.largest_formula} and {noise.gain_formula} are expectations over the distribution; "
                "they were estimated on the training sample."
            )
    return tuple(sentences)


def zhang_order(U: Any, W: Any, V: Any, *, n_samples: int, n_steps: int, margin: float = 1.0) -> float:
    r"""Order of magnitude of the bound of Zhang et al. 2018, as quoted in section 3.2 of [1]_. It is no bound.

    .. math:: \frac{\max\{d, m, k\}\, L^2\, \|U\|_2\|V\|_2 \max\{1, \|W\|_2^L\}}{\sqrt n\,\alpha}

    [1]_ gives it inside an O(·), without constants and possibly without logarithms. Its value shows how that bound
    grows with size, length and norms. It cannot be compared with an error probability.

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
        The bound; ``inf`` on overflow, never NaN.

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
    check_margin(margin)
    u, w, v = as_weights(U, W, V)
    of_u, of_w, of_v = (_spectral_norm(a) for a in (u, w, v))
    if 0.0 in (of_u, of_v):
        return 0.0
    numerator = math.log(max(u.shape[1], *v.shape)) + 2 * math.log(n_steps) + math.log(of_u) + math.log(of_v)
    growth = n_steps * math.log(max(1.0, of_w))
    return exponential(numerator + growth - math.log(n_samples) / 2 - math.log(margin))


def _spectral_norm(matrix: Float) -> float:
    # `spectral_norm` squares the entries, in the Gram matrix: they are divided by the largest first.
    scale = float(abs(matrix).max()) or 1.0
    return scale * float(spectral_norm(torch.from_numpy(matrix / scale)))
