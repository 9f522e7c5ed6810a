"""What several pictures draw with: boxes, arrows, and arrays as cells."""

from draw import BLUE, DARK, QUIET
from matplotlib.patches import FancyBboxPatch, Rectangle


def blank(figure, width, height, *, equal=True):
    """An axes without frame, from 0 to `width` and 0 to `height`."""
    ax = figure.add_subplot()
    ax.set(xlim=(0, width), ylim=(0, height))
    if equal:
        ax.set_aspect("equal", anchor="W")
    ax.axis("off")
    return ax


def canvas(figure):
    """The same over the whole figure: a unit is a hundredth of an inch."""
    figure.set_layout_engine("none")
    ax = figure.add_axes((0, 0, 1, 1))
    width, height = figure.get_size_inches()
    ax.set(xlim=(0, 100 * width), ylim=(0, 100 * height))
    ax.axis("off")
    return ax


def box(ax, x, y, width, height, text="", colour=BLUE, *, fill=0.12, **font):
    """A box with its lower left corner at (x, y) and its text in the middle; `fill` is the opacity of its colour."""
    style = f"round,pad=0,rounding_size={0.12 * min(width, height)}"
    for alpha, options in ((fill, {"fc": colour, "ec": "none"}), (1, {"fc": "none", "ec": colour, "lw": 1.5})):
        ax.add_patch(FancyBboxPatch((x, y), width, height, boxstyle=style, alpha=alpha, **options))
    ax.text(x + width / 2, y + height / 2, text, ha="center", va="center", **({"color": DARK} | font))


def arrow(ax, start, end, colour=QUIET, *, style="-|>", curve=0.0):
    props = {"arrowstyle": style, "color": colour, "lw": 1.4, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 11}
    ax.annotate("", end, start, arrowprops=props | {"connectionstyle": f"arc3,rad={curve}"})


def cell(ax, x, y, colour, text="", *, size=1.0, hatch=None, alpha=0.75):
    """A square of an array with its lower left corner at (x, y)."""
    ax.add_patch(Rectangle((x, y), size, size, facecolor=colour, edgecolor="white", lw=1.5, alpha=alpha, hatch=hatch))
    if text:
        ax.text(x + size / 2, y + size / 2, text, ha="center", va="center", size=9, color=DARK)
