"""Paths on a CUDA device beside the same on the CPU."""

import numpy as np
import pytest
import torch

from sklstm import NoisyRNNClassifier, TikhonovLSTMRegressor
from sklstm.model_selection import RegularizationPathCV
from tests.support.problems import late_mean, signed_sum

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
QUICK = {"hidden_size": 8, "max_epochs": 4, "random_state": 0}


@pytest.mark.parametrize("strategy", ["stacked", "separate"])
@pytest.mark.parametrize(
    ("kind", "name", "values"),
    [
        (TikhonovLSTMRegressor, "lambda_s", [0.001, 0.1]),
        (NoisyRNNClassifier, "sigma", [0.0, 0.3]),
        (NoisyRNNClassifier, "weight_decay", [0.0, 0.1]),
    ],
)
def test_path_agrees_with_the_cpu(kind, name, values, strategy):
    X, y = (late_mean if kind is TikhonovLSTMRegressor else signed_sum)(200)
    host, device = (
        RegularizationPathCV(kind(device=place, **QUICK), name, values, cv=3, strategy=strategy).fit(X, y)
        for place in ("cpu", "cuda")
    )
    np.testing.assert_allclose(device.data_loss_path_, host.data_loss_path_, rtol=1e-2)
    np.testing.assert_allclose(device.score_path_, host.score_path_, atol=0.02)
    assert next(device.best_estimator_.net_.module_.parameters()).device.type == "cuda"
