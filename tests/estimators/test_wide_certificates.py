"""Limits that are farther apart than the targets of the training: a warning says for how many, and what would help."""

import copy
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.compose import TransformedTargetRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PowerTransformer, StandardScaler

import sklstm
from sklstm import NoisyRNNClassifier, TikhonovGRURegressor, TikhonovLSTMRegressor, certify
from sklstm.estimators._files import document_of
from sklstm.exceptions import WideCertificateWarning
from sklstm.inspection import CertifiedBandDisplay, CertifiedFrontDisplay
from sklstm.metrics import make_certified_scorer
from sklstm.model_selection import RegularizationPathCV
from sklstm.persistence._container import ModelFileError, to_bytes
from sklstm.preprocessing import SequenceScaler
from tests.support.composed import QUICK
from tests.support.problems import late_mean

X, MEAN = late_mean(60, n_steps=4)
Y = np.exp(2 * MEAN)
MODELS = Path(__file__).parents[1] / "persistence" / "fixtures"


def heard(action):
    """What is returned, and the warnings, which name the line that calls."""
    with warnings.catch_warnings(record=True, action="always", category=WideCertificateWarning) as caught:
        returned = action()
    assert all(warning.filename == __file__ for warning in caught)
    return returned, [str(warning.message) for warning in caught]


def lstm(**options):
    free = {"skip": "none", "lambda_s": 0.0, "lambda_1": 0.0, "lambda_2": 0.0, "lr": 0.03, "max_epochs": 30}
    return TikhonovLSTMRegressor(**QUICK | free | options)


COMPOSED = {
    "alone": lambda: lstm(),
    "scaled inputs": lambda: make_pipeline(SequenceScaler(), lstm()),
    "scaled targets": lambda: TransformedTargetRegressor(lstm(), transformer=StandardScaler()),
    "logarithms of targets": lambda: TransformedTargetRegressor(lstm(), func=np.log, inverse_func=np.exp),
    "roots of targets": lambda: TransformedTargetRegressor(lstm(), func=np.sqrt, inverse_func=np.square),
    "powers of targets": lambda: TransformedTargetRegressor(lstm(), transformer=PowerTransformer()),
    "path": lambda: RegularizationPathCV(lstm(), "weight_decay", [0.0, 1e-4], cv=2),
}


@pytest.fixture(scope="module", params=COMPOSED)
def composed(request):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # few epochs, y in units of its own
        return COMPOSED[request.param]().fit(X, Y)


@pytest.mark.parametrize("eps", [0.0, 0.05, 0.3, 1.0, 3.0])
def test_it_warns_of_those_that_are_wider_than_the_targets_as_given(composed, eps):
    """In the units of the predictions, whatever the targets went through: those that the reader of limits sees."""
    (lower, upper), messages = heard(lambda: certify(composed, X, eps, method="intervals"))
    wide = (upper - lower > np.ptp(Y)).sum()
    assert len(messages) == (wide > 0)
    if wide:
        assert f" {wide} of 60 predictions ({wide / 60:.0%})" in messages[0]
        assert f"which range over {np.ptp(Y):.4g}. " in messages[0]
        assert f"median width is {np.median(upper - lower):.4g}. " in messages[0]
    assert wide or eps < 3
    assert heard(lambda: certify(FrozenEstimator(composed), X, eps, method="intervals"))[1] == messages


def test_it_says_what_would_help():
    model = lstm().fit(X, MEAN)
    remedies = "training for such errors (robust_eps), method='linear', or a smaller eps."
    assert heard(lambda: model.certify(X, 9.0))[1][0].endswith(remedies)
    assert "method=" not in heard(lambda: model.certify(X[:2], 9.0, method="linear"))[1][0]


def test_every_output_has_a_range_of_its_own():
    targets = np.c_[MEAN, 100 * MEAN**2]
    model = TransformedTargetRegressor(lstm(), transformer=StandardScaler()).fit(X, targets)
    (lower, upper), messages = heard(lambda: certify(model, X, 0.4, method="intervals"))
    (first, second) = ((upper - lower)[:, column] > np.ptp(targets[:, column]) for column in (0, 1))
    column = int(second.sum() > first.sum())
    assert f" {(first | second).sum()} of 60 " in messages[0]
    assert f"range over {np.ptp(targets[:, column]):.4g} (output {column}). The median" in messages[0]
    assert f"width is {np.median((upper - lower)[:, column]):.4g}. " in messages[0]


def test_where_there_is_no_range_there_is_no_warning():
    constant = lstm().fit(X, np.full(60, 2.0))
    classifier = NoisyRNNClassifier(4, max_epochs=2, random_state=0).fit(X, MEAN > 0)
    for model in (constant, classifier):
        assert not heard(lambda model=model: model.certify(X, 9.0))[1]


def test_the_range_is_that_of_all_training():
    model = lstm().partial_fit(X[:20], MEAN[:20])
    np.testing.assert_array_equal(model._target_range.ravel(), [MEAN[:20].min(), MEAN[:20].max()])
    model.partial_fit(X[20:], MEAN[20:])
    np.testing.assert_array_equal(model._target_range.ravel(), [MEAN.min(), MEAN.max()])
    model.fit(X[:9], MEAN[:9])
    np.testing.assert_array_equal(model._target_range.ravel(), [MEAN[:9].min(), MEAN[:9].max()])
    with pytest.raises(ValueError, match="NaN"):
        model.fit(X, np.full(60, np.nan))
    np.testing.assert_array_equal(model._target_range.ravel(), [MEAN[:9].min(), MEAN[:9].max()])


def test_files_and_pickles_keep_the_range(tmp_path):
    model = TikhonovGRURegressor(**QUICK).fit(X, np.c_[MEAN, -3 * MEAN])
    model.save(tmp_path / "model.safetensors")
    for other in (sklstm.load(tmp_path / "model.safetensors"), pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        np.testing.assert_array_equal(other._target_range, model._target_range)
        assert heard(lambda other=other: other.certify(X, 9.0))[1] == heard(lambda: model.certify(X, 9.0))[1] != []


@pytest.mark.parametrize("name", ["tikhonov_gru_regressor", "tikhonov_lstm_regressor"])
def test_files_of_before_do_not_know_it(name):
    path = MODELS / f"{name}.safetensors"
    assert b"_target_range" not in path.read_bytes()
    model = sklstm.load(path)
    assert not heard(lambda: model.certify(np.zeros((3, 4, model.n_features_in_)), 99.0))[1]


@pytest.mark.parametrize(
    "change",
    [
        lambda model: setattr(model, "_target_range", model._target_range[::-1].copy()),
        lambda model: setattr(model, "_target_range", np.zeros((2, 2))),
        lambda model: setattr(model, "_target_range", np.array([[np.nan], [1.0]])),
    ],
)
def test_files_with_another_range_are_refused(tmp_path, change):
    model = lstm().fit(X, MEAN)
    change(model)
    (tmp_path / "model.safetensors").write_bytes(to_bytes(document_of(model)))
    with pytest.raises(ModelFileError, match="_target_range does not fit"):
        sklstm.load(tmp_path / "model.safetensors")


def test_classifiers_have_none_in_files(tmp_path):
    model = NoisyRNNClassifier(4, max_epochs=2, random_state=0).fit(X, MEAN > 0)
    model._target_range = np.zeros((2, 1))
    (tmp_path / "model.safetensors").write_bytes(to_bytes(document_of(model)))
    with pytest.raises(ModelFileError, match="_target_range does not fit"):
        sklstm.load(tmp_path / "model.safetensors")


def test_pictures_of_limits_warn_and_scores_of_them_do_not():
    """A score or an error says itself how bad it is, and searches try what is wide on purpose."""
    model = lstm().fit(X, MEAN)
    assert len(heard(lambda: CertifiedBandDisplay.from_estimator(model, X, eps=9.0))[1]) == 1
    for action in (
        lambda: make_certified_scorer("r2", 9.0)(model, X, MEAN),
        lambda: CertifiedFrontDisplay.from_estimators({"one": model}, X, MEAN, eps=9.0),
    ):
        assert not heard(action)[1]
