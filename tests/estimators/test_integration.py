"""The estimators among scikit-learn's own tools."""

import subprocess
import sys

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm import NoisyRNNClassifier, TikhonovLSTMRegressor
from tests.support.estimators import ESTIMATORS, REGRESSORS
from tests.support.problems import late_mean, signed_sum

QUICK = {"hidden_size": 6, "max_epochs": 4, "random_state": 0}
CASES = [(kind(**QUICK), late_mean if kind in REGRESSORS else signed_sum) for kind in ESTIMATORS]
ALL = pytest.mark.parametrize(("estimator", "data"), CASES, ids=[kind.__name__ for kind in ESTIMATORS])


def flat(X):
    return X.reshape(len(X), -1)


@ALL
def test_clone_and_params(estimator, data):
    X, y = data(60)
    changed = clone(estimator).set_params(hidden_size=3, batch_size=7)
    assert changed.get_params() == estimator.get_params() | {"hidden_size": 3, "batch_size": 7}
    fitted = changed.fit(X, y)
    assert clone(fitted).get_params() == fitted.get_params()
    assert not hasattr(clone(fitted), "net_")


@ALL
def test_flat_and_three_dimensional_input_are_the_same_thing(estimator, data):
    X, y = data(60)
    cube = clone(estimator).fit(X, y)
    rows = clone(estimator).set_params(n_channels=2).fit(flat(X), y)
    np.testing.assert_array_equal(cube.predict(X), rows.predict(flat(X)))
    np.testing.assert_array_equal(rows.predict(X), rows.predict(flat(X)))
    assert cube.n_features_in_ == 2
    assert rows.n_features_in_ == X.shape[1] * 2


@ALL
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_dtypes_and_read_only_input(estimator, data, dtype):
    X, y = data(60)
    X = X.astype(dtype)
    before = X.copy()
    X.flags.writeable = False
    model = clone(estimator).fit(X, y)
    predictions = model.predict(X)
    np.testing.assert_array_equal(X, before)
    np.testing.assert_array_equal(model.predict(np.asfortranarray(X)), predictions)
    np.testing.assert_array_equal(model.predict(X.tolist()), predictions)


@ALL
def test_other_lengths_can_be_predicted(estimator, data):
    X, y = data(60)
    model = clone(estimator).fit(X, y)
    assert len(model.predict(np.concatenate([X, X], axis=1))) == 60


@ALL
def test_pipeline_with_scaler_and_data_frame(estimator, data):
    X, y = data(80)
    frame = pd.DataFrame(1000 + 50 * flat(X)).rename(columns="t{}".format)
    model = make_pipeline(StandardScaler().set_output(transform="pandas"), clone(estimator).set_params(n_channels=2))
    predictions = model.fit(frame, y).predict(frame)
    assert list(model[-1].feature_names_in_) == list(frame.columns)
    by_hand = clone(estimator).set_params(n_channels=2).fit(StandardScaler().fit_transform(frame), y)
    np.testing.assert_array_equal(predictions, by_hand.predict(StandardScaler().fit_transform(frame)))


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_grid_search_over_the_penalty(n_jobs):
    X, y = late_mean(90)
    grid = {"lambda_s": [1e-3, 1.0], "lambda_1": [0.0, 1.0], "lambda_2": [1.0]}
    search = GridSearchCV(TikhonovLSTMRegressor(**QUICK), grid, n_jobs=n_jobs, cv=2, error_score="raise").fit(X, y)
    assert len(search.cv_results_["params"]) == 4
    assert np.ptp(search.cv_results_["mean_test_score"]) > 0
    assert search.best_estimator_.get_params()["lambda_s"] == search.best_params_["lambda_s"]


def test_grid_search_over_the_noise_gives_the_same_with_two_workers():
    X, y = signed_sum(90)
    serial, parallel = (
        GridSearchCV(
            NoisyRNNClassifier(**QUICK), {"sigma": [0.0, 0.1, 3.0]}, n_jobs=n_jobs, cv=2, error_score="raise"
        ).fit(X, y)
        for n_jobs in (1, 2)
    )
    np.testing.assert_array_equal(serial.cv_results_["mean_test_score"], parallel.cv_results_["mean_test_score"])


def test_joblib_round_trip_to_another_process(tmp_path):
    models, inputs, predictions = [], [], []
    for estimator, data in CASES:
        X, y = data(60)
        models.append(clone(estimator).fit(X, y))
        inputs.append(X)
        predictions.append(models[-1].predict(X))
        joblib.dump(models[-1], tmp_path / "one.joblib")
        assert (tmp_path / "one.joblib").stat().st_size < 100_000
    joblib.dump(models, tmp_path / "models.joblib")
    joblib.dump(inputs, tmp_path / "inputs.joblib")
    script = (
        "import sys, joblib\n"
        "folder = sys.argv[1]\n"
        "models, inputs = joblib.load(folder + '/models.joblib'), joblib.load(folder + '/inputs.joblib')\n"
        "there = [model.predict(X) for model, X in zip(models, inputs, strict=True)]\n"
        "joblib.dump(there, folder + '/there.joblib')\n"
        "[model.generalization_bound_ for model in models]\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", script, str(tmp_path)], check=True, timeout=120)
    there = joblib.load(tmp_path / "there.joblib")
    for model, X, expected, found in zip(models, inputs, predictions, there, strict=True):
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(model.predict(X), expected)  # saving leaves the live model where it was


@ALL
def test_cross_val_score(estimator, data):
    X, y = data(90)
    scores = cross_val_score(clone(estimator).set_params(max_epochs=20), X, y, cv=3, error_score="raise")
    assert scores.shape == (3,)
    assert scores.mean() > 0


def test_transformed_target():
    X, y = late_mean(200)
    y = 500 + 100 * y
    model = TransformedTargetRegressor(
        TikhonovLSTMRegressor(8, max_epochs=30, random_state=0), transformer=StandardScaler()
    ).fit(X, y)
    assert model.predict(X).shape == y.shape
    assert model.score(X, y) > 0.6


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_calibration(method):
    X, y = signed_sum(150)
    model = CalibratedClassifierCV(NoisyRNNClassifier(**QUICK), method=method, cv=2).fit(X, y)
    probabilities = model.predict_proba(X)
    assert probabilities.shape == (150, 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-12)


@ALL
def test_random_state(estimator, data):
    X, y = data(60)
    same = [clone(estimator).fit(X, y).predict(X) for _ in range(2)]
    np.testing.assert_array_equal(*same)
    curves = [clone(estimator).set_params(random_state=seed).fit(X, y).loss_curve_ for seed in (1, None, None)]
    assert curves[0] != curves[1] != curves[2]
    sharing = clone(estimator).set_params(random_state=np.random.RandomState(0))
    first, second = (clone(sharing).fit(X, y).loss_curve_ for _ in range(2))
    assert first == clone(estimator).fit(X, y).loss_curve_
    assert first == second  # clone copies the instance, as everywhere in scikit-learn


@ALL
def test_verbose_shows_a_progress_bar_with_the_losses(estimator, data, capfd):
    X, y = data(60)
    clone(estimator).set_params(verbose=1).fit(X, y)
    shown = capfd.readouterr().err
    assert type(estimator).__name__ in shown
    assert "4/4" in shown
    assert "data_loss=" in shown
    clone(estimator).fit(X, y)
    assert capfd.readouterr() == ("", "")


@ALL
def test_refit_forgets_the_last_fit(estimator, data):
    X, y = data(60)
    fresh = clone(estimator).fit(X, y)
    again = clone(estimator).set_params(n_channels=2).fit(flat(X[:30]), y[:30])
    again.set_params(n_channels=1).fit(X, y)
    np.testing.assert_array_equal(again.predict(X), fresh.predict(X))
    assert again.n_features_in_ == fresh.n_features_in_


@ALL
def test_views_with_negative_strides_and_foreign_byte_order(estimator, data):
    X, y = data(60)
    expected = clone(estimator).fit(X[:, ::-1].copy(), y[::-1].copy())
    model = clone(estimator).fit(X[:, ::-1], y[::-1])
    np.testing.assert_array_equal(model.predict(X[::-1]), expected.predict(X[::-1].copy()))
    if y.dtype.kind == "f":
        swapped = clone(estimator).fit(X[:, ::-1].astype(">f8"), y[::-1].astype(">f8"))
        np.testing.assert_array_equal(swapped.predict(X), expected.predict(X))


@ALL
def test_torch_tensors_of_any_kind(estimator, data):
    X, y = data(60)
    expected = clone(estimator).fit(X, y).predict(X)
    tensor = torch.tensor(X, requires_grad=True)
    model = clone(estimator).fit(tensor, torch.tensor(y) if y.dtype.kind == "f" else y)
    np.testing.assert_array_equal(model.predict(tensor), expected)
    assert model.predict(tensor.bfloat16()).shape == expected.shape
    assert tensor.grad is None


@ALL
def test_numpy_scalars_as_parameters(estimator, data):
    X, y = data(60)
    expected = clone(estimator).fit(X, y).predict(X)
    as_numpy = {
        name: np.array([value])[0]
        for name, value in estimator.get_params().items()
        if isinstance(value, bool | int | float | str) and name != "device"
    }
    assert isinstance(as_numpy["hidden_size"], np.int64)
    assert isinstance(as_numpy["optimizer"], np.str_)
    assert isinstance(as_numpy["early_stopping"], np.bool_)
    np.testing.assert_array_equal(clone(estimator).set_params(**as_numpy).fit(X, y).predict(X), expected)
    assert clone(estimator).set_params(verbose=False).fit(X, y)


@ALL
def test_predict_uses_what_was_fitted_not_what_was_set_since(estimator, data):
    X, y = data(60)
    model = clone(estimator).fit(X, y)
    expected = model.predict(X)
    model.set_params(hidden_size=None, n_channels=5, batch_size=None, lr="x")
    np.testing.assert_array_equal(model.predict(X), expected)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_a_fit_inside_a_mode_without_gradients_is_a_fit(mode):
    X = np.random.default_rng(0).standard_normal((40, 5, 2))
    for model, y in ((TikhonovLSTMRegressor(4, max_epochs=2, random_state=0), X[:, 0, 0]),
                     (NoisyRNNClassifier(4, max_epochs=2, random_state=0), X[:, 0, 0] > 0)):  # fmt: skip
        expected = clone(model).fit(X, y)
        with mode():
            inside = clone(model).fit(X, y)
            partial = clone(model).partial_fit(X, y, **({"classes": [False, True]} if y.dtype == bool else {}))
        np.testing.assert_array_equal(inside.predict(X), expected.predict(X))
        assert inside.generalization_bound_ == expected.generalization_bound_
        partial.partial_fit(X, y)
