"""Does the penalty help on noisy inputs, at its default strength, and does training ever diverge or end infeasible?

Ten seeds on three real series; the same LSTM without the penalty, with weight decay, and with either variant of the
penalty. Every fit is appended to results/noise_robustness.jsonl as it ends; run again to continue.
"""

import math
import time
import warnings

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning

from benchmarks.common.series import SERIES, TRAINING, forecasting_task
from sklstm import TikhonovLSTMRegressor
from sklstm.metrics import make_noisy_scorer
from tests.support.records import table
from tests.support.suite import campaign, regenerate

NAME = "noise_robustness"
NONE = {"lambda_s": 0.0, "lambda_1": 0.0, "lambda_2": 0.0}
METHODS = {
    "no penalty": NONE,
    "weight decay 1e-3": NONE | {"weight_decay": 1e-3},
    "turkin": {},
    "tight": {"variant": "tight"},
}
NOISE = (0.0, 0.1, 0.3, 1.0)
N_SEEDS = 10
# Written after looking at the table; read it again when the records change.
READING = """\
At noise 0.1, 0.3 and 1 the LSTM with the penalty (turkin) is better than the same LSTM without it, on the average of
the three series. It is worse on the single-channel sunspots, where the plain LSTM overfits little. On clean inputs
it is worse on two of three. A weight decay of 1e-3 is better than the penalty on clean inputs and at noise 0.1, and
worse at 0.3 and 1. The default λ_S = 0.01 was chosen on these series among 0.001 to 0.03 by one or two seeds. The
table is therefore no fresh test."""


def run(series, method, seed):
    X, y, X_test, y_test = forecasting_task(series)
    model = TikhonovLSTMRegressor(**METHODS[method], **TRAINING, random_state=seed)
    started = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        model.fit(X, y)
    seconds = time.perf_counter() - started
    errors = {}
    for sigma in NOISE:
        error = make_noisy_scorer("neg_mean_squared_error", sigma, n_draws=3, random_state=10_000 + seed)
        errors[str(sigma)] = -error(model, X_test, y_test)
    return {
        "series": series,
        "method": method,
        "seed": seed,
        "mse": errors,
        "data_loss": model.net_.history[-1, "data_loss"],
        "rho_h": model.rho_h_,
        "gain": model.perturbation_gain_ if math.isfinite(model.perturbation_gain_) else "inf",
        "warned": len(caught),
        "seconds": round(seconds, 2),
    }


def averages(records):
    """Rows of the mean over series: the seeds of the three series are independent, so their errors add in squares."""
    rows = []
    for method in METHODS:
        cells = []
        for sigma in NOISE:
            values = [
                np.array([r["mse"][str(sigma)] for r in records if (r["series"], r["method"]) == (series, method)])
                for series in SERIES
            ]
            error = sum(v.var(ddof=1) / len(v) for v in values) ** 0.5 / len(values)
            cells.append(f"{np.mean([v.mean() for v in values]):.3f} ± {error:.3f}")
        rows.append(["**average**", method, *cells, "", ""])
    return rows


def page(records):
    rows = []
    for series in SERIES:
        for method in METHODS:
            mine = [r for r in records if r["series"] == series and r["method"] == method]
            if not mine:
                continue
            cells = []
            for sigma in NOISE:
                values = np.array([r["mse"][str(sigma)] for r in mine])
                cells.append(f"{values.mean():.3f} ± {values.std(ddof=1) / len(values) ** 0.5:.3f}")
            infeasible = sum(r["gain"] == "inf" for r in mine)
            ended = f"{len(mine) - infeasible} of {len(mine)}" if METHODS[method].get("lambda_s") != 0 else "–"
            rows.append([series, method, *cells, f"{max(r['rho_h'] for r in mine):.3g}", ended])
    rows += averages(records)
    header = ["series", "method", *(f"noise {sigma:g}" for sigma in NOISE), "largest ρ_h", "ended feasible"]
    text = __doc__.strip().splitlines()[0]
    n_fits = len(records)
    return (
        f"# Noisy inputs at the default strength of the penalty\n\n{text}\n\n"
        "The table has the test mean squared error of one-step forecasts, z-scored: 1 is the error of predicting the "
        f"mean. It is the mean ± standard error over {N_SEEDS} seeds, with Gaussian noise of the given standard "
        "deviation on the test inputs. There is no linear part. Training has 100 epochs at a constant rate in batches "
        "of 64. All else has the estimator's defaults.\n\n"
        f"{table(header, rows)}\n\n"
        f"{READING}\n\n"
        f"Of {n_fits} fits none diverged. A non-finite loss raises an error and would have stopped the script.\n\n"
        f"{regenerate(NAME, records)}"
    )


def measure(options, done):
    torch.set_num_threads(1)
    done = {(r["series"], r["method"], r["seed"]) for r in done}
    for key in ((s, m, k) for k in range(N_SEEDS) for s in SERIES for m in METHODS):
        if key not in done:
            yield run(*key)


if __name__ == "__main__":
    campaign(NAME, __doc__, measure, page)
