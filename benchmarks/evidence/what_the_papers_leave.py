"""Three remarks of the two papers that no experiment of theirs tries: are they so?

- Tu et al. 3.4.1: does weaker correlation between the features make a network generalise better?
- Tu et al. 3.4.2: do weight decay and clipping of the gradient make the norms and r smaller? And do networks with
  smaller ones generalise better?
- Turkin (57): where does a search for lambda_S begin? Suppose R estimated what noise of standard deviation sigma on d
  channels does to the output. Then the search would begin at d sigma^2, the mean square of the noise at a step.
"""

import itertools

import numpy as np
import torch
from scipy.special import log_softmax

from benchmarks.common.real_sets import digits
from benchmarks.common.series import SERIES, forecasting_task
from sklstm import NoisyRNNClassifier, TikhonovLSTMRegressor
from sklstm.exceptions import DivergenceError
from sklstm.generalization import fisher_rao_norm, smallest_eigenvalue
from sklstm.linalg import max_row_sum
from sklstm.metrics import make_noisy_scorer
from tests.support.records import table
from tests.support.suite import campaign, explanation, question, regenerate

NAME = "what_the_papers_leave"
CORRELATIONS = (0.0, 0.3, 0.6, 0.9, 0.99)
N_TRAIN, N_SYNTHETIC, N_TEST, N_STEPS, N_CHANNELS = 500, 200, 2000, 6, 3
SEEDS = range(5)
COMMON = {"sigma": 0.0, "max_epochs": 60, "lr": 0.003, "batch_size": 32}
TRAININGS = {
    "Adam": {"clip_norm": None},
    "Adam, clip_norm=1": {"clip_norm": 1.0},
    "Adam, clip_norm=0.1": {"clip_norm": 0.1},
    "Adam, weight_decay=0.001": {"clip_norm": None, "weight_decay": 0.001},
    "Adam, weight_decay=0.01": {"clip_norm": None, "weight_decay": 0.01},
    "Adam, clip_norm=1, weight_decay=0.01": {"clip_norm": 1.0, "weight_decay": 0.01},
    "SGD": {"optimizer": "sgd", "lr": 0.01, "clip_norm": None},
    "SGD, clip_norm=0.1": {"optimizer": "sgd", "lr": 0.01, "clip_norm": 0.1},
}
SHARES = (0.0, 1e-4, 1e-3, 1e-2, 0.09, 1.0)  # lambda_S / d; the last three are sigma^2 of the noises below
NOISES = (0.1, 0.3, 1.0)
LAMBDA_SEEDS = range(3)


def equicorrelated(n, rho, rng):
    """Gaussian sequences, all pairs of whose features have the same correlation."""
    shape = N_STEPS, N_CHANNELS
    return np.sqrt(rho) * rng.standard_normal((n, 1, 1)) + np.sqrt(1 - rho) * rng.standard_normal((n, *shape))


def teachers(rng):
    """Directions in which a label may lie: of the common part of all features, of all features, of their contrasts."""
    a = rng.standard_normal((N_STEPS, N_CHANNELS))
    return {"their sum": np.ones_like(a), "a random direction": a, "a contrast": a - a.mean()}


def synthetic(teacher, rho, seed):
    """Training and test part; a tenth of the labels is flipped."""
    rng = np.random.default_rng(seed)
    direction = teachers(rng)[teacher]
    X = equicorrelated(N_SYNTHETIC + N_TEST, rho, rng)
    y = ((X * direction).sum((1, 2)) > 0) ^ (rng.random(len(X)) < 0.1)
    return X[:N_SYNTHETIC], y[:N_SYNTHETIC], X[N_SYNTHETIC:], y[N_SYNTHETIC:]


def real(name):
    """Digits, or whether the next value of a series is above the mean: N_TRAIN sequences, and the test part."""
    if name == "digits":
        data = digits()
        return data.X[:N_TRAIN], data.y[:N_TRAIN], data.X_test, data.y_test
    X, y, X_test, y_test = forecasting_task(name, N_TRAIN)
    return X, y > 0, X_test, y_test > 0


REAL = ("digits", *SERIES)


def whitened(X, X_test, ridge=1e-2):
    """Both with a second moment of the training part that is near the identity."""
    flat = X.reshape(len(X), -1)
    values, vectors = np.linalg.eigh(flat.T @ flat / len(X))
    root = vectors / np.sqrt(values.clip(0) + ridge) @ vectors.T
    return ((part.reshape(len(part), -1) @ root).reshape(part.shape) for part in (X, X_test))


def losses(model, X, y):
    """Cross-entropy and share of errors."""
    outputs = model.decision_function(X)
    if outputs.ndim == 1:
        outputs = np.stack((np.zeros_like(outputs), outputs), 1)
    codes = np.searchsorted(model.classes_, y)
    return float(-log_softmax(outputs, axis=1)[np.arange(len(y)), codes].mean()), float(1 - model.score(X, y))


def classified(X, y, X_test, y_test, seed, **options):
    try:
        model = NoisyRNNClassifier(32, random_state=seed, **COMMON | options).fit(X, y)
    except DivergenceError:
        return {"diverged": True}
    (loss, error), (test_loss, test_error) = losses(model, X, y), losses(model, X_test, y_test)
    found = {"loss": loss, "error": error, "test_loss": test_loss, "test_error": test_error}
    weights = {name: getattr(model.net_.module_, name).detach().double() for name in "UWV"}
    found |= {f"beta_{name}": float(max_row_sum(weight)) for name, weight in weights.items()}
    return found | {"r": fisher_rao_norm(*weights.values(), X), "lambda_min": smallest_eigenvalue(X)}


def penalised(series, share, seed):
    X, y, X_test, y_test = forecasting_task(series, N_TRAIN)
    options = {"lambda_s": share * X.shape[2], "variant": "turkin"}
    if share == 0:
        options |= {"lambda_1": 0.0, "lambda_2": 0.0}
    model = TikhonovLSTMRegressor(skip="none", max_epochs=60, batch_size=32, random_state=seed, **options).fit(X, y)
    scorers = {
        noise: make_noisy_scorer("neg_mean_squared_error", noise, n_draws=3, random_state=seed)
        for noise in (0.0, *NOISES)
    }
    return {"mse": {str(noise): -scorer(model, X_test, y_test) for noise, scorer in scorers.items()}, "d": X.shape[2]}


def jobs():
    """What is measured: the key of each record, and the function that makes the rest of it."""
    for seed, rho, teacher in itertools.product(SEEDS, CORRELATIONS, teachers(np.random.default_rng(0))):
        key = {"part": "synthetic", "teacher": teacher, "rho": rho, "seed": seed}
        yield key, lambda k=key: classified(*synthetic(k["teacher"], k["rho"], k["seed"]), k["seed"])
    for seed, name, training in itertools.product(SEEDS, ("digits", "bike sharing"), TRAININGS):
        key = {"part": "norms", "set": name, "training": training, "seed": seed}
        yield key, lambda k=key: classified(*real(k["set"]), k["seed"], **TRAININGS[k["training"]])
    for seed, name, white in itertools.product(SEEDS, REAL, (False, True)):
        key = {"part": "whitened", "set": name, "white": white, "seed": seed}

        def made(k=key):
            X, y, X_test, y_test = real(k["set"])
            if k["white"]:
                X, X_test = whitened(X, X_test)
            return classified(X, y, X_test, y_test, k["seed"])

        yield key, made
    for seed, share, series in itertools.product(LAMBDA_SEEDS, SHARES, SERIES):
        key = {"part": "lambda", "share": share, "series": series, "seed": seed}
        yield key, lambda k=key: penalised(k["series"], k["share"], k["seed"])


def measure(options, done):
    torch.set_num_threads(1)
    for key, made in jobs():
        if not any(key.items() <= record.items() for record in done):
            yield key | made()


# The words were chosen after looking at the records: read them again when these change. The tables follow alone.
CORRELATION = """\
No. The stronger the correlation, the smaller the gap, though λ_min falls with it. With strong correlation there are
fewer directions in which a network can overfit. Whether the test error falls depends on the direction of the label.
It falls in the direction of large variance, which is the sum of all features, and in a random direction. In
contrasts of the features, whose variance the correlation removes, the test error stays, and only the training error
rises to it. Whitened real inputs are easier to memorise. On three of four sets the gap and the test error are larger
with whitening. On the fourth the test error is no smaller."""
NORMS = """\
A weight decay of 0.01 makes all four numbers smaller. Clipping does not. The steps of Adam do not depend on the size
of the gradient: with clipping all four numbers are larger than without, and so is the test loss. With gradient
descent they are smaller because training has not progressed as far. Clipping keeps gradient descent from diverging.
The numbers do not order the networks either. With gradient descent on bike sharing, two trainings without clipping
did not diverge. They have by far the largest numbers and the smallest test error. Weight decay and clipping together
are the best of Adam's rows."""
LAMBDA = """\
Not at dσ²: there the penalty is ten to a hundred times too strong, and on the series of 11 channels mostly worse
than no penalty. R is a chain of inequalities and is larger than the effect of noise. But the scale is right. In
every row the least error, up to 2 %, is at about dσ²/100 or dσ²/10, and never beyond. So begin at dσ²/100, and go up
to dσ²/10."""


def of(records, **key):
    return [record for record in records if key.items() <= record.items()]


def mean(records, name):
    return np.mean([record[name] for record in records])


def cell(records, name):
    """Mean and standard error."""
    values = np.array([record[name] for record in records])
    if len(values) == 1:
        return f"{values[0]:.3f}"
    return f"{values.mean():.3f} ± {values.std(ddof=1) / len(values) ** 0.5:.3f}"


def gap(records):
    gaps = [{"gap": record["test_loss"] - record["loss"]} for record in records]
    return cell(gaps, "gap")


GAPS = ("loss in training", "loss in the test", "gap", "error in training", "error in the test", "λ_min")


def gaps(records):
    found = [cell(records, "loss"), cell(records, "test_loss"), gap(records)]
    return [*found, cell(records, "error"), cell(records, "test_error"), f"{mean(records, 'lambda_min'):.2g}"]


def correlation_tables(records):
    rows = []
    for teacher, rho in itertools.product(teachers(np.random.default_rng(0)), CORRELATIONS):
        rows.append([teacher, rho, *gaps(of(records, part="synthetic", teacher=teacher, rho=rho))])
    yield table(("the label lies in", "ρ", *GAPS), rows)
    rows = []
    for name, white in itertools.product(REAL, (False, True)):
        inputs = "whitened" if white else "standardised"
        rows.append([name, inputs, *gaps(of(records, part="whitened", set=name, white=white))])
    yield table(("set", "inputs", *GAPS), rows)


def norms_table(records):
    rows = []
    for name, training in itertools.product(("digits", "bike sharing"), TRAININGS):
        every = of(records, part="norms", set=name, training=training)
        mine = [record for record in every if "diverged" not in record]
        if len(mine) < len(every):
            training += f" ({len(every) - len(mine)} of {len(every)} diverged)"
        if not mine:
            rows.append([name, training, *["–"] * 7])
            continue
        norms = [f"{mean(mine, key):.3g}" for key in ("beta_U", "beta_W", "beta_V", "r")]
        rows.append([name, training, *norms, cell(mine, "loss"), cell(mine, "test_loss"), cell(mine, "test_error")])
    header = ("set", "training", "β_U", "β_W", "β_V", "r", "loss in training", "loss in the test", "error in the test")
    return table(header, rows)


def errors_by_share(records, series, noise):
    """Mean squared error in the test under noise, by lambda_S / d."""
    found = {}
    for share in SHARES:
        mine = of(records, part="lambda", series=series, share=share)
        found[share] = float(np.mean([record["mse"][str(noise)] for record in mine]))
    return found


def lambda_table(records):
    """The error at d sigma^2 is in bold, the least of a row has a star."""
    rows = []
    for series, noise in itertools.product(SERIES, NOISES):
        found = errors_by_share(records, series, noise)
        least = min(found.values())
        cells = []
        for share, value in found.items():
            text = f"{value:.3g}" + "\\*" * (value == least)
            cells.append(f"**{text}**" if np.isclose(share, noise**2) else text)
        d = of(records, part="lambda", series=series)[0]["d"]
        rows.append([f"{series}, d = {d}", noise, *cells])
    return table(("series", "noise σ", *(f"λ_S = {share:g} d" for share in SHARES)), rows)


def page(records):
    first, second = correlation_tables(records)
    n_lambda = len({record["seed"] for record in of(records, part="lambda")})
    return (
        f"# What the papers leave to try\n\n{question(__doc__)}\n\n{explanation(__doc__)}\n\n"
        f"Numbers are means over {len(SEEDS)} seeds ± their standard error. Networks of Tu et al. have 32 ReLU units "
        "and no noise in training. They train for 60 epochs in batches of 32 with Adam at 0.003 falling along a "
        "cosine. Gradients are clipped at norm 1 unless the table says otherwise.\n\n"
        f"## Weaker correlation (3.4.1)\n\n{CORRELATION}\n\n"
        f"Gaussian sequences have {N_STEPS} steps and {N_CHANNELS} channels of unit variance. All pairs of the "
        f"{N_STEPS * N_CHANNELS} features have the correlation ρ. The label is the sign of a linear function of them, "
        f"with a tenth of the labels flipped. There are {N_SYNTHETIC} sequences to train on.\n\n{first}\n\n"
        f"Real sets have {N_TRAIN} sequences to train on. Either each channel is standardised, or all features of a "
        "sequence are multiplied by (Ξ + 0.01)^(−1/2), where Ξ is the second moment of the training part. The labels "
        f"of the series say whether the next value is above the mean.\n\n{second}\n\n"
        f"## Weight decay and clipping (3.4.2)\n\n{NORMS}\n\n{norms_table(records)}\n\n"
        f"## Where to begin\n\n{LAMBDA}\n\n"
        f"Mean squared errors of forecasts in the test, the inputs with noise σ, over {n_lambda} seeds: "
        f'{N_TRAIN} windows, the variant "turkin", `skip="none"`, 60 epochs, batches of 32. The error at λ_S = dσ² is '
        "in bold, and the least of a row has a star. λ_S = 0 is without a penalty.\n\n"
        f"{lambda_table(records)}\n\n{regenerate(NAME, records)}"
    )


if __name__ == "__main__":
    campaign(NAME, __doc__, measure, page)
