"""Certificates against attacks, against gradients, and against what can be said by hand."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from sklstm.certificates import Interval, LayerWeights, RecurrentNetwork, _output_bounds, output_bounds
from sklstm.certificates._substitution import Substitution
from tests.support import attacks as soundness

N, L, D, K = 5, 7, 3, 2
KINDS = pytest.mark.parametrize(("cell", "n_layers"), [(cell, depth) for cell in soundness.CELLS for depth in (1, 2)])


def network(cell, n_layers, scale=0.6, dtype=torch.float64, bias=1.0, seed=0, hidden_size=6, skip_steps=0):
    generator = torch.Generator().manual_seed(seed)
    module = soundness.Network(cell, D, hidden_size, K, n_layers, scale, bias, generator, dtype, skip_steps)
    return module, soundness.network_of(module)


def inputs(generator, n=N):
    return torch.randn(n, L, D, generator=generator, dtype=torch.float64)


def radii(module, bounds, X):
    with torch.no_grad():
        y = module(X)
    return torch.maximum(bounds.upper - y, y - bounds.lower)


def test_no_attack_leaves_the_bounds():
    # A small run of the benchmark certificate_soundness: every cell, with and without a linear part, in both dtypes;
    # stacks, forget biases up to 10.
    counts = soundness.attack_random(20, 6, seed=52, epsilons=(1e-6, 1e-3, 0.05, 0.3))
    assert all(cases > 40 for cases, _, _ in counts.values())
    assert sum(violations for _, violations, _ in counts.values()) == 0
    assert all(linear > 20 for _, _, linear in counts.values())


def test_the_attack_is_strong_enough_to_catch_a_bound_that_is_too_narrow(generator, monkeypatch):
    # The same attack against bounds that have lost a tenth of their width.
    def narrowed(*arguments, **options):
        return Interval(*soundness.narrowed(*output_bounds(*arguments, **options)))

    module, _ = network("lstm", 1)
    X = inputs(generator, 20)
    found = soundness.attacked(module, X, 1e-3, generator)
    assert not found.outside.any()
    assert found.caught.sum() > 10
    monkeypatch.setattr(soundness, "output_bounds", narrowed)
    assert soundness.attacked(module, X, 1e-3, generator).outside.sum() > 10


@pytest.mark.parametrize("skip_steps", [1, 4, L, L + 3])
@pytest.mark.parametrize("method", ["intervals", "mean-value", "linear"])
def test_a_linear_part_alone_is_certified_exactly(method, skip_steps, generator):
    # V = 0: the largest change is |A| eps, with A's columns of the steps that there are, and no rounding worth a word.
    module, _ = network("lstm", 1, skip_steps=skip_steps)
    with torch.no_grad():
        module.readout.weight.zero_()
    weights, X = soundness.network_of(module), inputs(generator)
    eps = torch.rand(N, L, D, generator=generator, dtype=torch.float64)
    seen = eps.flatten(1)[:, -skip_steps * D :]
    exact = seen @ module.linear_part.weight.detach().abs()[:, -seen.shape[1] :].T
    bounds = output_bounds(weights, X - eps, X + eps, method=method)
    assert (bounds.upper - bounds.lower).numpy() == pytest.approx(2 * exact.numpy(), rel=1e-12)
    assert torch.allclose(bounds.upper + bounds.lower, 2 * module(X).detach(), atol=1e-12)


@pytest.mark.parametrize(("cell", "n_layers"), [("lstm", 1), ("gru", 2)])
@pytest.mark.parametrize("method", ["mean-value", "linear"])
def test_a_linear_part_can_cancel_what_the_state_does(cell, n_layers, method, generator):
    # The derivatives add up before their size is taken: A = minus the network's own gradient leaves nothing to move.
    module, plain = network(cell, n_layers)
    X = inputs(generator, 1)
    A = -torch.autograd.functional.jacobian(module, X)[0, :, 0].flatten(1)  # (K, L * D)
    both = soundness.RecurrentNetwork(plain.cell, plain.layers, plain.weight_out, plain.bias_out, A)
    width = [
        (bounds.upper - bounds.lower).max().item()
        for bounds in (output_bounds(weights, X - 1e-6, X + 1e-6, method=method) for weights in (plain, both))
    ]
    assert width[1] < 1e-3 * width[0]


def test_differences_of_outputs_with_a_linear_part(generator):
    module, weights = network("lstm", 1, skip_steps=3)
    X, minus = inputs(generator), torch.tensor([0, 1, 0, 1, 1])
    for method in ("best", "linear"):
        bounds = output_bounds(weights, X - 0.05, X + 0.05, method=method, minus=minus)
        for _ in range(20):
            y = module(X + 0.05 * (2 * torch.rand(X.shape, generator=generator, dtype=torch.float64) - 1)).detach()
            differences = y - y.gather(1, minus[:, None])
            assert (bounds.lower <= differences).all()
            assert (differences <= bounds.upper).all()


@KINDS
@pytest.mark.parametrize("method", ["mean-value", "linear"])
def test_in_a_small_box_the_bound_is_the_l1_norm_of_the_gradient(cell, n_layers, method, generator):
    module, weights = network(cell, n_layers)
    X, eps = inputs(generator), 1e-7
    bounds = output_bounds(weights, X - eps, X + eps, method=method)
    for k in range(K):
        point = X.clone().requires_grad_(True)
        (gradient,) = torch.autograd.grad(module(point)[:, k].sum(), point)
        expected = gradient.abs().sum((1, 2))
        # What is left: second order in eps, and rounding, about 1e-12 / eps.
        np.testing.assert_allclose(radii(module, bounds, X)[:, k] / eps, expected, rtol=1e-4)


@KINDS
def test_derivatives_over_a_box_are_enclosed(cell, n_layers, generator):
    module, weights = network(cell, n_layers)
    X, eps = inputs(generator), 0.1
    ball = torch.stack((X, torch.full_like(X, eps))).permute(0, 2, 3, 1).contiguous()
    layers = weights.enclosed()
    for layer in layers:
        ball = layer.forward(ball)
    seed = module.readout.weight.detach().T[:, :, None].expand(-1, -1, N)
    seeds = [None] * (L - 1) + [torch.stack((seed, torch.zeros_like(seed)))]
    for layer in reversed(layers):
        derivatives, _ = layer.backward(seeds)
        seeds = list(derivatives)
    centre, radius = derivatives[:, 0], derivatives[:, 1]  # (L, d, k, n)
    for _ in range(20):
        point = X + eps * (2 * torch.rand(X.shape, generator=generator, dtype=torch.float64) - 1)
        for k in range(K):
            point.requires_grad_(True)
            (gradient,) = torch.autograd.grad(module(point)[:, k].sum(), point)
            assert ((gradient.permute(1, 2, 0) - centre[:, :, k]).abs() <= radius[:, :, k]).all()
            point = point.detach()


@KINDS
def test_hidden_states_over_a_box_are_enclosed(cell, n_layers, generator):
    module, weights = network(cell, n_layers)
    X, eps = inputs(generator), 0.2
    ball = torch.stack((X, torch.full_like(X, eps))).permute(0, 2, 3, 1).contiguous()
    for layer in weights.enclosed():
        ball = layer.forward(ball, record=False)
    for _ in range(20):
        point = X + eps * (2 * torch.rand(X.shape, generator=generator, dtype=torch.float64) - 1)
        with torch.no_grad():
            hidden = module.recurrent(point)[0].permute(1, 2, 0)
        assert ((hidden - ball[0]).abs() <= ball[1]).all()


@KINDS
@pytest.mark.parametrize("deep", ["shallow", "deep", "closely"])
def test_states_and_sums_of_them_lie_within_what_substitution_finds(cell, n_layers, deep, generator):
    module, weights = network(cell, n_layers)
    X, eps = inputs(generator), 0.2
    ball = torch.stack((X, torch.full_like(X, eps))).permute(0, 2, 3, 1).contiguous()
    wide = ball
    for layer in weights.enclosed():
        wide = layer.forward(wide, record=False)
    layers = weights.planes()
    substitution = Substitution(layers, ball)
    reference = substitution.forward()
    if deep != "shallow":
        reference = substitution.forward(torch.full((N,), L), closely=deep == "closely")
    narrow = layers[-1].state[0]
    radius = (narrow.upper - narrow.lower) / 2
    assert (radius <= wide[:, -1][1] + 1e-12).all()
    assert (radius < 0.9 * wide[:, -1][1]).any()
    weight = torch.randn(N, 4, reference.shape[1], generator=generator, dtype=torch.float64)
    of_inputs = torch.randn(N, 4, 3, D, generator=generator, dtype=torch.float64)
    upper = substitution.bounds(weight, of_inputs)
    with torch.no_grad():
        torch.testing.assert_close(reference, module.recurrent(X)[0][:, -1])
        for _ in range(30):
            moved = eps * (2 * torch.rand(X.shape, generator=generator, dtype=torch.float64) - 1).sign()
            last = module.recurrent(X + moved)[0][:, -1]
            assert ((narrow.lower <= last.T) & (narrow.upper >= last.T)).all()
            sums = (weight @ (last - reference)[..., None])[..., 0] + (of_inputs * moved[:, None, -3:]).sum((2, 3))
            assert (sums <= upper).all()


@KINDS
def test_more_substitution_is_never_needed_in_a_small_box(cell, n_layers, generator):
    # To first order nothing is lost: the bound is the l1 norm of the gradient, by autograd, deep or not.
    module, weights = network(cell, n_layers)
    X, eps = inputs(generator).requires_grad_(True), 1e-5
    gradient = torch.stack([torch.autograd.grad(module(X)[:, k].sum(), X)[0] for k in range(K)], 1)
    X = X.detach()
    ball = torch.stack((X, torch.full_like(X, eps))).permute(0, 2, 3, 1).contiguous()
    for deep in ("shallow", "deep", "closely"):
        substitution = Substitution(weights.planes(), ball)
        substitution.forward()
        if deep != "shallow":
            substitution.forward(torch.full((N,), L), closely=deep == "closely")
        upper = substitution.bounds(module.readout.weight.detach().expand(N, -1, -1), ball.new_empty(N, K, 0, D))
        torch.testing.assert_close(upper, eps * gradient.abs().sum((2, 3)), rtol=1e-3, atol=0)


@KINDS
def test_the_matrix_of_the_closest_planes_is_what_their_slopes_say(cell, n_layers, generator):
    # Two routes: by one matrix for many sums, and by the slopes of the planes for few.
    _, weights = network(cell, n_layers)
    X, layers = inputs(generator), weights.planes()
    ball = torch.stack((X, torch.full_like(X, 0.3))).permute(0, 2, 3, 1).contiguous()
    Substitution(layers, ball).forward(torch.full((N,), L), closely=True)
    for layer in layers:
        for t in range(L):
            adjoint = [
                torch.randn(N, layer.size, 5, generator=generator, dtype=torch.float64) for _ in range(layer.n_states)
            ]
            below, constants, others = layer.substitute_closely(t, tuple(part.clone() for part in adjoint))
            by_matrix = layer.substitute_many_closely(t, tuple(part.clone() for part in adjoint))
            torch.testing.assert_close(by_matrix[0], below)
            torch.testing.assert_close(by_matrix[1], constants)
            for found, expected in zip(by_matrix[2], others, strict=True):
                torch.testing.assert_close(found, expected)
            one = torch.eye(layer.size, dtype=torch.float64).expand(N, -1, -1)
            both = torch.cat((one, -one), 2)
            of_last = (*(torch.zeros_like(both) for _ in range(layer.n_states - 1)), both)
            own, own_constants, own_others = layer.own_columns_closely(t)
            below, constants, others = layer.substitute_closely(t, of_last)
            torch.testing.assert_close(own, below)
            torch.testing.assert_close(own_constants, constants)
            assert len(own_others) == len(others)


@pytest.mark.parametrize(("cell", "scale", "share"), [("lstm", 1.4, 0.8), ("gru", 1.4, 0.95), ("relu", 1.5, 0.8)])
def test_where_parallel_planes_leave_wide_bounds_the_closest_are_taken(cell, scale, share, generator, monkeypatch):
    _, weights = network(cell, 1, scale=scale, hidden_size=12, bias=0.3)
    X, widths = torch.randn(40, 20, D, generator=generator, dtype=torch.float64), {}
    eps = torch.logspace(-2.5, -0.7, 40, dtype=torch.float64)[:, None, None].expand(X.shape)
    for name, settled in (("parallel", (0.03, torch.inf)), ("default", (0.03, 1.0)), ("all", (0.03, 0.0))):
        monkeypatch.setattr(_output_bounds, "_SETTLED", settled)
        bounds = output_bounds(weights, X - eps, X + eps, method="linear")
        widths[name] = bounds.upper - bounds.lower
    assert (widths["default"] <= widths["parallel"] + 1e-12).all()
    assert (widths["all"] <= widths["default"] + 1e-12).all()
    ratio = widths["default"] / widths["parallel"]
    assert (ratio < share).sum() >= 5
    assert (ratio > 0.999).sum() >= 40, "narrow boxes are left alone"


@KINDS
def test_linear_never_loses_and_often_wins(cell, n_layers, generator):
    _, weights = network(cell, n_layers, scale=1.0)
    X, named = inputs(generator), torch.tensor([0, 1, 1, 0, 1])
    for eps in (1e-6, 1e-3, 0.05, 0.3, 3.0):
        for minus in (None, named):
            best, linear = (output_bounds(weights, X - eps, X + eps, method=m, minus=minus) for m in ("best", "linear"))
            assert (linear.lower >= best.lower).all()
            assert (linear.upper <= best.upper).all()
            if eps == 0.05:
                assert ((linear.upper - linear.lower) < 0.9 * (best.upper - best.lower)).any()


@KINDS
def test_bounds_grow_with_eps_and_best_is_the_smaller(cell, n_layers, generator):
    _, weights = network(cell, n_layers)
    X = inputs(generator)
    before = None
    for eps in (0.0, 1e-6, 1e-4, 1e-3, 1e-2, 0.05, 0.1, 0.3, 1.0, 3.0):
        by_method = {m: output_bounds(weights, X - eps, X + eps, method=m) for m in ("intervals", "mean-value", "best")}
        for interval, derivative, best in zip(*by_method.values(), strict=True):
            assert ((best == interval) | (best == derivative)).all()
        best = by_method["best"]
        for bounds in by_method.values():
            assert (best.lower >= bounds.lower).all()
            assert (best.upper <= bounds.upper).all()
        if before is not None:
            for now, then in zip(by_method.values(), before.values(), strict=True):
                assert (now.lower < then.lower).all()
                assert (now.upper > then.upper).all()
        before = by_method


@KINDS
def test_float32_costs_little_width(cell, n_layers, generator):
    X, eps = inputs(generator), 1e-2
    module, weights = network(cell, n_layers)
    _, single = network(cell, n_layers, dtype=torch.float32)
    wide, narrow = (radii(module, output_bounds(w, X - eps, X + eps), X) for w in (single, weights))
    assert (wide / narrow < 1.03).all()
    assert (wide > narrow).all()


@KINDS
def test_differences_of_outputs_have_bounds_of_their_own(cell, n_layers, generator):
    module, weights = network(cell, n_layers)
    X, eps, named = inputs(generator), 0.01, torch.tensor([0, 1, 1, 0, 1])
    lower, upper = output_bounds(weights, X - eps, X + eps, minus=named)
    rows = torch.arange(N)
    assert (upper[rows, named].abs() < 1e-10).all()
    assert (lower[rows, named].abs() < 1e-10).all()
    separate = output_bounds(weights, X - eps, X + eps)
    assert (upper - lower <= (separate.upper - separate.lower).sum(1, keepdim=True) + 1e-12).all()
    for point in (X + eps, X - eps, X):
        with torch.no_grad():
            y = module(point)
        difference = y - y[rows, named][:, None]
        assert (difference >= lower).all()
        assert (difference <= upper).all()


def test_the_size_of_batches_does_not_matter(generator):
    _, weights = network("lstm", 2)
    X, named = inputs(generator, 11), torch.arange(11) % K
    for minus in (None, named):
        whole = output_bounds(weights, X - 0.1, X + 0.1, minus=minus)
        parts = output_bounds(weights, X - 0.1, X + 0.1, minus=minus, batch_size=4)
        for a, b in zip(whole, parts, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("cell", soundness.CELLS)
def test_overflow_leaves_infinite_bounds_or_sound_ones_but_no_nan(cell, generator):
    module, weights = network(cell, 1, scale=30.0, dtype=torch.float32)
    X = torch.randn(3, 60, D, generator=generator)
    for method in ("intervals", "mean-value", "best", "linear"):
        lower, upper = output_bounds(weights, X - 1, X + 1, method=method)
        with torch.no_grad():
            y = module(X).double().nan_to_num(0.0)
        assert not (lower.isnan() | upper.isnan()).any()
        finite = y.isfinite()
        assert (lower <= y)[finite].all()
        assert (upper >= y)[finite].all()


def test_a_relu_network_without_kinks_in_the_box_is_linear(generator):
    # Positive weights and inputs: both methods give the exact range.
    module, _ = network("relu", 2)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.abs_()
    weights = soundness.network_of(module)
    X = 1 + torch.rand(N, L, D, generator=generator, dtype=torch.float64)
    for method in ("intervals", "mean-value", "linear"):
        lower, upper = output_bounds(weights, X - 0.5, X + 0.5, method=method)
        with torch.no_grad():
            torch.testing.assert_close(lower, module(X - 0.5), rtol=1e-11, atol=0)
            torch.testing.assert_close(upper, module(X + 0.5), rtol=1e-11, atol=0)


@KINDS
def test_torchs_kernels_agree_with_the_network_of_weights(cell, n_layers, generator):
    module, weights = network(cell, n_layers)
    X = inputs(generator)
    with torch.no_grad():
        torch.testing.assert_close(weights.outputs(X), module(X), rtol=1e-12, atol=1e-12)


def test_bad_networks_and_methods_are_refused(generator):
    _, good = network("lstm", 2)
    layer = good.layers[0]
    with pytest.raises(ValueError, match="cell must be one of"):
        RecurrentNetwork("elman", good.layers, good.weight_out)
    with pytest.raises(ValueError, match="at least one layer"):
        RecurrentNetwork("lstm", (), good.weight_out)
    with pytest.raises(ValueError, match=r"weight_ih of the gru network must have shape \(18, 3\)"):
        RecurrentNetwork("gru", (layer,), good.weight_out)
    with pytest.raises(ValueError, match="must share one dtype"):
        RecurrentNetwork("lstm", (layer,), good.weight_out.float())
    with pytest.raises(ValueError, match="weight_hh holds values that are not finite"):
        RecurrentNetwork("lstm", (layer._replace(weight_hh=layer.weight_hh * torch.nan),), good.weight_out)
    with pytest.raises(ValueError, match="bias_out"):
        RecurrentNetwork("lstm", good.layers, good.weight_out, torch.zeros(K + 1, dtype=torch.float64))
    for columns in (0, D + 1):
        with pytest.raises(ValueError, match=r"weight_linear of the lstm network must have shape \(2, 3\)"):
            RecurrentNetwork("lstm", good.layers, good.weight_out, None, torch.zeros(K, columns, dtype=torch.float64))
    X = inputs(generator)
    with pytest.raises(ValueError, match="method must be one of"):
        output_bounds(good, X, X, method="guess")
    with pytest.raises(ValueError, match="batch_size must be at least 1"):
        output_bounds(good, X, X, batch_size=0)


def test_a_layer_without_biases(generator):
    W_x, W_h, V = (torch.randn(*shape, generator=generator).double() for shape in ((12, D), (12, 3), (K, 3)))
    plain = RecurrentNetwork("lstm", (LayerWeights(W_x, W_h),), V)
    zeros = RecurrentNetwork("lstm", (LayerWeights(W_x, W_h, torch.zeros(12).double(), torch.zeros(12).double()),), V)
    X = inputs(generator)
    for a, b in zip(output_bounds(plain, X - 0.1, X + 0.1), output_bounds(zeros, X - 0.1, X + 0.1), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-13, atol=1e-13)


def test_wider_boxes_contain_narrower_ones_entry_by_entry(generator):
    _, weights = network("gru", 2)
    X = inputs(generator)
    inner = 0.1 * torch.rand(X.shape, generator=generator, dtype=torch.float64)
    outer = inner + 0.1 * torch.rand(X.shape, generator=generator, dtype=torch.float64)
    bounds = [output_bounds(weights, X - radius, X + radius) for radius in (inner, outer)]
    for narrow, wide in pairwise(bounds):
        assert (wide.lower <= narrow.lower).all()
        assert (wide.upper >= narrow.upper).all()


def test_subnormal_outputs_stay_within_the_bounds(generator):
    module, _ = network("relu", 1, scale=1e-20, dtype=torch.float32)
    weights = soundness.network_of(module)
    X = torch.randn(50, L, D, generator=generator)
    for method in ("intervals", "mean-value", "linear"):
        lower, upper = output_bounds(weights, X - 0.1, X + 0.1, method=method)
        for point in (X, X + 0.1, X - 0.1):
            with torch.no_grad():
                y = module(point.clamp(X - 0.1, X + 0.1)).double()
            assert (y >= lower).all()
            assert (y <= upper).all()


@pytest.mark.parametrize(
    "layer",
    [
        torch.nn.GRU(D, 4, bidirectional=True, device="meta"),
        torch.nn.LSTM(D, 4, proj_size=2, device="meta"),
    ],
    ids=["two directions", "projections"],
)
def test_torch_layers_that_cannot_be_certified_are_refused(layer):
    with pytest.raises(ValueError, match="can be certified"):
        RecurrentNetwork.from_torch(layer, torch.nn.Linear(4, 1, device="meta"))
