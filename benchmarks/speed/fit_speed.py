"""What does fit cost beside a hand-written PyTorch loop of the same model, batches and epochs?

The loop is what a PyTorch user writes: nn.LSTM, torch.optim.Adam with its defaults, shuffled slices of one tensor. The
fused loop asks Adam for its fused form, as the estimators do. The table also has a skorch net with its own data loader,
and other packages. Each of these runs in a process of its own environment, with a loop of its own cell. The
classifier's loop has torch's ReLU network, cross-entropy and clipped gradients, and adds the same noise.
`generalization_bound_` is computed after training, in every fit. Its cost is given in epochs of the same fit.

Finally the regressor runs with all its defaults, bound included. It is compared with the same work by hand:
scikit-learn's ridge regression, its penalty chosen by leaving one out, then the loop for an LSTM with a linear part.
"""

import time
from functools import partial

import numpy as np
import torch
from sklearn.linear_model import RidgeCV
from skorch import NeuralNetRegressor
from torch import nn

from benchmarks.common.peer_environment import NAMES, ask, described
from sklstm import NoisyRNNClassifier, TikhonovLSTMRegressor
from sklstm.estimators._reports import set_bound
from sklstm.training._train import sizes_for
from tests.support.loops import LastState, lstm, relu_rnn, train
from tests.support.records import pivot, ratio, recorded_on, table, timing
from tests.support.suite import Bar, explanation, question, run
from tests.support.timing import compare, paired, pinned, thread_counts

NAME = "fit_speed"
N, L, D, B = 2000, 24, 7, 64
LR = 3e-3
EPOCHS = {16: 10, 32: 10, 64: 5, 128: 3, 256: 2}  # a fit takes half a second or more, of which its start is little
PLAIN = {"lambda_s": 0, "lambda_1": 0, "lambda_2": 0}
CLASSIFIER = {"n": 1024, "L": 100, "d": 50, "H": 128, "B": 64}
LOOP, FUSED, EPOCH, BY_HAND = "loop", "fused loop", "epoch", "ridge, then a fused loop"
# n, L, d, H. At L d = 1,000 the second moment of the classifier's theorem is a matrix of a million numbers.
BOUND_SIZES = [
    (n, L, d, H) for n, L, d in ((200, 24, 1), (2000, 24, 12), (2000, 100, 3), (20000, 24, 3)) for H in (16, 64)
] + [(1100, 10, 100, 64), (1100, 24, 42, 64), (1100, 100, 10, 32), (10000, 100, 10, 32)]
ORDER = (FUSED, "sklstm, λ = 0", "sklstm, default λ", "sklstm, all defaults", "skorch", *NAMES)


def regression(n=N):
    X = np.random.default_rng(0).standard_normal((n, L, D)).astype(np.float32)
    return X, X[:, -3:, 0].mean(axis=1)


def loops(X, y, hidden_size, epochs):
    """The baselines: Adam as it comes, and fused."""
    tensors = torch.from_numpy(X), torch.from_numpy(y)[:, None]
    settings = {"batch_size": B, "epochs": epochs, "lr": LR}
    loop = partial(train, partial(lstm, X.shape[2], hidden_size), nn.functional.mse_loss, *tensors, **settings)
    return {LOOP: loop, FUSED: partial(loop, fused=True)}


def estimator(X, y, hidden_size, epochs, **parameters):
    settings = {"max_epochs": epochs, "batch_size": B, "random_state": 0}
    return TikhonovLSTMRegressor(hidden_size, skip="none", **settings, **parameters).fit(X, y)


class SkorchModule(LastState):
    def __init__(self, hidden_size):
        super().__init__(nn.LSTM(D, hidden_size, batch_first=True), 1)


def plain_skorch(X, y, hidden_size, epochs):
    return NeuralNetRegressor(
        SkorchModule,
        module__hidden_size=hidden_size,
        optimizer=torch.optim.Adam,
        lr=LR,
        batch_size=B,
        max_epochs=epochs,
        train_split=None,
        iterator_train__shuffle=True,
        verbose=0,
    ).fit(X, y[:, None])


CONTENDERS = {
    "sklstm, λ = 0": partial(estimator, **PLAIN),
    "sklstm, default λ": estimator,
    "skorch": plain_skorch,
}


def measure_regressors(hidden_size, epochs, threads, rounds):
    X, y = regression()
    mine = {name: partial(function, X, y, hidden_size, epochs) for name, function in CONTENDERS.items()}
    with pinned(threads):
        found = compare(loops(X, y, hidden_size, epochs), mine, rounds)
    sizes = {"n": N, "L": L, "d": D, "H": hidden_size, "B": B}
    for (name, baseline), pair in found.items():
        yield timing(NAME, name, baseline, sizes, threads, pair, epochs=epochs)


def measure_classifier(sigma, epochs, threads, rounds, n=CLASSIFIER["n"]):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, CLASSIFIER["L"], CLASSIFIER["d"])).astype(np.float32)
    y = (X[:, :, 0].sum(axis=1) > 0).astype(np.int64)
    make = partial(relu_rnn, CLASSIFIER["d"], CLASSIFIER["H"], 2)
    settings = {"batch_size": CLASSIFIER["B"], "epochs": epochs, "lr": 1e-3, "clip": 1.0, "sigma": sigma}
    loop = partial(train, make, nn.functional.cross_entropy, torch.from_numpy(X), torch.from_numpy(y), **settings)
    model = NoisyRNNClassifier(
        CLASSIFIER["H"], sigma=sigma, max_epochs=epochs, batch_size=CLASSIFIER["B"], random_state=0
    )
    with pinned(threads):
        found = compare(
            {LOOP: loop, FUSED: partial(loop, fused=True)}, {"classifier": partial(model.fit, X, y)}, rounds
        )
    sizes = CLASSIFIER | {"n": n, "sigma": sigma}
    for (name, baseline), pair in found.items():
        yield timing(NAME, name, baseline, sizes, threads, pair, epochs=epochs)


def measure_bound(kind, sizes, threads, rounds):
    """Seconds of the bound against those of an epoch before it, a pair in every round."""
    n, L, d, H = sizes
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, L, d)).astype(np.float32)
    target = X[:, -3:, 0].mean(axis=1)
    y = (target > 0).astype(np.int64) if kind is NoisyRNNClassifier else target
    model = kind(H, max_epochs=3, batch_size=B, random_state=0)
    bounds, epochs = [], []
    with pinned(threads):
        for _ in range(rounds):
            data = model.fit(X, y)._check_again(X, y)
            started = time.perf_counter()
            set_bound(model, data)
            bounds.append(time.perf_counter() - started)
            epochs.append(min(model.net_.history[:, "dur"]))
    named = dict(zip(("n", "L", "d", "H"), sizes, strict=True)) | {"B": B}
    yield timing(NAME, f"bound of {kind.__name__}", EPOCH, named, threads, paired(bounds, epochs), epochs=1)


def ridge_then_loop(X, y, hidden_size, epochs):
    ridge = RidgeCV(np.logspace(-2, 5, 15)).fit(X.reshape(len(X), -1), y)

    def make():
        module = LastState(nn.LSTM(X.shape[2], hidden_size, batch_first=True), 1, linear=nn.Linear(X[0].size, 1))
        with torch.no_grad():
            module.linear.weight.copy_(torch.from_numpy(ridge.coef_[None]))
            module.linear.bias.fill_(ridge.intercept_)
            module.readout.weight.zero_()
            module.readout.bias.zero_()
        return module

    tensors = torch.from_numpy(X), torch.from_numpy(y)[:, None]
    train(make, nn.functional.mse_loss, *tensors, batch_size=B, epochs=epochs, lr=LR, fused=True, cosine=True)


def measure_defaults(hidden_size, rounds):
    """One thread. Both take as many steps: those of the defaults."""
    X, y = regression()
    _, epochs = sizes_for(len(X), "auto", "auto", from_ridge=True)
    mine = {
        "sklstm, all defaults": lambda: TikhonovLSTMRegressor(hidden_size, random_state=0).fit(X, y),
        "sklstm, λ = 0": lambda: TikhonovLSTMRegressor(hidden_size, **PLAIN, random_state=0).fit(X, y),
    }
    with pinned(1):
        found = compare({BY_HAND: partial(ridge_then_loop, X, y, hidden_size, epochs)}, mine, rounds)
    sizes = {"n": N, "L": L, "d": D, "H": hidden_size, "B": B}
    for (name, baseline), pair in found.items():
        yield timing(NAME, name, baseline, sizes, 1, pair, epochs=epochs)


def measure(options):
    sizes = options.sizes or ([16] if options.quick else EPOCHS)
    for threads in options.threads or ([1] if options.quick else thread_counts()):
        for hidden_size in sizes if "regressors" in options.parts else ():
            epochs = 1 if options.quick else EPOCHS.get(hidden_size, 2)
            yield from measure_regressors(hidden_size, epochs, threads, options.rounds)
        for sigma in (0.0, 0.1) if "classifier" in options.parts else ():
            epochs, n = (1, 128) if options.quick else (3, CLASSIFIER["n"])
            yield from measure_classifier(sigma, epochs, threads, options.rounds, n)
        cases = [BOUND_SIZES[0]] if options.quick else BOUND_SIZES
        for case in cases if "bound" in options.parts and threads == 1 else ():
            for kind in (TikhonovLSTMRegressor, NoisyRNNClassifier):
                yield from measure_bound(kind, case, threads, options.rounds)
        for hidden_size in (16, 64) if "defaults" in options.parts and threads == 1 and not options.quick else ():
            yield from measure_defaults(hidden_size, options.rounds)
        for hidden_size in sizes if "peers" in options.parts and not options.quick else ():
            for peer in NAMES:
                case = {"n": N, "L": L, "d": D, "H": hidden_size, "B": B}
                fits = {"task": "fit", "epochs": EPOCHS.get(hidden_size, 2)}
                yield from ask(NAME, peer, case, threads, min(options.rounds, 3), **fits)


def per_epoch(records, key):
    """Milliseconds of an epoch of the loop, by `key`, of this package's own runs."""
    return {
        key(r): f"{1e3 * r['baseline_seconds'] / r['epochs']:.0f} ms"
        for r in records
        if r["baseline"] == LOOP and "packages" not in r
    }


def against(records, baseline, cell=ratio):
    """Header and rows: a row for threads and H, a column for a contender."""
    own = [r for r in records if r["baseline"] == baseline and "sigma" not in r["sizes"]]
    return pivot(own, lambda r: (r["threads"], r["sizes"]["H"]), lambda r: r["contender"], cell, ORDER)


def page(records):
    bound, defaults = ([r for r in records if r["baseline"] == baseline] for baseline in (EPOCH, BY_HAND))
    regressors = [r for r in records if "sigma" not in r["sizes"] and r not in bound + defaults]
    classifier = [r for r in records if "sigma" in r["sizes"]]
    parts = [f"# Time of fit\n\n{question(__doc__)}\n\n{explanation(__doc__)}"]
    if regressors:
        loop = per_epoch(regressors, lambda r: (r["threads"], r["sizes"]["H"]))
        header, rows = against(records, LOOP)
        rows = [[*row[:2], loop.get((row[0], row[1]), "–"), *row[2:]] for row in rows]
        parts.append(
            f"n = {N}, L = {L}, d = {D}, batches of {B}. Times relative to the loop: median over rounds of alternating "
            "runs, quartiles in brackets.\n\n" + table(["threads", "H", "loop, per epoch", *header], rows)
        )
        header, rows = against(records, FUSED)
        parts.append("Relative to the fused loop:\n\n" + table(["threads", "H", *header], rows))
    if classifier:
        rows = sorted(
            [r["threads"], r["sizes"]["sigma"], r["contender"], r["baseline"], ratio(r),
             f"{1e3 * r['baseline_seconds'] / r['epochs']:.0f} ms"]
            for r in classifier
        )  # fmt: skip
        sizes = classifier[0]["sizes"]
        parts.append(
            "The classifier: n = {n}, L = {L}, d = {d}, m = {H}, batches of {B}.\n\n".format(**sizes)
            + table(["threads", "σ", "contender", "baseline", "ratio", "baseline, per epoch"], rows)
        )
    if bound:
        keys = ("n", "L", "d", "H")
        header, rows = pivot(bound, lambda r: tuple(r["sizes"][key] for key in keys), lambda r: r["contender"], ratio)
        parts.append("The bound after training, in epochs, on one thread:\n\n" + table([*keys, *header], rows))
    if defaults:
        header, rows = against(records, BY_HAND)
        parts.append(
            f"All defaults, {defaults[0]['epochs']} epochs, against {BY_HAND}:\n\n"
            + table(["threads", "H", *header], rows)
        )
    peers = [r for r in records if "packages" in r]
    if peers:
        parts.append(
            f"Other packages ({described(peers)}): `benchmarks/common/peer_times.py` says how each is called.\n\n"
            "- sktime's recurrent regressor is torch's RNN with tanh, because sktime has no plain LSTM for regression. "
            "Its loop has that cell and does not shuffle.\n"
            "- darts forecasts all windows of one series.\n"
            "- keras runs on torch. Its LSTM is then a loop over time steps in Python unless there is a CUDA device.\n"
            "- aeon runs on TensorFlow, compiles a graph in every fit, and writes a checkpoint after every epoch that "
            "is the best so far. Fits of more than these 2 to 10 epochs would have a better ratio.\n\n"
            "Left out are three packages. tsai trains fastai learners and needs the torchvision that was built for its "
            "torch. The LSTM of neuralforecast ends in a network of several layers and is trained by steps, not "
            "epochs. tslearn has no recurrent regressor."
        )
    parts.append(
        f"Regenerate: `python -m benchmarks.speed.{NAME} --report` on an otherwise idle machine, after "
        f"`make bench-peers` for the other packages. Recorded on {recorded_on(records)}."
    )
    return "\n\n".join(parts) + "\n"


def bars(records):
    """On one thread: 1.10 of the loop, and at H = 16 a fifth less than skorch."""
    ratios = {
        (r["contender"], r["sizes"]["H"]): r["ratio"]
        for r in records
        if r["baseline"] == LOOP and r["threads"] == 1 and "sigma" not in r["sizes"]
    }
    for r in records:
        if r["baseline"] == EPOCH:
            sizes = ", ".join(f"{key} = {value}" for key, value in r["sizes"].items())
            yield Bar(f"{r['contender']} in epochs, {sizes}", 3.0, r["ratio"])
    for r in records:
        if r["contender"] == "sklstm, all defaults":
            most = {16: 1.2, 64: 1.1}[r["sizes"]["H"]]
            yield Bar(f"all defaults over {BY_HAND}, H = {r['sizes']['H']}", most, r["ratio"])
    for (name, hidden_size), ratio_to_loop in sorted(ratios.items()):
        if name == "sklstm, λ = 0":
            yield Bar(f"fit without penalty over the loop, H = {hidden_size}", 1.10, ratio_to_loop)
            if hidden_size == 16 and ("skorch", 16) in ratios:
                yield Bar("fit without penalty over skorch, H = 16", 0.80, ratio_to_loop / ratios["skorch", 16])


def add_options(parser):
    parser.add_argument("--sizes", type=int, nargs="+")
    parser.add_argument("--threads", type=int, nargs="+")
    parts = ("regressors", "classifier", "bound", "defaults", "peers")
    parser.add_argument("--parts", choices=parts, nargs="+", default=parts)


if __name__ == "__main__":
    run(NAME, __doc__, measure, page, rounds=5, add_options=add_options, bars=bars)
