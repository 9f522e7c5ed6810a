"""Is a bound below the loss of its predictor? Distributions whose truth is known, samples, and the comparison.

A truth has inputs `X`, `exact` (whether the mean over X is the expectation itself) and `losses(predicted, cap)`, the
expected loss at each row of X given that row: 0-1 loss where `cap` is None, else the squared error, averaged over
outputs and cut at `cap`.
"""

import math
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.stats import beta, binom, norm

from sklstm import StochasticPredictor
from sklstm.generalization import holdout_bound

# A mean of capped losses may exceed the cap by its round-off; relative.
ROUNDING = 1e-9
CALIBRATION_DELTA, N_DRAWS = 0.2, 5000
N_NETWORKS = 10  # of a stochastic predictor


@dataclass(frozen=True)
class HeldOut:
    """Data that trained nothing."""

    X: np.ndarray
    y: np.ndarray
    exact = False

    def losses(self, predicted, cap):
        if cap is None:
            return (predicted != self.y).astype(float)
        # fmin: a network that overflows to NaN has the largest loss
        return np.fmin(np.mean(((predicted - self.y) ** 2).reshape(len(self.y), -1), axis=1), cap)

    def __add__(self, other):
        return HeldOut(np.concatenate([self.X, other.X]), np.concatenate([self.y, other.y]))


@dataclass(frozen=True)
class KnownLabels:
    """Labels 0 and 1, of which the probability of 1 is known at every row."""

    X: np.ndarray
    probability: np.ndarray
    exact: bool

    def losses(self, predicted, cap):
        if cap is not None:
            raise ValueError("labels have the 0-1 loss, which has no cap")
        return np.where(predicted == 1, 1 - self.probability, self.probability)


@dataclass(frozen=True)
class KnownTargets:
    """Targets that are normal around a known mean with a known standard deviation."""

    X: np.ndarray
    mean: np.ndarray
    deviation: float
    exact: bool

    def losses(self, predicted, cap):
        if cap is None:
            raise ValueError("targets have a squared error, whose bound needs a cap")
        shift, finite = predicted - self.mean, np.isfinite(predicted)
        return np.where(finite, capped_normal_square(np.where(finite, shift, 0), self.deviation, cap), cap)


def capped_normal_square(shift, deviation, cap):
    """E min(Z², cap) for Z normal with mean `shift`, in closed form from the moments of a truncated normal."""
    a, s, m = math.sqrt(cap), deviation, np.asarray(shift, dtype=float)
    low, high = (-a - m) / s, (a - m) / s
    inside = norm.cdf(high) - norm.cdf(low)
    at_low, at_high = norm.pdf(low), norm.pdf(high)
    square = m**2 * inside + 2 * m * s * (at_low - at_high) + s**2 * (inside + low * at_low - high * at_high)
    return square + cap * (1 - inside)


def all_signs(n_steps, n_features):
    """Every sequence (L, d) of ±1: the mean over these 2^(Ld) is the expectation over uniform signs."""
    return np.array(list(product((-1.0, 1.0), repeat=n_steps * n_features))).reshape(-1, n_steps, n_features)


def quantised(model, X, y):
    """The predictor that the Occam bound of a fitted estimator is about."""
    return model.quantized(model.generalization_report(X, y)["occam"])


def errors_and_ties(classifier, X, y):
    """Share of sequences whose label is not ahead of every other one by more than rounding, 2^-15 of outputs' size."""
    outputs = classifier._outputs(X).astype(float)
    own = classifier.classes_ == np.asarray(y)[:, None]
    size = np.abs(outputs).max(axis=1)
    lead = outputs[own] - np.where(own, -np.inf, outputs).max(axis=1)
    return float(np.mean(lead <= 2.0**-15 * np.maximum(size, size.mean())))


def subject(estimator, bound):
    """The predictor that `bound` is about.

    Raises
    ------
    ValueError
        If `bound.about` names none that is known: it must not be compared with the wrong one in silence.
    """
    if "quantised" in bound.about:
        return estimator.quantized(bound)
    if "stochastic" in bound.about:
        return estimator.stochastic(bound)
    if "trained" in bound.about:
        return estimator
    raise ValueError(
        f"{bound.name} is about {bound.about!r}, neither the trained nor the quantised nor the stochastic predictor"
    )


def predictions_of(predictor, X):
    """The predictions of a predictor; of a stochastic one, those of some of its networks, whose losses are averaged."""
    if isinstance(predictor, StochasticPredictor):
        return [predictor.sample(X, random_state=seed) for seed in range(N_NETWORKS)]
    return [predictor.predict(X)]


def loss_cap(bound):
    """None for an error probability, else the cap of the loss that is bounded."""
    if bound.quantity == "an error probability":
        return None
    if bound.quantity.startswith("a mean "):
        return bound.ceiling
    raise ValueError(f"{bound.name} bounds {bound.quantity!r}, which is not a loss known here")


def lower_limit(losses, zero_one):
    """Lower 95 % limit of the mean: Clopper and Pearson for 0-1 losses, else by the central limit theorem."""
    n = len(losses)
    if zero_one:
        k = round(losses.sum())
        return float(beta.ppf(0.05, k, n - k + 1)) if k else 0.0
    return float(losses.mean() - norm.ppf(0.95) * losses.std(ddof=1) / math.sqrt(n))


def compare(estimator, bounds, truth):
    """One row a bound: its value beside the loss of the predictor that it is about.

    Parameters
    ----------
    estimator : fitted estimator
    bounds : iterable of Bound
    truth : HeldOut, KnownLabels or KnownTargets

    Returns
    -------
    list of dict
        bound, about, delta, value, vacuous, ceiling; loss, and lower, the 95 % limit below it where the loss is itself
        an estimate, else the loss; half and half_vacuous, the bound at δ = 1/2, the sharper test.
    """
    predictions, rows = {}, []
    for bound in bounds:
        predictor, cap = subject(estimator, bound), loss_cap(bound)
        if id(predictor) not in predictions:  # the predictor is kept too, or its id may be given to the next one
            predictions[id(predictor)] = predictor, predictions_of(predictor, truth.X)
        several = predictions[id(predictor)][1]
        losses = np.mean([truth.losses(predicted, cap) for predicted in several], axis=0)
        zero_one = cap is None and isinstance(truth, HeldOut) and len(several) == 1
        loss, half = float(losses.mean()), bound.at_delta(0.5)
        rows.append(
            {
                "bound": bound.name,
                "about": bound.about,
                "delta": bound.delta,
                "value": float(bound.value),
                "vacuous": bool(bound.vacuous),
                "ceiling": float(bound.ceiling),
                "half": float(half.value),
                "half_vacuous": bool(half.vacuous),
                "loss": loss,
                "lower": loss if truth.exact else lower_limit(losses, zero_one),
            }
        )
    return rows


def below(row, value="value", loss="loss"):
    """Whether the bound is below the truth; NaN is."""
    return not row[value] >= row[loss] * (1 - ROUNDING)


def zero_one_calibration(losses, n, rng):
    """Share of samples of n losses, drawn with replacement, whose limit is below their mean; and its exact value."""
    truth = losses.mean()
    values = np.array([holdout_bound(np.arange(n) < k, delta=CALIBRATION_DELTA).value for k in range(n + 1)])
    drawn = losses[rng.integers(len(losses), size=(N_DRAWS, n))].sum(axis=1).astype(int)
    exact = binom.pmf(np.flatnonzero(values < truth), n, truth).sum()
    return float(np.mean(values[drawn] < truth)), float(exact)
