"""Quickstart: two estimators on real data, under a minute on two cores.

1. Forecast the fine dust of Beijing with an LSTM, trained for the errors that sensors have, and certify how far such
   errors can move a forecast.
2. Tell nine speakers apart by how they say one vowel, and print what theory guarantees about the answer.
3. Save both, load them in another process, and draw ``quickstart_output/quickstart.png``.

Run from anywhere: ``python examples/quickstart.py [--output FOLDER]``. Needs matplotlib (the extra ``plot``).
"""

import argparse
import importlib.util
import math
import subprocess
import sys
import textwrap
import time
import warnings
from pathlib import Path

STARTED = time.perf_counter()  # before the imports, which are part of the wait
if importlib.util.find_spec("matplotlib") is None:
    sys.exit("The quickstart draws a picture and needs matplotlib: pip install -c constraints.txt '.[plot]'")

import joblib
import numpy as np
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from _quickstart_picture import draw
from sklstm import (
    Compression,
    NoisyRNNClassifier,
    TikhonovLSTMRegressor,
    certify,
    generalization_report,
)
from sklstm.datasets import load_beijing_pm25, load_japanese_vowels
from sklstm.exceptions import WideCertificateWarning
from sklstm.metrics import make_noisy_scorer
from sklstm.preprocessing import sliding_windows

WINDOW, HORIZON = 24, 3  # a day of hours in, the concentration three hours later out
CHANNELS = ["pm2.5", "dew point", "temperature", "pressure", "wind"]
NOISE = (0.0, 0.1, 0.3, 0.5, 1.0)  # standard deviations of the test noise, in each channel's own
CERTIFIED = 0.1  # deviations by which every input may be off, for the certificate, and for the training
EXPECTED_NOISE = 0.5  # what the searches tune for
SEEDS = (0, 1, 2)
STRETCH = np.datetime64("2014-10-20T00")  # days of the test period to draw
EPOCHS = 25
GRIDS = {"lambda_s": [0.3, 3.0, 30.0], "weight_decay": [0.003, 0.03, 0.3]}
# For the report: a network of two units in about a hundred bits, for a bound from the training windows alone.
SMALL = Compression(2, epochs=60, stage_epochs=3, batch_size=64, coarseness=(16.0,))
PLAIN = {f"regressor__lstm__{name}": 0.0 for name in ("lambda_s", "lambda_1", "lambda_2")}
LABELS = {"plain": "plain", "decay": "weight decay", "tikhonov": "Tikhonov penalty", "robust": "robust"}

RELOAD = """
import sys, joblib, numpy as np
folder = sys.argv[1]
data = np.load(folder + "/inputs.npz")
for name in data.files:
    np.save(f"{folder}/{name}_reloaded.npy", joblib.load(f"{folder}/{name}.joblib").predict(data[name]))
"""


def step(text):
    print(f"\n[{time.perf_counter() - STARTED:4.1f} s] {text}", flush=True)


# ---------------------------------------------------------------------------------------------- regression


def load_air():
    """Hourly series (n_hours, 5), dust and wind in logarithms, the dust, the hours when it was measured, their times."""
    air = load_beijing_pm25()
    measured = ~np.isnan(air.target)
    last = np.maximum.accumulate(np.where(measured, np.arange(len(measured)), 0))
    series = air.data[:, : len(CHANNELS)].copy()
    dust = air.target[last]  # gaps carry the last measurement forward; nothing looks ahead
    series[:, 0] = np.log1p(dust)
    series[:, 4] = np.log1p(series[:, 4])
    return series[24:], dust[24:], measured[24:], air.times[24:]  # the first day has no measurement


def forecasting_task(series, dust, measured):
    """Train and test windows as rows of a table; no two windows share an hour, and test comes after train."""
    X, _, hour = sliding_windows(
        series, WINDOW, HORIZON, target=0, stride=WINDOW + HORIZON, times=np.arange(len(series))
    )
    X, hour = X[measured[hour]].reshape(-1, WINDOW * len(CHANNELS)), hour[measured[hour]]  # score measured hours only
    y, n_train = dust[hour], int(0.7 * len(X))
    return X[:n_train], y[:n_train], X[n_train:], y[n_train:], hour[n_train]


def make_model():
    lstm = TikhonovLSTMRegressor(
        hidden_size=16, n_channels=len(CHANNELS), max_epochs=EPOCHS, random_state=0
    )
    pipeline = Pipeline([("scale", StandardScaler()), ("lstm", lstm)])
    # The network learns logarithms; forecasts and certified limits are in µg/m³.
    logarithms = Pipeline([("log", FunctionTransformer(np.log1p, np.expm1)), ("scale", StandardScaler())])
    return TransformedTargetRegressor(pipeline, transformer=logarithms)


def relative_error(model, X, y, sigma, n_draws=5):
    """Mean squared error of logarithms over that of their training mean, with noise of ``sigma`` input deviations."""
    noise = sigma * model.regressor_["scale"].scale_
    error = make_noisy_scorer("neg_mean_squared_log_error", noise, n_draws=n_draws)
    return -error(model, X, y) / model.transformer_["scale"].var_[0]


def score_under_noise(model, X, y):
    """What the searches maximise: with clean validation data they would always choose the weakest penalty."""
    return -relative_error(model, X, y, EXPECTED_NOISE)


def search(model, parameter, X, y):
    """The model with the value of ``parameter`` that validates best; every fold trains on its past only."""
    grid = {f"regressor__lstm__{parameter}": GRIDS[parameter]}
    found = GridSearchCV(
        model, grid, scoring=score_under_noise, cv=TimeSeriesSplit(2), n_jobs=2, refit=False, verbose=2
    ).fit(X, y)
    scores = zip(GRIDS[parameter], -found.cv_results_["mean_test_score"], strict=True)
    print(f"  validation error at noise {EXPECTED_NOISE}:", ", ".join(f"{error:.3f} with {v:g}" for v, error in scores))
    print(f"  chosen: {parameter} = {found.best_params_[f'regressor__lstm__{parameter}']:g}")
    return clone(model).set_params(**found.best_params_)


def fit_with_seed(name, model, seed, X, y):
    model = clone(model).set_params(regressor__lstm__random_state=seed, regressor__lstm__compression=SMALL)
    return name, seed, model.fit(X, y)


def fit_all(models, X, y):
    """Every model from every seed, {name: [fitted models]}."""
    tasks = [(name, models[name], seed) for seed in SEEDS for name in models]
    fitted = {name: [] for name in models}
    results = joblib.Parallel(n_jobs=2, return_as="generator")(
        joblib.delayed(fit_with_seed)(*task, X, y) for task in tasks
    )
    for name, seed, model in results:
        fitted[name].append(model)
        print(f"  seed {seed}: {LABELS[name]} fitted", flush=True)
    return fitted


def error_table(fitted, X, y):
    """{name: errors (n_seeds, n_noise)}, with the forecast 'as it is now' as yardstick; printed as means."""
    errors = {
        name: np.array([[relative_error(model, X, y, sigma) for sigma in NOISE] for model in models])
        for name, models in fitted.items()
    }
    now, scale = X[:, -len(CHANNELS)], fitted["plain"][0].regressor_["scale"].scale_[-len(CHANNELS)]
    variance = fitted["plain"][0].transformer_["scale"].var_[0]
    # Independent noise adds its own variance to the error of a forecast that repeats the last value.
    unchanged = np.array([np.mean((now - np.log1p(y)) ** 2) + (sigma * scale) ** 2 for sigma in NOISE]) / variance
    print(f"\n  {'test error at input noise':<28}" + "".join(f"{sigma:>8}" for sigma in NOISE))
    for name, values in errors.items():
        print(f"  {LABELS[name]:<28}" + "".join(f"{value:8.3f}" for value in values.mean(axis=0)))
    print(f"  {'(repeating the last value)':<28}" + "".join(f"{value:8.3f}" for value in unchanged))
    return errors, unchanged


def explain_errors(errors):
    plain, decay, tikhonov, robust = (errors[name].mean(axis=0) for name in LABELS)
    helps = next((sigma for sigma, a, b in zip(NOISE, tikhonov, plain, strict=True) if a < b), None)
    print(f"\n  1 is the error of predicting the mean; averages over {len(SEEDS)} seeds and 5 draws of the noise.")
    print(
        f"  On clean inputs the penalty changes the error by {100 * (tikhonov[0] / plain[0] - 1):+.0f} %,",
        end=" ",
    )
    print(f"at noise 1 by {100 * (tikhonov[-1] / plain[-1] - 1):+.0f} %;", end=" ")
    print("it never helped here." if helps is None else f"it pays from noise {helps:g} on.")
    print(f"  Against a weight decay chosen as carefully: {100 * (tikhonov[0] / decay[0] - 1):+.0f} % clean,", end=" ")
    print(f"{100 * (tikhonov[-1] / decay[-1] - 1):+.0f} % at noise 1.")
    print(f"  Robust training, against plain: {100 * (robust[0] / plain[0] - 1):+.0f} % clean,", end=" ")
    print(f"{100 * (robust[-1] / plain[-1] - 1):+.0f} % at noise 1, and what it is for: see certified move below.")


def certified(model, X):
    """Limits of the forecasts for all errors of up to `CERTIFIED` deviations in every input."""
    # What a plain network allows is far too wide: that is to be seen.
    with warnings.catch_warnings(action="ignore", category=WideCertificateWarning):
        return certify(model, X, eps=CERTIFIED * model.regressor_["scale"].scale_)


def certified_move(model, X):
    """How far such errors can move a forecast at most, in µg/m³: half of the width of the limits, in the median."""
    lower, upper = certified(model, X)
    return np.median(upper - lower) / 2


def describe(fitted, X, bound):
    columns = f"{'rho_x_':>10}{'rho_h_':>10}{'perturbation_gain_':>20}{'certified move':>16}"
    print(f"\n  {'of seed 0':<28}{columns}")
    for name, models in fitted.items():
        lstm = models[0].regressor_["lstm"]
        gains = f"{lstm.rho_x_:10.3g}{lstm.rho_h_:10.3g}{lstm.perturbation_gain_:20.3g}"
        print(f"  {LABELS[name]:<28}{gains}{certified_move(models[0], X):16.3g}")
    print("  perturbation_gain_ stands in for the squared noise amplification: a surrogate, no certificate.")
    print("  It is inf when a constraint (rho_h_ < 1 is one) fails, as nothing keeps it without the penalty.")
    print(f"  certified move: no errors of up to {CERTIFIED} deviations in all inputs move a forecast farther, in µg/m³, in the")
    print("  median of the test windows. That is a theorem for each window.")
    limit = math.ceil(100 * bound.value) / 100  # rounded upwards, as what is printed is to hold
    print(f"\n  generalization_report: at most {limit:.2f}, where the best constant guess scores {bound.guess:.2f}. From")
    print(f"  the training windows alone, for squared errors capped at {bound.ceiling:.3g} of a second LSTM in", end=" ")
    print(f"{bound.n_bits} bits. It assumes independent windows,")
    print("  which these are not quite, and does not pay for scalers and a lambda_s that these windows have chosen.")


def regression():
    step("Beijing fine dust (PM2.5), hourly 2010-2014: 24 hours of dust and weather -> dust 3 hours later")
    series, dust, measured, times = load_air()
    X, y, X_test, y_test, first_test_hour = forecasting_task(series, dust, measured)
    print(
        f"  {len(X)} training windows, {len(X_test)} later test windows, {X.shape[1]} columns = 24 hours x 5 channels"
    )

    model = make_model()
    plain = clone(model).set_params(**PLAIN)
    step("GridSearchCV over lambda_s in two processes; folds validate on later windows, with noise on the inputs")
    tikhonov = search(model, "lambda_s", X, y)
    step("The same search over weight_decay, without the penalty")
    decay = search(plain, "weight_decay", X, y)

    robust = clone(model).set_params(regressor__lstm__robust_eps=CERTIFIED)
    step(f"Final fits: the same LSTM, epochs and seeds, four ways; robust: trained for errors of {CERTIFIED} deviations")
    fitted = fit_all({"plain": plain, "decay": decay, "tikhonov": tikhonov, "robust": robust}, X, y)
    errors, unchanged = error_table(fitted, X_test, y_test)
    explain_errors(errors)
    bound = generalization_report(fitted["tikhonov"][0], X, y)["occam"]
    describe(fitted, X_test, bound)
    return fitted, errors, bound, unchanged, X_test, (series, dust, times, first_test_hour)


def certified_stretch(fitted, series, dust, times, first_test_hour, n_hours=6 * 24):
    """Certified limits of the forecasts for some days of the test period, {name: (2, n_hours)}, in µg/m³."""
    start = int(np.searchsorted(times, STRETCH))
    if start < first_test_hour:
        raise RuntimeError("the stretch to draw lies in the training period")
    X, _ = sliding_windows(series[start - WINDOW - HORIZON + 1 : start + n_hours], WINDOW, HORIZON, target=0)
    X = X.reshape(len(X), -1)
    bands = {name: certified(fitted[name][0], X) for name in ("plain", "robust")}
    shown = slice(start, start + n_hours)
    return times[shown], dust[shown], bands


# ------------------------------------------------------------------------------------------ classification


def classification():
    step("Japanese vowels: which of nine speakers said it? Sequences of 7 to 29 frames, 12 channels")
    train, test = load_japanese_vowels(), load_japanese_vowels(subset="test")
    print("  Shorter sequences start with zeros. Without biases and with h_0 = 0 the network stays at zero until the")
    print("  first frame, so this padding changes nothing; dividing by the scale of each channel keeps zeros zero.")
    frames = np.concatenate([row[-n:] for row, n in zip(train.data, train.lengths, strict=True)])
    X, X_test = train.data / frames.std(axis=0), test.data / frames.std(axis=0)
    model = NoisyRNNClassifier(hidden_size=32, sigma=0.3, max_epochs=60, random_state=0).fit(X, train.target)
    clean = model.score(X_test, test.target)
    shaken = make_noisy_scorer("accuracy", 0.3, n_draws=1)(model, X_test, test.target)
    print(f"  test accuracy {clean:.3f}, at input noise 0.3 {shaken:.3f}")
    step("What is guaranteed about it: generalization_report, with a bound from the test data beside it")
    report = model.generalization_report(X, train.target).with_bound(model.holdout_bound(X_test, test.target))
    table, reading, *_ = str(report).split("\n\n")
    print(textwrap.indent(f"{table}\n\n{reading}", "  "))
    print(
        "\n  An error probability below a number above 1 is no news: the bound says nothing. Theorem 3 is the paper's\n"
        "  own number for an ordinarily trained network, growing like beta_w ** L, and is reported as it comes out.\n"
        "  270 sequences are too few for the others, which do not even pay for the scale of the channels, read off the\n"
        "  same sequences: the test data say more. print(report) shows every term and assumption."
    )
    return model, X_test, report


# ------------------------------------------------------------------------------------------ saving, drawing


def save_and_reload(folder, models):
    """Write {name: (model, X)} with joblib, predict in another process, compare bit for bit."""
    step("Saving both with joblib and loading them in another process")
    for name, (model, _) in models.items():
        joblib.dump(model, folder / f"{name}.joblib")
    np.savez(folder / "inputs.npz", **{name: X for name, (_, X) in models.items()})
    subprocess.run([sys.executable, "-c", RELOAD, str(folder)], check=True)
    for name, (model, X) in models.items():
        reloaded = np.load(folder / f"{name}_reloaded.npy")
        if not np.array_equal(reloaded, model.predict(X)):
            raise RuntimeError(f"{name}: the loaded model predicts differently")
        size = (folder / f"{name}.joblib").stat().st_size / 1024
        print(f"  {name}.joblib, {size:.0f} KiB: all {len(X)} predictions identical")
        (folder / f"{name}_reloaded.npy").unlink()
    (folder / "inputs.npz").unlink()


def run(folder):
    """All of it; the fitted forecasters, errors and bound, the classifier, the test sequences for it, its bound."""
    fitted, errors, occam, unchanged, X_test, stretch = regression()
    classifier, X_vowels, report = classification()
    save_and_reload(folder, {"forecaster": (fitted["robust"][0], X_test), "classifier": (classifier, X_vowels)})
    step("Drawing")
    picture = folder / "quickstart.png"
    draw(
        picture,
        noise=NOISE,
        errors=errors,
        unchanged=unchanged,
        labels=LABELS,
        stretch=certified_stretch(fitted, *stretch),
        eps=CERTIFIED,
        bound=report["theorem_3"],
    )
    print(f"\nDone in {time.perf_counter() - STARTED:.0f} s. Look at {picture}")
    return fitted, errors, occam, classifier, X_vowels, report["theorem_3"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("quickstart_output"), help="folder for what is written")
    folder = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    run(folder)


if __name__ == "__main__":
    main()
