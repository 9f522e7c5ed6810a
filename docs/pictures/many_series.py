"""A panel: one model for series of several ids."""

import numpy as np
from draw import BLUE, GREEN, ORANGE, PURPLE

SIZE = (7.2, 2.7)


def draw(figure):
    ax = figure.add_subplot()
    rng = np.random.default_rng(1)
    series = (("north", 0, 72, BLUE), ("south", 22, 100, GREEN), ("harbour", 10, 100, PURPLE))
    for row, (name, first, last, colour) in enumerate(series):
        height = 5.4 - 2.4 * row
        t = np.arange(first, last)
        level = 0.55 * np.sin(2 * np.pi * (t + 3 * row) / 14)
        ax.plot(t, height + level + 0.12 * rng.standard_normal(len(t)), color=colour, lw=1.2)
        ahead = np.arange(last - 1, last + 13)
        forecast = height + 0.55 * np.sin(2 * np.pi * (ahead + 3 * row) / 14)
        ax.plot(ahead, forecast, color=ORANGE, lw=2)
        ax.fill_between(ahead, forecast - 0.35, forecast + 0.35, color=ORANGE, alpha=0.25, lw=0)
        ax.text(-3, height, name, ha="right", va="center", weight="bold", color=colour)
    ax.text(115, 6.7, "one model, a forecast for each id", va="center", ha="right", color=ORANGE, weight="bold")
    ax.set(xlim=(-17, 116), ylim=(-0.5, 7.1), xlabel="time", xticks=[], yticks=[])
    ax.spines["left"].set_visible(False)
