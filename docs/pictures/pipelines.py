"""What a model with scaled inputs and a scaled target is made of."""

from _shapes import arrow, blank, box
from draw import BLUE, GREEN, QUIET
from matplotlib.patches import Rectangle

SIZE = (7.2, 2.6)


def draw(figure):
    ax = blank(figure, 24, 8, equal=False)
    for x, y, width, height, colour in ((3.0, 0.3, 17.6, 7.3, GREEN), (4.4, 2.2, 14.8, 4.0, BLUE)):
        ax.add_patch(Rectangle((x, y), width, height, facecolor=colour, alpha=0.08))
    ax.text(3.4, 6.9, 'TransformedTargetRegressor: part "regressor"', va="center", size=9, color=GREEN, weight="bold")
    ax.text(4.8, 5.6, "Pipeline", va="center", size=9, color=BLUE, weight="bold")
    box(ax, 5.4, 2.8, 5.4, 2.0, "SequenceScaler\n“scale”", BLUE)
    box(ax, 12.8, 2.8, 5.4, 2.0, "TikhonovLSTM…\n“lstm”", BLUE)
    ax.text(1.0, 3.8, "X", ha="center", va="center", weight="bold")
    arrow(ax, (1.7, 3.8), (5.4, 3.8))
    arrow(ax, (10.8, 3.8), (12.8, 3.8))
    arrow(ax, (18.2, 3.8), (21.4, 3.8))
    ax.text(21.7, 4.1, "predictions", va="bottom", ha="center", size=9)
    ax.text(21.7, 3.4, "scaled back", va="top", ha="center", size=9, color=GREEN)
    ax.text(1.0, 1.2, "y", ha="center", va="center", weight="bold")
    ax.text(5.4, 1.2, "StandardScaler scales y for training", va="center", size=9, color=GREEN)
    arrow(ax, (1.7, 1.2), (5.1, 1.2))
    arrow(ax, (15.5, 1.2), (15.5, 2.8), QUIET)
    ax.plot([14.3, 15.5], [1.2, 1.2], color=QUIET, lw=1.4)
