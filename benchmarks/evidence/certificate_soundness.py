"""Can any attack leave the certified bounds?

Random and trained networks: LSTM and GRU in one and two layers, alone and beside a linear part, and ReLU networks;
forget biases up to 10; weights from quiet to wild; float32 and float64; boxes with eps from 1e-6 to 1 around random
inputs. Every box is attacked by projected gradient upwards and downwards and by random corners. An attacked input is
evaluated twice, in the dtype of the weights by torch's kernels and in float64, and both must lie within the bounds of
every method; the costly method `linear` takes part in a share of the cases. A case is one network, one sample and one
eps.
"""

import time

import numpy as np
import torch

from tests.support.attacks import EPS, KINDS, N_CORNERS, WITH_LINEAR, attack_random, attacked
from tests.support.records import table
from tests.support.suite import campaign, regenerate

NAME = "certificate_soundness"


def trained_models():
    """Estimators fitted on data in the package, with and without penalty, and windows that they have not seen."""
    from benchmarks.common.series import forecasting_task
    from sklstm import (
        NoisyRNNClassifier,
        TikhonovGRUClassifier,
        TikhonovGRURegressor,
        TikhonovLSTMClassifier,
        TikhonovLSTMRegressor,
    )
    from sklstm.datasets import load_japanese_vowels

    common = {"max_epochs": 30, "random_state": 0}
    none = {"lambda_s": 0.0, "lambda_1": 0.0, "lambda_2": 0.0}
    for series in ("bike sharing", "Beijing PM2.5", "sunspots"):
        X, y, X_test, _ = forecasting_task(series)
        for kind, cell in ((TikhonovLSTMRegressor, "lstm"), (TikhonovGRURegressor, "gru")):
            for parameters in ({"skip": "none"}, {"skip": "none"} | none, {"num_layers": 2}, {}):
                model = kind(**parameters, **common).fit(X, y)
                yield cell if model.skip == "none" else cell + WITH_LINEAR, model, X_test[:250]
    X, y = load_japanese_vowels(return_X_y=True)
    X_test, _ = load_japanese_vowels(subset="test", return_X_y=True)
    for kind, cell in ((TikhonovLSTMClassifier, "lstm"), (TikhonovGRUClassifier, "gru")):
        yield cell, kind(**common).fit(X / X.std(), y), X_test[:250] / X.std()
    for sigma in (0.0, 0.3):
        yield "relu", NoisyRNNClassifier(sigma=sigma, **common).fit(X / X.std(), y), X_test[:250] / X.std()


def measure(options, done):
    torch.set_num_threads(1)
    done = {record["part"] for record in done}
    for seed in range(20):
        if f"random {seed}" in done:
            continue
        started = time.perf_counter()
        counts = attack_random(12, 40, seed=100 + seed)
        kinds = {kind: count.tolist() for kind, count in counts.items()}
        yield {"part": f"random {seed}", "counts": kinds, "seconds": round(time.perf_counter() - started)}
    if "trained" in done:
        return
    generator, kinds = torch.Generator().manual_seed(7), {kind: np.zeros(3, dtype=int) for kind in KINDS}
    for kind, model, X in trained_models():
        for eps in EPS:
            kinds[kind] += attacked(model.net_.module_, torch.tensor(X, dtype=torch.float64), eps, generator)
        print(kinds, flush=True)
    yield {"part": "trained", "counts": {kind: count.tolist() for kind, count in kinds.items()}}


def page(records):
    rows = []
    for way in ("random", "trained"):
        for kind in KINDS:
            parts = [r["counts"] for r in records if r["part"].startswith(way)]
            counts = [np.array(part[kind]) for part in parts if kind in part]
            if np.any(counts):
                rows.append([way, kind, *sum(counts)])
    total = [sum(row[column] for row in rows) for column in (2, 3, 4)]
    rows.append(["**all**", "", *total])
    return (
        f"# Soundness of the certificates\n\n{__doc__.strip()}\n\n"
        f"{table(['networks', 'cell', 'cases', 'violations', 'cases with method linear'], rows)}\n\n"
        f"eps: {', '.join(f'{eps:g}' for eps in EPS)}. {N_CORNERS} random corners and two attacks by ten signed "
        f"gradient steps for each case.\n\n{regenerate(NAME, records)}"
    )


if __name__ == "__main__":
    campaign(NAME, __doc__, measure, page)
