"""
How strong should the penalty be?
=================================

The best strength of the Tikhonov penalty depends on what you need. Do you want the smallest error on clean inputs, on
noisy inputs, or in the worst case of a given input error? This example shows the three errors for nine values of
``lambda_s``, and what a cross-validated search chooses. The data are hourly bicycle rentals in Washington, D.C.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import TimeSeriesSplit

from sklstm import TikhonovLSTMRegressor
from sklstm.datasets import load_bike_sharing
from sklstm.inspection import GateNormsDisplay, RegularizationPathDisplay
from sklstm.metrics import make_noisy_scorer
from sklstm.model_selection import RegularizationPathCV
from sklstm.preprocessing import SequenceScaler, sliding_windows

bikes = load_bike_sharing()
clock = 2 * np.pi * bikes.data[:, 6] / 24
series = np.column_stack(
    [np.sqrt(bikes.target), bikes.data[:, [1, 3, 4, 10]], np.sin(clock), np.cos(clock)]
)

# %%
# The data
# --------
# The network predicts the rentals of the next hour from one day of rentals, weather and calendar. It takes every
# eleventh window, so that all hours of the day occur. Windows with missing hours are left out. The last 30 % of the
# windows are the test data.

X, y, hour = sliding_windows(series, 24, target=0, times=bikes.times)
gapless = hour - bikes.times[: len(hour)] == np.timedelta64(24, "h")
X, y = X[gapless][::11], y[gapless][::11]
n_train = int(0.7 * len(X))
X = SequenceScaler().fit(X[:n_train]).transform(X)
y = (y - y[:n_train].mean()) / y[:n_train].std()
X_train, y_train, X_test, y_test = X[:n_train], y[:n_train], X[n_train:], y[n_train:]
print(
    f"{n_train} windows to train, {len(X_test)} later ones to test; (hours, channels) = {X.shape[1:]}"
)

# %%
# Three errors for each value
# ---------------------------
# One network is trained for each value. The noisy error is measured with Gaussian noise of one standard deviation on all
# inputs. The certified error is the largest error that input errors of up to 0.05 can cause, as bounded by ``certify``. A
# forecast of the mean has an error of about 1. Larger errors are cut off. The certified error of a network without any
# penalty is far outside the plot.

# The strongest penalties need more epochs than the others. Without a penalty, the certificate says little.
warnings.filterwarnings("ignore", "Training had not settled")
warnings.filterwarnings("ignore", "The certificate says little")

lambdas = np.geomspace(1e-4, 1, 9)
common = {
    "hidden_size": 16,
    "skip": "none",  # the network of the paper, without a linear part
    "max_epochs": 45,
    "lr": 0.01,
    "random_state": 0,
}


def path(variant):
    networks = [
        TikhonovLSTMRegressor(lambda_s=lam, variant=variant, **common) for lam in lambdas
    ]
    return [network.fit(X_train, y_train) for network in networks]


paths = {variant: path(variant) for variant in ("turkin", "tight")}
figure, axes = plt.subplots(
    2, 1, figsize=(6.4, 5.2), sharex=True, sharey=True, layout="constrained"
)
for ax, (variant, networks) in zip(axes, paths.items(), strict=True):
    RegularizationPathDisplay.from_estimators(
        networks,
        X_test,
        y_test,
        param_name="lambda_s",
        sigma=1.0,
        eps=0.05,
        random_state=0,
        ax=ax,
    )
    ax.set(title=f'variant="{variant}"', ylabel="mean squared error", ylim=(0, 1))
    ax.label_outer()
plt.show()

plain = TikhonovLSTMRegressor(lambda_s=0, lambda_1=0, lambda_2=0, **common).fit(
    X_train, y_train
)
lower, upper = plain.certify(X_test, 0.05)
print(
    f"no penalty: clean error {np.mean((plain.predict(X_test) - y_test) ** 2):.3f}",
    end=", ",
)
print(
    f"certified error {np.mean(np.maximum((lower - y_test) ** 2, (upper - y_test) ** 2)):.1f}"
)

# %%
# Each error has its own best strength. On clean inputs weak penalties are best, and no penalty is better still. With the
# variant *tight* the certified error is smallest in the middle. With a weaker penalty, input errors can move the forecast
# further. With a stronger one, the forecast itself gets worse. With the variant *turkin* the weakest penalty has the
# smallest certified error. Under strong noise both variants need a stronger penalty.
#
# With very strong penalties the certified error grows again, first for the variant of the paper, *turkin*. But the
# penalised gain keeps falling:

for variant, networks in paths.items():
    print(
        f"{variant:<8}",
        ", ".join(f"{network.perturbation_gain_:.2g}" for network in networks),
    )

# %%
# The inequalities behind this gain leave out what the memory cell accumulates from step to step. The certificate leaves
# nothing out. The next plot shows the norms of the gates. With a growing penalty the networks first move away from the
# edge of the feasible region. With very strong penalties they move back towards it. A long memory costs little there,
# because the weights of input and readout are small.

figure, ax = plt.subplots(figsize=(6.4, 4.8), layout="constrained")
points = [
    GateNormsDisplay.from_estimator(
        paths["turkin"][i], ax=ax, name=rf"$\lambda_S$ = {lambdas[i]:.2g}"
    )
    for i in range(0, 9, 2)
]
ax.plot(
    [point.x[0] for point in points],
    [point.y[0] for point in points],
    color="0.5",
    lw=1,
    zorder=1,
)
ax.set_xlim(left=-0.03)
plt.show()

# %%
# What a cross-validated search chooses
# -------------------------------------
# ``RegularizationPathCV`` trains the networks of all values and folds together. It chooses the value with the best mean
# score. Here the score is computed in two ways: on clean validation data, and with noise of one standard deviation.


figure, axes = plt.subplots(2, 1, figsize=(6.4, 6.4), sharex=True, layout="constrained")
for ax, (name, sigma) in zip(
    axes, {"clean": 0.0, "noise of 1 standard deviation": 1.0}.items(), strict=True
):
    search = RegularizationPathCV(
        TikhonovLSTMRegressor(variant="tight", **common),
        "lambda_s",
        lambdas,
        cv=TimeSeriesSplit(3, gap=3),
        scoring=make_noisy_scorer("neg_mean_squared_error", sigma, n_draws=3),
        refit=False,
    ).fit(X_train, y_train)
    RegularizationPathDisplay.from_estimator(search, ax=ax)
    ax.set(title=f"validation, {name}", ylabel="minus mean squared error")
    ax.label_outer()
    print(f"{name}: chosen lambda_s = {search.best_params_['lambda_s']:.2g}")
plt.show()

# %%
# With clean validation data the search chooses the weakest penalty. If you expect noisy inputs, use a ``scoring`` that
# adds noise too.

# sphinx_gallery_thumbnail_number = 1
