"""The adapters for sktime, with sktime: its own checks, and what an estimator inside is worth there."""

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("sktime")

from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sktime.classification.model_evaluation import evaluate
from sktime.datatypes import convert
from sktime.regression.model_selection import TSRGridSearchCV
from sktime.transformations.boxcox import LogTransformer
from sktime.utils.estimator_checks import check_estimator, parametrize_with_checks

import sklstm
from sklstm import NoisyRNNClassifier, TikhonovGRUClassifier, TikhonovGRURegressor, TikhonovLSTMRegressor
from sklstm.adapters.sktime import RecurrentClassifier, RecurrentRegressor
from sklstm.datasets import load_japanese_vowels
from sklstm.exceptions import DataWarning
from sklstm.preprocessing import SequenceScaler

rng = np.random.default_rng(0)
X = rng.standard_normal((40, 3, 6))  # sequences, channels, steps
OURS = np.ascontiguousarray(X.swapaxes(1, 2))
LABELS = np.where(X[:, 0, 2] > 0, "up", "down")
TARGETS = X[:, 0, 2] - X[:, 1, 1]
FRAMES = [pd.DataFrame(one, columns=["a", "b", "c"]) for one in OURS]
RAGGED = [frame[: 3 + row % 4] for row, frame in enumerate(FRAMES)]


def panel(frames, container):
    return convert(frames, from_type="df-list", to_type=container, as_scitype="Panel")


@parametrize_with_checks([RecurrentClassifier, RecurrentRegressor], obj_varname="adapter")
@pytest.mark.draws_from_numpy  # sktime's checks do
@pytest.mark.filterwarnings("ignore")  # among their inputs are some about which we and sktime warn
def test_checks_of_sktime(adapter, test_name):
    check_estimator(adapter, tests_to_run=test_name, raise_exceptions=True, verbose=False)


@pytest.mark.parametrize("container", ["numpy3D", "df-list", "pd-multiindex", "nested_univ"])
def test_every_panel_of_one_length_is_read_alike(container):
    inside = TikhonovGRUClassifier(4, max_epochs=3, random_state=0)
    given = panel(FRAMES, container)
    model, plain = RecurrentClassifier(inside).fit(given, LABELS), clone(inside).fit(OURS, LABELS)
    assert np.array_equal(model.predict(given), plain.predict(OURS))
    assert np.array_equal(model.predict_proba(given), plain.predict_proba(OURS))
    assert model.classes_.tolist() == plain.classes_.tolist()
    assert not hasattr(inside, "net_")


@pytest.mark.parametrize("container", ["df-list", "pd-multiindex", "nested_univ"])
def test_every_panel_of_unequal_lengths_is_read_alike(container):
    inside = TikhonovLSTMRegressor(4, max_epochs=3, random_state=0)
    arrays = [frame.to_numpy() for frame in RAGGED]
    given = panel(RAGGED, container)
    model, plain = RecurrentRegressor(inside).fit(given, TARGETS), clone(inside).fit(arrays, TARGETS)
    assert np.array_equal(model.predict(given), plain.predict(arrays))


def test_names_of_channels_are_compared():
    model = RecurrentRegressor(TikhonovGRURegressor(4, max_epochs=2, random_state=0))
    model.fit(panel(FRAMES, "pd-multiindex"), TARGETS)
    assert model.estimator_.feature_names_in_.tolist() == ["a", "b", "c"]
    with pytest.raises(ValueError, match="feature names"):
        model.predict(panel(FRAMES, "pd-multiindex")[["b", "a", "c"]])


def test_several_targets_are_outputs_of_one_network():
    both = np.column_stack([TARGETS, X[:, 2, 0]])
    inside = TikhonovGRURegressor(4, max_epochs=3, random_state=0)
    model, plain = RecurrentRegressor(inside).fit(X, both), clone(inside).fit(OURS, both)
    assert np.array_equal(model.predict(X), plain.predict(OURS))
    table = pd.DataFrame(both, columns=["now", "then"])
    assert RecurrentRegressor(inside).fit(X, table).predict(X).columns.tolist() == ["now", "then"]
    one = RecurrentRegressor(inside).fit(X, TARGETS)
    assert one.predict(X).shape == one.estimator_.predict(OURS).shape == (40,)


def test_nested_parameters_are_searched_by_sktime_and_by_a_search_inside():
    """scikit-learn's own searches take no estimator of sktime 1.2."""
    inside = make_pipeline(SequenceScaler(), TikhonovGRURegressor(4, max_epochs=2, random_state=0))
    sizes = {"regressor__tikhonovgruregressor__hidden_size": [2, 3]}
    scaled = TransformedTargetRegressor(inside, transformer=StandardScaler())
    outer = TSRGridSearchCV(RecurrentRegressor(scaled), {f"estimator__{k}": v for k, v in sizes.items()}, cv=KFold(2))
    inner = RecurrentRegressor(GridSearchCV(scaled, sizes, cv=KFold(2)))
    assert np.array_equal(outer.fit(X, TARGETS).predict(X), inner.fit(X, TARGETS).predict(X))
    assert outer.best_params_["estimator__" + next(iter(sizes))] == next(iter(inner.estimator_.best_params_.values()))


def test_pipelines_and_evaluation_of_sktime():
    gru = TikhonovGRUClassifier(4, max_epochs=3, random_state=0)
    positive = np.exp(X)
    model = (LogTransformer() * RecurrentClassifier(gru)).fit(positive, LABELS)
    by_hand = RecurrentClassifier(gru).fit(np.log(positive), LABELS)
    assert np.array_equal(model.predict(positive), by_hand.predict(np.log(positive)))
    found = evaluate(RecurrentClassifier(gru), cv=KFold(3), X=panel(FRAMES, "pd-multiindex"), y=LABELS)
    assert len(found) == 3
    assert found["test_accuracy_score"].between(0, 1).all()


def test_a_certificate_holds_for_what_the_adapter_predicts():
    inside = make_pipeline(SequenceScaler(), TikhonovGRURegressor(4, max_epochs=3, random_state=0))
    model = RecurrentRegressor(inside).fit(10 * X, TARGETS)
    lower, upper = sklstm.certify(model.estimator_, 10 * OURS, eps=0.5)
    assert (upper - lower > 0).all()
    for _ in range(10):
        moved = model.predict(10 * X + rng.uniform(-0.5, 0.5, X.shape))
        assert ((lower <= moved) & (moved <= upper)).all()
    by_name = RecurrentRegressor(TikhonovGRURegressor(4, max_epochs=3, random_state=0)).fit(RAGGED, TARGETS)
    lower, upper = by_name.estimator_.certify(RAGGED, eps={"c": 0.0, "a": 0.1, "b": 0.2})
    moved = by_name.predict([frame.add([0.1, -0.2, 0.0]) for frame in RAGGED])
    assert ((lower <= moved) & (moved <= upper)).all()


def test_the_estimator_inside_can_be_saved(tmp_path):
    model = RecurrentClassifier(NoisyRNNClassifier(4, max_epochs=2, random_state=0)).fit(X, LABELS)
    model.estimator_.save(tmp_path / "model.safetensors")
    loaded = sklstm.load(tmp_path / "model.safetensors")
    assert np.array_equal(loaded.predict_proba(OURS), model.predict_proba(X))


def test_vowels_of_unequal_length():
    X, y = load_japanese_vowels(padded=False, return_X_y=True)
    X_test, y_test = load_japanese_vowels(subset="test", padded=False, return_X_y=True)
    inside = make_pipeline(SequenceScaler(), TikhonovGRUClassifier(8, max_epochs=30, random_state=0))
    model = RecurrentClassifier(inside).fit([pd.DataFrame(one) for one in X], y)
    assert model.score([pd.DataFrame(one) for one in X_test], y_test) > 0.8


def test_warnings_name_the_line_of_the_user():
    with pytest.warns(DataWarning, match="X is far from") as found:
        RecurrentRegressor(TikhonovGRURegressor(4, max_epochs=2, random_state=0)).fit(1000 * X, TARGETS)
    assert found[0].filename == __file__


def test_missing_values_are_refused_by_name():
    with_gap = X.copy()
    with_gap[3, 1, 2] = np.nan
    with pytest.raises(ValueError, match="RecurrentClassifier instance has missing values"):
        RecurrentClassifier(NoisyRNNClassifier()).fit(with_gap, LABELS)


@pytest.mark.parametrize(
    ("kind", "estimator"), [(RecurrentClassifier, TikhonovLSTMRegressor()), (RecurrentRegressor, NoisyRNNClassifier())]
)
def test_another_kind_of_estimator_is_an_error(kind, estimator):
    with pytest.raises(TypeError, match=r"estimator must be a .* of sklstm"):
        kind(estimator).fit(X, LABELS if kind is RecurrentClassifier else TARGETS)
