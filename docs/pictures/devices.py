"""Devices: what runs on the CPU and what on the GPU."""

from _shapes import arrow, box, canvas
from draw import BLUE, DARK, GREEN, QUIET

SIZE = (7.2, 2.5)


def draw(figure):
    ax = canvas(figure)
    box(ax, 10, 20, 250, 200, "", BLUE, fill=0.06)
    box(ax, 460, 20, 250, 200, "", GREEN, fill=0.06)
    for x, title, colour, lines in (
        (
            135,
            "CPU",
            BLUE,
            ("draws initial weights,", "order and noise", "", "bounds of the classifier,", "smallest eigenvalue"),
        ),
        (
            585,
            "GPU",
            GREEN,
            (
                "forward and backward pass",
                "penalty and optimiser",
                "predict, certify",
                "",
                "X, if it fits into half",
                "of the free memory",
            ),
        ),
    ):
        ax.text(x, 198, title, ha="center", va="center", weight="bold", color=colour)
        ax.text(x, 100, "\n".join(lines), ha="center", va="center", color=DARK, linespacing=1.5)
    for y, text in ((170, "initial weights"), (110, "X once, or batches")):
        arrow(ax, (264, y), (456, y))
        ax.text(360, y + 7, text, ha="center", va="bottom", size=9)
    arrow(ax, (456, 50), (264, 50))
    ax.text(360, 57, "losses, gradients, results", ha="center", va="bottom", size=9, color=QUIET)
