"""
=========================================
Noise in training: does it close the gap?
=========================================

Figure 1 of Tu, He and Tao (2020) shows the generalisation error of a recurrent network, its test error without
noise minus its training error with noise, against the noise that it is trained with. It falls with the first
noise and rises with more. Does it here, in small? Nine speakers say a Japanese vowel; the network tells who.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import StratifiedShuffleSplit

from sklstm import NoisyRNNClassifier
from sklstm.datasets import load_japanese_vowels
from sklstm.inspection import NoiseGeneralizationDisplay

vowels = load_japanese_vowels(subset="all")
frames = np.concatenate(
    [row[-n:] for row, n in zip(vowels.data, vowels.lengths, strict=True)]
)
X, y = (
    vowels.data / frames.std(axis=0),
    vowels.target,
)  # short utterances begin with zeros, which get noise as well
print(f"{len(X)} utterances of at most {X.shape[1]} frames of {X.shape[2]} channels")

# %%
# The theorem is about training and test samples from one distribution, so the utterances are divided anew in
# each of five runs: 270 to train, the others to test. The same network of 16 units is trained in two ways, long
# and briefly: 80 epochs at a learning rate of 0.003, and half as many at a third of it.

warnings.filterwarnings("ignore", "Training had not settled")  # briefly on purpose
sigmas = [0.0, 0.1, 0.2, 0.4, 0.8, 1.6]
splits = StratifiedShuffleSplit(5, train_size=270, random_state=0)
ways = {
    "trained long": {"max_epochs": 80, "lr": 0.003},
    "trained briefly": {"max_epochs": 40, "lr": 0.001},
}
displays = {}
figure, ax = plt.subplots(figsize=(6.4, 4.4), layout="constrained")
for name, training in ways.items():
    displays[name] = NoiseGeneralizationDisplay.from_estimator(
        NoisyRNNClassifier(16, **training),
        X,
        y,
        sigmas=sigmas,
        cv=splits,
        random_state=0,
        ax=ax,
        name=name,
    )
ax.axhline(0, color="0.6", lw=0.8, zorder=0)
plt.show()

# %%
# Trained long, the network's gap closes steadily, and beyond that: at the strongest noise its training error
# with noise is larger than its test error without. Trained briefly, its gap moves by less than the spread of the
# runs. A rise like the paper's, clear of that spread, appears in neither. Nor does it in the paper's own experiment
# on film reviews, repeated with the package up to the paper's largest noise of 0.4
# (:doc:`/benchmarks/imdb_noise`).
#
# Which of the two moves?
# -----------------------
# A small gap is no merit by itself: it may close because the test error falls, or because the training error
# rises.

figure, axes = plt.subplots(1, 2, figsize=(6.4, 3.8), sharey=True, layout="constrained")
for ax, (name, display) in zip(axes, displays.items(), strict=True):
    parts = {
        "test, no noise": (display.test_errors, "#0072B2", "o-"),
        "training, with noise": (display.train_errors, "#D55E00", "s--"),
    }
    print(name)
    for part, (errors, colour, line) in parts.items():
        mean, spread = (
            errors.mean(axis=1),
            errors.std(axis=1, ddof=1) / np.sqrt(errors.shape[1]),
        )
        ax.errorbar(sigmas, mean, spread, color=colour, fmt=line, capsize=3, label=part)
        print(
            f"  {part:<21}",
            ", ".join(f"{m:.3f} ± {s:.3f}" for m, s in zip(mean, spread, strict=True)),
        )
    ax.set(title=name, xlabel="σ of the training noise")
axes[0].set(ylabel="error rate, mean ± standard error", ylim=(0, None))
axes[0].legend(loc="upper left")
plt.show()

# %%
# In the long training moderate noise makes a better classifier: the test error itself falls, and rises again
# only when the noise is larger than the signal. In the brief one the test error rises with the noise from early
# on, and the gap hides it, because the training error rises as much. So it is the test error that one should
# look at to choose ``sigma``, and the gap says what the training error is worth.

# sphinx_gallery_thumbnail_number = 1
