"""The best constant guess: no other constant loses less, whatever the loss and the tails of the targets."""

import tracemalloc

import numpy as np
import pytest
import torch

from sklstm._losses import LOSSES, RegressionLoss
from sklstm.generalization import _bounded_losses
from sklstm.generalization._bounded_losses import CappedLoss, ErrorLoss
from sklstm.networks import GRUNetwork, LSTMNetwork, RNNNetwork
from sklstm.training._inference import predict_blocks

EVERY = pytest.mark.parametrize("name", LOSSES)


def loss_of(name):
    return RegressionLoss.of(name, 0.8)


def mean_loss(loss, constant, y):
    return np.minimum(loss.loss.each(np.full_like(y, constant), y).numpy(), loss.cap).mean()


@EVERY
@pytest.mark.parametrize("seed", range(4))
def test_no_constant_of_a_fine_grid_loses_less(name, seed):
    rng = np.random.default_rng(seed)
    near, far = rng.standard_normal((60, 1)), rng.standard_cauchy((60, 1)) * rng.choice([0.1, 3.0])
    for y in (near, far, np.r_[near - 4, near + 4, far], np.r_[near, near[:20] + 30]):
        for cap in (0.1, 1.0, 8.0):
            loss = CappedLoss(loss_of(name), cap)
            best = loss.of_best_constant(y)
            grid = np.r_[np.linspace(y.min(), y.max(), 400), y[:, 0]]
            assert best <= min(mean_loss(loss, constant, y) for constant in grid) + 0.02 * cap
            assert 0 <= best <= cap


@EVERY
def test_a_cap_that_no_loss_reaches_changes_nothing(name):
    y = np.random.default_rng(0).standard_normal((50, 2))
    expected = loss_of(name).of_best_constant(y)
    assert CappedLoss(loss_of(name), 1e6).of_best_constant(y) == pytest.approx(expected, rel=1e-9)
    assert CappedLoss(loss_of(name), 1.0).of_best_constant(np.full((9, 2), 3.0)) == 0.0


@pytest.mark.parametrize("piece", [1, 7, 1 << 16])
def test_the_best_squared_error_under_a_cap_is_exact_for_one_output(piece, monkeypatch):
    """The targets within √M of the best constant are neighbours: all runs of the sorted targets are tried."""
    monkeypatch.setattr(_bounded_losses, "_PIECE", piece)
    for seed in range(5):
        y = np.sort(np.random.default_rng(seed).standard_t(2, 25))
        cap = 1.5
        runs = [y[i:j] for i in range(25) for j in range(i + 1, 26)]
        exact = min(((run - run.mean()) ** 2).sum() + cap * (25 - len(run)) for run in runs) / 25
        assert CappedLoss(RegressionLoss(), cap).of_best_constant(y[:, None]) == pytest.approx(exact, rel=1e-9)


def test_the_best_constant_of_many_targets_takes_little_memory():
    y = np.random.default_rng(0).standard_normal((400_000, 1))
    loss = CappedLoss(RegressionLoss(), 1.0)
    tracemalloc.start()
    try:
        loss.of_best_constant(y)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10 * y.nbytes


def test_the_most_frequent_label():
    y = np.array([2, 0, 2, 1, 2, 1])
    assert ErrorLoss().of_best_constant(y) == pytest.approx(min(np.mean(y != label) for label in range(3)))


def test_a_lead_of_rounding_is_an_error_and_a_larger_one_is_not():
    for dtype, unit in ((torch.float32, 2.0**-15), (torch.float64, 2.0**-44)):
        base = torch.tensor([[1.0, -8.0, 1.0], [0.0, -8.0, 0.0]], dtype=dtype)
        for label in (0, 2):
            for lead, wrong in ((-unit, True), (0.0, True), (8 * unit, True), (8 * unit + 2 * unit, False)):
                outputs = base.clone()
                outputs[:, label] += lead
                assert ErrorLoss().each(outputs, torch.full((2,), label)).tolist() == [wrong, wrong]


def test_equal_outputs_are_errors_whatever_the_label_and_so_are_outputs_that_are_not_finite():
    labels = torch.arange(3)
    assert ErrorLoss().each(torch.zeros(3, 3), labels).all()
    broken = torch.eye(3)
    broken[1, 0] = torch.nan
    assert ErrorLoss().each(broken, labels).tolist() == [False, True, False]
    assert ErrorLoss().each(torch.full((3, 3), torch.inf), labels).all()


@pytest.mark.parametrize("kind", [RNNNetwork, LSTMNetwork, GRUNetwork])
@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_what_counts_as_an_error_covers_the_rounding_of_forward_passes(kind, scale):
    """A label that counts as right in float32 is right in float64, too, with as much room again."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        network = kind(3, 24, 2)
        for parameter in network.parameters():
            parameter *= scale
        X = torch.randn(500, 60, 3)
        outputs = predict_blocks(network, X)
        exact = network.double()(X.double())
        size = outputs.abs().amax(dim=1)
        rounding = (outputs - exact).abs().amax(dim=1) / torch.maximum(size, size.mean())
    assert 0 < rounding.max() < 2.0**-17
    labels = torch.arange(500) % 2
    counted = ErrorLoss().each(outputs, labels)
    assert (counted >= (exact.argmax(dim=1) != labels)).all()
    assert counted.double().mean() < (exact.argmax(dim=1) != labels).double().mean() + 0.01
