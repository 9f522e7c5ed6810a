"""
==============================================
An interval from two quantiles: does it hold?
==============================================

The fine dust in the air of Beijing, six hours ahead. One number is a poor forecast where the wind may or may not turn;
an interval says how far it can be trusted. Two networks trained with the pinball loss, one for the quantile 0.05 and
one for 0.95, make an interval that should hold nine hours in ten. Does it?
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
# A day of hours in, windows that do not overlap, the last 30 % of the five years for the test. The networks differ in
# nothing but the quantile. They predict the logarithm of the dust, standardised; that is a part of the model, which takes
# it back. The quantiles of the dust itself are these, since a monotone transformation keeps the order. (Means are not kept
# so.)

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
    """Lower end, median and upper end, in µg/m³. Models fitted one by one may cross: sorted, they do not."""
    return np.sort([model.predict(X) for model in models.values()], axis=0)


# %%
# A week of the test years
# ------------------------
# The interval is wide where there is much dust, which the wind may clear away within six hours, and narrow in clean air.

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
ax.set(ylabel="fine dust, forecast six hours before (µg/m³)")
ax.xaxis.set_major_formatter(mdates.DateFormatter("%d %b"))
ax.legend(loc="upper left")
plt.show()

# %%
# Does it hold?
# -------------
# On the test years, of which the networks have seen nothing:

low, median, high = forecast(X_test)
below, above = np.mean(y_test < low), np.mean(y_test > high)
print(
    f"Of {len(y_test)} test hours {1 - below - above:.1%} are inside the interval, which was trained for 90 %; "
    f"{below:.1%} are below it and {above:.1%} above."
)
constant = np.subtract(*np.quantile(y_train, [0.95, 0.05]))
print(
    f"It is {np.mean(high - low):.0f} µg/m³ wide on average; the same quantiles of all training hours, whatever the "
    f"weather, are {constant:.0f} apart."
)
for name, part in zip(
    ("low", "middle", "high"),
    np.array_split(np.argsort(median, kind="stable"), 3),
    strict=True,
):
    inside = np.mean((low[part] <= y_test[part]) & (y_test[part] <= high[part]))
    print(f"{name:>6} third of the forecasts: {inside:.1%} inside")

# %%
# Near what it was trained for, and not exactly: a network that is trained for a quantile has it on its training data, if
# anywhere. On new data it is somewhat too sure of itself, as predictors are, and later years may differ from earlier ones.
# So the share that is inside should be measured on data set aside, as here, before anybody relies on it; nothing guarantees
# it.
