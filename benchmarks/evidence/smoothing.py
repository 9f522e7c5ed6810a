"""How far from each input does the label hold that a classifier votes for under noise, and what does the vote cost?

The data are Japanese vowels, standardised. Every fourth test utterance is used: 93 of 7 to 29 steps and 12 channels.
The LSTM and the ReLU network with their defaults are trained with Gaussian noise of standard deviation σ. They vote
under the same noise (`smoothed_radius`, 4,000 draws, confidence 0.999), with three seeds. A radius is Euclidean, over
all steps and channels. With this many draws it is at most 2.92 σ, the radius of a unanimous vote.

For comparison, 19 utterances have the radius of the same network without a vote: `certified_radius` with
`method="auto"`, in the largest-entry norm. A box of half-width ρ holds the ball of radius ρ. A ball of radius r holds
the box of half-width r/√(L·d). With these, each radius is shown in the norm of the other.
"""

import warnings

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning

from benchmarks.common.real_sets import vowels
from sklstm import NoisyRNNClassifier, TikhonovLSTMClassifier, certified_radius, smoothed_radius
from tests.support.records import table
from tests.support.suite import Bar, campaign, explanation, question, regenerate

NAME = "smoothing"
KINDS = {"LSTM": TikhonovLSTMClassifier, "ReLU": NoisyRNNClassifier}
SIGMAS = (0.0, 0.1, 0.3, 0.5)
RADII = (0.4, 0.8, 1.2)
SEEDS = 3
N_DRAWS, EVERY = 4000, 5
BAR = (0.3, 0.8, 0.03)  # σ, the radius that is asked for, and the accuracy that it may cost


def one(data, kind, sigma, seed):
    model = KINDS[kind](sigma=sigma, random_state=seed).fit(data.X, data.y)
    X, y = data.X_test[::4], data.y_test[::4]
    right = model.predict(X) == y
    linf = certified_radius(model, X[::EVERY], method="auto") * right[::EVERY]
    record = {
        "network": kind,
        "sigma": sigma,
        "seed": seed,
        "accuracy": float(right.mean()),
        "certified radius": float(np.median(linf)),
    }
    if sigma == 0:
        return record
    labels, radius = smoothed_radius(model, X, sigma, n_draws=N_DRAWS, random_state=seed)
    radius *= labels == y
    in_box = radius / np.sqrt([x.size for x in X])
    return record | {
        "smoothed accuracy": float((labels == y).mean()),
        "abstained": float(np.mean([label is None for label in labels])),
        "radius": float(np.median(radius)),
        "radius in the largest-entry norm": float(np.median(in_box)),
        "right within": {str(r): float((radius >= r).mean()) for r in RADII},
    }


def measure(options, done):
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", ConvergenceWarning)
    data = vowels()
    known = {(r["network"], r["sigma"], r["seed"]) for r in done}
    for seed in range(SEEDS):
        for sigma in SIGMAS:
            for kind in KINDS:
                if (kind, sigma, seed) not in known:
                    yield one(data, kind, sigma, seed)


def mean(records, kind, sigma, *keys):
    """Over the seeds, of an entry of records."""
    found = [r for r in records if (r["network"], r["sigma"]) == (kind, sigma)]
    for key in keys:
        found = [r[key] for r in found]
    return float(np.mean(found))


def bars(records):
    sigma, radius, cost = BAR
    for kind in KINDS:
        lost = mean(records, kind, 0.0, "accuracy") - mean(records, kind, sigma, "smoothed accuracy")
        yield Bar(f"{kind}: accuracy that the vote at σ = {sigma} costs", cost, lost)
        found = mean(records, kind, sigma, "radius")
        yield Bar(f"{kind}: {radius} over the median radius at σ = {sigma}", 1.0, radius / found)


def page(records):
    votes, boxes = [], []
    for kind in KINDS:
        for sigma in sorted({r["sigma"] for r in records if r["network"] == kind}):
            n = sum((r["network"], r["sigma"]) == (kind, sigma) for r in records)
            plain = f"{mean(records, kind, sigma, 'accuracy'):.3f}"
            proved = mean(records, kind, sigma, "certified radius")
            if sigma == 0:
                votes.append([kind, "none", n, plain, *["–"] * (3 + len(RADII))])
                boxes.append([kind, "none", "–", f"{proved:.4f}", "–", f"{proved:.4f}"])
                continue
            radius = mean(records, kind, sigma, "radius")
            of_vote = (mean(records, kind, sigma, key) for key in ("smoothed accuracy", "abstained"))
            within = (f"{mean(records, kind, sigma, 'right within', str(r)):.3f}" for r in RADII)
            votes.append([kind, sigma, n, plain, *(f"{value:.3f}" for value in of_vote), f"{radius:.3f}", *within])
            in_box = mean(records, kind, sigma, "radius in the largest-entry norm")
            boxes.append([kind, sigma, f"{radius:.3f}", f"{proved:.4f}", f"{in_box:.4f}", f"{proved:.4f}"])
    header = ["network", "σ", "seeds", "accuracy", "of the vote", "withheld", "median radius"]
    columns = [f"right, radius ≥ {r}" for r in RADII]
    norms = ["vote, Euclidean", "proved, Euclidean", "vote, largest entry", "proved, largest entry"]
    return (
        f"# Randomised smoothing\n\n{question(__doc__)}\n\n{explanation(__doc__)}\n\n"
        "## The vote\n\nA radius counts as 0 where the label is wrong or withheld. "
        f"Means over the seeds.\n\n{table(header + columns, votes)}\n\n"
        f"## Compared with the proved radius of the network itself\n\n{compared(records)}\n\n"
        f"{table(['network', 'σ', *norms], boxes)}\n\n{regenerate(NAME, records)}"
    )


def compared(records):
    sigma = BAR[0]
    ratios = [mean(records, kind, sigma, "radius") / mean(records, kind, sigma, "certified radius") for kind in KINDS]
    in_box = [
        mean(records, kind, sigma, "certified radius") / mean(records, kind, sigma, "radius in the largest-entry norm")
        for kind in KINDS
    ]
    return (
        f"The table has median radii. At σ = {sigma} the vote's Euclidean radius is {min(ratios):.1f} to "
        f"{max(ratios):.1f} times the proved one. In the largest-entry norm, the proved radius is {min(in_box):.2f} to "
        f"{max(in_box):.2f} times the vote's. Take the one that fits your errors. The vote's radius holds with the "
        "chosen confidence, and needs thousands of predictions a sequence at each use. The proved radius is about "
        "`predict` itself, and holds always."
    )


if __name__ == "__main__":
    campaign(NAME, __doc__, measure, page, bars=bars)
