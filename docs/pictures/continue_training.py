"""Learning rates of a warm start and of partial_fit."""

import numpy as np
from draw import BLUE, DARK, GREEN, ORANGE

SIZE = (7.2, 2.4)


def draw(figure):
    left, right = figure.subplots(1, 2, sharey=True)
    epochs = np.arange(20)
    factor = 0.01 + 0.99 * (1 + np.cos(np.pi * epochs / 20)) / 2
    left.plot(epochs, factor, color=BLUE, lw=2)
    left.plot(20 + epochs, factor, color=ORANGE, lw=2)
    left.axvline(19.5, color=DARK, lw=1, ls=":")
    left.text(9.5, 1.12, "fit", ha="center", color=BLUE, weight="bold")
    left.text(30, 1.12, "fit again", ha="center", color=ORANGE, weight="bold")
    left.set_title("warm_start=True")
    left.set_ylabel("learning rate / lr")
    for call in range(8):
        right.plot([call + 0.08, call + 0.92], [1, 1], color=GREEN, lw=3, solid_capstyle="butt")
        if call:
            right.axvline(call, color=DARK, lw=0.8, ls=":")
    right.set_title("partial_fit: one epoch a call")
    left.set(xlabel="epoch", ylim=(0, 1.3), xlim=(0, 39), xticks=[0, 20, 39])
    right.set(xlabel="epoch", xlim=(0, 8), xticks=range(0, 9, 2))
