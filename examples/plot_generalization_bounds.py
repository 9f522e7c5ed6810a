"""
Generalisation bounds: which ones say something?
================================================

A generalisation bound limits the error on new data with a stated probability. A bound is informative if it is below the
error of the best constant guess (the most frequent class). For a classifier, a bound of 1 or more says nothing. This example prints both kinds, explains which network each bound
is about, and shows where the large numbers come from.

The network predicts whether the air of Beijing will be unhealthy in three hours.
"""

import matplotlib.pyplot as plt
import numpy as np

from sklstm import Compression, NoisyRNNClassifier
from sklstm.datasets import load_beijing_pm25
from sklstm.inspection import GeneralizationReportDisplay
from sklstm.preprocessing import sliding_windows

LIMIT = 75  # micrograms per cubic metre
air = load_beijing_pm25()
measured = ~np.isnan(air.target)
last_measured = np.maximum.accumulate(np.where(measured, np.arange(len(measured)), 0))
dust = air.target[last_measured]  # gaps carry the last measurement forward

# %%
# The data
# --------
# For the bounds, the scaling of the inputs must be fixed before you see the data. So it is done with round numbers. The
# network has no biases, and a channel of ones takes their place. Windows of eight hours do not overlap, and the test data
# come after the training data. Still, consecutive windows of one series are not independent samples, as every bound
# assumes.

weather = [
    air.data[:, 1] / 15,
    (air.data[:, 2] - 12) / 12,
    (air.data[:, 3] - 1016) / 10,
    np.log1p(air.data[:, 4]) / 2,
]
series = np.column_stack(
    [np.log1p(dust) - 4, *weather, air.data[:, 7:10], np.ones(len(dust))]
)[24:]
unhealthy, measured = (
    (dust > LIMIT)[24:].astype(int),
    measured[24:],
)  # the first day has no measurement


def windows(n_hours, horizon=3):
    """Windows that do not overlap, and whether the dust was above the limit ``horizon`` hours later."""
    X, y, hour = sliding_windows(
        series,
        n_hours,
        horizon,
        target=unhealthy,
        stride=n_hours + horizon,
        times=np.arange(len(series)),
    )
    return X[measured[hour]], y[measured[hour]]


X, y = windows(8)
n_train = int(0.7 * len(X))
X_train, y_train, X_test, y_test = X[:n_train], y[:n_train], X[n_train:], y[n_train:]
print(
    f"{n_train} windows to train, {len(X_test)} later ones to test; channels: {X.shape[2]}"
)

# %%
# The Occam bound of the report is about a second, smaller network with two units and weights in few bits.
# ``compression`` tells the report to train it. You have to choose its settings before you see the data.

small = Compression(2, epochs=60, stage_epochs=3, batch_size=64, coarseness=(16.0,))
model = NoisyRNNClassifier(
    16, sigma=0.1, max_epochs=40, compression=small, random_state=0
).fit(X_train, y_train)
now = (X_test[:, -1, 0] > np.log1p(LIMIT) - 4).astype(int)
print(f"test error: trained network {1 - model.score(X_test, y_test):.3f}", end=", ")
report = model.generalization_report(X_train, y_train)
small_network = model.quantized(report["occam"])
print(f"small network {1 - small_network.score(X_test, y_test):.3f}", end=", ")
print(f"'as it is now' {np.mean(now != y_test):.3f}", end=", ")
print(f"always the more frequent class {min(y_test.mean(), 1 - y_test.mean()):.3f}")

# %%
# The report
# ----------
# Each bar is one bound on the error probability. A bound to the right of the line at 1 says nothing.

report = report.with_bound(model.holdout_bound(X_test, y_test))
figure, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
GeneralizationReportDisplay.from_report(report, ax=ax)
plt.show()
print(str(report).split("\n\nholdout")[0])

# %%
# - The *hold-out* bound is about the trained network. It is the exact binomial limit. It needs a hold-out set, which is
#   data that was not used for training.
# - The *Occam* bound needs the training data only. It is about the small network, not about the network that ``predict``
#   uses. The hold-out and the Occam bound are below 1, and well below the error of always predicting the more frequent
#   class.
# - *Theorem 3* of Tu, He and Tao is about the trained network and its training data. Here its value is vacuous. It also
#   assumes that the norms of the weights were fixed before training.
# - *theorem_3_union* allows for norms that are read off the trained weights, and it chooses a margin. *rademacher* is a
#   bound of the same kind that falls with the number of samples. Both are smaller than Theorem 3, and both are vacuous.
#   Note the logarithmic scale.
#
# If you quote the smallest of several bounds, take it from the column *together*.
#
# Where the large numbers come from
# ---------------------------------
# The norm term of the theorem grows like :math:`\beta_W^L`. L is the length of the sequences, and :math:`\beta_W` is the
# largest row sum of the recurrent matrix. The next plot has the bound for windows of growing length, with the same number
# of training windows. One network is trained freely. The other has ``max_norm_w=1``, which keeps :math:`\beta_W` at 1 or
# below.

lengths, n = [1, 2, 4, 8, 16, 24], 1000
ways = {
    "free": ({}, "#D55E00", "s--"),
    "max_norm_w=1": ({"max_norm_w": 1.0}, "#0072B2", "o-"),
}
figure, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
for name, (limit, colour, line) in ways.items():
    bounds, errors = [], []
    for n_hours in lengths:
        X, y = windows(n_hours)
        fitted = NoisyRNNClassifier(
            16, sigma=0.1, max_epochs=50, random_state=0, **limit
        ).fit(X[:n], y[:n])
        bounds.append(fitted.generalization_bound_)
        errors.append(1 - fitted.score(X[n:], y[n:]))
    ax.plot(lengths, bounds, line, color=colour, label=name)
    print(f"{name}, test errors:", np.round(errors, 3))
ax.axhline(1, color="0.4", ls=":")
ax.text(24, 1.3, "above this line: vacuous", color="0.3", ha="right", va="bottom")
ax.set(
    xlabel="hours in a window",
    ylabel="bound of Theorem 3",
    yscale="log",
    ylim=(0.3, None),
)
ax.set(title=f"{n} training windows", xticks=lengths)
ax.legend(loc="upper left")
plt.show()

# %%
# The limit on the norm removes the exponential growth of the bound. Here it costs no accuracy, as the printed test errors
# show. The bound is still vacuous, even for windows of one hour without any recurrence. So the length is not the only
# problem. If you need a number to rely on, use the hold-out bound or the Occam bound.

# sphinx_gallery_thumbnail_number = 1
