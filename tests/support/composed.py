"""What the tests of certificates through compositions share."""

import numpy as np

from sklstm import TikhonovLSTMRegressor
from tests.support.problems import late_mean

QUICK = {"hidden_size": 4, "max_epochs": 10, "random_state": 0}


def lstm(**options):
    return TikhonovLSTMRegressor(**QUICK | {"n_channels": 2} | options)


def make_readings():
    """Rows in units of their own: channels about 1000 and -0.03."""
    X, y = late_mean(60, n_steps=4)
    return (X * [20, 0.001] + [1000, -0.03]).reshape(60, -1), 7 * y + 50


def perturbed(X, eps, attempts=20):
    """Inputs within the box, half of them corners of it."""
    rng = np.random.default_rng(0)
    for attempt in range(attempts):
        shift = rng.uniform(-1, 1, X.shape) if attempt % 2 else rng.choice([-1.0, 1.0], X.shape)
        yield np.clip(X + eps * shift, X - eps, X + eps).astype(X.dtype)
