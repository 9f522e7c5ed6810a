"""What does training for the certificate win, and what does it cost in accuracy?

Forecasts: the LSTM without regularisation, with weight decay, training noise and each variant of the penalty, at
several strengths, trained for errors of several sizes, and ridge regression, whose worst case is known exactly. Labels:
the three classifiers with their defaults, and trained for errors of 0.05 and 0.1. Inputs are standardised. The
certified error is the largest mean squared error that errors of the inputs of up to 0.05 could cause, from the bounds
of `certify` with `method="best"`, and with `method="linear"` for 150 of the test windows; the certified accuracy is the
share of test sequences, of at most 100, that stay rightly classified whatever errors of that size. Nothing is chosen by
the test parts: every setting is shown.

Every fit is appended to results/robust_training.jsonl as it ends; run again to continue.
"""

import warnings

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import RidgeCV

from benchmarks.common.real_sets import REAL_SETS
from benchmarks.common.series import SERIES, forecasting_task
from sklstm import NoisyRNNClassifier, TikhonovGRUClassifier, TikhonovLSTMClassifier, TikhonovLSTMRegressor
from tests.support.records import table
from tests.support.suite import campaign, explanation, question, regenerate

NAME = "robust_training"
EPS = 0.05
RADII = (0.03, 0.1)
NOISE = 0.3
NONE = {"lambda_s": 0.0, "lambda_1": 0.0, "lambda_2": 0.0}
PLAIN = {"skip": "none"}

#: Name -> keyword arguments of the LSTM, a setting a line.
FORECASTERS = {
    "nothing": [PLAIN | NONE],
    "weight decay": [PLAIN | NONE | {"weight_decay": value} for value in (1e-3, 1e-2)],
    "input noise": [PLAIN | NONE | {"sigma": value} for value in (0.1, 0.3)],
    "turkin": [PLAIN | {"lambda_s": value} for value in (1e-3, 1e-2)],
    "tight": [PLAIN | {"variant": "tight", "lambda_s": value} for value in (1e-3, 1e-2)],
    "stable": [PLAIN | {"variant": "stable", "lambda_s": value} for value in (3e-3, 1e-2)],
    "robust": [PLAIN | {"robust_eps": value} for value in (0.03, 0.05, 0.1)],
    "default": [{}],
    "default, robust": [{"robust_eps": value} for value in (0.03, 0.05, 0.1)],
    "default, adversarial": [{"robust_eps": 0.05, "robust_weight": 0.0}],
}
CLASSIFIERS = (NoisyRNNClassifier, TikhonovLSTMClassifier, TikhonovGRUClassifier)
LABELLED = ("Japanese vowels", "ItalyPowerDemand", "digits", "GunPoint", "BasicMotions")


def worst(lower, upper, y):
    return float(np.maximum((lower - y) ** 2, (upper - y) ** 2).mean())


def under_noise(predict, X, y):
    rng = np.random.default_rng(10_000)
    return float(np.mean([(predict(X + NOISE * rng.standard_normal(X.shape)) - y) ** 2 for _ in range(3)]))


def forecast(series, settings, seed):
    X, y, X_test, y_test = forecasting_task(series)
    model = TikhonovLSTMRegressor(**settings, random_state=seed).fit(X, y)
    some = np.linspace(0, len(y_test) - 1, 150).astype(int)
    predicted = model.predict(X_test)
    return {
        "clean": float(((predicted - y_test) ** 2).mean()),
        "noise": under_noise(model.predict, X_test, y_test),
        "certified": worst(*model.certify(X_test, EPS), y_test),
        "linear": worst(*model.certify(X_test[some], EPS, method="linear"), y_test[some]),
        "spread": float(predicted.std()),
    }


def ridge(series):
    """Ridge regression on the flat windows: its certified error is exact."""
    X, y, X_test, y_test = (part.reshape(len(part), -1) for part in forecasting_task(series))
    model = RidgeCV(np.logspace(-3, 5, 33)).fit(X, y.ravel())
    predicted, reach = model.predict(X_test), EPS * np.abs(model.coef_).sum()
    exact = worst(predicted - reach, predicted + reach, y_test.ravel())
    return {
        "clean": float(((predicted - y_test.ravel()) ** 2).mean()),
        "noise": under_noise(model.predict, X_test, y_test.ravel()),
        "certified": exact,
        "linear": exact,
        "spread": float(predicted.std()),
    }


def labels(name, kind, settings, seed):
    data = REAL_SETS[name]()
    model = kind(**settings, random_state=seed).fit(data.X, data.y)
    rows = np.random.default_rng(0).permutation(len(data.y_test))[:100]
    X = [data.X_test[row] for row in rows] if isinstance(data.X_test, list) else data.X_test[rows]
    y = data.y_test[rows]
    found = {f"certified {eps}": model.certified_accuracy(X, y, eps, method="auto") for eps in RADII}
    return {"accuracy": model.score(data.X_test, data.y_test), **found}


def measure(options, done):
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", ConvergenceWarning)  # counted in the page by what came of it
    done = {(r["set"], r["method"], str(r["settings"]), r["seed"]) for r in done}

    def new(name, method, settings, seed, function, *arguments):
        if (name, method, str(settings), seed) not in done:
            found = function(*arguments)
            yield {"set": name, "method": method, "settings": settings, "seed": seed, **found}

    for seed in range(options.seeds):
        for series in SERIES:
            if seed == 0:
                yield from new(series, "ridge", {}, 0, ridge, series)
            for method, several in FORECASTERS.items():
                for settings in several:
                    yield from new(series, method, settings, seed, forecast, series, settings, seed)
        for name in LABELLED:
            for kind in CLASSIFIERS:
                for eps in (0.0, 0.05, 0.1):
                    settings = {"robust_eps": eps} if eps else {}
                    yield from new(name, kind.__name__, settings, seed, labels, name, kind, settings, seed)


# Written after looking at the records: read it again when these change.
READING = """\
On bike sharing and PM2.5 no other training is as accurate on clean inputs as training for the bounds and certified as
narrowly, and with a linear part to begin with it beats ridge regression in both. On sunspots it is certified best;
ridge regression and the weaker weight decay are a little more accurate there. What is otherwise most accurate has
certified errors twice to hundreds of times as large. Attacks alone (κ = 0) make no certificate.

Labels: at 0.1 training for 0.1 certifies far more; on vowels, power demand and digits it changes the accuracy by up to
five points in either direction, and what is certified at 0.03 by up to nine. On GunPoint, 50 sequences of 150 steps,
the ReLU network loses 20 points of accuracy. **On BasicMotions, 40 sequences of 100 steps, the LSTM and the GRU become
constants, or nearly**: intervals grow with the steps. A warning says so; with `robust_weight=0.1` the LSTM has 0.95."""


def said(settings):
    shown = {name: value for name, value in settings.items() if name not in ("skip", "lambda_1", "lambda_2", "variant")}
    return ", ".join(f"{name} = {value:g}" for name, value in shown.items() if value) or ""


def rows_of(records, names, kinds, columns):
    found = []
    for name in names:
        for method, settings in kinds:
            mine = [r for r in records if (r["set"], r["method"], r["settings"]) == (name, method, settings)]
            if mine:
                means = [f"{np.mean([r[column] for r in mine]):.3f}" for column in columns]
                found.append([name, method, said(settings), *means, str(len(mine))])
    return found


def page(records):
    columns = ("clean", "noise", "certified", "linear")
    kinds = [("ridge", {}), *((method, settings) for method, several in FORECASTERS.items() for settings in several)]
    forecasts = rows_of(records, SERIES, kinds, columns)
    columns = ("accuracy", *(f"certified {eps}" for eps in RADII))
    kinds = [(kind.__name__, {"robust_eps": eps} if eps else {}) for kind in CLASSIFIERS for eps in (0.0, 0.05, 0.1)]
    labelled = rows_of(records, LABELLED, kinds, columns)
    constant = sum(r.get("spread", 1.0) < 0.02 for r in records)
    trained = sum("robust_eps" in r["settings"] for r in records)
    series_header = ["series", "trained with", "setting", "clean", f"noise {NOISE}", "certified"]
    series_header += ["certified, linear", "seeds"]
    at = [f"certified at {eps}" for eps in RADII]
    labels_header = ["set", "estimator", "setting", "clean", *at, "seeds"]
    return (
        f"# Robust training\n\n{question(__doc__)}\n\n{explanation(__doc__)}\n\n"
        f"Of {trained} robust trainings {constant} ended in a constant. For what they cost in time see "
        f"[here](robust_cost.md).\n\n{READING}\n\n"
        f"## Forecasts: mean squared errors\n\n{table(series_header, forecasts)}\n\n"
        f"## Labels: accuracy\n\n{table(labels_header, labelled)}\n\n{regenerate(NAME, records)}"
    )


def add_options(parser):
    parser.add_argument("--seeds", type=int, default=5)


if __name__ == "__main__":
    campaign(NAME, __doc__, measure, page, add_options=add_options)
