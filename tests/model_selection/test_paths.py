"""Paths against scikit-learn's grid search over the same values."""

import inspect
import pickle

import numpy as np
import pytest
from joblib import parallel_config
from sklearn import config_context, get_config
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, StratifiedKFold, TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from skorch.callbacks import GradientNormClipping

from sklstm import NoisyRNNClassifier, TikhonovLSTMRegressor
from sklstm.estimators._tikhonov import NetworkPenalty
from sklstm.model_selection import NoisyRNNClassifierCV, TikhonovLSTMRegressorCV
from sklstm.preprocessing import SequenceScaler

LAMBDAS, SIGMAS = [0.001, 0.01, 0.1], [0.0, 0.1, 0.5]
SMALL = {"max_epochs": 6, "random_state": 0, "compute_bound": False, "batch_size": 16}


@pytest.fixture(scope="module")
def signals():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((103, 7, 2))  # folds of unequal size
    return X, X[:, -3:, 0].mean(axis=1), X[:, :, 0].sum(axis=1) > 0


@pytest.fixture
def exact_norms(monkeypatch):
    """Exact spectral norms at every step: the estimates of a stack are made in other steps than those of one model."""
    monkeypatch.setattr("sklstm.tikhonov._norm_tracking._usable", lambda norms: False)
    with parallel_config(backend="threading"):  # processes would not know of it
        yield


@pytest.mark.parametrize("strategy", ["stacked", "separate"])
@pytest.mark.parametrize("n_jobs", [None, 2])
@pytest.mark.parametrize("cv", [3, TimeSeriesSplit(3), KFold(3, shuffle=True, random_state=0)])
def test_regressor_without_shared_epochs_is_grid_search(signals, exact_norms, strategy, n_jobs, cv):
    X, y, _ = signals
    grid = GridSearchCV(TikhonovLSTMRegressor(4, **SMALL), {"lambda_s": LAMBDAS}, cv=cv).fit(X, y)
    path = TikhonovLSTMRegressorCV(
        4, lambdas=LAMBDAS, cv=cv, strategy=strategy, n_jobs=n_jobs, shared_fraction=0, **SMALL
    ).fit(X, y)
    expected = np.array([grid.cv_results_[f"split{fold}_test_score"] for fold in range(3)]).T
    np.testing.assert_allclose(path.score_path_, expected, atol=0 if strategy == "separate" else 1e-6)
    assert path.lambda_s_ == grid.best_params_["lambda_s"]
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
    options = SMALL | {"noise": noise, "max_norm_w": 1.5, "class_weight": "balanced"}
    grid = GridSearchCV(NoisyRNNClassifier(5, **options), {"sigma": SIGMAS}, scoring=scoring, cv=3)
    grid.fit(X, y, sample_weight=weight)
    path = NoisyRNNClassifierCV(
        5, sigmas=SIGMAS, scoring=scoring, cv=3, strategy=strategy, shared_fraction=0, **options
    ).fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(path.cv_results_["mean_test_score"], grid.cv_results_["mean_test_score"], atol=1e-5)
    assert path.sigma_ == grid.best_params_["sigma"]
    np.testing.assert_array_equal(path.predict_proba(X), grid.predict_proba(X))
    if scoring:
        np.testing.assert_allclose(path.score(X, y), grid.score(X, y))


def test_the_middle_of_the_path_is_the_same_with_shared_epochs(signals, exact_norms):
    # The shared epochs are trained at the middle value: for it they are nothing but its own.
    X, y, _ = signals
    options = SMALL | {"lr_schedule": "cosine", "sigma": 0.1}
    paths = [
        TikhonovLSTMRegressorCV(4, lambdas=LAMBDAS, cv=3, shared_fraction=share, strategy=strategy, **options).fit(X, y)
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
        TikhonovLSTMRegressorCV(4, lambdas=LAMBDAS, cv=3, strategy=strategy, n_jobs=n_jobs, **SMALL)
        .fit(X, y)
        .score_path_
        for strategy in ("stacked", "separate")
        for n_jobs in (1, 2, 4)
    ]
    for other in scores[1:]:
        np.testing.assert_allclose(other, scores[0], atol=1e-6)


def test_path_arrays(signals):
    X, y, _ = signals
    path = TikhonovLSTMRegressorCV(4, lambdas=[0.1, 0.001, 0.1, 0.01], cv=4, **SMALL).fit(X, y)
    np.testing.assert_array_equal(path.lambdas_, LAMBDAS)
    for name in ("score_path_", "data_loss_path_", "rho_h_path_", "perturbation_gain_path_"):
        assert getattr(path, name).shape == (3, 4)
        assert np.isfinite(getattr(path, name)).all()
    # A stronger penalty makes a smaller gain, in every fold.
    assert (np.diff(path.perturbation_gain_path_, axis=0) < 0).all()
    assert path.n_splits_ == 4
    assert path.best_score_ == path.score_path_.mean(axis=1).max()


def test_numbers_of_values(signals):
    X, y, labels = signals
    path = TikhonovLSTMRegressorCV(2, lambdas=3, cv=2, **SMALL).fit(X, y)
    np.testing.assert_allclose(path.lambdas_, [1e-4, 1e-2, 1])
    path = NoisyRNNClassifierCV(2, sigmas=4, cv=2, **SMALL).fit(X, labels)
    np.testing.assert_allclose(path.sigmas_, np.std(X) * np.array([0, 0.01, 0.1, 1]))


def test_fitted_model_is_that_of_the_estimator(signals):
    X, y, labels = signals
    options = SMALL | {"compute_bound": True}
    path = TikhonovLSTMRegressorCV(4, lambdas=LAMBDAS, cv=2, **options).fit(X, y)
    alone = TikhonovLSTMRegressor(4, lambda_s=path.lambda_s_, **options).fit(X, y)
    np.testing.assert_array_equal(path.predict(X), alone.predict(X))
    np.testing.assert_array_equal(path.certify(X[:5], 0.1), alone.certify(X[:5], 0.1))
    assert path.score(X, y) == alone.score(X, y)
    for name in ("generalization_bound_", "rho_h_", "rho_x_", "perturbation_gain_"):
        assert getattr(path, name) == getattr(alone, name)
    assert str(path.generalization_report_) == str(alone.generalization_report_)
    path = NoisyRNNClassifierCV(4, sigmas=SIGMAS, cv=2, **SMALL).fit(X, labels)
    alone = NoisyRNNClassifier(4, sigma=path.sigma_, **SMALL).fit(X, labels)
    np.testing.assert_array_equal(path.decision_function(X), alone.decision_function(X))
    np.testing.assert_array_equal(path.certified_radius(X[:5]), alone.certified_radius(X[:5]))
    assert path.certified_accuracy(X, labels, 0.01) == alone.certified_accuracy(X, labels, 0.01)
    np.testing.assert_array_equal(path.classes_, alone.classes_)


def test_every_parameter_of_the_estimator_is_there():
    for path, alone, own in (
        (TikhonovLSTMRegressorCV, TikhonovLSTMRegressor, {"lambda_s"}),
        (NoisyRNNClassifierCV, NoisyRNNClassifier, {"sigma"}),
    ):
        mine, theirs = (inspect.signature(cls).parameters for cls in (path, alone))
        assert set(theirs) - set(mine) == own | {"warm_start"}
        for name in set(theirs) & set(mine):
            assert mine[name].default == theirs[name].default
            assert mine[name].annotation == theirs[name].annotation
            assert mine[name].kind == theirs[name].kind


def test_lists_frames_and_pipelines(signals):
    pandas = pytest.importorskip("pandas")
    X, y, labels = signals
    lengths = np.random.default_rng(2).integers(2, 8, len(X))
    ragged = [sequence[:length] for sequence, length in zip(X, lengths, strict=True)]
    path = NoisyRNNClassifierCV(4, sigmas=SIGMAS, cv=2, strategy="stacked", **SMALL).fit(ragged, labels)
    grid = GridSearchCV(NoisyRNNClassifier(4, **SMALL), {"sigma": SIGMAS}, cv=2).fit(ragged, labels)
    cold = clone(path).set_params(shared_fraction=0).fit(ragged, labels)
    np.testing.assert_array_equal(cold.cv_results_["mean_test_score"], grid.cv_results_["mean_test_score"])
    assert path.predict(ragged).shape == (len(X),)
    frame = pandas.DataFrame(X.reshape(len(X), -1), columns=[f"c{i}" for i in range(14)])
    options = SMALL | {"n_channels": 2}
    of_frame = TikhonovLSTMRegressorCV(4, lambdas=LAMBDAS, cv=2, **options).fit(frame, pandas.Series(y))
    of_array = TikhonovLSTMRegressorCV(4, lambdas=LAMBDAS, cv=2, **SMALL).fit(X, y)
    np.testing.assert_array_equal(of_frame.score_path_, of_array.score_path_)
    assert list(of_frame.feature_names_in_) == list(frame.columns)
    assert of_frame.n_features_in_ == 14
    pipeline = make_pipeline(SequenceScaler(), TikhonovLSTMRegressorCV(4, lambdas=LAMBDAS, cv=2, **SMALL)).fit(X, y)
    assert pipeline.predict(X).shape == y.shape


def test_outputs_layers_and_groups(signals):
    X, y, _ = signals
    two = np.column_stack([y, -y])
    path = TikhonovLSTMRegressorCV(3, lambdas=LAMBDAS, cv=2, num_layers=2, strategy="stacked", **SMALL).fit(X, two)
    assert path.predict(X).shape == two.shape
    assert path.rho_h_path_.shape == (3, 2)
    groups = np.arange(len(X)) % 5
    path = TikhonovLSTMRegressorCV(3, lambdas=LAMBDAS, cv=GroupKFold(5), **SMALL).fit(X, y, groups=groups)
    assert path.n_splits_ == 5
    path = NoisyRNNClassifierCV(3, sigmas=[0.1], cv=StratifiedKFold(2), **SMALL).fit(X, y > 0)
    assert path.sigma_ == 0.1


def test_whole_trainings_are_not_shared(signals):
    X, y, _ = signals
    for options in ({"early_stopping": True}, {"lr_schedule": "plateau"}):
        path = TikhonovLSTMRegressorCV(4, lambdas=LAMBDAS, cv=2, **SMALL, **options).fit(X, y)
        grid = GridSearchCV(TikhonovLSTMRegressor(4, **SMALL, **options), {"lambda_s": LAMBDAS}, cv=2).fit(X, y)
        np.testing.assert_allclose(path.cv_results_["mean_test_score"], grid.cv_results_["mean_test_score"], atol=1e-3)


def test_a_value_that_diverges_is_reported_and_not_chosen(signals):
    X, _, y = signals
    options = SMALL | {"cv": 2, "optimizer": "sgd", "lr": 0.01, "clip_norm": None, "shared_fraction": 0}
    with pytest.warns(FitFailedWarning, match=r"The training of 2 of 4 models of the path diverged.*sigma=1e\+20"):
        path = NoisyRNNClassifierCV(4, sigmas=[0.1, 1e20], **options).fit(X, y)
    assert np.isnan(path.score_path_[1]).all()
    assert path.sigma_ == 0.1
    with pytest.raises(ValueError, match="None of the 4 models of the path could be trained"):
        NoisyRNNClassifierCV(4, sigmas=[1e20, 1e25], **options).fit(X, y)


def test_no_refit(signals):
    X, y, _ = signals
    path = TikhonovLSTMRegressorCV(4, lambdas=LAMBDAS, cv=2, refit=False, **SMALL).fit(X, y)
    assert path.lambda_s_ in LAMBDAS
    with pytest.raises(NotFittedError, match="fitted with refit=False"):
        path.predict(X)
    assert not hasattr(path, "generalization_bound_")
    with pytest.raises(NotFittedError, match="not fitted yet"):
        clone(path).predict(X)


def test_pickle_and_random_state(signals):
    X, y, _ = signals
    path = TikhonovLSTMRegressorCV(4, lambdas=LAMBDAS, cv=2, **SMALL).fit(X, y)
    copy = pickle.loads(pickle.dumps(path))
    np.testing.assert_array_equal(copy.predict(X), path.predict(X))
    state = np.random.RandomState(0)
    TikhonovLSTMRegressorCV(4, lambdas=LAMBDAS, cv=2, **SMALL | {"random_state": state}).fit(X, y)
    first, second = (
        TikhonovLSTMRegressorCV(4, lambdas=[0.01], cv=2, **SMALL | {"random_state": None}).fit(X, y) for _ in range(2)
    )
    assert first.best_score_ != second.best_score_


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"lambdas": 1}, ValueError, "lambdas"),
        ({"lambdas": []}, TypeError, "lambdas must be an integer of at least 2, or a sequence"),
        ({"lambdas": "many"}, TypeError, "lambdas must be"),
        ({"lambdas": [0.1, -1]}, ValueError, "every entry of lambdas"),
        ({"lambdas": [0.1, np.nan]}, ValueError, "every entry of lambdas must be a finite"),
        ({"lambdas": True}, TypeError, "lambdas must be"),
        ({"shared_fraction": 1.0}, ValueError, "shared_fraction"),
        ({"strategy": "fast"}, ValueError, "strategy must be one of"),
        ({"n_jobs": 0}, ValueError, "n_jobs must not be 0"),
        ({"hidden_size": 0}, ValueError, "hidden_size"),
        ({"scoring": "no such score"}, ValueError, "scoring"),
        ({"cv": 200}, ValueError, "Cannot have number of splits"),
    ],
)
def test_bad_parameters(signals, monkeypatch, options, error, message):
    X, y, _ = signals
    monkeypatch.setattr("sklstm.model_selection._path_cv.run_tasks", None)  # nothing is trained
    with pytest.raises(error, match=message):
        TikhonovLSTMRegressorCV(**{"hidden_size": 4, "cv": 2} | options).fit(X, y)


def test_bad_data_leaves_a_fitted_estimator_as_it_was(signals):
    X, y, _ = signals
    path = TikhonovLSTMRegressorCV(4, lambdas=LAMBDAS, cv=2, **SMALL).fit(X, y)
    before = path.predict(X)
    for bad in ((X[:5], y), (np.where(X > 2, np.nan, X), y), (X, None), (X, y.astype(str))):
        with pytest.raises((ValueError, TypeError)):
            path.fit(*bad)
        np.testing.assert_array_equal(path.predict(X), before)


def test_a_second_fit_forgets_the_first(signals):
    X, y, _ = signals
    path = TikhonovLSTMRegressorCV(4, lambdas=LAMBDAS, cv=2, **SMALL).fit(X, y)
    path.set_params(refit=False).fit(X[:, :, :1], y)
    assert path.n_features_in_ == 1
    with pytest.raises(NotFittedError, match="refit=False"):
        path.predict(X)


@pytest.mark.parametrize("wrong", [{"scoring": "nonsense"}, {"cv": 200}, {"scoring": ["r2", "neg_mean_squared_error"]}])
def test_a_fit_that_fails_changes_nothing(signals, wrong):
    X, y, _ = signals
    path = TikhonovLSTMRegressorCV(4, lambdas=LAMBDAS, cv=2, **SMALL).fit(X, y)
    path.set_params(**wrong)
    before = dict(vars(path))
    with pytest.raises(ValueError, match=r"scoring|splits"):
        path.fit(X[:, :, :1], y)
    assert vars(path) == before


def test_paths_of_attributes_whichever_model_diverged(signals, monkeypatch):
    X, y, _ = signals
    original = NetworkPenalty.__call__

    def diverging(self, module):
        value = original(self, module)
        return np.inf if self.of_weights._objective.lambda_s == LAMBDAS[0] else value

    monkeypatch.setattr(NetworkPenalty, "__call__", diverging)
    options = SMALL | {"shared_fraction": 0, "strategy": "separate"}
    with pytest.warns(FitFailedWarning, match="2 of 6 models"):
        path = TikhonovLSTMRegressorCV(4, lambdas=LAMBDAS, cv=2, refit=False, **options).fit(X, y)
    for name in ("rho_h_path_", "perturbation_gain_path_", "score_path_"):
        assert np.isnan(getattr(path, name)[0]).all()
        assert np.isfinite(getattr(path, name)[1:]).all()
    assert path.lambda_s_ != LAMBDAS[0]


def test_a_weight_for_all(signals):
    X, y, _ = signals
    one, two = (
        TikhonovLSTMRegressorCV(4, lambdas=LAMBDAS, cv=2, **SMALL).fit(X, y, sample_weight=weight)
        for weight in (None, 2.0)
    )
    np.testing.assert_allclose(one.score_path_, two.score_path_)


def test_processes_and_configuration(signals):
    X, y, _ = signals

    def score(model, X, y):
        assert get_config()["assume_finite"]
        return model.score(X, y)

    with config_context(assume_finite=True), parallel_config(backend="threading"):
        path = TikhonovLSTMRegressorCV(4, lambdas=LAMBDAS, cv=2, n_jobs=2, scoring=score, **SMALL).fit(X, y)
    again = clone(path).set_params(n_jobs=2, scoring=None).fit(X, y)  # in processes
    np.testing.assert_allclose(again.score_path_, path.score_path_, atol=1e-4)


def test_callbacks_see_every_model(signals):
    X, y, _ = signals
    clipped, plain = (
        TikhonovLSTMRegressorCV(4, lambdas=LAMBDAS, cv=2, strategy="stacked", callbacks=callbacks, **SMALL).fit(X, y)
        for callbacks in ([GradientNormClipping(1e-3)], None)
    )
    separate = clone(clipped).set_params(strategy="separate").fit(X, y)
    np.testing.assert_array_equal(clipped.score_path_, separate.score_path_)
    assert not np.allclose(clipped.score_path_, plain.score_path_, atol=1e-3)
