"""Is a generalisation bound ever below the truth?

Small estimators are trained on real data (a random half) and on distributions whose truth is known. Every bound of
`generalization_report` is compared with the loss, on data that trained nothing, of the predictor that it is about, the
trained, the quantised or the stochastic one; and so is every bound of `holdout_bound`, from a third part of the data,
on a fourth. Every model is appended to results/bound_coverage.jsonl; run again to continue.
"""

import time
import warnings

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from sklstm import Compression, PACBayes
from sklstm.generalization import holdout_bound
from tests.support.coverage import CALIBRATION_DELTA, N_DRAWS, N_NETWORKS, below, compare, zero_one_calibration
from tests.support.coverage_tasks import (
    BATCH_SIZE,
    CLASSIFICATION,
    N_EACH,
    N_FRESH,
    REGRESSION,
    Known,
    estimator,
)
from tests.support.records import table
from tests.support.suite import campaign, regenerate

NAME = "bound_coverage"
N_STEPS = {"classification": 800, "regression": 500}  # of the optimiser: up to about 5 s a model


# More models of every task, whose reports have the PAC-Bayes bound in the place of the Occam bound.
N_STOCHASTIC = 5


def compression(number, n):
    """Fine-tuning for the Occam bound, of one model in five; the PAC-Bayes bound of the last ones."""
    epochs = int(np.clip(600 * BATCH_SIZE // n, 3, 60))
    if number >= N_EACH:
        return PACBayes((0.2, 0.5, 0.8)[number % 3], scales=(0.25, 0.0625), epochs=epochs // 3, n_draws=2000)
    if number // 4 != 1:
        return None
    return Compression(
        3, epochs=epochs, stage_epochs=max(1, epochs // 10), n_stages=4, n_trials=40, coarseness=(16.0,),
        batch_size=BATCH_SIZE,
    )  # fmt: skip


def fine_tuned(rows, report):
    """The rows, with the name of the Occam bound saying how it was made."""
    if "occam" not in report or report["occam"].description is None:
        return rows
    return [row | {"bound": "occam, fine-tuned"} if row["bound"] == "occam" else row for row in rows]


def train(task, number):
    """One fitted model, its report, the parts of its task, and the seconds that training and bounds took."""
    training, *others = (CLASSIFICATION | REGRESSION)[task].parts(number)
    n_steps = N_STEPS["classification" if task in CLASSIFICATION else "regression"]
    epochs = max(1, n_steps * BATCH_SIZE // len(training.X))
    model = estimator(task, number % N_EACH).set_params(
        random_state=number, max_epochs=epochs, compression=compression(number, len(training.X))
    )
    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # an infeasible network has bounds like any other
        report = model.fit(training.X, training.y).generalization_report(training.X, training.y)
    return model, report, others, time.perf_counter() - started


def run(task, number):
    """The record of one model: a row for each bound."""
    model, report, (hold, truth, hold_truth), seconds = train(task, number)
    rows = fine_tuned(compare(model, report.bounds, truth), report)
    shares = compare(model, report.simultaneous().bounds, truth)
    together = {row["bound"]: {name: row[name] for name in ("value", "vacuous", "loss", "lower")} for row in shares}
    held = [model.holdout_bound(hold.X, hold.y)]
    rows += compare(model, held, hold_truth)
    if task in REGRESSION:
        best = model.holdout_bound(hold.X, hold.y, method="best")
        rows += [row | {"bound": "holdout, best"} for row in compare(model, [best], hold_truth)]
    return {
        "task": task,
        "number": number,
        "estimator": repr(model),
        "n_train": report.n_samples,
        "seconds": round(seconds, 2),
        "report_delta": report.delta,
        "rows": rows,
        "together": together,
    }


def capped_calibration(losses, cap, n, rng, method):
    """The same for capped losses, whose exact value is not known."""
    drawn = losses[rng.integers(len(losses), size=(N_DRAWS, n))]
    limits = [holdout_bound(row, cap=cap, method=method, delta=CALIBRATION_DELTA).value for row in drawn]
    return float(np.mean(np.array(limits) < losses.mean()))


def calibrate():
    """Hold-out bounds at δ = 0.2 on samples from the losses of one predictor, whose mean is then the exact truth."""
    rng, rows = np.random.default_rng(0), []
    for task in ("digits", "bike sharing"):
        model, report, (_, truth, _), _ = train(task, 1)
        cap = report.ceiling if task in REGRESSION else None
        losses = truth.losses(model.predict(truth.X), cap)
        for n in (100, 1000):
            if cap is None:
                observed, exact = zero_one_calibration(losses, n, rng)
                rows.append({"task": task, "method": "binomial", "n": n, "observed": observed, "exact": exact})
                continue
            for method in ("bernstein", "best"):
                observed = capped_calibration(losses, cap, n, rng, method)
                rows.append({"task": task, "method": method, "n": n, "observed": observed, "exact": None})
    return {"task": "calibration", "number": 0, "calibration": rows}


def tally(rows):
    """Cells of the report for the rows of one bound."""
    said = [row for row in rows if not row["vacuous"]]
    halves = [row for row in rows if not row["half_vacuous"]]
    return [
        len(rows),
        len(said),
        sum(below(row) for row in rows),
        sum(below(row, loss="lower") for row in rows),
        f"{rows[0]['delta'] * len(said):.1f}",
        len(halves),
        sum(below(row, "half") for row in rows),
        f"{np.median([row['value'] for row in rows]):.3g}",
        f"{np.median([row['loss'] for row in rows]):.3g}",
    ]


HEADER = (
    "models",
    "non-vacuous",
    "below the loss",
    "below its lower limit",
    "allowed: δ × non-vacuous",
    "non-vacuous at δ = ½",
    "below the loss at δ = ½",
    "median bound",
    "median loss",
)
READING = """\
A vacuous bound, at or above the largest possible loss, cannot be below the truth. That it never is shows nothing. The
test is about the non-vacuous bounds, and "allowed" counts only them: δ of the bound times their number. At δ = ½ the
same bounds are smaller, and more of them are not vacuous. Half of those may be below the loss.

The loss of a stochastic predictor, which the PAC-Bayes bound is about, is the mean over {n_networks} of its networks.

Where the truth is known, the loss is the truth. Given the input, it has a closed form. Inputs of ±1 are enumerated, and
for normal inputs there are {n_fresh:,} fresh samples. Noise labels have the truth 1/2 for every classifier.

On real data the loss is the mean on data that trained nothing. This mean is itself an estimate, and is above the true
mean about every other time. A bound that is true but nearly exact, such as the hold-out bound, may therefore lie below
that mean more often than δ. Where both samples have the same size, this happens about 12 times in a hundred at δ =
0.05. "Below its lower limit" is stricter evidence: the bound is below even the lower 95 % limit of the mean (Clopper
and Pearson for errors, the central limit theorem for capped losses).

Real data: a random half trains. Scales come from the whole set, which is the same for every half. Windows of a series
share no step. The other half checks the bounds from training data. A quarter makes the hold-out bound, and the last
quarter checks it. The models of one real task share their samples, so their failures are not independent."""


def page(records):
    calibration = next((r["calibration"] for r in records if r["task"] == "calibration"), [])
    last_line = regenerate(NAME, records)
    records = [record for record in records if record["task"] != "calibration"]
    tasks = CLASSIFICATION | REGRESSION
    known = {name for name, task in tasks.items() if isinstance(task, Known)}
    rows = [(record["task"], row["bound"], row) for record in records for row in record["rows"]]
    bounds = list(dict.fromkeys(bound for _, bound, _ in rows))
    totals, detail = [], []
    for bound in bounds:
        for truth, wanted in (("known", known), ("held-out mean", set(tasks) - known)):
            mine = [row for task, name, row in rows if name == bound and task in wanted]
            totals += [[bound, truth, *tally(mine)[:-2]]] if mine else []
    for task in tasks:
        for bound in bounds:
            mine = [row for name, other, row in rows if (name, other) == (task, bound)]
            detail += [[task, bound, *tally(mine)]] if mine else []
    reading = READING.format(n_fresh=N_FRESH, n_networks=N_NETWORKS)
    n_known = sum(record["task"] in known for record in records)
    return (
        f"# Are the bounds ever below the truth?\n\n{len(records)} trained models, {n_known} of them where the truth "
        f"is known.\n\n{table(['bound', 'truth', *HEADER[:-2]], totals)}\n\n{reading}\n\n"
        f"{together_text(records)}\n\n## By task\n\n{table(['task', 'bound', *HEADER], detail)}\n\n"
        f"## A bound that may fail does\n\n{calibration_text(calibration)}\n\n"
        f"Median time of a model: {np.median([r['seconds'] for r in records]):.1f} s for training and bounds.\n\n"
        f"{last_line}"
    )


def together_text(records):
    said = [record for record in records if not all(row["vacuous"] for row in record["together"].values())]
    failed = sum(any(below(row) for row in record["together"].values()) for record in records)
    allowed = sum(record["report_delta"] for record in said)
    return (
        f'Read together (the column "together" of the report): {len(said)} of {len(records)} reports have a bound that '
        f"is not vacuous. {failed} have one that is below the loss; {allowed:.1f} would be allowed."
    )


def calibration_text(rows):
    cells = [
        [r["task"], r["method"], r["n"], f"{r['observed']:.4f}", "–" if r["exact"] is None else f"{r['exact']:.4f}"]
        for r in rows
    ]
    error = np.sqrt(CALIBRATION_DELTA * (1 - CALIBRATION_DELTA) / N_DRAWS)
    return (
        f"Hold-out bounds at δ = {CALIBRATION_DELTA} are computed on {N_DRAWS:,} samples of n losses. The losses are "
        "drawn with replacement from those of one predictor on one half of the data, so that their mean is the truth "
        f"of the draws. At most {CALIBRATION_DELTA} may fail. The standard error of the shares is at most {error:.4f}. "
        "The binomial limit is close to it, as far as whole numbers of errors allow. The limits for capped losses are "
        "not exact, and fail less "
        f"often.\n\n{table(['task', 'limit', 'n', 'share below the truth', 'exact share'], cells)}"
    )


def measure(options, done):
    torch.set_num_threads(1)
    done = {(record["task"], record["number"]) for record in done}
    keys = [(task, number) for number in range(N_EACH + N_STOCHASTIC) for task in CLASSIFICATION | REGRESSION]
    keys = [key for key in keys[: options.limit] if key not in done]
    with threadpool_limits(1):
        for count, key in enumerate(keys, 1):
            record = run(*key)
            failed = [row["bound"] for row in record["rows"] if below(row)]
            said = sum(not row["vacuous"] for row in record["rows"])
            found = f"{said} of {len(record['rows'])} bounds not vacuous, below the loss: {', '.join(failed) or 'none'}"
            print(f"{count}/{len(keys)} {key[0]} {key[1]}: {record['seconds']} s; {found}", flush=True)
            yield record
        if ("calibration", 0) not in done:
            yield calibrate()


def add_options(parser):
    parser.add_argument("--limit", type=int, help="train no more than this many models, for a trial")


if __name__ == "__main__":
    campaign(NAME, __doc__, measure, page, add_options=add_options)
