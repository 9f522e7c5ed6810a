"""How long does an epoch of robust training take, in epochs of ordinary training?

The same fit runs with and without robust training, in alternation, in one process on one thread. κ = 0 is an attack
before every step, κ = 0.5 adds the bounds, and κ = 1 has the bounds alone. Training is at full strength from the start.
Penalty, linear part and the bound after the fit are left out, because they would be the same.
"""

from functools import partial

import numpy as np
import torch
from torch import nn

from sklstm.networks import GRUNetwork, LSTMNetwork, RNNNetwork
from sklstm.training import NetworkSpec, Robust, SequenceDataset, TrainingSpec, train
from tests.support.records import ratio, recorded_on, table, timing
from tests.support.suite import Bar, explanation, question, run
from tests.support.timing import compare, pinned

NAME = "robust_cost"
N, L, D, H, B = 2048, 24, 8, 32, 64
CELLS = {"LSTM": LSTMNetwork, "GRU": GRUNetwork, "ReLU": RNNNetwork}
WEIGHTS = {"κ = 0": 0.0, "κ = 0.5": 0.5, "κ = 1": 1.0}
BARS = {"κ = 0": 3.0, "κ = 0.5": 6.0}


def fit(kind, data, epochs, robust):
    network = NetworkSpec(kind, {"n_features": D, "hidden_size": H, "n_outputs": 1})
    train(TrainingSpec(network, nn.MSELoss, robust=robust, max_epochs=epochs, batch_size=B), data)


def measure(options):
    rng = np.random.default_rng(0)
    X = torch.tensor(rng.standard_normal((N, L, D)), dtype=torch.float32)
    data = SequenceDataset(X, X[:, -3:, :1].mean(1))
    epochs = 1 if options.quick else 4
    with pinned(1):
        for cell, kind in CELLS.items():
            contenders = {
                name: partial(fit, kind, data, epochs, Robust(0.05, weight)) for name, weight in WEIGHTS.items()
            }
            found = compare({"plain": partial(fit, kind, data, epochs, None)}, contenders, options.rounds)
            for (name, baseline), pair in found.items():
                sizes = {"cell": cell, "n": N, "L": L, "d": D, "H": H, "B": B}
                yield timing(NAME, name, baseline, sizes, 1, pair, epochs=epochs)


def page(records):
    rows = []
    for cell in CELLS:
        mine = {r["contender"]: r for r in records if r["sizes"]["cell"] == cell}
        some = next(iter(mine.values()))
        plain = 1e3 * some["baseline_seconds"] / some["epochs"]
        rows.append([cell, f"{plain:.0f} ms", *(ratio(mine[name]) for name in WEIGHTS)])
    header = ["cell", "ordinary epoch", *(f"{name}, times that" for name in WEIGHTS)]
    sizes = f"{N} sequences of {L} steps and {D} channels, {H} units, batches of {B}."
    return (
        f"# Cost of robust training\n\n{question(__doc__)}\n\n{explanation(__doc__)}\n\n{sizes}\n\n"
        f"{table(header, rows)}\n\n"
        f"Regenerate: `python -m benchmarks.speed.{NAME} --report` on an otherwise idle machine. Recorded on "
        f"{recorded_on(records)}.\n"
    )


def bars(records):
    for record in records:
        if record["contender"] in BARS:
            what = f"{record['sizes']['cell']}, {record['contender']}"
            yield Bar(what, BARS[record["contender"]], record["ratio"])


if __name__ == "__main__":
    run(NAME, __doc__, measure, page, bars=bars)
