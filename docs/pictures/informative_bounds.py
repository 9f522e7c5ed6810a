"""The Occam bound against the bits of a network: training error, price of the bits, and their sum."""

import numpy as np
from draw import BLUE, DARK, GREEN, QUIET

from sklstm.generalization import kl_inverse

N, DELTA, GUESS = 1500, 0.05, 0.5


def draw(figure):
    bits = np.linspace(0, 700, 141)
    error = 0.02 + 0.48 * np.exp(-bits / 45)  # an example
    bound = np.array([kl_inverse(e, (k * np.log(2) + np.log(1 / DELTA)) / N) for e, k in zip(error, bits, strict=True)])
    best = bound.argmin()
    ax = figure.subplots()
    ax.fill_between(bits, error, bound, color=BLUE, alpha=0.12, lw=0)
    ax.plot(bits, bound, color=BLUE, lw=2)
    ax.plot(bits, error, color=GREEN, lw=2)
    ax.plot(bits[best], bound[best], "o", color=DARK)
    ax.annotate(
        "smallest bound",
        (bits[best], bound[best]),
        (bits[best] + 25, 0.08),
        va="center",
        arrowprops={"arrowstyle": "-", "lw": 0.8},
    )
    ax.axhline(GUESS, color=QUIET, ls=":")
    ax.text(700, GUESS + 0.01, "guess", color=QUIET, ha="right", va="bottom")
    ax.text(700, error[-1] + 0.012, "training error", color=GREEN, ha="right", va="bottom")
    ax.text(560, bound[112] + 0.015, "Occam bound", color=BLUE, ha="right", va="bottom")
    ax.text(520, 0.15, "price of the bits", color=DARK, ha="center", va="center", style="italic")
    ax.set(
        xlabel=f"bits of the network (an example with {N:,} sequences)",
        ylabel="error probability",
        ylim=(0, 0.6),
        xlim=(0, 700),
    )
