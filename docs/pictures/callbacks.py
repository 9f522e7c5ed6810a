"""The events of a training, in order."""

from _shapes import arrow, blank, box
from draw import BLUE, DARK, ORANGE, QUIET
from matplotlib.patches import Rectangle

SIZE = (7.2, 2.2)


def draw(figure):
    ax = blank(figure, 24, 7, equal=False)
    ax.add_patch(Rectangle((5.3, 1.6), 12.9, 4.0, facecolor=BLUE, alpha=0.08))
    ax.text(5.6, 5.05, "for each epoch", va="center", size=9, color=BLUE, weight="bold")
    for x, width, name, colour in (
        (0.1, 4.4, "on_train_begin", DARK),
        (5.7, 4.5, "on_epoch_begin", BLUE),
        (10.9, 2.4, "batches", QUIET),
        (14.0, 3.9, "on_epoch_end", BLUE),
        (19.4, 4.4, "on_train_end", DARK),
    ):
        box(ax, x, 2.3, width, 1.6, name, colour, size=8.5, family="monospace" if name != "batches" else None)
    for start, end in ((4.5, 5.7), (10.2, 10.9), (13.3, 14.0), (17.9, 19.4)):
        arrow(ax, (start, 3.1), (end, 3.1))
    arrow(ax, (15.9, 2.3), (21.6, 2.3), ORANGE, curve=0.35)
    ax.text(14.9, 0.6, "raise StopTraining", ha="right", va="center", size=9, family="monospace", color=ORANGE)
