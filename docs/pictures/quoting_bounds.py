"""The probability that the smallest of several bounds is wrong."""

import numpy as np
from draw import BLUE, ORANGE

DELTA = 0.05


def draw(figure):
    n = np.arange(1, 11)
    ax = figure.subplots()
    ax.plot(n, n * DELTA, "o-", color=ORANGE, lw=2, ms=5)
    ax.plot(n, np.full(len(n), DELTA), "o-", color=BLUE, lw=2, ms=5)
    ax.text(6.2, 0.36, "each bound at 95 % (column value)", color=ORANGE, ha="right", va="bottom")
    ax.text(10, 0.075, "all bounds together at 95 % (column together)", color=BLUE, ha="right", va="bottom")
    ax.set(
        xlabel="bounds that you look at", ylabel="probability that one fails\n(upper limit)", xticks=n, ylim=(0, 0.55)
    )
    ax.set_yticks([0, 0.05, 0.25, 0.5], ["0", "5 %", "25 %", "50 %"])
