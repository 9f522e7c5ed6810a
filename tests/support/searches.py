"""Pipelines to search over, and what two searches must have in common."""

import time

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback

from sklstm import NoisyRNNClassifier, TikhonovGRURegressor, TikhonovLSTMRegressor
from tests.support.problems import late_mean, signed_sum

QUICK = {"hidden_size": 6, "n_channels": 2, "max_epochs": 12, "random_state": 0}
ESTIMATORS = {
    "lstm": TikhonovLSTMRegressor,
    "gru": TikhonovGRURegressor,
    "relu": NoisyRNNClassifier,
}


def pipeline(kind, **parameters):
    """A regressor has no linear part: it would start with nothing left to learn, whatever the parameters."""
    plain = {} if kind == "relu" else {"skip": "none"}
    return Pipeline([("scale", StandardScaler()), ("model", ESTIMATORS[kind](**QUICK | plain | parameters))])


def problem(kind, n=120):
    """Rows (n, L * d) in the units of nothing in particular, and targets or labels."""
    X, y = signed_sum(n) if kind == "relu" else late_mean(n)
    return 40 + 7 * X.reshape(len(X), -1), y


def outcomes(search):
    """Everything in ``cv_results_`` but the clock."""
    return {name: np.asarray(values) for name, values in search.cv_results_.items() if not name.endswith("_time")}


def assert_same_outcomes(first, second):
    ours, theirs = outcomes(first), outcomes(second)
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)
    assert first.best_params_ == second.best_params_


class Tally(Callback):
    """Adds a byte to a file after every epoch, from whatever process, and may take its time over it."""

    changes_training = False

    def __init__(self, path, *, pause=0.0):
        self.path = path
        self.pause = pause

    def on_epoch_end(self, net, **kwargs):
        with open(self.path, "ab") as file:
            file.write(b".")
        time.sleep(self.pause)


def epochs_counted(path):
    return path.stat().st_size if path.exists() else 0
