"""Cholesky and inverse Lanczos against all eigenvalues, known spectra, and matrices that would mislead Lanczos."""

import tracemalloc

import numpy as np
import pytest

from sklstm.generalization import second_moment, smallest_eigenvalue
from sklstm.generalization.moments import _spectrum
from sklstm.generalization.moments._spectrum import smallest_of_spectrum


def with_spectrum(values, seed=0):
    p = len(values)
    q, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((p, p)))
    matrix = (q * values) @ q.T
    return np.asfortranarray((matrix + matrix.T) / 2)


@pytest.fixture
def no_decomposition(monkeypatch):
    def fail(*_):
        raise AssertionError("all eigenvalues were computed")

    monkeypatch.setattr(_spectrum, "_by_decomposition", fail)


@pytest.fixture
def decompositions(monkeypatch):
    calls = []
    plain = _spectrum._by_decomposition
    monkeypatch.setattr(_spectrum, "_by_decomposition", lambda *a: calls.append(1) or plain(*a))
    return calls


@pytest.mark.parametrize("decades", range(13))
@pytest.mark.parametrize("p", [2, 3, 30])
def test_known_spectrum_at_every_condition_number(p, decades, no_decomposition):
    values = np.geomspace(10.0**-decades, 1, p)
    for seed in range(3):
        matrix = with_spectrum(values, seed)
        expected = np.linalg.eigvalsh(matrix)[0]
        # What rounding the matrix itself moves, or the certified accuracy.
        tolerance = max(1e-8 * values[0], p * 2.0**-52)
        found = smallest_of_spectrum(matrix, "cholesky")
        assert abs(found - expected) <= tolerance
        assert abs(found - values[0]) <= tolerance


@pytest.mark.parametrize("decades", range(13))
def test_both_routes_from_data(decades):
    rng = np.random.default_rng(decades)
    X = np.linalg.qr(rng.standard_normal((80, 20)))[0] * np.geomspace(1, 10.0 ** (-decades / 2), 20)
    X = X @ np.linalg.qr(rng.standard_normal((20, 20)))[0]
    one, other = (smallest_eigenvalue(X, method=method) for method in ("cholesky", "eigh"))
    assert 80 * one == pytest.approx(10.0**-decades, rel=1e-8, abs=20 * 2.0**-52)
    assert abs(one - other) <= max(1e-8 * other, 20 * 2.0**-52 / 80)


def test_larger_matrix_by_default_route(no_decomposition):
    X = np.random.default_rng(1).standard_normal((900, 650)) + 0.3
    assert smallest_eigenvalue(X) == pytest.approx(np.linalg.eigvalsh(X.T @ X / 900)[0], rel=1e-9)


def test_small_matrices_by_default_take_all_eigenvalues(monkeypatch):
    monkeypatch.setattr(_spectrum, "_by_inverse_lanczos", None)
    assert smallest_eigenvalue(np.eye(5)) == pytest.approx(1 / 5)


@pytest.mark.parametrize("p", [1, 2, 3, 40])
def test_one_eigenvalue_many_times(p, no_decomposition):
    # The first Krylov space is already invariant.
    assert smallest_of_spectrum(3.0 * np.eye(p, order="F"), "cholesky") == pytest.approx(3.0, rel=1e-14)


def test_an_eigenvector_that_the_start_does_not_see(decompositions):
    # The start vector, an eigenvector itself, is orthogonal to that of the smallest eigenvalue 1: Lanczos finds 2, and
    # only the second factorisation can tell.
    p = 30
    start = np.random.default_rng(0).standard_normal(p)
    q, _ = np.linalg.qr(np.column_stack([start, np.random.default_rng(1).standard_normal((p, p - 1))]))
    values = np.r_[2.0, 1.0, np.linspace(3, 4, p - 2)]
    matrix = np.asfortranarray((q * values) @ q.T)

    def blind(operator, **options):
        return np.array([0.5])  # the inverse of 2, as exact arithmetic would have it

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_spectrum, "eigsh", blind)
        assert smallest_of_spectrum(matrix, "cholesky") == pytest.approx(1.0, rel=1e-12)
    assert decompositions == [1]
    assert smallest_of_spectrum(matrix, "cholesky") == pytest.approx(1.0, rel=1e-9)


@pytest.mark.parametrize("error", [1e-9, 1e-7])
def test_the_certificate_is_sharp(error, decompositions):
    matrix = with_spectrum(np.linspace(1, 2, 20))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_spectrum, "eigsh", lambda *_, **__: np.array([1 / (1 + error)]))
        smallest_of_spectrum(matrix, "cholesky")
    assert len(decompositions) == (error > 1e-8)


def test_no_convergence_and_breakdown_fall_back(monkeypatch, decompositions):
    values = np.geomspace(1e-3, 1, 50)
    monkeypatch.setattr(_spectrum, "_RESTARTS", 1)
    monkeypatch.setattr(_spectrum, "_BASIS", 2)
    assert smallest_of_spectrum(with_spectrum(values), "cholesky") == pytest.approx(1e-3, rel=1e-11)
    # Not a second moment, but what rounding can make of one.
    assert smallest_of_spectrum(with_spectrum(np.r_[-1e-17, values]), "cholesky") == 0.0
    assert smallest_of_spectrum(with_spectrum(np.r_[-1e-3, values]), "cholesky") == 0.0
    assert len(decompositions) == 3


@pytest.mark.parametrize("method", ["cholesky", "eigh"])
@pytest.mark.parametrize("p", [2, 60, 300])
def test_rank_deficient_is_exactly_zero(method, p):
    X = np.random.default_rng(3).standard_normal((2 * p, p))
    constant, duplicated, summed = X.copy(), X.copy(), X.copy()
    constant[:, p // 2] = 0
    duplicated[:, 0] = duplicated[:, -1]
    summed[:, 0] = summed[:, 1:].sum(axis=1)
    for design in (constant, duplicated, summed):
        assert smallest_eigenvalue(design, method=method) == 0.0
        assert smallest_eigenvalue(iter([design[:p], design[p:]]), method=method) == 0.0


@pytest.mark.parametrize("method", ["cholesky", "eigh"])
def test_threshold_of_round_off(method):
    # λ_max p 2^-52 on diagonal matrices, whose eigenvalues are exact.
    p = 64
    for factor, is_zero in ((0.5, True), (1.0, True), (1.1, False), (15.0, False), (300.0, False)):
        low = factor * p * 2.0**-52
        matrix = np.asfortranarray(np.diag(np.r_[np.ones(p - 1), low]))
        assert smallest_of_spectrum(matrix, method) == (0.0 if is_zero else pytest.approx(low, rel=1e-8))


@pytest.mark.parametrize("method", ["cholesky", "eigh"])
@pytest.mark.parametrize("p", [2, 255, 256, 257, 600])
def test_matrix_is_given_back(method, p):
    matrix = with_spectrum(np.linspace(1, 2, p))
    noise = np.asfortranarray(np.tril(matrix) + np.triu(np.full((p, p), np.nan), 1))  # the upper one is not read
    assert smallest_of_spectrum(noise, method) == pytest.approx(1.0, rel=1e-8)
    np.testing.assert_array_equal(noise, np.tril(matrix) + np.tril(matrix, -1).T)


def test_one_feature():
    for method in ("auto", "cholesky", "eigh"):
        assert smallest_eigenvalue(np.array([[3.0], [1.0]]), method=method) == 5.0
        assert smallest_eigenvalue(iter([np.array([[3.0]]), np.array([[1.0]])]), method=method) == 5.0


def test_the_same_digits_every_time():
    X = np.random.default_rng(4).standard_normal((200, 100))
    assert len({smallest_eigenvalue(X, method="cholesky") for _ in range(3)}) == 1


@pytest.mark.parametrize("method", ["cholesky", "eigh"])
def test_memory_is_little_more_than_the_matrix(method):
    p = 900
    rng = np.random.default_rng(5)
    matrix_bytes = 8 * p * p
    tracemalloc.start()
    try:
        moment = second_moment(rng.standard_normal((100, p)) for _ in range(10))
        assert smallest_eigenvalue(moment, method=method) > 0
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # Two batches of 100 and two blocks of 256 rows beside it.
    assert peak < 1.9 * matrix_bytes


def test_fewer_samples_than_features_forms_no_matrix():
    X = np.zeros((2, 20_000), dtype=np.float16)  # a matrix of 3.2 GB
    tracemalloc.start()
    try:
        assert smallest_eigenvalue(X, method="cholesky") == 0.0
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_unknown_method():
    with pytest.raises(ValueError, match="method must be one of"):
        smallest_eigenvalue(np.eye(3), method="lanczos")
