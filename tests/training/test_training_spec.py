"""What a training is told: unknown names and numbers out of range are refused, before anything is trained."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from sklstm.networks import LSTMNetwork
from sklstm.training import NetworkSpec, TrainingSpec, dataset, train
from sklstm.training._train import sizes_for

NETWORK = NetworkSpec(LSTMNetwork, {"n_features": 1, "hidden_size": 3, "n_outputs": 1})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("optimizer", "newton"),
        ("lr_schedule", "sometimes"),
        ("precision", "half"),
        ("max_epochs", 0),
        ("batch_size", 0),
        ("lr", 0.0),
        ("lr", math.inf),
        ("lr", math.nan),
        ("weight_decay", -1.0),
        ("clip_norm", 0.0),
        ("clip_norm", math.nan),
    ],
)
def test_what_is_out_of_range_is_refused_by_name(name, value):
    with pytest.raises(ValueError, match=name):
        TrainingSpec(NETWORK, nn.MSELoss, **{name: value})


@pytest.mark.parametrize(
    ("y", "weight", "message"),
    [
        (np.zeros(5), None, "X has 6 sequences, but y has 5 entries"),
        (np.zeros(6), np.ones(7), "X has 6 sequences, but weight has 7 entries"),
        (np.zeros(6), -np.ones(6), "not negative"),
        (np.zeros(6), np.array([1, np.nan, 1, 1, 1, 1]), "finite"),
        (np.zeros(6), np.zeros(6), "All weights are zero"),
    ],
)
def test_data_that_do_not_fit_are_refused(y, weight, message):
    with pytest.raises(ValueError, match=message):
        dataset(np.zeros((6, 4, 1)), y, weight)


class Mean(nn.Module):
    """A network of the user's own, which has none of the arguments of ours."""

    def __init__(self, scale):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([[scale]]))

    def forward(self, X):
        return X.mean(dim=1) @ self.weight


def test_a_network_of_the_users_own_is_trained():
    X = np.random.default_rng(0).standard_normal((60, 5, 1)).astype(np.float32)
    spec = TrainingSpec(NetworkSpec(Mean, {"scale": 0.0}), nn.MSELoss, lr=0.1, max_epochs=400, lr_schedule="cosine")
    net = train(spec, dataset(X, 3 * X.mean(axis=1)))
    assert net.module_.weight.item() == pytest.approx(3, abs=1e-3)


def test_small_data_make_enough_steps_and_large_data_no_more_than_before():
    for n in [*range(1, 600), 10**4, 10**6]:
        batch_size, max_epochs = sizes_for(n, "auto", "auto")
        steps = max_epochs * math.ceil(n / batch_size)
        assert steps >= 1500
        assert batch_size == 64 or steps < 1500 + 100 * math.ceil(n / batch_size)
        if n >= 960:  # 15 batches of 64
            assert (batch_size, max_epochs) == (64, 100)
    assert sizes_for(67, 64, 100) == (64, 100)  # what is asked for
    assert sizes_for(67, 64, "auto") == (64, 750)
    assert sizes_for(67, "auto", 5) == (8, 5)
