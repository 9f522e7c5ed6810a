"""How much memory does a fit take beyond its data, with and without the bounds?

The number is the peak of the resident memory during the call, less what was resident before it, data included. Every
case runs in its own process. That process has fitted a few sequences before, so that libraries and their pools are not
counted. X is in memory as an array; for data on disk see [large_data.md](large_data.md). Needs Linux.
"""

import argparse
import ctypes
import gc
import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from sklstm import NoisyRNNClassifier, TikhonovLSTMRegressor
from tests.support.loops import lstm, relu_rnn, train
from tests.support.records import recorded_on, result, table
from tests.support.suite import explanation, module_of, question, run

NAME = "memory"
SHAPES = {"regressor": {"L": 24, "d": 7, "H": 16}, "classifier": {"L": 50, "d": 20, "H": 64}}
NUMBERS = (2000, 20000, 100000)
ORDER = ("loop", "fit", "fit with bounds", "predict")


def resident(field):
    """Bytes of this process: VmRSS now, VmHWM the most since `reset_peak`."""
    with open("/proc/self/status") as file:
        line = next(line for line in file if line.startswith(field))
    return 1024 * int(line.split()[1])


def reset_peak():
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # what was freed goes back, else the call would find room that is not counted
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def data(network, n, dtype):
    shape = SHAPES[network]
    X = np.random.default_rng(0).standard_normal((n, shape["L"], shape["d"]), dtype=np.float32).astype(dtype)
    target = X[:, -3:, 0].mean(axis=1)
    return X, target if network == "regressor" else (target > 0).astype(np.int64)


def loop(network, hidden_size, X, y):
    """By hand: X as float32, which copies float64."""
    regressor = network == "regressor"
    make = partial(lstm, X.shape[2], hidden_size) if regressor else partial(relu_rnn, X.shape[2], hidden_size, 2)
    target = torch.from_numpy(y)[:, None].float() if regressor else torch.from_numpy(y)
    criterion = nn.functional.mse_loss if regressor else nn.functional.cross_entropy
    train(make, criterion, torch.from_numpy(X).float(), target, batch_size=64, epochs=1, lr=1e-3)


def call(network, contender):
    """What is measured: a function of X and y. A predictor is fitted here, to 100 sequences."""
    hidden_size = SHAPES[network]["H"]
    if contender == "loop":
        return partial(loop, network, hidden_size)
    kind = {"regressor": TikhonovLSTMRegressor, "classifier": NoisyRNNClassifier}[network]
    model = kind(hidden_size, max_epochs=1, random_state=0)
    if contender == "fit":
        return model.fit
    if contender == "fit with bounds":
        return lambda X, y: model.fit(X, y).generalization_report(X, y)
    model.fit(*data(network, 100, np.float32))
    return lambda X, y: model.predict(X)


def measure_here(network, contender, n, dtype):
    torch.set_num_threads(1)
    function = call(network, contender)
    function(*data(network, 100, dtype))
    X, y = data(network, n, dtype)
    reset_peak()
    before = resident("VmRSS")
    function(X, y)
    return {"extra_bytes": resident("VmHWM") - before, "data_bytes": X.nbytes}


def apart(network, contender, n, dtype):
    counts = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    command = [sys.executable, "-m", module_of(NAME), "--case", json.dumps([network, contender, n, dtype])]
    answer = subprocess.run(command, env=os.environ | counts, stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(answer.stdout)


def measure(options):
    numbers = [500] if options.quick else options.numbers
    for network in ["regressor"] if options.quick else SHAPES:
        for n in numbers:
            if network == "classifier" and n > 20000:
                continue
            for dtype in ["float32"] if options.quick else ("float32", "float64"):
                for contender in ORDER:
                    found = [apart(network, contender, n, dtype) for _ in range(options.rounds)]
                    measured = {key: int(np.median([each[key] for each in found])) for key in found[0]}
                    sizes = {"network": network, "n": n, **SHAPES[network], "dtype": dtype}
                    yield result(NAME, contender, sizes, 1, rounds=options.rounds, **measured)


def peaks(records):
    """The table."""
    cells = {}
    for r in records:
        key = (list(SHAPES).index(r["sizes"]["network"]), r["sizes"]["n"], r["sizes"]["dtype"])
        cells.setdefault(key, {"data": r["data_bytes"]})[r["contender"]] = r["extra_bytes"]
    rows = [
        [list(SHAPES)[which], n, dtype, *(amount(found.get(name)) for name in ("data", *ORDER))]
        for (which, n, dtype), found in sorted(cells.items())
    ]
    return table(["network", "n", "X", "data", *ORDER], rows)


def page(records):
    shapes = "; ".join(f"{name}: L = {s['L']}, d = {s['d']}, {s['H']} units" for name, s in SHAPES.items())
    return (
        f"# Memory\n\n{question(__doc__)}\n\n{explanation(__doc__)}\n\n{shapes}. MB beyond the data; the loop is a "
        f"hand-written one.\n\n{peaks(records)}\n\n"
        "All of them copy X from float64 to float32, the loop too. The bounds need a matrix of (L d)² float64 numbers "
        "for the smallest eigenvalue, 8 MB for this classifier.\n\n"
        f"Regenerate: `python -m benchmarks.speed.{NAME} --report`. Recorded on {recorded_on(records)}.\n"
    )


def amount(n_bytes):
    return "–" if n_bytes is None else f"{n_bytes / 1e6:.1f}"


def add_options(parser):
    parser.add_argument("--numbers", type=int, nargs="+", default=NUMBERS)


def main():
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--case")
    case = parser.parse_known_args()[0].case
    if case:
        print(json.dumps(measure_here(*json.loads(case))))
    elif not Path("/proc/self/clear_refs").exists():
        print(f"{NAME}: left out, as this is not Linux")
    else:
        run(NAME, __doc__, measure, page, rounds=1, add_options=add_options)


if __name__ == "__main__":
    main()
