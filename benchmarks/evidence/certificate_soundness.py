"""Can any attack leave the certified bounds?

**Networks.** Random networks are LSTM, GRU and ReLU in one and two layers, with and without a linear part. Their forget
biases go up to 10 and their weights from small to very large, in float32 and float64. Trained networks have no penalty,
the penalty, the penalty of a proved gain, or robust training. Boxes have eps from 1e-6 to 1, around random or unseen
inputs. Projected gradients, upwards and downwards, and random corners attack every box. Each attacked input is
evaluated twice: by torch's kernels in the dtype of the weights, and in float64. Both results must lie within the bounds
of every method. The costly method `linear` is tried in a share of the cases. A case is one network, one sample and one
eps.

**Compositions.** Targets pass through logarithms, roots, Box-Cox and Yeo-Johnson. Inputs are arrays, rows of a table,
ragged lists, and frames whose sizes have the names of their columns in another order. There are scalers, frozen parts
and searches around networks of all kinds. The attack is on `predict` of the whole. A case is one composition, one
sample and one eps.

**Labels.** Radii are in units of each channel, accuracies are by three methods, both on lists of unequal length. A case
is a radius, or a sample that is certified at some eps.

**Gains.** `certified_gain_` is attacked over sequences of 3,000 steps with inputs within the range of the training
data. A case is one sequence, one kind and one size of disturbance.

An attack that finds nothing may be a weak one. Each attack therefore also runs against wrong bounds: bounds narrower by
a tenth of their width, radii larger by a ninth, gains smaller by a tenth. There it must find something.
"""

import time
import warnings

import numpy as np
import pandas as pd
import torch
from sklearn.compose import TransformedTargetRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, PowerTransformer, StandardScaler

from benchmarks.common.model_attacks import GAIN_SIZES, GAIN_STEPS, attack_gain, attack_labels, attack_limits
from benchmarks.common.series import forecasting_task
from sklstm import (
    NoisyRNNClassifier,
    TikhonovGRUClassifier,
    TikhonovGRURegressor,
    TikhonovLSTMClassifier,
    TikhonovLSTMRegressor,
)
from sklstm.datasets import load_bike_sharing, load_japanese_vowels
from sklstm.preprocessing import SequenceScaler, sliding_windows
from tests.support.attacks import EPS, WITH_LINEAR, attacked, random_networks
from tests.support.records import table
from tests.support.suite import campaign, regenerate

NAME = "certificate_soundness"
N_PARTS, N_NETWORKS, N_SAMPLES = 43, 8, 280  # of random networks
N_CORNERS, N_STEPS = 2, 3  # of attacks on limits
N_LABEL_STEPS = 10
NONE = {"lambda_s": 0.0, "lambda_1": 0.0, "lambda_2": 0.0}
PLAIN = {"skip": "none"}
BRIEF = {"hidden_size": 16, "max_epochs": 15, "random_state": 0}
#: How the forecasters are trained, by what tables call them.
TRAININGS = {
    "plain": [PLAIN | NONE],
    "penalty": [PLAIN, {}, {"num_layers": 2}],
    "stable": [PLAIN | {"variant": "stable"}, {"variant": "stable", "lambda_s": 0.003}],
    "robust": [
        {"robust_eps": 0.05},
        PLAIN | {"robust_eps": 0.1},
        {"robust_eps": 0.05, "robust_weight": 0.0},
        {"robust_eps": 0.05, "robust_weight": 0.2, "robust_box": 0.1, "num_layers": 2},
    ],
}


def n_linear(module, n_boxes, n_steps):
    """For how many boxes the costly method is affordable: its work grows with the squares of units and steps."""
    work = (module.recurrent.num_layers * n_steps * module.recurrent.hidden_size) ** 2
    return int(np.clip(1.5e7 / work, 8, n_boxes // 8))


def attack_network(module, X, generator):
    """Counts [cases, violations, cases with linear, caught], and the caught by eps."""
    n = len(X)
    eps = torch.tensor(EPS, dtype=torch.float64).repeat_interleave(n)[:, None, None]
    X = torch.as_tensor(X, dtype=torch.float64).repeat(len(EPS), 1, 1)
    found = attacked(module, X, eps, generator, N_STEPS, n_linear(module, len(X), X.shape[1]), N_CORNERS)
    counts = [len(X), *(int(part.sum()) for part in (found.outside, found.linear, found.caught))]
    return np.array(counts), found.caught.view(len(EPS), n).sum(dim=1).numpy()


def random_part(number):
    kinds, caught, n = {}, np.zeros(len(EPS), dtype=int), 0
    generator = torch.Generator().manual_seed(2000 + number)
    for settings, module, n_steps in random_networks(N_NETWORKS, seed=1000 + number):
        X = torch.randn(N_SAMPLES, n_steps, settings["n_features"], generator=generator, dtype=torch.float64)
        counts, by_eps = attack_network(module, X, generator)
        kinds[module.kind] = kinds.get(module.kind, 0) + counts
        caught, n = caught + by_eps, n + N_SAMPLES
    return {"counts": kinds, "caught": caught.tolist(), "each": n}


def forecasters_part(series):
    kinds, caught, n = {}, np.zeros(len(EPS), dtype=int), 0
    generator = torch.Generator().manual_seed(7)
    X, y, X_test, _ = forecasting_task(series, n_train=800, n_test=300)
    for cell, kind in (("lstm", TikhonovLSTMRegressor), ("gru", TikhonovGRURegressor)):
        for training, settings in TRAININGS.items():
            for parameters in settings:
                model = kind(**BRIEF | parameters).fit(X, y)
                counts, by_eps = attack_network(model.net_.module_, X_test, generator)
                name = f"{cell}{'' if model.skip == 'none' else WITH_LINEAR}, {training}"
                kinds[name] = kinds.get(name, 0) + counts
                caught, n = caught + by_eps, n + len(X_test)
    return {"counts": kinds, "caught": caught.tolist(), "each": n}


def vowels():
    """Ragged lists, standardised, and labels."""
    train, test = load_japanese_vowels(padded=False), load_japanese_vowels(subset="test", padded=False)
    scaler = SequenceScaler(with_mean=False).fit(train.data)
    return scaler.transform(train.data), train.target, scaler.transform(test.data), test.target


def classifiers():
    """Name and estimator, to be fitted."""
    common = {"hidden_size": 16, "max_epochs": 30, "random_state": 0}
    for cell, kind in (("lstm", TikhonovLSTMClassifier), ("gru", TikhonovGRUClassifier)):
        yield f"{cell}, penalty", kind(**common)
        yield f"{cell}, stable", kind(variant="stable", **common)
        yield f"{cell}, robust", kind(robust_eps=0.05, **common)
    yield "relu, plain", NoisyRNNClassifier(**common)
    yield "relu, noise", NoisyRNNClassifier(sigma=0.3, **common)
    yield "relu, robust", NoisyRNNClassifier(robust_eps=0.1, **common)
    yield "tanh, plain", NoisyRNNClassifier(activation="tanh", **common)
    yield "tanh, robust", NoisyRNNClassifier(activation="tanh", robust_eps=0.1, **common)
    yield "relu, three frames", NoisyRNNClassifier(robust_eps=0.1, **common)
    yield "gru, three frames", TikhonovGRUClassifier(robust_eps=0.05, **common)


def labels_part(name):
    (estimator,) = (each for key, each in classifiers() if key == name)
    X, y, X_test, y_test = vowels()
    if name.endswith("three frames"):  # where little is lost on the way
        X, X_test = ([x[-3:] for x in part] for part in (X, X_test))
    rng = np.random.default_rng(3)
    spread = np.concatenate(X).std(axis=0)
    model = estimator.fit(X, y)
    if name.startswith("relu"):  # through a pipeline too
        model = make_pipeline(SequenceScaler(with_mean=False), estimator).fit(X, y)
    counts = {}
    for method, n in (("best", len(X_test)), ("linear", 30), ("auto", 60)):
        some = np.arange(0, len(X_test), len(X_test) // n)[:n]
        sizes = (0.001, 0.01, 0.03, 0.1)
        tried = [X_test[i] for i in some], y_test[some]
        counts[f"labels, {method}"] = attack_labels(model, *tried, spread, sizes, method, rng, N_LABEL_STEPS)
    return {"counts": counts}


NAMES = ["bikes", "temperature", "humidity", "hour"]
TARGETS = {
    "log": {"func": np.log, "inverse_func": np.exp},
    "log1p": {"func": np.log1p, "inverse_func": np.expm1},
    "log2": {"func": np.log2, "inverse_func": np.exp2},
    "sqrt": {"func": np.sqrt, "inverse_func": np.square},
    "Box-Cox": {"transformer": PowerTransformer("box-cox")},
    "Yeo-Johnson": {"transformer": PowerTransformer()},
    "log1p, scaled": {"transformer": make_pipeline(FunctionTransformer(np.log1p, np.expm1), StandardScaler())},
}
FORMS = ("array", "rows", "ragged list", "frames, labelled", "table, labelled")
INSIDE = [
    (TikhonovLSTMRegressor, {}),
    (TikhonovGRURegressor, PLAIN),
    (TikhonovLSTMRegressor, {"robust_eps": 0.05}),
    (TikhonovGRURegressor, {"num_layers": 2}),
    (TikhonovLSTMRegressor, PLAIN | {"variant": "stable"}),
    (TikhonovGRURegressor, PLAIN | {"robust_eps": 0.05, "robust_weight": 0.2}),
    (TikhonovLSTMRegressor, PLAIN | NONE | {"num_layers": 2}),
]
WRAPPINGS = ("as it is", "frozen scaler", "frozen", "search")


def bike_windows(n_train=500, n_test=600, window=12):
    """Rentals, weather and hours in their own units, the rentals of the next hour, and later windows."""
    bikes = load_bike_sharing()
    channels = [bikes.feature_names.index(name) for name in ("cnt", "temp", "hum", "hour")]
    X, y = sliding_windows(bikes.data[:, channels] * [1, 41, 100, 1], window=window, target=0, stride=7)
    return X[:n_train], y[:n_train] + 1.0, X[n_train + 2 :][:n_test]


def formed(X, form):
    """Sequences (n, L, d) in another form."""
    if form == "array":
        return X
    if form == "rows":
        return X.reshape(len(X), -1)
    if form == "ragged list":
        return [x[i % 5 :] for i, x in enumerate(X)]
    if form == "frames, labelled":
        return [pd.DataFrame(x[i % 3 :], columns=NAMES) for i, x in enumerate(X)]
    columns = [f"{name} {step}" for step in range(X.shape[1]) for name in NAMES]
    return pd.DataFrame(X.reshape(len(X), -1), columns=columns)


def sizes_for(X, form, each, rng):
    """``eps`` as users give it, and radii in the shape of the numbers of X; each (d,), permuted where it has labels."""
    if form == "frames, labelled":
        order = rng.permutation(len(NAMES))
        labelled = pd.Series({NAMES[i]: each[i] for i in order})
        by_step = [each * rng.uniform(0, 1, x.shape) for x in X]
        frames = [pd.DataFrame(part, columns=NAMES)[labelled.index] for part in by_step]
        same = np.tile(each, (sum(map(len, X)), 1))
        ways = (labelled, same), (labelled.to_dict(), same), (frames, np.concatenate(by_step))
        return ways[rng.integers(len(ways))]
    if form == "table, labelled":
        by_column = rng.uniform(0, 1, X.shape[1]) * np.tile(each, X.shape[1] // len(each))
        order = rng.permutation(X.shape[1])
        return pd.Series(by_column[order], index=X.columns[order]), np.tile(by_column, (len(X), 1))
    if form == "rows":
        return each, np.tile(each, (len(X), X.shape[1] // len(each)))
    return each, np.tile(each, (sum(map(len, X)), 1))


def composed(target, form, kind, parameters):
    """A composition, to be fitted."""
    network = kind(**BRIEF | {"hidden_size": 8} | parameters)
    scaler = StandardScaler() if form in ("rows", "table, labelled") else SequenceScaler()
    if form in ("rows", "table, labelled"):
        network.set_params(n_channels=len(NAMES))
    pipeline = make_pipeline(scaler, network)
    return TransformedTargetRegressor(pipeline, **TARGETS[target])


def fitted(model, X, y, wrapping):
    if wrapping == "frozen scaler":
        scaler = FrozenEstimator(model.regressor[0].fit(X))
        model = model.set_params(regressor=make_pipeline(scaler, model.regressor[-1]))
    if wrapping == "search":
        return GridSearchCV(model, {f"regressor__{model.regressor.steps[-1][0]}__sigma": [0.0]}, cv=2).fit(X, y)
    model = model.fit(X, y)
    return FrozenEstimator(model) if wrapping == "frozen" else model


def compositions_part(number, target):
    """Every form of the inputs with one kind of target; networks and wrappings take turns."""
    rng = np.random.default_rng(50 + number)
    X, y, X_test = bike_windows()
    spread = X.std(axis=(0, 1))
    counts = {}
    for place, form in enumerate(FORMS):
        turn = number + 3 * place
        kind, parameters = INSIDE[turn % len(INSIDE)]
        wrapping = WRAPPINGS[turn % len(WRAPPINGS)]
        model = fitted(composed(target, form, kind, parameters), formed(X, form), y, wrapping)
        tried = formed(X_test, form)
        for size in (1e-3, 0.01, 0.05, 0.2):
            eps, radii = sizes_for(tried, form, size * spread * rng.choice([0.3, 1.0], len(spread)), rng)
            found = attack_limits(model, tried, eps, radii, rng, 30, N_STEPS)
            for key in (f"target: {target}", f"inputs: {form}"):
                counts[key] = counts.get(key, 0) + found
    return {"counts": counts}


def gains_part(number):
    rng = np.random.default_rng(number)
    X, y, _ = bike_windows()
    X, y = SequenceScaler().fit_transform(X[:, :, :2]), (y - y.mean()) / y.std()
    kinds = {
        "lstm": (TikhonovLSTMRegressor, y),
        "gru": (TikhonovGRURegressor, y),
        "lstm, labels": (TikhonovLSTMClassifier, y > 0),
        "gru, labels": (TikhonovGRUClassifier, y > 0),
    }
    found = {}
    for name, (kind, target) in kinds.items():
        for extra in ({}, {"num_layers": 2}, {"lambda_s": 0.1}, {"skip": "linear"}):
            if "skip" in extra and "labels" in name:
                continue
            plain = {} if "labels" in name else PLAIN
            settings = {"hidden_size": 8, "max_epochs": 20, "variant": "stable", "random_state": number}
            model = kind(**settings | plain | extra).fit(X, target)
            if np.isfinite(model.certified_gain_):
                counts, reached = attack_gain(model, rng)
                before = found.get(name, ([0, 0, 0], 0.0))
                found[name] = (np.add(before[0], counts).tolist(), max(before[1], round(reached, 4)))
    return {"gains": found}


def parts():
    """Names of parts, and what they do; the longest last."""
    for number, target in enumerate(TARGETS):
        yield f"compositions {target}", lambda number=number, target=target: compositions_part(number, target)
    yield "gains", lambda: gains_part(0)
    for name, _ in classifiers():
        yield f"labels {name}", lambda name=name: labels_part(name)
    for series in ("bike sharing", "Beijing PM2.5", "sunspots"):
        yield f"trained {series}", lambda series=series: forecasters_part(series)
    for number in range(N_PARTS):
        yield f"random {number}", lambda number=number: random_part(number)


def measure(options, done):
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")  # brief trainings, data in units of their own, limits that are wide on purpose
    done = {record["part"] for record in done}
    for name, action in parts():
        if name in done:
            continue
        started = time.perf_counter()
        found = action()
        if "counts" in found:
            found["counts"] = {kind: counts.tolist() for kind, counts in found["counts"].items()}
        yield {"part": name, **found, "seconds": round(time.perf_counter() - started)}


def totals(records, beginning):
    """Sums of the counts of the parts whose names begin so, by kind."""
    found = {}
    for record in records:
        if record["part"].startswith(beginning):
            for kind, counts in record["counts"].items():
                found[kind] = np.add(found.get(kind, 0), counts)
    return found


def rows_of(counts):
    """Rows of a table: kind, cases, violations, cases with linear, share caught."""
    return [
        [kind, f"{cases:,}", violations, f"{linear:,}", f"{caught / cases:.0%}"]
        for kind, (cases, violations, linear, caught) in sorted(counts.items())
    ]


def gains_of(records):
    """Cases, violations, cases caught and the largest share of a gain that was reached, by kind."""
    found = {}
    for record in records:
        for kind, (counts, reached) in record.get("gains", {}).items():
            before = found.get(kind, (np.zeros(3, dtype=int), 0.0))
            found[kind] = (before[0] + counts, max(before[1], reached))
    return found


def summary(records):
    """Cases and violations of everything."""
    counts = [totals(records, way) for way in ("random", "trained", "labels")]
    counts.append({kind: n for kind, n in totals(records, "compositions").items() if kind.startswith("target")})
    everything = sum(sum(part.values()) for part in counts)[:2]
    return tuple(int(n) for n in everything + sum(counts for counts, _ in gains_of(records).values())[:2])


def page(records):
    cases, violations = summary(records)
    header = ["cases", "violations", "cases with method linear", "caught if narrower by a tenth"]
    caught = [
        [way, *(f"{sum(r['caught'][i] for r in parts) / sum(r['each'] for r in parts):.0%}" for i in range(len(EPS)))]
        for way in ("random", "trained")
        for parts in [[r for r in records if r["part"].startswith(way)]]
    ]
    labels = [[*row[:4], row[4]] for row in rows_of(totals(records, "labels"))]
    gains = [
        [kind, f"{n:,}", bad, f"{reached:.3f}", f"{caught / n:.0%}"]
        for kind, ((n, bad, caught), reached) in sorted(gains_of(records).items())
    ]
    return (
        f"# Soundness of the certificates\n\n{__doc__.strip()}\n\n"
        f"**{cases:,} attacked cases, {violations} violations.**\n\n"
        f"## Networks\n\n{table(['random', *header], rows_of(totals(records, 'random')))}\n\n"
        f"{table(['trained', *header], rows_of(totals(records, 'trained')))}\n\n"
        f"There are {N_CORNERS} random corners and two attacks by {N_STEPS} signed gradient steps for each case. The "
        "next table shows the share of bounds narrower by a tenth that they break, by eps, for the best of the cheap "
        "bounds. It is large where the bounds are nearly exact. It is small where they are wide: in large boxes and "
        "for networks that are trained as usual. At 1e-6 in float32 the bounds are mostly about rounding.\n\n"
        f"{table(['networks', *(f'{eps:g}' for eps in EPS)], caught)}\n\n"
        f"## Compositions\n\n{table(['compositions', *header], rows_of(totals(records, 'compositions')))}\n\n"
        "Every composition is counted by its target and by its inputs.\n\n"
        f"## Labels\n\n{table(['method', *header[:3], 'radii caught, as a share of cases'], labels)}\n\n"
        f"{N_LABEL_STEPS} signed gradient steps towards another label.\n\n"
        f"## Gains\n\n"
        f"{table(['gain of', *header[:2], 'largest share of it that was reached', header[3]], gains)}\n\n"
        f"Sequences have {GAIN_STEPS:,} steps. Disturbances have the norm "
        f"{', '.join(f'{size:g}' for size in GAIN_SIZES)} at every step. They are random, constant, of alternating "
        f"sign, or along the gradient of the last output, upwards and downwards.\n\n{regenerate(NAME, records)}"
    )


if __name__ == "__main__":
    campaign(NAME, __doc__, measure, page)
