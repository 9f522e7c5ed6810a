"""Conformal intervals and sets of labels: the law of their coverage, by two routes, and what errors of inputs do."""

import warnings

import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import beta, kstest
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import LinearSVC

from sklstm import NoisyRNNClassifier, TikhonovGRUClassifier, TikhonovLSTMRegressor, certify, prediction_interval
from sklstm.estimators._prediction_interval import _largest_log_probabilities, _quantile
from sklstm.exceptions import DataWarning
from sklstm.preprocessing import SequenceScaler
from tests.support.problems import late_mean, signed_sum

QUICK = {"hidden_size": 4, "max_epochs": 3, "random_state": 0}


@pytest.fixture(scope="module")
def regressor():
    X, y = late_mean(700)
    y = y + 0.3 * np.random.default_rng(1).standard_normal(y.shape)
    return TikhonovLSTMRegressor(**QUICK).fit(X[:60], y[:60]), X[60:], y[60:]


@pytest.fixture(scope="module", params=[NoisyRNNClassifier, TikhonovGRUClassifier])
def classifier(request):
    X, y = signed_sum(400)
    return request.param(**QUICK).fit(X[:60], y[:60]), X[60:], y[60:]


@pytest.mark.parametrize(
    ("n", "coverage", "rank"), [(9, 0.9, 9), (99, 0.9, 90), (100, 0.9, 91), (19, 0.95, 19), (1, 0.5, 1)]
)
def test_rank_of_the_quantile(n, coverage, rank):
    """⌈(n + 1) coverage⌉ of the coverage as written: 100 · 0.9 is 90, not the 91 that a float just above 0.9 gives."""
    scores = np.random.default_rng(0).permutation(n).astype(float)
    assert _quantile(scores, coverage) == rank - 1


def test_coverage_has_the_beta_law(regressor):
    """Over calibration sets, the coverage of what is left is Beta(r, n + 1 - r), whatever the network."""
    model, X, y = regressor
    errors = np.abs(y - model.predict(X))
    n, rank, rng, found = 19, 18, np.random.default_rng(0), []
    for _ in range(120):
        rows = rng.permutation(len(X))[:n]
        lower, upper = prediction_interval(model, X[rows], y[rows], X[:1], coverage=0.9)
        q = (upper - lower)[0] / 2
        rest = np.delete(errors, rows)
        found.append((np.sum(rest <= q) + rng.uniform()) / (len(rest) + 1))
    assert kstest(found, beta(rank, n + 1 - rank).cdf).pvalue > 1e-3
    assert np.mean(found) == pytest.approx(rank / (n + 1), abs=5 * beta(rank, n + 1 - rank).std() / np.sqrt(len(found)))


def test_intervals_are_predictions_and_a_quantile_of_errors(regressor):
    model, X, y = regressor
    lower, upper = prediction_interval(model, X[:100], y[:100], X[100:], coverage=0.8)
    q = np.sort(np.abs(y[:100] - model.predict(X[:100])))[80]  # the 81st: ⌈101 · 0.8⌉
    np.testing.assert_allclose([lower, upper], [model.predict(X[100:]) - q, model.predict(X[100:]) + q], atol=1e-6)


def test_what_is_seen_may_be_off(regressor):
    """Whatever the errors up to eps, the interval of what is seen contains that of the true input."""
    model, X, y = regressor
    true_lower, true_upper = prediction_interval(model, X[:100], y[:100], X[100:150])
    rng = np.random.default_rng(0)
    for _ in range(5):
        seen = X[100:150] + 0.1 * rng.choice([-1.0, 1.0], X[100:150].shape)
        for method in ("best", "linear"):
            lower, upper = prediction_interval(model, X[:100], y[:100], seen, eps=0.1, method=method)
            assert (lower <= true_lower).all()
            assert (upper >= true_upper).all()
    widths = [np.subtract(*prediction_interval(model, X[:100], y[:100], X[100:150], eps=eps)[::-1]) for eps in (0, 0.1)]
    certified = np.subtract(*certify(model, X[100:150], 0.1)[::-1])
    np.testing.assert_allclose(widths[1], widths[0] + certified, rtol=1e-5)


def test_units_are_those_of_the_composition(regressor):
    _, X, y = regressor
    inner = make_pipeline(SequenceScaler(), TikhonovLSTMRegressor(**QUICK))
    model = TransformedTargetRegressor(inner, func=np.log, inverse_func=np.exp).fit(X[:60], np.exp(y[:60]))
    lower, upper = prediction_interval(model, X[60:160], np.exp(y[60:160]), X[160:], coverage=0.8)
    q = np.sort(np.abs(np.exp(y[60:160]) - model.predict(X[60:160])))[80]
    np.testing.assert_allclose(upper, model.predict(X[160:]) + q, rtol=1e-5)
    np.testing.assert_allclose(lower, model.predict(X[160:]) - q, rtol=1e-5)
    with pytest.raises(ValueError, match="are the training data"):
        prediction_interval(model, X[:60], np.exp(y[:60]), X)


def test_several_outputs_have_a_quantile_each(regressor):
    _, X, y = regressor
    both = np.column_stack([y, 10 * y])
    model = TikhonovLSTMRegressor(**QUICK).fit(X[:60], both[:60])
    lower, upper = prediction_interval(model, X[60:160], both[60:160], X[160:170], coverage=0.8)
    q = np.sort(np.abs(both[60:160] - model.predict(X[60:160])), axis=0)[80]
    np.testing.assert_allclose(upper - lower, np.broadcast_to(2 * q, (10, 2)), rtol=1e-4)


def test_sets_of_labels_by_another_route(classifier):
    model, X, y = classifier
    labels = prediction_interval(model, X[:99], y[:99], X[99:], coverage=0.9)
    share = model.predict_proba(X[:99])[np.arange(99), np.searchsorted(model.classes_, y[:99])]
    threshold = np.sort(share)[9]  # the 90th largest
    expected = model.predict_proba(X[99:]) >= threshold
    assert labels.shape == expected.shape
    assert (labels == expected).mean() > 0.99, "but for ties within rounding"
    covered = labels[np.arange(len(labels)), np.searchsorted(model.classes_, y[99:])]
    assert covered.mean() > beta(90, 10).ppf(1e-6)


def test_sets_of_labels_of_what_is_off(classifier):
    model, X, y = classifier
    true = prediction_interval(model, X[:99], y[:99], X[99:])
    rng = np.random.default_rng(0)
    for _ in range(3):
        seen = X[99:] + 0.05 * rng.choice([-1.0, 1.0], X[99:].shape)
        labels = prediction_interval(model, X[:99], y[:99], seen, eps=0.05)
        assert (labels >= true).all()


def test_ties_are_in_the_set(classifier):
    """Calibration data that are all one sequence have one score: that sequence keeps its label."""
    model, X, _ = classifier
    same = np.repeat(X[:1], 20, axis=0)
    own = model.predict(X[:1])
    labels = prediction_interval(model, same, np.repeat(own, 20), X[:1])
    assert labels[0, np.searchsorted(model.classes_, own)[0]]


def test_limits_of_log_probabilities_hold_at_random_points():
    rng = np.random.default_rng(0)
    lower = 10 * rng.standard_normal((50, 4))
    upper = lower + rng.exponential(size=(50, 4))
    limits = _largest_log_probabilities(lower, upper)
    for _ in range(200):
        inside = lower + (upper - lower) * rng.choice([0.0, 1.0, rng.uniform()], lower.shape)
        assert (np.log(softmax(inside, axis=1)) <= limits).all()
    for j in range(4):  # attained: this output largest, all others smallest
        corner = lower.copy()
        corner[:, j] = upper[:, j]
        np.testing.assert_allclose(np.log(softmax(corner, axis=1))[:, j], limits[:, j], atol=1e-12)


def test_too_few_calibration_data_say_how_many_are_needed(regressor, classifier):
    model, X, y = regressor
    with pytest.warns(DataWarning, match=r"coverage=0.95 needs at least 19 calibration samples, .* has 18"):
        lower, upper = prediction_interval(model, X[:18], y[:18], X[18:20], coverage=0.95)
    assert np.isneginf(lower).all()
    assert np.isposinf(upper).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isfinite(prediction_interval(model, X[:19], y[:19], X[19:20], coverage=0.95)).all()
    model, X, y = classifier
    with pytest.warns(DataWarning, match="the sets have all labels"):
        assert prediction_interval(model, X[:5], y[:5], X[5:9]).all()


class Counted(FunctionTransformer):
    """A step that nothing is known of, which counts how many sequences went through it."""

    def transform(self, X):
        self.seen = getattr(self, "seen", 0) + len(X)
        return super().transform(X)


def test_without_errors_of_inputs_any_step_and_any_model_will_do(regressor, classifier):
    """With eps=0 only predictions are needed: they are made once, and X_cal is looked at again for the digest."""
    _, X, y = regressor
    step = Counted(np.arcsinh)
    model = make_pipeline(step, TikhonovLSTMRegressor(**QUICK)).fit(X[:60], y[:60])
    step.seen = 0
    lower, upper = prediction_interval(model, X[60:160], y[60:160], X[160:200], coverage=0.8)
    assert step.seen == 40 + 2 * 100
    inner = prediction_interval(model[-1], np.arcsinh(X[60:160]), y[60:160], np.arcsinh(X[160:200]), coverage=0.8)
    np.testing.assert_array_equal([lower, upper], inner)
    with pytest.raises(TypeError, match=r"Step 'counted'.*not among the transformers"):
        prediction_interval(model, X[60:160], y[60:160], X, eps=0.1)
    with pytest.raises(ValueError, match="are the training data"):
        prediction_interval(model, X[:60], y[:60], X)

    flat = X.reshape(len(X), -1)
    ridge = Ridge().fit(flat[:60], y[:60])
    lower, upper = prediction_interval(ridge, flat[60:160], y[60:160], flat[160:], coverage=0.8)
    q = np.sort(np.abs(y[60:160] - ridge.predict(flat[60:160])))[80]
    np.testing.assert_allclose(upper, ridge.predict(flat[160:]) + q)
    np.testing.assert_allclose(lower, ridge.predict(flat[160:]) - q)

    mine, X, y = classifier
    model = make_pipeline(Counted(), type(mine)(**QUICK)).fit(X[:60], y[:60])
    sets = prediction_interval(model, X[60:160], y[60:160], X[160:])
    np.testing.assert_array_equal(sets, prediction_interval(model[-1], X[60:160], y[60:160], X[160:]))
    with pytest.raises(TypeError, match="LinearSVC has none"):
        prediction_interval(LinearSVC(random_state=0).fit(X[:60, 0], y[:60]), X[60:90, 0], y[60:90], X[:, 0])


def test_inputs_stay_as_they_are_if_scalers_work_in_place(regressor):
    _, X, y = regressor
    model = make_pipeline(SequenceScaler(copy=False), TikhonovLSTMRegressor(**QUICK)).fit(X[:60].copy(), y[:60])
    for given in (X.copy(), list(X.copy())):
        for eps in (0.0, 0.1):
            prediction_interval(model, given[60:160], y[60:160], given[160:], eps=eps)
            np.testing.assert_array_equal(given, X)


def test_bad_input_is_refused(regressor, classifier):
    model, X, y = regressor
    for coverage in (0.0, 1.0, -1, np.nan):
        with pytest.raises(ValueError, match="coverage"):
            prediction_interval(model, X[:20], y[:20], X, coverage=coverage)
    with pytest.raises(ValueError, match="y_cal must have the shape of the predictions"):
        prediction_interval(model, X[:20], y[:19], X)
    with pytest.raises(ValueError, match=r"0 sample") as caught:
        prediction_interval(model, X[:0], y[:0], X)
    assert caught.value.__notes__ == ["This is about X_cal, not about X."]
    with pytest.raises(TypeError, match="eps must be a number"):
        prediction_interval(model, X[:20], y[:20], X, eps=False)
    with pytest.raises(ValueError, match="method"):
        prediction_interval(model, X[:20], y[:20], X, method="crown")
    model, X, y = classifier
    with pytest.raises(ValueError, match="y_cal has 19 labels, but X_cal has 20 sequences"):
        prediction_interval(model, X[:20], y[:19], X)
    with pytest.raises(ValueError, match=r"not among those of the training data: .99."):
        prediction_interval(model, X[:20], np.repeat(99, 20), X)
    with pytest.raises(
        ValueError, match=r"y_cal holds labels that are not among .*: .'left'.; the classes are .'down', 'up'"
    ):
        prediction_interval(model, X[:20], np.repeat("left", 20), X)


def test_training_data_are_refused():
    X, y = late_mean(60)
    model = TikhonovLSTMRegressor(**QUICK).fit(X, y)
    with pytest.raises(ValueError, match=r"X_cal and y_cal are the training data .* Hold data back"):
        prediction_interval(model, X, y, X)
    X, y = signed_sum(60)
    with pytest.raises(ValueError, match="are the training data"):
        prediction_interval(NoisyRNNClassifier(**QUICK).fit(X, y), X, y, X)


@pytest.mark.draws_from_numpy  # MAPIE does
def test_mapie_gives_the_same_intervals_and_sets(regressor, classifier):
    pytest.importorskip("mapie")
    from mapie.classification import SplitConformalClassifier
    from mapie.regression import SplitConformalRegressor

    model, X, y = regressor
    for each in (model, GridSearchCV(make_pipeline(SequenceScaler(), model), {}, cv=2).fit(X[:60], y[:60])):
        for given in (X, [x[: 1 + i % len(x)] for i, x in enumerate(X)]):
            mapie = SplitConformalRegressor(each, confidence_level=0.9, prefit=True)
            mapie.conformalize(given[60:160], y[60:160])
            found = mapie.predict_interval(given[160:])[1][:, :, 0].T
            np.testing.assert_allclose(
                found, prediction_interval(each, given[60:160], y[60:160], given[160:]), rtol=0, atol=1e-14
            )
    model, X, y = classifier
    mapie = SplitConformalClassifier(make_pipeline("passthrough", model), confidence_level=0.9, prefit=True)
    mapie.conformalize(X[60:160], y[60:160])
    sets = mapie.predict_set(X[160:])[1][:, :, 0]
    assert (sets == prediction_interval(model, X[60:160], y[60:160], X[160:])).mean() > 0.99, "but for ties"
