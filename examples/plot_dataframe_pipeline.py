"""
From a DataFrame to cross-validated forecasts
=============================================

How many bicycles will be rented at this hour tomorrow? This example goes from a pandas ``DataFrame`` with a
``DatetimeIndex`` to forecasts that are tested by cross-validation. It compares an LSTM with two simple forecasts: the
value at this hour today, and the value at tomorrow's hour one week before.

No step may use data from the future. The features come from the past, and the scales are learned from the training data
only. The folds are in order of time, with a gap between training and test.
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
# The table has hourly bicycle rentals in Washington, D.C. Some hours are missing. ``asfreq`` adds them as missing values,
# and ``ffill`` fills them with the last known values. Interpolation would use future values. The forecasts are scored
# only on hours that were measured.

bikes = load_bike_sharing()
table = pd.DataFrame(
    bikes.data, index=pd.DatetimeIndex(bikes.times), columns=bikes.feature_names
).asfreq("h")
filled = table.ffill()
print(
    f"{len(table)} hours from {table.index[0]}, {table['cnt'].isna().sum()} of them missing"
)

# %%
# Rentals grew by more than half from the first year to the second. The network therefore takes and predicts logarithms
# relative to the mean of the past week. Every feature is known at the hour at which the forecast is made. The calendar
# of tomorrow is known too.

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
# A window has 24 hours. Its target is the value 24 hours after the last of them. ``times=True`` also returns the time of
# each target, so you can find it in the table. A stride of 5 hours makes fewer windows. Over five days, they still end at
# every hour of the day.

STRIDE = 5
X, y, times = sliding_windows(
    features, WINDOW, HORIZON, target=target, stride=STRIDE, times=True
)
measured = table["cnt"].notna()[times].to_numpy()
X, y, times = X[measured], y[measured], pd.DatetimeIndex(times[measured])
print(f"{len(X)} windows of {X.shape[1]} hours and {X.shape[2]} channels")


def rentals(prediction, times):
    """Bicycle rentals from the predictions of the network for these times."""
    return np.expm1(prediction + level.shift(HORIZON)[times].to_numpy())


# %%
# Folds without leakage
# ---------------------
# The scales of inputs and targets are part of the model, so each fold learns them from its own training windows. Each
# fold is tested on later windows than it was trained on. Neighbouring windows share hours. The gap is large enough that
# test windows and training windows share none, targets included.

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
    """Mean absolute errors of the simple forecasts and the model in each fold, and the result of `cross_validate`."""
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


gap = -(-(WINDOW + HORIZON) // STRIDE) - 1  # their quotient, rounded up, less one
in_order = TimeSeriesSplit(4, gap=gap)
results, run = errors_by_fold(model, in_order)
results.loc["LSTM, no penalty"] = errors_by_fold(plain, in_order)[0].loc["LSTM"]
print("Mean absolute error, rentals per hour:")
print(results.assign(mean=results.mean(axis=1)).round(1).to_string())

# %%
# The LSTM is better than both simple forecasts in every fold. Its training starts from ridge regression on the window and
# adds to it. Without the penalty the network also learns patterns of the past season that the next season does not have.
# The penalty prevents this, although it was made for :doc:`robustness to noise </gallery/plot_noisy_sensors>`.
#
# The errors differ between folds about as much as between forecasts, because of the seasons and the growth. Shuffled
# folds would have hidden this.

# %%
# The forecasts
# -------------
# The plot shows a forecast for every hour of ten days in the last fold. They include Thanksgiving, 22 November. The
# forecast from the week before knows nothing of it. The LSTM knows from the calendar that it is no working day. The
# calendar counts the Friday after it as a working day, so the LSTM expects one. Neither forecast expects the quiet
# Saturday.

stretch = features["2012-11-14 01:00":"2012-11-25"]  # two days earlier: window and horizon
X_days, _, hours = sliding_windows(stretch, WINDOW, HORIZON, times=True)
forecast = rentals(run["estimator"][-1].predict(X_days), hours)

colors = {
    "as today": "#E69F00",
    "as a week before": "#D55E00",
    "LSTM": "#0072B2",
    "LSTM, no penalty": "#56B4E9",
}
figure, ax = plt.subplots(figsize=(6.4, 4), layout="constrained")
ax.plot(hours, table["cnt"][hours], color="0.6", linewidth=3, label="measured")
ax.plot(hours, forecast, color=colors["LSTM"], label="LSTM, a day ahead")
week_before = naive["as a week before"][hours]
ax.plot(
    hours, week_before, "--", color=colors["as a week before"], label="as a week before"
)
ax.set(ylabel="rentals per hour", ylim=(0, 1000))
ax.xaxis.set_major_locator(mdates.DayLocator(interval=2))
ax.xaxis.set_major_formatter(mdates.DateFormatter("%d %b"))
ax.legend(ncols=3, loc="upper center", fontsize="small")
plt.show()

# %%
# The errors of all folds:

figure, ax = plt.subplots(figsize=(6.4, 4), layout="constrained")
results.T.plot.bar(
    ax=ax,
    color=[colors[name] for name in results.index],
    edgecolor="white",
    width=0.8,
    rot=0,
    legend=False,
)
for bars, hatch in zip(ax.containers, ("", "//", "", ".."), strict=True):
    for bar in bars:
        bar.set_hatch(hatch)
ax.set(
    xlabel="fold, by the month of its first test window",
    ylabel="mean absolute error\n(rentals per hour)",
    ylim=(0, 105),
)
ax.legend(ncols=4, loc="upper center", fontsize="small", columnspacing=1)
plt.show()

# %%
# Which columns does it use?
# --------------------------
# On the test windows of the last fold, each channel is permuted between windows, with all its hours together. The bars
# show how much R² falls.

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
# The model uses the rentals of today and of the week before, the working day and the hour. The weather of today hardly
# matters for tomorrow. Sine and cosine give the hour together. If only one of them is permuted, half of the information
# is still there.
