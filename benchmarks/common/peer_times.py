"""Fit and predict of another package beside the hand-written loop of the same model, in the peers' environment.

Started by `peer_environment.ask`, one process a case; one line of JSON comes back. Batches, epochs, optimiser,
learning rate and precision are set to the loop's; what a package does besides (callbacks, checks, compilation,
checkpoints) is as it comes, and in the time.
"""

import argparse
import json
import logging
import os
import sys
import tempfile
import warnings
from functools import partial
from importlib.metadata import version

import numpy as np
import torch
from torch import nn

from tests.support.loops import lstm, tanh_rnn, train
from tests.support.timing import compare, pinned

LR = 3e-3


class SktimeRNN:
    """sktime has no plain LSTM for regression: its recurrent regressor is torch's RNN, not shuffled."""

    loop = staticmethod(tanh_rnn)
    packages = ("sktime", "torch")

    def __init__(self, threads):
        from sktime.regression.deep_learning.rnn import SimpleRNNRegressorTorch

        self.kind = SimpleRNNRegressorTorch

    def fit(self, X, y, hidden_size, epochs, batch_size):
        # Its scheduler of the learning rate is off: it would take a step by the loss of every epoch.
        model = self.kind(
            hidden_size, activation_hidden="Tanh", num_epochs=epochs, batch_size=batch_size, optimizer="Adam", lr=LR,
            callbacks=None,
        )  # fmt: skip
        return model.fit(np.ascontiguousarray(X.transpose(0, 2, 1)), y)

    def predict(self, model, X):
        return model.predict(np.ascontiguousarray(X.transpose(0, 2, 1)))


class DartsLSTM:
    """A forecaster: all windows of one series, the first channel the target and the others past covariates."""

    loop = staticmethod(lstm)
    packages = ("darts", "pytorch-lightning", "torch")

    def __init__(self, threads):
        from darts import TimeSeries
        from darts.models import BlockRNNModel

        logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
        self.series, self.kind = TimeSeries.from_values, BlockRNNModel

    def windows(self, X):
        """A series with as many windows of as many steps and channels as X; time does not depend on the values."""
        n, n_steps, n_channels = X.shape
        values = np.random.default_rng(0).standard_normal((n + n_steps, n_channels)).astype(np.float32)
        return {"series": self.series(values[:, :1]), "past_covariates": self.series(values[:, 1:])}

    def fit(self, X, y, hidden_size, epochs, batch_size):
        trainer = {
            "accelerator": "cpu", "logger": False, "enable_progress_bar": False, "enable_model_summary": False,
            "enable_checkpointing": False,
        }  # fmt: skip
        model = self.kind(
            X.shape[1], 1, model="LSTM", hidden_dim=hidden_size, batch_size=batch_size, n_epochs=epochs,
            optimizer_kwargs={"lr": LR}, pl_trainer_kwargs=trainer,
        )  # fmt: skip
        model.fit(**self.windows(X))
        steps = epochs * -(-len(X) // batch_size)
        if model.trainer.global_step != steps:
            raise RuntimeError(f"darts made {model.trainer.global_step} steps where the loop makes {steps}")
        return model

    def predict(self, model, X):
        return model.historical_forecasts(
            **self.windows(X), forecast_horizon=1, retrain=False, last_points_only=True, overlap_end=True
        )


class KerasLSTM:
    """keras on torch, whose LSTM on a CPU is a loop over the time steps in Python."""

    loop = staticmethod(lstm)
    packages = ("keras", "torch")

    def __init__(self, threads):
        os.environ["KERAS_BACKEND"] = "torch"
        import keras

        self.keras = keras

    def fit(self, X, y, hidden_size, epochs, batch_size):
        layers = self.keras.layers
        model = self.keras.Sequential([layers.Input(X.shape[1:]), layers.LSTM(hidden_size), layers.Dense(1)])
        model.compile(optimizer=self.keras.optimizers.Adam(LR), loss="mse")
        model.fit(X, y, batch_size=batch_size, epochs=epochs, verbose=0)
        return model

    def predict(self, model, X):
        return model.predict(X, batch_size=256, verbose=0)


class AeonLSTM:
    """On TensorFlow, so not the same kernels; compiles its graph in every fit, and writes a checkpoint of the best."""

    loop = staticmethod(lstm)
    packages = ("aeon", "tensorflow-cpu")

    def __init__(self, threads):
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
        import tensorflow

        tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
        tensorflow.config.threading.set_inter_op_parallelism_threads(1)
        from aeon.regression.deep_learning import RecurrentRegressor

        self.kind, self.adam = RecurrentRegressor, tensorflow.keras.optimizers.Adam

    def fit(self, X, y, hidden_size, epochs, batch_size):
        with tempfile.TemporaryDirectory() as folder:
            model = self.kind(
                n_units=hidden_size, dropout_output=0.0, n_epochs=epochs, batch_size=batch_size,
                optimizer=self.adam(LR), file_path=f"{folder}/",
            )  # fmt: skip
            return model.fit(np.ascontiguousarray(X.transpose(0, 2, 1)), y)

    def predict(self, model, X):
        return model.predict(np.ascontiguousarray(X.transpose(0, 2, 1)))


PEERS = {"sktime RNN": SktimeRNN, "darts LSTM": DartsLSTM, "keras LSTM": KerasLSTM, "aeon LSTM": AeonLSTM}


def measure(task, peer, n, n_steps, n_channels, hidden_size, batch_size, epochs, threads, rounds):
    torch.set_num_threads(threads)
    own = PEERS[peer](threads)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, n_steps, n_channels)).astype(np.float32)
    y = X[:, -3:, 0].mean(axis=1)
    tensors = torch.from_numpy(X), torch.from_numpy(y)[:, None]
    make = partial(own.loop, n_channels, hidden_size)
    settings = {"batch_size": batch_size, "epochs": epochs, "lr": LR}
    if task == "fit":
        baselines = {
            "loop": partial(train, make, nn.functional.mse_loss, *tensors, **settings),
            "fused loop": partial(train, make, nn.functional.mse_loss, *tensors, **settings, fused=True),
        }
        contenders = {peer: partial(own.fit, X, y, hidden_size, epochs, batch_size)}
    else:
        module = make()
        model = own.fit(X[:1000], y[:1000], hidden_size, 1, batch_size)

        @torch.no_grad()
        def whole():
            return module(torch.from_numpy(X)).numpy()

        baselines = {"one forward pass": whole}
        contenders = {peer: partial(own.predict, model, X)}
    with pinned(threads):
        found = compare(baselines, contenders, rounds)
    return {
        "pairs": {name: vars(found[peer, name]) for name in baselines},
        "packages": {name: version(name) for name in own.packages},
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case", help="JSON: the arguments of measure")
    warnings.simplefilter("ignore")
    sys.stdout, answers = sys.stderr, sys.stdout  # what the packages print is not the answer
    print(json.dumps(measure(**json.loads(parser.parse_args().case))), file=answers)


if __name__ == "__main__":
    main()
