"""Windows of a table, and the value to predict beside each."""

from _shapes import arrow, blank, cell
from draw import BLUE, ORANGE, QUIET

SIZE = (7.2, 2.8)


def draw(figure):
    ax = blank(figure, 22, 8.2)
    ax.text(5.6, 7.0, "table: rows", ha="right", va="center", weight="bold")
    for step in range(11):
        cell(ax, 6 + step, 6.5, "#CCCCCC", f"{step}", alpha=1)
    for number in range(4):
        y = 4.6 - 1.15 * number
        ax.text(5.6, y + 0.5, f"window {number}", ha="right", va="center")
        for step in range(4):
            cell(ax, 6 + number + step, y, BLUE, f"{number + step}")
        cell(ax, 6 + number + 5, y, ORANGE, f"{number + 5}")
    arrow(ax, (10.0, 5.9), (12.0, 5.9))
    ax.text(12.3, 5.95, "horizon=2", va="center", family="monospace", size=9)
    ax.text(17.3, 4.9, "X: windows of 4", va="center", color=BLUE, weight="bold")
    ax.text(17.3, 3.75, "y: the target,", va="center", color=ORANGE, weight="bold")
    ax.text(17.3, 3.0, "2 rows later", va="center", color=ORANGE, weight="bold")
    ax.text(
        6, 0.25, "sliding_windows(table, window=4, horizon=2)", va="center", family="monospace", size=9, color=QUIET
    )
