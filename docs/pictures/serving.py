"""Serving: predict computes blocks of one size, so that one request costs as much as a whole block."""

from _shapes import arrow, box, canvas
from draw import BLUE, DARK, GREEN, QUIET
from matplotlib.patches import Rectangle

SIZE = (7.2, 2.6)
ROWS = 12  # drawn for the rows of a block


def draw(figure):
    ax = canvas(figure)
    for x, title, n_filled, cost, colour in (
        (20, "predict, one request", 1, "time of a whole block", BLUE),
        (265, "predict, many requests", ROWS, "the same time, shared by all", BLUE),
        (510, "ONNX, one request", None, "time of one sequence", GREEN),
    ):
        ax.text(x + 95, 238, title, ha="center", weight="bold")
        box(ax, x, 118, 62, 38, "requests" if n_filled == ROWS else "request", DARK, fill=0.06, size=9)
        arrow(ax, (x + 64, 137), (x + 88, 137), colour)
        if n_filled is None:
            ax.add_patch(Rectangle((x + 92, 131), 92, 11, fc=colour, ec="white"))
        for row in range(ROWS if n_filled else 0):
            filled = row < n_filled
            style = {"fc": colour, "ec": "white"} if filled else {"fc": "white", "ec": QUIET, "lw": 0.6, "ls": ":"}
            ax.add_patch(Rectangle((x + 92, 203 - 12 * row), 92, 11, **style))
        ax.text(x + 95, 40, cost, ha="center", color=colour)
    ax.text(20, 10, "a block: filled rows are requests, dotted rows are filling", ha="left", color=QUIET, size=9)
