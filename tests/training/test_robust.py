"""The objective of robust training against the certificate, an attack by hand, and finite differences."""

import numpy as np
import pytest
import torch
from torch import nn

from sklstm._sequences import Sequences
from sklstm.certificates import RecurrentNetwork, output_bounds
from sklstm.networks import GRUNetwork, LSTMNetwork, RNNNetwork
from sklstm.training import InputNoise, NetworkSpec, PinballLoss, Robust, SequenceDataset, SequenceNet, TrainingSpec
from sklstm.training import train as train_spec
from sklstm.training._batches import BatchLoader
from sklstm.training._process import seeded_construction
from sklstm.training._robust import RobustObjective

N, L, D, H = 24, 6, 2, 5
EPS = 0.2
KINDS = pytest.mark.parametrize("kind", [LSTMNetwork, GRUNetwork, RNNNetwork])


def make_net(kind, loss, n_outputs, reduction="mean", dtype=torch.float64, **arguments):
    net = SequenceNet(
        kind,
        loss,
        criterion__reduction=reduction,
        train_split=None,
        verbose=0,
        generator=torch.Generator().manual_seed(0),
        module__n_features=D,
        module__hidden_size=H,
        module__n_outputs=n_outputs,
        module__dtype=dtype,
        **{f"module__{name}": value for name, value in arguments.items()},
    )
    with seeded_construction(0):
        net.initialize()
    net.on_train_begin(net)
    net.history.new_epoch()
    return net


def data(n_outputs, *, labels, dtype=torch.float64):
    generator = torch.Generator().manual_seed(3)
    X = torch.randn(N, L, D, generator=generator, dtype=dtype)
    if labels:
        return X, torch.arange(N) % n_outputs
    return X, torch.randn(N, n_outputs, generator=generator, dtype=dtype)


def setting(kind):
    """A net with its loss, and data: labels for the ReLU network, numbers and a linear part for the others."""
    labels = kind is RNNNetwork
    arguments = {} if labels else {"skip_steps": 3}
    net = make_net(kind, nn.CrossEntropyLoss if labels else nn.MSELoss, 3, **arguments)
    if not labels:
        generator = torch.Generator().manual_seed(1)
        net.module_.linear_part.set_weight_(torch.randn(3, 3 * D, generator=generator, dtype=torch.float64))
    return net, *data(3, labels=labels)


def robust(net, **arguments):
    labels = isinstance(net.module_, RNNNetwork)
    return RobustObjective(Robust(**{"eps": EPS, "labels": labels} | arguments))


def largest_losses(net, X, y, radius):
    """Mean of the largest losses, from the certificate."""
    module = net.module_
    part = module.linear_part
    network = RecurrentNetwork.from_torch(module.recurrent, module.readout, None if part is None else part.weight)
    labels = isinstance(module, RNNNetwork)
    bounds = output_bounds(network, X - radius, X + radius, method="intervals", minus=y if labels else None)
    if labels:
        return nn.functional.cross_entropy(bounds.upper, y).item()
    return torch.maximum((bounds.lower - y).square(), (bounds.upper - y).square()).mean().item()


@pytest.mark.parametrize("radius", [EPS, np.array([0.0, 0.3])])
@KINDS
def test_all_weight_on_the_bounds_is_the_largest_loss_that_the_certificate_allows(kind, radius):
    net, X, y = setting(kind)
    objective = robust(net, eps=radius, weight=1.0)
    loss, _ = objective.training(net, X, y)
    assert loss.item() == pytest.approx(largest_losses(net, X, y, torch.as_tensor(radius, dtype=X.dtype)), rel=1e-9)
    with torch.no_grad():
        assert objective.validation(net, X, y)[0].item() == loss.item()


@KINDS
def test_no_weight_on_the_bounds_is_one_step_of_an_attack(kind):
    net, X, y = setting(kind)
    state = net.generator.get_state()
    loss, outputs = robust(net).training(net, X, y)
    net.generator.set_state(state)
    start = (2 * torch.rand(X.shape, generator=net.generator, dtype=X.dtype) - 1) * EPS
    attacked = (X + start).requires_grad_()
    (gradient,) = torch.autograd.grad(net.get_loss(net.module_(attacked), y), attacked)
    delta = (start + 1.25 * EPS * gradient.sign()).clamp(-EPS, EPS)
    torch.testing.assert_close(outputs, net.module_(X + delta))
    assert loss.item() == net.get_loss(net.module_(X + delta), y).item()
    assert loss.item() > net.get_loss(net.module_(X), y).item()


@KINDS
def test_mixtures_are_mixtures_and_small_boxes_lie_towards_the_attacked_input(kind):
    net, X, y = setting(kind)
    state = net.generator.get_state()

    def loss(**arguments):
        net.generator.set_state(state)
        return robust(net, **arguments).training(net, X, y)[0].item()

    attacked, bounded = loss(), loss(weight=1.0)
    assert attacked < bounded
    assert loss(weight=0.3) == pytest.approx(0.7 * attacked + 0.3 * bounded, rel=1e-12)
    # A box of almost no size is the attacked input; a larger box around it allows more.
    assert loss(weight=1.0, box=1e-9) == pytest.approx(attacked, rel=1e-6)
    assert attacked < loss(weight=1.0, box=0.1) < loss(weight=1.0, box=0.5) < bounded


@pytest.mark.parametrize("loss", [nn.L1Loss, nn.HuberLoss, nn.MSELoss, lambda reduction: PinballLoss(0.9, reduction)])
def test_no_input_in_the_box_has_a_larger_loss_whatever_the_loss(loss, generator):
    net = make_net(GRUNetwork, loss, 2, readout="logistic")
    X, y = data(2, labels=False)
    y = y.sigmoid()
    bounded = robust(net, weight=1.0).training(net, X, y)[0].item()
    for _ in range(20):
        corner = EPS * torch.randint(0, 2, X.shape, generator=generator).mul(2).sub(1)
        assert net.get_loss(net.module_(X + corner), y).item() <= bounded


@KINDS
def test_gradients_are_those_of_finite_differences(kind):
    net, X, y = setting(kind)
    objective = robust(net, weight=1.0)
    loss, _ = objective.training(net, X, y)
    loss.backward()
    generator = torch.Generator().manual_seed(5)
    for parameter in net.module_.parameters():
        direction = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
        values = []
        for step in (1e-6, -1e-6):
            with torch.no_grad():
                parameter += step * direction
                values.append(objective.training(net, X, y)[0].item())
                parameter -= step * direction
        expected = (parameter.grad * direction).sum().item()
        assert (values[0] - values[1]) / 2e-6 == pytest.approx(expected, rel=1e-4, abs=1e-7)


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
@KINDS
def test_sequences_of_unequal_length_count_as_each_alone(kind, weight):
    net, X, y = setting(kind)
    lengths = torch.arange(N) % L + 1
    objective = robust(net, weight=weight)
    with torch.no_grad():
        whole, _ = objective.validation(net, {"X": X, "lengths": lengths}, y)
        alone = [objective.validation(net, X[i : i + 1, : lengths[i]], y[i : i + 1])[0].item() for i in range(N)]
    assert whole.item() == pytest.approx(np.mean(alone), rel=1e-9)


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
@KINDS
def test_an_integer_weight_is_a_repeated_sequence(kind, weight):
    net, X, y = setting(kind)
    repeats = torch.arange(N) % 3
    objective = robust(net, weight=weight)
    with torch.no_grad():
        weighted, _ = objective.validation(net, X, (y, repeats.double() / repeats.double().mean()))
        rows = torch.arange(N).repeat_interleave(repeats)
        expected, _ = objective.validation(net, X[rows], y[rows])
    assert weighted.item() == pytest.approx(expected.item(), rel=1e-9)


def test_strength_rises_from_zero_along_the_batches_of_the_ramp():
    net, X, y = setting(LSTMNetwork)
    objective = robust(net, ramp=2.0, weight=1.0)
    assert objective.strength(net) == 0
    assert objective.training(net, X, y)[0].item() == net.get_loss(net.module_(X), y).item()
    net.part_of_epoch_ = 0.5
    assert objective.strength(net) == 0.25
    net.history.new_epoch()
    net.history.new_epoch()
    assert objective.strength(net) == 1.0


@KINDS
def test_bounds_that_allow_more_than_a_guess_loses_are_held_back(kind):
    net, X, y = setting(kind)
    state = net.generator.get_state()
    parameters = list(net.module_.parameters())

    def loss_and_gradient(**arguments):
        net.generator.set_state(state)
        loss, _ = robust(net, **arguments).training(net, X, y)
        return loss.item(), torch.cat([g.flatten() for g in torch.autograd.grad(loss, parameters)])

    attacked, by_attacked = loss_and_gradient()
    worst, by_worst = loss_and_gradient(weight=1.0, guess=0.0)  # of bounds alone nothing is held back
    guess = attacked + 0.3 * (worst - attacked)
    held = guess + 0.25 * (guess - attacked)
    assert attacked < guess < held < worst
    loss, gradient = loss_and_gradient(weight=0.4, guess=guess)
    assert loss == pytest.approx(0.6 * attacked + 0.4 * held, rel=1e-9)
    share = (held - guess) / (worst - guess)
    torch.testing.assert_close(gradient, 0.6 * by_attacked + 0.4 * share * by_worst)
    # What is not above the guess is as before, and where the network is no better than the guess, only attacks count.
    assert loss_and_gradient(weight=0.4, guess=1.01 * worst)[0] == loss_and_gradient(weight=0.4)[0]
    loss, gradient = loss_and_gradient(weight=0.4, guess=0.9 * attacked)
    torch.testing.assert_close(gradient, 0.6 * by_attacked)
    # Neither is it early in the ramp, nor where epochs are compared.
    net.part_of_epoch_ = 0.05
    plain, other = (loss_and_gradient(weight=0.4, ramp=1.0, guess=g)[0] for g in (np.inf, attacked))
    assert plain == other
    with torch.no_grad():
        plain, other = (robust(net, weight=0.4, guess=g).validation(net, X, y)[0] for g in (np.inf, guess))
    assert plain == other


@pytest.mark.parametrize("weight", [0.1, 0.5])
def test_over_many_steps_to_become_a_constant_does_not_pay(weight):
    # Along a readout that is multiplied by a, near the constant 0, which is the best guess: the bounds of 60 steps are
    # so wide that a smaller a pays, although a larger one is better on attacked inputs.
    net, generator = make_net(LSTMNetwork, nn.MSELoss, 1), torch.Generator().manual_seed(2)
    X = torch.randn(N, 60, D, generator=generator, dtype=torch.float64)
    y = X[:, -1, :1] - X[:, -1, :1].mean()
    readout = net.module_.readout
    with torch.no_grad():
        for parameter in net.module_.recurrent.parameters():
            parameter *= 2
        hidden, _ = net.module_.recurrent(X)
        design = torch.cat((hidden[:, -1], torch.ones(N, 1, dtype=torch.float64)), 1)
        fitted = torch.linalg.lstsq(design, y).solution
        readout.weight.copy_(0.02 * fitted[:-1].T)
        readout.bias.copy_(0.02 * fitted[-1])

    def slope(**arguments):
        loss, _ = robust(net, eps=0.02, **arguments).training(net, X, y)
        parts = torch.autograd.grad(loss, (readout.weight, readout.bias))
        return sum((part * value).sum() for part, value in zip(parts, (readout.weight, readout.bias), strict=True))

    assert slope(weight=0.0) < 0
    assert slope(weight=weight) > 0
    assert slope(weight=weight, guess=y.square().mean().item()) < 0


@KINDS
def test_trained_networks_withstand_more(kind):
    # On labels or numbers that the last step tells: what the bounds allow falls to a fraction.
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(200, L, D, generator=generator)
    labels = kind is RNNNetwork
    y = (X[:, -1, 0] > 0).long() if labels else X[:, -1, :1]
    arguments = {"n_features": D, "hidden_size": 8, "n_outputs": 2 if labels else 1}
    loss = nn.CrossEntropyLoss if labels else nn.MSELoss
    spec = {"lr": 0.01, "max_epochs": 20, "batch_size": 20}
    found = []
    for rule in (None, Robust(EPS, 0.5, ramp=10, labels=labels)):
        net = train_spec(TrainingSpec(NetworkSpec(kind, arguments), loss, robust=rule, **spec), SequenceDataset(X, y))
        assert len(net.history) == 20
        net.module_.double()
        found.append(largest_losses(net, X.double(), y if labels else y.double(), torch.tensor(EPS)))
    assert found[1] < 0.5 * found[0]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_with_noise_ragged_sequences_weights_and_other_precisions(precision):
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, L + 1, 40)
    entries = [rng.standard_normal((n, D)).astype(np.float32) for n in lengths]
    X = Sequences(np.concatenate(entries), lengths)
    y = torch.tensor([entry[-1, 0] for entry in entries])[:, None]
    weight = torch.tensor(rng.uniform(0.5, 1.5, 40), dtype=torch.float32)
    network = NetworkSpec(LSTMNetwork, {"n_features": D, "hidden_size": 4, "n_outputs": 1, "num_layers": 2})
    spec = TrainingSpec(
        network, nn.MSELoss, inputs=InputNoise(0.1), robust=Robust(0.1, 0.5, 0.5, ramp=2), max_epochs=4, batch_size=8,
        precision=precision, clip_norm=1.0,
    )  # fmt: skip
    net = train_spec(spec, SequenceDataset(X, y, weight / weight.mean()))
    losses = net.history[:, "train_loss"]
    assert len(losses) == 4
    assert np.isfinite(losses).all()


def test_the_loader_is_that_of_ordinary_training():
    # The same batches in the same order at no strength: eps = 0 is no rule at all.
    net, X, y = setting(LSTMNetwork)
    objective = robust(net, ramp=1e9)
    for inputs, targets in BatchLoader(SequenceDataset(X, y), 8):
        assert objective.training(net, inputs, targets)[0].item() == pytest.approx(
            net.get_loss(net.module_(inputs), targets).item(), rel=1e-6
        )


def test_there_are_no_bounds_of_a_network_of_the_users_own():
    class LastState(LSTMNetwork):
        def forward(self, X, lengths=None):
            return super().forward(X.tanh(), lengths)

    X, y = data(1, labels=False, dtype=torch.float32)
    network = NetworkSpec(LastState, {"n_features": D, "hidden_size": 4, "n_outputs": 1})
    with pytest.raises(TypeError, match="no bounds to train it for"):
        train_spec(TrainingSpec(network, nn.MSELoss, robust=Robust(0.1, 0.5)), SequenceDataset(X, y))
    net = train_spec(TrainingSpec(network, nn.MSELoss, robust=Robust(0.1), max_epochs=2), SequenceDataset(X, y))
    assert len(net.history) == 2
