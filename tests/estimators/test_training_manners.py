"""Callbacks, progress, interruptions, divergence."""

import io
import pickle
from contextlib import redirect_stderr, redirect_stdout

import numpy as np
import pytest
import skorch.callbacks
import torch
from sklearn.base import clone, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback

from sklstm import NoisyRNNClassifier, TikhonovGRURegressor, TikhonovLSTMRegressor
from sklstm.exceptions import DivergenceError
from sklstm.training import StopTraining

FAST = {"max_epochs": 6, "batch_size": 16, "random_state": 0}
ESTIMATORS = {
    "lstm": TikhonovLSTMRegressor(6, **FAST),
    "gru": TikhonovGRURegressor(6, **FAST),
    "relu": NoisyRNNClassifier(6, **FAST),
}
ALL = pytest.mark.parametrize("estimator", ESTIMATORS.values(), ids=ESTIMATORS)


def problem(estimator, n=50):
    X = np.random.default_rng(0).standard_normal((n, 5, 2))
    y = X[:, :, 0].sum(axis=1)
    return X, y > 0 if isinstance(estimator, NoisyRNNClassifier) else y


def weights_of(model):
    return torch.cat([part.detach().flatten() for part in model.net_.module_.parameters()]).numpy()


class Diary(Callback):
    """What happened, in order."""

    def __init__(self):
        self.entries = []

    def initialize(self):
        self.entries.clear()
        return self

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        self.entries.append("begin")

    def on_epoch_end(self, net, **kwargs):
        self.entries.append(net.history[-1, "train_loss"])

    def on_batch_end(self, net, batch=None, training=False, **kwargs):
        self.entries.append("batch")

    def on_train_end(self, net, X=None, y=None, **kwargs):
        self.entries.append("end")


class StopAfter(Callback):
    def __init__(self, epochs, error=StopTraining):
        self.epochs, self.error = epochs, error

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == self.epochs:
            raise self.error


class Spoil(Callback):
    """A weight that is not a number, from the end of an epoch on."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == self.epoch:
            with torch.no_grad():
                net.module_.readout.weight[0, 0] = float("nan")


@ALL
def test_callbacks_see_the_training_and_keep_what_they_saw(estimator):
    X, y = problem(estimator)
    diary = Diary()
    model = clone(estimator)
    model.callbacks = callbacks = [diary, ("named", StopAfter(4))]
    model.fit(X, y)
    losses = [entry for entry in diary.entries if not isinstance(entry, str)]
    assert losses == model.loss_curve_
    assert diary.entries[0] == "begin"
    assert diary.entries[-1] == "end"
    assert diary.entries.count("batch") == 4 * 4  # 50 sequences in batches of 16
    assert model.n_iter_ == 4
    assert model.callbacks is callbacks
    assert [type(entry) for entry in callbacks] == [Diary, tuple]


@ALL
def test_callbacks_change_nothing_and_stay_out_of_the_fitted_net(estimator):
    X, y = problem(estimator)
    plain = clone(estimator).fit(X, y)

    class Unpicklable(Callback):
        def __init__(self):
            self.stream = io.StringIO()

        def __reduce__(self):
            raise TypeError("not to be pickled")

    model = clone(estimator)
    model.callbacks = [Unpicklable()]
    model.fit(X, y)
    np.testing.assert_array_equal(weights_of(model), weights_of(plain))
    model.callbacks = None
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), plain.predict(X))


@ALL
def test_the_early_stopping_of_skorch_ends_training_quietly(estimator):
    X, y = problem(estimator)
    stopping = skorch.callbacks.EarlyStopping(monitor="data_loss", patience=2, threshold=10.0, lower_is_better=False)
    model = clone(estimator).set_params(callbacks=[stopping]).fit(X, y)
    assert model.n_iter_ == 3  # the first epoch, and two that are not better
    assert not hasattr(model.net_, "stopped")


@ALL
def test_an_interruption_is_an_interruption(estimator):
    X, y = problem(estimator)
    model = clone(estimator).fit(X, y)
    before = dict(model.__dict__)
    # Beside skorch's EarlyStopping, and inside a callback too.
    stopping = skorch.callbacks.EarlyStopping(monitor="data_loss", patience=50)
    model.set_params(callbacks=[stopping, StopAfter(2, KeyboardInterrupt)])
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    assert {**model.__dict__, "callbacks": None} == before
    search = GridSearchCV(clone(model), {"hidden_size": [3, 4]}, cv=2)
    with pytest.raises(KeyboardInterrupt):
        search.fit(X, y)
    assert not hasattr(search, "best_score_")


@ALL
def test_an_error_in_a_callback_leaves_the_estimator_as_it_was(estimator):
    X, y = problem(estimator)
    model = clone(estimator).set_params(callbacks=[StopAfter(2, ZeroDivisionError)])
    with pytest.raises(ZeroDivisionError):
        model.fit(X, y)
    with pytest.raises(NotFittedError):
        model.predict(X)


def test_skorchs_own_callbacks_work(tmp_path):
    X, y = problem(ESTIMATORS["lstm"])
    lines = []
    checkpoint = skorch.callbacks.Checkpoint(
        monitor=None, dirname=str(tmp_path), f_optimizer=None, f_history=None, f_criterion=None
    )
    callbacks = [skorch.callbacks.PrintLog(sink=lines.append), checkpoint, skorch.callbacks.GradientNormClipping(0.5)]
    model = clone(ESTIMATORS["lstm"]).set_params(callbacks=callbacks).fit(X, y)
    assert len(lines) >= model.n_iter_
    assert "data_loss" in "".join(lines)
    saved = torch.load(tmp_path / "params.pt", weights_only=True)
    for name, value in model.net_.module_.state_dict().items():
        assert torch.equal(saved[name], value)


@pytest.mark.parametrize(
    ("callbacks", "message"),
    [
        (skorch.callbacks.EpochTimer(), "must be None or a list of skorch callbacks"),
        ([skorch.callbacks.EpochTimer], "must be an instance of skorch.callbacks.Callback"),
        ([("timer", 3)], "must be an instance"),
        (["timer"], "must be an instance"),
        ([lambda net: None], "set_callbacks"),
    ],
)
@ALL
def test_bad_callbacks(estimator, callbacks, message):
    model = clone(estimator)
    model.callbacks = callbacks
    with pytest.raises(TypeError, match=message):
        model.fit(*problem(estimator))


@ALL
def test_progress_shows_the_losses_and_cleans_up(estimator, monkeypatch):
    X, y = problem(estimator)
    monkeypatch.setenv("COLUMNS", "250")  # tqdm cuts off what does not fit
    monkeypatch.setenv("LINES", "40")
    for callbacks in (None, [StopAfter(3)], [StopAfter(3, ZeroDivisionError)]):
        err, out = io.StringIO(), io.StringIO()
        model = clone(estimator).set_params(verbose=1, callbacks=callbacks, early_stopping=True, lr_schedule="cosine")
        with redirect_stderr(err), redirect_stdout(out):
            try:
                model.fit(X, y)
            except ZeroDivisionError:
                assert callbacks[0].error is ZeroDivisionError
        shown = err.getvalue()
        assert type(model).__name__ in shown
        words = ["data_loss=", "valid_loss=", "lr=", "epoch"] + ["penalty="] * hasattr(model, "lambda_s")
        for word in words:
            assert word in shown
        assert shown.endswith("\n")  # closed
        assert out.getvalue() == ""
    err = io.StringIO()
    with redirect_stderr(err):
        clone(estimator).fit(X, y)
    assert err.getvalue() == ""


@ALL
def test_best_epoch_is_in_the_history(estimator):
    X, y = problem(estimator, 100)
    model = clone(estimator).set_params(early_stopping=True, max_epochs=40, n_iter_no_change=3, lr=0.05).fit(X, y)
    losses, best = model.net_.history[:, "valid_loss"], model.net_.history[:, "valid_loss_best"]
    assert np.flatnonzero(best)[-1] == np.argmin(losses)
    assert best == [loss == min(losses[: i + 1]) and loss not in losses[:i] for i, loss in enumerate(losses)]


@ALL
def test_the_last_good_weights_survive_a_divergence(estimator):
    X, y = problem(estimator)
    honest = clone(estimator).set_params(callbacks=[StopAfter(3)]).fit(X, y)
    model = clone(estimator).set_params(callbacks=[Spoil(4)])
    with pytest.raises(
        DivergenceError, match=r"the loss is nan in epoch 4 with lr=0.00\d.*those after epoch 3, are kept"
    ):
        model.fit(X, y)
    np.testing.assert_array_equal(weights_of(model), weights_of(honest))
    assert model.loss_curve_ == honest.loss_curve_
    assert model.n_iter_ == 3
    np.testing.assert_array_equal(model.predict(X), honest.predict(X))
    assert not hasattr(model, "generalization_bound_")
    if hasattr(model, "rho_h_"):
        assert model.rho_h_ == honest.rho_h_
    # It can go on from there.
    model.set_params(callbacks=None)
    again = model.set_params(warm_start=True).fit(X, y)
    assert np.isfinite(weights_of(again)).all()
    assert np.isfinite(weights_of(model.partial_fit(X, y))).all()


@ALL
def test_a_divergence_in_the_first_epoch_keeps_the_start(estimator):
    X, y = problem(estimator)
    model = clone(estimator).set_params(callbacks=[Spoil(1)])
    with pytest.raises(DivergenceError, match=r"in epoch 1 .*after epoch 0"):
        model.fit(X, y)
    assert model.n_iter_ == 0
    assert model.loss_curve_ == []
    start = clone(estimator).set_params(lr=1e-30, max_epochs=1).fit(X, y)
    np.testing.assert_allclose(weights_of(model), weights_of(start), rtol=0, atol=1e-6)


@ALL
def test_a_divergence_after_a_fit_is_of_the_new_fit_and_of_partial_fit_undone(estimator):
    X, y = problem(estimator)
    model = clone(estimator).fit(X, y)
    before, history = weights_of(model), len(model.net_.history)
    model.set_params(callbacks=[Spoil(history + 1)])
    with pytest.raises(DivergenceError):
        model.partial_fit(X, y)
    np.testing.assert_array_equal(weights_of(model), before)
    assert len(model.net_.history) == history
    model.set_params(callbacks=[Spoil(2)], random_state=1)
    with pytest.raises(DivergenceError):
        model.fit(X[:, :, :1], y)
    assert model.n_features_in_ == 1
    assert model.predict(X[:, :, :1]).shape == y.shape


def test_what_diverges_by_itself_keeps_finite_weights():
    X, y = problem(ESTIMATORS["lstm"])
    for optimizer in ("sgd", "adam"):
        model = clone(ESTIMATORS["lstm"]).set_params(skip="none", lr=1e12, optimizer=optimizer)
        with pytest.raises(ValueError, match=r"Standardise the inputs .* lower lr, or set clip_norm"):
            model.fit(X, y)
        assert np.isfinite(weights_of(model)).all()
        assert np.isfinite(model.predict(X)).all()


@pytest.mark.parametrize(
    ("optimizer", "parameters", "advice"),
    [
        ("sgd", {"weight_decay": 30.0}, "lr \\* weight_decay = 3 times .* lower weight_decay or lr"),
        ("adamw", {"weight_decay": 30.0}, "lr \\* weight_decay = 3 times .* lower weight_decay or lr"),
        ("sgd", {"weight_decay": 0.1, "lambda_s": 1e4}, "Standardise the inputs .* lower lr"),
    ],
)
def test_the_advice_after_a_divergence_fits_its_cause(optimizer, parameters, advice):
    X, y = problem(ESTIMATORS["lstm"])
    options = {"lr": 0.1, "max_epochs": 50, "lr_schedule": "constant", "optimizer": optimizer}
    with pytest.raises(DivergenceError, match=advice):
        clone(ESTIMATORS["lstm"]).set_params(**options, **parameters).fit(X, y)


def test_a_penalty_that_outgrows_the_loss_is_named():
    class Growing(Callback):  # between the last good epoch and the one that diverges
        def on_epoch_end(self, net, **kwargs):
            if len(net.history) == 2:
                net.history.record("penalty", 10 * net.history[-1, "data_loss"])
                net.module_.readout.weight.data.fill_(torch.nan)

    X, y = problem(ESTIMATORS["lstm"])
    with pytest.raises(DivergenceError, match=r"the penalty was .* and the loss on the data .*: lower lr, or lambda_s"):
        clone(ESTIMATORS["lstm"]).set_params(callbacks=[Growing()], max_epochs=4).fit(X, y)


@pytest.mark.parametrize("decay", [0.1, 10.0, 1000.0])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_strong_weight_decay_ends_at_a_constant(name, decay):
    X, y = problem(ESTIMATORS[name])
    model = clone(ESTIMATORS[name]).set_params(weight_decay=decay, lr=0.02, max_epochs=75)
    if is_regressor(model):  # from ridge regression it is further to a constant than these steps reach
        model.set_params(skip="none")
    model.fit(X, y)
    outputs = model._outputs(X)
    assert np.isfinite(outputs).all()
    if decay > 1:
        assert (outputs.max(axis=0) - outputs.min(axis=0)).max() < 1e-3
    lower, upper = model.certify(X[:3], 0.1, method="linear")
    assert (lower <= upper).all()
    assert not np.isnan(getattr(model, "perturbation_gain_", 0.0))


def test_a_search_goes_on_without_the_one_that_diverges():
    X, y = problem(ESTIMATORS["lstm"])
    search = GridSearchCV(clone(ESTIMATORS["lstm"]), {"lr": [0.01, 1e12]}, cv=2)
    with pytest.warns(Warning, match="fits failed|non-finite"):
        search.fit(X, y)
    assert search.best_params_ == {"lr": 0.01}
    assert np.isnan(search.cv_results_["mean_test_score"][1])


@ALL
def test_the_last_step_of_all_is_looked_at(estimator):
    # One step of a size that float32 can hold, and outputs that it cannot.
    X, y = problem(estimator)
    model = clone(estimator).set_params(max_epochs=1, batch_size=50, callbacks=[BlowUp()])
    with pytest.raises(DivergenceError, match=r"outputs are not finite after epoch 1 .*those after epoch 0, are kept"):
        model.fit(X, y)
    assert torch.isfinite(model.net_.module_(torch.from_numpy(X).float())).all()


class BlowUp(Callback):
    """Weights at the end of an epoch that are finite, and whose outputs are not."""

    def on_batch_end(self, net, batch=None, training=False, **kwargs):
        with torch.no_grad():
            for parameter in net.module_.parameters():
                parameter.fill_(3e38)


def test_a_monitor_of_what_is_not_held_out_is_refused():
    X, y = problem(ESTIMATORS["lstm"])
    model = clone(ESTIMATORS["lstm"]).set_params(callbacks=[skorch.callbacks.EarlyStopping()])
    with pytest.raises(ValueError, match="monitors 'valid_loss', but without early_stopping=True"):
        model.fit(X, y)
    assert model.set_params(early_stopping=True).fit(X, y).n_iter_ == 6


def test_a_start_that_is_no_good_leaves_the_estimator_as_it_was():
    X, y = problem(ESTIMATORS["relu"])
    model = clone(ESTIMATORS["relu"]).fit(X, y)
    before = model.predict_proba(X)
    with pytest.raises(DivergenceError, match=r"No weights were good\."):
        model.set_params(recurrent_scale=1e30).fit(X, y)
    np.testing.assert_array_equal(model.predict_proba(X), before)
