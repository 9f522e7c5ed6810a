"""How narrow are certificates beside those of a general verifier, and what do they cost?

auto_LiRPA bounds any network that torch can trace, here the LSTM unrolled over its steps. Its method CROWN substitutes
linear bounds backwards, for the output and for every value before it, as `method="linear"` does. The LSTMs have 32
units, take windows of 24 hours of bike sharing, and are trained in four ways. Both methods run in alternation on the
same hundred test windows, ten at a time, in float32 on one thread. The radius is the larger distance of the two bounds
from the prediction. It is divided by the largest change that an attack finds. auto_LiRPA leaves out the rounding errors
of float32. Our certificates include them.

Needs auto_LiRPA 0.7.1 in the environment, which installs beside this package with `pip install --no-deps
auto_LiRPA==0.7.1 appdirs ninja graphviz`, or its source on the path.
"""

import time

import numpy as np
import torch
from torch import nn

from benchmarks.common.series import forecasting_task
from sklstm import TikhonovLSTMRegressor
from tests.support.attacks import double_of, strongest
from tests.support.records import table
from tests.support.suite import campaign, explanation, question, regenerate

NAME = "peer_verifier"
NONE = {"lambda_s": 0.0, "lambda_1": 0.0, "lambda_2": 0.0}
TRAINED = {
    "nothing": NONE,
    "turkin": {},
    "attacked inputs": NONE | {"robust_eps": 0.05, "robust_weight": 0.0},
    "robust": {"robust_eps": 0.05},
}
EPS = (0.01, 0.05, 0.1)
METHODS = ("best", "linear")
N_WINDOWS, TOGETHER = 100, 10


class Unrolled(nn.Module):
    """The same LSTM, from operations that the verifier knows."""

    def __init__(self, module):
        super().__init__()
        self.recurrent, self.readout = (part for part in module.children() if isinstance(part, nn.LSTM | nn.Linear))

    def forward(self, x):
        layer, size = self.recurrent, self.recurrent.hidden_size
        h = s = x.new_zeros(x.shape[0], size)
        for step in range(x.shape[1]):
            net = x[:, step] @ layer.weight_ih_l0.T + h @ layer.weight_hh_l0.T + (layer.bias_ih_l0 + layer.bias_hh_l0)
            i, f, o = (torch.sigmoid(net[:, k * size : (k + 1) * size]) for k in (0, 1, 3))
            s = f * s + i * torch.tanh(net[:, 2 * size : 3 * size])
            h = o * torch.tanh(s)
        return self.readout(h)


def crown(unrolled, X, eps):
    """Its bounds, and the time they took without tracing the network."""
    from auto_LiRPA import BoundedModule, BoundedTensor
    from auto_LiRPA.perturbations import PerturbationLpNorm

    bounded = BoundedModule(unrolled, X)
    box = BoundedTensor(X, PerturbationLpNorm(norm=np.inf, eps=eps))
    started = time.perf_counter()
    lower, upper = bounded.compute_bounds(x=(box,), method="CROWN")
    return lower.detach().numpy().ravel(), upper.detach().numpy().ravel(), time.perf_counter() - started


def ours(model, X, eps, method):
    started = time.perf_counter()
    lower, upper = model.certify(X, eps, method=method)
    return lower.ravel(), upper.ravel(), time.perf_counter() - started


def one(name):
    X, y, X_test, _ = forecasting_task("bike sharing")
    model = TikhonovLSTMRegressor(**TRAINED[name], skip="none", max_epochs=60, random_state=0).fit(X, y)
    windows = X_test[np.linspace(0, len(X_test) - 1, N_WINDOWS).astype(int)].astype(np.float32)
    module = model.net_.module_
    exact, unrolled = double_of(module), Unrolled(module).eval()
    model.certify(windows[:1], 0.1, method="linear")  # the first certificate of a process tests the machine's functions
    for eps in EPS:
        points = torch.tensor(windows, dtype=torch.float64)
        attack = strongest(exact, points, eps, n_steps=20).numpy()
        centre = model.predict(windows).ravel()
        found = {method: ([], []) for method in ("CROWN", *METHODS)}
        for start in range(0, N_WINDOWS, TOGETHER):
            rows = slice(start, start + TOGETHER)
            for method, (ratios, seconds) in found.items():
                if method == "CROWN":
                    lower, upper, took = crown(unrolled, torch.tensor(windows[rows]), eps)
                else:
                    lower, upper, took = ours(model, windows[rows], eps, method)
                ratios.extend(np.maximum(upper - centre[rows], centre[rows] - lower) / attack[rows])
                seconds.append(took / TOGETHER)
        yield {
            "trained": name,
            "eps": eps,
            "attack": float(np.median(attack)),
            **{f"{method} ratio": float(np.median(ratios)) for method, (ratios, _) in found.items()},
            **{f"{method} ms": 1000 * float(np.median(seconds)) for method, (_, seconds) in found.items()},
        }


def page(records):
    methods = ("CROWN", *METHODS)
    header = ["trained with", "eps", "attack", *methods, *(f"{method}, ms" for method in methods)]
    rows = [
        [
            record["trained"],
            f"{record['eps']:g}",
            f"{record['attack']:.3g}",
            *(f"{record[f'{method} ratio']:.3g}" for method in methods),
            *(f"{record[f'{method} ms']:.3g}" for method in methods),
        ]
        for record in records
    ]
    narrower = [record["linear ratio"] / record["CROWN ratio"] for record in records]
    faster = [record["CROWN ms"] / record["linear ms"] for record in records]
    return (
        f"# Certificates beside a general verifier\n\n{question(__doc__)}\n\n{explanation(__doc__)}\n\n"
        f"{table(header, rows)}\n\n"
        f"The radii of `linear` are {min(narrower):.2f} to {max(narrower):.2f} times those of CROWN, with a median of "
        f"{np.median(narrower):.3f}. CROWN takes {min(faster):.0f} to {max(faster):.0f} times as long.\n\n"
        f"{regenerate(NAME, records)}"
    )


def measure(options, done):
    torch.set_num_threads(1)
    done = {record["trained"] for record in done}
    for name in TRAINED:
        if name not in done:
            yield from one(name)


if __name__ == "__main__":
    campaign(NAME, __doc__, measure, page)
