"""How much faster is a whole regularisation path, cross-validated, than a grid search over the same values?

There are two paths with five folds: RegularizationPathCV over ten values of lambda_s of an LSTM, and over ten of sigma
of a ReLU classifier. Each is compared with GridSearchCV of the same estimator with the same folds, epochs and number of
workers. Both include the refit and neither includes the bounds. The grid's workers are started beforehand. Scores are
given too, because a path that chose worse would be no gain. The choices of both under other seeds show how much a
choice depends on the seed.
"""

from functools import partial

import numpy as np
from sklearn.model_selection import GridSearchCV

from benchmarks.common.series import forecasting_task
from sklstm import NoisyRNNClassifier, TikhonovLSTMRegressor
from sklstm.datasets import load_japanese_vowels
from sklstm.model_selection import RegularizationPathCV
from tests.support.records import ratio, recorded_on, table, timing
from tests.support.suite import explanation, question, run
from tests.support.timing import compare, pinned

NAME = "path_speed"
FOLDS, N_JOBS = 5, 2
GRID = "grid search"


def vowels():
    X, y = load_japanese_vowels(return_X_y=True)
    return X / X.std(), y


def tasks(quick):
    """Name, estimator, data, hyperparameter and its values, units."""
    n_values, n = (2, 200) if quick else (10, 2000)
    lambdas, sigmas = np.geomspace(1e-4, 1e-1, n_values), np.geomspace(0.03, 1, n_values)
    for name in ("bike sharing",) if quick else ("bike sharing", "Beijing PM2.5"):
        yield name, TikhonovLSTMRegressor, forecasting_task(name, n_train=n)[:2], "lambda_s", lambdas, 16
    yield "Japanese vowels", NoisyRNNClassifier, vowels(), "sigma", sigmas, 16


def compared(task, folds, epochs, rounds, seeds):
    name, kind, (X, y), parameter, values, hidden_size = task
    model = kind(hidden_size, max_epochs=epochs)
    how = {"cv": folds, "n_jobs": N_JOBS}
    fitted = {}

    def grid_of(X, y, seed=0, refit=True):
        search = GridSearchCV(model.set_params(random_state=seed), {parameter: list(values)}, refit=refit, **how)
        fitted["grid"] = search.fit(X, y)
        return int(search.best_index_)

    def path_of(X, y, seed=0, refit=True):
        search = RegularizationPathCV(model.set_params(random_state=seed), parameter, values, refit=refit, **how)
        fitted["path"] = search.fit(X, y)
        return int(search.best_index_)

    few = np.random.default_rng(0).permutation(len(X))[:100]
    for function in (grid_of, path_of):  # workers start, lazy imports happen
        function(X[few], y[few])
    pair = compare({GRID: partial(grid_of, X, y)}, {"path": partial(path_of, X, y)}, rounds, warm_up=False)[
        "path", GRID
    ]
    sizes = {"data": name, "n": len(X), "L": X.shape[1], "d": X.shape[2], "H": hidden_size}
    sizes |= {"values": len(values), "folds": folds}
    grid, path = fitted["grid"], fitted["path"]
    means = grid.cv_results_["mean_test_score"]
    chosen = int(path.best_index_)
    found = {
        "best_score": float(path.best_score_),
        "grid_best_score": float(grid.best_score_),
        "grid_score_there": float(means[chosen]),
        "grid_standard_error": float(grid.cv_results_["std_test_score"][grid.best_index_] / np.sqrt(folds)),
        "largest_difference": float(np.abs(means - path.cv_results_["mean_test_score"]).max()),
    }
    more = {"chosen": chosen, "grid_chosen": int(grid.best_index_), "parameter": parameter, "n_jobs": N_JOBS}
    more |= {key: round(value, 4) for key, value in found.items()} | {"epochs": epochs}
    for name, search in (("grid_chosen_by_seed", grid_of), ("chosen_by_seed", path_of)):
        more[name] = [search(X, y, seed, refit=False) for seed in range(1, 1 + seeds)]
    return timing(NAME, "path", GRID, sizes, 1, pair, **more)


def measure(options):
    folds, epochs = (2, 2) if options.quick else (FOLDS, options.epochs)
    with pinned(1):
        for task in tasks(options.quick):
            yield compared(task, folds, epochs, options.rounds, 1 if options.quick else options.seeds)


def _choices(chosen, by_seed):
    return f"{chosen} ({', '.join(map(str, by_seed))})"


def page(records):
    rows = [
        [
            r["sizes"]["data"],
            f"{r['sizes']['n']} × {r['sizes']['L']} × {r['sizes']['d']}",
            r["parameter"],
            f"{r['baseline_seconds']:.1f} s",
            f"{r['seconds']:.1f} s",
            ratio(r, 3),
            f"{1 / r['ratio']:.1f}",
        ]
        for r in records
    ]
    scores = [
        [
            r["sizes"]["data"],
            f"{r['grid_best_score']:.4f} ± {r['grid_standard_error']:.4f}",
            f"{r['best_score']:.4f}",
            f"{r['grid_score_there']:.4f}",
            _choices(r["grid_chosen"], r["grid_chosen_by_seed"]),
            _choices(r["chosen"], r["chosen_by_seed"]),
            f"{r['largest_difference']:.4f}",
        ]
        for r in records
    ]
    first = records[0]
    time_header = ["data", "n × L × d", "over", GRID, "path", "path / grid", "times faster"]
    score_header = [
        "data", "grid's best", "path's best", "grid's score of the path's choice", "grid's choice", "path's choice",
        "largest difference of a mean score",
    ]  # fmt: skip
    return (
        f"# Time of a regularisation path\n\n{question(__doc__)}\n\n{explanation(__doc__)}\n\n"
        f"{first['sizes']['H']} units, {first['epochs']} epochs, n_jobs={first['n_jobs']}, one thread; medians over "
        f"{first['rounds']} rounds of A B A, quartiles in brackets.\n\n{table(time_header, rows)}\n\n"
        "The second table has cross-validated scores (R², accuracy) with the standard error over folds. It also says "
        f"which of the {first['sizes']['values']} values was chosen, counted from 0, and in brackets the choices under "
        f"{len(first['chosen_by_seed'])} other seeds:\n\n{table(score_header, scores)}\n\n"
        f"Regenerate: `python -m benchmarks.speed.{NAME} --report` on an otherwise idle machine. Recorded on "
        f"{recorded_on(records)}.\n"
    )


def add_options(parser):
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seeds", type=int, default=3, help="other seeds, under which choices are compared")


if __name__ == "__main__":
    run(NAME, __doc__, measure, page, rounds=3, add_options=add_options)
