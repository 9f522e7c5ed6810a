"""Boxes and arrows for schematic pictures, in the units of the axes: hundredths of an inch."""

from draw import DARK, QUIET
from matplotlib.patches import FancyBboxPatch


def canvas(figure):
    """Axes without frame over the whole figure; a unit is a hundredth of an inch, the origin is below on the left."""
    figure.set_layout_engine("none")
    ax = figure.add_axes((0, 0, 1, 1))
    width, height = figure.get_size_inches()
    ax.set(xlim=(0, 100 * width), ylim=(0, 100 * height))
    ax.axis("off")
    return ax


def box(ax, x, y, width, height, text="", colour=QUIET, *, fill=0.12, **font):
    """A box with its lower left corner at (x, y), and text in its middle."""
    for alpha, options in ((fill, {"fc": colour, "ec": "none"}), (1, {"fc": "none", "ec": colour, "lw": 1.4})):
        style = "round,pad=0,rounding_size=6"
        ax.add_patch(FancyBboxPatch((x, y), width, height, boxstyle=style, alpha=alpha, **options))
    ax.text(x + width / 2, y + height / 2, text, ha="center", va="center", **({"color": DARK} | font))


def arrow(ax, start, end, colour=DARK, **options):
    """An arrow from one point to another."""
    style = {"arrowstyle": "-|>", "color": colour, "lw": 1.4, "shrinkA": 0, "shrinkB": 0} | options
    ax.annotate("", xy=end, xytext=start, arrowprops=style)
