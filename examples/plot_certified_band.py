"""
Train robustly, then certify
============================

How many bicycles will be rented in the next hour? A day of rentals and weather is known, and none of it exactly: say
that every entry may be off by a tenth of its standard deviation. How far can such errors move a forecast? ``certify``
answers with an interval that no errors of that size can leave. It is a theorem about a trained network, and what it
says depends on how the network was trained. The same one three ways: as usual, with weight decay, and for errors of
this size (``robust_eps``).
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
# Rentals are in bicycles an hour, and people who rent them do so by factors: the network sees and predicts logarithms.
# For the target that is a part of the model, so that forecasts and their limits are in bicycles. Windows overlap little;
# the test comes a season later.

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
# The first three columns are in bicycles, medians over the test hours: the error of the forecasts, how far errors of the
# inputs can move them at most, and the largest error of the forecasts that this leaves possible. The last is the share of
# the limits that thirty draws of random errors use: certificates are about the worst ones.

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
# Trained as usual, the network is the most accurate, and what it does under errors is anybody's guess: the limits are
# wider than all rentals ever seen, and ``certify`` warns of it. Trained for the errors, it is a little less accurate,
# and certified within a fraction of what there is. Weight decay lies between.
#
# The band
# --------
# Four days of the test season, forecast hour by hour.

shown = slice(int(hour[1504]) + 24 * 30, int(hour[1504]) + 24 * 35)
X_days, _ = sliding_windows(series[shown], 24, target=0)
y_days, times = bikes.target[shown][24:], bikes.times[shown][24:]
figure, axes = plt.subplots(
    2, 1, figsize=(6.4, 6.4), sharex=True, sharey=True, layout="constrained"
)
for ax, name in zip(axes, ("plain", "robust"), strict=True):
    with warnings.catch_warnings(action="ignore"):  # the plain one's: seen above
        CertifiedBandDisplay.from_estimator(
            models[name],
            X_days,
            eps=eps,
            y=y_days,
            times=times,
            ylabel="bicycles an hour",
            ax=ax,
        )
    ax.set(title=name, ylim=(0, 1.5 * y_days.max()))
    ax.label_outer()
axes[0].get_legend().remove()  # one is enough
plt.show()

# %%
# The price
# ---------
# How large should ``robust_eps`` be? The mean squared error on the inputs as they are, against the largest that errors of a
# tenth of a deviation could make of it. Both are in the units of the training, standard deviations of the logarithm, in
# which a forecast of the mean has an error of 1. Further down and further left is better.

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
# What training has not seen has to be paid for in the certificate, and what it has in accuracy. A search can choose
# ``robust_eps``, if it is scored by what is certified: :func:`sklstm.metrics.make_certified_scorer`.

# sphinx_gallery_thumbnail_number = 1
