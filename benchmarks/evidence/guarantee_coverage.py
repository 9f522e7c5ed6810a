"""Do intervals for predictions and for true values hold as often as they promise, and how wide are they?

There are two hundred data sets of known distributions, each with a network trained on 60 sequences. Targets of the LSTM
and the GRU are smooth or heavy-tailed. The LSTM and the ReLU network also have labels.

`prediction_interval` has 100 calibration samples and promises 0.9. It is tested on 400 new samples in several ways.
First they are as drawn. Then they are attacked: `eps` is 0.1, and each sample is replaced by the one of 16 random
corners of its box whose prediction is worst. For two more cases nothing is promised, and they are there as a warning:
the attack without `eps`, and a drift after which inputs are twice as large.

`noise_interval` is tested on 10 inputs of each regressor. It promises, with confidence 0.99, to hold a share of 0.9 of
the predictions under Gaussian noise of 0.3. The share is measured with 4,000 new draws. Widths of regressors are
medians, in standard deviations of the targets.
"""

import warnings

import numpy as np
import torch
from scipy.stats import betabinom
from sklearn.exceptions import ConvergenceWarning

from sklstm import (
    NoisyRNNClassifier,
    TikhonovGRURegressor,
    TikhonovLSTMClassifier,
    TikhonovLSTMRegressor,
    certify,
    noise_interval,
    prediction_interval,
)
from tests.support.records import table
from tests.support.suite import campaign, explanation, question, regenerate

NAME = "guarantee_coverage"
N_TRAIN, N_CALIBRATION, N_NEW, N_STEPS = 60, 100, 400, 8
COVERAGE, CONFIDENCE, EPS, SIGMA, N_CORNERS, N_FRESH = 0.9, 0.99, 0.1, 0.3, 16, 4000
RANK = 91  # of 101: ⌈101 · 0.9⌉
CHANCE = 1e-4
KINDS = {
    "smooth": TikhonovLSTMRegressor,
    "heavy tails": TikhonovGRURegressor,
    "labels, LSTM": TikhonovLSTMClassifier,
    "labels, ReLU": NoisyRNNClassifier,
}


def drawn(law, n, weights, rng, scale=1.0):
    """Sequences (n, L, d) and their targets."""
    X = scale * rng.standard_normal((n, *weights.shape))
    signal = np.tanh(np.einsum("ntd,td->n", X, weights))
    if law == "smooth":
        return X, signal + 0.3 * rng.standard_normal(n)
    if law == "heavy tails":
        return X, signal + 0.2 * rng.standard_t(2, n)
    return X, signal + 0.3 * rng.standard_normal(n) > 0


def badness(model, X, y):
    """How far each prediction is from the truth: absolute errors, or the probability of another label."""
    if hasattr(model, "classes_"):
        return 1 - model.predict_proba(X)[np.arange(len(y)), y.astype(int)]
    return np.abs(model.predict(X) - y)


def shown(model, X, y, rng):
    """The worst of some corners of the box, for each sequence."""
    worst, seen = badness(model, X, y), X.copy()
    for _ in range(N_CORNERS):
        corner = X + EPS * rng.choice([-1.0, 1.0], X.shape)
        found = badness(model, corner, y)
        seen[found > worst], worst = corner[found > worst], np.maximum(found, worst)
    return seen


def covered(model, calibration, X, y, eps=0.0):
    """Share of the new samples that are covered, and the median width of intervals or mean size of sets."""
    found = prediction_interval(model, *calibration, X, coverage=COVERAGE, eps=eps)
    if hasattr(model, "classes_"):
        return float(found[np.arange(len(y)), y.astype(int)].mean()), float(found.sum(axis=1).mean())
    lower, upper = found
    return float(((lower <= y) & (y <= upper)).mean()), float(np.median(upper - lower))


def one(law, seed):
    rng = np.random.default_rng([list(KINDS).index(law), seed])
    weights = rng.standard_normal((N_STEPS, rng.integers(1, 4))) / 2
    X, y = drawn(law, N_TRAIN, weights, rng)
    model = KINDS[law](8, max_epochs=20, random_state=seed).fit(X, y)
    calibration = drawn(law, N_CALIBRATION, weights, rng)
    X, y = drawn(law, N_NEW, weights, rng)
    seen = shown(model, X, y, rng)
    unit = 1.0 if hasattr(model, "classes_") else float(np.std(y))
    record = {"law": law, "seed": seed}
    asked = {
        "clean": (X, y, 0.0),
        "attacked": (seen, y, EPS),
        "attacked, unsaid": (seen, y, 0.0),
        "drift": (*drawn(law, N_NEW, weights, rng, scale=2.0), 0.0),
    }
    for name, (inputs, targets, eps) in asked.items():
        share, width = covered(model, calibration, inputs, targets, eps)
        record |= {f"{name} coverage": share, f"{name} width": width / unit}
    if unit != 1.0:
        lower, upper = certify(model, X, EPS)
        record["certify width"] = float(np.median(upper - lower)) / unit
        lower, upper = noise_interval(model, X[:10], SIGMA, coverage=COVERAGE, confidence=CONFIDENCE, random_state=seed)
        record["noise width"] = float(np.median(upper - lower)) / unit
        record["noise shares"] = [
            float(np.mean((low <= fresh) & (fresh <= up)))
            for x, low, up in zip(X[:10], lower, upper, strict=True)
            for fresh in [model.predict(x + SIGMA * rng.standard_normal((N_FRESH, *x.shape)))]
        ]
    return record


def measure(options, done):
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", ConvergenceWarning)  # coverage does not depend on how good the networks are
    known = {(r["law"], r["seed"]) for r in done}
    for seed in range(options.models // len(KINDS)):
        for law in KINDS:
            if (law, seed) not in known:
                yield one(law, seed)


def page(records):
    rows, below = [], 0
    law = betabinom(N_NEW, RANK, N_CALIBRATION + 1 - RANK)  # of the number of new samples that are covered
    least = law.ppf(CHANCE) / N_NEW
    for name in KINDS:
        mine = [r for r in records if r["law"] == name]
        for asked in ("clean", "attacked", "attacked, unsaid", "drift"):
            shares = np.array([r[f"{asked} coverage"] for r in mine])
            promised = asked in ("clean", "attacked")
            below += int(promised and (shares < least).sum())
            width = np.median([r[f"{asked} width"] for r in mine])
            cells = [f"{shares.mean():.3f}", f"{shares.min():.3f}", f"{width:.2f}", len(mine)]
            rows.append([name, asked, f"{COVERAGE:g}" if promised else "nothing", *cells])
    regressors = [r for r in records if "noise shares" in r]
    shares = np.concatenate([r["noise shares"] for r in regressors])
    noise = [
        [name, *(f"{np.median([r[k] for r in regressors if r['law'] == name]):.2f}" for k in WIDTHS)]
        for name in KINDS
        if any(r["law"] == name for r in regressors)
    ]
    return (
        f"# Coverage of intervals\n\n{question(__doc__)}\n\n{explanation(__doc__)}\n\n"
        f"## True values and labels\n\nOf {2 * len(records)} coverages for which something is promised, two for each "
        f"model, {below} are below {least:.3f}. Chance alone would cause this with probability {CHANCE:g} for each. "
        "For labels, the width is the size of the set.\n\n"
        f"{table(['law', 'asked about', 'promised', 'coverage', 'smallest', 'width', 'models'], rows)}\n\n"
        f"## Predictions under noise\n\nOf {len(shares)} intervals, {np.mean(shares >= COVERAGE):.2%} hold a measured "
        f"share of {COVERAGE} of the new draws or more. {CONFIDENCE:.0%} are promised. The mean share is "
        f"{shares.mean():.3f}, the smallest {shares.min():.3f}.\n\n"
        f"Widths, compared with those of `certify` for errors of {EPS} and of `prediction_interval`:\n\n"
        f"{table(['law', 'noise_interval', 'certify', 'prediction_interval'], noise)}\n\n{regenerate(NAME, records)}"
    )


WIDTHS = ("noise width", "certify width", "clean width")


def add_options(parser):
    parser.add_argument("--models", type=int, default=200)


if __name__ == "__main__":
    campaign(NAME, __doc__, measure, page, add_options=add_options)
