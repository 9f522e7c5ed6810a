"""The four losses of the regressors."""

import numpy as np
from draw import BLUE, GREEN, ORANGE, PURPLE

SIZE = (7.2, 2.9)


def draw(figure):
    e = np.linspace(-3, 3, 601)
    ax = figure.add_subplot()
    size = np.abs(e)
    for loss, colour, name, place in (
        (e**2, BLUE, "squared_error", (-1.85, 3.75)),
        (size, GREEN, "absolute_error", (-3.0, 3.1)),
        (np.where(size < 1, e**2 / 2, size - 0.5), ORANGE, "huber", (-3.0, 1.85)),
        (np.where(e > 0, 0.9 * e, -0.1 * e), PURPLE, "quantile, quantile=0.9", (-3.0, 0.45)),
    ):
        ax.plot(e, loss, color=colour, lw=2)
        ax.text(*place, name, color=colour, weight="bold", size=9)
    ax.set(ylim=(0, 4), xlim=(-3.05, 3.05), xlabel="error e = y − f(x)", ylabel="loss")
    ax.text(3.0, 0.3, "prediction too low →", ha="right", size=9)
