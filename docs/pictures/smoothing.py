"""Votes under noise: noisy copies of an input in two regions of labels, and the certified circle."""

import numpy as np
from draw import BLUE, DARK, ORANGE


def border(x):
    return 0.55 + 0.18 * np.sin(1.6 * x) + 0.15 * x


def draw(figure):
    left, right = figure.subplots(1, 2, width_ratios=[1.5, 1])
    x = np.linspace(-2.4, 2.4, 300)
    left.fill_between(x, border(x), 3, color=ORANGE, alpha=0.13, lw=0)
    left.fill_between(x, -3, border(x), color=BLUE, alpha=0.13, lw=0)
    copies = np.random.default_rng(1).normal(0, 0.6, (200, 2))
    warm = copies[:, 1] > border(copies[:, 0])
    for inside, colour in ((warm, ORANGE), (~warm, BLUE)):
        left.plot(*copies[inside].T, ".", ms=4, color=colour)
    circle = np.exp(1j * np.linspace(0, 2 * np.pi, 200)) * 0.42
    left.plot(circle.real, circle.imag, color=DARK, lw=1.6)
    left.plot(0, 0, "+", color=DARK, ms=9, mew=2)
    left.annotate(
        "within this circle the\nvote keeps its label",
        (0.42 * 0.7, -0.42 * 0.7),
        (0.35, -1.45),
        va="center",
        size=9,
        arrowprops={"arrowstyle": "-", "color": DARK, "lw": 0.8},
    )
    left.text(-2.3, 1.6, "warm", color=ORANGE, weight="bold")
    left.text(-2.3, -1.7, "cold", color=BLUE, weight="bold")
    left.set(
        xlim=(-2.4, 2.4),
        ylim=(-1.9, 1.9),
        xticks=[],
        yticks=[],
        title="An input (+) and its noisy copies",
        aspect="equal",
    )
    for spine in left.spines.values():
        spine.set_visible(False)

    shares = [np.mean(~warm), np.mean(warm)]
    right.bar(["cold", "warm"], shares, color=[BLUE, ORANGE], width=0.6)
    for place, share in enumerate(shares):
        right.text(place, share + 0.02, f"{share:.0%}", ha="center", va="bottom")
    right.axhline(0.5, color=DARK, lw=1, ls=":")
    right.set(title="Votes", ylim=(0, 1.1), yticks=[])
    right.spines["left"].set_visible(False)
