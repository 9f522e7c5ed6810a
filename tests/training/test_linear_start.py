"""The start of a linear part against ridge regression by scikit-learn, by augmentation, and by leaving one out."""

import numpy as np
import pytest
import torch
from scipy.sparse.linalg import cg
from sklearn.linear_model import LinearRegression, RidgeCV
from sklearn.linear_model import Ridge as SklearnRidge

from sklstm._sequences import Sequences
from sklstm.networks import GRUNetwork, LSTMNetwork
from sklstm.noise import NOISES
from sklstm.training import InputNoise, SequenceDataset, _linear_start
from sklstm.training._linear_start import LARGEST, LinearStart, Ridge, steps_read

N, L, D, K = 60, 5, 3, 2
WEIGHTED = pytest.mark.parametrize("weighted", [False, True])


def problem(n=N, weighted=False, rank=None, seed=0):
    """Sequences around means far from zero with targets of two outputs, as numpy sees them and as a data set."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, L, D)) * [1, 3, 0.3]
    if rank is not None:
        # Integers: rounded to float32, other numbers would be of full rank.
        X = (rng.integers(-3, 4, (n, rank)) @ rng.integers(-3, 4, (rank, L * D))).reshape(n, L, D)
    X = (X + 5).astype(np.float32).astype(float)
    y = X[:, -1] @ rng.standard_normal((D, K)) + 0.05 * X[:, :1, 0] ** 2 + rng.standard_normal((n, K)) - 7
    y = y.astype(np.float32).astype(float)
    weight = rng.uniform(0, 2, n).astype(np.float32).astype(float) if weighted else None
    data = SequenceDataset(
        torch.tensor(X, dtype=torch.float32),
        torch.tensor(y, dtype=torch.float32),
        None if weight is None else torch.tensor(weight, dtype=torch.float32),
    )
    return X, y, weight, data


def network(kind=LSTMNetwork, dtype=torch.float64, **arguments):
    with torch.random.fork_rng():
        return kind(n_features=D, hidden_size=4, n_outputs=K, dtype=dtype, **arguments)


def flat(X, n_steps):
    return X[:, -n_steps:].reshape(len(X), -1)


@WEIGHTED
@pytest.mark.parametrize("noise_variance", [0.0, 0.09])
@pytest.mark.parametrize("n_steps", [1, 3, L])
@pytest.mark.parametrize("n", [N, 9, 7])  # more sequences than columns, fewer, and far fewer
def test_a_network_starts_at_ridge_regression(n, n_steps, noise_variance, weighted):
    X, y, weight, data = problem(n, weighted)
    ridge = Ridge.of(data, n_steps)
    total = n if weight is None else weight.sum()
    expected = SklearnRidge(alpha=ridge.chosen_penalty + noise_variance * total)
    expected.fit(flat(X, n_steps), y, sample_weight=weight)
    module = network(skip_steps=n_steps, num_layers=2)
    LinearStart(InputNoise(noise_variance**0.5) if noise_variance else None)(module, data)
    np.testing.assert_allclose(module.linear_part.weight.detach(), expected.coef_, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(module(torch.tensor(X)).detach(), expected.predict(flat(X, n_steps)), rtol=1e-7)


def test_the_penalty_is_ridgecvs():
    X, y, _, data = problem()
    ridge = Ridge.of(data, L)
    penalties = ridge.eigenvalues.max() * _linear_start._GRID
    assert ridge.chosen_penalty == pytest.approx(RidgeCV(penalties).fit(flat(X, L), y).alpha_, rel=1e-12)
    assert penalties[0] < ridge.chosen_penalty < penalties[-1]


def test_the_penalty_has_the_least_weighted_error_on_sequences_left_out(monkeypatch):
    X, y, weight, data = problem(25, weighted=True)
    weight = weight.copy()
    weight[3], data.weight[3] = 0, 0  # says nothing, and is not asked
    monkeypatch.setattr(_linear_start, "_GRID", np.logspace(-4, 3, 8))
    ridge = Ridge.of(data, 3)
    errors = []
    for penalty in ridge.eigenvalues.max() * _linear_start._GRID:
        left_out = 0.0
        for i in range(len(X)):
            others = np.arange(len(X)) != i
            model = SklearnRidge(penalty).fit(flat(X, 3)[others], y[others], sample_weight=weight[others])
            left_out += weight[i] * ((model.predict(flat(X, 3)[i : i + 1]) - y[i]) ** 2).sum()
        errors.append(left_out)
    assert ridge.chosen_penalty == pytest.approx(ridge.eigenvalues.max() * _linear_start._GRID[np.argmin(errors)])
    assert 0 < np.argmin(errors) < len(errors) - 1


def test_only_sequences_with_a_weight_are_left_out():
    # Every second one has none: they are as good as not there, also where they alone would be asked.
    rng = np.random.default_rng(0)
    X = torch.tensor(rng.standard_normal((2047, 1, 1)) + 0.05 * rng.standard_normal((2047, 60, 1)))
    y = X[:, -1] + 3 * torch.tensor(rng.standard_normal((2047, 1)))
    weight = torch.arange(2047) % 2
    ridge, others = (Ridge.of(data, 60) for data in (SequenceDataset(X, y, weight), SequenceDataset(X[1::2], y[1::2])))
    assert ridge.chosen_penalty == pytest.approx(others.chosen_penalty)
    assert others.chosen_penalty > 1e-4 * others.eigenvalues.max()


@WEIGHTED
def test_noise_of_variance_sigma_squared_is_the_penalty_exactly(weighted):
    # Least squares on copies with noise whose covariance is exactly σ² I: ± σ √P in one coordinate after the other.
    sigma, n_steps = 0.3, 2
    X, y, weight, data = problem(weighted=weighted)
    P = n_steps * D
    noise = np.concatenate([np.eye(P), -np.eye(P)]) * sigma * np.sqrt(P)
    augmented = (flat(X, n_steps)[:, None] + noise).reshape(-1, P)
    weights = None if weight is None else weight.repeat(2 * P)
    expected = LinearRegression().fit(augmented, y.repeat(2 * P, axis=0), sample_weight=weights)
    ridge = Ridge.of(data, n_steps)
    found = ridge.solution(1e-12, np.full(P, sigma**2))
    np.testing.assert_allclose(found, expected.coef_, rtol=1e-8)
    np.testing.assert_allclose(found, ridge.solution(sigma**2 * ridge.total_weight), rtol=1e-8)


def test_dropout_weighs_the_columns_by_their_squares():
    # An entry at a time: ε = ± σ √P x_j has the variances of dropout, and no correlations.
    sigma, P = 0.4, 2 * D
    X, y, weight, data = problem(weighted=True)
    noise = np.concatenate([np.eye(P), -np.eye(P)]) * sigma * np.sqrt(P)
    augmented = (flat(X, 2)[:, None] * (1 + noise)).reshape(-1, P)
    expected = LinearRegression().fit(augmented, y.repeat(2 * P, axis=0), sample_weight=weight.repeat(2 * P))
    ridge = Ridge.of(data, 2)
    variances = NOISES["dropout"].variances(ridge.squares, sigma)
    np.testing.assert_allclose(ridge.solution(1e-12, variances), expected.coef_, rtol=1e-7)
    drawn = NOISES["dropout"].draw_array(np.repeat(X, 2000, axis=0)[:, -2:], sigma, np.random.default_rng(0))
    np.testing.assert_allclose((drawn**2).mean(0), sigma**2 * (X[:, -2:] ** 2).mean(0), rtol=0.1)


def test_data_are_read_in_blocks_and_once_for_all_trainings(monkeypatch):
    _, _, _, data = problem(weighted=True)
    whole = Ridge.of(data, 3)
    assert Ridge.of(data, 3) is whole
    assert Ridge.of(data, 2) is not whole
    monkeypatch.setattr(_linear_start, "_BLOCK_NUMBERS", 7 * L * D)  # the last block has fewer
    blocks = Ridge.of(SequenceDataset(data.X, data.y, data.weight), 3)
    np.testing.assert_allclose(blocks.solution(1.0), whole.solution(1.0), rtol=1e-10)
    assert blocks.chosen_penalty == pytest.approx(whole.chosen_penalty, rel=1e-10)


def test_ragged_sequences_are_read_by_their_last_steps():
    X, y, _, _ = problem()
    rng = np.random.default_rng(1)
    lengths = rng.integers(2, L + 1, N)
    entries = [x[-length:] for x, length in zip(X, lengths, strict=True)]
    data = SequenceDataset(Sequences(np.concatenate(entries), lengths), torch.tensor(y, dtype=torch.float32))
    ridge = Ridge.of(data, 2)
    np.testing.assert_allclose(ridge.solution(1.0), SklearnRidge(1.0).fit(flat(X, 2), y).coef_, rtol=1e-6)


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_more_columns_than_can_be_solved_for_are_sought_in_a_krylov_space(monkeypatch, n_outputs):
    # On inputs of rank 6 six steps of conjugate gradients reach the solution: nothing is lost.
    X, y, weight, data = problem(weighted=True, rank=6)
    monkeypatch.setattr(_linear_start, "LARGEST", 8)
    data = SequenceDataset(data.X, data.y[:, :n_outputs], data.weight)
    ridge = Ridge.of(data, L)
    assert ridge.directions.shape == (L * D, 6 * n_outputs)
    expected = SklearnRidge(2.0).fit(flat(X, L), y[:, :n_outputs], sample_weight=weight)
    np.testing.assert_allclose(ridge.solution(2.0), np.atleast_2d(expected.coef_), rtol=1e-6, atol=1e-7)


def test_six_steps_of_conjugate_gradients_are_taken_at_full_rank(monkeypatch):
    X, y, weight, data = problem(weighted=True)
    data = SequenceDataset(data.X, data.y[:, :1], data.weight)
    monkeypatch.setattr(_linear_start, "LARGEST", 8)
    x, t = flat(X, L).astype(np.float64), y[:, :1].astype(np.float64)
    x, t = x - np.average(x, axis=0, weights=weight), t - np.average(t, axis=0, weights=weight)
    S, right = x.T @ (weight[:, None] * x) + 3.0 * np.eye(L * D), x.T @ (weight[:, None] * t)
    steps = []
    cg(S, right[:, 0], maxiter=6, rtol=0, callback=lambda at: steps.append(at.copy()))
    np.testing.assert_allclose(Ridge.of(data, L).solution(3.0)[0], steps[5], rtol=1e-6)


@pytest.mark.parametrize("n_outputs", [1, 40])
def test_of_many_targets_fewer_sequences_are_left_out(monkeypatch, n_outputs):
    monkeypatch.setattr(_linear_start, "_LEFT_OUT", 50)
    monkeypatch.setattr(_linear_start, "_LEFT_OUT_TARGETS", 400)
    data = SequenceDataset(torch.ones(100, 3, 2), torch.ones(100, n_outputs))
    assert len(_linear_start._left_out(data)) == {1: 50, 40: 10}[n_outputs]


def test_steps_that_are_read():
    assert steps_read(n_features=8, shortest=24) == 24
    assert steps_read(n_features=8, shortest=10_000) == LARGEST // 8
    assert steps_read(n_features=5000, shortest=10) == 1


def test_constant_inputs_leave_the_mean():
    _, y, _, data = problem()
    ridge = Ridge.of(SequenceDataset(torch.ones(N, L, D), data.y), L)
    assert ridge.chosen_penalty == 0
    assert not ridge.solution(0.0).any()
    module = network(skip_steps=L)
    LinearStart()(module, SequenceDataset(torch.ones(N, L, D), data.y))
    np.testing.assert_allclose(module(torch.ones(1, L, D).double()).detach()[0], y.mean(0), rtol=1e-12)


@WEIGHTED
def test_a_fixed_selection_starts_with_the_mean_change(weighted):
    X, y, weight, data = problem(weighted=weighted)
    module = network(GRUNetwork, skip_channels=(2, 0))
    LinearStart(InputNoise(0.3))(module, data)
    change = np.average(y - X[:, -1, [2, 0]], axis=0, weights=weight)
    np.testing.assert_allclose(module(torch.tensor(X)).detach(), X[:, -1, [2, 0]] + change, rtol=1e-10)


def test_a_logistic_readout_starts_at_ridge_to_first_order():
    # Targets between 0.4 and 0.6 depend on a little of x: there the logistic is a line.
    X, _, _, data = problem()
    data.y = 0.5 + 0.01 * torch.tanh(data.X.values[:, -1, :K] - 5)
    y = data.y.double().numpy()
    ridge = Ridge.of(data, 2)
    module = network(readout="logistic", skip_steps=2)
    LinearStart()(module, data)
    expected = SklearnRidge(ridge.chosen_penalty).fit(flat(X, 2), y).predict(flat(X, 2))
    np.testing.assert_allclose(module(torch.tensor(X)).detach(), expected, atol=1e-4)
    assert np.abs(expected - y.mean(0)).max() > 0.01
    # And it is finite where all targets are the same extreme value.
    LinearStart()(module, SequenceDataset(data.X, torch.ones(N, K)))
    assert torch.allclose(module(torch.tensor(X)), torch.tensor(0.99).double(), atol=0.01)


def test_no_random_number_is_drawn_and_the_recurrent_weights_stay():
    _, _, _, data = problem()
    module = network(skip_steps=2)
    before = {name: weight.clone() for name, weight in module.recurrent.named_parameters()}
    state = torch.get_rng_state()
    LinearStart()(module, data)
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(weight, before[name]) for name, weight in module.recurrent.named_parameters())
    assert not module.readout.weight.any()
