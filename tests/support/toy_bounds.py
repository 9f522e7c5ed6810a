"""Small bounds for reports: one of each kind at any δ, and one from outside the package."""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch

from sklstm.generalization import (
    HoldoutBound,
    OccamBound,
    TuBound,
    holdout_bound,
    occam_certificate,
    tu_bound,
)

TRAIN_LOSS, N = 0.1, 5000


def theorem_3_at(delta: float) -> TuBound:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30, 3, 2))
    weights = rng.standard_normal((4, 2)), rng.standard_normal((4, 4)), rng.standard_normal((2, 4))
    noise = 0.1 * rng.standard_normal(X.shape)
    return tu_bound(*weights, X, rng.integers(0, 2, 30), sigma=0.1, noise=noise, delta=delta)


def occam_at(delta: float) -> OccamBound:
    return occam_certificate({"w": torch.arange(6.0)}, lambda _: TRAIN_LOSS, N, zero_one=True, delta=delta)


def holdout_at(delta: float) -> HoldoutBound:
    return holdout_bound(np.arange(200) < 19, delta=delta)


@dataclass(frozen=True)
class Toy:
    """A bound from elsewhere: value = price · log(1/δ), nothing more."""

    name: str
    price: float
    delta: float = 0.05
    ceiling: float = 1.0
    quantity: str = "a loss"
    about: str = "the toy"
    assumptions: tuple[str, ...] = ("It is a toy.",)
    terms: tuple = ()
    guess: float | None = None
    can_fail: bool = True

    @property
    def value(self):
        return self.price * math.log(1 / self.delta)

    @property
    def vacuous(self):
        return self.value >= self.ceiling

    def at_delta(self, delta):
        return replace(self, delta=delta)
