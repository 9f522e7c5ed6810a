import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from sklstm.linalg import max_row_sum, project_rows_l1, spectral_norm


def test_max_row_sum_is_the_one_norm_of_the_transpose(generator):
    matrix = torch.randn(3, 5, 7, generator=generator, dtype=torch.float64)
    expected = torch.linalg.matrix_norm(matrix.mT, ord=1)
    torch.testing.assert_close(max_row_sum(matrix), expected, rtol=1e-14, atol=0)


def test_spectral_norm_against_largest_eigenvalue(generator):
    matrix = torch.randn(4, 6, 3, generator=generator, dtype=torch.float64)
    expected = torch.linalg.eigvalsh(matrix.mT @ matrix)[..., -1].sqrt()
    torch.testing.assert_close(spectral_norm(matrix), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("shape", [(3, 3), (5, 2), (2, 5), (2, 4, 3), (1, 6), (6, 1)])
def test_spectral_norm_gradcheck(shape, generator):
    matrix = torch.randn(*shape, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(spectral_norm, (matrix,))


def test_spectral_norm_gradient_at_zero_is_zero_and_at_a_tie_is_a_unit_subgradient():
    zero = torch.zeros(3, 4, requires_grad=True)
    spectral_norm(zero).backward()
    assert torch.equal(zero.grad, torch.zeros(3, 4))

    tie = torch.eye(3, dtype=torch.float64).requires_grad_()
    spectral_norm(tie).backward()
    # A subgradient of the spectral norm has nuclear norm 1 and <G, A> = ‖A‖.
    torch.testing.assert_close(torch.linalg.matrix_norm(tie.grad, ord="nuc").item(), 1.0)
    torch.testing.assert_close((tie.grad * tie.detach()).sum().item(), 1.0)


def test_spectral_norm_of_a_broken_matrix_is_nan_and_the_others_are_not_touched():
    stack = torch.eye(3).repeat(3, 1, 1)
    stack[0, 1, 1], stack[2, 0, 0] = torch.nan, torch.inf
    assert spectral_norm(stack).isnan().tolist() == [True, False, True]
    assert spectral_norm(stack)[1] == 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_projection_lands_in_the_ball_and_leaves_the_inside_alone(dtype, generator):
    matrix = torch.randn(200, 17, generator=generator, dtype=dtype) * torch.logspace(-3, 3, 200, dtype=dtype)[:, None]
    before = matrix.clone()
    projected = project_rows_l1(matrix, 1.5)
    assert max_row_sum(projected.double()) <= 1.5
    assert max_row_sum(projected.double()) > 1.5 * (1 - 1e-6)
    inside = matrix.double().abs().sum(-1) <= 1.5
    assert 0 < inside.sum() < 200
    assert torch.equal(projected[inside], matrix[inside])
    assert torch.equal(matrix, before)


def test_projection_is_the_nearest_point(generator):
    row = 2 * torch.randn(4, generator=generator, dtype=torch.float64)
    projected = project_rows_l1(row[None], 1.0)[0].numpy()

    def distance(parts):  # positive and negative part: a smooth problem on a simplex
        return np.sum((parts[:4] - parts[4:] - row.numpy()) ** 2)

    solution = minimize(
        distance,
        np.full(8, 0.05),
        bounds=[(0, None)] * 8,
        constraints={"type": "ineq", "fun": lambda parts: 1 - parts.sum()},
        options={"ftol": 1e-14, "maxiter": 500},
    )
    np.testing.assert_allclose(projected, solution.x[:4] - solution.x[4:], atol=1e-6)
    # Optimality: <a − p, z − p> ≤ 0 for the extreme points z of the ball.
    for vertex in np.vstack([np.eye(4), -np.eye(4)]):
        assert (row.numpy() - projected) @ (vertex - projected) <= 1e-12
