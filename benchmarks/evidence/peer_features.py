"""Which expectations of a scikit-learn user does each package's recurrent regressor meet?

Every line is a trial, run on the versions named (`benchmarks/common/peer_trials.py` has the code). A "no" is a trial
that failed or raised an error, with its reason below the table. The packages are those with a recurrent regressor that
is called like an estimator. Three others are not: darts forecasts series of its own type, neuralforecast forecasts long
tables, tsai trains fastai learners. The last lines are measured times, from [fit_speed.md](fit_speed.md).

For bounds, the trials ask only whether there is a public name for them. For networks of your own, they ask whether the
class takes any. How good sklstm's bounds are is in [certificate_soundness.md](certificate_soundness.md) and
[bound_coverage.md](bound_coverage.md). sktime has no LSTM for regression. Its line is about its recurrent network,
compared with a loop of the same cell.
"""

import argparse
import datetime
import json
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.common.peer_environment import PYTHON
from tests.support.records import PAGES, ROOT, append, current, load, table
from tests.support.suite import explanation, question

NAME = "peer_features"
NAMES = {"sklstm": "TikhonovLSTMRegressor", "skorch": "NeuralNetRegressor", "keras": "SKLearnRegressor",
         "sktime": "SimpleRNNRegressorTorch", "aeon": "RecurrentRegressor"}  # fmt: skip
TIMES = {"sklstm": "sklstm, default λ", "skorch": "skorch", "keras": "keras LSTM", "sktime": "sktime RNN",
         "aeon": "aeon LSTM"}  # fmt: skip
README = ROOT / "README.md"
# The lines that README.md shows, in its words.
SHORT = {
    "in `GridSearchCV`": "in `GridSearchCV`",
    "sequences of unequal length": "sequences of unequal length",
    "any network of one's own": "your own network",
    "more than 20 other methods for sequences with the same interface": "more than 20 other methods",
    "saved whole without pickle": "saved without pickle",
    "bounds under input perturbation": "bounds under input errors",
    "generalisation bound": "generalisation bound",
}
MARK = "<!-- peers -->"


def measure():
    for name in NAMES:
        python = sys.executable if name in ("sklstm", "skorch") else PYTHON
        if not Path(python).exists():
            print(f"{name}: left out, as there is no .venv-peers; `make bench-peers` makes it")
            continue
        answer = subprocess.run(
            [python, "-m", "benchmarks.common.peer_trials", name],
            cwd=ROOT,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=True,
        )
        found = json.loads(answer.stdout.strip().splitlines()[-1])
        yield {"package": name, "date": datetime.date.today().isoformat(), **found}


def latest(records):
    return {record["package"]: record for record in records}


def fit_times(units):
    """Median time of a fit over the hand-written loop of its cell, one thread."""
    found = {}
    for record in current("fit_speed"):
        if record["baseline"] == "loop" and record["threads"] == 1 and record["sizes"].get("H") == units:
            found[record["contender"]] = record["ratio"]
    return found


def overview(records, labels):
    """A table of the trials that have labels, and of times."""
    mine = latest(records)
    header = ["", *(f"{name} {record['packages'][name]}" for name, record in mine.items())]
    rows = [
        [label, *("yes" if record["features"][feature]["yes"] else "no" for record in mine.values())]
        for feature, label in labels.items()
    ]
    for units in (16, 64):
        times = fit_times(units)
        label = f"fit, times a hand-written loop, {units} units"
        rows.append([label, *(f"{times[TIMES[name]]:.2f}" for name in mine)])
    return table(header, rows)


def page(records):
    mine = latest(records)
    every = {name: name.replace("one's own", "your own") for name in next(iter(mine.values()))["features"]}
    reasons = [
        f"- {name}, {feature}: `{trial['reason'].replace('`', '')}`"
        for name, record in mine.items()
        for feature, trial in record["features"].items()
        if trial.get("reason")
    ]
    classes = ", ".join(f"`{kind}` of {name}" for name, kind in NAMES.items() if name in mine)
    versions = "\n".join(
        f"- {name}: {', '.join(f'{each} {v}' for each, v in record['packages'].items())}; tried on {record['date']}"
        for name, record in mine.items()
    )
    return (
        f"# Beside other packages\n\n{question(__doc__)}\n\n"
        f"{explanation(__doc__)}\n\n{overview(records, every)}\n\nTried: {classes}.\n\n{versions}\n\n"
        f"What they answered:\n\n{chr(10).join(reasons)}\n\n"
        f"Regenerate: `make bench-peers`, then `python -m benchmarks.evidence.{NAME} --report`.\n"
    )


def readme(text, records):
    """README.md with the table between its marks, and the date."""
    before, _, after = text.split(MARK)
    dates = sorted({record["date"] for record in latest(records).values()})
    return f"{before}{MARK}\n{overview(records, SHORT)}\n\nTried on {' and '.join(dates)}.\n{MARK}{after}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-run", action="store_true", help="try nothing")
    parser.add_argument(
        "--report", action="store_true", help="write docs/benchmarks/peer_features.md and the table in README.md"
    )
    arguments = parser.parse_args()
    for record in measure() if not arguments.no_run else ():
        append(NAME, record)
    records = load(NAME)
    print(page(records))
    if arguments.report:
        (PAGES / f"{NAME}.md").write_text(page(records), encoding="utf-8")
        README.write_text(readme(README.read_text(encoding="utf-8"), records), encoding="utf-8")


if __name__ == "__main__":
    main()
