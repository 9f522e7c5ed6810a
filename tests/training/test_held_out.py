"""Which sequences early stopping holds out, and what it judges on where it is given data."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from sklstm.networks import LSTMNetwork
from sklstm.preprocessing import sliding_windows
from sklstm.training import LastPart, NetworkSpec, RandomPart, TrainingSpec, Validation, dataset, train

NETWORK = NetworkSpec(LSTMNetwork, {"n_features": 1, "hidden_size": 3, "n_outputs": 1})


def data(n=40, seed=0, weight=None):
    X = np.random.default_rng(seed).standard_normal((n, 5, 1)).astype(np.float32)
    return dataset(X, X[:, -1], weight)


def spec(validation, **options):
    return TrainingSpec(NETWORK, nn.MSELoss, **({"lr": 0.02, "max_epochs": 6, "validation": validation} | options))


@pytest.mark.parametrize("n", [2, 7, 10, 31, 100])
@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("gap", [0, 1, 6])
def test_the_last_part_is_what_its_docstring_says(n, fraction, gap):
    n_held = len(RandomPart(fraction)(n, 0)[1]) if math.ceil(fraction * n) < n else n
    rest = n - n_held - gap
    if rest < 1:
        with pytest.raises(ValueError, match=f"validation_gap={gap}.*nothing is left to train on"):
            LastPart(fraction, gap)(n, 0)
        return
    train_on, judge_on = LastPart(fraction, gap)(n, 0)
    assert train_on.tolist() == list(range(n))[:rest]
    assert judge_on.tolist() == list(range(n))[-n_held:]


@pytest.mark.parametrize(("window", "horizon"), [(1, 1), (4, 1), (5, 3), (3, [1, 6])])
def test_the_gap_of_the_docstring_is_the_smallest_without_a_step_in_common(window, horizon):
    X, y = sliding_windows(np.arange(60.0), window, horizon)
    steps = [{*x.ravel(), *np.atleast_1d(target)} for x, target in zip(X, y, strict=True)]

    def in_common(gap):
        trained, judged = (set().union(*(steps[row] for row in rows)) for rows in LastPart(0.3, gap)(len(X), 0))
        return trained & judged

    gap = window + np.max(horizon) - 1
    assert not in_common(gap)
    assert in_common(gap - 1)


def test_random_parts_are_all_of_the_data_and_stratified():
    labels = np.repeat([0, 1, 2], [60, 30, 10])
    train_on, judge_on = RandomPart(0.2, labels)(100, seed=3)
    assert sorted([*train_on, *judge_on]) == list(range(100))
    assert np.bincount(labels[judge_on]).tolist() == [12, 6, 2]
    assert not np.array_equal(judge_on, RandomPart(0.2, labels)(100, seed=4)[1])


def test_a_class_without_a_sequence_to_train_on_is_an_error():
    labels = np.repeat([0, 1, 2], 10)
    with pytest.raises(ValueError, match=r"1 of 3 classes occur in none of the 20 to train on"):
        LastPart(1 / 3, labels=labels)(30, 0)
    LastPart(0.3, labels=labels)(30, 0)  # the third class has a sequence left


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RandomPart(1.0), "fraction must be above 0 and below 1"),
        (lambda: RandomPart(5), "fraction must be"),
        (lambda: LastPart(0.0), "fraction must be"),
        (lambda: LastPart(0.5, -1), "gap must not be negative"),
        (lambda: Validation(LastPart(0.5), 0), "n_iter_no_change must be at least 1"),
    ],
)
def test_what_is_out_of_range_is_refused_by_name(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_held_out_and_given_data_are_one_training():
    whole = data()
    rows = LastPart(0.25, gap=3)(40, 0)
    train_on, judge_on = (whole.part(torch.as_tensor(part)) for part in rows)
    held_out = train(spec(Validation(LastPart(0.25, gap=3), 3)), whole)
    given = train(spec(Validation(judge_on, 3)), train_on)
    assert held_out.history[:, "valid_loss"] == given.history[:, "valid_loss"]
    for one, other in zip(held_out.module_.parameters(), given.module_.parameters(), strict=True):
        assert torch.equal(one, other)


def test_weights_of_given_data_count_in_the_validation_loss_only():
    weight = np.random.default_rng(1).integers(0, 4, size=20)
    plain, weighted = (Validation(data(20, 1, w), 6) for w in (None, weight))
    repeated = data(20, 1).part(torch.as_tensor(np.repeat(np.arange(20), weight)))
    without, with_weights, by_repetition = (
        train(spec(validation), data()).history for validation in (plain, weighted, Validation(repeated, 6))
    )
    assert without[:, "train_loss"] == with_weights[:, "train_loss"]  # bit for bit
    assert without[:, "valid_loss"] != with_weights[:, "valid_loss"]
    np.testing.assert_allclose(with_weights[:, "valid_loss"], by_repetition[:, "valid_loss"], rtol=1e-6)


def test_weights_of_the_training_data_leave_the_validation_loss_alone():
    """By hand: the mean squared error of given data without weights."""
    weight = np.random.default_rng(1).uniform(0.5, 2, size=40)
    judged = data(20, 1)
    net = train(spec(Validation(judged, 6)), data(weight=weight))
    best = min(net.history[:, "valid_loss"])
    with torch.no_grad():
        outputs = net.module_(judged.X.batch(torch.arange(20))["X"])
    assert best == pytest.approx(float((outputs - judged.y).square().mean()), rel=1e-6)
