"""Precision: binary digits of each type, and what is always computed in which."""

from _shapes import box, canvas
from draw import BLUE, GREEN, ORANGE, PURPLE, QUIET
from matplotlib.patches import Rectangle

SIZE = (7.2, 2.7)
TYPES = (("float32", 24, BLUE), ("tf32", 11, GREEN), ("bfloat16", 8, ORANGE))


def draw(figure):
    ax = canvas(figure)
    ax.text(10, 246, "forward and backward pass of training: your choice", weight="bold")
    for row, (name, digits, colour) in enumerate(TYPES):
        y = 208 - 34 * row
        ax.text(100, y + 10, f'"{name}"', ha="right", va="center", family="monospace")
        for digit in range(digits):
            ax.add_patch(Rectangle((112 + 20 * digit, y), 18, 20, fc=colour, ec="none"))
        ax.text(120 + 20 * digits, y + 10, f"{digits} binary digits", va="center", color=QUIET)
    ax.text(10, 108, "everything else: fixed", weight="bold")
    box(
        ax,
        10,
        12,
        340,
        82,
        "float32\nweights, optimiser, loss, penalty, projections,\nvalidation loss, predictions",
        BLUE,
    )
    box(ax, 370, 12, 340, 82, "float64\ngains, norms, bounds", PURPLE)
