"""
The penalty in your own PyTorch loop
====================================

You have a network, a loss and an optimiser in plain PyTorch. How do you add the Tikhonov penalty, and what do you gain
and lose? The functions of `sklstm.tikhonov` and `sklstm.certificates` take tensors. You need no scikit-learn estimator.

Here the loss is the Huber loss, which the estimators do not offer. It gives less weight to single months with many
sunspots. The network forecasts the number of sunspots half a year ahead, from three years of monthly numbers.
"""

# sphinx_gallery_thumbnail_number = 2

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn

from sklstm.certificates import RecurrentNetwork, output_bounds
from sklstm.datasets import load_sunspots
from sklstm.inspection import CertifiedBandDisplay
from sklstm.preprocessing import sliding_windows
from sklstm.tikhonov import TikhonovPenalty, feasible_scale, tikhonov_gains

# %%
# The data
# --------
# Square roots make the noise of the series more even. The last fifth is the test data. No test window shares a month with
# a training window.

WINDOW, HORIZON, EPS = 36, 6, 0.1
sun = load_sunspots()
roots = np.sqrt(sun.data)
n_train = int(0.8 * len(roots))
mean, deviation = roots[:n_train].mean(), roots[:n_train].std()
series = ((roots - mean) / deviation).astype(np.float32)
X, y = (torch.tensor(part) for part in sliding_windows(series[:n_train], WINDOW, HORIZON))
X_test, y_test, times = sliding_windows(
    series[n_train:], WINDOW, HORIZON, times=sun.times[n_train:]
)
X_test, y_test = torch.tensor(X_test), torch.tensor(y_test)
print(f"{len(X)} training windows, {len(X_test)} test windows of {WINDOW} months")


# %%
# The network and its loop
# ------------------------


class Forecaster(nn.Module):
    def __init__(self, n_units=16):
        super().__init__()
        self.lstm = nn.LSTM(1, n_units, batch_first=True)
        self.readout = nn.Linear(n_units, 1)

    def forward(self, X):
        return self.readout(self.lstm(X)[0][:, -1])[:, 0]


def certified(model, X, eps=EPS):
    """Bounds on the outputs for all inputs within eps of X, (n,) each."""
    lower, upper = output_bounds(
        RecurrentNetwork.from_torch(model.lstm, model.readout), X - eps, X + eps
    )
    return lower[:, 0], upper[:, 0]


def train(seed, penalty=None, n_epochs=30, batch_size=64):
    torch.manual_seed(seed)
    model = Forecaster()
    weights = model.lstm.weight_ih_l0, model.lstm.weight_hh_l0
    if penalty is not None:
        # The initial weights of torch violate the constraints of the penalty. Scale the recurrent weights down first.
        with torch.no_grad():
            model.lstm.weight_hh_l0.mul_(feasible_scale(*weights))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    huber = nn.HuberLoss()
    history = []
    for _ in range(n_epochs):
        for batch in torch.randperm(len(X)).split(batch_size):
            loss = huber(model(X[batch]), y[batch])
            if penalty is not None:
                loss = loss + penalty(*weights, model.readout.weight)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            lower, upper = certified(model, X_test[::20])
            losses = huber(model(X), y), huber(model(X_test), y_test)
            values = *losses, (upper - lower).median(), tikhonov_gains(*weights).rho_h
            history.append([float(value) for value in values])
    return model, np.array(history)


# %%
# The penalty needs three new lines: make the penalty object, scale the initial weights, add the penalty to the loss. The
# object keeps estimates of the norms from step to step, so that a call costs little. Make a new object for every network.

SEEDS = range(3)
runs = {
    "plain": [train(seed) for seed in SEEDS],
    "with penalty": [
        train(seed, TikhonovPenalty(lambda_s=0.003, lambda_1=10.0, lambda_2=10.0))
        for seed in SEEDS
    ],
}
histories = {
    name: np.array([history for _, history in fits]) for name, fits in runs.items()
}  # (n_seeds, n_epochs, 4)
print(f"{'':<14} training loss    test loss   lowest test loss      rho_h   width")
for name, history in histories.items():
    training, test, width, rho_h = history[:, -1].mean(axis=0)
    lowest = history[:, :, 1].min(axis=1).mean()
    print(
        f"{name:<14} {training:13.4f} {test:12.4f} {lowest:18.4f} {rho_h:10.3g} {width:7.3g}"
    )
naive = nn.functional.huber_loss(X_test[:, -1, 0], y_test)
print(f"Means over {len(SEEDS)} seeds. Test loss of the last month's number: {naive:.4f}")

# %%
# With the penalty the training loss is higher, and training is slower. At the end both networks are about equally good on
# the test years. But the plain network was better in between, so with early stopping it gives the better forecasts.
#
# The penalty makes the certificate tighter. ``width`` is the width of the certified interval for all inputs within
# ``EPS``, the median over every twentieth test window. It is several times narrower with the penalty, though it grows
# during training. The penalty keeps ``rho_h`` small. This number is an estimate of how much the states amplify an error
# from step to step. The width is proved.

colors = {"plain": "#D55E00", "with penalty": "#0072B2"}
markers = {"plain": "s", "with penalty": "o"}
figure, (left, right) = plt.subplots(1, 2, figsize=(7, 3.4), layout="constrained")
for name, history in histories.items():
    epochs, color = np.arange(1, history.shape[1] + 1), colors[name]
    training, test, _, _ = history.mean(axis=0).T
    style = {"color": color, "marker": markers[name], "markevery": 5}
    left.plot(epochs, training, ":", label=f"{name}, training", **style)
    left.plot(epochs, test, label=f"{name}, test", **style)
    right.plot(epochs, history[:, :, 2].T, linewidth=1, **style)
right.text(30, 10, "plain", color=colors["plain"], ha="right")
right.text(30, 0.2, "with penalty", color=colors["with penalty"], ha="right")
left.set(xlabel="epoch", ylabel="Huber loss (mean over seeds)", ylim=(0.09, 0.28))
left.legend(fontsize="small")
right.set(
    xlabel="epoch",
    ylabel=f"certified width, eps = {EPS}",
    yscale="log",
    ylim=(0.02, 30),
)
plt.show()

# %%
# In numbers of sunspots
# ----------------------
# Bounds stay valid under any increasing function. Here the function goes from standardised square roots back to numbers
# of sunspots. The bounds of the plain network say nothing: they contain every number that was ever observed. With the
# penalty the bounds follow the cycle. They limit how far an error of ``EPS`` in every input can move a forecast. They do
# not limit the error of the forecast itself.


def sunspots(values):
    return np.square(np.maximum(values.numpy() * deviation + mean, 0))


figure, axes = plt.subplots(
    2, 1, figsize=(6.4, 5), sharex=True, sharey=True, layout="constrained"
)
for ax, (name, fits) in zip(axes, runs.items(), strict=True):
    model = fits[0][0]
    with torch.no_grad():
        limits = map(sunspots, (model(X_test), *certified(model, X_test)))
    CertifiedBandDisplay.from_predictions(
        *limits, y_true=sunspots(y_test), times=times, ax=ax
    )
    ax.set(title=name, ylabel="sunspots", ylim=(-10, 360))
    ax.legend(loc="upper right", ncols=3)
    ax.label_outer()
plt.show()
