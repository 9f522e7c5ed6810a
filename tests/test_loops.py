"""The loop by hand that fits are measured against does the work of a fit: else ratios of times would say nothing."""

from functools import partial

import numpy as np
import torch
from torch import nn

from sklstm import TikhonovLSTMRegressor
from tests.support.loops import lstm, train


def test_the_loop_and_the_estimator_without_penalty_learn_alike():
    """The same loss, up to the difference of one seed against another."""
    X = np.random.default_rng(0).standard_normal((512, 24, 7)).astype(np.float32)
    y = X[:, -3:, 0].mean(axis=1)
    with torch.random.fork_rng(devices=[]):
        settings = {"batch_size": 64, "epochs": 30, "lr": 3e-3}
        tensors = torch.from_numpy(X), torch.from_numpy(y)[:, None]
        loop = train(partial(lstm, 7, 16), nn.functional.mse_loss, *tensors, **settings)
    with torch.no_grad():
        by_hand = loop(tensors[0]).numpy()[:, 0]
    plain = {"lambda_s": 0, "lambda_1": 0, "lambda_2": 0, "random_state": 0}
    ours = TikhonovLSTMRegressor(16, skip="none", max_epochs=30, batch_size=64, lr=3e-3, **plain).fit(X, y).predict(X)
    errors = [np.mean((predicted - y) ** 2) / y.var() for predicted in (by_hand, ours)]
    assert max(errors) < 0.2
    assert max(errors) < 3 * min(errors)
