"""
An interval from two quantiles
==============================

An interval says more than a single number when the future is uncertain. One way to get it is to train two networks with
the pinball loss, for the quantiles 0.05 and 0.95. Between them, nine of ten true values should lie. Do they?

The networks forecast the fine dust in the air of Beijing six hours ahead, when the wind may or may not turn.
"""

import matplotlib.dates as mdates
import matplotlib.pyplot as plt
import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklstm import TikhonovLSTMRegressor
from sklstm.datasets import load_beijing_pm25
from sklstm.preprocessing import SequenceScaler, sliding_windows

air = load_beijing_pm25()
measured = ~np.isnan(air.target)
last_measured = np.maximum.accumulate(np.where(measured, np.arange(len(measured)), 0))
dust = air.target[last_measured]
series = np.column_stack([np.log1p(dust), air.data[:, 1:4], np.log1p(air.data[:, 4])])
# The first day has no measurement.
series, dust, times, measured = (part[24:] for part in (series, dust, air.times, measured))

# %%
# The models
# ----------
# The windows have 24 hours and do not overlap. The last 30 % of the five years are the test data. The networks differ
# only in the quantile. They predict the standardised logarithm of the dust, and the model transforms the predictions
# back to µg/m³. An increasing transformation keeps the order, so the results are quantiles of the dust. This is not true
# for means.

X, _, hour = sliding_windows(
    series, 24, 6, target=0, stride=29, times=np.arange(len(series))
)
X, hour = X[measured[hour]], hour[measured[hour]]
y = dust[hour]
n_train = int(0.7 * len(X))
X_train, y_train, X_test, y_test = X[:n_train], y[:n_train], X[n_train:], y[n_train:]


def quantile_model(quantile):
    network = TikhonovLSTMRegressor(
        16,
        loss="quantile",
        quantile=quantile,
        lambda_s=0.03,
        max_epochs=25,
        lr_schedule="cosine",
        random_state=0,
    )
    logarithms = make_pipeline(FunctionTransformer(np.log1p, np.expm1), StandardScaler())
    model = TransformedTargetRegressor(
        make_pipeline(SequenceScaler(), network), transformer=logarithms
    )
    return model.fit(X_train, y_train)


models = {quantile: quantile_model(quantile) for quantile in (0.05, 0.5, 0.95)}


def forecast(X):
    """Lower end, median and upper end, in µg/m³. Separate models may give crossing quantiles, so they are sorted."""
    return np.sort([model.predict(X) for model in models.values()], axis=0)


# %%
# A week of the test years
# ------------------------
# The interval is wide when there is much dust, because the wind may clear it away within six hours. It is narrow in clean
# air.

start = int(np.searchsorted(times, np.datetime64("2014-10-20T00")))
week = slice(start - 29, start + 168)
X_week, _, hours = sliding_windows(series[week], 24, 6, target=0, times=times[week])
low, median, high = forecast(X_week)
figure, ax = plt.subplots(figsize=(6.4, 4.0), layout="constrained")
ax.fill_between(
    hours, low, high, color="#56B4E9", alpha=0.4, label="quantiles 0.05 to 0.95"
)
ax.plot(hours, median, color="#0072B2", label="median")
ax.plot(hours, dust[week][29:], "k.", markersize=3, label="measured")
ax.set(ylabel="fine dust (µg/m³), six hours ahead")
ax.xaxis.set_major_formatter(mdates.DateFormatter("%d %b"))
ax.legend(loc="upper left")
plt.show()

# %%
# How often is the true value inside?
# -----------------------------------
# The networks have not seen the test years:

low, median, high = forecast(X_test)
below, above = np.mean(y_test < low), np.mean(y_test > high)
print(
    f"Of {len(y_test)} test hours {1 - below - above:.1%} are inside the interval, which was trained for 90 %. "
    f"{below:.1%} are below it and {above:.1%} above."
)
constant = np.subtract(*np.quantile(y_train, [0.95, 0.05]))
print(
    f"It is {np.mean(high - low):.0f} µg/m³ wide on average. The same quantiles of the training data, without any "
    f"model, are {constant:.0f} µg/m³ apart."
)
for name, part in zip(
    ("low", "middle", "high"),
    np.array_split(np.argsort(median, kind="stable"), 3),
    strict=True,
):
    inside = np.mean((low[part] <= y_test[part]) & (y_test[part] <= high[part]))
    print(f"{name:>6} third of the forecasts: {inside:.1%} inside")

# %%
# The share is somewhat below 90 %, and it is lowest where the forecasts are low. Only on the training data is a trained
# quantile about right. On new data the interval tends to be too narrow, and later years may differ from earlier ones. Nothing guarantees the share. Measure it
# on a hold-out set, as here, before you rely on it. For an interval with a guarantee, use ``prediction_interval``, see
# :doc:`three intervals around a forecast </gallery/plot_three_intervals>`.
