import numpy as np
import pytest
from matplotlib import pyplot as plt
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_squared_error
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline

from sklstm import NoisyRNNClassifier, TikhonovLSTMRegressor
from sklstm.inspection import RegularizationPathDisplay
from sklstm.model_selection import RegularizationPathCV
from sklstm.preprocessing import SequenceScaler


@pytest.fixture(scope="module")
def path(made):
    """Models in no order."""
    return [
        TikhonovLSTMRegressor(4, lambda_s=lam, max_epochs=8, random_state=0).fit(made.X, made.y)
        for lam in (0.1, 0.001, 1.0)
    ]


def grid_search(made, grid, **options):
    rows, y = made.X[:, 0], made.y
    return GridSearchCV(make_pipeline(made.doubling(), Ridge()), grid, cv=3, **options).fit(rows, y)


def test_a_search_of_this_package(made):
    display = RegularizationPathDisplay.from_estimator(made.search)
    assert display.param_name == "lambda_s"
    np.testing.assert_array_equal(display.param_values, [0.01, 1.0])
    np.testing.assert_array_equal(display.curves["validation"], made.search.score_path_)
    assert display.best_value == made.search.best_params_["lambda_s"]
    line = display.lines_["validation"]
    np.testing.assert_allclose(line.get_ydata(), made.search.cv_results_["mean_test_score"])
    assert set(display.best_line_.get_xdata()) == {made.search.best_params_["lambda_s"]}
    assert display.ax_.get_xscale() == "log"
    assert display.ax_.get_ylabel() == "R² (mean ± s.e.)"


def test_the_band_is_one_standard_error(made):
    display = RegularizationPathDisplay.from_estimator(made.search)
    scores = made.search.score_path_
    error = np.sqrt(scores.var(axis=1, ddof=1) / 3)
    corners = display.bands_["validation"].get_paths()[0].vertices
    np.testing.assert_allclose(corners[:, 1].max(), (scores.mean(axis=1) + error).max())
    np.testing.assert_allclose(corners[:, 1].min(), (scores.mean(axis=1) - error).min())


def test_a_search_without_refit_and_with_a_value_of_zero(made):
    display = RegularizationPathDisplay.from_estimator(made.classifier_search)
    assert display.param_name == "sigma"
    assert display.ax_.get_ylabel() == "accuracy (mean ± s.e.)"
    assert display.ax_.get_xscale() == "symlog"
    left, right = display.ax_.get_xlim()
    assert -0.1 < left < 0 < 0.3 < right
    assert display.best_value == made.classifier_search.best_params_["sigma"]


def test_a_grid_search_over_one_parameter_of_a_pipeline(made):
    search = grid_search(made, {"ridge__alpha": [0.1, 1.0, 10.0]}, return_train_score=True)
    display = RegularizationPathDisplay.from_estimator(search, name="ridge")
    assert display.param_name == "ridge__alpha"
    np.testing.assert_allclose(display.curves["validation"].mean(axis=1), search.cv_results_["mean_test_score"])
    np.testing.assert_allclose(display.curves["training"].mean(axis=1), search.cv_results_["mean_train_score"])
    assert display.best_value == search.best_params_["ridge__alpha"]
    assert display.lines_["training"].get_label() == "ridge, training"


def test_a_grid_search_with_several_scores(made):
    scoring = ["r2", "neg_mean_squared_error"]
    search = grid_search(made, {"ridge__alpha": [0.1, 10.0]}, scoring=scoring, refit="neg_mean_squared_error")
    display = RegularizationPathDisplay.from_estimator(search)
    means = search.cv_results_["mean_test_neg_mean_squared_error"]
    np.testing.assert_allclose(display.curves["validation"].mean(axis=1), means)
    assert display.ax_.get_ylabel() == "neg_mean_squared_error (mean ± s.e.)"
    search = grid_search(made, {"ridge__alpha": [0.1, 10.0]}, scoring=scoring, refit=False)
    with pytest.raises(ValueError, match="must name one of them in refit"):
        RegularizationPathDisplay.from_estimator(search)


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ({"ridge__alpha": [0.1, 1.0], "ridge__fit_intercept": [True, False]}, "must be over one parameter"),
        ({"ridge__solver": ["svd", "cholesky"]}, "the values of ridge__solver must be numbers"),
        ({"ridge__alpha": [1.0, 1.0]}, "several results for one value of ridge__alpha"),
    ],
)
def test_other_searches_are_refused(made, grid, message):
    with pytest.raises(ValueError, match=message):
        RegularizationPathDisplay.from_estimator(grid_search(made, grid))


def test_what_is_no_search_is_refused(made):
    for other in (made.lstm, Ridge(), RegularizationPathCV, None):
        with pytest.raises(TypeError, match="needs a search over one parameter"):
            RegularizationPathDisplay.from_estimator(other)
    for search in (RegularizationPathCV(made.lstm, "lambda_s"), GridSearchCV(Ridge(), {"alpha": [1.0]})):
        with pytest.raises(NotFittedError):
            RegularizationPathDisplay.from_estimator(search)


def test_errors_of_a_path(made, path):
    display = RegularizationPathDisplay.from_estimators(
        path, made.X, made.y, sigma=0.02, eps=0.1, n_draws=4, random_state=0
    )
    clean, noisy, certified = display.curves.values()
    assert list(display.curves) == ["clean", "noisy (sigma = 0.02)", "certified (eps = 0.1)"]
    np.testing.assert_array_equal(display.param_values, [0.001, 0.1, 1.0])
    ordered = [path[1], path[0], path[2]]
    np.testing.assert_allclose(clean, [mean_squared_error(made.y, model.predict(made.X)) for model in ordered])
    np.testing.assert_allclose(1 - clean / made.y.var(), [model.score(made.X, made.y) for model in ordered])
    assert noisy.shape == (3, 4)
    assert (clean < certified).all()
    # No noise that stays within eps can do more harm than the certificate allows.
    rng = np.random.default_rng(1)
    for model, limit in zip(ordered, certified, strict=True):
        worst = made.X + 0.1 * rng.choice([-1.0, 1.0], (20, *made.X.shape))
        assert all(mean_squared_error(made.y, model.predict(X)) <= limit for X in worst)
        # Each prediction may be the end of its interval that is farther from its target, and no farther.
        ends = model.certify(made.X, 0.1)
        farther = np.where(np.abs(ends[0] - made.y) > np.abs(ends[1] - made.y), *ends)
        assert mean_squared_error(made.y, farther) == pytest.approx(limit)
    # 600 numbers of five standard deviations at most: these draws do stay within.
    assert (noisy <= certified[:, None]).all()


def test_errors_of_classifiers(made):
    models = [
        NoisyRNNClassifier(4, sigma=sigma, max_epochs=30, lr=0.02, random_state=0).fit(made.X, made.labels)
        for sigma in (0.0, 0.3)
    ]
    display = RegularizationPathDisplay.from_estimators(
        models, made.X, made.labels, param_name="sigma", sigma=0.1, eps=0.05, random_state=0
    )
    clean, _, certified = display.curves.values()
    np.testing.assert_allclose(clean, [1 - model.score(made.X, made.labels) for model in models])
    np.testing.assert_allclose(
        certified, [1 - np.mean((model.predict(made.X) == made.labels) & (model.certified_radius(made.X) >= 0.05))
                    for model in models], atol=0.05
    )  # fmt: skip
    assert (certified >= clean).all()
    assert display.ax_.get_ylabel() == "error rate (mean ± s.e.)"


def test_errors_of_pipelines_are_in_the_units_of_X(made):
    """A step that divides by 4, exactly: the errors of the network alone, at noise that is four times as large."""
    scaler = SequenceScaler().fit(made.X)
    scaler.mean_, scaler.scale_ = np.zeros(2), np.full(2, 4.0)
    for network, y in ((made.lstm, made.y), (made.classifier, made.labels)):
        model = Pipeline([("scale", scaler), ("network", network)])
        alone, piped = (
            RegularizationPathDisplay.from_estimators(
                [which], unit * made.X, y, param_name="sigma", sigma=0.1 * unit, eps=0.05 * unit, random_state=0
            ).curves
            for which, unit in ((network, 1), (model, 4))
        )
        assert list(piped) == ["clean", "noisy (sigma = 0.4)", "certified (eps = 0.2)"]
        for one, other in zip(alone.values(), piped.values(), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5)


def test_noise_is_the_same_for_all_models_and_fixed_by_the_random_state(made, path):
    twice = [path[0], clone(path[0]).set_params(lambda_s=0.1).fit(made.X, made.y)]
    noisy = [
        RegularizationPathDisplay.from_estimators(twice, made.X, made.y, sigma=0.5, random_state=seed).curves[
            "noisy (sigma = 0.5)"
        ]
        for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(noisy[0][0], noisy[0][1])
    np.testing.assert_array_equal(noisy[0], noisy[1])
    assert (noisy[0] != noisy[2]).all()


def test_bad_arguments_come_before_any_work(made, path):
    draw = RegularizationPathDisplay.from_estimators
    with pytest.raises(TypeError, match="sequence of fitted models"):
        draw(path[0], made.X, made.y)
    with pytest.raises(TypeError, match="sequence of fitted models"):
        draw([], made.X, made.y)
    with pytest.raises(TypeError, match="all classifiers or all regressors"):
        draw([path[0], made.classifier], made.X, made.y)
    with pytest.raises(TypeError, match="TikhonovLSTMRegressor has no parameter 'alpha'"):
        draw(path, made.X, made.y, param_name="alpha")
    with pytest.raises(ValueError, match="requires y"):
        draw(path, made.X, None)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        draw(path, made.X, made.y[:-1])
    with pytest.raises(ValueError, match="sigma"):
        draw(path, made.X, made.y, sigma=-1.0)
    with pytest.raises(ValueError, match="eps must be finite and not negative"):
        draw(path, made.X, made.y, eps=-1.0)
    assert plt.get_fignums() == []


def test_curves_belong_to_values():
    with pytest.raises(ValueError, match=r"a must have shape \(2,\) or \(2, n_repeats\)"):
        RegularizationPathDisplay(param_name="p", param_values=[1, 2], curves={"a": [1.0, 2.0, 3.0]}).plot()
    with pytest.raises(ValueError, match="at least one curve"):
        RegularizationPathDisplay(param_name="p", param_values=[1, 2], curves={}).plot()


def test_paths_share_axes():
    _, ax = plt.subplots()
    display = RegularizationPathDisplay(param_name="p", param_values=[10, 1], curves={"a": [2.0, 1.0], "b": [0.0, 0.5]})
    display.plot(ax, name="one").plot(ax, name="two", alpha=0.5)
    lines = ax.get_lines()
    assert [line.get_label() for line in lines] == ["one, a", "one, b", "two, a", "two, b"]
    assert len({(line.get_color(), line.get_linestyle(), line.get_marker()) for line in lines}) == 4
    np.testing.assert_array_equal(lines[0].get_xydata(), [[1, 1], [10, 2]])  # in the order of the parameter
    assert lines[3].get_alpha() == 0.5
