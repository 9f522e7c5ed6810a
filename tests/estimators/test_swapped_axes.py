"""Axes that look swapped are warned about, on real and on random data, and never without reason."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn import datasets as tables

from sklstm import NoisyRNNClassifier, TikhonovLSTMRegressor
from sklstm._sequences import Sequences
from sklstm.datasets import load_beijing_pm25, load_bike_sharing, load_japanese_vowels, load_sunspots
from sklstm.estimators._data_warnings import looks_swapped
from sklstm.exceptions import DataWarning
from sklstm.preprocessing import sliding_windows

BIKES, SMOG, SPOTS, VOWELS = load_bike_sharing(), load_beijing_pm25(), load_sunspots(), load_japanese_vowels()


def windows(series, length, stride=17):
    series = np.nan_to_num(np.asarray(series, dtype=np.float64))
    return sliding_windows(series.reshape(len(series), -1), window=length, stride=stride)[0]


def motions():
    """Six sensors at 100 steps, noisy, of people who rest, walk, run and play, as BasicMotions has them."""
    rng = np.random.default_rng(0)
    pace = rng.choice([0.1, 1.0, 5.0], (40, 1, 6)) * np.sin(
        rng.uniform(0.1, 0.5, (40, 1, 1)) * np.arange(100)[:, None] + rng.uniform(0, 6, (40, 1, 6))
    )
    return pace + 0.5 * np.abs(pace).mean(axis=1, keepdims=True) * rng.standard_normal((40, 100, 6))


# In order (n, time, channels), with more steps than channels.
SERIES = {
    "bikes by the day": windows(BIKES.data, 24),
    "bikes by two days": windows(BIKES.data, 48),
    "bikes, one channel": windows(BIKES.target, 24),
    "days of bikes that do not overlap": windows(BIKES.data, 24, 24),
    "smog by the day": windows(SMOG.data, 24),
    "smog, one channel": windows(SMOG.target, 12),
    "sunspots of a year": windows(SPOTS.target, 12),
    "sunspots of a cycle": windows(SPOTS.target, 132),
    "vowels": VOWELS.data,
    "motions": motions(),
}


def table(name, **options):
    return getattr(tables, f"load_{name}")(**options).data[:, None, :]


rng = np.random.default_rng(0)
# As they are meant, with more channels than steps.
MEANT = {
    "six hours of bikes": windows(BIKES.data, 6),
    "six hours of smog": windows(SMOG.data, 6),
    "two hours of smog": windows(SMOG.data, 2),
    "short vowels": np.stack([v for v in load_japanese_vowels(padded=False).data if len(v) == 11]),
    "rows of digits": tables.load_digits().images[:, :4],
    **{f"{name} as one step": table(name) for name in ("digits", "wine", "breast_cancer", "diabetes")},
    "wine in its own units": table("wine"),
    "embeddings": rng.standard_normal((500, 50))[rng.integers(0, 500, (60, 20))],
    "one-hot letters": np.eye(27)[rng.integers(0, 27, (300, 5))],
    "one factor": rng.standard_normal((200, 3, 1)) + 0.1 * rng.standard_normal((200, 3, 20)),
    "means in order": 5 * np.arange(20) + rng.standard_normal((200, 3, 20)),
    "units in order": np.logspace(-3, 3, 20) * rng.standard_normal((200, 1, 20)),
    "walks": rng.standard_normal((200, 8, 20)).cumsum(axis=1),
    "constant channels": np.r_["2", rng.standard_normal((50, 3, 4)), np.ones((50, 3, 20))],
    "one constant": np.ones((50, 1, 20)),
    "a few sequences": np.sin(np.arange(30.0))[None, None] + np.arange(3)[:, None, None],
    "noise in time": rng.standard_normal((200, 1, 24)),
}


def swapped(X):
    return looks_swapped(Sequences(X).some(1 << 16, 16, 256))


@pytest.mark.parametrize("name", SERIES)
def test_series_look_swapped_only_if_they_are(name):
    X = SERIES[name]
    assert X.shape[1] > X.shape[2]
    assert swapped(X.swapaxes(1, 2))
    assert swapped(X.swapaxes(1, 2) * 10.0 ** np.arange(X.shape[2])[:, None] - 7)  # in other units


@pytest.mark.parametrize("name", MEANT)
def test_what_is_meant_does_not_look_swapped(name):
    assert MEANT[name].shape[2] > MEANT[name].shape[1]
    assert not swapped(MEANT[name])


@pytest.mark.parametrize("n", [5, 6, 10, 50])
@pytest.mark.parametrize(("n_steps", "d"), [(1, 8), (2, 8), (3, 9), (5, 20)])
def test_random_channels_look_swapped_less_than_once_in_a_hundred_times(n, n_steps, d):
    rng = np.random.default_rng(n + 100 * d)
    draws = [rng.standard_normal((n, n_steps, d)) @ rng.standard_normal((d, d)) for _ in range(200)]
    assert sum(map(swapped, draws)) <= 1


def heard(fit):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")  # that one epoch is too few
        warnings.filterwarnings("always", "The axes of X", category=DataWarning)
        fit()
    assert all(warning.filename == __file__ for warning in caught)
    return [str(warning.message) for warning in caught]


def standardised(X):
    return (X - X.mean(axis=(0, 1))) / X.std(axis=(0, 1))


@pytest.mark.parametrize("kind", [TikhonovLSTMRegressor, NoisyRNNClassifier])
def test_fit_says_what_it_reads_and_what_to_set(kind):
    X = standardised(SERIES["bikes by the day"][:200])
    y = np.arange(200) % 2

    def fit(X, layout, **options):
        return lambda: kind(2, layout=layout, max_epochs=1, random_state=0, **options).fit(X, y)

    turned = X.swapaxes(1, 2)
    (message,) = heard(fit(turned, "ntc"))
    assert "shape (200, 11, 24), read as (n_samples, n_steps=11, n_channels=24)" in message
    assert "and closer than neighbouring steps" in message
    assert "set layout='nct'" in message
    assert not heard(fit(turned, "nct"))
    (message,) = heard(fit(X, "nct"))
    assert "shape (200, 24, 11), read as (n_samples, n_channels=24, n_steps=11)" in message
    assert "set layout='ntc'" in message
    (message,) = heard(fit(standardised(SERIES["bikes, one channel"][:200]).swapaxes(1, 2), "ntc"))
    assert "neighbouring steps" not in message  # there is one only
    # Rows have no axes to swap, names say what channels are, and what goes on has been warned about.
    assert not heard(fit(turned.reshape(200, -1), "ntc", n_channels=24))
    assert not heard(fit([pd.DataFrame(x).add_prefix("channel ") for x in turned], "ntc"))


def test_a_file_is_looked_at_in_a_few_places(tmp_path):
    X = SERIES["smog by the day"].swapaxes(1, 2)
    np.save(tmp_path / "X.npy", X)
    mapped = Sequences(np.load(tmp_path / "X.npy", mmap_mode="r"))
    some = mapped.some(1000, 4, 10)
    assert some.shape[1:] == (4, 10)
    assert some.size <= 2000
    assert looks_swapped(mapped.some(1 << 16, 16, 256))
    rows = Sequences(X, rows=np.arange(0, 100, 2))
    np.testing.assert_array_equal(rows.some(10**9, 99, 99), X[:100:2])
