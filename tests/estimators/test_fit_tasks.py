"""scikit-learn's callbacks: epochs as tasks, through pipelines and searches."""

import io
from contextlib import redirect_stdout

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklstm import NoisyRNNClassifier, TikhonovLSTMRegressor
from sklstm.training import Checkpoint

pytest.importorskip("sklearn.callback", reason="scikit-learn before 1.9 has no callbacks")
from sklearn.callback import ProgressBar, ScoringMonitor

FAST = {"max_epochs": 3, "random_state": 0}
ESTIMATORS = {
    "lstm": TikhonovLSTMRegressor(4, n_channels=2, **FAST),
    "relu": NoisyRNNClassifier(4, n_channels=2, **FAST),
}
ALL = pytest.mark.parametrize("estimator", ESTIMATORS.values(), ids=ESTIMATORS)


def problem(estimator):
    X = np.random.default_rng(0).standard_normal((40, 8))
    return X, X[:, 0] > 0 if isinstance(estimator, NoisyRNNClassifier) else X[:, 0]


class Recorder:
    """Follows scikit-learn's protocol of callbacks."""

    max_propagation_depth = None

    def __init__(self, stop_after=None):
        self.events, self.predictions, self.stop_after = [], [], stop_after

    def setup(self, estimator, context):
        self.events.append("setup")

    def teardown(self, estimator, context):
        self.events.append("teardown")

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None, metadata=None):
        self.events.append(("begin", context.task_name, context.task_id))
        self.metadata = metadata

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, fitted_estimator=None):
        self.events.append(("end", context.task_name, context.task_id))
        self.predictions.append(fitted_estimator.predict(X))
        self.last = fitted_estimator
        return self.stop_after == context.task_id and context.task_name == "epoch"


@ALL
def test_every_epoch_is_a_task(estimator):
    X, y = problem(estimator)
    recorder = Recorder()
    model = clone(estimator).set_callbacks(recorder).fit(X, y, sample_weight=np.arange(40))
    epochs = [(when, "epoch", index) for index in range(3) for when in ("begin", "end")]
    assert recorder.events == ["setup", ("begin", "fit", 0), *epochs, ("end", "fit", 0), "teardown"]
    np.testing.assert_array_equal(recorder.metadata["sample_weight"], np.arange(40))
    # What the last epoch's callback was given is the model itself; what earlier ones were given stands still.
    np.testing.assert_array_equal(recorder.predictions[2], model.predict(X))
    first = clone(estimator).set_params(max_epochs=1).fit(X, y, sample_weight=np.arange(40))
    np.testing.assert_array_equal(recorder.predictions[0], first.predict(X))
    # And nothing else is different.
    plain = clone(estimator).fit(X, y, sample_weight=np.arange(40))
    np.testing.assert_array_equal(plain.predict(X), model.predict(X))
    assert set(vars(plain)) == set(vars(model)) - {"_skl_callbacks"}


@ALL
def test_a_callback_can_end_training(estimator):
    X, y = problem(estimator)
    assert clone(estimator).set_callbacks(Recorder(stop_after=1)).fit(X, y).n_iter_ == 2


@ALL
def test_teardown_after_a_failure(estimator):
    X, y = problem(estimator)
    recorder = Recorder()
    model = clone(estimator).set_callbacks(recorder)
    with pytest.raises(ValueError, match="NaN"):
        model.fit(np.full_like(X, np.nan), y)
    assert recorder.events[0] == "setup"
    assert recorder.events[-1] == "teardown"
    with pytest.raises(ValueError, match="hidden_size"):
        model.set_params(hidden_size=0).fit(X, y)
    assert not {"_epoch_tasks", "_callback_fit_ctx"} & set(vars(model))
    model.set_params(hidden_size=2).fit(X, y)


@ALL
def test_scores_are_monitored_by_epoch(estimator):
    X, y = problem(estimator)
    scoring = "accuracy" if isinstance(estimator, NoisyRNNClassifier) else "r2"
    monitor = ScoringMonitor(scoring=scoring)
    model = clone(estimator).set_callbacks(monitor).fit(X, y)
    frame = (
        monitor.get_logs()[0].data_as_pandas
        if isinstance(monitor.get_logs(), list)
        else monitor.get_logs().data_as_pandas
    )
    scores = frame[scoring].to_numpy()
    assert scores[-1] == pytest.approx(model.score(X, y))
    assert len(scores) >= 3


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_bars_of_a_search_reach_down_to_the_epochs(n_jobs):
    X, y = problem(ESTIMATORS["lstm"])
    pipeline = make_pipeline(StandardScaler(), clone(ESTIMATORS["lstm"]))
    search = GridSearchCV(pipeline, {"tikhonovlstmregressor__hidden_size": [2, 3]}, cv=2, n_jobs=n_jobs)
    with redirect_stdout(io.StringIO()) as out:
        search.set_callbacks(ProgressBar(max_propagation_depth=None)).fit(X, y)
    shown = out.getvalue()
    assert "GridSearchCV" in shown
    assert "TikhonovLSTMRegressor" in shown
    assert search.best_score_ == GridSearchCV(pipeline, search.param_grid, cv=2).fit(X, y).best_score_


def test_tasks_of_a_search_are_nested():
    X, y = problem(ESTIMATORS["lstm"])
    paths = []

    class Paths(Recorder):
        def on_fit_task_begin(self, estimator, context):
            path = []
            while context is not None:
                path.append(context.task_name)
                context = context.parent
            paths.append(tuple(reversed(path)))

        def on_fit_task_end(self, estimator, context):
            pass

    pipeline = make_pipeline(StandardScaler(), clone(ESTIMATORS["lstm"]))
    GridSearchCV(pipeline, {"tikhonovlstmregressor__hidden_size": [2, 3]}, cv=2).set_callbacks(Paths()).fit(X, y)
    epochs = [path for path in paths if path[-1] == "epoch"]
    assert len(epochs) == (2 * 2 + 1) * 3  # folds times candidates, and the refit
    assert min(map(len, epochs)) >= 3


def test_a_checkpoint_does_not_take_a_fit_that_was_ended_for_one_that_was_not(tmp_path):
    X, y = problem(ESTIMATORS["lstm"])
    with_checkpoint = clone(ESTIMATORS["lstm"]).set_params(callbacks=[Checkpoint(tmp_path)])
    assert clone(with_checkpoint).set_callbacks(Recorder(stop_after=1)).fit(X, y).n_iter_ == 2
    assert clone(with_checkpoint).fit(X, y).n_iter_ == 3
    assert clone(with_checkpoint).set_callbacks(Recorder(stop_after=1)).fit(X, y).n_iter_ == 2
    # What only watches makes no difference: the fit of before is taken over.
    with redirect_stdout(io.StringIO()):
        clone(with_checkpoint).set_callbacks(ProgressBar()).fit(X, y)
    assert len(list(tmp_path.iterdir())) == 2
