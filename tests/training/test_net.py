import pickle

import numpy as np
import pytest
import torch
from torch import nn

from sklstm.training import Penalty, SequenceDataset, SequenceNet
from sklstm.training._callbacks import DivergenceGuard, EarlyStopping
from sklstm.training._process import seeded_construction


class Last(nn.Module):
    """Linear in the last step: problems with a known least-squares answer."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 1)

    def forward(self, X):
        return self.linear(X[:, -1])


def data(n=64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    X = torch.randn(n, 3, 2, generator=generator)
    return SequenceDataset(X, X[:, -1] @ torch.tensor([[1.0], [-2.0]]) + 0.5)


def make_net(**options):
    settings = {"optimizer": torch.optim.Adam, "lr": 0.05, "max_epochs": 20, "batch_size": 16} | options
    net = SequenceNet(
        Last,
        nn.MSELoss,
        train_split=None,
        callbacks=settings.pop("callbacks", []),
        verbose=0,
        generator=torch.Generator().manual_seed(0),
        **settings,
    )
    with seeded_construction(0):
        return net.initialize()


def weight_norm(module):
    return module.linear.weight.square().sum()


class WeightNorm(Penalty):
    """As `SequenceNet` wants it: the gradient is added to that of the parameters, and the value returned."""

    def __call__(self, module):
        value = weight_norm(module)
        value.backward()
        return value.item()


def test_penalty_counts_in_the_gradient_of_training_and_in_no_validation_loss():
    net = make_net(penalty=WeightNorm())
    X, y = data().X.values, data().y
    for training in (False, True):
        with torch.no_grad():
            prediction = net.module_(X)
            loss = net.get_loss(prediction, y, training=training)
        torch.testing.assert_close(loss, nn.functional.mse_loss(prediction, y))
    nn.functional.mse_loss(net.module_(X), y).backward()
    plain = {name: parameter.grad.clone() for name, parameter in net.module_.named_parameters()}
    net.on_grad_computed(net, net.module_.named_parameters())
    for name, parameter in net.module_.named_parameters():
        added = 2 * parameter.detach() if name == "linear.weight" else torch.zeros_like(parameter)
        torch.testing.assert_close(parameter.grad, plain[name] + added)


def test_loss_and_penalty_are_recorded_apart():
    net = make_net(penalty=WeightNorm()).train(data())
    for epoch in net.history:
        assert epoch["train_loss"] == pytest.approx(epoch["data_loss"] + epoch["penalty"], rel=1e-6)
    assert net.history[-1, "penalty"] > 0.01
    assert "batches" not in net.history[-1] or not net.history[-1]["batches"], "no record per batch is kept"


def test_training_equals_a_hand_written_loop_bit_for_bit():
    net = make_net(penalty=WeightNorm()).train(data())
    with seeded_construction(0):
        module = Last()
    optimizer = torch.optim.Adam(module.parameters(), lr=0.05)
    generator = torch.Generator().manual_seed(0)
    X, y = data().X.values, data().y
    for _ in range(20):
        for part in torch.randperm(len(X), generator=generator).split(16):
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(module(X[part]), y[part]) + weight_norm(module)
            loss.backward()
            optimizer.step()
    for ours, theirs in zip(net.module_.parameters(), module.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_gradients_are_clipped():
    # With plain SGD the step is lr times the clipped gradient: its norm cannot exceed lr * clip_norm.
    net = make_net(optimizer=torch.optim.SGD, lr=1.0, clip_norm=0.01, max_epochs=1, batch_size=64)
    before = [parameter.detach().clone() for parameter in net.module_.parameters()]
    net.train(data())
    moved = torch.cat([(p.detach() - q).flatten() for p, q in zip(net.module_.parameters(), before, strict=True)])
    assert moved.norm().item() == pytest.approx(0.01, rel=1e-4)


def test_projection_follows_every_step():
    seen = []

    def project(module):
        seen.append(module.linear.weight.abs().max().item())
        with torch.no_grad():
            module.linear.weight.clamp_(-0.3, 0.3)

    net = make_net(projection=project, max_epochs=4).train(data())
    assert len(seen) == 4 * 4
    assert net.module_.linear.weight.abs().max() <= 0.3


def test_early_stopping_restores_the_best_weights():
    from skorch.helper import predefined_split

    noise = data(16, seed=1)
    noise.y = -noise.y  # the validation loss gets worse with every step towards the training data
    net = make_net(callbacks=[EarlyStopping(3)], max_epochs=50)
    start = net.module_.linear.weight.detach().clone()
    net.train_split = predefined_split(noise)
    net.train(data())
    losses = net.history[:, "valid_loss"]
    best = int(np.argmin(losses))
    assert len(losses) == best + 1 + 3, "three epochs without improvement, then the end"
    with torch.no_grad():
        restored = nn.functional.mse_loss(net.module_(noise.X.values), noise.y).item()
    assert restored == pytest.approx(losses[best], rel=1e-6)
    assert restored < losses[-1]
    assert not torch.equal(net.module_.linear.weight, start)


def test_divergence_is_a_clear_error():
    net = make_net(callbacks=[DivergenceGuard()], optimizer=torch.optim.SGD, lr=1e30)
    with pytest.raises(ValueError, match=r"Training diverged: the loss is (nan|inf) in epoch 1 with lr=1e\+30"):
        net.train(data())


def test_ctrl_c_is_not_swallowed():
    class Interrupt(DivergenceGuard):
        def on_epoch_end(self, net, **kwargs):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_net(callbacks=[Interrupt()]).train(data())


def test_a_trained_net_pickles_without_data():
    net = make_net(penalty=WeightNorm(), max_epochs=2).train(data(10_000))
    blob = pickle.dumps(net)
    assert len(blob) < 50_000  # the data alone are 240 kB
    X = data().X.values
    assert torch.equal(pickle.loads(blob).module_(X), net.module_(X))
