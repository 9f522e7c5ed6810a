"""Does noise on the inputs close the gap between training and test error? Figures 1 and 2 of Tu, He & Tao 2020.

A ReLU network on IMDB reviews of L words (GloVe, 50 dimensions), trained with input noise of standard deviation sigma:
test error without noise minus training error with noise, over several runs. Every finished run is appended to
results/imdb_noise.jsonl; started again, the script goes on with what is missing.

    python benchmarks/imdb_noise.py --data imdb_glove.npz --steps 100
    python benchmarks/imdb_noise.py --report            # docs/benchmarks/imdb_noise.md and .png from the results
"""

import argparse
import time
from itertools import product

import numpy as np
from _records import PAGES, append, load, machine, table

from sklstm import NoisyRNNClassifier
from sklstm.datasets import load_imdb

NAME = "imdb_noise"
SIGMAS = (0.0, 0.1, 0.2, 0.3, 0.4)
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
        random_state=run,
        compute_bound=False,
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
        "machine": machine(),
    }


def key(record):
    return record["n_steps"], record["run"], record["sigma"], record["hidden"], record["epochs"]


def measure(options):
    done = {key(record) for record in load(NAME)}
    for n_steps in options.steps:
        # Runs outside, noise inside: stopped at any point, every noise level has nearly as many runs.
        todo = [
            (run, sigma)
            for run, sigma in product(range(options.runs), SIGMAS)
            if (n_steps, run, sigma, options.hidden, options.epochs) not in done
        ]
        if not todo:
            continue
        train, test = (
            load_imdb(options.data, n_steps=n_steps, subset=part, return_X_y=True) for part in ("train", "test")
        )
        for count, (run, sigma) in enumerate(todo, 1):
            record = one_run(train, test, options, n_steps, sigma, run)
            append(NAME, record)
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


def draw(results, path):
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


def with_error(mean, error):
    """In percent; a single run has no standard error."""
    return f"{100 * mean:.2f}" + (f" ± {100 * error:.2f}" if np.isfinite(error) else "")


def report(records):
    settings = {(r["hidden"], r["epochs"]) for r in records}
    if len(settings) > 1:
        raise SystemExit(f"records of several settings (units, epochs): {sorted(settings)}; keep those of one")
    results = summary(records)
    draw(results, PAGES / f"{NAME}.png")
    rows = [
        (L, sigma, count, *(with_error(m, s) for m, s in zip(mean, spread, strict=True)))
        for (L, sigma), (mean, spread, count) in results.items()
    ]
    header = ("L", "σ", "runs", "gap, points", "test error, %", "training error with noise, %")
    hidden, epochs = settings.pop()
    text = (PAGES / f"{NAME}.md").read_text()
    before, _, _ = text.partition("<!-- results -->")
    lines = [
        "<!-- results -->",
        "",
        f"{hidden} units, {epochs} epochs; mean ± standard error over the runs. One run has no standard error.",
        "",
        table(header, rows),
        "",
        f"Machine: {records[-1]['machine']}.",
        "",
    ]
    (PAGES / f"{NAME}.md").write_text(before + "\n".join(lines))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="archive made by sklstm.datasets.prepare_imdb")
    parser.add_argument("--steps", type=int, nargs="+", default=[100, 200, 300])
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--report", action="store_true", help="write the page and the figure, train nothing")
    arguments = parser.parse_args()
    if arguments.report:
        report(load(NAME))
    elif arguments.data is None:
        parser.error("--data is needed to train")
    else:
        measure(arguments)
