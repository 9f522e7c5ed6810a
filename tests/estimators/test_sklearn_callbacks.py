"""scikit-learn's callbacks: every epoch is a subtask of fit, alone, in pipelines and in searches."""

import io
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback

from sklstm import TikhonovLSTMRegressor
from sklstm.exceptions import DivergenceError
from tests.support.estimators import CLASSIFIERS, ESTIMATORS
from tests.support.problems import late_mean, signed_sum

sklearn_callback = pytest.importorskip("sklearn.callback", reason="scikit-learn has callbacks from 1.9 on")


def problem(kind, n=60):
    return (signed_sum if kind in CLASSIFIERS else late_mean)(n)


def small(kind=TikhonovLSTMRegressor, **parameters):
    # At a constant rate the first epochs of a long training are a short one.
    return kind(4, **({"max_epochs": 4, "lr_schedule": "constant", "random_state": 0} | parameters))


def of_network(model):
    return torch.cat([parameter.detach().flatten() for parameter in model.net_.module_.parameters()])


class Recorder:
    """Writes down (event, task, estimator of the task); fails or stops where asked to."""

    def __init__(self, fail_at=None, stop_at=None):
        self.fail_at, self.stop_at, self.events = fail_at, stop_at, []

    def setup(self, estimator, context):
        self._event("setup", context)

    def on_fit_task_begin(self, estimator, context):
        self._event("begin", context)

    def on_fit_task_end(self, estimator, context):
        self._event("end", context)
        return (context.task_name, context.task_id) == self.stop_at

    def teardown(self, estimator, context):
        self._event("teardown", context)

    def _event(self, event, context):
        self.events.append((event, context.task_name, context.task_id))
        if self.events[-1] == self.fail_at:
            raise OSError("disk full")


class Propagated(Recorder):
    max_propagation_depth = None


class Fitted(Recorder):
    """Keeps what it is given at the end of every task, and at the beginning of the epochs."""

    def __init__(self):
        super().__init__()
        self.kept, self.begun = [], []

    def on_fit_task_begin(self, estimator, context, *, fitted_estimator=None):
        if context.task_name == "epoch":
            self.begun.append(fitted_estimator)

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None):
        self.kept.append((estimator, X, y, metadata, fitted_estimator))


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_every_epoch_is_a_subtask_of_fit(kind):
    X, y = problem(kind)
    recorder = Recorder()
    model = small(kind, max_epochs=3)
    assert model.set_callbacks(recorder) is model
    model.fit(X, y)
    epochs = [(event, "epoch", number) for number in range(3) for event in ("begin", "end")]
    whole = [("setup", "fit", 0), ("begin", "fit", 0), *epochs, ("end", "fit", 0), ("teardown", "fit", 0)]
    assert recorder.events == whole
    plain = small(kind, max_epochs=3).fit(X, y)
    assert torch.equal(of_network(model), of_network(plain))
    assert vars(model).keys() - vars(plain).keys() == {"_skl_callbacks"}
    assert not model.net_.callbacks_
    model.fit(X, y)
    assert recorder.events == 2 * whole


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_the_fitted_estimator_of_a_task_is_what_a_fit_ended_there_would_be(kind):
    X, y = problem(kind)
    keeper = Fitted()
    model = small(kind).set_callbacks(keeper).fit(X, y)
    assert len(keeper.kept) == 4 + 1
    for epochs, (estimator, X_seen, y_seen, metadata, fitted) in enumerate(keeper.kept[:4], 1):
        assert estimator is model
        assert X_seen is X
        assert y_seen is y
        assert not metadata
        honest = small(kind, max_epochs=epochs).fit(X, y)
        assert np.array_equal(fitted.predict(X), honest.predict(X))
        assert fitted.loss_curve_ == honest.loss_curve_
        for name in ("rho_x_", "rho_h_", "perturbation_gain_", "n_iter_"):
            assert getattr(fitted, name, None) == getattr(honest, name, None)
        # At the beginning of the next epoch nothing has changed.
        if epochs < 4:
            assert torch.equal(of_network(keeper.begun[epochs]), of_network(honest))
    assert keeper.begun[0].n_iter_ == 0
    assert np.array_equal(keeper.kept[-1][-1].predict(X), model.predict(X))
    first = pickle.loads(pickle.dumps(keeper.kept[0][-1].set_callbacks()))
    assert torch.equal(of_network(first), of_network(keeper.kept[0][-1]))


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_scores_are_monitored(kind):
    X, y = problem(kind)
    scoring = "accuracy" if kind in CLASSIFIERS else "r2"
    monitor = sklearn_callback.ScoringMonitor(scoring=scoring)
    model = small(kind).set_callbacks(monitor).fit(X, y)
    scores = {row["task_id_path"]: row[scoring] for row in monitor.get_logs().data}
    assert scores[(0,)] == model.score(X, y)
    expected = [small(kind, max_epochs=epochs).fit(X, y).score(X, y) for epochs in (1, 2, 3, 4)]
    assert [scores[(0, number)] for number in range(4)] == expected


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_a_callback_stops_training_by_returning_true(kind):
    X, y = problem(kind)
    recorder = Recorder(stop_at=("epoch", 1))
    model = small(kind).set_callbacks(recorder).fit(X, y)
    assert model.n_iter_ == 2
    assert torch.equal(of_network(model), of_network(small(kind, max_epochs=2).fit(X, y)))
    assert recorder.events[-2:] == [("end", "fit", 0), ("teardown", "fit", 0)]


@pytest.mark.parametrize("fitted", [False, True])
@pytest.mark.parametrize(
    "place", [("setup", "fit", 0), ("begin", "fit", 0), ("begin", "epoch", 1), ("end", "epoch", 1), ("end", "fit", 0)]
)
def test_a_failing_callback_leaves_the_estimator_as_it_was(fitted, place):
    X, y = late_mean(30)
    model = small()
    if fitted:
        model.fit(X, y)
    recorder = Recorder(fail_at=place)
    before = dict(vars(model.set_callbacks(recorder)))
    with pytest.raises(OSError, match="disk full"):
        model.fit(X, y)
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is value for name, value in before.items())
    assert recorder.events[-1] == ("teardown", "fit", 0)


def test_callbacks_are_torn_down_after_divergence_and_after_bad_data():
    X, y = late_mean(30)
    recorder = Recorder()
    model = small(optimizer="sgd", lr=1e30, batch_size=8).set_callbacks(recorder)
    with pytest.raises(DivergenceError):
        model.fit(X, y)
    assert recorder.events[-1] == ("teardown", "fit", 0)
    assert not {"_callback_fit_ctx", "_skl_callbacks_to_teardown"} & vars(model).keys()
    assert model.n_iter_ == 0
    with pytest.raises(ValueError, match="NaN"):
        model.fit(X * np.nan, y)
    assert recorder.events[-1] == ("teardown", "fit", 0)
    assert not {"_callback_fit_ctx", "_skl_callbacks_to_teardown"} & vars(model).keys()


def test_bad_parameters_are_refused_before_any_callback_hears_of_a_fit():
    recorder = Recorder()
    with pytest.raises((TypeError, ValueError), match="max_epochs"):
        small(max_epochs="many").set_callbacks(recorder).fit(*late_mean(30))
    assert not recorder.events


def test_both_kinds_of_callbacks_together():
    class Count(Callback):
        def on_train_begin(self, net, **kwargs):
            self.epochs_ = 0

        def on_epoch_end(self, net, **kwargs):
            self.epochs_ += 1

    count = Count()
    model = small(callbacks=[count], early_stopping=True).set_callbacks(Recorder(stop_at=("epoch", 2)))
    model.fit(*late_mean(60))
    assert model.n_iter_ == count.epochs_ == 3


def test_clones_share_scikit_learns_callbacks():
    recorder = Recorder()
    clone(small().set_callbacks(recorder)).fit(*late_mean(30))
    assert recorder.events.count(("end", "epoch", 3)) == 1


def test_epochs_are_tasks_inside_pipelines_and_searches():
    X, y = late_mean(60, n_steps=4)
    X = X.reshape(len(X), -1)
    recorder = Propagated()
    model = small(n_channels=2, max_epochs=2)
    GridSearchCV(
        make_pipeline(StandardScaler(), model), {"tikhonovlstmregressor__lr": [0.001, 0.01]}, cv=2
    ).set_callbacks(recorder).fit(X, y)
    # Four fits in the search and one at its end, of two epochs each.
    assert len([event for event in recorder.events if event[:2] == ("end", "epoch")]) == 5 * 2
    assert recorder.events[0][0] == "setup"
    assert recorder.events[-1][0] == "teardown"
    assert "_parent_callback_ctx" not in vars(model)


def test_a_search_shows_nested_bars_down_to_our_epochs(monkeypatch):
    rich_console = pytest.importorskip("rich.console")
    rich_progress = pytest.importorskip("rich.progress")
    screen = io.StringIO()
    console = rich_console.Console(file=screen, width=160, force_terminal=False)
    monkeypatch.setattr(rich_progress, "get_console", lambda: console)
    bar = sklearn_callback.ProgressBar(max_propagation_depth=None)
    search = GridSearchCV(small(max_epochs=2), {"lr": [0.001, 0.01]}, cv=2).set_callbacks(bar)
    search.fit(*late_mean(40))
    lines = [line for line in screen.getvalue().splitlines() if "TikhonovLSTMRegressor - fit" in line]
    assert len(lines) == 5
    assert all("100%" in line for line in lines)


def test_without_callbacks_no_task_is_made(monkeypatch):
    made = []
    subcontext = sklearn_callback.CallbackContext.subcontext
    monkeypatch.setattr(
        sklearn_callback.CallbackContext,
        "subcontext",
        lambda self, *args, **kwargs: made.append(1) or subcontext(self, *args, **kwargs),
    )
    small().fit(*late_mean(30))
    assert not made
    small().set_callbacks(Recorder()).fit(*late_mean(30))
    assert len(made) == 4
