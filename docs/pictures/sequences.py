"""Shapes of X: the three axes, and how a row folds."""

from _shapes import arrow, blank, cell
from draw import BLUE, GREEN, ORANGE, QUIET

SIZE = (7.2, 2.7)
COLOURS = (BLUE, ORANGE, GREEN)


def draw(figure):
    ax = blank(figure, 23, 8.4)
    for back in (2, 1, 0):  # the sequence in front is drawn last
        for step in range(4):
            for channel, colour in enumerate(COLOURS):
                x, y = 2.4 + channel + 0.6 * back, 4.4 - step + 0.6 * back
                cell(ax, x, y, "white", alpha=1)
                cell(ax, x, y, colour, f"{step}" if back == 0 else "", alpha=0.75 if back == 0 else 0.3)
    ax.text(0, 7.9, "array (n, L, d)", weight="bold", va="center")
    arrow(ax, (2.0, 5.4), (2.0, 1.4))
    ax.text(1.7, 3.4, "L time steps", rotation=90, ha="center", va="center", color=QUIET)
    ax.text(3.9, 0.7, "d channels", ha="center", va="center", color=QUIET)
    arrow(ax, (5.8, 1.5), (7.1, 2.8))
    ax.text(6.8, 1.5, "n sequences", va="center", color=QUIET)
    ax.text(10.6, 7.9, "rows (n, L·d), with n_channels=d", weight="bold", va="center")
    for row in (2, 1, 0):
        for step in range(4):
            for channel, colour in enumerate(COLOURS):
                x = 10.6 + 3 * step + channel
                cell(ax, x, 3.4 + row, colour, f"{step}" if row == 2 else "", alpha=0.75 if row == 2 else 0.3)
    for step in range(4):
        ax.text(12.1 + 3 * step, 2.8, f"time step {step}", ha="center", va="center", size=8.5, color=QUIET)
    ax.text(10.6, 1.3, "Colours are channels, numbers are time steps.", va="center", color=QUIET)
