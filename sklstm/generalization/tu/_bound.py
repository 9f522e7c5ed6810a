"""Theorems 2 and 3 of Tu et al. 2020: margin bounds for ReLU recurrent networks."""

import math
from typing import Any

import numpy as np

from sklstm.generalization._inputs import Array, Float, as_sequences, as_weights, check_delta, chunks, product
from sklstm.generalization._terms import INDEPENDENCE
from sklstm.generalization._union import Charged, candidate_margins, round_up
from sklstm.generalization.moments import gershgorin_lower_bound, input_norms, second_moment, smallest_eigenvalue
from sklstm.generalization.tu._capacity import capacity, weighted_geometric_sum
from sklstm.generalization.tu._confidence import confidence_term
from sklstm.generalization.tu._fisher_rao import _norm, _tau_c
from sklstm.generalization.tu._fisher_rao_loss import fisher_rao_norm_lemma_2
from sklstm.generalization.tu._labels import check_labels
from sklstm.generalization.tu._margins import check_margin, margin_loss, margins, ramp_loss
from sklstm.generalization.tu._norms import MaxNorms, row_sums
from sklstm.generalization.tu._rademacher import rademacher_tu
from sklstm.generalization.tu._remark_6 import fisher_rao_upper
from sklstm.generalization.tu._result import TuBound
from sklstm.generalization.tu._zhang import zhang_order
from sklstm.noise import Noise, noise_of_kind

__all__ = ["tu_bound"]


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

    Theorem 3, for ``sigma>0``: :math:`X` becomes the noisy sample, :math:`\lambda_{\min}` becomes
    :math:`\lambda_{\min} + \sigma^2`, the indicator becomes the ramp :math:`\Phi_\alpha`, and
    :math:`(2/\alpha)\sum_i \beta_V\beta_U\beta_W^{L-i}\,\sigma\sqrt{2\log 2d}` is added. For other noises than Gaussian
    :math:`E\|\epsilon_i\|_\infty` takes the place of :math:`\sigma\sqrt{2\log 2d}` (Remark 4).

    Parameters
    ----------
    U, W, V : array-like or Tensor of shape (m, d), (m, m), (k, m)
        Weights of ``h_t = relu(U x_t + W h_{t-1})``, ``y = V h_L``, ``h_0 = 0``.
    X : array-like or Tensor of shape (n, L, d)
        Clean training sequences.
    y : array-like of int of shape (n,)
        Class indices 0 to k − 1.
    margin : float or None, default=1.0
        :math:`\alpha > 0`, chosen before seeing the data. None, with ``norms="union"`` only, chooses the best power of
        two and pays for the choice.
    delta : float, default=0.05
        The bound may fail with this probability.
    sigma : float, default=0.0
        Standard deviation of the input noise; positive selects Theorem 3. Relative to each entry for dropout.
    noise : array-like or Tensor of shape (n, L, d), optional
        The noise :math:`\epsilon` added to `X`, one draw a sample, standard deviation `sigma` included.
        Required when ``sigma > 0``.
    noise_kind : {"gaussian", "uniform", "laplace", "dropout"}, default="gaussian"
        Its kind; a row of ``sklstm.noise.NOISES`` says what each contributes.
    lambda_min : float, optional
        Smallest eigenvalue of the second moment of the clean input; :func:`smallest_eigenvalue` of `X` if not
        given.
    lambda_min_estimated : bool, default=False
        Whether the `lambda_min` that is passed was itself estimated on this sample; `assumptions` says which.
    gershgorin : float, optional
        What :func:`gershgorin_lower_bound` gave, to be shown beside a `lambda_min` that is passed.
    max_norms : mapping with keys "u", "w", "v", or sequence of three, optional
        Limits on the largest absolute row sums that training enforced, each a float or None. Weights that
        keep to a limit are charged the limit, which costs nothing; what happens otherwise is up to `norms`.
    norms : {"measured", "union"}, default="measured"
        The theorem wants norms and r fixed before seeing the data. ``"measured"`` puts in what the weights have, as the
        paper does, and `assumptions` says that this is not what was proved. ``"union"`` rounds them up to a
        geometric grid and multiplies δ by the weights of the grid points, so that the theorem covers the choice.

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

    Examples
    --------
    A network of one unit that adds up its input; the output of one class is the sum, that of the other its negative:

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
    noise_law = noise_of_kind(noise_kind)
    _check_parameters(margin, delta, sigma, noise, lambda_min, norms)
    u, w, v = as_weights(U, W, V)
    k, d = len(v), u.shape[1]
    x = as_sequences(X, d)
    n, L, _ = x.shape
    labels = check_labels(y, n, k)
    epsilon = None
    if sigma > 0:
        epsilon = as_sequences(noise, d, name="noise")
        if epsilon.shape != x.shape:
            raise ValueError(f"noise must have the shape of X, {x.shape}; got {epsilon.shape}")
    beta = row_sums((u, w, v), max_norms, norms=norms, n_steps=L)
    r_measured, r_clean = _fisher_rao_norms(u, w, v, x, epsilon)
    r = round_up(r_measured) if norms == "union" else Charged(r_measured)
    given = lambda_min is not None and not lambda_min_estimated
    if lambda_min is None:
        eigenvalue, lower = moment_summary(x)
    else:
        eigenvalue, lower = float(lambda_min), -math.inf if gershgorin is None else float(gershgorin)
    frobenius, one = input_norms(x, epsilon)
    geometric, largest = _noise_sum(noise_law, x, sigma, beta.w)
    root_gain = sigma * noise_law.root_gain(x) if sigma > 0 else 0.0
    M = margins(u, w, v, x, labels, epsilon)

    def evaluate(alpha: Charged, r: Charged) -> dict[str, float]:
        complexity = rademacher_tu(
            fisher_rao=r.value,
            lambda_min=eigenvalue,
            input_norm_frobenius=frobenius,
            input_norm_1=one,
            beta_u=beta.u,
            beta_w=beta.w,
            beta_v=beta.v,
            n_samples=n,
            n_steps=L,
            root_gain=root_gain,
            factor=4 * k / alpha.value,
        )
        price = beta.price + r.price + alpha.price
        summands = {
            "margin_loss": ramp_loss(M, alpha.value) if sigma > 0 else margin_loss(M, alpha.value),
            "noise_term": product(2 / alpha.value, beta.v, beta.u, geometric, sigma, largest),
            "fisher_rao_term": complexity.fisher_rao_term,
            "norm_term": complexity.norm_term,
            "confidence_term": confidence_term(delta, n, price),
        }
        value = 0.0
        for summand in summands.values():
            value += summand
        return {"value": value, **summands, "margin": alpha.value, "log_price": price}

    evaluated = [(evaluate(alpha, r), alpha) for alpha in candidate_margins(M, margin)]
    best, alpha = min(evaluated, key=lambda pair: pair[0]["value"])
    upper = fisher_rao_upper(beta.u, beta.w, beta.v, _largest_input(x, epsilon), L)
    return TuBound(
        theorem="3" if sigma > 0 else "2",
        **best,
        beta_u=beta.u,
        beta_w=beta.w,
        beta_v=beta.v,
        fisher_rao=r.value,
        fisher_rao_clean=r_clean,
        lambda_min=eigenvalue,
        capacity=capacity(beta.w, L),
        input_norm_frobenius=frobenius,
        input_norm_1=one,
        n_samples=n,
        n_steps=L,
        n_classes=k,
        n_features=d,
        sigma=float(sigma),
        delta=float(delta),
        vacuous=best["value"] >= 1,
        assumptions=(
            INDEPENDENCE,
            *beta.sentences,
            *_assumptions(noise_law if sigma > 0 else None, norms, given, margin is None),
        ),
        noise_kind=noise_kind,
        norms=norms,
        rademacher=(best["fisher_rao_term"] + best["norm_term"]) * alpha.value / (4 * k),
        fisher_rao_upper=upper,
        fisher_rao_term_upper=evaluate(alpha, Charged(upper))["fisher_rao_term"],
        fisher_rao_loss=fisher_rao_norm_lemma_2(u, w, v, x, labels),
        gershgorin=lower,
        zhang_order=zhang_order(u, w, v, n_samples=n, n_steps=L, margin=alpha.value),
    )


def moment_summary(x: Array) -> tuple[float, float]:
    """Smallest eigenvalue of the second moment, and Gershgorin's lower bound on it.

    Parameters
    ----------
    x : ndarray of shape (n, L, d)

    Returns
    -------
    lambda_min : float
        0 where n < L·d, at no cost.
    gershgorin : float
        −inf there.

    Examples
    --------
    Two uncorrelated steps with mean squares 1 and 4:

    >>> import numpy as np
    >>> from sklstm.generalization import moment_summary
    >>> x = np.array([[[1.0], [2.0]], [[1.0], [-2.0]]])
    >>> lambda_min, gershgorin = moment_summary(x)
    >>> round(lambda_min, 6), round(gershgorin, 6)
    (1.0, 1.0)
    """
    if len(x) < math.prod(x.shape[1:]):
        return 0.0, -math.inf
    moment = second_moment(x)
    return smallest_eigenvalue(moment), gershgorin_lower_bound(moment)


def _largest_input(x: Array, epsilon: Array | None) -> float:
    """B of Remark 6 on the sample that the theorem is applied to."""
    pairs = ((part, 0.0) for part in chunks(x)) if epsilon is None else zip(chunks(x), chunks(epsilon), strict=True)
    return max(float(np.abs(values + noise).max()) for values, noise in pairs)


def _fisher_rao_norms(u: Float, w: Float, v: Float, x: Array, epsilon: Array | None) -> tuple[float, float]:
    """r over the inputs that the theorem is applied to, and over the clean ones."""
    tau = _tau_c(u, w, v, x)
    clean = _norm(tau)
    if epsilon is None:
        return clean, clean
    # τ is linear in x, so τ(x + ε) = τ(x) + τ(ε).
    with np.errstate(over="ignore", invalid="ignore"):
        tau += _tau_c(u, w, v, epsilon)
    tau[np.isnan(tau)] = math.inf
    return _norm(tau), clean


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
        raise ValueError("margin=None looks at the data for the best margin, which only norms='union' pays for")
    check_delta(delta)
    if not 0 <= sigma < math.inf:
        raise ValueError(f"sigma must be a non-negative number, got {sigma!r}")
    if sigma > 0 and noise is None:
        raise ValueError("sigma > 0 asks for Theorem 3, which needs the noise that was added to X: pass noise=")
    if sigma == 0 and noise is not None:
        raise ValueError("noise was given but sigma is 0; pass the standard deviation of the noise as sigma")
    if lambda_min is not None and not 0 <= lambda_min < math.inf:
        raise ValueError(f"lambda_min must be a non-negative number, got {lambda_min!r}")


def _assumptions(noise: Noise | None, norms: str, lambda_min_given: bool, margin_searched: bool) -> tuple[str, ...]:
    if norms == "union":
        r = (
            "r means an expectation over the distribution. It was estimated on the training sample, rounded up to a "
            "grid fixed in advance, and the choice is paid for in δ; that the true r is no larger is assumed."
        )
    else:
        r = (
            "The theorem wants r fixed before seeing the data and means an expectation over the distribution; "
            "r was read off the trained weights and the training sample."
        )
    eigenvalue = "λ_min is an expectation over the distribution; " + (
        "the caller supplied it." if lambda_min_given else "it was estimated on the training sample, as in the paper."
    )
    fixed = "The margin α, σ and δ were chosen before seeing the data."
    if margin_searched:
        fixed = (
            "σ and δ were chosen before seeing the data; the margin α after, on a grid of powers of 2 paid for in δ."
        )
    model = "ReLU units, no biases, h_0 = 0, a prediction from the last state; the classes were fixed in advance."
    sentences = [r, eigenvalue, fixed, model]
    if noise is not None:
        sentences.append(noise.law)
        if noise.estimated:
            sentences.append(
                f"{noise.largest_formula} and {noise.gain_formula} are expectations over the distribution; "
                "they were estimated on the training sample."
            )
    return tuple(sentences)
