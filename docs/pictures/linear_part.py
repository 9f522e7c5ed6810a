"""A prediction as the sum of two branches."""

from _shapes import arrow, blank, box
from draw import BLUE, DARK, GREEN, ORANGE, QUIET
from matplotlib.patches import Circle

SIZE = (7.2, 2.7)


def draw(figure):
    ax = blank(figure, 24, 9)
    box(ax, 0.2, 3.6, 3.2, 1.8, "window x", DARK, weight="bold")
    box(ax, 6.0, 6.2, 4.6, 1.8, "recurrent layers", BLUE)
    box(ax, 12.4, 6.2, 3.8, 1.8, "readout V h", BLUE)
    box(ax, 6.0, 1.2, 10.2, 1.8, "linear map A of the last time steps", ORANGE)
    arrow(ax, (3.4, 4.9), (6.0, 7.1))
    arrow(ax, (3.4, 4.1), (6.0, 2.1))
    arrow(ax, (10.6, 7.1), (12.4, 7.1))
    arrow(ax, (16.2, 7.1), (18.4, 5.0))
    arrow(ax, (16.2, 2.1), (18.4, 4.0))
    ax.add_patch(Circle((18.9, 4.5), 0.75, facecolor="white", edgecolor=GREEN, lw=1.6))
    ax.text(18.9, 4.45, "+ b", ha="center", va="center")
    arrow(ax, (19.65, 4.5), (20.9, 4.5))
    ax.text(21.0, 4.5, "prediction", va="center", weight="bold", size=9)
    ax.text(12.4, 8.5, "starts at zero", va="center", size=9, color=BLUE)
    ax.text(6.0, 0.6, "starts as ridge regression", va="center", size=9, color=ORANGE)
    ax.text(11.1, 4.6, 'skip="linear"', ha="center", va="center", family="monospace", size=9, color=QUIET)
