"""Which guarantee: what each of the four is about."""

import numpy as np
from draw import BLUE, DARK, GREEN, ORANGE, PURPLE, QUIET

SIZE = (7.2, 3.5)
ROWS = (  # name, function, what it is about
    ("Worst case", "certify", "all forecasts under\ninput errors of up to eps", BLUE),
    ("Random noise", "noise_interval", "most forecasts under\nrandom noise on the inputs", GREEN),
    ("Prediction interval", "prediction_interval", "most values that will\nbe measured", ORANGE),
    ("Generalisation bound", "generalization_report", "the average error\non new data", PURPLE),
)
MIDDLE, HEIGHT = 3.35, 0.8


def draw(figure):
    ax = figure.subplots()
    ax.set(xlim=(0, SIZE[0]), ylim=(0, SIZE[1]))
    ax.axis("off")
    rng = np.random.default_rng(4)
    places = [SIZE[1] - 0.3 - HEIGHT * (row + 0.5) for row in range(4)]
    for place, (name, function, about, colour) in zip(places, ROWS, strict=True):
        ax.text(0.1, place + 0.12, name, va="center", weight="bold", color=colour)
        ax.text(0.1, place - 0.12, function, va="center", family="monospace", size=8.5, color=DARK)
        ax.text(5.15, place, about, va="center", size=9.5)
        if place != places[-1]:
            ax.plot([0.1, 7.1], [place - HEIGHT / 2] * 2, color="0.88", lw=0.8)
    ax.plot([MIDDLE] * 2, [places[2] - 0.32, places[0] + 0.32], color=DARK, lw=1, ls=":")
    ax.text(MIDDLE, SIZE[1] - 0.17, "forecast", ha="center", va="center", style="italic", size=9)

    bar(ax, places[0], 0.8, BLUE)
    bar(ax, places[1] - 0.14, 0.42, GREEN)
    x = np.linspace(-0.9, 0.9, 200)
    ax.fill_between(
        MIDDLE + x,
        places[1] - 0.02,
        places[1] - 0.02 + 0.3 * np.exp(-((x / 0.25) ** 2) / 2),
        color=GREEN,
        alpha=0.3,
        lw=0,
    )
    bar(ax, places[2] - 0.14, 1.25, ORANGE)
    values = np.append(rng.uniform(-1.15, 1.15, 13), 1.4)
    ax.plot(MIDDLE + values, places[2] + 0.06 + rng.uniform(-0.06, 0.12, len(values)), "o", ms=3, color=ORANGE)

    errors, width = 0.3 * np.exp(-np.arange(14) / 4), 0.14
    left = MIDDLE - 1.2 + width * np.arange(14)
    ax.bar(left, errors, width * 0.8, bottom=places[3] - 0.26, color=PURPLE, alpha=0.35)
    ax.plot([MIDDLE - 1.35, MIDDLE + 1.0], [places[3] - 0.26] * 2, color=QUIET, lw=0.8)
    for x, text, colour, side in ((left[4], "average", DARK, "right"), (left[7], "bound", PURPLE, "left")):
        ax.plot([x, x], [places[3] - 0.26, places[3] + 0.16], color=colour, lw=1.6)
        gap = 0.05 if side == "left" else -0.05
        ax.text(x + gap, places[3] + 0.22, text, ha=side, va="center", size=8.5, color=colour)
    ax.text(MIDDLE + 1.05, places[3] - 0.26, "error", va="center", size=8.5, color=QUIET)


def bar(ax, place, half, colour):
    ax.plot([MIDDLE - half, MIDDLE + half], [place, place], color=colour, lw=7, solid_capstyle="butt", alpha=0.8)
