"""A loss curve with its parts, and the schedules of the learning rate."""

import math

import numpy as np
from draw import BLUE, DARK, GREEN, ORANGE, PURPLE, QUIET, SKY

from sklstm import TikhonovLSTMRegressor
from sklstm.datasets import load_sunspots
from sklstm.preprocessing import sliding_windows

SIZE = (7.2, 2.8)


def draw(figure):
    left, right = figure.subplots(1, 2)
    X, y = sliding_windows((np.sqrt(load_sunspots().target) - 6) / 3, window=24, target=0, stride=5)
    model = TikhonovLSTMRegressor(8, skip="none", max_epochs=40, random_state=0).fit(X[:400], y[:400])
    history, epochs = model.net_.history, np.arange(1, 41)
    left.plot(epochs, model.loss_curve_, color=DARK, lw=1.8, label="loss_curve_")
    left.plot(epochs, history[:, "data_loss"], color=BLUE, lw=1.8, label="data loss")
    left.plot(epochs, history[:, "penalty"], color=ORANGE, lw=1.8, label="penalty")
    left.set_title("a training loss and its parts")
    left.set(xlabel="epoch", ylim=(0, None))
    left.legend(frameon=False)
    e = np.arange(100)
    warm = math.ceil(100 / 10)
    cosine = 0.01 + 0.99 * (1 + np.cos(np.pi * e / 100)) / 2
    after = 0.01 + 0.99 * (1 + np.cos(np.pi * (e - warm) / (100 - warm))) / 2
    for factor, colour, name in (
        (np.ones(100), QUIET, "constant"),
        (cosine, BLUE, "cosine"),
        (np.where(e < warm, (e + 1) / warm, after), SKY, "warmup-cosine"),
        (np.select([e < 50, e < 75], [1, 0.1], 0.01), GREEN, "step"),
        (0.01 ** (e / 100), PURPLE, "exponential"),
    ):
        right.plot(e / 100, factor, color=colour, lw=1.8, label=name, ls="--" if name == "warmup-cosine" else "-")
    right.set_title("lr_schedule: factor on lr")
    right.set(xlabel="share of max_epochs", ylim=(0, 1.05))
    right.legend(frameon=False, loc="upper right", bbox_to_anchor=(1.02, 0.98), fontsize=8.5)
