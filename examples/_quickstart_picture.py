"""The picture of the quickstart: errors under noise, certified bands of forecasts, the terms of a bound."""

import logging

logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # silent while it builds its font cache

import matplotlib

matplotlib.use("Agg")

import matplotlib.dates as mdates
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import NullLocator

# Okabe and Ito's colours, told apart by colour-blind readers too.
COLOURS = {"plain": "#D55E00", "decay": "#E69F00", "tikhonov": "#009E73", "robust": "#0072B2"}
# What differs by colour differs by marker or hatching too.
MARKERS = {"plain": "s", "decay": "^", "tikhonov": "D", "robust": "o"}
HATCHES = {"plain": "///", "robust": None}
TRUTH, QUIET = "#222222", "#777777"
STYLE = {
    "font.size": 11,
    "axes.titlesize": 13,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def draw(path, *, noise, errors, unchanged, labels, stretch, eps, bound):
    """Three panels into the PNG file ``path``."""
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=(14, 7.4), layout="constrained")
        grid = figure.add_gridspec(2, 2, width_ratios=[1, 1.3], wspace=0.06, hspace=0.08)
        _errors(figure.add_subplot(grid[:, 0]), noise, errors, unchanged, labels)
        _bands(figure.add_subplot(grid[0, 1]), *stretch, eps, labels)
        _bound(figure.add_subplot(grid[1, 1]), bound)
        figure.savefig(path, dpi=100)
        plt.close(figure)


def _errors(ax, noise, errors, unchanged, labels):
    ax.axhline(1, color=QUIET, lw=1, ls=":")
    ax.text(0.0, 1.01, "predicting the mean", color=QUIET, va="bottom")
    ax.plot(noise, unchanged, color=QUIET, lw=1.5, ls="--")
    for name, values in errors.items():
        colour = COLOURS[name]
        ax.fill_between(noise, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.15, lw=0)
        ax.plot(noise, values.mean(axis=0), color=colour, lw=2.5, marker=MARKERS[name], ms=7)
    ends = {name: values.mean(axis=0)[-1] for name, values in errors.items()} | {"unchanged": unchanged[-1]}
    top = 1.05 * max(1.1, *ends.values())
    for name, height in _apart(ends, 0.04 * top).items():
        look = {"color": COLOURS[name], "weight": "bold"} if name in errors else {"color": QUIET}
        ax.text(1.03, height, labels.get(name, "repeating the\nlast value"), va="center", **look)
    ax.set(xlim=(-0.02, 1.0), ylim=(0, top), xticks=noise)
    ax.set_xlabel("noise on the test inputs (standard deviations of each channel)")
    ax.set_ylabel("test error (mean squared, of logarithms; 1 = the mean)")
    ax.set_title("Noisy sensors: what regularisation\nbuys and what it costs")


def _apart(heights, gap):
    """The same heights, moved up where labels would touch."""
    placed, last = {}, -np.inf
    for name in sorted(heights, key=heights.get):
        last = placed[name] = max(heights[name], last + gap)
    return placed


def _bands(ax, times, truth, bands, eps, labels):
    for name, (lower, upper) in bands.items():
        look = {"facecolor": COLOURS[name], "edgecolor": "white", "hatch": HATCHES[name], "alpha": 0.5, "lw": 0}
        ax.fill_between(times, lower, upper, label=labels[name], **look)
    ax.plot(times, truth, color=TRUTH, lw=1.8, label="measured")
    ax.legend(loc="upper left", ncols=3)
    ax.set(xlim=(times[0], times[-1]), xlabel=f"test period, {times[0].astype(object).year}", ylabel="PM2.5 (µg/m³)")
    ax.set_ylim(0, 1.25 * max(truth.max(), bands["robust"][1].max()))  # the other band may go on
    ax.xaxis.set_major_locator(mdates.DayLocator())
    ax.xaxis.set_major_formatter(mdates.DateFormatter("%d %b"))
    ax.set_title(f"What errors of {eps} deviations can do: certified bands")


def _bound(ax, bound):
    rows = [
        ("training error with margin", bound.margin_loss),
        ("confidence", bound.confidence_term),
        ("Fisher–Rao term", bound.fisher_rao_term),
        ("price of the noise", bound.noise_term),
        ("norm term", bound.norm_term),
        ("bound (sum of all)", bound.value),
    ]
    left = 1e-3
    values = np.array([max(value, left) for _, value in rows])
    colours = [*("#009E73" if value < 1 else "#CC79A7" for value in values[:-1]), TRUTH]
    places = np.arange(len(rows))[::-1]
    ax.barh(places, values - left, left=left, color=colours, height=0.62)
    for place, (name, value) in zip(places, rows, strict=True):
        # Right of the bar and of the line at 1, which would cross the words otherwise.
        ax.text(2 * max(value, 1), place, f"{name}: {_readable(value)}", va="center")
    ax.axvline(1, color=TRUTH, lw=1.2, ls="--")
    warning = "right of this line a bound on an error rate says nothing"
    ax.text(2, len(rows) - 0.35, warning, va="center", style="italic")
    ax.set_xscale("log")
    ax.set_xlim(left, values.max() * 1e9)
    ax.set_ylim(-0.5, len(rows) + 0.1)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel("size of the term (logarithmic scale)")
    ax.set_title("Theorem 3 for the classifier, term by term")


def _readable(value):
    if value < 1e4:
        return f"{value:.2g}"
    exponent = int(np.floor(np.log10(value)))
    return rf"${value / 10**exponent:.0f} \times 10^{{{exponent}}}$"
