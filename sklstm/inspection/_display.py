"""The base class of all displays, and the colours, line styles and axes they share.

matplotlib is imported when something is drawn, not before.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

# The colours of Okabe and Ito. People with the common kinds of colour blindness can tell them apart.
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
    """Colour, line style and marker of one curve."""

    color: str
    linestyle: Any
    marker: str


# No two differ by colour alone.
STYLES = (
    Style(PALETTE["blue"], "-", "o"),
    Style(PALETTE["vermilion"], "--", "s"),
    Style(PALETTE["green"], "-.", "^"),
    Style(PALETTE["purple"], ":", "D"),
    Style(PALETTE["orange"], (0, (6, 1)), "v"),
    Style(PALETTE["black"], (0, (3, 1, 1, 1, 1, 1)), "P"),
    Style(PALETTE["sky blue"], (0, (1, 3)), "X"),
)

# If the largest value is this many times the smallest, a linear axis puts the small values too close together.
_WIDE = 20


class Display:
    """Base class of the displays.

    A display is a dataclass: its fields are the data to draw, and the constructor only stores them. ``plot`` draws them
    in three steps. It checks the data, it draws on the axes of `_open`, and it ends with `_finish`.
    """

    estimator_name: str | None = None
    ax_: Any
    figure_: Any

    @classmethod
    def _check_matplotlib(cls, method: str) -> str:
        """Check that matplotlib is installed, before any other work of this method.

        Returns
        -------
        str
            Name of the class and the method, for messages.

        Raises
        ------
        ImportError
            If matplotlib is missing.
        """
        caller = f"{cls.__name__}.{method}"
        try:
            import matplotlib  # noqa: F401
        except ImportError as error:
            raise ImportError(
                f"{caller} needs matplotlib, which is not installed: pip install 'sklstm[plot]' or "
                "pip install matplotlib"
            ) from error
        return caller

    def _values(self, name: str, n_points: int) -> NDArray[np.float64]:
        """Values (n_points,) of the field with this name; its array has one row for each point."""
        return curve_values(name, getattr(self, name), n_points)[:, 0]

    def _open(self, ax: Any, name: str | None) -> tuple[Any, str | None]:
        """Axes to draw on and name for the legend.

        Without `ax`, the axes are those of a new figure of matplotlib's default size. Without `name`, the name is
        ``estimator_name``.

        Raises
        ------
        ImportError
            If matplotlib is missing.
        TypeError
            If `ax` is not one Axes, for instance an array of them.
        """
        self._check_matplotlib("plot")
        from matplotlib.axes import Axes

        if ax is None:
            from matplotlib import pyplot

            # The layout leaves space for long labels. It belongs to this figure only.
            _, ax = pyplot.subplots(layout="constrained")
        if not isinstance(ax, Axes):
            raise TypeError(f"ax must be one matplotlib Axes or None, got {type(ax).__name__}.")
        return ax, self.estimator_name if name is None else name

    def _draw_mean(
        self, ax: Any, x: NDArray[Any], values: NDArray[np.float64], label: str | None, given: Mapping[str, Any]
    ) -> tuple[Any, Any]:
        """Draw a curve in the next free style, in the order of x (m,).

        The line shows the means of `values` (m, r) over r repetitions. The band shows ± one standard error; it is None
        for r = 1.
        """
        order = np.argsort(x, kind="stable")
        x, values, r = x[order], values[order], values.shape[1]
        mean = values.mean(axis=1)
        line = draw_line(ax, x, mean, _next_style(ax)._asdict() | {"label": label}, given)
        if r == 1:
            return line, None
        error = values.std(axis=1, ddof=1) / np.sqrt(r)
        band = ax.fill_between(x, mean - error, mean + error, color=line.get_color(), alpha=0.2, linewidth=0)
        return line, band

    def _finish(
        self,
        ax: Any,
        xlabel: str,
        ylabel: str | None = None,
        *,
        band: Any = None,
        legend: bool = True,
        **legend_options: Any,
    ) -> Self:
        """Label the axes, draw the legend, and set ``ax_`` and ``figure_``.

        If there is a `band` of standard errors, the label of the y axis explains it.
        """
        ax.set_xlabel(xlabel)
        if ylabel is not None:
            ax.set_ylabel(ylabel if band is None else f"{ylabel} (mean ± s.e.)")
        if legend:
            ax.legend(**legend_options)
        self.ax_, self.figure_ = ax, ax.figure
        return self


def draw_line(ax: Any, x: Any, y: Any, defaults: Mapping[str, Any], given: Mapping[str, Any]) -> Any:
    """Draw one line. Options of the caller replace the defaults; short names such as ``c`` and ``lw`` count too."""
    from matplotlib import cbook, lines

    (line,) = ax.plot(x, y, **{**defaults, **cbook.normalize_kwargs(dict(given), lines.Line2D)})
    return line


def _next_style(ax: Any) -> Style:
    """The first style that no curve on these axes has: displays can share axes."""
    drawn = {(line.get_color(), line.get_marker()) for line in ax.get_lines()}
    free = [style for style in STYLES if (style.color, style.marker) not in drawn]
    return free[0] if free else STYLES[len(ax.get_lines()) % len(STYLES)]


def labelled(name: str | None, what: str) -> str:
    """Entry of a legend: the name of the estimator, if there is one, and what is drawn."""
    return what if name is None else f"{name}, {what}"


def curve_values(name: str, values: ArrayLike, n_points: int) -> NDArray[np.float64]:
    """Values (n_points, r) of a curve with r repetitions; one column if there was only one measurement.

    Raises
    ------
    ValueError
        If there is not one row for each of the `n_points` points.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim not in (1, 2) or array.shape[0] != n_points or array.size == 0:
        raise ValueError(
            f"{name} must have shape ({n_points},) or ({n_points}, n_repeats), one row for each value on the x axis; "
            f"got {array.shape}."
        )
    return array.reshape(n_points, -1)


def scale_x(ax: Any, values: NDArray[np.float64], *, wide: float = _WIDE) -> None:
    """Make the x axis logarithmic if the largest value is at least `wide` times the smallest positive one.

    If one of the values is 0, the axis is linear between 0 and the smallest positive value.
    """
    positive = values[values > 0]
    if len(positive) == 0 or (values < 0).any() or positive.max() < wide * positive.min():
        return
    if len(positive) == len(values):
        ax.set_xscale("log")
        return
    ax.set_xscale("symlog", linthresh=float(positive.min()), linscale=0.5)
    # Matplotlib would use the margins of the linear part, and go far below zero.
    ax.set_xlim(-0.2 * positive.min(), 1.3 * max(positive.max(), ax.dataLim.x1))


def scale_y(ax: Any) -> None:
    """Make the y axis logarithmic. If it spans few decades, its ticks are plain numbers."""
    from matplotlib import ticker

    ax.set_yscale("log")
    low, high = ax.get_ylim()
    if high < 300 * low:
        ax.yaxis.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
        ax.yaxis.set_major_formatter("{x:g}")
        ax.yaxis.set_minor_formatter(ticker.NullFormatter())


def make_headroom(ax: Any, share: float = 0.3) -> None:
    """Leave space above the data for a legend. Limits set by hand stay as they are."""
    if not ax.get_autoscaley_on():
        return
    ax.autoscale_view()
    low, high = ax.transData.inverted().transform(ax.transAxes.transform([(0, 0), (0, 1 + share)]))[:, 1]
    ax.set_ylim(low, high, auto=None)  # data drawn later can still extend the axis
