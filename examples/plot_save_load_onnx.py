"""
Save a model, share it, run it without Python
=============================================

There are three ways to use a fitted model elsewhere. ``save`` writes a file that you can share, because loading it runs
no code from the file. ``joblib`` writes a pickle for your own disk. ``to_onnx`` writes a file for programs without
Python. How large are the files, what do they keep, and are the predictions still the same?

The model tells nine speakers apart by how they say one vowel, in sequences of 7 to 29 frames.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import joblib
import matplotlib.pyplot as plt
import numpy as np
import onnxruntime

import sklstm
from sklstm import NoisyRNNClassifier
from sklstm.datasets import load_japanese_vowels
from sklstm.preprocessing import pad_sequences

train = load_japanese_vowels(padded=False)
test = load_japanese_vowels(subset="test", padded=False)
deviations = np.concatenate(train.data).std(axis=0)
X, X_test = ([sequence / deviations for sequence in part.data] for part in (train, test))
model = NoisyRNNClassifier(32, sigma=0.3, max_epochs=60, random_state=0).fit(
    X, train.target
)
print(f"test accuracy {model.score(X_test, test.target):.3f}")

# %%
# Three files
# -----------
# ``save`` writes one safetensors file without code. It holds all that predictions, certificates and bounds need, and a
# checksum. joblib writes a pickle. Loading a pickle can run any code, so load only your own. The ONNX file holds the
# network alone.

folder = TemporaryDirectory()
save, pickle, onnx = (
    Path(folder.name, f"model.{kind}") for kind in ("safetensors", "joblib", "onnx")
)
model.save(save)
joblib.dump(model, pickle)
model.to_onnx(onnx, with_lengths=True)

loaded, unpickled = sklstm.load(save), joblib.load(pickle)
session = onnxruntime.InferenceSession(
    onnx.read_bytes(), providers=["CPUExecutionProvider"]
)

n_weights = sum(weight.numel() for weight in model.net_.module_.parameters())
sizes = {"weights alone": 4 * n_weights} | {
    path.name: path.stat().st_size for path in (onnx, save, pickle)
}
for name, size in sizes.items():
    print(f"{name:<18} {size / 1024:5.1f} KiB")

# %%
# The ONNX file is hardly larger than its weights. The other two also keep the history of the training and the
# generalisation report with its quantised network. The pickle also keeps the state of the optimiser, so you can continue
# the training.
#
# The same predictions
# --------------------
# A loaded model gives the same predictions, certificates and bounds, to the last bit. A damaged file is refused.

probabilities = model.predict_proba(X_test)
radii = model.certified_radius(X_test[:20])
for name, other in (("load", loaded), ("joblib.load", unpickled)):
    same = (
        np.array_equal(other.predict_proba(X_test), probabilities),
        np.array_equal(other.certified_radius(X_test[:20]), radii),
        other.generalization_bound_ == model.generalization_bound_,
    )
    print(f"{name}: probabilities, certified radii, bound identical: {same}")

damaged = bytearray(save.read_bytes())
damaged[-20] ^= 1  # one bit of its numbers
save.write_bytes(damaged)
try:
    sklstm.load(save)
except sklstm.ModelFileError as error:
    print(f"{type(error).__name__}: {str(error).split(': ', 1)[1]}")

# %%
# An ONNX runtime adds numbers in another order, so its results differ by rounding. It takes float32 sequences that are
# padded at the end, and their lengths. Scale the sequences before.

lengths = np.array([len(sequence) for sequence in X_test])
inputs = {"X": pad_sequences(X_test, side="right").astype(np.float32), "lengths": lengths}
labels, onnx_probabilities = session.run(["label", "probabilities"], inputs)
difference = np.abs(onnx_probabilities - probabilities)
first, second = np.sort(probabilities, axis=1)[:, :-3:-1].T
print(f"labels that differ: {(labels != model.predict(X_test)).sum()} of {len(labels)}")
print(f"probabilities differ by at most {difference.max():.2g}")
print(f"smallest distance of the two most probable speakers: {(first - second).min():.2g}")

# %%
# A label can differ only if the probabilities of two speakers are as close as that.
#
# Time
# ----
# For one utterance, the ONNX runtime is much faster, because it checks nothing and runs no Python code. For all
# utterances at once, the network itself takes most of the time.


def milliseconds(predict, *arguments, n_repeats=30):
    """Median time of a call."""
    times = []
    for _ in range(n_repeats):
        start = perf_counter()
        predict(*arguments)
        times.append(1000 * (perf_counter() - start))
    return np.median(times)


one = {name: values[:1] for name, values in inputs.items()}
times = {
    "one": (
        milliseconds(model.predict_proba, X_test[:1]),
        milliseconds(session.run, None, one),
    ),
    f"all {len(X_test)}": (
        milliseconds(model.predict_proba, X_test),
        milliseconds(session.run, None, inputs),
    ),
}
for which, (here, runtime) in times.items():
    print(f"{which:<8} predict_proba {here:7.3f} ms, onnxruntime {runtime:7.3f} ms")

folder.cleanup()

# %%
# The plot at the bottom shows the largest difference between the nine probabilities of each utterance. It is at most some
# units in the last place of a float32 near 1. So the difference is only rounding.

figure, axes = plt.subplot_mosaic(
    [["size", "time"], ["difference", "difference"]],
    figsize=(6.4, 4.8),
    layout="constrained",
)
kib = [size / 1024 for size in sizes.values()]
bars = axes["size"].barh(list(sizes), kib, color=["0.7", "#009E73", "#0072B2", "#D55E00"])
axes["size"].bar_label(bars, fmt="%.0f", padding=3)
axes["size"].set(xlabel="size (KiB)", xlim=(0, 1.2 * max(kib)))
axes["size"].invert_yaxis()
styles = {"predict_proba": ("#0072B2", "o-"), "onnxruntime": ("#009E73", "s--")}
for place, (name, (color, style)) in enumerate(styles.items()):
    values = [pair[place] for pair in times.values()]
    axes["time"].plot(list(times), values, style, color=color, label=name)
axes["time"].set(
    xlabel="utterances", ylabel="time (ms)", yscale="log", xlim=(-0.3, 1.3), ylim=(None, 30)
)
axes["time"].legend(loc="upper left")
units = difference.max(axis=1) / np.finfo(np.float32).eps
axes["difference"].hist(units, bins=np.arange(0, units.max() + 0.25, 0.25), color="#009E73")
axes["difference"].set(
    xlabel="largest |ONNX - predict_proba|, in units of float32's eps",
    ylabel="utterances",
    xlim=(0, None),
)
plt.show()
