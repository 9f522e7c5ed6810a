"""What holds for every display."""

import pickle
import sys

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex
from sklearn.base import BaseEstimator
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, TunedThresholdClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm import NoisyRNNClassifier, TikhonovLSTMRegressor, inspection, load
from sklstm.inspection import (
    CertifiedBandDisplay,
    CertifiedFrontDisplay,
    ChannelImportanceDisplay,
    GateNormsDisplay,
    GeneralizationReportDisplay,
    LossCurveDisplay,
    NoiseGeneralizationDisplay,
    NoiseRobustnessDisplay,
    RegularizationPathDisplay,
)
from sklstm.inspection._display import PALETTE, STYLES

DRAW = {
    LossCurveDisplay: lambda made, **kw: LossCurveDisplay.from_estimator(made.stopped, **kw),
    GateNormsDisplay: lambda made, **kw: GateNormsDisplay.from_estimator(made.two_layers, **kw),
    RegularizationPathDisplay: lambda made, **kw: RegularizationPathDisplay.from_estimators(
        [made.lstm], made.X, made.y, sigma=0.1, eps=0.01, n_draws=2, random_state=0, **kw
    ),
    GeneralizationReportDisplay: lambda made, **kw: GeneralizationReportDisplay.from_estimator(
        made.classifier, made.X, made.labels, **kw
    ),
    NoiseGeneralizationDisplay: lambda made, **kw: NoiseGeneralizationDisplay.from_estimator(
        made.classifier, made.X, made.labels, sigmas=[0.0, 0.2], cv=2, random_state=0, **kw
    ),
    NoiseRobustnessDisplay: lambda made, **kw: NoiseRobustnessDisplay.from_estimator(
        made.lstm, made.X, made.y, sigmas=[0.0, 0.2], n_draws=2, random_state=0, **kw
    ),
    ChannelImportanceDisplay: lambda made, **kw: ChannelImportanceDisplay.from_estimator(
        made.lstm, made.X, made.y, n_repeats=3, random_state=0, **kw
    ),
    CertifiedBandDisplay: lambda made, **kw: CertifiedBandDisplay.from_estimator(
        made.lstm, made.X[:8], eps=0.1, y=made.y[:8], **kw
    ),
    CertifiedFrontDisplay: lambda made, **kw: CertifiedFrontDisplay.from_estimators(
        {"LSTM": [made.lstm]}, made.X, made.y, 0.01, **kw
    ),
}
# Those that look into the network, and how they are made from an estimator.
OF_NETWORKS = {
    "loss": LossCurveDisplay.from_estimator,
    "gates": GateNormsDisplay.from_estimator,
    "report": lambda estimator: GeneralizationReportDisplay.from_estimator(estimator, np.zeros((2, 5, 2)), np.zeros(2)),
    "band": lambda estimator: CertifiedBandDisplay.from_estimator(estimator, np.zeros((2, 5, 2)), eps=0.1),
}
OF_PREDICTORS = {
    "robustness": lambda estimator: NoiseRobustnessDisplay.from_estimator(
        estimator, np.zeros((2, 5, 2)), np.zeros(2), sigmas=[0.1]
    ),
    "importance": lambda estimator: ChannelImportanceDisplay.from_estimator(
        estimator, np.zeros((2, 5, 2)), np.zeros(2)
    ),
    "path": lambda estimator: RegularizationPathDisplay.from_estimators([estimator], np.zeros((2, 5, 2)), np.zeros(2)),
    "front": lambda estimator: CertifiedFrontDisplay.from_estimators(
        {"one": estimator}, np.zeros((2, 5, 2)), np.zeros(2), 0.1
    ),
}

every_display = pytest.mark.parametrize("display", DRAW, ids=lambda display: display.__name__)


def test_every_display_is_here():
    assert {display.__name__ for display in DRAW} == {name for name in inspection.__all__ if name.endswith("Display")}


@every_display
def test_draws_on_given_axes_and_nowhere_else(display, made):
    figure, (left, right) = plt.subplots(1, 2)
    plt.sca(left)
    settings = dict(matplotlib.rcParams)
    drawn = DRAW[display](made, ax=right)
    assert drawn.ax_ is right
    assert drawn.figure_ is figure
    assert plt.get_fignums() == [figure.number]
    assert plt.gca() is left
    assert not left.has_data()
    assert dict(matplotlib.rcParams) == settings
    before = len(left.get_children())
    assert drawn.plot(left) is drawn
    assert drawn.ax_ is left
    assert len(left.get_children()) > before


@every_display
def test_a_figure_of_its_own_is_not_shown(display, made, monkeypatch):
    def show(*args, **kwargs):
        raise AssertionError("a display has shown a figure")

    monkeypatch.setattr(plt, "show", show)
    figure, _ = plt.subplots()
    settings = dict(matplotlib.rcParams)
    drawn = DRAW[display](made)
    assert plt.get_fignums() == [figure.number, drawn.figure_.number]
    assert not figure.axes[0].has_data()
    assert dict(matplotlib.rcParams) == settings


@every_display
def test_axes_say_what_they_show(display, made):
    ax = DRAW[display](made).ax_
    assert ax.get_xlabel()
    # A bar's name stands at the bar.
    assert ax.get_ylabel() or display is GeneralizationReportDisplay
    handles, labels = ax.get_legend_handles_labels()
    assert len(set(labels)) == len(labels)
    assert (ax.get_legend() is not None) == bool(handles)


@every_display
def test_no_text_leaves_the_figure(display, made):
    drawn = DRAW[display](made)
    drawn.figure_.draw_without_rendering()
    width, height = drawn.figure_.get_size_inches() * drawn.figure_.dpi
    box = drawn.ax_.get_tightbbox()
    assert box.x0 >= 0
    assert box.y0 >= 0
    assert box.x1 <= width
    assert box.y1 <= height


@every_display
def test_the_constructor_stores_what_it_is_given(display, made):
    drawn = DRAW[display](made)
    given = {name: value for name, value in vars(drawn).items() if not name.endswith("_")}
    again = display(**given)
    assert all(getattr(again, name) is value for name, value in given.items())
    assert again.plot().ax_.get_xlabel() == drawn.ax_.get_xlabel()


@every_display
def test_axes_must_be_axes(display, made):
    _, both = plt.subplots(1, 2)
    with pytest.raises(TypeError, match="ax must be one matplotlib Axes or None, got ndarray"):
        DRAW[display](made).plot(both)


@pytest.mark.parametrize("draw", [*OF_NETWORKS.values(), *OF_PREDICTORS.values()], ids=[*OF_NETWORKS, *OF_PREDICTORS])
def test_an_unfitted_estimator_is_refused(draw):
    lstm = TikhonovLSTMRegressor()
    searched = GridSearchCV(lstm, {"lambda_s": [0.1]})
    for estimator in (lstm, make_pipeline(lstm), TransformedTargetRegressor(lstm), searched):
        with pytest.raises(NotFittedError, match="is not fitted yet"):
            draw(estimator)
    with pytest.raises(TypeError, match="got the class TikhonovLSTMRegressor"):
        draw(TikhonovLSTMRegressor)
    with pytest.raises(TypeError, match="expected a fitted estimator, got 'lstm'"):
        draw("lstm")
    assert plt.get_fignums() == []


@pytest.mark.parametrize("draw", OF_NETWORKS.values(), ids=OF_NETWORKS)
def test_a_foreign_estimator_is_refused(draw, made):
    ridge = Ridge().fit(made.X[:, 0], made.y)
    with pytest.raises(TypeError, match="alone or in a Pipeline, a TransformedTargetRegressor or a search; got Ridge"):
        draw(ridge)
    with pytest.raises(TypeError, match=r"got Ridge"):
        draw(make_pipeline(StandardScaler(), Ridge()).fit(made.X[:, 0], made.y))
    assert plt.get_fignums() == []


@pytest.mark.parametrize("draw", OF_PREDICTORS.values(), ids=OF_PREDICTORS)
def test_what_does_not_predict_is_refused(draw, made):
    with pytest.raises(TypeError, match="needs a classifier or a regressor, got StandardScaler"):
        draw(StandardScaler().fit(made.X[:, 0]))


def test_a_search_without_a_model_is_refused(made):
    with pytest.raises(NotFittedError, match="fitted with refit=False and holds no model"):
        LossCurveDisplay.from_estimator(made.classifier_search)


class LooksLikeASearch(BaseEstimator):
    """Attributes of a search, but of no known class."""

    refit = True
    cv = None

    def __init__(self, best_estimator_):
        self.best_estimator_ = best_estimator_

    def fit(self, X, y):
        return self


@pytest.mark.parametrize("draw", OF_NETWORKS.values(), ids=OF_NETWORKS)
def test_what_only_looks_like_a_search_is_not_unwrapped(draw, made):
    with pytest.raises(TypeError, match="got LooksLikeASearch"):
        draw(LooksLikeASearch(made.lstm))
    with pytest.raises(TypeError, match="needs a search over one parameter"):
        RegularizationPathDisplay.from_estimator(LooksLikeASearch(made.lstm))


class RidgeWithFolds(Ridge):
    """Parameters of a search, as LogisticRegressionCV has them, but no search."""

    refit = True
    cv = None


def test_an_estimator_with_cross_validation_inside_is_no_search(made):
    rows = made.X[:, 0]
    model = RidgeWithFolds().fit(rows, made.y)
    display = NoiseRobustnessDisplay.from_estimator(model, rows, made.y, sigmas=[0.0])
    assert display.errors[0, 0] == pytest.approx(np.mean((model.predict(rows) - made.y) ** 2))


def test_a_search_for_a_threshold_holds_one_model(made):
    tuned = TunedThresholdClassifierCV(NoisyRNNClassifier(4, max_epochs=3, random_state=0), cv=2, random_state=0)
    tuned.fit(made.X.reshape(60, -1), made.labels == "up")
    display = LossCurveDisplay.from_estimator(tuned)
    np.testing.assert_array_equal(display.data_loss, tuned.estimator_.loss_curve_)


@pytest.mark.parametrize("travel", ["pickled", "saved"])
def test_models_that_travelled_look_the_same(travel, made, tmp_path):
    if travel == "saved":
        made.stopped.save(tmp_path / "model.safetensors")
        model = load(tmp_path / "model.safetensors")
    else:
        model = pickle.loads(pickle.dumps(made.stopped))
    for display in (LossCurveDisplay, GateNormsDisplay, GeneralizationReportDisplay):
        data = (made.X, made.y) if display is GeneralizationReportDisplay else ()
        before, after = (vars(display.from_estimator(which, *data)) for which in (made.stopped, model))
        for name in before:
            if not name.endswith("_"):
                np.testing.assert_array_equal(before[name], after[name], err_msg=name)


def test_styles_differ_in_more_than_colour():
    assert len({style.color for style in STYLES}) == len(STYLES)
    assert len({str(style.linestyle) for style in STYLES}) == len(STYLES)
    assert len({style.marker for style in STYLES}) == len(STYLES)
    assert {style.color for style in STYLES} <= set(PALETTE.values())
    assert all(to_hex(colour).upper() == colour for colour in PALETTE.values())


def test_a_missing_matplotlib_is_named(monkeypatch):
    for module in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.setitem(sys.modules, module, None)  # as if it were not installed
    with pytest.raises(ImportError, match=r"needs matplotlib.*sklstm\[plot\]"):
        NoiseRobustnessDisplay(sigmas=[0.0, 1.0], errors=np.ones((2, 3))).plot()
    with pytest.raises(ImportError, match=r"needs matplotlib.*sklstm\[plot\]"):
        NoiseRobustnessDisplay.from_estimator(None, None, None, sigmas=None)
