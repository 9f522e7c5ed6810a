"""Split conformal intervals: a quantile of the calibration errors, and the intervals that it gives."""

import numpy as np
from draw import BLUE, DARK, ORANGE

import sklstm
from sklstm import TikhonovLSTMRegressor


def draw(figure):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(900, 8, 1))
    y = X[:, -3:, 0].mean(axis=1) + 0.1 * rng.normal(size=900)
    model = TikhonovLSTMRegressor(hidden_size=4, max_epochs=10, random_state=0).fit(X[:300], y[:300])
    errors = np.sort(np.abs(model.predict(X[300:600]) - y[300:600]))
    lower, upper = sklstm.prediction_interval(model, X[300:600], y[300:600], X[600:], coverage=0.9)
    q = float(upper[0] - lower[0]) / 2

    left, right = figure.subplots(1, 2, width_ratios=[1, 1.5])
    left.hist(errors[errors <= q], np.linspace(0, q, 19), color=BLUE, alpha=0.6)
    left.hist(errors[errors > q], q + np.arange(12) * q / 18, color=ORANGE, alpha=0.8)
    left.axvline(q, color=DARK, lw=1.4)
    left.text(q, left.get_ylim()[1] * 0.98, " q: nine of ten\n are smaller", va="top")
    left.set(title="Calibration data", xlabel="absolute error", ylabel="sequences", xlim=(0, 1.9 * q))

    outside = (y[600:] < lower) | (upper < y[600:])
    first = next(row for row in range(0, 270) if outside[row : row + 30].sum() == 3)
    shown, place = slice(first, first + 30), np.arange(30)
    truth, inside = y[600:][shown], ~outside[shown]
    right.vlines(place, lower[shown], upper[shown], color=BLUE, lw=5, alpha=0.35, label="forecast ± q")
    right.plot(place[inside], truth[inside], "o", ms=3.5, color=DARK, label="true value")
    right.plot(place[~inside], truth[~inside], "o", ms=4.5, color=ORANGE, label="true value outside")
    right.set(title="New data", xlabel="sequence", ylim=(None, np.max(upper[shown]) + 0.9))
    right.legend(frameon=False, fontsize=8.5, loc="upper left", ncols=3, handletextpad=0.2, columnspacing=0.8)
