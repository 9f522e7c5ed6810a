"""The report of bounds is made of the training data, which it knows again, and the bound of fit is one of it."""

import copy
import pickle

import numpy as np
import pytest
from sklearn.base import clone, is_classifier
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sklstm
from sklstm import TikhonovLSTMClassifier, TikhonovLSTMRegressor
from sklstm.generalization import choose_cap
from sklstm.preprocessing import SequenceScaler
from sklstm.training import _fine_tuning
from tests.support.estimators import ESTIMATORS
from tests.support.problems import late_mean

QUICK = {"hidden_size": 3, "max_epochs": 2, "random_state": 0}
EACH = pytest.mark.parametrize("kind", ESTIMATORS)


def problem(kind, n=60):
    X, y = late_mean(n)
    return X, np.where(y > 0.3, "up", "down") if is_classifier(kind()) else y


@EACH
def test_the_training_data_are_known_again_in_any_form(kind, tmp_path):
    X, y = problem(kind)
    model = kind(**QUICK).fit(X, y)
    before = dict(vars(model))
    report = model.generalization_report(X, y)
    assert model.generalization_bound_ == report.value
    model.save(tmp_path / "model")
    for twin in (sklstm.load(tmp_path / "model"), pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert twin.generalization_report(X, y) == report
    values = [bound.value for bound in model.generalization_report(np.asfortranarray(X), list(y)).bounds]
    assert values == pytest.approx([bound.value for bound in report.bounds], rel=1e-12)  # sums in another order
    assert sklstm.generalization_report(model, X.copy(), y) == report
    assert vars(model) == before


@EACH
def test_other_data_are_refused(kind):
    X, y = problem(kind)
    model = kind(**QUICK).fit(X, y)
    changed = X.copy()
    changed[-1, -1, -1] += 1e-3
    for other in ((X[::-1], y[::-1]), (X[:-1], y[:-1]), (changed, y), (X, y[::-1]), (X[:, 1:], y)):
        with pytest.raises(ValueError, match=r"are not the training data of this .* use holdout_bound\(X, y\)"):
            model.generalization_report(*other)
    with pytest.raises(ValueError, match=r"channels|features"):
        model.generalization_report(X[:, :, :1], y)


@EACH
def test_without_a_fit_there_is_none(kind):
    X, y = problem(kind)
    with pytest.raises(NotFittedError):
        kind(**QUICK).generalization_report(X, y)


def test_a_label_that_fit_has_not_seen():
    X, y = problem(TikhonovLSTMClassifier)
    model = TikhonovLSTMClassifier(**QUICK).fit(X, y)
    with pytest.raises(ValueError, match="not among those of the training data"):
        model.generalization_report(X, np.where(np.arange(len(y)) == 0, "sideways", y))


def test_compositions_take_their_own_data():
    X, y = late_mean(60)
    lstm = TikhonovLSTMRegressor(**QUICK)
    model = TransformedTargetRegressor(make_pipeline(SequenceScaler(), lstm), transformer=StandardScaler())
    search = GridSearchCV(model, {"regressor__tikhonovlstmregressor__lambda_s": [0.01]}, cv=2)
    for fitted, inside in (
        (model.fit(X, 50 + 9 * y), lambda: model.regressor_[-1]),
        (search.fit(X, 50 + 9 * y), lambda: search.best_estimator_.regressor_[-1]),
    ):
        report = sklstm.generalization_report(fitted, X, 50 + 9 * y)
        assert report.value == inside().generalization_bound_
        with pytest.raises(ValueError, match="are not the training data"):
            sklstm.generalization_report(fitted, X, y)
    with pytest.raises(TypeError, match="need a fitted estimator of sklstm"):
        sklstm.generalization_report(Ridge().fit(X[:, :, 0], y), X[:, :, 0], y)


@EACH
def test_every_bound_stands_beside_the_best_constant_guess(kind):
    X, y = problem(kind)
    model = kind(**QUICK).fit(X, y)
    report = model.generalization_report(X, y)
    if is_classifier(model):
        expected = min(np.mean(y != label) for label in model.classes_)
    else:
        cap = choose_cap(y)[0]
        expected = min(np.minimum((y - c) ** 2, cap).mean() for c in np.r_[y.mean(), np.linspace(-1, 1, 2001)])
    for bound in report.bounds:
        assert bound.guess == pytest.approx(expected, abs=1e-6)
        assert bound.informative == (bound.value < bound.guess)
    held_out = model.holdout_bound(X[:20], y[:20])
    if is_classifier(model):
        assert held_out.guess == min(np.mean(y[:20] != label) for label in model.classes_)
    assert held_out.informative == (held_out.value < held_out.guess)


@pytest.mark.parametrize("kind", [TikhonovLSTMRegressor, TikhonovLSTMClassifier])
def test_the_bound_of_fit_costs_little_more_than_a_pass(kind, monkeypatch):
    passed = []
    predict = _fine_tuning.predict_blocks
    monkeypatch.setattr(_fine_tuning, "predict_blocks", lambda net, X: passed.append(len(X)) or predict(net, X))
    X, y = problem(kind, 8192)
    model = clone(kind(**QUICK)).set_params(max_epochs=1).fit(X, y)
    assert passed.count(8192) == 1, "the chosen codebook alone meets all the data"
    assert sum(passed) <= 2 * 8192
    assert model.generalization_report(X, y)["occam"].value == model.generalization_bound_
