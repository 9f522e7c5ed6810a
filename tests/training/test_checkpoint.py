import json
import math
import os
import shutil
import threading
import warnings
from functools import cache

import numpy as np
import pytest
import torch
from sklearn.base import clone
from skorch.callbacks import Callback, LRScheduler

import sklstm
from sklstm import ModelFileError, NoisyRNNClassifier, TikhonovGRURegressor, TikhonovLSTMRegressor
from sklstm.training import Checkpoint
from sklstm.training._checkpoint import read_state, write_state
from tests.support.problems import late_mean, signed_sum

EPOCHS = 12
COMMON = {"max_epochs": EPOCHS, "random_state": 0}
FITS = {
    # Every kind of state there is: carried singular vectors, by powers of the Gram matrix and (H = 70) by Chebyshev's
    # polynomials; moments of the optimiser; the order of batches and the noise; early stopping at work, and at its end.
    "lstm": (TikhonovLSTMRegressor(6, **COMMON), late_mean(90)),
    "large lstm": (TikhonovLSTMRegressor(70, batch_size=10, **COMMON), late_mean(90)),
    "gru stack": (
        TikhonovGRURegressor(
            5, num_layers=2, sigma=0.1, optimizer="sgd", lr=0.003, clip_norm=1.0, early_stopping=True, **COMMON
        ),
        late_mean(90),
    ),
    "relu stopped": (
        NoisyRNNClassifier(
            30, lr=0.01, max_norm_w=1.5, noise="dropout", early_stopping=True, n_iter_no_change=2, **COMMON
        ),
        signed_sum(90),
    ),
    "plain lstm": (
        TikhonovLSTMRegressor(6, lambda_s=0, lambda_1=0, lambda_2=0, optimizer="adamw", **COMMON),
        late_mean(90),
    ),
}


class Stop(Callback):
    """Counts epochs, and ends the process' work in the middle of one, as far as the fit can tell."""

    changes_training = False

    def __init__(self, at=None):
        self.at = at

    def on_train_begin(self, net, **kwargs):
        self.n_epochs_ = 0

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == self.at:  # net has begun this epoch
            raise KeyboardInterrupt
        self.n_epochs_ += 1


def fit(name, *callbacks, **parameters):
    model, data = FITS[name]
    return clone(model).set_params(callbacks=list(callbacks), **parameters).fit(*data)


def interrupted(name, folder, at, **options):
    with pytest.raises(KeyboardInterrupt):
        fit(name, Checkpoint(folder, **options), Stop(at))


def assert_same_training(ours, theirs):
    """Weights, optimiser, generator, losses: not a bit differs."""
    for first, second in (
        (ours.net_.module_.state_dict(), theirs.net_.module_.state_dict()),
        *zip(*(model.net_.optimizer_.state_dict()["state"].values() for model in (ours, theirs)), strict=True),
    ):
        assert first.keys() == second.keys()
        for key in first:
            assert torch.equal(first[key], second[key]), key
    groups = [model.net_.optimizer_.state_dict()["param_groups"] for model in (ours, theirs)]
    assert groups[0] == groups[1]
    assert torch.equal(*(model.net_.generator.get_state() for model in (ours, theirs)))
    histories = [
        [{k: v for k, v in row.items() if k != "dur"} for row in model.net_.history] for model in (ours, theirs)
    ]
    assert histories[0] == histories[1]
    assert ours.loss_curve_ == theirs.loss_curve_
    X = FITS["relu stopped" if hasattr(ours, "classes_") else "lstm"][1][0]
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))


def only_file(folder):
    (path,) = folder.iterdir()
    return path


@pytest.mark.parametrize("name", FITS)
def test_a_fit_goes_on_from_any_epoch_and_ends_with_the_same_bits(name, tmp_path):
    undisturbed = fit(name)
    for at in range(2, undisturbed.n_iter_ + 1, 4):
        folder = tmp_path / str(at)
        interrupted(name, folder, at, every=1)
        counter = Stop()
        resumed = fit(name, Checkpoint(folder, every=1), counter)
        assert counter.n_epochs_ == undisturbed.n_iter_ - (at - 1)
        assert_same_training(resumed, undisturbed)
    if name == "relu stopped":
        assert undisturbed.n_iter_ < EPOCHS, "early stopping had its say"


@pytest.mark.parametrize("name", FITS)
def test_a_checkpoint_changes_nothing_and_a_finished_fit_is_not_trained_again(name, tmp_path):
    undisturbed, first, counter = fit(name), fit(name, Checkpoint(tmp_path)), Stop()
    second = fit(name, counter, Checkpoint(tmp_path))
    assert counter.n_epochs_ == 0
    for model in (first, second):
        assert_same_training(model, undisturbed)
    assert only_file(tmp_path).suffix == ".safetensors"


def test_several_interruptions_one_after_the_other(tmp_path):
    for at in (2, 5, 6, 11):
        interrupted("lstm", tmp_path, at, every=2)
    counter = Stop()
    assert_same_training(fit("lstm", Checkpoint(tmp_path, every=2), counter), fit("lstm"))
    assert counter.n_epochs_ == EPOCHS - 10, "the last state was that of epoch 10"


def test_other_fits_have_other_states(tmp_path):
    def check(n_states):
        assert len(list(tmp_path.iterdir())) == n_states

    (X, y), few = FITS["lstm"][1], {"max_epochs": 3}
    fit("lstm", Checkpoint(tmp_path), **few)
    for changed in (
        {"lr": 0.004},
        {"max_epochs": 4},
        {"random_state": 1},
        {"lambda_s": 0.02},
        {"variant": "tight"},
        {"weight_decay": 1e-3},
        {"clip_norm": 1.0},
        {"batch_size": 30},
        {"early_stopping": True},
        {"early_stopping": True, "n_iter_no_change": 3},
        {"optimizer": "adamw"},
        {"loss": "absolute_error"},
        {"loss": "quantile"},
        {"loss": "quantile", "quantile": 0.9},
    ):
        before = len(list(tmp_path.iterdir()))
        fit("lstm", Checkpoint(tmp_path), **few | changed)
        check(before + 1)
    before = len(list(tmp_path.iterdir()))
    one_off = y.copy()
    one_off[0] = np.nextafter(np.float32(y[0]), np.float32(9))
    clone(FITS["lstm"][0]).set_params(callbacks=[Checkpoint(tmp_path)], **few).fit(X, one_off)
    check(before + 1)
    # What has no say in the training: not another fit.
    fit("lstm", Checkpoint(tmp_path, every=3), Stop(), delta=0.01, early_stopping=False, **few)
    fit("lstm", Checkpoint(tmp_path), quantile=0.9, **few)
    check(before + 1)


def damage(path, kind):
    content = path.read_bytes()
    if kind == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "a flipped bit":
        path.write_bytes(content[:-100] + bytes([content[-100] ^ 1]) + content[-99:])
    elif kind == "a changed number":
        number = str(read_state(path)["state"]["optimizer"]["param_groups"][0]["lr"]).encode()
        assert number in content
        path.write_bytes(content.replace(number, number[:-1] + (b"1" if number[-1:] != b"1" else b"2")))
    elif kind == "text":
        path.write_text("notes of mine, nothing to do with it")
    elif kind == "a pickle":
        import pickle

        path.write_bytes(pickle.dumps({"state": 1}))


@pytest.mark.parametrize("kind", ["truncated", "empty", "a flipped bit", "a changed number", "text", "a pickle"])
def test_what_is_damaged_or_foreign_is_ignored_and_overwritten(kind, tmp_path):
    interrupted("lstm", tmp_path, 7, every=1)
    damage(only_file(tmp_path), kind)
    counter = Stop()
    with pytest.warns(UserWarning, match="is ignored and will be overwritten"):
        resumed = fit("lstm", Checkpoint(tmp_path), counter)
    assert counter.n_epochs_ == EPOCHS
    assert_same_training(resumed, fit("lstm"))
    assert read_state(only_file(tmp_path))["finished"]


def test_the_state_of_another_fit_under_this_name_is_not_trusted(tmp_path):
    interrupted("lstm", tmp_path / "this", 7, every=1)
    interrupted("large lstm", tmp_path / "other", 7, every=1)
    this, other = only_file(tmp_path / "this"), only_file(tmp_path / "other")
    shutil.copy(other, this)
    with pytest.warns(UserWarning, match="it is the state of another training, copied to this name"):
        fit("lstm", Checkpoint(tmp_path / "this"))
    # Even with a digest that fits: shapes do not, and what was set of it is taken back.
    write_state(this, read_state(other))
    with pytest.warns(UserWarning, match="does not fit this network and is ignored"):
        resumed = fit("lstm", Checkpoint(tmp_path / "this"))
    assert_same_training(resumed, fit("lstm"))


def change_moments(state):
    state["finished"] = True
    state["state"]["optimizer"]["state"][0]["exp_avg_sq"] -= 1.0
    for own in state["state"]["callbacks"].values():
        own.update({name: None for name in own if name == "plateau_"})


def change_entry(*path, value):
    def change(state):
        for key in path[:-1]:
            state = state[key]
        state[path[-1]] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        change_moments,
        change_entry("finished", value=1),
        change_entry("state", value=[]),
        change_entry("state", "weights", value=[]),
        change_entry("state", "weights", "readout.bias", value=torch.tensor([math.nan])),
        change_entry("state", "optimizer", "param_groups", 0, "lr", value="fast"),
        change_entry("state", "optimizer", "param_groups", 0, "betas", value=(0.9,)),
        change_entry("state", "optimizer", "state", 0, value={}),
        change_entry("state", "optimizer", "state", 1, "exp_avg", value=torch.zeros(1)),
        change_entry("state", "generator", value=torch.zeros(3, dtype=torch.uint8)),
        change_entry("state", "penalty", "norms", value=[]),
        change_entry("state", "penalty", "interval", value="often"),
        change_entry("state", "history", value=[{}]),
        change_entry("state", "history", value=[{"epoch": [1]}]),
        change_entry("state", "history", value=[{"train_loss": ["low"], "epoch": [1]}]),
        change_entry("state", "history", 0, "valid_loss", value=["low"] * 6),
        change_entry("state", "history", 0, "epoch", value=[1] * 5),
        change_entry("state", "callbacks", value={}),
        change_entry("state", "callbacks", "_divergence", value=None),
        change_entry("state", "callbacks", "_divergence", "weights_", value={}),
        change_entry("state", "callbacks", "_early_stopping", "best_weights_", value={}),
        change_entry("state", "callbacks", "_lr", "done_", value=None),
        change_entry("state", "callbacks", "_lr", "plateau_", value=None),
    ],
)
def test_a_signed_state_that_is_none_of_this_training_is_ignored(change, tmp_path):
    options = {"early_stopping": True, "lr_schedule": "plateau"}
    with pytest.raises(KeyboardInterrupt):
        fit("lstm", Checkpoint(tmp_path, every=1), Stop(7), **options)
    path = only_file(tmp_path)
    state = read_state(path)
    change(state)
    write_state(path, state)
    with pytest.warns(UserWarning, match="does not fit this network and is ignored"):
        resumed = fit("lstm", Checkpoint(tmp_path), **options)
    assert_same_training(resumed, undisturbed_with(**options))


@cache
def undisturbed_with(**options):
    return fit("lstm", **options)


def test_without_keep_nothing_stays(tmp_path):
    interrupted("lstm", tmp_path, 7, every=1, keep=False)
    assert only_file(tmp_path)
    counter = Stop()
    resumed = fit("lstm", Checkpoint(tmp_path, every=1, keep=False), counter)
    assert counter.n_epochs_ == EPOCHS - 6
    assert_same_training(resumed, fit("lstm"))
    assert list(tmp_path.iterdir()) == []


def test_two_processes_with_the_same_fit_do_each_other_no_harm(tmp_path):
    undisturbed = fit("lstm")
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(fit("lstm", Checkpoint(tmp_path, every=1)))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    for model in found:
        assert_same_training(model, undisturbed)
    assert read_state(only_file(tmp_path))["finished"]


def test_leftovers_of_killed_writers_are_removed_when_they_are_old(tmp_path):
    names = (f".sklstm-{'a' * 16}.tmp", f".sklstm-{'b' * 16}.tmp", "mine.tmp")
    old, young, foreign = (tmp_path / name for name in names)
    for path in (old, young, foreign):
        path.write_bytes(b"half of it")
    for path in (old, foreign):
        os.utime(path, (1e9, 1e9))
    fit("lstm", Checkpoint(tmp_path))
    assert [path.exists() for path in (old, young, foreign)] == [False, True, True]


def test_training_goes_on_where_a_state_cannot_be_written(tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.warns(UserWarning, match="No space left") as caught:
        model = fit("lstm", Checkpoint(tmp_path, every=1))
    assert sum("No space left" in str(warning.message) for warning in caught) == 1, "once a fit, not once an epoch"
    assert_same_training(model, fit("lstm"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"folder": 3}, TypeError, "folder must be a path, got 3"),
        ({"folder": ""}, TypeError, "folder must be a path"),
        ({"every": 0}, ValueError, "every must be a positive integer, got 0"),
        ({"every": 1.5}, ValueError, "every must be a positive integer"),
        ({"keep": 1}, TypeError, "keep must be True or False"),
    ],
)
def test_bad_parameters_are_refused_before_anything_is_done(options, error, message, tmp_path):
    folder = options.pop("folder", tmp_path / "new")
    with pytest.raises(error, match=message):
        fit("lstm", Checkpoint(folder, **options))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="cannot be made"):
        fit("lstm", Checkpoint(tmp_path / "file" / "below"))


class Halving(Callback):
    """A callback of the user's own, with a state: every third epoch without a new best loss halves the step."""

    def __init__(self, patience=3):
        self.patience = patience

    def on_train_begin(self, net, **kwargs):
        self.best_, self.waited_ = np.float64(np.inf), 0

    def on_epoch_end(self, net, **kwargs):
        loss = net.history[-1, "train_loss"]
        self.waited_ = 0 if loss < 0.9 * self.best_ else self.waited_ + 1
        self.best_ = min(self.best_, np.float64(loss))
        if self.waited_ >= self.patience:
            for group in net.optimizer_.param_groups:
                group["lr"] /= 2


@pytest.mark.parametrize(
    "make", [lambda: Halving(1), lambda: LRScheduler(torch.optim.lr_scheduler.StepLR, step_size=3, gamma=0.5)]
)
def test_other_callbacks_go_on_from_their_own_state(make, tmp_path):
    # A scheduler of skorch wants the rate to itself.
    rate = {"lr": 0.03, "lr_schedule": "constant"}
    undisturbed = fit("lstm", make(), **rate)
    assert undisturbed.net_.optimizer_.param_groups[0]["lr"] < 0.03
    for order in (1, -1):
        folder = tmp_path / str(order)
        with pytest.raises(KeyboardInterrupt):
            fit("lstm", *[Checkpoint(folder, every=1), make(), Stop(8)][::order], **rate)
        assert_same_training(fit("lstm", *[make(), Checkpoint(folder)][::order], **rate), undisturbed)
    fit("lstm", Checkpoint(folder), **rate)
    assert len(list(folder.iterdir())) == 2, "without it, it is another fit"


class Thaw(Callback):
    """Trains the readout alone at first."""

    changes_training = True

    def on_epoch_begin(self, net, **kwargs):
        for name, parameter in net.module_.named_parameters():
            parameter.requires_grad_("readout" in name or len(net.history) > 4)


@pytest.mark.parametrize("at", [3, 7])
def test_parameters_may_be_frozen(at, tmp_path):
    undisturbed = fit("plain lstm", Thaw())
    with pytest.raises(KeyboardInterrupt):
        fit("plain lstm", Thaw(), Checkpoint(tmp_path, every=1), Stop(at))
    assert_same_training(fit("plain lstm", Thaw(), Checkpoint(tmp_path, every=1)), undisturbed)


def test_a_callback_whose_state_cannot_be_stored_is_named_before_training(tmp_path):
    class Opaque(Callback):
        def on_train_begin(self, net, **kwargs):
            self.lock_ = threading.Lock()

    with pytest.raises(TypeError, match=r"lock.*cannot be stored.*state_dict\(\)"):
        fit("lstm", Opaque(), Checkpoint(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_second_fit_of_the_same_estimator_does_not_take_over_the_first(tmp_path):
    X, y = FITS["lstm"][1]
    model = clone(FITS["lstm"][0]).set_params(callbacks=[Checkpoint(tmp_path)])
    model.fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "Training had not settled")  # after so few epochs
        on_other_data = model.fit(X, -y)
    assert_same_training(on_other_data, clone(FITS["lstm"][0]).fit(X, -y))
    assert len(list(tmp_path.iterdir())) == 2


def test_files_are_safetensors_with_json(tmp_path):
    from safetensors import safe_open

    model = fit("lstm", Checkpoint(tmp_path))
    path = only_file(tmp_path)
    with safe_open(path, "pt") as file:
        document = json.loads(file.metadata()["document"])
        assert (document["kind"], document["key"]) == ("training state", path.stem)
        for name, value in model.net_.module_.state_dict().items():
            assert torch.equal(file.get_tensor(f"state.weights.{name}"), value)
    assert read_state(path)["state"]["history"][0]["train_loss"] == model.loss_curve_


def test_a_model_is_no_state_and_a_state_is_no_model(tmp_path):
    model = fit("lstm", Checkpoint(tmp_path))
    path = only_file(tmp_path)
    with pytest.raises(ModelFileError, match="it holds a training state, not one of"):
        sklstm.load(path)
    with pytest.raises(ModelFileError, match="needs the entries"):
        type(model).load(path)
    model.set_params(callbacks=None).save(path)
    with pytest.warns(UserWarning, match="it holds something else"):
        fit("lstm", Checkpoint(tmp_path))
