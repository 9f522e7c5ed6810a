import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from sklstm.linalg import leading_pair, max_row_sum, project_rows_l1, spectral_norm, times_power_of_two

DTYPES = [torch.float32, torch.float64]
# Exponents of two from the smallest subnormal number to the largest one.
RANGE = {torch.float32: (-149, 127), torch.float64: (-1074, 1023)}


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


def normal(shape, seed, dtype):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


shapes = st.tuples(st.integers(1, 5), st.integers(1, 5))
dtypes = st.sampled_from(DTYPES)


@given(st.data(), dtypes, shapes, st.integers(0, 50))
def test_norms_scale_with_powers_of_two_to_the_last_bit(data, dtype, shape, seed):
    matrix = normal(shape, seed, dtype)
    info = torch.finfo(dtype)
    # No entry and no norm over- or underflows.
    exponent = data.draw(st.integers(RANGE[dtype][0] + info.bits, RANGE[dtype][1] - 6), "exponent")
    scaled = times_power_of_two(matrix, torch.tensor(exponent))
    sigma, u, v = leading_pair(matrix)
    sigma_scaled, *vectors = leading_pair(scaled)
    assert sigma_scaled == times_power_of_two(sigma, torch.tensor(exponent)) > 0
    assert torch.equal(vectors[0], u)
    assert torch.equal(vectors[1], v)


@given(st.data(), dtypes, st.integers(1, 5))
def test_norms_of_diagonal_matrices_of_any_size_are_their_largest_entry(data, dtype, size):
    exponents = data.draw(st.lists(st.integers(*RANGE[dtype]), min_size=size, max_size=size), "exponents")
    entries = times_power_of_two(torch.ones(size, dtype=dtype), torch.tensor(exponents))
    assert spectral_norm(torch.diag(entries)) == entries.max()


@given(st.data(), dtypes, shapes, st.integers(0, 50))
def test_norms_of_matrices_of_rank_one_are_products_of_lengths(data, dtype, shape, seed):
    first, second = (normal((size,), seed + k, dtype) for k, size in enumerate(shape))
    exponent = torch.tensor(data.draw(st.integers(RANGE[dtype][0], RANGE[dtype][1] - 10), "exponent"))
    matrix = times_power_of_two(torch.outer(first, second), exponent)
    expected = (first.double().norm() * second.double().norm()).item()
    found = np.ldexp(spectral_norm(matrix).item(), -exponent.item())
    # A subnormal matrix has fewer digits: half a unit of the smallest number for each entry.
    rounding = 2.0 ** (RANGE[dtype][0] - exponent.item() - 1) * np.sqrt(matrix.numel())
    assert abs(found - expected) <= 20 * torch.finfo(dtype).eps * expected + rounding


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_gradient_of_a_norm_does_not_depend_on_scale(dtype, generator):
    matrix = torch.randn(4, 3, generator=generator, dtype=dtype)
    low, high = RANGE[dtype]
    gradients = []
    for exponent in (0, low + 30, high - 6):
        scaled = times_power_of_two(matrix, torch.tensor(exponent)).requires_grad_()
        spectral_norm(scaled).backward()
        gradients.append(scaled.grad)
    torch.testing.assert_close(gradients[1], gradients[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(gradients[2], gradients[0], atol=1e-5, rtol=0)


@given(dtypes, st.integers(1, 12), st.integers(0, 50), st.integers(-40, 40), st.integers(-45, 30))
def test_projected_rows_keep_to_any_radius_whatever_the_size_of_the_row(dtype, n, seed, decimals, radius):
    matrix = normal((3, n), seed, dtype) * torch.tensor(10.0**decimals, dtype=torch.float64).to(dtype)
    limit = 10.0**radius
    projected = project_rows_l1(matrix, limit)
    sums, before = projected.double().abs().sum(-1), matrix.double().abs().sum(-1)
    assert (sums <= limit).all()
    # What is longer ends at the radius, up to rounding and to what the dtype cannot hold.
    smallest = 2.0 ** RANGE[dtype][0]
    assert (
        sums >= torch.clamp(before, max=limit * (1 - 4 * (n + 2) * torch.finfo(dtype).eps)) - 2 * n * smallest
    ).all()
    assert ((projected == 0) | (projected.sign() == matrix.sign())).all()


@pytest.mark.parametrize("dtype", DTYPES)
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
