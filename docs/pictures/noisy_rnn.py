"""What a network without biases can do with the size of its input."""

import numpy as np
from draw import BLUE, DARK, ORANGE, QUIET

SIZE = (7.2, 2.7)


def draw(figure):
    level = np.linspace(-2.2, 2.6, 200)
    without = np.where(level > 0, 0.55 * level, 0.8 * level)
    constant = np.maximum(level, 0) * 0.9 - 0.9 + 0.25 * np.minimum(level, 0)
    both = figure.subplots(1, 2, sharey=True)
    for ax, score, colour, title, change in (
        (both[0], without, ORANGE, "no biases: f(a·x) = a·f(x)", 0),
        (both[1], constant, BLUE, "with a channel that is always 1", 1),
    ):
        ax.plot(level, score, color=colour, lw=2)
        ax.axhline(0, color=DARK, lw=0.8)
        ax.axvline(1, color=QUIET, lw=1, ls=":")
        ax.plot(change, 0, marker="o", color=colour, ms=8, mec="white")
        ax.annotate(
            "the label changes here", (change, 0), (-2.0, 0.95), size=9, arrowprops={"arrowstyle": "-", "color": QUIET}
        )
        ax.set_title(title)
        ax.set(xlabel="level", xticks=[0, 1], xticklabels=["0", "1, the alarm"], yticks=[0], ylim=(-1.8, 1.4))
    both[0].set_ylabel("score for an alarm")
