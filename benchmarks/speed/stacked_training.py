"""Up to which size is it faster to train the models of a path as one program?

`strategy="stacked"` is compared with `strategy="separate"` of `RegularizationPathCV`, without shared epochs and without
the final fit. The same 30 models are trained, ten values on three folds. ``"auto"`` stacks them up to an H that this
table sets.
"""

import numpy as np

from sklstm import NoisyRNNClassifier, TikhonovLSTMRegressor
from sklstm.model_selection import RegularizationPathCV
from tests.support.records import pivot, ratio, recorded_on, table, timing
from tests.support.suite import explanation, question, run
from tests.support.timing import compare, pinned

NAME = "stacked_training"
N, L, D, B = 900, 24, 7, 64
PARAMETERS = {TikhonovLSTMRegressor: "lambda_s", NoisyRNNClassifier: "sigma"}


def fit(kind, strategy, hidden_size, epochs):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N, L, D)).astype(np.float32)
    y = X[:, -3:, 0].mean(axis=1)
    settings = {"max_epochs": epochs, "batch_size": B, "random_state": 0}
    path = RegularizationPathCV(
        kind(hidden_size, **settings), PARAMETERS[kind], 10, cv=3, strategy=strategy, shared_fraction=0, refit=False
    )
    path.fit(X, y > 0 if kind is NoisyRNNClassifier else y)


def measure(options):
    with pinned(1):
        for kind in PARAMETERS:
            for hidden_size in [8, 16] if options.quick else [4, 8, 16, 32, 64, 128]:
                yield one(kind, hidden_size, 1 if options.quick else 6 if hidden_size < 64 else 3, options.rounds)


def one(kind, hidden_size, epochs, rounds):
    def run_with(strategy):
        return lambda: fit(kind, strategy, hidden_size, epochs)

    pairs = compare({"separate": run_with("separate")}, {"stacked": run_with("stacked")}, rounds)
    sizes = {"estimator": kind.__name__, "n": N, "L": L, "d": D, "H": hidden_size, "B": B}
    return timing(NAME, "stacked", "separate", sizes, 1, pairs["stacked", "separate"], epochs=epochs)


def page(records):
    header, rows = pivot(records, lambda r: (r["sizes"]["H"],), lambda r: r["sizes"]["estimator"], ratio)
    return (
        f"# Models of a path as one program\n\n{question(__doc__)}\n\n{explanation(__doc__)}\n\n"
        f"n = {N}, L = {L}, d = {D}, batches of {B}, one thread. The table has the time of the stacked training over "
        f"that of the separate one: medians over {records[0]['rounds']} rounds of A B A, quartiles in brackets.\n\n"
        f"{table(['H', *header], rows)}\n\n"
        "A small network spends its time on calls, and a stack makes one call for all networks. A larger network "
        "spends its time on products, and a stack has as many of them. The states of a large stack also do not fit "
        "into the caches. Therefore at most 25 networks and 64 MB of states are stacked.\n\n"
        f"Regenerate: `python -m benchmarks.speed.{NAME} --report` on an otherwise idle machine. Recorded on "
        f"{recorded_on(records)}.\n"
    )


if __name__ == "__main__":
    run(NAME, __doc__, measure, page, rounds=3)
