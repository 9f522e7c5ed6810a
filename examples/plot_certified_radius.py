"""
Certified radius of a classifier
================================

How large can a perturbation of the input be before the predicted label can change? ``certified_radius`` gives one number
for each sequence. No perturbation up to this radius changes the label. This is proved for the trained network. An attack
shows the other side: it finds a perturbation that does change the label. The largest safe size is between the two.

The classifier tells nine speakers apart by how they say one vowel. Two questions: Does training with noise (``sigma``)
make the certified radius larger? And does a limit on the recurrent weights (``max_norm_w``) help? These weights carry a
perturbation from step to step.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch

from sklstm import NoisyRNNClassifier
from sklstm.datasets import load_japanese_vowels
from sklstm.preprocessing import pad_sequences

# %%
# Each utterance is an array of 7 to 29 frames. Perturbations are measured in standard deviations of each channel. You
# can pass the list of arrays as it is, without padding. The noise is then added to real frames only.

train = load_japanese_vowels(padded=False)
test = load_japanese_vowels(subset="test", padded=False)
deviations = np.concatenate(train.data).std(axis=0)
X, X_test = ([sequence / deviations for sequence in part.data] for part in (train, test))
y, y_test = train.target, test.target

settings = {
    "no noise": {"sigma": 0.0},
    "noise": {"sigma": 1.0},
    "noise, limited": {"sigma": 1.0, "max_norm_w": 1.0},
}
models = {
    name: NoisyRNNClassifier(32, max_epochs=60, random_state=0, **how).fit(X, y)
    for name, how in settings.items()
}
radii = {name: model.certified_radius(X_test) for name, model in models.items()}
for name, model in models.items():
    low, median, high = np.quantile(radii[name], [0.1, 0.5, 0.9])
    print(
        f"{name + ':':<16} test accuracy {model.score(X_test, y_test):.3f}, certified radius {median:.3f} "
        f"(a tenth below {low:.3f}, a tenth above {high:.3f})"
    )

# %%
# Noise in training makes the certified radius somewhat larger. The limit on the row sums of the recurrent matrix makes it
# many times larger. Here it costs no accuracy.
#
# An attack
# ---------
# The attack takes ten steps along the sign of the gradient and stays within ``eps`` of the utterance. For speed, it
# attacks all utterances at once. They are padded with zeros before the first frame. These zeros do not change the output
# of this network, and the attack leaves them at zero.

padded, mask = pad_sequences(X_test, return_mask=True)
codes = torch.tensor(y_test - 1)  # speakers are numbered from 1, outputs from 0


def still_right(model, eps, n_steps=10):
    """Whether each utterance is still classified correctly after the attack, (n,); eps is a number or (n,)."""
    centre = torch.tensor(padded, dtype=torch.float32)
    reach = torch.tensor(
        np.reshape(eps, (-1, 1, 1)) * mask[:, :, None], dtype=torch.float32
    )
    X_attacked, right = centre.clone(), model.predict(padded) == y_test
    for _ in range(n_steps):
        X_attacked.requires_grad_(True)
        loss = torch.nn.functional.cross_entropy(
            model.net_.module_(X_attacked), codes, reduction="sum"
        )
        (slope,) = torch.autograd.grad(loss, X_attacked)
        step = X_attacked.detach() + 0.25 * reach * slope.sign() - centre
        X_attacked = centre + torch.maximum(torch.minimum(step, reach), -reach)
        right &= model.predict(X_attacked.numpy()) == y_test
    return right


def right_in_noise(model, eps, n_draws=10):
    """The same under random signs times eps."""
    rng = np.random.default_rng(0)
    signs = rng.choice([-1.0, 1.0], (n_draws, *padded.shape)) * mask[:, :, None]
    return np.all([model.predict(padded + eps * sign) == y_test for sign in signs], axis=0)


# %%
# No label may change within the certified radius. The proof says so, and this tests the code:

for name, model in models.items():
    changed = still_right(model, 0) & ~still_right(model, radii[name])
    print(
        f"{name + ':':<16} {changed.sum()} of {len(y_test)} changed by an attack within the certified radius"
    )

# %%
# Certificate and attack
# ----------------------

sizes = np.geomspace(0.003, 1, 11)
certified = {
    name: [model.certified_accuracy(X_test, y_test, eps) for eps in sizes]
    for name, model in models.items()
}
attacked = {
    name: [still_right(model, eps).mean() for eps in sizes]
    for name, model in models.items()
}
noisy = {
    name: [right_in_noise(model, eps).mean() for eps in sizes]
    for name, model in models.items()
}
print(
    "certified <= attacked everywhere:",
    all(np.less_equal(certified[name], attacked[name]).all() for name in models),
)

# %%
# The solid line is the certified accuracy: no perturbation can push the accuracy below it. The dashed line is the accuracy
# under the attack. The worst case is therefore somewhere in the shaded area. Random noise of the same size does far less
# harm.
#
# The attack needs about the same size in all three networks. So the limit hardly makes the network more robust. It makes
# the robustness provable: the certified accuracy comes close to the accuracy under attack. Without the limit, the two
# differ by more than one order of magnitude in size, and the worst case can be anywhere between them.

styles = {
    "no noise": ("#D55E00", "s"),
    "noise": ("#009E73", "^"),
    "noise, limited": ("#0072B2", "o"),
}
figure, axes = plt.subplots(1, 3, figsize=(9, 3.6), sharey=True, layout="constrained")
for ax, name in zip(axes, models, strict=True):
    color, marker = styles[name]
    ax.plot(
        sizes, noisy[name], color="0.5", linestyle=":", marker="x", label="in random noise"
    )
    ax.plot(
        sizes,
        attacked[name],
        color=color,
        linestyle="--",
        marker=marker,
        mfc="white",
        label="attacked",
    )
    ax.plot(sizes, certified[name], color=color, marker=marker, label="certified")
    ax.fill_between(sizes, certified[name], attacked[name], color=color, alpha=0.15)
    ax.set(
        title=name,
        xscale="log",
        xlabel="perturbation (standard deviations)",
        ylim=(-0.03, 1.03),
    )
axes[0].set_ylabel("test accuracy")
axes[2].legend(loc="lower left")
plt.show()

# %%
# The certified radii of all test utterances:

figure, ax = plt.subplots(figsize=(6.4, 4), layout="constrained")
for name, (color, marker) in styles.items():
    ax.ecdf(radii[name], color=color, marker=marker, markevery=60, label=name)
ax.set(xscale="log", xlim=(2e-4, 0.4), ylim=(-0.03, 1.03))
ax.set(
    xlabel="certified radius (standard deviations)",
    ylabel="share of utterances below",
)
ax.legend(loc="upper left")
plt.show()

# sphinx_gallery_thumbnail_number = 2
