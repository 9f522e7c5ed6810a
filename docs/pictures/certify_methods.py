"""Width of certified bounds by method."""

import _bikes
import numpy as np
from draw import BLUE, DARK, GREEN, ORANGE

import sklstm

METHODS = (("intervals", ORANGE, "--"), ("mean-value", GREEN, "-."), ("best", DARK, "-"), ("linear", BLUE, "-"))


def draw(figure):
    model = _bikes.forecaster(skip="none").fit(*_bikes.training())
    X, _ = _bikes.hours(0, 96)
    X, sizes = X[::12], np.geomspace(0.03, 6, 10)
    ax = figure.subplots()
    for method, colour, line in METHODS:
        widths = []
        for size in sizes:
            lower, upper = sklstm.certify(model, X, size * _bikes.EPS, method=method)
            widths.append(np.median(upper - lower) / 2)
        ax.plot(sizes, widths, line, color=colour, lw=2.6 if method == "best" else 1.8, label=method)
    ax.set(xscale="log", yscale="log", xlabel="size of the input errors (°C; humidity five times as many %)")
    ax.set_ylabel("half-width of the bounds\n(bicycles, median)")
    ax.set_xticks([0.03, 0.1, 0.3, 1, 3, 6], ["0.03", "0.1", "0.3", "1", "3", "6"])
    ax.minorticks_off()
    ax.legend(frameon=False, prop={"family": "monospace", "size": 9})
