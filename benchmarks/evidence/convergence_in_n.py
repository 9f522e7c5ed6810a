"""Which terms of the bounds fall with the number of sequences, the weights held fixed?

A small NoisyRNNClassifier learns from six hours of bike sharing whether the next hour brings more rentals than the
last. Its row sums are limited in training, so that the norms are the same constants for every n. Theorem 2 of Tu et al.
2020 and the bound that falls with n are then evaluated on nested random parts of the sample.
"""

import numpy as np
import torch

from sklstm import NoisyRNNClassifier
from sklstm.datasets import load_bike_sharing
from sklstm.generalization import rademacher_bound, tu_bound
from sklstm.preprocessing import sliding_windows
from tests.support.records import table
from tests.support.suite import campaign, explanation, question, regenerate

NAME = "convergence_in_n"
WINDOW = 6
LIMITS = {"u": 1.0, "w": 0.5, "v": 1.0}
HALVINGS = 6
# Okabe and Ito's colours, told apart by most people who do not tell red from green; markers and dashes besides.
CURVES = {
    "norm term of Theorem 2": ("norm_term", "#D55E00", "s", "-"),
    "Fisher-Rao term of Theorem 2": ("fisher_rao_term", "#E69F00", "^", "--"),
    "complexity term of the convergent bound": ("complexity_term", "#0072B2", "o", "-"),
}


def task():
    """Disjoint windows X (n, 6, 4), z-scored, in random order, with the label 1 where rentals rise."""
    data = load_bike_sharing().data[:, [0, 1, 3, 4]]  # rentals, temperature, humidity, wind speed
    data[:, 0] = np.log1p(data[:, 0])
    data = (data - data.mean(axis=0)) / data.std(axis=0)
    X, following = sliding_windows(data, WINDOW, target=0)
    part = np.random.default_rng(0).permutation(
        np.arange(0, len(X), WINDOW + 1)
    )  # a window and its label share nothing
    return X[part], (following[part] > X[part, -1, 0]).astype(int)


def measure(options, done):
    if done:
        return
    torch.set_num_threads(1)
    X, y = task()
    limits = {f"max_norm_{letter}": limit for letter, limit in LIMITS.items()}
    model = NoisyRNNClassifier(hidden_size=8, sigma=0.0, max_epochs=60, lr=0.01, random_state=0, **limits).fit(X, y)
    weights = [getattr(model.net_.module_, letter).detach().double() for letter in "UWV"]
    for j in range(HALVINGS, -1, -1):
        n = len(X) // 2**j
        theorem_2 = tu_bound(*weights, X[:n], y[:n], max_norms=LIMITS)
        convergent = rademacher_bound(*weights, X[:n], y[:n], max_norms=LIMITS)
        yield {
            "n": n,
            "norm_term": theorem_2.norm_term,
            "fisher_rao_term": theorem_2.fisher_rao_term,
            "complexity_term": convergent.complexity_term,
            "theorem_2": theorem_2.value,
            "convergent": convergent.value,
            "train_error": round(1 - model.score(X, y), 4),  # of all
        }


def picture(records, path):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import NullLocator, ScalarFormatter

    n = np.array([record["n"] for record in records])
    figure, ax = plt.subplots(figsize=(7.2, 4.6), layout="constrained")
    for label, (field, colour, marker, line) in CURVES.items():
        values = np.array([record[field] for record in records])
        finite = np.isfinite(values)
        ax.plot(n[finite], values[finite], color=colour, marker=marker, linestyle=line, linewidth=1.8, label=label)
    start = records[0]["complexity_term"]
    ax.plot(n, start * np.sqrt(n[0] / n), color="0.35", linestyle=":", linewidth=1, label="slope of 1/√n")
    ax.axhline(1, color="0.6", linewidth=0.8)
    ax.annotate(
        "1: above it nothing is said", (n[0], 1), xytext=(0, 4), textcoords="offset points", color="0.35", fontsize=9
    )
    ax.set(xscale="log", yscale="log", xlabel="n, sequences", ylabel="term of the bound on the error probability")
    ax.set_xticks(n)
    ax.xaxis.set_major_formatter(ScalarFormatter())
    ax.xaxis.set_minor_locator(NullLocator())
    ax.grid(alpha=0.25, which="both", linewidth=0.5)
    ax.set_title("Same weights, more data: bike sharing, L = 6, d = 4", fontsize=11)
    figure.legend(loc="outside lower center", ncols=2, fontsize=9)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def page(records):
    fields = [field for field, *_ in CURVES.values()] + ["theorem_2", "convergent"]
    rows = [[record["n"], *(f"{record[field]:.3g}" for field in fields)] for record in records]
    first, last = records[0], records[-1]
    limits = ", ".join(f"β_{letter.upper()} = {limit:g}" for letter, limit in LIMITS.items())
    return (
        f"# Bounds and the number of sequences\n\n{question(__doc__)}\n\n{explanation(__doc__)}\n\n"
        f"![Terms of both bounds against n]({NAME}.png)\n\n"
        f"L = {WINDOW}, d = 4, two classes; limits {limits}; margin parameter α = 1.\n\n"
        f"{table(['n', *CURVES, 'Theorem 2', 'convergent bound'], rows)}\n\n"
        f"From n = {first['n']} to {last['n']:,} the complexity term of the convergent bound falls to a factor "
        f"{last['complexity_term'] / first['complexity_term']:.2f}, where 1/√n falls to "
        f"{(first['n'] / last['n']) ** 0.5:.2f}. The norm term of Theorem 2 changes from {first['norm_term']:.1f} to "
        f"{last['norm_term']:.1f}. The bound itself is not below 1, because the network's margins are small compared "
        f"with α (training error {last['train_error']:.3f}). The ramp loss is most of it. Why one falls and the other "
        f"does not is in [the theory](../theory/convergent_bound.md).\n\n{regenerate(NAME, records)}"
    )


if __name__ == "__main__":
    campaign(NAME, __doc__, measure, page, picture)
