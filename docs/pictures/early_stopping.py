"""A training that is stopped, and the epoch whose weights come back."""

import numpy as np
from draw import BLUE, DARK, ORANGE, QUIET

SIZE = (7.2, 2.7)


def draw(figure):
    ax = figure.add_subplot()
    rng = np.random.default_rng(5)
    epochs = np.arange(1, 61)
    training = 0.12 + 0.9 * np.exp(-epochs / 14)
    validation = 0.3 + 0.75 * np.exp(-epochs / 9) + 0.00011 * epochs**2 + 0.008 * rng.standard_normal(60)
    best = int(np.argmin(validation[:45]))
    stop = best + 10
    shown = epochs <= epochs[stop]
    ax.plot(epochs[shown], training[shown], color=BLUE, lw=1.8)
    ax.plot(epochs[shown], validation[shown], color=ORANGE, lw=1.8)
    ax.plot(epochs[~shown], training[~shown], color=BLUE, lw=1, ls=":")
    ax.plot(epochs[~shown], validation[~shown], color=ORANGE, lw=1, ls=":")
    ax.plot(epochs[best], validation[best], marker="o", color=ORANGE, ms=9, mec="white")
    ax.annotate(
        "best epoch: these weights come back",
        (epochs[best], validation[best]),
        (11, 0.93),
        size=9,
        arrowprops={"arrowstyle": "-|>", "color": QUIET, "shrinkB": 6, "relpos": (0.7, 0)},
    )
    ax.axvline(epochs[stop], color=DARK, lw=1, ls="--")
    ax.text(epochs[stop] + 0.8, 0.95, "n_iter_no_change epochs\nlater training ends", size=9, va="center")
    ax.text(38, 0.64, "validation loss", color=ORANGE, weight="bold")
    ax.text(38, 0.24, "training loss", color=BLUE, weight="bold")
    ax.set(xlabel="epoch", ylabel="loss", ylim=(0, 1.05), xlim=(0, 61), yticks=[0])
