"""Real data sets for tables over many of them, standardised, each with its test part.

Forecasts and Japanese vowels come from the data that ship with the package, digits from scikit-learn. The others are
sets of the UCR and UEA archives that the package aeon ships; they are read from its folder.
"""

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from benchmarks.common.series import SERIES
from sklstm.datasets import load_japanese_vowels
from sklstm.preprocessing import SequenceScaler, sliding_windows


@dataclass(frozen=True)
class RealSet:
    """Sequences (n, L, d) or lists of (L_i, d), standardised by the training part, and targets: labels or numbers."""

    name: str
    is_classification: bool
    X: Any
    y: np.ndarray
    X_test: Any
    y_test: np.ndarray


def forecast(name, ahead, n_train=2000, n_test=1000):
    """The value ``ahead`` steps after each window; test windows come later and share no step with training windows."""
    series, window, stride = SERIES[name]()
    X, _ = sliding_windows(series, window, target=0)
    X = X[: len(X) - ahead + 1]
    y = series[window + ahead - 1 :, 0]
    n_train = min(n_train, int(0.7 * len(X)) // stride)
    train = np.arange(n_train) * stride
    test = np.arange(train[-1] + window + ahead, len(X))[: n_test * stride : stride][:n_test]
    return _standardised(f"{name}, {ahead} ahead", X[train], y[train], X[test], y[test])


def vowels():
    """Nine speakers, 12 channels, 7 to 29 steps; the source's own test part."""
    X, y = load_japanese_vowels(padded=False, return_X_y=True)
    X_test, y_test = load_japanese_vowels(subset="test", padded=False, return_X_y=True)
    return _standardised("Japanese vowels", X, y, X_test, y_test)


def digits():
    """Images of digits as 8 rows of 8 pixels."""
    images, y = load_digits(return_X_y=True)
    X = images.reshape(-1, 8, 8)
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.25, stratify=y, random_state=0)
    return _standardised("digits", X, y, X_test, y_test)


def archive(name):
    """One of the sets of the UCR and UEA archives that aeon ships."""
    (X, y), (X_test, y_test) = (_read_ts(_folder() / name / f"{name}_{part}.ts") for part in ("TRAIN", "TEST"))
    return _standardised(name, X, y, X_test, y_test)


#: Name -> function that loads it.
REAL_SETS = {
    "bike sharing, 1 ahead": lambda: forecast("bike sharing", 1),
    "bike sharing, 6 ahead": lambda: forecast("bike sharing", 6),
    "Beijing PM2.5, 1 ahead": lambda: forecast("Beijing PM2.5", 1),
    "Beijing PM2.5, 6 ahead": lambda: forecast("Beijing PM2.5", 6),
    "sunspots, 1 ahead": lambda: forecast("sunspots", 1),
    "sunspots, 12 ahead": lambda: forecast("sunspots", 12),
    "Covid3Month": lambda: archive("Covid3Month"),
    "Japanese vowels": vowels,
    "digits": digits,
    "BasicMotions": lambda: archive("BasicMotions"),
    "ItalyPowerDemand": lambda: archive("ItalyPowerDemand"),
    "GunPoint": lambda: archive("GunPoint"),
    "ArrowHead": lambda: archive("ArrowHead"),
    "PickupGestureWiimoteZ": lambda: archive("PickupGestureWiimoteZ"),
    "OSULeaf": lambda: archive("OSULeaf"),
}


def inner_split(data, seed):
    """A split of the training part alone, to choose settings by: the end of a series, or a random part."""
    n = len(data.X)
    if data.is_classification or data.name == "Covid3Month":
        labels = data.y if data.is_classification else None
        train, test = train_test_split(np.arange(n), test_size=0.3, stratify=labels, random_state=seed)
    else:
        window = len(data.X[0])
        train, test = np.arange(int(0.7 * n)), np.arange(int(0.7 * n) + window, n)
    take = (lambda rows: [data.X[row] for row in rows]) if isinstance(data.X, list) else (lambda rows: data.X[rows])
    return RealSet(data.name, data.is_classification, take(train), data.y[train], take(test), data.y[test])


def _standardised(name, X, y, X_test, y_test):
    scaler = SequenceScaler().fit(X)
    is_classification = np.issubdtype(y.dtype, np.integer) or y.dtype.kind in "OU"
    if not is_classification:
        mean, std = y.mean(), y.std()
        y, y_test = (y - mean) / std, (y_test - mean) / std
    return RealSet(name, is_classification, scaler.transform(X), y, scaler.transform(X_test), y_test)


def _folder():
    found = importlib.util.find_spec("aeon")
    if found is None or not found.submodule_search_locations:
        raise SystemExit('These sets are read from the package aeon: pip install --no-deps "aeon==1.6.0"')
    return Path(found.submodule_search_locations[0]) / "datasets" / "data"


def _read_ts(path):
    """Sequences and targets of a file in the archives' format: channels and target are separated by colons."""
    is_classification, X, y = True, [], []
    for line in path.read_text().splitlines():
        line = line.strip()
        if line.lower().startswith("@targetlabel true"):
            is_classification = False
        if not line or line[0] in "#@%":
            continue
        *channels, target = line.split(":")
        X.append(np.array([np.array(channel.split(","), dtype=float) for channel in channels]).T)
        y.append(target)
    targets = np.array(y) if is_classification else np.array(y, dtype=float)
    return (np.stack(X) if len({len(x) for x in X}) == 1 else X), targets
