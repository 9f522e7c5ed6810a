"""Errors on clean and on noisy inputs over the weight of the penalty; fits of the page's network."""

import numpy as np
from draw import BLUE, ORANGE

from sklstm import TikhonovLSTMRegressor
from sklstm.datasets import load_beijing_pm25
from sklstm.preprocessing import sliding_windows

SIZE = (7.2, 2.7)
VALUES = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1)
SIGMA = 0.5


def data():
    air = load_beijing_pm25()
    hours = np.arange(len(air.target))
    last_measured = np.maximum.accumulate(np.where(np.isnan(air.target), 0, hours))
    series = air.data[:, :5].copy()
    series[:, 0] = np.log1p(air.target[last_measured])
    series = series[24:]
    series = (series - series[:30_000].mean(axis=0)) / series[:30_000].std(axis=0)
    X, y = sliding_windows(series, window=24, horizon=3, target=0, stride=27)
    return X[:1100], y[:1100], X[1100:], y[1100:]


def draw(figure):
    X, y, X_test, y_test = data()
    rng = np.random.default_rng(0)
    noise = SIGMA * rng.standard_normal((5, *X_test.shape))
    clean, noisy = [], []
    for value in VALUES:
        model = TikhonovLSTMRegressor(16, skip="none", lambda_s=value, max_epochs=40, random_state=0).fit(X, y)
        clean.append(np.mean((model.predict(X_test) - y_test) ** 2))
        noisy.append(np.mean([(model.predict(X_test + each) - y_test) ** 2 for each in noise]))
    ax = figure.add_subplot()
    for errors, colour, name in ((noisy, ORANGE, f"noise of {SIGMA} on the inputs"), (clean, BLUE, "clean inputs")):
        ax.plot(VALUES, errors, color=colour, lw=1.8, marker="o", ms=4, label=name)
        best = int(np.argmin(errors))
        ax.plot(VALUES[best], errors[best], marker="o", color="white", mec=colour, mew=2, ms=11, zorder=1)
    ax.set(xscale="log", xlabel="lambda_s", ylabel="mean squared error", ylim=(0.26, 0.41))
    ax.legend(frameon=False, loc="upper right", title="○ the lowest error", ncols=2)
