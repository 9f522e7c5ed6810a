"""The second moment from arrays and from batches: one number by every way, and errors that name the batch."""

import numpy as np
import pytest
import torch

from sklstm.generalization import SecondMoment, second_moment, smallest_eigenvalue


def dense(X):
    flat = np.asarray(X, dtype=float).reshape(len(X), -1)
    return flat.T @ flat / len(X)


@pytest.fixture(scope="module")
def X():
    return np.random.default_rng(0).standard_normal((90, 4, 3)) + 0.5


def batches(X, *cuts):
    return iter(np.split(X, cuts))


@pytest.mark.parametrize("cuts", [(), (1,), (10, 11, 60), (30, 30, 60)])
def test_stream_is_the_array(X, cuts):
    whole, streamed = second_moment(X), second_moment(batches(X, *cuts))
    assert (streamed.n_samples, streamed.n_features) == (90, 12)
    np.testing.assert_allclose(whole.matrix(), dense(X), rtol=1e-14, atol=1e-14)
    np.testing.assert_allclose(streamed.matrix(), whole.matrix(), rtol=1e-14, atol=1e-14)
    assert smallest_eigenvalue(batches(X, *cuts)) == pytest.approx(smallest_eigenvalue(X), rel=1e-12)


def test_order_of_batches_is_rounding(X):
    # Sizes from 1e-9 to 1e9: the unit is rescaled batch by batch in one order, never in the other.
    parts = [X[i : i + 10] * 10.0 ** (2 * k) for k, i in enumerate(range(0, 90, 10))]
    up, down = second_moment(iter(parts)), second_moment(iter(parts[::-1]))
    assert up._exponent == down._exponent
    np.testing.assert_allclose(up.matrix(), down.matrix(), rtol=1e-13)
    np.testing.assert_allclose(up.matrix(), dense(np.concatenate(parts)), rtol=1e-13)


def test_rescaling_changes_no_digit(X):
    # Growing by powers of two, entry by entry of a diagonal moment.
    rows = np.diag(2.0 ** np.arange(-40, 40, 10))
    moment = second_moment(row[None] for row in rows)
    np.testing.assert_array_equal(moment.matrix(), np.diag(4.0 ** np.arange(-40, 40, 10) / 8))


def test_loader_lists_and_arrays(X, generator):
    tensor = torch.from_numpy(X)
    loader = torch.utils.data.DataLoader(tensor, batch_size=32, generator=generator)
    expected = second_moment(X).matrix()
    for source in (loader, tensor, X.tolist(), (x for x in [X])):
        np.testing.assert_allclose(second_moment(source).matrix(), expected, rtol=1e-14, atol=1e-14)
    # A list is an array: two samples of shape (90, 12) here, not two batches.
    flat = X.reshape(90, 12)
    assert second_moment([flat, flat]).n_features == 90 * 12
    assert second_moment(iter([flat, flat])).n_features == 12


def test_further_batches_after_a_reading(X):
    moment = second_moment(X[:40])
    before = moment.matrix()
    for method in ("cholesky", "eigh"):
        value = smallest_eigenvalue(moment, method=method)
        assert value == smallest_eigenvalue(X[:40], method=method)
        np.testing.assert_array_equal(moment.matrix(), before)
    assert moment.update(X[40:]) is moment
    np.testing.assert_allclose(moment.matrix(), dense(X), rtol=1e-13)
    assert smallest_eigenvalue(moment) == pytest.approx(smallest_eigenvalue(X), rel=1e-12)


def test_memmap_batches_are_not_touched(X, tmp_path):
    np.save(tmp_path / "x.npy", X.astype(np.float32))
    raw = (tmp_path / "x.npy").read_bytes()
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r+")
    expected = dense(mapped)
    np.testing.assert_allclose(second_moment(mapped).matrix(), expected, rtol=1e-14)
    np.testing.assert_allclose(second_moment(batches(mapped, 50)).matrix(), expected, rtol=1e-14)
    mapped.flush()
    assert (tmp_path / "x.npy").read_bytes() == raw


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_huge_and_tiny(X, scale):
    moment = second_moment(batches(scale * X, 45))
    # The moment itself is outside float64, its ratio to the largest entry is not.
    assert np.isfinite(moment._triangle).all()
    value = moment.matrix()[0, 0]
    assert value == (0.0 if scale < 1 else np.inf)
    assert smallest_eigenvalue(moment) == (0.0 if scale < 1 else np.finfo(float).max)
    assert smallest_eigenvalue(1e-100 * scale**-0.5 * X) == smallest_eigenvalue(iter([1e-100 * scale**-0.5 * X]))


def test_zeros_then_values():
    moment = SecondMoment().update(np.zeros((3, 2))).update(1e-170 * np.eye(2))
    assert moment.n_samples == 5
    assert moment._triangle[0, 0] > 0
    assert smallest_eigenvalue(SecondMoment().update(np.zeros((3, 2)))) == 0.0


def test_fewer_samples_than_features(X):
    assert smallest_eigenvalue(iter([X[:5], X[5:11]])) == 0.0
    assert smallest_eigenvalue(iter([X[:5], X[5:13]])) > 0.0
    assert smallest_eigenvalue(X[:11]) == 0.0


def test_nan_in_a_later_batch_is_named_and_leaves_the_sum(X):
    moment = SecondMoment().update(X[:10]).update(X[10:20])
    before = moment.matrix()
    bad = X[20:30].copy()
    bad[3, 1, 2] = np.nan
    with pytest.raises(ValueError, match=r"batch 2 \(counted from 0\) contains NaN or infinity"):
        moment.update(bad)
    np.testing.assert_array_equal(moment.matrix(), before)
    with pytest.raises(ValueError, match=r"batch 1 .* NaN"):
        smallest_eigenvalue(iter([X[:10], bad]))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ([], "no sample"),
        ([np.empty((0, 3))], "no sample"),
        ([np.ones((2, 3)), np.ones((2, 4))], r"batch 1 .* shape \(4,\), but earlier batches have \(3,\)"),
        ([np.ones((2, 2, 3)), np.ones((2, 3, 2))], "batch 1"),
        ([np.ones(3)], r"batch 0 .* must have shape \(b, p\)"),
        ([np.ones((3, 0))], "at least one feature"),
        ([(np.ones((3, 2)), np.ones(3))], "batch 0 .* is not an array"),
        ([np.ones((3, 2), dtype=complex)], "complex"),
    ],
)
def test_bad_streams(source, message):
    with pytest.raises(ValueError, match=message):
        second_moment(iter(source))


def test_nothing_seen_yet():
    for reading in (smallest_eigenvalue, SecondMoment.matrix):
        with pytest.raises(ValueError, match="no sample"):
            reading(SecondMoment())


def test_progress_on_request_only(X, capsys):
    second_moment(X)
    smallest_eigenvalue(batches(X, 30))
    assert capsys.readouterr() == ("", "")
    smallest_eigenvalue(batches(X, 30), method="cholesky", verbose=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "second moment" in err
    assert "2 batches" in err
    assert "certificate, 12 x 12" in err
