import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import FunctionTransformer

from sklstm import NoisyRNNClassifier, TikhonovGRURegressor, TikhonovLSTMRegressor
from sklstm.model_selection import RegularizationPathCV

pytest.importorskip("matplotlib")


def trained(estimator, X, y):
    """A few epochs are enough to look at; feasible or not is not the point here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return estimator.fit(X, y)


def double(X):
    return 2 * X


class Made:
    """Small data, and models that are trained when a test first asks for them."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.X = rng.standard_normal((60, 5, 2))
        self.y = self.X[:, -2:, 0].mean(axis=1)
        self.labels = np.where(self.X[:, :, 0].sum(axis=1) > 0, "up", "down")
        self._models = {}

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        if name not in self._models:
            self._models[name] = self._train(name)
        return self._models[name]

    def _train(self, name):
        small = {"hidden_size": 4, "max_epochs": 8, "random_state": 0}
        free = {"lambda_s": 0, "lambda_1": 0, "lambda_2": 0}
        estimators = {
            "lstm": TikhonovLSTMRegressor(**small),
            "tight": TikhonovLSTMRegressor(variant="tight", **small),
            "plain": TikhonovLSTMRegressor(**free, **small),
            "stopped": TikhonovLSTMRegressor(
                early_stopping=True, validation_fraction=0.3, **small | {"max_epochs": 40}, lr=0.05, n_iter_no_change=5
            ),
            "two_layers": TikhonovLSTMRegressor(num_layers=2, lambda_s=0.001, **small),
            "gru": TikhonovGRURegressor(**small),
            "gru_tight": TikhonovGRURegressor(variant="tight", num_layers=2, **small),
            "classifier": NoisyRNNClassifier(**small),
            "search": RegularizationPathCV(TikhonovLSTMRegressor(**small), "lambda_s", [0.01, 1.0], cv=3),
            "classifier_search": RegularizationPathCV(
                NoisyRNNClassifier(**small), "sigma", [0.0, 0.1, 0.3], cv=3, refit=False
            ),
        }
        return trained(estimators[name], self.X, self.labels if name.startswith("classifier") else self.y)

    @staticmethod
    def doubling():
        """A step that no certificate knows."""
        return FunctionTransformer(double)


@pytest.fixture(scope="session")
def made():
    return Made()
