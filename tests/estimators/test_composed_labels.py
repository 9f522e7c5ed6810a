"""Certificates of labels through compositions, and of many sequences a few at a time."""

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm import NoisyRNNClassifier, certified_accuracy, certified_radius, certify
from sklstm.preprocessing import SequenceScaler
from tests.support.composed import QUICK, lstm, make_readings, perturbed
from tests.support.problems import signed_sum


@pytest.fixture
def readings():
    return make_readings()


@pytest.fixture(scope="module")
def utterances():
    """Sequences of unequal length, one channel about 100; labels are strings."""
    X, y = signed_sum(80, n_channels=1)
    return [100 + 30 * x[-(5 + i % 3) :] for i, x in enumerate(X)], y


def corners(X, radius):
    rng = np.random.default_rng(0)
    for _ in range(30):
        yield [x + r * rng.choice([-1.0, 1.0], x.shape) for x, r in zip(X, radius, strict=True)]


def test_labels_hold_within_the_certified_radius_in_units_of_x(utterances):
    X, y = utterances
    model = make_pipeline(SequenceScaler(), NoisyRNNClassifier(**QUICK)).fit(X, y)
    radius, labels = certified_radius(model, X), model.predict(X)
    assert radius.shape == (80,)
    assert (radius > 0).all()
    for nearby in corners(X, radius):
        assert (model.predict(nearby) == labels).all()
    Z, scale = model[:-1].transform(X), model[0].scale_[0]
    np.testing.assert_allclose(radius, scale * model[-1].certified_radius(Z), rtol=0.02)
    tight = certified_radius(model, X, rtol=1e-5)
    np.testing.assert_allclose(tight, scale * model[-1].certified_radius(Z, rtol=1e-5), rtol=1e-4)
    frames = [pd.DataFrame(x, columns=["a"]) for x in X]
    named = make_pipeline(SequenceScaler(), NoisyRNNClassifier(**QUICK)).fit(frames, y)
    assert np.array_equal(certified_radius(named, frames), radius)
    # Without a scaler between, and through a search.
    own = model[-1]
    assert np.array_equal(certified_radius(own, Z), own.certified_radius(Z))
    search = GridSearchCV(model, {"noisyrnnclassifier__sigma": [0.1]}, cv=2).fit(X, y)
    assert np.array_equal(certified_radius(search, X), certified_radius(search.best_estimator_, X))


def test_a_radius_for_channels_of_unlike_scales():
    X, y = signed_sum(60)
    X = (X * [1, 50]).reshape(60, -1)
    model = make_pipeline(StandardScaler(), NoisyRNNClassifier(**QUICK, n_channels=2)).fit(X, y)
    radius, labels = certified_radius(model, X), model.predict(X)
    for nearby in perturbed(X, radius[:, None], 30):
        assert (model.predict(nearby) == labels).all()
    within, beyond = (certified_accuracy(model, X, labels, factor * radius[:, None]) for factor in (1, 1.011))
    assert within == 1
    assert beyond == 0


def test_certified_accuracy_in_units_of_x(utterances):
    X, y = utterances
    model = make_pipeline(SequenceScaler(), NoisyRNNClassifier(**QUICK)).fit(X, y)
    accuracies = [certified_accuracy(model, X, y, eps) for eps in (0, 0.01, 1, 10, 1000)]
    assert accuracies[0] == model.score(X, y)
    assert accuracies == sorted(accuracies, reverse=True)
    assert accuracies[-1] == 0
    own, Z, scale = model[-1], model[:-1].transform(X), model[0].scale_[0]
    for eps in (1, 10):
        assert certified_accuracy(model, X, y, eps) == pytest.approx(
            own.certified_accuracy(Z, y, eps / scale), abs=0.02
        )
    assert certified_accuracy(own, Z, y, 0.1) == own.certified_accuracy(Z, y, 0.1)
    assert 0 < accuracies[2] < accuracies[0]
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        certified_accuracy(model, X, y[:-1], 0.1)
    with pytest.raises(ValueError, match="must be finite and not negative"):
        certified_accuracy(model, X, y, -1)
    with pytest.raises(ValueError, match="types"):
        certified_accuracy(model, X, np.zeros(len(X), int), 0.1)


@pytest.mark.filterwarnings("ignore::sklstm.exceptions.DataWarning")  # y is in units of its own
def test_a_few_sequences_at_a_time_are_no_other_than_all_at_once(readings, utterances, monkeypatch):
    X, y = readings
    frame = pd.DataFrame(X).add_prefix("x")
    rows = make_pipeline(StandardScaler(), lstm()).fit(frame, y)
    sequences, labels = utterances
    ragged = make_pipeline(SequenceScaler(), NoisyRNNClassifier(**QUICK)).fit(sequences, labels)
    sizes = np.linspace(0, 0.001, X.size).reshape(X.shape)
    lists = [np.linspace(0, 0.1, x.size).reshape(x.shape) for x in sequences]

    def everything():
        return [
            *certify(rows, frame, sizes, method="intervals"),
            *certify(ragged, sequences, lists, method="intervals"),
            certified_radius(ragged, sequences, rtol=1e-6),
            certified_accuracy(ragged, sequences, labels, [30 * size for size in lists]),
        ]

    together = everything()
    monkeypatch.setattr("sklstm._sequences._BLOCK_NUMBERS", 40)
    for few, all_at_once in zip(everything(), together, strict=True):
        np.testing.assert_allclose(few, all_at_once, rtol=1e-5, atol=1e-6)
    assert 0 < together[-1] < 1
