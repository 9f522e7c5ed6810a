import numpy as np
import pytest
from sklearn.linear_model import Ridge

from sklstm.generalization import GeneralizationReport, holdout_bound
from sklstm.inspection import GeneralizationReportDisplay


def ends(display):
    return np.array([bar.get_x() + bar.get_width() for bar in display.bars_])


def texts(display):
    return [text.get_text() for text in display.ax_.texts]


@pytest.fixture(scope="module")
def report(made):
    return made.classifier.generalization_report(made.X, made.labels).with_bound(
        made.classifier.holdout_bound(made.X[1:], made.labels[1:])
    )


def test_bars_are_bounds_over_ceilings_and_say_which_are_no_better_than_a_guess(report):
    display = GeneralizationReportDisplay.from_report(report)
    assert display.names == list(report)
    finite = np.isfinite(display.values)
    np.testing.assert_allclose(ends(display)[finite], [b.value / b.ceiling for b in report.bounds if b.value < np.inf])
    assert set(display.ceiling_line_.get_xdata()) == {1}
    assert display.ax_.get_xscale() == "log"
    poor = [not bound.informative for bound in report.bounds]
    assert any(poor)
    assert not all(poor)
    assert [bar.get_hatch() is not None for bar in display.bars_] == poor
    colours = {(bar.get_facecolor(), is_poor) for bar, is_poor in zip(display.bars_, poor, strict=True)}
    assert len(colours) == 2
    np.testing.assert_allclose(display.guesses_.get_xdata(), [bound.guess / bound.ceiling for bound in report.bounds])
    assert [end >= guess for end, guess in zip(ends(display), display.guesses_.get_xdata(), strict=True)] == poor


def test_markers_are_the_bounds_that_hold_together(report):
    display = GeneralizationReportDisplay.from_report(report)
    table = report.to_dict()
    finite = np.array([table[name]["together"] < np.inf for name in display.names])
    expected = np.array([table[name]["together"] / table[name]["ceiling"] for name in display.names])
    np.testing.assert_allclose(display.together_.get_xdata()[finite], expected[finite])
    assert (display.together_.get_xdata() >= ends(display)).all()
    assert "δ = 0.05" in display.together_.get_label()


def test_the_tightest_bound_is_on_top(report):
    display = GeneralizationReportDisplay.from_report(report)
    heights = [bar.get_y() for bar in display.bars_]
    on_screen = display.ax_.transData.transform([(1, height) for height in heights])[:, 1]
    assert (np.diff(on_screen) < 0).all()


def test_numbers_are_those_of_the_printed_report(report):
    display = GeneralizationReportDisplay.from_report(report)
    found = texts(display)
    lines = {line.split()[0]: line.split()[1] for line in str(report).splitlines()[2 : 2 + len(report)]}
    for name, value in lines.items():
        assert found[found.index(name) + 1] == value


def test_one_bound_alone(made):
    display = GeneralizationReportDisplay.from_estimator(made.lstm, made.X, made.y)
    assert display.names == ["occam"]
    assert display.together is None
    assert display.together_ is None
    assert display.values == [made.lstm.generalization_bound_]
    assert texts(display)[0] == "occam"


def test_a_search_shows_its_best_model(made):
    display = GeneralizationReportDisplay.from_estimator(made.search, made.X, made.y)
    assert display.values == [made.search.generalization_bound_]


def test_infinite_and_zero_bounds_are_drawn_to_the_edges():
    display = GeneralizationReportDisplay(names=["a", "b", "c"], values=[0.0, 50.0, np.inf], ceilings=[1, 10, 1]).plot()
    left, right = display.ax_.get_xlim()
    zero, five, infinite = ends(display)
    assert zero == left
    assert five == 5
    assert 5 < infinite < right
    assert texts(display)[-1].startswith("inf")
    assert display.bars_[2].get_hatch() is not None


def test_losses_of_different_size_share_the_line():
    bounds = [holdout_bound(np.full(50, 1.0) * scale, cap=4 * scale, name=str(scale)) for scale in (1.0, 100.0)]
    display = GeneralizationReportDisplay.from_report(GeneralizationReport(bounds))
    first, second = ends(display)
    assert first == pytest.approx(second)
    assert display.values.min() > 1 > first
    assert [bar.get_hatch() for bar in display.bars_] == [None, None]
    marks = display.together_.get_xdata()
    assert marks[0] == pytest.approx(marks[1])
    assert first < marks[0] < 1
    assert display.values.max() == pytest.approx(100 * display.values.min())


def test_a_title_and_options(report):
    display = GeneralizationReportDisplay.from_report(report).plot(name="vowels", color="red", height=0.2)
    assert display.ax_.get_title() == "vowels"
    assert {bar.get_facecolor() for bar in display.bars_} == {(1.0, 0.0, 0.0, 1.0)}
    assert display.bars_[0].get_height() == pytest.approx(0.2)


def test_what_has_no_report_is_refused(made):
    with pytest.raises(ValueError, match="are not the training data"):
        GeneralizationReportDisplay.from_estimator(made.lstm, made.X, -made.y)
    with pytest.raises(TypeError, match="needs an estimator of sklstm"):
        GeneralizationReportDisplay.from_estimator(Ridge().fit(made.X[:, :, 0], made.y), made.X, made.y)
    with pytest.raises(TypeError, match="report must be a GeneralizationReport, got dict"):
        GeneralizationReportDisplay.from_report({})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"values": [1.0]}, r"values must have shape \(2,\)"),
        ({"values": [1.0, -1.0]}, "bounds of 0 or more"),
        ({"together": [1.0, np.nan]}, "bounds of 0 or more"),
        ({"ceilings": [1.0, 0.0]}, "ceilings must be positive and finite"),
    ],
)
def test_wrong_arguments(wrong, message):
    right = {"names": ["a", "b"], "values": [1.0, 2.0], "ceilings": [1.0, 1.0]}
    with pytest.raises(ValueError, match=message):
        GeneralizationReportDisplay(**right | wrong).plot()


def test_options_of_the_bars_are_those_of_the_caller(report):
    display = GeneralizationReportDisplay.from_report(report).plot(edgecolor="red", linewidth=3, hatch="xx")
    for bar in display.bars_:
        assert bar.get_edgecolor() == (1, 0, 0, 1)
        assert (bar.get_linewidth(), bar.get_hatch()) == (3, "xx")
