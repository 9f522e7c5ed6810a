"""Certified bounds over two days, of a network trained as usual and of one trained with robust_eps."""

import _bikes
import numpy as np
from draw import BLUE, DARK, ORANGE

import sklstm

SIZE = (7.2, 4.0)


def draw(figure):
    X, y = _bikes.training()
    X_days, y_days = _bikes.hours(24, 24 + 60)
    eps = 0.1 * X.std(axis=(0, 1))
    axes = figure.subplots(2, 1, sharex=True, sharey=True)
    for ax, colour, (name, parameters) in zip(
        axes, (ORANGE, BLUE), {"plain": {}, "trained with robust_eps=0.1": {"robust_eps": 0.1}}.items(), strict=True
    ):
        model = _bikes.forecaster(**parameters).fit(X, y)
        lower, upper = sklstm.certify(model, X_days, eps)
        time = np.arange(len(X_days))
        ax.fill_between(time, lower, upper, color=colour, alpha=0.35, lw=0, label="certified bounds")
        ax.plot(time, model.predict(X_days), color=colour, lw=1.6, label="forecast")
        ax.plot(time, y_days, ".", ms=4, color=DARK, label="true value")
        ax.set(title=name, ylabel="bicycles an hour", xlim=(0, time[-1]))
        ax.legend(frameon=False, loc="upper right", fontsize=8.5)
    axes[1].set(xlabel="hours", xticks=range(0, 60, 12))
