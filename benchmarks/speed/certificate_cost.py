"""What does certify cost beside predict, by cell and size?

1,000 random sequences, hardly trained networks (cost does not depend on the weights), one thread.
"""

from functools import partial

import numpy as np

from sklstm import NoisyRNNClassifier, TikhonovGRURegressor, TikhonovLSTMRegressor
from tests.support.records import pivot, recorded_on, table, timing
from tests.support.suite import explanation, question, run
from tests.support.timing import compare, pinned

NAME = "certificate_cost"
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


def measure(options):
    rng, n = np.random.default_rng(0), 100 if options.quick else 1000
    with pinned(1):
        for name, kind, parameters, n_steps, n_channels in CASES[:1] if options.quick else CASES:
            X = rng.standard_normal((n, n_steps, n_channels))
            y = X[:, -1, 0] > 0 if kind is NoisyRNNClassifier else X[:, -1, 0]
            model = kind(**parameters, max_epochs=1, random_state=0).fit(X, y)
            contenders = {method: partial(model.certify, X, 0.05, method=method) for method in METHODS}
            sizes = {"network": name, "n": n, "L": n_steps, "d": n_channels, "H": parameters["hidden_size"]}
            for (method, baseline), pair in compare(
                {"predict": partial(model.predict, X)}, contenders, options.rounds
            ).items():
                yield timing(NAME, method, baseline, sizes, 1, pair)


def row(record):
    sizes = record["sizes"]
    return sizes["network"], sizes["H"], sizes["L"], sizes["d"]


def page(records):
    header, rows = pivot(records, row, lambda r: r["contender"], lambda r: f"{r['ratio']:.1f}", METHODS)
    predict = {row(r): f"{1e3 * r['baseline_seconds']:.0f} ms" for r in records}
    rows = [[*each[:4], predict[tuple(each[:4])], *each[4:]] for each in rows]
    columns = ["network", "H", "L", "d", "predict", *(f"{method} / predict" for method in header)]
    return (
        f"# Cost of the certificates\n\n{question(__doc__)}\n\n{explanation(__doc__)} Medians over "
        f"{records[0]['rounds']} rounds of alternating runs.\n\n{table(columns, rows)}\n\n"
        "For the ReLU network a sequence has 5,000 entries, and preparing the boxes in float64 costs more than the "
        "network. The aim was 5 for `intervals` and 20 for the others.\n\n"
        "`linear` costs far more: see [certificate_tightness.md](certificate_tightness.md).\n\n"
        f"Regenerate: `python -m benchmarks.speed.{NAME} --report` on an otherwise idle machine. Recorded on "
        f"{recorded_on(records)}.\n"
    )


if __name__ == "__main__":
    run(NAME, __doc__, measure, page, rounds=9)
