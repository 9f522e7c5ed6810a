"""Snapshots of trained nets: checked before anything is built, and whole."""

import pytest
import torch
from torch import nn

from sklstm.networks import GRUNetwork, LSTMNetwork, RNNNetwork
from sklstm.training import SequenceDataset, SequenceNet
from sklstm.training._snapshot import check_snapshot, check_weights, restore, take_snapshot
from sklstm.training._train import OPTIMIZERS

LSTM = {"n_features": 2, "hidden_size": 3, "n_outputs": 1}


def trained(**options):
    net = SequenceNet(
        LSTMNetwork,
        nn.MSELoss,
        optimizer=torch.optim.Adam,
        optimizer__fused=True,
        lr=0.01,
        max_epochs=2,
        batch_size=4,
        train_split=None,
        generator=torch.Generator().manual_seed(0),
        verbose=0,
        **{f"module__{name}": value for name, value in LSTM.items()},
        **options,
    )
    generator = torch.Generator().manual_seed(1)
    data = SequenceDataset(torch.randn(10, 5, 2, generator=generator), torch.randn(10, 1, generator=generator))
    with torch.random.fork_rng(devices=[]):
        net.initialize()
    return net.train(data), data


def snapshot():
    return take_snapshot(trained()[0], OPTIMIZERS, resumable=False)


def test_a_restored_net_is_the_net():
    net, data = trained()
    values = take_snapshot(net, OPTIMIZERS, resumable=True)
    again = restore(values, LSTMNetwork, nn.MSELoss, OPTIMIZERS, "cpu")
    assert torch.equal(again.module_(data.X.values), net.module_(data.X.values))
    assert list(again.history) == list(net.history)
    assert torch.equal(again.generator.get_state(), net.generator.get_state())
    mine, theirs = again.optimizer_.state_dict(), net.optimizer_.state_dict()
    assert mine["param_groups"] == theirs["param_groups"]
    for number, state in theirs["state"].items():
        assert all(torch.equal(mine["state"][number][name], value) for name, value in state.items())
    # Restoring once more from the same values is not disturbed by what the first did with them.
    again.train(data)
    third = restore(values, LSTMNetwork, nn.MSELoss, OPTIMIZERS, "cpu")
    assert torch.equal(third.module_(data.X.values), net.module_(data.X.values))
    assert third.train(data).history[:, "train_loss"] == again.history[:, "train_loss"]


def test_an_epoch_with_other_entries_is_kept():
    net, _ = trained()
    net.history.new_epoch()
    net.history.record("train_loss", 0.5)
    net.history.record("curve", object())  # neither a number nor a string: stays at home
    values = take_snapshot(net, OPTIMIZERS, resumable=False)
    rows = list(restore(values, LSTMNetwork, nn.MSELoss, OPTIMIZERS, "cpu").history)
    assert rows[:2] == list(net.history)[:2]
    assert rows[2] == {"batches": [], "train_loss": 0.5}


def test_an_unknown_optimiser_is_forgotten():
    net, data = trained()
    net.optimizer = torch.optim.RMSprop
    values = take_snapshot(net, OPTIMIZERS, resumable=True)
    again = restore(values, LSTMNetwork, nn.MSELoss, OPTIMIZERS, "cpu")
    assert not again.optimizer_.state
    assert torch.equal(again.module_(data.X.values), net.module_(data.X.values))


@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize("module", [LSTMNetwork, GRUNetwork, RNNNetwork])
def test_weights_of_the_module_pass(module, num_layers):
    arguments = LSTM | ({"num_layers": num_layers} if module is not RNNNetwork else {"recurrent_scale": 0.5})
    with torch.random.fork_rng(devices=[]):
        weights = dict(module(**arguments).state_dict())
    check_weights(weights, module, arguments)
    name = next(iter(weights))
    weight = weights[name]
    for wrong in (weight.double(), weight[:, :1], weight.T, torch.full_like(weight, torch.nan)):
        with pytest.raises(ValueError, match="weight"):
            check_weights(weights | {name: wrong}, module, arguments)
    with pytest.raises(ValueError, match="'more' is float32"):
        check_weights(weights | {"more": torch.zeros(1)}, module, arguments)
    with pytest.raises(ValueError, match="is none, but the network has"):
        check_weights({key: weights[key] for key in list(weights)[1:]}, module, arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {"hidden_size": 10**9}, {"hidden_size": 2**24 - 1}, {"n_features": 0}, {"n_outputs": -1}, {"num_layers": 10**6},
        {"hidden_size": 2.5}, {"readout": "exec"}, {"unknown": 1}, {"hidden_size": "3"}, {"dtype": "float32"},
        {"hidden_size": float("nan")}, {"hidden_size": float("inf")}, {"num_layers": 2}, {"num_layers": "2"},
    ],
    ids=repr,
)  # fmt: skip
def test_sizes_that_the_weights_do_not_have_are_refused_without_building(arguments):
    values = snapshot()
    values["module"] |= arguments
    with pytest.raises(ValueError, match="network"):
        check_snapshot(values, LSTMNetwork, OPTIMIZERS)


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("optimizer", "lbfgs"), ("device", "nowhere"), ("lr", "0.1"), ("weights", []),
        ("history", [{"a": [1], "b": []}]),
        ("history", [{}]), ("history", [{"a": 1}]), ("max_epochs", 2.0), ("module", {"hidden_size": None}),
    ],
)  # fmt: skip
def test_other_entries_are_checked(entry, value):
    values = snapshot()
    check_snapshot(values, LSTMNetwork, OPTIMIZERS)
    with pytest.raises(ValueError, match=r"network|history"):
        check_snapshot(values | {entry: value}, LSTMNetwork, OPTIMIZERS)
    with pytest.raises(ValueError, match="needs the entries"):
        check_snapshot({name: values[name] for name in values if name != entry}, LSTMNetwork, OPTIMIZERS)
