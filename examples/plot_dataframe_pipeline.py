"""
From a table with dates to forecasts
====================================

An hourly table of bicycle rentals in Washington, D.C., is given as a pandas ``DataFrame`` with a ``DatetimeIndex``. How
many rentals will there be at this hour tomorrow? And is an LSTM better at saying so than two forecasts that cost
nothing: as many as at this hour today, and as many as at tomorrow's hour a week before?

The point of the page is the way there, on which a forecast must not see its own future: features from the table,
windows with their targets, a pipeline that learns its scales from training data only, and folds in order of time with
a gap.
"""

import matplotlib.dates as mdates
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.model_selection import TimeSeriesSplit, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm import TikhonovLSTMRegressor
from sklstm.datasets import load_bike_sharing
from sklstm.inspection import ChannelImportanceDisplay
from sklstm.preprocessing import SequenceScaler, sliding_windows

# %%
# The table
# ---------
# Some hours are absent. ``asfreq`` puts them in as missing values, and ``ffill`` carries the last known values forward:
# interpolation would look ahead. The forecasts are later scored on hours that were measured.

bikes = load_bike_sharing()
table = pd.DataFrame(
    bikes.data, index=pd.DatetimeIndex(bikes.times), columns=bikes.feature_names
).asfreq("h")
filled = table.ffill()
print(
    f"{len(table)} hours from {table.index[0]}, {table['cnt'].isna().sum()} of them absent"
)

# %%
# Rentals grew by more than half from the first year to the second, so the network sees and predicts logarithms relative to the mean of the past
# week. Every feature is known at the hour at which the forecast is made; that includes the calendar of tomorrow.

WINDOW, HORIZON, WEEK = 24, 24, 7 * 24
log = np.log1p(filled["cnt"])
level = log.rolling(WEEK).mean()
angle = 2 * np.pi * table.index.hour / 24
features = pd.DataFrame(
    {
        "rentals": log - level,
        "rentals at tomorrow's hour, a week before": log.shift(WEEK - HORIZON) - level,
        "temperature": filled["temp"],
        "humidity": filled["hum"],
        "wind": filled["windspeed"],
        "working day tomorrow": filled["workingday"].shift(-HORIZON),
        "sine of the hour": np.sin(angle),
        "cosine of the hour": np.cos(angle),
    }
).dropna()
# Relative to the level at the time of the forecast, not at that of the target.
target = (log - level.shift(HORIZON))[features.index]

# %%
# Windows
# -------
# A window is a day of hours; its target is the value 24 hours after the last of them. ``times=True`` takes the index
# along, so that what was predicted can be found in the table again. A stride of 5 hours makes fewer windows, which in
# the course of five days end at every hour of the day.

STRIDE = 5
X, y, times = sliding_windows(
    features, WINDOW, HORIZON, target=target, stride=STRIDE, times=True
)
measured = table["cnt"].notna()[times].to_numpy()
X, y, times = X[measured], y[measured], pd.DatetimeIndex(times[measured])
print(f"{len(X)} windows of {X.shape[1]} hours and {X.shape[2]} channels")


def rentals(prediction, times):
    """Rentals from what the network predicts for these times."""
    return np.expm1(prediction + level.shift(HORIZON)[times].to_numpy())


# %%
# Folds without leakage
# ---------------------
# Scales of inputs and targets are part of the model, so that each fold learns them from its own training windows. Each
# fold tests on windows that come after all it was trained on. Neighbouring windows share hours: the gap leaves out as
# many as it takes for a test window to share none with training, targets included.

lstm = TikhonovLSTMRegressor(
    16,
    max_epochs=40,
    lr=0.01,
    lr_schedule="cosine",
    lambda_s=0.01,
    random_state=0,
)
model = TransformedTargetRegressor(
    make_pipeline(SequenceScaler(), lstm), transformer=StandardScaler()
)
no_penalty = {
    f"regressor__tikhonovlstmregressor__{name}": 0.0
    for name in ("lambda_s", "lambda_1", "lambda_2")
}
plain = clone(model).set_params(**no_penalty)
naive = {
    "as today": filled["cnt"].shift(HORIZON),
    "as a week before": filled["cnt"].shift(WEEK),
}


def errors_by_fold(estimator, cv):
    """Mean absolute errors of the naive forecasts and of the model on each fold's test windows, and the fits."""
    run = cross_validate(estimator, X, y, cv=cv, return_estimator=True, return_indices=True)
    columns = {}
    for fitted, test in zip(run["estimator"], run["indices"]["test"], strict=True):
        forecasts = {name: series[times[test]] for name, series in naive.items()}
        forecasts["LSTM"] = rentals(fitted.predict(X[test]), times[test])
        errors = {
            name: np.abs(values - table["cnt"][times[test]]).mean()
            for name, values in forecasts.items()
        }
        columns[f"from {times[test].min():%Y-%m}"] = errors
    return pd.DataFrame(columns), run


gap = -(-(WINDOW + HORIZON - 1) // STRIDE)  # in windows, rounded up
in_order = TimeSeriesSplit(4, gap=gap)
results, run = errors_by_fold(model, in_order)
results.loc["LSTM, no penalty"] = errors_by_fold(plain, in_order)[0].loc["LSTM"]
print("Mean absolute error, rentals an hour:")
print(results.assign(mean=results.mean(axis=1)).round(1).to_string())

# %%
# The LSTM is better than both in every fold. It begins with ridge regression on the window and adds to it. Without the
# penalty it adds what the past season had and the next one has not: the penalty keeps it from that, beside what it is
# made for, the question of :doc:`/gallery/plot_noisy_sensors`. Errors differ from fold to fold about as much as from
# forecast to forecast, with the seasons and the growth, which shuffled folds would have hidden.

# %%
# What it looks like
# ------------------
# Ten days of the last fold, with a forecast for every hour. They hold Thanksgiving, 22 November: the week before does
# not know of it, the LSTM knows from its calendar that it is no working day, and takes the Friday after it for one,
# as the calendar says and few people think. Of the empty Saturday neither has any idea.

stretch = features["2012-11-14 01:00":"2012-11-25"]  # two days earlier: window and horizon
X_days, _, hours = sliding_windows(stretch, WINDOW, HORIZON, times=True)
forecast = rentals(run["estimator"][-1].predict(X_days), hours)

colors = {
    "as today": "#E69F00",
    "as a week before": "#D55E00",
    "LSTM": "#0072B2",
    "LSTM, no penalty": "#56B4E9",
}
figure, (above, below) = plt.subplots(2, 1, figsize=(6.4, 6.4), layout="constrained")
above.plot(hours, table["cnt"][hours], color="0.6", linewidth=3, label="measured")
above.plot(hours, forecast, color=colors["LSTM"], label="LSTM, a day ahead")
week_before = naive["as a week before"][hours]
above.plot(
    hours, week_before, "--", color=colors["as a week before"], label="as a week before"
)
above.set(ylabel="rentals an hour", ylim=(0, 1000))
above.xaxis.set_major_locator(mdates.DayLocator(interval=2))
above.xaxis.set_major_formatter(mdates.DateFormatter("%d %b"))
above.legend(ncols=3, loc="upper center", fontsize="small")

results.T.plot.bar(
    ax=below,
    color=[colors[name] for name in results.index],
    edgecolor="white",
    width=0.8,
    rot=0,
    legend=False,
)
for bars, hatch in zip(below.containers, ("", "//", "", ".."), strict=True):
    for bar in bars:
        bar.set_hatch(hatch)
below.set(
    xlabel="fold, by the month of its first test window",
    ylabel="mean absolute error\n(rentals an hour)",
    ylim=(0, 105),
)
below.legend(ncols=4, loc="upper center", fontsize="small", columnspacing=1)
plt.show()

# %%
# Which columns does it use?
# --------------------------
# On the test windows of the last fold, each channel is permuted among the windows, all its hours together. The bars
# show what R² loses.

test = run["indices"]["test"][-1]
display = ChannelImportanceDisplay.from_estimator(
    run["estimator"][-1],
    X[test],
    y[test],
    channel_names=features.columns,
    random_state=0,
    name="LSTM",
)
plt.show()
for name, mean in zip(features.columns, display.importances.mean(axis=1), strict=True):
    print(f"{name:<42}{mean:6.3f}")

# %%
# It uses the counts of today and of the week before, the working day and the hour. Today's weather hardly matters for
# tomorrow. Sine and cosine say the hour together: with one of them from another window, half of it is still right.
