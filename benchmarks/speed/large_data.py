"""What do an epoch and the guarantees cost, in time and memory, as n grows?

Sequences of 24 steps and 7 channels are in a file. Training reads them as a ``numpy.memmap``, or from an array that was
read first. There is one epoch, then the bounds, then predictions for all sequences. Each measurement runs in its own
process. Files of float32 also get the guarantees of every prediction: certificates, intervals under random noise,
smoothed radii.

Memory is what comes on top of the imported library, read from the system every 10 ms. It has two parts: anonymous
pages, which are needed, and pages of the file, which the system takes back when others need memory.
"""

import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from tests.support.records import table
from tests.support.suite import campaign, explanation, module_of, question, regenerate

L, D = 24, 7
HIDDEN, BATCH = 16, 512
NAME = "large_data"
ESTIMATORS = ("TikhonovLSTMRegressor", "NoisyRNNClassifier")
EPS = SIGMA = 0.1
N_DRAWS, N_SELECT = 40, 10
CASES = [("memmap", "float32"), ("memmap", "float64"), ("array", "float32")]


def write(path, n, dtype):
    """The data; about 10 MB of memory."""
    rng = np.random.default_rng(0)
    X = np.memmap(path, dtype, mode="w+", shape=(n, L, D))
    for start in range(0, n, 10_000):
        part = X[start : start + 10_000]
        part[:] = rng.standard_normal(part.shape, dtype=np.float32)
    X.flush()


def memory():
    """RssAnon, RssFile and VmHWM of this process in MB."""
    with open("/proc/self/status") as file:
        fields = dict(line.split(":", 1) for line in file)
    return [int(fields[name].split()[0]) * 1024 / 1e6 for name in ("RssAnon", "RssFile", "VmHWM")]


class Peak:
    """Largest RssAnon, RssFile and VmHWM inside the block, above what they were at a baseline."""

    def __init__(self, baseline):
        self.baseline, self.largest, self.over = baseline, [0, 0, 0], threading.Event()

    def __enter__(self):
        Path("/proc/self/clear_refs").write_text("5")  # VmHWM starts anew
        self.thread = threading.Thread(target=self.watch)
        self.started = time.perf_counter()
        self.thread.start()
        return self

    def watch(self):
        while not self.over.wait(0.01):
            self.look()

    def look(self):
        self.largest = [max(pair) for pair in zip(self.largest, memory(), strict=True)]

    def __exit__(self, *error):
        self.seconds = time.perf_counter() - self.started
        self.over.set()
        self.thread.join()
        self.look()

    def record(self):
        above = [round(peak - base) for peak, base in zip(self.largest, self.baseline, strict=True)]
        return {"seconds": self.seconds, "anonymous_mb": above[0], "file_mb": above[1], "high_water_mb": above[2]}


def measure(kind, source, dtype, n, path):
    import sklstm

    rng = np.random.default_rng(1)
    small = rng.standard_normal((BATCH, L, D))
    estimator = getattr(sklstm, kind)(HIDDEN, batch_size=BATCH, max_epochs=1, random_state=0)
    estimator.fit(small, small[:, -1, 0] > 0)  # whatever is imported and set up at the first use
    X = np.memmap(path, dtype, mode="r", shape=(n, L, D))
    y = np.empty(n)
    for start in range(0, n, 10_000):
        y[start : start + 10_000] = X[start : start + 10_000, -3:, 0].mean(axis=1)
    if kind == "NoisyRNNClassifier":
        y = (y > 0).astype(np.int64)
    if source == "array":
        X = np.array(X)
    baseline = memory()
    if source == "memmap":
        baseline[1] -= X.nbytes / 1e6  # y was made from all of it
    baseline[2] = baseline[0] + baseline[1]
    record = {"estimator": kind, "source": source, "dtype": dtype, "n": n, "file_size_mb": round(X.nbytes / 1e6)}
    with Peak(baseline) as peak:
        estimator.fit(X, y)
    record["fit"] = peak.record() | {"epoch_seconds": estimator.net_.history[-1, "dur"]}
    with Peak(baseline) as peak:
        estimator.fit(X, y).generalization_report(X, y)
    record["fit_with_bounds"] = peak.record()
    with Peak(baseline) as peak:
        estimator.predict(X)
    record["predict"] = peak.record()
    return record


def measure_guarantees(kind, dtype, n, path):
    import sklstm

    rng = np.random.default_rng(1)
    small = rng.standard_normal((BATCH, L, D))
    y = small[:, -1, 0] if kind == "TikhonovLSTMRegressor" else small[:, -1, 0] > 0
    model = getattr(sklstm, kind)(HIDDEN, batch_size=BATCH, max_epochs=2, random_state=0).fit(small, y)
    X = np.memmap(path, dtype, mode="r", shape=(n, L, D))
    options = {"coverage": 0.5, "confidence": 0.9, "n_draws": N_DRAWS, "random_state": 0}
    calls = {
        "certify": lambda X: model.certify(X, EPS),
        "noise_interval": lambda X: sklstm.noise_interval(model, X, SIGMA, **options),
    }
    if kind == "NoisyRNNClassifier":
        draws = {"n_draws": N_DRAWS, "n_select": N_SELECT, "confidence": 0.9, "random_state": 0}
        calls["certified_radius"] = lambda X: model.certified_radius(X)
        calls["smoothed_radius"] = lambda X: sklstm.smoothed_radius(model, X, SIGMA, **draws)
    record = {"estimator": kind, "source": "memmap", "dtype": dtype, "n": n, "guarantees": {}}
    for name, call in calls.items():
        call(small.astype(dtype))  # whatever is set up at the first use
        with Peak(memory()) as peak:
            call(X)
        record["guarantees"][name] = peak.record()
    return record


def _key(record):
    return (*(record[name] for name in ("estimator", "source", "dtype", "n")), "guarantees" in record)


def page(records):
    records = {_key(r): r for r in records}  # the last of each
    rows, guarantees = [], []
    for (kind, source, dtype, n, of_guarantees), r in sorted(records.items()):
        if of_guarantees:
            guarantees += [
                [
                    kind,
                    name,
                    f"{n:,}",
                    f"{1e6 * part['seconds'] / n:.1f}",
                    f"{part['anonymous_mb']} + {part['file_mb']}",
                ]
                for name, part in r["guarantees"].items()
            ]
            continue
        fit, bounds, predict = r["fit"], r["fit_with_bounds"], r["predict"]
        micro = 1e6 / n
        rows.append(
            [
                kind,
                f"{source}, {dtype}",
                f"{n:,}",
                f"{r['file_size_mb']} MB",
                f"{micro * fit['epoch_seconds']:.1f}",
                f"{micro * (bounds['seconds'] - fit['seconds']):.1f}",
                f"{micro * predict['seconds']:.1f}",
                *(f"{part['anonymous_mb']} + {part['file_mb']}" for part in (fit, bounds, predict)),
            ]
        )
    header = ["estimator", "X", "n", "size", "epoch, µs", "bounds, µs", "predict, µs"]
    header += ["memory of fit, MB", "with bounds, MB", "of predict, MB"]
    return (
        f"# Data larger than memory\n\n{question(__doc__)}\n\n{explanation(__doc__)}\n\n"
        "How such data are read is in [the guide](../guide/large_data.md).\n\n"
        f"L = {L}, d = {D}, H = {HIDDEN}, batches of {BATCH}, one thread. Times are per sequence: of an epoch, of "
        "the bounds that come after it, of predictions. Memory is the peak on top of the imported library, y and, "
        "where X is an array, X itself. It is given as anonymous pages + pages of the file. The system takes the "
        f"latter back when memory is short.\n\n{table(header, rows)}\n\n"
        f"Guarantees of every prediction, from the file of float32: certificates for ε = {EPS}, intervals from "
        f"{N_DRAWS} draws of noise of σ = {SIGMA} a sequence, smoothed radii from {N_SELECT} + {N_DRAWS}. Memory is "
        "the peak on top of what was there before the call.\n\n"
        + table(["estimator", "function", "n", "µs a sequence", "memory, MB"], guarantees)
        + "\n\n"
        f"It needs 1.4 GB of disk in the temporary folder. {regenerate(NAME, list(records.values()))}"
    )


def measure_all(options, done):
    done = {_key(r) for r in done}
    for n in map(int, options.sizes):
        for source, dtype in CASES:
            parts = (False, True) if (source, dtype) == CASES[0] else (False,)
            cases = [
                (kind, part)
                for kind in options.estimators
                for part in parts
                if (kind, source, dtype, n, part) not in done
            ]
            if not cases:
                continue
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "x"
                write(path, n, dtype)
                for kind, of_guarantees in cases:
                    case = ["--child", kind, "guarantees" if of_guarantees else source, dtype, str(n), str(path)]
                    command = [sys.executable, "-m", module_of(NAME), *case]
                    child = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
                    yield json.loads(child.stdout.splitlines()[-1])


def add_options(parser):
    parser.add_argument("--sizes", nargs="+", type=float, default=[1e4, 1e5, 1e6])
    parser.add_argument("--estimators", nargs="+", choices=ESTIMATORS, default=list(ESTIMATORS))


def main():
    if sys.argv[1:2] == ["--child"]:
        kind, source, dtype, n, path = sys.argv[2:]
        found = (
            measure_guarantees(kind, dtype, int(n), path)
            if source == "guarantees"
            else measure(kind, source, dtype, int(n), path)
        )
        print(json.dumps(found))
    else:
        campaign(NAME, __doc__, measure_all, page, add_options=add_options)


if __name__ == "__main__":
    main()
