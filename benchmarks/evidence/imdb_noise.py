"""Does noise on the inputs close the gap between training and test error? Figures 1 and 2 of Tu, He & Tao 2020.

A ReLU network on IMDB reviews of L words (GloVe, 50 dimensions), trained with input noise of standard deviation sigma:
test error without noise minus training error with noise, over several runs. Levels beyond the paper's are run once,
with the shortest reviews. Every finished run is appended to results/imdb_noise.jsonl; started again, the script goes on
with what is missing.

    python -m benchmarks.evidence.imdb_noise --data imdb_glove.npz  # made by sklstm.datasets.prepare_imdb
"""

import time
from itertools import product

import numpy as np

from sklstm import NoisyRNNClassifier
from sklstm.datasets import load_imdb
from tests.support.records import table
from tests.support.suite import campaign, regenerate

NAME = "imdb_noise"
PAPER, BEYOND = (0.0, 0.1, 0.2, 0.3, 0.4), (0.6, 0.8, 1.2)
RUNS = 5


def error(model, X, y, sigma, seed):
    """Share of wrong predictions under one draw of noise; in pieces, so that the noise is never held at once."""
    rng = np.random.default_rng(seed)
    wrong = 0
    for start in range(0, len(X), 1024):
        part = X[start : start + 1024]
        noise = np.float32(sigma) * rng.standard_normal(part.shape, dtype=np.float32) if sigma else np.float32(0)
        wrong += int((model.predict(part + noise) != y[start : start + 1024]).sum())
    return wrong / len(X)


def one_run(train, test, options, n_steps, sigma, run):
    started = time.perf_counter()
    model = NoisyRNNClassifier(
        options.hidden,
        sigma=sigma,
        max_epochs=options.epochs,
        batch_size=64,
        lr_schedule="constant",
        random_state=run,
        verbose=1,
    ).fit(*train)
    train_error, test_error = error(model, *train, sigma, 1000 + run), error(model, *test, 0.0, 0)
    return {
        "n_steps": n_steps,
        "sigma": sigma,
        "run": run,
        "hidden": options.hidden,
        "epochs": options.epochs,
        "train_error_with_noise": train_error,
        "train_error_without_noise": error(model, *train, 0.0, 0),
        "test_error": test_error,
        "loss": model.loss_curve_[-1],
        "seconds": round(time.perf_counter() - started, 1),
    }


def key(record):
    return record["n_steps"], record["run"], record["sigma"], record["hidden"], record["epochs"]


def measure(options, done):
    done = {key(record) for record in done}
    for n_steps in options.steps:
        # Runs outside, noise inside: stopped at any point, every noise level has nearly as many runs.
        once = options.beyond if n_steps == min(options.steps) else ()
        todo = [
            (run, sigma)
            for run, sigma in [*product(range(options.runs), options.sigmas), *((0, sigma) for sigma in once)]
            if (n_steps, run, sigma, options.hidden, options.epochs) not in done
        ]
        if not todo:
            continue
        train, test = (
            load_imdb(options.data, n_steps=n_steps, subset=part, return_X_y=True) for part in ("train", "test")
        )
        for count, (run, sigma) in enumerate(todo, 1):
            record = one_run(train, test, options, n_steps, sigma, run)
            yield record
            gap = record["test_error"] - record["train_error_with_noise"]
            print(f"L={n_steps} sigma={sigma} run={run}: gap {gap:.4f}; {count} of {len(todo)} done", flush=True)


def summary(records):
    """(L, sigma) -> mean and standard error of gap, test error, training error, and the number of runs."""
    out = {}
    for n_steps, sigma in sorted({(r["n_steps"], r["sigma"]) for r in records}):
        chosen = [r for r in records if (r["n_steps"], r["sigma"]) == (n_steps, sigma)]
        columns = np.array(
            [
                (r["test_error"] - r["train_error_with_noise"], r["test_error"], r["train_error_with_noise"])
                for r in chosen
            ]
        )
        spread = columns.std(axis=0, ddof=1) / np.sqrt(len(chosen)) if len(chosen) > 1 else np.full(3, np.nan)
        out[n_steps, sigma] = columns.mean(axis=0), spread, len(chosen)
    return out


def one_setting(records):
    """Units and epochs, the same for all."""
    settings = {(r["hidden"], r["epochs"]) for r in records}
    if len(settings) > 1:
        raise ValueError(f"records of several settings (units, epochs): {sorted(settings)}; keep those of one")
    return settings.pop()


def picture(records, path):
    one_setting(records)
    results = summary(records)
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    lengths = sorted({n_steps for n_steps, _ in results})
    figure, axes = plt.subplots(1, len(lengths), figsize=(3.6 * len(lengths), 3.4), layout="constrained", squeeze=False)
    for axis, n_steps in zip(axes[0], lengths, strict=True):
        sigmas = [sigma for length, sigma in results if length == n_steps]
        means, errors = (np.array([results[n_steps, sigma][i][0] for sigma in sigmas]) for i in (0, 1))
        runs = sorted({results[n_steps, sigma][2] for sigma in sigmas})
        axis.errorbar(sigmas, 100 * means, yerr=100 * errors, marker="o", capsize=4, color="#0072B2")
        number = f"{runs[0]}" if len(runs) == 1 else f"{runs[0]} to {runs[-1]}"
        axis.set_title(f"L = {n_steps}, {number} run{'' if runs == [1] else 's'}")
        axis.set_xlabel("standard deviation σ of the input noise")
        axis.set_xticks(sigmas)
        axis.grid(alpha=0.3)
    axes[0, 0].set_ylabel("test error − noisy training error\n(percentage points)")
    figure.savefig(path, dpi=130)
    plt.close(figure)


def with_error(mean, error):
    """In percent; a single run has no standard error."""
    return f"{100 * mean:.2f}" + (f" ± {100 * error:.2f}" if np.isfinite(error) else "")


TEXT = """\
# Noise in training and the gap between training and test error

Does noise on the inputs close the gap between training and test error?

This repeats figures 1 and 2 of Tu, He & Tao (2020). A ReLU network reads IMDB reviews of L words as GloVe vectors of 50
dimensions. It is trained with Gaussian noise of standard deviation σ on its inputs. The gap is the test error without
noise minus the training error with noise. The paper gives no size, number of epochs or optimiser. Here they are
{hidden} units, {epochs} epochs, batches of 64, Adam at a constant rate of 0.001, and gradients clipped at norm 1. All
else has the defaults of `NoisyRNNClassifier`. The smallest eigenvalues of the second moment, which the theorem is
about, are in [smallest_eigenvalue.md](smallest_eigenvalue.md).

![Gap against noise](imdb_noise.png)

{progress}

**Up to the paper's largest σ = 0.4**, noise closes the gap, in percentage points:

{falls}

The paper says the same of its first levels. The rise that it shows within that range does not appear here. The gap
falls mostly because the training error with noise rises. The test error hardly changes. So with this network noise
mostly makes the training error a better estimate of the test error. It improves the predictor little.

**Beyond the paper's range:**

{beyond}

There the gap does rise again, from below 0 towards 0, because the network learns less and less. With and without noise,
in training and in the test, it is wrong more and more often. Theorem 3 itself does not predict these numbers: its value
for such a network is in [occam_bound.md](occam_bound.md).

Mean ± standard error over the runs. One run has no standard error.

{table}

Every finished run is kept, and the script continues where it was stopped. {last_line}"""


def progress(results):
    """Of which lengths all runs at the paper's levels are recorded."""
    lengths = sorted({n_steps for n_steps, _ in results})
    whole = [n for n in lengths if all(results.get((n, sigma), (0, 0, 0))[2] >= RUNS for sigma in PAPER)]
    text = f"All {RUNS} runs at the paper's σ are recorded for L = {', '.join(map(str, whole))}" if whole else ""
    missing = [str(n) for n in lengths if n not in whole]
    rest = f"for L = {', '.join(missing)}, and for larger σ, the table says how many there are" if missing else ""
    return "; ".join(filter(None, (text, rest))) + "."


def page(records):
    hidden, epochs = one_setting(records)
    results = summary(records)
    rows = [
        (L, sigma, count, *(with_error(m, s) for m, s in zip(mean, spread, strict=True)))
        for (L, sigma), (mean, spread, count) in results.items()
    ]
    falls = []
    for L in sorted({n_steps for n_steps, _ in results}):
        first, last = (100 * results[L, sigma][0][0] for sigma in (PAPER[0], PAPER[-1]))
        falls.append(f"- from {first:.1f} to {last:.1f} at L = {L}")
    beyond = [
        f"- at L = {L} and σ = {sigma:g} the gap is {100 * results[L, sigma][0][0]:.1f} and the test error is "
        f"{100 * results[L, sigma][0][1]:.1f} %"
        for L, sigma in results
        if sigma in BEYOND
    ]
    return TEXT.format(
        hidden=hidden,
        epochs=epochs,
        progress=progress(results),
        falls="\n".join(falls),
        beyond="\n".join(beyond),
        table=table(("L", "σ", "runs", "gap, points", "test error, %", "training error with noise, %"), rows),
        last_line=regenerate(NAME, records, "--data imdb_glove.npz --anew --report"),
    )


def add_options(parser):
    parser.add_argument("--data", help="archive made by sklstm.datasets.prepare_imdb")
    parser.add_argument("--steps", type=int, nargs="+", default=[100, 200, 300])
    parser.add_argument("--sigmas", type=float, nargs="+", default=list(PAPER))
    parser.add_argument("--beyond", type=float, nargs="*", default=list(BEYOND), help="run once, with the shortest")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=20)


def check(parser, options):
    if options.data is None:
        parser.error("--data is needed to train")


if __name__ == "__main__":
    campaign(NAME, __doc__, measure, page, picture, add_options, check)
