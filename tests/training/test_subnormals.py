"""Subnormal numbers are taken for zero while networks are trained, and only then."""

import threading
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback

from sklstm import NoisyRNNClassifier, TikhonovGRURegressor, TikhonovLSTMRegressor
from sklstm._subnormals import _gnu_openmp, are_flushed, keeps_subnormals, set_flushed
from sklstm.exceptions import DivergenceError
from sklstm.training import _train

X = np.random.default_rng(0).standard_normal((70, 6, 2))
y = X[:, -1, 0]
QUICK = {"hidden_size": 4, "max_epochs": 2, "random_state": 0}
LARGE = {**QUICK, "hidden_size": 80, "max_epochs": 1, "batch_size": 64}  # worth more than one thread


def flushing_threads():
    """For this thread and for each that shares the work of torch's functions: whether it flushes."""
    piece = 2**15
    smallest = np.full(torch.get_num_threads() * piece, np.finfo(np.float32).tiny)
    halves = torch.from_numpy(smallest).div(2).numpy()  # the one step that is shared
    return [not part.view(np.int32).any() for part in halves.reshape(-1, piece)]


@pytest.fixture
def two_threads():
    if not _gnu_openmp():
        pytest.skip("the OpenMP of this torch, as of 2.6 on Linux, cannot send its threads home; see set_flushed")
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def flushing_caller():
    set_flushed(True)
    yield
    set_flushed(False)


class Spy(Callback):
    def __init__(self):
        self.seen = []

    def on_epoch_end(self, net, **kwargs):
        self.seen.append(flushing_threads())


@pytest.mark.parametrize(("options", "n_threads"), [(QUICK, 1), (LARGE, 2)])
def test_all_threads_of_a_training_flush_and_none_afterwards(options, n_threads, two_threads):
    flushing_threads()  # the threads that share the work are there before
    spy = Spy()
    TikhonovLSTMRegressor(**options, callbacks=[spy]).fit(X, y)
    assert spy.seen[0] == spy.seen[-1] == [True] * n_threads
    assert flushing_threads() == [False, False]
    with pytest.raises(DivergenceError):
        TikhonovLSTMRegressor(**options, lr=1e30).fit(X, y)
    assert flushing_threads() == [False, False]


def test_a_caller_that_flushes_gets_the_same_predictions_and_certificates(two_threads, flushing_caller):
    model = TikhonovLSTMRegressor(**LARGE).fit(X, y)
    set_flushed(False)
    with torch.no_grad():
        model.net_.module_.readout.weight.mul_(1e-38)
        model.net_.module_.readout.bias.zero_()
    set_flushed(True)
    results = [model.predict(X), *model.certify(X[:3], 0.1)]
    assert flushing_threads() == [True, True]
    set_flushed(False)
    for value, other in zip(results, [model.predict(X), *model.certify(X[:3], 0.1)], strict=True):
        np.testing.assert_array_equal(value, other)
    assert np.all(results[0] != 0)
    set_flushed(True)


def test_each_thread_has_its_own_mode():
    seen = []

    def fit():
        TikhonovLSTMRegressor(**QUICK).fit(X, y)
        seen.append(are_flushed())

    thread = threading.Thread(target=fit)
    set_flushed(True)
    thread.start()  # begins in the mode of this one
    set_flushed(False)
    thread.join()
    assert seen == [True]
    assert not are_flushed()


@pytest.mark.parametrize("kind", [TikhonovLSTMRegressor, TikhonovGRURegressor, NoisyRNNClassifier])
@pytest.mark.parametrize("options", [{}, {"weight_decay": 1e-3}, {"early_stopping": True, "optimizer": "sgd"}])
def test_an_ordinary_training_has_no_subnormal_numbers(kind, options, monkeypatch):
    target = y > 0 if kind is NoisyRNNClassifier else y
    settings = {**QUICK, "max_epochs": 20, **options}
    flushed = kind(**settings).fit(X, target)
    monkeypatch.setattr(_train, "flushed_subnormals", lambda device: nullcontext())
    kept = kind(**settings).fit(X, target)
    assert flushed.loss_curve_ == kept.loss_curve_
    for ours, theirs in zip(flushed.net_.module_.parameters(), kept.net_.module_.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_block_without_flushing_ends_as_it_began_whatever_happens():
    @keeps_subnormals
    def fail():
        assert not are_flushed()
        set_flushed(True)
        raise KeyboardInterrupt

    for mode in (True, False):
        set_flushed(mode)
        with pytest.raises(KeyboardInterrupt):
            fail() if mode else keeps_subnormals(lambda: (_ for _ in ()).throw(KeyboardInterrupt))()
        assert are_flushed() == mode
    set_flushed(False)
