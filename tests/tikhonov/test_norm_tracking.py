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
