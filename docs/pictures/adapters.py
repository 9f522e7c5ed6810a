"""Adapters: data of aeon or sktime go through an adapter to the estimator inside."""

from _shapes import arrow, box, canvas
from draw import BLUE, DARK, GREEN, ORANGE

SIZE = (7.2, 2.3)


def draw(figure):
    ax = canvas(figure)
    box(ax, 10, 130, 150, 62, "aeon\narrays (n, d, L), lists", ORANGE)
    box(ax, 10, 30, 150, 62, "sktime\narrays, frames", GREEN)
    box(ax, 220, 16, 250, 190, "", DARK, fill=0.04)
    ax.text(345, 186, "adapter", ha="center", va="center", weight="bold")
    ax.text(345, 162, "transposes to (n, L, d)", ha="center", va="center", size=9)
    box(ax, 250, 40, 190, 96, "estimator of sklstm\n\nalone, in a pipeline\nor in a search", BLUE)
    arrow(ax, (162, 161), (218, 140), ORANGE)
    arrow(ax, (162, 61), (218, 82), GREEN)
    arrow(ax, (472, 161), (528, 161))
    arrow(ax, (442, 72), (528, 72), BLUE)
    box(ax, 530, 138, 176, 46, "predict, score", DARK, fill=0.04)
    box(ax, 530, 40, 176, 64, "estimator_\ncertificates, report, save", BLUE)
