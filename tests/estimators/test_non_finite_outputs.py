"""Outputs that are not finite are errors that name the sequence, never numbers."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

import sklstm
from sklstm import NoisyRNNClassifier, TikhonovGRURegressor, TikhonovLSTMRegressor
from sklstm.exceptions import NonFiniteOutputError
from sklstm.inspection import LossCurveDisplay, NoiseRobustnessDisplay
from sklstm.preprocessing import SequenceScaler
from tests.support.coverage import quantised

rng = np.random.default_rng(0)
X = rng.standard_normal((60, 6, 2))
y = np.digitize(X[:, :, 0].sum(axis=1), [-1, 1])
# Sequences of the training's length, and two of a thousand steps.
MIXED = [*X[:3], rng.standard_normal((1000, 2)), *X[3:5], rng.standard_normal((1000, 2))]
LABELS = np.r_[y[:3], 0, y[3:5], 0]
QUICK = {"hidden_size": 8, "max_epochs": 100, "random_state": 0}


@pytest.fixture(scope="module")
def classifier():
    return NoisyRNNClassifier(**QUICK).fit(X, y)


def check_refused(call):
    with pytest.raises(NonFiniteOutputError, match=r"not finite for 2 of 7 sequences; the first is X\[3\], of 1000"):
        call()


CALLS = {
    "predict": lambda model: model.predict(MIXED),
    "predict_proba": lambda model: model.predict_proba(MIXED),
    "predict_log_proba": lambda model: model.predict_log_proba(MIXED),
    "decision_function": lambda model: model.decision_function(MIXED),
    "score": lambda model: model.score(MIXED, LABELS),
    "holdout_bound": lambda model: model.holdout_bound(MIXED, LABELS),
    "certified_accuracy": lambda model: model.certified_accuracy(MIXED, LABELS, 0.1),
    "noise_interval": lambda model: sklstm.noise_interval(model, MIXED, 0.1),
    "smoothed_radius": lambda model: sklstm.smoothed_radius(model, MIXED, 0.1),
    "smoothed_predict": lambda model: sklstm.smoothed_predict(model, MIXED, 0.1),
    "prediction_interval": lambda model: sklstm.prediction_interval(model, X[:9], y[:9], MIXED),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("which", ["fitted", "quantised"])
def test_a_classifier_names_the_sequences(classifier, name, which):
    model = classifier
    if which == "quantised":
        model = quantised(classifier, X, y)
        with torch.no_grad():
            for weight in model.net_.module_.parameters():
                weight.fill_(1)
    check_refused(lambda: CALLS[name](model))


def test_certificates_that_need_the_outputs_name_them_too(classifier):
    for call in (lambda: classifier.certify(MIXED, 0.0), lambda: classifier.certified_radius(MIXED)):
        with pytest.raises(NonFiniteOutputError, match=r"X\[3\], of 1000 steps"):  # counted by length
            call()


@pytest.mark.parametrize("method", ["intervals", "mean-value", "best", "linear"])
def test_limits_where_nothing_is_known_are_infinite(classifier, method):
    lower, upper = classifier.certify([*X[:3], np.tile(X[3], (40, 1))], 1e-3, method=method)
    assert not np.isnan([lower, upper]).any()
    assert (lower <= upper).all()
    assert np.isfinite([lower[:3], upper[:3]]).all()


def test_compositions_name_the_row_of_their_own_input(classifier):
    model = make_pipeline(SequenceScaler(), NoisyRNNClassifier(**QUICK)).fit(X, y)
    check_refused(lambda: model.predict(MIXED))
    with pytest.raises(NonFiniteOutputError, match=r"X\[3\], of 1000 steps"):
        sklstm.certified_radius(model, MIXED)


@pytest.mark.filterwarnings("ignore::sklstm.exceptions.WideCertificateWarning")  # nothing is known of what overflows
@pytest.mark.parametrize("kind", [TikhonovLSTMRegressor, TikhonovGRURegressor])
def test_a_regressor_names_the_sequences(kind):
    model = kind(**QUICK | {"max_epochs": 1}).fit(X, X[:, -1, 0])
    with torch.no_grad():
        model.net_.module_.readout.weight.fill_(torch.finfo(torch.float32).max)
        model.net_.module_.readout.bias.fill_(torch.finfo(torch.float32).max)
        for weight in model.net_.module_.recurrent.parameters():
            weight.fill_(1 if weight.ndim == 1 else 0)  # all states are positive
    for call in (model.predict, lambda X: model.score(X, X[:, -1, 0]), lambda X: model.certify(X, 0.0)):
        with pytest.raises(NonFiniteOutputError, match=r"X\[\d+\], of 6 steps"):
            call(X)
    for method in ("intervals", "mean-value", "best", "linear"):
        assert not np.isnan(model.certify(X[:2], 0.1, method=method)).any()
    with pytest.raises(NonFiniteOutputError):
        NoiseRobustnessDisplay.from_estimator(model, X, X[:, -1, 0], sigmas=[0.1])
    LossCurveDisplay.from_estimator(model)  # which needs no outputs


def test_a_search_counts_such_a_score_as_failed():
    def on_long_sequences(estimator, X, y):
        return estimator.score(np.tile(X[:8], (1, 300, 1)), y[:8])

    model = NoisyRNNClassifier(**QUICK, max_norm_w=0.5)
    search = GridSearchCV(model, {"max_norm_w": [0.5, None]}, cv=2, scoring=on_long_sequences)
    with pytest.warns(UserWarning, match="NonFiniteOutputError"), pytest.warns(UserWarning, match="are non-finite"):
        search.fit(X, y)
    assert search.best_params_ == {"max_norm_w": 0.5}


def test_the_error_travels_between_processes():
    error = pickle.loads(pickle.dumps(NonFiniteOutputError("what", first=3, count=2)))
    assert (str(error), error.first, error.count) == ("what", 3, 2)
