"""What a forecaster does with the rows of a table."""

import numpy as np
from draw import BLUE, DARK, GREEN, ORANGE

SIZE = (7.2, 2.5)


def draw(figure):
    ax = figure.add_subplot()
    rng = np.random.default_rng(3)
    t = np.arange(0, 100)
    values = np.sin(2 * np.pi * t / 12) + 0.25 * rng.standard_normal(100)
    ahead = np.arange(99, 112)
    forecast = np.sin(2 * np.pi * ahead / 12)
    ax.plot(t, values, color=DARK, lw=1)
    ax.axvspan(0, 80, color=BLUE, alpha=0.12, lw=0)
    ax.axvspan(80, 99, color=GREEN, alpha=0.18, lw=0)
    ax.plot(ahead, forecast, color=ORANGE, lw=2)
    ax.fill_between(ahead, forecast - 0.5, forecast + 0.5, color=ORANGE, alpha=0.25, lw=0)
    for x, first, second, colour in (
        (40, "training rows", "scales and network", BLUE),
        (89.5, "held-out fifth", "width of intervals", GREEN),
        (107.5, "forecast", "with interval", ORANGE),
    ):
        ax.text(x, 2.75, first, ha="center", va="center", color=colour, weight="bold")
        ax.text(x, 2.2, second, ha="center", va="center", color=colour, size=9)
    ax.set(xlim=(0, 116), ylim=(-1.7, 3.1), xlabel="time", yticks=[], xticks=[])
    ax.spines["left"].set_visible(False)
