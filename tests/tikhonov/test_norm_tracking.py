import numpy as np
import pytest
import torch

from sklstm.tikhonov._norm_tracking import CHEBYSHEV_DEGREE, NormTracker, as_array


@pytest.mark.parametrize(("hidden_size", "bound"), [(16, 0.02), (48, 0.04), (96, 0.06)])
def test_estimates_stay_below_and_near_the_norms_of_wandering_weights(hidden_size, bound, generator):
    # Steps of two per cent in random directions: the spectra are as crowded as random matrices have them.
    stack = torch.randn(4, hidden_size, hidden_size, generator=generator)
    inputs = torch.randn(4, hidden_size, 7, generator=generator)
    tracker = NormTracker(cadence=16, tolerance=0.05)
    tracker.watch([as_array(inputs), as_array(stack)])
    for _ in range(100):
        for matrices in (stack, inputs):
            matrices += 0.02 * torch.randn(matrices.shape, generator=generator)
        for norms, matrices in zip(tracker(), (inputs, stack), strict=True):
            exact = torch.linalg.matrix_norm(matrices.double(), 2).numpy()
            assert (np.array(norms) <= exact * (1 + 1e-5)).all()
            assert (np.array(norms) >= exact * (1 - bound)).all()
    assert 0 < tracker.largest_error < bound


@pytest.mark.parametrize("of_numpy", [True, False])
def test_gradients_are_those_of_the_norms(of_numpy, generator):
    shapes = [(4, 40, 3), (4, 40, 40), (1, 1, 40), (3, 6, 9), (2, 70, 80)]
    stacks = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
    tracker = NormTracker(cadence=64, tolerance=0.05)
    tracker.watch([as_array(stack) if of_numpy else stack for stack in stacks])  # tensors: as on other devices
    for _ in range(3):  # exact, then twice an estimate
        found = tracker()
        slopes = [[0.5 + index for index in range(len(norms))] for norms in found]
        for matrices, norms, of_stack, gradient in zip(stacks, found, slopes, tracker.gradients(slopes), strict=True):
            gradient = torch.as_tensor(gradient)
            # Euler: the norm is homogeneous, ⟨W, ∂σ⟩ = σ. And u vᵀ has norm 1 and rank 1.
            np.testing.assert_allclose(
                (matrices * gradient).sum((1, 2)), np.multiply(of_stack, norms), rtol=1e-10, atol=0
            )
            np.testing.assert_allclose(torch.linalg.matrix_norm(gradient, 2), of_stack, rtol=1e-10)
            np.testing.assert_allclose(torch.linalg.matrix_norm(gradient, "fro"), of_stack, rtol=1e-10)
        for matrices in stacks:
            matrices *= 1.01


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.float64, 1e-9)])
def test_large_tensors_take_the_same_way_as_arrays(dtype, tolerance, generator):
    # Sides above 64, where a polynomial takes the place of powers; the first two stacks share one group.
    shapes = [(4, 96, 80), (2, 80, 96), (3, 70, 70), (1, 1, 96)]
    stacks = [torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype) for shape in shapes]
    twins = [stack.clone() for stack in stacks]  # tensors: as on other devices
    trackers = [NormTracker(cadence=8, tolerance=0.05) for _ in range(2)]
    trackers[0].watch([as_array(stack) for stack in stacks])
    trackers[1].watch(twins)
    assert [len(group.members) for group in trackers[0].groups] == [2, 1, 1]
    for _ in range(20):
        of_arrays, of_tensors = (tracker() for tracker in trackers)
        for ours, theirs in zip(of_arrays, of_tensors, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=tolerance)
        slopes = [[1.0 + index for index in range(len(norms))] for norms in of_arrays]
        for ours, theirs in zip(*(tracker.gradients(slopes) for tracker in trackers), strict=True):
            assert isinstance(theirs, torch.Tensor)
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=10 * tolerance)
        for stack, twin in zip(stacks, twins, strict=True):
            stack += 0.02 * torch.randn(stack.shape, generator=generator, dtype=torch.float64).to(dtype)
            twin.copy_(stack)
    assert [tracker.interval for tracker in trackers] == [8, 8]
    assert trackers[0].largest_error == pytest.approx(trackers[1].largest_error, abs=tolerance)


@pytest.mark.parametrize("of_numpy", [True, False])
def test_the_polynomial_is_chebyshevs(of_numpy, generator):
    matrix = torch.randn(1, 70, 90, generator=generator, dtype=torch.float64)
    tracker = NormTracker(cadence=64, tolerance=0.05)
    tracker.watch([as_array(matrix) if of_numpy else matrix])
    tracker()
    matrix += 0.1 * torch.randn(matrix.shape, generator=generator, dtype=torch.float64)
    (group,) = tracker.groups
    start = torch.as_tensor(group.vectors + group.fixed)[0, :, 0].clone()
    (norm,) = tracker()[0]
    # By the eigenvalues: the polynomial at 2 λ / b - 1, with b just below the Rayleigh quotient of the start.
    values, vectors = torch.linalg.eigh(matrix[0] @ matrix[0].mT)
    b = 0.95 * (matrix[0].mT @ start).square().sum() / start.square().sum()
    weights = np.polynomial.chebyshev.Chebyshev.basis(CHEBYSHEV_DEGREE)((2 * values / b - 1).numpy())
    expected = vectors @ (torch.as_tensor(weights) * (vectors.mT @ start))
    expected /= expected.norm()
    np.testing.assert_allclose(torch.as_tensor(group.vectors)[0, :, 0], expected, rtol=0, atol=1e-10)
    assert norm == pytest.approx((matrix[0].mT @ expected).norm().item(), rel=1e-12)


def test_a_change_of_the_leading_vector_is_caught():
    # The carried vector is an exact singular vector, and stays one, of what is no longer the largest value.
    matrix = np.diag(np.float32([2.0, 1.0, 0.5]))[None]
    tracker = NormTracker(cadence=8, tolerance=0.05)
    tracker.watch([matrix])
    assert tracker() == [[2.0]]
    matrix[0, 1, 1] = 3
    assert tracker()[0][0] == pytest.approx(3, rel=1e-3), "the sprinkled part finds it at once"
    for _ in range(7):
        last = tracker()[0][0]
    assert last == pytest.approx(3, rel=1e-6)


def test_errors_steer_the_cadence(generator):
    tracker = NormTracker(cadence=64, tolerance=1e-12)  # nothing is good enough
    matrices = torch.randn(4, 40, 40, generator=generator)
    tracker.watch([as_array(matrices)])
    for _ in range(200):
        matrices += 0.1 * torch.randn(4, 40, 40, generator=generator)
        tracker()
    assert tracker.interval == 1
    assert tracker.largest_error > 1e-5
    tracker.tolerance = 1e6
    for _ in range(200):
        tracker()
    assert tracker.interval == 64


# Sides below and above 64; the shorter side is that of the rows, that of the columns, and 1.
SHAPES = [(4, 12, 3), (4, 12, 12), (1, 1, 12), (2, 70, 66)]


def wandering(stacks, generator):
    for stack in stacks:
        stack *= 1 + 0.1 * torch.randn(stack.shape, generator=generator, dtype=stack.dtype)


@pytest.mark.parametrize("exponent", [-120, -70, -30, 30, 90])
def test_norms_and_gradients_of_small_and_large_matrices_are_those_of_ordinary_ones(exponent, generator):
    ordinary = [torch.randn(shape, generator=generator) for shape in SHAPES]
    factor = torch.tensor(2.0**exponent)
    scaled = [stack * factor for stack in ordinary]
    trackers = [NormTracker(cadence=8, tolerance=0.05) for _ in range(2)]
    for tracker, stacks in zip(trackers, (ordinary, scaled), strict=True):
        tracker.watch([as_array(stack) for stack in stacks])
    for _ in range(20):
        expected, found = (tracker() for tracker in trackers)
        slopes = [[1.0 + index for index in range(len(norms))] for norms in expected]
        gradients = [tracker.gradients(slopes) for tracker in trackers]
        for index, norms in enumerate(expected):
            np.testing.assert_allclose(found[index], np.ldexp(norms, exponent), rtol=1e-5)
            np.testing.assert_allclose(gradients[1][index], gradients[0][index], atol=1e-4 * max(slopes[index]))
        wandering(ordinary, generator)
        for stack, source in zip(scaled, ordinary, strict=True):
            torch.mul(source, factor, out=stack)


@pytest.mark.parametrize("of_numpy", [True, False])
def test_a_zero_matrix_has_norm_and_gradient_zero_until_it_wakes(of_numpy, generator):
    stacks = [torch.randn(shape, generator=generator) for shape in SHAPES]
    alone = [stack[1:].clone() for stack in stacks[:2]]
    for stack in stacks:
        stack[0] = 0
    trackers = [NormTracker(cadence=64, tolerance=0.05) for _ in range(2)]
    for tracker, watched in zip(trackers, (stacks, alone), strict=True):
        tracker.watch([as_array(stack) if of_numpy else stack for stack in watched])
    for _ in range(5):
        found, without = trackers[0](), trackers[1]()
        gradients = trackers[0].gradients([[1.0] * len(norms) for norms in found])
        assert all(norms[0] == 0 for norms in found)
        assert not any(torch.as_tensor(gradient[0]).any() for gradient in gradients)
        assert all(torch.as_tensor(gradient).isfinite().all() for gradient in gradients)
        for ours, others in zip(found, without, strict=False):
            np.testing.assert_allclose(ours[1:], others, rtol=1e-6)
        wandering(alone, generator)
        for stack, source in zip(stacks, alone, strict=False):
            stack[1:] = source
    for stack in stacks:
        stack[0, 0, 0] = 1e-30
    assert all(abs(norms[0] / 1e-30 - 1) < 1e-6 for norms in trackers[0]())


@pytest.mark.parametrize("jump", [1e-30, 1e-10, 1e-3, 1e3, 1e10])
def test_norms_that_have_jumped_are_computed_anew(jump, generator):
    stacks = [torch.randn(shape, generator=generator) for shape in SHAPES[:3]]
    tracker = NormTracker(cadence=64, tolerance=0.05)
    tracker.watch([as_array(stack) for stack in stacks])
    for _ in range(3):
        tracker()
    for stack in stacks:
        stack *= jump
    for norms, stack in zip(tracker(), stacks, strict=True):
        np.testing.assert_allclose(norms, torch.linalg.matrix_norm(stack.double(), 2), rtol=1e-5)
