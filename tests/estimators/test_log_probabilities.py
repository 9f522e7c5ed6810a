"""`predict_log_proba` of every classifier, by another route, and where a probability is too small for a number."""

import copy

import numpy as np
import pytest
import torch
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklstm import NoisyRNNClassifier
from sklstm.model_selection import RegularizationPathCV
from sklstm.preprocessing import SequenceScaler
from tests.support.estimators import CLASSIFIERS


@pytest.fixture(scope="module")
def task():
    X = np.random.default_rng(0).standard_normal((60, 4, 2))
    total = X[:, :, 0].sum(axis=1)
    return X, np.select([total < -1, total > 1], ["down", "up"], "flat")


@pytest.fixture(scope="module", params=CLASSIFIERS, ids=lambda kind: kind.__name__)
def model(request, task):
    return request.param(4, max_epochs=2, random_state=0).fit(*task)


def with_readout(model, factor):
    """The same model with logits so many times as large."""
    scaled = copy.deepcopy(model)
    with torch.no_grad():
        scaled.net_.module_.readout.weight.mul_(factor)
    return scaled


def test_it_is_the_logarithm_of_the_probabilities(model, task):
    X, _ = task
    logs = model.predict_log_proba(X)
    assert logs.shape == (60, 3)
    assert logs.dtype == np.float64
    np.testing.assert_allclose(logs, np.log(model.predict_proba(X)), rtol=1e-12, atol=1e-14)
    # By the definition, from the logits.
    logits = model.decision_function(X)
    np.testing.assert_allclose(logs, logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)), rtol=1e-12, atol=1e-14)


def test_two_classes(task):
    X, _ = task
    for kind in CLASSIFIERS:
        model = kind(4, max_epochs=2, random_state=0).fit(X, X[:, -1, 0] > 0)
        logs = model.predict_log_proba(X)
        np.testing.assert_allclose(np.exp(logs).sum(axis=1), 1, rtol=1e-12)
        np.testing.assert_allclose(logs[:, 1] - logs[:, 0], model.decision_function(X), rtol=1e-9, atol=1e-12)


def test_probabilities_too_small_for_a_number_have_logarithms(model, task):
    X, _ = task
    extreme = with_readout(model, 1e8)
    logits, logs = extreme.decision_function(X), extreme.predict_log_proba(X)
    assert (extreme.predict_proba(X) == 0).any()
    assert np.isfinite(logs).all()
    # Far from ties, the largest logit is all that counts.
    top = np.sort(logits, axis=1)
    clear = top[:, -1] - top[:, -2] > 50
    assert clear.sum() > 30
    np.testing.assert_allclose(logs[clear], (logits - top[:, -1:])[clear], rtol=1e-12, atol=1e-12)
    assert (logs <= 0).all()
    np.testing.assert_array_equal(extreme.classes_[logs.argmax(axis=1)], extreme.predict(X))


def test_compositions_hand_it_on(task):
    X, y = task
    relu = NoisyRNNClassifier(4, max_epochs=2, random_state=0)
    pipeline = make_pipeline(SequenceScaler(), relu).fit(X, y)
    inside = pipeline[-1].predict_log_proba(pipeline[:-1].transform(X))
    np.testing.assert_array_equal(pipeline.predict_log_proba(X), inside)
    grid = GridSearchCV(relu, {"sigma": [0.1]}, cv=2, scoring="neg_log_loss").fit(X, y)
    path = RegularizationPathCV(relu, "sigma", [0.1], cv=2, scoring="neg_log_loss").fit(X, y)
    for search in (grid, path):
        np.testing.assert_array_equal(search.predict_log_proba(X), search.best_estimator_.predict_log_proba(X))
        picked = search.predict_log_proba(X)[np.arange(60), np.searchsorted(search.classes_, y)]
        assert search.score(X, y) == pytest.approx(picked.mean(), rel=1e-9)
