"""Scores of the worst case: against all ends of intervals by brute force, against attacks, in searches and paths."""

import itertools
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import config_context, metrics
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import Ridge
from sklearn.metrics import get_scorer, make_scorer
from sklearn.model_selection import GridSearchCV, KFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm import NoisyRNNClassifier, TikhonovLSTMRegressor, certified_accuracy, certify
from sklstm.metrics import _certified_scorer, make_certified_scorer
from sklstm.model_selection import RegularizationPathCV
from sklstm.preprocessing import SequenceScaler

QUICK = {"hidden_size": 4, "max_epochs": 8, "random_state": 0}
N, FEW = 48, 6
EPS = [0.3, 0.1]
NAMES = [
    "neg_mean_squared_error",
    "neg_root_mean_squared_error",
    "neg_mean_absolute_error",
    "neg_median_absolute_error",
    "neg_max_error",
    "neg_mean_absolute_percentage_error",
    "r2",
    "d2_absolute_error_score",
]
PINBALL = {
    "pinball": make_scorer(metrics.mean_pinball_loss, alpha=0.9, greater_is_better=False),
    "pinball at its default": make_scorer(metrics.mean_pinball_loss, greater_is_better=False),
    "d2 pinball": make_scorer(metrics.d2_pinball_score, alpha=0.2),
    "per output": make_scorer(metrics.r2_score, multioutput="variance_weighted"),
}
REGRESSION = {name: name for name in NAMES} | PINBALL


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N, 5, 2))
    return X, X[:, -2:, 0].mean(axis=1) + 0.2 * rng.standard_normal(N)


@pytest.fixture(scope="module")
def models(data):
    X, y = data
    two = np.column_stack((y, X[:, 0, 1]))
    return {
        "one": (TikhonovLSTMRegressor(**QUICK).fit(X, y), y),
        "two": (TikhonovLSTMRegressor(**QUICK).fit(X, two), two),
    }


@pytest.fixture(scope="module")
def labelled(data):
    X, y = data
    labels = np.array(["low", "mid", "high"])[np.digitize(y, [-0.6, 0.4])]
    return make_pipeline(SequenceScaler(), NoisyRNNClassifier(6, max_epochs=20, random_state=0)).fit(X, labels), labels


def score_of(scoring):
    return get_scorer(scoring) if isinstance(scoring, str) else scoring


def value(scoring, y, predictions, **options):
    scorer = score_of(scoring)
    return scorer._sign * scorer._score_func(y, predictions, **scorer._kwargs, **options)


@pytest.mark.parametrize(
    ("name", "outputs"),
    [(name, "one") for name in REGRESSION] + [(name, "two") for name in REGRESSION if name != "neg_max_error"],
)
def test_no_predictions_within_the_limits_score_lower_and_some_ends_do_score_that(models, data, name, outputs):
    scoring = REGRESSION[name]
    (model, y), X = models[outputs], data[0]
    n = FEW if outputs == "one" else FEW // 2
    X, y = X[:n], y[:n]
    found = make_certified_scorer(scoring, EPS)(model, X, y)
    ends = np.stack(certify(model, X, EPS)).reshape(2, -1)
    picks = np.array(list(itertools.product([0, 1], repeat=ends.shape[1])))
    by_hand = [value(scoring, y, ends[pick, np.arange(len(pick))].reshape(y.shape)) for pick in picks]
    assert found == pytest.approx(min(by_hand), rel=1e-12)
    rng = np.random.default_rng(0)
    for _ in range(50):
        inside = ends[0] + rng.random(ends.shape[1]) * (ends[1] - ends[0])
        assert value(scoring, y, inside.reshape(y.shape)) >= found


@pytest.mark.parametrize("scoring", REGRESSION.values(), ids=REGRESSION)
def test_it_is_the_score_without_errors_and_below_it_and_any_attack_with_them(models, data, scoring):
    (model, y), X = models["one"], data[0]
    plain = score_of(scoring)
    scores = [make_certified_scorer(scoring, eps)(model, X, y) for eps in (0.0, 0.01, 0.1, 1.0)]
    assert scores[0] == plain(model, X, y)
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] < scores[0]
    worst = make_certified_scorer(scoring, EPS)(model, X, y)
    inputs = torch.tensor(X, dtype=torch.float32, requires_grad=True)
    (gradient,) = torch.autograd.grad(model.net_.module_(inputs).sum(), inputs)
    away = np.sign(model.predict(X) - y)[:, None, None] * np.sign(gradient.numpy())
    rng = np.random.default_rng(0)
    for signs in (away, -away, *(rng.choice([-1.0, 1.0], X.shape) for _ in range(20))):
        assert worst <= plain(model, X + EPS * signs, y)
    narrower = [
        make_certified_scorer(scoring, EPS, method=m)(model, X[:9], y[:9]) for m in ("intervals", "best", "linear")
    ]
    assert narrower == sorted(narrower)


@pytest.mark.parametrize("method", ["best", "auto"])
def test_accuracy_is_the_certified_accuracy(labelled, data, method):
    (model, y), X = labelled, data[0]
    X, y, weight = X[:20], y[:20], np.random.default_rng(0).random(20)
    for eps in (0.05, EPS):
        right = [certified_accuracy(model, X[[i]], y[[i]], eps, method=method) for i in range(20)]
        scorer = make_certified_scorer("accuracy", eps, method=method)
        assert scorer(model, X, y) == certified_accuracy(model, X, y, eps, method=method) == np.mean(right)
        assert scorer(model, X, y, weight) == pytest.approx(np.average(right, weights=weight))
        recalls = [np.mean(np.array(right)[y == label]) for label in np.unique(y)]
        balanced = make_certified_scorer("balanced_accuracy", eps, method=method)
        assert balanced(model, X, y) == pytest.approx(np.mean(recalls))
    assert make_certified_scorer("accuracy", 0.0)(model, X, y) == model.score(X, y) > 0.5
    one = y == y[0]
    assert make_certified_scorer("accuracy", 100.0)(model, X[one], y[one]) == 0.0


def test_searches_over_compositions_and_paths(data):
    X, y = data
    X, y = 50 + 10 * X, 300 + 40 * y
    pipeline = TransformedTargetRegressor(
        make_pipeline(SequenceScaler(), TikhonovLSTMRegressor(**QUICK)), transformer=StandardScaler()
    )
    worst = make_certified_scorer("neg_mean_absolute_error", [2.0, 0.5])
    scoring = {"clean": "neg_mean_absolute_error", "worst": worst}
    grid = {"regressor__tikhonovlstmregressor__lambda_s": [0.001, 0.3]}
    search = GridSearchCV(pipeline, grid, cv=KFold(2), scoring=scoring, refit="worst", error_score="raise").fit(X, y)
    results = search.cv_results_
    assert (results["mean_test_worst"] < results["mean_test_clean"]).all()
    assert search.best_index_ == results["mean_test_worst"].argmax()
    assert search.score(X, y) == worst(search, X, y) == worst(search.best_estimator_, X, y)
    by_hand = []
    for train, test in KFold(2).split(X):
        model = clone(pipeline).set_params(**search.best_params_).fit(X[train], y[train])
        lower, upper = certify(model, X[test], [2.0, 0.5])
        by_hand.append(-np.maximum(np.abs(lower - y[test]), np.abs(upper - y[test])).mean())
    np.testing.assert_allclose(results["mean_test_worst"].max(), np.mean(by_hand), rtol=1e-9)
    Z, z = (X - 50) / 10, (y - 300) / 40
    worst = make_certified_scorer("neg_mean_squared_error", 0.1)
    path = RegularizationPathCV(TikhonovLSTMRegressor(**QUICK), "lambda_s", [0.001, 0.3], cv=2, scoring=worst).fit(Z, z)
    assert path.score(Z, z) == worst(path.best_estimator_, Z, z) < -metrics.mean_squared_error(z, path.predict(Z))
    assert np.isfinite(path.cv_results_["mean_test_score"]).all()


def test_a_path_of_labels_takes_weights(data):
    X, y = data[0], data[1] > 0
    weight = np.random.default_rng(0).random(N)
    worst = make_certified_scorer("accuracy", 0.05, method="auto")
    path = RegularizationPathCV(NoisyRNNClassifier(**QUICK), "sigma", [0.0, 0.5], cv=2, scoring=worst)
    path.fit(X, y, sample_weight=weight)
    right = [path.best_estimator_.certified_accuracy(X[[i]], y[[i]], 0.05, method="auto") for i in range(N)]
    assert path.score(X, y, sample_weight=weight) == pytest.approx(np.average(right, weights=weight))


def test_weights_and_metadata_routing(models, data):
    (model, y), X = models["one"], data[0]
    weight = np.random.default_rng(0).random(N)
    lower, upper = certify(model, X, EPS)
    squares = np.maximum(np.square(lower - y), np.square(upper - y))
    scorer = make_certified_scorer("neg_mean_squared_error", EPS)
    assert scorer(model, X, y, weight) == pytest.approx(-np.average(squares, weights=weight))
    with config_context(enable_metadata_routing=True):
        asks = get_scorer("neg_mean_squared_error").set_score_request(sample_weight=True)
        scoring = {
            "inside": make_certified_scorer(asks, EPS),
            "by name": make_certified_scorer("neg_mean_squared_error", EPS).set_score_request(sample_weight=True),
            "without": make_certified_scorer("neg_mean_squared_error", EPS).set_score_request(sample_weight=False),
        }
        estimator = clone(model).set_params(max_epochs=1).set_fit_request(sample_weight=False)
        estimator.set_score_request(sample_weight=False)
        found = cross_validate(
            estimator, X, y, scoring=scoring, params={"sample_weight": weight}, cv=2, error_score="raise"
        )
        np.testing.assert_array_equal(found["test_by name"], found["test_inside"])
        assert (found["test_inside"] != found["test_without"]).all()


def test_sizes_by_label(data):
    X, y = data
    frames = [pd.DataFrame(x, columns=["temp", "hum"]) for x in X]
    model = TikhonovLSTMRegressor(**QUICK).fit(frames, y)
    expected = make_certified_scorer("r2", [0.3, 0.0])(model, frames, y)
    for eps in ({"hum": 0.0, "temp": 0.3}, pd.Series({"hum": 0.0, "temp": 0.3})):
        assert make_certified_scorer("r2", eps)(model, frames, y) == expected
    with pytest.raises(ValueError, match=r"\['wind'\]"):
        make_certified_scorer("r2", {"wind": 0.0, "temp": 0.3})(model, frames, y)


def test_limits_that_say_nothing_score_nothing(models, data, monkeypatch):
    (model, y), X = models["one"], data[0]
    lower, upper = certify(model, X, 0.1)
    upper[3] = np.inf
    monkeypatch.setattr(_certified_scorer, "certified_limits", lambda *_, **__: (lower, upper))
    for scoring in REGRESSION.values():
        assert make_certified_scorer(scoring, 0.1)(model, X, y) == -np.inf


def test_it_travels_and_says_what_it_is(models, data):
    (model, y), X = models["one"], data[0]
    scorer = make_certified_scorer("r2", EPS, method="linear")
    assert repr(scorer) == "make_certified_scorer('r2', [0.3, 0.1], method='linear')"
    assert repr(make_certified_scorer("r2", 1)) == "make_certified_scorer('r2', 1)"
    X, y = X[:9], y[:9]
    expected = scorer(model, X, y)
    others = (pickle.loads(pickle.dumps(scorer)), clone(scorer, safe=False), eval(repr(scorer)))
    assert [other(model, X, y) for other in others] == [expected] * 3
    eps = np.array(EPS)
    kept = make_certified_scorer("r2", eps, method="linear")
    eps[:] = 9
    assert kept(model, X, y) == expected


def test_wrong_arguments():
    with pytest.raises(ValueError, match="'acuracy' is not a valid scoring value"):
        make_certified_scorer("acuracy", 0.1)
    for bad in (None, 1.0, ["r2", "accuracy"], {"a": "r2"}):
        with pytest.raises(TypeError, match="scoring must be the name of a score"):
            make_certified_scorer(bad, 0.1)
    for bad in (
        "explained_variance",
        "roc_auc",
        "neg_log_loss",
        "f1_macro",
        "neg_mean_poisson_deviance",
        lambda *_: 0.0,
    ):
        with pytest.raises(ValueError, match=r"cannot be computed from bounds.*'accuracy', 'balanced_accuracy', 'r2'"):
            make_certified_scorer(bad, 0.1)
    for bad in (make_scorer(metrics.mean_squared_error), make_scorer(metrics.r2_score, greater_is_better=False)):
        with pytest.raises(ValueError, match="greater_is_better"):
            make_certified_scorer(bad, 0.1)
    for bad in (-0.1, [0.1, -0.1], np.nan, [], {}):
        with pytest.raises(ValueError, match="eps"):
            make_certified_scorer("r2", bad)
    for bad in (None, "0.1", True):
        with pytest.raises(TypeError, match="eps"):
            make_certified_scorer("r2", bad)
    for scoring, bad in (("r2", "auto"), ("r2", "crown"), ("accuracy", "crown"), ("accuracy", None)):
        with pytest.raises(ValueError, match="method"):
            make_certified_scorer(scoring, 0.1, method=bad)


def test_models_that_the_score_is_not_for(models, labelled, data):
    (model, y), (classifier, _), X = models["one"], labelled, data[0]
    with pytest.raises(TypeError, match="'accuracy' is a score of classifiers, got TikhonovLSTMRegressor"):
        make_certified_scorer("accuracy", 0.1)(model, X, y > 0)
    with pytest.raises(TypeError, match="'r2' is a score of regressors, got Pipeline"):
        make_certified_scorer("r2", 0.1)(classifier, X, y)
    with pytest.raises(TypeError, match="Certificates and reports need a fitted estimator of sklstm"):
        make_certified_scorer("r2", 0.1)(Ridge().fit(X[:, 0], y), X[:, 0], y)
    with pytest.raises(ValueError, match="y must have the shape of the predictions"):
        make_certified_scorer("r2", 0.1)(model, X, np.column_stack((y, y)))
    with pytest.raises(ValueError, match="eps has shape"):
        make_certified_scorer("r2", [0.1, 0.1, 0.1])(model, X, y)
