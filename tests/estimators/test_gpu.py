import numpy as np
import pytest
import torch
from problems import late_mean, signed_sum

from sklstm import NoisyRNNClassifier, TikhonovGRURegressor, TikhonovLSTMRegressor

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
QUICK = {"hidden_size": 8, "max_epochs": 3, "random_state": 0}


@pytest.mark.parametrize("estimator", [TikhonovLSTMRegressor, TikhonovGRURegressor])
@pytest.mark.parametrize("num_layers", [1, 2])
def test_regressor_agrees_with_the_cpu(estimator, num_layers):
    X, y = late_mean(200)
    host, device = (estimator(device=name, num_layers=num_layers, **QUICK).fit(X, y) for name in ("cpu", "cuda"))
    np.testing.assert_allclose(device.predict(X), host.predict(X), atol=1e-3)
    np.testing.assert_allclose(device.rho_h_, host.rho_h_, rtol=1e-2)


def test_classifier_agrees_with_the_cpu():
    X, y = signed_sum(200)
    host, device = (NoisyRNNClassifier(device=name, **QUICK).fit(X, y) for name in ("cpu", "cuda"))
    np.testing.assert_allclose(device.decision_function(X), host.decision_function(X), atol=1e-2)
