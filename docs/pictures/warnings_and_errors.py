"""Loss curves that have settled, and two that have not."""

import numpy as np
from draw import BLUE, GREEN, ORANGE

SIZE = (7.2, 2.4)


def draw(figure):
    rng = np.random.default_rng(2)
    epochs = np.arange(1, 41)
    falling = 0.15 + np.exp(-epochs / 28)
    jumping = 0.42 + 0.8 * np.exp(-epochs / 6) + 0.16 * rng.choice([-1, 1], 40) * rng.random(40)
    settled = 0.2 + 0.9 * np.exp(-epochs / 7)
    panels = figure.subplots(1, 3, sharey=True)
    for ax, loss, colour, title in (
        (panels[0], falling, ORANGE, "still falling: more epochs"),
        (panels[1], jumping, ORANGE, "still jumping: lower lr"),
        (panels[2], settled, GREEN, "settled: no warning"),
    ):
        ax.plot(epochs, loss, color=colour, lw=1.8)
        ax.axvspan(33, 40, color=BLUE, alpha=0.12, lw=0)
        ax.set_title(title)
        ax.set(xlabel="epoch", xticks=[1, 20, 40], yticks=[0], ylim=(0, 1.3))
    panels[0].text(36.5, 1.22, "judged", ha="center", va="top", rotation=90, size=9, color=BLUE)
    panels[0].set_ylabel("training loss")
