"""Intervals of predictions under random noise, against laws that are known and against plain simulation."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import beta, binom, norm
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm import NoisyRNNClassifier, TikhonovLSTMRegressor, noise_interval
from sklstm.exceptions import NonFiniteOutputError
from sklstm.generalization._order_statistics import tolerance_ranks, usual_draws
from sklstm.preprocessing import SequenceScaler
from tests.support.problems import late_mean, signed_sum

QUICK = {"hidden_size": 4, "max_epochs": 3, "random_state": 0}


def linear(weights):
    model = LinearRegression()
    model.coef_, model.intercept_, model.n_features_in_ = weights, 0.5, len(weights)
    return model


@pytest.fixture(scope="module")
def fitted():
    X, y = late_mean(60)
    return TikhonovLSTMRegressor(**QUICK).fit(X, y), X[:6]


def test_intervals_hold_the_share_of_a_known_law_as_often_as_promised():
    rng = np.random.default_rng(0)
    coverage, confidence, found = 0.9, 0.9, []
    for seed in range(40):
        weights = rng.standard_normal(6)
        X, sigma = rng.standard_normal((10, 6)), rng.uniform(0.1, 2, 6)
        model = linear(weights)
        options = {"coverage": coverage, "confidence": confidence, "random_state": seed}
        lower, upper = noise_interval(model, X, sigma, **options)
        law = norm(model.predict(X), np.sqrt((weights**2) @ sigma**2))
        found += list(law.cdf(upper) - law.cdf(lower))
    shares = np.array(found)
    n = usual_draws(coverage, confidence)
    first, last = tolerance_ranks(n, coverage, confidence)
    exact = beta(last - first, n - last + first + 1)  # of the shares
    assert shares.mean() == pytest.approx(exact.mean(), abs=5 * exact.std() / np.sqrt(len(shares)))
    assert binom.ppf(1e-4, len(shares), confidence) <= (shares >= coverage).sum() < len(shares)


def test_labels_have_limits_that_contain_their_probabilities_as_often_as_promised():
    X, y = signed_sum(100)
    model = NoisyRNNClassifier(**QUICK).fit(X, y)
    lower, upper = noise_interval(model, X[:8], 0.5, n_draws=300, random_state=0)
    assert lower.shape == upper.shape == (8, 2)
    rng = np.random.default_rng(1)
    copies = np.repeat(X[:8], 2000, axis=0)
    labels = model.predict(copies + 0.5 * rng.standard_normal(copies.shape)).reshape(8, -1)
    shares = (labels[:, :, None] == model.classes_).mean(axis=1)
    assert ((lower - 0.05 < shares) & (shares < upper + 0.05)).all()
    assert (lower.sum(axis=1) < 1).all()
    assert (upper.sum(axis=1) > 1).all()


@pytest.mark.parametrize("noise", ["gaussian", "uniform", "laplace", "dropout"])
def test_each_sequence_has_its_own_noise_in_every_form_of_x(fitted, noise):
    model, X = fitted
    options = {"noise": noise, "coverage": 0.5, "confidence": 0.9, "random_state": 3}
    expected = noise_interval(model, X, [0.1, 0.4], **options)
    for form in (list(X), torch.from_numpy(X)):
        np.testing.assert_array_equal(noise_interval(model, form, [0.1, 0.4], **options), expected)
    some = noise_interval(model, X[:2], [0.1, 0.4], **options)
    np.testing.assert_array_equal(some, [end[:2] for end in expected])
    frames = [pd.DataFrame(x, columns=["a", "b"]) for x in X]
    named = TikhonovLSTMRegressor(**QUICK).fit(frames, X[:, -1, 0])
    by_label = noise_interval(named, frames, {"b": 0.4, "a": 0.1}, **options)
    np.testing.assert_array_equal(by_label, noise_interval(named, frames, [0.1, 0.4], **options))


def test_a_mapped_file_and_sequences_of_several_lengths(fitted, tmp_path):
    model, X = fitted
    options = {"coverage": 0.5, "confidence": 0.9, "random_state": 3}
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    np.testing.assert_array_equal(
        noise_interval(model, mapped, 0.2, **options), noise_interval(model, X, 0.2, **options)
    )
    ragged = [x[i % 3 :] for i, x in enumerate(X)]
    lower, upper = noise_interval(model, ragged, 0.2, **options)
    alone = noise_interval(model, ragged[:1], 0.2, **options)
    np.testing.assert_array_equal(alone, (lower[:1], upper[:1]))
    for form in (
        [x.tolist() for x in ragged],
        torch.nested.nested_tensor([torch.tensor(x) for x in ragged], layout=torch.jagged),
    ):
        np.testing.assert_array_equal(noise_interval(model, form, 0.2, **options), (lower, upper))


@pytest.mark.parametrize("n_draws", [50, 1500, 2500])
def test_limits_of_a_sequence_are_the_same_alone_and_among_others(n_draws):
    """Few draws of several sequences are predicted together."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30, 5, 2))
    options = {"coverage": 0.5, "confidence": 0.9, "n_draws": n_draws, "random_state": 0}
    model = TikhonovLSTMRegressor(3, max_epochs=1, random_state=0).fit(X, X[:, -1, :2])
    sigma = np.full((30, 5, 2), 0.2)
    sigma[3:6] = 0
    for form, sizes in ((X, sigma), ([x[: 2 + i % 4] for i, x in enumerate(X)], 0.2)):
        lower, upper = noise_interval(model, form, sizes, **options)
        for n in (1, 5, 12):
            some = noise_interval(model, form[:n], sizes if np.ndim(sizes) == 0 else sizes[:n], **options)
            np.testing.assert_array_equal(some[0], lower[:n])
            np.testing.assert_array_equal(some[1], upper[:n])


def test_an_output_that_is_not_finite_names_its_sequence_among_others():
    rng = np.random.default_rng(0)
    model = NoisyRNNClassifier(4, max_epochs=1, random_state=0).fit(rng.normal(size=(20, 3, 1)), [0, 1] * 10)
    for weight in model.net_.module_.recurrent.parameters():
        weight.data.fill_(50.0)
    sigma = np.ones((60, 1, 1))
    sigma[41] = 1e36
    with pytest.raises(NonFiniteOutputError, match=r"not finite for X\[41\] under this noise") as caught:
        noise_interval(model, np.zeros((60, 3, 1)), sigma, n_draws=20, confidence=0.9, random_state=0)
    assert caught.value.first == 41


def test_noise_is_added_before_the_scaling_of_a_composition():
    X, y = late_mean(60)
    X = 100 * X
    inside = make_pipeline(SequenceScaler(), TikhonovLSTMRegressor(**QUICK))
    model = TransformedTargetRegressor(inside, transformer=StandardScaler()).fit(X, 50 * y)
    options = {"coverage": 0.5, "confidence": 0.9, "random_state": 3}
    lower, upper = noise_interval(model, X[:4], 20.0, **options)
    pipeline = model.regressor_
    scale = pipeline[0].transform(X[:1] + 20.0) - pipeline[0].transform(X[:1])  # of each channel
    own = noise_interval(pipeline[-1], pipeline[0].transform(X[:4]), scale[0, 0], **options)
    back = [model.transformer_.inverse_transform(end[:, None])[:, 0] for end in own]
    np.testing.assert_allclose((lower, upper), back, rtol=1e-4)
    search = GridSearchCV(inside, {"tikhonovlstmregressor__lr": [0.01]}, cv=2).fit(X, y)
    found = noise_interval(search, X[:2], 20.0, **options)
    np.testing.assert_array_equal(found, noise_interval(search.best_estimator_, X[:2], 20.0, **options))


def test_without_noise_both_limits_are_the_prediction(fitted):
    model, X = fitted
    for end in noise_interval(model, X, 0.0):
        np.testing.assert_array_equal(end, model.predict(X))
    sizes = np.zeros(X.shape)
    sizes[0] = 0.1
    lower, upper = noise_interval(model, X, sizes, coverage=0.5, confidence=0.9)
    assert lower[0] < upper[0]
    np.testing.assert_array_equal(lower[1:], upper[1:])
    X, y = signed_sum(60)
    classifier = NoisyRNNClassifier(**QUICK).fit(X, y)
    for end in noise_interval(classifier, X, 0):
        np.testing.assert_array_equal(classifier.classes_[end.argmax(axis=1)], classifier.predict(X))
        np.testing.assert_array_equal(np.sort(end), np.tile([0.0, 1.0], (len(X), 1)))


def test_errors_count_the_sequences_of_x_however_many_are_read_at_a_time(fitted):
    model, X = fitted
    many = list(np.tile(X, (60, 1, 1)))
    many[300] = many[300] * np.nan
    with pytest.raises(ValueError, match=r"X\[300\] has a value that is not finite"):
        noise_interval(model, many, 0.1)


def test_bad_arguments_are_refused_before_any_prediction(fitted):
    model, X = fitted
    with pytest.raises(ValueError, match="at least 181"):
        noise_interval(model, X, 0.1, n_draws=180)
    for bad in ({"coverage": 1.0}, {"confidence": 0}, {"noise": "pink"}, {"n_draws": "many"}, {"n_draws": 0}):
        with pytest.raises(ValueError, match=r"must be|=="):
            noise_interval(model, X, 0.1, **bad)
    with pytest.raises(ValueError, match="sigma"):
        noise_interval(model, X, -1.0)
    with pytest.raises(ValueError, match="sigma has shape"):
        noise_interval(model, X, [0.1] * 3)
    with pytest.raises(ValueError, match="NaN"):
        noise_interval(model, np.where(X[0, 0, 0] == X, np.nan, X), 0.1)
    with pytest.raises(TypeError, match="noise_interval needs"):
        noise_interval(StandardScaler().fit(X[:, 0]), X, 0.1)
