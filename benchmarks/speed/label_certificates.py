"""What do certified labels cost: by method, and in a list of several lengths?

The data are 1,000 windows of bike sharing (L = 24, d = 6). The label says whether rentals of the next hour are above
the median. Networks have 32 units and are trained as usual and robustly. Everything runs on one thread. `auto` is timed
in comparison with `best`. How much it adds depends on how many labels are neither certified by `best` nor changed by an
attack. `linear` is timed on 50 windows.

Lists: 300 sequences of 7 to 29 steps are compared with as many of 18 steps in an array, which have as many steps in
all.
"""

from functools import partial

import numpy as np

from benchmarks.common.series import forecasting_task
from sklstm import NoisyRNNClassifier, TikhonovLSTMClassifier
from tests.support.records import ratio, recorded_on, table, timing
from tests.support.suite import Bar, explanation, question, run
from tests.support.timing import compare, pinned

NAME = "label_certificates"
EPS = (0.01, 0.05, 0.1)
MODELS = {
    "LSTM": (TikhonovLSTMClassifier, {}),
    "LSTM, robust_eps=0.05": (TikhonovLSTMClassifier, {"robust_eps": 0.05}),
    "ReLU": (NoisyRNNClassifier, {}),
    "ReLU, robust_eps=0.05": (NoisyRNNClassifier, {"robust_eps": 0.05}),
}
METHODS = ("intervals", "best", "linear")
N_LIST = 300


def measure(options):
    X, y, X_test, y_test = forecasting_task("bike sharing")
    middle, n = np.median(y), 50 if options.quick else 1000
    X_test, labels = X_test[:n], y_test[:n] > middle
    rng = np.random.default_rng(0)
    ragged = [rng.standard_normal((length, X.shape[2])) for length in np.resize(np.arange(7, 30), N_LIST)]
    equal = rng.standard_normal((N_LIST, 18, X.shape[2]))
    with pinned(1):
        for name, (kind, parameters) in MODELS.items():
            model = kind(32, max_epochs=2 if options.quick else 30, random_state=0, **parameters).fit(X, y > middle)
            for eps in EPS:
                certified = partial(model.certified_accuracy, X_test, labels, eps)
                sizes = {"network": name, "n": n, "eps": eps}
                found = compare(
                    {"best": certified}, {"auto": partial(certified, method="auto")}, 1 if options.quick else 3
                )
                for (contender, baseline), pair in found.items():
                    accuracies = {method: certified(method=method) for method in ("best", "auto")}
                    yield timing(NAME, contender, baseline, sizes, 1, pair, accuracies=accuracies)
            if parameters:
                continue
            for method in METHODS:
                some = slice(None, None, 6) if method == "linear" else slice(None)
                how = {"eps": 0.01, "method": method}
                found = compare(
                    {"array": partial(model.certify, equal[some], **how)},
                    {"list": partial(model.certify, ragged[some], **how)},
                    options.rounds,
                )
                for (contender, baseline), pair in found.items():
                    sizes = {"network": name, "n": len(equal[some]), "method": method}
                    yield timing(NAME, contender, baseline, sizes, 1, pair)


def page(records):
    accuracies = [
        [
            record["sizes"]["network"],
            record["sizes"]["eps"],
            *(f"{record['accuracies'][method]:.3f}" for method in ("best", "auto")),
            f"{record['baseline_seconds']:.2f} s",
            f"{record['seconds']:.2f} s",
        ]
        for record in records
        if record["contender"] == "auto"
    ]
    lists = [
        [record["sizes"]["network"], record["sizes"]["method"], ratio(record)]
        for record in records
        if record["contender"] == "list"
    ]
    of_accuracy = ["network", "eps", "certified by best", "by auto", "time of best", "of auto"]
    return (
        f"# Cost of certified labels\n\n{question(__doc__)}\n\n{explanation(__doc__)}\n\n"
        f"{table(of_accuracy, accuracies)}\n\n{table(['network', 'method', 'list / array'], lists)}\n\n"
        f"Regenerate: `python -m benchmarks.speed.{NAME} --report` on an otherwise idle machine. Recorded on "
        f"{recorded_on(records)}.\n"
    )


def bars(records):
    for record in records:
        sizes = record["sizes"]
        if record["contender"] == "auto":
            yield Bar(f"{sizes['network']}, auto at {sizes['eps']}, seconds", 5.0, record["seconds"])
        else:
            yield Bar(f"{sizes['network']}, {sizes['method']}, list / array", 2.0, record["ratio"])


if __name__ == "__main__":
    run(NAME, __doc__, measure, page, bars=bars)
