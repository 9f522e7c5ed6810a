import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import config_context
from sklearn.base import clone
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, get_scorer, make_scorer, mean_squared_error
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm import NoisyRNNClassifier
from sklstm.estimators._noisy_inputs import noisy_inputs
from sklstm.metrics import make_noisy_scorer
from sklstm.model_selection import RegularizationPathCV
from sklstm.noise import NOISES
from sklstm.preprocessing import SequenceScaler

N, L, D = 40, 4, 2


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N, L, D))
    return X, X[:, :, 0].sum(axis=1) + 0.1 * rng.standard_normal(N)


@pytest.fixture(scope="module")
def relu():
    X = np.random.default_rng(1).standard_normal((N, L, D))
    return NoisyRNNClassifier(4, max_epochs=2, random_state=0).fit(X, X[:, -1, 0] > 0)


def seen_by(scorer, X, y=None):
    """What the estimator is asked to predict."""
    copies = []

    class Spy(Ridge):
        def predict(self, X):
            copies.append(X)
            return np.zeros(len(X))

    scorer(Spy(), X, np.zeros(len(X)) if y is None else y)
    return copies


def test_the_mean_over_draws_by_hand(data):
    X, y = data
    rows = X.reshape(N, -1)
    ridge = Ridge().fit(rows, y)
    rng = np.random.default_rng(3)
    draws = [rows + 0.7 * rng.standard_normal(rows.shape) for _ in range(4)]
    by_hand = np.mean([ridge.score(draw, y) for draw in draws])
    for scoring in ("r2", get_scorer("r2"), lambda model, X, y: model.score(X, y)):
        assert make_noisy_scorer(scoring, 0.7, n_draws=4, random_state=3)(ridge, rows, y) == by_hand


def test_a_linear_model_loses_what_the_noise_says(data):
    """E (w·(x + ε) − y)² = (w·x − y)² + Σ_j σ_j² w_j², for every kind of noise that is added."""
    X, y = data
    rows = X.reshape(N, -1)
    ridge = Ridge().fit(rows, y)
    sigma = np.array([0.5, 2.0])
    clean = mean_squared_error(y, ridge.predict(rows))
    grown = np.sum((ridge.coef_ * np.tile(sigma, L)) ** 2)
    for noise in ("gaussian", "uniform", "laplace"):
        error = -make_noisy_scorer("neg_mean_squared_error", sigma, n_draws=400, noise=noise)(ridge, rows, y)
        assert error == pytest.approx(clean + grown, rel=0.05)
    # Dropout: sigma is relative to the entry.
    grown = np.mean(rows**2 @ (ridge.coef_ * np.tile(sigma, L)) ** 2)
    error = -make_noisy_scorer("neg_mean_squared_error", sigma, n_draws=400, noise="dropout")(ridge, rows, y)
    assert error == pytest.approx(clean + grown, rel=0.1)


def test_no_noise_is_the_score_itself(data, relu):
    X, _ = data
    y = X[:, -1, 0] > 0
    for sigma in (0, 0.0, np.float64(0), [0.0, 0.0], torch.zeros(2)):
        copies = seen_by(make_noisy_scorer("r2", sigma), X)
        assert len(copies) == 1
        assert copies[0] is X
        scorer = make_noisy_scorer("neg_log_loss", sigma)
        assert scorer(relu, X, y) == get_scorer("neg_log_loss")(relu, X, y)


@pytest.mark.parametrize("noise", NOISES)
def test_every_form_of_x_gets_the_same_noise(data, noise):
    X, _ = data
    sigma = [0.5, 2.0]
    rows = X.reshape(N, -1)
    plain = noisy_inputs(X, sigma, np.random.default_rng(0), noise)
    expected = X + NOISES[noise].draw_array(X, np.array(sigma), np.random.default_rng(0))
    np.testing.assert_array_equal(plain, expected)
    times = [pd.Timedelta(hours=hour) for hour in range(L)]
    wide = pd.DataFrame(rows, columns=pd.MultiIndex.from_product([times, ["b", "a"]], names=["time", "channel"]))
    by_channel = wide.swaplevel(axis=1)[[(channel, time) for channel in ("b", "a") for time in times]]
    in_order = [(channel, time) for time in times for channel in ("b", "a")]
    frames = [pd.DataFrame(x, columns=["b", "a"]) for x in X]
    labelled = {"a": 2.0, "b": 0.5}
    long = wide.set_axis([f"{channel}{time}" for time, channel in wide.columns], axis=1)
    forms = [
        (rows, sigma),
        (rows, np.tile(sigma, L)),
        (X.tolist(), sigma),
        (torch.from_numpy(X), torch.tensor(sigma)),
        (list(X), sigma),
        (frames, labelled),
        (frames, pd.Series(labelled)),
        (wide, labelled),
        (wide, sigma),
        (wide, np.tile(sigma, L)),
        (wide, pd.Series(np.tile(sigma, L), index=wide.columns)[::-1]),
        (long, dict(zip(reversed(long.columns), [2.0, 0.5] * L, strict=True))),
    ]
    for form, sizes in forms:
        noisy = noisy_inputs(form, sizes, np.random.default_rng(0), noise)
        values = np.stack([np.asarray(entry) for entry in noisy]) if isinstance(noisy, list) else np.asarray(noisy)
        np.testing.assert_array_equal(values.reshape(X.shape), plain)
        if isinstance(form, pd.DataFrame):
            pd.testing.assert_index_equal(noisy.columns, form.columns)
    sizes = np.array([labelled[channel] for channel, _ in by_channel.columns])
    for given in (pd.Series(labelled), sizes):
        noisy = noisy_inputs(by_channel, given, np.random.default_rng(0), noise)
        pd.testing.assert_index_equal(noisy.columns, by_channel.columns)
        np.testing.assert_array_equal(noisy[in_order].to_numpy().reshape(X.shape), plain)
    np.testing.assert_array_equal(X, data[0])


def test_a_dataframe_goes_through_a_pipeline_that_knows_its_columns(data):
    X, y = data
    table = pd.DataFrame(X.reshape(N, -1), columns=list("abcdefgh"))
    model = make_pipeline(StandardScaler(), LinearRegression()).fit(table, y)  # other columns would be a warning
    sizes = dict.fromkeys(table.columns[::-1], 0.3)
    by_label = make_noisy_scorer("r2", sizes)(model, table, y)
    assert by_label == pytest.approx(make_noisy_scorer("r2", 0.3)(model, table, y), rel=1e-12)


def test_sequences_of_unequal_length(relu, data):
    X, _ = data
    ragged = [x[: 2 + i % 3] for i, x in enumerate(X)]
    y = np.array([x[-1, 0] > 0 for x in ragged])
    rng = np.random.default_rng(0)
    by_hand = np.mean(
        [relu.score([x + [0.0, 0.5] * rng.standard_normal(x.shape) for x in ragged], y) for _ in range(5)]
    )
    assert make_noisy_scorer("accuracy", [0.0, 0.5])(relu, ragged, y) == by_hand


def test_a_search_over_one_score_and_over_several(data):
    # In two processes: the example of README.md.
    X, y = data
    rows = X.reshape(N, -1)
    grid = {"alpha": [0.1, 0.1, 30.0]}
    noisy = make_noisy_scorer("neg_mean_squared_error", [0.5, 1.0])
    scoring = {"clean": "neg_mean_squared_error", "noisy": noisy, "weighted": make_noisy_scorer("r2", 0.1)}
    several = GridSearchCV(Ridge(), grid, scoring=scoring, refit="noisy", cv=3).fit(rows, y)
    single = GridSearchCV(Ridge(), grid, scoring=noisy, cv=3).fit(rows, y)
    scores = single.cv_results_["mean_test_score"]
    np.testing.assert_array_equal(scores, several.cv_results_["mean_test_noisy"])
    assert scores[0] == scores[1] != scores[2]  # the same noise for every candidate
    assert single.score(rows, y) == noisy(single, rows, y)
    copy = clone(several).fit(rows, y)
    np.testing.assert_array_equal(copy.cv_results_["mean_test_noisy"], scores)


def test_a_path_takes_it_and_weights(data):
    X, _ = data
    y = X[:, -1, 0] > 0
    weight = np.random.default_rng(0).random(N)
    noisy = make_noisy_scorer("accuracy", 0.5, n_draws=2)
    relu = NoisyRNNClassifier(4, max_epochs=2, random_state=0)
    how = {"cv": 2, "scoring": noisy}
    path = RegularizationPathCV(relu, "sigma", [0.0, 0.5], shared_fraction=0, strategy="separate", **how)
    path.fit(X, y, sample_weight=weight)
    rng = np.random.default_rng(0)
    by_hand = np.mean([path.best_estimator_.score(X + 0.5 * rng.standard_normal(X.shape), y, weight) for _ in range(2)])
    assert path.score(X, y, sample_weight=weight) == by_hand
    grid = GridSearchCV(relu, {"sigma": [0.0, 0.5]}, **how).fit(X, y)
    unweighted = clone(path).fit(X, y)
    np.testing.assert_array_equal(unweighted.cv_results_["mean_test_score"], grid.cv_results_["mean_test_score"])


def test_noise_is_added_before_a_pipeline_s_first_step(data):
    X, _ = data
    y = X[:, -1, 0] > 0
    model = make_pipeline(SequenceScaler(), NoisyRNNClassifier(4, max_epochs=2, random_state=0)).fit(100 * X, y)
    noise = 30 * np.random.default_rng(0).standard_normal(X.shape)
    by_hand = accuracy_score(y, model.predict(100 * X + noise))
    assert make_noisy_scorer("accuracy", 30, n_draws=1)(model, 100 * X, y) == by_hand


def test_weights_and_metadata_routing(data):
    X, y = data
    rows, labels = X.reshape(N, -1), np.where(y > 0, "up", "down")
    weight = np.random.default_rng(0).random(N)
    model = LogisticRegression().fit(rows, labels)
    rng = np.random.default_rng(0)
    draws = [rows + 2.0 * rng.standard_normal(rows.shape) for _ in range(5)]
    weighted = np.mean([model.score(draw, labels, weight) for draw in draws])
    assert make_noisy_scorer("accuracy", 2.0)(model, rows, labels, sample_weight=weight) == weighted
    assert make_noisy_scorer("accuracy", 2.0)(model, rows, labels, weight) == weighted
    with config_context(enable_metadata_routing=True):
        asks = get_scorer("accuracy").set_score_request(sample_weight=True)
        does_not = get_scorer("accuracy").set_score_request(sample_weight=False)
        scoring = {
            "inside": make_noisy_scorer(asks, 2.0),
            "outside": make_noisy_scorer(does_not, 2.0).set_score_request(sample_weight=True),
            "by name": make_noisy_scorer("accuracy", 2.0).set_score_request(sample_weight=True),
            "without": make_noisy_scorer(does_not, 2.0),
            "of one's own": make_noisy_scorer(lambda model, X, y: model.score(X, y), 2.0),
        }
        estimator = LogisticRegression().set_fit_request(sample_weight=False).set_score_request(sample_weight=False)
        for value in (scoring["inside"], scoring):
            search = GridSearchCV(
                estimator, {"C": [1.0]}, scoring=value, refit=value if value is None else "inside"
            ).fit(rows, labels, sample_weight=weight)
            assert search.best_params_ == {"C": 1.0}
        found = cross_validate(
            estimator, rows, labels, scoring=scoring, params={"sample_weight": weight}, cv=3, error_score="raise"
        )
        for name in ("outside", "by name"):
            np.testing.assert_array_equal(found[f"test_{name}"], found["test_inside"])
        np.testing.assert_array_equal(found["test_of one's own"], found["test_without"])
        assert (found["test_inside"] != found["test_without"]).all()
        # The scorers that were handed over are as they were.
        assert does_not.get_metadata_routing().score.requests == {"sample_weight": False}
        with pytest.raises(TypeError, match="takes no requests for metadata"):
            scoring["of one's own"].set_score_request(sample_weight=True)


def test_it_travels_and_says_what_it_is(data):
    X, y = data
    rows = X.reshape(N, -1)
    ridge = Ridge().fit(rows, y)
    scorer = make_noisy_scorer("r2", [0.5, 1.0], n_draws=2, noise="laplace", random_state=7)
    assert repr(scorer) == "make_noisy_scorer('r2', [0.5, 1.0], n_draws=2, noise='laplace', random_state=7)"
    assert repr(make_noisy_scorer("r2", 1)) == "make_noisy_scorer('r2', 1)"
    value = scorer(ridge, rows, y)
    others = (pickle.loads(pickle.dumps(scorer)), clone(scorer, safe=False), eval(repr(scorer)))
    assert [other(ridge, rows, y) for other in others] == [value] * 3
    sigma = np.array([0.5, 1.0])
    kept = make_noisy_scorer("r2", sigma, n_draws=2, noise="laplace", random_state=7)
    sigma[:] = 9
    assert kept(ridge, rows, y) == value


def test_draws_are_fixed_or_fresh(data):
    X, _ = data
    rows = X.reshape(N, -1)
    fixed, fresh = make_noisy_scorer("r2", 1.0, n_draws=2), make_noisy_scorer("r2", 1.0, n_draws=2, random_state=None)
    first, second = seen_by(fixed, rows), seen_by(fixed, rows)
    np.testing.assert_array_equal(first, second)
    assert (first[0] != first[1]).all()
    assert (seen_by(fresh, rows)[0] != seen_by(fresh, rows)[0]).all()


def test_several_scores_of_a_function(data):
    X, y = data
    rows = X.reshape(N, -1)
    ridge = Ridge().fit(rows, y)

    def both(model, X, y):
        predicted = model.predict(X)
        return {"mse": mean_squared_error(y, predicted), "largest": np.abs(y - predicted).max()}

    found = make_noisy_scorer(both, 0.5)(ridge, rows, y)
    assert found["mse"] == -make_noisy_scorer("neg_mean_squared_error", 0.5)(ridge, rows, y)
    assert found["largest"] > np.sqrt(found["mse"])
    search = GridSearchCV(Ridge(), {"alpha": [0.1, 1.0]}, scoring=make_noisy_scorer(both, 0.5), refit="mse")
    assert "mean_test_largest" in search.fit(rows, y).cv_results_


def test_wrong_arguments(data):
    X, y = data
    with pytest.raises(ValueError, match="'acuracy' is not a valid scoring value"):
        make_noisy_scorer("acuracy", 0.1)
    with pytest.raises(ValueError, match="looks like it is a metric function"):
        make_noisy_scorer(accuracy_score, 0.1)
    for bad in (None, 1.0, ["r2", "accuracy"], {"a": "r2"}):
        with pytest.raises(TypeError, match="scoring must be the name of a score"):
            make_noisy_scorer(bad, 0.1)
    for bad in (-0.1, [0.1, -0.1], np.nan, [0.1, np.inf], [], {}, {"a": -1.0}):
        with pytest.raises(ValueError, match="sigma"):
            make_noisy_scorer("r2", bad)
    for bad in (None, "0.1", True, ["a"], [[0.1], [0.1, 0.2]], pd.DataFrame([[0.1]]), {"a": "b"}):
        with pytest.raises(TypeError, match="sigma"):
            make_noisy_scorer("r2", bad)
    with pytest.raises(ValueError, match="n_draws"):
        make_noisy_scorer("r2", 0.1, n_draws=0)
    with pytest.raises(ValueError, match="the kind of noise must be one of"):
        make_noisy_scorer("r2", 0.1, noise="cauchy")
    for bad in (-1, np.random.RandomState(0), "0"):
        with pytest.raises((ValueError, TypeError), match="random_state"):
            make_noisy_scorer("r2", 0.1, random_state=bad)
    ridge = Ridge()
    scorer = make_noisy_scorer(make_scorer(mean_squared_error), [0.1, 0.2, 0.3])
    with pytest.raises(ValueError, match=r"sigma has shape \(3,\), which does not broadcast to \(40, 4, 2\)"):
        scorer(ridge, X, y)
    with pytest.raises(ValueError, match=r"sigma has shape \(3,\), which does not broadcast to \(40, 8\)"):
        scorer(ridge, X.reshape(N, -1), y)
    labelled = make_noisy_scorer("r2", {"a": 0.1, "b": 0.2})
    with pytest.raises(ValueError, match="but X has none"):
        labelled(ridge, X, y)
    with pytest.raises(ValueError, match="the labels must be the channels of X"):
        labelled(ridge, [pd.DataFrame(x, columns=["a", "c"]) for x in X], y)
    with pytest.raises(ValueError, match="has a label twice"):
        make_noisy_scorer("r2", pd.Series([0.1, 0.2], index=["a", "a"]))(
            ridge, pd.DataFrame(X[0], columns=["a", "b"]), y
        )
    with pytest.raises(TypeError, match="noise can be added to numbers only"):
        make_noisy_scorer("r2", 0.1)(ridge, pd.DataFrame({"a": ["x", "y"]}), y[:2])
