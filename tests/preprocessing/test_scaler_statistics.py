"""Mean and variance in `SequenceScaler`: in pieces, with weights, and to the last digits."""

from fractions import Fraction

import numpy as np
import pytest

from sklstm.datasets import load_beijing_pm25
from sklstm.preprocessing import SequenceScaler, sliding_windows

N, L, D = 7, 5, 3


@pytest.fixture
def X():
    rng = np.random.default_rng(0)
    return rng.normal(size=(N, L, D)) * [1.0, 10.0, 0.1] + [0.0, 5.0, -3.0]


@pytest.mark.parametrize("weighted", [False, True])
def test_partial_fit_in_pieces_is_fit(weighted):
    data = load_beijing_pm25().data[:3000]  # pm2.5 is NaN in the whole first piece
    X, _ = sliding_windows(data, 24, stride=24)
    weights = np.random.default_rng(0).random(len(X)) if weighted else None
    whole = SequenceScaler().fit(X, sample_weight=weights)
    pieces = SequenceScaler()
    for start in (slice(0, 1), slice(1, 30), slice(30, 31), slice(31, None)):
        pieces.partial_fit(list(X[start]), sample_weight=None if weights is None else weights[start])
    np.testing.assert_allclose(pieces.mean_, whole.mean_, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(pieces.var_, whole.var_, rtol=1e-12)
    np.testing.assert_allclose(pieces.n_samples_seen_, whole.n_samples_seen_, rtol=1e-13)
    assert whole.n_samples_seen_[0] < whole.n_samples_seen_[1]
    assert pieces.n_samples_seen_.dtype == (float if weighted else np.int64)
    # fit forgets.
    assert pieces.fit(X[5:]).n_samples_seen_.max() == (len(X) - 5) * 24


def test_a_channel_not_seen_yet(X):
    X[:, :, 1] = np.nan
    with pytest.raises(ValueError, match=r"^X has no value in channel 1: all are NaN, padding or of weight 0\. "):
        SequenceScaler().fit(X)
    scaler = SequenceScaler().partial_fit(X)
    assert np.isnan(scaler.mean_).tolist() == np.isnan(scaler.var_).tolist() == [False, True, False]
    assert scaler.scale_[1] == 1
    later = np.ones_like(X)
    scaler.partial_fit(later)
    assert scaler.mean_[1] == 1
    assert scaler.n_samples_seen_.tolist() == [2 * N * L, N * L, 2 * N * L]


def test_weights_repeat_sequences(X):
    counts = np.array([0, 1, 2, 3, 1, 0, 2])
    weighted = SequenceScaler().fit(X, sample_weight=counts)
    repeated = SequenceScaler().fit(np.repeat(X, counts, axis=0))
    np.testing.assert_allclose(weighted.mean_, repeated.mean_, rtol=1e-14)
    np.testing.assert_allclose(weighted.var_, repeated.var_, rtol=1e-14)
    assert weighted.n_samples_seen_ == repeated.n_samples_seen_


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_small_variance_about_a_large_mean(dtype):
    # Exact rational arithmetic is the other route.
    x = (1e6 + np.random.default_rng(0).integers(-8, 9, size=(40, 6, 1)) / 8).astype(dtype)
    exact = [Fraction(float(v)) for v in x.ravel()]
    mean = sum(exact) / len(exact)
    variance = sum((v - mean) ** 2 for v in exact) / len(exact)
    whole, pieces = SequenceScaler().fit(x), SequenceScaler()
    for piece in np.array_split(x, 7):
        pieces.partial_fit(piece)
    for scaler in (whole, pieces):
        np.testing.assert_allclose(scaler.mean_, float(mean), rtol=1e-15)
        np.testing.assert_allclose(scaler.var_, float(variance), rtol=1e-9)
    np.testing.assert_allclose(whole.var_, float(variance), rtol=1e-13)
    scaled = whole.transform(x)
    assert scaled.dtype == dtype
    expected = np.array([float(v - mean) for v in exact]) / float(variance) ** 0.5
    np.testing.assert_allclose(scaled.ravel(), expected, rtol=0, atol=2e-7 if dtype == np.float32 else 1e-9)


def test_an_outlier_of_hardly_any_weight_spoils_nothing(X):
    # It comes first, where a shift of the data by their first value would cost all others their digits.
    far = np.concatenate([np.full((1, L, D), 1e15), X])
    scaler = SequenceScaler().fit(far, sample_weight=[1e-60] + [1.0] * N)
    np.testing.assert_allclose(scaler.mean_, X.mean(axis=(0, 1)), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(scaler.var_, X.var(axis=(0, 1)), rtol=1e-12)


def test_differences_of_single_precision_do_not_overflow():
    x = np.array([[[3e38], [-3e38]]], dtype=np.float32)
    scaler = SequenceScaler().fit(x)
    np.testing.assert_allclose(scaler.scale_, np.abs(x[0, 0].astype(float)), rtol=1e-15)
    np.testing.assert_array_equal(scaler.transform(x), np.array([[[1], [-1]]], dtype=np.float32))


def test_any_constant_has_no_variance_at_all():
    rng = np.random.default_rng(0)
    constants = rng.normal(size=300) * 10.0 ** rng.integers(-9, 10, size=300)
    X, weights = np.tile(constants, (13, 7, 1)), rng.random(13)
    scaler = SequenceScaler().fit(X, sample_weight=weights)
    scaler.partial_fit(X[:3])
    np.testing.assert_array_equal(scaler.mean_, constants)
    np.testing.assert_array_equal(scaler.var_, 0)


def test_weights_count_on_when_later_sequences_have_none(X):
    scaler = SequenceScaler().partial_fit(X[:2], sample_weight=[0.25, 0.5]).partial_fit(X[2:])
    assert scaler.n_samples_seen_ == 0.75 * L + (N - 2) * L
    whole = SequenceScaler().fit(X, sample_weight=[0.25, 0.5] + [1] * (N - 2))
    np.testing.assert_allclose(scaler.var_, whole.var_, rtol=1e-13)


def test_many_steps_are_pooled_in_blocks():
    x = np.random.default_rng(0).normal(loc=3, size=(1100, 130, 1)).astype(np.float32)  # more than two blocks
    scaler = SequenceScaler().fit(x)
    np.testing.assert_allclose(scaler.mean_, x.astype(np.float64).mean(), rtol=1e-13)
    np.testing.assert_allclose(scaler.var_, x.astype(np.float64).var(), rtol=1e-12)
    np.testing.assert_allclose(scaler.transform(x), (x - scaler.mean_) / scaler.scale_, rtol=0, atol=1e-6)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6 / 3, -1e-30])
def test_a_constant_channel_is_only_centred(X, value):
    X[:, :, 2] = value
    scaler = SequenceScaler().fit(X)
    for piece in np.array_split(X, 3):
        scaler.partial_fit(piece)
    assert scaler.mean_[2] == value
    assert scaler.var_[2] == 0
    assert scaler.scale_[2] == 1
    np.testing.assert_array_equal(scaler.transform(X)[:, :, 2], 0)
    # Differences in the last digit are rounding, not a signal.
    X[::2, :, 2] = np.nextafter(value, np.inf)
    assert SequenceScaler().fit(X).scale_[2] == 1


def test_a_failed_partial_fit_changes_nothing(X):
    scaler = SequenceScaler().fit(X)
    before = scaler.mean_.copy(), scaler.n_samples_seen_
    for bad, weights in ((X[:, :, :2], None), (X, -np.ones(N)), (X * np.inf, None)):
        with pytest.raises(ValueError), np.errstate(invalid="ignore"):
            scaler.partial_fit(bad, sample_weight=weights)
    np.testing.assert_array_equal(scaler.mean_, before[0])
    assert scaler.n_samples_seen_ == before[1]
