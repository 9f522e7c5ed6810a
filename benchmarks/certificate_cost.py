"""What does certify cost beside predict, by cell and size?

1,000 random sequences, untrained networks (cost does not depend on the weights), one thread. A B A within one process,
medians over rounds.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from _records import machine, table

from sklstm import NoisyRNNClassifier, TikhonovGRURegressor, TikhonovLSTMRegressor

CASES = [
    ("LSTM", TikhonovLSTMRegressor, {"hidden_size": 16}, 24, 1),
    ("LSTM", TikhonovLSTMRegressor, {"hidden_size": 32}, 24, 7),
    ("LSTM", TikhonovLSTMRegressor, {"hidden_size": 64}, 24, 7),
    ("LSTM", TikhonovLSTMRegressor, {"hidden_size": 128}, 48, 7),
    ("LSTM, two layers", TikhonovLSTMRegressor, {"hidden_size": 32, "num_layers": 2}, 24, 7),
    ("GRU", TikhonovGRURegressor, {"hidden_size": 32}, 24, 7),
    ("GRU", TikhonovGRURegressor, {"hidden_size": 128}, 48, 7),
    ("ReLU, two classes", NoisyRNNClassifier, {"hidden_size": 64}, 100, 50),
]
METHODS = ("intervals", "mean-value", "best")


def seconds(function, *arguments, **options):
    started = time.perf_counter()
    function(*arguments, **options)
    return time.perf_counter() - started


def ratio(model, X, method, rounds):
    found = []
    for _ in range(rounds):
        before = seconds(model.predict, X)
        mine = seconds(model.certify, X, 0.05, method=method)
        found.append(2 * mine / (before + seconds(model.predict, X)))
    return float(np.median(found))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--report", action="store_true", help="write docs/certificate_cost.md")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rng, rows = np.random.default_rng(0), []
    for name, kind, parameters, n_steps, n_channels in CASES:
        X = rng.standard_normal((1000, n_steps, n_channels))
        y = X[:, -1, 0] > 0 if kind is NoisyRNNClassifier else X[:, -1, 0]
        model = kind(**parameters, max_epochs=1, compute_bound=False, random_state=0).fit(X, y)
        ratios = [ratio(model, X, method, arguments.rounds) for method in METHODS]
        milliseconds = 1e3 * np.median([seconds(model.predict, X) for _ in range(arguments.rounds)])
        sizes = [parameters["hidden_size"], n_steps, n_channels]
        rows.append([name, *sizes, f"{milliseconds:.0f} ms", *(f"{r:.1f}" for r in ratios)])
        print(*rows[-1], sep="\t", flush=True)
    header = ["network", "H", "L", "d", "predict", *(f"{method} / predict" for method in METHODS)]
    if arguments.report:
        Path(__file__).parents[1].joinpath("docs", "certificate_cost.md").write_text(
            f"# Cost of the certificates\n\n{__doc__.strip()}\n\n{table(header, rows)}\n\n"
            "In the last row a sequence has 5,000 entries, and preparing the boxes in float64 costs more than the "
            "network; the aim was 5 for `intervals` and 20 for the others.\n\n"
            "`linear` is another matter: see [certificate_tightness.md](certificate_tightness.md).\n\n"
            "Regenerate: `python benchmarks/certificate_cost.py --report` on an otherwise idle machine. Recorded on "
            f"{machine()}.\n"
        )


if __name__ == "__main__":
    main()
