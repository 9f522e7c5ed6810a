"""
Three intervals around a forecast
=================================

How many bicycles will be rented in the next hour? Around one forecast there can be three intervals, which answer three
questions. How far can sensors move it that are off by a tenth of a standard deviation, at worst? That is ``certify``.
How far do they move it if their errors are random? That is ``noise_interval``. And where will the true number lie? That
is ``prediction_interval``.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklstm import TikhonovLSTMRegressor, certify, noise_interval, prediction_interval
from sklstm.datasets import load_bike_sharing
from sklstm.preprocessing import SequenceScaler, sliding_windows

# %%
# A forecaster
# ------------
# A day of rentals and weather says what the next hour will bring. The network is trained for errors of its inputs, so that
# its certificates are narrow. Hours come in their order: the first 1,500 windows train, the next 500 calibrate.

bikes = load_bike_sharing()
channels = [bikes.feature_names.index(name) for name in ("cnt", "temp", "hum", "hour")]
series = bikes.data[:, channels]
series[:, 0] = np.log1p(series[:, 0])
X, _, hour = sliding_windows(series, 24, target=0, stride=7, times=np.arange(len(series)))
y = bikes.target[hour]
X_train, y_train, X_cal, y_cal, X_test, y_test = (
    X[:1500],
    y[:1500],
    X[1504:2004],
    y[1504:2004],
    X[2008:2308],
    y[2008:2308],
)
deviations = X_train.std(axis=(0, 1))

network = TikhonovLSTMRegressor(16, robust_eps=0.1, max_epochs=40, random_state=0)
logarithms = make_pipeline(FunctionTransformer(np.log1p, np.expm1), StandardScaler())
model = TransformedTargetRegressor(
    make_pipeline(SequenceScaler(), network), transformer=logarithms
)
model.fit(X_train, y_train)

# %%
# How wide, and how often right
# -----------------------------
# Widths are medians over the test hours, in bicycles. Only the last interval is about the true values. Nine of ten are
# promised to lie in it, if the hours that calibrate and those that follow are alike. They follow each other in one series,
# and seasons differ: the share that is found says how much that matters.

intervals = {
    "certify": certify(model, X_test, 0.1 * deviations),
    "noise_interval": noise_interval(model, X_test, 0.1 * deviations, random_state=0),
    "prediction_interval": prediction_interval(model, X_cal, y_cal, X_test, coverage=0.9),
}
for name, (lower, upper) in intervals.items():
    inside = np.mean((lower <= y_test) & (y_test <= upper))
    width = np.median(upper - lower)
    print(f"{name:20} width {width:4.0f}   true values inside {inside:.0%}")

# %%
# Two days
# --------

start = int(hour[2008])
X_days, _ = sliding_windows(series[start - 24 : start + 48], 24, target=0)
y_days, times = bikes.target[start : start + 48], bikes.times[start : start + 48]
figure, ax = plt.subplots(figsize=(6.4, 4), layout="constrained")
shown = {
    "true value, 9 of 10": prediction_interval(model, X_cal, y_cal, X_days, coverage=0.9),
    "worst error of sensors": certify(model, X_days, 0.1 * deviations),
    "random error of sensors": noise_interval(
        model, X_days, 0.1 * deviations, random_state=0
    ),
}
for (name, (lower, upper)), colour in zip(shown.items(), ("C7", "C0", "C1"), strict=True):
    ax.fill_between(
        times, np.maximum(lower, 0), upper, color=colour, alpha=0.45, label=name
    )
ax.plot(times, model.predict(X_days), color="black", linewidth=1, label="forecast")
ax.plot(times, y_days, "k.", markersize=4, label="true")
ax.set(ylabel="bicycles an hour", ylim=(0, None))
ax.legend(loc="upper center", fontsize="small")
figure.autofmt_xdate()
plt.show()

# %%
# One forecast that is asked about in another way has another interval. Which one to ask for:
# :doc:`/guide/guarantees`.
