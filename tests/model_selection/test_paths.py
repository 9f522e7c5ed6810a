"""Paths against scikit-learn's grid search over the same values."""

import pickle

import numpy as np
import pytest
import torch
from joblib import parallel_config
from sklearn import config_context, get_config
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, StratifiedKFold, TimeSeriesSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from skorch.callbacks import GradientNormClipping

import sklstm
from sklstm import NoisyRNNClassifier, TikhonovLSTMRegressor
from sklstm.model_selection import RegularizationPathCV
from sklstm.preprocessing import SequenceScaler

LAMBDAS, SIGMAS = [0.001, 0.01, 0.1], [0.0, 0.1, 0.5]
SMALL = {"max_epochs": 6, "random_state": 0, "batch_size": 16}


def lstm(hidden_size=4, **options):
    return TikhonovLSTMRegressor(hidden_size, **SMALL | options)


def relu(hidden_size=4, **options):
    return NoisyRNNClassifier(hidden_size, **SMALL | options)


def lambda_path(estimator=None, values=LAMBDAS, **options):
    return RegularizationPathCV(estimator or lstm(), "lambda_s", values, **{"cv": 2} | options)


def sigma_path(estimator=None, values=SIGMAS, **options):
    return RegularizationPathCV(estimator or relu(), "sigma", values, **{"cv": 2} | options)


@pytest.fixture(scope="module")
def signals():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((103, 7, 2))  # folds of unequal size
    y = X[:, -3:, 0].mean(axis=1) + 0.5 * X[:, -1, 0] * X[:, -2, 1]  # not linear alone
    return X, y, X[:, :, 0].sum(axis=1) > 0


@pytest.fixture
def exact_norms(monkeypatch):
    """Exact spectral norms at every step: the estimates of a stack are made in other steps than those of one model."""
    monkeypatch.setattr("sklstm.tikhonov._norm_tracking._finite", lambda norms: False)
    with parallel_config(backend="threading"):  # processes would not know of it
        yield


@pytest.mark.parametrize(
    ("strategy", "n_jobs", "cv"),
    [
        ("stacked", None, KFold(3, shuffle=True, random_state=0)),
        ("stacked", 2, TimeSeriesSplit(3)),
        ("separate", None, TimeSeriesSplit(3)),
        ("separate", 2, 3),
    ],
)
def test_regressor_without_shared_epochs_is_grid_search(signals, exact_norms, strategy, n_jobs, cv):
    X, y, _ = signals
    grid = GridSearchCV(lstm(), {"lambda_s": LAMBDAS}, cv=cv).fit(X, y)
    path = lambda_path(cv=cv, strategy=strategy, n_jobs=n_jobs, shared_fraction=0).fit(X, y)
    expected = np.array([grid.cv_results_[f"split{fold}_test_score"] for fold in range(3)]).T
    np.testing.assert_allclose(path.score_path_, expected, atol=0 if strategy == "separate" else 1e-6)
    assert path.best_params_ == grid.best_params_
    assert path.best_index_ == grid.best_index_
    np.testing.assert_allclose(path.best_score_, grid.best_score_, atol=1e-6)
    np.testing.assert_array_equal(path.cv_results_["rank_test_score"], grid.cv_results_["rank_test_score"])
    np.testing.assert_allclose(path.cv_results_["std_test_score"], grid.cv_results_["std_test_score"], atol=1e-6)
    np.testing.assert_array_equal(path.predict(X), grid.predict(X))  # the same final fit


@pytest.mark.parametrize("strategy", ["stacked", "separate"])
@pytest.mark.parametrize("noise", ["gaussian", "dropout"])
@pytest.mark.parametrize("scoring", [None, "neg_log_loss"])
def test_classifier_without_shared_epochs_is_grid_search(signals, strategy, noise, scoring):
    X, _, y = signals
    weight = np.random.default_rng(1).random(len(X)) + 0.5
    model = relu(5, noise=noise, max_norm_w=1.5, class_weight="balanced")
    grid = GridSearchCV(model, {"sigma": SIGMAS}, scoring=scoring, cv=3).fit(X, y, sample_weight=weight)
    path = sigma_path(model, scoring=scoring, cv=3, strategy=strategy, shared_fraction=0)
    path.fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(path.cv_results_["mean_test_score"], grid.cv_results_["mean_test_score"], atol=1e-5)
    assert path.best_params_ == grid.best_params_
    np.testing.assert_array_equal(path.predict_proba(X), grid.predict_proba(X))
    if scoring:
        np.testing.assert_allclose(path.score(X, y), grid.score(X, y))


def test_cv_results_are_those_of_a_grid_search(signals):
    X, y, _ = signals
    grid = GridSearchCV(lstm(), {"lambda_s": LAMBDAS}, cv=2).fit(X, y)
    path = lambda_path(strategy="separate", shared_fraction=0).fit(X, y)
    times = {"std_fit_time", "mean_score_time", "std_score_time"}
    assert set(path.cv_results_) == set(grid.cv_results_) - times
    assert path.cv_results_["params"] == grid.cv_results_["params"]
    for name in ("param_lambda_s", "mean_test_score", "std_test_score", "rank_test_score", "split1_test_score"):
        np.testing.assert_array_equal(path.cv_results_[name], grid.cv_results_[name])
    assert (path.cv_results_["mean_fit_time"] > 0).all()


def test_the_middle_of_the_path_is_the_same_with_shared_epochs(signals, exact_norms):
    # The shared epochs are trained at the middle value: for it they are nothing but its own.
    X, y, _ = signals
    paths = [
        lambda_path(lstm(lr_schedule="cosine", sigma=0.1), cv=3, shared_fraction=share, strategy=strategy).fit(X, y)
        for share in (0, 0.5)
        for strategy in ("stacked", "separate")
    ]
    for path in paths[1:]:
        np.testing.assert_allclose(path.score_path_[1], paths[0].score_path_[1], atol=1e-6)
        np.testing.assert_allclose(path.data_loss_path_[1], paths[0].data_loss_path_[1], rtol=1e-4)
    assert not np.allclose(paths[0].score_path_[[0, 2]], paths[2].score_path_[[0, 2]], atol=1e-6)


def test_workers_and_strategies_agree(signals, exact_norms):
    X, y, _ = signals
    scores = [
        lambda_path(cv=3, strategy=strategy, n_jobs=n_jobs).fit(X, y).score_path_
        for strategy in ("stacked", "separate")
        for n_jobs in (1, 2, 4)
    ]
    for other in scores[1:]:
        np.testing.assert_allclose(other, scores[0], atol=1e-6)


def test_path_arrays(signals):
    X, y, _ = signals
    path = lambda_path(values=[0.1, 0.001, 0.1, 0.01], cv=4).fit(X, y)
    np.testing.assert_array_equal(path.param_range_, LAMBDAS)
    for name in ("score_path_", "data_loss_path_", "rho_h_path_", "perturbation_gain_path_"):
        assert getattr(path, name).shape == (3, 4)
        assert np.isfinite(getattr(path, name)).all()
    # A stronger penalty makes a smaller gain, in every fold.
    assert (np.diff(path.perturbation_gain_path_, axis=0) < 0).all()
    assert path.n_splits_ == 4
    assert path.best_score_ == path.score_path_.mean(axis=1).max()
    assert path.best_params_ == {"lambda_s": path.param_range_[path.best_index_]}


def test_fitted_model_is_that_of_the_estimator(signals):
    X, y, labels = signals
    path = lambda_path(lstm()).fit(X, y)
    alone = lstm(**path.best_params_).fit(X, y)
    np.testing.assert_array_equal(path.predict(X), alone.predict(X))
    np.testing.assert_array_equal(path.certify(X[:5], 0.1), alone.certify(X[:5], 0.1))
    assert path.score(X, y) == alone.score(X, y)
    assert path.generalization_bound_ == alone.generalization_bound_
    for name in ("rho_h_", "rho_x_", "perturbation_gain_"):
        assert getattr(path.best_estimator_, name) == getattr(alone, name)
    assert str(path.generalization_report(X, y)) == str(alone.generalization_report(X, y))
    path = sigma_path().fit(X, labels)
    alone = relu(**path.best_params_).fit(X, labels)
    np.testing.assert_array_equal(path.decision_function(X), alone.decision_function(X))
    np.testing.assert_array_equal(path.certified_radius(X[:5]), alone.certified_radius(X[:5]))
    assert path.certified_accuracy(X, labels, 0.01) == alone.certified_accuracy(X, labels, 0.01)
    np.testing.assert_array_equal(path.classes_, alone.classes_)


@pytest.mark.parametrize("make", [lambda_path, sigma_path])
def test_one_certificate_by_three_ways(signals, make):
    X, y, labels = signals
    path = make().fit(X, labels if make is sigma_path else y)
    best, eps = path.best_estimator_, np.array([0.1, 0.02])
    for options in ({}, {"method": "intervals"}, {"batch_size": 3}):
        by_path = path.certify(X[:9], eps, **options)
        np.testing.assert_array_equal(by_path, best.certify(X[:9], eps, **options))
        np.testing.assert_array_equal(by_path, sklstm.certify(path, X[:9], eps, **options))
    if make is sigma_path:
        radius = path.certified_radius(X[:9], rtol=0.1)
        np.testing.assert_array_equal(radius, best.certified_radius(X[:9], rtol=0.1))
        np.testing.assert_array_equal(radius, sklstm.certified_radius(path, X[:9], rtol=0.1))
        accuracy = path.certified_accuracy(X, labels, eps)
        assert accuracy == best.certified_accuracy(X, labels, eps) == sklstm.certified_accuracy(path, X, labels, eps)


def test_methods_are_those_of_the_estimator():
    of_regressor, of_classifier = lambda_path(), sigma_path()
    for name in ("predict_proba", "predict_log_proba", "decision_function", "certified_radius", "certified_accuracy"):
        assert not hasattr(of_regressor, name)
        assert hasattr(of_classifier, name)
    assert is_regressor(of_regressor)
    assert is_classifier(of_classifier)


def test_parameters_of_the_estimator(signals):
    X, y, _ = signals
    path = lambda_path()
    assert path.get_params()["estimator__hidden_size"] == 4
    assert "estimator__hidden_size" not in path.get_params(deep=False)
    path.set_params(estimator__hidden_size=3, estimator__lambda_s=5.0, param_range=[0.1, 0.2])
    assert path.estimator.hidden_size == 3
    copy = clone(path)
    assert copy.estimator is not path.estimator
    assert str(copy.get_params()) == str(path.get_params())
    fitted = copy.fit(X, y).best_estimator_
    assert fitted.hidden_size == 3
    assert fitted.lambda_s in (0.1, 0.2)
    assert copy.estimator.lambda_s == 5.0  # the estimator is not changed
    assert not hasattr(copy.estimator, "net_")


def test_a_grid_search_around_a_path(signals):
    X, y, _ = signals
    search = GridSearchCV(lambda_path(), {"estimator__hidden_size": [2, 3]}, cv=2).fit(X, y)
    size = search.best_params_["estimator__hidden_size"]
    expected = [cross_val_score(lambda_path(lstm(units)), X, y, cv=2).mean() for units in (2, 3)]
    np.testing.assert_array_equal(search.cv_results_["mean_test_score"], expected)
    assert search.best_estimator_.best_estimator_.hidden_size == size
    np.testing.assert_array_equal(search.predict(X), lambda_path(lstm(size)).fit(X, y).predict(X))


def test_a_path_behind_a_scaler(signals):
    X, y, _ = signals
    X = 20 + 5 * X
    pipeline = make_pipeline(SequenceScaler(), lambda_path()).fit(X, y)
    scaled = SequenceScaler().fit_transform(X)
    alone = lambda_path().fit(scaled, y)
    np.testing.assert_array_equal(pipeline[-1].score_path_, alone.score_path_)
    np.testing.assert_array_equal(pipeline.predict(X), alone.predict(scaled))
    lower, upper = sklstm.certify(pipeline, X, 0.1)
    assert (lower < pipeline.predict(X)).all()
    assert (pipeline.predict(X) < upper).all()


def test_lists_and_frames(signals):
    pandas = pytest.importorskip("pandas")
    X, y, labels = signals
    lengths = np.random.default_rng(2).integers(2, 8, len(X))
    ragged = [sequence[:length] for sequence, length in zip(X, lengths, strict=True)]
    path = sigma_path(strategy="stacked").fit(ragged, labels)
    grid = GridSearchCV(relu(), {"sigma": SIGMAS}, cv=2).fit(ragged, labels)
    cold = clone(path).set_params(shared_fraction=0).fit(ragged, labels)
    np.testing.assert_array_equal(cold.cv_results_["mean_test_score"], grid.cv_results_["mean_test_score"])
    assert path.predict(ragged).shape == (len(X),)
    frame = pandas.DataFrame(X.reshape(len(X), -1), columns=[f"c{i}" for i in range(14)])
    of_frame = lambda_path(lstm(n_channels=2)).fit(frame, pandas.Series(y))
    of_array = lambda_path().fit(X, y)
    np.testing.assert_array_equal(of_frame.score_path_, of_array.score_path_)
    assert list(of_frame.feature_names_in_) == list(frame.columns)
    assert of_frame.n_features_in_ == 14


def test_outputs_layers_and_groups(signals):
    X, y, _ = signals
    two = np.column_stack([y, -y])
    path = lambda_path(lstm(3, num_layers=2), strategy="stacked").fit(X, two)
    assert path.predict(X).shape == two.shape
    assert path.rho_h_path_.shape == (3, 2)
    groups = np.arange(len(X)) % 5
    assert lambda_path(cv=GroupKFold(5)).fit(X, y, groups=groups).n_splits_ == 5
    path = sigma_path(values=[0.1], cv=StratifiedKFold(2)).fit(X, y > 0)
    assert path.best_params_ == {"sigma": 0.1}


def test_whole_trainings_are_not_shared(signals):
    X, y, _ = signals
    for options in ({"early_stopping": True}, {"lr_schedule": "plateau"}):
        path = lambda_path(lstm(**options)).fit(X, y)
        grid = GridSearchCV(lstm(**options), {"lambda_s": LAMBDAS}, cv=2).fit(X, y)
        np.testing.assert_allclose(path.cv_results_["mean_test_score"], grid.cv_results_["mean_test_score"], atol=1e-3)


def test_every_sigma_begins_with_its_own_ridge_regression(signals):
    X, y, _ = signals
    sigmas = [0.0, 0.3, 3.0]
    path = sigma_path(lstm(), sigmas).fit(X, y)
    grid = GridSearchCV(lstm(), {"sigma": sigmas}, cv=2).fit(X, y)
    np.testing.assert_allclose(path.cv_results_["mean_test_score"], grid.cv_results_["mean_test_score"], atol=1e-3)
    assert np.ptp(path.score_path_, axis=0).min() > 0.1


def test_no_refit(signals):
    X, y, _ = signals
    path = lambda_path(refit=False).fit(X, y)
    assert path.best_params_["lambda_s"] in LAMBDAS
    with pytest.raises(NotFittedError, match="fitted with refit=False"):
        path.predict(X)
    assert not hasattr(path, "generalization_bound_")
    with pytest.raises(NotFittedError, match="not fitted yet"):
        clone(path).predict(X)


def test_pickle_and_random_state(signals):
    X, y, _ = signals
    path = lambda_path().fit(X, y)
    copy = pickle.loads(pickle.dumps(path))
    np.testing.assert_array_equal(copy.predict(X), path.predict(X))
    lambda_path(lstm(random_state=np.random.RandomState(0))).fit(X, y)
    first, second = (lambda_path(lstm(random_state=None), [0.01]).fit(X, y) for _ in range(2))
    assert first.best_score_ != second.best_score_


def test_a_random_state_means_the_same_in_every_model(signals):
    X, y, _ = signals
    state = np.random.RandomState(0)
    before = state.get_state()[1].copy()
    model = lstm(random_state=state, early_stopping=True)
    once, again = (lambda_path(model, [0.01], strategy="separate").fit(X, y).score_path_ for _ in range(2))
    np.testing.assert_array_equal(once, again)
    np.testing.assert_array_equal(state.get_state()[1], before)  # it is copied, as in GridSearchCV
    grid = GridSearchCV(model, {"lambda_s": [0.01]}, cv=2).fit(X, y)
    assert once.mean() == grid.best_score_


def test_a_second_fit_forgets_the_first(signals):
    X, y, _ = signals
    path = lambda_path().fit(X, y)
    path.set_params(refit=False).fit(X[:, :, :1], y)
    assert path.n_features_in_ == 1
    with pytest.raises(NotFittedError, match="refit=False"):
        path.predict(X)


def test_a_weight_for_all(signals):
    X, y, _ = signals
    one, two = (lambda_path().fit(X, y, sample_weight=weight) for weight in (None, 2.0))
    np.testing.assert_allclose(one.score_path_, two.score_path_)


def test_weights_count_in_training_and_in_scores_that_take_them(signals):
    X, y, _ = signals
    weight = np.where(np.arange(len(X)) % 2, 3.0, 0.5)

    def unweighted(model, X, y):
        return model.score(X, y)

    def weighted(model, X, y, sample_weight=None):
        return model.score(X, y, sample_weight=sample_weight)

    models = {
        name: lambda_path(strategy="separate", shared_fraction=0, scoring=scoring).fit(X, y, sample_weight=weight)
        for name, scoring in {"default": None, "r2": "r2", "weighted": weighted, "unweighted": unweighted}.items()
    }
    train, test = next(KFold(2).split(X))
    by_hand = lstm(lambda_s=LAMBDAS[0]).fit(X[train], y[train], sample_weight=weight[train])
    assert models["unweighted"].score_path_[0, 0] == by_hand.score(X[test], y[test])
    assert models["weighted"].score_path_[0, 0] == by_hand.score(X[test], y[test], sample_weight=weight[test])
    for name in ("default", "r2"):
        np.testing.assert_allclose(models[name].score_path_, models["weighted"].score_path_)
    assert models["weighted"].score(X, y, weight) == models["weighted"].best_estimator_.score(X, y, weight)


def test_processes_and_configuration(signals):
    X, y, _ = signals

    def score(model, X, y):
        assert get_config()["assume_finite"]
        return model.score(X, y)

    with config_context(assume_finite=True), parallel_config(backend="threading"):
        path = lambda_path(n_jobs=2, scoring=score).fit(X, y)
    again = clone(path).set_params(n_jobs=2, scoring=None).fit(X, y)  # in processes
    np.testing.assert_allclose(again.score_path_, path.score_path_, atol=1e-4)


@pytest.mark.parametrize("strategy", ["stacked", "separate"])
@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad])
def test_under_the_callers_grad_mode(signals, strategy, mode):
    X, _, labels = signals
    expected = sigma_path(strategy=strategy).fit(X, labels, sample_weight=np.arange(1.0, 104))
    with mode():
        path = sigma_path(strategy=strategy).fit(X, labels, sample_weight=np.arange(1.0, 104))
    np.testing.assert_array_equal(path.score_path_, expected.score_path_)
    path.best_estimator_.partial_fit(X, labels)  # its weights can still be trained


def test_callbacks_see_every_model(signals):
    X, y, _ = signals
    clipped, plain = (
        lambda_path(lstm(callbacks=callbacks), strategy="stacked").fit(X, y)
        for callbacks in ([GradientNormClipping(1e-3)], None)
    )
    separate = clone(clipped).set_params(strategy="separate").fit(X, y)
    np.testing.assert_array_equal(clipped.score_path_, separate.score_path_)
    assert not np.allclose(clipped.score_path_, plain.score_path_, atol=1e-3)
