"""Quickstart: train with and without robustness, then certify. Real data, less than a minute on two cores.

1. Forecast the fine dust of Beijing with an LSTM, trained as usual and trained for input errors. Certify how far such
   errors can move each forecast.
2. Tell nine speakers apart. Certify how many labels no input error can change.
3. Save a model, load it in another process, and draw ``quickstart_output/quickstart.png``.

Run from anywhere: ``python examples/quickstart.py [--output FOLDER]``. It needs matplotlib (the extra ``plot``).
"""

import argparse
import importlib.util
import subprocess
import sys
import time
import warnings
from pathlib import Path

STARTED = time.perf_counter()  # before the imports, which are part of the wait
if importlib.util.find_spec("matplotlib") is None:
    sys.exit("The quickstart draws a picture and needs matplotlib: pip install -c constraints.txt '.[plot]'")

import joblib
import matplotlib

matplotlib.use("Agg")

import matplotlib.dates as mdates
import matplotlib.pyplot as plt
import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklstm import NoisyRNNClassifier, TikhonovLSTMRegressor, certified_accuracy, certify
from sklstm.datasets import load_beijing_pm25, load_japanese_vowels
from sklstm.exceptions import WideCertificateWarning
from sklstm.generalization import holdout_bound
from sklstm.metrics import make_noisy_scorer
from sklstm.preprocessing import SequenceScaler, sliding_windows

WINDOW, HORIZON = 24, 3  # a day of hours in, the concentration three hours later out
CHANNELS = ["pm2.5", "dew point", "temperature", "pressure", "wind"]
EPS = 0.1  # input errors to train for and to certify, in standard deviations of each channel
EPS_LABELS = 0.1  # the same for the classifier
NOISE = 0.5  # standard deviation of random noise on the test inputs, in the same unit
EPOCHS = {"forecast": 25, "labels": 200}
DRAWN = np.datetime64("2014-10-20T00"), 6 * 24  # the hours of the test period in the picture
OFF = {"lambda_s": 0.0, "lambda_1": 0.0, "lambda_2": 0.0}  # without the Tikhonov penalty

RELOAD = """
import sys, joblib, numpy as np
folder = sys.argv[1]
np.save(f"{folder}/reloaded.npy", joblib.load(f"{folder}/forecaster.joblib").predict(np.load(f"{folder}/X.npy")))
"""


def load_air():
    """Series (n_hours, 5) with dust and wind in logarithms; the dust; whether it was measured; the times."""
    air = load_beijing_pm25()
    measured = ~np.isnan(air.target)
    last = np.maximum.accumulate(np.where(measured, np.arange(len(measured)), 0))
    dust = air.target[last]  # a gap carries the last measurement forward
    series = air.data[:, : len(CHANNELS)].copy()
    series[:, 0], series[:, 4] = np.log1p(dust), np.log1p(series[:, 4])
    return series[24:], dust[24:], measured[24:], air.times[24:]  # the first day has no measurement


def windows_of_air(series, dust, measured):
    """Training and test windows (n, 24, 5) and targets. No two windows share an hour; the test comes after the training."""
    X, _, hour = sliding_windows(
        series, WINDOW, HORIZON, target=0, stride=WINDOW + HORIZON, times=np.arange(len(series))
    )
    X, hour = X[measured[hour]], hour[measured[hour]]  # judge by measured hours only
    y, n_train = dust[hour], int(0.7 * len(X))
    return X[:n_train], y[:n_train], X[n_train:], y[n_train:], hour[n_train]


def forecaster(network):
    """A pipeline that scales every channel and learns the logarithm of the dust. Its forecasts are in µg/m³."""
    logarithm = make_pipeline(FunctionTransformer(np.log1p, np.expm1), StandardScaler())
    return TransformedTargetRegressor(make_pipeline(SequenceScaler(), network), transformer=logarithm)


def rows(X):
    """Sequences (n, L, d) as rows (n, L * d), for ridge regression."""
    return X.reshape(len(X), -1)


def noisy_copies(X, y, deviations, n_copies=10):
    """Copies of the training windows with random noise, and their targets."""
    noise = np.random.default_rng(0).standard_normal((n_copies, *X.shape))
    return np.concatenate(X + NOISE * deviations * noise), np.tile(y, n_copies)


def forecasters(X, y, deviations):
    """Ridge regression, with and without noise in training; an LSTM trained as usual and trained for input errors."""
    ridge = make_pipeline(FunctionTransformer(rows), RidgeCV(np.logspace(-2, 4, 13)))
    lstm = {"hidden_size": 16, "max_epochs": EPOCHS["forecast"], "random_state": 0}
    return {
        "ridge regression": forecaster(ridge).fit(X, y),
        "ridge, noisy data": forecaster(ridge).fit(*noisy_copies(X, y, deviations)),
        "LSTM": forecaster(TikhonovLSTMRegressor(**lstm, **OFF)).fit(X, y),
        "robust LSTM": forecaster(TikhonovLSTMRegressor(**lstm, **OFF, robust_eps=EPS)).fit(X, y),
    }


def relative_error(model, X, y, deviations, noise=0.0):
    """Mean squared error of the logarithm, divided by its variance in the training data."""
    score = make_noisy_scorer("neg_mean_squared_log_error", noise * deviations, n_draws=5)
    return -score(model, X, y) / model.transformer_[-1].var_[0]


def limits(model, X, deviations):
    """Certified bounds (2, n) of the forecasts, in µg/m³, under all input errors of up to EPS standard deviations."""
    if isinstance(model.regressor_[-1], TikhonovLSTMRegressor):
        with warnings.catch_warnings(action="ignore", category=WideCertificateWarning):  # those of the usual LSTM
            return np.array(certify(model, X, eps=EPS * deviations, method="linear"))
    # Ridge regression is linear: its exact limits are known.
    weights = np.abs(model.regressor_[-1][-1].coef_).sum()
    middle, log = model.transformer_.transform(model.predict(X)[:, None])[:, 0], model.transformer_
    return np.array([log.inverse_transform((middle + sign * EPS * weights)[:, None])[:, 0] for sign in (-1, 1)])


def forecast():
    series, dust, measured, times = load_air()
    X, y, X_test, y_test, first_test_hour = windows_of_air(series, dust, measured)
    deviations = X.std(axis=(0, 1))
    print("Fine dust in Beijing (PM2.5), forecast three hours ahead from 24 hours of dust and weather.")
    print(f"{len(X):,} training windows, {len(X_test)} later test windows.\n")
    print(f"{'':20}{'test error':>12}{'with random':>14}{f'input errors of up to {EPS}':>32}")
    print(f"{'':20}{'':>12}{f'noise of {NOISE}':>14}{'move a forecast by at most':>32}")
    models, found = forecasters(X, y, deviations), {}
    for name, model in models.items():
        lower, upper = limits(model, X_test, deviations)
        found[name] = {
            "clean": relative_error(model, X_test, y_test, deviations),
            "noisy": relative_error(model, X_test, y_test, deviations, NOISE),
            "moved": float(np.median(upper - lower) / 2),
        }
        print("{:20}{clean:12.3f}{noisy:14.3f}{moved:26.0f} µg/m³".format(name, **found[name]), flush=True)
    print("\nTest error: mean squared error of the logarithm; predicting the mean scores 1. Noise and input")
    print("errors: in standard deviations of each channel. The last column is certified: the worst case, not")
    print("a sample (median over the test windows).")

    start, n_hours = int(np.searchsorted(times, DRAWN[0])), DRAWN[1]
    if start < first_test_hour:
        raise RuntimeError("the hours to draw are in the training period")
    shown = slice(start, start + n_hours)
    X_shown, _ = sliding_windows(series[start - WINDOW - HORIZON + 1 : start + n_hours], WINDOW, HORIZON, target=0)
    bands = {name: limits(models[name], X_shown, deviations) for name in ("LSTM", "robust LSTM")}
    forecasts = {name: models[name].predict(X_shown) for name in bands}
    return models, found, X_test, (times[shown], dust[shown], forecasts, bands)


def classify():
    V, speaker = load_japanese_vowels(padded=False, return_X_y=True)
    V_test, speaker_test = load_japanese_vowels(subset="test", padded=False, return_X_y=True)
    deviations = np.concatenate(V).std(axis=0)
    print(f"\nWhich of nine speakers said the vowel? {len(V)} training utterances, {len(V_test)} for the test.\n")
    print(f"{'':22}{'accuracy':>10}{f'still correct under any input error of up to {EPS_LABELS}':>52}")
    found, robust = {}, {"usual": {}, "robust": {"robust_eps": EPS_LABELS}}
    for name, more in robust.items():
        network = NoisyRNNClassifier(max_epochs=EPOCHS["labels"], random_state=0, **more)
        model = make_pipeline(SequenceScaler(), network).fit(V, speaker)
        found[name] = {
            "accuracy": model.score(V_test, speaker_test),
            "certified": certified_accuracy(model, V_test, speaker_test, EPS_LABELS * deviations, method="auto"),
        }
        print("{:22}{accuracy:10.3f}{certified:52.3f}".format(f"ReLU network, {name}", **found[name]), flush=True)
    bound = holdout_bound(model.predict(V_test) != speaker_test).value
    found["bound"] = bound
    print(f"\nOf new utterances the robust network gets at most {100 * bound:.1f} % wrong (confidence level 95 %).")
    return found


def save_and_reload(folder, model, X):
    joblib.dump(model, folder / "forecaster.joblib")
    np.save(folder / "X.npy", X)
    subprocess.run([sys.executable, "-c", RELOAD, str(folder)], check=True)
    same = np.array_equal(np.load(folder / "reloaded.npy"), model.predict(X))
    for name in ("X.npy", "reloaded.npy"):
        (folder / name).unlink()
    if not same:
        raise RuntimeError("the loaded model predicts differently")
    print(f"Saved {folder / 'forecaster.joblib'}; loaded in another process, all {len(X)} forecasts are identical.")


# Okabe and Ito's colours, which colour-blind readers tell apart.
COLOURS = {"LSTM": "#D55E00", "robust LSTM": "#0072B2"}
TITLES = {"LSTM": "LSTM, trained as usual", "robust LSTM": "LSTM, trained for input errors"}
STYLE = {"font.size": 11, "axes.spines.top": False, "axes.spines.right": False, "axes.titlelocation": "left"}


def draw(path, found, times, dust, forecasts, bands):
    """Measured values, forecasts and their certified bands, of both networks side by side."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(1, 2, figsize=(12, 4.2), sharey=True, layout="constrained")
        for ax, (name, (lower, upper)) in zip(axes, bands.items(), strict=True):
            ax.fill_between(times, lower, upper, color=COLOURS[name], alpha=0.35, lw=0, label="certified band")
            ax.plot(times, forecasts[name], color=COLOURS[name], lw=1.6, label="forecast")
            ax.plot(times, dust, color="#222222", lw=1.4, ls=":", label="measured")
            ax.set_title(TITLES[name], weight="bold")
            ax.text(0.98, 0.03, f"at most ± {found[name]['moved']:.0f} µg/m³ in the median", transform=ax.transAxes, ha="right")
            ax.xaxis.set_major_locator(mdates.DayLocator())
            ax.xaxis.set_major_formatter(mdates.DateFormatter("%d %b"))
            ax.set_xlim(times[0], times[-1])
            ax.legend(loc="upper left", frameon=False)
        axes[0].set(ylabel="PM2.5 (µg/m³)", ylim=(0, 1.5 * max(dust.max(), bands["robust LSTM"][1].max())))
        figure.suptitle(
            f"How far can input errors of up to {EPS} standard deviations move a forecast? Never out of its certified band.",
            ha="left",
            x=0.01,
        )
        figure.savefig(path, dpi=110)
        plt.close(figure)


def run(folder):
    """All of it; what was found about the forecasts and about the labels."""
    models, forecasts, X_test, stretch = forecast()
    labels = classify()
    print()
    save_and_reload(folder, models["robust LSTM"], X_test)
    draw(folder / "quickstart.png", forecasts, *stretch)
    print(f"Done in {time.perf_counter() - STARTED:.0f} s. Look at {folder / 'quickstart.png'}.")
    return forecasts, labels


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("quickstart_output"), help="folder for what is written")
    folder = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    run(folder)


if __name__ == "__main__":
    main()
