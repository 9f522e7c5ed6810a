"""The bike rentals of the pages about certificates, and their forecasters."""

import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm import TikhonovLSTMRegressor
from sklstm.datasets import load_bike_sharing
from sklstm.preprocessing import SequenceScaler, sliding_windows

WINDOW, STRIDE, N_TRAIN = 24, 7, 1000
EPS = np.array([0.0, 1.0, 5.0, 0.0])  # bicycles, °C, %, hours


def series():
    """Rentals, temperature in °C, humidity in % and hour of the day."""
    bikes = load_bike_sharing()
    channels = [bikes.feature_names.index(name) for name in ("cnt", "temp", "hum", "hour")]
    return bikes.data[:, channels] * [1, 47, 100, 1] - [0, 8, 0, 0]


def training():
    X, y = sliding_windows(series(), WINDOW, target=0, stride=STRIDE)
    return X[:N_TRAIN], y[:N_TRAIN]


def hours(first, last):
    """Windows and targets of consecutive hours, counted from the end of the training data."""
    end = N_TRAIN * STRIDE + WINDOW
    return sliding_windows(series()[end + first : end + last + WINDOW], WINDOW, target=0)


def forecaster(**parameters):
    lstm = TikhonovLSTMRegressor(16, max_epochs=25, random_state=0, **parameters)
    return TransformedTargetRegressor(make_pipeline(SequenceScaler(), lstm), transformer=StandardScaler())
