"""`holdout_bound` of the estimators: the theorem on the losses of `predict`, beside the bounds from training data."""

import json

import numpy as np
import pytest
import torch
from scipy.stats import binomtest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from sklstm import NoisyRNNClassifier, TikhonovGRURegressor, TikhonovLSTMRegressor
from sklstm.generalization import choose_cap, holdout_bound
from tests.support.estimators import ESTIMATORS
from tests.support.problems import late_mean, signed_sum

QUICK = {"hidden_size": 4, "max_epochs": 3, "random_state": 0}


@pytest.fixture(scope="module")
def classifier():
    return NoisyRNNClassifier(**QUICK).fit(*signed_sum(120))


@pytest.fixture(scope="module")
def regressor():
    return TikhonovLSTMRegressor(**QUICK).fit(*late_mean(120))


def held_out_labels(n=150):
    return signed_sum(n, seed=5)


def test_classifier(classifier):
    X, y = held_out_labels()
    k = round((1 - classifier.score(X, y)) * len(y))
    assert 0 < k < len(y)
    bound = classifier.holdout_bound(X, y)
    assert (bound.n_errors, bound.n_samples, bound.delta) == (k, len(y), 0.05)
    assert bound.value == pytest.approx(binomtest(k, len(y), alternative="less").proportion_ci(0.95).high)
    assert classifier.holdout_bound(X, y, delta=0.01) == bound.at_delta(0.01)
    flat = clone(classifier).set_params(n_channels=2).fit(X[::2].reshape(75, -1), y[::2])
    assert flat.holdout_bound(X.reshape(len(X), -1), y).n_samples == len(y)
    assert classifier.holdout_bound(torch.from_numpy(X), list(y)) == bound


def test_unseen_labels_are_errors(classifier):
    X, y = held_out_labels()
    wrong = classifier.predict(X) != y
    assert not wrong.all()
    renamed = np.where(np.arange(len(y)) < 10, "sideways", y)
    bound = classifier.holdout_bound(X, renamed)
    assert bound.n_errors == 10 + wrong[10:].sum()


def test_delta_of_the_estimator():
    X, y = signed_sum(60)
    model = NoisyRNNClassifier(delta=0.2, **QUICK).fit(X[::2], y[::2])
    assert model.holdout_bound(X, y).delta == 0.2


@pytest.mark.parametrize("estimator", [TikhonovLSTMRegressor, TikhonovGRURegressor])
@pytest.mark.parametrize("outputs", [(), (1,), (3,)])
def test_regressors(estimator, outputs):
    X, y = late_mean(120)
    y = y.reshape(-1, *(1 for _ in outputs)) * np.ones(outputs)
    X, X_new, y, y_new = X[:80], X[80:], y[:80], y[80:]
    model = estimator(**QUICK).fit(X, y)
    bound = model.holdout_bound(X_new, y_new)
    cap = choose_cap(y)[0]
    assert bound.cap == cap == model.generalization_report(X, y)["occam"].scale
    losses = [np.mean((a - b) ** 2) for a, b in zip(model.predict(X_new), y_new, strict=True)]
    assert bound.mean_loss == pytest.approx(np.minimum(losses, cap).mean(), rel=1e-12)
    assert bound.value == pytest.approx(holdout_bound(losses, cap=cap).value, rel=1e-12)


def test_where_the_cap_comes_from(regressor):
    X, y = late_mean(60, seed=5)
    bound = regressor.holdout_bound(X, y, cap=0.25)
    assert bound.cap == 0.25
    assert bound.quantity == "a mean squared error capped at 0.25"
    assert regressor.holdout_bound(X, y, cap=0.25, method="best").value < bound.value, "60 sequences are few"
    fixed = TikhonovLSTMRegressor(loss_cap=0.5, **QUICK).fit(X[::2], y[::2])
    assert fixed.holdout_bound(X, y).cap == 0.5
    bare = TikhonovLSTMRegressor(**QUICK).partial_fit(X, y)
    with pytest.raises(ValueError, match="No cap of the loss is known, because partial_fit has chosen none"):
        bare.holdout_bound(X, y)
    assert bare.holdout_bound(X, y, cap=0.5).cap == 0.5
    bare.set_params(loss_cap=0.75)
    assert bare.holdout_bound(X, y).cap == 0.75


def test_huge_targets_are_cut_without_a_warning(regressor):
    X, y = late_mean(60, seed=5)
    y[:] = 1e300
    bound = regressor.holdout_bound(X, y)
    assert bound.mean_loss == bound.cap == bound.value
    assert bound.vacuous


def test_one_report(classifier, regressor):
    for model, training, (X, y) in (
        (classifier, signed_sum(120), held_out_labels()),
        (regressor, late_mean(120), late_mean(400, seed=5)),
    ):
        before = model.generalization_report(*training)
        report = before.with_bound(model.holdout_bound(X, y))
        assert next(iter(report)) == "holdout", "the hold-out bound is the tighter one"
        assert len(report) == len(before) + 1
        assert "holdout" not in before
        assert report.value == model.generalization_bound_, "fields are still those of the estimator's own bound"
        assert report.delta == 0.05
        for bound in report.bounds:
            assert f"{bound.name} = " in str(report)
        json.dumps(report.to_dict())


def test_predictions_are_left_alone(classifier):
    X, y = held_out_labels()
    before, state = classifier.predict_proba(X), dict(vars(classifier))
    classifier.holdout_bound(X, y)
    assert np.array_equal(classifier.predict_proba(X), before)
    assert vars(classifier) == state


@pytest.mark.parametrize("model", [kind() for kind in ESTIMATORS])
def test_not_fitted(model):
    with pytest.raises(NotFittedError):
        model.holdout_bound(np.zeros((3, 2, 1)), np.zeros(3))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"y": np.zeros(4)}, ValueError, "inconsistent numbers of samples"),
        ({"y": np.zeros(5, dtype=int)}, ValueError, "Mix of label input types"),
        ({"y": np.zeros((5, 2))}, ValueError, "1d array"),
        ({"y": None}, ValueError, "1d array"),
        ({"delta": 0.0}, ValueError, "delta"),
        ({"delta": "0.1"}, TypeError, "delta"),
        ({"X": np.zeros((5, 8, 3))}, ValueError, "3 channels"),
        ({"X": np.full((5, 8, 2), np.nan)}, ValueError, "NaN"),
    ],
)
def test_bad_input_to_the_classifier(classifier, change, error, message):
    X, y = held_out_labels(5)
    with pytest.raises(error, match=message):
        classifier.holdout_bound(**({"X": X, "y": y} | change))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"y": np.zeros(4)}, ValueError, r"shape of the predictions, \(5,\); got \(4,\)"),
        ({"y": np.zeros((5, 1))}, ValueError, r"got \(5, 1\)"),
        ({"y": np.full(5, np.nan)}, ValueError, "NaN"),
        ({"y": ["a"] * 5}, ValueError, "could not convert"),
        ({"cap": 0.0}, ValueError, "cap"),
        ({"cap": "1"}, TypeError, "cap"),
        ({"method": "hoeffding"}, ValueError, "method must be one of"),
        ({"delta": 1.0}, ValueError, "delta"),
        ({"X": np.zeros((5, 10, 3))}, ValueError, "3 channels"),
    ],
)
def test_bad_input_to_the_regressor(regressor, change, error, message):
    X, y = late_mean(5)
    with pytest.raises(error, match=message):
        regressor.holdout_bound(**({"X": X, "y": y} | change))


def test_one_sequence_has_no_variance(regressor):
    X, y = late_mean(1)
    with pytest.raises(ValueError, match="two losses or more"):
        regressor.holdout_bound(X, y)


def test_the_bound_of_the_quantised_predictor_says_so(classifier, regressor):
    for model, training, data in (
        (classifier, signed_sum(120), held_out_labels()),
        (regressor, late_mean(120), late_mean(120, seed=1)),
    ):
        report = model.generalization_report(*training)
        twin = model.quantized(report["occam"])
        with pytest.raises(ValueError, match="its bound is in the report of the model that it was made from"):
            twin.generalization_report(*training)
        bound = twin.holdout_bound(*data)
        assert (bound.name, bound.about) == ("holdout_quantized", "the quantised predictor")
        report = report.with_bound(model.holdout_bound(*data), bound)
        assert {report["holdout"].about, report["occam"].about} == {"the trained predictor", bound.about}
        assert bound.ceiling == report["occam"].ceiling, "with the cap of the estimator"
        again = twin.fit(*data)
        others = [part[::2] for part in data]
        assert again.holdout_bound(*others).about == "the trained predictor", "refitted, it is an estimator like others"


def test_the_training_data_are_refused(classifier, regressor, tmp_path):
    """Errors there say nothing about other data: pure noise can be learnt by heart."""
    for model, (X, y) in ((classifier, signed_sum(120)), (regressor, late_mean(120))):
        twin = model.quantized(model.generalization_report(X, y)["occam"])
        twin.save(tmp_path / "twin")
        for one in (model, twin, type(twin).load(tmp_path / "twin")):
            with pytest.raises(ValueError, match=r"X and y are the training data of this .*, so the bound would not"):
                one.holdout_bound(X, y)
            assert one.holdout_bound(X[1:], y[1:]).n_samples == len(X) - 1, "parts of them are not recognised"
