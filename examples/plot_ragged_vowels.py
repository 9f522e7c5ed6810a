"""
Classify sequences of unequal length
====================================

Nine men say one Japanese vowel. Who said it? An utterance has 7 to 29 frames of 12 numbers, so you pass a list of
arrays. This example answers three questions about such data:

- Does a prediction depend on padding, or on the other sequences in the same call?
- Is early stopping worth it?
- How much of an utterance does the network need?
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.pipeline import make_pipeline

from sklstm import NoisyRNNClassifier
from sklstm.datasets import load_japanese_vowels
from sklstm.preprocessing import SequenceScaler, pad_sequences

X, y = load_japanese_vowels(padded=False, return_X_y=True)
X_test, y_test = load_japanese_vowels(subset="test", padded=False, return_X_y=True)
lengths = np.array([len(utterance) for utterance in X_test])
print(f"{len(X)} utterances for training, {len(X_test)} for the test, from other occasions")
print(
    f"frames: {lengths.min()} to {lengths.max()}, median {np.median(lengths):.0f}; channels: {X[0].shape[1]}"
)

# %%
# Early stopping
# --------------
# The list goes into an ordinary scikit-learn pipeline. ``SequenceScaler`` does for sequences what ``StandardScaler`` does
# for rows. The network is trained with five random seeds, once for all epochs and once with ``early_stopping``. Early
# stopping holds out a tenth of the training data. It keeps the weights of the epoch with the lowest loss on this part.


def train(seed, early_stopping):
    network = NoisyRNNClassifier(
        16,
        max_epochs=150,
        early_stopping=early_stopping,
        random_state=seed,
    )
    return make_pipeline(SequenceScaler(), network).fit(X, y)


full = [train(seed, early_stopping=False) for seed in range(5)]
stopped = [train(seed, early_stopping=True) for seed in range(5)]
for name, models in {"all epochs": full, "early stopping": stopped}.items():
    epochs = ", ".join(str(model[-1].n_iter_) for model in models)
    scores = [model.score(X_test, y_test) for model in models]
    print(
        f"{name + ':':<16} {epochs} epochs; test accuracy {np.mean(scores):.3f} ({min(scores):.3f}-{max(scores):.3f})"
    )

# %%
# Early stopping needs a fraction of the epochs, and over five seeds it shows no loss of accuracy. This is no guarantee.
# The hold-out utterances were recorded together with the rest of the training data, the test utterances were not.
#
# Confusion matrix
# ----------------
# The first model makes few errors, and they are spread over the speakers. The speakers are not equally frequent in the
# test set, so the accuracy depends most on the frequent ones.

model = stopped[0]
figure, ax = plt.subplots(figsize=(6.4, 5.2), layout="constrained")
ConfusionMatrixDisplay.from_estimator(
    model, X_test, y_test, cmap="Blues", colorbar=False, ax=ax
)
ax.set(xlabel="predicted speaker", ylabel="true speaker")
plt.show()

# %%
# Other sequences and padding
# ---------------------------
# A prediction does not depend on the other sequences in the call, to the last bit. Zeros *before* a scaled utterance
# change nothing either: this network has no biases, so its state stays zero until the first frame. Zeros *after* the
# utterance do change the prediction, because the network reads on and forgets. Such padding is a common way to make an
# array of sequences. With a list you need none.

network, scaled = model[-1], model[0].transform(X_test)
together = network.decision_function(scaled)
alone = np.vstack([network.decision_function([utterance]) for utterance in scaled])
before, behind = (pad_sequences(scaled, side=side) for side in ("left", "right"))
print("each alone, the same bits:        ", np.array_equal(alone, together))
print(
    "zeros before it, the same bits:   ",
    np.array_equal(network.decision_function(before), together),
)
print(
    f"zeros after it, the same speaker:  {np.mean(network.predict(behind) == network.predict(scaled)):.0%}"
)

# %%
# How much of an utterance does the network need?
# -----------------------------------------------
# Sequences for ``predict`` may have any length. So you can pass only the first frames of each utterance. The networks
# above do badly on them. Is there too little information in the first frames? Or is it because these networks were
# trained on whole utterances? To find out, other networks are also trained on the first 3, 6 and 10 frames.


warnings.filterwarnings(
    "ignore", "Training had not settled"
)  # 40 epochs, to keep this page short


def train_on_beginnings(seed):
    beginnings = X + [utterance[:k] for k in (3, 6, 10) for utterance in X]
    network = NoisyRNNClassifier(16, max_epochs=40, random_state=seed)
    return make_pipeline(SequenceScaler(), network).fit(beginnings, np.tile(y, 4))


ways = {
    "trained on whole utterances": (stopped, "#0072B2", "o-"),
    "trained on beginnings as well": (
        [train_on_beginnings(seed) for seed in range(5)],
        "#D55E00",
        "s--",
    ),
}
heard = np.array([1, 2, 3, 5, 7, 10, 12, 15, 20, 29])
parts = [[utterance[:k] for utterance in X_test] for k in heard]
figure, ax = plt.subplots(figsize=(6.4, 4.4), layout="constrained")
for name, (models, colour, line) in ways.items():
    accuracy = np.array(
        [[model.score(part, y_test) for part in parts] for model in models]
    )  # (seeds, lengths)
    ax.fill_between(
        heard, accuracy.min(axis=0), accuracy.max(axis=0), color=colour, alpha=0.2, lw=0
    )
    ax.plot(heard, accuracy.mean(axis=0), line, color=colour, label=name)
    print(
        f"{name}:",
        ", ".join(
            f"{k}: {mean:.2f}" for k, mean in zip(heard, accuracy.mean(axis=0), strict=True)
        ),
    )
always = np.bincount(y_test).max() / len(y_test)
ax.axhline(always, color="0.4", ls=":")
ax.text(
    29,
    always + 0.01,
    "most frequent speaker",
    color="0.3",
    ha="right",
    va="bottom",
)
ax.set(
    xlabel="number of frames",
    ylabel="test accuracy",
    ylim=(0, 1),
    title="Mean and range of five seeds",
)
ax.legend(loc="center right")
plt.show()

# %%
# The first frames hold nearly all the information. The networks that were also trained on beginnings are far better after
# one frame. In return they are worse on whole utterances. So train on the lengths that you will predict.

# sphinx_gallery_thumbnail_number = 2
