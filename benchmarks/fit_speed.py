"""What does fit cost beside a hand-written PyTorch loop of the same model, batches and epochs?

The loop is what a PyTorch user writes: nn.LSTM, torch.optim.Adam with its defaults, shuffled slices of one tensor.
A plain skorch net with its own data loader stands beside it. Each contender alternates with the loop in one process;
the table has medians of the ratios within each round. Thread counts are one and torch's default.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from _records import machine, table
from skorch import NeuralNetRegressor
from torch import nn

from sklstm import TikhonovLSTMRegressor
from sklstm.modules import LSTMRegressorModule

N, L, D, B = 2000, 24, 7, 64


def hand_written(X, y, hidden_size, epochs):
    torch.manual_seed(0)
    module = LSTMRegressorModule(D, hidden_size, 1)
    optimizer = torch.optim.Adam(module.parameters(), lr=3e-3)
    X, y = torch.from_numpy(X), torch.from_numpy(y)[:, None]
    for _ in range(epochs):
        for part in torch.randperm(len(X)).split(B):
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(module(X[part]), y[part])
            loss.backward()
            optimizer.step()


def estimator(X, y, hidden_size, epochs):
    TikhonovLSTMRegressor(
        hidden_size,
        lambda_s=0,
        lambda_1=0,
        lambda_2=0,
        max_epochs=epochs,
        batch_size=B,
        compute_bound=False,
        random_state=0,
    ).fit(X, y)


def penalised(X, y, hidden_size, epochs):
    TikhonovLSTMRegressor(hidden_size, max_epochs=epochs, batch_size=B, compute_bound=False, random_state=0).fit(X, y)


def plain_skorch(X, y, hidden_size, epochs):
    NeuralNetRegressor(
        LSTMRegressorModule,
        module__n_features=D,
        module__hidden_size=hidden_size,
        module__n_outputs=1,
        optimizer=torch.optim.Adam,
        lr=3e-3,
        batch_size=B,
        max_epochs=epochs,
        train_split=None,
        iterator_train__shuffle=True,
        verbose=0,
    ).fit(X, y[:, None])


CONTENDERS = {"sklstm, λ = 0": estimator, "sklstm, default λ": penalised, "skorch": plain_skorch}


def seconds(function, *arguments):
    started = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - started


def measure(hidden_size, epochs, rounds):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N, L, D)).astype(np.float32)
    y = X[:, -3:, 0].mean(axis=1)
    ratios = {name: [] for name in CONTENDERS}
    baseline = []
    for function in (hand_written, *CONTENDERS.values()):
        function(X, y, hidden_size, 1)
    for _ in range(rounds):
        for name, function in CONTENDERS.items():
            # A B A: drift of the machine's speed cancels to first order.
            before = seconds(hand_written, X, y, hidden_size, epochs)
            mine = seconds(function, X, y, hidden_size, epochs)
            after = seconds(hand_written, X, y, hidden_size, epochs)
            ratios[name].append(2 * mine / (before + after))
            baseline += [before, after]
    return float(np.median(baseline)), {name: float(np.median(values)) for name, values in ratios.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--sizes", type=int, nargs="+", default=[16, 32, 64, 128])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, torch.get_num_threads()])
    parser.add_argument("--report", action="store_true", help="write docs/fit_speed.md")
    arguments = parser.parse_args()
    rows = []
    for threads in sorted(set(arguments.threads)):
        torch.set_num_threads(threads)
        for hidden_size in arguments.sizes:
            epochs = 5 if hidden_size < 64 else 2
            baseline, ratios = measure(hidden_size, epochs, arguments.rounds)
            rows.append(
                [
                    threads,
                    hidden_size,
                    f"{1e3 * baseline / epochs:.0f} ms",
                    *(f"{r:.2f}" for r in ratios.values()),
                ]
            )
            print(*rows[-1], sep="\t", flush=True)
    header = ["threads", "H", "hand-written loop, per epoch", *CONTENDERS]
    text = table(header, rows)
    print(text)
    if arguments.report:
        Path(__file__).parents[1].joinpath("docs", "fit_speed.md").write_text(
            f"# Time of fit\n\n{__doc__.strip().splitlines()[0]}\n\n"
            f"n = {N}, L = {L}, d = {D}, batches of {B}. The last columns are times relative to the loop, "
            f"medians over {arguments.rounds} rounds of A B A. The loop has torch's Adam as it comes; the "
            "estimator asks "
            f"for its fused form, the skorch net does not.\n\n{text}\n\n"
            "The penalty works on estimated norms (theory.md); its own cost is the subject of penalty_cost.py.\n\n"
            "Regenerate: `python benchmarks/fit_speed.py --report` on an otherwise idle machine. Recorded on "
            f"{machine()}.\n"
        )


if __name__ == "__main__":
    main()
