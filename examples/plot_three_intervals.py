"""
Three intervals around a forecast
=================================

Three intervals around the same forecast answer three questions:

- How far can input errors move the forecast in the worst case? That is ``certify``.
- How far do random input errors move it? That is ``noise_interval``.
- Where will the true value be? That is ``prediction_interval``.

The network forecasts how many bicycles will be rented in the next hour. Its sensors have errors of a tenth of a standard
deviation.
"""

import matplotlib.dates as mdates
import matplotlib.pyplot as plt
import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklstm import TikhonovLSTMRegressor, certify, noise_interval, prediction_interval
from sklstm.datasets import load_bike_sharing
from sklstm.preprocessing import SequenceScaler, sliding_windows

# %%
# The model
# ---------
# The inputs are one day of rentals and weather. Robust training makes the certified interval narrow. The windows are in
# order of time: the first 1,500 are for training, the next 500 for calibration.

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
# Width and coverage
# ------------------
# The widths are medians over the test hours, in bicycles per hour. Only the last interval is about the true values. It is
# guaranteed to contain nine of ten of them if calibration and test hours are alike. Here they are from one series, and
# the seasons differ. The measured share shows how much this matters.

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
    "true value, 90 %": prediction_interval(model, X_cal, y_cal, X_days, coverage=0.9),
    "worst-case sensor errors": certify(model, X_days, 0.1 * deviations),
    "random sensor errors": noise_interval(model, X_days, 0.1 * deviations, random_state=0),
}
for (name, (lower, upper)), colour in zip(shown.items(), ("C7", "C0", "C1"), strict=True):
    ax.fill_between(
        times, np.maximum(lower, 0), upper, color=colour, alpha=0.45, label=name
    )
ax.plot(times, model.predict(X_days), color="black", linewidth=1, label="forecast")
ax.plot(times, y_days, "k.", markersize=4, label="true")
ax.set(ylabel="bicycles per hour", ylim=(0, 1250))
ax.xaxis.set_major_locator(mdates.HourLocator(byhour=(0, 12)))
ax.xaxis.set_major_formatter(mdates.DateFormatter("%d %b\n%H:%M"))
ax.legend(loc="upper center", ncols=2)
plt.show()

# %%
# Each question has its own interval. Which one you need is explained in
# :doc:`the guide on guarantees </guide/guarantees>`.
