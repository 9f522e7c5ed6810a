"""
========================================================
How wrong can it be? Reading bounds, informative and not
========================================================

Will the air of Beijing be unhealthy three hours from now? A recurrent network answers, and theory bounds the
probability that it is wrong on new data. Some bounds are far above 1 and therefore say nothing; some say
something. Which is which, what is each of them about, and where do the large ones come from?
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
# The bounds want the scaling of the inputs fixed before the data are seen, so it is done with round numbers.
# The network has no biases: a channel of ones stands in for them. Windows of eight hours do not overlap, and
# the test comes after the training; consecutive windows of one series are still not the independent samples
# that every bound assumes.

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
    """Windows that do not overlap, and whether the dust was above the limit ``horizon`` hours after."""
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
# The report's Occam bound is about a second network, of two units in few bits, which ``compression`` has it make.
# Its settings are part of what has to be chosen beforehand.

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
print(f"always the commoner class {min(y_test.mean(), 1 - y_test.mean()):.3f}")

# %%
# The report
# ----------
# One bar for every bound, relative to the error probability that needs no data at all: right of the line at 1 a
# bound says nothing.

report = report.with_bound(model.holdout_bound(X_test, y_test))
figure, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
GeneralizationReportDisplay.from_report(report, ax=ax)
plt.show()
print(str(report).split("\n\nholdout")[0])

# %%
# - The *hold-out* bound is the exact binomial limit for the trained network, and needs data that trained
#   nothing.
# - The *Occam* bound comes from the training data alone, and is about the small network, not about the network
#   that ``predict`` uses. Both lie below 1, and well below the error of always giving the commoner class.
# - *Theorem 3* of Tu, He and Tao is about the trained network and its training data, and its value says
#   nothing. It also wants the norms of the weights fixed beforehand: *theorem_3_union* pays for having read
#   them off, and chooses its margin for that. *rademacher* is a bound of the same kind that falls with the
#   number of samples. Both are smaller, and vacuous: the bars have a logarithmic scale.
#
# Whoever quotes the smallest of several bounds takes it from the column *together*.
#
# Where the large numbers come from
# ---------------------------------
# The norm term of the theorem grows like :math:`\beta_W^L`, with the length L of the sequences and the largest
# row sum :math:`\beta_W` of the recurrent matrix. The same number of windows of growing length, once trained
# freely, and once with ``max_norm_w=1``, which keeps :math:`\beta_W` at 1 or below:

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
    ylabel="Theorem 3, on the error probability",
    yscale="log",
    ylim=(0.3, None),
)
ax.set(title=f"{n} training windows", xticks=lengths)
ax.legend(loc="upper left")
plt.show()

# %%
# Limiting the norm takes the exponential out of the bound, and costs no accuracy here: the test errors are
# printed above. What is left is vacuous all the same, and so is the bound for one hour, where nothing recurs:
# the length is not its only trouble. For a number to rely on, hold data out, or compress.

# sphinx_gallery_thumbnail_number = 1
