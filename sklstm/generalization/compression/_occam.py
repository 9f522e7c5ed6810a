"""The Occam bound: the loss on new data of any predictor that a code describes in K bits."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Self

import numpy as np
from torch import Tensor

from sklstm.generalization._bound import INDEPENDENCE, UNPAID, UNPAID_BUT_SCALES, LossBound, Term
from sklstm.generalization._confidence import binomial_tail_inverse, kl_inverse
from sklstm.generalization._theorem_inputs import check_delta

from ._codebook import code_length, quantise
from ._description import Description

# Below this the tail probability is near the end of float64, where the inverse of the binomial tail is not reliable.
_LOG_SMALLEST_TAIL = math.log(1e-290)

#: Numbers of levels that :func:`occam_certificate` tries. The code names the chosen one.
CANDIDATES = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32, 48, 64)
#: An assumption that the code makes true.
SCALES = (
    "The quantised predictor takes unscaled X. The code holds a power of two for every channel, near the scale that "
    "the scaler has found with these samples."
)
# A mean of float32 losses may exceed 1 by its round-off.
_LOSS_SLACK = 1e-6


def occam_bound(
    train_loss: float, n_bits: int, n_samples: int, *, delta: float = 0.05, zero_one: bool = False
) -> float:
    r"""Upper bound on the true mean loss of a predictor that a decodable code describes in K bits.

    A prefix code gives each predictor the weight :math:`2^{-K}` (Kraft). Let the limit of each fail with probability at
    most :math:`\delta 2^{-K}`. Then, with probability at least 1 − δ, for all predictors at once

    .. math:: \mathrm{kl}(\hat\ell \,\|\, \ell) \le \frac{K \ln 2 + \ln(1/\delta)}{n}

    for losses in [0, 1] (Chernoff). For 0-1 loss the exact binomial tail at :math:`\delta 2^{-K}` replaces it.

    Parameters
    ----------
    train_loss : float
        Mean loss :math:`\hat\ell` on the training sample, in [0, 1].
    n_bits : int
        Number K ≥ 0 of bits.
    n_samples : int
        Number n of independent samples.
    delta : float, default=0.05
        The bound holds with probability at least ``1 - delta``.
    zero_one : bool, default=False
        True if the loss takes the values 0 and 1 only. The binomial tail is then used while :math:`\delta 2^{-K}` is a
        float64. Below that, Chernoff's limit is used, which holds for every K.

    Returns
    -------
    float
        The bound, in [train_loss, 1].

    Raises
    ------
    ValueError
        If a parameter is out of range, or if `zero_one` is true and `train_loss` is not a multiple of 1/n.

    Examples
    --------
    >>> from sklstm.generalization import occam_bound
    >>> round(occam_bound(0.1, 0, 1000), 4)
    0.1248
    >>> round(occam_bound(0.254, 841, 25000), 3)
    0.355
    """
    check_delta(delta)
    if n_samples < 1 or n_bits < 0:
        raise ValueError(f"need n_samples >= 1 and n_bits >= 0, got {n_samples!r} and {n_bits!r}")
    limit = kl_inverse(train_loss, code_budget(n_bits, n_samples, delta))
    if not zero_one:
        return limit
    errors = round(train_loss * n_samples)
    if abs(train_loss * n_samples - errors) > 0.05:  # float32 means of a few hundred thousand zeros and ones pass
        raise ValueError(f"a 0-1 loss over {n_samples} samples is a multiple of 1/{n_samples}; got {train_loss!r}")
    log_tail = math.log(delta) - n_bits * math.log(2)
    if log_tail < _LOG_SMALLEST_TAIL:
        return limit
    # Both limits hold and the binomial one is smaller. The maximum is for round-off only.
    return min(limit, max(binomial_tail_inverse(errors, n_samples, math.exp(log_tail)), float(train_loss)))


def code_budget(n_bits: int, n_samples: int, delta: float) -> float:
    """(K ln 2 + ln(1/δ))/n, the price of the code and of the confidence, in nats per sample."""
    return (n_bits * math.log(2) - math.log(delta)) / n_samples


@dataclass(frozen=True)
class OccamBound(LossBound):
    r"""Occam bound of a quantised predictor, from :func:`occam_certificate` or :func:`fine_tuned_certificate`.

    With probability at least 1 − `delta` the true mean loss of the predictor with weights `weights` is at most `value`.

    Attributes
    ----------
    value, train_loss : float
        The bound and the mean training loss of the quantised predictor, in units of the loss: both in [0, scale].
    trained_loss : float
        Mean training loss of the predictor before it was quantised.
    n_bits : int
        Length K of the code of the weights.
    n_levels : int
        Number q of levels of the codebook; with one level all weights are equal. After fine-tuning, the number of
        different weights.
    n_weights, n_samples : int
        Numbers of weights and of training samples.
    delta : float
        The bound holds with probability at least ``1 - delta``.
    scale : float
        Largest loss: 1 for an error probability, the cap M for a capped loss.
    delta_weight : float
        Factor of `delta` for choosing the cap from the data; 1 if it was fixed in advance.
    zero_one : bool
        Whether the loss takes the values 0 and 1 only.
    vacuous : bool
        True when `value` is `scale` or more.
    weights : dict of str to Tensor
        The quantised weights.
    assumptions : tuple of str
        Conditions under which the bound holds.
    n_values : int
        Number of values that the message describes: fewer than `n_weights` with factors or in a subspace.
    description : Description or None
        After fine-tuning, the integers behind `weights`; ``description.message`` is the code.
    loss : str
        The loss in words, if it is known: "absolute error".
    guess : float or None
        Mean loss of the best constant prediction (mean of the targets or most frequent label) on the training sample,
        in units of the loss, if known.
    informative : bool
        True when `value` is below `guess`.

    Examples
    --------
    A predictor with errors on a tenth of 5000 samples, for all roundings of its weights:

    >>> import torch
    >>> from sklstm.generalization import occam_bound, occam_certificate
    >>> bound = occam_certificate({"w": torch.arange(6.0)}, lambda weights: 0.1, 5000, zero_one=True)
    >>> bound.n_levels, bound.n_bits  # the shortest code has one level, of 16 bits, and names one of 14 candidates
    (1, 20)
    >>> bound.value == occam_bound(0.1, 20, 5000, zero_one=True), round(bound.value, 3)
    (True, 0.124)
    >>> bool(bound.at_delta(0.01).value > bound.value)
    True
    """

    value: float
    train_loss: float
    trained_loss: float
    n_bits: int
    n_levels: int
    n_weights: int
    n_samples: int
    delta: float
    scale: float
    delta_weight: float
    zero_one: bool
    vacuous: bool
    weights: dict[str, Tensor] = field(repr=False, compare=False)
    assumptions: tuple[str, ...]
    n_values: int
    description: Description | None = field(default=None, repr=False, compare=False)
    loss: str = ""
    guess: float | None = None

    @property
    def name(self) -> str:
        """Key of this bound in a report."""
        return "occam"

    @property
    def about(self) -> str:
        """The predictor that the bound is about."""
        return "the quantised predictor"

    @property
    def ceiling(self) -> float:
        """The value from which on the bound says nothing."""
        return self.scale

    @property
    def budget(self) -> float:
        """(K ln 2 + ln(1/(wδ)))/n with w = `delta_weight`, in nats per sample."""
        return code_budget(self.n_bits, self.n_samples, self.delta * self.delta_weight)

    def at_delta(self, delta: float) -> Self:
        """The same code and training loss at another failure probability.

        Parameters
        ----------
        delta : float
            In (0, 1).

        Returns
        -------
        OccamBound
            A bound for the same quantised predictor, although another codebook may be better at this `delta`.

        Raises
        ------
        ValueError
            If `delta` is out of range.
        """
        check_delta(delta)
        value = occam_bound(
            self.train_loss / self.scale,
            self.n_bits,
            self.n_samples,
            delta=delta * self.delta_weight,
            zero_one=self.zero_one,
        )
        return replace(self, delta=float(delta), value=self.scale * value, vacuous=value >= 1)

    @property
    def _described(self) -> tuple[Term, ...]:
        if self.description is None:
            return (
                Term("n_levels", self.n_levels, "q, levels of the shared codebook; 1 makes all weights equal"),
                Term("n_weights", self.n_weights, "N, weights described"),
            )
        return (
            Term("n_values", self.n_values, "numbers described, after fine-tuning for this bound"),
            Term("n_weights", self.n_weights, "N, weights made of them"),
        )

    @property
    def terms(self) -> tuple[Term, ...]:
        """The numbers in the bound."""
        capped = (
            Term("scale", self.scale, "M, cap of the loss"),
            Term("delta_weight", self.delta_weight, "w, share of δ left after choosing the cap"),
        )
        loss = "share of training errors, near ties included," if self.zero_one else "mean of min(loss, M) in training"
        before = "the trained predictor" if self.description is None else "that network before it was rounded"
        price = "ln(1/δ)) / n, price of the code"
        if self.delta_weight != 1:
            price = "ln(1/(wδ))) / n, price of the code and the cap"
        return (
            Term("train_loss", self.train_loss, f"{loss} of the quantised predictor"),
            Term("trained_loss", self.trained_loss, f"the same of {before}, which the bound is not about"),
            Term("budget", self.budget, f"(K ln 2 + {price}, in nats a sample"),
            Term("n_bits", self.n_bits, "K, bits of a decodable code of the weights"),
            *self._described,
            Term("n_samples", self.n_samples, "n, training samples"),
            *(() if self.zero_one else capped),
        )


def occam_certificate(
    weights: Mapping[str, Tensor],
    loss: Callable[[dict[str, Tensor]], float],
    n_samples: int,
    *,
    delta: float = 0.05,
    zero_one: bool = False,
    scale: float = 1.0,
    delta_weight: float = 1.0,
    candidates: Sequence[int] = CANDIDATES,
    estimate: Callable[[dict[str, Tensor]], float] | None = None,
) -> OccamBound:
    """Best :func:`occam_bound` over codebooks of several sizes.

    Sizes are tried in ascending order. The search stops when the code of the next size alone makes the bound larger
    than the best one.

    Parameters
    ----------
    weights : mapping of str to Tensor
        All trained parameters of the predictor, with biases. They are not changed.
    loss : callable
        A function of a dict of quantised tensors like `weights`. It returns the mean training loss of that predictor
        divided by the largest possible loss: a number in [0, 1]. NaN counts as 1.
    n_samples : int
        Number of samples in the mean of `loss`.
    delta : float, default=0.05
        The bound holds with probability at least ``1 - delta``.
    zero_one : bool, default=False
        Whether the loss takes the values 0 and 1 only; see :func:`occam_bound`.
    scale : float, default=1.0
        Largest possible loss, the cap M of ``min(loss, M)``. It is a factor of `value` and `train_loss`.
    delta_weight : float, default=1.0
        The weight from :func:`choose_cap`, if the cap was chosen from the data.
    candidates : sequence of int
        Numbers of levels to try, fixed before seeing the data. The code names the chosen one.
    estimate : callable, optional
        As `loss`, on a part of the sample, and so cheaper. The codebook is then chosen by it, and `loss` is computed
        for the chosen one alone. The bound holds for any choice.

    Returns
    -------
    OccamBound

    Raises
    ------
    ValueError
        If a parameter is out of range, a weight is not finite, or `loss` returns a number outside [0, 1].

    Examples
    --------
    A linear classifier of 1000 points makes no error after rounding to two levels:

    >>> import torch
    >>> from sklstm.generalization import occam_certificate
    >>> x = torch.randn((1000, 4), generator=torch.Generator().manual_seed(0))
    >>> y = x @ torch.tensor([1.0, 1.0, -1.0, -1.0]) > 0
    >>> trained = {"w": torch.tensor([0.9, 1.1, -1.0, -1.0])}
    >>> bound = occam_certificate(
    ...     trained, lambda weights: ((x @ weights["w"] > 0) != y).double().mean().item(), 1000, zero_one=True
    ... )
    >>> bound.n_levels, bound.train_loss, bound.weights["w"].tolist()
    (2, 0.0, [1.0, 1.0, -1.0, -1.0])
    """
    check_certificate_parameters(delta, delta_weight, scale, n_samples)
    # A copy, since `loss` may load its argument into the network that `weights` belong to.
    weights = {name: tensor.detach().clone() for name, tensor in weights.items()}
    value, n_bits, q, train_loss, tensors = best_codebook(
        weights,
        loss,
        n_samples,
        delta=delta * delta_weight,
        zero_one=zero_one,
        candidates=candidates,
        estimate=estimate,
    )
    return OccamBound(
        value=scale * value,
        train_loss=scale * train_loss,
        trained_loss=scale * _checked(loss(weights)),
        n_bits=n_bits,
        n_levels=q,
        n_weights=sum(tensor.numel() for tensor in tensors.values()),
        n_samples=int(n_samples),
        delta=float(delta),
        scale=float(scale),
        delta_weight=float(delta_weight),
        zero_one=bool(zero_one),
        vacuous=value >= 1,
        weights=tensors,
        assumptions=certificate_assumptions(delta_weight, zero_one),
        n_values=sum(tensor.numel() for tensor in tensors.values()),
    )


class Codebook(NamedTuple):
    """A codebook for weights: its bound, bits, levels and training loss, and the rounded weights."""

    value: float
    n_bits: int
    n_levels: int
    train_loss: float
    weights: dict[str, Tensor]


def best_codebook(
    weights: Mapping[str, Tensor],
    loss: Callable[[dict[str, Tensor]], float],
    n_samples: int,
    *,
    delta: float,
    zero_one: bool,
    candidates: Sequence[int] = CANDIDATES,
    estimate: Callable[[dict[str, Tensor]], float] | None = None,
) -> Codebook:
    """The codebook of an `occam_certificate` with these parameters; ``delta`` is what remains after the cap.

    With an estimate, `loss` is called once. Without one, it is called for every codebook that is tried.
    """
    if len(candidates) == 0 or len(set(candidates)) != len(candidates):
        raise ValueError("candidates must be distinct numbers of levels, at least one")
    tried: list[Codebook] = []
    for q in sorted(candidates):
        quantised = quantise(weights, q)
        n_bits = code_length(np.bincount(quantised.indices, minlength=q), len(candidates))
        least = occam_bound(0.0, n_bits, n_samples, delta=delta, zero_one=zero_one)
        if tried and least > min(codebook.value for codebook in tried):
            break  # the codes of more levels are longer still
        tensors = quantised.weights()
        if estimate is None:
            train_loss = _checked(loss(tensors))
            value = occam_bound(train_loss, n_bits, n_samples, delta=delta, zero_one=zero_one)
        else:  # a mean over a part is no multiple of 1/n
            train_loss = _checked(estimate(tensors))
            value = occam_bound(train_loss, n_bits, n_samples, delta=delta)
        tried.append(Codebook(value, n_bits, q, train_loss, tensors))
    # The bound includes the choice among all candidates: the code names the chosen one. Of equal bounds, which are
    # vacuous, the shortest code is kept.
    best = min(tried, key=lambda codebook: codebook[:2])
    if estimate is None:
        return best
    train_loss = _checked(loss(best.weights))
    value = occam_bound(train_loss, best.n_bits, n_samples, delta=delta, zero_one=zero_one)
    return best._replace(value=value, train_loss=train_loss)


def _checked(value: float) -> float:
    value = float(value)
    if math.isnan(value):  # outputs of a coarsely quantised recurrent network may overflow
        return 1.0
    if not 0 <= value <= 1 + _LOSS_SLACK:
        raise ValueError(f"loss must return a mean loss in [0, 1], divided by the largest loss; got {value!r}")
    return min(value, 1.0)


def check_certificate_parameters(delta: float, delta_weight: float, scale: float, n_samples: int) -> None:
    """``ValueError`` if a parameter of a certificate is out of range."""
    check_delta(delta)
    if not 0 < delta_weight <= 1:
        raise ValueError(f"delta_weight must lie in (0, 1], got {delta_weight!r}")
    if not 0 < scale < math.inf:
        raise ValueError(f"scale must be a positive number, got {scale!r}")
    if n_samples < 1:
        raise ValueError(f"n_samples must be a positive integer, got {n_samples!r}")


def certificate_assumptions(delta_weight: float, zero_one: bool, with_scales: bool = False) -> tuple[str, ...]:
    """Assumptions of an Occam bound; `with_scales` for a code with the scales of the channels."""
    if zero_one:
        own = "The classes were fixed before seeing the data."
    elif delta_weight != 1:
        own = "The cap of the loss was chosen from the data, on a grid of powers of two; δ was reduced for it."
    else:
        own = "The cap of the loss was fixed before seeing the data."
    return (
        INDEPENDENCE,
        "The bound is about the quantised predictor, which the code describes, not about the trained one.",
        "Everything that the code does not contain (architecture, a random start, candidate codebook sizes) was "
        "fixed before seeing the data.",
        own,
        *((SCALES, UNPAID_BUT_SCALES) if with_scales else (UNPAID,)),
    )
