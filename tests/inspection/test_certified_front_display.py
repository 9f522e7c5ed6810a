"""The front of clean against certified errors."""

import numpy as np
import pytest

from sklstm import NoisyRNNClassifier, TikhonovLSTMRegressor, certified_accuracy, certify
from sklstm.inspection import CertifiedFrontDisplay, RegularizationPathDisplay

pytest.importorskip("matplotlib")
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
EPS = 0.1


@pytest.fixture(scope="module")
def problem():
    X = np.random.default_rng(0).standard_normal((60, 6, 2))
    return X, X[:, -1, 0] ** 2


@pytest.fixture(scope="module")
def regressors(problem):
    few = {"max_epochs": 4, "random_state": 0}
    return {
        "plain": TikhonovLSTMRegressor(4, **few).fit(*problem),
        "robust": [TikhonovLSTMRegressor(4, robust_eps=eps, **few).fit(*problem) for eps in (0.05, 0.2)],
    }


def test_points_are_the_errors_of_the_models(problem, regressors):
    X, y = problem
    display = CertifiedFrontDisplay.from_estimators(regressors, X, y, EPS)
    assert {key: line.get_xydata().shape for key, line in display.lines_.items()} == {"plain": (1, 2), "robust": (2, 2)}
    for place, model in enumerate(regressors["robust"]):
        assert display.clean["robust"][place] == pytest.approx(np.mean((model.predict(X) - y) ** 2), rel=1e-6)
        lower, upper = certify(model, X, EPS)
        worst = np.maximum((lower - y) ** 2, (upper - y) ** 2).mean()
        assert display.certified["robust"][place] == pytest.approx(worst, rel=1e-6)
    x, _ = display.lines_["robust"].get_xydata().T
    assert (np.diff(x) >= 0).all()
    assert display.ax_.get_xlabel() == "mean squared error, clean"
    assert display.ax_.get_ylabel() == "mean squared error, certified (eps = 0.1)"


def test_errors_of_classifiers_are_shares(problem):
    X, value = problem
    y = value > 0.5
    model = NoisyRNNClassifier(4, max_epochs=3, random_state=0).fit(X, y)
    display = CertifiedFrontDisplay.from_estimators({"ReLU": model}, X, y, [EPS, 0.0], name="net")
    assert display.clean["ReLU"] == pytest.approx([1 - model.score(X, y)])
    assert display.certified["ReLU"] == pytest.approx([1 - certified_accuracy(model, X, y, [EPS, 0.0])])
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == ["net, ReLU"]


def test_the_method_is_that_of_the_certificates(problem, regressors):
    X, y = problem
    families = {"plain": regressors["plain"]}
    display = CertifiedFrontDisplay.from_estimators(families, X, y, EPS, method="linear")
    lower, upper = certify(regressors["plain"], X, EPS, method="linear")
    worst = np.maximum((lower - y) ** 2, (upper - y) ** 2).mean()
    assert display.certified["plain"] == pytest.approx([worst], rel=1e-6)
    path = RegularizationPathDisplay.from_estimators([regressors["plain"]], X, y, eps=EPS, method="linear")
    assert path.curves["certified (eps = 0.1)"] == pytest.approx([worst], rel=1e-6)
    with pytest.raises(ValueError, match="method must be one of"):
        CertifiedFrontDisplay.from_estimators(families, X, y, EPS, method="auto")  # which is for labels


def test_what_is_infinite_is_left_out_and_wide_ranges_are_logarithmic():
    display = CertifiedFrontDisplay(
        clean={"a": [0.3, 0.1, 0.2], "b": [0.1]}, certified={"a": [0.4, np.inf, 50.0], "b": [np.inf]}
    ).plot()
    np.testing.assert_array_equal(display.lines_["a"].get_xydata(), [[0.2, 50.0], [0.3, 0.4]])
    assert len(display.lines_["b"].get_xydata()) == 0
    names = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert names == ["a (1 without a bound)", "b (1 without a bound)"]
    assert display.ax_.get_yscale() == "log"


def test_bad_arguments(problem, regressors):
    X, y = problem
    front = CertifiedFrontDisplay.from_estimators
    with pytest.raises(TypeError, match="must be a dict"):
        front([regressors["plain"]], X, y, EPS)
    with pytest.raises(ValueError, match="at least one fitted model"):
        front({"none": []}, X, y, EPS)
    with pytest.raises(ValueError, match="requires y"):
        front(regressors, X, None, EPS)
    labels = NoisyRNNClassifier(4, max_epochs=1, random_state=0).fit(X, y > 0.5)
    with pytest.raises(TypeError, match="all classifiers or all regressors"):
        front({**regressors, "labels": labels}, X, y, EPS)
    with pytest.raises(ValueError, match="same names"):
        CertifiedFrontDisplay(clean={"a": [1.0]}, certified={"b": [1.0]}).plot()
    with pytest.raises(ValueError, match="one row for each value"):
        CertifiedFrontDisplay(clean={"a": [1.0]}, certified={"a": [1.0, 2.0]}).plot()
