"""How small is the PAC-Bayes bound of a network with random weights, beside the Occam and the hold-out bound?

    python -m benchmarks.evidence.pac_bayes --tasks digits
    python -m benchmarks.evidence.pac_bayes --data imdb_glove.npz     # both tasks

Each result is appended to results/pac_bayes.jsonl with the test error of the very predictor that the bound is about,
on data that played no part, and with what the part of the data that the bound counts says of one network by hold-out.
The Occam bounds are those of results/occam_bound.jsonl, on the same data.
"""

import os
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

from benchmarks.evidence.occam_bound import data
from sklstm import NoisyRNNClassifier, PACBayes
from tests.support.records import PAGES, latest, made_on, table
from tests.support.suite import campaign

NAME = "pac_bayes"
N_NETWORKS = 20  # whose test errors are averaged

MODELS = {
    "digits": (
        {"hidden_size": 64, "sigma": 0.1, "max_epochs": 100, "lr_schedule": "constant"},
        {},
    ),
    "imdb": (
        {"hidden_size": 64, "sigma": 0.2, "max_epochs": 10, "lr_schedule": "constant"},
        {"epochs": 3, "batch_size": 250},
    ),
}


def held_out(model, bound, X, y):
    """Hold-out bound of the prior's network, on the sequences that the PAC-Bayes bound counts."""
    _, rows = model.compression.parts(len(X), np.random.default_rng(vars(model)["_bound_seed"]))
    stochastic = model.stochastic(bound)
    stochastic._model.net_.module_.load_state_dict(bound.network.state_dict())
    return stochastic._model.holdout_bound(X[rows], y[rows])


def one(task, path, seed):
    X, y, X_test, y_test = data(task, path)
    own, settings = MODELS[task]
    started = time.perf_counter()
    model = NoisyRNNClassifier(**own, compression=PACBayes(**settings), random_state=seed, verbose=1).fit(X, y)
    fitted = time.perf_counter()
    bound = model.generalization_report(X, y)["pac_bayes"]
    seconds = time.perf_counter() - fitted
    stochastic = model.stochastic(bound)
    errors = [float(np.mean(stochastic.sample(X_test, random_state=i) != y_test)) for i in range(N_NETWORKS)]
    same = held_out(model, bound, X, y)
    return {
        "task": task,
        "seed": seed,
        "n_samples": bound.n_samples,
        "n_prior": bound.n_prior,
        "settings": settings,
        "bound": bound.value,
        "mean_loss": bound.mean_loss,
        "mean_loss_limit": bound.mean_loss_limit,
        "divergence": bound.divergence,
        "guess": bound.guess,
        "test_error": float(np.mean(errors)),
        "vote_error": float(np.mean(stochastic.predict(X_test, n_draws=N_NETWORKS) != y_test)),
        "prior_error": same.mean_loss,
        "prior_holdout": same.value,
        "own_test_error": float(np.mean(model.predict(X_test) != y_test)),
        "fit_seconds": round(fitted - started, 1),
        "seconds": round(seconds, 1),
    }


def occam(record):
    """The Occam bound on the same data, from the other script's records."""
    found = [r["bound"] for r in latest("occam_bound") if (r["task"], r["seed"]) == (record["task"], record["seed"])]
    return f"{found[-1]:.4f}" if found else "–"


COLUMNS = {
    "task": lambda r: f"{r['task']}, seed {r['seed']}",
    "sequences for prior, bound": lambda r: f"{r['n_prior']}, {r['n_samples']}",
    "KL": lambda r: f"{r['divergence']:.1f}",
    "mean loss, by draws": lambda r: f"{r['mean_loss']:.4f}",
    "its limit": lambda r: f"{r['mean_loss_limit']:.4f}",
    "PAC-Bayes bound, δ = 0.05": lambda r: f"**{r['bound']:.4f}**",
    "Occam bound": occam,
    "hold-out bound of the prior's network, same sequences": lambda r: f"{r['prior_holdout']:.4f}",
    "test error": lambda r: f"{r['test_error']:.4f}",
    "of a vote": lambda r: f"{r['vote_error']:.4f}",
    "of the estimator": lambda r: f"{r['own_test_error']:.4f}",
    "guess": lambda r: f"{r['guess']:.2f}",
    "seconds of the report, of fit": lambda r: f"{r['seconds']:.0f}, {r['fit_seconds']:.0f}",
}


def page(records):
    """The page, of which only what follows the mark is made here; the explanation before it is written by hand."""
    records = list({(r["task"], r["seed"]): r for r in records}.values())
    body = table(tuple(COLUMNS), [[column(r) for column in COLUMNS.values()] for r in records])
    lines = []
    for task, parts in MODELS.items():
        own, settings = (", ".join(f"{name}={value!r}" for name, value in part.items()) for part in parts)
        lines.append(f"- {task}: `NoisyRNNClassifier({own})` with `PACBayes({settings})`")
    before, mark, _ = (PAGES / f"{NAME}.md").read_text(encoding="utf-8").partition("<!-- results -->")
    return before + "\n".join([mark, "", body, "", *lines, "", f"Machine: {made_on(records)}.", ""])


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
