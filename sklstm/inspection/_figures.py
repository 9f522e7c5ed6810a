"""Colours, line styles and axes: what all displays draw with. matplotlib is imported when something is drawn."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "PALETTE",
    "STYLES",
    "Style",
    "axes_for",
    "curve_values",
    "draw_mean",
    "labelled",
    "line_options",
    "make_headroom",
    "next_style",
    "of_means",
    "require_matplotlib",
    "scale_x",
    "scale_y",
]

# Okabe and Ito's colours, which people with the usual kinds of colour blindness can tell apart.
PALETTE: Mapping[str, str] = {
    "black": "#000000",
    "orange": "#E69F00",
    "sky blue": "#56B4E9",
    "green": "#009E73",
    "yellow": "#F0E442",
    "blue": "#0072B2",
    "vermilion": "#D55E00",
    "purple": "#CC79A7",
}


class Style(NamedTuple):
    """How one curve looks: no two differ by colour alone."""

    color: str
    linestyle: Any
    marker: str


STYLES = (
    Style(PALETTE["blue"], "-", "o"),
    Style(PALETTE["vermilion"], "--", "s"),
    Style(PALETTE["green"], "-.", "^"),
    Style(PALETTE["purple"], ":", "D"),
    Style(PALETTE["orange"], (0, (6, 1)), "v"),
    Style(PALETTE["black"], (0, (3, 1, 1, 1, 1, 1)), "P"),
    Style(PALETTE["sky blue"], (0, (1, 3)), "X"),
)

# From this ratio of the largest to the smallest value on, a linear axis crowds the small ones together.
_WIDE = 20


def require_matplotlib(caller: str) -> None:
    """Raise an ``ImportError`` that says how to install matplotlib, if it is missing."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"{caller} needs matplotlib, which is not installed: pip install 'sklstm[plot]' or pip install matplotlib"
        ) from error


def axes_for(ax: Any, caller: str) -> Any:
    """The axes given, or those of a new figure of matplotlib's default size.

    Raises
    ------
    ImportError
        Without matplotlib.
    TypeError
        If `ax` is no axes: an array of them, for instance.
    """
    require_matplotlib(caller)
    from matplotlib.axes import Axes

    if ax is None:
        from matplotlib import pyplot

        # The layout makes room for long labels; it is of this figure alone.
        _, ax = pyplot.subplots(layout="constrained")
    if not isinstance(ax, Axes):
        raise TypeError(f"ax must be one matplotlib Axes or None, got {type(ax).__name__}.")
    return ax


def line_options(defaults: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a line, those of the caller first; ``c`` is ``color``, as everywhere in matplotlib."""
    from matplotlib import cbook, lines

    return defaults | cbook.normalize_kwargs(dict(given), lines.Line2D)


def next_style(ax: Any) -> Style:
    """The first style that no curve has on these axes, so that displays can share them."""
    drawn = {(line.get_color(), line.get_marker()) for line in ax.get_lines()}
    free = [style for style in STYLES if (style.color, style.marker) not in drawn]
    return free[0] if free else STYLES[len(ax.get_lines()) % len(STYLES)]


def labelled(name: str | None, what: str) -> str:
    """Entry of a legend: what it is, after whose it is."""
    return what if name is None else f"{name}, {what}"


def curve_values(name: str, values: ArrayLike, n_points: int) -> NDArray[np.float64]:
    """Values (n_points, r) of a curve of r repetitions; one column if it was measured once.

    Raises
    ------
    ValueError
        If the values do not belong to `n_points` points.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim not in (1, 2) or array.shape[0] != n_points or array.size == 0:
        raise ValueError(
            f"{name} must have shape ({n_points},) or ({n_points}, n_repeats), one row for each value on the x axis; "
            f"got {array.shape}."
        )
    return array.reshape(n_points, -1)


def draw_mean(ax: Any, x: NDArray[Any], values: NDArray[np.float64], options: dict[str, Any]) -> tuple[Any, Any]:
    """Line of the means of `values` (m, r) and, for r > 1, band of the standard errors around it, else None."""
    mean, r = values.mean(axis=1), values.shape[1]
    (line,) = ax.plot(x, mean, **options)
    if r == 1:
        return line, None
    error = values.std(axis=1, ddof=1) / np.sqrt(r)
    band = ax.fill_between(x, mean - error, mean + error, color=line.get_color(), alpha=0.2, linewidth=0)
    return line, band


def of_means(what: str, band: Any) -> str:
    """Label of the y axis: what a band around a curve means belongs into the picture."""
    return what if band is None else f"{what} (mean ± s.e.)"


def scale_x(ax: Any, values: NDArray[np.float64], *, wide: float = _WIDE) -> None:
    """A logarithmic x axis for values that span more than `wide`; linear up to the smallest of them if one is 0."""
    positive = values[values > 0]
    if len(positive) == 0 or (values < 0).any() or positive.max() < wide * positive.min():
        return
    if len(positive) == len(values):
        ax.set_xscale("log")
        return
    ax.set_xscale("symlog", linthresh=float(positive.min()), linscale=0.5)
    # Matplotlib's margins of such an axis are those of the linear part, to the far side of zero.
    ax.set_xlim(-0.2 * positive.min(), 1.3 * max(positive.max(), ax.dataLim.x1))


def scale_y(ax: Any) -> None:
    """A logarithmic y axis, whose ticks are plain numbers where it spans few decades."""
    from matplotlib import ticker

    ax.set_yscale("log")
    low, high = ax.get_ylim()
    if high < 300 * low:
        ax.yaxis.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
        ax.yaxis.set_major_formatter("{x:g}")
        ax.yaxis.set_minor_formatter(ticker.NullFormatter())


def make_headroom(ax: Any, share: float = 0.3) -> None:
    """Room above the data for a legend, unless the limits were set by hand."""
    if not ax.get_autoscaley_on():
        return
    ax.autoscale_view()
    low, high = ax.transData.inverted().transform(ax.transAxes.transform([(0, 0), (0, 1 + share)]))[:, 1]
    ax.set_ylim(low, high, auto=None)  # later data may still widen the axis
