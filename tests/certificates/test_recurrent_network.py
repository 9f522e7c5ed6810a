"""A layer run by torch's kernels, for the point in the middle of a box."""

import pytest
import torch

from sklstm.certificates import _recurrent_network


@pytest.mark.parametrize("kind", [torch.nn.LSTM, torch.nn.GRU])
def test_layers_filled_for_other_devices_are_those_of_the_cpu(kind, generator):
    layer = kind(3, 4, batch_first=True, device="meta")
    weights = {name: torch.randn(weight.shape, generator=generator) for name, weight in layer.named_parameters()}
    X = torch.randn(5, 6, 3, generator=generator)
    expected = _recurrent_network._states(layer, weights, X)
    filled = _recurrent_network._filled(layer, weights, torch.device("cpu"))
    with torch.no_grad():
        torch.testing.assert_close(filled(X)[0], expected, rtol=1e-6, atol=1e-6)
