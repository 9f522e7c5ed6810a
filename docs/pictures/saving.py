"""Saving: four kinds of file, what goes into each, and who can read it."""

from _shapes import arrow, box, canvas
from draw import BLUE, DARK, GREEN, ORANGE, PURPLE

SIZE = (7.2, 3.3)
FILES = (
    ("joblib", "whole pipelines,\nstate of the optimiser", "you and your workers:\nloading it runs its code", ORANGE),
    ("save", "one model with its\ncertificates and report", "anyone with sklstm:\nloading it runs no code", BLUE),
    ("skops", "whole pipelines,\nstate of the optimiser", "anyone with sklstm, who\nchecks the list of types", GREEN),
    ("to_onnx", "the network alone,\npredictions only", "any ONNX runtime:\nno Python needed", PURPLE),
)


def draw(figure):
    ax = canvas(figure)
    for x, title in ((195, "file"), (345, "what is in it"), (570, "who can read it")):
        ax.text(x, 308, title, weight="bold", ha="center")
    box(ax, 8, 120, 98, 60, "your fitted\nmodel", DARK, fill=0.06, weight="bold")
    for row, (name, content, reader, colour) in enumerate(FILES):
        middle = 264 - 75 * row
        arrow(ax, (108, 150 + 8 * (middle - 150) / 114), (144, middle), colour)
        box(ax, 146, middle - 20, 100, 40, name, colour, family="monospace", size=9)
        ax.text(345, middle, content, ha="center", va="center")
        arrow(ax, (440, middle), (468, middle), colour)
        box(ax, 470, middle - 26, 200, 52, reader, colour)
