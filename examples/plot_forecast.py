"""
A table, and the day after it
=============================

How many bicycles will be rented in each hour of tomorrow? ``make_forecaster`` takes the table as it is, with times as
its index, and answers with times, in bicycles. The calendar of tomorrow is known. Is the network better than ridge
regression on the same windows, and better than last week? And do nine of ten true values lie in its intervals?
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.linear_model import Ridge

from sklstm import TikhonovLSTMRegressor, make_forecaster, prediction_interval
from sklstm.datasets import load_bike_sharing

# %%
# A table
# -------
# One row for every hour: those that are absent are made, and filled with what was last known. The hour of the day as a
# point on a circle, and whether it is a working day, are known in advance; the weather is not.

bikes = load_bike_sharing()
hours = pd.DatetimeIndex(bikes.times)
table = (
    pd.DataFrame(bikes.data, columns=bikes.feature_names, index=hours).asfreq("h").ffill()
)
angle = 2 * np.pi * table.index.hour.to_numpy() / 24
table = table[["cnt", "temp", "hum", "workingday"]].assign(
    sin=np.sin(angle), cos=np.cos(angle)
)
calendar = ["workingday", "sin", "cos"]
past, later = table[:6000], table[6000:8000]

# %%
# Two forecasters
# ---------------
# Each is fitted to the first four fifths of the past; the last fifth says how far forecasts are off.

options = {"window": 48, "horizon": 24, "targets": "cnt", "known": calendar}
lstm = TikhonovLSTMRegressor(16, max_epochs=10, random_state=0)
forecasters = {
    "LSTM": make_forecaster(lstm, **options).fit(past),
    "ridge regression": make_forecaster(Ridge(), **options).fit(past),
}

# %%
# How far they are off, and how often their intervals are right, in the weeks after
# ---------------------------------------------------------------------------------
# The network begins with ridge regression, and finds little more here; both are better than last week's values.
# Intervals come from July to September, what they are tried on is autumn: they are right as often as the seasons are
# alike.

for name, forecaster in forecasters.items():
    X, y = forecaster.windows(later)
    off = np.abs(forecaster.model_.predict(X) - y).mean()
    held_out = forecaster.windows(past[-1200 - 48 :])
    lower, upper = prediction_interval(forecaster.model_, *held_out, X, coverage=0.9)
    inside = np.mean((lower <= y) & (y <= upper))
    print(
        f"{name:>16}: off by {off:.0f}, {inside:.0%} inside, width {np.mean(upper - lower):.0f}"
    )
week_before = np.abs(table["cnt"].diff(168)[6048:8000]).mean()
print(f"{'the week before':>16}: off by {week_before:.0f}")

# %%
# Tomorrow
# --------
# It rained for the third day, which the forecaster saw until midnight and not beyond.

tomorrow = later[:24]
forecaster = forecasters["LSTM"]
forecast = forecaster.predict(future=tomorrow[calendar])
lower, upper = forecaster.predict_interval(coverage=0.9, future=tomorrow[calendar])

fig, ax = plt.subplots(figsize=(8, 4), layout="constrained")
shown = past["cnt"][-72:]
ax.plot(shown.index, shown, color="#555555", label="past")
ax.plot(tomorrow.index, tomorrow["cnt"], color="black", linestyle=":", label="what came")
ax.plot(forecast.index, forecast, color="#0072B2", marker=".", label="forecast")
ax.fill_between(
    forecast.index, lower, upper, color="#0072B2", alpha=0.2, label="nine of ten"
)
ax.set(xlabel="time", ylabel="bicycles rented in an hour", ylim=(0, None))
ax.tick_params(axis="x", rotation=30)
ax.legend(loc="upper left")
plt.show()
