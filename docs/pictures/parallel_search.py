"""Searches in parallel: fits go to workers with one thread each, X lies in one file."""

from _shapes import arrow, box, canvas
from draw import BLUE, DARK, GREEN, ORANGE

SIZE = (7.2, 2.6)


def draw(figure):
    ax = canvas(figure)
    box(ax, 8, 96, 150, 84, "GridSearchCV\n2 values × 2 folds\n= 4 fits", DARK, fill=0.05)
    box(ax, 262, 96, 140, 84, "X once\nin a memory map", ORANGE)
    for worker in range(4):
        y = 196 - 60 * worker
        arrow(ax, (404, 138 + 3 * (1.5 - worker)), (456, y + 24), ORANGE)
        box(ax, 458, y, 130, 48, f"worker {worker + 1}\n1 thread", BLUE)
        arrow(ax, (590, y + 24), (626, 138 + 6 * (1.5 - worker)), BLUE)
    arrow(ax, (160, 138), (260, 138))
    ax.text(210, 146, "n_jobs=4", ha="center", va="bottom", family="monospace", size=9)
    box(ax, 628, 96, 84, 84, "scores of\nn_jobs=1", GREEN)
