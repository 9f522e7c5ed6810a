"""The parameters that a path can choose: values, and trainings as the estimator makes them."""

import inspect
import re
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import is_classifier
from sklearn.model_selection import GridSearchCV

from sklstm import NoisyRNNClassifier, TikhonovLSTMClassifier, TikhonovLSTMRegressor
from sklstm._sequences import Sequences
from sklstm.estimators._parameters import PATH_PARAMETERS, RULES, path_values
from sklstm.model_selection import RegularizationPathCV
from sklstm.model_selection import _folds as folds
from tests.support.estimators import CLASSIFIERS, ESTIMATORS, GATED

SMALL = {"max_epochs": 6, "random_state": 0, "batch_size": 16}
# With these the limits of clip_norm and of the norms change what is trained.
VALUES = {
    "clip_norm": [1e-3, 0.1, 1.0],
    "max_norm_u": [0.1, 0.5, 2],
    "max_norm_w": [0.1, 0.5, 2],
    "max_norm_v": [0.1, 0.2, 0.5],
}


@pytest.fixture(scope="module")
def signals():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((103, 7, 2))  # folds of unequal size
    y = X[:, -3:, 0].mean(axis=1) + 0.5 * X[:, -1, 0] * X[:, -2, 1]  # not linear alone
    return X, y, X[:, :, 0].sum(axis=1) > 0


def parameters_of(kind):
    return [name for name in PATH_PARAMETERS if name in kind().get_params()]


def path_and_grid(signals, model, name, values, **options):
    X, y = signals[0], signals[2 if is_classifier(model) else 1]
    path = RegularizationPathCV(model, name, values, cv=2, shared_fraction=0, **options).fit(X, y)
    grid = GridSearchCV(model, {name: list(path.param_range_)}, cv=2, refit=False).fit(X, y)
    expected = np.array([grid.cv_results_[f"split{fold}_test_score"] for fold in range(2)]).T
    return path, expected


def test_values_of_a_path_are_values_of_the_constructor():
    assert set(parameters_of(TikhonovLSTMRegressor)) >= {"lambda_s", "lambda_1", "lambda_2", "sigma", "weight_decay"}
    assert set(parameters_of(NoisyRNNClassifier)) >= {"sigma", "weight_decay", "max_norm_u"}
    for name, parameter in PATH_PARAMETERS.items():
        for value in (parameter.low, parameter.high, *([0.0] if parameter.with_zero else [])):
            parameter.rule.check(name, value)
            RULES[name].check(name, value)


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in ESTIMATORS for name in parameters_of(kind)])
def test_every_parameter_of_every_estimator_is_grid_search(signals, kind, name):
    values = VALUES.get(name, 3)
    more = {"robust_eps": 0.1, "robust_weight": 0.5} if name in ("robust_weight", "robust_box") else {}
    model = kind(4, **SMALL | {"max_epochs": 3} | more)
    path, expected = path_and_grid(signals, model, name, values, strategy="separate")
    np.testing.assert_array_equal(path.score_path_, expected)
    best = path.param_range_[np.argmax(expected.mean(axis=1))]
    assert path.best_params_ == {name: best} == {name: getattr(path.best_estimator_, name)}
    assert hasattr(path, "rho_h_path_") == (kind in GATED)
    if name not in ("lambda_1", "lambda_2"):  # of no effect, as long as the constraints hold
        assert len(np.unique(path.data_loss_path_[:, 0])) == 3, "values of VALUES must change the training"


@pytest.mark.parametrize(
    ("kind", "name", "values", "options"),
    [
        (NoisyRNNClassifier, "weight_decay", [0.0, 0.01, 1.0], {}),
        (NoisyRNNClassifier, "weight_decay", [0.0, 0.01, 1.0], {"optimizer": "adamw"}),
        (NoisyRNNClassifier, "weight_decay", [0.0, 0.01, 1.0], {"optimizer": "sgd"}),
        (TikhonovLSTMRegressor, "weight_decay", [0.0, 0.01, 1.0], {"lambda_s": 0, "lambda_1": 0, "lambda_2": 0}),
        (TikhonovLSTMRegressor, "sigma", [0.0, 0.1, 1.0], {"lambda_s": 0, "lambda_1": 0, "lambda_2": 0}),
        (NoisyRNNClassifier, "max_norm_w", [0.1, 0.5, 2.0], {}),
        (NoisyRNNClassifier, "clip_norm", [1e-3, 0.1, 1.0], {}),
    ],
)
@pytest.mark.parametrize("shared_fraction", [0, 0.5])
def test_stacked_is_separate(signals, kind, name, values, options, shared_fraction):
    model = kind(4, **SMALL | options)
    X, y = signals[0], signals[2 if kind in CLASSIFIERS else 1]
    stacked, separate = (
        RegularizationPathCV(model, name, values, cv=3, strategy=strategy, shared_fraction=shared_fraction).fit(X, y)
        for strategy in ("stacked", "separate")
    )
    np.testing.assert_allclose(stacked.data_loss_path_, separate.data_loss_path_, rtol=1e-5)
    np.testing.assert_allclose(stacked.score_path_, separate.score_path_, atol=1e-5)
    assert (np.diff(stacked.data_loss_path_, axis=0) != 0).all()


@pytest.mark.parametrize(("name", "stacks"), [("weight_decay", True), ("sigma", True), ("max_norm_w", False)])
def test_what_is_trained_as_one_program(signals, monkeypatch, name, stacks):
    sizes = []

    def watched(nets, data, n_epochs):
        sizes.append(len(nets))
        return train_together(nets, data, n_epochs)

    from sklstm.training._train import train_together

    monkeypatch.setattr("sklstm.training._train.train_together", watched)
    X, _, y = signals
    path = RegularizationPathCV(NoisyRNNClassifier(4, **SMALL), name, [0.1, 0.5, 2], cv=3, strategy="stacked")
    path.fit(X, y)
    # The shared epochs, one model a fold, have one value; then nine models.
    assert sizes == ([3, 9] if stacks else [3])


def test_a_weight_decay_goes_on_from_another(signals):
    """After shared epochs every model has its own weight decay: with a strong one the weights shrink."""
    X, _, y = signals
    model = NoisyRNNClassifier(4, **SMALL | {"optimizer": "adamw", "lr": 0.01, "max_epochs": 20})
    norms = {}

    def score(model, X, y):
        weights = model.net_.module_.recurrent.weight_hh_l0.detach()
        norms.setdefault(model.weight_decay, []).append(float(weights.norm()))
        return model.score(X, y)

    path = RegularizationPathCV(model, "weight_decay", [0.0, 0.01, 10.0], cv=2, scoring=score, strategy="stacked")
    path.set_params(shared_fraction=0.5).fit(X, y)
    assert set(norms) == {0.0, 0.01, 10.0}
    assert all(len(found) == 2 for found in norms.values())
    assert max(norms[10.0]) < 0.7 * min(norms[0.01])


def test_lambda_1_keeps_the_network_feasible(signals):
    X, y, _ = signals
    options = {"lr": 0.05, "lambda_s": 0.0, "lambda_2": 0.0, "max_epochs": 30}
    model = TikhonovLSTMRegressor(8, **SMALL | options)
    path = RegularizationPathCV(model, "lambda_1", [0.0, 100.0], cv=2, refit=False, shared_fraction=0).fit(X, 3 * y)
    assert (path.rho_h_path_[0] > 1).all()
    assert (path.rho_h_path_[1] < path.rho_h_path_[0]).all()


@pytest.mark.parametrize("name", [name for name in PATH_PARAMETERS if not PATH_PARAMETERS[name].relative_to_data])
@pytest.mark.parametrize("number", [2, 3, 10, 11, 50])
def test_a_number_of_values(name, number):
    parameter = PATH_PARAMETERS[name]
    values = path_values(name, number, Sequences(np.ones((2, 3, 1))))
    assert len(values) == number
    assert (np.diff(values) > 0).all()
    positive = values[1:] if parameter.with_zero else values
    assert (values[0] == 0) == parameter.with_zero
    if len(positive) == 1:  # beside 0: the middle of the range
        np.testing.assert_allclose(positive, np.sqrt(parameter.low * parameter.high), rtol=0.05)
    else:
        exact = np.geomspace(parameter.low, parameter.high, len(positive))
        np.testing.assert_allclose(positive, exact, rtol=0.05)
        assert (positive[0], positive[-1]) == (parameter.low, parameter.high)
    # Two digits keep values apart that differ by 10 %, as 1.0e-4 and 1.1e-4.
    digits = 1 if len(positive) == 1 or positive[1] > 1.1 * positive[0] else 2
    assert all(float(f"{value:.{digits}e}") == value for value in values)


def test_values_by_hand():
    X = Sequences(np.zeros((2, 3, 1)))
    assert path_values("lambda_s", 3, X).tolist() == [0.0001, 0.01, 1.0]
    assert path_values("lambda_s", 10, X).tolist() == [
        0.0001, 0.00028, 0.00077, 0.0022, 0.006, 0.017, 0.046, 0.13, 0.36, 1.0,
    ]  # fmt: skip
    assert path_values("weight_decay", 6, X).tolist() == [0.0, 1e-5, 1e-4, 0.001, 0.01, 0.1]
    assert path_values("clip_norm", 2, X).tolist() == [0.1, 10.0]


def test_lambda_s_is_smaller_for_labels():
    X = np.random.default_rng(0).standard_normal((30, 3, 1))
    model = TikhonovLSTMClassifier(2, max_epochs=1, random_state=0)
    path = RegularizationPathCV(model, "lambda_s", 5, cv=2, refit=False).fit(X, X[:, -1, 0] > 0)
    assert path.param_range_.tolist() == [1e-6, 1e-5, 1e-4, 0.001, 0.01]
    path = RegularizationPathCV(model, "weight_decay", 3, cv=2, refit=False).fit(X, X[:, -1, 0] > 0)
    assert path.param_range_.tolist() == [0.0, 1e-5, 0.1]


def test_digits_are_added_where_two_would_merge_values():
    values = path_values("lambda_s", 1000, Sequences(np.zeros((2, 3, 1))))
    assert len(np.unique(values)) == 1000
    np.testing.assert_allclose(values, np.geomspace(1e-4, 1, 1000), rtol=1e-2)


@pytest.mark.filterwarnings("ignore::sklstm.exceptions.DataWarning")
def test_values_of_sigma_are_relative_to_the_data(signals):
    X, y, labels = signals
    for model, target in ((NoisyRNNClassifier(2, **SMALL), labels), (TikhonovLSTMRegressor(2, **SMALL), y)):
        path = RegularizationPathCV(model, "sigma", 4, cv=2).fit(40 * X + 3, target)
        np.testing.assert_allclose(path.param_range_, 40 * np.std(X) * np.array([0, 0.01, 0.1, 1]), rtol=0.05)
        assert all(float(f"{value:.1e}") == value for value in path.param_range_)
    lists = [sequence[: 3 + index % 5] for index, sequence in enumerate(X)]
    path = RegularizationPathCV(NoisyRNNClassifier(2, **SMALL), "sigma", 3, cv=2).fit(lists, labels)
    np.testing.assert_allclose(path.param_range_[2], np.std(np.concatenate(lists)), rtol=0.05)
    flat = np.full((30, 4, 1), 7.0)  # of no spread at all
    path = RegularizationPathCV(NoisyRNNClassifier(2, **SMALL), "sigma", 3, cv=2).fit(flat, np.arange(30) % 2)
    np.testing.assert_array_equal(path.param_range_, [0, 0.01, 1])


def test_values_in_any_sequence(signals):
    pandas = pytest.importorskip("pandas")
    X, _, y = signals
    for values in ((0.5, 0.1), np.float32([0.5, 0.25, 0.5]), pandas.Series([0.3, 0.1], index=[7, 9]), range(1, 3)):
        path = RegularizationPathCV(NoisyRNNClassifier(2, **SMALL), "sigma", values, cv=2).fit(X, y)
        np.testing.assert_array_equal(path.param_range_, np.unique(np.asarray(values, dtype=float)))


def test_stacks_are_not_too_large(signals, monkeypatch):
    X, _, y = signals
    model = NoisyRNNClassifier(4, **SMALL)
    expected = RegularizationPathCV(model, "sigma", [0.1, 0.5, 2], cv=3).fit(X, y)
    for limit in (1, 2, 4):  # packs of other models than those of one fold
        monkeypatch.setattr(folds, "_LARGEST_STACK", limit)
        path = RegularizationPathCV(model, "sigma", [0.1, 0.5, 2], cv=3).fit(X, y)
        np.testing.assert_allclose(path.score_path_, expected.score_path_, atol=1e-5)
        np.testing.assert_allclose(path.data_loss_path_, expected.data_loss_path_, rtol=1e-5)


NUMBER = r"(\d[\d.e-]*\d|\d)"


@pytest.mark.parametrize("name", PATH_PARAMETERS)
def test_the_pages_tell_every_parameter_and_its_range(name):
    parameter = PATH_PARAMETERS[name]
    guide = (Path(__file__).parents[2] / "docs" / "guide" / "paths.md").read_text(encoding="utf-8")
    (row,) = (line for line in guide.splitlines() if line.startswith("|") and f"`{name}`" in line)
    *_, values = row.strip("| ").split("|")
    assert values.startswith(" 0, and ") == parameter.with_zero
    docstring = " ".join(inspect.getdoc(RegularizationPathCV).split())
    assert f'``"{name}"``' in docstring
    # There a range follows the names that have it.
    sentences = docstring[docstring.index("param_range : ") : docstring.index(" cv : ")].split(" For ")
    assert (f"``{name}``" in sentences[1]) == parameter.with_zero
    for text in (values, sentences[0].partition(f"``{name}``")[2]):
        low, high = re.search(NUMBER + " to " + NUMBER, text).groups()
        assert (float(low), float(high)) == (parameter.low, parameter.high)
