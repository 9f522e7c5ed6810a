"""What a path refuses, and what it does about models that cannot be trained or scored."""

import numpy as np
import pytest
import torch
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from skorch.callbacks import Callback

from sklstm import NoisyRNNClassifier, TikhonovLSTMRegressor
from sklstm.estimators._tikhonov import NetworkPenalty
from sklstm.model_selection import RegularizationPathCV
from sklstm.preprocessing import SequenceScaler
from tests.support.problems import late_mean

LAMBDAS = [0.001, 0.01, 0.1]
SMALL = {"max_epochs": 6, "random_state": 0, "batch_size": 16}
HALVES = [(np.arange(0, 50), np.arange(50, 103)), (np.arange(50, 103), np.arange(0, 50))]


def lstm(hidden_size=4, **options):
    return TikhonovLSTMRegressor(hidden_size, **SMALL | options)


def relu(hidden_size=4, **options):
    return NoisyRNNClassifier(hidden_size, **SMALL | options)


@pytest.fixture(scope="module")
def signals():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((103, 7, 2))
    return X, X[:, -3:, 0].mean(axis=1), X[:, :, 0].sum(axis=1) > 0


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"param_range": 1}, ValueError, "param_range == 1, must be >= 2"),
        ({"param_range": []}, TypeError, "param_range must be an integer of at least 2, or a sequence"),
        ({"param_range": "many"}, TypeError, "param_range must be"),
        ({"param_range": None}, TypeError, "param_range must be"),
        ({"param_range": True}, TypeError, "param_range must be"),
        ({"param_range": 2.5}, TypeError, "param_range must be"),
        ({"param_range": [0.1, -1]}, ValueError, "every entry of param_range"),
        ({"param_range": [0.1, np.nan]}, ValueError, "every entry of param_range must be a finite"),
        ({"param_range": [0.1, None]}, TypeError, "every entry of param_range must be"),
        ({"param_range": [0.1, [0.2, 0.3]]}, TypeError, "every entry of param_range must be"),
        ({"param_range": [0.0, 1.0], "param_name": "clip_norm"}, ValueError, "every entry of param_range"),
        ({"param_name": "max_norm_w"}, ValueError, "one of 'clip_norm', .*'lambda_s'.*'weight_decay' for TikhonovLSTM"),
        ({"param_name": "hidden_size"}, ValueError, "got 'hidden_size'. For another parameter use GridSearchCV"),
        ({"param_name": "estimator__lambda_s"}, ValueError, "param_name must be one of"),
        ({"param_name": None}, ValueError, "param_name must be one of"),
        ({"estimator": relu()}, ValueError, "for NoisyRNNClassifier; got 'lambda_s'"),
        ({"estimator": Ridge()}, TypeError, r"one of sklstm's estimators, got Ridge\(\).*use GridSearchCV"),
        ({"estimator": TikhonovLSTMRegressor}, TypeError, "one of sklstm's estimators, got <class"),
        ({"estimator": None}, TypeError, "one of sklstm's estimators, got None"),
        ({"estimator": make_pipeline(SequenceScaler(), lstm())}, TypeError, "other steps around the path: make_pipe"),
        ({"estimator": GridSearchCV(lstm(), {})}, TypeError, "one of sklstm's estimators"),
        ({"estimator": lstm(0)}, ValueError, "hidden_size"),
        ({"estimator": lstm(lr=-1)}, ValueError, "lr"),
        ({"shared_fraction": 1.0}, ValueError, "shared_fraction"),
        ({"shared_fraction": -0.1}, ValueError, "shared_fraction"),
        ({"strategy": "fast"}, ValueError, "strategy must be one of"),
        ({"refit": "r2"}, ValueError, "refit must be one of True, False"),
        ({"n_jobs": 0}, ValueError, "n_jobs must not be 0"),
        ({"n_jobs": 1.5}, TypeError, "n_jobs"),
        ({"scoring": "no such score"}, ValueError, "scoring"),
        ({"scoring": ["r2"]}, ValueError, "scoring must be one score"),
        ({"scoring": {"a": "r2"}}, ValueError, "scoring must be one score"),
        ({"cv": 200}, ValueError, "Cannot have number of splits"),
        ({"cv": []}, ValueError, "cv gives no splits"),
    ],
)
def test_bad_parameters(signals, monkeypatch, options, error, message):
    X, y, _ = signals
    monkeypatch.setattr("sklstm.model_selection._path.run_models", None)  # nothing is trained
    with pytest.raises(error, match=message):
        RegularizationPathCV(**{"estimator": lstm(), "param_name": "lambda_s", "cv": 2} | options).fit(X, y)


def test_bad_data_leaves_a_fitted_path_as_it_was(signals):
    X, y, _ = signals
    path = RegularizationPathCV(lstm(), "lambda_s", LAMBDAS, cv=2).fit(X, y)
    before = path.predict(X)
    for bad in ((X[:5], y), (np.where(X > 2, np.nan, X), y), (X, None), (X, y.astype(str))):
        with pytest.raises((ValueError, TypeError)):
            path.fit(*bad)
        np.testing.assert_array_equal(path.predict(X), before)


@pytest.mark.parametrize(
    "wrong",
    [
        {"scoring": "nonsense"},
        {"cv": 200},
        {"scoring": ["r2", "neg_mean_squared_error"]},
        {"param_name": "hidden_size"},
        {"cv": []},
        {"estimator": Ridge()},
    ],
)
def test_a_fit_that_fails_changes_nothing(signals, wrong):
    X, y, _ = signals
    path = RegularizationPathCV(lstm(), "lambda_s", LAMBDAS, cv=2).fit(X, y)
    path.set_params(**wrong)
    before = dict(vars(path))
    with pytest.raises((ValueError, TypeError), match=r"scoring|splits|param_name|estimator"):
        path.fit(X[:, :, :1], y)
    assert vars(path) == before


def test_a_fit_that_fails_in_training_changes_nothing(signals):
    X, y, _ = signals

    class Broken(Callback):
        def on_epoch_end(self, net, **kwargs):
            raise RuntimeError("broken")

    path = RegularizationPathCV(lstm(), "lambda_s", LAMBDAS, cv=2).fit(X, y)
    path.set_params(estimator=lstm(callbacks=[Broken()]))
    before = dict(vars(path))
    with pytest.raises(RuntimeError, match="broken"):
        path.fit(X[:, :, :1], y)
    assert vars(path) == before
    path.set_params(estimator=lstm(), scoring=lambda *_: 1 / 0)
    before = dict(vars(path))
    with pytest.raises(ValueError, match="scoring failed with ZeroDivisionError"):
        path.fit(X[:, :, :1], y)
    assert vars(path) == before


@pytest.mark.parametrize("strategy", ["stacked", "separate"])
def test_a_value_that_diverges_is_reported_and_not_chosen(signals, strategy):
    X, _, y = signals
    model = relu(optimizer="sgd", lr=0.01, clip_norm=None)
    options = {"cv": 2, "shared_fraction": 0, "strategy": strategy}
    message = (
        r"2 of 4 models of the path could not be trained or scored, in fold 0, 1.*sigma=1e\+20 in fold 0: .*diverged"
    )
    with pytest.warns(FitFailedWarning, match=message):
        path = RegularizationPathCV(model, "sigma", [0.1, 1e20], **options).fit(X, y)
    assert np.isnan(path.score_path_[1]).all()
    assert np.isfinite(path.score_path_[0]).all()
    assert path.best_params_ == {"sigma": 0.1}
    np.testing.assert_array_equal(path.cv_results_["rank_test_score"], [1, 2])
    with pytest.raises(ValueError, match="None of the 4 models of the path could be trained and scored"):
        RegularizationPathCV(model, "sigma", [1e20, 1e25], **options).fit(X, y)


def test_shared_epochs_that_diverge_are_not_shared(signals):
    X, _, y = signals
    model = relu(optimizer="sgd", lr=0.01, clip_norm=None)
    with pytest.warns(FitFailedWarning, match="4 of 6 models"):
        path = RegularizationPathCV(model, "sigma", [0.1, 1e20, 1e25], cv=2).fit(X, y)
    cold = RegularizationPathCV(model, "sigma", [0.1], cv=2, shared_fraction=0).fit(X, y)
    np.testing.assert_allclose(path.score_path_[0], cold.score_path_[0])


def test_paths_of_attributes_whichever_model_diverged(signals, monkeypatch):
    X, y, _ = signals
    original = NetworkPenalty.__call__

    def diverging(self, module):
        value = original(self, module)
        return np.inf if self.of_weights._objective.lambda_s == LAMBDAS[0] else value

    monkeypatch.setattr(NetworkPenalty, "__call__", diverging)
    path = RegularizationPathCV(lstm(), "lambda_s", LAMBDAS, cv=2, refit=False, shared_fraction=0, strategy="separate")
    with pytest.warns(FitFailedWarning, match="2 of 6 models"):
        path.fit(X, y)
    for name in ("rho_h_path_", "perturbation_gain_path_", "score_path_"):
        assert np.isnan(getattr(path, name)[0]).all()
        assert np.isfinite(getattr(path, name)[1:]).all()
    assert path.best_params_["lambda_s"] != LAMBDAS[0]


@pytest.mark.parametrize("n_jobs", [None, 2])
@pytest.mark.parametrize("options", [{}, {"early_stopping": True}])
def test_a_fold_that_cannot_be_trained(signals, n_jobs, options):
    X = signals[0]
    # In the first half one label only; with early stopping, one row of the other label, which cannot be divided.
    y = np.arange(103) % 3 == 0
    y[:50] = [bool(options)] + 49 * [False]
    reason = "early_stopping=True cannot hold out" if options else "at least 2 classes in y"
    path = RegularizationPathCV(relu(**options), "sigma", [0.1, 0.5], cv=HALVES, n_jobs=n_jobs)
    with pytest.warns(FitFailedWarning, match=rf"2 of 4 models .* in fold 0\. .*sigma=0.1 in fold 0: .*{reason}"):
        path.fit(X, y)
    assert np.isnan(path.score_path_[:, 0]).all()
    assert np.isfinite(path.score_path_[:, 1]).all()
    assert path.best_index_ == np.argmax(path.score_path_[:, 1])
    assert path.best_score_ == path.score_path_[:, 1].max()
    grid = GridSearchCV(relu(**options), {"sigma": [0.1, 0.5]}, cv=HALVES)
    with pytest.warns((FitFailedWarning, UserWarning), match=r"2 fits failed|non-finite"):
        grid.fit(X, y)
    for name in ("mean_test_score", "std_test_score", "rank_test_score"):
        np.testing.assert_array_equal(path.cv_results_[name], grid.cv_results_[name])
    alone = RegularizationPathCV(relu(**options), "sigma", [0.1, 0.5], cv=HALVES[1:]).fit(X, y)
    np.testing.assert_allclose(path.score_path_[:, 1], alone.score_path_[:, 0])


def test_a_label_that_a_fold_has_not_seen(signals):
    """Three labels, two of them in the first half: it is trained, and a score that needs all three fails."""
    X = signals[0]
    y = np.arange(103) % 3
    y[:50] = np.arange(50) % 2
    folds = [(np.arange(50), np.arange(76, 103)), (np.arange(50, 76), np.arange(76, 103))]
    path = RegularizationPathCV(relu(), "sigma", [0.1, 0.5], cv=folds).fit(X, y)
    assert np.isfinite(path.score_path_).all()
    path.set_params(scoring="neg_log_loss")
    with pytest.warns(FitFailedWarning, match=r"in fold 0\. .*scoring failed with ValueError"):
        path.fit(X, y)
    assert np.isnan(path.score_path_[:, 0]).all()
    assert path.best_index_ == np.argmax(path.score_path_[:, 1])
    assert np.isfinite(path.data_loss_path_).all()


def test_a_scorer_that_raises_or_has_no_number(signals):
    X, y, _ = signals
    first = X[50]  # in the test rows of fold 0

    def raising(model, X, y):
        if (X[0] == first).all():
            raise ValueError("Input contains NaN.")
        return model.score(X, y)

    def nan(model, X, y):
        return np.nan if (X[0] == first).all() else model.score(X, y)

    for scorer, reason in (
        (raising, r"scoring failed with ValueError: Input contains NaN\."),
        (nan, "the score is NaN"),
    ):
        path = RegularizationPathCV(lstm(), "lambda_s", LAMBDAS, cv=HALVES, scoring=scorer)
        with pytest.warns(
            FitFailedWarning, match=rf"3 of 6 models .* in fold 0\. .*lambda_s=0.001 in fold 0: {reason}"
        ):
            path.fit(X, y)
        assert np.isnan(path.score_path_[:, 0]).all()
        assert path.best_score_ == path.score_path_[:, 1].max()
    for scorer, reason in ((lambda *_: np.nan, "the score is NaN"), (lambda *_: "good", "could not convert")):
        path = RegularizationPathCV(lstm(), "lambda_s", LAMBDAS, cv=2, scoring=scorer)
        with pytest.raises(ValueError, match=rf"None of the 6 models .* In fold 0: .*{reason}"):
            path.fit(X, y)


def test_a_value_without_a_score_in_one_fold_is_not_chosen(signals):
    X, y, _ = signals

    def score(model, X, y):
        return np.nan if model.lambda_s == 0.01 and len(X) == 53 else model.lambda_s == 0.01

    with pytest.warns(FitFailedWarning, match="1 of 6 models"):
        path = RegularizationPathCV(lstm(), "lambda_s", LAMBDAS, cv=HALVES, scoring=score, refit=False).fit(X, y)
    assert path.best_index_ == 0
    np.testing.assert_array_equal(path.cv_results_["rank_test_score"], [1, 3, 1])

    def never_both(model, X, y):
        return np.nan if (model.lambda_s == 0.1) == (len(X) == 53) else 1.0

    path = RegularizationPathCV(lstm(), "lambda_s", [0.01, 0.1], cv=HALVES, scoring=never_both)
    with (
        pytest.warns(FitFailedWarning, match="2 of 4 models"),
        pytest.raises(ValueError, match="No value of the path has a score in every fold"),
    ):
        path.fit(X, y)


def test_a_default_device_of_the_caller_does_not_matter():
    X, y = late_mean(40)
    lstm = TikhonovLSTMRegressor(4, max_epochs=2, random_state=0)
    expected = RegularizationPathCV(lstm, "lambda_s", [0.01, 0.1], cv=2).fit(X, y)
    with torch.device("meta"):
        found = RegularizationPathCV(lstm, "lambda_s", [0.01, 0.1], cv=2).fit(X, y)
    np.testing.assert_array_equal(found.score_path_, expected.score_path_)


def test_splits_of_ranges_and_an_estimator_without_a_random_state():
    class Bare(TikhonovLSTMRegressor):
        def __init__(self, hidden_size=3, *, lambda_s=0.01):
            super().__init__(hidden_size, lambda_s=lambda_s, max_epochs=2)

    X, y = late_mean(40)
    path = RegularizationPathCV(Bare(), "lambda_s", [0.01, 0.1], cv=[(range(20), range(20, 40))]).fit(X, y)
    assert path.score_path_.shape == (2, 1)


def test_a_fit_of_somebodys_own_is_refused():
    class Doubling(TikhonovLSTMRegressor):
        def fit(self, X, y, sample_weight=None):
            return super().fit(X, 2 * y, sample_weight)

    with pytest.raises(TypeError, match="Doubling has a fit of its own, which a path would not call"):
        RegularizationPathCV(Doubling(), "lambda_s", [0.01, 0.1]).fit(*late_mean(40))
