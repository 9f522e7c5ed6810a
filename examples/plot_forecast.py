"""
Forecast tomorrow from a table
==============================

How many bicycles will be rented in each hour of tomorrow? You pass a table with times as its index to
``make_forecaster``. You get a table of forecasts with times, in bicycles per hour. This example also compares the
network with ridge regression and with the values of last week. And it checks how often the true value lies in the
90 % prediction interval.
"""

import matplotlib.dates as mdates
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.linear_model import Ridge

from sklstm import TikhonovLSTMRegressor, make_forecaster, prediction_interval
from sklstm.datasets import load_bike_sharing

# %%
# The table
# ---------
# The table has one row per hour. ``asfreq`` adds the missing hours, and ``ffill`` fills them with the last known values.
# The working day and the hour of the day are known in advance. The hour is given as a point on a circle, its sine and
# cosine. The weather of tomorrow is not known.

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
# Each forecaster is trained on the first four fifths of the past. The last fifth is the hold-out set. Its errors give
# the width of the prediction intervals.

options = {"window": 48, "horizon": 24, "targets": "cnt", "known": calendar}
lstm = TikhonovLSTMRegressor(16, max_epochs=10, random_state=0)
forecasters = {
    "LSTM": make_forecaster(lstm, **options).fit(past),
    "ridge regression": make_forecaster(Ridge(), **options).fit(past),
}

# %%
# Errors and coverage in the following weeks
# ------------------------------------------
# The training of the network starts from ridge regression and adds to it. Here it finds little more. Both are better
# than the values of last week. The intervals are calibrated on July to September and tested on autumn. How well the
# coverage holds depends on how similar the two seasons are.

for name, forecaster in forecasters.items():
    X, y = forecaster.windows(later)
    off = np.abs(forecaster.model_.predict(X) - y).mean()
    held_out = forecaster.windows(past[-1200 - 48 :])
    lower, upper = prediction_interval(forecaster.model_, *held_out, X, coverage=0.9)
    inside = np.mean((lower <= y) & (y <= upper))
    print(
        f"{name:>16}: mean absolute error {off:.0f}, {inside:.0%} inside, width {np.mean(upper - lower):.0f}"
    )
week_before = np.abs(table["cnt"].diff(168)[6048:8000]).mean()
print(f"{'the week before':>16}: mean absolute error {week_before:.0f}")

# %%
# Tomorrow
# --------
# It rained for the third day in a row. The forecaster knows the weather until midnight, but not after it.

tomorrow = later[:24]
forecaster = forecasters["LSTM"]
forecast = forecaster.predict(future=tomorrow[calendar])
lower, upper = forecaster.predict_interval(coverage=0.9, future=tomorrow[calendar])

fig, ax = plt.subplots(figsize=(6.4, 4.4), layout="constrained")
shown = past["cnt"][-72:]
ax.plot(shown.index, shown, color="#555555", label="past")
ax.plot(tomorrow.index, tomorrow["cnt"], color="black", linestyle=":", label="true")
ax.plot(forecast.index, forecast, color="#0072B2", marker=".", label="forecast")
ax.fill_between(
    forecast.index, lower, upper, color="#0072B2", alpha=0.2, label="90 % interval"
)
ax.set(ylabel="bicycles per hour", ylim=(0, 560))
ax.xaxis.set_major_locator(mdates.DayLocator())
ax.xaxis.set_major_formatter(mdates.DateFormatter("%d %b"))
ax.legend(loc="upper left", ncols=2)
plt.show()
