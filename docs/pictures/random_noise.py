"""Predictions under random noise, the interval of noise_interval and certified bounds."""

import numpy as np
from draw import BLUE, DARK, GREEN
from sklearn.pipeline import make_pipeline

import sklstm
from sklstm import TikhonovLSTMRegressor
from sklstm.preprocessing import SequenceScaler


def draw(figure):
    rng = np.random.default_rng(0)
    X = rng.normal(20, 5, (200, 8, 1))
    y = (X[:, -3:, 0].mean(axis=1) - 20) / 3
    lstm = TikhonovLSTMRegressor(hidden_size=4, max_epochs=10, random_state=0)
    model = make_pipeline(SequenceScaler(), lstm).fit(X, y)
    predictions = model.predict(X[0] + 0.5 * rng.standard_normal((20_000, 8, 1)))
    intervals = (
        ("noise_interval, sigma=0.5", GREEN, sklstm.noise_interval(model, X[:1], 0.5, random_state=0)),
        ("certify, eps=1.0", BLUE, sklstm.certify(model, X[:1], 1.0)),
    )
    ax = figure.subplots()
    counts, _, _ = ax.hist(predictions, 80, color="0.8")
    top = counts.max()
    ax.plot([model.predict(X[:1])[0]] * 2, [0, top * 1.06], color=DARK, lw=1.2)
    ax.text(model.predict(X[:1])[0], top * 1.08, "prediction without noise", ha="center", va="bottom", size=9)
    for row, (name, colour, (lower, upper)) in enumerate(intervals, 1):
        place = -0.17 * row * top
        ax.plot([lower[0], upper[0]], [place] * 2, color=colour, lw=7, solid_capstyle="butt", alpha=0.85)
        ax.text(upper[0], place, f"  {name}", va="center", color=colour, family="monospace", size=9)
    low, high = intervals[1][2]
    ax.set(
        xlim=(low[0] - 0.1, high[0] + 0.55 * (high[0] - low[0])),
        ylim=(-0.5 * top, 1.25 * top),
        yticks=[],
        xlabel="prediction",
    )
    ax.spines["left"].set_visible(False)
    ax.text(predictions.mean() + 2 * predictions.std(), 0.6 * top, "predictions under noise", color="0.4", size=9)
