"""Events reach the callbacks that care; how they end training; early stopping and the guard against divergence."""

import math
import pickle
import signal

import pytest
import skorch.callbacks
import torch
from skorch.callbacks import Callback

from sklstm.exceptions import DivergenceError
from sklstm.training import StopTraining
from sklstm.training._callbacks import DivergenceGuard, EarlyStopping
from sklstm.training._process import seeded_construction
from tests.support.toy_nets import LastStep, linear_data, make_net, weights


class Log(Callback):
    """Writes down every event, and the number of the epoch at whose end it was called."""

    def __init__(self):
        self.events_, self.epochs_ = [], []

    def on_train_begin(self, net, **kwargs):
        self.events_.append("train begins")

    def on_epoch_begin(self, net, **kwargs):
        self.events_.append("epoch begins")

    def on_batch_begin(self, net, batch=None, training=None, **kwargs):
        self.events_.append("batch begins" if training else "validation begins")

    def on_grad_computed(self, net, named_parameters, **kwargs):
        assert all(parameter.grad is not None for _, parameter in named_parameters)
        self.events_.append("gradient")

    def on_batch_end(self, net, batch=None, training=None, **kwargs):
        self.events_.append("batch ends" if training else "validation ends")

    def on_epoch_end(self, net, **kwargs):
        self.events_.append("epoch ends")
        self.epochs_.append(net.history[-1, "epoch"])

    def on_train_end(self, net, **kwargs):
        self.events_.append("train ends")


class At(Callback):
    """Does something at the end, or at another event, of one epoch."""

    def __init__(self, epoch, action, event="on_epoch_end"):
        self.epoch, self.action = epoch, action
        setattr(self, event, self._act)  # an attribute of the instance counts like a method of the class

    def _act(self, net, **kwargs):
        if net.history[-1, "epoch"] == self.epoch:
            self.action(net)


def stop(net):
    raise StopTraining


def interrupt(net):
    signal.raise_signal(signal.SIGINT)


def spoil(net):
    with torch.no_grad():
        net.module_.linear.weight[0, 0] = math.nan


def test_every_event_reaches_a_callback_in_order():
    log = Log()
    make_net([log], validation=linear_data(5), max_epochs=2, batch_size=32).train(linear_data())
    training = ["batch begins", "gradient", "batch ends"]
    epoch = ["epoch begins", *training, *training, "validation begins", "validation ends", "epoch ends"]
    assert log.events_ == ["train begins", *epoch, *epoch, "train ends"]


def test_a_callback_is_not_called_for_what_it_does_not_override():
    calls = []

    class Empty(Callback):
        def __getattribute__(self, name):
            if name.startswith("on_"):
                calls.append(name)
            return super().__getattribute__(name)

        def on_epoch_end(self, net, **kwargs):
            pass

    make_net([Empty()], max_epochs=3).train(linear_data())
    assert calls == ["on_epoch_end"] * 3


def test_callbacks_change_nothing_and_leave_the_net():
    alone, watched = make_net().train(linear_data()), make_net([Log()])
    watched.train(linear_data())
    assert torch.equal(weights(alone), weights(watched))
    assert alone.history[:, "train_loss"] == watched.history[:, "train_loss"]
    assert not watched.callbacks
    assert not watched.callbacks_
    assert all(not epoch["batches"] for epoch in watched.history), "batches are dropped with their readers"


def test_a_net_pickles_whatever_its_callbacks_held():
    with open(__file__) as stream:
        holder = At(1, lambda net: None)
        holder.stream = stream
        with pytest.raises((TypeError, AttributeError, pickle.PicklingError)):
            pickle.dumps(holder)
        net = make_net([holder]).train(linear_data())
    assert torch.equal(weights(pickle.loads(pickle.dumps(net))), weights(net))


def test_batches_of_the_running_epoch_are_in_the_history_for_those_who_look():
    seen = []

    class Reader(Callback):
        def on_batch_end(self, net, batch=None, training=None, **kwargs):
            seen.append(net.history[-1, "batches", -1, "train_loss"])
            assert net.history[-1, "batches", -1, "train_batch_size"] == 16

    net = make_net([Reader(), skorch.callbacks.PassthroughScoring("train_loss", on_train=True)], max_epochs=3)
    net.train(linear_data())
    means = [sum(seen[start : start + 4]) / 4 for start in (0, 4, 8)]
    assert net.history[:, "train_loss"] == pytest.approx(means, rel=1e-12)


@pytest.mark.parametrize("event", ["on_epoch_begin", "on_batch_end", "on_grad_computed", "on_epoch_end"])
def test_stop_training_ends_it_after_the_running_epoch_and_all_callbacks_see_that(event):
    log = Log()
    net = make_net([At(3, stop, event), log]).train(linear_data())
    assert log.epochs_ == [1, 2, 3]
    assert log.events_[-2:] == ["epoch ends", "train ends"]
    assert torch.equal(weights(net), weights(make_net(max_epochs=3).train(linear_data())))


def test_skorchs_early_stopping_ends_training_quietly():
    # Training towards the opposite of the validation targets: every epoch is worse there.
    net = make_net([skorch.callbacks.EarlyStopping(patience=2)], validation=linear_data(16, sign=-1.0))
    net.train(linear_data())
    assert len(net.history) == 3
    assert net.history[:, "valid_loss_best"] == [True, False, False]


@pytest.mark.parametrize("event", ["on_train_begin", "on_epoch_begin", "on_batch_end", "on_epoch_end", "on_train_end"])
def test_ctrl_c_inside_a_callback_is_passed_on(event):
    class Slow(Callback):
        pass

    callback = Slow()
    setattr(callback, event, lambda net, **kwargs: interrupt(net))
    net = make_net([callback])
    with pytest.raises(KeyboardInterrupt):
        net.train(linear_data())
    assert not net.callbacks_


def test_ctrl_c_inside_skorchs_early_stopping_is_passed_on():
    class Monitored(skorch.callbacks.EarlyStopping):
        def on_epoch_end(self, net, **kwargs):
            interrupt(net)

    with pytest.raises(KeyboardInterrupt):
        make_net([Monitored("train_loss")]).train(linear_data())

    # Also in what it calls when its patience has just ended: here while it says so.
    def sink(text):
        assert "has not improved" in text
        interrupt(None)

    impatient = skorch.callbacks.EarlyStopping("train_loss", patience=1, threshold=0.99, sink=sink)
    net = make_net([impatient])
    net.verbose = 1
    with pytest.raises(KeyboardInterrupt):
        net.train(linear_data())
    assert impatient.misses_ == impatient.patience


def test_a_keyboard_interrupt_of_another_callback_is_no_request_to_stop():
    def raise_it(net):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_net([At(2, raise_it)]).train(linear_data())


def test_a_failing_callback_makes_training_fail():
    def fail(net):
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        make_net([At(2, fail)]).train(linear_data())


class Losses(Callback):
    """Replaces the validation losses, before early stopping looks."""

    def __init__(self, values):
        self.values = values

    def on_epoch_end(self, net, **kwargs):
        net.history.record("valid_loss", self.values[net.history[-1, "epoch"] - 1])


@pytest.mark.parametrize(
    ("losses", "best", "epochs"),
    [
        ([3.0, 2.0, 2.0, 2.0, 1.0], 2, 4),  # of equal ones the first is best, and equal is no improvement
        ([math.nan, 2.0, math.nan, 1.0, math.inf, 5.0], 4, 6),  # what is not a number never improves
        ([5.0, 4.0, 3.0, 2.0, 1.0, 0.5], 6, 6),
    ],
)
def test_early_stopping_goes_back_to_the_first_best_epoch(losses, best, epochs):
    net = make_net([Losses(losses), EarlyStopping(2)], validation=linear_data(8)).train(linear_data())
    assert len(net.history) == epochs
    assert torch.equal(weights(net), weights(make_net(max_epochs=best).train(linear_data())))


def test_the_history_says_which_epoch_was_best():
    net = make_net([EarlyStopping(20)], validation=linear_data(16, seed=1), lr=0.4, max_epochs=8)
    net.train(linear_data())
    losses, flags = net.history[:, "valid_loss"], net.history[:, "valid_loss_best"]
    assert flags == [loss < min(losses[:epoch], default=math.inf) for epoch, loss in enumerate(losses)]
    assert losses.index(min(losses)) == max(epoch for epoch, flag in enumerate(flags) if flag)


def test_early_stopping_without_any_finite_validation_loss_is_an_error():
    net = make_net([DivergenceGuard(), Losses([math.nan] * 6), EarlyStopping(3)], validation=linear_data(8))
    with pytest.raises(DivergenceError, match=r"validation loss was finite in none of 3 epochs"):
        net.train(linear_data())


def test_training_ends_at_the_first_batch_whose_loss_is_not_finite():
    batches = []

    class Spoil(Callback):
        def on_batch_end(self, net, **kwargs):
            batches.append(net.history[-1, "epoch"])
            if len(batches) == 6:
                spoil(net)

    # lr=1e-7 has digits that a careless format would lose
    net = make_net([DivergenceGuard(), Spoil()], lr=1e-7)
    with pytest.raises(DivergenceError, match=r"Training diverged: the loss is nan in epoch 2 with lr=1e-07\. .*lower"):
        net.train(linear_data())
    assert batches == [1] * 4 + [2] * 2, "no batch ends after the sixth"
    assert len(net.history) == 1


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adam])
@pytest.mark.parametrize("epoch", [1, 3])
def test_the_weights_of_the_last_good_epoch_come_back_bit_for_bit(epoch, optimizer):
    net = make_net([DivergenceGuard(), At(epoch, spoil, "on_epoch_begin")], optimizer=optimizer)
    with pytest.raises(DivergenceError, match=f"in epoch {epoch}"):
        net.train(linear_data())
    honest = make_net(optimizer=optimizer)
    if epoch > 1:
        honest.set_params(max_epochs=epoch - 1).train(linear_data())
    assert torch.equal(weights(net), weights(honest))
    losses = [row["train_loss"] for row in net.history]
    assert losses == [row["train_loss"] for row in honest.history]
    assert not net.optimizer_.state, "an optimiser without a memory of what was not finite"


def test_weights_that_overflow_in_the_last_step_of_training_are_found():
    # One batch, one epoch: the loss is finite, the step after it is not.
    data = linear_data()
    data.y = 1e15 * data.y
    net = make_net([DivergenceGuard()], lr=1e30, max_epochs=1, batch_size=64)
    with pytest.raises(DivergenceError, match=r"weights are not finite at the end of epoch 1 with lr=1e\+30"):
        net.train(data)
    with seeded_construction(0):
        start = LastStep()
    assert torch.equal(net.module_.linear.weight, start.linear.weight)
    assert len(net.history) == 0
