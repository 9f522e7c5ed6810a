"""Which defaults train best, on parts of the training data of real sets?

Nothing here sees the test parts of [the table over real data](real_data.md). For labels, five sets are split at random
into 70 % to train on and 30 % to judge by, with two seeds. For forecasts, eight tasks are cut in three ways: the first
half of the training windows, 40 % from the middle, and the first 15 %. Each cut is judged by the windows that come next
and share no step with it. The score is R² less that of ridge regression on the same windows. Forecasts are mostly
linear. Labels read as numbers are not, and they represent targets of that kind. Other parameters are defaults.
"""

import json
import time
import warnings

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import RidgeCV

from benchmarks.common.real_sets import REAL_SETS, forecast, inner_split
from sklstm import (
    NoisyRNNClassifier,
    TikhonovGRUClassifier,
    TikhonovGRURegressor,
    TikhonovLSTMClassifier,
    TikhonovLSTMRegressor,
)
from sklstm.preprocessing import pad_sequences
from tests.support.records import table
from tests.support.suite import campaign, explanation, question, regenerate

NAME = "defaults"
LABELLED = ("digits", "Japanese vowels", "ItalyPowerDemand", "BasicMotions", "GunPoint")
N_SEEDS = 2
FORECASTS = (
    *(("bike sharing", ahead) for ahead in (1, 3, 12)),
    *(("Beijing PM2.5", ahead) for ahead in (1, 24)),
    *(("sunspots", ahead) for ahead in (1, 6, 24)),
)
CUTS = ((0.0, 0.5), (0.3, 0.7), (0.0, 0.15))
NUMBERS = ("digits", "Japanese vowels", "ItalyPowerDemand")

NONE = {"lambda_s": 0, "lambda_1": 0, "lambda_2": 0}
GATED = (
    NONE,
    *({"variant": "turkin", "lambda_s": value} for value in (1e-3, 1e-4, 1e-5)),
    *({"variant": "tight", "lambda_s": value} for value in (1e-4, 1e-5, 1e-6)),
)
CLASSIFIERS = (
    *(
        (NoisyRNNClassifier, {"sigma": sigma, "lr": lr})
        for sigma, lr in ((0.1, 0.001), (0.3, 0.001), (0.1, 0.003), (0.3, 0.003))
    ),
    *((TikhonovLSTMClassifier, settings) for settings in GATED),
    (TikhonovLSTMClassifier, {"variant": "tight", "lambda_s": 1e-5, "lr": 0.01}),
    *((TikhonovGRUClassifier, settings) for settings in GATED),
)
START = {"skip": "linear", "max_epochs": 30, "lambda_s": 0.01}
REGRESSORS = (
    (TikhonovLSTMRegressor, {"skip": "none", "max_epochs": "auto", "lambda_s": 0.01}),
    (TikhonovLSTMRegressor, START),
    *((TikhonovLSTMRegressor, START | {"max_epochs": epochs}) for epochs in (15, 100)),
    *((TikhonovLSTMRegressor, START | {"lambda_s": value}) for value in (0.001, 0.03, 0.1)),
    (TikhonovLSTMRegressor, START | {"lr": 0.001}),
    (TikhonovGRURegressor, START),
    (TikhonovGRURegressor, START | {"max_epochs": 15}),
)


def parts(data, cut, steps):
    """Windows of a cut of the training windows, and the next ones, which share none of their steps."""
    n = len(data.X)
    first, last = (int(share * n) for share in cut)
    begin = last + len(data.X[0]) + steps
    end = min(n, begin + int(0.3 * n))
    return data.X[first:last], data.y[first:last], data.X[begin:end], data.y[begin:end]


def fitted(kind, settings, seed, X, y):
    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of settings that are not chosen
        model = kind(random_state=seed, **settings).fit(X, y)
    return model, round(time.perf_counter() - started, 2)


def flat(X):
    X = pad_sequences(X) if isinstance(X, list) else X
    return X.reshape(len(X), -1)


def regressions():
    """Task, part, seed, and data to train on and to judge by."""
    for steps_of in FORECASTS:
        data = forecast(*steps_of)
        for cut in CUTS:
            yield (
                f"{steps_of[0]}, {steps_of[1]} ahead",
                f"{cut[0]:.0%} to {cut[1]:.0%}",
                0,
                *parts(data, cut, steps_of[1]),
            )
    for name in NUMBERS:
        for seed in range(N_SEEDS):
            data = inner_split(REAL_SETS[name](), seed)
            labels = [part.astype(float) for part in (data.y, data.y_test)]
            y, y_test = ((values - labels[0].mean()) / labels[0].std() for values in labels)
            yield f"{name} as numbers", f"seed {seed}", seed, data.X, y, data.X_test, y_test


def measure(options, done):
    torch.set_num_threads(1)
    done = {(r["task"], r["part"], r["kind"], json.dumps(r["settings"], sort_keys=True)) for r in done}

    def missing(task, part, kind, settings):
        return (task, part, kind.__name__, json.dumps(settings, sort_keys=True)) not in done

    for task, part, seed, X, y, X_next, y_next in regressions():
        rows, rows_next = flat(X), flat(X_next)
        width = max(rows.shape[1], rows_next.shape[1])  # sequences end together
        rows, rows_next = (np.pad(some, ((0, 0), (width - some.shape[1], 0))) for some in (rows, rows_next))
        ridge = RidgeCV(np.logspace(-2, 5, 15)).fit(rows, y).score(rows_next, y_next)
        for kind, settings in REGRESSORS:
            if missing(task, part, kind, settings):
                model, seconds = fitted(kind, settings, seed, X, y)
                record = {"task": task, "part": part, "kind": kind.__name__, "settings": settings}
                yield record | {"score": model.score(X_next, y_next), "ridge": ridge, "seconds": seconds}
    for task in LABELLED:
        for seed in range(N_SEEDS):
            data = inner_split(REAL_SETS[task](), seed)
            for kind, settings in CLASSIFIERS:
                if missing(task, f"seed {seed}", kind, settings):
                    model, seconds = fitted(kind, settings, seed, data.X, data.y)
                    record = {"task": task, "part": f"seed {seed}", "kind": kind.__name__, "settings": settings}
                    yield record | {"score": model.score(data.X_test, data.y_test), "seconds": seconds}


def words(settings):
    if settings == NONE:
        return "no penalty"
    return ", ".join(f"{name}={value}" for name, value in settings.items()) or "defaults"


def rows_of(records, kinds, tasks, cells):
    rows = []
    for kind, settings in kinds:
        mine = [r for r in records if (r["kind"], r["settings"]) == (kind.__name__, settings) and r["task"] in tasks]
        if mine:
            by_task = [[r for r in mine if r["task"] == task] for task in tasks]
            rows.append([kind.__name__, words(settings), *cells(mine, by_task)])
    return rows


def of_labels(mine, by_task):
    means = [np.mean([r["score"] for r in some]) if some else np.nan for some in by_task]
    return [*(f"{mean:.3f}" for mean in means), f"{np.mean(means):.3f}", f"{np.mean([r['seconds'] for r in mine]):.1f}"]


def of_forecasts(mine, by_task):
    means = [np.mean([r["score"] - r["ridge"] for r in some]) if some else np.nan for some in by_task]
    ahead = [r["score"] - r["ridge"] for r in mine]
    behind = sum(value < -0.01 for value in ahead)
    return [
        *(f"{mean:+.3f}" for mean in means),
        f"{np.mean(ahead):+.3f}",
        f"{np.median(ahead):+.3f}",
        f"{behind} of {len(ahead)}",
        f"{np.mean([r['seconds'] for r in mine]):.1f}",
    ]


READING = """
**What was chosen for regressors.** They start at ridge regression and train 30 epochs. A network from
random weights is behind ridge regression on most cuts. From ridge regression, 100 epochs lose accuracy where data are
few, and 15 gain less where data are many. The worst cuts are those between seasons, where the network adds what it
learnt about the past season. A larger λ_S is safer still and learns less, so 0.01 stays. **Where the target is far from
linear, a network from random weights is better**, with its 100 epochs and more. For such targets take `skip="none"`, or
raise `max_epochs`.

**What was chosen for classifiers.** λ_S = 0.001, the default before, makes both cells less accurate. 0.00001 with the
tight variant is best for the LSTM. The GRU is more accurate without any penalty, because its constraint ρ_h < 1 costs
accuracy. The rate and the noise of the ReLU network make no important difference here, so 0.001 and 0.1 stay.
"""


def page(records):
    forecasts = [f"{name}, {ahead} ahead" for name, ahead in FORECASTS]
    header = ["estimator", "settings", *forecasts, "mean", "median", "more than 0.01 behind", "fit, s"]
    labels = ["estimator", "settings", *LABELLED, "mean", "fit, s"]
    numbers = [f"{name} as numbers" for name in NUMBERS]
    ahead = table(header, rows_of(records, REGRESSORS, forecasts, of_forecasts))
    return (
        f"# Where the defaults come from\n\n{question(__doc__)}\n\n{explanation(__doc__)}\n\n"
        f"R² less that of ridge regression:\n\n{ahead}\n\n"
        f"{table([*header[:2], *numbers, *header[-4:]], rows_of(records, REGRESSORS, numbers, of_forecasts))}\n\n"
        f"Accuracy:\n\n{table(labels, rows_of(records, CLASSIFIERS, LABELLED, of_labels))}\n{READING}\n"
        f"{regenerate(NAME, records)}"
    )


if __name__ == "__main__":
    campaign(NAME, __doc__, measure, page)
