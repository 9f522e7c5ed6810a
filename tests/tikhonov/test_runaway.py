"""Weights that run away end in one clear error, without numpy's warnings on the way."""

import numpy as np
import pytest

from sklstm import TikhonovGRURegressor, TikhonovLSTMRegressor


@pytest.mark.parametrize("lr", [1e4, 1e8, 1e20])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("estimator", [TikhonovLSTMRegressor, TikhonovGRURegressor])
def test_divergence_is_one_error(estimator, optimizer, lr):
    X = np.random.default_rng(0).standard_normal((50, 5, 2))
    model = estimator(6, num_layers=2, lr=lr, optimizer=optimizer, max_epochs=10, compute_bound=False, random_state=0)
    with pytest.raises(ValueError, match="Training diverged"):
        model.fit(X, X[:, 0, 0])
