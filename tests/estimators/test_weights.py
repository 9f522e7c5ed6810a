"""sample_weight and class_weight."""

import numpy as np
import pytest
import sklearn
import torch
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_class_weight

from sklstm import NoisyRNNClassifier, TikhonovGRURegressor, TikhonovLSTMClassifier, TikhonovLSTMRegressor
from tests.support.estimators import CLASSIFIERS

# Full batches, no noise: nothing depends on how many times a sequence is listed but its weight in the loss.
FULL = {"batch_size": 10_000, "max_epochs": 5, "random_state": 0}
ESTIMATORS = {
    "lstm": TikhonovLSTMRegressor(8, **FULL),
    "plain": TikhonovLSTMRegressor(8, lambda_s=0, lambda_1=0, lambda_2=0, **FULL),
    "gru": TikhonovGRURegressor(8, **FULL),
    "labels": TikhonovLSTMClassifier(8, **FULL),
    "relu": NoisyRNNClassifier(8, sigma=0, **FULL),
}
ALL = pytest.mark.parametrize("estimator", ESTIMATORS.values(), ids=ESTIMATORS)


def problem(estimator, n=40, ragged=False):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 6, 2))
    y = X[:, :, 0].sum(axis=1)
    if ragged:
        X = [sequence[: 2 + i % 5] for i, sequence in enumerate(X)]
    return X, (y > 0).astype(int) if is_classifier(estimator) else y, rng.integers(0, 4, n)


def repeated(X, y, times):
    rows = np.repeat(np.arange(len(y)), times)
    return [X[row] for row in rows] if isinstance(X, list) else X[rows], y[rows]


def weights_of(model):
    return torch.cat([part.detach().flatten() for part in model.net_.module_.parameters()]).numpy()


@pytest.mark.parametrize("ragged", [False, True], ids=["array", "ragged"])
@ALL
def test_a_weight_is_as_good_as_repetition(estimator, ragged):
    X, y, times = problem(estimator, ragged=ragged)
    if is_regressor(estimator):  # a ridge penalty is chosen by leaving out a sequence with all its weight, or a copy
        estimator = clone(estimator).set_params(skip="none")
    weighted = clone(estimator).fit(X, y, sample_weight=times)
    other = clone(estimator).fit(*repeated(X, y, times))
    unweighted = clone(estimator).fit(X, y)
    # float32, and Adam divides by the size of the gradient: rounding can grow a little from step to step.
    np.testing.assert_allclose(weights_of(weighted), weights_of(other), rtol=0, atol=2e-5)
    np.testing.assert_allclose(weighted.loss_curve_, other.loss_curve_, rtol=1e-5)
    assert np.abs(weights_of(weighted) - weights_of(unweighted)).max() > 1e-3


@ALL
def test_the_scale_of_the_weights_is_no_matter(estimator):
    X, y, times = problem(estimator)
    one = clone(estimator).fit(X, y, sample_weight=times)
    for factor in (1024.0, 1e-200, 1e200):
        same = clone(estimator).fit(X, y, sample_weight=factor * times)
        np.testing.assert_allclose(weights_of(same), weights_of(one), rtol=0, atol=1e-5)


@ALL
def test_equal_weights_are_none_bit_for_bit(estimator):
    X, y, _ = problem(estimator)
    plain = clone(estimator).fit(X, y)
    for weight in (np.ones(len(y)), np.full(len(y), 0.3), 2.0):
        np.testing.assert_array_equal(weights_of(clone(estimator).fit(X, y, sample_weight=weight)), weights_of(plain))


def test_loss_curve_is_the_weighted_mean():
    estimator = clone(ESTIMATORS["plain"]).set_params(lr=1e-30, max_epochs=1)  # the weights stay where they start
    X, y, times = problem(estimator)
    for batch_size in (10_000, 7):
        model = estimator.set_params(batch_size=batch_size).fit(X, np.stack((y, -y), axis=1), sample_weight=times)
        losses = ((model.predict(X) - np.stack((y, -y), axis=1)) ** 2).mean(axis=1)
        assert model.loss_curve_[0] == pytest.approx(np.average(losses, weights=times), rel=1e-5)


def test_validation_loss_is_weighted_too():
    # Only the first class counts: a network that learns to say "first" has a validation loss near zero.
    estimator = NoisyRNNClassifier(4, sigma=0, early_stopping=True, validation_fraction=0.3, max_epochs=80, lr=0.05,
                                   n_iter_no_change=80, random_state=0)  # fmt: skip
    X, y, _ = problem(estimator, 80)
    model = estimator.fit(X, y, sample_weight=np.where(y == 0, 1.0, 1e-6))
    assert (model.predict(X) == 0).mean() > 0.95
    assert model.net_.history[-1, "valid_loss"] < 0.1
    with pytest.raises(ValueError, match="one side of the validation split have a weight of zero"):
        estimator.fit(X, y, sample_weight=np.arange(len(y)) == 0)


def test_class_weight_is_the_sample_weight_of_the_labels():
    X, y, times = problem(ESTIMATORS["relu"])
    labels = np.array(["no", "yes"])[y]
    for class_weight in ({"no": 3, "yes": 0.5}, {"yes": 4}, "balanced"):
        by_class = clone(ESTIMATORS["relu"]).set_params(class_weight=class_weight).fit(X, labels, sample_weight=times)
        classes = np.unique(labels)
        of_class = compute_class_weight(class_weight, classes=classes, y=labels, sample_weight=times)
        weight = times * of_class[np.searchsorted(classes, labels)]
        by_sample = clone(ESTIMATORS["relu"]).fit(X, labels, sample_weight=weight)
        np.testing.assert_allclose(weights_of(by_class), weights_of(by_sample), rtol=0, atol=1e-7)


@pytest.mark.parametrize("class_weight", ["balanced", {0: 3, 1: 1}])
def test_weights_of_classes_and_samples_together_are_as_good_as_repetition(class_weight):
    estimator = clone(ESTIMATORS["relu"]).set_params(class_weight=class_weight)
    X, y, times = problem(estimator)
    weighted = clone(estimator).fit(X, y, sample_weight=times)
    other = clone(estimator).fit(*repeated(X, y, times))
    np.testing.assert_allclose(weights_of(weighted), weights_of(other), rtol=0, atol=2e-5)


def test_balanced_classes_are_found_again():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((400, 5, 1)) * 0.7
    y = np.arange(400) % 10 == 0
    X[y] += 0.4
    plain, balanced = (
        NoisyRNNClassifier(8, class_weight=how, max_epochs=30, random_state=0).fit(X, y) for how in (None, "balanced")
    )
    recall = [model.predict(X)[y].mean() for model in (plain, balanced)]
    assert recall[1] > recall[0] + 0.2


@ALL
@pytest.mark.parametrize(
    ("weight", "error", "message"),
    [
        (lambda n: -np.ones(n), ValueError, "Negative values"),
        (lambda n: np.ones(n + 1), ValueError, "sample_weight.shape"),
        (lambda n: np.ones((n, 2)), ValueError, "1D array or scalar"),
        (lambda n: np.full(n, np.nan), ValueError, "NaN"),
        (lambda n: np.zeros(n), ValueError, "zero"),
        (lambda n: np.full(n, "a"), ValueError, "could not convert"),
    ],
)
def test_bad_sample_weight(estimator, weight, error, message, monkeypatch):
    X, y, _ = problem(estimator)
    monkeypatch.setattr("sklstm.training.SequenceNet.train", lambda *args: pytest.fail("training began"))
    with pytest.raises(error, match=message):
        clone(estimator).fit(X, y, sample_weight=weight(len(y)))


@pytest.mark.parametrize(
    ("class_weight", "error", "message"),
    [
        ("even", ValueError, "class_weight must be None, 'balanced' or a dict"),
        ({0: -1}, ValueError, r"class_weight\[0\] == -1"),
        ({0: "a"}, TypeError, r"class_weight\[0\]"),
        ([1, 2], ValueError, "class_weight must be"),
        ({0: 0, 1: 0}, ValueError, "weight of zero"),
    ],
)
def test_bad_class_weight(class_weight, error, message):
    X, y, _ = problem(ESTIMATORS["relu"])
    with pytest.raises(error, match=message):
        clone(ESTIMATORS["relu"]).set_params(class_weight=class_weight).fit(X, y)


@ALL
def test_weights_are_routed_through_pipelines_and_searches(estimator):
    X, y, times = problem(estimator)
    X = X.reshape(len(X), -1)
    estimator = clone(estimator).set_params(n_channels=2)
    with sklearn.config_context(enable_metadata_routing=True):
        asking = clone(estimator).set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        pipeline = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), asking)
        pipeline.set_score_request(sample_weight=True)  # scikit-learn before 1.9 asks the pipeline, too
        name = list(pipeline.named_steps)[-1]
        search = GridSearchCV(pipeline, {f"{name}__hidden_size": [4, 8]}, cv=3).fit(X, y, sample_weight=times)
        size = search.best_params_[f"{name}__hidden_size"]
        by_hand = clone(estimator).set_params(hidden_size=size).fit(
            StandardScaler().fit_transform(X), y, sample_weight=times
        )  # fmt: skip
        np.testing.assert_array_equal(weights_of(search.best_estimator_[-1]), weights_of(by_hand))
        scores = cross_validate(pipeline, X, y, params={"sample_weight": times}, cv=3)["test_score"]
        assert scores.shape == (3,)
        # Who does not ask is told, and nothing is dropped in silence.
        with pytest.raises(ValueError, match=r"sample_weight.*are passed but are not explicitly set"):
            cross_validate(clone(estimator), X, y, params={"sample_weight": times}, cv=3)
    # And without routing, by the name of the step.
    pipeline = make_pipeline(StandardScaler(), clone(estimator))
    pipeline.fit(X, y, **{f"{name}__sample_weight": times})
    reference = clone(estimator).fit(StandardScaler().fit_transform(X), y, sample_weight=times)
    np.testing.assert_array_equal(weights_of(pipeline[-1]), weights_of(reference))


def test_bounds_are_about_unweighted_errors():
    X, y, times = problem(ESTIMATORS["relu"])
    model = clone(ESTIMATORS["relu"]).fit(X, y, sample_weight=times)
    bound = model.generalization_report(X, y)["occam"]
    assert bound.trained_loss == np.mean(model.predict(X) != y)


def test_weights_of_partial_fits_count_as_they_are():
    # Parts of one class each: only weights that are not scaled by part can tell the classes apart.
    X, y, _ = problem(ESTIMATORS["relu"])
    outcomes = []
    for class_weight in (None, {0: 1, 1: 20}):
        model = NoisyRNNClassifier(
            8, sigma=0, optimizer="sgd", lr=0.01, clip_norm=None, class_weight=class_weight, random_state=0
        )
        for _ in range(10):
            for label in (1, 0):
                model.partial_fit(X[y == label], y[y == label], classes=[0, 1])
        outcomes.append(model.predict_proba(X)[:, 1].mean())
    assert outcomes[1] > outcomes[0] + 0.1
    by_sample = NoisyRNNClassifier(8, sigma=0, optimizer="sgd", lr=0.01, clip_norm=None, random_state=0)
    for _ in range(10):
        for label, weight in ((1, 20.0), (0, 1.0)):
            by_sample.partial_fit(X[y == label], y[y == label], classes=[0, 1], sample_weight=weight)
    np.testing.assert_allclose(by_sample.predict_proba(X), model.predict_proba(X), rtol=0, atol=1e-6)
    with pytest.raises(ValueError, match=r"allows at most 1e\+30"):
        by_sample.partial_fit(X, y, sample_weight=1e31)


@pytest.mark.parametrize("cls", CLASSIFIERS)
def test_balanced_classes_may_have_one_without_weight(cls):
    """A bag draws weights, and a rare class gets none; the others are weighted as if it were not there."""
    X = np.random.default_rng(0).normal(size=(30, 4, 2))
    y = np.arange(30) % 3
    weight = np.where(y == 2, 0.0, np.linspace(1, 2, 30))
    model = cls(4, class_weight="balanced", max_epochs=2, random_state=0).fit(X, y, sample_weight=weight)
    assert model.classes_.tolist() == [0, 1, 2]
    found = model._weights_of_classes(y, weight)
    expected = compute_class_weight("balanced", classes=np.array([0, 1]), y=y[y < 2], sample_weight=weight[y < 2])
    np.testing.assert_allclose(found, [*expected, 0.0])
    with pytest.raises(ValueError, match="Sample weights must contain at least one non-zero number"):
        model.fit(X, y, sample_weight=np.zeros(30))
