"""What does a GPU bring over the CPU of the same machine, for fit, certify and the smallest eigenvalue?

Each task is run on the CPU and on the card by turns, in one process; a record has the median of the seconds of each. A
fit is timed by the epoch, without the bound. Data of n sequences of 24 steps and 7 channels; certificates are for 256
of them.

The smallest eigenvalue of a bound, `moment_summary`, is computed by numpy on the CPU whatever the device of the
estimator. The card's column is what torch needs there in float64 for the same two steps, the second moment and its
eigenvalues: what the package could gain if it did that.

A run that was cut off continues where it stopped.
"""

import time
from itertools import product

import numpy as np
import torch

from sklstm import NoisyRNNClassifier, TikhonovGRURegressor, TikhonovLSTMRegressor
from sklstm.generalization._eigenvalue import moment_summary
from tests.support.records import machine, table
from tests.support.suite import campaign, question, regenerate

NAME = "gpu"
L, D, BATCH = 24, 7, 256
CERTIFIED = 256
ESTIMATORS = {"lstm": TikhonovLSTMRegressor, "gru": TikhonovGRURegressor, "relu": NoisyRNNClassifier}
KEYS = ("part", "what", "hidden_size", "n")


def data(n, kind="lstm"):
    X = np.random.default_rng(0).standard_normal((n, L, D)).astype(np.float32)
    y = X[:, -3:, 0].mean(axis=1)
    return X, y > 0 if kind == "relu" else y


def make(kind, hidden_size, epochs, **how):
    settings = {"max_epochs": epochs, "batch_size": BATCH, "random_state": 0}
    return ESTIMATORS[kind](hidden_size, **settings | how)


def seconds(function):
    torch.cuda.synchronize()
    started = time.perf_counter()
    function()
    torch.cuda.synchronize()
    return time.perf_counter() - started


def medians(contenders, rounds):
    """Median seconds of each, run by turns after one run that does not count."""
    for function in contenders.values():
        function()
    taken = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, function in contenders.items():
            taken[name].append(seconds(function))
    return {name: float(np.median(values)) for name, values in taken.items()}


def fit(kind, hidden_size, n, rounds):
    X, y = data(n, kind)
    epochs = max(1, min(10, 20_000 // n))
    places = {"cpu": {}, "cuda": {"device": "cuda"}}
    places |= {f"cuda, {name}": {"device": "cuda", "precision": name} for name in ("tf32", "bfloat16")}
    taken = medians(
        {name: lambda how=how: make(kind, hidden_size, epochs, **how).fit(X, y) for name, how in places.items()},
        rounds,
    )
    return {name: value / epochs for name, value in taken.items()}


def certify(method, hidden_size, n, rounds):
    X, y = data(CERTIFIED)
    models = {name: make("lstm", hidden_size, 1, device=name).fit(X, y) for name in ("cpu", "cuda")}
    return medians(
        {name: lambda model=model: model.certify(X, 0.01, method=method) for name, model in models.items()}, rounds
    )


def on_the_card(X):
    x = torch.from_numpy(X).cuda().flatten(1).double()
    return torch.linalg.eigvalsh(x.T @ x / len(x))[0].item()


def eigenvalue(what, hidden_size, n, rounds):
    X, _ = data(n)
    return medians({"cpu": lambda: moment_summary(X), "cuda": lambda: on_the_card(X)}, rounds)


def cases(sizes, numbers):
    """Part, what is measured, H (0: it does not matter) and n; and the function that measures it."""
    for kind, hidden_size, n in product(ESTIMATORS, sizes, numbers):
        yield ("fit", kind, hidden_size, n), fit
    for method, hidden_size in product(("best", "linear"), sizes):
        yield ("certify", method, hidden_size, CERTIFIED), certify
    for n in numbers:
        yield ("smallest eigenvalue", f"{L * D} dimensions", 0, n), eigenvalue


def rows(records):
    for record in sorted(records, key=lambda record: [str(record[key]).zfill(8) for key in KEYS]):
        taken = record["seconds"]
        cells = [f"{1e3 * taken[name]:.1f}" if name in taken else "" for name in COLUMNS]
        ratio = f"{taken['cpu'] / taken['cuda']:.2f}"
        yield [record["part"], record["what"], record["hidden_size"] or "", record["n"], *cells, ratio]


COLUMNS = ("cpu", "cuda", "cuda, tf32", "cuda, bfloat16")


def page(records):
    header = ["task", "", "H", "n", *(f"{name}, ms" for name in COLUMNS), "CPU over GPU"]
    return (
        f"# A GPU beside the CPU\n\n{question(__doc__)}\n\n"
        f"L = {L}, d = {D}, batches of {BATCH}; fits by the epoch; medians. The last column is above 1 where the GPU "
        "is faster. The smallest eigenvalue is computed on the CPU by the package; the GPU's column is torch's time "
        f"for the same.\n\n{table(header, rows(records))}\n\n"
        f"On an otherwise idle machine. {regenerate(NAME, records)}"
    )


def measure(options, done):
    where = f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}; {machine()}"
    done = {(record["machine"], *(record[key] for key in KEYS)) for record in done}
    for case, function in cases(options.sizes, options.numbers):
        if (where, *case) not in done:
            taken = function(*case[1:], options.rounds)
            more = {"seconds": taken, "machine": where, "rounds": options.rounds}
            yield dict(zip(KEYS, case, strict=True)) | more


def add_options(parser):
    parser.add_argument("--sizes", type=int, nargs="+", default=[16, 64, 256])
    parser.add_argument("--numbers", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--rounds", type=int, default=5)


def check(parser, options):
    if not torch.cuda.is_available():
        parser.error("this compares a GPU with the CPU, and torch sees no CUDA device here: nothing is run")


if __name__ == "__main__":
    campaign(NAME, __doc__, measure, page, add_options=add_options, check=check)
