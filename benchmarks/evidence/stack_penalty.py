"""How much larger does every further layer make the perturbation term, before training?

The gains of the layers of a stack multiply. The term that `lambda_s` weighs is computed for networks at the start of
training, scaled into the feasible set. They have one, two and three layers, each from five seeds. The table has the
ratio of a stack to the same stack with one layer less. The estimators divide `lambda_s`, for every layer beyond the
first, by the limit of this ratio for many units: 59 (LSTM, turkin), 29 (LSTM, tight), 31 (GRU, turkin) and 13 (GRU,
tight).
"""

import itertools
import warnings

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning

from sklstm import TikhonovGRURegressor, TikhonovLSTMRegressor
from tests.support.records import table
from tests.support.suite import campaign, explanation, question, regenerate

NAME = "stack_penalty"
CELLS = {"LSTM": TikhonovLSTMRegressor, "GRU": TikhonovGRURegressor}
VARIANTS, SIZES, LAYERS, SEEDS = ("turkin", "tight"), (8, 16, 32, 64), (1, 2, 3), range(5)


def gain(kind, variant, hidden_size, num_layers, seed):
    """The term at the start, of the recurrent part alone: a step of the optimiser of 1e-12 changes nothing."""
    X = np.random.default_rng(0).standard_normal((64, 12, 3)).astype(np.float32)
    settings = {"variant": variant, "num_layers": num_layers, "skip": "none", "random_state": seed}
    model = kind(hidden_size, **settings, lr=1e-12, max_epochs=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # nothing has converged, on purpose
        return model.fit(X, X[:, -1, 0]).perturbation_gain_


def measure(options, done):
    torch.set_num_threads(1)
    done = {(record["cell"], record["variant"], record["H"]) for record in done}
    for cell, variant, hidden_size in itertools.product(CELLS, VARIANTS, SIZES):
        if (cell, variant, hidden_size) in done:
            continue
        gains = [[gain(CELLS[cell], variant, hidden_size, n, seed) for n in LAYERS] for seed in SEEDS]
        ratios = np.divide(np.array(gains)[:, 1:], np.array(gains)[:, :-1]).round(2)
        yield {"cell": cell, "variant": variant, "H": hidden_size, "ratios": ratios.tolist()}


def medians(records):
    """Median ratio of two layers to one and of three to two, of every record."""
    return np.array([np.median(record["ratios"], axis=0) for record in records])


def page(records):
    rows = [
        [
            r["cell"],
            r["variant"],
            r["H"],
            *(f"{value:.0f}" for value in row),
            f"{np.min(r['ratios']):.0f}–{np.max(r['ratios']):.0f}",
        ]
        for r, row in zip(records, medians(records), strict=True)
    ]
    header = ["cell", "variant", "H", "two layers / one", "three / two", "all seeds"]
    return (
        f"# The penalty of stacks\n\n{question(__doc__)}\n\n{explanation(__doc__)}\n\nMedians over {len(SEEDS)} seeds, "
        f"and the smallest and largest ratio of any.\n\n{table(header, rows)}\n\n{regenerate(NAME, records)}"
    )


if __name__ == "__main__":
    campaign(NAME, __doc__, measure, page)
