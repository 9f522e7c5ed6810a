"""Small fitted models that between them use every part of the format, and what it means for two to be the same."""

from functools import cache

import numpy as np

from sklstm import (
    Compression,
    NoisyRNNClassifier,
    TikhonovGRUClassifier,
    TikhonovGRURegressor,
    TikhonovLSTMClassifier,
    TikhonovLSTMRegressor,
)

FEW = {"max_epochs": 3, "random_state": 0}
SMALL = {"hidden_size": 2, "epochs": 2, "stage_epochs": 1, "n_stages": 1, "n_trials": 3}

NAMES = [
    "strings",
    "objects",
    "booleans, flat",
    "integers",
    "floats",
    "low rank",
    "LSTM",
    "LSTM, subspace",
    "stack, stopped",
    "GRU, two outputs",
    "GRU, logistic",
    "LSTM, labels",
    "GRU, labels",
    "LSTM, linear part",
    "GRU, last value",
]


def sequences(n=60):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 5, 2))
    return X, X[:, -2:, 0].mean(axis=1)


@cache
def fit_all():
    """Name to a fitted model, which must be left as it is, and its training data."""
    X, y = sequences()
    labels = np.where(y > 0, "up", "down")
    flat = X.reshape(len(X), -1)
    made = {
        "strings": (NoisyRNNClassifier(4, **FEW), X, labels),
        "objects": (NoisyRNNClassifier(4, **FEW), X, labels.astype(object)),
        "booleans, flat": (NoisyRNNClassifier(4, n_channels=2, noise="dropout", **FEW), flat, y > 0),
        "integers": (NoisyRNNClassifier(4, **FEW), X, np.where(y > 0, 7, -3).astype(np.int32)),
        "tanh": (NoisyRNNClassifier(4, activation="tanh", **FEW), X, labels),
        "floats": (NoisyRNNClassifier(4, **FEW), X, np.where(y > 0, 1.0, 2.0)),
        "low rank": (NoisyRNNClassifier(4, compression=Compression(rank=1, **SMALL), **FEW), X, labels),
        "LSTM": (TikhonovLSTMRegressor(4, **FEW), X, y),
        "LSTM, subspace": (TikhonovLSTMRegressor(4, compression=Compression(subspace=6, **SMALL), **FEW), X, y),
        "stack, stopped": (TikhonovLSTMRegressor(3, num_layers=2, early_stopping=True, **FEW), X, y),
        "GRU, two outputs": (TikhonovGRURegressor(4, optimizer="sgd", **FEW), X, np.c_[y, -y]),
        "GRU, logistic": (TikhonovGRURegressor(4, readout="logistic", **FEW), X, (y > 0).astype(float)),
        "LSTM, labels": (TikhonovLSTMClassifier(4, class_weight="balanced", **FEW), X, labels),
        "GRU, labels": (
            TikhonovGRUClassifier(3, num_layers=2, n_channels=2, sigma=0.1, noise="laplace", **FEW),
            flat,
            y > 0,
        ),
        "LSTM, linear part": (TikhonovLSTMRegressor(4, skip="linear", **FEW), X, np.c_[y, -y]),
        "GRU, last value": (TikhonovGRURegressor(4, skip="last", skip_channel=[1, 0], **FEW), X, np.c_[y, y]),
    }
    return {name: (model.fit(X, y), X, y) for name, (model, X, y) in made.items()}


def outputs_of(model, X):
    """What a model says, exactly: predictions, probabilities, certificates."""
    parts = [model.predict(X), *model.certify(X[:4], 0.05)]
    return [*parts, model.predict_proba(X)] if hasattr(model, "predict_proba") else parts


def assert_same(twin, model, X):
    """Predictions, certificates, fitted attributes and parameters of two models are equal, bit for bit."""
    assert type(twin) is type(model)
    for mine, theirs in zip(outputs_of(twin, X), outputs_of(model, X), strict=True):
        assert mine.dtype == theirs.dtype
        np.testing.assert_array_equal(mine, theirs)
    assert set(vars(twin)) == set(vars(model))
    for name, value in vars(model).items():
        if name not in ("net_", "compression", "random_state"):
            mine = getattr(twin, name)
            assert type(mine) is type(value), name
            if isinstance(value, np.ndarray):
                assert mine.dtype == value.dtype
                np.testing.assert_array_equal(mine, value)
            else:
                assert mine == value, name
    assert repr(twin.compression) == repr(model.compression)
    assert list(twin.net_.history) == list(model.net_.history)
