"""Certify: input errors of up to eps on the left, all forecasts that they can cause on the right."""

import _bikes
import numpy as np
from draw import BLUE, DARK, ORANGE

import sklstm


def draw(figure):
    model = _bikes.forecaster(variant="tight", lambda_s=0.03).fit(*_bikes.training())
    X, _ = _bikes.hours(30, 31)
    rng = np.random.default_rng(0)
    wrong = X + rng.uniform(-1, 1, (200, *X.shape[1:])) * _bikes.EPS
    (lower,), (upper,) = sklstm.certify(model, X, _bikes.EPS)
    (forecast,), forecasts = model.predict(X), model.predict(wrong)

    left, right = figure.subplots(1, 2, width_ratios=[2, 1.3])
    hours, temperature = np.arange(-24, 0), X[0, :, 1]
    left.fill_between(hours, temperature - 1, temperature + 1, color=BLUE, alpha=0.2, lw=0, label="within eps: ±1 °C")
    for row in range(3):
        left.plot(hours, wrong[row, :, 1], color=ORANGE, lw=0.8, label="wrong measurements" if not row else None)
    left.plot(hours, temperature, color=DARK, lw=1.4, label="X")
    left.set(title="Input", xlabel="hours before the forecast", ylabel="temperature (°C)")
    bottom, top = left.get_ylim()
    left.set_ylim(bottom, top + 0.45 * (top - bottom))
    left.legend(frameon=False, loc="upper left", ncols=1, fontsize=9)

    right.fill_between([-0.5, 0.5], lower, upper, color=BLUE, alpha=0.2, lw=0)
    right.plot(rng.uniform(-0.35, 0.35, len(forecasts)), forecasts, ".", ms=3, color=ORANGE)
    right.plot([-0.5, 0.5], [forecast] * 2, color=DARK, lw=1.4)
    for value, name in ((upper, "upper"), (lower, "lower")):
        right.plot([-0.5, 0.5], [value] * 2, color=BLUE, lw=1.4)
        right.text(0.56, value, name, va="center", color=BLUE, family="monospace")
    right.text(0.56, forecast, "forecast", va="center")
    right.set(title="Forecast", ylabel="bicycles in the next hour", xlim=(-0.7, 1.3), xticks=[])
    right.margins(y=0.15)
