"""How much faster is a grid search on two workers than on one?

The work is the same and so are the results, bit for bit. Only the time differs. Searches with one and with two workers
alternate in one process, and the workers are started beforehand. A search in threads is measured too. The calibration
is a loop of plain Python, twice in one process and once in each of two workers. What it gains is what the second core
could give during the searches.
"""

import os

import numpy as np
from joblib import Parallel, delayed, parallel_config
from sklearn.model_selection import GridSearchCV

from sklstm import TikhonovLSTMRegressor
from tests.support.records import table
from tests.support.suite import Bar, campaign, explanation, question, regenerate
from tests.support.timing import seconds

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
    model = TikhonovLSTMRegressor(hidden_size, max_epochs=epochs, random_state=0)
    return GridSearchCV(model, GRID, cv=FOLDS, n_jobs=n_jobs, refit=False, error_score="raise").fit(X, y)


def in_threads(*arguments):
    with parallel_config("threading"):
        search(*arguments)


def compared(X, y, hidden_size, epochs):
    """Seconds with one worker, and the times of two processes, of two threads and of the calibration over it."""
    one = [seconds(search, X, y, 1, hidden_size, epochs)]
    two = seconds(search, X, y, 2, hidden_size, epochs)
    one.append(seconds(search, X, y, 1, hidden_size, epochs))
    threads = seconds(in_threads, X, y, 2, hidden_size, epochs)
    one.append(seconds(search, X, y, 1, hidden_size, epochs))
    # A B A C A: drift of the machine's speed cancels to first order.
    return one[1], 2 * two / (one[0] + one[1]), 2 * threads / (one[1] + one[2]), second_core()


def page(records):
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
        f"Other programs were at work at times; `benchmarks/results/{NAME}.jsonl` has the load at the start of every "
        "round.\n\n"
        f"{regenerate(NAME, records)}"
    )


def measure(options, done):
    X, y = data(options.n)
    for hidden_size in options.sizes:
        epochs = 10 if hidden_size < 64 else 5
        search(X[:60], y[:60], 2, hidden_size, 1)
        n_done = sum(record["hidden_size"] == hidden_size and record["n"] == options.n for record in done)
        for _ in range(n_done, options.rounds):
            load_before = os.getloadavg()[0]
            one, two, threads, loops = compared(X, y, hidden_size, epochs)
            yield {
                "hidden_size": hidden_size,
                "n": options.n,
                "epochs": epochs,
                "one": one,
                "two": two,
                "threads": threads,
                "second_core": loops,
                "load_before": load_before,
                "omp_num_threads": os.environ.get("OMP_NUM_THREADS"),
            }


def quick():
    one, two, threads, loops = compared(*data(100), 16, 1)
    print(f"one worker {one:.2f} s; two processes {two:.2f}, two threads {threads:.2f}, two loops {loops:.2f} of it")


def bars(records):
    """0.90 of the time of one worker, if the second core is free: then the two loops take about 0.5."""
    for hidden_size in sorted({record["hidden_size"] for record in records}):
        own = [record for record in records if record["hidden_size"] == hidden_size]
        two, loops = (float(np.median([record[key] for record in own])) for key in ("two", "second_core"))
        yield Bar(f"two workers over one, H = {hidden_size} (two loops took {loops:.2f})", 0.90, two)


def add_options(parser):
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", type=int, nargs="+", default=[16, 64])
    parser.add_argument("--n", type=int, default=900)


if __name__ == "__main__":
    campaign(NAME, __doc__, measure, page, add_options=add_options, quick=quick, bars=bars)
