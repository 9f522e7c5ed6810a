"""What does predict cost beside one batched forward pass of the same network?

One pass is what a PyTorch user writes, module(X) without gradients for all sequences at once. The table also has the
same in blocks of 256. predict checks and converts its input and returns float64. Its blocks are of one size, and the
last one is filled up, so that a prediction does not depend on the other sequences. X is float32 in all cases. The table
also has a skorch net's own predict, and other packages where they are installed.
"""

from functools import partial

import numpy as np
import torch

from benchmarks.common.peer_environment import NAMES, ask, described
from benchmarks.speed.fit_speed import PLAIN, estimator, plain_skorch
from sklstm import NoisyRNNClassifier
from tests.support.loops import lstm
from tests.support.records import pivot, ratio, recorded_on, table, timing
from tests.support.suite import Bar, explanation, question, run
from tests.support.timing import compare, pinned, thread_counts

NAME = "predict_speed"
L, D, B = 24, 7, 64
CLASSIFIER = {"L": 100, "d": 50, "H": 128}
WHOLE, BLOCKS = "one forward pass", "blocks of 256"
ORDER = (BLOCKS, "sklstm", "classifier", "skorch", *NAMES)


@torch.no_grad()
def forward(module, X, size=None):
    tensor = torch.from_numpy(X)
    return torch.cat([module(part) for part in tensor.split(size or len(tensor))]).numpy()


def repeated(function, times):
    """So many calls as one, for what is too short to be timed alone."""

    def run():
        for _ in range(times):
            function()

    return run


def compared(module, contenders, X, rounds, times):
    baselines = {WHOLE: partial(forward, module, X), BLOCKS: partial(forward, module, X, 256)}
    functions = {name: partial(model.predict, X) for name, model in contenders.items()}
    many = [{name: repeated(function, times) for name, function in each.items()} for each in (baselines, functions)]
    return compare(*many, rounds)


def measure_regressors(n, hidden_size, threads, rounds, times=1):
    X = np.random.default_rng(0).standard_normal((n, L, D)).astype(np.float32)
    few, target = X[:256], X[:256, -1, 0]
    model = estimator(few, target, hidden_size, 1, **PLAIN)
    others = {"sklstm": model, "skorch": plain_skorch(few, target, hidden_size, 1)}
    others["skorch"].set_params(batch_size=256)
    module = lstm(D, hidden_size)
    module.layer.load_state_dict(model.net_.module_.lstm.state_dict())
    module.readout.load_state_dict(model.net_.module_.readout.state_dict())
    sizes = {"n": n, "L": L, "d": D, "H": hidden_size}
    with pinned(threads):
        found = compared(module, others, X, rounds, times)
    for (name, baseline), pair in found.items():
        yield timing(NAME, name, baseline, sizes, threads, pair, calls=times)


def measure_classifier(n, threads, rounds):
    X = np.random.default_rng(0).standard_normal((n, CLASSIFIER["L"], CLASSIFIER["d"])).astype(np.float32)
    model = NoisyRNNClassifier(CLASSIFIER["H"], max_epochs=1, random_state=0)
    model.fit(X[:256], X[:256, -1, 0] > 0)
    with pinned(threads):
        found = compared(model.net_.module_, {"classifier": model}, X, rounds, 1)
    for (name, baseline), pair in found.items():
        yield timing(NAME, name, baseline, {"n": n} | CLASSIFIER, threads, pair, calls=1)


def measure(options):
    for threads in [1] if options.quick else thread_counts():
        for hidden_size in [16] if options.quick else (16, 64, 128):
            for n in [500] if options.quick else (2000, 20000):
                times = 1 if n > 2000 or options.quick else 10
                yield from measure_regressors(n, hidden_size, threads, options.rounds, times)
                for peer in NAMES if "peers" in options.parts and not options.quick else ():
                    case = {"n": n, "L": L, "d": D, "H": hidden_size, "B": B}
                    for record in ask(NAME, peer, case, threads, 3, task="predict", epochs=1):
                        yield record | {"sizes": {key: case[key] for key in ("n", "L", "d", "H")}, "calls": 1}
        yield from measure_classifier(200 if options.quick else 2000, threads, options.rounds)


def against(records, baseline, cell=ratio):
    own = [r for r in records if r["baseline"] == baseline and r["sizes"]["L"] == L]
    return pivot(own, lambda r: (r["threads"], r["sizes"]["H"], r["sizes"]["n"]), lambda r: r["contender"], cell, ORDER)


def page(records):
    header, rows = against(records, WHOLE)
    passes = {
        (r["threads"], r["sizes"]["H"], r["sizes"]["n"]): f"{1e3 * r['baseline_seconds'] / r['calls']:.1f} ms"
        for r in records
        if r["baseline"] == WHOLE and r["sizes"]["L"] == L and "packages" not in r
    }
    rows = [[*row[:3], passes.get(tuple(row[:3]), "–"), *row[3:]] for row in rows]
    parts = [
        f"# Time of predict\n\n{question(__doc__)}\n\n{explanation(__doc__)}",
        f"An LSTM, L = {L}, d = {D}. Times relative to one pass: median over rounds of alternating runs, quartiles in "
        "brackets.\n\n" + table(["threads", "H", "n", WHOLE, *header], rows),
    ]
    blocks = [
        [r["threads"], r["sizes"]["H"], r["sizes"]["n"], ratio(r)]
        for r in records
        if (r["baseline"], r["contender"]) == (BLOCKS, "sklstm")
    ]
    parts.append(
        "predict relative to plain blocks of 256:\n\n" + table(["threads", "H", "n", "sklstm"], sorted(blocks))
    )
    classifier = [r for r in records if r["sizes"]["L"] == CLASSIFIER["L"] and r["baseline"] == WHOLE]
    rows = [
        [r["threads"], r["contender"], ratio(r), f"{1e3 * r['baseline_seconds'] / r['calls']:.1f} ms"]
        for r in sorted(classifier, key=lambda r: (r["threads"], r["contender"]))
    ]
    if rows:
        parts.append(
            "The classifier, L = {L}, d = {d}, m = {H}, n = {n}, beside one pass of its own network:\n\n".format(
                **classifier[0]["sizes"]
            )
            + table(["threads", "contender", "ratio", WHOLE], rows)
        )
    peers = [r for r in records if "packages" in r]
    if peers:
        parts.append(
            f"Other packages ({described(peers)}) are measured against one pass of a hand-written network of their own "
            "cell in their own process. darts predicts by `historical_forecasts` over the windows of one series, and "
            "builds a series of the forecasts. keras and aeon predict in batches of 256 and 64."
        )
    parts.append(
        f"Regenerate: `python -m benchmarks.speed.{NAME} --report` on an otherwise idle machine. Recorded on "
        f"{recorded_on(records)}."
    )
    return "\n\n".join(parts) + "\n"


def bars(records):
    """1.10 of one forward pass on one thread."""
    for r in records:
        if (r["contender"], r["baseline"], r["threads"]) == ("sklstm", WHOLE, 1):
            where = f"H = {r['sizes']['H']}, n = {r['sizes']['n']}"
            yield Bar(f"predict over {WHOLE}, {where}", 1.10, r["ratio"])


def add_options(parser):
    parts = ("own", "peers")
    parser.add_argument("--parts", choices=parts, nargs="+", default=parts)


if __name__ == "__main__":
    run(NAME, __doc__, measure, page, rounds=9, add_options=add_options, bars=bars)
