"""Do the adapters for aeon and sktime pass the estimator checks of these packages, and how good are they there?

`check_estimator` of each package runs on each class with all its sets of test parameters. These are an estimator alone,
and a pipeline with a scaler. We leave out and excuse no check. Two of aeon's checks for each class compare with results
that aeon stores for its own classes. They have nothing to compare here.

The second table is about Japanese vowels, one small set of real sequences of unequal length, with aeon's `fit` and
`score`. There are 270 utterances of nine speakers to train on and 370 to recognise, in the source's split. All methods
have their defaults. Our estimators come after `SequenceScaler`. MiniRocket comes after padding, because it takes one
length only. The standard error is that of a share of this many test sequences. A difference of less than two standard
errors means little.
"""

import argparse
import datetime
import json
import math
import os
import subprocess
from pathlib import Path

from tests.support.records import PAGES, ROOT, append, load, table
from tests.support.suite import explanation, question

NAME = "adapter_checks"
PYTHON = ROOT / ".venv-adapters" / "bin" / "python"
PARTS = ("checks", "vowels")
OURS = ("TikhonovGRUClassifier", "TikhonovLSTMClassifier", "NoisyRNNClassifier")


def measure(python, part, adapter=""):
    answer = subprocess.run(
        [python, "-m", "benchmarks.common.adapter_trials", part, *([adapter] if adapter else [])],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return {"date": datetime.date.today().isoformat(), **json.loads(answer.stdout.strip().splitlines()[-1])}


def page(records):
    last = {record["part"]: record for record in records}
    of_adapters = {}  # a later record of one adapter takes the place of an earlier one of all
    for record in records:
        if record["part"] == "checks":
            of_adapters |= {(found["toolkit"], found["adapter"]): found for found in record["found"]}
    rows, reasons = [], []
    for _, found in sorted(of_adapters.items()):
        name = f"`sklstm.adapters.{found['toolkit']}.{found['adapter']}`"
        skipped = [check for check, outcome in found["others"].items() if outcome.startswith("SKIPPED")]
        failed = len(found["others"]) - len(skipped)
        rows.append([name, found["run"], found["run"] - len(found["others"]), len(skipped), failed])
        reasons += [f"- {name}, `{check}`: {outcome}" for check, outcome in found["others"].items()]
    checks = table(["adapter", "checks run", "passed", "skipped", "failed"], rows)
    ranked = sorted(last["vowels"]["found"], key=lambda found: -found["accuracy"])
    scores = [
        [
            found["classifier"] + " (ours)" * (found["classifier"] in OURS),
            f"{found['accuracy']:.3f}",
            f"{math.sqrt(found['accuracy'] * (1 - found['accuracy']) / found['n_test']):.3f}",
        ]
        for found in ranked
    ]
    made_with = {
        ", ".join(f"{package} {version}" for package, version in last[part]["packages"].items()) for part in PARTS
    }
    return (
        f"# The checks of aeon and sktime\n\n{question(__doc__)}\n\n{explanation(__doc__)}\n\n"
        + "\n\n".join([checks, *(["\n".join(reasons)] if reasons else [])])
        + f"\n\n{table(['classifier', 'accuracy', 'standard error'], scores)}\n\n"
        f"Regenerate: `make check-adapters`, then `python -m benchmarks.evidence.{NAME} --report`. Recorded with "
        f"{'; '.join(sorted(made_with))}.\n"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-run", action="store_true", help="check nothing")
    parser.add_argument("--report", action="store_true", help=f"write docs/benchmarks/{NAME}.md")
    parser.add_argument(
        "--python", type=Path, default=PYTHON, help="of an environment with aeon and sktime; %(default)s"
    )
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="one of the two")
    parser.add_argument("--adapter", default="", help="check one alone, sktime.RecurrentForecaster for instance")
    options = parser.parse_args()
    if not options.no_run and not options.python.exists():
        print("left out, as there is no .venv-adapters; `make check-adapters` makes it")
    elif not options.no_run:
        for part in options.only:
            append(NAME, measure(options.python, part, options.adapter if part == "checks" else ""))
    print(page(load(NAME)))
    if options.report:
        (PAGES / f"{NAME}.md").write_text(page(load(NAME)), encoding="utf-8")


if __name__ == "__main__":
    main()
