import numpy as np
import pytest
from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm import TikhonovLSTMRegressor
from sklstm.inspection import LossCurveDisplay


def test_data_loss_and_penalty_add_up_to_the_loss_curve(made):
    display = LossCurveDisplay.from_estimator(made.lstm)
    np.testing.assert_allclose(display.data_loss + display.penalty, made.lstm.loss_curve_, rtol=1e-12)
    np.testing.assert_array_equal(display.line_.get_ydata(), display.data_loss)
    np.testing.assert_array_equal(display.penalty_line_.get_ydata(), display.penalty)
    np.testing.assert_array_equal(display.line_.get_xdata(), np.arange(1, made.lstm.n_iter_ + 1))
    assert display.valid_loss is None
    assert display.valid_line_ is None
    assert display.best_point_ is None
    assert display.ax_.get_yscale() == "log"


def test_without_a_penalty_none_is_drawn(made):
    display = LossCurveDisplay.from_estimator(made.plain)
    assert display.penalty is None
    assert display.penalty_line_ is None
    np.testing.assert_allclose(display.data_loss, made.plain.loss_curve_)


def test_the_epoch_that_was_kept_is_marked(made):
    display = LossCurveDisplay.from_estimator(made.stopped)
    best = int(np.argmin(display.valid_loss))
    assert display.best_epoch == best + 1
    assert display.best_point_.get_xdata() == [best + 1]
    assert display.best_point_.get_ydata() == [display.valid_loss.min()]
    # Patience: what was kept is as many epochs old as training went on without improvement.
    assert len(display.valid_loss) in (best + 1 + made.stopped.n_iter_no_change, made.stopped.max_epochs)


def test_units_and_names(made):
    assert LossCurveDisplay.from_estimator(made.classifier).ax_.get_ylabel() == "cross-entropy (nats)"
    display = LossCurveDisplay.from_estimator(made.lstm, name="LSTM")
    assert display.ax_.get_ylabel() == "squared error (squared units of y)"
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == ["LSTM, data loss", "LSTM, penalty"]
    display.plot(name="other", linewidth=5)
    assert display.line_.get_linewidth() == 5
    assert display.line_.get_label() == "other, data loss"


def test_inside_a_composition(made):
    lstm = TikhonovLSTMRegressor(4, max_epochs=3, random_state=0)
    model = TransformedTargetRegressor(make_pipeline(made.doubling(), lstm), transformer=StandardScaler())
    model.fit(made.X, made.y)
    display = LossCurveDisplay.from_estimator(model)
    curve = model.regressor_.steps[-1][1].loss_curve_
    np.testing.assert_allclose(display.data_loss + display.penalty, curve)
    assert display.ax_.get_ylabel() == "squared error (squared units of the network's y)"
    assert len(LossCurveDisplay.from_estimator(made.search).data_loss) == 8


def test_a_loss_of_zero_is_drawn_on_a_linear_axis():
    display = LossCurveDisplay(epochs=[1, 2], data_loss=[1.0, 0.0]).plot()
    assert display.ax_.get_yscale() == "linear"


def test_losses_must_be_as_many_as_epochs():
    with pytest.raises(ValueError, match=r"penalty must have shape \(2,\)"):
        LossCurveDisplay(epochs=[1, 2], data_loss=[1.0, 0.5], penalty=[1.0]).plot()
