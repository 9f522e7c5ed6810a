"""What does the penalty add to the time of a fit, and what does tracking the norms change in the result?

Time: fits with the default λ alternate with fits with λ = 0, with the same seed, in one process, on one thread. Result:
the same fit on hourly data has carried norms, or exact norms at every step. The difference between their predictions is
compared with the difference between two seeds.
"""

from functools import partial

import numpy as np
import torch

from benchmarks.common.series import forecasting_task
from sklstm import TikhonovGRURegressor, TikhonovLSTMRegressor
from sklstm.estimators import _tikhonov as regressors
from sklstm.tikhonov import gate_norms
from tests.support.records import ratio, recorded_on, result, table, timing
from tests.support.suite import Bar, explanation, question, run
from tests.support.timing import compare, pinned

NAME = "penalty_cost"
N, D, B = 2000, 7, 64
ESTIMATORS = {"LSTM": TikhonovLSTMRegressor, "GRU": TikhonovGRURegressor}
PLAIN = {"lambda_s": 0, "lambda_1": 0, "lambda_2": 0}
EFFECTS = {
    "carried_exact": "carried − exact, predictions",
    "seeds": "seed − seed, predictions",
    "weights": "carried − exact, weights",
    "most_errors": "99 % of errors",
    "largest_error": "largest error",
    "norm_error": "norm_error",
}


def fit(kind, X, y, **parameters):
    parameters = {"batch_size": B, "random_state": 0} | parameters
    return ESTIMATORS[kind](**parameters).fit(X, y)


def cost(kind, hidden_size, n_steps, epochs, rounds):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N, n_steps, D)).astype(np.float32)
    y = X[:, -3:, 0].mean(axis=1)
    settings = {"hidden_size": hidden_size, "max_epochs": epochs}
    errors = []

    def penalised():
        errors.append(fit(kind, X, y, **settings).net_.history[-1, "norm_error"])

    plain = {"λ = 0": partial(fit, kind, X, y, **settings, **PLAIN)}
    ((name, baseline), pair), *_ = compare(plain, {kind: penalised}, rounds).items()
    sizes = {"n": N, "L": n_steps, "d": D, "H": hidden_size, "B": B}
    return timing(NAME, name, baseline, sizes, 1, pair, epochs=epochs, norm_error=float(f"{max(errors):.1e}"))


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
        carried = fit(kind, X, y, **settings)
        errors = np.array(Recorder.seen)
        Recorder.cadence = 1
        exact = fit(kind, X, y, **settings)
    finally:
        regressors.NetworkPenalty = genuine
    other = fit(kind, X, y, **settings, random_state=1)
    carried_test, exact_test, other_test = (model.predict(X_test) for model in (carried, exact, other))
    weights = [
        torch.cat([w.flatten() for w in model.net_.module_.state_dict().values()]) for model in (carried, exact, other)
    ]
    found = {
        "carried_exact": np.sqrt(np.mean((carried_test - exact_test) ** 2)),
        "seeds": np.sqrt(np.mean((other_test - exact_test) ** 2)),
        "weights": (weights[0] - weights[1]).norm() / weights[1].norm(),
        "most_errors": np.quantile(errors, 0.99),
        "largest_error": errors.max(),
        "norm_error": carried.net_.history[-1, "norm_error"],
    }
    measured = {name: float(f"{value:.2g}") for name, value in found.items()}
    return result(NAME, kind, {"data": task, "H": hidden_size}, 1, epochs=epochs, **measured)


def measure(options):
    epochs = 1 if options.quick else options.epochs
    sizes = [16] if options.quick else options.sizes
    with pinned(1):
        for kind in options.kinds if options.part != "result" else []:
            for hidden_size in sizes:
                n_steps, n_epochs = (24, 16) if hidden_size < 64 else (48, 6)
                yield cost(kind, hidden_size, n_steps, 1 if options.quick else n_epochs, options.rounds)
        for task in ("bike sharing", "Beijing PM2.5") if options.part != "time" else ():
            for kind in options.kinds:
                for hidden_size in [16] if options.quick else (16, 64):
                    yield effect(task, kind, hidden_size, epochs, options.cadence)


def page(records):
    times = [r for r in records if "ratio" in r]
    effects = [r for r in records if "data" in r["sizes"]]
    time_rows = [
        [
            r["contender"],
            r["sizes"]["H"],
            r["sizes"]["L"],
            f"{1e3 * r['baseline_seconds'] / r['epochs'] / -(-N // B):.2f} ms",
            ratio(r, 3),
            f"{r['norm_error']:.0e}",
        ]
        for r in times
    ]
    effect_rows = [
        [r["sizes"]["data"], r["contender"], r["sizes"]["H"], *(f"{r[name]:.1e}" for name in EFFECTS)] for r in effects
    ]
    parts = [f"# Cost of the penalty\n\n{question(__doc__)}\n\n{explanation(__doc__)}"]
    if time_rows:
        parts.append(
            f"n = {N}, d = {D}, batches of {B}; medians over {times[0]['rounds']} rounds of A B A, quartiles in "
            "brackets. `norm_error` is the largest relative error that a carried norm can have had (H up to 64) or was "
            "measured to have (beyond).\n\n"
            + table(["cell", "H", "L", "λ = 0, per step", "default λ / λ = 0", "largest norm_error"], time_rows)
            + "\n\nThe aim is 1.10 at H = 16 and 32 and 1.03 at H = 64 and 128. The rest of the cost is mostly the "
            "number of calls. Each of them finds the caches full of the network's numbers."
        )
    if effect_rows:
        parts.append(
            f"Forecasts of hourly data, {effects[0]['epochs']} epochs. Differences of predictions are root mean "
            "squares over the test windows, in standard deviations of the target. Differences of weights are relative. "
            "Errors of the norms were taken at every step. `norm_error` is what the fit itself reports.\n\n"
            + table(["data", "cell", "H", *EFFECTS.values()], effect_rows)
        )
    parts.append(
        f"Regenerate: `python -m benchmarks.speed.{NAME} --report` on an otherwise idle machine. Recorded on "
        f"{recorded_on(records)}."
    )
    return "\n\n".join(parts) + "\n"


def bars(records):
    for r in records:
        if "ratio" in r:
            what = f"fit with the penalty over one without, {r['contender']}, H = {r['sizes']['H']}"
            yield Bar(what, 1.10 if r["sizes"]["H"] < 64 else 1.03, r["ratio"])


def add_options(parser):
    parser.add_argument("--epochs", type=int, default=5, help="of the comparison with exact norms")
    parser.add_argument("--cadence", type=int, default=64)
    parser.add_argument("--part", choices=["time", "result"])
    parser.add_argument("--kinds", nargs="+", default=list(ESTIMATORS))
    parser.add_argument("--sizes", nargs="+", type=int, default=[16, 32, 64, 128])


if __name__ == "__main__":
    run(NAME, __doc__, measure, page, rounds=3, add_options=add_options, bars=bars)
