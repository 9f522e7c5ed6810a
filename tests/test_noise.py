"""Kinds of noise: what is drawn against what a bound is told, and exact expectations by enumeration."""

import itertools
import math

import numpy as np
import pytest
import torch

from sklstm import NoisyRNNClassifier
from sklstm.generalization import smallest_eigenvalue
from sklstm.noise import NOISES, noise_of_kind
from sklstm.training import InputNoise, SequenceDataset
from sklstm.training._batches import BatchLoader

KINDS = sorted(NOISES)
ADDITIVE = sorted(set(KINDS) - {"dropout"})


def _draws(kind, x, sigma, source):
    if source == "numpy":
        return NOISES[kind].draw_array(x, sigma, np.random.default_rng(1))
    generator = torch.Generator().manual_seed(1)
    return NOISES[kind].draw_tensor(torch.from_numpy(x), sigma, generator).numpy()


@pytest.mark.parametrize("source", ["numpy", "torch"])
@pytest.mark.parametrize("sigma", [0.3, 1.5])
@pytest.mark.parametrize("kind", KINDS)
def test_mean_and_standard_deviation(kind, sigma, source):
    draws = _draws(kind, np.ones((500, 40, 10)), sigma, source)  # 200,000
    # Standard error of the variance: at most σ² √(5/200,000) for these (Laplace has kurtosis 6), of dropout σ⁴-ish.
    spread = sigma**2 if kind != "dropout" else sigma * max(1, sigma**2)
    assert abs(draws.mean()) < 4 * sigma / math.sqrt(draws.size)
    assert abs(draws.var() - sigma**2) < 5 * spread * math.sqrt(5 / draws.size) * max(1, sigma)
    assert abs(np.corrcoef(draws[:, 0, 0], draws[:, 0, 1])[0, 1]) < 0.2


@pytest.mark.parametrize("source", ["numpy", "torch"])
@pytest.mark.parametrize(("kind", "kurtosis"), [("gaussian", 3), ("uniform", 1.8), ("laplace", 6)])
def test_the_shape_of_the_law(kind, kurtosis, source):
    draws = _draws(kind, np.ones((500, 40, 10)), 0.7, source)
    assert np.mean(draws**4) / np.mean(draws**2) ** 2 == pytest.approx(kurtosis, rel=0.06)
    if kind == "uniform":
        assert 0.999 * 0.7 * math.sqrt(3) < np.abs(draws).max() <= 0.7 * math.sqrt(3)


@pytest.mark.parametrize("d", [1, 3, 20])
@pytest.mark.parametrize("kind", ADDITIVE)
def test_expected_largest_entry_against_draws(kind, d):
    sigma = 0.4
    x = np.zeros((20_000, 1, d))
    (told,) = sigma * NOISES[kind].expected_largest(x, sigma)
    seen = np.abs(NOISES[kind].draw_array(x, sigma, np.random.default_rng(d))).max(axis=2)
    error = 4 * seen.std() / math.sqrt(len(x))
    if kind == "gaussian":  # Lemma 12 is an upper bound
        assert seen.mean() - error < told == pytest.approx(sigma * math.sqrt(2 * math.log(2 * d)), rel=1e-14)
    else:
        assert abs(seen.mean() - told) < error


@pytest.mark.parametrize("sigma", [0.2, 1.0, 3.0])
def test_dropout_expected_largest_by_enumeration(sigma):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((7, 3, 4))
    x[0, 0, :2] = 0
    x[1, 1] = 0
    p = sigma**2 / (1 + sigma**2)
    expected = np.zeros(3)
    for dropped in itertools.product([True, False], repeat=4):
        chance = math.prod(p if gone else 1 - p for gone in dropped)
        factor = np.where(dropped, 0, 1 / (1 - p)) - 1
        expected += chance * np.abs(x * factor).max(axis=2).mean(axis=0)
    np.testing.assert_allclose(sigma * NOISES["dropout"].expected_largest(x, sigma), expected, rtol=1e-12)


def test_dropout_in_blocks(monkeypatch):
    x = np.random.default_rng(0).standard_normal((50, 3, 4))
    noise = NOISES["dropout"]
    whole = noise.expected_largest(x, 0.5), noise.root_gain(x)
    monkeypatch.setattr("sklstm.noise._BLOCK", 7)
    np.testing.assert_allclose(noise.expected_largest(x, 0.5), whole[0], rtol=1e-13)
    assert noise.root_gain(x) == pytest.approx(whole[1], rel=1e-13)


@pytest.mark.parametrize("sigma", [0.3, 2.0])
@pytest.mark.parametrize("kind", KINDS)
def test_smallest_eigenvalue_rises_by_what_is_promised(kind, sigma):
    rng = np.random.default_rng(5)
    x = rng.standard_normal((300, 2, 2)) @ np.diag([2.0, 0.5])
    x[:, 1] = x[:, 0]  # singular
    assert smallest_eigenvalue(x) == 0
    repeated = np.tile(x, (200, 1, 1))
    raised = smallest_eigenvalue(repeated + NOISES[kind].draw_array(repeated, sigma, rng))
    promised = (sigma * NOISES[kind].root_gain(x)) ** 2
    assert promised > 0
    assert raised > 0.95 * promised
    if kind == "dropout":  # the second moment itself, which is known
        expected = np.linalg.eigvalsh(_moment(x) + sigma**2 * np.diag(np.diag(_moment(x))))[0]
        assert raised == pytest.approx(expected, rel=0.05)
        assert expected >= promised * (1 - 1e-12)


def _moment(x):
    flat = x.reshape(len(x), -1)
    return flat.T @ flat / len(x)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dropout_keeps_zeros_and_sets_some(dtype):
    x = torch.tensor([0.0, 1.3, -1e-7, 3e4], dtype=dtype).repeat(200, 5, 1)
    seen = x + NOISES["dropout"].draw_tensor(x, 0.5, torch.Generator().manual_seed(0))
    assert seen.dtype == dtype
    assert not seen[:, :, 0].any()
    dropped = seen[:, :, 1:] == 0
    assert 0.15 < dropped.double().mean() < 0.25  # p = 0.2
    torch.testing.assert_close(seen[:, :, 1:][~dropped], (1.25 * x)[:, :, 1:][~dropped])


def test_dropout_of_nothing_is_nothing():
    x = np.zeros((3, 2, 2))
    assert NOISES["dropout"].root_gain(x) == 0
    assert not NOISES["dropout"].expected_largest(x, 0.5).any()


@pytest.mark.parametrize("kind", KINDS)
def test_batches_carry_noise_of_the_kind(kind):
    data = SequenceDataset(torch.ones(400, 25, 10), torch.zeros(400))
    loader = BatchLoader(data, 64, generator=torch.Generator().manual_seed(0), rule=InputNoise(0.5, kind))
    noise = torch.cat([X for X, _ in loader]) - 1
    assert abs(noise.std() - 0.5) < 0.01
    levels = len(noise.unique())
    assert levels == 2 if kind == "dropout" else levels > 1000


def test_gaussian_is_the_default_and_draws_what_it_always_drew():
    data = SequenceDataset(torch.ones(10, 3, 2), torch.zeros(10))
    (X, _), *_ = BatchLoader(data, 10, generator=torch.Generator().manual_seed(4), rule=InputNoise(0.5))
    expected = torch.randn(10, 3, 2, generator=torch.Generator().manual_seed(4))
    assert torch.equal(X, data.X.values + 0.5 * expected)
    drawn = NOISES["gaussian"].draw_array(np.ones((4, 3, 2)), 0.5, np.random.default_rng(2))
    assert np.array_equal(drawn, 0.5 * np.random.default_rng(2).standard_normal((4, 3, 2)))


@pytest.mark.parametrize("kind", ["Gaussian", "", None, 3, ["gaussian"]])
def test_unknown_kinds(kind):
    known = "'gaussian', 'uniform', 'laplace', 'dropout'"
    with pytest.raises(ValueError, match=f"the kind of noise must be one of {known}"):
        noise_of_kind(kind)
    with pytest.raises(ValueError, match=f"noise must be one of {known}; got"):
        NoisyRNNClassifier(noise=kind).fit(np.ones((4, 3, 2)), [0, 1, 0, 1])


@pytest.mark.parametrize("kind", KINDS)
def test_the_estimator_trains_with_it_and_its_bound_knows(kind):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 4, 2))
    y = (X[:, :, 0].sum(axis=1) > 0).astype(int)
    model = NoisyRNNClassifier(hidden_size=4, sigma=0.4, noise=kind, max_epochs=3, random_state=0).fit(X, y)
    bound = model.generalization_report(X, y)["theorem_3"]
    assert bound.noise_kind == kind
    assert NOISES[kind].law in bound.assumptions
    largest = 0.4 * NOISES[kind].expected_largest(X, 0.4)
    lipschitz = bound.beta_v * bound.beta_u * bound.beta_w ** np.arange(3, -1, -1)
    assert bound.noise_term == pytest.approx(2 * float(lipschitz @ largest), rel=1e-12)
    plain = NoisyRNNClassifier(hidden_size=4, sigma=0.4, max_epochs=3, random_state=0).fit(X, y)
    same = np.array_equal(plain.decision_function(X), model.decision_function(X))
    assert same == (kind == "gaussian")
