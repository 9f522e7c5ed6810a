"""The smallest eigenvalue and lower bounds on it: known spectra, and matrices that would mislead Lanczos."""

import math
import tracemalloc

import numpy as np
import pytest
import torch

from sklstm.generalization import (
    SecondMoment,
    _eigenvalue,
    correlation_lower_bound,
    gershgorin_lower_bound,
    identity_lower_bound,
    second_moment,
    smallest_eigenvalue,
)
from sklstm.generalization._eigenvalue import smallest_of_spectrum
from sklstm.generalization.tu._theorems_2_and_3 import _Sample


@pytest.mark.parametrize("shape", [(40, 12), (40, 4, 3), (300, 5, 2, 3), (25, 25), (6, 1)])
def test_against_numpy(shape):
    X = np.random.default_rng(0).standard_normal(shape) + 0.5  # not centred
    flat = X.reshape(shape[0], -1)
    expected = np.linalg.eigvalsh(flat.T @ flat / shape[0])[0]
    assert smallest_eigenvalue(X) == pytest.approx(expected, rel=1e-9)


def test_orthogonal_design():
    # Hadamard columns scaled by 1, 2, 3, 4 have second moment diag(1, 4, 9, 16), whatever the order.
    H = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]])
    assert smallest_eigenvalue((H * [3, 2, 1, 4]).reshape(4, 2, 2)) == pytest.approx(1, rel=1e-14)
    assert smallest_eigenvalue(1e-3 * H) == pytest.approx(1e-6, rel=1e-13)


def test_second_moment_is_not_centred():
    # One constant feature: variance 0, second moment 9.
    assert smallest_eigenvalue(np.full((5, 1), 3.0)) == pytest.approx(9, rel=1e-15)


def test_float32_is_accumulated_in_float64():
    rng = np.random.default_rng(1)
    X = rng.standard_normal((400, 6)).astype(np.float32)
    X[:, 0] = (X[:, 1] + 1e-4 * rng.standard_normal(400)).astype(np.float32)
    X64 = X.astype(np.float64)
    expected = np.linalg.eigvalsh(X64.T @ X64 / 400)[0]
    assert smallest_eigenvalue(X) == pytest.approx(expected, rel=1e-6)
    assert smallest_eigenvalue(torch.tensor(X)) == smallest_eigenvalue(X)


def test_zero_without_work_when_samples_are_fewer_than_features():
    assert smallest_eigenvalue(np.ones((2, 1000, 1000), dtype=np.float16)) == 0.0


@pytest.mark.parametrize("scale", [1e-160, 1.0, 1e160])
def test_singular_designs_are_exactly_zero(scale):
    rng = np.random.default_rng(2)
    X = rng.standard_normal((200, 8))
    constant_zero = X.copy()
    constant_zero[:, 3] = 0
    repeated = X.copy()
    repeated[:, 5] = repeated[:, 2]
    z_normalised = (X - X.mean(axis=1, keepdims=True)) / X.std(axis=1, keepdims=True)
    for design in (constant_zero, repeated, z_normalised, np.zeros((20, 3))):
        assert smallest_eigenvalue(scale * design) == 0.0


def test_extreme_scales_are_powers_away():
    X = np.random.default_rng(3).standard_normal((50, 4))
    base = smallest_eigenvalue(X)
    assert smallest_eigenvalue(2.0**-500 * X) == math.ldexp(base, -1000)
    assert smallest_eigenvalue(1e170 * X) == np.finfo(float).max


def norms_of(X, noise):
    """Both norms of the data matrix, as the theorems take them, for a network that does not matter."""
    m, d = 2, X.shape[2]
    sample = _Sample.of((np.ones((m, d)), np.eye(m), np.eye(2, m)), X, noise, np.zeros(len(X), dtype=int))
    return sample.frobenius, sample.one


def test_chunks_make_no_difference(monkeypatch):
    X = np.random.default_rng(4).standard_normal((101, 3, 2))
    whole, norms = smallest_eigenvalue(X), norms_of(X, 2 * X)
    monkeypatch.setattr("sklstm.generalization._theorem_inputs._CHUNK_NUMBERS", 60)
    assert smallest_eigenvalue(X) == pytest.approx(whole, rel=1e-12)
    np.testing.assert_allclose(norms_of(X, 2 * X), norms, rtol=1e-12)


def test_read_only_and_memmap_arrays_stay_as_they_are(tmp_path):
    X = np.random.default_rng(5).standard_normal((30, 2, 2))
    before = X.copy()
    X.flags.writeable = False
    value = smallest_eigenvalue(X)
    assert value > 0
    np.testing.assert_array_equal(X, before)
    np.save(tmp_path / "x.npy", before)
    assert smallest_eigenvalue(np.load(tmp_path / "x.npy", mmap_mode="r")) == value


def test_norms_of_the_data_matrix():
    X = np.random.default_rng(6).standard_normal((7, 3, 2))
    noise = np.ones_like(X)
    frobenius, one = norms_of(X, noise)
    columns = [sum(abs(X[i, t, c] + 1) for i in range(7)) for t in range(3) for c in range(2)]
    assert one == pytest.approx(max(columns), rel=1e-12)
    assert frobenius == pytest.approx(math.sqrt(sum(v**2 for v in (X + 1).ravel())), rel=1e-12)


def test_errors_of_the_input():
    with pytest.raises(ValueError, match="at least one sample"):
        smallest_eigenvalue(np.empty((0, 3)))
    with pytest.raises(ValueError, match="NaN or infinity"):
        smallest_eigenvalue(np.array([[1.0], [np.nan]]))


def with_spectrum(values, seed=0):
    p = len(values)
    q, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((p, p)))
    matrix = (q * values) @ q.T
    return np.asfortranarray((matrix + matrix.T) / 2)


@pytest.fixture
def no_decomposition(monkeypatch):
    def fail(*_):
        raise AssertionError("all eigenvalues were computed")

    monkeypatch.setattr(_eigenvalue, "_by_decomposition", fail)


@pytest.fixture
def decompositions(monkeypatch):
    calls = []
    plain = _eigenvalue._by_decomposition
    monkeypatch.setattr(_eigenvalue, "_by_decomposition", lambda *a: calls.append(1) or plain(*a))
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
    monkeypatch.setattr(_eigenvalue, "_by_inverse_lanczos", None)
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
        patch.setattr(_eigenvalue, "eigsh", blind)
        assert smallest_of_spectrum(matrix, "cholesky") == pytest.approx(1.0, rel=1e-12)
    assert decompositions == [1]
    assert smallest_of_spectrum(matrix, "cholesky") == pytest.approx(1.0, rel=1e-9)


@pytest.mark.parametrize("error", [1e-9, 1e-7])
def test_the_certificate_is_sharp(error, decompositions):
    matrix = with_spectrum(np.linspace(1, 2, 20))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_eigenvalue, "eigsh", lambda *_, **__: np.array([1 / (1 + error)]))
        smallest_of_spectrum(matrix, "cholesky")
    assert len(decompositions) == (error > 1e-8)


def test_no_convergence_and_breakdown_fall_back(monkeypatch, decompositions):
    values = np.geomspace(1e-3, 1, 50)
    monkeypatch.setattr(_eigenvalue, "_RESTARTS", 1)
    monkeypatch.setattr(_eigenvalue, "_BASIS", 2)
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


BOUNDS = (gershgorin_lower_bound, identity_lower_bound, correlation_lower_bound)


def equicorrelated(p, rho):
    """Spectrum: 1 - rho, p - 1 times, and 1 + (p - 1) rho."""
    return (1 - rho) * np.eye(p) + rho * np.ones((p, p))


@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize("p", [1, 2, 5, 300])
def test_attained_on_known_spectra(bound, p):
    assert bound(np.eye(p)) == 1.0
    # Smallest eigenvalue 1 - |rho| (p - 1) for negative rho: Gershgorin's theorem is an equality.
    rho = -0.5 / p
    assert bound(equicorrelated(p, rho)) == pytest.approx(1 + (p - 1) * rho, rel=1e-12)
    # And is p - 1 times too pessimistic for positive rho, where λ_min = 1 - rho.
    assert bound(equicorrelated(p, -rho)) == pytest.approx(1 + (p - 1) * rho, rel=1e-12)


def test_against_the_definition():
    rng = np.random.default_rng(0)
    for p in (3, 40, 300):
        A = rng.standard_normal((2 * p, p))
        moment = A.T @ A / (2 * p)
        off = np.abs(moment - np.diag(moment.diagonal())).sum(axis=1)
        assert gershgorin_lower_bound(moment) == pytest.approx((moment.diagonal() - off).min(), rel=1e-12)
        printed = 1 - np.linalg.norm(moment - np.eye(p), 1)
        assert identity_lower_bound(moment) == pytest.approx(printed, rel=1e-12)
        root = np.sqrt(moment.diagonal())
        correlation = moment / np.outer(root, root)
        bracket = 2 - np.abs(correlation).sum(axis=1).max()
        scale = moment.diagonal().min() if bracket >= 0 else moment.diagonal().max()
        assert correlation_lower_bound(moment) == pytest.approx(scale * bracket, rel=1e-12)


def test_never_above_the_eigenvalue_on_random_draws():
    rng = np.random.default_rng(1)
    informative = 0
    for _ in range(300):
        p = int(rng.integers(1, 7))
        # From nearly orthogonal to arbitrary rows, features of any scale.
        X = np.eye(p)[rng.integers(0, p, 40)] + rng.exponential(0.1) * rng.standard_normal((40, p))
        X *= rng.uniform(0.5, 3, p)
        moment = second_moment(X)
        true = np.linalg.eigvalsh(moment.matrix())[0]
        values = [bound(moment) for bound in BOUNDS]
        assert max(values) <= true + 1e-12
        assert values[1] <= values[0] + 1e-12  # as printed: never above Gershgorin's own
        informative += values[0] > 0
    assert informative > 50


def test_weaker_correlation_gives_a_larger_bound():
    # What section 3.4.1 is for.
    for bound in BOUNDS:
        values = [bound(equicorrelated(6, rho)) for rho in (0.15, 0.1, 0.05, 0.0)]
        assert values == sorted(values)
        assert values[0] > 0


def test_printed_form_equals_gershgorin_up_to_unit_diagonal():
    moment = equicorrelated(4, 0.1)
    assert identity_lower_bound(0.5 * moment) == pytest.approx(gershgorin_lower_bound(0.5 * moment), rel=1e-12)
    # Diagonal 3: |3 - 1| counts against it.
    assert gershgorin_lower_bound(3 * moment) == pytest.approx(3 * 0.7)
    assert identity_lower_bound(3 * moment) == pytest.approx(1 - 2 - 3 * 0.3)


def test_scales_of_features_matter_to_one_and_not_the_other():
    moment = np.diag([1.0, 100.0]) @ equicorrelated(2, 0.5) @ np.diag([1.0, 100.0])
    assert gershgorin_lower_bound(moment) == pytest.approx(1 - 50)
    assert correlation_lower_bound(moment) == pytest.approx(0.5)
    # The other way round: a correlated pair of large scale beside an independent feature of small scale.
    moment = np.diag([100.0, 100.0, 1.0])
    moment[0, 1] = moment[1, 0] = 90.0
    assert gershgorin_lower_bound(moment) == pytest.approx(1.0)
    assert correlation_lower_bound(moment) == pytest.approx(0.1)


def test_negative_when_it_says_nothing():
    X = np.random.default_rng(2).standard_normal((50, 20)) + 2
    moment = second_moment(X)
    assert smallest_eigenvalue(moment) > 0
    assert all(bound(moment) < 0 for bound in BOUNDS)


@pytest.mark.parametrize("bound", BOUNDS)
def test_stored_triangle_and_array_agree(bound):
    X = np.random.default_rng(3).standard_normal((900, 300)) / 30 + np.eye(300)[np.arange(900) % 300]
    moment = second_moment(iter(np.split(X, 3)))
    before = bound(moment)
    assert before == pytest.approx(bound(moment.matrix()), rel=1e-12)
    smallest_eigenvalue(moment, method="cholesky")  # uses the matrix as workspace
    assert bound(moment) == before


def test_extremes_give_numbers():
    huge = second_moment(1e200 * np.eye(3))
    assert gershgorin_lower_bound(huge) == np.finfo(float).max
    assert correlation_lower_bound(huge) == np.finfo(float).max
    assert identity_lower_bound(huge) == -np.inf
    assert gershgorin_lower_bound(second_moment(1e200 * np.ones((5, 3)))) == -np.inf
    tiny = second_moment(1e-200 * np.eye(3))
    assert (gershgorin_lower_bound(tiny), identity_lower_bound(tiny)) == (0.0, 0.0)
    assert gershgorin_lower_bound(np.full((4, 4), 1e308)) == -np.inf
    assert correlation_lower_bound(np.diag([5e-324, 1e300])) == 0.0  # underflow, to the safe side
    assert correlation_lower_bound(np.diag([0.0, 1.0])) == 0.0
    assert gershgorin_lower_bound(np.zeros((2, 2))) == 0.0


@pytest.mark.parametrize(
    ("moment", "message"),
    [
        (np.ones((2, 3)), "square"),
        (np.ones(4), "square"),
        (np.empty((0, 0)), "square"),
        (np.array([[1.0, np.nan], [np.nan, 1.0]]), "NaN"),
        (np.array([[1.0, 0.5], [0.2, 1.0]]), "symmetric"),
        (np.kron([[1, 0], [0.1, 1]], np.eye(200)), "symmetric"),
        (SecondMoment(), "no sample"),
    ],
)
def test_errors_of_the_lower_bounds(moment, message):
    for bound in BOUNDS:
        with pytest.raises(ValueError, match=message):
            bound(moment)


def test_negative_diagonal_is_no_moment():
    with pytest.raises(ValueError, match="negative"):
        correlation_lower_bound(np.diag([1.0, -1.0]))
