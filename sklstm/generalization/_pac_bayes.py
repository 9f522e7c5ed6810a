r"""PAC-Bayes: the loss on new data of a network with random weights, from a Gaussian around a trained prior.

**How δ is divided.** Nine tenths are for the theorem, divided among the candidates for the prior. One tenth is for the
limit on the mean loss of the posterior, which is known from draws only. ``docs/theory/pac_bayes.md`` has the proof.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

import torch
from torch import Tensor, nn

from sklstm.generalization._bound import INDEPENDENCE, UNPAID, LossBound, Term
from sklstm.generalization._confidence import kl_inverse
from sklstm.generalization._holdout import best_price
from sklstm.generalization._theorem_inputs import check_delta

#: Share of δ for the limit on the posterior's mean loss.
_FOR_DRAWS = 0.1


@dataclass(frozen=True, eq=False)
class GaussianWeights:
    r"""Independent normal weights of a network.

    Parameters
    ----------
    mean, deviation : mapping of str to Tensor
        Mean and standard deviation of every weight, float64, in the shapes of the network; deviations are positive.

    Raises
    ------
    ValueError
        If names or shapes differ, a number is not finite, or a deviation is not positive.

    Examples
    --------
    >>> import torch
    >>> from sklstm.generalization import GaussianWeights
    >>> prior = GaussianWeights({"w": torch.zeros(3)}, {"w": torch.ones(3)})
    >>> posterior = GaussianWeights({"w": torch.ones(3)}, {"w": torch.ones(3)})
    >>> posterior.divergence(prior)  # half of the squared distance of the means
    1.5
    >>> posterior.draw(torch.Generator().manual_seed(0))["w"].shape
    torch.Size([3])
    """

    mean: Mapping[str, Tensor]
    deviation: Mapping[str, Tensor]

    def __post_init__(self) -> None:
        shapes = [{name: part.shape for name, part in parts.items()} for parts in (self.mean, self.deviation)]
        if shapes[0] != shapes[1]:
            raise ValueError(f"mean and deviation must have the same names and shapes, got {shapes[0]} and {shapes[1]}")
        for name, part in self.mean.items():
            if not (part.isfinite().all() and self.deviation[name].isfinite().all()):
                raise ValueError(f"mean and deviation must be finite, those of {name!r} are not")
            if not (self.deviation[name] > 0).all():
                raise ValueError(f"deviations must be positive, those of {name!r} are not")

    @property
    def n_weights(self) -> int:
        """Number of weights."""
        return sum(part.numel() for part in self.mean.values())

    def divergence(self, prior: "GaussianWeights") -> float:
        r"""Kullback–Leibler divergence :math:`\mathrm{KL}(Q\|P)` of these weights Q from a prior P, in nats.

        .. math:: \mathrm{KL} = \sum_j \Big[\frac{(\mu_j - m_j)^2}{2 p_j^2} + \frac{s_j^2}{2 p_j^2} - \frac12
                  - \ln\frac{s_j}{p_j}\Big]

        Parameters
        ----------
        prior : GaussianWeights
            A prior with means m and deviations p, in the same shapes.

        Returns
        -------
        float
            The divergence, non-negative.

        Raises
        ------
        ValueError
            If the shapes differ.
        """
        if {name: part.shape for name, part in self.mean.items()} != {
            name: part.shape for name, part in prior.mean.items()
        }:
            raise ValueError("the prior is of other weights: names or shapes differ")
        total = 0.0
        for name, mean in self.mean.items():
            unit = prior.deviation[name].double()
            shift, ratio = (mean.double() - prior.mean[name].double()) / unit, self.deviation[name].double() / unit
            total += float((shift.square() + ratio.square() - 1 - 2 * ratio.log()).sum()) / 2
        return max(total, 0.0)

    def draw(self, generator: torch.Generator, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
        """Draw the weights of one network.

        Parameters
        ----------
        generator : torch.Generator
            A generator on the CPU.
        dtype : torch.dtype
            Dtype of the network; normal numbers are drawn in it, and sums rounded to it.

        Returns
        -------
        dict of str to Tensor
        """
        noise = {name: torch.randn(mean.shape, generator=generator, dtype=dtype) for name, mean in self.mean.items()}
        return {name: (mean + self.deviation[name] * noise[name]).to(dtype) for name, mean in self.mean.items()}


def pac_bayes_bound(mean_loss: float, divergence: float, n_samples: int, *, delta: float = 0.05) -> float:
    r"""Upper bound on the true mean loss of a predictor that is drawn from a posterior Q.

    Fix a prior P before the n samples are seen. With probability at least 1 − δ, for all Q at once

    .. math:: \mathrm{kl}(\hat\ell_Q \,\|\, \ell_Q) \le
              \frac{\mathrm{KL}(Q\|P) + \ln(2\sqrt n/\delta)}{n}

    for losses in [0, 1] (Maurer [1]_, Theorem 5).

    Parameters
    ----------
    mean_loss : float
        :math:`\hat\ell_Q`, the mean loss on the samples, averaged over Q; in [0, 1].
    divergence : float
        :math:`\mathrm{KL}(Q\|P)` in nats, non-negative.
    n_samples : int
        Number n of independent samples that the prior does not depend on.
    delta : float, default=0.05
        The bound holds with probability at least ``1 - delta``.

    Returns
    -------
    float
        The bound, in [mean_loss, 1].

    Raises
    ------
    ValueError
        If a parameter is out of range.

    References
    ----------
    .. [1] A. Maurer, "A note on the PAC Bayesian theorem", arXiv:cs/0411099, 2004.

    Examples
    --------
    >>> from sklstm.generalization import pac_bayes_bound
    >>> round(pac_bayes_bound(0.06, 0.0, 674), 4), round(pac_bayes_bound(0.06, 10.0, 674), 4)
    (0.1002, 0.128)
    """
    check_delta(delta)
    if n_samples < 1 or not divergence >= 0:
        raise ValueError(f"need n_samples >= 1 and divergence >= 0, got {n_samples!r} and {divergence!r}")
    return kl_inverse(mean_loss, _budget(divergence, n_samples, -math.log(delta)))


def _budget(divergence: float, n_samples: int, nats: float) -> float:
    """(KL + ln(2√n/δ))/n; `nats` is ln(1/δ)."""
    return (divergence + math.log(2) + math.log(n_samples) / 2 + nats) / n_samples


@dataclass(frozen=True)
class PACBayesBound(LossBound):
    r"""PAC-Bayes bound of a stochastic predictor, which draws new weights from a posterior for every prediction.

    With probability at least 1 − `delta`, over the samples and the draws, its true mean loss is at most `value`.

    Attributes
    ----------
    value : float
        The bound, in units of the loss, at most `scale`.
    mean_loss : float
        Mean loss of `n_draws` networks from the posterior, each on some of the samples, in units of the loss.
    standard_deviation : float
        Standard deviation of these losses.
    mean_loss_limit : float
        Upper limit on the posterior's mean loss on the samples, from the draws, in units of the loss.
    divergence : float
        KL of the posterior from the prior, in nats.
    n_samples, n_prior : int
        Number of samples of the bound, and of other samples that the prior was trained on.
    n_draws : int
    n_priors : int
        Number of candidates for the prior.
    delta : float
        The bound holds with probability at least ``1 - delta``.
    scale : float
        Largest loss: 1 for an error probability, the cap M for a capped loss.
    zero_one : bool
        Whether the loss takes the values 0 and 1 only.
    vacuous : bool
        True when `value` is `scale` or more.
    posterior, prior : GaussianWeights
    network : nn.Module
        The network of these weights; its own weights are the mean of the prior.
    assumptions : tuple of str
        Conditions under which the bound holds.
    loss : str
        The loss in words, if it is known: "absolute error".
    guess : float or None
        Mean loss of the best constant prediction (mean of the targets or most frequent label) on the samples of the
        bound, in units of the loss, if known.
    source : str
        Digest of the data of both parts, if known.
    informative : bool
        True when `value` is below `guess`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import NoisyRNNClassifier, PACBayes
    >>> X = np.random.default_rng(0).standard_normal((2000, 6, 2))
    >>> y = X[:, :, 0].sum(axis=1) > 0
    >>> settings = PACBayes(epochs=2, n_draws=500)
    >>> model = NoisyRNNClassifier(8, lr=0.01, max_epochs=10, compression=settings, random_state=0).fit(X, y)
    >>> bound = model.generalization_report(X, y)["pac_bayes"]
    >>> bound.mean_loss < bound.mean_loss_limit < bound.value < bound.guess
    True
    >>> bound.posterior.divergence(bound.prior) == bound.divergence
    True
    >>> bound.at_delta(0.01).value > bound.value, bound.informative
    (True, True)
    """

    value: float
    mean_loss: float
    standard_deviation: float
    mean_loss_limit: float
    divergence: float
    n_samples: int
    n_prior: int
    n_draws: int
    n_priors: int
    delta: float
    scale: float
    zero_one: bool
    vacuous: bool
    posterior: GaussianWeights = field(repr=False, compare=False)
    prior: GaussianWeights = field(repr=False, compare=False)
    network: nn.Module = field(repr=False, compare=False)
    assumptions: tuple[str, ...]
    loss: str = ""
    guess: float | None = None
    source: str = field(default="", repr=False, compare=False)

    @property
    def name(self) -> str:
        """Key of this bound in a report."""
        return "pac_bayes"

    @property
    def about(self) -> str:
        """The predictor that the bound is about."""
        return "the stochastic predictor"

    @property
    def ceiling(self) -> float:
        """The value from which on the bound says nothing."""
        return self.scale

    @property
    def budget(self) -> float:
        """(KL + ln(2√n K/δ'))/n, in nats per sample, for K priors and δ' = 0.9 δ."""
        nats = math.log(self.n_priors) - math.log1p(-_FOR_DRAWS) - math.log(self.delta)
        return _budget(self.divergence, self.n_samples, nats)

    def at_delta(self, delta: float) -> Self:
        """The same posterior and draws at another failure probability.

        Parameters
        ----------
        delta : float
            In (0, 1).

        Returns
        -------
        PACBayesBound
            A bound for the same stochastic predictor, although another posterior may be better at this `delta`.

        Raises
        ------
        ValueError
            If `delta` is out of range.
        """
        check_delta(delta)
        moved = replace(self, delta=float(delta))
        limit = _limit_from_draws(self.mean_loss, self.standard_deviation, self.n_draws, self.scale, delta)
        value = self.scale * kl_inverse(limit / self.scale, moved.budget)
        return replace(moved, value=value, mean_loss_limit=limit, vacuous=value >= self.scale)

    @property
    def terms(self) -> tuple[Term, ...]:
        """The numbers in the bound."""
        return (
            Term("mean_loss", self.mean_loss, "mean loss of the networks drawn, on the samples of the bound"),
            Term("mean_loss_limit", self.mean_loss_limit, "upper limit on that of all networks, at δ/10"),
            Term("budget", self.budget, "(KL + ln(2√n K/(0.9 δ))) / n, price of the posterior, in nats a sample"),
            Term("divergence", self.divergence, "KL of the posterior from the prior, in nats"),
            Term("n_priors", self.n_priors, "K, priors to choose from"),
            Term("n_draws", self.n_draws, "networks drawn"),
            Term("n_samples", self.n_samples, "n, samples of the bound"),
            Term("n_prior", self.n_prior, "other samples, which the prior was trained on"),
            *(() if self.zero_one else (Term("scale", self.scale, "M, cap of the loss"),)),
        )


def _limit_from_draws(mean: float, deviation: float, n_draws: int, scale: float, delta: float) -> float:
    """Upper limit at δ/10 on the expectation of losses in [0, scale], from independent draws of them."""
    nats = -math.log(_FOR_DRAWS) - math.log(delta)
    return min(scale, mean + best_price(mean, deviation, n_draws, nats, scale))


def pac_bayes_of_draws(
    losses: Tensor,
    posterior: GaussianWeights,
    prior: GaussianWeights,
    network: nn.Module,
    *,
    n_samples: int,
    n_prior: int,
    n_priors: int,
    delta: float,
    scale: float,
    zero_one: bool,
) -> PACBayesBound:
    """The bound of a posterior, from losses of networks drawn from it after it was chosen.

    Parameters
    ----------
    losses : Tensor of shape (n_draws,)
        Losses in [0, 1], independent, with the posterior's mean loss on the n samples as their expectation.
    posterior, prior, network, n_samples, n_prior, n_priors, delta, scale, zero_one
        As in `PACBayesBound`.

    Returns
    -------
    PACBayesBound
    """
    return PACBayesBound(
        value=math.inf,
        mean_loss=scale * float(losses.mean()),
        standard_deviation=scale * float(losses.std()),
        mean_loss_limit=math.inf,
        divergence=posterior.divergence(prior),
        n_samples=int(n_samples),
        n_prior=int(n_prior),
        n_draws=len(losses),
        n_priors=int(n_priors),
        delta=float(delta),
        scale=float(scale),
        zero_one=bool(zero_one),
        vacuous=True,
        posterior=posterior,
        prior=prior,
        network=network,
        assumptions=_assumptions(zero_one),
    ).at_delta(delta)


def _assumptions(zero_one: bool) -> tuple[str, ...]:
    own = "The classes were fixed before seeing the data."
    if not zero_one:
        own = "The cap of the loss was fixed before seeing the data, or chosen on the part that trained the prior."
    return (
        INDEPENDENCE,
        "The bound is about the stochastic predictor, which draws new weights for every prediction. It is not about "
        "the trained network, nor about a mean or vote of several draws.",
        "The samples that train the prior were drawn at random, without looking at the data.",
        own,
        "Weights are drawn and losses computed in floating point; the theorem is about exact numbers.",
        UNPAID,
    )
