"""Losses of regressors as functions: two routes to their values, gradients, best constants, slopes and likelihoods."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.optimize import minimize_scalar
from scipy.special import huber
from sklearn.metrics import mean_absolute_error, mean_pinball_loss, mean_squared_error

from sklstm._losses import HUBER_DELTA, LOSSES, RegressionLoss
from sklstm.generalization import choose_cap
from sklstm.training import PinballLoss

CASES = [RegressionLoss(name) for name in LOSSES if name != "quantile"] + [
    RegressionLoss("quantile", quantile) for quantile in (0.1, 0.5, 0.9)
]
EVERY = pytest.mark.parametrize("loss", CASES, ids=lambda loss: f"{loss.name} {loss.quantile or ''}".strip())
# Largest change of the loss for a change of the prediction by one.
SLOPES = {"absolute_error": 1.0, "huber": HUBER_DELTA}


def by_numpy(loss, outputs, targets):
    error = targets - outputs
    formulas = {
        "squared_error": lambda: error**2,
        "absolute_error": lambda: np.abs(error),
        "huber": lambda: huber(HUBER_DELTA, error),
        "quantile": lambda: np.maximum(loss.quantile * error, (loss.quantile - 1) * error),
    }
    return formulas[loss.name]()


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def pairs(rng):
    return 2 * rng.standard_normal((200, 3)), 2 * rng.standard_cauchy((200, 3))


@EVERY
def test_values_are_those_of_numpy(loss, pairs):
    outputs, targets = pairs
    expected = by_numpy(loss, outputs, targets)
    np.testing.assert_allclose(loss.entries(outputs, targets).numpy(), expected, rtol=1e-14)
    np.testing.assert_allclose(loss.each(outputs, targets).numpy(), expected.mean(axis=1), rtol=1e-14)
    tensors = torch.tensor(outputs), torch.tensor(targets)
    assert loss(reduction="mean")(*tensors).item() == pytest.approx(expected.mean(), rel=1e-14)
    assert loss(reduction="sum")(*tensors).item() == pytest.approx(expected.sum(), rel=1e-14)


@EVERY
def test_values_are_those_of_scikit_learn(loss, pairs):
    outputs, targets = pairs
    metrics = {
        "squared_error": mean_squared_error,
        "absolute_error": mean_absolute_error,
        "quantile": lambda y, predicted: mean_pinball_loss(y, predicted, alpha=loss.quantile),
    }
    if loss.name in metrics:
        expected = metrics[loss.name](targets, outputs)
        assert loss.each(outputs, targets).mean().item() == pytest.approx(expected, rel=1e-13)


def test_arrays_may_be_read_only():
    # torch would warn, in the first call of a process only.
    targets = np.array([[0.5, 1.0]])
    targets.flags.writeable = False
    torch.set_warn_always(True)
    try:
        assert RegressionLoss("squared_error").each(np.zeros((1, 2)), targets).tolist() == [0.625]
    finally:
        torch.set_warn_always(False)


def test_arrays_lie_in_memory_as_they_like(pairs):
    loss, (outputs, targets) = RegressionLoss("squared_error"), pairs
    backwards, strided, frozen = targets[::-1], np.repeat(targets, 2, axis=0)[::2], targets.copy()
    frozen.flags.writeable = False
    expected = loss.entries(outputs, targets)
    for same in (backwards[::-1], strided, frozen, np.asfortranarray(targets)):
        assert torch.equal(loss.entries(outputs, same), expected)
    assert torch.equal(loss.entries(outputs[::-1], backwards), expected.flip(0))


@EVERY
def test_gradients(loss, pairs):
    outputs, targets = (torch.tensor(values) for values in pairs)
    outputs.requires_grad_()
    criterion = loss(reduction="none")
    assert torch.autograd.gradcheck(lambda predicted: criterion(predicted, targets), outputs)


@EVERY
def test_the_derivative_at_no_error_is_zero(loss):
    outputs = torch.ones(3, 1, requires_grad=True)
    loss()(outputs, torch.ones(3, 1)).backward()
    assert outputs.grad.tolist() == [[0.0]] * 3


@EVERY
def test_no_constant_is_better_than_the_best(loss, rng):
    for y in (rng.standard_normal((101, 2)), rng.exponential(size=(50, 2)), rng.integers(0, 4, (60, 2)).astype(float)):
        best = loss.best_constant(y)
        least = loss.of_best_constant(y)
        assert least == pytest.approx(by_numpy(loss, best, y).mean(), rel=1e-12)
        for column, constant in zip(y.T, best, strict=True):
            found = minimize_scalar(lambda c, column=column: by_numpy(loss, c, column).mean(), method="golden")
            assert by_numpy(loss, constant, column).mean() <= found.fun * (1 + 1e-12)
        guesses = best + rng.standard_normal((300, 1, 2))
        assert by_numpy(loss, guesses, y).mean(axis=(1, 2)).min() >= least


def test_best_constants_are_mean_median_and_quantile(rng):
    y = rng.standard_normal((101, 2))
    found = {loss: loss.best_constant(y) for loss in CASES}
    np.testing.assert_array_equal(found[RegressionLoss("squared_error")], y.mean(axis=0))
    np.testing.assert_array_equal(found[RegressionLoss("absolute_error")], np.sort(y, axis=0)[50])
    np.testing.assert_array_equal(found[RegressionLoss("quantile", 0.9)], np.sort(y, axis=0)[90])
    assert RegressionLoss("squared_error").of_best_constant(y) == np.var(y, axis=0).mean()
    # Huber's is between: the mean if all are near, the median if all are far apart.
    huber_loss = RegressionLoss("huber")
    np.testing.assert_allclose(huber_loss.best_constant(0.01 * y), 0.01 * y.mean(axis=0), rtol=1e-9)
    np.testing.assert_allclose(huber_loss.best_constant(1e6 * y), 1e6 * np.median(y, axis=0), atol=HUBER_DELTA)


@EVERY
def test_the_best_constant_of_constants(loss):
    y = np.full((5, 2), 3.25)
    assert loss.best_constant(y).tolist() == [3.25, 3.25]
    assert loss.of_best_constant(y) == 0


@EVERY
def test_a_weight_is_as_good_as_repetition_for_the_best_constant(loss, rng):
    y, weight = rng.standard_normal((51, 2)), rng.integers(0, 4, 51)
    least = loss.of_best_constant(y.repeat(weight, axis=0))
    for factor in (1.0, 1e-9):
        assert loss.of_best_constant(y, factor * weight) == pytest.approx(least, rel=1e-12)
    np.testing.assert_array_equal(loss.best_constant(y, (np.arange(51) == 7).astype(float)), y[7])


@EVERY
def test_movements_of_the_output_bound_those_of_the_loss(loss, rng):
    y, f, g = 10 * rng.standard_cauchy((3, 20000, 1))
    moved = (loss.each(f, y) - loss.each(g, y)).abs().numpy()
    ratio = moved / np.abs(f - g)[:, 0]
    if loss.name == "squared_error":
        assert ratio.max() > 1e3  # of which there is no limit
        return
    slope = SLOPES.get(loss.name) or max(loss.quantile, 1 - loss.quantile)
    assert ratio.max() <= slope * (1 + 1e-9)
    assert ratio.max() > slope * (1 - 1e-9)  # and no smaller constant would do


def test_sorting_two_quantiles_that_cross_costs_nothing(rng):
    y, one, other = rng.standard_cauchy((3, 5000, 1))
    low, high = (RegressionLoss("quantile", quantile) for quantile in (0.3, 0.8))
    below, above = np.sort([one, other], axis=0)
    as_they_are = low.each(one, y) + high.each(other, y)
    sorted_ = low.each(below, y) + high.each(above, y)
    assert (sorted_ <= as_they_are + 1e-12 * as_they_are.abs()).all()
    assert (sorted_ < 0.999 * as_they_are).any()


@EVERY
def test_the_scale_of_the_likelihood(loss, rng):
    """exp(-loss / s), made a density: its most likely s is degree times the mean loss, of Huber's at small errors."""
    errors = (0.02 if loss.name == "huber" else 3.0) * rng.standard_normal((400, 1))
    mean = by_numpy(loss, np.zeros_like(errors), errors).mean()

    def negative_log_likelihood(log_scale):
        scale = math.exp(log_scale)
        width = 40 * max(scale, math.sqrt(scale))
        parts = [
            quad(lambda e: math.exp(-by_numpy(loss, 0.0, e) / scale), *ends)[0] for ends in ((-width, 0), (0, width))
        ]
        return math.log(sum(parts)) + mean / scale

    found = minimize_scalar(negative_log_likelihood, bracket=[math.log(mean), math.log(3 * mean)], tol=1e-8)
    assert math.exp(found.x) == pytest.approx(loss.degree * mean, rel=1e-3)


@EVERY
@pytest.mark.parametrize("shape", [(300,), (300, 2)])
def test_the_cap_is_four_to_eight_times_the_loss_of_the_best_constant(loss, shape, rng):
    y = rng.standard_normal(shape)
    cap, weight = choose_cap(y, loss.name, quantile=loss.quantile or 0.5)
    assert 4 * loss.of_best_constant(y.reshape(300, -1)) <= cap < 8 * loss.of_best_constant(y.reshape(300, -1))
    exponent = round(math.log2(cap))
    assert (cap, weight) == (2.0**exponent, 1 / (1.5 * (abs(exponent) + 1) * (abs(exponent) + 2)))


def test_equal_losses_are_the_same_function():
    assert RegressionLoss.of("huber", 0.1) == RegressionLoss.of(np.str_("huber"), 0.9)
    assert RegressionLoss.of("quantile", np.float32(0.5)) == RegressionLoss.of("quantile", 0.5)
    assert len({RegressionLoss.of(name, q) for name in LOSSES for q in (0.1, 0.9)}) == len(LOSSES) + 1


def test_bad_arguments():
    with pytest.raises(ValueError, match=r"quantile must lie in \(0, 1\), got 1"):
        PinballLoss(1)
    with pytest.raises(ValueError, match="reduction must be"):
        PinballLoss(0.5, reduction="median")
    with pytest.raises(ValueError, match=r"outputs have shape \(3, 1\), but targets have \(3,\)"):
        PinballLoss()(torch.zeros(3, 1), torch.zeros(3))
    with pytest.raises(ValueError, match=r"predictions have shape \(3, 1\), but targets have \(3,\)"):
        RegressionLoss().each(np.zeros((3, 1)), np.zeros(3))
    with pytest.raises(ValueError, match="loss must be one of 'squared_error'"):
        choose_cap([0.0, 1.0], "poisson")
    with pytest.raises(ValueError, match="quantile"):
        choose_cap([0.0, 1.0], "quantile", quantile=1.0)
