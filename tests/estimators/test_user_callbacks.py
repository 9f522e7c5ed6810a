"""skorch's callbacks, one by one, as the user of an estimator meets them; what workers of a search write."""

import pickle
import re
import signal
import sys
import warnings

import numpy as np
import pytest
import skorch.callbacks
import torch
from joblib import parallel_config
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback

from sklstm import NoisyRNNClassifier, TikhonovLSTMRegressor
from tests.support.estimators import CLASSIFIERS, ESTIMATORS
from tests.support.problems import late_mean, signed_sum


def problem(kind, n=60):
    return (signed_sum if kind in CLASSIFIERS else late_mean)(n)


def small(kind=TikhonovLSTMRegressor, **parameters):
    return kind(4, **({"max_epochs": 5, "lr_schedule": "constant", "random_state": 0} | parameters))


def of_network(model):
    return torch.cat([parameter.detach().flatten() for parameter in model.net_.module_.parameters()])


class Recorder(Callback):
    """Keeps a column of the history as it was at the end of every epoch."""

    def __init__(self, key="train_loss"):
        self.key = key

    def on_train_begin(self, net, **kwargs):
        self.seen_ = []

    def on_epoch_end(self, net, **kwargs):
        self.seen_.append(net.history[-1, self.key])


class At(Callback):
    """Does something at the end or the beginning of one epoch."""

    def __init__(self, epoch, action, begin=False):
        self.epoch, self.action, self.begin = epoch, action, begin

    def on_epoch_begin(self, net, **kwargs):
        if self.begin and net.history[-1, "epoch"] == self.epoch:
            self.action(net)

    def on_epoch_end(self, net, **kwargs):
        if not self.begin and net.history[-1, "epoch"] == self.epoch:
            self.action(net)


def fail(net):
    raise OSError("disk full")


def interrupt(net):
    signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_callbacks_are_used_as_given_and_not_kept_by_the_net(kind):
    X, y = problem(kind)
    given = [Recorder(), ("EarlyStopping", Recorder("data_loss")), Recorder("lr")]
    before = list(given)
    model = small(kind, callbacks=given, early_stopping=True, verbose=2).fit(X, y)
    assert model.callbacks is given
    assert all(now is then for now, then in zip(given, before, strict=True))
    assert given[0].seen_ == model.loss_curve_
    assert given[1][1].seen_ == model.net_.history[:, "data_loss"]
    assert given[2].seen_ == [model.lr] * model.n_iter_
    assert not model.net_.callbacks
    assert not model.net_.callbacks_
    assert torch.equal(of_network(model), of_network(small(kind, early_stopping=True).fit(X, y)))


def test_a_model_pickles_once_callbacks_that_do_not_are_taken_off():
    model = small(callbacks=[At(1, lambda net: None)]).fit(*late_mean(30))
    pickle.dumps(model.net_)
    copy = pickle.loads(pickle.dumps(model.set_params(callbacks=None)))
    assert torch.equal(of_network(copy), of_network(model))


def test_clones_have_callbacks_of_their_own_and_searches_use_them():
    X, y = late_mean(60)
    recorder = Recorder()
    model = small(callbacks=[("curve", recorder)])
    copy = clone(model)
    assert copy.callbacks[0][1] is not recorder
    search = GridSearchCV(model, {"lr": [0.001, 0.002]}, cv=2).fit(X, y)
    best = search.best_estimator_
    assert best.callbacks[0][1].seen_ == best.loss_curve_
    assert not hasattr(recorder, "seen_")


SKORCH = {
    "EarlyStopping": lambda folder: skorch.callbacks.EarlyStopping(patience=50, load_best=True),
    "PrintLog": lambda folder: skorch.callbacks.PrintLog(),
    "ProgressBar": lambda folder: skorch.callbacks.ProgressBar(detect_notebook=False),
    "EpochTimer": lambda folder: skorch.callbacks.EpochTimer(),
    "EpochScoring": lambda folder: skorch.callbacks.EpochScoring("r2", lower_is_better=False),
    "EpochScoring of training": lambda folder: skorch.callbacks.EpochScoring("r2", name="train_r2", on_train=True),
    "BatchScoring": lambda folder: skorch.callbacks.BatchScoring("neg_mean_absolute_error", lower_is_better=False),
    "PassthroughScoring": lambda folder: skorch.callbacks.PassthroughScoring("valid_loss"),
    "Checkpoint": lambda folder: skorch.callbacks.Checkpoint(dirname=folder, load_best=True),
    "TrainEndCheckpoint": lambda folder: skorch.callbacks.TrainEndCheckpoint(dirname=folder),
}


@pytest.mark.parametrize("name", SKORCH)
def test_callbacks_that_only_watch_work_and_change_nothing(name, tmp_path):
    X, y = late_mean(60)
    model = small(callbacks=[SKORCH[name](str(tmp_path))], early_stopping=True).fit(X, y)
    assert torch.equal(of_network(model), of_network(small(early_stopping=True).fit(X, y)))
    pickle.dumps(model)


@pytest.mark.parametrize(
    "callback",
    [
        skorch.callbacks.GradientNormClipping(1e-3),
        skorch.callbacks.Freezer("readout*"),
        skorch.callbacks.LRScheduler("StepLR", step_size=2),
        skorch.callbacks.LRScheduler("StepLR", step_size=2, step_every="batch"),
        skorch.callbacks.LRScheduler("ReduceLROnPlateau", monitor="train_loss", patience=0, threshold=0.9),
    ],
    ids=lambda callback: f"{type(callback).__name__} {getattr(callback, 'step_every', '')}",
)
def test_callbacks_that_act_do(callback):
    X, y = late_mean(60)
    assert not torch.equal(of_network(small(callbacks=[callback]).fit(X, y)), of_network(small().fit(X, y)))


def test_epoch_scores_are_those_of_the_weights_of_the_epoch():
    X, y = late_mean(80)
    scoring = skorch.callbacks.EpochScoring("neg_mean_squared_error", lower_is_better=False, name="score")
    history = small(callbacks=[scoring], early_stopping=True).fit(X, y).net_.history
    assert history[:, "score"] == pytest.approx([-loss for loss in history[:, "valid_loss"]], rel=1e-6)
    # Of a classifier the net itself knows the outputs only.
    X, y = signed_sum(80)

    def accuracy(net, X, y):
        return np.mean(net.predict(X).argmax(axis=1) == y)

    scoring = skorch.callbacks.EpochScoring(accuracy, lower_is_better=False, name="accuracy")
    model = small(NoisyRNNClassifier, callbacks=[scoring], early_stopping=True, lr=0.02, max_epochs=20).fit(X, y)
    assert max(model.net_.history[:, "accuracy"]) > 0.7


def test_a_printed_log_has_a_line_per_epoch(capsys):
    small(callbacks=[skorch.callbacks.PrintLog()]).fit(*late_mean(30))
    lines = capsys.readouterr().out.strip().splitlines()
    assert lines[0].split()[:3] == ["epoch", "data_loss", "lr"]
    assert [line.split()[0] for line in lines[2:]] == ["1", "2", "3", "4", "5"]


def test_a_checkpoint_has_the_best_weights(tmp_path):
    checkpoint = skorch.callbacks.Checkpoint(dirname=str(tmp_path))
    model = small(callbacks=[checkpoint], early_stopping=True, lr=0.1, max_epochs=15).fit(*late_mean(80))
    saved = torch.load(tmp_path / "params.pt", weights_only=True)
    assert saved.keys() == model.net_.module_.state_dict().keys()
    for name, value in model.net_.module_.state_dict().items():
        assert torch.equal(saved[name], value)


def test_skorchs_early_stopping_ends_a_fit_in_good_order():
    X, y = late_mean(60)
    stopping = skorch.callbacks.EarlyStopping("train_loss", patience=2, threshold=0.9)
    model = small(callbacks=[stopping]).fit(X, y)
    assert stopping.misses_ == 2
    assert model.n_iter_ == 3
    # Together with ours, each with its own patience: here theirs ends training and ours picks the weights.
    model = small(callbacks=[stopping], early_stopping=True).fit(X, y)
    assert model.n_iter_ == 3
    assert torch.equal(of_network(model), of_network(small(max_epochs=3, early_stopping=True).fit(X, y)))


@pytest.mark.parametrize("kind", ESTIMATORS)
@pytest.mark.parametrize("fitted", [False, True])
@pytest.mark.parametrize(("action", "error"), [(fail, OSError), (interrupt, KeyboardInterrupt)])
def test_a_failing_callback_leaves_the_estimator_as_it_was(kind, fitted, action, error):
    X, y = problem(kind)
    model = small(kind)
    if fitted:
        model.fit(X, y)
    before = dict(model.set_params(callbacks=[At(2, action)]).__dict__)
    with pytest.raises(error):
        model.fit(X, y)
    assert model.__dict__.keys() == before.keys()
    assert all(model.__dict__[name] is value for name, value in before.items())


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_workers_of_a_search_show_no_bars_but_whole_lines(capfd):
    # Forked workers write to the stream that is captured here; loky's, which may be older, perhaps to another.
    shown = []
    for verbose in (1, 2):
        model = TikhonovLSTMRegressor(4, max_epochs=2, lr_schedule="constant", random_state=0, verbose=verbose)
        with parallel_config("multiprocessing"):
            GridSearchCV(model, {"lr": [0.001, 0.002]}, cv=2, n_jobs=2).fit(*late_mean(30))
        out, error = capfd.readouterr()
        assert not out
        shown.append(error)
    bar, lines = shown
    assert bar.count("100%") == 1, "that of the last fit, in the first process"
    assert {line.split(":")[0].strip() for line in re.split(r"[\r\n]+", bar.strip())} == {"TikhonovLSTMRegressor"}
    pattern = r"TikhonovLSTMRegressor: epoch [12]/2, data_loss [\d.e-]+, penalty [\d.e-]+"
    assert len(lines.splitlines()) == 2 * 5
    assert all(re.fullmatch(pattern, line) for line in lines.splitlines())


def test_a_warning_points_at_the_call_of_fit():
    X, y = late_mean(60)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        small(lr=0.1, batch_size=64, lambda_s=1e-6, lambda_1=0.0, lambda_2=0.0).fit(X, y)
        line = sys._getframe().f_lineno - 1
    found = [record for record in caught if issubclass(record.category, ConvergenceWarning)]
    assert [str(warning.message)[:12] for warning in found] == ["The fitted L", "Training had"]
    assert {(warning.filename, warning.lineno) for warning in found} == {(__file__, line)}


def test_two_schedules_of_one_learning_rate_are_refused():
    with pytest.raises(ValueError, match="LRScheduler among callbacks both set the learning rate"):
        small(lr_schedule="cosine", callbacks=[skorch.callbacks.LRScheduler("StepLR", step_size=2)]).fit(*late_mean(20))


@pytest.mark.parametrize("on_train", [False, True])
def test_scores_do_not_stumble_over_sample_weights(on_train):
    X, y = late_mean(60)
    weight = np.linspace(0.5, 2, len(X))
    scoring = skorch.callbacks.EpochScoring("r2", name="score", on_train=on_train, lower_is_better=False)
    model = small(callbacks=[scoring], early_stopping=True).fit(X, y, weight)
    assert torch.equal(of_network(model), of_network(small(early_stopping=True).fit(X, y, weight)))
    assert max(model.net_.history[:, "score"]) < 1
