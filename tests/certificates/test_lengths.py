"""Boxes of several lengths in one batch: what is proved of each is what is proved of it alone."""

import numpy as np
import pytest
import torch

from sklstm.certificates import LayerWeights, RecurrentNetwork, _substitution, output_bounds
from sklstm.certificates import _output_bounds as module_under_test
from tests.support.attacks import Network, network_of, random_corner

N, L, D, K = 8, 6, 2, 2
KINDS = pytest.mark.parametrize(
    ("cell", "n_layers", "skip_steps"),
    [("lstm", 1, 0), ("lstm", 2, 4), ("gru", 1, 4), ("gru", 2, 0), ("relu", 2, 4), ("tanh", 2, 4)],
)
METHODS = ("intervals", "mean-value", "linear")


def problem(cell, n_layers, skip_steps, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    module = Network(cell, D, 4, K, n_layers, 0.6, 1.0, generator, dtype, skip_steps)
    X = torch.randn(N, L, D, generator=generator, dtype=torch.float64)
    eps = 0.1 * torch.rand(N, L, D, generator=generator, dtype=torch.float64)
    lengths = torch.randint(1, L + 1, (N,), generator=generator)
    lengths[0] = L
    return module, X, eps, lengths, generator


@KINDS
@pytest.mark.parametrize("method", METHODS)
def test_a_box_among_longer_ones_has_the_bounds_that_it_has_alone(cell, n_layers, skip_steps, method):
    module, X, eps, lengths, generator = problem(cell, n_layers, skip_steps)
    network = network_of(module)
    minus = torch.randint(0, K, (N,), generator=generator)
    for reference in (None, minus):
        together = output_bounds(network, X - eps, X + eps, method=method, minus=reference, lengths=lengths)
        for i, length in enumerate(lengths.tolist()):
            low, high = (end[i : i + 1, :length] for end in (X - eps, X + eps))
            alone = output_bounds(network, low, high, method=method, minus=None if reference is None else minus[[i]])
            for found, expected in zip(together, alone, strict=True):
                torch.testing.assert_close(found[i], expected[0], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("method", METHODS)
def test_batches_and_what_stands_behind_a_sequence_change_nothing(method, monkeypatch):
    module, X, eps, lengths, generator = problem("lstm", 2, 4)
    network = network_of(module)
    expected = output_bounds(network, X - eps, X + eps, method=method, lengths=lengths)
    behind = torch.arange(L) >= lengths[:, None]
    junk = torch.where(behind[:, :, None], 1e30 * torch.randn(X.shape, generator=generator, dtype=X.dtype), 0)
    others = [output_bounds(network, X + junk - eps, X + junk + eps, method=method, lengths=lengths)]
    others += [output_bounds(network, X - eps, X + eps, method=method, lengths=lengths, batch_size=b) for b in (1, 5)]
    order = torch.randperm(N, generator=generator)
    ends = ((end)[order] for end in (X - eps, X + eps))
    shuffled = output_bounds(network, *ends, method=method, lengths=lengths[order])
    others.append([end[torch.argsort(order)] for end in shuffled])
    monkeypatch.setattr(module_under_test, "_OVERHEAD", (0.5, 0.5))  # many small batches
    others.append(output_bounds(network, X - eps, X + eps, method=method, lengths=lengths))
    for other in others:
        for found, end in zip(other, expected, strict=True):
            torch.testing.assert_close(found, end, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("smallest", "within"), [(-3, False), (-2.2, True)])
def test_substitution_goes_as_far_back_for_a_box_as_if_it_were_alone(monkeypatch, smallest, within):
    # Boxes of several sizes, of which some need more of it than others, and each for another number of steps. If most
    # need it, all are computed again; if few do, these few are.
    monkeypatch.setattr(_substitution, "_DEEP", 2)
    monkeypatch.setattr(_substitution, "_PART", 0.2)
    module, _, _, _, generator = problem("gru", 1, 0)
    X = torch.randn(N, 30, D, generator=generator, dtype=torch.float64)
    eps = torch.logspace(smallest, -0.5, N, dtype=X.dtype)[:, None, None].expand(X.shape)
    lengths = torch.randint(20, 31, (N,), generator=generator)
    network = network_of(module)
    deep = []
    forward = _substitution.Substitution.forward

    def recorded(self, steps=None, *, closely=False):
        deep.append(None if closely else steps)
        return forward(self, steps, closely=closely)

    monkeypatch.setattr(_substitution.Substitution, "forward", recorded)
    together = output_bounds(network, X - eps, X + eps, method="linear", lengths=lengths)
    (steps,) = (found for found in deep if found is not None)
    assert len(set(steps[steps > 0].tolist())) > 1
    assert (len(steps) == N) == within
    assert (0 in steps) == within
    for i, length in enumerate(lengths.tolist()):
        low, high = (end[i : i + 1, :length] for end in (X - eps, X + eps))
        alone = output_bounds(network, low, high, method="linear")
        for found, expected in zip(together, alone, strict=True):
            torch.testing.assert_close(found[i], expected[0], rtol=1e-10, atol=1e-10)


@KINDS
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_no_attack_leaves_the_bounds(cell, n_layers, skip_steps, dtype):
    module, X, eps, lengths, generator = problem(cell, n_layers, skip_steps, dtype, seed=1)
    bounds = [output_bounds(network_of(module), X - eps, X + eps, method=m, lengths=lengths) for m in METHODS]
    exact = network_of(module.double())
    for attempt in range(16):
        for i, length in enumerate(lengths.tolist()):
            x, e = X[i : i + 1, :length], eps[i : i + 1, :length]
            if attempt % 2:
                point = random_corner(x, e, generator)
            else:
                inputs = x.clone().requires_grad_(True)
                (gradient,) = torch.autograd.grad(module(inputs)[0, attempt % 4 // 2], inputs)
                point = x + (-1) ** (attempt // 4) * e * gradient.sign() * torch.rand((), generator=generator)
            value = exact.outputs(point)[0]
            assert all(bool(((lower[i] <= value) & (value <= upper[i])).all()) for lower, upper in bounds)


def test_overflow_before_a_sequence_begins_is_not_its_own():
    # With biases and no inputs, a ReLU state that grows a thousandfold a step overflows before the short one begins.
    weights = LayerWeights(*(torch.tensor(w, dtype=torch.float32) for w in ([[1.0]], [[1e3]], [1.0], [1.0])))
    network = RecurrentNetwork("relu", [weights], torch.ones(1, 1))
    X, lengths = torch.ones(2, 40, 1, dtype=torch.float64), torch.tensor([40, 2])
    for method in METHODS:
        together = output_bounds(network, X - 0.1, X + 0.1, method=method, lengths=lengths)
        alone = output_bounds(network, X[:1, :2] - 0.1, X[:1, :2] + 0.1, method=method)
        assert not together.upper[0].isfinite()
        for found, expected in zip(together, alone, strict=True):
            torch.testing.assert_close(found[1], expected[0], rtol=1e-5, atol=0)


def test_derivatives_that_overflow_before_a_sequence_begins_are_not_its_own():
    # Both units are 1 whatever the step, and 2000 is an eigenvalue of W, with eigenvector (1, -1).
    W, ones = torch.tensor([[1e3, -1e3], [-1e3, 1e3]]), torch.ones(2)
    network = RecurrentNetwork(
        "relu", [LayerWeights(0.1 * ones[:, None], W, ones, 0 * ones)], torch.tensor([[1.0, -1.0]])
    )
    X = torch.ones(2, 15, 1, dtype=torch.float64)
    together = output_bounds(network, X - 0.1, X + 0.1, method="mean-value", lengths=torch.tensor([15, 2]))
    alone = output_bounds(network, X[:1, :2] - 0.1, X[:1, :2] + 0.1, method="mean-value")
    assert not together.upper[0].isfinite().any()
    assert alone.upper.isfinite().all()
    for found, expected in zip(together, alone, strict=True):
        torch.testing.assert_close(found[1], expected[0], rtol=1e-5, atol=0)


def test_states_are_read_where_sequences_end():
    module, X, _, lengths, _ = problem("gru", 2, 0)
    network = network_of(module)
    together = network.hidden(X, lengths)
    alone = torch.cat([network.hidden(X[i : i + 1, :n]) for i, n in enumerate(lengths.tolist())])
    torch.testing.assert_close(together, alone)


@pytest.mark.parametrize("lengths", [[0] * N, [L + 1] * N, [L] * (N - 1)])
def test_lengths_that_do_not_fit(lengths):
    module, X, eps, _, _ = problem("lstm", 1, 0)
    with pytest.raises(ValueError, match=f"lengths must be {N} numbers from 1 to {L}"):
        output_bounds(network_of(module), X - eps, X + eps, lengths=torch.tensor(lengths))


def test_all_of_one_length_is_no_list():
    module, X, eps, _, _ = problem("lstm", 1, 0)
    network = network_of(module)
    ends = X - eps, X + eps
    given = output_bounds(network, *ends, lengths=torch.full((N,), L))
    for found, expected in zip(given, output_bounds(network, *ends), strict=True):
        np.testing.assert_array_equal(found, expected)
