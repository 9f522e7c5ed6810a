"""What does the penalty add to the time of a fit, and what does tracking the norms change in the result?

Time: a fit with the default λ between two fits with λ = 0, same seed, in one process; medians of the ratios within each
round, on one thread. Result: hourly data, the same fit with carried and with exact norms at every step; the difference
between their predictions stands beside the difference between two seeds.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from _records import machine, table
from _series import forecasting_task

from sklstm import TikhonovGRURegressor, TikhonovLSTMRegressor
from sklstm.estimators import _tikhonov as regressors
from sklstm.perturbation import gate_norms

N, D, B = 2000, 7, 64
ESTIMATORS = {"LSTM": TikhonovLSTMRegressor, "GRU": TikhonovGRURegressor}
PLAIN = {"lambda_s": 0, "lambda_1": 0, "lambda_2": 0}


def fit(kind, X, y, **parameters):
    parameters = {"compute_bound": False, "batch_size": B, "random_state": 0} | parameters
    started = time.perf_counter()
    model = ESTIMATORS[kind](**parameters).fit(X, y)
    return time.perf_counter() - started, model


def cost(kind, hidden_size, n_steps, epochs, rounds):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N, n_steps, D)).astype(np.float32)
    y = X[:, -3:, 0].mean(axis=1)
    settings = {"hidden_size": hidden_size, "max_epochs": epochs}
    fit(kind, X, y, **settings, **PLAIN)
    ratios, plain, error = [], [], 0.0
    for _ in range(rounds):
        # A B A: drift of the machine's speed cancels to first order.
        before, _ = fit(kind, X, y, **settings, **PLAIN)
        mine, model = fit(kind, X, y, **settings)
        after, _ = fit(kind, X, y, **settings, **PLAIN)
        ratios.append(2 * mine / (before + after))
        plain += [before, after]
        error = max(error, model.net_.history[-1, "norm_error"])
    n_batches = -(-N // B) * epochs
    return [
        kind,
        hidden_size,
        n_steps,
        f"{1e3 * np.median(plain) / n_batches:.2f} ms",
        f"{np.median(ratios):.3f}",
        f"{error:.0e}",
    ]


class Recorder(regressors.NetworkPenalty):
    """The estimator's penalty, with the norms' true errors noted at every step."""

    cadence = 64
    seen: list  # of the last fit

    def __init__(self, cell, **parameters):
        super().__init__(cell, cadence=self.cadence, **parameters)
        Recorder.seen = []

    def __call__(self, module):
        value = super().__call__(module)
        if self.cadence > 1:
            weights = [w.detach() for layer in module.layers for w in layer[:2]]
            exact = [gate_norms(w, cell=module.cell).tolist() for w in weights]
            carried = self.of_weights._norms.norms
            Recorder.seen.append(
                max(1 - c / e for es, cs in zip(exact, carried, strict=False) for e, c in zip(es, cs, strict=True))
            )
        return value


def effect(task, kind, hidden_size, epochs, cadence):
    """RMS differences of test predictions: carried against exact norms, and between two seeds; errors at all steps."""
    X, y, X_test, _ = forecasting_task(task)
    settings = {"hidden_size": hidden_size, "max_epochs": epochs}
    genuine = regressors.NetworkPenalty
    try:
        regressors.NetworkPenalty = Recorder
        Recorder.cadence = cadence
        carried = fit(kind, X, y, **settings)[1]
        errors = np.array(Recorder.seen)
        Recorder.cadence = 1
        exact = fit(kind, X, y, **settings)[1]
    finally:
        regressors.NetworkPenalty = genuine
    other = fit(kind, X, y, **settings, random_state=1)[1]
    carried_test, exact_test, other_test = (model.predict(X_test) for model in (carried, exact, other))
    weights = [
        torch.cat([w.flatten() for w in model.net_.module_.state_dict().values()]) for model in (carried, exact, other)
    ]
    return [
        task,
        kind,
        hidden_size,
        f"{np.sqrt(np.mean((carried_test - exact_test) ** 2)):.1e}",
        f"{np.sqrt(np.mean((other_test - exact_test) ** 2)):.1e}",
        f"{(weights[0] - weights[1]).norm() / weights[1].norm():.0e}",
        f"{np.quantile(errors, 0.99):.0e}",
        f"{errors.max():.0e}",
        f"{carried.net_.history[-1, 'norm_error']:.0e}",
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--epochs", type=int, default=10, help="of the comparison with exact norms")
    parser.add_argument("--cadence", type=int, default=64)
    parser.add_argument("--part", choices=["time", "result"])
    parser.add_argument("--kinds", nargs="+", default=list(ESTIMATORS))
    parser.add_argument("--sizes", nargs="+", type=int, default=[16, 32, 64, 128])
    parser.add_argument("--report", action="store_true", help="write docs/penalty_cost.md")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    times, results = [], []
    for kind in arguments.kinds if arguments.part != "result" else []:
        for hidden_size in arguments.sizes:
            n_steps, epochs = (24, 16) if hidden_size < 64 else (48, 6)
            times.append(cost(kind, hidden_size, n_steps, epochs, arguments.rounds))
            print(*times[-1], sep="\t", flush=True)
    for task in ("bike sharing", "Beijing PM2.5") if arguments.part != "time" else ():
        for kind in arguments.kinds:
            for hidden_size in (16, 64):
                results.append(effect(task, kind, hidden_size, arguments.epochs, arguments.cadence))
                print(*results[-1], sep="\t", flush=True)
    text = table(["cell", "H", "L", "λ = 0, per step", "default λ / λ = 0", "largest norm_error"], times)
    comparison = table(
        [
            "data",
            "cell",
            "H",
            "carried − exact, predictions",
            "seed − seed, predictions",
            "carried − exact, weights",
            "99 % of errors",
            "largest error",
            "norm_error",
        ],
        results,
    )
    print(text, comparison, sep="\n\n")
    if arguments.report:
        Path(__file__).parents[1].joinpath("docs", "penalty_cost.md").write_text(
            f"# Cost of the penalty\n\n{__doc__.strip().splitlines()[0]}\n\n"
            f"One thread, n = {N}, d = {D}, batches of {B}; medians over {arguments.rounds} rounds of A B A. "
            f"`norm_error` is the largest relative error of a carried norm that a fit measured.\n\n{text}\n\n"
            f"Forecasts of hourly data, {arguments.epochs} epochs. Differences of predictions are root mean squares "
            "over the test windows, in standard deviations of the target; differences of weights are relative. Errors "
            "of the norms were taken at every step, `norm_error` is what the fit itself saw of them.\n\n"
            f"{comparison}\n\n"
            "Regenerate: `python benchmarks/penalty_cost.py --report` on an otherwise idle machine. Recorded on "
            f"{machine()}.\n"
        )


if __name__ == "__main__":
    main()
