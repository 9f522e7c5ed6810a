"""Nets trained as one program against the same nets trained one by one."""

import copy
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback, Freezer, GradientNormClipping
from skorch.helper import predefined_split
from torch import nn

from sklstm._losses import LOSSES, RegressionLoss
from sklstm._sequences import Sequences
from sklstm.estimators._tikhonov import NetworkPenalty, start_feasible
from sklstm.networks import GRUNetwork, LSTMNetwork, RNNNetwork
from sklstm.training import Checkpoint, InputNoise, SequenceDataset, SequenceNet
from sklstm.training._callbacks import DivergenceGuard, EarlyStopping, LearningRate
from sklstm.training._linear_start import LinearStart
from sklstm.training._net import Projection
from sklstm.training._process import seeded_construction
from sklstm.training._stack import can_be_stacked, train_together
from sklstm.training._train import go_on_from

D, L = 2, 5
OPTIMIZERS = {
    "adam": (torch.optim.Adam, {"optimizer__fused": True}),
    "adamw": (torch.optim.AdamW, {"optimizer__fused": True}),
    "sgd": (torch.optim.SGD, {"optimizer__momentum": 0.9, "optimizer__nesterov": True}),
}


def data(n, seed=0, *, labels=False, weighted=False):
    generator = torch.Generator().manual_seed(seed)
    X = torch.randn(n, L, D, generator=generator)
    y = (X[:, -1, 0] > 0).long() if labels else X[:, -2:, :1].mean(1)
    return SequenceDataset(X, y, torch.rand(n, generator=generator) + 0.5 if weighted else None)


def make_net(module=LSTMNetwork, *, lambda_s=None, seed=0, callbacks=(), optimizer="adam", **options):
    kind, own = OPTIMIZERS[optimizer]
    weighted = options.pop("weighted", False)
    validation = options.pop("validation", None)
    penalty = None
    if lambda_s is not None:
        penalty = NetworkPenalty("lstm", lambda_s=lambda_s, lambda_1=10.0, lambda_2=10.0, cadence=1)
    net = SequenceNet(
        module,
        options.pop("criterion", nn.CrossEntropyLoss if module is RNNNetwork else nn.MSELoss),
        criterion__reduction="none" if weighted else "mean",
        module__n_features=D,
        module__hidden_size=options.pop("hidden_size", 4),
        module__n_outputs=2 if module is RNNNetwork else 1,
        train_split=None if validation is None else predefined_split(validation),
        callbacks=[("guard", DivergenceGuard()), *callbacks],
        verbose=0,
        penalty=penalty,
        generator=torch.Generator().manual_seed(0),
        optimizer=kind,
        **({"lr": 0.01, "max_epochs": 5, "batch_size": 16} | own | options),
    )
    with seeded_construction(seed):
        net.initialize()
    if penalty is not None:
        start_feasible(net.module_, data(2), variant="turkin")
    return net


def both_ways(make, datasets):
    """The same nets, trained together and one by one."""
    together, alone = make(), make()
    assert can_be_stacked(together, datasets)
    assert train_together(together, datasets) == [None] * len(together)
    for net, dataset in zip(alone, datasets, strict=True):
        net.train(dataset)
    return together, alone


def assert_equal(together, alone, atol=2e-6):
    for mine, expected in zip(together, alone, strict=True):
        for name, weight in expected.module_.state_dict().items():
            torch.testing.assert_close(mine.module_.state_dict()[name], weight, rtol=1e-4, atol=atol)
        for name in ("train_loss", "data_loss", "penalty"):
            np.testing.assert_allclose(mine.history[:, name], expected.history[:, name], rtol=1e-4, atol=1e-6)
        state, own = expected.optimizer_.state_dict()["state"], mine.optimizer_.state_dict()["state"]
        assert state.keys() == own.keys()
        for index, values in state.items():
            assert values.keys() == own[index].keys()
            for key, value in values.items():
                if isinstance(value, torch.Tensor):
                    torch.testing.assert_close(own[index][key], value, rtol=1e-3, atol=1e-6)
        assert torch.equal(mine.generator.get_state(), expected.generator.get_state())


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("clip_norm", [None, 0.05])
@pytest.mark.parametrize("weighted", [False, True])
def test_lstms_with_penalties(optimizer, clip_norm, weighted):
    # Two folds of different size: in the last two steps of an epoch only one has a batch; batches have 13 or 14.
    first, second = data(66, 0, weighted=weighted), data(40, 1, weighted=weighted)
    values = (0.001, 0.1)

    def make():
        options = {
            "clip_norm": clip_norm,
            "weighted": weighted,
            "optimizer": optimizer,
            "optimizer__weight_decay": 0.01,
        }
        return [make_net(lambda_s=value, **options) for _ in range(2) for value in values]

    assert_equal(*both_ways(make, [second, second, first, first]))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("lambdas", [(None, None), (0.001, 0.1)])
def test_lstms_with_linear_parts(optimizer, lambdas):
    first, second = data(66, 0), data(40, 1)
    noise = LinearStart(InputNoise(0.3))

    def make():
        nets = [
            make_net(lambda_s=value, optimizer=optimizer, clip_norm=0.5, module__skip_steps=3)
            for _ in range(2)
            for value in lambdas
        ]
        for net, dataset in zip(nets, (second, second, first, first), strict=True):
            noise(net.module_, dataset)
        return nets

    assert_equal(*both_ways(make, [second, second, first, first]))


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("weighted", [False, True])
def test_every_loss(name, weighted):
    dataset = data(40, weighted=weighted)

    def make():
        # A loss of its own for every net, as every estimator has: equal, and not the same object.
        return [
            make_net(criterion=RegressionLoss.of(name, 0.8), weighted=weighted, lambda_s=value)
            for value in (0.001, 0.1)
        ]

    assert_equal(*both_ways(make, [dataset] * 2))


@pytest.mark.parametrize("noise", ["gaussian", "uniform", "dropout"])
def test_classifiers_with_noise_and_projection(noise):
    class Halve(Projection):
        stacks = True

        @torch.no_grad()
        def __call__(self, module):
            module.W.mul_(0.5)

    halve = Halve()
    dataset = data(40, labels=True)

    def make():
        return [
            make_net(
                RNNNetwork,
                inputs=InputNoise(sigma, noise) if sigma else None,
                projection=halve,
                clip_norm=1.0,
            )
            for sigma in (0.0, 0.1, 1.0)
        ]

    assert_equal(*both_ways(make, [dataset] * 3))


def test_plain_lstms_of_different_starts():
    datasets = [data(33, seed) for seed in range(3)]
    assert_equal(*both_ways(lambda: [make_net(seed=seed) for seed in range(3)], datasets))


def test_schedules_and_early_stopping():
    dataset, validation = data(48), data(16, 9)

    def make():
        return [
            make_net(
                lr=lr_seed[0],
                seed=lr_seed[1],
                max_epochs=30,
                validation=validation,
                callbacks=[("lr", LearningRate("cosine")), ("stop", EarlyStopping(2))],
            )
            for lr_seed in ((0.05, 0), (0.05, 1), (0.05, 2))
        ]

    together, alone = both_ways(make, [dataset] * 3)
    lengths = [len(net.history) for net in alone]
    assert [len(net.history) for net in together] == lengths
    assert len(set(lengths)) > 1, "one of them must leave the others early"
    for mine, expected in zip(together, alone, strict=True):
        np.testing.assert_allclose(mine.history[:, "valid_loss"], expected.history[:, "valid_loss"], rtol=1e-3)
        np.testing.assert_allclose(mine.history[:, "lr"], expected.history[:, "lr"])


def test_one_that_diverges_leaves_the_others_alone():
    good, bad = data(40), data(40, 1)
    bad.X = Sequences(bad.X.values * 1e30)
    bad.y = bad.y * 1e30
    nets = [make_net(seed=seed) for seed in range(3)]
    errors = train_together(nets, [good, bad, good])
    assert errors[0] is None
    assert errors[2] is None
    assert "Training diverged" in str(errors[1])
    alone = make_net(seed=2).train(good)
    assert_equal([nets[2]], [alone])
    assert all(net.callbacks_ == [] for net in nets)


def test_training_goes_on_from_a_net():
    # Three epochs and then two are five: the optimiser, the batches and the schedule go on.
    dataset = data(40)

    def make():
        return make_net(max_epochs=5, callbacks=[("lr", LearningRate("cosine"))])

    whole = make().train(dataset)
    first = make().train(dataset, 3)
    assert len(first.history) == 3
    rest = [make(), make()]
    for net in rest:
        go_on_from(first, net, everything=True)
        net.epochs_done_ = 3
    train_together(rest, [dataset] * 2)
    assert_equal(rest, [whole, whole])
    np.testing.assert_allclose(rest[0].history[:, "lr"], whole.history[:, "lr"])


@pytest.mark.parametrize(
    "callback",
    [LearningRate("plateau"), GradientNormClipping(0.1), Freezer("lstm.*"), Callback(), Checkpoint("never made")],
    ids=lambda callback: type(callback).__name__,
)
def test_callbacks_that_see_more_than_epochs_are_not_stacked(callback):
    dataset = data(20)
    assert not can_be_stacked([make_net(), make_net(callbacks=[("other", callback)])], [dataset] * 2)


def test_memory_is_the_nets_own_afterwards():
    dataset = data(20)
    nets = [make_net(), make_net(seed=1)]
    train_together(nets, [dataset] * 2)
    before = copy.deepcopy(nets[1].module_.state_dict())
    with torch.no_grad():
        for weight in nets[0].module_.parameters():
            weight.fill_(7)
    for name, weight in nets[1].module_.state_dict().items():
        assert torch.equal(weight, before[name])
    assert len(nets[0].module_.readout.weight.untyped_storage()) == 4 * nets[0].module_.readout.weight.numel()


def test_interruption_is_passed_on_and_leaves_nothing_behind(monkeypatch):
    nets = [make_net(), make_net(seed=1)]
    monkeypatch.setattr(
        DivergenceGuard, "on_epoch_end", lambda self, net, **kwargs: (_ for _ in ()).throw(KeyboardInterrupt)
    )
    with pytest.raises(KeyboardInterrupt):
        train_together(nets, [data(20)] * 2)
    assert all(net.callbacks_ == [] for net in nets)
    assert all(len(w.untyped_storage()) == 4 * w.numel() for net in nets for w in net.module_.parameters())


@pytest.mark.parametrize(
    "other",
    [
        {"hidden_size": 5},
        {"batch_size": 8},
        {"optimizer": "sgd"},
        {"clip_norm": 1.0},
        {"lambda_s": 0.1},
        {"module": GRUNetwork},
    ],
)
def test_what_differs_is_not_stacked(other):
    dataset = data(20)
    assert can_be_stacked([make_net(), make_net()], [dataset] * 2)
    assert not can_be_stacked([make_net(), make_net(**other)], [dataset] * 2)
    quantiles = [make_net(criterion=RegressionLoss.of("quantile", quantile)) for quantile in (0.1, 0.9)]
    assert not can_be_stacked(quantiles, [dataset] * 2)
    longer = SequenceDataset(torch.zeros(20, L + 1, D), dataset.y)
    assert not can_be_stacked([make_net(), make_net()], [dataset, longer])


@dataclass(frozen=True)
class Damped(Projection):
    """Of the recurrent matrix of every layer, by the names that a gated network has."""

    stacks = True
    factor: float

    @torch.no_grad()
    def __call__(self, module):
        for _, recurrent, *_ in module.layers:
            recurrent.mul_(self.factor)


def test_a_projection_of_an_lstm_in_a_stack():
    dataset = data(40)

    def make(projections=(Damped(0.9),) * 3):
        return [make_net(seed=i, projection=projection) for i, projection in enumerate(projections)]

    assert_equal(*both_ways(make, [dataset] * 3))
    assert not can_be_stacked(make((Damped(0.9), Damped(0.9), Damped(0.8))), [dataset] * 3)
    assert not can_be_stacked(make((lambda module: None,) * 3), [dataset] * 3)  # it has not said that it can
