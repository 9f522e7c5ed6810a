"""Weights of sequences, and what they do to the loss."""

import numpy as np
from draw import BLUE, DARK, ORANGE, QUIET

SIZE = (7.2, 2.5)


def draw(figure):
    rng = np.random.default_rng(4)
    place = np.arange(1, 13)
    weight, loss = np.linspace(0.5, 1.5, 12), 0.3 + rng.random(12)
    left, right = figure.subplots(1, 2)
    left.bar(place, weight, color=BLUE, alpha=0.8)
    left.axhline(1, color=DARK, lw=1, ls=":")
    left.text(0.6, 1.05, "mean 1", size=9)
    left.set_title("sample_weight: later windows count more")
    left.set(xlabel="window, in order of time", xticks=[], yticks=[0, 0.5, 1, 1.5])
    right.bar(place - 0.2, loss, width=0.4, color=QUIET, alpha=0.6, label="loss")
    right.bar(place + 0.2, weight * loss, width=0.4, color=ORANGE, label="weight · loss")
    right.set_title("what training minimises on average")
    right.set(xlabel="window, in order of time", xticks=[], yticks=[0], ylim=(0, 2.3))
    right.legend(loc="upper left", frameon=False, ncols=2)
