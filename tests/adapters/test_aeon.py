"""The adapters for aeon, with aeon: its own checks, and what an estimator inside is worth there."""

import numpy as np
import pytest

pytest.importorskip("aeon")

from aeon.classification.compose import ClassifierPipeline
from aeon.regression.compose import RegressorPipeline
from aeon.testing.estimator_checking import parametrize_with_checks
from aeon.transformations.collection import Normalizer
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

import sklstm
from sklstm import NoisyRNNClassifier, TikhonovGRUClassifier, TikhonovGRURegressor, TikhonovLSTMRegressor
from sklstm.adapters.aeon import RecurrentClassifier, RecurrentRegressor
from sklstm.datasets import load_japanese_vowels
from sklstm.exceptions import DataWarning
from sklstm.preprocessing import SequenceScaler

rng = np.random.default_rng(0)
X = rng.standard_normal((60, 3, 6))  # sequences, channels, steps
RAGGED = [one[:, : 3 + row % 4] for row, one in enumerate(X)]
LABELS = np.where(X[:, 0, 2] > 0, "up", "down")
TARGETS = X[:, 0, 2] - X[:, 1, 1]


@parametrize_with_checks([RecurrentClassifier, RecurrentRegressor])
@pytest.mark.draws_from_numpy  # aeon's checks do
def test_checks_of_aeon(check):
    check()


@pytest.mark.parametrize("given", [X, RAGGED], ids=["array", "list"])
def test_predictions_are_those_of_the_estimator_with_axes_swapped(given):
    ours = [one.T for one in given] if isinstance(given, list) else np.ascontiguousarray(given.swapaxes(1, 2))
    classifier = TikhonovGRUClassifier(4, max_epochs=3, random_state=0)
    model, plain = RecurrentClassifier(classifier).fit(given, LABELS), clone(classifier).fit(ours, LABELS)
    assert np.array_equal(model.predict(given), plain.predict(ours))
    assert np.array_equal(model.predict_proba(given), plain.predict_proba(ours))
    assert model.classes_.tolist() == plain.classes_.tolist()
    regressor = TikhonovLSTMRegressor(4, max_epochs=3, random_state=0)
    model, plain = RecurrentRegressor(regressor).fit(given, TARGETS), clone(regressor).fit(ours, TARGETS)
    assert np.array_equal(model.predict(given), plain.predict(ours))
    assert not hasattr(regressor, "net_")
    assert not hasattr(classifier, "net_")


def test_axes_are_those_of_aeon():
    """Time reversed is another problem, channels exchanged are none."""
    last = RecurrentRegressor(TikhonovLSTMRegressor(4, max_epochs=3, random_state=0)).fit(X, X[:, 0, -1])
    assert last.estimator_.n_features_in_ == 3
    assert last.score(X, X[:, 0, -1]) > 0.9
    assert last.score(X, X[:, 0, 0]) < 0.5
    with pytest.raises(ValueError, match="number of channels"):
        last.predict(X.swapaxes(1, 2))


def test_nested_parameters_are_searched_and_cross_validated():
    model = RecurrentRegressor(make_pipeline(SequenceScaler(), TikhonovGRURegressor(4, max_epochs=2, random_state=0)))
    name = "estimator__tikhonovgruregressor__hidden_size"
    search = GridSearchCV(model, {name: [2, 3]}, cv=2).fit(X, TARGETS)
    assert search.best_estimator_.estimator_[-1].hidden_size == search.best_params_[name]
    scores = cross_val_score(model, X, TARGETS, cv=3)
    by_hand = cross_val_score(model.estimator, X.swapaxes(1, 2), TARGETS, cv=3)
    assert np.array_equal(scores, by_hand)


def test_a_search_of_scikit_learn_may_be_inside():
    inside = GridSearchCV(NoisyRNNClassifier(4, max_epochs=2, random_state=0), {"sigma": [0.0, 0.1]}, cv=2)
    model = RecurrentClassifier(inside).fit(X, LABELS)
    assert np.array_equal(model.predict(X), model.estimator_.best_estimator_.predict(X.swapaxes(1, 2)))


def test_pipelines_of_aeon():
    gru = TikhonovGRUClassifier(4, max_epochs=3, random_state=0)
    model = ClassifierPipeline(Normalizer(), RecurrentClassifier(gru)).fit(X, LABELS)
    normalised = Normalizer().fit_transform(X)
    assert np.array_equal(model.predict(X), RecurrentClassifier(gru).fit(normalised, LABELS).predict(normalised))
    regressor = RecurrentRegressor(TikhonovGRURegressor(4, max_epochs=3, random_state=0))
    assert RegressorPipeline(Normalizer(), regressor).fit(X, TARGETS).predict(X).shape == (60,)


def test_a_certificate_holds_for_what_the_adapter_predicts():
    inside = make_pipeline(SequenceScaler(), TikhonovGRURegressor(4, max_epochs=3, random_state=0))
    model = RecurrentRegressor(inside).fit(10 * X, TARGETS)
    lower, upper = sklstm.certify(model.estimator_, (10 * X).swapaxes(1, 2), eps=0.5)
    assert (upper - lower > 0).all()
    for _ in range(10):
        moved = model.predict(10 * X + rng.uniform(-0.5, 0.5, X.shape))
        assert ((lower <= moved) & (moved <= upper)).all()
    with pytest.raises(TypeError, match="Certificates and reports need a fitted estimator of sklstm"):
        sklstm.certify(model, X, eps=0.5)


def test_the_estimator_inside_can_be_saved(tmp_path):
    model = RecurrentClassifier(NoisyRNNClassifier(4, max_epochs=2, random_state=0)).fit(X, LABELS)
    model.estimator_.save(tmp_path / "model.safetensors")
    loaded = sklstm.load(tmp_path / "model.safetensors")
    assert np.array_equal(loaded.predict_proba(X.swapaxes(1, 2)), model.predict_proba(X))


def test_vowels_of_unequal_length():
    X, y = load_japanese_vowels(padded=False, return_X_y=True)
    X_test, y_test = load_japanese_vowels(subset="test", padded=False, return_X_y=True)
    inside = make_pipeline(SequenceScaler(), TikhonovGRUClassifier(8, max_epochs=30, random_state=0))
    model = RecurrentClassifier(inside).fit([one.T for one in X], y)
    assert model.score([one.T for one in X_test], y_test) > 0.8


def test_warnings_name_the_line_of_the_user():
    with pytest.warns(DataWarning, match="X is far from") as found:
        RecurrentRegressor(TikhonovGRURegressor(4, max_epochs=2, random_state=0)).fit(1000 * X, TARGETS)
    assert found[0].filename == __file__


def test_missing_values_are_refused_by_name():
    with_gap = X.copy()
    with_gap[3, 1, 2] = np.nan
    with pytest.raises(ValueError, match="RecurrentClassifier has missing values"):
        RecurrentClassifier(NoisyRNNClassifier()).fit(with_gap, LABELS)


@pytest.mark.parametrize(
    ("kind", "estimator"), [(RecurrentClassifier, TikhonovLSTMRegressor()), (RecurrentRegressor, NoisyRNNClassifier())]
)
def test_another_kind_of_estimator_is_an_error(kind, estimator):
    with pytest.raises(TypeError, match=r"estimator must be a .* of sklstm"):
        kind(estimator).fit(X, LABELS if kind is RecurrentClassifier else TARGETS)
