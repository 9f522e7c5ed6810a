"""Can any attack leave the certified bounds?

Random and trained networks: LSTM and GRU in one and two layers, and ReLU networks; forget biases up to 10; weights
from quiet to wild; float32 and float64; boxes with eps from 1e-6 to 1 around random inputs. Every box is attacked by
projected gradient upwards and downwards and by random corners. An attacked input is evaluated twice, in the dtype of
the weights by torch's kernels and in float64, and both must lie within the bounds of every method; the costly method
`linear` takes part in a share of the cases. A case is one network, one sample and one eps.
"""

import time
from copy import deepcopy

import numpy as np
import torch
from _attacks import random_corner, signed_gradient
from _records import table
from _suite import campaign, regenerate
from torch import nn

from sklstm.certificates import RecurrentNetwork, output_bounds

NAME = "certificate_soundness"
CELLS = {"lstm": (nn.LSTM, {}), "gru": (nn.GRU, {}), "relu": (nn.RNN, {"nonlinearity": "relu"})}
EPS = (1e-6, 1e-4, 1e-3, 1e-2, 0.05, 0.1, 0.3, 1.0)
N_CORNERS = 6


class Network(nn.Module):
    """A recurrent layer or two, read out at the last step; drawn from a generator of its own."""

    def __init__(self, cell, n_features, hidden_size, n_outputs, n_layers, scale, bias, generator, dtype):
        super().__init__()
        kind, options = CELLS[cell]
        with torch.random.fork_rng(devices=[]):
            self.recurrent = kind(n_features, hidden_size, n_layers, batch_first=True, dtype=dtype, **options)
            self.readout = nn.Linear(hidden_size, n_outputs, dtype=dtype)
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                draw = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
                fan = 1 if "bias" in name else parameter.shape[1] ** 0.5
                parameter.copy_(scale * draw / fan)
            if cell == "lstm":
                for layer in range(n_layers):
                    getattr(self.recurrent, f"bias_ih_l{layer}")[hidden_size : 2 * hidden_size] += bias
        self.cell = cell

    def forward(self, X):
        return self.readout(self.recurrent(X)[0][:, -1])


def network_of(module):
    """The weights of a module with a recurrent layer and a linear readout, for `output_bounds`."""
    (recurrent,) = (part for part in module.children() if isinstance(part, nn.RNNBase))
    return RecurrentNetwork.from_torch(recurrent, module.readout)


def double_of(module):
    """The same weights in float64."""
    return deepcopy(module).double()


def attacked(module, cell, X, eps, generator, n_steps=10, n_linear=4):
    """Numbers of cases, of evaluations outside the bounds, and of cases tried against the costly linear bounds too."""
    network, exact = network_of(module), double_of(module)
    lower, upper = X - eps, X + eps
    bounds = [output_bounds(network, lower, upper, method=method) for method in ("intervals", "mean-value")]
    bounds.append(output_bounds(network, lower[:n_linear], upper[:n_linear], method="linear"))
    output = int(torch.randint(0, module.readout.out_features, (), generator=generator))
    points = [signed_gradient(exact, X, eps, output, sign, n_steps) for sign in (1, -1)]
    points += [random_corner(X, eps, generator) for _ in range(N_CORNERS)] + [X]
    violations = 0
    with torch.no_grad():
        for point in points:
            for value in (exact(point), module(point.to(network.dtype)).double()):
                for low, high in bounds:
                    value = value[: len(low)]
                    violations += int(((value < low) | (value > high)).any(dim=1).sum())
    return len(X), violations, min(n_linear, len(X))


def random_networks(n, seed):
    """n networks with the lengths of the sequences to try them on."""
    rng = np.random.default_rng(seed)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(n):
        cell = str(rng.choice(list(CELLS)))
        settings = {
            "cell": cell,
            "n_features": int(rng.choice([1, 3, 8])),
            "hidden_size": int(rng.choice([2, 8, 24, 48])),
            "n_outputs": int(rng.choice([1, 3])),
            "n_layers": int(rng.choice([1, 2])),
            "scale": float(rng.choice([0.1, 0.4, 1.0, 2.5] if cell != "relu" else [0.1, 0.4, 1.0])),
            "bias": float(rng.choice([0.0, 1.0, 5.0, 10.0])),
            "dtype": (torch.float32, torch.float64)[int(rng.integers(2))],
        }
        yield settings, Network(**settings, generator=generator), int(rng.choice([1, 6, 24]))


def attack_random(n_networks, n_samples, seed=0, epsilons=EPS):
    """Cases and violations over random networks, by cell."""
    generator = torch.Generator().manual_seed(seed + 1)
    counts = {cell: np.zeros(3, dtype=int) for cell in CELLS}
    for settings, module, n_steps in random_networks(n_networks, seed):
        X = torch.randn(n_samples, n_steps, settings["n_features"], generator=generator, dtype=torch.float64)
        for eps in epsilons:
            counts[settings["cell"]] += attacked(module, settings["cell"], X, eps, generator)
    return counts


def trained_models():
    """Estimators fitted on data in the package, with and without penalty, and windows that they have not seen."""
    from _series import forecasting_task

    from sklstm import NoisyRNNClassifier, TikhonovGRURegressor, TikhonovLSTMRegressor
    from sklstm.datasets import load_japanese_vowels

    common = {"max_epochs": 30, "compute_bound": False, "random_state": 0}
    none = {"lambda_s": 0.0, "lambda_1": 0.0, "lambda_2": 0.0}
    for series in ("bike sharing", "Beijing PM2.5", "sunspots"):
        X, y, X_test, _ = forecasting_task(series)
        for kind, cell in ((TikhonovLSTMRegressor, "lstm"), (TikhonovGRURegressor, "gru")):
            for parameters in ({}, none, {"num_layers": 2}):
                yield cell, kind(**parameters, **common).fit(X, y), X_test[:250]
    X, y = load_japanese_vowels(return_X_y=True)
    X_test, _ = load_japanese_vowels(subset="test", return_X_y=True)
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
        cells = {cell: count.tolist() for cell, count in counts.items()}
        yield {"part": f"random {seed}", "counts": cells, "seconds": round(time.perf_counter() - started)}
    if "trained" in done:
        return
    generator, cells = torch.Generator().manual_seed(7), {cell: np.zeros(3, dtype=int) for cell in CELLS}
    for cell, model, X in trained_models():
        for eps in EPS:
            cells[cell] += attacked(model.net_.module_, cell, torch.tensor(X, dtype=torch.float64), eps, generator)
        print(cells, flush=True)
    yield {"part": "trained", "counts": {cell: count.tolist() for cell, count in cells.items()}}


def page(records):
    rows = []
    for kind in ("random", "trained"):
        for cell in CELLS:
            counts = [np.array(r["counts"][cell]) for r in records if r["part"].startswith(kind)]
            rows.append([kind, cell, *sum(counts, np.zeros(3, dtype=int))])
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
