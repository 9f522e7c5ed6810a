"""How small an error probability can be guaranteed from the training data alone? The fine-tuned Occam bound.

    python -m benchmarks.evidence.occam_bound --tasks digits
    python -m benchmarks.evidence.occam_bound --data imdb_glove.npz     # both tasks

Each result is appended to results/occam_bound.jsonl with the test error of the very predictor that the bound is about,
measured on data that played no part, and decoded once more from its message.
"""

import os
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklstm import Compression, NoisyRNNClassifier
from sklstm.datasets import load_imdb
from sklstm.generalization import Description, occam_bound
from tests.support.records import PAGES, made_on, table
from tests.support.suite import campaign

NAME = "occam_bound"
SETTINGS = 8  # bits for the choice of the settings below

MODELS = {
    "digits": (
        {"hidden_size": 64, "sigma": 0.1, "max_epochs": 100, "lr_schedule": "constant"},
        {"hidden_size": 6, "epochs": 200, "stage_epochs": 8, "batch_size": 64, "n_starts": 5, "n_trials": 2000,
         "coarseness": (6.0, 8.0, 12.0, 16.0)},
    ),
    "imdb": (
        {"hidden_size": 64, "sigma": 0.2, "max_epochs": 20, "lr_schedule": "constant"},
        {"hidden_size": 4, "rank": 2, "epochs": 60, "stage_epochs": 3, "n_stages": 10, "batch_size": 250, "n_starts": 8,
         "n_trials": 800, "coarseness": (36.0, 48.0)},
    ),
}  # fmt: skip


def data(task, path):
    if task == "digits":
        X, y = load_digits(return_X_y=True)  # 1797 images of 8 × 8 pixels: 8 steps of 8 channels
        parts = train_test_split((X / 16).reshape(-1, 8, 8), y, test_size=0.25, random_state=0, stratify=y)
        return parts[0], parts[2], parts[1], parts[3]
    return *load_imdb(path, return_X_y=True), *load_imdb(path, subset="test", return_X_y=True)


def one(task, path, seed):
    X, y, X_test, y_test = data(task, path)
    own, small = MODELS[task]
    started = time.perf_counter()
    model = NoisyRNNClassifier(**own, compression=Compression(**small), random_state=seed, verbose=1).fit(X, y)
    report = model.generalization_report(X, y)
    seconds = time.perf_counter() - started
    bound = report["occam"]
    quantized = model.quantized(bound)
    decoded = Description.decode(*bound.description.message, bound.description.structure).weights()
    holdout = quantized.holdout_bound(X_test, y_test)
    print(report)
    return {
        "task": task,
        "seed": seed,
        "n": len(X),
        "compression": small,
        "bound": bound.value,
        "n_bits": bound.n_bits,
        "n_values": bound.n_values,
        "train_error": bound.train_loss,
        "float_train_error": bound.trained_loss,
        "test_error": float(np.mean(quantized.predict(X_test) != y_test)),
        "holdout_bound": holdout.value,
        "decodes": all(torch.equal(decoded[name], weight) for name, weight in bound.weights.items()),
        "own_test_error": float(np.mean(model.predict(X_test) != y_test)),
        "theorem_3": report["theorem_3"].value,
        "theorem_3_union": report["theorem_3_union"].value,
        "rademacher": report["rademacher"].value,
        "lambda_min": report["theorem_3"].lambda_min,
        "seconds": round(seconds, 1),
    }


def limit(record, more_bits=0, delta=0.05):
    """The bound of a record, with some bits more and at another δ."""
    return occam_bound(record["train_error"], record["n_bits"] + more_bits, record["n"], delta=delta, zero_one=True)


def paid(record):
    """The bound that pays for settings which were chosen among 256 by looking at the training data."""
    return limit(record, SETTINGS)


COLUMNS = {
    "task": lambda r: f"{r['task']}, seed {r['seed']}",
    "n": lambda r: r["n"],
    "bits": lambda r: r["n_bits"],
    "training error": lambda r: f"{r['train_error']:.4f}",
    "Occam bound, δ = 0.05": lambda r: f"**{r['bound']:.4f}**",
    f"with {SETTINGS} bits more": lambda r: f"{paid(r):.4f}",
    # Of the others only the convergent bound can fail and takes a share of δ.
    "together with three others": lambda r: f"{limit(r, delta=0.025):.4f}",
    "test error": lambda r: f"{r['test_error']:.4f}",
    "hold-out bound": lambda r: f"{r['holdout_bound']:.4f}",
    "message decodes": lambda r: "yes" if r["decodes"] else "NO",
    "test error of the own network": lambda r: f"{r['own_test_error']:.4f}",
    "Theorem 3 of it": lambda r: f"{r['theorem_3']:.1e}",
    "convergent bound of it": lambda r: f"{r['rademacher']:.1e}",
    "seconds": lambda r: f"{r['seconds']:.0f}",
}


def page(records):
    """The page, of which only what follows the mark is made here; the explanation before it is written by hand."""
    records = list({(r["task"], r["seed"]): r for r in records}.values())
    body = table(tuple(COLUMNS), [[column(r) for column in COLUMNS.values()] for r in records])
    settings = []
    for task, (own, small) in MODELS.items():
        own, small = (", ".join(f"{name}={value!r}" for name, value in part.items()) for part in (own, small))
        settings.append(f"- {task}: `NoisyRNNClassifier({own})` with `Compression({small})`")
    before, mark, _ = (PAGES / f"{NAME}.md").read_text(encoding="utf-8").partition("<!-- results -->")
    lines = [mark, "", body, "", *settings, "", f"Machine: {made_on(records)}.", ""]
    return before + "\n".join(lines)


def measure(options, done):
    torch.set_num_threads(1)
    done = {(record["task"], record["seed"]) for record in done}
    for task in options.tasks:
        if (task, options.seed) not in done:
            yield one(task, options.data, options.seed)


def add_options(parser):
    parser.add_argument("--tasks", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--data", help="archive made by sklstm.datasets.prepare_imdb, for imdb")
    parser.add_argument("--seed", type=int, default=0)


def check(parser, options):
    if "imdb" in options.tasks and options.data is None:
        parser.error("imdb needs --data; --tasks digits does without")


if __name__ == "__main__":
    campaign(NAME, __doc__, measure, page, add_options=add_options, check=check)
