"""On 36 to 100 sequences, how far is a classifier with its defaults behind one that is tuned?

Tuning is a search over six pairs of learning rate and training noise by cross-validation in three folds. The best pair
is trained again on all sequences. The source's test part judges. Standard errors are those of a share of this many test
sequences. For a difference they treat the two as independent.
"""

import time
import warnings

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, train_test_split

from benchmarks.common.real_sets import REAL_SETS, RealSet
from sklstm import NoisyRNNClassifier, TikhonovLSTMClassifier
from tests.support.records import table
from tests.support.suite import Bar, campaign, explanation, question, regenerate

NAME = "small_sets"
N_SEEDS = 1
GRID = {"lr": [0.001, 0.003, 0.01], "sigma": [0.0, 0.3]}
KINDS = (NoisyRNNClassifier, TikhonovLSTMClassifier)


def subset(name, n):
    """A stratified part of a larger set's training part."""
    data = REAL_SETS[name]()
    rows, _ = train_test_split(np.arange(len(data.y)), train_size=n, stratify=data.y, random_state=0)
    X = [data.X[row] for row in rows] if isinstance(data.X, list) else data.X[rows]
    return RealSet(f"{name}, {n} of them", True, X, data.y[rows], data.X_test, data.y_test)


SETS = {
    "ItalyPowerDemand": REAL_SETS["ItalyPowerDemand"],
    "Japanese vowels, 90 of them": lambda: subset("Japanese vowels", 90),
    "digits, 100 of them": lambda: subset("digits", 100),
    **{name: REAL_SETS[name] for name in ("GunPoint", "BasicMotions", "ArrowHead")},
}


def measure(options, done):
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", ConvergenceWarning)  # of settings that are not chosen
    done = {(r["set"], r["kind"], r["seed"]) for r in done}
    for name, load in SETS.items():
        data = load()
        for kind in KINDS:
            for seed in range(N_SEEDS):
                if (name, kind.__name__, seed) in done:
                    continue
                started = time.perf_counter()
                default = kind(random_state=seed).fit(data.X, data.y)
                seconds = time.perf_counter() - started
                tuned = GridSearchCV(kind(random_state=seed), GRID, cv=3).fit(data.X, data.y)
                yield {
                    "set": name,
                    "n": len(data.y),
                    "n_test": len(data.y_test),
                    "kind": kind.__name__,
                    "seed": seed,
                    "default": default.score(data.X_test, data.y_test),
                    "tuned": tuned.score(data.X_test, data.y_test),
                    "chosen": tuned.best_params_,
                    "seconds": round(seconds, 2),
                }


def both(records, name, kind):
    mine = [r for r in records if (r["set"], r["kind"]) == (name, kind.__name__)]
    return mine, [np.array([r[which] for r in mine]) for which in ("default", "tuned")]


def page(records):
    rows = []
    for name in SETS:
        for kind in KINDS:
            mine, (default, tuned) = both(records, name, kind)
            if mine:
                cells = [f"{scores.mean():.3f}" for scores in (default, tuned)]
                share = tuned.mean()
                error = np.sqrt(2 * share * (1 - share) / mine[0]["n_test"])
                ahead = f"{default.mean() - tuned.mean():+.3f} ± {error:.3f}"
                rows.append([name, mine[0]["n"], kind.__name__, *cells, ahead])
    header = ["set", "sequences", "estimator", "defaults", "tuned", "difference"]
    return (
        f"# Small sets\n\n{question(__doc__)}\n\n{explanation(__doc__)}\n\n{table(header, rows)}\n\n"
        f"{regenerate(NAME, records)}"
    )


def bars(records):
    for name in SETS:
        for kind in KINDS:
            mine, (default, tuned) = both(records, name, kind)
            if mine:
                yield Bar(f"tuned less default, {kind.__name__}, {name}", 0.02, tuned.mean() - default.mean())


if __name__ == "__main__":
    campaign(NAME, __doc__, measure, page, bars=bars)
