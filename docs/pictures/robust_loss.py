"""The loss of robust training: attack, true largest loss and certified loss; and the schedule."""

import numpy as np
from draw import BLUE, DARK, GREEN, ORANGE, QUIET


def loss(d):
    return 0.45 + 0.22 * np.sin(2.6 * d + 0.4) + 0.12 * d**2 + 0.1 * d


def draw(figure):
    left, right = figure.subplots(1, 2, width_ratios=[1.5, 1])
    x = np.linspace(-1, 1, 400)
    worst, certified, attack = loss(x).max(), loss(x).max() + 0.22, 0.2
    left.plot(x, loss(x), color=DARK, lw=1.8)
    left.plot([-1, 1], [certified] * 2, color=BLUE, lw=1.8)
    left.plot([-1, 1], [worst] * 2, color=QUIET, lw=1, ls=":")
    left.plot(attack, loss(attack), "o", color=ORANGE)
    left.text(-1, certified + 0.015, "certified loss, weight κ", color=BLUE, va="bottom")
    left.text(-1, worst + 0.01, "true largest loss", color=QUIET, va="bottom")
    left.annotate(
        "loss at the attack,\nweight 1 − κ",
        (attack, loss(attack)),
        (0.3, 0.3),
        color=ORANGE,
        va="center",
        arrowprops={"arrowstyle": "-", "color": ORANGE, "lw": 0.8},
    )
    left.text(-0.62, loss(-0.62) - 0.03, "loss", color=DARK, ha="left", va="top")
    left.set(title="One sequence", xlabel="input error δ", ylabel="loss", ylim=(0.1, 1.1), yticks=[])
    left.set_xticks([-1, 0, 1], ["−ε", "0", "ε"])

    epochs = np.array([0, 0.5, 1])
    right.plot(epochs, [0, 1, 1], color=GREEN, lw=2)
    right.text(0.53, 0.95, "full ε and κ", color=GREEN, va="top")
    right.axvline(0.5, color=QUIET, ls=":", lw=1)
    right.text(0.53, 0.3, "early stopping\ncounts from here", color=QUIET, va="center")
    right.set(title="Schedule", xlabel="epochs", xlim=(0, 1), ylim=(0, 1.1))
    right.set_xticks([0, 0.5, 1], ["0", "half", "all"])
    right.set_yticks([0, 1], ["0", "1"])
