"""From the question to the estimator."""

from _shapes import arrow, blank, box
from draw import BLUE, GREEN, ORANGE, QUIET

SIZE = (7.2, 3.1)


def draw(figure):
    ax = blank(figure, 24, 10, equal=False)
    box(ax, 0, 4.1, 5.2, 1.9, "first, a linear model\non the same windows", QUIET)
    ax.text(2.6, 3.4, "as good? Take it.", ha="center", va="center", size=9, color=QUIET)
    box(ax, 7.6, 6.9, 3.6, 1.5, "numbers", BLUE, weight="bold")
    box(ax, 7.6, 1.5, 3.6, 1.5, "labels", GREEN, weight="bold")
    arrow(ax, (5.2, 5.3), (7.6, 7.4))
    arrow(ax, (5.2, 4.8), (7.6, 2.5))
    entries = (
        (8.35, "TikhonovLSTMRegressor", "the first to try", BLUE),
        (6.05, "TikhonovGRURegressor", "fewer weights", BLUE),
        (3.25, "TikhonovLSTMClassifier, GRU", "size and shape matter", GREEN),
        (0.5, "NoisyRNNClassifier", "shape matters, not size", ORANGE),
    )
    for (y, name, why, colour), start in zip(entries, (7.65, 7.65, 2.25, 2.25), strict=True):
        box(ax, 13.6, y, 9.8, 1.1, name, colour, size=9, family="monospace")
        ax.text(18.5, y - 0.45, why, ha="center", va="center", size=9, color=QUIET)
        arrow(ax, (11.2, start), (13.6, y + 0.55))
