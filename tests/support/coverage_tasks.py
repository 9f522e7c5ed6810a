"""Data and estimators that put bounds to the test: real data in random parts, and distributions with a known truth."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits

from sklstm import NoisyRNNClassifier, TikhonovGRURegressor, TikhonovLSTMRegressor
from sklstm.datasets import load_beijing_pm25, load_bike_sharing, load_japanese_vowels, load_sunspots
from sklstm.preprocessing import sliding_windows
from tests.support.coverage import HeldOut, KnownLabels, KnownTargets, all_signs

N_FRESH = 200_000
SIZES = (200, 2000, 10_000)
N_HOLD = 500


@dataclass(frozen=True)
class Known:
    """Inputs of independent entries, ±1 or standard normal; `law` gives P(y = 1 | x), or the mean of y given x."""

    n_steps: int
    n_features: int
    signs: bool
    law: Callable[[np.ndarray], np.ndarray]
    deviation: float | None = None  # of y given x; None for labels

    def parts(self, number):
        """Training data, a hold-out sample, and the truth twice: of the trained-on bounds and of the hold-out's."""
        rng = np.random.default_rng(number)
        training, hold = self.draw(rng, SIZES[(number // 2) % len(SIZES)]), self.draw(rng, N_HOLD)
        truth = self.truth(rng)
        return training, hold, truth, truth

    def draw(self, rng, n):
        X = self._inputs(rng, n)
        values = self.law(X)
        if self.deviation is None:
            return HeldOut(X, (rng.random(n) < values).astype(int))
        return HeldOut(X, values + self.deviation * rng.standard_normal(n))

    def truth(self, rng):
        X = all_signs(self.n_steps, self.n_features) if self.signs else self._inputs(rng, N_FRESH)
        if self.deviation is None:
            return KnownLabels(X, self.law(X), exact=self.signs)
        return KnownTargets(X, self.law(X), self.deviation, exact=self.signs)

    def _inputs(self, rng, n):
        shape = n, self.n_steps, self.n_features
        return rng.choice([-1.0, 1.0], size=shape) if self.signs else rng.standard_normal(shape)


@dataclass(frozen=True)
class Real:
    """Samples of which a random half trains; of the other, half is for the hold-out bound and half checks it."""

    load: Callable[[], tuple[np.ndarray, np.ndarray]]

    def parts(self, number):
        X, y = self.load()
        order = np.random.default_rng(number).permutation(len(X))
        cuts = np.split(order, [len(X) // 2, 3 * len(X) // 4])
        training, hold, check = (HeldOut(X[part], y[part]) for part in cuts)
        return training, hold, hold + check, check


def flipped(rule, probability):
    """P(y = 1 | x) for the label of `rule`, flipped with a known probability."""
    return np.where(rule, 1 - probability, probability)


# Scales come from the whole set, which is the same for every random half: they tell the training half nothing more.
@cache
def digits():
    X, y = load_digits(return_X_y=True)
    return X.reshape(-1, 8, 8) / 16, y


@cache
def japanese_vowels():
    X, y = load_japanese_vowels(subset="all", return_X_y=True)
    return X / X.std(), y


def _windows(series, window):
    """Windows (n, window, d) and their next values, none of which share a step, all z-scored."""
    mean, deviation = series.mean(axis=0), series.std(axis=0)
    return sliding_windows((series - mean) / np.where(deviation > 0, deviation, 1), window, target=0, stride=window + 1)


def _bike():
    data = load_bike_sharing().data
    return np.column_stack([np.log1p(data[:, 0]), data[:, 1:]])


@cache
def bike_rises():
    X, following = _windows(_bike()[:, [0, 1, 3, 4]], 6)  # rentals, temperature, humidity, wind speed
    return X, (following > X[:, -1, 0]).astype(int)


@cache
def bike_next():
    return _windows(_bike(), 6)


@cache
def pm25_next():
    data = pd.DataFrame(load_beijing_pm25().data).ffill().dropna().to_numpy(copy=True)
    return _windows(np.column_stack([np.log1p(data[:, 0]), data[:, 1:]]), 6)


@cache
def sunspots_next():
    return _windows(np.sqrt(load_sunspots().data).reshape(-1, 1), 6)


CLASSIFICATION = {
    "digits": Real(digits),
    "Japanese vowels": Real(japanese_vowels),
    "bike sharing, rise or fall": Real(bike_rises),
    "noise labels, truth 1/2": Known(10, 1, True, lambda X: np.full(len(X), 0.5)),
    "last sign, flipped 0.1": Known(10, 1, True, lambda X: flipped(X[:, -1, 0] > 0, 0.1)),
    "majority of signs, flipped 0.2": Known(9, 1, True, lambda X: flipped(X.sum(axis=(1, 2)) > 0, 0.2)),
    "sign of a normal sum, flipped 0.1": Known(8, 2, False, lambda X: flipped(X[:, :, 0].sum(axis=1) > 0, 0.1)),
}
REGRESSION = {
    "sunspots": Real(sunspots_next),
    "bike sharing": Real(bike_next),
    "Beijing PM2.5": Real(pm25_next),
    "noise targets": Known(10, 1, True, lambda X: np.zeros(len(X)), 1.0),
    "mean of signs plus noise": Known(10, 1, True, lambda X: X[:, 5:, 0].mean(axis=1), 0.5),
    "tanh of a normal sum plus noise": Known(8, 2, False, lambda X: np.tanh(X[:, 4:, 0].sum(axis=1)), 0.3),
}

N_EACH = 20
BATCH_SIZE = 64
NOISES = (
    {"sigma": 0.0},
    *({"sigma": 0.3, "noise": noise} for noise in ("gaussian", "uniform", "laplace", "dropout")),
)
LIMITS = (
    {},
    {"max_norm_u": 1.0, "max_norm_w": 0.1, "max_norm_v": 1.0},
    {"max_norm_w": 0.8},
    {"max_norm_u": 1.0, "max_norm_w": 0.5, "max_norm_v": 2.0},
)
PENALTIES = (
    {},
    {"lambda_s": 0.0, "lambda_1": 0.0, "lambda_2": 0.0},
    {"variant": "tight"},
    {"lambda_s": 0.001},
)


def estimator(task, number):
    """The unfitted estimator of a number from 0 to N_EACH − 1; over these every noise meets every set of limits."""
    common = {"hidden_size": (4, 8, 16)[number % 3], "lr": 0.01, "batch_size": BATCH_SIZE, "random_state": number}
    if task in CLASSIFICATION:
        return NoisyRNNClassifier(**common, **NOISES[number % len(NOISES)], **LIMITS[number % len(LIMITS)])
    kind = (TikhonovLSTMRegressor, TikhonovGRURegressor)[number % 2]
    settings = PENALTIES[(number // 2) % len(PENALTIES)] | {
        "num_layers": 2 if number % 5 == 4 else 1,
        "sigma": 0.1 if number % 7 == 3 else 0.0,
        "loss_cap": 4.0 if number >= N_EACH // 2 else None,
    }
    return kind(**common | {"hidden_size": (2, 4, 8)[number % 3]}, **settings)
