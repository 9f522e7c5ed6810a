"""Intervals for a series that drifts: calibrated once, and calibrated again every day. Simulated errors."""

import numpy as np
from draw import BLUE, ORANGE

COVERAGE, N_CAL = 0.9, 1000


def draw(figure):
    rng = np.random.default_rng(0)
    hours = np.arange(5000)
    spread = 1 + 1.5 / (1 + np.exp(-(hours - 2700) / 350))
    errors = np.abs(spread * rng.standard_normal(len(hours)))

    def quantile(last):
        return np.sort(errors[last - N_CAL : last])[int(np.ceil((N_CAL + 1) * COVERAGE)) - 1]

    days = np.arange(N_CAL, len(hours), 24)
    once, each = (
        np.full(len(hours) - N_CAL, quantile(N_CAL)),
        np.repeat([quantile(day) for day in days], 24)[: len(hours) - N_CAL],
    )
    ax = figure.subplots()
    ax.plot(hours / 24, errors, ".", ms=1.5, color="0.72", rasterized=True)
    for width, colour, name in ((once, ORANGE, "calibrated once"), (each, BLUE, "calibrated again every day")):
        held = np.mean(errors[-1000:] <= width[-1000:])
        ax.plot(
            hours[N_CAL:] / 24, width, color=colour, lw=2.4, label=f"{name}: holds {held:.0%} of the last 1,000 hours"
        )
    ax.axvspan(0, N_CAL / 24, color="0.93", lw=0, zorder=0)
    ax.text(N_CAL / 48, 6.0, "calibration", ha="center", va="center", size=9, color="0.35")
    ax.set(
        xlabel="days",
        ylabel="absolute error of the forecast",
        xlim=(0, 208),
        ylim=(0, 9),
        title="Simulated forecast errors that grow",
    )
    ax.legend(framealpha=1, edgecolor="none", loc="upper left", bbox_to_anchor=(0.2, 1.02))
