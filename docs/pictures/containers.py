"""One sequence in both layouts."""

from _shapes import arrow, blank, cell
from draw import BLUE, GREEN, ORANGE, QUIET

SIZE = (7.2, 2.6)
COLOURS = (BLUE, ORANGE, GREEN)


def draw(figure):
    ax = blank(figure, 23, 8)
    for step in range(5):
        for channel, colour in enumerate(COLOURS):
            cell(ax, 4 + channel, 5 - step, colour, f"{step}")
            cell(ax, 14.5 + step, 4 - channel, colour, f"{step}")
    ax.text(0.6, 7.4, 'layout="ntc", the default', weight="bold", va="center")
    ax.text(11.4, 7.4, 'layout="nct", as in aeon and sktime', weight="bold", va="center")
    for x, down, along in ((4, "time", "channels"), (14.5, "channels", "time")):
        width = 3 if along == "channels" else 5
        top, bottom = (6, 1) if down == "time" else (5, 2)
        arrow(ax, (x - 0.4, top), (x - 0.4, bottom))
        ax.text(x - 0.8, (top + bottom) / 2, down, ha="right", va="center", color=QUIET)
        arrow(ax, (x, bottom - 0.35), (x + width, bottom - 0.35))
        ax.text(x + width / 2, bottom - 0.9, along, ha="center", va="center", color=QUIET)
    arrow(ax, (8.2, 3.5), (11.0, 3.5), style="<|-|>")
    ax.text(9.6, 4.0, "the same", ha="center", va="center", color=QUIET)
