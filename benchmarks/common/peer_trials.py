"""Tries what a user of scikit-learn expects on one package's recurrent regressor; one line of JSON comes back.

Runs in the peers' environment or in the package's own. A trial that raises is a "no", with the error as its reason; one
that makes no sense for a package returns None.
"""

import io
import json
import os
import sys
import tempfile
import types
import warnings
from contextlib import redirect_stderr, redirect_stdout
from importlib.metadata import version
from pathlib import Path

import numpy as np

L, D = 8, 2
RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, L, D)).astype(np.float32)
Y = X[:, -3:, 0].mean(axis=1)
RAGGED = [x[i % 4 :] for i, x in enumerate(X)]


class Package:
    """How a package's regressor is made and called; `X` arrives as (n, L, d) or as a list of (L_i, d)."""

    packages: tuple[str, ...] = ()
    takes_modules = False  # whether the network is what the user hands over
    units, sizes = "hidden_size", (3, 5)  # the parameter that a search varies, and its values

    def make(self, **parameters):
        raise NotImplementedError

    def given(self, X):
        return X

    def convolutional(self):
        """A regressor with the same interface whose network is convolutional; None if there is none."""
        return None

    def regressors(self):
        """All that predict a number from a sequence, with the same interface."""
        return ()

    def forecast(self, series):
        """The next value of a Series, with its time; None if the user makes windows, scales and keeps times."""
        return None

    def save(self, model, folder):
        """A file from which `load` makes the whole model; None if pickle is the documented way."""
        return None


class Sklstm(Package):
    packages = ("sklstm", "torch")

    def make(self, **parameters):
        from sklstm import TikhonovLSTMRegressor

        return TikhonovLSTMRegressor(
            **{"hidden_size": 4, "max_epochs": 2, "random_state": 0, "n_channels": D} | parameters
        )

    def forecast(self, series):
        from sklstm import make_forecaster

        return make_forecaster(self.make(n_channels=1), window=L, horizon=1).fit(series).predict()

    def save(self, model, folder):
        import sklstm

        model.save(folder / "model.safetensors")
        return sklstm.load(folder / "model.safetensors")


class Skorch(Package):
    packages = ("skorch", "torch")
    takes_modules = True
    units = "module__hidden_size"
    defaults = types.MappingProxyType({"max_epochs": 2, "verbose": 0, "train_split": None})

    def make(self, **parameters):
        import torch
        from skorch import NeuralNetRegressor
        from torch import nn

        class Network(nn.Module):
            def __init__(self, hidden_size=4):
                super().__init__()
                self.lstm = nn.LSTM(D, hidden_size, batch_first=True)
                self.linear = nn.Linear(hidden_size, 1)

            def forward(self, X):
                return self.linear(self.lstm(X.reshape(len(X), -1, D))[0][:, -1])

        torch.manual_seed(0)
        # y as its users have it, (n,); with (n, 1) it trains as meant.
        return NeuralNetRegressor(Network, **self.defaults | parameters)

    def convolutional(self):
        from skorch import NeuralNetRegressor
        from torch import nn

        class Network(nn.Module):
            def __init__(self):
                super().__init__()
                self.inner = nn.Sequential(nn.Conv1d(D, 4, 3), nn.ReLU(), nn.AdaptiveMaxPool1d(1), nn.Flatten())
                self.linear = nn.Linear(4, 1)

            def forward(self, X):
                return self.linear(self.inner(X.mT))

        return NeuralNetRegressor(Network, **self.defaults)


class Keras(Package):
    packages = ("keras", "torch")
    takes_modules = True
    units, sizes = "model_kwargs", ({"units": 3}, {"units": 5})

    def given(self, X):
        return X.reshape(len(X), -1) if isinstance(X, np.ndarray) else X  # its wrapper takes rows only

    def convolutional(self):
        return self.make(model_kwargs={"convolutional": True})

    def make(self, **parameters):
        os.environ["KERAS_BACKEND"] = "torch"
        import keras
        from keras.wrappers import SKLearnRegressor

        def network(X, y, units=4, convolutional=False):
            layers = keras.layers
            inner = [layers.LSTM(units)]
            if convolutional:
                inner = [layers.Conv1D(units, 3, activation="relu"), layers.GlobalMaxPooling1D()]
            model = keras.Sequential([layers.Input(X.shape[1:]), layers.Reshape((-1, D)), *inner, layers.Dense(1)])
            model.compile(optimizer="adam", loss="mse")
            return model

        keras.utils.set_random_seed(0)  # there is no other way to get the same model again
        return SKLearnRegressor(network, **{"fit_kwargs": {"epochs": 2, "verbose": 0}} | parameters)


class ChannelsFirst(Package):
    def given(self, X):
        if isinstance(X, list):
            return [x.T for x in X]
        return np.ascontiguousarray(X.transpose(0, 2, 1)) if X.ndim == 3 else X


class Sktime(ChannelsFirst):
    packages = ("sktime", "torch")
    units = "hidden_dim"

    def given(self, X):
        if isinstance(X, list):  # its form of a panel of unequal lengths
            import pandas as pd

            return [pd.DataFrame(x) for x in X]
        return super().given(X)

    def make(self, **parameters):
        from sktime.regression.deep_learning.rnn import SimpleRNNRegressorTorch

        return SimpleRNNRegressorTorch(**{"hidden_dim": 4, "num_epochs": 2, "random_state": 0} | parameters)

    def convolutional(self):
        from sktime.regression.deep_learning.cnn import CNNRegressorTorch

        return CNNRegressorTorch(num_epochs=2, kernel_sizes=(3, 3), avg_pool_size=1)

    def regressors(self):
        from sktime.registry import all_estimators

        return all_estimators("regressor", as_dataframe=False)

    def forecast(self, series):
        from sktime.forecasting.compose import make_reduction

        forecaster = make_reduction(self.make(), scitype="time-series-regressor", window_length=L)
        return forecaster.fit(series, fh=[1]).predict()


class Aeon(ChannelsFirst):
    packages = ("aeon", "tensorflow-cpu")
    units = "n_units"

    def make(self, **parameters):
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
        from aeon.regression.deep_learning import RecurrentRegressor

        return RecurrentRegressor(**{"n_units": 4, "n_epochs": 2, "random_state": 0} | parameters)

    def convolutional(self):
        from aeon.regression.deep_learning import FCNRegressor

        return FCNRegressor(n_epochs=2, random_state=0)

    def regressors(self):
        from aeon.utils.discovery import all_estimators

        return all_estimators(type_filter="regressor")

    def save(self, model, folder):
        model.save_last_model_to_file(str(folder))
        raise RuntimeError("what is loaded is a keras model without the estimator around it")


PACKAGES = {"sklstm": Sklstm, "skorch": Skorch, "keras": Keras, "sktime": Sktime, "aeon": Aeon}


# ------------------------------------------------------------------------------------------------------- trials


def pipeline(package):
    """In a Pipeline behind StandardScaler, from a table with one row a sequence."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rows = X.reshape(len(X), -1)
    predicted = make_pipeline(StandardScaler(), package.make()).fit(rows, Y).predict(rows)
    return np.isfinite(predicted).all() and len(predicted) == len(X)


def search(package):
    """In a GridSearchCV over the number of units, every score finite."""
    from sklearn.model_selection import GridSearchCV

    grid = GridSearchCV(
        package.make(), {package.units: package.sizes}, cv=2, scoring="neg_mean_squared_error", error_score="raise"
    )
    return np.isfinite(grid.fit(package.given(X), Y).cv_results_["mean_test_score"]).all()


def one_dimensional_target(package):
    """With y of shape (n,), predictions of shape (n,) and no warning about broadcasting."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*target size.*")
        return package.make().fit(package.given(X), Y).predict(package.given(X)).shape == (len(X),)


def unequal_lengths(package):
    """From a list of sequences of unequal length, every sequence's prediction the same as when it is alone."""
    model = package.make().fit(package.given(RAGGED), Y)
    together = model.predict(package.given(RAGGED))
    alone = np.array([model.predict(package.given([x]))[0] for x in RAGGED[:4]])
    return np.allclose(together[:4], alone, rtol=1e-4, atol=1e-5)


def bit_for_bit(package):
    """A row's prediction does not depend on the rows beside it, to the last bit."""
    model = package.make().fit(package.given(X), Y)
    together = model.predict(package.given(X))
    return all(np.array_equal(together[:m], model.predict(package.given(X[:m]))) for m in (1, 2, 7, 33))


def weights(package):
    """``fit(X, y, sample_weight=...)``, and weights of zero take samples out."""
    weight = np.r_[np.zeros(30), np.ones(30)]
    other = Y + np.r_[np.full(30, 100.0), np.zeros(30)].astype(np.float32)
    a = package.make().fit(package.given(X), Y, sample_weight=weight).predict(package.given(X))
    b = package.make().fit(package.given(X), other, sample_weight=weight).predict(package.given(X))
    return np.allclose(a, b)


def random_state_untouched(package):
    """numpy's global random state after fit is what it was before, and two fits are alike."""
    np.random.seed(1)
    before = np.random.get_state()[1].copy()
    a = package.make().fit(package.given(X), Y).predict(package.given(X))
    untouched = np.array_equal(before, np.random.get_state()[1])
    b = package.make().fit(package.given(X), Y).predict(package.given(X))
    return untouched and np.array_equal(a, b)


def nothing_written(package):
    """fit leaves no file in the working directory."""
    with tempfile.TemporaryDirectory() as folder:
        here = os.getcwd()
        os.chdir(folder)
        try:
            package.make().fit(package.given(X), Y)
            return not list(Path(folder).iterdir())
        finally:
            os.chdir(here)


def saved_without_pickle(package):
    """The whole fitted model comes back from a file without pickle and predicts the same."""
    model = package.make().fit(package.given(X), Y)
    with tempfile.TemporaryDirectory() as folder:
        loaded = package.save(model, Path(folder))
    return loaded is not None and np.array_equal(loaded.predict(package.given(X)), model.predict(package.given(X)))


def certified(package):
    """A bound on the outputs for every input within a given distance: a public name that speaks of it."""
    model = package.make().fit(package.given(X), Y)
    return any("certif" in name or "lipschitz" in name for name in dir(model) if not name.startswith("_"))


def generalization(package):
    """A bound on the error of new data from the training data: a public name that speaks of it."""
    model = package.make().fit(package.given(X), Y)
    return any("generalization" in name for name in dir(model) if not name.startswith("_"))


def own_network(package):
    """Any network of one's own in its place: bidirectional, with attention, of other cells."""
    return package.takes_modules and package.make().fit(package.given(X), Y) is not None


def convolutional(package):
    """A convolutional network in place of the recurrent one: of the package, or of the user."""
    model = package.convolutional()
    return model is not None and np.isfinite(model.fit(package.given(X), Y).predict(package.given(X))).all()


def many_methods(package):
    """Kernels, distances, features, forests and other networks: more than 20 regressors for sequences."""
    return len(package.regressors()) > 20


def forecast(package):
    """From a Series with times to the next value with its time, without windows or scaling by hand."""
    import pandas as pd

    times = pd.date_range("2026-01-01", periods=120, freq="h")
    series = pd.Series(np.sin(np.arange(120.0) / 4) + 5, index=times, name="load")
    following = package.forecast(series)
    return following is not None and list(following.index) == [times[-1] + pd.Timedelta("1h")]


TRIALS = {
    "in a `Pipeline` behind `StandardScaler`, from rows": pipeline,
    "in `GridSearchCV`": search,
    "y of shape (n,) without a warning": one_dimensional_target,
    "sequences of unequal length": unequal_lengths,
    "any network of one's own": own_network,
    "a convolutional network with the same interface": convolutional,
    "more than 20 other methods for sequences with the same interface": many_methods,
    "a forecast with its time from a table, without windows by hand": forecast,
    "a prediction is the same alone and among others, bit for bit": bit_for_bit,
    "`sample_weight`": weights,
    "global random state left alone": random_state_untouched,
    "fit writes no file": nothing_written,
    "saved whole without pickle": saved_without_pickle,
    "bounds under input perturbation": certified,
    "generalisation bound": generalization,
}


def attempt(trial, package):
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            return {"yes": bool(trial(package))}
        except Exception as error:  # whatever another package raises is its answer
            return {
                "yes": False,
                "reason": f"{type(error).__name__}: {str(error).splitlines()[0][:200] if str(error) else ''}",
            }


def main():
    name = sys.argv[1]
    package = PACKAGES[name]()
    here = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # some fits write checkpoints where they stand
        found = {feature: attempt(trial, package) for feature, trial in TRIALS.items()}
        os.chdir(here)
    versions = {each: version(each) for each in (*package.packages, "scikit-learn")}
    print("\n" + json.dumps({"features": found, "packages": versions}))


if __name__ == "__main__":
    main()
