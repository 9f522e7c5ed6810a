"""How much faster is a grid search on two workers than on one?

The work is the same and so are the results, bit for bit; only the clock differs. Searches with one and with two workers
alternate in one process, and the workers are started beforehand. A search in threads stands beside them. Calibration: a
loop of plain Python, twice in one process and once in each of two workers; what it gains is what the second core had to
give while the searches ran.
"""

import argparse
import os

import numpy as np
from _records import PAGES, append, load, machine, table
from _suite import explanation, question
from _timing import seconds
from joblib import Parallel, delayed, parallel_config
from sklearn.model_selection import GridSearchCV

from sklstm import TikhonovLSTMRegressor

NAME = "search_speed"
GRID = {"lambda_s": [0.001, 0.003, 0.01, 0.03]}
FOLDS = 3


def spin(n_steps):
    total = 0
    for step in range(n_steps):
        total += step * step
    return total


def second_core(n_steps=2_000_000):
    """Time of two loops in two workers over their time in one: 0.5 with a free second core, 1 with none."""
    both = seconds(lambda: Parallel(n_jobs=2)(delayed(spin)(n_steps) for _ in range(2)))
    return both / seconds(lambda: [spin(n_steps) for _ in range(2)])


def data(n, n_steps=24, n_channels=4):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, n_steps, n_channels))
    return X, X[:, -3:, 0].mean(axis=1)


def search(X, y, n_jobs, hidden_size=16, epochs=5):
    model = TikhonovLSTMRegressor(hidden_size, max_epochs=epochs, compute_bound=False, random_state=0)
    return GridSearchCV(model, GRID, cv=FOLDS, n_jobs=n_jobs, refit=False, error_score="raise").fit(X, y)


def in_threads(*arguments):
    with parallel_config("threading"):
        search(*arguments)


def measure(X, y, hidden_size, epochs):
    """Seconds with one worker, and the times of two processes, of two threads and of the calibration over it."""
    one = [seconds(search, X, y, 1, hidden_size, epochs)]
    two = seconds(search, X, y, 2, hidden_size, epochs)
    one.append(seconds(search, X, y, 1, hidden_size, epochs))
    threads = seconds(in_threads, X, y, 2, hidden_size, epochs)
    one.append(seconds(search, X, y, 1, hidden_size, epochs))
    # A B A C A: drift of the machine's speed cancels to first order.
    return one[1], 2 * two / (one[0] + one[1]), 2 * threads / (one[1] + one[2]), second_core()


def report(records):
    rows = []
    for hidden_size in sorted({record["hidden_size"] for record in records}):
        own = [record for record in records if record["hidden_size"] == hidden_size]
        middle = [float(np.median([record[key] for record in own])) for key in ("one", "two", "threads", "second_core")]
        rows.append([hidden_size, len(own), f"{middle[0]:.1f} s", *(f"{value:.2f}" for value in middle[1:])])
    header = ["H", "rounds", "one worker", "two processes", "two threads", "two loops of plain Python"]
    return (
        f"# {question(__doc__)}\n\n{explanation(__doc__)}\n\n{table(header, rows)}\n\n"
        "Times relative to one worker; medians. Four values of `lambda_s` on three folds, "
        f"n = {records[-1]['n']}, L = 24, d = 4. The last column is the calibration: 0.5 is a free core, 1 is none. "
        f"Other programs were at work at times; "
        f"`benchmarks/results/{NAME}.jsonl` has the load at the start of every round.\n\n"
        f"Regenerate: `python benchmarks/{NAME}.py --report`. Recorded on {records[-1]['machine']}.\n"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", type=int, nargs="+", default=[16, 64])
    parser.add_argument("--n", type=int, default=900)
    parser.add_argument("--quick", action="store_true", help="a smoke run of seconds; nothing is recorded")
    parser.add_argument("--report", action="store_true", help="write docs/benchmarks/search_speed.md")
    parser.add_argument("--no-run", action="store_true", help="measure nothing")
    arguments = parser.parse_args()
    if arguments.quick:
        X, y = data(100)
        one, two, threads, loops = measure(X, y, 16, 1)
        print(
            f"one worker {one:.2f} s; two processes {two:.2f}, two threads {threads:.2f}, two loops {loops:.2f} of it"
        )
        return
    X, y = data(arguments.n)
    for hidden_size in arguments.sizes if not arguments.no_run else ():
        epochs = 10 if hidden_size < 64 else 5
        search(X[:60], y[:60], 2, hidden_size, 1)
        done = sum(record["hidden_size"] == hidden_size and record["n"] == arguments.n for record in load(NAME))
        for _ in range(done, arguments.rounds):
            load_before = os.getloadavg()[0]
            one, two, threads, loops = measure(X, y, hidden_size, epochs)
            record = {
                "hidden_size": hidden_size,
                "n": arguments.n,
                "epochs": epochs,
                "one": one,
                "two": two,
                "threads": threads,
                "second_core": loops,
                "load_before": load_before,
                "omp_num_threads": os.environ.get("OMP_NUM_THREADS"),
                "machine": machine(),
            }
            append(NAME, record)
            print(record, flush=True)
    text = report(load(NAME))
    print(text)
    if arguments.report:
        (PAGES / f"{NAME}.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
