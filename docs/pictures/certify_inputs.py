"""Forms of eps: a number, one for each channel, one for each step and channel."""

import numpy as np
from draw import BLUE, DARK, ORANGE

SIZE = (7.2, 3.2)


def draw(figure):
    steps = np.arange(12)
    channels = np.column_stack([15 + 5 * np.sin(steps / 2.2), 60 - 12 * np.sin(steps / 2.2 + 0.4)])
    last = np.zeros((12, 2))
    last[-3:] = [1, 5]
    forms = (
        ("a number: 1.0", np.full((12, 2), 1.0)),
        ("(d,): [1.0, 5.0]", np.full((12, 2), [1.0, 5.0])),
        ("(L, d): last 3 steps", last),
    )
    axes = figure.subplots(2, 3, sharex=True, sharey="row")
    for column, (name, eps) in zip(axes.T, forms, strict=True):
        for ax, values, size, colour in zip(column, channels.T, eps.T, (BLUE, ORANGE), strict=True):
            ax.errorbar(steps, values, size, fmt="none", ecolor=colour, elinewidth=5, alpha=0.35)
            ax.plot(steps, values, "o-", ms=2.5, lw=1, color=DARK)
        column[0].set_title(name)
        column[1].set(xlabel="step", xticks=[0, 4, 8])
    axes[0, 0].set_ylabel("temperature (°C)", size=9)
    axes[1, 0].set_ylabel("humidity (%)", size=9)
