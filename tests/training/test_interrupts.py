"""Ctrl-C at any line of any call: it comes out, and the process has the settings it had."""

import inspect
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_limits
from torch.utils._device import DeviceContext

import sklstm
from sklstm import Compression, NoisyRNNClassifier, PACBayes, TikhonovLSTMRegressor
from sklstm.model_selection import RegularizationPathCV
from sklstm.training import _process
from sklstm.training._process import restores_settings
from tests.support.interrupts import (
    harmful_lines,
    interrupted_at,
    interrupted_at_entry,
    lines_of,
    settings,
)

QUICK = {"hidden_size": 3, "max_epochs": 1, "random_state": 0}
# Every line of the files that set and restore; of the others, through which an interrupt only passes, every so many.
# SKLSTM_INTERRUPT_STRIDE=1 takes every line of all, in about a quarter of an hour.
CLOSELY = {"_process.py", "_base.py", "_train.py", "_inference.py"}
STRIDE = int(os.environ.get("SKLSTM_INTERRUPT_STRIDE", "40"))


@pytest.fixture(autouse=True)
def something_to_lose():
    """Two threads, so that a limit of one is a change."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    with threadpool_limits(2, user_api="blas"):
        yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def calls(tmp_path_factory):
    X = np.random.default_rng(0).standard_normal((24, 4, 2))
    y, labels = X[:, -1, 0], X[:, -1, 0] > 0
    lstm = TikhonovLSTMRegressor(**QUICK).fit(X, y)
    relu = NoisyRNNClassifier(**QUICK).fit(X, labels)
    predicted = relu.predict(X)
    occam = relu.generalization_report(X, labels)["occam"]
    folder = tmp_path_factory.mktemp("models")
    lstm.save(folder / "there.safetensors")
    pickled = pickle.dumps(lstm)
    plain = TikhonovLSTMRegressor(**QUICK | {"max_epochs": 2})
    small = Compression(2, epochs=1, stage_epochs=1, n_stages=1, n_trials=1, coarseness=(16.0,))
    compressed = NoisyRNNClassifier(compression=small, **QUICK).fit(X[:8], labels[:8])
    drawn = PACBayes(scales=(0.1,), epochs=1, n_draws=2)
    random = NoisyRNNClassifier(compression=drawn, **QUICK).fit(X[:8], labels[:8])
    stochastic = random.stochastic(random.generalization_report(X[:8], labels[:8])["pac_bayes"])
    return {
        "report with PAC-Bayes": lambda: random.generalization_report(X[:8], labels[:8]),
        "report with compression": lambda: compressed.generalization_report(X[:8], labels[:8]),
        "fit": lambda: TikhonovLSTMRegressor(early_stopping=True, **QUICK).fit(X, y),
        "fit a classifier": lambda: NoisyRNNClassifier(**QUICK).fit(X, labels),
        "partial_fit": lambda: TikhonovLSTMRegressor(**QUICK).partial_fit(X, y),
        "predict": lambda: lstm.predict(X),
        "certify": lambda: lstm.certify(X[:2], 0.01, method="linear"),
        "radius": lambda: relu.certified_radius(X[:2], rtol=0.5),
        # By "best", an attack, and "linear" for one.
        "accuracy": lambda: relu.certified_accuracy(X[:6], predicted[:6], 0.6, method="auto"),
        "noise": lambda: sklstm.noise_interval(lstm, X[:2], 0.1, coverage=0.5, confidence=0.9, random_state=0),
        "votes": lambda: sklstm.smoothed_radius(relu, X[:2], 0.1, n_draws=40, random_state=0),
        "conformal": lambda: sklstm.prediction_interval(lstm, X[:5], y[:5], X[:2], coverage=0.5, eps=0.01),
        "save": lambda: lstm.save(folder / "new.safetensors"),
        "load": lambda: sklstm.load(folder / "there.safetensors"),
        "unpickle": lambda: pickle.loads(pickled),
        "quantized": lambda: relu.quantized(occam),
        "sample": lambda: stochastic.sample(X[:4], random_state=0),
        "path": lambda: RegularizationPathCV(plain, "lambda_s", [0.01, 0.1], cv=2, refit=False).fit(X, y),
    }


NAMES = [
    "fit", "report with compression", "fit a classifier", "partial_fit", "predict", "certify", "radius", "accuracy",
    "noise", "votes", "conformal", "save", "load", "unpickle", "quantized", "path",
    "report with PAC-Bayes", "sample",
]  # fmt: skip


def chosen_lines(call, closely):
    call()  # what is done once a process, as the self-test of certificates, is done
    places = lines_of(call)
    assert len(places) > 90
    return [place for i, place in enumerate(places) if Path(place[0]).name in closely or i % STRIDE == 0]


@pytest.mark.parametrize("name", NAMES)
def test_an_interrupt_leaves_the_process_as_it_was(calls, name):
    call = calls[name]
    # These pass through what the first fit does, and take longest.
    closely = {
        "report with compression": set(),
        "report with PAC-Bayes": set(),
        "path": {"_process.py"},
        "fit a classifier": {"_process.py", "_base.py"},
        "partial_fit": {"_process.py", "_base.py"},
    }.get(name, CLOSELY)
    assert list(harmful_lines(call, chosen_lines(call, closely))) == []
    call()  # nothing is locked, nothing half done


@pytest.mark.parametrize("name", ["partial_fit", "predict", "certify", "save", "load"])
def test_nor_with_a_default_device_of_the_users_own(calls, name):
    call = calls[name]
    torch.set_default_device("meta")  # in place of a CUDA device: nothing can be computed on it
    try:
        assert list(harmful_lines(call, chosen_lines(call, {"_process.py", "_inference.py"}))) == []
        # Blocks of torch's that take modes off their stack and put them back would do so half, or too late.
        assert not interrupted_at_entry(call, DeviceContext.__enter__)
        assert not interrupted_at_entry(call, inspect.unwrap(torch.overrides._pop_mode_temporarily))
        assert torch.empty(0).device.type == "meta"
    finally:
        torch.set_default_device(None)  # raises where torch does not find its device
    assert torch.zeros(1).device.type == "cpu"


@pytest.mark.parametrize("number", [2, 3])
def test_nor_does_one_while_settings_are_being_restored(calls, number):
    call, before = calls["predict"], settings()
    for place in lines_of(call):
        if Path(place[0]).name == "_process.py":
            interrupted_at(call, place, number)
            assert settings() == before, place


@pytest.mark.parametrize("name", ["predict", "certify", "save", "load", "unpickle", "quantized"])
@pytest.mark.parametrize("function", [torch.no_grad.__enter__, torch.no_grad.__exit__, torch.set_grad_enabled.__init__])
def test_nor_does_one_where_torch_sets_and_restores(calls, name, function):
    call, before = calls[name], settings()
    for number in range(1, 12):
        interrupted_at_entry(call, function, number)
        assert settings() == before, number


@pytest.mark.parametrize("device", [None, "cpu"])  # with none of its own, and with one that the call drops
def test_everything_that_a_call_may_set_is_given_back(device):
    @restores_settings
    def careless():
        torch._C._len_torch_function_stack() and torch._C._pop_torch_function_stack()
        torch.set_flush_denormal(True)
        torch.set_num_threads(1)
        torch.set_grad_enabled(False)
        torch.set_autocast_enabled("cpu", True)
        torch.device("meta").__enter__()
        np.seterr(all="ignore")
        _process._holding(_process._NUMPY_THREADS, "one").__enter__()
        raise KeyboardInterrupt

    torch.set_default_device(device)
    try:
        before = settings()
        with pytest.raises(KeyboardInterrupt):
            careless()
        assert settings() == before
    finally:
        torch.set_default_device(None)


def test_settings_of_the_process_have_several_holders():
    shared, written = (
        _process._Shared(lambda: ["before"], lambda values: written.extend(values), lambda w, n: w[-1:]),
        [],
    )
    first, second = object(), object()
    shared.hold(first, "one")
    shared.hold(second, "two")
    shared.release(first)
    shared.release(first)  # once more, as after an interrupt
    shared.release(second)
    shared.release(second)
    assert written == ["one", "two", "two", "two", "before"]
