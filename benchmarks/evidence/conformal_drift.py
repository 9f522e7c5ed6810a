"""What becomes of conformal intervals when a series drifts, and what do methods for series do about it?

The task is the next hour of bike sharing and PM2.5 from a day of all channels. An LSTM is trained robustly for errors
of 0.05 on 2,000 windows of the first part of the series. The next 1,000 hours calibrate. The 6,000 hours after them are
forecast in order. Units are standard deviations of the training part. The intervals should hold nine of ten true
values. That is promised if calibration and new data are exchangeable, and hours of a series are not. The smallest
coverage in any 30 days shows the effect.

`prediction_interval` is calibrated in three ways: once; once with `eps=0.05`; and again after each day, with the last
1,000 hours. With `eps=0.05` it sees inputs with an error of 0.05 in every entry, up or down at random. MAPIE
1.6.0 gets the same fitted LSTM and the same 3-D arrays. Its `SplitConformalRegressor` is calibrated once. Its
`TimeSeriesRegressor` learns the true values of each day at its end. It then keeps the newest errors (`method="enbpi"`)
or changes its level (`method="aci"`, `gamma=0.05`).

For comparison, two more rows show how far errors of 0.05 move forecasts: `certify` for all errors and `noise_interval`
for Gaussian ones, for every twentieth hour. Nobody promises that the true value lies in these two.
"""

import importlib.util
import warnings

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning

from benchmarks.common.series import SERIES
from sklstm import TikhonovLSTMRegressor, certify, noise_interval, prediction_interval
from sklstm.preprocessing import sliding_windows
from tests.support.records import table
from tests.support.suite import campaign, explanation, question, regenerate

NAME = "conformal_drift"
SETS = ("bike sharing", "Beijing PM2.5")
N_TRAIN, N_CALIBRATION, N_NEW = 2000, 1000, 6000
COVERAGE, EPS, GAMMA, DAY, MONTH = 0.9, 0.05, 0.05, 24, 720
ABOUT_PREDICTIONS = ("certify", "noise_interval")


def parts(name):
    """Windows and targets of the three parts, in their order; no two parts share a step."""
    series, window, stride = SERIES[name]()
    X, y = sliding_windows(series, window, target=0)
    train = np.arange(N_TRAIN) * (stride // 2)
    first = train[-1] + window + 1
    calibration = np.arange(first, first + N_CALIBRATION)
    new = np.arange(calibration[-1] + 1, calibration[-1] + 1 + N_NEW)
    mean, std = X[train].mean(axis=(0, 1)), X[train].std(axis=(0, 1))
    X = (X - mean) / np.where(std == 0, 1, std)
    y = (y - y[train].mean()) / y[train].std()
    return [(X[rows], y[rows]) for rows in (train, calibration, new)]


def by_day(forecast, learn, X, y):
    """Limits of every day, before its true values are told."""
    found = []
    for start in range(0, len(X), DAY):
        day = slice(start, start + DAY)
        found.append(forecast(X[day]))
        learn(X[day], y[day])
    return np.concatenate(found, axis=1)


def recalibrated(model, calibration, X, y):
    """`prediction_interval` with the last hours of which the true value is known."""
    known = [np.concatenate(both) for both in zip(calibration, (X, y), strict=True)]
    days = range(0, len(X), DAY)
    return np.concatenate(
        [
            prediction_interval(
                model,
                *(part[start : start + N_CALIBRATION] for part in known),
                X[start : start + DAY],
                coverage=COVERAGE,
            )
            for start in days
        ],
        axis=1,
    )


def of_mapie(model, calibration, X, y):
    from mapie.regression import SplitConformalRegressor, TimeSeriesRegressor

    split = SplitConformalRegressor(model, confidence_level=COVERAGE, prefit=True).conformalize(*calibration)
    yield "MAPIE, split", split.predict_interval(X)[1][:, :, 0].T
    for method in ("enbpi", "aci"):
        series = TimeSeriesRegressor(model, method=method, cv="prefit").fit(*calibration)

        def forecast(day, series=series):
            return series.predict(day, confidence_level=COVERAGE, allow_infinite_bounds=True)[1][:, :, 0].T

        def learn(day, true, series=series, method=method):
            if method == "aci":
                series.adapt_conformal_inference(day, true, gamma=GAMMA, confidence_level=COVERAGE)
            else:
                series.update(day, true)

        yield f"MAPIE, {method}", by_day(forecast, learn, X, y)


def intervals(model, calibration, X, y):
    """Names and limits (2, n)."""
    yield "prediction_interval", prediction_interval(model, *calibration, X, coverage=COVERAGE)
    seen = X + EPS * np.random.default_rng(0).choice([-1.0, 1.0], X.shape)
    yield "prediction_interval, eps", prediction_interval(model, *calibration, seen, coverage=COVERAGE, eps=EPS)
    yield "prediction_interval, each day", recalibrated(model, calibration, X, y)
    yield from of_mapie(model, calibration, X, y)
    yield "certify", certify(model, X, EPS)
    some = slice(0, None, 20)
    lower, upper = np.full((2, len(X)), np.nan)
    lower[some], upper[some] = noise_interval(model, X[some], EPS, random_state=0)
    yield "noise_interval", (lower, upper)


def of_stream(name):
    """Records of a set."""
    train, calibration, (X, y) = parts(name)
    model = TikhonovLSTMRegressor(16, robust_eps=EPS, random_state=0).fit(*train)
    for kind, (lower, upper) in intervals(model, calibration, X, y):
        asked = np.flatnonzero(~np.isnan(upper))
        inside, width = ((lower <= y) & (y <= upper))[asked], (upper - lower)[asked]
        months = [inside[asked // MONTH == month].mean() for month in range(len(y) // MONTH)]
        yield {
            "set": name,
            "kind": kind,
            "coverage": float(inside.mean()),
            "smallest coverage": float(min(months)),
            "width": float(np.median(width)),
            "infinite": float(np.isinf(width).mean()),
        }


def measure(options, done):
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", ConvergenceWarning)
    warnings.filterwarnings("ignore", message="\n        This function behavior", category=UserWarning)
    known = {r["set"] for r in done}
    for name in SETS:
        if name not in known:
            yield from list(of_stream(name))  # all of a set, or nothing


def check(parser, options):
    if importlib.util.find_spec("mapie") is None:
        parser.error('MAPIE is not installed: pip install --no-deps "mapie==1.6.0"')


def page(records):
    """Tables of the sets, and what they have in common."""
    tables = "\n\n".join(f"## {name}\n\n{of_set([r for r in records if r['set'] == name])}" for name in SETS)
    return (
        f"# Intervals while a series drifts\n\n{question(__doc__)}\n\n{explanation(__doc__)}\n\n"
        f"{said(records)}\n\n{tables}\n\n{regenerate(NAME, records)}"
    )


def said(records):
    """What the tables show, in words."""
    found = {(r["set"], r["kind"]): r for r in records}
    newest = ("prediction_interval, each day", "MAPIE, enbpi", "MAPIE, aci")
    parts = []
    for name in SETS:
        once, known = found[name, "prediction_interval"], [found[name, kind] for kind in newest]
        coverage, widths = ([r[key] for r in known] for key in ("coverage", "width"))
        parts.append(
            f"On {name}, intervals that are calibrated once hold {once['coverage']:.2f} of the true values. Intervals "
            f"that use the newest errors hold {min(coverage):.2f} to {max(coverage):.2f}, with "
            f"{min(widths) / once['width']:.2f} to {max(widths) / once['width']:.2f} times the width."
        )
    same = max(
        abs(found[name, "MAPIE, split"][key] - found[name, "prediction_interval"][key])
        for name in SETS
        for key in ("coverage", "width")
    )
    if same < 1e-9:
        parts.append("MAPIE's split intervals are those of `prediction_interval`.")
    return " ".join(parts)


def of_set(records):
    rows = [
        [
            f"`{r['kind']}`" if "MAPIE" not in r["kind"] else r["kind"],
            f"{COVERAGE:g}" if r["kind"] not in ABOUT_PREDICTIONS else "nothing",
            *(f"{r[key]:.3f}" for key in ("coverage", "smallest coverage", "width")),
            f"{r['infinite']:.1%}",
        ]
        for r in records
    ]
    return table(["intervals", "to hold", "coverage", "smallest in 30 days", "median width", "infinite"], rows)


if __name__ == "__main__":
    campaign(NAME, __doc__, measure, page, check=check)
