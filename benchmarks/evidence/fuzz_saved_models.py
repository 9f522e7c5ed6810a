"""What do `sklstm.load` and `Checkpoint` make of files that are damaged, or forged by someone who knows the format?

Half of the files are changed blindly: flipped bits, other bytes, pieces cut off, put in or taken out, another length of
the header. A model must be refused or be the same model. A training must be the same, with a warning. The other half
are forged: values, types, names, shapes, offsets and nesting are changed, and the digest is made to fit. A model must
be refused or work. A fit must end without an error, or with the one for training that diverges.

The last files try to make the reader use too much time or memory: open strings, nesting, long names, huge shapes.
All are read under a budget of memory, and of lines and calls of Python, for each byte.
"""

import argparse
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import numpy as np
from skorch.callbacks import Callback

import sklstm
from sklstm import TikhonovGRURegressor
from sklstm.training import Checkpoint
from sklstm.training._checkpoint import read_state
from tests.support import forgery, hostile_files
from tests.support.records import append, latest, machine, table
from tests.support.suite import write

NAME, PAGE = "fuzz_saved_models", "saved_models"


class Tally:
    """Outcomes by origin and kind of change, and the largest costs for each byte."""

    def __init__(self):
        self.counts, self.failures = Counter(), []
        self.events, self.memory = 0.0, 0.0

    def add(self, origin, kind, content, result, events, memory):
        self.events = max(self.events, events / len(content))
        self.memory = max(self.memory, memory / len(content))
        if origin.startswith("damaged") and result.startswith("other"):
            result = f"failure: a damaged file made {result}"
        if result.startswith("failure"):
            self.failures.append(f"{origin}, {kind}: {result}")
            result = "failure"
        self.counts[origin, kind, result] += 1


def fuzz_models(n_files, rng, folder, tally):
    path, models = folder / "model.safetensors", forgery.originals()
    contents = []
    for model, X in models:
        model.save(path)
        contents.append(path.read_bytes())
        assert forgery.outcome_of_load(path, model, X)[0] == "same model"
    for number in range(n_files):
        which = int(rng.integers(len(models)))
        change, origin = (forgery.damaged, "damaged") if number % 2 else (forgery.altered, "forged")
        kind, content = change(contents[which], rng)
        path.write_bytes(content)
        tally.add(origin, kind, content, *forgery.outcome_of_load(path, *models[which]))


class Interrupt(Callback):
    """Ctrl-C in the fourth epoch."""

    changes_training = False

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == 4:
            raise KeyboardInterrupt


def fuzz_checkpoints(n_files, rng, folder, tally):
    X = rng.standard_normal((40, 5, 2))
    options = {"early_stopping": True, "lr_schedule": "plateau", "random_state": 0}

    def fit(*others):
        callbacks = [Checkpoint(folder / "states", every=1), *others]
        return TikhonovGRURegressor(3, max_epochs=4, callbacks=callbacks, **options).fit(X, X[:, -1, 0]).predict(X)

    with suppress(KeyboardInterrupt):
        fit(Interrupt())
    (path,) = (folder / "states").iterdir()
    originals = [path.read_bytes()]
    expected = fit()
    originals.append(path.read_bytes())  # of the training that is finished
    for number in range(n_files):
        change, origin = (forgery.damaged, "damaged") if number % 2 else (forgery.altered, "forged")
        kind, content = change(originals[int(rng.integers(2))], rng)
        path.write_bytes(content)
        outcome = forgery.outcome_of_checkpoint(path, fit, expected)
        tally.add(f"{origin} checkpoint", kind, content, *outcome)


def hostile(folder, n):
    """Rows of name, size in MB, CPU time in seconds, and what reading a file came to."""
    path, rows = folder / "key.safetensors", []
    for files, load in ((hostile_files.MODEL_FILES, sklstm.load), (hostile_files.STATE_FILES, read_state)):
        for name, make in files.items():
            path.write_bytes(make(n))
            start = time.process_time()
            try:
                load(path)
                result = "read"
            except ValueError:
                result = "refused"
            seconds = time.process_time() - start
            rows.append([name, round(path.stat().st_size / 1e6, 3), round(seconds, 3), result])
    return rows


def run(n_files, n_checkpoints, n_hostile, seed):
    rng = np.random.default_rng(seed)
    models, checkpoints = Tally(), Tally()
    with tempfile.TemporaryDirectory() as folder:
        fuzz_models(n_files, rng, Path(folder), models)
        fuzz_checkpoints(n_checkpoints, rng, Path(folder), checkpoints)
        rows = hostile(Path(folder), n_hostile)
    return {
        "n_files": n_files,
        "n_checkpoints": n_checkpoints,
        "n_hostile": n_hostile,
        "seed": seed,
        "counts": [[*key, count] for tally in (models, checkpoints) for key, count in sorted(tally.counts.items())],
        "failures": models.failures + checkpoints.failures,
        "memory_per_byte": round(max(models.memory, checkpoints.memory), 1),
        "events_per_byte": round(max(models.events, checkpoints.events), 1),
        "hostile": rows,
        "machine": machine(),
    }


MODELS = ["error", "same model", "other valid model"]
CHECKPOINTS = ["ignored", "same training", "other training"]


def counted(record, origins, outcomes):
    counts = {tuple(row[:3]): row[3] for row in record["counts"]}
    rows = []
    for origin, kind in sorted({key[:2] for key in counts if key[0] in origins}):
        row = [counts.get((origin, kind, result), 0) for result in [*outcomes, "failure"]]
        rows.append([origin, kind, sum(row), *row])
    for origin in origins:
        sums = [sum(row[i] for row in rows if row[0] == origin) for i in range(2, 7)]
        rows.append([f"**{origin}**", "**all**", *sums])
    return table(["file", "change", "files", *outcomes, "failure"], rows)


def page(records):
    record = records[-1]
    slowest = sorted(record["hostile"], key=lambda row: row[2], reverse=True)[:10]
    return TEXT.format(
        n=record["n_files"], m=record["n_checkpoints"], seed=record["seed"], failures=len(record["failures"]),
        events=record["events_per_byte"], memory=record["memory_per_byte"], machine=record["machine"],
        models=counted(record, ["damaged", "forged"], MODELS),
        checkpoints=counted(record, ["damaged checkpoint", "forged checkpoint"], CHECKPOINTS),
        hostile=table(["file", "MB", "seconds", "outcome"], slowest), n_hostile=len(record["hostile"]),
    )  # fmt: skip


TEXT = f"""# Saved models, damaged and forged

{__doc__}
{{n}} models and {{m}} training states (seed {{seed}}) gave **{{failures}} failures**. The models are made of
six small ones that together use every part of the format. The states are made of one training with early stopping,
interrupted and finished. A failure is one of these:

- any other exception than `ModelFileError`;
- a model that does not predict, certify and report;
- another model from a blindly changed file;
- a checkpoint that ends a fit;
- a file that takes more than its budget: {forgery.MEMORY_PER_BYTE} bytes of memory and {forgery.EVENTS_PER_BYTE} lines
  and calls of Python for each of its bytes, above a fixed part for the network.

{{models}}

A digest over document and tensors makes blind changes errors. The few that are the same model touch bytes without
meaning. Anyone who forges a file can make the digest fit. A forged file may therefore be another valid model: that a
file is a model does not show who made it.

{{checkpoints}}

The files have some 10 kB, so that most of the cost is the fixed part. With it, a byte takes at most {{memory}} bytes of
memory and {{events}} lines and calls.

## Files that try to use too much

{{n_hostile}} files, the ten slowest:

{{hostile}}

Regenerate: `python -m benchmarks.evidence.fuzz_saved_models --report`. Recorded on {{machine}}.
"""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--checkpoints", type=int, default=400)
    parser.add_argument("--hostile", type=int, default=100_000, help="about the bytes of a file made to be slow")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--report", action="store_true", help="write docs/benchmarks/saved_models.md")
    arguments = parser.parse_args()
    record = run(arguments.files, arguments.checkpoints, arguments.hostile, arguments.seed)
    append(NAME, record)
    print("\n".join(record["failures"]) or "no failures")
    for row in sorted(record["hostile"], key=lambda row: row[2], reverse=True)[:10]:
        print(*row)
    if arguments.report:
        write(PAGE, latest(NAME), page)
