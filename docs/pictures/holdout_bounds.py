"""The hold-out bound on an error probability against the number of held-out sequences."""

import numpy as np
from draw import BLUE, DARK, ORANGE
from scipy.stats import beta

SHARE, DELTA = 0.06, 0.05


def draw(figure):
    n = np.geomspace(20, 5000, 60)
    ax = figure.subplots()
    for share, colour in ((0.2, ORANGE), (SHARE, BLUE)):
        bound = beta.ppf(1 - DELTA, share * n + 1, n - share * n)
        ax.plot(n, bound, color=colour, lw=2)
        ax.axhline(share, color=colour, lw=1, ls=":")
        ax.fill_between(n, share, bound, color=colour, alpha=0.12, lw=0)
        ax.text(
            5000, share - 0.008, f"errors on the hold-out data: {share:.0%}", ha="right", va="top", size=9, color=colour
        )
        at = beta.ppf(1 - DELTA, share * 370 + 1, 370 - share * 370)
        ax.plot(370, at, "o", color=colour, ms=5)
        ax.text(385, at + 0.008, f"{at:.1%} at n = 370", va="bottom", size=9, color=DARK)
    ax.set(
        xscale="log",
        xlabel="sequences held out, n",
        ylabel="bound on the error\nprobability (95 %)",
        ylim=(0, 0.45),
        xlim=(20, 5000),
    )
    ax.set_xticks(
        [20, 50, 100, 200, 500, 1000, 2000, 5000], ["20", "50", "100", "200", "500", "1,000", "2,000", "5,000"]
    )
    ax.set_yticks([0, 0.1, 0.2, 0.3, 0.4], ["0", "10 %", "20 %", "30 %", "40 %"])
    ax.minorticks_off()
