"""Smallest eigenvalue of the second moment: known designs, numpy's eigenvalues, and where it is zero."""

import math

import numpy as np
import pytest
import torch

from sklstm.generalization import smallest_eigenvalue
from sklstm.generalization.moments._moments import input_norms


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


def test_chunks_make_no_difference(monkeypatch):
    X = np.random.default_rng(4).standard_normal((101, 3, 2))
    whole, norms = smallest_eigenvalue(X), input_norms(X, 2 * X)
    monkeypatch.setattr("sklstm.generalization._inputs._CHUNK_NUMBERS", 60)
    assert smallest_eigenvalue(X) == pytest.approx(whole, rel=1e-12)
    np.testing.assert_allclose(input_norms(X, 2 * X), norms, rtol=1e-12)


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
    frobenius, one = input_norms(X, noise)
    columns = [sum(abs(X[i, t, c] + 1) for i in range(7)) for t in range(3) for c in range(2)]
    assert one == pytest.approx(max(columns), rel=1e-12)
    assert frobenius == pytest.approx(math.sqrt(sum(v**2 for v in (X + 1).ravel())), rel=1e-12)


def test_errors():
    with pytest.raises(ValueError, match="at least one sample"):
        smallest_eigenvalue(np.empty((0, 3)))
    with pytest.raises(ValueError, match="NaN or infinity"):
        smallest_eigenvalue(np.array([[1.0], [np.nan]]))
