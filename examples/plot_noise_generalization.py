"""
=========================================================
Noise in training: does it close the gap?
=========================================================

Figure 1 of Tu, He and Tao (2020) shows the generalisation error of a recurrent network, its test error without noise minus
its training error with noise, against the noise that it is trained with. It falls with the first noise and rises with more.
Does it here, in small? Nine speakers say a Japanese vowel; the network tells who.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import StratifiedShuffleSplit

from sklstm import NoisyRNNClassifier
from sklstm.datasets import load_japanese_vowels
from sklstm.inspection import NoiseGeneralizationDisplay

vowels = load_japanese_vowels(subset="all")
frames = np.concatenate([row[-n:] for row, n in zip(vowels.data, vowels.lengths, strict=True)])
X, y = vowels.data / frames.std(axis=0), vowels.target  # zeros before short utterances stay zeros
print(f"{len(X)} utterances of at most {X.shape[1]} frames of {X.shape[2]} channels")

# %%
# The theorem is about training and test samples from one distribution, so the utterances are divided anew in each of five
# runs: 270 to train, the others to test. The same network of 16 units is trained in two ways, long and briefly: 120
# epochs at a learning rate of 0.003, and half as many at a third of it.

sigmas = [0.0, 0.1, 0.2, 0.4, 0.8, 1.6]
split = StratifiedShuffleSplit(5, train_size=270, random_state=0)
ways = {"trained long": {"max_epochs": 120, "lr": 0.003}, "trained briefly": {"max_epochs": 60, "lr": 0.001}}
displays = {}
figure, ax = plt.subplots(figsize=(6.4, 4.4), layout="constrained")
for name, training in ways.items():
    network = NoisyRNNClassifier(16, compute_bound=False, **training)
    displays[name] = NoiseGeneralizationDisplay.from_estimator(
        network, X, y, sigmas=sigmas, cv=split, random_state=0, ax=ax, name=name
    )
plt.show()
