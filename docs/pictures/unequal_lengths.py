"""A batch of sequences of unequal length."""

from _shapes import blank, cell
from draw import BLUE, DARK, ORANGE, QUIET

SIZE = (7.2, 2.2)


def draw(figure):
    ax = blank(figure, 22, 6.2)
    for row, length in enumerate((5, 8, 3)):
        y = 3.9 - 1.4 * row
        ax.text(4.6, y + 0.5, f"{length} time steps", ha="right", va="center")
        for step in range(8):
            if step < length:
                cell(ax, 5 + step, y, BLUE, f"{step}")
            else:
                cell(ax, 5 + step, y, "#DDDDDD", alpha=1, hatch="////")
        ax.plot(5 + length - 0.04, y + 0.5, marker="o", color=ORANGE, ms=7, mec="white", zorder=3)
    ax.text(5, 5.6, "a batch", va="center", weight="bold")
    ax.plot(14.2, 4.4, marker="o", color=ORANGE, ms=9)
    ax.text(14.8, 4.4, "the state is read here", va="center", color=DARK)
    cell(ax, 13.7, 2.5, "#DDDDDD", alpha=1, hatch="////")
    ax.text(14.8, 3.0, "padding, after the end:", va="center", color=DARK)
    ax.text(14.8, 2.25, "it cannot change the state", va="center", color=DARK)
    ax.text(5, 0.45, "time", va="center", color=QUIET)
