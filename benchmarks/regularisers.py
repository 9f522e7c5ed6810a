"""Which regulariser leaves the best forecasts on clean and on noisy inputs, and which networks can be certified?

Three real series; the same LSTM without regularisation, with weight decay, dropout, training noise, and either variant
of the penalty. Each regulariser's strength is chosen by cross-validation (three folds in time order, one seed), once
by the clean validation error and once by the validation error under input noise 0.3. The winners are then fitted to
all training windows from five seeds. The certified error is the largest squared error that any input within 0.05 of
the test inputs could cause, by `certify`; it bounds every attack.

Every fit is appended to results/regularisers.jsonl as it ends; run again to continue, or with --report to write
docs/benchmarks/regularisers.md.
"""

import argparse
import time
import warnings

import numpy as np
import torch
from _records import PAGES, append, load, machine, table
from _series import SERIES, forecasting_task
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import TimeSeriesSplit
from torch import nn

from sklstm import TikhonovLSTMRegressor
from sklstm.modules import LSTMRegressorModule

NAME = "regularisers"
NONE = {"lambda_s": 0.0, "lambda_1": 0.0, "lambda_2": 0.0}
STRENGTHS = {
    "none": ("lambda_s", (0.0,), NONE),
    "weight decay": ("weight_decay", (1e-4, 1e-3, 1e-2), NONE),
    "dropout": ("dropout", (0.1, 0.3, 0.5), NONE),
    "input noise": ("sigma", (0.1, 0.3, 1.0), NONE),
    "turkin": ("lambda_s", (1e-3, 1e-2, 1e-1), {}),
    "tight": ("lambda_s", (1e-3, 1e-2, 1e-1), {"variant": "tight"}),
}
CRITERIA = {"clean": 0.0, "noise 0.3": 0.3}
NOISE = (0.0, 0.1, 0.3, 1.0)
EPS = 0.05
N_SEEDS = 5


class DropoutLSTM(LSTMRegressorModule):
    """Dropout between the last hidden state and the readout."""

    rate = 0.0

    def forward(self, X):
        _, (h, _) = self.lstm(X)
        return self.link(self.readout(nn.functional.dropout(h[-1], self.rate, self.training)))


def estimator(method, value, seed):
    parameter, _, common = STRENGTHS[method]
    if parameter != "dropout":
        return TikhonovLSTMRegressor(**common | {parameter: value}, compute_bound=False, random_state=seed)
    model = TikhonovLSTMRegressor(**common, compute_bound=False, random_state=seed)
    model._module = type("DropoutLSTM", (DropoutLSTM,), {"rate": value})
    torch.manual_seed(seed)  # torch's dropout draws from the global generator
    return model


def errors(model, X, y, seed):
    """Mean squared error by standard deviation of the noise on the inputs, three draws each."""
    rng = np.random.default_rng(10_000 + seed)
    found = {}
    for sigma in NOISE:
        draws = [X + sigma * rng.standard_normal(X.shape) for _ in range(3 if sigma else 1)]
        found[str(sigma)] = float(np.mean([(model.predict(noisy) - y) ** 2 for noisy in draws]))
    return found


def validate(series, method, value):
    X, y, _, _ = forecasting_task(series)
    # Windows overlap: leave a gap as long as one between the training and the validation part.
    folds = TimeSeriesSplit(3, gap=X.shape[1]).split(X)
    found = []
    for train, test in folds:
        model = estimator(method, value, 0).fit(X[train], y[train])
        found.append(errors(model, X[test], y[test], 0))
    return {"mse": {str(sigma): float(np.mean([f[str(sigma)] for f in found])) for sigma in NOISE}}


def final(series, method, value, seed):
    X, y, X_test, y_test = forecasting_task(series)
    model = estimator(method, value, seed).fit(X, y)
    lower, upper = model.certify(X_test, EPS)
    certified = float(np.mean(np.maximum((upper - y_test) ** 2, (lower - y_test) ** 2)))
    record = {"mse": errors(model, X_test, y_test, seed), "certified": certified}
    return record | {"radius": float(np.median((upper - lower) / 2)), "rho_h": model.rho_h_}


def chosen(records, series, method, criterion):
    """The strength with the least mean validation error, None while some are missing."""
    found = {
        r["value"]: r["mse"][str(CRITERIA[criterion])]
        for r in records
        if (r["part"], r["series"], r["method"]) == ("cv", series, method)
    }
    values = STRENGTHS[method][1]
    if len(values) == 1:
        return values[0]
    return min(found, key=found.get) if len(found) == len(values) else None


def timed(function, *arguments):
    started = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        record = function(*arguments)
    return record | {"warned": len(caught), "seconds": round(time.perf_counter() - started, 1)}


def run(methods):
    torch.set_num_threads(1)
    for series in SERIES:
        for method in methods:
            values = STRENGTHS[method][1]
            for value in values if len(values) > 1 else ():
                key = {"part": "cv", "series": series, "method": method, "value": value}
                if not any(key.items() <= r.items() for r in load(NAME)):
                    append(NAME, key | timed(validate, series, method, value))
                    print(load(NAME)[-1], flush=True)
    for seed in range(N_SEEDS):
        for series in SERIES:
            for method in methods:
                for value in {chosen(load(NAME), series, method, criterion) for criterion in CRITERIA}:
                    key = {"part": "final", "series": series, "method": method, "value": value, "seed": seed}
                    if not any(key.items() <= r.items() for r in load(NAME)):
                        append(NAME, key | timed(final, series, method, value, seed))
                        print(load(NAME)[-1], flush=True)


def cell(values):
    values = np.array(values)
    return f"{values.mean():.3g} ± {values.std(ddof=1) / len(values) ** 0.5:.1g}"


def report():
    records, sections = load(NAME), []
    for criterion in CRITERIA:
        rows = []
        for series in SERIES:
            for method, (parameter, *_) in STRENGTHS.items():
                value = chosen(records, series, method, criterion)
                key = {"part": "final", "series": series, "method": method, "value": value}
                mine = [r for r in records if key.items() <= r.items()]
                strength = f"{parameter} = {value:g}" if method != "none" else ""
                noisy = [cell([r["mse"][str(sigma)] for r in mine]) for sigma in NOISE]
                rows.append([series, method, strength, *noisy, cell([r["certified"] for r in mine])])
        header = [
            "series",
            "method",
            "strength",
            "clean",
            *(f"noise {s:g}" for s in NOISE[1:]),
            f"certified, eps {EPS}",
        ]
        sections.append(f"## Strength chosen by the validation error, {criterion}\n\n{table(header, rows)}\n")
    n_seeds = min(sum(r["part"] == "final" and r["seed"] == s for r in records) > 0 for s in range(N_SEEDS)) * N_SEEDS
    path = PAGES / f"{NAME}.md"
    reading = path.read_text().split("<!-- reading -->")[1] if path.exists() else "\n\n"
    path.write_text(
        f"# Regularisers compared\n\n{__doc__.strip().split(chr(10) * 2)[0]}\n\n"
        f"{__doc__.strip().split(chr(10) * 2)[1]}\n\n"
        "Mean squared errors of one-step forecasts (z-scored; 1 is the error of predicting the mean), mean ± standard "
        f"error over {n_seeds} seeds. Everything not named is the estimator's default.\n\n"
        f"<!-- reading -->{reading}<!-- reading -->\n\n" + "\n".join(sections) + "\n"
        f"Regenerate: `python benchmarks/{NAME}.py`, then the same with `--report`. Recorded on {machine()}.\n"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--methods", nargs="+", choices=STRENGTHS, default=list(STRENGTHS))
    arguments = parser.parse_args()
    report() if arguments.report else run(arguments.methods)
