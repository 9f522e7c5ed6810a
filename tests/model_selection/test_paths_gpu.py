"""Paths on a CUDA device beside the same on the CPU."""

import numpy as np
import pytest
import torch

from sklstm.model_selection import NoisyRNNClassifierCV, TikhonovLSTMRegressorCV
from tests.support.problems import late_mean, signed_sum

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
QUICK = {"hidden_size": 8, "cv": 3, "max_epochs": 4, "random_state": 0, "compute_bound": False}


@pytest.mark.parametrize("strategy", ["stacked", "separate"])
@pytest.mark.parametrize("kind", [TikhonovLSTMRegressorCV, NoisyRNNClassifierCV])
def test_path_agrees_with_the_cpu(kind, strategy):
    X, y = (late_mean if kind is TikhonovLSTMRegressorCV else signed_sum)(200)
    values = {"lambdas": [0.001, 0.1]} if kind is TikhonovLSTMRegressorCV else {"sigmas": [0.0, 0.3]}
    host, device = (kind(device=name, strategy=strategy, **values, **QUICK).fit(X, y) for name in ("cpu", "cuda"))
    np.testing.assert_allclose(device.data_loss_path_, host.data_loss_path_, rtol=1e-2)
    np.testing.assert_allclose(device.score_path_, host.score_path_, atol=0.02)
    assert next(device.best_estimator_.net_.module_.parameters()).device.type == "cuda"
