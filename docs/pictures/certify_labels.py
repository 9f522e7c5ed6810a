"""Certified accuracy against the size of input errors."""

import numpy as np
from draw import BLUE, GREEN, QUIET
from sklearn.pipeline import make_pipeline

import sklstm
from sklstm import NoisyRNNClassifier
from sklstm.datasets import load_japanese_vowels
from sklstm.preprocessing import SequenceScaler

SIZES = np.linspace(0, 0.02, 81)


def draw(figure):
    train, test = load_japanese_vowels(padded=False), load_japanese_vowels(subset="test", padded=False)
    ax = figure.subplots()
    rng = np.random.default_rng(0)
    for name, colour, parameters in (
        ("trained with robust_eps=0.1", GREEN, {"robust_eps": 0.1}),
        ("trained with noise, sigma=1.0", BLUE, {"sigma": 1.0}),
    ):
        network = NoisyRNNClassifier(16, max_epochs=40, random_state=0, **parameters)
        model = make_pipeline(SequenceScaler(with_mean=False), network).fit(train.data, train.target)
        radius = sklstm.certified_radius(model, test.data)
        radius[model.predict(test.data) != test.target] = -1
        ax.plot(SIZES, [np.mean(radius >= size) for size in SIZES], color=colour, lw=2, label=f"certified, {name}")
    drawn = [
        model.score([x + size * rng.choice([-1, 1], x.shape) for x in test.data], test.target) for size in SIZES[::8]
    ]
    ax.plot(SIZES[::8], drawn, "o:", ms=4, color=QUIET, label="under random errors of this size, sigma=1.0")
    ax.set(xlabel="size of the input errors, eps", ylabel="accuracy", ylim=(0, 1.02), xlim=(0, SIZES[-1]))
    ax.set_xticks([0, 0.005, 0.01, 0.015, 0.02], ["0", "0.005", "0.01", "0.015", "0.02"])
    ax.legend(frameon=False, loc="lower left", fontsize=9)
