"""Epochs of a grid search, and of a path."""

import numpy as np
from draw import BLUE, GREEN, ORANGE, PURPLE, QUIET, SKY

SIZE = (7.2, 2.6)
COLOURS = (SKY, BLUE, GREEN, ORANGE, PURPLE)


def draw(figure):
    left, right = figure.subplots(1, 2, sharey=True)
    for place, colour in enumerate(COLOURS):
        left.plot([0, 1], [place, place], color=colour, lw=4, solid_capstyle="butt")
        x = np.linspace(0.6, 1, 50)
        turn = (1 - np.cos(np.pi * np.minimum((x - 0.6) / 0.12, 1))) / 2
        right.plot(x, 2 + (place - 2) * turn, color=colour, lw=4, solid_capstyle="butt")
    right.plot([0, 0.6], [2, 2], color=QUIET, lw=4, solid_capstyle="butt")
    right.text(0.28, 2.3, "the value in the middle", ha="center", size=9)
    right.text(0.28, 1.45, "shared_fraction=0.6", ha="center", size=9, family="monospace")
    left.set_title("GridSearchCV")
    right.set_title("RegularizationPathCV")
    for ax in (left, right):
        ax.set(xlabel="epoch", xticks=[0, 0.6, 1], ylim=(-0.5, 4.5), xlim=(-0.05, 1.12))
        ax.set_xticklabels(["0", "60 %", "max_epochs"])
        ax.spines["left"].set_visible(False)
        ax.tick_params(left=False)
    left.set_yticks(range(5), [f"λ_S = {value}" for value in ("0.001", "0.003", "0.01", "0.03", "0.1")])
    left.tick_params(labelleft=True, left=False)
