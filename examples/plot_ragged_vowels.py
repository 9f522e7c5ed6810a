"""
=================================================
Sequences of unequal length: who said this vowel?
=================================================

Nine men say one Japanese vowel; which of them was it? An utterance is a sequence of 7 to 29 frames of 12
numbers, so the data are no array but a list of arrays. Three questions come with such data. Does a prediction
depend on the sequences that happen to be predicted with it, or on padding? Is it worth stopping the training
early? And since a network reads sequences of any length: how much of an utterance does it have to hear?
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
    f"frames: {lengths.min()} to {lengths.max()}, in the middle {np.median(lengths):.0f}; channels: {X[0].shape[1]}"
)

# %%
# The list goes into an ordinary pipeline: ``SequenceScaler`` is to sequences what ``StandardScaler`` is to
# rows. Each of five seeds trains twice, once for all epochs and once with ``early_stopping``, which holds out a
# tenth of the training data and keeps the weights of the epoch with the lowest loss on it.


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
# Stopping early takes a fraction of the epochs and loses nothing that five seeds could show. It is no promise:
# what is held out comes from the same occasions as the rest of the training data, the test utterances do not.
#
# Where it errs
# -------------
# The confusion matrix of the first model: the errors are few, and spread over the speakers. The speakers are
# not equally frequent in the test set, so that an accuracy says most about those who are.

model = stopped[0]
figure, ax = plt.subplots(figsize=(6.4, 5.2), layout="constrained")
ConfusionMatrixDisplay.from_estimator(
    model, X_test, y_test, cmap="Blues", colorbar=False, ax=ax
)
ax.set(xlabel="predicted speaker", ylabel="true speaker")
plt.show()

# %%
# Companions and padding
# ----------------------
# A prediction is the same, bit for bit, whatever is predicted beside it. Zeros *before* a scaled utterance
# change nothing either, because this network has no biases and stays at zero until the first frame. Zeros
# *behind* it are another matter: the network reads on, and forgets. They are a common way to make an array of
# such data; the list needs none.

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
    f"zeros behind it, the same speaker: {np.mean(network.predict(behind) == network.predict(scaled)):.0%}"
)

# %%
# How much has to be heard?
# -------------------------
# Lengths are free at prediction, so the models can be given the first frames of each utterance only (a shorter
# one is given whole). They answer early only badly. Is the beginning of a vowel so poor in information, or were
# these networks, trained on whole utterances, never asked? Others are trained on the first 3, 6 and 10 frames
# of each utterance as well.


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
    "always the speaker with most utterances",
    color="0.3",
    ha="right",
    va="bottom",
)
ax.set(
    xlabel="frames heard",
    ylabel="test accuracy",
    ylim=(0, 1),
    title="Mean and range of five seeds",
)
ax.legend(loc="center right")
plt.show()

# %%
# The first frames say nearly all. A network that has learnt from beginnings names the speaker after one frame
# far better than the others do, and pays for it on whole utterances, where the others are ahead: train on the
# lengths that will be asked for.

# sphinx_gallery_thumbnail_number = 2
