"""The self-test of activations: it passes here, it notices what is worse, and it is made once."""

import math
from decimal import Decimal

import numpy as np
import pytest
import torch

from sklstm.certificates import LayerWeights, RecurrentNetwork, _self_test, output_bounds
from sklstm.certificates._self_test import check_activations, exactly, logistic, tanh
from sklstm.exceptions import InaccurateFunctionError

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def forgets():
    check_activations.cache_clear()
    yield
    check_activations.cache_clear()


def network(dtype):
    one = torch.ones(1, 1, dtype=dtype)
    return RecurrentNetwork("lstm", [LayerWeights(one.expand(4, 1), one.expand(4, 1))], weight_out=one)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_this_machine_passes_and_is_asked_once(dtype, monkeypatch):
    measured = []
    original = _self_test._measured
    monkeypatch.setattr(_self_test, "_measured", lambda *which: measured.append(which) or original(*which))
    box = torch.zeros(1, 2, 1), torch.ones(1, 2, 1)
    for _ in range(3):
        output_bounds(network(dtype), *box)
    assert measured == [(dtype, CPU)]
    names = dict(original(dtype, CPU))
    assert {"torch.sigmoid", "torch.tanh", "logistic in torch's LSTM", "tanh in torch's GRU"} < set(names)
    assert all(0 < units <= 4 for units in names.values())


@pytest.mark.parametrize("function", ["sigmoid", "tanh"])
def test_a_worse_function_is_noticed_and_no_bound_is_given(function, monkeypatch):
    original = getattr(torch, function)

    def worse(x):
        return original(x) + (3e-7 if x.dtype == torch.float32 else 0)

    monkeypatch.setattr(torch, function, worse)
    with pytest.raises(InaccurateFunctionError, match=rf"torch\.{function}.*off by \d"):
        output_bounds(network(torch.float32), torch.zeros(1, 2, 1), torch.ones(1, 2, 1))
    relu = RecurrentNetwork("relu", [LayerWeights(torch.ones(1, 1), torch.ones(1, 1))], weight_out=torch.ones(1, 1))
    output_bounds(relu, torch.zeros(1, 2, 1), torch.ones(1, 2, 1))  # has no such function


def test_a_worse_layer_is_noticed(monkeypatch):
    original = _self_test.run_layer

    def worse(module, weights, X):
        states, last = original(module, weights, X)
        return states, tuple(part * (1 + 1e-6) for part in last) if isinstance(last, tuple) else last * (1 + 1e-6)

    monkeypatch.setattr(_self_test, "run_layer", worse)
    with pytest.raises(InaccurateFunctionError, match="in torch's LSTM"):
        check_activations(torch.float32, CPU)


def test_decimal_references_are_those_of_the_math_module():
    x = torch.tensor([-30.0, -1.0, -1e-9, 0.0, 1e-5, 0.3, 2.0, 19.0], dtype=torch.float64)
    np.testing.assert_allclose([float(value) for value in exactly(tanh, x)], np.tanh(x.numpy()), rtol=1e-15)
    expected = [1 / (1 + math.exp(-value)) for value in x.tolist()]
    np.testing.assert_allclose([float(value) for value in exactly(logistic, x)], expected, rtol=1e-15)
    assert exactly(logistic, x)[3] == Decimal("0.5")
