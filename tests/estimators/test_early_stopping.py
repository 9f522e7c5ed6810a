"""Early stopping: on the last sequences, on data given to fit, in compositions; and what it leaves."""

import pickle
from copy import deepcopy
from functools import cache

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

import sklstm
from sklstm import NoisyRNNClassifier, TikhonovLSTMRegressor
from sklstm.model_selection import RegularizationPathCV
from sklstm.preprocessing import SequenceScaler, sliding_windows
from sklstm.training import Checkpoint
from tests.support.estimators import CLASSIFIERS, ESTIMATORS, REGRESSORS
from tests.support.problems import late_mean, signed_sum

ALL = pytest.mark.parametrize("kind", ESTIMATORS)
LAST = {"validation_split": "last", "validation_fraction": 0.25, "validation_gap": 3}


def problem(kind, n=60):
    return (signed_sum if kind in CLASSIFIERS else late_mean)(n)


def small(kind=TikhonovLSTMRegressor, **parameters):
    bare = {
        "hidden_size": 4,
        "max_epochs": 6,
        "lr": 0.02,
        "random_state": 0,
        "early_stopping": True,
    }
    return kind(**(bare | parameters))


def outputs(model, X):
    return model.predict_proba(X) if hasattr(model, "classes_") else model.predict(X)


def same(one, other, X):
    assert one.validation_loss_curve_ == other.validation_loss_curve_
    np.testing.assert_array_equal(outputs(one, X), outputs(other, X))


def ragged(X):
    return [sequence[: 3 + i % 4] for i, sequence in enumerate(X)]


@pytest.mark.parametrize("form", [np.asarray, ragged])
@ALL
def test_the_last_part_is_as_good_as_the_same_data_given(kind, form):
    X, y = problem(kind)
    X = form(X)
    n_train = 60 - 15 - 3
    held_out = small(kind, **LAST).fit(X, y)
    given = small(kind).fit(X[:n_train], y[:n_train], X_val=X[-15:], y_val=y[-15:])
    same(held_out, given, X)
    assert len(held_out.validation_loss_curve_) == held_out.n_iter_


def test_what_lies_in_the_gap_has_no_influence():
    X, y = late_mean(60)
    changed = y + 5.0 * (np.arange(60) // 3 == 14)  # 42, 43 and 44
    one, other, ungapped = (
        small(**(LAST | options)).fit(X, target)
        for options, target in (({}, y), ({}, changed), ({"validation_gap": 0}, changed))
    )
    same(one, other, X)
    assert not np.array_equal(ungapped.predict(X), one.predict(X))


def test_given_data_may_have_another_form_and_other_lengths():
    X, y = late_mean(60)

    def fit(X_val, X_train=X[:40], **parameters):
        return small(**parameters).fit(X_train, y[:40], X_val=X_val, y_val=y[40:])

    arrays, listed, short = fit(X[40:]), fit(list(X[40:])), fit(X[40:, 2:])
    same(arrays, listed, X)
    assert arrays.validation_loss_curve_ != short.validation_loss_curve_
    rows = X.reshape(60, -1)
    same(fit(rows[40:], rows[:40], n_channels=2), fit(rows[40:].tolist(), rows[:40], n_channels=2), rows)


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_classes_weigh_in_given_data_what_they_weigh_in_training(kind):
    """Also where their frequencies differ: by hand, as weights of the sequences."""
    X, y = signed_sum(80)
    order = np.argsort(y, kind="stable")[30:]  # of one class 10 more than of the other, about
    X, y = X[order], y[order]
    share = {label: len(y) / (2 * np.sum(y == label)) for label in np.unique(y)}
    weight = np.array([share[label] for label in y])
    validation = {"X_val": X[-20:], "y_val": y[-20:]}
    balanced = small(kind, class_weight="balanced").fit(X, y, **validation)
    by_hand = small(kind).fit(X, y, weight, **validation, sample_weight_val=weight[-20:])
    np.testing.assert_allclose(balanced.validation_loss_curve_, by_hand.validation_loss_curve_, rtol=1e-6)
    np.testing.assert_array_equal(outputs(balanced, X), outputs(by_hand, X))


def test_windows_that_overlap_fool_a_random_part_and_not_the_last_one():
    """Three random walks: nothing is to be learnt of the third from the first two, but places on them can be learnt."""
    found = {"random": [], "last": []}
    for seed in range(4):
        walks = np.random.default_rng(seed).standard_normal((250, 3)).cumsum(axis=0)
        walks = (walks - walks.mean(axis=0)) / walks.std(axis=0)
        X, y = sliding_windows(walks[:, :2], 6, target=walks[:, 2])
        for split, gap in (("random", 0), ("last", 6)):
            options = {"validation_split": split, "validation_gap": gap, "validation_fraction": 0.25}
            model = small(hidden_size=8, lambda_s=0, lambda_1=0, lambda_2=0, max_epochs=30, **options)
            found[split].append(model.fit(X, y).best_loss_)
    assert np.mean(found["random"]) < 0.5  # of a variance of 1
    assert np.mean(found["last"]) > 3 * np.mean(found["random"])


# ---------------------------------------------------------------- what is refused


def refusals(kind):
    X, y = problem(kind, 40)
    good = {"X_val": X[:5], "y_val": y[:5]}
    strange = np.array(["sideways"] * 5) if kind in CLASSIFIERS else y[:5, None]
    yield {"X_val": X[:5]}, {}, "X_val is provided, but y_val was not"
    yield {"y_val": y[:5]}, {}, "y_val is provided, but X_val was not"
    yield {"sample_weight_val": np.ones(5)}, {}, "sample_weight_val is provided, but X_val and y_val were not"
    yield good, {"early_stopping": False}, "X_val and y_val are passed to fit, but early_stopping=False"
    yield good | {"X_val": X[:5, :, :1]}, {}, "X_val, y_val, sample_weight_val: X has 1"
    yield good | {"X_val": X[:4]}, {}, "X_val.*inconsistent numbers of samples"
    yield good | {"X_val": X[:5] * np.nan}, {}, "X_val.*NaN"
    yield good | {"y_val": strange}, {}, "y_val.*(not among those of the training data|shape of the y seen first)"
    yield good | {"sample_weight_val": -np.ones(5)}, {}, "sample_weight_val.*[Nn]egative"
    yield good | {"sample_weight_val": np.zeros(5)}, {}, "sample_weight_val.*(weight of zero|non-zero)"
    yield {}, {"validation_gap": 3}, "validation_gap=3 has no effect on validation_split='random'"
    yield {}, LAST | {"validation_gap": 30}, "validation_gap=30 before them: nothing is left to train on"


@cache
def fitted_briefly(kind):
    return small(kind).fit(*problem(kind, 40))


@pytest.mark.parametrize("case", range(12))
@ALL
def test_bad_validation_data_are_refused_and_leave_the_estimator_as_it_was(kind, case, monkeypatch):
    X, y = problem(kind, 40)
    model = deepcopy(fitted_briefly(kind))
    before, state = outputs(model, X), dict(vars(model))
    arguments, parameters, message = list(refusals(kind))[case]
    model.set_params(**parameters)
    monkeypatch.setattr("sklstm.training._net.SequenceNet.train", None)  # nothing is trained
    with pytest.raises(ValueError, match=message):
        model.fit(X, y, **arguments)
    model.set_params(**{name: state[name] for name in parameters})
    assert vars(model) == state
    np.testing.assert_array_equal(outputs(model, X), before)


def test_names_of_channels_must_agree():
    X, y = late_mean(60)
    frames = [pd.DataFrame(sequence, columns=["load", "heat"]) for sequence in X]
    swapped = [frame[["heat", "load"]] for frame in frames[40:]]
    with pytest.raises(ValueError, match=r"X_val.*feature names"):
        small().fit(frames[:40], y[:40], X_val=swapped, y_val=y[40:])
    named = small().fit(frames[:40], y[:40], X_val=frames[40:], y_val=y[40:])
    unnamed = small().fit(X[:40], y[:40], X_val=X[40:], y_val=y[40:])
    assert named.validation_loss_curve_ == unnamed.validation_loss_curve_


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_the_last_part_of_data_sorted_by_class_is_refused(kind):
    X, y = signed_sum(60)
    order = np.argsort(y)
    with pytest.raises(ValueError, match=r"1 of 2 classes occur in none.*sorted by class"):
        small(kind, validation_split="last", validation_fraction=0.6).fit(X[order], y[order])


# ---------------------------------------------------------------- what is left


@ALL
def test_attributes_say_what_the_history_says(kind, tmp_path):
    X, y = problem(kind)
    model = small(kind, **LAST).fit(X, y)
    history = model.net_.history
    assert model.validation_loss_curve_ == history[:, "valid_loss"]
    assert model.best_loss_ == min(model.validation_loss_curve_)
    assert [record["train_loss"] for record in model.history_] == model.loss_curve_
    assert {"lr", "data_loss", "valid_loss"} <= set(pd.DataFrame(model.history_))
    assert all(type(value) in (int, float, bool) for record in model.history_ for value in record.values())
    model.history_[0].clear()
    assert model.history_[0]  # it was a copy
    model.save(tmp_path / "model.safetensors")
    for again in (
        sklstm.load(tmp_path / "model.safetensors"),
        pickle.loads(pickle.dumps(model)),
        clone(model).fit(X, y),
    ):
        same(again, model, X)
        assert again.best_loss_ == model.best_loss_
        assert [{**record, "dur": 0} for record in again.history_] == [
            {**record, "dur": 0} for record in model.history_
        ]


@ALL
def test_without_validation_there_is_no_curve_of_it(kind):
    X, y = problem(kind)
    model = small(kind, early_stopping=False)
    for name in ("validation_loss_curve_", "best_loss_", "history_"):
        assert not hasattr(model, name)
    model.fit(X, y)
    assert model.validation_loss_curve_ is None
    assert model.best_loss_ == min(model.loss_curve_)


def test_later_epochs_without_validation_are_nan():
    X, y = late_mean(60)
    model = small().fit(X, y)
    best = model.best_loss_
    with pytest.raises(ValueError, match="partial_fit does not support early_stopping=True"):
        model.partial_fit(X, y)
    model.set_params(early_stopping=False).partial_fit(X, y)
    assert np.isnan(model.validation_loss_curve_).tolist() == [False] * 6 + [True]
    assert len(model.loss_curve_) == 7
    assert model.best_loss_ == best


def test_a_state_of_training_is_not_resumed_with_other_validation_data(tmp_path):
    X, y = late_mean(60)

    def fits(**changed):
        parameters = {name: changed.pop(name) for name in list(changed) if name.startswith("validation_")}
        small(callbacks=[Checkpoint(tmp_path)], **parameters).fit(X, y, **changed)
        return len(list(tmp_path.iterdir()))

    given = {"X_val": X[:9], "y_val": y[:9]}
    assert fits(**given) == 1
    assert fits(**given, validation_split="last", validation_gap=4) == 1  # they have no say
    assert fits(**given | {"y_val": y[:9] + 1e-6}) == 2
    assert fits(**given | {"X_val": X[:9] + 1e-6}) == 3
    assert fits(**given, sample_weight_val=np.arange(1, 10)) == 4
    assert fits(**LAST) == 5
    assert fits(**LAST | {"validation_gap": 4}) == 6


# ---------------------------------------------------------------- in compositions


def test_a_pipeline_scales_given_data_like_the_others():
    X, y = late_mean(60)
    X = 3 + 2 * X
    with sklearn.config_context(enable_metadata_routing=True):
        lstm = small().set_fit_request(X_val=True, y_val=True, sample_weight_val=True)
        pipeline = Pipeline([("scale", SequenceScaler()), ("lstm", lstm)], transform_input=["X_val"])
        weight = np.arange(20) % 3
        pipeline.fit(X[:40], y[:40], X_val=X[40:], y_val=y[40:], sample_weight_val=weight)
    scaler = SequenceScaler().fit(X[:40])
    by_hand = small().fit(
        scaler.transform(X[:40]), y[:40], X_val=scaler.transform(X[40:]), y_val=y[40:], sample_weight_val=weight
    )
    same(pipeline[-1], by_hand, scaler.transform(X))


def test_the_last_part_needs_no_routing_in_a_pipeline_with_scaled_targets():
    X, y = late_mean(60)
    X, y = 3 + 2 * X, 7 + 5 * y
    pipeline = make_pipeline(SequenceScaler(), small(**LAST))
    model = TransformedTargetRegressor(pipeline, transformer=StandardScaler()).fit(X, y)
    scaled = (y - y.mean()) / y.std()
    by_hand = small(**LAST).fit(SequenceScaler().fit_transform(X), scaled)
    np.testing.assert_allclose(model.regressor_[-1].validation_loss_curve_, by_hand.validation_loss_curve_, rtol=1e-6)


def test_a_search_hands_given_data_to_every_candidate():
    X, y = late_mean(60)
    validation = {"X_val": X[45:], "y_val": y[45:]}
    with sklearn.config_context(enable_metadata_routing=True):
        lstm = small().set_fit_request(X_val=True, y_val=True)
        search = GridSearchCV(lstm, {"lambda_s": [0.001, 0.1]}, cv=2).fit(X[:45], y[:45], **validation)
    best = small(**search.best_params_).fit(X[:45], y[:45], **validation)
    same(search.best_estimator_, best, X)


@pytest.mark.parametrize("strategy", ["separate", "stacked"])
@pytest.mark.parametrize("kind", [TikhonovLSTMRegressor, NoisyRNNClassifier])
def test_a_path_judges_every_fold_by_given_data(kind, strategy):
    X, y = problem(kind, 75)
    validation = {"X_val": X[60:], "y_val": y[60:], "sample_weight_val": np.arange(15) % 3}
    X, y = X[:60], y[:60]
    name = "lambda_s" if kind in REGRESSORS else "sigma"
    path = RegularizationPathCV(small(kind), name, [0.01, 0.1], cv=KFold(3), strategy=strategy)
    path.fit(X, y, **validation)
    for fold, (train, test) in enumerate(KFold(3).split(X)):
        for index, value in enumerate(path.param_range_):
            model = small(kind, **{name: value}).fit(X[train], y[train], **validation)
            assert path.score_path_[index, fold] == pytest.approx(model.score(X[test], y[test]), abs=0.01)
    same(path.best_estimator_, small(kind, **path.best_params_).fit(X, y, **validation), X)
    with pytest.raises(ValueError, match="y_val was not provided"):
        path.fit(X, y, X_val=X)


def test_a_path_holds_out_the_last_part_of_each_fold():
    X, y = late_mean(60)
    path = RegularizationPathCV(small(**LAST), "lambda_s", [0.01, 0.1], cv=KFold(3), strategy="separate", refit=False)
    path.fit(X, y)
    for fold, (train, test) in enumerate(KFold(3).split(X)):
        model = small(lambda_s=0.01, **LAST).fit(X[train], y[train])
        assert path.score_path_[0, fold] == get_scorer("r2")(model, X[test], y[test])


def test_callbacks_of_scikit_learn_are_told_as_before():
    callback = pytest.importorskip("sklearn.callback", reason="scikit-learn has callbacks from 1.9 on")
    X, y = late_mean(60)
    monitor = callback.ScoringMonitor(scoring="r2")
    small(max_epochs=2).set_callbacks(monitor).fit(X[:40], y[:40], X_val=X[40:], y_val=y[40:])
