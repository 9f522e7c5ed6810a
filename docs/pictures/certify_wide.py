"""Half-widths of certified bounds of three models."""

import warnings

import _bikes
import numpy as np
from draw import BLUE, DARK, GREEN, ORANGE, QUIET

import sklstm
from sklstm.preprocessing import SequenceScaler, sliding_windows

SIZE = (7.2, 2.4)


def draw(figure):
    X, y = _bikes.training()
    X_test, y_test = (part[1004:1104] for part in sliding_windows(_bikes.series(), 24, target=0, stride=7))
    robust_eps = _bikes.EPS / SequenceScaler().fit(X).scale_
    models = {
        "plain": ({"lambda_s": 0.0, "lambda_1": 0.0, "lambda_2": 0.0, "skip": "none"}, ORANGE),
        "penalty": ({"variant": "tight", "lambda_s": 0.03}, GREEN),
        "robust_eps": ({"robust_eps": robust_eps}, BLUE),
    }
    ax = figure.subplots()
    for place, (parameters, colour) in enumerate(models.values()):
        model = _bikes.forecaster(**parameters).fit(X, y)
        with warnings.catch_warnings(action="ignore"):  # the first one's bounds are wide
            lower, upper = sklstm.certify(model, X_test, _bikes.EPS)
        half, score = np.median(upper - lower) / 2, model.score(X_test, y_test)
        ax.barh(place, half, 0.6, left=0, color=colour)
        ax.text(half * 1.1, place, f"± {half:.3g}   (R² {score:.2f})", va="center", color=DARK)
    ax.axvline(np.ptp(y) / 2, color=QUIET, ls=":")
    ax.text(np.ptp(y) / 2 * 0.95, 2.42, "half the range of the targets", ha="right", va="bottom", color=QUIET, size=9)
    ax.set(xscale="log", xlim=(1, 3000), yticks=range(3), yticklabels=models, ylim=(2.75, -0.5))
    ax.set_xlabel("half-width of the certified bounds (bicycles, median)")
    ax.set_xticks([1, 10, 100, 1000], ["1", "10", "100", "1,000"])
