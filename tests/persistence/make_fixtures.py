"""Write the saved models that later versions must still load, and what they predict.

    python -m tests.persistence.make_fixtures

It writes those that are not there: of a new estimator, or under a new name when the format changes. What an older
version has saved stays as it is and must stay readable.
"""

from pathlib import Path

import numpy as np

from sklstm import (
    Compression,
    NoisyRNNClassifier,
    TikhonovGRUClassifier,
    TikhonovGRURegressor,
    TikhonovLSTMClassifier,
    TikhonovLSTMRegressor,
)
from tests.support.estimators import CERTIFIED

FOLDER = Path(__file__).parent / "fixtures"


def models():
    """Name to a small fitted model and its training data."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((80, 6, 2))
    y = X[:, -2:, 0].mean(axis=1)
    labels = np.where(y > 0, "up", "down")
    three = np.digitize(y, [-0.4, 0.4])
    few = {"max_epochs": 30, "lr": 0.02, "random_state": 0}
    small = Compression(hidden_size=2, epochs=5, stage_epochs=1, n_stages=2, n_trials=10)
    return {
        "noisy_rnn_classifier": (NoisyRNNClassifier(4, compression=small, **few).fit(X, labels), X, labels),
        "tanh_classifier": (NoisyRNNClassifier(4, activation="tanh", **few).fit(X, labels), X, labels),
        "tikhonov_lstm_regressor": (TikhonovLSTMRegressor(4, **few).fit(X, y), X, y),
        "tikhonov_gru_regressor": (TikhonovGRURegressor(4, num_layers=2, **few).fit(X, np.c_[y, -y]), X, np.c_[y, -y]),
        "tikhonov_lstm_classifier": (TikhonovLSTMClassifier(4, compression=small, **few).fit(X, labels), X, labels),
        "tikhonov_gru_classifier": (TikhonovGRUClassifier(4, num_layers=2, **few).fit(X, three), X, three),
        "lstm_with_linear_part": (TikhonovLSTMRegressor(4, skip="linear", **few).fit(X, y), X, y),
        "gru_with_last_value": (TikhonovGRURegressor(4, skip="last", skip_channel=0, **few).fit(X, y), X, y),
    }


def says(model, X):
    """What a model says about sequences, as arrays by name."""
    outputs = {"prediction": model.predict(X)}
    if type(model) in CERTIFIED:
        outputs["lower"], outputs["upper"] = model.certify(X[:5], 0.05)
    if hasattr(model, "predict_proba"):
        outputs["probabilities"] = model.predict_proba(X)
    return outputs


def reports(model, X, y):
    """What a model says about its training data: its bounds, and predictions of the network of the Occam bound."""
    report = model.generalization_report(X, y)
    return {
        "bounds": np.array([bound.value for bound in report.bounds]),
        "quantized": model.quantized(report["occam"]).predict(X[:20]),
    }


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, (model, X, y) in models().items():
        if (FOLDER / f"{name}.safetensors").exists():
            continue
        model.save(FOLDER / f"{name}.safetensors")
        said = says(model, X[:20]) | reports(model, X, y)
        np.savez_compressed(FOLDER / f"{name}.npz", X=X[:20], X_train=X, y_train=y, **said)
        print(name, (FOLDER / f"{name}.safetensors").stat().st_size, "bytes")
