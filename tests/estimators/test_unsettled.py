"""The warning about a training that has not settled: when it comes, what it says, and when nothing is said."""

import re
import sys
import warnings

import numpy as np
import pytest
from sklearn.base import clone, is_regressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback

from sklstm import NoisyRNNClassifier, TikhonovLSTMRegressor
from sklstm._losses import LOSSES
from sklstm.model_selection import RegularizationPathCV
from sklstm.training import StopTraining
from tests.support.estimators import ESTIMATORS
from tests.support.problems import late_mean, signed_sum

FEW = {"max_epochs": 6, "lr": 0.003, "lr_schedule": "constant", "random_state": 0}
FALLING = (
    r"Training had not settled after max_epochs=6: the training loss was still falling, by (\S+) in the last tenth"
)
EVERY = pytest.mark.parametrize("kind", ESTIMATORS)


class StopAfter4(Callback):
    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == 4:
            raise StopTraining


def make(kind, **options):
    """An estimator with far to go: none that starts at ridge regression."""
    return kind(4, **FEW | ({"skip": "none"} if is_regressor(kind()) else {}) | options)


def problem(kind, n=120):
    return late_mean(n) if is_regressor(kind()) else signed_sum(n)


def said(call):
    """The messages about trainings that have not settled."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return [str(warning.message) for warning in caught if "had not settled" in str(warning.message)]


@EVERY
def test_too_few_epochs(kind):
    X, y = problem(kind)
    model = make(kind)
    with pytest.warns(ConvergenceWarning, match=FALLING) as caught:
        model.fit(X, y)
    line = sys._getframe().f_lineno - 1
    (warning,) = [entry for entry in caught if "settled" in str(entry.message)]
    assert (warning.filename, warning.lineno) == (__file__, line)
    assert str(warning.message).endswith("Raise max_epochs, or lr (0.003) if it is small.")
    # The line through the last five epochs, for a tenth of six.
    losses = model.net_.history[:, "data_loss"]
    expected = -0.6 * np.polyfit(np.arange(5), losses[-5:], 1)[0]
    assert float(re.search(FALLING, str(warning.message))[1]) == pytest.approx(expected, rel=0.01)


def test_enough_epochs():
    X, y = late_mean(120)
    assert said(lambda: make(TikhonovLSTMRegressor, max_epochs=80, lr=0.01, batch_size=40).fit(X, y)) == []
    decaying = make(TikhonovLSTMRegressor, max_epochs=60, lr=0.01, lr_schedule="cosine")
    assert said(lambda: decaying.fit(X, y)) == []


def test_jumps():
    X, y = signed_sum(120)
    wild = NoisyRNNClassifier(8, **FEW | {"lr": 0.3, "max_epochs": 20}, batch_size=20)
    (message,) = said(lambda: wild.fit(X, y))
    assert "the training loss was still jumping, in the last 5 epochs by up to" in message
    assert message.endswith("Lower lr (0.3), or let it decay, for instance with lr_schedule='cosine'.")
    losses = wild.net_.history[-5:, "data_loss"]
    assert f"{max(np.diff(losses)):.3g} from one to the next, around a mean of {np.mean(losses):.3g}" in message


@EVERY
def test_nothing_is_said_of_a_training_that_was_ended(kind):
    X, y = problem(kind)
    assert said(lambda: make(kind, callbacks=[StopAfter4()]).fit(X, y)) == []
    stopped = make(kind, max_epochs=400, lr=0.1, early_stopping=True, n_iter_no_change=2)
    assert said(lambda: stopped.fit(X, y)) == []
    assert stopped.n_iter_ < 400


@EVERY
def test_with_held_out_data_their_loss_counts(kind):
    X, y = problem(kind)
    (message,) = said(lambda: make(kind, early_stopping=True).fit(X, y))
    assert "the validation loss was still falling" in message


def bent(n=240):
    """Targets of which ridge regression leaves all."""
    X, _ = late_mean(n)
    return X, np.abs(X[:, -1, 0])


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("held_out", [{}, {"early_stopping": True, "validation_split": "last"}], ids=["all", "last"])
def test_targets_that_weigh_nothing_are_no_part_of_the_guess(held_out, loss):
    X, y = bent()
    weight = (np.arange(240) % 2).astype(float)
    model = TikhonovLSTMRegressor(8, **FEW | {"lr": 0.02}, batch_size=10, loss=loss, **held_out)
    for targets in (y, np.where(weight == 1, y, 1e3)):
        assert "still falling" in said(lambda targets=targets: model.fit(X, targets, weight))[0]


def test_with_held_out_data_the_guess_is_about_them():
    # Their loss falls by little of what they have to lose, and by much of what the training targets have.
    X, y = bent()
    model = TikhonovLSTMRegressor(8, **FEW, batch_size=10, early_stopping=True)
    assert said(lambda: model.fit(X, y, X_val=X, y_val=30 * y)) == []


@EVERY
def test_partial_fit_says_nothing(kind):
    X, y = problem(kind)
    arguments = {} if is_regressor(kind()) else {"classes": np.unique(y)}
    model = make(kind, max_epochs=1)
    for _ in range(3):
        assert said(lambda: model.partial_fit(X, y, **arguments)) == []


def test_paths_say_it_once_and_searches_of_scikit_learn_for_every_fit():
    X, y = late_mean(120)
    path = RegularizationPathCV(make(TikhonovLSTMRegressor), "lambda_s", [0.001, 0.1], cv=2)
    assert len(said(lambda: path.fit(X, y))) == 1, "of the last fit, to all data"
    assert said(lambda: clone(path).set_params(refit=False).fit(X, y)) == []
    search = GridSearchCV(make(TikhonovLSTMRegressor), {"lambda_s": [0.001, 0.1]}, cv=2)
    assert len(said(lambda: search.fit(X, y))) == 5


def test_a_warning_that_is_an_error_leaves_the_estimator_as_it_was():
    X, y = late_mean(60)
    model = make(TikhonovLSTMRegressor)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        with pytest.raises(ConvergenceWarning, match="Training had not settled"):
            model.fit(X, y)
    assert not hasattr(model, "net_")
