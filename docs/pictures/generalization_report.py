"""The bounds of a report beside the guess and the ceiling."""

import numpy as np
from draw import BLUE, DARK, ORANGE, QUIET

from sklstm import NoisyRNNClassifier
from sklstm.datasets import load_japanese_vowels


def draw(figure):
    train, test = load_japanese_vowels(), load_japanese_vowels(subset="test")
    scale = np.concatenate([row[-n:] for row, n in zip(train.data, train.lengths, strict=True)]).std(axis=0)
    model = NoisyRNNClassifier(hidden_size=32, sigma=0.3, max_epochs=60, random_state=0)
    model.fit(train.data / scale, train.target)
    report = model.generalization_report(train.data / scale, train.target)
    report = report.with_bound(model.holdout_bound(test.data / scale, test.target)).simultaneous()

    ax = figure.subplots()
    for place, bound in enumerate(report.values()):
        colour = BLUE if bound.informative else ORANGE
        ax.barh(place, bound.value, 0.55, left=0, color=colour, alpha=0.75)
        ax.text(
            max(bound.value, 1) * 1.6,
            place,
            f"{bound.value:.2g}"
            if bound.value < 10
            else "{} · 10$^{{{}}}$".format(*f"{bound.value:.1e}".replace("e+0", "e+").split("e+")),
            va="center",
            color=DARK,
        )
        ax.plot([bound.guess] * 2, [place - 0.38, place + 0.38], color=DARK, lw=2, label="guess" if not place else None)
    ax.axvline(1, color=QUIET, ls=":")
    ax.text(1.5, -0.62, "from 1 on a bound says nothing", color=QUIET, va="center", size=9)
    ax.set(xscale="log", xlim=(0.01, 1e13), ylim=(len(report) - 0.5, -0.9), yticks=range(len(report)))
    ax.set_yticklabels(list(report), family="monospace", size=9)
    ax.set_xlabel("bound on the error probability (column together)")
    ax.legend(frameon=False, loc="upper right", bbox_to_anchor=(1, 0.98))
