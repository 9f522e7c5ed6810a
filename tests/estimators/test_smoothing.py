"""Smoothed labels and radii against a classifier whose radii are known, and against one that reads rounding errors."""

import numpy as np
import pytest
from scipy.special import ndtr
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.pipeline import make_pipeline

from sklstm import NoisyRNNClassifier, TikhonovLSTMRegressor, noise_interval, smoothed_predict, smoothed_radius
from sklstm.estimators import _smoothing
from sklstm.estimators._smoothing import _CUMULATED, _PARTS, _cells, _Votes, on_grid
from sklstm.preprocessing import SequenceScaler
from tests.support.problems import signed_sum


class HalfSpace(ClassifierMixin, BaseEstimator):
    """Smoothing leaves it as it is: its radius is the distance to the plane."""

    def fit(self, X=None, y=None):
        self.classes_, self.weights_ = np.array(["down", "up"]), np.array([3.0, -4.0])
        return self

    def predict(self, X):
        return self.classes_[(np.asarray(X) @ self.weights_ > 0).astype(int)]


class ReadsRounding(ClassifierMixin, BaseEstimator):
    """Sees the last digit of x in x + noise, where the sum is exact and the noise has no such digit."""

    def fit(self, X=None, y=None):
        self.classes_ = np.array([0, 1])
        return self

    def predict(self, X):
        inside = (X > -0.49) & (X < -0.01)
        odd = np.rint(np.ldexp(np.where(inside, X, 0), 54)) % 2 == 1
        return ((odd & inside).sum(axis=1) > 0).astype(int)


def test_radii_of_a_half_space_are_almost_its_distances_and_never_more():
    model = HalfSpace().fit()
    X = np.random.default_rng(0).standard_normal((40, 2))
    for sigma in (0.5, [0.4, 0.8]):
        labels, radius = smoothed_radius(model, X, sigma, n_draws=3000, random_state=0)
        sizes = np.broadcast_to(sigma, 2)
        weights = model.weights_ * sizes / sizes.max()  # differences are divided by sigma, times the largest
        distance = np.abs(X @ model.weights_) / np.linalg.norm(weights)
        most = 2.8 * sizes.max()  # of so many draws
        assert (radius <= distance).all()
        assert (radius >= 0.8 * np.minimum(distance, most) - 0.1).all()
        decided = radius > 0
        np.testing.assert_array_equal(labels[decided], model.predict(X)[decided])
        assert all(label is None for label in labels[~decided])
        assert decided.any()


def test_a_classifier_that_reads_rounding_breaks_plain_smoothing_and_not_this_one():
    model, sigma, n = ReadsRounding().fit(), 0.5, 2000
    last = 2.0**-54
    even = np.full((1, 200), 2 * last * np.rint(0.49 / last / 2))
    odd = even + last  # exact: numbers below 1/2 have this digit
    assert np.linalg.norm(even - odd) < 1e-14
    rng = np.random.default_rng(0)
    plain = [model.predict(x + sigma * rng.standard_normal((n, 200))).mean() for x in (odd, even)]
    assert plain[0] > 0.99 + 0.01 * plain[1]  # a radius above σ that is broken at a distance of 1e-14
    found = [smoothed_radius(model, x, sigma, n_draws=n, random_state=0) for x in (odd, even)]
    np.testing.assert_array_equal(found[0][0], found[1][0])
    np.testing.assert_array_equal(found[0][1], found[1][1])


def test_noise_on_the_grid_is_gaussian_and_sums_are_exact():
    sigma, x = np.array([0.3, 7.0]), np.array([1e5, -2.0])
    draws = on_grid(x, sigma, 200_000, np.random.default_rng(0))
    moved = on_grid(x + 0.1, sigma, 10, np.random.default_rng(0))
    noise = (draws - x) / sigma
    for at in (-2.0, -0.5, 0.0, 1.0, 3.0):
        assert np.abs((noise <= at).mean(axis=0) - ndtr(at)).max() < 0.005
    shift = moved - draws[:10]  # one and the same multiple of the grid, to the last digit
    np.testing.assert_array_equal(shift, np.broadcast_to(shift[0], shift.shape))


def test_cells_are_those_of_a_search_at_every_border():
    parts, rng = np.arange(_PARTS) / _PARTS, np.random.default_rng(0)
    for numbers in (_CUMULATED, np.nextafter(_CUMULATED, 0), np.nextafter(_CUMULATED, 1), parts, rng.random(10**6)):
        inside = numbers[(numbers >= 0) & (numbers < 1)]
        np.testing.assert_array_equal(_cells(inside), np.searchsorted(_CUMULATED, inside, side="right"))
    below = np.nextafter(parts[1:], 0)
    np.testing.assert_array_equal(_cells(below), np.searchsorted(_CUMULATED, below, side="right"))


@pytest.mark.parametrize("n_draws", [30, 700, 3000])
def test_votes_on_a_sequence_are_the_same_alone_and_among_others(n_draws):
    X, y = signed_sum(40)
    model = NoisyRNNClassifier(4, sigma=0.3, max_epochs=3, random_state=0).fit(X, y)
    ragged = [x[: 2 + i % 3] for i, x in enumerate(X)]
    options = {"n_draws": n_draws, "confidence": 0.9, "random_state": 0}
    for form in (X, ragged):
        labels, radius = smoothed_radius(model, form, 0.5, **options)
        assert len(set(radius)) > 5
        # A sequence has the generator of its place: the first ones alone have the same noise.
        for n in (1, 7):
            some = smoothed_radius(model, form[:n], 0.5, **options)
            np.testing.assert_array_equal(some[0], labels[:n])
            np.testing.assert_array_equal(some[1], radius[:n])


def test_entries_without_noise_stay_as_they_are():
    x = np.array([[0.123456789, 5.0], [7.7, -1.1]])
    sizes = np.array([[0.0, 1.0], [2.0, 0.0]])
    drawn = on_grid(x, sizes, 50, np.random.default_rng(0))
    np.testing.assert_array_equal(drawn[:, sizes == 0], np.broadcast_to(x[sizes == 0], (50, 2)))
    assert (drawn[:, sizes > 0].std(axis=0) > 0.5).all()


def test_compositions_labels_of_every_kind_and_abstention():
    X, y = signed_sum(120)
    codes = (y == "up").astype(int)
    for classes, abstain in ((np.array([3, 7]), -1), (np.array(["down", "up"]), "none of them")):
        model = make_pipeline(SequenceScaler(), NoisyRNNClassifier(4, sigma=0.3, max_epochs=3, random_state=0))
        model.fit(X, classes[codes])
        options = {"n_draws": 400, "random_state": 0, "abstain": abstain}
        labels, radius = smoothed_radius(model, X[:12], 0.5, **options)
        np.testing.assert_array_equal(labels == abstain, radius == 0)
        some = smoothed_radius(model, list(X[:3]), 0.5, **options)
        np.testing.assert_array_equal(some[1], radius[:3])
        voted = smoothed_predict(model, X[:12], 0.5, **options)
        both = (voted != abstain) & (labels != abstain)
        assert both.any()
        np.testing.assert_array_equal(voted[both], labels[both])
        with pytest.raises(ValueError, match="is one of the labels"):
            smoothed_predict(model, X, 0.5, abstain=classes[0])
        with pytest.raises(TypeError, match="of the kind of the labels"):
            smoothed_predict(model, X, 0.5, abstain=0.5)
        with pytest.raises(ValueError, match="must not be zero"):
            smoothed_radius(model, X, 0.0)
        with pytest.raises(ValueError, match="a million times sigma"):
            smoothed_radius(model, 1e9 * X, 0.5)
    with pytest.raises(TypeError, match="Use noise_interval"):
        smoothed_radius(TikhonovLSTMRegressor(2, max_epochs=1, random_state=0).fit(X, 1.0 * codes), X, 0.5)


@pytest.mark.parametrize(("function", "fewest"), [(smoothed_radius, 10), (smoothed_predict, 11)])
def test_the_fewest_draws_with_which_all_votes_can_decide(function, fewest):
    model, far = HalfSpace().fit(), np.array([[30.0, -40.0]])
    with pytest.raises(ValueError, match=rf"n_draws={fewest - 1} is too few .* take at least {fewest}\."):
        function(model, far, 0.5, n_draws=fewest - 1)
    found = function(model, far, 0.5, n_draws=fewest, random_state=0)
    assert (found[0] if function is smoothed_radius else found)[0] == "up"


class Always(ClassifierMixin, BaseEstimator):
    """Predicts the first of its labels."""

    def __init__(self, labels=(0, 1)):
        self.labels = labels

    def fit(self, X=None, y=None):
        self.classes_ = np.array(self.labels)
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])


@pytest.mark.parametrize("n_draws", [20, 2000, 50_000])
@pytest.mark.parametrize("size", [10, 20_000])
def test_more_draws_or_longer_sequences_withhold_no_label_that_all_votes_are_for(n_draws, size, monkeypatch):
    # The votes are known, and need not be drawn.
    monkeypatch.setattr(_Votes, "each", lambda *_: [(0, None, np.array([n_draws, 0]))])
    X = np.zeros((1, size))
    labels = smoothed_predict(Always().fit(), X, 1.0, n_draws=n_draws, confidence=0.9999, random_state=0)
    assert labels.tolist() == [0]


@pytest.mark.parametrize("variation", [1e-6, 1e-3])
def test_votes_of_another_law_are_wrong_no_more_often_than_said(variation, monkeypatch):
    # A law for which both labels are as likely, and draws of one that is off by so much towards the first.
    monkeypatch.setattr(_smoothing, "_VARIATION", variation)
    rng, n = np.random.default_rng(0), 2000
    votes = rng.multinomial(n, [0.5 + variation, 0.5 - variation], size=2000)
    monkeypatch.setattr(_Votes, "each", lambda *_: [(row, None, counts) for row, counts in enumerate(votes)])
    X = np.zeros((2000, 1))
    wrong = smoothed_predict(Always().fit(), X, 1.0, n_draws=n, confidence=0.9, abstain=-1, random_state=0) == 0
    assert wrong.mean() <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / len(X))  # one side of the test


def test_one_class_is_its_label_and_votes_for_none_are_no_label():
    X = np.zeros((2, 3))
    assert smoothed_predict(Always(("a",)).fit(), X, 1.0, random_state=0).tolist() == ["a", "a"]
    assert smoothed_radius(Always(("a",)).fit(), X, 1.0, random_state=0)[0].tolist() == ["a", "a"]


def test_the_random_state_is_named():
    with pytest.raises((TypeError, ValueError), match="random_state"):
        smoothed_predict(Always().fit(), np.zeros((1, 2)), 1.0, random_state="a")


@pytest.mark.parametrize("X", [1.5, np.float32(2), np.array(3)])
def test_a_number_is_no_sequences(X):
    model = HalfSpace().fit()
    for function in (smoothed_predict, smoothed_radius, noise_interval):
        with pytest.raises(TypeError, match=r"X must be sequences, got .*[123]"):
            function(model, X, 0.1)
