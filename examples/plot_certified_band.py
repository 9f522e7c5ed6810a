"""
Robust training and certified forecasts
=======================================

How far can input errors move a forecast? ``certify`` answers with an interval for each forecast. As long as every input
error is at most ``eps``, the forecast cannot leave its interval. This is proved for the trained network. The width of
the interval depends on how the network was trained.

Here the network forecasts how many bicycles will be rented in the next hour, from one day of rentals and weather. Every
input may be wrong by a tenth of its standard deviation. The same network is trained in three ways: as usual, with
weight decay, and with robust training against errors of this size (``robust_eps``).
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklstm import TikhonovLSTMRegressor, certify
from sklstm.datasets import load_bike_sharing
from sklstm.inspection import CertifiedBandDisplay, CertifiedFrontDisplay
from sklstm.preprocessing import SequenceScaler, sliding_windows

# %%
# The data
# --------
# Rentals vary by factors over the day. The network therefore takes and predicts their logarithms. The logarithm of the
# target is part of the model, so forecasts and bounds are in bicycles per hour. The windows overlap little. The test
# data are from a later season than the training data.

bikes = load_bike_sharing()
channels = [bikes.feature_names.index(name) for name in ("cnt", "temp", "hum", "hour")]
series = bikes.data[:, channels]
series[:, 0] = np.log1p(series[:, 0])
X, _, hour = sliding_windows(series, 24, target=0, stride=7, times=np.arange(len(series)))
y = bikes.target[hour]
X_train, y_train, X_test, y_test = X[:1500], y[:1500], X[1504:2004], y[1504:2004]
deviations = X_train.std(axis=(0, 1))
eps = 0.1 * deviations

OFF = {"lambda_s": 0.0, "lambda_1": 0.0, "lambda_2": 0.0}


def train(**parameters):
    network = TikhonovLSTMRegressor(16, max_epochs=40, random_state=0, **parameters)
    logarithms = make_pipeline(FunctionTransformer(np.log1p, np.expm1), StandardScaler())
    pipeline = make_pipeline(SequenceScaler(), network)
    model = TransformedTargetRegressor(pipeline, transformer=logarithms)
    return model.fit(X_train, y_train)


# %%
# What is certified, and what it costs
# ------------------------------------
# The first three columns are medians over the test hours, in bicycles per hour. The first is the error of the forecasts.
# The second is how far input errors can move a forecast at most. The third is the largest forecast error that is then
# possible. The last column
# shows how much of the certified interval thirty random errors use. Random errors use only a part of it, because the
# certificate covers the worst case.

models = {
    "plain": train(**OFF),
    "weight decay": train(**OFF, weight_decay=0.003),
    "robust": train(robust_eps=0.1),
}
wrong = X_test + eps * np.random.default_rng(0).choice([-1.0, 1.0], (30, *X_test.shape))
print(f"{'':14}{'error':>6}{'moved by at most':>18}{'worst error':>13}{'used':>6}")
bounds = {}
with warnings.catch_warnings(record=True, action="always") as heard:
    for name, model in models.items():
        lower, upper = bounds[name] = certify(model, X_test, eps)
        predicted = model.predict(X_test)
        error = np.median(np.abs(predicted - y_test))
        worst = np.median(np.maximum(np.abs(lower - y_test), np.abs(upper - y_test)))
        moved = np.median(np.maximum(upper - predicted, predicted - lower))
        drawn = np.array([model.predict(part) for part in wrong])
        assert (lower <= drawn).all()
        assert (drawn <= upper).all()
        used = np.median(np.ptp(drawn, axis=0) / (upper - lower))
        print(f"{name:14}{error:6.0f}{moved:18.0f}{worst:13.0f}{used:6.0%}")
for warning in heard:
    print(warning.message)

# %%
# The network with the usual training is the most accurate. But its certified interval is wider than the range of all
# rentals in the data, so it says nothing, and ``certify`` warns about it. The network with robust training is a little
# less accurate, and its certified interval is far narrower. Weight decay lies between the two.
#
# The certified band
# ------------------
# The forecasts for four days of the test season, hour by hour, with their certified intervals as a band.

shown = slice(int(hour[1504]) + 24 * 30, int(hour[1504]) + 24 * 35)
X_days, _ = sliding_windows(series[shown], 24, target=0)
y_days, times = bikes.target[shown][24:], bikes.times[shown][24:]
figure, axes = plt.subplots(
    2, 1, figsize=(6.4, 5), sharex=True, sharey=True, layout="constrained"
)
for ax, name in zip(axes, ("plain", "robust"), strict=True):
    with warnings.catch_warnings(action="ignore"):  # printed above
        CertifiedBandDisplay.from_estimator(
            models[name],
            X_days,
            eps=eps,
            y=y_days,
            times=times,
            ylabel="bicycles per hour",
            ax=ax,
        )
    ax.set(title=name, ylim=(0, 1.5 * y_days.max()))
    ax.label_outer()
axes[1].get_legend().remove()  # the upper plot has the same
plt.show()

# %%
# How large should ``robust_eps`` be?
# -----------------------------------
# The plot has the mean squared error without input errors on the horizontal axis. On the vertical axis it has the largest
# mean squared error that input errors of a tenth of a standard deviation can cause. Both are for the standardised
# logarithm, where a forecast of the mean has an error of 1. Points further down and further left are better.

families = {
    "plain": [models["plain"]],
    "weight decay": [
        models["weight decay"],
        *(train(**OFF, weight_decay=decay) for decay in (0.001, 0.01)),
    ],
    "robust": [
        models["robust"],
        *(train(robust_eps=size) for size in (0.02, 0.05)),
    ],
}
inside = {name: [model.regressor_ for model in part] for name, part in families.items()}
logarithms = models["plain"].transformer_.transform(y_test[:, None])[:, 0]
display = CertifiedFrontDisplay.from_estimators(inside, X_test, logarithms, eps)
plt.show()

for name in families:
    pairs = zip(display.clean[name], display.certified[name], strict=True)
    print(f"{name}:", ", ".join(f"{a:.3f} / {b:.2f}" for a, b in pairs))

# %%
# A larger ``robust_eps`` costs accuracy and makes the certificate tighter. A cross-validated search can choose the value
# if it scores what is certified. `sklstm.metrics.make_certified_scorer` makes such a score.

# sphinx_gallery_thumbnail_number = 1
