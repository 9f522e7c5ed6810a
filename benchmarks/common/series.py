"""Forecasting tasks on the series that ship with the package: the next value from a window, all z-scored."""

import numpy as np
import pandas as pd

from sklstm.datasets import load_beijing_pm25, load_bike_sharing, load_sunspots
from sklstm.preprocessing import sliding_windows


def _bike():
    data = load_bike_sharing().data
    data[:, 0] = np.log1p(data[:, 0])
    return data, 24, 5


def _pm25():
    data = pd.DataFrame(load_beijing_pm25().data).ffill().dropna().to_numpy(copy=True)
    data[:, 0] = np.log1p(data[:, 0])
    return data, 24, 10


def _sunspots():
    return np.sqrt(load_sunspots().data), 36, 1


#: Of trainings that are compared on these series, whatever the defaults of the moment.
TRAINING = {"skip": "none", "max_epochs": 100, "batch_size": 64, "lr_schedule": "constant"}

SERIES = {"bike sharing": _bike, "Beijing PM2.5": _pm25, "sunspots": _sunspots}


def forecasting_task(name, n_train=2000, n_test=1000):
    """X_train, y_train, X_test, y_test; the test windows follow the training windows and share no step with them.

    Strides between training windows are 5 hours (bike), 10 hours (PM2.5) and 1 month (sunspots), so that 2,000 windows
    cover more than one season. Means and standard deviations are the training windows'.
    """
    series, window, stride = SERIES[name]()
    X, y = sliding_windows(series, window, target=0)
    n_train = min(n_train, int(0.7 * len(X)) // stride)
    train = np.arange(n_train) * stride
    test = np.arange(train[-1] + window + 1, len(X))[: n_test * stride : stride][:n_test]
    mean, std = X[train].mean(axis=(0, 1)), X[train].std(axis=(0, 1))
    std[std == 0] = 1
    X = (X - mean) / std
    y = (y - y[train].mean()) / y[train].std()
    return X[train], y[train], X[test], y[test]
